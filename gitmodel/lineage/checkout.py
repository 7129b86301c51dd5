"""`checkout`: a work tree with the exact code of a version and its artifacts."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import field
from pathlib import Path

from gitmodel.code.kept_commits import KeptCommits
from gitmodel.code.repository import CodeRepository
from gitmodel.code.submodules import list_submodules
from gitmodel.domain.schema.manifest import fault_of_path
from gitmodel.domain.schema.object_ids import Oid
from gitmodel.domain.schema.records import ArtifactLink, Code, VersionRecord
from gitmodel.errors import GitModelError, NotFound, UsageError
from gitmodel.frozen import Frozen
from gitmodel.git.worktrees.worktree_commands import add_worktree, remove_worktree
from gitmodel.registry.linked_artifacts.fetching import fetch_artifact
from gitmodel.stores.interface import ArtifactStore

FOLDER = "artifacts"


class CheckedOut(Frozen):
    """A work tree with the code of *reference*: its path, its *commit*, and the paths of its *artifacts* by name.

    *attachments* are the paths of attachments that were written on request. *changed* is True if the code had
    uncommitted changes when the version was created. *left_out* are the paths of submodules that were not checked out.
    """

    reference: str
    path: Path
    commit: Oid
    artifacts: dict[str, Path]
    changed: bool = False
    left_out: tuple[str, ...] = ()
    attachments: dict[str, Path] = field(default_factory=dict)


def checkout(
    reference: str,
    record: VersionRecord,
    target: Path,
    *,
    source: Callable[[ArtifactLink], ArtifactStore],
    code: CodeRepository,
    folder: str = FOLDER,
    attachments: str | None = None,
    submodules: bool = True,
) -> CheckedOut:
    """Create a work tree at *target* with the code of the version *reference*, and its artifacts in *folder* below it.

    An artifact is written to ARTIFACT/FILE in *folder*: ARTIFACT is its name, FILE its recorded file name. Without a
    recorded file name, it is written to ARTIFACT. Attachments are written to the folder *attachments* in the same way,
    if it is given.

    A missing commit is fetched from the remote to which a push copied it. *submodules* says if submodules are checked
    out, too. No branch, index or other work tree changes; `git worktree remove` deletes the work tree. On failure,
    nothing is left. Raises NotFound for a missing commit or artifact, with the way to get it; UsageError if *target*
    exists.
    """
    wanted: list[tuple[str, str, Sequence[ArtifactLink]]] = [("--artifacts", folder, record.artifacts)]
    if attachments is not None:
        wanted.append(("--attachments", attachments, record.attachments))
        _refuse_nested(folder, attachments)
    for _, name, _ in wanted:
        if fault := fault_of_path(name) or ("it is .git" if name.split("/")[0].casefold() == ".git" else ""):
            raise UsageError(f"{name!a} is not a folder in a work tree: {fault}", hint="name one such as artifacts")
    commit = exact_code(code, record.code, reference)
    _refuse_lost(reference, [link for _, _, links in wanted for link in links], source)
    add_code(code, commit, target, submodules=submodules)
    try:
        for option, name, _ in wanted:
            if _is_taken(target, name):
                raise UsageError(
                    f"the code of {reference} contains a folder {name} itself",
                    hint=f"name another folder with {option}",
                )
        found = [_write(links, target / name, source) for _, name, links in wanted]
    except BaseException:
        with suppress(GitModelError):
            remove_worktree(code.git, target)
        raise
    left_out = () if submodules else list_submodules(target)
    changed = is_changed(record.code, commit)
    return CheckedOut(reference, target, commit, found[0], changed, left_out, *found[1:])


def exact_code(repository: CodeRepository, code: Code | None, whose: str) -> Oid:
    """Return the commit with all of *code*: the snapshot of uncommitted changes if available, else the commit.

    A missing commit is fetched from the remote, if a push copied it there. Raises NotFound.
    """
    for commit in (code.snapshot, code.commit) if code else ():
        if commit and (repository.holds(commit) or KeptCommits(repository).fetch(commit)):
            return commit
    return repository.require(code, whose)


def add_code(code: CodeRepository, commit: Oid, target: Path, *, submodules: bool = True) -> None:
    """Check out *commit* at *target*, with its *submodules*.

    Raises UsageError if *target* exists; Refused, and leaves nothing, for a submodule that cannot be fetched.
    """
    if target.is_symlink() or (target.exists() and (not target.is_dir() or any(target.iterdir()))):
        raise UsageError(f"{target} exists and is not an empty folder", hint="name a new folder")
    add_worktree(code.git, commit, target)
    if submodules and (target / ".gitmodules").is_file():
        try:
            code.add_submodules(target)
        except BaseException:
            with suppress(GitModelError):
                remove_worktree(code.git, target)
            raise


def is_changed(code: Code | None, commit: Oid) -> bool:
    """Return True if the recorded code had uncommitted changes that *commit* does not contain."""
    return bool(code and code.dirty and commit != code.snapshot)


def _is_taken(target: Path, folder: str) -> bool:
    """Return True if *folder* in the work tree *target* exists, or its path leads through a file or symbolic link."""
    *above, last = folder.split("/")
    place = target
    for part in above:
        place /= part
        if place.is_symlink() or place.is_file():
            return True
    return os.path.lexists(place / last)


def _write(
    links: Sequence[ArtifactLink], place: Path, source: Callable[[ArtifactLink], ArtifactStore]
) -> dict[str, Path]:
    """Write the artifacts *links* to a new folder *place*, which git ignores, and return their paths by name."""
    # a folder for each artifact, because two artifacts may have the same file name
    found = {link.name: place / link.name / (link.file or "") for link in links}
    if found:
        place.mkdir(parents=True)
        # Without this file, git would report the work tree as changed.
        (place / ".gitignore").write_text("*\n", encoding="ascii")
    for link in links:
        found[link.name].parent.mkdir(exist_ok=True)
        fetch_artifact(source(link), link, found[link.name])
    return found


def _refuse_nested(artifacts: str, attachments: str) -> None:
    one, other = (f"{name.casefold()}/" for name in (artifacts, attachments))
    if one.startswith(other) or other.startswith(one):
        raise UsageError(
            f"artifacts in {artifacts} and attachments in {attachments} could meet",
            hint="name two folders, such as artifacts and attachments",
        )


def _refuse_lost(
    reference: str, links: Iterable[ArtifactLink], source: Callable[[ArtifactLink], ArtifactStore]
) -> None:
    for link in links:
        if not link.is_external and not source(link).holds(link.digest):
            raise NotFound(
                f"the artifact store does not have {link.name} of {reference} ({link.digest})",
                hint="`git model config store` shows which store this is; `git model verify` says what is missing",
            )
