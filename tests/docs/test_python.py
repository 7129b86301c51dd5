"""The Python code in the documentation runs, and the Python reference is up to date."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from pages import blocks
from python_reference import PAGE, render

from gitmodel import Client, Model, ModelStages

Git = Callable[..., str]


def test_the_python_reference_is_up_to_date_with_the_docstrings() -> None:
    assert PAGE.read_text(encoding="utf-8") == render(), "run `python tests/docs/python_reference.py`"


def test_the_example_of_the_reference_runs(code_repo: Path) -> None:
    example = blocks("docs/reference/python.md")[0].text
    done = subprocess.run([sys.executable, "-c", example], cwd=code_repo, capture_output=True, encoding="utf-8")
    assert (done.returncode, done.stdout) == (0, "0.97\n"), done.stderr


def test_the_documented_python_calls_run_unchanged(
    code_repo: Path, git: Git, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(code_repo)
    client = Client()
    client.register_model(
        Model(
            name="iris_logistic_regression",
            license="Copyright (c) Example GmbH 2023",
            description="Logistic regression model trained on the iris dataset.",
            tags=["regression", "sklearn", "iris"],
        )
    )
    model = client.get_model(name="iris_logistic_regression")
    for name in (None, "1.2.3", "1.2.4"):
        model.create_version(name)
    model.get_version(1).set_stage(ModelStages.PRODUCTION)

    print(model.versions)
    version = model.get_version(version="1.2.3")
    version.set_stage(stage=ModelStages.PRODUCTION)  # archives the previous holder
    model.versions[-1].set_stage(stage=ModelStages.STAGING)

    assert client.get_model(model_name="iris_logistic_regression") == model
    assert capsys.readouterr().out.count("ModelVersion(") == 3
    assert [found.stage for found in model.versions] == ["archived", "production", "staging"]
    assert model.get_version("latest").number == 3
    assert model.get_version("production").name == "1.2.3"
    assert model.tags == ["iris", "regression", "sklearn"]
    assert git(code_repo, "status", "--porcelain") == ""
    client.close()


def test_entering_an_occupied_stage_archives_its_holder_with_and_without_force(code_repo: Path) -> None:
    with Client(code_repo) as client:
        model = client.register_model("iris")
        for force in (False, True, False):
            version = model.create_version()
            version.set_stage("production", force=force, reason="to see who leaves")
        assert [found.stage for found in model.versions] == ["archived", "archived", "production"]
