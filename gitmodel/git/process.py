"""Running git: the environment it gets, what its failures mean, and one long-lived `cat-file` per repository."""

from __future__ import annotations

import fcntl
import os
import re
import shlex
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import IO, Any, NamedTuple, cast

from gitmodel.domain.addresses import hide_credentials
from gitmodel.domain.schema.object_ids import Oid
from gitmodel.errors import Conflict, GitModelError, Invalid, NotFound, Refused, Unreachable, UsageError
from gitmodel.git.silence_timeout import run_until_silent, without_progress

OLDEST = (2, 34)
# What locates a repository is ours to say; credentials, transport, identity and quarantine stay as inherited.
# `git/discovery.py` reads it.
_LOCATING = (
    "GIT_DIR", "GIT_WORK_TREE", "GIT_IMPLICIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PREFIX", "GIT_COMMON_DIR",
    "GIT_NAMESPACE",
)  # fmt: skip
# What says where objects are; `git/discovery.py` keeps those that are of the repository that is meant.
OBJECT_VARIABLES = ("GIT_OBJECT_DIRECTORY", "GIT_ALTERNATE_OBJECT_DIRECTORIES", "GIT_QUARANTINE_PATH")
# What traces to standard error, changes the meaning of a path that we name, or names the file that `git config` reads.
_REINTERPRETING = (
    "GIT_CURL_VERBOSE", "GIT_LITERAL_PATHSPECS", "GIT_GLOB_PATHSPECS", "GIT_NOGLOB_PATHSPECS", "GIT_ICASE_PATHSPECS",
    "GIT_CONFIG",
)  # fmt: skip
# git writes traces where variables such as these say: to a file, or to the output and error that we read.
_TRACES2 = ("GIT_TRACE2", "GIT_TRACE2_EVENT", "GIT_TRACE2_PERF")
_TRACE_DETAILS = frozenset({"GIT_TRACE_CURL_NO_DATA", "GIT_TRACE_REDACT"})
# Settings of the user that would change what git does for us, or the output that we read (`git help config`).
_SETTINGS = (
    "core.warnAmbiguousRefs=false",
    "core.fsync=committed,loose-object,reference",
    "core.fsyncMethod=fsync",
    "core.filesRefLockTimeout=1000",
    "core.packedRefsTimeout=3000",
    "core.commentChar=#",
    "trailer.separators=:",
    "i18n.logOutputEncoding=UTF-8",
    "color.ui=false",
    "log.showSignature=false",
    "log.showRoot=true",
    "log.follow=false",
    "log.diffMerges=first-parent",
    "diff.orderFile=/dev/null",
    "diff.relative=false",
)
# A fetch that does what its refspecs say and nothing else. Without `--refmap=` git also updates what the refspecs of
# the remote (`remote.<name>.fetch`) name, which in a mirror is the local branch.
FETCH = (
    "fetch", "--refmap=", "--no-tags", "--no-prune-tags", "--no-write-fetch-head", "--no-write-commit-graph",
    "--no-recurse-submodules",
)  # fmt: skip
# Commands that change a repository or a remote. `config` and `remote` do so only with some of their words.
_WRITING = frozenset({"update-ref", "fetch", "push", "index-pack", "fast-import", "commit-graph", "maintenance"})
# Requests sent before their answers are read; twice 500 ids of 41 bytes stay below what a pipe holds.
_WINDOW = 500
# git works ahead as far as its answers find room.
_PIPE = 1 << 20
# git keeps refs as files: one cannot be a file and a folder.
_BLOCKED = r"'(refs/[^']+)' exists; cannot create '(refs/[^']+)'"
# What git says of its configuration, of a repository that is too new for it, and of one that is damaged.
_MISCONFIGURED = (
    "bad config", "bad numeric config value", "bad boolean config value", "unable to parse config", "Invalid value for",
    "invalid value for", "missing value for", "invalid key", "unknown core.", "exceeded maximum include depth",
    "bogus format in GIT_CONFIG", "bogus count in GIT_CONFIG", "missing config key", "missing config value",
    "invalid config", "bad zlib compression level", "malformed value for", "Ignored invalid",
)  # fmt: skip
_UNSUPPORTED = (
    "unknown repository extension", "Expected git repo version", "expected git repo version",
    "repo version is 0, but v1-only extension", "invalid value for 'extensions.",
)  # fmt: skip
_CORRUPT = (
    "is corrupt", "bad object", "invalid gitfile format", "unable to read tree", "object file", "bad tree object",
    "object corrupt", "missing blob object", "unable to unpack", "inflate: data stream error", "packed-refs",
)  # fmt: skip
_DAMAGED = "run `git fsck`, then `git model doctor`"
NO_REPOSITORY = "there is no git repository here"
GONE = "the current folder is gone, or you may not enter it"
NAME_ONE = "say which one is meant: `git model --repo PATH ...`, or unset the variable"
_WHO = 'run `git config --global user.name "Your Name"` and `git config --global user.email you@example.com`'


