"""Parameters of steps: a step gets the passed values, and the record of the run contains them as plain values."""

import copy
import enum
from dataclasses import dataclass
from datetime import date
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, Literal, Optional

import numpy
import project
import pytest
from project import DEMO, Mode, Options, pipeline_of

from gitmodel import ExternalArtifact, pipeline, step
from gitmodel.cli.options import read_value
from gitmodel.errors import NotFound, UsageError
from gitmodel.pipelines.parameters.annotated_parameters import as_annotated, from_texts

VALUES = [
    ({0: 1.0, 1: 5.0}, {"0": 1.0, "1": 5.0}),
    ((1, 2), [1, 2]),
    ([{"units": 64}], [{"units": 64}]),
    (PurePosixPath("data/iris.csv"), "data/iris.csv"),
    (Mode.FAST, "FAST"),
    (date(2026, 1, 2), date(2026, 1, 2)),
    (Options(3, (0.5,)), {"depth": 3, "weights": [0.5]}),
    (numpy.int64(3), 3),
    ({"a": None, "b": {1, 2}}, {"b": [1, 2]}),
    (float("inf"), float("inf")),
    (None, None),
    ("postgres@db1:5432", "postgres@db1:5432"),
]


@pytest.mark.parametrize("executor", ["in-order", "processes:1"])
def test_a_step_gets_the_passed_values_and_the_record_has_plain_values(client, executor):
    @pipeline(model_config=DEMO)
    def one():
        for value, _ in VALUES:
            project.describe(copy.deepcopy(value))

    run = one.run(client=client, executor=executor)
    assert [ran.parameters.get("value") for ran in run.steps] == [kept for _, kept in VALUES]
    told = {artifact.name: artifact.load() for artifact in client.get_version("demo").artifacts}
    assert [told[min(ran.outputs)] for ran in run.steps] == [project.describe.function(value) for value, _ in VALUES]


def test_a_pipeline_takes_the_same_values_as_a_step(client):
    @pipeline
    def one(data: Path, mode: Mode, options: Options, depth: int | None):
        project.describe(data)

    run = one.run(client=client, data=PurePosixPath("a"), mode=Mode.FAST, options=Options(2), depth=None)
    kept = {"data": "a", "mode": "FAST", "options": {"depth": 2, "weights": []}}
    assert client.get_run(run.id).record.parameters == kept


def test_the_cache_distinguishes_values_that_are_recorded_alike(client):
    def runs(value):
        return pipeline_of(lambda: project.describe(value)).run(client=client).steps[0].status

    values = [(1, 2), [1, 2], {"a": None, "b": 1}, {"b": 1, "c": None}, PurePosixPath("a"), "a", Mode.FAST, "FAST"]
    assert [runs(value) for value in values] == ["succeeded"] * len(values)
    assert [runs(value) for value in values] == ["cached"] * len(values)


def test_an_array_as_a_parameter_is_refused(client):
    one = pipeline_of(lambda x: project.describe(x))
    two = pipeline_of(lambda: project.describe(numpy.zeros(3)), name="two")
    for tried, arguments in ((one, {"x": numpy.zeros(3)}), (two, {})):
        with pytest.raises(UsageError, match="is an ndarray, which cannot be a parameter"):
            tried.run(client=client, **arguments)


def test_the_error_for_a_value_inside_a_parameter_names_its_path(client):
    with pytest.raises(UsageError, match=r"value of step describe cannot be recorded: value.layers\[1\].units is an"):
        pipeline_of(lambda: project.describe({"layers": [{"units": 64}, {"units": object()}]})).run(client=client)


