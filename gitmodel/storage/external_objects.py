"""Objects in the object stores of others, to read: S3 with botocore, the rest with fsspec, with ambient credentials."""

from __future__ import annotations

import base64
from typing import Any, BinaryIO, NamedTuple, cast
from urllib.parse import unquote, urlsplit

from gitmodel.domain.digests import PREFIX, Digest
from gitmodel.domain.urls import scheme_of
from gitmodel.errors import GitModelError, NotFound, Unreachable, UsageError
from gitmodel.storage.stores import library

_EXTRAS = {"gs": "gcs", "gcs": "gcs", "az": "azure", "abfs": "azure", "abfss": "azure", "sftp": "sftp"}
# What the stores behind fsspec call the version of an object, and what changes when it is written.
_VERSIONS = ("version_id", "generation")
_MARKS = ("etag", "ETag", "md5Hash", "mtime", "last_modified")


class Found(NamedTuple):
    """An object as its store describes it: *digest* is its SHA-256 if the store knows that of the whole object."""

    size: int
    version_id: str
    digest: Digest
    mark: str


def look_up(uri: str, version_id: str) -> Found:
    """What the store says of the object. Raises NotFound, Unreachable, UsageError if the library is missing."""
    if scheme_of(uri) != "s3":
        return _look_up_with_fsspec(uri, version_id)
    bucket, key = _place(uri)
    answer = _ask_s3("head_object", uri, ChecksumMode="ENABLED", **_object(bucket, key, version_id))
    # Of an object in parts, S3 may tell a checksum of the checksums of the parts, which is of no use to anybody else.
    whole = answer.get("ChecksumSHA256", "") if answer.get("ChecksumType", "FULL_OBJECT") == "FULL_OBJECT" else ""
    digest = PREFIX + base64.b64decode(whole).hex() if whole and "-" not in whole else ""
    version = answer.get("VersionId", "")
    return Found(answer["ContentLength"], "" if version == "null" else version, digest, answer.get("ETag", ""))


def open(uri: str, version_id: str) -> BinaryIO:
    """A reader of the object. Raises as `look_up` does."""
    if scheme_of(uri) != "s3":
        return _open_with_fsspec(uri, version_id)
    bucket, key = _place(uri)
    return cast(BinaryIO, _ask_s3("get_object", uri, **_object(bucket, key, version_id))["Body"])


def _place(uri: str) -> tuple[str, str]:
    parts = urlsplit(uri)
    bucket, key = parts.netloc, unquote(parts.path.removeprefix("/"))
    if not bucket or not key or key.endswith("/") or parts.query or parts.fragment:
        raise UsageError(f"{uri} does not name one object", hint="write it as s3://bucket/path/to/object")
    return bucket, key


def _object(bucket: str, key: str, version_id: str) -> dict[str, str]:
    return {"Bucket": bucket, "Key": key, **({"VersionId": version_id} if version_id else {})}


def _s3_client() -> Any:
    return library("botocore.session", extra="s3").get_session().create_client("s3")


def _ask_s3(operation: str, uri: str, **arguments: str) -> Any:
    exceptions = library("botocore.exceptions", extra="s3")
    try:
        client = _s3_client()
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
        who = f"the access key ...{credentials.access_key[-4:]}" if credentials else "nobody: there are no credentials"
        return Unreachable(
            f"the bucket {bucket} refuses the key {key}{version} to {who} ({said})",
            hint="see who you are there with `aws sts get-caller-identity`, and ask for access",
        )
    return Unreachable(f"the bucket {bucket} fails at the key {key}: {said}", hint="try again later")


def _look_up_with_fsspec(uri: str, version_id: str) -> Found:
    info = _with_fsspec(uri, version_id, lambda files, path: files.info(path))
    if info.get("type") == "directory":
        raise UsageError(f"{uri} does not name one object", hint="name a single file")
    version = next((str(info[name]) for name in _VERSIONS if info.get(name)), "")
    mark = " ".join(str(info[name]) for name in _MARKS if info.get(name))
    return Found(int(info["size"]), version, "", mark)


def _open_with_fsspec(uri: str, version_id: str) -> BinaryIO:
    return cast(BinaryIO, _with_fsspec(uri, version_id, lambda files, path: files.open(path, "rb")))


def _with_fsspec(uri: str, version_id: str, work: Any) -> Any:
    fsspec = library("fsspec.core", extra=_EXTRAS[scheme_of(uri)])
    options = {"version_aware": True} if _EXTRAS[scheme_of(uri)] in ("gcs", "azure") else {}
    named = f"{uri}#{version_id}" if version_id and _EXTRAS[scheme_of(uri)] == "gcs" else uri
    try:
        files, path = fsspec.url_to_fs(named, use_listings_cache=False, **options)
        return work(files, path)
    except ImportError as error:
        raise UsageError(
            f"{uri} needs a package that is not installed: {error}",
            hint=f"pip install 'gitmodel[{_EXTRAS[scheme_of(uri)]}]'",
        ) from None
    except FileNotFoundError:
        raise NotFound(f"there is nothing at {uri}", hint="check the address") from None
    except Exception as error:  # each client has errors of its own
        said = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise Unreachable(f"{uri} cannot be read: {said}", hint="see your access to it, then try again") from error
