"""Converting records to TOML bytes in one canonical form, and back. Pure. `records` defines the keys of records."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import MISSING, Field, field, fields
from datetime import datetime
from typing import Annotated, Any, ClassVar, TypeVar, get_args, get_origin

import rtoml

from gitmodel.domain.schema.toml_values import READERS, Wrong, metadata, shown, texts
from gitmodel.errors import Invalid, UsageError
from gitmodel.frozen import Frozen

MAX_BYTES = 65_536
# Unicode bidi controls are written as escapes, because they reorder the text that a reviewer sees.
_BIDI = {code: f"\\u{code:04X}" for code in (0x061C, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A))}


class Problem(Frozen):
    """A problem of the registry: a file and key that break a rule of the format, and a message about it."""

    path: str
    key: str
    rule: str
    message: str

    @property
    def overridable(self) -> bool:
        """True if a person may override the rule with force. If any other rule is broken, the registry is damaged."""
        return self.rule in ("change.held", "change.gate", "change.size")

    def __str__(self) -> str:
        at = f", key {self.key}" if self.key else ""
        place = f"{self.path}{at}: " if self.path else ""
        return f"{place}{self.message} [{self.rule}]"


OLDEST_FORMAT = (1, 0)
REQUIRED = {"required": True}
NOT_A_KEY = {"required": None}


def since(major: int, minor: int) -> dict[str, Any]:
    """Return metadata for a field of a Record, which says that the format *major*.*minor* introduced its key."""
    return {"since": (major, minor)}


class Record(Frozen, kw_only=True):
    """A TOML file on the metadata branch, or a table in one. A subclass declares the keys as fields, in their order.

    The type of a field defines the valid values of its key:

    - `Annotated[type, read]`: *read* converts a TOML value to the field's value, or raises Wrong.
    - A plain type that `READERS` lists.
    - Another Record: the key is a table. A tuple of a Record: the key is an array of tables.

    A field without default is required. A value that equals the field's default is not written to the file. The
    metadata REQUIRED makes a field with a default required; NOT_A_KEY keeps a field out of the file; `since(1, 1)` says
    that format 1.1 introduced the key. *introduced* is the format that introduced the record. *extra* has the keys that
    this gitmodel does not know, because a newer one wrote them.
    """

    introduced: ClassVar[tuple[int, int]] = OLDEST_FORMAT

    extra: Mapping[str, Any] = field(default_factory=dict, metadata=NOT_A_KEY)


R = TypeVar("R", bound=Record)


class Key(Frozen):
    """A key of a record. *read* converts its TOML value; for a key with a table, *table* is the kind of record in it.

    *many* is True for an array of tables. *since* is the format that introduced the key.
    """

    name: str
    required: bool
    since: tuple[int, int]
    read: Callable[[Any], Any] | None
    table: type[Record] | None
    many: bool


class Schema:
    """The keys of a kind of record, in the order in which they are written, and the defaults of its fields."""

    def __init__(self, kind: type[Record]) -> None:
        found = fields(kind)
        self.kind = kind
        self.keys = tuple(_key(field) for field in found if field.metadata != NOT_A_KEY)
        self.rows = tuple((key.name, key, key.read) for key in self.keys)
        self.names = frozenset(key.name for key in self.keys)
        self._defaults = {field.name: field.default for field in found if field.default is not MISSING}
        self._tables = tuple(field.name for field in found if field.default_factory is dict)

    def default(self, name: str) -> Any:
        """Return the default of the field *name*; {} for a field with a `default_factory` or without default."""
        return self._defaults.get(name, {})

    def make(self, values: dict[str, Any]) -> Any:
        """Create a record from converted *values*. Three times as fast as the record's own `__init__`."""
        record = object.__new__(self.kind)
        fields = record.__dict__
        fields.update(self._defaults)
        for name in self._tables:
            fields[name] = {}
        fields.update(values)
        return record


class _Schemas(dict[type[Record], Schema]):
    def __missing__(self, kind: type[Record]) -> Schema:
        self[kind] = Schema(kind)
        return self[kind]


# The schema of each kind of record, created from the fields of the class when it is first needed.
SCHEMAS = _Schemas()


def _key(field: Field[Any]) -> Key:
    required = field.metadata == REQUIRED or (field.default is MISSING and field.default_factory is MISSING)
    kind: Any = field.type
    if type(None) in get_args(kind):
        kind = next(other for other in get_args(kind) if other is not type(None))
    many = get_origin(kind) is tuple
    table = get_args(kind)[0] if many else kind
    introduced = field.metadata.get("since", OLDEST_FORMAT)
    if isinstance(table, type) and issubclass(table, Record):
        return Key(field.name, required, introduced, None, table, many)
    return Key(field.name, required, introduced, _reader(kind), None, False)


