"""A step gets an input file with the file name under which another step or a user stored it."""

import io
import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import pytest
from project import DEMO, pipeline_of

from gitmodel import ModelConfig, pipeline, step
from gitmodel.domain.schema import codec
from gitmodel.errors import Invalid
from gitmodel.pipelines import ExternalArtifact
from gitmodel.registry.recorded_runs.run_details import load_details

DATA = b"\x08\x08"


@step
def write(name: str) -> tuple[Annotated[Path, "net"], Annotated[list, "rows"]]:
    path = Path(name)
    path.write_bytes(DATA)
    return path, [1]


@step
def read(net: Path, rows: Path) -> Annotated[list, "names"]:
    assert net.read_bytes() == DATA
    return [net.name, rows.name]


both = pipeline_of(lambda name: read(*write(name)), model_config=DEMO)


def test_a_step_gets_a_file_under_its_name_in_each_executor(client, far_executor):
    both.run(client=client, name="one.onnx", executor=far_executor)
    assert client.get_version("demo").get_artifact("names").load() == ["one.onnx", "rows.json"]


def test_a_step_gets_a_file_under_its_name_also_from_the_cache(client):
    both.run(client=client, name="one.onnx")
    version = client.get_version("demo")
    assert [(found.name, found.link.file) for found in version.artifacts] == [
        ("names", "names.json"),
        ("net", "one.onnx"),
        ("rows", "rows.json"),
    ]
    assert version.get_artifact("names").load() == ["one.onnx", "rows.json"]
    # The next step runs again, because a file with the same bytes and another name is a different input.
    both.run(client=client, name="two.onnx")
    assert client.get_version("demo").get_artifact("names").load() == ["two.onnx", "rows.json"]
    again = both.run(client=client, name="one.onnx")
    assert {found.status for found in client.get_run(again.id).record.steps} == {"cached"}
    assert client.get_version("demo").get_artifact("net").link.file == "one.onnx"


@pytest.fixture
def report(client):
    """A pipeline that works on the existing version iris@1, and returns a file as its output."""
    Path("in/bert").mkdir(parents=True)
    Path("in/bert/config.json").write_text("{}")
    Path("in/model.onnx").write_bytes(DATA)
    client.register_model("iris").create_version(data={"clf": "in/model.onnx", "net": Path("in/bert")})

    @step
    def take(net: Path, folder: Path) -> Annotated[Path, "report"]:
        path = Path("report.txt")
        path.write_text(f"{net.name} {folder.name} {sorted(os.listdir(folder))}")
        return path

    @pipeline(model_config=ModelConfig(name="iris", version=1))
    def report():
        take(ExternalArtifact("iris", "clf", 1), ExternalArtifact("iris", "net", 1))

    return report


def test_an_output_of_a_run_on_an_existing_version_has_its_name(client, report):
    done = report.run(client=client)
    assert [dict(found.files) for found in client.get_run(done.id).record.steps] == [{"report": "report.txt"}]
    found = client.get_version("iris@1").get_artifact("report").path()
    assert (found.name, found.read_text()) == ("report.txt", "model.onnx bert ['config.json']")


def test_a_hostile_file_name_in_the_details_of_a_long_run_is_refused(client, report, monkeypatch):
    # makes the record of this run too long, so that its details go to the store
    monkeypatch.setattr(codec, "MAX_BYTES", 600)
    done = report.run(client=client)
    monkeypatch.undo()
    record = client.get_run(done.id).record
    assert (record.details is not None, record.steps[0].files) == (True, {"report": "report.txt"})
    assert load_details(record, client.store).steps[0].files == {"report": "report.txt"}
    steps = [{"name": "take", "status": "succeeded", "files": {"report": "../report.txt"}, "newer": 1}]
    digest, _ = client.store.put_stream(io.BytesIO(json.dumps(steps).encode()))
    with pytest.raises(Invalid, match="not a list of steps"):
        load_details(replace(record, details=digest), client.store)
