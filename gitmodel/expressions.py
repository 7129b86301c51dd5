"""Filters and gates: one language, CEL, over one record. Pure: text and mappings in, answers out."""

from __future__ import annotations

import operator
import re
from collections.abc import Mapping
from datetime import date, datetime, time, timezone
from typing import TYPE_CHECKING, Any, NamedTuple

from gitmodel.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

LONGEST = 2_000  # characters of an expression
DEEPEST = 32  # brackets and unary operators inside one another
MOST_OPERATIONS = 250  # the library recurses for each link of a chain: 900 overflow a stack of 512 KiB
MOST_ADDITIONS = 8  # the library copies the whole left side for each `+`: 900 of them took 461 s
DEEPEST_RECORD = 64
MOST_WORK = 200_000_000  # units of at most 10 ns on one record, see _work

EXAMPLE = 'metadata.accuracy > 0.9 && "baseline" in tags'

_MACROS = frozenset({"all", "exists", "exists_one", "filter"})
_FUNCTIONS = frozenset(
    """has size contains startsWith endsWith matches int uint double string bytes timestamp duration type dyn
    getFullYear getMonth getDate getDayOfMonth getDayOfWeek getDayOfYear getHours getMinutes getSeconds
    getMilliseconds""".split()  # noqa: SIM905
)
_CONSTANTS = frozenset({"true", "false", "null", "in"})
# not names of record keys: CEL's reserved words, and the types, which the library resolves itself
_RESERVED = _CONSTANTS | frozenset(
    """as break const continue else for function if import let loop package namespace return var void while
    int uint double string bytes bool list map type null_type dyn optional""".split()  # noqa: SIM905
)
_EXAMPLES = {
    "matches": 'name.matches("^v[0-9]+$")',
    "timestamp": 'created > timestamp("2026-01-31T00:00:00Z")',
    "duration": 'created > timestamp("2026-01-31T00:00:00Z") - duration("36h")',
}
# compiled at first use: importing this module must stay cheap
_TOKEN = r"""(?P<space>[ \t\r\n\f]+|//[^\n]*)
    |(?P<string>(?:[rR][bB]?|[bB][rR])(?:\"{3}(?:.|\n)*?\"{3}|'{3}(?:.|\n)*?'{3}|"[^"\n\r]*"|'[^'\n\r]*')
      |[bB]?(?:\"{3}(?:[^\\]|\\.)*?\"{3}|'{3}(?:[^\\]|\\.)*?'{3}|"(?:[^"\\\n\r]|\\.)*"|'(?:[^'\\\n\r]|\\.)*'))
    |(?P<number>0[xX][0-9a-fA-F]+[uU]?|[0-9]+\.[0-9]+(?:[eE][+-]?[0-9]+)?|[0-9]+[eE][+-]?[0-9]+
      |[0-9]+[uU]?|\.[0-9]+(?:[eE][+-]?[0-9]+)?)
    |(?P<name>[A-Za-z_][A-Za-z0-9_]*)
    |(?P<sign>&&|\|\||==|!=|<=|>=|[<>!?:.,+*/%()\[\]{}-])"""
_COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_MIRRORED = {"==": "==", "!=": "!=", "<": ">", "<=": ">=", ">": "<", ">=": "<="}
_CLOSERS = {"(": ")", "[": "]", "{": "}"}


class Verdict(NamedTuple):
    """What a gate says of one record: whether it holds and, if not, which clause fails and why.

    *missing* is the dotted key that was not there; *clause* is the failing part as it was written.
    A verdict is true when the gate holds.

    >>> parse("metadata.accuracy > 0.9").judge({"metadata": {}})
    Verdict(passed=False, clause='metadata.accuracy > 0.9', reason='metadata.accuracy is missing', \
missing='metadata.accuracy')
    """

    passed: bool
    clause: str = ""
    reason: str = ""
    missing: str | None = None

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

    def __init__(self, text: str, clauses: tuple[_Clause, ...]) -> None:
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
            if type(answer) is _Trouble and answer.fault:
                raise UsageError(f"{_shown(clause.text)}: {answer.reason}", hint=f"an example: {EXAMPLE}")
            return False
        return True

    def judge(self, record: Mapping[str, object]) -> Verdict:
        """Say whether *record* satisfies every clause, as a gate asks; a failure is no exception."""
        for clause in self._clauses:
            answer = clause.answer(record)
            if answer is True:
                continue
            if type(answer) is _Trouble:
                return Verdict(False, clause.text, answer.reason, answer.missing)
            return Verdict(False, clause.text, clause.finding(record))
        return Verdict(True)


