"""The request that a run sends to the process of a step."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gitmodel.domain.schema.record_values import FOLDER_FORMAT
from gitmodel.domain.schema.records import VersionRecord
from gitmodel.frozen import Frozen
from gitmodel.pipelines.declarations.nested_inputs import Shape
from gitmodel.registry.named_stores.store_access import StorePlace


class Location(Frozen):
    """The place from which another process imports a step.

    *file* is the file of a script, or "" for a module that Python can import by its name. *path* has the folders to add
    to `sys.path`. *code* is the digest of the step's code, by which the process notices that its own code differs.
    """

    module: str
    qualname: str
    file: str
    path: tuple[str, ...]
    code: str


@dataclass
class VersionFacts:
    """The version that a step works on. *read* becomes True when the step reads a fact about its version.

    *artifacts* has the names of the version's artifacts, including those that the run adds. For a version that existed
    before the run, *record* is its record and *readable* has its artifacts by name.
    """

    model: str
    number: int
    name: str | None
    new: bool
    stages: tuple[str, ...]
    artifacts: tuple[str, ...]
    read: bool = False
    record: VersionRecord | None = None
    readable: Mapping[str, InputReference] = field(default_factory=dict)


class Facts(Frozen):
    """The facts that the run sends to a step for its context."""

    run: str
    pipeline: str
    step: str
    version: VersionFacts | None

    @property
    def has_read_version(self) -> bool:
        """True if the step has read a fact about its version, such as the number."""
        return self.version is not None and self.version.read


class StoreRequest(Frozen):
    """The stores that a step reads and writes.

    *root* is the folder for copies of objects from servers. *probe* is the digest of an object in the store, by which
    the process of the step checks that it reaches the same store.
    """

    urls: list[str]
    root: str
    probe: str


class InputReference(Frozen):
    """An artifact that a step takes as an input.

    If *trusted* is True, loading the artifact may run code in it. Otherwise loading may use only the classes and
    functions with the full names *names*. *suggested* has further names, which the registry suggests to trust.
    *modules* has the modules of the project that the artifact uses, as recorded. *size* is None if no record has the
    size, *place* is None if the artifact is in the store of the step, and *file* is None if the file name is unknown.
    """

    digest: str
    format: str
    materializer: str = ""
    trusted: bool = True
    names: tuple[str, ...] = ()
    suggested: tuple[str, ...] = ()
    modules: tuple[str, ...] = ()
    size: int | None = None
    place: StorePlace | None = None
    file: str | None = None

    def spelled(self, hint: Any) -> str:
        """Return the text by which the cache compares this input.

        The text is the digest. If the step may get the input as a path, the text includes the file name. *hint* is
        the annotated type of the input.
        """
        is_path = hint is Path or self.materializer == "path" or self.format == FOLDER_FORMAT
        return f"{self.digest} {self.file}" if is_path and self.file else self.digest


class Request(Frozen):
    """Everything that the process of a step needs.

    *step* is None if the step runs in the process of the run. *root* is the folder of the project. *code* has the
    project files that the step depends on, and *unloaded* those of these files that the process of the run has not
    imported. *pickle* allows pickle for values that no other format can store. *keep* is the folder for values that
    cannot be stored in an artifact store, or "" if gitmodel does not keep them, for example because the process may be
    on another machine. *timeout* is in seconds. *log* is the folder for the output of the step. If the process cannot
    write to this folder, the result contains the output. *attempt* is the number of the attempt, or 0 to keep no
    output. *alone* is True if no other step runs in the process at the same time.
    """

    step: Location | None
    root: str
    code: list[str]
    unloaded: list[str]
    store: StoreRequest
    allow_credentials: bool
    pickle: bool
    scratch: str
    keep: str
    log: Path
    attempt: int
    alone: bool
    inputs: dict[str, InputReference]
    outputs: list[str]
    values: dict[str, Any]
    shapes: dict[str, Shape]
    parameters: dict[str, Any]
    config: dict[str, Any] | None
    timeout: float | None
    facts: Facts
