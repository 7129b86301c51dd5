"""A read-only registry in a git bundle. While the registry is open, the bundle is unpacked in a temporary folder."""

from __future__ import annotations

import shutil
import tempfile
import weakref
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from gitmodel.branch.opening import checked_branch
from gitmodel.branch.repository import Repository
from gitmodel.domain.schema.refs import DEFAULT_BRANCH
from gitmodel.errors import GitModelError, Invalid, NotFound, UsageError
from gitmodel.git.repositories.discovery import find_repository
from gitmodel.git.repositories.new_repositories import unpack_bundle
from gitmodel.git.settings.configuration import read_config

# The first lines of bundles of versions 2 and 3 (`git help gitformat-bundle`).
_HEADERS = (b"# v2 git bundle\n", b"# v3 git bundle\n")
_REFS = ("heads", "tags", "remotes")


def is_bundle(path: Path) -> bool:
    """Return True if the file at *path* starts with the header of a git bundle."""
    try:
        with open(path, "rb") as file:
            return file.read(len(_HEADERS[0])) in _HEADERS
    except OSError:
        return False


def open_bundle(path: Path, *, environ: Mapping[str, str], branch: str) -> Repository:
    """Unpack the bundle at *path* into a read-only repository in a temporary folder, and return this repository.

    Raises UsageError if commits of the bundle have parents that are not in the bundle, Invalid if the bundle is
    damaged, NotFound if it has no branch *branch* ("": the default).
    """
    with ExitStack() as undo:
        folder = tempfile.mkdtemp(prefix="gitmodel-bundle-")
        undo.callback(shutil.rmtree, folder, ignore_errors=True)
        try:
            unpack_bundle(path, Path(folder), [f"+refs/{kind}/*:refs/{kind}/*" for kind in _REFS], environ)
            found = find_repository(Path(folder), environ=environ)
            git = replace(
                found.git,
                read_only_reason=f"{path} is a git bundle, which is read-only; nothing was written",
                read_only_hint=f"make a repository of it, and write there: `git clone --mirror {path} FOLDER`",
            )
            config = read_config(git)
            name = checked_branch(branch or config.get("gitmodel.branch", "") or DEFAULT_BRANCH)
            repository = Repository(
                git, branch=name, config=config, objects_folder=found.objects, shallow=found.shallow
            )
        except GitModelError as error:
            if "prerequisite" in error.message:
                raise UsageError(
                    f"the bundle {path} is incomplete: its first commits build on commits that it does not contain",
                    hint=f"create a complete bundle: `git bundle create {path.name} gitmodel --tags`",
                ) from None
            raise Invalid(
                f"the bundle {path} cannot be read: {error.message}", hint=f"run `git bundle verify {path}`"
            ) from None
        undo.callback(repository.close)
        # Deletes the folder when the repository is closed, or when Python deletes the object *repository*.
        repository.on_close = weakref.finalize(repository, shutil.rmtree, folder, ignore_errors=True)
        if not repository.tip():
            raise NotFound(
                f"the bundle {path} has no branch {name}, or is cut short",
                hint=f"see what it has: `git bundle list-heads {path}`",
            )
        undo.pop_all()
    return repository
