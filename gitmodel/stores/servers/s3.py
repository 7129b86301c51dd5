"""The artifact store in a bucket of S3, or of a server that speaks its protocol.

botocore finds credentials, region and endpoint; libcurl signs and sends the requests. The operations are described at
https://docs.aws.amazon.com/AmazonS3/latest/API/API_Operations_Amazon_Simple_Storage_Service.html. Every request body
is signed by its SHA-256, so the server refuses a body that changed on its way.
"""

from __future__ import annotations

import hashlib
import re
import threading
from collections.abc import Iterator, Mapping
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote_plus, urlencode, urlsplit
from xml.etree import ElementTree

from gitmodel.domain.schema.digests import PREFIX, Digest, digest_at, hex_of, object_path
from gitmodel.errors import Invalid, Unreachable, UsageError
from gitmodel.stores.backend import missing, part_size, require_stored, size_of
from gitmodel.stores.interface import Leftover, StoredObject, is_old, library
from gitmodel.stores.requests.http import Answer, Key, Server

if TYPE_CHECKING:
    from botocore.credentials import Credentials

PARTS = 9_000  # S3 allows 10,000
COPIED = 5 << 30  # bytes: S3 copies a larger object only in parts
PAGE = "1000"  # names that S3 lists at a time
OWN = "x-amz-meta-sha256"  # `backend.OWN` as S3 names it

_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")


