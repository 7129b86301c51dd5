"""Comparing the names and values in a filter with those in records, so that a typo is an error, not an empty list."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from itertools import pairwise
from typing import NamedTuple

from gitmodel.domain.views.filter_names import RECORDED, Names, Words
from gitmodel.errors import UsageError
from gitmodel.expressions.clauses import Trouble, as_scalar, look_up
from gitmodel.expressions.operands import Literal, find_compared
from gitmodel.expressions.reading import CLOSERS, MACROS, Token, shown, spelled, wrong
from gitmodel.expressions.work_limits import NameUse, find_reads

Steps = tuple[str | int, ...]

_EQUAL = ("==", "!=")
EACH = -1  # as a step of a path: each item of a list, as a macro reads them
_MOST_SHOWN = 12


class Asked(NamedTuple):
    """Something that records must have, or else the filter may have a typo.

    This is a *name* that the filter reads at the character *start*, or, if *value* is not None, the *value* at *start*
    with which the filter compares the name. *known* has the possible values of the name, or is () if only the type of
    the value matters. *contained* is True for `value in name`, where the field must be a list or a map.
    """

    name: Steps
    start: int
    value: Literal | None = None
    known: tuple[str, ...] = ()
    contained: bool = False

    def fits(self, value: object) -> bool:
        """Return True if CEL can compare *value*, from a record, with the literal, or find the literal in *value*."""
        if self.contained:
            return isinstance(value, (list, tuple, set, frozenset, Mapping))
        return self.value is not None and is_comparable(value, self.value)

    @property
    def wanted(self) -> str:
        """The type that the value in a record must have, in plain words."""
        return "a list or a map" if self.contained else type_of(self.value if self.value is not None else "")


class _Scope(NamedTuple):
    """The part of an expression in which a macro defines *variable*. *macro* is the position of the macro."""

    variable: str
    start: int
    end: int
    macro: int


def find_asked(text: str, tokens: list[Token], known: Names) -> list[Asked]:
    """Return the recorded names, the unknown values and the other literals in *tokens*, except names in `has()`.

    Recorded names are names that people choose, such as keys of metadata. All other names are fixed. Raises UsageError
    with a suggestion for a fixed name that is not in *known*. A value is unknown if *known* has `Words` for its name,
    and the value is not among these.

    >>> from gitmodel.expressions.reading import read_tokens
    >>> text = "metadata.accuracy > 0.9 && status == 'sucess'"
    >>> found = find_asked(text, read_tokens(text), {"metadata": RECORDED, "status": Words(("failed",))})
    >>> [(asked.name, asked.start, asked.value, asked.known) for asked in found]
    [(('metadata', 'accuracy'), 0, None, ()), (('metadata', 'accuracy'), 20, 0.9, ()), (('status',), 37, 'sucess', \
('failed',))]
    """
    found: dict[Steps, Asked] = {}
    values: dict[tuple[Steps, Literal], Asked] = {}
    guarded: set[Steps] = set()
    items: dict[int, tuple[Steps, Names]] = {}
    scopes = _find_scopes(tokens)
    _check_in(text, tokens)
    for read in find_reads(tokens):
        above: Steps = ()
        names, steps = known, read.steps
        scope = next((s for s in scopes if s.variable == steps[0] and s.start < read.start < s.end), None)
        if scope is not None:
            if scope.macro not in items:
                continue  # an item of a list literal, such as [1, 2]
            (above, names), steps = items[scope.macro], steps[1:]
        names = _follow(text, read, names, steps)
        path = (*above, *steps)
        if read.call in MACROS:
            items[read.call_start] = (*path, EACH), names[0] if isinstance(names, list) else names
        if names == RECORDED and len(path) > 1 and path[-1] != EACH:
            if read.guarded:
                guarded.add(path)
            else:
                found.setdefault(path, Asked(path, read.start))
        if read.call:
            continue  # not compared with the field: in `size(name) == 3`, the literal is compared with a result
        _add_compared(values, text, tokens, read, path, names)
    return [*(asked for path, asked in found.items() if path not in guarded), *values.values()]


def _add_compared(
    values: dict[tuple[Steps, Literal], Asked],
    text: str,
    tokens: list[Token],
    read: NameUse,
    path: Steps,
    names: Names,
) -> None:
    """Add to *values* the literals with which the expression compares *read*, the use of a name at *path*.

    Raises UsageError for a literal that the field can never equal or contain.
    """
    for value, start, sign in find_compared(tokens, read.first, read.end):
        if isinstance(names, Mapping) and sign == "in" and isinstance(value, str):  # `"production" in stages`
            _follow(text, read._replace(steps=(*read.steps, value), start=start), names, (value,))
        elif sign == "in" and names == RECORDED:
            if len(path) > 1 and EACH not in path:
                values.setdefault((path, f"in {value}"), Asked(path, start, value, contained=True))
        elif sign == "in" or _is_records(names):
            _check_list(text, start, spelled(read.steps), names, value)
        elif isinstance(names, Words) and isinstance(value, str):
            if value not in names.known and sign in _EQUAL:
                values.setdefault((path, value), Asked(path, start, value, names.known))
        else:
            values.setdefault((path, value), Asked(path, start, value))


def has_name(record: Mapping[str, object], path: Steps) -> bool:
    """Return True if *record* has a value at *path*. For a path through a list, one item with a value is enough.

    >>> has_name({"artifacts": [{"metadata": {"rows": 1}}]}, ("artifacts", EACH, "metadata", "rows"))
    True
    """
    return any(True for _ in values_at(record, path))


def values_at(record: Mapping[str, object], path: Steps) -> Iterator[object]:
    """Yield the values of *record* at *path*. For a path through a list, yield the value of each item.

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


