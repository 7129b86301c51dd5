"""The runs of a version: runs that made it or worked on it, and runs that only read its artifacts."""

from __future__ import annotations

from collections.abc import Callable

from gitmodel.branch.repository import Repository
from gitmodel.domain.views.record_views import VersionView
from gitmodel.errors import Invalid, NotFound
from gitmodel.frozen import Frozen
from gitmodel.lineage import graph
from gitmodel.registry.recorded_runs.runs import RunView, get_run
from gitmodel.stores.interface import ArtifactStore


class VersionRun(Frozen):
    """A run of a version. *only_read* is True if the run only read artifacts of the version.

    *view* is None if the record of the run is missing or unreadable.
    """

    id: str
    view: RunView | None
    only_read: bool


def version_runs(
    repository: Repository, version: VersionView, *, store: Callable[[], ArtifactStore]
) -> list[VersionRun]:
    """Return the runs that made *version* or worked on it, then the runs that only read its artifacts."""
    readers = graph.readers(repository, version.model, version.record.number, store=store)
    return [VersionRun(id, _find_run(repository, id), id in readers) for id in (*version.record.runs, *readers)]


def _find_run(repository: Repository, id: str) -> RunView | None:
    try:
        return get_run(repository, id)
    except (NotFound, Invalid):
        return None
