"""Reading registries on Windows. The tests run on Linux, in a Python without POSIX: `windows_prelude.py` removes the
functions and modules that Python lacks on Windows.
"""

import subprocess
import sys
from pathlib import Path

import pytest
from editing import refs_unchanged

PRELUDE = Path(__file__).with_name("windows_prelude.py")
IMPORTS = """
import importlib, pkgutil, gitmodel
for found in pkgutil.walk_packages(gitmodel.__path__, "gitmodel."):
    if not found.name.startswith(("gitmodel.demo.project", "gitmodel.interop.mlflow_plugin.")):
        importlib.import_module(found.name)
"""
SERVICE = """
import sys
from gitmodel import Client
with Client(sys.argv[3]) as client:
    version = client.get_version("flowers@production")
    print(version.reference)
    print(version.get_artifact("classifier").download("got").read_bytes())
"""


def run(folder, *arguments):
    return subprocess.run([sys.executable, PRELUDE, *arguments], cwd=folder, capture_output=True, text=True)


@pytest.fixture
def registry(code_repo, client, tmp_path):
    """A registry with a version in production, whose artifacts are in a store that readers by URL can reach."""
    client.add_store("shared", (tmp_path / "shared").as_uri())
    model = client.register_model("flowers")
    client.use_store("flowers", "shared")
    (tmp_path / "classifier").write_bytes(b"bytes\r\n")
    version = model.create_version(model_objects={"classifier": tmp_path / "classifier"}, metadata={"accuracy": 0.97})
    version.set_stage("production", reason="first")
    return code_repo


def test_every_module_of_gitmodel_can_be_imported_in_a_python_without_posix(tmp_path):
    done = run(tmp_path, "-c", IMPORTS)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("at", ["path", "URL"])
@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ("list", "production 1"),
        ("show flowers", "the latest is 1"),
        ("show flowers@production", "0.97"),
        ("resolve flowers@production", "flowers@1\n"),
        ("version list flowers", "production"),
        ("history flowers production", "first"),
    ],
)
def test_commands_read_a_registry_in_a_python_without_posix(at, command, expected, registry):
    done = run(registry, "--repo", registry.as_uri() if at == "URL" else str(registry), *command.split())
    assert (done.returncode, expected in done.stdout) == (0, True)


@pytest.mark.parametrize("at", ["path", "URL"])
def test_an_artifact_is_downloaded_unchanged_in_a_python_without_posix(at, registry, tmp_path):
    where = registry.as_uri() if at == "URL" else str(registry)
    done = run(registry, "--repo", where, "get", "flowers@production", "classifier", "-o", str(tmp_path / "out"))
    assert done.returncode == 0
    assert (tmp_path / "out").read_bytes() == b"bytes\r\n"


def test_a_client_reads_a_registry_by_url_in_a_python_without_posix(registry):
    done = run(registry, "-c", SERVICE, registry.as_uri())
    assert (done.returncode, done.stdout, done.stderr) == (0, "flowers@1\nb'bytes\\r\\n'\n", "")


@pytest.mark.parametrize("command", ["register other", "promote flowers@1 staging --leave --reason x"])
def test_commands_that_write_to_a_clone_are_refused_on_windows_with_advice(command, registry):
    with refs_unchanged(registry):
        done = run(registry, *command.split())
        assert (done.returncode, done.stdout) == (7, "")
        assert "error: gitmodel does not write to a repository on Windows" in done.stderr
        assert "WSL" in done.stderr
