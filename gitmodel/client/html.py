"""Tables and drawings for notebooks, from views of records."""

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

# The greatest number of columns for numbers of the metadata.
_MOST_NUMBERS = 4


def fields_table(fields: Iterable[tuple[str, Any]]) -> str:
    """Return a table of *fields* and their values, without empty fields."""
    return table(("field", "value"), [row for row in fields if row[1] not in ("", [], {}, None)])


def models_table(views: Iterable[ModelView]) -> str:
    """Return a table of models."""
    rows = [(view.name, view.record.title, view.count, view.latest, cell_text.stages_of_model(view)) for view in views]
    return table(("model", "title", "versions", "latest", "stages"), rows)


def versions_table(views: Sequence[VersionView], total: int | None) -> str:
    """Return a chart of the number that most versions have, and a table of the versions.

    *total* is the number of all versions of the model. If the table lacks some of them, its last line says so.
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
    """Return the stages and aliases over time as swim lanes. If there are several models, each lane names its model."""
    models = {event.model for event in events}
    spans = []
    for event in reversed(events):
        lane = event.stage if len(models) == 1 else f"{event.model} {event.stage}"
        if event.version is not None:
            state = HELD if event.counts else REFUSED
            spans.append(Span(lane, str(event.version), event.when, event.until, state))
    return swim_lanes(spans, title="Stages over time", lanes=list(dict.fromkeys(span.lane for span in spans)))


def lineage_drawing(lineage: Lineage) -> str:
    """Return the graph of *lineage*, and the same as a text tree."""
    lines = "\n".join(map(words, tree(lineage)))
    return f"{lineage_graph(lineage)}<pre>{lines}</pre>"


def table(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """Return a table with the names *head* of its columns."""

    def cells(tag: str, row: Sequence[Any]) -> str:
        return "".join(f"<{tag}>{_text('' if cell is None else str(cell))}</{tag}>" for cell in row)

    body = "".join(f"<tr>{cells('td', row)}</tr>" for row in rows)
    return f"<table><thead><tr>{cells('th', head)}</tr></thead><tbody>{body}</tbody></table>"


def _text(text: str) -> str:
    """Return *text* for a cell, on one line, with control characters and direction marks as escapes."""
    return " ".join(map(words, text.splitlines()))


def _chart(views: Sequence[VersionView], key: str, numbers: dict[int, float]) -> str:
    """Return the numbers under *key* as a line, with marks at the versions that have a stage or an alias."""
    marks = [
        Mark(view.record.number, name)
        for view in views
        for name in (*((view.stage,) if view.stage not in (None, "archived") else ()), *view.aliases)
    ]
    points = [(view.record.number, numbers.get(view.record.number)) for view in views]
    return line_chart(points, name=key, marks=marks)
