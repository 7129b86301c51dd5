"""Tables, as pandas DataFrames: Parquet, which keeps types and index, and CSV, which keeps neither."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from gitmodel.errors import UsageError
from gitmodel.formats.format import Format, library


def _load_parquet(path: Path, trusted: bool) -> Any:
    pandas = _pandas()
    library("pyarrow", install="gitmodel[parquet]")
    with open(path, "rb") as file:  # a path might be taken for a URL
        return pandas.read_parquet(file, engine="pyarrow")


def _save_parquet(value: Any, path: Path) -> None:
    _require_frame(value, "parquet")
    library("pyarrow", install="gitmodel[parquet]")
    with open(path, "wb") as file:
        value.to_parquet(file, engine="pyarrow")


def _load_csv(path: Path, trusted: bool) -> Any:
    with open(path, "rb") as file:
        return _pandas().read_csv(file)


def _save_csv(value: Any, path: Path) -> None:
    pandas = _pandas()
    _require_frame(value, "csv")
    if not value.index.equals(pandas.RangeIndex(len(value))):
        raise UsageError("csv would lose the index of this DataFrame", hint="call reset_index(), or save it as parquet")
    with open(path, "wb") as file:
        value.to_csv(file, index=False, lineterminator="\n")


def _require_frame(value: Any, name: str) -> None:
    if not isinstance(value, _pandas().DataFrame):
        raise UsageError(
            f"{name} holds a pandas DataFrame, not {type(value).__name__}",
            hint="convert it with pandas.DataFrame",
        )


def _pandas() -> Any:
    return library("pandas", install="gitmodel[parquet]")


PARQUET = Format("parquet", _load_parquet, _save_parquet, extensions=(".parquet",), magic=(b"PAR1",))
CSV = Format("csv", _load_csv, _save_csv, extensions=(".csv",))
