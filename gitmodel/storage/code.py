"""What a version records of the code: which commit is checked out, whether it has changes, where it came from.

The one place that imports GitPython, and only when a version is made: importing it costs 80 ms.
"""

from __future__ import annotations

from gitmodel.domain.addresses import without_credentials
from gitmodel.domain.records import Code
from gitmodel.errors import Unreachable
from gitmodel.storage.code_repository import CodeRepository


def read_code(repository: CodeRepository | None) -> Code:
    """The state of the code repository; outside of any (None), that is what is recorded.

    Raises Unreachable if the repository cannot be read.
    """
    if repository is None:
        return Code(outside=True)
    import git

    places = repository.git
    asked = git.Git(places.top)
    # In a hook git names its own repository, index and work tree to us, and GitPython hands on what is not named anew.
    asked.update_environment(
        GIT_DIR=str(places.git_dir),
        GIT_COMMON_DIR=str(places.common_dir),
        GIT_INDEX_FILE=str(repository.index_file),
        GIT_OPTIONAL_LOCKS="0",
        **({"GIT_WORK_TREE": str(places.top)} if repository.worktree else {}),
    )
    try:
        if repository.worktree:
            # One process says both: `# branch.oid COMMIT`, and what has changed in lines that are no comments.
            options = ("--porcelain=v2", "--branch", "--no-ahead-behind", "--untracked-files=normal")
            first, *lines = asked.status(*options).splitlines()
            head, dirty = first.rpartition(" ")[2], any(not line.startswith("#") for line in lines)
        else:
            head, dirty = asked.rev_parse("--verify", "--quiet", "HEAD", with_exceptions=False), None
    except git.GitCommandError as error:
        raise Unreachable(
            f"the code repository cannot be read: {error.stderr.strip()}", hint="run `git status`"
        ) from None
    commit = head if head not in ("", "(initial)") else None
    return Code(commit=commit, dirty=dirty, repository=without_credentials(repository.origin) or None)
