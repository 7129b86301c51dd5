"""Parameters of a pipeline from TOML and YAML files, checked by the annotations of the pipeline."""

import enum
import functools
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Literal, Optional

import project
import pytest
from pydantic import BaseModel, Field

from gitmodel import Secret, pipeline
from gitmodel.errors import GitModelError, Invalid, NotFound, UsageError
from gitmodel.pipelines.parameters.annotated_parameters import from_file
from gitmodel.pipelines.parameters.parameter_files import read_parameter_file


class Mode(enum.Enum):
    FAST = 1
    SLOW = "slow"


@dataclass
class Options:
    depth: int
    rates: tuple[float, ...] = ()


class Limits(BaseModel):
    low: int = 0


def train(
    rounds: int = 1,
    rate: float = 0.5,
    note: str = "",
    optimizer: Literal["adam", "sgd"] = "adam",
    mode: Mode | None = None,
    options: Options | None = None,
    limits: Limits | None = None,
    depth: Optional[int] = None,  # noqa: UP045  (the other spelling of a union)
    day: date | None = None,
    data: Path = Path(),
    layers: list[int] = [],  # noqa: B006
    weights: dict[str, float] = {},  # noqa: B006
    either: int | str = 0,
    share: Annotated[float, Field(gt=0)] = 1.0,
    token: Secret | None = None,
    anything: Any = None,
) -> None: ...


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    monkeypatch.chdir(tmp_path)

    def write_(text: str, name: str = "params.yaml") -> Path:
        Path(name).write_text(text, encoding="utf-8")
        return Path(name)

    return write_


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("rounds: 3", 3),
        ("rate: 1", 1.0),
        ("rate: 1e-3", 0.001),
        ("note: no", "no"),
        ("note: '1.10'", "1.10"),
        ("optimizer: sgd", "sgd"),
        ("mode: FAST", Mode.FAST),
        ("mode: slow", Mode.SLOW),
        ("mode: null", None),
        ("options: {depth: 3, rates: [0.5, 1]}", Options(3, (0.5, 1.0))),
        ("limits: {low: 2}", Limits(low=2)),
        ("depth: ~", None),
        ("day: 2026-01-02", date(2026, 1, 2)),
        ("data: data/iris.csv", Path("data/iris.csv")),
        ("layers: [64, 32]", [64, 32]),
        ("weights: {a: 1}", {"a": 1.0}),
        ("either: 5", 5),
        ("either: five", "five"),
        ("share: 0.5", 0.5),
        ("anything: [1, {a: true}]", [1, {"a": True}]),
        ("weights: &w {a: 1}\nanything: {<<: *w, b: 2}", {"a": 1, "b": 2}),
    ],
)
def test_a_value_gets_the_type_of_its_annotation(write: Callable[..., Path], text: str, value: Any) -> None:
    found = list(from_file(train, write(text)).values())[-1]
    assert (found, type(found)) == (value, type(value))


def test_a_date_in_a_toml_file_of_parameters_is_read_as_a_date(write: Callable[..., Path]) -> None:
    path = write("rounds = 3\nday = 2026-01-02\n[options]\ndepth = 1\n", "params.toml")
    assert from_file(train, path) == {"rounds": 3, "day": date(2026, 1, 2), "options": Options(1)}


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("rounds: five", "params.yaml is 'five', and its annotation is int\nhint: for example: rounds: 3"),
        ("rounds: '5'", "parameter rounds in params.yaml is '5', and its annotation is int"),
        ("rounds: true", "parameter rounds in params.yaml is True, and its annotation is int"),
        ("note: 1.10", "parameter note in params.yaml is 1.1, and its annotation is str"),
        ("optimizer: adm", r"Literal\['adam', 'sgd'\]\nhint: expected 'adam' or 'sgd'"),
        ("options: {depth: deep}", "parameter options.depth in params.yaml is 'deep'"),
        ("options: {depth: 1, rats: 2}", r"parameter options.rats .*\nhint: unknown key; the keys are depth, rates"),
        ("options: {rates: [1]}", r"\nhint: depth is missing"),
        ("limits: {high: 2}", r"parameter limits.high .*\nhint: unknown key; the keys are low"),
        ("layers: [1, x]", r"parameter layers\[1\] in params.yaml is 'x', and the annotation of layers is list\[int\]"),
        ("share: 0", r"parameter share .*\nhint: expected greater than 0"),
        ("depth: x", "parameter depth in params.yaml is 'x'"),
        ("ruonds: 3", r"has no parameter ruonds in params.yaml\nhint: did you mean rounds\?"),
        ("rounds: ghp_0123456789abcdefghijklmnopqrstuvwxyzABCD", r"parameter rounds in params.yaml is \(hidden\)"),
    ],
)
def test_the_error_for_a_wrong_parameter_names_file_key_expected_type_and_value(
    write: Callable[..., Path], text: str, error: str
) -> None:
    with pytest.raises(UsageError, match=error):
        from_file(train, write(text))