def parse(text: str) -> Expression:
    """Read a filter or gate.

    Bounded, so that an expression from somebody else can neither stall nor crash its reader: 2,000 characters
    and 32 levels of nesting; outside plain comparisons 250 operations, 8 of them `+`, and only functions that
    cannot grow a value (so no `map`). The cost of macros and patterns is estimated from above, record by
    record, and refused where it could exceed about 2 seconds.

    Raises UsageError, with the position, for anything else, and if the CEL library is needed but not there.

    >>> parse("number = 4")
    Traceback (most recent call last):
    gitmodel.errors.UsageError: expression `number = 4`, column 8: a comparison is written ==
    """
    if len(text) > LONGEST:
        raise UsageError(
            f"expression `{_shown(text)}` is {len(text):,} characters long; the limit is {LONGEST:,}",
            hint=f"a shorter one, for example: {EXAMPLE}",
        )
    tokens = _tokens(text)
    _check_shape(text, tokens)
    parts = _split(tokens)
    plain = [_plain_clause(text, part) for part in parts]
    if None not in plain:
        return Expression(text, tuple(clause for clause in plain if clause is not None))
    _check_size(text, tokens)
    _compile(text)  # the whole of it first, so that positions in its errors are true
    clauses = tuple(clause or _Program(text, part) for clause, part in zip(plain, parts, strict=True))
    return Expression(text, clauses)


# --- reading the text ---------------------------------------------------------------------------------------


class _Token(NamedTuple):
    kind: str
    text: str
    start: int


class _Trouble(NamedTuple):
    """Why a clause has no answer; a *fault* lies in the expression, anything else in the record."""

    reason: str
    missing: str | None = None
    fault: bool = False


_NO_ANSWER = _Trouble("its parts cannot be compared")


def _shown(text: str) -> str:
    """The text, short and safe to print."""
    cut = text if len(text) <= 80 else text[:77] + "..."
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "replace").decode() for c in cut)


def _wrong(text: str, position: int, why: str, example: str = EXAMPLE) -> UsageError:
    around = text if len(text) <= 80 else ("..." if position > 30 else "") + text[max(0, position - 30) :]
    return UsageError(f"expression `{_shown(around)}`, column {position + 1}: {why}", hint=f"an example: {example}")


def _tokens(text: str) -> list[_Token]:
    pattern = re.compile(_TOKEN, re.VERBOSE)
    tokens, position = [], 0
    while position < len(text):
        found = pattern.match(text, position)
        if found is None:
            raise _wrong(text, position, _why_no_token(text[position]))
        if found.lastgroup != "space":
            tokens.append(_Token(str(found.lastgroup), found.group(), position))
        position = found.end()
    return tokens


def _why_no_token(character: str) -> str:
    if character == "=":
        return "a comparison is written =="
    if character in "&|":
        return f"and is written &&, or is written ||, not {character}"
    if character in "\"'":
        return "this string is not closed"
    return f"'{_shown(character)}' has no meaning here"


