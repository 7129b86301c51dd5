"""gitmodel loads a scikit-learn model only if the full name of each class in the file is trusted.

It also refuses crafted decision trees, which could make scikit-learn read memory outside of their arrays.
"""

import io
import json
import operator
import re
import subprocess
import zipfile
from functools import partial
from pathlib import Path

import numpy
import pytest
import skops.io
import trusted_names
from sklearn.ensemble import (
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    IsolationForest,
    RandomForestClassifier,
)
from sklearn.feature_selection import SelectKBest
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.tree import DecisionTreeClassifier
from sklearn.utils._bunch import Bunch
from skops_files import with_schema

from gitmodel.errors import GitModelError, Invalid, Refused
from gitmodel.formats import load, trust
from gitmodel.formats.shipped import tree_arrays

FEATURES = numpy.random.RandomState(0).rand(80, 3)
TARGET = (FEATURES[:, 0] > 0.5).astype(int)
# Estimators that contain a function, and the name of this function. The shipped list of trusted names has only
# classes, so the user must trust the function.
WITH_FUNCTIONS = {
    "BisectingKMeans": "sklearn.cluster._kmeans._kmeans_single_lloyd",
    "FeatureAgglomeration": "numpy.mean",
    "GenericUnivariateSelect": "sklearn.feature_selection._univariate_selection.f_classif",
    "SelectFdr": "sklearn.feature_selection._univariate_selection.f_classif",
    "SelectFpr": "sklearn.feature_selection._univariate_selection.f_classif",
    "SelectFwe": "sklearn.feature_selection._univariate_selection.f_classif",
    "SelectKBest": "sklearn.feature_selection._univariate_selection.f_classif",
    "SelectPercentile": "sklearn.feature_selection._univariate_selection.f_classif",
    "SplineTransformer": "scipy._lib.array_api_compat.numpy._aliases.asarray",
    "TunedThresholdClassifierCV": "sklearn.metrics._classification.balanced_accuracy_score",
}


def write(value, path):
    path.write_bytes(value if isinstance(value, bytes) else skops.io.dumps(value))
    return path


def test_every_estimator_loads_without_trust_unless_it_contains_a_function(tmp_path):
    files = trusted_names.files()
    assert len({name for name, _ in files}) > 180
    for name, content in files:
        path = write(content, tmp_path / "model")
        if name in WITH_FUNCTIONS and WITH_FUNCTIONS[name] in skops.io.get_untrusted_types(file=path):
            with pytest.raises(Refused, match=re.escape(WITH_FUNCTIONS[name])):
                load(path, "skops")
        else:
            assert type(load(path, "skops")).__name__ == name


def test_the_list_of_trusted_names_has_each_class_that_the_installed_scikit_learn_needs():
    assert trusted_names.names() - trust.shipped() == set()


def test_each_trusted_name_is_a_class_or_does_not_exist_in_the_installed_version():
    for name in trust.shipped():
        assert name.partition(".")[0] in {"collections", "numpy", "scipy", "sklearn", "torch"}
        found = trust.find(name)
        assert found is None or isinstance(found, type)
    assert sum(trust.find(name) is not None for name in trust.shipped()) > 300


@pytest.mark.parametrize(
    "model",
    [
        make_pipeline(StandardScaler(), RandomForestClassifier(3)),
        GridSearchCV(RandomForestClassifier(3), {"max_depth": [1, 2]}, cv=2),
        KNeighborsClassifier(algorithm="ball_tree"),
        HistGradientBoostingClassifier(max_iter=3),
    ],
    ids=lambda model: type(model).__name__,
)
def test_an_ordinary_model_predicts_the_same_after_loading_without_trust(model, tmp_path):
    model.fit(FEATURES, TARGET)
    loaded = load(write(model, tmp_path / "model"), "skops")
    numpy.testing.assert_array_equal(loaded.predict(FEATURES), model.predict(FEATURES))


def touch(path):
    Path(path).touch()
    return path


class Marked:
    """An object that creates the file *mark* when it is built."""

    def __init__(self, mark):
        self.mark = mark

    def __setstate__(self, state):
        Path(state["mark"]).touch()


