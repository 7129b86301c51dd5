"""Saving values as artifacts: a loaded value equals the saved value in type and content, or saving is refused.

After saving a value, gitmodel loads the file and compares both values. It compares tables in groups of rows.
"""

import datetime
import json
import uuid
from decimal import Decimal
from fractions import Fraction
from zoneinfo import ZoneInfo

import numpy
import pandas
import pyarrow
import pyarrow.parquet
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as numpy_strategies
from sklearn.base import BaseEstimator
from sklearn.ensemble import GradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression

from gitmodel.errors import Invalid, UsageError
from gitmodel.formats import detect_format, load, materializers, save
from gitmodel.formats.comparison.differences import difference
from gitmodel.formats.shipped import tables

BERLIN = ZoneInfo("Europe/Berlin")
DAYS = pandas.date_range("2024-01-01", periods=3, freq="D")
HYPOTHESIS = settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)

CATEGORIES = {
    "int": [3, 1, 3],
    "float": [0.5, 1.5, 0.5],
    "bool": [True, False, True],
    "text": ["b", "a", "b"],
    "time": [*DAYS],
    "zone": [*DAYS.tz_localize(BERLIN)],
    "timedelta": [*pandas.to_timedelta([1, 2, 1], "s")],
    "period": [*pandas.period_range("2020", periods=3, freq="M")],
    "interval": [*pandas.interval_range(0, 3)],
    "date": [datetime.date(2020, 1, 1), datetime.date(2021, 1, 1), datetime.date(2020, 1, 1)],
    "decimal": [Decimal("1.0"), Decimal("2.00"), Decimal("1.0")],
    "tuple": [(1, 2), (3,), (1, 2)],
    "mixed": [1, "a", 1],
}
OBJECTS = [1, "a", None, 1.5, True, b"x", datetime.date(2020, 1, 1), Decimal("1.50"), uuid.UUID(int=3), 1j, pandas.NA]
OBJECTS += [pandas.NaT, numpy.float32(3), numpy.nan, pandas.Period("2020"), pandas.Interval(0, 1), {"a": (1,)}, {1: 2}]


def with_attrs(value, attrs):
    value.attrs = attrs
    return value


def objects(*cells):
    return pandas.Series(list(cells), dtype=object)


def dictionary(codes, *values):
    """Return a dictionary array of Arrow (in pandas a Categorical): *codes* are positions in the list *values*."""
    return pyarrow.DictionaryArray.from_arrays(pyarrow.array(codes, pyarrow.int8()), [*values], ordered=True)


def of_arrow(array):
    return pandas.Series(pandas.arrays.ArrowExtensionArray(array))


