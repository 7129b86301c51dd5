"""The public modules: `dir` and `help` show exactly the public names with examples, and importing a name of ZenML
raises an error that names the equivalent of gitmodel.
"""

import inspect
import pydoc
import re
import subprocess
import sys

import pytest
from expected_errors import error_with_hint

import gitmodel
from gitmodel import formats, pipelines
from gitmodel.client import values
from gitmodel.client.script_runs.run_version import RunVersion
from gitmodel.client.script_runs.script_run import ScriptRun

MODULES = [gitmodel, formats, pipelines]


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.__name__)
def test_dir_shows_exactly_the_public_names(module):
    more = {"__version__", "formats", "pipelines"} if module is gitmodel else set()
    assert dir(module) == sorted({*module.__all__, *more})
    assert all(hasattr(module, name) for name in dir(module))


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.__name__)
def test_help_of_a_public_module_begins_with_a_line_for_each_public_name(module):
    listed = re.findall(r"^    (\w+)  +\S", module.__doc__, re.MULTILINE)
    assert sorted(listed) == sorted(module.__all__)
    assert max(map(len, module.__doc__.splitlines())) < 100


@pytest.mark.parametrize("module", [*MODULES, values], ids=lambda module: module.__name__)
def test_help_describes_the_public_module_and_each_of_its_public_names(module):
    pydoc.render_doc(module)
    for name in getattr(module, "__all__", [name for name in dir(module) if not name.startswith("_")]):
        assert name in pydoc.plain(pydoc.render_doc(getattr(module, name)))


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.__name__)
def test_every_public_function_and_class_that_a_user_calls_has_an_example(module):
    # Users do not create objects of these classes, but get them from calls. The reference page has examples.
    returned = {"Format", "Materializer", "Pipeline", "Run", "Step", "StepContext"}
    for name in set(module.__all__) - returned:
        found = getattr(module, name)
        is_error = inspect.isclass(found) and issubclass(found, Exception)
        assert is_error or ">>>" in (inspect.getdoc(found) or ""), f"the docstring of {name} has no example"


@pytest.mark.parametrize(
    "cls", [gitmodel.Client, gitmodel.Model, gitmodel.ModelVersion, gitmodel.Artifact, ScriptRun, RunVersion]
)
def test_help_of_a_class_shows_no_method_or_property_as_inherited(cls):
    assert {name for name in dir(cls) if not name.startswith("_")} <= set(vars(cls))  # `help` looks there


@pytest.mark.parametrize("name", sorted(gitmodel._OTHER_NAMES))
def test_the_error_for_importing_a_name_of_zenml_shows_the_name_in_gitmodel(name):
    assert name not in dir(gitmodel)
    assert not hasattr(gitmodel, name)
    assert getattr(gitmodel, name, None) is None
    with pytest.raises(AttributeError, match=f"gitmodel has no {name}: "):
        getattr(gitmodel, name)
    with pytest.raises(ImportError, match=f"gitmodel has no {name}: ") as caught:
        exec(f"from gitmodel import {name}")
    named = re.findall(r"\b([A-Z]\w+|\w+_\w+)\(", str(caught.value))
    classes = (gitmodel.Client, gitmodel.ModelVersion, gitmodel.Artifact, ScriptRun)
    assert set(named) <= {*gitmodel.__all__, *(name for cls in classes for name in dir(cls))}


@pytest.mark.parametrize(
    ("call", "form"),
    [
        (lambda: gitmodel.ModelVersion("iris", "1"), 'Client().get_version("demo@3")'),
        (lambda: gitmodel.ModelVersion(name="iris", version="1"), 'ModelConfig(name="demo", version="3")'),
        (lambda: gitmodel.ModelVersion(), "Client().get_version"),
        (lambda: gitmodel.Artifact("clf"), 'get_artifact("NAME")'),
        (lambda: gitmodel.Artifact(name="clf"), 'ArtifactConfig(name="NAME")'),
    ],
)
def test_the_error_for_creating_a_handle_directly_shows_the_call_that_returns_a_handle(call, form):
    with error_with_hint(gitmodel.UsageError, "is not created by its class", form):
        call()


def test_importing_a_name_that_zenml_lacks_too_raises_the_ordinary_import_error():
    assert not hasattr(gitmodel, "other")
    with pytest.raises(ImportError, match="cannot import name 'other'"):
        exec("from gitmodel import other")


def test_importing_a_public_name_while_its_module_is_being_imported_raises_an_import_error(monkeypatch):
    monkeypatch.delattr(pipelines, "step")  # as in a circular import
    assert not hasattr(gitmodel, "step")
    with pytest.raises(ImportError, match="cannot import name 'step'"):
        exec("from gitmodel import step")


def test_the_types_of_tables_outputs_and_stores_can_be_imported_for_annotations():
    tables = {"HistoryTable", "ModelTable", "RunTable", "VersionDiff", "VersionTable"}
    others = {"ArtifactStore", "Cell", "ComparedVersion", "Host", "Outputs", "RunOutput", "Setting"}
    assert tables | others <= set(dir(values))


def test_the_public_modules_are_attributes_of_the_package_and_dir_does_not_import_them():
    code = (
        "import sys, gitmodel; dir(gitmodel); gitmodel.__doc__;"
        "assert [name for name in sys.modules if name.startswith('gitmodel.')] == ['gitmodel.version'], sys.modules;"
        "gitmodel.formats.register_format, gitmodel.pipelines.Materializer"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
