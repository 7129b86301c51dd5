"""The commands and the example of the README run and print what it shows."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from pages import ROOT, Folder, blocks, check, read


@pytest.mark.xdist_group("demo")
def test_the_example_of_the_readme_prints_the_shown_output(folder: Folder, rewrite: bool) -> None:
    check("README.md", folder, rewrite=rewrite, section="Example")


def test_the_commands_of_the_readme_are_sessions_of_the_noxfile() -> None:
    sessions = set(re.findall(r"^def (\w+)\(session", (ROOT / "noxfile.py").read_text(encoding="utf-8"), re.MULTILINE))
    named = set(re.findall(r"noxfile\.py -s (\w+)", read("README.md") + read("CONTRIBUTING.md")))
    assert {"demo", "test"} <= named <= sessions


def test_the_extras_that_the_readme_names_exist() -> None:
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    extras = re.findall(r"^([\w-]+) = \[", project.partition("[project.optional-dependencies]")[2], re.MULTILINE)
    sentence = re.search(r"Extras for artifact formats: (.*?) is needed for filters", read("README.md"), re.DOTALL)
    assert sentence
    assert set(re.findall(r"`(\w+)`", sentence[1])) <= set(extras)


def test_the_python_of_the_readme_runs_twice(code_repo: Path) -> None:
    example = next(block.text for block in blocks("README.md") if block.language == "python" and not block.file)
    for _ in range(2):
        done = subprocess.run([sys.executable, "-c", example], cwd=code_repo, capture_output=True, encoding="utf-8")
        assert done.returncode == 0, done.stderr
