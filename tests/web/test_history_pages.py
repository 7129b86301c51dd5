"""The pages of stages, history and lineage, and the list of models: their values, their drawings, and their layout."""

import csv
import io
import subprocess
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler
from pathlib import Path

import editing
import pytest
from browser import Visitor, accessibility_faults
from site_files import twin
from web_pages import QuietHandler, QuietServer, running

from gitmodel import Client
from gitmodel.domain.schema.records import links_digest
from gitmodel.web.export.site import export_site
from gitmodel.web.options import SiteOptions
from gitmodel.web.rendering import renderer as rendering

EVIL = "=cmd()</script><b>\u202ex"
PATHS = ("stages", "history", "m/iris/history", "m/iris/lineage")


@pytest.fixture
def client(code_repo: Path) -> Iterator[Client]:
    """A registry with changes of stages: promotions, a forced one, a rollback, and a commit that breaks a rule."""
    (code_repo / "train.csv").write_text("a,b\n1,2\n", encoding="utf-8")
    with Client(code_repo) as client:
        iris = client.register_model("iris", title="Irises")
        client.register_model("empty")
        for number in (1, 2, 3):
            iris.create_version(data={"train": code_repo / "train.csv"}, metadata={"accuracy": 0.9 + number / 100})
        client.add_gate("production", "accuracy", "metadata.accuracy > 0.925")
        client.promote("iris@1", "production", reason="the first", force=True)
        client.promote("iris@3", "production", reason=EVIL)
        client.set_alias("iris@2", "champion")
        client.rollback("iris", "production", reason="too slow", force=True)
        client.update_stage("staging", proposal_only=True)
        links = links_digest(client.get_version("iris@2").view.record.artifacts)
        staged = {"models/iris/stages/staging.toml": f'version = 2\nartifacts = "{links}"\n'}
        editing.edit(code_repo, staged, "Promote iris 2 to staging (#7)")
        url = "git@github.com:org/models.git"
        subprocess.run(["git", "-C", code_repo, "remote", "add", "origin", url], check=True)
        yield client


