"""Invalid steps, pipelines and configurations are refused when they are defined, before anything runs."""

import asyncio
from collections import OrderedDict
from typing import Annotated

import project
import pytest
from project import DEMO, pipeline_of

from gitmodel import (
    ArtifactConfig,
    DeploymentArtifactConfig,
    ExternalArtifact,
    ModelArtifactConfig,
    ModelConfig,
    ModelStages,
    Refused,
    Secret,
    UsageError,
    pipeline,
    step,
)


class TestSteps:
    def test_a_step_stays_a_function_outside_of_a_pipeline(self):
        assert project.total(1, b=2, after="ignored") == 3
        assert project.hand_over(Secret("four")) == 4
        assert (project.total.__name__, project.total.__doc__) == ("total", None)

    def test_a_step_called_inside_another_step_runs_as_a_plain_function(self, client):
        @step
        def outer() -> int:
            return project.double(4)

        one = pipeline_of(outer, model_config=DEMO)
        assert [found.name for found in one.run(client=client).steps] == ["outer"]
        assert client.get_version("demo").get_artifact("outer").load() == 8

    def test_outputs_are_named_by_annotation(self, client):
        @step
        def many() -> tuple[
            Annotated[int, "a"],
            int,
            Annotated[dict, ModelArtifactConfig("m")],
            Annotated[dict, DeploymentArtifactConfig(name="d")],
            Annotated[str, ArtifactConfig(name="t", kind="model", format="json")],
        ]:
            return 1, 2, {}, {}, "x"

        pipeline_of(many, model_config=DEMO).run(client=client)
        links = [artifact.link for artifact in client.get_version("demo").artifacts]
        assert [(link.name, link.kind, link.format) for link in links] == [
            ("a", "data", "json"),
            ("d", "deployment", "json"),
            ("m", "model", "json"),
            ("many_1", "data", "json"),
            ("t", "model", "json"),
        ]

    def test_a_step_without_annotation_may_return_a_value_or_nothing(self, client):
        @step
        def value():
            return 1

        @step
        def nothing():
            pass

        one = pipeline_of(lambda: (value(), nothing()))
        assert [list(found.outputs) for found in one.run(client=client).steps] == [["value"], []]

    @pytest.mark.parametrize(
        ("define", "said"),
        [
            (lambda: step(name="a/b")(lambda: None), "cannot be the name of a step"),
            (lambda: step(lambda x: x), "a lambda has no name for the step"),
            (lambda: pipeline(lambda: None), "a lambda has no name for the pipeline"),
            (lambda: step(_async), "is async"),
            (lambda: step(_generator), "is a generator"),
            (lambda: step(_after), "has a parameter `after`"),
            (lambda: step(_star), "no name to record"),
            (lambda: step(len), "is not a function"),
            (lambda: pipeline(name="con")(_star), "cannot be the name of a pipeline"),
            (lambda: pipeline(_star), "no name to record"),
            (lambda: pipeline(_client), "has a parameter client"),
            (lambda: pipeline(_async), "pipeline _async is async"),
            (lambda: ArtifactConfig(name="x", kind="modle"), "not a kind of artifact"),
            (lambda: ArtifactConfig(name="latest/x"), "cannot be the name of an artifact"),
            (lambda: _outputs(step(_two_of_one_name)), "two outputs named Model"),
            (lambda: _outputs(step(_reserved)), "cannot be the name of an artifact"),
            (lambda: _outputs(step(_unknown_type)), "cannot be read"),
        ],
    )
    def test_invalid_declarations_of_steps_are_refused(self, define, said):
        with pytest.raises(UsageError, match=said):
            define()


async def _async():
    pass


def _generator():
    yield 1


def _after(after):
    pass


def _star(*numbers):
    pass


def _client(client):
    pass


def _two_of_one_name() -> tuple[Annotated[int, "model"], Annotated[int, "Model"]]:
    return 1, 2


def _reserved() -> Annotated[int, "nul"]:
    return 1


def _unknown_type() -> "Nowhere":  # noqa: F821
    return 1


def _outputs(found):
    return found.outputs


