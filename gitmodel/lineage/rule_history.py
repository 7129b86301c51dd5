"""The history of the rules: who changed stages, gates, other settings of the registry, or the signers, and why."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from gitmodel.branch.history.first_parents import BranchCommit, parse_person, walk_branch
from gitmodel.branch.history.stage_history import author_of
from gitmodel.branch.repository import Repository
from gitmodel.domain.changes.rule_changes import describe_rule_changes
from gitmodel.domain.schema import messages, paths
from gitmodel.domain.schema.object_ids import Oid
from gitmodel.errors import Invalid
from gitmodel.frozen import Frozen


class RuleChange(Frozen):
    """A commit that changed the rules: each of *changes* is a difference in words.

    *author* made the change, and the branch has had it since *when*. *pull_request* is the number of the pull request
    that the commit names, if it names one.
    """

    commit: Oid
    author: str
    when: datetime
    changes: tuple[str, ...]
    reason: str
    pull_request: str


def rule_history(repository: Repository) -> Iterator[RuleChange]:
    """Yield the changes of `gitmodel.toml` and of the signers, newest first.

    Raises Invalid after the last change that can be read, if a shallow clone lacks older ones.
    """
    tip = repository.tip()
    for step in walk_branch(repository, tip, paths.REGISTRY, paths.SIGNERS) if tip else ():
        names = [change.path for change in step.changes]
        author = parse_person(author_of(repository, step, names[0]))[0]
        yield RuleChange(
            step.commit.id,
            author,
            parse_person(step.commit.committer)[2],
            tuple(_changes(repository, step, names)),
            messages.prose(step.commit.message),
            messages.pull_request(step.commit.message),
        )


def _changes(repository: Repository, step: BranchCommit, names: list[str]) -> Iterator[str]:
    """Yield the differences that a commit made, in words."""
    if paths.REGISTRY in names:
        if step.commit.parent is None:
            yield "the registry was created"
            return
        try:
            old, new = (repository.recorded(id).registry() for id in (step.commit.parent, step.commit.id))
        except Invalid as error:
            yield f"{paths.REGISTRY} cannot be read: {error.message}"
        else:
            found = list(describe_rule_changes(old.stages, new.stages))
            yield from found or [f"other settings in {paths.REGISTRY}"]
    if paths.SIGNERS in names:
        was, now = (_lines(repository, id) for id in (step.commit.parent, step.commit.id))
        yield from (f"signer removed: {_signer(line)}" for line in was if line not in now)
        yield from (f"signer added: {_signer(line)}" for line in now if line not in was)


def list_signers(repository: Repository) -> list[str]:
    """Return the persons in `allowed_signers` of the branch, each with the kind of the key."""
    return [_signer(line) for line in _lines(repository, repository.tip())]


def _lines(repository: Repository, commit: Oid | None) -> list[str]:
    """Return the lines of the list of signers that name a key."""
    text = (repository.recorded(commit).files.read(paths.SIGNERS) or b"").decode("utf-8", "replace")
    lines = (line.strip() for line in text.splitlines())
    return [line for line in lines if line and not line.startswith("#")]


def _signer(line: str) -> str:
    """Return the person and the kind of the key in a *line* of `man ssh-keygen`, "ALLOWED SIGNERS".

    >>> _signer('ada@example.com namespaces="git" ssh-ed25519 AAAAC3Nza... Ada')
    'ada@example.com (ssh-ed25519)'
    """
    words = line.split()
    kind = next((word for word in words[1:] if word.startswith(("ssh-", "ecdsa-", "sk-", "openpgp"))), "")
    return f"{words[0]} ({kind})" if kind else words[0]
