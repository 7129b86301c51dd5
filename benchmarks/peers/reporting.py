"""Measure and print in the script of a peer. This module is imported in the environment of the peer."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from typing import Any

from measuring import measure

COUNT, FOLDER, SECONDS = int(sys.argv[1]), sys.argv[2], float(sys.argv[3])


def fill(create: Callable[[], Any], count: int = COUNT) -> int:
    """Create up to *count* versions, until the time is over. Returns the number of created versions."""
    ends = time.monotonic() + SECONDS
    for made in range(count):
        if time.monotonic() > ends:
            return made
        create()
    return count


def report(what: str, operation: Callable[[], Any], count: int, *, times: int = 20) -> None:
    """Measure *operation*, and print its cost at *count* versions."""
    cost = measure(operation, times=times)
    print(json.dumps({"what": what, "cpu": cost.cpu, "wall": cost.wall, "count": count}), flush=True)
