"""Detection of the format of a file, first by its content and then by its name."""

from __future__ import annotations

import io
from pathlib import Path

from gitmodel.domain.schema.record_values import FOLDER_FORMAT
from gitmodel.errors import NotFound, UsageError
from gitmodel.formats.catalogue.plugins import folder_formats, other_formats

PICKLES = frozenset({"pickle", "joblib", "cloudpickle", "torch-pickle"})

_HEAD = 1 << 16
_MOST_BEFORE_SVG = 20  # the limit of declarations and comments before the first element
_STARTS = (
    (b"\x89PNG\r\n\x1a\n", "png"),
    (b"\xff\xd8\xff", "jpeg"),
    (b"GIF87a", "gif"),
    (b"GIF89a", "gif"),
    (b"GGUF", "gguf"),
    (b"{L\x00\x00\x00\x00\x00\x00\x00\x07learner", "xgboost"),  # UBJSON
    (b'{"learner":{"', "xgboost"),
    (b"tree\nversion=v", "lightgbm"),
)
_HDF5 = b"\x89HDF\r\n\x1a\n"
# the positions at which the signature of an HDF5 file can be: other data may come before it
_HDF5_STARTS = (0, 512, 1024, 2048, 4096, 8192, 16384, 32768)
# The protobuf tags of an ONNX model's fields: ir_version, producer_name, ..., opset_import.
_ONNX = frozenset(b"\x08\x12\x1a\x22\x28\x32\x3a\x42")
# The format by the extension of a file. Only formats whose files have no fixed first bytes are here; others, such as
# Parquet, are recognized by their first bytes alone.
_EXTENSIONS = {
    ".csv": "csv",
    ".joblib": "joblib",  # its files are often compressed, and compressed files of all kinds start in the same way
    ".json": "json",
    ".log": "text",
    ".md": "text",
    ".onnx": "onnx",
    ".pickle": "pickle",  # a pickle of protocol 0 has no fixed first byte
    ".pkl": "pickle",
    ".txt": "text",
}


# The format by the extension of a file of which not even the first bytes are known: an external file that gitmodel did
# not read.
_UNREAD = {
    **_EXTENSIONS,
    ".gguf": "gguf",
    ".gif": "gif",
    ".h5": "hdf5",
    ".hdf5": "hdf5",
    ".jpeg": "jpeg",
    ".jpg": "jpeg",
    ".keras": "keras",
    ".npy": "numpy",
    ".npz": "numpy",
    ".parquet": "parquet",
    ".png": "png",
    ".safetensors": "safetensors",
    ".skops": "skops",
    ".svg": "svg",
    ".ubj": "xgboost",
    ".webp": "webp",
}


def detect_format(path: Path) -> str:
    """Return the format of the file *path*; `bytes` if it is unknown, `folder` for a folder.

    A file with the content of a pickle is a pickle, whatever its name. Raises NotFound if there is no file *path*,
    UsageError if it cannot be read.

    >>> detect_format(Path("model.ubj"))      # doctest: +SKIP
    'xgboost'
    """
    if path.is_dir():
        return FOLDER_FORMAT
    head = _head_of(path)
    return _own_format(path, path, head) or _format_of_others(path, head)


def is_pickle(path: Path, content: io.BytesIO | None = None) -> bool:
    """Return True if *path* is a file with the content or name of a pickle.

    *content* has the bytes of the file; if it is None, the file is read.

    >>> is_pickle(Path("model.skops"), io.BytesIO(b"\\x80\\x04]."))
    True
    """
    if content is not None:
        return _own_format(content, path, bytes(content.getbuffer()[:_HEAD])) in PICKLES
    return not path.is_dir() and _own_format(path, path, _head_of(path)) in PICKLES


def _head_of(path: Path) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read(_HEAD)
    except FileNotFoundError:
        raise NotFound(f"there is no file {path}", hint="check the path") from None
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}", hint="check its permissions") from None


def _own_format(file: Path | io.BytesIO | None, path: Path, head: bytes) -> str:
    """Return the built-in format of *file* by its content, or else by the name of *path*.

    Returns "" if neither shows a format.
    """
    if found := _format_of_content(file, head):
        return found
    found = _EXTENSIONS.get(path.suffix.lower(), "")
    return "" if found == "onnx" and head and head[0] not in _ONNX else found


def folder_format(path: Path) -> str:
    """Return the format of the folder *path*. Raises UsageError if no format or several formats accept it."""
    found = _folder_formats(path)
    if not found:
        raise UsageError(
            f"{path} is a folder, which is not a single value", hint="use .path() and open the files in it"
        )
    return _only(found, path)


