"""Expressions in the language CEL, which filters and gates use. gitmodel evaluates plain (simple) expressions itself,
and all other expressions with the CEL library. Both ways must give the same result, and no expression may hang or crash
the process. The parts of an expression that `&&` joins are its clauses.

A filter selects records. A gate decides if a version may enter a stage, and explains a failure.
"""

import importlib.util
import math
import subprocess
import sys
import threading
import time
from datetime import datetime, timedelta, timezone
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gitmodel.errors import UsageError
from gitmodel.expressions import cel_clauses, syntax
from gitmodel.expressions.expression import Expression, parse

needs_library = pytest.mark.skipif(importlib.util.find_spec("cel") is None, reason="needs gitmodel[cel]")

VERSION: dict[str, Any] = {
    "number": 4,
    "name": "1.2.3",
    "tags": ["baseline", "été"],
    "created": datetime(2026, 11, 23, 10, 12, 13, tzinfo=timezone.utc),
    "metadata": {
        "accuracy": 0.97,
        "rows": 150,
        "test set": {"auc": 0.5},
        "ok": True,
        "nan": math.nan,
        "huge": 10**400,
        "note": "b",
    },
    "code": {"dirty": False, "commit": "9fceb02"},
    "artifacts": [{"name": "classifier", "kind": "model", "size": 48211}],
    "stage": None,
}

PLAIN = [
    ('metadata.accuracy > 0.9 && "baseline" in tags', True),
    ("metadata.accuracy > 1", False),
    ("0.9 < metadata.accuracy", True),
    ("metadata.rows == 150.0", True),
    ("metadata.rows >= 149.5", True),
    ("number != 4", False),
    ("number == -4", False),
    ("metadata['test set'][\"auc\"] <= 0.5", True),
    ("artifacts[0].size > 1e3", True),
    ("artifacts[1].size > 1e3", False),
    ("'été' in tags", True),
    ('"rows" in metadata', True),
    ('"cols" in metadata', False),
    ("5 in tags", False),
    ('"1" in name', False),
    ("metadata.ok", True),
    ("!code.dirty", True),
    ("!number", False),
    ("code.dirty == false", True),
    ("metadata.ok == 1", False),
    ("metadata.ok != 1", True),
    ("metadata.ok > 0", False),
    ("name > 1", False),
    ('number < "a"', False),
    ('name == "1.2.3" // the released one', True),
    ('metadata.note > "a"', True),
    ("metadata.nan != 1", True),
    ("metadata.nan <= 1", False),
    ("metadata.huge > 9223372036854775807", True),
    ("metadata.nothing > 1", False),
    ("metadata.nothing != 1", False),
    ("name.length > 1", False),
    ('stage != "production"', False),
    ("created != 1", True),
    ("created > 1", False),
]

LIBRARY = [
    ('metadata.accuracy > 0.9 || "other" in tags', True),
    ('artifacts.exists(a, a.kind == "model" && a.size < 100000)', True),
    ('artifacts.filter(a, a.kind == "data").size() == 0', True),
    ('created > timestamp("2026-01-01T00:00:00Z")', True),
    ('name.matches("^1[.]")', True),
    ("has(metadata.accuracy) && !has(metadata.f1)", True),
    ("has(stage.name)", False),
    ("metadata.f1 > 0.5 || number == 4", True),
    ("metadata.f1 > 0.5 || number == 5", False),
    ("nothing.f1 > 0.5 || number == 5", False),
    ("metadata.rows + 1 == 151", True),
    ("metadata.rows + 1.0 == 151.0", False),
    ("metadata.rows / 0 == 1", False),
    ("metadata.huge == 1 || number == 4", True),
    ("number == 4 ? true : false", True),
    ("number == 0x4", True),
    ('tags.all(t, t != "x") && number == 4', True),
    ("number in [3, 4]", True),
    ("size(tags) == 2", True),
]


