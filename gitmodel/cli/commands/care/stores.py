"""Commands on artifact stores: list, add, remove, use, trust."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from gitmodel.cli import options
from gitmodel.cli.commands.care.store_maintenance import copy, gc, purge, status
from gitmodel.cli.commands.start.setup import url_of
from gitmodel.cli.invocation import Invocation, LazyGroup, command
from gitmodel.cli.shapes import care_shapes as shapes
from gitmodel.client import administration
from gitmodel.domain.urls import is_local, is_web, shown_url
from gitmodel.domain.views import cell_text

if TYPE_CHECKING:
    from gitmodel.client.values import NamedStore


@click.group(cls=LazyGroup)
def store() -> None:
    """Manage artifact stores."""


@command("list", example="git model store list")
def list_stores(invocation: Invocation) -> None:
    """List the artifact stores of the registry.

    The list has the URLs that this machine uses, where they are configured, and whether this machine may use its
    credentials there.
    """
    client = invocation.client
    users = administration.list_users(client.writer)
    invocation.output.listing(
        client.list_stores(),
        shapes.STORE,
        fields=lambda found: _fields(invocation, found, users),
        name=lambda found: found.name,
        columns=(
            ("STORE", lambda found: found.name),
            ("URL", lambda found: _url(invocation, found)),
            ("SET BY", lambda found: found.source),
            ("", _remarks),
            ("MODELS", lambda found: cell_text.commas(users.get(found.name, ()))),
        ),
        empty="",
    )


@command("add", example="git model store add archive file:///tmp/archive")
@click.argument("name")
@click.argument("url")
def add(invocation: Invocation, name: str, url: str) -> None:
    """Add an artifact store to the registry.

    The store is created if possible, recorded in gitmodel.toml for everyone, and trusted on this machine. `git model
    store use MODEL NAME` makes a model use it.
    """
    added = invocation.client.add_store(name, url_of(url))
    _print(invocation, added, f"added the store {name} at {_url(invocation, added)}")


@command("remove", example="git model store remove archive --yes")
@click.argument("name")
@options.yes
def remove(invocation: Invocation, name: str, yes: bool) -> None:
    """Remove an artifact store from the registry, but keep its content."""
    removed = invocation.client.access.named(name)
    options.confirm(invocation, f"Remove the store {name} from the registry?", yes=yes)
    invocation.client.remove_store(name)
    _print(invocation, removed, f"removed the store {name}; what is in {_url(invocation, removed)} is still there")


@command("use", example="git model store use iris archive")
@options.model
@click.argument("name")
@options.renumbered
def use(invocation: Invocation, model: str, name: str, renumbered: bool) -> None:
    """Store new artifacts of MODEL in the store NAME.

    The name `default` selects the default store. Existing artifacts stay where they are and can still be read.
    """
    invocation.client.use_store(model, name, renumbered=renumbered)
    _print(invocation, invocation.client.access.named(name), f"new artifacts of {model} are kept in {name} now")


@command("trust", example="git model store trust default")
@click.argument("which", default="default", metavar="[NAME | URL]")
@click.option("--remove", "take_back", is_flag=True, help="Remove trust that was given in this clone.")
def trust(invocation: Invocation, which: str, take_back: bool) -> None:
    """Allow this machine to use its credentials for an artifact store.

    Give the name of the store or a URL; a URL that ends in / covers everything below it. Hosts of external artifacts
    are trusted in the same way: git model store trust https://host/. Every person who can push to the branch can change
    the URL, so gitmodel uses a new URL only after you trust it in this clone. URLs that you named yourself on this
    machine are trusted, and folders need no trust.
    """
    if take_back:
        named = administration.distrust_store(invocation.client, which)
        _print(invocation, named, f"{which} is not trusted any more")
        return
    trusted = invocation.client.trust_store(which)
    said = f"this clone trusts {shown_url(trusted.url)} now, and uses your credentials there"
    if is_web(trusted.url):
        said = f"this clone reads from {shown_url(trusted.url)} now"
    if is_local(trusted.url):
        said = f"{_url(invocation, trusted)} is a folder, which needs no credentials: nothing was changed"
    _print(invocation, trusted, said)


def _print(invocation: Invocation, named: NamedStore, said: str) -> None:
    users = administration.list_users(invocation.client.writer)
    invocation.output.outcome(said, shapes.STORE, _fields(invocation, named, users), name=named.name or named.url)


def _fields(invocation: Invocation, found: NamedStore, users: Mapping[str, list[str]]) -> dict[str, Any]:
    return shapes.STORE.of(found, url=_url(invocation, found), models=users.get(found.name, []))


def _url(invocation: Invocation, found: NamedStore) -> str:
    return shown_url(found.url) if found.url else invocation.client.store_root.as_uri()


def _remarks(found: NamedStore) -> str:
    remarks = [] if found.trusted else ["not trusted"]
    return cell_text.commas([*remarks, *(["read-only"] if found.read_only else [])])


for _verb in (list_stores, add, remove, use, trust, status, copy, gc, purge):
    store.add_command(_verb)
