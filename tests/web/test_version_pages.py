"""The page of a version shows the current gates, the changes since the previous holder, signatures and its history."""

import json

import pytest

from gitmodel import Client
from gitmodel.web.export.site import export_site
from gitmodel.web.options import SiteOptions
from gitmodel.web.pages.of_model import version
from gitmodel.web.pages.of_registry import models, stages
from gitmodel.web.registry_data.registry_data import RegistryData
from gitmodel.web.rendering.renderer import Renderer
from gitmodel.web.routes import PAGES


def read(client: Client) -> RegistryData:
    return RegistryData(client, SiteOptions())


def html(client: Client, page: str, **parameters: str) -> str:
    """Return the HTML of the page of the kind *page* with these *parameters*, with single spaces between words."""
    kind = next(one for one in PAGES if one.name == page)
    rendered = Renderer(read(client)).render(kind, parameters)
    return " ".join(next(data for path, data in rendered.items() if path.endswith(".html")).decode().split())


@pytest.fixture
def judged(client):
    """A registry in which iris@2 replaced iris@1 in production although a gate failed. Other gates came later."""
    client.add_gate("production", "good", "metadata.accuracy >= 0.9")
    iris = client.get_model("iris")
    iris.get_version(1).log_metadata(accuracy=0.95, loss=0.1, rows=100)
    iris.create_version(metadata={"accuracy": 0.85, "loss": 0.1, "rows": 200})
    client.promote("iris@1", "production")
    client.promote("iris@2", "production", force=True, reason="needed today")
    client.add_gate("production", "large", "metadata.rows > 300 && metadata.loss < 0.5")
    client.add_gate("production", "grows", "metadata.rows > holder.metadata.rows")
    client.add_gate("production", "entered", 'stage == "none"')
    return client


def test_the_page_of_a_version_in_production_shows_the_results_of_the_current_gates(judged):
    page = version.read(read(judged), "iris", "2")
    assert [(gate.stage, gate.name, gate.result, gate.found) for gate in page.gates] == [
        ("production", "good", "fails", "metadata.accuracy is 0.85"),
        ("production", "large", "fails", "metadata.rows is 200, metadata.loss is 0.1"),
        ("production", "grows", "passes", "metadata.rows is 200, holder.metadata.rows is 100"),
    ]
    assert version.read(read(judged), "iris", "1").gates == ()
    assert "production: good" in html(judged, "version", model="iris", number="2")


def test_lists_say_in_words_that_a_version_in_production_fails_gates(judged):
    (row,) = models.read(read(judged)).models
    assert [(pill.name, pill.forced, pill.failing) for pill in row.stages] == [
        ("production", ("good",), ("good", "large"))
    ]
    for page in ("models", "stages"):
        shown = html(judged, page)
        assert "<b>forced</b>: gate good overridden" in shown
        assert "<b>fails today</b>: gate good, large" in shown


def test_the_exported_page_of_a_version_changes_when_a_gate_changes(judged, tmp_path):
    export_site(judged, tmp_path / "site", SiteOptions())
    judged.remove_gate("production", "large")
    export_site(judged, tmp_path / "site", SiteOptions())
    page = json.loads((tmp_path / "site/m/iris/v/2.json").read_bytes())
    assert [gate["name"] for gate in page["gates"]] == ["good", "grows"]


def test_a_number_that_moves_towards_the_limit_of_a_gate_is_called_worse(judged):
    before = version.read(read(judged), "iris", "2").predecessor
    assert before is not None
    assert [(row.name, row.movement) for row in before.changes] == [("accuracy", "worse"), ("rows", "better")]
    assert ">worse</span>" in html(judged, "version", model="iris", number="2")


