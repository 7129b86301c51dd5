"""After a kill, a full disk or a disk error at any step of a write, the registry is valid.

A write that failed is never reported as a success.
"""

import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

from gitmodel import Conflict, Unreachable
from gitmodel.domain.schema.digests import digest_of
from gitmodel.domain.schema.references import VersionRef
from gitmodel.registry.health import checking, doctor
from gitmodel.registry.linked_artifacts import verifying
from gitmodel.registry.lists import version_lists
from gitmodel.registry.promotion import stages
from gitmodel.registry.records import finding
from gitmodel.stores.artifacts.verifying import verify_folder
from gitmodel.stores.local_store import LocalStore

needs_strace = pytest.mark.skipif(
    shutil.which("strace") is None, reason="strace is not installed (on Debian and Ubuntu: apt install strace)"
)
HERE = Path(__file__).parent
# System calls that change or flush the disk. No test lets `unlink` fail: git and gitmodel may ignore its errors.
CALLS = {
    "write": "write,pwrite64,writev",
    "rename": "rename,renameat,renameat2,link,linkat",
    "fsync": "fsync,fdatasync",
    "open": "openat,open,creat",
    "unlink": "unlink,unlinkat",
    "mkdir": "mkdir,mkdirat",
    "lock": "flock",
}
WRITER = """
import json, os, sys
import actors
from gitmodel.errors import GitModelError
registry = actors.open_registry(sys.argv[1])
registry[0].snapshot().registry()
verb, given = json.loads(sys.argv[2])
try:
    answer = actors.VERBS[verb](registry, **given)
except GitModelError as error:
    answer = {"error": type(error).__name__, "message": error.message, "hint": error.hint}
print(json.dumps(answer), flush=True)
registry[0].close()
sys.exit(1 if "error" in answer else 0)
"""


def state(registry):
    """Return what a reader sees: the versions, and the recorded holder of production and the one in force."""
    numbers = [view.record.number for view in version_lists.list_versions(registry.writer, "iris")[0]]
    held = {state.name: (state.recorded, state.in_force) for state in stages.list_stages(registry.writer, "iris")}
    return sorted(numbers), held.get("production", (None, None))


