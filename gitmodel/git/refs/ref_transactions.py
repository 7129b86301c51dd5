"""Transactions of refs. Each uses a new git process, or one that gitmodel keeps for writes in quick succession.

The kept process (`git update-ref --stdin`) may still use the packed-refs that it read earlier, so gitmodel reads each
ref itself after git has locked the ref. In reflogs, git writes the time at which the process started, so gitmodel uses
a process for at most a second.
"""

from __future__ import annotations

import os
import select
import signal
import subprocess
import threading
import time
import weakref
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from gitmodel.domain.schema.object_ids import NO_OBJECT, Oid
from gitmodel.errors import GitModelError
from gitmodel.git.refs.ref_commands import read_ref_file
from gitmodel.git.refs.ref_locks import WriterMark, WriterMarks
from gitmodel.git.refs.ref_move import RefMove
from gitmodel.git.running.failures import GitError, Moved, not_started, translate
from gitmodel.git.running.process import Git
from gitmodel.git.running.silence_timeout import end_program

# Writes that follow each other within this many seconds share a git process. gitmodel keeps it for at most this time.
_BURST = 1.0
_MESSAGE = "gitmodel: one of several changes within a second"


class RefTransactions:
    """Makes the transactions of one repository on this machine. Several threads may use this object."""

    def __init__(self, git: Git, marks: WriterMarks) -> None:
        self._git = git
        self._marks = marks
        self._lock = threading.Lock()
        self._kept: _KeptGit | None = None
        self._last_write = -_BURST
        _all.add(self)

    def move(self, moves: Sequence[RefMove], message: str, prepare: Callable[[], None]) -> None:
        """Call *prepare* while git starts, then make *moves* in one transaction, all or nothing.

        If Moved or Locked is raised, nothing was changed. *message* is for the reflogs, if no kept process is used.
        """
        lock = self._lock
        # If another thread, or the code that a signal handler interrupted, uses the kept process, start another git.
        if not lock.acquire(blocking=False):
            self._move_alone(moves, message, prepare)
            return
        try:
            # In the format `reftable` (`git help init`), refs have no files that gitmodel could read.
            has_ref_files = not (self._git.common_dir / "reftable").exists()
            if has_ref_files and time.monotonic() - self._last_write < _BURST:
                self._move_kept(moves, prepare)
            else:
                self.close()  # after a pause the kept process is too old to be used again
                self._move_alone(moves, message, prepare)
            self._last_write = time.monotonic()
        finally:
            lock.release()

    def close(self) -> None:
        """End the kept git process, if there is one."""
        kept, self._kept = self._kept, None
        if kept is not None:
            kept.close()

    def forget(self) -> None:
        """Forget the kept git process in a forked process, because it belongs to the parent. Close the pipes to it."""
        self._lock = threading.Lock()
        kept, self._kept = self._kept, None
        if kept is not None:
            kept.forget()

    def _move_alone(self, moves: Sequence[RefMove], message: str, prepare: Callable[[], None]) -> None:
        def lines() -> bytes:
            prepare()
            return _input(moves, "commit")

        mark = self._marks.create()
        try:
            mark.write(moves)
            self._git.run("update-ref", "-m", message, "--stdin", input=lines, inherit=(mark.descriptor,))
        finally:
            mark.remove()

    def _move_kept(self, moves: Sequence[RefMove], prepare: Callable[[], None]) -> None:
        if self._kept is None or not self._kept.is_usable:
            self.close()
            self._kept = _KeptGit(self._git, self._marks.create())
        prepare()
        try:
            self._kept.move(moves)
        except GitModelError:
            self.close()
            raise
        except BaseException:  # an interrupt, such as Ctrl-C while git waits for a hook
            self._kept.terminate()
            self.close()
            raise


