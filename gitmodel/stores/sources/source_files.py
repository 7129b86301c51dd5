"""Finds and opens the files to store, and refuses files that cannot be stored."""

from __future__ import annotations

import errno
import os
import re
import shlex
import stat
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO, NamedTuple, cast

from gitmodel.domain.schema.manifest import fault_of_path
from gitmodel.domain.schema.portable_paths import git_paths, is_git_name
from gitmodel.errors import Conflict, GitModelError, NotFound, Refused, UsageError
from gitmodel.files.open_flags import NOFOLLOW, NONBLOCK, RAW
from gitmodel.stores.verified_reading import RawReader

_KINDS = {
    stat.S_IFSOCK: "a socket",
    stat.S_IFIFO: "a pipe",
    stat.S_IFBLK: "a device",
    stat.S_IFCHR: "a device",
    stat.S_IFDIR: "a folder",
}
# A file called HEAD belongs to a git repository if its content matches `_HEAD`, and its folder also contains a file or
# folder with a name in `_BESIDE_HEAD`.
_HEAD, _HEAD_SIZE = re.compile(rb"ref:\s*refs/|[0-9a-f]{40}([0-9a-f]{24})?\s*$"), 256
_BESIDE_HEAD = frozenset({"objects", "refs", "packed-refs", "reftable", "commondir", "gitdir", "config"})
# gitmodel refuses a folder to which more links lead, because each level of links can double the number of files.
_MOST_TIMES = 100


class SourceFile(NamedTuple):
    """A file to store: its path in a manifest, its path with links resolved, its length in bytes.

    *linked* is True if a symbolic link led to the file, or to a folder above the file.
    """

    name: str
    place: Path
    size: int
    linked: bool = False


def find_source(path: Path, follow_links: Path | None = None) -> Path:
    """Return the file or folder *path* with symbolic links resolved.

    Raises NotFound if *path* does not exist; UsageError if *path* is not accessible, or is a link to a target outside
    the folder *follow_links* (None: any target is allowed).
    """
    if follow_links is not None and path.is_symlink():
        return _follow((links_root(follow_links),), path, follow_links)
    try:
        return Path(os.path.realpath(path, strict=True))
    except OSError as error:
        raise _refusal(path, error) from None


def links_root(folder: str | os.PathLike[str]) -> Path:
    """Return *folder*, to which links may lead, without links in its path. Raises UsageError if it is no folder."""
    root = Path(os.path.realpath(Path(folder).expanduser()))
    if not root.is_dir():
        raise UsageError(
            f"gitmodel cannot follow links to {_shown(os.fspath(folder))}, which is not a folder",
            hint="name the folder that contains the targets of the links",
        )
    return root


def refuse_git(path: Path, follow_links: Path | None = None) -> None:
    """Raise Refused if *path* is or leads to the `.git` of a repository. Raises the errors of `find_source`."""
    for place in (path, find_source(path, follow_links)):
        if is_git_name(place.name):
            raise _git_inside(place.parent, place.name)


def list_folder(root: Path, follow_links: Path | None = None) -> list[SourceFile]:
    """Return the files in the folder *root*, which is not a link, and its subfolders, in the order of a manifest.

    A link to a file inside *root*, or inside the folder *follow_links*, counts as that file. If *follow_links* is
    given, a link to a folder inside *root* or *follow_links* counts as that folder. Folders without files are skipped,
    as in git.

    Raises UsageError for other links, for a folder that contains itself by a link or is reached too often, for entries
    that are neither file nor folder, and for a name that a manifest does not support; Refused if the folder contains a
    git repository.
    """
    files = sorted(_walk(root, follow_links), key=lambda file: file.name)
    if bare := git_paths([file.name for file in files]):
        head = root / bare[0]
        raise _git_inside(head.parent, head.name)
    return files


def open_source(path: Path, name: str, *, linked: bool = False) -> BinaryIO:
    """Open the file *path*, whose links are resolved. *name* is its name in messages.

    The reader can be rewound, and raises Conflict at the end if the file changed after it was opened. Also raises
    Conflict if a link led to the file (*linked*) and a part of *path* has become a link. Raises UsageError for anything
    but a readable regular file.
    """
    try:
        _refuse_special(name, os.lstat(path).st_mode)
        descriptor = os.open(path, os.O_RDONLY | NOFOLLOW | NONBLOCK | RAW)
    except FileNotFoundError:
        raise _changed(name) from None
    except OSError as error:
        raise _refusal(name, error) from None
    state = os.fstat(descriptor)
    try:
        _refuse_special(name, state.st_mode)  # checked again, because the file can have been replaced since
        # At its end, the reader also checks that *path* still names the opened file.
        if linked and os.path.realpath(path) != str(path):
            raise _changed(name)
    except GitModelError:
        os.close(descriptor)
        raise
    return cast(BinaryIO, _WatchedFile(descriptor, path, name, state))


