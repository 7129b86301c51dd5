"""The one tree of errors: what happened (message), what to type next (hint), how a command ends (exit code)."""

from __future__ import annotations

import warnings


class GitModelError(Exception):
    """The base of all errors that gitmodel raises for its user.

    *hint* is the next thing to do or type; *exit_code* is what the command line ends with. The text of the exception,
    which tracebacks and notebooks show, has both.

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
    """A request that makes no sense: a bad name, reference, option or value."""

    exit_code = 2


class NotFound(GitModelError):
    """The model, version, stage, alias, artifact, run or repository named is not there."""

    exit_code = 3


class Conflict(GitModelError):
    """Someone else was there first: a ref moved, a name is taken; nothing was changed."""

    exit_code = 4


class Invalid(GitModelError):
    """A record, object or artifact is not what the format says it must be."""

    exit_code = 5


class Refused(GitModelError):
    """A gate, a protection or a rule of the registry says no."""

    exit_code = 6


class GateRefused(Refused):
    """A version does not satisfy the rules of the stage that it was to enter."""


class Unsigned(Refused):
    """A change that must be signed cannot be signed, or not by this user; nothing was changed."""


class ForeignTag(Refused):
    """A tag that this registry did not make is where one of its own belongs: that of the stage or alias *place*."""

    def __init__(self, place: str, message: str, *, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.place = place


class RenumberedWarning(UserWarning):
    """A reference was read whose number a pull gave to another version, so that it may mean another than it did."""


class Unreachable(GitModelError):
    """The artifact store or the remote cannot be reached, read or written."""

    exit_code = 7


class GitModelWarning(UserWarning):
    """A warning that stops nothing; *hint* is what to do about it."""

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


def warn(message: str, *, hint: str = "") -> None:
    """Warn of something that stops nothing: Python's `warnings` in a program, a line on stderr in a command."""
    warnings.warn(GitModelWarning(message, hint=hint), stacklevel=3)
