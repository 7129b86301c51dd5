"""The codec reads and writes records, which are TOML files in a canonical form. It refuses invalid records quickly,
with an error that names file, key and rule. It keeps unknown keys, which a newer format may have.
"""

import copy
import enum
import math
import pickle
import time
from collections.abc import Mapping
from dataclasses import field
from datetime import date, datetime, timedelta, timezone
from datetime import time as clock
from typing import Annotated, Any

import pytest
import tomli_w
from expected_errors import error_with_hint
from hypothesis import given, settings
from hypothesis import strategies as st

from gitmodel.domain.schema import codec, toml_values
from gitmodel.domain.schema.toml_values import Wrong
from gitmodel.errors import Invalid, UsageError

repeatable = settings(derandomize=True, deadline=None)
PATH = "models/iris/versions/1.toml"

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
TEXTS = TEXT | st.sampled_from(["line\n[table]\nx = 1", "\r\n", "a\rb", "a\n", "\n\n", "\\", "\\\n"])
TEXTS |= st.sampled_from(['"""', "'''", "\u202e\u2066evil", "\x1b[31m", "\x7f\x00"])
ZONES = st.integers(-23 * 60 - 59, 23 * 60 + 59).map(lambda minutes: timezone(timedelta(minutes=minutes)))
TIMES = st.one_of(
    st.datetimes(),
    st.datetimes(min_value=datetime(2, 1, 1), max_value=datetime(9998, 1, 1), timezones=ZONES),
    st.dates(),
    st.times(),
)
NUMBERS = st.one_of(st.integers(-(2**63), 2**63 - 1), st.floats(), st.booleans())
PLAIN = st.one_of(TEXTS, NUMBERS)
KEYS = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20),
    st.sampled_from(["a.b", "a b", '"', "\u202e", "é", "1"]),
)
VALUES = st.recursive(
    st.one_of(
        PLAIN,
        TIMES,
        st.lists(st.one_of(PLAIN, TIMES), max_size=4),
        st.lists(st.lists(st.one_of(PLAIN, TIMES), max_size=3), max_size=3),
    ),
    lambda inner: st.one_of(
        st.dictionaries(KEYS, inner, max_size=3), st.lists(st.dictionaries(KEYS, inner, max_size=2), max_size=2)
    ),
    max_leaves=8,
)


def depth(value):
    """Return how deeply tables and lists are nested in *value*: 0 for a plain value, 1 for a flat list."""
    items = value.values() if isinstance(value, dict) else value if isinstance(value, list) else None
    return 0 if items is None else 1 + max(map(depth, items), default=0)


# The values are not the same in each run: Hypothesis also takes constants from whichever modules are imported.
METADATA = st.dictionaries(KEYS, VALUES, max_size=5).filter(lambda values: depth(values) <= toml_values.MAX_NESTING)


class Inner(codec.Record, kw_only=True):
    word: str = ""


class Record(codec.Record, kw_only=True):
    number: Annotated[int, toml_values.number]
    word: str = ""
    words: Annotated[tuple[str, ...], toml_values.texts] = ()
    inner: Inner | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)
    many: tuple[Inner, ...] = ()


def written(**values):
    return codec.encode(Record(**{"number": 1, **values}))


def read(data, *, newer=False):
    return codec.decode(Record, data, PATH, newer=newer)


@repeatable
@given(METADATA)
def test_any_metadata_has_the_same_bytes_after_writing_reading_and_writing(values):
    data = written(metadata=toml_values.metadata(values))
    found = read(data)
    assert codec.encode(found) == data
    assert same(found.metadata, values)


def same(one, other):
    """Return True if the values *one* and *other* are equal and have equal types. Here nan equals nan."""
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, float):
        return isinstance(other, float) and (one == other or (math.isnan(one) and math.isnan(other)))
    if isinstance(one, datetime):
        return one == other and one.utcoffset() == other.utcoffset()
    return type(one) is type(other) and one == other


@repeatable
@given(TEXTS, st.lists(TEXTS, max_size=3), TEXTS, METADATA, st.lists(TEXTS, max_size=3))
def test_any_text_is_unchanged_after_writing_and_reading_in_every_kind_of_key(word, words, inner, metadata, many):
    data = written(
        word=word,
        words=tuple(words),
        inner=Inner(word=inner),
        metadata=toml_values.metadata(metadata),
        many=tuple(Inner(word=item) for item in many),
    )
    found = read(data)
    assert (found.word, found.words) == (word, tuple(words))
    assert found.inner == Inner(word=inner)
    assert [item.word for item in found.many] == many
    assert codec.encode(found) == data


