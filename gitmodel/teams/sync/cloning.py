"""Joining an existing registry: adding it as a remote to this repository, or cloning it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from gitmodel.branch import remotes
from gitmodel.branch.opening import open_repository
from gitmodel.branch.repository import Repository
from gitmodel.domain.addresses import hide_credentials
from gitmodel.errors import Conflict, GitModelError, Unreachable, UsageError
from gitmodel.frozen import Frozen
from gitmodel.git.refs.ref_commands import current_branch
from gitmodel.git.repositories import new_repositories
from gitmodel.git.settings.configuration import add_remote, list_remotes, read_setting, write_setting
from gitmodel.teams.sync.pulling import count_commits, pull


class RemoteView(Frozen):
    """The remote that pull and push use. *url* is its URL without credentials.

    *seen* is the commit of its metadata branch at the last contact ("": none). *ahead* is the number of local commits
    that the remote lacked then, and *behind* is the number of its commits that the local branch lacks.
    """

    name: str
    url: str
    seen: str
    ahead: int
    behind: int


def clone(url: str, folder: Path | None, *, environ: Mapping[str, str]) -> Path:
    """Clone the code and the registry at *url* into *folder* (None: the name in the URL), and return the folder.

    If the metadata branch is the default branch of the remote, checks out only the files in its top folder. After an
    interruption, `git model pull` in *folder* completes the clone. Raises UsageError if *folder* exists and is not
    empty, Unreachable if *url* cannot be cloned.
    """
    target = folder or Path(folder_of(url))
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise UsageError(f"{target} already exists", hint="name another folder: `git model clone URL DIR`")
    try:
        remote = new_repositories.clone(url, target, environ)
    except GitModelError as error:
        raise Unreachable(
            f"{hide_credentials(url)} cannot be cloned: {hide_credentials(error.message)}",
            hint="check the URL, and try again when it can be reached",
        ) from None
    repository = open_repository(target, environ=environ)
    try:
        only_top = current_branch(repository.git) == repository.branch
        new_repositories.check_out(repository.git, only_top=only_top)
        pull(repository, remote)
    finally:
        repository.close()
    return target


def connect(repository: Repository, url: str) -> str:
    """Set the remote at *url* as the remote for pulls and pushes of this registry, and return the remote's name.

    Uses an existing remote with this URL. Otherwise adds a remote `origin`, or `registry` if `origin` exists. Raises
    Conflict if both names exist with other URLs.
    """
    urls = {name: read_setting(repository.git, f"remote.{name}.url") for name in list_remotes(repository.git)}
    name = next((name for name, known in urls.items() if known == url), "")
    if not name:
        free = [name for name in ("origin", "registry") if name not in urls]
        if not free:
            raise Conflict(
                "the remotes origin and registry exist already with other URLs",
                hint="run `git remote add NAME URL` and `git config gitmodel.remote NAME`",
            )
        name = free[0]
        add_remote(repository.git, name, url)
    write_setting(repository.git, "gitmodel.remote", name)
    return name


def describe_remote(repository: Repository, named: str = "") -> RemoteView:
    """Return the remote *named* ("": the remote for pulls and pushes), without contacting it.

    Raises NotFound if there is no such remote, UsageError if the registry is by URL.
    """
    name = remotes.choose_remote(repository, named)
    seen, tip = remotes.last_state(repository, name).tip, repository.writable_tip()
    return RemoteView(
        name,
        hide_credentials(read_setting(repository.git, f"remote.{name}.url")),
        seen or "",
        count_commits(repository, seen, tip),
        count_commits(repository, tip, seen) if seen else 0,
    )


def folder_of(url: str) -> str:
    """Return the name of the folder for a clone of *url*: the name that `git clone` gives it.

    >>> folder_of("https://example.com/team/models.git/"), folder_of("git@example.com:models")
    ('models', 'models')
    """
    name = re.split(r"[/:]", url.rstrip("/").removesuffix("/.git"))[-1].removesuffix(".git")
    if not name or name.startswith("-") or name in (".", ".."):
        raise UsageError("the folder name cannot be derived from the URL", hint="name it: `git model clone URL DIR`")
    return name
