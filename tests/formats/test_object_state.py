"""`object_state.is_same` compares two objects in memory. They are the same only if their files would be equal."""

import math

import numpy
import pytest
import skops.io
from sklearn.ensemble import GradientBoostingClassifier, HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from gitmodel.errors import UsageError
from gitmodel.formats import load, save
from gitmodel.formats.comparison import object_state

PADDED = numpy.dtype({"names": ["a", "b"], "formats": ["i8", "u1"], "offsets": [0, 8], "itemsize": 16})


def records(padding, second=2):
    memory = numpy.frombuffer(bytearray(bytes([padding]) * 32), PADDED)
    memory["a"], memory["b"] = 1, [3, second]
    return memory


SHARED = [1.5]
SAME = [
    (math.nan, math.nan),
    ({"a": (1, None, b"x")}, {"a": (1, None, b"x")}),
    (numpy.array([1.0, math.nan]), numpy.array([1.0, math.nan])),
    (numpy.float32(2), numpy.float32(2)),
    (numpy.array([[1.5], "x"], dtype=object), numpy.array([[1.5], "x"], dtype=object)),
    (numpy.asfortranarray(numpy.eye(3)), numpy.asfortranarray(numpy.eye(3))),
    (records(0), records(255)),
    (numpy.random.RandomState(1), numpy.random.RandomState(1)),
    ([SHARED, SHARED], [SHARED, SHARED]),
]
OTHER = [
    (0.0, -0.0),
    (1, True),
    ({"a": 1, "b": 2}, {"b": 2, "a": 1}),
    (numpy.array([0.0]), numpy.array([-0.0])),
    (numpy.array([1]), numpy.array([1], dtype="i4")),
    (numpy.eye(3), numpy.asfortranarray(numpy.eye(3))),
    (records(0), records(0, second=4)),
    (numpy.random.RandomState(1), numpy.random.RandomState(2)),
    ([[1.5], [1.5]], [SHARED, SHARED]),
    ([SHARED, SHARED], [[1.5], [1.5]]),
    (lambda: 1, lambda: 1),
]


@pytest.mark.parametrize(("one", "other"), SAME)
def test_equal_objects_are_the_same(one, other):
    assert object_state.is_same(one, other)


@pytest.mark.parametrize(("one", "other"), OTHER)
def test_objects_with_a_different_bit_or_different_shared_parts_are_not_the_same(one, other):
    assert not object_state.is_same(one, other)


@pytest.mark.parametrize(
    "model",
    [
        make_pipeline(StandardScaler(), RandomForestClassifier(3)),
        GridSearchCV(RandomForestClassifier(3), {"max_depth": [1, 2]}, cv=2),
        GradientBoostingClassifier(n_estimators=3),
        HistGradientBoostingClassifier(max_iter=3),
        KNeighborsClassifier(algorithm="ball_tree"),
        MLPClassifier((2,), max_iter=2),
    ],
    ids=lambda model: type(model).__name__,
)
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_estimators_that_are_the_same_have_the_same_file(model, tmp_path):
    features = numpy.random.RandomState(0).rand(80, 3)
    save(model.fit(features, features[:, 0] > 0.5), tmp_path / "one", "skops")
    found = load(tmp_path / "one", "skops")
    assert object_state.is_same(model, found)
    save(found, tmp_path / "other", "skops")
    assert (tmp_path / "one").read_bytes() == (tmp_path / "other").read_bytes()


def test_an_estimator_that_changes_while_it_is_saved_is_refused(tmp_path, monkeypatch):
    model = RandomForestClassifier(2, random_state=0).fit([[0.0], [1.0]], [0, 1])
    real = skops.io.load

    def load_changed(*args, **options):
        monkeypatch.undo()
        # changes the model during saving, as a thread that continues the training would
        model.estimators_[1].tree_.value[0] += 1
        return real(*args, **options)

    monkeypatch.setattr(skops.io, "load", load_changed)
    with pytest.raises(UsageError, match="RandomForestClassifier changed while it was saved"):
        save(model, tmp_path / "x", "skops")
    assert list(tmp_path.iterdir()) == []
    save(model, tmp_path / "x", "skops")
    assert load(tmp_path / "x", "skops").predict([[0.0]]) == model.predict([[0.0]])
