"""Permissions of files that gitmodel creates in a shared repository: `core.sharedRepository`.

The folder `gitmodel` in the common git directory gets the permissions that this setting asks for, and each file those
of its folder. So code that creates files does not need the setting.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from gitmodel.files.open_flags import NOFOLLOW, NONBLOCK, RAW

# A folder with one of these bits is shared. git sets the first bit on folders that a group may use.
_SHARED = stat.S_ISGID | stat.S_IWGRP
_DEEPEST = 3


class SharedPermissions:
    """The permissions that the value *setting* of `core.sharedRepository` grants to other users (`git help config`).

    They extend the permissions that the umask allows, or replace these if the setting is an octal mode such as 0640.

    >>> oct(SharedPermissions("group").mode(0o100644)), oct(SharedPermissions("0640").mode(0o040755))
    ('0o664', '0o2750')
    """

    def __init__(self, setting: str) -> None:
        self._granted, self._instead = _granted(setting)

    def __bool__(self) -> bool:
        return bool(self._granted)

    def mode(self, mode: int) -> int:
        """Return the permissions that git's `adjust_shared_perm` gives a file or folder with the permissions *mode*."""
        bits = stat.S_IMODE(mode)
        if not self._granted:
            return bits
        granted = self._granted & (0o777 if bits & stat.S_IWUSR else ~0o222)
        if bits & stat.S_IXUSR:
            granted |= (granted & 0o444) >> 2
        bits = bits & ~0o777 | granted if self._instead else bits | granted
        if stat.S_ISDIR(mode):
            bits |= (bits & 0o444) >> 2
            # With this bit, the operating system gives each new file in the folder the group of the folder.
            bits |= stat.S_ISGID if bits & 0o060 else 0
        return bits

    def make_folder(self, folder: Path) -> None:
        """If *folder* does not exist, create the folder with the permissions of the setting."""
        try:
            folder.mkdir()
        except FileExistsError:
            return
        if self:
            os.chmod(folder, self.mode(os.stat(folder).st_mode))

    def faults(self, folder: Path) -> Iterator[tuple[Path, bool]]:
        """Yield *folder* and each folder or file below it that lacks permissions of the setting.

        The second value of each pair is True if this process may change the permissions. Skips files in the deepest
        folders: a store can have millions of such files, which users read and never change.
        """
        me = user_id()
        for path, state in _walk(folder, 0):
            wanted = self.mode(state.st_mode)
            if self and stat.S_IMODE(state.st_mode) & wanted != wanted:
                yield path, me in (0, state.st_uid)

    def repair(self, folder: Path) -> None:
        """Give the files and folders of `faults` the permissions of the setting, if this process may change them."""
        for path, own in list(self.faults(folder)):
            if own:
                with suppress(OSError):
                    os.chmod(path, self.mode(os.stat(path).st_mode))


def user_id() -> int:
    """Return the id of the user of this process; on Windows 0, as `os.stat` says for the owner of every file."""
    return os.geteuid() if hasattr(os, "geteuid") else 0


def make_folder(folder: Path) -> None:
    """Create *folder* and its parents if they do not exist. Each new folder gets the permissions of its parent."""
    try:
        folder.mkdir()
    except FileExistsError:
        return
    except FileNotFoundError:
        make_folder(folder.parent)
        folder.mkdir(exist_ok=True)
    _take_after(folder.parent, folder)


def open_file(path: Path, flags: int, mode: int = 0o666) -> int:
    """Open *path* like `os.open`, with the flags *flags* and `RAW`. A new file gets the permissions of its folder."""
    descriptor = os.open(path, flags | RAW, mode)
    if flags & os.O_CREAT:
        share(descriptor, path.parent)
    return descriptor


