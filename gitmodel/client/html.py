"""HTML of tables and drawings that handles and lists show in notebooks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from gitmodel.branch.history.stage_history import StageEvent
from gitmodel.domain.views import cell_text
from gitmodel.domain.views.lineage import Lineage
from gitmodel.domain.views.lineage_drawing import tree
from gitmodel.domain.views.metadata_numbers import finite_numbers, numbers_by_key
from gitmodel.domain.views.record_views import ModelView, VersionView
from gitmodel.svg.line_chart import Mark, line_chart
from gitmodel.svg.lineage_graph import lineage_graph
from gitmodel.svg.markup import words
from gitmodel.svg.swim_lanes import HELD, REFUSED, Span, swim_lanes

# The maximum number of columns for keys of the metadata that have numbers.
_MOST_NUMBERS = 4


def fields_table(fields: Iterable[tuple[str, Any]]) -> str:
    """Return an HTML table of *fields*: pairs of name and value. Fields with an empty value are left out."""
    return table(("field", "value"), [row for row in fields if row[1] not in ("", [], {}, None)])


def models_table(views: Iterable[ModelView]) -> str:
    """Return an HTML table of models."""
    rows = [(view.name, view.record.title, view.count, view.latest, cell_text.stages_of_model(view)) for view in views]
    return table(("model", "title", "versions", "latest", "stages"), rows)


def versions_table(views: Sequence[VersionView], total: int | None) -> str:
    """Return the HTML of a chart and a table of versions.

    The chart shows the key of the metadata under which most versions have a number. *total* is the number of all
    versions of the model, or None. If *views* does not have all of them, a line below the table says so.
    """
    numbers = numbers_by_key((view.record.number, finite_numbers(view.record.metadata)) for view in views)
    keys = list(numbers)[:_MOST_NUMBERS]
    rows = [
        (
            view.record.number,
            view.record.name,
            cell_text.stage_of_version(view),
            cell_text.aliases_of_version(view),
            cell_text.utc_time(view.record.created),
            *(numbers[key].get(view.record.number) for key in keys),
            view.record.description,
        )
        for view in views
    ]
    found = table(("version", "name", "stage", "aliases", "created", *keys, "description"), rows)
    if keys and len(views) > 1:
        found = _chart(views, keys[0], numbers[keys[0]]) + found
    if total is None or total <= len(views):
        return found
    return f"{found}<p>{len(views)} of {total} versions; list_versions() has all</p>"


def history_drawing(events: Sequence[StageEvent]) -> str:
    """Return *events* as swim lanes. If they are of several models, the name of a lane begins with its model."""
    models = {event.model for event in events}
    spans = []
    for event in reversed(events):
        lane = event.stage if len(models) == 1 else f"{event.model} {event.stage}"
        if event.version is not None:
            state = HELD if event.counts else REFUSED
            spans.append(Span(lane, str(event.version), event.when, event.until, state))
    return swim_lanes(spans, title="Stages over time", lanes=list(dict.fromkeys(span.lane for span in spans)))


def lineage_drawing(lineage: Lineage) -> str:
    """Return the HTML of *lineage* as a graph and as a text tree."""
    lines = "\n".join(map(words, tree(lineage)))
    return f"{lineage_graph(lineage)}<pre>{lines}</pre>"


def table(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """Return an HTML table of *rows*. *head* are the names of the columns."""

    def cells(tag: str, row: Sequence[Any]) -> str:
        return "".join(f"<{tag}>{_text('' if cell is None else str(cell))}</{tag}>" for cell in row)

    body = "".join(f"<tr>{cells('td', row)}</tr>" for row in rows)
    return f"<table><thead><tr>{cells('th', head)}</tr></thead><tbody>{body}</tbody></table>"


def _text(text: str) -> str:
    """Return *text* as HTML on one line, with control characters and direction marks replaced by escapes."""
    return " ".join(map(words, text.splitlines()))


def _chart(views: Sequence[VersionView], key: str, numbers: dict[int, float]) -> str:
    """Return a line chart of *numbers*, the values of *key* by the number of the version.

    Marks show the versions that are in an exclusive stage or have an alias.
    """
    marks = [
        Mark(view.record.number, name)
        for view in views
        for name in (*((view.stage,) if view.stage not in (None, "archived") else ()), *view.aliases)
    ]
    points = [(view.record.number, numbers.get(view.record.number)) for view in views]
    return line_chart(points, name=key, marks=marks)
