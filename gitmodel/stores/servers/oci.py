"""The artifact store in an OCI registry, which serves container images and can store other content.

An object is a blob, named by its digest, and a manifest with the tag `sha256-<64 hex digits>`. The manifest lists the
blob, so that the registry does not delete it. gitmodel writes the manifest last. Registries delete unfinished uploads
themselves; Docker's does so after a week. The protocol is
https://github.com/opencontainers/distribution-spec/blob/v1.1.0/spec.md.
"""

from __future__ import annotations

import base64
import json
import re
import threading
from collections.abc import Iterator, Mapping
from urllib.parse import urlencode, urljoin, urlsplit

from gitmodel.domain.schema.digests import PREFIX, Digest, digest_of, hex_of
from gitmodel.errors import Invalid, Unreachable, UsageError
from gitmodel.stores.backend import PART, ExpiringUploads, missing, size_of
from gitmodel.stores.interface import StoredObject, is_old
from gitmodel.stores.requests.http import Answer, Server
from gitmodel.stores.requests.resumable_uploads import ResumableUpload, ResumableUploads
from gitmodel.stores.requests.server_attempts import attempts
from gitmodel.stores.servers.docker_credentials import docker_credentials

PAGE = 1000
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
TYPE = "application/vnd.gitmodel.object.v1"
EMPTY = b"{}"
_MANIFEST_ATTEMPTS = 4

_NAME = re.compile(r"[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*(/[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*)*")
_TAG = re.compile(r"sha256-([0-9a-f]{64})")
_NEXT_PAGE = re.compile(r'\s*<([^>]+)>\s*;\s*rel="?next"?')
_CHALLENGE = re.compile(r'(\w+)="([^"]*)"')