@pytest.mark.parametrize(("text", "expected"), PLAIN)
def test_a_plain_expression_is_evaluated_without_the_library(text, expected):
    expression = parse(text)
    assert expression.plain
    assert expression.matches(VERSION) is expected
    assert expression.judge(VERSION).passed is (expected and "nan" not in text)


@needs_library
@pytest.mark.parametrize(("text", "expected"), PLAIN)
def test_the_cel_library_gives_the_same_results_for_plain_expressions(text, expected):
    assert by_library(text).matches(VERSION) is expected


@needs_library
@pytest.mark.parametrize(("text", "expected"), LIBRARY)
def test_an_expression_that_is_not_plain_is_evaluated_by_the_library(text, expected):
    expression = parse(text)
    assert not expression.plain
    assert expression.matches(VERSION) is expected
    assert expression.judge(VERSION).passed is expected


def by_library(text: str) -> Expression:
    """Return the expression *text* with all its clauses evaluated by the library, also the plain ones."""
    tokens = syntax.read_tokens(text)
    return Expression(text, tuple(cel_clauses.Program(text, part) for part in syntax.split_clauses(tokens)))


def answer(expression: Expression, record: dict[str, Any]) -> bool | str:
    try:
        return expression.matches(record)
    except UsageError as error:
        return error.message


INTEGERS = st.integers(-3, 3) | st.sampled_from([2**53, 2**53 + 1, 2**63 - 1, -(2**63), 2**63, 2**70, -(10**400)])
FLOATS = st.floats() | st.sampled_from([0.0, -0.0, 1.0, 2.0**53, 2.0**63, 0.1])
TEXTS = st.sampled_from(["", "a", "b", "é", "\U0001f600", "\uffff", "a b", "1"]) | st.text(
    st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\\\"'"), max_size=3
)
SCALARS = st.booleans() | INTEGERS | FLOATS | TEXTS | st.none() | st.datetimes(timezones=st.just(timezone.utc))
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["x", "y", "a b"]), inner, max_size=3),
    max_leaves=6,
)
RECORDS = st.dictionaries(st.sampled_from(["x", "y", "tags"]), VALUES, max_size=3)
STEPS = st.sampled_from([".x", ".y", '["a b"]', "['x']", "[0]", "[1]"])
PATHS = st.tuples(st.sampled_from(["x", "y", "tags"]), st.lists(STEPS, max_size=2)).map(
    lambda path: path[0] + "".join(path[1])
)


