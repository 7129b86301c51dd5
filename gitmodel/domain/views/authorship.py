"""The author of a version or model, and the author and time of its last change. Pure."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import NamedTuple

from gitmodel.domain.views.filter_names import VALUE, Names
from gitmodel.frozen import Frozen

# Names that a search can use besides the fields of a version. A gate cannot use them: they are not in the record.
AUTHORSHIP_NAMES: dict[str, Names] = dict.fromkeys(("author", "updated", "updated_by"), VALUE)


class Authorship(Frozen):
    """The author of a version or model, and the time (in UTC) and author of its last change.

    A change of the record, the stage or the aliases of a version is a change of the version, and also of its model.
    *author* and *email* are None if a shallow clone lacks the commit that created the version or model.
    """

    author: str | None
    email: str | None
    updated: datetime
    updated_by: str


class AuthorshipRow(NamedTuple):
    """An `Authorship` as the index stores it, with persons as `Name <e-mail>` and *updated* in seconds since 1970."""

    author: str | None
    updated: int
    updated_by: str

    def value(self) -> Authorship:
        """Convert this row to an `Authorship`.

        >>> AuthorshipRow("Ada <ada@example.com>", 0, "Ben <ben@example.com>").value().updated_by
        'Ben'
        """
        name, email = _person(self.author) if self.author is not None else (None, None)
        moment = datetime.fromtimestamp(self.updated, timezone.utc)
        return Authorship(name, email, moment, _person(self.updated_by)[0])


def _person(text: str) -> tuple[str, str]:
    name, _, email = text.removesuffix(">").partition(" <")
    return name, email
