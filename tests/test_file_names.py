"""File names: an artifact keeps the name of the stored file, such as `model.onnx`, and is written under this name.

The artifact has its own name, such as `classifier`, too. A file name in a record that somebody edited by hand must not
make gitmodel write outside of the folder that the user named.
"""

import json
import os
from datetime import datetime, timezone
from pathlib import Path

import editing
import pytest
from hypothesis import given
from hypothesis import strategies as st
from transcripts import ask, fail, said, succeed

from gitmodel import Client
from gitmodel.domain.schema import codec, paths, record_values, records
from gitmodel.domain.schema.names import fault_in
from gitmodel.domain.schema.portable_paths import file_name_fault
from gitmodel.domain.schema.records import ArtifactLink
from gitmodel.errors import Invalid, UsageError
from gitmodel.teams.checks.range_checks import check_between

ONNX = b"\x08\x08"
HOSTILE = {
    "..": "begins with '.'",
    "../x": "begins with '.'",
    "a/b": "holds a slash",
    "a\\b": "holds a backslash",
    "/etc/passwd": "holds a slash",
    ".git": "begins with '.'",
    ".gitattributes": "begins with '.'",
    "git~1": "some systems read it as .git",
    "\uff0egit": "some systems read it as .git",
    "-rf": "begins with '-'",
    "aux.onnx": "the name of a device",
    "a:b": "it holds ':'",
    "end.": "it ends in a dot",
    "end ": "it ends in a space",
    "a\x1b[2J": "cannot be seen",
    "a\u202egnp.exe": "cannot be seen",
    "a\n": "cannot be seen",
    "ä" * 128: "more than 255 bytes",
}


@pytest.fixture
def client(code_repo, monkeypatch):
    monkeypatch.chdir(code_repo)
    (code_repo / "in").mkdir()
    (code_repo / "in/model.onnx").write_bytes(ONNX)
    (code_repo / "in/bert").mkdir()
    (code_repo / "in/bert/config.json").write_text("{}")
    with Client(code_repo) as client:
        yield client


def replace_text(old, new):
    """Replace the text *old* in the record of iris@1, by a commit of plain git in the current repository."""
    path = paths.version_file("iris", 1)
    text = editing.read(".", path)
    assert old in text
    return editing.edit(".", {path: text.replace(old, new)})


@pytest.fixture
def version(client):
    model = client.register_model("iris")
    editing.begin_at_format(".", "1.1")
    return model.create_version(model_objects={"clf": "in/model.onnx", "net": Path("in/bert")}, data={"rows": [1]})


def test_a_file_a_folder_and_a_python_object_are_written_under_their_file_names(client, version, capsys, tmp_path):
    names = {found.name: found.link.file for found in version.artifacts}
    assert names == {"clf": "model.onnx", "net": "bert", "rows": "rows.json"}
    shown = said(capsys, "version", "artifacts", "iris")[1]
    assert [row["file"] for row in shown] == ["model.onnx", "bert", "rows.json"]
    file, folder = (version.get_artifact(name).path() for name in ("clf", "net"))
    assert (file.name, file.read_bytes(), file.suffix) == ("model.onnx", ONNX, ".onnx")
    assert (folder.name, (folder / "config.json").read_text()) == ("bert", "{}")
    assert version.get_artifact("clf").path() == file
    served = tmp_path / "served"
    served.mkdir()
    assert version.get_artifact("clf").download(served) == served / "model.onnx"
    assert (served / "model.onnx").read_bytes() == ONNX
    code, out, _ = ask(capsys, "get", "iris@1", "clf")
    assert (code, Path("model.onnx").read_bytes()) == (0, ONNX)
    assert "to model.onnx (" in out
    succeed(capsys, "get", "iris@1", "net")
    assert Path("bert/config.json").read_text() == "{}"
    assert client.repository.snapshot().registry().format == "1.2"


