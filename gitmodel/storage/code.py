"""The code repository: which commit is checked out, whether it has changes, where it came from.

The one place that imports GitPython, and only when a version is made: importing it costs 80 ms.
"""

from __future__ import annotations

import re
from pathlib import Path

from gitmodel.domain.records import Code
from gitmodel.errors import Unreachable


def read_code(path: Path) -> Code:
    """The state of the code repository that *path* is in; outside of any, that is what is recorded.

    Raises Unreachable if the repository cannot be read.
    """
    import git

    try:
        repository = git.Repo(path, search_parent_directories=True)
    except (git.InvalidGitRepositoryError, git.NoSuchPathError):
        return Code(outside=True)
    try:
        with repository:
            run = repository.git
            # In a hook git names its own index and work tree to us, and GitPython would hand them on.
            run.update_environment(
                GIT_DIR=str(repository.git_dir),
                GIT_COMMON_DIR=str(repository.common_dir),
                GIT_INDEX_FILE=str(Path(repository.git_dir) / "index"),
                GIT_OPTIONAL_LOCKS="0",
                **({} if repository.bare else {"GIT_WORK_TREE": str(repository.working_tree_dir)}),
            )
            commit = run.rev_parse("--verify", "--quiet", "HEAD", with_exceptions=False) or None
            dirty = None if repository.bare else bool(run.status("--porcelain", "--untracked-files=normal"))
            origin = run.config("--get", "remote.origin.url", with_exceptions=False)
    except git.GitCommandError as error:
        raise Unreachable(
            f"the code repository cannot be read: {error.stderr.strip()}", hint="run `git status`"
        ) from None
    return Code(commit=commit, dirty=dirty, repository=without_credentials(origin) or None)


def without_credentials(url: str) -> str:
    """*url* with user name and password taken out, so that no secret is ever recorded.

    >>> without_credentials("https://ada:secret@example.com/iris.git")
    'https://example.com/iris.git'
    >>> without_credentials("https://ada:s@cret@example.com/iris.git")
    'https://example.com/iris.git'
    >>> without_credentials("git@example.com:iris.git")
    'git@example.com:iris.git'
    """
    return re.sub(r"^([a-z][a-z0-9+.-]*://)[^/]*@", r"\1", url, flags=re.IGNORECASE)
