"""Upper bounds for the time that evaluating the macros and patterns of a clause takes on one record."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from gitmodel.expressions.clauses import look_up
from gitmodel.expressions.name_uses import NameUse
from gitmodel.expressions.syntax import CLOSERS, MACROS, Token

MOST_WORK = 200_000_000  # the limit for one record: about 2 s, in units of at most 10 ns (see `most_work`)


def _macro_nesting(tokens: list[Token]) -> int:
    stack: list[bool] = []
    deepest = 0
    for before, token in zip([Token("sign", "", 0), *tokens], tokens, strict=False):
        if token.kind == "sign" and token.text in CLOSERS:
            stack.append(token.text == "(" and before.text in MACROS)
            deepest = max(deepest, sum(stack))
        elif token.kind == "sign" and token.text in CLOSERS.values():
            stack.pop()
    return deepest


class _Size(NamedTuple):
    """The size of a value: its *weight*, the length of its longest list or table, and the weight of its heaviest item.

    *widest* is this length, and *item* the weight of this item. For a weight, each inner value counts 1, and a text 1
    more for each 64 characters.
    """

    weight: int
    widest: int
    item: int


def _size(value: Any) -> _Size:
    if isinstance(value, str | bytes):
        return _Size(1 + len(value) // 64, 0, 0)
    if not isinstance(value, dict | list):
        return _Size(1, 0, 0)
    sizes = [_size(item) for item in (value.values() if isinstance(value, dict) else value)]
    keys = sum(1 + len(key) // 64 for key in value) if isinstance(value, dict) else 0
    weights = [size.weight for size in sizes]
    return _Size(
        1 + keys + sum(weights),
        max([len(value), *(size.widest for size in sizes)]),
        max([1, *(weights if isinstance(value, list) else [1 + keys]), *(size.item for size in sizes)]),
    )


def most_work(tokens: list[Token], reads: list[NameUse], values: dict[str, Any]) -> int:
    """Return an upper bound for the time to evaluate macros and patterns, in units of at most 10 ns.

    *values* are the values of the record by their keys. Nested macros evaluate their body for each combination of
    items. For each combination, the bound has 0.2 us for each token, 0.2 us for each value that a comparison can visit,
    0.8 us for each item that a `filter` can copy, and the time to compile each pattern.
    """
    whole = _size(values)
    widest, item = max(whole.widest, len(tokens)), whole.item
    additions = sum(token.text == "+" for token in tokens)
    builds = additions or any(
        token.text == "{" or (token.text == "[" and before.kind == "sign" and before.text not in (")", "]"))
        for before, token in zip([Token("sign", "", 0), *tokens], tokens, strict=False)
    )
    if builds:  # an expression that builds values can make items as large as the whole record
        widest, item = widest * (1 + additions), whole.weight
    walked = 0
    for read in reads:
        if read.call in MACROS or read.call == "size":
            continue
        walked += _size(look_up(values, read.steps)).weight if read.steps[0] in values else item
    copied = 80 * widest * sum(token.text == "filter" for token in tokens)
    once = 20 * len(tokens) + 20 * walked * (1 + additions) + copied + most_pattern_work(tokens)
    return int(widest ** _macro_nesting(tokens) * once)


def most_pattern_work(tokens: list[Token]) -> int:
    """Return an upper bound for the time to compile the patterns of `matches`, in the units of `most_work`."""
    patterns = [tokens[i + 2 : i + 3] for i, token in enumerate(tokens) if token.text == "matches"]
    written = [pattern[0].text for pattern in patterns if pattern and pattern[0].kind == "string"]
    return sum(map(_pattern_work, written)) + 5_000_000 * (len(patterns) - len(written))


def _pattern_work(pattern: str) -> int:
    """Return an upper bound for the time to compile *pattern*: at most 50 ms, because the library stops then."""
    repeated = 1
    for least, most in re.findall(r"\{([0-9]{1,5})(?:,([0-9]{1,5}))?", pattern):
        repeated *= max(1, int(least), int(most or 0))
    classes = len(re.findall(r"\\+[a-zA-Z]|\[\^|\.|\(\?", pattern))
    return min(5_000_000, (len(pattern) * 100 + classes * 25_000) * repeated)