class TestTextLikeAReference:
    """A text such as `iris@1:train` means an artifact only if the parameter's annotation excludes text."""

    @pytest.mark.parametrize(
        "annotation", [str, str | None, Any, object, Literal["a@b:c"], Annotated[str, "x"], str | dict]
    )
    def test_a_text_that_looks_like_a_reference_stays_text_if_the_annotation_allows_text(self, client, annotation):
        @step
        def read(url) -> str:
            return url

        read.function.__annotations__["url"] = annotation

        pipeline_of(lambda: read("postgres@db1:5432"), model_config=DEMO).run(client=client)
        assert client.get_version("demo").get_artifact("read").load() == "postgres@db1:5432"

    @pytest.mark.parametrize("annotation", [dict, dict | None, dict[str, int], Path, Annotated[dict, "x"]])
    def test_a_text_that_looks_like_a_reference_is_used_as_a_reference_if_the_annotation_excludes_text(
        self, client, annotation
    ):
        @step
        def read(found): ...

        read.function.__annotations__["found"] = annotation

        with pytest.raises(NotFound, match="postgres"):
            pipeline_of(lambda: read("postgres@db1:x")).run(client=client)

    def test_an_external_artifact_for_a_parameter_without_annotation_is_looked_up(self, client):
        @step
        def read(found): ...

        with pytest.raises(NotFound, match="postgres"):
            pipeline_of(lambda: read(ExternalArtifact("postgres", "x"))).run(client=client)


def test_an_output_whose_annotation_allows_none_has_the_name_of_the_annotation(client):
    @step
    def split() -> tuple[
        Annotated[int, "a"],
        Annotated[int, "b"],
        Optional[Annotated[int, "n"]],  # noqa: UP045 (people write it)
        Annotated[int, "d"],
    ]:
        return [1, 2, 3, 4]

    @step
    def alone() -> Annotated[int, "x"] | None:
        return 5

    pipeline_of(lambda: (split(), alone()), model_config=DEMO).run(client=client)
    found = {artifact.name: artifact.load() for artifact in client.get_version("demo").artifacts}
    assert found == {"a": 1, "b": 2, "n": 3, "d": 4, "x": 5}


class Speed(enum.Enum):
    FAST = 1
    SLOW = "slow"


@dataclass
class Config:
    rate: float
    weights: dict[int, float]


def test_recorded_parameters_are_converted_back_by_their_annotations():
    def train(data: Path, speed: Speed, other: Speed, config: Config, pair: tuple[int, int], name: str, depth): ...

    recorded = {
        "data": "a/b",
        "speed": "FAST",
        "other": "slow",
        "config": {"rate": 0.1, "weights": {"0": 1.0}},
        "pair": [1, 2],
        "name": "3",
        "depth": 4,
    }
    assert as_annotated(train, recorded) == {
        "data": Path("a/b"),
        "speed": Speed.FAST,
        "other": Speed.SLOW,
        "config": Config(0.1, {0: 1.0}),
        "pair": (1, 2),
        "name": "3",
        "depth": 4,
    }


def test_texts_from_a_shell_get_the_types_of_the_annotations():
    def train(
        name: str, rate: float, rows: int, fast: bool, data: Path, speed: Speed, pair: tuple[int, int], depth
    ): ...

    texts = {"name": "1.10", "rate": "1", "rows": "3", "fast": "true", "data": "a/b", "speed": "FAST", "depth": "4"}
    assert from_texts(train, {**texts, "pair": "[1, 2]"}, read_value) == {
        "name": "1.10",
        "rate": 1.0,
        "rows": 3,
        "fast": True,
        "data": Path("a/b"),
        "speed": Speed.FAST,
        "pair": (1, 2),
        "depth": 4,
    }


@pytest.mark.parametrize("text", ["rate=abc", "rate=true", "rows=1.5", "rows=true", "fast=1", "fast=yes"])
def test_a_text_from_a_shell_that_is_not_of_the_annotated_type_is_refused(text):
    def train(rate: float, rows: int, fast: bool): ...

    name, _, value = text.partition("=")
    with pytest.raises(UsageError, match=f"parameter {name} is '{value}', and its annotation is ") as caught:
        from_texts(train, {name: value}, read_value)
    assert f"--param {name}=" in caught.value.hint
