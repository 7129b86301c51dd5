"""`apply` posts a notice of each change to the URL in the setting `gitmodel.notify.url`, the receiver.

A receiver that fails or does not answer never fails a promotion, and delays the command only for a limited time.
"""

import hashlib
import hmac
import json
import ssl
import subprocess
import threading
import time

import pytest
from editing import edit, read, run
from hosting import merge_within
from transcripts import ask
from web_pages import QuietHandler, QuietServer, running

from gitmodel import Client
from gitmodel.hosts import notices


class Receiver(QuietHandler):
    """An HTTP server that receives notices.

    It answers each request with the next of `server.answers`: a status, the target of a redirect, or "silent" for no
    answer.
    """

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.got.append((self.path, dict(self.headers), body))
        answer = self.server.answers.pop(0) if self.server.answers else 204
        if answer == "silent":
            self.server.over.wait(20)
            return
        self.send_response(answer if isinstance(answer, int) else 307)
        if isinstance(answer, str):
            self.send_header("Location", answer)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def do_GET(self):
        self.server.got.append((self.path, {}, b""))


@pytest.fixture
def receiver():
    server = QuietServer(Receiver)
    server.got, server.answers, server.over = [], [], threading.Event()
    with running(server):
        yield server
        server.over.set()


@pytest.fixture
def pending(code_repo, monkeypatch):
    """A repository with a pending promotion: it is recorded, but its tag is deleted."""
    monkeypatch.chdir(code_repo)
    with Client(code_repo) as client:
        version = client.register_model("iris").create_version(metadata={"accuracy": 0.9})
        version.set_stage("production", reason="better than ünset")
    run(code_repo, "tag", "-d", "model/iris/production")
    return code_repo


@pytest.fixture
def settings(pending, receiver, monkeypatch):
    run(pending, "config", "gitmodel.notify.url", f"{receiver.url}/hook/TOKEN?key=SECRETKEY")
    monkeypatch.setenv("GITMODEL_NOTIFY_SECRET", "s3cret")
    monkeypatch.setattr(notices, "_PAUSE", 0.01)


def is_in_force(folder):
    return "model/iris/production" in run(folder, "tag")


def test_apply_posts_a_signed_notice_of_its_changes(pending, settings, receiver, capsys):
    assert ask(capsys, "apply")[::2] == (0, "")
    ((path, headers, body),) = receiver.got
    assert path == "/hook/TOKEN?key=SECRETKEY"
    assert headers["X-Gitmodel-Signature-256"] == f"sha256={hmac.new(b's3cret', body, hashlib.sha256).hexdigest()}"
    assert (headers["Content-Type"], headers["X-Gitmodel-Event"]) == ("application/json", "apply")
    said = json.loads(body)
    tip = run(pending, "rev-parse", "gitmodel").strip()
    assert (said["schema"], said["event"], said["commit"]) == (1, "apply", tip)
    assert said["changes"] == [
        {
            "model": "iris", "stage": "production", "version": 1, "previous": None, "tag": "model/iris/production",
            "pushed": False, "commit": tip, "author": "Ada Example", "when": "2026-11-23T10:12:13+00:00",
            "reason": "better than ünset", "forced": [],
        }
    ]  # fmt: skip


def test_apply_posts_no_notice_without_a_change_or_without_a_receiver(pending, settings, receiver, capsys):
    ask(capsys, "apply")
    receiver.got.clear()
    assert ask(capsys, "apply")[0] == 0
    run(pending, "tag", "-d", "model/iris/production")
    run(pending, "config", "--unset", "gitmodel.notify.url")
    assert ask(capsys, "apply")[0] == 0
    assert receiver.got == []


def test_a_notice_is_signed_with_the_secret_in_the_settings_and_unsigned_without_a_secret(
    pending, settings, receiver, capsys, monkeypatch
):
    monkeypatch.delenv("GITMODEL_NOTIFY_SECRET")
    ask(capsys, "apply")
    assert "X-Gitmodel-Signature-256" not in receiver.got[0][1]
    run(pending, "config", "gitmodel.notify.secret", "other")
    run(pending, "tag", "-d", "model/iris/production")
    ask(capsys, "apply")
    signature = hmac.new(b"other", receiver.got[1][2], hashlib.sha256).hexdigest()
    assert receiver.got[1][1]["X-Gitmodel-Signature-256"] == f"sha256={signature}"


