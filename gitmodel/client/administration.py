"""Functions that administer a registry, this clone of it and its stores.

Only the command line calls these functions; a program that serves models does not need them.

Each function imports the modules that it needs only when it is called, so that commands start fast.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar, cast

from gitmodel.errors import GitModelError, NotFound, UsageError

if TYPE_CHECKING:
    from gitmodel.client.client import Client
    from gitmodel.domain.pushed_refs import Update
    from gitmodel.domain.schema.object_ids import Oid
    from gitmodel.lineage.history.past_states import State
    from gitmodel.registry.health.doctor import Finding
    from gitmodel.registry.named_stores.copying import Copied
    from gitmodel.registry.named_stores.purging import Purged
    from gitmodel.registry.named_stores.store_access import NamedStore
    from gitmodel.registry.promotion.put_in_force import Merged
    from gitmodel.registry.setup import Beginning, Setting
    from gitmodel.stores.interface import ArtifactStore
    from gitmodel.teams.checks.range_checks import RangeCheck
    from gitmodel.teams.plans.planning import Plan
    from gitmodel.teams.sync.cloning import RemoteView
    from gitmodel.teams.sync.pushing import LeftOut

T = TypeVar("T")

_SAMPLE = 8  # the number of artifacts that `lacks_artifacts` looks for

# Setting up


def begin(client: Client, *, store: str, new: bool) -> Beginning:
    """Create a registry in the client's repository, or adopt the registry of a remote; see `registry.setup.begin`."""
    from gitmodel.registry import setup

    return setup.begin(client.repository, store=store, new=new)


