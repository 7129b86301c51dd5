"""Commands on artifact stores: list, add, remove, use, trust, status, copy, gc, purge."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from gitmodel.cli import options
from gitmodel.cli.commands.start.setup import url_of
from gitmodel.cli.invocation import Invocation, LazyGroup, command
from gitmodel.cli.shapes import care_shapes as shapes
from gitmodel.client import administration
from gitmodel.domain.urls import is_local, is_web, shown_url
from gitmodel.domain.views import cell_text
from gitmodel.domain.views.cell_text import count

if TYPE_CHECKING:
    from gitmodel.client.values import Garbage, Inventory, Missing, ModelState, NamedStore, Purged, StoreState

MOST_SHOWN = 20
jobs = click.option(
    "-j", "--jobs", type=click.IntRange(1), default=8, metavar="N", help="Number of objects copied in parallel."
)


@click.group(cls=LazyGroup)
def store() -> None:
    """Manage artifact stores."""


@command("list", group=store, example="git model store list")
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


@command("add", group=store, example="git model store add archive file:///tmp/archive")
@click.argument("name")
@click.argument("url")
def add(invocation: Invocation, name: str, url: str) -> None:
    """Add an artifact store to the registry.

    The store is created if possible, recorded in gitmodel.toml for everyone, and trusted on this machine. `git model
    store use MODEL NAME` makes a model use it.
    """
    added = invocation.client.add_store(name, url_of(url))
    _print(invocation, added, f"added the store {name} at {_url(invocation, added)}")


@command("remove", group=store, example="git model store remove archive --yes")
@click.argument("name")
@options.yes
def remove(invocation: Invocation, name: str, yes: bool) -> None:
    """Remove an artifact store from the registry, but keep its content."""
    removed = invocation.client.access.named(name)
    options.confirm(invocation, f"Remove the store {name} from the registry?", yes=yes)
    invocation.client.remove_store(name)
    _print(invocation, removed, f"removed the store {name}; what is in {_url(invocation, removed)} is still there")


@command("use", group=store, example="git model store use iris archive")
@options.model
@click.argument("name")
@options.renumbered
def use(invocation: Invocation, model: str, name: str, renumbered: bool) -> None:
    """Store new artifacts of MODEL in the store NAME.

    The name `default` selects the default store. Existing artifacts stay where they are and can still be read.
    """
    invocation.client.use_store(model, name, renumbered=renumbered)
    _print(invocation, invocation.client.access.named(name), f"new artifacts of {model} are kept in {name} now")


@command("trust", group=store, example="git model store trust default")
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


@command(group=store, example="git model store status")
def status(invocation: Invocation) -> None:
    """Show which artifacts are in which stores, and which are missing.

    Each store is listed once, and only the manifests of folders are read; `git model verify` reads everything. "clone"
    is the store inside the clone: copies, and artifacts that were not pushed yet.
    """
    found = invocation.client.store_status()
    invocation.output.single(
        shapes.STORE_STATUS,
        asdict(found),
        name=cell_text.commas(store.name for store in found.stores),
        lines=_lines(found),
    )


@command(group=store, example="git model store copy --to file:///tmp/models")
@click.option("--to", "target", required=True, metavar="URL", help="The store to copy to, by URL, path or name.")
@click.option(
    "--from", "source", default="default", metavar="NAME", help="Store to copy. Default: the registry's default store."
)
@click.option("--repair", is_flag=True, help="Also verify objects that are already there, and replace damaged ones.")
@jobs
def copy(invocation: Invocation, target: str, source: str, repair: bool, jobs: int) -> None:
    """Copy all objects of a store to another store.

    Objects are verified while they are read and written, and counted at the end. Objects that the target already has
    are not copied again, so you can run the command at any time. Run it a last time when nobody writes. Then name the
    new store with git model init --store URL.
    """
    with invocation.output.progress("copying") as progress:
        done = invocation.client.copy_store(
            url_of(target) if "/" in target else target, source=source, repair=repair, jobs=jobs, progress=progress
        )
    said = f"copied {count(done.copied, 'object')} ({cell_text.size(done.size)}) to {done.target}"
    said += f"; {done.there} were there" if done.there else ""
    invocation.output.outcome(said, shapes.COPIED, asdict(done), name=done.target)
    administration.check_copied(done)


@command(group=store, example="git model store gc")
@click.argument("store", default="default", metavar="[STORE]")
@click.option("--delete", "delete", is_flag=True, help="Delete what was found instead of only listing it.")
@click.option(
    "--grace", "days", type=click.FloatRange(0), default=14.0, metavar="DAYS", help="Keep objects younger than DAYS."
)
@click.option("--also", multiple=True, metavar="PATH", help="Another registry that keeps artifacts in the store.")
@options.yes
def gc(invocation: Invocation, store: str, delete: bool, days: float, also: tuple[str, ...], yes: bool) -> None:
    """List, or with --delete delete, the objects that nothing needs.

    The command keeps objects that a version, run, stage tag or active run needs, locally, on the remote and in
    proposals, and objects stored in the last 14 days. Purged objects and unfinished uploads are not kept. If another
    registry shares the store, name it with --also, because this registry does not know which objects the other one
    needs.
    """
    client = invocation.client
    found = client.find_garbage(store, grace_days=days, also=also)
    if delete and (found.objects or found.leftovers):
        question = f"Remove {_found(found)} from {found.store} for good?"
        options.confirm(invocation, question, yes=yes)
        found = client.remove_garbage(store, grace_days=days, also=also)
    said = f"{'removed' if delete else 'would remove'} {_found(found)} from {found.store}"
    said += f"; {found.needed} needed, {found.recent} recent"
    counts = {"leftovers": len(found.leftovers), "purged": len(found.purged)}
    fields = shapes.GARBAGE.of(found, digests=[one.digest for one in found.objects], removed=delete, **counts)
    invocation.output.outcome(said, shapes.GARBAGE, fields, name=found.store)
    if not delete and (found.objects or found.leftovers):
        named = "" if store == "default" else f" {store}"
        invocation.output.note(f"to remove it: git model store gc{named} --delete")


@command(group=store, example='git model store purge sha256:DIGEST --reason "request for erasure of 2026-11-20" --yes')
@click.argument("digest")
@options.reason
@options.yes
def purge(invocation: Invocation, digest: str, reason: str, yes: bool) -> None:
    """Erase the bytes of an artifact permanently and record a tombstone.

    The tombstone is a record on the metadata branch: the digest, the time and the reason. Versions still list the
    artifact; verify accepts that it is gone, and shows the reason. Purging a folder also deletes those of its files
    that nothing else needs. In a shared store, the bytes are deleted only after the tombstone is on the remote: push
    it, or have it reviewed, and run the command again. Other clones delete their copies with git model store gc clone
    --delete.
    """
    client = invocation.client
    plan = administration.plan_purge(client.writer, client.access, digest)
    needed = (
        f", which {cell_text.commas(plan.versions[:5])} need{'s' if len(plan.versions) == 1 else ''},"
        if plan.versions
        else ""
    )
    options.confirm(invocation, f"Erase {count(len(plan.digests), 'object')}{needed} for good?", yes=yes)
    done = client.purge(digest, reason=reason)
    invocation.output.outcome(_purged(done), shapes.PURGED, asdict(done), name=digest)


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


def _lines(found: Inventory) -> list[tuple[str, str]]:
    missing = [_missing(one) for one in found.missing[:MOST_SHOWN]]
    more = len(found.missing) - MOST_SHOWN
    return [
        ("Stores", "\n".join(map(_store, found.stores))),
        ("Models", "\n".join(map(_model, found.models)) or "no version has artifacts"),
        ("Missing", "\n".join([*missing, *([f"and {more} more"] if more > 0 else [])])),
        ("Damaged", "\n".join(found.damaged[:MOST_SHOWN])),
    ]


def _store(state: StoreState) -> str:
    has = state.error or f"{count(state.objects, 'object')}, {cell_text.size(state.size)}"
    return f"{state.name}  {state.url}  {has}"


def _model(state: ModelState) -> str:
    parts = [f"{number} in {name}" for name, number in state.where.items()]
    for word in ("missing", "unknown", "external", "purged"):
        number = getattr(state, word)
        parts += [f"{number} {word}"] if number else []
    return (
        f"{state.model}  {count(state.artifacts, 'artifact')}, {cell_text.size(state.size)}: {cell_text.commas(parts)}"
    )


def _missing(one: Missing) -> str:
    files = f"{one.files} files of " if one.files > 1 else ""
    return f"{files}{one.artifact} of {cell_text.commas(one.versions[:5])}  {one.digest}"


def _found(found: Garbage) -> str:
    uploads = f" and {count(len(found.leftovers), 'upload')} that did not end" if found.leftovers else ""
    purged = f", {len(found.purged)} of them purged" if found.purged else ""
    return f"{count(len(found.objects), 'object')}{uploads} ({cell_text.size(found.size)}{purged})"


def _purged(done: Purged) -> str:
    objects = count(len(done.digests), "object")
    if done.pending:
        return (
            f"recorded the tombstone of {objects}; nothing is deleted yet\n"
            "next: git model push, then run this command again to delete the bytes"
        )
    where = f" from {cell_text.commas(done.removed)}" if done.removed else ": no store had it"
    kept = (
        f"\n{count(len(done.kept), 'file')} of the folder kept, because other artifacts need them" if done.kept else ""
    )
    return f"purged {objects}{where}{kept}"
