"""Model cards: what a hub's own library reads in them, that they never differ, and that words stay words."""

import json
from datetime import datetime, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from transcripts import ask, check_transcript

from gitmodel import Client
from gitmodel.domain.cards import card
from gitmodel.domain.records import ArtifactLink, Code, ModelRecord, VersionRecord

NOW = datetime(2026, 11, 23, 10, 12, 13, tzinfo=timezone.utc)
MODEL = ModelRecord(
    created=NOW,
    title="Iris | *classifier*",
    license="Apache-2.0",
    description="Which iris a flower is,\nfrom four lengths.",
    limitations="Three species only.",
    tags=("sklearn", "yes"),
    owners=("ada@example.com",),
)
VERSION = VersionRecord(
    number=4,
    created=NOW,
    name="1.2.3",
    tags=("baseline",),
    runs=("20261123T101112Z-train-7f3a",),
    code=Code("9" * 40, True, "https://git.example.com/iris.git"),
    metadata={
        "accuracy": 0.97,
        "loss": 1e-7,
        "rows": 150,
        "broken": float("nan"),
        "base_model": "example/iris-base",
        "pipeline_tag": "tabular-classification",
        "test set": {"auc": 0.5, "note": "held out"},
    },
    artifacts=(
        ArtifactLink("classifier", "model", "sha256:" + "0" * 64, 48_211, "skops"),
        ArtifactLink("train", "data", "sha256:" + "1" * 64, 2_237, "csv"),
    ),
)


@pytest.fixture(autouse=True)
def offline(monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")


def read(text):
    from huggingface_hub import ModelCard

    return ModelCard(text)


def test_the_library_of_the_hub_reads_what_the_record_says():
    from huggingface_hub import EvalResult, ModelCardData

    found = read(card("iris", MODEL, VERSION)).data
    assert isinstance(found, ModelCardData)
    assert found.license == "apache-2.0"
    assert found.tags == ["baseline", "sklearn", "yes"]
    assert found.datasets == ["train"]
    assert found.metrics == ["accuracy", "auc", "loss"]
    assert found.base_model == "example/iris-base"
    assert found.library_name == "sklearn"
    assert found.pipeline_tag == "tabular-classification"
    task = {"task_type": "tabular-classification"}
    nowhere = {"dataset_type": "not recorded", "dataset_name": "not recorded"}
    test_set = {"dataset_type": "test set", "dataset_name": "test set"}
    assert found.model_name == "iris"
    assert found.eval_results == [
        EvalResult(**task, **nowhere, metric_type="accuracy", metric_value=0.97),
        EvalResult(**task, **nowhere, metric_type="loss", metric_value=1e-07),
        EvalResult(**task, **test_set, metric_type="auc", metric_value=0.5),
    ]


def test_the_library_of_the_hub_writes_back_what_it_read():
    import yaml

    text = card("iris", MODEL, VERSION)
    header = yaml.safe_load(text.split("---\n")[1])
    assert read(text).data.to_dict() == header


def test_a_licence_that_the_hub_does_not_know_is_named():
    from dataclasses import replace

    own = read(card("iris", replace(MODEL, license="Ours: ask first"), VERSION)).data
    assert (own.license, own.license_name) == ("other", "Ours: ask first")
    gnu = read(card("iris", replace(MODEL, license="GPL-3.0-or-later"), VERSION)).data
    assert gnu.license == "gpl-3.0"


def test_the_card_of_a_bare_record_is_one_too():
    text = card("iris", ModelRecord(created=NOW), VersionRecord(1, NOW))
    assert text.startswith("---\n{}\n---\n\n# iris\n")
    assert read(text).data.to_dict() == {}


def test_the_body_says_what_a_reader_asks():
    text = card("iris", MODEL, VERSION)
    assert "\n# Iris \\| \\*classifier\\*\n\nWhich iris a flower is,\nfrom four lengths.\n" in text
    assert "\n## Limitations\n\nThree species only.\n" in text
    assert "\n| loss | 1.0e-07 | not recorded |\n| auc | 0.5 | test set |\n" in text
    assert f"\n| train | data | csv | 2237 | `sha256:{'1' * 64}` |\n" in text
    assert f"- code: commit `{'9' * 40}`, with changes that are not in it\n" in text
    assert "## Uses" not in text


@settings(max_examples=200, deadline=None)
@given(words=st.lists(st.text(min_size=1), max_size=3), number=st.floats(allow_nan=False, allow_infinity=False))
def test_any_word_and_number_comes_back_from_the_header(words, number):
    import yaml

    record = VersionRecord(1, NOW, metadata={"base_model": words, "m: x": number}, tags=tuple(sorted(set(words))))
    header = yaml.safe_load(card("iris", ModelRecord(created=NOW), record).split("\n---\n")[0].removeprefix("---\n"))
    assert header.get("base_model", []) == words
    assert header.get("tags", []) == sorted(set(words))
    assert header["model-index"][0]["results"][0]["metrics"] == [{"type": "m: x", "value": number}]


def test_what_drives_a_terminal_is_shown_and_not_done():
    record = ModelRecord(created=NOW, description="a\x1b[2J \u202eb", title="t\x07")
    text = card("iris", record, VersionRecord(1, NOW))
    assert "aU+001B[2J U+202Eb" in text
    assert not any(ord(c) < 32 and c != "\n" for c in text)


def test_the_command_prints_the_same_bytes_every_time(code_repo, monkeypatch, capsys):
    monkeypatch.chdir(code_repo)
    with Client(code_repo) as client:
        client.register_model("iris", license="MIT").create_version(metadata={"accuracy": 0.9})
        text = client.get_version("iris@1").card()
    assert ask(capsys, "card", "iris@1") == ask(capsys, "card", "iris", "1") == (0, text, "")
    _, out, _ = ask(capsys, "card", "iris", "--format", "json")
    assert json.loads(out) == {"reference": "iris@1", "card": text}
    check_transcript(
        capsys,
        """
        $ git model card iris@2
        ! error: there is no version 2 of iris
        ! hint: run `git model version list iris` to see what there is
        [3]
        $ git model card iris 1 2
        ! error: '2' is too much
        ! hint: write `git model card MODEL@VERSION`
        [2]
        """,
    )
