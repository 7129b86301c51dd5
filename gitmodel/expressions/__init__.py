"""Filters and gates: one language, CEL, over one record. Pure: text and mappings in, answers out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from gitmodel.errors import UsageError
from gitmodel.expressions.clauses import Clause, Trouble, plain_clause
from gitmodel.expressions.program import Program, check_size, compile_text
from gitmodel.expressions.reading import EXAMPLE, check_shape, read_tokens, shown, split_clauses

LONGEST = 2_000  # characters of an expression


class Verdict(NamedTuple):
    """What a gate says of one record: whether it holds and, if not, which clause fails and why.

    *missing* is the dotted key that was not there; *clause* is the failing part as it was written.
    A verdict is true when the gate holds.

    >>> parse("metadata.accuracy > 0.9").judge({"metadata": {}})
    Verdict(passed=False, clause='metadata.accuracy > 0.9', reason='metadata.accuracy is missing', \
missing='metadata.accuracy')
    """

    passed: bool
    clause: str = ""
    reason: str = ""
    missing: str | None = None

    def __bool__(self) -> bool:
        return self.passed


class Expression:
    """A parsed filter or gate: clauses joined by `&&`, read from left to right; the first that fails decides.

    *names* are the top-level keys it reads; *plain* says that it is answered without the CEL library.

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

    def matches(self, record: Mapping[str, object]) -> bool:
        """Say whether *record* fits, as a filter asks: a missing key or uncomparable types are no match.

        Raises UsageError if a clause is neither true nor false, or is too much work for this record.
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
        """Say whether *record* satisfies every clause, as a gate asks; a failure is no exception."""
        for clause in self._clauses:
            answer = clause.answer(record)
            if answer is True:
                continue
            if type(answer) is Trouble:
                return Verdict(False, clause.text, answer.reason, answer.missing)
            return Verdict(False, clause.text, clause.finding(record))
        return Verdict(True)


def parse(text: str) -> Expression:
    """Read a filter or gate.

    Bounded, so that an expression from somebody else can neither stall nor crash its reader: 2,000 characters
    and 32 levels of nesting; outside plain comparisons 250 operations, 8 of them `+`, and only functions that
    cannot grow a value (so no `map`). The cost of macros and patterns is estimated from above, record by
    record, and refused where it could exceed about 2 seconds.

    Raises UsageError, with the position, for anything else, and if the CEL library is needed but not there.

    >>> parse("number = 4")
    Traceback (most recent call last):
    gitmodel.errors.UsageError: expression `number = 4`, column 8: a comparison is written ==
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
    compile_text(text)  # the whole of it first, so that positions in its errors are true
    clauses = tuple(clause or Program(text, part) for clause, part in zip(plain, parts, strict=True))
    return Expression(text, clauses)