def is_value(path: Path) -> bool:
    """Return True if the folder *path* is a value that gitmodel can load, such as a model of Transformers."""
    return bool(_folder_formats(path))


def _folder_formats(path: Path) -> list[str]:
    return [format.name for format in folder_formats() if format.is_folder is not None and format.is_folder(path)]


def detect_format_of(head: bytes | None, name: str) -> str:
    """Return the format of a file from its first bytes and its *name*; `bytes` if it is unknown.

    *head* has the first bytes, or is None for a file that gitmodel did not read. The name alone then decides.

    >>> detect_format_of(b"PAR1", "s3://bucket/raw.csv"), detect_format_of(b"a,b", "https://example.com/raw.csv")
    ('parquet', 'csv')
    >>> detect_format_of(None, "s3://bucket/raw.parquet"), detect_format_of(b"?", "s3://bucket/raw.parquet")
    ('parquet', 'bytes')
    """
    path = Path(name)
    if head is None:
        return _UNREAD.get(path.suffix.lower()) or _format_of_others(path, b"")
    return _own_format(None, path, head) or _format_of_others(path, head)


def _format_of_content(file: Path | io.BytesIO | None, head: bytes) -> str:
    if head.startswith(b"\x93NUMPY"):
        return "numpy"
    if head.startswith(b"PAR1"):
        return "parquet"
    if found := next((name for start, name in _STARTS if head.startswith(start)), ""):
        return found
    if any(head.startswith(_HDF5, start) for start in _HDF5_STARTS):
        return "hdf5"
    if head.startswith(b"RIFF") and head[8:12] == b"WEBP":
        return "webp"
    if _is_svg(head):
        return "svg"
    if _is_pickle(head):
        return "joblib" if b"joblib.numpy_pickle" in head else "pickle"
    if head.startswith(b"PK\x03\x04"):
        return _format_of_archive(file) if file is not None else ""
    if len(head) >= 10 and head[8:9] == b"{" and 2 <= int.from_bytes(head[:8], "little") <= 100_000_000:
        return "torch" if b'"gitmodel.module"' in head else "safetensors"
    return ""


def _is_svg(head: bytes) -> bool:
    """Return True if the first element of an XML file is `svg`. A web page that contains a drawing is no SVG file."""
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    for _ in range(_MOST_BEFORE_SVG):
        if not text.startswith((b"<?xml", b"<!--", b"<!DOCTYPE svg")):
            break
        end = b"-->" if text.startswith(b"<!--") else b">"
        text = text.partition(end)[2].lstrip()
    return text.startswith(b"<svg") and text[4:5] in b"> \t\r\n/"


def _is_pickle(head: bytes) -> bool:
    # Pickles of the protocols 2 to 5 start with these two bytes and an opcode, which is never zero. A safetensors file
    # can start with the same two bytes, but then a zero follows.
    return len(head) >= 3 and head[0] == 0x80 and 2 <= head[1] <= 5 and head[2] != 0


def _format_of_archive(file: Path | io.BytesIO) -> str:
    import zipfile

    try:
        with zipfile.ZipFile(file) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError, UnicodeDecodeError):
        return ""
    if "schema.json" in names:
        return "skops"
    if {"config.json", "metadata.json", "model.weights.h5"} <= set(names):
        return "keras"
    if any(name.endswith("/data.pkl") for name in names):
        return "torch-pickle"
    if "gitmodel.json" in names:
        return "numpy"
    if {"format.npy", "shape.npy", "data.npy"} <= set(names):
        return "sparse"
    return "numpy" if names and all(name.endswith(".npy") for name in names) else ""


def _format_of_others(path: Path, head: bytes) -> str:
    suffix = path.suffix.lower()
    others = other_formats()
    found = [each.name for each in others if any(head.startswith(magic) for magic in each.magic)]
    found = found or [each.name for each in others if suffix and suffix in each.extensions]
    return _only(found, path) if found else "bytes"


def _only(found: list[str], path: Path) -> str:
    """Return the only format in *found*, the formats that accept *path*.

    Raises UsageError if there are several formats.
    """
    if len(found) > 1:
        raise UsageError(
            f"{path.name} has the content or name of several formats: {', '.join(sorted(found))}",
            hint=f"choose one: link_artifact(..., format={sorted(found)[0]!r}), or --as-format in a command",
        )
    return found[0]
