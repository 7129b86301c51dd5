"""The files that a step opens or names while it runs.

Python's audit events report the opened files (https://docs.python.org/3/library/audit_events.html). No event reports a
file that another process opens, or that C code of a library opens. gitmodel notices these files only if their path is a
text in the step: a constant, a parameter or an argument of a process. For all other files, the user declares
`@step(files=[...])`.
"""

from __future__ import annotations

import dis
import os
import re
import sys
import types
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from functools import cached_property
from importlib.util import source_from_cache
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import unquote, urlsplit

from gitmodel.pipelines.project.file_states import (
    FileState,
    OpenedState,
    Stamp,
    hash_file,
    hash_listing,
    hash_stamped,
    is_below,
    stamp_of,
)
from gitmodel.pipelines.project.installed import is_library, library_folders

_PROGRAMS = frozenset({"git", "git-model", "gitmodel"})
_WORDS = re.compile(r"[^\s'\"`$()<>|&;=]+")
_MOST_NAMES = 10_000
_OURS = str(Path(__file__).parents[2]) + os.sep
# Modules of Python that open source code to import or to show it. gitmodel ignores the files that they open, because
# these files are not data of the step.
_READERS_OF_CODE = frozenset({"importlib._bootstrap_external", "linecache", "tokenize", "_frozen_importlib_external"})


class OpenedFiles:
    """Collects the files that a step opens below the folder *root*.

    *reads_registry* is True if the step used git or a registry.
    """

    def __init__(self, root: str) -> None:
        self._root = os.path.realpath(root)
        self._files: dict[str, Stamp | None] = {}
        self._named: dict[str, Stamp | None] = {}
        self._folders: set[str] = set()
        self._written: set[str] = set()
        self.reads_registry = False

    def note_file(self, path: str, *, writes: bool) -> None:
        """Remember that the step opened the file *path*, to read or to write it."""
        if path.endswith(".pyc"):
            try:
                path = source_from_cache(path)
            except ValueError:
                return
        if path in self._files or path in self._written or not self._counts(path):
            return
        if os.path.isdir(path):
            return self.note_folder(path)
        if writes:
            self._written.add(path)
        else:
            self._files[path] = stamp_of(path)

    def note_kept(self, path: str, stamp: Stamp | None) -> None:
        """Remember the file *path*, which the project opened before the step started, when its state was *stamp*."""
        if os.path.isdir(path):
            self.note_folder(path)
        elif self._counts(path):
            self._files[path] = stamp

    def note_named(self, text: str) -> None:
        """If *text* is the path of an existing file, remember the file: the step may let another program open it."""
        if os.path.isfile(text) and self._counts(path := os.path.realpath(text)):
            self._named.setdefault(path, stamp_of(path))

    def note_folder(self, path: str) -> None:
        """Remember that the step listed the folder *path*."""
        if self._counts(path) or path == self._root:
            self._folders.add(path)

    def finish(self) -> OpenedState | None:
        """Return the state of the collected files and folders; None if a file has changed since the step opened it."""
        files: dict[str, FileState | None] = {}
        for path, before in self._files.items():
            if stamp_of(path) != before:
                return None
            files[self._name(path)] = None if before is None else FileState(*before, hash_file(path))
        for path, before in self._named.items():
            # leaves out a file that changed during the step, because the step probably wrote it
            if before is not None and path not in self._written and stamp_of(path) == before:
                files.setdefault(self._name(path), FileState(*before, hash_file(path)))
        folders = {self._name(path): hash_listing(path) for path in self._folders}
        return OpenedState(files, folders)

    def _name(self, path: str) -> str:
        return os.path.relpath(path, self._root)

    def _counts(self, path: str) -> bool:
        return is_below(self._root, path)


def texts_that_may_name_files(function: Callable[..., Any], arguments: Mapping[str, Any]) -> Iterator[str]:
    """Yield the texts that may be paths of files: constants and globals of *function*, and its *arguments*."""
    values = [*arguments.values()]
    code = getattr(function, "__code__", None)
    if code is not None:
        values += _constants(code, function.__globals__)
    for value in values[:_MOST_NAMES]:
        items = value[:_MOST_NAMES] if isinstance(value, (list, tuple)) else (value,)
        yield from (os.fspath(item) for item in items if isinstance(item, (str, os.PathLike)))


def _constants(code: types.CodeType, names: Mapping[str, Any]) -> Iterator[Any]:
    for value in code.co_consts:
        if isinstance(value, types.CodeType):
            yield from _constants(value, names)
        else:
            yield value
    yield from (names[name] for name in code.co_names if name in names)


