"""The changes that define the stores of a registry and the store of a model. Pure."""

from __future__ import annotations

from dataclasses import replace

from gitmodel.domain.changes.planned_change import Change, record_files, registry_file
from gitmodel.domain.changes.stages import without_leftovers
from gitmodel.domain.schema import paths, records
from gitmodel.domain.schema.names import check_name, fold
from gitmodel.domain.schema.records import ModelRecord
from gitmodel.domain.schema.registry_rules.registry_record import RegistryRecord
from gitmodel.domain.snapshots.snapshot import Snapshot
from gitmodel.errors import Conflict, Invalid, NotFound, Refused

DEFAULT = "default"
# The store inside each clone. If the default store is elsewhere, the clone's store has cached copies and artifacts
# that are not pushed yet.
CLONE = "clone"
# The keys of `gitmodel.toml` that define the stores.
KEYS = "store", "stores"


def plan_store(snapshot: Snapshot, name: str, url: str) -> Change[str]:
    """Add a store *name* at *url* to the registry. Raises Conflict if the name is in use."""
    check_name(name, "store")
    registry = snapshot.registry().require(*KEYS)
    if fold(name) == DEFAULT:
        raise Conflict("default is the name of the default store", hint=f"set it with `git model init --store {url}`")
    if fold(name) == CLONE:
        raise Conflict("clone is the name of the store inside each clone", hint="choose another name")
    for other, there in registry.stores.items():
        if fold(other) == fold(name) and (other, there) != (name, url):
            raise Conflict(
                f"a store {other} with another URL exists already", hint=f"run `git model store remove {other}`"
            )
    new = replace(registry, stores={**registry.stores, name: url})
    return Change(name, subject=f"Add the artifact store {name}", files=registry_file(snapshot, new, new))


def plan_store_removal(snapshot: Snapshot, name: str) -> Change[str]:
    """Remove the store *name* from the registry; its objects are kept. Raises Refused if a model uses the store."""
    registry = snapshot.registry()
    check_store(registry, name)
    users = []
    for model in snapshot.model_names():
        try:
            record = snapshot.load(paths.model_file(model), records.ModelRecord)
        except Invalid:
            continue
        users += [model] if record is not None and record.store == name else []
    if users:
        raise Refused(
            f"{' and '.join(users[:5])} keep{'s' if len(users) == 1 else ''} artifacts in {name}",
            hint=f"run `git model store use {users[0]} default` first",
        )
    left = replace(registry, stores={other: url for other, url in registry.stores.items() if other != name})
    return Change(name, subject=f"Remove the artifact store {name}", files=registry_file(snapshot, left, left))


def plan_use(snapshot: Snapshot, model: str, name: str) -> Change[str]:
    """Set the store for new artifacts of *model* to the store *name* ("default": the default store of the registry)."""
    model = snapshot.current_name(model)
    old = snapshot.model(model)
    if name != DEFAULT:
        check_store(snapshot.registry(), name)
    new: ModelRecord = replace(old, store=None if name == DEFAULT else name)
    if new == old:
        return Change(model)
    return Change(
        model,
        subject=f"Keep artifacts of {model} in {name}",
        files=without_leftovers(snapshot, model, record_files(snapshot, paths.model_file(model), new)),
        trailers=(("Model", model),),
    )


def check_store(registry: RegistryRecord, name: str) -> None:
    """Raise NotFound, which lists the stores, if the registry has no store *name*."""
    if name not in registry.require(*KEYS).stores:
        known = ", ".join([DEFAULT, *registry.stores])
        raise NotFound(f"there is no store {name!a}", hint=f"the stores are {known}")
