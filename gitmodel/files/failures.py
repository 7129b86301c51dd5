"""Failures of the file system as errors of gitmodel."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gitmodel.errors import Unreachable

FREE_SPACE = "free space on the disk or repair it, then try again"


@contextmanager
def writing(path: Path, hint: str = FREE_SPACE) -> Iterator[None]:
    """Convert an OSError in the block to Unreachable, with the message that *path* cannot be written."""
    try:
        yield
    except OSError as error:
        raise Unreachable(f"{path} cannot be written: {error.strerror or error}", hint=hint) from error
