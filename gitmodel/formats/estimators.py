"""Trained scikit-learn models, as skops files: built again from data, by types that are known to be safe."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from gitmodel.errors import Refused
from gitmodel.formats.format import Format, library


def _load_skops(path: Path, trusted: bool) -> Any:
    skops = library("skops.io", install="gitmodel[skops]")
    unknown = skops.get_untrusted_types(file=path)
    if unknown and not trusted:
        raise Refused(
            f"{path} holds types that skops does not know to be safe: {_listed(unknown)}",
            hint="if you know each of them, load it with trusted=True",
        )
    # skops refuses a plain yes (CVE-2024-37065): trust is given to the types by name
    return skops.load(path, trusted=unknown)


def _save_skops(value: Any, path: Path) -> None:
    library("skops.io", install="gitmodel[skops]").dump(value, path)


def _listed(names: list[str]) -> str:
    shown = ", ".join(ascii(name)[1:-1] for name in names[:10])
    return shown if len(names) <= 10 else f"{shown} and {len(names) - 10} more"


SKOPS = Format("skops", _load_skops, _save_skops, extensions=(".skops",))
