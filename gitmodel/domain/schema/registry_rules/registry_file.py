"""Reading and writing `gitmodel.toml`. Pure.

If a rule of a stage is invalid or unknown, no version may enter the stage. People edit the file, too, so writing it
keeps its comments, order and layout.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from gitmodel.domain.schema import codec, names, record_values, toml_values
from gitmodel.domain.schema.codec import Problem
from gitmodel.domain.schema.paths import REGISTRY as REGISTRY_FILE
from gitmodel.domain.schema.record_values import FORMAT
from gitmodel.domain.schema.registry_rules.registry_record import REPAIR, GateRule, RegistryRecord, StageRule
from gitmodel.errors import GateRefused, Invalid
from gitmodel.frozen import Frozen

# The record of a stage lists overridden gates by name, and the key `after`, if it was overridden, by the name "after".
# So no gate may have this name.
AFTER = "after"
UNKNOWN = "record.unknown-key"
# Keys that count as misspellings of `stages`, in any case.
_NEARLY_STAGES = frozenset({"stages", "stage"})


def decode_registry(data: bytes, path: str) -> RegistryRecord:
    """Return the record in *data*, the content of `gitmodel.toml`. No version may enter a stage that has a problem.

    `faults` of the record are the problems of stages. Unknown keys are kept; outside of stages, they are ignored.
    Invalid values of keys outside of stages are in `unread`, and do not prevent reading stages. Raises Invalid if
    *data* is not the file of a registry, or if its major format is newer; the hint then says how to upgrade.
    """
    table = codec.parse_table(data, path)
    written = table.get("format")
    if isinstance(written, str) and record_values.format_version(written)[0] > FORMAT[0]:
        raise Invalid(
            f"{path}: this registry has format {written}, and this gitmodel reads up to {FORMAT[0]}.x",
            hint="upgrade gitmodel: `pip install --upgrade gitmodel`",
        )
    tables = table.get("stages")
    listed = isinstance(tables, list) and all(isinstance(item, dict) for item in tables)
    inspected = codec.inspect(RegistryRecord, {**table, "stages": []} if listed else table, path, newer=True)
    unread = {problem.key.partition(".")[0]: problem for problem in reversed(inspected[1])}
    lost = unread.pop("stages", None)
    record = inspected[0]
    if record is None:  # only the invalid values are left out, except an invalid `format`, which raises Invalid
        readable = {key: value for key, value in table.items() if key not in unread or key == "format"}
        record = codec.decode_table(RegistryRecord, {**readable, "stages": []}, path, newer=True)
        record = replace(record, unread=unread)
    return _nothing_enters(record, lost) if lost else _with_stages(record, tables or (), path)


def without_rules(path: str) -> RegistryRecord:
    """Return the record of a branch without a `gitmodel.toml`: the default stages, which no version may enter."""
    return _nothing_enters(RegistryRecord(), Problem(path, "", "registry.record", "is missing"))


def _nothing_enters(record: RegistryRecord, fault: Problem) -> RegistryRecord:
    """Return *record* with the default stages, which no version may enter because of *fault*."""
    stages = tuple(replace(rule, faults=(fault,)) for rule in RegistryRecord().stages)
    return replace(record, stages=stages, faults=(fault,))


def encode_registry(record: RegistryRecord, written: bytes | None = None) -> bytes:
    """Return the content of `gitmodel.toml` for *record*: a changed version of *written*, the current content.

    If *written* is None, returns a new file in canonical form. A file in canonical form stays canonical. Raises Invalid
    if *record* was read from a file with faults, because the faulty parts would be lost, and if the layout of *written*
    does not allow the change; UsageError for an invalid value.
    """
    lost = next((fault for fault in record.faults if fault.rule != UNKNOWN), None)
    if lost is not None:
        raise Invalid(str(lost), hint=REPAIR)
    data = codec.encode(record.require(*record.unread))
    if written is None:
        return data
    from gitmodel.domain.schema.registry_rules import toml_editing  # imported here: few commands write this file

    before = codec.encode(decode_registry(written, REGISTRY_FILE))
    edited = toml_editing.edited(written.decode(), before.decode(), data.decode()).encode()
    if decode_registry(edited, REGISTRY_FILE) != decode_registry(data, REGISTRY_FILE):
        raise Invalid(
            f"gitmodel cannot make this change and keep the layout of {REGISTRY_FILE}",
            hint="write its stages as [[stages]] tables, as the format describes them, then try again",
        )
    return edited


def merged_registry(record: RegistryRecord, base: bytes, ours: bytes, theirs: bytes) -> bytes:
    """Return the file *theirs* with the values of the merged *record*, and with the comments that *ours* changed.

    *base* is the file before both sides changed it. Raises the errors of `encode_registry`.
    """
    from gitmodel.domain.schema.registry_rules import toml_editing  # imported here: few commands write this file

    commented = toml_editing.with_comments(*(data.decode() for data in (base, ours, theirs))).encode()
    return encode_registry(record, commented)


def check_rules(registry: RegistryRecord, stage: str) -> None:
    """Raise GateRefused, which names file and key, if the rules of *stage* cannot be judged."""
    faults = registry.rule(stage).faults
    if not faults:
        return
    unknown = next((fault for fault in faults if fault.rule == UNKNOWN), None)
    raise GateRefused(
        f"nothing can enter {stage}: {'; '.join(map(str, faults))}",
        hint=_upgrade(registry, unknown.key) if unknown else REPAIR,
    )


def unreadable_gate(registry: RegistryRecord, stage: str, gate: GateRule, why: str) -> GateRefused:
    """Return the error for a *gate* of *stage* whose expression is invalid.

    *why* says what is wrong with it. Force does not override this error.
    """
    gates = {one.name: number for number, one in enumerate(registry.rule(stage).gates)}
    at = registry.stage_names.index(stage) if stage in registry.stage_names else 0
    key = f"stages[{at}].gates[{gates.get(gate.name, 0)}].expression"
    fault = Problem(REGISTRY_FILE, key, "registry.rules", f"cannot be read: {why}")
    return GateRefused(f"nothing can enter {stage}: {fault}", hint=REPAIR)


def _upgrade(registry: RegistryRecord, key: str) -> str:
    ours = f"{FORMAT[0]}.{FORMAT[1]}"
    needed = f"format {registry.format}" if registry.newer else f"a format newer than {ours}"
    return (
        f"upgrade to a gitmodel that reads {needed} (this one reads {ours}): `pip install --upgrade gitmodel`; "
        f"or remove {key}, if it is a mistake"
    )


class _Entry(Frozen):
    """An entry of `[[stages]]`: the readable parts of its rule, its key such as `stages[0]`, and its problems."""

    key: str
    rule: StageRule
    faults: tuple[Problem, ...]
    named: bool


def _with_stages(record: RegistryRecord, tables: Iterable[Mapping[str, Any]], path: str) -> RegistryRecord:
    entries = [_entry(table, path, f"stages[{number}]") for number, table in enumerate(tables)]
    named = {names.fold(entry.rule.name): entry for entry in reversed(entries) if entry.named}
    places = (*(entry.rule.name for entry in named.values()), names.ARCHIVED, names.NONE)
    entries = [
        replace(entry, faults=(*entry.faults, *_contradictions(entry, named, places, path))) for entry in entries
    ]
    entries += [_misspelt(word, path) for word in record.extra if names.fold(word) in _NEARLY_STAGES]
    # A stage that is listed twice gets the rules of both entries. The rules of an entry without a readable name apply
    # to every stage, because nobody knows for which stage they were meant.
    nameless = [entry for entry in entries if not entry.named]
    stages: dict[str, StageRule] = {}
    for entry in entries:
        name = names.fold(entry.rule.name)
        same = [other for other in entries if other.named and names.fold(other.rule.name) == name]
        if entry.named:
            stages[entry.rule.name] = replace(
                entry.rule,
                proposal_only=any(other.rule.proposal_only for other in (*same, *nameless)),
                signed=any(other.rule.signed for other in (*same, *nameless)),
                faults=tuple(fault for other in (*same, *nameless) for fault in other.faults),
            )
    faults = tuple(fault for entry in entries for fault in entry.faults)
    return replace(record, stages=tuple(stages.values()), faults=faults)


def _misspelt(word: str, path: str) -> _Entry:
    """Return an entry for *word*, a misspelling of the key `stages`, which keeps versions out of all stages."""
    key = toml_values.shown(word)
    fault = Problem(
        path, key, "registry.rules", "is no key, so gitmodel does not read the rules in it: write [[stages]]"
    )
    return _Entry(key, StageRule(name=""), (fault,), named=False)


def _entry(table: Mapping[str, Any], path: str, key: str) -> _Entry:
    inspected = codec.inspect(StageRule, table, path, newer=True, within=f"{key}.")
    problems = inspected[1]
    name = table.get("name")
    named = isinstance(name, str) and names.fault_in(name) is None
    if named and (names.fold(str(name)) in names.STAGE_WORDS or str(name).isdigit()):
        named = False
        problems.append(Problem(path, f"{key}.name", "registry.stages", f"{name} cannot be an exclusive stage"))
    # an unreadable value counts as the stricter value, True
    proposal_only, signed = (table.get(word, False) is not False for word in ("proposal_only", "signed"))
    rule = inspected[0] or StageRule(name=str(name) if named else "", proposal_only=proposal_only, signed=signed)
    problems += _unknown(rule, path, key)
    for word in ("after", "gates"):
        if table.get(word) == []:
            message = "is an empty list, which could mean all or nothing: remove the key, or list a value"
            problems.append(Problem(path, f"{key}.{word}", "registry.rules", message))
    return _Entry(key, rule, tuple(problems), named)


def _unknown(rule: StageRule, path: str, key: str) -> Iterable[Problem]:
    keys = [f"{key}.{toml_values.shown(word)}" for word in rule.extra]
    for number, gate in enumerate(rule.gates):
        keys += [f"{key}.gates[{number}].{toml_values.shown(word)}" for word in gate.extra]
    return [Problem(path, word, UNKNOWN, "is a rule that this gitmodel does not know") for word in keys]


def _contradictions(
    entry: _Entry, named: Mapping[str, _Entry], places: tuple[str, ...], path: str
) -> Iterable[Problem]:
    """Yield the contradictions within *entry*, and between *entry* and the first entry of its stage.

    *named* has the first entry of each stage, by its folded name. *places* are the valid names in `after`.
    """
    first = named.get(names.fold(entry.rule.name)) if entry.named else None
    if first is not None and first.key != entry.key:
        message = f"{entry.rule.name} is listed already, as {first.key}: keep one of the two"
        yield Problem(path, f"{entry.key}.name", "registry.stages", message)
    for place in entry.rule.after:
        if place not in places:
            message = f"names {place!a}, which is no stage: the places are {', '.join(places)}"
            yield Problem(path, f"{entry.key}.after", "registry.rules", message)
    gates = [names.fold(gate.name) for gate in entry.rule.gates]
    if len(set(gates)) < len(gates) or AFTER in gates:
        message = "two gates have the same name, or a gate has the name after: give each gate another name"
        yield Problem(path, f"{entry.key}.gates", "registry.rules", message)
