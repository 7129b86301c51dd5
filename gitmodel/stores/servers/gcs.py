"""The artifact store in a bucket of Google Cloud Storage.

google-auth provides credentials; libcurl sends the requests of https://cloud.google.com/storage/docs/json_api. A large
object is sent in one resumable session. The address of the session is stored on this machine. Google ends sessions
after a week.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
import threading
from collections.abc import Iterator, Mapping
from datetime import datetime, timezone
from typing import Any
from urllib.parse import quote, urlencode

from gitmodel.domain.schema.digests import Digest, digest_at, hex_of, object_path
from gitmodel.errors import Invalid, Unreachable, UsageError
from gitmodel.stores.backend import OWN, PART, ExpiringUploads, missing, size_of
from gitmodel.stores.interface import StoredObject, is_old, library
from gitmodel.stores.requests.http import Answer, Server
from gitmodel.stores.requests.resumable_uploads import ResumableUpload, ResumableUploads

PAGE = 1000

_BUCKET = re.compile(r"[a-z0-9][a-z0-9._-]{1,220}[a-z0-9]")
_SCOPE = "https://www.googleapis.com/auth/devstorage.read_write"


class Bucket:
    """Requests to the bucket of a store or of external artifacts. Messages call the bucket *name*."""

    def __init__(self, bucket: str, name: str, *, timeout: float = 60.0, attempts: int = 6) -> None:
        if not _BUCKET.fullmatch(bucket):
            raise UsageError(
                f"{bucket!a} is not a name of a bucket, which has 3 or more lower-case letters, digits, dots, _ and -",
                hint="write it as gs://BUCKET/PREFIX",
            )
        self.bucket = bucket
        self._name = name
        self._credentials: Any = None
        self._signer: Any = None
        self._signing_in = threading.Lock()
        # The variable names an emulator of Google's store, which needs no credentials.
        emulator = os.environ.get("STORAGE_EMULATOR_HOST", "")
        self._open_to_all = bool(emulator)
        base = emulator if "://" in emulator else f"http://{emulator}" if emulator else _google()
        self.server = Server(base.rstrip("/"), name, timeout=timeout, attempts=attempts, extra="gcs")

    def request(
        self,
        method: str,
        path: str,
        *,
        about: str,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        body: bytes | bytearray = b"",
        allowed: tuple[int, ...] = (),
    ) -> Answer:
        """Return the answer to a request. Raises Unreachable if its status is neither a success nor in *allowed*.

        *about* is the object that messages name, such as its digest; "" for a request about the bucket.
        """
        if query:
            path += f"?{urlencode(query, quote_via=quote)}"

        def signed() -> dict[str, str]:
            made = dict(headers or {})
            if not self._open_to_all:
                self._sign(method, path, made)
            return made

        answer = self.server.request(method, path, headers=signed, body=body, what=about or self.bucket)
        if answer.status < 300 or answer.status in allowed:
            return answer
        raise self.refusal(answer, method, about)

    def describe(self, key: str, *, fields: str, about: str, query: Mapping[str, str] | None = None) -> Any:
        """Return Google's metadata of an object; None if the object does not exist."""
        asked = {**(query or {}), "fields": fields}
        answer = self.request("GET", self.path_of(key), query=asked, about=about, allowed=(404,))
        return None if answer.status == 404 else answer.json()

    def require(self) -> None:
        """Raise Unreachable if the bucket does not exist or cannot be used."""
        path = f"/storage/v1/b/{self.bucket}/o"
        self.request("GET", path, query={"maxResults": "1", "fields": "kind"}, about="")

    def path_of(self, key: str) -> str:
        """Return the path of an object in Google's interface."""
        return f"/storage/v1/b/{self.bucket}/o/{quote(key, safe='')}"

    def refusal(self, answer: Answer, method: str, about: str) -> Unreachable:
        """Return the error to raise for an unexpected answer."""
        error = answer.json().get("error") or {}
        said = str(error.get("message") or answer.body[:200].decode(errors="replace")).strip() or str(answer.status)
        said = said.splitlines()[0]
        if answer.status == 404 and not about:
            return Unreachable(
                f"there is no bucket {self.bucket} at {self.server.base}",
                hint=f"create it, for example with `gcloud storage buckets create gs://{self.bucket}`, or name another "
                "store with `git model config store URL`",
            )
        if answer.status in (401, 403):
            return Unreachable(
                f"{self._name} refuses {method} of {about or self.bucket} to {self._who()}: {said}",
                hint="check your identity with `gcloud auth list`, and ask for access to the bucket",
            )
        return Unreachable(
            f"{self._name} fails at {method} of {about or self.bucket}: {answer.status} {said}",
            hint="check the server, and run the same command again: it resumes",
        )

    def _sign(self, method: str, path: str, headers: dict[str, str]) -> None:
        auth = library("google.auth", extra="gcs")
        errors = library("google.auth.exceptions", extra="gcs")
        with self._signing_in:
            try:
                if self._credentials is None:
                    self._credentials, _ = auth.default(scopes=[_SCOPE])
                    transport = library("google.auth.transport.urllib3", extra="gcs")
                    self._signer = transport.Request(library("urllib3", extra="gcs").PoolManager())
                self._credentials.before_request(self._signer, method, f"{self.server.base}{path}", headers)
            except errors.GoogleAuthError as error:
                raise Unreachable(
                    f"nobody is signed in for {self._name}: {str(error).splitlines()[0]}",
                    hint="sign in with `gcloud auth application-default login`, or set GOOGLE_APPLICATION_CREDENTIALS",
                ) from error

    def _who(self) -> str:
        who = getattr(self._credentials, "service_account_email", None) or getattr(self._credentials, "account", None)
        return str(who or "who is signed in here")


