"""`copy` creates a version in another registry: by path or on a git server, directly or as a proposal."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest
from hosting import Host, write_hook
from teamwork import assert_sound, refs, run_apart
from transcripts import ask, check_transcript

from gitmodel import Client, Conflict, GateRefused, NotFound, Refused, Unreachable, UsageError
from gitmodel.domain.schema.refs import StageRef
from gitmodel.domain.secrets.credentials import recordable_url

REFUSE = "while read old new ref; do case $ref in {}) echo not here >&2; exit 1;; esac; done"


@pytest.fixture
def source(tmp_path, git):
    """The registry to copy from, whose remote has a URL with a password.

    Its iris@2 has a folder and an attached file, and a run created it from an artifact of iris@1.
    """
    folder, net = tmp_path / "source", tmp_path / "source" / "net"
    git(tmp_path, "init", "-q", str(folder))
    net.mkdir()
    (net / "a.bin").write_bytes(b"abc")
    (net / "b.bin").write_bytes(b"defg")
    (folder / "report.txt").write_text("good")
    with Client(folder) as client:
        client.register_model("iris", license="MIT", owners=["ada"])
        git(folder, "remote", "add", "origin", "https://ada:secret@git.example.org/dev.git")
        with client.start_run("prepare") as run:
            table = run.create_version("iris")
            table.link_artifact("table", [1, 2, 3])
        with client.start_run("train") as run:
            run.use(client.get_version("iris@1").get_artifact("table"))
            made = run.create_version("iris", name="1.2.3", metadata={"accuracy": 0.9})
            made.link_artifact("net", net, kind="model")
        client.get_version("iris@2").attach("report", folder / "report.txt")
        yield client


@pytest.fixture
def target(tmp_path, git):
    """An empty repository, the target of copies by path."""
    folder = tmp_path / "target"
    git(tmp_path, "init", "-q", str(folder))
    return folder


def state(client):
    return client.repository.tip(), sorted(client.store.digests())


class TestByPath:
    def test_a_copied_version_has_the_record_the_runs_and_the_bytes_of_its_original(self, source, target):
        copied = source.copy_version("iris@2", target)
        assert (copied.source, copied.reference, copied.new, copied.branch, copied.missing) == (
            "iris@2", "iris@2", True, None, ()
        )  # fmt: skip
        with Client(target) as there:
            ours, theirs = source.view_version("iris@2").record, there.view_version("iris@2").record
            for key in ("number", "name", "created", "metadata", "artifacts", "attachments", "runs", "code"):
                assert getattr(theirs, key) == getattr(ours, key), key
            origin = theirs.origin
            assert (origin.registry, origin.model, origin.version) == ("https://git.example.org/dev.git", "iris", 2)
            assert origin.commit == source.repository.tip()
            assert there.get_model("iris").license == "MIT"
            assert [found.error for found in there.verify("iris@2")] == ["", ""]
            up = [node.id for node in there.lineage("iris@2", down=False).nodes if node.kind == "run"]
            assert sorted(run.rpartition("-")[0][17:] for run in up) == ["prepare", "train"]
            assert there.check() == []
            message = there.repository.commits.read(there.repository.tip()).message
        assert message.startswith("Copy iris 2\n")
        assert "\nOrigin: iris@2 of https://git.example.org/dev.git\n" in message

    def test_copying_a_version_again_changes_nothing_even_if_the_copy_was_changed(self, source, target):
        source.copy_version("iris@2", target)
        with Client(target) as there:
            there.get_version("iris@2").log_metadata(checked=True)
            before = state(there)
            source.get_version("iris@2").log_metadata(later=True)
            again = source.copy_version("iris@2", there)
            assert (again.reference, again.new, again.sent) == ("iris@2", False, 0)
            assert state(there) == before

    def test_copying_a_copy_back_to_its_origin_returns_the_original_version(self, source, target):
        source.copy_version("iris@2", target, model="rose")
        with Client(target) as there:
            back = there.copy_version("rose@2", source, model="iris")
        assert (back.reference, back.new) == ("iris@2", False)

    def test_a_copy_gets_the_next_number_if_its_number_is_taken(self, source, target):
        with Client(target) as there:
            iris = there.register_model("iris")
            for _ in range(5):
                iris.create_version()
            assert source.copy_version("iris@2", there).reference == "iris@6"
            assert source.copy_version("iris@2", there).new is False
            run = there.get_run(there.get_version("iris@6").runs[0])
            assert run.record.versions == ("iris@6",)

    def test_a_copy_does_not_upload_objects_that_the_target_store_has(self, source, target, tmp_path):
        with Client(target) as there:
            there.register_model("rose").create_version(data={"b": tmp_path / "source" / "net" / "b.bin"})
            copied = source.copy_version("iris@2", there)
            assert copied.sent == len(b"abc") + len(b"defg") + len("good")
            assert source.copy_version("iris@2", there, model="tulip").sent == 0

    def test_a_copy_uploads_only_once_the_content_that_two_artifacts_share(self, source, target):
        version = source.get_model("iris").create_version(data={"one": 12345, "two": 12345})
        assert source.copy_version(version.ref, target).sent == version.get_artifact("one").size

    def test_a_copy_between_registries_with_one_store_uploads_nothing(self, tmp_path, source, target):
        shared = (tmp_path / "shared").as_uri()
        with Client(tmp_path / "source", store=shared) as one, Client(target, store=shared) as two:
            one.get_model("iris").create_version(data={"x": 1})
            before = sorted(two.store.digests())
            copied = one.copy_version("iris@3", two)
            assert (copied.sent, sorted(two.store.digests())) == (0, before)
            assert [found.error for found in two.verify("iris@3")] == [""]

    def test_a_copy_to_a_stage_must_satisfy_the_rules_of_the_target_and_is_one_commit(self, source, target):
        with Client(target) as there:
            there.register_model("iris")
            there.add_gate("production", "accurate", "metadata.accuracy > 0.95")
            before = state(there)
            with pytest.raises(GateRefused, match="accurate"):
                source.copy_version("iris@2", there, stage="production")
            assert state(there) == before, "a refused copy must not change the target"
            copied = source.copy_version("iris@2", there, stage="staging", reason="try it")
            assert (copied.stage, there.get_version("iris@staging").number) == ("staging", 2)
            assert there.repository.commits.read(there.repository.tip()).parent == before[0]
            assert source.copy_version("iris@2", there, stage="staging").stage is None
            forced = source.copy_version("iris@2", there, stage="production", force=True, reason="agreed")
            assert (forced.new, forced.stage) == (False, "production")

    def test_a_copy_to_a_proposal_only_stage_is_refused_before_anything_is_uploaded(self, source, target):
        with Client(target) as there:
            there.register_model("iris")
            there.update_stage("production", proposal_only=True)
            before = state(there)
            with pytest.raises(Refused, match="the stage production of the other registry accepts only proposals"):
                source.copy_version("iris@2", there, stage="production")
            assert state(there) == before
            copied = source.copy_version("iris@2", there, stage="production", propose=True)
            assert there.repository.tip() == before[0]
            (proposal,) = there.list_proposals()
            assert proposal.branch == copied.branch
            assert (proposal.plan.versions, proposal.plan.problems) == (("iris@2",), ())
            assert [(change.place, change.new) for change in proposal.plan.changes] == [("production", 2)]

    @pytest.mark.parametrize(
        ("reference", "given", "error"),
        [
            ("iris@9", {}, NotFound),
            ("rose@1", {}, NotFound),
            ("iris@2", {"model": "not a name"}, UsageError),
            ("iris@2", {"model": "taken"}, Conflict),
            ("iris@2", {"model": "gone"}, NotFound),
            ("iris@2", {"stage": "nowhere"}, UsageError),
        ],
    )
    def test_an_invalid_copy_is_refused_before_anything_is_uploaded(self, source, target, reference, given, error):
        with Client(target) as there:
            there.register_model("taken").create_version("1.2.3")
            there.register_model("gone")
            there.delete_model("gone")
            before = state(there)
            with pytest.raises(error):
                source.copy_version(reference, there, **given)
            assert state(there) == before

    def test_a_copy_whose_name_is_taken_is_refused_and_the_hint_names_the_option_to_use(self, source, target):
        with Client(target) as there:
            there.register_model("taken").create_version("1.2.3")
            with pytest.raises(Conflict, match=r"taken 1 has the name 1\.2\.3") as caught:
                source.copy_version("iris@2", there, model="taken")
        assert "copy the version into another model with --as MODEL" in caught.value.hint

    def test_a_copy_of_a_version_with_a_missing_artifact_names_the_artifact_and_creates_no_version(
        self, source, target
    ):
        source.store.remove(source.get_version("iris@2").get_artifact("net").digest)
        with pytest.raises(NotFound):
            source.copy_version("iris@2", target)
        with Client(target) as there, pytest.raises(NotFound):
            there.get_version("iris@2")

    def test_two_copies_of_a_version_at_the_same_time_create_one_version(self, source, target, tmp_path):
        with Client(target) as there:
            there.register_model("iris")
        with ThreadPoolExecutor(3) as pool:
            copy = ("copy", "iris@2", "--to", str(target))
            done = list(pool.map(lambda _: run_apart(tmp_path / "source", *copy), range(3)))
        assert [code for code, _, _ in done] == [0] * 3, done
        with Client(target) as there:
            assert [version.number for version in there.get_model("iris").list_versions()] == [2]
            assert there.check() == []

    def test_the_next_copy_completes_a_copy_that_was_killed_before_its_commit(self, source, target, tmp_path):
        killed = (
            "import os\nfrom gitmodel import Client\nfrom gitmodel.branch.transactions import transaction\n"
            "transaction._make = lambda *_: os.kill(os.getpid(), 9)\n"
            f"Client({str(tmp_path / 'source')!r}).copy_version('iris@2', {str(target)!r})\n"
        )
        assert subprocess.run([sys.executable, "-c", killed]).returncode == -9
        with Client(target) as there:
            assert len(sorted(there.store.digests())) > 2
            copied = source.copy_version("iris@2", there)
            assert (copied.reference, copied.new, copied.sent) == ("iris@2", True, 0)
            assert [found.error for found in there.verify("iris@2")] == ["", ""]


class TestByURL:
    def test_a_version_is_copied_from_and_to_each_kind_of_server(self, source, team, url, bare):
        there = team.by_url("job", url)
        copied = source.copy_version("iris@2", there, model="rose", stage="production")
        assert (copied.reference, copied.stage, copied.branch) == ("rose@2", "production", None)
        assert StageRef("rose", "production").full in refs(bare)
        back = there.copy_version("iris@3", source, model="tulip")
        assert (back.reference, back.new) == ("tulip@3", True)
        assert source.view_version("tulip@3").record.origin.registry == recordable_url(url)
        assert_sound(bare, store=team.store)

    def test_copy_pushes_a_branch_for_a_pull_request_if_the_server_refuses_the_metadata_branch(
        self, source, team, host, bare, tmp_path
    ):
        hook = write_hook(bare, "pre-receive", REFUSE.format("refs/heads/gitmodel"))
        job = team.by_url("job", host.registry)
        before = refs(bare)
        copied = source.copy_version("iris@2", job, model="rose", stage="production", reason="better")
        assert copied.branch.startswith("propose/rose/copy/2-")
        assert refs(bare) == before
        again = source.copy_version("iris@2", team.by_url("other", host.registry), model="rose", stage="production")
        assert (again.new, again.branch, again.reference) == (False, copied.branch, "rose@2")
        (proposal,) = job.list_proposals()
        assert (proposal.branch, proposal.plan.versions, proposal.plan.problems) == (copied.branch, ("rose@2",), ())
        hook.unlink()
        assert Host(tmp_path, bare).merge(copied.branch, "squash")
        job.apply()
        assert job.list_proposals() == []
        assert job.get_version("rose@production").number == 2
        assert source.copy_version("iris@2", job, model="rose").new is False
        assert_sound(bare, store=team.store)

    def test_copy_shows_both_refusals_and_changes_nothing_if_the_server_refuses_both_branches(
        self, source, team, host, bare, git
    ):
        write_hook(bare, "pre-receive", REFUSE.format("*"))
        before = git(bare, "for-each-ref")
        with pytest.raises(Refused, match="a branch for a pull request was refused, too") as refused:
            source.copy_version("iris@2", team.by_url("job", host.registry))
        assert "git model export" in refused.value.hint
        assert git(bare, "for-each-ref") == before

    def test_copy_names_a_server_that_cannot_be_reached(self, source):
        with pytest.raises(Unreachable, match=r"127\.0\.0\.1:9/x"):
            source.copy_version("iris@2", "http://127.0.0.1:9/x.git")


def test_the_command_copy_prints_what_was_copied(source, target, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path / "source")
    check_transcript(
        capsys,
        """
        $ git model copy iris@2 --to ../target
        copied iris@2 to iris@2 (11 B sent)
        $ git model copy iris@2 --to ../target
        iris@2 is there already as iris@2
        $ git model copy iris@2 --to ../target --as rose --stage staging
        copied iris@2 to rose@2, in staging now (no artifact had to be sent)
        $ git model copy iris --to ../target
        ! error: ...
        ! hint: ...
        [2]
        $ git model copy iris@2 --to ../target --reason why
        ! error: ...
        ! hint: ...
        [2]
        $ git model copy iris@2
        ! error: ...
        ! hint: ...
        [2]
        """,
    )
    code, out, _ = ask(capsys, "copy", "iris@2", "--to", target, "--as", "tulip", "--propose")
    assert (code, out.partition("-")[0]) == (0, "iris@2 is proposed as tulip@2 on the branch propose/tulip/copy/2")
    code, out, _ = ask(capsys, "-C", target, "proposals")
    assert "adds tulip@2" in out
    code, out, _ = ask(capsys, "-C", target, "show", "iris@2")
    assert "copied from  iris@2 of https://git.example.org/dev.git" in out
