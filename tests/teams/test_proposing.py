"""`propose` with several changes, and with --open, which opens the pull request by `gh`, `glab` or a push option."""

import json
import os
import re
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from hosting import git, merge_within, write_hook, write_program
from teamwork import BRANCH, refs
from transcripts import ask

from gitmodel import Client, UsageError
from gitmodel.errors import Conflict, NotFound, Refused, Unreachable

GITHUB = "https://github.com/org/models.git"
GITLAB = "https://gitlab.example.org/team/models.git"
# A fake of a host's program (`gh` or `glab`). It records its stdin and its arguments, with NUL after each argument.
RECORDER = """\
printf '%s\\0' "$@" > {folder}/arguments
cat > {folder}/input
echo 'Creating a pull request' >&2
{answer}
"""
HOOK = """\
for number in 0 1 2 3 4; do eval "printf '%s\\n' \\"\\$GIT_PUSH_OPTION_$number\\""; done > {folder}/options
echo 'View merge request for it:'
echo '  https://gitlab.example.org/team/models/-/merge_requests/7'
"""


@pytest.fixture
def hosted(team, bob, bare):
    """A function that opens Bob's clone with a URL of a host as its remote, for which git uses the bare repository."""

    def open(url, path=os.environ["PATH"]):
        git(bob.repository.git.top, "remote", "set-url", "origin", url)
        git(bob.repository.git.top, "config", f"url.{bare}.insteadOf", url)
        client = Client(bob.repository.git.top, store=team.store, environ={**team.environ("bob"), "PATH": path})
        team.opened.callback(client.close)
        return client

    return open


@pytest.fixture
def programs(tmp_path):
    """A function that writes a fake of a host's program, and returns a PATH on which the fake is first.

    Its attributes `arguments` and `input` return what the fake recorded.
    """
    folder = tmp_path / "programs"

    def install(name, answer):
        return write_program(folder, name, RECORDER.format(folder=folder, answer=answer))

    install.arguments = lambda: (folder / "arguments").read_text(encoding="utf-8").split("\0")[:-1]
    install.input = lambda: (folder / "input").read_text(encoding="utf-8")
    return install


def option(arguments, name):
    return arguments[arguments.index(name) + 1]


def test_several_proposed_changes_are_one_commit_on_one_branch(ada, bob, bare):
    ada.register_model("wine").create_version()
    ada.get_version("wine@1").set_stage("staging")
    ada.push()
    bob.pull()
    made = bob.propose(("iris@3", "production"), ("iris@1", "staging"), demote=[("wine", "staging")], push=True)
    told = {(change.model, change.place): (change.old, change.new) for change in made.plan.changes}
    assert told == {("iris", "production"): (2, 3), ("iris", "staging"): (None, 1), ("wine", "staging"): (1, None)}
    assert made.subject == "Change iris 3 to production, iris 1 to staging, wine staging to (empty)"
    assert made.branch == f"propose/several/3-{made.commit[:7]}"
    assert git(bare, "rev-list", "--count", f"gitmodel..{made.branch}") == "1"
    assert [one.branch for one in ada.list_proposals()] == [made.branch]
    trailers = git(bare, "log", "-1", "--format=%(trailers:only,unfold)", made.branch)
    assert {"Model: iris", "Model: wine", "Stage: production", "Stage: staging"} <= set(trailers.splitlines())


def test_changes_of_one_proposal_take_effect_in_their_order(bob):
    made = bob.propose(("iris@2", "staging"), ("iris@3", "production"))
    files = git(bob.repository.git.top, "diff", "--name-only", f"{made.commit}^", made.commit).split()
    assert files == ["models/iris/stages/production.toml", "models/iris/stages/staging.toml"]


def test_the_subject_of_a_proposal_with_many_changes_has_their_number(bob, ada):
    for number in range(6):
        ada.register_model(f"model-with-a-long-name-{number}").create_version()
    ada.push()
    bob.pull()
    made = bob.propose(*((f"model-with-a-long-name-{number}@1", "staging") for number in range(6)))
    assert made.subject == "Change 6 stages of 6 models"


