"""The sources of a version that a plan would put into a stage: its artifacts, their run, and the inputs of the run."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from gitmodel.domain.changes.runs import find_run
from gitmodel.domain.changes.stages import RecordedPlaces
from gitmodel.domain.schema.records import RunRecord, VersionRecord
from gitmodel.domain.snapshots.snapshot import Snapshot
from gitmodel.domain.views.lineage import VERSION, Lineage, artifact_facts, trace
from gitmodel.errors import GitModelError


def find_sources(snapshot: Snapshot, model: str, record: VersionRecord) -> Lineage | None:
    """Return the lineage of a version of *model*, up to the inputs of its runs; None if the version has no run.

    Shows the version in the stages and aliases that *snapshot* records, also if they are not in force yet. Reads only
    the records of the version and its runs, and needs no index.
    """
    if not record.runs:
        return None
    reference = f"{model}@{record.number}"
    return trace(_Records(snapshot, reference, record), reference, VERSION, up=True, down=False, depth=1)


class _Records:
    """The records of one version and of its runs. Implements `domain.views.lineage.Known`."""

    def __init__(self, snapshot: Snapshot, reference: str, record: VersionRecord) -> None:
        self._snapshot = snapshot
        self._reference = reference
        self._record = record
        self._missing: dict[str, str] = {}

    def version(self, reference: str) -> VersionRecord | None:
        return self._record if reference == self._reference else None

    def run(self, id: str) -> RunRecord | None:
        try:
            return find_run(self._snapshot, id)
        except GitModelError as error:
            self._missing[id] = error.message
            return None

    def versions_with(self, digest: str) -> Iterable[tuple[str, VersionRecord]]:
        has_it = any(link.digest == digest for link in self._record.artifacts)
        return [(self._reference, self._record)] if has_it else []

    def runs_with(self, digest: str) -> Iterable[RunRecord]:
        return ()

    def artifact_facts(self, digest: str) -> Mapping[str, Any]:
        return artifact_facts(digest, self.versions_with(digest))

    def places(self, reference: str) -> tuple[str | None, tuple[str, ...]]:
        model, _, number = reference.partition("@")
        try:
            places = RecordedPlaces.read(self._snapshot, model)
        except GitModelError:  # the plan already lists a damaged record as a problem
            return None, ()
        stages, aliases = ([place for place, held in one.items() if str(held) == number] for one in places)
        return next(iter(stages), None), tuple(aliases)

    def why_missing(self, id: str) -> str:
        return "its record cannot be read" if self._missing.get(id) else ""
