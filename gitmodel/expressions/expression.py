"""Parsing an expression, and evaluating it as a filter or as the gate of a stage. Pure: no I/O."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import takewhile
from typing import NamedTuple

from gitmodel.errors import UsageError
from gitmodel.expressions.cel_clauses import Program, check_size, compile_text
from gitmodel.expressions.clauses import Clause, Condition, Trouble, plain_clause
from gitmodel.expressions.name_uses import read_values
from gitmodel.expressions.syntax import EXAMPLE, check_shape, read_tokens, shown, split_clauses

LONGEST = 2_000  # the maximum number of characters in an expression


class Verdict(NamedTuple):
    """The result of a gate for one record. In Python, a verdict is true if the record passes the gate.

    If the record fails, *clause* is the text of the first clause that fails, and *reason* says why. If the reason is
    that the record lacks a key, *missing* is this key with dots. *unreadable* is True if the expression of the gate is
    invalid. *values* maps the dotted keys that the gate reads to their values in the record (None: not set).

    >>> parse("metadata.accuracy > 0.9").judge({"metadata": {}})
    Verdict(passed=False, clause='metadata.accuracy > 0.9', reason='metadata.accuracy is not set', \
missing='metadata.accuracy', unreadable=False, values={'metadata.accuracy': None})
    """

    passed: bool
    clause: str = ""
    reason: str = ""
    missing: str | None = None
    unreadable: bool = False
    values: Mapping[str, object] = {}

    def __bool__(self) -> bool:
        return self.passed


class Expression:
    """A parsed filter or gate: clauses joined by `&&`.

    gitmodel evaluates the clauses from left to right until one is not true. *names* are the top-level keys of records
    that the expression reads. *plain* is True if gitmodel can evaluate all clauses without the CEL library.

    >>> expression = parse('metadata.accuracy > 0.9 && "baseline" in tags')
    >>> expression.matches({"metadata": {"accuracy": 1}, "tags": ["baseline"]})
    True
    >>> expression.matches({"tags": ["baseline"]})
    False
    >>> sorted(expression.names), expression.plain
    (['metadata', 'tags'], True)
    """

    __slots__ = ("_clauses", "names", "plain", "text")

    def __init__(self, text: str, clauses: tuple[Clause, ...]) -> None:
        self.text = text
        self._clauses = clauses
        self.names = frozenset[str]().union(*(clause.names for clause in clauses))
        self.plain = all(clause.plain for clause in clauses)

    def __repr__(self) -> str:
        return f"parse({self.text!r})"

    @property
    def conditions(self) -> tuple[Condition, ...]:
        """Comparisons by which an index can exclude records: a record for which one of them is false does not match.

        These are the first clauses of the expression, up to the first that can raise an error or that is not a
        comparison with a literal. Comparisons after it are not included: if they excluded a record, the error of the
        earlier clause would not be raised.
        """
        found = takewhile(lambda condition: condition is not None, (clause.condition for clause in self._clauses))
        return tuple(condition for condition in found if condition is not None)

    @property
    def can_raise(self) -> bool:
        """True if `matches` may raise an error for some record."""
        return len(self.conditions) < len(self._clauses)

    def matches(self, record: Mapping[str, object]) -> bool:
        """Return True if all clauses are true for *record*.

        A clause whose key is missing or not comparable counts as false.

        Raises UsageError if the result of a clause is not a boolean, or if a clause needs too much work for this
        record.
        """
        for clause in self._clauses:
            answer = clause.answer(record)
            if answer is True:
                continue
            if type(answer) is Trouble and answer.fault:
                raise UsageError(f"{shown(clause.text)}: {answer.reason}", hint=f"an example: {EXAMPLE}")
            return False
        return True

    def judge(self, record: Mapping[str, object]) -> Verdict:
        """Evaluate the expression as a gate for *record*, and return the Verdict.

        The Verdict describes a failure or an error; nothing is raised.

        A clause that reads NaN fails even if it is true, because a NaN in a record comes from a failed computation.
        """
        return self._judge(record)._replace(values=read_values(read_tokens(self.text), record))

    def _judge(self, record: Mapping[str, object]) -> Verdict:
        for clause in self._clauses:
            answer = clause.answer(record)
            nan = None if type(answer) is Trouble and answer.fault else clause.find_nan(record)
            if nan is not None:
                return Verdict(False, clause.text, f"{nan} is not a number (NaN)")
            if answer is True:
                continue
            if type(answer) is Trouble:
                return Verdict(False, clause.text, answer.reason, answer.missing)
            return Verdict(False, clause.text, clause.finding(record))
        return Verdict(True)


def parse(text: str) -> Expression:
    """Return the filter or gate *text*, parsed.

    Limits protect against expressions that would hang or crash gitmodel, because other people can write gates. An
    expression may have at most 2,000 characters and 32 levels of nesting. If the CEL library is needed, it may have at
    most 250 operators, of which 8 may be `+`, and must not call a function that can build larger values (such as
    `map`). For macros and patterns, gitmodel estimates the longest time that they can take on each record, and refuses
    more than about 2 seconds.

    Raises UsageError, with the position in *text*, if *text* is not a valid expression or exceeds a limit. Raises
    UsageError if the CEL library is needed but not installed.

    >>> parse("number = 4")
    Traceback (most recent call last):
    gitmodel.errors.UsageError: expression `number = 4`, column 8: write == to compare
    hint: an example: metadata.accuracy > 0.9 && "baseline" in tags
    """
    if len(text) > LONGEST:
        raise UsageError(
            f"expression `{shown(text)}` is {len(text):,} characters long; the limit is {LONGEST:,}",
            hint=f"a shorter one, for example: {EXAMPLE}",
        )
    tokens = read_tokens(text)
    check_shape(text, tokens)
    parts = split_clauses(tokens)
    plain = [plain_clause(text, part) for part in parts]
    if None not in plain:
        return Expression(text, tuple(clause for clause in plain if clause is not None))
    check_size(text, tokens)
    compile_text(text)  # the whole text, because the positions in errors of a single clause would be wrong
    clauses = tuple(clause or Program(text, part) for clause, part in zip(plain, parts, strict=True))
    return Expression(text, clauses)
