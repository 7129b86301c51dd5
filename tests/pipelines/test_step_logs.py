"""gitmodel keeps what steps print in logs on this machine, and `git model runs logs` shows them.

A log has a limited size and contains no secrets.
"""

import json
import os
import subprocess
import sys
import threading
import time
from concurrent.futures import Executor, Future
from dataclasses import replace
from pathlib import Path

import project
import pytest
from project import DEMO, pipeline_of
from transcripts import ask
from waiting import wait_for

from gitmodel import Client, NotFound, Refused, RunFailed, Secret, UsageError, pipeline
from gitmodel.branch.runs import run_journal, step_logs
from gitmodel.domain.secrets.credentials import redacted

TOKEN = "hunter2hunter2"
SAID = {
    **dict.fromkeys(("a begins with (secret)", "a from a child", "not \\xff UTF-8", "a ends"), "stdout"),
    **dict.fromkeys(("a fails", "100%", "red"), "stderr"),
}


talk = pipeline_of(lambda: project.talk("a", Secret(TOKEN)), model_config=DEMO, enable_cache=False, name="talk")


class Elsewhere(Executor):
    """An executor whose workers have no folder for logs, as if they were on another machine."""

    def submit(self, run, request):
        future = Future()
        future.set_result(run(replace(request, log=Path("/nowhere", request.log.name))))
        return future


def lines_of(client, run, step=None):
    return [line.text for log in client.get_logs(run.id, step) for line in log.lines]


def test_the_log_has_all_output_of_a_step_and_its_children(client, executor, written):
    run = talk.run(client=client, executor=executor)
    (log,) = client.get_logs(run.id)
    assert (log.step, log.attempt, log.made_by) == ("talk", 1, None)
    assert {line.text: line.stream for line in log.lines} == SAID
    assert all(abs(line.at - time.time()) < 600 for line in log.lines)
    assert TOKEN not in written()


def test_the_log_of_a_running_step_has_the_output_that_it_printed_so_far(client, executor):
    watched = pipeline_of(
        lambda: project.wait_for_own_log(str(client.repository.common_dir / "gitmodel" / "logs")), name="watched"
    )
    assert watched.run(client=client, executor=executor).status == "succeeded"


def test_a_worker_without_the_folder_of_logs_sends_the_output(client, written):
    run = talk.run(client=client, executor=Elsewhere())
    assert set(lines_of(client, run)) == set(SAID)
    assert TOKEN not in written()


def test_the_output_of_a_step_is_also_printed(client, capfd):
    talk.run(client=client)
    out, err = capfd.readouterr()
    assert "a begins with hunter2hunter2\n" in out
    assert "a from a child\nnot" in out
    assert "a fails\n  1%\r 50%\r100%\r\n" in err


def test_the_log_of_a_step_in_a_thread_has_only_the_output_of_this_step(client):
    @pipeline
    def both():
        for name in ("a", "b"):
            project.talk(name)

    run = both.run(client=client, executor="threads:2")
    first, second = (lines_of(client, run, step) for step in ("talk", "talk_2"))
    assert "a begins with " in first
    assert "b begins with " in second
    assert "b begins with " not in first
    assert "a ends" not in second


def test_the_log_of_a_step_that_prints_100_mb_keeps_its_beginning_and_its_end(client):
    with open(os.devnull, "w") as nothing:
        before = os.dup(1)
        os.dup2(nothing.fileno(), 1)
        try:
            run = pipeline_of(lambda: project.flood(100_000)).run(client=client)
        finally:
            os.dup2(before, 1)
            os.close(before)
    (log,) = client.get_logs(run.id)
    texts = [line.text for line in log.lines]
    assert texts[0].startswith("0000000 .")
    assert texts[-1].startswith("0099999 .")
    (gap,) = [line for line in log.lines if line.stream == "cut"]
    left_out = int(gap.text.split()[0].strip("("))
    assert left_out + len(texts) - 1 == 100_000
    folder = client.repository.common_dir / "gitmodel" / "logs" / run.id / "flood"
    assert sum(path.stat().st_size for path in folder.iterdir()) <= 1 << 20


def test_a_very_long_line_takes_limited_space_in_the_log(tmp_path):
    log = step_logs.LogWriter(lambda: tmp_path, 1, str)
    for number in range(200):
        log.write(1, b"%d%%\r" % number)
        log.write(2, b"y" * 10_000)
    log.close()
    ((_, lines),) = step_logs.read_attempts(tmp_path)
    assert {line.stream: line.text for line in lines} == {
        "stdout": "199%",
        "stderr": f"{'y' * 4000} [61536 more characters]",
    }


def test_the_log_has_the_output_and_the_traceback_of_each_attempt(client, tmp_path, capsys):
    again = pipeline_of(lambda token=TOKEN: project.talk_and_fail(str(tmp_path / "count")))
    run = again.run(client=client, token=Secret(TOKEN))
    first, second = client.get_logs(run.id, "talk_and_fail")
    assert first.lines[0].text == "attempt 1"
    assert first.lines[-1].text == "ConnectionError: (secret)"
    assert second.text == "attempt 2\n"
    code, out, _ = ask(capsys, "runs", "logs", run.id)
    assert code == 0
    assert out.startswith("== talk_and_fail, attempt 1 ==\nattempt 1\nTraceback")
    assert out.endswith("== talk_and_fail, attempt 2 ==\nattempt 2\n")


