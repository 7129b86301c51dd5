"""A step depends on data that a module of the project read before the step started.

Such data are values of environment variables and contents of files. The step runs again if they changed.
"""

import importlib
import os
import sys
import textwrap
from dataclasses import dataclass, field

import pytest
from project import pipeline_of

from gitmodel.pipelines.project.project_code import ProjectCode
from gitmodel.pipelines.project.project_modules import UnknownCode
from gitmodel.pipelines.project.value_text import describe_value, spell_value

STEPS = """

@step
def use() -> float:
    return VALUE

@step
def other() -> float:
    return 1.0
"""


@pytest.fixture
def project(code_repo, monkeypatch):
    """A function that writes *files*, and a module with the code *setup* and the step `use`, which returns *value*.

    It imports this module again, and returns it.
    """
    monkeypatch.chdir(code_repo)
    monkeypatch.syspath_prepend(str(code_repo))

    def load(setup, value, **files):
        for name, text in files.items():
            (code_repo / name.replace("_", ".")).write_text(textwrap.dedent(text))
        text = f"import os\nfrom gitmodel import step\n{textwrap.dedent(setup)}" + STEPS.replace("VALUE", value)
        (code_repo / "flow.py").write_text(text)
        forget()
        return importlib.import_module("flow")

    def forget():
        for name in ("flow", "reader", "plugin"):
            sys.modules.pop(name, None)
        importlib.invalidate_caches()

    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    yield load
    forget()


def code_of(step):
    return str(ProjectCode(os.getcwd()).of(step).parts)


FROM_ENVIRONMENT = {
    "an attribute of a class": ("class Config:\n    rate = float(os.environ['X'])", "Config.rate"),
    "an instance": (
        "class Config:\n    def __init__(self):\n        self.rate = float(os.environ['X'])\nconfig = Config()",
        "config.rate",
    ),
    "a dataclass with slots": (
        "from dataclasses import dataclass\n@dataclass(slots=True)\nclass Config:\n    rate: float\n"
        "config = Config(float(os.environ['X']))",
        "config.rate",
    ),
    "a default of a function": ("def rate(x=float(os.environ['X'])):\n    return x", "rate()"),
    "a closure": ("def make():\n    x = float(os.environ['X'])\n    return lambda: x\nrate = make()", "rate()"),
    "a cached function": (
        "from functools import lru_cache\n@lru_cache\ndef rate(x=float(os.environ['X'])):\n    return x",
        "rate()",
    ),
    "a partial": ("from functools import partial\nrate = partial(float, os.environ['X'])", "rate()"),
    "an enumeration": ("import enum\nclass Rate(enum.Enum):\n    A = float(os.environ['X'])\nA = Rate.A", "A.value"),
    "a path": ("from pathlib import Path\nROOT = Path(os.environ['X'])", "float(ROOT.name)"),
    "a date": ("from datetime import date\nDAY = date(2026, 1, int(os.environ['X']))", "float(DAY.day)"),
    "a decimal": ("from decimal import Decimal\nRATE = Decimal(os.environ['X'])", "float(RATE)"),
    "a scalar of NumPy": ("import numpy as np\nRATE = np.float32(os.environ['X'])", "float(RATE)"),
    "an array": ("import numpy as np\nRATES = np.array([float(os.environ['X'])])", "float(RATES[0])"),
    "a view of a dict": (
        "from types import MappingProxyType\nCONFIG = MappingProxyType({'x': float(os.environ['X'])})",
        "CONFIG['x']",
    ),
}


@pytest.mark.parametrize(("setup", "value"), FROM_ENVIRONMENT.values(), ids=FROM_ENVIRONMENT)
@pytest.mark.parametrize("place", ["flow", "reader"])
def test_a_step_depends_on_a_value_from_the_environment(project, monkeypatch, setup, value, place):
    found = []
    for text in ("1", "1", "2"):
        monkeypatch.setenv("X", text)
        if place == "flow":
            module = project(setup, value)
        else:
            module = project("import reader", "len(vars(reader))", reader_py=f"import os\n{setup}")
        found.append(code_of(module.use))
    assert found[0] == found[1] != found[2]


FROM_FILES = {
    "a frame": ("import pandas\nDATA = pandas.read_csv('data.csv')", "float(DATA.x.sum())"),
    "a parser of settings": (
        "import configparser\nparser = configparser.ConfigParser(allow_no_value=True)\n"
        "with open('data.csv') as file:\n    parser.read_string('[x]\\n' + file.read())",
        "len(parser)",
    ),
    "a global that a function sets": (
        "import pandas\nDATA = None\n"
        "def prepare():\n    global DATA\n    DATA = pandas.read_csv('data.csv')\nprepare()",
        "float(DATA.x.sum())",
    ),
    "text that is parsed": (
        "from pathlib import Path\nimport re\nPATTERN = re.compile(Path('data.csv').read_text())",
        "float(PATTERN.match('x') is None)",
    ),
    "a file that is optional": (
        "import pandas\ntry:\n    DATA = pandas.read_csv('local.csv')\nexcept OSError:\n"
        "    DATA = pandas.read_csv('data.csv')",
        "float(DATA.x.sum())",
    ),
    "the files of a folder": (
        "import glob, pandas\nDATA = pandas.concat(map(pandas.read_csv, glob.glob('*.csv')))",
        "float(DATA.x.sum())",
    ),
}