FRAMES = {
    "whole numbers above 2**53 with None": lambda: pandas.DataFrame({"a": objects(2**53 + 1, None, 3)}),
    "whole numbers above 2**64": lambda: pandas.DataFrame({"a": objects(2**70, None)}),
    "every kind of cell": lambda: pandas.DataFrame({"a": objects(*OBJECTS)}),
    "tuples": lambda: pandas.DataFrame({"a": [(1, 2), (3, "x"), None]}),
    "dicts": lambda: pandas.DataFrame({"a": [{"x": 1}, {"y": 2}]}),
    "lists": lambda: pandas.DataFrame({"a": [[1, 2], [], ["a"]]}),
    "one type of items": lambda: pandas.DataFrame({
        "int": [(1, 2), None, (), (None,)],
        "text": [["a", None], [], ["b"], None],
        "float": [(0.5, -0.0), (None, 1e300), (), None],
        "bool": [[True], [None], [False], []],
        "bytes": [(b"x",), None, (), (b"",)],
        "empty": [(), (), (), ()],
    }),
    "lists and tuples": lambda: pandas.DataFrame({"a": objects([1], (1,), None), "b": objects([(1,)], [[1]], [{1}])}),
    "floats with None": lambda: pandas.DataFrame({"a": objects(0.5, None, numpy.nan, -0.0)}),
    "arrays in cells": lambda: pandas.DataFrame({"a": [numpy.float32([1, 2]), numpy.float32([]), None]}),
    "mixed zones": lambda: pandas.DataFrame({"a": objects(DAYS[0].tz_localize("UTC"), DAYS[0].tz_localize(BERLIN))}),
    "one zone": lambda: pandas.DataFrame({"a": DAYS.tz_localize(BERLIN)}),
    "seconds": lambda: pandas.DataFrame({"a": numpy.array(["2020-01-01", "NaT"], "M8[s]")}),
    "labels that are not text": lambda: pandas.DataFrame({1: [1], "1": [2], (1, 2): [3], None: [4], 1.5: [5]}),
    "labels of a range": lambda: pandas.DataFrame(numpy.eye(2)),
    "labels that are times": lambda: pandas.DataFrame([[1, 2, 3]], columns=DAYS),
    "labels that repeat": lambda: pandas.DataFrame([[1, 2.5, "x"]], columns=["a", "a", "a_2"]),
    "a name of the columns": lambda: pandas.DataFrame([[1]], columns=pandas.Index(["a"], name="c")),
    "crosstab": lambda: pandas.crosstab(pandas.Series([1, 2, 1], name="r"), pandas.Series(["a", "b", "a"], name="c")),
    "crosstab of two": lambda: pandas.crosstab(
        pandas.Series([1, 2]), [pandas.Series(["a", "b"]), pandas.Series([1, 2])]
    ),
    "crosstab of a cut": lambda: pandas.crosstab(pandas.Series([1, 2]), pandas.cut(pandas.Series([1, 3]), [0, 1, 3])),
    "aggregates": lambda: pandas.DataFrame({"a": [1, 1], "v": [1, 2]}).groupby("a").agg(["mean", "min"]),
    "freq": lambda: pandas.DataFrame({"a": [1, 2, 3]}, index=DAYS),
    "attrs": lambda: with_attrs(pandas.DataFrame({"a": [1]}), {"unit": ("m", 1), 3: None}),
    "index of two levels": lambda: pandas.DataFrame(
        {"a": [1, 2]}, index=pandas.MultiIndex.from_tuples([(1, "a"), (None, "b")], names=["x", None])
    ),
    "index of categories": lambda: pandas.DataFrame({"a": [1, 2]}, index=pandas.CategoricalIndex([2, 1])),
    "index named as a column": lambda: pandas.DataFrame({"a": [1]}, index=pandas.Index([5], name="a")),
    "index of tuples": lambda: pandas.DataFrame({"a": [1]}, index=pandas.Index([(1, 2)], tupleize_cols=False)),
    "masked": lambda: pandas.DataFrame({
        **{name: pandas.array([1, None], dtype=name) for name in ("Int8", "UInt64", "Float64")},
        "b": pandas.array([True, None], dtype="boolean"),
    }),
    "text of each kind": lambda: pandas.DataFrame({
        "a": pandas.array(["a", None], dtype="string[python]"),
        "b": pandas.array(["a", None], dtype="string[pyarrow]"),
        "c": objects("a", None),
        "d": objects("a", numpy.nan),
    }),
    "types of Arrow": lambda: pandas.DataFrame({
        "a": pandas.Series([[1], None], dtype=pandas.ArrowDtype(pyarrow.list_(pyarrow.int32()))),
        "b": pandas.Series([Decimal("1.20"), None], dtype=pandas.ArrowDtype(pyarrow.decimal128(5, 2))),
    }),
    "NaN of Arrow": lambda: pandas.DataFrame({
        "a": pandas.Series(pyarrow.array([numpy.nan, None]), dtype=pandas.ArrowDtype(pyarrow.float64())),
        "b": pandas.Series(pandas.arrays.ArrowExtensionArray(pyarrow.array([[numpy.nan], None]))),
    }),
    "sparse": lambda: pandas.DataFrame({"a": pandas.arrays.SparseArray([0, 0, 1])}),
    "sparse in blocks": lambda: pandas.DataFrame({"a": pandas.arrays.SparseArray([0, 0, 1], kind="block")}),
    "NaN and missing": lambda: pandas.DataFrame({
        name: pandas.arrays.FloatingArray(numpy.array([numpy.nan, 1, -0.0], kind), numpy.array([False, True, False]))
        for name, kind in {"a": "f8", "b": "f4"}.items()
    }),
    "long long": lambda: pandas.DataFrame({"a": numpy.array([1], numpy.longlong)}),
    "ordered dictionaries of Arrow": lambda: pandas.DataFrame({
        name: of_arrow(dictionary([1, 0, None, 1], *values))
        for name, values in {"a": [7, 5, 6], "b": ["z", "a"], "c": [Decimal("2.0"), Decimal("1.0")]}.items()
    }),
    "levels named by numbers": lambda: pandas.DataFrame(
        {"a": [1, 2]}, index=pandas.MultiIndex.from_tuples([(1, "a"), (None, "b")], names=[1, 0])
    ),
    "a level named by the place of another": lambda: pandas.Series(
        [1, 2], index=pandas.MultiIndex.from_tuples([(1, "a"), (2, "b")], names=["x", 0])
    ),
    "periods": lambda: pandas.DataFrame({"a": pandas.PeriodIndex(["2020-01", None], freq="M")}),
    "intervals": lambda: pandas.DataFrame({"a": pandas.arrays.IntervalArray.from_tuples([(0, 1), None])}),
    "categories out of order": lambda: pandas.DataFrame({"a": pandas.Categorical([1, 2], categories=[9, 2, 1, 5])}),
    "many categories": lambda: pandas.DataFrame({"a": pandas.Categorical([str(n) for n in range(30_000, 0, -1)])}),
    "nothing": pandas.DataFrame,
    "no columns": lambda: pandas.DataFrame(index=["a", "b"]),
    "no columns, a range": lambda: pandas.DataFrame(index=range(5)),
    "no rows": lambda: pandas.DataFrame({"a": pandas.Series([], dtype="int8"), "b": objects()}),
    "series": lambda: pandas.Series([1, 2], name="y", index=[5, 6]),
    "unnamed series": lambda: pandas.Series([1.5, 2]),
    "series named by a number": lambda: pandas.Series([1], name=1),
    "series named by a tuple": lambda: pandas.Series([1], name=("a", 1)),
    "series with attrs": lambda: with_attrs(pandas.Series([1], name="a"), {"unit": ("m", 1), 3: None}),
    "series with freq": lambda: pandas.Series([1, 2, 3], index=DAYS),
    "value counts": lambda: pandas.Series(["a", "a", "b"]).value_counts(),
    "index": lambda: pandas.Index([1, 2], name="n"),
    "index of text": lambda: pandas.Index(["a", None]),
    "range index": lambda: pandas.RangeIndex(1, 9, 2, name="k"),
    "time index": lambda: DAYS.tz_localize(BERLIN),
    "period index": lambda: pandas.period_range("2020", periods=2, freq="Q"),
    "interval index": lambda: pandas.interval_range(0, 2),
    "multi index": lambda: pandas.MultiIndex.from_product([[1, 2], ["a"]], names=["q", None]),
    "categorical": lambda: pandas.Categorical([1, 2]),
    "array of pandas": lambda: pandas.array([1, None]),
    "arrow table": lambda: pyarrow.table({
        "a": [1, None],
        "t": pyarrow.array([1, 2], pyarrow.timestamp("s")),
        "n": [float("nan"), 1.0],
        "d": pyarrow.array([1, 2]).dictionary_encode(),
        "o": dictionary([1, 0], 7, 5, 6),
        "l": pyarrow.array([[1], None], pyarrow.large_list(pyarrow.int8())),
    }).replace_schema_metadata({"k": "v"}),
}  # fmt: skip
for _name, _cells in CATEGORIES.items():
    FRAMES[f"{_name} categories"] = lambda cells=_cells: pandas.DataFrame({
        "all": objects(*cells).infer_objects().astype("category") if cells is not CATEGORIES["mixed"] else (
            objects(*cells).astype("category")
        ),
        "gaps": objects(*cells).infer_objects().astype("category").where([True, True, False]),
    })  # fmt: skip