class GcsBackend(ExpiringUploads):
    """Objects with *prefix* in *bucket*. *begun* are the uploads started on this machine."""

    def __init__(
        self, bucket: str, prefix: str, begun: ResumableUploads, *, timeout: float = 60.0, attempts: int = 6
    ) -> None:
        self.url = f"gs://{bucket}/{prefix}".rstrip("/")
        self._prefix = f"{prefix}/" if prefix else ""
        self.bucket = Bucket(bucket, f"the artifact store {self.url}", timeout=timeout, attempts=attempts)
        self._begun = begun
        self._seen = False  # True after a request that showed that the bucket exists

    def create(self) -> None:
        """Verify that the bucket exists and that Google accepts the credentials. gitmodel does not create buckets."""
        self.bucket.require()
        self._seen = True

    def stat(self, digest: Digest) -> StoredObject | None:
        found = self._describe(digest, "size,updated,customTime")
        return None if found is None else StoredObject(digest, int(found["size"]), _modified(found))

    def has(self, digest: Digest, size: int) -> StoredObject | None:
        found = self._describe(digest, "size,updated,customTime,metadata")
        if found is None or (found.get("metadata") or {}).get(OWN) != hex_of(digest) or int(found["size"]) != size:
            return None
        return StoredObject(digest, size, _modified(found))

    def renew(self, digest: Digest, size: int) -> None:
        """Set `customTime` to now. Lifecycle rules of the bucket can use this time."""
        body = json.dumps({"customTime": datetime.now(timezone.utc).isoformat(timespec="milliseconds")}).encode()
        headers = {"content-type": "application/json"}
        path = self.bucket.path_of(self._key(digest))
        self.bucket.request("PATCH", path, headers=headers, body=body, about=digest)

    def read(self, digest: Digest, start: int, length: int) -> tuple[bytes | bytearray, int]:
        wanted = {"range": f"bytes={start}-{start + length - 1}"}
        answer = self.bucket.request(
            "GET", self.bucket.path_of(self._key(digest)), query={"alt": "media"}, headers=wanted, about=digest,
            allowed=(404, 416),
        )  # fmt: skip
        if answer.status == 404:
            self._require_bucket()
            raise missing(self.url, digest)
        if answer.status == 416 or (answer.status == 200 and start):
            return b"", size_of(self, digest)
        return answer.body, answer.total

    def write(self, digest: Digest, content: bytes | bytearray, *, replace: bool = False) -> None:
        told = {**self._described(digest), "md5Hash": _md5(hashlib.md5(content, usedforsecurity=False))}
        cut = os.urandom(16).hex()
        head = f"--{cut}\r\ncontent-type: application/json\r\n\r\n{json.dumps(told)}\r\n"
        head += f"--{cut}\r\ncontent-type: {_TYPE}\r\n\r\n"
        body = b"".join((head.encode(), content, f"\r\n--{cut}--\r\n".encode()))
        query = {"uploadType": "multipart"}
        headers = {"content-type": f'multipart/related; boundary="{cut}"'}
        if not replace:
            once = {**query, "ifGenerationMatch": "0"}
            answer = self.bucket.request(
                "POST", self._uploads, query=once, headers=headers, body=body, about=digest, allowed=(412,)
            )
            if answer.status < 300 or ((there := self.has(digest, len(content))) is not None and not is_old(there)):
                return
            # upload again: another program wrote it with another length, or `store gc` may delete it because it is old
        self.bucket.request("POST", self._uploads, query=query, headers=headers, body=body, about=digest)

    def upload(self, digest: Digest, size: int) -> GcsUpload:
        return GcsUpload(self, digest, size, self._begun.hold(self.url, digest))

    def objects(self) -> Iterator[StoredObject]:
        query = {
            "prefix": f"{self._prefix}sha256/",
            "fields": "nextPageToken,items(name,size,updated,customTime)",
            "maxResults": str(PAGE),
        }
        while True:
            page = self.bucket.request("GET", f"/storage/v1/b/{self.bucket.bucket}/o", query=query, about="").json()
            for found in page.get("items") or ():
                digest = digest_at(found["name"].removeprefix(self._prefix))
                if digest is not None:
                    yield StoredObject(digest, int(found["size"]), _modified(found))
            if not page.get("nextPageToken"):
                return
            query["pageToken"] = page["nextPageToken"]

    def remove(self, digest: Digest) -> None:
        self.bucket.request("DELETE", self.bucket.path_of(self._key(digest)), about=digest, allowed=(404,))

    def begin(self, digest: Digest, size: int) -> str:
        """Start an upload of an object in parts; return the address of the session."""
        headers = {
            "content-type": "application/json",
            "x-upload-content-type": _TYPE,
            "x-upload-content-length": str(size),
        }
        answer = self.bucket.request(
            "POST", self._uploads, query={"uploadType": "resumable", "name": self._key(digest)}, headers=headers,
            body=json.dumps(self._described(digest)).encode(), about=digest,
        )  # fmt: skip
        return self.bucket.server.path_of(answer.headers.get("location", ""))

    def send_range(self, where: str, digest: Digest, range: str, content: bytes = b"", *, hashed: str = "") -> Answer:
        """Send *content* as the bytes *range* of an upload, or ask for the progress of the upload.

        *where* is the address of the session. *range* has the form of `Content-Range`; `*/SIZE` without *content* asks
        for the progress. *hashed* is the MD5 of the whole object in Base64, which Google compares when the upload is
        complete; "" for parts before the last one. The answer has the status 308 and the progress, 200 if the upload is
        complete, or the status of an error that the caller handles.
        """
        headers = {"content-range": f"bytes {range}", **({"x-goog-hash": f"md5={hashed}"} if hashed else {})}
        return self.bucket.request(
            "PUT", where, headers=headers, body=content, about=digest, allowed=(308, 400, 404, 410, 416)
        )

    @property
    def _uploads(self) -> str:
        return f"/upload/storage/v1/b/{self.bucket.bucket}/o"

    def _described(self, digest: Digest) -> dict[str, Any]:
        return {"name": self._key(digest), "contentType": _TYPE, "metadata": {OWN: hex_of(digest)}}

    def _describe(self, digest: Digest, fields: str) -> Any:
        found = self.bucket.describe(self._key(digest), fields=fields, about=digest)
        if found is None:
            self._require_bucket()
        return found

    def _require_bucket(self) -> None:
        if not self._seen:
            self.create()

    def _key(self, digest: Digest) -> str:
        return f"{self._prefix}{object_path(digest)}"


