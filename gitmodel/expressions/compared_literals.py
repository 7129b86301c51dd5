"""Finding the literals with which an expression compares one of its parts, such as a field."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from gitmodel.expressions.syntax import CLOSERS, COMPARISONS, Token, read_literal

Literal = str | bool | int | float

_BELOW = (".", "[")  # signs after a value: they read a part of the value, or call a method of the value
_NONE = Token("sign", "", 0)


class Compared(NamedTuple):
    """A literal *value* at the character *start*, and the operator *sign* that compares another part with it."""

    value: Literal
    start: int
    sign: str


def find_compared(tokens: list[Token], first: int, end: int) -> Iterator[Compared]:
    """Yield each literal with which the expression compares its part `tokens[first:end]`.

    If a list of texts follows `in`, yields each text with the sign `==`. Skips literals in arithmetic and in calls of
    functions, because the expression compares only the result of these.

    >>> from gitmodel.expressions.syntax import read_tokens
    >>> [[*find_compared(read_tokens(text), 0, 1)] for text in ("number > 1", "stage in ['a']")]
    [[Compared(value=1, start=9, sign='>')], [Compared(value='a', start=10, sign='==')]]
    """
    around = _Around(tokens)
    first, end = around.widen(first, end)
    after, before = around.text(end), around.text(first - 1)
    if after in COMPARISONS and not around.is_arithmetic(first - 1):
        yield from (Compared(value, start, after) for value, start in around.literal(end + 1, 1))
    elif after == "in":
        yield from (Compared(value, start, "==") for value, start in around.items(end + 1))
    if (before in COMPARISONS or before == "in") and not around.is_arithmetic(end):
        yield from (Compared(value, start, before) for value, start in around.literal(first - 2, -1))


class _Around:
    """The *tokens* of an expression, with methods that read the tokens to the left and to the right of an index."""

    def __init__(self, tokens: list[Token]) -> None:
        self._tokens = tokens

    def text(self, at: int) -> str:
        """Return the text of the token with the index *at*; "" for a string, or if there is no token *at*."""
        token = self._tokens[at] if 0 <= at < len(self._tokens) else _NONE
        return "" if token.kind == "string" else token.text

    def is_arithmetic(self, at: int) -> bool:
        """Return True if the token with the index *at* is an arithmetic operator."""
        return self.text(at) in ("+", "-", "*", "/", "%")

    def widen(self, first: int, end: int) -> tuple[int, int]:
        """Return the indexes *first* and *end*, widened to include parentheses around exactly `tokens[first:end]`."""
        while self.text(first - 1) == "(" and self.text(end) == ")" and not self._is_call(first - 1):
            first, end = first - 1, end + 1
        return first, end

    def literal(self, at: int, step: int) -> Iterator[tuple[Literal, int]]:
        """Yield the literal with the index *at*, and its start, if it is a whole operand of an operator.

        If the token *at* is a parenthesis, skips parentheses to the right (*step* is 1) or to the left (*step* is -1).
        """
        opening = "(" if step > 0 else ")"
        while self.text(at) == opening:
            at += step
        first, end = self.widen(at, at + 1)
        value = read_literal(self._tokens[at : at + 1]) if 0 <= at < len(self._tokens) else None
        if value is None or self.is_arithmetic(end) or self.is_arithmetic(first - 1):
            return
        if self.text(end) in _BELOW:
            return
        if self.text(first - 1) == "(" and self._is_call(first - 1):
            return
        yield value, self._tokens[at].start

    def items(self, at: int) -> Iterator[tuple[Literal, int]]:
        """Yield the items of the list at the index *at*, each with its start, if all items are texts."""
        while self.text(at) == "(":
            at += 1
        if self.text(at) != "[":
            return
        depth, items = 0, 1
        found: list[tuple[Literal, int]] = []
        for place in range(at, len(self._tokens)):
            depth += (self.text(place) in CLOSERS) - (self.text(place) in CLOSERS.values())
            items += depth == 1 and self.text(place) == ","
            if depth == 0:
                if self.text(place + 1) not in _BELOW and len(found) == items:
                    yield from found
                return
            if self._tokens[place].kind == "string":
                first, end = self.widen(place, place + 1)
                if self.text(first - 1) in ("[", ",") and self.text(end) in ("]", ","):
                    found += self.literal(place, 1)

    def _is_call(self, at: int) -> bool:
        before = self._tokens[at - 1] if at > 0 else _NONE
        return before.kind == "name" and before.text != "in"
