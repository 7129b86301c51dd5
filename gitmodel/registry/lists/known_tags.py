"""The states of many stage tags: the index has those of tags that count, and the other tags are judged."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING

from gitmodel.branch.stages.stage_tags import SnapshotTags
from gitmodel.domain.schema.object_ids import Oid
from gitmodel.domain.schema.refs import StageRef
from gitmodel.domain.snapshots.snapshot import Snapshot
from gitmodel.domain.snapshots.snapshot_sources import TagState

if TYPE_CHECKING:
    from gitmodel.index.model_lists import ModelLists

# With more tags to judge, one walk over the whole chain of commits is faster than a search for each tag.
_FEW = 16


class KnownTags:
    """The stage tags of *snapshot* and their states, some of them from the index *lists* (None: no index is used)."""

    def __init__(self, snapshot: Snapshot, lists: ModelLists | None) -> None:
        self._all = snapshot.tags
        # Each tag that counts, with its id and state.
        self.counting: dict[StageRef, tuple[Oid, TagState]] = {}
        self._lists: ModelLists | None = None
        tags, tip = self._all, snapshot.commit
        if lists is None or tip is None or not isinstance(tags, SnapshotTags) or not tags.depend_on_objects_only:
            return
        self._lists, self._tip, self._tags = lists, tip, tags

    def read(self, models: Collection[str]) -> None:
        """List the stage tags of *models*, and read the states that the index has."""
        if self._lists is None:
            self._all.models()
            return
        tags = self._tags
        tags.list_of(models)
        ids = {ref: id for model in models for ref, id in tags.ids(model).items()}
        known = self._lists.read_tags(self._tip, ids, tags.commits.reaches)
        self.counting |= {ref: (ids[ref], state) for ref, state in known.items()}
        if len(ids) - len(known) > _FEW:
            tags.commits.read_chain(self._tip)

    def read_ahead(self, models: Collection[str]) -> None:
        """Load the git objects with which the tags of *models* are judged, except for tags that are known to count."""
        if self._lists is not None:
            refs = (ref for model in models for ref in self._tags.ids(model))
            self._tags.read_ahead([ref for ref in refs if ref not in self.counting])

    def of(self, model: str) -> Mapping[str, TagState]:
        """Return the states of the tags of *model*, by stage or alias."""
        if self._lists is None:
            return {stage: tag.state for stage, tag in self._all.of(model).items()}
        found: dict[str, TagState] = {}
        for ref in self._tags.ids(model):
            if ref in self.counting:
                found[ref.stage] = self.counting[ref][1]
            elif (tag := self._tags.get(ref)) is not None:
                found[ref.stage] = tag.state
                if not tag.forged:
                    self.counting[ref] = tag.id, tag.state
        return found

    def write(self) -> None:
        """Write the tags that count into the index."""
        if self._lists is not None:
            self._lists.write_tags(self._tip, self.counting)
