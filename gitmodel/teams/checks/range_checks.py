"""`check BASE..HEAD`: the problems that the merge of HEAD into BASE would have."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from functools import partial
from pathlib import Path

from gitmodel.branch.history.changed_paths import changed_paths
from gitmodel.branch.history.first_parents import refuse_edge
from gitmodel.branch.repository import Repository
from gitmodel.domain.rules.change_rules import ChangedBranch
from gitmodel.domain.rules.related_records import related
from gitmodel.domain.schema import paths
from gitmodel.domain.schema.codec import Problem
from gitmodel.domain.schema.object_ids import Oid
from gitmodel.domain.snapshots.snapshot import Snapshot
from gitmodel.errors import Invalid
from gitmodel.frozen import Frozen
from gitmodel.git.history.commits import find_commit, merge_base
from gitmodel.git.history.merging import merged_tree
from gitmodel.git.objects.trees import CommitFiles
from gitmodel.git.worktrees.index_copies import staged_tree
from gitmodel.registry.health.checking import check_files, credentials_in
from gitmodel.registry.promotion import judging
from gitmodel.version import __version__

_SHOWN = 3
# The kind of the entries in the fact cache that mark a commit as free of problems. Their value is a hash of the release
# that checked the commit, because another release may find other problems.
_VALID = "valid"
_RULES_NOW = hashlib.sha256(__version__.encode()).hexdigest()[:16]
_MOST_COMMITS = 256


class RangeCheck(Frozen):
    """The problems of merging a head commit into a base commit.

    *rules* are the paths of the changed files that control permissions and gates. *tree* is the id of the merged folder
    (None: the commits cannot be merged), and *changed* are the paths in *tree* that differ from the base.
    *not_to_forward* is the commit that merged the base into the branch of the head, as hosts do to update a branch
    (None: there is none). The metadata branch must not be fast-forwarded to such a head, because the head's first
    parents do not lead to the base. *credentials* has a text for each changed field that looks like a credential.
    """

    problems: tuple[Problem, ...]
    rules: tuple[str, ...] = ()
    tree: Oid | None = None
    changed: tuple[str, ...] = ()
    not_to_forward: Oid | None = None
    credentials: tuple[str, ...] = ()


def check_between(repository: Repository, base: Oid, head: Oid, *, force: bool = False) -> RangeCheck:
    """Find the problems of merging the commit *head* into *base*: new problems of records, and changes against a rule.

    If *force*, the merge may delete versions in use, and many records at once.
    """
    shared = merge_base(repository.git, base, head)
    if not shared:
        for commit in (base, head):
            refuse_edge(repository, commit)
        return RangeCheck((Problem("", "", "change.lineage", "the two commits have no common history"),))
    try:
        changed_paths(repository, shared, head)
    except Invalid as error:
        return RangeCheck((Problem("", "", "change.size", error.message),))
    tree, conflicts = merged_tree(repository.git, repository.reader, base, head)
    problems = [Problem(path, "", "change.conflict", "was changed on both sides") for path in conflicts]
    if tree is None or conflicts:
        return RangeCheck(tuple(problems))
    found = _judge_tree(repository, base, head, tree, force)
    behind = shared == base and not repository.commits.is_on_chain(head, base)
    return replace(found, not_to_forward=repository.commits.merged_by(head, base)) if behind else found


def check_staged(repository: Repository, index: Path | None = None, *, force: bool = False) -> RangeCheck | None:
    """Find the problems of committing the files that are staged in the file *index* (None: the index of the work tree).

    Returns None if nothing is staged, or if the checked-out commit belongs neither to the metadata branch nor to a
    proposal. *force* is as in `check_between`.
    """
    head, tip = find_commit(repository.git, "HEAD"), repository.tip()
    if not head or not tip or not merge_base(repository.git, head, tip):
        return None
    tree = staged_tree(repository.git, repository.reader, index)
    if tree == repository.commits.read(head).tree:
        return None
    return _judge_tree(repository, head, head, tree, force)


def refuse_invalid(repository: Repository, base: Oid | None, tip: Oid) -> None:
    """Raise Invalid if the commit *tip* has problems that the remote's commit *base* (None: none) does not have."""
    try:
        changed = changed_paths(repository, base, tip)
    except Invalid:  # so many files changed that a push would take too long: check gitmodel.toml instead of all of them
        changed = [paths.REGISTRY]
    after = repository.recorded(tip)
    found = _new_problems(repository.recorded(base), after, changed) if base else check_files(repository.files(tip))
    if found:
        shown = "; ".join(map(str, found[:_SHOWN])) + (f"; and {len(found) - _SHOWN} more" if found[_SHOWN:] else "")
        raise Invalid(
            f"the push would publish records that break the format: {shown}",
            hint="`git model check` lists every problem; correct the file in a work tree of the branch "
            f"(`git worktree add ../registry {repository.branch_name}`), commit, and push again",
        )


