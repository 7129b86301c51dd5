"""The warnings about artifacts: names that some systems do not support, needed trust, pickled values."""

from __future__ import annotations

from collections.abc import Callable, Sequence

Warn = Callable[[str], object]
"""Type of a function that is called with a warning for the user, in one sentence."""


def told_unportable(name: str, unportable: Sequence[str]) -> str:
    """Return the warning that Windows does not support the *unportable* paths in the folder *name*."""
    return f"Windows does not support some names in {name}: {first_paths(unportable)}"


def told_needs_trust(name: str, names: Sequence[str]) -> str:
    """Return the warning that loading the artifact *name* needs *names* to be trusted."""
    return f"{name} loads only after `git model formats trust {' '.join(names)}`, in each clone that loads it"


def told_pickled(name: str, format: str) -> str:
    """Return the warning that *name* is stored in a *format* that runs code, because no other format can store it."""
    return f"{name} is stored as {format}, because no other format keeps it: it loads only with trusted=True"


def log_warning(message: str) -> None:
    """Log a warning. This is the default of *warn*."""
    import logging

    logging.getLogger("gitmodel").warning("%s", message)


def first_paths(paths: Sequence[str]) -> str:
    more = f" and {len(paths) - 3} more" if len(paths) > 3 else ""
    return ", ".join(path if path.isprintable() else ascii(path) for path in paths[:3]) + more
