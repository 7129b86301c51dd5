"""Each question of docs/explanation/lineage-with-plain-git.md has the same answer from git and from gitmodel."""

import hashlib
import os
import re
from pathlib import Path

import pytest
from editing import BRANCH, edit, read, run

from gitmodel import Client

PAGE = Path(__file__).parents[1] / "docs/explanation/lineage-with-plain-git.md"
PRODUCTION = "models/iris/stages/production.toml"
ASKED = {
    "What differs between two versions?": "tests/lineage/test_questions.py",
    "How can I check out its code?": "tests/lineage/test_questions.py",
    "Which commit set each field of a version?": "tests/lineage/test_questions.py",
}


def answers(question):
    def mark(test):
        ASKED[question] = test.__name__
        return test

    return mark


@pytest.fixture
def repo(code_repo, monkeypatch):
    """A registry with four versions of two models. A merged pull request promoted one of them."""
    monkeypatch.chdir(code_repo)
    (code_repo / "train.csv").write_text("a\n", encoding="utf-8")
    (code_repo / "test.csv").write_text("b\n", encoding="utf-8")
    for day in (1, 2, 3):
        dates = {f"GIT_{role}_DATE": f"2026-10-0{day}T12:00:00Z" for role in ("AUTHOR", "COMMITTER")}
        with Client(environ={**os.environ, **dates, "GIT_AUTHOR_NAME": f"Person {day}"}) as client:
            if day == 1:
                client.register_model("iris")
                client.register_model("other").create_version(data={"train": "train.csv"})
            version = client.get_model("iris").create_version(data={"train": "train.csv" if day < 3 else "test.csv"})
            if day < 3:
                version.set_stage("production", reason=f"day {day}")
            else:
                client.get_version("iris@1").log_metadata(late=True)
                client.get_version("other@1").set_stage("production")
    text = read(code_repo, PRODUCTION)
    tip = run(code_repo, "rev-parse", BRANCH)
    run(code_repo, "update-ref", "refs/heads/side", tip)
    edit(code_repo, {PRODUCTION: text.replace("version = 2", "version = 1")}, "Think", onto="refs/heads/side")
    changed = text.replace("version = 2", "version = 3").replace("day 2", "merged")
    links = read(code_repo, "models/iris/versions/3.toml")
    assert links
    side = edit(code_repo, {PRODUCTION: changed}, "Promote iris 3", onto="refs/heads/side")
    edit(code_repo, {PRODUCTION: changed}, "Merge pull request #4", parents=[tip, side])
    return code_repo


@pytest.fixture
def client(repo):
    with Client() as opened:
        yield opened


@answers("Who put what into production, when and why?")
def test_history_and_git_show_the_same_promotions_and_reasons(client, git):
    asked = ("log", "--first-parent", "-m", "--format=%H %cI", "gitmodel", "--", PRODUCTION)
    theirs = [tuple(line.split()) for line in git(".", *asked).splitlines()]
    ours = list(client.history("iris", "production"))
    assert [(event.commit, event.when.isoformat()) for event in ours] == theirs
    for event in ours:
        assert f"version = {event.version}\n" in read(".", PRODUCTION, event.commit)
        assert f'reason = "{event.reason}"' in read(".", PRODUCTION, event.commit)


@answers("What was in production at a commit, or on a day?")
def test_at_and_git_show_the_same_version_in_production_at_a_time(client, git):
    for name in ("gitmodel", "gitmodel~1", "gitmodel~3", "gitmodel~5"):
        found = git(".", "show", f"{name}:{PRODUCTION}")
        number = int(re.search(r"version = (\d+)", found)[1])
        if number < 3:
            assert client.at(name).get_version("iris@production").number == number
    for day in ("2026-10-01", "2026-10-02", "2026-10-03"):
        commit = git(".", "log", "-1", "--first-parent", f"--before={day}T23:59:59Z", "--format=%H", "gitmodel")
        assert client.at(day).writer.state.commit == commit


@answers("What happened to a model?")
def test_log_and_git_show_the_same_history_of_a_model(client, git):
    theirs = git(".", "log", "--first-parent", "-m", "--format=%H", "gitmodel", "--", "models/iris").splitlines()
    assert list(dict.fromkeys(event.commit for event in client.log("iris"))) == theirs


@answers("Which promotions were there?")
def test_history_and_git_log_list_the_same_promotions(client, git):
    form = "--format=%H %(trailers:key=Model,valueonly,separator=)@%(trailers:key=Version,valueonly,separator=)"
    theirs = git(".", "log", "--first-parent", "--grep", "^Stage: production", form, "gitmodel").splitlines()
    ours = [event for event in client.history() if event.stage == "production"]
    # `git log` cannot find the merge that was made by hand, which has no trailers. gitmodel reads the changed files.
    assert [f"{event.commit} {event.model}@{event.version}" for event in ours if not event.pull_request] == theirs
    assert [event.version for event in ours if event.pull_request] == [3]


@answers("Which code made the version?")
def test_version_contains_and_git_log_find_the_same_versions_of_a_code_commit(client, git):
    commit = re.search(r'commit = "(\w+)"', git(".", "show", "gitmodel:models/iris/versions/1.toml"))[1]
    assert client.get_version("iris@1").code.commit == commit
    log = git(".", "log", "gitmodel", "--grep", f"Code-Commit: {commit}", "--format=%s").splitlines()
    made = {tuple(line.split()[1:3]) for line in log if line.startswith("Add ")}
    exact = [found.view for found in client.containing(commit) if found.exact]
    assert {(view.model, str(view.record.number)) for view in exact} == made


@answers("Which versions use this file?")
def test_lineage_and_git_log_find_the_same_versions_of_a_file(client, git, repo):
    digest = "sha256:" + hashlib.sha256((repo / "train.csv").read_bytes()).hexdigest()
    log = git(".", "log", "--format=%s", "-S", digest, "gitmodel", "--", "models").splitlines()
    theirs = {"@".join(line.split()[1:3]) for line in log if line.startswith("Add ")}
    ours = {node.id for node in client.lineage(digest, depth=1).nodes if node.kind == "version"}
    assert ours == theirs == {"iris@1", "iris@2", "other@1"}


@answers("Did anybody change the artifacts of a version later?")
def test_log_and_git_show_the_same_later_changes_of_a_version(client, git):
    path = "models/iris/versions/1.toml"
    theirs = git(".", "log", "--first-parent", "--format=%H", "gitmodel", "--", path).splitlines()
    assert len(theirs) == 2
    ours = [event.commit for event in client.log("iris@1") if event.what in ("created", "changed")]
    assert ours == theirs
    late = {origin.field: origin.commit for origin in client.blame("iris@1")}
    assert (late["metadata.late"], late["number"]) == tuple(theirs)


@answers("What does a consumer need?")
def test_a_consumer_gets_the_version_in_production_by_fetching_one_tag(client, git, repo, tmp_path):
    git(tmp_path, "init", "-q", "consumer")
    there = tmp_path / "consumer"
    git(there, "fetch", "-q", "--depth", "1", str(repo), "tag", "model/other/production")
    found = git(there, "show", "model/other/production:models/other/stages/production.toml")
    assert f"version = {client.get_version('other@production').number}\n" in f"{found}\n"


def test_every_question_of_the_page_has_a_test():
    assert set(ASKED) == set(re.findall(r"^## (.*)$", PAGE.read_text(encoding="utf-8"), re.MULTILINE))
