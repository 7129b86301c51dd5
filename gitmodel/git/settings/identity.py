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
    """The author and committer of new commits in this repository, queried from git once."""

    def __init__(self, git: Git) -> None:
        self._git = git
        self._people: tuple[str, str] | None = None
        self._dated: dict[tuple[str, str], tuple[str, str]] = {}

    def now(self) -> tuple[str, str]:
        """Return the author and the committer of a commit made now, each as `Name <email> seconds zone`.

        Raises UsageError if git does not know the user's name.
        """
        environ = self._git.environ
        dates = (environ.get("GIT_AUTHOR_DATE", ""), environ.get("GIT_COMMITTER_DATE", ""))
        if all(map(_ABSOLUTE.fullmatch, dates)):
            if dates not in self._dated:
                self._dated[dates] = self._ask()
            return self._dated[dates]
        if any(dates):
            return self._ask()
        if self._people is None:
            author, committer = self._ask()
            self._people = author.rsplit(" ", 2)[0], committer.rsplit(" ", 2)[0]
        seconds = time.time()
        offset = time.localtime(seconds).tm_gmtoff
        sign, minutes = ("-" if offset < 0 else "+"), abs(offset) // 60
        when = f"{int(seconds)} {sign}{minutes // 60:02}{minutes % 60:02}"
        return f"{self._people[0]} {when}", f"{self._people[1]} {when}"

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

    def _ask(self) -> tuple[str, str]:
        author = self._git.run("var", "GIT_AUTHOR_IDENT").decode("utf-8", "replace").strip()
        committer = self._git.run("var", "GIT_COMMITTER_IDENT").decode("utf-8", "replace").strip()
        return author, committer