class OciBackend(ExpiringUploads):
    """Objects in the repository *name* of the registry at *host*; *secure* is True if it uses TLS.

    *begun* are the uploads started on this machine.
    """

    def __init__(
        self, host: str, name: str, begun: ResumableUploads, *, secure: bool, timeout: float = 60.0, attempts: int = 6
    ) -> None:
        if not _NAME.fullmatch(name) or len(name) > 255:
            raise UsageError(
                f"{name!a} is not a name of a repository, which consists of lower-case words joined by ., _, - and /",
                hint="write the store as oci://HOST/REPOSITORY",
            )
        self._host = host
        self._name = name
        base = f"http{'s' if secure else ''}://{host}"
        name = f"the artifact store {self.url}"
        self._server = Server(base, name, timeout=timeout, attempts=attempts, extra="oci")
        self._begun = begun
        self._token = ""
        self._signing_in = threading.Lock()
        self._sending_config = threading.Lock()
        self._config_sent = False

    @property
    def url(self) -> str:
        return f"oci://{self._host}/{self._name}"

    def create(self) -> None:
        """Check that the registry can be used. The registry creates a repository when its first object is stored."""
        self.request("GET", "/v2/", about="")

    def stat(self, digest: Digest) -> StoredObject | None:
        answer = self.request("GET", self._manifest(digest), headers={"accept": MANIFEST}, about=digest, missing=True)
        if answer.status == 404:
            return None
        return StoredObject(digest, *_described(answer, digest))

    def has(self, digest: Digest, size: int) -> StoredObject | None:
        there = self.stat(digest)
        answer = self.request("HEAD", self._blob(digest), about=digest, missing=True)
        whole = there is not None and there.size == size and answer.headers.get("content-length") == str(size)
        return there if whole else None

    def renew(self, digest: Digest, size: int) -> None:
        """Put the manifest again with the current time."""
        self.put_manifest(digest, size)

    def read(self, digest: Digest, start: int, length: int) -> tuple[bytes | bytearray, int]:
        there = self.stat(digest) if start == 0 else None
        if start == 0 and there is None:
            raise missing(self.url, digest)
        wanted = {"range": f"bytes={start}-{start + length - 1}"}
        answer = self.request("GET", self._blob(digest), headers=wanted, about=digest, missing=True, allowed=(416,))
        if answer.status == 404:
            raise missing(self.url, digest)
        if answer.status == 416:
            return b"", size_of(self, digest)
        if answer.status == 200:  # a registry may ignore ranges
            return answer.body[start : start + length], len(answer.body)
        return answer.body, answer.total

    def write(self, digest: Digest, content: bytes | bytearray, *, replace: bool = False) -> None:
        there = self.has(digest, len(content)) if not replace else None
        if there is not None and not is_old(there):
            return
        if there is None:
            self.finish_blob(self.begin(digest), digest, content)
        self.put_manifest(digest, len(content))

    def upload(self, digest: Digest, size: int) -> OciUpload:
        return OciUpload(self, digest, size, self._begun.hold(self.url, digest))

    def objects(self) -> Iterator[StoredObject]:
        path = f"/v2/{self._name}/tags/list?n={PAGE}"
        while path:
            answer = self.request("GET", path, about="", missing=True)
            for tag in (answer.json().get("tags") or []) if answer.status == 200 else []:
                if match := _TAG.fullmatch(tag):
                    there = self.stat(PREFIX + match[1])
                    if there is not None:
                        yield there
            next_page = _NEXT_PAGE.match(answer.headers.get("link", ""))
            parts = urlsplit(urljoin(path, next_page[1])) if next_page else None
            path = f"{parts.path}?{parts.query}" if parts is not None else ""

    def remove(self, digest: Digest) -> None:
        answer = self.request("GET", self._manifest(digest), headers={"accept": MANIFEST}, about=digest, missing=True)
        if answer.status == 404:
            return
        self.request(
            "DELETE", f"/v2/{self._name}/manifests/{digest_of(bytes(answer.body))}", about=digest, missing=True
        )
        self.request("DELETE", self._blob(digest), about=digest, missing=True, allowed=(405,))

    def begin(self, digest: Digest) -> str:
        """Start the upload of a blob, and return the address for its first part."""
        answer = self.request("POST", f"/v2/{self._name}/blobs/uploads/", about=digest)
        return self._located(answer)

    def append(self, where: str, start: int, content: bytes | bytearray, digest: Digest) -> str:
        """Send a part, and return the address for the next part."""
        headers = {
            "content-type": "application/octet-stream",
            "content-range": f"{start}-{start + len(content) - 1}",
        }
        # 416: an earlier answer was lost, and the registry already has this part.
        answer = self.request("PATCH", where, headers=headers, body=content, about=digest, missing=True, allowed=(416,))
        if answer.status == 416:
            where, had = self.reached(where, digest)
            if had == start + len(content):
                return where
        if answer.status in (404, 416):
            raise Unreachable(
                f"{self.url} has aborted the upload of {digest}", hint="try again: the upload starts from its beginning"
            )
        return self._located(answer)

    def reached(self, where: str, digest: Digest) -> tuple[str, int]:
        """Return the address at which an upload continues, and the number of its bytes that the registry already has.

        Returns ("", 0) if the upload cannot continue.
        """
        answer = self.request("GET", where, about=digest, missing=True, allowed=(400, 410, 416))
        if answer.status >= 300:
            return "", 0
        last = answer.headers.get("range", "").rpartition("-")[2]
        # "0-0" means one byte, but registries also send it for no bytes. gitmodel never sends a single byte.
        return self._located(answer), int(last) + 1 if last.isdigit() and last != "0" else 0

    def finish_blob(self, where: str, digest: Digest, content: bytes | bytearray) -> None:
        """Send *content*, the last bytes of a blob, to the address *where* of its upload."""
        headers = {"content-type": "application/octet-stream"}
        address = f"{where}{'&' if '?' in where else '?'}{urlencode({'digest': digest})}"
        answer = self.request("PUT", address, headers=headers, body=content, about=digest, allowed=(400, 404, 500))
        # These three failures are harmless if the blob exists: a repeated request can arrive after the upload has
        # ended, and of several equal requests at the same time some can fail.
        if answer.status >= 300 and self.request("HEAD", self._blob(digest), about=digest, missing=True).status != 200:
            if "DIGEST_INVALID" in str(answer.json().get("errors")):
                raise Invalid(
                    f"{digest} changed on its way to {self.url}", hint="try again: the upload starts from its beginning"
                )
            raise self._refusal(answer, "PUT", digest)

    def put_manifest(self, digest: Digest, size: int) -> None:
        """Put the manifest of the object with the current time, and the empty blob that each manifest names."""
        with self._sending_config:
            if not self._config_sent:
                answer = self.request("HEAD", self._blob(digest_of(EMPTY)), about=digest, missing=True)
                if answer.status == 404:
                    self.finish_blob(self.begin(digest_of(EMPTY)), digest_of(EMPTY), EMPTY)
                self._config_sent = True
        now = self.request("HEAD", self._blob(digest), about=digest).headers.get("date", "")
        manifest = {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "artifactType": TYPE,
            "config": {"mediaType": "application/vnd.oci.empty.v1+json", "digest": digest_of(EMPTY), "size": 2},
            "layers": [{"mediaType": "application/octet-stream", "digest": digest, "size": size}],
            "annotations": {STORED: now},
        }
        headers = {"content-type": MANIFEST}
        content = json.dumps(manifest, indent=2).encode()
        for last in attempts(_MANIFEST_ATTEMPTS):
            # Docker's registry can refuse a manifest as damaged (400) if another client writes the same tag at the same
            # time.
            allowed = () if last else (400,)
            answer = self.request(
                "PUT", self._manifest(digest), headers=headers, body=content, about=digest, allowed=allowed
            )
            if answer.status < 300:
                return

    def _manifest(self, digest: Digest) -> str:
        return f"/v2/{self._name}/manifests/sha256-{hex_of(digest)}"

    def _blob(self, digest: Digest) -> str:
        return f"/v2/{self._name}/blobs/{digest}"

    def _located(self, answer: Answer) -> str:
        return self._server.path_of(answer.headers.get("location", ""))

    def request(
        self,
        method: str,
        path: str,
        *,
        about: str,
        headers: Mapping[str, str] | None = None,
        body: bytes | bytearray = b"",
        missing: bool = False,
        allowed: tuple[int, ...] = (),
    ) -> Answer:
        """Return the answer to a request, after signing in if the registry asks for it.

        Raises Unreachable unless the status is a success, in *allowed*, or 404 if the object may be *missing*.
        """
        accepted = (*allowed, 404) if missing else allowed

        def made() -> dict[str, str]:
            return {**(headers or {}), **({"authorization": self._token} if self._token else {})}

        for attempt in (1, 2):
            used = self._token
            answer = self._server.request(method, path, headers=made, body=body, what=about or self._name)
            if answer.status == 307 and method == "GET":  # the registry has its blobs on another server
                answer = self._server.elsewhere(answer.headers["location"], headers or {}, what=about)
            if answer.status < 300 or answer.status in accepted:
                return answer
            if answer.status != 401 or attempt == 2:
                break
            with self._signing_in:
                if self._token == used:
                    self._token = self._sign_in(answer)
        raise self._refusal(answer, method, about)

    def _sign_in(self, answer: Answer) -> str:
        """Return the `authorization` header for the registry's challenge. Fetch a token if needed."""
        challenge = answer.headers.get("www-authenticate", "")
        user, password = docker_credentials(self._host)
        basic = f"Basic {base64.b64encode(f'{user}:{password}'.encode()).decode()}" if user or password else ""
        if not challenge.lower().startswith("bearer "):
            if not basic:
                raise Unreachable(
                    f"there are no credentials for the registry {self._host}",
                    hint=f"set them with `docker login {self._host}`, `podman login` or `oras login`",
                )
            return basic
        told = dict(_CHALLENGE.findall(challenge))
        query = {"service": told.get("service", ""), "scope": f"repository:{self._name}:pull,push,delete"}
        realm = f"{told.get('realm', '')}?{urlencode(query)}"
        found = self._server.elsewhere(realm, {"authorization": basic} if basic else {}, what="a token")
        if found.status != 200:
            raise self._refusal(found, "GET of a token", "")
        token = found.json()
        return f"Bearer {token.get('token') or token.get('access_token')}"

    def _refusal(self, answer: Answer, method: str, about: str) -> Exception:
        errors = answer.json().get("errors") or [{}]
        said = " ".join(str(errors[0].get(key, "")) for key in ("code", "message")).strip() or str(answer.status)
        if answer.status in (401, 403):
            who = docker_credentials(self._host)[0] or "somebody without credentials"
            return Unreachable(
                f"the artifact store {self.url} refuses {method} of {about or self._name} to {who}: {said}",
                hint=f"sign in with `docker login {self._host}`, or ask for access to the repository",
            )
        return Unreachable(
            f"the artifact store {self.url} fails at {method} of {about or self._name}: {said}",
            hint="check the registry, and try again",
        )


