"""The models of another registry as plain values, and the interface of its readers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import field
from datetime import datetime
from pathlib import Path
from typing import NamedTuple, Protocol

from gitmodel.frozen import Frozen


class Point(NamedTuple):
    """One recorded value of a metric."""

    key: str
    step: int
    time: datetime
    value: float


class SourceRun(Frozen):
    """A run of the source. *metrics* has the last value of each metric; *status* is a status of a recorded run."""

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
    """A version of the source. *number* is its number there, or its position if the source has names only.

    *stages* are words of the source. *location* is the URI of its files, "" for none. A version that *is_deleted* has
    only a number.
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
    """A model of the source. *aliases* maps aliases to version numbers. A prompt is a model without files."""

    name: str
    created: datetime
    description: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)
    aliases: Mapping[str, int] = field(default_factory=dict)
    versions: tuple[SourceVersion, ...] = ()
    is_prompt: bool = False


class FilesUnavailable(Exception):
    """The files of a version cannot be read from here; the text says why."""


class Reader(Protocol):
    """A source of models.

    *name* is the name of the system and *url* its address without credentials. Both are recorded.
    """

    @property
    def name(self) -> str: ...

    @property
    def url(self) -> str: ...

    def models(self) -> Iterator[SourceModel]:
        """Yield all models, sorted by name."""

    def run(self, id: str) -> SourceRun | None:
        """Return a run, also a deleted one; None if the source has no such run any more."""

    def points(self, run: SourceRun) -> list[Point]:
        """Return all values of the metrics that *run* recorded more than once, sorted by key and step."""

    def files(self, version: SourceVersion) -> AbstractContextManager[Path]:
        """Yield the file or folder of a version, which may be a temporary copy. Raises FilesUnavailable."""

    def close(self) -> None:
        """Close connections and files."""