def _check_shape(text: str, tokens: list[_Token]) -> None:
    """Refuse what cannot be an expression, so that most slips are explained without the library."""
    wanted, open_, unary = True, [], 0  # wanted: a value must come next
    before = _Token("sign", "", 0)
    for token in tokens:
        kind, sign, start = token
        operand = kind != "sign" and sign != "in"
        if operand:
            if not wanted:
                raise _wrong(text, start, _why_no_operator(sign))
            if sign in ("and", "or", "not") and before.text != ".":
                raise _wrong(text, start, "and is written &&, or is written ||, not is written !")
            wanted, unary = False, 0
        elif sign in _CLOSERS:
            open_.append(sign)
            wanted = True
        elif sign in (")", "]", "}"):
            if not open_ or _CLOSERS[open_.pop()] != sign:
                raise _wrong(text, start, f"nothing is open that {sign} closes")
            if wanted and before.text not in ("(", "[", "{", ","):
                raise _wrong(text, start, f"a value is missing before {sign}")
            wanted = False
        elif sign == "!" or (sign == "-" and wanted):
            if not wanted:
                raise _wrong(text, start, "an operator is missing before !")
            unary += 1
        elif sign == "." and wanted:
            pass
        else:
            if wanted:
                raise _wrong(text, start, f"a value is missing before {sign}")
            wanted = True
        if len(open_) + unary > DEEPEST:
            raise _wrong(text, start, f"nested deeper than {DEEPEST} levels")
        before = token
    if open_:
        raise _wrong(text, len(text), f"{_CLOSERS[open_[-1]]} is missing")
    if wanted:
        raise _wrong(text, len(text), "a value is missing at the end" if tokens else "it is empty")


def _why_no_operator(word: str) -> str:
    if word in ("and", "or", "not"):
        return "and is written &&, or is written ||, not is written !"
    return f"an operator is missing before {_shown(word)}"


def _split(tokens: list[_Token]) -> list[list[_Token]]:
    """The clauses between the outermost `&&`; one clause where an outer `||` or `?:` binds them together."""
    parts: list[list[_Token]] = [[]]
    depth = 0
    for token in tokens:
        depth += (token.text in _CLOSERS) - (token.text in _CLOSERS.values())
        if token.kind == "sign" and depth == 0 and token.text in ("||", "?"):
            return [tokens]
        if token.kind == "sign" and depth == 0 and token.text == "&&":
            parts.append([])
        else:
            parts[-1].append(token)
    return parts


def _literal(tokens: list[_Token]) -> bool | int | float | str | None:
    """The value of a simple literal; None for any other, which is left to the library."""
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
    if len(word) > 19:  # int() of thousands of digits is slow, then refused
        return None
    whole = -int(word) if negative else int(word)
    return whole if -(2**63) <= whole < 2**63 else None


def _path(tokens: list[_Token]) -> tuple[str | int, ...] | None:
    """The steps of a dotted or indexed name that *tokens* spell completely, else None."""
    if not tokens or tokens[0].kind != "name" or tokens[0].text in _RESERVED:
        return None
    steps: list[str | int] = [tokens[0].text]
    rest = tokens[1:]
    while rest:
        if rest[0].text == "." and len(rest) > 1 and rest[1].kind == "name" and rest[1].text not in _CONSTANTS:
            steps.append(rest[1].text)
            rest = rest[2:]
            continue
        index = _literal(rest[1:2]) if rest[0].text == "[" and len(rest) > 2 and rest[2].text == "]" else None
        if index is None or isinstance(index, bool | float):
            return None
        steps.append(index)
        rest = rest[3:]
    return tuple(steps)


def _spelled(steps: tuple[str | int, ...]) -> str:
    """
    >>> _spelled(("metadata", "test set", "auc", 0))
    'metadata["test set"].auc[0]'
    """
    text = str(steps[0])
    for step in steps[1:]:
        if isinstance(step, int):
            text += f"[{step}]"
        else:
            text += f".{step}" if re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", step) else f'["{step}"]'
    return _shown(text)


