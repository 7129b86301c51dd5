"""The methods of `Client` for artifact stores, and for the stores and names that this machine trusts."""

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
    """The methods of `Client` for artifact stores, and for the stores and names that this machine trusts."""

    def list_stores(self) -> list[NamedStore]:
        """Return the artifact stores of the registry with the URLs that this machine uses, the default store first."""
        return list(self.access.stores())

    def add_store(self, name: str, url: str) -> NamedStore:
        """Add the artifact store at *url* to the registry under *name*, so that models can use it.

        Creates the store if it does not exist, and trusts it on this machine. Raises Conflict if the name is taken,
        UsageError for an invalid name or URL, Unreachable if the store cannot be reached.
        """
        from gitmodel.registry.named_stores import stores

        return stores.add_store(self.writer, self.access, name, url)

    def remove_store(self, name: str) -> None:
        """Remove the store *name* from the registry. The objects in the store stay.

        Raises NotFound if there is no such store, Refused if a model uses it.
        """
        from gitmodel.registry.named_stores import stores

        stores.remove_store(self.writer, name)

    def use_store(self, model: str, name: str, *, renumbered: bool = False) -> None:
        """Make *model* store new artifacts in the store *name*; "default" is the default store.

        *renumbered* is as in `get_model`. Raises NotFound if there is no such model or store.
        """
        from gitmodel.registry.named_stores import stores

        stores.use_store(self.writer, model_ref(model, renumbered), name)

    def trust_store(self, which: str = "default") -> NamedStore:
        """Allow gitmodel in this clone to send this machine's credentials to the store with the name or URL *which*.

        A URL that ends in `/` allows all URLs that begin with it. Returns the store.
        """
        from gitmodel.registry.named_stores import stores

        return stores.trust_store(self.access, which)

    def trust_names(self, *names: str) -> tuple[str, ...]:
        """Allow files of models to use the classes and functions *names* when they are loaded in this clone.

        A name is a full name, such as "mypackage.models.Net". The error of `artifact.load()` lists the names that a
        file needs. Returns all names that are now trusted on this machine. Raises UsageError for a text that is not a
        full name.

        >>> client.trust_names("mypackage.models.Net")  # doctest: +SKIP
        ('mypackage.models.Net',)
        """
        from gitmodel.registry.linked_artifacts import trusted_names

        trusted_names.trust_names(self.repository, names)
        return self._opened.trusted_names()

    def distrust_names(self, *names: str) -> tuple[str, ...]:
        """Undo `trust_names` for *names* in this clone, and return the names that are still trusted on this machine.

        Raises NotFound if one of *names* was not trusted.
        """
        from gitmodel.registry.linked_artifacts import trusted_names

        trusted_names.distrust_names(self.repository, names)
        return self._opened.trusted_names()

    def trusted_names(self) -> tuple[str, ...]:
        """Return the names of classes and functions that git's settings and `GITMODEL_TRUST` allow on this machine."""
        return self._opened.trusted_names()

    def suggested_names(self) -> tuple[str, ...]:
        """Return the names of classes and functions that `[formats] trust` in `gitmodel.toml` suggests to trust.

        A suggested name has no effect until a user trusts it on this machine. Raises Invalid if `gitmodel.toml` cannot
        be read.

        >>> client.trust_names(*client.suggested_names())  # doctest: +SKIP
        ('mypackage.models.Net',)
        """
        from gitmodel.registry.linked_artifacts import trusted_names

        return trusted_names.suggested_names(self.repository)

    def headline_keys(self) -> tuple[str, ...]:
        """Return the keys of metadata that charts can show.

        A chart shows the first of them under which at least one of its versions has a number. The first key is `[site]
        headline` in `gitmodel.toml`, if it is set. The keys that gates of stages read follow. A key in an inner table
        is written with dots, such as `test.accuracy`.

        >>> client.headline_keys()  # doctest: +SKIP
        ('accuracy',)
        """
        from gitmodel.registry.lists import headline

        return headline.headline_keys(self.repository.read(lambda snapshot: snapshot.registry()))

    def store_status(self) -> Inventory:
        """Return which artifacts of versions each store has, and which artifacts no store has."""
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
        """Copy all objects of the store *source* to the store *to*, and verify them. Both are names or URLs of stores.

        *jobs* objects are copied at the same time. *progress* is called with the number of bytes that are copied so
        far, and of all bytes. Purged objects are skipped. Damaged objects are skipped too, and listed in `failed` of
        the result. Idempotent: call it again to continue after an interruption. If *repair* is True, objects that *to*
        already has are also verified, and replaced if they are damaged. The settings of the registry do not change, so
        models still use the same stores as before. Raises UsageError if both stores are the same, Unreachable if one of
        them cannot be reached, and Invalid if *to* lacks an object at the end that is not in `failed`.
        """
        from gitmodel.registry.named_stores import copying

        return copying.copy(
            self.writer, self.access, to, source=source, repair=repair, transfer=Transfer(jobs, progress)
        )

    def find_garbage(
        self, store: str = "default", *, grace_days: float = 14.0, also: Iterable[str | os.PathLike[str]] = ()
    ) -> Garbage:
        """Return the objects of *store* that are older than *grace_days* and that no version, run or stage tag needs.

        Objects that an active run needs are not returned either. Purged objects are always returned. *also* lists the
        paths of other registries that use the same store: objects that these registries need are not returned. If the
        store is not only on this machine, the remote is fetched first, to know the versions of others. Raises
        Unreachable if the store or the remote cannot be reached, and Invalid if a record cannot be read, because then
        it is unknown which objects it needs.
        """
        from gitmodel.registry.named_stores import garbage

        with ExitStack() as opened:
            others = [open_repository(Path(path), environ=self._opened.environ) for path in also]
            for other in others:
                opened.callback(other.close)
            return garbage.find_garbage(
                self.repository, self.access, store, now=time.time(), grace_days=grace_days, also=others
            )

    def remove_garbage(
        self, store: str = "default", *, grace_days: float = 14.0, also: Iterable[str | os.PathLike[str]] = ()
    ) -> Garbage:
        """Delete the objects that `find_garbage` finds with the same arguments, and return them.

        Raises the errors of `find_garbage`, and Refused if the store is read-only.
        """
        from gitmodel.registry.named_stores import garbage

        found = self.find_garbage(store, grace_days=grace_days, also=also)
        return garbage.remove_garbage(self.access.open(store), found)

    def purge(self, digest: str, *, reason: str) -> Purged:
        """Erase the bytes of an artifact permanently from all stores, and record a tombstone with the *reason*.

        *digest* is the digest of the artifact. If the artifact is a folder, erases its manifest and those of its files
        that no other artifact needs. From a store that others can reach, the bytes are erased only after the tombstone
        is on the remote: push, and call `purge` again. Raises NotFound if no version has the artifact, Refused if a
        store is read-only, and UsageError if *reason* is empty. Raises Unreachable, and records nothing, if a store or
        the remote cannot be reached.
        """
        from gitmodel.registry.named_stores import purging

        self._opened.require_branch("purge")
        return purging.purge(self.writer, self.repository, self.access, digest, reason)
