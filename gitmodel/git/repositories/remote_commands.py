"""Commands that contact a remote: listing its refs, fetching and pushing, whatever the user's settings say."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from gitmodel.domain.schema.object_ids import Oid, is_oid
from gitmodel.errors import UsageError
from gitmodel.git.history.commits import contained, missing_commits
from gitmodel.git.refs.ref_move import RefMove
from gitmodel.git.running.failures import translate
from gitmodel.git.running.process import Git, with_settings
from gitmodel.git.running.silence_timeout import GitOutput
from gitmodel.git.settings.configuration import find_settings

# These options fetch only the given refspecs. Without `--refmap=`, git would also update the refs that the setting
# `remote.<name>.fetch` names: in a mirror, even the local branch.
_FETCH = (
    "fetch", "--refmap=", "--no-tags", "--no-prune-tags", "--no-write-fetch-head", "--no-write-commit-graph",
    "--no-recurse-submodules",
)  # fmt: skip
# The settings of a remote that git needs for a push, and the name of a temporary remote with only these settings.
_REACHING = ("url", "pushurl", "proxy", "proxyauthmethod", "receivepack", "vcs")
_OUTLET = "gitmodel-push"
# The seconds without output after which gitmodel ends git. A working server sends data every few seconds
# (`receive.keepAlive`), but its hooks may take longer.
_SILENCE = 120.0
_HOW_LONG = "run `git config gitmodel.silence 120`"


def silence_timeout(config: Mapping[str, str]) -> float:
    """Return the seconds after which gitmodel ends a git process to which a remote sends nothing (`gitmodel.silence`).

    Raises UsageError if this setting in *config* is no positive number.
    """
    asked = config.get("gitmodel.silence", "")
    try:
        silence = float(asked) if asked else _SILENCE
    except ValueError:
        silence = 0.0
    if silence <= 0:
        raise UsageError(f"gitmodel.silence is {asked!a}, not a number of seconds", hint=_HOW_LONG)
    return silence


def ask_refs(git: Git, remote: str, *patterns: str, options: Iterable[str] = (), silence: float) -> GitOutput:
    """Ask *remote* for its refs that match *patterns*. `refs_in` parses the output."""
    return git.run_remote("ls-remote", *options, "--end-of-options", remote, *patterns, silence=silence)


def refs_in(answer: GitOutput) -> dict[str, Oid]:
    """Map the refs in the output of `ask_refs` to their object ids. git lists each ref that ends with a pattern."""
    lines = (line.partition("\t") for line in answer.stdout.splitlines())
    return {ref: Oid(id) for id, _, ref in lines if is_oid(id)}


def published_commits(git: Git, commits: Iterable[Oid], remote: str, silence: float) -> frozenset[Oid]:
    """Return those of *commits* that are in the history of a branch of *remote*, as it is now or was at the last fetch.

    Contacts *remote* only if its remote-tracking refs in this repository do not contain all *commits* and are
    incomplete, as in a mirror or the clone of a single branch.
    """
    patterns, complete = _recorded_branches(git, remote)
    known = contained(git, commits, (), patterns)
    left = frozenset(commits) - known
    if complete or not left:
        return known
    tips = frozenset(refs_in(ask_refs(git, remote, "refs/heads/*", silence=silence)).values())
    return known | contained(git, left, tips - missing_commits(git, tips))


def _recorded_branches(git: Git, remote: str) -> tuple[list[str], bool]:
    """Return patterns of the local refs that record branches of *remote*. The bool is True if they record all branches.

    The setting `remote.<name>.fetch` names these refs (`git help fetch`). Refs below `refs/heads/` are left out,
    because a local branch can have commits that the remote lacks.
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
            # git takes a pattern without a wildcard for a folder, too. Brackets around the last letter make the
            # pattern match only *target* itself.
            patterns.append(target if "*" in target else f"{target[:-1]}[{target[-1]}]")
            complete = complete or source == "refs/heads/*"
    return patterns, complete


def has_remote_ref(git: Git, remote: str, ref: str, silence: float) -> bool:
    """Return True if *remote* has *ref*. Raises a GitModelError if git fails."""
    return ref in refs_in(_checked(ask_refs(git, remote, ref, silence=silence)))


def fetch(git: Git, remote: str, refspecs: Iterable[str], *options: str, silence: float) -> GitOutput:
    """Run `git fetch` with *options* for *refspecs*, and fetch no other refs."""
    words = ("--progress", *options, "--end-of-options", remote, *refspecs)
    return git.run_remote(*_FETCH, *words, silence=silence)


def fetch_objects(git: Git, remote: str, ids: Iterable[str], *options: str, silence: float) -> GitOutput:
    """Fetch the objects *ids* (object ids or refspecs). Does not tell the remote which commits this repository has."""
    alone = replace(git, environ=with_settings(git.environ, [("fetch.negotiationAlgorithm", "noop")]))
    return fetch(alone, remote, ids, "--no-prune", *options, silence=silence)


def fetch_refs(git: Git, remote: str, *refspecs: str, prune: bool, silence: float) -> None:
    """Fetch *refspecs*. Raises a GitModelError if git fails.

    If *prune* is True, deletes the local refs to which *refspecs* map and that *remote* no longer has.
    """
    options = ("--prune" if prune else "--no-prune", "--no-auto-maintenance")
    _checked(fetch(git, remote, refspecs, *options, silence=silence))


def _checked(answer: GitOutput) -> GitOutput:
    if answer.code:
        raise translate(answer.stderr, answer.code)
    return answer


def push(git: Git, remote: str, refspecs: Iterable[str], *options: str, silence: float) -> GitOutput:
    """Run `git push` with *options* for *refspecs*, and push no other refs."""
    # Otherwise git refuses refspecs for a mirror, and sends the push options in the user's configuration.
    settings = ("-c", f"remote.{remote}.mirror=false", "-c", "push.pushOption=")
    words = ("--progress", "--no-follow-tags", "--recurse-submodules=no", *options, "--end-of-options", remote)
    return git.run_remote(*settings, "push", *words, *refspecs, silence=silence)


def push_moves(
    git: Git, remote: str, moves: Sequence[RefMove], push_options: Iterable[str], *options: str, silence: float
) -> GitOutput:
    """Push *moves* atomically, each only if the remote's ref is at the old value of the move. Runs no hook of the user.

    Sends *push_options* and those that `_outlet` returns. *options* are further options of `git push`.
    """
    outlet, given = _outlet(git, remote)
    leases = (f"--force-with-lease={move.ref}:{move.old or ''}" for move in moves)
    sent = (f"--push-option={option}" for option in (*given, *push_options))
    words = ("--atomic", "--porcelain", "--no-verify", *options, *leases, *sent)
    return push(outlet, _OUTLET, [f"{move.new or ''}:{move.ref}" for move in moves], *words, silence=silence)


def _outlet(git: Git, remote: str) -> tuple[Git, list[str]]:
    """Return a Git with a remote `_OUTLET`, and the push options that the user set by `git -c` or the environment.

    The remote has the URLs of *remote* and the settings to reach them, but no fetch refspecs. With them, a push would
    also update local refs: in a mirror it would undo a concurrent local commit.
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
            )  # like git: an empty value removes the values before it
    if not any(key.endswith(".url") for key, _ in settings):
        settings.append((f"remote.{_OUTLET}.url", remote))  # like git, use a remote name without a setting as a URL
    return replace(git, environ=with_settings(git.environ, settings)), given
