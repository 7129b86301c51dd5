"""Functions that convert a value from the TOML parser to the value in a record. All raise `Wrong` if it is invalid."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date, datetime, time, timedelta, timezone
from typing import Any

from gitmodel.domain.schema.names import with_article

MAX_NESTING = 8
MAX_KEY = 128
_INT64 = 2**63
_NO_OFFSET = timedelta(0)


class Wrong(ValueError):
    """The error for an invalid value of a key: the text says what is valid.

    *path* says where in the value the fault is, such as `.layers[2]`; "" for the value itself.
    """

    path = ""

    def below(self, step: str) -> Wrong:
        """Put *step*, the key or position of the value in a table or list, before the path, and return this error."""
        self.path = step + self.path
        return self


def shown(name: str) -> str:
    """Return the name of a key for a message: escaped if it is not printable, and cut if it is too long for a key."""
    return ascii(name[:MAX_KEY])[1:-1]


def text(value: Any) -> str:
    """Return *value* if it is a text."""
    if not isinstance(value, str):
        raise Wrong(f"takes text, not {_kind(value)}")
    return value


def flag(value: Any) -> bool:
    """Return *value* if it is a boolean."""
    if not isinstance(value, bool):
        raise Wrong(f"takes true or false, not {_kind(value)}")
    return value


def count(value: Any) -> int:
    """Return *value* if it is a whole number from 0."""
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < _INT64:
        raise Wrong(f"takes a whole number, not {_kind(value)}")
    return value


def number(value: Any) -> int:
    """Return *value* if it is a whole number from 1."""
    if count(value) < 1:
        raise Wrong("takes a number from 1")
    return int(value)


def seconds(value: Any) -> float:
    """Return *value*, a number of seconds from 0, as a float."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value < _INT64:
        raise Wrong(f"takes seconds, not {_kind(value)}")
    return float(value)


def moment(value: Any) -> datetime:
    """Return *value* if it is a time in UTC without fractions of a second."""
    if not isinstance(value, datetime) or value.utcoffset() != _NO_OFFSET or value.microsecond:
        raise Wrong("takes a time in UTC to the second, such as 2026-11-23T10:12:13Z")
    return value.replace(tzinfo=timezone.utc)


def texts(value: Any) -> tuple[str, ...]:
    """Return *value*, an array of texts, as a tuple."""
    if not isinstance(value, (list, tuple)) or not all(isinstance(item, str) for item in value):
        raise Wrong("takes an array of text")
    return tuple(value)


def word_set(value: Any) -> tuple[str, ...]:
    """Return *value*, a sorted array of different texts, as a tuple."""
    found = texts(value)
    if len(found) > 1 and list(found) != sorted(set(found)):
        raise Wrong("takes an array of different texts, sorted")
    return found


def metadata(value: Any) -> dict[str, Any]:
    """Return *value*, a table that can be metadata, as a dict. The error has the path of the invalid value.

    It may hold numbers, text, booleans, times, tables, and lists, at most 8 deep; a list with tables holds only tables.
    """
    if not isinstance(value, (dict, Mapping)):  # dict comes first, because checking for Mapping is slow
        raise Wrong(f"takes a table, not {_kind(value)}")
    return _metadata_table(value, 1)


def _metadata_table(table: Mapping[str, Any], depth: int) -> dict[str, Any]:
    if depth > MAX_NESTING:
        raise Wrong(f"is nested more than {MAX_NESTING} deep")
    for name in table:
        if not isinstance(name, str) or not 0 < len(name) <= MAX_KEY:
            raise Wrong(f"has a key that is not a text of 1 to {MAX_KEY} characters")
    found = {}
    for name in sorted(table):
        try:
            found[str(name)] = _metadata_value(table[name], depth + 1)
        except Wrong as wrong:
            raise wrong.below(f".{shown(name)}") from None
    return found


def _metadata_value(value: Any, depth: int) -> Any:
    if type(value) in (str, bool, float):
        return value
    if isinstance(value, str):
        return str.__str__(value)  # the value of an enum member, not its name
    if isinstance(value, float):
        return float(value)
    if isinstance(value, int):
        if not -_INT64 <= value < _INT64:
            raise Wrong("holds a whole number that does not fit 64 bits")
        return int(value)
    if isinstance(value, datetime):
        offset = value.utcoffset()
        if offset is not None and offset % timedelta(minutes=1):
            raise Wrong("holds a time in a zone that is not whole minutes from UTC")
        # The TOML reader's own zone objects cannot be copied or pickled.
        return value if offset is None else value.replace(tzinfo=timezone(offset))
    if isinstance(value, time) and value.tzinfo is not None:
        raise Wrong("holds a time of day with a zone, which only a date and time can have")
    if isinstance(value, (date, time)):
        return value
    if isinstance(value, Mapping):
        return _metadata_table(value, depth)
    if isinstance(value, (list, tuple)):
        return _metadata_list(value, depth)
    raise Wrong(f"is {_kind(value)}")


def _metadata_list(items: list[Any] | tuple[Any, ...], depth: int) -> list[Any]:
    if depth > MAX_NESTING:
        raise Wrong(f"is nested more than {MAX_NESTING} deep")
    tables = sum(isinstance(item, Mapping) for item in items)
    if tables not in (0, len(items)):
        raise Wrong("is a list with tables and other values; use tables only, or none")
    found = []
    for index, item in enumerate(items):
        try:
            if isinstance(item, (list, tuple)) and any(isinstance(inner, Mapping) for inner in item):
                raise Wrong("is a list of tables in a list, which no record can hold")
            found.append(_metadata_value(item, depth + 1))
        except Wrong as wrong:
            raise wrong.below(f"[{index}]") from None
    return found


# The function that reads the value of a key, by the plain type of its field.
READERS: dict[Any, Callable[[Any], Any]] = {
    str: text,
    bool: flag,
    int: count,
    float: seconds,
    datetime: moment,
    Mapping[str, Any]: metadata,
}


def _kind(value: Any) -> str:
    kinds = {bool: "true or false", str: "text", dict: "a table", list: "an array", datetime: "a time"}
    if isinstance(value, int) and not isinstance(value, bool) and not -_INT64 <= value < _INT64:
        return "a number that does not fit 64 bits"
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return f"the number {value}"
    if value is None:
        return "None"
    return kinds.get(type(value), f"{with_article(type(value).__name__)}")
