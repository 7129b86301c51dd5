"""Keras: whole models. A file can contain code, so gitmodel loads it only with `trusted=True`."""

import os

import numpy
import pytest

from gitmodel.errors import Refused
from gitmodel.formats import detect_format, load

os.environ.setdefault("KERAS_BACKEND", "jax")
pytest.importorskip(os.environ["KERAS_BACKEND"])
keras = pytest.importorskip("keras")


@pytest.fixture
def model(training):
    keras.utils.set_random_seed(0)
    found = keras.Sequential([keras.layers.Input((3,)), keras.layers.Dense(2, "relu"), keras.layers.Dense(1)])
    found.compile("sgd", "mse")
    found.fit(*training, epochs=1, verbose=0)
    return found


def test_a_keras_model_loaded_with_trust_gives_the_same_predictions(model, kept, training):
    found = kept(model, "keras", kind="model", trusted=True)
    numpy.testing.assert_array_equal(found.predict(training[0], verbose=0), model.predict(training[0], verbose=0))
    assert found.optimizer.name == model.optimizer.name


def test_loading_a_keras_file_with_code_without_trust_runs_nothing(tmp_path):
    mark = tmp_path / "mark"
    layer = keras.layers.Lambda(eval(f"lambda x: (open({str(mark)!r}, 'w'), x)[1]"), output_shape=(3,))
    value = keras.Sequential([keras.layers.Input((3,)), layer])
    value.save(tmp_path / "model.keras")
    mark.unlink(missing_ok=True)
    assert detect_format(tmp_path / "model.keras") == "keras"
    with pytest.raises(Refused, match="is a keras file: loading it can run any code"):
        load(tmp_path / "model.keras", "keras")
    assert not mark.exists()
