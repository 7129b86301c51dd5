"""Warnings about artifacts."""

from __future__ import annotations

from collections.abc import Callable, Sequence

Warn = Callable[[str], object]
"""Type of a function that is called with a warning for the user, in one sentence."""


def told_pickled(name: str, format: str) -> str:
    """Return the warning that only *format* could store the artifact *name*, and that loading it can run code."""
    return f"{name} is stored as {format}, because no other format keeps it: it loads only with trusted=True"


def log_warning(message: str) -> None:
    """Log a warning, for callers that give no other function as *warn*."""
    import logging

    logging.getLogger("gitmodel").warning("%s", message)


def first_paths(paths: Sequence[str]) -> str:
    """Return the first three of *paths* and the number of the others, as a text for a warning."""
    more = f" and {len(paths) - 3} more" if len(paths) > 3 else ""
    return ", ".join(path if path.isprintable() else ascii(path) for path in paths[:3]) + more
