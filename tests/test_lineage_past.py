"""The option `--at`, in Python `client.at`: reading the registry as it was on a day, at a time or at a commit."""

import json
import os
import subprocess

import pytest
from editing import BRANCH, edit, read, refs_unchanged, run
from transcripts import ask, end_with, fail, succeed

from gitmodel import Client, NotFound, UsageError
from gitmodel.lineage.history.past_states import read_moment

PRODUCTION = "models/iris/stages/production.toml"


def open_at(repo, when):
    dates = {f"GIT_{role}_DATE": f"{when}+00:00" for role in ("AUTHOR", "COMMITTER")}
    return Client(repo, environ={**os.environ, **dates})


@pytest.fixture
def repo(code_repo, monkeypatch):
    """Version 1 entered production on 1 October and version 2 on 1 November. Later, 1 was deleted and 2 got a tag."""
    monkeypatch.chdir(code_repo)
    with open_at(code_repo, "2026-09-01T08:00:00") as client:
        iris = client.register_model("iris", title="Iris")
        iris.create_version(metadata={"accuracy": 0.91})
        iris.create_version()
    with open_at(code_repo, "2026-10-01T12:00:00") as client:
        client.get_version("iris@1").set_stage("production", reason="the first")
        client.get_version("iris@1").add_alias("champion")
    with open_at(code_repo, "2026-11-01T12:00:00") as client:
        client.get_version("iris@2").set_stage("production", reason="better")
    with open_at(code_repo, "2026-11-02T12:00:00") as client:
        client.get_version("iris@2").add_alias("champion")
        client.get_version("iris@1").delete(reason="wrong data")
        client.get_version("iris@2").update(add_tags=["later"])
    return code_repo


def test_show_list_and_resolve_with_the_option_at_read_a_past_state_of_the_branch(repo, transcript):
    transcript(
        """
        $ git model resolve iris@production --at 2026-10-01
        iris@1
        ! this is what the branch recorded at <commit> (2026-10-01 12:00 UTC); it may not have been in force
        $ git model resolve iris@champion --at "2026-11-01T11:59:59"
        iris@1
        ! this is what the branch recorded at <commit> (2026-10-01 12:00 UTC)...
        $ git model resolve iris@production --at "2026-11-01 14:00+02:00"
        iris@2
        ! this is what the branch recorded at <commit> (2026-11-01 12:00 UTC)...
        $ git model show iris@1 --at 2026-10-31
        version   iris@1
        stage     production
        aliases   champion
        created   2026-09-01 08:00 UTC
        code      96e9ca98d42e2d2a0d9a52cdaeb1dd4ec2fdeb44
        metadata  accuracy = 0.91
        ! this is what the branch recorded at <commit> (2026-10-01 12:00 UTC)...
        $ git model list --at 2026-11-01
        MODEL  LATEST  VERSIONS  STAGES        ALIASES     TITLE
        iris   2       2         production 2  champion 1  Iris
        ! this is what the branch recorded at <commit> (2026-11-01 12:00 UTC)...
        $ git model version list iris --at gitmodel~7
        VERSION  accuracy  CREATED (UTC)
        1        0.91      2026-09-01 08:00
        ! this is what the branch recorded at <commit> (2026-09-01 08:00 UTC)...
        """.replace("96e9ca98d42e2d2a0d9a52cdaeb1dd4ec2fdeb44", run(repo, "rev-parse", "main")),
    )


def test_json_with_the_option_at_has_the_fields_of_the_past_state(repo, capsys):
    code, out, err = ask(capsys, "--format", "json", "version", "show", "iris@production", "--at", "2026-10-02")
    found = json.loads(out)
    assert (code, err) == (0, "")
    assert (found["number"], found["stage"], found["aliases"], found["pending"]) == (1, "production", ["champion"], [])