def written(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return f'"{value}"' if isinstance(value, str) else repr(value)


LITERALS = (
    st.booleans()
    | INTEGERS.filter(lambda n: -(2**63) <= n < 2**63)
    | FLOATS.filter(math.isfinite).filter(lambda f: f == f)
    | TEXTS
).map(written)
SIGNS = st.sampled_from(["==", "!=", "<", "<=", ">", ">="])
CLAUSES = (
    st.builds("{} {} {}".format, PATHS, SIGNS, LITERALS)
    | st.builds("{} {} {}".format, LITERALS, SIGNS, PATHS)
    | st.builds("{} in {}".format, LITERALS, PATHS)
    | PATHS
    | PATHS.map("!{}".format)
)


@needs_library
@settings(max_examples=600, deadline=None)
@given(text=st.lists(CLAUSES, min_size=1, max_size=3).map(" && ".join), record=RECORDS)
def test_gitmodel_and_the_cel_library_give_the_same_result(text, record):
    here, there = parse(text), by_library(text)
    assert answer(here, record) == answer(there, record)
    # `by_library` calls the library once for each clause; this calls it once for the whole expression
    whole = cel_clauses.Program(text, syntax.read_tokens(text))
    assert (answer(here, record) is True) == (whole.answer(record) is True)
    verdict, other = here.judge(record), there.judge(record)
    assert (verdict.passed, verdict.clause, verdict.missing) == (other.passed, other.clause, other.missing)


TOKENS = [
    "a", ",", "?", ":", "true", "has", "size", "exists", '"y"', r"r'\'", "//z", ".", "(", ")", "[", "]", "{", "}", "&&",
    "||", "!", "-", "+", "==", "in", "1", "1.5", "'x'",
]  # fmt: skip


@needs_library
@settings(max_examples=800, deadline=None)
@given(st.lists(st.sampled_from(TOKENS), min_size=1, max_size=7).map(" ".join))
def test_an_expression_that_gitmodel_refuses_is_refused_by_the_library_too(text):
    import cel

    try:
        syntax.check_shape(text, syntax.read_tokens(text))
    except UsageError:
        with pytest.raises(ValueError, match="Failed to parse"):
            cel.compile(text)


@needs_library
@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "column 1: it is empty"),
        ("   ", "column 4: it is empty"),
        ("number = 4", "`number = 4`, column 8: write == to compare"),
        ("number == 4 & true", "column 13: and is written &&"),
        ("number == 4 and true", "column 13: and is written &&"),
        ("not code.dirty", "column 1: and is written &&, or is written ||, not is written !"),
        ("number == ", "column 11: a value is missing at the end"),
        ("== 4", "column 1: a value is missing before =="),
        ("number 4", "column 8: an operator is missing before 4"),
        ('name == "a', "column 9: this string is not closed"),
        ("(number == 4", "column 13: ) is missing"),
        ("number == 4)", "column 12: there is no opening bracket for )"),
        ("number == 4 # x", "column 13: '#' has no meaning here"),
        ("number == 4 \x00", "column 13: '\\x00' has no meaning here"),
        ("number == 99999999999999999999", "column 11: invalid int literal"),
        ("a &&\n b == 1e999", "column 12: invalid double literal"),
        ('"x"', "column 1: this is a value"),
        ("number + 1", "column 1: this is a value"),
        ('lowercase(name) == "a"', "column 1: there is no function lowercase"),
        ("tags.map(t, t + t) == tags", "column 6: the function map is not allowed"),
        ('name.matches("(") || true', "column 14: matches cannot read this"),
        ('created > timestamp("2026-01-01")', "column 21: timestamp cannot read this"),
    ],
)
def test_the_error_for_an_invalid_expression_names_the_fault_and_its_position(text, why):
    with pytest.raises(UsageError) as caught:
        parse(text)
    assert why in caught.value.message
    assert caught.value.message.isprintable()
    example = caught.value.hint.removeprefix("an example: ")
    assert parse(example)


@needs_library
def test_a_clause_that_is_neither_true_nor_false_is_an_error_in_a_filter_and_fails_a_gate():
    for text in ("number", "size(tags)"):
        with pytest.raises(UsageError, match="neither true nor false"):
            parse(text).matches(VERSION)
        assert parse(text).judge(VERSION).reason == "it is neither true nor false"


@needs_library
@pytest.mark.parametrize(
    ("text", "missing"),
    [
        ("metadata.f1 > 0.5", "metadata.f1"),
        ('metadata["k k"].x == 1', 'metadata["k k"]'),
        ("audit.by.name == 'a'", "audit"),
        ("number == 4 && metadata.f1 > 0.5 && number == 5", "metadata.f1"),
        ("artifacts[3].size > 1", "artifacts[3]"),
        ("metadata.f1 + 1.0 > 0.5", "metadata.f1"),
        ("size(audit) > 1", "audit"),
        ("audit.exists(a, a == 1)", "audit"),
        ("artifacts.exists(a, a.rows == 1)", "rows"),
        ("artifacts[3].name.startsWith('a')", "artifacts[3]"),
        ("stage.startsWith('a')", "stage"),
    ],
)
def test_the_finding_of_a_failing_gate_names_the_key_that_the_record_lacks(text, missing):
    verdict = parse(text).judge(VERSION)
    assert not verdict
    assert verdict.missing == missing
    assert verdict.reason == f"{missing} is not set"
    assert parse(text).matches(VERSION) is False


