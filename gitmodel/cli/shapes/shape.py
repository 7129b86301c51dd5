"""`Shape`, a kind of object in JSON and TSV output: each field, in order, with a description of its value."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gitmodel.frozen import Frozen


class Shape(Frozen):
    """An object in the output of commands: its *fields* and descriptions of their values, in order."""

    name: str
    about: str
    fields: Mapping[str, str]

    @property
    def keys(self) -> tuple[str, ...]:
        """The names of the fields, in order: the columns of TSV."""
        return tuple(self.fields)

    def of(self, value: object, **computed: Any) -> dict[str, Any]:
        """Return the fields of *value*: the *computed* ones, and its attributes with the names of the other fields.

        The field `at`, the commit that was read, is added during printing.
        """
        return {key: computed[key] if key in computed else getattr(value, key) for key in self.fields if key != "at"}


def shape(name: str, about: str, /, **fields: str) -> Shape:
    """Return a shape; each argument is a field."""
    return Shape(name, about, fields)
