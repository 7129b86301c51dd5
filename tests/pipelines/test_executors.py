"""The tests that every executor must pass: what steps can do, and what happens if a worker fails."""

import importlib
import multiprocessing
import os
import subprocess
import sys
import threading
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import suppress

import dask
import project
import pytest
from project import DEMO, pipeline_of
from waiting import wait_for

from gitmodel import Client, RunFailed, Secret, Unreachable, UsageError, pipeline, step
from gitmodel.pipelines.execution import running


@pipeline(model_config=DEMO, enable_cache=False)
def sums(x=1):
    project.total(project.number(x), project.double(x), c=3)


def load(client, name, reference="demo"):
    return client.get_version(reference).get_artifact(name).load()


class TestEveryExecutor:
    def test_values_are_passed_from_step_to_step_and_stored_in_the_version(self, client, executor):
        run = sums.run(client=client, executor=executor, x=4)
        assert run.versions == ("demo@1",)
        assert load(client, "total") == 15
        assert [(step.name, step.status) for step in run.steps] == [
            ("number", "succeeded"),
            ("double", "succeeded"),
            ("total", "succeeded"),
        ]
        link = client.get_version("demo").get_artifact("total").link
        assert (link.pipeline, link.step, link.kind, link.format) == ("sums", "total", "data", "json")

    def test_the_context_of_a_step_has_its_model_version_run_and_names(self, client, executor):
        run = pipeline_of(project.tell_context, model_config=DEMO, name="ask").run(client=client, executor=executor)
        assert load(client, "told") == {
            "model": "demo",
            "version": "demo@1",
            "config": "demo",
            "run": run.id,
            "step": "tell_context",
            "pipeline": "ask",
        }

    @pytest.mark.parametrize(
        ("name", "said"),
        [
            ("odd", "OddError: 7: odd"),
            ("speechless", "SpeechlessError: its message cannot be read"),
            ("leave", "SystemExit: 3"),
            ("unpicklable", "UsageError: output thing is a builtins.function, which gitmodel cannot save"),
            ("fewer", "UsageError: step fewer declares 2 outputs, but returned 1 outputs"),
        ],
    )
    def test_a_failing_step_fails_its_run_and_the_executor_can_be_used_again(
        self, client, executor, last_run, name, said
    ):
        @pipeline(model_config=DEMO)
        def failing():
            project.noop()
            getattr(project, name)(after="noop")
            project.rest(0.0, after=name)

        with pytest.raises(RunFailed, match=f"step {name} failed: ") as caught:
            failing.run(client=client, executor=executor)
        assert said in caught.value.message
        run = last_run()
        assert (run.status, run.record.failed_step) == ("failed", name)
        assert [step.status for step in run.record.steps] == ["succeeded", "failed", "skipped"]
        assert client.list_models() == ()
        # after the failed run, the executor still works for the next run
        if name == "odd" and executor != "processes:2":
            assert sums.run(client=client, executor=executor).status == "succeeded"

    @pytest.mark.parametrize("name", ["fork_and_leave", "fork_and_come_back"])
    def test_a_step_can_fork_a_child_process(self, client, executor, commits, name):
        before = len(commits()) if client.repository.tip() else 1
        run = pipeline_of(lambda: getattr(project, name)(), model_config=DEMO).run(client=client, executor=executor)
        assert run.status == "succeeded"
        assert len(commits()) == before + 1
        if name == "fork_and_come_back":
            assert load(client, "status") == 1

    def test_two_hundred_steps_in_parallel_are_one_commit(self, client, executor, commits, last_run):
        @pipeline(enable_cache=False)
        def wide():
            for x in range(200):
                project.double(x)

        run = wide.run(client=client, executor=executor)
        assert len({step.name for step in run.steps}) == 200
        assert commits() == ["Run wide", "Begin the registry"]
        recorded = last_run().record
        assert [step.parameters for step in recorded.steps] == [{"x": x} for x in range(200)]
        assert all(step.outputs for step in recorded.steps)

    def test_a_step_gets_the_value_of_a_secret_and_gitmodel_writes_the_value_to_no_file(
        self, client, executor, written
    ):
        secretive = pipeline_of(lambda token: project.hand_over(token), model_config=DEMO)
        secretive.run(client=client, executor=executor, token=Secret("correct-horse-battery"))
        assert load(client, "length") == 21
        assert "correct-horse" not in written()

    def test_files_and_folders_are_passed_from_step_to_step(self, client, executor):
        @pipeline(model_config=DEMO)
        def files():
            file, folder = project.make_file("hi")
            project.read_file(file, folder)

        files.run(client=client, executor=executor)
        assert load(client, "content") == "hihi"
        assert client.get_version("demo").get_artifact("folder").format == "folder"


