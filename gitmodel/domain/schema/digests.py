"""Digests, by which stores find the bytes of artifacts: `sha256:` and a SHA-256. Pure."""

from __future__ import annotations

import re

from gitmodel.errors import Invalid

Digest = str
"""`sha256:` and 64 lowercase hex digits: one content, one spelling."""

PREFIX = "sha256:"
_DIGEST = r"sha256:[0-9a-f]{64}"
_OBJECT = r"sha256/([0-9a-f]{2})/([0-9a-f]{62})"


def parse_digest(text: str) -> Digest:
    """Return *text* if it is a digest. Otherwise raise Invalid, which shows at most its first 80 characters.

    >>> parse_digest("sha256:" + "0" * 64) == "sha256:" + "0" * 64
    True
    >>> parse_digest("md5:1234")
    Traceback (most recent call last):
    ...
    gitmodel.errors.Invalid: 'md5:1234' is not a digest: it must be sha256: and 64 lowercase hex digits
    """
    if not re.fullmatch(_DIGEST, text):
        shown = ascii(text if len(text) <= 80 else text[:77] + "...")
        raise Invalid(f"{shown} is not a digest: it must be sha256: and 64 lowercase hex digits")
    return text


def hex_of(digest: Digest) -> str:
    """Return the 64 hex digits of *digest*, without the name of the hash.

    >>> hex_of("sha256:" + "ab" * 32) == "ab" * 32
    True
    """
    return parse_digest(digest)[len(PREFIX) :]


def object_path(digest: Digest) -> str:
    """Return the path of the object *digest* in a store.

    >>> object_path("sha256:" + "ab" * 32)[:15]
    'sha256/ab/ababa'
    """
    digits = hex_of(digest)
    return f"sha256/{digits[:2]}/{digits[2:]}"


def digest_at(path: str) -> Digest | None:
    """Return the digest of the object at *path* in a store; None if no object can have this path.

    >>> digest_at("sha256/ab/" + "ab" * 31) == "sha256:" + "ab" * 32, digest_at("sha256/ab/.tmp")
    (True, None)
    """
    match = re.fullmatch(_OBJECT, path)
    return PREFIX + match[1] + match[2] if match else None


def digest_of(content: bytes) -> Digest:
    """Return the digest of *content*.

    >>> digest_of(b"")
    'sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855'
    """
    return PREFIX + sha256(content)


def sha256(content: bytes) -> str:
    """Return the SHA-256 of *content*, as 64 lowercase hex digits.

    >>> sha256(b"")[:8]
    'e3b0c442'
    """
    import hashlib  # imported here: it loads OpenSSL, which takes 2 ms, and many commands compute no hash

    return hashlib.sha256(content).hexdigest()