def list_problems(repository: Repository) -> list[Problem]:
    """Return the problems of the metadata branch, as `check` does. If it has none, note this in the fact cache.

    If the fact cache says that one of the newest commits has no problems, reads only the files that changed after this
    commit, and the records related to them.
    """
    tip = repository.tip()
    if not tip:
        return []
    base = _newest_valid(repository, tip)
    if base == tip:
        return []
    found = [] if base and _stays_valid(repository, base, tip) else check_files(repository.files(tip))
    if not found:
        repository.facts.put(_VALID, tip, _RULES_NOW)
    return found


def _newest_valid(repository: Repository, tip: Oid) -> Oid | None:
    """Return the newest of the last 256 commits up to *tip* that the fact cache marks as free of problems; or None."""
    at: Oid | None = tip
    for _ in range(_MOST_COMMITS):
        if at is None or not repository.commits.is_here(at):
            return None
        if repository.facts.get(_VALID, at) == _RULES_NOW:
            return at
        at = next(iter(repository.commits.read(at).parents), None)
    return None


def _stays_valid(repository: Repository, base: Oid, tip: Oid) -> bool:
    """Return True if *tip* has no problems, given that the earlier commit *base* has none. Reads only what changed."""
    try:
        changed = changed_paths(repository, base, tip)
    except Invalid:  # too many files
        return False
    return not _new_problems(repository.recorded(base), repository.recorded(tip), changed)


def _judge_tree(repository: Repository, base: Oid, head: Oid, tree: Oid, force: bool) -> RangeCheck:
    """Find the problems of the *tree* that results from merging *head* into the commit *base*.

    *force* is as in `check_between`.
    """
    before = repository.recorded(base)
    after = replace(before, commit=head, files=CommitFiles(repository.trees, tree))
    try:
        changed = changed_paths(repository, base, tree)
    except Invalid as error:
        return RangeCheck((Problem("", "", "change.size", error.message),))
    branch = ChangedBranch(before, after, judging.judge, partial(judging.may_return, repository, before), force)
    problems = [*_new_problems(before, after, changed), *branch.problems(changed)]
    rules = tuple(path for path in changed if paths.is_rule(path))
    found = tuple(credentials_in(after.files, changed))
    return RangeCheck(tuple(problems), rules, tree, tuple(changed), credentials=found)


def _new_problems(before: Snapshot, after: Snapshot, changed: list[str]) -> list[Problem]:
    """Return the problems of records in *after* that *before* does not have. *changed* are the paths that differ."""
    old, new = before.files, after.files
    assert isinstance(old, CommitFiles)
    assert isinstance(new, CommitFiles)
    wanted = None
    if paths.REGISTRY not in changed or _same_for_all(before, after):
        wanted = related(old, changed) | related(new, changed)
    known = set(check_files(old, wanted))
    return [problem for problem in check_files(new, wanted) if problem not in known]


def _same_for_all(before: Snapshot, after: Snapshot) -> bool:
    """Return True if both have the same `format` and stages in `gitmodel.toml`.

    Otherwise records that did not change may have new problems.
    """
    try:
        old, new = before.registry(), after.registry()
    except Invalid:
        return False
    return (old.format, old.stage_names) == (new.format, new.stage_names)
