"""The commands of the page "Coming from MLflow" print what the page shows, for the registry that its script creates."""

import re
from pathlib import Path

import pytest
from transcripts import check_transcript

pytest.importorskip("mlflow.version")

PAGE = (Path(__file__).parents[3] / "docs/explanation/coming-from-mlflow.md").read_text(encoding="utf-8")


def test_the_page_shows_what_the_commands_print(mlflow_script, code_repo, monkeypatch, capsys):
    monkeypatch.chdir(code_repo)
    (script,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    mlflow_script(script, folder=code_repo)
    for block in re.findall(r"```console\n(.*?)```", PAGE, re.DOTALL):
        shown = re.sub(r"^\.\.\.$", "! ...", block, flags=re.MULTILINE)
        check_transcript(capsys, shown)
