"""`check BASE..HEAD` reports each rule that the commits of a branch break, and invalid results of merges."""

import os
import shutil
import tempfile
from dataclasses import replace
from itertools import pairwise

import editing
import pytest
from editing import BRANCH, edit, read
from hosting import write_program
from transcripts import ask

from gitmodel import Client
from gitmodel.domain.rules.change_rules import RULES
from gitmodel.domain.schema import codec, paths, records
from gitmodel.git.history.merging import merged_tree
from gitmodel.registry.health.checking import check, check_files
from gitmodel.teams.checks import range_checks
from gitmodel.teams.checks.range_checks import check_between

VERSION = paths.version_file("iris", 1)
STAGE = paths.stage_file("iris", "production")
SECOND = paths.version_file("iris", 2)
TOPIC = "refs/heads/topic"


@pytest.fixture
def client(code_repo):
    with Client(code_repo) as client:
        iris = client.register_model("iris")
        iris.create_version("1.0", metadata={"accuracy": 0.9})
        iris.create_version(metadata={"accuracy": 0.95})
        edit(code_repo, with_runs(code_repo, "20261123T101112Z-train-7f3a"))
        iris.get_version(1).set_stage("production")
        yield client


@pytest.fixture
def topic(repo):
    """Create the branch `topic` at the tip of the metadata branch. Return a function that commits files to `topic`."""
    editing.run(repo, "update-ref", TOPIC, BRANCH)
    return lambda files: edit(repo, files, onto=TOPIC)


def with_runs(repo, *runs):
    record = codec.decode(records.VersionRecord, read(repo, SECOND).encode(), SECOND, newer=False)
    return {SECOND: codec.encode(replace(record, runs=runs))}


def found(client, **more):
    git = client.repository.git
    base, head = (git.lines("rev-parse", ref)[0] for ref in (BRANCH, TOPIC))
    client.repository.reader.close()
    return check_between(client.repository, base, head, **more)


def rules(client, **more):
    return {problem.rule for problem in found(client, **more).problems}


def test_check_of_an_allowed_change_finds_no_problem(client, repo, topic):
    topic({VERSION: read(repo, VERSION).replace("0.9", "0.91")})
    assert found(client).problems == ()


def test_check_of_changes_that_gitmodel_made_finds_no_problem(client, repo, topic):
    base = editing.run(repo, "rev-parse", BRANCH)
    iris = client.get_model("iris")
    iris.create_version("2.0").set_stage("production")
    iris.get_version(1).set_stage("none")
    iris.get_version(1).delete(reason="old")
    iris.get_version(3).add_alias("champion")
    client.update_model("iris", new_name="flower", title="Flowers")
    client.register_model("other")
    head = editing.run(repo, "rev-parse", BRANCH)
    commits = [base, *editing.run(repo, "rev-list", "--reverse", f"{base}..{head}").split()]
    for old, new in pairwise(commits):
        assert check_between(client.repository, old, new).problems == ()
    client.delete_model("flower", force=True)
    assert check_between(client.repository, head, editing.run(repo, "rev-parse", BRANCH), force=True).problems == ()


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        (lambda r: {VERSION: None, paths.name_file("iris", "1.0"): None, STAGE: None}, "change.gone"),
        (lambda r: {VERSION: read(r, VERSION).replace("2026-11-23", "2025-01-01")}, "change.version"),
        (lambda r: {VERSION: read(r, VERSION).replace('name = "1.0"\n', 'name = "1.1"\n')}, "change.version"),
        (lambda r: {VERSION: read(r, VERSION).replace("dirty = false", "dirty = true")}, "change.version"),
        (lambda r: {VERSION: read(r, VERSION).replace("\n[code]", "failed = true\n\n[code]")}, "change.version"),
        (lambda r: {VERSION: read(r, VERSION) + LINK}, "change.version"),
        (lambda r: with_runs(r), "change.version"),
        (lambda r: {VERSION: deleted(r), STAGE: None}, "change.held"),
        (lambda r: {"models/iris/model.toml": gone(r)}, "change.held"),
        (lambda r: {"models/iris/model.toml": None}, "change.gone"),
        (lambda r: {"models/iris/model.toml": read(r, "models/iris/model.toml").replace("11-23", "11-22")},
         "change.model"),
        (lambda r: {paths.name_file("iris", "1.0"): "version = 2\n"}, "change.name"),
        (lambda r: {paths.name_file("iris", "1.0"): None}, "change.name"),
        (lambda r: {"gitmodel.toml": read(r, "gitmodel.toml").replace("1.2", "0.9")}, "change.format"),
        (lambda r: {STAGE: read(r, STAGE).replace("version = 1", "version = 7")}, "stage.version"),
    ],
)  # fmt: skip
def test_check_reports_each_kind_of_forbidden_change(client, repo, topic, change, rule):
    topic(change(repo))
    assert rule in rules(client)
    assert all(problem.path for problem in found(client).problems)