class S3Backend:
    """Objects under *prefix* in *bucket*; *timeout* is the number of seconds that the server may send nothing."""

    def __init__(self, bucket: str, prefix: str, *, timeout: float = 60.0, attempts: int = 6) -> None:
        if not _BUCKET.fullmatch(bucket) or ".." in bucket:
            raise UsageError(
                f"{bucket!a} is not a name of a bucket, which has 3 to 63 lower-case letters, digits, dots and hyphens",
                hint="write the store as s3://BUCKET/PREFIX",
            )
        if {".", ".."} & set(prefix.split("/")):
            raise UsageError("an S3 prefix cannot hold . and .. as names", hint="write the store as s3://BUCKET/PREFIX")
        self.bucket = bucket
        self.prefix = f"{prefix}/" if prefix else ""
        self._session = library("botocore.session", extra="s3").get_session()
        self._credentials: Credentials | None = None
        self._settings = threading.Lock()
        base, self._region = self._endpoint()
        parts = urlsplit(base)
        self._path = parts.path.rstrip("/")
        base, name = f"{parts.scheme}://{parts.netloc}", f"the artifact store {self.url}"
        self._server = Server(base, name, timeout=timeout, attempts=attempts, extra="s3")
        self._seen = False  # True after a request that showed that the bucket exists

    @property
    def url(self) -> str:
        return f"s3://{self.bucket}/{self.prefix}".rstrip("/")

    def create(self) -> None:
        """Verify that the bucket exists and accepts the credentials. gitmodel does not create buckets."""
        self._request("HEAD", "", about="")
        self._seen = True

    def stat(self, digest: Digest) -> StoredObject | None:
        answer = self._request("HEAD", self._key(digest), about=digest, allowed=(404,))
        if answer.status == 404:
            if not self._seen:
                self.create()
            return None
        size = int(answer.headers.get("content-length", -1))
        return StoredObject(digest, size, _modified(answer))

    def read(self, digest: Digest, start: int, length: int) -> tuple[bytes | bytearray, int]:
        wanted = {"range": f"bytes={start}-{start + length - 1}"}
        answer = self._request("GET", self._key(digest), headers=wanted, about=digest, allowed=(404, 416))
        if answer.status == 404:
            if _code(answer) == "NoSuchBucket":
                raise self._refusal(answer, "GET", digest)
            raise missing(self.url, digest)
        if answer.status == 416 or (answer.status == 200 and start):
            return b"", size_of(self, digest)
        return answer.body, answer.total

    def write(self, digest: Digest, content: bytes | bytearray, *, replace: bool = False) -> None:
        name = hex_of(digest)
        headers = {OWN: name, "content-type": "application/octet-stream"}
        if not replace:
            once = {**headers, "if-none-match": "*"}
            answer = self._request(
                "PUT", self._key(digest), body=content, hashed=name, headers=once, about=digest, allowed=(409, 412)
            )
            if answer.status < 300 or ((there := self.has(digest, len(content))) is not None and not is_old(there)):
                return
            # another program wrote the object, or its timestamp is old
        self._request("PUT", self._key(digest), body=content, hashed=name, headers=headers, about=digest)

    def upload(self, digest: Digest, size: int) -> S3Upload:
        key, length = self._key(digest), part_size(size, PARTS)
        begun = [(started, id) for found, id, started in self._uploads(key) if found == key]
        if begun:
            id = max(begun)[1]
            sent = {number: (tag, size) for number, tag, size, _ in self._parts(key, id)}
            return S3Upload(self, digest, size, length, id, sent)
        return S3Upload(self, digest, size, length, self._begin(digest), {})

    def objects(self) -> Iterator[StoredObject]:
        query = {"list-type": "2", "prefix": f"{self.prefix}sha256/", "encoding-type": "url", "max-keys": PAGE}
        while True:
            page = _parse(self._request("GET", "", query=query, about=""))
            for found in _all(page, "Contents"):
                digest = digest_at(unquote_plus(_text(found, "Key")).removeprefix(self.prefix))
                if digest is not None:
                    yield StoredObject(digest, int(_text(found, "Size")), _time(_text(found, "LastModified")))
            if _text(page, "IsTruncated") != "true":
                return
            query["continuation-token"] = _text(page, "NextContinuationToken")

    def remove(self, digest: Digest) -> None:
        self._request("DELETE", self._key(digest), about=digest, allowed=(404,))

    def leftovers(self) -> list[Leftover]:
        found = []
        for key, id, started in self._uploads(f"{self.prefix}sha256/"):
            parts = list(self._parts(key, id))
            modified = max([started, *(time for *_, time in parts)])
            found.append(Leftover(f"{key} {id}", sum(size for _, _, size, _ in parts), modified))
        return found

    def remove_leftover(self, leftover: Leftover) -> None:
        key, _, id = leftover.name.rpartition(" ")
        self._request("DELETE", key, query={"uploadId": id}, about=key, allowed=(404,))

    def send_part(self, digest: Digest, id: str, number: int, content: bytes | bytearray) -> str | None:
        """Send a part, numbered from 1, and return its entity tag; None if the upload no longer exists."""
        query = {"partNumber": str(number), "uploadId": id}
        answer = self._request("PUT", self._key(digest), query=query, body=content, about=digest, allowed=(404,))
        if answer.status == 404 and _code(answer) != "NoSuchUpload":
            raise self._refusal(answer, "PUT", digest)
        return answer.headers["etag"] if answer.status != 404 else None

    def complete(self, digest: Digest, id: str, tags: Mapping[int, str]) -> bool:
        """Create the object from the parts. Return False if the upload no longer exists."""
        body = "".join(
            f"<Part><PartNumber>{number}</PartNumber><ETag>{tag}</ETag></Part>" for number, tag in sorted(tags.items())
        )
        content = f"<CompleteMultipartUpload>{body}</CompleteMultipartUpload>".encode()
        answer = self._request(
            "POST", self._key(digest), query={"uploadId": id}, body=content, about=digest, allowed=(404,)
        )
        if answer.status == 404 and _code(answer) == "NoSuchUpload":
            return False
        # S3 sends status 200 before it has finished, and then reports a failure in the body.
        if answer.status == 404 or _code(answer):
            raise self._refusal(answer, "POST", digest)
        return True

    def abort(self, digest: Digest, id: str) -> None:
        self._request("DELETE", self._key(digest), query={"uploadId": id}, about=digest, allowed=(404,))

    def has(self, digest: Digest, size: int) -> StoredObject | None:
        answer = self._request("HEAD", self._key(digest), about=digest, allowed=(404,))
        known = answer.headers.get(OWN) == hex_of(digest) and answer.headers.get("content-length") == str(size)
        return StoredObject(digest, size, _modified(answer)) if answer.status == 200 and known else None

    def renew(self, digest: Digest, size: int) -> None:
        """Make the server copy the object onto itself; in parts, if the object is longer than S3's limit for a copy."""
        key = self._key(digest)
        source = {"x-amz-copy-source": quote(f"/{self.bucket}/{key}")}
        if size <= COPIED:
            headers = {
                OWN: hex_of(digest),
                "content-type": "application/octet-stream",
                "x-amz-metadata-directive": "REPLACE",
            }
            self._copied(self._request("PUT", key, headers={**source, **headers}, about=digest), digest)
            return
        id, tags = self._begin(digest), {}
        for number, start in enumerate(range(0, size, COPIED), start=1):
            part = {"x-amz-copy-source-range": f"bytes={start}-{min(start + COPIED, size) - 1}"}
            query = {"partNumber": str(number), "uploadId": id}
            answer = self._request("PUT", key, query=query, headers={**source, **part}, about=digest)
            tags[number] = self._copied(answer, digest)
        self.complete(digest, id, tags)

    def _copied(self, answer: Answer, digest: Digest) -> str:
        """Return the entity tag of a copy. S3 sends status 200 before the copy, and reports a failure in the body."""
        if _code(answer):
            raise self._refusal(answer, "PUT", digest)
        return _text(_parse(answer), "ETag")

    def _begin(self, digest: Digest) -> str:
        headers = {OWN: hex_of(digest), "content-type": "application/octet-stream"}
        answer = self._request("POST", self._key(digest), query={"uploads": ""}, headers=headers, about=digest)
        return _text(_parse(answer), "UploadId")

    def _uploads(self, prefix: str) -> Iterator[tuple[str, str, float]]:
        query = {"uploads": "", "prefix": prefix, "encoding-type": "url", "max-uploads": PAGE}
        while True:
            page = _parse(self._request("GET", "", query=query, about=""))
            for found in _all(page, "Upload"):
                yield unquote_plus(_text(found, "Key")), _text(found, "UploadId"), _time(_text(found, "Initiated"))
            if _text(page, "IsTruncated") != "true":
                return
            query["key-marker"] = unquote_plus(_text(page, "NextKeyMarker"))
            query["upload-id-marker"] = _text(page, "NextUploadIdMarker")

    def _parts(self, key: str, id: str) -> Iterator[tuple[int, str, int, float]]:
        query = {"uploadId": id}
        while True:
            answer = self._request("GET", key, query=query, about=key, allowed=(404,))
            if answer.status == 404:
                return
            page = _parse(answer)
            for found in _all(page, "Part"):
                size, time = int(_text(found, "Size")), _time(_text(found, "LastModified"))
                yield int(_text(found, "PartNumber")), _text(found, "ETag"), size, time
            if _text(page, "IsTruncated") != "true":
                return
            query["part-number-marker"] = _text(page, "NextPartNumberMarker")

    def _key(self, digest: Digest) -> str:
        return f"{self.prefix}{object_path(digest)}"

    def _request(
        self,
        method: str,
        key: str,
        *,
        about: str,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        body: bytes | bytearray = b"",
        hashed: str = "",
        allowed: tuple[int, ...] = (),
    ) -> Answer:
        path = f"{self._path}/{quote(key, safe='/~')}" if key else self._path or "/"
        if query:
            path += f"?{urlencode(sorted(query.items()), quote_via=quote, safe='~')}"
        hashed = hashed or hashlib.sha256(body).hexdigest()

        def made() -> dict[str, str]:
            token = self._principal().get_frozen_credentials().token
            session = {"x-amz-security-token": token} if token else {}
            return {**(headers or {}), **session, "x-amz-content-sha256": hashed}

        def signing_key() -> Key:
            frozen = self._principal().get_frozen_credentials()
            return Key(self._region, frozen.access_key, frozen.secret_key)

        def ask() -> Answer:
            return self._server.request(
                method, path, headers=made, body=body, key=signing_key, what=about or self.bucket
            )

        answer = ask()
        if answer.status in (301, 400) and answer.headers.get("x-amz-bucket-region", self._region) != self._region:
            self._region = answer.headers["x-amz-bucket-region"]
            answer = ask()
        if answer.status < 300 or answer.status in allowed:
            return answer
        raise self._refusal(answer, method, about)

    def _principal(self) -> Credentials:
        with self._settings:
            if self._credentials is None:
                self._credentials = _calling(self._session.get_credentials)
            if self._credentials is None:
                raise Unreachable(
                    f"there are no credentials for {self.url}",
                    hint="set them with `aws configure`, or set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
                )
            return self._credentials

    def _endpoint(self) -> tuple[str, str]:
        """Return the address of the bucket and the region, from botocore's settings."""
        region = self._session.get_config_variable("region") or "us-east-1"
        if endpoint := self._configured():  # asked first, because making a client of botocore takes a third of a second
            return f"{endpoint.rstrip('/')}/{self.bucket}", region
        config = library("botocore.config", extra="s3").Config(signature_version="s3v4")
        client = _calling(
            lambda: self._session.create_client(
                "s3", region, config=config, aws_access_key_id="-", aws_secret_access_key="-"
            )
        )
        try:
            url = client.generate_presigned_url("get_object", Params={"Bucket": self.bucket, "Key": "-"})
        finally:
            client.close()
        return url.partition("?")[0].removesuffix("/-"), client.meta.region_name

    def _configured(self) -> str:
        """Return the configured endpoint; "" if there is none, or if its host name contains the bucket."""
        provider = library("botocore.configprovider", extra="s3").ConfiguredEndpointProvider
        profile = _calling(self._session.get_scoped_config)
        ignored = _calling(lambda: self._session.get_config_variable("ignore_configured_endpoint_urls"))
        style = (profile.get("s3") or {}).get("addressing_style", "auto")
        if ignored or style == "virtual":
            return ""
        return provider(self._session.full_config, profile, "s3").provide() or ""

    def _refusal(self, answer: Answer, method: str, about: str) -> Exception:
        code, message = _code(answer), ""
        if answer.body and code:
            message = _text(_parse(answer), "Message")
        at = f"{self.url} at {self._server.base}"
        if code == "NoSuchBucket" or (answer.status == 404 and not about):
            return Unreachable(
                f"there is no bucket {self.bucket} at {self._server.base}",
                hint=f"create it, for example with `aws s3 mb s3://{self.bucket}`, or name another store with "
                "`git model config store URL`",
            )
        said = f"{code or answer.status}{f': {message}' if message else ''}"
        if answer.status in (401, 403) or code in ("ExpiredToken", "InvalidToken"):
            key = f" of the key {self._key(about)}" if about.startswith(PREFIX) else ""
            return Unreachable(
                f"the artifact store {at} refuses {method}{key} to {self._who()}: {said}",
                hint="check your identity with `aws sts get-caller-identity`, and ask for access to the bucket",
            )
        if code == "BadDigest" or code == "XAmzContentSHA256Mismatch":
            return Invalid(f"{about} changed on its way to {at}", hint="try again")
        return Unreachable(
            f"the artifact store {at} fails at {method} of {about or self.bucket}: {said}",
            hint="check the server, and run the same command again: it resumes",
        )

    def _who(self) -> str:
        credentials = self._principal()
        return f"the access key ...{credentials.access_key[-4:]} (from {credentials.method})"


