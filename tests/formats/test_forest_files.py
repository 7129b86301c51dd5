"""gitmodel itself writes and reads the arrays of decision trees in skops files, to avoid copies in memory.

The files have the bytes that skops alone would write, and damaged or crafted trees are refused.
"""

import io
import zipfile
from functools import partial

import numpy
import pytest
import skops.io
from sklearn.ensemble import (
    GradientBoostingClassifier,
    IsolationForest,
    RandomForestClassifier,
    RandomForestRegressor,
    VotingClassifier,
)
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.tree import DecisionTreeRegressor
from skops_files import with_schema

from gitmodel.errors import Invalid, Refused
from gitmodel.formats import load, save
from gitmodel.formats.comparison import object_state
from gitmodel.formats.shipped import forest_files, tree_arrays

FEATURES = numpy.random.RandomState(0).rand(40, 3)
TARGET = (FEATURES[:, 0] > 0.5).astype(int)
FOREST = RandomForestClassifier(3, bootstrap=False, random_state=0).fit(FEATURES, TARGET)
MODELS = [
    DecisionTreeRegressor(max_depth=3).fit(FEATURES, FEATURES[:, :2]),  # two outputs
    RandomForestRegressor(3, warm_start=True).fit(FEATURES, TARGET),
    IsolationForest(n_estimators=3, max_features=2).fit(FEATURES),
    GradientBoostingClassifier(n_estimators=2).fit(FEATURES, TARGET),
    GridSearchCV(make_pipeline(StandardScaler(), RandomForestClassifier(2)), {}, cv=2).fit(FEATURES, TARGET),
    # the fitted voting classifier refers to the same trees twice
    VotingClassifier([("a", RandomForestClassifier(2)), ("b", KNeighborsClassifier(2))]).fit(FEATURES, TARGET),
    {"twice": [FOREST, FOREST.estimators_], "none": None},
]


def names_of(content):
    return skops.io.get_untrusted_types(data=content)


@pytest.mark.parametrize("model", MODELS, ids=lambda model: type(model).__name__)
def test_a_saved_forest_has_the_bytes_that_skops_alone_writes(model, tmp_path, monkeypatch):
    path = tmp_path / "model"
    save(model, path, "skops")
    content = path.read_bytes()
    assert forest_files.light_file(io.BytesIO(content)).trees
    assert object_state.is_same(skops.io.loads(content, trusted=names_of(content)), load(path, "skops"))
    monkeypatch.setattr(forest_files, "light_copy", lambda model: (model, []))
    monkeypatch.setattr(forest_files, "light_file", forest_files.LightFile)
    save(model, path, "skops")
    assert path.read_bytes() == content


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
@pytest.mark.parametrize("model", MODELS[:6], ids=lambda model: type(model).__name__)
def test_gitmodel_reads_a_file_that_skops_wrote(model, compression, tmp_path):
    path = tmp_path / "model"
    skops.io.dump(model, path, compression=compression)
    assert object_state.is_same(model, load(path, "skops"))


def test_skops_alone_saves_a_model_in_which_gitmodel_does_not_find_a_tree(tmp_path, monkeypatch):
    hidden = FunctionTransformer(FOREST.predict)
    save(hidden, tmp_path / "model", "skops")
    light = forest_files.light_file(io.BytesIO((tmp_path / "model").read_bytes()))
    monkeypatch.setattr(tree_arrays, "parts", lambda model: iter([model]))
    assert not forest_files.fill(hidden, light)
    numpy.testing.assert_array_equal(load(tmp_path / "model", "skops", trusted=True).func(FEATURES), TARGET)
    save(hidden, tmp_path / "again", "skops")
    assert (tmp_path / "again").read_bytes() == (tmp_path / "model").read_bytes()


def test_skops_alone_saves_a_model_that_cannot_be_copied():
    class Uncopyable(dict):
        def __deepcopy__(self, memo):
            raise TypeError("cannot be copied")

    model = Uncopyable(forest=FOREST)
    assert forest_files.light_copy(model) == (model, [])


def test_trees_inside_methods_and_partials_are_verified():
    tree = DecisionTreeRegressor().fit(FEATURES, TARGET)
    for holder in (tree.predict, partial(print, tree), partial(print, model=tree), partial(tree.predict)):
        assert tree.tree_ in list(tree_arrays.parts(FunctionTransformer(holder)))


def edited(model, edit):
    """Return a skops file of *model* in which *edit* was applied to each node of a tree.

    *edit* gets the node, the state of the tree, and the first argument of its class, which is the number of features.
    """

    def change(schema):
        for node in list(forest_files._tree_nodes(schema)):
            edit(node, node["content"]["content"], node["__reduce__"]["args"]["content"][0])

    return with_schema(model, change)


POPEN = {"__module__": "subprocess", "__class__": "Popen"}
NUMBER = {"content": "-1", "__id__": 9}
REFUSED = {
    "no nodes": lambda node, state, features: state["node_count"].update(content="0"),
    "no state": lambda node, state, features: (state.clear(), features.update(NUMBER)),
    "no depth": lambda node, state, features: state.pop("max_depth"),
    "a number of a light tree": lambda node, state, features: features.update(NUMBER),
    "the schema as nodes": lambda node, state, features: state["nodes"].update(file="schema.json"),
    "the values as nodes": lambda node, state, features: state["nodes"].update(file=state["values"]["file"]),
    "a missing file as nodes": lambda node, state, features: state["nodes"].update(file="nothing.npy"),
    "another class of nodes": lambda node, state, features: state["nodes"].update(POPEN),
}
IGNORED = {
    "too many nodes": lambda node, state, features: state["node_count"].update(content="1000"),
    "another class of a key": lambda node, state, features: node["content"]["key_types"]["content"][0].update(POPEN),
}


@pytest.mark.parametrize("edit", REFUSED.values(), ids=REFUSED)
@pytest.mark.parametrize("model", [MODELS[0], MODELS[1]], ids=["tree", "forest"])
def test_a_crafted_tree_is_refused(model, edit, tmp_path):
    (tmp_path / "model").write_bytes(edited(model, edit))
    with pytest.raises((Invalid, Refused)):
        load(tmp_path / "model", "skops")


@pytest.mark.parametrize("edit", IGNORED.values(), ids=IGNORED)
def test_a_crafted_tree_is_not_read_beyond_its_arrays(edit, tmp_path):
    (tmp_path / "model").write_bytes(edited(MODELS[0], edit))
    assert object_state.is_same(load(tmp_path / "model", "skops"), MODELS[0])


def test_a_damaged_skops_file_is_reported_as_invalid(tmp_path):
    save(FOREST, tmp_path / "model", "skops")
    content = bytearray((tmp_path / "model").read_bytes())
    content[content.index(b"NUMPY", len(content) // 2) + 200] ^= 1
    (tmp_path / "model").write_bytes(content)
    with pytest.raises(Invalid, match="damaged"):
        load(tmp_path / "model", "skops")


def test_an_object_that_is_replaced_after_it_was_verified_is_not_loaded(client, monkeypatch, tmp_path):
    save(KNeighborsClassifier(1).fit(FEATURES, TARGET), tmp_path / "other", "skops")
    clf = client.get_model("iris").create_version(model_objects={"clf": FOREST}).get_artifact("clf")
    place = clf.path().resolve()
    real = skops.io.load

    def swap(*args, **options):
        (tmp_path / "other").replace(place)
        monkeypatch.undo()
        return real(*args, **options)

    monkeypatch.setattr(skops.io, "load", swap)
    assert object_state.is_same(clf.load(), FOREST)
    with pytest.raises(Invalid, match="bytes"):
        clf.load()