@needs_library
def test_the_finding_of_a_failing_gate_names_the_clause_and_the_actual_value():
    verdict = parse("!code.dirty && metadata.accuracy > 0.99 && number == 1").judge(VERSION)
    values = {"code.dirty": False, "metadata.accuracy": 0.97, "number": 4}
    assert verdict == (False, "metadata.accuracy > 0.99", "metadata.accuracy is 0.97", None, False, values)
    assert parse("name == 'x'").judge({"name": "a\x1b[31m"}).reason == "name is 'a\\x1b[31m'"
    assert parse("created == 1").judge(VERSION).reason == "created is 2026-11-23T10:12:13+00:00"
    assert parse("size(tags) == 1").judge(VERSION).reason == "it is false"
    assert parse("name > 1").judge(VERSION).reason == "its parts cannot be compared"
    assert parse("number == 4").judge(VERSION)


NAN = float("nan")
WITH_NAN = {
    "metadata": {"auc": NAN, "rows": 3, "scores": [0.5, NAN], "good": 0.9},
    "holder": {"metadata": {"auc": NAN}},
    "artifacts": [{"name": "clf", "metadata": {"auc": NAN, "rows": 3}}],
}


@pytest.mark.parametrize(
    "text",
    [
        "metadata.auc > 0.9",
        "metadata.auc != 0.5",
        "!(metadata.auc == 0.5)",
        "!(metadata.auc < 0.9)",
        "metadata.auc < 0.9 || true",
        "true || metadata.auc < 0.9",
        "!(metadata.auc in [0.5])",
        "!(0.7 in metadata.scores)",
        "metadata.scores[1] != 0.5",
        "!metadata.scores.exists(x, x == 0.7)",
        "[metadata.auc].exists(x, x != 0.5)",
        "metadata != holder.metadata",
        "metadata.good > 0.8 && metadata.good != holder.metadata.auc",
        "artifacts.exists(a, a.metadata.auc != 0.5)",
        "!artifacts.exists(a, a.metadata.auc == 0.5)",
        "metadata.rows > 5 ? true : metadata.auc != 0.5",
        "metadata != false",
    ],
)
def test_a_gate_that_reads_nan_fails_and_the_finding_names_the_key(text):
    verdict = parse(text).judge(WITH_NAN)
    assert not verdict
    assert "not a number (NaN)" in verdict.reason


@pytest.mark.parametrize(
    "text",
    [
        "metadata.good > 0.8",
        "has(metadata.auc)",
        '"auc" in metadata',
        "size(metadata) == 4",
        "artifacts.exists(a, a.metadata.rows == 3)",
        "metadata.rows == 3 && !(metadata.rows != 3)",
    ],
)
def test_nan_in_a_key_that_a_gate_does_not_read_does_not_fail_the_gate(text):
    assert parse(text).judge(WITH_NAN)


def test_infinity_is_a_number_for_a_gate():
    assert parse("metadata.loss < 0.5").judge({"metadata": {"loss": float("-inf")}})


@needs_library
def test_the_names_in_a_parsed_expression_are_the_record_keys_that_it_reads():
    assert parse('metadata.a > 1 && "x" in tags').names == {"metadata", "tags"}
    assert parse("tags.exists(t, t == name) || has(code.commit) || type(number) == int").names == {
        "tags",
        "name",
        "code",
        "number",
    }


@needs_library
def test_a_searched_record_may_be_any_mapping_with_tuples_sets_and_subclasses_of_numbers():
    class Level(int):
        pass

    record = MappingProxyType({"tags": frozenset({"a"}), "m": MappingProxyType({"n": Level(3)}), "t": ("x",)})
    text = '"a" in tags && m.n == 3.0 && t[0] == "x" && "n" in m'
    assert parse(text).matches(record)
    assert by_library(text).matches(record)
    assert parse(text.replace("&&", "&& true &&")).matches(record)


@needs_library
def test_a_time_without_zone_is_read_as_utc():
    later = {"created": datetime(2026, 1, 1, 0, 30)}
    assert parse('created > timestamp("2026-01-01T00:00:00Z")').matches(later)
    assert not parse('created > timestamp("2026-01-01T00:00:00-01:00")').matches(later)


