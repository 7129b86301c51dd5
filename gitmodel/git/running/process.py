"""Running git: the environment and settings that it gets, and its output."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import cast

from gitmodel.domain.schema.object_ids import Oid
from gitmodel.errors import NotFound, UsageError
from gitmodel.frozen import Frozen
from gitmodel.git.running.failures import not_started, translate
from gitmodel.git.running.silence_timeout import GitOutput, end_program, run_until_silent

OLDEST = (2, 34)
# git does not inherit these variables from the user, because gitmodel chooses the repository:
# `git/repositories/discovery.py` reads them. git inherits the user's variables for credentials, transport and identity.
_LOCATING = (
    "GIT_DIR", "GIT_WORK_TREE", "GIT_IMPLICIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PREFIX", "GIT_COMMON_DIR",
    "GIT_NAMESPACE",
)  # fmt: skip
# These variables locate objects. `discovery.py` passes them to git only if they name the repository's own objects.
OBJECT_VARIABLES = ("GIT_OBJECT_DIRECTORY", "GIT_ALTERNATE_OBJECT_DIRECTORIES", "GIT_QUARANTINE_PATH")
# git does not inherit these variables. They make git trace to stderr, change the meaning of paths, or name the file
# that `git config` reads.
_REINTERPRETING = (
    "GIT_CURL_VERBOSE", "GIT_LITERAL_PATHSPECS", "GIT_GLOB_PATHSPECS", "GIT_NOGLOB_PATHSPECS", "GIT_ICASE_PATHSPECS",
    "GIT_CONFIG",
)  # fmt: skip
# With these variables, git writes traces to a file, or to the stdout and stderr that gitmodel reads.
_TRACES2 = ("GIT_TRACE2", "GIT_TRACE2_EVENT", "GIT_TRACE2_PERF")
_TRACE_DETAILS = frozenset({"GIT_TRACE_CURL_NO_DATA", "GIT_TRACE_REDACT"})
# These settings override the user's, which could change what git does or prints (`git help config`).
_SETTINGS = (
    "core.warnAmbiguousRefs=false",
    "advice.graftFileDeprecated=false",
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
# git commands that change a repository or a remote. `_writes` decides about `config` and `remote`.
_WRITING = frozenset({"update-ref", "fetch", "push", "index-pack", "fast-import", "commit-graph", "repack"})
NAME_ONE = "name the repository: `git model --repo PATH ...`, or unset the variable"


def clean_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """Return *environ* for git, without variables that name a repository or objects, or change git's output."""
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
        # With replace refs, git would read packed-refs before it locks a ref, and could see an outdated value.
        GIT_NO_REPLACE_OBJECTS="1",
        # Disables the file `grafts`, which would replace the parents of commits.
        GIT_GRAFT_FILE=os.devnull,
    )
    # Without these values, the user's configuration could enable traces (`trace2.normalTarget`).
    return {**dict.fromkeys(_TRACES2, "0"), **kept}


def _is_harmless(name: str, value: str) -> bool:
    """Return True if the trace variable *name* with *value* makes git write neither to its stdout nor to its stderr."""
    if name in _TRACE_DETAILS or (name.startswith("GIT_TRACE2_") and name not in _TRACES2):
        return True
    if value.lower() in ("", "0", "false"):
        return True
    path = value.removeprefix("af_unix:").removeprefix("stream:").removeprefix("dgram:")
    return os.path.isabs(path) and not os.path.normpath(path).startswith(("/dev/", "/proc/"))


