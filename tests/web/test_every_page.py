"""Every kind of page of the demo registry in a real browser: layout, accessibility, and without script."""

import pytest
from browser import accessibility_faults, looks
from layout import keyboard_faults, layout_faults

from gitmodel import Client
from gitmodel.web import routes
from gitmodel.web.export.site import export_site
from gitmodel.web.options import SiteOptions
from gitmodel.web.registry_data.registry_data import RegistryData

PAGES = [page for page in routes.PAGES if page.template]


@pytest.fixture(scope="module")
def site(demo, tmp_path_factory):
    """The site of the demo registry, and the first and last page of each kind, by the name of the kind."""
    folder = tmp_path_factory.mktemp("site")
    with Client(demo) as client:
        export_site(client, folder, SiteOptions(artifacts=True))
        registry = RegistryData(client, SiteOptions(artifacts=True))
        files = {page.name: [page.file(one) for one in page.list(registry)] for page in PAGES}
    return folder, {name: sorted({found[0], found[-1]}) for name, found in files.items()}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_nothing_overlaps_or_is_cut_off_and_axe_finds_nothing(site, visitor, page):
    """The check runs in a wide and a narrow window, in light and dark, with folded parts closed and open."""
    folder, files = site
    for file in files[page.name]:
        seen = visitor.open((folder / file).as_uri(), site=folder)
        assert (file, keyboard_faults(seen)) == (file, [])
        for is_open in (False, True):
            seen.evaluate(f"document.querySelectorAll('details').forEach(one => one.open = {str(is_open).lower()})")
            for width, dark in looks(seen):
                found = layout_faults(seen) if not dark else []
                found += accessibility_faults(seen) if is_open else []
                assert (file, width, dark, is_open, found) == (file, width, dark, is_open, [])
        seen.close()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_page_without_script_has_the_same_headings_and_rows(site, visitor, page):
    folder, files = site
    url = (folder / files[page.name][0]).as_uri()
    visits = [visitor.open(url, site=folder, script=script) for script in (True, False)]
    found = [visit.locator("main :is(h1, h2, tbody th):visible").all_text_contents() for visit in visits]
    assert found[0][0]
    assert set(found[0]) <= set(found[1])
    assert layout_faults(visits[1]) == []
