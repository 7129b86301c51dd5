"""Measuring and reporting in the script of a peer; imported in the peer's own environment."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from typing import Any

from measuring import measure

COUNT, FOLDER, SECONDS = int(sys.argv[1]), sys.argv[2], float(sys.argv[3])


def fill(create: Callable[[], Any], count: int = COUNT) -> int:
    """Make *count* versions, or as many as there is time for; returns how many were made."""
    ends = time.monotonic() + SECONDS
    for made in range(count):
        if time.monotonic() > ends:
            return made
        create()
    return count


def report(what: str, operation: Callable[[], Any], count: int, *, times: int = 20) -> None:
    """Measure *operation* and print what it costs at *count* versions."""
    cost = measure(operation, times=times)
    print(json.dumps({"what": what, "cpu": cost.cpu, "wall": cost.wall, "count": count}), flush=True)
