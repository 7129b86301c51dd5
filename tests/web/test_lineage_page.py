"""The page of the lineage of a model: a reader chooses the depth (the number of runs), also without script.

The address of the page contains the chosen depth.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest
from browser import Visitor, accessibility_faults, looks
from layout import layout_faults

from gitmodel import Client
from gitmodel.domain.views.lineage import depth, within
from gitmodel.web.export.site import export_site
from gitmodel.web.options import SiteOptions


@pytest.fixture(scope="module")
def client(demo: Path) -> Iterator[Client]:
    with Client(demo) as client:
        yield client


@pytest.fixture(scope="module")
def page(client: Client, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The lineage page of the model `triage` in an exported site."""
    site = tmp_path_factory.mktemp("site")
    export_site(client, site, SiteOptions())
    return site / "m/triage/lineage.html"


@pytest.mark.parametrize("reference", ["triage@6", "churn@13", "demand@12"])
def test_a_lineage_cut_at_a_depth_equals_a_lineage_that_was_read_to_this_depth(client: Client, reference: str) -> None:
    whole = client.lineage(reference)
    assert depth(whole) == (2 if reference == "triage@6" else 1)
    for runs in range(3):
        walked, part = client.lineage(reference, depth=runs), within(whole, runs)
        assert set(part.edges) == set(walked.edges)
        assert {node.id: node.more for node in part.nodes} == {node.id: node.more for node in walked.nodes}
        assert (part.root, depth(part)) == (reference, min(runs, depth(whole)))


def test_a_lineage_read_without_what_was_made_from_its_version_has_none_of_it_after_a_cut(client: Client) -> None:
    part = within(client.lineage("churn@13", down=False), 0)
    assert part.down is None
    assert {node.kind for node in part.nodes} == {"version", "artifact"}


@pytest.mark.parametrize(("script", "width"), [(True, 1280), (False, 360)])
def test_a_reader_can_choose_the_depth_and_the_address_keeps_it(
    page: Path, visitor: Visitor, script: bool, width: int
) -> None:
    site = page.parents[2]
    seen = visitor.open(page.as_uri(), width=width, script=script, site=site)
    section = seen.locator("section").first

    def runs() -> list[str]:
        return sorted(section.locator("svg:visible .node.run text:first-of-type").all_text_contents())

    assert runs() == ["train_churn", "train_triage"]
    section.get_by_role("link", name="1 run").click()
    assert runs() == ["train_triage"]
    assert seen.url.endswith("lineage.html#6-depth-1")
    assert section.locator("p.depths:visible [aria-current]").inner_text() == "1 run"
    tree = section.locator("pre.tree:visible").inner_text()
    assert "churn@13:classifier  ..." in tree
    assert "train_churn" not in tree
    again = visitor.open(seen.url, width=width, script=script, site=site).locator("section").first
    assert again.locator("svg:visible .node.run").count() == 1
    section.get_by_role("link", name="all").click()
    assert runs() == ["train_churn", "train_triage"]


def test_the_page_with_a_chosen_depth_is_accessible(page: Path, visitor: Visitor) -> None:
    seen = visitor.open(f"{page.as_uri()}#7-depth-1", site=page.parents[2])
    for look in looks(seen):
        assert (look, accessibility_faults(seen), layout_faults(seen)) == (look, [], [])


def test_the_page_of_a_lineage_with_one_run_has_no_choice_of_depth(page: Path) -> None:
    of_churn = page.parents[1] / "churn/lineage.html"
    assert "depths" in page.read_text(encoding="utf-8")
    assert "depths" not in of_churn.read_text(encoding="utf-8")
