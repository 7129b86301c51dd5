"""Properties of handles that read a field of a record."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from gitmodel.domain.schema.records import DESCRIPTIVE

T = TypeVar("T")


class Field(property, Generic[T]):
    """A property that calls `_field` of the handle with the property's own name, and converts the result with *kind*.

    Without *doc*, the docstring is taken from DESCRIPTIVE, the table of the descriptive fields.
    """

    def __init__(self, kind: Callable[[Any], T], doc: str = "") -> None:
        super().__init__(lambda handle: kind(handle._field(self._name)))
        self._doc = doc

    def __set_name__(self, owner: type, name: str) -> None:
        self._name, self.__doc__ = name, self._doc or DESCRIPTIVE[name]

    if TYPE_CHECKING:

        def __get__(self, handle: Any, owner: type | None = None) -> T: ...  # type: ignore[override]


def as_it_is(value: Any) -> Any:
    """Return *value*: the conversion of a field that needs none."""
    return value
