"""A step runs again if its code, parameters or inputs changed, and is else answered from what it gave before."""

import importlib
import os
import sys

import project
import pytest

from gitmodel import ModelConfig, get_step_context, log_model_metadata, pipeline, step
from gitmodel.pipelines.caching import fingerprint

DEMO = ModelConfig(name="demo", create_new_model_version=True)
LIMIT = 3


@step
def train(score: float) -> dict:
    log_model_metadata(accuracy=score)
    get_step_context().model_version.set_stage("staging")
    return {"score": score}


@pipeline(model_config=DEMO)
def training(score=0.5):
    project.double(project.number(3))
    train(score)


def statuses(run):
    return [found.status for found in run.steps]


def test_what_did_not_change_does_not_run_again_and_is_linked_all_the_same(client):
    assert statuses(training.run(client=client)) == ["succeeded"] * 3
    run = training.run(client=client)
    assert statuses(run) == ["cached"] * 3
    first, second = client.get_model("demo").versions
    assert [artifact.link for artifact in first.artifacts] == [artifact.link for artifact in second.artifacts]
    # what it planned counts for the new version
    assert second.metadata == {"accuracy": 0.5}
    assert (first.stage, second.stage) == ("archived", "staging")
    assert second.runs == [run.id]


def test_a_parameter_or_input_that_changed_makes_a_step_run(client):
    @pipeline(model_config=DEMO)
    def one(x, y):
        project.double(project.number(x))
        train(y)

    one.run(client=client, x=1, y=1.0)
    assert statuses(one.run(client=client, x=2, y=1.0)) == ["succeeded", "succeeded", "cached"]
    assert statuses(one.run(client=client, x=1, y=2.0)) == ["cached", "cached", "succeeded"]


def test_an_input_that_comes_out_the_same_does_not(client):
    @step
    def parity(x: int) -> int:
        return x % 2

    @pipeline
    def one(x):
        project.double(parity(x))

    one.run(client=client, x=1)
    assert statuses(one.run(client=client, x=3)) == ["succeeded", "cached"]


@pytest.mark.parametrize(
    ("own", "of_pipeline", "expected"),
    [(None, True, "cached"), (None, False, "succeeded"), (False, True, "succeeded"), (True, False, "cached")],
)
def test_the_cache_can_be_turned_off_for_a_step_or_a_pipeline(client, own, of_pipeline, expected):
    @step(enable_cache=own)
    def value() -> int:
        return 1

    @pipeline(enable_cache=of_pipeline)
    def one():
        value()

    one.run(client=client)
    assert statuses(one.run(client=client)) == [expected]


def test_a_step_that_asks_which_run_or_version_it_is_in_is_not_answered_from_another(client):
    @step
    def which_run() -> str:
        return get_step_context().run

    @step
    def which_version() -> str:
        return get_step_context().model_version.reference

    @pipeline(model_config=DEMO)
    def one():
        which_run()
        which_version()

    one.run(client=client)
    assert statuses(one.run(client=client)) == ["succeeded"] * 2
    assert client.get_version("demo").get_artifact("which_version").load() == "demo@2"


def test_a_step_that_failed_is_not_kept(client):
    wanted = [True]

    @step
    def maybe() -> int:
        if wanted:
            raise RuntimeError("no")
        return 1

    @pipeline
    def one():
        maybe()

    with pytest.raises(Exception, match="step maybe failed"):
        one.run(client=client)
    wanted.clear()
    assert statuses(one.run(client=client)) == ["succeeded"]


def test_an_output_that_is_gone_from_the_store_makes_its_step_run(client):
    @pipeline
    def one():
        project.make_file("x")

    os.chdir(client.repository.common_dir)
    first = one.run(client=client)
    assert statuses(one.run(client=client)) == ["cached"]
    client.store.remove(first.steps[0].outputs["file"])  # of the folder too
    assert statuses(one.run(client=client)) == ["succeeded"]
    assert statuses(one.run(client=client)) == ["cached"]
    client.store.remove(first.steps[0].outputs["folder"])
    assert statuses(one.run(client=client)) == ["succeeded"]


