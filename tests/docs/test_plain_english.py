"""Pages and comments avoid phrases that need a second reading, and pages wrap their lines."""

from __future__ import annotations

import re

import pytest
from pages import ROOT, all_pages, read

PHRASES = re.compile(
    r"\b(?:"
    r"(?:make|makes|made|making|begin|begins|begun) (?:\w+ )?anew"
    r"|takes? (?:it|them) away"
    r"|what (?:is|are) to be"
    r"|what (?:became|becomes) of"
    r"|one (?:tag|version|word|commit) (?:more|less)(?! than)"
    r"|all that (?:is|are|was|were|has|had)"
    r"|bears? (?:it|them|the tag) out|not bear out"
    r"|makes? (?:it|them|such) young"
    r"|whose turn is it"
    r")\b",
    re.IGNORECASE,
)
WIDTH = 100
# "who is alone does not pay for it": write "imported here because only a retry needs it".
PAYS = re.compile(r"\b(?:pays? for|not pay)\b")


def prose(page: str) -> str:
    """Return the text of *page* on one line, without code."""
    return " ".join(re.sub(r"^```.*?^```$|`[^`\n]*`", "", read(page), flags=re.MULTILINE | re.DOTALL).split())


@pytest.mark.parametrize("page", all_pages())
def test_lines_of_text_have_at_most_100_characters(page: str) -> None:
    text = re.sub(r"^```.*?^```$", "", read(page), flags=re.MULTILINE | re.DOTALL)
    assert [line for line in text.splitlines() if len(line) > WIDTH and not line.startswith(("|", "#"))] == []


@pytest.mark.parametrize("page", all_pages())
def test_no_page_has_a_phrase_that_needs_a_second_reading(page: str) -> None:
    assert PHRASES.findall(prose(page)) == []


def test_comments_of_late_imports_say_what_needs_them() -> None:
    files = [file.relative_to(ROOT).as_posix() for file in sorted((ROOT / "gitmodel").rglob("*.py"))]
    found = {file: PAYS.findall(read(file)) for file in files}
    assert {file: phrases for file, phrases in found.items() if phrases} == {}


def test_the_check_finds_such_phrases() -> None:
    assert [bool(PHRASES.search(text)) for text in ("It is made anew.", "One tag more.", "What became of it?")] == [
        True
    ] * 3
    assert not PHRASES.search("Create it again. It needs one version more than before.")