class _WatchedFile(RawReader):
    """Reads a file, and detects at its end that the file was written or replaced meanwhile."""

    def __init__(self, descriptor: int, path: Path, name: str, before: os.stat_result) -> None:
        self._descriptor = descriptor
        self._path = path
        self._shown = name
        self._before = before
        self._count = 0

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        try:
            self._count = os.lseek(self._descriptor, offset, whence)
        except OSError as error:
            if error.errno != errno.EINVAL:
                raise _refusal(self._shown, error) from None
            # a file that the kernel computes, such as /proc/cpuinfo, has no end to seek to
            raise UsageError(
                f"{_shown(self._shown)} has no length, so it cannot be stored", hint="store a copy of the file"
            ) from None
        return self._count

    def fill(self, view: memoryview) -> int:
        try:
            count = os.readv(self._descriptor, [view])
        except OSError as error:
            raise _refusal(self._shown, error) from None
        self._count += count
        if not count:
            self._refuse_change()
        return count

    def close(self) -> None:
        if not self.closed:
            os.close(self._descriptor)
        super().close()

    def _refuse_change(self) -> None:
        try:
            after = (os.fstat(self._descriptor), os.lstat(self._path))
        except OSError:
            raise _changed(self._shown) from None
        same = all(_identity(state) == _identity(self._before) for state in after)
        if not same or self._count != self._before.st_size:
            raise _changed(self._shown)


def _identity(state: os.stat_result) -> tuple[int, int, int, int]:
    return state.st_dev, state.st_ino, state.st_size, state.st_mtime_ns


class _Folder(NamedTuple):
    """A folder to list: the prefix of names in it, its path with links resolved, and True if a link led to it.

    *above* are the resolved paths of its parent folders.
    """

    prefix: str
    place: Path
    linked: bool = False
    above: frozenset[Path] = frozenset()


def _walk(root: Path, follow_links: Path | None) -> Iterator[SourceFile]:
    roots = (root,) if follow_links is None else (root, links_root(follow_links))
    folders = [_Folder("", root)]
    times: Counter[Path] = Counter()
    while folders:
        folder = folders.pop()
        shown = root / folder.prefix
        if follow_links is not None:
            times[folder.place] += 1
            _refuse_again(shown, folder, times[folder.place])
        try:
            with os.scandir(folder.place) as found:
                entries = list(found)
        except OSError as error:
            raise _refusal(shown, error) from None
        _refuse_git_folder(folder.place, [entry.name for entry in entries])
        for entry in entries:
            name, path = folder.prefix + entry.name, shown / entry.name
            if is_git_name(entry.name):
                raise _git_inside(folder.place, entry.name)
            if fault := fault_of_path(name):
                raise UsageError(f"{_shown(path)} cannot be stored: {fault}", hint="rename it")
            link = entry.is_symlink()
            place = folder.place / entry.name if folder.linked else path
            if link:
                place = _follow(roots, place, follow_links, path)
            linked = folder.linked or link
            if place.is_dir() if link else entry.is_dir(follow_symlinks=False):
                if link:
                    _refuse_folder_link(path, place, follow_links)
                folders.append(_Folder(name + "/", place, linked, folder.above | {folder.place}))
                continue
            try:
                state = os.lstat(place)
            except OSError as error:
                raise _refusal(place, error) from None
            _refuse_special(str(path), state.st_mode)
            yield SourceFile(name, place, state.st_size, linked)


def _refuse_folder_link(path: Path, place: Path, follow_links: Path | None) -> None:
    """Raise an error for the link *path* to the folder *place*, unless the link may be followed.

    The error is UsageError if *follow_links* is None, Refused if *place* is the `.git` of a repository.
    """
    if follow_links is None:
        raise UsageError(
            f"{_shown(path)} is a link to a folder",
            hint="use `--follow-links ROOT` (in Python: follow_links=ROOT) to store the files of the folder; ROOT is a "
            "folder that contains the target of the link; or replace the link by a copy of the folder",
        )
    if is_git_name(place.name):
        raise _git_inside(place.parent, place.name)


