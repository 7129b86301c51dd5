"""Reading parameters from TOML and YAML files as plain values. A file cannot make gitmodel run code.

gitmodel reads YAML by the core schema of YAML 1.2 (https://yaml.org/spec/1.2.2/#103-core-schema): `1e-3` is a number,
and `no` is a text. Tags are refused, so that a file cannot create objects.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gitmodel.errors import Invalid, NotFound, UsageError, message_of

if TYPE_CHECKING:
    import yaml

# The greatest size of a file. A run records at most 16,000 characters of parameters.
_LARGEST = 256 << 10  # bytes
# The greatest number of values in a file. A value counts again each time that an alias of YAML repeats it, because a
# short file with nested aliases can have billions of values.
_MOST_VALUES = 20_000


def read_parameter_file(path: Path) -> dict[str, Any]:
    """Return the parameters in the file *path*, which ends in `.toml`, `.yaml` or `.yml`.

    Raises NotFound for a missing file, UsageError for another ending or if PyYAML is missing, and Invalid for a file
    that is too long, or that has a syntax error, a repeated key or an alias inside its own value.
    """
    suffix = path.suffix.lower()
    if suffix not in (".toml", ".yaml", ".yml"):
        raise UsageError(f"{path} is neither TOML nor YAML", hint="name it params.toml or params.yaml")
    if not path.is_file():
        what = "is not a file" if path.exists() else "does not exist"
        raise NotFound(f"the file of parameters {path} {what}", hint="name a TOML or YAML file")
    with open(path, "rb") as file:
        data = file.read(_LARGEST + 1)
    if len(data) > _LARGEST:
        raise Invalid(
            f"{path} is longer than {_LARGEST >> 10} KiB, too long for parameters",
            hint="keep long values in a file of their own, and let a step read it",
        )
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise Invalid(f"{path} is not UTF-8 at byte {error.start}", hint="save it as UTF-8") from None
    try:
        found = _read_toml(text) if suffix == ".toml" else _YamlReader(path).read(text)
    except RecursionError:
        raise Invalid(f"{path} is nested too deep", hint="parameters are lists and tables of a few levels") from None
    except ValueError as error:
        raise Invalid(f"{path} is not valid: {message_of(error)}", hint="correct the file") from None
    if not isinstance(found, dict):
        raise Invalid(f"{path} holds no table of parameters", hint="write one parameter a line, as in `rate: 0.1`")
    return {str(name): value for name, value in found.items()}


def _read_toml(text: str) -> Any:
    import rtoml

    return rtoml.loads(text)


class _YamlReader:
    """Reads YAML into plain values. Limits their number, because a short file can repeat values by aliases."""

    def __init__(self, path: Path) -> None:
        self._left = _MOST_VALUES
        try:
            import yaml
        except ImportError:
            raise UsageError(f"{path} needs PyYAML", hint="pip install 'gitmodel[yaml]', or write TOML") from None
        self._yaml = yaml

    def read(self, text: str) -> Any:
        """Return the value of the YAML in *text*. Raises ValueError if it is invalid."""
        loader = self._yaml.SafeLoader(text)
        loader.yaml_implicit_resolvers = {}  # turns off PyYAML's rules: `_scalar` decides which scalars are numbers
        try:
            node = loader.get_single_node()
        except self._yaml.YAMLError as error:
            mark = getattr(error, "problem_mark", None)  # only the position, as the text of the error may quote secrets
            where = f"line {mark.line + 1}: " if mark is not None else ""
            raise ValueError(f"{where}{getattr(error, 'problem', None) or 'it is not YAML'}") from None
        finally:
            loader.dispose()
        return {} if node is None else self._value(node, ())

    def _value(self, node: yaml.Node, above: tuple[yaml.Node, ...]) -> Any:
        if any(node is outer for outer in above):
            raise ValueError(f"{_line(node)}: a value contains itself through an alias")
        self._left -= 1
        if self._left < 0:
            raise ValueError(f"it has more than {_MOST_VALUES} values, with those that aliases repeat")
        inside = (*above, node)
        if isinstance(node, self._yaml.ScalarNode):
            return _scalar(node)
        if node.tag == "tag:yaml.org,2002:seq":
            return [self._value(item, inside) for item in node.value]
        if node.tag == "tag:yaml.org,2002:map":
            return self._table(node, inside)
        raise ValueError(f"{_line(node)}: the tag {node.tag} is not allowed")

    def _table(self, node: yaml.Node, inside: tuple[yaml.Node, ...]) -> dict[Any, Any]:
        merged: dict[Any, Any] = {}
        found: dict[Any, Any] = {}
        for key_node, value_node in node.value:
            if key_node.value == "<<" and key_node.style is None:
                for table in self._merged(value_node, inside):
                    merged = {**table, **merged}
                continue
            key = self._value(key_node, inside)
            if isinstance(key, (dict, list)):
                raise ValueError(f"{_line(key_node)}: a key is a list or table")
            if key in found:
                raise ValueError(f"{_line(key_node)}: the key {key} is given twice")
            found[key] = self._value(value_node, inside)
        return {**merged, **found}

    def _merged(self, node: yaml.Node, inside: tuple[yaml.Node, ...]) -> Iterator[dict[Any, Any]]:
        """Yield the tables in *node*, the value of the key `<<` of YAML, which copies their keys into a table."""
        value = self._value(node, inside)
        for table in value if isinstance(value, list) else [value]:
            if not isinstance(table, dict):
                raise ValueError(f"{_line(node)}: << takes a table, or a list of tables")
            yield table


_INT = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_WORDS: dict[str, Any] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
    **{sign + word: float(sign + "inf") for sign in ("", "+", "-") for word in (".inf", ".Inf", ".INF")},
    **dict.fromkeys((".nan", ".NaN", ".NAN"), float("nan")),
}


def _scalar(node: yaml.Node) -> Any:
    """Return the value of a scalar (a text, number, boolean or null) by the core schema of YAML 1.2."""
    text: str = node.value
    if any("\ud800" <= character <= "\udfff" for character in text):
        raise ValueError(f"{_line(node)}: a text has an incomplete character (a lone surrogate)")
    if node.tag not in ("tag:yaml.org,2002:str", "!"):
        raise ValueError(f"{_line(node)}: the tag {node.tag} is not allowed")
    if node.style is not None or node.tag == "!":
        return text
    if text in _WORDS:
        return _WORDS[text]
    if _INT.fullmatch(text):
        return int(text, 10 if text.lstrip("+-")[:2] not in ("0o", "0x") else 0)
    return float(text) if _FLOAT.fullmatch(text) else text


def _line(node: yaml.Node) -> str:
    return f"line {node.start_mark.line + 1}"