@pytest.mark.parametrize(
    ("name", "text", "error", "kind"),
    [
        ("a.yaml", "a: &a [*a]", "line 1: a value contains itself through an alias", Invalid),
        ("a.yaml", "a: &a\n  b: *a", "a value contains itself through an alias", Invalid),
        ("a.yaml", "a: 1\nb: 2\na: 3", "line 3: the key a is given twice", Invalid),
        ("a.yaml", "a: !!python/object/apply:os.system [ls]", "the tag .*os.system is not allowed", Invalid),
        ("a.yaml", "a: " + "[" * 5000 + "]" * 5000, "nested too deep", Invalid),
        ("a.yaml", 'a: "\\uD800"', "line 1: a text has an incomplete character", Invalid),
        ("a.yaml", "a: *b", "line 1: found undefined alias", Invalid),
        ("a.yaml", "- 1", "holds no table of parameters", Invalid),
        ("a.yaml", "a" * 10_000_000, "longer than 256 KiB", Invalid),
        ("a.toml", "a" * 10_000_000, "longer than 256 KiB", Invalid),
        ("a.toml", "a = 1\na = 2", "duplicate key", Invalid),
        ("a.toml", "a = " + "[" * 5000, "is not valid", Invalid),
        ("a.json", "{}", "neither TOML nor YAML", UsageError),
        (".yaml", None, "is neither|does not exist", GitModelError),
        ("b.toml", None, "b.toml does not exist", NotFound),
    ],
)
def test_a_file_that_cannot_be_read_is_refused(
    write: Callable[..., Path], name: str, text: str | None, error: str, kind: type[GitModelError]
) -> None:
    path = Path(name) if text is None else write(text, name)
    with pytest.raises(kind, match=error) as raised:
        read_parameter_file(path)
    assert len(str(raised.value)) < 400


@pytest.mark.parametrize("item", ["[{}]", "{{<<: [{}]}}"])
def test_yaml_aliases_that_multiply_are_refused_before_they_fill_the_memory(
    write: Callable[..., Path], item: str
) -> None:
    lines = ["a0: &a0 " + item.format("{x: 1}")]
    lines += [f"a{n}: &a{n} " + item.format(", ".join([f"*a{n - 1}"] * 10)) for n in range(1, 12)]
    with pytest.raises(Invalid, match="more than 20000 values"):
        read_parameter_file(write("\n".join(lines)))


def test_the_message_about_a_syntax_error_does_not_quote_the_file_of_parameters(write: Callable[..., Path]) -> None:
    with pytest.raises(Invalid) as raised:
        read_parameter_file(write("token: 'correct-horse"))
    assert "correct-horse" not in str(raised.value)


def test_a_parameter_annotated_as_secret_is_not_recorded(client, write, written) -> None:
    @pipeline
    def login(token: Secret, rounds: int = 1) -> None:
        project.hand_over(token)

    path = write("token: correct-horse-battery\nrounds: 2")
    run = login.run(client=client, **login.read_parameters(path))
    assert client.get_run(run.id).parameters == {"token": "(secret)", "rounds": 2}
    assert "correct-horse-battery" not in written()


def test_a_parameter_that_looks_like_a_credential_is_refused(client, write) -> None:
    @pipeline
    def login(token: str) -> None:
        project.hand_over(token)

    path = write("token: ghp_0123456789abcdefghijklmnopqrstuvwxyzABCD")
    with pytest.raises(GitModelError, match="Secret"):
        login.run(client=client, **login.read_parameters(path))


class TestFunctionsThatCannotBeSteps:
    """`@step` on a method, a partial or another unsupported function. The error names its kind and what to write."""

    @staticmethod
    def refused(function: Any) -> str:
        from gitmodel import step

        messages = []
        for decorator in (step, pipeline):
            with pytest.raises(UsageError) as raised:
                decorator(function)
            messages.append(str(raised.value))
        return messages[0]

    def test_a_step_from_a_partial_is_refused(self) -> None:
        assert "not the partial of train\nhint: write `def NAME" in self.refused(
            functools.partial(train, rounds=object())
        )

    def test_a_step_from_a_method_is_refused(self) -> None:
        class Trainer:
            def fit(self, rows: list) -> None: ...

        assert "not the method" in self.refused(Trainer().fit)
        assert "fit is a method: its first parameter is self" in self.refused(Trainer.fit)

    def test_a_step_from_an_async_function_is_refused(self) -> None:
        async def fetch() -> int:
            return 1

        async def stream() -> Any:
            yield 1

        assert "step fetch is async\nhint: write `def fetch`, and call asyncio.run" in self.refused(fetch)
        assert "step stream is async" in self.refused(stream)

    def test_a_step_from_a_generator_or_a_class_is_refused(self) -> None:
        def rows() -> Any:
            yield 1

        assert "step rows is a generator" in self.refused(rows)
        assert "is not a function" in self.refused(int)
        assert "write @staticmethod above @step" in self.refused(staticmethod(train))
