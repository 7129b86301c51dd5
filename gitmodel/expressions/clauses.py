"""Clauses of an expression (the parts between `&&`), and the evaluation of plain clauses without the CEL library."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from datetime import date, datetime, time, timezone
from typing import Any, NamedTuple

from gitmodel.expressions.syntax import COMPARISONS, Token, read_literal, read_path, shown, spelled, text_of

_MIRRORED = {"==": "==", "!=": "!=", "<": ">", "<=": ">=", ">": "<", ">=": "<="}


class Trouble(NamedTuple):
    """The *reason* why a clause is neither true nor false for a record.

    *missing* is the dotted key that the record lacks, if this is the reason. *fault* is True if the expression itself
    is wrong, or is too much work for the record: then `Expression.matches` raises UsageError.
    """

    reason: str
    missing: str | None = None
    fault: bool = False


NO_ANSWER = Trouble("its parts cannot be compared")


class Condition(NamedTuple):
    """A comparison of a value of the record with *literal*. The keys and indexes *steps* lead to the value.

    *sign* is an operator such as `==` or `<`, or `in` for `literal in value`.
    """

    steps: tuple[str | int, ...]
    sign: str
    literal: bool | int | float | str


def look_up(record: Mapping[str, object], steps: tuple[str | int, ...]) -> Any:
    """Return the value at the path *steps* of *record*; a Trouble if there is none or if it is None."""
    value: Any = record
    for depth, step in enumerate(steps):
        if isinstance(value, (dict, Mapping)):  # dict first, because the check of Mapping is slow
            value = value.get(step)
            if value is not None:
                continue
        elif isinstance(value, list | tuple) and isinstance(step, int):
            if 0 <= step < len(value):
                value = value[step]
                continue
        else:
            return NO_ANSWER
        name = spelled(steps[: depth + 1])
        return Trouble(f"{name} is not set", missing=name)
    return value


def holds_nan(value: Any, below: tuple[tuple[str | int, ...], ...] = ((),)) -> bool:
    """Return True if *value* is NaN or contains NaN.

    In the tables of a list, only the values at the paths *below* count.

    >>> holds_nan([{"auc": float("nan"), "rows": 3}], (("rows",),))
    False
    """
    if isinstance(value, float):
        return value != value
    if isinstance(value, (list, tuple, set, frozenset)):
        items = [[look_up(i, path) for path in below] if isinstance(i, Mapping) else [i] for i in value]
        return any(holds_nan(one, below) for item in items for one in item if type(one) is not Trouble)
    return isinstance(value, Mapping) and any(holds_nan(item) for item in value.values())


class Clause(ABC):
    """One clause of an expression. For a record, it is true, false, or neither for a reason (a Trouble).

    *condition* is the clause as a comparison of a key with a literal. It is None for any other clause, and for a clause
    for which `Expression.matches` may raise an error. *names* are the top-level keys that the clause reads. *plain* is
    True if gitmodel evaluates the clause without the CEL library.
    """

    plain = True
    condition: Condition | None = None
    names: frozenset[str]
    text: str

    @abstractmethod
    def answer(self, record: Mapping[str, object]) -> bool | Trouble:
        """Return True or False if the clause is true or false for *record*; else the reason, as a Trouble."""

    @abstractmethod
    def find_nan(self, record: Mapping[str, object]) -> str | None:
        """Return the dotted key of a value with NaN that the clause reads from *record*; None if there is none."""

    def finding(self, record: Mapping[str, object]) -> str:
        """Return a phrase that says why the clause is false for *record*, such as "metadata.accuracy is 0.8"."""
        return "it is false"


class _Plain(Clause):
    """A clause that gitmodel evaluates without the CEL library: it calls *test* with the value at the path *steps*.

    *reads_keys* is True for `literal in value`: if *value* is a table, this reads only its keys.
    """

    __slots__ = ("condition", "names", "reads_keys", "steps", "test", "text")

    def __init__(
        self,
        text: str,
        steps: tuple[str | int, ...],
        test: Callable[[Any], bool | Trouble],
        condition: Condition | None = None,
    ) -> None:
        self.text, self.steps, self.test, self.condition = text, steps, test, condition
        self.reads_keys = condition is not None and condition.sign == "in"
        self.names = frozenset({str(steps[0])})

    def answer(self, record: Mapping[str, object]) -> bool | Trouble:
        value = look_up(record, self.steps)
        return value if type(value) is Trouble else self.test(value)

    def find_nan(self, record: Mapping[str, object]) -> str | None:
        value = look_up(record, self.steps)
        if self.reads_keys and isinstance(value, Mapping):
            return None
        return spelled(self.steps) if holds_nan(value) else None

    def finding(self, record: Mapping[str, object]) -> str:
        value = look_up(record, self.steps)
        found = value.isoformat() if isinstance(value, date) else repr(value)
        return f"{spelled(self.steps)} is {shown(found)}"


def plain_clause(text: str, tokens: list[Token]) -> _Plain | None:
    """Return *tokens* as a clause that needs no library; None if they need it.

    These are comparisons of a key with a literal, `literal in key`, `key` and `!key`.
    """
    written = text_of(text, tokens)
    bare = read_path(tokens)
    if bare is not None:
        return _Plain(written, bare, _is_true)
    if tokens[0].text == "!" and (negated := read_path(tokens[1:])) is not None:
        return _Plain(written, negated, _is_false, Condition(negated, "==", False))
    at = next((i for i, token in enumerate(tokens) if token.text in COMPARISONS or token.text == "in"), None)
    if at is None:
        return None
    sign, left, right = tokens[at].text, tokens[:at], tokens[at + 1 :]
    if sign != "in" and read_path(left) is None:
        sign, left, right = _MIRRORED[sign], right, left
    elif sign == "in":
        left, right = right, left
    steps, literal = read_path(left), read_literal(right)
    if steps is None or literal is None:
        return None
    condition = Condition(steps, sign, literal)
    if sign != "in":
        return _Plain(written, steps, _comparison(sign, literal), condition)
    return None if isinstance(literal, bool | float) else _Plain(written, steps, _membership(literal), condition)


def _is_true(value: object) -> bool | Trouble:
    return value if isinstance(value, bool) else Trouble("it is neither true nor false", fault=True)


def _is_false(value: object) -> bool | Trouble:
    return not value if isinstance(value, bool) else NO_ANSWER


def _double(number: int) -> float:
    """Return *number* as a float, as the CEL library converts it: rounded, or infinite if it is too large."""
    try:
        return float(number)
    except OverflowError:
        return float("inf") if number > 0 else float("-inf")


def _comparison(sign: str, literal: bool | int | float | str) -> Callable[[Any], bool | Trouble]:
    compare = COMPARISONS[sign]
    alike = type(literal)
    unlike: bool | Trouble = {"==": False, "!=": True}.get(sign, NO_ANSWER)
    ordered = sign not in ("==", "!=")
    double = float(literal) if not isinstance(literal, str) else 0.0

    def test_same(value: Any) -> bool | Trouble:
        value = value if type(value) is alike else as_scalar(value)
        return compare(value, literal) if type(value) is alike else unlike

    def test_number(value: Any) -> bool | Trouble:
        kind = type(value)
        if kind is not int and kind is not float:
            value = as_scalar(value)
            kind = type(value)
        if kind is int:
            if alike is int and -(2**63) <= value < 2**63:
                return compare(value, literal)
            return compare(_double(value), double)
        if kind is not float:
            return unlike
        return NO_ANSWER if ordered and value != value else compare(value, double)

    return test_same if alike in (bool, str) else test_number


def _membership(literal: int | str) -> Callable[[Any], bool | Trouble]:
    equals = _comparison("==", literal)

    def test(value: Any) -> bool | Trouble:
        if isinstance(value, list | tuple | set | frozenset):
            return any(equals(item) is True for item in value)
        if isinstance(value, Mapping):
            return value.get(literal) is not None
        return NO_ANSWER

    return test


def as_scalar(value: Any) -> Any:
    """Return *value*, from a record, as one of the types that CEL compares. Lists and tables are returned unchanged."""
    if isinstance(value, datetime):
        return value if value.tzinfo else value.replace(tzinfo=timezone.utc)
    if isinstance(value, date | time):  # without a time zone in TOML, so compared as text
        return value.isoformat()
    if isinstance(value, int) and not isinstance(value, bool):
        return int(value) if -(2**63) <= value < 2**63 else _double(value)
    for base in (str, float):
        if isinstance(value, base):
            return base(value)
    return value
