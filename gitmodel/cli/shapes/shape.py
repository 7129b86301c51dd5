"""`Shape`, a kind of object in JSON and TSV output: each field, in order, with a description of its value."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gitmodel.frozen import Frozen


class Shape(Frozen):
    """A kind of object in the output of commands.

    *fields* maps its fields, in order, to descriptions of their values.
    """

    name: str
    about: str
    fields: Mapping[str, str]

    @property
    def keys(self) -> tuple[str, ...]:
        """The names of the fields, in order: the columns of TSV."""
        return tuple(self.fields)

    def of(self, value: object, **computed: Any) -> dict[str, Any]:
        """Return the fields of *value* by name: those in *computed*, and the attributes of *value* for all others.

        Leaves out the field `at`, the commit that was read, because `Output` adds it when it prints the object.
        """
        return {key: computed[key] if key in computed else getattr(value, key) for key in self.fields if key != "at"}


def shape(name: str, about: str, /, **fields: str) -> Shape:
    """Return the shape *name*, described by *about*. Each keyword argument is a field with its description."""
    return Shape(name, about, fields)
