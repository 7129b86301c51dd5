"""The table of all pages, which the server, the export, the navigation and the links use."""

from __future__ import annotations

from gitmodel.frozen import Frozen
from gitmodel.web.page import Page, Parameters
from gitmodel.web.pages.of_model import data, history, lineage, model, version
from gitmodel.web.pages.of_registry import feed, health, models, picture, proposals, rules, runs, search, stages

PAGES: tuple[Page, ...] = (
    models.PAGE,
    search.PAGE,
    stages.PAGE,
    history.HISTORIES,
    history.HISTORIES_CSV,
    proposals.PROPOSALS,
    proposals.PROPOSAL,
    model.PAGE,
    version.PAGE,
    history.HISTORY,
    history.HISTORY_CSV,
    lineage.PAGE,
    model.COMPARISON,
    data.PAGE,
    data.SCRIPT,
    data.RELEASES,
    runs.RUNS,
    runs.RUN,
    rules.PAGE,
    health.PAGE,
    feed.PAGE,
    picture.PAGE,
)


class Found(Frozen):
    """The page that a path names, and its parameters. *is_twin* is True if the path names the JSON twin of the page."""

    page: Page
    parameters: Parameters
    is_twin: bool = False


def find_page(path: str) -> Found | None:
    """Return the page at *path*, which is an address or the path of a file; None if there is no such page.

    >>> find_page("/m/iris/v/3.json").is_twin
    True
    """
    is_twin = path.endswith(".json")
    for page in PAGES:
        address = f"{path.removesuffix('.json')}.html" if is_twin and page.template else path
        found = page.find(address)
        if found is not None:
            return Found(page, found, is_twin and page.template is not None)
    return None


def relative(file: str, to: str) -> str:
    """Return the shortest relative address by which the page in *file* links to the file *to*.

    >>> relative("m/iris/v/3.html", "m/iris/v/4.html"), relative("m/iris/index.html", "stages.html")
    ('4.html', '../../stages.html')
    """
    folders, target = file.split("/")[:-1], to.split("/")
    common = 0
    for folder, other in zip(folders, target[:-1], strict=False):
        if folder != other:
            break
        common += 1
    return "../" * (len(folders) - common) + "/".join(target[common:])


def twin_of(file: str) -> str:
    """Return the path of the JSON twin of the page at the path *file*.

    >>> twin_of("m/iris/index.html")
    'm/iris/index.json'
    """
    return f"{file.removesuffix('.html')}.json"
