"""The cache of step results: a step runs again if its code, parameters, inputs or files changed.

Otherwise gitmodel skips the step, which has the status `cached`, and uses the outputs of the earlier run.
"""

import hashlib
import os
import subprocess
import sys
from datetime import datetime, timezone
from pathlib import Path
from typing import Annotated

import project
import pytest
from project import DEMO, pipeline_of

from gitmodel import Client, NotFound, UsageError, get_step_context, log_model_metadata, pipeline, step
from gitmodel.pipelines import RunFailed


@step
def train(score: float) -> dict:
    log_model_metadata(accuracy=score)
    return {"score": score}


training = pipeline_of(lambda score=0.5: (project.double(project.number(3)), train(score)), model_config=DEMO)


def statuses(run):
    return [found.status for found in run.steps]


def test_an_unchanged_step_is_skipped_and_its_outputs_are_linked(client):
    assert statuses(training.run(client=client)) == ["succeeded"] * 3
    run = training.run(client=client)
    assert statuses(run) == ["cached"] * 3
    first, second = client.get_model("demo").versions
    assert [artifact.link for artifact in first.artifacts] == [artifact.link for artifact in second.artifacts]
    # The new version has the metadata that the cached step planned in the earlier run.
    assert second.metadata == {"accuracy": 0.5}
    assert second.runs == [run.id]


def test_a_step_runs_again_if_a_parameter_or_input_changed(client):
    one = pipeline_of(lambda x, y: (project.double(project.number(x)), train(y)), model_config=DEMO)
    one.run(client=client, x=1, y=1.0)
    assert statuses(one.run(client=client, x=2, y=1.0)) == ["succeeded", "succeeded", "cached"]
    assert statuses(one.run(client=client, x=1, y=2.0)) == ["cached", "cached", "succeeded"]


def test_an_equal_input_does_not_run_the_step_again(client):
    @step
    def parity(x: int) -> int:
        return x % 2

    one = pipeline_of(lambda x: project.double(parity(x)))
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

    one = pipeline_of(value, enable_cache=of_pipeline)
    one.run(client=client)
    assert statuses(one.run(client=client)) == [expected]


def test_a_step_that_reads_its_run_or_version_is_not_cached(client):
    @step
    def which_run() -> str:
        return get_step_context().run

    @step
    def which_version() -> str:
        return get_step_context().model_version.reference

    one = pipeline_of(lambda: (which_run(), which_version()), model_config=DEMO)
    one.run(client=client)
    assert statuses(one.run(client=client)) == ["succeeded"] * 2
    assert client.get_version("demo").get_artifact("which_version").load() == "demo@2"


def test_a_step_that_logs_a_time_runs_again(client):
    now = datetime(2026, 11, 1, tzinfo=timezone.utc)

    @step
    def log() -> int:
        log_model_metadata(trained=now)
        return 1

    assert [statuses(pipeline_of(log, model_config=DEMO).run(client=client)) for _ in range(2)] == [["succeeded"]] * 2
    assert [version.metadata["trained"] for version in client.get_model("demo").versions] == [now, now]


def test_a_failed_step_is_not_cached(client):
    wanted = [True]

    @step
    def maybe() -> int:
        if wanted:
            raise RuntimeError("no")
        return 1

    one = pipeline_of(maybe)
    with pytest.raises(Exception, match="step maybe failed"):
        one.run(client=client)
    wanted.clear()
    assert statuses(one.run(client=client)) == ["succeeded"]


def test_a_step_runs_again_if_its_output_is_missing_in_the_store(client):
    one = pipeline_of(lambda: project.make_file("x"))
    os.chdir(client.repository.common_dir)
    first = one.run(client=client)
    assert statuses(one.run(client=client)) == ["cached"]
    client.store.remove(first.steps[0].outputs["file"])  # the folder output contains this file, too
    assert statuses(one.run(client=client)) == ["succeeded"]
    assert statuses(one.run(client=client)) == ["cached"]
    client.store.remove(first.steps[0].outputs["folder"])
    assert statuses(one.run(client=client)) == ["succeeded"]


