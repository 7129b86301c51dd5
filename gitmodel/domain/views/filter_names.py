"""The type that describes which fields of a record a filter can use. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple, TypeAlias


class Words(NamedTuple):
    """Describes a field whose value is one of the texts *known*, such as the status of a run."""

    known: tuple[str, ...]


# The description of a field of a record. A mapping describes a table by its fields, and a list with one element
# describes a list by its items. `Words`, VALUE and RECORDED are other kinds of fields.
Names: TypeAlias = "Mapping[str, Names] | list[Names] | Words | str"
VALUE = "value"  # a single value without inner fields
RECORDED = "recorded"  # a table whose keys people chose, such as metadata
RECORDED_FIELDS = ("metadata", "parameters")  # the tables whose values lists can show in columns
