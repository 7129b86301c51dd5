"""Ids of git objects as a type, so that mypy distinguishes them from names, paths and digests. Pure."""

from __future__ import annotations

from typing import NewType, TypeGuard

# The id of a commit, tree, blob or tag: 40 hexadecimal digits, or 64 in a code repository that uses SHA-256.
Oid = NewType("Oid", str)

# git's id for "no object".
NO_OBJECT = Oid("0" * 40)

_HEX = frozenset("0123456789abcdef")


def is_oid(text: str) -> TypeGuard[Oid]:
    """Return True if *text* is a full object id of a registry, whose repository always uses SHA-1.

    >>> is_oid("9fceb02d0ae598e95dc970b74767f19372d61af8"), is_oid("")
    (True, False)
    """
    return len(text) == 40 and _HEX.issuperset(text)


def is_code_oid(text: str) -> TypeGuard[Oid]:
    """Return True if *text* is a full object id of a code repository, which may use SHA-256.

    >>> is_code_oid("9fceb02d0ae598e95dc970b74767f19372d61af8"), is_code_oid("0" * 64), is_code_oid("0" * 41)
    (True, True, False)
    """
    return len(text) in (40, 64) and _HEX.issuperset(text)
