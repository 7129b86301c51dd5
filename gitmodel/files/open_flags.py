"""Flags of `os.open`. A flag that Windows does not have is 0 there. On Windows, gitmodel only reads registries."""

from __future__ import annotations

import os

# Read and write bytes unchanged (Windows would change line ends), and let child processes not inherit the descriptor.
RAW = getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
# Windows cannot open folders and does not have this flag.
FOLDER = getattr(os, "O_DIRECTORY", 0)
NOFOLLOW = getattr(os, "O_NOFOLLOW", 0)
NONBLOCK = getattr(os, "O_NONBLOCK", 0)
