"""Checking the arguments of public functions against their annotations; errors name the argument. Pure."""

from __future__ import annotations

import functools
import inspect
import operator
import os
import types
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from typing import Any, TypeVar

from gitmodel.domain.schema.names import did_you_mean, shown
from gitmodel.domain.schema.records import DESCRIPTIVE
from gitmodel.errors import UsageError
from gitmodel.frozen import Frozen

T = TypeVar("T")
ArtifactSource = Any
"""The source of an artifact: the path of a file or folder (text or a path object), or another value, which is saved."""
ArtifactSources = Mapping[str, ArtifactSource]
"""Sources of artifacts by the names of the artifacts."""
# `checked` skips these arguments, because the functions check them later with better errors.
_CHECKED_LATER = frozenset({"limit", "offset", *DESCRIPTIVE} - {"metadata"})
_LONGEST_NAME = 255  # the most bytes in a file's name on every usual file system


class WrongCall(UsageError, TypeError):
    """A call of a public function with an unknown argument, a missing argument, or too many arguments by position."""


class _Check:
    """The check of an argument: *fits* tells if a value is valid, *expected* describes valid values in errors."""

    # Not `Frozen`, because each command creates 30 checks at its start, and a plain class is faster.

    __slots__ = ("expected", "fits", "hint", "is_list")

    def __init__(self, expected: str, fits: Callable[[Any], bool], hint: str = "", *, is_list: bool = False) -> None:
        self.expected, self.fits, self.hint, self.is_list = expected, fits, hint, is_list


def checked_arguments(cls: type[T]) -> type[T]:
    """Check the arguments of the public methods of *cls*, also of those that it inherits, as `checked` does.

    Inherited methods and properties become those of *cls* itself, so that `help(cls)` and errors name *cls*.

    >>> @checked_arguments
    ... class Box:
    ...     def rename(self, new_name: str) -> None: ...
    >>> Box().rename(None)
    Traceback (most recent call last):
    gitmodel.errors.UsageError: new_name of Box.rename takes text, not None
    hint: `help(Box.rename)` in Python shows its arguments
    """
    members = dict(vars(cls))
    for base in cls.__mro__[1:]:
        for name, member in vars(base).items():
            if not name.startswith("_"):
                members.setdefault(name, member)
    for name, member in members.items():
        if isinstance(member, types.FunctionType) and (name == "__init__" or not name.startswith("_")):
            setattr(cls, name, checked(member, f"{cls.__qualname__}.{name}"))
        elif isinstance(member, property) and name not in vars(cls):
            setattr(cls, name, member)
    return cls


def checked(function: Callable[..., T], called: str = "") -> Callable[..., T]:
    """Return *function* with a check that raises UsageError if an argument does not match its annotation.

    Errors name the function *called*; the default is its own name. Only simple annotations are checked, such as `str`,
    `int | None` and `Iterable[str]`. If an iterator is given by keyword for a list, *function* gets a list of its
    items, so that it can read them more than once. A call that does not match the parameters raises WrongCall.
    """

    called = (called or function.__qualname__).removesuffix(".__init__")

    @functools.wraps(function)
    def calling(*args: Any, **kwargs: Any) -> T:
        known = _parameters_of(function)
        for name in known.lists & kwargs.keys():
            if isinstance(kwargs[name], Iterator):
                kwargs[name] = list(kwargs[name])
        more = ((known.rest, value) for value in args[len(known.names) :])
        for name, value in (*zip(known.names, args, strict=False), *more, *kwargs.items()):
            check = known.checks.get(name)
            if check is not None and not check.fits(value):
                raise _wrong(called, name, check, value)
        try:
            return function(*args, **kwargs)
        except TypeError:
            signature = inspect.signature(function)
            try:
                signature.bind(*args, **kwargs)
            except TypeError as error:
                raise _wrong_call(called, [*signature.parameters.values()], args, kwargs, str(error)) from None
            raise

    return calling


class _Parameters(Frozen):
    """The parameters of a function, with their *checks* by name.

    *lists* are the names of the parameters that take a list, and *names* those of the parameters that take an argument
    by position. *rest* is the name of the parameter that takes all further arguments by position, or "".
    """

    checks: Mapping[str, _Check]
    lists: Set[str]
    names: Sequence[str]
    rest: str