def _look_up(record: Mapping[str, object], steps: tuple[str | int, ...]) -> Any:
    """The value at *steps*, or the trouble on the way. A key whose value is None is absent."""
    value: Any = record
    for depth, step in enumerate(steps):
        if isinstance(value, (dict, Mapping)):  # dict first: asking an abstract class is slow
            value = value.get(step)
            if value is not None:
                continue
        elif isinstance(value, list | tuple) and isinstance(step, int):
            if 0 <= step < len(value):
                value = value[step]
                continue
        else:
            return _NO_ANSWER
        name = _spelled(steps[: depth + 1])
        return _Trouble(f"{name} is missing", missing=name)
    return value


# --- plain clauses ------------------------------------------------------------------------------------------


class _Clause:
    """One part between `&&`; answers True, False or why it has no answer."""

    plain = True
    names: frozenset[str]
    text: str

    def answer(self, record: Mapping[str, object]) -> bool | _Trouble:
        raise NotImplementedError

    def finding(self, record: Mapping[str, object]) -> str:
        """Why the clause is false of *record*, in words."""
        return "it is false"


class _Plain(_Clause):
    """A test of the value at one path, without the library."""

    __slots__ = ("names", "steps", "test", "text")

    def __init__(self, text: str, steps: tuple[str | int, ...], test: Callable[[Any], bool | _Trouble]) -> None:
        self.text, self.steps, self.test = text, steps, test
        self.names = frozenset({str(steps[0])})

    def answer(self, record: Mapping[str, object]) -> bool | _Trouble:
        value = _look_up(record, self.steps)
        return value if type(value) is _Trouble else self.test(value)

    def finding(self, record: Mapping[str, object]) -> str:
        value = _look_up(record, self.steps)
        shown = value.isoformat() if isinstance(value, date) else repr(value)
        return f"{_spelled(self.steps)} is {_shown(shown)}"


def _plain_clause(text: str, tokens: list[_Token]) -> _Plain | None:
    written = _written(text, tokens)
    bare = _path(tokens)
    if bare is not None:
        return _Plain(written, bare, _is_true)
    if tokens[0].text == "!" and (negated := _path(tokens[1:])) is not None:
        return _Plain(written, negated, _is_false)
    at = next((i for i, token in enumerate(tokens) if token.text in _COMPARISONS or token.text == "in"), None)
    if at is None:
        return None
    sign, left, right = tokens[at].text, tokens[:at], tokens[at + 1 :]
    if sign != "in" and _path(left) is None:
        sign, left, right = _MIRRORED[sign], right, left
    elif sign == "in":
        left, right = right, left
    steps, literal = _path(left), _literal(right)
    if steps is None or literal is None:
        return None
    if sign != "in":
        return _Plain(written, steps, _comparison(sign, literal))
    return None if isinstance(literal, bool | float) else _Plain(written, steps, _membership(literal))


def _is_true(value: object) -> bool | _Trouble:
    return value if isinstance(value, bool) else _Trouble("it is neither true nor false", fault=True)


def _is_false(value: object) -> bool | _Trouble:
    return not value if isinstance(value, bool) else _NO_ANSWER


def _double(number: int) -> float:
    """As the library compares an int with a double: rounded. Beyond every double: infinite."""
    try:
        return float(number)
    except OverflowError:
        return float("inf") if number > 0 else float("-inf")


def _comparison(sign: str, literal: bool | int | float | str) -> Callable[[Any], bool | _Trouble]:
    compare = _COMPARISONS[sign]
    alike = type(literal)
    unlike: bool | _Trouble = {"==": False, "!=": True}.get(sign, _NO_ANSWER)
    ordered = sign not in ("==", "!=")
    double = float(literal) if not isinstance(literal, str) else 0.0

    def test_same(value: Any) -> bool | _Trouble:
        value = value if type(value) is alike else _plain_scalar(value)
        return compare(value, literal) if type(value) is alike else unlike

    def test_number(value: Any) -> bool | _Trouble:
        kind = type(value)
        if kind is not int and kind is not float:
            value = _plain_scalar(value)
            kind = type(value)
        if kind is int:
            if alike is int and -(2**63) <= value < 2**63:
                return compare(value, literal)
            return compare(_double(value), double)
        if kind is not float:
            return unlike
        return _NO_ANSWER if ordered and value != value else compare(value, double)

    return test_same if alike in (bool, str) else test_number


