"""The output of objects in notebooks: drawings and tables of versions, histories and lineages, as HTML and SVG."""

import re

import pytest

from gitmodel import Client

EVIL = "<script>alert('x')</script>\u202e"


@pytest.fixture
def client(code_repo):
    with Client(code_repo) as client:
        iris = client.register_model("iris")
        with client.transaction("Create versions") as change:
            for number in (1, 2, 3):
                change.get_model("iris").create_version(metadata={"accuracy": 0.9 + number / 100, "rows": number})
        iris.get_version(1).set_stage("production", reason=EVIL)
        iris.get_version(2).set_stage("production")
        client.set_alias("iris@1", "champion")
        yield client


def shown(value):
    """Return the HTML that a notebook shows for *value*. Fail if text of a record became markup in it."""
    html = value._repr_html_()
    assert "<script" not in html
    assert "\u202e" not in html
    assert not re.search(r"\sstyle=|\son\w+=", html)
    return html


def test_a_list_of_versions_shows_a_chart_of_the_number_that_most_versions_have(client):
    html = shown(client.get_model("iris").versions)
    assert html.startswith("<svg")
    assert "<title>accuracy over versions</title>" in html
    assert "smallest 0.91 at version 1, largest 0.93 at version 3" in html
    assert "champion: version 1; production: version 2" in html
    assert "<th>accuracy</th><th>rows</th>" in html
    assert "<td>production</td>" in html


def test_an_empty_list_of_versions_is_shown_as_a_table_without_a_chart(client):
    assert shown(client.get_model("iris").list_versions(filter="number > 5")).startswith("<table>")


def test_a_model_shows_its_stages(client):
    assert "<tr><td>stages</td><td>production 2</td></tr>" in shown(client.get_model("iris"))
    assert "<td>production 2</td>" in shown(client.list_models())


def test_a_history_shows_swim_lanes_and_a_table(client):
    html = shown(client.view_history("iris"))
    assert html.startswith("<svg")
    assert "production: 2 since" in html
    assert "champion: 1 since" in html
    assert "<th>model</th><th>stage</th>" in html
    client.register_model("wine").create_version().set_stage("production")
    assert "wine production: 1 since" in shown(client.view_history())


def test_a_lineage_is_shown_as_a_graph_and_as_a_tree_of_text(client, tmp_path):
    (tmp_path / "x.csv").write_text("a,b\n", encoding="utf-8")
    client.get_model("iris").create_version(data={"train": tmp_path / "x.csv"})
    html = shown(client.lineage("iris@4"))
    assert "<title>Lineage of iris@4</title>" in html
    assert "<desc>1 version, 0 runs, 1 artifact" in html
    assert "<pre>made from:\niris@4\n└─ train: sha256:" in html
