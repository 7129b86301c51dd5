"""Writes in quick succession share a git process, which is as safe as a separate git process for each write."""

import fcntl
import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from editing import write_script

from gitmodel import Conflict, Refused
from gitmodel.git.refs import ref_transactions
from gitmodel.git.refs.ref_move import RefMove
from gitmodel.git.running.failures import GitError, Moved

BRANCH = "refs/heads/gitmodel"
# A script that writes, and whose shared git process stays alive for an hour. The word "hook" installs the hook, and
# "finalizer" closes the repository as the process ends.
WRITER = """
import os, sys, weakref
import actors
from gitmodel.git.refs import ref_transactions
ref_transactions._BURST = 3600
registry = actors.open_registry(sys.argv[1])
for word in sys.argv[2:]:
    if word == "register":
        actors.register(registry)
    elif word == "hook":
        os.rename("hook", os.path.join(sys.argv[1], ".git/hooks/reference-transaction"))
    elif word == "finalizer":
        weakref.finalize(registry[0], registry[0].close)
    elif word == "kill":
        os.kill(os.getpid(), 9)
"""


@pytest.fixture
def registry(registry, monkeypatch):
    """A registry after two writes. Its shared git process stays alive for an hour."""
    monkeypatch.setattr(ref_transactions, "_BURST", 3600)
    registry.register()
    registry.register()
    assert kept(registry) is not None
    return registry


def kept(registry):
    return registry.repository.ref_transactions._kept


def pid(registry):
    return kept(registry)._process.pid


def tip(registry, git):
    return git(registry.path, "rev-parse", BRANCH).strip()


def set_hook(registry, script):
    path = registry.repository.common_dir / "hooks/reference-transaction"
    return write_script(path, f'[ "$1" = prepared ] || exit 0\n{script}')


def locks(registry):
    return list(registry.repository.common_dir.rglob("*.lock"))


def test_writes_in_quick_succession_share_a_git_process_and_later_writes_do_not(registry, git):
    first = pid(registry)
    assert registry.register()["number"] == 3
    assert pid(registry) == first
    kept(registry)._started -= 3601
    assert registry.register()["number"] == 4
    assert pid(registry) != first
    subjects = git(registry.path, "reflog", "--format=%gs", BRANCH).splitlines()
    assert subjects[:3] == ["gitmodel: one of several changes within a second"] * 3
    assert subjects[-1] == "gitmodel: Register iris"


def test_a_later_write_ends_the_shared_process_if_its_mark_could_not_be_moved(registry, monkeypatch):
    """A full disk, for example, stops gitmodel from moving the mark of the shared process to the folder `idle`."""
    folder = registry.path / ".git/gitmodel"
    (mark,) = (folder / "idle").iterdir()
    mark.rename(folder / "writers" / mark.name)
    kept(registry)._mark.path = folder / "writers" / mark.name
    (folder / "idle").rmdir()
    (folder / "idle").write_bytes(b"")  # no file can be moved into it
    registry.register()
    assert list((folder / "writers").iterdir()) != []
    monkeypatch.setattr(ref_transactions, "_BURST", 0)
    registry.register()
    assert kept(registry) is None
    assert list((folder / "writers").iterdir()) == []


@pytest.mark.parametrize(
    "command",
    [
        ("pack-refs", "--all"),
        ("repack", "-adq"),
        ("gc", "--prune=now", "--quiet"),
        ("prune", "--expire=now"),
        ("update-ref", "refs/tags/other", BRANCH),
    ],
    ids=" ".join,
)
def test_git_commands_between_two_writes_do_not_disturb_the_shared_process(registry, git, assert_whole, command):
    first = pid(registry)
    for number in (3, 4, 5):
        git(registry.path, *command)
        assert registry.register()["number"] == number
        registry.promote(f"iris@{number}")
    assert pid(registry) == first
    assert_whole(registry.path)


@pytest.mark.parametrize("command", [("pack-refs", "--all"), ("gc", "--prune=now", "--quiet")], ids=" ".join)
def test_git_commands_while_refs_are_locked_do_not_fail_the_write(registry, assert_whole, command):
    # `nested` stops an endless recursion, because git also runs the hook when `pack-refs` moves refs
    hook = set_hook(registry, f'[ "$nested" ] || nested=1 git {" ".join(command)} >/dev/null 2>&1 || true')
    assert registry.register()["number"] == 3
    hook.unlink()
    assert_whole(registry.path)


