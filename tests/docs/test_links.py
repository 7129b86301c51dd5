"""Links on all pages lead to existing files and headings, and each page is listed on an index page."""

import os
import re

import pytest
from pages import ROOT, all_pages, read

PAGES = all_pages()
_LINK = re.compile(r"(?<!\!)\[[^\]]*\]\(([^)\s]+)\)")


def anchors(page: str) -> set[str]:
    """Return the anchors by which links reach the headings of *page* on a git host."""
    text = re.sub(r"^```.*?^```$", "", read(page), flags=re.MULTILINE | re.DOTALL)
    titles = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", PAGES)
def test_every_relative_link_leads_to_a_file_and_a_heading(page: str) -> None:
    text = re.sub(r"^```.*?^```$|`[^`\n]*`", "", read(page), flags=re.MULTILINE | re.DOTALL)
    for link in _LINK.findall(text):
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (ROOT / page).parent / path if path else ROOT / page
        assert target.exists(), f"{page} leads to {link}, which does not exist"
        if anchor:
            assert anchor in anchors(str(target.resolve().relative_to(ROOT))), f"{page} leads to {link}"


@pytest.mark.parametrize("page", [page for page in PAGES if page.startswith("docs/") and page != "docs/README.md"])
def test_every_page_is_reached_from_an_index(page: str) -> None:
    indexes = ("docs/README.md", "docs/decisions/README.md")
    names = {index: os.path.relpath(ROOT / page, (ROOT / index).parent) for index in indexes}
    assert any(f"]({name}" in read(index) for index, name in names.items())
