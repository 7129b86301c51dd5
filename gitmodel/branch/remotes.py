"""Remotes of the registry repository: fetching into refs of our own, and pushing all or nothing with leases."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from gitmodel.branch.repository import Repository
from gitmodel.domain.addresses import hide_credentials
from gitmodel.domain.schema.object_ids import Oid
from gitmodel.domain.schema.refs import REMOTES, RULES_TAGS, STAGE_TAGS, StageRef, remote_branch_ref, remote_rules_ref
from gitmodel.errors import Conflict, GitModelError, NotFound, Refused, Unreachable, UsageError
from gitmodel.git.configuration import list_remotes
from gitmodel.git.failures import translate
from gitmodel.git.process import FETCH, Git, GitOutput, with_settings
from gitmodel.git.refs import RefMove, list_refs, set_refs

# git's message if a lease or a fast-forward fails, locally or on the remote: another push was first.
_LOST_RACE = re.compile(
    r"stale info|fetch first|non-fast-forward|already exists|cannot lock ref|incorrect old value|failed to update ref"
    r"|atomic transaction failed|remote ref updated since checkout"
)
# git's message, before it pushes, if a ref to delete was already deleted.
_ALREADY_GONE = re.compile(r"^error: unable to delete '.*': remote ref does not exist$", re.MULTILINE)
# git's message for a ref that was rejected because another ref was.
_DRAGGED = re.compile(r"atomic push fail")
# A working server sends data every few seconds (`receive.keepAlive`), but its hooks may take longer.
_SILENCE = 120.0
_HOW_LONG = "run `git config gitmodel.silence 120`"
# The settings for reaching a remote by push, and a remote with only these settings.
_REACHING = ("url", "pushurl", "proxy", "proxyauthmethod", "receivepack", "vcs")
_OUTLET = "gitmodel-push"


class RemoteMoved(Conflict):
    """The remote was changed since it was fetched; nothing was pushed."""


@dataclass(frozen=True)
class PushAnswer:
    """The result of a push, and the refs that were *left* unchanged because they existed already."""

    said: str
    left: frozenset[str] = frozenset()


@dataclass(frozen=True)
class RemoteState:
    """The fetched state of a remote: the commit of its metadata branch (None if absent) and its stage tags.

    *rules* is its tag of the rules in force. *last_seen*, *last_tags* and *last_rules* are the previously known state.
    """

    remote: str
    tip: Oid | None
    tags: Mapping[StageRef, Oid]
    last_seen: Oid | None = None
    last_tags: Mapping[StageRef, Oid] = field(default_factory=dict)
    rules: Oid | None = None
    last_rules: Oid | None = None


def choose_remote(repository: Repository, named: str = "") -> str:
    """Return the remote *named*, or `git config gitmodel.remote`, `origin`, or the only one.

    Raises NotFound if there is none, UsageError for a registry by URL, which has no remote.
    """
    if repository.url:
        raise UsageError(
            f"the registry is {repository.url} itself: there is nothing to pull from it or to push to it",
            hint="every command reads and writes there; for a registry of your own: git model clone URL",
        )
    remotes = list_remotes(repository.git)
    wanted = named or repository.config.get("gitmodel.remote", "")
    if wanted:
        if wanted not in remotes:
            known = f"the remotes are {', '.join(remotes)}" if remotes else "run `git remote add origin URL`"
            raise NotFound(f"there is no remote {wanted!a}", hint=known)
        return wanted
    if "origin" in remotes:
        return "origin"
    if len(remotes) == 1:
        return remotes[0]
    if not remotes:
        hint = repository.git.read_only_hint or "run `git remote add origin URL`"  # bundles cannot be added as a remote
        raise NotFound("this repository has no remote", hint=hint)
    raise NotFound("this repository has several remotes", hint="run `git config gitmodel.remote NAME` to choose one")


def tags_prefix(remote: str) -> str:
    """Return the prefix of our copies of the remote's stage tags."""
    return f"{REMOTES}{remote}/model/"


def last_state(repository: Repository, remote: str) -> RemoteState:
    """Return the last known state of *remote*, without contacting it."""
    rules = repository.reader.resolve_id(remote_rules_ref(remote, repository.branch))
    return RemoteState(
        remote,
        repository.reader.resolve_id(remote_branch_ref(remote, repository.branch)),
        remote_tags(repository, remote),
        rules=rules,
    )


