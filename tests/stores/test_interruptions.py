"""Each kind of store after a kill, a fork or Ctrl-C during an upload, its leftovers, and the memory of transfers.

A leftover is what a killed upload leaves in the store.
"""

import io
import os
import random
import signal
import subprocess
import sys

import pytest
from store_kinds import EXPIRING, KINDS, SERVERS, read, url_of

from gitmodel.domain.schema.digests import digest_of
from gitmodel.stores.opening import open_store

PART = 8 << 20
LARGE = random.Random(5).randbytes(3 * PART + 1000)  # an upload of four parts, for stores that upload in parts
MAXRSS = 200  # the limit of the memory of a process in MiB, for files of any size

# A script that stores a file, and sends a signal to its own process after two parts.
PUT = """
import io, os, sys, threading
from pathlib import Path
from gitmodel.stores.opening import open_store
url, root, digest, path, number, enough = sys.argv[1:]

class Source(io.FileIO):
    stored, reached = 0, threading.Event()

    def readinto(self, buffer):
        if self.tell() >= int(enough):
            self.reached.wait()
            os.kill(os.getpid(), int(number))
        return super().readinto(buffer)

    def sent(self, count):
        Source.stored += count
        if Source.stored >= int(enough):
            self.reached.set()

with Source(path) as source:
    store = open_store(url, default_root=Path(root))
    store.put_known(digest, os.path.getsize(path), source, sent=source.sent)
"""

FORK = """
import io, os, signal, sys, traceback
from pathlib import Path
from gitmodel.stores.opening import open_store
store = open_store(sys.argv[1], default_root=Path(sys.argv[2])).origin

def works(content):
    signal.alarm(90)  # ends a process that hangs
    digest, _ = store.put_stream(io.BytesIO(content))
    with store.open(digest) as reader:
        assert reader.read() == content
    signal.alarm(0)

store.create()
works(b"1" * (10 << 20))
child = os.fork()
if not child:
    try:
        works(b"2" * (10 << 20))
        works(b"in the child")
    except BaseException:
        traceback.print_exc()
        os._exit(1)
    os._exit(0)
works(b"3" * (10 << 20))
assert os.waitpid(child, 0)[1] == 0
works(b"in the parent")
assert len(list(store.digests())) == 5
"""

MEASURE = """
import sys
from pathlib import Path
from gitmodel.stores.artifacts.fetching import get_file, get_folder
from gitmodel.stores.artifacts.storing import put_path
from gitmodel.stores.artifacts.verifying import verify_file, verify_folder
from gitmodel.stores.opening import open_store
what, url, folder, digest = sys.argv[1], sys.argv[2], Path(sys.argv[3]), sys.argv[4]
get, verify = (get_folder, verify_folder) if (folder / "large").is_dir() else (get_file, verify_file)
store = open_store(url, default_root=folder / "copies")
if what == "put":
    store.create()
    digest = put_path(store, folder / "large").digest
elif what == "get":
    get(store, digest, folder / "got")
else:
    verify(store, digest)
# getrusage would return the memory of the parent process, if that was larger
print(digest, next(int(line.split()[1]) >> 10 for line in open("/proc/self/status") if line.startswith("VmHWM")))
"""


@pytest.fixture(params=KINDS)
def kind(request):
    return request.param


@pytest.fixture
def url(kind, request, tmp_path):
    return url_of(kind, request, tmp_path)


@pytest.fixture
def store(url, tmp_path):
    made = open_store(url, default_root=tmp_path / "copies")
    made.create()
    return made


@pytest.fixture
def content(store):
    return LARGE + os.urandom(8)  # each test stores other bytes, because stores on one server may share objects


def put_and_signal(number, store, content, tmp_path):
    """Start a process that stores *content* and sends itself the signal *number* after two parts. Return its stderr."""
    (tmp_path / "content").write_bytes(content)
    url = store.url if store.shared else ""
    words = [url, tmp_path / "copies", digest_of(content), tmp_path / "content", f"{int(number)}", f"{2 * PART}"]
    done = subprocess.run([sys.executable, "-c", PUT, *words], capture_output=True, text=True, timeout=120)
    assert done.returncode == -number, done.stderr
    return done.stderr


