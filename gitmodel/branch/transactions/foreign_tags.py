"""Tags below `refs/tags/model/` that this registry did not create, such as those of a registry on another branch."""

from __future__ import annotations

import shlex

from gitmodel.branch.repository import Repository
from gitmodel.branch.stages.stage_tags import target_of
from gitmodel.domain.schema.object_ids import Oid
from gitmodel.domain.schema.refs import PROPOSALS, StageRef
from gitmodel.domain.snapshots.snapshot_sources import TOO_SHALLOW
from gitmodel.errors import ForeignTag
from gitmodel.git.objects.object_reader import GitObject
from gitmodel.git.refs.ref_commands import branches_with
from gitmodel.git.running.failures import Moved


def refuse_foreign(
    repository: Repository, tip: Oid | None, ref: StageRef, found: GitObject | None, *, repairs: bool
) -> None:
    """Raise ForeignTag if the tag object *found* of *ref* does not belong to the branch at *tip* (None: no registry).

    Called before the tag is replaced. *repairs* is True if the new tag only repeats what the branch records. Such a
    repair may replace any tag except one of another registry. Raises Moved if the branch is no longer at *tip*.
    """
    if found is None or _is_ours(repository, tip, ref, found):
        return
    _refuse_moved(repository, tip)
    other = _other_registry(repository, ref, found)
    if other is not None:
        raise _second(repository, ref, other)
    if not repairs:
        target, fault = target_of(ref, found)
        raise ForeignTag(
            ref.stage,
            f"the tag {ref.name} is not a stage tag of this registry: "
            f"{fault or f'its commit {target[:10]} is not on {_short(repository.branch)}'}",
            hint=f"if nobody needs it, delete it with {_deleting(repository, ref)}; "
            "if the stage is recorded, `git model doctor --fix` sets it again",
        )


def refuse_second_registry(repository: Repository, tip: Oid | None, place: str = "") -> None:
    """Raise ForeignTag if the repository has stage tags of another registry, and none of the registry at *tip*.

    Two registries in one repository would overwrite each other's stage tags, because the tags do not name their branch.
    This function is called before the first tag of a registry is created, so if one tag belongs to this registry, there
    is no other. *place* names the repository in the error. Raises Moved if the branch is no longer at *tip*.
    """
    for ref in repository.tags.all():
        found = repository.tags.read(ref)
        if found is None:
            continue
        if tip and _is_ours(repository, tip, ref, found):
            return
        other = _other_registry(repository, ref, found)
        if other is not None or (not tip and repository.tags.is_of_registry(ref, found)):
            _refuse_moved(repository, tip)
            raise _second(repository, ref, other or "", place)


def _refuse_moved(repository: Repository, tip: Oid | None) -> None:
    """Raise Moved if the branch is no longer at *tip*: the tag may belong to the commit that another process made."""
    if repository.tip() != tip:
        raise Moved("the branch moved while the stage tags were read", hint="try again")


def _is_ours(repository: Repository, tip: Oid | None, ref: StageRef, found: GitObject) -> bool:
    """Return True if the tag *found* of *ref* belongs to the branch at *tip*, or a shallow clone cannot decide this."""
    if not tip:
        return False
    judged = repository.tags.judge(ref, found, tip)
    if not judged.forged or judged.forged == TOO_SHALLOW or judged.merged_by:
        return True
    target, fault = target_of(ref, found)
    return not fault and repository.commits.is_on_chain(tip, target)


def _other_registry(repository: Repository, ref: StageRef, found: GitObject) -> str | None:
    """Return the branch of the other registry to which the tag *found* of *ref* belongs, or None if there is none.

    In a registry by URL, returns "" instead of the branch, because gitmodel does not fetch other branches.
    """
    if not repository.tags.is_of_registry(ref, found):
        return None
    if repository.url:
        return ""
    name = _short(repository.branch)
    # Remote-tracking branches of this metadata branch, and branches of proposals, belong to this registry.
    others = (
        branch
        for branch in branches_with(repository.git, target_of(ref, found)[0])
        if branch != repository.branch
        and not (branch.startswith("refs/remotes/") and branch.split("/", 3)[-1] in (name, "HEAD"))
        and not branch.startswith(PROPOSALS)
        and not branch.split("/", 3)[-1].startswith("propose/")
    )
    return next((_short(branch) for branch in others), None)


def _second(repository: Repository, ref: StageRef, other: str, place: str = "") -> ForeignTag:
    where = f"on the branch {other}" if other else f"that is not on {_short(repository.branch)}"
    use = f"use the other registry with `GITMODEL_BRANCH={other.removeprefix('origin/')}`, or " if other else ""
    if repository.url:
        branches = f"git ls-remote --heads {shlex.quote(repository.url)}"
        use = f"use the other registry with `GITMODEL_BRANCH=BRANCH` (see `{branches}`), or "
    return ForeignTag(
        place or ref.stage,
        f"the tag {ref.name} belongs to a registry {where}, and two registries in one repository would share "
        "stage tags",
        hint=f"{use}keep the second registry in a repository of its own"
        + (
            f"; if {other} is a copy that nobody needs, delete it and run `git model doctor --fix`"
            if other
            else f"; if the other registry is gone, delete its tags: {_deleting(repository, ref)}"
        ),
    )


def _deleting(repository: Repository, ref: StageRef) -> str:
    """Return a text for a hint, with the commands that delete the tag of *ref* in this repository and on a remote."""
    if repository.url:
        return f"`git push {shlex.quote(repository.url)} :{ref.full}`"
    return f"`git tag -d {ref.name}`, and where it was pushed with `git push REMOTE :{ref.full}`"


def _short(branch: str) -> str:
    return branch.removeprefix("refs/heads/").removeprefix("refs/remotes/")