class GitError(GitModelError):
    """git failed in a way that gitmodel does not know."""


class Moved(Conflict):
    """A ref was not where the transaction was planned from; nothing was changed."""


class Locked(Conflict):
    """Another process holds, or a killed one left, the lock of a ref; nothing was changed."""


class BareRefused(Refused):
    """git uses a bare repository only if it is named (`safe.bareRepository`)."""


def clean_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """*environ* as git shall see it, without what locates a repository or its objects."""
    dropped = {*_LOCATING, *OBJECT_VARIABLES, *_REINTERPRETING}
    kept = {
        name: "0" if name.startswith("GIT_TRACE") and not _is_harmless(name, value) else value
        for name, value in environ.items()
        if name not in dropped
    }
    kept.update(
        LC_ALL="C",
        GIT_TERMINAL_PROMPT="0",
        GIT_OPTIONAL_LOCKS="0",
        # With replace refs git loads packed-refs before it takes the lock, and may then compare with a stale value.
        GIT_NO_REPLACE_OBJECTS="1",
        # grafts give commits other parents than those that they are made of
        GIT_GRAFT_FILE=os.devnull,
    )
    # Where no variable says otherwise, the user's configuration may (`trace2.normalTarget` and its like).
    return {**dict.fromkeys(_TRACES2, "0"), **kept}


def _is_harmless(name: str, value: str) -> bool:
    """Return True if this trace variable does not write into the standard output or error of our git."""
    if name in _TRACE_DETAILS or (name.startswith("GIT_TRACE2_") and name not in _TRACES2):
        return True
    if value.lower() in ("", "0", "false"):
        return True
    path = value.removeprefix("af_unix:").removeprefix("stream:").removeprefix("dgram:")
    return os.path.isabs(path) and not os.path.normpath(path).startswith(("/dev/", "/proc/"))


def with_settings(environ: Mapping[str, str], settings: Iterable[tuple[str, str]]) -> dict[str, str]:
    """*environ* with more of git's configuration in it (GIT_CONFIG_COUNT in `git help config`).

    It hides values from the list of processes, which a URL with a password needs.
    """
    changed = dict(environ)
    count = changed.get("GIT_CONFIG_COUNT", "")
    end = int(count) if count.isdigit() else 0
    for key, value in settings:
        changed[f"GIT_CONFIG_KEY_{end}"], changed[f"GIT_CONFIG_VALUE_{end}"] = key, value
        end += 1
    changed["GIT_CONFIG_COUNT"] = str(end)
    return changed


class GitOutput(NamedTuple):
    """The exit code and output of a git process; *stderr* includes the messages of a remote."""

    code: int
    stdout: str
    stderr: str


class GitObject(NamedTuple):
    """An object as git stores it."""

    id: Oid
    type: str
    data: bytes