def read_values(tokens: list[Token], record: Mapping[str, object]) -> dict[str, object]:
    """Return the names that *tokens* read, with their values in *record*. None means not set.

    >>> from gitmodel.expressions.reading import read_tokens
    >>> read_values(read_tokens("metadata.f1 > 0.9 || tags.exists(t, t == 'ok')"), {"tags": ["new"]})
    {'metadata.f1': None, 'tags': ['new']}
    """
    found: dict[str, object] = {}
    scopes = _find_scopes(tokens)
    for read in find_reads(tokens):
        if not any(scope.variable == read.steps[0] and scope.start < read.start < scope.end for scope in scopes):
            value = look_up(record, read.steps)
            found.setdefault(spelled(read.steps), None if type(value) is Trouble else value)
    return found


def is_comparable(value: object, literal: Literal) -> bool:
    """Return True if CEL can compare the *value* of a record with *literal*: numbers, texts or booleans.

    >>> is_comparable(3, 0.5), is_comparable(3, "3"), is_comparable(True, 1)
    (True, False, False)
    """
    value = as_scalar(value)
    if isinstance(value, bool) or isinstance(literal, bool):
        return isinstance(value, bool) and isinstance(literal, bool)
    return isinstance(value, str) is isinstance(literal, str) and isinstance(value, str | int | float)


def type_of(literal: Literal) -> str:
    """Return the type of *literal* in plain words."""
    if isinstance(literal, bool):
        return "true or false"
    return "text" if isinstance(literal, str) else "a number"


def describe_unlike(name: str, value: object, literal: Literal, *, contained: bool = False) -> str:
    """Return a hint for a *value* of *name* that CEL cannot compare with *literal*: its type, and a valid comparison.

    *contained* is True if the filter tests `literal in name`.

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
    """Yield the recorded names in *record*, with dots, of which *path* may be a misspelling.

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
    text: str, start: int, why: str, name: str, known: list[str], advice: str, *, likeness: float = 0.6
) -> UsageError:
    """Return the error for an unknown *name* at *start*. *why* is its message. Its hint has the nearest *known* name.

    *likeness*, from 0 to 1, is the similarity that `difflib` requires of a suggestion.
    """
    from difflib import get_close_matches  # imported here, because only errors need it

    last = name.rpartition(".")[2]
    near = [one for one in known if one.rpartition(".")[2] == last] or get_close_matches(name, known, 1, likeness)
    near = near or [one for one in known if one.lower() == name.lower()]
    more = [f"did you mean {near[0]}?"] if near else []
    more += [advice] if advice else []
    if known and not near:
        more.append(
            f"the names are {', '.join(sorted(known)[:_MOST_SHOWN])}{', ...' if len(known) > _MOST_SHOWN else ''}"
        )
    error = wrong(text, start, why)
    error.hint = "; ".join(more).replace("?; ", "? ") or error.hint
    return error


def _follow(text: str, read: NameUse, names: Names, steps: Steps) -> Names:
    """Return the *names* at *steps*, the last steps of *read*. Raises UsageError for a step that is no field."""
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
    """Return True for a list of records, such as artifacts."""
    return isinstance(names, list) and isinstance(names[0], Mapping)


def _check_list(text: str, start: int, name: str, names: Names, value: Literal) -> None:
    """Raise UsageError if the field *name* cannot contain the literal *value*. Only a list of texts contains texts."""
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
    """Raise UsageError for a text or number after `in`, where a list or map is required."""
    for token, after in pairwise(tokens):
        if token.kind == "name" and token.text == "in" and after.kind in ("string", "number"):
            raise wrong(text, after.start, "in needs a list or a map", 'stage in ["staging", "production"]')


def _find_scopes(tokens: list[Token]) -> list[_Scope]:
    """Return the scopes of all macros, inner ones before outer ones."""
    scopes = []
    for i, token in enumerate(tokens[:-2]):
        if token.text not in MACROS or tokens[i + 1].text != "(":
            continue
        depth, end = 0, len(tokens) - 1
        for j in range(i + 1, len(tokens)):
            depth += (tokens[j].text in CLOSERS) - (tokens[j].text in CLOSERS.values())
            if depth == 0:
                end = j
                break
        scopes.append(_Scope(tokens[i + 2].text, tokens[i + 1].start, tokens[end].start, token.start))
    return scopes[::-1]
