"""Checks that pages, docstrings, comments and names of tests have no phrases that are hard to understand.

Pages must also have short lines and sentences.
"""

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest
from pages import ROOT, all_pages, read

PHRASES = re.compile(
    r"\b(?:"
    r"anew|as ever|at hand|for ever|likewise|of ours"
    r"|all that (?:is|are|was|were|has|had)"
    r"|all the same(?! \w)"
    r"|bears? (?:it|them|the tag) out|not bear out"
    r"|behind (?:our|your) backs?"
    r"|comes? back (?:changed|equal)"
    r"|goes on (?:as|to|where)"
    r"|in (?:its|their) own words"
    r"|lets? go of"
    r"|(?:is|are|was|were) (?:said|told)(?! (?:apart|how|that|to|what|which))"
    r"|(?:made|makes?|as) (?:it |them |such )?young"
    r"|one (?:tag|version|word|commit) (?:more|less)(?! than)"
    r"|so (?:many|often) (?:as|may|is|are|of)"
    r"|speaks? of"
    r"|takes? (?:it|them) away|taken away"
    r"|what (?:became|becomes|is to become) of|what (?:is|are) to be|what there is|what to type"
    r"|whose turn is it"
    r"|with regard to"
    r")\b",
    re.IGNORECASE,
)
WIDTH = 100
LONGEST_SENTENCE = 45  # in words; code and a link count as one word
# Forbidden: the verb "to pay" for costs. Write "imported here because only a retry needs it".
PAYS = re.compile(r"\b(?:pays? for|not pay)\b")
# The name of a test must say its subject and its result. Forbidden: "test_what_is_young_is_said".
RIDDLES = re.compile(
    r"test_(?:it|they|to|what|which|who|whose|whoever)_|test_(?:by|in|inside|on|with|without)_\w*_it_"
    r"|\w*_(?:anew|behind_our_back|all_the_same|for_ever|goes_on|mends?|mended|young)(?:_|$)"
    r"|\w*_(?:is|are)_(?:said|told)(?:$|_(?:and|with)_)|\w*_of_who_"
)


def text_of(page: str) -> str:
    """Return the text of *page* without blocks of code."""
    return re.sub(r"^```.*?^```$", "", read(page), flags=re.MULTILINE | re.DOTALL)


def prose(text: str) -> str:
    """Return *text* on one line, without code."""
    return " ".join(re.sub(r"`[^`\n]*`", "", text).split())


def sentences(page: str) -> Iterator[str]:
    """Yield the sentences of *page*, except sentences in tables and headings."""
    for paragraph in re.split(r"\n\s*\n|\n(?=\s*(?:[-*]|\d+\.)\s)", text_of(page)):
        if not paragraph.lstrip().startswith(("|", "#", "<!--")):
            plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", "link", re.sub(r"`[^`]*`", "code", " ".join(paragraph.split())))
            yield from re.split(r"(?<=[.!?:;])\s+", plain)


def remarks(source: str) -> Iterator[tuple[int, str]]:
    """Yield the line and the text of each docstring and comment in *source*, without doctests."""
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Expr(value=ast.Constant(value=str(text))):
                yield node.lineno, re.sub(r">>>.*?(?:\n\s*\n|\Z)", "", text, flags=re.DOTALL)
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            yield token.start[0], token.string


def sources(folder: str) -> list[Path]:
    return sorted((ROOT / folder).rglob("*.py"))


@pytest.mark.parametrize("page", all_pages())
def test_lines_of_text_have_at_most_100_characters(page: str) -> None:
    assert [line for line in text_of(page).splitlines() if len(line) > WIDTH and not line.startswith(("|", "#"))] == []


@pytest.mark.parametrize("page", all_pages())
def test_sentences_of_a_page_are_short(page: str) -> None:
    assert [sentence for sentence in sentences(page) if len(sentence.split()) > LONGEST_SENTENCE] == []


@pytest.mark.parametrize("page", all_pages())
def test_no_page_has_a_phrase_that_needs_a_second_reading(page: str) -> None:
    assert PHRASES.findall(prose(text_of(page))) == []


@pytest.mark.parametrize("folder", ["gitmodel", "tests", "benchmarks", "examples"])
def test_no_docstring_or_comment_has_a_phrase_that_needs_a_second_reading(folder: str) -> None:
    found = [
        f"{file.relative_to(ROOT)}:{line}: {phrase}"
        for file in sources(folder)
        for line, text in remarks(file.read_text(encoding="utf-8"))
        for phrase in (*PHRASES.findall(prose(text)), *PAYS.findall(text))
    ]
    assert not found, "\n".join(found)


def test_names_of_tests_name_their_subject_and_result() -> None:
    named = re.compile(r"def (test_\w+)")
    found = {
        f"{file.relative_to(ROOT)}: {name}"
        for file in sources("tests")
        for name in named.findall(file.read_text(encoding="utf-8"))
        if RIDDLES.match(name)
    }
    assert not found, "\n".join(sorted(found))


@pytest.mark.parametrize(
    "text", ["It is made anew.", "One tag more.", "What became of it?", "The error is said.", "Nobody lets go of it."]
)
def test_the_check_finds_phrases_that_need_a_second_reading(text: str) -> None:
    assert PHRASES.search(text)


@pytest.mark.parametrize(
    "text",
    ["Create it again.", "It needs one version more than before.", "The two are told apart.", "It is not young."],
)
def test_the_check_accepts_plain_phrases(text: str) -> None:
    assert not PHRASES.search(text)


@pytest.mark.parametrize(
    "name",
    ["test_what_is_old_is_young", "test_a_fault_is_said", "test_the_owner_mends_it", "test_by_url_it_is_refused"],
)
def test_the_check_finds_riddles_in_names_of_tests(name: str) -> None:
    assert RIDDLES.match(name)


def test_no_message_has_an_article_that_may_not_fit_the_word_after_it() -> None:
    """A message that writes "a" before a value may need "an". The function `with_article` selects the right one."""
    fixed = re.compile(r"\ban? \{(?:type|type_name|kind|cls)\b[^}!]*\}")
    assert [hit for file in sources("gitmodel") for hit in fixed.findall(file.read_text(encoding="utf-8"))] == []
