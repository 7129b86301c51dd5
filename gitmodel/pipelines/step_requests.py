"""The request that a run sends to the process of a step: plain dicts, which any process can unpickle."""

from __future__ import annotations

from typing import Any, TypedDict


class Location(TypedDict, total=False):
    """The place where another process finds a step, and the digest of its code; {}: the process has the step."""

    module: str
    qualname: str
    file: str
    path: list[str]
    code: str


class _VersionRead(TypedDict, total=False):
    read: bool


class VersionFacts(_VersionRead):
    """The version that a step works on; *read* is True once the step asked which one it is."""

    model: str
    number: int
    name: str | None
    new: bool
    stages: list[str]
    artifacts: list[str]


class Facts(TypedDict):
    """The facts that a step can ask its context for."""

    run: str
    pipeline: str
    step: str
    version: VersionFacts | None


class StoreRequest(TypedDict):
    """The stores of the step, by URL; *root* is for copies, *probe* the digest of an object that is in the store."""

    urls: list[str]
    root: str
    probe: str


class _ReferenceDetails(TypedDict, total=False):
    size: int | None
    place: dict[str, Any]


class InputReference(_ReferenceDetails):
    """An artifact that a step takes: its digest and format; *trusted* says if loading it may run code in it."""

    digest: str
    format: str
    materializer: str
    trusted: bool


class Request(TypedDict):
    """All that the process of a step needs."""

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
