"""A digest of the code that a step uses. It changes only with code of the project on which the step depends.

A cached step runs again if its digest changed. If gitmodel cannot know the code, the step is not cached.
"""

import gc
import importlib
import subprocess
import sys
import textwrap

import pytest

from gitmodel import Client, step
from gitmodel.pipelines.project import project_code, project_modules
from gitmodel.pipelines.project.project_code import ProjectCode
from gitmodel.pipelines.project.project_modules import UnknownCode, note_loaded_modules

FILES = {
    "flow.py": """
        import functools
        from dataclasses import dataclass
        from functools import cached_property, lru_cache, singledispatch
        from types import SimpleNamespace

        import numpy as np
        import tools.deep.math
        from gitmodel import ModelConfig, pipeline, step
        from plain import helper
        from tools import shapes as forms

        RATE = 0.5
        NAMES = {"b", "a"}
        SETTINGS = SimpleNamespace(rate=0.1, layers=[1, 2])

        @dataclass(frozen=True)
        class Config:
            depth: int = 3

        CONFIG = Config()

        @lru_cache
        def remembered(x):
            return x + 1

        @singledispatch
        def general(x):
            return x

        @general.register
        def _(x: int):
            return x * 2

        class Scaler:
            factor = 7

            @cached_property
            def twice(self):
                return self.factor * 2

        vector = np.vectorize(lambda x: x + 3)
        part = functools.partial(helper, 1)
        TABLE = {"double": lambda x: x * 2}

        @step
        def first(x: int = 1) -> int:
            from lazy import late

            return late(x) + remembered(x) + general(x) + Scaler().twice + CONFIG.depth + TABLE["double"](x)

        @step
        def second(x: int) -> int:
            return x - 1

        @step
        def third(x: int) -> int:
            return second.function(x) + 1

        @pipeline
        def flow(x: int = 1):
            third(second(first(x)))
        """,
    "plain.py": """
        import yet_another
        LIMIT: int = 3

        def helper(x: int, shift: int = LIMIT) -> int:
            return x + shift + yet_another.ONE
        """,
    "yet_another.py": "ONE = 1\n",
    "lazy.py": """
        def late(x):
            return x
        """,
    "tools/__init__.py": "VERSION = 1\n",
    "tools/shapes.py": "SIDES = 4\n",
    "tools/deep/math.py": """
        from .. import shapes
        from ..units import METRE

        AREA = shapes.SIDES
        """,  # tools/deep is a namespace package
    "tools/units.py": "METRE = 1\n",
    "unused.py": "A = 1\n",
}

SEEN_BY_FIRST = {
    "the step": ("flow.py", "return late(x) + ", "return 1 + late(x) + "),
    "its default": ("flow.py", "def first(x: int = 1)", "def first(x: int = 2)"),
    "its annotation": ("flow.py", "def first(x: int = 1) -> int", "def first(x: int = 1) -> float"),
    "an import inside it": ("lazy.py", "return x", "return x + 1"),
    "a cached function": ("flow.py", "return x + 1", "return x + 2"),
    "a generic function": ("flow.py", "return x * 2", "return x * 3"),
    "a cached property": ("flow.py", "self.factor * 2", "self.factor * 3"),
    "an attribute of a class": ("flow.py", "factor = 7", "factor = 8"),
    "a dataclass": ("flow.py", "depth: int = 3", "depth: int = 4"),
    "a namespace": ("flow.py", "rate=0.1", "rate=0.2"),
    "a constant": ("flow.py", "RATE = 0.5", "RATE = 0.6"),
    "a set": ("flow.py", '{"b", "a"}', '{"b", "c"}'),
    "a vectorized function": ("flow.py", "lambda x: x + 3", "lambda x: x + 4"),
    "a function in a table": ("flow.py", "lambda x: x * 2", "lambda x: x * 5"),
    "an imported file": ("plain.py", "return x + shift", "return shift + x"),
    "an annotation of an imported file": ("plain.py", "x: int, shift", "x: float, shift"),
    "a constant of an imported file": ("plain.py", "LIMIT: int = 3", "LIMIT: int = 4"),
    "a file that that imports": ("yet_another.py", "ONE = 1", "ONE = 2"),
    "a package": ("tools/__init__.py", "VERSION = 1", "VERSION = 2"),
    "a module taken from a package": ("tools/shapes.py", "SIDES = 4", "SIDES = 5"),
    "a module of a namespace package": ("tools/deep/math.py", "AREA = shapes.SIDES", "AREA = 2"),
    "a relative import": ("tools/units.py", "METRE = 1", "METRE = 2"),
}
NOT_SEEN_BY_FIRST = {
    "a comment": ("flow.py", "RATE = 0.5", "RATE = 0.5  # half"),
    "formatting": ("flow.py", 'NAMES = {"b", "a"}', 'NAMES = {\n    "b",\n    "a",\n}'),
    "a comment of an imported file": ("plain.py", "LIMIT: int = 3", "LIMIT: int = 3  # three"),
    "another step": ("flow.py", "return x - 1", "return x - 2"),
    "a step that is added": ("flow.py", "@pipeline", "@step\ndef fourth(): ...\n\n@pipeline"),
    "the pipeline": ("flow.py", "third(second(first(x)))", "first(x)"),
    "a file that nothing imports": ("unused.py", "A = 1", "A = 2"),
}


