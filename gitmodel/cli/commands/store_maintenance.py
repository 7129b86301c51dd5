"""Commands that look after artifact stores: status, copy, gc, purge."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from gitmodel.cli import cell_text, options, shapes
from gitmodel.cli.commands.setup import url_of
from gitmodel.cli.invocation import Invocation, command

if TYPE_CHECKING:
    from gitmodel.registry.garbage import Garbage
    from gitmodel.registry.inventory import Inventory, Missing, ModelState, StoreState
    from gitmodel.registry.purging import Purged

MOST_SHOWN = 20
jobs = click.option(
    "-j", "--jobs", type=click.IntRange(1), default=8, metavar="N", help="Number of objects copied in parallel."
)


@command(example="git model store status")
@click.pass_obj
def status(invocation: Invocation) -> None:
    """Say what is where: what versions need, in which stores it is, and what is in none.

    Each store is listed once, and nothing is read but the manifests of folders; git model verify reads the rest.
    "clone" is the store inside the clone: copies of what is elsewhere, and what was not pushed yet.
    """
    found = invocation.client.store_status()
    invocation.output.thing(
        shapes.STORE_STATUS,
        asdict(found),
        name=cell_text.words(store.name for store in found.stores),
        lines=_lines(found),
    )


@command(example="git model store copy --to file:///tmp/models")
@click.option("--to", "target", required=True, metavar="URL", help="The store to copy to, by URL, path or name.")
@click.option(
    "--from", "source", default="default", metavar="NAME", help="Store to copy. Default: the registry's default store."
)
@click.option("--mend", is_flag=True, help="Also verify objects that are already there, and replace damaged ones.")
@jobs
@click.pass_obj
def copy(invocation: Invocation, target: str, source: str, mend: bool, jobs: int) -> None:
    """Copy all that a store has to another store.

    Everything is verified as it is read and as it is written, and counted at the end. What is there already is not
    copied again: run it as often as you like, and once more when nobody writes. Then name the new store with git model
    init --store URL.
    """
    from gitmodel.registry.copying import check_copied

    with invocation.output.progress("copying") as progress:
        done = invocation.client.copy_store(
            url_of(target) if "/" in target else target, source=source, mend=mend, jobs=jobs, progress=progress
        )
    said = f"copied {_count(done.copied, 'object')} ({cell_text.size(done.size)}) to {done.target}"
    said += f"; {done.there} were there" if done.there else ""
    invocation.output.outcome(said, shapes.COPIED, asdict(done), name=done.target)
    check_copied(done)


@command(example="git model store gc")
@click.argument("store", default="default", metavar="[STORE]")
@click.option("--delete", "delete", is_flag=True, help="Delete what was found instead of only listing it.")
@click.option(
    "--grace", "days", type=click.FloatRange(0), default=14.0, metavar="DAYS", help="Keep objects younger than DAYS."
)
@click.option("--also", multiple=True, metavar="PATH", help="Another registry that keeps artifacts in the store.")
@options.yes
@click.pass_obj
def gc(invocation: Invocation, store: str, delete: bool, days: float, also: tuple[str, ...], yes: bool) -> None:
    """Find what nothing needs in a store; with --delete, remove it.

    It keeps what any version, run, stage tag or open run needs, here, on the remote and in proposals, and what was
    stored in the last 14 days. It removes what was purged, and uploads that did not end. A registry that shares the
    store must be named with --also: from here nobody sees what it needs.
    """
    client = invocation.client
    found = client.find_garbage(store, grace_days=days, also=also)
    if delete and (found.objects or found.leftovers):
        question = f"Remove {_found(found)} from {found.store} for good?"
        options.confirm(invocation, question, yes=yes)
        found = client.remove_garbage(store, grace_days=days, also=also)
    said = f"{'removed' if delete else 'would remove'} {_found(found)} from {found.store}"
    said += f"; {found.needed} needed, {found.recent} recent"
    invocation.output.outcome(said, shapes.GARBAGE, _garbage(found, delete), name=found.store)
    if not delete and (found.objects or found.leftovers):
        named = "" if store == "default" else f" {store}"
        invocation.output.note(f"to remove it: git model store gc{named} --delete")


@command(example='git model store purge sha256:DIGEST --reason "request for erasure of 2026-11-20" --yes')
@click.argument("digest")
@options.reason
@options.yes
@click.pass_obj
def purge(invocation: Invocation, digest: str, reason: str, yes: bool) -> None:
    """Erase the bytes of an artifact for good, leaving a tombstone.

    The tombstone is a record on the metadata branch: the digest, the time and the reason. Versions go on naming the
    artifact; verify accepts that it is gone, and says why. Of a folder, the files that nothing else needs go too. Where
    others reach the store, the bytes go only when the tombstone is on the remote: push it, or have it reviewed, and run
    the command again. Other clones drop their copies with git model store gc clone --delete.
    """
    from gitmodel.registry.store_maintenance import plan_purge

    client = invocation.client
    plan = plan_purge(client.writer, client.access, digest)
    needed = (
        f", which {cell_text.words(plan.versions[:5])} need{'s' if len(plan.versions) == 1 else ''},"
        if plan.versions
        else ""
    )
    options.confirm(invocation, f"Erase {_count(len(plan.digests), 'object')}{needed} for good?", yes=yes)
    done = client.purge(digest, reason=reason)
    invocation.output.outcome(_purged(done), shapes.PURGED, asdict(done), name=digest)


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
    has = state.error or f"{_count(state.objects, 'object')}, {cell_text.size(state.size)}"
    return f"{state.name}  {state.url}  {has}"


def _model(state: ModelState) -> str:
    parts = [f"{count} in {name}" for name, count in state.where.items()]
    for word in ("missing", "unknown", "external", "purged"):
        count = getattr(state, word)
        parts += [f"{count} {word}"] if count else []
    return (
        f"{state.model}  {_count(state.artifacts, 'artifact')}, {cell_text.size(state.size)}: {cell_text.words(parts)}"
    )


def _missing(one: Missing) -> str:
    files = f"{one.files} files of " if one.files > 1 else ""
    return f"{files}{one.artifact} of {cell_text.words(one.versions[:5])}  {one.digest}"


def _found(found: Garbage) -> str:
    uploads = f" and {_count(len(found.leftovers), 'upload')} that did not end" if found.leftovers else ""
    purged = f", {len(found.purged)} of them purged" if found.purged else ""
    return f"{_count(len(found.objects), 'object')}{uploads} ({cell_text.size(found.size)}{purged})"


def _garbage(found: Garbage, removed: bool) -> dict[str, Any]:
    return {
        "store": found.store,
        "digests": [one.digest for one in found.objects],
        "leftovers": len(found.leftovers),
        "size": found.size,
        "purged": len(found.purged),
        "needed": found.needed,
        "recent": found.recent,
        "removed": removed,
    }


def _purged(done: Purged) -> str:
    objects = _count(len(done.digests), "object")
    if done.pending:
        return (
            f"recorded that {objects} {'is' if len(done.digests) == 1 else 'are'} purged; the bytes are still there\n"
            "next: git model push, and when it is on the remote the same command again"
        )
    where = f" from {cell_text.words(done.removed)}" if done.removed else ": no store had it"
    kept = f"\n{_count(len(done.kept), 'file')} of it stay, since other artifacts need them" if done.kept else ""
    return f"purged {objects}{where}{kept}"


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"