@contextmanager
def recording_opened_files(
    root: str, code: Collection[str], unloaded: Collection[str], texts: Iterable[str] = ()
) -> Iterator[OpenedFiles]:
    """Record the files that the block opens below *root*, and the texts in *texts* that are paths of existing files.

    Adds files that this process opened before the block, and whose content the step may use: files that a function
    opened and may have kept in a cache or global, if the function is in one of the step's files *code*, and files that
    a module opened during its import, if the file of the module is in *unloaded*. The process of the run has not
    imported these modules, so it cannot compare the files that they opened.
    """
    recorder = OpenedFiles(root)
    for (file, path), stamp in list(_kept_by_functions.items()):
        if file in code:
            recorder.note_kept(os.path.realpath(path), stamp)
    for file in unloaded:
        for one in _in_project(_of_modules.get(file, {})):
            recorder.note_kept(one.path, one.stamp)
    for text in texts:
        recorder.note_named(text)
    _active.append(recorder)
    token = _current.set(recorder)
    try:
        yield recorder
    finally:
        _current.reset(token)
        _active.remove(recorder)


class OpenedByModule(NamedTuple):
    """A file that the statement at *line* of a module opened during the import. *stamp* is the file's state then.

    If the statement listed a folder instead, *listing* is the hash of the names in the folder.
    """

    line: int
    path: str
    stamp: Stamp | None
    listing: str = ""

    def digest_below(self, root: str) -> str | None:
        """Return the SHA-256 of the file or listing; None for a file or folder that is not below *root*.

        Raises ValueError if the file changed after the module had opened it.
        """
        if not is_below(root, self.path):
            return None
        if self.listing:
            return self.listing
        if stamp_of(self.path) != self.stamp:
            raise ValueError(f"{self.path} was edited after it was read")
        return "" if self.stamp is None else hash_stamped(self.path, self.stamp)


def opened_by_module(file: str) -> list[OpenedByModule]:
    """Return the files that the module in *file* opened during its import.

    Raises ValueError if the module opened more files than gitmodel remembers.
    """
    found = _of_modules.get(file, {})
    if len(found) >= _MOST_NAMES:
        raise ValueError(f"{file} opens more than {_MOST_NAMES} files")
    return _in_project(found)


def _in_project(opened: Mapping[tuple[int, str], OpenedByModule]) -> list[OpenedByModule]:
    """Return the entries of *opened* without files of libraries. Follows the symbolic links in each path."""
    real = [one._replace(path=os.path.realpath(one.path)) for one in list(opened.values())]
    return [one for one in real if not is_library(one.path)]


_of_modules: dict[str, dict[tuple[int, str], OpenedByModule]] = {}
_kept_by_functions: dict[tuple[str, str], Stamp | None] = {}  # keys: the file of the function, the opened file
_active: list[OpenedFiles] = []
_current: ContextVar[OpenedFiles | None] = ContextVar("gitmodel_opened_files", default=None)


def _on_event(event: str, arguments: tuple[Any, ...]) -> None:
    if event in ("open", "os.listdir", "os.scandir"):
        with suppress(Exception):
            _note_for_code(event, arguments)
    if not _active:
        return
    handler = _HANDLERS.get(event)
    if handler is None:
        return
    own = _current.get()
    try:
        # One of the running steps started a thread that has no recorder, but gitmodel does not know which of the steps,
        # so it informs the recorders of all.
        handler([own] if own is not None else list(_active), arguments, own is not None)
    except Exception:  # not raised, because Python would raise it in the code that opened the file
        for recorder in list(_active):
            recorder.reads_registry = True


def _note_for_code(event: str, arguments: tuple[Any, ...]) -> None:
    """Remember the file or folder of *event*, if code of the project opens it and may keep its content for later steps.

    Such code is a top-level statement of a module, a function that assigns a global, or a function that caches its
    results. Ignores files that gitmodel opens.
    """
    frame: types.FrameType | None = sys._getframe(2)
    if frame is None or frame.f_globals.get("__name__") in _READERS_OF_CODE or isinstance(arguments[0], int):
        return
    if event == "open" and _writes(arguments):
        return
    path = ""
    while frame is not None:
        if frame.f_code.co_filename in _library_files or (code := _known_code(frame.f_code)) is None:
            frame = frame.f_back
            continue
        if code.is_ours:
            return
        if code.is_module or code.assigns_global or _has_cache(frame):
            # Does not follow symbolic links here, because that is slow, and a program may open a million files.
            path = path or os.path.join(os.getcwd(), os.fsdecode(arguments[0] if arguments[0] is not None else "."))
            if path.startswith(library_folders()):
                return
            if not code.is_module and event == "open" and len(_kept_by_functions) < _MOST_NAMES:
                _kept_by_functions[code.file, path] = stamp_of(path)
            found = _of_modules.setdefault(code.file, {})
            if code.is_module and len(found) < _MOST_NAMES:
                listing = hash_listing(path) if event != "open" else ""
                found[frame.f_lineno, path] = OpenedByModule(frame.f_lineno, path, stamp_of(path), listing)
            if code.is_module:
                return
        frame = frame.f_back


