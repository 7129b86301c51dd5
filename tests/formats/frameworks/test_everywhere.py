"""Values of each framework that a script, a pipeline on each executor and a notebook create.

Each value is stored and promoted, then another process loads and uses it. The test runs once for each framework that
the nox session `formats` installs. The parameter "scikit-learn" stands for the packages of all other tests.
"""

import json
import shutil
import subprocess
import sys
from importlib.util import find_spec
from textwrap import indent
from typing import NamedTuple

import nbclient
import nbformat
import pytest

from gitmodel import Client
from gitmodel.errors import GitModelError


class Use(NamedTuple):
    """A value of a framework.

    *make* is the body of a function that creates the value, *predict* the body of a function that uses it. *packages*
    are the packages that must be installed. *trusted* is the argument of `load`.
    """

    session: str
    name: str
    packages: str
    make: str
    predict: str
    trusted: bool = False


USES = [
    Use(
        "scikit-learn",
        "forest",
        "sklearn",
        "from sklearn.ensemble import RandomForestClassifier\n"
        "from sklearn.pipeline import make_pipeline\n"
        "from sklearn.preprocessing import StandardScaler\n"
        "return make_pipeline(StandardScaler(), RandomForestClassifier(5, random_state=0)).fit(X, Y)",
        "return value.predict(X).tolist()",
    ),
    Use(
        "scikit-learn",
        "frame",
        "pandas",
        "import pandas\nreturn pandas.DataFrame({'a': X[:, 0], 'y': Y, 'kind': pandas.Categorical(['u', 'v'] * 20)})",
        "from sklearn.linear_model import LinearRegression\n"
        "return LinearRegression().fit(value[['a']], value['y']).predict(value[['a']]).tolist() + [*value['kind']]",
    ),
    Use("scikit-learn", "weights", "numpy", "return numpy.linalg.lstsq(X, Y)[0]", "return (X @ value).tolist()"),
    Use(
        "scikit-learn",
        "matrix",
        "scipy",
        "import scipy.sparse\nreturn scipy.sparse.csr_matrix(numpy.diag([0.0, 2.0, 3.0]))",
        "return (X @ value).tolist()",
    ),
    Use(
        "xgboost",
        "estimator",
        "xgboost",
        "import xgboost\nreturn xgboost.XGBClassifier(n_estimators=3, max_depth=2).fit(X, Y)",
        "return value.predict_proba(X).tolist()",
    ),
    Use(
        "xgboost",
        "booster",
        "xgboost",
        "import xgboost\nreturn xgboost.train({'max_depth': 2}, xgboost.DMatrix(X, Y), 3)",
        "import xgboost\nreturn value.predict(xgboost.DMatrix(X)).tolist()",
    ),
    Use(
        "lightgbm",
        "estimator",
        "lightgbm",
        "import lightgbm\nreturn lightgbm.LGBMRegressor(n_estimators=3, verbose=-1).fit(X, Y)",
        "return value.predict(X).tolist()",
    ),
    Use(
        "lightgbm",
        "booster",
        "lightgbm",
        "import lightgbm\nreturn lightgbm.train({'verbose': -1}, lightgbm.Dataset(X, Y), 3)",
        "return value.predict(X).tolist()",
    ),
    Use(
        "onnx",
        "net",
        "onnx onnxruntime",
        "from onnx import TensorProto, helper\n"
        "x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, [None, size]) for name, size in ('x3', 'y1'))\n"
        "weights = numpy.linalg.lstsq(X, Y)[0]\n"
        "held = helper.make_tensor('w', TensorProto.FLOAT, [3, 1], weights)\n"
        "graph = helper.make_graph([helper.make_node('MatMul', ['x', 'w'], ['y'])], 'linear', [x], [y], [held])\n"
        "return helper.make_model(graph, opset_imports=[helper.make_opsetid('', 17)], ir_version=8)",
        "import onnxruntime\n"
        "session = onnxruntime.InferenceSession(value.SerializeToString(), providers=['CPUExecutionProvider'])\n"
        "return session.run(None, {'x': X.astype('float32')})[0].tolist()",
    ),
    Use(
        "keras",
        "net",
        "keras jax",
        "import keras\n"
        "keras.utils.set_random_seed(0)\n"
        "model = keras.Sequential([keras.layers.Input((3,)), keras.layers.Dense(2, 'relu'), keras.layers.Dense(1)])\n"
        "model.compile('sgd', 'mse')\n"
        "model.fit(X, Y, epochs=1, verbose=0)\n"
        "return model",
        "return value.predict(X, verbose=0).tolist()",
        trusted=True,
    ),
    Use(
        "torch",
        "net",
        "torch",
        "import torch\n"
        "torch.manual_seed(0)\n"
        "model = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.ReLU(), torch.nn.Linear(4, 1))\n"
        "optimizer = torch.optim.SGD(model.parameters(), 0.1)\n"
        "x, y = torch.tensor(X, dtype=torch.float32), torch.tensor(Y, dtype=torch.float32)\n"
        "torch.nn.functional.mse_loss(model(x)[:, 0], y).backward()\n"
        "optimizer.step()\n"
        "return model.eval()",
        "import torch\nreturn value(torch.tensor(X, dtype=torch.float32)).tolist()",
    ),
    Use(
        "torch",
        "state",
        "torch",
        "import torch\ntorch.manual_seed(0)\nreturn torch.nn.Linear(3, 1).state_dict()",
        "import torch\n"
        "model = torch.nn.Linear(3, 1)\n"
        "model.load_state_dict(value)\n"
        "return model(torch.tensor(X, dtype=torch.float32)).tolist()",
    ),
    Use(
        "transformers",
        "bert",
        "transformers torch",
        "import torch\n"
        "import transformers\n"
        "torch.manual_seed(0)\n"
        "size = {'hidden_size': 8, 'num_hidden_layers': 1, 'num_attention_heads': 2, 'intermediate_size': 8}\n"
        "return transformers.BertForSequenceClassification(transformers.BertConfig(vocab_size=16, **size)).eval()",
        # rounded, because the place of weights in memory changes the last bits of a sum
        "import torch\nreturn [round(logit, 6) for logit in value(torch.tensor([[1, 2, 3]])).logits[0].tolist()]",
    ),
    Use(
        "polars",
        "table",
        "polars",
        "import polars\nreturn polars.DataFrame({'a': X[:, 0], 'y': Y, 'kind': ['u', None] * 20})",
        "return numpy.polyval(numpy.polyfit(value['a'], value['y'], 1), value['a']).tolist() + value['kind'].to_list()",
    ),
    Use(
        "pictures",
        "picture",
        "PIL",
        "from PIL import Image\nreturn Image.fromarray((X * 255).astype('uint8'))",
        "return numpy.asarray(value).mean(axis=0).tolist()",
    ),
    Use(
        "pictures",
        "figure",
        "matplotlib PIL",
        "from matplotlib.figure import Figure\n"
        "figure = Figure(figsize=(2, 1), dpi=100)\n"
        "figure.subplots().plot(Y)\n"
        "return figure",
        # A figure of matplotlib is loaded as a picture of Pillow, whose `size` is in pixels.
        "return list(value.size if hasattr(value, 'size') else value.get_size_inches() * 100)",
    ),
]
SESSIONS = sorted({use.session for use in USES})
WAYS = ("script", "in-order", "processes", "dask", "notebook")

