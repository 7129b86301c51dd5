"""Recording versions that another tool or machine created: `create_version` with a given number, code commit or run,
and linking artifacts by their digests if the store already has the objects.
"""

from datetime import datetime, timezone

import pytest

from gitmodel import Client, Conflict, NotFound, Refused, UsageError
from gitmodel.domain.schema.records import Code, RunRecord

COMMIT = "9fceb02d0ae598e95dc970b74767f19372d61af8"
ABSENT = "sha256:" + "ab" * 32
STARTED = datetime(2025, 3, 1, 12, tzinfo=timezone.utc)


def imported_run(id="20250301T120000Z-train-0a1b2c", **values):
    return RunRecord(id=id, pipeline="train", status="succeeded", started=STARTED, finished=STARTED, **values)


@pytest.fixture
def wine(client):
    return client.register_model("wine")


def state(client):
    return client.repository.tip()


class TestNumbers:
    def test_create_version_with_a_number_records_the_skipped_numbers_as_deleted_versions(self, client, wine):
        assert wine.create_version(number=3).reference == "wine@3"
        assert wine.create_version().number == 4
        assert wine.create_version(number=7).number == 7

        assert [version.number for version in wine.list_versions()] == [3, 4, 7]
        for number, by in ((1, 3), (2, 3), (5, 7), (6, 7)):
            with pytest.raises(NotFound, match=f"version {number} of wine was deleted: skipped by version {by}"):
                wine.get_version(number)
        assert client.check() == []

    @pytest.mark.parametrize(
        ("number", "error", "message"),
        [
            (0, UsageError, "0 cannot be the number of a version"),
            (2, Conflict, "wine has a version 2 already"),
            (1, Conflict, "wine has a version 1 already"),
            (1_004, UsageError, "version 1004 would skip 1,001 numbers of wine, and 1,000 is the most"),
            (2 * 10**9, UsageError, "2000000000 cannot be the number of a version"),
        ],
    )
    def test_create_version_refuses_a_number_that_is_taken_or_too_high(self, client, wine, number, error, message):
        wine.create_version(number=2)
        before = state(client)
        with pytest.raises(error) as refused:
            wine.create_version(number=number, data={"x": 1})
        assert refused.value.message == message
        assert state(client) == before
        assert list(client.store.digests()) == []

    def test_a_transaction_can_create_versions_with_given_numbers(self, client, wine):
        with client.transaction("Import") as change:
            model = change.get_model("wine")
            assert [model.create_version(number=number).number for number in (2, 5)] == [2, 5]
            assert model.create_version().number == 6
        assert [version.number for version in wine.list_versions()] == [2, 5, 6]
        assert client.check() == []

    def test_a_number_that_an_open_transaction_reserved_cannot_be_used_or_skipped(self, client, wine, code_repo):
        with client.transaction("Later") as change:
            assert change.get_model("wine").create_version().number == 1
            with Client(code_repo) as other:
                with pytest.raises(Conflict, match="reserved for a version that is being created"):
                    other.get_model("wine").create_version(number=1)
                assert other.get_model("wine").create_version(number=3).number == 3
        assert [version.number for version in wine.list_versions()] == [1, 3]
        assert client.check() == []

    def test_create_version_with_the_same_idempotency_key_and_number_returns_the_existing_version(self, wine):
        first = wine.create_version(number=4, idempotency_key="job 7")
        again = wine.create_version(number=4, idempotency_key="job 7")
        assert (first.number, again.number, first.is_new, again.is_new) == (4, 4, True, False)


class TestCode:
    def test_a_code_commit_that_the_code_repository_lacks_is_recorded_unchanged(self, client, wine):
        version = wine.create_version(code=COMMIT)
        assert version.code == Code(commit=COMMIT)
        assert version.code.dirty is None, "gitmodel cannot know if this code had uncommitted changes"
        assert client.check() == []

    def test_a_gate_for_clean_code_fails_if_it_is_unknown_whether_the_code_had_changes(self, client, wine):
        client.add_gate("production", "clean", "code.dirty == false")
        with pytest.raises(Refused, match="clean"):
            wine.create_version(code=COMMIT).set_stage("production")
        wine.create_version(code=Code(commit=COMMIT, dirty=False)).set_stage("production")

    def test_a_ref_keeps_a_given_code_commit_that_the_code_repository_has(self, client, wine, code_repo, git):
        head = git(code_repo, "rev-parse", "HEAD")
        wine.create_version(code=head)
        assert (
            git(code_repo, "for-each-ref", "--format=%(refname)", "refs/gitmodel/code") == f"refs/gitmodel/code/{head}"
        )

    def test_rules_for_uncommitted_changes_do_not_apply_to_given_commits(self, client, wine, code_repo, monkeypatch):
        monkeypatch.setenv("GITMODEL_DIRTY", "refuse")
        (code_repo / "train.py").write_text("changed")
        with Client(code_repo) as client:
            model = client.get_model("wine")
            with pytest.raises(Refused):
                model.create_version()
            assert model.create_version(code=COMMIT).number == 1

    def test_credentials_in_the_url_of_the_code_repository_are_not_recorded(self, wine):
        code = Code(commit=COMMIT, repository="https://ada:secret@example.com/iris.git")
        assert wine.create_version(code=code).code.repository == "https://example.com/iris.git"

    @pytest.mark.parametrize("commit", ["HEAD", COMMIT[:10], COMMIT.upper(), ""])
    def test_create_version_accepts_only_a_full_id_as_code_commit(self, client, wine, commit):
        before = state(client)
        with pytest.raises(UsageError, match="is not a full commit id"):
            wine.create_version(code=commit)
        assert state(client) == before


