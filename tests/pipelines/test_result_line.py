"""At the end of a run, its script prints the result line on stderr: the version, the registry and the code commit."""

import os
import subprocess
import sys

import pytest

from gitmodel import Client, ModelConfig, RunFailed, pipeline, step
from gitmodel.client.script_runs.result_line import result_line
from gitmodel.domain.schema.records import Code

SCRIPT = """
from gitmodel import ModelConfig, pipeline, step

@step
def fit() -> int:
    return 1

@pipeline(model_config=ModelConfig(name="demo", create_new_model_version=True), executor="processes:1")
def train():
    fit()

train()
"""
CODE = Code(commit="1a2b3c4d" * 5, dirty=False)


@step
def fit() -> int:
    return 1


@step
def fail() -> None:
    raise RuntimeError("no")


@pipeline(model_config=ModelConfig(name="demo", create_new_model_version=True))
def train():
    fit()


@pipeline(model_config=ModelConfig(name="demo"))
def again():
    fit()


@pipeline
def plain():
    fit()


@pipeline
def failing():
    fail()


@pytest.mark.parametrize(
    ("code", "told"),
    [
        (CODE, "from commit 1a2b3c4"),
        (
            Code(commit=CODE.commit, dirty=True, changed=2),
            "from commit 1a2b3c4, with 2 uncommitted changes (not stored)",
        ),
        (
            Code(commit=CODE.commit, dirty=True, changed=1, snapshot="b" * 40),
            "from commit 1a2b3c4, with 1 uncommitted change (stored as bbbbbbb)",
        ),
        (Code(dirty=True), "from code without a commit, with uncommitted changes (not stored)"),
        (Code(outside=True), "from code outside of a git repository"),
    ],
)
def test_the_result_line_reports_commit_and_uncommitted_changes(code, told):
    line = result_line("r", ["demo@1"], [], place="/home/ada", branch="gitmodel", code=code)
    assert line == f"gitmodel: created demo@1 in /home/ada (branch gitmodel), {told}"


def test_control_characters_in_a_path_do_not_reach_the_terminal():
    assert "\x1b" not in result_line("r", ["demo@1"], [], place="/a\x1b[2J", branch="gitmodel", code=CODE)


def test_a_script_prints_one_result_line(code_repo, git):
    (code_repo / "train.py").write_text(SCRIPT)
    git(code_repo, "add", ".")
    git(code_repo, "commit", "-qm", "train")
    commit = git(code_repo, "rev-parse", "HEAD").strip()

    def run(**variables):
        done = subprocess.run(
            [sys.executable, "train.py"], cwd=code_repo, env={**os.environ, **variables}, capture_output=True, text=True
        )
        assert (done.returncode, done.stdout) == (0, "")
        return done.stderr

    place = f"in {code_repo} (branch gitmodel), from commit {commit[:7]}"
    assert run() == f"gitmodel: created demo@1 {place}\n"
    (code_repo / "notes.txt").write_text("new")
    (code_repo / "train.py").write_text(SCRIPT + "\n")
    assert run() == f"gitmodel: created demo@2 {place}, with 2 uncommitted changes (not stored)\n"
    assert run(GITMODEL_QUIET="1") == ""
    told = run(GITMODEL_DIRTY="snapshot")
    with Client(code_repo) as client:
        snapshot = client.get_version("demo@4").code.snapshot
    assert told == f"gitmodel: created demo@4 {place}, with 2 uncommitted changes (stored as {snapshot[:7]})\n"


def test_the_result_line_of_a_run_without_a_new_version_names_the_used_version(client, capsys):
    train()
    assert capsys.readouterr().err.startswith("gitmodel: created demo@1 in ")
    done = again()
    assert capsys.readouterr().err.startswith(f"gitmodel: run {done.id} used demo@1 in ")
    done = plain()
    assert capsys.readouterr().err.startswith(f"gitmodel: recorded run {done.id} in ")


def test_a_run_with_a_listener_and_a_failed_run_print_no_result_line(client, capsys):
    train.run(client=client, listener=lambda event, name, seconds: None)
    with pytest.raises(RunFailed):
        failing()
    assert "gitmodel: " not in capsys.readouterr().err


def test_the_result_line_names_a_registry_by_url_by_its_url(client, code_repo, capsys):
    client.register_model("demo")
    with Client(repo=code_repo.as_uri(), store=client.store.url) as by_url:
        train.run(client=by_url)
    assert f"created demo@1 in {code_repo.as_uri()} (branch gitmodel), from " in capsys.readouterr().err


def test_a_script_without_steps_also_prints_the_result_line(client, code_repo, capsys):
    with client.start_run("train") as run:
        run.create_version("demo", model_objects={"weights": {"a": 1}})
    assert capsys.readouterr().err.startswith(
        f"gitmodel: created demo@1 in {code_repo} (branch gitmodel), from commit "
    )


def test_a_closed_stderr_does_not_fail_the_run(client, monkeypatch):
    monkeypatch.setattr(sys, "stderr", None)
    assert train().status == "succeeded"
