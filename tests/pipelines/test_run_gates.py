"""If a rule of a stage refuses a promotion that a run planned, the run still succeeds, without the promotion."""

import project
import pytest

from gitmodel import ModelConfig, get_step_context, pipeline, step
from gitmodel.domain.changes.planned_change import Change
from gitmodel.domain.schema import codec, paths
from gitmodel.domain.schema.registry_rules import registry_file

RULES = 'format = "1.0"\n\n[[stages]]\nname = "staging"\n\n[[stages]]\nname = "production"\n\n[[stages.gates]]\n'
RULES += 'name = "good"\nexpression = "metadata.accuracy > 0.9"\n'


@pytest.fixture
def gated(client):
    client.register_model("other")
    record = registry_file.decode_registry(RULES.encode(), paths.REGISTRY)
    data = codec.encode(record)
    client.writer.transact(lambda snapshot: Change(None, "Set rules", files={paths.REGISTRY: data}))


@pipeline(model_config=ModelConfig(name="demo", create_new_model_version=True))
def training(score):
    project.evaluate(project.train(score))
    project.promote("production", after="evaluate")


def test_gates_use_the_metadata_that_the_run_itself_logged(client, gated, caplog):
    training.run(client=client, score=0.95)
    assert client.get_version("demo@production").number == 1
    assert caplog.text == ""
    run = training.run(client=client, score=0.5)
    assert run.status == "succeeded"
    assert client.get_version("demo@production").number == 1
    assert client.get_version("demo").number == 2
    assert len([record for record in caplog.records if "the run is recorded without it" in record.getMessage()]) == 1


def test_a_run_without_a_signing_key_is_recorded_without_its_promotion_to_a_signed_stage(client, caplog):
    client.register_model("other")
    text = 'format = "1.2"\n\n[[stages]]\nname = "staging"\n\n[[stages]]\nname = "production"\nsigned = true\n'
    files = {paths.REGISTRY: text.encode(), paths.SIGNERS: b"release@example.com ssh-ed25519 AAAA\n"}
    client.writer.transact(lambda snapshot: Change(None, "Set rules", files=files))
    run = training.run(client=client, score=0.95)
    assert run.status == "succeeded"
    assert client.get_version("demo").number == 1
    assert client.get_model("demo").stages == []
    (said,) = [record.getMessage() for record in caplog.records]
    assert said.endswith("the run is recorded without it")
    assert "sign" in said


@step
def to_staging(leave: bool) -> None:
    get_step_context().model_version.set_stage("staging", force=True, leave=leave)


@pipeline(model_config=ModelConfig(name="demo", version="production"))
def moving(leave):
    to_staging(leave)


def test_a_run_leaves_out_a_promotion_that_would_empty_a_later_stage_without_leave(client, caplog):
    client.register_model("demo").create_version().set_stage("production")
    assert moving.run(client=client, leave=False).status == "succeeded"
    (said,) = [record.getMessage() for record in caplog.records]
    assert said.startswith("demo@1 is in production, and moving it to staging would leave production empty (")
    assert said.endswith("the run is recorded without it")
    assert client.get_version("demo@production").number == 1
    assert moving.run(client=client, leave=True).status == "succeeded"
    assert client.get_version("demo@staging").number == 1
