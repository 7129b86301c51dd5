"""The handle of an artifact."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from gitmodel.client.html import html_table
from gitmodel.domain.arguments import checked_arguments
from gitmodel.domain.schema.records import ArtifactLink
from gitmodel.errors import Refused, UsageError
from gitmodel.stores.interface import JOBS, ArtifactStore

if TYPE_CHECKING:
    from gitmodel.client.handles import ModelVersion
    from gitmodel.registry.run_outputs import VersionArtifact
    from gitmodel.stores.artifacts import Progress


@checked_arguments
class Artifact:
    """An artifact of a version: its bytes are verified against its digest whenever they are read.

    With a *run* it is an output of that run, which worked on the version when it existed; the version does not have it.
    """

    def __init__(self, version: ModelVersion, name: str, *, output: VersionArtifact | None = None) -> None:
        self._version = version
        self._name = name
        self._output = output

    @property
    def name(self) -> str:
        """The artifact's name within its version."""
        return self._name

    @property
    def version(self) -> ModelVersion:
        """The version it belongs to."""
        return self._version

    @property
    def run(self) -> str | None:
        """The id of the run that it is an output of; None if the version itself has it."""
        return self._output.run if self._output is not None else None

    @property
    def link(self) -> ArtifactLink:
        """The record of it: name, kind, digest, size in bytes, format, metadata."""
        from gitmodel.registry import artifacts

        if self._output is not None:  # a run does not change
            return self._output.link
        return artifacts.only_artifact(self._version._record(), self._version._model, self._name)

    @property
    def kind(self) -> str:
        """ "data", "model" or "deployment"."""
        return self.link.kind

    @property
    def digest(self) -> str:
        """`sha256:` and 64 hex digits; of a folder, the digest of its manifest."""
        return self.link.digest

    @property
    def size(self) -> int:
        """The size in bytes; of a folder, of all its files."""
        return self.link.size

    @property
    def format(self) -> str:
        """The name of its format, such as `skops`."""
        return self.link.format

    @property
    def uri(self) -> str | None:
        """The location of an external artifact, which no store of the registry holds; None for other artifacts."""
        return self.link.uri

    @property
    def metadata(self) -> dict[str, Any]:
        """The metadata of the artifact."""
        return dict(self.link.metadata)

    def log_metadata(self, metadata: Mapping[str, Any] | None = None, **values: Any) -> None:
        """Set metadata of the artifact; at any time. Raises Refused for an output of a run, which has none."""
        if self._output is not None:
            raise Refused(
                f"{self._name} is an output of run {self.run}, and has no metadata of its own",
                hint=f"set metadata of {self._version.reference}",
            )
        self._version.log_metadata(metadata, artifact=self._name, **values)

    def download(self, target: str | os.PathLike[str], *, jobs: int = JOBS, progress: Progress | None = None) -> Path:
        """Write it to *target*, verified before it appears there; of a folder, *jobs* files at a time."""
        from gitmodel.registry import artifacts

        link = self.link
        artifacts.fetch_artifact(self._source(link), link, Path(target), jobs=jobs, progress=progress)
        return Path(target)

    def download_file(self, file: str, target: str | os.PathLike[str], *, progress: Progress | None = None) -> Path:
        """Write one file of a folder, by its path in it, to *target*, verified; the others are not fetched.

        Raises NotFound if there is no such file, UsageError if the artifact is not a folder.
        """
        from gitmodel.registry import artifacts

        link = self.link
        artifacts.fetch_file(self._source(link), link, file, Path(target), progress=progress)
        return Path(target)

    def path(self) -> Path:
        """A file or folder with its content, to read only: in place in a local store, else in the cache.

        It is verified at each call, and what differs there is replaced. Any number of threads and processes may call
        it and read what they got: a folder in the cache is never emptied.
        """
        from gitmodel.files.permissions import make_folder, share_tree
        from gitmodel.stores import artifacts, unpacked

        link, repository = self.link, self._version._opened.repository
        store = self._source(link)
        here = None if link.is_folder else artifacts.verified_path(store, link.digest, link.size)
        if here is not None:
            return here
        cache = repository.common_dir / "gitmodel" / "cache" / link.digest.removeprefix("sha256:")
        repository.share()
        make_folder(cache.parent)
        have = unpacked.have_folder if link.is_folder else unpacked.have_file
        have(store, link.digest, link.size, cache)
        share_tree(cache)
        return cache

    def open(self) -> BinaryIO:
        """Open the bytes for reading, verified at their end: Invalid if the digest does not match. Not for folders."""
        link = self.link
        if link.is_folder:
            raise UsageError(f"{self._name} is a folder", hint="use .path() and open a file in it")
        return self._source(link).open(link.digest, link.size)

    def load(self, *, trusted: bool = False) -> Any:
        """The object that the artifact holds, by its recorded format.

        *trusted* allows formats that run code when they are loaded (pickle and its like); without it they are Refused.
        """
        import tempfile

        from gitmodel import formats
        from gitmodel.formats.loading import called
        from gitmodel.registry import artifacts

        link = self.link
        if link.is_folder:
            raise UsageError(f"{self._name} is a folder", hint="use .path() and load a file in it")
        with tempfile.TemporaryDirectory(prefix="gitmodel-") as folder:
            target = Path(folder) / "artifact"
            artifacts.fetch_artifact(self._source(link), link, target)
            with called(target, f"{self._name} of {self._version.reference}"):
                return formats.load(target, link.format, trusted=trusted)

    def _source(self, link: ArtifactLink) -> ArtifactStore:
        return self._version._opened.access.source(self._version._model, link)

    def __repr__(self) -> str:
        return f"Artifact({self._version.reference!r}, {self._name!r})"

    def _repr_html_(self) -> str:
        link = self.link
        return html_table(
            ("field", "value"), [(key, getattr(link, key)) for key in ("name", "kind", "format", "size", "digest")]
        )