def test_a_file_on_the_metadata_branch_cannot_set_the_receiver(pending, receiver, capsys):
    text = read(pending, "gitmodel.toml")
    edit(pending, {"gitmodel.toml": f'{text}\n[notify]\nurl = "{receiver.url}"\n'})
    assert ask(capsys, "apply")[0] == 0
    assert is_in_force(pending)
    assert receiver.got == []


@pytest.mark.parametrize(
    ("answers", "requests", "problem"),
    [
        ([503, 429], 3, ""),
        ([500, 500, 500, 500], 3, "it answers 500"),
        ([404], 1, "it answers 404"),
        (["/elsewhere"], 1, "it answers 307"),
    ],
)
def test_apply_retries_a_notice_after_a_temporary_failure_and_warns_of_a_permanent_failure(
    pending, settings, receiver, capsys, answers, requests, problem
):
    receiver.answers = answers
    code, out, err = ask(capsys, "apply")
    assert code == 0
    assert "in force" in out
    assert is_in_force(pending)
    assert len(receiver.got) == requests
    assert len({headers["X-Gitmodel-Delivery"] for _, headers, _ in receiver.got}) == 1
    assert (f"warning: the notice to 127.0.0.1 was not delivered: {problem}" in err) is bool(problem)
    assert not any(word in err + out for word in ("TOKEN", "SECRETKEY", "s3cret"))


def test_a_receiver_that_does_not_answer_delays_the_command_only_for_a_limited_time(
    pending, settings, receiver, capsys, monkeypatch
):
    receiver.answers = ["silent"] * 3
    monkeypatch.setattr(notices.Receiver, "__init__", _impatient(notices.Receiver.__init__))
    began = time.monotonic()
    code, _, err = ask(capsys, "apply")
    assert (code, time.monotonic() - began < 5) == (0, True)
    assert "was not delivered: no answer within 0.6 seconds" in err
    assert is_in_force(pending)


def _impatient(original):
    def make(self, *args, **kwargs):
        original(self, *args, **{**kwargs, "timeout": 0.4, "limit": 0.6})

    return make


def test_apply_warns_if_the_receiver_cannot_be_reached(pending, receiver, settings, capsys):
    run(pending, "config", "gitmodel.notify.url", "http://127.0.0.1:1/")
    code, _, err = ask(capsys, "apply")
    assert (code, "was not delivered: " in err, is_in_force(pending)) == (0, True, True)


@pytest.mark.parametrize(
    "url", ["ftp://example.org/", "https://user:pw@example.org/", "https://", "https://h/a b", "https://h:x/", "x"]
)
def test_apply_warns_of_an_invalid_receiver_without_printing_its_address(pending, capsys, monkeypatch, url):
    monkeypatch.setenv("GITMODEL_NOTIFY_URL", url)
    code, _, err = ask(capsys, "apply")
    assert (code, "the address for notices is not https://HOST/PATH" in err, is_in_force(pending)) == (0, True, True)
    assert url == "x" or url not in err.replace("https://HOST/PATH", "")


def test_a_receiver_with_an_untrusted_certificate_gets_no_notice(pending, settings, receiver, capsys, tmp_path):
    made = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=localhost"
    names = ["-addext", "subjectAltName=DNS:localhost", "-keyout", tmp_path / "key", "-out", tmp_path / "cert"]
    subprocess.run(["openssl", *made.split(), *names], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "cert", tmp_path / "key")
    receiver.socket = context.wrap_socket(receiver.socket, server_side=True)
    run(pending, "config", "gitmodel.notify.url", f"https://localhost:{receiver.server_port}/")
    code, _, err = ask(capsys, "apply")
    assert (code, "certificate verify failed" in err, is_in_force(pending)) == (0, True, True)
    assert receiver.got == []


def test_apply_with_push_posts_a_notice_of_the_tags_that_moved_at_the_remote(ada, bob, bare, receiver, monkeypatch):
    merge_within(bare, bob.propose(("iris@3", "production"), push=True))
    monkeypatch.setenv("GITMODEL_NOTIFY_URL", receiver.url)
    monkeypatch.chdir(ada.repository.common_dir.parent)
    with Client() as client:
        done = client.apply(push=True)
    assert done.notice == ""
    (change,) = json.loads(receiver.got[0][2])["changes"]
    assert (change["version"], change["previous"], change["pushed"]) == (3, 2, True)