@repeatable
@given(METADATA, METADATA, METADATA, METADATA)
def test_unknown_keys_of_a_newer_format_are_kept_at_every_place_of_a_record(extra, inner, metadata, item):
    def unknown(table):
        return {f"new {key}": value for key, value in toml_values.metadata(table).items()}

    data = written(
        word="x",
        inner=Inner(word="y", extra=unknown(inner)),
        metadata=toml_values.metadata(metadata),
        many=(Inner(word="z", extra=unknown(item)), Inner(word="end")),
        extra=unknown(extra),
    )
    found = read(data, newer=True)
    assert codec.encode(found) == data
    assert same(dict(found.extra), unknown(extra))
    assert same(dict(found.inner.extra), unknown(inner))
    assert same(dict(found.many[0].extra), unknown(item))


@pytest.mark.parametrize(
    "unknown",
    [
        b'note = """\nfirst\n[second]\nthird"""\n',
        b'zeta = 1\n\n[metadata]\naccuracy = 0.97\n\n[review]\nby = "Ada"\n\n[review.at]\nround = 2\n',
        b"\n[metadata]\naccuracy = 0.97\n\n[[review]]\nround = 1\n\n[[review]]\nround = 2\n",
    ],
)
def test_unknown_keys_of_a_newer_minor_format_are_written_as_they_were_read(unknown):
    data = b"number = 4\n" + unknown
    assert codec.encode(read(data, newer=True)) == data


def test_a_record_has_its_keys_in_the_order_of_the_schema_and_a_line_for_each_item():
    data = written(word="b", words=("x", "y"), metadata={"b": 1, "a": {"z": [1, 2]}}, many=(Inner(word="i"), Inner()))
    assert data.decode() == (
        "number = 1\n"
        'word = "b"\n'
        "words = [\n"
        '    "x",\n'
        '    "y",\n'
        "]\n"
        "\n"
        "[metadata]\n"
        "b = 1\n"
        "\n"
        "[metadata.a]\n"
        "z = [\n"
        "    1,\n"
        "    2,\n"
        "]\n"
        "\n"
        "[[many]]\n"
        'word = "i"\n'
        "\n"
        "[[many]]\n"
    )


def test_default_values_are_not_written():
    assert written() == b"number = 1\n"


@pytest.mark.parametrize("name", ["a", "a-b_C", "a.b", "", "\u00e9", "-", "1", "a b"])
def test_the_codec_writes_common_values_in_the_same_form_as_tomli_w(name):
    texts = ["", "a b", "it's", 'a "b"', "a\\b", "\u00e9", "a\tb", "~!#[]", "\x7f"]
    for value in [*texts, 0, -5, 10**18, True, False, 1.5]:
        assert codec._encode_value(name, value) == tomli_w.dumps({name: value})


def test_characters_that_change_the_direction_of_text_are_written_as_escapes():
    data = written(word="safe \u202e\u2067 evil", metadata={"\u200f": "\u061c"})
    assert b"\\u202E" in data
    assert not any(code in data.decode() for code in "\u202e\u2067\u200f\u061c")
    assert read(data).word == "safe \u202e\u2067 evil"


def test_control_characters_are_always_escaped_in_a_record():
    text = "".join(map(chr, range(32))) + "\x7f"
    data = written(word=text, metadata={text: text})
    assert set(data) & ({*range(32), 127} - {10, 9}) == set()
    assert read(data).metadata == {text: text}


def test_read_values_can_be_copied_and_pickled():
    found = read(b"number = 1\n[metadata]\nat = 2026-11-23T10:12:13+01:00\n")
    assert copy.deepcopy(found) == found
    assert pickle.loads(pickle.dumps(found)) == found


class Word(str, enum.Enum):
    GOOD = "good"


class Level(enum.IntEnum):
    HIGH = 3


def test_metadata_records_the_value_of_an_enum_member():
    assert toml_values.metadata({"word": Word.GOOD, "level": Level.HIGH}) == {"word": "good", "level": 3}
    assert type(toml_values.metadata({"word": Word.GOOD})["word"]) is str


