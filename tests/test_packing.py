"""Packing: after many writes gitmodel packs loose git objects in the background, to keep the repository fast.

gitmodel estimates the number of loose objects from one folder, `objects/17`, as git does. No object may be lost.
"""

import fcntl
import hashlib
import os
import resource
import signal
import threading
from itertools import count, islice
from pathlib import Path

import pytest
from editing import BRANCH, edit, run
from waiting import wait_for

from gitmodel import Client


@pytest.fixture
def repo(tmp_path):
    """A registry in which gitmodel packs if the folder `objects/17` has three loose objects."""
    run(tmp_path, "init", "-q", "repo")
    run(tmp_path / "repo", "config", "gc.auto", "1")
    with Client(tmp_path / "repo") as client:
        client.register_model("iris")
    return tmp_path / "repo"


def write_many(repo, start=0):
    """Commit three files with objects in the folder `objects/17`, so that gitmodel packs; return their object ids."""
    texts = (f"{number}\n" for number in count(start))
    ids = ((text, hashlib.sha1(b"blob %d\0%s" % (len(text), text.encode())).hexdigest()) for text in texts)
    chosen = dict(islice((item for item in ids if item[1].startswith("17")), 3))
    edit(repo, {f"notes/{text.strip()}": text for text in chosen})
    return [*chosen.values()]


def lock_of(repo):
    return repo / ".git" / "gitmodel" / "packing.lock"


def wait(repo):
    """Wait until no process packs the repository."""
    with lock_of(repo).open() as file:
        fcntl.flock(file, fcntl.LOCK_EX)


def is_loose(repo, id):
    return (repo / ".git" / "objects" / id[:2] / id[2:]).is_file()


def test_many_loose_objects_are_packed_and_unreferenced_objects_are_kept(repo):
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
def test_settings_of_git_gc_and_maintenance_prevent_packing(repo, setting):
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
            fcntl.flock(file, fcntl.LOCK_EX)  # hold the lock, like a process that is packing
            client.get_model("iris").create_version()
            assert all(is_loose(repo, id) for id in written)
        # The lock is free again, and a part of a pack is left, as if the process had been killed.
        (repo / ".git" / "objects" / "pack" / "tmp_pack_killed").write_bytes(b"PACK")
        client.get_model("iris").create_version()
        wait(repo)
    assert not any(is_loose(repo, id) for id in written)


@pytest.mark.parametrize("beside", [("repack", "-adq"), ("gc", "-q"), ("pack-refs", "--all")])
def test_packing_loses_no_object_while_git_gc_and_other_writes_run(repo, beside):
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


def test_objects_that_a_pull_fetched_are_packed(repo, tmp_path):
    run(tmp_path, "clone", "-q", str(repo), "clone")
    clone = tmp_path / "clone"
    for key, value in (("gc.auto", "1"), ("fetch.unpackLimit", "100000")):
        run(clone, "config", key, value)
    with Client(clone) as client:
        client.pull()
        assert not lock_of(clone).exists()
        written = write_many(repo)
        client.pull()
        wait(clone)
    assert not any(is_loose(clone, id) for id in written)


def processes_in(repo):
    """Return the ids of the processes that pack *repo*."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            words = (path / "cmdline").read_bytes().split(b"\0")
            if b"pack-objects" in words and (path / "cwd").resolve() in (repo, repo / ".git"):
                found.append(int(path.name))
        except OSError:  # it has ended
            continue
    return found


def test_killing_the_packing_process_loses_no_object_and_the_next_write_packs_again(repo):
    # With these settings packing takes minutes, because git compares each object with thousands of others.
    slow = {"pack.window": "100000", "pack.depth": "4000", "pack.threads": "1", "core.bigFileThreshold": "1g"}
    for key, value in slow.items():
        run(repo, "config", key, value)
    edit(repo, {f"large/{number}": f"{number}\n" + "x y z\n" * 20_000 for number in range(200)})
    written = write_many(repo)
    with Client(repo) as client:
        client.get_model("iris").create_version()
        for pid in wait_for(lambda: processes_in(repo)):
            os.killpg(os.getpgid(pid), signal.SIGKILL)
        wait(repo)
        assert all(is_loose(repo, id) for id in written)
        for key in slow:
            run(repo, "config", "--unset", key)
        written += write_many(repo, 10_000)
        client.get_model("iris").create_version()
        wait(repo)
        assert not any(is_loose(repo, id) for id in written)
        assert len(client.get_model("iris").versions) == 2
    assert run(repo, "fsck", "--no-dangling", "--no-progress") == ""


@pytest.mark.parametrize("writes", [1_500, pytest.param(10_000, marks=pytest.mark.soak)])
def test_a_write_to_a_clone_with_thousands_of_loose_objects_is_fast_and_packs_them(repo, writes):
    run(repo, "config", "gc.auto", "0")
    stream = ""
    for number in range(1, writes + 1):
        path = f"models/iris/versions/{f'{number // 100}xx/' if number > 99 else ''}{number}.toml"
        record = f"number = {number}\ncreated = 2026-11-23T10:12:13Z\n"
        stream += f"commit {BRANCH}\ncommitter A <a@example.com> 1 +0000\ndata 1\nx\n"
        stream += f"from {BRANCH}^0\n" if number == 1 else ""
        stream += f"M 100644 inline {path}\ndata {len(record)}\n{record}\n"
    run(repo, "-c", "fastimport.unpackLimit=1000000", "fast-import", "--quiet", input=stream.encode())
    assert int(run(repo, "count-objects").split()[0]) > 5 * writes

    def cost(work):
        """Call *work* three times; return the lowest CPU time of a call, including its git processes."""
        costs = []
        for _ in range(3):
            before = sum(sum(resource.getrusage(who)[:2]) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
            work()
            after = sum(sum(resource.getrusage(who)[:2]) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
            costs.append(after - before)
        return min(costs)

    def create():
        with Client(repo) as client:
            client.get_model("iris").create_version()

    unpacked = cost(create)
    run(repo, "config", "gc.auto", "6700")
    create()
    assert lock_of(repo).exists()
    wait(repo)
    assert int(run(repo, "count-objects").split()[0]) < 100
    assert unpacked < 3 * cost(create) + 0.05
    with Client(repo) as client:
        assert client.get_version("iris").number == writes + 7
    assert run(repo, "fsck", "--no-dangling", "--no-progress") == ""
