"""Fixtures for tests of pages: an empty registry, and a browser that fails the test if a page has a fault."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import browser
import pytest
from page_server import serving

from gitmodel import Client
from gitmodel.web.export.site import export_site
from gitmodel.web.options import SiteOptions


@pytest.fixture(scope="session")
def chromium() -> Iterator[browser.Chromium]:
    """The Chromium that all tests of a process share."""
    with browser.chromium() as started:
        yield started


@pytest.fixture
def visitor(chromium: browser.Chromium) -> Iterator[browser.Visitor]:
    """A visitor of pages. The test fails if a page has a fault: an error, or a request to another origin."""
    with chromium.in_use() as used:
        visitor = browser.Visitor(used)
        try:
            yield visitor
        finally:
            visitor.close()
        assert visitor.faults == []


@pytest.fixture(scope="module")
def empty_registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    """A registry without models, which all tests of a module share."""
    folder = tmp_path_factory.mktemp("registry")
    subprocess.run(["git", "init", "-q", folder], check=True)
    for key, value in (("user.name", "Ada"), ("user.email", "ada@example.com")):
        subprocess.run(["git", "-C", folder, "config", key, value], check=True)
    with Client(folder) as client:
        yield client


@pytest.fixture(scope="module")
def url(registry: Client) -> Iterator[str]:
    """The address of a server with the pages of the fixture `registry` of the module."""
    with serving(registry) as url:
        yield url


@pytest.fixture(scope="module")
def site(registry: Client, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The exported site of the fixture `registry` of the module."""
    folder = tmp_path_factory.mktemp("site")
    export_site(registry, folder, SiteOptions())
    return folder
