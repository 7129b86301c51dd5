"""Reading an artifact: as the path of a file or folder on this machine, or as a loaded object."""

from __future__ import annotations

import os
import tempfile
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import Any

from gitmodel import formats
from gitmodel.branch.repository import Repository
from gitmodel.client.opening.open_registry import OpenRegistry
from gitmodel.domain.schema.records import ArtifactLink
from gitmodel.errors import Unreachable
from gitmodel.files.permissions import make_folder, share_tree
from gitmodel.formats import trust
from gitmodel.formats.catalogue.plugins import find_format, suffix_of
from gitmodel.formats.loading import called, load_content
from gitmodel.registry.linked_artifacts.fetching import fetch_artifact
from gitmodel.stores.artifacts import unpacked, verifying
from gitmodel.stores.artifacts.target_files import making_beside
from gitmodel.stores.interface import ArtifactStore


def read_in_place(repository: Repository, store: ArtifactStore, link: ArtifactLink) -> Path:
    """Verify the artifact *link*, and return the path of a file or folder on this machine with its content.

    The content is a file in a local store, or is copied from *store* into the cache. The returned path is that of a
    symbolic link in the cache that leads to the content and has the recorded file name. If no file name is recorded, or
    the cache cannot be written, returns the path of the content itself.
    """
    place = _content(repository, store, link)
    if link.file is None or place.name == link.file:
        return place
    named = _cache(repository) / "names" / link.digest.removeprefix("sha256:") / link.file
    wanted = os.path.abspath(place)
    with suppress(OSError):
        if os.readlink(named) == wanted:
            return named
    try:
        repository.share()
        make_folder(named.parent)
        with making_beside(named) as aside:
            os.symlink(wanted, aside / "link")
            os.replace(aside / "link", named)
    except (OSError, Unreachable):  # the repository with the cache is read-only
        return place
    return named


def _cache(repository: Repository) -> Path:
    return repository.common_dir / "gitmodel" / "cache"


def _content(repository: Repository, store: ArtifactStore, link: ArtifactLink) -> Path:
    here = None if link.is_folder else verifying.verified_path(store, link.digest, link.size)
    if here is not None:
        return here
    cache = _cache(repository) / link.digest.removeprefix("sha256:")
    repository.share()
    make_folder(cache.parent)
    unpack = unpacked.unpack_folder if link.is_folder else unpacked.unpack_file
    unpack(store, link.digest, link.size, cache)
    share_tree(cache)
    return cache


def load(opened: OpenRegistry, store: ArtifactStore, link: ArtifactLink, *, shown: str, trusted: bool) -> Any:
    """Load and return the object in the artifact *link*, which messages call *shown*.

    Raises Refused for a format that can run code, unless *trusted* is True.
    """
    with (
        tempfile.TemporaryDirectory(prefix="gitmodel-") as folder,
        trust.trusting(opened.trusted_names, opened.suggested_names),
    ):
        target = Path(folder) / f"artifact{suffix_of(link.format)}"
        with called(target, shown):
            if not link.is_folder and find_format(link.format).load_content is not None:
                content = verifying.read_verified(store, link.digest, link.size)
                return load_content(content, target, link.format, trusted=trusted)
        # External files are copied, because they can change after they were verified.
        is_here = not (link.is_folder or link.uri)
        with verifying.held_file(store, link.digest, link.size) if is_here else nullcontext() as here:
            if link.is_folder:
                target = _content(opened.repository, store, link)  # usually in the cache already
            elif here is not None:
                target.symlink_to(here)  # with a suffix, by which some libraries choose the format
            else:
                fetch_artifact(store, link, target)
            with called(target, shown):
                return formats.load(target, link.format, trusted=trusted)
