"""The methods of `Client` for artifact stores, and for what a machine trusts."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from gitmodel.branch.opening import open_repository
from gitmodel.client.methods.opened import OpenedClient, model_ref
from gitmodel.stores.transfer import JOBS, Progress, Transfer

if TYPE_CHECKING:
    from gitmodel.registry.named_stores.copying import Copied
    from gitmodel.registry.named_stores.garbage import Garbage
    from gitmodel.registry.named_stores.inventory import Inventory
    from gitmodel.registry.named_stores.purging import Purged
    from gitmodel.registry.named_stores.store_access import NamedStore


class StoreMethods(OpenedClient):
    """The methods of `Client` for artifact stores, and for what a machine trusts."""

    def list_stores(self) -> list[NamedStore]:
        """Return the artifact stores of the registry with the URLs that this machine uses, the default store first."""
        return list(self.access.stores())

    def add_store(self, name: str, url: str) -> NamedStore:
        """Add an artifact store to the registry, for models to use. Raises Conflict, UsageError, Unreachable."""
        from gitmodel.registry.named_stores import stores

        return stores.add_store(self.writer, self.access, name, url)

    def remove_store(self, name: str) -> None:
        """Remove a store from the registry; its content stays. Raises NotFound; Refused if a model uses the store."""
        from gitmodel.registry.named_stores import stores

        stores.remove_store(self.writer, name)

    def use_store(self, model: str, name: str, *, renumbered: bool = False) -> None:
        """Store new artifacts of *model* in the store *name*, or in the default store for "default". Raises NotFound.

        *renumbered* is as in `get_model`.
        """
        from gitmodel.registry.named_stores import stores

        stores.use_store(self.writer, model_ref(model, renumbered), name)

    def trust_store(self, which: str = "default") -> NamedStore:
        """Allow this machine to send credentials to a store, given by name or URL.

        A URL that ends in `/` covers all URLs below it.
        """
        from gitmodel.registry.named_stores import stores

        return stores.trust_store(self.access, which)

    def trust_names(self, *names: str) -> tuple[str, ...]:
        """Allow files of models to use these classes and functions when they are loaded on this machine.

        Give full names, such as "mypackage.models.Net". The error of `artifact.load()` lists the names that a file
        needs. Returns all names that this machine trusts. Raises UsageError for a name that is not a full name.

        >>> client.trust_names("mypackage.models.Net")  # doctest: +SKIP
        ('mypackage.models.Net',)
        """
        from gitmodel.registry.linked_artifacts import trusted_names

        trusted_names.trust_names(self.repository, names)
        return self._opened.trusted_names()

    def distrust_names(self, *names: str) -> tuple[str, ...]:
        """Undo `trust_names` in this clone, and return the names that this machine still trusts. Raises NotFound."""
        from gitmodel.registry.linked_artifacts import trusted_names

        trusted_names.distrust_names(self.repository, names)
        return self._opened.trusted_names()

    def trusted_names(self) -> tuple[str, ...]:
        """Return the names that this machine trusts, from git's configuration and the variable `GITMODEL_TRUST`."""
        return self._opened.trusted_names()

    def suggested_names(self) -> tuple[str, ...]:
        """Return the names of classes and functions that the registry suggests to trust: `[formats] trust`.

        A suggested name has no effect until this machine trusts it. Raises Invalid if the setting cannot be read.

        >>> client.trust_names(*client.suggested_names())  # doctest: +SKIP
        ('mypackage.models.Net',)
        """
        from gitmodel.registry.linked_artifacts import trusted_names

        return trusted_names.suggested_names(self.repository)

    def headline_keys(self) -> tuple[str, ...]:
        """Return the keys of metadata for charts: a chart shows the first key under which a version has a number.

        The first key is `[site] headline` of `gitmodel.toml`. The keys that gates of stages read follow. Keys of inner
        tables are joined by dots.

        >>> client.headline_keys()  # doctest: +SKIP
        ('accuracy',)
        """
        from gitmodel.registry.lists import headline

        return headline.headline_keys(self.repository.read(lambda snapshot: snapshot.registry()))

    def store_status(self) -> Inventory:
        """Return the artifacts of versions that each store has, and the artifacts that no store has."""
        from gitmodel.registry.named_stores import inventory

        return inventory.take_inventory(self.writer, self.access)

    def copy_store(
        self,
        to: str,
        *,
        source: str = "default",
        repair: bool = False,
        jobs: int = JOBS,
        progress: Progress | None = None,
    ) -> Copied:
        """Copy all objects of the store *source* to the store *to* and verify them. A store is given by name or URL.

        *jobs* objects are copied at a time. Purged objects are skipped. Damaged objects are skipped too, and listed in
        `failed` of the result. Idempotent: call it again to continue after an interruption. With *repair*, objects that
        *to* already has are also verified, and replaced if they are damaged. The stores that the registry uses do not
        change. Raises UsageError if both stores are the same, Unreachable if one cannot be reached, and Invalid if *to*
        lacks an object at the end that is not in `failed`.
        """
        from gitmodel.registry.named_stores import store_maintenance

        return store_maintenance.copy(
            self.writer, self.access, to, source=source, repair=repair, transfer=Transfer(jobs, progress)
        )

    def find_garbage(
        self, store: str = "default", *, grace_days: float = 14.0, also: Iterable[str | os.PathLike[str]] = ()
    ) -> Garbage:
        """Return the objects of *store* older than *grace_days* that no version, run, tag or active run needs.

        *also* lists the paths of other registries that use the same store. If others can reach the store, the remote is
        fetched first. Raises Unreachable, and Invalid if a record cannot be read, because the objects that it needs are
        then unknown.
        """
        from gitmodel.registry.named_stores import store_maintenance

        with ExitStack() as opened:
            others = [open_repository(Path(path), environ=self._opened.environ) for path in also]
            for other in others:
                opened.callback(other.close)
            return store_maintenance.find_garbage(
                self.repository, self.access, store, now=time.time(), grace_days=grace_days, also=others
            )

    def remove_garbage(
        self, store: str = "default", *, grace_days: float = 14.0, also: Iterable[str | os.PathLike[str]] = ()
    ) -> Garbage:
        """Delete the objects that `find_garbage` finds, and return them.

        Raises the same errors as `find_garbage`, and Refused if the store is read-only.
        """
        from gitmodel.registry.named_stores import garbage

        found = self.find_garbage(store, grace_days=grace_days, also=also)
        return garbage.remove_garbage(self.access.open(store), found)

    def purge(self, digest: str, *, reason: str) -> Purged:
        """Erase the bytes of an artifact permanently, and record a tombstone with the reason.

        For a folder, erases its manifest and the files that no other artifact needs. If others can reach a store, its
        bytes are erased only after the tombstone is on the remote: push, and call `purge` again. Raises NotFound,
        Refused, and UsageError without a reason. Raises Unreachable, and records nothing, if a store or the remote
        cannot be reached.
        """
        from gitmodel.registry.named_stores import store_maintenance

        self._opened.require_branch("purge")
        return store_maintenance.purge(self.writer, self.repository, self.access, digest, reason)
