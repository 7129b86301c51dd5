"""Reading artifacts in place with `artifact.path()`. A folder is created in a cache, from objects of the store.

This folder must be complete and unchanged, also if several readers create it at the same time or a reader is killed.
"""

import os
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from gitmodel import Client, NotFound
from gitmodel.stores.artifacts import fetching, manifests, unpacked

FILES = {f"part-{number % 7}/file-{number}.bin": bytes([number % 256]) * 500 for number in range(60)}


@pytest.fixture
def folder(tmp_path):
    root = tmp_path / "weights"
    for name, content in FILES.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content)
    return root


@pytest.fixture
def client(code_repo):
    with Client(code_repo) as client:
        yield client


@pytest.fixture
def version(client, folder):
    return client.register_model("iris").create_version(model_objects={"weights": folder})


@pytest.fixture
def artifact(version):
    return version.get_artifact("weights")


def content(root):
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def beside(path):
    return [name for name in os.listdir(path.parent) if name != path.name]


def test_a_second_read_uses_the_folder_in_the_cache_and_does_not_replace_it(artifact):
    path = artifact.path()
    assert content(path) == FILES
    before = {name: (path / name).stat().st_ino for name in FILES}
    with (path / "part-1/file-1.bin").open("rb") as reader:
        assert artifact.path() == path
        assert reader.read() == FILES["part-1/file-1.bin"]
    assert {name: (path / name).stat().st_ino for name in FILES} == before
    assert beside(path) == []


def test_threads_that_open_a_folder_at_the_same_time_get_the_complete_folder(artifact, monkeypatch):
    """All threads look for the folder in the cache before the first thread has moved the complete folder there."""
    all_of_them = threading.Barrier(4, timeout=30)
    members_of = manifests.members_of

    def wait(*arguments):
        all_of_them.wait()
        return members_of(*arguments)

    # Two modules import `members_of`. The test replaces only the name in `fetching`, which `get_folder` uses.
    assert unpacked.members_of is members_of
    monkeypatch.setattr(fetching, "members_of", wait)

    with ThreadPoolExecutor(4, thread_name_prefix="reader") as pool:
        assert list(pool.map(lambda _: content(artifact.path()), range(4))) == [FILES] * 4
    assert beside(artifact.path()) == []


def test_a_reader_uses_the_folder_that_another_process_created_in_the_meantime(artifact, monkeypatch):
    """Another process creates the folder after this reader found none, and before this reader moves its own there."""
    path = artifact.path()
    away = path.parent / "away"
    path.rename(away)
    unlink = os.unlink

    def put_first(what, **options):
        if what == path:
            monkeypatch.setattr(os, "unlink", unlink)
            away.rename(path)
        unlink(what, **options)

    monkeypatch.setattr(os, "unlink", put_first)
    assert artifact.path() == path
    assert content(path) == FILES


READER = """
import os
import sys
from pathlib import Path
from gitmodel import Client
with Client(sys.argv[1]) as client:
    artifact = client.get_version("iris@1").get_artifact("weights")
    print("ready", flush=True)
    sys.stdin.readline()
    for _ in range(4):
        path = artifact.path()
        print(sum(len(file.read_bytes()) for file in path.rglob("*") if file.is_file()), flush=True)
"""


def start_reader(script, repo):
    """Start a process that runs *script*, a form of `READER`, and return it when it waits for a line on stdin."""
    command = [sys.executable, "-c", script, str(repo)]
    reader = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert reader.stdout.readline() == "ready\n"
    return reader


def test_processes_that_open_a_folder_at_the_same_time_get_the_complete_folder(code_repo, artifact):
    readers = [start_reader(READER, code_repo) for _ in range(3)]
    for reader in readers:
        reader.stdin.write("go\n")
        reader.stdin.flush()
    for reader in readers:
        told, _ = reader.communicate(timeout=120)
        assert told.split() == [str(sum(map(len, FILES.values())))] * 4
        assert reader.returncode == 0


