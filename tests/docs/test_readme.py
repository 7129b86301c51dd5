"""The commands and the example of the README run and print what it shows."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from pages import ROOT, Block, Folder, alike, blocks, read, trimmed

DEMO = ROOT / "examples/iris/run.py"


def story_of(printed: str) -> str:
    """Return the part of the demo's output that the README shows."""
    return trimmed(printed.partition("\nThe repository is kept")[0].strip("\n")) + "\n"


def shown_story() -> Block:
    return next(block for block in blocks("README.md") if "$ git init" in block.text)


@pytest.mark.xdist_group("demo")
def test_the_demo_prints_the_example_of_the_readme(folder: Folder, request: pytest.FixtureRequest) -> None:
    done = subprocess.run(
        [sys.executable, DEMO, folder.place], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, encoding="utf-8"
    )
    assert done.returncode == 0, done.stdout
    story = shown_story()
    if request.config.getoption("--rewrite", default=False):
        text = read("README.md")
        new = text[: story.start] + story_of(done.stdout) + text[story.start + len(story.text) :]
        (ROOT / "README.md").write_text(new, encoding="utf-8")
    assert alike(shown_story().text, story_of(done.stdout))


@pytest.mark.xdist_group("demo")
def test_the_demo_sets_a_name_if_git_has_none(folder: Folder, hermetic: Path) -> None:
    (hermetic / ".gitconfig").write_text("", encoding="utf-8")
    done = subprocess.run([sys.executable, DEMO, folder.place], capture_output=True, encoding="utf-8")
    assert done.returncode == 0, done.stderr
    assert "git does not know your name" in done.stdout
    assert "Author: Iris Example <iris@example.com>" in done.stdout


def test_the_demo_refuses_a_folder_that_is_not_empty(code_repo: Path) -> None:
    done = subprocess.run([sys.executable, DEMO, code_repo], capture_output=True, encoding="utf-8")
    assert done.returncode == 1
    assert "is not empty" in done.stderr


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
    example = next(block.text for block in blocks("README.md") if block.language == "python")
    for _ in range(2):
        done = subprocess.run([sys.executable, "-c", example], cwd=code_repo, capture_output=True, encoding="utf-8")
        assert done.returncode == 0, done.stderr
