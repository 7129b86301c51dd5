"""Each materializer loads a value that equals the saved value, and saves equal values as equal files.

The tests also cover pickle, values of unknown types, and materializers of other packages.
"""

import pickle
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Annotated, Any

import numpy
import pandas
import pyarrow
import pytest
from project import DEMO, pipeline_of
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from gitmodel import ArtifactConfig, ExternalArtifact, Refused, RunFailed, UsageError, step
from gitmodel.formats import materializers
from gitmodel.formats.catalogue import plugins
from gitmodel.formats.comparison.differences import difference
from gitmodel.pipelines import Materializer

FRAME = {"a": [1, 2, 3], "b": [0.5, None, 1.5], "c": ["x", "y", None]}


def classifier():
    x = numpy.array([[0.0, 1.0], [1.0, 0.0], [0.2, 0.9], [0.9, 0.1]])
    return make_pipeline(StandardScaler(), LogisticRegression()).fit(x, [0, 1, 0, 1])


def same(one, other):
    if isinstance(one, pandas.DataFrame):
        pandas.testing.assert_frame_equal(one, other)
    elif isinstance(one, pandas.Series):
        pandas.testing.assert_series_equal(one, other)
    elif isinstance(one, numpy.ndarray):
        numpy.testing.assert_array_equal(one, other)
    elif isinstance(one, dict) and one and isinstance(next(iter(one.values())), numpy.ndarray):
        assert one.keys() == other.keys()
        for key in one:
            same(one[key], other[key])
    elif hasattr(one, "predict_proba"):
        x = numpy.array([[0.3, 0.7]])
        numpy.testing.assert_array_equal(one.predict_proba(x), other.predict_proba(x))
    else:
        assert one == other


VALUES = {
    "text": (lambda: "line\r\nöther", "text", "data"),
    "bytes": (lambda: b"\0\xff", "bytes", "data"),
    "none": (lambda: None, "json", "data"),
    "number": (lambda: 0.1, "json", "data"),
    "flag": (lambda: True, "json", "data"),
    "json": (lambda: {"b": [1, 2.5, None], "a": {"x": "ö"}}, "json", "data"),
    "array": (lambda: numpy.arange(6.0).reshape(2, 3).T, "numpy", "data"),
    "scalar": (lambda: numpy.float64(0.25), "numpy", "data"),
    "frame": (lambda: pandas.DataFrame(FRAME), "parquet", "data"),
    "indexed frame": (lambda: pandas.DataFrame(FRAME, index=["r", "s", "t"]), "parquet", "data"),
    "series": (lambda: pandas.Series([1, 2, 3], name="y", index=[5, 6, 7]), "parquet", "data"),
    "unnamed series": (lambda: pandas.Series([1.5, 2.5]), "parquet", "data"),
    "arrow": (lambda: pyarrow.table({"a": [1, 2], "b": ["x", None]}), "parquet", "data"),
    "estimator": (classifier, "skops", "model"),
}


@pytest.mark.parametrize("name", VALUES)
def test_a_loaded_value_equals_the_saved_one_and_equal_values_give_equal_files(tmp_path, name):
    make, format, kind = VALUES[name]
    assert materializers.save(make(), tmp_path / "one", "output", "")[:2] == (format, kind)
    _, _, materializer = materializers.save(make(), tmp_path / "two", "output", "")
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()
    found = materializers.load(tmp_path / "one", format, materializer, trusted=True)
    assert type(found) is type(make())
    same(make(), found)


def test_a_state_dict_of_torch_is_saved_as_safetensors(tmp_path):
    torch = pytest.importorskip("torch")
    value = {"weight": torch.ones(2, 3).T, "bias": torch.zeros(2)}
    assert materializers.save(value, tmp_path / "x", "output", "") == ("safetensors", "model", "state-dict")
    found = materializers.load(tmp_path / "x", "safetensors", "state-dict", trusted=True)
    assert all(torch.equal(value[name], found[name]) for name in value)


