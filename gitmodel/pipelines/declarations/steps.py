"""`@step`: a function with named outputs that pipelines can call."""

from __future__ import annotations

import functools
import inspect
import math
import os
import types
import typing
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cached_property
from typing import Annotated, Any, ClassVar, Generic, NoReturn, ParamSpec, TypeVar, get_args, get_origin, overload

from gitmodel.domain.arguments.checking import checked
from gitmodel.domain.arguments.names_of_other_tools import shows_our_form
from gitmodel.domain.schema.names import check_name, fold
from gitmodel.domain.secrets.secret_values import Secret
from gitmodel.errors import UsageError, message_of
from gitmodel.frozen import Frozen
from gitmodel.pipelines.declarations.config import ArtifactConfig, ModelConfig, check_options
from gitmodel.pipelines.declarations.decorated_functions import check_step_function, name_of

_MOST_RETRIES = 100

P = ParamSpec("P")
R = TypeVar("R")


_OPTIONS = ("name", "model_config", "enable_cache", "pickle", "files", "env", "retries", "timeout")


class Output(Frozen, eq=False):
    """An output of a step that has not run yet. As an argument of another step, it becomes an input of that step."""

    node: str
    index: int

    def __iter__(self) -> Iterator[Any]:
        raise UsageError(
            f"step {self.node} has one output, which cannot be unpacked in a pipeline",
            hint="annotate the step's return value as a tuple with one Annotated[...] for each output",
        )

    def _unknown(self, *_: Any) -> NoReturn:
        raise UsageError(
            f"the output of step {self.node} does not exist yet: the body of a pipeline only connects its steps",
            hint="use the value in a step",
        )

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):  # `copy` and `pickle` try special methods, and expect AttributeError for missing ones
            raise AttributeError(name)
        return self._unknown()

    __bool__ = __len__ = __getitem__ = __contains__ = __call__ = __format__ = __float__ = __int__ = __index__ = _unknown
    __lt__ = __le__ = __gt__ = __ge__ = __eq__ = __ne__ = _unknown
    __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = __truediv__ = __rtruediv__ = __neg__ = _unknown
    __hash__ = object.__hash__


