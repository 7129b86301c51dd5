"""Fixtures for the tests of all frameworks: training data, and a function that saves and loads a value.

A test module skips itself if its framework is not installed. The nox session `formats` installs one framework at a
time.
"""

import numpy
import pytest

from gitmodel.formats import detect_format, load, materializers

FEATURES = numpy.random.RandomState(0).rand(80, 3)
TARGET = (FEATURES[:, 0] > 0.5).astype(int)


@pytest.fixture
def training():
    return FEATURES.copy(), TARGET.copy()


@pytest.fixture
def kept(tmp_path):
    """A function that saves a value twice, loads it and returns it.

    It fails unless both files are equal, and the chosen format, the kind and the detected format are as expected.
    """

    def keep(value, format, *, kind="data", detected=None, trusted=False):
        one, two = tmp_path / f"one-{format}", tmp_path / f"two-{format}"
        found = materializers.save(value, one, "output x", "")
        assert found[:2] == (format, kind)
        materializers.save(value, two, "output x", "")
        if one.is_file():
            assert one.read_bytes() == two.read_bytes()
            assert detect_format(one) == (detected or format)
        return load(one, format, trusted=trusted)

    return keep
