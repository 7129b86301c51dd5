"""`runs show` says for each step why it ran although the cache is on, or from which run its result was taken."""

import json
import re
import shutil

import pytest
from project import pipeline_of
from transcripts import ask

from gitmodel import Secret, get_step_context, step

RATE = 1


@step
def number(x: int) -> int:
    return x


@step
def times(x: int, rate: int = 2) -> int:
    return x * rate * RATE


chain = pipeline_of(lambda x=1, rate=2: times(number(x), rate))


def reason(client, run, name):
    return client.get_run(run.id).cache[name]


def test_runs_show_names_the_changed_parameters_and_inputs_of_a_step(client, capsys):
    first = chain.run(client=client)
    assert reason(client, first, "times") == "ran because there is no earlier result"
    second = chain.run(client=client, rate=3)
    assert reason(client, second, "number") == f"taken from {first.id} number"
    assert reason(client, second, "times") == "ran because parameter rate changed"
    third = chain.run(client=client, x=5, rate=2)
    assert reason(client, third, "times") == "ran because parameter rate and input x changed"
    capsys.readouterr()
    told = r"number +succeeded, 0.0 s\n +ran because parameter x changed\n"
    assert re.search(told, ask(capsys, "runs", "show", third.id)[1])
    shown = json.loads(ask(capsys, "--format", "json", "runs", "show", third.id)[1])
    assert shown["cache"]["number"] == "ran because parameter x changed"


def test_runs_show_names_the_changed_value_in_the_code_of_a_step(client, monkeypatch):
    chain.run(client=client)
    monkeypatch.setattr(f"{__name__}.RATE", 7)
    assert reason(client, chain.run(client=client), "times").endswith("test_cache_reasons.py RATE changed")


def test_runs_show_names_the_changed_file_that_a_step_opened(client):
    file = client.repository.common_dir.parent / "data.txt"

    @step
    def read() -> str:
        return file.read_text()

    for content in ("one", "two"):
        file.write_text(content)
        run = pipeline_of(read, name="reading").run(client=client)
    assert reason(client, run, "read") == "ran because file data.txt changed"


@pytest.mark.parametrize(
    ("lost", "expected"),
    [
        ("gitmodel/steps", "ran because the cache no longer has its result of run {}"),
        ("gitmodel/logs", "ran because there is no earlier result"),
        ("artifacts", "ran because one of its outputs is missing from the store, or damaged there"),
    ],
)
def test_runs_show_says_that_the_record_or_output_of_a_step_is_missing(client, lost, expected):
    first = chain.run(client=client)
    if lost == "gitmodel/logs":
        shutil.rmtree(client.repository.common_dir / "gitmodel" / "steps")
    shutil.rmtree(client.store_root if lost == "artifacts" else client.repository.common_dir / lost)
    assert reason(client, chain.run(client=client), "number") == expected.format(first.id)


def test_runs_show_says_that_the_cache_is_off_for_a_step_or_never_has_its_result(client):
    @step
    def ask_for_run() -> str:
        return get_step_context().run

    @step
    def log_in(token: Secret) -> None:
        pass

    @step(enable_cache=False)
    def always() -> None:
        pass

    never = pipeline_of(lambda: (ask_for_run(), log_in(Secret("hush-hush")), always()), name="never")
    first, second = never.run(client=client), never.run(client=client)
    used = "it used a version, the registry, git or a Secret, or gitmodel did not store an output"
    assert client.get_run(second.id).cache == {
        "ask_for_run": f"ran because its result in run {first.id} is not in the cache: {used}",
        "log_in": "ran because it has a Secret",
        "always": "ran because the cache is off",
    }
