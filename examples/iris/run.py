"""The story of the README, on a classifier that is trained here: `python3 noxfile.py -s demo`.

Makes a git repository in a new temporary folder (or in the folder named as argument) and keeps it.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
# Where `git model` is, whether or not this Python's environment is activated.
PROGRAMS = Path(sys.executable).parent
# In a hook, or under `git rebase --exec`, these would name another repository than the one made here.
LOCATING = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PREFIX", "GIT_COMMON_DIR", "GIT_NAMESPACE")
OURS = ("GITMODEL_REPO", "GITMODEL_STORE", "GITMODEL_BRANCH")


def main(arguments: list[str]) -> None:
    folder = Path(arguments[0]).absolute() if arguments else Path(tempfile.mkdtemp(prefix="gitmodel-iris-"))
    folder.mkdir(parents=True, exist_ok=True)
    if any(folder.iterdir()):
        raise SystemExit(f"{folder} is not empty: name a new folder")
    story = Story(folder)

    story.say("A new git repository, with the code that trains and the code that serves.")
    story.run("git init --quiet --initial-branch=main")
    story.set_identity()
    for name in ("train.py", "serve.py"):
        shutil.copy(HERE / name, folder / name)
    (folder / ".gitignore").write_text("out/\n", encoding="utf-8")
    story.run("git add .gitignore train.py serve.py")
    story.run("git commit --quiet -m 'Train and serve an iris classifier'")

    story.say("Train. The script registers the model and makes its first version: two tables,")
    story.say("the classifier, its accuracy and the commit of the code.", after=True)
    story.run("python train.py")
    story.run("git model show iris@1")

    story.say("Promote it, first to staging, then to production. Each is one commit on the")
    story.say("branch `gitmodel` and one tag, moved together or not at all.", after=True)
    story.run("git model promote iris@1 staging --reason 'to be looked at'")
    story.run("git model promote iris@1 production --reason 'it names nearly all of them'")

    story.say("What a service does: it asks for the stage, not for a number, and what it")
    story.say("loads is verified against the hash that was promoted.", after=True)
    story.run("git model resolve iris@production")
    story.run("python serve.py")

    story.say("And the story is in git.")
    story.run("git log --oneline --first-parent gitmodel")
    story.run("git show model/iris/production")
    story.run("git model list")

    story.say("Your branch, index and files are as they were.")
    story.run("git status --short --branch")
    story.end()


class Story:
    """Commands run in *folder*, each shown before what it prints."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._environment = {name: value for name, value in os.environ.items() if name not in (*LOCATING, *OURS)}
        self._environment |= {
            "PATH": os.pathsep.join((str(PROGRAMS), os.environ.get("PATH", os.defpath))),
            "GIT_PAGER": "cat",
        }

    def say(self, words: str, *, after: bool = False) -> None:
        """Say a line of the story; *after* another one, without a break."""
        print(f"{'' if after else chr(10)}# {words}", flush=True)

    def run(self, command: str) -> None:
        """Show *command* and run it; the story ends where one fails."""
        print(f"$ {command}", flush=True)
        words = shlex.split(command)
        program = sys.executable if words[0] == "python" else words[0]
        done = subprocess.run([program, *words[1:]], cwd=self._folder, env=self._environment, check=False)
        if done.returncode:
            raise SystemExit(f"\nthe command ended with {done.returncode}; the repository is kept: {self._folder}")

    def set_identity(self) -> None:
        """Give this repository, and no other, a name to commit under where git knows none."""
        if all(self._configured(key) for key in ("name", "email")):
            return
        print("# git does not know your name; in this repository you are Iris Example.", flush=True)
        self.run("git config user.name 'Iris Example'")
        self.run("git config user.email iris@example.com")

    def end(self) -> None:
        """Say where everything is and what to type next."""
        print(f"\nThe repository is kept: {self._folder}\nGo on there:\n")
        print(f"  cd {shlex.quote(str(self._folder))}")
        print(f'  export PATH={shlex.quote(str(PROGRAMS))}:"$PATH"')
        print("  git model show iris")
        print("  git model history iris")
        print("  python train.py && git model promote iris@latest production")
        print("  git model rollback iris production")

    def _configured(self, key: str) -> bool:
        if self._environment.get(f"GIT_AUTHOR_{key.upper()}") and self._environment.get(f"GIT_COMMITTER_{key.upper()}"):
            return True
        asked = subprocess.run(
            ["git", "config", f"user.{key}"],
            cwd=self._folder,
            env=self._environment,
            capture_output=True,
            check=False,
        )
        return bool(asked.stdout.strip())


if __name__ == "__main__":
    main(sys.argv[1:])