@pytest.fixture
def site(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The exported site of the registry. Tests must not change it, because all tests of a process share it."""
    kept = tmp_path_factory.getbasetemp() / "history-site"
    if not kept.exists():
        export_site(request.getfixturevalue("client"), kept, SiteOptions())
    return kept


def test_the_history_has_each_change_with_its_state_signature_and_pull_request(site: Path) -> None:
    page = twin(site, "m/iris/history")
    assert [(e["stage"], e["version"], e["previous"], e["state"]) for e in page["events"]] == [
        ("staging", 2, None, "never in force"),
        ("production", 1, 3, "in force"),
        ("champion", 2, None, "in force"),
        ("production", 3, 1, "ended"),
        ("production", 1, None, "ended"),
    ]
    assert {e["signature"] for e in page["events"]} == {"not checked: the registry lists no signers"}
    text = (site / "m/iris/history.html").read_text(encoding="utf-8")
    assert text.count("not checked: the registry lists no signers") == 1, "the page must say it once, not in each row"
    assert page["events"][4]["forced"] == ["accuracy"]
    assert "staging accepts only reviewed changes" in page["events"][0]["note"]
    assert page["events"][0]["pull_request_url"] == "https://github.com/org/models/pull/7"
    assert page["lanes"] == ["staging", "production", "champion"]
    assert twin(site, "history")["events"] == page["events"]
    assert twin(site, "history")["lanes"] == ["iris staging", "iris production"]
    assert twin(site, "m/empty/history")["events"] == []


def test_the_history_is_drawn_as_swim_lanes_and_shown_as_a_table(site: Path) -> None:
    text = (site / "m/iris/history.html").read_text(encoding="utf-8")
    assert text.count("<svg") == 2  # one drawing for a wide and one for a narrow window
    assert "production: 1 since " in text
    assert "staging: 2 at " in text  # the text of the cross in the drawing for a change that was never in force
    assert text.count("<tr data-stage=") == 5
    assert "<b>forced</b>: gate accuracy overridden" in text
    assert 'href="https://github.com/org/models/pull/7">#7</a>' in text
    assert '<a href="history.csv" download>CSV</a>' in text


def test_the_history_shows_that_an_alias_without_a_version_is_empty_until_now(client: Client, tmp_path: Path) -> None:
    client.remove_alias("iris", "champion")
    export_site(client, tmp_path, SiteOptions())
    row = (tmp_path / "m/iris/history.html").read_text(encoding="utf-8").partition('data-stage="champion"')[2]
    assert '<td data-label="Until">now</td>' in row.partition("</tr>")[0]


def test_the_list_of_models_names_the_version_that_has_each_metadata_value_and_the_overridden_gate(site: Path) -> None:
    iris = twin(site, "index")["models"][1]
    assert (iris["value_of"], iris["held"]) == (3, {"stage": "production", "version": 1, "value": 0.91})
    text = (site / "index.html").read_text(encoding="utf-8")
    assert "accuracy of 3<" in text
    assert "0.91 of 1 in production" in text
    assert "production <b>forced</b>: gate accuracy overridden" in " ".join(text.split())
    assert "staging changed" in text
    assert "entered production, forced: accuracy overridden" in (site / "m/iris/v/1.html").read_text(encoding="utf-8")


@pytest.mark.parametrize("path", ["m/iris/v/1", "m/iris/history"])
def test_the_navigation_marks_the_current_part_of_the_site(site: Path, path: str) -> None:
    assert 'index.html" aria-current="true">Models</a>' in (site / f"{path}.html").read_text(encoding="utf-8")


def test_the_csv_has_all_changes_and_no_cell_that_is_a_formula(site: Path) -> None:
    rows = list(csv.DictReader(io.StringIO((site / "m/iris/history.csv").read_text(encoding="utf-8"))))
    assert [(row["stage"], row["version"]) for row in rows][:2] == [("staging", "2"), ("production", "1")]
    assert rows[3]["reason"].startswith("'=cmd()")
    assert "\u202e" not in rows[3]["reason"]
    assert rows[4]["forced"] == "accuracy"
    assert rows[1]["until"] == ""


def test_a_long_history_shows_the_newest_rows_and_the_number_of_all(
    client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(rendering._environment().globals, "history_rows", 2)
    rendering._template.cache_clear()
    export_site(client, tmp_path / "site", SiteOptions())
    rendering._template.cache_clear()
    text = (tmp_path / "site/history.html").read_text(encoding="utf-8")
    assert text.count("<tr data-stage=") == 2
    assert "The newest 2 of 5 changes." in text
    assert len(twin(tmp_path / "site", "history")["events"]) == 5


def test_the_board_shows_holders_pending_changes_and_the_rollback_command(site: Path) -> None:
    page = twin(site, "stages")
    (empty, iris) = page["rows"]
    assert (empty["model"], empty["holders"]) == ("empty", [None, None])
    staging, production = iris["holders"]
    assert (production["pill"]["version"], production["pill"]["author"]) == (1, "Ada Example")
    assert production["rollback"] == "git model rollback iris production"
    assert (staging["pill"]["state"], staging["recorded_by"]) == ("pending", "Ada Example")
    text = (site / "stages.html").read_text(encoding="utf-8")
    assert "1 change pending" in text
    assert "version 2 is recorded and" in text
    assert "git model rollback iris production" in text
    assert "<summary>Roll back</summary>" in text


def test_a_forged_tag_is_shown_as_forged(client: Client, code_repo: Path, tmp_path: Path) -> None:
    subprocess.run(["git", "-C", code_repo, "tag", "-fam", "x", "model/iris/production", "HEAD"], check=True)
    export_site(client, tmp_path / "site", SiteOptions())
    text = (tmp_path / "site/stages.html").read_text(encoding="utf-8")
    assert "1 forged tag" in text
    assert "its tag does not count" in text


def test_the_lineage_page_has_a_graph_and_a_text_tree_of_each_version_in_a_stage(site: Path) -> None:
    page = twin(site, "m/iris/lineage")
    assert [(each["number"], each["places"]) for each in page["versions"]] == [
        (1, ["production"]),
        (2, ["champion"]),
        (3, ["latest"]),
    ]
    assert page["others"] == 0
    first = page["versions"][0]
    assert first["tree"][:2] == ["made from:", "iris@1  production"]
    assert {node["kind"] for node in first["lineage"]["nodes"]} == {"version", "artifact"}
    assert first["in_use"] == ["iris@2 champion"]
    text = (site / "m/iris/lineage.html").read_text(encoding="utf-8")
    assert '<section id="1"' in text
    assert text.count('class="drawing lineage"') == 6
    assert '<a href="v/2.html"><g class="node version held">' in text
    assert 'href="../lineage.html#2"' in (site / "m/iris/v/2.html").read_text(encoding="utf-8")
    assert "git model lineage iris@3" in (site / "m/iris/v/3.html").read_text(encoding="utf-8")
    assert "The model has no version yet." in (site / "m/empty/lineage.html").read_text(encoding="utf-8")


def test_the_site_of_a_shallow_clone_says_which_changes_are_missing(
    client: Client, code_repo: Path, tmp_path: Path
) -> None:
    url, clone = code_repo.as_uri(), tmp_path / "clone"
    subprocess.run(["git", "clone", "-q", "--depth=2", "--branch=gitmodel", url, clone], check=True)
    with Client(clone) as shallow:
        export_site(shallow, tmp_path / "site", SiteOptions())
    page = twin(tmp_path / "site", "history")
    assert "this clone is too shallow" in page["incomplete"]
    assert "Older changes are missing" in (tmp_path / "site/history.html").read_text(encoding="utf-8")
    rules = twin(tmp_path / "site", "rules")
    assert rules["stages"] == []
    assert "the rules in force are not known" in rules["unknown"]
    assert twin(tmp_path / "site", "stages")["stages"] == ["staging", "production"]


def test_the_site_of_a_shallow_clone_does_not_call_stage_tags_forged(demo: Path, tmp_path: Path) -> None:
    clone, url = tmp_path / "clone", demo.as_uri()
    subprocess.run(["git", "clone", "-q", "--depth=1", "--no-single-branch", url, clone], check=True)
    with Client(clone) as shallow:
        export_site(shallow, tmp_path / "site", SiteOptions())
    stages = twin(tmp_path / "site", "stages")
    pills = [holder["pill"] for row in stages["rows"] for holder in row["holders"] if holder]
    unknown = ("unknown", "this clone is too shallow to tell who set it")
    assert {(pill["state"], pill["note"]) for pill in pills} == {unknown}
    assert stages["forged"] == 0
    waiting = twin(tmp_path / "site", "health")["waiting"]
    assert {change["reason"] for change in waiting} == {unknown[1]}


def test_the_lineage_page_says_why_a_damaged_version_is_missing(
    client: Client, code_repo: Path, tmp_path: Path
) -> None:
    editing.edit(code_repo, {"models/iris/versions/1.toml": "number = ["})
    export_site(client, tmp_path / "site", SiteOptions())
    (first, *others) = twin(tmp_path / "site", "m/iris/lineage")["versions"]
    assert (first["number"], first["lineage"]) == (1, None)
    assert first["fault"]
    assert all(each["lineage"] for each in others)


@pytest.fixture
def served(site: Path) -> Iterator[str]:
    """The address of a web server that serves the site."""

    class Files(QuietHandler, SimpleHTTPRequestHandler):
        def __init__(self, *arguments: object) -> None:
            super().__init__(*arguments, directory=str(site))

    with running(QuietServer(Files)) as server:
        yield server.url


@pytest.mark.parametrize(("dark", "width"), [(False, 1280), (True, 360)])
def test_a_browser_shows_the_pages_without_faults(served: str, visitor: Visitor, dark: bool, width: int) -> None:
    for path in PATHS:
        page = visitor.open(f"{served}/{path}.html", width=width, dark=dark)
        assert accessibility_faults(page) == [], path
        assert page.evaluate("document.documentElement.scrollWidth") <= width, path
        drawings = page.query_selector_all("svg.drawing")
        assert sum(drawing.is_visible() for drawing in drawings) == len(drawings) / 2, path


def test_on_paper_the_history_is_a_table_without_navigation(served: str, visitor: Visitor) -> None:
    page = visitor.open(f"{served}/m/iris/history.html", width=690)
    page.emulate_media(media="print")
    assert not page.is_visible("nav.tabs")
    assert page.is_visible("thead")
    assert page.evaluate("document.documentElement.scrollWidth") <= 690
