"""`git model export` writes a version with its lineage to one file, and `import` reads it or refuses a damaged file."""

import io
import json
import subprocess
import tarfile
from dataclasses import replace
from datetime import datetime, timezone

import pytest
from editing import edit, overwrite
from transcripts import end_with, fail

from gitmodel import Client, Conflict, Invalid, UsageError
from gitmodel.domain.schema import codec, paths, records
from gitmodel.domain.schema.digests import digest_of
from gitmodel.domain.schema.manifest import ManifestEntry, format_manifest
from gitmodel.domain.schema.records import ArtifactLink, ModelRecord, RunRecord, StepRecord, VersionRecord
from gitmodel.registry.health import checking
from gitmodel.stores.artifacts import archives


@pytest.fixture
def elsewhere(tmp_path, git):
    """An empty registry."""
    folder = tmp_path / "elsewhere"
    git(tmp_path, "init", "-q", str(folder))
    with Client(folder) as client:
        yield client
        assert checking.check(client.repository) == []


def test_an_imported_version_has_the_same_lineage_and_the_same_bytes(past, elsewhere, tmp_path):
    file = tmp_path / "iris.gitmodel"
    made = past.get_version("iris@19").export(file)
    assert made.size == file.stat().st_size
    assert [run.split("-")[1] for run in made.runs] == ["train", "collect", "collect"]
    assert made.missing == ()
    taken = elsewhere.import_version(file)
    assert taken.reference == "iris@19"
    old = past.get_version("iris@19")
    assert (taken.metadata, taken.created, taken.code, taken.runs) == (old.metadata, old.created, old.code, old.runs)
    assert taken.model.license == "Apache-2.0"
    assert taken.get_artifact("classifier").load() == old.get_artifact("classifier").load()
    assert taken.stage is None
    there, here = past.lineage("iris@19", down=False), elsewhere.lineage("iris@19", down=False)
    assert here.edges == there.edges
    assert elsewhere.get_run(taken.runs[0]).record.versions == ("iris@19",)
    collected = [run for run in made.runs if "collect" in run]
    assert [elsewhere.get_run(run).record.versions for run in collected] == [(), ()]


def test_exporting_a_version_twice_gives_the_same_bytes(past, tmp_path):
    version = past.get_version("iris@19")
    version.export(tmp_path / "one")
    with Client() as other:
        other.get_version("iris@19").export(tmp_path / "two")
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def test_export_contains_the_inputs_only_on_request(past, elsewhere, tmp_path):
    version = past.get_version("iris@19")
    (data,) = past.get_version("measurements@3").artifacts
    version.export(tmp_path / "without")
    version.export(tmp_path / "with", inputs=True)
    elsewhere.import_version(tmp_path / "without")
    assert not elsewhere.store.holds(data.digest)
    elsewhere.import_version(tmp_path / "with")
    assert elsewhere.store.holds(data.digest)


def test_an_imported_version_whose_number_is_taken_gets_the_next_number_also_in_its_run(past, elsewhere, tmp_path):
    for number in (5, 3):
        past.get_version(f"iris@{number}").export(tmp_path / str(number))
    assert elsewhere.import_version(tmp_path / "5").reference == "iris@5"
    third = elsewhere.import_version(tmp_path / "3")
    assert third.reference == "iris@6"
    assert elsewhere.get_run(third.runs[0]).record.versions == ("iris@6",)
    assert elsewhere.import_version(tmp_path / "3").reference == "iris@6"
    assert elsewhere.import_version(tmp_path / "3", model="flowers").reference == "flowers@3"


def test_an_import_does_not_change_existing_records(story, past, tmp_path, transcript):
    place = tmp_path / "iris.gitmodel"
    tip = past.repository.tip()
    size = past.get_version("iris@2").export(tmp_path / "same").size
    transcript(f"""
        $ git model export iris@2 {place}
        exported iris@2 and 3 runs to {place} ({size / 1000:.1f} kB)
        $ git model import {place}
        iris@2 is here already
        $ git model import {place} --format json
        {{
          "reference": "iris@2",
          "new": false
        }}
        $ git model export iris@2 {place}
        ! error: {place} already exists
        ! hint: name a new file
        [2]
        $ git model import {tmp_path}/none
        ! error: there is no file {tmp_path}/none
        ! hint: name an export, as `git model export` writes it; to import models of MLflow or GTO, add --from
        [3]
    """)
    assert past.repository.tip() == tip


def test_any_tar_program_reads_an_export(past, tmp_path):
    past.get_version("iris@19").export(tmp_path / "file")
    names = subprocess.run(
        ["tar", "-tf", tmp_path / "file"], check=True, capture_output=True, text=True
    ).stdout.splitlines()
    assert names[0] == "gitmodel-export"
    assert all(name.startswith("sha256/") for name in names[1:])
    with tarfile.open(tmp_path / "file") as tar:
        index = tar.extractfile("gitmodel-export").read().decode()
    assert " models/iris/versions/19.toml\n" in index


