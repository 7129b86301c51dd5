"""A cached step that a notebook defines depends on the cells that define the names that it uses.

If gitmodel cannot find or compare this code, the step is never cached.
"""

import linecache

import pytest

from gitmodel.pipelines.project.project_code import ProjectCode
from gitmodel.pipelines.project.project_modules import UnknownCode


def notebook(*cells):
    """Run *cells* as a notebook does, each as a source of its own, and return the module."""
    space = {"__name__": "__main__"}
    for number, cell in enumerate(cells):
        name = f"<cell {number}>"
        linecache.cache[name] = (len(cell), None, cell.splitlines(keepends=True), name)
        exec(compile(cell, name, "exec"), space)
    return space


CELLS = (
    "from gitmodel import step, pipeline\nimport json",
    "RATE = 0.1\ndef helper(x):\n    return x * RATE",
    "class Scaler:\n    def shift(self, x):\n        return x + 1",
    "@step\ndef fit(x: int = 1) -> float:\n    return Scaler().shift(helper(x))\n\n"
    "@step\ndef other() -> int:\n    return 1",
)


@pytest.mark.parametrize(
    ("old", "new", "changes"),
    [
        ("return x * RATE", "return RATE * x", True),
        ("RATE = 0.1", "RATE = 0.2", True),
        ("return x + 1", "return x + 2", True),
        ("def fit(x: int = 1) -> float", "def fit(x: int = 2) -> float", True),
        ("def other() -> int:\n    return 1", "def other() -> int:\n    return 2", False),
        ("import json", "import json  # unused", False),
    ],
)
def test_a_step_in_a_notebook_depends_on_the_cells_that_define_the_names_it_uses(old, new, changes):
    before = ProjectCode().of(notebook(*CELLS)["fit"]).parts
    assert ProjectCode().of(notebook(*CELLS)["fit"]).parts == before
    after = ProjectCode().of(notebook(*(cell.replace(old, new) for cell in CELLS))["fit"]).parts
    assert (after != before) is changes


@pytest.mark.parametrize(
    "cells",
    [
        (*CELLS[:1], "import threading\nlock = threading.Lock()", "@step\ndef fit() -> int:\n    return bool(lock)"),
        (*CELLS[:1], "class Bag:\n    pass\nbag = Bag()", "@step\ndef fit() -> int:\n    return bool(bag)"),
    ],
)
def test_a_step_in_a_notebook_is_not_cached_if_it_uses_a_global_that_cannot_be_compared(cells):
    with pytest.raises(UnknownCode):
        ProjectCode().of(notebook(*cells)["fit"])


def test_a_step_without_source_is_not_cached():
    space = {"__name__": "__main__"}
    exec("from gitmodel import step\n@step\ndef fit() -> int:\n    return 1", space)
    with pytest.raises(UnknownCode):
        ProjectCode().of(space["fit"])
