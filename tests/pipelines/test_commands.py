"""The commands `git model run` and `git model runs`: what they print, and which errors they report."""

import json
import re
import subprocess
import sys

import pytest
from transcripts import ask, check_transcript

SCRIPT = """
import sys
from gitmodel import ModelConfig, pipeline, step

@step
def fit(seed: int, rate: float) -> float:
    print("fitting")
    if seed < 0:
        raise ValueError("a seed is not negative")
    return seed * rate

@pipeline(enable_cache=False, model_config=ModelConfig(name="demo", create_new_model_version=True))
def train(seed: int = 1, rate: float = 0.5):
    fit(seed, rate)

print(sys.argv, "is imported")
train(seed=-9)                      # does not run: `git model run` only imports the script
"""


@pytest.fixture
def script(code_repo, monkeypatch):
    monkeypatch.chdir(code_repo)
    (code_repo / "train.py").write_text(SCRIPT)
    (code_repo / "two.py").write_text(
        "from gitmodel import pipeline\n@pipeline\ndef one(): ...\n@pipeline(name='second')\ndef two(): ...\n"
    )
    (code_repo / "none.py").write_text("x = 1\n")
    (code_repo / "broken.py").write_text("import nothing_of_that_name\n")
    return code_repo / "train.py"


@pytest.fixture
def fixed_ids(monkeypatch):
    """Replace the random digits at the end of ids of runs by a counter, so that commands always print the same text."""
    from gitmodel.registry.recorded_runs import new_runs

    count = iter(range(100))
    monkeypatch.setattr(new_runs, "_unique", lambda: f"{next(count):04x}")


def test_run_runs_the_pipeline_and_reports_its_steps(script, fixed_ids, capsys):
    code, out, err = ask(capsys, "run", "train.py", "--param", "seed=4", "--param", "rate=0.25")
    assert code == 0
    assert out == ("['train.py'] is imported\nfitting\n20261123T101213Z-train-0000 succeeded: demo@1\n")
    assert re.fullmatch(r"fit: started\nfit: succeeded in \d\.\d s\n", err)
    check_transcript(
        capsys,
        """
        $ git model runs list
        RUN                          PIPELINE  STATUS     VERSIONS  rate  seed  TOOK
        20261123T101213Z-train-0000  train     succeeded  demo@1    0.25  4     0 s
        $ git model runs list --filter 'parameters.seed > 4'
        ! no run matches
        $ git model runs list -q --filter 'parameters.seed == 4'
        20261123T101213Z-train-0000
        $ git model version runs demo
        RUN                          PIPELINE  STATUS     STARTED (UTC)
        20261123T101213Z-train-0000  train     succeeded  2026-11-23 10:12
        """,
    )
    _, out, _ = ask(capsys, "runs", "show")
    assert "parameters  rate = 0.25\n            seed = 4\n" in out
    told = r"ran because the cache is off\n +rate = 0\.25\n +seed = 4\n +fit -> sha256:[0-9a-f]{64}\n"
    assert re.search(rf"\nfit +succeeded, \d\.\d s\n +{told}", out)


def test_with_json_the_output_of_a_script_goes_to_stderr(script, capsys):
    code, out, err = ask(capsys, "run", "train.py:train", "--format", "json", "--executor", "threads:2")
    assert code == 0
    assert json.loads(out)["versions"] == ["demo@1"]
    assert json.loads(out)["executor"] == "threads"
    assert "fitting" in err


