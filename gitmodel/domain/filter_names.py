"""Descriptions of the names that a filter may read from a record. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

# A mapping of fields, a list of what each of its items has, or one of the two words below.
Names: TypeAlias = "Mapping[str, Names] | list[Names] | str"
VALUE = "value"  # a single value: there is nothing below it
RECORDED = "recorded"  # below it are names that people chose, such as the keys of the metadata
