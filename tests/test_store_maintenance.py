"""Maintenance of artifact stores: `git model store` with `status`, `copy`, `gc` (remove garbage) and `purge` (erase).

An object is garbage if no version, run, stage tag, proposal or recent upload needs it.
"""

import io
import json
import os
import time

import pytest
from editing import edit, overwrite, read
from transcripts import ask, said, succeed

from gitmodel import Client, pipeline, step
from gitmodel.domain.schema import paths
from gitmodel.domain.schema.digests import digest_of
from gitmodel.errors import Invalid, NotFound, Refused, Unreachable, UsageError
from gitmodel.registry.named_stores.garbage import remove_garbage
from gitmodel.stores.artifacts.copying import keep_artifact
from gitmodel.stores.local_store import LocalStore
from gitmodel.stores.opening import open_store

NET = digest_of(b"net\n")
TRAIN = digest_of(b"train\n")
FIRST = digest_of(b"first\n")


@pytest.fixture
def iris(code_repo, monkeypatch, capsys):
    """A registry: iris@1 has the artifacts `net` (a file) and `data` (a folder), iris@2 the files `net` and `train`."""
    monkeypatch.chdir(code_repo)
    for name in ("net", "train", "other"):
        (code_repo / name).write_text(f"{name}\n")
    (code_repo / "data").mkdir()
    for name in ("first", "second"):
        (code_repo / "data" / name).write_text(f"{name}\n")
    commands = (
        "register iris", "register rose",
        "version create iris --model-object net=net --data data=data",
        "version create iris --model-object net=net --data train=train",
    )  # fmt: skip
    for command in commands:
        succeed(capsys, *command.split())
    return code_repo


@pytest.fixture
def store(iris):
    return LocalStore(iris / ".git/gitmodel/store")


def age(store, days):
    """Set the times of all objects in *store* to *days* days before now."""
    then = time.time() - days * 86_400
    for found in store.digests():
        os.utime(object_of(store, found), (then, then))


def object_of(store, digest):
    return store.root / "sha256" / digest[7:9] / digest[9:]


# git model store status


def test_status_shows_which_stores_have_the_artifacts_and_which_artifacts_are_missing(iris, store, capsys, transcript):
    transcript(f"""
        $ git model store status
        Stores  default  {store.url}  5 objects, 204 B
        Models  iris  3 artifacts, 23 B: 3 in default
    """)
    store.remove(NET)
    store.remove(FIRST)
    transcript(f"""
        $ git model store status
        Stores   default  {store.url}  3 objects, 194 B
        Models   iris  3 artifacts, 23 B: 1 in default, 2 missing
        Missing  data of iris@1  {FIRST}
                 net of iris@1, iris@2  {NET}
    """)
    code, found = said(capsys, "store", "status")
    assert code == 0
    assert found["models"][0] == {
        "model": "iris", "versions": 2, "artifacts": 3, "size": 23, "where": {"default": 1}, "missing": 2,
        "unknown": 0, "external": 0, "purged": 0,
    }  # fmt: skip


def test_status_lists_shared_stores_the_default_store_of_the_clone_and_external_artifacts(iris, capsys, tmp_path):
    succeed(capsys, "init", "--store", tmp_path / "shared")
    succeed(capsys, "store", "add", "archive", tmp_path / "archive")
    succeed(capsys, "link", "iris@2", "--data", "raw=other", "--external")
    succeed(capsys, "version", "create", "rose", "--data", "train=train")
    code, found = said(capsys, "store", "status")
    assert (code, [one["name"] for one in found["stores"]]) == (0, ["default", "archive", "clone"])
    assert {one["model"]: one["where"] for one in found["models"]} == {
        "iris": {"clone": 3, "default": 1},
        "rose": {"default": 1, "clone": 1},
    }
    assert found["models"][0]["external"] == 1


def test_status_names_an_unreachable_store_and_reports_nothing_as_missing(iris, capsys, tmp_path):
    succeed(capsys, "store", "add", "archive", tmp_path / "archive")
    succeed(capsys, "store", "use", "iris", "archive")
    succeed(capsys, "version", "create", "iris", "--data", "other=other")
    (tmp_path / "archive").rename(tmp_path / "unmounted")
    code, found = said(capsys, "store", "status")
    assert code == 0
    assert "does not exist" in found["stores"][1]["error"]
    assert (found["models"][0]["missing"], found["models"][0]["unknown"]) == (0, 1)


