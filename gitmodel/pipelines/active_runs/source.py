"""The file that defines a pipeline in the code repository. `git model reproduce` runs the pipeline from this file."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gitmodel.formats.script_names import SCRIPTS
from gitmodel.frozen import Frozen
from gitmodel.pipelines.workers.step_modules import script_of

if TYPE_CHECKING:
    from gitmodel.client import Client


class Source(Frozen):
    """The file that defines a pipeline, and the name of its module if the module was imported.

    *script* is the path of the file from the top of the code repository. Both are None for a pipeline in a notebook, at
    a prompt or outside of the code repository.
    """

    script: str | None = None
    module: str | None = None


NOWHERE = Source()


def find_source(function: Callable[..., Any], client: Client) -> Source:
    """Return the file and module of *function* in the code repository of *client*."""
    code, file = client.find_code(), find_file(function)
    if file is None or code is None or not code.worktree or not file.is_relative_to(code.git.top):
        return NOWHERE
    module, script = script_of(inspect.unwrap(function).__module__)
    return Source(file.relative_to(code.git.top).as_posix(), None if script or module in SCRIPTS else module)


def find_file(function: Callable[..., Any]) -> Path | None:
    """Return the file that defines *function*; None if *function* was defined at a prompt or in a notebook."""
    file = Path(inspect.unwrap(function).__code__.co_filename)
    return file.resolve() if file.is_file() else None
