"""If the output of a step cannot be stored, gitmodel keeps the value in a file on the machine where the step ran.

The error names the file, so that an expensive result is not lost.
"""

import os
import re
import stat
from pathlib import Path
from typing import Annotated

import project
import pytest
from project import DEMO, pipeline_of

import gitmodel
from gitmodel import RunFailed, Secret, formats, log_model_metadata, pipeline, step
from gitmodel.branch.runs import run_journal
from gitmodel.domain.schema.digests import digest_of
from gitmodel.formats.catalogue import plugins
from gitmodel.formats.kept_values import keep_value
from gitmodel.pipelines import Materializer
from gitmodel.stores.sources import source_pictures


class Weights:
    """A class for which gitmodel has no format."""

    def __init__(self, numbers, note=""):
        self.numbers = numbers
        self.note = note

    def __reduce__(self):
        if self.note == "cannot be pickled":
            raise TypeError("no")
        return Weights, (self.numbers, self.note)


def failure_of(client, *steps, executor="in-order", **arguments):
    """Run a pipeline that calls each of *steps* with *arguments*, and return the error of the run."""

    @pipeline(model_config=DEMO)
    def failing():
        for one in steps:
            one(**arguments)

    with pytest.raises(RunFailed) as caught:
        failing.run(client=client, executor=executor)
    return caught.value


def loaded(error):
    """Load the kept values with the calls in the hint of *error*, and return them."""
    calls = re.findall(r"gitmodel\.formats\.load\(.*?trusted=True\)", error.hint)
    return [eval(call, {"gitmodel": gitmodel, "pathlib": __import__("pathlib")}) for call in calls]


def kept_files(client):
    return sorted(path for path in client.repository.common_dir.glob("gitmodel/runs/*.kept/*"))


def test_a_value_without_a_format_is_kept(client):
    @step
    def fit() -> Annotated[object, "clf"]:
        return Weights([1, 2])

    error = failure_of(client, fit)
    (file,) = kept_files(client)
    assert f"which gitmodel cannot save; kept: clf in {file}" in error.message
    assert file == client.repository.common_dir / "gitmodel" / "runs" / f"{error.run}.kept" / "clf.pkl"
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    assert [value.numbers for value in loaded(error)] == [[1, 2]]
    # the journal on this machine has the path; the record on the branch does not
    assert f"clf in {file}" in client.get_run(error.run).error
    assert "pkl" not in client.get_run(error.run).record.error


def test_a_value_that_only_cloudpickle_can_save_is_kept(client):
    error = failure_of(client, project.unpicklable)
    assert [value() for value in loaded(error)] == [1]


@pytest.mark.parametrize("where", ["the file system", "the format"])
def test_a_value_is_kept_if_saving_it_raises_an_error(client, monkeypatch, where):
    def save(value, path):
        raise OSError(28, "No space left on device") if where == "the file system" else ValueError("bug")

    monkeypatch.setitem(
        plugins._registered_materializers,
        "weights",
        Materializer("weights", lambda value: isinstance(value, Weights), "weights", save=save, load=Path.read_text),
    )

    @step
    def fit() -> Annotated[Weights, "clf"]:
        return Weights([3])

    error = failure_of(client, fit)
    assert "Weights cannot be saved as weights" in error.message
    assert [value.numbers for value in loaded(error)] == [[3]]


def test_values_without_a_format_are_kept_and_the_other_outputs_of_the_step_are_stored(client, last_run):
    @step
    def fit() -> tuple[Annotated[object, "clf"], Annotated[int, "score"], Annotated[object, "other"]]:
        return Weights([1]), 7, Weights([2])

    error = failure_of(client, fit)
    assert [value.numbers for value in loaded(error)] == [[1], [2]]
    assert [path.name for path in kept_files(client)] == ["clf.pkl", "other.pkl"]
    outputs = last_run().record.steps[0].outputs
    assert list(outputs) == ["score"]
    assert client.store.open(outputs["score"]).read() == b"7\n"


@pytest.mark.parametrize("as_path", [True, False])
def test_a_picture_over_the_size_limit_is_kept_on_this_machine_and_not_stored(client, monkeypatch, tmp_path, as_path):
    monkeypatch.setattr(source_pictures, "LARGEST_PICTURE", 40)
    content = b"\x89PNG\r\n\x1a\n" + bytes(90)

    @step
    def draw() -> Annotated[Path if as_path else bytes, "cm"]:
        (tmp_path / "cm.png").write_bytes(content)
        return tmp_path / "cm.png" if as_path else content

    error = failure_of(client, draw)
    assert "the picture cm has 0 MB, more than the limit of 0 MB; kept: cm in " in error.message
    (kept,) = [tmp_path / "cm.png"] if as_path else kept_files(client)
    assert str(kept) in error.message
    assert kept.read_bytes() == content
    assert digest_of(content) not in set(client.store.digests())


def test_values_are_kept_if_the_step_returns_fewer_values_than_it_declares(client):
    error = failure_of(client, project.fewer)
    assert "declares 2 outputs, but returned 1 outputs; kept: fewer in " in error.message
    assert loaded(error) == [(1,)]


def test_a_value_is_kept_if_the_step_logs_a_secret(client):
    @step
    def fit(token: str) -> Annotated[dict, "clf"]:
        log_model_metadata(note=f"used {token}")
        return {"w": 1}

    error = failure_of(client, fit, token=Secret("correct-horse-battery"))
    assert "the metadata or reason holds the value of a Secret; kept: fit in " in error.message
    assert loaded(error) == [{"w": 1}]