def test_status_names_records_that_cannot_be_read(iris, capsys):
    edit(iris, {"models/iris/versions/2.toml": "number = 2\n"})
    code, found = said(capsys, "store", "status")
    assert (code, len(found["damaged"])) == (0, 1)
    assert found["damaged"][0].startswith("iris@2: models/iris/versions/2.toml")


# git model store copy


def test_copy_copies_all_objects_that_a_registry_needs_to_another_store(iris, store, capsys, transcript, tmp_path):
    transcript(f"""
        $ git model store copy --to {tmp_path}/new
        copied 5 objects (204 B) to file://{tmp_path}/new
        $ git model store copy --to {tmp_path}/new
        copied 0 objects (0 B) to file://{tmp_path}/new; 5 were there
        $ git model store copy --to {store.url}
        ! error: {store.url} would be copied into itself
        ! hint: name another store
        [2]
        $ git model store copy --to nowhere
        ! error: ...store 'nowhere'
        ! hint: the stores are default
        [3]
    """)
    succeed(capsys, "init", "--store", tmp_path / "new")
    succeed(capsys, "verify")


def test_copy_reports_damaged_objects_and_replaces_incomplete_objects_in_the_target(iris, store, capsys, tmp_path):
    overwrite(object_of(store, NET), b"not\n")
    target = LocalStore(tmp_path / "new", shared=True)
    target.create()
    half = object_of(target, TRAIN)
    half.parent.mkdir()
    half.write_bytes(b"tr")
    code, out, err = ask(capsys, "store", "copy", "--to", tmp_path / "new", "--format", "json")
    assert (code, list(json.loads(out)["failed"])) == (5, [NET])
    assert f"1 of the objects could not be copied: {NET}" in err
    assert not target.holds(NET)
    assert target.open(TRAIN).read() == b"train\n"


def test_copy_repairs_damaged_objects_of_the_target(iris, store, capsys, tmp_path):
    shared = LocalStore(tmp_path / "shared", shared=True)
    succeed(capsys, "store", "copy", "--to", shared.root)
    succeed(capsys, "config", "store", shared.root)
    for place, digest, content in ((shared, NET, b"Net\n"), (shared, TRAIN, b"Train"), (store, TRAIN, b"tra\n")):
        overwrite(object_of(place, digest), content)
    again = ("store", "copy", "--from", "clone", "--to", "default", "--repair")
    assert ask(capsys, "verify")[2].splitlines()[-1].endswith(f"run `git model {' '.join(again)}`")
    code, out, err = ask(capsys, *again)
    assert (code, out) == (5, f"copied 1 object (4 B) to {shared.url}; 3 were there\n")
    assert f"1 of the objects could not be copied: {TRAIN}" in err
    assert shared.open(NET).read() == b"net\n"
    # TRAIN stays damaged, because no store has an intact copy.
    assert object_of(shared, TRAIN).read_bytes() == b"Train"


def test_copy_fails_if_the_target_still_lacks_objects_after_the_copy(iris, tmp_path, monkeypatch):
    monkeypatch.setattr(LocalStore, "put_known", lambda *_, **__: None)
    with Client(iris) as client, pytest.raises(Invalid, match="lacks 5 objects that were copied"):
        client.copy_store(str(tmp_path / "new"))


# git model store gc


def test_gc_removes_only_garbage_and_without_the_option_delete_only_counts_it(iris, store, capsys, transcript):
    succeed(capsys, "unlink", "iris@2", "train", "--yes")
    url = store.url
    transcript(f"""
        $ git model store gc
        would remove 0 objects (0 B) from {url}; 4 needed, 1 recent
    """)
    age(store, 15)
    transcript(f"""
        $ git model store gc
        would remove 1 object (6 B) from {url}; 4 needed, 0 recent
        ! to remove it: git model store gc --delete
        $ git model store gc --grace 20
        would remove 0 objects (0 B) from {url}; 4 needed, 1 recent
        $ git model store gc --delete
        ! error: ...cannot be undone...
        ! hint: ...--yes...
        [2]
        $ git model store gc --delete --yes
        removed 1 object (6 B) from {url}; 4 needed, 0 recent
        $ git model verify
        ! 2 artifacts whole, 17 B...
    """)
    assert not store.holds(TRAIN)


