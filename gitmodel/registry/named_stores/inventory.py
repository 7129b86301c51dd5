"""`store status`: the artifacts that the versions of a registry need, the stores that have them, and missing ones."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from gitmodel.domain.changes.purging import purges
from gitmodel.domain.schema.records import ArtifactLink
from gitmodel.domain.snapshots.snapshot import Snapshot
from gitmodel.domain.urls import shown_url
from gitmodel.errors import GitModelError, Invalid, NotFound
from gitmodel.frozen import Frozen
from gitmodel.registry.named_stores.needed_artifacts import version_links
from gitmodel.registry.named_stores.store_access import Access
from gitmodel.registry.writing.writer import Writer
from gitmodel.stores.artifacts.manifests import manifest_of
from gitmodel.stores.interface import ArtifactStore


class StoreState(Frozen):
    """A store: the number of its *objects* and their total bytes, or the reason why it cannot be listed (*error*)."""

    name: str
    url: str
    objects: int = 0
    size: int = 0
    error: str = ""


@dataclass
class ModelState:
    """The artifacts of a model: their number and total size, each digest counted once, and their number in each store.

    The other fields are numbers of artifacts, too: *missing* ones are complete in no store, *unknown* ones may be in a
    store that could not be listed, *external* ones are not stored, and *purged* ones were erased.
    """

    model: str
    versions: int = 0
    artifacts: int = 0
    size: int = 0
    where: dict[str, int] = field(default_factory=dict)
    missing: int = 0
    unknown: int = 0
    external: int = 0
    purged: int = 0


class Missing(Frozen):
    """An artifact that is complete in no store.

    *files* is the number of its objects that no store has, *digest* the digest of the first of them.
    """

    digest: str
    artifact: str
    size: int
    versions: tuple[str, ...]
    files: int = 1


class Inventory(Frozen):
    """The artifacts by store and by model, the *missing* artifacts, and an error for each *damaged* record."""

    stores: tuple[StoreState, ...]
    models: tuple[ModelState, ...]
    missing: tuple[Missing, ...]
    damaged: tuple[str, ...]


def take_inventory(writer: Writer, access: Access) -> Inventory:
    """List each store once to find the stores that have the artifacts of versions, and the artifacts that none has."""
    states, held, readers = _list_stores(access)
    return writer.read(lambda snapshot: _compare(snapshot, states, held, readers))


_Held = Mapping[str, frozenset[bytes]]


def _list_stores(access: Access) -> tuple[list[StoreState], dict[str, frozenset[bytes]], dict[str, ArtifactStore]]:
    states, held, readers = [], {}, {}
    for named in access.places():
        url = shown_url(named.url) if named.url else access.root.as_uri()
        try:
            store = access.open(named.name)
            # A store can have millions of digests: each takes 32 bytes in this form, and 120 as text.
            sizes = {bytes.fromhex(found.digest[7:]): found.size for found in store.origin.objects()}
        except GitModelError as error:
            states.append(StoreState(named.name, url, error=error.message))
            continue
        states.append(StoreState(named.name, url, len(sizes), sum(sizes.values())))
        held[named.name], readers[named.name] = frozenset(sizes), store
    return states, held, readers


def _compare(
    snapshot: Snapshot, states: Iterable[StoreState], held: _Held, readers: Mapping[str, ArtifactStore]
) -> Inventory:
    models: dict[str, ModelState] = {}
    missing: dict[str, Missing] = {}
    gone = purges(snapshot)
    seen: dict[str, set[str]] = {}
    unsure = any(state.error for state in states)
    damaged = []
    for reference, link in version_links(snapshot):
        if isinstance(link, Invalid):
            damaged.append(f"{reference}: {link.message}")
            continue
        model = reference.partition("@")[0]
        state = models.setdefault(model, ModelState(model))
        if not link.is_external and link.digest in missing:
            known = missing[link.digest]
            missing[link.digest] = replace(known, versions=(*known.versions, reference))
        if link.digest in seen.setdefault(model, set()):
            continue
        seen[model].add(link.digest)
        state.artifacts += 1
        state.size += link.size
        if link.is_external:
            state.external += 1
        elif link.digest in gone:
            state.purged += 1
        else:
            places, lost = _places(link, held, readers, gone)
            for name in places:
                state.where[name] = state.where.get(name, 0) + 1
            if lost and unsure:
                state.unknown += 1
            elif lost:
                state.missing += 1
                if link.digest not in missing:
                    missing[link.digest] = Missing(lost[0], link.name, link.size, (reference,), len(lost))
    for model in snapshot.model_names():
        if model in models:
            models[model].versions = snapshot.count_present(model)[0]
    return Inventory(tuple(states), tuple(models.values()), tuple(missing.values()), tuple(damaged))


def _places(
    link: ArtifactLink, held: _Held, readers: Mapping[str, ArtifactStore], gone: Mapping[str, object]
) -> tuple[list[str], list[str]]:
    """Return the names of the stores that have the whole artifact, or else the digests of its objects that none has.

    *held* has the digests in each store, *readers* the stores by name, *gone* the purged digests.
    """
    wanted = [link.digest]
    if link.is_folder:
        holder = next((name for name in held if bytes.fromhex(link.digest[7:]) in held[name]), None)
        if holder is None:
            return [], wanted
        try:
            wanted += [entry.digest for entry in manifest_of(readers[holder], link.digest) if entry.digest not in gone]
        except NotFound:  # another process removed the manifest after the listing
            return [], wanted
    raw = [bytes.fromhex(digest[7:]) for digest in wanted]
    places = [name for name, objects in held.items() if objects.issuperset(raw)]
    if places:
        return places, []
    return [], [digest for digest, key in zip(wanted, raw, strict=True) if not any(key in has for has in held.values())]
