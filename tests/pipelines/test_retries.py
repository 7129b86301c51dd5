"""`@step(retries=...)`: after which errors gitmodel runs a step again, and what the run records about it."""

import project
import pytest
from project import DEMO, pipeline_of
from transcripts import ask

from gitmodel import RunFailed, Secret, UsageError, step


@pytest.fixture
def count(tmp_path):
    """A file outside of the work tree, to which each attempt appends one character."""
    return tmp_path / "attempts"


train = pipeline_of(lambda count, times=2: project.retried(count, Secret("hunter2hunter2"), times), model_config=DEMO)


def test_a_run_succeeds_if_its_step_fails_twice_and_then_succeeds(client, executor, count, written, last_run, caplog):
    events = []
    run = train.run(
        client=client, executor=executor, listener=lambda *event: events.append(event[:2]), count=str(count)
    )
    assert [event for event, _ in events] == ["started", "retrying", "retrying", "succeeded"]
    assert run.steps[0].failed_attempts == ("ConnectionError", "ConnectionError")
    assert last_run().fields()["steps"][0]["failed_attempts"] == ("ConnectionError", "ConnectionError")
    assert client.get_version("demo").get_artifact("attempt").load() == 3
    assert client.get_version("demo").metadata == {"attempt_3": 3}
    assert "ConnectionError: no answer to (secret) (1)) and runs again: attempt 2 of 3" in caplog.text
    assert "hunter2hunter2" not in written()


def test_a_step_without_retries_left_fails_with_its_last_error(client, count, set_rules, capsys):
    set_rules(record_traceback=True)
    with pytest.raises(RunFailed, match=r"step retried failed: ConnectionError: no answer to \(secret\) \(3\)") as info:
        train.run(client=client, count=str(count), times=5)
    code, shown, _ = ask(capsys, "runs", "show", info.value.run)
    assert code == 0
    assert "attempt 1 failed: ConnectionError: no answer to (secret) (1)" in shown
    assert "attempt 2 failed: ConnectionError: no answer to (secret) (2)" in shown
    assert count.read_text() == "xxx"


@pytest.mark.parametrize(
    ("error", "raised"),
    [("SystemExit", RunFailed), ("UsageError", RunFailed), ("KeyboardInterrupt", KeyboardInterrupt)],
)
def test_a_step_is_not_retried_after_sys_exit_a_usage_error_or_an_interrupt(client, count, error, raised, far_or_near):
    with pytest.raises(raised):
        pipeline_of(lambda: project.retried_exit(str(count), error)).run(client=client, executor=far_or_near)
    assert count.read_text() == "x"


def test_two_deaths_of_the_worker_count_as_one_failed_attempt(client, count):
    run = pipeline_of(lambda: project.die_and_pass(str(count), 2)).run(client=client, executor="processes:1")
    assert run.steps[0].failed_attempts == ("BrokenProcessPool",)
    assert count.read_text() == "xxx"


@pytest.mark.parametrize(("option", "value", "executor"), [("retries", 5, None), ("timeout", 60.0, "processes:1")])
def test_retries_and_timeout_of_a_step_do_not_change_its_cache_key(client, monkeypatch, option, value, executor):
    again = pipeline_of(lambda: project.double(1))
    again.run(client=client)
    monkeypatch.setattr(project.double, option, value)
    assert again.run(client=client, executor=executor).steps[0].status == "cached"


@pytest.mark.parametrize("retries", [-1, 101, "many", 1.5])
def test_invalid_numbers_of_retries_are_refused(retries):
    with pytest.raises(UsageError, match="retries"):
        step(name="fit", retries=retries)(lambda: None)
