"""Fixtures for the tests of the documentation: a folder for the commands of a page, and the option --rewrite."""

from pathlib import Path

import pytest
from pages import Folder


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--rewrite", action="store_true", help="write what the commands print into the pages (give tests/docs as well)"
    )


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    """An empty folder in which a test runs the commands of a page."""
    place = tmp_path / "work"
    place.mkdir()
    return Folder(place)


@pytest.fixture
def rewrite(request: pytest.FixtureRequest) -> bool:
    """True if the tests write the output of commands to the pages (`--rewrite`)."""
    return bool(request.config.getoption("--rewrite", default=False))