def test_a_proposal_with_one_invalid_change_is_refused_as_a_whole(bob):
    before = git(bob.repository.git.top, "for-each-ref")
    with pytest.raises(Conflict, match="iris@2 is already recorded in production"):
        bob.propose(("iris@3", "staging"), ("iris@2", "production"))
    with pytest.raises(NotFound):
        bob.propose(("iris@3", "staging"), demote=[("iris", "staging"), ("iris", "staging")])
    with pytest.raises(UsageError, match="nothing to propose"):
        bob.propose()
    with pytest.raises(UsageError):
        bob.propose(("iris", "staging"))
    assert git(bob.repository.git.top, "for-each-ref") == before


def test_the_link_contains_the_text_of_the_pull_request_if_it_is_short(hosted):
    made = hosted(GITHUB).propose(("iris@3", "production"), reason="better")
    asked = parse_qs(urlsplit(made.address).query)
    assert asked["body"][0].startswith("<!-- gitmodel plan -->\n")
    assert "iris\\: production 2" in asked["body"][0].replace("\u200b", "")
    assert asked["title"] == ["Promote iris 3 to production"]
    assert f"/compare/gitmodel...{made.branch}" in made.address
    assert made.text == ""


def test_the_text_of_the_pull_request_is_in_a_file_if_it_is_too_long_or_the_host_is_unknown(ada, bob, hosted):
    unknown = bob.propose(("iris@3", "production"))
    assert unknown.address == ""
    assert Path(unknown.text).read_text(encoding="utf-8").startswith("<!-- gitmodel plan -->\n")
    ada.get_version("iris@1").log_metadata({f"key-{number}": "a long value " * 9 for number in range(60)})
    ada.push()
    known = hosted(GITHUB)
    known.pull()
    made = known.propose(("iris@1", "production"))
    assert len(made.address) < 400
    assert "key\\-49" in Path(made.text).read_text(encoding="utf-8")


def test_gh_opens_the_pull_request_to_the_metadata_branch(hosted, programs, bare):
    client = hosted(GITHUB, programs("gh", "echo https://github.com/org/models/pull/12"))
    made = client.propose(("iris@3", "production"), open=True)
    assert made.request == "https://github.com/org/models/pull/12"
    assert made.pushed
    asked = programs.arguments()
    assert asked[:2] == ["pr", "create"]
    assert option(asked, "--repo") == "github.com/org/models"
    assert (option(asked, "--base"), option(asked, "--head")) == ("gitmodel", made.branch)
    assert option(asked, "--title") == "Promote iris 3 to production"
    assert programs.input().startswith("<!-- gitmodel plan -->\n")
    assert f"refs/heads/{made.branch}" in git(bare, "for-each-ref")


def test_glab_opens_the_merge_request(hosted, programs):
    client = hosted(GITLAB, programs("glab", "echo '!12 https://gitlab.example.org/team/models/-/merge_requests/12'"))
    made = client.propose(("iris@3", "production"), open=True)
    assert made.request == "https://gitlab.example.org/team/models/-/merge_requests/12"
    asked = programs.arguments()
    assert asked[:2] == ["mr", "create"]
    assert "--yes" in asked
    assert option(asked, "--repo") == "https://gitlab.example.org/team/models"
    assert (option(asked, "--target-branch"), option(asked, "--source-branch")) == ("gitmodel", made.branch)
    assert option(asked, "--description").startswith("<!-- gitmodel plan -->\n")


def test_if_gh_fails_its_error_is_shown_and_the_branch_of_the_proposal_stays_pushed(hosted, programs, bare):
    client = hosted(GITHUB, programs("gh", "echo 'gh: not logged in to https://ada:pw@github.com' >&2; exit 4"))
    with pytest.raises(Unreachable, match=r"gh could not open the pull request: .*not logged in") as failed:
        client.propose(("iris@3", "production"), open=True)
    assert "pw" not in failed.value.message
    assert "open the pull request at https://github.com/org/models/compare/gitmodel" in failed.value.hint
    assert "propose/iris/production/3-" in git(bare, "for-each-ref")


