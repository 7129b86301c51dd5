"""A run that gives its new version a name reserves this name from its start until its end."""

import subprocess
import sys
import threading
from contextlib import contextmanager

import pytest
from project import pipeline_of

from gitmodel import Client, Conflict, ModelConfig, RunFailed, get_step_context, step
from gitmodel.registry.health.doctor import examine, repair

KILLED = """
import os, signal
from gitmodel import ModelConfig, pipeline, step

@step
def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)

@pipeline(model_config=ModelConfig(name="demo", create_new_model_version=True, version="rc1"))
def killed():
    die()

killed()
"""


def named(name="rc1", **fields):
    return ModelConfig(name="demo", create_new_model_version=True, version=name, **fields)


def refs(client):
    return client.repository.git.lines("for-each-ref", "--format=%(refname)", "refs/gitmodel/reserved")


@contextmanager
def running(client, config, run=None):
    """Run a pipeline in a thread. Its step waits until the block ends.

    Yields a list to which the thread appends the run when it has ended.
    """
    started, go_on, made = threading.Event(), threading.Event(), []

    @step(model_config=config)
    def hold() -> None:
        started.set()
        go_on.wait(60)

    holding = pipeline_of(hold, executor="threads:1", name="holding")

    def target():
        with Client(client.repository.common_dir.parent) as mine:
            made.append(holding.run(client=mine))

    thread = threading.Thread(target=target)
    thread.start()
    assert started.wait(60)
    try:
        yield made
    finally:
        go_on.set()
        thread.join()


def one_step(config):
    ran = []

    @step(model_config=config)
    def note() -> None:
        ran.append(1)

    return pipeline_of(note), ran


@pytest.mark.parametrize("name", ["rc1", "RC1"])
def test_a_second_run_with_the_same_version_name_is_refused_before_its_first_step(client, name):
    second, ran = one_step(named(name))
    with running(client, named()) as made:
        with pytest.raises(Conflict, match=rf"run \S+-holding-\S+, which is running, has reserved the name {name}"):
            second.run(client=client)
        assert ran == []
        assert [run.pipeline for run in client.list_runs()] == ["holding"]
    assert made[0].versions == ("demo@1",)
    assert client.get_version("demo@rc1").runs == [made[0].id]
    assert refs(client) == []


def test_no_other_version_can_get_a_name_that_a_run_reserved(client):
    client.register_model("demo").create_version()
    with running(client, named()) as made:
        with pytest.raises(Conflict, match="has reserved the name rc1"):
            client.get_model("demo").create_version("rc1")
        with pytest.raises(Conflict, match="has reserved the name rc1"):
            client.get_version("demo@1").update(name="rc1")
        with pytest.raises(Conflict, match="has reserved the name Rc1"):
            client.get_version("demo@1").add_alias("Rc1")
    assert client.get_version("demo@rc1").runs == [made[0].id]


def test_a_run_does_not_stop_runs_that_create_another_name_or_model(client):
    with running(client, named()):
        second, ran = one_step(named("rc2"))
        assert second.run(client=client).versions == ("demo@2",)
        other, _ = one_step(ModelConfig(name="other", create_new_model_version=True, version="rc1"))
        assert other.run(client=client).versions == ("other@1",)
    assert ran == [1]
    assert client.get_version("demo@rc1").number == 1


def test_the_version_name_of_a_failed_run_is_free_again(client):
    @step(model_config=named())
    def fail() -> None:
        raise RuntimeError("no")

    with pytest.raises(RunFailed):
        pipeline_of(fail).run(client=client)
    assert not [ref for ref in refs(client) if ref.endswith("/rc1")]
    second, _ = one_step(named())
    second.run(client=client)
    assert client.get_version("demo@rc1").name == "rc1"


def test_the_version_name_of_a_killed_run_is_free_again(client, tmp_path):
    script = tmp_path / "killed.py"
    script.write_text(KILLED)
    assert subprocess.run([sys.executable, script], check=False).returncode < 0
    assert "refs/gitmodel/reserved/demo/rc1" in refs(client)
    assert "the name rc1 of demo is reserved by a run that has ended" in [
        one.message for one in examine(client.repository, None)
    ]
    second, ran = one_step(named())
    second.run(client=client)
    assert (ran, client.get_version("demo@rc1").name) == ([1], "rc1")
    assert "refs/gitmodel/reserved/demo/rc1" not in refs(client)


def test_doctor_releases_the_version_name_of_a_killed_run(client, tmp_path):
    client.register_model("demo")
    script = tmp_path / "killed.py"
    script.write_text(KILLED)
    subprocess.run([sys.executable, script], check=False)
    repair(client.repository, None)
    assert not [ref for ref in refs(client) if ref.endswith("/rc1")]


def test_a_version_name_stays_reserved_when_its_model_is_renamed(client):
    client.register_model("demo").create_version()
    with running(client, named()):
        client.get_model("demo").rename("renamed")
        with pytest.raises(Conflict, match="has reserved the name rc1"):
            client.get_model("renamed").create_version("rc1")
    assert client.get_version("renamed@rc1").number == 2
    assert not [ref for ref in refs(client) if ref.endswith("/rc1")]


def test_a_step_can_read_the_reserved_name_of_its_version(client):
    @step(model_config=named())
    def tell() -> str:
        return get_step_context().model_version.name

    pipeline_of(tell).run(client=client)
    assert client.get_version("demo@rc1").get_artifact("tell").load() == "rc1"