@pytest.mark.parametrize("executor", ["processes:1", Elsewhere()], ids=["here", "elsewhere"])
def test_the_log_has_what_a_step_printed_before_its_timeout(client, executor):
    with pytest.raises(RunFailed) as info:
        pipeline_of(project.talk_and_hang).run(client=client, executor=executor)
    assert [line.text for line in client.get_logs(info.value.run)[0].lines] == ["before the end"]


def test_a_secret_of_a_later_step_is_hidden_in_earlier_output(client, written):
    run = pipeline_of(lambda: project.make_secret(project.talk(TOKEN), TOKEN)).run(client=client)
    assert lines_of(client, run, "talk")[0] == "(secret) begins with "


def test_a_cached_step_names_the_run_that_made_its_output(client, capsys):
    twice = pipeline_of(lambda: project.talk("a"))
    first, second = twice.run(client=client), twice.run(client=client)
    (log,) = client.get_logs(second.id, "talk")
    assert (log.lines, log.made_by) == ((), f"{first.id} talk")
    assert log.title == "== talk, cached =="
    code, out, err = ask(capsys, "runs", "logs", second.id, "talk")
    assert (code, out) == (0, "")
    assert f"talk came from the cache; `git model runs logs {first.id} talk` shows what it printed" in err


def test_runs_logs_shows_the_output_of_an_active_run(client, tmp_path):
    wait = pipeline_of(lambda: project.talk_and_wait(str(tmp_path / "flag"), str(tmp_path / "answer")))
    thread = threading.Thread(target=wait.run, kwargs={"executor": "processes:1"})
    thread.start()
    try:
        wait_for((tmp_path / "flag").exists)
        with Client() as other:
            (view,) = other.list_runs()
            assert view.status == "running"
            wait_for(lambda: other.get_logs(view.id) and other.get_logs(view.id)[0].text == "one line\n")
    finally:
        (tmp_path / "answer").touch()
        thread.join()


def test_logs_of_unknown_runs_and_steps_are_refused(client, tmp_path):
    run = talk.run(client=client)
    with pytest.raises(NotFound, match="has no step 'fit'") as info:
        client.get_logs(run.id, "fit")
    assert info.value.hint == "its steps are talk"
    with pytest.raises(NotFound):
        client.get_logs("20261123T101213Z-train-000000")
    folder = client.repository.common_dir / "gitmodel" / "logs" / run.id
    folder.rename(tmp_path / "elsewhere")
    with pytest.raises(NotFound, match=f"this machine does not have the output of run {run.id}"):
        client.get_logs(run.id)


def test_the_beginning_or_end_of_its_id_is_enough_to_name_a_run(client, capsys):
    first, second = talk.run(client=client), talk.run(client=client)
    capsys.readouterr()
    for short in (first.id[-6:], first.id[-8:], first.id[:-1], first.id):
        assert client.get_run(short).id == client.lineage(short).root == first.id
        assert client.get_logs(short)[0].step == "talk"
        assert ask(capsys, "runs", "show", short, "-q")[1] == f"{first.id}\n"
    assert client.attach_logs(first.id[-6:], "demo@1") == f"{first.id}.log"
    with pytest.raises(UsageError, match="'2026' names 2 runs") as info:
        client.get_run("2026")
    # both runs have the same time, because the clock of the tests stands still
    newest, oldest = sorted((first.id, second.id), reverse=True)
    assert info.value.hint == f"write more of the id: {newest}, {oldest}"
    with pytest.raises(NotFound, match=f"there is no run '{first.id[-3:]}'"):
        client.get_run(first.id[-3:])


def test_a_log_with_a_credential_is_not_attached(client):
    run = talk.run(client=client)
    head = client.repository.common_dir / "gitmodel" / "logs" / run.id / "talk" / "1.head"
    head.write_text(f"{time.time():.3f} 1 token ghp_0123456789abcdefghijklmnopqrstuvwxyzABCD\n")
    with pytest.raises(Refused, match=r"talk\.log"):
        client.attach_logs(run.id, "demo@1", step="talk")
    assert client.get_version("demo@1").attachments == []


def test_the_error_for_a_step_without_a_run_names_the_newest_run(client, capsys):
    run = talk.run(client=client)
    capsys.readouterr()
    code, out, err = ask(capsys, "runs", "logs", "talk")
    assert (code, out) == (3, "")
    assert err.endswith(f"hint: for the step talk of the newest run: git model runs logs {run.id} talk\n")


def test_runs_logs_shows_logs_as_json_and_with_times(client, capsys):
    run = talk.run(client=client)
    capsys.readouterr()
    (log,) = json.loads(ask(capsys, "--format", "json", "runs", "logs", run.id)[1])
    assert [log["step"], log["attempt"], log["made_by"]] == ["talk", 1, None]
    assert {"stdout", "stderr"} == {line["stream"] for line in log["lines"]}
    out = ask(capsys, "runs", "logs", run.id, "--times")[1]
    assert out.splitlines()[0].startswith("20")


