"""Estimators and boosters of XGBoost and LightGBM, saved in files that these libraries can read themselves."""

import io
import json
import zipfile

import numpy
import pytest
import skops.io
from sklearn.ensemble import VotingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from skops_files import with_schema

from gitmodel.errors import Invalid, Refused, UsageError
from gitmodel.formats import detect_format, load, materializers, save, trust


def search(estimator):
    return GridSearchCV(estimator, {"max_depth": [1, 2]}, cv=2)


def voting(estimator):
    return VotingClassifier([("boosted", estimator), ("linear", LogisticRegression())])


INSIDE = pytest.mark.parametrize("around", [lambda one: make_pipeline(StandardScaler(), one), search, voting])


def check_inside_an_estimator(model, training, path):
    """Fail unless gitmodel loads *model*, a scikit-learn estimator that contains a booster, without trusted names."""
    model.fit(*training)
    with trust.noting() as noted:
        assert materializers.save(model, path, "output x", "")[:2] == ("skops", "model")
    assert noted() == []
    assert load(path, "skops").predict(training[0]).tolist() == model.predict(training[0]).tolist()


def crafted(value, change):
    """Return a skops file of *value* in which *change* was applied to each node of a booster."""

    def walk(node):
        for item in node if isinstance(node, list) else node.values() if isinstance(node, dict) else ():
            walk(item)
        if isinstance(node, dict) and node.get("__class__") == "Booster":
            change(node)

    return with_schema(value, walk)


def check_that_a_booster_is_never_called(model, path, monkeypatch):
    """Fail unless loading a skops file with a crafted booster raises an error and never calls the class of *model*.

    *model* is the booster, and the crafted files are written to *path*.
    """
    module, name = type(model).__module__, type(model).__qualname__
    called = []
    monkeypatch.setattr(f"{module}.{name}.__init__", lambda self, *args: called.append(args))
    arguments = json.loads(zipfile.ZipFile(io.BytesIO(skops.io.dumps((None, None, "/tmp/x")))).read("schema.json"))
    changes = [
        {"__loader__": "ConstructorFromReduceNode", "content": arguments},
        {"__loader__": "LossNode", "__reduce__": {"args": arguments}},
        {"__loader__": "ReduceNode", "__reduce__": {"args": arguments}},
        {"__loader__": "TypeNode"},
        {"__loader__": "FunctionNode"},
        {"__loader__": "ListNode", "content": []},
        {"__loader__": "DictNode"},
        {"__loader__": "NdArrayNode", "type": "json", "content": [], "shape": arguments},
    ]
    for change in changes:
        for value in (model, {"a": model, "b": model}):
            once = iter([change, {}])
            path.write_bytes(crafted(value, lambda node, once=once: node.update(next(once), __id__=id(node))))
            with pytest.raises((Refused, Invalid)):
                load(path, "skops")
            with trust.noting() as noted, pytest.raises((Refused, Invalid)):
                load(path, "skops")
            assert noted() in ([], [f"{module}.{name}"])
    path.write_bytes(crafted([model], lambda node: node.update(content=arguments)))
    with pytest.raises(Invalid):
        load(path, "skops")
    assert called == []