def test_gc_keeps_objects_that_are_stored_again_while_it_runs(iris, store, capsys):
    succeed(capsys, "unlink", "iris@2", "train", "--yes")
    age(store, 15)
    with Client(iris) as client:
        found = client.find_garbage()
        assert [one.digest for one in found.objects] == [TRAIN]
        client.get_version("iris@2").link_artifact("train", iris / "train")  # after gc has listed the object as garbage
        removed = remove_garbage(client.access.open(), found)
    assert (removed.objects, removed.recent) == ((), 1)
    succeed(capsys, "verify")


def test_a_push_refreshes_existing_objects_of_the_store(iris, store, capsys, tmp_path, origin):
    shared = LocalStore(tmp_path / "shared", shared=True)
    # The shared store has old copies of the objects, as if a deleted registry had stored them.
    succeed(capsys, "store", "copy", "--to", shared.root)
    age(shared, 15)
    succeed(capsys, "config", "store", shared.root)
    succeed(capsys, "push")
    assert {one.digest for one in shared.objects() if time.time() - one.modified < 3600} == set(store.digests())
    # If `gc` deleted one file of a folder, `keep_artifact` returns False, so that the folder is uploaded again.
    age(shared, 15)
    shared.remove(FIRST)
    succeed(capsys, "version", "create", "iris")
    with Client(iris) as client:
        data = client.get_version("iris@1").get_artifact("data")
        assert not keep_artifact(shared, data.digest, folder=True)


def test_gc_keeps_objects_that_a_stage_tag_a_proposal_or_the_remote_needs(iris, store, capsys, git, tmp_path, origin):
    succeed(capsys, "init", "--store", tmp_path / "shared")
    shared = LocalStore(tmp_path / "shared", shared=True)
    succeed(capsys, "push")
    git(tmp_path, "clone", "-q", str(origin), "bob")
    with Client(tmp_path / "bob") as bob:
        bob.pull()
        (tmp_path / "bobs").write_text("bobs\n")
        bob.get_version("iris@2").link_artifact("bobs", tmp_path / "bobs")
        bob.push()
    age(shared, 30)
    # `gc` must keep the artifact `bobs`, although only the remote has the commit that links it.
    code, found = said(capsys, "store", "gc")
    assert (code, found["digests"], found["needed"]) == (0, [], 6)
    # After a change by hand, the branch no longer names the artifacts of iris@2, but its stage tag does.
    succeed(capsys, "pull")
    succeed(capsys, "promote", "iris@2", "production")
    bare = read(iris, "models/iris/versions/2.toml").partition("\n[[artifacts]]")[0] + "\n"
    edit(iris, {"models/iris/versions/2.toml": bare})
    git(iris, "remote", "remove", "origin")
    for ref in git(iris, "for-each-ref", "--format=%(refname)", "refs/gitmodel/remotes", "refs/remotes").split():
        git(iris, "update-ref", "-d", ref)
    code, found = said(capsys, "store", "gc")
    assert (code, found["digests"]) == (0, [])
    git(iris, "update-ref", "-d", "refs/tags/model/iris/production")
    assert set(said(capsys, "store", "gc")[1]["digests"]) == {TRAIN, digest_of(b"bobs\n")}
    for place in ("refs/heads", "refs/remotes/origin", "refs/gitmodel/remotes/origin"):
        git(iris, "update-ref", f"{place}/propose/iris/production/2-1a2b3c4", "gitmodel~1")
        assert said(capsys, "store", "gc")[1]["digests"] == []
        git(iris, "update-ref", "-d", f"{place}/propose/iris/production/2-1a2b3c4")


@step
def give(text: str) -> str:
    return text


@pipeline
def once(text: str = "given"):
    give(text)


def test_gc_keeps_the_inputs_and_outputs_of_ended_and_active_runs(iris, store):
    with Client(iris) as client:
        once.run(client=client)
        age(store, 30)
        assert client.find_garbage().objects == ()
        for path in [path for path, _ in client.repository.files(client.repository.tip()).walk(paths.RUNS)]:
            edit(iris, {path: None})
        outputs = {digest_of(b"given")}
        assert outputs < {found.digest for found in client.find_garbage().objects}
        from gitmodel.branch.runs.run_journal import Journal

        with Journal(client.repository.common_dir).open_run(lambda: "20261123T101112Z-once-1", {}):
            assert not outputs & {found.digest for found in client.find_garbage().objects}


