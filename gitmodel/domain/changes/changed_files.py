"""The files that a commit will have after a planned change. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from gitmodel.domain.schema import codec
from gitmodel.domain.schema.codec import R
from gitmodel.domain.snapshots.snapshot_sources import Files
from gitmodel.errors import Invalid


class ChangedFiles:
    """The files of a commit after *changes*, which map paths to new contents (None: the file is deleted).

    Implements `domain.snapshots.snapshot_sources.Files`.
    """

    def __init__(self, base: Files, changes: Mapping[str, bytes | None]) -> None:
        self._base = base
        self._changes = changes

    def read(self, path: str) -> bytes | None:
        return self._changes[path] if path in self._changes else self._base.read(path)

    def load(self, path: str, kind: type[R], *, newer: bool) -> R | None:
        if path not in self._changes:
            return self._base.load(path, kind, newer=newer)
        data = self._changes[path]
        return None if data is None else codec.decode(kind, data, path, newer=newer)

    def load_many(self, found: Iterable[str], kind: type[R], *, newer: bool) -> Iterator[R | Invalid]:
        for path in found:
            if path not in self._changes:
                yield from self._base.load_many([path], kind, newer=newer)
                continue
            record = self.load(path, kind, newer=newer)
            yield Invalid(f"{path}: is missing [record.required]") if record is None else record

    def names(self, folder: str) -> tuple[str, ...]:
        prefix = f"{folder}/" if folder else ""
        found = set(self._base.names(folder))
        below = {path.removeprefix(prefix).split("/")[0] for path in self._changes if path.startswith(prefix)}
        for name in below:
            inside = [p for p, d in self._changes.items() if p == prefix + name or p.startswith(f"{prefix}{name}/")]
            if any(self._changes[path] is not None for path in inside):
                found.add(name)
            elif prefix + name in self._changes or not self._left(prefix + name):
                found.discard(name)
        return tuple(sorted(found))

    def _left(self, folder: str) -> bool:
        """Return True if *folder* still has a file after the changes."""
        return any(
            (path not in self._changes or self._changes[path] is not None)
            if path.endswith(".toml")
            else self._left(path)
            for path in (f"{folder}/{name}" for name in self._base.names(folder))
        )
