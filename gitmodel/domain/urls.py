"""Rules for the URL of a store or of an external artifact. Pure: strings in, strings out."""

from __future__ import annotations

import re
import sys

# Names of secrets in signed URLs and in URLs for store clients. An endpoint, region or profile is no secret.
_SECRET = re.compile(
    r"(x-amz-(signature|credential|security-token)|x-goog-(signature|credential)|awsaccesskeyid|googleaccessid|signature"
    r"|sig|token|access_?token|sas(_?token)?|key|secret|access_?key(_?id)?|secret_?access_?key|account_?key|api_?key"
    r"|session_?token|password|passwd|pwd|user|username|connection_?string)",
    re.IGNORECASE,
)
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):(?://)?")


def scheme_of(url: str) -> str:
    """Return the scheme of *url* in lower case; "" for a path.

    >>> scheme_of("S3://bucket/key"), scheme_of("/srv/models")
    ('s3', '')
    """
    match = _SCHEME.match(url)
    return match[1].lower() if match else ""


def holds_credentials(url: str) -> bool:
    """Return True if *url* holds a user, a password, a key, a token or a signature.

    >>> holds_credentials("s3://key:secret@bucket/models"), holds_credentials("https://example.com/raw.csv?sig=abc")
    (True, True)
    >>> holds_credentials("s3://bucket/models@2026"), holds_credentials("/srv/a@b")
    (False, False)
    """
    scheme = _SCHEME.match(url)
    rest = url[scheme.end() :] if scheme else url
    netloc = re.split(r"[/?#]", rest, maxsplit=1)[0]
    if (scheme or not url.startswith("/")) and "@" in netloc and not _is_address(url, netloc):
        return True
    query = rest.partition("?")[2].partition("#")[0] if scheme else ""
    names = (part.partition("=")[0] for part in re.split("[&;]", query))
    return any(_SECRET.fullmatch(name) for name in names)


def is_local(url: str) -> bool:
    """Return True if *url* is a path or a `file:` URL, for which gitmodel needs no credentials.

    >>> is_local("/srv/models"), is_local("file:///srv/models"), is_local("s3://bucket/models")
    (True, True, False)
    """
    return scheme_of(url) in ("", "file")


def is_web(uri: str) -> bool:
    """Return True if *uri* is read from a web server."""
    return scheme_of(uri) in ("http", "https")


def place_of(url: str) -> str:
    """Return the part of *url* that a user trusts as a whole: the host, bucket or container, ending in `/`.

    >>> place_of("https://Data.example.com:443/raw.csv"), place_of("s3://bucket/key")
    ('https://data.example.com/', 's3://bucket/')
    """
    scheme, _, rest = _normal(url).partition("://")
    return f"{scheme}://{re.split('[/?#]', rest, maxsplit=1)[0]}/"


def covers(entry: str, url: str) -> bool:
    """Return True if the trusted URL *entry* is *url*, or ends in `/` and *url* is below it.

    >>> covers("s3://ours/", "s3://ours/models"), covers("s3://ours/", "s3://ours-not/models")
    (True, False)
    >>> covers("https://example.com", "HTTPS://EXAMPLE.com:443/raw.csv"), covers("https://example.com/", "http://example.com/")
    (True, False)
    >>> covers("https://example.com/ours/", "https://example.com/ours/../theirs/raw.csv")
    False
    """
    entry, url = _normal(entry), _normal(url)
    if url.rstrip("/") == entry.rstrip("/"):
        return True
    if not entry.endswith("/") or not url.startswith(entry):
        return False
    from urllib.parse import unquote

    return entry == place_of(url) or ".." not in re.split(r"[/\\?#]", unquote(url[len(entry) :]))


def _normal(url: str) -> str:
    """Normalize *url* to compare it: a web address gets a lower-case scheme and host, no default port, and a path."""
    scheme, separator, rest = url.partition("://")
    if scheme.lower() not in ("http", "https"):
        return url
    host = re.split("[/?#]", rest, maxsplit=1)[0]
    tail = rest[len(host) :]
    port = ":443" if scheme.lower() == "https" else ":80"
    return f"{scheme.lower()}{separator}{host.lower().removesuffix(port)}{tail if tail[:1] == '/' else f'/{tail}'}"


def path_of(quoted: str) -> str:
    """Decode the *quoted* path of a `file:` URL with the encoding of file names, so that functions of `os` accept it.

    >>> path_of("/srv/our%20models")
    '/srv/our models'
    """
    from urllib.parse import unquote  # imported here: most commands open no store

    return unquote(quoted, encoding=sys.getfilesystemencoding(), errors="surrogateescape")


def shown_url(url: str) -> str:
    """Return *url* for a message, or another text if it contains credentials.

    >>> shown_url("s3://id:secret@bucket/models")
    '(a URL that holds credentials)'
    """
    return "(a URL that holds credentials)" if holds_credentials(url) else url


def _is_address(url: str, netloc: str) -> bool:
    """Return True if the part of *netloc* before `@` is a user or container without password: `sftp://ada@host/`."""
    return (
        scheme_of(url) in ("sftp", "ssh", "abfs", "abfss")
        and ":" not in netloc.rpartition("@")[0]
        and bool(netloc.rpartition("@")[2])
    )
