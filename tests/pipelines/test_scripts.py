"""Pipelines that are run by a script, a module of a package or a notebook, also if they are interrupted or killed."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import DASK
from transcripts import ask, check_transcript
from waiting import wait_for

EXAMPLE = Path(__file__).parents[2] / "examples" / "pipeline" / "train.py"
ENDLESS = """
import os, sys, time
from pathlib import Path
from gitmodel import ModelConfig, pipeline, step

@step
def mark() -> None:
    if os.fork() == 0:                # and has not ended when the run is killed
        time.sleep(60)
        os._exit(0)
    Path("pid").write_text(str(os.getpid()))

@step
def wait() -> None:
    Path("started").write_text(str(os.getpid()))
    time.sleep(600)

@pipeline(model_config=ModelConfig(name="demo", create_new_model_version=True))
def endless():
    wait(after=mark()) if "mark" in sys.argv else wait()

endless()
"""


def start(script, *arguments, cwd, executor="in-order"):
    environ = {**os.environ, "GITMODEL_EXECUTOR": executor}
    return subprocess.Popen(
        [sys.executable, script, *arguments], cwd=cwd, env=environ, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
        stdin=subprocess.DEVNULL, text=True, start_new_session=True,
    )  # fmt: skip


def run(script, *arguments, cwd, executor="in-order"):
    process = start(script, *arguments, cwd=cwd, executor=executor)
    err = process.communicate(timeout=120)[1]
    assert process.returncode == 0, err
    return err


def is_gone(pid):
    try:
        with open(f"/proc/{pid}/stat") as stat:
            return stat.read().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


@pytest.fixture
def address(request):
    """The value of `executor` in the script. For Dask, it is the address of the scheduler of the cluster."""
    if request.param != "dask":
        return request.param
    return "dask:" + request.getfixturevalue("cluster").scheduler.address


class TestScript:
    # By default, the test runs with one executor only, because the test after it runs the example in order, too.
    @pytest.mark.parametrize(
        "address",
        [*(pytest.param(name, marks=pytest.mark.soak) for name in ("in-order", "threads:2", "processes:2")), DASK],
        indirect=True,
    )
    def test_the_pipeline_example_creates_the_expected_version_and_artifacts(self, client, address, commits):
        err = run(EXAMPLE, cwd=client.repository.common_dir.parent, executor=address)
        assert [line.split(" in ")[0] for line in err.splitlines()] == ["gitmodel: created demo@1"]
        assert commits() == ["Run train_and_promote_model: add demo 1", "Begin the registry"]
        version = client.get_version("demo@staging")
        links = [(artifact.name, artifact.kind, artifact.format) for artifact in version.artifacts]
        assert links == [
            ("classifier", "model", "skops"),
            ("test", "data", "parquet"),
            ("train", "data", "parquet"),
        ]
        assert version.runs == [client.list_runs()[0].id]
        assert version.metadata["accuracy"] > 0.9
        test = version.get_artifact("test").load()
        assert version.get_artifact("classifier").load().predict(test.drop(columns="target")).shape == (30,)

    def test_the_commands_list_the_version_of_a_run_and_a_second_run_archives_it(self, client, capsys):
        folder = client.repository.common_dir.parent
        run(EXAMPLE, cwd=folder)
        first = client.list_runs()[0].id
        check_transcript(
            capsys,
            f"""
            $ git model list
            MODEL  LATEST  VERSIONS  STAGES     TITLE
            demo   1       1         staging 1  Show case Model Control Plane.
            $ git model version list demo
            VERSION  STAGE    accuracy  CREATED (UTC)
            1        staging  0.9667    2026-11-23 10:12
            $ git model version artifacts demo 1 -q
            classifier
            test
            train
            $ git model version model_objects demo 1 -q
            classifier
            $ git model version deployments demo 1
            ! demo@1 has no deployments
            $ git model version runs demo 1 -q
            {first}
            """,
        )
        run(EXAMPLE, cwd=folder)
        check_transcript(
            capsys,
            """
            $ git model version list demo
            VERSION  STAGE     accuracy  CREATED (UTC)
            2        staging   0.9667    2026-11-23 10:12
            1        archived  0.9667    2026-11-23 10:12
            """,
        )
        one, other = client.get_model("demo").versions
        assert [link.digest for link in one.artifacts] == [link.digest for link in other.artifacts]

    @pytest.mark.parametrize("address", ["threads:2", "processes:2", DASK], indirect=True)
    def test_a_pipeline_that_is_imported_and_called_without_a_guard_runs_once(self, client, address, tmp_path):
        (tmp_path / "made_of.py").write_text(
            "from gitmodel import pipeline, step\n@step\ndef one() -> int:\n    return 1\n"
            "@pipeline\ndef imported():\n    one()\n"
        )
        (tmp_path / "main.py").write_text("from made_of import imported\nprint('at the top')\nimported()\n")
        run(tmp_path / "main.py", cwd=client.repository.common_dir.parent, executor=address)
        assert [found.status for found in client.list_runs()] == ["succeeded"]

    @pytest.mark.parametrize("address", ["in-order", "processes:2", DASK], indirect=True)
    def test_a_module_of_a_package_runs_as_a_script(self, client, address, tmp_path):
        package = tmp_path / "packed"
        package.mkdir()
        (package / "__init__.py").write_text("")
        (package / "parts.py").write_text("VALUE = 7\n")
        (package / "train.py").write_text(
            "from gitmodel import ModelConfig, pipeline, step\nfrom .parts import VALUE\n"
            "@step\ndef one() -> int:\n    return VALUE\n"
            "@pipeline(model_config=ModelConfig(name='demo', create_new_model_version=True))\n"
            "def train():\n    one()\n\ntrain()\n"
        )
        environ = {**os.environ, "GITMODEL_EXECUTOR": address, "PYTHONPATH": str(tmp_path)}
        folder = client.repository.common_dir.parent
        done = subprocess.run(
            [sys.executable, "-m", "packed.train"], cwd=folder, env=environ, capture_output=True, text=True
        )
        assert (done.returncode, done.stderr.count("\n")) == (0, 1)  # the line about the version
        assert len(client.list_runs()) == 1
        assert client.get_version("demo").get_artifact("one").load() == 7

    def test_the_example_of_the_reference_runs(self, client, tmp_path):
        page = (EXAMPLE.parents[2] / "docs" / "reference" / "pipelines.md").read_text()
        (tmp_path / "train.py").write_text(page.partition("```python\n")[2].partition("```")[0])
        err = run(tmp_path / "train.py", cwd=client.repository.common_dir.parent, executor="processes:1")
        assert err.count("\n") == 1  # the line about the version
        version = client.get_version("demo@staging")
        assert version.metadata == {"error": 0.0}
        assert [artifact.name for artifact in version.artifacts] == ["classifier", "test", "train"]


class TestInterruptsAndKills:
    @pytest.mark.parametrize("address", ["in-order", "processes:2", pytest.param("dask:1", id="dask")])
    def test_an_interrupt_is_recorded_as_cancelled_and_no_worker_is_left(self, client, address, tmp_path):
        folder = client.repository.common_dir.parent
        (tmp_path / "endless.py").write_text(ENDLESS)
        process = start(tmp_path / "endless.py", cwd=folder, executor=address)
        worker = wait_for(lambda: int((folder / "started").read_text()))
        # sends the signal to each process of the group, as Ctrl-C in a terminal does
        os.killpg(process.pid, signal.SIGINT)
        _, err = process.communicate(timeout=60)
        assert process.returncode == -signal.SIGINT
        assert err.rstrip().endswith("KeyboardInterrupt")
        assert "could not be recorded" not in err
        assert wait_for(lambda: is_gone(worker))
        assert [(found.status, found.record.steps[0].status) for found in client.list_runs()] == [
            ("cancelled", "skipped")
        ]
        assert client.list_models() == ()

    def test_an_interrupt_of_the_coordinator_alone_ends_its_workers(self, client, tmp_path):
        folder = client.repository.common_dir.parent
        (tmp_path / "endless.py").write_text(ENDLESS)
        process = start(tmp_path / "endless.py", cwd=folder, executor="processes:2")
        worker = wait_for(lambda: int((folder / "started").read_text()))
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)
        assert wait_for(lambda: is_gone(worker))
        assert client.list_runs()[0].status == "cancelled"

    def test_an_interrupt_is_recorded_before_threads_have_ended(self, client, tmp_path):
        folder = client.repository.common_dir.parent
        (tmp_path / "endless.py").write_text(ENDLESS)
        process = start(tmp_path / "endless.py", cwd=folder, executor="threads:1")
        wait_for(lambda: (folder / "started").read_text())
        process.send_signal(signal.SIGINT)
        try:
            wait_for(lambda: client.list_runs()[0].status == "cancelled")
        finally:
            process.kill()
            process.communicate()

    @pytest.mark.parametrize("executor", ["in-order", "processes:1"])
    def test_a_killed_run_is_lost_and_leaves_no_partial_version(self, client, tmp_path, executor, capsys):
        folder = client.repository.common_dir.parent
        (tmp_path / "endless.py").write_text(ENDLESS)
        process = start(tmp_path / "endless.py", "mark", cwd=folder, executor=executor)
        child = wait_for(lambda: int((folder / "pid").read_text()))
        wait_for(lambda: (folder / "started").read_text())
        assert [(found.status, found.since) for found in client.list_runs()] == [("running", None)]
        process.kill()
        # The child process of the step still runs, and has the open files of the killed process.
        process.wait()
        process.stderr.close()
        try:
            view = wait_for(lambda: next(found for found in client.list_runs() if found.status == "lost"))
            assert view.since is not None
            assert view.pipeline == "endless"
            check = re.compile(rf"{view.id} +endless +lost since 20\d\d-\d\d-\d\d \d\d:\d\d\s")
            assert check.search(ask(capsys, "runs", "list")[1])
            assert "lost since" in ask(capsys, "runs", "show")[1]
            assert client.list_models() == ()
            (tmp_path / "next.py").write_text(NOTEBOOK_STEPS + "train()\n")
            run(tmp_path / "next.py", cwd=folder)
            assert client.get_version("demo").number == 2  # the number of the killed run is not used again
            assert client.repository.git.lines("for-each-ref", "refs/gitmodel/reserved") == []
        finally:
            for pid in {child, process.pid}:
                try:
                    os.killpg(os.getpgid(pid), signal.SIGKILL)
                except ProcessLookupError:
                    continue


NOTEBOOK_STEPS = """
from gitmodel import ModelConfig, pipeline, step, get_step_context

