"""The justification that a person gives for a change."""

from __future__ import annotations

from typing import NamedTuple


class Justification(NamedTuple):
    """The reason for a change, and whether the change overrides rules that refuse it.

    *force* overrides the rules of a stage, which needs a reason, and allows a deletion of something in use.
    """

    reason: str = ""
    force: bool = False
