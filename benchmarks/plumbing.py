"""Write the same objects and refs as gitmodel, but with git's own commands, to compare the costs.

`Recorder` records the objects and ref moves of gitmodel. `Plumbing` writes the same to another copy of the repository,
and flushes it to disk, as gitmodel does. It uses a process for each object, as a script does, or only two processes,
which is the fastest way.
"""

import hashlib
import subprocess
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from gitmodel.branch.repository import Repository
from gitmodel.git.objects.object_formats import NewObject
from gitmodel.git.refs.ref_move import RefMove

SAFE = ("-c", "core.fsync=committed,loose-object,reference", "-c", "core.warnAmbiguousRefs=false")


@dataclass
class Written:
    """The objects that gitmodel wrote for one change, and the `update-ref` lines that moved the refs."""

    objects: list[NewObject] = field(default_factory=list)
    moves: list[str] = field(default_factory=list)


class Recorder:
    """Records the objects and ref moves of each change that *repository* writes."""

    def __init__(self, repository: Repository) -> None:
        self.changes: list[Written] = []
        self._move = repository.refs.move
        repository.refs.move = self._keep  # type: ignore[method-assign]

    def _keep(self, moves: Sequence[RefMove], message: str, new: Sequence[NewObject] = ()) -> frozenset[str]:
        left = self._move(moves, message, new)
        self.changes.append(Written(list(new), [move.line for move in moves]))
        return left


class Plumbing:
    """Runs git's own commands in the repository at *path*."""

    def __init__(self, path: Path, environ: dict[str, str]) -> None:
        self._command = ["git", "-C", str(path), *SAFE]
        self._environ = environ

    def by_commands(self, objects: list[NewObject], moves: list[str]) -> None:
        """Write each object with its own process of `hash-object`, and then the refs.

        A script would need as many processes of hash-object, mktree, commit-tree and mktag.
        """
        for new in objects:
            self._run("hash-object", "-w", "-t", new.type, "--stdin", input=new.data)
        self.move(moves)

    def by_two_processes(self, objects: list[NewObject], moves: list[str]) -> None:
        """Write all objects with one process of `unpack-objects`, which flushes them together, and then the refs."""
        self._run("-c", "core.fsyncMethod=batch", "unpack-objects", "-q", input=pack(objects))
        self.move(moves)

    def move(self, moves: list[str]) -> None:
        """Move refs in one transaction of `update-ref`."""
        lines = "".join(f"{move}\n" for move in moves).encode()
        self._run("update-ref", "--create-reflog", "-m", "benchmark", "--stdin", input=lines)

    def _run(self, *arguments: str, input: bytes = b"") -> bytes:
        command = [*self._command, *arguments]
        return subprocess.run(command, input=input, capture_output=True, check=True, env=self._environ).stdout


def pack(objects: list[NewObject]) -> bytes:
    """Return *objects* as a git pack without deltas (`git help format-pack`)."""
    kinds = {"commit": 1, "tree": 2, "blob": 3, "tag": 4}
    parts = [b"PACK", (2).to_bytes(4, "big"), len(objects).to_bytes(4, "big")]
    for new in objects:
        size, head = len(new.data), bytearray()
        byte = kinds[new.type] << 4 | size & 15
        size >>= 4
        while size:
            head.append(byte | 128)
            byte, size = size & 127, size >> 7
        head.append(byte)
        parts += [bytes(head), zlib.compress(new.data, 1)]
    body = b"".join(parts)
    return body + hashlib.sha1(body).digest()
