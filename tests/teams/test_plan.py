"""`plan BASE..HEAD` as text, Markdown and JSON, which no record can falsify."""

import json
import re

import editing
import pytest
from editing import BRANCH, edit, read

from gitmodel import Client
from gitmodel.cli import run as run_program
from gitmodel.domain.schema import paths
from gitmodel.teams import plan_texts
from gitmodel.teams.planning import plan

STAGE = paths.stage_file("iris", "production")
TOPIC = "refs/heads/topic"
GATE = '\n[[stages.gates]]\nname = "good"\nexpression = "metadata.accuracy >= 0.9"\nmessage = "needs 0.9"\n'
HOSTILE = "<img src=x> @everyone #1 [x](https://evil.example) | `a` \n## Approved \u202e"


@pytest.fixture
def client(code_repo, git):
    with Client(code_repo) as client:
        iris = client.register_model("iris", owners=["ada", "grace"])
        git(code_repo, "remote", "add", "origin", "https://ada:pw@github.com/org/code.git")
        one, two = code_repo / "one.txt", code_repo / "two.txt"
        one.write_text("1", encoding="utf-8")
        two.write_text("2", encoding="utf-8")
        iris.create_version(metadata={"accuracy": 0.9, "loss": {"test": 2}}, data={"train": one, "same": one})
        git(code_repo, "commit", "-q", "--allow-empty", "-m", "Better")
        iris.create_version(metadata={"accuracy": 0.95, "note": HOSTILE}, data={"train": two, "same": one})
        iris.get_version(1).set_stage("production")
        edit(code_repo, {"gitmodel.toml": read(code_repo, "gitmodel.toml") + GATE})
        editing.run(code_repo, "update-ref", TOPIC, BRANCH)
        yield client


@pytest.fixture
def repo(client, code_repo):
    return code_repo


def planned(client):
    base, head = (client.repository.git.lines("rev-parse", ref)[0] for ref in (BRANCH, TOPIC))
    return plan(client.repository, base, head)


def propose(repo, number, client, extra=""):
    digest = client.get_version(f"iris@{number}").view.record
    from gitmodel.domain.schema.records import links_digest

    text = f'version = {number}\nartifacts = "{links_digest(digest.artifacts)}"\n{extra}'
    edit(repo, {STAGE: text}, onto=TOPIC)


def test_a_plan_shows_the_old_and_the_new_version_side_by_side(client, repo, git):
    propose(repo, 2, client, 'reason = "better"\n')
    (change,) = planned(client).changes
    assert (change.model, change.place, change.old, change.new) == ("iris", "production", 1, 2)
    assert (change.who, change.reason, change.owners) == ("Ada Example", "better", ("ada", "grace"))
    rows = {row.name: (row.old, row.new, row.change) for row in change.metadata}
    assert rows["accuracy"] == (0.9, 0.95, pytest.approx(0.05))
    assert rows["loss.test"] == (2, None, None)
    assert change.artifacts == ()
    assert [(row.name, row.kind) for row in change.datasets] == [("train", "data")]
    assert change.maker == "Ada Example"
    assert [(outcome.gate, outcome.passed) for outcome in change.outcomes] == [("good", True)]
    old, new = git(repo, "rev-parse", "HEAD~1"), git(repo, "rev-parse", "HEAD")
    assert (change.code.old, change.code.new, change.code.count) == (old, new, 1)
    assert change.code.commits == (f"{new[:10]} Better",)
    assert change.code.comparison == f"https://github.com/org/code/compare/{old}...{new}"


def test_a_gate_that_fails_is_shown_and_ends_with_6(client, repo, monkeypatch, capsys):
    monkeypatch.chdir(repo)
    edit(repo, {paths.version_file("iris", 2): read(repo, paths.version_file("iris", 2)).replace("0.95", "0.5")})
    editing.run(repo, "update-ref", TOPIC, BRANCH)
    propose(repo, 2, client)
    assert run_program(["plan", "gitmodel..topic"]) == 6
    said = capsys.readouterr().out
    assert "iris: production 1 -> 2" in said
    assert "FAILED good: needs 0.9 (metadata.accuracy >= 0.9; metadata.accuracy is 0.5)" in said


