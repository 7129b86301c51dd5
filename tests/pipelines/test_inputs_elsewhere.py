"""Steps with external artifacts as inputs, and models whose artifacts are in a store of their own.

The tests also cover `store gc` during a run.
"""

import os
from dataclasses import replace
from pathlib import Path

import pytest
from project import DEMO, pipeline_of
from web_pages import serving

from gitmodel import Client, ExternalArtifact, ModelConfig, step
from gitmodel.domain.changes.planned_change import Change
from gitmodel.domain.schema import codec
from gitmodel.domain.schema.digests import digest_of
from gitmodel.domain.schema.records import ArtifactLink
from gitmodel.domain.schema.references import VersionRef
from gitmodel.errors import Conflict, Refused
from gitmodel.pipelines import RunFailed
from gitmodel.registry.linked_artifacts import linking
from gitmodel.registry.writing.transacting import transact
from gitmodel.stores.local_store import LocalStore


@step(enable_cache=False)
def read(raw: str, own: str) -> str:
    return f"{raw.strip()} and {own.strip()}"


join = pipeline_of(lambda: read(ExternalArtifact("demo", "raw", 1), ExternalArtifact("demo", "own", 1)))


@pytest.fixture
def demo(client, tmp_path):
    """The version demo@1, which links an external file, and has a file in the store of its model."""
    client.add_store("archive", (tmp_path / "archive").as_uri())
    version = client.register_model("demo").create_version()
    client.use_store("demo", "archive")
    (tmp_path / "own.txt").write_text("own\n")
    version.link_artifact("own", tmp_path / "own.txt")
    (tmp_path / "raw.txt").write_text("raw\n")
    version.link_external("raw", tmp_path / "raw.txt")
    return version


@pytest.mark.parametrize("executor", ["in-order", "processes:2"])
def test_a_step_reads_external_artifacts(client, demo, executor):
    run = join.run(client=client, executor=executor)
    (digest,) = run.steps[0].outputs.values()
    with client.store.open(digest) as reader:
        assert reader.read() == b"raw and own"


def test_a_step_detects_a_changed_external_file(client, demo, tmp_path):
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


reuse = pipeline_of(lambda store="": clean(given(), store), model_config=DEMO)


def test_a_run_fails_if_gc_deletes_its_cached_outputs_during_the_run(client):
    reuse.run(client=client)
    with pytest.raises(Conflict, match="a cached output of step given was removed"):
        reuse.run(client=client, store=str(client.store_root))
    assert [found.number for found in client.get_model("demo").versions] == [1]


@step(enable_cache=False)
def fresh() -> str:
    return "fresh"


@step(enable_cache=False)
def look(text: str, remove: bool) -> int:
    with Client() as client:
        if remove:
            client.store.remove(digest_of(b"fresh"))
        for path in client.store_root.glob("sha256/*/*"):
            os.utime(path, (0, 0))
        return len(client.find_garbage().objects)


uncached = pipeline_of(lambda remove=False: look(fresh(), remove), model_config=DEMO)


def test_gc_keeps_new_outputs_of_an_active_run(client):
    run = uncached.run(client=client)
    (digest,) = run.steps[1].outputs.values()
    with client.store.open(digest) as reader:
        assert reader.read() == b"0\n"
    client.store.remove(digest_of(b"fresh"))
    with pytest.raises(Conflict, match="an output of step fresh was removed"):
        uncached.run(client=client, remove=True)
    assert [found.number for found in client.get_model("demo").versions] == [1]


@step
def produce(text: str) -> str:
    return text


@step
def extend(text: str) -> str:
    return f"{text}!"


give_to_demo = pipeline_of(lambda text="made": extend(produce(text)), model_config=DEMO)


give_to_fresh = pipeline_of(
    lambda: extend(produce("made")), model_config=ModelConfig(name="fresh", create_new_model_version=True)
)


@pytest.mark.parametrize("executor", ["in-order", "processes:2"])
def test_a_run_stores_artifacts_of_a_model_in_the_store_of_this_model(client, demo, tmp_path, executor):
    run = give_to_demo.run(client=client, executor=executor)
    made = {digest_of(b"made"), digest_of(b"made!")}
    archive, default = LocalStore(tmp_path / "archive"), client.access.open()
    assert made <= set(archive.digests())
    assert not made & set(default.digests())
    artifact = client.get_version("demo@latest").get_artifact("extend")
    assert (artifact.load(), artifact.digest) == ("made!", digest_of(b"made!"))
    assert not any(found.error for found in client.verify())
    # the second run takes the cached outputs from the store of the model
    again = give_to_demo.run(client=client, executor=executor)
    assert [step.status for step in again.steps] == ["cached", "cached"]
    assert run.steps[0].outputs == again.steps[0].outputs


def test_artifacts_of_a_new_model_go_to_the_default_store(client, demo, tmp_path):
    give_to_fresh.run(client=client)
    assert digest_of(b"made!") in set(client.access.open().digests())
    assert digest_of(b"made!") not in set(LocalStore(tmp_path / "archive").digests())


def test_an_untrusted_store_of_the_model_is_an_error_before_the_first_step(client, demo):
    def elsewhere(snapshot):
        record = replace(snapshot.registry(), stores={"archive": "sftp://files.test/srv/models"})
        return Change(None, "Name another store", files={"gitmodel.toml": codec.encode(record)})

    transact(client.repository, elsewhere)
    with pytest.raises(Refused, match="does not trust yet") as caught:
        give_to_demo.run(client=client)
    assert "git model store trust archive" in caught.value.hint
    assert [model.name for model in client.list_models()] == ["demo"]
    assert client.get_version("demo@latest").number == 1


@pytest.mark.parametrize("executor", ["in-order", "processes:2"])
def test_an_input_from_an_untrusted_host_is_not_requested(client, demo, executor):
    with serving() as pages, serving() as elsewhere:
        content = b"raw\n"
        pages.pages["/raw.txt"], elsewhere.pages["/raw.txt"] = f"{elsewhere.url}/raw.txt", content
        link = ArtifactLink(
            name="raw",
            kind="data",
            digest=digest_of(content),
            size=len(content),
            format="text",
            uri=f"{pages.url}/raw.txt",
        )
        demo.unlink("raw")
        linking.link_artifacts(client.writer, VersionRef.parse("demo@1"), [link])
        with pytest.raises(Refused, match="does not trust yet"):
            join.run(client=client, executor=executor)
        assert pages.asked == []
        client.trust_store(f"{pages.url}/")
        with pytest.raises(RunFailed, match=r"redirects to .*, which this machine does not trust yet"):
            join.run(client=client, executor=executor)
        assert elsewhere.asked == []
        client.trust_store(f"{elsewhere.url}/")
        assert join.run(client=client, executor=executor).status == "succeeded"