class OciUpload:
    """Sends a blob part by part, each to the address in the previous answer."""

    ordered = True
    part_size = PART

    def __init__(self, backend: OciBackend, digest: Digest, size: int, begun: ResumableUpload) -> None:
        self._backend = backend
        self._digest = digest
        self._size = size
        self._begun = begun
        self._had = 0
        self._where = ""
        if begun.where:
            self._where, self._had = backend.reached(begun.where, digest)
        if not self._where or self._had > size:
            self._where, self._had = backend.begin(digest), 0

    def holds(self, number: int, content: bytes | bytearray) -> bool:
        return self._had >= number * PART + len(content)  # the registry verifies the parts at the end

    def send(self, number: int, content: bytes | bytearray) -> None:
        end = number * PART + len(content)
        rest = bytes(memoryview(content)[self._had - end :])
        self._where = self._backend.append(self._where, self._had, rest, self._digest)
        self._had = end
        self._begun.keep(self._where)

    def finish(self) -> None:
        self._backend.finish_blob(self._where, self._digest, b"")  # the registry verifies the bytes that were sent
        self._backend.put_manifest(self._digest, self._size)
        self._begun.forget()

    def abort(self) -> None:
        self._backend.request("DELETE", self._where, about=self._digest, missing=True, allowed=(405,))
        self._begun.forget()

    def pause(self) -> None:
        self._begun.pause()


STORED = "org.gitmodel.stored"


def _described(answer: Answer, digest: Digest) -> tuple[int, float]:
    """Return the size and time of an object from its manifest."""
    from email.utils import parsedate_to_datetime

    manifest = answer.json()
    sizes = [layer.get("size", -1) for layer in manifest.get("layers", []) if layer.get("digest") == digest]
    stored = (manifest.get("annotations") or {}).get(STORED)
    return int(sizes[0]) if sizes else -1, parsedate_to_datetime(stored).timestamp() if stored else 0.0
