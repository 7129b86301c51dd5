"""The facts of versions that lists show. An export keeps them, so that it reads only new records. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timezone
from typing import NamedTuple

from gitmodel.domain.schema.records import VersionRecord
from gitmodel.domain.views.metadata_numbers import finite_numbers

# The greatest number of characters of a description in a list. Longer descriptions are cut.
_MOST_TEXT = 140


class VersionFacts(NamedTuple):
    """The facts of the version whose record has the object id *id*. In JSON, they are a list.

    *fault* is the reason why the record cannot be read, or "". *numbers* are the finite numbers of the metadata.
    *digests* are those of artifacts and attachments.
    """

    id: str
    fault: str = ""
    deleted: bool = False
    created: str = ""
    name: str | None = None
    description: str = ""
    tags: tuple[str, ...] = ()
    failed: bool = False
    code: str | None = None
    numbers: Mapping[str, float] = {}
    digests: tuple[str, ...] = ()

    @property
    def texts(self) -> list[str]:
        """The texts among these facts that people wrote, such as the description."""
        return [self.fault, self.name or "", self.description, *self.tags, *self.numbers]

    @property
    def utc(self) -> str:
        """The time of the creation in UTC, as text."""
        if self.created.endswith("+00:00"):
            return f"{self.created[:19]}Z"
        return f"{self.when.astimezone(timezone.utc):%Y-%m-%dT%H:%M:%SZ}"

    @property
    def when(self) -> datetime:
        """The time of the creation."""
        return datetime.fromisoformat(self.created)


def facts_of(id: str, record: VersionRecord) -> VersionFacts:
    """Return the facts of *record*."""
    return VersionFacts(
        id,
        deleted=record.deleted is not None,
        created=record.created.isoformat(),
        name=record.name,
        description=record.description[:_MOST_TEXT],
        tags=record.tags,
        failed=record.failed,
        code=record.code.commit[:7] if record.code and record.code.commit else None,
        numbers=finite_numbers(record.metadata),
        digests=tuple(dict.fromkeys(link.digest for link in record.links)),
    )


# The facts of versions by model and number.
Facts = Mapping[str, Mapping[int, VersionFacts]]
