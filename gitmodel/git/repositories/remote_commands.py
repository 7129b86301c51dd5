"""Commands that contact a remote: listing its refs, fetching and pushing, whatever the user's settings say."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace

from gitmodel.domain.schema.object_ids import Oid, is_oid
from gitmodel.git.history.commits import contained, missing_commits
from gitmodel.git.refs.ref_move import RefMove
from gitmodel.git.running.process import Git, GitOutput, with_settings
from gitmodel.git.settings.configuration import find_settings

# Fetches only the given refspecs. Without `--refmap=`, git also updates refs by the remote's settings
# (`remote.<name>.fetch`): in a mirror, even the local branch.
_FETCH = (
    "fetch", "--refmap=", "--no-tags", "--no-prune-tags", "--no-write-fetch-head", "--no-write-commit-graph",
    "--no-recurse-submodules",
)  # fmt: skip
# The settings of a remote that git needs to push there, and the name of a temporary remote with only these settings.
_REACHING = ("url", "pushurl", "proxy", "proxyauthmethod", "receivepack", "vcs")
_OUTLET = "gitmodel-push"


def ask_refs(git: Git, remote: str, *patterns: str, options: Iterable[str] = (), silence: float) -> GitOutput:
    """List the refs of *remote* that *patterns* name. `refs_in` reads the answer."""
    return git.run_remote("ls-remote", *options, "--end-of-options", remote, *patterns, silence=silence)


def refs_in(answer: GitOutput) -> dict[str, Oid]:
    """Map the refs in the *answer* to `ask_refs` to their ids. git also lists refs that only end with a pattern."""
    lines = (line.partition("\t") for line in answer.stdout.splitlines())
    return {ref: Oid(id) for id, _, ref in lines if is_oid(id)}


def published_commits(git: Git, commits: Iterable[Oid], remote: str, silence: float) -> frozenset[Oid]:
    """Return those of *commits* that a branch of *remote* contains, or contained when it was last fetched or pushed.

    Contacts *remote* only if local refs do not record all its branches, as in a mirror or the clone of a single branch.
    """
    patterns, complete = _recorded_branches(git, remote)
    known = contained(git, commits, (), patterns)
    left = frozenset(commits) - known
    if complete or not left:
        return known
    tips = frozenset(refs_in(ask_refs(git, remote, "refs/heads/*", silence=silence)).values())
    return known | contained(git, left, tips - missing_commits(git, tips))


def _recorded_branches(git: Git, remote: str) -> tuple[list[str], bool]:
    """Return patterns of the local refs that record branches of *remote*, and True if these are all its branches.

    The setting `remote.<name>.fetch` names these refs: see "CONFIGURED REMOTE-TRACKING BRANCHES" in the manual of
    git-fetch. Local branches are left out, because they can have commits that the remote lacks.
    """
    patterns: list[str] = []
    complete = False
    for setting in find_settings(git, rf"^remote\.{re.escape(remote)}\.fetch$"):
        refspec = setting.value
        source, _, target = refspec.lstrip("+").partition(":")
        if source == "refs/*":
            source, target = "refs/heads/*", target.replace("*", "heads/*")
        if not target or refspec.startswith("^") or f"{target}/".startswith("refs/heads/"):
            continue
        if source.startswith("refs/heads/") or not source.startswith("refs/"):
            # `[x]` matches only `x`. Without a wildcard, git would take the pattern for the name of a folder.
            patterns.append(target if "*" in target else f"{target[:-1]}[{target[-1]}]")
            complete = complete or source == "refs/heads/*"
    return patterns, complete


def has_remote_ref(git: Git, remote: str, ref: str) -> bool:
    """Return True if *remote* has *ref*. Waits for the answer without a limit. Raises the error for git's message."""
    return bool(git.lines("ls-remote", "--end-of-options", remote, ref))


def fetch(git: Git, remote: str, refspecs: Iterable[str], *options: str, silence: float) -> GitOutput:
    """Fetch *refspecs*, and no other refs; *options* are those of `git fetch`."""
    words = ("--progress", *options, "--end-of-options", remote, *refspecs)
    return git.run_remote(*_FETCH, *words, silence=silence)


def fetch_objects(git: Git, remote: str, ids: Iterable[str], *options: str, silence: float) -> GitOutput:
    """Fetch objects by id or refspec, without telling the remote which commits this repository has."""
    alone = replace(git, environ=with_settings(git.environ, [("fetch.negotiationAlgorithm", "noop")]))
    return fetch(alone, remote, ids, "--no-prune", *options, silence=silence)


def fetch_refs(git: Git, remote: str, *refspecs: str, prune: bool) -> None:
    """Fetch *refspecs*, without a time limit. *prune*: delete local refs that the remote no longer has.

    Raises the error for git's message.
    """
    options = ("--quiet", "--prune" if prune else "--no-prune", "--no-auto-maintenance", "--end-of-options")
    git.run(*_FETCH, *options, remote, *refspecs)


def push(git: Git, remote: str, refspecs: Iterable[str], *options: str, silence: float) -> GitOutput:
    """Push *refspecs*, and no other refs; *options* are those of `git push`."""
    # Both settings are overridden: git refuses refspecs for a mirror, and would send the configured push options.
    settings = ("-c", f"remote.{remote}.mirror=false", "-c", "push.pushOption=")
    words = ("--progress", "--no-follow-tags", "--recurse-submodules=no", *options, "--end-of-options", remote)
    return git.run_remote(*settings, "push", *words, *refspecs, silence=silence)


def push_moves(
    git: Git, remote: str, moves: Sequence[RefMove], push_options: Iterable[str], *options: str, silence: float
) -> GitOutput:
    """Push *moves* atomically, each with a lease on its old value, without the user's hooks.

    Also sends push options that the user set for this command alone, by `git -c` or the environment.
    """
    outlet, given = _outlet(git, remote)
    leases = (f"--force-with-lease={move.ref}:{move.old or ''}" for move in moves)
    sent = (f"--push-option={option}" for option in (*given, *push_options))
    words = ("--atomic", "--porcelain", "--no-verify", *options, *leases, *sent)
    return push(outlet, _OUTLET, [f"{move.new or ''}:{move.ref}" for move in moves], *words, silence=silence)


def _outlet(git: Git, remote: str) -> tuple[Git, list[str]]:
    """Return a Git with a remote `_OUTLET` that has the URLs of *remote* and no other settings, and push options.

    The push options are those that the user set for this command alone, by `git -c` or the environment. If git read the
    fetch refspecs of the remote, a push would update local refs: in a mirror it would undo a concurrent local commit.
    """
    names = {f"remote.{remote}.{part}": f"remote.{_OUTLET}.{part}" for part in _REACHING}
    settings: list[tuple[str, str]] = []
    given: list[str] = []
    for found in find_settings(git, r"^(remote\.|push\.pushoption$)"):
        if found.key in names:
            settings.append((names[found.key], found.value))
        elif found.key == "push.pushoption" and found.scope == "command":
            given = (
                [*given, found.value] if found.value else []
            )  # as in git, an empty value removes the previous values
    if not any(key.endswith(".url") for key, _ in settings):
        settings.append((f"remote.{_OUTLET}.url", remote))  # like git, take a name without a URL for the URL
    return replace(git, environ=with_settings(git.environ, settings)), given
