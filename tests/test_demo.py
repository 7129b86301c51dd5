"""The demo registry that `git model init --demo` creates: its models, versions, proposals, runs and attachments."""

import shutil
from pathlib import Path

import pytest
from transcripts import ask, fail, succeed

from gitmodel import Client


@pytest.fixture
def client(demo: Path):
    with Client(demo) as opened:
        yield opened


def test_the_demo_has_three_models_with_cards_and_forty_versions(client):
    models = {model.name: model for model in client.list_models()}
    assert {name: model.view.count for name, model in models.items()} == {"churn": 16, "demand": 16, "triage": 8}
    assert all(model.title and model.description and model.owners and model.tags for model in models.values())
    assert "# Members who will cancel" in client.get_version("churn@production").card()


def test_the_demo_is_valid_and_its_artifacts_are_complete(client):
    assert client.check() == []
    assert [found.error for found in client.verify() if found.error] == []


def test_the_demo_trains_models_with_the_same_weights_on_every_machine(client):
    metadata = {"accuracy": 0.8722, "precision": 0.8769, "recall": 0.7917, "rows": 720}
    version = client.get_version("churn@13")
    assert version.metadata == metadata
    assert version.get_artifact("classifier").load() == {"weights": [1.4212, -4.8528, -1.6008, 6.4023]}
    assert version.created.isoformat() == "2025-06-11T02:30:00+00:00"
    assert client.get_version("demand@15").metadata["accuracy"] == 0.8155
    assert client.get_version("triage@8").metadata["accuracy"] == 0.8633


def test_the_history_of_the_demo_has_reasons_a_rollback_and_a_forced_promotion(client):
    events = list(client.history("churn", "production"))
    assert [event.version for event in reversed(events)] == [1, 4, 6, 8, 6, 13]
    assert all(event.reason for event in client.history())
    assert len({event.when.date() for event in client.history()}) > 15
    assert [event.version for event in client.history() if event.forced] == [15]


def test_one_proposal_of_the_demo_passes_its_gates_and_another_fails_a_gate(client):
    verdicts = {one.subject: [problem.rule for problem in one.plan.problems] for one in client.list_proposals()}
    assert verdicts == {"Promote churn 16 to production": [], "Promote triage 8 to production": ["change.gate"]}


def test_the_demo_has_a_failed_run_with_its_error_and_output(client):
    (failed,) = [run for run in client.list_runs() if run.status == "failed"]
    assert failed.pipeline == "train_demand"
    assert "the weights grow without limit" in client.get_logs(failed.id, "fit")[-1].text
    assert len(client.list_runs()) == 41


def test_the_lineage_of_a_version_of_the_demo_contains_the_model_that_it_used(client):
    nodes = {node.id for node in client.lineage("triage@production", down=False).nodes}
    assert client.get_version("churn@13").runs[0] in nodes


def test_the_demo_has_a_picture_a_report_and_a_review(client):
    picture = client.get_version("demand@production").get_artifact("picture")
    assert (picture.format, picture.open().read(8)) == ("png", b"\x89PNG\r\n\x1a\n")
    assert client.get_version("churn@13").get_artifact("report").load().splitlines()[0].split() == ["hit", "57"]
    assert "recall" in client.get_version("churn@13").get_attachment("review").path().read_text(encoding="utf-8")


def test_a_version_of_the_demo_can_be_reproduced_and_a_new_version_can_be_trained(demo, tmp_path, monkeypatch, capsys):
    copy = shutil.copytree(demo, tmp_path / "copy", symlinks=True)
    monkeypatch.chdir(copy)
    succeed(capsys, "reproduce", "churn@13")
    code, out, _ = ask(capsys, "run", "triage.py", "--params", "triage.toml")
    assert (code, out.rpartition(": ")[2]) == (0, "triage@9\n")


def test_a_demo_is_refused_in_a_folder_that_is_not_empty(tmp_path, capsys):
    (tmp_path / "mine.txt").write_text("mine")
    err = fail(capsys, 2, "init", "--demo", str(tmp_path))
    assert "is not an empty folder" in err
    assert "git model init --demo DIR" in err
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]
    assert ask(capsys, "init", "--demo", str(tmp_path / "mine.txt"))[0] == 2


@pytest.mark.parametrize(
    "other", ["--store=file:///tmp/x", "--new", "--from=x", "--ci=github", "--owner=@me", "--force"]
)
def test_init_demo_is_refused_with_an_option_that_sets_up_an_ordinary_registry(tmp_path, capsys, other):
    code, _, err = ask(capsys, "init", "--demo", str(tmp_path / "demo"), other)
    assert (code, f"--demo and {other.partition('=')[0]} cannot be combined" in err) == (2, True)
    assert not (tmp_path / "demo").exists()
