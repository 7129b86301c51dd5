"""The verbs of artifact stores: name them, trust them, say which one a model keeps its artifacts in."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from gitmodel.domain.changes import stores as planning
from gitmodel.domain.changes.stores import DEFAULT
from gitmodel.domain.schema.references import ModelRef
from gitmodel.domain.snapshot import Snapshot
from gitmodel.domain.urls import holds_credentials, is_local
from gitmodel.domain.views import view_models
from gitmodel.errors import Invalid, UsageError
from gitmodel.registry.store_access import TRUSTED, Access, NamedStore
from gitmodel.registry.writer import Writer, change_model
from gitmodel.stores.opening import open_store


def add_store(writer: Writer, access: Access, name: str, url: str) -> NamedStore:
    """Give the registry another store, which is made, and trusted on this machine.

    Raises Conflict, UsageError, Unreachable.
    """
    store = open_store(url, default_root=Path())
    store.create()
    writer.transact(lambda snapshot: planning.plan_store(snapshot, name, url))
    if not is_local(url):
        access.trust(url)
    return access.named(name)


def remove_store(writer: Writer, name: str) -> None:
    """Take a store from the registry; what is in it stays there. Raises NotFound, Refused if a model keeps to it."""
    writer.transact(lambda snapshot: planning.plan_store_removal(snapshot, name))


def use_store(writer: Writer, model: str | ModelRef, name: str) -> str:
    """Let new artifacts of *model* go to the store *name*; returns the model's present name. Raises NotFound."""
    return change_model(writer, model, lambda snapshot, known: planning.plan_use(snapshot, known, name))


def list_users(writer: Writer) -> dict[str, list[str]]:
    """The models that keep their artifacts in each store, by its name; damaged ones are passed over."""

    def question(snapshot: Snapshot) -> dict[str, list[str]]:
        users: dict[str, list[str]] = {}
        for view in view_models(snapshot):
            if not isinstance(view, Invalid):
                users.setdefault(view.record.store or DEFAULT, []).append(view.name)
        return users

    return writer.read(question)


def trust_store(access: Access, which: str = DEFAULT) -> NamedStore:
    """Trust a store by its name, or a URL (if it ends in `/`, all below). Raises NotFound, UsageError.

    Returns it as it is used from now on.
    """
    named = access.named(which) if ":" not in which else NamedStore("", which, f"git config {TRUSTED}")
    if holds_credentials(named.url):
        raise UsageError("the URL holds credentials", hint="leave them out; they are taken from the environment")
    if named.url and not is_local(named.url) and not access.is_trusted(named.url):
        access.trust(named.url)
    return replace(named, trusted=True)


def distrust_store(access: Access, which: str = DEFAULT) -> bool:
    """Take trust back, by name or URL. Returns False if it was not given in this clone."""
    return access.distrust(which if ":" in which else access.named(which).url)
