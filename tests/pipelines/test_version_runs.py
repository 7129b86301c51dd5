"""Runs on an existing version: `version runs` lists them, and `get` and steps find their outputs by name."""

import json
from pathlib import Path
from typing import Annotated

import editing
import pytest
from project import DEMO, pipeline_of

from gitmodel import ExternalArtifact, ModelConfig, NotFound, Refused, UsageError, pipeline, step
from gitmodel.cli import run


@step
def make(x: int) -> Annotated[int, "made"]:
    return x


@step
def use(x: int) -> Annotated[int, "used"]:
    return x + 1


train = pipeline_of(lambda x: use(make(x)), model_config=DEMO, enable_cache=False)


read = pipeline_of(lambda: use("demo@1:made"))


work_on = pipeline_of(lambda: use("demo@1:made"), model_config=ModelConfig(name="demo", version=1))


def listed(capsys, *words):
    assert run(["version", "runs", *words, "--format", "json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_a_run_that_only_read_a_version_is_listed_with_it(client, capsys):
    made, other = train.run(client=client, x=3), train.run(client=client, x=40)
    reader, worker = read.run(client=client), work_on.run(client=client)
    rows = listed(capsys, "demo@1")
    assert [(row["id"], row["only_read"]) for row in rows] == [
        (made.id, False),
        (worker.id, False),
        (reader.id, True),
    ]
    version = client.get_version("demo@1")
    assert (version.runs, version.readers) == ([made.id, worker.id], [reader.id])
    assert [row["id"] for row in listed(capsys, "demo@2")] == [other.id]
    assert [row["id"] for row in listed(capsys, "demo@1", "--filter", "only_read")] == [reader.id]


def test_a_run_that_created_equal_bytes_is_not_listed_as_a_reader_of_the_version(client):
    train.run(client=client, x=3)
    train.run(client=client, x=3)
    assert [client.get_version(f"demo@{number}").readers for number in (1, 2)] == [[], []]


@step
def score(x: int) -> tuple[Annotated[dict, "scores"], Annotated[Path, "report"]]:
    folder = Path("report")
    folder.mkdir(exist_ok=True)
    (folder / "a.txt").write_text(str(x))
    return {"score": x}, folder


evaluate = pipeline_of(lambda x: score(x), model_config=ModelConfig(name="demo", version=1), enable_cache=False)


def artifacts(capsys, *words):
    assert run([*words, "--format", "json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_outputs_of_a_run_on_an_existing_version_are_listed_and_fetched_by_name(client, capsys, tmp_path):
    train.run(client=client, x=3)
    done = evaluate.run(client=client, x=7)
    version = client.get_version("demo@1")
    assert [(found.name, found.run) for found in version.artifacts] == [("made", None), ("used", None)]
    assert [(found.name, found.run) for found in version.outputs] == [("report", done.id), ("scores", done.id)]
    found = version.get_artifact("scores")
    assert (found.load(), found.run, found.kind, found.format) == ({"score": 7}, done.id, "data", "json")
    assert (version.get_artifact("report").path() / "a.txt").read_text() == "7"
    rows = artifacts(capsys, "version", "artifacts", "demo@1")
    assert [(row["name"], row["run"], row["step"]) for row in rows] == [
        ("made", None, "make"),
        ("used", None, "use"),
        ("report", done.id, "score"),
        ("scores", done.id, "score"),
    ]
    assert [
        row["name"] for row in artifacts(capsys, "version", "artifacts", "demo@1", "--filter", f'run == "{done.id}"')
    ]
    assert run(["get", "demo@1", "scores", "-o", str(tmp_path / "scores.json")]) == 0
    assert json.loads((tmp_path / "scores.json").read_text()) == {"score": 7}
    assert run(["get", "demo@1", "report", "--file", "a.txt", "-o", str(tmp_path / "a.txt")]) == 0
    assert (tmp_path / "a.txt").read_text() == "7"
    capsys.readouterr()
    assert run(["version", "artifacts", "demo@1"]) == 0
    assert done.id in capsys.readouterr().out


def test_an_output_of_two_runs_is_refused_unless_the_run_is_named(client, capsys, tmp_path):
    train.run(client=client, x=3)
    first, second = evaluate.run(client=client, x=7), evaluate.run(client=client, x=8)
    version = client.get_version("demo@1")
    with pytest.raises(UsageError, match=f"{first.id}, {second.id}") as caught:
        version.get_artifact("scores")
    assert f"git model get demo@1 scores --run {second.id}" in caught.value.hint
    assert version.get_artifact("scores", run=first.id).load() == {"score": 7}
    assert run(["get", "demo@1", "scores", "-o", str(tmp_path / "scores")]) == 2
    assert first.id in capsys.readouterr().err
    assert run(["get", "demo@1", "scores", "--run", first.id, "-o", str(tmp_path / "scores")]) == 0
    assert json.loads((tmp_path / "scores").read_text()) == {"score": 7}
    assert run(["get", "demo@1", "--run", first.id]) == 2
    assert "report, scores" in capsys.readouterr().err
    assert run(["get", "demo@1", "other", "--run", first.id]) == 3
    assert run(["get", "demo@1", "scores", "--run", "nothing"]) == 3
    assert f"the runs with outputs: {first.id}, {second.id}" in capsys.readouterr().err


def test_equal_outputs_of_two_runs_are_found_without_naming_the_run(client):
    train.run(client=client, x=3)
    evaluate.run(client=client, x=7)
    evaluate.run(client=client, x=7)
    assert client.get_version("demo@1").get_artifact("scores").load() == {"score": 7}


def test_an_artifact_of_the_version_is_not_hidden_by_an_output_of_a_run(client):
    train.run(client=client, x=3)
    done = pipeline_of(lambda: make(5), model_config=ModelConfig(name="demo", version=1)).run(client=client)
    version = client.get_version("demo@1")
    assert (version.get_artifact("made").load(), version.get_artifact("made", run=done.id).load()) == (3, 5)


def test_each_version_of_a_run_on_two_versions_has_its_own_output(client):
    two = step(name="score_two", model_config=ModelConfig(name="demo", version=2))(score.function)

    train.run(client=client, x=3)
    train.run(client=client, x=4)
    pipeline_of(lambda: (score(1), two(2)), model_config=ModelConfig(name="demo", version=1)).run(client=client)
    found = [client.get_version(f"demo@{number}").get_artifact("scores").load() for number in (1, 2)]
    assert found == [{"score": 1}, {"score": 2}]


def test_outputs_are_found_after_the_model_was_renamed(client):
    train.run(client=client, x=3)
    evaluate.run(client=client, x=7)
    client.update_model("demo", new_name="other")
    assert client.get_version("other@1").get_artifact("scores").load() == {"score": 7}


def test_outputs_of_a_run_whose_record_is_too_long_are_found(client):
    @step
    def write(x: int, note: str) -> Annotated[int, "written"]:
        return x

    @pipeline(model_config=ModelConfig(name="demo", version=1))
    def long():
        for x in range(8):
            write(x, "n" * 10_000)

    train.run(client=client, x=3)
    done = long.run(client=client)
    assert client.get_run(done.id).record.details is not None
    assert client.get_version("demo@1").get_artifact("write_8-written").load() == 7


def test_metadata_of_an_output_of_a_run_is_refused(client):
    train.run(client=client, x=3)
    evaluate.run(client=client, x=7)
    with pytest.raises(Refused, match="is an output of run"):
        client.get_version("demo@1").get_artifact("scores").log_metadata(a=1)


def test_a_run_on_an_existing_version_raises_the_format_version_of_the_registry(client):
    client.register_model("demo").create_version()
    editing.begin_at_format(client.repository.common_dir, "1.0")
    evaluate.run(client=client, x=7)
    assert client.repository.snapshot().registry().format == "1.2"


def test_an_output_name_that_two_steps_of_a_run_use_is_found_only_with_the_step(client):
    again = step(name="again")(score.function)

    both = pipeline_of(lambda: (score(1), again(2)), model_config=ModelConfig(name="demo", version=1))
    train.run(client=client, x=3)
    done = both.run(client=client)
    version = client.get_version("demo@1")
    for chosen in (None, done.id):
        with pytest.raises(UsageError, match=f"run {done.id} on demo@1 made 2 outputs scores") as caught:
            version.get_artifact("scores", run=chosen)
        assert caught.value.hint == "name one of: score.scores, again.scores"
    assert version.get_artifact("again.scores").load() == {"score": 2}


def test_the_error_for_an_unknown_artifact_lists_the_outputs_of_runs(client):
    train.run(client=client, x=3)
    evaluate.run(client=client, x=7)
    with pytest.raises(NotFound, match=r"demo@1 has no artifact 'score'") as caught:
        client.get_version("demo@1").get_artifact("score")
    assert caught.value.hint == ("did you mean scores? its artifacts: made, used; outputs of its runs: report, scores")


@step
def compare(scores: dict, other: dict) -> Annotated[list, "compared"]:
    return [scores, other]


def test_a_step_takes_an_output_of_a_run_by_name_as_get_does(client):
    train.run(client=client, x=3)
    first = evaluate.run(client=client, x=7)

    by_name = pipeline_of(lambda: compare("demo@1:scores", "demo@latest:score.scores"), name="by_name")
    reader = by_name.run(client=client)
    (digest,) = reader.steps[0].outputs.values()
    with client.store.open(digest) as content:
        assert json.load(content) == [{"score": 7}, {"score": 7}]
    assert client.get_version("demo@1").readers == [reader.id]
    second = evaluate.run(client=client, x=8)
    with pytest.raises(UsageError, match=f"{first.id}, {second.id}") as caught:
        by_name.run(client=client)
    chosen = f'ExternalArtifact("demo", "scores", 1, run="{second.id}")'
    assert chosen in caught.value.hint

    by_run = pipeline_of(lambda: compare(eval(chosen), ExternalArtifact("demo", "scores", run=first.id)), name="by_run")
    (digest,) = by_run.run(client=client).steps[0].outputs.values()
    with client.store.open(digest) as content:
        assert json.load(content) == [{"score": 8}, {"score": 7}]


def test_an_input_that_names_neither_artifact_nor_output_lists_the_available_ones(client):
    train.run(client=client, x=3)
    evaluate.run(client=client, x=7)

    wrong = pipeline_of(lambda: use("demo@1:scored"), name="wrong")
    with pytest.raises(NotFound) as caught:
        wrong.run(client=client)
    assert "scores" in f"{caught.value} {caught.value.hint}"

    wrong_run = pipeline_of(lambda: use(ExternalArtifact("demo", "scores", 1, run="nothing")), name="wrong_run")
    with pytest.raises(NotFound, match="no outputs of a run 'nothing'"):
        wrong_run.run(client=client)
