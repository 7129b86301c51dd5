"""The errors that gitmodel raises for the messages of git."""

from __future__ import annotations

import re

from gitmodel.domain.addresses import hide_credentials
from gitmodel.errors import Conflict, GitModelError, Invalid, NotFound, Refused, Unreachable, UsageError

# git keeps refs as files, and the same path cannot be a file and a folder.
_BLOCKED = r"'(refs/[^']+)' exists; cannot create '(refs/[^']+)'"
# git's messages about its configuration, about a repository that is too new, and about a damaged repository.
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
DAMAGED = "run `git fsck`, then `git model doctor`"
NO_REPOSITORY = "there is no git repository here"
GONE = "the current folder is gone, or you may not enter it"
_WHO = 'run `git config --global user.name "Your Name"` and `git config --global user.email you@example.com`'


def no_repository() -> NotFound:
    """Return the error for a folder that is in no repository."""
    return NotFound(NO_REPOSITORY, hint="run `git init`, or name one with `--repo PATH` (in Python: Client(repo=PATH))")


class GitError(GitModelError):
    """git failed in a way that gitmodel does not know."""


class Moved(Conflict):
    """Another process moved a ref after the transaction was planned; nothing was changed."""


class Locked(Conflict):
    """A ref is locked by another process, or by the lock file of a killed process; nothing was changed."""


class BareRefused(Refused):
    """git uses a bare repository only if it is named (`safe.bareRepository`)."""


def translate(stderr: str, code: int) -> GitModelError:
    """Return the error for git's message. An unknown message is kept unchanged."""
    said = hide_credentials(" ".join(line.strip() for line in stderr.splitlines() if line.strip()))
    if "File exists" in said and ".lock" in said:
        return Locked(said, hint="if no git is running, run `git model doctor` to see the lock and its age")
    if "reference broken" in said:
        return Invalid(f"git cannot read a ref: {said}", hint="run `git fsck`, then `git model doctor`")
    if "but expected" in said or "reference already exists" in said or "unable to resolve reference" in said:
        return Moved(f"somebody moved a ref first: {said}", hint="try again")
    if "aborted by hook" in said or "aborted by the reference-transaction hook" in said or "hook declined" in said:
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
    if "invalid date format" in said:
        return UsageError(
            f"git does not accept a date in the environment: {said}",
            hint="correct or unset GIT_AUTHOR_DATE and GIT_COMMITTER_DATE",
        )
    if any(words in said for words in _UNSUPPORTED):
        return UsageError(
            f"the installed git cannot use this repository: {said}", hint="install a newer git, then try again"
        )
    if any(words in said for words in _CORRUPT):
        return Invalid(f"git reports that the repository is damaged: {said}", hint=DAMAGED)
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
        "write error",
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
        return no_repository()
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
    """Return the command that makes room where *ref* is: it renames a branch, and deletes any other ref."""
    import shlex  # imported here: few failures need it

    kind, _, name = ref.removeprefix("refs/").partition("/")
    if kind == "heads":
        return f"git branch -m {shlex.quote(name)} NEW-NAME"
    return f"git tag -d {shlex.quote(name)}" if kind == "tags" else f"git update-ref -d {shlex.quote(ref)}"
