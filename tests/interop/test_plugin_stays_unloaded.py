"""Importing gitmodel does not import its modules for other registries, which need packages of these registries."""

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import rtoml

LOADED = """
import sys
import gitmodel, gitmodel.cli.commands, gitmodel.pipelines
import gitmodel.client.handles.models_and_versions
print([name for name in sys.modules if name.split(".")[0] == "mlflow" or name.startswith("gitmodel.interop")])
"""


def test_gitmodel_loads_no_module_of_interop() -> None:
    found = subprocess.run([sys.executable, "-c", LOADED], capture_output=True, text=True, check=True).stdout
    assert found.strip() == "[]"


def test_the_entry_points_for_mlflow_name_modules_of_the_plug_in() -> None:
    project = rtoml.load(Path(__file__).parents[2] / "pyproject.toml")["project"]
    points = project["entry-points"]
    for group, module in (("model_registry_store", "store"), ("artifact_repository", "artifacts")):
        name, _, attribute = points[f"mlflow.{group}"]["gitmodel"].partition(":")
        found = find_spec(name)
        assert name == f"gitmodel.interop.mlflow_plugin.{module}"
        assert found is not None
        assert found.origin is not None
        assert f"class {attribute}(" in Path(found.origin).read_text()