@pytest.mark.parametrize(("setup", "value"), FROM_FILES.values(), ids=FROM_FILES)
def test_a_step_depends_on_a_file_that_a_module_read_during_import(project, code_repo, setup, value):
    (code_repo / "data.csv").write_text("x\n")
    first = project(setup, value)
    digest, of_other = code_of(first.use), code_of(first.other)
    assert code_of(project(setup, value).use) == digest
    (code_repo / ("local.csv" if "local" in setup else "new.csv" if "glob." in setup else "data.csv")).write_text(
        "x\n\n"
    )
    again = project(setup, value)
    assert code_of(again.use) != digest
    assert code_of(again.other) == of_other


def test_a_step_depends_on_the_plain_values_that_a_module_read_from_a_file(project, code_repo):
    (code_repo / "config.json").write_text('{"x": 1, "y": 1}')
    setup = "import json\nwith open('config.json') as file:\n    CONFIG = json.load(file)\nRATE = CONFIG['x']\n"
    first = project(setup, "RATE")
    found = code_of(first.use), code_of(first.other)
    (code_repo / "config.json").write_text('{"x": 2, "y": 1}')
    again = project(setup, "RATE")
    assert code_of(again.use) != found[0]
    assert code_of(again.other) == found[1]


def test_a_step_is_not_cached_if_a_file_was_edited_after_its_module_read_it(project, code_repo):
    (code_repo / "data.csv").write_text("x\n1\n")
    module = project("import pandas\nDATA = pandas.read_csv('data.csv')", "float(DATA.x.sum())")
    (code_repo / "data.csv").write_text("x\n1\n2\n")
    with pytest.raises(UnknownCode, match=r"data\.csv was edited after it was read"):
        code_of(module.use)


@pytest.mark.parametrize(
    "setup",
    ["from reader import found", "import reader", "found = None", "from reader import KNOWN"],
)
def test_a_step_depends_on_the_module_of_a_function_that_a_value_contains(project, setup):
    reader = "KNOWN = {}\ndef found():\n    return KNOWN['found']()\n"
    digests = []
    for text in ("return 1", "return 1", "return 2"):
        module = project(
            setup,
            setup.split()[-1 if "found =" not in setup else 0],
            reader_py=reader,
            plugin_py=f"def one():\n    {text}\n",
        )
        importlib.import_module("reader").KNOWN["found"] = importlib.import_module("plugin").one
        if setup == "found = None":
            module.found = sys.modules["plugin"].one
        digests.append(code_of(module.use))
    assert digests[0] == digests[1] != digests[2]


LOADERS = {
    "a cache": "from functools import lru_cache\n@lru_cache\n"
    "def load():\n    return float(Path('data.txt').read_text())\n",
    "a global": "KEPT = None\ndef load():\n    global KEPT\n    if KEPT is None:\n"
    "        KEPT = iter([float(Path('data.txt').read_text())] * 9)\n    return next(KEPT)\n",
    "a property": "from functools import cached_property\nclass Data:\n    @cached_property\n    def value(self):\n"
    "        return float(Path('data.txt').read_text())\nDATA = Data()\ndef load():\n    return DATA.value\n",
}


@pytest.mark.parametrize("loader", LOADERS.values(), ids=LOADERS)
def test_a_step_runs_again_after_a_change_of_a_file_that_an_earlier_step_read_for_both_steps(
    client, project, code_repo, loader
):
    (code_repo / "data.txt").write_text("1")
    setup = "from reader import load\n@step\ndef before() -> float:\n    return load()"
    module = project(setup, "load()", reader_py=f"from pathlib import Path\n{loader}")

    one = pipeline_of(lambda: (module.before(), module.use(after="before")), model_config=None)

    def statuses():
        return [found.status for found in one.run(client=client).steps]

    statuses()
    # The second run runs the steps again, because the data that the first run read is now a value of the module.
    statuses()
    assert statuses() == ["cached"] * 2
    (code_repo / "data.txt").write_text("2")
    assert statuses() == ["succeeded"] * 2


@dataclass
class Node:
    name: str
    parent: "Node | None" = None
    children: list["Node"] = field(default_factory=list)


def test_a_value_whose_parts_refer_to_each_other_many_times_is_described_quickly():
    def tree(name):
        root = Node("root")
        root.children = [Node(name, root) for _ in range(50)]
        return root

    assert spell_value(tree("a")) == spell_value(tree("a")) != spell_value(tree("b"))
    shared = [1]
    for _ in range(18):
        shared = [shared, shared]
    assert len(describe_value(shared).text) < 500