def _membership(literal: int | str) -> Callable[[Any], bool | _Trouble]:
    equals = _comparison("==", literal)

    def test(value: Any) -> bool | _Trouble:
        if isinstance(value, list | tuple | set | frozenset):
            return any(equals(item) is True for item in value)
        if isinstance(value, Mapping):
            return value.get(literal) is not None
        return _NO_ANSWER

    return test


# --- the library --------------------------------------------------------------------------------------------


def _written(text: str, tokens: list[_Token]) -> str:
    return text[tokens[0].start : tokens[-1].start + len(tokens[-1].text)]


def _library() -> Any:
    try:
        import cel  # 150 to 190 ms, its own command line included: only when an expression needs it
    except ImportError as error:
        raise UsageError(
            "this expression is more than comparisons joined by &&; it needs the CEL library",
            hint="run `pip install 'gitmodel[cel]'` (Python 3.11 or newer)",
        ) from error
    return cel


def _compile(text: str) -> Any:
    library = _library()
    try:
        return library.compile(text)
    except ValueError as error:
        place = re.search(r"<input>:(\d+):(\d+): (?:Syntax error: )?([^\n]*)", str(error))
        if place is None:
            raise _wrong(text, 0, _shown(str(error))) from error
        line, column = int(place[1]), int(place[2])
        start = sum(len(each) + 1 for each in text.split("\n")[: line - 1]) + column - 1
        raise _wrong(text, min(start, len(text)), _shown(place[3])) from error
    except BaseException as error:
        raise _translated(text, error) from error


def _translated(text: str, error: BaseException) -> BaseException:
    """A panic of the library is a BaseException, which no caller expects; an interrupt stays what it is."""
    if type(error).__name__ == "PanicException":
        return _wrong(text, 0, "the CEL library failed on it")
    return error


def _check_size(text: str, tokens: list[_Token]) -> None:
    counted = [token for token in tokens if token.text in (*_COMPARISONS, *"?.+-*/%[", "in")]
    if len(counted) > MOST_OPERATIONS:
        raise _wrong(text, counted[MOST_OPERATIONS].start, f"more than {MOST_OPERATIONS} operations")
    added = [token for token in tokens if token.kind == "sign" and token.text == "+"]
    if len(added) > MOST_ADDITIONS:
        raise _wrong(text, added[MOST_ADDITIONS].start, f"more than {MOST_ADDITIONS} additions")
    if _patterns_work(tokens) > MOST_WORK // 4:  # parse itself compiles each once
        raise _wrong(text, 0, "its patterns for matches are too much work")
    for i, token in enumerate(tokens):
        called = tokens[i + 1].text == "(" if i + 1 < len(tokens) else False
        if not called or token.kind != "name" or token.text in _MACROS | _FUNCTIONS | {"in"}:
            continue
        why = f"there is no function {_shown(token.text)}"
        if token.text == "map":
            why = "map is left out, since it can build values without bound; use exists, all or filter"
        raise _wrong(text, token.start, why, """artifacts.exists(a, a.kind == "model")""")