def test_json_and_tsv_with_the_option_at_contain_the_commit(repo, capsys, tmp_path):
    (repo / "train.csv").write_text("a\n", encoding="utf-8")
    with open_at(repo, "2026-12-01T00:00:00") as client:
        client.get_model("iris").create_version(data={"train": "train.csv"})
    commit = run(repo, "rev-parse", BRANCH)
    with open_at(repo, "2026-12-02T00:00:00") as client:
        client.get_version("iris@latest").log_metadata(later=True)
    reading = ("list", "show iris", "show iris@latest", "version list iris", "version show iris@latest")
    for words in (*reading, "resolve iris@latest", f"get iris@latest train -o {tmp_path / 'then'}"):
        for moment, at in ((["--at", "2026-12-01"], commit), ([], None)):
            found = json.loads(ask(capsys, *words.split(), *moment, "--format", "json")[1])
            assert {one["at"] for one in (found if isinstance(found, list) else [found])} == {at}
    table = ask(capsys, "version", "list", "iris", "--at", "2026-12-01", "--format", "tsv")[1].splitlines()
    assert {line.split("\t")[-1] for line in table} == {"at", commit}


def test_with_the_option_at_a_version_that_was_deleted_later_can_be_read_with_its_files(repo, capsys, tmp_path):
    (repo / "train.csv").write_text("a\n", encoding="utf-8")
    with open_at(repo, "2026-12-01T00:00:00") as client:
        version = client.get_model("iris").create_version(data={"train": "train.csv"})
    with open_at(repo, "2026-12-02T00:00:00") as client:
        client.get_version(version.reference).delete()
    with Client(repo) as client:
        before = client.at("2026-12-01").get_version(version.reference)
        assert before.get_artifact("train").download(tmp_path / "then").read_text(encoding="utf-8") == "a\n"
        with pytest.raises(NotFound):
            client.get_version(version.reference)
    assert "verified" in succeed(capsys, "get", version.reference, "--at", "2026-12-01", "-o", tmp_path / "again")


def test_changing_a_registry_of_the_past_is_refused(repo):
    with refs_unchanged(repo), Client(repo) as client:
        past = client.at("2026-10-01")
        version = past.get_version("iris@1")
        for change in (
            lambda: version.set_stage("staging"),
            lambda: version.log_metadata(a=1),
            lambda: past.register_model("other"),
            lambda: past.apply(),
            lambda: past.push(),
            lambda: past.pull(),
            lambda: past.transaction("x").__enter__(),
            lambda: past.get_model("iris").create_version(),
        ):
            with pytest.raises(UsageError, match="cannot be changed"):
                change()
        assert client.get_version("iris@2").stage == "production"


def test_the_option_at_refuses_a_date_or_commit_before_the_registry_existed(repo, transcript):
    first = run(repo, "rev-list", "--max-parents=0", BRANCH)[:10]
    code_commit = run(repo, "rev-parse", "main")[:10]
    transcript(
        f"""
        $ git model show iris --at 2025-01-01
        ! error: there was no registry on 2025-01-01 23:59 UTC: it began with {first} (2026-09-01 08:00 UTC)
        ! hint: name a later date, or a commit
        [3]
        $ git model show iris --at 2026-13-01
        ! error: '2026-13-01' is not a date or time
        ! hint: write 2026-10-01, 2026-10-01T12:30 (UTC) or 2026-10-01T12:30+02:00
        [2]
        $ git model show iris --at yesterday
        ! error: there is no commit 'yesterday' here
        ! hint: name one as `git log --first-parent gitmodel` shows it, or a date such as 2026-10-01
        [3]
        $ git model show iris --at main
        ! error: {code_commit} is not a commit of gitmodel: it never was, or the branch was rewritten later
        ! hint: name one as `git log --first-parent gitmodel` shows it, or a date such as 2026-10-01
        [3]
        $ git model resolve iris@champion --at 2026-09-15
        ! this is what the branch recorded at <commit> (2026-09-01 08:00 UTC)...
        ! error: there is no iris@champion
        ! hint: there is iris@latest (2); see `git model show iris`
        [3]
        """.replace("<commit> (2026-09-01", run(repo, "rev-parse", BRANCH + "~6")[:10] + " (2026-09-01"),
    )


