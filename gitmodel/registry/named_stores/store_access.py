"""Opening the artifact stores of a registry from this machine: by name, with overridden URLs, and only if trusted."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

from gitmodel.branch.repository import Repository
from gitmodel.domain.changes.purging import purges
from gitmodel.domain.changes.stores import CLONE, DEFAULT, KEYS, check_store
from gitmodel.domain.schema import paths, records
from gitmodel.domain.schema.records import ArtifactLink
from gitmodel.domain.schema.registry_rules.registry_record import RegistryRecord
from gitmodel.domain.snapshots.snapshot import Snapshot
from gitmodel.domain.urls import covers, holds_credentials, is_local, is_web, place_of, shown_url
from gitmodel.errors import Invalid, Refused, Unreachable
from gitmodel.frozen import Frozen
from gitmodel.git.running.process import NAME_ONE
from gitmodel.git.settings.configuration import add_value, read_values, remove_value
from gitmodel.stores.external.external_store import ExternalStore, trust_line
from gitmodel.stores.interface import ArtifactStore
from gitmodel.stores.opening import open_store
from gitmodel.stores.several_stores import ReadOnlyStore, SeveralStores, WithoutPurged

TRUSTED = "gitmodel.trustedStore"
_YES = frozenset({"1", "true", "yes", "on"})


class NamedStore(Frozen):
    """A store of the registry: its *name*, such as "default", its *url* on this machine, and the *source* of this URL.

    gitmodel opens the store only if *trusted* is True: if somebody set its URL on this machine, if it is a folder, or
    if the user trusted it.
    """

    name: str
    url: str
    source: str
    trusted: bool = True
    read_only: bool = False


class StorePlace(Frozen):
    """The place from which another process reads an artifact: a store at *urls*, or the external artifact *external*.

    A web server may redirect the request for an external artifact to URLs that are *trusted*.
    """

    urls: tuple[str, ...]
    external: ArtifactLink | None = None
    trusted: tuple[str, ...] = ()


class Access:
    """Opens the stores of a registry, and knows which of their URLs this machine trusts.

    *given* is the URL that the caller chose for the default store, *root* the folder of the clone's own store.
    gitmodel opens the URL that an argument, a variable or git's configuration of this machine names, and every folder.
    Any other URL is named only by the branch, and the user must trust it first: otherwise anybody who can push to the
    branch could redirect uploads to a server of their own, and obtain the credentials.
    """

    def __init__(self, repository: Repository, environ: Mapping[str, str], root: Path, given: str = "") -> None:
        self._repository = repository
        self._environ = environ
        self.root = root
        self._given = given
        self._opened: dict[tuple[str, bool], ArtifactStore] = {}

    def places(self) -> tuple[NamedStore, ...]:
        """Return all stores of the registry and, unless it is the default store, the clone's own store as "clone"."""
        stores = self.stores()
        own = not stores[0].url or stores[0].url == self.root.as_uri()
        return stores if own or self._repository.url else (*stores, self.named(CLONE))

    def stores(self) -> tuple[NamedStore, ...]:
        """Return all stores of the registry, the default store first."""
        return (self.named(DEFAULT), *map(self.named, self._registry().stores))

    def _registry(self) -> RegistryRecord:
        return self._repository.head().registry().require(*KEYS)

    def named(self, name: str = DEFAULT) -> NamedStore:
        """Return the store *name*. If there is none, raises NotFound, whose message lists the stores."""
        registry = self._registry()
        if name == CLONE:
            return NamedStore(CLONE, "", "every clone has it", read_only=self._read_only)
        if name != DEFAULT:
            check_store(registry, name)
        config = self._repository.config
        key = "gitmodel.store" if name == DEFAULT else f"gitmodel.{name}.store"
        recorded = (registry.store if name == DEFAULT else registry.stores[name]) or ""
        for url, source in (
            (self._given if name == DEFAULT else "", "Client(store=...)"),
            (self._environ.get("GITMODEL_STORE", "") if name == DEFAULT else "", "GITMODEL_STORE"),
            (config.get(key, ""), f"git config {key}"),
        ):
            if url:
                return NamedStore(name, url, source, read_only=self._read_only)
        source = f"gitmodel.toml on {self._repository.branch}" if recorded else "default"
        return NamedStore(name, recorded, source, not recorded or self.is_trusted(recorded), self._read_only)

    def is_trusted(self, url: str) -> bool:
        """Return True if this clone may use its credentials for *url*, which the branch names."""
        return is_local(url) or any(covers(entry, url) for entry in self.trusted())

    def trusted(self) -> list[str]:
        """Return the URLs that this machine trusts: stores, and prefixes that end in `/`."""
        return read_values(self._repository.git, TRUSTED)

    def trust(self, url: str) -> bool:
        """Let this clone use its credentials for *url*. Return False if this clone trusted it already."""
        return trust(self._repository, url)

    def distrust(self, url: str) -> bool:
        """Revoke the trust in *url* in this clone. Return False if this clone did not trust it."""
        if url not in read_values(self._repository.git, TRUSTED, local=True):
            return False
        remove_value(self._repository.git, TRUSTED, url)
        return True

    def open(self, name: str = DEFAULT) -> ArtifactStore:
        """Open the store *name*.

        Raises NotFound if there is no such store, UsageError if its URL is invalid, Refused if its URL is not trusted,
        Unreachable if the registry is used by URL and names no store.
        """
        found = self.named(name)
        if not found.trusted:
            which = "" if name == DEFAULT else f" {name}"
            raise Refused(
                f"the registry names the artifact store {shown_url(found.url)}, which this machine does not trust yet",
                hint="`git log -p gitmodel -- gitmodel.toml` shows who added it; "
                f"to trust it: git model store trust{which}",
            )
        if not found.url and self._repository.url:
            raise Unreachable(
                f"{self._repository.url} has no artifact store that others can reach",
                hint=f"name one: `git model --repo {shlex.quote(self._repository.url)} init --store URL` for everyone, "
                "GITMODEL_STORE=URL for yourself",
            )
        key = (found.url, found.read_only)
        if key not in self._opened:
            store = open_store(found.url, default_root=self.root)
            git = self._repository.git
            if found.read_only or git.read_only_reason:
                store = ReadOnlyStore(store, git.read_only_reason, git.read_only_hint or NAME_ONE)
            self._opened[key] = store
        return self._opened[key]

    def default(self) -> ArtifactStore:
        """Open the default store, and hide its purged artifacts. Raises the errors of `open`."""
        return self._without_purged(self.open())

    def of_model(self, model: str) -> ArtifactStore:
        """Return the store for new artifacts of *model*. Also reads from the other stores. Hides purged artifacts."""
        snapshot = self._repository.head()
        registry = snapshot.registry().require(*KEYS)
        if not registry.stores:
            return self.default()
        snapshot.model(snapshot.current_name(model))  # raises NotFound
        own = self._own(snapshot, model)
        others = [name for name in (DEFAULT, *registry.stores) if name != own]
        return self._without_purged(SeveralStores(self.open(own), [partial(self.open, name) for name in others]))

    def for_writing(self, model: str = "") -> ArtifactStore:
        """Open the store for new artifacts of *model*, which need not exist yet ("": the default store)."""
        return self.open(self._own(self._repository.head(), model) if model else DEFAULT)

    def everywhere(self) -> ArtifactStore:
        """Return a store that reads from every store that the registry names, the default store first."""
        names = self._registry().stores
        if not names:
            return self.default()
        return self._without_purged(SeveralStores(self.open(), [partial(self.open, name) for name in names]))

    def urls(self, model: str = "") -> list[str]:
        """Return the URLs of the stores that `of_model` uses; if *model* is "", of those that `everywhere` uses.

        Another process opens these URLs with `open_urls`. If *model* does not exist yet, its store is the default
        store. Raises the errors of `open`.
        """
        own = self._own(self._repository.head(), model) if model else DEFAULT
        self.open(own)
        others = [named for named in self.stores() if named.name != own and named.trusted]
        return [named.url for named in (self.named(own), *others)]

    def every(self) -> ArtifactStore:
        """Return a store that reads from all `places`, also purged artifacts, the default store first."""
        others = [named.name for named in self.places() if named.name != DEFAULT]
        return SeveralStores(self.open(), [partial(self.open, name) for name in others])

    def _without_purged(self, store: ArtifactStore) -> ArtifactStore:
        gone = purges(self._repository.head())
        return WithoutPurged(store, gone) if gone else store

    def source(self, model: str, link: ArtifactLink) -> ArtifactStore:
        """Return the store from which the artifact *link* of *model* is read. Raises Refused if it is not trusted."""
        if link.uri is None:
            return self.of_model(model)
        if not self.is_trusted(link.uri):
            raise Refused(
                f"{link.name} is at {shown_url(link.uri)}, which this machine does not trust yet",
                hint="run `git model check`: a URL in a record must not contain credentials"
                if holds_credentials(link.uri)
                else f"if you trust it, and gitmodel may use your credentials there: {trust_line(link.uri)}",
            )
        trusted = self.trusted() if is_web(link.uri) else ()
        return ExternalStore(link.uri, link.version_id or "", link.digest, link.size, trusted=trusted)

    def place(self, model: str, link: ArtifactLink) -> StorePlace | None:
        """Return the place from which another process reads the artifact *link*; None: the default store."""
        self.source(model, link)
        if link.uri is not None:
            return StorePlace((), link, tuple(self.trusted()) if is_web(link.uri) else ())
        return StorePlace(tuple(self.urls(model))) if self._registry().stores else None

    @staticmethod
    def _own(snapshot: Snapshot, model: str) -> str:
        """Return the name of the store of *model*."""
        record = snapshot.load(paths.model_file(snapshot.current_name(model)), records.ModelRecord)
        own = (record.store if record is not None else None) or DEFAULT
        if own not in (DEFAULT, *snapshot.registry().require(*KEYS).stores):
            raise Invalid(f"{model} keeps its artifacts in {own}, which is not a store", hint="run `git model check`")
        return own

    def trust_place(self, uri: str) -> None:
        """Trust the bucket or host of the external artifact at *uri*, which a person typed on this machine."""
        if not is_local(uri):
            self.trust(place_of(uri))

    @property
    def _read_only(self) -> bool:
        said = self._environ.get("GITMODEL_STORE_READ_ONLY") or self._repository.config.get(
            "gitmodel.storereadonly", ""
        )
        return said.lower() in _YES


def open_place(place: StorePlace | None, store: ArtifactStore, root: Path) -> ArtifactStore:
    """Open the store at *place* (None: return *store*). *root* is the folder of the clone's own store."""
    if place is None:
        return store
    if place.external is not None:
        link = place.external
        return ExternalStore(link.uri or "", link.version_id or "", link.digest, link.size, trusted=place.trusted)
    return open_urls(place.urls, root)


def open_urls(urls: Sequence[str], root: Path) -> ArtifactStore:
    """Open the stores that `Access.urls` returned as one store, which writes to the first of them."""
    first, *others = (partial(open_store, url, default_root=root) for url in urls)
    return SeveralStores(first(), others) if others else first()


def trust(repository: Repository, url: str) -> bool:
    """Let this clone use its credentials for *url* and, if *url* ends in `/`, for all URLs below it.

    Returns False if this clone trusted *url* already.
    """
    if any(covers(entry, url) for entry in read_values(repository.git, TRUSTED)):
        return False
    add_value(repository.git, TRUSTED, url)
    return True
