"""Code written for ZenML that gitmodel does not support is refused with an error that shows what to write instead."""

import subprocess
import sys

import pytest
from project import DEMO, pipeline_of

from gitmodel import (
    ArtifactConfig,
    ExternalArtifact,
    Model,
    ModelConfig,
    ModelVersion,
    RunFailed,
    UsageError,
    get_step_context,
    log_artifact_metadata,
    log_model_metadata,
    pipeline,
    step,
)
from gitmodel.pipelines.step_context.context import PlannedVersion

FORM = 'write model_config=ModelConfig(name="demo", create_new_model_version=True)'


@pytest.mark.parametrize("of", [pipeline, step])
@pytest.mark.parametrize("given", [Model("demo"), DEMO, "demo"])
@pytest.mark.parametrize("option", ["model", "model_version"])
def test_the_refusal_of_the_zenml_option_model_shows_what_to_write_instead(of, given, option):
    with pytest.raises(UsageError, match=f"has no option {option}") as caught:
        of(**{option: given})
    assert caught.value.hint == FORM


@pytest.mark.parametrize("of", [pipeline, step])
@pytest.mark.parametrize("given", [Model("demo"), "demo"])
def test_a_model_config_of_another_type_is_refused(of, given):
    with pytest.raises(UsageError, match=r"model_config of @\w+ is a \w+, not a ModelConfig") as caught:
        of(model_config=given)
    assert caught.value.hint == FORM


@pytest.mark.parametrize("of", [pipeline, step])
def test_an_unknown_option_is_refused_with_the_list_of_options(of):
    with pytest.raises(UsageError, match="has no option settings") as caught:
        of(settings={})
    assert "model_config, enable_cache" in caught.value.hint


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("set_stage", "write get_step_context().model_version.set_stage"),
        ("log_metadata", "write get_step_context().model_version.log_metadata"),
        ("number", "write get_step_context().model_version.number"),
        ("name", "leave out .name"),
        ("load_artifact", "get_step_context().model_version is the version that the step works on"),
    ],
)
def test_a_name_passed_instead_of_a_model_is_refused_and_the_error_shows_what_to_write(client, name, hint, far_or_near):
    with pytest.raises(
        RunFailed, match=f"get_step_context.*model is the name of the model, and has no {name}"
    ) as caught:
        pipeline_of(lambda: use_model(name), model_config=DEMO).run(client=client, executor=far_or_near)
    assert caught.value.hint.startswith(hint)
    assert "use_model" in caught.value.traceback


@step
def use_model(name: str) -> None:
    getattr(get_step_context().model, name)


def test_an_attribute_error_that_is_not_about_zenml_is_not_changed(client):
    @step
    def other() -> None:
        "other".set_stage()  # type: ignore[attr-defined]

    with pytest.raises(RunFailed, match="AttributeError: 'str' object has no attribute 'set_stage'"):
        pipeline_of(other, model_config=DEMO).run(client=client)


