"""The submodules of a work tree of the code.

This is a separate module because it imports GitPython, which takes 40 ms, and only `checkout --no-submodules` needs it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def list_submodules(worktree: Path) -> tuple[str, ...]:
    """Return the paths of the submodules in *worktree*, as `.gitmodules` of the checked-out commit lists them."""
    import git

    with git.Repo(worktree) as found:
        # If gitmodel runs in a git hook, GitPython would inherit variables that git set for another work tree.
        found.git.update_environment(GIT_DIR=str(found.git_dir), GIT_COMMON_DIR=str(found.common_dir))
        return tuple(str(submodule.path) for submodule in found.submodules)
