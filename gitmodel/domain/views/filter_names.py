"""The names that a filter can use of a record, and the types of their values. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple, TypeAlias


class Words(NamedTuple):
    """A single text that is one of *known*, such as the status of a run."""

    known: tuple[str, ...]


# A mapping of fields, a list with the fields of its items, a text with known values, or one of the two words below.
Names: TypeAlias = "Mapping[str, Names] | list[Names] | Words | str"
VALUE = "value"  # a single value without inner fields
RECORDED = "recorded"  # its inner fields have names that people chose, such as the keys of metadata
RECORDED_FIELDS = ("metadata", "parameters")  # fields with recorded names that lists show
