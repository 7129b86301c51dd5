"""`git model checkout` restores the code and files of a version, and `reproduce` repeats its run.

Both change nothing else.
"""

import json
import os
import subprocess
import sys

import pytest
from editing import edit
from transcripts import ask, end_with, fail, said, succeed

from gitmodel import Client, NotFound, UsageError, reproduce
from gitmodel.domain.schema import paths

SCRIPT = """\
import os
from typing import Annotated

from gitmodel import ModelConfig, log_artifact_metadata, log_model_metadata, pipeline, step


@step
def fit(seed: int, token: str = "") -> tuple[Annotated[dict, "classifier"], Annotated[str, "salt"]]:
    log_model_metadata(accuracy=0.9 if "BETTER" not in os.environ else 0.95)
    log_artifact_metadata(artifact="salt", letters=len(token))
    return {"seed": seed}, os.environ.get("SALT", "none")


@step
def fail() -> None:
    if "FAIL" in os.environ:
        raise ValueError("no such luck")


@pipeline(model_config=ModelConfig(name="demo", create_new_model_version=True), enable_cache=False)
def train(seed: int = 1, note: str = None, token: str = ""):
    if note is not None:
        raise RuntimeError("a parameter that was None is None again")
    fit(seed, token)
    fail()
"""


@pytest.fixture
def project(code_repo, monkeypatch, git):
    """A repository with a committed script that creates a version."""
    monkeypatch.chdir(code_repo)
    (code_repo / "flows").mkdir()
    (code_repo / "flows" / "train.py").write_text(SCRIPT, encoding="utf-8")
    (code_repo / ".gitignore").write_text("__pycache__/\n")
    git(code_repo, "add", ".")
    git(code_repo, "commit", "-q", "-m", "Train")
    return code_repo


def state_of(git, folder):
    """Return the refs, index, work trees and store of the user, which `checkout` and `reproduce` must not change."""
    store = folder / ".git" / "gitmodel" / "store"
    return (
        git(folder, "for-each-ref"),
        git(folder, "status", "--porcelain", "--branch"),
        git(folder, "ls-files", "--stage"),
        git(folder, "worktree", "list"),
        sorted(str(path) for path in store.rglob("*") if path.is_file()),
    )


def test_reproducing_a_run_gives_identical_bytes_and_changes_nothing_else(story, past, git, capsys):
    before = state_of(git, story)
    code, out, err = ask(capsys, "reproduce", "iris@5")
    assert (code, err) == (0, "")
    version = past.get_version("iris@5")
    (run,) = version.runs
    assert out == (
        f"iris@5: run {run} again, code {version.code.commit[:10]}\n"
        f"  fit.classifier  identical bytes  {version.get_artifact('classifier').digest}\n"
        f"  evaluate.report  identical bytes  {version.get_artifact('report').digest}\n"
        f"metadata:\n  accuracy  {version.metadata['accuracy']}  (same)\n"
    )
    assert state_of(git, story) == before


def test_reproduce_uses_the_recorded_inputs_although_a_newer_version_of_the_input_exists(story, past):
    found = reproduce(past, "petals@2")
    assert found.identical
    assert past.get_version("measurements@latest").number == 10
    (step,) = past.get_run(found.run).record.steps
    assert step.inputs["readings"] == past.get_version("measurements@2").artifacts[0].digest


def test_reproducing_a_run_of_a_script_shows_different_outputs_and_the_metadata_of_both_runs(
    project, capsys, monkeypatch
):
    succeed(capsys, "run", "flows/train.py", "--param", "seed=3")
    succeed(capsys, "reproduce", "demo@1")
    monkeypatch.setenv("SALT", "pepper")
    monkeypatch.setenv("BETTER", "1")
    out, err = end_with(capsys, 5, "reproduce", "demo@1")
    assert "  fit.classifier  identical bytes  sha256:" in out
    assert "  fit.salt  different\n    then  sha256:" in out
    assert "  4 B  text  letters=0\n    now   sha256:" in out
    assert "  6 B  text  letters=0\n" in out
    assert "  accuracy  0.9 -> 0.95  (+0.05)\n" in out
    assert err.startswith("error: 1 of 2 outputs differ from the recorded outputs\nhint: ")
    _, found = said(capsys, "reproduce", "demo@1")
    assert found["identical"] is False
    assert [output["same"] for output in found["outputs"]] == [True, False]
    assert found["packages"] == []


def test_reproduce_uses_the_configuration_with_which_the_pipeline_was_called(project, capsys):
    call = (
        "import sys\nsys.path.insert(0, 'flows')\nfrom train import *\n"
        "train.with_options(model_config=ModelConfig(name='trial', create_new_model_version=True))(seed=3)\n"
    )
    subprocess.run([sys.executable, "-c", call], cwd=project, check=True)
    code, out, err = ask(capsys, "reproduce", "trial@1")
    assert (code, err) == (0, "")
    assert out.startswith("trial@1: run ")
    assert "  accuracy  0.9  (same)\n" in out


