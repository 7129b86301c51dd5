"""The base class of the classes with the methods of `Client`: access to the open registry."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from gitmodel.client.opening.open_registry import OpenRegistry
from gitmodel.domain.schema.names import check_name
from gitmodel.domain.schema.references import ModelRef, VersionRef

if TYPE_CHECKING:
    from gitmodel.branch.repository import Repository
    from gitmodel.registry.named_stores.store_access import Access
    from gitmodel.registry.writing.writer import Writer
    from gitmodel.stores.interface import ArtifactStore


class OpenedClient:
    """The open registry, for the methods of `Client`.

    A class for each topic, such as `StageMethods`, inherits from this class, and `Client` inherits from all of them.
    """

    _opened: OpenRegistry

    @property
    def repository(self) -> Repository:
        """The git repository of the registry."""
        return self._opened.repository

    @property
    def writer(self) -> Writer:
        """The object that makes changes: it commits each to the branch, or collects those of a `transaction`."""
        return self._opened.writer

    @property
    def store(self) -> ArtifactStore:
        """The default artifact store, which is opened on first use.

        Raises UsageError if the URL of the store cannot be used, and Refused if this machine does not trust the store.
        """
        return self.access.default()

    @property
    def store_url(self) -> str:
        """The URL of the default artifact store; "" if it is the folder `store_root` in the repository."""
        return self.access.named().url

    @property
    def access(self) -> Access:
        """The object that opens the registry's artifact stores, and knows which of their URLs this machine trusts."""
        return self._opened.access

    @property
    def store_root(self) -> Path:
        """The folder of artifacts in the repository, which is the default artifact store if no other is set."""
        return self._opened.store_root

    def _renewed(self) -> OpenRegistry:
        """Return the open registry. If it is by URL, its next read contacts the server.

        It does not if the cache has an answer of the server that is younger than *max_age* of `Client`.
        """
        self.repository.renew()
        return self._opened


def model_ref(name: str, renumbered: bool) -> ModelRef:
    """Return a reference to the model *name*, as a person wrote it. Raises UsageError for an invalid name.

    *renumbered* is as in `Client.get_model`.
    """
    return ModelRef(check_name(name, "model"), renumbered=renumbered)


def version_ref(reference: str | VersionRef, renumbered: bool = False) -> VersionRef:
    """Return *reference* as a `VersionRef`, or parse the text that a person wrote. Raises UsageError if it is invalid.

    *renumbered* is as in `Client.get_version`.
    """
    ref = VersionRef.parse(reference) if isinstance(reference, str) else reference
    return replace(ref, renumbered=renumbered) if renumbered else ref