RECORD = [("x", "i4"), ("y", "U3")]
ARRAYS = {
    "long long": lambda: numpy.array([[1]], numpy.longlong),
    "matrix": lambda: numpy.matrix([[1, 2]]),
    "record array": lambda: numpy.rec.array([(1, "a")], dtype=RECORD),
    "structured": lambda: numpy.array([(1, "a")], dtype=RECORD),
    "structured with padding": lambda: numpy.array([(1, 2.0)], numpy.dtype([("a", "i1"), ("b", "f8")], align=True)),
    "objects": lambda: numpy.array([[1, "a"], [None, (1, 2)]], dtype=object),
    "text": lambda: numpy.array(["a", "öö"]),
    "masked": lambda: numpy.ma.array([1.0, 2], mask=[0, 1], fill_value=7),
    "times": lambda: numpy.array(["2020", "NaT"], "M8[D]"),
    "big-endian": lambda: numpy.array([1, 2], ">i8"),
    "strided": lambda: numpy.arange(24.0).reshape(4, 6).T[::2],
    "no dimensions": lambda: numpy.array(3.5),
    "not a number": lambda: numpy.array([numpy.nan, complex(numpy.nan, 1)]),
    "dict": lambda: {"a/b": numpy.eye(2), "m": numpy.matrix([1])},
    "record": lambda: numpy.rec.array([(1, "a")], dtype=RECORD)[0],
    **{
        f"numpy.{scalar.dtype.name}": lambda scalar=scalar: scalar
        for scalar in [
            *(numpy.float64("nan"), numpy.float32(0.1), numpy.float16(2), numpy.int8(3), numpy.uint64(2**64 - 1)),
            *(numpy.bool_(True), numpy.str_("x"), numpy.bytes_(b"x"), numpy.datetime64("2020"), numpy.complex64(1j)),
            *(numpy.timedelta64(3, "h"), numpy.longdouble(1) / 3),
        ]
    },
}