class S3Upload:
    """The multipart upload *id*, which has no effect before it is finished.

    *sent* has the entity tag and the length of each part that an earlier attempt sent, by the number of the part.
    """

    ordered = False

    def __init__(
        self, backend: S3Backend, digest: Digest, size: int, part_size: int, id: str, sent: dict[int, tuple[str, int]]
    ) -> None:
        self.part_size = part_size
        self._backend = backend
        self._digest = digest
        self._size = size
        self._id = id
        self._tags: dict[int, str] = {}
        self._sent = sent
        self._gone = False

    def holds(self, number: int, content: bytes | bytearray) -> bool:
        tag, size = self._sent.get(number + 1, ("", -1))
        # The entity tag of a part is its MD5. A server that encrypts parts uses other tags: then the part is sent
        # again.
        if size != len(content) or hashlib.md5(content, usedforsecurity=False).hexdigest() != tag.strip('"'):
            return False
        self._tags[number + 1] = tag
        return True

    def send(self, number: int, content: bytes | bytearray) -> None:
        if self._gone:
            return
        tag = self._backend.send_part(self._digest, self._id, number + 1, content)
        if tag is None:
            self._ended()
        else:
            self._tags[number + 1] = tag

    def finish(self) -> None:
        if not self._gone and not self._backend.complete(self._digest, self._id, self._tags):
            self._ended()

    def abort(self) -> None:
        self._backend.abort(self._digest, self._id)

    def pause(self) -> None:
        """Do nothing: S3 lists the parts for a later attempt."""

    def _ended(self) -> None:
        """Skip the rest of an upload that no longer exists, because another writer has stored the object.

        Raises Unreachable if the server does not have the object: then somebody aborted the upload.
        """
        require_stored(self._backend, self._digest, self._size)
        self._gone = True