class TestRuns:
    def test_create_version_with_a_run_writes_version_and_run_in_one_commit(self, client, wine, git, code_repo):
        before = git(code_repo, "rev-list", "--count", "gitmodel")
        version = wine.create_version(number=2, runs=[imported_run(parameters={"lr": 0.1})])
        assert int(git(code_repo, "rev-list", "--count", "gitmodel")) == int(before) + 1
        run = client.get_run(version.runs[0])
        assert (run.record.versions, run.record.parameters) == (("wine@2",), {"lr": 0.1})
        assert [found.id for found in client.view_version_runs("wine@2")[1]] == [run.id]
        assert client.check() == []

    def test_a_second_version_with_the_same_run_does_not_change_the_record_of_the_run(self, client, wine):
        run = imported_run()
        wine.create_version(runs=[run])
        assert wine.create_version(runs=[run]).runs == wine.create_version(runs=[run.id]).runs == [run.id]
        assert client.get_run(run.id).record.versions == ("wine@1",)

    @pytest.mark.parametrize(
        ("runs", "error"),
        [
            (["20250301T120000Z-train-ffffff"], NotFound),
            ([imported_run(parameters={"lr": 2})], Conflict),
            ([imported_run(id="unusual")], UsageError),
            ([imported_run(error=3)], UsageError),
        ],
    )
    def test_create_version_refuses_an_unknown_run_and_a_different_record_of_a_run(self, client, wine, runs, error):
        wine.create_version(runs=[imported_run()])
        before = state(client)
        with pytest.raises(error):
            wine.create_version(runs=runs)
        assert state(client) == before


class TestLinksByDigest:
    @pytest.fixture
    def source(self, wine, tmp_path):
        folder = tmp_path / "net"
        folder.mkdir()
        (folder / "a.bin").write_bytes(b"abc")
        (folder / "b.bin").write_bytes(b"defg")
        table = tmp_path / "train.csv"
        table.write_text("a,b\n1,2\n")
        return wine.create_version(data={"train": table}, model_objects={"net": folder})

    @pytest.mark.parametrize("name", ["train", "net"])
    def test_an_artifact_linked_by_digest_has_the_same_link_as_the_stored_artifact(self, client, wine, source, name):
        there = source.get_artifact(name)
        before = sorted(client.store.digests())
        version = wine.create_version()
        format = "folder" if name == "net" else ""
        linked = version.link_artifact(
            name, digest=there.digest, kind=there.kind, format=format, file=there.link.file, metadata={"from": "1"}
        )
        assert (linked.digest, linked.size, linked.format) == (there.digest, there.size, there.format)
        assert (linked.link.file, linked.metadata) == (there.link.file, {"from": "1"})
        assert sorted(client.store.digests()) == before
        assert [found.error for found in client.verify(version.reference)] == [""]

    def test_a_transaction_can_create_a_version_and_link_an_artifact_by_digest(self, client, wine, source):
        with client.transaction("Import") as change:
            version = change.get_model("wine").create_version(number=9)
            version.link_artifact("train", digest=source.get_artifact("train").digest)
        assert [artifact.name for artifact in version.artifacts] == ["train"]

    @pytest.mark.parametrize(
        ("given", "error"),
        [
            ({"digest": ABSENT}, NotFound),
            ({"digest": ABSENT, "format": "folder"}, NotFound),
            ({"digest": "sha256:12"}, UsageError),
            ({"digest": ABSENT, "source": 3}, UsageError),
            ({}, UsageError),
            ({"source": 3, "file": "x"}, UsageError),
        ],
    )
    def test_linking_the_digest_of_an_object_that_the_store_lacks_is_refused(self, client, wine, given, error):
        version = wine.create_version()
        before = state(client)
        with pytest.raises(error):
            version.link_artifact("x", **given)
        assert state(client) == before

    def test_linking_the_digest_of_a_folder_is_refused_if_the_store_lacks_its_manifest(self, client, wine, source):
        net = source.get_artifact("net")
        client.store.remove(net.digest)
        with pytest.raises(NotFound):
            wine.create_version().link_artifact("net", digest=net.digest, format="folder")


def test_commands_record_versions_made_elsewhere_and_link_artifacts_by_digest(client, wine, transcript, tmp_path):
    table = tmp_path / "train.csv"
    table.write_text("a,b\n1,2\n")
    digest = wine.create_version(number=2, data={"train": table}, runs=[imported_run()]).get_artifact("train").digest
    transcript(f"""
        $ git model version create wine --number 4 --code {COMMIT} --run 20250301T120000Z-train-0a1b2c -q
        wine@4
        $ git model version create wine --number 4
        ! error: wine has a version 4 already
        ! hint: numbers only grow: give 5 or a higher number, or leave the number out
        [4]
        $ git model version create wine --code HEAD
        ! error: 'HEAD' is not a full commit id
        ! hint: ...
        [2]
        $ git model link wine@4 --data train={digest} --by-digest -q
        wine@4
        $ git model link wine@4 --data other={ABSENT} --by-digest
        ! error: the artifact store does not have {ABSENT}
        ! hint: ...
        [3]
        $ git model link wine@4 --data other={ABSENT} --by-digest --external
        ! error: ...
        ! hint: ...
        [2]
    """)
    assert client.view_version("wine@4").record.code == Code(commit=COMMIT)


def test_a_pull_gives_new_numbers_to_a_local_version_and_the_skipped_numbers_before_it(
    client, wine, code_repo, tmp_path, git, origin
):
    client.push()
    other = tmp_path / "other"
    git(tmp_path, "clone", "-q", str(origin), str(other))
    with Client(other) as theirs:
        theirs.pull()
        theirs.get_model("wine").create_version()
        theirs.push()
    wine.create_version(number=3)
    client.pull()
    assert [version.number for version in wine.list_versions()] == [1, 4]
    assert client.check() == []
