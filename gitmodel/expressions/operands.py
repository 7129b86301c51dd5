"""Finding the literals with which a part of an expression is compared."""

from __future__ import annotations

from collections.abc import Iterator

from gitmodel.expressions.reading import CLOSERS, Token, read_literal

_EQUAL = ("==", "!=")
_BELOW = (".", "[")  # followed by an access to a part of the value, or a call of its function
_NONE = Token("sign", "", 0)


def find_compared(tokens: list[Token], first: int, end: int) -> Iterator[tuple[str, int]]:
    """Yield each text with which `tokens[first:end]` is compared by `==`, `!=` or `in`, and its position.

    Texts that are part of a sum or of a call are skipped, because they are not themselves compared.

    >>> from gitmodel.expressions.reading import read_tokens
    >>> [list(find_compared(read_tokens(text), 0, 1)) for text in ("stage == 'a'", "stage in ['a', 'b']")]
    [[('a', 9)], [('a', 10), ('b', 15)]]
    """
    around = _Around(tokens)
    first, end = around.widen(first, end)
    if around.text(end) in _EQUAL and not around.is_arithmetic(first - 1):
        yield from around.literal(end + 1, 1)
    elif around.text(end) == "in":
        yield from around.items(end + 1)
    if around.text(first - 1) in (*_EQUAL, "in") and not around.is_arithmetic(end):
        yield from around.literal(first - 2, -1)


class _Around:
    """The *tokens* of an expression, read in either direction."""

    def __init__(self, tokens: list[Token]) -> None:
        self._tokens = tokens

    def text(self, at: int) -> str:
        """Return the text of the token *at* a position; "" for a string and beyond the ends."""
        token = self._tokens[at] if 0 <= at < len(self._tokens) else _NONE
        return "" if token.kind == "string" else token.text

    def is_arithmetic(self, at: int) -> bool:
        """Return True if the token *at* a position makes its neighbour part of a larger value."""
        return self.text(at) in ("+", "-", "*", "/", "%")

    def widen(self, first: int, end: int) -> tuple[int, int]:
        """Return the position of `tokens[first:end]` including surrounding parentheses."""
        while self.text(first - 1) == "(" and self.text(end) == ")" and not self._is_call(first - 1):
            first, end = first - 1, end + 1
        return first, end

    def literal(self, at: int, step: int) -> Iterator[tuple[str, int]]:
        """Yield the text *at* a position. Parentheses and the rest of the operand are in the direction of *step*."""
        opening = "(" if step > 0 else ")"
        while self.text(at) == opening:
            at += step
        first, end = self.widen(at, at + 1)
        value = read_literal(self._tokens[at : at + 1]) if 0 <= at < len(self._tokens) else None
        if not isinstance(value, str) or self.is_arithmetic(end) or self.is_arithmetic(first - 1):
            return
        if self.text(end) in _BELOW:
            return
        if self.text(first - 1) == "(" and self._is_call(first - 1):
            return
        yield value, self._tokens[at].start

    def items(self, at: int) -> Iterator[tuple[str, int]]:
        """Yield the texts of the list that starts *at* a position."""
        while self.text(at) == "(":
            at += 1
        if self.text(at) != "[":
            return
        depth = 0
        found: list[tuple[str, int]] = []
        for place in range(at, len(self._tokens)):
            depth += (self.text(place) in CLOSERS) - (self.text(place) in CLOSERS.values())
            if depth == 0:
                if self.text(place + 1) not in _BELOW:
                    yield from found
                return
            if self._tokens[place].kind == "string":
                first, end = self.widen(place, place + 1)
                if self.text(first - 1) in ("[", ",") and self.text(end) in ("]", ","):
                    found += self.literal(place, 1)

    def _is_call(self, at: int) -> bool:
        before = self._tokens[at - 1] if at > 0 else _NONE
        return before.kind == "name" and before.text != "in"