def open_regular(path: Path) -> int:
    """Open the file *path* to read. Raises OSError if *path* is no regular file, because reading a pipe can block."""
    descriptor = os.open(path, os.O_RDONLY | NONBLOCK | NOFOLLOW | RAW)
    if stat.S_ISREG(os.fstat(descriptor).st_mode):
        return descriptor
    os.close(descriptor)
    raise OSError(errno.EINVAL, "not a regular file", os.fspath(path))


def replace_file(path: Path, content: bytes) -> None:
    """Atomically replace the file *path* by one with *content*, and create its folder if it is missing.

    If writing fails, deletes the temporary file and raises OSError.
    """
    make_folder(path.parent)
    temporary = path.with_name(f"{path.name}.{os.urandom(8).hex()}.tmp")
    try:
        temporary.write_bytes(content)
        share(temporary, path.parent)
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def open_to_lock(path: Path) -> int:
    """Open *path* for locking: for writing if possible, because some network file systems cannot lock a file that is
    open only for reading.
    """
    try:
        return os.open(path, os.O_RDWR | RAW)
    except PermissionError:
        return os.open(path, os.O_RDONLY | RAW)


def share(file: int | Path, folder: Path) -> None:
    """If *folder* is shared (see `_SHARED`), give *file*, a path or descriptor in it, the permissions of *folder*."""
    try:
        above, state = os.stat(folder).st_mode, os.stat(file)
    except OSError:
        return
    if above & _SHARED:
        readable = above & 0o044
        writable = above & 0o022 if state.st_mode & stat.S_IWUSR else 0
        runnable = readable >> 2 if state.st_mode & stat.S_IXUSR else 0
        mode = stat.S_IMODE(state.st_mode) & ~0o077 | readable | writable | runnable
        if mode != stat.S_IMODE(state.st_mode):
            with suppress(OSError):  # another user's file
                os.chmod(file, mode)


def share_tree(folder: Path) -> None:
    """Give *folder* the permissions of its parent, and each file and folder below it those of the folder it is in.

    Does nothing if the parent is not shared (see `_SHARED`), or if another user owns *folder*.
    """
    try:
        if not os.stat(folder.parent).st_mode & _SHARED or os.stat(folder).st_uid != user_id():
            return
    except OSError:
        return
    if not folder.is_dir():
        share(folder, folder.parent)
        return
    _take_after(folder.parent, folder)
    for top, folders, files in os.walk(folder):
        for name in folders:
            _take_after(Path(top), Path(top, name))
        for name in files:
            share(Path(top, name), Path(top))


def _take_after(above: Path, folder: Path) -> None:
    with suppress(OSError):
        mode = stat.S_IMODE(os.stat(above).st_mode)
        if mode & _SHARED and mode != stat.S_IMODE(os.stat(folder).st_mode):
            os.chmod(folder, mode)


def _walk(folder: Path, depth: int) -> Iterator[tuple[Path, os.stat_result]]:
    try:
        yield folder, os.lstat(folder)
        with os.scandir(folder) as entries:
            found = sorted(entries, key=lambda entry: entry.name) if depth < _DEEPEST else []
        for entry in found:
            if entry.is_dir(follow_symlinks=False):
                yield from _walk(Path(entry.path), depth + 1)
            elif depth < _DEEPEST - 1:
                yield Path(entry.path), entry.stat(follow_symlinks=False)
    except OSError:  # deleted meanwhile, or not accessible (another check reports this)
        return


def _granted(setting: str) -> tuple[int, bool]:
    """Return the permissions that *setting* grants, and True if they replace those of the umask.

    These are the rules of `git_config_perm` in git.
    """
    if setting in ("group", "world", "all", "everybody", "umask", ""):
        return {"group": 0o660, "umask": 0, "": 0}.get(setting, 0o664), False
    if setting.isascii() and setting.isdigit() and not {"8", "9"} & {*setting}:
        number = int(setting, 8)
        if number in (0, 1, 2):
            return (0, 0o660, 0o664)[number], False
        return number & 0o666, True
    return (0o660 if setting.lower() in ("true", "yes", "on") else 0), False
