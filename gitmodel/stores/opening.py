"""Opening an artifact store by its URL. Each kind of server is imported when a URL names it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from gitmodel.errors import UsageError
from gitmodel.stores.interface import ArtifactStore
from gitmodel.stores.local_store import LocalStore

if TYPE_CHECKING:
    from urllib.parse import SplitResult

    from gitmodel.stores.backend import Backend
    from gitmodel.stores.requests.resumable_uploads import ResumableUploads

SERVERS = ("s3", "gs", "az", "sftp", "oci")


def open_store(url: str, *, default_root: Path) -> ArtifactStore:
    """Open the store at *url* ("": the store in *default_root*). *default_root* also has the copies of a remote store.

    A folder is `file:///path` or an absolute path; a remote store has a URL such as `s3://bucket/prefix`. Raises
    UsageError for any other URL; the message omits a URL that may contain a password.

    >>> open_store("", default_root=Path("/repo/.git/gitmodel")).shared
    False
    >>> open_store("file:///srv/models", default_root=Path("/repo/.git/gitmodel")).url
    'file:///srv/models'
    """
    if not url:
        return LocalStore(default_root)
    if url.startswith("/") and not url.startswith("//") and "\0" not in url:
        return LocalStore(Path(url), shared=True)
    from urllib.parse import urlsplit

    from gitmodel.domain.urls import path_of

    try:
        parts = urlsplit(url)
    except ValueError:
        raise UsageError(
            "the address of the artifact store is not a URL", hint="write it as file:///absolute/path"
        ) from None
    if "@" in parts.netloc or (not parts.netloc and "@" in url and not parts.path.startswith("/")):
        raise UsageError(
            "the URL of the artifact store holds credentials, which must not be recorded",
            hint="leave them out; gitmodel finds them where the tools of the store do, such as in the environment",
        )
    if parts.scheme not in ("", "file"):
        return _open_remote(parts, default_root)
    path = path_of(parts.path)
    if not parts.scheme or parts.netloc not in ("", "localhost") or parts.query or parts.fragment:
        raise UsageError(
            "the address of the artifact store does not name a folder", hint="write it as file:///absolute/path"
        )
    if not path.startswith("/") or "\0" in path:
        raise UsageError("the path of the artifact store is not absolute", hint="write it as file:///absolute/path")
    return LocalStore(Path(path), shared=True)


def _open_remote(parts: SplitResult, default_root: Path) -> ArtifactStore:
    from urllib.parse import unquote

    from gitmodel.stores.remote.cached_store import CachedStore
    from gitmodel.stores.remote.damaged_objects import DamagedObjects
    from gitmodel.stores.remote.remote_store import RemoteStore
    from gitmodel.stores.requests.resumable_uploads import ResumableUploads

    if parts.scheme not in SERVERS:
        raise UsageError(
            f"there are no artifact stores of the kind {ascii(parts.scheme)[1:-1]}:",
            hint=f"name a folder, file:///absolute/path, or a place on a server: {'://, '.join(SERVERS)}://",
        )
    if parts.query or parts.fragment or not parts.netloc or "//" in parts.path:
        raise UsageError(
            f"the URL of the artifact store does not have the form {parts.scheme}://PLACE/PATH",
            hint="leave out everything after ? and #; configure a server with environment variables",
        )
    begun = ResumableUploads(default_root / "uploads")
    backend = _backend(parts.scheme, parts.netloc, unquote(parts.path).strip("/"), begun)
    origin = RemoteStore(backend, DamagedObjects(backend.url, default_root / "damaged"))
    return CachedStore(origin, LocalStore(default_root, synced=False))


def _backend(scheme: str, place: str, path: str, begun: ResumableUploads) -> Backend:
    if scheme == "s3":
        from gitmodel.stores.servers.s3 import S3Backend

        return S3Backend(place, path)
    if scheme == "gs":
        from gitmodel.stores.servers.gcs import GcsBackend

        return GcsBackend(place, path, begun)
    if scheme == "az":
        from gitmodel.stores.servers.azure import AzureBackend

        return AzureBackend(place, path)
    if scheme == "oci":
        from gitmodel.stores.servers.oci import OciBackend

        # as docker does: registries on this machine are used without TLS
        local = place.rpartition(":")[0] in ("localhost", "127.0.0.1", "[::1]")
        return OciBackend(place, path, begun, secure=not local)
    from gitmodel.stores.servers.sftp import SftpBackend

    return SftpBackend(place, path)
