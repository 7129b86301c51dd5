"""The text that describes a plain value. The cache compares it to notice a changed constant or configuration."""

import enum
import importlib
import time

import pytest

from gitmodel.pipelines.project.value_text import describe_value, spell_value


class Colour(enum.Enum):
    RED = 1


@pytest.mark.parametrize("large", [b"\0" * 20_000_000, "é" * 20_000_000], ids=["bytes", "text"])
def test_the_text_of_a_long_value_contains_its_hash(large):
    begun = time.process_time()
    text = spell_value({"weights": [large]})
    assert text is not None
    assert len(text) < 200
    assert time.process_time() - begun < 1
    assert text != spell_value({"weights": [large[:-1] + large[:1] * 2]})
    assert text != spell_value({"weights": [large[:-1] + (b"x" if isinstance(large, bytes) else "x")]})


def test_long_strings_of_different_lone_surrogates_have_different_texts():
    assert spell_value("\ud800" * 2000) != spell_value("\ud801" * 2000)


def test_the_texts_of_equal_bytes_and_strings_differ():
    assert spell_value("a" * 2000) != spell_value(b"a" * 2000)


def test_the_text_of_a_short_value_contains_the_value():
    assert spell_value({"lr": 0.1, "colour": Colour.RED}) == "dict{'lr': 0.1, 'colour': Colour.RED=1}"


@pytest.mark.parametrize("decorator", ["dataclasses.dataclass", "attrs.define"])
def test_a_configuration_object_is_described_by_its_fields_and_the_module_of_its_class(
    decorator, tmp_path, monkeypatch
):
    name = f"rates_{decorator.partition('.')[0]}"
    library = decorator.partition(".")[0]
    (tmp_path / f"{name}.py").write_text(f"import {library}\n\n@{decorator}\nclass Rates:\n    low: float\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    rates = importlib.import_module(name).Rates(0.1)
    assert spell_value(rates) == "Rates{'low': 0.1}"
    assert describe_value(rates) == ("Rates{'low': 0.1}", {name})
