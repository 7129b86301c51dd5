"""The user's cache of registries by URL: a folder for each URL. gitmodel creates a damaged folder again."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from gitmodel.domain.addresses import Address, Terms
from gitmodel.domain.schema.object_ids import Oid
from gitmodel.errors import Conflict, GitModelError, Unreachable
from gitmodel.files.failures import writing
from gitmodel.files.locks import NoLocks, try_lock
from gitmodel.files.open_flags import RAW
from gitmodel.files.permissions import replace_file
from gitmodel.git.running.process import Git, clean_environment, with_settings

# The server's name as a remote in the cache. The user's settings for a remote such as `origin` do not apply to it.
REMOTE = "gitmodel"
# The repositories of the cache: one for the whole branch with its history, one for single commits without history, and
# one for the commits of the branch without folders and files.
BRANCH, SINGLE, COMMITS = "branch.git", "single.git", "commits.git"
# The names under which the cache records the server's answers: about the branch with all stage tags, about the tip of
# the branch alone, and about proposals.
ALL, HEAD, PROPOSED = "all", "head", "proposals"
# Seconds between two attempts to lock the cache, which is locked only while a process fetches or writes.
_POLL = 0.02
_ANOTHER_FOLDER = "name another folder with XDG_CACHE_HOME"


def cache_folder(environ: Mapping[str, str]) -> Path:
    """Return the user's folder for cached files, which may be deleted because gitmodel can fetch them again.

    This is the folder `gitmodel` in `XDG_CACHE_HOME`, if this variable is an absolute path (XDG Base Directory
    Specification 0.8), or else in the usual folder for caches.
    """
    named = environ.get("XDG_CACHE_HOME", "")
    if os.path.isabs(named):
        return Path(named) / "gitmodel"
    home = Path(environ.get("HOME") or os.path.expanduser("~"))
    return home / ("Library/Caches" if sys.platform == "darwin" else ".cache") / "gitmodel"


class CachedAnswer(NamedTuple):
    """A server's answer at the time *when* (seconds since 1970): the object *id* of a ref (None: no such ref)."""

    when: float
    id: Oid | None