def test_without_glab_a_push_option_opens_the_merge_request(hosted, bare, tmp_path):
    git(bare, "config", "receive.advertisePushOptions", "true")
    write_hook(bare, "post-receive", HOOK.format(folder=tmp_path))
    made = hosted(GITLAB).propose(("iris@3", "production"), open=True)
    assert made.request == "https://gitlab.example.org/team/models/-/merge_requests/7"
    said = (tmp_path / "options").read_text(encoding="utf-8").splitlines()
    assert said[:3] == [
        "merge_request.create",
        "merge_request.target=gitmodel",
        "merge_request.title=Promote iris 3 to production",
    ]
    assert said[3].startswith("merge_request.description=<!-- gitmodel plan -->\\n")


def test_propose_pushes_the_branch_to_a_host_that_accepts_no_push_options(hosted, bare):
    git(bare, "config", "receive.advertisePushOptions", "false")
    made = hosted(GITLAB).propose(("iris@3", "production"), open=True)
    assert (made.pushed, made.request) == (True, "")
    assert f"refs/heads/{made.branch}" in git(bare, "for-each-ref")


def test_propose_without_push_and_open_pushes_and_opens_nothing(hosted, programs, bare, tmp_path):
    before = refs(bare), git(bare, "for-each-ref")
    hosted(GITHUB, programs("gh", "exit 1")).propose(("iris@3", "production"))
    assert (refs(bare), git(bare, "for-each-ref")) == before
    assert not (tmp_path / "programs" / "arguments").exists()


def test_the_hosts_message_is_shown_if_it_refuses_a_proposal(bob, bare):
    write_hook(bare, "pre-receive", "echo 'proposals only in office hours' >&2\nexit 1")
    with pytest.raises(Refused, match="proposals only in office hours"):
        bob.propose(("iris@3", "production"), push=True)


class TestCommand:
    @pytest.fixture(autouse=True)
    def within(self, bob, monkeypatch):
        monkeypatch.chdir(bob.repository.git.top)

    def test_the_command_propose_takes_several_promotions(self, capsys):
        code, out, _ = ask(
            capsys, "propose", "iris@3", "production", "iris", "1", "staging", "--reason", "why", "--format", "json"
        )
        assert code == 0
        made = json.loads(out)
        assert [(c["model"], c["stage"], c["previous"], c["version"]) for c in made["changes"]] == [
            ("iris", "production", 2, 3),
            ("iris", "staging", None, 1),
        ]
        assert (made["ready"], made["pushed"], made["models"], made["request"]) == (True, False, ["iris"], "")

    def test_the_output_of_propose_shows_the_next_steps(self, capsys):
        code, out, _ = ask(capsys, "propose", "--demote", "iris", "production")
        first, second, third = out.splitlines()
        assert code == 0
        assert first.startswith("Demote iris 2 from production: proposed on the branch propose/iris/production/none-")
        assert second.startswith("push it with: git push origin propose/iris/production/none-")
        assert third.startswith("its text is in: ")

    def test_the_list_of_proposals_has_a_line_for_each_proposal(self, capsys):
        ask(capsys, "propose", "iris@3", "production", "iris@1", "staging")
        code, out, _ = ask(capsys, "proposals", "--format", "tsv", "--filter", '"iris" in models && ready')
        assert code == 0
        assert len(out.splitlines()) == 2

    @pytest.mark.parametrize(
        ("words", "code", "said"),
        [
            (["iris@3"], 2, "STAGE is missing"),
            (["iris", "production"], 2, "propose"),
            (["iris@3", "production", "iris@1"], 2, "STAGE is missing"),
            (["iris@3", "nowhere"], 2, "nowhere"),
            ([], 2, "there is nothing to propose"),
            (["--demote", "iris"], 2, "--demote"),
            (["--rollback", "iris", "staging"], 3, "no other version of iris was ever in staging"),
            (["iris@9", "production"], 3, "there is no version 9 of iris"),
            (["iris@2", "production"], 4, "iris@2 is already recorded in production"),
            (["iris@3", "none"], 4, "iris@3 is in no stage already\nhint: `git model show iris` shows its stages"),
        ],
    )
    def test_an_invalid_proposal_is_refused_with_the_reason(self, capsys, words, code, said):
        found, out, err = ask(capsys, "propose", *words)
        assert (found, out) == (code, "")
        assert said in err


