"""The pickle formats. Loading one can run code from the file, so all are unsafe and need trust."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

from gitmodel.formats.catalogue.format import Format, library


def _load_pickle(path: Path, trusted: bool) -> Any:
    with open(path, "rb") as file:
        return pickle.load(file)


def _save_pickle(value: Any, path: Path) -> None:
    with open(path, "wb") as file:
        pickle.dump(value, file)


def _load_joblib(path: Path, trusted: bool) -> Any:
    return library("joblib", install="gitmodel[skops]").load(path)


def _save_joblib(value: Any, path: Path) -> None:
    with open(path, "wb") as file:  # with a path, joblib would compress depending on its extension
        library("joblib", install="gitmodel[skops]").dump(value, file)


def _load_cloudpickle(path: Path, trusted: bool) -> Any:
    library("cloudpickle", install="cloudpickle")  # its pickles contain the names of its own functions
    return _load_pickle(path, trusted)


def _save_cloudpickle(value: Any, path: Path) -> None:
    with open(path, "wb") as file:
        library("cloudpickle", install="cloudpickle").dump(value, file)


PICKLE = Format("pickle", _load_pickle, _save_pickle, extensions=(".pkl", ".pickle"), unsafe=True)
JOBLIB = Format("joblib", _load_joblib, _save_joblib, extensions=(".joblib",), unsafe=True)
CLOUDPICKLE = Format("cloudpickle", _load_cloudpickle, _save_cloudpickle, unsafe=True)