def _reader(kind: Any) -> Callable[[Any], Any]:
    """Return the function that converts a TOML value to the type *kind* of a field."""
    if kind in READERS:
        return READERS[kind]
    if get_origin(kind) is Annotated:
        read: Callable[[Any], Any] = kind.__metadata__[0]
        return read
    item = _reader(get_args(kind)[-2 if get_origin(kind) is tuple else -1])
    if get_origin(kind) is tuple:
        return lambda value: tuple(item(found) for found in texts(value))
    return lambda value: {name: item(found) for name, found in metadata(value).items()}


def parse_table(data: bytes, path: str) -> dict[str, Any]:
    """Parse the TOML document *data*, the file at *path*.

    Raises Invalid if the file is too long, not UTF-8 or not TOML. The error names *path* and the place in the file.
    """
    if len(data) > MAX_BYTES:
        raise _invalid(path, "", "record.size", f"has {len(data)} bytes, more than {MAX_BYTES}")
    try:
        return rtoml.loads(data.decode())
    except UnicodeDecodeError as error:
        raise _invalid(path, "", "record.syntax", f"is not UTF-8 at byte {error.start}") from None
    except rtoml.TomlParsingError as error:
        raise _invalid(path, "", "record.syntax", f"is not TOML: {error}") from None


def decode(kind: type[R], data: bytes, path: str, *, newer: bool = False) -> R:
    """Decode the record in *data*, the file at *path*. Raises Invalid with the first problem.

    Keys that this gitmodel does not know are problems, or go to `extra` of the record if *newer* is True.
    """
    return decode_table(kind, parse_table(data, path), path, newer=newer)


def decode_table(kind: type[R], table: Mapping[str, Any], path: str, *, newer: bool = False) -> R:
    """Decode the record in *table* as `decode` does. Raises Invalid with the first problem."""
    inspected = inspect(kind, table, path, newer=newer)
    if inspected[0] is not None:
        return inspected[0]
    first = inspected[1][0]
    raise _invalid(path, first.key, first.rule, first.message)


def inspect(
    kind: type[R], table: Mapping[str, Any], path: str, *, newer: bool = False, within: str = ""
) -> tuple[R | None, list[Problem]]:
    """Return the record in *table* (None if it is invalid), and all problems of the table.

    *within* is the beginning of the keys that the problems name, such as `stages[0].` for a table in an array.
    """
    schema = SCHEMAS[kind]
    problems: list[Problem] = []
    values: dict[str, Any] = {}
    known = 0
    for name, key, read in schema.rows:
        value = table.get(name)
        if value is None:  # the key is missing: TOML has no null
            if key.required:
                problems.append(Problem(path, within + name, "record.required", "is missing"))
            continue
        known += 1
        try:
            if read is None:
                values[name] = _read_tables(key, value, path, newer, within + name, problems)
            else:
                values[name] = read(value)
        except Wrong as wrong:
            problems.append(Problem(path, within + name + wrong.path, "record.type", str(wrong)))
    if known < len(table):
        unknown = {name: table[name] for name in table if name not in schema.names}
        if newer:
            values["extra"] = unknown
        else:
            problems += [
                Problem(path, within + shown(name), "record.unknown-key", "is not a key of this record")
                for name in unknown
            ]
    if problems:
        return None, problems
    return schema.make(values), problems


def format_of(record: Record) -> tuple[int, int]:
    """Return the oldest format that has this kind of record and all keys of *record* whose value is not the default."""
    schema, needed = SCHEMAS[type(record)], record.introduced
    for key in schema.keys:
        value = getattr(record, key.name)
        if value != schema.default(key.name):
            tables = () if key.table is None else value if key.many else (value,)
            needed = max(needed, key.since, *map(format_of, tables))
    return needed


def _read_tables(key: Key, value: Any, path: str, newer: bool, at: str, problems: list[Problem]) -> Any:
    assert key.table is not None
    tables = value if key.many else [value]
    if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
        raise Wrong("takes an array of tables" if key.many else "takes a table")
    found = []
    for number, table in enumerate(tables):
        within = f"{at}[{number}]." if key.many else f"{at}."
        record, wrong = inspect(key.table, table, path, newer=newer, within=within)
        problems += wrong
        found.append(record)
    return tuple(found) if key.many else found[0]


def encode(record: Record) -> bytes:
    """Return the canonical bytes of *record*, and check that they can be read.

    Raises UsageError for a record that would be too long, text that is not Unicode, and an invalid value of a key.
    """
    data = canonical(record)
    try:
        decode(type(record), data, type(record).__name__, newer=True)
    except Invalid as error:
        raise UsageError(f"this record could not be read back: {error.message}", hint="change that value") from None
    return data