def test_an_existing_file_is_overwritten_only_if_the_user_names_the_file(version, capsys, tmp_path):
    mine = tmp_path / "model.onnx"
    mine.write_text("mine")
    with pytest.raises(UsageError, match=r"model\.onnx already exists"):
        version.get_artifact("clf").download(tmp_path)
    for words in (["-o", str(tmp_path)], []):
        Path("model.onnx").write_text("mine")
        assert "model.onnx already exists" in fail(capsys, 2, "get", "iris@1", "clf", *words)
    assert (mine.read_text(), Path("model.onnx").read_text()) == ("mine", "mine")
    succeed(capsys, "get", "iris@1", "clf", "-o", str(mine))
    assert mine.read_bytes() == ONNX


def test_two_artifacts_with_equal_content_keep_their_own_file_names(client, code_repo):
    (code_repo / "in/other.onnx").write_bytes(ONNX)
    version = client.register_model("two").create_version(data={"a": "in/model.onnx", "b": "in/other.onnx"})
    assert len({found.digest for found in version.artifacts}) == 1
    found = {name: version.get_artifact(name).path() for name in ("a", "b")}
    assert {name: path.name for name, path in found.items()} == {"a": "model.onnx", "b": "other.onnx"}
    assert [path.read_bytes() for path in found.values()] == [ONNX, ONNX]


def test_artifacts_with_equal_file_names_get_separate_folders_in_a_checkout(client, code_repo, git):
    (code_repo / "in/b").mkdir()
    (code_repo / "in/b/MODEL.onnx").write_bytes(b"b")
    git(code_repo, "add", "in/b")
    git(code_repo, "commit", "-qm", "b")
    model = client.register_model("two")
    version = model.create_version(
        data={"a": "in/model.onnx", "b": "in/b/MODEL.onnx", "again": "in/model.onnx"}, model_objects={"net": "in/bert"}
    )
    found = version.checkout("out").artifacts
    assert {name: str(path) for name, path in found.items()} == {
        "a": "out/artifacts/a/model.onnx",
        "b": "out/artifacts/b/MODEL.onnx",
        "again": "out/artifacts/again/model.onnx",
        "net": "out/artifacts/net/bert",
    }
    assert [found[name].read_bytes() for name in ("a", "b", "again")] == [ONNX, b"b", ONNX]
    assert (found["net"] / "config.json").read_text() == "{}"


def test_checkout_writes_attachments_only_with_the_option_attachments(client, code_repo, git, capsys):
    git(code_repo, "add", "in")
    git(code_repo, "commit", "-qm", "files")
    version = client.register_model("two").create_version(data={"a": "in/model.onnx"})
    version.attach_all({"cm": "in/model.onnx", "net": "in/bert"})
    found = version.checkout("out")
    assert (list(found.artifacts), found.attachments, Path("out/attachments").exists()) == (["a"], {}, False)
    code, out, _ = ask(capsys, "checkout", "two@1", "all", "--attachments", "reports/more", "--format", "json")
    assert (code, json.loads(out)["attachments"]) == (
        0,
        {"cm": "all/reports/more/cm/model.onnx", "net": "all/reports/more/net/bert"},
    )
    assert Path("all/reports/more/cm/model.onnx").read_bytes() == ONNX
    assert Path("all/reports/more/net/bert/config.json").read_text() == "{}"
    assert not git("all", "status", "--porcelain")
    wrong = {"in": "contains a folder in itself", "Artifacts/a": "could meet", "../x": "not a folder"}
    for folder, message in wrong.items():
        assert message in fail(capsys, 2, "checkout", "two@1", "bad", "--attachments", folder)
        assert not Path("bad").exists()


@pytest.mark.parametrize(("name", "why"), HOSTILE.items(), ids=lambda text: ascii(text)[:20])
def test_a_record_whose_file_name_is_unsafe_on_some_system_is_refused(name, why):
    assert why in file_name_fault(name)
    given = {"kind": "model", "digest": record_values.NO_DIGEST, "size": 0, "format": "onnx"}
    link = ArtifactLink(name="clf", file="model.onnx", **given)
    created = datetime(2026, 11, 23, tzinfo=timezone.utc)
    data = codec.encode(records.VersionRecord(number=1, created=created, artifacts=(link,)))
    data = data.replace(b'"model.onnx"', json.dumps(name).encode())
    with pytest.raises(Invalid, match="takes the name of a file, and not this one"):
        codec.decode(records.VersionRecord, data, "here", newer=False)


