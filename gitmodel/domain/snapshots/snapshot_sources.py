"""The sources of a snapshot: the files of a commit, and the stage tags. Pure: interfaces and values."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Protocol

from gitmodel.domain.schema.codec import R
from gitmodel.domain.schema.object_ids import Oid
from gitmodel.domain.schema.records import StageRecord
from gitmodel.domain.schema.refs import StageRef
from gitmodel.errors import Invalid
from gitmodel.frozen import Frozen


class Refusal(Frozen):
    """The *reason* why a recorded change is not in force, and the advice for the user (*way_out*).

    *unreviewed* is True if a direct change was made in a stage that accepts only reviewed proposals.

    >>> str(Refusal("gate `tested` fails", "run `git model rollback iris production`"))
    'gate `tested` fails; run `git model rollback iris production`'
    """

    reason: str
    way_out: str | None = None
    unreviewed: bool = False

    def __str__(self) -> str:
        return self.reason if self.way_out is None else f"{self.reason}; {self.way_out}"


class Files(Protocol):
    """The files of one commit."""

    def read(self, path: str) -> bytes | None:
        """Return the bytes of the file at *path*, or None. Raises Invalid if *path* is not a file."""

    def load(self, path: str, kind: type[R], *, newer: bool) -> R | None:
        """Return the record at *path*, or None if there is no file. Raises Invalid for a damaged record.

        *newer* allows keys that this gitmodel does not know.
        """

    def load_many(self, found: Iterable[str], kind: type[R], *, newer: bool) -> Iterator[R | Invalid]:
        """Yield the record at each of the paths *found*, in their order, or the error if it is missing or damaged."""

    def names(self, folder: str) -> tuple[str, ...]:
        """Return the names of the files and folders in *folder*, sorted as git sorts them; () if it does not exist."""


# The reason why a stage tag does not count if a shallow clone lacks the tag's commit or the parent of this commit.
TOO_SHALLOW = "this clone is too shallow to tell who set it"
# The end of messages about a `signed` stage that has a recorded version and no tag.
UNTAGGED = (
    "which needs a signed tag, and this clone has none: "
    "the change waits for `git model apply`, or somebody deleted the tag"
)
RETAG = "run `git model push` in a clone that has the tag; if no clone has it, a signer runs `git model apply --push`"


class TagState(Frozen):
    """The version that a stage tag puts in force, if any; *forged* and *merged_by* are those of the `StageTag`."""

    version: int | None
    forged: str = ""
    merged_by: Oid | None = None


class StageTag(Frozen):
    """A stage tag: the tag object *id*, the commit *target* that it tags, and the stage's *record* in this commit.

    *forged* is the reason why the tag does not count, or "". *merged_by* is None if *target* is on the chain of first
    parents of the branch; else it is the commit that merged *target*. A merge by `git pull` removes the commits of
    other people from the chain, because its first parent is the local commit. *instead* is the record of the newest
    signed change of a `signed` stage: it is in force if the tag does not count.
    """

    ref: StageRef
    id: Oid
    target: Oid
    record: StageRecord | None
    forged: str = ""
    merged_by: Oid | None = None
    instead: StageRecord | None = None

    @property
    def in_force(self) -> StageRecord | None:
        """Return the record in force in the stage; None if the stage is empty or its record is unknown."""
        return self.instead if self.forged else self.record

    @property
    def state(self) -> TagState:
        """Return this tag as a `TagState`."""
        return TagState(self.in_force.version if self.in_force else None, self.forged, self.merged_by)


class Tags(Protocol):
    """The stage tags, and which of them count at the commit of the snapshot.

    *all_known* is False if only some tags were fetched.
    """

    all_known: bool

    def get(self, ref: StageRef) -> StageTag | None:
        """Return the tag of the stage or alias *ref*, or None."""

    def of(self, model: str) -> Mapping[str, StageTag]:
        """Return all stage tags of *model*, by stage or alias."""

    def models(self) -> frozenset[str]:
        """Return the models that have stage tags. Reads all tags at once, so that later calls of `of` run no git."""


class NoTags:
    """An implementation of `Tags` without any tag, for functions that use only records."""

    all_known = True

    def get(self, ref: StageRef) -> StageTag | None:
        return None

    def of(self, model: str) -> Mapping[str, StageTag]:
        return {}

    def models(self) -> frozenset[str]:
        return frozenset()