def write_under_strace(path, request, *options, log):
    """Run a process that does *request* in the registry at *path*, under strace with *options*.

    strace injects the faults that *options* name into system calls of the process and its children, and writes the
    calls to the file *log*. Return the exit code, answer and stderr of the process.
    """
    running = subprocess.Popen(
        ["strace", "-f", "-y", "-qq", "-o", str(log), *options,
         sys.executable, "-c", WRITER, str(path), json.dumps(request)],
        cwd=HERE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip
    try:
        stdout, stderr = running.communicate(timeout=20)
    except subprocess.TimeoutExpired:
        os.killpg(running.pid, signal.SIGKILL)
        stdout, stderr = running.communicate()
        # The writer may wait forever only if strace let a write to a pipe fail, so that an answer of git was lost. A
        # real disk cannot cause this.
        injected = [line for line in log.read_text().splitlines() if "(INJECTED)" in line]
        assert injected, stderr
        assert any("<pipe:" in line for line in injected), injected
    try:
        answer = json.loads(stdout)
    except ValueError:
        answer = None
    return running.returncode, answer, stderr


def without_the_locks_that_are_named(made, work):
    """Return the result of *work*. If it fails because of a lock, remove this lock as the error advises, and retry."""
    for _ in range(3):
        try:
            return work()
        except Conflict as error:
            refused = error
        lock = re.search(r"type: rm (\S+?)(; then run `git model apply`)?$", refused.hint)
        assert lock is not None, refused.hint
        assert lock[1].startswith(str(made.repository.common_dir))
        # gitmodel itself removes a lock that contains the id of a killed writer.
        assert Path(lock[1]).read_text() == ""
        os.unlink(lock[1])
    return work()


def assert_survived(made, request, before, code, answer, assert_whole, git):
    """Fail unless the registry is valid after the crash of a writer, the next write works, and `doctor` finds no fault.

    The state must be that *before* the write, that after the write, or that of a pending promotion or demotion.
    """
    git(made.path, "fsck", "--strict", "--no-dangling")
    assert checking.check(made.repository) == []
    numbers, held = state(made)
    wanted = {
        "register": ([*before[0], before[0][-1] + 1], before[1]),
        "promote": (before[0], (2, 2)),
        "demote": (before[0], (None, None)),
    }[request[0]]
    pending = (before[0], (wanted[1][0], before[1][1]))
    assert (numbers, held) in (before, wanted, pending)
    if code == 0:
        # Exit code 0 means that the writer made the change.
        assert answer is not None
        assert "error" not in answer
        assert (numbers, held) == wanted
    if answer is not None and "nothing was changed" in answer.get("hint", ""):
        assert (numbers, held) == before
    if answer is not None and "is recorded" in answer.get("message", ""):
        assert numbers == wanted[0]
        assert held[0] == wanted[1][0]
    for number in numbers:
        for link in finding.find(made.writer, VersionRef("iris", str(number))).record.artifacts:
            assert all(
                not seen.error for seen in verifying.verify(made.writer, made.source, [VersionRef("iris", str(number))])
            )
            assert made.store.holds(link.digest)
    number = without_the_locks_that_are_named(made, lambda: made.register()["number"])
    assert number == numbers[-1] + 1
    without_the_locks_that_are_named(made, lambda: doctor.repair(made.repository, made.store))
    for lock in made.repository.writer_marks.locks():
        # Only `doctor` reports packed-refs.lock, because it does not stop writes.
        os.unlink(lock.path)
    assert_whole(made.path, repair=True)
    assert state(made)[1] in ((wanted[1][0],) * 2, (before[1][0],) * 2)


@pytest.fixture
def prepared(registry, tmp_path, open_at):
    """A function that copies a registry with two versions, of which version 1 is in production."""
    registry.register(content="one")
    registry.register(content="two")
    registry.promote("iris@1")
    before = state(registry)
    registry.close()

    def copy(name):
        path = tmp_path / name
        shutil.copytree(registry.path, path, symlinks=True)
        return path

    return copy, before


REQUESTS = {
    "register": ["register", {"content": "three"}],
    "promote": ["promote", {"ref": "iris@2"}],
    "demote": ["demote", {}],
}


def counted(path, request, log):
    """Return for each kind of system call the most calls by one process, because strace counts per process."""
    every = ",".join(CALLS.values())
    code, answer, stderr = write_under_strace(path, request, "-e", f"trace={every}", log=log)
    assert code == 0, stderr
    assert "error" not in answer
    kinds = {call: kind for kind, calls in CALLS.items() for call in calls.split(",")}
    counts = {}
    for pid, call in re.findall(r"^(\d+) +(\w+)\(", log.read_text(), re.M):
        counts[pid, kinds[call]] = counts.get((pid, kinds[call]), 0) + 1
    return {kind: max((n for (_, of), n in counts.items() if of == kind), default=0) for kind in CALLS}


@needs_strace
@pytest.mark.parametrize("verb", REQUESTS)
@pytest.mark.parametrize("fault", ["signal=KILL", "error=ENOSPC", "error=EIO"])
def test_a_kill_or_error_at_any_system_call_that_changes_the_disk_leaves_a_valid_registry(
    prepared, tmp_path, assert_whole, git, open_at, soak, verb, fault
):
    copy, before = prepared
    log = tmp_path / "log"
    points = []
    for name, most in counted(copy("count"), REQUESTS[verb], log).items():
        if fault == "signal=KILL" or name not in ("lock", "unlink"):
            # Test only the last 60 `open` calls, because Python makes hundreds of such calls when it starts.
            points += [(name, number) for number in range(max(1, most - 60) if name == "open" else 1, most + 1)]
    chosen = points if soak else random.Random(f"{verb}{fault}").sample(points, 3)
    harmed = 0
    for turn, (name, number) in enumerate(chosen):
        path = copy(f"turn-{turn}")
        inject = f"inject={CALLS[name]}:{fault}:when={number}"
        code, answer, stderr = write_under_strace(
            path, REQUESTS[verb], "-e", f"trace={CALLS[name]}", "-e", inject, log=tmp_path / "log"
        )
        harmed += code != 0
        made = open_at(path)
        try:
            assert_survived(made, REQUESTS[verb], before, code, answer, assert_whole, git)
        except BaseException:
            print(f"{verb} with {inject} ended with {code}: {answer} {stderr[-2000:]}")
            raise
        made.close()
        shutil.rmtree(path)
    if soak:
        assert harmed > len(chosen) // 10


def test_writers_killed_at_random_moments_lose_no_reported_version(registry, start, soak, assert_whole):
    """SIGKILL ends the writer, alone or with its git process. All versions that the writer reported still exist."""
    chance = random.Random(7)
    registry.register()
    said = {}
    for turn in range(300 if soak else 12):
        (actor,) = start(1, group=True)
        for number in range(1, 4):
            actor.send("register", times=2)
            actor.send("promote", ref=f"iris@{chance.randint(1, number)}")
        actor.answer()
        time.sleep(chance.uniform(0, 0.06))
        if turn % 2:
            os.killpg(actor.process.pid, signal.SIGKILL)
        else:
            actor.process.kill()
        # The pipe still has the answers of the killed writer. An incomplete last line reports no version.
        for line in actor.process.stdout.read().splitlines(keepends=True):
            if not line.endswith("\n"):
                break
            answer = json.loads(line)
            assert "error" not in answer, answer
            if "number" in answer:
                assert answer["number"] not in said
                said[answer["number"]] = answer["digest"]
        number = without_the_locks_that_are_named(registry, lambda: registry.register()["number"])
        assert number not in said
        assert checking.check(registry.repository) == []
    for number, digest in said.items():
        record = finding.find(registry.writer, VersionRef("iris", str(number))).record
        assert [link.digest for link in record.artifacts] == [digest]
    assert all(not seen.error for seen in verifying.verify(registry.writer, registry.source))
    assert_whole(registry.path, repair=True)


# A full disk


def test_a_full_disk_damages_nothing_and_no_failed_write_is_reported_as_a_success(
    registry, small_disk, git, open_at, assert_whole, soak
):
    path = small_disk / "code"
    subprocess.run(["cp", "-a", str(registry.path), str(path)], check=True)
    made = open_at(path)
    made.register()
    made.promote("iris@1")
    made.register()
    filler = small_disk / "filler"
    chance = random.Random(5)
    failures = 0
    for turn in range(120 if soak else 25):
        free = os.statvfs(small_disk).f_bavail * 4096
        # Leave no space, or less space than a whole write needs.
        with filler.open("wb") as file:
            left = chance.randrange(0, 20) * 4096
            with suppress(OSError):
                file.write(bytes(max(0, free - left)))
        before = state(made)
        done, said = None, ""
        try:
            done = made.promote(f"iris@{1 + turn // 2 % 2}") if turn % 2 else made.register()
        except Unreachable as error:
            failures += 1
            said = error.message + error.hint
        after = state(made)
        if "is recorded" in said:
            assert (after[0], after[1][0]) != (before[0], before[1][0])
        elif done is None:
            assert after == before
        elif turn % 2:
            assert after[1] == (done["version"], done["version"])
        else:
            assert done["number"] in after[0]
        filler.unlink()
        git(path, "fsck", "--strict", "--no-dangling")
        assert checking.check(made.repository) == []
    assert failures
    made.register()
    doctor.repair(made.repository, made.store)
    assert_whole(path)
    made.close()


# The artifact store

PUT = """
import sys
from pathlib import Path
from gitmodel.stores.artifacts.storing import put_path
from gitmodel.stores.local_store import LocalStore
print(put_path(LocalStore(Path(sys.argv[1])), Path(sys.argv[2])).digest)
"""


def assert_store_whole(root, digests):
    store = LocalStore(root)
    seen = list(store.digests())
    for digest in seen:
        with store.open(digest) as reader:
            assert digest_of(reader.read()) == digest
    assert set(digests) <= set(seen)
    for left in store.leftovers():
        store.remove_leftover(left)
    assert store.leftovers() == []
    assert list((root / "tmp").iterdir()) == []
    return seen


@needs_strace
@pytest.mark.parametrize("fault", ["signal=KILL", "error=ENOSPC", "error=EIO"])
def test_a_fault_at_any_system_call_never_leaves_an_object_under_a_wrong_digest(tmp_path, soak, fault):
    folder = tmp_path / "model"
    folder.mkdir()
    for number in range(3):
        (folder / f"part-{number}").write_bytes(os.urandom(100_000))
    store = tmp_path / "store"
    (tmp_path / "first").write_bytes(b"was there before")
    first = subprocess.run(
        [sys.executable, "-c", PUT, store, tmp_path / "first"], capture_output=True, text=True, check=True
    ).stdout.strip()
    points = []
    for name in ("write", "rename", "fsync", "mkdir", "lock"):
        log = tmp_path / "log"
        shutil.copytree(store, tmp_path / "count")
        subprocess.run(
            ["strace", "-f", "-qq", "-o", str(log), "-e", f"trace={CALLS[name]}",
             sys.executable, "-c", PUT, tmp_path / "count", folder],
            check=True, capture_output=True,
        )  # fmt: skip
        shutil.rmtree(tmp_path / "count")
        # strace counts calls for each thread, and threads share the work differently in each run.
        points += [(name, number) for number in range(1, 1 + len(log.read_text().splitlines()))]
    for turn, (name, number) in enumerate(points if soak else random.Random(fault).sample(points, 5)):
        copy = tmp_path / f"turn-{turn}"
        shutil.copytree(store, copy)
        done = subprocess.run(
            ["strace", "-f", "-qq", "-o", "/dev/null", "-e", f"trace={CALLS[name]}",
             "-e", f"inject={CALLS[name]}:{fault}:when={number}", sys.executable, "-c", PUT, copy, folder],
            capture_output=True, text=True,
        )  # fmt: skip
        held = [first]
        if done.returncode == 0:
            held.append(done.stdout.strip())
        seen = assert_store_whole(copy, held)
        if done.returncode == 0:
            assert len(seen) == 5
            assert verify_folder(LocalStore(copy), held[1])
        shutil.rmtree(copy)


def test_gitmodel_finds_and_removes_all_that_a_killed_upload_leaves(tmp_path, soak):
    big = tmp_path / "big"
    big.write_bytes(os.urandom(20_000_000))
    store = tmp_path / "store"
    LocalStore(store).create()
    chance = random.Random(3)
    for _ in range(40 if soak else 4):
        writer = subprocess.Popen([sys.executable, "-c", PUT, store, big], stdout=subprocess.PIPE)
        while not list((store / "tmp").iterdir()) and writer.poll() is None:
            time.sleep(0.001)
        time.sleep(chance.uniform(0, 0.02))
        writer.kill()
        done, _ = writer.communicate()
        assert_store_whole(store, [done.decode().strip()] if done else [])