def test_the_cache_may_be_deleted_or_damaged_at_any_time(client):
    training.run(client=client)
    for file in (client.repository.common_dir / "gitmodel" / "steps").rglob("*.json"):
        file.write_text("{")
    assert statuses(training.run(client=client)) == ["succeeded"] * 3


SOURCE = {
    "the step": ("return helper(x) + 0", "return helper(x) + 0 + 0"),
    "a function it calls": ("return x * FACTOR", "return FACTOR * x"),
    "a function that that calls": ("return y - 1", "return y - 1 - 0"),
    "a value": ("FACTOR = 2", "FACTOR = 3"),
    "a default": ("def helper(x, shift=START)", "def helper(x, shift=START + 1)"),
    "a class": ("return self.offset + 1", "return 1 + self.offset"),
    "an attribute of a class": ("offset = 7", "offset = 8"),
    "a function of another module": ("return 'b'", "return 'c'"),
}
MODULES = {
    "fingered": '''
from gitmodel import step
import fingered_too
from fingered_too import deep
FACTOR = 2
START = 0
NAMES = {"b", "a", "c"}

class Scaler:
    offset = 7
    def shift(self):
        return self.offset + 1

def helper(x, shift=START):
    return x * FACTOR

@step
def scale(x: int) -> int:
    """What it is."""
    deep(Scaler().shift())
    [fingered_too.far() for _ in NAMES]
    return helper(x) + 0
''',
    "fingered_too": """
def deep(y):
    return y - 1

def far():
    return 'b'

def unused():
    return 'd'
""",
}


@pytest.fixture
def project_of(tmp_path, monkeypatch):
    """A project of two modules, with one text replaced by another; returns its step."""
    monkeypatch.syspath_prepend(str(tmp_path))

    def make(old="", new=""):
        for name, source in MODULES.items():
            (tmp_path / f"{name}.py").write_text(source.replace(old, new) if old else source)
            sys.modules.pop(name, None)
        for cached in tmp_path.rglob("*.pyc"):
            cached.unlink()
        importlib.invalidate_caches()
        return importlib.import_module("fingered").scale

    yield make
    for name in MODULES:
        sys.modules.pop(name, None)


@pytest.mark.parametrize("what", SOURCE)
def test_the_fingerprint_changes_with(project_of, what):
    before = fingerprint(project_of().function)
    assert fingerprint(project_of().function) == before
    assert any(SOURCE[what][0] in source for source in MODULES.values())
    assert fingerprint(project_of(*SOURCE[what]).function) != before


@pytest.mark.parametrize(
    ("old", "new"),
    [("return helper(x) + 0", "# a comment\n    return helper(x) + 0"), ("return 'd'", "return 'e'")],
)
def test_the_fingerprint_does_not_change_with_comments_and_what_is_not_used(project_of, old, new):
    assert fingerprint(project_of(old, new).function) == fingerprint(project_of().function)


def test_the_fingerprint_is_that_of_what_runs_and_not_of_a_file_edited_meanwhile(project_of, tmp_path):
    found = project_of()
    before = fingerprint(found.function)
    (tmp_path / "fingered.py").write_text("x = 1\n")
    assert fingerprint(found.function) == before


def test_the_fingerprint_is_the_same_in_every_process(project_of, tmp_path):
    import subprocess

    found = fingerprint(project_of().function)
    code = "import fingered; from gitmodel.pipelines.caching import fingerprint as f; print(f(fingered.scale.function))"
    for seed in ("1", "2"):
        environ = {**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(tmp_path)}
        done = subprocess.run([sys.executable, "-c", code], env=environ, capture_output=True, text=True, check=True)
        assert done.stdout.strip() == found


def test_functions_that_call_each_other_have_a_fingerprint():
    def ping(n):
        return pong(n - 1) if n else 0

    def pong(n):
        return ping(n)

    assert fingerprint(ping)


def test_installed_packages_are_not_followed():
    import json

    def dump(x):
        return json.dumps(x)

    assert fingerprint(dump)
    assert LIMIT
