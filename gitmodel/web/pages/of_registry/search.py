"""The search over the versions of all models.

The server answers a query from the index. In a site without a server, a script reads the data files of the models.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime

from gitmodel.domain.views.record_views import VersionView
from gitmodel.errors import GitModelError
from gitmodel.frozen import Frozen
from gitmodel.web.page import Page
from gitmodel.web.registry_data.registry_data import RegistryData

# The greatest number of versions that the page shows. The script has the same limit.
MOST_FOUND = 200
# A query that contains one of these operators is a filter. Any other query is a list of words.
_OPERATOR = re.compile(r"""[<>=!(]|["'] in """)


class FoundVersion(Frozen):
    """A version that matches a query. *numbers* are the numbers of its metadata whose keys are in the query."""

    model: str
    number: int
    name: str | None
    stage: str | None
    aliases: tuple[str, ...]
    pending: tuple[str, ...]
    failed: bool
    numbers: tuple[tuple[str, float], ...]
    description: str
    tags: tuple[str, ...]
    created: datetime


class SearchPage(Frozen):
    """The versions that match *query* ("" for no search). *more* is True if more versions match than the page shows.

    *fault* is the error of a filter that cannot be evaluated, and *hint* says what to write instead.
    """

    query: str
    found: tuple[FoundVersion, ...]
    more: bool
    fault: str
    hint: str
    models: tuple[str, ...]


def read(registry: RegistryData, query: str = "") -> SearchPage:
    """Return the value of the page with the versions that match *query*, which is a list of words or a filter."""
    query = query.strip()
    fault = hint = ""
    found: list[VersionView] = []
    try:
        found = list(_search(registry, query)) if query else []
    except GitModelError as error:
        fault, hint = error.message, error.hint
    shown = tuple(_found(registry, view, query) for view in found[:MOST_FOUND])
    return SearchPage(query, shown, len(found) > MOST_FOUND, fault, hint, tuple(registry.models))


def _search(registry: RegistryData, query: str) -> Iterator[VersionView]:
    """Yield the versions that match, at most one more than the page shows. Raises UsageError for an invalid filter."""
    if _OPERATOR.search(query):
        yield from registry.client.find_versions(filter=query, limit=MOST_FOUND + 1)
        return
    words, count = query.casefold().split(), 0
    for model in registry.models:
        for view in registry.versions(model).values():
            if all(word in _text(view) for word in words):
                yield view
                count += 1
                if count > MOST_FOUND:
                    return


def _text(view: VersionView) -> str:
    record = view.record
    places = (view.stage or "", *view.aliases, *(state.name for state in view.pending))
    parts = (str(view), record.name or "", record.description, *record.tags, *places)
    return " ".join(parts).casefold()


def _found(registry: RegistryData, view: VersionView, query: str) -> FoundVersion:
    record, numbers = view.record, registry.numbers(view.model)
    found = ((key, values.get(record.number)) for key, values in numbers.items() if key in query)
    return FoundVersion(
        view.model,
        record.number,
        record.name,
        view.stage,
        view.aliases,
        tuple(state.name for state in view.pending if state.recorded == record.number),
        record.failed,
        tuple((key, value) for key, value in found if value is not None),
        record.description,
        record.tags,
        record.created,
    )


PAGE = Page("search", "/search", read, template="search.html", takes_query=True)
