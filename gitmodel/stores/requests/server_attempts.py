"""Repeating a request to a server that fails temporarily."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator

# HTTP status codes after which a request is repeated.
PASSING = (408, 425, 429, 500, 502, 503, 504)


def attempts(most: int) -> Iterator[bool]:
    """Yield for each of *most* attempts True if it is the last, else False. Sleep longer after each attempt."""
    for attempt in range(1, most + 1):
        yield attempt == most
        time.sleep(min(0.1 * 2**attempt, 5.0) * random.uniform(0.5, 1.0))
