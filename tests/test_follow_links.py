"""Storing folders whose files are symbolic links into a cache, as Hugging Face, DVC and git-annex make them.

With `follow_links=ROOT` gitmodel stores the files at which the links point, if these files are in the folder ROOT.
"""

import hashlib
import os
import re
from pathlib import Path

import pytest
from expected_errors import error_with_hint
from transcripts import fail, succeed

from gitmodel import Client, Secret
from gitmodel.errors import Conflict, Refused, UsageError
from gitmodel.stores.sources import source_files

FILES = {"config.json": b"{}", "model.safetensors": b"weights", "sub/vocab.txt": b"a\nb\n"}


@pytest.fixture
def client(code_repo, monkeypatch):
    monkeypatch.chdir(code_repo)
    with Client(code_repo) as client:
        client.register_model("net").create_version()
        yield client


def write(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def link(path, target):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.symlink_to(target)


def hugging_face(root):
    """A folder as huggingface_hub makes it: relative links from a snapshot to blobs that are named by their hashes."""
    model = root / "hub/models--bert"
    for name, content in FILES.items():
        blob = write(model / "blobs" / hashlib.sha256(content).hexdigest(), content)
        file = model / "snapshots/0123abcd" / name
        link(file, os.path.relpath(blob, file.parent))
    return model / "snapshots/0123abcd", root / "hub"


def dvc(root):
    """A folder as DVC makes it with the setting `cache.type symlink`: absolute links to read-only files."""
    for name, content in FILES.items():
        digest = hashlib.md5(content).hexdigest()
        blob = write(root / "cache/files/md5" / digest[:2] / digest[2:], content)
        blob.chmod(0o444)
        link(root / "project/data" / name, blob)
    return root / "project/data", root / "cache"


def annex(root):
    """A folder as git-annex makes it: links to objects in read-only folders of `.git`."""
    for name, content in FILES.items():
        key = f"SHA256E-s{len(content)}--{hashlib.sha256(content).hexdigest()}{Path(name).suffix}"
        blob = write(root / "annexed/.git/annex/objects/zP/W3" / key / key, content)
        blob.chmod(0o444)
        blob.parent.chmod(0o555)
        file = root / "annexed/data" / name
        link(file, os.path.relpath(blob, file.parent))
    return root / "annexed/data", root / "annexed/.git/annex"


CACHES = {"hugging face": hugging_face, "dvc": dvc, "annex": annex}


@pytest.mark.parametrize("make", CACHES.values(), ids=CACHES)
def test_with_follow_links_the_files_behind_the_links_are_stored(client, make, tmp_path):
    folder, root = make(tmp_path / "elsewhere")
    with error_with_hint(UsageError, "is a link to a target outside its folder", "--follow-links ROOT"):
        client.get_version("net").link_artifact("net", folder)
    artifact = client.get_version("net").link_artifact("net", folder, follow_links=root)
    assert artifact.link.file == folder.name
    got = artifact.download(tmp_path / "got")
    assert {name: (got / name).read_bytes() for name in FILES} == FILES
    assert not any(path.is_symlink() for path in got.rglob("*"))
    # A copy of the folder without links has the same digest.
    copy = tmp_path / "copy"
    for name, content in FILES.items():
        write(copy / name, content)
    assert client.get_version("net").link_artifact("copy", copy).digest == artifact.digest


def test_commands_follow_a_link_to_a_file_and_the_links_in_a_folder(client, capsys, tmp_path):
    folder, root = hugging_face(tmp_path)
    file = folder / "model.safetensors"
    sources = ("--model-object", f"net={folder}", "--data", f"one={file}", "--follow-links", root)
    for command in (("version", "create", "net"), ("link", "net")):
        succeed(capsys, *command, *sources)
        version = client.get_version("net")
        assert version.get_artifact("one").link.file == "model.safetensors"
        assert version.get_artifact("one").path().read_bytes() == b"weights"
    assert "--external and --follow-links cannot be combined" in fail(capsys, 2, "link", "net", *sources, "--external")
    with client.start_run("train") as run:
        run.create_version("net", model_objects={"net": folder}, follow_links=root)
    assert client.get_version("net").get_artifact("net").size == version.get_artifact("net").size


def refused(client, folder, root, said):
    before = set(client.store.digests())
    with pytest.raises(UsageError, match=re.escape(said)) as caught:
        client.get_version("net").link_artifact("net", folder, follow_links=root)
    assert caught.value.hint
    assert set(client.store.digests()) == before
    assert not client.get_version("net").artifacts
    return caught.value.message


def test_the_error_for_a_link_that_leads_out_of_the_root_names_the_link(client, tmp_path):
    folder, root = hugging_face(tmp_path)
    secret = write(tmp_path / "secret", b"secret")
    link(folder / "bad", secret)
    assert f"outside {root}: {secret}" in refused(client, folder, root, f"{folder}/bad is a link to a target outside")
    (folder / "bad").unlink()
    link(root / "hop", secret)  # a second link: it is in the root, but its target is not
    link(folder / "bad", root / "hop")
    refused(client, folder, root, f"{folder}/bad is a link to a target outside")
    refused(client, folder / "bad", root, f"{folder}/bad is a link to a target outside")
    (folder / "bad").unlink()
    link(folder / "bad", f"{root}/../secret")
    refused(client, folder, root, f"{folder}/bad is a link to a target outside")


@pytest.mark.parametrize(
    ("target", "said"),
    [
        ("bad", "/bad is a link that forms a cycle"),
        ("../../blobs/missing", "/bad is a link to a file that does not exist"),
        (".", "/bad leads to a folder that contains it"),
        ("../..", "/bad/snapshots/0123abcd leads to a folder that contains it"),
        ("../../../away", "/bad is a link to a target outside"),
    ],
)
def test_the_error_for_a_link_that_leads_to_no_file_names_the_link(client, tmp_path, target, said):
    folder, root = hugging_face(tmp_path)
    write(tmp_path / "outside/secret", b"secret")
    link(root / "away", tmp_path / "outside")
    link(folder / "bad", target)
    refused(client, folder, root, said)


def test_a_folder_behind_a_link_is_stored_with_its_content(client, tmp_path, capsys):
    folder, root = hugging_face(tmp_path)
    write(root / "shared/tokenizer/vocab.txt", b"a")
    link(root / "shared/tokenizer/weights", folder / "model.safetensors")
    link(root / "shared/tokenizer/again", folder / "sub")
    (root / "shared/empty").mkdir()
    link(folder / "inner", "sub")  # a link to a folder inside of the artifact
    for name in ("one", "two"):  # two links to the link `hop`, which points at a folder
        link(folder / name, root / "hop")
    link(root / "hop", "shared/tokenizer")
    link(folder / "deep/three", "../../../../shared")
    with error_with_hint(UsageError, "is a link to", "--follow-links ROOT"):
        client.get_version("net").link_artifact("net", folder)
    got = client.get_version("net").link_artifact("net", folder, follow_links=root).download(tmp_path / "got")
    tokenizer = {"vocab.txt": b"a", "weights": b"weights", "again/vocab.txt": b"a\nb\n"}
    expected = {
        **FILES,
        "inner/vocab.txt": b"a\nb\n",
        **{
            f"{at}/{name}": content
            for at in ("one", "two", "deep/three/tokenizer")
            for name, content in tokenizer.items()
        },
    }
    found = {str(path.relative_to(got)): path.read_bytes() for path in got.rglob("*") if path.is_file()}
    assert found == expected
    assert not any(path.is_symlink() for path in got.rglob("*"))
    # Here, the artifact itself is a link to a folder.
    link(tmp_path / "net", folder)
    succeed(capsys, "link", "net", "--data", f"net2={tmp_path / 'net'}", "--follow-links", root)
    assert client.get_version("net").get_artifact("net2").link.file == "net"


def test_a_folder_that_is_reached_by_too_many_paths_of_links_is_refused(client, tmp_path):
    root = tmp_path / "cache"
    for level in range(30):  # 2**30 paths lead to the file
        for name in ("a", "b"):
            link(root / str(level) / name, root / str(level + 1))
    write(root / "30/file", b"x")
    refused(client, root / "0", root, "more than 100 times, the last time as")


def test_a_git_repository_behind_a_link_to_a_folder_is_refused(client, code_repo, tmp_path):
    for target in (code_repo / ".git", code_repo, code_repo / ".git/refs"):
        folder = tmp_path / target.name
        link(folder / "bad", target)
        write(folder / "file", b"x")
        if target.name == "refs":
            # The folder `refs` without the other folders of a repository is no repository.
            client.get_version("net").link_artifact("refs", folder, follow_links=code_repo)
            continue
        with pytest.raises(Refused, match="a git repository, which is not stored"):
            client.get_version("net").link_artifact("net", folder, follow_links=code_repo)


@pytest.mark.parametrize("swapped", ["link", "folder", "inner folder"])
def test_nothing_outside_the_root_is_stored_if_a_folder_is_replaced_after_the_check(
    client, tmp_path, monkeypatch, swapped
):
    folder, root, outside = tmp_path / "net", tmp_path / "cache", tmp_path / "outside"
    for name in ("sub/file", "file"):
        write(root / "data" / name, b"cached.")
        write(outside / name, b"secret!")
    link(folder / "data", root / "data")
    scanning, listed = os.scandir, []

    def swap(path):
        listed.append(path)
        if path == root / "data" and swapped != "inner folder":
            if swapped == "link":
                (folder / "data").unlink(missing_ok=True)
                link(folder / "data", outside)
            else:
                (root / "data").rename(root / "away")
                link(root / "data", outside)
        elif path == root / "data/sub" and swapped == "inner folder":
            (root / "data/sub").rename(root / "away")
            link(root / "data/sub", outside / "sub")
        return scanning(path)

    monkeypatch.setattr(source_files.os, "scandir", swap)
    with pytest.raises((Conflict, UsageError)):
        client.get_version("net").link_artifact("net", folder, follow_links=root)
    monkeypatch.undo()
    assert len(listed) > 1
    assert hashlib.sha256(b"secret!").hexdigest() not in {digest[7:] for digest in client.store.digests()}
    assert not client.get_version("net").artifacts


def test_a_root_that_is_no_folder_is_refused_before_anything_is_stored(client, tmp_path):
    folder, _ = hugging_face(tmp_path)
    refused(client, folder, tmp_path / "nothing", "nothing, which is not a folder")
    refused(client, folder / "config.json", tmp_path / "nothing", "nothing, which is not a folder")


@pytest.mark.parametrize("swapped", ["link", "file", "folder"])
def test_nothing_outside_the_root_is_stored_if_a_link_is_replaced_after_the_check(
    client, tmp_path, monkeypatch, swapped
):
    folder, root = hugging_face(tmp_path)
    outside = tmp_path / "outside"
    blobs = root / "models--bert/blobs"
    for name in os.listdir(blobs):
        write(outside / name, b"secret!")
    blob = (folder / "model.safetensors").resolve()
    opening = os.open

    def swap(path, *arguments, **options):
        if str(path) == str(blob) and not options:
            if swapped == "link":
                (folder / "model.safetensors").unlink()
                link(folder / "model.safetensors", outside / blob.name)
            elif swapped == "file" and not blob.is_symlink():
                blob.unlink()
                blob.symlink_to(outside / blob.name)
            elif swapped == "folder" and not blobs.is_symlink():
                blobs.rename(root / "away")
                blobs.symlink_to(outside)
        return opening(path, *arguments, **options)

    monkeypatch.setattr(source_files.os, "open", swap)
    with pytest.raises((Conflict, UsageError)):
        client.get_version("net").link_artifact("net", folder, follow_links=root)
    monkeypatch.undo()
    assert hashlib.sha256(b"secret!").hexdigest() not in {digest[7:] for digest in client.store.digests()}
    assert not client.get_version("net").artifacts


def test_a_file_with_credentials_behind_a_link_is_not_stored(client, tmp_path):
    folder, root = hugging_face(tmp_path)
    # Written in parts, so that no secret scanner reports this file.
    write(root / "hidden", b"TOKEN=" + b"ghp_" + b"a1B2" * 9)
    link(folder / "notes.txt", root / "hidden")
    with pytest.raises(Refused, match="seems to hold credentials"):
        client.get_version("net").link_artifact("net", folder, follow_links=root)
    (folder / "notes.txt").unlink()
    (root / "shared").mkdir()
    (root / "hidden").rename(root / "shared/hidden")
    link(folder / "notes", root / "shared")
    with pytest.raises(Refused, match="seems to hold credentials: notes/hidden"):
        client.get_version("net").link_artifact("net", folder, follow_links=root)


@pytest.mark.parametrize("hidden", ["bytes", "name"])
def test_an_artifact_is_refused_if_a_link_leads_to_the_value_of_a_secret_parameter(client, tmp_path, hidden):
    root = tmp_path / "cache"
    named, content = ("correct-horse", b"x") if hidden == "name" else ("x", b"a correct-horse")
    write(root / "shared" / named / "file", content)
    link(tmp_path / "net/notes", root / "shared")
    with client.start_run("train") as run:
        run.log_parameters(token=Secret("correct-horse"))
        with pytest.raises(Refused, match="the artifact net holds the value of a Secret"):
            run.link_artifact("net", tmp_path / "net", follow_links=root)
    assert client.get_run(run.id).record.steps[0].outputs == {}