@pytest.mark.parametrize(
    "kind", ["tied", "conjugated", "negated", "one of two", "bfloat16", "float8", "strange numbers", "no numbers"]
)
def test_loaded_tensors_of_unusual_types_and_layouts_equal_the_saved_ones(tmp_path, kind):
    torch = pytest.importorskip("torch")
    weight = torch.arange(6.0).reshape(2, 3)
    value = {
        "tied": {"part": weight[:1], "a": weight, "b": weight, "turned": weight.T},
        "conjugated": {"a": torch.tensor([1j, 2 - 3j]).conj()},
        "negated": {"a": torch.tensor([1j, 2 - 3j]).conj().imag},
        "one of two": {"a": torch.tensor([1j]).conj().imag},
        "bfloat16": {"a": torch.ones(2, dtype=torch.bfloat16)},
        "float8": {"a": torch.ones(2).to(torch.float8_e4m3fn)},
        "strange numbers": {"a": torch.tensor([float("nan"), -0.0]), "b": torch.tensor(3.5)},
        "no numbers": {"a": torch.zeros(0, 3), "b": torch.zeros(0)},
    }[kind]
    materializers.save(value, tmp_path / "x", "output", "")
    found = materializers.load(tmp_path / "x", "safetensors", "state-dict", trusted=True)
    for name, tensor in value.items():
        assert (found[name].dtype, found[name].shape) == (tensor.dtype, tensor.shape)
        assert repr(found[name]) == repr(tensor)
    changed = {name: tensor.clone() for name, tensor in found.items()}
    if changed["a"].numel():
        changed["a"].view(-1)[-1:] = 7
        assert difference(value, changed) == "the tensor 'a'"


@pytest.mark.parametrize(
    ("make", "named"),
    [
        (lambda torch: {"a": torch.eye(2).to_sparse()}, "the tensor 'a' is sparse"),
        (lambda torch: {"a": torch.empty(2, device="meta")}, "the tensor 'a' is .* without data"),
        (lambda torch: {"w": torch.ones(1), "a": torch.float32}, "'a' is a torch.dtype"),
        (lambda torch: {1: torch.ones(1)}, "the key 1 is no text"),
    ],
)
def test_the_error_names_a_tensor_that_cannot_be_saved(tmp_path, make, named):
    torch = pytest.importorskip("torch")
    with pytest.raises(UsageError, match=named):
        materializers.save(make(torch), tmp_path / "x", "output", "")


class Thing:
    """A type for which gitmodel has no materializer."""

    def __init__(self, size):
        self.size = size


@step
def measure(thing: Thing) -> int:
    return thing.size


@pytest.mark.parametrize(
    "value",
    [Thing(1), [Thing(1)], {"a": (Thing(1),)}, Thing, object(), iter([1]), lambda: 1],
)
def test_a_value_of_an_unknown_type_is_refused_and_the_hint_shows_what_to_do(tmp_path, value):
    with pytest.raises(UsageError, match="which gitmodel cannot save") as caught:
        materializers.save(value, tmp_path / "x", "output thing", "")
    assert caught.value.hint.startswith("give format='pickle' to allow pickle for it")
    assert "Write a materializer" in caught.value.hint


def test_a_step_that_returns_a_value_of_an_unknown_type_shows_how_to_allow_pickle(client):
    @step
    def make() -> Annotated[Thing, "thing"]:
        return Thing(1)

    with pytest.raises(
        UsageError, match=r"output thing of step make is of the type .*Thing, which gitmodel cannot save"
    ) as caught:
        pipeline_of(make, model_config=DEMO).run(client=client)
    assert "write @step(pickle=True) to allow pickle for it" in str(caught.value)


def test_pickle_is_used_for_an_output_that_allows_it(client):
    @step
    def make() -> Annotated[Thing, ArtifactConfig(name="thing", format="pickle")]:
        return Thing(3)

    one = pipeline_of(lambda: measure(make()), model_config=DEMO)
    one.run(client=client)
    artifact = client.get_version("demo").get_artifact("thing")
    assert (artifact.format, client.get_version("demo").get_artifact("measure").load()) == ("pickle", 3)

    two = pipeline_of(lambda trusted: measure(ExternalArtifact(model="demo", version=1, name="thing", trusted=trusted)))
    # a pickle from another run is not trusted either
    with pytest.raises(RunFailed, match="can run any code"):
        two.run(client=client, trusted=False)
    assert two.run(client=client, trusted=True).status == "succeeded"
    with pytest.raises(Refused):
        artifact.load()


def test_a_step_gets_an_input_of_another_run_as_the_type_of_its_annotation(client):
    @step
    def make() -> Annotated[pandas.DataFrame, "frame"]:
        return pandas.DataFrame({"a": [1, 2]})

    @step
    def take(table: pyarrow.Table, path: Path, frame: pandas.DataFrame, any: Any) -> list:
        return [type(value).__name__ for value in (table, path, frame, any)]

    one = pipeline_of(make, model_config=DEMO)

    two = pipeline_of(lambda: take(*["demo@1:frame"] * 3, ExternalArtifact("demo", "frame", 1)), model_config=DEMO)
    one.run(client=client)
    two.run(client=client)
    found = client.get_version("demo").get_artifact("take").load()
    assert found == ["Table", "PosixPath", "DataFrame", "DataFrame"]


