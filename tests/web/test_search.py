"""The search page finds versions of all models. A server answers with the index, an exported site with a script."""

import json
from pathlib import Path
from urllib.parse import quote
from urllib.request import urlopen

import pytest
from browser import Visitor, accessibility_faults
from layout import layout_faults

from gitmodel import Client

# Queries that both the server and the script can answer, and the versions that match.
QUERIES = [
    ("metadata.accuracy > 0.93", ["iris@5", "iris@4", "wine@2"]),
    ('metadata.accuracy > 0.93 && stage == "production"', ["iris@4"]),
    ('"weekly" in tags', ["iris@5", "wine@1"]),
    ('model == "wine" && number <= 1', ["wine@1"]),
    ("metadata.loss == 0.5", ["iris@2"]),
    ('stage != "none"', ["iris@4", "iris@3"]),
    ("WEEKLY wine", ["wine@1"]),
    ("champion", ["iris@2"]),
    ("trained in week", ["iris@1"]),
    ("nothing-at-all", []),
]


@pytest.fixture(scope="module")
def registry(empty_registry: Client) -> Client:
    client = empty_registry
    with client.transaction("Train") as change:
        iris, wine = change.register_model("iris"), change.register_model("wine")
        for number in range(1, 6):
            tags, told = ["weekly"] if number == 5 else [], "Trained in week 1" if number == 1 else ""
            iris.create_version(
                metadata={"accuracy": 0.9 + number / 100, "loss": 1 / number}, tags=tags, description=told
            )
        wine.create_version(tags=["weekly"], description='<img src="x" onerror="alert(1)">')
        wine.create_version(metadata={"accuracy": 0.95})
    for number in (3, 4):
        client.promote(f"iris@{number}", "production")
    client.set_alias("iris@2", "champion")
    return client


def ask(url: str, query: str) -> dict:
    with urlopen(f"{url}search.json?q={quote(query)}") as response:
        return json.load(response)


@pytest.mark.parametrize(("query", "found"), QUERIES)
def test_the_server_finds_versions_of_all_models(url: str, query: str, found: list[str]) -> None:
    page = ask(url, query)
    assert (page["query"], page["fault"]) == (query, "")
    assert [f"{row['model']}@{row['number']}" for row in page["found"]] == found


def test_the_server_accepts_the_whole_grammar_of_filters(url: str) -> None:
    page = ask(url, 'has(metadata.loss) && metadata.loss < 0.3 || "champion" in aliases')
    assert [(row["number"], row["numbers"]) for row in page["found"]] == [
        (5, [["loss", 0.2]]), (4, [["loss", 0.25]]), (2, [["loss", 0.5]]),
    ]  # fmt: skip


def test_a_filter_that_cannot_be_evaluated_is_explained(url: str, visitor: Visitor) -> None:
    page = visitor.open(f"{url}search?q={quote('metadata.acuracy > 0.9')}", script=False)
    assert "no version has metadata.acuracy" in page.locator(".notice.bad").inner_text()
    assert "did you mean metadata.accuracy?" in page.locator(".notice.bad").inner_text()
    assert ask(url, "x" * 3_000 + " < 1")["fault"].endswith("the limit is 2,000")


def test_a_hostile_query_stays_text(url: str, visitor: Visitor) -> None:
    hostile = '"><script>alert(1)</script> \u202e <img src=x onerror=alert(1)> < 1'
    page = visitor.open(f"{url}search?q={quote(hostile)}")
    assert page.get_by_role("searchbox").input_value().startswith('"><script>alert(1)</script> \\u202e')
    assert page.locator("main script, main img").count() == 0


def test_a_reader_without_script_searches_with_the_form(url: str, visitor: Visitor) -> None:
    page = visitor.open(url, script=False)
    page.get_by_role("searchbox", name="Search the versions of all models").fill("metadata.accuracy > 0.93")
    page.get_by_role("button", name="Search").click()
    page.locator("#found tbody tr").first.wait_for()
    assert page.locator("#found tbody th").all_inner_texts() == ["iris@5", "iris@4", "wine@2"]
    assert page.get_by_role("searchbox").input_value() == "metadata.accuracy > 0.93"
    page.get_by_role("link", name="iris@4").click()
    assert page.locator("h1").inner_text() == "iris version 4"


def test_a_site_in_a_folder_finds_the_same_versions(site: Path, visitor: Visitor) -> None:
    page = visitor.open((site / "index.html").as_uri(), site=site)
    for query, expected in QUERIES:
        page.goto((site / "index.html").as_uri())
        page.get_by_role("searchbox", name="Search the versions of all models").fill(query)
        page.get_by_role("button", name="Search").click()
        page.get_by_text(f"Found: {len(expected)}", exact=True).wait_for()
        assert (query, page.locator("#found tbody th").all_inner_texts()) == (query, expected)
        assert page.get_by_text("A static site compares only numbers").is_visible() == (not expected)


@pytest.mark.parametrize(
    "query", ["metadata.loss < 0.3 || number == 1", "has(metadata.loss)", '"champion" in aliases', "metadata.loss < x"]
)
def test_a_site_in_a_folder_says_which_filters_it_supports_if_a_filter_is_not_one_of_them(
    site: Path, visitor: Visitor, query: str
) -> None:
    page = visitor.open(f"{(site / 'search.html').as_uri()}?q={quote(query)}", site=site)
    page.get_by_text("A static site compares only numbers").wait_for()
    assert page.locator("#found tbody tr").count() == 0


@pytest.mark.parametrize(("width", "dark"), [(1280, False), (360, True)])
def test_the_page_of_a_search_is_accessible_and_nothing_is_cut_off(
    url: str, visitor: Visitor, width: int, dark: bool
) -> None:
    page = visitor.open(f"{url}search?q=weekly", width=width, dark=dark)
    assert page.locator("#found tbody tr").count() == 2
    assert (layout_faults(page), accessibility_faults(page)) == ([], [])