def fetch(repository: Repository, remote: str) -> RemoteState:
    """Fetch the metadata branch, the stage tags and the rules in force of *remote* into gitmodel's own refs.

    The copies of its branch and rules do not move until the caller moves them, because the fetched state may be
    refused. Waits for a concurrent fetch in this clone. Raises Unreachable, Conflict for a ref that stays locked.
    """
    return repository.refs.retry(lambda: _fetch(repository, remote))


def _fetch(repository: Repository, remote: str) -> RemoteState:
    last = last_state(repository, remote)
    incoming = f"{REMOTES}{remote}/incoming"
    name = repository.branch.removeprefix("refs/heads/")
    listed = _ask(repository, remote, "ls-remote", "--end-of-options", remote, repository.branch)
    # the name of another branch can end with this name
    there = any(line.split("\t")[1:] == [repository.branch] for line in listed.splitlines())
    branch = [f"+{repository.branch}:{incoming}", f"+{repository.branch}:refs/remotes/{remote}/{name}"] if there else []
    _ask(
        repository, remote,
        *FETCH, "--progress", "--prune", "--no-auto-maintenance", "--end-of-options", remote, *branch,
        f"+{STAGE_TAGS}*:{tags_prefix(remote)}*", f"+{RULES_TAGS}*:{incoming}-rules/*",
    )  # fmt: skip
    repository.reader.close()
    tip = repository.reader.resolve_id(incoming) if there else None
    if tip:
        repository.tips.require_registry(repository.files(tip), Refused, f" of {remote}")
    rules = repository.reader.resolve_id(f"{incoming}-rules/{name}")
    return RemoteState(remote, tip, remote_tags(repository, remote), last.tip, last.tags, rules, last.rules)


def remote_tags(repository: Repository, remote: str) -> dict[StageRef, Oid]:
    """Return the last fetched stage tags of *remote*, without refs that are not named like a stage."""
    found = ((StageRef.parse(ref), id) for ref, id in _remote_tags(repository, remote))
    return {parsed: id for parsed, id in found if parsed is not None}


def blocking_tags(repository: Repository) -> Iterator[tuple[str, str]]:
    """Yield the tags, each with its remote ("": here), that keep git from creating stage tags or the tag of the rules.

    Examples are `model/iris/staging/x` and `gitmodel-rules/gitmodel/x`.
    """
    for ref in list_refs(repository.git, STAGE_TAGS.rstrip("/")):
        if _is_blocking(ref):
            yield "", ref
    yield from (("", ref) for ref in list_refs(repository.git, f"{repository.rules.ref}/"))
    for remote in list_remotes(repository.git):
        yield from ((remote, ref) for ref, _ in _remote_tags(repository, remote) if _is_blocking(ref))
        yield from ((remote, ref) for ref in blocking_rules(repository, remote))


def blocking_rules(repository: Repository, remote: str) -> list[str]:
    """Return the last fetched tags of *remote* that are below the name of its tag of the rules in force."""
    incoming = f"{REMOTES}{remote}/incoming-rules/"
    below = f"{incoming}{repository.branch.removeprefix('refs/heads/')}/"
    return [RULES_TAGS + ref.removeprefix(incoming) for ref in list_refs(repository.git, below)]


def _remote_tags(repository: Repository, remote: str) -> Iterator[tuple[str, Oid]]:
    prefix = tags_prefix(remote)
    for ref, id in list_refs(repository.git, prefix).items():
        yield STAGE_TAGS + ref.removeprefix(prefix), id


def _is_blocking(ref: str) -> bool:
    """Return True if *ref* has the name of a model's folder of tags, or is below a stage tag."""
    parts = ref.removeprefix(STAGE_TAGS).split("/")
    if not ref.startswith(STAGE_TAGS) or len(parts) < 2:
        return True
    return len(parts) > 2 and StageRef.parse(STAGE_TAGS + "/".join(parts[:2])) is not None