def test_an_export_contains_the_files_of_folders(elsewhere, code_repo, tmp_path):
    (tmp_path / "folder" / "sub").mkdir(parents=True)
    (tmp_path / "folder" / "a.txt").write_text("one")
    (tmp_path / "folder" / "sub" / "b.txt").write_text("one")
    with Client(code_repo) as client:
        version = client.register_model("iris").create_version()
        version.link_artifact("weights", tmp_path / "folder", kind="model")
        version.export(tmp_path / "file")
    got = elsewhere.import_version(tmp_path / "file").get_artifact("weights").download(tmp_path / "got")
    assert (got / "sub" / "b.txt").read_text() == "one"


def test_export_reports_a_missing_run_and_refuses_a_version_with_a_missing_artifact(story, past, tmp_path, capsys):
    (run,) = past.get_version("iris@4").runs
    edit(story, {paths.run_file(run): None})
    out, err = end_with(capsys, 0, "export", "iris@4", tmp_path / "file", "--format", "json")
    assert len(json.loads(out)["missing"]) == 1
    assert f"run {run} is not in the export" in err
    past.store.remove(past.get_version("iris@4").get_artifact("report").digest)
    err = fail(capsys, 3, "export", "iris@4", tmp_path / "other")
    assert err.startswith("error: the artifact store does not have report of iris@4 (sha256:")
    assert not (tmp_path / "other").exists()


def test_an_import_of_a_version_whose_name_is_taken_is_a_conflict_and_changes_nothing(elsewhere, code_repo, tmp_path):
    with Client(code_repo) as client:
        client.register_model("iris").create_version(name="1.0.0", metadata={"a": 1}).export(tmp_path / "file")
    elsewhere.register_model("iris").create_version(name="1.0.0")
    tip = elsewhere.repository.tip()
    with pytest.raises(Conflict):
        elsewhere.import_version(tmp_path / "file")
    with pytest.raises(UsageError):
        elsewhere.import_version(tmp_path / "file", model="no name")
    assert elsewhere.repository.tip() == tip


# The following tests import damaged and crafted archives.

NOW = datetime(2026, 11, 23, tzinfo=timezone.utc)
BYTES = b"weights"
LINK = ArtifactLink(name="weights", kind="model", digest=digest_of(BYTES), size=len(BYTES))
VERSION = VersionRecord(number=1, created=NOW, artifacts=(LINK,))


def entry(path, data):
    return ManifestEntry(digest_of(data), len(data), path)


def parts(*objects, version=VERSION, model="iris", more=(), drop=()):
    """Return the content of an archive by path: the records of *model* and *version*, and *objects* (default: BYTES).

    *more* maps further paths to their bytes. The paths in *drop* are left out.
    """
    found = {
        f"models/{model}/model.toml": codec.encode(ModelRecord(created=NOW)),
        paths.version_file("iris", 1): codec.encode(version),
    }
    for data in objects or (BYTES,):
        found[archives.object_path(digest_of(data))] = data
    found.update(more)
    return {path: data for path, data in found.items() if path not in drop}


def written(found, *, entries=None, change=None, after=b""):
    """Return an archive of *found*, which maps paths to bytes, with the bytes *after* at its end.

    *entries* replaces the entries of its manifest. *change* is a function that alters the header and bytes of each
    member except the manifest.
    """
    entries = entries or [entry(path, data) for path, data in found.items()]
    index = format_manifest(entries)
    members = [("gitmodel-export", index)]
    members += [
        (archives.object_path(digest), data)
        for digest, data in sorted({digest_of(d): d for d in found.values()}.items())
    ]
    out = io.BytesIO()
    for number, (name, data) in enumerate(members):
        member = tarfile.TarInfo(name)
        member.size = len(data)
        if change and number:
            member, data = change(member, data)
        out.write(member.tobuf(tarfile.GNU_FORMAT, "ascii", "strict") + data + bytes(-len(data) % 512))
    return out.getvalue() + bytes(1024) + after


def header(**fields):
    """Return a function for `change` of `written` that sets these fields in the tar header of a member."""

    def change(member, data):
        for name, value in fields.items():
            setattr(member, name, value)
        return member, data

    return change


def other_bytes(member, data):
    return member, bytes(len(data))


FOLDER = format_manifest([ManifestEntry(digest_of(b"x"), 1, "x")])
FOLDER_LINK = replace(LINK, digest=digest_of(FOLDER), format="folder")
OBJECT = archives.object_path(LINK.digest)
RECORDS = [entry(path, data) for path, data in parts().items() if path != OBJECT]
SECOND = codec.encode(replace(VERSION, number=2))
STAGE = codec.encode(records.StageRecord(version=1, artifacts="sha256:" + "0" * 64))
MODEL = codec.encode(ModelRecord(created=NOW))


def with_links(*links):
    return replace(VERSION, artifacts=links)


def with_record(path, data, *drop):
    return written(parts(more={path: data}, drop=drop))