@dataclass(frozen=True)
class Git:
    """A repository to run git on: *git_dir* for a work tree's own files, *common_dir* for refs and objects.

    *top* is git's current folder: a remote's relative path starts there. *read_only_reason* says why nothing may be
    written, "" if it may: a variable points at another repository, or it is a bundle, with a *read_only_hint*.
    """

    git_dir: Path
    common_dir: Path
    top: Path
    environ: Mapping[str, str]
    read_only_reason: str = ""
    read_only_hint: str = ""

    def refuse_read_only(self) -> None:
        """Raise UsageError if nothing may be written to this repository."""
        if self.read_only_reason:
            raise UsageError(self.read_only_reason, hint=self.read_only_hint or NAME_ONE)

    @contextmanager
    def explaining_not_found(self) -> Iterator[None]:
        """Add to the hint of a NotFound which repository was read, if a variable names another one."""
        try:
            yield
        except NotFound as error:
            if self.read_only_reason and not self.read_only_hint and self.read_only_reason not in error.hint:
                error.hint = "; ".join(
                    filter(None, (error.hint, f"{self.read_only_reason}, which was read: {NAME_ONE}"))
                )
            raise

    def command(self, *arguments: str) -> list[str]:
        """Return the words of a git command. Raises UsageError for one that writes where nothing may be written."""
        if self.read_only_reason and _writes(arguments):
            self.refuse_read_only()
        return [
            "git",
            f"--git-dir={self.git_dir}",
            *(word for setting in _SETTINGS for word in ("-c", setting)),
            *arguments,
        ]

    def run(
        self,
        *arguments: str,
        input: bytes | Callable[[], bytes] = b"",
        answers: tuple[int, ...] = (0,),
        inherit: tuple[int, ...] = (),
    ) -> bytes:
        """Run git and return its output. An exit code outside *answers* raises the error that git's message stands for.

        *input* may be made while git starts; *inherit* are descriptors that git keeps open as long as it runs.
        """
        return run(self.command(*arguments), self.environ, cwd=self.top, input=input, answers=answers, inherit=inherit)

    def run_remote(self, *arguments: str, silence: float) -> GitOutput:
        """Run git to talk to a remote and return the answer, whatever the exit code.

        git is ended if nothing at all is heard for *silence* seconds, and the answer says so.
        """
        try:
            said = run_until_silent(self.command(*arguments), self.environ, cwd=self.top, silence=silence)
        except OSError as error:
            raise Unreachable(
                f"git cannot be started: {error.strerror}", hint="free memory or processes, then try again"
            ) from error
        stderr = without_progress(said.stderr.decode("utf-8", "replace"))
        if said.silent:
            stderr += f"nothing was heard for {silence:g} seconds\n"
        return GitOutput(said.code, said.stdout.decode("utf-8", "replace"), stderr)

    def lines(self, *arguments: str, input: bytes = b"", answers: tuple[int, ...] = (0,)) -> list[str]:
        """The lines that git prints; only a line feed ends one."""
        said = self.run(*arguments, input=input, answers=answers).decode("utf-8", "surrogateescape")
        return said.removesuffix("\n").split("\n") if said else []

    def oids(self, *arguments: str, input: bytes = b"", answers: tuple[int, ...] = (0,)) -> list[Oid]:
        """Return the object ids that git prints, one a line."""
        return cast("list[Oid]", self.lines(*arguments, input=input, answers=answers))

    def oid(self, *arguments: str, answers: tuple[int, ...] = (0,)) -> Oid | None:
        """Return the object id that git prints first, None if it prints none."""
        return next(iter(self.oids(*arguments, answers=answers)), None)

    def path(self, *arguments: str) -> Path:
        """The one path that git prints, whatever is in it; a relative one counts from `top`."""
        return self.top / os.fsdecode(self.run(*arguments).removesuffix(b"\n"))


def _writes(arguments: Sequence[str]) -> bool:
    verb, *words = arguments
    if verb == "-c":
        return _writes(words[1:])
    if verb == "config":
        return not any(word.startswith(("--get", "--list")) for word in words)
    return verb in _WRITING or (verb == "remote" and "add" in words)


def run(
    command: list[str],
    environ: Mapping[str, str],
    *,
    cwd: Path | None = None,
    input: bytes | Callable[[], bytes] = b"",
    answers: tuple[int, ...] = (0,),
    inherit: tuple[int, ...] = (),
) -> bytes:
    """The output of one git process. Raises the GitModelError that its failure stands for."""
    pipe = subprocess.PIPE
    try:
        process = subprocess.Popen(
            command, stdin=pipe, stdout=pipe, stderr=pipe, env=environ, cwd=cwd, pass_fds=inherit
        )
    except FileNotFoundError:
        if cwd is not None and not os.path.isdir(cwd):
            raise NotFound(f"there is no folder {cwd}", hint="name an existing repository") from None
        raise UsageError("git is not installed, or not on the PATH", hint="install git 2.34 or newer") from None
    except ValueError:  # no program can be given a NUL, and some text cannot be encoded
        raise UsageError(
            "a name or text holds a NUL or an incomplete character (a lone surrogate)", hint="remove it"
        ) from None
    except OSError as error:
        raise Unreachable(
            f"git cannot be started: {error.strerror}", hint="free memory or processes, then try again"
        ) from error
    with process:
        try:
            stdout, stderr = process.communicate(input() if callable(input) else input)
        except BaseException:
            process.kill()
            raise
    if process.returncode in answers:
        return stdout
    raise translate(stderr.decode("utf-8", "replace"), process.returncode)


def check_git(environ: Mapping[str, str]) -> str:
    """The version of git. Raises UsageError if it is older than what gitmodel works with."""
    said = run(["git", "version"], clean_environment(environ)).decode().strip()
    numbers = said.replace("git version ", "").split(".")[:2]
    if len(numbers) == 2 and all(part.isdigit() for part in numbers) and tuple(map(int, numbers)) < OLDEST:
        raise UsageError(f"{said} is too old", hint=f"install git {OLDEST[0]}.{OLDEST[1]} or newer")
    return said


