"""Remotes of the registry repository: choosing one, fetching it into gitmodel's own refs, and reading these refs."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import field

from gitmodel.branch.repository import Repository
from gitmodel.domain.addresses import hide_credentials
from gitmodel.domain.schema.object_ids import Oid
from gitmodel.domain.schema.refs import REMOTES, RULES_TAGS, STAGE_TAGS, StageRef, remote_branch_ref, remote_rules_ref
from gitmodel.errors import Conflict, GitModelError, NotFound, Refused, Unreachable, UsageError
from gitmodel.frozen import Frozen
from gitmodel.git.refs.ref_commands import list_refs
from gitmodel.git.repositories import remote_commands
from gitmodel.git.repositories.remote_commands import ask_refs, refs_in, silence_timeout
from gitmodel.git.running.failures import translate
from gitmodel.git.running.silence_timeout import GitOutput
from gitmodel.git.settings.configuration import find_settings, list_remotes

_DISK_FAULTS = "No space left on device|Disk quota exceeded|Read-only file system"


class RemoteState(Frozen):
    """The state of a remote: its metadata branch, its stage tags and its rules tag.

    *tip* is the commit of the branch, or None. *tags* and *rules* are ids of tag objects. *last_seen*, *last_tags* and
    *last_rules* are what this clone knew before the fetch.
    """

    remote: str
    tip: Oid | None
    tags: Mapping[StageRef, Oid]
    last_seen: Oid | None = None
    last_tags: Mapping[StageRef, Oid] = field(default_factory=dict)
    rules: Oid | None = None
    last_rules: Oid | None = None


def choose_remote(repository: Repository, named: str = "") -> str:
    """Return the remote *named*, or else that of `git config gitmodel.remote`, else `origin`, else the only remote.

    Raises NotFound if there is no such remote, or several to choose from. Raises UsageError for a registry by URL,
    which has no remotes.
    """
    if repository.url:
        raise UsageError(
            f"the registry is {repository.url} itself: there is nothing to pull from it or to push to it",
            hint="every command reads and writes there; for a registry of your own: git model clone URL",
        )
    remotes = list_remotes(repository.git)
    if chosen := named or repository.config.get("gitmodel.remote", ""):
        if chosen not in remotes:
            hint = f"the remotes are {', '.join(remotes)}" if remotes else "run `git remote add origin URL`"
            raise NotFound(f"there is no remote {chosen!a}", hint=hint)
        return chosen
    if "origin" in remotes:
        return "origin"
    if len(remotes) == 1:
        return remotes[0]
    if not remotes:
        # A bundle has its own hint, because it is read-only.
        hint = repository.git.read_only_hint or "run `git remote add origin URL`"
        raise NotFound("this repository has no remote", hint=hint)
    raise NotFound("this repository has several remotes", hint="run `git config gitmodel.remote NAME` to choose one")


def tags_prefix(remote: str) -> str:
    """Return the prefix of this clone's refs that are copies of the stage tags of *remote*."""
    return f"{REMOTES}{remote}/model/"


def last_state(repository: Repository, remote: str) -> RemoteState:
    """Return the state of *remote* that this clone knows from its last pull or push, without contacting *remote*."""
    rules = repository.reader.resolve_id(remote_rules_ref(remote, repository.branch))
    return RemoteState(
        remote,
        repository.reader.resolve_id(remote_branch_ref(remote, repository.branch)),
        remote_tags(repository, remote),
        rules=rules,
    )


def fetch(repository: Repository, remote: str) -> RemoteState:
    """Fetch the metadata branch, the stage tags and the rules tag of *remote* into gitmodel's own refs.

    The caller may refuse the fetched state, so branch and rules tag go to separate refs, and the copies that
    `last_state` reads stay. Waits for a concurrent fetch in this clone. Raises Unreachable if the remote cannot be
    reached, Conflict if a ref stays locked.
    """
    return repository.refs.retry(lambda: _fetch(repository, remote))


def _fetch(repository: Repository, remote: str) -> RemoteState:
    last = last_state(repository, remote)
    incoming = f"{REMOTES}{remote}/incoming"
    name = repository.branch_name
    git, silence = repository.git, silence_timeout(repository.config)
    answer = checked(remote, ask_refs(git, remote, repository.branch, silence=silence))
    targets = (incoming, f"refs/remotes/{remote}/{name}") if repository.branch in refs_in(answer) else ()
    branch = [f"+{repository.branch}:{target}" for target in targets]
    refspecs = (*branch, f"+{STAGE_TAGS}*:{tags_prefix(remote)}*", f"+{RULES_TAGS}*:{incoming}-rules/*")
    checked(remote, remote_commands.fetch(git, remote, refspecs, "--prune", "--no-auto-maintenance", silence=silence))
    repository.reader.close()
    tip = repository.reader.resolve_id(incoming) if targets else None
    if tip:
        repository.tips.require_registry(repository.files(tip), Refused, f" of {remote}")
    rules = repository.reader.resolve_id(f"{incoming}-rules/{name}")
    return RemoteState(remote, tip, remote_tags(repository, remote), last.tip, last.tags, rules, last.rules)