def test_a_change_of_packed_refs_that_the_shared_process_missed_is_detected(registry, git):
    """git's cache of packed-refs cannot notice the change, because size, time and inode of the file stay the same."""
    transactions, packed = registry.repository.ref_transactions, registry.repository.common_dir / "packed-refs"
    first, second = git(registry.path, "rev-parse", f"{BRANCH}~1", BRANCH).split()
    git(registry.path, "pack-refs", "--all", "--prune")
    transactions.move([RefMove(BRANCH, second, second)], "", lambda: None)  # git caches packed-refs
    process, state = pid(registry), packed.stat()
    with packed.open("r+") as file:
        text = file.read().replace(f"{second} {BRANCH}", f"{first} {BRANCH}")
        file.seek(0)
        file.write(text)
    os.utime(packed, ns=(state.st_atime_ns, state.st_mtime_ns))
    with pytest.raises(Moved, match=f"{BRANCH} is not at {second}"):
        transactions.move([RefMove(BRANCH, second, second)], "", lambda: None)
    assert tip(registry, git) == first
    assert locks(registry) == []
    with pytest.raises(ProcessLookupError):
        os.kill(process, 0)
    transactions.move([RefMove(BRANCH, second, first)], "", lambda: None)
    assert tip(registry, git) == second


def test_a_write_to_a_symbolic_branch_moves_the_branch_that_it_names(registry, git):
    other = "refs/heads/elsewhere"
    git(registry.path, "update-ref", other, BRANCH)
    git(registry.path, "symbolic-ref", BRANCH, other)
    first = pid(registry)
    assert registry.register()["number"] == 3
    assert pid(registry) == first
    assert tip(registry, git) == git(registry.path, "rev-parse", other).strip()


def test_a_write_is_planned_again_if_another_process_moved_the_branch_first(registry, start):
    (actor,) = start(1)
    for number in (3, 5, 7):
        assert actor.ask("register")["number"] == number
        assert registry.register()["number"] == number + 1


def test_the_next_write_succeeds_after_a_git_that_held_locks_was_killed(registry, assert_whole):
    hook = set_hook(registry, "kill -9 $PPID")
    with pytest.raises(GitError, match="signal 9"):
        registry.register()
    hook.unlink()
    assert locks(registry)
    assert registry.register()["number"] == 3
    assert locks(registry) == []
    assert_whole(registry.path)


@pytest.mark.parametrize("whole_group", [False, True])
def test_the_next_write_succeeds_after_a_writer_whose_shared_process_held_locks_was_killed(
    registry, assert_whole, whole_group, tmp_path
):
    registry.close()
    waiting = tmp_path / "waiting"
    os.mkfifo(waiting)
    write_script(tmp_path / "hook", f'[ "$1" = prepared ] || exit 0\n: >{waiting}\nexec sleep 1')
    (registry.path / ".git/hooks").mkdir(exist_ok=True)
    writer = start_writer(registry, tmp_path, "register", "register", "hook", "register")
    waiting.read_bytes()
    if whole_group:
        os.killpg(writer.pid, signal.SIGKILL)
    else:
        writer.kill()
    writer.wait()
    (registry.path / ".git/hooks/reference-transaction").unlink()
    # The git process of the killed writer ends without moving the branch, so the number 5 is still free.
    assert registry.register()["number"] == 5
    assert_whole(registry.path, repair=True)


@pytest.mark.parametrize("words", [("register", "register"), ("register", "register", "kill")], ids=["ended", "killed"])
def test_a_writer_that_ends_without_closing_its_repository_does_not_stop_others(
    registry, assert_whole, words, tmp_path
):
    writer = start_writer(registry, tmp_path, *words)
    assert writer.wait() == (-signal.SIGKILL if "kill" in words else 0)
    registry.close()
    idle = list((registry.path / ".git/gitmodel/idle").iterdir())
    assert len(idle) == ("kill" in words)
    assert all(mark.read_text() == "" for mark in idle)
    assert registry.register()["number"] == 5
    assert_whole(registry.path, repair=True)


def start_writer(registry, folder, *words, **options):
    environ = {**os.environ, "PYTHONPATH": str(Path(__file__).parent)}
    command = [sys.executable, "-c", WRITER, str(registry.path), *words]
    return subprocess.Popen(command, cwd=folder, env=environ, start_new_session=True, **options)


def test_a_repository_that_a_finalizer_closes_as_the_process_ends_prints_no_error(registry, tmp_path):
    """The plug-in for MLflow closes its repository so late: the finalizer of the shared git process has already run."""
    writer = start_writer(registry, tmp_path, "finalizer", "register", "register", stderr=subprocess.PIPE)
    assert writer.communicate(timeout=60)[1] == b""


