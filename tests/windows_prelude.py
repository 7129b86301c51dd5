"""Runs a program in a Python without the functions and modules that Python lacks on Windows, such as `os.fork`.

`python windows_prelude.py ARGUMENTS...` runs `git model ARGUMENTS...`, and `python windows_prelude.py -c CODE` runs the
code. Drive letters and git for Windows are not imitated, and open files can be deleted and replaced.
"""

import fcntl
import importlib
import importlib.abc
import os
import signal
import stat
import sys
import types

# Imported before the POSIX functions are removed: afterwards these modules of the standard library cannot be imported.
for name in (
    "asyncio",
    "concurrent.futures.process",
    "multiprocessing.util",
    "shutil",
    "socket",
    "sqlite3",
    "subprocess",
):
    importlib.import_module(name)
for name in ("tempfile", "uuid"):
    importlib.import_module(name)

MODULES = {"fcntl", "grp", "pty", "pwd", "readline", "resource", "syslog", "termios", "tty"}
OF_OS = """
O_CLOEXEC O_DIRECTORY O_DSYNC O_NOFOLLOW O_NONBLOCK O_SYNC chown fchdir fchmod fchown fdatasync fork forkpty getegid
geteuid getgid getgroups getpgid getpgrp getuid killpg lchown mkfifo posix_fadvise posix_fallocate posix_spawn pread
preadv pwrite register_at_fork sched_getaffinity sched_yield sendfile setpgid setsid setuid statvfs sync uname wait
wait3 wait4 waitid
"""
OF_SIGNAL = """
SIGALRM SIGCHLD SIGHUP SIGKILL SIGPIPE SIGQUIT SIGUSR1 SIGUSR2 SIGWINCH alarm pthread_sigmask setitimer sigwait
"""
BINARY = 0x8000  # the value of `os.O_BINARY` on Windows


class Refusing(importlib.abc.MetaPathFinder):
    """An import hook that raises ModuleNotFoundError for the modules that only POSIX has."""

    def find_spec(self, name, path=None, target=None):
        if name in MODULES:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)


def locking(descriptor, mode, count, flock=fcntl.flock, how=fcntl.LOCK_EX | fcntl.LOCK_NB):
    """Lock the file of *descriptor* as `msvcrt.locking` does in the mode LK_NBLCK: raise OSError if it is locked."""
    assert (mode, count) == (2, 1)
    try:
        flock(descriptor, how)
    except BlockingIOError as error:
        raise PermissionError(13, "Permission denied") from error


def open_file(path, flags, *more, opened=os.open, **options):
    """Open a file like `os.open` on Windows: refuse folders. Fail if gitmodel opens a file without O_BINARY."""
    descriptor = opened(path, flags & ~BINARY, *more, **options)
    ours = sys._getframe(1).f_globals["__name__"].startswith("gitmodel")
    assert flags & BINARY or path == os.devnull or not ours, f"{path} was opened as text"
    if stat.S_ISDIR(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise PermissionError(13, "Permission denied", os.fspath(path))
    return descriptor


def remove_posix() -> None:
    """Remove the functions and modules that Windows lacks. Not done at import, because pytest imports this file."""
    for name in MODULES:
        sys.modules.pop(name, None)
    for name in OF_OS.split():
        delattr(os, name)
    for name in OF_SIGNAL.split():
        delattr(signal, name)
    sys.meta_path.insert(0, Refusing())
    sys.modules["msvcrt"] = types.SimpleNamespace(LK_NBLCK=2, locking=locking)
    os.O_BINARY, os.open = BINARY, open_file


if __name__ == "__main__":
    remove_posix()
    if sys.argv[1] == "-c":
        exec(sys.argv[2])
    else:
        sys.argv[0] = "git-model"
        importlib.import_module("gitmodel.__main__").main()
