"""gitmodel detects a damaged object in a store before a new version links it, and replaces it with intact bytes."""

import io
import random
from pathlib import Path
from typing import Annotated

import pytest
from transcripts import ask

from gitmodel import Client, ModelConfig, pipeline, step
from gitmodel.domain.schema.digests import digest_of, hex_of
from gitmodel.errors import GitModelError, Invalid
from gitmodel.registry.named_stores.copying import copy_store
from gitmodel.stores.artifacts.verifying import verify_file
from gitmodel.stores.opening import open_store
from gitmodel.stores.servers import s3
from gitmodel.stores.servers.gcs import OWN

REMOTE = [pytest.param(kind, marks=pytest.mark.xdist_group(kind)) for kind in ("s3", "gcs", "azure", "sftp")]
REGISTRY = pytest.param("oci", marks=pytest.mark.xdist_group("oci"))
LOCAL = pytest.param("folder", marks=pytest.mark.xdist_group("folder"))
LARGE = random.Random(2).randbytes((17 << 20) + 5)


class Place:
    """A store of one kind, with a method that damages an object without changing its size and its metadata."""

    def __init__(self, kind, request, tmp_path):
        self.kind = kind
        self.tmp_path = tmp_path
        self.files = tmp_path / "store"
        self.damaged = {}
        if kind == "folder":
            self.url = self.files.as_uri()
        elif kind == "sftp":
            self.url = f"sftp://{request.getfixturevalue('sftp')}{self.files}"
        elif kind == "oci":
            self.url = f"oci://{request.getfixturevalue('registry')}/models/{random.randbytes(8).hex()}"
            (settings,) = request.getfixturevalue("tmp_path_factory").getbasetemp().glob("registry[0-9]*/htpasswd")
            self.files = settings.parent / "data"
        else:
            found = request.getfixturevalue(kind)
            self.url = found.prefix() if kind == "s3" else found

    def open(self, root="other"):
        """Open the store as another clone does, with the folder *root* for its copies."""
        return open_store(self.url, default_root=self.tmp_path / root)

    def file_of(self, digest):
        name = hex_of(digest)
        if self.kind == "oci":
            return next(self.files.glob(f"docker/registry/v2/blobs/sha256/{name[:2]}/{name}/data"))
        return self.files / "sha256" / name[:2] / name[2:]

    def damage(self, digest, content):
        self.damaged[digest] = content
        wrong = content[:1].swapcase() + content[1:] if content[:1].isalpha() else b"?" + content[1:]
        assert wrong != content
        backend = getattr(self.open().origin, "backend", None)
        if self.kind == "s3":
            headers = {s3.OWN: hex_of(digest)}
            backend._request("PUT", backend._key(digest), body=wrong, headers=headers, about=digest)
        elif self.kind == "gcs":
            backend.write(digest, wrong, replace=True)
        elif self.kind == "azure":
            backend._blob(digest).upload_blob(wrong, overwrite=True, metadata={OWN: hex_of(digest)})
        else:
            path = self.file_of(digest)
            path.chmod(0o644)
            path.write_bytes(wrong)

    def is_whole(self, digest):
        try:
            verify_file(self.open("a third"), digest)
        except Invalid:
            return False
        return True


@pytest.fixture
def place(request, tmp_path):
    place = Place(request.param, request, tmp_path)
    yield place
    # Restore the bytes: repositories of an OCI registry share a blob, and other tests use the same bytes.
    if place.kind == "oci":
        for digest, content in place.damaged.items():
            place.file_of(digest).write_bytes(content)


@pytest.fixture
def client(place, code_repo, monkeypatch):
    monkeypatch.chdir(code_repo)
    with Client(code_repo, store=place.url) as opened:
        opened.access.open().create()
        yield opened


def make_pipeline(folder):
    """Return a pipeline with one step, whose outputs are a file and a folder."""
    place = str(folder)

    @step
    def make() -> tuple[Annotated[dict, "file"], Annotated[Path, "folder"]]:
        made = Path(place, "f")
        made.mkdir(exist_ok=True)
        (made / "a.txt").write_text("inside")
        return {"a": 1}, made

    @pipeline(model_config=ModelConfig(name="demo", create_new_model_version=True))
    def one():
        make()

    return one


def statuses(run):
    return [found.status for found in run.steps]


@pytest.mark.parametrize("place", REMOTE, indirect=True)
@pytest.mark.parametrize("output", ["file", "folder", "inside"])
def test_a_damaged_output_on_a_server_makes_its_step_run_again(place, client, tmp_path, output):
    one = make_pipeline(tmp_path)
    first = one.run(client=client)
    digest = digest_of(b"inside") if output == "inside" else first.steps[0].outputs[output]
    with place.open().open(digest) as reader:
        content = reader.read()
    with client.access.open().open(digest) as reader:
        assert reader.read() == content  # gives this clone an intact copy
    assert statuses(one.run(client=client)) == ["cached"]
    place.damage(digest, content)
    assert not place.is_whole(digest)
    assert statuses(one.run(client=client)) == ["succeeded"]
    assert place.is_whole(digest)
    assert statuses(one.run(client=client)) == ["cached"]


