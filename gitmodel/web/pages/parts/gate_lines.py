"""The limits that gates set for the numbers of a model, as lines in charts of these numbers."""

from __future__ import annotations

from gitmodel.svg.line_chart import near_limits
from gitmodel.svg.scales import number_text
from gitmodel.web.registry_data.registry_data import RegistryData


def gate_lines(registry: RegistryData, model: str) -> dict[str, tuple[tuple[str, float], ...]]:
    """Return the limits that current gates set for numbers of *model*, with labels, by key. Far limits are left out."""
    found: dict[str, list[tuple[str, float]]] = {}
    for stage in registry.stages:
        for limit in registry.limits(stage.name):
            label = f"gate of {stage.name}: {limit.sign} {number_text(limit.number)}"
            found.setdefault(limit.key, []).append((label, limit.number))
    numbers = registry.numbers(model)
    near = {key: near_limits(lines, [*numbers[key].values()]) for key, lines in found.items() if key in numbers}
    return {key: tuple(lines) for key, lines in near.items() if lines}