class TestPipelines:
    def refused(self, client, body, said, error=UsageError):
        with pytest.raises(error, match=said):
            pipeline(name="refused")(body).run(client=client)
        assert len(client.list_runs()) == 0
        assert client.repository.tip() is None

    def test_steps_that_wait_for_each_other_by_after_are_refused(self, client):
        def body():
            project.double(1, after=["number"])
            project.number(2, after=["double"])

        self.refused(client, body, "wait for each other: double -> number -> double|number -> double -> number")

    def test_a_step_after_itself_is_refused(self, client):
        self.refused(client, lambda: project.noop(after="noop"), "noop -> noop")

    def test_an_unknown_step_in_after_is_refused(self, client):
        self.refused(client, lambda: project.noop(after=["fit"]), "after 'fit', which is not a step of this pipeline")

    def test_a_call_of_a_step_without_a_required_input_is_refused(self, client):
        self.refused(client, lambda: project.double(), "missing a required argument: 'x'")

    def test_an_output_of_another_pipeline_is_refused_as_an_input(self, client):
        kept = []
        other = pipeline_of(lambda: kept.append(project.number(1)), name="other")
        other.run(client=client)

        one = pipeline_of(lambda: project.double(kept[0]))
        with pytest.raises(UsageError, match="takes an output of number, which is not in this pipeline"):
            one.run(client=client)

    @pytest.mark.parametrize("value", [object(), {(1, 2): 3}, [object()], 2**70, {"a": {"b": len}}, float])
    def test_a_parameter_that_cannot_be_recorded_is_refused(self, client, value):
        self.refused(client, lambda: project.double(value), "x of step double cannot be recorded")

    @pytest.mark.parametrize(
        ("argument", "said"),
        [
            (lambda output: {output}, "x of step double contains outputs in a set"),
            (
                lambda output: {"a": [OrderedDict(b=output)]},
                r"x.a\[0\] of step double contains outputs in an OrderedDict",
            ),
        ],
    )
    def test_outputs_in_sets_and_other_unsupported_containers_are_refused(self, client, argument, said):
        self.refused(client, lambda: project.double(argument(project.number(1))), said)

    @pytest.mark.parametrize("value", [object(), Secret("hunter2")])
    def test_a_value_that_cannot_be_recorded_is_refused_in_a_list_with_an_output(self, client, value):
        said = r"x\[1\] of step double cannot be recorded"
        self.refused(client, lambda: project.double([project.number(1), value]), said)

    @pytest.mark.parametrize(
        "use",
        [
            lambda output: bool(output),
            lambda output: output > 1,
            lambda output: output + 1,
            lambda output: output == 1,
            lambda output: f"{output}",
            lambda output: output.score,
            lambda output: output["score"],
            lambda output: len(output),
        ],
    )
    def test_an_output_used_as_a_value_in_the_pipeline_body_is_refused(self, client, use):
        self.refused(client, lambda: use(project.number(1)), "does not exist yet")

    def test_unpacking_a_single_output_into_two_names_is_refused(self, client):
        def body():
            _first, _second = project.number(1)

        self.refused(client, body, "has one output")

    def test_two_steps_with_an_output_of_the_same_name_are_refused(self, client):
        @step
        def number() -> Annotated[int, "number"]:
            return 1

        other = step(name="other")(number.function)
        config = DEMO

        with pytest.raises(UsageError, match="steps number and other both have an output called number"):
            pipeline_of(lambda: (number(), other()), model_config=config).run(client=client)
        assert len(client.list_runs()) == 0

    def test_a_pipeline_without_steps_is_refused(self, client):
        self.refused(client, lambda: None, "calls no step")

    def test_a_pipeline_in_a_pipeline_or_step_is_refused(self, client):
        inner = pipeline_of(project.noop, name="inner")
        self.refused(client, lambda: inner(), "called inside a pipeline")

        @step
        def outer() -> None:
            inner.run(client=client)

        one = pipeline_of(outer)
        from gitmodel import RunFailed

        with pytest.raises(RunFailed, match="called inside a pipeline"):
            one.run(client=client)

    def test_arguments_of_a_pipeline_are_checked_against_its_parameters(self, client):
        one = pipeline_of(lambda x, y=2: project.total(x, y))
        assert one.run(client=client, x=1).steps[0].parameters == {"a": 1, "b": 2, "c": 0}
        assert client.list_runs()[0].record.parameters == {"x": 1, "y": 2}
        for arguments, said in (
            ({}, "missing a required argument: 'x'"),
            ({"x": 1, "z": 1}, "unexpected keyword argument 'z'"),
            ({"x": object()}, "x of pipeline one cannot be recorded: x is an object"),
            ({"x": "a" * 20_000}, "too long to be recorded"),
        ):
            with pytest.raises(UsageError, match=said):
                one.run(client=client, **arguments)
        assert len(client.list_runs()) == 1

    def test_a_step_cannot_change_its_recorded_parameters(self, client):
        @step
        def change(items: list) -> None:
            items.append(3)

        assert pipeline_of(lambda: change([1, 2])).run(client=client).steps[0].parameters == {"items": [1, 2]}

    def test_the_argument_after_accepts_names_steps_and_outputs(self, client):
        told = []

        def listen(event, name, seconds):
            if event == "started":
                told.append(name)

        @pipeline
        def one():
            project.noop(after=["total", project.double])
            project.double(1, after=project.total)
            a = project.number(1)
            b = project.number(2, after=a)
            project.total(a, b)

        one.run(client=client, listener=listen)
        assert told == ["number", "number_2", "total", "double", "noop"]

    def test_a_pipeline_runs_under_a_running_event_loop(self, client):
        one = pipeline_of(project.noop)

        async def main():
            return one.run(client=client), one.run(client=client, executor="threads")

        assert [run.status for run in asyncio.run(main())] == ["succeeded", "succeeded"]