class _KnownCode(NamedTuple):
    code: types.CodeType
    file: str
    is_ours: bool
    is_module: bool
    assigns_global: bool


# Caches, because gitmodel looks up the code of all frames of the stack at each call of `open`.
_library_files: set[str] = set()  # files of libraries; files of gitmodel are not among them
_known: dict[int, _KnownCode] = {}  # the key is the id of the code object, because hashing it is slow


def _known_code(code: types.CodeType) -> _KnownCode | None:
    """Return the facts about *code*, which are cached in `_known`; None for code of a library or without a file."""
    known = _known.get(id(code))
    if known is not None and known.code is code:
        return known
    if len(_known) >= _MOST_NAMES:
        _known.clear()
    is_ours = code.co_filename.startswith(_OURS)
    if not is_ours and (code.co_filename.startswith("<") or is_library(code.co_filename)):
        _library_files.add(code.co_filename)
        return None
    assigns = any(found.opname == "STORE_GLOBAL" for found in dis.get_instructions(code))
    known = _KnownCode(code, os.path.realpath(code.co_filename), is_ours, code.co_name == "<module>", assigns)
    _known[id(code)] = known
    return known


def _has_cache(frame: types.FrameType) -> bool:
    """Return True if the function of *frame* caches its results, by `lru_cache` or a similar decorator."""
    first, *below = getattr(frame.f_code, "co_qualname", frame.f_code.co_name).split(".")
    found = frame.f_globals.get(first)
    for name in below:
        found = vars(found).get(name) if isinstance(found, type) else None
    return hasattr(found, "cache_info") or isinstance(found, cached_property)


def _writes(arguments: tuple[Any, ...]) -> bool:
    _, mode, flags = arguments
    wants = flags if isinstance(flags, int) else 0
    writes = (wants & os.O_ACCMODE) == os.O_WRONLY or bool(wants & os.O_TRUNC) or bool(wants & os.O_EXCL)
    return writes and "+" not in (mode or "")


def _on_open(recorders: list[OpenedFiles], arguments: tuple[Any, ...], _: bool) -> None:
    path = arguments[0]
    if isinstance(path, int) or path is None:
        return
    for recorder in recorders:
        recorder.note_file(_real(path), writes=_writes(arguments))


def _on_list(recorders: list[OpenedFiles], arguments: tuple[Any, ...], _: bool) -> None:
    path = arguments[0] if arguments and arguments[0] is not None else "."
    if isinstance(path, int) or _is_importing():
        return
    for recorder in recorders:
        recorder.note_folder(_real(path))


def _on_database(recorders: list[OpenedFiles], arguments: tuple[Any, ...], _: bool) -> None:
    if not isinstance(arguments[0], (str, bytes)) or arguments[0] == ":memory:":
        return
    name = os.fsdecode(arguments[0])
    if name.startswith("file:"):  # https://www.sqlite.org/uri.html
        name = unquote(urlsplit(name).path)
    for recorder in recorders:
        recorder.note_file(_real(name), writes=False)


def _on_process(recorders: list[OpenedFiles], arguments: tuple[Any, ...], is_own: bool) -> None:
    if not is_own:
        return  # in a thread of gitmodel: ignores the git processes that gitmodel starts
    words: Any = arguments[1] if len(arguments) > 1 else arguments[0]
    words = [words] if isinstance(words, (str, bytes, os.PathLike)) else words
    # a shell command is one argument that contains several words
    texts = [part for word in words for part in (os.fsdecode(word), *_WORDS.findall(os.fsdecode(word)))]
    if _PROGRAMS & set(map(os.path.basename, texts)):
        recorders[0].reads_registry = True
    for text in texts:
        recorders[0].note_named(text)


def _on_registry(recorders: list[OpenedFiles], _: tuple[Any, ...], is_own: bool) -> None:
    if is_own:
        recorders[0].reads_registry = True


_HANDLERS: dict[str, Callable[[list[OpenedFiles], tuple[Any, ...], bool], None]] = {
    "open": _on_open,
    "os.listdir": _on_list,
    "os.scandir": _on_list,
    "sqlite3.connect": _on_database,
    "subprocess.Popen": _on_process,
    "os.system": _on_process,
    "os.posix_spawn": _on_process,
    "gitmodel.read": _on_registry,
}
sys.addaudithook(_on_event)


def _is_importing() -> bool:
    """Return True if Python lists a folder only to look for modules to import."""
    return "importlib" in sys._getframe(3).f_code.co_filename


def _real(path: Any) -> str:
    return os.path.realpath(os.fsdecode(path))
