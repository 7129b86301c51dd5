"""Creating a registry or adopting the registry of a remote, setting its store, and listing settings in effect."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from gitmodel.branch.opening import checked_branch, configured_registry, open_repository
from gitmodel.branch.remotes import choose_remote
from gitmodel.branch.repository import Repository
from gitmodel.branch.transactions import transaction
from gitmodel.domain.addresses import Address, is_url
from gitmodel.domain.changes.planned_change import Change, registry_file
from gitmodel.domain.schema.registry_rules.registry_record import RegistryRecord
from gitmodel.domain.snapshots.snapshot import Snapshot
from gitmodel.domain.urls import is_local, shown_url
from gitmodel.errors import Conflict, NotFound, UsageError
from gitmodel.frozen import Frozen
from gitmodel.git.repositories.discovery import find_repository
from gitmodel.git.settings.configuration import write_setting
from gitmodel.registry.named_stores.store_access import trust
from gitmodel.registry.writing.transacting import transact
from gitmodel.stores.opening import open_store

SETTINGS = ("repo", "branch", "store", "remote", "executor")


class Beginning(Frozen):
    """The result of `begin`: *begun* is True if it created a registry; *adopted* is the remote with the adopted one."""

    begun: bool
    adopted: str = ""


class Setting(Frozen):
    """A setting in effect, and the *source* of its value."""

    key: str
    value: str
    source: str


def begin(repository: Repository, *, store: str = "", new: bool = False) -> Beginning:
    """If this repository has no registry, adopt the registry of a remote, or create one if no remote has a registry.

    Also creates, records and trusts the store at the URL *store* ("": none). If *new*, does not look for a registry at
    remotes, and raises Conflict if a remote had one when it was fetched last. Raises Unreachable if a remote cannot be
    contacted, UsageError for a bad URL.
    """
    if store:
        open_store(store, default_root=Path()).create()
        if not is_local(store):
            trust(repository, store)
    known = repository.writable_tip()
    if repository.reader.resolve(repository.branch) is not None:
        _record_store(repository, store)
        return Beginning(False)
    tracking = repository.tips.tracking_branch()
    if new and tracking:
        remote = tracking.split("/")[2]
        raise Conflict(
            f"{remote} has a registry already, so a second one could not be pushed to it",
            hint="adopt it with `git model init`, or name another branch: `git config gitmodel.branch NAME`",
        )
    found = known or (None if new else repository.latest())
    if not found:
        return Beginning(transaction.begin(repository, RegistryRecord(store=store or None)))
    transaction.adopt(repository, found)
    _record_store(repository, store)
    return Beginning(False, (repository.tips.tracking_branch() or "").split("/")[2])


def settings(repository: Repository, environ: Mapping[str, str], *, repo: str = "") -> list[Setting]:
    """Return the registry, branch, store, remote and executor in effect, each with the source of its value.

    *repo* is the path or URL of the registry that the caller named, or "".
    """
    recorded = None
    with suppress(NotFound):  # shown without a registry, too: the user may have to set another branch first
        recorded = repository.head().registry().require("store").store

    def find(key: str, default: str, recorded: str | None = None) -> Setting:
        variable, setting = f"GITMODEL_{key.upper()}", f"gitmodel.{key}"
        for value, source in (
            (environ.get(variable), variable),
            (repository.config.get(setting), f"git config {setting}"),
            (recorded, f"gitmodel.toml on {repository.branch}"),
        ):
            if value:
                return Setting(key, value, source)
        return Setting(key, default, "default")

    own_store = "" if repository.url else (repository.common_dir / "gitmodel" / "store").as_uri()
    store = find("store", own_store, recorded)
    return [
        Setting("repo", repository.url or str(repository.common_dir), _registry_source(environ, repo)),
        replace(find("branch", ""), value=repository.branch),
        replace(store, value=shown_url(store.value)),
        _remote(repository),
        find("executor", "in-order"),
    ]


def change_setting(repository: Repository, key: str, value: str) -> str:
    """Set `git config gitmodel.KEY` of *repository* to *value*, where *key* is one of SETTINGS. Return *value*.

    Raises UsageError for another key, an invalid value, or a URL with credentials, which would be stored; NotFound for
    a remote that does not exist.
    """
    if key not in SETTINGS:
        raise UsageError(f"{key!a} cannot be set", hint=f"set one of {', '.join(SETTINGS)}")
    if repository.url:
        raise UsageError(
            f"{repository.url} has no local settings",
            hint=f"set it for yourself: git config --global gitmodel.{key} VALUE; "
            "or for everyone: git model init --store",
        )
    if key == "store":
        open_store(value, default_root=Path()).create()
    elif key == "remote":
        choose_remote(repository, value)
    elif key == "branch":
        checked_branch(value)
    write_setting(repository.git, f"gitmodel.{key}", value)
    return value


def choose_registry(folder: Path, value: str, *, environ: Mapping[str, str], named: bool) -> str:
    """Set `git config gitmodel.repo` of the repository that contains *folder* to the path or URL *value*. Return it.

    For *named* see `find_repository`. Raises NotFound or UsageError if *value* is a path at which no registry can be,
    UsageError for a URL with credentials.
    """
    git = find_repository(folder, environ=environ, named=named).git
    git.refuse_read_only()
    if is_url(value) and not Path(value).exists():
        value = _url_to_keep(value)
    else:
        place = Path(value).expanduser().resolve()
        open_repository(place, environ=git.environ).close()
        value = str(place)
    write_setting(git, "gitmodel.repo", value)
    return value


def _remote(repository: Repository) -> Setting:
    if repository.url:
        return Setting("remote", "", "the registry is used by URL")
    try:
        chosen = choose_remote(repository)
    except NotFound as error:
        return Setting("remote", "", error.message)
    named = repository.config.get("gitmodel.remote")
    return Setting("remote", chosen, "git config gitmodel.remote" if named else "git remote")


def _url_to_keep(text: str) -> str:
    address = Address.parse(text)
    if address.has_secret:
        raise UsageError(
            "the URL holds credentials, which must not be stored in a setting",
            hint=f"write {address.shown}, and use a credential helper of git: git help credentials",
        )
    return text


def _record_store(repository: Repository, store: str) -> None:
    """Record *store* in the registry, unless it is "" or recorded already."""

    def plan(snapshot: Snapshot) -> Change[None]:
        new = replace(snapshot.registry(), store=store)
        files = registry_file(snapshot, new, new)
        return Change(None, subject=f"Keep artifacts in {store}", files=files)

    if store:
        transact(repository, plan)


def _registry_source(environ: Mapping[str, str], repo: str) -> str:
    if repo:
        return "--repo"
    if environ.get("GITMODEL_REPO"):
        return "GITMODEL_REPO"
    if configured_registry(Path(), environ=environ, named=False):
        return "git config gitmodel.repo"
    return "the repository you stand in"
