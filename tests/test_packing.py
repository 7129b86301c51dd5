"""Loose objects are packed in the background after many writes: unreferenced objects stay loose; nothing is lost."""

import fcntl
import hashlib
import os
import threading
from itertools import count, islice

import pytest
from editing import edit, run

from gitmodel import Client


@pytest.fixture
def repo(tmp_path):
    """A registry that packs if the one folder that is counted (`17`) has three loose objects."""
    run(tmp_path, "init", "-q", "repo")
    run(tmp_path / "repo", "config", "gc.auto", "1")
    with Client(tmp_path / "repo") as client:
        client.register_model("iris")
    return tmp_path / "repo"


def write_many(repo, start=0):
    """Commit three files whose objects are in the folder `17`, which is counted; return their ids."""
    texts = (f"{number}\n" for number in count(start))
    ids = ((text, hashlib.sha1(b"blob %d\0%s" % (len(text), text.encode())).hexdigest()) for text in texts)
    chosen = dict(islice((item for item in ids if item[1].startswith("17")), 3))
    edit(repo, {f"notes/{text.strip()}": text for text in chosen})
    return [*chosen.values()]


def lock_of(repo):
    return repo / ".git" / "gitmodel" / "packing.lock"


def wait(repo):
    """Wait until no process packs."""
    with lock_of(repo).open() as file:
        fcntl.flock(file, fcntl.LOCK_EX)


def is_loose(repo, id):
    return (repo / ".git" / "objects" / id[:2] / id[2:]).is_file()


def test_many_objects_are_packed_and_nothing_is_pruned(repo):
    written = write_many(repo)
    unnamed = run(repo, "hash-object", "-w", "--stdin", input=b"about to be named")
    with Client(repo) as client:
        version = client.get_model("iris").create_version()
        wait(repo)
        assert not any(is_loose(repo, id) for id in written)
        assert is_loose(repo, unnamed)
        tip = run(repo, "rev-parse", "gitmodel")
        version.log_metadata(checked=True)  # too few new objects for another packing
        assert is_loose(repo, run(repo, "rev-parse", "gitmodel"))
        assert not is_loose(repo, tip)
        assert client.get_version("iris@1").metadata == {"checked": True}


@pytest.mark.parametrize("setting", [("gc.auto", "0"), ("maintenance.auto", "false"), ("gc.auto", "6700")])
def test_git_settings_switch_packing_off(repo, setting):
    run(repo, "config", *setting)
    written = write_many(repo)
    with Client(repo) as client:
        client.get_model("iris").create_version()
    assert not lock_of(repo).exists()
    assert all(is_loose(repo, id) for id in written)


def test_only_one_process_packs_and_a_killed_process_does_not_keep_the_lock(repo):
    lock_of(repo).touch()
    os.utime(lock_of(repo), (0, 0))
    written = write_many(repo)
    with Client(repo) as client:
        with lock_of(repo).open() as file:
            fcntl.flock(file, fcntl.LOCK_EX)  # stands for a process that is packing
            client.get_model("iris").create_version()
            assert all(is_loose(repo, id) for id in written)
        # That process was killed, and left a part of a pack.
        (repo / ".git" / "objects" / "pack" / "tmp_pack_killed").write_bytes(b"PACK")
        client.get_model("iris").create_version()
        wait(repo)
    assert not any(is_loose(repo, id) for id in written)


@pytest.mark.parametrize("beside", [("repack", "-adq"), ("gc", "-q"), ("pack-refs", "--all")])
def test_packing_beside_git_and_writers_loses_nothing(repo, beside):
    with Client(repo) as client:
        for turn in range(4):
            write_many(repo, 10_000 * turn)
            version = client.get_model("iris").create_version()  # starts a process that packs
            assert lock_of(repo).exists()
            thread = threading.Thread(target=run, args=(repo, *beside))
            thread.start()
            version.set_stage("production")
            client.get_model("iris").create_version()
            thread.join()
            wait(repo)
        assert len(client.get_model("iris").versions) == 8
        assert client.get_version("iris@production").number == 7
    assert run(repo, "fsck", "--no-dangling", "--no-progress") == ""