class TestModelConfig:
    @pytest.mark.parametrize(
        "given",
        [
            {"version": 3},
            {"version": "3"},
            {"version": "staging"},
            {"version": "Production"},
            {"version": ModelStages.PRODUCTION},
            {"version": "latest"},
            {"version": "a b"},
        ],
    )
    def test_a_configuration_of_a_new_version_with_a_number_or_stage_is_refused_at_once(self, given):
        with pytest.raises(UsageError):
            ModelConfig(name="demo", create_new_model_version=True, **given)

    @pytest.mark.parametrize(
        "given",
        [
            {"name": "a/b"},
            {"name": ""},
            {},
            {"name": "demo", "licens": "MIT"},
            {"name": "demo", "tags": "one"},
            {"name": "demo", "version": "a b"},
            {"name": "demo", "version": 0},
            {"name": "demo", "version": [1]},
            {"name": "demo", "create_new_model_version": "perhaps"},
        ],
    )
    def test_invalid_arguments_of_configurations_are_refused_at_once(self, given):
        with pytest.raises(UsageError):
            ModelConfig(**given)

    @pytest.mark.parametrize("version", [None, 3, "3", "1.2.3", "staging", ModelStages.STAGING, "latest", "champion"])
    def test_an_existing_version_can_be_named_by_number_name_stage_or_alias(self, version):
        assert ModelConfig(name="demo", version=version).selector == str(
            getattr(version, "value", version) if version is not None else "latest"
        )

    def test_a_configuration_takes_every_descriptive_field_of_a_model(self, client):
        said = {
            "title": "t",
            "license": "l",
            "description": "d",
            "audience": "a",
            "use_cases": "u",
            "limitations": "i",
            "trade_offs": "o",
            "ethics": "e",
            "tags": ["x"],
            "owners": ["ada"],
        }

        one = pipeline_of(project.noop, model_config=ModelConfig(name="demo", create_new_model_version=True, **said))
        one.run(client=client)
        model = client.get_model("demo")
        assert {field: getattr(model, field) for field in said} == said


def test_external_artifact_parses_only_a_reference_with_model_version_and_name():
    assert ExternalArtifact.parse("demo@1:x") == ExternalArtifact(model="demo", version="1", name="x")
    for text in ("demo:x", "demo@1", "a b@1:x", "demo@1:a/b", "https://example.com@1"):
        assert ExternalArtifact.parse(text) is None


def test_printing_a_secret_hides_its_value():
    assert repr(Secret("x" * 20)) == str(Secret("x" * 20)) == "Secret(...)"
    with pytest.raises(Refused):
        raise Refused("never mind")
