"""All pages have valid links and no path of a single machine."""

import os
import re
from itertools import pairwise

import pytest
from pages import GENERATED, ROOT, all_pages, read

PAGES = all_pages()
_LINK = re.compile(r"(?<!\!)\[[^\]]*\]\(([^)\s]+)\)")
_MACHINE = re.compile(r"(?<!>)/tmp/|/work/|/home/(?!ada\b)\w+|/Users/|/root/|localhost:\d+|127\.0\.0\.1")


def anchors(page: str) -> set[str]:
    """The anchors that a git host makes of the headings of *page*."""
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


@pytest.mark.parametrize("page", [page for page in PAGES if page not in GENERATED])
def test_no_page_holds_a_path_of_one_machine(page: str) -> None:
    assert _MACHINE.findall(read(page)) == []


@pytest.mark.parametrize("page", [page for page in PAGES if page.startswith("docs/") and page != "docs/README.md"])
def test_every_page_is_reached_from_an_index(page: str) -> None:
    indexes = ("docs/README.md", "docs/decisions/README.md")
    names = {index: os.path.relpath(ROOT / page, (ROOT / index).parent) for index in indexes}
    assert any(f"]({name}" in read(index) for index, name in names.items())


def test_each_decision_has_a_number_of_its_own_and_its_row() -> None:
    names = sorted(path.name for path in (ROOT / "docs/decisions").glob("0*.md"))
    numbers = [name[:4] for name in names]
    assert len(set(numbers)) == len(numbers)
    assert re.findall(r"^\| \[(\d{4})\]\((.+?)\)", read("docs/decisions/README.md"), re.M) == [
        *zip(numbers, names, strict=True)
    ]
    for number, name in zip(numbers, names, strict=True):
        assert read(f"docs/decisions/{name}").startswith(f"# {int(number)}. "), name


@pytest.mark.parametrize("page", PAGES)
def test_no_page_says_the_same_twice_in_a_row(page: str) -> None:
    """An edit that adds a better sentence and keeps the previous one leaves such pairs."""
    text = re.sub(r"^```.*?^```$", "```", read(page), flags=re.MULTILINE | re.DOTALL)
    paragraphs = [" ".join(part.split()) for part in text.split("\n\n")]
    introductions = [paragraph.endswith(":") and paragraph[:1] not in "#|-<" for paragraph in paragraphs]
    twice = [paragraphs[at] for at, pair in enumerate(pairwise(introductions)) if all(pair)]
    twice += [found[0] for found in re.finditer(r"(\[[^]]+\]\([^)]+\))\W+\1", " ".join(text.split()))]
    assert twice == []


def test_settings_lists_every_file_of_a_clone() -> None:
    listed = set(re.findall(r"`gitmodel/([\w-]+)/?", read("docs/reference/settings.md")))
    sources = "".join(path.read_text(encoding="utf-8") for path in sorted((ROOT / "gitmodel").rglob("*.py")))
    written = set(re.findall(r'common_dir / "gitmodel" / "([\w-]+)"', sources))
    assert {"mentions", "notes", "store", "writers"} <= written
    assert written <= listed
