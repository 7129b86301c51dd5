"""All errors and warnings of gitmodel. An error has a message, a hint (what to do next) and an exit code."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import NamedTuple


class GitModelError(Exception):
    """The base class of all errors that gitmodel raises.

    *hint* says what the user should do or type next. *exit_code* is the code with which a command exits after this
    error. `str` of the error, which tracebacks and notebooks show, has the message and the hint.

    >>> error = NotFound("there is no model iris", hint="run `git model register iris`")
    >>> error.message, error.hint, error.exit_code
    ('there is no model iris', 'run `git model register iris`', 3)
    >>> print(error)
    there is no model iris
    hint: run `git model register iris`
    """

    exit_code = 1

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}\nhint: {self.hint}" if self.hint else self.message


class UsageError(GitModelError):
    """An invalid request: a wrong name, reference, option or value."""

    exit_code = 2


class NotFound(GitModelError):
    """The named model, version, stage, alias, artifact, run or repository does not exist."""

    exit_code = 3


class Conflict(GitModelError):
    """Another writer changed the same thing first, or a name is taken. The failed operation changed nothing."""

    exit_code = 4


class Invalid(GitModelError):
    """A record, object or artifact does not follow the format."""

    exit_code = 5


class Refused(GitModelError):
    """A gate, a protection or another rule of the registry refuses the change."""

    exit_code = 6


class FailedGate(NamedTuple):
    """A gate that a version fails, or the rule `after` of a stage: its name (*gate*), *expression* and *message*.

    *values* maps the names that the expression reads to the values of the version; None means that the version has no
    such value. *finding* is the reason for the failure.
    """

    gate: str
    expression: str
    message: str
    values: Mapping[str, object]
    finding: str


class GateRefused(Refused):
    """A version does not meet the rules of the stage that it should enter.

    *gates* are the gates that the version fails.

    >>> try:                                                                             # doctest: +SKIP
    ...     client.promote("iris@4", "production")
    ... except GateRefused as refused:
    ...     print([(gate.expression, gate.values) for gate in refused.gates])
    [('metadata.accuracy >= 0.9', {'metadata.accuracy': 0.85})]
    """

    def __init__(self, message: str, *, hint: str = "", gates: tuple[FailedGate, ...] = ()) -> None:
        super().__init__(message, hint=hint)
        self.gates = gates


class Unsigned(Refused):
    """A required signature cannot be made, or a signature of this user would not count. Nothing was changed."""


class ForeignTag(Refused):
    """A git tag that gitmodel did not create has the name of the stage tag for the stage or alias *place*."""

    def __init__(self, place: str, message: str, *, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.place = place


class RenumberedWarning(UserWarning):
    """A reference may name another version than before, because a pull gave the number in it to a different version."""


class Unreachable(GitModelError):
    """The artifact store or the remote cannot be reached, read or written."""

    exit_code = 7


class GitModelWarning(UserWarning):
    """A warning about a problem that does not stop the operation. *hint* says what to do about the problem."""

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


def warn(message: str, *, hint: str = "") -> None:
    """Issue a GitModelWarning by Python's module `warnings`. The command line prints it on stderr."""
    warnings.warn(GitModelWarning(message, hint=hint), stacklevel=3)


def message_of(error: BaseException) -> str:
    """Return the message of *error*, or a text that says that the message cannot be read."""
    if isinstance(error, GitModelError):
        return error.message
    try:
        return str(error)
    except Exception:  # `__str__` of an exception of another library or of the user may fail
        return "its message cannot be read"
