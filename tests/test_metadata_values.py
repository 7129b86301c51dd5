"""Values of metadata: common Python types are recorded, and the error for any other value names its path."""

import argparse
import collections
import enum
import pathlib
import types
from dataclasses import dataclass, field
from datetime import date, datetime, timezone

import attrs
import numpy
import pandas
import pydantic
import pytest

from gitmodel.domain.arguments.plain_values import read_values
from gitmodel.errors import UsageError


class Colour(enum.Enum):
    RED = "red"
    NUMBER = 5
    PAIR = (1, 2)


class Level(enum.IntEnum):
    LOW = 1


@dataclass
class Optimizer:
    name: str
    rate: float = 0.1
    extra: dict = field(default_factory=dict)


class Settings(pydantic.BaseModel):
    depth: int | None = None
    optimizer: Optimizer = Optimizer("adam")


@attrs.define
class Layer:
    units: int


NOON = datetime(2026, 1, 2, 12, tzinfo=timezone.utc)


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        ({0: 1.0, 1: 5.0}, {"0": 1.0, "1": 5.0}),
        ({numpy.int64(3): "x", 0.5: "y", True: "z"}, {"3": "x", "0.5": "y", "true": "z"}),
        ({Colour.RED: 1, date(2026, 1, 2): 2}, {"red": 1, "2026-01-02": 2}),
        ({"a": None, "b": {"c": None}}, {"b": {}}),
        ([{"units": 64}, {"units": 32}], [{"units": 64}, {"units": 32}]),
        ((1, 2), [1, 2]),
        ({3, 1, 2}, [1, 2, 3]),
        (range(3), [0, 1, 2]),
        (collections.OrderedDict(a=1), {"a": 1}),
        (pathlib.PurePosixPath("data/iris.csv"), "data/iris.csv"),
        (Colour.RED, "red"),
        (Colour.NUMBER, "NUMBER"),
        (Colour.PAIR, "PAIR"),
        (Level.LOW, 1),
        (date(2026, 1, 2), date(2026, 1, 2)),
        ([NOON, NOON], [NOON, NOON]),
        (pandas.Timestamp(NOON), NOON),
        (numpy.datetime64("2026-01-02T12:00:00", "ns"), datetime(2026, 1, 2, 12)),
        (Optimizer("adam", extra={1: 2}), {"name": "adam", "rate": 0.1, "extra": {"1": 2}}),
        (Settings(), {"optimizer": {"name": "adam", "rate": 0.1, "extra": {}}}),
        ([Layer(64)], [{"units": 64}]),
        (argparse.Namespace(lr=0.1), {"lr": 0.1}),
        (types.SimpleNamespace(lr=0.1), {"lr": 0.1}),
        (numpy.float32(0.5), 0.5),
        (numpy.bool_(True), True),
        (numpy.str_("x"), "x"),
        (numpy.array([[1, 2]]), [[1, 2]]),
        (pandas.Series([1.5, 2.5]), [1.5, 2.5]),
        (float("inf"), float("inf")),
    ],
)
def test_a_value_of_a_common_type_is_recorded(value, kept):
    found = read_values({"x": value})
    assert found == {"x": kept}
    assert type(found["x"]) is type(kept)


CYCLE: list = []
CYCLE.append(CYCLE)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ([{"units": 64}, {"units": object()}], r"x\[1\].units is an object"),
        ([1, None], r"x\[1\] is None"),
        ({"a": {"b": lambda: 1}}, r"x.a.b is a function"),
        (Optimizer("adam", extra={"f": len}), r"x.extra.f is a builtin_function"),
        ([{"a": 1}, 2], "x is a list with tables and other values"),
        ([[{"a": 1}]], r"x\[0\] is a list of tables in a list"),
        ({1: "a", "1": "b"}, "x has the key 1 twice"),
        ({(1, 2): "a"}, "x has a key that is not a text"),
        (2**70, "x holds a whole number that does not fit 64 bits"),
        (b"raw", "x is a bytes"),
        (1 + 2j, "x is a complex"),
        (numpy.longdouble(0.5), "x holds a .*longdouble, which is not a number of 64 bits"),
        (numpy.zeros(100_000), "x holds an array of 100000 items"),
        (numpy.zeros(2, dtype=complex), r"x\[0\] is a complex"),
        (pandas.DataFrame({"a": [1]}), "x is a DataFrame"),
        (CYCLE, "is nested more than 8 deep"),
    ],
)
def test_the_error_for_a_value_that_no_record_can_hold_names_its_path(value, said):
    with pytest.raises(UsageError, match=said):
        read_values({"x": value})


def test_logging_none_removes_the_key_from_the_metadata(client):
    version = client.get_version("iris@1")
    version.log_metadata(best=3, rows=150)
    version.log_metadata(best=None)
    assert client.get_version("iris@1").metadata == {"rows": 150}


def test_metadata_with_lists_of_tables_and_times_is_shown_and_filtered(client):
    client.get_version("iris@1").log_metadata(layers=[{"units": 64}], days=[date(2026, 1, 2)], scores={0: 0.5})
    assert client.get_version("iris@1").metadata == {
        "layers": [{"units": 64}],
        "days": [date(2026, 1, 2)],
        "scores": {"0": 0.5},
    }
    model = client.get_model("iris")
    assert [v.number for v in model.list_versions(filter="metadata.layers[0].units == 64")] == [1]
    assert [v.number for v in model.list_versions(filter='metadata.days[0] == "2026-01-02"')] == [1]
