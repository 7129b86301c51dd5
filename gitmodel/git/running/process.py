"""Running git: the environment and settings that it gets, and its output."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import cast

from gitmodel.domain.schema.object_ids import Oid
from gitmodel.errors import NotFound, Unreachable, UsageError
from gitmodel.frozen import Frozen
from gitmodel.git.running.failures import translate
from gitmodel.git.running.silence_timeout import end_program, run_until_silent, without_progress

OLDEST = (2, 34)
# gitmodel sets these variables for git, after `git/repositories/discovery.py` has read the user's values. git inherits
# the user's variables for credentials, transport, identity and quarantine.
_LOCATING = (
    "GIT_DIR", "GIT_WORK_TREE", "GIT_IMPLICIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PREFIX", "GIT_COMMON_DIR",
    "GIT_NAMESPACE",
)  # fmt: skip
# These variables locate objects. `git/repositories/discovery.py` keeps a variable that names objects of the repository.
OBJECT_VARIABLES = ("GIT_OBJECT_DIRECTORY", "GIT_ALTERNATE_OBJECT_DIRECTORIES", "GIT_QUARANTINE_PATH")
# These variables make git trace to stderr, change the meaning of paths, or name the file that `git config` reads.
_REINTERPRETING = (
    "GIT_CURL_VERBOSE", "GIT_LITERAL_PATHSPECS", "GIT_GLOB_PATHSPECS", "GIT_NOGLOB_PATHSPECS", "GIT_ICASE_PATHSPECS",
    "GIT_CONFIG",
)  # fmt: skip
# git writes traces to the places in these variables: a file, or the stdout and stderr that gitmodel reads.
_TRACES2 = ("GIT_TRACE2", "GIT_TRACE2_EVENT", "GIT_TRACE2_PERF")
_TRACE_DETAILS = frozenset({"GIT_TRACE_CURL_NO_DATA", "GIT_TRACE_REDACT"})
# Overrides user settings that would change what git does or prints (`git help config`).
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
# Commands that change a repository or a remote. `config` and `remote` are missing, because most of their calls read.
_WRITING = frozenset({"update-ref", "fetch", "push", "index-pack", "fast-import", "commit-graph", "repack"})
NAME_ONE = "name the repository: `git model --repo PATH ...`, or unset the variable"


def clean_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """Return *environ* for git, without variables that locate a repository or its objects."""
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
        # With replace refs, git reads packed-refs before it locks a ref, and could compare with an outdated value.
        GIT_NO_REPLACE_OBJECTS="1",
        # no grafts: they would replace the parents of commits
        GIT_GRAFT_FILE=os.devnull,
    )
    # Without these variables, the user's configuration can enable traces (`trace2.normalTarget` and similar).
    return {**dict.fromkeys(_TRACES2, "0"), **kept}


def _is_harmless(name: str, value: str) -> bool:
    """Return True if this trace variable makes git write neither to its stdout nor to its stderr."""
    if name in _TRACE_DETAILS or (name.startswith("GIT_TRACE2_") and name not in _TRACES2):
        return True
    if value.lower() in ("", "0", "false"):
        return True
    path = value.removeprefix("af_unix:").removeprefix("stream:").removeprefix("dgram:")
    return os.path.isabs(path) and not os.path.normpath(path).startswith(("/dev/", "/proc/"))


def with_settings(environ: Mapping[str, str], settings: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Return *environ* with more settings of git in it (GIT_CONFIG_COUNT in `git help config`).

    Other users cannot see these settings in the list of processes, unlike arguments. The settings can contain a
    password in a URL.
    """
    changed = dict(environ)
    count = changed.get("GIT_CONFIG_COUNT", "")
    end = int(count) if count.isdigit() else 0
    for key, value in settings:
        changed[f"GIT_CONFIG_KEY_{end}"], changed[f"GIT_CONFIG_VALUE_{end}"] = key, value
        end += 1
    changed["GIT_CONFIG_COUNT"] = str(end)
    return changed


class GitOutput(Frozen):
    """The exit code and output of a git process; *stderr* includes the messages of a remote."""

    code: int
    stdout: str
    stderr: str


