"""Finding the keys of a record, and the variables of macros, that an expression reads. Pure: no I/O."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from gitmodel.expressions.clauses import Trouble, look_up
from gitmodel.expressions.syntax import CLOSERS, MACROS, Token, read_path, spelled


class NameUse(NamedTuple):
    """A use of a record's key, or of a macro's variable, at the character *start* of an expression.

    *steps* are the keys and indexes of the path. *call* is the name of the method that the expression calls on the
    value ("": none), and *call_start* the character at which this name starts. *guarded* is True if the use is the
    argument of `has()`. The use consists of the tokens with the indexes from *first* up to *end*.
    """

    steps: tuple[str | int, ...]
    call: str
    start: int = 0
    call_start: int = 0
    guarded: bool = False
    first: int = 0
    end: int = 0


class Scope(NamedTuple):
    """The part of an expression, from the character *start* to *end*, in which *variable* is the variable of a macro.

    *macro* is the character at which the name of the macro starts.
    """

    variable: str
    start: int
    end: int
    macro: int


def find_reads(tokens: list[Token]) -> list[NameUse]:
    """Return all uses of keys of the record, and of variables of macros, in *tokens*."""
    reads = []
    padded = [Token("sign", "", 0), *tokens, *[Token("sign", "", 0)] * 3]
    for i in range(1, len(tokens) + 1):
        if padded[i - 1].text == "." or padded[i + 1].text == "(" or read_path(padded[i : i + 1]) is None:
            continue
        end, steps = i + 1, read_path(padded[i : i + 1]) or ()
        while True:
            size = 2 if padded[end].text == "." else 3
            longer = read_path(padded[i : end + size])
            if longer is None or (size == 2 and padded[end + 2].text == "("):
                break
            end, steps = end + size, longer
        called = padded[end].text == "." and padded[end + 2].text == "("
        call, call_start = padded[end + 1][1:] if called else ("", 0)
        guarded = padded[i - 1].text == "(" and padded[i - 2].text == "has"
        reads.append(NameUse(steps, call, padded[i].start, call_start, guarded, i - 1, end - 1))
    return reads


def find_scopes(tokens: list[Token]) -> list[Scope]:
    """Return the scopes of all macros in *tokens*. The scope of an inner macro is before that of the outer one."""
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
        scopes.append(Scope(tokens[i + 2].text, tokens[i + 1].start, tokens[end].start, token.start))
    return scopes[::-1]


def read_values(tokens: list[Token], record: Mapping[str, object]) -> dict[str, object]:
    """Return the dotted keys that *tokens* read, with their values in *record*. None means that the key is not set.

    >>> from gitmodel.expressions.syntax import read_tokens
    >>> read_values(read_tokens("metadata.f1 > 0.9 || tags.exists(t, t == 'ok')"), {"tags": ["new"]})
    {'metadata.f1': None, 'tags': ['new']}
    """
    found: dict[str, object] = {}
    scopes = find_scopes(tokens)
    for read in find_reads(tokens):
        if not any(scope.variable == read.steps[0] and scope.start < read.start < scope.end for scope in scopes):
            value = look_up(record, read.steps)
            found.setdefault(spelled(read.steps), None if type(value) is Trouble else value)
    return found
