"""Waiting for another process, without a fixed sleep."""

import time


def wait_for(question, seconds=60):
    """Call *question* until it returns a true value, and return the value. An OSError or ValueError counts as false.

    Raises AssertionError if the value is still false after *seconds*.
    """
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            if answer := question():
                return answer
        except (OSError, ValueError):
            pass
        time.sleep(0.02)
    raise AssertionError(f"the result was still false after {seconds} seconds")
