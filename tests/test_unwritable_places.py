"""The hints of errors for files and folders that gitmodel cannot write."""

import errno
import os
from pathlib import Path

import pytest

from gitmodel.errors import Unreachable
from gitmodel.files.failures import writing


@pytest.mark.parametrize(
    ("number", "hint"),
    [
        (errno.EACCES, "the site is as before; give this user the right to write there, then try again"),
        (errno.ENOTDIR, "the site is as before; move away what is in its place, then try again"),
        (errno.ENOSPC, "the site is as before; free space on the disk or repair it, then try again"),
    ],
)
def test_the_hint_depends_on_the_reason_why_a_file_cannot_be_written(number: int, hint: str) -> None:
    with (
        pytest.raises(Unreachable, match=r"^site cannot be written: ") as caught,
        writing(Path("site"), outcome="the site is as before"),
    ):
        raise OSError(number, os.strerror(number))
    assert caught.value.hint == hint
