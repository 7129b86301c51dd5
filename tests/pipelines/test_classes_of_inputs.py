"""A step runs again if the class of an input was edited, even if the input and the file of the step are unchanged."""

import importlib
import sys
import textwrap

import pytest
from project import pipeline_of

from gitmodel import ExternalArtifact

NETS = """
from dataclasses import dataclass

from sklearn.base import BaseEstimator

class Net(BaseEstimator):
    def predict(self):
        return FIRST

@dataclass
class Options:
    depth: int

    def double(self):
        return FIRST * self.depth
"""
FIT = """
from typing import Annotated

import nets
from gitmodel import ArtifactConfig, step

@step
def fit() -> Annotated[nets.Net, ArtifactConfig("net", format="FORMAT")]:
    return nets.Net()

@step
def configure() -> nets.Options:
    return nets.Options(2)
"""
USE = """
from gitmodel import step

@step
def use(net) -> float:
    return float(net.predict())

@step
def read(options) -> float:
    return float(options.double())
"""
MODULES = ("nets", "fit", "use")


@pytest.fixture
def statuses(code_repo, client, monkeypatch):
    """A function that writes and imports `MODULES`, runs their steps, and returns the status of each step."""
    monkeypatch.syspath_prepend(str(code_repo))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)

    def forget():
        for name in MODULES:
            sys.modules.pop(name, None)
        importlib.invalidate_caches()

    def run(first, format):
        texts = (NETS.replace("FIRST", first), FIT.replace("FORMAT", format), USE)
        for name, text in zip(MODULES, texts, strict=True):
            (code_repo / f"{name}.py").write_text(textwrap.dedent(text))
        forget()
        fit, use = importlib.import_module("fit"), importlib.import_module("use")

        one = pipeline_of(lambda: (use.use(fit.fit()), use.read(fit.configure())))
        return {ran.name: ran.status for ran in one.run(client=client).steps}

    yield run
    forget()


@pytest.mark.parametrize("format", ["pickle", "joblib", "skops"])
def test_an_edit_of_the_class_of_an_input_runs_the_step_again(statuses, format):
    everything = dict.fromkeys(("fit", "use", "configure", "read"), "succeeded")
    assert statuses("1.0", format) == everything
    assert statuses("1.0", format) == dict.fromkeys(everything, "cached")
    assert statuses("20.0", format) == everything


def test_an_edit_of_the_class_of_an_artifact_of_a_version_runs_the_step_again(statuses, client, code_repo):
    def run():
        use = importlib.import_module("use")

        two = pipeline_of(lambda: use.use(ExternalArtifact("demo", "net", 1, trusted=True)))
        return two.run(client=client).steps[0].status

    statuses("1.0", "skops")
    client.register_model("demo").create_version(model_objects={"net": importlib.import_module("nets").Net()})
    assert run() == "cached"
    (code_repo / "nets.py").write_text(NETS.replace("FIRST", "20.0"))
    for name in MODULES:
        sys.modules.pop(name)
    assert run() == "succeeded"