def test_steps_run_again_if_their_cache_records_are_damaged(client):
    training.run(client=client)
    for file in (client.repository.common_dir / "gitmodel" / "steps").rglob("*.json"):
        file.write_text("{")
    assert statuses(training.run(client=client)) == ["succeeded"] * 3


@pytest.mark.parametrize("damage", [lambda content: b"", lambda content: content[::-1], lambda content: content + b" "])
@pytest.mark.parametrize("output", ["file", "folder"])
def test_a_damaged_object_is_detected_before_a_version_names_it(client, tmp_path, damage, output):
    place = str(tmp_path)

    @step
    def make() -> tuple[Annotated[dict, "file"], Annotated[Path, "folder"]]:
        folder = Path(place, "f")
        folder.mkdir(exist_ok=True)
        (folder / "a.txt").write_text("inside")
        return {"a": 1}, folder

    one = pipeline_of(make, model_config=DEMO)
    first = one.run(client=client)
    assert statuses(one.run(client=client)) == ["cached"]
    digest = f"sha256:{hashlib.sha256(b'inside').hexdigest()}" if output == "folder" else first.steps[0].outputs["file"]
    stored = client.store.place(digest)
    content = stored.read_bytes()
    stored.chmod(0o644)
    stored.write_bytes(damage(content))
    assert statuses(one.run(client=client)) == ["succeeded"]
    assert stored.read_bytes() == content  # the step ran and stored the object again
    assert client.get_version("demo").get_artifact("file").load() == {"a": 1}


