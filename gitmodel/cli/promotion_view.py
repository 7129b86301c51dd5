"""Printing the result of a change of a stage or alias."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gitmodel.cli.shapes import promote_shapes as shapes
from gitmodel.domain.schema.names import ARCHIVED, NONE
from gitmodel.domain.views import cell_text

if TYPE_CHECKING:
    from gitmodel.cli.invocation import Invocation
    from gitmodel.domain.changes.stages import Promotion


def print_promotion(invocation: Invocation, done: Promotion, said: str) -> None:
    """Print *done*, the result of a change of a stage or alias; for people, print the text *said*."""
    number = done.version if done.version is not None else done.previous
    name = f"{done.model}@{number}" if number else done.model
    invocation.output.outcome(said, shapes.PROMOTION, shapes.PROMOTION.of(done), name=name)


def promotion_text(done: Promotion) -> str:
    """Return a sentence about *done*, the result of a change of a stage, such as "iris@4 is in production now"."""
    here = f"{done.model}@{done.version}"
    if not done.changed:
        place = {NONE: "in no stage", ARCHIVED: ARCHIVED}.get(done.stage, f"in {done.stage}")
        return f"{here} is {place} already"
    left = [stage for stage in done.left if stage not in (done.stage, ARCHIVED) or done.stage == NONE]
    if done.version is None:
        was = f" (was {done.model}@{done.previous})" if done.previous is not None else ""
        return f"{done.model} {done.stage} is now empty{was}"
    if done.stage == NONE:
        return f"{here} left {cell_text.commas(left)}" if left else f"{here} is in no stage now"
    clauses = [f"{here} is {'' if done.stage == ARCHIVED else 'in '}{done.stage} now"]
    if left:
        clauses.append(f"it left {cell_text.commas(left)}")
    if done.archived is not None and done.archived != done.version:
        clauses.append(f"{done.model}@{done.archived} is archived")
    return "; ".join(clauses)
