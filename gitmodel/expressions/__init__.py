"""Filters and gates: one language, CEL, over one record. Pure: text and mappings in, answers out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from gitmodel.domain.filter_names import Names
from gitmodel.errors import UsageError
from gitmodel.expressions.clauses import Clause, Trouble, plain_clause
from gitmodel.expressions.names import EACH, Asked, find_asked, has_name, names_beside, unknown, values_at
from gitmodel.expressions.program import Program, check_size, compile_text
from gitmodel.expressions.reading import EXAMPLE, check_shape, read_tokens, shown, spelled, split_clauses

LONGEST = 2_000  # characters of an expression
_MOST_SUGGESTED = 1_000  # recorded names that are kept to suggest one of them


class Verdict(NamedTuple):
    """The result of a gate for one record: whether it passes and, if not, which clause fails and the reason.

    *missing* is the dotted key that was not there; *clause* is the failing part as it was written. *unreadable* is True
    if the gate itself is malformed. A verdict is true when the gate passes.

    >>> parse("metadata.accuracy > 0.9").judge({"metadata": {}})
    Verdict(passed=False, clause='metadata.accuracy > 0.9', reason='metadata.accuracy is missing', \
missing='metadata.accuracy', unreadable=False)
    """

    passed: bool
    clause: str = ""
    reason: str = ""
    missing: str | None = None
    unreadable: bool = False

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


class Filter:
    """A filter of records whose names are *known*; a name or value of none of them is an error, not an empty answer.

    >>> wanted = Filter("metadata.acuracy > 0.9", {"metadata": "recorded"})
    >>> wanted.matches({"metadata": {"accuracy": 0.95}})
    False
    >>> wanted.check_searched("no version of iris")
    Traceback (most recent call last):
    gitmodel.errors.UsageError: expression `metadata.acuracy > 0.9`, column 1: no version of iris has metadata.acuracy
    hint: did you mean metadata.accuracy?; has(metadata.acuracy) asks for it without an error
    """

    def __init__(self, text: str, known: Names) -> None:
        """Parse *text*. Raises UsageError as `parse` does, and for a fixed name that is not *known*."""
        self._expression = parse(text)
        self._unseen = find_asked(text, read_tokens(text), known)
        self._beside: dict[str, None] = {}
        self._any_searched = False

    @property
    def unseen(self) -> bool:
        """True while the filter asks for a recorded name, such as a key of the metadata, or for an unknown value, that
        no record had so far.
        """
        return bool(self._unseen)

    def matches(self, record: Mapping[str, object]) -> bool:
        """Return True if *record* fits, and remember which names it has. Raises UsageError as `Expression.matches`."""
        self.search(record)
        return self._expression.matches(record)

    def search(self, record: Mapping[str, object]) -> None:
        """Remember which names *record* has."""
        self._any_searched = True
        if not self._unseen:
            return
        self._unseen = [asked for asked in self._unseen if not _has(record, asked)]
        if len(self._beside) < _MOST_SUGGESTED:
            for asked in self._unseen:
                beside = names_beside(record, asked.name) if asked.value is None else ()
                self._beside.update(dict.fromkeys(beside))

    def check_searched(self, nothing: str) -> None:
        """Raise UsageError if none of the records searched has a recorded name or an unknown value of the filter.

        *nothing* is "no version of iris". Without records every recorded name may be right.
        """
        text = self._expression.text
        for asked in self._unseen:
            name = spelled(tuple(0 if step == EACH else step for step in asked.name))
            if asked.value is not None:
                why = f'{nothing} has the {name} "{shown(asked.value)}"'
                raise unknown(text, asked.start, why, asked.value, list(asked.known), "", likeness=0.5)
            if self._any_searched:
                advice = f"has({name}) asks for it without an error"
                raise unknown(text, asked.start, f"{nothing} has {name}", name, list(self._beside), advice)


def _has(record: Mapping[str, object], asked: Asked) -> bool:
    if asked.value is None:
        return has_name(record, asked.name)
    return asked.value in values_at(record, asked.name)


def check_names(text: str, known: Names) -> None:
    """Raise UsageError if the expression *text* reads a fixed name that is not *known*. Needs no CEL library.

    >>> check_names("nmae == '1.0'", {"name": "value"})
    Traceback (most recent call last):
    gitmodel.errors.UsageError: expression `nmae == '1.0'`, column 1: there is no field nmae
    hint: did you mean name?
    """
    find_asked(text, read_tokens(text), known)


def parse(text: str) -> Expression:
    """Read a filter or gate.

    Bounded, so that an expression from somebody else can neither stall nor crash its reader: 2,000 characters
    and 32 levels of nesting; outside plain comparisons 250 operations, 8 of them `+`, and only functions that
    cannot grow a value (so no `map`). The cost of macros and patterns is estimated from above, record by
    record, and refused where it could exceed about 2 seconds.

    Raises UsageError, with the position, for anything else, and if the CEL library is needed but not there.

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
    compile_text(text)  # the whole of it first, so that positions in its errors are true
    clauses = tuple(clause or Program(text, part) for clause, part in zip(plain, parts, strict=True))
    return Expression(text, clauses)
