"""Errors that the code of a user raises while gitmodel calls it, with the line that raised them."""

from __future__ import annotations

import os
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from gitmodel.errors import GitModelError, UsageError, message_of
from gitmodel.pipelines.installed import is_library, is_of_gitmodel


@contextmanager
def naming_lines(hide: Callable[[str], str]) -> Iterator[None]:
    """If code that the block calls raises an error, raise UsageError with its file, line and function.

    *hide* replaces secrets in the message. Does not change errors of gitmodel, even unexpected ones.
    """
    try:
        yield
    except GitModelError:
        raise
    except Exception as error:
        frames = traceback.extract_tb(error.__traceback__)
        if is_of_gitmodel(frames[-1].filename):
            raise
        # for an error inside a library, name the line that called the library
        frame = next((one for one in reversed(frames) if not is_library(one.filename)), frames[-1])
        hint = f"the line is: {frame.line}" if frame.line else "correct the code there"
        raise UsageError(
            hide(f"{_place(frame)}: {type(error).__name__}: {message_of(error)}"), hint=hide(hint)
        ) from error


def _place(frame: traceback.FrameSummary) -> str:
    path, folder = Path(frame.filename), Path(os.path.realpath(os.getcwd()))
    shown = path.relative_to(folder) if path.is_relative_to(folder) else path
    return f"{shown}, line {frame.lineno}, in {frame.name}"
