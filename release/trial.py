"""Installs a built wheel in clean environments and tries it: `python release/trial.py FOLDER`.

FOLDER has one wheel, which `release/build.py` built. For each Python that gitmodel supports and this machine has, the
script creates an environment with the wheel and the packages in locks/core.lock. In those of the oldest and the newest
Python, it also installs the extra skops and runs the commands in "Five minutes" of the README.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
# The minor number of the newest Python to search for. `supported` says which of the found ones to try.
NEWEST = 15


def supported() -> list[str]:
    """Return the versions of Python that gitmodel supports, such as "3.10", from the classifiers in pyproject.toml."""
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    return re.findall(r'"Programming Language :: Python :: (3\.\d+)"', text)


def pythons() -> dict[str, Path]:
    """Return the paths of the Pythons of this machine from 3.10 on, by version: those in pyenv and on the PATH."""
    found = {}
    for minor in range(10, NEWEST + 1):
        version = f"3.{minor}"
        kept = sorted(Path.home().glob(f".pyenv/versions/{version}.*/bin/python{version}"))
        named = shutil.which(f"python{version}")
        if kept or named:
            found[version] = kept[-1] if kept else Path(str(named))
    return found


def five_minutes() -> Iterator[tuple[str, str]]:
    """Yield the files and commands in the section "Five minutes" of the README.

    A file is a pair of its name and its text, a command a pair of "" and the command.
    """
    section = (ROOT / "README.md").read_text(encoding="utf-8").partition("\n## Five minutes\n")[2].partition("\n## ")[0]
    for language, text in re.findall(r"^```(\w+)\n(.*?)^```", section, re.MULTILINE | re.DOTALL):
        if language == "python":
            yield text.splitlines()[0].removeprefix("# "), text
        for command in re.findall(r"^\$ (.*)", text, re.MULTILINE) if language == "console" else ():
            yield "", command


class Trial:
    """An environment of one Python in which *wheel* is installed, and a folder in which to run commands."""

    def __init__(self, python: Path, wheel: Path, place: Path, extra: str = "") -> None:
        self.place = place
        self.folder = place / "work"
        self.folder.mkdir(parents=True)
        self.bin = place / "env" / "bin"
        began = time.monotonic()
        # uses virtualenv instead of venv: it keeps an unpacked pip, and so needs one second instead of twenty
        options = ["-q", "--no-setuptools", "--no-wheel", "-p", python]
        subprocess.run([sys.executable, "-m", "virtualenv", *options, place / "env"], check=True)
        made = time.monotonic()
        locks = ["-r", ROOT / "locks" / "core.lock", *(["-r", ROOT / "locks" / f"{extra}.lock"] if extra else [])]
        pip = [self.bin / "pip", "install", "-q", "--no-compile"]  # with the user's cache of packages
        subprocess.run([*pip, "--require-hashes", *locks], check=True)
        subprocess.run([*pip, "--no-deps", wheel], check=True)
        self.told = f"environment {made - began:.0f} s, install {time.monotonic() - made:.0f} s, {self.size():,.0f} MB"

    def size(self) -> float:
        """Return the size of the installed packages in MB, without pip."""
        packages = next((self.place / "env" / "lib").glob("python3*/site-packages"))
        files = (file for file in packages.rglob("*") if file.is_file())
        return sum(file.stat().st_size for file in files if "pip" not in file.relative_to(packages).parts[0]) / 1e6

    def shell(self, line: str) -> str:
        """Run *line* in bash without any setting of this machine's user, and return its output.

        If the command fails, ends the program with its output.
        """
        environ = {"HOME": str(self.place), "PATH": f"{self.bin}{os.pathsep}{os.environ['PATH']}"}
        done = subprocess.run(["bash", "-c", line], cwd=self.folder, env=environ, capture_output=True, text=True)
        if done.returncode:
            raise SystemExit(f"{line} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
        return done.stdout

    def try_core(self) -> None:
        """Check that the command, its manual page and its completion work, and create, promote and read a version."""
        for name, value in (("user.name", "Ada Example"), ("user.email", "ada@example.com")):
            self.shell(f"git config --global {name} '{value}'")
        place = self.shell("python -c 'import gitmodel; print(gitmodel.__file__)'").strip()
        assert place.startswith(str(self.place)), place
        assert self.shell("git model --version") == self.shell("gitmodel --version") != ""
        assert "Promote" in self.shell("git model -h")
        if shutil.which("man"):
            assert self.shell("man -w git-model").startswith(str(self.place))
        assert (self.bin.parent / "share" / "man" / "man1" / "git-model.1").is_file()
        assert "git" in self.shell('eval "$(git model completion bash)"; complete -p')
        self.shell("git init -q core && cd core && git commit -q --allow-empty -m Start && git model init")
        self.shell("cd core && echo bytes > file && git model register iris")
        self.shell("cd core && git model version create iris --data file=file --metadata accuracy=0.9")
        self.shell("cd core && git model promote iris@1 production --reason first")
        assert self.shell("cd core && git model resolve iris@production") == "iris@1\n"
        self.shell("cd core && git model get iris@production file -o again && cmp file again")

    def try_five_minutes(self) -> None:
        """Write the files and run the commands in the section "Five minutes" of the README."""
        for file, text in five_minutes():
            if file:
                (self.folder / file).write_text(text, encoding="utf-8")
            else:
                self.shell(text)


def try_version(version: str, python: Path, wheel: Path, whole: bool) -> str:
    """Try *wheel* with the Python at *python*, and return a sentence with the result.

    If *whole*, also installs the extra skops, and runs the section "Five minutes" of the README.
    """
    with tempfile.TemporaryDirectory(prefix="gitmodel-trial-") as temporary:
        trial = Trial(python, wheel, Path(temporary) / "trial", "skops" if whole else "")
        trial.try_core()
        if whole:
            trial.try_five_minutes()
    also = ", with the five minutes of the README and the extra skops" if whole else ""
    return f"Python {version}: works{also} ({trial.told})"


def main(folder: Path) -> None:
    """Try the wheel in *folder* with each supported Python of this machine, two at a time, and print the results."""
    (wheel,) = folder.resolve().glob("*.whl")
    installed, versions = pythons(), supported()
    tried = [version for version in versions if version in installed]
    if not tried:
        raise SystemExit(f"this machine has none of the supported Pythons: {', '.join(versions)}")
    whole = {tried[0], tried[-1]}
    with ThreadPoolExecutor(2) as pool:
        for line in pool.map(lambda each: try_version(each, installed[each], wheel, each in whole), tried):
            print(line, flush=True)
    for version in versions:
        if version not in installed:
            print(f"Python {version}: not tried, because this machine does not have it")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
