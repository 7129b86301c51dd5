"""Parsing of expressions: tokens, basic syntax checks, literals, and paths of keys of a record."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable
from typing import Any, NamedTuple

from gitmodel.errors import UsageError

DEEPEST = 32  # the maximum depth of nested brackets and unary operators

EXAMPLE = 'metadata.accuracy > 0.9 && "baseline" in tags'

MACROS = frozenset({"all", "exists", "exists_one", "filter"})

FUNCTIONS = frozenset(
    """has size contains startsWith endsWith matches int uint double string bytes timestamp duration type dyn
    getFullYear getMonth getDate getDayOfMonth getDayOfWeek getDayOfYear getHours getMinutes getSeconds
    getMilliseconds""".split()  # noqa: SIM905
)

_CONSTANTS = frozenset({"true", "false", "null", "in"})

# Words that cannot be keys of a record in an expression: the reserved words of CEL, and the names of its types.
_RESERVED = _CONSTANTS | frozenset(
    """as break const continue else for function if import let loop package namespace return var void while
    int uint double string bytes bool list map type null_type dyn optional""".split()  # noqa: SIM905
)

# The regular expression of a token. Compiled on first use, so that importing this module stays fast.
_TOKEN = r"""(?P<space>[ \t\r\n\f]+|//[^\n]*)
    |(?P<string>(?:[rR][bB]?|[bB][rR])(?:\"{3}(?:.|\n)*?\"{3}|'{3}(?:.|\n)*?'{3}|"[^"\n\r]*"|'[^'\n\r]*')
      |[bB]?(?:\"{3}(?:[^\\]|\\.)*?\"{3}|'{3}(?:[^\\]|\\.)*?'{3}|"(?:[^"\\\n\r]|\\.)*"|'(?:[^'\\\n\r]|\\.)*'))
    |(?P<number>0[xX][0-9a-fA-F]+[uU]?|[0-9]+\.[0-9]+(?:[eE][+-]?[0-9]+)?|[0-9]+[eE][+-]?[0-9]+
      |[0-9]+[uU]?|\.[0-9]+(?:[eE][+-]?[0-9]+)?)
    |(?P<name>[A-Za-z_][A-Za-z0-9_]*)
    |(?P<sign>&&|\|\||==|!=|<=|>=|[<>!?:.,+*/%()\[\]{}-])"""

COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}

CLOSERS = {"(": ")", "[": "]", "{": "}"}


class Token(NamedTuple):
    """A token of an expression: its *kind* ("name", "number", "string" or "sign"), *text* and first character."""

    kind: str
    text: str
    start: int


def shown(text: str) -> str:
    """Return *text* for a message: shortened, and with unprintable characters replaced."""
    cut = text if len(text) <= 80 else text[:77] + "..."
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "replace").decode() for c in cut)


def wrong(text: str, position: int, why: str, example: str = EXAMPLE) -> UsageError:
    """Return the error for a mistake at the character *position* of the expression *text*.

    *why* describes the mistake.
    """
    around = text if len(text) <= 80 else ("..." if position > 30 else "") + text[max(0, position - 30) :]
    return UsageError(f"expression `{shown(around)}`, column {position + 1}: {why}", hint=f"an example: {example}")


def read_tokens(text: str) -> list[Token]:
    """Return the tokens of the expression *text*. Raises UsageError for a character that begins no token of CEL."""
    pattern = re.compile(_TOKEN, re.VERBOSE)
    tokens, position = [], 0
    while position < len(text):
        found = pattern.match(text, position)
        if found is None:
            raise wrong(text, position, _why_no_token(text[position]))
        if found.lastgroup != "space":
            tokens.append(Token(str(found.lastgroup), found.group(), position))
        position = found.end()
    return tokens


def _why_no_token(character: str) -> str:
    if character == "=":
        return "write == to compare"
    if character in "&|":
        return f"and is written &&, or is written ||, not {character}"
    if character in "\"'":
        return "this string is not closed"
    return f"'{shown(character)}' has no meaning here"


def check_shape(text: str, tokens: list[Token]) -> None:
    """Raise UsageError for common mistakes of syntax, such as a missing bracket.

    The messages are clearer than those of the CEL library.
    """
    wanted, open_, unary = True, [], 0  # *wanted* is True if the next token must begin a value
    before = Token("sign", "", 0)
    for token in tokens:
        kind, sign, start = token
        operand = kind != "sign" and sign != "in"
        if operand:
            if sign in ("and", "or", "not") and before.text != ".":
                raise wrong(text, start, "and is written &&, or is written ||, not is written !")
            if not wanted:
                raise wrong(text, start, f"an operator is missing before {shown(sign)}")
            wanted, unary = False, 0
        elif sign in CLOSERS:
            open_.append(sign)
            wanted = True
        elif sign in (")", "]", "}"):
            if not open_ or CLOSERS[open_.pop()] != sign:
                raise wrong(text, start, f"there is no opening bracket for {sign}")
            if wanted and before.text not in ("(", "[", "{", ","):
                raise wrong(text, start, f"a value is missing before {sign}")
            wanted = False
        elif sign == "!" or (sign == "-" and wanted):
            if not wanted:
                raise wrong(text, start, "an operator is missing before !")
            unary += 1
        elif sign != "." or not wanted:
            if wanted:
                raise wrong(text, start, f"a value is missing before {sign}")
            wanted = True
        if len(open_) + unary > DEEPEST:
            raise wrong(text, start, f"nested deeper than {DEEPEST} levels")
        before = token
    if open_:
        raise wrong(text, len(text), f"{CLOSERS[open_[-1]]} is missing")
    if wanted:
        raise wrong(text, len(text), "a value is missing at the end" if tokens else "it is empty")


def split_clauses(tokens: list[Token]) -> list[list[Token]]:
    """Split the expression at each `&&` outside of brackets, and return the tokens of each clause.

    An expression with `||` or `?:` outside of brackets is one clause.
    """
    parts: list[list[Token]] = [[]]
    depth = 0
    for token in tokens:
        depth += (token.text in CLOSERS) - (token.text in CLOSERS.values())
        if token.kind == "sign" and depth == 0 and token.text in ("||", "?"):
            return [tokens]
        if token.kind == "sign" and depth == 0 and token.text == "&&":
            parts.append([])
        else:
            parts[-1].append(token)
    return parts


def read_literal(tokens: list[Token]) -> bool | int | float | str | None:
    """Return the value of the literal that *tokens* form; None if they form none that gitmodel itself can read."""
    negative = len(tokens) == 2 and tokens[0].text == "-" and tokens[1].kind == "number"
    if len(tokens) != 1 and not negative:
        return None
    kind, word, _ = tokens[-1]
    if kind == "name" and word in ("true", "false"):
        return word == "true"
    if kind == "string" and word[0] in "\"'" and "\\" not in word and word[1:3] != word[0] * 2:
        return word[1:-1]
    if kind != "number" or word[-1] in "uU" or word[:2] in ("0x", "0X"):
        return None
    if not word.isdigit():
        number = float(word)
        return None if abs(number) == float("inf") else (-number if negative else number)
    if len(word) > 19:  # too large in any case, and int() is slow for thousands of digits
        return None
    whole = -int(word) if negative else int(word)
    return whole if -(2**63) <= whole < 2**63 else None


def read_path(tokens: list[Token]) -> tuple[str | int, ...] | None:
    """Return the keys and indexes in *tokens* if they are a path such as `metadata.auc[0]`; else None."""
    if not tokens or tokens[0].kind != "name" or tokens[0].text in _RESERVED:
        return None
    steps: list[str | int] = [tokens[0].text]
    rest = tokens[1:]
    while rest:
        if rest[0].text == "." and len(rest) > 1 and rest[1].kind == "name" and rest[1].text not in _CONSTANTS:
            steps.append(rest[1].text)
            rest = rest[2:]
            continue
        index = read_literal(rest[1:2]) if rest[0].text == "[" and len(rest) > 2 and rest[2].text == "]" else None
        if index is None or isinstance(index, bool | float):
            return None
        steps.append(index)
        rest = rest[3:]
    return tuple(steps)


def spelled(steps: tuple[str | int, ...]) -> str:
    """Return the path *steps* in the syntax of expressions.

    >>> spelled(("metadata", "test set", "auc", 0))
    'metadata["test set"].auc[0]'
    """
    text = str(steps[0])
    for step in steps[1:]:
        if isinstance(step, int):
            text += f"[{step}]"
        else:
            text += f".{step}" if re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", step) else f'["{step}"]'
    return shown(text)


def text_of(text: str, tokens: list[Token]) -> str:
    """Return the part of the expression *text* from the first to the last of *tokens*."""
    return text[tokens[0].start : tokens[-1].start + len(tokens[-1].text)]