def test_the_option_attach_adds_logs_to_a_version_as_attachments(client, capsys):
    run = talk.run(client=client)
    capsys.readouterr()
    code, out, err = ask(capsys, "runs", "logs", run.id, "talk", "--attach", "demo@1")
    assert (code, out, err) == (0, "attached talk.log to demo@1\n", "")
    _, out, _ = ask(capsys, "runs", "logs", run.id, "--attach", "demo@1", "--format", "json")
    assert [link["name"] for link in json.loads(out)["attachments"]] == [f"{run.id}.log", "talk.log"]
    text = client.get_version("demo@1").get_attachment("talk.log").load()
    assert "a from a child" in text
    assert TOKEN not in text


def test_only_the_logs_of_the_newest_runs_are_kept(client, monkeypatch):
    monkeypatch.setattr(run_journal, "_KEPT_LOGS", 2)
    runs = [talk.run(client=client) for _ in range(3)]
    kept = os.listdir(client.repository.common_dir / "gitmodel" / "logs")
    assert len(kept) == 2
    assert runs[-1].id in kept


def test_a_process_that_a_step_leaves_running_can_still_print(code_repo, tmp_path):
    script = tmp_path / "leave.py"
    script.write_text(
        "import subprocess\nfrom gitmodel import pipeline, step\n"
        "@step\ndef leave() -> None:\n"
        "    global child\n"
        "    child = subprocess.Popen(['sh', '-c', 'read line; echo $line; echo done'], stdin=subprocess.PIPE)\n"
        "@pipeline\ndef train():\n    leave()\n"
        "train()\nchild.communicate(b'later\\n')\n"
    )
    command = [sys.executable, str(script)]
    done = subprocess.run(command, cwd=code_repo, capture_output=True, text=True, check=True)
    assert done.stdout == "later\ndone\n"


@pytest.mark.parametrize("end", ["-----END RSA " + "PRIVATE KEY-----\n", ""], ids=["whole", "cut"])
@pytest.mark.parametrize("size", [1, 65, 10_000])
def test_a_private_key_that_is_printed_in_parts_is_hidden(tmp_path, size, end):
    text = "before\n-----BEGIN RSA " + "PRIVATE KEY-----\n" + ("Ab1/" * 16 + "\n") * 20 + end
    writer = step_logs.LogWriter(lambda: tmp_path, 1, redacted)
    for start in range(0, len(text), size):
        writer.write(1, text[start : start + size].encode())
    writer.close()
    ((_, lines),) = step_logs.read_attempts(tmp_path)
    assert [line.text for line in lines] == ["before", "(a private key)"]


C_CODE = """
import ctypes, os, sys
import numpy  # C code that is not of Python
from gitmodel import pipeline, step

@step
def print_much() -> None:
    text = (b"x" * 1023 + b"\\n") * 5000
    ctypes.PyDLL(None).write(1, text, len(text))  # it holds the lock of the interpreter

@step
def crash() -> None:
    ctypes.PyDLL(None).__assert_fail(b"the last words", b"code.c", 1, b"fit")  # prints this and ends the process

@step
def print_without_relay() -> None:
    import subprocess
    from gitmodel.pipelines.workers import printed_output
    os.kill(printed_output._redirection._relay._process.pid, 9)
    printed_output._redirection._relay._process.wait()
    for number in range(20000):
        print("a line", number)
    subprocess.run(["echo", "from a child"], check=True)

@pipeline
def train():
    globals()[sys.argv[1]]()

train()
"""


@pytest.fixture
def c_code(code_repo, tmp_path):
    """A function that runs the step *name* of `C_CODE` in a new process.

    Returns the ended process and the lines of the log.
    """
    script = tmp_path / "train.py"
    script.write_text(C_CODE)

    def c_code_(name):
        command = [sys.executable, str(script), name]
        done = subprocess.run(command, cwd=code_repo, capture_output=True, text=True, check=False, timeout=60)
        with Client(code_repo) as client:
            (run,) = client.list_runs()
            return done, lines_of(client, run)

    return c_code_


def test_c_code_that_holds_the_lock_of_the_interpreter_can_print_more_than_a_pipe_holds(c_code):
    done, lines = c_code("print_much")
    assert done.returncode == 0
    assert done.stdout == ("x" * 1023 + "\n") * 5000
    assert lines[0] == lines[-1] == "x" * 1023


def test_the_last_output_of_a_process_that_crashes_is_shown(c_code):
    done, _ = c_code("crash")
    assert done.returncode < 0
    assert "the last words" in done.stderr


def test_a_step_continues_if_the_process_that_writes_its_log_is_killed(c_code):
    done, lines = c_code("print_without_relay")
    assert done.returncode == 0
    assert done.stdout.endswith("a line 19999\nfrom a child\n")
    assert lines[-1] == "from a child"
