"""The history of the rules: who changed stages, gates, other settings of the registry, or the signers, and why."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from gitmodel.branch.history.first_parents import BranchCommit, parse_person, walk_branch
from gitmodel.branch.repository import Repository
from gitmodel.domain.changes.rule_edits import describe_rule_changes
from gitmodel.domain.schema import messages, paths
from gitmodel.domain.schema.object_ids import Oid
from gitmodel.errors import Invalid
from gitmodel.frozen import Frozen


class RuleChange(Frozen):
    """A commit that changed the rules of the registry. Each of *changes* describes one difference in words.

    *author* made the change, and the commit has been on the branch since *when*. *pull_request* is the number of a pull
    request, such as "#12", if the commit message names one; else "".
    """

    commit: Oid
    author: str
    when: datetime
    changes: tuple[str, ...]
    reason: str
    pull_request: str


def rule_history(repository: Repository) -> Iterator[RuleChange]:
    """Yield the commits that changed `gitmodel.toml` or the list of signers, newest first.

    If a shallow clone lacks older changes, raises Invalid after the last change that can be read.
    """
    tip = repository.tip()
    for step in walk_branch(repository, tip, paths.REGISTRY, paths.SIGNERS) if tip else ():
        names = [change.path for change in step.changes]
        author = parse_person(repository.commits.author(step.commit, names[0]))[0]
        yield RuleChange(
            step.commit.id,
            author,
            parse_person(step.commit.committer)[2],
            tuple(_changes(repository, step, names)),
            messages.prose(step.commit.message),
            messages.pull_request(step.commit.message),
        )


def _changes(repository: Repository, step: BranchCommit, names: list[str]) -> Iterator[str]:
    """Yield in words what the commit *step* changed in the files *names* (`gitmodel.toml`, `allowed_signers`)."""
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
    """Return the persons in `allowed_signers` on the metadata branch, each with the type of the person's key."""
    return [_signer(line) for line in _lines(repository, repository.tip())]


def _lines(repository: Repository, commit: Oid | None) -> list[str]:
    """Return the lines of `allowed_signers` in *commit*, without comments and empty lines."""
    text = (repository.recorded(commit).files.read(paths.SIGNERS) or b"").decode("utf-8", "replace")
    lines = (line.strip() for line in text.splitlines())
    return [line for line in lines if line and not line.startswith("#")]


def _signer(line: str) -> str:
    """Return the person and the type of the key in *line* of `allowed_signers` (format: `man ssh-keygen`).

    >>> _signer('ada@example.com namespaces="git" ssh-ed25519 AAAAC3Nza... Ada')
    'ada@example.com (ssh-ed25519)'
    """
    words = line.split()
    kind = next((word for word in words[1:] if word.startswith(("ssh-", "ecdsa-", "sk-", "openpgp"))), "")
    return f"{words[0]} ({kind})" if kind else words[0]