def nested(depth):
    return {"a": nested(depth - 1)} if depth else {}


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ([], "takes a table, not an array"),
        (3, "takes a table, not the number 3"),
        ({"": 1}, "a text of 1 to 128 characters"),
        ({"x" * 129: 1}, "a text of 1 to 128 characters"),
        ({1: 1}, "a text of 1 to 128 characters"),
        ({1: 1, "a": 2}, "a text of 1 to 128 characters"),
        ({"a": 2**63}, "does not fit 64 bits"),
        ({"a": -(2**63) - 1}, "does not fit 64 bits"),
        ({"a": None}, "is None"),
        ({"a": b"x"}, "is a bytes"),
        ({"a": object()}, "is an object"),
        ({"a": {1, 2}}, "is a set"),
        ({"a": [{"b": 1}, 2]}, "a list with tables and other values"),
        ({"a": [[{"b": 1}]]}, "a list of tables in a list"),
        ({"a": [None]}, "is None"),
        ({"a": clock(1, 2, tzinfo=timezone.utc)}, "time of day with a zone"),
        ({"a": datetime(2026, 1, 1, tzinfo=timezone(timedelta(seconds=30)))}, "zone that is not whole minutes"),
        (nested(9), "nested more than 8 deep"),
        ({"a": [[[[[[[[[[1]]]]]]]]]]}, "nested more than 8 deep"),
    ],
)
def test_metadata_that_no_record_can_hold_is_refused(value, said):
    with pytest.raises(Wrong) as caught:
        toml_values.metadata(value)
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("value", "path"),
    [
        ({"layers": [{"units": 64}, {"units": object()}]}, ".layers[1].units"),
        ({"a": {"b": [1, [2, None]]}}, ".a.b[1][1]"),
        ({"a": {"b\u202e": b"x"}}, ".a.b\\u202e"),
        ({"a": [[{"b": 1}]]}, ".a[0]"),
    ],
)
def test_the_error_for_wrong_metadata_has_the_path_of_the_value(value, path):
    with pytest.raises(Wrong) as caught:
        toml_values.metadata(value)
    assert caught.value.path == path


LISTS = {
    "tables": [{"units": 64, "activation": "relu"}, {}, {"deep": {"x": [{"y": 1}]}}],
    "dates": [date(2026, 11, 23), date(2026, 11, 24)],
    "times": [datetime(2026, 1, 2, 3, 4, 5, tzinfo=timezone.utc), [datetime(2026, 1, 2), "line\nbreak \u202e"]],
    "clocks": [clock(1, 2)],
}


def test_lists_of_tables_and_times_are_written_in_the_canonical_form():
    data = written(metadata=LISTS).decode()
    assert "[[metadata.tables]]\nactivation = " in data
    assert "[[metadata.tables.deep.x]]\ny = 1\n" in data
    assert "    2026-01-02T03:04:05Z,\n    [\n        2026-01-02T00:00:00,\n" in data
    assert '        "line\\nbreak \\u202E",\n    ],\n]\n' in data
    assert read(data.encode()).metadata == LISTS


@pytest.mark.parametrize(
    ("reader", "value", "said"),
    [
        (toml_values.text, 3, "takes text, not the number 3"),
        (toml_values.text, True, "takes text, not true or false"),
        (toml_values.flag, 1, "takes true or false, not the number 1"),
        (toml_values.flag, "yes", "takes true or false, not text"),
        (toml_values.count, -1, "takes a whole number, not the number -1"),
        (toml_values.count, 2**63, "takes a whole number"),
        (toml_values.count, True, "takes a whole number, not true or false"),
        (toml_values.count, 1.0, "takes a whole number, not the number 1.0"),
        (toml_values.number, 0, "takes a number from 1"),
        (toml_values.moment, "2026-11-23", "takes a time in UTC"),
        (toml_values.moment, datetime(2026, 11, 23), "takes a time in UTC"),
        (toml_values.moment, datetime(2026, 11, 23, tzinfo=timezone(timedelta(hours=1))), "takes a time in UTC"),
        (toml_values.moment, datetime(2026, 11, 23, 1, 1, 1, 5, tzinfo=timezone.utc), "takes a time in UTC"),
        (toml_values.texts, "abc", "takes an array of text"),
        (toml_values.texts, ["a", 1], "takes an array of text"),
        (toml_values.word_set, ["b", "a"], "sorted"),
        (toml_values.word_set, ["a", "a"], "different"),
        (toml_values.metadata, "x", "takes a table, not text"),
    ],
)
def test_a_value_that_is_invalid_for_its_key_is_refused_and_the_error_lists_valid_values(reader, value, said):
    with pytest.raises(Wrong) as caught:
        reader(value)
    assert said in str(caught.value)
    assert len(str(caught.value)) < 200


def test_an_integer_that_is_too_long_for_python_to_print_is_refused():
    with pytest.raises(Wrong, match="takes a whole number"):
        toml_values.count(10**5000)
    with pytest.raises(Wrong, match="does not fit 64 bits"):
        toml_values.metadata({"a": 10**5000})


