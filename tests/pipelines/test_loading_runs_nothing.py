"""Loading an artifact imports the module of its class. If this module calls a pipeline, the pipeline must not run."""

import logging
import pickle
import sys
import types

import pytest

UNGUARDED = """
from gitmodel import pipeline, step

class Net:
    def __init__(self, weight):
        self.weight = weight

@step
def fit():
    raise AssertionError("trained in a service")

@pipeline
def train():
    fit()

train()
train.run()
"""


@pytest.fixture
def network(client, tmp_path, monkeypatch):
    """An artifact whose class is in `unguarded.py`, a module that calls a pipeline and that nobody has imported yet."""
    module = types.ModuleType("unguarded")
    module.Net = type("Net", (), {"__module__": "unguarded"})
    monkeypatch.setitem(sys.modules, "unguarded", module)
    made = module.Net()
    made.weight = 3
    (tmp_path / "net.pkl").write_bytes(pickle.dumps(made))
    del sys.modules["unguarded"]
    scripts = tmp_path / "scripts"
    scripts.mkdir()
    (scripts / "unguarded.py").write_text(UNGUARDED)
    monkeypatch.syspath_prepend(scripts)
    version = client.register_model("demo").create_version()
    version.link_artifact("net", tmp_path / "net.pkl", kind="model", format="pickle")
    yield version.get_artifact("net")
    sys.modules.pop("unguarded", None)


def test_a_pipeline_does_not_run_while_an_artifact_is_loaded(client, network, caplog):
    with caplog.at_level(logging.WARNING):
        assert network.load(trusted=True).weight == 3
    told = [record.getMessage() for record in caplog.records]
    assert len(told) == 2
    assert told[0].startswith(
        "pipeline train is not run: it was called while an artifact was loaded, which imports unguarded"
    )
    assert len(client.list_runs()) == 0


def test_the_pipeline_runs_again_after_the_artifact_was_loaded(client, network):
    network.load(trusted=True)
    with pytest.raises(Exception, match="trained in a service"):
        sys.modules["unguarded"].train.run(client=client)


def test_pipelines_run_after_a_file_failed_to_load(client, network, tmp_path):
    (tmp_path / "torn.pkl").write_bytes(b"\x80\x04torn")
    version = client.get_version("demo@1")
    version.link_artifact("torn", tmp_path / "torn.pkl", format="pickle")
    with pytest.raises(Exception, match="cannot be loaded"):
        version.get_artifact("torn").load(trusted=True)
    network.load(trusted=True)
    with pytest.raises(Exception, match="trained in a service"):
        sys.modules["unguarded"].train.run(client=client)
