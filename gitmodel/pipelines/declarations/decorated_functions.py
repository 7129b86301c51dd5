"""Checking the function below `@step` or `@pipeline`, and choosing the name of the step or pipeline."""

from __future__ import annotations

import functools
import inspect
import types
from collections.abc import Callable
from typing import Any

from gitmodel.domain.schema.names import check_name, with_article
from gitmodel.errors import UsageError


def check_function(function: Any, kind: str) -> None:
    """Raise UsageError if *function* cannot become a *kind*, which is "step" or "pipeline".

    The hint of the error shows valid code.
    """
    name = getattr(function, "__name__", type(function).__name__)
    if isinstance(function, functools.partial):
        inner = getattr(function.func, "__name__", "f")
        raise UsageError(
            f"@{kind} takes a function, not the partial of {inner}",
            hint=f"write `def NAME(...)`, which calls {inner}, or make {inner} the {kind} and pass its arguments there",
        )
    if isinstance(function, types.MethodType):
        raise UsageError(
            f"@{kind} takes a function, not the method {function.__qualname__}",
            hint=f"write a function that creates the {type(function.__self__).__name__} and calls its {name}, with the "
            "settings of the object as parameters",
        )
    if isinstance(function, (staticmethod, classmethod)):
        raise UsageError(
            f"@{kind} takes a function, not {with_article(type(function).__name__)}",
            hint=f"write @{type(function).__name__} above @{kind}"
            if isinstance(function, staticmethod)
            else "write a function at the top of the module",
        )
    if not isinstance(function, types.FunctionType):
        raise UsageError(
            f"{function!a:.200} is not a function", hint=f"put @{kind} on a function, above other decorators"
        )
    if inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function):
        inside = ", and call asyncio.run(...) in it instead of using await" if kind == "step" else ""
        raise UsageError(f"{kind} {name} is async", hint=f"write `def {name}`{inside}")
    if inspect.isgeneratorfunction(function):
        raise UsageError(f"{kind} {name} is a generator", hint="return a list instead of yielding its items")
    first = next(iter(inspect.signature(function).parameters), "")
    if first in ("self", "cls") and "." in function.__qualname__.rpartition("<locals>.")[2]:
        raise UsageError(
            f"{kind} {name} is a method: its first parameter is {first}",
            hint="write a function at the top of the module, with the settings of the object as parameters",
        )


def name_of(function: Callable[..., Any], name: str | None, kind: str) -> str:
    """Return *name*; if *name* is None, return the name of *function*. *kind* is "step" or "pipeline".

    Raises UsageError for an invalid name.
    """
    if not name and function.__name__ == "<lambda>":
        raise UsageError(f"a lambda has no name for the {kind}", hint=f'write `def NAME(...)`, or @{kind}(name="NAME")')
    return check_name(name or function.__name__.strip("_"), kind)


def check_step_function(function: Any) -> None:
    check_function(function, "step")
    name = function.__name__
    for parameter in inspect.signature(function).parameters.values():
        if parameter.name == "after":
            raise UsageError(f"step {name} has a parameter `after`", hint="rename it; `after` sets the order of steps")
        if parameter.kind in (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.POSITIONAL_ONLY):
            raise UsageError(
                f"step {name} takes {parameter}, which has no name to record",
                hint="use only parameters that can be passed by name",
            )
