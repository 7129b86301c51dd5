"""Writing Python values as JSON that reads back equal: types, tuples, keys of any type, NaN, dates, NumPy scalars.

Values that JSON supports are unchanged. Every other value becomes an object with one key that starts with `$`, such as
`{"$tuple": [1, 2]}`; docs/reference/format.md lists these keys.
"""

from __future__ import annotations

import base64
import datetime
import io
import math
import uuid
from collections.abc import Callable, Mapping
from decimal import Decimal
from fractions import Fraction
from functools import partial
from typing import Any

from gitmodel.domain.schema.names import with_article
from gitmodel.errors import UsageError
from gitmodel.formats.catalogue.format import library, type_name
from gitmodel.formats.encoding import numpy_files, own_types
from gitmodel.formats.encoding.numpy_files import Cells

_QUICK = frozenset({bool, int, float, str, type(None)})
_SEQUENCES: tuple[type, ...] = (list, tuple, set, frozenset)


def is_plain_json(value: Any) -> bool:
    """Return True if JSON can hold *value* without a `$` object."""
    kind = type(value)
    if kind is float:
        return math.isfinite(value)
    if value is None or kind in (bool, int, str):
        return True
    if kind is list:
        return all(map(is_plain_json, value))
    return kind is dict and all(type(key) is str and is_plain_json(item) for key, item in value.items())


def misfit(value: Any, where: str = "value", *, classes: bool = True) -> str:
    """Return place and type of the first part of *value* that `encode` cannot write.

    The place starts with *where*. Returns "" if `encode` can write all of *value*. If *classes* is False, enums,
    dataclasses and pydantic models count as values that cannot be written.
    """
    try:
        return _misfit(value, where, classes)
    except RecursionError:
        return f"{where} contains itself, or is nested too deeply"


def _misfit(value: Any, where: str, classes: bool) -> str:
    kind = type(value)
    if kind in _QUICK:
        return ""
    if kind in _SEQUENCES:
        for index, item in enumerate(value):
            if type(item) not in _QUICK:
                found = _misfit(item, f"{where}[{index}]" if kind in (list, tuple) else where, classes)
                if found:
                    return found
        return ""
    if kind is dict:
        for key, item in value.items():
            if type(item) not in _QUICK:
                found = _misfit(item, f"{where}[{key!a}]"[:200], classes)
                if found:
                    return found
        return next((found for key in value if (found := _misfit(key, f"a key of {where}", classes))), "")
    if kind is slice:
        return _misfit((value.start, value.stop, value.step), where, classes)
    if classes and own_types.tag_of(value):
        said = own_types.misfit(value)
        return f"{where} is {said}" if said else _misfit(own_types.state_of(value), where, classes)
    return "" if _is_leaf(value) else f"{where} is {with_article(type_name(value))}"


def is_type(kind: type) -> bool:
    """Return True if `encode` can write values of *kind*, judged by the type alone. Imports nothing."""
    if kind in _QUICK or kind in _SEQUENCES or kind is dict or kind in _ENCODERS:
        return True
    if own_types.tag_of_type(kind):
        return "<locals>" not in kind.__qualname__
    if kind.__module__.split(".")[0] == "pandas":
        return kind.__name__ in _PANDAS
    return numpy_files.is_type(kind)


def _is_leaf(value: Any) -> bool:
    kind = type(value)
    if kind in (datetime.datetime, datetime.time):
        return value.tzinfo is None or _zone_of(value.tzinfo) is not None
    if kind in _ENCODERS:
        return True
    if kind.__module__.split(".")[0] == "pandas":
        return kind.__name__ in _PANDAS and (
            kind.__name__ != "Timestamp" or value.tzinfo is None or _zone_of(value.tzinfo) is not None
        )
    return numpy_files.is_scalar(value) or (numpy_files.is_array(value) and not numpy_files.misfit(value, CELLS))