PLAIN = {
    "tuple": (1, (2,)),
    "nested": {"a": (1, [2, {3: {4}}])},
    "keys that are not text": {1: 2, None: 3, (1, 2): 4, 1.5: 5},
    "NaN": {"a": float("nan"), "b": [float("inf"), -float("inf")]},
    "numbers of NumPy": {"auc": numpy.float64(0.9), "n": numpy.int64(3), "flag": numpy.bool_(False)},
    "an array among others": {"w": numpy.eye(2), "x": 1},
    "keys that look like ours": {"$tuple": [1]},
    "the key of the file": {"$gitmodel.values": 1},
    "bytes inside": [b"x", bytearray(b"y")],
    "times": [datetime.datetime(2020, 1, 1, tzinfo=BERLIN, fold=1), datetime.time(1, 2, tzinfo=datetime.UTC)],
    "time of pandas": pandas.Timestamp("2020", tz=BERLIN),
    "times of pandas": (pandas.Timestamp("2020").as_unit("s"), pandas.Timedelta("1h"), pandas.NaT, pandas.NA),
    "numbers": [1j, Decimal("1.10"), 2**200, Fraction(1, 3)],
    "other scalars of NumPy": [
        *(numpy.str_("x"), numpy.bytes_(b"x"), numpy.datetime64("2020"), numpy.timedelta64(3, "h"), numpy.float16(0.1)),
        *(numpy.longdouble(1) / 3, numpy.complex64(1j), numpy.float32("nan"), numpy.uint64(2**64 - 1)),
    ],
    "others": (range(1, 9, 2), slice(1, None), ..., uuid.UUID(int=5), datetime.timedelta(-1, 5, 7)),
    "text that is no Unicode": {"a": "\ud800"},
}

EQUAL = {**FRAMES, **ARRAYS, **{name: lambda value=value: value for name, value in PLAIN.items()}}


@pytest.mark.parametrize("name", EQUAL)
def test_a_loaded_value_equals_the_saved_value_and_has_its_type(tmp_path, name):
    value = EQUAL[name]()
    format, _, materializer = materializers.save(value, tmp_path / "one", "output", "")
    assert detect_format(tmp_path / "one") == format or format == "json"
    for found in (
        load(tmp_path / "one", format),
        materializers.load(tmp_path / "one", format, materializer, trusted=True),
    ):
        assert type(found) is type(value)
        assert difference(value, found) == ""
        if isinstance(value, pandas.DataFrame):
            pandas.testing.assert_frame_equal(found, value, check_exact=True, check_freq=True)
            assert found.attrs == value.attrs
        elif isinstance(value, pandas.Series):
            pandas.testing.assert_series_equal(found, value, check_exact=True, check_freq=True)
        elif isinstance(value, pandas.Index):
            pandas.testing.assert_index_equal(found, value, exact=True)
        elif isinstance(value, numpy.ndarray) and value.dtype.kind != "O":
            numpy.testing.assert_array_equal(found, value, strict=True)
    materializers.save(EQUAL[name](), tmp_path / "two", "output", "")
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