class TestHostileFiles:
    @pytest.fixture
    def mark(self, tmp_path):
        return tmp_path / "mark"

    def refuse(self, value, tmp_path, mark, name):
        with pytest.raises(Refused) as caught:
            load(write(value, tmp_path / "model"), "skops")
        assert name in caught.value.message
        assert not mark.exists()

    def test_a_file_with_an_object_of_an_untrusted_class_is_refused(self, tmp_path, mark):
        self.refuse(Bunch(a=Marked(str(mark))), tmp_path, mark, "test_trust.Marked")

    def test_a_file_with_a_function_is_refused(self, tmp_path, mark):
        self.refuse(FunctionTransformer(touch), tmp_path, mark, "test_trust.touch")

    def test_a_file_with_a_function_inside_a_partial_is_refused(self, tmp_path, mark):
        self.refuse(FunctionTransformer(partial(touch, str(mark))), tmp_path, mark, "touch")

    def test_a_file_with_a_method_of_a_trusted_class_is_refused(self, tmp_path, mark):
        self.refuse(Bunch(call=StandardScaler().fit), tmp_path, mark, "StandardScaler.fit")

    @pytest.mark.parametrize("made", [operator.methodcaller("unlink"), operator.attrgetter("unlink")])
    def test_a_file_with_an_operator_function_is_refused(self, tmp_path, mark, made):
        self.refuse(Bunch(call=made), tmp_path, mark, f"operator.{type(made).__name__}")

    @pytest.mark.parametrize(
        "name",
        [
            "sklearn.utils._testing.check_output",  # this name means the function subprocess.check_output
            "sklearn.utils.fixes.threadpoolctl",
            "sklearn.externals.joblib.load",
            "sklearn.tree._tree.Tree.__setstate__",
            "sklearn.os.system",
            "subprocess.Popen",
            "builtins.eval",
        ],
    )
    @pytest.mark.parametrize("loader", ["ObjectNode", "FunctionNode", "TypeNode", "ConstructorFromReduceNode"])
    def test_an_object_whose_name_is_not_trusted_is_refused(self, tmp_path, mark, name, loader):
        module, _, attribute = name.rpartition(".")
        node = {"__class__": attribute, "__module__": module, "__loader__": loader, "__id__": 1}
        node["content"] = {"function": attribute, "module_path": module} if loader == "FunctionNode" else None
        if loader == "ConstructorFromReduceNode":
            node["content"] = json.loads(self.schema(("touch", str(mark))))
        content = io.BytesIO()
        with zipfile.ZipFile(content, "w") as archive:
            archive.writestr("schema.json", json.dumps({**node, "protocol": 2}))
        with pytest.raises(GitModelError):
            load(write(content.getvalue(), tmp_path / "model"), "skops")
        assert not mark.exists()

    @staticmethod
    def schema(value):
        with zipfile.ZipFile(io.BytesIO(skops.io.dumps(value))) as archive:
            return archive.read("schema.json")

    def test_a_trusted_name_does_not_count_if_it_leads_to_a_class_of_another_name(self, monkeypatch):
        monkeypatch.setattr("sklearn.tree._tree.Tree", subprocess.Popen)
        assert trust.trusted(["sklearn.tree._tree.Tree"]) == []
        monkeypatch.setattr("sklearn.utils._bunch.Bunch", touch)
        assert trust.trusted(["sklearn.utils._bunch.Bunch"]) == []


def test_a_gradient_boosting_model_with_categories_needs_trust_because_it_contains_a_function(tmp_path):
    features = FEATURES.copy()
    features[:, 2] = features[:, 2] > 0.5
    model = HistGradientBoostingClassifier(max_iter=3, categorical_features=[2]).fit(features, TARGET)
    path = write(model, tmp_path / "model")
    with pytest.raises(Refused, match=r"functools\.partial, sklearn\.utils\.validation\.check_array"):
        load(path, "skops")
    with trust.trusting(lambda: ["functools.partial", "sklearn.utils.validation.check_array"]):
        numpy.testing.assert_array_equal(load(path, "skops").predict(features), model.predict(features))


def altered(model, record, **values):
    """Return a skops file of *model* with *values* in the first record of the array that has the field *record*."""
    source = zipfile.ZipFile(io.BytesIO(skops.io.dumps(model)))
    content, changed = io.BytesIO(), 0
    with zipfile.ZipFile(content, "w") as target:
        for name in source.namelist():
            part = source.read(name)
            if name.endswith(".npy"):
                array = numpy.load(io.BytesIO(part), allow_pickle=False)
                if record in (array.dtype.names or ()) and not changed:
                    for field, value in values.items():
                        array[field][0] = value
                    changed += 1
                    file = io.BytesIO()
                    numpy.save(file, array)
                    part = file.getvalue()
            target.writestr(name, part)
    assert changed
    return content.getvalue()


