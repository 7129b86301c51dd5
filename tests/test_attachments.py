"""Attachments: files such as pictures and reports that can be added to a version at any time, also in a stage.

The artifacts of a version in a stage can no longer change, but its attachments can. The limit for a picture is 100 MB.
"""

import editing
import pytest
from expected_errors import error_with_hint
from transcripts import fail, said, succeed

from gitmodel import Client, Conflict, NotFound, Refused, UsageError
from gitmodel.domain.schema import paths
from gitmodel.registry import setup
from gitmodel.registry.health import checking
from gitmodel.stores.sources import source_pictures

PNG = b"\x89PNG\r\n\x1a\n" + b"picture" * 9
FILE = paths.version_file("iris", 1)


@pytest.fixture
def staged(client, tmp_path):
    """A client of a registry with iris@1, which is in production and has the artifact classifier."""
    version = client.get_version("iris@1")
    version.link_artifact("classifier", {"w": 1}, kind="model")
    version.set_stage("production")
    (tmp_path / "cm.png").write_bytes(PNG)
    return client


def test_files_folders_and_values_can_be_attached_to_a_version_in_production(staged, tmp_path, git):
    version = staged.get_version("iris@production")
    editing.begin_at_format(staged.repository.common_dir, "1.1")
    promoted = version.get_artifact().digest
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "cm.png").write_bytes(PNG)
    attached = version.attach("cm", tmp_path / "cm.png", metadata={"rows": 3})
    version.attach_all({"report": {"f1": 0.9}, "notes": str(tmp_path / "notes")})
    assert (attached.name, attached.kind, attached.format, attached.size) == ("cm", "attachment", "png", len(PNG))
    assert [found.name for found in version.attachments] == ["cm", "notes", "report"]
    assert [found.name for found in version.artifacts] == ["classifier"]
    assert version.get_attachment("report").load() == {"f1": 0.9}
    assert version.get_attachment("cm").path().read_bytes() == PNG
    assert (version.get_attachment("notes").download(tmp_path / "out") / "cm.png").read_bytes() == PNG
    assert version.get_artifact().digest == promoted
    attached.log_metadata(columns=3)
    assert attached.metadata == {"columns": 3, "rows": 3}
    version.attach("cm", tmp_path / "cm.png")  # attaching the same bytes again changes nothing
    assert staged.get_version("iris@production").stage == "production"
    version.detach("report")
    assert [found.name for found in staged.get_version("iris@1").attachments] == ["cm", "notes"]
    assert checking.check(staged.repository) == []
    assert editing.read(staged.repository.common_dir, "gitmodel.toml").startswith('format = "1.2"')
    log = git(staged.repository.common_dir, "log", "--format=%s", "gitmodel").splitlines()
    assert log[:3] == ["Detach report from iris 1", "Set columns of cm of iris 1", "Attach report and notes to iris 1"]


def test_an_attachment_cannot_have_the_name_of_an_artifact_or_be_used_as_an_artifact(staged, tmp_path):
    version = staged.get_version("iris@1")
    version.attach("cm", tmp_path / "cm.png")
    with pytest.raises(Refused, match="the artifacts of iris 1 cannot change, because it is in production"):
        version.link_artifact("extra", [1])
    with pytest.raises(Refused, match="cannot change"):
        version.unlink("classifier")
    with pytest.raises(Conflict, match="iris 1 has an artifact named classifier"):
        version.attach("Classifier", [1])
    with pytest.raises(Conflict, match="iris 1 has another attachment cm"):
        version.attach("cm", [1])
    with error_with_hint(NotFound, "cm of iris@1 is an attachment, not an artifact", "--attachment cm"):
        version.get_artifact("cm")
    with error_with_hint(NotFound, "no attachment 'classifier'", "classifier is an artifact"):
        version.get_attachment("classifier")
    with error_with_hint(NotFound, "no attachment 'cmm'", "did you mean cm?"):
        version.detach("cmm")
    version.set_stage("none")
    with pytest.raises(Conflict, match="iris 1 has an attachment named cm"):
        version.link_artifact("cm", [1])
    assert [found.name for found in version.attachments] == ["cm"]


def test_check_refuses_a_changed_artifact_link_of_a_version_with_an_attachment(staged, tmp_path):
    folder = staged.repository.common_dir
    before = staged.repository.tip()
    staged.get_version("iris@1").attach("cm", tmp_path / "cm.png")
    assert not staged.check_between(f"{before}..gitmodel").problems
    assert staged.get_version("iris@production").get_artifact().load() == {"w": 1}
    text = editing.read(folder, FILE)
    digest = staged.get_version("iris@1").get_attachment("cm").digest
    editing.edit(folder, {FILE: text.replace(staged.get_version("iris@1").get_artifact().digest, digest, 1)})
    found = staged.check_between(f"{before}..gitmodel").problems
    assert {problem.rule for problem in found} >= {"change.version"}
    assert {problem.rule for problem in checking.check(staged.repository)} == {"stage.artifacts"}


