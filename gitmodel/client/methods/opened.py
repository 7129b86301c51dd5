"""The registry that a client has opened, for the methods of every topic."""

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
    """The parts of an open registry, for the methods of every topic. `Client` inherits from the class of each topic."""

    _opened: OpenRegistry

    @property
    def repository(self) -> Repository:
        """The repository of the registry."""
        return self._opened.repository

    @property
    def writer(self) -> Writer:
        """The target of changes: the branch, or the batch of a `transaction`."""
        return self._opened.writer

    @property
    def store(self) -> ArtifactStore:
        """The artifact store, which is opened on first use.

        Raises UsageError for an unusable URL, and Refused for a store that is not trusted on this machine.
        """
        return self.access.default()

    @property
    def store_url(self) -> str:
        """The URL of the artifact store; "" for the default store inside the repository, at `store_root`."""
        return self.access.named().url

    @property
    def access(self) -> Access:
        """The registry's artifact stores with their URLs and trust on this machine."""
        return self._opened.access

    @property
    def store_root(self) -> Path:
        """The folder of the default artifact store."""
        return self._opened.store_root


def model_ref(name: str, renumbered: bool) -> ModelRef:
    """Return a reference to the model *name* that a person wrote. Raises UsageError for an invalid name."""
    return ModelRef(check_name(name, "model"), renumbered)


def version_ref(reference: str | VersionRef, renumbered: bool = False) -> VersionRef:
    """Return *reference*, which a person wrote, as a value. Raises UsageError if it cannot be parsed."""
    ref = VersionRef.parse(reference) if isinstance(reference, str) else reference
    return replace(ref, renumbered=renumbered) if renumbered else ref
