"""The format keras: whole models in `.keras` files. Loading needs trust, because it can run code in the file."""

from __future__ import annotations

import json
import tempfile
import zipfile
from pathlib import Path
from typing import Any

from gitmodel.errors import UsageError
from gitmodel.formats.catalogue.format import Format, library, type_name

_METADATA = "metadata.json"


def _load(path: Path, trusted: bool) -> Any:
    keras = library("keras", install="keras")
    if path.suffix == ".keras":
        return keras.saving.load_model(path, safe_mode=False)
    with tempfile.TemporaryDirectory(prefix="gitmodel-") as folder:
        # a link with the extension .keras, because Keras detects the format by the extension
        named = Path(folder, "model.keras")
        named.symlink_to(path.absolute())
        return keras.saving.load_model(named, safe_mode=False)


def _save(value: Any, path: Path) -> None:
    keras = library("keras", install="keras")
    if not isinstance(value, keras.Model):
        raise UsageError(f"keras holds a keras.Model, not this {type_name(value)}", hint="put it into a keras.Model")
    with tempfile.TemporaryDirectory(prefix=".gitmodel-", dir=path.parent) as folder:
        written = Path(folder, "model.keras")
        keras.saving.save_model(value, written)
        _settle(written, path)


def _settle(written: Path, path: Path) -> None:
    """Copy the archive *written* to *path* without times, so that equal models give equal files."""
    with zipfile.ZipFile(written) as old, zipfile.ZipFile(path, "w") as new:
        for name in sorted(old.namelist()):
            content = old.read(name)
            if name == _METADATA:
                content = json.dumps({**json.loads(content), "date_saved": ""}, sort_keys=True).encode()
            new.writestr(zipfile.ZipInfo(name), content)


def _difference(saved: Any, loaded: Any) -> str:
    if type(saved) is not type(loaded) or saved.to_json() != loaded.to_json():
        return "it would have other layers"
    one, other = saved.get_weights(), loaded.get_weights()
    same = len(one) == len(other) and all(
        (a.dtype, a.shape, a.tobytes()) == (b.dtype, b.shape, b.tobytes()) for a, b in zip(one, other, strict=True)
    )
    return "" if same else "its weights would differ"


KERAS = Format("keras", _load, _save, (".keras",), unsafe=True, difference=_difference)
