"""Adding, removing and trusting the artifact stores of a registry, and choosing the store of a model."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from gitmodel.domain.changes import stores as planning
from gitmodel.domain.changes.stores import DEFAULT
from gitmodel.domain.schema.references import ModelRef
from gitmodel.domain.snapshots.snapshot import Snapshot
from gitmodel.domain.urls import holds_credentials, is_local
from gitmodel.domain.views.record_views import existing_models
from gitmodel.errors import Invalid, UsageError
from gitmodel.registry.named_stores.store_access import TRUSTED, Access, NamedStore
from gitmodel.registry.writing.writer import Writer, change_model
from gitmodel.stores.opening import open_store


def add_store(writer: Writer, access: Access, name: str, url: str) -> NamedStore:
    """Add a store to the registry, create it if it does not exist, and trust it on this machine.

    Raises Conflict if the name is in use, UsageError for a bad name or URL, Unreachable.
    """
    store = open_store(url, default_root=Path())
    store.create()
    writer.transact(lambda snapshot: planning.plan_store(snapshot, name, url))
    if not is_local(url):
        access.trust(url)
    return access.named(name)


def remove_store(writer: Writer, name: str) -> None:
    """Remove a store, but not its content, from the registry. Raises NotFound, or Refused if a model uses it."""
    writer.transact(lambda snapshot: planning.plan_store_removal(snapshot, name))


def use_store(writer: Writer, model: str | ModelRef, name: str) -> str:
    """Record that the store *name* gets new artifacts of *model*, and return the model's current name.

    Raises NotFound if there is no such model or store.
    """
    return change_model(writer, model, planning.plan_use, name)


def list_users(writer: Writer) -> dict[str, list[str]]:
    """Return the models that use each store, by the store's name. Leaves out models whose records are damaged."""

    def question(snapshot: Snapshot) -> dict[str, list[str]]:
        users: dict[str, list[str]] = {}
        for name, record in existing_models(snapshot):
            if not isinstance(record, Invalid):
                users.setdefault(record.store or DEFAULT, []).append(name)
        return users

    return writer.read(question)


def trust_store(access: Access, which: str = DEFAULT) -> NamedStore:
    """Trust the store *which* on this machine, and return it.

    *which* is the name of a store, or a URL; if the URL ends in `/`, all URLs below it are trusted. Raises NotFound if
    there is no store of this name, UsageError if the URL contains credentials.
    """
    named = access.named(which) if ":" not in which else NamedStore("", which, f"git config {TRUSTED}")
    if holds_credentials(named.url):
        raise UsageError("the URL holds credentials", hint="leave them out; they are taken from the environment")
    if named.url and not is_local(named.url) and not access.is_trusted(named.url):
        access.trust(named.url)
    return replace(named, trusted=True)


def distrust_store(access: Access, which: str = DEFAULT) -> bool:
    """Revoke the trust in the store with the name or URL *which*. Return False if this clone did not trust it."""
    return access.distrust(which if ":" in which else access.named(which).url)