# Shell commands that change the folder in the cache, run in this folder. $1 is one of its files.
CHANGES = {
    "changed file": 'chmod 644 "$1"; head -c 500 /dev/zero >"$1"',
    "empty file": 'chmod 644 "$1"; : >"$1"',
    "link to a copy of a file": 'cp "$1" ../secret; rm -f "$1"; ln -s "$PWD/../secret" "$1"',
    "link to a folder": 'mv part-2 ../elsewhere; ln -s "$PWD/../elsewhere" part-2',
    "folder in place of a file": 'rm -f "$1"; mkdir -p "$1/deep"',
    "file in place of a folder": "mv part-2 ../elsewhere; echo text >part-2",
    "more files": "mkdir -p new/deeper; echo text >new/deeper/file.py; echo text >part-1/other.bin",
    "no files": "rm -f part-*/*.bin",
    "file in place of all": 'all="$PWD"; mv "$all" ../elsewhere; echo text >"$all"',
    "link in place of all": 'all="$PWD"; mv "$all" ../elsewhere; ln -s "${all%/*}/elsewhere" "$all"',
}


def change(folder, how):
    subprocess.run(["sh", "-ec", CHANGES[how], "sh", "part-1/file-1.bin"], cwd=folder.resolve(), check=True)


@pytest.mark.parametrize("how", CHANGES)
def test_a_changed_folder_in_the_cache_is_repaired(artifact, how):
    path = artifact.path()
    change(path, how)
    assert artifact.path() == path
    assert content(path) == FILES
    assert not any(found.is_symlink() for found in path.rglob("*"))
    assert not list(path.parent.glob(".gitmodel-*"))
    assert {found.name for found in path.iterdir()} == {f"part-{number}" for number in range(7)}


def test_repairing_one_file_of_a_folder_in_the_cache_does_not_rewrite_the_other_files(artifact):
    path = artifact.path()
    before = {name: (path / name).stat().st_ino for name in FILES}
    change(path, "changed file")
    artifact.path()
    changed = {name for name in FILES if (path / name).stat().st_ino != before[name]}
    assert changed == {"part-1/file-1.bin"}


def test_a_changed_folder_of_read_only_files_in_the_cache_is_repaired(artifact):
    path = artifact.path()
    assert all(file.stat().st_mode & 0o222 == 0 for file in path.rglob("*.bin"))
    os.chmod(path / "part-1/file-1.bin", 0)
    (path / "part-1/file-2.bin").write_bytes(b"a stranger")
    os.chmod(path / "part-1/file-2.bin", 0o444)
    assert content(artifact.path()) == FILES


def test_the_next_reader_removes_temporary_folders_of_a_killed_reader(artifact, code_repo):
    script = READER.replace(
        "from gitmodel import Client",
        "from gitmodel import Client\nfrom gitmodel.stores.artifacts import fetching\n"
        "def hang(*_, **__):\n    os.write(1, b'unpacking\\n')\n    sys.stdin.readline()\n"
        "fetching.fetch_entry = hang",
    )
    reader = start_reader(script, code_repo)
    reader.stdin.write("go\n")
    reader.stdin.flush()
    assert reader.stdout.readline() == "unpacking\n"
    cache = Path(code_repo) / ".git" / "gitmodel" / "cache"
    assert len(list(cache.glob(".gitmodel-*"))) == 1
    # This reader must not remove the temporary folder of the other reader, which is still running.
    path = artifact.path()
    assert len(list(cache.glob(".gitmodel-*"))) == 1
    reader.send_signal(signal.SIGKILL)
    reader.communicate()
    path.resolve().rename(cache / "away")
    assert content(artifact.path()) == FILES
    assert not list(cache.glob(".gitmodel-*"))


def test_a_purged_file_is_not_read_from_a_folder_in_the_cache(client, artifact):
    path = artifact.path()
    digest = manifests.manifest_of(client.store, artifact.digest)[0].digest
    client.purge(digest, reason="request for erasure")
    with pytest.raises(NotFound, match="request for erasure"):
        artifact.path()
    assert path.exists()
