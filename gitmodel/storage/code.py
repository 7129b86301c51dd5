"""The code repository: which commit is checked out, whether it has changes, where it came from.

The one place that imports GitPython, and only when a version is made: importing it costs 80 ms.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from gitmodel.domain.addresses import without_credentials
from gitmodel.domain.records import Code
from gitmodel.errors import NotFound, Unreachable
from gitmodel.storage.git import clean_environment, run


def read_code(path: Path, *, environ: Mapping[str, str]) -> Code:
    """The state of the code repository that *path* is in; outside of any, that is what is recorded.

    Raises Unreachable if the repository cannot be read.
    """
    import git

    clean = clean_environment(environ)
    question = ["git", "rev-parse", "--absolute-git-dir", "--git-common-dir", "--show-cdup"]
    try:
        # The last line is the way up to the top of the work tree; where there is none, nothing can have changed.
        git_dir, common_dir, *up = run(question, clean, cwd=path).decode("utf-8", "surrogateescape").splitlines()
    except NotFound:
        return Code(outside=True)
    asked = git.Git(path)
    # In a hook git names its own repository, index and work tree to us, and GitPython hands on what is not named anew.
    asked.update_environment(
        GIT_DIR=git_dir,
        GIT_COMMON_DIR=str((path / common_dir).resolve()),
        GIT_INDEX_FILE=str(Path(git_dir) / "index"),
        GIT_OPTIONAL_LOCKS="0",
        **({"GIT_WORK_TREE": str((path / up[0]).resolve())} if up else {}),
    )
    try:
        commit = asked.rev_parse("--verify", "--quiet", "HEAD", with_exceptions=False) or None
        dirty = bool(asked.status("--porcelain", "--untracked-files=normal")) if up else None
        origin = asked.config("--get", "remote.origin.url", with_exceptions=False)
    except git.GitCommandError as error:
        raise Unreachable(
            f"the code repository cannot be read: {error.stderr.strip()}", hint="run `git status`"
        ) from None
    return Code(commit=commit, dirty=dirty, repository=without_credentials(origin) or None)