def test_the_option_at_refuses_a_commit_that_existed_only_inside_a_pull_request(repo, capsys):
    tip = run(repo, "rev-parse", BRANCH)
    run(repo, "update-ref", "refs/heads/side", tip)
    text = read(repo, PRODUCTION)
    inside = edit(repo, {PRODUCTION: text.replace("better", "thought")}, "Think", onto="refs/heads/side")
    inner = edit(repo, {PRODUCTION: text.replace("better", "best")}, "Say why", onto="refs/heads/side")
    changed = text.replace("better", "best")
    merge = edit(repo, {PRODUCTION: changed}, "Merge pull request #2", parents=[tip, inner])
    err = fail(capsys, 3, "show", "iris", "--at", inside)
    assert f"{inside[:10]} was never the state of gitmodel: it is part of the merge {merge[:10]}" in err
    assert f"name the merge: --at {merge[:10]}" in err
    succeed(capsys, "show", "iris", "--at", merge[:10])


def test_the_option_at_warns_of_a_commit_whose_date_is_later_than_that_of_the_next_commit(repo, capsys):
    with open_at(repo, "2030-01-01T00:00:00") as client:
        client.get_version("iris@2").log_metadata(late=True)
    ahead = run(repo, "rev-parse", BRANCH)
    with open_at(repo, "2026-12-24T00:00:00") as client:
        client.get_version("iris@2").log_metadata(later=True)
    _, err = end_with(capsys, 0, "resolve", "iris@2", "--at", "2026-12-25")
    assert f"clocks disagree: commit {ahead[:10]} is earlier on the branch" in err
    with Client(repo) as client:
        assert client.at("2026-12-25").get_version("iris@2").metadata["later"] is True
        # On the branch, the commit `late` with a wrong date in 2030 comes before the commit `later`.
        assert "late" not in client.at("2026-12-23").get_version("iris@2").metadata


def test_a_version_with_files_of_staging_and_production_at_a_commit_is_only_in_production(repo):
    stage = read(repo, PRODUCTION)
    commit = edit(repo, {"models/iris/stages/staging.toml": stage})
    with Client(repo) as client:
        past = client.at(commit)
        assert past.get_version("iris@production").number == 2
        with pytest.raises(NotFound):
            past.get_version("iris@staging")


def test_the_option_at_in_a_shallow_clone_reports_missing_commits(repo, tmp_path, capsys, monkeypatch):
    shallow = tmp_path / "shallow"
    subprocess.run(["git", "clone", "-q", "--depth=2", "--no-single-branch", repo.as_uri(), str(shallow)], check=True)
    old = run(repo, "rev-parse", f"{BRANCH}~6")
    monkeypatch.chdir(shallow)
    succeed(capsys, "show", "iris", "--at", "2026-11-02")
    for named in ("2026-09-15", old):
        err = fail(capsys, 5, "show", "iris", "--at", named)
        assert "this clone is shallow" in err
        assert "git fetch --unshallow origin" in err


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-10-01", "2026-10-01T23:59:59+00:00"),
        ("2026-10-01T12:00", "2026-10-01T12:00:00+00:00"),
        ("2026-10-01 12:00:30Z", "2026-10-01T12:00:30+00:00"),
        ("2026-10-01T00:30-0200", "2026-10-01T02:30:00+00:00"),
    ],
)
def test_the_option_at_accepts_dates_and_times_in_several_forms(text, moment):
    assert read_moment(text).isoformat() == moment


@pytest.mark.parametrize("text", ["2026-02-30", "2026-10", "2026-10-01T", "2026-10-01T25:00", "2026-10-01 noon"])
def test_the_option_at_refuses_text_that_starts_like_a_date_but_is_none(text):
    with pytest.raises(UsageError):
        read_moment(text)


@pytest.mark.parametrize("text", ["HEAD", "20261001", "gitmodel~3", "2026abc"])
def test_the_option_at_reads_text_that_does_not_start_like_a_date_as_the_name_of_a_commit(text):
    assert read_moment(text) is None