@pytest.mark.parametrize("hidden", ["in plain data", "in an attribute"])
def test_a_value_with_a_secret_is_not_kept(client, written, hidden, monkeypatch, tmp_path):
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(temporary))

    @step
    def fit(token: str) -> Annotated[object, "clf"]:
        return {"token": token} if hidden == "in plain data" else Weights([1], token)

    error = failure_of(client, fit, token=Secret("correct-horse-battery"))
    assert "; kept" not in error.message
    assert kept_files(client) == []
    assert "correct-horse" not in written()
    assert list(temporary.iterdir()) == []


def test_the_error_names_a_value_that_cannot_be_kept_either(client):
    @step
    def fit() -> Annotated[object, "clf"]:
        return Weights([1], "cannot be pickled")

    assert "; no file keeps clf, which cannot be pickled or holds a Secret" in failure_of(client, fit).message


def test_a_value_is_kept_in_the_temporary_folder_if_the_journal_has_no_room(client, monkeypatch, tmp_path):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))

    @step
    def fit() -> Annotated[object, "clf"]:
        (folder,) = client.repository.common_dir.glob("gitmodel/runs/*.jsonl")
        folder.with_suffix(".kept").touch()  # a file in place of the folder of kept values
        return Weights([1])

    error = failure_of(client, fit)
    (file,) = tmp_path.glob("gitmodel-kept-*/clf.pkl")
    assert f"kept: clf in {file}" in error.message
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, MemoryError])
@pytest.mark.parametrize("where", ["saving", "storing"])
def test_values_are_kept_if_storing_them_is_interrupted(client, monkeypatch, caplog, where, error):
    def interrupt(*_, **options):
        raise error

    if where == "saving":
        weights = Materializer(
            "weights", lambda value: isinstance(value, Weights), "w", save=interrupt, load=Path.read_text
        )
        monkeypatch.setitem(plugins._registered_materializers, "weights", weights)
    else:
        monkeypatch.setattr("gitmodel.stores.artifacts.storing.put_path", interrupt)

    @step
    def fit() -> tuple[Annotated[object, "clf"], Annotated[int, "score"]]:
        return Weights([3]) if where == "saving" else {"w": 3}, 7

    with pytest.raises(KeyboardInterrupt if error is KeyboardInterrupt else RunFailed) as caught:
        pipeline_of(fit, model_config=DEMO).run(client=client)
    text = str(caught.value) if error is KeyboardInterrupt else f"{caught.value.message}; {caught.value.hint}"
    calls = re.findall(r"gitmodel\.formats\.load\(.*?trusted=True\)", text)
    values = [eval(call, {"gitmodel": gitmodel, "pathlib": __import__("pathlib")}) for call in calls]
    clf = values[0].numbers[0] if where == "saving" else values[0]["w"]
    files = kept_files(client)
    assert (clf, files[0].stem, f"kept: clf in {files[0]}" in text) == (3, "clf", True)
    # if saving the first output fails, the second output is stored in the store; but not after Ctrl-C
    stored = where == "saving" and error is not KeyboardInterrupt
    assert values[1:] == ([] if stored else [7])
    (run,) = client.list_runs()
    assert run.status == ("cancelled" if error is KeyboardInterrupt else "failed")
    assert str(files[0]) in run.error
    assert str(files[0]) not in run.record.error
    assert error is not KeyboardInterrupt or f"kept: clf in {files[0]}" in caplog.text


def test_a_second_interrupt_while_a_value_is_kept_leaves_no_part_of_a_file(monkeypatch, tmp_path):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))

    class Slow:
        def __reduce__(self):
            raise KeyboardInterrupt

    for folder in (tmp_path / "kept", None):
        with pytest.raises(KeyboardInterrupt):
            keep_value("clf", Slow(), folder, holds_secret=lambda path: False)
        with pytest.raises(KeyboardInterrupt):
            keep_value("clf", {"w": 1}, folder, holds_secret=lambda path: Slow().__reduce__())
        assert list(tmp_path.iterdir()) == []


def test_a_worker_that_is_terminated_while_it_stores_keeps_the_value(client, capfd):
    error = failure_of(client, project.terminated_while_it_is_stored, executor="processes:1")
    (file,) = kept_files(client)
    assert "its worker died" in error.message
    assert f"was interrupted while its outputs were stored; kept: clf in {file}" in capfd.readouterr().err
    assert formats.load(file, "pickle", trusted=True).numbers == [1]


class TestEveryExecutor:
    def test_a_value_that_has_a_format_is_kept_in_this_format_if_the_store_fails(self, client, executor):
        store = client.repository.common_dir / "gitmodel" / "store"
        error = failure_of(client, project.train_while_the_store_breaks, executor=executor, store=str(store))
        store.unlink()
        os.rename(f"{store}.away", store)
        (named,) = re.findall(r"kept.*: weights in (\S+), log in ", error.message)
        assert named.endswith("/weights.json")
        assert formats.load(Path(named), "json") == {"w": [1.5, 2.5]}
        assert loaded(error) == [{"w": [1.5, 2.5]}]
        near = isinstance(executor, str)
        assert (f"/runs/{error.run}.kept/" in named) == near
        assert ("kept on the machine " in error.message) == (not near)
        assert "train.log" in error.message


def test_kept_values_are_deleted_with_the_journal_of_their_run(client, monkeypatch):
    @step
    def fit() -> Annotated[object, "clf"]:
        return Weights([1])

    monkeypatch.setattr(run_journal, "_KEPT", 1)
    first = failure_of(client, fit)
    second = failure_of(client, fit)
    assert {path.parent.name for path in kept_files(client)} == {f"{first.run}.kept", f"{second.run}.kept"}
    third = failure_of(client, fit)
    newest = max(first.run, second.run)  # the ids decide which run is newer if both start in the same second
    assert {path.parent.name for path in kept_files(client)} == {f"{newest}.kept", f"{third.run}.kept"}
