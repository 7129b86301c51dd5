"""Which records mention which digests: one pass over the tip of the branch, and what it found kept for the next."""

from __future__ import annotations

import os
import re
import tempfile
import zlib
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from functools import cached_property

from gitmodel.domain import codec
from gitmodel.domain.paths import MODELS, RUNS
from gitmodel.errors import Invalid
from gitmodel.storage.git import Git, ObjectReader

_HEADER = b"gitmodel-mentions 1 %08x\n"
_LINE = re.compile(rb"^([0-9a-f]{40})((?: [0-9a-f]{64})*)$", re.MULTILINE)
_DIGEST = re.compile(rb"sha256:([0-9a-f]{64})")
# What `git ls-tree -r -z` says of the records that hold digests; stages, aliases and names do not count.
_RECORD = re.compile(rb"100(?:644|755) blob ([0-9a-f]{40})\t((?:models/[^/\0]+/versions/|runs/)[^\0]+\.toml)\0")

# The digests that a record means besides those it holds; None if they cannot be had now.
More = Callable[[str, bytes], "Iterable[str] | None"]


class Mentioned:
    """The records of one commit by the digests in them; *unread* are those of which not all is known, with why."""

    def __init__(self, places: Mapping[bytes, list[str]], digests: Mapping[bytes, bytes], unread: Mapping[str, str]):
        self._places = places
        self._digests = digests
        self.unread = unread

    def paths(self, digest: str) -> list[str]:
        """The paths of the records that hold *digest*, sorted."""
        ids = self._ids.get(digest.removeprefix("sha256:").encode(), ())
        return sorted(path for id in ids for path in self._places[id])

    def beginning(self, prefix: str) -> list[str]:
        """The digests that begin with *prefix*, sorted."""
        wanted = prefix.removeprefix("sha256:").encode()
        return sorted(f"sha256:{found.decode()}" for found in self._ids if found.startswith(wanted))

    @cached_property
    def _ids(self) -> dict[bytes, list[bytes]]:
        found: dict[bytes, list[bytes]] = {}
        for id, digests in self._digests.items():
            if id in self._places:
                for digest in digests.split():
                    found.setdefault(digest, []).append(id)
        return found


class Mentions:
    """The digests in every version's and run's record, by object id, kept in a file that can be deleted at any time.

    What is in the file is true for good: an object never changes. It is written whole and renamed, so a torn one
    does not match its checksum, and is made anew.
    """

    def __init__(self, git: Git, reader: ObjectReader) -> None:
        self._git = git
        self._reader = reader
        self._path = git.common_dir / "gitmodel" / "mentions"

    def at(self, commit: str, more: More) -> Mentioned:
        """The records of *commit*; only those that were never read before are read now.

        *more* is asked for the digests that a record means without holding them.
        """
        said = self._git.run("ls-tree", "-r", "-z", commit, "--", f"{MODELS}/", f"{RUNS}/")
        places: dict[bytes, list[str]] = {}
        for id, path in _RECORD.findall(said):
            places.setdefault(id, []).append(path.decode("utf-8", "surrogateescape"))
        known = self._load()
        new = [id for id in places if id not in known]
        unread = self._read(new, places, known, more)
        if new and len(unread) < len(new):
            kept = {id: known[id] for id in places if id in known and places[id][0] not in unread}
            self._save(kept)
        return Mentioned(places, known, unread)

    def _read(
        self, new: list[bytes], places: Mapping[bytes, list[str]], known: dict[bytes, bytes], more: More
    ) -> dict[str, str]:
        unread: dict[str, str] = {}
        found = self._reader.get_many([id.decode() for id in new], limit=codec.MAX_BYTES)
        for id, answer in zip(new, list(found), strict=True):
            path = places[id][0]
            if isinstance(answer, Invalid):
                unread[path] = answer.message
                continue
            digests = dict.fromkeys(_DIGEST.findall(answer.data))
            meant = more(path, answer.data)
            if meant is None:
                unread[path] = "its steps are in the artifact store, which does not have them"
            digests.update(dict.fromkeys(digest.removeprefix("sha256:").encode() for digest in meant or ()))
            known[id] = b"".join(b" " + digest for digest in digests)
        return unread

    def _load(self) -> dict[bytes, bytes]:
        try:
            data = self._path.read_bytes()
        except OSError:
            return {}
        head, _, body = data.partition(b"\n")
        if head + b"\n" != _HEADER % zlib.crc32(body):
            return {}
        return dict(_LINE.findall(body))

    def _save(self, known: Mapping[bytes, bytes]) -> None:
        body = b"".join(b"%s%s\n" % line for line in known.items())
        with suppress(OSError):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            descriptor, temporary = tempfile.mkstemp(prefix="mentions-", dir=self._path.parent)
            try:
                with os.fdopen(descriptor, "wb") as file:
                    file.write(_HEADER % zlib.crc32(body) + body)
                os.replace(temporary, self._path)
            except OSError:
                os.unlink(temporary)