def digest(found):
    return str(ProjectCode().of(found).parts)


@pytest.fixture
def edited(tmp_path, monkeypatch):
    """A function that replaces a text in the project, imports the project again, and returns its module `flow`."""
    monkeypatch.syspath_prepend(str(tmp_path))
    names = [name.removesuffix(".py").removesuffix("/__init__").replace("/", ".") for name in FILES]
    names.append("tools.deep")

    def make(path="", old="", new=""):
        for name, text in FILES.items():
            text = textwrap.dedent(text)
            if name == path:
                assert old in text
                text = text.replace(old, new)
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_text(text)
        forget()
        return importlib.import_module("flow")

    def forget():
        for cached in tmp_path.rglob("*.pyc"):
            cached.unlink()
        for name in names:
            sys.modules.pop(name, None)
        importlib.invalidate_caches()

    yield make
    forget()


@pytest.mark.parametrize("edit", SEEN_BY_FIRST.values(), ids=SEEN_BY_FIRST)
def test_an_edit_of_code_on_which_the_step_depends_changes_its_digest(edited, edit):
    before = digest(edited().first)
    assert digest(edited().first) == before
    assert digest(edited(*edit).first) != before


@pytest.mark.parametrize("edit", NOT_SEEN_BY_FIRST.values(), ids=NOT_SEEN_BY_FIRST)
def test_an_edit_of_other_code_does_not_change_the_digest_of_the_step(edited, edit):
    before = digest(edited().first)
    assert digest(edited(*edit).first) == before


def test_a_step_that_calls_the_function_of_another_step_depends_on_this_function(edited):
    before = digest(edited().third)
    assert digest(edited("flow.py", "return x - 1", "return x - 2").third) != before


def test_a_step_depends_on_a_step_that_an_imported_file_uses(edited):
    use = "def late(x):\n    import flow\n    return flow.second.function(x)\n\ndef unused(x):\n    return x"
    late = ("def late(x):\n    return x", use)
    base = FILES["lazy.py"]
    FILES["lazy.py"] = textwrap.dedent(base).replace(*late)
    try:
        before = digest(edited().first)
        assert digest(edited("flow.py", "return x - 1", "return x - 2").first) != before
    finally:
        FILES["lazy.py"] = base


def test_a_step_with_an_import_by_a_computed_name_depends_on_every_loaded_file(edited, tmp_path):
    dynamic = "import importlib\n\ndef late(x):\n    return importlib.import_module('unu' + 'sed').A\n"
    code = """
import flow, unused
from pathlib import Path
from gitmodel.pipelines.project.project_code import ProjectCode
print(ProjectCode().of(flow.first).parts)
"""
    found = []
    for value in (1, 1, 2):
        edited("lazy.py", textwrap.dedent(FILES["lazy.py"]), dynamic)
        (tmp_path / "unused.py").write_text(f"A = {value}\n")
        environ = {"PYTHONPATH": f"{tmp_path}:{':'.join(sys.path)}", "PATH": "/usr/bin:/bin"}
        done = subprocess.run([sys.executable, "-c", code], env=environ, capture_output=True, text=True, check=True)
        found.append(done.stdout)
    assert found[0] == found[1] != found[2]


def test_a_step_depends_on_a_module_in_namespace_packages_that_are_not_loaded(edited, tmp_path):
    deep = tmp_path / "outer" / "inner" / "deep.py"
    deep.parent.mkdir(parents=True)
    deep.write_text("A = 1\n")
    flow = edited("lazy.py", "    return x\n", "    from outer.inner.deep import A\n\n    return x\n")
    before = digest(flow.first)
    deep.write_text("A = 2\n")
    assert digest(flow.first) != before