ATTACHED = '\n[[attachments]]\nname = "{}"\ndigest = "sha256:{:064x}"\nsize = 3\nformat = "png"\n'


@pytest.mark.parametrize(
    ("added", "rule"),
    [
        (ATTACHED.format("classifier", 1), "version.attachments"),
        (ATTACHED.format("b", 1) + ATTACHED.format("a", 2), "version.attachments"),
        (ATTACHED.format("a", 1) + ATTACHED.format("A", 2), "version.attachments"),
        (ATTACHED.format("../cm", 1), "record.type"),
        (ATTACHED.format("cm", 1).replace("format", 'kind = "model"\nformat'), "record.type"),
        (ATTACHED.format("cm", 1).replace('"png"', '"../png"'), "record.type"),
        (ATTACHED.format("cm", 1).replace("size = 3", "size = -3"), "record.type"),
        (ATTACHED.format("cm", 1).replace("sha256:", "md5:"), "record.type"),
        ('\n[attachments]\ncm = "cm.png"\n', "record.type"),
        (ATTACHED.format("cm", 1) + 'uri = "s3://ada:pw@bucket/cm.png"\n', "registry.stores"),
    ],
)
def test_check_finds_faults_in_attachments_that_were_edited_by_hand(staged, added, rule):
    folder = staged.repository.common_dir
    editing.edit(folder, {FILE: editing.read(folder, FILE) + added})
    found = {problem.rule for problem in checking.check(staged.repository)}
    assert rule in found


def test_check_reports_attachments_in_a_registry_whose_format_does_not_support_attachments(staged, tmp_path):
    staged.get_version("iris@1").attach("cm", tmp_path / "cm.png")
    folder = staged.repository.common_dir
    editing.begin_at_format(folder, "1.1")
    assert "record.format" in {problem.rule for problem in checking.check(staged.repository)}


def test_a_deleted_version_has_no_attachments(staged, tmp_path):
    version = staged.get_model("iris").create_version()
    version.attach("cm", tmp_path / "cm.png")
    version.delete()
    folder = staged.repository.common_dir
    path = paths.version_file("iris", 2)
    assert "attachments" not in editing.read(folder, path)
    editing.edit(folder, {path: editing.read(folder, path) + ATTACHED.format("cm", 1)})
    assert "version.tombstone" in {problem.rule for problem in checking.check(staged.repository)}


def test_attachments_are_kept_by_gc_and_included_in_copy_verify_and_export(staged, tmp_path, code_repo):
    version = staged.get_version("iris@1")
    attached = version.attach("cm", tmp_path / "cm.png")
    assert staged.find_garbage(grace_days=0).objects == ()
    assert {found.digest for found in staged.verify() if not found.error} >= {attached.digest}
    (tmp_path / "copy").mkdir()
    staged.copy_store((tmp_path / "copy").as_uri())
    assert list((tmp_path / "copy").rglob(attached.digest.removeprefix("sha256:")[2:] + "*"))
    version.export(tmp_path / "iris.export")
    imported = staged.import_version(tmp_path / "iris.export", model="rose")
    assert imported.get_attachment("cm").path().read_bytes() == PNG


def test_an_attachment_is_searched_for_credentials(staged, tmp_path):
    (tmp_path / "report.txt").write_text("token = ghp_" + "a1B2" * 9)
    with pytest.raises(Refused, match="credentials"):
        staged.get_version("iris@1").attach("report", tmp_path / "report.txt")
    with pytest.raises(Refused, match="looks like"):
        staged.get_version("iris@1").attach("cm", tmp_path / "cm.png", metadata={"password": "hunter2"})
    assert staged.get_version("iris@1").attachments == []


@pytest.fixture
def large(tmp_path):
    """A picture of 200 MB; the file is sparse."""
    path = tmp_path / "cm.png"
    path.write_bytes(PNG)
    with open(path, "r+b") as file:
        file.truncate(200_000_000)
    return path


STORED = {
    "attach": lambda client, file: client.get_version("iris@1").attach("cm", file),
    "attach_all": lambda client, file: client.get_version("iris@1").attach_all({"small": [1], "cm": file}),
    "create_version": lambda client, file: client.get_model("iris").create_version(data={"a": [1], "cm": file}),
    "link_artifact": lambda client, file: client.get_version("iris@2").link_artifact("cm", file, kind="deployment"),
    "link_artifacts": lambda client, file: client.get_version("iris@2").link_artifacts(data={"cm": file}),
}


