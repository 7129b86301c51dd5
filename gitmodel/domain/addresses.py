"""URLs of registries: recognizing them, and removing secrets before they are shown or stored. Pure."""

from __future__ import annotations

import re
from dataclasses import field

from gitmodel.errors import UsageError
from gitmodel.frozen import Frozen

# Compiled when first used: most commands never see a URL.
_SCHEME = r"([A-Za-z][A-Za-z0-9+.-]*):(?://|:)"
_SCP = r"(?:[^/:@\s]+@)?[^/:@\s]+:."
_CREDENTIALS = r"(?i)^([a-z][a-z0-9+.-]*://)[^/]*@"
_WEB = r"(?i)https?://(?:[^/]*@)?(?P<host>\[[0-9a-f:.]+\]|[^/:@\[\]]+)(?::[0-9]*)?(?:/[^?#]*)?"
_LOGIN = r"(?i)^((?:git\+)?ssh(?:\+git)?://[^/:@]+)(?::[^/@]*)?@"
# The parameters of a query that hold a secret, such as `private_token` or `X-Amz-Signature`.
_SECRET_IN_QUERY = (
    r"(?i)([?&;][a-z0-9_.-]{0,40}(?:token|secret|passw(?:or)?d|pwd|key|sig|signature|credential|auth)=)[^&;#\s'\"]+"
)
_SCHEMES = ("https", "http", "ssh", "git+ssh", "ssh+git", "git", "file")


class Address(Frozen):
    """The URL of a registry. *url* is for git and may contain credentials, which gitmodel never shows or stores.

    >>> Address.parse("https://ada:secret@git.example.org/models.git")
    Address(shown='https://git.example.org/models.git')
    """

    url: str = field(repr=False)
    shown: str

    @classmethod
    def parse(cls, text: str) -> Address:
        """Parse a URL, or `user@host:path` of ssh. Raises UsageError, whose message does not show possible secrets."""
        scheme = re.match(_SCHEME, text)
        if not text.isprintable() or text.startswith("-"):
            raise UsageError("the registry's URL contains characters that a URL cannot have", hint=_EXAMPLE)
        if scheme is None:
            if not re.match(_SCP, text):
                raise UsageError("the registry is not a URL", hint=_EXAMPLE)
            return cls(text, hide_credentials(text))
        name = scheme[1].lower()
        if name not in _SCHEMES or "://" not in scheme[0]:
            raise UsageError(f"a registry cannot be reached by {name}:", hint=f"{_EXAMPLE}; ssh: and file: work too")
        if name in ("http", "https") and not re.fullmatch(_WEB, text):
            raise UsageError("the registry's URL cannot be read", hint=f"{_EXAMPLE}, without a query")
        return cls(text, hide_credentials(without_credentials(text)))

    @property
    def has_secret(self) -> bool:
        """True if the URL may contain a password or token. The user name of an ssh URL is not secret.

        >>> Address.parse("https://token@example.org/x").has_secret, Address.parse("ssh://git@example.org/x").has_secret
        (True, False)
        """
        return self.url not in (self.shown, self._known_as)

    @property
    def key(self) -> str:
        """The cache key: 64 hex digits, from the URL without possible passwords and tokens.

        The user of an ssh URL is included, because hosts show different repositories to different users.

        >>> Address.parse("https://ada:secret@example.org/x").key == Address.parse("https://example.org/x").key
        True
        >>> Address.parse("ssh://ada@example.org/x").key == Address.parse("ssh://bob@example.org/x").key
        False
        """
        import hashlib  # imported here: it loads OpenSSL, which takes 2 ms

        return hashlib.sha256(self._known_as.encode("utf-8", "surrogateescape")).hexdigest()

    @property
    def _known_as(self) -> str:
        login = re.match(_LOGIN, self.url)
        return f"{login[1]}@{self.url[login.end() :]}" if login else self.shown

    def __str__(self) -> str:
        return self.shown


class Terms(Frozen):
    """The limits for the use of a registry by URL.

    Reads may use a cache that is at most *max_age* seconds old; if *offline* is True, of any age. If other people push
    at the same time, gitmodel retries a write for up to *timeout* seconds.
    """

    max_age: float = 0.0
    offline: bool = False
    timeout: float = 60.0


def is_url(text: str) -> bool:
    """Return True if *text* is a URL rather than a path.

    >>> is_url("https://git.example.org/models"), is_url("git@example.org:models.git"), is_url("../models")
    (True, True, False)
    """
    return ":" in text and bool(re.match(_SCHEME, text) or re.match(_SCP, text))


def without_credentials(url: str) -> str:
    """Return *url* without user name and password.

    >>> without_credentials("https://ada:secret@example.com/iris.git")
    'https://example.com/iris.git'
    >>> without_credentials("https://ada:s@cret@example.com/iris.git")
    'https://example.com/iris.git'
    >>> without_credentials("git@example.com:iris.git")
    'git@example.com:iris.git'
    """
    return re.sub(_CREDENTIALS, r"\1", url)


def hide_credentials(text: str) -> str:
    """Return *text*, such as git's output, without user names, passwords and tokens in its URLs.

    >>> hide_credentials("fatal: unable to access 'https://ada:p@w@example.com/x?private_token=abc'")
    "fatal: unable to access 'https://example.com/x?private_token=***'"
    >>> hide_credentials("ada:secret@example.com:iris.git"), hide_credentials("git@example.com:iris.git")
    ('example.com:iris.git', 'git@example.com:iris.git')
    """
    if "@" in text:
        text = re.sub(r"([A-Za-z][A-Za-z0-9+.-]{0,40}://)[^/\s'\"]*@", r"\1", text)
        text = re.sub(r"(?<![^\s'\"(])[^\s@/:'\"]*:[^\s/'\"]*@(?=[A-Za-z0-9.-]+:)", "", text)
    if "=" in text:
        text = re.sub(_SECRET_IN_QUERY, r"\1***", text)
    return text


_EXAMPLE = "write it as https://git.example.org/team/models.git"
