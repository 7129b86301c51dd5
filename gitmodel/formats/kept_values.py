"""Saves a value whose upload failed to a file on this machine, so that the value need not be computed again."""

from __future__ import annotations

import os
import pickle
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from gitmodel.formats.catalogue.detection import PICKLES
from gitmodel.formats.catalogue.plugins import find_format, suffix_of
from gitmodel.formats.loading import save_with


class KeptValue(NamedTuple):
    """The file *path* of the value *name*, which could not be stored as an artifact.

    *format* is the format in which `gitmodel.formats` loads the file, "" if the value is the path itself.
    """

    name: str
    path: Path
    format: str

    @property
    def load_call(self) -> str:
        """The Python call that loads the value."""
        return f"gitmodel.formats.load(pathlib.Path({str(self.path)!r}), {self.format!r}, trusted=True)"


def told_kept(kept: Sequence[KeptValue], *, machine: str = "") -> tuple[str, str]:
    """Return a message about the files of the values *kept*, to add to an error, and a hint that says how to load them.

    *machine* is the name of the machine with the files ("": the machine of the user).

    >>> told_kept([KeptValue("log", Path("train.log"), "")])
    ('; kept: log in train.log', '')
    """
    if not kept:
        return "", ""
    where = f" on the machine {machine}" if machine else ""
    calls = ", ".join(found.load_call for found in kept if found.format)
    files = ", ".join(f"{found.name} in {found.path}" for found in kept)
    return f"; kept{where}: {files}", f"to load: {calls}" if calls else ""


def keep_value(
    name: str,
    value: Any,
    folder: Path | None,
    *,
    holds_secret: Callable[[Path], bool],
    written: Iterable[tuple[Path, str]] = (),
) -> KeptValue | None:
    """Write *value* to a file called *name* in *folder*. If the folder is new, only this user can read it.

    If the file cannot be written there, or *folder* is None, uses a new folder below the system's folder for temporary
    files. *written* lists files in which the value was already saved, each with its format. Moves the first of them
    that can be moved. If there is none, pickles the value. Returns None if no file can be written. If *holds_secret*
    finds a Secret in the file, deletes the file and returns None. An interrupt leaves no incomplete file.
    """
    for place in _folders(folder):
        for write, format_name in _ways(value, written):
            path = place / (name + (suffix_of(format_name) or (".pkl" if format_name in PICKLES else "")))
            try:
                write(path)
                if not holds_secret(path):
                    return KeptValue(name, path, format_name)
                _remove(path)
                _remove_empty(place)
                return None
            # any error, such as a full disk or a failing __reduce__ of another library: try the next way to save the
            # value
            except Exception:
                _remove(path)
            except BaseException:
                _remove(path)
                _remove_empty(place)
                raise
        _remove_empty(place)
    return None


def _folders(folder: Path | None) -> Iterator[Path]:
    if folder is not None:
        with suppress(OSError):
            folder.parent.mkdir(parents=True, exist_ok=True)
            folder.mkdir(mode=0o700, exist_ok=True)
            yield folder
    with suppress(OSError):
        yield Path(tempfile.mkdtemp(prefix="gitmodel-kept-"))


def _ways(value: Any, written: Iterable[tuple[Path, str]]) -> Iterator[tuple[Callable[[Path], object], str]]:
    for found, format in written:
        yield partial(shutil.move, found), format
    for name in ("pickle", "cloudpickle"):
        yield partial(_pickle, value, name), name
    # without the checks of `save_with`: also saves a value whose class is defined in a notebook or at a prompt
    yield lambda path: path.write_bytes(pickle.dumps(value)), "pickle"


def _pickle(value: Any, name: str, path: Path) -> None:
    save_with(value, path, name, find_format(name).save, None)


def _remove(path: Path) -> None:
    with suppress(OSError):
        shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else os.unlink(path)


def _remove_empty(folder: Path) -> None:
    with suppress(OSError):
        folder.rmdir()
