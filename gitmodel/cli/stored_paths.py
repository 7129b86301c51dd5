"""Storing or describing the files and folders that options name, with progress."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from gitmodel.cli.invocation import Invocation
from gitmodel.domain.schema.records import ArtifactLink
from gitmodel.domain.urls import shown_url
from gitmodel.errors import UsageError
from gitmodel.registry import artifacts


def store_paths(
    invocation: Invocation, model: str, paths: Iterable[tuple[str, str, str]], *, jobs: int
) -> list[ArtifactLink]:
    """Put files and folders, given as name, path and kind, into the store of *model*; returns the links to them."""
    found = list(paths)
    for _, path, _ in found:
        if "://" in path:
            raise UsageError(f"{shown_url(path)} is no path", hint="add --external to leave it where it is")
    allowed = invocation.client.repository.allows_credentials
    artifacts.check_sources(((name, Path(path), kind) for name, path, kind in found), allow_credentials=allowed)
    links = []
    warnings: list[str] = []
    for name, path, kind in found:
        place = invocation.client.access.of_model(model)
        with invocation.output.progress(f"storing {name}") as progress:
            link = artifacts.store_artifact(
                place,
                name,
                Path(path),
                kind=kind,
                allow_credentials=allowed,
                jobs=jobs,
                progress=progress,
                warn=warnings.append,
            )
        links.append(link)
    for warning in warnings:
        invocation.output.warn(warning)
    return links


def describe_paths(
    invocation: Invocation, paths: Iterable[tuple[str, str, str]], provider_digest: bool
) -> list[ArtifactLink]:
    """Links to files that stay where they are, given as name, URI or path, and kind."""
    links = []
    access = invocation.client.access
    for name, uri, kind in paths:
        with invocation.output.progress(f"reading {name}") as progress:
            link = artifacts.describe_external(
                name, uri, kind=kind, provider_digest=provider_digest, trusted=access.trusted(), progress=progress
            )
        access.trust_place(link.uri or "")
        links.append(link)
    return links
