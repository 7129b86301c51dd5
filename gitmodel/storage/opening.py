"""Opening a repository: which one a path is in, and whether git and it are such that gitmodel can work with them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from gitmodel.domain.addresses import is_url
from gitmodel.domain.names import fault_in
from gitmodel.domain.refs import DEFAULT_BRANCH
from gitmodel.errors import GitModelError, NotFound, UsageError
from gitmodel.storage import git as git_process
from gitmodel.storage.git import Git, clean_environment
from gitmodel.storage.repository import Repository


def open_repository(path: Path, *, environ: Mapping[str, str], branch: str = "") -> Repository:
    """The git repository that *path* is in.

    Raises NotFound if there is none, UsageError for a repository that gitmodel cannot work with.
    """
    environment = clean_environment(environ)
    if not path.is_dir():
        raise NotFound(f"there is no folder {path}", hint="name an existing repository")
    answer = git_process.run(
        ["git", "rev-parse", "--absolute-git-dir", "--git-common-dir", "--git-path", "objects",
         "--show-object-format", "--is-shallow-repository", "--show-cdup"],
        environment, cwd=path,
    ).decode("utf-8", "surrogateescape").splitlines()  # fmt: skip
    # The last line is the way up to the top of the work tree; a bare repository has none.
    git_dir, common, objects, object_format, shallow, *up = answer
    if object_format != "sha1":
        raise UsageError(
            f"this repository names its objects by {object_format.upper()}",
            hint="gitmodel works with SHA-1 repositories; keep the registry in one of its own with `--repo PATH`",
        )
    git = Git(Path(git_dir), (path / common).resolve(), (path / "".join(up)).resolve(), environment)
    config = read_config(git)
    name = branch or config.get("gitmodel.branch", "") or DEFAULT_BRANCH
    return Repository(
        git,
        branch=checked_branch(name),
        config=config,
        objects_folder=(path / objects).resolve(),
        shallow=shallow == "true",
    )


def open_chosen(path: Path, *, environ: Mapping[str, str], branch: str = "") -> Repository | str:
    """The repository that *path* is in, or what `git config gitmodel.repo` names in its place: a path or URL.

    Raises as `open_repository` does, where nothing is named.
    """
    try:
        found = open_repository(path, environ=environ, branch=branch)
    except GitModelError:
        named = configured("gitmodel.repo", path, environ=environ)
        if named:
            return named
        raise
    named = found.config.get("gitmodel.repo", "")
    return (named if is_url(named) else str(found.git.top / Path(named).expanduser())) if named else found


def configured(key: str, path: Path, *, environ: Mapping[str, str]) -> str:
    """The path or URL that `git config` has for *key* at *path*, in a repository or not; "" if it has none.

    A relative path counts from the top of the work tree, `~` is the user's home.
    """
    environment = clean_environment(environ)
    if not path.is_dir():
        return ""
    asked = git_process.run(
        ["git", "config", "--type=path", "--get", key], environment, cwd=path, answers=(0, 1)
    ).decode("utf-8", "surrogateescape").rstrip("\n")  # fmt: skip
    if not asked or is_url(asked):
        return asked
    up = git_process.run(["git", "rev-parse", "--show-cdup"], environment, cwd=path, answers=(0, 128))
    return str(path / up.decode("utf-8", "surrogateescape").strip() / asked)


def read_config(git: Git) -> dict[str, str]:
    entries = git.run("config", "--list", "-z").decode("utf-8", "surrogateescape").split("\0")
    pairs = (entry.partition("\n") for entry in entries if entry)
    # A key without a value means true, as git reads it.
    return {key: value if separator else "true" for key, separator, value in pairs}


def checked_branch(name: str) -> str:
    short = name.removeprefix("refs/heads/")
    if not short or any(fault_in(part) for part in short.split("/")):
        raise UsageError(f"{name!a} cannot be the metadata branch", hint="run `git config gitmodel.branch gitmodel`")
    return f"refs/heads/{short}"
