"""Checks of all pages: no repeated sentences, no paths of one machine, complete lists, current drawings."""

import re
from itertools import pairwise

import pictures
import pytest
from pages import GENERATED, ROOT, all_pages, read

PAGES = all_pages()
_MACHINE = re.compile(r"(?<!>)/tmp/|/work/|/home/(?!ada\b)\w+|/Users/|/root/|localhost:\d+|127\.0\.0\.1")


@pytest.mark.parametrize("page", [page for page in PAGES if page not in GENERATED])
def test_no_page_has_a_path_of_one_machine(page: str) -> None:
    assert _MACHINE.findall(read(page)) == []


def test_each_decision_has_its_own_number_and_a_row_in_the_list() -> None:
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
    """Finds sentences that an edit left in the page beside their new wording."""
    text = re.sub(r"^```.*?^```$", "```", read(page), flags=re.MULTILINE | re.DOTALL)
    paragraphs = [" ".join(part.split()) for part in text.split("\n\n")]
    introductions = [paragraph.endswith(":") and paragraph[:1] not in "#|-<" for paragraph in paragraphs]
    twice = [paragraphs[at] for at, pair in enumerate(pairwise(introductions)) if all(pair)]
    twice += [found[0] for found in re.finditer(r"(\[[^]]+\]\([^)]+\))\W+\1", " ".join(text.split()))]
    assert twice == []


def test_the_page_on_settings_lists_every_file_that_gitmodel_writes_to_a_clone() -> None:
    listed = set(re.findall(r"`gitmodel/([\w-]+)/?", read("docs/reference/settings.md")))
    sources = "".join(path.read_text(encoding="utf-8") for path in sorted((ROOT / "gitmodel").rglob("*.py")))
    written = set(re.findall(r'common_dir / "gitmodel" / "([\w-]+)"', sources))
    assert {"notes", "store", "writers"} <= written
    assert written <= listed


@pytest.mark.parametrize("name", sorted(pictures.drawings()))
def test_a_drawing_of_the_documentation_is_up_to_date(name: str) -> None:
    written = (pictures.PICTURES / name).read_text(encoding="utf-8")
    assert written == pictures.drawings()[name], "run `python3 noxfile.py -s pictures`"
