"""Options and folders for the tests of the documentation."""

from pathlib import Path

import pytest
from pages import Folder


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--rewrite", action="store_true", help="write what the commands print into the pages (give tests/docs as well)"
    )


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    """An empty folder to run a page's commands in."""
    place = tmp_path / "work"
    place.mkdir()
    return Folder(place)


@pytest.fixture
def rewrite(request: pytest.FixtureRequest) -> bool:
    """True if what the commands print is written into the pages."""
    return bool(request.config.getoption("--rewrite", default=False))
