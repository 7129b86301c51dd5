"""Reading the names of fields that users give for the columns and the order of a list. Pure: no I/O."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any, NamedTuple, TypeVar

from gitmodel.domain.schema.names import did_you_mean
from gitmodel.domain.views.filter_names import RECORDED, RECORDED_FIELDS, VALUE, Names
from gitmodel.errors import UsageError
from gitmodel.expressions.clauses import Trouble, as_scalar, look_up
from gitmodel.expressions.syntax import read_path, read_tokens, spelled

T = TypeVar("T")
_MOST_SHOWN = 12


class Field(NamedTuple):
    """A field of a record. *steps* are the keys and indexes that lead to its value."""

    steps: tuple[str | int, ...]

    def value(self, record: Mapping[str, object]) -> Any:
        """Return the value of the field in *record*; None if *record* has none."""
        found = look_up(record, self.steps)
        return None if type(found) is Trouble else found

    def beside(self, record: Mapping[str, object]) -> Iterable[str]:
        """Yield names in *record*, with dots, that a person may have meant by this field."""
        from gitmodel.expressions.filter_terms import names_beside  # imported here, because only errors need it

        for root in dict.fromkeys((self.steps[0], *RECORDED_FIELDS)):
            yield from names_beside(record, (root, *self.steps[1:]))

    def __str__(self) -> str:
        return spelled(self.steps)


def read_field(text: str, field_names: Mapping[str, Names]) -> Field:
    """Return the field that *text* names: a path that starts with one of *field_names*, or else a key of the metadata.

    >>> [str(read_field(text, {"number": "", "code": ""})) for text in ("number", "code.commit", "loss", "it's")]
    ['number', 'code.commit', 'metadata.loss', 'metadata["it\\'s"]']
    """
    if not text:
        raise UsageError("the name of a field is empty", hint="name one, such as metadata.accuracy")
    try:
        steps = read_path(read_tokens(text))
    except UsageError:
        steps = None
    if steps is None:
        return Field(("metadata", text))
    return Field(steps if steps[0] in field_names else ("metadata", *steps))


def metadata_values(table: Mapping[str, Any], within: tuple[str, ...] = ("metadata",)) -> Iterator[tuple[Field, Any]]:
    """Yield each field of *table* with its value. Yields the fields of an inner table instead of that table.

    *within* is the path of *table* in the record.

    >>> [(str(field), value) for field, value in metadata_values({"accuracy": 0.9, "split": {"rows": 150}})]
    [('metadata.accuracy', 0.9), ('metadata.split.rows', 150)]
    """
    for key, value in table.items():
        if isinstance(value, Mapping):
            yield from metadata_values(value, (*within, key))
        else:
            yield Field((*within, key)), value


class Order(NamedTuple):
    """An order of records by their values of *field*. If *descending* is True, the largest value comes first."""

    field: Field
    descending: bool = False

    def sort(self, rows: Iterable[T], record_of: Callable[[T], Mapping[str, object]]) -> list[T]:
        """Return *rows* in this order. *record_of* returns the record of a row, which has the value of the field.

        Rows with equal values keep their order. Values of different types are in the order numbers, booleans, lists,
        tables, NaN, texts, times, even if *descending* is True. Rows without a value come last.

        >>> rows = [{"metadata": {"a": value}} for value in (1, "x", 3)] + [{}]
        >>> Order(Field(("metadata", "a")), descending=True).sort(rows, lambda row: row)
        [{'metadata': {'a': 3}}, {'metadata': {'a': 1}}, {'metadata': {'a': 'x'}}, {}]
        """
        ranks: dict[int, list[tuple[Any, T]]] = {}
        for row in rows:
            rank, value = _rank(self.field.value(record_of(row)))
            ranks.setdefault(rank, []).append((value, row))
        found: list[T] = []
        for _, of_rank in sorted(ranks.items(), key=lambda item: item[0]):
            of_rank.sort(key=lambda item: item[0], reverse=self.descending)
            found += [row for _, row in of_rank]
        return found


def missing_field(field: Field, beside: Iterable[str], nothing: str, elsewhere: str = "") -> UsageError:
    """Return the error for a *field* that no record has. *nothing* is the subject of its message, such as "no run".

    The hint of the error suggests a similar name from *beside*, the names that records have. If none is similar, the
    hint is *elsewhere* or, if that is "", a list of *beside*.

    >>> missing_field(Field(("metadata", "acuracy")), ["metadata.accuracy"], "no run").hint
    'did you mean metadata.accuracy?'
    """
    known = sorted(beside)
    same = [name for name in known if name.rpartition(".")[2] == str(field).rpartition(".")[2]]
    names = f"known: {', '.join(known[:_MOST_SHOWN])}" if known else f"none of them has {field.steps[0]}"
    hint = f"did you mean {same[0]}?" if same else did_you_mean(str(field), known) or elsewhere or names
    return UsageError(f"{nothing} has {field}", hint=hint)


def names_below(field: Field, field_names: Mapping[str, Names]) -> Names:
    """Return the part of *field_names*, the tree of field names, that is below *field*.

    Raises UsageError if *field_names* does not have the field.

    >>> names_below(Field(("code",)), {"code": {"commit": "value"}})
    {'commit': 'value'}
    """
    names: Names = field_names
    for depth, step in enumerate(field.steps):
        if names == RECORDED:
            return VALUE
        if isinstance(names, Mapping) and step in names:
            names = names[str(step)]
        elif isinstance(names, list) and isinstance(step, int):
            names = names[0]
        else:
            below = [spelled((*field.steps[:depth], name)) for name in names] if isinstance(names, Mapping) else []
            raise UsageError(
                f"there is no field {field}",
                hint=did_you_mean(str(field), below, f"known: {', '.join(below)}" if below else "name another one"),
            )
    return names


def read_order(text: str, field_names: Mapping[str, Names]) -> Order | None:
    """Return the order that *text* names: a field as in `read_field`, after "-" for descending order; None for "".

    Raises UsageError if *field_names* does not have the field, or if the field is a list or table, by which one cannot
    sort.
    """
    if not text:
        return None
    field = read_field(text.removeprefix("-"), field_names)
    names = names_below(field, field_names)
    if names == RECORDED or isinstance(names, (list, Mapping)):
        raise UsageError(f"{field} has no order: it is a list or a table", hint="name a field that is a single value")
    return Order(field, text.startswith("-"))


def _rank(value: Any) -> tuple[int, Any]:
    """Return a sort key: the position of the type of *value* among types, and a value to compare within the type."""
    scalar = as_scalar(value)
    if isinstance(scalar, bool):
        return 1, scalar
    if isinstance(scalar, (int, float)):
        return (0, scalar) if scalar == scalar else (4, 0)
    if isinstance(scalar, str):
        return 5, scalar
    if isinstance(scalar, datetime):
        return 6, scalar
    if scalar is None:
        return 7, 0
    return (3 if isinstance(scalar, Mapping) else 2), 0
