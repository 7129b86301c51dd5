"""Repository discovery: the repository of a folder or of `GIT_DIR`, and variables that name another repository.

One `git config --list` finds an ordinary repository and its settings. Other repositories take one more git process.

If the caller names a repository, gitmodel uses it, whatever the environment says. Otherwise gitmodel uses the
repository in `GIT_DIR` if the current folder is in no repository, if `GIT_WORK_TREE` is also set, or in the hook of a
server. In all other cases, gitmodel uses the repository of the current folder, and writes nothing if `GIT_DIR` names
another one.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from gitmodel.errors import GitModelError, NotFound
from gitmodel.frozen import Frozen
from gitmodel.git.running import process as git_process
from gitmodel.git.running.failures import GONE, NAME_REPOSITORY, NO_REPOSITORY, BareRefused
from gitmodel.git.running.process import OBJECT_VARIABLES, Git, clean_environment
from gitmodel.git.settings.configuration import parse_settings

# Separates git's answers to the options below: `git rev-parse` prints an unknown option such as this one unchanged.
_BETWEEN = "--between-two-answers"
_QUESTIONS = (
    "rev-parse", "--absolute-git-dir", _BETWEEN, "--git-common-dir", _BETWEEN, "--git-path", "objects", _BETWEEN,
    "--show-object-format", _BETWEEN, "--is-shallow-repository", _BETWEEN, "--show-cdup",
)  # fmt: skip


# The file with a repository's own settings, as `git config --show-origin` prints it if `.git` is an ordinary folder.
_OWN_SETTINGS = "file:.git/config"


class FoundRepository(Frozen):
    """A repository that was found, with the `Git` that runs commands on it.

    *worktree* is True if the repository has a work tree: then `git.top` is its folder and *index_file* its index. git
    writes new objects to the folder *objects*. *config* has the settings in effect, or is None if they have not been
    read.
    """

    git: Git
    objects: Path
    object_format: str
    shallow: bool
    worktree: bool
    index_file: Path
    config: Mapping[str, str] | None = None


def find_repository(path: Path, *, environ: Mapping[str, str], named: bool = True) -> FoundRepository:
    """Return the repository that *path* is in.

    *named* is True if the user named this path. Then variables that name another repository are ignored, and a bare
    repository is used even if `safe.bareRepository` is `explicit`. If *named* is False, *path* is the current folder.
    Then, if a variable names another repository, `git.read_only_reason` of the result says so. Raises NotFound if there
    is no repository, BareRefused if `safe.bareRepository` prevents the use of a bare repository.
    """
    clean = clean_environment(environ)
    if not os.path.isdir(path):
        what = GONE if path == Path() else f"there is no folder {path}"
        what = f"{path} is neither a folder nor a git bundle" if os.path.isfile(path) else what
        hint = (
            "name an existing repository: `git model --repo PATH ...`"
            if what == GONE
            else "name an existing repository"
        )
        raise NotFound(what, hint=hint)
    if not path.is_absolute():
        try:
            os.getcwd()
        except OSError:
            raise NotFound(
                f"{GONE}, and {path} is relative to it", hint="name the repository by its absolute path"
            ) from None
    if named:
        return _with_objects(_find_named(path, clean), environ)
    repository = _with_objects(_find_current(path, clean, environ), environ)
    index = environ.get("GIT_INDEX_FILE")
    if index and not _owner_of_index(repository, index):
        repository = replace(repository, index_file=repository.git.top / index)
    why = repository.git.read_only_reason or _contradiction(repository, path, environ)
    return replace(repository, git=replace(repository.git, read_only_reason=why))


def _find_named(path: Path, clean: Mapping[str, str]) -> FoundRepository:
    try:
        return _ask(path, clean)
    except BareRefused:
        if not (path / "HEAD").is_file():  # git found the bare repository in a folder above *path*
            raise
        return _ask(path, clean, git_dir=os.path.abspath(path))
    except NotFound as error:
        if error.message != NO_REPOSITORY or path == Path():
            raise
        import shlex  # imported here: few calls fail

        hint = f"run `git init {shlex.quote(str(path))}`, or name an existing repository"
        raise NotFound(f"there is no git repository at {path}", hint=hint) from None


def _find_current(path: Path, clean: Mapping[str, str], environ: Mapping[str, str]) -> FoundRepository:
    git_dir, work_tree = environ.get("GIT_DIR", ""), environ.get("GIT_WORK_TREE", "")
    if not git_dir:
        try:
            return _ask(path, clean, work_tree=work_tree)
        except NotFound as error:
            ceilings = environ.get("GIT_CEILING_DIRECTORIES")
            if ceilings and error.message == NO_REPOSITORY:
                error.message += f", and GIT_CEILING_DIRECTORIES ({ceilings}) lets git look no further up"
            raise
    if work_tree or environ.get("GIT_QUARANTINE_PATH"):
        return _ask(path, clean, git_dir=git_dir, work_tree=work_tree)
    try:
        repository = _ask(path, clean)
    except (NotFound, BareRefused):
        return _ask(path, clean, git_dir=git_dir)
    if _is_same(repository, git_dir, clean):
        return repository
    why = f"GIT_DIR names {_shown(path, git_dir)}, and the current folder is in the repository {repository.git.git_dir}"
    return replace(repository, git=replace(repository.git, read_only_reason=why))


def _ask(path: Path, environ: Mapping[str, str], *, git_dir: str = "", work_tree: str = "") -> FoundRepository:
    """Return the repository that git finds for the folder *path*.

    If *git_dir* or *work_tree* is not "", git gets it as `GIT_DIR` or `GIT_WORK_TREE`.
    """
    if not git_dir and not work_tree and (ordinary := _find_ordinary(path, environ)):
        return ordinary
    if not git_dir and _is_outside(path):
        raise NotFound(NO_REPOSITORY, hint=NAME_REPOSITORY)
    asked, told = dict(environ), dict(environ)
    if git_dir:
        # Without GIT_IMPLICIT_WORK_TREE=0, git would take the current folder for the work tree.
        asked.update(GIT_DIR=git_dir, GIT_IMPLICIT_WORK_TREE="0")
    if work_tree:
        told["GIT_WORK_TREE"] = asked["GIT_WORK_TREE"] = os.path.abspath(path / work_tree)
    try:
        answer = git_process.run(["git", *_QUESTIONS], asked, cwd=path)
    except NotFound:
        if git_dir:
            raise NotFound(
                f"GIT_DIR names {_shown(path, git_dir)}, which is not a git repository", hint="run `unset GIT_DIR`"
            ) from None
        raise
    said = os.fsdecode(answer).split(f"{_BETWEEN}\n")
    found, common, objects, object_format, shallow, up = (one.removesuffix("\n") for one in said)
    # The last answer is the path up to the top of the work tree; in a bare repository, git prints no line.
    worktree = bool(said[-1])
    top = (path / up).resolve() if worktree or not git_dir else Path(found)
    git = Git(Path(found), (path / common).resolve(), top, told)
    folder = (path / objects).resolve()
    return FoundRepository(git, folder, object_format, shallow == "true", worktree, git.git_dir / "index")


def _find_ordinary(path: Path, environ: Mapping[str, str]) -> FoundRepository | None:
    """Return the repository of *path* with its settings, if it is a work tree with an ordinary folder `.git`.

    Returns None for linked work trees, submodules, bare repositories, folders in `.git`, a `.git` that is a symbolic
    link, and repositories with `core.worktree` or extensions. Also returns None if git does not use the repository that
    gitmodel expects here, or finds none.
    """
    here = Path(os.path.realpath(path))
    top = next((folder for folder in (here, *here.parents) if os.path.lexists(folder / ".git")), here)
    git_dir = top / ".git"
    if "GIT_SHALLOW_FILE" in environ or not _has_usual_parts(git_dir):
        return None
    try:
        listed = git_process.run(["git", "config", "--list", "--show-origin", "-z"], environ, cwd=path)
    except GitModelError:
        return None  # the caller then runs `git rev-parse`, which gives the error
    words = os.fsdecode(listed).split("\0")
    config = parse_settings(words[1::2])
    extensions = {key for key in config if key.startswith("extensions.")} - {"extensions.partialclone"}
    if (
        _OWN_SETTINGS not in words[::2]
        or extensions
        or "core.worktree" in config
        or config.get("core.bare", "false") != "false"
    ):
        return None
    shallow = (git_dir / "shallow").exists()
    git = Git(git_dir, git_dir, top, dict(environ))
    return FoundRepository(git, (git_dir / "objects").resolve(), "sha1", shallow, True, git_dir / "index", config)


def _is_outside(path: Path) -> bool:
    """Return True if git would find no repository at *path*, because it and all folders above lack `.git` and `HEAD`.

    Environment variables can only make git search fewer folders. Returns False if this process may not look into a
    folder.
    """
    here = Path(os.path.realpath(path))
    for folder in (here, *here.parents):
        for name in (".git", "HEAD"):
            try:
                os.lstat(folder / name)
            except FileNotFoundError:
                continue
            except OSError:
                pass
            return False
    return True


def _has_usual_parts(git_dir: Path) -> bool:
    """Return True if git accepts *git_dir* as a repository, and its refs and objects are inside it."""
    head = git_dir / "HEAD"
    try:
        content = head.read_bytes()
    except OSError:
        return False
    usual = content.startswith(b"ref: refs/") or re.match(rb"[0-9a-f]{40}\s", content)
    inside = all(os.access(git_dir / name, os.X_OK) for name in ("objects", "refs"))
    elsewhere = git_dir.is_symlink() or head.is_symlink() or os.path.lexists(git_dir / "commondir")
    return bool(usual) and inside and not elsewhere


def _with_objects(repository: FoundRepository, environ: Mapping[str, str]) -> FoundRepository:
    """Return *repository* with the variables of *environ* that locate its objects: a hook of a push needs them."""
    given = {name: environ[name] for name in OBJECT_VARIABLES if environ.get(name)}
    if not given or _foreign_objects(repository, environ):
        return repository
    if folder := given.get("GIT_OBJECT_DIRECTORY"):
        given["GIT_OBJECT_DIRECTORY"] = os.path.abspath(folder)
        repository = replace(repository, objects=Path(given["GIT_OBJECT_DIRECTORY"]).resolve())
    return replace(repository, git=replace(repository.git, environ={**repository.git.environ, **given}))


def _foreign_objects(repository: FoundRepository, environ: Mapping[str, str]) -> str:
    """Return an error message if a variable makes git use another repository's objects, or "".

    In the hooks of a push, git sets such variables to the folder with the pushed objects. This is no error, because
    that folder is inside the repository's own folder of objects.
    """
    own = (repository.git.common_dir / "objects").resolve()
    name, value = "GIT_OBJECT_DIRECTORY", environ.get("GIT_OBJECT_DIRECTORY", "")
    folders = [value] if value else []
    if not value and (value := environ.get("GIT_ALTERNATE_OBJECT_DIRECTORIES", "")):
        name, folders = "GIT_ALTERNATE_OBJECT_DIRECTORIES", value.split(os.pathsep)
    if all(Path(os.path.realpath(folder)).is_relative_to(own) for folder in folders):
        return ""
    return f"{name} names {value}, and the repository keeps its objects in {own}"


def _owner_of_index(repository: FoundRepository, index: str) -> Path | None:
    """Return the git folder that contains the index file *index*; None if it belongs to *repository*, or none does."""
    for folder in (repository.git.top / index).resolve().parents:
        if (folder / "HEAD").is_file() and ((folder / "objects").is_dir() or (folder / "commondir").is_file()):
            own = (repository.git.git_dir, repository.git.common_dir)
            return None if any(_is_at(folder, known) for known in own) else folder
    return None


def _contradiction(repository: FoundRepository, path: Path, environ: Mapping[str, str]) -> str:
    """Return an error message if a variable names a part of another repository than *repository*, or ""."""
    if objects := _foreign_objects(repository, environ):
        return objects
    index = environ.get("GIT_INDEX_FILE")
    if index and (owner := _owner_of_index(repository, index)):
        return f"GIT_INDEX_FILE names the index of {owner}, and the repository is {repository.git.git_dir}"
    common, namespace = environ.get("GIT_COMMON_DIR"), environ.get("GIT_NAMESPACE")
    if common and not _is_at(path / common, repository.git.common_dir):
        return f"GIT_COMMON_DIR names {_shown(path, common)}, and the repository is {repository.git.common_dir}"
    if namespace:
        return (
            f"GIT_NAMESPACE is {namespace!a}, which gitmodel does not support: it uses all of {repository.git.git_dir}"
        )
    return ""


def _is_same(repository: FoundRepository, git_dir: str, environ: Mapping[str, str]) -> bool:
    """Return True if the git folder *git_dir* belongs to *repository* or to one of its work trees."""
    if any(_is_at(Path(git_dir), known) for known in (repository.git.git_dir, repository.git.common_dir)):
        return True
    try:
        said = git_process.run(["git", "rev-parse", "--git-common-dir"], {**environ, "GIT_DIR": git_dir}, cwd=Path())
    except GitModelError:
        return False
    return _is_at(Path(os.fsdecode(said.removesuffix(b"\n"))), repository.git.common_dir)


def _is_at(one: Path, other: Path) -> bool:
    try:
        return os.path.samefile(one, other)
    except OSError:
        return False


def _shown(path: Path, named: str) -> str:
    return os.path.abspath(path / named)
