"""Cleans the text of a registry for pages: shows invisible characters as escapes, and leaves out private text. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import is_dataclass
from datetime import date, datetime
from typing import Any
from urllib.parse import urlsplit

# Control characters except tab and line break, and characters that are invisible or change the direction of text.
_HIDDEN = (
    r"\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff\ufff9-\ufffb"
    "\ud800-\udfff"
)
_UNSEEN = re.compile(f"[{_HIDDEN}]")
_CREDENTIALS = re.compile(r"(?<=://)[^/\s@]*@")
# An @, also in the escaped forms of Markdown, URLs and HTML.
_AT = r"(?:\\?@|%40|&#0*64;|&#[xX]0*40;|&commat;)"
_ADDRESS = re.compile(
    rf"""<[^<>\s@]{{1,64}}{_AT}[^<>\s@]{{1,255}}>|"""
    rf"""<?(?:\b(?P<name>[\w.+%'-]{{1,64}})|"[^"\n]{{1,64}}"){_AT}(?P<place>[\w-]{{1,63}}(?:\.[\w-]{{1,63}})*)\b>?"""
)
# A word after an @ that is not the host of an e-mail address: iris@3, mAP@0.5, recall@k, iris@sha256:...
_NO_HOST = re.compile(r"[0-9]+(\.[0-9]+)?|\w|sha256")
_SUSPICIOUS = re.compile(f"[@{_HIDDEN}]|%40|&[#c]")
_SCHEMES = ("http", "https", "mailto")


class TextRules:
    """The rules for the text of a site. If *public* is True, everything that looks like an e-mail address is removed.

    *is_version* gets the two words around an @, and returns True if they are a reference of a version, such as
    iris@champion. References look like e-mail addresses such as ada@laptop, but are not removed. *private* are paths of
    this machine, which are replaced by "..." in every site.
    """

    def __init__(
        self,
        *,
        public: bool = False,
        is_version: Callable[[str, str], bool] = lambda model, word: False,
        private: tuple[str, ...] = (),
    ) -> None:
        self._public = public
        self._is_version = is_version
        self._private = tuple(path for path in private if len(path) > 1)

    def text(self, text: str) -> str:
        r"""Return *text* as the site shows it: without credentials in URLs, and with escapes for invisible characters.

        >>> TextRules(public=True).text("a\u202eb of Ada <ada@example.com>, https://ada:pw@example.com/x, recall@5")
        'a\\u202eb of Ada, https://example.com/x, recall@5'
        """
        if self._private and "/" in text:
            for path in self._private:
                text = text.replace(path, "...")
        if not _SUSPICIOUS.search(text):
            return text
        text = _CREDENTIALS.sub("", text)
        if self._public:
            text = _ADDRESS.sub(self._without_address, text).replace(" ,", ",").strip()
        return _UNSEEN.sub(lambda found: _escape(found[0]), text)

    def _without_address(self, match: re.Match[str]) -> str:
        """Return "" if *match* matched an e-mail address, and its text if it matched a reference of a version."""
        name, place = match["name"], match["place"]
        return match[0] if place and (_NO_HOST.fullmatch(place) or self._is_version(name or "", place)) else ""

    def value(self, value: Any) -> Any:
        """Return a copy of *value*, the value of a page, in which each text is the result of `text`."""
        kind = type(value)
        if kind is str:
            return self.text(value)
        if kind in _PLAIN:
            return value
        if isinstance(value, str):  # a subclass of str, such as `Markup`: SVG and rendered Markdown are escaped already
            return value
        if kind in (tuple, list):
            return kind(map(self.value, value))
        if isinstance(value, Mapping):
            return {self.text(str(key)): self.value(item) for key, item in value.items()}
        if is_dataclass(value):
            clean = object.__new__(kind)
            vars(clean).update((name, self.value(item)) for name, item in vars(value).items())
            return clean
        return value


_PLAIN = {int, float, bool, type(None), datetime, date}


def _escape(character: str) -> str:
    code = ord(character)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"


def safe_url(url: str) -> str:
    """Return *url* if a page may link to it, else "". Only http, https and mailto are allowed, without credentials.

    >>> safe_url("https://example.org/a"), safe_url("javascript:alert(1)")
    ('https://example.org/a', '')
    """
    try:
        parts = urlsplit(url)
    except ValueError:
        return ""
    is_safe = parts.scheme in _SCHEMES and not _UNSEEN.search(url) and "@" not in parts.netloc
    return url if is_safe else ""
