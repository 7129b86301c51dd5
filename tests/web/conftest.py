"""Fixtures for tests of pages: a registry, a browser, and visits to pages that must be free of faults."""

import subprocess
from collections.abc import Iterator

import browser
import pytest

from gitmodel import Client


@pytest.fixture(scope="session")
def chromium() -> Iterator[browser.Chromium]:
    """One Chromium for all tests of a process."""
    with browser.chromium() as started:
        yield started


@pytest.fixture
def visitor(chromium: browser.Chromium) -> Iterator[browser.Visitor]:
    """A visitor of pages. The test fails if a page logs an error, breaks its policy, or sends a request elsewhere."""
    with chromium.in_use() as used:
        visitor = browser.Visitor(used)
        try:
            yield visitor
        finally:
            visitor.close()
        assert visitor.faults == []


@pytest.fixture(scope="module")
def empty_registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    """A registry without models, for all tests of a module."""
    folder = tmp_path_factory.mktemp("registry")
    subprocess.run(["git", "init", "-q", folder], check=True)
    for key, value in (("user.name", "Ada"), ("user.email", "ada@example.com")):
        subprocess.run(["git", "-C", folder, "config", key, value], check=True)
    with Client(folder) as client:
        yield client
