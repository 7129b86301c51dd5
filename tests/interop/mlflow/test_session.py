"""The nox session `mlflow` has a working MLflow."""

import pytest

pytest.importorskip("mlflow.version")

REGISTER = """
import sys
import mlflow

client = mlflow.MlflowClient(sys.argv[1])
client.create_registered_model("iris")
client.create_model_version("iris", "file:///nowhere")
print([version.version for version in client.search_model_versions("name='iris'")][0])
"""


def test_mlflow_registers_a_version_in_sqlite(mlflow_script, tmp_path):
    assert mlflow_script(REGISTER, f"sqlite:///{tmp_path}/mlflow.db").strip() == "1"
    assert (tmp_path / "mlflow.db").exists()
