"""Opening a repository: finding the repository, and checking that gitmodel can use it and the installed git."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from gitmodel.branch.repository import Repository
from gitmodel.domain.addresses import is_url
from gitmodel.domain.schema.names import fault_in
from gitmodel.domain.schema.refs import DEFAULT_BRANCH
from gitmodel.errors import GitModelError, UsageError
from gitmodel.git.repositories.discovery import find_repository
from gitmodel.git.settings.configuration import read_config, read_path, read_path_outside


def open_repository(path: Path, *, environ: Mapping[str, str], branch: str = "", named: bool = True) -> Repository:
    """Return the git repository that contains *path*. `find_repository` explains *named*.

    Raises NotFound if there is no repository, UsageError if its object ids are not SHA-1 or git is too old.
    """
    found = find_repository(path, environ=environ, named=named)
    if found.object_format != "sha1":
        raise UsageError(
            f"this repository uses {found.object_format.upper()} object ids",
            hint="a registry needs a SHA-1 repository; keep it in another repository: `git model config repo PATH`",
        )
    config = read_config(found.git) if found.config is None else found.config
    name = branch or config.get("gitmodel.branch", "") or DEFAULT_BRANCH
    return Repository(
        found.git, branch=checked_branch(name), config=config, objects_folder=found.objects, shallow=found.shallow
    )


def open_chosen(path: Path, *, environ: Mapping[str, str], branch: str, named: bool) -> Repository | str:
    """Return the value of `git config gitmodel.repo`, a path or URL, or else the repository that contains *path*.

    Raises the errors of `open_repository` if this setting is missing.
    """
    try:
        found = open_repository(path, environ=environ, branch=branch, named=named)
    except GitModelError:
        if other := configured_registry(path, environ=environ, named=named):
            return other
        raise
    other = found.config.get("gitmodel.repo", "")
    return (other if is_url(other) else str(found.git.top / Path(other).expanduser())) if other else found


def configured_registry(path: Path, *, environ: Mapping[str, str], named: bool) -> str:
    """Return the path or URL that `git config gitmodel.repo` gives in the folder *path*; "" if it is not set.

    In the setting, a relative path starts at the top of the work tree, and `~` is the user's home.
    """
    if not os.path.isdir(path):
        return ""
    try:
        git = find_repository(path, environ=environ, named=named).git
        asked, top = read_path(git, "gitmodel.repo"), git.top
    except GitModelError:  # *path* is in no repository, but the settings of the user and the system still apply
        asked, top = read_path_outside(path, "gitmodel.repo", environ), path
    return asked if not asked or is_url(asked) else str(top / asked)


def checked_branch(name: str) -> str:
    short = name.removeprefix("refs/heads/")
    if not short or any(fault_in(part) for part in short.split("/")):
        raise UsageError(f"{name!a} cannot be the metadata branch", hint="run `git config gitmodel.branch gitmodel`")
    return f"refs/heads/{short}"