class _Program(_Clause):
    """A clause compiled once by the library and run on each record."""

    plain = False

    def __init__(self, text: str, tokens: list[_Token]) -> None:
        self.text = _written(text, tokens)
        self.tokens = tokens
        self.program = _compile(self.text)
        self._reads = _reads(tokens)
        bound = {tokens[i + 2].text for i, token in enumerate(tokens[:-2]) if token.text in _MACROS}
        self._wanted = frozenset(str(read.steps[0]) for read in self._reads)
        self.names = self._wanted - bound
        self._weighed = any(token.text in _MACROS or token.text == "matches" for token in tokens)
        self._check_constants(text)
        if _is_never_boolean(tokens):
            raise _wrong(text, tokens[0].start, "this is a value, not something true or false")

    def answer(self, record: Mapping[str, object]) -> bool | _Trouble:
        try:
            known = {n: _plain_value(record[n]) for n in self._wanted if record.get(n) is not None}
        except _TooDeep:
            return _Trouble(f"the record is nested deeper than {DEEPEST_RECORD} levels", fault=True)
        if self._weighed and _work(self.tokens, self._reads, known) > MOST_WORK:
            return _Trouble("it is too much work on a record of this size", fault=True)
        try:
            result = self.program.execute(known)
        except KeyError as error:
            return self._missing(str(error.args[0]), record)
        except IndexError:
            return self._missing("", record)
        except RuntimeError as error:
            unknown = re.match(r"Undefined variable or function: '([^']*)'", str(error))
            if unknown is None or unknown[1] in _FUNCTIONS:
                return _NO_ANSWER
            return self._missing(unknown[1], record)
        except (TypeError, ValueError, ArithmeticError):
            return _NO_ANSWER
        except BaseException as error:
            translated = _translated(self.text, error)
            if isinstance(translated, UsageError):
                return _Trouble("the CEL library failed on it", fault=True)
            raise
        return result if isinstance(result, bool) else _Trouble("it is neither true nor false", fault=True)

    def _missing(self, key: str, record: Mapping[str, object]) -> _Trouble:
        """The library names the last key alone: find the whole path that lacks it."""
        for read in self._reads:
            found = _look_up(record, read.steps) if read.steps[0] in self.names else None
            if type(found) is _Trouble and found.missing and found.missing.endswith((key, f'"{key}"]', f"[{key}]")):
                return found
        name = _shown(key) or "an item of a list"
        return _Trouble(f"{name} is missing", missing=name)

    def _check_constants(self, text: str) -> None:
        """Refuse a pattern, time or duration that is wrong for every record; it would silently match none."""
        for i, token in enumerate(self.tokens[:-2]):
            word = self.tokens[i + 2]
            if token.text not in _EXAMPLES or word.kind != "string":
                continue
            if self.tokens[i + 1].text != "(" or self.tokens[i + 3].text != ")":
                continue
            call = f'"".matches({word.text})' if token.text == "matches" else f"{token.text}({word.text})"
            try:
                _compile(call).execute({})
            except RuntimeError as error:
                cause = str(error).split("error: ", 1)[-1].split(". Check function")[0]
                why = f"{token.text} cannot read this: {' '.join(_shown(' '.join(cause.split())).split())}"
                raise _wrong(text, word.start, why, _EXAMPLES[token.text]) from error
            except (TypeError, ValueError, ArithmeticError):
                continue
            except BaseException as error:
                raise _translated(text, error) from error


def _is_never_boolean(tokens: list[_Token]) -> bool:
    """Whether nothing in the clause can make it true or false: a literal, or arithmetic alone."""
    if len(tokens) == 1 or (len(tokens) == 2 and tokens[0].text == "-"):
        return tokens[-1].kind in ("number", "string")
    signs = {token.text for token in tokens if token.kind == "sign" or token.text == "in"}
    return bool(signs & set("+-*/%")) and not signs - set("+-*/%.")


class _Read(NamedTuple):
    """One use of a record key or a macro's variable, and the function called on it, if any."""

    steps: tuple[str | int, ...]
    call: str


def _reads(tokens: list[_Token]) -> list[_Read]:
    reads = []
    padded = [_Token("sign", "", 0), *tokens, *[_Token("sign", "", 0)] * 3]
    for i in range(1, len(tokens) + 1):
        if padded[i - 1].text == "." or padded[i + 1].text == "(" or _path(padded[i : i + 1]) is None:
            continue
        end, steps = i + 1, _path(padded[i : i + 1]) or ()
        while True:
            size = 2 if padded[end].text == "." else 3
            longer = _path(padded[i : end + size])
            if longer is None or (size == 2 and padded[end + 2].text == "("):
                break
            end, steps = end + size, longer
        called = padded[end].text == "." and padded[end + 2].text == "("
        reads.append(_Read(steps, padded[end + 1].text if called else ""))
    return reads