@pytest.mark.parametrize("option", ["model=Model('demo')", "model_config=Model('demo')"])
def test_git_model_run_shows_what_to_write_instead_of_the_zenml_option_model(client, tmp_path, option):
    script = tmp_path / "train.py"
    script.write_text(
        "from gitmodel import Model, pipeline, step\n\n@step\ndef one() -> None: ...\n\n"
        f"@pipeline({option})\ndef train():\n    one()\n"
    )
    done = subprocess.run(
        [sys.executable, "-m", "gitmodel", "run", script], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert FORM in done.stderr


FOREIGN = (
    "model_name",
    "model_version",
    "infer_model",
    "artifact_name",
    "artifact_version",
    "output_name",
    "step_name",
)


@pytest.mark.parametrize("keyword", FOREIGN)
@pytest.mark.parametrize("log", [log_model_metadata, log_artifact_metadata])
def test_arguments_that_name_the_target_of_metadata_are_refused_and_not_recorded(client, log, keyword):
    version = client.register_model("demo").create_version(data={"train": __file__})
    for of in (log, version.log_metadata, version.get_artifact("train").log_metadata):
        more = {"version": "demo@1"} if of is log else {}
        with pytest.raises(UsageError, match=f"has no argument {keyword}") as caught:
            of({"accuracy": 0.9}, **more, **{keyword: "demo"})
        assert f'write {{"{keyword}": ...}}' in caught.value.hint
    assert (version.metadata, version.get_artifact("train").metadata) == ({}, {})
    log_model_metadata({keyword: "resnet"}, version="demo@1")
    assert version.metadata == {keyword: "resnet"}


@pytest.mark.parametrize("keyword", FOREIGN)
def test_arguments_that_name_the_target_of_metadata_are_refused_in_a_step(client, keyword, far_or_near):
    with pytest.raises(RunFailed, match=f"log_model_metadata has no argument {keyword}") as caught:
        pipeline_of(lambda: log_of(keyword), model_config=DEMO).run(client=client, executor=far_or_near)
    assert caught.value.hint.startswith('write version="demo@3"')


@step
def log_of(keyword: str) -> None:
    log_model_metadata({"accuracy": 0.9}, **{keyword: "demo"})


@pytest.mark.parametrize(
    ("name", "form"),
    [
        ("get_model_version", 'write get_version("demo@3")'),
        ("transition_model_version_stage", 'write get_version("demo@3").set_stage("production")'),
        ("list_pipeline_runs", "write list_runs()"),
    ],
)
def test_the_error_for_a_method_of_zenmls_client_shows_what_to_write_instead(client, name, form):
    with pytest.raises(AttributeError, match=f"Client has no {name}") as caught:
        getattr(client, name)("demo", 1)
    assert form in str(caught.value)
    assert not hasattr(client, name)
    with pytest.raises(AttributeError, match="'Client' object has no attribute 'other'"):
        client.other  # noqa: B018


def test_an_attribute_of_zenmls_version_is_refused_and_the_error_shows_what_to_write(client):
    version = client.register_model("demo").create_version()
    with pytest.raises(UsageError, match="ModelVersion has no load_artifact") as caught:
        version.load_artifact("train")
    assert caught.value.hint == 'write get_artifact("NAME").load()'


def test_the_method_configure_is_refused_and_the_error_shows_what_to_write(client):
    for of in (pipeline_of(lambda: log_of("")), log_of):
        with pytest.raises(UsageError, match="has no configure") as caught:
            of.configure(enable_cache=False)
        assert caught.value.hint.startswith("write with_options(...)")


def test_git_model_run_shows_what_to_write_instead_of_configure(client, tmp_path):
    script = tmp_path / "train.py"
    script.write_text(
        "from gitmodel import pipeline, step\n\n@step\ndef one() -> None: ...\n\n"
        "@pipeline\ndef train():\n    one()\n\ntrain.configure(enable_cache=False)()\n"
    )
    done = subprocess.run(
        [sys.executable, "-m", "gitmodel", "run", script], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "write with_options(...)" in done.stderr


@pytest.mark.parametrize(
    ("name", "form"), [("pipeline_run", "write run, the id of the run"), ("step_name", "write step")]
)
def test_an_attribute_of_zenmls_context_is_refused_and_the_error_shows_what_to_write(client, name, form):
    @step
    def ask() -> None:
        getattr(get_step_context(), name)

    one = pipeline_of(ask)
    with pytest.raises(RunFailed, match=f"StepContext has no {name}") as caught:
        one.run(client=client)
    assert caught.value.hint.startswith(form)


@pytest.mark.parametrize(
    ("name", "form"),
    [
        *((name, "write get_step_context().link_artifact(") for name in ("attach", "link_artifact")),
        ("delete", "use client.get_version(run.versions[0]) after the run"),
    ],
)
def test_an_attribute_that_only_a_finished_version_has_is_refused_in_a_step(client, name, form):
    @step
    def ask() -> None:
        getattr(get_step_context().model_version, name)

    with pytest.raises(RunFailed, match=f"PlannedVersion has no {name}") as caught:
        pipeline_of(ask, model_config=DEMO).run(client=client)
    assert caught.value.hint.startswith(form)


def test_a_version_in_a_step_has_or_explains_each_attribute_of_a_finished_version():
    missing = {name for name in dir(ModelVersion) if not name.startswith("_") and not hasattr(PlannedVersion, name)}
    assert missing <= PlannedVersion._other_names.keys()


@pytest.mark.parametrize("name", ["get_artifact", "load_artifact", "set_stage", "number"])
def test_an_attribute_of_versions_is_refused_on_a_model_with_a_hint(client, name):
    model = client.register_model("demo")
    with pytest.raises(UsageError, match=f"Model has no {name}") as caught:
        getattr(model, name)
    assert caught.value.hint == 'ask a version of the model, such as get_version("production")'
    assert not hasattr(Model("demo"), name)


@pytest.mark.parametrize(
    ("argument", "form"),
    [
        ("is_model_artifact", 'kind="model"'),
        ("artifact_type", 'kind="model"'),
        ("is_deployment_artifact", 'kind="deployment"'),
        ("model_name", "model_config"),
        ("run_metadata", "log_artifact_metadata"),
    ],
)
def test_an_argument_of_zenmls_output_is_refused_and_the_error_shows_what_to_write(argument, form):
    with pytest.raises(UsageError, match=f"ArtifactConfig has no argument {argument}") as caught:
        ArtifactConfig(name="clf", **{argument: "model"})
    assert form in caught.value.hint
    with pytest.raises(UsageError, match="ExternalArtifact has no argument value") as caught:
        ExternalArtifact(value=3)
    assert caught.value.hint == "pass the value itself to the step"


@pytest.mark.parametrize(
    ("field", "form"), [("version_name", "write version"), ("stage", 'write version="production"')]
)
def test_a_field_that_modelconfig_does_not_have_is_refused_and_the_error_shows_what_to_write(field, form):
    with pytest.raises(UsageError, match=f"ModelConfig has no field {field}") as caught:
        ModelConfig(name="demo", **{field: "one"})
    assert caught.value.hint == form
