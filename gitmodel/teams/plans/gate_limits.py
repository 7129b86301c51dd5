"""The limits that gates set for numbers of metadata, and the numbers that moved towards such a limit."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from gitmodel.domain.rules.gates import Outcome
from gitmodel.domain.views.comparison import Compared
from gitmodel.domain.views.metadata_numbers import finite_number
from gitmodel.errors import UsageError
from gitmodel.frozen import Frozen

# The direction in which a number gets worse for a gate with this comparison: -1 is down, 1 is up.
_WORSE = {">": -1, ">=": -1, "<": 1, "<=": 1}


class Limit(Frozen):
    """The limit of a *gate*: the metadata value *key* must be *sign* (">", ">=", "<" or "<=") *number*."""

    gate: str
    key: str
    sign: str
    number: float


def gate_limits(outcomes: Iterable[Outcome]) -> tuple[Limit, ...]:
    """Return the limits with which the gates in *outcomes* compare numbers of the metadata, except by "==".

    >>> gate_limits([Outcome("good", passed=True, expression="metadata.test.loss < 1 && metadata.rows == 3")])
    (Limit(gate='good', key='test.loss', sign='<', number=1.0),)
    """
    judged = (outcome for outcome in outcomes if outcome.expression)
    return tuple(limit for outcome in judged for limit in _limits(outcome.gate, outcome.expression))


def gate_movements(limits: Iterable[Limit], metadata: Iterable[Compared]) -> dict[str, str]:
    """Map the key of each number in *metadata* that changed and has a limit to "worse" or "better".

    A number is "worse" if it changed in the direction in which a gate fails.

    >>> limits = gate_limits([Outcome("good", passed=True, expression="metadata.accuracy >= 0.87")])
    >>> gate_movements(limits, [Compared("accuracy", (0.88, 0.9)), Compared("rows", (20, 10))])
    {'accuracy': 'better'}
    """
    changes = {row.name: row.change for row in metadata}
    found: dict[str, str] = {}
    for limit in limits:
        moved = (changes.get(limit.key) or 0) * _WORSE[limit.sign]
        if moved and found.get(limit.key) != "worse":
            found[limit.key] = "worse" if moved > 0 else "better"
    return found


def worse_numbers(outcomes: Iterable[Outcome], metadata: Iterable[Compared]) -> list[str]:
    """Return the keys of the numbers in *metadata* that moved in the direction in which a gate in *outcomes* fails.

    >>> passed = [Outcome("good", passed=True, expression="metadata.accuracy >= 0.87")]
    >>> worse_numbers(passed, [Compared("accuracy", (0.88, 0.87)), Compared("rows", (20, 10))])
    ['accuracy']
    """
    return [key for key, word in gate_movements(gate_limits(outcomes), metadata).items() if word == "worse"]


def _limits(gate: str, expression: str) -> Iterator[Limit]:
    from gitmodel.expressions.expression import parse  # imported here: plans without gates do not need the parser

    try:
        conditions = parse(expression).conditions
    except UsageError:
        return  # `check` reports a malformed gate, so the plan leaves it out
    for condition in conditions:
        within, *keys = condition.steps
        number = finite_number(condition.literal)
        if within == "metadata" and keys and condition.sign in _WORSE and number is not None:
            yield Limit(gate, ".".join(map(str, keys)), condition.sign, number)