class TestXGBoost:
    @pytest.fixture(autouse=True)
    def xgboost(self):
        return pytest.importorskip("xgboost")

    @pytest.mark.parametrize("name", ["XGBClassifier", "XGBRegressor", "XGBRFClassifier", "XGBRFRegressor"])
    def test_an_estimator_is_loaded_with_its_parameters_and_predicts_the_same(self, xgboost, training, kept, name):
        model = getattr(xgboost, name)(n_estimators=3, max_depth=2, learning_rate=0.25).fit(*training)
        found = kept(model, "xgboost", kind="model")
        assert type(found) is type(model)
        assert str(found.get_params()) == str(model.get_params())
        numpy.testing.assert_array_equal(found.predict(training[0]), model.predict(training[0]))
        assert found.get_booster().attr("gitmodel") is None

    def test_a_booster_is_loaded_with_the_names_of_its_features(self, xgboost, training, kept):
        data = xgboost.DMatrix(*training, feature_names=["a", "b", "c"])
        found = kept(xgboost.train({"max_depth": 2}, data, 3), "xgboost", kind="model")
        assert found.feature_names == ["a", "b", "c"]

    def test_the_library_reads_the_file_of_an_estimator(self, xgboost, training, tmp_path):
        model = xgboost.XGBClassifier(n_estimators=3).fit(*training)
        save(model, tmp_path / "model.ubj", "xgboost")
        again = xgboost.XGBClassifier()
        again.load_model(tmp_path / "model.ubj")
        numpy.testing.assert_array_equal(again.predict(training[0]), model.predict(training[0]))

    def test_a_file_that_the_library_wrote_itself_is_recognized(self, xgboost, training, tmp_path):
        model = xgboost.XGBRegressor(n_estimators=2).fit(*training)
        for name in ("model.ubj", "model.json"):
            model.save_model(tmp_path / name)
            assert detect_format(tmp_path / name) == "xgboost"
            assert load(tmp_path / name, "xgboost").num_boosted_rounds() == 2

    @INSIDE
    def test_a_model_inside_a_scikit_learn_estimator_needs_no_trust(self, xgboost, training, around, tmp_path):
        check_inside_an_estimator(around(xgboost.XGBClassifier(n_estimators=2)), training, tmp_path / "x")

    def test_a_skops_file_can_restore_a_booster_but_not_call_its_class(self, xgboost, training, tmp_path, monkeypatch):
        model = xgboost.XGBClassifier(n_estimators=2).fit(*training).get_booster()
        check_that_a_booster_is_never_called(model, tmp_path / "x", monkeypatch)

    def test_estimators_that_are_unfitted_or_subclassed_or_contain_a_function_are_refused(
        self, xgboost, training, tmp_path
    ):
        class Mine(xgboost.XGBRegressor):
            pass

        for value, said in (
            (xgboost.XGBClassifier(), "is not fitted"),
            (xgboost.XGBRegressor(objective=lambda a, b: (a - b, a * 0 + 1)).fit(*training), "XGBRegressor.objective"),
            (Mine().fit(*training), "Mine"),
        ):
            with pytest.raises(UsageError, match=said):
                save(value, tmp_path / "model", "xgboost")
        assert list(tmp_path.iterdir()) == []

    def test_a_file_that_names_a_foreign_class_is_refused(self, xgboost, training, tmp_path):
        model = xgboost.XGBRegressor(n_estimators=2).fit(*training)
        booster = model.get_booster().copy()
        told = {"class": "__builtins__", "attributes": {}, "classes": None}
        for name in ("callback", "__loader__", "train", "dask"):
            booster.set_attr(gitmodel=json.dumps({**told, "class": name}))
            (tmp_path / "model").write_bytes(booster.save_raw("ubj"))
            with pytest.raises(Invalid, match="is not an estimator of xgboost"):
                load(tmp_path / "model", "xgboost")


class TestLightGBM:
    @pytest.fixture(autouse=True)
    def lightgbm(self):
        return pytest.importorskip("lightgbm")

    @pytest.mark.parametrize("name", ["LGBMClassifier", "LGBMRegressor"])
    def test_an_estimator_is_loaded_with_its_parameters_and_predicts_the_same(self, lightgbm, training, kept, name):
        features, target = training
        labels = numpy.array(["no", "yes"])[target] if "Classifier" in name else target
        model = getattr(lightgbm, name)(n_estimators=3, verbose=-1).fit(features, labels)
        found = kept(model, "lightgbm", kind="model")
        assert type(found) is type(model)
        assert found.get_params() == model.get_params()
        assert found.predict(features).tolist() == model.predict(features).tolist()
        assert found.n_features_in_ == 3

    def test_a_booster_with_categories_of_pandas_is_loaded(self, lightgbm, training, kept):
        import pandas

        features = pandas.DataFrame(training[0], columns=list("abc"))
        features["c"] = pandas.Categorical(["x", "y"] * 40)
        found = lightgbm.LGBMRegressor(n_estimators=2, verbose=-1).fit(features, training[1])
        for model in (found, found.booster_):
            assert kept(model, "lightgbm", kind="model").predict(features).tolist() == found.predict(features).tolist()

    @INSIDE
    def test_a_model_inside_a_scikit_learn_estimator_needs_no_trust(self, lightgbm, training, around, tmp_path):
        model = around(lightgbm.LGBMClassifier(n_estimators=2, verbose=-1))
        check_inside_an_estimator(model, training, tmp_path / "x")

    def test_a_skops_file_can_restore_a_booster_but_not_call_its_class(self, lightgbm, training, tmp_path, monkeypatch):
        model = lightgbm.LGBMClassifier(n_estimators=2, verbose=-1).fit(*training).booster_
        check_that_a_booster_is_never_called(model, tmp_path / "x", monkeypatch)

    def test_the_library_reads_the_file_of_an_estimator(self, lightgbm, training, tmp_path):
        model = lightgbm.LGBMRegressor(n_estimators=3, verbose=-1).fit(*training)
        save(model, tmp_path / "model.txt", "lightgbm")
        again = lightgbm.Booster(model_file=tmp_path / "model.txt")
        assert again.predict(training[0]).tolist() == model.predict(training[0]).tolist()
        model.booster_.save_model(tmp_path / "own.txt")
        assert detect_format(tmp_path / "own.txt") == "lightgbm"
        assert type(load(tmp_path / "own.txt", "lightgbm")) is lightgbm.Booster

    def test_a_file_that_names_a_foreign_class_is_refused(self, lightgbm, training, tmp_path):
        save(lightgbm.LGBMRegressor(n_estimators=2, verbose=-1).fit(*training), tmp_path / "model", "lightgbm")
        content = (tmp_path / "model").read_text().replace('"class": "LGBMRegressor"', '"class": "os"')
        (tmp_path / "model").write_text(content)
        with pytest.raises(Invalid, match="is not an estimator of lightgbm"):
            load(tmp_path / "model", "lightgbm")
