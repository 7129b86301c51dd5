"""`git model import --from gto` from a repository that the real GTO tagged. The result must agree with GTO."""

import json
import re
import subprocess
import sys
from datetime import datetime
from pathlib import Path

import pytest
from imports import import_from
from transcripts import check_transcript

from gitmodel import Client
from gitmodel.interop.foreign_names import original_name
from gitmodel.interop.import_plan import Choices

pytest.importorskip("gto.tag")
MAKE = Path(__file__).with_name("tag_artifacts.py")
PAGE = (Path(__file__).parents[3] / "docs/explanation/coming-from-gto.md").read_text(encoding="utf-8")
WORDS = {"prod": "production", "dev": "development"}


@pytest.fixture
def source(tmp_path):
    """The folder of a repository that GTO tagged, and what GTO says about its versions and stages."""
    folder = tmp_path / "gto"
    folder.mkdir()
    done = subprocess.run([sys.executable, str(MAKE)], cwd=folder, capture_output=True, text=True)
    assert not done.returncode, done.stderr
    return folder, json.loads(done.stdout)


def run_import(folder, client):
    return import_from("gto", folder, client, Choices(words=WORDS), with_artifacts=True)


def test_every_field_of_the_models_and_versions_in_the_source_is_imported(source, monkeypatch):
    folder, said = source
    monkeypatch.chdir(folder)
    with Client() as client:
        client.add_stage("development")
        run_import(folder, client)
        models = {original_name(model.name, model.title): model for model in client.list_models()}
        assert sorted(models) == ["churn", "nlp:mood"]
        for name, versions in said["versions"].items():
            compare_model(versions, said["models"][name]["stage"], models[name])
        assert models["churn"].record.description == "Who leaves"
        assert models["churn"].record.metadata["tags"]["labels"] == "tabular, eu"
        again = run_import(folder, client)
        assert [(model.versions, model.known) for model in again.models] == [(0, 4), (0, 2)]
        assert client.check() == []


def compare_model(said, stages, model):
    found = {version.view.record.name: version for version in model.versions}
    assert sorted(found) == sorted(version["version"] for version in said)
    for expected in said:
        record = found[expected["version"]].view.record
        registered = expected["registrations"][0]
        assert record.imported.created == datetime.fromisoformat(registered["created_at"])
        assert record.imported.author == registered["author"]
        assert record.code.commit == expected["commit_hexsha"]
        content = found[expected["version"]].get_artifact("model").open().read()
        assert content
    holders = {WORDS.get(stage, stage): version for stage, version in stages.items() if version}
    numbers = {state.name: state.in_force for state in model.stages}
    assert numbers == {stage: found[version].number for stage, version in holders.items()}


def test_the_page_shows_what_the_commands_print(source, monkeypatch, capsys):
    folder, _ = source
    monkeypatch.chdir(folder)
    for block in re.findall(r"```console\n(.*?)```", PAGE, re.DOTALL):
        check_transcript(capsys, re.sub(r"^\.\.\.$", "! ...", block, flags=re.MULTILINE))