@functools.cache
def _parameters_of(function: Callable[..., Any]) -> _Parameters:
    """Return the parameters of *function*. Cached at the first call, because a command calls few functions."""
    parameters = inspect.signature(function).parameters.values()
    found = {
        one.name: _JOBS if one.name == "jobs" else _check_of(one.annotation)
        for one in parameters
        if one.name not in _CHECKED_LATER
    }
    checks = {name: check for name, check in found.items() if check is not None}
    return _Parameters(
        checks,
        {name for name, check in checks.items() if check.is_list},
        [one.name for one in parameters if one.kind is inspect.Parameter.POSITIONAL_OR_KEYWORD],
        next((one.name for one in parameters if one.kind is inspect.Parameter.VAR_POSITIONAL), ""),
    )


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _is_path(value: object) -> bool:
    """Return True for text or a path object that can name a file, and for any URL: its parts may be longer."""
    try:
        named = os.fsencode(value)  # type: ignore[arg-type]
    except (TypeError, UnicodeEncodeError):
        return False
    if isinstance(value, bytes) or not named or b"\0" in named:
        return False
    return b"://" in named or all(len(name) <= _LONGEST_NAME for name in named.split(b"/"))


def _is_source(value: object) -> bool:
    """Return True for text or a path that can name a file, and for any other object except None."""
    return _is_path(value) if isinstance(value, str | os.PathLike) else value is not None


def _is_number(value: object) -> bool:
    try:
        number = operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        return False
    return not isinstance(value, bool) and number.bit_length() < 64


def _is_seconds(value: object) -> bool:
    if isinstance(value, bool) or not hasattr(value, "__float__"):
        return False
    try:
        return float(value) >= 0
    except (TypeError, ValueError, OverflowError):
        return False


def _is_flag(value: object) -> bool:
    return isinstance(value, bool) or type(value).__name__ in ("bool_", "bool")  # NumPy's booleans are not bool


def _list_of(items: str, of: Callable[[Any], bool], hint: str = "") -> _Check:
    """Return the check of a list or another collection whose items pass *of*; *items* describes them in errors."""

    def fits(value: object) -> bool:
        if isinstance(value, str | bytes | Mapping) or not isinstance(value, Iterable):
            return False
        return isinstance(value, Iterator) or all(map(of, value))

    return _Check(f"a list of {items}", fits, hint, is_list=True)


def _is_mapping(value: object) -> bool:
    return isinstance(value, Mapping) and all(map(_is_text, value))


def _or_none(check: _Check) -> _Check:
    expected, fits = f"{check.expected} or None", lambda value: value is None or check.fits(value)
    return _Check(expected, fits, check.hint, is_list=check.is_list)


def _is_a(name: str) -> Callable[[Any], bool]:
    """Return the check for instances of the class *name*: by name, because this layer may not import the class."""
    return lambda value: any(base.__name__ == name for base in type(value).__mro__)


_EDITS = "make one with AddStage, UpdateStage, RemoveStage, AddGate or RemoveGate"
_TEXT = _Check("text", _is_text)
_PATH = _Check("a path", _is_path)
_NUMBER = _Check("a whole number from 0", lambda value: _is_number(value) and value >= 0)
_JOBS = _Check("a whole number from 1", lambda value: _is_number(value) and value >= 1)
_SECONDS = _Check("a number from 0", _is_seconds)
_FLAG = _Check("True or False", _is_flag)
_TEXTS = _list_of("texts", _is_text)
_TABLE = _Check("a mapping with text as keys", _is_mapping)
_SOURCE = _Check("a path or an object", _is_source)
_SOURCES = _Check(
    "a mapping of names to paths or objects", lambda value: _is_mapping(value) and all(map(_is_source, value.values()))
)
_PAIR = _Check(
    "pairs of texts", lambda one: isinstance(one, tuple | list) and len(one) == 2 and all(map(_is_text, one))
)
_CHECKS: dict[Any, _Check] = {
    "str": _TEXT,
    "str | ModelStages": _TEXT,
    "bool": _FLAG,
    "int": _NUMBER,
    "float": _SECONDS,
    "str | os.PathLike[str]": _PATH,
    "Iterable[str]": _TEXTS,
    "Iterable[int]": _list_of("whole numbers", _is_number),
    "Iterable[str | os.PathLike[str]]": _list_of("paths", _is_path),
    "Iterable[tuple[str, str]]": _list_of("pairs of texts", _PAIR.fits),
    "Mapping[str, Any]": _TABLE,
    "Mapping[str, str]": _Check(
        "a mapping of texts to texts", lambda v: isinstance(v, Mapping) and all(isinstance(x, str) for x in v.values())
    ),
    "ArtifactSource": _SOURCE,
    "ArtifactSources": _SOURCES,
    "str | int | ModelStages": _Check(
        "a number, name, stage or alias",
        lambda value: value != "" if isinstance(value, str | bool) else _is_number(value),
    ),
    **dict.fromkeys(
        ("Progress", "NamedProgress", "Callable[[str], object]"),
        _Check("a function", lambda value: callable(value) and not isinstance(value, type)),
    ),
    "str | int": _Check("a number, name, stage or alias", lambda value: isinstance(value, str) or _is_number(value)),
    "str | os.PathLike[str] | Client": _Check(
        "a path, a URL or a Client", lambda value: _is_path(value) or _is_a("Client")(value)
    ),
    "Client": _Check("a Client", _is_a("Client"), "open it with `Client()`"),
    "Callable[[GitModelError], Any]": _Check("a function", callable),
    "RulesEdit": _Check("a change of rules", _is_a("RulesEdit"), _EDITS),
    "Iterable[RulesEdit]": _list_of("changes of rules", _is_a("RulesEdit"), _EDITS),
    "str | datetime": _Check("text or a datetime", lambda value: _is_text(value) or hasattr(value, "utcoffset")),
    "str | VersionRef": _Check("text", lambda value: _is_text(value) or _is_a("VersionRef")(value)),
    "str | Code": _Check("a full commit id or a Code", lambda value: _is_text(value) or _is_a("Code")(value)),
    "Iterable[str | RunRecord]": _list_of(
        "ids or records of runs", lambda value: _is_text(value) or _is_a("RunRecord")(value)
    ),
    "Imported": _Check("claims of another registry", _is_a("Imported")),
    "Model | str": _Check("a name or a Model", lambda value: _is_text(value) or _is_a("Model")(value)),
    "tuple[str | VersionRef, str]": _Check(
        "pairs of a version and a stage",
        lambda one: (
            isinstance(one, tuple | list)
            and len(one) == 2
            and _is_text(one[1])
            and (_is_text(one[0]) or _is_a("VersionRef")(one[0]))
        ),
    ),
}


