"""The errors that gitmodel raises if git fails, by git's message."""

from __future__ import annotations

import re

from gitmodel.domain.addresses import hide_credentials
from gitmodel.errors import Conflict, GitModelError, Invalid, NotFound, Refused, Unreachable, UsageError

DAMAGED = "run `git fsck`, then `git model doctor`"
NO_REPOSITORY = "there is no git repository here"
GONE = "the current folder is gone, or you may not enter it"
NAME_REPOSITORY = "run `git init`, or name one with `--repo PATH` (in Python: Client(repo=PATH))"
# git's message if a new ref needs a folder where another ref is a file, as for refs/heads/a/b beside refs/heads/a.
_BLOCKED = r"'(refs/[^']+)' exists; cannot create '(refs/[^']+)'"


class GitError(GitModelError):
    """git failed with a message that gitmodel does not know."""


class Moved(Conflict):
    """Another process moved a ref before this transaction could move it. Nothing was changed."""


class Locked(Conflict):
    """A ref is locked by another process, or by the lock file of a killed process. Nothing was changed."""


class BareRefused(Refused):
    """git does not use a bare repository that it found by itself, because `safe.bareRepository` is `explicit`."""


# Patterns for messages of git, each with the class, message and hint of the error that gitmodel raises. The first
# pattern that matches counts. In the error's message, `{said}` is the whole message of git, and `{found}` the part that
# matches.
_KNOWN: tuple[tuple[str, type[GitModelError], str, str], ...] = (
    (
        r"\.lock.*File exists|File exists.*\.lock",
        Locked,
        "{said}",
        "if no git is running, run `git model doctor` to see the lock and its age",
    ),
    (
        "the remote sent nothing for .* seconds",  # the message of `silence_timeout.run_until_silent`
        Unreachable,
        "{found}",
        "try again when the remote can be reached",
    ),
    ("reference broken", Invalid, "git cannot read a ref: {said}", DAMAGED),
    (
        "but expected|reference already exists|unable to resolve reference",
        Moved,
        "another process moved a ref first: {said}",
        "try again",
    ),
    (
        "aborted by hook|aborted by the reference-transaction hook|hook declined",
        Refused,
        "a hook of this repository refused the change: {said}",
        "read the message of the hook above",
    ),
    (
        "inside quarantine",
        Refused,
        "git does not allow hooks to change refs during a push: {said}",
        "do it in post-receive",
    ),
    (
        "Unable to read current working directory",
        NotFound,
        GONE,
        "name an existing repository: `git model --repo PATH ...`",
    ),
    (
        "cannot use bare repository.*",
        BareRefused,
        "git does not use a bare repository that is not named: {found}",
        "name it: `git model --repo PATH ...`",
    ),
    (
        r"unknown repository extension|[Ee]xpected git repo version|repo version is 0, but v1-only extension"
        r"|invalid value for 'extensions\.",
        UsageError,
        "the installed git cannot use this repository: {said}",
        "install a newer git, then try again",
    ),
    (
        "bad config|bad numeric config value|bad boolean config value|unable to parse config|[Ii]nvalid value for"
        r"|missing value for|invalid key|unknown core\.|exceeded maximum include depth|bogus format in GIT_CONFIG"
        "|bogus count in GIT_CONFIG|missing config key|missing config value|invalid config|bad zlib compression level"
        "|malformed value for|Ignored invalid",
        UsageError,
        "git does not accept its configuration: {said}",
        "`git config --list --show-origin` shows which file sets it; correct it there",
    ),
    (
        "invalid date format",
        UsageError,
        "git does not accept a date in the environment: {said}",
        "correct or unset GIT_AUTHOR_DATE and GIT_COMMITTER_DATE",
    ),
    (
        "is corrupt|bad object|invalid gitfile format|unable to read tree|object file|bad tree object|object corrupt"
        "|missing blob object|unable to unpack|inflate: data stream error|packed-refs",
        Invalid,
        "git reports that the repository is damaged: {said}",
        DAMAGED,
    ),
    (
        "(transport '|protocol).*is not allowed|is not allowed.*(transport '|protocol)",
        Refused,
        "git is not allowed to use this transport: {said}",
        "see `protocol.allow` in `git help config`",
    ),
    (
        "dubious ownership|unsafe repository",
        Refused,
        "{said}",
        "run the `git config --global --add safe.directory` line that git names",
    ),
    (
        "unable to access '/",
        Unreachable,
        "git cannot read its configuration: {said}",
        "make the file readable, or name another one with GIT_CONFIG_GLOBAL, then try again",
    ),
    (
        # On a full disk, git may print only what it could not do, without the reason.
        "(?i)No space left on device|Input/output error|Permission denied|Read-only file system|Disk quota"
        "|couldn't write|couldn't set|couldn't close|unable to write|write error|unable to append"
        "|unable to create leading directories|unable to create directory|fsync error",
        Unreachable,
        "git could not write: {said}",
        "nothing was changed; free space on the disk or repair it, then try again",
    ),
    ("not a git repository", NotFound, NO_REPOSITORY, NAME_REPOSITORY),
    (
        "empty ident name|[Tt]ell me who you are|unable to auto-detect email|no email was given",
        UsageError,
        "git does not know who you are",
        'run `git config --global user.name "Your Name"` and `git config --global user.email you@example.com`',
    ),
)


def not_started(error: OSError) -> Unreachable:
    """Return the error for *error*, which the operating system gave at the start of git."""
    return Unreachable(
        f"git cannot be started: {error.strerror or error}", hint="free memory or processes, then try again"
    )


def translate(stderr: str, code: int) -> GitModelError:
    """Return the error for a git process that printed *stderr* and ended with the exit code *code*."""
    said = hide_credentials(" ".join(line.strip() for line in stderr.splitlines() if line.strip()))
    if blocked := re.search(_BLOCKED, said):
        return Conflict(
            f"git cannot create {blocked[2]}, because {blocked[1]} exists",
            hint=f"type: {_removing_command(blocked[1])}",
        )
    for pattern, error, message, hint in _KNOWN:
        if found := re.search(pattern, said):
            return error(message.format(said=said, found=found[0]), hint=hint)
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
    """Return the shell command that frees the path of *ref*: it renames a branch, and deletes any other ref."""
    import shlex  # imported here: few failures need it

    kind, _, name = ref.removeprefix("refs/").partition("/")
    if kind == "heads":
        return f"git branch -m {shlex.quote(name)} NEW-NAME"
    return f"git tag -d {shlex.quote(name)}" if kind == "tags" else f"git update-ref -d {shlex.quote(ref)}"