@shows_our_form
class Step(Generic[P, R]):
    """A function as a step of pipelines. Outside of a pipeline's body, calling the step calls the function.

    >>> @step
    ... def double(x: int) -> int:
    ...     return 2 * x
    >>> double(21)
    42
    """

    _other_names: ClassVar[Mapping[str, str]] = {"configure": "write with_options(...), which returns another step"}

    def __init__(
        self,
        function: Callable[P, R],
        *,
        name: str | None,
        model_config: ModelConfig | None,
        enable_cache: bool | None,
        pickle: bool | None = None,
        files: Sequence[str | os.PathLike[str]] = (),
        env: Sequence[str] = (),
        retries: int = 0,
        timeout: float | None = None,
    ) -> None:
        check_step_function(function)
        functools.update_wrapper(self, function)
        self.function = function
        self.name = name_of(function, name, "step")
        self.model_config = model_config
        self.enable_cache = enable_cache
        self.pickle = pickle
        self.files = tuple(map(os.fspath, _listed(files, "files")))
        self.env = _listed(env, "env")
        if not 0 <= retries <= _MOST_RETRIES:
            raise UsageError(
                f"retries of step {self.name} is {retries}", hint=f"give a number from 0 to {_MOST_RETRIES}"
            )
        self.retries = retries
        if timeout is not None and not 0 < timeout < math.inf:
            raise UsageError(
                f"timeout of step {self.name} is {timeout}", hint="give a number of seconds, as in timeout=600"
            )
        self.timeout = timeout

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        add_call = _add_call.get()
        if add_call is None:
            kwargs.pop("after", None)
            return self.function(*map(_opened, args), **{name: _opened(value) for name, value in kwargs.items()})
        after: Any = kwargs.pop("after", ())
        outputs_of_step = isinstance(after, tuple) and any(isinstance(item, Output) for item in after)
        listed = isinstance(after, Sequence) and not isinstance(after, str) and not outputs_of_step
        node = add_call(self, self._arguments(args, kwargs), after if listed else [after])
        outputs = tuple(Output(node, index) for index in range(len(self.outputs)))
        if self.many:
            return typing.cast(R, outputs)
        return typing.cast(R, outputs[0] if outputs else Output(node, -1))

    def with_options(self, **options: Any) -> Step[P, R]:
        """Return a copy of the step with other *options* of `@step`.

        Raises UsageError for an unknown option.

        >>> @step
        ... def fit(rate: float) -> float:
        ...     return rate
        >>> fit.with_options(name="fit_slowly", enable_cache=False), fit
        (Step('fit_slowly'), Step('fit'))
        """
        made: Step[P, R] = step(**{**{name: getattr(self, name) for name in _OPTIONS}, **options})(self.function)
        return made

    @cached_property
    def outputs(self) -> tuple[ArtifactConfig, ...]:
        """The outputs that the return annotation declares. A step without a return annotation has one output.

        Raises UsageError for an invalid name, or two outputs of the same name.
        """
        returned = self._hints.get("return", Any)
        if returned in (None, types.NoneType):
            return ()
        specs = tuple(map(_spec, get_args(returned) if self.many else (returned,)))
        seen: set[str] = set()
        for name in (spec.name for spec in specs if spec.name):
            if fold(name) in seen:
                raise UsageError(f"step {self.name} has two outputs named {name}", hint="give each a different name")
            seen.add(fold(name))
        return specs

    @cached_property
    def output_types(self) -> tuple[Any, ...]:
        """The annotated types of `outputs`; `Any` for a step without a return annotation."""
        returned = self._hints.get("return", Any)
        if not self.outputs:
            return ()
        return get_args(returned) if self.many else (returned,)

    @cached_property
    def many(self) -> bool:
        """True if the return value is a tuple of outputs."""
        returned = self._hints.get("return")
        return get_origin(returned) is tuple and Ellipsis not in get_args(returned)

    @property
    def is_annotated(self) -> bool:
        """True if the function has a return annotation."""
        return "return" in self._hints

    @cached_property
    def input_types(self) -> dict[str, Any]:
        """The annotation of each parameter."""
        return {name: _bare(hint) for name, hint in self._hints.items() if name != "return"}

    def output_names(self, node: str) -> list[str]:
        """Return the names of the outputs of *node*, one call of this step. Each call in a run has its own names.

        >>> @step
        ... def split() -> tuple[Annotated[str, "train"], Annotated[str, "test"]]: ...
        >>> split.output_names("split"), split.output_names("split_2")
        (['train', 'test'], ['split_2-train', 'split_2-test'])
        """
        again = "" if node == self.name else f"{node}-"
        unnamed = f"{node}_{{}}" if self.many else node
        return [
            check_name(again + spec.name if spec.name else unnamed.format(index), "artifact")
            for index, spec in enumerate(self.outputs)
        ]

    def __repr__(self) -> str:
        return f"Step({self.name!r})"

    @cached_property
    def _hints(self) -> dict[str, Any]:
        try:
            return typing.get_type_hints(self.function, include_extras=True)
        except Exception as error:
            raise UsageError(
                f"an annotation of step {self.name} cannot be read: {message_of(error)}", hint="import what it names"
            ) from None

    def _arguments(self, args: Any, kwargs: Any) -> dict[str, Any]:
        try:
            bound = inspect.signature(self.function).bind(*args, **kwargs)
        except TypeError as error:
            raise UsageError(
                f"step {self.name} was called with wrong arguments: {error}", hint="connect every input of the step"
            ) from None
        bound.apply_defaults()
        arguments: dict[str, Any] = {}
        for name, value in bound.arguments.items():
            if bound.signature.parameters[name].kind is inspect.Parameter.VAR_KEYWORD:
                arguments.update(value)
            else:
                arguments[name] = value
        return arguments


# A function that adds a call to a graph. It takes the step, its arguments, and the steps that must run before it, and
# returns the name of the call.
AddCall = Callable[[Step[Any, Any], dict[str, Any], Iterable[Any]], str]
_add_call: ContextVar[AddCall | None] = ContextVar("gitmodel_add_call", default=None)


@contextmanager
def adding_calls(add: AddCall) -> Iterator[None]:
    """If the block calls a step, pass the call to *add* instead of running the step."""
    token = _add_call.set(add)
    try:
        yield
    finally:
        _add_call.reset(token)


def is_building() -> bool:
    """Return True while the body of a pipeline connects its steps."""
    return _add_call.get() is not None


