"""The filter of a list. It raises an error for names and values that no record has. Pure: no I/O."""

from __future__ import annotations

from collections.abc import Mapping

from gitmodel.domain.views.filter_names import Names
from gitmodel.expressions.expression import parse
from gitmodel.expressions.filter_terms import (
    Term,
    describe_unlike,
    find_terms,
    names_beside,
    spell_path,
    unknown,
    values_at,
)
from gitmodel.expressions.syntax import read_tokens, shown

_MOST_SUGGESTED = 1_000  # the maximum number of recorded names that a filter remembers, to suggest one of them


class Filter:
    """A filter that raises UsageError for names and values that no record has, so that a typo is noticed.

    *field_names* are the names of the fields that records can have. *names* are all words in the text of the filter, so
    they include each field that the filter reads. Call `matches` or `search` with each record, then `check_searched`.

    >>> wanted = Filter("metadata.acuracy > 0.9", {"metadata": "recorded"})
    >>> wanted.matches({"metadata": {"accuracy": 0.95}})
    False
    >>> wanted.check_searched("no version of iris")
    Traceback (most recent call last):
    gitmodel.errors.UsageError: expression `metadata.acuracy > 0.9`, column 1: no version of iris has metadata.acuracy
    hint: did you mean metadata.accuracy? has(metadata.acuracy) tests for it without an error
    """

    def __init__(self, text: str, field_names: Names) -> None:
        """Parse *text*. Raises the errors of `parse` and of `check_names`."""
        self.expression = parse(text)
        tokens = read_tokens(text)
        self.names = frozenset(token.text for token in tokens)
        found = find_terms(text, tokens, field_names)
        self._unseen = [term for term in found if term.value is None or term.known]
        # The literals for which no searched record has a value of a comparable type. Each maps to a value of another
        # type in a searched record, which the error message describes; to None if no searched record has a value.
        self._uncompared: dict[Term, object] = {term: None for term in found if term not in self._unseen}
        self._beside: dict[str, None] = {}
        self._any_searched = False

    @property
    def unseen(self) -> bool:
        """True if a recorded name (such as a key of metadata), value or type of the filter was in no record so far."""
        return bool(self._unseen) or any(value is not None for value in self._uncompared.values())

    @property
    def terms(self) -> tuple[Term, ...]:
        """The recorded names, values and literals of the filter that no record searched so far has."""
        return (*self._unseen, *self._uncompared)

    def accept_terms(self) -> None:
        """Make `check_searched` raise no error. The caller knows from the index that records have all `terms`."""
        self._unseen, self._uncompared = [], {}

    def matches(self, record: Mapping[str, object]) -> bool:
        """Call `search` with *record*, then return the result of `Expression.matches`, or raise its errors."""
        self.search(record)
        return self.expression.matches(record)

    def search(self, record: Mapping[str, object]) -> None:
        """Remember for `check_searched` which terms *record* has, and which of its names an error may suggest."""
        self._any_searched = True
        for term in [*self._uncompared]:
            for value in values_at(record, term.name):
                if term.fits(value):
                    del self._uncompared[term]
                    break
                self._uncompared[term] = value
        self._unseen = [term for term in self._unseen if not term.is_in(record)]
        if len(self._beside) < _MOST_SUGGESTED:
            for term in self._unseen:
                if term.value is None:
                    self._beside.update(dict.fromkeys(names_beside(record, term.name)))

    def check_searched(self, nothing: str) -> None:
        """Raise UsageError if a recorded name, value or type in the filter was in none of the searched records.

        *nothing* is the subject of the message, such as "no version of iris". If no record was searched, raises an
        error only for a value that is not among the known values of its field.
        """
        text = self.expression.text
        for term in self._unseen:
            name = spell_path(term.name)
            if isinstance(term.value, str):
                why = f'{nothing} has the {name} "{shown(term.value)}"'
                raise unknown(text, term.start, why, term.value, list(term.known), "", likeness=0.5)
            if self._any_searched:
                advice = f"has({name}) tests for it without an error"
                raise unknown(text, term.start, f"{nothing} has {name}", name, list(self._beside), advice)
        for term, value in self._uncompared.items():
            if value is not None and term.value is not None:
                name = spell_path(term.name)
                advice = describe_unlike(name, value, term.value, contained=term.contained)
                raise unknown(text, term.start, f"{nothing} has {term.wanted} as {name}", "", [], advice)


def check_names(text: str, field_names: Names) -> None:
    """Raise UsageError if the expression *text* reads a field that is not in *field_names*, without the CEL library.

    >>> check_names("nmae == '1.0'", {"name": "value"})
    Traceback (most recent call last):
    gitmodel.errors.UsageError: expression `nmae == '1.0'`, column 1: there is no field nmae
    hint: did you mean name?
    """
    find_terms(text, read_tokens(text), field_names)
