"""The fixture for all tests of imports."""

import pytest

from gitmodel import Client


@pytest.fixture
def client(code_repo, monkeypatch):
    """A client of `code_repo`, in which the test runs."""
    monkeypatch.chdir(code_repo)
    with Client() as found:
        yield found
