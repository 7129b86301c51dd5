"""Converting Arrow arrays: to base64 and back, from chunks to one array, and to types that Parquet does not store."""

from __future__ import annotations

import base64
from typing import Any

from gitmodel.errors import UsageError
from gitmodel.formats.catalogue.format import library

Spec = dict[str, Any]


def dictionary_of(column: Any) -> Spec:
    """Return a `Spec` with the dictionary of an Arrow column.

    Returns {} for a column without a dictionary, and for a dictionary of text or bytes, which Parquet itself stores.
    """
    arrow, _ = libraries()
    if not arrow.types.is_dictionary(column.type):
        return {}
    kept = (arrow.string(), arrow.large_string(), arrow.binary(), arrow.large_binary())
    if column.type.value_type in kept:
        return {}
    chunks = column.unify_dictionaries().chunks if isinstance(column, arrow.ChunkedArray) else [column]
    return {"dictionary": in_base64(arrow, chunks[0].dictionary)} if chunks else {}


def as_type(column: Any, wanted: Any, spec: Spec) -> Any:
    """Return *column*, read from a Parquet file, with its original type *wanted* and the dictionary in *spec*."""
    arrow, _ = libraries()
    if column.type.equals(wanted, check_metadata=True):
        return column
    if arrow.types.is_dictionary(wanted) and not arrow.types.is_dictionary(column.type):
        column = column.cast(wanted.value_type)
        if "dictionary" not in spec:
            return column.dictionary_encode().cast(wanted)
        dictionary = from_base64(arrow, spec["dictionary"])
        codes = [
            arrow.compute.index_in(chunk, value_set=dictionary).cast(wanted.index_type)
            for chunk in (column.chunks if isinstance(column, arrow.ChunkedArray) else [column])
        ]
        parts = [arrow.DictionaryArray.from_arrays(part, dictionary, ordered=wanted.ordered) for part in codes]
        return arrow.chunked_array(parts, wanted)
    return column.cast(wanted)


def in_base64(arrow: Any, array: Any) -> str:
    sink = arrow.BufferOutputStream()
    batch = arrow.RecordBatch.from_arrays([array], names=["values"])
    with arrow.ipc.new_stream(sink, batch.schema) as stream:
        stream.write_batch(batch)
    return base64.b64encode(sink.getvalue().to_pybytes()).decode()


def from_base64(arrow: Any, text: str) -> Any:
    with arrow.ipc.open_stream(base64.b64decode(text)) as stream:
        return one_array(stream.read_all().column(0))


def one_array(column: Any) -> Any:
    """Return *column*, an Arrow array that may consist of chunks, as a single array."""
    arrow, _ = libraries()
    if not isinstance(column, arrow.ChunkedArray):
        return column
    if column.num_chunks == 1:
        return column.chunk(0)
    return arrow.concat_arrays(column.chunks) if column.num_chunks else arrow.nulls(0, column.type)


def copying(column: Any) -> dict[str, bool]:
    """Return the keyword arguments that allow `to_numpy` of the Arrow array *column* to copy the values."""
    return {} if hasattr(column, "num_chunks") else {"zero_copy_only": False}


def refused(misfit: str, hint: str) -> UsageError:
    return UsageError(f"{misfit}, which gitmodel cannot save", hint=hint)


def libraries() -> tuple[Any, Any]:
    """Return the modules pyarrow and pandas. Raises UnusableFormat if one is missing."""
    arrow = library("pyarrow", install="gitmodel[parquet]")
    library("pyarrow.compute", install="gitmodel[parquet]")
    return arrow, library("pandas", install="gitmodel[parquet]")