@step
def double(x: int) -> int:
    return 2 * x

@step
def note() -> None:
    get_step_context().model_version.log_metadata(ok=True)

@pipeline(model_config=ModelConfig(name="demo", create_new_model_version=True))
def train(x: int = 1):
    note(after=double(x))
"""


def test_a_notebook_runs_in_order_and_in_threads_and_refuses_other_processes(client, tmp_path, monkeypatch):
    import nbclient
    import nbformat

    for name in ("IPYTHONDIR", "JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR"):
        monkeypatch.setenv(name, str(tmp_path / name))
    cells = [
        NOTEBOOK_STEPS,
        "train(2).status",
        "train.run(x=3, executor='threads').status",
        "import asyncio; asyncio.get_running_loop() is not None",
        "try:\n    train.run(executor='processes')\nexcept Exception as error:\n    print(error)",
        "try:\n    train.run(executor='dask')\nexcept Exception as error:\n    print(error)",
        "%%writefile steps_of_mine.py\n" + NOTEBOOK_STEPS,
        "import steps_of_mine; steps_of_mine.train.run(x=4, executor='processes:1').status",
        "train(2).steps",
        "@step\ndef double(x: int) -> int:\n    return 2 * x + 1",
        "train(2).steps",
    ]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "", "language": "python"}
    folder = client.repository.common_dir.parent
    nbclient.NotebookClient(notebook, timeout=60, resources={"metadata": {"path": str(folder)}}).execute()

    def said(cell):
        found = cell.outputs[-1]
        return found.get("text") or found["data"]["text/plain"]

    shown = [said(cell) if cell.outputs else "" for cell in notebook.cells]
    assert shown[1] == shown[2] == shown[7] == "'succeeded'"
    assert shown[3] == "True"
    for refusal, executor in ((shown[4], "processes"), (shown[5], "dask")):
        assert f"is defined in a notebook or prompt, where {executor} workers cannot find it\nhint: " in refusal
        assert "%%writefile" in refusal
    # the step runs again after its cell was edited
    assert "status='cached'" in shown[8].partition("name='note'")[0]
    assert "status='succeeded'" in shown[10].partition("name='note'")[0]
    assert [version.number for version in client.get_model("demo").versions] == [1, 2, 3, 4, 5]