class _KeptGit:
    """A running `git update-ref --stdin`. Both this process and git hold the lock on the writer mark *mark*."""

    def __init__(self, git: Git, mark: WriterMark) -> None:
        self._git = git
        self._mark = mark
        self._started = time.monotonic()
        command = git.command("update-ref", "-m", _MESSAGE, "--stdin")
        pipe = subprocess.PIPE
        try:
            self._process = subprocess.Popen(
                command, stdin=pipe, stdout=pipe, stderr=pipe, bufsize=0,
                env=dict(git.environ), cwd=git.top, pass_fds=(mark.descriptor,),
            )  # fmt: skip
        except OSError as error:
            mark.remove()
            raise not_started(error) from error
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        assert self._process.stderr is not None
        self._pipes = (self._process.stdin, self._process.stdout, self._process.stderr)
        # What git and its hooks have printed to stdout and stderr, by the descriptor.
        self._said = {pipe.fileno(): b"" for pipe in self._pipes[1:]}
        # gitmodel reads both while it waits for an answer: a hook that prints would hang if a pipe is full.
        self._output = select.poll()
        for descriptor in self._said:
            os.set_blocking(descriptor, False)
            self._output.register(descriptor, select.POLLIN)
        # Removes the mark if this process ends without a call of `close`. `_remove` does nothing in a forked process.
        self._at_exit = weakref.finalize(self, _remove, mark, os.getpid())

    @property
    def is_usable(self) -> bool:
        """True if git runs, was started less than a second ago, and the file of its writer mark exists."""
        is_new = time.monotonic() - self._started < _BURST
        return is_new and self._process.poll() is None and self._mark.exists

    def move(self, moves: Sequence[RefMove]) -> None:
        """Make *moves* in one transaction. After an error, the caller must call `close`."""
        self._mark.write(moves)
        self._said = dict.fromkeys(self._said, b"")
        self._tell(_input(moves, "prepare"))
        self._expect("start: ok")
        self._expect("prepare: ok")
        files = _RefFiles(self._git.common_dir)
        for move in moves:
            if files.read(move.ref) != move.old:
                raise Moved(
                    f"another process moved a ref first: {move.ref} is not at {move.old or NO_OBJECT}", hint="try again"
                )
        self._tell(b"commit\n")
        self._expect("commit: ok")
        self._mark.rest()

    def terminate(self) -> None:
        """Terminate git with SIGTERM, so that it removes its locks on refs."""
        end_program(self._process)

    def close(self) -> None:
        """End git, which rolls back an unfinished transaction, and delete the writer mark.

        If git was killed, the mark stays, so that other writers know that they may remove the locks that git left.
        """
        with suppress(OSError):
            self._pipes[0].close()
        try:
            self._process.wait()
        finally:
            self._drop()
            if self._process.returncode == -signal.SIGKILL:
                self._mark.close()
            else:
                self._mark.remove()

    def forget(self) -> None:
        """Close the pipes and the mark in a forked process: open copies would keep git running and the mark locked."""
        self._process.returncode = 0
        self._drop()
        self._mark.close()

    def _drop(self) -> None:
        self._at_exit.detach()
        for pipe in self._pipes:
            with suppress(OSError):
                pipe.close()

    def _tell(self, lines: bytes) -> None:
        left = memoryview(lines)
        with suppress(BrokenPipeError):  # git has ended; `_expect` then reads and raises the reason
            while left:
                left = left[self._pipes[0].write(left) :]

    def _expect(self, answer: str) -> None:
        """Read the next line from git. Raises an error if the line is not *answer*, or if git ends."""
        stdout, stderr = self._said
        while b"\n" not in self._said[stdout]:
            for descriptor, _ in self._output.poll():
                if not self._hear(descriptor) and descriptor == stdout:
                    code = self._process.wait()
                    self._hear(stderr)
                    raise translate(self._said[stderr].decode("utf-8", "replace"), code)
        line, _, self._said[stdout] = self._said[stdout].partition(b"\n")
        if line != answer.encode():
            raise GitError(f"git said {line.decode('utf-8', 'replace')!a} instead of {answer}", hint="try again")

    def _hear(self, descriptor: int) -> bool:
        """Read the output of git or a hook from *descriptor* into `_said`. Return False at the end of the output."""
        try:
            data = os.read(descriptor, 1 << 16)
        except BlockingIOError:
            return True
        if not data:
            with suppress(KeyError):  # an earlier call has already read the end of this output
                self._output.unregister(descriptor)
        self._said[descriptor] += data
        return bool(data)


class _RefFiles:
    """Reads refs from the files of a repository, after git has locked these refs."""

    def __init__(self, common_dir: Path) -> None:
        self._common_dir = common_dir
        self._packed: bytes | None = None

    def read(self, ref: str, links: int = 5) -> Oid | None:
        """Return the object id at which *ref* is, or None. Follows at most *links* symbolic refs."""
        held = read_ref_file(os.fspath(self._common_dir), ref)
        if held.startswith(b"ref:"):
            return self.read(os.fsdecode(held[4:].strip()), links - 1) if links else None
        if held:
            return Oid(held[:40].decode("ascii", "replace"))
        if self._packed is None:
            self._packed = b""
            with suppress(FileNotFoundError):
                self._packed = (self._common_dir / "packed-refs").read_bytes()
        found = self._packed.find(b" %s\n" % os.fsencode(ref))
        return None if found < 0 else Oid(self._packed[found - 40 : found].decode("ascii", "replace"))


def _input(moves: Sequence[RefMove], last: str) -> bytes:
    """Return the lines of *moves* for git, after a line `start` and before the line *last*.

    Without the line `start`, git would make the first moves of an input that ends too early.
    """
    lines = ["start"]
    for move in moves:
        if not move.ref.startswith("refs/heads/"):
            lines.append("option no-deref")  # sets the ref itself if it is a symbolic ref, not its target
        lines.append(move.line)
    return "".join(f"{line}\n" for line in (*lines, last)).encode()


def _remove(mark: WriterMark, owner: int) -> None:
    if os.getpid() == owner:
        mark.remove()


_all: weakref.WeakSet[RefTransactions] = weakref.WeakSet()


def _forget_all() -> None:
    for transactions in list(_all):
        transactions.forget()


if hasattr(os, "register_at_fork"):  # Windows cannot fork
    os.register_at_fork(after_in_child=_forget_all)
