"""Text of a registry as pages show it: hostile text stays text, and nothing private is shown. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from datetime import date, datetime
from typing import Any
from urllib.parse import urlsplit

# Controls except tab and line break; characters that change the direction of text or are invisible.
_HIDDEN = (
    r"\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff\ufff9-\ufffb"
    "\ud800-\udfff"
)
_UNSEEN = re.compile(f"[{_HIDDEN}]")
_CREDENTIALS = re.compile(r"(?<=://)[^/\s@]*@")
# In angle brackets also without a dot: git makes <ada@laptop> from the names of the user and the machine.
_ADDRESS = re.compile(
    r"""<[^<>\s@]{1,64}@[^<>\s@]{1,255}>|<?(?:\b[\w.+%'-]{1,64}|"[^"\n]{1,64}")@[\w-]{1,63}(?:\.[\w-]{1,63})+\b>?"""
)
_SUSPICIOUS = re.compile(f"[@{_HIDDEN}]")
_SCHEMES = ("http", "https", "mailto")


class TextRules:
    """The rules for the text of a site: with *public*, e-mail addresses are left out.

    *private* are paths of this machine, which are never shown.
    """

    def __init__(self, *, public: bool = False, private: tuple[str, ...] = ()) -> None:
        self._public = public
        self._private = tuple(path for path in private if len(path) > 1)

    def text(self, text: str) -> str:
        r"""Return *text* without credentials in URLs, with controls and characters that change direction as escapes.

        >>> TextRules(public=True).text("a\u202eb of Ada <ada@example.com>, https://ada:pw@example.com/x")
        'a\\u202eb of Ada, https://example.com/x'
        """
        if self._private and "/" in text:
            for path in self._private:
                text = text.replace(path, "...")
        if not _SUSPICIOUS.search(text):
            return text
        text = _CREDENTIALS.sub("", text)
        if self._public:
            text = _ADDRESS.sub("", text).replace(" ,", ",").strip()
        return _UNSEEN.sub(lambda found: _escape(found[0]), text)

    def value(self, value: Any) -> Any:
        """Return *value*, the value of a page, with all its text as `text` returns it."""
        kind = type(value)
        if kind is str:
            return self.text(value)
        if kind in _PLAIN:
            return value
        if isinstance(value, str):  # SVG and rendered Markdown are escaped already
            return value
        if kind in (tuple, list):
            return kind(map(self.value, value))
        if isinstance(value, Mapping):
            return {self.text(str(key)): self.value(item) for key, item in value.items()}
        if is_dataclass(value):
            clean = object.__new__(kind)
            for field in fields(value):
                object.__setattr__(clean, field.name, self.value(getattr(value, field.name)))
            return clean
        return value


_PLAIN = {int, float, bool, type(None), datetime, date}


def _escape(character: str) -> str:
    code = ord(character)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"


def safe_url(url: str) -> str:
    """Return *url* if a link to it is safe, else "".

    >>> safe_url("https://example.org/a"), safe_url("javascript:alert(1)")
    ('https://example.org/a', '')
    """
    try:
        parts = urlsplit(url)
    except ValueError:
        return ""
    is_safe = parts.scheme in _SCHEMES and not _UNSEEN.search(url) and "@" not in parts.netloc
    return url if is_safe else ""
