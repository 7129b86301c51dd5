"""Validating the description of a model. Pure. Imports pydantic, which is slow: import this only where needed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import AfterValidator, ConfigDict, ValidationError, create_model
from pydantic_core import PydanticCustomError

from gitmodel.domain.arguments.plain_values import read_values
from gitmodel.domain.schema.records import DESCRIPTIVE, DESCRIPTIVE_TEXTS
from gitmodel.errors import UsageError


def _not_empty(word: str) -> str:
    if not word.strip():
        raise PydanticCustomError("empty", "a word must not be empty")
    return word


Word = Annotated[str, AfterValidator(_not_empty)]


_FIELDS: dict[str, Any] = {
    **{name: (str | None if name in DESCRIPTIVE_TEXTS else list[Word] | None, None) for name in DESCRIPTIVE},
    "metadata": (dict[Any, Any] | None, None),
}
# The descriptive fields of a model; None for a field that was not given.
Description = create_model("Description", __config__=ConfigDict(extra="forbid", frozen=True), **_FIELDS)


def read_description(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields *given* as a `ModelRecord` stores them. Raises UsageError, which names every wrong field.

    >>> read_description({"license": "MIT", "tags": ["b", "a", "b"]})
    {'license': 'MIT', 'tags': ('a', 'b')}
    """
    try:
        read = Description.model_validate(dict(given)).model_dump(exclude_none=True)
    except ValidationError as error:
        wrong = [f"{'.'.join(map(str, part['loc']))}: {part['msg'].lower()}" for part in error.errors()]
        fields = ", ".join(DESCRIPTIVE)
        raise UsageError(
            f"invalid description of a model: {'; '.join(wrong)}", hint=f"its fields are {fields}"
        ) from None
    if "metadata" in read:
        read["metadata"] = read_values(read["metadata"])
    return {name: tuple(sorted(set(value))) if isinstance(value, list) else value for name, value in read.items()}
