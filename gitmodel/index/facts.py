"""Facts: the values of a version by which the index finds it, and the ranges of facts that a filter needs. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import date, datetime, time, timedelta, timezone
from typing import Any, NamedTuple

from gitmodel.domain.schema.records import VersionRecord
from gitmodel.expressions.clauses import Condition

# A value as SQLite compares it: numbers as doubles, all else as bytes that begin with a letter for the type. Numbers
# are less than bytes. NaN is bytes, because SQLite stores it as NULL.
Value = float | bytes

_BOOLEAN, _LIST, _TABLE, _NAN, _TEXT, _TIME = b"b", b"l", b"m", b"n", b"s", b"t"
# A fact has at most this many bytes of a text. So longer texts that differ can have equal facts: a search compares the
# records that it finds with the filter again.
_LONGEST = 200
# Of a list with more items, the index knows only that it is a list.
_MOST_ITEMS = 32
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_FIRST: Value = float("-inf")
_LAST: Value = b"\xff"
_ROOTS = ("metadata", "tags", "name")
# The lowest and the highest value of each type, in the order in which `expressions.fields` sorts the types.
TYPES: tuple[tuple[Value, Value], ...] = (
    (float("-inf"), float("inf")),
    *((letter, letter + b"\xff") for letter in (_BOOLEAN, _LIST, _TABLE, _NAN, _TEXT, _TIME)),
)


class Range(NamedTuple):
    """The facts with *key* and a value from *low* to *high*, both included."""

    key: str
    low: Value = _FIRST
    high: Value = _LAST


def key_of(steps: Iterable[str]) -> str:
    """Return the key of the value to which the names *steps* lead: a JSON pointer (RFC 6901) without its first slash.

    >>> key_of(("metadata", "test/auc")), key_of(("tags", ""))
    ('metadata/test~1auc', 'tags/')
    """
    return "/".join(step.replace("~", "~0").replace("/", "~1") for step in steps)


def value_of(value: object) -> Value:
    """Return *value*, from the metadata of a record or a filter, as the index compares it.

    >>> value_of(3), value_of("a"), value_of([1, 2])
    (3.0, b'sa', b'l')
    """
    if isinstance(value, bool):
        return _BOOLEAN + bytes([value])
    if isinstance(value, (int, float)):
        return _NAN if value != value else float(value)
    if isinstance(value, datetime):
        aware = value if value.tzinfo else value.replace(tzinfo=timezone.utc)
        return _TIME + ((aware - _EPOCH) // timedelta(microseconds=1) + (1 << 62)).to_bytes(8, "big")
    if isinstance(value, (date, time)):
        return value_of(value.isoformat())
    if isinstance(value, str):
        return _TEXT + value.encode("utf-8", "surrogatepass")[:_LONGEST]
    return _TABLE if isinstance(value, Mapping) else _LIST


def facts_of(record: VersionRecord) -> set[tuple[str, Value]]:
    """Return the facts of *record*: the keys and values of its name, its tags and its metadata.

    The key of the items of a list ends with a slash.
    """
    found = {*_facts_below("metadata", record.metadata), *_facts_below("tags", record.tags)}
    if record.name is not None:
        found.add(("name", value_of(record.name)))
    return found


def _facts_below(key: str, value: Any) -> Iterator[tuple[str, Value]]:
    if isinstance(value, Mapping):
        for step, inner in value.items():
            at = f"{key}/{key_of((step,))}"
            yield at, value_of(inner)
            yield from _facts_below(at, inner)
    elif isinstance(value, (list, tuple)):
        items = value if len(value) <= _MOST_ITEMS else [[]]
        yield from ((f"{key}/", value_of(item)) for item in items)


def ranges_of(condition: Condition) -> tuple[Range, ...]:
    """Return ranges of facts. Each record that meets *condition* has a fact in at least one of them.

    Returns () if no fact follows from *condition*, for example if it compares with `!=`.

    >>> ranges_of(Condition(("metadata", "accuracy"), ">", 0.9))
    (Range(key='metadata/accuracy', low=0.9, high=inf),)
    """
    steps = tuple(step for step in condition.steps if isinstance(step, str))
    if steps != condition.steps or steps[0] not in _ROOTS or condition.sign == "!=":
        return ()
    key, value = key_of(steps), value_of(condition.literal)
    if condition.sign == "in":
        below = [Range(key_of((*steps, condition.literal)))] if isinstance(condition.literal, str) else []
        return (Range(f"{key}/", value, value), Range(f"{key}/", _LIST, _LIST), *below)
    lowest, highest = type_bounds(condition.literal)
    return (
        Range(
            key,
            value if condition.sign in ("==", ">", ">=") else lowest,
            value if condition.sign in ("==", "<", "<=") else highest,
        ),
    )


# The lowest and the highest `Value` of lists and maps together.
CONTAINERS: tuple[Value, Value] = (_LIST, _TABLE + b"\xff")


def type_bounds(literal: object) -> tuple[Value, Value]:
    """Return the lowest and the highest value of the type of a filter's *literal*. NaN is not between them."""
    if isinstance(literal, str):
        return _TEXT, _TEXT + b"\xff"
    return (_BOOLEAN, _BOOLEAN + b"\xff") if isinstance(literal, bool) else TYPES[0]
