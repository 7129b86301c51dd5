"""Waiting for another process, without a fixed sleep."""

import time


def wait_for(question, seconds=60):
    """Ask *question* until its answer is true, and return that; a file that is not there yet is no answer."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            if answer := question():
                return answer
        except (OSError, ValueError):
            pass
        time.sleep(0.02)
    raise AssertionError("it never came")