class TestWorkersInOtherProcesses:
    def test_a_step_whose_worker_died_runs_a_second_time(self, client, far_executor, tmp_path):
        told = []
        dying = pipeline_of(lambda: project.double(project.die_once(str(tmp_path / "died"))), model_config=DEMO)
        run = dying.run(client=client, executor=far_executor, listener=lambda *event: told.append(event[:2]))
        assert run.status == "succeeded"
        assert load(client, "double") == 2
        # not with Dask, which repeats the step itself and does not report this to the listener
        if far_executor == "processes:2":
            assert ("again", "die_once") in told

    def test_a_step_that_kills_its_worker_twice_fails(self, client, far_executor):
        @pipeline
        def dying():
            for _ in range(4):
                project.rest(0.05)
            project.die()
            for _ in range(4):
                project.rest(0.05)

        with pytest.raises(RunFailed, match=r"step die failed: .*its worker died"):
            dying.run(client=client, executor=far_executor)
        assert sums.run(client=client, executor=far_executor).status == "succeeded"

    def test_a_failed_run_does_not_wait_for_a_cancelled_step(self, client):
        """If Dask cancels a step that is just ending, the future of the step never completes. The run must not wait."""

        class Silent(Executor):
            def submit(self, run, request):
                future = Future()
                if request.facts.step != "rest":
                    future.set_result(run(request))
                return future

        failing = pipeline_of(lambda: (project.rest(0), project.read_and_fail("repr")))

        def run():
            with Client(client.repository.common_dir.parent) as own, suppress(RunFailed):
                failing.run(client=own, executor=Silent())

        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        thread.join(30)
        assert not thread.is_alive()
        assert [run.status for run in client.list_runs()] == ["failed"]

    def test_an_error_of_an_executor_that_the_caller_gave_fails_the_step(self, client):
        class Full(Executor):
            def submit(self, run, request):
                raise LookupError("no seat")

        with pytest.raises(RunFailed, match=r"failed: LookupError: the executor could not run it \(no seat\)"):
            sums.run(client=client, executor=Full())
        assert [run.status for run in client.list_runs()] == ["failed"]

    def test_a_step_that_no_worker_can_import_is_refused_before_anything_runs(self, client, far_executor):
        @step
        def local() -> None: ...

        with pytest.raises(UsageError, match="defined inside a function"):
            pipeline_of(local).run(client=client, executor=far_executor)
        assert len(client.list_runs()) == 0

    def test_a_worker_that_cannot_reach_the_store_reports_it(self, client, far_executor, monkeypatch):
        monkeypatch.setattr(running, "keep_packages", lambda store: "sha256:" + "0" * 64)
        with pytest.raises(RunFailed, match="this worker cannot reach the artifact store"):
            sums.run(client=client, executor=far_executor)


@pytest.mark.xdist_group("dask")
def test_a_dask_worker_of_an_earlier_run_loads_changed_code(client, cluster, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(tmp_path))
    source = "from gitmodel import step\n@step\ndef answer() -> int:\n    return {}\n"
    for value in (41, 42):
        (tmp_path / "changing.py").write_text(source.format(value))
        # Python compares the size and the time (in whole seconds) of a source with its .pyc file. Both sources have the
        # same size, so their times must differ.
        os.utime(tmp_path / "changing.py", (value, value))
        importlib.invalidate_caches()
        sys.modules.pop("changing", None)
        import changing

        pipeline_of(changing.answer, model_config=DEMO).run(client=client, executor=cluster)
        assert load(client, "answer") == value