def test_a_forked_process_keeps_neither_the_shared_process_nor_the_lock_of_its_mark(registry, assert_whole):
    process, mark = pid(registry), kept(registry)._mark.path
    go_on, told = os.pipe()
    running, started = os.pipe()
    child = os.fork()
    if not child:
        try:
            os.close(told)
            os.write(started, b"x")  # the child sends this after `os.register_at_fork` has closed its descriptors
            os.read(go_on, 1)
            os._exit(registry.register()["number"])
        finally:
            os._exit(99)
    os.close(go_on)
    os.read(running, 1)
    os.close(running)
    os.close(started)
    os.kill(process, signal.SIGKILL)
    kept(registry)._process.wait()
    descriptor = os.open(mark, os.O_RDWR)
    assert registry.register()["number"] == 3  # gitmodel notices that its git was killed, and closes the mark
    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    os.close(descriptor)
    registry.repository.ref_transactions.close()
    assert registry.register()["number"] == 4
    os.write(told, b"x")
    os.close(told)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 5
    assert registry.register()["number"] == 6
    assert_whole(registry.path, repair=True)


def test_a_fork_while_another_thread_writes_does_not_block_the_child(registry, assert_whole, tmp_path):
    waiting, go_on = tmp_path / "waiting", tmp_path / "go-on"
    os.mkfifo(waiting)
    os.mkfifo(go_on)
    hook = set_hook(registry, f": >{waiting}\nread line <{go_on}")
    with ThreadPoolExecutor(1) as pool:
        written = pool.submit(registry.register)
        waiting.read_bytes()
        hook.unlink()
        child = os.fork()
        if not child:
            # The parent still holds locks of refs. The child must not wait for the git process or thread of the parent.
            registry.repository.ref_transactions.close()
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0
        go_on.write_text("\n")
        assert written.result()["number"] == 3
    assert_whole(registry.path)


def test_threads_and_signal_handlers_can_write_while_the_shared_git_process_is_busy(registry, assert_whole):
    with ThreadPoolExecutor(4) as pool:
        numbers = [made["number"] for made in pool.map(lambda _: registry.register(), range(12))]
    assert sorted(numbers) == list(range(3, 15))
    # The test takes the lock first, because a signal handler can run while its thread holds this lock for a write.
    with registry.repository.ref_transactions._lock:
        assert registry.register()["number"] == 15
    assert_whole(registry.path)


@pytest.mark.parametrize("shared", [True, False], ids=["shared process", "process of this write"])
def test_an_exception_in_a_signal_handler_while_git_holds_locks_leaves_no_lock(
    registry, assert_whole, monkeypatch, shared
):
    class Interrupted(Exception):
        pass

    def interrupt(*_):
        raise Interrupted

    if not shared:
        registry.repository.ref_transactions.close()
        monkeypatch.setattr(ref_transactions, "_BURST", 0)
    hook = set_hook(registry, f"kill -USR1 {os.getpid()}; exec sleep 3")
    before = signal.signal(signal.SIGUSR1, interrupt)
    try:
        with pytest.raises(Interrupted):
            registry.register()
    finally:
        signal.signal(signal.SIGUSR1, before)
    hook.unlink()
    assert locks(registry) == []
    assert registry.register()["number"] == 3
    assert_whole(registry.path)


def test_a_hook_that_prints_more_than_a_pipe_holds_can_still_refuse_the_write(registry):
    hook = set_hook(registry, "head -c 300000 /dev/zero | tr '\\0' x >&2")
    assert registry.register()["number"] == 3
    hook.write_text("#!/bin/sh\necho no >&2; exit 1\n")
    with pytest.raises(Refused, match="a hook of this repository refused the change: no"):
        registry.register()
    hook.unlink()
    assert registry.register()["number"] == 4


def test_a_lock_of_another_git_process_is_reported(registry):
    lock = registry.repository.common_dir / f"{BRANCH}.lock"
    lock.touch()
    with pytest.raises(Conflict, match="has been locked for"):
        registry.register()
    lock.unlink()
    assert registry.register()["number"] == 3


def test_writer_marks_that_somebody_deletes_between_two_writes_are_created_again(registry, assert_whole):
    folder = registry.repository.common_dir / "gitmodel"
    first = pid(registry)
    for name in ("idle", "writers"):
        for mark in (folder / name).iterdir():
            mark.unlink()
        (folder / name).rmdir()
    assert registry.register()["number"] == 3
    assert pid(registry) != first
    assert_whole(registry.path)


def test_two_clients_that_write_in_turn_each_keep_their_git_process(registry, open_at):
    other = open_at(registry.path)
    numbers = [made.register()["number"] for _ in range(4) for made in (registry, other)]
    assert numbers == list(range(3, 11))