def test_reproduce_runs_the_recorded_code_and_not_the_code_in_the_work_tree(project, capsys, git):
    succeed(capsys, "run", "flows/train.py")
    script = project / "flows" / "train.py"
    script.write_text(SCRIPT.replace('{"seed": seed}', '{"seed": -1}'), encoding="utf-8")
    git(project, "add", ".")
    script.write_text("broken on purpose", encoding="utf-8")
    before = state_of(git, project)
    succeed(capsys, "reproduce", "demo@1")
    assert state_of(git, project) == before


def test_reproduce_shows_the_metadata_of_each_of_two_outputs_with_equal_content(project, capsys, git):
    end = 'return {"seed": seed}, os.environ.get("SALT", "none")'
    equal = 'log_artifact_metadata(artifact="classifier", depth=2)\n    return "none", "none"'
    script = SCRIPT.replace(end, equal).replace('[dict, "classifier"]', '[str, "classifier"]')
    (project / "flows" / "train.py").write_text(script)
    git(project, "commit", "-qam", "Give equal outputs")
    succeed(capsys, "run", "flows/train.py")
    outputs = said(capsys, "reproduce", "demo@1")[1]["outputs"]
    assert len({output["old"] for output in outputs}) == 1
    metadata = {output["name"]: (output["then"]["metadata"], output["now"]["metadata"]) for output in outputs}
    assert metadata == {"classifier": ({"depth": 2}, {"depth": 2}), "salt": ({"letters": 0}, {"letters": 0})}


def test_reproduce_with_the_option_into_leaves_code_registry_and_store_in_the_folder(
    project, tmp_path, capsys, transcript, git
):
    succeed(capsys, "run", "flows/train.py")
    kept = tmp_path / "kept"
    succeed(capsys, "reproduce", "demo@1", "--into", kept)
    assert (kept / "code" / "flows" / "train.py").read_text() == SCRIPT
    with Client(kept / "registry") as scratch:
        assert scratch.get_version("demo@1").metadata == {"accuracy": 0.9}
    transcript(f"""
        $ git model reproduce demo@1 --into {kept}
        ! error: {kept} exists and is not an empty folder
        ! hint: name a new folder
        [2]
    """)
    git(project, "worktree", "remove", "--force", str(kept / "code"))