@pytest.mark.parametrize("store", STORED.values(), ids=STORED)
@pytest.mark.parametrize("seen_by", ["content", "suffix"])
def test_no_command_or_method_stores_a_picture_over_the_limit(staged, large, store, seen_by):
    staged.get_model("iris").create_version()
    file = large.rename(large.with_name("cm.dat")) if seen_by == "content" else large
    if seen_by == "suffix":
        with open(file, "r+b") as writer:
            writer.write(b"GIMP")
    tip, objects = staged.repository.tip(), set(staged.store.digests())
    with error_with_hint(
        UsageError, "the picture cm has 200 MB, more than the limit of 100 MB", "a folder or an archive"
    ):
        store(staged, file)
    assert (staged.repository.tip(), set(staged.store.digests())) == (tip, objects)


def test_attaching_a_large_picture_in_a_run_of_a_script_is_refused_and_the_run_continues(staged, large):
    with staged.start_run("train") as run:
        with pytest.raises(UsageError, match="the picture cm has 200 MB"):
            run.link_artifact("cm", large)
        with pytest.raises(UsageError, match="the picture cm has 200 MB"):
            run.create_version("iris", data={"cm": large})
        run.create_version("iris").link_artifact("small", [1])
    assert [found.name for found in staged.get_version("iris@2").artifacts] == ["small"]


def test_linking_or_attaching_the_bytes_of_a_picture_over_the_limit_is_refused(staged, monkeypatch):
    monkeypatch.setattr(source_pictures, "LARGEST_PICTURE", 40)
    version = staged.get_model("iris").create_version()
    with pytest.raises(UsageError, match="the picture cm has 0 MB"):
        version.link_artifact("cm", PNG)
    with pytest.raises(UsageError, match="the picture cm has 0 MB"):
        version.attach("cm", PNG, format="bytes")
    assert not version.artifacts
    assert not version.attachments


def test_a_large_picture_in_a_folder_and_a_large_file_that_is_no_picture_are_stored(staged, monkeypatch, tmp_path):
    monkeypatch.setattr(source_pictures, "LARGEST_PICTURE", 40)
    (tmp_path / "scans").mkdir()
    (tmp_path / "scans" / "cm.png").write_bytes(PNG)
    (tmp_path / "scene.tif").write_bytes(b"II*" + bytes(99))
    version = staged.get_version("iris@1")
    version.attach_all({"scans": tmp_path / "scans", "scene": tmp_path / "scene.tif"})
    assert [found.size for found in version.attachments] == [len(PNG), 102]


def test_keys_in_the_metadata_of_an_attachment_are_set_and_removed_one_by_one(staged, tmp_path, git):
    version = staged.get_version("iris@1")
    attached = version.attach("cm", tmp_path / "cm.png", metadata={"rows": 3, "draft": True})
    version.set_metadata({"columns": 2}, remove=["draft"], attachment="cm")
    assert attached.metadata == {"columns": 2, "rows": 3}
    attached.set_metadata(remove=["rows"])
    version.log_metadata(columns=4, attachment="cm")
    attached.log_metadata(note=None)  # records nothing, because None removes a key and there is no key `note`
    assert (attached.metadata, version.metadata) == ({"columns": 4}, {})
    tip = staged.repository.tip()
    with pytest.raises(NotFound, match="cm of iris@1 has no metadata 'row' to remove"):
        attached.set_metadata(remove=["row"])
    with pytest.raises(UsageError, match="the key 'columns' is both set and removed"):
        attached.set_metadata({"columns": 1}, remove=["columns"])
    with pytest.raises(UsageError, match="for the artifact 'classifier' and the attachment 'cm' at once"):
        version.set_metadata({"a": 1}, artifact="classifier", attachment="cm")
    with pytest.raises(NotFound, match="no attachment 'classifier'"):
        version.set_metadata({"a": 1}, attachment="classifier")
    version.detach("cm")
    with pytest.raises(NotFound, match="no attachment 'cm'"):
        attached.log_metadata(rows=1)  # metadata alone does not attach the file again
    assert git(staged.repository.common_dir, "rev-parse", "gitmodel^").strip() == tip


