"""The base class of immutable tables that a client returns, which notebooks show and pandas can read."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from gitmodel.errors import Invalid, UsageError

if TYPE_CHECKING:
    import pandas
    from typing_extensions import Self

T = TypeVar("T")


class Table(tuple[T, ...]):
    """An immutable sequence of values. *damaged* has an error for each record that could not be read."""

    noun: ClassVar[str]
    damaged: tuple[Invalid, ...]

    def __new__(cls, rows: Iterable[T] = (), *, damaged: Iterable[Invalid] = ()) -> Self:
        made = super().__new__(cls, rows)
        made.damaged = tuple(damaged)
        return made

    @abstractmethod
    def rows(self) -> list[dict[str, Any]]:
        """Return a dictionary for each value of the table, with exact values (not rounded or shortened for display)."""

    def to_pandas(self) -> pandas.DataFrame:
        """Return the result of `rows` as a data frame of pandas. Raises UsageError if pandas is not installed.

        >>> client.find_versions("iris").to_pandas()["metadata.accuracy"].max()      # doctest: +SKIP
        0.97
        """
        try:
            import pandas
        except ImportError as error:
            raise UsageError("to_pandas needs pandas", hint="run `pip install pandas`, or use rows()") from error
        frame: pandas.DataFrame = pandas.DataFrame(self.rows())
        return frame

    def __repr__(self) -> str:
        return f"{type(self).__name__}({len(self)} {self.noun}{'s' if len(self) != 1 else ''})"

    def _repr_html_(self) -> str:
        from gitmodel.client import html  # imported here: only notebooks need it

        rows = self.rows()
        head = list(dict.fromkeys(key for row in rows for key in row))
        return html.table(head, ([row.get(key) for key in head] for row in rows))


def flat_fields(name: str, values: Mapping[str, Any]) -> dict[str, Any]:
    """Return *values*, the table in the field *name* of a record, by the names that filters use.

    Such a name is `metadata.accuracy`.
    """
    from gitmodel.expressions.fields import metadata_values  # imported here: few callers need the rows of a table

    return {str(field): value for field, value in metadata_values(values, (name,))}
