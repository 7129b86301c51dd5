"""Finding the faults of the expressions of gates before a rule is recorded."""

from __future__ import annotations

from gitmodel.domain.rules.gates import GATE_NAMES
from gitmodel.errors import UsageError
from gitmodel.expressions.expression import parse
from gitmodel.expressions.filter import check_names
from gitmodel.registry.promotion.judging import NEEDS_CEL


def expression_fault(text: str) -> str:
    """Return the problem of a gate's expression, such as a name that no record has; "" if there is none."""
    try:
        parse(text)
    except UsageError as error:
        if NEEDS_CEL not in error.message:  # a missing library says nothing about the expression
            return error.message
    try:
        check_names(text, GATE_NAMES)
    except UsageError as error:
        return f"{error.message}; {error.hint}"
    return ""
