"""The author and committer of new commits and their dates, as git itself would set them."""

from __future__ import annotations

import re
import time
from datetime import datetime, timezone

from gitmodel.errors import UsageError
from gitmodel.git.running.process import Git

# A date in the environment with all its parts. git completes any other form with the current date and time.
_ABSOLUTE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(Z|[+-]\d\d:?\d\d)")


class Identity:
    """The author and committer of new commits. gitmodel asks git once, or each time if git must complete a date."""

    def __init__(self, git: Git) -> None:
        self._git = git
        self._last: tuple[str, str] | None = None

    def now(self) -> tuple[str, str]:
        """Return the author and the committer of a commit made now, each as `Name <email> seconds zone`.

        Raises UsageError if git does not know the user's name.
        """
        dates = [self._git.environ.get(name, "") for name in ("GIT_AUTHOR_DATE", "GIT_COMMITTER_DATE")]
        if self._last is None or (any(dates) and not all(map(_ABSOLUTE.fullmatch, dates))):
            author, committer = (self._git.run("var", name) for name in ("GIT_AUTHOR_IDENT", "GIT_COMMITTER_IDENT"))
            self._last = author.decode("utf-8", "replace").strip(), committer.decode("utf-8", "replace").strip()
        if any(dates):
            return self._last
        seconds = time.time()
        offset = time.localtime(seconds).tm_gmtoff
        sign, minutes = ("-" if offset < 0 else "+"), abs(offset) // 60
        when = f"{int(seconds)} {sign}{minutes // 60:02}{minutes % 60:02}"
        author_name, committer_name = (person.rsplit(" ", 2)[0] for person in self._last)
        return f"{author_name} {when}", f"{committer_name} {when}"

    def moment(self) -> datetime:
        """Return the committer's time of a commit made now, in UTC, without fractions of a second."""
        if "GIT_COMMITTER_DATE" in self._git.environ:
            try:
                return datetime.fromtimestamp(int(self.now()[1].rsplit(" ", 2)[1]), timezone.utc)
            except (ValueError, OverflowError, OSError):
                raise UsageError(
                    "the date in GIT_COMMITTER_DATE is not before the year 10000", hint="run `unset GIT_COMMITTER_DATE`"
                ) from None
        return datetime.now(timezone.utc).replace(microsecond=0)
