"""For each question about the past, a command of gitmodel gives the same answer as commands of plain git.

Among them are all questions of docs/explanation/lineage-with-plain-git.md.
"""

import json
import re
from pathlib import Path

from transcripts import ask

from gitmodel import Client

PAGE = Path(__file__).parents[2] / "docs/explanation/lineage-with-plain-git.md"
ANSWERED = set()


def answers(question):
    """Mark a test that compares the two answers to a question of the page."""
    ANSWERED.add(question)
    return lambda test: test


def asked(capsys, *arguments):
    code, out, err = ask(capsys, *arguments, "--format", "json")
    assert (code, err) == (0, "")
    return json.loads(out)


def test_the_repository_of_the_tests_has_the_expected_size(past):
    models = past.list_models()
    assert [model.name for model in models] == ["iris", "measurements", "petals"]
    assert sum(len(model.versions) for model in models) == 40
    assert len(past.list_runs(limit=None)) == 100


@answers("Who put what into production, when and why?")
def test_history_and_git_log_agree_on_the_versions_of_a_stage_and_their_times(story, git, capsys):
    path = "models/iris/stages/production.toml"
    said = git(story, "log", "--first-parent", "-m", "--format=%H %aI %an", "gitmodel", "--", path).splitlines()
    found = asked(capsys, "history", "iris", "production")
    assert [f"{e['commit']} {e['when'].replace('Z', '+00:00')} {e['author']}" for e in found] == said
    assert len(found) == 5
    for event, later in zip(found, [None, *found], strict=False):
        file = git(story, "show", f"{event['commit']}:{path}")
        assert f"version = {event['version']}\n" in file
        assert f'reason = "{event["reason"]}"' in f"{file}\n"
        assert (event["until"], event["ended_by"]) == ((later["when"], later["commit"]) if later else (None, ""))


@answers("What was in production at a commit, or on a day?")
def test_the_option_at_names_the_version_at_the_commit_that_git_log_finds_before_a_date(story, git, capsys):
    for day in range(2, 11):
        commit = git(
            story, "log", "-1", "--first-parent", f"--before=2026-10-{day}T23:59:59Z", "--format=%H", "gitmodel"
        )
        file = git(story, "show", f"{commit}:models/iris/stages/production.toml")
        found = asked(capsys, "resolve", "iris@production", "--at", f"2026-10-{day:02}")
        assert (found["at"], f"version = {found['number']}\n" in file) == (commit, True)
        assert asked(capsys, "show", "iris@production", "--at", commit)["number"] == found["number"]


@answers("What happened to a model?")
@answers("Did anybody change the artifacts of a version later?")
def test_log_and_git_log_list_the_same_commits_of_a_model_and_a_version(story, git, capsys):
    walk = ("log", "--first-parent", "-m", "--format=%H", "gitmodel", "--")
    ours = dict.fromkeys(event["commit"] for event in asked(capsys, "log", "iris"))
    assert list(ours) == git(story, *walk, "models/iris").splitlines()
    ours = [event["commit"] for event in asked(capsys, "log", "iris@7") if event["what"] in ("created", "changed")]
    assert ours == git(story, *walk, "models/iris/versions/7.toml").splitlines()


@answers("Which commit set each field of a version?")
def test_blame_and_git_blame_name_the_same_commits(story, past, git, capsys):
    past.get_version("iris@7").log_metadata(checked=True)
    said = git(story, "blame", "--first-parent", "-l", "-s", "gitmodel", "--", "models/iris/versions/7.toml")
    lines = {line.split(") ", 1)[1]: line.split()[0].lstrip("^") for line in said.splitlines() if ") " in line}
    ours = {row["field"]: row["commit"] for row in asked(capsys, "blame", "iris@7")}
    assert ours["metadata.checked"] == lines["checked = true"] != lines["number = 7"] == ours["number"]
    assert {commit for field, commit in ours.items() if field != "stage"} == set(lines.values())


@answers("Which code made the version?")
def test_version_contains_and_git_log_list_the_same_versions_created_from_or_after_a_commit(story, git, capsys):
    commits = git(story, "log", "--format=%H", "main").splitlines()
    made = {}
    for commit in commits:
        subjects = git(story, "log", "--format=%s", "gitmodel", "--grep", f"Code-Commit: {commit}").splitlines()
        made[commit] = {"@".join(found) for s in subjects for found in re.findall(r"add (\w+) (\d+)", s)}
        exact = asked(capsys, "version", "contains", commit, "--exact")
        assert {f"{found['model']}@{found['number']}" for found in exact} == made[commit]
    fix = commits[4]
    later = {commit for commit in commits if git(story, "merge-base", commit, fix) == fix}
    found = asked(capsys, "version", "contains", fix)
    assert {f"{one['model']}@{one['number']}" for one in found} == set().union(*(made[commit] for commit in later))
    assert {(one["number"], one["stage"]) for one in found if one["stage"] not in (None, "archived")} == {
        (19, "production"), (20, "staging"), (9, "production"),
    }  # fmt: skip
    asked(capsys, "version", "notes")
    for commit in commits:
        notes = git(story, "log", "-1", "--notes=gitmodel", "--format=%N", commit).split("\n")
        assert {"@".join(re.split("[ ,]", line)[:2]) for line in notes if line} == made[commit]


@answers("Which versions use this file?")
def test_lineage_and_git_grep_find_the_same_uses_of_a_digest(story, git, capsys):
    with Client() as client:
        (data,) = client.get_version("measurements@3").artifacts
        digest = data.digest
    said = git(story, "grep", "-l", digest, "gitmodel", "--", "models", "runs").splitlines()
    found = asked(capsys, "lineage", digest, "--depth", "1")
    met = {edge[end] for edge in found["edges"] if digest in edge.values() for end in ("source", "target")} - {digest}
    assert met == {name_of(line.partition(":")[2]) for line in said}


