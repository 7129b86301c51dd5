"""The documentation as a site: it builds without a warning, needs no network, and its search finds answers."""

import subprocess
import sys
from pathlib import Path

import pytest
from browser import Visitor

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.xdist_group("documentation")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The documentation, built by Sphinx, which fails on a warning."""
    folder = tmp_path_factory.mktemp("documentation")
    options = ["-W", "--keep-going", "-q", "-b", "html", "-d", folder / "doctrees", "-c", "docs"]
    command = [sys.executable, "-m", "sphinx", *options, ".", folder / "site"]
    built = subprocess.run(command, cwd=ROOT, capture_output=True, encoding="utf-8")
    assert built.returncode == 0, built.stderr
    return folder / "site"


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_the_start_page_opens_as_a_file_without_a_network(visitor: Visitor, site: Path, dark: bool) -> None:
    page = visitor.open((site / "index.html").as_uri(), dark=dark)
    assert page.title() == "gitmodel"
    links = page.locator(".sidebar-tree a").evaluate_all("links => links.map(link => link.getAttribute('href'))")
    pages = {str(path.relative_to(site)) for path in site.glob("docs/[!d]*/*.html")}  # all but the decisions
    assert pages <= set(links)