def test_a_filter_searches_ten_thousand_records_in_milliseconds():
    records = [{**VERSION, "number": n, "metadata": {"accuracy": n / 10_000}} for n in range(10_000)]
    expression = parse('metadata.accuracy > 0.9 && "baseline" in tags')
    start = time.perf_counter()
    assert sum(map(expression.matches, records)) == 999
    assert time.perf_counter() - start < 0.25  # measured: 11 ms; the limit is higher because a machine may be slow


def test_the_library_is_imported_only_when_an_expression_needs_it():
    code = (
        "import sys; from gitmodel.expressions.expression import parse; "
        "parse('metadata.accuracy > 0.9 && \"baseline\" in tags').matches({}); "
        "print(sorted({'cel', 'typer', 'pydantic', 'dataclasses', 'inspect'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_without_the_library_only_plain_expressions_work_and_the_error_names_the_package(monkeypatch):
    monkeypatch.setitem(sys.modules, "cel", None)  # makes `import cel` raise ImportError
    assert parse("number == 4").matches(VERSION)
    with pytest.raises(UsageError) as caught:
        parse("number == 4 || true")
    assert "pip install 'gitmodel[cel]'" in caught.value.hint


class PanicException(BaseException):
    """An exception with the name and base class of the one that the Rust library raises if it panics."""


@needs_library
def test_a_panic_in_the_library_is_a_usage_error(monkeypatch):
    def panic(*_):
        raise PanicException("index out of bounds")

    expression = parse("number == 4 || true")
    monkeypatch.setattr(expression._clauses[0], "program", type("Program", (), {"execute": panic})())
    with pytest.raises(UsageError, match="the CEL library failed on it"):
        expression.matches(VERSION)
    assert not expression.judge(VERSION)
    monkeypatch.setattr(cel_clauses, "_library", lambda: type("Library", (), {"compile": panic})())
    with pytest.raises(UsageError, match="the CEL library failed on it"):
        parse("number == 4 || true")


@needs_library
def test_ctrl_c_in_the_library_is_not_turned_into_a_usage_error(monkeypatch):
    def interrupt(*_):
        raise KeyboardInterrupt

    expression = parse("number == 4 || true")
    monkeypatch.setattr(expression._clauses[0], "program", type("Program", (), {"execute": interrupt})())
    with pytest.raises(KeyboardInterrupt):
        expression.matches(VERSION)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("(" * 900 + "a" + ")" * 900, "nested deeper than 32 levels"),
        ("[" * 33 + "]" * 33 + " == a", "nested deeper than 32 levels"),
        ("!" * 33 + "a", "nested deeper than 32 levels"),
        ("-" * 1900 + "1 == a", "nested deeper than 32 levels"),
        ("a == '" + "x" * 100_000 + "'", "characters long; the limit is 2,000"),
        (" && ".join(["a == 1"] * 100_000), "characters long; the limit is 2,000"),
        ("a" + ".b" * 900 + " || b", "more than 250 operations"),
        ("a < " * 400 + "a", "more than 250 operations"),
        ("+".join(["a"] * 10) + " == 1", "more than 8 additions"),
        (" || ".join(r"""s.matches("\\w{100}")""" for _ in range(60)), "patterns for matches are too much work"),
    ],
)
def test_an_expression_that_is_made_to_hang_the_process_is_refused_at_once(text, why):
    start = time.perf_counter()
    with pytest.raises(UsageError, match=why) as caught:
        parse(text)
    assert time.perf_counter() - start < 1
    assert len(caught.value.message) < 300


