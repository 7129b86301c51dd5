"""Run the example of the README with a classifier: `python3 noxfile.py -s demo`.

Creates a git repository in a new temporary folder, or in the folder given as an argument, and keeps it.
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
# The folder of `git model`, which may not be on PATH if the environment of this Python is not activated.
PROGRAMS = Path(sys.executable).parent
# git sets these in hooks and in `git rebase --exec`; they would name another repository than the example's.
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

    story.say("Train. The script registers the model and creates its first version: two tables,")
    story.say("the classifier, its accuracy and the commit of the code.", after=True)
    story.run("python train.py")
    story.run("git model show iris@1")

    story.say("Promote it, first to staging, then to production. Each is one commit on the")
    story.say("branch `gitmodel` and one tag, moved together or not at all.", after=True)
    story.run("git model promote iris@1 staging --reason 'for review'")
    story.run("git model promote iris@1 production --reason '96.7% accuracy'")

    story.say("A service asks for the stage, not for a number. What it loads is verified")
    story.say("against the hash that was promoted.", after=True)
    story.run("git model resolve iris@production")
    story.run("python serve.py")

    story.say("git shows the whole history.")
    story.run("git log --oneline --first-parent gitmodel")
    story.run("git show model/iris/production")
    story.run("git model list")

    story.say("Your branch, index and files are as they were.")
    story.run("git status --short --branch")
    story.end()


class Story:
    """Runs commands in *folder* and prints each command before its output."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._environment = {name: value for name, value in os.environ.items() if name not in (*LOCATING, *OURS)}
        self._environment |= {
            "PATH": os.pathsep.join((str(PROGRAMS), os.environ.get("PATH", os.defpath))),
            "GIT_PAGER": "cat",
        }

    def say(self, words: str, *, after: bool = False) -> None:
        """Print a comment, after an empty line unless *after*."""
        print(f"{'' if after else chr(10)}# {words}", flush=True)

    def run(self, command: str) -> None:
        """Print *command* and run it. Ends the program if it fails."""
        print(f"$ {command}", flush=True)
        words = shlex.split(command)
        program = sys.executable if words[0] == "python" else words[0]
        done = subprocess.run([program, *words[1:]], cwd=self._folder, env=self._environment, check=False)
        if done.returncode:
            raise SystemExit(f"\nthe command ended with {done.returncode}; the repository is kept: {self._folder}")

    def set_identity(self) -> None:
        """Set a name and e-mail address in this repository if git has none."""
        if all(self._configured(key) for key in ("name", "email")):
            return
        print("# git does not know your name; in this repository it is Iris Example.", flush=True)
        self.run("git config user.name 'Iris Example'")
        self.run("git config user.email iris@example.com")

    def end(self) -> None:
        """Print the folder and the next commands."""
        print(f"\nThe repository is kept: {self._folder}\nNext commands:\n")
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