def _calling(work: Any) -> Any:
    """Return the result of *work*, which reads botocore's settings. Raises Unreachable if the settings are wrong."""
    from botocore.exceptions import BotoCoreError

    try:
        return work()
    except BotoCoreError as error:
        raise Unreachable(f"the settings of S3 do not work: {error}", hint="see `aws configure list`") from error


def _parse(answer: Answer) -> ElementTree.Element:
    try:
        return ElementTree.fromstring(answer.body)
    except ElementTree.ParseError:
        raise Unreachable("the server does not support the S3 protocol", hint="see AWS_ENDPOINT_URL") from None


def _code(answer: Answer) -> str:
    if not answer.body.lstrip().startswith(b"<"):
        return ""
    try:
        root = ElementTree.fromstring(answer.body)
    except ElementTree.ParseError:
        return ""
    return _text(root, "Code") if root.tag.rpartition("}")[2] == "Error" else ""


def _all(element: ElementTree.Element, name: str) -> Iterator[ElementTree.Element]:
    return (child for child in element if child.tag.rpartition("}")[2] == name)


def _text(element: ElementTree.Element, name: str) -> str:
    return next((child.text or "" for child in _all(element, name)), "")


def _modified(answer: Answer) -> float:
    return parsedate_to_datetime(answer.headers["last-modified"]).timestamp()


def _time(text: str) -> float:
    return datetime.fromisoformat(text.replace("Z", "+00:00")).astimezone(timezone.utc).timestamp()
