"""The warnings about artifacts: names that some systems do not support, needed trust, pickled values."""

from __future__ import annotations

from collections.abc import Callable, Sequence

Warn = Callable[[str], object]
"""Type of a function that is called with a warning for the user, in one sentence."""


def told_unportable(name: str, unportable: Sequence[str]) -> str:
    """Return the warning that Windows does not support the *unportable* paths in the folder *name*."""
    return f"Windows does not support some names in {name}: {first_paths(unportable)}"


def told_needs_trust(name: str, names: Sequence[str]) -> str:
    """Return the warning that the artifact *name* loads only in clones that trust *names* of classes and functions."""
    return f"{name} loads only after `git model formats trust {' '.join(names)}`, in each clone that loads it"


def told_pickled(name: str, format: str) -> str:
    """Return the warning that only *format* could store the artifact *name*, and that loading it can run code."""
    return f"{name} is stored as {format}, because no other format keeps it: it loads only with trusted=True"


def log_warning(message: str) -> None:
    """Log a warning. Functions with a parameter *warn* call this if their caller gives no other function."""
    import logging

    logging.getLogger("gitmodel").warning("%s", message)


def first_paths(paths: Sequence[str]) -> str:
    more = f" and {len(paths) - 3} more" if len(paths) > 3 else ""
    return ", ".join(path if path.isprintable() else ascii(path) for path in paths[:3]) + more