@pytest.mark.parametrize("kind", ["bfloat16", "float8_e4m3fn", "int4"])
def test_loaded_arrays_of_the_small_types_of_ml_dtypes_equal_the_saved_ones(tmp_path, kind):
    small = getattr(pytest.importorskip("ml_dtypes"), kind)
    for value in (numpy.array([[1, 2]], small).T, small(1), {"w": numpy.array([1], small), "x": 1}):
        format, _, _ = materializers.save(value, tmp_path / "x", "output", "")
        found = load(tmp_path / "x", format)
        assert type(found) is type(value)
        assert difference(value, found) == ""


@pytest.mark.parametrize("name", [name for name in FRAMES if "no columns" not in name and name != "many categories"])
def test_a_table_that_is_compared_in_many_groups_of_rows_is_saved_and_loaded_equal(tmp_path, name, monkeypatch):
    monkeypatch.setattr(tables, "_GROUP", 1)
    value = FRAMES[name]()
    save(value, tmp_path / "x", "parquet")
    assert difference(value, load(tmp_path / "x", "parquet")) == ""


def test_a_table_is_compared_in_groups_of_rows_of_limited_size(tmp_path, monkeypatch):
    monkeypatch.setattr(tables, "_GROUP", 10_000)
    frame = pandas.DataFrame(numpy.arange(100_000.0).reshape(-1, 4))
    save(frame, tmp_path / "x", "parquet")
    parts = [stop - start for start, stop, _ in tables.parts_of_parquet(tmp_path / "x")]
    assert sum(parts) == len(frame)
    assert max(parts) * 4 * 8 <= 10_000


def test_a_loaded_table_with_nan_in_tuples_equals_the_saved_table(tmp_path):
    frame = pandas.DataFrame({"a": [(numpy.nan, 1.0), (), (None,)], "b": [[numpy.nan, 1], [], ["x"]]})
    save(frame, tmp_path / "x", "parquet")
    assert difference(frame, load(tmp_path / "x", "parquet")) == ""


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ([1], [True]),
        ([1], [1.0]),
        ([None], [0]),
        ([(1,)], [[1]]),
        ([(1, 2), (3,)], [(1,), (2, 3)]),
        ([{"a": 1, "b": 2}], [{"a": 2, "b": 1}]),
        ([{"a": 1}, {}], [{}, {"a": 1}]),
        ([1, "a", (2,)], [1, (2,), "a"]),
        ([[1, "a"], [None]], [[1, "a"], [0.0]]),
        ([{1: {"x": (1,)}}], [{1: {"x": (2,)}}]),
        ([b"a"], ["a"]),
    ],
)
def test_comparing_two_values_finds_a_difference_inside_of_a_list(one, other):
    assert difference(one, other)
    assert difference({"a": one}, {"a": other})
    assert difference(objects(*one), objects(*other))


@pytest.mark.parametrize("wrap", [lambda value: [value], lambda value: {"a": value}], ids=["lists", "dicts"])
def test_values_with_250_levels_of_nesting_are_compared(wrap):
    def nested(value):
        for _ in range(250):
            value = wrap(value)
        return value

    assert difference(nested(Decimal("1.10")), nested(Decimal("1.10"))) == ""
    assert difference(nested(Decimal("1.10")), nested(Decimal("1.1"))).endswith(
        "Decimal('1.10') would be Decimal('1.1')"
    )


def test_the_error_for_a_changed_row_in_a_later_group_names_its_row(tmp_path, monkeypatch):
    monkeypatch.setattr(tables, "_GROUP", 1)
    frame = pandas.DataFrame({"a": objects("x", "y", "z")})
    found = tables.parts_of_parquet
    changed = pandas.DataFrame({"a": ["?"]}, dtype=object, index=pandas.RangeIndex(2, 3))
    monkeypatch.setattr(
        tables, "parts_of_parquet", lambda path: ((*at, changed if at[0] == 2 else part) for *at, part in found(path))
    )
    with pytest.raises(UsageError, match=r"column 'a': row 0: 'z' would be '\?' \(counted from row 2\)"):
        save(frame, tmp_path / "x", "parquet")


@pytest.mark.parametrize("name", ["x", 1, None, ("a", 1)])
def test_pandas_without_gitmodel_reads_a_saved_table_with_its_columns_and_index(tmp_path, name):
    frame = pandas.DataFrame({"a": [1, 2], "b": ["x", None]}, index=pandas.Index(["r", "s"], name=name))
    save(frame, tmp_path / "x.parquet", "parquet")
    alone = pandas.read_parquet(tmp_path / "x.parquet")
    assert list(alone.columns) == ["a", "b"]
    assert list(alone.index) == ["r", "s"]