class UrlCache:
    """The cache of the registry at one URL: up to three bare repositories, and the server's last answer to each query.

    It may be deleted at any time, and contains no credentials: git gets those of the URL through environment variables.
    """

    def __init__(self, address: Address, environ: Mapping[str, str], terms: Terms) -> None:
        self.terms = terms
        self._address = address
        self._environ = _environment(address, environ)
        self._top = cache_folder(environ) / "registries"
        self.folder = self._top / address.key
        self._thread_lock = threading.RLock()
        self._depth = 0

    def git(self, name: str) -> Git:
        """Return the `Git` for the repository *name* of the cache; create the repository if it does not exist."""
        path = self.folder / name
        if not (path / "HEAD").is_file():
            with self.lock():
                if not (path / "HEAD").is_file():  # otherwise another process has created the repository
                    self._make(path)
        return self._git_at(path)

    def asked(self, question: str) -> CachedAnswer | None:
        """Return the server's last answer to *question*, which is a name such as `ALL` or that of a tag; or None."""
        path = self.folder / "asked" / question
        try:
            text = path.read_text(encoding="ascii")
            return CachedAnswer(path.stat().st_mtime, Oid(text) if text else None)
        except (OSError, ValueError):
            return None

    def note_asked(self, question: str, id: Oid | None) -> None:
        """Write into the cache that the server has just answered *question* with *id* (None: there is no such ref)."""
        path = self.folder / "asked" / question
        with writing(path, or_else=_ANOTHER_FOLDER):
            replace_file(path, (id or "").encode())

    def fresh(self, question: str) -> CachedAnswer | None:
        """Return the last answer to *question*; None if it is older than `max_age`, unless the terms say `offline`."""
        found = self.asked(question) if self.terms.offline or self.terms.max_age else None
        if found is not None and (self.terms.offline or 0 <= time.time() - found.when < self.terms.max_age):
            return found
        return None

    def refuse_offline(self, what: str) -> None:
        """Raise Unreachable if the terms say `offline`. The error says that *what* is not in the cache."""
        if self.terms.offline:
            raise Unreachable(
                f"{what} of {self._address} is not in the cache, and --offline does not contact the server",
                hint="run it without --offline while the server can be reached",
            )

    def out_of_reach(self, error: GitModelError, question: str) -> GitModelError:
        """Return *error*, with a hint that `--offline` uses the cache's answer to *question*, if there is one."""
        found = self.asked(question)
        if found is not None and isinstance(error, Unreachable):
            when = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(found.when))
            error.hint = f"try again when the server can be reached; --offline answers from its state at {when}"
        return error

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Lock the cache: other processes and threads cannot fetch or write during the block. Nested calls do nothing.

        Raises Conflict if another process holds the lock until the timeout.
        """
        with self._thread_lock:
            if self._depth:
                yield
                return
            descriptor = self._lock_file(time.monotonic() + self.terms.timeout)
            self._depth += 1
            try:
                yield
            finally:
                self._depth -= 1
                os.close(descriptor)

    def is_sound(self) -> bool:
        """Return True if the repositories pass `git fsck`, have no lock of a killed process, and belong to this URL."""
        from gitmodel.git.repositories.maintenance import check_objects

        with self.lock():
            if self._said_url() != self._address.shown or any(self.folder.rglob("*.lock")):
                return False
            for name in (BRANCH, SINGLE, COMMITS):
                try:
                    if name != COMMITS or (self.folder / name).exists():
                        check_objects(self._git_at(self.folder / name))
                except GitModelError:
                    return False
            return True

    def remove(self) -> None:
        """Delete the cache; the next use creates another. The lock file is outside and stays."""
        import shutil

        aside = self._top / f"{self._address.key}.{os.urandom(6).hex()}"
        with self.lock(), suppress(OSError):
            os.rename(self.folder, aside)
        shutil.rmtree(aside, ignore_errors=True)

    def _git_at(self, path: Path) -> Git:
        # If a damaged cache lacked objects, git 2.34 would fetch them, and this fetch would start another, without end.
        return Git(path, path, self._top, self._environ, fetches_nothing=True)

    def _make(self, path: Path) -> None:
        import shutil  # imported here: only a new cache needs it

        from gitmodel.git.repositories.new_repositories import init_bare

        aside = self._top / f"{path.parent.name}.{os.urandom(6).hex()}"
        with writing(path, or_else=_ANOTHER_FOLDER):
            self._top.mkdir(mode=0o700, parents=True, exist_ok=True)
            self.folder.mkdir(exist_ok=True)
            (self.folder / "url").write_text(f"{self._address.shown}\n", encoding="utf-8")
        init_bare(aside, self._environ)
        with writing(path, or_else=_ANOTHER_FOLDER):
            shutil.rmtree(path, ignore_errors=True)
            os.rename(aside, path)

    def _said_url(self) -> str:
        try:
            return (self.folder / "url").read_text(encoding="utf-8").rstrip("\n")
        except (OSError, ValueError):
            return ""

    def _lock_file(self, ends: float) -> int:
        path = self._top / f"{self._address.key}.lock"
        with writing(path, or_else=_ANOTHER_FOLDER):
            self._top.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor = os.open(path, os.O_CREAT | os.O_RDWR | RAW, 0o600)
        try:
            while not try_lock(descriptor):
                if time.monotonic() >= ends:
                    raise Conflict(
                        f"another process has been fetching or writing {self._address} all this time",
                        hint="try again, or allow more time: --timeout SECONDS",
                    )
                time.sleep(_POLL)
        except BaseException as error:
            os.close(descriptor)
            if isinstance(error, NoLocks):
                raise Unreachable(f"{path} cannot be locked: {error.strerror}", hint=_ANOTHER_FOLDER) from error
            raise
        return descriptor


def _environment(address: Address, environ: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of git, with settings (GIT_CONFIG_COUNT) such as the URL with its credentials."""
    given = {
        f"remote.{REMOTE}.url": address.url,
        "protocol.version": "2",
        "core.hooksPath": os.devnull,
        "gc.autoDetach": "false",
        "maintenance.autoDetach": "false",
    }
    return with_settings(clean_environment(environ), given.items())