class Git(Frozen):
    """Runs git on a repository. *git_dir* has the files of one work tree, *common_dir* the refs and objects.

    *top* is git's current folder, from which the relative paths of remotes start. If gitmodel must not write,
    *read_only_reason* is the reason (a variable names another repository, or this is a bundle) and *read_only_hint* the
    remedy. With *fetches_nothing*, git reports a missing object of a partial clone instead of fetching it.
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
        """The environment of commands that contact no remote."""
        # with an empty list of protocols, git never fetches missing objects
        return {**self.environ, "GIT_ALLOW_PROTOCOL": ""} if self.fetches_nothing else self.environ

    def refuse_read_only(self) -> None:
        """Raise UsageError if nothing may be written to this repository."""
        if self.read_only_reason:
            raise UsageError(self.read_only_reason, hint=self.read_only_hint or NAME_ONE)

    @contextmanager
    def explaining_not_found(self) -> Iterator[None]:
        """If a variable names another repository, add the repository that was read to the hint of a NotFound."""
        try:
            yield
        except NotFound as error:
            if self.read_only_reason and not self.read_only_hint and self.read_only_reason not in error.hint:
                error.hint = "; ".join(
                    filter(None, (error.hint, f"{self.read_only_reason}, which was read: {NAME_ONE}"))
                )
            raise

    def command(self, *arguments: str) -> list[str]:
        """Return the words of a git command.

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
        """Run git and return its output. An exit code outside *answers* raises the error for git's message.

        If *input* is a function, it is called while git starts. *inherit* are descriptors that git keeps open while it
        runs.
        """
        return run(
            self.command(*arguments), self.local_environ, cwd=self.top, input=input, answers=answers, inherit=inherit
        )

    def check_settings(self) -> None:
        """Raise git's error if a setting keeps git from reading objects."""
        self.run("cat-file", "--batch")

    def run_remote(self, *arguments: str, silence: float) -> GitOutput:
        """Run git to contact a remote and return the result, whatever the exit code.

        Terminates git if the remote sends nothing for *silence* seconds; the result says so.
        """
        try:
            said = run_until_silent(self.command(*arguments), self.environ, cwd=self.top, silence=silence)
        except OSError as error:
            raise Unreachable(
                f"git cannot be started: {error.strerror or error}", hint="free memory or processes, then try again"
            ) from error
        stderr = without_progress(said.stderr.decode("utf-8", "replace"))
        if said.silent:
            stderr += f"the remote sent nothing for {silence:g} seconds\n"
        return GitOutput(said.code, said.stdout.decode("utf-8", "replace"), stderr)

    def lines(self, *arguments: str, input: bytes = b"", answers: tuple[int, ...] = (0,)) -> list[str]:
        """Return the lines that git prints; only a line feed ends a line."""
        said = self.run(*arguments, input=input, answers=answers).decode("utf-8", "surrogateescape")
        return said.removesuffix("\n").split("\n") if said else []

    def oids(self, *arguments: str, input: bytes = b"", answers: tuple[int, ...] = (0,)) -> list[Oid]:
        """Return the object ids that git prints, one a line."""
        return cast("list[Oid]", self.lines(*arguments, input=input, answers=answers))

    def oid(self, *arguments: str, answers: tuple[int, ...] = (0,)) -> Oid | None:
        """Return the object id that git prints first, None if it prints none."""
        return next(iter(self.oids(*arguments, answers=answers)), None)

    def path(self, *arguments: str) -> Path:
        """Return the single path that git prints, even if it contains line feeds. A relative path starts at `top`."""
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
    """Return the output of one git process. Raises a GitModelError if git fails."""
    pipe = subprocess.PIPE
    try:
        process = subprocess.Popen(
            command, stdin=pipe, stdout=pipe, stderr=pipe, env=environ, cwd=cwd, pass_fds=inherit
        )
    except FileNotFoundError:
        if cwd is not None and not os.path.isdir(cwd):
            raise NotFound(f"there is no folder {cwd}", hint="name an existing repository") from None
        raise UsageError("git is not installed, or not on the PATH", hint="install git 2.34 or newer") from None
    except ValueError:  # an argument contains NUL, or text that cannot be encoded
        raise UsageError(
            "a name or text holds a NUL or an incomplete character (a lone surrogate)", hint="remove it"
        ) from None
    except OSError as error:
        raise Unreachable(
            f"git cannot be started: {error.strerror or error}", hint="free memory or processes, then try again"
        ) from error
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
    """Return the version of git, asked once per PATH. Raises UsageError for a version that is too old for gitmodel."""
    path = environ.get("PATH")
    if path not in _versions:
        said = run(["git", "version"], clean_environment(environ)).decode().strip()
        numbers = said.replace("git version ", "").split(".")[:2]
        if len(numbers) == 2 and all(part.isdigit() for part in numbers) and tuple(map(int, numbers)) < OLDEST:
            raise UsageError(f"{said} is too old", hint=f"install git {OLDEST[0]}.{OLDEST[1]} or newer")
        _versions[path] = said
    return _versions[path]