LABELS = st.one_of(
    st.text(max_size=3), st.integers(-5, 5), st.none(), st.tuples(st.integers(0, 3), st.text(max_size=1))
)
CELLS = st.recursive(
    st.one_of(
        *(st.none(), st.booleans(), st.integers(), st.floats(), st.text(), st.binary(), st.dates(), st.decimals()),
        *(st.datetimes(timezones=st.timezones()), st.timedeltas(), st.complex_numbers(), st.uuids()),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.lists(inner, max_size=3).map(tuple),
        st.dictionaries(st.one_of(st.integers(), st.text(), st.none()), inner, max_size=3),
    ),
    max_leaves=5,
)


@HYPOTHESIS
@given(value=CELLS)
def test_any_loaded_plain_value_equals_the_saved_value(tmp_path, value):
    format, _, _ = materializers.save(value, tmp_path / "x", "output", "")
    assert difference(value, load(tmp_path / "x", format)) == ""


@HYPOTHESIS
@given(
    labels=st.lists(LABELS, max_size=4),
    cells=st.lists(st.lists(CELLS, min_size=4, max_size=4), max_size=4),
    codes=st.lists(st.integers(-1, 2), min_size=4, max_size=4),
)
def test_any_loaded_data_frame_equals_the_saved_frame(tmp_path, labels, cells, codes):
    columns = [objects(*column) for column in cells][: len(labels)]
    columns += [pandas.Series(pandas.Categorical.from_codes(codes, [3, 1, 2]))] * (len(labels) - len(columns))
    value = pandas.DataFrame(dict(enumerate(columns)), index=range(4))
    value.columns = pandas.Index(labels, tupleize_cols=False)
    save(value, tmp_path / "x", "parquet")
    assert difference(value, load(tmp_path / "x", "parquet")) == ""


@HYPOTHESIS
@given(
    value=numpy_strategies.arrays(
        dtype=st.one_of(numpy_strategies.scalar_dtypes(), numpy_strategies.array_dtypes(max_size=3)),
        shape=numpy_strategies.array_shapes(min_dims=0, min_side=0, max_side=4),
    )
)
def test_any_loaded_array_equals_the_saved_array(tmp_path, value):
    save(value, tmp_path / "x", "numpy")
    found = load(tmp_path / "x", "numpy")
    assert (type(found), found.dtype, found.shape) == (type(value), value.dtype, value.shape)
    assert difference(value, found) == ""


class Thing:
    """A type that gitmodel does not know."""


class Frame(pandas.DataFrame):
    """A subclass of DataFrame. No format can store the attributes that a subclass adds."""


@pytest.mark.parametrize(
    ("value", "named"),
    [
        (pandas.DataFrame({"a": [1, 2], "b": [1, Thing()]}), r"row 1 of column 'b' is a .*Thing"),
        (pandas.DataFrame({"a": pandas.Categorical([Thing()])}), r"categories of column 'a' is a .*Thing"),
        (with_attrs(pandas.DataFrame({"a": [1]}), {"t": Thing()}), r"attrs\['t'\] is a .*Thing"),
        (pandas.DataFrame([[1]], columns=[Thing()]), r"labels of the columns is a .*Thing"),
        (pandas.Series([1, Thing()]), r"row 1 of the series is a .*Thing"),
        (numpy.array([1, Thing()], dtype=object), r"value\[1\] is a .*Thing"),
        ({"a": [1, {"b": Thing()}]}, r"output thing\['a'\]\[1\]\['b'\] is a .*Thing, which gitmodel cannot save"),
        ({"a": pandas.DataFrame()}, r"output thing\['a'\] is a .*DataFrame"),
        ({Thing: 1}, r"a key of output thing is a "),
        (Frame({"a": [1]}), r"output thing is a .*Frame"),
        (numpy.array([(1, "x")], [("a", "i4"), ("b", "O")]), "field 'b' holds Python objects"),
        ({"w": numpy.zeros(1, [("p", [("b", "O")])])}, "field 'p' holds Python objects"),
        (
            numpy.zeros(2, numpy.dtype({"names": ["a", "b"], "formats": ["i4", "i2"], "offsets": [0, 0]})),
            "field 'b' begins before the end of the field before it",
        ),
        (pandas.DataFrame({"a": [1], "b": numpy.longdouble([1])}), "column 'b' has the dtype float128"),
        (
            pyarrow.table({"a": [1], "b": pyarrow.array([(1, 2, 3)], pyarrow.month_day_nano_interval())}),
            "column 'b' has the Arrow type month_day_nano_interval, which Parquet cannot hold",
        ),
    ],
)
def test_the_error_for_a_value_that_cannot_be_stored_names_its_place_and_type(tmp_path, value, named):
    with pytest.raises(UsageError, match=named) as caught:
        materializers.save(value, tmp_path / "x", "output thing", "")
    assert "output thing" in caught.value.message
    assert caught.value.hint
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (pyarrow.table({"a": dictionary([0, 1], 7, 5)}), pyarrow.table({"a": dictionary([1, 0], 5, 7)})),
        (of_arrow(dictionary([0, 1], 7, 5)), of_arrow(dictionary([1, 0], 5, 7))),
        (FRAMES["sparse"](), FRAMES["sparse in blocks"]()),
        *(
            (
                pandas.Series([1], index=pandas.MultiIndex.from_tuples([(first, "a")], names=["x", 0])),
                pandas.Series([1], index=pandas.MultiIndex.from_tuples([(2, "a")], names=["x", 0])),
            )
            for first in (1, "2")
        ),
    ],
)
def test_comparing_tables_finds_differences_in_categories_memory_blocks_and_label_types(one, other):
    assert difference(one, other)
    assert difference(one, one) == ""


