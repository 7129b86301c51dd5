"""Enums, dataclasses and pydantic models are saved as JSON, and loaded only if their classes are trusted by name."""

import enum
import json
import subprocess
import sys
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy
import pandas
import pydantic
import pytest

from gitmodel import Client
from gitmodel.errors import Invalid, Refused, UsageError
from gitmodel.formats import load, materializers, save, trust


class Color(enum.Enum):
    RED = "r"
    NONE = None


class Mode(enum.IntFlag):
    A = 1
    B = 2


@dataclass(frozen=True)
class Options:
    depth: int
    color: Color = Color.RED
    when: date = date(2024, 1, 2)
    made: Any = field(default=None, init=False)

    class Inner(enum.Enum):
        X = 1


built: list[object] = []


@dataclass(eq=False)
class Loose:
    price: Decimal

    def __post_init__(self):
        built.append(self)


class Settings(pydantic.BaseModel):
    name: str
    options: Options
    _secret: int = pydantic.PrivateAttr(default=3)


VALUES = [
    Color.NONE,
    Mode.A | Mode.B,
    Options.Inner.X,
    Options(3),
    Loose(Decimal("1.50")),
    Settings(name="a", options=Options(1)),
    {"best": [Options(1), (Color.RED, {Mode.A})], 3: numpy.float32(0.5)},
]


@pytest.mark.parametrize("value", VALUES, ids=lambda value: type(value).__name__)
def test_a_value_is_loaded_with_its_types_if_they_are_trusted(value, tmp_path):
    assert materializers.save(value, tmp_path / "x", "output x", "") == ("json", "data", "json")
    found = load(tmp_path / "x", "json", trusted=True)
    assert type(found) is type(value)
    assert str(found) == str(value)
    built.clear()
    load(tmp_path / "x", "json", trusted=True)
    assert not built  # `built` would have an entry if loading had called the class
    with pytest.raises(Refused, match="are not trusted here: test_own_types"):
        load(tmp_path / "x", "json")
    names = [f"test_own_types.{name}" for name in ("Color", "Mode", "Options", "Options.Inner", "Loose", "Settings")]
    with trust.trusting(lambda: names):
        assert str(load(tmp_path / "x", "json")) == str(value)


@pytest.mark.parametrize("tag", ["$enum", "$dataclass", "$pydantic"])
@pytest.mark.parametrize("name", ["subprocess.check_output", "subprocess.Popen", "builtins.eval", "no.At"])
def test_a_file_that_names_an_unsupported_class_runs_nothing_even_with_trust(tag, name, tmp_path):
    mark = tmp_path / "mark"
    (tmp_path / "x").write_text(json.dumps({"$gitmodel.values": {tag: [name, f"touch {mark}"]}}))
    with pytest.raises(Refused):
        load(tmp_path / "x", "json")
    with pytest.raises(Invalid):
        load(tmp_path / "x", "json", trusted=True)
    assert not mark.exists()


def test_a_value_that_could_not_be_loaded_again_is_refused_and_the_error_names_its_place(tmp_path):
    @dataclass
    class Local:
        x: int = 1

    marked = Loose(Decimal(1))
    marked.more = 1
    for value, said in (
        ([Local()], r"value\[0\] is a test_own_types\..*Local, which is defined inside a function"),
        ({"a": marked}, r"value\['a'\] is a test_own_types.Loose with the attribute more, which is not"),
        (Options(object()), r"value\['depth'\] is a builtins.object"),
    ):
        with pytest.raises(UsageError, match=said):
            save(value, tmp_path / "x", "json")
    with pytest.raises(UsageError):
        save(pandas.DataFrame({"a": [Options(1)]}), tmp_path / "x", "parquet")
    assert list(tmp_path.iterdir()) == []


def test_a_class_with_other_fields_than_the_file_is_reported(tmp_path):
    save(Options(1), tmp_path / "x", "json")
    (tmp_path / "x").write_text((tmp_path / "x").read_text().replace('"depth"', '"height"'))
    with pytest.raises(Invalid, match=r"Options has the fields \['color', 'depth'"):
        load(tmp_path / "x", "json", trusted=True)


SCRIPT = """
from dataclasses import dataclass
from gitmodel import Client

@dataclass
class Best:
    score: float

if __name__ == "__main__":
    with Client() as client:
        client.register_model("demo").create_version(data={"best": Best(0.5)})
        print(client.get_version("demo@1").get_artifact("best").load(trusted=True))
"""


def test_a_dataclass_of_a_script_is_loaded_in_another_process(code_repo, monkeypatch):
    monkeypatch.chdir(code_repo)
    Path("train.py").write_text(SCRIPT)
    done = subprocess.run([sys.executable, "train.py"], check=True, capture_output=True, text=True)
    assert done.stdout == "Best(score=0.5)\n"
    with Client(environ={"GITMODEL_TRUST": "train.Best"}) as client:
        monkeypatch.syspath_prepend(str(code_repo))
        monkeypatch.delitem(sys.modules, "train", raising=False)  # another test may have imported another train.py
        assert client.get_version("demo@1").get_artifact("best").load().score == 0.5
