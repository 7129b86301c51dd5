"""Python objects as artifacts: gitmodel saves an object in the format for its type, loads the file and compares."""

import subprocess
import sys
from pathlib import Path
from types import ModuleType

import numpy
import pandas
import pytest
from expected_errors import error_with_hint
from sklearn.ensemble import RandomForestClassifier
from transcripts import ask

from gitmodel import Client, formats
from gitmodel.errors import Conflict, Invalid, NotFound, Refused, UsageError

FEATURES = numpy.random.RandomState(0).rand(60, 3)
TARGET = (FEATURES[:, 0] > 0.5).astype(int)
FRAME = pandas.DataFrame(FEATURES, columns=["a", "b", "c"])
SERVICE = """
import sys, numpy
from gitmodel import Client
with Client(sys.argv[1]) as client:
    print(client.get_version("iris@production").get_artifact("clf").load().predict(numpy.eye(3)).tolist())
"""


@pytest.fixture
def client(code_repo, monkeypatch):
    monkeypatch.chdir(code_repo)
    with Client(code_repo) as opened:
        opened.register_model("iris")
        yield opened


def test_a_trained_model_is_stored_promoted_and_used_by_another_process(client, code_repo):
    forest = RandomForestClassifier(5, random_state=0).fit(FEATURES, TARGET)
    version = client.get_model("iris").create_version(model_objects={"clf": forest}, data={"train": FRAME})
    version.set_stage("production")
    assert [(found.name, found.kind, found.format) for found in version.artifacts] == [
        ("clf", "model", "skops"),
        ("train", "data", "parquet"),
    ]
    pandas.testing.assert_frame_equal(version.get_artifact("train").load(), FRAME)
    done = subprocess.run([sys.executable, "-c", SERVICE, code_repo], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == str(forest.predict(numpy.eye(3)).tolist())


def test_one_version_can_have_files_and_objects(client):
    Path("train.csv").write_text("a,b\n1,2\n")
    version = client.get_model("iris").create_version(
        data={"file": "train.csv", "path": Path("train.csv"), "bytes": b"a,b", "list": [1, 2], "array": numpy.eye(2)},
        deployments={"settings": {"threads": 4}},
    )
    loaded = {found.name: (found.format, found.load()) for found in version.artifacts}
    assert {name: format for name, (format, _) in loaded.items()} == {
        "array": "numpy",
        "bytes": "bytes",
        "file": "csv",
        "list": "json",
        "path": "csv",
        "settings": "json",
    }
    assert loaded["settings"][1] == {"threads": 4}
    assert loaded["bytes"][1] == b"a,b"


def test_equal_objects_have_the_same_digest(client):
    model = client.get_model("iris")
    one, two = (model.create_version(data={"train": FRAME.copy()}).get_artifact("train").digest for _ in range(2))
    assert one == two


def test_an_object_can_be_linked_to_an_existing_version(client):
    version = client.get_model("iris").create_version()
    assert version.link_artifact("scores", {"accuracy": 0.9}).load() == {"accuracy": 0.9}
    version.link_artifacts(model_objects={"weights": numpy.arange(3)})
    assert version.get_artifact("weights").load().tolist() == [0, 1, 2]


class Local:
    """A class for which no format exists."""


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (Local(), r"artifact bad is a test_python_objects\.Local"),
        ([1, Local()], r"artifact bad\[1\] is a test_python_objects\.Local"),
        (lambda: 1, "artifact bad is a builtins.function"),
        (pandas.DataFrame({"a": [Local()]}), "artifact bad: "),
        (numpy.array([Local()]), "artifact bad: "),
    ],
)
def test_an_object_that_no_format_can_store_is_refused_and_nothing_is_stored(client, value, said):
    with error_with_hint(UsageError, said):
        client.get_model("iris").create_version(data={"good": FRAME, "bad": value})
    assert list(client.get_model("iris").list_versions()) == []
    assert list(client.store.digests()) == []


