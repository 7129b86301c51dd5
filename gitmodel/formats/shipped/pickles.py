"""The pickle formats. Loading a pickle can run code from the file, so these formats are unsafe and need trust."""

from __future__ import annotations

import pickle
from functools import partial
from pathlib import Path
from typing import Any

from gitmodel.formats.catalogue.format import Format, library


def _load_pickle(path: Path, trusted: bool) -> Any:
    with open(path, "rb") as file:
        return pickle.load(file)


def _load_joblib(path: Path, trusted: bool) -> Any:
    return library("joblib", install="gitmodel[skops]").load(path)


def _load_cloudpickle(path: Path, trusted: bool) -> Any:
    # checked first: the file uses functions of cloudpickle, and pickle's own error would not say what to install
    library("cloudpickle", install="cloudpickle")
    return _load_pickle(path, trusted)


def _save_with(module: str, install: str, value: Any, path: Path) -> None:
    with open(path, "wb") as file:  # an open file, because joblib would compress if a path has certain extensions
        library(module, install=install).dump(value, file)


PICKLE = Format("pickle", _load_pickle, partial(_save_with, "pickle", ""), (".pkl", ".pickle"), unsafe=True)
JOBLIB = Format("joblib", _load_joblib, partial(_save_with, "joblib", "gitmodel[skops]"), (".joblib",), unsafe=True)
CLOUDPICKLE = Format("cloudpickle", _load_cloudpickle, partial(_save_with, "cloudpickle", "cloudpickle"), unsafe=True)