class GcsUpload:
    """Sends an object part by part in one session.

    Keeps the last part until `finish`, because Google creates the object when it gets the last part.
    """

    ordered = True
    part_size = PART  # a multiple of 256 KiB, which Google requires

    def __init__(self, backend: GcsBackend, digest: Digest, size: int, begun: ResumableUpload) -> None:
        self._backend = backend
        self._digest = digest
        self._size = size
        self._begun = begun
        self._hash = hashlib.md5(usedforsecurity=False)
        self._passed = 0  # the bytes of the object that were passed to `send`
        self._last: bytes | bytearray = b""
        self._had = 0  # the bytes of the object that Google has
        if begun.where:
            self._look()

    def holds(self, number: int, content: bytes | bytearray) -> bool:
        return False  # `send` hashes and skips bytes that Google already has

    def send(self, number: int, content: bytes | bytearray) -> None:
        self._hash.update(content)
        self._passed += len(content)
        if self._passed == self._size:
            self._last = content
        else:
            self._send(content)

    def finish(self) -> None:
        there = self._send(self._last, final=True).get("md5Hash")
        self._begun.forget()
        if there is not None and there != _md5(self._hash):
            self._backend.remove(self._digest)
            raise Invalid(
                f"{self._digest} changed on its way to {self._backend.url}",
                hint="try again: the upload starts from its beginning",
            )

    def abort(self) -> None:
        if self._begun.where:
            self._backend.bucket.request("DELETE", self._begun.where, about=self._digest, allowed=(404, 410, 499))
        self._begun.forget()

    def pause(self) -> None:
        self._begun.pause()

    def _look(self) -> None:
        """Ask Google how many bytes it has of the upload that an earlier attempt began."""
        answer = self._backend.send_range(self._begun.where, self._digest, f"*/{self._size}")
        had = _received(answer)
        if answer.status == 308 and had < self._size:
            self._had = had
        else:  # the upload has expired, or somebody deleted the completed object
            self._begun.where = ""

    def _send(self, content: bytes | bytearray, *, final: bool = False) -> dict[str, Any]:
        """Send those bytes of *content*, the newest part, that Google does not have. Return the last answer."""
        where = self._begun.where or self._backend.begin(self._digest, self._size)
        end = self._passed
        while self._had < end:
            rest = memoryview(content)[max(len(content) - (end - self._had), 0) :]
            range = f"{end - len(rest)}-{end - 1}/{self._size}"
            hashed = _md5(self._hash) if final else ""
            answer = self._backend.send_range(where, self._digest, range, bytes(rest), hashed=hashed)
            if answer.status < 300:
                return answer.json()
            refused = answer
            if answer.status == 400:  # Google has these bytes, and its answer was lost, or Google has other bytes
                answer = self._backend.send_range(where, self._digest, f"*/{self._size}")
                if answer.status < 300:
                    return answer.json()
            had = _received(answer)
            if answer.status != 308 or had <= self._had:
                self._begun.forget()
                raise self._backend.bucket.refusal(refused, "PUT", self._digest)
            self._had = had
            self._begun.keep(where)
        return {}


_TYPE = "application/octet-stream"


def _google() -> str:
    return f"https://storage.{os.environ.get('GOOGLE_CLOUD_UNIVERSE_DOMAIN') or 'googleapis.com'}"


def _received(answer: Answer) -> int:
    last = answer.headers.get("range", "").rpartition("-")[2]
    return int(last) + 1 if last.isdigit() else 0


def _md5(hashed: Any) -> str:
    return base64.b64encode(hashed.digest()).decode()


def _modified(metadata: Mapping[str, str]) -> float:
    times = [metadata[name] for name in ("updated", "customTime") if metadata.get(name)]
    return max(datetime.fromisoformat(time.replace("Z", "+00:00")).timestamp() for time in times)