def test_a_run_accepts_an_executor_of_concurrent_futures(client):
    with ThreadPoolExecutor(2) as threads:
        assert sums.run(client=client, executor=threads).status == "succeeded"
        assert sums.run(client=client, executor=threads).status == "succeeded"
    assert client.list_runs()[0].record.executor == "ThreadPoolExecutor"


def test_a_broken_process_pool_of_the_caller_is_reported_as_a_dead_worker(client):
    with (
        ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool,
        pytest.raises(RunFailed, match="its worker died"),
    ):
        pipeline_of(project.die).run(client=client, executor=pool)


@pytest.mark.parametrize("wanted", ["nowhere", "threads:x", "threads:0", "in-order:2", 7])
def test_an_unknown_executor_is_refused_before_anything_runs(client, wanted):
    with pytest.raises(UsageError, match="executor"):
        sums.run(client=client, executor=wanted)
    assert len(client.list_runs()) == 0


@pytest.mark.parametrize(
    ("environ", "own", "setting", "used"),
    [
        (None, None, None, "in-order"),
        (None, None, "threads", "threads"),
        (None, "threads", "processes", "threads"),
        ("in-order", "threads", None, "in-order"),
    ],
)
def test_the_executor_of_a_call_overrides_variable_decorator_and_setting(
    code_repo, git, monkeypatch, environ, own, setting, used
):
    if environ:
        monkeypatch.setenv("GITMODEL_EXECUTOR", environ)
    if setting:
        git(code_repo, "config", "gitmodel.executor", setting)

    with Client(code_repo) as client:
        pipeline_of(project.noop, executor=own).run(client=client)
        assert client.list_runs()[0].record.executor == used


def test_a_dask_scheduler_that_does_not_answer_is_reported_as_unreachable(client):
    with (
        dask.config.set({"distributed.comm.timeouts.connect": "200ms"}),
        pytest.raises(Unreachable, match="no Dask scheduler"),
    ):
        sums.run(client=client, executor="dask:tcp://127.0.0.1:9")
    assert len(client.list_runs()) == 0


def test_importing_pipelines_does_not_import_asyncio_which_takes_long():
    code = "import sys, gitmodel.pipelines; sys.exit('asyncio' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_workers_end_when_the_coordinator_is_killed(code_repo, tmp_path):
    marks = tmp_path / "pid"
    script = tmp_path / "endless.py"
    script.write_text(
        "import os, time\nfrom pathlib import Path\nfrom gitmodel import pipeline, step\n"
        f"@step\ndef wait() -> None:\n    Path({str(marks)!r}).write_text(str(os.getpid()))\n    time.sleep(600)\n"
        "@pipeline(executor='processes:1')\ndef endless():\n    wait()\n\nendless()\n"
    )
    coordinator = subprocess.Popen([sys.executable, script], cwd=code_repo)
    worker = wait_for(lambda: int(marks.read_text()))
    coordinator.kill()
    coordinator.wait()
    assert wait_for(lambda: not _alive(worker))


def _alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    with open(f"/proc/{pid}/stat") as stat:
        return stat.read().rpartition(")")[2].split()[0] != "Z"


def test_a_worker_that_may_start_no_process_pool_reports_the_reason(client, monkeypatch):
    # makes this process daemonic, as Dask's workers are: Python lets daemonic processes start no process pool
    monkeypatch.setitem(multiprocessing.current_process()._config, "daemon", True)

    @step
    def pooled() -> list:
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            return pool.map(abs, [-1])

    with pytest.raises(RunFailed, match="the worker of this step cannot start a process pool") as caught:
        pipeline_of(pooled).run(client=client)
    assert "distributed.worker.daemon: false" in caught.value.hint