def test_the_error_for_a_refused_value_names_key_file_and_rule():
    for data, key, rule in [
        (b"", "number", "record.required"),
        (b"number = 'x'", "number", "record.type"),
        (b"number = 1\nnew = 2", "new", "record.unknown-key"),
        (b"number = 1\n[inner]\nword = 1", "inner.word", "record.type"),
        (b"number = 1\n[inner]\nnew = 1", "inner.new", "record.unknown-key"),
        (b"number = 1\n[[many]]\n[[many]]\nword = 1", "many[1].word", "record.type"),
        (b"number = 1\nmany = 3", "many", "record.type"),
        (b"number = 1\ninner = []", "inner", "record.type"),
        (b"number = 1\n[metadata]\na = [[[[[[[[[1]]]]]]]]]", f"metadata.a{'[0]' * 7}", "record.type"),
    ]:
        with pytest.raises(Invalid) as caught:
            read(data)
        assert caught.value.message.startswith(f"{PATH}, key {key}: ")
        assert caught.value.message.endswith(f"[{rule}]")
        assert "git model check" in caught.value.hint


def test_all_faults_of_a_record_are_reported_and_not_only_the_first():
    table = codec.parse_table(b"word = 1\nwords = 2\nnew = 3\n[inner]\nword = 4\nother = 5", PATH)
    record, problems = codec.inspect(Record, table, PATH)
    assert record is None
    assert [problem.key for problem in problems] == ["number", "word", "words", "inner.word", "inner.other", "new"]


def test_the_error_for_an_unknown_key_shows_the_key_shortened_and_escaped():
    with pytest.raises(Invalid) as caught:
        read('number = 1\n"\u202e\\u001B[31m{}" = 1'.format("x" * 5000).encode())
    assert caught.value.message.isascii()
    assert caught.value.message.isprintable()
    assert len(caught.value.message) < 400


def test_the_error_for_invalid_toml_names_the_line():
    with pytest.raises(Invalid, match=r"is not TOML: .*line 2.*\[record.syntax\]"):
        read(b"number = 1\nword = \n")
    with pytest.raises(Invalid, match="is not UTF-8 at byte 8"):
        read(b'word = "\xff"')
    with pytest.raises(Invalid, match="duplicate key"):
        read(b"number = 1\nnumber = 2\n")


HOSTILE = {
    "a dotted key": b"a" + b".a" * 32_700 + b" = 1",
    "a dotted table": b"[a" + b".a" * 32_700 + b"]",
    "arrays in arrays": b"a = " + b"[" * 32_000 + b"]" * 32_000,
    "tables in tables": b"a = " + b"{a = " * 10_000 + b"1" + b"}" * 10_000,
    "open arrays": b"a = " + b"[" * 65_000,
    "a long integer": b"number = " + b"9" * 65_000,
    "an integer past Python's limit for text": b"number = " + b"9" * 4_301,
    "an integer below Python's limit for text": b"number = " + b"9" * 4_299,
    "a long fraction": b"number = 0." + b"9" * 65_000,
    "an exponent": b"number = 1e999999999",
    "many keys": b"".join(b"a%d = 1\n" % number for number in range(6_000)),
    "many tables": b"".join(b"[a%d]\n" % number for number in range(6_000)),
    "many items": b"[[many]]\n" * 7_000,
    "deeper and deeper tables": b"".join(b"[a" + b".a" * depth + b"]\n" for depth in range(200)),
    "one long key": b'"' + b"x" * 65_000 + b'" = 1',
    "one long text": b"number = '''" + b"\n" * 65_000 + b"'''",
    "a million keys": b"".join(b"a%d = 1\n" % number for number in range(1_000_000)),
    "50 MB": b"#" * 50_000_000,
    "zero bytes": b"\0" * 65_000,
}


@pytest.mark.parametrize("data", HOSTILE.values(), ids=HOSTILE)
def test_malicious_toml_is_refused_quickly_with_a_short_message(data):
    began = time.process_time()
    with pytest.raises(Invalid) as caught:
        read(data)
    assert time.process_time() - began < 1
    assert len(caught.value.message) < 6_000
    assert caught.value.message.startswith(PATH)


def test_a_record_above_the_size_limit_is_not_written():
    around = len(written(word="x")) - 1
    assert len(written(word="x" * (codec.MAX_BYTES - around))) == codec.MAX_BYTES
    with pytest.raises(UsageError, match="65537 bytes, more than 65536"):
        written(word="x" * (codec.MAX_BYTES - around + 1))
    with error_with_hint(UsageError, r"a record of 70\d+ bytes, more than 65536", "artifact"):
        written(word="x" * 70_000)


def test_a_lone_surrogate_is_not_written():
    with pytest.raises(UsageError, match="an incomplete character"):
        written(word="\ud800")


@repeatable
@given(st.one_of(st.binary(max_size=200), st.text(max_size=200).map(lambda text: text.encode("utf-8", "replace"))))
def test_reading_any_bytes_returns_a_record_or_raises_invalid(data):
    try:
        found = read(data)
    except Invalid as error:
        found, message = None, error.message
    if found is None:
        assert message.startswith(PATH)
    else:
        again = codec.encode(found)
        assert codec.encode(read(again)) == again
