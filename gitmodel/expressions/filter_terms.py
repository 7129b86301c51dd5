"""Comparing the names and values in a filter with those in records, so that a typo is an error, not an empty list."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from itertools import pairwise
from typing import NamedTuple

from gitmodel.domain.views.filter_names import RECORDED, Names, Words
from gitmodel.errors import UsageError
from gitmodel.expressions.clauses import Trouble, as_scalar, look_up
from gitmodel.expressions.compared_literals import Literal, find_compared
from gitmodel.expressions.name_uses import NameUse, find_reads, find_scopes
from gitmodel.expressions.syntax import MACROS, Token, shown, spelled, wrong

Steps = tuple[str | int, ...]

_EQUAL = ("==", "!=")
EACH = -1  # a step of a path that stands for each item of a list, which a macro reads
_MOST_SHOWN = 12


class Term(NamedTuple):
    """A name or value in a filter that some record must have. If no record has it, the filter may have a typo.

    If *value* is None, this is the *name* of a field (a path), which the filter reads at the character *start*.
    Otherwise it is a literal *value* at *start*, with which the filter compares the field *name*. *known* are the
    possible values of the field; if it is (), the field must only have a value of the same type. *contained* is True
    for `value in name`, where the field must be a list or a map.
    """

    name: Steps
    start: int
    value: Literal | None = None
    known: tuple[str, ...] = ()
    contained: bool = False

    def fits(self, value: object) -> bool:
        """Return True if *value*, which a record has as this field, has a type that CEL compares with the literal.

        >>> Term(("rows",), 0, 0.5).fits(3), Term(("rows",), 0, "3").fits(3), Term(("rows",), 0, 1).fits(True)
        (True, False, False)
        """
        if self.contained:
            return isinstance(value, (list, tuple, set, frozenset, Mapping))
        value = as_scalar(value)
        if isinstance(value, bool) or isinstance(self.value, bool):
            return isinstance(value, bool) and isinstance(self.value, bool)
        return isinstance(value, str) is isinstance(self.value, str) and isinstance(value, str | int | float)

    def is_in(self, record: Mapping[str, object]) -> bool:
        """Return True if *record* has the field; if the term has a value, return True if the field has this value."""
        values = values_at(record, self.name)
        return any(True for _ in values) if self.value is None else self.value in values

    @property
    def wanted(self) -> str:
        """The type that the field must have in a record, in words for a message."""
        return "a list or a map" if self.contained else type_of(self.value if self.value is not None else "")


def find_terms(text: str, tokens: list[Token], field_names: Names) -> list[Term]:
    """Return the names and values in the filter *text* that some record must have, else the filter may have a typo.

    *tokens* are the tokens of *text*, and *field_names* is the tree of field names. The result has the names that
    people choose (RECORDED in *field_names*), such as keys of metadata, unless the filter tests them by `has()`. It has
    the literals that are compared with a field. If *field_names* has `Words` for a field, it has only literals that are
    not among these words. Raises UsageError with a suggestion for any other name that is not in *field_names*.

    >>> from gitmodel.expressions.syntax import read_tokens
    >>> text = "metadata.accuracy > 0.9 && status == 'sucess'"
    >>> found = find_terms(text, read_tokens(text), {"metadata": RECORDED, "status": Words(("failed",))})
    >>> [(term.name, term.start, term.value, term.known) for term in found]
    [(('metadata', 'accuracy'), 0, None, ()), (('metadata', 'accuracy'), 20, 0.9, ()), (('status',), 37, 'sucess', \
('failed',))]
    """
    found: dict[Steps, Term] = {}
    values: dict[tuple[Steps, Literal], Term] = {}
    guarded: set[Steps] = set()
    items: dict[int, tuple[Steps, Names]] = {}
    scopes = find_scopes(tokens)
    _check_in(text, tokens)
    for read in find_reads(tokens):
        above: Steps = ()
        names, steps = field_names, read.steps
        scope = next((s for s in scopes if s.variable == steps[0] and s.start < read.start < s.end), None)
        if scope is not None:
            if scope.macro not in items:
                continue  # the variable is an item of a list literal such as [1, 2], not of a field
            (above, names), steps = items[scope.macro], steps[1:]
        names = _follow(text, read, names, steps)
        path = (*above, *steps)
        if read.call in MACROS:
            items[read.call_start] = (*path, EACH), names[0] if isinstance(names, list) else names
        if names == RECORDED and len(path) > 1 and path[-1] != EACH:
            if read.guarded:
                guarded.add(path)
            else:
                found.setdefault(path, Term(path, read.start))
        if read.call:
            continue  # in `name.size() == 3`, the literal is compared with a result, not with the field
        _add_compared(values, text, tokens, read, path, names)
    return [*(term for path, term in found.items() if path not in guarded), *values.values()]


def _add_compared(
    values: dict[tuple[Steps, Literal], Term],
    text: str,
    tokens: list[Token],
    read: NameUse,
    path: Steps,
    names: Names,
) -> None:
    """Add to *values* the literals with which the expression *text* compares *read*, a use of the field at *path*.

    *names* is the part of the tree of field names at *path*. Raises UsageError for a literal that the field can never
    equal or contain.
    """
    for value, start, sign in find_compared(tokens, read.first, read.end):
        if isinstance(names, Mapping) and sign == "in" and isinstance(value, str):  # `"production" in stages`
            _follow(text, read._replace(steps=(*read.steps, value), start=start), names, (value,))
        elif sign == "in" and names == RECORDED:
            if len(path) > 1 and EACH not in path:
                values.setdefault((path, f"in {value}"), Term(path, start, value, contained=True))
        elif sign == "in" or _is_records(names):
            _check_list(text, start, spelled(read.steps), names, value)
        elif isinstance(names, Words) and isinstance(value, str):
            if value not in names.known and sign in _EQUAL:
                values.setdefault((path, value), Term(path, start, value, names.known))
        else:
            values.setdefault((path, value), Term(path, start, value))


def values_at(record: Mapping[str, object], path: Steps) -> Iterator[object]:
    """Yield the value of *record* at *path*, if it has one. If *path* has EACH, yield the values of all items.

    >>> list(values_at({"artifacts": [{"kind": "data"}, {}]}, ("artifacts", EACH, "kind")))
    ['data']
    """
    at = path.index(EACH) if EACH in path else len(path)
    value = look_up(record, path[:at])
    if at == len(path):
        if type(value) is not Trouble:
            yield value
    elif isinstance(value, list | tuple):
        for item in value:
            yield from values_at({"": item}, ("", *path[at + 1 :]))


def spell_path(path: Steps) -> str:
    """Return *path* in the syntax of expressions, with the first item in place of EACH."""
    return spelled(tuple(0 if step == EACH else step for step in path))


def type_of(literal: Literal) -> str:
    """Return the type of *literal* in words for a message."""
    if isinstance(literal, bool):
        return "true or false"
    return "text" if isinstance(literal, str) else "a number"


def describe_unlike(name: str, value: object, literal: Literal, *, contained: bool = False) -> str:
    """Return a hint for a comparison of *name* with *literal* that CEL cannot make: the right type, and an example.

    *value* is the value of *name* in a record. *contained* is True if the filter tests `literal in name`.

    >>> describe_unlike("aliases", ["best"], "best")
    'aliases is a list; write "best" in aliases'
    """
    shown_literal = _shown_literal(literal)
    if contained:
        return f"{name} is a single value; {_write_equality(name, value, literal)}"
    if isinstance(value, datetime):
        return f'{name} is a time; write timestamp("2026-01-31T00:00:00Z")'
    if isinstance(value, list | tuple | set | frozenset):
        return f"{name} is a list; write {shown_literal} in {name}"
    if isinstance(value, Mapping):
        return f"{name} is a map; name one of its keys"
    if isinstance(value, bool):
        return f"{name} is true or false; write {name} or !{name}"
    if isinstance(value, str):
        return f'{name} is text; write it in quotes, as in "{shown_literal}"'
    return f"{name} is a number; write a number, without quotes"


def _shown_literal(literal: Literal) -> str:
    return f'"{shown(literal)}"' if isinstance(literal, str) else str(literal).lower()


def _write_equality(name: str, value: object, literal: Literal) -> str:
    shown_literal = _shown_literal(literal)
    is_text = isinstance(literal, str) and isinstance(value, str)
    part = f"; for a part of a text, {name}.contains({shown_literal})" if is_text else ""
    return f"write {name} == {shown_literal}{part}"


def names_beside(record: Mapping[str, object], path: Steps) -> Iterator[str]:
    """Yield the dotted names in *record* that may be meant by *path*: those in the same top-level table.

    >>> list(names_beside({"metadata": {"test": {"auc": 0.9}}}, ("metadata", "auc")))
    ['metadata.test', 'metadata.test.auc']
    """
    root = path[:1]
    values = record.get(str(root[0]))
    for key, value in values.items() if isinstance(values, Mapping) else ():
        yield spelled((*root, key))
        for below in value if isinstance(value, Mapping) else ():
            yield spelled((*root, key, below))


def unknown(
    text: str, start: int, why: str, name: str, candidates: list[str], advice: str, *, likeness: float = 0.6
) -> UsageError:
    """Return the error for an unknown *name* at the character *start* of the expression *text*. *why* is its message.

    The hint of the error suggests the most similar of the names *candidates*, and gives *advice*. *likeness*, from 0 to
    1, is how similar a name must be by the measure of `difflib`.
    """
    from difflib import get_close_matches  # imported here, because only errors need it

    last = name.rpartition(".")[2]
    near = [one for one in candidates if one.rpartition(".")[2] == last]
    near = near or get_close_matches(name, candidates, 1, likeness)
    near = near or [one for one in candidates if one.lower() == name.lower()]
    more = [f"did you mean {near[0]}?"] if near else []
    more += [advice] if advice else []
    if candidates and not near:
        rest = ", ..." if len(candidates) > _MOST_SHOWN else ""
        more.append(f"the names are {', '.join(sorted(candidates)[:_MOST_SHOWN])}{rest}")
    error = wrong(text, start, why)
    error.hint = "; ".join(more).replace("?; ", "? ") or error.hint
    return error


def _follow(text: str, read: NameUse, names: Names, steps: Steps) -> Names:
    """Return the part of the tree *names* to which *steps*, the last steps of *read*, lead. Raises UsageError."""
    for depth, step in enumerate(steps, start=len(read.steps) - len(steps)):
        if names == RECORDED:
            return RECORDED
        here = read.steps[:depth]
        if isinstance(names, list) and isinstance(step, int):
            names = names[0]
        elif isinstance(names, Mapping) and step in names:
            names = names[str(step)]
        elif isinstance(names, Mapping):
            said = spelled((*here, step))
            advice = f"write metadata.{step} for metadata" if not here and "metadata" in names else ""
            fields = [spelled((*here, name)) for name in names]
            raise unknown(text, read.start, f"there is no field {said}", said, fields, advice)
        else:
            what = "a list" if isinstance(names, list) else "a single value"
            example = f'write {spelled(here)}.exists(item, item.{step} == "...")' if _is_records(names) else ""
            raise unknown(text, read.start, f"{spelled(here)} is {what} and has no field {step}", "", [], example)
    return names


def _is_records(names: Names) -> bool:
    """Return True if *names* describes a list of records, such as artifacts."""
    return isinstance(names, list) and isinstance(names[0], Mapping)


def _check_list(text: str, start: int, name: str, names: Names, value: Literal) -> None:
    """Raise UsageError unless the field *name* is a list of texts and the literal *value* is a text."""
    literal = _shown_literal(value)
    if isinstance(names, list) and isinstance(names[0], Mapping):
        field = next(iter(names[0]))
        why, advice = f"{name} is a list of records", f"write {name}.exists(item, item.{field} == {literal})"
    elif not isinstance(names, list):
        why, advice = f"{name} is a single value, not a list", _write_equality(name, value, value)
    elif not isinstance(value, str):
        why, advice = f"{name} is a list of texts", f'write "{literal}" in {name}'
    else:
        return
    raise unknown(text, start, why, "", [], advice)


def _check_in(text: str, tokens: list[Token]) -> None:
    """Raise UsageError if a text or number follows `in`, because only a list or map may follow."""
    for token, after in pairwise(tokens):
        if token.kind == "name" and token.text == "in" and after.kind in ("string", "number"):
            raise wrong(text, after.start, "in needs a list or a map", 'stage in ["staging", "production"]')
