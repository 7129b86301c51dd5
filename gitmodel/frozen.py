"""`Frozen`, the base class of values: frozen dataclasses whose classes are created fast when a module is imported."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, Field, FrozenInstanceError
from operator import attrgetter
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    from inspect import Signature

    from typing_extensions import dataclass_transform
else:

    def dataclass_transform(**options):  # only type checkers need it, and Python 3.10 lacks it
        return lambda cls: cls


class _FromFactory:
    """The default value of an argument of `__init__` for a field with a `default_factory`."""

    def __repr__(self) -> str:
        return "<factory>"


class _SignatureOfFields:
    """The attribute `__signature__`, from which `inspect.signature` gets the arguments of `__init__`.

    Without it, `inspect` would see `*args` until `__init__` is compiled.
    """

    def __get__(self, value: object, owner: type[Frozen]) -> Signature:
        if not hasattr(owner, "__dataclass_fields__"):  # `Frozen` itself, which `help` also reads
            raise AttributeError(f"{owner.__name__} has no fields")
        import inspect  # imported here: only `help` and the generated reference read a signature

        parameters = list(inspect.signature(_compile_init(owner)).parameters.values())
        return inspect.Signature(parameters[1:], return_annotation=None)


# The number of calls of `__init__` that take about as long as compiling it. A class compiles its `__init__` after so
# few calls, and not before.
_UNCOMPILED_USES = 20
# The lock of a thread that finds the fields of a class: `dataclasses` changes the class, so only one thread may call
# it.
_finding_fields = threading.RLock()


class _OnFirstUse:
    """An attribute of a class that is computed from the fields of the class on first use.

    The first use of one such attribute finds the fields, and sets all these attributes of the class.
    """

    def __init__(self, name: str, *, kw_only: bool) -> None:
        self._name = name
        self._kw_only = kw_only

    def __get__(self, value: object, owner: type[Frozen]) -> Any:
        with _finding_fields:
            if vars(owner)[self._name] is self:  # no other thread has set it meanwhile
                dataclasses.dataclass(init=False, repr=False, eq=False, kw_only=self._kw_only)(owner)
                names = [field.name for field in owner.__dataclass_fields__.values() if field.compare]
                # A single name is passed twice, because `attrgetter` with one name does not return a tuple.
                owner.__compared__ = attrgetter(*(names if len(names) > 1 else [*names, *names] or ["__class__"]))
        return getattr(owner, self._name)


@dataclass_transform(frozen_default=True, field_specifiers=(dataclasses.field,))
class Frozen:
    """The base class of a frozen value. Its fields are declared like those of a dataclass.

    `dataclasses.fields` and `dataclasses.replace` accept such a value. `dataclasses.dataclass(frozen=True)` would
    compile six methods for each class when it is created, which takes 0.4 ms. But a command imports some sixty classes
    and creates values of only a few. So all subclasses of Frozen share their methods except `__init__`, which is
    compiled only after some values of the class were created. The fields are found when they are first needed. The
    options *kw_only* and *eq* of a subclass are those of `dataclasses.dataclass`.

    >>> class Point(Frozen):
    ...     x: int
    ...     y: int = 0
    >>> Point(1), Point(1) == Point(1, 0)
    (Point(x=1, y=0), True)
    """

    if TYPE_CHECKING:
        __dataclass_fields__: ClassVar[dict[str, Field[Any]]]
    __signature__ = _SignatureOfFields()
    # A function that returns the tuple of values of a value's fields, which `==` compares and `hash` hashes.
    __compared__: ClassVar[Callable[[Any], object]]

    def __init_subclass__(cls, *, kw_only: bool = False, eq: bool = True) -> None:
        super().__init_subclass__()
        cls.__doc__ = cls.__doc__ or cls.__name__  # else `dataclasses` makes a docstring, in 1 ms
        for name in ("__dataclass_fields__", "__compared__"):
            setattr(cls, name, _OnFirstUse(name, kw_only=kw_only))
        if not eq:
            for name in {"__eq__", "__hash__"} - vars(cls).keys():
                setattr(cls, name, getattr(object, name))

        uses = 0

        def __init__(self: Any, *args: Any, **kwargs: Any) -> None:
            nonlocal uses
            uses += 1
            if uses <= _UNCOMPILED_USES and (values := _bind(cls, args, kwargs)) is not None:
                for name, value in values.items():
                    object.__setattr__(self, name, value)
                if hasattr(cls, "__post_init__"):
                    self.__post_init__()
            else:
                cls.__init__ = _compile_init(cls)  # type: ignore[method-assign]
                cls.__init__(self, *args, **kwargs)

        cls.__init__ = __init__  # type: ignore[method-assign]

    def __repr__(self) -> str:
        shown = ", ".join(
            f"{field.name}={getattr(self, field.name)!r}" for field in dataclasses.fields(self) if field.repr
        )
        return f"{type(self).__qualname__}({shown})"

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        return bool(type(self).__compared__(self) == type(self).__compared__(other))

    def __hash__(self) -> int:
        return hash(type(self).__compared__(self))

    def __setattr__(self, name: str, value: object) -> None:
        raise FrozenInstanceError(f"cannot assign to field {name!r}")

    def __delattr__(self, name: str) -> None:
        raise FrozenInstanceError(f"cannot delete field {name!r}")


def _bind(cls: type[Frozen], args: Sequence[Any], kwargs: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the values of the fields of *cls*, by name, for the arguments *args* and *kwargs* of `__init__`.

    Returns None for wrong arguments. The caller then calls the compiled `__init__`, which raises Python's own errors.
    """
    values: dict[str, Any] = {}
    by_position = iter(args)
    used = 0
    for field in dataclasses.fields(cls):
        factory: Any = field.default_factory
        value: Any = MISSING if field.kw_only else next(by_position, MISSING)
        if value is MISSING:
            value = kwargs.get(field.name, MISSING)
        if value is not MISSING:
            used += 1
        else:
            value = field.default if factory is MISSING else factory()
        if value is MISSING:
            return None
        values[field.name] = value
    return values if used == len(args) + len(kwargs) else None


def _compile_init(cls: type[Frozen]) -> Callable[..., None]:
    """Compile and return the method `__init__` of *cls*, which sets each field from an argument or its default."""
    scope: dict[str, Any] = {"_set": object.__setattr__, "_unset": _FromFactory()}
    parameters, by_name, body = ["self"], list[str](), list[str]()
    for field in dataclasses.fields(cls):
        name, value = field.name, field.name
        parameter = name
        if field.default_factory is not MISSING:
            scope[f"_{name}"] = field.default_factory
            parameter, value = f"{name}=_unset", f"_{name}() if {name} is _unset else {name}"
        elif field.default is not MISSING:
            scope[f"_{name}"] = field.default
            parameter = f"{name}=_{name}"
        (by_name if field.kw_only else parameters).append(parameter)
        body.append(f"_set(self, {name!r}, {value})")
    if hasattr(cls, "__post_init__"):
        body.append("self.__post_init__()")
    arguments = ", ".join([*parameters, "*", *by_name] if by_name else parameters)
    exec(f"def __init__({arguments}):\n " + "\n ".join(body or ["pass"]), scope)
    init: Callable[..., None] = scope["__init__"]
    init.__qualname__ = f"{cls.__qualname__}.__init__"
    init.__annotations__ = {field.name: field.type for field in dataclasses.fields(cls)}
    return init
