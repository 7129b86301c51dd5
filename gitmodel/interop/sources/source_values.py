"""The models of another registry as plain values, and the interface of the readers that return them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import field
from datetime import datetime
from pathlib import Path
from typing import NamedTuple, Protocol

from gitmodel.frozen import Frozen


class Point(NamedTuple):
    """One value of a metric in a run, with its step and time."""

    key: str
    step: int
    time: datetime
    value: float


class SourceRun(Frozen):
    """A run in another registry. *metrics* has the last value of each metric.

    *status* is one of gitmodel's, "succeeded", "failed" or "cancelled".
    """

    id: str
    name: str
    experiment: str
    author: str
    status: str
    started: datetime
    finished: datetime | None
    metrics: Mapping[str, float]
    parameters: Mapping[str, str]
    tags: Mapping[str, str]
    artifacts: str
    commit: str | None = None
    is_deleted: bool = False


class SourceVersion(Frozen):
    """A version in another registry.

    *number* is its number there, or its position in the order of creation if the versions of the model have only names.
    *stages* are stages of the other registry. *location* is the URI or path of its files; "" if it has none. A deleted
    version (*is_deleted*) of MLflow has only a number.
    """

    number: int
    name: str | None = None
    created: datetime | None = None
    author: str = ""
    description: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)
    facts: Mapping[str, str] = field(default_factory=dict)
    stages: tuple[str, ...] = ()
    location: str = ""
    run: str | None = None
    commit: str | None = None
    is_deleted: bool = False


class SourceModel(Frozen):
    """A model in another registry. *aliases* maps aliases to version numbers.

    MLflow's prompts are models without files.
    """

    name: str
    created: datetime
    description: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)
    aliases: Mapping[str, int] = field(default_factory=dict)
    versions: tuple[SourceVersion, ...] = ()
    is_prompt: bool = False


class FilesUnavailable(Exception):
    """The files of a version cannot be read from this machine. The message says why."""


class Reader(Protocol):
    """Another registry, from which models are imported.

    *name* is the name of its system, such as "MLflow", and *url* its address without credentials. An import records
    both.
    """

    @property
    def name(self) -> str: ...

    @property
    def url(self) -> str: ...

    def models(self) -> Iterator[SourceModel]:
        """Yield all models, sorted by name."""

    def run(self, id: str) -> SourceRun | None:
        """Return the run *id*, also if it was deleted; None if the registry no longer has it."""

    def points(self, run: SourceRun) -> list[Point]:
        """Return all values of those metrics that *run* recorded more than once, sorted by metric and step."""

    def files(self, version: SourceVersion) -> AbstractContextManager[Path]:
        """Yield the path of the file or folder of *version*, which may be a temporary copy.

        Raises FilesUnavailable if it cannot be read.
        """

    def close(self) -> None:
        """Close connections and files."""
