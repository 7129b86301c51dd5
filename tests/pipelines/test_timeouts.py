"""`@step(timeout=...)`: after this time, gitmodel kills the step and its child processes.

Executors that run steps in the process of the run cannot do this, and refuse such a step.
"""

import os
import subprocess
import sys

import project
import pytest
from project import DEMO, pipeline_of
from waiting import wait_for

from gitmodel import RunFailed, UsageError, step


def is_running(pid):
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_the_message_about_a_timeout_of_one_second_uses_the_singular(client):
    with pytest.raises(RunFailed, match="longer than its timeout of 1 second, and"):
        pipeline_of(lambda: project.rest.with_options(timeout=1)(60)).run(client=client, executor="processes:1")


def test_a_step_and_its_child_that_ignore_sigterm_are_killed(client, far_executor, tmp_path, last_run):
    pids = tmp_path / "pids"

    with pytest.raises(RunFailed) as info:
        pipeline_of(lambda: project.hang(str(pids)), model_config=DEMO).run(client=client, executor=far_executor)
    assert "step hang failed: TimeoutError: it ran longer than its timeout of 5 seconds" in info.value.message
    found = pids.read_text().split()
    assert len(found) == 2
    wait_for(lambda: not any(map(is_running, found)))
    assert last_run().record.steps[0].seconds >= 5


def test_a_step_that_timed_out_is_retried(client, tmp_path):
    train = pipeline_of(lambda: project.hang_once(str(tmp_path / "count")), model_config=DEMO)
    run = train.run(client=client, executor="processes:1")
    assert run.steps[0].failed_attempts == ("TimeoutError",)
    assert client.get_version("demo").get_artifact("attempt").load() == 2


def test_a_worker_process_that_dies_is_replaced_once(client, far_executor, tmp_path):
    events = []

    train = pipeline_of(lambda: project.die_with_a_timeout(str(tmp_path / "count")))
    train.run(client=client, executor=far_executor, listener=lambda *event: events.append(event[0]))
    assert events == ["started", "again", "succeeded"]


def test_a_step_with_a_timeout_ends_when_the_process_of_the_run_is_killed(client, tmp_path):
    script = tmp_path / "run_it.py"
    pids, flag = tmp_path / "pids", tmp_path / "flag"
    script.write_text(
        "import sys\n"
        f"sys.path.insert(0, {os.path.dirname(project.__file__)!r})\n"
        "import project\n"
        "from gitmodel import pipeline\n"
        "@pipeline(executor='processes:1')\n"
        "def train():\n"
        f"    project.wait_with_a_timeout({str(pids)!r}, {str(flag)!r})\n"
        "if __name__ == '__main__':\n"
        "    train()\n"
    )
    process = subprocess.Popen([sys.executable, str(script)], stderr=subprocess.DEVNULL)
    wait_for(flag.exists)
    process.kill()
    process.wait()
    wait_for(lambda: not is_running(pids.read_text()))


@pytest.mark.parametrize("executor", ["in-order", "threads"])
def test_executors_in_this_process_refuse_a_timeout_before_the_first_step(client, tmp_path, executor):
    train = pipeline_of(lambda: (project.number(1), project.hang_once(str(tmp_path / "count"))))
    with pytest.raises(UsageError, match=f"step hang_once has timeout=6, which the executor {executor} cannot") as info:
        train.run(client=client, executor=executor)
    assert "'processes' or 'dask'" in info.value.hint
    assert len(client.list_runs()) == 0


@pytest.mark.parametrize("timeout", [0, -1, float("inf"), float("nan"), "soon"])
def test_invalid_timeouts_are_refused(timeout):
    with pytest.raises(UsageError, match="timeout"):
        step(name="fit", timeout=timeout)(lambda: None)