HOSTILE = {
    "a path that leaves": written(parts(), change=header(name="../../etc/passwd")),
    "an absolute path": written(parts(), change=header(name="/etc/passwd")),
    "a link": written(parts(), change=header(type=tarfile.SYMTYPE, linkname="/etc/passwd")),
    "a hard link": written(parts(), change=header(type=tarfile.LNKTYPE, linkname="gitmodel-export")),
    "a device": written(parts(), change=header(type=tarfile.CHRTYPE)),
    "a sparse file": written(parts(), change=header(type=tarfile.GNUTYPE_SPARSE)),
    "a long name": written(parts(), change=header(type=tarfile.GNUTYPE_LONGNAME)),
    "an extended header": written(parts(), change=header(type=tarfile.XHDTYPE)),
    "odd rights": written(parts(), change=header(mode=0o4777)),
    "wrong bytes": written(parts(), change=other_bytes),
    "a huge member": written(parts(), change=header(size=1 << 62)),
    "a huge size": written(parts(), entries=[*RECORDS, ManifestEntry(LINK.digest, 1 << 62, OBJECT)]),
    "a long record": written(parts(), entries=[*RECORDS, ManifestEntry("sha256:" + "0" * 64, 1 << 17, "runs/x")]),
    "one digest of two sizes": written(parts(), entries=[*RECORDS, entry(OBJECT, BYTES), entry("a", BYTES + b"1")]),
    "something after the end": written(parts(), after=b"more"),
    "a second archive after the end": written(parts()) * 2,
    "nothing": b"",
    "no tar": b"PK\x03\x04" * 512,
    "another tar": bytes(10240),
    "no version": written(parts(drop=[paths.version_file("iris", 1)])),
    "a version of another model": written(parts(model="other")),
    "two versions": with_record(paths.version_file("iris", 2), SECOND),
    "another number": written(parts(version=replace(VERSION, number=7))),
    "a stage": with_record("models/iris/stages/production.toml", STAGE),
    "the registry's rules": with_record("gitmodel.toml", b'format = "1.0"\nstages = []\n'),
    "a file of the host": with_record(".github/workflows/x.yml", b"run: rm\n"),
    "a record that is no TOML": with_record("runs/2026/11/23/20261123T000000Z-a-b.toml", b"\xff"),
    "a bad model name": written(parts(model="CON", drop=[paths.version_file("iris", 1)])),
    "a deleted version": written(parts(version=VersionRecord(number=1, created=NOW, deleted=NOW))),
    "an artifact that it lacks": written(parts(b"other")),
    "bytes that no record names": written(parts(BYTES, b"contraband")),
    "an artifact of another length": written(parts(version=with_links(replace(LINK, size=8)))),
    "a folder without its files": written(parts(FOLDER, version=with_links(FOLDER_LINK))),
    "a folder that is none": written(parts(version=with_links(replace(LINK, format="folder")))),
    "a folder larger than it says": written(parts(FOLDER, b"x", version=with_links(replace(FOLDER_LINK, size=0)))),
}


def test_an_archive_that_the_test_builds_from_undamaged_parts_is_imported(elsewhere, tmp_path):
    run = RunRecord(
        id="20261123T000000Z-a-b",
        pipeline="a",
        status="succeeded",
        started=NOW,
        finished=NOW,
        steps=(StepRecord(name="s", status="succeeded", inputs={"x": digest_of(FOLDER)}),),
    )
    more = {paths.run_file(run.id): codec.encode(run)}
    (tmp_path / "file").write_bytes(written(parts(BYTES, FOLDER, b"x", more=more)))
    assert elsewhere.import_version(tmp_path / "file").get_artifact("weights").open().read() == BYTES


def test_a_crafted_archive_is_refused_and_leaves_nothing(elsewhere, tmp_path):
    file = tmp_path / "file"
    for what, data in HOSTILE.items():
        file.write_bytes(data)
        before = set(tmp_path.rglob("*"))
        try:
            elsewhere.import_version(file)
        except Invalid:
            pass
        else:
            pytest.fail(f"the import accepted a crafted archive: {what}")
        assert set(tmp_path.rglob("*")) == before, what
    assert elsewhere.repository.tip() is None


def test_import_detects_every_truncation_and_every_changed_byte_of_an_archive(elsewhere, tmp_path):
    whole = written(parts())
    file = tmp_path / "file"
    for end in range(0, len(whole), 211):
        file.write_bytes(whole[:end])
        with pytest.raises(Invalid):
            elsewhere.import_version(file)
    for place in range(0, len(whole), 97):
        file.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        with pytest.raises((Invalid, UsageError)):
            elsewhere.import_version(file)
    assert elsewhere.repository.tip() is None


def test_an_export_that_fails_leaves_no_file(past, tmp_path):
    version = past.get_version("iris@19")
    digest = version.get_artifact("classifier").digest
    overwrite(past.store.place(digest), b"?" * version.get_artifact("classifier").size)
    folder = tmp_path / "out"
    folder.mkdir()
    with pytest.raises(Invalid):
        version.export(folder / "file")
    assert list(folder.iterdir()) == []
