"""Folders whose files are links into a cache: Hugging Face snapshots, DVC and git-annex."""

import hashlib
import os
import re
from pathlib import Path

import pytest
from transcripts import ask

from gitmodel import Client
from gitmodel.errors import Conflict, Refused, UsageError
from gitmodel.stores import source_files

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
    """A folder as huggingface_hub makes it: relative links of a snapshot to blobs, named by their hashes."""
    model = root / "hub/models--bert"
    for name, content in FILES.items():
        blob = write(model / "blobs" / hashlib.sha256(content).hexdigest(), content)
        file = model / "snapshots/0123abcd" / name
        link(file, os.path.relpath(blob, file.parent))
    return model / "snapshots/0123abcd", root / "hub"


def dvc(root):
    """A folder of DVC with `cache.type symlink`: absolute links to read-only files."""
    for name, content in FILES.items():
        digest = hashlib.md5(content).hexdigest()
        blob = write(root / "cache/files/md5" / digest[:2] / digest[2:], content)
        blob.chmod(0o444)
        link(root / "project/data" / name, blob)
    return root / "project/data", root / "cache"


def annex(root):
    """A folder of git-annex: links to objects in read-only folders of `.git`."""
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
def test_the_bytes_behind_the_links_are_stored(client, make, tmp_path):
    folder, root = make(tmp_path / "elsewhere")
    with pytest.raises(UsageError, match="is a link to a target outside its folder") as caught:
        client.get_version("net").link_artifact("net", folder)
    assert "--follow-links ROOT" in caught.value.hint
    artifact = client.get_version("net").link_artifact("net", folder, follow_links=root)
    assert artifact.link.file == folder.name
    got = artifact.download(tmp_path / "got")
    assert {name: (got / name).read_bytes() for name in FILES} == FILES
    assert not any(path.is_symlink() for path in got.rglob("*"))
    # as a copy of the folder without links
    copy = tmp_path / "copy"
    for name, content in FILES.items():
        write(copy / name, content)
    assert client.get_version("net").link_artifact("copy", copy).digest == artifact.digest


def test_commands_follow_a_link_to_a_file_and_the_links_in_a_folder(client, capsys, tmp_path):
    folder, root = hugging_face(tmp_path)
    file = folder / "model.safetensors"
    sources = ("--model-object", f"net={folder}", "--data", f"one={file}", "--follow-links", root)
    for command in (("version", "create", "net"), ("link", "net")):
        assert ask(capsys, *command, *sources)[0] == 0
        version = client.get_version("net")
        assert version.get_artifact("one").link.file == "model.safetensors"
        assert version.get_artifact("one").path().read_bytes() == b"weights"
    code, _, err = ask(capsys, "link", "net", *sources, "--external")
    assert (code, "--external and --follow-links cannot be combined" in err) == (2, True)
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


def test_a_link_out_of_the_root_is_refused_and_named(client, tmp_path):
    folder, root = hugging_face(tmp_path)
    secret = write(tmp_path / "secret", b"secret")
    link(folder / "bad", secret)
    assert f"outside {root}: {secret}" in refused(client, folder, root, f"{folder}/bad is a link to a target outside")
    (folder / "bad").unlink()
    link(root / "hop", secret)  # the last target counts, not the first
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
        ("sub", "/bad is a link to a folder"),
        ("../../blobs", "/bad is a link to a folder"),
    ],
)
def test_a_link_that_leads_to_no_file_is_refused_and_named(client, tmp_path, target, said):
    folder, root = hugging_face(tmp_path)
    link(folder / "bad", target)
    refused(client, folder, root, said)


def test_a_root_that_is_no_folder_is_refused_before_anything_is_stored(client, tmp_path):
    folder, _ = hugging_face(tmp_path)
    refused(client, folder, tmp_path / "nothing", "nothing, to which links may lead, is no folder")
    refused(client, folder / "config.json", tmp_path / "nothing", "nothing, to which links may lead, is no folder")


@pytest.mark.parametrize("swapped", ["link", "file", "folder"])
def test_a_link_that_is_swapped_after_the_check_gives_nothing_of_another_place(client, tmp_path, monkeypatch, swapped):
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


def test_credentials_behind_a_link_are_found(client, tmp_path):
    folder, root = hugging_face(tmp_path)
    write(root / "hidden", b"TOKEN=" + b"ghp_" + b"a1B2" * 9)  # made from parts, for scanners of this file
    link(folder / "notes.txt", root / "hidden")
    with pytest.raises(Refused, match="seems to hold credentials"):
        client.get_version("net").link_artifact("net", folder, follow_links=root)
