"""A cache on disk of facts about git objects that take long to find, by object id."""

from __future__ import annotations

import os
import re
import zlib
from contextlib import suppress
from pathlib import Path
from typing import cast

from gitmodel.domain.schema.object_ids import Oid
from gitmodel.files.open_flags import NONBLOCK

_LINE = r"([a-z]+ [0-9a-f]{40}(?:[0-9a-f]{24})?) ([0-9a-f]{1,40}) ([0-9a-f]{8})\n"
_LONGEST = 1 << 20


class FactCache:
    """A file of facts about git objects, in lines `<kind> <object id> <value> <checksum>`.

    If several lines have the same kind and id, the last one counts. Lines that do not match their checksums are
    skipped. The cache is never outdated, because objects do not change, and the file can be deleted at any time. If the
    file cannot be written, new facts are only in memory. If it has more than *longest* bytes, the next write empties it
    first.
    """

    def __init__(self, path: Path, *, longest: int = _LONGEST) -> None:
        self._path = path
        self._longest = longest
        self._read: dict[str, str] | None = None

    def get(self, kind: str, id: str) -> str | None:
        """Return the cached fact of the kind *kind* about the object *id*, as hexadecimal digits, or None."""
        return self._lines().get(f"{kind} {id}")

    def get_oid(self, kind: str, id: str) -> Oid | None:
        """Return the cached fact *kind* about the object *id*, if this fact is an object id itself, or None."""
        return cast("Oid | None", self.get(kind, id))

    def put(self, kind: str, id: str, value: str) -> None:
        # imported here: many commands need no fact
        from gitmodel.files.permissions import make_folder, open_file

        key = f"{kind} {id}"
        self._lines()[key] = value
        data = f"{key} {value} {_checksum(key, value)}\n".encode()
        with suppress(OSError):
            make_folder(self._path.parent)
            descriptor = open_file(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | NONBLOCK)
            try:
                if os.fstat(descriptor).st_size > self._longest:
                    os.ftruncate(descriptor, 0)
                os.write(descriptor, data)
            finally:
                os.close(descriptor)

    def _lines(self) -> dict[str, str]:
        if self._read is None:
            from gitmodel.files.permissions import open_regular  # imported here: many commands need no fact

            try:
                with open(open_regular(self._path), encoding="ascii", errors="replace", newline="\n") as file:
                    text = file.read()
            except OSError:
                text = ""
            found = re.findall(_LINE, text) if text else []
            self._read = {key: value for key, value, sum in found if sum == _checksum(key, value)}
        return self._read


def _checksum(key: str, value: str) -> str:
    return f"{zlib.crc32(f'{key} {value}'.encode()):08x}"