def _refuse_again(path: Path, folder: _Folder, times: int) -> None:
    """Raise UsageError if *folder*, reached as *path*, contains itself, or was reached too often (*times*).

    Without this limit, folders with links to each other could have more paths than fit on a disk.
    """
    if folder.place in folder.above:
        raise UsageError(f"{_shown(path)} leads to a folder that contains it", hint="fix or remove the link")
    if times > _MOST_TIMES:
        raise UsageError(
            f"links lead to {_shown(folder.place)} more than {_MOST_TIMES} times, the last time as {_shown(path)}",
            hint="put a copy of the folder in place of some links, or remove them",
        )


def _follow(roots: Sequence[Path], link: Path, follow_links: Path | None, path: Path | None = None) -> Path:
    """Return the target of *link*. Raises UsageError unless the target is in one of the folders *roots*.

    Messages name the link *path* and the folder *follow_links*.
    """
    shown = _shown(path or link)
    try:
        place = Path(os.path.realpath(link, strict=True))
    except FileNotFoundError:
        raise UsageError(f"{shown} is a link to a file that does not exist", hint="fix or remove the link") from None
    except OSError as error:
        raise _refusal(path or link, error) from None
    if not any(place.is_relative_to(root) for root in roots):
        if follow_links is None:
            raise UsageError(
                f"{shown} is a link to a target outside its folder",
                hint="use `--follow-links ROOT` (in Python: follow_links=ROOT) to store the targets of links; ROOT is "
                "a folder that contains all of them; or replace the link by a copy of the file",
            )
        raise UsageError(
            f"{shown} is a link to a target outside {_shown(follow_links)}: {_shown(place)}",
            hint="replace the link by a copy of the file, or name a ROOT that contains the target if you trust it",
        )
    return place


def _refuse_git_folder(folder: Path, names: list[str]) -> None:
    """Raise Refused if *folder*, which contains *names*, is a git folder.

    Empty folders such as `objects` and `refs` are missing in copies of a git folder, so one other file beside HEAD is
    enough: `commondir` in the git folder of a linked work tree, `config` in an incomplete copy.
    """
    known = {name.casefold(): name for name in names}
    if "head" in known and not known.keys().isdisjoint(_BESIDE_HEAD) and _is_head(folder / known["head"]):
        raise _git_inside(folder, known["head"])


def _is_head(path: Path) -> bool:
    """Return True if the file has the form of git's HEAD: a ref or a commit."""
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):
            return False
        with path.open("rb") as file:
            return _HEAD.match(file.read(_HEAD_SIZE)) is not None
    except OSError:
        return False


def _git_inside(folder: Path, name: str) -> Refused:
    what = f"{_shown(folder / name)}"
    return Refused(
        f"{what} makes {_shown(folder)} a git repository, which is not stored in an artifact: its config can hold "
        "credentials, and git runs commands that the config names",
        hint=f"store a copy without it: `git -C {shlex.quote(str(folder))} archive --prefix=COPY/ HEAD | tar -x`, "
        "or a copy of the folder from which you removed it",
    )


def _refuse_special(name: str, mode: int) -> None:
    if not stat.S_ISREG(mode):
        kind = _KINDS.get(stat.S_IFMT(mode), "no regular file")
        raise UsageError(f"{_shown(name)} is {kind}, which cannot be stored", hint="name a file or a folder of files")


def _refusal(path: Path | str, error: OSError) -> GitModelError:
    shown = _shown(path)
    if error.errno in (errno.ENOENT, errno.ENOTDIR):
        return NotFound(
            f"there is no file or folder {shown}", hint="check the path; it is relative to the current folder"
        )
    if error.errno == errno.ELOOP:
        return UsageError(f"{shown} is a link that forms a cycle", hint="fix or remove the link")
    if error.errno in (errno.EACCES, errno.EPERM):
        return UsageError(f"{shown} cannot be read: {error.strerror}", hint="make it readable with `chmod u+r`")
    return UsageError(f"{shown} cannot be read: {error.strerror or error}", hint="check the disk")


def _changed(name: str) -> Conflict:
    return Conflict(
        f"{_shown(name)} changed while it was being read; nothing was recorded",
        hint="wait until its writer is done and try again",
    )


def _shown(path: Path | str) -> str:
    # a file name can contain escape sequences of terminals
    text = str(path)
    return text if text.isprintable() else ascii(text)
