"""The file that says which steps of a run came from the cache, and why the others ran. It is beside the run's logs."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, field
from pathlib import Path

from gitmodel.files.permissions import replace_file
from gitmodel.frozen import Frozen

# The folder of the run's logs has a folder for each step, and no step can have this name.
_FILE = ".cache.json"
# A run's id is the time of its start in 17 characters, the pipeline, a hyphen, and a part without hyphens.
_START = 17
# The caller searches a step in this many earlier runs, because failed runs may have ended before the step.
_MOST_RUNS = 20


class CacheOutcome(Frozen):
    """The reason why a step ran, or the run and step *made_by* whose outputs the cache gave instead.

    *parts* maps what the cache compares, such as the code and the inputs, to digests. *not_kept* is the reason why the
    result of the step is not in the cache, or "".
    """

    reason: str = ""
    made_by: str | None = None
    parts: Mapping[str, str] = field(default_factory=dict)
    not_kept: str = ""

    def __str__(self) -> str:
        """The outcome as a sentence without its subject, the step.

        >>> print(CacheOutcome("parameter rate changed"), CacheOutcome(made_by="r1 fit"), sep=", ")
        ran because parameter rate changed, taken from r1 fit
        """
        return f"taken from {self.made_by}" if self.made_by is not None else f"ran because {self.reason}"


def write_outcomes(folder: Path, outcomes: Mapping[str, CacheOutcome]) -> None:
    """Write the outcomes of the steps of the run whose logs are in *folder*. Write nothing if the disk is full."""
    with suppress(OSError):
        found = {step: asdict(outcome) for step, outcome in outcomes.items()}
        replace_file(folder / _FILE, json.dumps(found).encode("utf-8", "surrogatepass"))


def read_outcomes(folder: Path) -> dict[str, CacheOutcome]:
    """Return the outcomes that `write_outcomes` wrote, by step; {} if there are none."""
    try:
        found = json.loads((folder / _FILE).read_bytes())
        return {step: CacheOutcome(**outcome) for step, outcome in found.items()}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}


def earlier_outcomes(folder: Path) -> Iterator[tuple[str, dict[str, CacheOutcome]]]:
    """Yield the ids and outcomes of runs of the same pipeline, newest first; *folder* has the current run's logs."""
    names = os.listdir(folder.parent) if folder.parent.is_dir() else []
    pipeline = folder.name[_START:].rpartition("-")[0]
    same = [folder.parent / name for name in names if name[_START:].rpartition("-")[0] == pipeline]
    for one in sorted(same, key=_written, reverse=True)[:_MOST_RUNS]:
        yield one.name, read_outcomes(one)


def _written(folder: Path) -> int:
    """Return the time at which the outcomes of the run with the logs in *folder* were written; 0 if they were not."""
    try:
        return (folder / _FILE).stat().st_mtime_ns
    except OSError:
        return 0
