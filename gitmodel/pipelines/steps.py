"""`@step`: a function that stays callable, and that knows the names of its outputs."""

from __future__ import annotations

import functools
import inspect
import types
import typing
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Generic, ParamSpec, TypeVar, get_args, get_origin, overload

from gitmodel.domain.names import check_name, fold
from gitmodel.errors import Conflict, UsageError
from gitmodel.pipelines.config import ArtifactConfig, ModelConfig
from gitmodel.pipelines.graph import Node, Output, current_graph

P = ParamSpec("P")
R = TypeVar("R")


@dataclass(frozen=True)
class OutputSpec:
    """What a step says of one output: the artifact's name, kind and format ("": by its type), and the type itself."""

    name: str
    kind: str = ""
    format: str = ""
    type: Any = Any


class Step(Generic[P, R]):
    """A function as a step of pipelines; called outside of a pipeline's body it is the function.

    >>> @step
    ... def double(x: int) -> int:
    ...     return 2 * x
    >>> double(21)
    42
    """

    def __init__(
        self, function: Callable[P, R], *, name: str | None, model_config: ModelConfig | None, enable_cache: bool | None
    ) -> None:
        functools.update_wrapper(self, function)
        self.function = function
        self.name = check_name(name or function.__name__.strip("_"), "step")
        self.model_config = model_config
        self.enable_cache = enable_cache

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        graph = current_graph()
        after: Any = kwargs.pop("after", ())
        if graph is None:
            return self.function(*args, **kwargs)
        wanted = (
            after if isinstance(after, Sequence) and not isinstance(after, str) and not _is_outputs(after) else [after]
        )
        node = graph.add(self, self._arguments(args, kwargs), wanted)
        return typing.cast(R, self._outputs_of(node))

    def specs(self) -> list[OutputSpec]:
        """The outputs, by the annotation of the return value; without one, a single output is assumed.

        Raises UsageError for a bad name, Conflict for two of one name.
        """
        hints = _hints(self.function)
        if "return" not in hints:
            return [OutputSpec(self.name)]
        returned = hints["return"]
        if returned in (None, types.NoneType):
            return []
        many = get_origin(returned) is tuple and Ellipsis not in get_args(returned)
        parts = get_args(returned) if many else (returned,)
        specs = [_spec(part, self.name if not many else f"{self.name}_{i}") for i, part in enumerate(parts)]
        seen: set[str] = set()
        for spec in specs:
            if fold(spec.name) in seen:
                raise Conflict(f"step {self.name} has two outputs called {spec.name}", hint="give each its own name")
            seen.add(fold(spec.name))
        return specs

    @property
    def many(self) -> bool:
        """Whether the return value is a tuple of outputs."""
        returned = _hints(self.function).get("return")
        return get_origin(returned) is tuple and Ellipsis not in get_args(returned)

    def input_types(self) -> dict[str, Any]:
        """The annotation of each parameter."""
        hints = _hints(self.function)
        return {name: _bare(hint) for name, hint in hints.items() if name != "return"}

    def __repr__(self) -> str:
        return f"Step({self.name!r})"

    def _arguments(self, args: Any, kwargs: Any) -> dict[str, Any]:
        try:
            bound = inspect.signature(self.function).bind(*args, **kwargs)
        except TypeError as error:
            raise UsageError(
                f"step {self.name} cannot be called so: {error}", hint="connect every input of the step"
            ) from None
        bound.apply_defaults()
        arguments: dict[str, Any] = {}
        for name, value in bound.arguments.items():
            kind = bound.signature.parameters[name].kind
            if kind is inspect.Parameter.VAR_POSITIONAL and value:
                raise UsageError(f"step {self.name} takes *{name}", hint="name every parameter of a step")
            if kind is inspect.Parameter.VAR_KEYWORD:
                arguments.update(value)
            elif kind is not inspect.Parameter.VAR_POSITIONAL:
                arguments[name] = value
        return arguments

    def _outputs_of(self, node: Node) -> Any:
        specs = self.specs()
        outputs = tuple(Output(node.name, index) for index in range(len(specs)))
        if self.many:
            return outputs
        return outputs[0] if outputs else Output(node.name, -1)


@overload
def step(function: Callable[P, R]) -> Step[P, R]: ...
@overload
def step(
    *, name: str | None = None, model_config: ModelConfig | None = None, enable_cache: bool | None = None
) -> Callable[[Callable[P, R]], Step[P, R]]: ...
def step(
    function: Callable[P, R] | None = None,
    *,
    name: str | None = None,
    model_config: ModelConfig | None = None,
    enable_cache: bool | None = None,
) -> Any:
    """Make a step of a function.

    *model_config* wins over the pipeline's; *enable_cache* too (None: as the pipeline says). Outputs are named by
    annotation: `-> Annotated[T, "name"]`, tuples of these, or `Annotated[T, ArtifactConfig(...)]`.
    """

    def made(of: Callable[P, R]) -> Step[P, R]:
        return Step(of, name=name, model_config=model_config, enable_cache=enable_cache)

    return made if function is None else made(function)


def _hints(function: Callable[..., Any]) -> dict[str, Any]:
    try:
        return typing.get_type_hints(function, include_extras=True)
    except NameError as error:
        raise UsageError(
            f"an annotation of {function.__name__} cannot be read: {error}", hint="import what it names"
        ) from None


def _spec(hint: Any, default: str) -> OutputSpec:
    config = ArtifactConfig()
    if get_origin(hint) is Annotated:
        for extra in get_args(hint)[1:]:
            if isinstance(extra, str):
                config = ArtifactConfig(extra)
            elif isinstance(extra, ArtifactConfig):
                config = extra
    name = check_name(config.name or default, "artifact")
    if config.kind not in ("", "data", "model", "deployment"):
        raise UsageError(f"{config.kind!a} is no kind of artifact", hint="the kinds are data, model, deployment")
    return OutputSpec(name, config.kind, config.format, _bare(hint))


def _bare(hint: Any) -> Any:
    return get_args(hint)[0] if get_origin(hint) is Annotated else hint


def _is_outputs(value: Any) -> bool:
    return isinstance(value, tuple) and any(isinstance(item, Output) for item in value)