def test_a_list_that_contains_itself_is_refused(tmp_path):
    value = []
    value.append(value)
    with pytest.raises(UsageError, match="contains itself"):
        materializers.save(value, tmp_path / "x", "output thing", "")


class TestCsv:
    @pytest.mark.parametrize(
        ("column", "said"),
        [
            (["1", "2"], "dtype"),
            ([1, None, 2**53 + 1], "column 'a'"),
            (["", "x"], "column 'a'"),
            (["NA", "x"], "column 'a'"),
            ([(1, 2)], "column 'a'"),
            (pandas.Categorical(["x"]), "dtype"),
            (DAYS, "dtype"),
        ],
    )
    def test_the_refusal_to_save_as_csv_names_a_column_whose_values_csv_would_change(self, tmp_path, column, said):
        (tmp_path / "x").write_bytes(b"before")
        frame = pandas.DataFrame({"a": pandas.Series(column, dtype=object) if isinstance(column, list) else column})
        with pytest.raises(UsageError, match="would change in csv: column 'a'") as caught:
            save(frame, tmp_path / "x", "csv")
        assert said in caught.value.message
        assert (tmp_path / "x").read_bytes() == b"before"

    def test_text_with_leading_zeros_is_loaded_from_csv_as_text(self, tmp_path):
        frame = pandas.DataFrame(
            {"id": pandas.array(["01", "002"], dtype=pandas.Series(["a"]).dtype), "x": [0.1, 1e-9]}
        )
        save(frame, tmp_path / "x", "csv")
        pandas.testing.assert_frame_equal(load(tmp_path / "x", "csv"), frame, check_exact=True)

    @pytest.mark.parametrize("cell", ["01", "007", "00", "-01", "+01", "01.5", " 01", "9007199254740993\n\n1"])
    def test_loading_csv_keeps_leading_zeros_and_long_integers_exact(self, tmp_path, cell):
        (tmp_path / "x.csv").write_text(f"id,n\n{cell.split()[0]},1\n,2\n5,3\n")
        found = load(tmp_path / "x.csv", "csv")
        assert found["id"][0] == cell.split()[0]
        assert list(found["n"]) == [1, 2, 3]


class TestEstimators:
    @pytest.mark.parametrize(
        "model", [LogisticRegression(), RandomForestClassifier(3), GradientBoostingClassifier(n_estimators=2)]
    )
    def test_saving_a_loaded_model_gives_the_same_digest(self, tmp_path, model):
        model.fit([[0.0], [1], [2], [3]], [0, 1, 0, 1])
        save(model, tmp_path / "one", "skops")
        save(load(tmp_path / "one", "skops", trusted=True), tmp_path / "two", "skops")
        assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()

    def test_an_estimator_whose_loaded_copy_differs_is_not_saved(self, tmp_path):
        with pytest.raises(UsageError, match="would be loaded with other contents"):
            save(Counting(), tmp_path / "x", "skops")
        assert list(tmp_path.iterdir()) == []


