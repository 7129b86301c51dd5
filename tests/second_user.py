"""Running commands as another user of the machine. Needs root."""

import os
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path

import pytest

needs_root = pytest.mark.skipif(os.getuid() != 0, reason="only root can run commands as another user")
# The program imports all modules before it changes its user, because the other user may not read this installation.
_PROGRAM = """
import difflib, encodings.idna, importlib, os, pkgutil, random, shutil, sys, tempfile, textwrap, traceback
import git, gitmodel
for found in pkgutil.walk_packages(gitmodel.__path__, "gitmodel."):
    if not found.name.endswith("__main__"):
        try:
            importlib.import_module(found.name)
        except ImportError:
            pass
from gitmodel import Client
uid, gid, umask, source, *words = sys.argv[1:]
os.umask(int(umask, 8))
os.setgroups([int(gid)])
os.setresgid(int(uid), int(uid), int(uid))
os.setresuid(int(uid), int(uid), int(uid))
if source:
    exec(source, {"Client": Client, "words": words})
else:
    from gitmodel.cli import run
    sys.exit(run(words))
"""


class User:
    """A user of the machine, with the id *uid*, a home folder in *top*, and the id of a group that users can share."""

    def __init__(self, top, uid, group, umask="022"):
        self.uid, self.group, self.umask = uid, group, umask
        self.home = top / f"home-{uid}"
        self.home.mkdir()
        (self.home / ".gitconfig").write_text(
            f"[user]\n\tname = User {uid}\n\temail = {uid}@example.com\n[safe]\n\tdirectory = *\n"
            "[init]\n\tdefaultBranch = main\n"
        )
        for path in (self.home, self.home / ".gitconfig"):
            os.chown(path, uid, group)

    def model(self, folder, *words):
        """Run `git model` as this user in *folder*; returns exit code, stdout and stderr."""
        return self._run(folder, "", words)

    def python(self, folder, source, *words):
        """Run the Python code *source* as this user in *folder*; returns exit code, stdout and stderr.

        The code can use `Client` and the list `words`, which has *words* as texts.
        """
        return self._run(folder, source, words)

    def git(self, folder, *words):
        """Run git as this user in *folder*; returns stdout."""
        done = subprocess.run(
            ["git", *map(str, words)], cwd=folder, env=self._environ(), user=self.uid, group=self.uid,
            extra_groups=[self.group], umask=int(self.umask, 8), capture_output=True, text=True,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def _run(self, folder, source, words):
        given = [str(self.uid), str(self.group), self.umask, source, *map(str, words)]
        done = subprocess.run(
            [sys.executable, "-c", _PROGRAM, *given], cwd=folder, env=self._environ(), capture_output=True, text=True
        )
        return done.returncode, done.stdout, done.stderr

    def _environ(self):
        return {
            **os.environ,
            "HOME": str(self.home),
            "GIT_CONFIG_GLOBAL": str(self.home / ".gitconfig"),
            "XDG_CACHE_HOME": str(self.home / ".cache"),
            "XDG_CONFIG_HOME": str(self.home / ".config"),
        }


@contextmanager
def open_folder():
    """A folder that every user may enter. Other users may not enter the temporary folders of pytest."""
    with tempfile.TemporaryDirectory(prefix="gitmodel-users-") as top:
        os.chmod(top, 0o755)
        yield Path(top)
