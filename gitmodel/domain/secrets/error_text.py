"""An error as text without secrets and credentials, for the record and the journal of a run. Pure."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from dataclasses import replace
from types import TracebackType

from gitmodel.domain.schema.registry_rules.registry_record import RunRules
from gitmodel.domain.secrets.credentials import redacted
from gitmodel.domain.secrets.secret_values import SecretValues
from gitmodel.errors import GitModelError, message_of
from gitmodel.frozen import Frozen

_LONGEST_TRACEBACK = 8_000


class ErrorText(Frozen):
    """The type, message, hint and traceback of an error as text."""

    type: str
    message: str
    hint: str = ""
    traceback: str = ""

    @classmethod
    def of(cls, error: BaseException) -> ErrorText:
        """Return the text of *error* without a traceback."""
        hint = error.hint if isinstance(error, GitModelError) else ""
        return cls(type(error).__name__, message_of(error), hint)

    @classmethod
    def with_frames(cls, error: BaseException, frames: TracebackType | None) -> ErrorText:
        """Return the text of *error* with its *frames* as a traceback."""
        text = cls.of(error)
        try:
            lines = traceback.format_exception(type(error), error, frames)
        except Exception:  # a traceback can contain other errors, whose messages cannot always be read
            lines = traceback.format_tb(error.__traceback__)
        return replace(text, message=text.message.strip()[:1000], traceback="".join(lines))

    def hidden(self, secrets: SecretValues) -> ErrorText:
        """Return the error without *secrets*, and without text that looks like a credential."""
        return self.map(lambda part: redacted(secrets.hide(part)))

    def map(self, change: Callable[[str], str]) -> ErrorText:
        """Return the error with each of its texts replaced by the result of *change* for this text."""
        return ErrorText(change(self.type), change(self.message), change(self.hint), change(self.traceback))

    def line(self, rules: RunRules) -> str:
        """Return the error in one line, for the record of a run; only its type if *rules* exclude tracebacks."""
        # Messages can contain paths, host names and secrets, and a record stays in the history of the branch.
        return f"{self.type}: {self.message}" if rules.record_traceback else self.type

    def recorded_traceback(self, rules: RunRules) -> str:
        """Return the end of the traceback for the record of a run; "" if *rules* exclude tracebacks."""
        return self.traceback[-_LONGEST_TRACEBACK:] if rules.record_traceback else ""
