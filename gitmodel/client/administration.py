"""Functions with which commands administer a registry, this clone of it and its stores.

A program that serves models does not need them. Most are defined in other modules and can be imported from here, too:
each is imported when a command uses it, so that commands start fast.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeVar, cast

from gitmodel.errors import GitModelError, NotFound, UsageError

if TYPE_CHECKING:
    from gitmodel.client.client import Client
    from gitmodel.lineage.history.holdings import broken_tags as broken_tags
    from gitmodel.lineage.history.past_states import find_state as find_state
    from gitmodel.registry.health.doctor import ABOUTS as ABOUTS
    from gitmodel.registry.health.doctor import Finding
    from gitmodel.registry.lists.model_views import count_models as count_models
    from gitmodel.registry.named_stores.copying import check_copied as check_copied
    from gitmodel.registry.named_stores.purging import plan_purge as plan_purge
    from gitmodel.registry.named_stores.store_access import NamedStore
    from gitmodel.registry.named_stores.stores import list_users as list_users
    from gitmodel.registry.promotion.put_in_force import merged_tags as merged_tags
    from gitmodel.registry.setup import begin as begin
    from gitmodel.registry.setup import change_setting as change_setting
    from gitmodel.registry.setup import choose_registry as choose_registry
    from gitmodel.registry.setup import settings as settings
    from gitmodel.stores.interface import ArtifactStore
    from gitmodel.teams.checks.commit_ranges import current_states as current_states
    from gitmodel.teams.checks.received_pushes import judge_push as judge_push
    from gitmodel.teams.plans.planning import Plan
    from gitmodel.teams.sync.cloning import clone as clone
    from gitmodel.teams.sync.cloning import describe_remote as describe_remote
    from gitmodel.teams.sync.pulling import had_before as had_before
    from gitmodel.teams.sync.pushing import LeftOut

T = TypeVar("T")

# The modules of the names above that are imported on first use.
_HOMES = {
    "lineage.history.holdings": ("broken_tags",),
    "lineage.history.past_states": ("find_state",),
    "registry.health.doctor": ("ABOUTS",),
    "registry.lists.model_views": ("count_models",),
    "registry.named_stores.copying": ("check_copied",),
    "registry.named_stores.purging": ("plan_purge",),
    "registry.named_stores.stores": ("list_users",),
    "registry.promotion.put_in_force": ("merged_tags",),
    "registry.setup": ("begin", "change_setting", "choose_registry", "settings"),
    "teams.checks.commit_ranges": ("current_states",),
    "teams.checks.received_pushes": ("judge_push",),
    "teams.sync.cloning": ("clone", "describe_remote"),
    "teams.sync.pulling": ("had_before",),
}
_SAMPLE = 8  # the number of artifacts that `lacks_artifacts` looks for


def __getattr__(name: str) -> Any:
    import importlib

    for home, names in _HOMES.items():
        if name in names:
            return getattr(importlib.import_module(f"gitmodel.{home}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def adopt(client: Client, url: str, *, new: bool) -> str:
    """Add the remote at *url* to git's settings and pull its registry. Return the remote's name.

    Returns "" if the remote has no registry. Raises UsageError if the client uses a registry by URL, or if *new*, the
    value of the option `--new`, is True, because `--new` forbids to adopt the registry of a remote.
    """
    from gitmodel.teams.sync import cloning

    if client.repository.url:
        raise UsageError(
            f"the registry is {client.repository.url} itself",
            hint="--from is for a repository of your own: leave --repo out",
        )
    if new:
        raise UsageError("--from and --new cannot be combined", hint="leave one of them out")
    name = cloning.connect(client.repository, url)
    return name if client.pull(name).tip else ""


def examine(client: Client) -> list[Finding]:
    """Return the problems of this clone, such as old locks, and of its default artifact store."""
    from gitmodel.registry.health import doctor

    store, error = _find_store(client)
    found = doctor.examine(client.repository, store)
    return found if error is None else [*found, doctor.Finding("store", error.message, error.hint)]


def repair(client: Client) -> list[Finding]:
    """Fix those problems of this clone that can be fixed without loss, and return the fixed problems."""
    from gitmodel.registry.health import doctor

    return doctor.repair(client.repository, _find_store(client)[0])


def _find_store(client: Client) -> tuple[ArtifactStore | None, GitModelError | None]:
    """Return the default artifact store, or None and the error why it cannot be used, such as missing trust."""
    try:
        return client.store, None
    except GitModelError as error:
        return None, error


def is_cut_off(client: Client, plan: Plan) -> bool:
    """Return True if this clone is shallow and lacks the history before the base or head commit of *plan*."""
    if not client.repository.shallow:
        return False
    from gitmodel.branch.history.first_parents import shallow_edge

    return not shallow_edge(client.repository).isdisjoint((plan.base, plan.head))


def distrust_store(client: Client, which: str) -> NamedStore:
    """Remove the trust of this clone in the store with the name or URL *which*, and return the store.

    Raises NotFound if this clone did not trust the store.
    """
    from gitmodel.registry.named_stores import stores
    from gitmodel.registry.named_stores.store_access import NamedStore

    if not stores.distrust_store(client.access, which):
        raise NotFound(
            f"{which!a} was not trusted in this clone",
            hint="`git config --get-all gitmodel.trustedStore` shows the trusted URLs",
        )
    return client.access.named(which) if ":" not in which else NamedStore("", which, "", trusted=False)


def lacks_artifacts(client: Client) -> bool:
    """Return True if the default store lacks artifacts that the folder of artifacts in this clone has.

    Looks for only a few artifacts of the folder, so it may return False although the store lacks others.
    """
    from gitmodel.stores.local_store import LocalStore

    sample = islice(LocalStore(client.store_root).digests(), _SAMPLE)
    return any(not client.store.origin.holds(digest) for digest in sample)


def done_or_left_out(call: Callable[[], T]) -> tuple[T, LeftOut | None]:
    """Call *call*, which pushes or applies changes. Return its result, and the error LeftOut if it raised that error.

    LeftOut means that *call* succeeded, but a pull within *call* could not keep some local changes.
    """
    from gitmodel.teams.sync.pushing import LeftOut

    try:
        return call(), None
    except LeftOut as error:
        return cast("T", error.done), error
