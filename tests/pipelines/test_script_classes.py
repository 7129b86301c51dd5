"""gitmodel saves objects of a script with the name by which other processes can import their class.

Python itself calls the module of a script `__main__`, which other processes cannot import.
"""

import json
import os
import subprocess
import sys

import pytest

from gitmodel.errors import Refused

SCRIPT = """
import functools
import multiprocessing
import os
from concurrent.futures import ProcessPoolExecutor
from typing import Annotated

from gitmodel import ArtifactConfig, ModelConfig, pipeline, step

class Net:
    class Layer:
        size = 2

    def __init__(self, weight):
        self.weight = weight
        self.layer = Net.Layer()
        self.activation = relu

def relu(x):
    return max(0, x)

def square(x):
    return x * x

@step
def fit() -> Annotated[Net, ArtifactConfig("net", format="FORMAT")]:
    net = Net(3)
    net.self_made = [relu, Net]
    return net

@step
def check(net: Net) -> int:
    assert type(net) is Net, type(net).__module__
    assert Net.__module__ == relu.__module__ == __name__ or __name__ == "__mp_main__", (Net.__module__, __name__)
    return net.activation(net.weight)

@step
def pooled() -> list:
    import joblib

    found = []
    for backend in ("loky", "threading"):
        found.append(joblib.Parallel(2, backend=backend)(joblib.delayed(square)(x) for x in (2, 3)))
    context = multiprocessing.get_context("spawn")
    with context.Pool(1) as pool:
        found.append(pool.map(square, (2, 3)))
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        found.append(list(pool.map(square, (2, 3))))
    return found

@pipeline(enable_cache=False, model_config=ModelConfig(name="demo", create_new_model_version=True))
def train(pools: bool = False):
    if pools:
        pooled()
    else:
        check(fit())

"""
GUARDED = SCRIPT + 'if __name__ == "__main__":\n    train(pools="POOLS" in os.environ)\n'
UNGUARDED = SCRIPT + 'train(pools="POOLS" in os.environ)\n'

LAUNCHERS = {
    "git model run": (sys.executable, "-m", "gitmodel", "run", "train.py:train"),
    "python": (sys.executable, "train.py"),
    "python -m": (sys.executable, "-m", "train"),
    "import": (sys.executable, "-c", "import train; train.train()"),
}


@pytest.fixture
def launch(code_repo):
    """A function that writes *text* to `train.py`, runs *command* in its folder, and returns the ended process."""

    def run(text, command, *more, name="train.py", check=True, **environ):
        (code_repo / name).write_text(text)
        environ = {**os.environ, "PYTHONPATH": "", **environ}
        done = subprocess.run(
            [*command, *more], cwd=code_repo, env=environ, capture_output=True, text=True, timeout=120
        )
        assert not check or done.returncode == 0, done.stderr
        return done

    return run


