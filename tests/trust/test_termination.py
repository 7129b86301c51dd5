"""A process that gets a signal removes its temporary files and locks, and ends with this signal.

The signal arrives while the process uploads, downloads, runs a step or writes.
"""

import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager

import pytest
import web_pages

from gitmodel import Client
from gitmodel.domain.schema.records import ArtifactLink
from gitmodel.domain.schema.references import VersionRef
from gitmodel.registry.linked_artifacts import linking
from gitmodel.stores.local_store import LocalStore

SLOW = r"""
import os
import sys
import threading
from gitmodel.cli import main
from gitmodel.stores import local_store
from gitmodel.stores.artifacts import target_files

def slowly(source):
    '''Bytes that never end. Says first that it reads.'''
    os.write(1, b"reading\n")
    yield memoryview(b"x")
    while True:
        threading.Event().wait(0.01)
        yield memoryview(b"x")

(target_files if "get" in sys.argv else local_store).chunks = slowly
main("git model")
"""


@pytest.fixture
def iris(code_repo, tmp_path, monkeypatch):
    folder = tmp_path / "weights"
    folder.mkdir()
    for name in "abcd":
        (folder / name).write_bytes(name.encode() * 1000)
    with Client(code_repo) as client:
        client.register_model("iris").create_version(model_objects={"weights": folder, "one": folder / "a"})
    monkeypatch.chdir(code_repo)
    return code_repo


@contextmanager
def begun(*arguments):
    """Run `git model` with *arguments*, slowed down. The block runs while the program is reading an artifact."""
    command = [sys.executable, "-c", SLOW, *map(str, arguments)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as running:
        try:
            assert running.stdout.readline() == "reading\n"
            yield running
        finally:
            running.kill()


def everything(*folders):
    return {str(path) for folder in folders for path in folder.rglob("*")}


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("what", ["weights", "one"])
def test_a_terminated_get_leaves_no_files(iris, tmp_path, what, number):
    before = everything(tmp_path, iris)
    with begun("get", "iris@1", what, "-o", tmp_path / "got") as running:
        assert everything(tmp_path, iris) > before
        running.send_signal(number)
        assert running.wait(30) == -number
    assert everything(tmp_path, iris) == before


@pytest.mark.parametrize("what", ["weights", "weights/a"])
def test_a_terminated_upload_leaves_no_files(iris, tmp_path, what):
    with begun("version", "create", "iris", "--data", f"x={tmp_path / what}") as running:
        assert list((iris / ".git/gitmodel/store/tmp").iterdir())
        running.terminate()
        assert running.wait(30) == -signal.SIGTERM
    assert list((iris / ".git/gitmodel/store/tmp").iterdir()) == []


def test_a_download_from_a_stalled_server_ends_on_a_signal_and_leaves_no_files(iris, tmp_path):
    going = threading.Event()

    class Stalling(web_pages.QuietHandler):
        def do_GET(self):
            self.send_response(200)
            self.send_header("Content-Length", "100000")
            self.end_headers()
            self.wfile.write(bytes(70_000))
            going.set()
            ended.wait(30)

    ended = threading.Event()
    with web_pages.running(web_pages.QuietServer(Stalling)) as server:
        with Client(iris) as client:
            client.trust_store(f"{server.url}/")
            found = {"digest": f"sha256:{'0' * 64}", "size": 100_000, "uri": f"{server.url}/raw"}
            link = ArtifactLink(name="raw", kind="data", format="bytes", **found)
            linking.link_artifacts(client.writer, VersionRef.parse("iris@1"), [link])
        before = everything(tmp_path, iris)
        command = [sys.executable, "-m", "gitmodel", "get", "iris@1", "raw", "-o", str(tmp_path / "raw")]
        running = subprocess.Popen(command)
        assert going.wait(30)
        running.terminate()
        assert running.wait(30) == -signal.SIGTERM
        ended.set()
    assert everything(tmp_path, iris) == before


def test_the_next_download_removes_the_files_that_a_killed_download_left(iris, tmp_path):
    with begun("get", "iris@1", "weights", "-o", tmp_path / "got") as running:
        assert len(list(tmp_path.glob(".gitmodel-*"))) == 1
        with Client(iris) as client:
            client.get_version("iris@1").get_artifact("one").download(tmp_path / "one")
        assert len(list(tmp_path.glob(".gitmodel-*"))) == 1  # the running process still needs its folder
        running.kill()
        running.wait(30)
    with Client(iris) as client:
        client.get_version("iris@1").get_artifact("one").download(tmp_path / "one")
    assert list(tmp_path.glob(".gitmodel-*")) == []


def test_the_next_upload_removes_the_files_that_a_killed_upload_left(iris, tmp_path):
    temporary = iris / ".git/gitmodel/store/tmp"
    with begun("version", "create", "iris", "--data", f"x={tmp_path / 'weights/a'}") as running:
        (living,) = temporary.iterdir()
        old = time.time() - 7200
        os.utime(living, (old, old))
        with (tmp_path / "weights/b").open("rb") as source:
            LocalStore(temporary.parent).put_stream(source)
        assert living.exists()
        running.kill()
        running.wait(30)
        os.utime(living, (old, old))
    with (tmp_path / "weights/b").open("rb") as source:
        LocalStore(temporary.parent).put_stream(source)
    assert list(temporary.iterdir()) == []


def test_a_terminated_run_is_recorded_as_cancelled_and_leaves_no_files(iris, tmp_path):
    script = tmp_path / "train.py"
    script.write_text(
        "import threading\nfrom gitmodel import pipeline, step\n\n"
        "@step\ndef fit() -> int:\n    print('fitting', flush=True)\n    threading.Event().wait()\n    return 1\n\n"
        "@pipeline\ndef train():\n    fit()\n\n"
        "if __name__ == '__main__':\n    train()\n"
    )
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    environ = {**os.environ, "TMPDIR": str(scratch)}
    command = [sys.executable, str(script)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environ) as running:
        assert running.stdout.readline() == "fitting\n"
        running.terminate()
        assert running.wait(60) == -signal.SIGTERM
    assert list(scratch.iterdir()) == []
    with Client(iris) as client:
        assert [run.status for run in client.list_runs()] == ["cancelled"]


def test_a_signal_that_the_parent_process_ignores_stays_ignored(iris, tmp_path):
    signal_was = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with begun("get", "iris@1", "one", "-o", tmp_path / "got") as running:
            running.send_signal(signal.SIGHUP)
            with pytest.raises(subprocess.TimeoutExpired):
                running.wait(0.3)
    finally:
        signal.signal(signal.SIGHUP, signal_was)


class Interrupted(Exception):
    pass


@pytest.mark.parametrize("after", ["sent", "header", "answer"])
@pytest.mark.parametrize("error", [KeyboardInterrupt, Interrupted])
def test_a_read_never_gets_the_answer_to_an_earlier_read_that_was_interrupted(client, monkeypatch, after, error):
    reader, tip = client.repository.reader, client.repository.tip()
    ids = [tip, reader.get(tip).data.decode().split()[1]]
    real = reader._answer

    def answer(request, stdout, limit):
        if after == "header":
            stdout.readline()
        if after != "answer" or request == ids[1]:
            raise error
        return real(request, stdout, limit)

    monkeypatch.setattr(reader, "_answer", answer)
    with pytest.raises(error):
        list(reader.get_many(ids))
    monkeypatch.undo()
    assert [reader.get(id).id for id in reversed(ids)] == ids[::-1]
    assert reader.resolve_id("HEAD") != tip