def test_gc_keeps_objects_that_another_registry_named_by_an_option_needs(iris, store, capsys, git, tmp_path):
    git(tmp_path, "init", "-q", "other")
    url = store.url
    with Client(tmp_path / "other", store=url) as other:
        other.register_model("lily").create_version(data={"mine": iris / "other"})
    age(store, 30)
    assert said(capsys, "store", "gc")[1]["digests"] == [digest_of(b"other\n")]
    assert said(capsys, "store", "gc", "--also", tmp_path / "other")[1]["digests"] == []
    assert ask(capsys, "store", "gc", "--also", tmp_path / "nowhere")[0] == 3


def test_gc_removes_nothing_while_a_record_cannot_be_read(iris, store, capsys):
    age(store, 30)
    edit(iris, {"models/iris/versions/2.toml": "number = 2\n"})
    code, _, err = ask(capsys, "store", "gc", "--delete", "--yes")
    assert (code, "a record cannot be read, so nothing is removed: iris@2" in err) == (5, True)
    assert len(list(store.digests())) == 5


def test_gc_removes_temporary_files_of_killed_uploads_but_not_of_running_uploads(iris, store, capsys):
    import threading

    begun, go_on = threading.Event(), threading.Event()

    class Slow(io.RawIOBase):
        def readinto(self, view):
            begun.set()
            go_on.wait()
            return 0

    writer = threading.Thread(target=store.put_stream, args=(Slow(),))
    writer.start()
    assert begun.wait(60)
    (store.root / "tmp" / f"1-{'0' * 32}").write_bytes(b"left")
    found = said(capsys, "store", "gc", "--delete", "--yes")[1]
    go_on.set()
    writer.join()
    assert (found["leftovers"], found["removed"]) == (1, True)
    assert list((store.root / "tmp").iterdir()) == []
    assert store.holds(digest_of(b""))


def test_gc_of_a_shared_store_is_refused_if_the_remote_is_unreachable(iris, capsys, git, tmp_path):
    succeed(capsys, "init", "--store", tmp_path / "shared")
    git(iris, "remote", "add", "origin", str(tmp_path / "gone.git"))
    assert ask(capsys, "store", "gc")[0] == 7
    succeed(capsys, "store", "gc", "clone")


# git model store purge


def test_purge_erases_the_bytes_and_verify_shows_when_and_why(iris, store, capsys, transcript, git):
    transcript(f"""
        $ git model store purge {NET} --yes
        ! error: a purge needs a reason, because only the reason remains
        ! hint: add --reason "request of 2026-11-20"
        [2]
        $ git model store purge {NET} --reason "request of 2026-11-20"
        ! error: ...cannot be undone...
        ! hint: ...--yes...
        [2]
        $ git model store purge {NET} --reason "request of 2026-11-20" --yes
        purged 1 object from {store.url}
        $ git model verify
        VERSIONS        DIGEST                                                                   WHAT
        iris@1, iris@2  {NET}  purged 2026-11-23: request of 2026-11-20
        $ git model get iris@1 net -o fetched
        ! error: {NET} was purged 2026-11-23: request of 2026-11-20
        ! hint: its bytes were erased for good; the record of the version stays
        [3]
        $ git model link iris@2 --data again=net
        ! error: {NET} was purged 2026-11-23: request of 2026-11-20
        ! hint: a purged artifact cannot be stored again
        [6]
        $ git model check
        ! ...valid
        $ git model doctor
        ! no problems...
        $ git model store purge {NET} --yes
        purged 1 object: no store had it
    """)
    assert not store.holds(NET)
    assert said(capsys, "store", "status")[1]["models"][0]["purged"] == 1
    assert read(iris, paths.purge_file(NET)) == (
        f'digest = "{NET}"\npurged = 2026-11-23T10:12:13Z\nreason = "request of 2026-11-20"\n'
    )
    assert git(iris, "log", "-1", "--format=%s%n%(trailers:key=Reason,valueonly)", "gitmodel") == (
        f"Purge {NET[:19]}...\nrequest of 2026-11-20"
    )
    with Client(iris) as client, pytest.raises(NotFound, match="was purged"):
        client.get_version("iris@1").get_artifact("net").open()


