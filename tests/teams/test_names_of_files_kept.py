"""A version keeps its file names and attachments in pulls, renames, imports, copies and bundles."""

import subprocess

import pytest
from hosting import merge_within
from teamwork import assert_sound

from gitmodel import Client

ONNX, PNG = b"\x08\x08\x12\x07ours", b"\x89PNG\r\n\x1a\npicture"
EXPECTED = {
    "clf": ("clf.onnx", ONNX),
    "net": ("bert", {"config.json": b"{}"}),
    "scores": ("scores.json", b'{\n  "f1": 0.9\n}\n'),
    "matrix": ("cm.png", PNG),
    "reports": ("november", {"drift.txt": b"no\n"}),
}


@pytest.fixture
def made(bob, tmp_path):
    """A version with files, a folder, an object and attachments, which only Bob's clone has."""
    for name, content in (
        ("clf.onnx", ONNX),
        ("cm.png", PNG),
        ("bert/config.json", b"{}"),
        ("november/drift.txt", b"no\n"),
    ):
        path = tmp_path / "in" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    folder = tmp_path / "in"
    version = bob.get_model("iris").create_version(
        data={"scores": {"f1": 0.9}}, model_objects={"clf": folder / "clf.onnx", "net": folder / "bert"}
    )
    version.attach("matrix", folder / "cm.png", metadata={"rows": 2})
    version.attach("reports", folder / "november")
    assert contents(version) == EXPECTED
    return version


def contents(version):
    """Return the file name and content of each artifact and attachment of *version*, read with their method `path`."""
    found = {}
    for artifact in [*version.artifacts, *version.attachments]:
        path = artifact.path()
        assert path.name == artifact.link.file
        content = path.read_bytes() if path.is_file() else {each.name: each.read_bytes() for each in path.iterdir()}
        found[artifact.name] = (artifact.link.file, content)
    assert [each.name for each in version.attachments] == ["matrix", "reports"]
    assert version.get_attachment("matrix").metadata == {"rows": 2}
    return found


def test_a_pull_that_renumbers_and_a_rename_keep_names_and_attachments(ada, bob, made):
    ada.get_model("iris").create_version()
    ada.push()
    assert bob.pull().renumbered
    assert (made.number, contents(made)) == (5, EXPECTED)
    bob.get_model("iris").rename("rose")
    bob.push()
    ada.pull()
    assert contents(ada.get_version("rose@5")) == EXPECTED  # Ada's clone reads the content from the shared store
    assert_sound(ada.repository.common_dir)


def test_a_merged_and_applied_proposal_keeps_names_and_attachments(ada, bob, bare, made):
    bob.push()
    ada.pull()
    proposal = ada.propose(("iris@4", "production"), rename=[("iris", "rose")], push=True)
    made.detach("reports")
    made.attach("reports", {"later": True})  # attaches a file while the proposal is open
    bob.push()
    merge_within(bare, proposal)
    bob.pull()
    bob.apply()
    version = bob.get_version("rose@production")
    assert [(found.name, found.link.file) for found in version.attachments] == [
        ("matrix", "cm.png"),
        ("reports", "reports.json"),
    ]
    assert version.get_artifact("clf").path().name == "clf.onnx"


def test_an_import_a_copied_store_and_a_bundle_keep_names_and_attachments(bob, team, made, tmp_path):
    made.export(tmp_path / "iris.export")
    other = team.clone("carol")
    with Client(tmp_path / "carol", store=None) as own:  # Carol's clone uses its own store
        assert contents(own.import_version(tmp_path / "iris.export")) == EXPECTED
        again = own.import_version(tmp_path / "iris.export")
        assert (again.is_new, contents(again)) == (False, EXPECTED)
    other.close()
    (tmp_path / "copy").mkdir()
    bob.copy_store((tmp_path / "copy").as_uri())
    bundle = tmp_path / "iris.bundle"
    subprocess.run(["git", "bundle", "create", "-q", bundle, "gitmodel", "--tags"], cwd=tmp_path / "bob", check=True)
    with Client(tmp_path, repo=str(bundle), store=(tmp_path / "copy").as_uri()) as read:
        assert contents(read.get_version("iris@4")) == EXPECTED
