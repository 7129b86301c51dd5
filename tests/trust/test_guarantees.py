"""The pages on the guarantees and on the threat model name at least one test for each row, and these tests exist."""

import re
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
PAGES = [TESTS.parent / f"docs/explanation/{name}.md" for name in ("guarantees", "threat-model")]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_test_that_the_two_pages_name_exists(page):
    named = set(re.findall(r"`(test_\w+)`", page.read_text(encoding="utf-8")))
    existing = {
        name for path in TESTS.rglob("test_*.py") for name in re.findall(r"^ *def (test_\w+)", path.read_text(), re.M)
    }
    assert named
    assert not named - existing


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_row_of_the_tables_names_a_test(page):
    for line in page.read_text(encoding="utf-8").splitlines():
        if line.startswith("| ") and not line.startswith("| promise"):
            assert "test" in line.split(" | ")[-1], line
