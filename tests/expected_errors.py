"""A context manager for errors of gitmodel, which have a message and a hint."""

from contextlib import contextmanager

import pytest


@contextmanager
def error_with_hint(kind, message, hint=""):
    """Fail unless the block raises *kind* with a message that matches *message* and a hint that contains *hint*.

    *message* is a regular expression. If *hint* is "", any hint will do, but an error without a hint fails the test.
    """
    with pytest.raises(kind, match=message) as caught:
        yield
    assert caught.value.hint
    assert hint in caught.value.hint
