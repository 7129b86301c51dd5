"""The base class of artifact handles: the metadata and the verified content of an artifact."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from gitmodel.client.handles.record_field import Field, as_it_is
from gitmodel.client.handles.version_without_artifacts import VersionHandle
from gitmodel.client.opening.open_registry import OpenRegistry
from gitmodel.domain.arguments.names_of_other_tools import refuse_other_keywords
from gitmodel.domain.schema.records import ArtifactLink
from gitmodel.errors import Refused
from gitmodel.stores.interface import ArtifactStore
from gitmodel.stores.transfer import JOBS, Progress, Transfer

if TYPE_CHECKING:
    from typing_extensions import Self

    from gitmodel.domain.schema.manifest import ManifestEntry
    from gitmodel.registry.recorded_runs.run_outputs import VersionArtifact


class ArtifactHandle:
    """The base class of a handle of an artifact: its metadata and its verified content."""

    kind = Field(str, '"data", "model" or "deployment".')
    digest = Field(str, "`sha256:` and 64 hex digits; for a folder, the digest of its manifest.")
    size = Field(int, "The size in bytes; for a folder, of all its files.")
    format = Field(str, "The name of the format, such as `skops`.")
    uri: Field[str | None] = Field(as_it_is, "The location of an external artifact; None for one in a store.")
    metadata: Field[dict[str, Any]] = Field(dict, "The metadata of the artifact.")
    _version: VersionHandle
    _name: str
    _output: VersionArtifact | None

    @classmethod
    def _of(cls, version: VersionHandle, name: str, *, output: VersionArtifact | None = None) -> Self:
        artifact = cls.__new__(cls)
        artifact._version, artifact._name, artifact._output = version, name, output
        return artifact

    @property
    def name(self) -> str:
        """The name of the artifact in its version."""
        return self._name

    @property
    def run(self) -> str | None:
        """The id of the run that wrote this output; None if this is an artifact of the version itself."""
        return self._output.run if self._output is not None else None

    @property
    def link(self) -> ArtifactLink:
        """The recorded values of the artifact: name, kind, digest, size in bytes, format, metadata."""
        from gitmodel.registry.linked_artifacts import linking

        if self._output is not None:  # not read again, because the record of a run never changes
            return self._output.link
        return linking.only_artifact(self._version._record(), self._version._model, self._name)

    def log_metadata(self, metadata: Mapping[str, Any] | None = None, **values: Any) -> None:
        """Set metadata of the artifact, even if its version is in a stage. Raises Refused for an output of a run.

        The arguments are as in `ModelVersion.log_metadata`.
        """
        refuse_other_keywords("log_metadata", values, f"it is of {self._described}")
        self.set_metadata({**(metadata or {}), **values})

    def set_metadata(self, values: Mapping[str, Any] | None = None, *, remove: Iterable[str] = ()) -> None:
        """Set *values* in the artifact's metadata, and remove the keys *remove*; see `ModelVersion.set_metadata`.

        >>> artifact.set_metadata({"rows": 150}, remove=["draft"])            # doctest: +SKIP
        """
        if self._output is not None:
            raise Refused(
                f"{self._name} is an output of run {self.run}, and cannot have metadata",
                hint=f"set metadata of {self._version.reference}",
            )
        self._version.set_metadata(values, remove=remove, artifact=self._name)

    def download(
        self,
        target: str | os.PathLike[str],
        *,
        jobs: int = JOBS,
        progress: Progress | None = None,
        warn: Callable[[str], object] | None = None,
    ) -> Path:
        """Verify the artifact, write it to *target*, and return the path of the new file or folder.

        *target* is created only after all bytes were verified. If the artifact is a file and *target* is an existing
        folder, the file is written into this folder under the artifact's file name, such as `model.onnx`; raises
        UsageError if the folder already contains this name. If the artifact is a folder, *target* is the path of the
        new folder.

        >>> version.get_artifact("classifier").download("served")            # doctest: +SKIP
        PosixPath('served/model.onnx')

        If the artifact is a folder, *jobs* of its files are fetched at the same time. *progress* is called with the
        number of bytes that are fetched so far, and of all bytes. *warn* is called with a sentence about each file of
        the folder that is not written; the default writes the sentence to the logger `gitmodel`.
        """
        from gitmodel.registry.linked_artifacts import fetching

        link = self.link
        transfer = Transfer(jobs, progress)
        place = fetching.target_of(link, Path(target))
        fetching.fetch_artifact(self._source(link), link, place, transfer=transfer, warn=warn)
        return place

    def download_file(self, file: str, target: str | os.PathLike[str], *, progress: Progress | None = None) -> Path:
        """Write one file of a folder artifact to *target* after verifying it, without fetching the other files.

        *file* is the path of the file in the folder. *progress* is called with the number of bytes that are fetched so
        far, and of all bytes of the file. Returns the path of the new file. Raises NotFound if the folder has no such
        file, and UsageError if the artifact is not a folder.
        """
        self.fetch_file(file, target, progress=progress)
        return Path(target)

    def fetch_file(
        self, file: str, target: str | os.PathLike[str], *, progress: Progress | None = None
    ) -> ManifestEntry:
        """Download a file like `download_file`, and return its path, size and digest from the folder's manifest."""
        from gitmodel.registry.linked_artifacts import fetching

        link = self.link
        return fetching.fetch_file(self._source(link), link, file, Path(target), progress=progress)

    def path(self) -> Path:
        """Return the path of a read-only file or folder with the artifact's content, such as `.../model.onnx`.

        The last part of the path is the artifact's file name. The path is a symbolic link in the cache of the
        repository. It leads to the content in a store on this machine or, if there is none, to a copy of the content in
        the cache. If the repository is read-only, there is no such link, and the last part of the path is the digest.

        Each call verifies the content, and replaces damaged files in the cache. Any number of threads and processes may
        call `path` and read the files at the same time, because a folder in the cache is complete when it appears, and
        gitmodel replaces its damaged files one by one.
        """
        from gitmodel.client import reading

        link = self.link
        return reading.read_in_place(self._opened.repository, self._source(link), link)

    def list_files(self) -> tuple[ManifestEntry, ...]:
        """Return the path, size and digest of each file in a folder artifact, sorted by path.

        Fetches only the manifest. Raises UsageError if the artifact is one file.

        >>> [file.path for file in version.get_artifact("net").list_files()]  # doctest: +SKIP
        ['config.json', 'weights/layer-1.bin']
        """
        from gitmodel.registry.linked_artifacts import fetching

        link = self.link
        return fetching.list_files(self._source(link), link)

    def open(self, file: str = "") -> BinaryIO:
        """Open the artifact, or one file of a folder artifact, for reading bytes.

        Reading raises Invalid at the end of the file if its digest does not match. If the artifact is a folder, *file*
        is the path of the file in it. Raises NotFound if the folder has no such file.
        """
        from gitmodel.registry.linked_artifacts import fetching

        link = self.link
        return fetching.open_file(self._source(link), link, file)

    def load(self, *, trusted: bool = False) -> Any:
        """Return the object in the artifact, loaded by its recorded format.

        If *trusted* is True, formats that can run code when they are loaded, such as pickle, are allowed. Otherwise
        they raise Refused. A scikit-learn model (format skops) needs *trusted* only if it uses a function, or a class
        that does not belong to scikit-learn. Instead, `client.trust_names` can allow the names of these functions and
        classes one by one. A folder can be loaded only if gitmodel recognizes its format, such as that of Transformers.
        """
        from gitmodel.client import reading

        link = self.link
        return reading.load(self._opened, self._source(link), link, shown=self._described, trusted=trusted)

    def _field(self, name: str) -> Any:
        return getattr(self.link, name)

    @property
    def _opened(self) -> OpenRegistry:
        return self._version._opened

    @property
    def _described(self) -> str:
        return f"{self._name} of {self._version.reference}"

    def _source(self, link: ArtifactLink) -> ArtifactStore:
        return self._version._opened.access.source(self._version._model, link)

    def __repr__(self) -> str:
        return f"Artifact({self._version.reference!r}, {self._name!r})"

    def _repr_html_(self) -> str:
        from gitmodel.client import html  # imported here: only notebooks need it

        link = self.link
        return html.fields_table((key, getattr(link, key)) for key in ("name", "kind", "format", "size", "digest"))
