"""Reading the manifest of a folder in a store, which lists the files of the folder."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from gitmodel.domain.schema.digests import Digest
from gitmodel.domain.schema.manifest import ManifestEntry, parse_manifest
from gitmodel.errors import GitModelError, Invalid, NotFound
from gitmodel.stores.interface import ArtifactStore, wrong_size

# About two million files. The limit keeps gitmodel from reading a large model as a manifest if a link is wrong.
MANIFEST_LIMIT = 256 << 20


def find_member(entries: Sequence[ManifestEntry], name: str) -> ManifestEntry:
    """Return the file at the path *name* among the files of a folder.

    Raises NotFound if the folder has no such file; the hint shows similar paths.
    """
    for entry in entries:
        if entry.path == name:
            return entry
    import difflib

    near = difflib.get_close_matches(name, [entry.path for entry in entries], n=3) if len(entries) < 10_000 else []
    some = near or [entry.path for entry in entries[:3]]
    raise NotFound(
        f"there is no file {name!a} in this folder of {len(entries)} files",
        hint=f"write its path in the folder, such as {' or '.join(map(ascii, some))}" if some else "",
    )


def manifest_of(store: ArtifactStore, digest: Digest) -> tuple[ManifestEntry, ...]:
    """Return the files of the folder *digest*.

    Raises Invalid if *digest* is not a manifest, NotFound if the store lacks it, Unreachable if the store fails.
    """
    content = read_object(store, digest, MANIFEST_LIMIT, "a manifest")
    try:
        return parse_manifest(content)
    except Invalid as error:
        raise Invalid(f"{digest} is not a folder: {error.message}", hint=error.hint) from None


def read_object(store: ArtifactStore, digest: Digest, limit: int, what: str) -> bytes:
    """Return all bytes of an object, which should be *what*, such as "a manifest".

    Raises Invalid if the object is damaged or has more than *limit* bytes, NotFound if the store does not have it,
    Unreachable if the store fails.
    """
    if (size := store.size(digest)) > limit:
        raise Invalid(f"{digest} is not {what}: it is too long ({size} bytes)", hint="run `git model check`")
    with store.open(digest, limit) as reader:
        return reader.read()


def members_of(store: ArtifactStore, digest: Digest, size: int | None) -> tuple[ManifestEntry, ...]:
    """Return the files of the folder *digest*, whose recorded size is *size* (None: unknown).

    Raises Invalid if the files together do not have the size *size*, and the errors of `manifest_of`.
    """
    entries = manifest_of(store, digest)
    if size is not None and (total := sum(entry.size for entry in entries)) != size:
        raise wrong_size(digest, size, total)
    return entries


@contextmanager
def naming(entry: ManifestEntry) -> Iterator[None]:
    """Add the path of *entry*, a file in a folder, to the message of an error that the block raises."""
    try:
        yield
    except GitModelError as error:
        error.message = f"{entry.path if entry.path.isprintable() else ascii(entry.path)}: {error.message}"
        error.args = (error.message,)
        raise