@pytest.fixture
def script(client, code_repo):
    """A function that runs a script with a pipeline in a new process, and returns the status of each step."""

    def run(text, **environ):
        before = {found.id for found in client.list_runs()}
        (code_repo / "flow.py").write_text("import os\nfrom pathlib import Path\nfrom gitmodel import *\n" + text)
        done = subprocess.run(
            [sys.executable, "flow.py"], cwd=code_repo, env={**os.environ, **environ}, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        (made,) = [found for found in client.list_runs() if found.id not in before]
        return {found.name: found.status for found in made.record.steps}

    return run


TEN_STEPS = "".join(
    f"""
@step
def step_{number}(x: int = 1) -> int:
    return x + {number}
"""
    for number in range(10)
) + (
    """
@pipeline
def ten():
    x = step_0()
    for step in (step_1, step_2, step_3, step_4, step_5, step_6, step_7, step_8):
        x = step(x)
    step_9(100)

if __name__ == "__main__":
    ten()
"""
)


def test_an_edited_step_and_the_steps_that_take_its_changed_output_run_again(script):
    assert set(script(TEN_STEPS).values()) == {"succeeded"}
    assert set(script(TEN_STEPS).values()) == {"cached"}
    same = script(TEN_STEPS.replace("return x + 4", "return 4 + x"))
    assert [name for name, status in same.items() if status == "succeeded"] == ["step_4"]
    other = script(TEN_STEPS.replace("return x + 4", "return x + 5"))
    assert [name for name, status in other.items() if status == "succeeded"] == [f"step_{n}" for n in range(4, 9)]


READERS = {
    "opened": 'return open("data/a.txt").read()',
    "by_path": 'return Path("data/a.txt").resolve().read_text()',
    "in_thread": "from concurrent.futures import ThreadPoolExecutor as T\n"
    '    with T() as pool:\n        return pool.submit(Path("data/a.txt").read_text).result()',
    "missing": 'return _open("data/b.txt")',
    "listed": 'return " ".join(sorted(os.listdir("data")))',
    "globbed": 'return " ".join(sorted(map(str, Path("data").glob("*.txt"))))',
    "walked": 'return " ".join(sorted(name for _, _, names in os.walk("data") for name in names))',
    "database": 'import sqlite3\n    sqlite3.connect("data/a.db").close()\n    return ""',
    "database_by_uri": 'import sqlite3\n    sqlite3.connect("file:data/a.db?mode=ro", uri=True).close()\n    return ""',
    "arrow": 'import pyarrow\n    return pyarrow.memory_map("data/a.txt").read().decode()',
    "arrow_by_global": "import pyarrow\n    return pyarrow.memory_map(str(PLACE)).read().decode()",
    "another_process": 'import subprocess\n    return subprocess.check_output(["cat", "data/a.txt"], text=True)',
    "shell": 'import subprocess\n    return subprocess.check_output("cat <data/a.txt", shell=True, text=True)',
}


@pytest.mark.parametrize("executor", ["in-order", "threads:1", "processes"])
def test_a_step_runs_again_if_a_file_of_the_work_tree_that_it_opened_changed(script, code_repo, executor):
    readers = "".join(f"\n@step\ndef {name}() -> str:\n    {body}\n" for name, body in READERS.items())
    calls = "".join(f"    {name}()\n" for name in READERS)
    text = f"""
PLACE = Path("data/a.txt")

def _open(path):
    try:
        return open(path).read()
    except FileNotFoundError:
        return ""
{readers}
@step
def other() -> int:
    return 1

@pipeline
def reading():
    other()
{calls}
if __name__ == "__main__":
    reading.run(executor="{executor}")
"""
    (code_repo / "data").mkdir()
    (code_repo / "data" / "a.txt").write_text("1")
    (code_repo / "data" / "a.db").write_text("")
    (code_repo / "unrelated.txt").write_text("1")
    assert set(script(text).values()) == {"succeeded"}
    (code_repo / "unrelated.txt").write_text("2")
    assert set(script(text).values()) == {"cached"}
    for name in ("a.txt", "b.txt", "a.db"):
        (code_repo / "data" / name).write_text("2")
    assert script(text) == {"other": "cached", **dict.fromkeys(READERS, "succeeded")}


@pytest.mark.parametrize("given", ["data/a.txt", ["data/b.txt", "data/a.txt"]])
def test_a_step_runs_again_if_a_file_named_by_a_parameter_changed(client, code_repo, given):
    @step
    def read(path: list) -> str:
        import pyarrow

        return pyarrow.memory_map(path if isinstance(path, str) else path[-1]).read().decode()

    reading = pipeline_of(lambda path: read(path))
    (code_repo / "data").mkdir()
    (code_repo / "data" / "a.txt").write_text("1")
    assert statuses(reading.run(client=client, path=given)) == ["succeeded"]
    assert statuses(reading.run(client=client, path=given)) == ["cached"]
    (code_repo / "data" / "a.txt").write_text("2")
    assert statuses(reading.run(client=client, path=given)) == ["succeeded"]


def test_a_step_does_not_run_again_because_of_a_file_that_it_writes(client):
    @step
    def write(x: int) -> int:
        import time

        import pyarrow

        with pyarrow.OSFile("a.txt", "wb") as out:
            out.write(str(time.time_ns()).encode())
        with open("b.txt", "w") as out:
            out.write(str(time.time_ns()))
        return x

    writing = pipeline_of(lambda x: write(x))
    assert [statuses(writing.run(client=client, x=x)) for x in (1, 2, 2)] == [["succeeded"], ["succeeded"], ["cached"]]


PROJECTS = {
    "a module that a star import loads by __all__": (
        "from pkg import *\n",
        "inner.VALUE",
        {"pkg/__init__.py": "__all__ = ['inner']\n", "pkg/inner.py": "VALUE = 1\n"},
        {"pkg/inner.py": "VALUE = 2\n"},
    ),
    "a file with the name of a standard module": (
        "import colorsys\n",
        "colorsys.VALUE",
        {"colorsys.py": "VALUE = 1\n"},
        {"colorsys.py": "VALUE = 2\n"},
    ),
    "a file that takes the name of a standard module": (
        "import colorsys\n",
        "getattr(colorsys, 'VALUE', 1)",
        {},
        {"colorsys.py": "VALUE = 2\n"},
    ),
    "a value that a module read from a file": (
        "import conf\n",
        "conf.VALUES['x']",
        {"conf.py": "import json\nVALUES = json.load(open('conf.json'))\n", "conf.json": '{"x": 1}'},
        {"conf.json": '{"x": 2}'},
    ),
    "a module that a package loads when it is asked": (
        "import pkg\n",
        "pkg.VALUE",
        {
            "pkg/__init__.py": "import importlib\ndef __getattr__(name):\n"
            "    return getattr(importlib.import_module('.in' + 'ner', __name__), name)\n",
            "pkg/inner.py": "VALUE = 1\n",
        },
        {"pkg/inner.py": "VALUE = 2\n"},
    ),
    "a module that was not there": (
        "try:\n    from pkg.fast import VALUE\nexcept ImportError:\n    VALUE = 1\n",
        "VALUE",
        {"pkg/__init__.py": ""},
        {"pkg/fast.py": "VALUE = 1\n"},
    ),
    "a package that takes the name of a module": (
        "",
        "__import__('helper').VALUE",
        {"helper.py": "VALUE = 1\n"},
        {"helper/__init__.py": "VALUE = 2\n"},
    ),
    "a decorator": (
        "from deco import more\n",
        "more(lambda: 1)()",
        {"deco.py": "def more(f):\n    return lambda: f() + 1\n"},
        {"deco.py": "def more(f):\n    return lambda: f() + 2\n"},
    ),
    "a base class": (
        "from child import Child\n",
        "Child().value()",
        {"child.py": "from base import Base\nclass Child(Base): ...\n", "base.py": "class Base:\n    value = int\n"},
        {"base.py": "class Base:\n    value = float\n"},
    ),
    "a file that is executed": (
        "",
        "__import__('runpy').run_path('other.py')['VALUE']",
        {"other.py": "VALUE = 1\n"},
        {"other.py": "VALUE = 2\n"},
    ),
    "a resource of a package": (
        "from importlib import resources\n",
        "int(resources.files('pkg').joinpath('a.txt').read_text())",
        {"pkg/__init__.py": "", "pkg/a.txt": "1"},
        {"pkg/a.txt": "2"},
    ),
}


@pytest.mark.parametrize("case", PROJECTS.values(), ids=PROJECTS)
def test_a_step_runs_again_after_an_edit_of_project_code_that_it_uses(script, code_repo, case):
    imports, value, before, after = case

    def write(files):
        for path, text in files.items():
            (code_repo / path).parent.mkdir(parents=True, exist_ok=True)
            (code_repo / path).write_text(text)

    text = f"{imports}\n@step\ndef use() -> float:\n    return {value}\n\n@pipeline\ndef one():\n    use()\n\none()\n"
    write(before)
    assert script(text) == {"use": "succeeded"}
    assert script(text) == {"use": "cached"}
    write(after)
    assert script(text) == {"use": "succeeded"}


def test_a_step_does_not_run_again_if_only_the_time_of_a_file_changed(client, code_repo):
    @step
    def read() -> str:
        return Path("a.txt").read_text()

    reading = pipeline_of(read)
    (code_repo / "a.txt").write_text("1")
    assert statuses(reading.run(client=client)) == ["succeeded"]
    os.utime(code_repo / "a.txt", (1, 1))
    assert statuses(reading.run(client=client)) == ["cached"]


def test_a_step_runs_again_if_a_declared_file_or_variable_changed(client, code_repo, monkeypatch):
    @step(files=["data", "extra/*.bin"], env=["RATE"])
    def read() -> int:
        return 1

    reading = pipeline_of(read)

    def status():
        return statuses(reading.run(client=client))[0]

    for name in ("data/sub/a.txt", "extra/a.bin"):
        (code_repo / name).parent.mkdir(parents=True, exist_ok=True)
        (code_repo / name).write_text("1")
    assert (status(), status()) == ("succeeded", "cached")
    for name in ("data/sub/a.txt", "data/sub/b.txt", "extra/b.bin"):
        (code_repo / name).write_text("2")
        assert (status(), status()) == ("succeeded", "cached")
    for rate, expected in (("0.1", "succeeded"), ("0.2", "succeeded"), ("0.1", "cached")):
        monkeypatch.setenv("RATE", rate)
        assert status() == expected


def test_a_declared_file_of_a_step_that_does_not_exist_is_refused_and_named(client):
    @step(files=["data/trian.csv"])
    def read() -> int:
        return 1

    with pytest.raises(RunFailed, match=r"declares the file 'data/trian\.csv', which does not exist"):
        pipeline_of(read).run(client=client)


@pytest.mark.parametrize("wrong", ["data.csv", [1], 3, [""]])
def test_files_and_env_of_a_step_that_are_not_lists_of_texts_are_refused(wrong):
    def fit() -> None: ...

    with pytest.raises(UsageError, match="files of a step is a list of texts"):
        step(files=wrong)(fit)
    with pytest.raises(UsageError, match="env of a step is a list of texts"):
        step(env=wrong)(fit)


def test_a_step_runs_again_if_a_file_changed_while_it_ran(client, code_repo):
    @step
    def count() -> int:
        number = int(Path("n.txt").read_text()) + 1
        Path("n.txt").write_text(str(number))
        return number

    (code_repo / "n.txt").write_text("0")
    assert [statuses(pipeline_of(count).run(client=client)) for _ in range(3)] == [["succeeded"]] * 3
    assert (code_repo / "n.txt").read_text() == "3"


READS = {
    "client": "with Client() as client:\n        return str(client.list_models())",
    "git": 'import subprocess\n    return str(subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True))',
    "shell": 'return str(os.system("git status > /dev/null"))',
    "stage": 'get_step_context().model_version.set_stage("staging")\n    return ""',
    "alias": 'get_step_context().model_version.add_alias("best")\n    return ""',
}


@pytest.mark.parametrize("executor", ["in-order", "threads", "processes"])
def test_a_step_that_reads_the_registry_or_plans_a_promotion_is_never_cached(script, executor):
    askers = "".join(f"\n@step\ndef {name}() -> str:\n    {body}\n" for name, body in READS.items())
    calls = "".join(f"    {name}()\n" for name in READS)
    text = f"""
{askers}
@step
def log() -> int:
    log_model_metadata(accuracy=0.9)
    return 1

@pipeline(model_config=ModelConfig(name="demo", create_new_model_version=True))
def asking():
    log()
{calls}
if __name__ == "__main__":
    asking.run(executor="{executor}")
"""
    assert set(script(text).values()) == {"succeeded"}
    assert script(text) == {"log": "cached", **dict.fromkeys(READS, "succeeded")}
    with Client() as client:
        assert client.get_version("demo@2").metadata == {"accuracy": 0.9}


def test_a_step_that_promotes_the_better_version_runs_although_nothing_changed(client):
    @step
    def fit(score: float) -> float:
        log_model_metadata(score=score)
        return score

    @step
    def promote_if_better(score: float) -> None:
        with Client() as here:
            try:
                best = here.get_version("demo@production").metadata["score"]
            except NotFound:
                best = 0.0
        if score > best:
            get_step_context().model_version.set_stage("production", reason=f"{score} > {best}")

    @pipeline(model_config=DEMO)
    def train(score: float):
        promote_if_better(fit(score))

    for score in (0.5, 0.9, 0.5):
        train.run(client=client, score=score)
    assert client.get_version("demo@production").number == 2


def test_after_an_edit_of_an_imported_file_the_step_runs_again_in_each_process(client, code_repo, monkeypatch):
    monkeypatch.syspath_prepend(str(code_repo))
    (code_repo / "living_helper.py").write_text("def value():\n    return 1\n")
    (code_repo / "living_flow.py").write_text(
        "from gitmodel import pipeline, step\nimport living_helper\n\n"
        "@step\ndef give() -> int:\n    return living_helper.value()\n\n@pipeline\ndef living():\n    give()\n"
    )
    import living_flow  # type: ignore[import-not-found]

    try:
        assert statuses(living_flow.living.run(client=client)) == ["succeeded"]
        assert statuses(living_flow.living.run(client=client)) == ["cached"]
        (code_repo / "living_helper.py").write_text("def value():\n    return 2\n")
        assert statuses(living_flow.living.run(client=client)) == ["succeeded"]
        done = subprocess.run(
            [sys.executable, "-c", "import living_flow; print(living_flow.living().steps[0].status)"],
            cwd=code_repo,
            capture_output=True,
            text=True,
        )
        assert done.stdout.strip() == "succeeded", done.stderr
    finally:
        for name in ("living_flow", "living_helper"):
            sys.modules.pop(name, None)
