"""Detection of the format of a file, first by its content and then by its name."""

from __future__ import annotations

from pathlib import Path

from gitmodel.errors import NotFound, UsageError
from gitmodel.formats.plugins import other_formats

FOLDER = "folder"
PICKLES = frozenset({"pickle", "joblib", "cloudpickle"})

_HEAD = 1 << 16
# Only formats without known first bytes. A file called .parquet with other first bytes is not Parquet.
_EXTENSIONS = {
    ".csv": "csv",
    ".joblib": "joblib",  # compressed pickles start like any compressed file
    ".json": "json",
    ".log": "text",
    ".md": "text",
    ".pickle": "pickle",  # protocol 0 can start with any byte
    ".pkl": "pickle",
    ".txt": "text",
}


def detect_format(path: Path) -> str:
    """Return the format of the file *path*; `bytes` if it is unknown, `folder` for a folder.

    A file with the content of a pickle is a pickle, whatever its name. Raises NotFound or UsageError for a file that
    cannot be read.
    """
    if path.is_dir():
        return FOLDER
    try:
        with open(path, "rb") as file:
            head = file.read(_HEAD)
    except FileNotFoundError:
        raise NotFound(f"there is no file {path}", hint="check the path") from None
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}", hint="check its permissions") from None
    return _format_of_content(path, head) or _EXTENSIONS.get(path.suffix.lower()) or _format_of_others(path, head)


def detect_format_of(head: bytes, name: str) -> str:
    """Return the format of a file from its first bytes and its *name*; `bytes` if it is unknown.

    >>> detect_format_of(b"PAR1", "s3://bucket/raw.csv"), detect_format_of(b"a,b", "https://example.com/raw.csv")
    ('parquet', 'csv')
    """
    path = Path(name)
    return _format_of_content(None, head) or _EXTENSIONS.get(path.suffix.lower()) or _format_of_others(path, head)


def _format_of_content(path: Path | None, head: bytes) -> str:
    if head.startswith(b"\x93NUMPY"):
        return "numpy"
    if head.startswith(b"PAR1"):
        return "parquet"
    if _is_pickle(head):
        return "joblib" if b"joblib.numpy_pickle" in head else "pickle"
    if head.startswith(b"PK\x03\x04"):
        return _format_of_archive(path) if path is not None else ""
    if len(head) >= 10 and head[8:9] == b"{" and 2 <= int.from_bytes(head[:8], "little") <= 100_000_000:
        return "safetensors"
    return ""


def _is_pickle(head: bytes) -> bool:
    # Protocols 2 to 5 start with these bytes, followed by an opcode, which is never zero. A safetensors file
    # can start with the same two bytes and a zero.
    return len(head) >= 3 and head[0] == 0x80 and 2 <= head[1] <= 5 and head[2] != 0


def _format_of_archive(path: Path) -> str:
    import zipfile

    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError, UnicodeDecodeError):
        return ""
    if "schema.json" in names:
        return "skops"
    if "gitmodel.json" in names:
        return "numpy"
    return "numpy" if names and all(name.endswith(".npy") for name in names) else ""


def _format_of_others(path: Path, head: bytes) -> str:
    suffix = path.suffix.lower()
    others = other_formats()
    for found in others:
        if any(head.startswith(magic) for magic in found.magic):
            return found.name
    return next((found.name for found in others if suffix and suffix in found.extensions), "bytes")
