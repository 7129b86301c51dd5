"""Remotes of the registry repository: choosing one, fetching into gitmodel's own refs, and its last known state."""

from __future__ import annotations

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
from gitmodel.git.repositories.remote_commands import ask_refs, refs_in
from gitmodel.git.running.failures import translate
from gitmodel.git.running.process import GitOutput
from gitmodel.git.settings.configuration import find_settings, list_remotes

# A working server sends data every few seconds (`receive.keepAlive`), but its hooks may take longer.
_SILENCE = 120.0
_HOW_LONG = "run `git config gitmodel.silence 120`"


class RemoteState(Frozen):
    """The fetched state of a remote: the commit of its metadata branch (None if absent) and its stage tags.

    *rules* is the remote's tag of the rules in force. *last_seen*, *last_tags* and *last_rules* are the state that this
    clone knew before.
    """

    remote: str
    tip: Oid | None
    tags: Mapping[StageRef, Oid]
    last_seen: Oid | None = None
    last_tags: Mapping[StageRef, Oid] = field(default_factory=dict)
    rules: Oid | None = None
    last_rules: Oid | None = None


def choose_remote(repository: Repository, named: str = "") -> str:
    """Return the remote *named*, or else the remote of `git config gitmodel.remote`, `origin`, or the only remote.

    Raises NotFound if there is no remote, UsageError for a registry by URL, which never has a remote.
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
    """Return the prefix of the refs in this clone that copy the remote's stage tags."""
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

    Does not move this clone's copies of the remote's branch and rules, because the caller may refuse the fetched state.
    Waits for a concurrent fetch in this clone. Raises Unreachable, Conflict for a ref that stays locked.
    """
    return repository.refs.retry(lambda: _fetch(repository, remote))


def _fetch(repository: Repository, remote: str) -> RemoteState:
    last = last_state(repository, remote)
    incoming = f"{REMOTES}{remote}/incoming"
    name = repository.branch_name
    git, silence = repository.git, silence_timeout(repository)
    there = repository.branch in refs_in(checked(remote, ask_refs(git, remote, repository.branch, silence=silence)))
    branch = [f"+{repository.branch}:{incoming}", f"+{repository.branch}:refs/remotes/{remote}/{name}"] if there else []
    refspecs = (*branch, f"+{STAGE_TAGS}*:{tags_prefix(remote)}*", f"+{RULES_TAGS}*:{incoming}-rules/*")
    checked(remote, remote_commands.fetch(git, remote, refspecs, "--prune", "--no-auto-maintenance", silence=silence))
    repository.reader.close()
    tip = repository.reader.resolve_id(incoming) if there else None
    if tip:
        repository.tips.require_registry(repository.files(tip), Refused, f" of {remote}")
    rules = repository.reader.resolve_id(f"{incoming}-rules/{name}")
    return RemoteState(remote, tip, remote_tags(repository, remote), last.tip, last.tags, rules, last.rules)


def remote_tags(repository: Repository, remote: str) -> dict[StageRef, Oid]:
    """Return the last fetched stage tags of *remote*. Leaves out other refs."""
    found = ((StageRef.parse(ref), id) for ref, id in _remote_tags(repository, remote))
    return {parsed: id for parsed, id in found if parsed is not None}


def blocking_tags(repository: Repository) -> Iterator[tuple[str, str]]:
    """Yield the tags that keep git from creating stage tags or the tag of the rules, each with its remote ("": local).

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
    """Return the last fetched tags below the name of the rules tag of *remote*, which block that tag."""
    incoming = f"{REMOTES}{remote}/incoming-rules/"
    below = f"{incoming}{repository.branch_name}/"
    return [RULES_TAGS + ref.removeprefix(incoming) for ref in list_refs(repository.git, below)]


def _remote_tags(repository: Repository, remote: str) -> Iterator[tuple[str, Oid]]:
    prefix = tags_prefix(remote)
    for ref, id in list_refs(repository.git, prefix).items():
        yield STAGE_TAGS + ref.removeprefix(prefix), id


def _is_blocking(ref: str) -> bool:
    """Return True if *ref* has the name of the folder for a model's stage tags, or is below a stage tag."""
    parts = ref.removeprefix(STAGE_TAGS).split("/")
    if not ref.startswith(STAGE_TAGS) or len(parts) < 2:
        return True
    return len(parts) > 2 and StageRef.parse(STAGE_TAGS + "/".join(parts[:2])) is not None


def removal_command(remote: str, ref: str) -> str:
    """Return the command that removes *ref* from *remote*."""
    return f"git push {shlex.quote(remote)} {shlex.quote(f':{ref}')}"


def overwriting_refspecs(repository: Repository) -> list[str]:
    """Return the settings (`remote.NAME.fetch = REFSPEC`) that make `git fetch` move the local metadata branch."""
    found = find_settings(repository.git, r"^remote\..*\.fetch$")
    return [f"{one.key} = {one.value}" for one in found if _writes(one.value, repository.branch)]


def _writes(refspec: str, ref: str) -> bool:
    """Return True if a fetch with *refspec* writes the local *ref*."""
    target = refspec.removeprefix("+").partition(":")[2]
    before, star, after = target.partition("*")
    return target == ref or (bool(star) and ref.startswith(before) and ref.endswith(after))


def silence_timeout(repository: Repository) -> float:
    """Return the seconds that a remote may be silent. Raises UsageError."""
    asked = repository.config.get("gitmodel.silence", "")
    try:
        silence = float(asked) if asked else _SILENCE
    except ValueError:
        silence = 0.0
    if silence <= 0:
        raise UsageError(f"gitmodel.silence is {asked!a}, not a number of seconds", hint=_HOW_LONG)
    return silence


def checked(remote: str, answer: GitOutput) -> GitOutput:
    """Return *answer*. If git failed, raise the error for a *remote* that could not be fetched."""
    if answer.code:
        raise unreachable(remote, "fetched", answer)
    return answer


def unreachable(remote: str, verb: str, answer: GitOutput) -> GitModelError:
    """Return the error for git's *answer* if *remote* could not be fetched or pushed to."""
    said = remote_message(answer, [])
    here = "\n".join(line for line in answer.stderr.splitlines() if not line.startswith("remote:"))
    error = translate(here, answer.code)
    # These errors have their cause here: a ref, hook or owner of this repository, or a date in the environment.
    if isinstance(error, (Conflict, Refused)) or "invalid date format" in said:
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
    """Return the remote's own message, on one line."""
    lines = [line.strip() for line in answer.stderr.splitlines()]
    theirs = [line.removeprefix("remote:").strip() for line in lines if line.startswith("remote:")]
    why = [reason.partition("] (")[2].removesuffix(")") or reason for reason in reasons]
    found = [*theirs, *why] if reasons else lines
    return hide_credentials(" ".join(dict.fromkeys(line for line in found if line))) or f"git ended with {answer.code}"