class Counting(BaseEstimator):
    """An estimator that counts how often it was loaded."""

    loaded_ = 0

    def __getstate__(self):
        return {"loaded_": self.loaded_}

    def __setstate__(self, state):
        self.loaded_ = state["loaded_"] + 1


class TestFilesOfEarlierReleases:
    def test_a_series_that_an_earlier_release_saved_is_loaded_with_and_without_its_materializer(self, tmp_path):
        unnamed = pandas.Series([1.5, 2.5])
        unnamed.to_frame(name="__unnamed_series__").to_parquet(tmp_path / "x")
        pandas.testing.assert_series_equal(load(tmp_path / "x", "parquet"), unnamed)
        named = pandas.Series([1, 2], name="y", index=[5, 6])
        named.to_frame().to_parquet(tmp_path / "y")
        found = materializers.load(tmp_path / "y", "parquet", "pandas-series", trusted=True)
        pandas.testing.assert_series_equal(found, named)

    def test_a_frame_and_an_arrow_table_that_an_earlier_release_saved_are_loaded(self, tmp_path):
        frame = pandas.DataFrame({"a": [1, 2], "b": ["x", "y"]}, index=["r", "s"])
        frame.to_parquet(tmp_path / "x")
        pandas.testing.assert_frame_equal(load(tmp_path / "x", "parquet"), frame)
        table = pyarrow.table({"a": [1, 2]})
        pyarrow.parquet.write_table(table, tmp_path / "y")
        assert materializers.load(tmp_path / "y", "parquet", "arrow", trusted=True).equals(table)

    def test_a_numpy_number_that_an_earlier_release_saved_is_loaded_by_its_materializer(self, tmp_path):
        with open(tmp_path / "x", "wb") as file:
            numpy.save(file, numpy.float64(0.25))
        assert type(materializers.load(tmp_path / "x", "numpy", "numpy", trusted=True)) is numpy.float64

    def test_keys_with_a_dollar_in_json_of_other_programs_are_loaded_unchanged(self, tmp_path):
        (tmp_path / "x.json").write_text(json.dumps({"$tuple": [1], "$schema": "x"}))
        assert load(tmp_path / "x.json", "json") == {"$tuple": [1], "$schema": "x"}


class TestOtherVersionsOfPandas:
    @pytest.mark.skipif(pandas.__version__ < "2.3", reason="this pandas has no such text")
    def test_text_columns_that_pandas_3_saved_are_loaded_as_objects_by_pandas_2(self, tmp_path, monkeypatch):
        frame = pandas.DataFrame({"a": pandas.Series(["x", None], dtype=pandas.StringDtype(na_value=numpy.nan))})
        save(frame, tmp_path / "x", "parquet")
        text_type = pandas.StringDtype
        # In pandas 2.0, this class accepts only the argument `storage`.
        monkeypatch.setattr(pandas, "StringDtype", lambda storage=None: text_type(storage))
        found = load(tmp_path / "x", "parquet")
        assert found["a"].dtype == object
        assert list(found["a"]) == ["x", None]

    def test_a_table_with_an_unknown_frequency_is_loaded_without_the_frequency_and_with_a_warning(self, tmp_path):
        save(pandas.Series([1, 2, 3], index=DAYS), tmp_path / "x", "parquet")
        table = pyarrow.parquet.read_table(tmp_path / "x")
        told = table.schema.metadata[b"gitmodel"].replace(b'"freq": "D"', b'"freq": "unknown"')
        table = table.replace_schema_metadata({b"gitmodel": told})
        pyarrow.parquet.write_table(table, tmp_path / "x")
        with pytest.warns(UserWarning, match="does not know the frequency 'unknown'"):
            found = load(tmp_path / "x", "parquet")
        assert found.index.freq is None
        assert list(found.index) == list(DAYS)


def test_the_error_for_json_of_a_newer_release_shows_the_unknown_key(tmp_path):
    save((1,), tmp_path / "x", "json")
    (tmp_path / "x").write_bytes((tmp_path / "x").read_bytes().replace(b"$tuple", b"$heap"))
    with pytest.raises(Invalid, match="'\\$heap', which this version of gitmodel does not know"):
        load(tmp_path / "x", "json")
