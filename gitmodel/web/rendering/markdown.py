"""Renders Markdown that people wrote to HTML. HTML inside the Markdown is escaped, and unsafe links are not links."""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING

from markupsafe import Markup

from gitmodel.web.shown_text import safe_url

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.token import Token

# Headings of a description get a lower level than the headings of the page.
_DEEPER = {"h1": "h3", "h2": "h4", "h3": "h5"}

# Matches a line without any character that could be markup: it begins with a letter, and has single spaces between
# words.
_PLAIN = re.compile(r"[A-Za-z](?:[A-Za-z0-9.,;:()%/'-]| (?! ))*(?<! )")


def render_markdown(text: str) -> Markup:
    """Return *text* as HTML.

    >>> render_markdown("<b> [a](javascript:b) ![c](https://d)").strip()
    Markup('<p>&lt;b&gt; [a](javascript:b) <a rel="nofollow noopener" href="https://d">c</a></p>')
    """
    if _PLAIN.fullmatch(text):  # a faster way: the parser would return the same, but takes 50 times as long
        return Markup(f"<p>{text}</p>\n")
    tokens = _parser().parse(text)
    for token in tokens:
        token.tag = _DEEPER.get(token.tag, token.tag)
        if token.children:
            token.children = [changed for child in token.children for changed in _without_image(child)]
    # Safe as `Markup`: markdown-it escapes all text because of html=False, and puts only safe addresses into
    # attributes.
    return Markup(_parser().renderer.render(tokens, _parser().options, {}))


@cache
def _parser() -> MarkdownIt:
    from markdown_it import MarkdownIt  # imported here: it takes 40 ms, and only text with markup needs it

    parser = MarkdownIt("commonmark", {"html": False, "linkify": False, "typographer": False}).enable("table")
    parser.validateLink = lambda url: bool(safe_url(url))  # type: ignore[method-assign]
    return parser


def _without_image(token: Token) -> list[Token]:
    """Return *token*; for an image, a link to it."""
    if token.type == "link_open":
        token.attrs = {"rel": "nofollow noopener", "href": token.attrs["href"]}
    if token.type != "image":
        return [token]
    from markdown_it.token import Token

    opened = Token("link_open", "a", 1, attrs={"rel": "nofollow noopener", "href": token.attrs["src"]})
    named = Token("text", "", 0, content=token.content or str(token.attrs["src"]))
    return [opened, named, Token("link_close", "a", -1)]