def test_a_library_in_namespace_packages_that_are_not_loaded_raises_no_error(edited):
    flow = edited("lazy.py", "    return x\n", "    from azure.storage.blob import BlobClient\n\n    return x\n")
    names = [name for name in sys.modules if name == "azure" or name.startswith("azure.")]
    kept = {name: sys.modules.pop(name) for name in names}
    try:
        assert ProjectCode().of(flow.first)
    finally:
        sys.modules.update(kept)


def test_a_step_is_not_cached_if_its_file_was_edited_after_it_was_imported(edited, tmp_path):
    flow = edited()
    project_modules.note_loaded_modules()
    (tmp_path / "plain.py").write_text("def helper(x):\n    return 0\n")
    with pytest.raises(UnknownCode, match="edited after it was loaded"):
        digest(flow.first)


def test_a_step_depends_on_a_value_that_the_program_sets(edited):
    flow = edited()
    before = digest(flow.first)
    flow.TABLE = {"double": 3}
    flow.CONFIG = flow.Config(depth=9)
    assert digest(flow.first) != before


def test_a_step_depends_on_the_version_of_a_library_that_a_file_imports(edited, monkeypatch):
    flow = edited()
    before, sources = digest(flow.first), ProjectCode().source_digest(flow.first)

    def versions(name, spec):
        return iter([f"{name} 99"])

    monkeypatch.setattr(project_code, "versions_of", versions)
    assert digest(flow.first) != before
    assert ProjectCode().source_digest(flow.first) == sources


def test_the_distribution_of_a_module_is_found_if_their_names_differ():
    project = ProjectCode()
    found = {top: list(project_code.versions_of(top, project.find(top))) for top in ("numpy", "sklearn", "yaml")}
    assert [version.split()[0].lower() for versions in found.values() for version in versions] == [
        "numpy",
        "scikit_learn",
        "pyyaml",
    ]


def test_the_digest_is_the_same_in_every_process(edited, tmp_path):
    found = digest(edited().first)
    code = (
        "import flow; from gitmodel.pipelines.project.project_code import ProjectCode as P; "
        "print(P().of(flow.first).parts)"
    )
    for seed in ("1", "2"):
        environ = {"PYTHONHASHSEED": seed, "PYTHONPATH": f"{tmp_path}:{':'.join(sys.path)}", "PATH": "/usr/bin:/bin"}
        done = subprocess.run([sys.executable, "-c", code], env=environ, capture_output=True, text=True, check=True)
        assert done.stdout.strip() == found


def test_a_step_made_by_a_function_depends_on_the_arguments_of_that_function():
    def make(rate):
        @step
        def fit(x: int) -> float:
            return x * rate

        return fit

    digests = {digest(make(rate)) for rate in (0.1, 0.1, 0.2, [1], {"a": 1})}
    assert len(digests) == 4


def test_a_step_is_not_cached_if_it_uses_a_value_that_cannot_be_compared(code_repo):
    with Client(code_repo) as client:

        @step
        def ask() -> str:
            return str(client.list_models())

        with pytest.raises(UnknownCode, match="client is a Client"):
            digest(ask)


def test_a_virtual_environment_inside_the_project_does_not_belong_to_it(tmp_path):
    from gitmodel.pipelines.project.installed import is_library

    assert is_library(str(tmp_path / ".venv/lib/python3.11/site-packages/numpy/__init__.py"))
    assert not is_library(str(tmp_path / "lib/numpy.py"))


def test_listing_modules_works_while_the_garbage_collector_imports_a_module(monkeypatch):
    def import_one(phase, info):
        monkeypatch.setitem(sys.modules, f"imported_{len(sys.modules)}", sys)

    threshold = gc.get_threshold()
    note_loaded_modules()
    # uses up the tuples that Python has in reserve, so that new tuples allocate memory and start collections
    kept = [(sys, number) for number in range(10_000)]
    gc.freeze()  # makes each collection take only microseconds
    gc.callbacks.append(import_one)
    gc.set_threshold(20)
    try:
        note_loaded_modules()
    finally:
        gc.set_threshold(*threshold)
        gc.callbacks.remove(import_one)
        gc.unfreeze()
        kept.clear()