class TestPlanned:
    def test_plan_without_a_range_shows_the_checked_out_or_only_proposal(self, bob, git):
        first = bob.propose(("iris@3", "production"))
        assert bob.plan().head == first.commit
        second = bob.propose(("iris@1", "staging"))
        with pytest.raises(UsageError, match="there are 2 proposals") as several:
            bob.plan()
        assert "git model plan ..BRANCH" in several.value.hint
        assert bob.plan(f"..{first.branch}").head == first.commit
        git(bob.repository.git.top, "checkout", "-q", second.branch)
        assert bob.plan().head == second.commit

    def test_plan_without_a_proposal_shows_the_unpushed_commits(self, bob):
        base = refs(bob.repository.common_dir)[BRANCH]
        bob.get_version("iris@3").set_stage("production")
        planned = bob.plan()
        assert (planned.base, planned.head) == (base, refs(bob.repository.common_dir)[BRANCH])
        assert [(change.place, change.old, change.new) for change in planned.changes] == [("production", 2, 3)]

    def test_plan_without_a_remote_and_without_proposals_shows_no_change(self, code_repo):
        with Client(code_repo) as client:
            with pytest.raises(NotFound, match="no registry"):
                client.plan()
            client.register_model("iris")
            assert client.plan().changes == ()

    def test_plan_without_a_range_ignores_a_merged_proposal(self, bob, bare):
        made = bob.propose(("iris@3", "production"), push=True)
        git(bare, "update-ref", BRANCH, made.commit)
        bob.pull()
        assert bob.plan().changes == ()

    def test_python_can_check_the_branch_a_proposal_and_a_range(self, bob):
        made = bob.propose(("iris@3", "production"))
        assert bob.check() == []
        assert bob.check(made.branch) == []
        found = bob.check_between(f"gitmodel..{made.branch}")
        assert (found.problems, found.rules) == ((), ())
        with pytest.raises(NotFound, match="there is no commit"):
            bob.check("nowhere")


def told(capsys, bob, *words):
    """Run the command *words*. Return its stdout, its stderr with `! ` before each line, and its exit code.

    The path of Bob's clone, ids of commits and digests are replaced, because they vary.
    """
    code, out, err = ask(capsys, *words)
    shown = out + "".join(f"! {line}\n" for line in err.splitlines())
    shown = shown.replace(str(bob.repository.common_dir), "<git>")
    shown = re.sub(r"\b[0-9a-f]{12,40}\b", "<digest>", re.sub(r"-[0-9a-f]{7}\b", "-<id>", shown))
    return f"{shown}[{code}]\n"


def test_proposing_merging_and_applying_print_the_expected_output(ada, bob, bare, monkeypatch, capsys):
    monkeypatch.chdir(bob.repository.git.top)
    monkeypatch.setenv("COLUMNS", "160")
    assert (
        told(capsys, bob, "propose", "iris@3", "production", "--reason", "better", "--push")
        == """\
Promote iris 3 to production: proposed on the branch propose/iris/production/3-<id>, to be merged into gitmodel
open a pull request of propose/iris/production/3-<id> to gitmodel at your host
its text is in: <git>/gitmodel/proposals/iris-production-3-<id>.md
[0]
"""
    )
    assert (
        told(capsys, bob, "proposals")
        == """\
BRANCH                             CHANGES                 WHO          RULES
propose/iris/production/3-<id>  iris production 2 -> 3  Ada Example  pass
[0]
"""
    )
    assert (
        told(capsys, bob, "plan")
        == """\
iris: production 2 -> 3
  by Ada Example
  reason: better
  version 3 by ada
  accuracy: 0.2 -> 0.3 (+0.1)
  data train: <digest> -> <digest>
[0]
"""
    )
    merge_within(bare, *ada.list_proposals())
    monkeypatch.chdir(ada.repository.git.top)
    assert (
        told(capsys, ada, "apply", "--push")
        == """\
MODEL  STAGE       VERSION  NOW
iris   production  2 -> 3   in force, here and at the remote
[0]
"""
    )
    assert told(capsys, ada, "apply", "--push") == "! nothing was pending\n[0]\n"
    assert told(capsys, ada, "proposals") == "! no proposal is open\n[0]\n"