LINK = '\n[[artifacts]]\nname = "m"\nkind = "model"\ndigest = "sha256:' + "0" * 64 + '"\nsize = 1\nformat = "skops"\n'


def deleted(repo):
    head, _, _ = read(repo, VERSION).partition("\n[")
    return head.rstrip() + "\ndeleted = 2026-11-23T10:12:13Z\n"


def gone(repo):
    created = read(repo, "models/iris/model.toml")
    return created + "deleted = 2026-11-23T10:12:13Z\nlast_number = 2\n"


def test_check_accepts_the_deletion_of_a_version_in_use_only_with_force(client, repo, topic):
    topic({VERSION: deleted(repo), STAGE: None})
    assert rules(client) == {"change.held"}
    assert rules(client, force=True) == set()


def test_check_refuses_a_new_version_with_the_number_of_a_deleted_version(client, repo, topic):
    client.get_version("iris@2").delete()
    editing.run(repo, "update-ref", TOPIC, BRANCH)
    topic({paths.version_file("iris", 2): "number = 2\ncreated = 2026-11-23T10:12:13Z\n"})
    assert rules(client) == {"change.number"}


def test_check_reports_a_promotion_that_fails_a_gate_which_the_same_branch_removes(client, repo, topic):
    gate = '\n[[stages.gates]]\nname = "good"\nexpression = "metadata.accuracy > 0.99"\n'
    edit(repo, {"gitmodel.toml": read(repo, "gitmodel.toml") + gate})
    editing.run(repo, "update-ref", TOPIC, BRANCH)
    stage = read(repo, STAGE).replace("version = 1", "version = 2")
    topic({"gitmodel.toml": read(repo, "gitmodel.toml").replace(gate, ""), STAGE: stage})
    assert rules(client) == {"change.gate"}
    assert found(client).rules == ("gitmodel.toml",)


def test_check_reports_changes_of_files_that_decide_who_may_do_what(client, repo, topic):
    topic({"CODEOWNERS": "* @eve\n", ".github/workflows/x.yml": "on: push\n"})
    assert found(client).rules == (".github/workflows/x.yml", "CODEOWNERS")
    assert found(client).problems == ()


def test_check_finds_an_invalid_result_of_a_merge_without_conflict(client, repo, topic):
    client.get_version("iris@2").delete(reason="trained on the wrong data")
    topic({STAGE: read(repo, STAGE).replace("version = 1", "version = 2")})
    assert "stage.usable" in rules(client)


def test_check_reports_two_promotions_into_one_stage_as_a_merge_conflict(client, repo, topic):
    topic({STAGE: read(repo, STAGE).replace("version = 1", "version = 2")})
    client.get_model("iris").create_version().set_stage("production")
    assert [(p.path, p.rule) for p in found(client).problems] == [(STAGE, "change.conflict")]


def test_check_of_a_branch_ignores_problems_that_its_base_already_has(client, repo, topic):
    edit(repo, {paths.alias_file("iris", "champion"): read(repo, STAGE).replace("version = 1", "version = 9")})
    assert check(client.repository) != []
    editing.run(repo, "update-ref", TOPIC, BRANCH)
    topic({VERSION: read(repo, VERSION).replace("0.9", "0.91")})
    assert found(client).problems == ()


def test_check_refuses_without_force_a_branch_that_deletes_or_changes_very_many_records(client, repo, topic):
    for number in range(25):
        client.register_model(f"m{number}")
    editing.run(repo, "update-ref", TOPIC, BRANCH)
    stone = gone(repo).replace("last_number = 2", "last_number = 0")
    topic({f"models/m{n}/model.toml": stone for n in range(2)})
    assert rules(client) == {"change.size"}
    assert rules(client, force=True) == set()
    editing.run(repo, "update-ref", TOPIC, BRANCH)
    titled = 'title = "T"\n' + read(repo, "models/m0/model.toml")
    topic({f"models/m{n}/model.toml": titled for n in range(25)})
    assert rules(client) == {"change.size"}


def test_check_refuses_a_branch_that_shares_no_history_with_its_base(client, repo):
    tree = editing.run(repo, "rev-parse", f"{BRANCH}^{{tree}}")
    editing.run(repo, "update-ref", TOPIC, editing.run(repo, "commit-tree", tree, "-m", "Begin again"))
    assert rules(client) == {"change.lineage"}


def test_the_exit_code_of_check_says_if_a_record_is_invalid_or_a_rule_is_broken(repo, topic, capsys):
    def checked(words):
        return ask(capsys, "-C", repo, "check", words)

    topic({VERSION: read(repo, VERSION).replace("0.9", "0.91"), "CODEOWNERS": "* @eve\n"})
    code, _, err = checked("gitmodel..topic")
    assert (code, "CODEOWNERS is changed" in err) == (0, True)
    topic({VERSION: deleted(repo), STAGE: None})
    code, out, _ = checked("..topic")
    assert (code, "change.held" in out) == (6, True)
    topic({"gitmodel.toml": None})
    assert checked("gitmodel..topic")[0] == 5
    assert checked("nowhere..topic")[0] == 3


