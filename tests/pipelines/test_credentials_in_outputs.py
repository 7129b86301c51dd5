"""gitmodel does not store an output file with credentials. The run succeeds unless another step needs this output."""

import json
from pathlib import Path
from typing import Annotated

import pytest
from project import DEMO, pipeline_of

from gitmodel import (
    Client,
    ModelConfig,
    RunFailed,
    get_step_context,
    log_artifact_metadata,
    log_model_metadata,
    pipeline,
    step,
)
from gitmodel.cli import run as run_program

# The token is joined from two parts, so that no scanner reports this file as a leak of a credential.
TOKEN = "ghp_" + "a1B2" * 9
Outputs = tuple[Annotated[Path, "site"], Annotated[dict[str, float], "scores"]]


def site(token=TOKEN):
    folder = Path("site").resolve()
    (folder / "sub").mkdir(parents=True, exist_ok=True)
    (folder / "sub/.env").write_text(f"TOKEN={token}")
    return folder


@step
def build() -> Outputs:
    log_model_metadata(accuracy=0.9)
    log_artifact_metadata(artifact="site", pages=3)
    log_artifact_metadata(artifact="scores", kind="f1")
    return site(), {"f1": 0.9}


@step
def report(scores: dict) -> Annotated[float, "f1"]:
    return scores["f1"]


@step
def publish(site: Path) -> Annotated[int, "files"]:
    return len(list(site.iterdir()))


@step
def later() -> None:
    get_step_context().model_version.log_metadata(artifact="site", seen=True)


@pipeline(model_config=DEMO)
def standing():
    _, scores = build()
    report(scores)
    later(after=["build"])


@pipeline(model_config=ModelConfig(name="demo", create_new_model_version=True, delete_new_version_on_failure=False))
def needing():
    found, _ = build()
    publish(found)


def test_an_output_with_credentials_is_left_out_with_a_warning_and_the_run_succeeds(
    client, written, caplog, far_or_near
):
    for _ in range(2):  # the second run also warns, because a step whose output was left out is not cached
        caplog.clear()
        run = standing.run(client=client, executor=far_or_near)
        version = client.get_version(run.versions[0])
        assert {artifact.name for artifact in version.artifacts} == {"scores", "f1"}
        assert version.metadata == {"accuracy": 0.9}
        assert version.get_artifact("scores").metadata == {"kind": "f1"}
        assert (run.status, run.steps[0].status, list(run.steps[0].outputs)) == ("succeeded", "succeeded", ["scores"])
        told = "the artifact site seems to hold credentials: sub/.env (environment variables); it is left out"
        assert caplog.text.count(told) == 1
    assert TOKEN not in written() + caplog.text


def test_a_step_fails_if_another_step_needs_its_output_with_credentials(client, written, far_or_near):
    with pytest.raises(
        RunFailed, match=r"step build failed: Refused: the artifact site .*step publish needs it"
    ) as failed:
        needing.run(client=client, executor=far_or_near)
    assert "git -c gitmodel.allowCredentials=true model" in failed.value.hint
    record = client.get_run(failed.value.run)
    assert [(one.name, one.status) for one in record.record.steps] == [("build", "failed"), ("publish", "skipped")]
    assert [artifact.name for artifact in client.get_version("demo@1").artifacts] == ["scores"]
    assert TOKEN not in written()


def test_an_output_with_credentials_is_stored_if_the_setting_allows_it(client, git, far_or_near):
    git(client.repository.common_dir, "config", "gitmodel.allowCredentials", "true")
    with Client(client.repository.common_dir) as allowed:
        run = needing.run(client=allowed, executor=far_or_near)
        version = allowed.get_version(run.versions[0])
        assert {artifact.name for artifact in version.artifacts} == {"site", "scores", "files"}
        assert version.get_artifact("site").metadata == {"pages": 3}


@pytest.mark.parametrize("name", ["notes.txt", "id_rsa"])
def test_a_single_output_file_with_credentials_is_left_out(client, written, caplog, name):
    @step(enable_cache=False)
    def note() -> Annotated[Path, "note"]:
        path = Path(name).resolve()
        path.write_text(f"push with {TOKEN}")
        return path

    run = pipeline_of(note, model_config=DEMO).run(client=client)
    assert run.status == "succeeded"
    assert list(client.get_version(run.versions[0]).artifacts) == []
    assert "the artifact note seems to hold credentials" in caplog.text
    assert TOKEN not in written()


def test_git_model_run_warns_of_an_output_with_credentials(client, code_repo, capsys, caplog):
    (code_repo / "flow.py").write_text(
        "from pathlib import Path\nfrom gitmodel import pipeline, step, ModelConfig\n\n"
        "@step\ndef make() -> Path:\n    folder = Path('site').resolve()\n    folder.mkdir(exist_ok=True)\n"
        "    (folder / '.netrc').write_text('x')\n    return folder\n\n"
        "@pipeline(model_config=ModelConfig(name='demo', create_new_model_version=True))\ndef flow():\n    make()\n"
    )
    assert run_program(["run", "flow.py:flow"]) == 0
    capsys.readouterr()
    assert "seems to hold credentials: .netrc (passwords for hosts); it is left out" in caplog.text
    run_program(["--format", "json", "version", "show", "demo@1"])
    assert json.loads(capsys.readouterr().out)["artifacts"] == []