def translate(stderr: str, code: int) -> GitModelError:
    """The error that git's words stand for; words it does not know come through as they are."""
    said = hide_credentials(" ".join(line.strip() for line in stderr.splitlines() if line.strip()))
    if "File exists" in said and ".lock" in said:
        return Locked(said, hint="if no git is running, run `git model doctor` to see the lock and its age")
    if "reference broken" in said:
        return Invalid(f"git cannot read a ref: {said}", hint="run `git fsck`, then `git model doctor`")
    if "but expected" in said or "reference already exists" in said or "unable to resolve reference" in said:
        return Moved(f"somebody moved a ref first: {said}", hint="try again")
    if "aborted by hook" in said or "hook declined" in said:
        return Refused(
            f"a hook of this repository refused the change: {said}", hint="read the message of the hook above"
        )
    if "inside quarantine" in said:
        return Refused(f"git does not allow hooks to change refs during a push: {said}", hint="do it in post-receive")
    blocked = re.search(_BLOCKED, said)
    if blocked:
        return Conflict(
            f"git cannot create {blocked[2]}, because {blocked[1]} exists",
            hint=f"type: {_removing_command(blocked[1])}",
        )
    if "Unable to read current working directory" in said:
        return NotFound(GONE, hint="name an existing repository: `git model --repo PATH ...`")
    if "cannot use bare repository" in said:
        return BareRefused(
            f"git does not use a bare repository that is not named: {said.partition('fatal: ')[2]}",
            hint="name it: `git model --repo PATH ...`",
        )
    if any(words in said for words in _MISCONFIGURED):
        return UsageError(
            f"git does not accept its configuration: {said}",
            hint="`git config --list --show-origin` shows which file sets it; correct it there",
        )
    if any(words in said for words in _UNSUPPORTED):
        return UsageError(
            f"the installed git cannot use this repository: {said}", hint="install a newer git, then try again"
        )
    if any(words in said for words in _CORRUPT):
        return Invalid(f"git reports that the repository is damaged: {said}", hint=_DAMAGED)
    if "is not allowed" in said and ("transport '" in said or "protocol" in said):
        return Refused(
            f"git is not allowed to use this transport: {said}", hint="see `protocol.allow` in `git help config`"
        )
    if "dubious ownership" in said or "unsafe repository" in said:
        return Refused(said, hint="run the `git config --global --add safe.directory` line that git names")
    if "unable to access '/" in said:
        return Unreachable(
            f"git cannot read its configuration: {said}",
            hint="make the file readable, or name another one with GIT_CONFIG_GLOBAL, then try again",
        )
    for words in (
        "No space left on device",
        "Input/output error",
        "Permission denied",
        "Read-only file system",
        "Disk quota",
        # On a full disk git may give no reason.
        "couldn't write",
        "couldn't set",
        "couldn't close",
        "unable to write",
        "unable to append",
        "unable to create leading directories",
        "unable to create directory",
        "fsync error",
    ):
        if words.lower() in said.lower():
            return Unreachable(
                f"git could not write: {said}",
                hint="nothing was changed; free space on the disk or repair it, then try again",
            )
    if "not a git repository" in said:
        return NotFound(NO_REPOSITORY, hint="run `git init`, or name one with `--repo PATH`")
    if (
        "empty ident name" in said
        or "tell me who you are" in said.lower()
        or "unable to auto-detect email" in said
        or "no email was given" in said
    ):
        return UsageError("git does not know who you are", hint=_WHO)
    if code < 0:
        return GitError(
            f"git was ended by signal {-code}", hint="run `git model doctor` to see what it left, then try again"
        )
    if "fatal:" in said or "error:" in said:
        return GitError(
            f"git refused ({code}): {said}",
            hint="these are git's own words; GIT_TRACE=/tmp/trace shows which command it refused",
        )
    return GitError(f"git failed ({code}): {said}", hint="if git itself works here, please report this")


def _removing_command(ref: str) -> str:
    """Return the command that makes room for another ref where *ref* is: it renames a branch and deletes other refs."""
    kind, _, name = ref.removeprefix("refs/").partition("/")
    if kind == "heads":
        return f"git branch -m {shlex.quote(name)} NEW-NAME"
    return f"git tag -d {shlex.quote(name)}" if kind == "tags" else f"git update-ref -d {shlex.quote(ref)}"


