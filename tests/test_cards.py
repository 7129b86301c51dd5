"""Model cards: `huggingface_hub` can read them, equal records give equal cards, and text of records is escaped.

A card is Markdown with a YAML header. The hub is the Hugging Face Hub, which shows cards. `huggingface_hub` is the
library of the hub. Hostile text contains HTML, Markdown or characters that control a terminal.
"""

import json
import re
from dataclasses import replace
from datetime import datetime, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from transcripts import ask

from gitmodel import Client
from gitmodel.domain.schema.records import ArtifactLink, Attachment, Code, ModelRecord, VersionRecord
from gitmodel.domain.views.cards import card

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
    code=Code(commit="9" * 40, dirty=True, repository="https://git.example.com/iris.git"),
    metadata={
        "accuracy": 0.97,
        "loss": 1e-7,
        "rows": 150,
        "broken": float("nan"),
        "base_model": "example/iris-base",
        "pipeline_tag": "tabular-classification",
        "datasets": ["example/flowers"],
        "test set": {"auc": 0.5, "note": "held out"},
    },
    artifacts=(
        ArtifactLink(name="classifier", kind="model", digest="sha256:" + "0" * 64, size=48_211, format="skops"),
        ArtifactLink(name="train", kind="data", digest="sha256:" + "1" * 64, size=2_237, format="csv"),
    ),
)


