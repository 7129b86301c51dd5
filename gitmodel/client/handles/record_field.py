"""A property for the classes of handles, which reads a field of a record."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from gitmodel.domain.schema.records import DESCRIPTIVE

T = TypeVar("T")


class Field(property, Generic[T]):
    """A property that returns a field of the handle's record, converted by *kind*. Both have the same name.

    The handle's method `_field` returns the value of a field. *doc* is the docstring of the property; if it is "", the
    docstring is that in DESCRIPTIVE, the table of the descriptive fields.
    """

    def __init__(self, kind: Callable[[Any], T], doc: str = "") -> None:
        super().__init__(lambda handle: kind(handle._field(self._name)))
        self._doc = doc

    def __set_name__(self, owner: type, name: str) -> None:
        self._name, self.__doc__ = name, self._doc or DESCRIPTIVE[name]

    if TYPE_CHECKING:

        def __get__(self, handle: Any, owner: type | None = None) -> T: ...  # type: ignore[override]


def as_it_is(value: Any) -> Any:
    """Return *value*. This is the *kind* of a `Field` whose value needs no conversion."""
    return value