def test_the_plan_as_json_has_the_same_content_as_text(client, repo, monkeypatch, capsys):
    monkeypatch.chdir(repo)
    propose(repo, 2, client)
    assert run_program(["plan", "gitmodel..topic", "--format", "json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["changes"][0]["version"] == 2
    assert found["changes"][0]["gates"][0]["passed"] is True
    assert found["problems"] == []


def test_markdown_has_the_hidden_line_and_no_markup_of_records(client, repo):
    propose(repo, 2, client, f"reason = {json.dumps(HOSTILE)}\n")
    page = plan_texts.markdown(planned(client))
    assert page.startswith("<!-- gitmodel plan -->\n")
    assert page.count("<!-- gitmodel plan -->") == 1
    for live in (r"(?<!\\)<img", r"@everyone", r"(?<!\\)\[x\]", r"^## Approved", r"https://evil", "\u202e", r"#1"):
        assert not re.search(live, page, re.MULTILINE), live
    assert r"U\+202E" in page
    assert "](<https://github.com/org/code/compare/" in page
    assert all(row.count(" | ") == 3 for row in page.splitlines() if row.startswith("| note"))


def test_a_plan_without_changes_of_stages_says_so(client, repo):
    edit(repo, {"README.md": "x\n"}, onto=TOPIC)
    made = planned(client)
    assert made.changes == ()
    assert "No stage and no alias changes" in plan_texts.markdown(made)
    assert made.rules == ("README.md",)


def test_aliases_demotions_and_new_versions_are_reported(client, repo):
    client.get_version("iris@2").add_alias("champion")
    client.get_model("iris").create_version()
    client.get_model("iris").demote("production")
    now = editing.run(repo, "rev-parse", BRANCH)
    made = plan(client.repository, editing.run(repo, "rev-parse", TOPIC), now)
    told = plan_texts.text(made)
    assert "iris: alias champion (empty) -> 2" in told
    assert "iris: production 1 -> (empty)" in told
    assert "new versions: iris@3" in told
    (left,) = [change for change in made.changes if change.place == "production"]
    assert (left.metadata, left.artifacts, left.datasets, left.code.old) == ((), (), (), "")


def test_a_plan_shows_the_newest_code_commits_and_says_if_the_code_goes_back(client, repo, git):
    for number in range(14):
        git(repo, "commit", "-q", "--allow-empty", "-m", f"Change {number}")
    made = client.get_model("iris").create_version()
    editing.run(repo, "update-ref", TOPIC, BRANCH)
    propose(repo, made.number, client)
    (change,) = planned(client).changes
    assert (change.code.count, len(change.code.commits)) == (15, 10)
    assert change.code.commits[0].endswith(" Change 13")
    assert "    and 5 more" in plan_texts.text(planned(client))
    editing.run(repo, "update-ref", BRANCH, TOPIC)
    client.apply()
    propose(repo, 1, client)
    told = plan_texts.text(planned(client))
    assert "(back to an earlier commit)" in told
    assert ", back to an earlier commit" in plan_texts.markdown(planned(client))
    editing.run(repo, "update-ref", TOPIC, BRANCH)
    propose(repo, client.get_model("iris").create_version().number, client)
    assert ", as before" in plan_texts.text(planned(client))


def test_a_plan_of_a_conflict_shows_only_the_conflict(client, repo):
    propose(repo, 2, client)
    client.get_model("iris").create_version(metadata={"accuracy": 1.0}).set_stage("production")
    client.repository.reader.close()
    made = planned(client)
    assert [problem.rule for problem in made.problems] == ["change.conflict"]
    assert "was changed on both sides" in plan_texts.text(made)
