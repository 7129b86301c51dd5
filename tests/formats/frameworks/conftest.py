"""Fixtures for the tests of all frameworks: they save and load a value, also in another process.

A test module skips itself if its framework is not installed. The nox session `formats` installs one framework at a
time.
"""

import subprocess
import sys

import numpy
import pytest

from gitmodel import Client
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


@pytest.fixture
def promoted(code_repo, monkeypatch):
    """A function that stores a value in a version and promotes it. Another process loads the value and runs a script.

    The function returns what the script prints.
    """

    def promote(value, script, *, trusted=False, names=()):
        monkeypatch.chdir(code_repo)
        with Client() as client:
            version = client.register_model("demo").create_version(model_objects={"it": value})
            version.set_stage("production")
        start = (
            "from gitmodel import Client\n"
            f"with Client(environ={{'GITMODEL_TRUST': {' '.join(names)!r}}}) as client:\n"
            "    artifact = client.get_version('demo@production').get_artifact('it')\n"
            f"    value = artifact.load(trusted={trusted})\n"
        )
        command = [sys.executable, "-c", start + script]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    return promote