@pytest.mark.parametrize("place", REMOTE[:1], indirect=True)
def test_a_step_fails_if_its_worker_does_not_replace_a_damaged_output(place, client, tmp_path, monkeypatch):
    one = make_pipeline(tmp_path)
    digest = one.run(client=client).steps[0].outputs["file"]
    with client.access.open().open(digest) as reader:
        place.damage(digest, reader.read())
    # The worker does not know that the object is damaged, as if it were on another machine.
    monkeypatch.setattr("gitmodel.pipelines.workers.loaded_inputs.open_urls", lambda urls, root: place.open("far"))
    with pytest.raises(GitModelError, match="step make is damaged in s3://"):
        one.run(client=client)
    assert [version.number for version in client.get_model("demo").versions] == [1]


@pytest.mark.parametrize("place", [REGISTRY], indirect=True)
def test_a_run_fails_and_names_an_oci_registry_that_keeps_a_damaged_blob(place, client, tmp_path):
    one = make_pipeline(tmp_path)
    digest = one.run(client=client).steps[0].outputs["file"]
    with client.access.open().open(digest) as reader:
        content = reader.read()
    place.damage(digest, content)
    with Client(".", store=place.url) as again:
        with pytest.raises(GitModelError, match=f"keeps a damaged object {digest}"):
            one.run(client=again)
        assert [version.number for version in again.get_model("demo").versions] == [1]
        place.file_of(digest).unlink()  # the administrator of the registry must delete the blob
        assert statuses(one.run(client=again)) == ["succeeded"]
    assert place.is_whole(digest)


@pytest.mark.parametrize("place", REMOTE[:1], indirect=True)
def test_a_large_damaged_output_on_a_server_makes_its_step_run_again(place, client, tmp_path):
    folder = str(tmp_path)

    @step
    def make() -> Annotated[Path, "file"]:
        with Path(folder, "large").open("wb") as file:
            file.truncate(65 << 20)  # a file of zeros, whose first byte the test damages below
        return Path(folder, "large")

    @pipeline(model_config=ModelConfig(name="demo", create_new_model_version=True))
    def one():
        make()

    digest = one.run(client=client).steps[0].outputs["file"]
    assert statuses(one.run(client=client)) == ["cached"]
    place.damage(digest, Path(folder, "large").read_bytes())
    with Client(".", store=place.url) as again:
        assert statuses(one.run(client=again)) == ["succeeded"]
    whole = place.is_whole(digest)
    assert whole


@pytest.mark.parametrize("place", [LOCAL, *REMOTE], indirect=True)
@pytest.mark.parametrize("content", [b"a model\n", LARGE], ids=["small", "large"])
def test_storing_the_same_file_again_repairs_an_object_that_verify_found_damaged(place, client, capsys, content):
    Path("net").write_bytes(content)
    digest = digest_of(content)
    with client:
        assert ask(capsys, "config", "store", place.url)[0] == 0
    assert ask(capsys, "register", "iris")[0] == 0
    assert ask(capsys, "version", "create", "iris", "--model-object", "net=net")[0] == 0
    place.damage(digest, content)
    code, out, err = ask(capsys, "verify")
    assert (code, f"{digest} is damaged" in out + err) == (5, True)
    assert ask(capsys, "link", "iris@1", "--model-object", "net=net")[0] == 0
    assert place.is_whole(digest)
    assert ask(capsys, "verify")[0] == 0
    # The clone no longer remembers the damage, so the next process does not store the object again.
    assert not list(Path(".git/gitmodel").glob("damaged/*"))


@pytest.mark.parametrize("place", [*REMOTE, REGISTRY], indirect=True)
def test_store_copy_overwrites_a_damaged_object_without_removing_it_first(place, tmp_path, monkeypatch):
    target = place.open("here")
    target.create()
    source = open_store(str(tmp_path / "source"), default_root=tmp_path)
    source.create()
    digest, _ = source.put_stream(io.BytesIO(b"a model"))
    copy_store(source, target)
    place.damage(digest, b"a model")
    monkeypatch.setattr(type(target.origin.backend), "remove", lambda *_: pytest.fail("removed"))
    done = copy_store(source, target, repair=True)
    if place.kind == "oci":
        assert "keeps a damaged object" in done.failed[digest]
    else:
        assert (done.copied, place.is_whole(digest)) == (1, True)


@pytest.mark.parametrize("place", REMOTE[:1], indirect=True)
def test_a_damaged_object_is_replaced_even_if_the_clone_cannot_remember_the_damage_on_disk(place, tmp_path):
    store = place.open("here")
    digest, _ = store.put_stream(io.BytesIO(b"a model"))
    (tmp_path / "here").mkdir(exist_ok=True)
    (tmp_path / "here" / "damaged").write_text("in the way")
    place.damage(digest, b"a model")
    with pytest.raises(Invalid, match="damaged"):
        verify_file(store, digest)
    store.put_stream(io.BytesIO(b"a model"))
    assert place.is_whole(digest)