@needs_library
@pytest.mark.parametrize(
    "text",
    [
        "a || " * 300 + "a",
        "a < " * 249 + "a",
        "!(a || " * 16 + "a" + ")" * 16,
        "t.exists(a, " * 32 + "true" + ")" * 32,
        "[" * 32 + "a" + "]" * 32 + " == a" * 200,
        "a" + "[0]" * 200 + " || a",
        "a ? " * 120 + "a" + " : a" * 120,
    ],
)
def test_the_largest_accepted_expressions_can_be_evaluated_on_a_small_stack(text):
    outcome: list[object] = []

    def run() -> None:
        try:
            outcome.append(parse(text).judge({"a": True, "t": [1]}))
        except UsageError as error:
            outcome.append(error)

    before = threading.stack_size(512 * 1024)  # the stack of a thread on macOS
    try:
        thread = threading.Thread(target=run)
        thread.start()
        thread.join()
    finally:
        threading.stack_size(before)
    assert len(outcome) == 1


WIDE = [{"name": f"a{i}", "kind": "model", "size": i} for i in range(3_000)]


@needs_library
@pytest.mark.parametrize(
    "text",
    [
        "a.all(x, a.all(y, a.all(z, x != 1)))",
        "a.all(x, a.all(y, a == a))",
        "a.filter(x, true).size() > 0",
        "a.filter(x, a.filter(y, true).size() > 0).size() > 0",
        "a.all(x, a + a + a + a + a + a + a + a != a)",
        "a.all(x, [a, a, a] == [a, a, a])",
        r"""a.all(x, !x.name.matches("\\w{100}"))""",
        r"""a.all(x, !x.name.matches("(\\w{50}|[a-z]{9}){2}"))""",
        "a.all(x, !x.name.matches(x.name + 'b'))",
        "[" + ",".join(["1"] * 400) + "].all(x, [" + ",".join(["1"] * 400) + "].all(y, [1, 2].all(z, z > 0)))",
        """s.matches("(a*)*b") || s.matches("(a|aa)+$") || s.matches("^(.*)(.*)(.*)b$")""",
        " || ".join(r"""!s.matches("\\w{100}b")""" for _ in range(9)),
    ],
)
def test_evaluating_a_costly_expression_ends_within_seconds_or_is_refused(text):
    record = {"a": WIDE, "s": "a" * 60_000}
    start = time.perf_counter()
    verdict = parse(text).judge(record)
    assert time.perf_counter() - start < 4  # measured: about 2 s
    assert verdict.reason in ("", "it is false", "it is too much work on a record of this size")


@needs_library
def test_nested_macros_such_as_exists_can_be_evaluated_on_records_of_ordinary_size():
    record = {"artifacts": WIDE[:200], "tags": ["a"] * 50}
    assert parse("artifacts.all(a, artifacts.exists_one(b, a.name == b.name))").matches(record)
    assert parse('tags.all(t, !t.matches("^v[0-9]+$"))').matches(record)


@needs_library
def test_evaluating_an_expression_on_a_very_deeply_nested_record_is_refused():
    deep: Any = 1
    for _ in range(5_000):
        deep = {"x": deep}
    expression = parse("size(m) == 1")
    with pytest.raises(UsageError, match="nested deeper than 64"):
        expression.matches({"m": deep})
    assert not expression.judge({"m": deep})
    assert not parse("m.x.x.x == 1").matches({"m": deep})


@needs_library
def test_expressions_can_be_evaluated_on_a_record_with_values_that_the_library_does_not_support():
    record = {"a": {"b": timedelta(days=1), "c": object(), "d": "\ud800", 5: 1}, "n": 10**400, "m": -(10**400)}
    for text in ("a.c == 1 || true", "size(a) == 4", "a.d == 'x' || false", "n == 1 || m == 1", "n > 1 || m < 1"):
        assert parse(text).matches(record) in (True, False)


@needs_library
def test_every_example_of_the_reference_page_is_a_valid_expression():
    page = Path(__file__).parent.parent / "docs" / "reference" / "expressions.md"
    examples = page.read_text(encoding="utf-8").split("```")[1].strip().splitlines()
    assert len(examples) > 5
    assert [parse(example).text for example in examples] == examples