def load_elsewhere(client, folder, name, format="pickle"):
    """Load the artifact *name*, saved in *format*, in a process that imports only from *folder*.

    Returns the module of its class, its weight and the value of its activation for -1.
    """
    artifact = client.get_version("demo").get_artifact(name)
    artifact.download(folder / "file")
    loads = "import skops.io; found = skops.io.load('file', trusted=skops.io.get_untrusted_types(file='file'))"
    if format != "skops":
        loads = f"import {format.replace('cloudpickle', 'pickle')} as p; found = p.load(open('file', 'rb'))"
    code = f"{loads}\nimport json; print(json.dumps([type(found).__module__, found.weight, found.activation(-1)]))"
    done = subprocess.run([sys.executable, "-c", code], cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_a_class_of_a_script_has_one_name_and_digest_however_the_script_is_started(client, launch, tmp_path):
    (tmp_path / "service").mkdir()
    (tmp_path / "service" / "train.py").write_text(GUARDED)
    digests = set()
    for launcher, executor in [
        *((name, "in-order") for name in LAUNCHERS),
        ("git model run", "processes"),
        ("python", "processes"),
        ("python", "threads"),
    ]:
        launch(GUARDED.replace("FORMAT", "pickle"), LAUNCHERS[launcher], GITMODEL_EXECUTOR=executor)
        digests.add(client.get_version("demo").get_artifact("net").digest)
    assert len(digests) == 1
    assert load_elsewhere(client, tmp_path / "service", "net") == ["train", 3, 0]


@pytest.mark.parametrize("launcher", ["git model run", "python"])
def test_joblib_saves_the_importable_name_of_a_class_of_a_script(client, launch, tmp_path, launcher):
    launch(GUARDED.replace("FORMAT", "joblib"), LAUNCHERS[launcher])
    (tmp_path / "service").mkdir()
    (tmp_path / "service" / "train.py").write_text(GUARDED)
    assert load_elsewhere(client, tmp_path / "service", "net", "joblib") == ["train", 3, 0]


@pytest.mark.parametrize(
    ("launcher", "text", "executor"),
    [
        ("git model run", UNGUARDED, "in-order"),
        ("git model run", UNGUARDED, "processes"),
        ("python", GUARDED, "threads"),
        ("python", GUARDED, "processes"),
        ("python", UNGUARDED, "in-order"),
        ("python", UNGUARDED, "processes"),
    ],
    ids=lambda value: {GUARDED: "guarded", UNGUARDED: "unguarded"}.get(value, value),
)
def test_a_step_can_use_pools_over_functions_of_its_script(client, launch, launcher, text, executor):
    more = ["--param", "pools=true"] if launcher == "git model run" else []
    launch(text, LAUNCHERS[launcher], *more, POOLS="1", GITMODEL_EXECUTOR=executor)
    (run,) = client.list_runs()
    assert client.get_version("demo").get_artifact("pooled").load() == [[4, 9]] * 4
    assert run.status == "succeeded"


@pytest.mark.parametrize("name", ["my-train.py", "01_train.py"])
def test_a_script_can_have_a_name_that_is_no_identifier(client, launch, tmp_path, name):
    launch(GUARDED.replace("FORMAT", "pickle"), [sys.executable, name], name=name)
    launch(GUARDED.replace("FORMAT", "pickle"), [sys.executable, "-m", "gitmodel", "run", name], name=name)
    (tmp_path / "service").mkdir()
    (tmp_path / "service" / name).write_text(GUARDED)
    assert load_elsewhere(client, tmp_path / "service", "net") == [name.removesuffix(".py"), 3, 0]
    one, two = client.get_model("demo").versions
    assert one.get_artifact("net").digest == two.get_artifact("net").digest


@pytest.mark.parametrize("command", [["statistics.py"], ["my.train.py"], ["-m", "gitmodel", "run", "my.train.py"]])
def test_a_class_that_no_other_process_can_import_is_refused(client, launch, command):
    done = launch(GUARDED.replace("FORMAT", "pickle"), [sys.executable, *command], name=command[-1], check=False)
    assert done.returncode != 0
    assert (
        f"the class Net is defined in {command[-1]}, which no other process can import to load the file" in done.stderr
    )
    assert "move it to a file in the repository, such as models.py, and write `from models import Net`" in done.stderr
    assert client.list_runs()[0].status == "failed"


def test_a_pool_that_cannot_import_the_script_is_refused_with_the_reason(launch):
    command = [sys.executable, "-m", "gitmodel", "run", "my.train.py", "--param", "pools=true"]
    done = launch(GUARDED, command, name="my.train.py", check=False)
    assert done.returncode != 0
    assert "other processes cannot import the functions of my.train.py by the name of that file" in done.stderr
    assert "rename the script" in done.stderr


SPEECHLESS = """
from gitmodel import ModelConfig, pipeline, step

class SpeechlessError(Exception):
    def __str__(self):
        raise ValueError("no words")

@step
def fail() -> int:
    raise SpeechlessError

@pipeline(model_config=ModelConfig(name="demo", create_new_model_version=True))
def train():
    fail()
"""


def test_an_error_without_a_readable_message_is_reported_in_a_script_that_cannot_be_imported(client, launch):
    done = launch(SPEECHLESS, [sys.executable, "-m", "gitmodel", "run", "my.train.py"], name="my.train.py", check=False)
    assert "step fail failed: SpeechlessError: its message cannot be read" in done.stderr
    assert (done.returncode, client.list_runs()[0].status) == (1, "failed")


def test_an_error_without_a_readable_message_is_reported_when_a_script_is_imported(launch):
    text = SPEECHLESS + "raise SpeechlessError\n"
    done = launch(text, [sys.executable, "-m", "gitmodel", "run", "train.py"], check=False)
    assert done.returncode == 2
    assert "train.py cannot be imported: SpeechlessError: its message cannot be read" in done.stderr


TRANSFORMER = """
from typing import Annotated
from gitmodel import ModelConfig, pipeline, step
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

def double(x):
    return [[2 * value for value in row] for row in x]

@step
def fit() -> Annotated[object, "clf"]:
    return make_pipeline(FunctionTransformer(double), LinearRegression()).fit([[1], [2]], [2, 4])

@step
def check(clf: object) -> float:
    return float(clf.predict([[3]])[0])

@pipeline(model_config=ModelConfig(name="demo", create_new_model_version=True))
def train():
    check(fit())

if __name__ == "__main__":
    train()
"""


def test_a_scikit_learn_model_with_a_function_of_the_script_can_be_saved(client, launch):
    for launcher in ("python", "git model run"):
        launch(TRANSFORMER, LAUNCHERS[launcher])
    one, two = (version.get_artifact("clf") for version in client.get_model("demo").versions)
    assert one.digest == two.digest
    with pytest.raises(Refused, match=r"train\.double"):
        one.load()


@pytest.mark.parametrize(("format", "refused"), [("pickle", True), ("joblib", True), ("cloudpickle", False)])
def test_a_class_typed_at_a_prompt_is_refused_unless_the_format_saves_the_class_itself(
    client, launch, tmp_path, format, refused
):
    if format == "cloudpickle":
        pytest.importorskip("cloudpickle")
    text = SCRIPT.replace("FORMAT", format) + "train()\n"
    done = launch(text, [sys.executable, "-c", text], check=False)
    assert (done.returncode != 0) == refused, done.stderr
    if refused:
        assert "the class Net is defined in a notebook or at a prompt" in done.stderr
    else:
        (tmp_path / "service").mkdir()
        assert load_elsewhere(client, tmp_path / "service", "net", format)[1:] == [3, 0]