def remote_tags(repository: Repository, remote: str) -> dict[StageRef, Oid]:
    """Return the stage tags of *remote* as last fetched, with the ids of their tag objects."""
    found = ((StageRef.parse(ref), id) for ref, id in _remote_tags(repository, remote))
    return {parsed: id for parsed, id in found if parsed is not None}


def blocking_tags(repository: Repository) -> Iterator[tuple[str, str]]:
    """Yield the remote ("": local) and the ref of each tag that keeps git from creating a stage tag or the rules tag.

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
    """Return those tags of *remote* that keep git from creating the rules tag, as of the last fetch."""
    incoming = f"{REMOTES}{remote}/incoming-rules/"
    below = f"{incoming}{repository.branch_name}/"
    return [RULES_TAGS + ref.removeprefix(incoming) for ref in list_refs(repository.git, below)]


def _remote_tags(repository: Repository, remote: str) -> Iterator[tuple[str, Oid]]:
    prefix = tags_prefix(remote)
    for ref, id in list_refs(repository.git, prefix).items():
        yield STAGE_TAGS + ref.removeprefix(prefix), id


def _is_blocking(ref: str) -> bool:
    """Return True if *ref* keeps git from creating a stage tag: it is `model/MODEL`, or below a stage tag."""
    parts = ref.removeprefix(STAGE_TAGS).split("/")
    if not ref.startswith(STAGE_TAGS) or len(parts) < 2:
        return True
    return len(parts) > 2 and StageRef.parse(STAGE_TAGS + "/".join(parts[:2])) is not None


def removal_command(remote: str, ref: str) -> str:
    """Return the shell command that deletes *ref* on *remote*."""
    return f"git push {shlex.quote(remote)} {shlex.quote(f':{ref}')}"


def overwriting_refspecs(repository: Repository) -> list[str]:
    """Return the settings `remote.NAME.fetch = REFSPEC` that make `git fetch` overwrite the local metadata branch."""
    found = find_settings(repository.git, r"^remote\..*\.fetch$")
    return [f"{one.key} = {one.value}" for one in found if _writes(one.value, repository.branch)]


def _writes(refspec: str, ref: str) -> bool:
    """Return True if a fetch with *refspec* writes the local *ref*."""
    target = refspec.removeprefix("+").partition(":")[2]
    before, star, after = target.partition("*")
    return target == ref or (bool(star) and ref.startswith(before) and ref.endswith(after))


def checked(remote: str, answer: GitOutput) -> GitOutput:
    """Return *answer*, the output of a fetch from *remote*. If git failed, raise the error that says why."""
    if answer.code:
        raise unreachable(remote, "fetched", answer)
    return answer


def unreachable(remote: str, verb: str, answer: GitOutput) -> GitModelError:
    """Return the error for *answer*, the output of a git process that failed.

    *verb* says what could not be done with *remote*: "fetched", "read" or "pushed to".
    """
    said = remote_message(answer, [])
    here = "\n".join(line for line in answer.stderr.splitlines() if not line.startswith("remote:"))
    error = translate(here, answer.code)
    # These errors have their cause on this machine, such as a ref, a hook, a full disk or a date in the environment.
    if isinstance(error, (Conflict, Refused)) or "invalid date format" in said or re.search(_DISK_FAULTS, here):
        return error
    if "does not support --atomic" in said:
        return Refused(
            f"{remote} cannot be {verb}: {said}",
            hint="branch and tags are pushed all or nothing: the server needs git 2.4 or newer, and "
            "`receive.advertiseAtomic` must not be false there",
        )
    if "does not support --signed" in said:
        return Refused(
            f"{remote} does not accept signed pushes, and push.gpgSign asks for them",
            hint="sign only where the server accepts it: `git config push.gpgSign if-asked`",
        )
    return Unreachable(f"{remote} cannot be {verb}: {said}", hint="try again when the remote can be reached")


def remote_message(answer: GitOutput, reasons: list[str]) -> str:
    """Return the message of the remote in *answer* and *reasons*, on one line, without credentials.

    *reasons* are git's reasons for refused refs. If there are none, returns all of git's messages.
    """
    lines = [line.strip() for line in answer.stderr.splitlines()]
    theirs = [line.removeprefix("remote:").strip() for line in lines if line.startswith("remote:")]
    why = [reason.partition("] (")[2].removesuffix(")") or reason for reason in reasons]
    found = [*theirs, *why] if reasons else lines
    return hide_credentials(" ".join(dict.fromkeys(line for line in found if line))) or f"git ended with {answer.code}"