@pytest.fixture(autouse=True)
def offline(monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")


def read(text):
    from huggingface_hub import ModelCard

    return ModelCard(text)


def test_the_library_of_the_hub_reads_the_values_of_the_record():
    from huggingface_hub import EvalResult, ModelCardData

    found = read(card("iris", MODEL, VERSION)).data
    assert isinstance(found, ModelCardData)
    assert found.license == "apache-2.0"
    assert found.tags == ["baseline", "sklearn", "yes"]
    assert found.datasets == ["example/flowers"]
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


def test_the_library_of_the_hub_keeps_every_key_of_the_header():
    import yaml

    text = card("iris", MODEL, VERSION)
    header = yaml.safe_load(text.split("---\n")[1])
    assert read(text).data.to_dict() == header


def test_a_card_has_the_name_of_a_license_that_the_hub_does_not_know():
    own = read(card("iris", replace(MODEL, license="Ours: ask first"), VERSION)).data
    assert (own.license, own.license_name) == ("other", "Ours: ask first")
    gnu = read(card("iris", replace(MODEL, license="GPL-3.0-or-later"), VERSION)).data
    assert gnu.license == "gpl-3.0"


def test_the_card_of_a_record_without_optional_fields_is_valid():
    text = card("iris", ModelRecord(created=NOW), VersionRecord(number=1, created=NOW))
    assert text.startswith("---\n{}\n---\n\n# iris\n")
    assert read(text).data.to_dict() == {}


def test_the_body_of_a_card_has_all_sections():
    text = card("iris", MODEL, VERSION)
    assert "\n# Iris \\| \\*classifier\\*\n\nWhich iris a flower is,\nfrom four lengths.\n" in text
    assert "\n## Limitations\n\nThree species only.\n" in text
    assert "\n| loss | 1.0e-07 | not recorded |\n| auc | 0.5 | test set |\n" in text
    assert f"\n| train | data | csv | 2237 | `sha256:{'1' * 64}` |\n" in text
    assert f"- code: commit `{'9' * 40}`, with changes that are not in it\n" in text
    assert "## Uses" not in text


HOSTILE = [
    "<script>alert(1)</script>",
    "<img src=https://evil.example/pixel.png>",
    "a <!-- comment --> b",
    "&lt;script&gt; &#60;b&#62;",
    "[click](https://evil.example)",
    "[click](javascript:alert(1))",
    "![pixel](https://evil.example/pixel.png)",
    "[click][1]\n\n[1]: https://evil.example",
    "[![a](https://evil.example/a.png)](https://evil.example)",
    "<https://evil.example>",
    "\\[click](https://evil.example)",
    "\\\\[click\\](https://evil.example)",
    "![[a](b)](c)",
    "text\n---\nmore",
    "text\n===\n",
    "---\nlicense: mit\ndatasets: [evil/data]\n---\n",
    "## Evaluation\n\n| metric | value | dataset |\n| --- | --- | --- |\n| accuracy | 1.0 | test |",
    "a\nb | c\n--|--\nd | e",
    "```html\n<b>\n```",
    "~~~\n<b>\n~~~",
    "    <b>code</b>",
    "\t<b>code</b>",
    "> quote",
    "*bold* __bold__ `code` ~~gone~~",
    "* * *",
    "* ---",
    "_ _ _",
    "- - -",
]


def rendered(text):
    """Return the body of the card *text* as HTML. The renderer does not escape HTML, so the card itself must do it."""
    markdown_it = pytest.importorskip("markdown_it")
    parser = markdown_it.MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
    body = text.split("\n---\n", 1)[1]
    return parser.render(body)


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_is_escaped_in_a_card(text):
    fields = dict.fromkeys(("description", "audience", "use_cases", "limitations", "trade_offs", "ethics"), text)
    described = ModelRecord(created=NOW, title=text, license=text, owners=(text,), tags=(text,), **fields)
    metadata = {"m " + text: 0.5, "dataset": text, text: {"auc": 0.5}, "datasets": [text], "base_model": [text]}
    code = Code(commit="9" * 40, dirty=True, repository=f"https://git.example.com/{text}")
    version = VersionRecord(number=1, created=NOW, description=text, code=code, metadata=metadata)
    found = card("iris", described, version)
    words = dict.fromkeys(fields, "words")
    described = ModelRecord(created=NOW, title="t", license="l", owners=("o",), **words)
    code = Code(commit="9" * 40, dirty=True, repository="https://git.example.com/r")
    metadata = {"m": 0.5, "dataset": "d", "t": {"auc": 0.5}}
    version = VersionRecord(number=1, created=NOW, description="words", code=code, metadata=metadata)
    plain = card("iris", described, version)

    def tags(html):
        return [tag for tag in re.findall(r"<\w+", html) if tag not in ("<p", "<ul", "<li", "<ol")]

    assert tags(rendered(found)) == tags(rendered(plain))
    assert "<script" not in found.split("\n---\n", 1)[1]
    header = read(found).data.to_dict()
    assert header.get("license") == "other"
    assert "datasets" not in header


@settings(max_examples=200, deadline=None)
@given(text=st.text(alphabet=st.sampled_from("ab<>&[]()!*_`~#|-=+\\:/. \n\t1"), max_size=40))
def test_no_text_of_a_record_becomes_a_link_image_html_heading_or_table(text):
    html = rendered(card("iris", ModelRecord(created=NOW, description=text), VersionRecord(number=1, created=NOW)))
    for tag in ("<a", "<img", "<b>", "<h3", "<pre", "<em", "<strong", "<hr", "<code>a", "<blockquote"):
        assert tag not in html, (text, html)
    assert (html.count("<h1"), html.count("<h2"), html.count("<table")) == (1, 1, 1)


def test_paragraphs_and_lists_of_a_description_are_kept():
    text = "First.\n\nSecond:\n\n- one\n* two\n\n1. three"
    found = card("iris", ModelRecord(created=NOW, description=text), VersionRecord(number=1, created=NOW))
    assert "First.\n\nSecond:\n\n- one\n- two\n\n1. three\n" in found


def test_the_header_lists_only_the_valid_ids_of_datasets_in_the_metadata_key_datasets():
    data = tuple(
        ArtifactLink(name=name, kind="data", digest="sha256:" + "1" * 64, size=1, format="csv")
        for name in ("mnist", "squad")
    )
    metadata = {"squad": {"f1": 0.5}, "example/flowers": {"f1": 0.6}, "dataset": "mnist", "accuracy": 0.9}
    undeclared = read(card("iris", MODEL, VersionRecord(number=1, created=NOW, metadata=metadata, artifacts=data))).data
    assert undeclared.datasets is None
    assert {result.dataset_type for result in undeclared.eval_results} == {"not recorded"}
    assert {result.dataset_name for result in undeclared.eval_results} == {"squad", "example/flowers", "mnist"}
    metadata["datasets"] = ["example/flowers", "https://evil.example/x", "../x", "a/b/c", "two words", "<b>", "squad"]
    declared = read(card("iris", MODEL, VersionRecord(number=1, created=NOW, metadata=metadata, artifacts=data))).data
    assert declared.datasets == ["example/flowers", "squad"]
    assert {result.dataset_type for result in declared.eval_results} == {"example/flowers", "squad", "not recorded"}


@settings(max_examples=200, deadline=None)
@given(words=st.lists(st.text(min_size=1), max_size=3), number=st.floats(allow_nan=False, allow_infinity=False))
def test_any_text_and_number_in_metadata_and_tags_is_unchanged_in_the_header(words, number):
    import yaml

    record = VersionRecord(
        number=1, created=NOW, metadata={"base_model": words, "m: x": number}, tags=tuple(sorted(set(words)))
    )
    header = yaml.safe_load(card("iris", ModelRecord(created=NOW), record).split("\n---\n")[0].removeprefix("---\n"))
    assert header.get("base_model", []) == words
    assert header.get("tags", []) == sorted(set(words))
    assert header["model-index"][0]["results"][0]["metrics"] == [{"type": "m: x", "value": number}]


def test_terminal_control_characters_are_shown_escaped():
    record = ModelRecord(created=NOW, description="a\x1b[2J \u202eb", title="t\x07")
    text = card("iris", record, VersionRecord(number=1, created=NOW))
    assert "aU+001B[2J U+202Eb" in text
    assert not any(ord(c) < 32 and c != "\n" for c in text)


def test_git_model_card_prints_the_same_bytes_every_time(code_repo, monkeypatch, capsys, transcript):
    monkeypatch.chdir(code_repo)
    with Client(code_repo) as client:
        client.register_model("iris", license="MIT").create_version(metadata={"accuracy": 0.9})
        text = client.get_version("iris@1").card()
    assert ask(capsys, "card", "iris@1") == ask(capsys, "card", "iris", "1") == (0, text, "")
    _, out, _ = ask(capsys, "card", "iris", "--format", "json")
    assert json.loads(out) == {"reference": "iris@1", "card": text}
    transcript("""
        $ git model card iris@2
        ! error: ...version 2 of iris
        ! hint: ...version list iris...
        [3]
        $ git model card iris 1 2
        ! error: unexpected argument '2'
        ! hint: write `git model card MODEL@VERSION`
        [2]
    """)


def test_a_card_shows_pictures_and_parameters_and_escapes_their_text():
    cm = Attachment(name="cm", digest="sha256:" + "2" * 64, size=9, format="png")
    roc = ArtifactLink(name="roc.svg", kind="data", digest="sha256:" + "3" * 64, size=9, format="svg")
    odd = Attachment(name="x", digest="sha256:" + "4" * 64, size=9, format="bytes", file="a`b](http:) c.svg")
    own = Attachment(name="y", digest="sha256:" + "5" * 64, size=9, format="bytes", file="März 1.JPG")
    version = VersionRecord(number=4, created=NOW, artifacts=(roc,), attachments=(cm, odd, own))
    parameters = {"depth": 3, "loss": float("inf"), "grid": [1, 2], "note": "![x](http://e.example) <b>\n| a"}
    text = card("iris", MODEL, version, parameters)
    assert "![cm](cm.png)\n\n`git model get iris@4 --attachment cm -o cm.png`" in text
    assert "![roc.svg](roc.svg)\n\n`git model get iris@4 roc.svg -o roc.svg`" in text
    assert "![x](x.svg)\n\n`git model get iris@4 --attachment x -o x.svg`" in text
    assert "![y](M%C3%A4rz%201.JPG)\n\n`git model get iris@4 --attachment y -o 'März 1.JPG'`" in text
    assert "| depth | 3 |" in text
    assert "| grid | [1, 2\\] |" in text
    assert "![x](http" not in text
    assert "<b>" not in text
    assert "| cm | png | 9 |" in text
    assert text == card("iris", MODEL, version, parameters)
    assert "## Parameters" not in card("iris", MODEL, VersionRecord(number=4, created=NOW))


def test_a_card_shows_only_commands_that_work_for_the_version():
    assert "`git model reproduce" not in card("iris", MODEL, VERSION)
    assert "`git model reproduce iris@4`" in card("iris", MODEL, VERSION, repeatable=True)
    assert "`git model checkout iris@4 FOLDER`" in card("iris", MODEL, VERSION)
    assert "`git model checkout" not in card("iris", MODEL, replace(VERSION, code=Code(dirty=True)))
