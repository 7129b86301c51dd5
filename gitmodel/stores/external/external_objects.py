"""Reading objects in stores that do not belong to the registry, with the credentials of this machine."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO, cast
from urllib.parse import unquote, urlsplit

from gitmodel.domain.schema.digests import PREFIX
from gitmodel.errors import GitModelError, NotFound, Unreachable, UsageError
from gitmodel.stores.interface import External, library
from gitmodel.stores.verified_reading import RawReader, buffered

RANGE = 8 << 20
"""The number of bytes that are requested at a time."""

# S3, by botocore's client.


def _look_up_s3(uri: str, version_id: str) -> External:
    bucket, key = _place(uri)
    answer = _ask_s3("head_object", uri, ChecksumMode="ENABLED", **_object(bucket, key, version_id))
    # For an object in parts, S3 can report a checksum of the checksums of the parts, which is not the object's digest.
    whole = answer.get("ChecksumSHA256", "") if answer.get("ChecksumType", "FULL_OBJECT") == "FULL_OBJECT" else ""
    digest = PREFIX + base64.b64decode(whole).hex() if whole and "-" not in whole else ""
    version = answer.get("VersionId", "")
    version = "" if version == "null" else version
    return External(uri, answer["ContentLength"], version, digest, answer.get("ETag", ""))


def _open_s3(uri: str, version_id: str) -> BinaryIO:
    bucket, key = _place(uri)
    return cast(BinaryIO, _ask_s3("get_object", uri, **_object(bucket, key, version_id))["Body"])


def _place(uri: str) -> tuple[str, str]:
    parts = urlsplit(uri)
    bucket, key = parts.netloc, unquote(parts.path.removeprefix("/"))
    if not bucket or not key or key.endswith("/") or parts.query or parts.fragment:
        raise UsageError(f"{uri} does not name one object", hint="write it as SCHEME://bucket/path/to/object")
    return bucket, key


def _object(bucket: str, key: str, version_id: str) -> dict[str, str]:
    return {"Bucket": bucket, "Key": key, **({"VersionId": version_id} if version_id else {})}


def _ask_s3(operation: str, uri: str, **arguments: str) -> Any:
    exceptions = library("botocore.exceptions", extra="s3")
    try:
        client = library("botocore.session", extra="s3").get_session().create_client("s3")
        return getattr(client, operation)(**arguments)
    except exceptions.ClientError as error:
        raise _s3_refusal(client, arguments, error.response) from None
    except (exceptions.BotoCoreError, OSError) as error:
        said = str(error).strip().splitlines()[0]
        raise Unreachable(f"{uri} cannot be read: {said}", hint="see `aws configure list`, then try again") from error


def _s3_refusal(client: Any, arguments: dict[str, str], response: Any) -> GitModelError:
    error = response.get("Error", {})
    status, code = response.get("ResponseMetadata", {}).get("HTTPStatusCode"), error.get("Code", "")
    bucket, key = arguments["Bucket"], arguments["Key"]
    version = f" in the version {arguments['VersionId']}" if "VersionId" in arguments else ""
    if status == 404 or code in ("NoSuchKey", "NoSuchVersion", "NoSuchBucket"):
        what = f"there is no bucket {bucket}" if code == "NoSuchBucket" else f"{bucket} has no {key}{version}"
        return NotFound(what, hint="check the bucket and the key; AWS_ENDPOINT_URL says which server is asked")
    said = f"{code}: {error.get('Message', '')}".strip(": ")
    if status in (401, 403):
        credentials = client._request_signer._credentials
        who = f"the access key ...{credentials.access_key[-4:]}" if credentials else "requests without credentials"
        return Unreachable(
            f"the bucket {bucket} refuses the key {key}{version} to {who} ({said})",
            hint="check your identity with `aws sts get-caller-identity`, and ask for access",
        )
    return Unreachable(f"reading the key {key} of the bucket {bucket} failed: {said}", hint="try again later")


# Google calls a version of an object a generation.


def _look_up_gcs(uri: str, version_id: str) -> External:
    bucket, key = _gcs(uri)
    query = {"generation": version_id} if version_id else {}
    found = bucket.describe(key, fields="size,generation", about=key, query=query)
    if found is None:
        raise _nothing(uri, version_id)
    generation = str(found["generation"])
    return External(uri, int(found["size"]), generation, mark=generation)


def _open_gcs(uri: str, version_id: str) -> BinaryIO:
    bucket, key = _gcs(uri)
    found = _look_up_gcs(uri, version_id)

    def fetch(start: int, length: int) -> bytes:
        answer = bucket.request(
            "GET",
            bucket.path_of(key),
            query={"alt": "media", "generation": found.version_id},
            headers={"range": f"bytes={start}-{start + length - 1}"},
            about=key,
            allowed=(404,),
        )
        if answer.status == 404:
            raise _nothing(uri, found.version_id)
        return bytes(answer.body)

    return _ranges(fetch, found.size)


def _gcs(uri: str) -> tuple[Any, str]:
    from gitmodel.stores.servers.gcs import Bucket

    name, key = _place(uri)
    return Bucket(name, f"the bucket {name}"), key


# Azure. A blob has a version id only if the account keeps versions.


def _look_up_azure(uri: str, version_id: str) -> External:
    container, key = _azure(uri)
    with _existing(uri, version_id):
        found = container.do(lambda: _blob(container, key, version_id).get_blob_properties(), key)
    return External(uri, int(found.size), found.version_id or "", mark=str(found.etag))


def _open_azure(uri: str, version_id: str) -> BinaryIO:
    container, key = _azure(uri)
    blob, size = _blob(container, key, version_id), _look_up_azure(uri, version_id).size

    def fetch(start: int, length: int) -> bytes:
        with _existing(uri, version_id):
            return bytes(container.do(lambda: blob.download_blob(offset=start, length=length).readall(), uri))

    return _ranges(fetch, size)


def _azure(uri: str) -> tuple[Any, str]:
    from gitmodel.stores.servers.azure import Container

    place, key = _place(uri)
    name, _, host = place.partition("@")
    return Container(name, f"the container {name}", host=host), key


def _blob(container: Any, key: str, version_id: str) -> Any:
    return container.client.get_blob_client(key, **({"version_id": version_id} if version_id else {}))


# A file on a host, read over SSH.


def _look_up_sftp(uri: str, version_id: str) -> External:
    host, path = _sftp(uri)
    with _existing(uri, ""):
        found = host.describe(path)
    if found["type"] != "file":
        raise UsageError(f"{uri} does not name one object", hint="name a single file")
    return External(uri, int(found["size"]), mark=f"{found['mtime']}")


def _open_sftp(uri: str, version_id: str) -> BinaryIO:
    host, path = _sftp(uri)
    size = _look_up_sftp(uri, version_id).size

    def fetch(start: int, length: int) -> bytes:
        with _existing(uri, ""):
            return bytes(host.read(path, start, length))

    return _ranges(fetch, size)


def _sftp(uri: str) -> tuple[Any, str]:
    from gitmodel.stores.servers.sftp import Host

    place, path = _place(uri)
    return Host(place, uri), f"/{path}"


# The functions that look up and open an object, by the scheme of its URI. They raise NotFound, Unreachable, and
# UsageError if a library is missing.
KINDS: dict[str, tuple[Callable[[str, str], External], Callable[[str, str], BinaryIO]]] = {
    "s3": (_look_up_s3, _open_s3),
    "gs": (_look_up_gcs, _open_gcs),
    "gcs": (_look_up_gcs, _open_gcs),
    "az": (_look_up_azure, _open_azure),
    "abfs": (_look_up_azure, _open_azure),
    "abfss": (_look_up_azure, _open_azure),
    "sftp": (_look_up_sftp, _open_sftp),
}


class _Ranges(RawReader):
    """Reads an object of *size* bytes, and fetches it in ranges."""

    def __init__(self, fetch: Callable[[int, int], bytes], size: int) -> None:
        self._fetch = fetch
        self._left = size
        self._start = 0

    def fill(self, view: memoryview) -> int:
        count = min(len(view), self._left)
        content = self._fetch(self._start, count) if count else b""
        view[: len(content)] = content
        self._start += len(content)
        # If the answer is empty, the file has become shorter, and ends here.
        self._left -= count if not content else len(content)
        return len(content)


def _ranges(fetch: Callable[[int, int], bytes], size: int) -> BinaryIO:
    return buffered(_Ranges(fetch, size), RANGE)


@contextmanager
def _existing(uri: str, version_id: str) -> Iterator[None]:
    """Convert FileNotFoundError to the error for an object that does not exist."""
    try:
        yield
    except FileNotFoundError:
        raise _nothing(uri, version_id) from None


def _nothing(uri: str, version_id: str) -> NotFound:
    version = f" in the version {version_id}" if version_id else ""
    return NotFound(f"there is nothing at {uri}{version}", hint="check the address")