def test_the_error_for_missing_packages_names_all_of_them_before_anything_is_saved(client, monkeypatch):
    for package in ("skops", "pyarrow"):
        monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(UsageError) as caught:
        client.get_model("iris").create_version(data={"train": FRAME}, model_objects={"clf": RandomForestClassifier()})
    assert caught.value.message == "packages are not installed: pyarrow for artifact train, skops for artifact clf"
    assert caught.value.hint == "pip install pyarrow skops"


def test_the_refusal_of_an_object_of_a_notebook_class_names_the_format_to_use(client, monkeypatch):
    notebook = ModuleType("__main__")
    monkeypatch.setitem(sys.modules, "__main__", notebook)
    exec("import dataclasses\n@dataclasses.dataclass\nclass Settings:\n    depth: int = 3", vars(notebook))
    version = client.get_model("iris").create_version()
    with pytest.raises(UsageError, match="the class Settings is defined in a notebook") as caught:
        version.attach("settings", notebook.Settings())
    assert "save the value in the format 'cloudpickle'" in caught.value.hint
    assert "'pickle'" not in caught.value.hint
    version.attach("settings", notebook.Settings(), format="cloudpickle")


def test_an_object_is_saved_as_pickle_only_on_request_and_loaded_only_with_trust(client):
    version = client.get_model("iris").create_version()
    artifact = version.link_artifact("net", Local(), kind="model", format="pickle")
    with pytest.raises(Refused, match="can run any code"):
        artifact.load()
    assert type(artifact.load(trusted=True)).__name__ == "Local"


def test_an_object_cannot_be_linked_as_an_external_artifact(client):
    version = client.get_model("iris").create_version()
    with pytest.raises(UsageError, match="needs a URI"):
        version.link_artifacts(data={"train": FRAME}, external=True)


def test_text_given_as_an_artifact_is_a_path_and_never_an_object(client):
    with pytest.raises(NotFound, match="there is no"):
        client.get_model("iris").create_version(data={"note": "some words"})


class TestRegisteringAgain:
    def test_register_model_with_exist_ok_returns_an_existing_model_unchanged(self, client):
        client.register_model("other", license="MIT")
        head = client.repository.head().commit
        again = client.register_model("other", license="Apache-2.0", exist_ok=True)
        assert (again.license, client.repository.head().commit) == ("MIT", head)
        with pytest.raises(Conflict):
            client.register_model("other")

    def test_register_with_exist_ok_refuses_names_of_deleted_models_and_names_in_another_case(self, client):
        client.delete_model("iris")
        with pytest.raises(Conflict, match="never used again"):
            client.register_model("iris", exist_ok=True)
        client.register_model("flower")
        with pytest.raises(Conflict, match="upper and lower case"):
            client.register_model("Flower", exist_ok=True)
        with pytest.raises(UsageError):
            client.register_model("a/b", exist_ok=True)

    def test_the_command_register_with_exist_ok_can_be_run_twice(self, client, capsys):
        for _ in range(2):
            code, _, err = ask(capsys, "register", "other", "--exist-ok")
            assert (code, err) == (0, "")
        assert ask(capsys, "register", "other")[0] == 4


@pytest.mark.parametrize("format", ["numpy", "json", "pickle"])
def test_a_file_that_is_replaced_after_its_digest_was_verified_is_not_loaded(client, tmp_path, monkeypatch, format):
    version, real = client.get_model("iris").create_version(), formats.load
    formats.save(numpy.array([9.0]) if format == "numpy" else [9.0], tmp_path / "other", format)

    def swap(path, name, **options):
        (tmp_path / "other").replace(place)
        return real(path, name, **options)

    version.link_artifact("x", numpy.array([1.0]) if format == "numpy" else [1.0], format=format)
    place = client.store.place(version.get_artifact("x").digest)
    monkeypatch.setattr(formats, "load", swap)
    assert version.get_artifact("x").load(trusted=True) == [1.0]
    with pytest.raises(Invalid, match="damaged"):
        version.get_artifact("x").load(trusted=True)