def test_the_next_step_and_the_version_get_the_value_that_a_step_returned(client):
    frame = pandas.DataFrame({1: pandas.Categorical([3, 1, 3]), "n": [(1, 2), None, (3,)]})
    series = pandas.Series([1.5, 2.5], name="y")

    @step
    def make() -> tuple[Annotated[pandas.DataFrame, "frame"], Annotated[pandas.Series, "series"], Annotated[dict, "d"]]:
        return frame, series, {0: numpy.float64(0.5)}

    @step
    def take(frame: pandas.DataFrame, series: pandas.Series, d: dict) -> list:
        return [str(frame[1].cat.categories.dtype), type(frame["n"][0]).__name__, type(series).__name__, list(d)]

    one = pipeline_of(lambda: take(*make()), model_config=DEMO)
    two = pipeline_of(lambda: take("demo@1:frame", "demo@1:series", "demo@1:d"), model_config=DEMO, name="two")
    for run in (one, two):
        run.run(client=client)
        found = client.get_version("demo").get_artifact("take").load()
        assert found == ["int64", "tuple", "Series", [0]]
    version = client.get_version("demo@1")
    pandas.testing.assert_frame_equal(version.get_artifact("frame").load(), frame)
    pandas.testing.assert_series_equal(version.get_artifact("series").load(), series)
    assert version.get_artifact("d").load() == {0: 0.5}


def test_a_step_whose_frame_holds_an_unknown_object_fails_and_names_the_column(client):
    @step
    def make() -> pandas.DataFrame:
        return pandas.DataFrame({"a": [1, 2], "b": [None, Thing(1)]})

    with pytest.raises(RunFailed, match=r"output make: row 1 of column 'b' is a .*Thing, which gitmodel cannot save"):
        pipeline_of(make, model_config=DEMO).run(client=client)


class TestMaterializersOfOthers:
    OURS = Materializer(
        "thing",
        lambda value: isinstance(value, Thing),
        "thing-file",
        "model",
        lambda value, path: path.write_text(str(value.size)),
        lambda path: Thing(int(path.read_text())),
    )

    UNSAFE = OURS._replace(unsafe=True)

    @pytest.fixture
    def installed(self, monkeypatch):
        """A function that installs materializers as entry points, as a package does."""

        def install(**points):
            found = [EntryPoint(name, value, plugins.MATERIALIZERS) for name, value in points.items()]
            monkeypatch.setattr(plugins, "_entry_points", lambda group: found if group == plugins.MATERIALIZERS else [])
            plugins._installed_materializers.cache_clear()

        yield install
        plugins._installed_materializers.cache_clear()

    def test_a_materializer_from_an_entry_point_saves_and_loads_its_type(self, installed, client):
        installed(thing=f"{__name__}:TestMaterializersOfOthers.OURS")

        @step
        def make() -> Thing:
            return Thing(3)

        one = pipeline_of(lambda: measure(make()), model_config=DEMO)
        two = pipeline_of(lambda: measure("demo@1:make"), model_config=DEMO, name="two")
        one.run(client=client)
        link = client.get_version("demo").get_artifact("make").link
        assert (link.kind, link.format) == ("model", "thing-file")
        two.run(client=client)
        assert client.get_version("demo").get_artifact("measure").load() == 3
        assert client.get_version("demo@1").get_artifact("make").load().size == 3

    def test_a_file_of_an_unsafe_materializer_or_a_pickle_is_loaded_only_with_trust(self, installed, client, tmp_path):
        installed(thing=f"{__name__}:TestMaterializersOfOthers.UNSAFE")
        (tmp_path / "three").write_text("3")
        version = client.register_model("demo").create_version()
        version.link_artifact("three", tmp_path / "three", format="thing-file")
        with pytest.raises(Refused, match="is a thing-file file: loading it can run any code"):
            version.get_artifact("three").load()
        assert version.get_artifact("three").load(trusted=True).size == 3
        with pytest.raises(Refused):
            materializers.load(tmp_path / "three", "thing-file", "thing", trusted=False)
        installed(thing=f"{__name__}:TestMaterializersOfOthers.OURS")
        (tmp_path / "pickle").write_bytes(pickle.dumps(Thing(3)))
        with pytest.raises(Refused, match="is a pickle file"):
            materializers.load(tmp_path / "pickle", "thing-file", "thing", trusted=False)

    @pytest.mark.parametrize(
        ("value", "said"),
        [(f"{__name__}:Thing", "is not a gitmodel.pipelines.Materializer"), ("nowhere:x", "cannot be imported")],
    )
    def test_an_invalid_materializer_is_reported_with_its_package(self, installed, tmp_path, value, said):
        installed(thing=value)
        with pytest.raises(UsageError, match=said):
            materializers.save(Thing(1), tmp_path / "x", "output thing", "")
        # the invalid materializer does not affect values of other types
        materializers.save(1, tmp_path / "x", "output number", "")
