"""The refreshed copy of git's index. If the times of many files differ from those in the index, `git status` is slow,
because it compares the content of these files each time. gitmodel then copies the index and refreshes the copy, which
writes the present times to it. It never changes the user's index. Copy and index must show the same changes.
"""

import os
import subprocess

import pytest
from editing import write_script

from gitmodel import Client
from gitmodel.git.worktrees import index_copies, worktree_state


@pytest.fixture
def copied(code_repo, monkeypatch, git):
    """A code repository whose files have other times than in the index, as after `cp -r`. `git status` is slow."""
    for number in range(20):
        (code_repo / f"file{number}.py").write_text(f"x = {number}\n", encoding="utf-8")
    (code_repo / "tracked").mkdir()
    (code_repo / "tracked" / "a.py").write_text("a = 1\n", encoding="utf-8")
    git(code_repo, "add", ".")
    git(code_repo, "commit", "-q", "-m", "More files")
    set_times(code_repo, 1_700_000_000)
    monkeypatch.setattr(worktree_state, "SLOW", -1.0)
    monkeypatch.setattr(index_copies, "_fresh", {})
    return code_repo


def set_times(repo, seconds):
    for path in repo.rglob("*.py"):
        os.utime(path, (seconds, seconds))


def copies(repo):
    return sorted((repo / ".git" / "gitmodel").glob("code-index-*"))


def changed(repo):
    """Return the number of uncommitted changes that a new client finds."""
    with Client(repo) as client:
        return client.read_code().changed


def stale(repo, index):
    environ = {**os.environ, "GIT_INDEX_FILE": str(index)}
    done = subprocess.run(["git", "diff-files", "--name-only"], cwd=repo, env=environ, capture_output=True, check=True)
    return done.stdout.split()


def test_a_slow_git_status_leads_to_a_refreshed_copy_and_does_not_change_the_index(copied):
    index = copied / ".git" / "index"
    before = index.read_bytes(), index.stat()
    assert changed(copied) == 0
    assert (index.read_bytes(), index.stat().st_mtime_ns) == (before[0], before[1].st_mtime_ns)
    (copy,) = copies(copied)
    assert len(stale(copied, index)) > 20
    assert stale(copied, copy) == []
    assert changed(copied) == 0
    assert copies(copied) == [copy]


def test_the_copy_of_the_index_is_refreshed_again_after_the_times_of_files_changed_again(copied):
    assert changed(copied) == 0
    set_times(copied, 1_600_000_000)
    assert changed(copied) == 0
    (copy,) = copies(copied)
    assert stale(copied, copy) == []


@pytest.mark.parametrize(
    "change",
    [
        "echo 'y = 12345' >file3.py",
        "echo 'y = 3' >file3.py",  # the same size
        "rm file3.py",
        "chmod +x file3.py",
        "echo 'y = 12345' >file3.py && git add file3.py && echo 'x = 3' >file3.py",
        "touch other.py",
        "touch other.py && git add other.py",
    ],
)
def test_a_change_after_the_refresh_is_found(copied, change):
    assert changed(copied) == 0
    subprocess.run(change, shell=True, cwd=copied, check=True)
    assert changed(copied) == 1


def test_a_change_in_the_same_second_as_the_refresh_is_found(copied):
    file = copied / "file3.py"
    os.utime(file)
    now = file.stat().st_mtime_ns
    assert changed(copied) == 0
    file.write_text("y = 3\n", encoding="utf-8")
    os.utime(file, ns=(now, now))
    assert changed(copied) == 1


def test_a_new_copy_of_the_index_is_made_after_git_changed_the_index(copied, git):
    assert changed(copied) == 0
    (first,) = copies(copied)
    (copied / "file3.py").write_text("y = 3\n", encoding="utf-8")
    git(copied, "commit", "-q", "-a", "-m", "Change")
    set_times(copied, 1_600_000_000)
    assert changed(copied) == 0
    (second,) = copies(copied)
    assert second != first


def test_a_change_of_a_file_is_found_although_the_index_marks_the_file_as_unchanged(copied, git):
    git(copied, "update-index", "--assume-unchanged", "file3.py")
    assert changed(copied) == 0
    (copied / "file3.py").write_text("y = 12345\n", encoding="utf-8")
    assert changed(copied) == 1


def test_refreshing_the_copy_runs_no_hook_of_the_user(copied):
    write_script(copied / ".git" / "hooks" / "post-index-change", "touch ran")
    assert changed(copied) == 0
    assert len(copies(copied)) == 1
    assert not list(copied.rglob("ran"))


def test_changes_are_found_although_the_copy_of_the_index_cannot_be_written(copied):
    folder = copied / ".git" / "gitmodel"
    folder.parent.mkdir(exist_ok=True)
    folder.write_text("", encoding="utf-8")  # a file in place of the folder for the copy
    assert changed(copied) == 0
    (copied / "file3.py").write_text("y = 12345\n", encoding="utf-8")
    assert changed(copied) == 1


def test_a_refresh_that_changes_nothing_leaves_no_copy(copied, git):
    git(copied, "update-index", "--refresh")
    assert changed(copied) == 0
    assert copies(copied) == []


def test_an_untracked_folder_of_40_000_files_counts_as_one_change(copied):
    (copied / "data").mkdir()
    first = copied / "data" / "0"
    first.touch()
    for number in range(1, 40_000):  # hard links, because creating files takes three times as long
        os.link(first, copied / "data" / str(number))
    assert changed(copied) == 1
    assert changed(copied) == 1


@pytest.mark.parametrize("newer", [0, 3_600])
def test_files_that_are_not_older_than_the_index_are_compared_each_time(copied, git, newer):
    """Such a file may have changed in the second in which the index was written, and its times do not show that."""
    git(copied, "update-index", "--refresh")
    when = (copied / ".git" / "index").stat().st_mtime + newer
    set_times(copied, when)
    for _ in range(2):
        assert changed(copied) == 0
    file = copied / "file3.py"
    file.write_text("y = 3\n", encoding="utf-8")  # the same size
    os.utime(file, (when, when))
    for _ in range(2):
        assert changed(copied) == 1
    file.write_text("x = 3\n", encoding="utf-8")
    os.utime(file, (when, when))
    assert changed(copied) == 0
