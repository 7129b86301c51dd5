"""The commands in the README and in the tour of the demo print what these pages show, and the README stays short."""

import re

import pytest
import rtoml
from pages import ROOT, Folder, check, follow, read


@pytest.mark.xdist_group("demo")
def test_the_tour_of_the_demo_prints_the_shown_output(folder: Folder, rewrite: bool) -> None:
    check("docs/tutorial/demo.md", folder, rewrite=rewrite)


def test_the_five_minutes_of_the_readme_print_the_shown_output_and_run_twice(folder: Folder, rewrite: bool) -> None:
    for section in ("Five minutes", "Ask git"):
        check("README.md", folder, rewrite=rewrite, section=section)
    follow("README.md", folder, "Five minutes")


def test_the_readme_has_at_most_150_lines() -> None:
    assert len(read("README.md").splitlines()) <= 150


def test_the_commands_of_the_readme_are_sessions_of_the_noxfile() -> None:
    sessions = set(re.findall(r"^def (\w+)\(session", (ROOT / "noxfile.py").read_text(encoding="utf-8"), re.MULTILINE))
    named = set(re.findall(r"noxfile\.py -s (\w+)", read("README.md") + read("CONTRIBUTING.md")))
    assert {"demo", "test"} <= named <= sessions


def test_the_page_on_installation_lists_every_extra_for_users() -> None:
    project = rtoml.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    listed = re.findall(r"`(\w+)`(?=.*\|.*\|$)", read("docs/how-to/install.md").partition("| extra |")[2], re.MULTILINE)
    assert set(listed) >= set(project["optional-dependencies"]) - {"dev", "docs", "test"}