def count_parts(kind, store, monkeypatch):
    """Count the parts that this process sends to the server. Return a list that gets an entry for each part."""
    backend, sent = store.origin.backend, []
    if kind == "gcs":  # counts `send_range`, because `send` also gets the parts that the server has, to hash them
        real_range = backend.send_range

        def send_range(where, digest, span, content=b"", **hashed):
            sent.extend([span] if content else [])
            return real_range(where, digest, span, content, **hashed)

        monkeypatch.setattr(backend, "send_range", send_range)
        return sent
    real = backend.upload

    def upload(digest, size):
        made = real(digest, size)
        send = made.send
        monkeypatch.setattr(made, "send", lambda number, content: [sent.append(number), send(number, content)])
        return made

    monkeypatch.setattr(backend, "upload", upload)
    return sent


def test_a_killed_upload_is_listed_until_it_is_removed_and_is_never_an_object(kind, store, content, tmp_path):
    put_and_signal(signal.SIGKILL, store, content, tmp_path)
    assert not store.holds(digest_of(content))
    assert list(store.objects()) == []
    found = store.leftovers()
    assert [left.size >= 2 * PART for left in found] == ([] if kind in EXPIRING else [True])
    for left in found * 2:  # removes each leftover twice, as two processes at the same time could
        store.remove_leftover(left)
    assert store.leftovers() == []
    store.put_known(digest_of(content), len(content), io.BytesIO(content))
    assert read(store.origin, digest_of(content)) == content


def test_the_next_upload_sends_only_the_missing_parts_of_a_killed_upload(kind, store, content, tmp_path, monkeypatch):
    put_and_signal(signal.SIGKILL, store, content, tmp_path)
    sent = count_parts(kind, store, monkeypatch) if kind in SERVERS else []
    store.put_known(digest_of(content), len(content), io.BytesIO(content))
    assert len(sent) == (2 if kind in SERVERS else 0)  # of four
    assert read(store.origin, digest_of(content)) == content
    if kind in SERVERS:  # stores in a folder do not resume uploads
        assert store.leftovers() == []


def test_ctrl_c_ends_an_upload_and_leaves_no_object(kind, store, content, tmp_path):
    assert put_and_signal(signal.SIGINT, store, content, tmp_path).rstrip().endswith("KeyboardInterrupt")
    assert list(store.objects()) == []
    if kind not in SERVERS:
        assert store.leftovers() == []
    store.put_known(digest_of(content), len(content), io.BytesIO(content))
    assert read(store.origin, digest_of(content)) == content


def test_a_forked_process_and_its_parent_use_the_store_at_the_same_time(url, tmp_path):
    command = [sys.executable, "-W", "error::ResourceWarning", "-c", FORK, url, tmp_path / "copies"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert (done.returncode, done.stderr) == (0, "")


def memory_for(url, folder):
    """Put, get and verify the file or folder `large` in *folder*, each in a new process, with the store at *url*.

    Returns the largest memory of these processes, in MiB.
    """
    digest, most = "", 0
    for what in ("put", "get", "verify"):
        command = [sys.executable, "-c", MEASURE, what, url, folder, digest]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        digest, held = done.stdout.split()
        most = max(most, int(held))
    return most


def write_random(path, size):
    with path.open("wb") as out:
        for _ in range(size):
            out.write(os.urandom(1 << 20))


# Each size, in MiB, is together with the memory of Python more than MAXRSS.
@pytest.mark.parametrize("size", [192, pytest.param(2048, marks=pytest.mark.soak)])
def test_transfers_need_the_same_memory_for_files_of_any_size(url, tmp_path, size):
    write_random(tmp_path / "large", size)
    assert memory_for(url, tmp_path) <= MAXRSS


@pytest.mark.parametrize("kind", [pytest.param("s3", marks=pytest.mark.xdist_group("s3"))])
@pytest.mark.parametrize("size", [24, pytest.param(256, marks=pytest.mark.soak)])
def test_memory_is_bounded_for_many_large_files_at_a_time(url, tmp_path, size):
    (tmp_path / "large").mkdir()
    for number in range(8):
        write_random(tmp_path / "large" / f"{number}", size)
    assert memory_for(url, tmp_path) <= MAXRSS
