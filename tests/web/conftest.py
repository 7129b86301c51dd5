"""Fixtures for tests of pages: a browser, and visits to pages that must be free of faults."""

from collections.abc import Iterator

import browser
import pytest


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
