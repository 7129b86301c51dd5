"""Errors that the body of a pipeline raises. Commands report them with the line of the user's code."""

from __future__ import annotations

import os
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from gitmodel.domain.secrets.secret_values import Secret, SecretValues, collecting_secrets
from gitmodel.errors import GitModelError, UsageError, message_of
from gitmodel.pipelines.definition import Pipeline
from gitmodel.pipelines.project.installed import is_library, is_of_gitmodel


@contextmanager
def naming_lines(parameters: Mapping[str, Any]) -> Iterator[None]:
    """If the body of a pipeline, which the block calls, raises an error, raise UsageError with the file and line.

    The message hides Secrets in *parameters* and Secrets that the body makes. Errors of gitmodel, and errors that the
    block raises outside of the body, pass unchanged.
    """
    made: list[Secret] = []
    try:
        with collecting_secrets(made):
            yield
    except GitModelError:
        raise
    except Exception as error:
        frames = traceback.extract_tb(error.__traceback__)
        codes = [frame.f_code for frame, _ in traceback.walk_tb(error.__traceback__)]
        if Pipeline.job.__code__ not in codes or is_of_gitmodel(frames[-1].filename):
            raise
        # If a library raised the error, this is the line of the user's code that called the library.
        frame = next((one for one in reversed(frames) if not is_library(one.filename)), frames[-1])
        secrets = SecretValues([value for value in (*parameters.values(), *made) if isinstance(value, Secret)])
        hint = f"the line is: {frame.line}" if frame.line else "correct the code there"
        message = f"{_place(frame)}: {type(error).__name__}: {message_of(error)}"
        raise UsageError(secrets.hide(message), hint=secrets.hide(hint)) from error


def _place(frame: traceback.FrameSummary) -> str:
    path, folder = Path(frame.filename), Path(os.path.realpath(os.getcwd()))
    shown = path.relative_to(folder) if path.is_relative_to(folder) else path
    return f"{shown}, line {frame.lineno}, in {frame.name}"
