"""The formats that need only Python: json, text and bytes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from gitmodel.errors import UsageError
from gitmodel.formats.catalogue.format import Format
from gitmodel.formats.encoding import values

# A value that plain JSON would change is written as an object with only this key. Under the key is the value as
# `encoding/values.py` encodes it.
_MARK = "$gitmodel.values"


def _load_json(path: Path, trusted: bool) -> Any:
    try:
        found = json.loads(path.read_bytes().decode())
        return values.decode(found[_MARK]) if type(found) is dict and list(found) == [_MARK] else found
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def _save_json(value: Any, path: Path) -> None:
    misfit = values.misfit(value)
    if misfit:
        raise UsageError(f"{misfit}, which json cannot hold", hint="convert it, or choose another format")
    try:
        is_plain = values.is_plain_json(value) and not (type(value) is dict and _MARK in value)
        told = value if is_plain else {_MARK: values.encode(value)}
        # allow_nan is False because other readers of JSON refuse NaN; `values.encode` has replaced it
        text = json.dumps(told, ensure_ascii=False, allow_nan=False, indent=2)
        if not text.isascii() and any("\ud800" <= letter <= "\udfff" for letter in text):
            text = json.dumps(told, allow_nan=False, indent=2)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    path.write_bytes(text.encode() + b"\n")


def _load_text(path: Path, trusted: bool) -> str:
    return path.read_bytes().decode()  # not read_text, which would change line ends


def _save_text(value: Any, path: Path) -> None:
    if not isinstance(value, str):
        raise UsageError(f"text holds str, not {type(value).__name__}", hint="save it as json, or as str(value)")
    path.write_bytes(value.encode())


def _load_bytes(path: Path, trusted: bool) -> bytes:
    return path.read_bytes()


def _save_bytes(value: Any, path: Path) -> None:
    if not isinstance(value, bytes | bytearray | memoryview):
        raise UsageError(f"bytes holds bytes, not {type(value).__name__}", hint="save it in another format")
    path.write_bytes(value)


JSON = Format("json", _load_json, _save_json, extensions=(".json",))
TEXT = Format("text", _load_text, _save_text, extensions=(".txt", ".md", ".log"))
BYTES = Format("bytes", _load_bytes, _save_bytes)
