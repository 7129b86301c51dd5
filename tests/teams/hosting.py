"""Merge proposals with plain git as a host does, and write git hooks and programs that replace others on the PATH."""

import os
import subprocess


def git(folder, *arguments):
    done = subprocess.run(["git", *arguments], cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def write_hook(repository, name, script):
    """Write the git hook *name*, a shell script, into the git directory *repository*. Return its file."""
    hook = repository / "hooks" / name
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
    hook.chmod(0o755)
    return hook


def write_program(folder, name, script):
    """Write the program *name*, a shell script, into *folder*. Return a PATH on which *folder* is the first folder."""
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
    (folder / name).chmod(0o755)
    return f"{folder}{os.pathsep}{os.environ['PATH']}"


class Host:
    """A host that merges the branch of a pull request by a merge commit, a squash or a rebase."""

    def __init__(self, folder, url):
        self.folder = folder / "host"
        git(folder, "clone", "-q", "-b", "gitmodel", str(url), str(self.folder))

    def merge(self, branch, how="merge"):
        """Merge *branch* as *how* says: "merge", "squash" or "rebase". Then delete it.

        Returns False, and changes nothing at the remote, if there is a conflict.
        """
        git(self.folder, "fetch", "-q", "--prune", "origin")
        git(self.folder, "reset", "-q", "--hard", "origin/gitmodel")
        commands = {
            "merge": [["merge", "-q", "--no-ff", "-m", f"Merge {branch} (#7)", f"origin/{branch}"]],
            "squash": [["merge", "-q", "--squash", f"origin/{branch}"], ["commit", "-q", "-m", f"{branch} (#7)"]],
            "rebase": [["cherry-pick", f"origin/gitmodel..origin/{branch}"]],
        }[how]
        for command in commands:
            if subprocess.run(["git", *command], cwd=self.folder, capture_output=True).returncode:
                return False
        git(self.folder, "push", "-q", "origin", "HEAD:gitmodel", f":refs/heads/{branch}")
        return True


def merge_commit(repo, head, message="Merge a proposal", *, squash=False):
    """Merge *head* into the metadata branch of *repo* as a host does. Moves only the branch. Returns the commit.

    If *squash* is True, the commit has only one parent, as a squash merge.
    """
    # Set as on hosts: if one side renamed a folder, git must not move new files of the other side to the new folder.
    tree = git(repo, "-c", "merge.directoryRenames=false", "merge-tree", "--write-tree", "gitmodel", head).split()[0]
    parents = ("-p", "gitmodel") if squash else ("-p", "gitmodel", "-p", head)
    commit = git(repo, "commit-tree", tree, *parents, "-m", message)
    git(repo, "update-ref", "refs/heads/gitmodel", commit)
    return commit


def merge_within(bare, *proposals):
    """Merge *proposals* directly in the host's repository *bare*, so that no hook runs and no tag moves."""
    for proposal in proposals:
        merge_commit(bare, proposal.commit, f"Merge {proposal.branch}")