def push(repository: Repository, remote: str, moves: Sequence[RefMove], options: Sequence[str] = ()) -> PushAnswer:
    """Push *moves* atomically.

    A ref that another process already moved to its new id counts as pushed, and the result names it. *options* are push
    options; a remote that does not support them gets none. Push options of this single command, as in `git -c
    push.pushOption=gitmodel.force model push`, are sent as well. Raises RemoteMoved if the remote has unexpected refs,
    Refused with the host's message if a rule of the host refuses the push, Unreachable if it cannot be reached or its
    answer is lost.
    """
    # a thin pack would fetch the files that a registry by URL does not have
    unthinned = ["--no-thin"] if repository.url else []
    leases = [f"--force-with-lease={move.ref}:{move.old or ''}" for move in moves]
    refspecs = [f"{move.new or ''}:{move.ref}" for move in moves]
    outlet, given = _outlet(repository.git, remote)
    answer = outlet.run_remote(
        # git sends the options of the settings only if the command has none
        "-c", "push.pushOption=",
        "push", "--progress", "--atomic", "--porcelain", "--no-verify", "--no-follow-tags", "--recurse-submodules=no",
        *unthinned, *leases, *(f"--push-option={option}" for option in (*given, *options)), "--end-of-options",
        _OUTLET, *refspecs, silence=_silence(repository),
    )  # fmt: skip
    if options and answer.code and "does not support push options" in answer.stderr:
        return push(repository, remote, moves)
    if answer.code == 0:
        lines = (line.split("\t") for line in answer.stdout.splitlines() if line.startswith("=\t"))
        return PushAnswer(answer.stderr, frozenset(line[1].partition(":")[2] for line in lines))
    called = repository.url or remote
    if _ALREADY_GONE.search(answer.stderr):
        raise RemoteMoved(
            f"{called} was changed by somebody else: a ref to delete is gone", hint="run `git model pull`"
        )
    reasons = [line.split("\t")[2] for line in answer.stdout.splitlines() if line.count("\t") >= 2 and line[0] == "!"]
    own = [reason for reason in reasons if not _DRAGGED.search(reason)]
    said = _words(answer, own)
    if any(reason.startswith("[remote failure]") for reason in own) or not reasons:
        raise unreachable(called, "pushed to", answer)
    if "; cannot create" in answer.stderr:
        refuse_blocked(repository, remote, [move.ref for move in moves])
    hooked = "aborted by hook" in answer.stderr
    if not hooked and all(_LOST_RACE.search(reason) for reason in own):
        raise RemoteMoved(f"{called} was changed by somebody else: {said}", hint="run `git model pull`")
    raise Refused(f"{called} refused the push: {said}", hint="this is the host's message; nothing was changed there")


def refuse_blocked(repository: Repository, remote: str, refs: Iterable[str]) -> None:
    """Raise Conflict if *remote* has a ref where one of *refs* needs a folder, or a folder where it needs a file."""
    there = [line.split("\t")[1] for line in _ask(repository, remote, "ls-remote", "--refs", remote).splitlines()]
    for blocking in there:
        for ref in refs:
            if blocking.startswith(f"{ref}/") or ref.startswith(f"{blocking}/"):
                called = repository.url or remote
                raise Conflict(
                    f"{called} has {blocking}, so that git cannot create {ref} there; nothing was pushed",
                    hint=f"if nobody needs it, type: {removal_command(called, blocking)}",
                )


def removal_command(remote: str, ref: str) -> str:
    """Return the command that removes *ref* from *remote*."""
    return f"git push {shlex.quote(remote)} {shlex.quote(f':{ref}')}"


def has_ref(repository: Repository, remote: str, ref: str, id: Oid) -> bool:
    """Return True if *ref* of *remote* is *id*. Used after a push whose answer was lost."""
    answer = run_remote(repository, "ls-remote", "--end-of-options", remote, ref)
    return f"{id}\t{ref}" in answer.stdout.splitlines()


def move_copies(repository: Repository, remote: str, moves: Sequence[RefMove]) -> None:
    """Move the local copies of the remote's refs to the pushed ids."""
    repository.refs.retry(lambda: _move_copies(repository, remote, moves))


def _move_copies(repository: Repository, remote: str, moves: Sequence[RefMove]) -> None:
    new: dict[str, Oid | None] = {}
    for move in moves:
        if move.ref.startswith(STAGE_TAGS):
            copy = f"{tags_prefix(remote)}{move.ref.removeprefix(STAGE_TAGS)}"
        elif move.ref == repository.rules.ref:
            copy = remote_rules_ref(remote, repository.branch)
        else:
            copy = remote_branch_ref(remote, repository.branch)
        new[copy] = move.new
    set_refs(repository.git, new)