@overload
def step(function: Callable[P, R]) -> Step[P, R]: ...
@overload
def step(
    *,
    name: str | None = None,
    model_config: ModelConfig | None = None,
    enable_cache: bool | None = None,
    pickle: bool | None = None,
    files: Sequence[str | os.PathLike[str]] = (),
    env: Sequence[str] = (),
    retries: int = 0,
    timeout: float | None = None,
) -> Callable[[Callable[P, R]], Step[P, R]]: ...
@checked
def step(
    function: Callable[P, R] | None = None,
    *,
    name: str | None = None,
    model_config: ModelConfig | None = None,
    enable_cache: bool | None = None,
    pickle: bool | None = None,
    files: Sequence[str | os.PathLike[str]] = (),
    env: Sequence[str] = (),
    retries: int = 0,
    timeout: float | None = None,
    **unknown: Any,
) -> Any:
    """Create a step from a function.

    A pipeline calls the step with values and with outputs of other steps, which may be in a list, tuple or dict.
    `with_options(...)` of the step returns a copy with other options.

    *model_config* and *enable_cache* take precedence over those of the pipeline. The return annotation names the
    outputs: `-> Annotated[T, "name"]`, `-> Annotated[T, ArtifactConfig(...)]`, or a tuple of these. If *pickle* is
    True, gitmodel pickles outputs that no other format can store. Pickled outputs load only with `trusted=True`.
    *pickle* takes precedence over `[formats] pickle` of the registry. *files* (paths of files or folders, or globs,
    relative to the current folder) and *env* (names of environment variables) are further dependencies of the step: if
    one changes, later runs do not use the cached result of the step. *retries* is the number of times that a failed
    step runs again in the same run. gitmodel does not retry after `UsageError`, `Refused`, `SystemExit` and an
    interrupt, because another attempt cannot avoid these errors. *timeout* is the limit in seconds of each attempt:
    after this time, gitmodel stops the step, and the attempt has failed. *timeout* needs the executor "processes" or
    "dask".

    In the function, `get_step_context()` returns a `gitmodel.pipelines.StepContext` with the run and the model version.

    Raises UsageError for an unknown option, for an invalid name of an output, and for a function that cannot be a step:
    a partial, a method, an async function or a generator. The hint of the error shows valid code.

    >>> from typing import Annotated
    >>> @step
    ... def fit(rate: float = 0.1) -> Annotated[dict, "classifier"]:
    ...     return {"rate": rate}
    >>> fit()  # outside of a pipeline, the step is an ordinary function
    {'rate': 0.1}
    """
    check_options(f"step {name}" if name else "@step", model_config, unknown, _OPTIONS)

    make = functools.partial(
        Step,
        name=name,
        model_config=model_config,
        enable_cache=enable_cache,
        pickle=pickle,
        files=files,
        env=env,
        retries=retries,
        timeout=timeout,
    )
    return make if function is None else make(function)


def _listed(values: Any, name: str) -> tuple[Any, ...]:
    listed = () if isinstance(values, (str, bytes)) or not isinstance(values, Sequence) else tuple(values)
    if len(listed) != len(values if isinstance(values, Sequence) else (values,)) or not all(
        isinstance(one, (str, os.PathLike)) and one for one in listed
    ):
        raise UsageError(f"{name} of a step is a list of texts, not {values!a:.80}", hint=f'write {name}=["..."]')
    return listed


def admits_text(hint: Any) -> bool:
    """Return True if a parameter with the annotation *hint* may be a text.

    For any other parameter, a text such as `demo@production:classifier` names an artifact.
    """
    if get_origin(hint) in (typing.Union, types.UnionType):
        return any(map(admits_text, get_args(hint)))
    kind = get_origin(_bare(hint)) or _bare(hint)
    return kind is Any or not isinstance(kind, type) or issubclass(str, kind) or issubclass(kind, str)


def _spec(hint: Any) -> ArtifactConfig:
    if get_origin(hint) in (typing.Union, types.UnionType):  # Optional[Annotated[int, "n"]]
        return next((spec for spec in map(_spec, get_args(hint)) if spec != ArtifactConfig()), ArtifactConfig())
    for extra in get_args(hint)[1:] if get_origin(hint) is Annotated else ():
        if isinstance(extra, str):
            return ArtifactConfig(extra)
        if isinstance(extra, ArtifactConfig):
            return extra
    return ArtifactConfig()


def _bare(hint: Any) -> Any:
    return get_args(hint)[0] if get_origin(hint) is Annotated else hint


def _opened(value: Any) -> Any:
    return value.value if isinstance(value, Secret) else value