def test_names_of_rules_for_changes_begin_with_the_word_change():
    assert all(rule.startswith("change.") for rule in RULES)


def old_git(folder):
    """Return a PATH with a git that refuses `merge-tree --write-tree`, as git before 2.38 does."""
    refusing = 'case "$word" in --write-tree) echo "usage: git merge-tree" >&2; exit 129;; esac'
    return write_program(folder, "git", f'for word in "$@"; do {refusing}; done\nexec {shutil.which("git")} "$@"')


MERGED = {
    "different files": ({"models/iris/versions/4.toml": "ours"}, {"README.md": "theirs"}),
    "the same new file": ({"models/iris/x": "same\n"}, {"models/iris/x": "same\n"}),
    "two new files of one name": ({"models/iris/x": "ours\n"}, {"models/iris/x": "theirs\n"}),
    "one line": ({"README.md": "1\n2\n3\n4\n5 ours\n"}, {"README.md": "1\n2\n3\n4\n5 theirs\n"}),
    "lines apart": ({"README.md": "1 ours\n2\n3\n4\n5\n"}, {"README.md": "1\n2\n3\n4\n5 theirs\n"}),
    "deleted and changed": ({"README.md": None}, {"README.md": "1\n2\n3\n4\n5 theirs\n"}),
    "deleted on both sides": ({"README.md": None}, {"README.md": None}),
    "a file and a folder": ({"models/iris/x": "ours\n"}, {"models/iris/x/y": "theirs\n"}),
}


@pytest.mark.parametrize("sides", MERGED.values(), ids=MERGED)
def test_check_gives_the_same_result_with_an_old_git_that_cannot_merge_in_memory(code_repo, tmp_path, sides):
    with Client(code_repo) as client:
        client.register_model("iris")
        edit(code_repo, {"README.md": "1\n2\n3\n4\n5\n"})
        editing.run(code_repo, "update-ref", TOPIC, BRANCH)
        edit(code_repo, sides[0])
        edit(code_repo, sides[1], onto=TOPIC)
        base, head = editing.run(code_repo, "rev-parse", BRANCH, TOPIC).split()
        merged = merged_tree(client.repository.git, client.repository.reader, base, head)
    before = editing.state(code_repo)
    with Client(code_repo, environ={**os.environ, "PATH": old_git(tmp_path / "old")}) as client:
        tree, conflicts = merged_tree(client.repository.git, client.repository.reader, base, head)
    assert bool(conflicts) == bool(merged[1])
    assert conflicts or tree == merged[0]
    assert editing.state(code_repo) == before


def test_a_merge_with_an_old_git_keeps_a_link_that_replaced_a_file_on_one_side(code_repo, tmp_path):
    with Client(code_repo, environ={**os.environ, "PATH": old_git(tmp_path / "old")}) as client:
        client.register_model("iris")
        editing.run(code_repo, "update-ref", TOPIC, BRANCH)
        client.register_model("rose")
        blob = editing.run(code_repo, "hash-object", "-w", "--stdin", input=b"/etc/passwd")
        with tempfile.TemporaryDirectory() as folder:
            index = f"{folder}/index"
            editing.run(code_repo, "read-tree", TOPIC, index=index)
            link = f"120000,{blob},models/iris/model.toml"
            editing.run(code_repo, "update-index", "--add", "--cacheinfo", link, index=index)
            tree = editing.run(code_repo, "write-tree", index=index)
        head = editing.run(code_repo, "commit-tree", "-p", TOPIC, "-m", "Link", tree)
        found = check_between(client.repository, editing.run(code_repo, "rev-parse", BRANCH), head)
    assert ("models/iris/model.toml", "tree.file") in {(one.path, one.rule) for one in found.problems}


def test_list_problems_finds_what_check_finds_and_does_not_read_unchanged_records_again(client, repo, monkeypatch):
    read_files = []
    monkeypatch.setattr(
        range_checks, "check_files", lambda files, wanted=None: read_files.append(wanted) or check_files(files, wanted)
    )
    assert client.list_problems() == []
    assert read_files == [None]
    assert client.list_problems() == []
    client.get_version("iris@2").set_stage("production")
    assert client.list_problems() == []
    assert None not in read_files[1:]
    edit(repo, {SECOND: "number = ["})
    assert client.list_problems() == client.check() != []
    # after this commit, the problem is no longer in the newest commit
    edit(repo, {VERSION: read(repo, VERSION) + "\n"})
    assert client.list_problems() == client.check() != []
    edit(repo, {SECOND: read(repo, SECOND, at=f"{BRANCH}~2")})
    assert client.list_problems() == client.check()
