"""Reading objects and refs through one long-lived `git cat-file --batch`."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from itertools import islice
from typing import IO, Any, NamedTuple

from gitmodel.domain.schema.object_ids import Oid
from gitmodel.errors import Invalid
from gitmodel.git.refs.ref_commands import read_ref_file
from gitmodel.git.running.failures import DAMAGED, GitError
from gitmodel.git.running.process import Git

# gitmodel sends at most this many ids before it reads git's answers. `get_soon` and the next call can each send this
# many: 1,000 ids of 41 bytes fit into a pipe of 64 KiB, so that gitmodel and git do not wait for each other.
_WINDOW = 500
# The size of the pipe for git's answers. git writes answers in advance until the pipe is full.
_PIPE = 1 << 20
_MOST_KNOWN = 100  # the number of refs whose objects are kept in memory


class GitObject(NamedTuple):
    """An object as git stores it."""

    id: Oid
    type: str
    data: bytes


class ObjectReader:
    """Reads objects by id, and the current objects of refs, through one `git cat-file --batch`."""

    def __init__(self, git: Git) -> None:
        self._git = git
        self._lock = threading.RLock()
        self._process: subprocess.Popen[bytes] | None = None
        self._owner = 0
        self._packed: tuple[int, int, int] | None = None
        self._asked: Sequence[str] = []
        # The last results of `resolve`, with the ref as the key.
        self._known: dict[str, GitObject | None] = {}
        self._newest: GitObject | None = None

    def resolve(self, ref: str) -> GitObject | None:
        """Return the current object of *ref* (a full ref name), or None if the ref does not exist.

        If the files of the repository show that *ref* has not moved since the last call, git is not asked again.
        """
        with self._lock:
            if self._is_unmoved(ref):
                sys.audit("gitmodel.read", ref)
                return self._known[ref]
            (found,) = self.resolve_many([ref])
            if len(self._known) >= _MOST_KNOWN:
                self._known.clear()
            self._known[ref] = self._newest = found
            return found

    def resolve_id(self, ref: str) -> Oid | None:
        """Return the id of the current object of *ref*, or None if the ref does not exist."""
        found = self.resolve(ref)
        return found.id if found else None

    def resolve_many(self, refs: list[str]) -> list[GitObject | None]:
        """Resolve each of *refs* as `resolve` does, in one request to git."""
        for ref in refs:
            # The cache of steps listens to this event, because it must not skip a step that reads the registry.
            sys.audit("gitmodel.read", ref)
        # No name of a ref has a control character (`git help check-ref-format`), and a line feed would end the request.
        asked = [ref for ref in refs if ref.isprintable()]
        with self._lock:
            packed = self._signature()
            if packed != self._packed:
                # git compares the times of packed-refs in whole seconds, so the running git may miss this change. A new
                # git process, which the next request starts, reads the changed file.
                self.close()
                self._packed = packed
                self._known = {ref: known for ref, known in self._known.items() if known is not None}
            answers = dict(zip(asked, self._answers(asked, limit=None), strict=True))
        found = []
        for ref in refs:
            answer = answers.get(ref)
            if isinstance(answer, Invalid):
                raise answer
            found.append(answer)
        return found

    def get(self, id: Oid, *, limit: int | None = None) -> GitObject:
        """Return the object *id*. Raises Invalid if the object is missing, damaged or longer than *limit* bytes."""
        newest = self._newest
        # Saves a request for the object that `resolve` returned last.
        if newest is not None and newest.id == id and limit is None:
            return newest
        found = next(iter(self.get_many([id], limit=limit)))
        if isinstance(found, Invalid):
            raise found
        return found

    def get_many(self, ids: Iterable[Oid], *, limit: int | None = None) -> Iterator[GitObject | Invalid]:
        """Yield the objects *ids*, with an error in place of a missing, damaged or too long one (*limit* in bytes)."""
        left = iter(ids)
        while batch := list(islice(left, _WINDOW)):
            yield from self._get_batch(batch, limit)

    def get_soon(self, ids: Iterable[Oid]) -> None:
        """Make git start to read the objects *ids*, because the caller will probably call `get_many` with *ids* next.

        If the next call asks for other objects, it skips these answers.
        """
        wanted = list(islice(ids, _WINDOW))
        with self._lock:
            if not wanted or self._asked:
                return
            try:
                self._send(wanted)
            except (OSError, ValueError):
                self.close()
            except BaseException:  # an interrupt
                self.close()
                raise
            else:
                self._asked = wanted

    @property
    def is_running(self) -> bool:
        """True while the git process of this reader runs."""
        return self._process is not None

    def close(self) -> None:
        """End the git process, if it runs. The next request starts another one."""
        with self._lock:
            process, self._process = self._process, None
            self._asked = []
            if process is None:
                return
            assert process.stdin is not None
            assert process.stdout is not None
            if self._owner != os.getpid():
                # After a fork, only the parent process may stop git. The child closes its copies of the pipes.
                process.stdin = process.stdout = None
                process.returncode = 0
                return
            with suppress(BrokenPipeError):  # git has ended before it read its last request
                process.stdin.close()
            process.stdout.close()
            process.wait()

    def _is_unmoved(self, ref: str) -> bool:
        """Return True if git would give the same answer for *ref* as at the last `resolve`.

        Like git, reads the file of a ref first and then packed-refs, because git writes a ref to packed-refs before it
        deletes the file.
        """
        common = os.fspath(self._git.common_dir)
        if ref not in self._known or not ref.startswith("refs/"):
            return False
        known = self._known[ref]
        try:
            held = read_ref_file(common, ref)
        except (OSError, ValueError):  # the file cannot be read, or the name of the ref cannot be a path
            return False
        if known is not None:
            return held == known.id.encode()
        # The ref did not exist. In the format `reftable` (`git help init`), no file would show that it exists now.
        return not held and not os.path.exists(f"{common}/reftable") and self._signature() == self._packed

    def _get_batch(self, ids: list[Oid], limit: int | None) -> list[GitObject | Invalid]:
        with self._lock:
            found = list(self._answers(ids, limit=limit))
        return [
            Invalid(f"git object {id} is missing", hint=DAMAGED) if answer is None else answer
            for id, answer in zip(ids, found, strict=True)
        ]  # fmt: skip

    def _answers(self, requests: Sequence[str], *, limit: int | None) -> Iterator[GitObject | Invalid | None]:
        stdout = self._pipes()[1]
        try:
            sent = self._asked == requests
            if not sent:
                self._forget_asked(stdout)
            self._asked = []
            left = requests
            while left:
                stdout = self._pipes()[1]
                if not sent:
                    self._send(left)
                answered = 0
                for request in left:
                    answered += 1
                    yield self._answer(request, stdout, limit)
                    if self._process is None:
                        break  # git exits at a damaged object; the next round starts a new process
                left, sent = left[answered:], False
        except (OSError, ValueError) as error:
            self.close()
            self._git.check_settings()
            raise GitError(f"git cat-file stopped: {error}", hint="run `git fsck`") from error
        except BaseException:  # an interrupt: otherwise the next call would get the rest of this answer
            self.close()
            raise

    def _forget_asked(self, stdout: IO[bytes]) -> None:
        asked, self._asked = self._asked, []
        for request in asked:
            self._answer(request, stdout, 0)
            if self._process is None:
                return

    def _send(self, requests: Sequence[str]) -> None:
        stdin = self._pipes()[0]
        stdin.write("".join(f"{request}\n" for request in requests).encode())
        stdin.flush()

    def _answer(self, request: str, stdout: IO[bytes], limit: int | None) -> GitObject | Invalid | None:
        header: list[Any] = stdout.readline().decode("utf-8", "replace").split()
        if not header:
            self.close()
            return self._unreadable(request)
        if header[-1] in ("missing", "ambiguous") or len(header) != 3:
            return None
        id, type, size = header[0], header[1], int(header[2])
        if limit is not None and size > limit:
            left = size + 1
            while left:
                skipped = len(stdout.read(min(left, 1 << 16)))
                if not skipped:
                    self.close()
                    return self._unreadable(id)
                left -= skipped
            return Invalid(f"has {size} bytes, more than {limit}", hint="run `git model check`")
        data = stdout.read(size)
        stdout.read(1)
        if len(data) != size:
            self.close()
            return self._unreadable(id)
        return GitObject(id, type, data)

    def _unreadable(self, id: str) -> Invalid:
        self._git.check_settings()
        said = f"git cannot read object {id}"
        # Only the packs of a partial clone have a file `.promisor` (`git help partial-clone`).
        if any((self._git.common_dir / "objects" / "pack").glob("*.promisor")):
            hint = "check that the remote of this partial clone can be reached, or fetch all objects with"
            return Invalid(f"{said}, and cannot fetch it", hint=f"{hint} `git fetch --refetch --no-filter`")
        return Invalid(said, hint=DAMAGED)

    def _signature(self) -> tuple[int, int, int] | None:
        """Return values that differ after git has written packed-refs; None if there is no such file."""
        try:
            found = os.stat(f"{self._git.common_dir}/packed-refs")
        except OSError:
            return None
        return found.st_mtime_ns, found.st_ino, found.st_size

    def _pipes(self) -> tuple[IO[bytes], IO[bytes]]:
        if self._process is None or self._owner != os.getpid() or self._process.poll() is not None:
            self.close()
            self._owner = os.getpid()
            self._process = subprocess.Popen(
                self._git.command("cat-file", "--batch"),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env=dict(self._git.local_environ),
                cwd=self._git.top,
                bufsize=1 << 16,
            )
            assert self._process.stdout is not None
            with suppress(OSError, ImportError):  # only Linux has this
                from fcntl import F_SETPIPE_SZ, fcntl

                fcntl(self._process.stdout, F_SETPIPE_SZ, _PIPE)
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        return self._process.stdin, self._process.stdout
