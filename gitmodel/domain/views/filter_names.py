"""The names that a filter can use of a record, and the types of their values. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple, TypeAlias


class Words(NamedTuple):
    """A single text that is one of *known*, such as the status of a run."""

    known: tuple[str, ...]


# A mapping of fields, a list of what each of its items has, a text with known values, or one of the two words below.
Names: TypeAlias = "Mapping[str, Names] | list[Names] | Words | str"
VALUE = "value"  # a single value: there is nothing below it
RECORDED = "recorded"  # below it are names that people chose, such as the keys of the metadata
RECORDED_FIELDS = ("metadata", "parameters")  # the fields of records with recorded names that lists show
