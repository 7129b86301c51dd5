"""Clauses that the CEL library evaluates, and limits that gitmodel checks before it calls the library."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from gitmodel.errors import UsageError
from gitmodel.expressions.clauses import NO_ANSWER, Clause, Trouble, as_scalar, holds_nan, look_up
from gitmodel.expressions.name_uses import NameUse, find_reads
from gitmodel.expressions.syntax import COMPARISONS, FUNCTIONS, MACROS, Token, shown, spelled, text_of, wrong
from gitmodel.expressions.work_limits import MOST_WORK, most_pattern_work, most_work

MOST_OPERATIONS = 250  # the library recurses for each operator: 900 of them overflow a stack of 512 KiB

MOST_ADDITIONS = 8  # the library copies the left side for each `+`: 900 of them took 461 s

DEEPEST_RECORD = 64

_EXAMPLES = {
    "matches": 'name.matches("^v[0-9]+$")',
    "timestamp": 'created > timestamp("2026-01-31T00:00:00Z")',
    "duration": 'created > timestamp("2026-01-31T00:00:00Z") - duration("36h")',
}


def _library() -> Any:
    try:
        import cel  # imported here, because the import takes 150 to 190 ms, and most expressions do not need it
    except ImportError as error:
        raise UsageError(
            "this expression needs the CEL library, because it has more than comparisons joined by &&",
            hint="run `pip install 'gitmodel[cel]'` (Python 3.11 or newer)",
        ) from error
    return cel


def compile_text(text: str) -> Any:
    """Compile the expression *text* with the CEL library, and return the program.

    Raises UsageError with a clear message instead of an error of the library.
    """
    library = _library()
    try:
        return library.compile(text)
    except ValueError as error:
        place = re.search(r"<input>:(\d+):(\d+): (?:Syntax error: )?([^\n]*)", str(error))
        if place is None:
            raise wrong(text, 0, shown(str(error))) from error
        line, column = int(place[1]), int(place[2])
        start = sum(len(each) + 1 for each in text.split("\n")[: line - 1]) + column - 1
        raise wrong(text, min(start, len(text)), shown(place[3])) from error
    except BaseException as error:
        raise _translated(text, error) from error


def _translated(text: str, error: BaseException) -> BaseException:
    """Return *error*, which the library raised for *text*; if the library panicked, a UsageError instead."""
    if type(error).__name__ == "PanicException":
        return wrong(text, 0, "the CEL library failed on it")
    return error


def check_size(text: str, tokens: list[Token]) -> None:
    """Raise UsageError for an expression that could hang or crash the library, or that calls an unknown function."""
    counted = [token for token in tokens if token.text in (*COMPARISONS, *"?.+-*/%[", "in")]
    if len(counted) > MOST_OPERATIONS:
        raise wrong(text, counted[MOST_OPERATIONS].start, f"more than {MOST_OPERATIONS} operations")
    added = [token for token in tokens if token.kind == "sign" and token.text == "+"]
    if len(added) > MOST_ADDITIONS:
        raise wrong(text, added[MOST_ADDITIONS].start, f"more than {MOST_ADDITIONS} additions")
    if most_pattern_work(tokens) > MOST_WORK // 4:  # lower than for one record, because patterns are compiled twice
        raise wrong(text, 0, "its patterns for matches are too much work")
    for i, token in enumerate(tokens):
        called = tokens[i + 1].text == "(" if i + 1 < len(tokens) else False
        if not called or token.kind != "name" or token.text in MACROS | FUNCTIONS | {"in"}:
            continue
        why = f"there is no function {shown(token.text)}"
        if token.text == "map":
            why = "the function map is not allowed, as it can build values without limit; use exists, all or filter"
        raise wrong(text, token.start, why, """artifacts.exists(a, a.kind == "model")""")


class Program(Clause):
    """A clause that the CEL library compiles when it is created, and evaluates for each record."""

    plain = False

    def __init__(self, text: str, tokens: list[Token]) -> None:
        self.text = text_of(text, tokens)
        self.tokens = tokens
        self.program = compile_text(self.text)
        self._reads = find_reads(tokens)
        bound = {tokens[i + 2].text for i, token in enumerate(tokens[:-2]) if token.text in MACROS}
        self._wanted = frozenset(str(read.steps[0]) for read in self._reads)
        self.names = self._wanted - bound
        self._weighed = any(token.text in MACROS or token.text == "matches" for token in tokens)
        self._check_constants(text)
        if _is_never_boolean(tokens):
            raise wrong(text, tokens[0].start, "this is a value, not something true or false")

    def answer(self, record: Mapping[str, object]) -> bool | Trouble:
        try:
            known = {n: _plain_value(record[n]) for n in self._wanted if record.get(n) is not None}
        except _TooDeep:
            return Trouble(f"the record is nested deeper than {DEEPEST_RECORD} levels", fault=True)
        if self._weighed and most_work(self.tokens, self._reads, known) > MOST_WORK:
            return Trouble("it is too much work on a record of this size", fault=True)
        try:
            result = self.program.execute(known)
        except KeyError as error:
            return self._missing(str(error.args[0]), record)
        except IndexError:
            return self._missing("", record)
        except RuntimeError as error:
            unknown = re.match(r"Undefined variable or function: '([^']*)'", str(error))
            if unknown is None or unknown[1] in FUNCTIONS:
                return NO_ANSWER
            return self._missing(unknown[1], record)
        except (TypeError, ValueError, ArithmeticError):
            return NO_ANSWER
        except BaseException as error:
            translated = _translated(self.text, error)
            if isinstance(translated, UsageError):
                return Trouble("the CEL library failed on it", fault=True)
            raise
        return result if isinstance(result, bool) else Trouble("it is neither true nor false", fault=True)

    def find_nan(self, record: Mapping[str, object]) -> str | None:
        items = [read for read in self._reads if read.steps[0] not in self.names and not self._declares(read)]
        below = tuple(read.steps[1:] for read in items) or ((),)
        for read in self._reads:
            if read.steps[0] not in self.names or read.guarded:
                continue
            value = look_up(record, read.steps)
            if isinstance(value, Mapping) and self._asks_only_for_keys(read):
                continue
            if holds_nan(value, below):
                return spelled(read.steps)
        return None

    def _declares(self, read: NameUse) -> bool:
        """Return True if *read* is the first argument of a macro, which declares the variable of the macro."""
        return read.first > 1 and self.tokens[read.first - 2].text in MACROS

    def _asks_only_for_keys(self, read: NameUse) -> bool:
        """Return True if the clause reads only keys or size of the value: *read* is after `in` or in `size(...)`."""
        before = [token.text for token in self.tokens[max(0, read.first - 2) : read.first]]
        return before[-1:] == ["in"] or before == ["size", "("]

    def _missing(self, key: str, record: Mapping[str, object]) -> Trouble:
        """Return a Trouble with the whole path that *record* lacks. The library reports only its last key, *key*."""
        for read in self._reads:
            found = look_up(record, read.steps) if read.steps[0] in self.names else None
            if type(found) is Trouble and found.missing and found.missing.endswith((key, f'"{key}"]', f"[{key}]")):
                return found
        name = shown(key) or "an item of a list"
        return Trouble(f"{name} is not set", missing=name)

    def _check_constants(self, text: str) -> None:
        """Raise UsageError for an invalid literal pattern, time or duration, which would match no record, silently."""
        for i, token in enumerate(self.tokens[:-2]):
            word = self.tokens[i + 2]
            if token.text not in _EXAMPLES or word.kind != "string":
                continue
            if self.tokens[i + 1].text != "(" or self.tokens[i + 3].text != ")":
                continue
            call = f'"".matches({word.text})' if token.text == "matches" else f"{token.text}({word.text})"
            try:
                compile_text(call).execute({})
            except RuntimeError as error:
                cause = str(error).split("error: ", 1)[-1].split(". Check function")[0]
                why = f"{token.text} cannot read this: {' '.join(shown(' '.join(cause.split())).split())}"
                raise wrong(text, word.start, why, _EXAMPLES[token.text]) from error
            except (TypeError, ValueError, ArithmeticError):
                continue
            except BaseException as error:
                raise _translated(text, error) from error


def _is_never_boolean(tokens: list[Token]) -> bool:
    """Return True if the clause can never be true or false, because it is a literal or arithmetic."""
    if len(tokens) == 1 or (len(tokens) == 2 and tokens[0].text == "-"):
        return tokens[-1].kind in ("number", "string")
    signs = {token.text for token in tokens if token.kind == "sign" or token.text == "in"}
    return bool(signs & set("+-*/%")) and not signs - set("+-*/%.")


class _TooDeep(Exception):
    pass


def _plain_value(value: Any, depth: int = 0) -> Any:
    """Return *value*, from a record, as a type that the library compares in the same way as gitmodel does."""
    kind = type(value)
    if kind is str or kind is bool or kind is float:
        return value
    if depth > DEEPEST_RECORD:
        raise _TooDeep
    if isinstance(value, (dict, Mapping)):
        return {str(k): _plain_value(v, depth + 1) for k, v in value.items() if v is not None}
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain_value(item, depth + 1) for item in value]
    return as_scalar(value)
