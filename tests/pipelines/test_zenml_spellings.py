"""What ZenML spells otherwise ends in an error that shows gitmodel's form."""

import subprocess
import sys

import pytest

from gitmodel import Model, ModelConfig, RunFailed, UsageError, get_step_context, pipeline, step

CONFIG = ModelConfig(name="demo", create_new_model_version=True)
FORM = 'write model_config=ModelConfig(name="demo", create_new_model_version=True)'


@pytest.mark.parametrize("of", [pipeline, step])
@pytest.mark.parametrize("given", [Model("demo"), CONFIG, "demo"])
def test_the_option_model_is_refused(of, given):
    with pytest.raises(UsageError, match="has no option model") as caught:
        of(model=given)
    assert caught.value.hint == FORM


@pytest.mark.parametrize("of", [pipeline, step])
@pytest.mark.parametrize("given", [Model("demo"), "demo"])
def test_a_model_config_that_is_none_is_refused(of, given):
    with pytest.raises(UsageError, match=r"model_config of @\w+ is a \w+, not a ModelConfig") as caught:
        of(model_config=given)
    assert caught.value.hint == FORM


@pytest.mark.parametrize("of", [pipeline, step])
def test_another_option_is_refused_and_the_options_are_named(of):
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
def test_the_name_of_the_model_taken_for_the_model(client, name, hint, far_or_near):
    @pipeline(model_config=CONFIG)
    def one():
        use_model(name)

    with pytest.raises(
        RunFailed, match=f"get_step_context.*model is the name of the model, and has no {name}"
    ) as caught:
        one.run(client=client, executor=far_or_near)
    assert caught.value.hint.startswith(hint)
    assert "use_model" in caught.value.traceback


@step
def use_model(name: str) -> None:
    getattr(get_step_context().model, name)


def test_another_attribute_error_stays_as_it_is(client):
    @step
    def other() -> None:
        "other".set_stage()  # type: ignore[attr-defined]

    @pipeline(model_config=CONFIG)
    def one():
        other()

    with pytest.raises(RunFailed, match="AttributeError: 'str' object has no attribute 'set_stage'"):
        one.run(client=client)


@pytest.mark.parametrize("option", ["model=Model('demo')", "model_config=Model('demo')"])
def test_git_model_run_shows_the_form(client, tmp_path, option):
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
