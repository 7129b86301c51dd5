"""Selecting rows by a filter, an order, a limit and an offset, for the lists of runs, holders and changes.

`version_search` does the same for versions with the help of the index.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from gitmodel.domain.arguments.paging import read_page
from gitmodel.domain.views.filter_names import RECORDED_FIELDS, Names
from gitmodel.errors import Invalid

if TYPE_CHECKING:
    from gitmodel.expressions.filter import Filter

T = TypeVar("T")


class Selection:
    """A filter, an order, a limit and an offset for a list. *known* are the fields that a row can have.

    *sort* is a field or a key of the metadata; "-" before it reverses the order, and "" keeps the order of the rows.
    Raises UsageError for invalid arguments.
    """

    def __init__(
        self,
        known: Mapping[str, Names],
        *,
        filter: str = "",
        sort: str = "",
        limit: int | None = None,
        offset: int = 0,
    ) -> None:
        self._page = read_page(limit, offset)
        self._wanted = parse_filter(filter, known)
        self._order = None
        if sort:
            from gitmodel.expressions.fields import read_order  # imported here: few lists are sorted

            self._order = read_order(sort, known)

    def of(
        self, rows: Iterable[T | Invalid], fields: Callable[[T], Mapping[str, Any]], *, nothing: str
    ) -> tuple[list[T], list[Invalid]]:
        """Return the *rows* that match the filter, sorted and cut by offset and limit, and the errors among them.

        *fields* returns the fields of a row. Rows without a value for the order come last. If there is no order, stops
        reading when it has enough rows and has seen every name and type in the filter. *nothing* is the subject of
        messages, such as "no run". Raises UsageError if no row has a name in the filter, a value of the type with which
        the filter compares it, or the key of the order.
        """
        found: list[T] = []
        damaged: list[Invalid] = []
        last = self._page.stop if self._order is None else None
        for row in rows if last != 0 else ():
            if isinstance(row, Invalid):
                damaged.append(row)
            elif self._wanted is None or (self._wanted.matches(fields(row)) and len(found) != last):
                found.append(row)
            if len(found) == last and not (self._wanted and self._wanted.unseen):
                break
        if self._wanted is not None:
            self._wanted.check_searched(nothing)
        return self._sorted(found, fields, nothing)[self._page], damaged

    def _sorted(self, found: list[T], fields: Callable[[T], Mapping[str, Any]], nothing: str) -> list[T]:
        if self._order is None:
            return found
        order, records = self._order, [fields(row) for row in found]
        is_recorded = order.field.steps[0] in RECORDED_FIELDS
        if records and is_recorded and all(order.field.value(record) is None for record in records):
            from gitmodel.expressions.fields import missing_field

            beside = {name for record in records for name in order.field.beside(record)}
            raise missing_field(order.field, beside, nothing)
        return [row for _, row in order.sort(list(zip(records, found, strict=True)), lambda pair: pair[0])]


def parse_filter(text: str, known: Names) -> Filter | None:
    """Return the parsed filter *text* for records with the fields *known*; None if it is "". Raises UsageError."""
    if not text:
        return None
    from gitmodel.expressions.filter import Filter  # imported here because a list without a filter does not need it

    return Filter(text, known)