def _check_of(annotation: Any) -> _Check | None:
    """Return the check of an argument whose parameter has *annotation*; None if such arguments are not checked."""
    if isinstance(annotation, str) and annotation.endswith(" | None"):
        check = _CHECKS.get(annotation.removesuffix(" | None"))
        return check and _or_none(check)
    return _CHECKS.get(annotation)


def _wrong(called: str, name: str, check: _Check, value: object) -> UsageError:
    why = ", not " + shown(value)
    if isinstance(value, Mapping) and check.expected.startswith(_SOURCES.expected) and _is_mapping(value):
        key, item = next((key, item) for key, item in value.items() if not _is_source(item))
        why = f", and {shown(key)} is {shown(item)}"
    return UsageError(
        f"{name} of {called} takes {check.expected}{why}",
        hint=check.hint or f"`help({called})` in Python shows its arguments",
    )


def _wrong_call(
    called: str,
    parameters: list[inspect.Parameter],
    args: tuple[Any, ...],
    kwargs: Mapping[str, Any],
    why: str,
) -> WrongCall:
    """Return the error for a call that does not match *parameters*; *why* is Python's reason.

    The table `_other_arguments` of a class says what to write in gitmodel for arguments that other tools have. Its keys
    are NAME (of an argument of any method), METHOD.NAME, and METHOD (for too many arguments by position).
    """
    method = called.rpartition(".")[2]
    shown_parameters = [one for one in parameters if one.name != "self"]
    known = [one.name for one in shown_parameters]
    unknown = [name for name in kwargs if name not in known]
    forms = getattr(type(args[0]), "_other_arguments", {}) if args else {}
    if unknown:
        form = forms.get(f"{method}.{unknown[0]}") or forms.get(unknown[0])
        if form:
            return WrongCall(f"{called} has no argument {unknown[0]}", hint=form)
        more = did_you_mean(unknown[0], known) or f"its arguments are {', '.join(known)}"
        return WrongCall(f"{called} has no argument {unknown[0]}", hint=more)
    placed = [one.name for one in parameters if one.kind is inspect.Parameter.POSITIONAL_OR_KEYWORD]
    if len(args) > len(placed):
        named = [one for one in parameters if one.kind is inspect.Parameter.KEYWORD_ONLY]
        by_place = ", ".join(name for name in placed if name != "self") or "nothing"
        value = args[len(placed)]
        hints = [f"write {named[0].name}={shown(value)}"] if named and _takes(named[0], value) else []
        if method in forms:
            hints = [forms[method]]
        elif len(named) > 1 or not hints:
            need = f"the arguments that need a name are {', '.join(one.name for one in named)}"
            hints.append(need if named else f"its arguments are {', '.join(known)}")
        return WrongCall(f"{called} takes {by_place} by position, and nothing else", hint="; ".join(hints))
    return WrongCall(f"{called}: {why}", hint=f"its arguments are {', '.join(known)}")


def _takes(parameter: inspect.Parameter, value: object) -> bool:
    check = _check_of(parameter.annotation)
    return check is not None and check.fits(value)
