"""Waiting for another process, without a fixed sleep."""

import time


def wait_for(question, seconds=60):
    """Call *question* until its result is true, and return the result. FileNotFoundError counts as false."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            if answer := question():
                return answer
        except (OSError, ValueError):
            pass
        time.sleep(0.02)
    raise AssertionError("it never came")