def test_the_list_of_artifacts_compares_them_with_the_previous_holder(client, tmp_path):
    iris = client.get_model("iris")
    for number, names in ((2, ("a", "b", "c")), (3, ("b", "c", "d"))):
        files = {}
        for name in names:
            files[name] = tmp_path / name
            files[name].write_text(f"{number if name == 'c' else 0} {name}\n", encoding="utf-8")
        iris.create_version(data={name: str(path) for name, path in files.items()})
        client.promote(f"iris@{number}", "production")
    page = version.read(read(client), "iris", "3")
    assert page.predecessor is not None
    assert (page.predecessor.removed, page.predecessor.changes) == (("a",), ())
    assert [(row.name, row.before == row.digest, bool(row.before)) for row in page.artifacts] == [
        ("b", True, True), ("c", False, True), ("d", False, False),
    ]  # fmt: skip
    assert html(client, "version", model="iris", number="3").count('<th scope="row">c') == 1


def test_without_signers_pages_say_that_signatures_are_not_checked(judged):
    page = version.read(read(judged), "iris", "2")
    assert page.signatures == {"production": "not checked: the registry lists no signers"}
    assert "signature not checked: the registry lists no signers" in html(judged, "version", model="iris", number="2")
    assert not stages.read(read(judged)).signers
    shown = html(judged, "stages")
    assert "Signatures are not checked: the registry lists no signers" in shown
    assert "not signed" not in shown


def test_the_history_of_a_version_has_each_change_of_its_record(client, tmp_path, git, code_repo):
    weights = tmp_path / "weights"
    weights.write_text("1 2 3", encoding="utf-8")
    version_1 = client.get_version("iris@1")
    version_1.log_metadata(accuracy=0.8, note="draft")
    version_1.link_artifact("weights", weights)
    git(code_repo, "config", "user.name", "Cleo")
    with Client(code_repo) as other:
        other.get_version("iris@1").log_metadata(accuracy=0.9)
    client.promote("iris@1", "production", reason="good enough")
    client.update_model("iris", new_name="flowers")
    lines = version.read(read(client), "flowers", "1").history
    assert [line.what for line in lines] == ["entered production", "changed", "changed", "changed", "created"]
    assert [[(one.field, one.old, one.new) for one in line.fields] for line in lines[1:4]] == [
        [("accuracy", 0.8, 0.9)],
        [("artifact weights", None, lines[2].fields[0].new)],
        [("accuracy", None, 0.8), ("note", None, "draft")],
    ]
    assert [line.author for line in lines[1:4]] == ["Cleo", "Ada Example", "Ada Example"]
    shown = html(client, "version", model="flowers", number="1")
    assert "accuracy: 0.8 → 0.9</span>" in shown
    assert "note: set to draft</span>" in shown


def test_the_history_shows_the_description_with_which_a_version_was_created(client):
    made = client.get_model("iris").create_version(description="twice the rounds")
    made.update(description="the best of May")
    made.update(description="")
    lines = version.read(read(client), "iris", str(made.number)).history
    assert [line.what for line in lines] == ["changed", "changed", "created"]
    assert lines[-1].reason == "twice the rounds"


def test_the_history_shows_only_the_first_200_values_of_a_large_change(client):
    client.get_version("iris@1").log_metadata({f"key_{number}": number for number in range(300)})
    line = version.read(read(client), "iris", "1").history[0]
    assert (len(line.fields), line.more) == (200, 100)
    assert "and 100 more fields" in html(client, "version", model="iris", number="1")


def test_the_history_in_a_shallow_clone_says_that_older_changes_are_missing(client, code_repo, git, tmp_path):
    for number in range(3):
        client.get_version("iris@1").log_metadata(rows=number)
    git(tmp_path, "clone", "-q", "--depth=2", "--branch=gitmodel", code_repo.as_uri(), "shallow")
    git(tmp_path / "shallow", "update-ref", "refs/heads/gitmodel", "HEAD")
    with Client(tmp_path / "shallow") as shallow:
        page = version.read(read(shallow), "iris", "1")
    assert [line.what for line in page.history] == ["changed", "created"]
    assert "shallow" in page.history_fault