def encode(value: Any) -> Any:
    """Convert *value* for `json.dumps`, so that `decode` returns an equal value.

    Raises UsageError if *value* has a part that cannot be written; `misfit` finds this part.
    """
    kind = type(value)
    if value is None or kind in (bool, int, str):
        return value
    if kind is float:
        return value if math.isfinite(value) else {"$float": repr(value)}
    if kind is list:
        return [encode(item) for item in value]
    if kind is dict:
        if all(type(key) is str and not key.startswith("$") for key in value):
            return {key: encode(item) for key, item in value.items()}
        return {"$dict": [[encode(key), encode(item)] for key, item in value.items()]}
    if kind is tuple:
        return {"$tuple": [encode(item) for item in value]}
    if kind in (set, frozenset):
        # sorted by the encoded items, because the order of a set is random and equal sets must give equal files
        return {f"${kind.__name__}": sorted((encode(item) for item in value), key=repr)}
    if kind in _ENCODERS:
        name, write = _ENCODERS[kind]
        return {name: write(value)}
    if kind.__module__.split(".")[0] == "pandas" and kind.__name__ in _PANDAS:
        return {f"$pandas.{kind.__name__}": _PANDAS[kind.__name__](value)}
    if tag := own_types.tag_of(value):
        return {tag: [type_name(value), encode(own_types.state_of(value))]}
    if numpy_files.is_type(kind):
        plain = {"f": float, "i": int, "u": int, "b": bool, "U": str}.get(value.dtype.kind)
        if numpy_files.is_scalar(value) and plain and value.dtype.itemsize <= 8 and value.dtype.isbuiltin == 1:
            return {f"$numpy.{value.dtype.name}": encode(plain(value))}
        file = io.BytesIO()
        numpy_files.write(value, file, CELLS)
        return {"$numpy": _b64(file.getvalue())}
    raise UsageError(f"{misfit(value)}, which gitmodel cannot write as JSON", hint="convert it")


def decode(written: Any) -> Any:
    """Return the value that `encode` converted. Raises ValueError for an unknown `$` object."""
    if isinstance(written, list):
        return [decode(item) for item in written]
    if not isinstance(written, dict):
        return written
    if len(written) == 1:
        (name, held), *_ = written.items()
        if name.startswith("$"):
            return _decode_special(name, held)
    return {key: decode(item) for key, item in written.items()}


def _decode_special(name: str, held: Any) -> Any:
    if name in _DECODERS:
        return _DECODERS[name](held)
    if name in own_types.TAGS:
        return own_types.build(name, held[0], decode(held[1]))
    if name.startswith("$numpy."):
        return _numpy().dtype(name.removeprefix("$numpy.")).type(decode(held))
    raise ValueError(f"it holds {name[:40]!a}, which this version of gitmodel does not know")