def overwriting_refspecs(repository: Repository) -> list[str]:
    """Return the settings, as `remote.NAME.fetch = REFSPEC`, with which `git fetch` moves the local metadata branch."""
    found = repository.git.run("config", "-z", "--get-regexp", r"^remote\..*\.fetch$", answers=(0, 1))
    entries = (entry.partition("\n") for entry in found.decode("utf-8", "surrogateescape").split("\0") if entry)
    return [f"{key} = {refspec}" for key, _, refspec in entries if _writes(refspec, repository.branch)]


def _writes(refspec: str, ref: str) -> bool:
    """Return True if a fetch by *refspec* writes *ref* here."""
    target = refspec.removeprefix("+").partition(":")[2]
    before, star, after = target.partition("*")
    return target == ref or (bool(star) and ref.startswith(before) and ref.endswith(after))


def run_remote(repository: Repository, *arguments: str) -> GitOutput:
    """Run git to talk to a remote and return the answer; it ends after `gitmodel.silence` seconds without output."""
    return repository.git.run_remote(*arguments, silence=_silence(repository))


def _outlet(git: Git, remote: str) -> tuple[Git, list[str]]:
    """Return a Git with a remote `_OUTLET`, which pushes to the same place as *remote* and has no other settings.

    It includes the push options of this single command, from `git -c` or the environment. With the remote's fetch
    refspecs, a push would also update local refs: in a mirror it would undo a concurrent local commit.
    `remote.<name>.mirror` refuses refspecs.
    """
    found = git.run("config", "-z", "--show-scope", "--get-regexp", r"^(remote\.|push\.pushoption$)", answers=(0, 1))
    words = iter(os.fsdecode(found).split("\0"))
    names = {f"remote.{remote}.{part}": f"remote.{_OUTLET}.{part}" for part in _REACHING}
    settings: list[tuple[str, str]] = []
    given: list[str] = []
    for scope, entry in zip(words, words, strict=False):
        key, _, value = entry.partition("\n")
        if key in names:
            settings.append((names[key], value))
        elif key == "push.pushoption" and scope == "command":
            given = [*given, value] if value else []  # as in git: an empty value removes the previous ones
    if not any(key.endswith(".url") for key, _ in settings):
        settings.append((f"remote.{_OUTLET}.url", remote))  # then git uses the name as the URL
    return replace(git, environ=with_settings(git.environ, settings)), given


def _silence(repository: Repository) -> float:
    """Return the seconds that a remote may be silent. Raises UsageError."""
    asked = repository.config.get("gitmodel.silence", "")
    try:
        silence = float(asked) if asked else _SILENCE
    except ValueError:
        silence = 0.0
    if silence <= 0:
        raise UsageError(f"gitmodel.silence is {asked!a}, not a number of seconds", hint=_HOW_LONG)
    return silence


def _ask(repository: Repository, remote: str, *arguments: str) -> str:
    answer = run_remote(repository, *arguments)
    if answer.code:
        raise unreachable(remote, "fetched", answer)
    return answer.stdout


def unreachable(remote: str, verb: str, answer: GitOutput) -> GitModelError:
    """Return the error for git's *answer* if *remote* could not be fetched or pushed to."""
    said = _words(answer, [])
    here = "\n".join(line for line in answer.stderr.splitlines() if not line.startswith("remote:"))
    error = translate(here, answer.code)
    if isinstance(error, (Conflict, Refused)):  # errors about a ref or hook of this repository, or its owner
        return error
    if "does not support --atomic" in said:
        return Refused(
            f"{remote} cannot be {verb}: {said}",
            hint="branch and tags are pushed all or nothing: the server needs git 2.4 or newer, and "
            "`receive.advertiseAtomic` must not be false there",
        )
    return Unreachable(f"{remote} cannot be {verb}: {said}", hint="try again when it can be reached")


def _words(answer: GitOutput, reasons: list[str]) -> str:
    """Return the remote's own message, on one line."""
    lines = [line.strip() for line in answer.stderr.splitlines()]
    theirs = [line.removeprefix("remote:").strip() for line in lines if line.startswith("remote:")]
    why = [reason.partition("] (")[2].removesuffix(")") or reason for reason in reasons]
    found = [*theirs, *why] if reasons else lines
    return hide_credentials(" ".join(dict.fromkeys(line for line in found if line))) or f"git ended with {answer.code}"
