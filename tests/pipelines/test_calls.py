"""Options at the call of a pipeline, and the run that a call returns."""

import project
import pytest

from gitmodel import ModelConfig, RunFailed, pipeline, step
from gitmodel.errors import UsageError

DEMO = ModelConfig(name="demo", create_new_model_version=True)


@pipeline(model_config=DEMO)
def train(x: int = 1) -> None:
    project.number(x)


def test_options_of_a_call_do_not_change_the_pipeline(client):
    other = ModelConfig(name="other", create_new_model_version=True)
    run = train.with_options(model_config=other, enable_cache=False, executor="threads:1").run(client=client, x=2)
    assert run.versions == ("other@1",)
    assert client.get_run(run.id).record.executor == "threads"
    assert (train.model_config, train.enable_cache, train.executor) == (DEMO, True, None)
    run = train.run(client=client, x=2)
    assert (run.versions, run.steps[0].status) == (("demo@1",), "succeeded")
    again = train.with_options(enable_cache=False)
    assert again.run(client=client, x=2).steps[0].status == "succeeded"
    assert train.run(client=client, x=2).steps[0].status == "cached"


@pytest.mark.parametrize("executor", ["in-order", "processes:1"])
def test_a_step_with_options_runs_everywhere_under_its_name(client, executor):
    @pipeline(model_config=DEMO)
    def one():
        project.number.with_options(name="other", enable_cache=False)(3)

    assert [one.run(client=client, executor=executor).steps[0].status for _ in range(2)] == ["succeeded"] * 2
    run = one.run(client=client, executor=executor)
    assert (run.steps[0].name, list(run.steps[0].outputs)) == ("other", ["number"])
    assert (project.number.name, project.number.enable_cache) == ("number", None)


@pytest.mark.parametrize(
    ("make", "error"),
    [
        (lambda: train.with_options(enable_cach=False), "pipeline train has no option enable_cach"),
        (lambda: train.with_options(name="other"), "pipeline train has no option name"),
        (lambda: train.with_options(model_config="demo"), "model_config of pipeline train is a str"),
        (lambda: project.number.with_options(chache=False), "step number has no option chache"),
    ],
)
def test_unknown_options_are_refused(make, error):
    with pytest.raises(UsageError, match=error):
        make()


def test_a_failed_run_is_found_by_its_error(client):
    @step
    def fail(x: int) -> int:
        raise ValueError("no")

    @pipeline
    def one(x: int):
        fail(x)

    with pytest.raises(RunFailed) as raised:
        one.run(client=client, x=3)
    found = client.get_run(raised.value.run)
    assert (found.status, found.parameters, found.record.failed_step) == ("failed", {"x": 3}, "fail")