def canonical(record: Record) -> bytes:
    """Return the canonical bytes of *record*: keys in the order of its fields, one array item a line, lines with LF.

    Raises UsageError for a record that would be too long, or text that is not Unicode.
    """
    try:
        data = _encode_table(record, "").lstrip("\n").encode()
    except UnicodeEncodeError as error:
        raise UsageError(
            f"text holds {error.object[error.start]!a}, an incomplete character (a lone surrogate)", hint="remove it"
        ) from None
    if len(data) > MAX_BYTES:
        raise UsageError(
            f"this would be a record of {len(data)} bytes, more than {MAX_BYTES}",
            hint="put long text into a file and link it as an artifact",
        )
    return data


def _encode_table(record: Record, prefix: str) -> str:
    schema = SCHEMAS[type(record)]
    plain, tables = [], []
    for name, key, read in schema.rows:
        value, at = getattr(record, name), f"{prefix}{name}"
        if not key.required and value == schema.default(name):
            continue
        if key.many and not value:
            plain.append(_encode_value(name, []))
        elif key.many:
            tables += [f"\n[[{at}]]\n{_encode_table(item, f'{at}.')}" for item in value]
        elif read is None:
            tables.append(f"\n[{at}]\n{_encode_table(value, f'{at}.')}")
        elif isinstance(value, Mapping):
            tables.append(f"\n[{at}]\n{_encode_mapping(value, f'{at}.')}")
        else:
            plain.append(_encode_value(name, value))
    more, more_tables = _mapping_parts(record.extra, prefix)
    # In TOML, the plain values of a table must come before its inner tables.
    plain += more
    tables += more_tables
    return "".join(plain) + "".join(tables)


def _encode_mapping(mapping: Mapping[str, Any], prefix: str) -> str:
    plain, tables = _mapping_parts(mapping, prefix)
    return "".join(plain) + "".join(tables)


def _mapping_parts(mapping: Mapping[str, Any], prefix: str) -> tuple[list[str], list[str]]:
    """Return the TOML lines of the plain values of *mapping*, and those of its inner tables."""
    plain, tables = [], []
    for name in sorted(mapping):
        value = mapping[name]
        path = prefix + _quoted(name)
        if isinstance(value, Mapping):
            tables.append(f"\n[{path}]\n{_encode_mapping(value, path + '.')}")
        elif isinstance(value, (list, tuple)) and value and all(isinstance(item, Mapping) for item in value):
            tables += [f"\n[[{path}]]\n{_encode_mapping(item, path + '.')}" for item in value]
        else:
            plain.append(_encode_value(name, value))
    return plain, tables


def _encode_value(name: str, value: Any) -> str:
    # Most values are whole numbers or simple texts. They are written here, because tomli_w takes four times as long.
    if type(value) is int or (type(value) is str and _is_literal(value)):
        return f"{_quoted(name)} = {value}\n" if type(value) is int else f'{_quoted(name)} = "{value}"\n'
    import tomli_w  # imported here: only writers need it

    if _holds_moment(value):
        return f"{_quoted(name)} = {_encode_moments(value, 1)}\n"
    # no multi-line string for CR LF: tomli_w would lose the CR
    lines = isinstance(value, str) and "\n" in value and "\r" not in value
    return tomli_w.dumps({name: value}, multiline_strings=lines).translate(_BIDI)


def _holds_moment(value: Any) -> bool:
    return isinstance(value, datetime) or (isinstance(value, (list, tuple)) and any(map(_holds_moment, value)))


def _encode_moments(value: Any, level: int) -> str:
    """Return the TOML of a time, or of a list with times, each as `2026-11-23T10:12:13Z`; tomli_w writes no T and Z."""
    import tomli_w

    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    if not isinstance(value, (list, tuple)):
        return tomli_w.dumps({"x": value}).removeprefix("x = ").removesuffix("\n").translate(_BIDI)
    lines = (f"{'    ' * level}{_encode_moments(item, level + 1)},\n" for item in value)
    return f"[\n{''.join(lines)}{'    ' * (level - 1)}]" if value else "[]"


def _is_literal(text: str) -> bool:
    """Return True if *text* needs no escapes between the double quotes of TOML."""
    return text.isascii() and text.isprintable() and '"' not in text and "\\" not in text


def _quoted(name: str) -> str:
    if name.isascii() and name.replace("_", "").replace("-", "").isalnum():
        return name
    import tomli_w

    return tomli_w.dumps({name: 0}).removesuffix(" = 0\n").translate(_BIDI)


def find_bidi(text: str) -> str:
    """Return the first character of *text* that changes the direction of text; "" if there is none."""
    return next((character for character in text if ord(character) in _BIDI), "")


def _invalid(path: str, key: str, rule: str, message: str) -> Invalid:
    return Invalid(
        str(Problem(path, key, rule, message)),
        hint="run `git model check` to see everything that is wrong with the registry",
    )
