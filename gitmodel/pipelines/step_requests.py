"""The request that a run sends to the process of a step."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypedDict

from gitmodel.registry.store_access import StorePlace


class Location(TypedDict, total=False):
    """The location of a step for another process, and the digest of its code; {} if the process has the step."""

    module: str
    qualname: str
    file: str
    path: list[str]
    code: str


class _VersionRead(TypedDict, total=False):
    read: bool


class VersionFacts(_VersionRead):
    """The version that a step works on. *read* is True once the step asked for it."""

    model: str
    number: int
    name: str | None
    new: bool
    stages: list[str]
    artifacts: list[str]


class Facts(TypedDict):
    """The facts that the context of a step has."""

    run: str
    pipeline: str
    step: str
    version: VersionFacts | None


class StoreRequest(TypedDict):
    """The URLs of the step's stores, the folder *root* for copies, and the digest *probe* of an object in the store."""

    urls: list[str]
    root: str
    probe: str


@dataclass(frozen=True)
class InputReference:
    """An artifact that a step takes as an input.

    *trusted* is True if loading it may run code in it, *names* are the classes and functions that it may use otherwise.
    *size* is None if no record says it, *place* is None if it is in the store of the step.
    """

    digest: str
    format: str
    materializer: str = ""
    trusted: bool = True
    names: tuple[str, ...] = ()
    size: int | None = None
    place: StorePlace | None = None


class Request(TypedDict):
    """Everything that the process of a step needs."""

    step: Location
    root: str
    store: StoreRequest
    allow_credentials: bool
    scratch: str
    inputs: dict[str, InputReference]
    outputs: list[str]
    values: dict[str, Any]
    config: dict[str, Any] | None
    attempt: int
    facts: Facts
