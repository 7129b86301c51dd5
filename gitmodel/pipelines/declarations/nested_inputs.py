"""Splitting step arguments that hold inputs in lists, tuples and dicts, and joining the parts again. Pure.

Each part of such an argument has a place: `scores[0]` for an item, `scores.first` for a value of a dict.
"""

from __future__ import annotations

import json
import types
import typing
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, get_args, get_origin

from gitmodel.domain.schema.names import with_article
from gitmodel.errors import UsageError
from gitmodel.pipelines.declarations.config import ExternalArtifact
from gitmodel.pipelines.declarations.steps import Output, Step

# The structure of an argument: its lists, tuples and dicts, with the place of each part instead of the part.
Shape = str | list[Any] | tuple[Any, ...] | dict[Any, Any]


def is_input(value: Any) -> bool:
    """Return True if *value* is an output of a step, or an ExternalArtifact."""
    return isinstance(value, (Output, ExternalArtifact))


def take_apart(step: str, parameter: str, value: Any) -> tuple[Shape, dict[str, Any]]:
    """Return the shape of *value*, the argument for *parameter*, and the parts of *value* by place.

    A part is an input, or a value that contains no input. Raises UsageError, with the name of *step*, for an input in a
    set or in another object that is no list, tuple or dict.

    >>> take_apart("merge", "scores", [Output("fit", 0), [1, 2]])
    (['scores[0]', 'scores[1]'], {'scores[0]': Output(node='fit', index=0), 'scores[1]': [1, 2]})
    """
    parts: dict[str, Any] = {}

    def shape_of(place: str, part: Any, above: tuple[int, ...]) -> Shape:
        if is_input(part) or not _holds_input(part, above):
            parts[place] = part
            return place
        inner = (*above, id(part))
        if type(part) is dict:
            return {key: shape_of(place + _key_text(key), item, inner) for key, item in part.items()}
        if type(part) in (list, tuple):
            items = [shape_of(f"{place}[{index}]", item, inner) for index, item in enumerate(part)]
            return items if type(part) is list else tuple(items)
        raise UsageError(
            f"{place} of step {step} contains outputs in {with_article(type(part).__name__)}",
            hint="pass them in a list, a tuple or a dict, or each as a separate parameter",
        )

    return shape_of(parameter, value, ()), parts


def put_together(shape: Shape, parts: Mapping[str, Any]) -> Any:
    """Return the argument with the structure *shape* and the *parts*, which are given by place.

    >>> put_together({"a": ["x.a[0]", "x.a[1]"]}, {"x.a[0]": 1, "x.a[1]": 2})
    {'a': [1, 2]}
    """
    if isinstance(shape, str):
        return parts[shape]
    if isinstance(shape, dict):
        return {key: put_together(item, parts) for key, item in shape.items()}
    return type(shape)(put_together(item, parts) for item in shape)


def types_of_inputs(step: Step[..., Any], shapes: Mapping[str, Shape]) -> dict[str, Any]:
    """Return the annotated type of each parameter of *step*, and of each part of the parameters in *shapes*.

    >>> def merge(scores: list[float]) -> None: ...
    >>> types_of_inputs(Step(merge, name=None, model_config=None, enable_cache=None), {"scores": ["scores[0]"]})
    {'scores': list[float], 'scores[0]': <class 'float'>}
    """
    found = dict(step.input_types)
    for parameter, shape in shapes.items():
        found.update(_types(shape, found.get(parameter, Any)))
    return found


def places_of(shape: Shape) -> list[str]:
    """Return the places of the parts in *shape*."""
    return [place for place, _ in _types(shape, Any)]


def _types(shape: Shape, hint: Any) -> Iterator[tuple[str, Any]]:
    hint = _without_none(hint)
    if isinstance(shape, str):
        yield shape, hint
        return
    args = get_args(hint)
    kind = get_origin(hint)
    if isinstance(shape, dict):
        for item in shape.values():
            yield from _types(item, args[1] if len(args) == 2 and kind is not tuple else Any)
        return
    listed = len(args) == 1 or (len(args) == 2 and args[1] is Ellipsis)
    for index, item in enumerate(shape):
        each = args[0] if listed else args[index] if kind is tuple and index < len(args) else Any
        yield from _types(item, each)


def _without_none(hint: Any) -> Any:
    """Return the type T for `Annotated[T, ...]` and `T | None`; `Any` for a union of several types; else *hint*."""
    if get_origin(hint) is Annotated:
        hint = get_args(hint)[0]
    if get_origin(hint) in (typing.Union, types.UnionType):
        others = [other for other in get_args(hint) if other is not type(None)]
        return others[0] if len(others) == 1 else Any
    return hint


def _key_text(key: Any) -> str:
    if isinstance(key, str):
        return f".{key}" if key.isidentifier() else f"[{json.dumps(key)}]"
    return f"[{key!r}]"


def _holds_input(value: Any, above: tuple[int, ...]) -> bool:
    if is_input(value):
        return True
    if not isinstance(value, (dict, list, tuple, set, frozenset)) or id(value) in above:
        return False
    inner = (*above, id(value))
    return any(_holds_input(item, inner) for item in (value.values() if isinstance(value, dict) else value))
