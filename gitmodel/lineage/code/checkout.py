"""`checkout`: a work tree with the exact code of a version and its artifacts."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
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
    """A work tree at *path* with the code *commit* of the version *reference*, and paths of its *artifacts* by name.

    *attachments* are the paths of the version's attachments by name; {} if the caller did not ask for them. *changed*
    is True if the code had uncommitted changes when the version was created and *commit* does not contain them.
    *left_out* are the paths of submodules that were not checked out.
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
    """Create a work tree at *target* with the code of the version *reference*, and the version's artifacts in *folder*.

    *record* is the version's record. *folder* and *attachments* are paths of folders below *target*. An artifact is
    written to NAME/FILE in *folder*, or to NAME if no file name is recorded. Attachments are written to the folder
    *attachments* in the same way; if it is None, they are not written. *source* returns the store that has an artifact.

    If the repository *code* lacks the commit, it is fetched from the remote to which a push copied it. If *submodules*
    is True, submodules are checked out too. No branch, no index and no other work tree changes. If an error is raised,
    the new work tree is removed. Raises NotFound for a missing commit or artifact; UsageError if *target* exists and is
    not an empty folder, or if the code already contains *folder*.
    """
    wanted: list[tuple[str, str, Sequence[ArtifactLink]]] = [("--artifacts", folder, record.artifacts)]
    if attachments is not None:
        wanted.append(("--attachments", attachments, record.attachments))
        one, other = (f"{name.casefold()}/" for name in (folder, attachments))
        if one.startswith(other) or other.startswith(one):
            raise UsageError(
                f"artifacts in {folder} and attachments in {attachments} could meet",
                hint="name two folders, such as artifacts and attachments",
            )
    for _, name, _ in wanted:
        if fault := fault_of_path(name) or ("it is .git" if name.split("/")[0].casefold() == ".git" else ""):
            raise UsageError(f"{name!a} is not a folder in a work tree: {fault}", hint="name one such as artifacts")
    commit = exact_code(code, record.code, reference)
    for link in (link for _, _, links in wanted for link in links):
        if not link.is_external and not source(link).holds(link.digest):
            raise NotFound(
                f"the artifact store does not have {link.name} of {reference} ({link.digest})",
                hint="`git model config store` shows which store this is; `git model verify` says what is missing",
            )
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
    """Return the commit to check out for *code*: its snapshot of uncommitted changes if available, else its commit.

    A commit that the repository lacks is fetched from the remote, if a push copied it there. Raises NotFound, which
    names the version *whose*, if no commit is available.
    """
    for commit in (code.snapshot, code.commit) if code else ():
        if commit and (repository.holds(commit) or KeptCommits(repository).fetch(commit)):
            return commit
    return repository.require(code, whose)


def add_code(code: CodeRepository, commit: Oid, target: Path, *, submodules: bool = True) -> None:
    """Create a work tree at *target* with the files of *commit* and, if *submodules* is True, its submodules.

    Raises UsageError if *target* exists and is not an empty folder. If a submodule cannot be fetched, removes the work
    tree and raises Refused.
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
    """Return True if *code* was recorded with uncommitted changes and *commit* does not contain them."""
    return bool(code and code.dirty and commit != code.snapshot)


def _is_taken(target: Path, folder: str) -> bool:
    """Return True if *folder* exists in the work tree *target*, or if its path leads through a file or link."""
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
    """Write the artifacts *links* from the stores *source* to the new folder *place*. Return their paths by name."""
    # each artifact gets a folder with its own name, because two artifacts may have the same file name
    found = {link.name: place / link.name / (link.file or "") for link in links}
    if found:
        place.mkdir(parents=True)
        # without this file, git would report the work tree as changed
        (place / ".gitignore").write_text("*\n", encoding="ascii")
    for link in links:
        found[link.name].parent.mkdir(exist_ok=True)
        fetch_artifact(source(link), link, found[link.name])
    return found
