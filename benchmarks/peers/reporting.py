"""Measuring and printing in the script of a peer. Python imports this module in the peer's environment."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from typing import Any

from measuring import measure

COUNT, FOLDER, SECONDS = int(sys.argv[1]), sys.argv[2], float(sys.argv[3])


def fill(create: Callable[[], Any], count: int = COUNT) -> int:
    """Call *create* *count* times, or until `SECONDS` are over. Return the number of created versions."""
    ends = time.monotonic() + SECONDS
    for made in range(count):
        if time.monotonic() > ends:
            return made
        create()
    return count


def report(what: str, operation: Callable[[], Any], count: int, *, times: int = 20) -> None:
    """Measure *times* calls of *operation*, and print the cost as a line of JSON for `run_peer`.

    *what* is the name of the operation, and *count* the number of versions in the registry.
    """
    cost = measure(operation, times=times)
    print(json.dumps({"what": what, "cpu": cost.cpu, "wall": cost.wall, "count": count}), flush=True)
