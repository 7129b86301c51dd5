"""Classes with the base class `Frozen` behave like frozen dataclasses, but are faster to import.

`Frozen` compiles the methods of a class only when the process has created several values of the class.
"""

import copy
import dataclasses
import inspect
import pickle
import subprocess
import sys
import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import field, fields, replace
from typing import Any

import pytest

from gitmodel import frozen
from gitmodel.domain.schema.references import VersionRef
from gitmodel.frozen import Frozen


class Link(Frozen, kw_only=True):
    name: str
    size: int = 0
    note: str = field(default="", compare=False, repr=False)
    metadata: Mapping[str, Any] = field(default_factory=dict, metadata={"key": False})


class Attachment(Link, kw_only=True):
    kind: str = "attachment"


class Checked(Frozen):
    number: int
    word: str = "w"

    def __post_init__(self) -> None:
        if self.number < 0:
            raise ValueError("negative")


class Nothing(Frozen):
    pass


class Same(Frozen, eq=False):
    number: int


class Unknown(Frozen, eq=False):
    number: int

    def __eq__(self, other: object) -> bool:
        raise LookupError("unknown")

    __hash__ = object.__hash__


@dataclasses.dataclass(frozen=True, kw_only=True)
class Model:
    name: str
    size: int = 0
    note: str = field(default="", compare=False, repr=False)
    metadata: Mapping[str, Any] = field(default_factory=dict, metadata={"key": False})


def test_fields_and_repr_of_a_value_are_those_of_a_dataclass():
    assert repr(Link(name="a", note="n")) == repr(Model(name="a", note="n")).replace("Model", "Link")
    described = [
        [(each.name, each.default, each.metadata, each.kw_only) for each in fields(each_class)]
        for each_class in (Link, Model)
    ]
    assert described[0] == described[1]
    assert str(inspect.signature(Link)) == str(inspect.signature(Model))
    assert dataclasses.asdict(Link(name="a")) == dataclasses.asdict(Model(name="a"))


def test_values_are_equal_if_their_types_and_their_compared_fields_are_equal():
    assert Link(name="a", note="1") == Link(name="a", note="2") != Link(name="b")
    assert Link(name="a") != Model(name="a")
    assert Link(name="a") != Attachment(name="a")
    assert hash(Checked(1)) == hash(Checked(1))
    assert len({Checked(1), Checked(1, "w"), Checked(1, "v")}) == 2
    assert Nothing() == Nothing() != Same(1) != Same(1)
    assert len({Nothing(), Nothing(), Same(1), Same(1)}) == 3
    with pytest.raises(TypeError, match="unhashable"):
        hash(Link(name="a"))


def test_a_class_that_defines_its_own_comparison_keeps_it():
    with pytest.raises(LookupError, match="unknown"):
        assert Unknown(1) == 1
    value = Unknown(1)
    assert hash(value) == object.__hash__(value)


def test_a_subclass_has_the_fields_of_its_base_and_its_own():
    assert Link(name="a").size == 0  # so that Frozen has prepared the base class before the subclass
    value = Attachment(name="a", size=2)
    assert (value.kind, value.size, [each.name for each in fields(value)][-1]) == ("attachment", 2, "kind")


def test_a_default_factory_is_called_for_each_value():
    assert Link(name="a").metadata is not Link(name="a").metadata


def test_replace_creates_another_value_and_checks_its_fields():
    assert replace(Checked(1), number=2) == Checked(2)
    with pytest.raises(ValueError, match="negative"):
        replace(Checked(1), number=-1)


@pytest.mark.parametrize("arguments", [{}, {"name": "a", "colour": 1}], ids=["missing", "unknown"])
def test_wrong_arguments_raise_the_same_error_as_in_a_dataclass(arguments):
    with pytest.raises(TypeError) as expected:
        Model(**arguments)
    with pytest.raises(TypeError) as found:
        Link(**arguments)
    assert str(found.value) == str(expected.value).replace("Model", "Link")
    with pytest.raises(TypeError, match="positional"):
        Link("a")


@pytest.mark.parametrize(
    ("args", "kwargs"),
    [
        ((1,), {}),
        ((1, "v"), {"key": 2}),
        ((), {"number": 1, "key": 0, "words": [3]}),
        ((), {}),
        ((1, "v", 2), {}),
        ((1,), {"number": 2}),
        ((1,), {"colour": 2}),
        ((-1,), {}),
    ],
    ids=str,
)
def test_values_are_the_same_before_and_after_the_methods_of_a_class_are_compiled(monkeypatch, args, kwargs):
    found = []
    for uses in (0, 1):
        monkeypatch.setattr(frozen, "_UNCOMPILED_USES", uses)

        class First(Checked):
            words: list[int] = field(default_factory=list, kw_only=True)
            key: int = field(default=0, kw_only=True)

        try:
            found.append(vars(First(*args, **kwargs)))
        except (TypeError, ValueError) as error:
            found.append((type(error), str(error)))
    assert found[0] == found[1]


def test_changing_a_field_of_a_value_raises_an_error():
    value = Checked(1)
    with pytest.raises(dataclasses.FrozenInstanceError, match="cannot assign to field 'number'"):
        value.number = 2
    with pytest.raises(dataclasses.FrozenInstanceError, match="cannot delete field 'number'"):
        del value.number
    assert value == Checked(1)


@pytest.mark.parametrize("again", [copy.copy, copy.deepcopy, lambda value: pickle.loads(pickle.dumps(value))])
def test_a_copy_or_pickle_of_a_value_is_equal_to_the_value(again):
    value = Link(name="a", metadata={"x": [1]})
    assert again(value) == value


def test_a_process_can_unpickle_a_value_before_it_created_a_value_of_the_class():
    data = pickle.dumps(VersionRef("iris", 3))
    code = "import pickle, sys; a, b = map(pickle.load, [sys.stdin.buffer] * 2); print(a == b, {a: 1}[b], a)"
    said = subprocess.run([sys.executable, "-c", code], input=data * 2, capture_output=True, check=True)
    assert said.stdout.decode().split() == ["True", "1", "iris@3"]


def test_threads_that_create_the_first_values_of_a_class_at_the_same_time_get_correct_values(monkeypatch):
    class First(Frozen):
        number: int

    compile_init, both = frozen._compile_init, threading.Barrier(2, timeout=20)

    def compile_together(cls):
        both.wait()
        return compile_init(cls)

    monkeypatch.setattr(frozen, "_UNCOMPILED_USES", 0)
    monkeypatch.setattr(frozen, "_compile_init", compile_together)
    with ThreadPoolExecutor(2) as pool:
        assert [value.number for value in pool.map(First, (1, 2))] == [1, 2]


def test_threads_that_read_the_fields_of_a_class_at_the_same_time_compute_them_once(monkeypatch):
    class First(Frozen):
        number: int = field(default=0)
        words: Mapping[str, Any] = field(default_factory=dict)

    dataclass, both, calls = dataclasses.dataclass, threading.Barrier(2), []

    def dataclass_together(**options):
        calls.append(options)
        with suppress(threading.BrokenBarrierError):
            both.wait(timeout=0.2)  # raises after 0.2 s, because a lock must keep the second thread from calling
        return dataclass(**options)

    monkeypatch.setattr(dataclasses, "dataclass", dataclass_together)
    with ThreadPoolExecutor(2) as pool:
        found = pool.map(fields, (First, First))
    assert [[each.name for each in found_fields] for found_fields in found] == [["number", "words"]] * 2
    assert len(calls) == 1
    assert First().words == {}
