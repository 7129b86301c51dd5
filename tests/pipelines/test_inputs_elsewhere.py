"""Steps take artifacts that stay where they are, and those of models with a store of their own."""

from pathlib import Path

import pytest

from gitmodel import ExternalArtifact, ModelConfig, pipeline, step
from gitmodel.domain.digests import digest_of
from gitmodel.errors import Conflict
from gitmodel.pipelines import RunFailed
from gitmodel.storage.local_store import LocalStore


def of_demo(name):
    return ExternalArtifact(model="demo", version=1, name=name)


@step(enable_cache=False)
def read(raw: str, own: str) -> str:
    return f"{raw.strip()} and {own.strip()}"


@pipeline
def join():
    read(
        raw=ExternalArtifact(model="demo", version=1, name="raw"),
        own=ExternalArtifact(model="demo", version=1, name="own"),
    )


@pytest.fixture
def demo(client, tmp_path):
    """A version with a file that is outside, and one in the model's own store."""
    client.add_store("archive", (tmp_path / "archive").as_uri())
    version = client.register_model("demo").create_version()
    client.use_store("demo", "archive")
    (tmp_path / "own.txt").write_text("own\n")
    version.link_artifact("own", tmp_path / "own.txt")
    (tmp_path / "raw.txt").write_text("raw\n")
    version.link_external("raw", tmp_path / "raw.txt")
    return version


@pytest.mark.parametrize("executor", ["in-order", "processes:2"])
def test_a_step_reads_what_is_elsewhere(client, demo, executor):
    run = join.run(client=client, executor=executor)
    (digest,) = run.steps[0].outputs.values()
    with client.store.open(digest) as reader:
        assert reader.read() == b"raw and own"


def test_what_changed_outside_is_noticed_by_the_step(client, demo, tmp_path):
    (tmp_path / "raw.txt").write_text("new\n")
    with pytest.raises(RunFailed, match="is not what was linked"):
        join.run(client=client)


@step
def given() -> str:
    return "given"


@step(enable_cache=False)
def clean(text: str, store: str) -> int:
    if store:
        LocalStore(Path(store)).remove(digest_of(b"given"))
    return len(text)


@pipeline(model_config=ModelConfig(name="demo", create_new_model_version=True))
def reuse(store: str = ""):
    clean(given(), store)


def test_a_run_names_nothing_that_was_cleaned_up_while_it_was_under_way(client):
    reuse.run(client=client)
    with pytest.raises(Conflict, match="what step given returned earlier was removed"):
        reuse.run(client=client, store=str(client.store_root))
    assert [found.number for found in client.get_model("demo").versions] == [1]
