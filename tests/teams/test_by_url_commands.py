"""The output of commands for a registry by URL, and the errors of commands that are refused."""

import json

import pytest
from transcripts import ask

from gitmodel import Client
from gitmodel.registry import setup


@pytest.fixture
def url(team, ada, bare, tmp_path, monkeypatch):
    """The URL of the team's registry, which names the shared store. Commands run in a folder without a repository."""
    setup.begin(ada.repository, store=team.store)
    ada.push()
    (tmp_path / "nowhere").mkdir()
    monkeypatch.chdir(tmp_path / "nowhere")
    return bare.as_uri()


def test_reading_a_stage_by_url_reports_the_tag_that_was_read(url, capsys, monkeypatch):
    note = "this is the record at the time of the tag model/iris/production; the branch was not read\n"
    assert ask(capsys, "--repo", url, "resolve", "iris@production") == (0, "iris@2\n", note)
    assert ask(capsys, "--repo", url, "resolve", "iris@3") == (0, "iris@3\n", "")
    assert ask(capsys, "--repo", url, "-q", "resolve", "iris@production") == (0, "iris@2\n", "")
    code, out, err = ask(capsys, "--repo", url, "resolve", "iris@production", "--format", "json")
    assert (code, json.loads(out)["frozen"], err) == (0, "model/iris/production", "")
    code, out, err = ask(capsys, "--repo", url, "get", "iris@production", "-o", "train.txt")
    assert (code, out, err) == (0, "wrote train of iris@2 to train.txt (6 B, verified)\n", note)
    monkeypatch.setenv("GITMODEL_REPO", url)
    assert ask(capsys, "list", "-q") == (0, "iris\n", "")
    code, out, err = ask(capsys, "config", "repo", "--format", "json")
    assert (code, json.loads(out)[0]["value"], json.loads(out)[0]["source"]) == (0, url, "GITMODEL_REPO")


def test_commands_that_write_by_url_print_their_changes(url, capsys, monkeypatch):
    monkeypatch.setenv("GITMODEL_REPO", url)
    assert ask(capsys, "version", "create", "iris", "--metadata", "accuracy=0.9") == (0, "created iris@4\n", "")
    assert ask(capsys, "promote", "iris@4", "staging") == (0, "iris@4 is in staging now\n", "")
    made = ("version", "create", "iris", "--idempotency-key", "nightly")
    assert ask(capsys, *made) == (0, "created iris@5\n", "")
    assert ask(capsys, *made) == (0, "iris@5 already exists: it was created with the same idempotency key\n", "")
    assert ask(capsys, "init") == (
        0,
        "there is a registry on the branch gitmodel\nartifacts are kept in "
        f"{json.loads(ask(capsys, 'config', 'store', '--format', 'json')[1])[0]['value']}\nnext: git model list\n",
        "",
    )


def test_init_by_url_creates_the_registry_in_an_empty_repository(capsys, git, tmp_path):
    git(tmp_path, "init", "-q", "--bare", "empty.git")
    empty = (tmp_path / "empty.git").as_uri()
    store = (tmp_path / "held").as_uri()
    assert ask(capsys, "--repo", empty, "init", "--store", store)[:2] == (
        0,
        f"began a registry on the branch gitmodel\nartifacts are kept in {store}\nnext: git model register NAME\n",
    )
    assert git(tmp_path / "empty.git", "rev-list", "--count", "gitmodel") == "1"
    assert ask(capsys, "--repo", empty, "init")[0] == 0


def test_init_ci_by_url_pushes_the_host_files_immediately(url, capsys, git, bare):
    spec = f"git+https://git.example.org/tools/gitmodel@{'1a2b' * 10}"
    code, out, _ = ask(capsys, "--repo", url, "init", "--ci", "github", "--owner", "@ada", "--install", spec)
    lines = out.splitlines()
    assert (code, lines[-1], max(map(len, lines)) <= 80) == (0, "they are on the server already", True)
    assert "git show" not in out
    assert git(bare, "ls-tree", "--name-only", "gitmodel", "CODEOWNERS") == "CODEOWNERS"


def test_a_ci_job_that_runs_again_reports_the_version_that_it_created_before(url, capsys, monkeypatch):
    monkeypatch.setenv("GITMODEL_REPO", url)
    monkeypatch.setenv("CI_JOB_ID", "71")
    made = ("version", "create", "iris", "--metadata", "accuracy=0.9")
    assert ask(capsys, *made) == (0, "created iris@4\n", "")
    assert ask(capsys, *made) == (0, "iris@4 already exists: it was created with the same idempotency key\n", "")
    assert ask(capsys, *made, "--idempotency-key", "") == (0, "created iris@5\n", "")
    monkeypatch.setenv("CI_JOB_ID", "72")
    assert ask(capsys, *made) == (0, "created iris@6\n", "")


