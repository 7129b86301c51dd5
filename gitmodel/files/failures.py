"""Failures of the file system as errors of gitmodel."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gitmodel.errors import Unreachable

_REMEDIES = {
    errno.EACCES: "give this user the right to write there",
    errno.EPERM: "give this user the right to write there",
    errno.EROFS: "name a place that can be written",
    errno.ENOTDIR: "move away what is in its place",
    errno.EISDIR: "move away what is in its place",
}


@contextmanager
def writing(path: Path, *, outcome: str = "", or_else: str = "") -> Iterator[None]:
    """If the block raises OSError, raise Unreachable instead, with a message that *path* cannot be written.

    The hint names a remedy for the error. It begins with *outcome*, such as "nothing was changed", and ends with
    *or_else*, another remedy, unless they are "".
    """
    try:
        yield
    except OSError as error:
        remedy = _REMEDIES.get(error.errno or 0, "free space on the disk or repair it")
        hint = f"{outcome}; {remedy}" if outcome else remedy
        hint = f"{hint}, or {or_else}" if or_else else f"{hint}, then try again"
        raise Unreachable(f"{path} cannot be written: {error.strerror or error}", hint=hint) from error
