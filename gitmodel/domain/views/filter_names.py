"""The type that describes which fields of a record a filter can use. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple, TypeAlias


class Words(NamedTuple):
    """The form of a field with one text, which is one of the texts *known*, such as the status of a run."""

    known: tuple[str, ...]


# The form of a field: a table with these fields, a list of items of this form, a text with known values, VALUE or
# RECORDED.
Names: TypeAlias = "Mapping[str, Names] | list[Names] | Words | str"
VALUE = "value"  # a single value without inner fields
RECORDED = "recorded"  # a table whose keys people chose, such as metadata
RECORDED_FIELDS = ("metadata", "parameters")  # the tables whose values lists can show in columns