PROJECT = """\
import json
import sys
from typing import Annotated

import numpy

from gitmodel import Client, ModelConfig, pipeline, step

X = numpy.random.RandomState(0).rand(40, 3)
Y = (X[:, 0] > 0.5).astype(int)
"""
STEPS = """

def make_NAME():
    MAKE


def predict_NAME(value):
    PREDICT


@step
def fit_NAME() -> Annotated[object, "NAME"]:
    return make_NAME()


@step
def use_NAME(value) -> Annotated[list, "said_NAME"]:
    return predict_NAME(value)

"""
PIPELINE = """
def train():
CALLS


def run(way, executor):
    made = pipeline(enable_cache=False, model_config=ModelConfig(name=way, create_new_model_version=True))(train)
    with Client() as client:
        assert made.run(client=client, executor=executor).status == "succeeded"
        client.get_version(way).set_stage("production")

"""
SCRIPT = """
if __name__ == "__main__":
    objects = {VALUES}
    with Client() as client:
        version = client.register_model("script").create_version(model_objects=objects)
        version.set_stage("production")
    run("in-order", "in-order")
    run("processes", "processes:1")
    run("dask", "dask:1")
    print(json.dumps({SAID}))
"""
SERVICE = """
import hashlib, json, sys
from gitmodel import Client
sys.path.insert(0, sys.argv[1])
import train
found = {}
with Client(sys.argv[1]) as client:
    for way, name, trusted in json.loads(sys.argv[2]):
        version = client.get_version(f"{way}@production")
        artifact = version.get_artifact(name)
        value = artifact.load(trusted=trusted)
        if artifact.path().is_file():
            assert "sha256:" + hashlib.sha256(artifact.path().read_bytes()).hexdigest() == artifact.digest
        said = getattr(train, f"predict_{name}")(value)
        if way != "script" and way != "notebook":
            assert version.get_artifact(f"said_{name}").load() == said
        found[f"{way} {name}"] = said
print(json.dumps(found))
"""


