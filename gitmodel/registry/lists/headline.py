"""The keys of the metadata that charts show: `[site] headline` of the registry, and the keys that gates read."""

from __future__ import annotations

from collections.abc import Iterable

from gitmodel.domain.schema.registry_rules.registry_record import RegistryRecord
from gitmodel.errors import UsageError

_METADATA = "metadata."


def headline_keys(registry: RegistryRecord) -> tuple[str, ...]:
    """Return keys of the metadata. A chart shows the first of them under which a version has a number.

    The key in `[site] headline` comes first, then the keys that gates read, in the order of the stages. Dots separate
    the keys of inner tables.

    >>> from gitmodel.domain.schema.registry_rules.registry_record import GateRule, SiteRules, StageRule
    >>> gate = GateRule(name="good", expression="metadata.accuracy > 0.9 && metadata.test.loss < 1")
    >>> stages = (StageRule(name="production", gates=(gate,)),)
    >>> headline_keys(RegistryRecord(stages=stages, site=SiteRules(headline="f1")))
    ('f1', 'accuracy', 'test.loss')
    """
    first = (registry.site.headline,) if registry.site and registry.site.headline else ()
    read = (name for rule in registry.stages for gate in rule.gates for name in _names(gate.expression))
    return tuple(dict.fromkeys((*first, *metadata_keys(read))))


def metadata_keys(names: Iterable[str]) -> list[str]:
    """Return the keys of metadata among *names*, the names of the values that gates read, without duplicates.

    >>> metadata_keys(["metadata.accuracy", "holder.number", "metadata.accuracy"])
    ['accuracy']
    """
    found = (name.removeprefix(_METADATA) for name in names if name.startswith(_METADATA))
    return list(dict.fromkeys(found))


def _names(expression: str) -> Iterable[str]:
    from gitmodel.expressions.name_uses import read_values  # imported here: only gates need it
    from gitmodel.expressions.syntax import read_tokens

    try:
        return read_values(read_tokens(expression), {})
    except UsageError:
        return ()  # `check` reports a malformed gate