def test_each_command_that_is_refused_by_url_prints_a_hint(url, capsys, tmp_path, git):
    assert ask(capsys, "--repo", url, "--offline", "resolve", "iris@production") == (
        7,
        "",
        f"error: iris@production of {url} is not in the cache, and --offline does not contact the server\n"
        "hint: run it without --offline while the server can be reached\n",
    )
    assert ask(capsys, "--repo", url, "--offline", "register", "rose") == (
        7,
        "",
        f"error: nothing can be written to {url} offline\nhint: run it without --offline\n",
    )
    assert ask(capsys, "--repo", url, "push") == (
        2,
        "",
        f"error: the registry is {url} itself: there is nothing to pull from it or to push to it\n"
        "hint: every command reads and writes there; for a registry of your own: git model clone URL\n",
    )
    for verb in ("install", "uninstall"):
        assert ask(capsys, "--repo", url, "hook", verb, "--server") == (
            2,
            "",
            f"error: the registry is {url}, and hooks are files of a repository on its own machine\n"
            "hint: on the server: git -C REPOSITORY model hook install --server; in a clone: git model hook install\n",
        )
    assert ask(capsys, "--repo", url, "init", "--from", url) == (
        2,
        "",
        f"error: the registry is {url} itself\nhint: --from is for a repository of your own: leave --repo out\n",
    )
    assert ask(capsys, "--repo", url, "config", "branch", "other") == (
        2,
        "",
        f"error: {url} has no local settings\n"
        "hint: set it for yourself: git config --global gitmodel.branch VALUE; "
        "or for everyone: git model init --store\n",
    )
    git(tmp_path, "init", "-q", "--bare", "empty.git")
    empty = (tmp_path / "empty.git").as_uri()
    assert ask(capsys, "--repo", empty, "register", "rose")[0] == 0
    (tmp_path / "nowhere" / "train.csv").write_text("1\n")
    assert ask(capsys, "--repo", empty, "version", "create", "rose", "--data", "train=train.csv") == (
        7,
        "",
        f"error: {empty} has no artifact store that others can reach\n"
        f"hint: name one: `git model --repo {empty} init --store URL` for everyone, GITMODEL_STORE=URL for yourself\n",
    )
    assert ask(capsys, "--repo", empty, "init")[:2] == (
        0,
        "there is a registry on the branch gitmodel\nno artifact store is named yet: --store\nnext: git model list\n",
    )
    assert ask(capsys, "--repo", empty, "init", "--store", tmp_path / "held")[0] == 0
    assert ask(capsys, "--repo", empty, "version", "create", "rose", "--data", "train=train.csv")[:2] == (
        0,
        "created rose@1 with train\n",
    )
    code, out, err = ask(capsys, "--repo", "ftp://ada:s3cret@example.org/x", "list")
    assert (code, out) == (2, "")
    assert err == (
        "error: a registry cannot be reached by ftp:\n"
        "hint: write it as https://git.example.org/team/models.git; ssh: and file: work too\n"
    )
    code, _, err = ask(capsys, "--repo", url, "--max-age", "-1", "list")
    assert (code, "max-age" in err) == (2, True)


def test_config_refuses_to_store_a_url_with_credentials(url, code_repo, capsys, monkeypatch, git):
    monkeypatch.chdir(code_repo)
    assert ask(capsys, "config", "repo", "https://ada:s3cret@git.example.org/x") == (
        2,
        "",
        "error: the URL holds credentials, which must not be stored in a setting\n"
        "hint: write https://git.example.org/x, and use a credential helper of git: git help credentials\n",
    )
    assert ask(capsys, "config", "repo", url) == (0, f"repo is {url} now\n", "")
    assert git(code_repo, "config", "gitmodel.repo") == url
    assert ask(capsys, "list", "-q") == (0, "iris\n", "")


@pytest.fixture
def run_pipeline(url, code_repo, capsys, monkeypatch):
    """A function that runs a pipeline in the registry by URL. Its only step, `fit`, returns *output*.

    *config* are the arguments of its `ModelConfig`.
    """

    def run(output, config):
        monkeypatch.chdir(code_repo)
        monkeypatch.setenv("GITMODEL_REPO", url)
        (code_repo / "train.py").write_text(
            "from typing import Annotated\n"
            "from gitmodel import ModelConfig, pipeline, step\n"
            f"@step\ndef fit() -> Annotated[dict, 'scores']:\n    return {output}\n"
            f"@pipeline(model_config=ModelConfig(name='iris', {config}))\ndef train():\n    fit()\n"
        )
        code, _, err = ask(capsys, "run", "train.py")
        assert code == 0, err

    return run


def test_a_run_of_a_pipeline_is_recorded_by_url(run_pipeline, capsys):
    run_pipeline({"classes": ["setosa"]}, "create_new_model_version=True")
    assert ask(capsys, "resolve", "iris@4")[:2] == (0, "iris@4\n")
    assert ask(capsys, "runs", "list", "-q")[1].count("\n") == 1


def test_outputs_of_a_run_on_an_existing_version_are_fetched_by_url(run_pipeline, url, code_repo, capsys):
    run_pipeline({"score": 7}, "version='production'")
    run = ask(capsys, "runs", "list", "-q")[1].strip()
    for more in ((), ("--run", run)):
        assert ask(capsys, "get", "iris@production", "scores", "-o", "scores.json", *more)[0] == 0
        assert json.loads((code_repo / "scores.json").read_text()) == {"score": 7}
    rows = json.loads(ask(capsys, "version", "artifacts", "iris@production", "--format", "json")[1])
    assert [row["run"] for row in rows if row["name"] == "scores"] == [run]
    with Client(url) as client:
        assert client.get_version("iris@production").get_artifact("scores").load() == {"score": 7}
