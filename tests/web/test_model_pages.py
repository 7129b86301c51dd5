"""The pages of models and versions in a real browser, with and without script, from a server and from a folder."""

from pathlib import Path

import pytest
from browser import Visitor, accessibility_faults, looks
from layout import layout_faults
from playwright.sync_api import Page

from gitmodel import Client
from gitmodel.web.export.site import asset_files

PATHS = ("index", "m/iris/index", "m/iris/v/105", "m/iris/v/90", "m/iris/compare", "m/wine/index", "m/empty/index")


@pytest.fixture(scope="module")
def registry(empty_registry: Client) -> Client:
    """A registry with 105 versions of `iris`, a model with one version, and a model without versions."""
    client = empty_registry
    client.register_model("iris", title="Irises", tags=["flowers", "small"], description="Knows *irises*.")
    client.register_model("wine", owners=["cleo"], tags=["small"]).create_version(metadata={"note": "x" * 300})
    client.register_model("empty", title="A" * 60)
    with client.transaction("Train") as change:
        for number in range(1, 106):
            change.get_model("iris").create_version(
                description=f"Trained in week {number}",
                tags=["weekly"] if number % 10 == 0 else [],
                metadata={"accuracy": 0.8 + number / 1000, "loss": 1 / number, "rows": 100 * number},
            )
    client.add_gate("production", "accurate", "metadata.accuracy >= 0.85")
    for number in (90, 104):
        client.promote(f"iris@{number}", "production", reason=f"the best until week {number}")
    client.promote("iris@105", "staging")
    client.set_alias("iris@80", "champion")
    return client


def column(page: Page, place: int) -> list[str]:
    return page.locator(f"#versions tbody tr > *:nth-child({place})").all_inner_texts()


def test_the_style_sheet_and_the_script_are_small() -> None:
    sizes = {path: len(data) for path, data in asset_files().items()}
    assert sizes["assets/site.js"] <= 15_000
    assert sizes["assets/site.css"] <= 12_000


def test_pages_are_accessible_and_nothing_is_cut_off(url: str, visitor: Visitor) -> None:
    found = {}
    for path in PATHS:
        page = visitor.open(f"{url}{path}.html" + ("#v=90,104,105" if path.endswith("compare") else ""))
        if path.endswith("compare"):
            page.wait_for_selector("#comparison tbody tr")
        for look in looks(page):
            if faults := accessibility_faults(page) + layout_faults(page):
                found[path, look] = faults
        page.close()
    assert found == {}


def test_the_address_of_a_page_keeps_the_filter_and_the_order_of_versions(url: str, visitor: Visitor) -> None:
    page = visitor.open(f"{url}m/iris/")
    page.get_by_role("searchbox", name="Filter").fill("weekly accuracy>=0.85")
    page.wait_for_function("() => document.querySelectorAll('#versions tbody tr').length === 6")
    page.get_by_role("button", name="loss").click()
    page.wait_for_function("() => document.querySelector('#versions tbody th').innerText === '50'")
    assert column(page, 2) == ["50", "60", "70", "80", "90", "100"]
    assert page.locator("th[aria-sort]").inner_text().startswith("loss")
    again = visitor.open(page.url)
    again.wait_for_function("() => document.querySelector('#versions tbody th').innerText === '50'")
    assert column(again, 2) == ["50", "60", "70", "80", "90", "100"]


def test_the_reader_can_choose_columns_and_show_older_versions(url: str, visitor: Visitor) -> None:
    page = visitor.open(f"{url}m/iris/")
    page.get_by_text("Columns", exact=True).first.click()
    page.get_by_label("accuracy", exact=True).uncheck()
    page.wait_for_function("() => document.querySelectorAll('#versions th[data-key]').length === 2")
    # waits for the rows, which the script replaces after the head of the table
    page.locator("#versions tbody tr:first-child > *:nth-child(4)", has_text="0.009524").wait_for()
    page.get_by_role("button", name="Show 100 more").click()
    page.wait_for_function("() => document.querySelectorAll('#versions tbody tr').length === 105")


def test_a_reader_can_select_versions_and_compare_them(url: str, visitor: Visitor) -> None:
    page = visitor.open(f"{url}m/iris/")
    compare = page.locator("a.compare")
    assert compare.get_attribute("aria-disabled") == "true"
    for number in (105, 104):
        page.get_by_label(f"Select version {number}", exact=True).check()
    compare.click()
    page.wait_for_selector("#comparison tbody tr")
    assert page.url.endswith("compare.html#v=104,105")
    rows = page.locator("#comparison tbody tr").all_inner_texts()
    assert any(row.startswith("stage") and "production" in row and "staging" in row for row in rows)
    page.get_by_label("Only differences").check()
    assert page.locator("#comparison tbody tr:visible").count() < len(rows)


