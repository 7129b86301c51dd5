"""Saving the values that steps return, and loading the values that steps take."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, get_args

from gitmodel import formats
from gitmodel.errors import UsageError
from gitmodel.formats.catalogue import plugins
from gitmodel.formats.catalogue.format import (
    Materializer,
    NotImportable,
    TooLarge,
    UnusableFormat,
    is_of_library,
    is_subclass_of,
)
from gitmodel.formats.catalogue.plugins import find_format, other_materializers
from gitmodel.formats.encoding import frames, numpy_files, values
from gitmodel.formats.loading import explaining, load_with, save_with
from gitmodel.formats.shipped import tables
from gitmodel.formats.shipped.polars_tables import load_polars
from gitmodel.formats.shipped.torch_files import is_state_dict, load_state_dict
from gitmodel.frozen import Frozen


def save(
    value: Any,
    path: Path,
    what: str,
    format: str,
    *,
    pickle: bool = False,
    allow_pickle: str = "give format='pickle'",
) -> tuple[str, str, str]:
    """Write *value* to *path* in *format*, or if it is "" with the first materializer that accepts *value*.

    Returns the format, the kind of the artifact, and the name of the materializer ("" if *format* was given). If the
    materializer is built in, loads the file and compares the result with *value*. If no materializer accepts *value*,
    or if the result differs, pickles *value* if *pickle* is True, and raises UsageError with advice if not. In
    messages, *what* names the value ("output clf"), and *allow_pickle* says how to allow pickle.
    """
    kind, name = "data", ""
    if format:
        formats.save(value, path, format)
        return format, "model" if _is_estimator(value) else kind, name
    try:
        found = find_materializer(value, what, allow_pickle=allow_pickle)
        try:
            if found.save is None:
                formats.save(value, path, found.format)
            else:
                suffix = found.suffix or plugins.suffix_of(found.format)
                save_with(value, path, found.format, found.save, None, suffix=suffix)
        except UsageError as error:
            hint = error.hint
            if not isinstance(error, (NotImportable, TooLarge, UnusableFormat)):
                hint = (
                    f"{hint}; or {allow_pickle} to allow pickle for it" if hint else f"{allow_pickle} to allow pickle"
                )
            raise type(error)(f"{what}: {error.message}", hint=hint) from error
        format, kind, name = found.format, found.kind, found.name
    except (TooLarge, UnusableFormat):
        raise
    except UsageError as error:
        if not pickle:
            raise
        format = _save_pickled(value, path, error)
    return format, "model" if _is_estimator(value) else kind, name


def _save_pickled(value: Any, path: Path, refused: UsageError) -> str:
    """Write *value* to *path* as a pickle or, if that fails, as a cloudpickle, and return the format.

    Does not compare the file with *value*. If both fail, raises UsageError with the message of *refused*, the error why
    no format accepts *value*, and the reason why pickle fails.
    """
    reason = ""
    for format in ("pickle", "cloudpickle"):
        try:
            save_with(value, path, format, find_format(format).save, None)
            return format
        except UnusableFormat:  # cloudpickle is not installed: raise the error of pickle below, which is more useful
            continue
        except UsageError as error:
            reason = error.message
    raise UsageError(f"{refused.message}; {reason}", hint=refused.hint)


def file_name(name: str, format: str, materializer: str) -> str:
    """Return the file name for the value *name* that `save` wrote, with the suffix of the materializer or format.

    >>> file_name("clf", "skops", "scikit-learn"), file_name("clf.skops", "skops", "scikit-learn")
    ('clf.skops', 'clf.skops')
    """
    found = _named(materializer) if materializer else None
    suffix = (found.suffix if found is not None else "") or plugins.suffix_of(format)
    return name if name.endswith(suffix) else name + suffix


def load(path: Path, format: str, materializer: str, *, wanted: Any = None, trusted: bool) -> Any:
    """Return the value in *path*.

    *trusted* must be True only if this run wrote the file or the caller trusts its authors. *materializer* is the name
    of the materializer that wrote the file ("" if unknown, as for artifacts of versions). *wanted* is the type with
    which a step annotates the parameter that gets the value.
    """
    found = _named(materializer) if materializer else _for_type(format, wanted)
    if found is not None and found.load is not None:
        return load_with(path, found.format, found.load, unsafe=found.unsafe, trusted=trusted)
    return formats.load(path, format, trusted=trusted)


def find_materializer(value: Any, what: str, *, allow_pickle: str) -> Materializer:
    """Return the first materializer that can save *value*. Raises UsageError with advice if there is none.

    *what* and *allow_pickle* are as in `save`.
    """
    # `handles` can fail, for example because another thread changes the value meanwhile
    with explaining(UsageError, f"{what} cannot be saved"):
        for candidate in _all():
            if candidate.handles(value):
                return candidate
        misfit = values.misfit(value, what)
    hint = (
        f"{allow_pickle} to allow pickle for it, or write a materializer, as the page "
        '"Write a materializer" of the documentation shows'
    )
    raise UsageError(f"{misfit}, which gitmodel cannot save", hint=hint)


def _named(name: str) -> Materializer | None:
    return next((candidate for candidate in _all() if candidate.name == name), None)


def _all() -> Iterator[Materializer]:
    """Yield the built-in materializers, then the others, which are imported only when they are needed."""
    yield from _BUILT_IN
    yield from other_materializers()


def _for_type(format: str, wanted: Any) -> Materializer | None:
    """Return the materializer that loads a file in *format* as the type *wanted*.

    Returns None if the format itself loads the file.
    """
    if not format or format in formats.format_names():
        named = str(wanted) if get_args(wanted) else f"{getattr(wanted, '__module__', '')}."
        libraries = [found for found in _BUILT_IN if found.format == format and found.library and found.load]
        return next((found for found in libraries if f"{found.library}." in named), None)
    return next((candidate for candidate in other_materializers() if candidate.format == format), None)


class _OfType(Frozen):
    """A function that gets a value, and returns the result of *accepts* for its type. Imports nothing."""

    accepts: Callable[[type], bool]

    def __call__(self, value: Any) -> bool:
        return self.accepts(type(value))


def format_of_type(kind: type) -> str:
    """Return the format in which values of *kind* are saved, or "" if the type does not decide it.

    A dict of arrays, for example, is saved in another format than other dicts. Ignores materializers of other packages,
    because they decide by the value, not by its type.

    >>> format_of_type(dict), format_of_type(str), format_of_type(object)
    ('json', 'text', '')
    """
    for candidate in _BUILT_IN:
        if isinstance(candidate.handles, _OfType) and candidate.handles.accepts(kind):
            return candidate.format
    if numpy_files.is_type(kind):
        return "numpy"
    return "json" if values.is_type(kind) else ""


def _is_from(kind: type, library: str) -> bool:
    """Return True if *library* defines the class *kind* itself, not only a base class of it."""
    return kind.__module__.partition(".")[0] == library


def _is_pretrained(kind: type) -> bool:
    model = is_subclass_of(kind, "transformers.modeling_utils", "PreTrainedModel")
    return model or is_subclass_of(kind, "transformers.tokenization_utils_base", "PreTrainedTokenizerBase")


def _is_estimator(value: Any) -> bool:
    return is_of_library(type(value), "sklearn") and hasattr(value, "get_params")


def _is_json(value: Any) -> bool:
    return not values.misfit(value)


def _is_array(value: Any) -> bool:
    return numpy_files.is_type(type(value)) or numpy_files.is_dict_of_arrays(value)


def _load_array(path: Path) -> Any:
    found = formats.load(path, "numpy")
    # earlier releases saved a scalar as a .npy file of an array without dimensions, so such an array becomes a scalar
    with open(path, "rb") as file:
        return found[()] if getattr(found, "ndim", None) == 0 and file.read(1) == b"\x93" else found


def _load_series(path: Path) -> Any:
    found = formats.load(path, "parquet")
    # earlier releases saved a Series as a table of one column without gitmodel's metadata, which loads as a frame
    return found.iloc[:, 0] if hasattr(found, "columns") else found


# The built-in materializers. Their order matters, because the first one that handles a value saves it.
_BUILT_IN = (
    Materializer("text", _OfType(lambda kind: kind is str), "text"),
    Materializer("bytes", _OfType(lambda kind: kind is bytes), "bytes"),
    Materializer("sparse", _OfType(lambda kind: kind.__module__.startswith("scipy.sparse.")), "sparse"),
    Materializer("state-dict", is_state_dict, "safetensors", "model", None, load_state_dict, "torch"),
    Materializer("numpy", _is_array, "numpy", "data", None, _load_array),
    Materializer("pandas", _OfType(frames.is_table_type), "parquet", "data", None, tables.load_pandas, "pandas"),
    Materializer("pandas-series", lambda value: False, "parquet", "data", None, _load_series),
    Materializer("arrow", _OfType(tables.is_arrow_table_type), "parquet", "data", None, tables.load_arrow, "pyarrow"),
    # xgboost and lightgbm are before scikit-learn, because their estimators inherit from its classes
    Materializer("xgboost", _OfType(lambda kind: _is_from(kind, "xgboost")), "xgboost", "model"),
    Materializer("lightgbm", _OfType(lambda kind: _is_from(kind, "lightgbm")), "lightgbm", "model"),
    # keras and transformers are before torch, because their models can inherit from torch's modules
    Materializer(
        "keras", _OfType(lambda kind: is_subclass_of(kind, "keras.src.models.model", "Model")), "keras", "model"
    ),
    Materializer("transformers", _OfType(_is_pretrained), "transformers", "model"),
    Materializer(
        "torch", _OfType(lambda kind: is_subclass_of(kind, "torch.nn.modules.module", "Module")), "torch", "model"
    ),
    Materializer("onnx", _OfType(lambda kind: _is_from(kind, "onnx")), "onnx", "model"),
    Materializer("polars", _OfType(lambda kind: _is_from(kind, "polars")), "polars"),
    Materializer("polars-of-parquet", lambda value: False, "parquet", "data", None, load_polars, "polars"),
    Materializer("pandas-of-polars", lambda value: False, "polars", "data", None, tables.load_pandas, "pandas"),
    Materializer("picture", _OfType(lambda kind: is_of_library(kind, "matplotlib", "PIL")), "png"),
    Materializer("scikit-learn", _OfType(lambda kind: is_of_library(kind, "sklearn")), "skops"),
    Materializer("json", _is_json, "json"),
)