def test_attach_with_follow_links_stores_the_targets_of_symbolic_links_if_the_given_root_contains_them(
    staged, tmp_path, monkeypatch, capsys
):
    (tmp_path / "cache").mkdir()
    (tmp_path / "cm.png").rename(tmp_path / "cache" / "0123")
    (tmp_path / "report").mkdir()
    (tmp_path / "report" / "cm.png").symlink_to(tmp_path / "cache" / "0123")
    version = staged.get_version("iris@1")
    with error_with_hint(UsageError, "is a link to a target outside its folder", "--follow-links ROOT"):
        version.attach("report", tmp_path / "report")
    with pytest.raises(UsageError, match="a target outside"):
        version.attach_all({"report": tmp_path / "report"}, follow_links=tmp_path / "report")
    found = version.attach("report", tmp_path / "report", follow_links=tmp_path / "cache")
    assert (found.path() / "cm.png").read_bytes() == PNG
    monkeypatch.setenv("GITMODEL_REPO", str(staged.repository.common_dir))
    monkeypatch.chdir(tmp_path)
    succeed(capsys, "link", "iris@1", "--attachment", "cm=report/cm.png", "--follow-links", "cache")
    assert version.get_attachment("cm").link.file == "cm.png"


def test_a_transaction_can_attach_a_file_to_a_version(staged, tmp_path):
    with staged.transaction("Look at iris") as change:
        change.get_version("iris@1").attach("cm", tmp_path / "cm.png")
    assert [found.name for found in staged.get_version("iris@1").attachments] == ["cm"]


def test_a_version_that_is_read_at_its_stage_tag_shows_attachments_that_were_added_later(staged, tmp_path, git):
    server = tmp_path / "server.git"
    git(".", "init", "-q", "--bare", server)
    git(".", "remote", "add", "origin", server)
    setup.begin(staged.repository, store=(tmp_path / "store").as_uri())
    staged.trust_store()
    staged.get_version("iris@1").attach("cm", tmp_path / "cm.png")
    staged.push()
    with Client(repo=server.as_uri(), store=(tmp_path / "store").as_uri()) as client:
        version = client.get_version("iris@production")
        assert version.frozen
        assert [found.name for found in version.attachments] == ["cm"]
        assert version.get_attachment("cm").path().read_bytes() == PNG
        version.attach("report", {"f1": 1.0})
        assert client.get_version("iris@1").get_attachment("report").load() == {"f1": 1.0}
    staged.pull()


def test_commands_attach_show_get_and_remove_attachments(staged, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("GITMODEL_REPO", str(staged.repository.common_dir))
    monkeypatch.chdir(tmp_path)

    linked = succeed(capsys, "link", "iris@production", "--attachment", "cm=cm.png", "--as-format", "cm=bytes")
    assert linked == "attached cm to iris@1\n"
    assert "changed: attachments.cm  " in succeed(capsys, "log", "iris", "--limit", "1")
    shown = succeed(capsys, "version", "show", "iris@1")
    assert "attachments  cm  bytes, 71 B" in shown
    fields = said(capsys, "version", "show", "iris@1")[1]
    assert [(found["name"], found["kind"]) for found in fields["attachments"]] == [("cm", "attachment")]
    assert [found["name"] for found in fields["artifacts"]] == ["classifier"]
    assert "wrote cm of iris@1 to out.png" in succeed(
        capsys, "get", "iris@production", "--attachment", "cm", "-o", "out.png"
    )
    assert (tmp_path / "out.png").read_bytes() == PNG
    assert succeed(capsys, "version", "list", "iris", "--filter", 'attachments.exists(a, a.name == "cm")', "--quiet")
    refused = fail(capsys, 2, "link", "iris@1", "--attachment", "a=cm.png", "--data", "b=cm.png")
    assert "attachments are added apart from artifacts" in refused
    assert "give either --attachment" in fail(capsys, 2, "get", "iris@1", "classifier", "--attachment", "cm")
    assert "did you mean cm?" in fail(capsys, 3, "unlink", "iris@1", "--attachment", "cmm", "--yes")
    assert "ARTIFACT is missing" in fail(capsys, 2, "unlink", "iris@1")
    done = succeed(capsys, "metadata", "set", "iris@1", "--attachment", "cm", "rows=3", "draft=true")
    assert done == "set rows, draft of cm of iris@1\n"
    assert succeed(capsys, "metadata", "set", "iris@1", "--attachment", "cm", "--remove", "draft").startswith(
        "removed draft of"
    )
    assert succeed(capsys, "metadata", "show", "iris@1", "--attachment", "cm").split() == ["KEY", "VALUE", "rows", "3"]
    assert "cannot be combined" in fail(
        capsys, 2, "metadata", "show", "iris@1", "--attachment", "cm", "--artifact", "classifier"
    )
    assert (
        succeed(capsys, "unlink", "iris@1", "--attachment", "cm", "--yes") == "removed the attachment cm from iris@1\n"
    )
    assert "attachments" not in succeed(capsys, "version", "show", "iris@1")