def test_the_chart_shows_the_number_that_the_reader_selects(url: str, visitor: Visitor) -> None:
    page = visitor.open(f"{url}m/iris/")
    page.get_by_label("Number").select_option("loss")
    page.wait_for_function("() => document.querySelector('#chart title').textContent === 'loss over versions'")
    assert page.get_by_role("heading", name="loss over versions").is_visible()
    assert "production 104" in page.locator("#chart").inner_text()


def test_the_chart_has_the_width_of_the_page_and_the_limits_of_gates(url: str, visitor: Visitor) -> None:
    page = visitor.open(f"{url}m/iris/")
    shown = page.locator("#chart svg:visible")
    width = page.evaluate("document.getElementById('chart').clientWidth")
    assert shown.evaluate("element => element.getBoundingClientRect().width") == width
    limit = "gate of production: >= 0.85"
    assert limit in shown.text_content()
    for key, expected in (("loss", False), ("accuracy", True)):  # the script draws the chart of the selected key
        page.get_by_label("Number").select_option(key)
        page.wait_for_function(f"() => document.querySelector('#chart title').textContent === '{key} over versions'")
        assert (limit in shown.text_content(), shown.locator(".limit").count() > 0) == (expected, expected)
    assert shown.evaluate("element => element.getBoundingClientRect().width") == width


def test_titles_of_the_pages_of_a_model_begin_with_their_headings(url: str, visitor: Visitor) -> None:
    for path, title in {
        "m/iris/": "iris", "m/iris/v/104": "iris version 104", "m/iris/history": "History of iris",
        "m/iris/lineage": "Lineage of iris", "m/iris/compare": "Comparison of iris",
    }.items():  # fmt: skip
        page = visitor.open(f"{url}{path}", script=False)
        assert page.title() == f"{title} · Model registry"
        assert page.locator("h1").inner_text() == title + (" Irises" if "/v/" not in path else "")
        assert page.locator(".bar [aria-current]").inner_text() == "Models"
        assert page.locator(".tabs [aria-current]").count() == 1


def test_metadata_numbers_of_a_version_stay_on_one_line_on_a_phone(url: str, visitor: Visitor) -> None:
    page = visitor.open(f"{url}m/iris/v/104.html", width=360)
    broken = """() => [...document.querySelectorAll("[aria-labelledby=before-title] tbody td")].filter(cell => {
        const range = document.createRange()
        range.selectNodeContents(cell.firstChild ?? cell)  // without the word below a number
        return range.getClientRects().length > 1
    }).map(cell => cell.innerText)"""
    assert page.evaluate(broken) == []
    assert page.get_by_role("link", name="Compare with 90, replaced in production").is_visible()


def test_a_reader_can_filter_the_list_of_models_by_words_and_tags(url: str, visitor: Visitor) -> None:
    page = visitor.open(url)
    page.get_by_label("small").check()
    assert page.locator("#models tbody tr:visible").count() == 2
    page.get_by_role("searchbox", name="Filter").fill("cleo")
    assert page.locator("#models tbody tr:visible").all_inner_texts()[0].startswith("wine")
    again = visitor.open(page.url)
    assert again.locator("#models tbody tr:visible").count() == 1


def test_every_control_can_be_reached_by_keyboard(url: str, visitor: Visitor) -> None:
    page = visitor.open(f"{url}m/wine/")
    wanted = page.evaluate(
        """() => [...document.querySelectorAll("a[href], button, input, select, summary")].filter(element =>
        element.checkVisibility()).map((element, place) => element.dataset.place = String(place))"""
    )
    reached = set()
    for _ in range(len(wanted) + 5):
        page.keyboard.press("Tab")
        place = page.evaluate("document.activeElement.dataset.place")
        if place is not None:
            reached.add(place)
            assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    assert reached == set(wanted)


def test_pages_work_when_a_browser_opens_them_from_a_folder(site: Path, visitor: Visitor) -> None:
    page = visitor.open(f"{site.as_uri()}/index.html")
    page.get_by_role("link", name="iris", exact=True).click()
    page.wait_for_selector("#versions")
    page.get_by_role("searchbox", name="Filter").fill("weekly")
    page.wait_for_function("() => document.querySelectorAll('#versions tbody tr').length === 10")
    page.goto(f"{site.as_uri()}/m/iris/compare.html#v=80,production")
    page.wait_for_selector("#comparison tbody tr")
    assert page.locator("#comparison thead").inner_text().split()[1:] == ["Version", "80", "Version", "104"]


def test_pages_can_be_read_without_script(url: str, visitor: Visitor) -> None:
    page = visitor.open(f"{url}m/iris/", script=False)
    assert page.locator("#versions tbody tr").count() == 100
    assert page.locator("form:visible, button:visible").count() == 0
    page.get_by_role("link", name="104", exact=True).first.click()
    assert "accuracy" in page.locator("main").inner_text()
    assert page.get_by_text("From version 90, which was in production before").is_visible()