def test_reproduce_prompts_for_a_secret_and_refuses_other_parameters(project, capsys, transcript):
    code = (
        "import sys; sys.path.insert(0, 'flows')\nimport train\nfrom gitmodel import Secret\n"
        "train.train.run(token=Secret('hunter2'))"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
    with Client() as client:
        (run,) = client.get_version("demo@1").runs
        assert client.get_run(run).record.module == "train"
    transcript(f"""
        $ git model reproduce demo@1
        ! error: parameter token of run {run} was a secret and is not recorded
        ! hint: pass it: --param token=VALUE
        [2]
        $ git model reproduce demo@1 --param token=hunter2 --param seed=2
        ! error: parameter seed is not a secret of the run, and its recorded value is used
        ! hint: leave it out; `git model run` runs a pipeline with other parameters
        [2]
    """)
    assert "hunter2" not in succeed(capsys, "reproduce", "demo@1", "--param", "token=hunter2")


def test_reproduce_reports_a_pipeline_that_fails_now(project, capsys, monkeypatch, git):
    succeed(capsys, "run", "flows/train.py")
    before = state_of(git, project)
    monkeypatch.setenv("FAIL", "1")
    err = fail(capsys, 1, "reproduce", "demo@1")
    assert "failed this time: RunFailed: step fail failed: ValueError: no such luck\n" in err
    assert state_of(git, project) == before


def test_checkout_reports_that_the_code_of_the_version_had_uncommitted_changes(project, capsys):
    (project / "flows" / "train.py").write_text(SCRIPT.replace('{"seed": seed}', '{"seed": -1}'), encoding="utf-8")
    succeed(capsys, "run", "flows/train.py")
    _, err = end_with(capsys, 5, "reproduce", "demo@1")
    assert err.startswith("warning: when demo@1 was created, its files had changes that are not in the commit")


def test_reproduce_gives_the_reason_if_a_version_cannot_be_reproduced(project, capsys, transcript):
    with Client() as client:
        model = client.register_model("hand")
        model.create_version()
        succeed(capsys, "run", "flows/train.py")
        (run,) = client.get_version("demo@1").runs
    transcript("""
        $ git model reproduce hand@1
        ! error: no recorded run created hand@1
        ! hint: `git model checkout hand@1 FOLDER` checks out its code and files
        [3]
    """)
    with Client() as client:
        path = paths.run_file(run)
        edit(project, {path: None})
    code, _, err = ask(capsys, "reproduce", "demo@1")
    assert (code, err.splitlines()[0]) == (3, f"error: there is no run '{run}'")


def test_a_run_of_a_notebook_cannot_be_reproduced_because_it_has_no_file(project, capsys):
    code = SCRIPT + "\n\ntrain()\n"
    done = subprocess.run([sys.executable, "-"], input=code, text=True, check=True, capture_output=True)
    assert done.stderr.endswith(
        "\n`git model reproduce` will not be able to repeat demo@1, because pipeline train is not in a file "
        "(in a notebook, write it to one in the repository with %%writefile, and import it)\n"
    )
    err = fail(capsys, 3, "reproduce", "demo@1")
    assert "has no record of the file of its pipeline, for example because it ran in a notebook" in err
    assert "none on record: `git model reproduce` cannot run it again" in ask(capsys, "runs", "show")[1]
    assert said(capsys, "runs", "show")[1]["script"] is None


def test_a_run_records_the_file_of_its_pipeline(project, capsys):
    succeed(capsys, "run", "flows/train.py")
    _, out, err = ask(capsys, "runs", "show", "--format", "json")
    assert (json.loads(out)["script"], json.loads(out)["module"], err) == ("flows/train.py", None, "")


def test_reproduce_names_an_input_that_the_store_lost(story, past, capsys):
    digest = past.get_version("measurements@5").artifacts[0].digest
    past.store.remove(digest)
    err = fail(capsys, 3, "reproduce", "petals@5")
    assert err.startswith(f"error: the artifact store does not have {digest}, which the run used\n")
    with pytest.raises(NotFound):
        past.get_version("measurements@5").checkout("../lost")
    assert not os.path.exists("../lost")


def test_reproduce_reports_commits_that_a_shallow_clone_of_the_registry_lacks(story, tmp_path, git, monkeypatch):
    clone = tmp_path / "clone"
    git(tmp_path, "clone", "-q", "--depth", "1", "--branch", "gitmodel", f"file://{story}", str(clone))
    monkeypatch.chdir(story)
    with Client(story, repo=clone, store=str(story / ".git/gitmodel/store")) as client:
        for reference in ("iris@5", "iris@20"):
            with pytest.raises(NotFound, match="this clone is shallow") as caught:
                reproduce(client, reference)
            assert caught.value.hint == "run `git fetch --unshallow`, then try again"


def test_checkout_creates_a_work_tree_with_the_code_and_the_artifacts(story, past, git, capsys, tmp_path):
    before = state_of(git, story)[:3]
    version = past.get_version("iris@3")
    place = tmp_path / "iris-3"
    code, out, err = ask(capsys, "checkout", "iris@3", place)
    assert (code, err) == (0, "")
    commit = version.code.commit
    assert out == f"{place} has the code of iris@3 at {commit[:10]} with classifier, report\n"
    assert git(place, "rev-parse", "HEAD") == commit
    assert git(place, "status", "--porcelain") == ""
    assert git(place, "branch", "--show-current") == ""
    assert json.loads(next((place / "artifacts" / "classifier").iterdir()).read_text())["weight"]
    assert state_of(git, story)[:3] == before
    git(story, "worktree", "remove", str(place))
    _, out, _ = ask(capsys, "checkout", "iris", "3", place, "--artifacts", "files", "--format", "json")
    assert json.loads(out)["artifacts"]["report"] == str(place / "files" / "report" / "report.json")


def test_a_refused_checkout_leaves_no_files(story, git, tmp_path, transcript):
    taken = tmp_path / "taken"
    taken.mkdir()
    (taken / "mine").write_text("mine")
    transcript(f"""
        $ git model checkout iris@3 {taken}
        ! error: {taken} exists and is not an empty folder
        ! hint: ...new folder
        [2]
        $ git model checkout iris@3 {tmp_path}/new --artifacts flows.py
        ! error: the code of iris@3 contains a folder flows.py itself
        ! hint: name another folder with --artifacts
        [2]
        $ git model checkout iris@3
        ! error: DIR...
        ! hint: ...git model checkout MODEL@VERSION DIR`
        [2]
    """)
    assert not (tmp_path / "new").exists()
    assert git(story, "worktree", "list").count("\n") == 0


def test_the_error_for_missing_code_names_the_repository_and_the_fetch_to_run(
    story, tmp_path, git, monkeypatch, transcript
):
    elsewhere = tmp_path / "elsewhere"
    git(tmp_path, "init", "-q", str(elsewhere))
    monkeypatch.chdir(elsewhere)
    with Client(story) as client:
        commit = client.get_version("iris@3").code.commit
    transcript(f"""
        $ git model --repo {story} checkout iris@3 new
        ! error: the code of iris@3, commit {commit}, is not in this repository (it was created in https://git.example.com/flowers.git)
        ! hint: run `git fetch https://git.example.com/flowers.git {commit}`, then try again
        [3]
        $ git model --repo {story} reproduce iris@3
        ! error: the code of iris@3, commit {commit}, is not in this repository (it was created in https://git.example.com/flowers.git)
        ! hint: run `git fetch https://git.example.com/flowers.git {commit}`, then try again
        [3]
    """)


def test_in_python_checkout_refuses_a_folder_for_artifacts_outside_of_the_work_tree(story, past, tmp_path):
    with pytest.raises(UsageError, match="is not a folder in a work tree"):
        past.get_version("iris@3").checkout(tmp_path / "new", artifacts="../out")