@pytest.mark.parametrize(
    ("model", "record", "values"),
    [
        (RandomForestClassifier(1, max_depth=2), "left_child", {"left_child": 10**9}),
        (RandomForestClassifier(1, max_depth=2), "left_child", {"right_child": 0}),
        (RandomForestClassifier(1, max_depth=2), "left_child", {"feature": 3}),
        (HistGradientBoostingClassifier(max_iter=2), "feature_idx", {"left": 10**9}),
        (HistGradientBoostingClassifier(max_iter=2), "feature_idx", {"is_categorical": 1, "bitset_idx": 7}),
        (KNeighborsClassifier(algorithm="kd_tree", leaf_size=10), "idx_start", {"idx_end": 10**9}),
        (KNeighborsClassifier(algorithm="kd_tree", leaf_size=100), "idx_start", {"is_leaf": 0}),
    ],
)
def test_a_tree_whose_indices_lead_out_of_its_arrays_is_refused(model, record, values, tmp_path):
    content = altered(model.fit(FEATURES, TARGET), record, **values)
    with pytest.raises(Invalid, match="indices outside its arrays"):
        load(write(content, tmp_path / "model"), "skops")


def narrowed(model, *path, key="n_features_in_", value="1"):
    """Return a skops file of *model* with *value* for *key* of the object at *path*. If *value* is None, remove *key*.

    *path* has the names of attributes that lead from *model* to the object. If *key* is a number, it is the position of
    an argument with which the object is created.
    """

    def change(node):
        for step in path:
            node = node["content"]["content"][step]
        held = node["__reduce__"]["args"]["content"] if isinstance(key, int) else node["content"]["content"]
        if value is None:
            del held[key]
        else:
            held[key] = {**held[key], "content": value, "__id__": 7}

    return with_schema(model, change)


@pytest.mark.parametrize(
    ("model", "changed"),
    [
        (DecisionTreeClassifier(max_depth=2), {}),
        (DecisionTreeClassifier(max_depth=2), {"value": None}),
        (DecisionTreeClassifier(max_depth=2), {"key": "n_outputs_", "value": "2"}),
        (RandomForestClassifier(1, max_depth=2), {}),
        (RandomForestClassifier(1, max_depth=2), {"value": None}),
        (GradientBoostingClassifier(n_estimators=1), {}),
        (GradientBoostingClassifier(n_estimators=1), {"key": "n_trees_per_iteration_", "value": "0"}),
        (IsolationForest(n_estimators=2), {"key": "_max_features", "value": "2"}),
        (HistGradientBoostingClassifier(max_iter=2), {"value": "0"}),
        (HistGradientBoostingClassifier(max_iter=2), {"value": None}),
    ],
    ids=lambda value: type(value).__name__ if hasattr(value, "fit") else " ".join(map(str, value.values())) or "fewer",
)
def test_a_tree_that_reads_more_features_or_outputs_than_its_model_takes_is_refused(model, changed, tmp_path):
    model.fit(FEATURES, TARGET)
    assert load(write(model, tmp_path / "whole"), "skops")
    if "_max_features" in changed.values():
        model.estimators_features_ = [features[:2] for features in model.estimators_features_]
    with pytest.raises(Invalid, match="more features or outputs"):
        load(write(narrowed(model, **changed), tmp_path / "model"), "skops")


def test_a_tree_that_claims_another_number_of_outputs_than_its_arrays_have_is_refused(tmp_path):
    model = DecisionTreeClassifier(max_depth=2).fit(FEATURES, TARGET)
    for claimed in ("0", "2", "100000", "-1", "1000000000000"):
        content = narrowed(model, "tree_", key=2, value=claimed)
        with pytest.raises((Invalid, MemoryError)):
            load(write(content, tmp_path / "model"), "skops")


def test_a_search_tree_whose_node_bounds_or_metric_do_not_fit_its_points_is_refused():
    model = KNeighborsClassifier(algorithm="ball_tree", metric="seuclidean", metric_params={"V": numpy.ones(3)})
    assert tree_arrays.fault(model.fit(FEATURES, TARGET)) == ""
    narrow = KNeighborsClassifier(algorithm="ball_tree", metric="seuclidean", metric_params={"V": numpy.ones(2)})
    narrow.fit(FEATURES[:, :2], TARGET)
    for place in (3, 11):  # the positions of the node bounds and of the metric in the state
        state = list(model._tree.__getstate__())
        state[place] = narrow._tree.__getstate__()[place]
        crafted = type(model._tree).__new__(type(model._tree))
        crafted.__setstate__(tuple(state))
        assert "indices outside its arrays" in tree_arrays.fault({"tree": crafted})


def test_a_function_is_trusted_only_by_its_own_full_name(tmp_path):
    path = write(SelectKBest(k=1).fit(FEATURES, TARGET), tmp_path / "model")
    with trust.trusting(lambda: ["sklearn.feature_selection._univariate_selection.f_classif"]):
        assert load(path, "skops").transform(FEATURES).shape == (80, 1)
    with trust.trusting(lambda: ["sklearn.feature_selection.f_classif"]), pytest.raises(Refused):
        load(path, "skops")
    with pytest.raises(Refused):
        load(path, "skops")