def with_settings(environ: Mapping[str, str], settings: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Return *environ* with the settings *settings* of git, by variables such as GIT_CONFIG_COUNT (`git help config`).

    Settings can contain a password in a URL, and other users can see the arguments of a process, but not its variables.
    """
    changed = dict(environ)
    count = changed.get("GIT_CONFIG_COUNT", "")
    end = int(count) if count.isdigit() else 0
    for key, value in settings:
        changed[f"GIT_CONFIG_KEY_{end}"], changed[f"GIT_CONFIG_VALUE_{end}"] = key, value
        end += 1
    changed["GIT_CONFIG_COUNT"] = str(end)
    return changed


class Git(Frozen):
    """Runs git on a repository. *git_dir* has git's files for one work tree, *common_dir* the refs and objects.

    *top* is git's current folder, from which the relative paths of remotes start. If gitmodel must not write,
    *read_only_reason* is the reason (a variable names another repository, or this is a bundle) and *read_only_hint*
    says what the user can do. If *fetches_nothing* is True, git never fetches missing objects of a partial clone.
    """

    git_dir: Path
    common_dir: Path
    top: Path
    environ: Mapping[str, str]
    read_only_reason: str = ""
    read_only_hint: str = ""
    fetches_nothing: bool = False

    @property
    def local_environ(self) -> Mapping[str, str]:
        """The environment for git commands that need not contact a remote."""
        # if git may use no protocol, it cannot fetch missing objects of a partial clone
        return {**self.environ, "GIT_ALLOW_PROTOCOL": ""} if self.fetches_nothing else self.environ

    def refuse_read_only(self) -> None:
        """Raise UsageError if gitmodel must not write to this repository."""
        if self.read_only_reason:
            raise UsageError(self.read_only_reason, hint=self.read_only_hint or NAME_ONE)

    @contextmanager
    def explaining_not_found(self) -> Iterator[None]:
        """If the block raises NotFound and a variable names another repository, the hint says which one was read."""
        try:
            yield
        except NotFound as error:
            if self.read_only_reason and not self.read_only_hint and self.read_only_reason not in error.hint:
                why = f"{self.read_only_reason}, which was read: {NAME_ONE}"
                error.hint = f"{error.hint}; {why}" if error.hint else why
            raise

    def command(self, *arguments: str) -> list[str]:
        """Return the words of the command that runs git with *arguments* on this repository.

        Raises UsageError if the command writes and the repository is read-only.
        """
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
        """Run git and return its stdout. Raises a GitModelError if the exit code is not in *answers*.

        If *input* is a function, it is called while git starts. git inherits the open files *inherit* (descriptors).
        """
        return run(
            self.command(*arguments), self.local_environ, cwd=self.top, input=input, answers=answers, inherit=inherit
        )

    def check_settings(self) -> None:
        """Raise a GitModelError with git's message if a bad setting makes `git cat-file` fail."""
        self.run("cat-file", "--batch")

    def run_remote(self, *arguments: str, silence: float) -> GitOutput:
        """Run a git command that contacts a remote, and return the output, whatever the exit code.

        Ends git if it prints nothing for *silence* seconds; the returned stderr says so.
        """
        try:
            return run_until_silent(self.command(*arguments), self.environ, cwd=self.top, silence=silence)
        except OSError as error:
            raise not_started(error) from error

    def lines(self, *arguments: str, input: bytes = b"", answers: tuple[int, ...] = (0,)) -> list[str]:
        """Run git as `run` does, and return the lines that it prints. Only a line feed ends a line."""
        said = self.run(*arguments, input=input, answers=answers).decode("utf-8", "surrogateescape")
        return said.removesuffix("\n").split("\n") if said else []

    def oids(self, *arguments: str, input: bytes = b"", answers: tuple[int, ...] = (0,)) -> list[Oid]:
        """Run git as `run` does, and return the object ids that it prints, one in each line."""
        return cast("list[Oid]", self.lines(*arguments, input=input, answers=answers))

    def oid(self, *arguments: str, answers: tuple[int, ...] = (0,)) -> Oid | None:
        """Run git as `run` does, and return the first object id that it prints, or None."""
        return next(iter(self.oids(*arguments, answers=answers)), None)

    def path(self, *arguments: str) -> Path:
        """Run git and return the path that it prints, even with line feeds in it. A relative path starts at `top`."""
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
    """Run *command* as `Git.run` runs git, in the folder *cwd*, and return its stdout."""
    pipe = subprocess.PIPE
    try:
        process = subprocess.Popen(
            command, stdin=pipe, stdout=pipe, stderr=pipe, env=environ, cwd=cwd, pass_fds=inherit
        )
    except FileNotFoundError:
        if cwd is not None and not os.path.isdir(cwd):
            raise NotFound(f"there is no folder {cwd}", hint="name an existing repository") from None
        raise UsageError("git is not installed, or not on the PATH", hint="install git 2.34 or newer") from None
    except ValueError:  # an argument contains NUL or cannot be encoded
        raise UsageError(
            "a name or text holds a NUL or an incomplete character (a lone surrogate)", hint="remove it"
        ) from None
    except OSError as error:
        raise not_started(error) from error
    with process:
        try:
            stdout, stderr = process.communicate(input() if callable(input) else input)
        except BaseException:
            end_program(process)
            raise
    if process.returncode in answers:
        return stdout
    raise translate(stderr.decode("utf-8", "replace"), process.returncode)


_versions: dict[str | None, str] = {}


def check_git(environ: Mapping[str, str]) -> str:
    """Return the version of git, cached for each `PATH` in *environ*. Raises UsageError if it is too old."""
    path = environ.get("PATH")
    if path not in _versions:
        said = run(["git", "version"], clean_environment(environ)).decode().strip()
        numbers = said.replace("git version ", "").split(".")[:2]
        if len(numbers) == 2 and all(part.isdigit() for part in numbers) and tuple(map(int, numbers)) < OLDEST:
            raise UsageError(f"{said} is too old", hint=f"install git {OLDEST[0]}.{OLDEST[1]} or newer")
        _versions[path] = said
    return _versions[path]