def test_a_record_whose_file_name_leads_to_another_folder_is_refused_and_nothing_is_written(client, version, capsys):
    replace_text("model.onnx", "../../out")
    for words in (["get", "iris@1", "clf"], ["checkout", "iris@1", "out"], ["version", "artifacts", "iris@1"]):
        assert "takes the name of a file" in fail(capsys, 5, *words)
    assert not Path("out").exists()


@pytest.mark.parametrize("name", ["a:b.onnx", ".hidden", "model ", "-x", "caf\udce9.onnx"])
def test_a_file_name_that_is_not_portable_is_replaced_by_the_name_of_the_artifact(client, caplog, name):
    Path("in", name).write_bytes(ONNX)
    version = client.register_model("iris").create_version(model_objects={"clf": Path("in", name)})
    assert "clf does not keep the name" in caplog.text
    artifact = version.get_artifact("clf")
    assert (artifact.link.file, artifact.download(Path("in"))) == (None, Path("in/clf"))
    assert artifact.path().read_bytes() == ONNX


@given(st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]*", fullmatch=True))
def test_a_valid_name_of_an_artifact_is_a_valid_file_name(name):
    if fault_in(name) is None:  # The name of the artifact is the file name if the record has no `file`.
        assert not file_name_fault(name)


@given(st.text(max_size=300))
def test_a_valid_file_name_is_one_part_of_a_path(name):
    if not file_name_fault(name):
        assert os.path.basename(name) == name not in (".", "..")
        assert name.encode().decode() == name.strip("\0")
        assert Path("folder", name).parts == ("folder", name)


def test_an_artifact_whose_record_has_no_file_name_is_written_under_the_name_of_the_artifact(client, version, capsys):
    replace_text('file = "model.onnx"\n', "")
    version = client.get_version("iris@1")
    artifact = version.get_artifact("clf")
    assert (artifact.link.file, artifact.link.file_name) == (None, "clf")
    assert artifact.path().read_bytes() == ONNX
    succeed(capsys, "get", "iris@1", "clf")
    assert Path("clf").read_bytes() == ONNX
    assert version.checkout("out").artifacts["clf"] == Path("out/artifacts/clf")


def test_linking_the_same_bytes_again_keeps_the_file_name(client, version):
    Path("in/renamed.onnx").write_bytes(ONNX)
    version.set_stage("production")
    version.link_artifact("clf", "in/renamed.onnx", kind="model")
    assert version.get_artifact("clf").link.file == "model.onnx"


def test_check_refuses_a_changed_file_name_and_readers_by_stage_use_the_original_one(client, version):
    version.set_stage("production")
    before = editing.run(".", "rev-parse", editing.BRANCH)
    after = replace_text("model.onnx", "other.onnx")
    problems = check_between(client.repository, before, after).problems
    assert [(problem.key, problem.rule) for problem in problems] == [("artifacts", "change.version")]
    # A reader by stage gets the record from the commit of the stage tag, which has the original file name.
    assert client.get_version("iris@production").get_artifact("clf").path().read_bytes() == ONNX


def test_an_artifact_can_be_read_in_place_on_a_system_that_refuses_symbolic_links(version, monkeypatch):
    def refuse(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "symlink", refuse)
    assert version.get_artifact("clf").path().read_bytes() == ONNX


def test_the_name_of_an_external_file_comes_from_its_uri(client, tmp_path):
    place = tmp_path / "far away"
    place.mkdir()
    (place / "model 1.onnx").write_bytes(ONNX)
    version = client.register_model("iris").create_version()
    artifact = version.link_external("clf", place / "model 1.onnx")
    assert artifact.link.file == "model 1.onnx"
    assert artifact.download(tmp_path) == tmp_path / "model 1.onnx"
    assert artifact.path() == place / "model 1.onnx"
