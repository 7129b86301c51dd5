"""Transferring artifacts: before a push, to stores that others can reach; after a pull, to this machine."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from gitmodel.branch.history.changed_paths import changed_paths
from gitmodel.branch.repository import Repository
from gitmodel.domain.changes.purging import purge_of
from gitmodel.domain.changes.stages import stage_states
from gitmodel.domain.schema import paths
from gitmodel.domain.schema.object_ids import Oid
from gitmodel.domain.schema.records import ArtifactLink
from gitmodel.domain.snapshots.snapshot import Snapshot
from gitmodel.domain.urls import is_local
from gitmodel.domain.views.record_views import existing_models, latest_usable, usable
from gitmodel.errors import Invalid, Unreachable
from gitmodel.stores.artifacts.copying import copy_artifacts, keep_artifact
from gitmodel.stores.artifacts.parallel_transfers import Tally
from gitmodel.stores.interface import ArtifactStore
from gitmodel.stores.transfer import Transfer


def upload(
    repository: Repository,
    old: Oid | None,
    new: Oid | None,
    local: ArtifactStore,
    store_of: Callable[[str], ArtifactStore],
    *,
    transfer: Transfer = Transfer(),
) -> int:
    """Copy artifacts from the store *local* to the stores that *store_of* opens for their models, if these lack them.

    The artifacts are those of versions whose records differ between the commits *old* (None: no versions) and *new*.
    Returns the number of copied artifacts. Raises Unreachable if others cannot reach a store, or if an artifact is
    neither in *local* nor in the store of its model.
    """
    stores: dict[str, ArtifactStore] = {}
    missing: dict[str, dict[str, ArtifactLink]] = {}
    for version, link in _links(repository, old, new):
        model = version.partition("@")[0]
        store = stores[model] = stores.get(model) or store_of(model)
        if not store.shared:
            raise Unreachable(
                f"{link.name} of {version} is in {store.url}, which others cannot reach",
                hint="name a shared store: `git model init --store URL`, for example file:///srv/models",
            )
        if link.digest in missing.get(model, {}):
            continue
        if keep_artifact(store, link.digest, folder=link.is_folder, jobs=transfer.jobs):
            continue
        if not local.holds(link.digest):
            raise Unreachable(
                f"{link.name} of {version} is neither in {store.url} nor on this machine",
                hint=f"run `git model unlink {version} {link.name}`, or link the file again",
            )
        missing.setdefault(model, {})[link.digest] = link
    return _copy(missing, lambda model: (local, stores[model]), transfer)


def download(
    repository: Repository,
    local: ArtifactStore,
    store_of: Callable[[str], ArtifactStore],
    *,
    transfer: Transfer = Transfer(),
) -> int:
    """Download the artifacts of the latest versions and of versions in force to the store *local*.

    *store_of* opens the store of a model. Skips artifacts that are in *local*, or whose store is a folder of this
    machine. Returns the number of downloaded artifacts. Raises Unreachable if a store cannot be reached, Refused if a
    store is not trusted.
    """
    missing: dict[str, dict[str, ArtifactLink]] = {}
    for model, link in repository.read(lambda snapshot: list(_in_use(snapshot))):
        if not local.holds(link.digest):
            missing.setdefault(model, {})[link.digest] = link
    stores = {model: store_of(model) for model in missing}
    away = {model: links for model, links in missing.items() if not is_local(stores[model].url)}
    return _copy(away, lambda model: (stores[model].origin, local), transfer)


def _copy(
    missing: Mapping[str, Mapping[str, ArtifactLink]],
    ends: Callable[[str], tuple[ArtifactStore, ArtifactStore]],
    transfer: Transfer,
) -> int:
    """Copy the artifacts *missing* (by model and digest), and return their number.

    *ends* returns the store to read and the store to write for a model.
    """
    sent = Tally(transfer.progress, sum(link.size for links in missing.values() for link in links.values()))
    for model, links in missing.items():
        source, target = ends(model)
        wanted = [(link.digest, link.is_folder, link.size) for link in links.values()]
        copy_artifacts(source, target, wanted, jobs=transfer.jobs, sent=sent.add)
    return len({digest for links in missing.values() for digest in links})


def _in_use(snapshot: Snapshot) -> Iterator[tuple[str, ArtifactLink]]:
    snapshot.tags.models()
    for name, found in existing_models(snapshot):
        if isinstance(found, Invalid):
            continue
        try:
            numbers = {state.in_force for state in stage_states(snapshot, name)} | {latest_usable(snapshot, name)}
        except Invalid:
            continue
        wanted = sorted(number for number in numbers if number is not None)
        for record in usable(snapshot.versions(name, wanted)):
            for link in record.links:
                if not link.is_external and purge_of(snapshot, link.digest) is None:
                    yield name, link


def _links(repository: Repository, old: Oid | None, new: Oid | None) -> Iterator[tuple[str, ArtifactLink]]:
    if new is None:
        return
    snapshot = repository.snapshot_at(new)
    changed = (
        changed_paths(repository, old, new) if old else [path for path, _ in repository.files(new).walk(paths.MODELS)]
    )
    for path in changed:
        what = paths.parse_path(path)
        if what is not None and what.kind == "version" and repository.files(new).id(path) is not None:
            for record in usable(snapshot.versions(what.model, [int(what.key)])):
                for link in record.links:
                    if link.is_external or purge_of(snapshot, link.digest) is not None:
                        continue
                    yield f"{what.model}@{record.number}", link