def name_of(path):
    """Return the name of the version or run whose record has the path *path*."""
    parts = path.removesuffix(".toml").split("/")
    return f"{parts[1]}@{parts[-1]}" if parts[0] == "models" else parts[-1]


def test_lineage_and_git_give_the_same_inputs_of_a_run(story, git, capsys):
    found = asked(capsys, "lineage", "iris@production", "--up", "--depth", "1")
    (run,) = [node for node in found["nodes"] if node["kind"] == "run"]
    day = run["id"][:8]
    record = git(story, "show", f"gitmodel:runs/{day[:4]}/{day[4:6]}/{day[6:]}/{run['id']}.toml")
    made = set(re.findall(r"sha256:[0-9a-f]{64}", "".join(re.findall(r"\[steps\.outputs\]\n([^\[]*)", record))))
    took = set(re.findall(r"sha256:[0-9a-f]{64}", "".join(re.findall(r"\[steps\.inputs\]\n([^\[]*)", record)))) - made
    into_run = {edge["source"] for edge in found["edges"] if edge["target"] == run["id"]}
    assert into_run == took
    assert {edge["target"] for edge in found["edges"] if edge["source"] == run["id"]} <= made
    assert f'commit = "{run["code"]["commit"]}"' in record


def test_lineage_and_stage_tags_give_the_same_versions_in_stages(story, git, capsys):
    with Client() as client:
        digest = client.get_version("measurements@10").artifacts[0].digest
    found = asked(capsys, "lineage", digest, "--down")
    assert found["in_stages"] == ["iris@19 production", "iris@20 staging"]
    stages = {}
    for held in found["in_stages"]:
        reference, stage = held.split()
        file = git(story, "show", f"model/{reference.partition('@')[0]}/{stage}:models/iris/stages/{stage}.toml")
        stages[reference] = int(re.search(r"^version = (\d+)$", file, re.MULTILINE)[1])
    assert stages == {"iris@19": 19, "iris@20": 20}


@answers("What differs between two versions?")
def test_diff_and_git_diff_show_the_same_changed_fields(story, git, capsys):
    paths = [f"gitmodel:models/iris/versions/{number}.toml" for number in (18, 20)]
    said = git(story, "diff", "--unified=0", *paths)
    fields = asked(capsys, "diff", "iris@18", "iris@20")["fields"]
    for row in fields:
        old, new = row["values"]
        if row["key"].startswith("metadata."):
            key = row["key"].removeprefix("metadata.")
            assert f"-{key} = {old}\n+{key} = {new}" in said
        elif row["key"].startswith("artifacts."):
            assert [line in said for line in (f'-digest = "{old}"', f'+digest = "{new}"')] == [not row["same"]] * 2
    (commits,) = [row["values"] for row in fields if row["key"] == "code.commit"]
    assert f'-commit = "{commits[0]}"\n+commit = "{commits[1]}"' in said


def test_diff_and_git_log_list_the_same_commits_between_two_versions(story, git, capsys):
    (found,) = asked(capsys, "diff", "iris@production", "iris@1")["code"]
    assert found["commits"] == []
    (back,) = asked(capsys, "diff", "iris@1", "iris@production")["code"]
    listed = git(story, "log", "--format=%H %an %s", f"{back['old']}..{back['new']}").splitlines()
    assert [f"{c['commit']} {c['author']} {c['subject']}" for c in back["commits"]] == listed
    assert found["left"] == back["commits"]


@answers("How can I check out its code?")
def test_checkout_and_git_worktree_give_the_same_code(story, git, capsys, tmp_path):
    ours, gits = tmp_path / "ours", tmp_path / "gits"
    record = git(story, "show", "gitmodel:models/iris/versions/7.toml")
    commit = re.search(r'^commit = "(\w+)"$', record, re.MULTILINE)[1]
    asked(capsys, "checkout", "iris@7", ours)
    git(story, "worktree", "add", "-q", "--detach", str(gits), commit)
    assert git(ours, "rev-parse", "HEAD") == git(gits, "rev-parse", "HEAD") == commit
    assert git(ours, "status", "--porcelain") == git(gits, "status", "--porcelain") == ""


def test_the_version_in_production_can_be_reproduced(story, capsys):
    assert asked(capsys, "reproduce", "iris@production")["identical"]


@answers("Which promotions were there?")
def test_history_and_the_trailers_in_git_log_list_the_same_promotions(story, git, capsys):
    form = "--format=%H %(trailers:key=Model,valueonly,separator=)@%(trailers:key=Version,valueonly,separator=)"
    said = git(story, "log", "--first-parent", "--grep", "^Stage: production", form, "gitmodel").splitlines()
    found = [event for event in asked(capsys, "history") if event["stage"] == "production"]
    assert [f"{event['commit']} {event['model']}@{event['version']}" for event in found] == said


@answers("What does a consumer need?")
def test_a_consumer_gets_the_version_in_production_by_fetching_one_tag(story, git, tmp_path):
    git(tmp_path, "init", "-q", "consumer")
    git(tmp_path / "consumer", "fetch", "-q", "--depth", "1", str(story), "tag", "model/iris/production")
    found = git(tmp_path / "consumer", "show", "model/iris/production:models/iris/stages/production.toml")
    assert found.startswith("version = 19\n")


def test_every_question_of_the_page_has_a_test():
    assert set(re.findall(r"^## (.*)$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)) == ANSWERED
