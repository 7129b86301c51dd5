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
        """Return the record at *path*, or None. Raises Invalid for a damaged record."""

    def load_many(self, found: Iterable[str], kind: type[R], *, newer: bool) -> Iterator[R | Invalid]:
        """Return the record at each path, in order. An unreadable record is returned as its error."""

    def names(self, folder: str) -> tuple[str, ...]:
        """Return the names in *folder*, sorted as git sorts them; empty if the folder does not exist."""


# The reason if a shallow clone lacks the tag's commit or its parent.
TOO_SHALLOW = "this clone is too shallow to tell who set it"
# The message about a `signed` stage without a tag.
UNTAGGED = "which takes signed tags and has none here: either this waits for `git model apply`, or the tag was deleted"
RETAG = "`git model push` in a clone that has the tag puts it back; otherwise a signer runs `git model apply --push`"


class TagState(Frozen):
    """The version that a stage tag puts in force, if any. For *forged* and *merged_by* see `StageTag`."""

    version: int | None
    forged: str = ""
    merged_by: Oid | None = None


class StageTag(Frozen):
    """A stage tag: its commit, the stage's record there, and *forged*, the reason why the tag does not count, or "".

    *merged_by* is the commit of the branch that merged the tag's commit; None if the tag's commit is itself on the
    chain of first parents. After a merge by `git pull`, commits of others are not on this chain, because the first
    parent of such a merge is the local commit. If the tag of a `signed` stage does not count, *instead* is in force:
    the record of its newest signed change.
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
        """Return the state of the stage by this tag."""
        return TagState(self.in_force.version if self.in_force else None, self.forged, self.merged_by)


class Tags(Protocol):
    """The stage tags, and which of them count at the commit of the snapshot.

    *all_known* is False if only some tags were fetched.
    """

    all_known: bool

    def get(self, ref: StageRef) -> StageTag | None:
        """Return the tag of a stage, or None."""

    def of(self, model: str) -> Mapping[str, StageTag]:
        """Return all stage tags of *model*, by stage or alias."""

    def models(self) -> frozenset[str]:
        """Return the models that any stage tag names. After this call, `of` does not run git."""


class NoTags:
    """`Tags` without any tag, for readers that use only records."""

    all_known = True

    def get(self, ref: StageRef) -> StageTag | None:
        return None

    def of(self, model: str) -> Mapping[str, StageTag]:
        return {}

    def models(self) -> frozenset[str]:
        return frozenset()