def _zone_of(zone: datetime.tzinfo) -> dict[str, Any] | None:
    """Return the time zone *zone* as a JSON object; None for a class of time zones that gitmodel does not know."""
    if type(zone) is datetime.timezone:
        offset = zone.utcoffset(None)
        name = zone.tzname(None)
        told = {"offset": [offset.days, offset.seconds, offset.microseconds]}
        return told if datetime.timezone(offset).tzname(None) == name else {**told, "name": name}
    if type(zone).__module__ == "zoneinfo":
        key = getattr(zone, "key", None)
        return {"zoneinfo": key} if key else None
    if type(zone).__module__.split(".")[0] == "pytz":
        return {"pytz": getattr(zone, "zone", None) or int(zone.utcoffset(None).total_seconds() // 60)}  # type: ignore[union-attr]
    return None


def encode_zone(zone: datetime.tzinfo | None) -> dict[str, Any] | None:
    """Return the time zone *zone* as JSON. Returns None for None.

    Raises UsageError for a class of time zones that is not known.
    """
    told = _zone_of(zone) if zone is not None else None
    if zone is not None and told is None:
        raise UsageError(f"gitmodel cannot save the time zone {zone!r}", hint="use zoneinfo.ZoneInfo or a fixed offset")
    return told


def decode_zone(told: Mapping[str, Any] | None) -> datetime.tzinfo | None:
    """Return the time zone that `encode_zone` converted."""
    if told is None:
        return None
    if "zoneinfo" in told:
        from zoneinfo import ZoneInfo

        return ZoneInfo(told["zoneinfo"])
    if "pytz" in told:
        pytz = library("pytz", install="pytz")
        zone: datetime.tzinfo = (
            pytz.FixedOffset(told["pytz"]) if isinstance(told["pytz"], int) else pytz.timezone(told["pytz"])
        )
        return zone
    offset = datetime.timedelta(*told["offset"])
    return datetime.timezone(offset, told["name"]) if "name" in told else datetime.timezone(offset)


def _write_time(value: datetime.datetime | datetime.time) -> Any:
    return [value.replace(tzinfo=None, fold=0).isoformat(), encode_zone(value.tzinfo), value.fold]


def _read_time(kind: type[datetime.datetime] | type[datetime.time], held: Any) -> Any:
    text, zone, fold = held
    return kind.fromisoformat(text).replace(tzinfo=decode_zone(zone), fold=fold)


def _b64(value: bytes | bytearray) -> str:
    return base64.b64encode(value).decode()


_ENCODERS: dict[type, tuple[str, Callable[[Any], Any]]] = {
    bytes: ("$bytes", _b64),
    bytearray: ("$bytearray", _b64),
    complex: ("$complex", lambda value: [repr(value.real), repr(value.imag)]),
    range: ("$range", lambda value: [value.start, value.stop, value.step]),
    slice: ("$slice", lambda value: encode([value.start, value.stop, value.step])),
    Decimal: ("$decimal", str),
    # written as two numbers, not as text: reading Fraction("1e999999999") from a malicious file would fill the memory
    Fraction: ("$fraction", lambda value: [value.numerator, value.denominator]),
    uuid.UUID: ("$uuid", str),
    datetime.date: ("$date", datetime.date.isoformat),
    datetime.datetime: ("$datetime", _write_time),
    datetime.time: ("$time", _write_time),
    datetime.timedelta: ("$timedelta", lambda value: [value.days, value.seconds, value.microseconds]),
    type(Ellipsis): ("$ellipsis", lambda value: None),
}


def _numpy() -> Any:
    return library("numpy", install="gitmodel[numpy]")


def _pandas() -> Any:
    return library("pandas", install="gitmodel[parquet]")


def _count(value: Any) -> list[Any]:
    """Return *value*, a timestamp or duration of pandas, as a number and its unit."""
    return [int(value.asm8.view("i8")), value.unit]


def _read_timestamp(held: Any) -> Any:
    count, unit, zone = held
    found = _pandas().Timestamp(_numpy().datetime64(count, unit))
    return found if zone is None else found.tz_localize("UTC").tz_convert(decode_zone(zone))


_PANDAS: dict[str, Callable[[Any], Any]] = {
    "NaTType": lambda value: None,
    "NAType": lambda value: None,
    "Timestamp": lambda value: [*_count(value), encode_zone(value.tzinfo)],
    "Timedelta": _count,
    "Period": lambda value: [value.ordinal, value.freqstr],
    "Interval": lambda value: [encode(value.left), encode(value.right), value.closed],
}


_DECODERS: dict[str, Callable[[Any], Any]] = {
    "$bytearray": lambda held: bytearray(base64.b64decode(held)),
    "$bytes": base64.b64decode,
    "$complex": lambda held: complex(float(held[0]), float(held[1])),
    "$date": datetime.date.fromisoformat,
    "$datetime": partial(_read_time, datetime.datetime),
    "$decimal": Decimal,
    "$dict": lambda held: {decode(key): decode(item) for key, item in held},
    "$ellipsis": lambda held: ...,
    "$float": float,
    "$fraction": lambda held: Fraction(int(held[0]), int(held[1])),
    "$frozenset": lambda held: frozenset(map(decode, held)),
    "$numpy": lambda held: numpy_files.read(io.BytesIO(base64.b64decode(held)), CELLS),
    "$pandas.Interval": lambda held: _pandas().Interval(decode(held[0]), decode(held[1]), closed=held[2]),
    "$pandas.NAType": lambda held: _pandas().NA,
    "$pandas.NaTType": lambda held: _pandas().NaT,
    "$pandas.Period": lambda held: _pandas().Period(ordinal=held[0], freq=held[1]),
    "$pandas.Timedelta": lambda held: _pandas().Timedelta(_numpy().timedelta64(*held)),
    "$pandas.Timestamp": _read_timestamp,
    "$range": lambda held: range(*held),
    "$set": lambda held: set(map(decode, held)),
    "$slice": lambda held: slice(*decode(held)),
    "$time": partial(_read_time, datetime.time),
    "$timedelta": lambda held: datetime.timedelta(*held),
    "$tuple": lambda held: tuple(map(decode, held)),
    "$uuid": uuid.UUID,
}

# the functions for cells of tables and arrays, in which enums, dataclasses and pydantic models are not supported
CELLS: Cells = Cells(partial(misfit, classes=False), encode, decode)
