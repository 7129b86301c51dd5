"""Calling a pipeline in Python: options of the call (`with_options`, `run`), and the run that the call returns."""

import pydoc
import subprocess
import sys

import project
import pytest
from project import DEMO, pipeline_of
from transcripts import ask

from gitmodel import Client, ModelConfig, RunFailed, pipeline, step
from gitmodel.errors import Conflict, NotFound, UsageError


@pipeline(model_config=DEMO)
def train(x: int = 1) -> None:
    project.number(x)


def test_pythons_help_describes_a_run_its_steps_and_its_logs(client):
    run = train.run(client=client)
    for value in (run, *run.steps, *client.get_logs(run.id)):
        assert f"class {type(value).__name__}(" in pydoc.plain(pydoc.render_doc(value))


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


def test_a_listed_run_is_a_handle_with_steps_outputs_and_packages(client):
    run = train.run(client=client, x=2)
    (listed,) = client.list_runs()
    assert repr(listed) == f"Run('{run.id}', 'succeeded')"
    assert listed == client.get_run(run.id)
    assert (listed.steps, listed.outputs["number"].load()) == (run.steps, 2)
    assert "pytest" in listed.packages


def test_listing_runs_imports_no_other_handles(client):
    train.run(client=client)
    read = "import sys, gitmodel; (run,) = gitmodel.Client().list_runs()"
    code = f"{read}; print('gitmodel.client.handles.models_and_versions' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout == b"False\n"


@pytest.mark.parametrize(
    ("name", "form"),
    [
        ("artifacts", 'write outputs["NAME"].load()'),
        ("logs", "write client.get_logs(run.id)"),
        ("model_version", "write client.get_version(run.versions[0])"),
    ],
)
def test_an_attribute_that_a_run_does_not_have_is_refused_and_the_error_shows_what_to_write(client, name, form):
    train.run(client=client)
    with pytest.raises(AttributeError, match=f"Run has no {name}") as caught:
        getattr(client.list_runs()[0], name)
    assert caught.value.hint.startswith(form)
    with pytest.raises(AttributeError, match="'Run' object has no attribute 'other'"):
        _ = client.list_runs()[0].other


def test_the_error_for_a_version_name_that_exists_shows_how_a_second_run_sets_another(client):
    named = train.with_options(
        model_config=ModelConfig(name="demo", version="1.0", create_new_model_version=True), enable_cache=False
    )
    named.run(client=client)
    with pytest.raises(Conflict, match=r"demo 1 has the name 1\.0") as caught:
        named.run(client=client)
    for form in ("leave version out", "with_options(model_config=...)", "model_version.update(name=...)"):
        assert form in caught.value.hint


@pytest.mark.parametrize("executor", ["in-order", "processes:1"])
def test_a_step_with_another_name_runs_under_this_name_on_every_executor(client, executor):
    one = pipeline_of(lambda: project.number.with_options(name="other", enable_cache=False)(3), model_config=DEMO)
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
def test_unknown_options_of_steps_and_pipelines_are_refused(make, error):
    with pytest.raises(UsageError, match=error):
        make()


def test_the_error_of_a_failed_run_has_the_id_of_the_run(client):
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


class TestResultsOfARun:
    """Outputs, steps, parameters and packages of a run, as the call of the pipeline and as `get_run` return it."""

    @pytest.fixture(params=[DEMO, None, ModelConfig(name="demo", version=1)], ids=["new", "none", "existing"])
    def run(self, request, client):
        """A run with a new version, one without a model, or one on an existing version: each test runs three times."""
        client.register_model("demo").create_version()

        @pipeline(model_config=request.param)
        def one(x: int):
            project.total(project.number(x), 3)

        run = one.run(client=client, x=2)
        for found in (run, client.get_run(run.id)):
            assert (found.status, found.parameters) == ("succeeded", {"x": 2})
            assert [step.name for step in found.steps] == ["number", "total"]
        return run

    def test_outputs_of_a_run_are_loaded_by_name(self, client, run):
        for found in (run, client.get_run(run.id)):
            assert {name: output.load() for name, output in found.outputs.items()} == {"number": 2, "total": 5}
            output = found.outputs["total"]
            assert (output.name, output.run, output.kind, output.format) == ("total", run.id, "data", "json")
            assert output.path().read_text().strip() == "5"
            with pytest.raises(NotFound, match="has no output 'sum'") as raised:
                found.outputs["sum"]
            assert raised.value.hint == "its outputs: number, total"
            assert found.outputs.get("sum") is None
            with pytest.raises(TypeError, match="does not support item assignment"):
                found.outputs["sum"] = output

    def test_an_output_of_a_run_has_the_version_that_it_belongs_to(self, run):
        if not run.versions:
            with pytest.raises(NotFound, match="belongs to no version"):
                _ = run.outputs["total"].version
        else:
            assert run.outputs["total"].version.reference == run.versions[0]

    def test_a_run_lists_the_packages_of_its_environment(self, client, run, capsys):
        assert client.get_run(run.id).packages["pydantic"].startswith("2.")
        code, out, _ = ask(capsys, "runs", "packages", run.id, "--filter", "name == 'pydantic'", "--format", "tsv")
        assert (code, out.splitlines()[1].split("\t")[0]) == (0, "pydantic")
        assert ask(capsys, "runs", "packages", "nothing")[0] == 3


def test_outputs_of_a_failed_run_are_loaded_and_outputs_of_a_second_call_are_numbered(client):
    @step
    def fail(x: int) -> int:
        raise ValueError("no")

    with pytest.raises(RunFailed) as raised:
        pipeline_of(lambda: fail(project.double(project.double(3))), model_config=DEMO).run(client=client)
    found = client.get_run(raised.value.run)
    assert {name: output.load() for name, output in found.outputs.items()} == {"double": 6, "double_2": 12}


def test_outputs_of_a_script_without_a_version_are_loaded(client):
    with client.start_run("measure") as run:
        run.link_artifact("matrix", [[1, 0], [0, 1]])
    assert client.get_run(run.id).outputs["matrix"].load() == [[1, 0], [0, 1]]
    with client.start_run("measure") as run:
        run.create_version("demo", data={"rows": [1]})
    assert client.get_run(run.id).outputs["rows"].load() == [1]


def test_a_call_without_a_client_returns_outputs_that_load(client):
    run = train(x=7)
    assert run.outputs["number"].load() == 7
    with Client() as another:
        assert another.get_run(run.id) == run
    run._opened.repository.close()


def test_an_error_in_the_body_of_a_pipeline_reaches_the_caller_unchanged(client):
    error = LookupError("no such part")

    @pipeline(name="broken")
    def broken():
        raise error

    with pytest.raises(LookupError) as info:
        broken.run(client=client)
    assert info.value is error
    assert info.value.__cause__ is None
    assert list(client.list_runs()) == []