def test_purge_of_a_folder_erases_only_files_that_no_other_artifact_needs(iris, store, capsys):
    (iris / "data" / "shared").write_text("train\n")
    succeed(capsys, "version", "create", "rose", "--data", "data=data")
    with Client(iris) as client:
        folder = client.get_version("rose@1").get_artifact("data").digest
        done = client.purge(folder, reason="asked for")
    # The kept files are also in the folder of iris@1 (first, second) and in iris@2 (train, with the content of shared).
    assert (len(done.digests), sorted(done.kept)) == (1, sorted([FIRST, digest_of(b"second\n"), TRAIN]))
    succeed(capsys, "verify")
    assert store.holds(TRAIN)


def test_purge_of_one_file_of_a_folder_keeps_the_other_files(iris, store, capsys, tmp_path):
    with Client(iris) as client:
        done = client.purge(FIRST, reason="asked for")
        assert done.versions == ("iris@1",)
        verified = {found.digest: found for found in client.verify()}
        folder = client.get_version("iris@1").get_artifact("data")
        assert verified[folder.digest].purged == "first: purged 2026-11-23: asked for"
        assert not any(found.error for found in verified.values())
        with pytest.raises(NotFound, match=r"first: .* was purged"):
            folder.download(tmp_path / "fetched")
    overwrite(object_of(store, digest_of(b"second\n")), b"damage\n")
    assert ask(capsys, "verify")[0] == 5


def test_purge_erases_from_a_shared_store_only_after_the_tombstone_was_pushed(
    iris, capsys, transcript, git, tmp_path, origin
):
    succeed(capsys, "init", "--store", tmp_path / "shared")
    succeed(capsys, "push")
    shared = LocalStore(tmp_path / "shared", shared=True)
    transcript(f"""
        $ git model store purge {NET} --reason asked --yes
        recorded the tombstone of 1 object; nothing is deleted yet
        next: git model push, then run this command again to delete the bytes
    """)
    assert shared.holds(NET)
    succeed(capsys, "push")
    code, done = said(capsys, "store", "purge", NET, "--yes")
    assert (code, done["pending"]) == (0, False)
    assert done["removed"] == [shared.url, (iris / ".git/gitmodel/store").as_uri()]
    assert not shared.holds(NET)
    # `gc` in Bob's clone deletes his copy of the purged object.
    git(tmp_path, "clone", "-q", str(origin), "bob")
    with Client(tmp_path / "bob") as bob:
        bob.pull()
        copy = open_store("", default_root=bob.store_root)
        copy.put_stream(io.BytesIO(b"net\n"))
        assert bob.remove_garbage("clone").purged == {NET}
        assert not copy.holds(NET)


def test_purge_of_an_external_artifact_or_an_unknown_digest_is_refused(iris, store, capsys, tmp_path):
    succeed(capsys, "link", "iris@2", "--data", "raw=other", "--external")
    with Client(iris) as client:
        for digest, error in (
            (digest_of(b"other\n"), UsageError),
            ("sha256:abc", UsageError),
            (digest_of(b"never seen"), NotFound),
        ):
            with pytest.raises(error):
                client.purge(digest, reason="asked")
        before = client.repository.tip()
        client.add_store("archive", str(tmp_path / "archive"))
        (tmp_path / "archive").rename(tmp_path / "unmounted")
        tip = client.repository.tip()
        with pytest.raises(Unreachable):
            client.purge(NET, reason="asked")
        assert client.repository.tip() == tip != before
        assert store.holds(NET)
    with (
        Client(iris, environ={**os.environ, "GITMODEL_STORE_READ_ONLY": "1"}) as client,
        pytest.raises((Refused, Unreachable)),
    ):
        client.purge(NET, reason="asked")


def test_a_purged_artifact_does_not_stop_a_push(iris, capsys, git, tmp_path, origin):
    with Client(iris) as client:
        client.purge(NET, reason="asked")
    succeed(capsys, "init", "--store", tmp_path / "shared")
    git(iris, "push", "-q", "origin", "main")  # otherwise `push` warns that the remote lacks the code
    code, _, err = ask(capsys, "push")
    assert (code, err) == (0, "")