def test_git_model_run_can_run_steps_of_a_script_in_other_processes(script, capsys):
    command = [sys.executable, "-m", "gitmodel", "run", "train.py", "--executor", "processes:1", "-q"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "fitting" in done.stderr
    code, out, _ = ask(capsys, "runs", "show", done.stdout.strip(), "--format", "json")
    assert (code, json.loads(out)["executor"]) == (0, "processes")


def test_a_parameter_of_another_type_than_its_annotation_is_refused_before_the_run(script, capsys):
    code, _, err = ask(capsys, "run", "train.py", "--param", "rate=abc")
    assert code == 2
    assert "error: parameter rate is 'abc', and its annotation is float\nhint: for example: --param rate=0.5\n" in err
    assert ask(capsys, "runs", "list", "-q") == (0, "", "")


def test_the_error_of_a_failed_run_names_the_step_and_the_journal(script, fixed_ids, capsys):
    code, _, err = ask(capsys, "run", "train.py", "--param", "seed=-1")
    assert code == 1
    assert "error: step fit failed: ValueError: a seed is not negative\n" in err
    assert "hint: run `git model runs show 20261123T101213Z-train-0000` to see the run\n" in err
    code, out, _ = ask(capsys, "runs", "show")
    assert code == 0
    assert re.search(r"error +ValueError: a seed is not negative\n", out)
    assert "raise ValueError" in out
    _, out, _ = ask(capsys, "runs", "list")
    assert out.splitlines()[1].split()[1:3] == ["train", "failed"]


def test_commands_of_runs_refuse_unknown_runs_scripts_pipelines_and_parameters(script, capsys):
    check_transcript(
        capsys,
        """
        $ git model runs list
        ! there are no runs yet; `git model run SCRIPT` creates one
        $ git model runs show
        ! error: there are no runs yet
        ! hint: run `git model run SCRIPT`
        [3]
        $ git model runs show 20261123T101112Z-train-7f3a
        ! error: there is no run '20261123T101112Z-train-7f3a'
        ! hint: run `git model runs list` to see the runs
        [3]
        $ git model runs show ../../config
        ! error: there is no run '../../config'
        ! hint: ...git model runs list...
        [3]
        $ git model run nothing.py
        ! error: there is no script nothing.py
        ! hint: name a Python file, as in `git model run train.py`
        [3]
        $ git model run none.py
        ! error: none.py has no pipeline
        ! hint: decorate the function that calls its steps with @pipeline
        [3]
        $ git model run two.py
        ! error: two.py has several pipelines
        ! hint: name one: two.py:one
        [2]
        $ git model run two.py:three
        ! error: two.py has no pipeline 'three'
        ! hint: its pipelines: one, two
        [3]
        $ git model run two.py:second
        ! error: pipeline second calls no step
        ! hint: decorate the functions it calls with @step
        [2]
        $ git model run broken.py
        ! error: broken.py cannot be imported: ModuleNotFoundError: No module named 'nothing_of_that_name'
        ! hint: run `python3 broken.py` to see the error
        [2]
        $ git model run train.py --param seed
        ! error: 'seed' is not KEY=VALUE
        ! hint: for example: --param accuracy=0.97
        [2]
        """,
    )
    code, _, err = ask(capsys, "run", "train.py", "--param", "sede=1")
    assert (code, err) == (
        2,
        "error: pipeline train has no parameter sede\nhint: did you mean seed? its parameters are seed, rate\n",
    )


MERGE = """
import json
from dataclasses import dataclass
from typing import Annotated
from gitmodel import Secret, pipeline, step

@dataclass
class Part:
    size: int
    def __post_init__(self):
        raise KeyError("no such part")

@step
def fit(x: int = 1) -> int:
    raise ValueError("fit fails")

def tell(error):
    raise LookupError("nobody to tell")

@pipeline
def merging(n: int = 1, token: Secret = None, part: Part = None, text: str = "", close: Annotated[int, {}] = 2):
    if token:
        raise RuntimeError(f"no access with {token.value}")
    if text:
        json.loads(text)
    parts = list(range(n))
    fit(parts[0])

@pipeline(on_failure=tell)
def telling():
    fit()
"""


@pytest.mark.parametrize(
    ("given", "message", "hint"),
    [
        ("n=0", "merge.py, line 27, in merging: IndexError: list index out of range", "the line is: fit(parts[0])"),
        ("token=hush-hush", "merge.py, line 23, in merging: RuntimeError: no access with (secret)", "the line is: "),
        ("text={", "merge.py, line 25, in merging: JSONDecodeError: ", "the line is: json.loads(text)"),
        ("part={size=1}", "parameter part is '{size=1}', and its annotation is ", "it raised KeyError: 'no such part'"),
        ("close=x", "parameter close is 'x', and its annotation is ", "expected a valid integer"),
    ],
)
def test_an_error_in_the_code_of_a_pipeline_is_not_reported_as_a_bug_of_gitmodel(script, capsys, given, message, hint):
    (script.parent / "merge.py").write_text(MERGE)
    code, out, err = ask(capsys, "run", "merge.py:merging", "--param", given)
    assert (code, out) == (2, "")
    assert err.startswith(f"error: {message}")
    assert f"\nhint: {hint}" in err
    assert "hush-hush" not in err
    assert ask(capsys, "runs", "list", "-q")[1] == ""


def test_an_error_of_on_failure_does_not_hide_the_failure_of_the_run(script, capsys, caplog):
    (script.parent / "merge.py").write_text(MERGE)
    code, _, err = ask(capsys, "run", "merge.py:telling")
    assert code == 1
    assert "error: step fit failed: ValueError: fit fails\n" in err
    assert "on_failure of pipeline telling failed" in caplog.text
    assert "LookupError: nobody to tell" in caplog.text


def test_the_error_for_an_option_of_the_pipeline_names_with_options(script, capsys):
    code, _, err = ask(capsys, "run", "train.py", "--model", "other")
    assert (code, err.splitlines()[0]) == (2, "error: no such option '--model'")
    assert "Pipeline.with_options" in err


def test_sorting_runs_by_metadata_is_refused_with_the_command_that_lists_versions(script, capsys):
    ask(capsys, "run", "train.py")
    for option in ("--sort=-accuracy", "--filter=metadata.accuracy > 0.9"):
        code, _, err = ask(capsys, "runs", "list", option)
        assert code == 2
        assert "the metadata that a pipeline logs is on its versions: git model version list MODEL --" in err


STOPS = """
from typing import Annotated
from gitmodel import pipeline, step

@step
def prepare() -> Annotated[dict, "checkpoint"]:
    return {"epoch": 3}

@step
def stop(x: dict) -> int:
    raise ValueError("no")

@pipeline
def train():
    stop(prepare())
"""


def test_get_with_the_option_run_fetches_an_output_of_a_failed_run(script, fixed_ids, capsys):
    (script.parent / "stops.py").write_text(STOPS)
    ask(capsys, "run", "stops.py")
    ask(capsys, "run", "train.py")
    check_transcript(
        capsys,
        """
        $ git model get 20261123T101213Z-train-0000 checkpoint
        wrote checkpoint of 20261123T101213Z-train-0000 to checkpoint.json (17 B, verified)
        $ git model get 20261123T101213Z-train-0000 -q -o there.json
        there.json
        $ git model get 20261123T101213Z-train-0000 model
        ! error: run 20261123T101213Z-train-0000 has no output 'model'
        ! hint: its outputs: checkpoint
        [3]
        $ git model get 20261123T101213Z-train-0000 checkpoint --run 0000
        ! error: the output of a run is named by RUN and its name only
        ! hint: write `git model get 20261123T101213Z-train-0000 OUTPUT`
        [2]
        """,
    )
    assert json.loads((script.parent / "there.json").read_text()) == {"epoch": 3}


def test_the_option_param_takes_precedence_over_the_file_of_parameters(script, capsys):
    (script.parent / "params.yaml").write_text("seed: 4\nrate: 1e-1\n")
    assert ask(capsys, "run", "train.py", "--params", "params.yaml", "--param", "seed=5", "-q")[0] == 0
    _, out, _ = ask(capsys, "runs", "show", "--format", "json")
    assert json.loads(out)["parameters"] == {"seed": 5, "rate": 0.1}


def test_an_invalid_file_of_parameters_is_refused_before_the_run(script, capsys):
    (script.parent / "params.toml").write_text("seed = 'five'\n")
    code, _, err = ask(capsys, "run", "train.py", "--params", "params.toml")
    assert code == 2
    assert err == (
        "error: parameter seed in params.toml is 'five', and its annotation is int\nhint: for example: seed = 3\n"
    )
    assert ask(capsys, "run", "train.py", "--params", "none.toml")[0] == 3
    assert ask(capsys, "runs", "list", "-q") == (0, "", "")


@pytest.fixture
def package(code_repo, monkeypatch):
    """A package with a pipeline that uses a relative import."""
    monkeypatch.chdir(code_repo)
    monkeypatch.setattr(sys, "path", list(sys.path))
    folder = code_repo / "lines"
    folder.mkdir()
    (folder / "__init__.py").touch()
    (folder / "steps.py").write_text("from gitmodel import step\n@step\ndef fit(seed: int) -> int:\n    return seed\n")
    (folder / "train.py").write_text(
        "from gitmodel import ModelConfig, pipeline\nfrom .steps import fit\n"
        "@pipeline(model_config=ModelConfig(name='demo', create_new_model_version=True))\n"
        "def train(seed: int = 1):\n    fit(seed)\n"
        "@pipeline\ndef other():\n    fit(2)\n"
        "train()\n"
    )
    yield folder
    for name in ("lines", "lines.steps", "lines.train"):
        sys.modules.pop(name, None)


@pytest.mark.parametrize("executor", ["in-order", "processes:1"])
def test_a_module_with_relative_imports_runs_by_its_name(package, capsys, executor):
    command = ["run", "-m", "lines.train:train", "--param", "seed=3", "--executor", executor, "-q"]
    done = subprocess.run([sys.executable, "-m", "gitmodel", *command], capture_output=True, text=True, check=True)
    _, out, _ = ask(capsys, "runs", "show", done.stdout.strip(), "--format", "json")
    run = json.loads(out)
    assert (run["script"], run["module"], run["versions"]) == ("lines/train.py", "lines.train", ["demo@1"])
    subprocess.run(["git", "add", "."], check=True)
    subprocess.run(["git", "commit", "-qm", "Add lines"], check=True)
    again = subprocess.run([sys.executable, "-m", "gitmodel", *command], capture_output=True, text=True, check=True)
    assert again.stdout
    _, out, err = ask(capsys, "reproduce", "demo@2")
    assert "fit.fit  identical bytes" in out, err


def test_a_module_that_cannot_be_run_is_refused(package, capsys):
    check_transcript(
        capsys,
        """
        $ git model run -m lines.train
        ! error: lines.train has several pipelines
        ! hint: name one: lines.train:other
        [2]
        $ git model run -m lines.steps
        ! error: lines.steps has no pipeline
        ! hint: decorate the function that calls its steps with @pipeline
        [3]
        $ git model run -m lines.nothing
        ! error: there is no module lines.nothing
        ! hint: ...write the name that `python3 -m` takes
        [3]
        $ git model run -m lines/train.py
        ! error: 'lines/train.py' is not the name of a module
        ! hint: write -m package.module; for a file, leave out -m
        [2]
        $ git model run -m lines.train lines/train.py
        ! error: SCRIPT and -m MODULE cannot be combined
        ! hint: leave one of them out
        [2]
        $ git model run
        ! error: SCRIPT is missing
        ! hint: name a script, or a module with -m
        [2]
        """,
    )


def test_the_error_for_a_script_with_relative_imports_names_the_command_that_runs_it(package, capsys):
    code, _, err = ask(capsys, "run", "lines/train.py")
    assert code == 2
    assert "hint: it uses relative imports, so run it as a module: `git model run -m lines.train`\n" in err