class ObjectReader:
    """One `git cat-file --batch`: objects by id, and refs to the object they point at now."""

    def __init__(self, git: Git) -> None:
        self._git = git
        self._lock = threading.RLock()
        self._process: subprocess.Popen[bytes] | None = None
        self._owner = 0
        self._packed: tuple[int, int, int] | None = None
        self._asked: Sequence[str] = []

    def resolve(self, ref: str) -> GitObject | None:
        """The object that *ref* (a full ref name) points at now, or None if there is no such ref."""
        return self.resolve_many([ref])[0]

    def resolve_id(self, ref: str) -> Oid | None:
        """Return the id of the object that *ref* points at now, None if there is no such ref."""
        found = self.resolve(ref)
        return found.id if found else None

    def resolve_many(self, refs: list[str]) -> list[GitObject | None]:
        """Resolve each of *refs* as `resolve` does, in one request to git."""
        for ref in refs:
            sys.audit("gitmodel.read", ref)  # a pipeline's step that reads the registry is never skipped
        # git has no other refs (`git help check-ref-format`), and a line feed would be a second request.
        asked = [ref for ref in refs if ref.isprintable()]
        with self._lock:
            packed = _signature(self._git.common_dir / "packed-refs")
            if packed != self._packed:
                # git tells a rewritten packed-refs by whole seconds and may answer from the old one for good.
                self.close()
                self._packed = packed
            answers = dict(zip(asked, self._answers(asked, limit=None), strict=True))
        found = []
        for ref in refs:
            answer = answers.get(ref)
            if isinstance(answer, Invalid):
                raise answer
            found.append(answer)
        return found

    def get(self, id: Oid, *, limit: int | None = None) -> GitObject:
        """The object *id*. Raises Invalid if it is missing, damaged or longer than *limit* bytes."""
        found = next(iter(self.get_many([id], limit=limit)))
        if isinstance(found, Invalid):
            raise found
        return found

    def get_many(self, ids: Iterable[Oid], *, limit: int | None = None) -> Iterator[GitObject | Invalid]:
        """The objects *ids* in order; a missing or too long one comes as its error."""
        left = iter(ids)
        while batch := list(islice(left, _WINDOW)):
            yield from self._get_batch(batch, limit)

    def get_soon(self, ids: Iterable[Oid]) -> None:
        """Let git begin with objects of which `get_many` will be asked next. It is a hint: any other call is right."""
        wanted = list(islice(ids, _WINDOW))
        with self._lock:
            if not wanted or self._asked:
                return
            try:
                self._send(wanted)
            except (OSError, ValueError):
                self.close()
            else:
                self._asked = wanted

    @property
    def is_running(self) -> bool:
        """True while the git process of this reader runs."""
        return self._process is not None

    def close(self) -> None:
        """End the process, if it runs."""
        with self._lock:
            process, self._process = self._process, None
            self._asked = []
            if process is None:
                return
            assert process.stdin is not None
            assert process.stdout is not None
            if self._owner != os.getpid():
                # After a fork the process is the parent's to end; ours are only copies of its pipes.
                process.stdin = process.stdout = None
                process.returncode = 0
                return
            process.stdin.close()
            process.stdout.close()
            process.wait()

    def _get_batch(self, ids: list[Oid], limit: int | None) -> list[GitObject | Invalid]:
        with self._lock:
            found = list(self._answers(ids, limit=limit))
        return [
            Invalid(f"git object {id} is missing", hint=_DAMAGED) if answer is None else answer
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
                        break  # git ended at a damaged object; the rest is asked of a new one
                left, sent = left[answered:], False
        except (OSError, ValueError) as error:
            self.close()
            raise GitError(f"git cat-file stopped: {error}", hint="run `git fsck`") from error

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
        said = f"git cannot read object {id}"
        # git marks so the packs of a clone that was made with --filter (`git help partial-clone`).
        if any((self._git.common_dir / "objects" / "pack").glob("*.promisor")):
            hint = "this clone is partial: see that its remote can be reached, or fetch all with `git fetch --refetch"
            return Invalid(f"{said}, and cannot fetch it", hint=f"{hint} --no-filter`")
        return Invalid(said, hint=_DAMAGED)

    def _pipes(self) -> tuple[IO[bytes], IO[bytes]]:
        if self._process is None or self._owner != os.getpid() or self._process.poll() is not None:
            self.close()
            self._owner = os.getpid()
            self._process = subprocess.Popen(
                self._git.command("cat-file", "--batch"),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env=dict(self._git.environ),
                cwd=self._git.top,
                bufsize=1 << 16,
            )
            assert self._process.stdout is not None
            with suppress(OSError, AttributeError):
                fcntl.fcntl(self._process.stdout, fcntl.F_SETPIPE_SZ, _PIPE)
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        return self._process.stdin, self._process.stdout


def _signature(path: Path) -> tuple[int, int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_ino, found.st_size