def _macro_nesting(tokens: list[_Token]) -> int:
    stack: list[bool] = []
    deepest = 0
    for before, token in zip([_Token("sign", "", 0), *tokens], tokens, strict=False):
        if token.kind == "sign" and token.text in _CLOSERS:
            stack.append(token.text == "(" and before.text in _MACROS)
            deepest = max(deepest, sum(stack))
        elif token.kind == "sign" and token.text in _CLOSERS.values():
            stack.pop()
    return deepest


class _Size(NamedTuple):
    """All that a value holds, its longest list, a list's heaviest item. One is a value, or 64 characters."""

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


def _work(tokens: list[_Token], reads: list[_Read], known: dict[str, Any]) -> int:
    """An upper bound of what macros and patterns cost on these values, in units of at most 10 ns.

    Once for each combination of items: 0.2 us a token, 0.2 us for every value that a comparison may have to
    walk, 0.8 us for every item that a filter may have to copy, and each pattern, which is compiled anew.
    """
    whole = _size(known)
    widest, item = max(whole.widest, len(tokens)), whole.item
    additions = sum(token.text == "+" for token in tokens)
    builds = additions or any(
        token.text == "{" or (token.text == "[" and before.kind == "sign" and before.text not in (")", "]"))
        for before, token in zip([_Token("sign", "", 0), *tokens], tokens, strict=False)
    )
    if builds:  # then an item can be as heavy as everything
        widest, item = widest * (1 + additions), whole.weight
    walked = 0
    for read in reads:
        if read.call in _MACROS or read.call == "size":
            continue
        walked += _size(_look_up(known, read.steps)).weight if read.steps[0] in known else item
    copied = 80 * widest * sum(token.text == "filter" for token in tokens)
    once = 20 * len(tokens) + 20 * walked * (1 + additions) + copied + _patterns_work(tokens)
    return int(widest ** _macro_nesting(tokens) * once)


def _patterns_work(tokens: list[_Token]) -> int:
    patterns = [tokens[i + 2 : i + 3] for i, token in enumerate(tokens) if token.text == "matches"]
    written = [pattern[0].text for pattern in patterns if pattern and pattern[0].kind == "string"]
    return sum(map(_pattern_work, written)) + 5_000_000 * (len(patterns) - len(written))


def _pattern_work(pattern: str) -> int:
    """At most 50 ms, where the library stops compiling a pattern; 0.25 ms for each Unicode class."""
    repeated = 1
    for least, most in re.findall(r"\{([0-9]{1,5})(?:,([0-9]{1,5}))?", pattern):
        repeated *= max(1, int(least), int(most or 0))
    classes = len(re.findall(r"\\+[a-zA-Z]|\[\^|\.|\(\?", pattern))
    return min(5_000_000, (len(pattern) * 100 + classes * 25_000) * repeated)


class _TooDeep(Exception):
    pass


def _plain_value(value: Any, depth: int = 0) -> Any:
    """*value* in the types that the library takes and compares as we do."""
    kind = type(value)
    if kind is str or kind is bool or kind is float:
        return value
    if depth > DEEPEST_RECORD:
        raise _TooDeep
    if isinstance(value, (dict, Mapping)):
        return {str(k): _plain_value(v, depth + 1) for k, v in value.items() if v is not None}
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain_value(item, depth + 1) for item in value]
    return _plain_scalar(value)


def _plain_scalar(value: Any) -> Any:
    if isinstance(value, datetime):
        return value if value.tzinfo else value.replace(tzinfo=timezone.utc)
    if isinstance(value, date | time):  # TOML's local dates and times: no point in time, so compared as text
        return value.isoformat()
    if isinstance(value, int) and not isinstance(value, bool):
        return int(value) if -(2**63) <= value < 2**63 else _double(value)
    for base in (str, float):
        if isinstance(value, base):
            return base(value)
    return value