def adopt(client: Client, url: str, *, new: bool) -> str:
    """Add the remote at *url* to git's settings and pull its registry. Return its name; "" if it has no registry.

    Raises UsageError if the client uses a registry by URL, or if *new* is True.
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


def clone(url: str, folder: str | None, *, environ: Mapping[str, str]) -> Path:
    """Clone the code and the registry at *url* into *folder*, and return the folder (default: the name in *url*).

    Raises UsageError if *folder* exists and is not empty, Unreachable if *url* cannot be cloned.
    """
    from gitmodel.teams.sync import cloning

    return cloning.clone(url, Path(folder) if folder else None, environ=environ)


def count_models(client: Client) -> int:
    """Return the number of models whose records can be read. Reads no versions and stages."""
    from gitmodel.registry.lists.model_views import count_models

    return count_models(client.writer)


def describe_remote(client: Client, name: str = "") -> RemoteView:
    """Return the remote *name* ("": the one that pulls and pushes use), without contacting it.

    Raises NotFound if there is no such remote.
    """
    from gitmodel.teams.sync import cloning

    return cloning.describe_remote(client.repository, name)


def list_settings(client: Client, environ: Mapping[str, str], *, repo: str) -> list[Setting]:
    """Return the settings in effect, each with the source of its value, such as an environment variable in *environ*.

    *repo* is the path or URL of the registry with which the client was opened, or "".
    """
    from gitmodel.registry import setup

    return setup.settings(client.repository, environ, repo=repo)


def change_setting(client: Client, key: str, value: str) -> str:
    """Set `git config gitmodel.KEY` of the registry's repository to *value*, and return *value*.

    Raises UsageError if gitmodel does not have the setting *key* or *value* is invalid for it.
    """
    from gitmodel.registry import setup

    return setup.change_setting(client.repository, key, value)


def choose_registry(folder: str, value: str, *, environ: Mapping[str, str]) -> str:
    """Set `git config gitmodel.repo` of the repository that contains *folder*, and return the value that was set.

    *value* is the path or URL of the registry that the folder will use.
    """
    from gitmodel.registry import setup

    return setup.choose_registry(Path(folder), value, environ=environ, named=folder != ".")


# The clone


def examine(client: Client) -> list[Finding]:
    """Return the problems of this clone, such as old locks, and of its default artifact store."""
    from gitmodel.registry.health import doctor

    store, faults = _find_store(client)
    found = doctor.examine(client.repository, store)
    return [*found, *(doctor.Finding("store", error.message, error.hint) for error in faults)]


def repair(client: Client) -> list[Finding]:
    """Fix those problems of this clone that can be fixed without loss, and return the fixed problems."""
    from gitmodel.registry.health import doctor

    return doctor.repair(client.repository, _find_store(client)[0])


def _find_store(client: Client) -> tuple[ArtifactStore | None, list[GitModelError]]:
    """Return the default artifact store, or None and the error why it cannot be used, such as missing trust."""
    try:
        return client.store, []
    except GitModelError as error:
        return None, [error]


def find_broken_tags(client: Client, model: str, stage: str) -> list[str]:
    """Return a sentence for each stage tag of *model* that does not agree with the branch.

    If *stage* is not "", only for the tag of this stage or alias.
    """
    from gitmodel.lineage.history.holdings import broken_tags

    return broken_tags(client.repository, model, stage)


def find_merged_tags(client: Client) -> list[Merged]:
    """Return the merge commits that plain git made on the branch and that brought in commits with stage tags."""
    from gitmodel.registry.promotion.put_in_force import merged_tags

    return merged_tags(client.repository)


def is_cut_off(client: Client, plan: Plan) -> bool:
    """Return True if this clone is shallow and lacks the history before the base or head commit of *plan*."""
    if not client.repository.shallow:
        return False
    from gitmodel.branch.history.first_parents import shallow_edge

    return not shallow_edge(client.repository).isdisjoint((plan.base, plan.head))


def find_state(client: Client, moment: str) -> State:
    """Return the state of the metadata branch at *moment*: a date, a time or a commit.

    Raises NotFound if the branch had no commit then, or never had this commit.
    """
    from gitmodel.lineage.history.past_states import find_state

    return find_state(client.repository, moment)


def list_checked_commits(client: Client) -> list[Oid]:
    """Return the commits that `Client.check` examines if it is called without a commit."""
    from gitmodel.teams.checks.commit_ranges import current_states

    return current_states(client.repository)


def list_finding_kinds() -> tuple[str, ...]:
    """Return the kinds of problems that `examine` finds."""
    from gitmodel.registry.health.doctor import ABOUTS

    return ABOUTS


def list_rules() -> tuple[str, ...]:
    """Return the names of the rules by which gitmodel checks a whole branch, and of those for a change of it."""
    from gitmodel.domain.rules import change_rules, invariants

    return (*invariants.RULES, *change_rules.RULES)


def judge_push(client: Client, updates: Iterable[Update], *, force: bool) -> RangeCheck:
    """Return the problems of a push to this repository that would move refs as *updates* says.

    If *force* is True, leaves out the problems that a person may override.
    """
    from gitmodel.teams.checks import received_pushes

    return received_pushes.judge_push(client.repository, updates, force=force)


# Stores


def list_store_users(client: Client) -> dict[str, list[str]]:
    """Return the names of the models that use each named store, by the name of the store."""
    from gitmodel.registry.named_stores import stores

    return stores.list_users(client.writer)


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


def plan_purge(client: Client, digest: str) -> Purged:
    """Return the effects that a purge of the artifact *digest* would have. Changes nothing.

    Raises NotFound if no record names *digest*, UsageError if it is not a digest, Unreachable if a store cannot be
    reached.
    """
    from gitmodel.registry.named_stores.store_maintenance import plan_purge

    return plan_purge(client.writer, client.access, digest)


def check_copied(done: Copied) -> None:
    """Raise Invalid if *done* says that some objects could not be copied.

    The error names the first of these objects.
    """
    from gitmodel.registry.named_stores.copying import check_copied

    check_copied(done)


# Changes that a pull left out


def done_or_left_out(call: Callable[[], T]) -> tuple[T, LeftOut | None]:
    """Call *call*, which pushes or applies changes. Return its result, and the error LeftOut if it raised that.

    LeftOut means that *call* succeeded, but a pull before it could not keep some local changes.
    """
    from gitmodel.teams.sync.pushing import LeftOut

    try:
        return call(), None
    except LeftOut as error:
        return cast("T", error.done), error


def hint_of_left_out(commit: Oid | None) -> str:
    """Return the hint that says how to find the local changes that a pull left out.

    *commit* is the newest commit of the local branch before the pull.
    """
    from gitmodel.teams.sync.pulling import had_before

    return had_before(commit)
