"""Flags of `os.open` under names that exist on Windows, too, where gitmodel only reads registries."""

from __future__ import annotations

import os

# The bytes of the file unchanged (Windows would change line ends), and no copy of the descriptor in child processes.
RAW = getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
# Windows cannot open a folder, so 0 there.
FOLDER = getattr(os, "O_DIRECTORY", 0)
NOFOLLOW = getattr(os, "O_NOFOLLOW", 0)
NONBLOCK = getattr(os, "O_NONBLOCK", 0)