def project(uses):
    """Return the code of the steps and the pipeline, and the code that only the script contains."""
    parts = [PROJECT]
    for use in uses:
        make, predict = (indent(code, "    ").strip() for code in (use.make, use.predict))
        parts.append(STEPS.replace("MAKE", make).replace("PREDICT", predict).replace("NAME", use.name))
    parts.append(PIPELINE.replace("CALLS", "\n".join(f"    use_{use.name}(fit_{use.name}())" for use in uses)))
    values = ", ".join(f"{use.name!r}: make_{use.name}()" for use in uses)
    said = ", ".join(f"{use.name!r}: predict_{use.name}(objects[{use.name!r}])" for use in uses)
    return "".join(parts), SCRIPT.replace("VALUES", values).replace("SAID", said)


def run_notebook(folder, cells):
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "", "language": "python"}
    nbclient.NotebookClient(notebook, timeout=120, resources={"metadata": {"path": str(folder)}}).execute()


@pytest.mark.parametrize("session", SESSIONS)
def test_a_value_of_a_framework_is_created_promoted_and_used_in_another_process(
    session, code_repo, tmp_path, monkeypatch
):
    uses = [use for use in USES if use.session == session]
    for package in {package for use in uses for package in use.packages.split()}:
        if find_spec(package) is None:
            pytest.skip(f"{package} is not installed")
    for name in ("IPYTHONDIR", "JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR"):
        monkeypatch.setenv(name, str(tmp_path / name))
    steps, script = project(uses)
    (code_repo / "train.py").write_text(steps + script)
    done = subprocess.run([sys.executable, "train.py"], cwd=code_repo, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    expected = json.loads(done.stdout.splitlines()[-1])
    run_notebook(code_repo, [steps, "run('notebook', 'in-order')"])

    asked = [(way, use.name, use.trusted) for way in WAYS for use in uses]
    done = subprocess.run(
        [sys.executable, "-c", SERVICE, code_repo, json.dumps(asked)], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {f"{way} {name}": expected[name] for way, name, _ in asked}

    with Client(code_repo) as client:
        shutil.rmtree(client.repository.common_dir / "gitmodel" / "cache", ignore_errors=True)
        for path in (client.repository.common_dir / "gitmodel" / "store" / "sha256").rglob("?" * 62):
            path.chmod(0o600)
            path.write_bytes(path.read_bytes()[:-1] + b"!")
        for way, name, trusted in asked:
            with pytest.raises(GitModelError, match="sha256"):
                client.get_version(f"{way}@production").get_artifact(name).load(trusted=trusted)
