"""The named invariants of the format, and finding records that break them. Pure."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from gitmodel.domain.schema import codec, names, paths, record_values, records
from gitmodel.domain.schema.codec import Problem, Record
from gitmodel.domain.schema.paths import RecordPath
from gitmodel.domain.schema.records import ARCHIVED_MARKER, ATTACHMENT, ModelRecord, StageRecord, VersionRecord
from gitmodel.domain.schema.registry_rules.registry_record import RegistryRecord
from gitmodel.domain.snapshots.snapshot_sources import Files
from gitmodel.domain.urls import holds_credentials
from gitmodel.errors import GitModelError, Invalid

_LINE = re.compile(r"[^\n]*\n|[^\n]+")
_MOST_SHOWN = 200  # characters of a text in a message

# The invariants by name; `docs/reference/format.md` lists them, too.
RULES: Mapping[str, str] = {
    "tree.file": "every entry of the tree is a regular file",
    "tree.path": "every file is a record of the format or a file of the git host",
    "record.size": "a record has at most 65,536 bytes",
    "record.syntax": "a record is TOML in UTF-8",
    "record.type": "every key has a value of its type",
    "record.required": "every required key is present",
    "record.unknown-key": "every key is known, unless a newer minor format wrote it",
    "record.canonical": "a record is in its canonical form; gitmodel.toml may have any form",
    "record.format": "no record uses anything that is newer than the format of the registry",
    "registry.record": "gitmodel.toml exists, and its format is supported",
    "registry.stages": "the exclusive stages have different names; none of them is archived, none or latest",
    "registry.stores": "names of stores follow the grammar; no URL of a store or artifact contains credentials",
    "registry.signers": "every line of allowed_signers is valid; if a stage is signed, at least one key is listed",
    "registry.rules": "the gates of a stage have different names and use only names that exist; after lists places; no "
    "list is empty",
    "name.grammar": "names of models, stages, aliases, versions and artifacts follow the grammar",
    "name.case": "no two names in one place differ by case only",
    "model.record": "every model has a model.toml",
    "model.store": "the store of a model is listed in gitmodel.toml",
    "model.tombstone": "a deleted or renamed model has no files other than its model.toml",
    "version.number": "the number in a version's file is the number in its path, and at most 1,000,000,000",
    "version.name": "the name of a version is not a stage or an alias, and the file of the name leads to this version",
    "version.artifacts": "the artifacts of a version have different names and are sorted by name",
    "version.attachments": "the attachments of a version have names that differ from each other and from those of "
    "its artifacts, and are sorted by name",
    "version.tombstone": "a deleted version has no artifacts, attachments or metadata",
    "alias.name": "an alias is not a number, a stage, or one of the words latest, archived and none, in any case",
    "name.version": "the file of a name leads to a version that has this name",
    "stage.known": "every file of a stage belongs to a stage of gitmodel.toml",
    "stage.version": "the version of a stage or alias exists",
    "stage.usable": "the version of a stage or alias is neither deleted nor failed",
    "stage.artifacts": "the version of a stage or alias has the artifacts that were promoted",
    "stage.single": "a version is in one stage at a time",
    "archived.marker": "an archived marker is exactly the line archived = true",
    "run.id": "the id in a run's file is the id in its path",
    "archived.version": "the version of an archived marker exists and is not deleted",
    "purge.digest": "the tombstone of an artifact has the digest of its path, and a reason",
}


@dataclass
class ModelRecords:
    """The records of one model, or those of them that a check compares."""

    files: dict[str, RecordPath] = field(default_factory=dict)
    record: ModelRecord | None = None
    versions: dict[int, VersionRecord | None] = field(default_factory=dict)
    names: dict[str, int] = field(default_factory=dict)
    stages: dict[str, StageRecord] = field(default_factory=dict)
    aliases: dict[str, StageRecord] = field(default_factory=dict)
    archived: set[int] = field(default_factory=set)

    def add(self, path: str, what: RecordPath, record: Any) -> None:
        """Add the *record* that was read from *path* (None: it cannot be read). *what* is the parsed path."""
        self.files[path] = what
        if what.kind == "archived":
            self.archived.add(int(what.key))
        elif what.kind == "version":
            self.versions[int(what.key)] = record
        elif record is None:
            return
        elif what.kind == "model":
            self.record = record
        elif what.kind == "name":
            self.names[what.key] = record.version
        elif what.kind in ("stage", "alias"):
            (self.stages if what.kind == "stage" else self.aliases)[what.key] = record


def read_records(files: Files, model_paths: Collection[str]) -> ModelRecords:
    """Read the records at *model_paths*, paths in the folder of one model. Skips paths without a file."""
    holds = ModelRecords()
    for path in sorted(model_paths):
        what = paths.parse_path(path)
        kind = None if what is None else records.RECORDS.get(what.kind)
        try:
            record = files.read(path) if kind is None else files.load(path, kind, newer=True)
        except Invalid:
            record = None
        else:
            if record is None:
                continue
        if what is not None:
            holds.add(path, what, record)
    return holds


def format_faults(registry: RegistryRecord, path: str, record: Any) -> Iterator[Problem]:
    needed = records.format_of(record)
    if record_values.format_version(registry.format) < needed:
        message = f"needs format {needed[0]}.{needed[1]}, and the registry says {registry.format}"
        yield Problem(path, "", "record.format", message)


def run_faults(registry: RegistryRecord, path: str, id: str, data: bytes) -> list[Problem]:
    """Return the problems of *data*, the file of the run *id*. Raises Invalid for a file that is not TOML."""
    record, problems = read_record(records.RunRecord, data, path, newer=registry.newer)
    if record is not None and record.id != id:
        problems.append(Problem(path, "id", "run.id", f"says {record.id!a}"))
    return [*problems, *(format_faults(registry, path, record) if record else ())]


def purge_faults(registry: RegistryRecord, path: str, hex: str, data: bytes) -> list[Problem]:
    """Return the problems of *data*, the tombstone of the artifact *hex*. Raises Invalid if it is not TOML."""
    record, problems = read_record(records.PurgeRecord, data, path, newer=registry.newer)
    if record is None:
        return problems
    if record.digest != f"sha256:{hex}":
        problems.append(Problem(path, "digest", "purge.digest", f"says {record.digest}"))
    if not record.reason.strip():
        problems.append(Problem(path, "reason", "purge.digest", "is empty"))
    return [*problems, *format_faults(registry, path, record)]


def model_faults(registry: RegistryRecord, model: str, holds: ModelRecords) -> Iterator[Problem]:
    """Yield the contradictions between the records *holds* of *model*, such as a stage with a missing version."""
    folder = paths.model_folder(model)
    if paths.model_file(model) not in holds.files:
        yield Problem(folder, "", "model.record", "has no model.toml")
    if holds.record is not None and not holds.record.exists:
        for path, what in holds.files.items():
            if path != paths.model_file(model):
                fix = holds.record.renamed_to and what.kind in ("stage", "alias", "archived")
                said = "was left behind by a deleted or renamed model"
                said += "; `git model doctor --fix` removes it" if fix else ""
                yield Problem(path, "", "model.tombstone", said)
        return
    if holds.record is not None and holds.record.store not in (None, *registry.stores):
        yield Problem(paths.model_file(model), "store", "model.store", f"there is no store {holds.record.store}")
    yield from _version_faults(registry, model, holds)
    yield from _place_faults(registry, model, holds)
    yield from case_faults(holds.aliases, f"{folder}/aliases/{{}}.toml")
    yield from case_faults(holds.names, f"{folder}/names, {{}}")


def file_faults(
    registry: RegistryRecord, path: str, what: RecordPath, data: bytes | Invalid, holds: ModelRecords
) -> Iterator[Problem]:
    """Yield the problems in the record at *path*, whose parsed path is *what*, and add the record to *holds*.

    *data* is the content of the file, or the error if the file cannot be read.
    """
    record = None
    try:
        if isinstance(data, Invalid):
            raise data
        if what.kind == "archived" and data != ARCHIVED_MARKER:
            yield Problem(path, "", "archived.marker", f"is not {ARCHIVED_MARKER.decode().strip()!r}")
        if what.kind != "archived":
            record, problems = read_record(records.RECORDS[what.kind], data, path, newer=registry.newer)
            yield from problems
    except Invalid as error:
        yield problem_of(path, error, "record.syntax")
    holds.add(path, what, record)
    if what.kind == "version" and int(what.key) > paths.HIGHEST_NUMBER:
        yield Problem(path, "number", "version.number", f"is more than {paths.HIGHEST_NUMBER}")
    find_fault = names.version_name_fault if what.kind == "name" else names.fault_in
    if what.kind in ("stage", "alias", "name") and (fault := find_fault(what.key)):
        yield Problem(path, "", "name.grammar", f"{what.key!a} is not a name: it {fault}")
    if record is None:
        return
    yield from format_faults(registry, path, record)
    if isinstance(record, VersionRecord):
        if record.number != int(what.key):
            yield Problem(path, "number", "version.number", f"says {record.number}")
        for link in record.links:
            if holds_credentials(link.uri or ""):
                table = "attachments" if link.kind == ATTACHMENT else "artifacts"
                yield Problem(path, f"{table}.{link.name}.uri", "registry.stores", "holds credentials")


def _version_faults(registry: RegistryRecord, model: str, holds: ModelRecords) -> Iterator[Problem]:
    words = {names.fold(stage) for stage in registry.stage_names}
    aliases = {names.fold(alias) for alias in holds.aliases}
    for number, record in sorted(holds.versions.items()):
        if record is None:
            continue
        path = paths.version_file(model, number)
        if record.name is not None and holds.names.get(record.name) != number:
            yield Problem(path, "name", "version.name", f"{record.name} does not lead to version {number}")
        if record.name is not None and names.fold(record.name) in words | aliases:
            yield Problem(path, "name", "version.name", f"{record.name} is also a stage or an alias")
        found = [link.name for link in record.artifacts]
        if len(set(map(names.fold, found))) < len(found) or found != sorted(found):
            yield Problem(path, "artifacts", "version.artifacts", "are not sorted by name, or two have the same name")
        attached = [each.name for each in record.attachments]
        if len(set(map(names.fold, (*found, *attached)))) < len(set(map(names.fold, found))) + len(attached):
            message = "have the name of an artifact, or two have the same name"
            yield Problem(path, "attachments", "version.attachments", message)
        elif attached != sorted(attached):
            yield Problem(path, "attachments", "version.attachments", "are not sorted by name")
        if record.deleted is not None and (record.links or record.metadata):
            message = "is set, but the version has artifacts, attachments or metadata"
            yield Problem(path, "deleted", "version.tombstone", message)
    for name, number in sorted(holds.names.items()):
        if names.fold(name) in words:
            yield Problem(paths.name_file(model, name), "", "version.name", f"is never read, because {name} is a stage")
        version = holds.versions.get(number)
        if number not in holds.versions or (version is not None and version.name != name):
            yield Problem(
                paths.name_file(model, name), "version", "name.version", f"{number} is not a version called {name}"
            )


def _place_faults(registry: RegistryRecord, model: str, holds: ModelRecords) -> Iterator[Problem]:
    in_stage: dict[int, str] = {}
    for stage in (*reversed(registry.stage_names), *sorted(set(holds.stages) - set(registry.stage_names))):
        record = holds.stages.get(stage)
        if record is None:
            continue
        path = paths.stage_file(model, stage)
        if stage not in registry.stage_names:
            yield Problem(path, "", "stage.known", f"{stage} is not a stage of gitmodel.toml")
        yield from _place_fault(path, record, holds)
        if record.version in in_stage:
            message = f"version {record.version} is in {in_stage[record.version]} too, which counts"
            yield Problem(path, "version", "stage.single", message)
        else:
            in_stage[record.version] = stage
    for alias, record in sorted(holds.aliases.items()):
        path, fault = paths.alias_file(model, alias), registry.alias_fault(alias)
        if fault:
            removal = f"`git model alias remove {model} {alias}` removes the file"
            yield Problem(path, "", "alias.name", f"is never read, because {alias} {fault}; {removal}")
        else:
            yield from _place_fault(path, record, holds)
    for number in sorted(holds.archived):
        path = paths.archived_file(model, number)
        version = holds.versions.get(number)
        if number not in holds.versions or (version is not None and version.deleted is not None):
            yield Problem(path, "", "archived.version", f"there is no version {number}, or it was deleted")
        if number in in_stage:
            yield Problem(path, "", "stage.single", f"version {number} is in {in_stage[number]} too, which counts")


def _place_fault(path: str, record: StageRecord, holds: ModelRecords) -> Iterator[Problem]:
    version = holds.versions.get(record.version)
    if version is None and record.version in holds.versions:
        return  # `file_faults` reports the unreadable file of the version
    rule = broken_by_place(record, version)
    if rule == "stage.version":
        yield Problem(path, "version", rule, f"there is no version {record.version}")
    elif version is not None and rule == "stage.usable":
        what = "deleted" if version.deleted is not None else "from a failed run"
        yield Problem(path, "version", rule, f"version {record.version} is {what}")
    elif rule:
        message = f"the artifacts of version {record.version} are not those that were promoted"
        yield Problem(path, "artifacts", rule, message)


def broken_by_place(record: StageRecord, version: VersionRecord | None) -> str | None:
    """Return the name of the invariant that the record of a stage or alias breaks, or None.

    *version* is the version that *record* names; None if it does not exist.
    """
    if version is None:
        return "stage.version"
    if not version.usable:
        return "stage.usable"
    return None if record.promoted(version) else "stage.artifacts"


def read_record(kind: type[Record], data: bytes, path: str, *, newer: bool) -> tuple[Any, list[Problem]]:
    record, problems = codec.inspect(kind, codec.parse_table(data, path), path, newer=newer)
    if record is not None and (fault := _canonical_fault(record, data)):
        problems = [Problem(path, "", "record.canonical", f"is not in the canonical form: {fault}")]
    return record, problems


def _canonical_fault(record: Record, data: bytes) -> str | None:
    """Return a text that shows the lines in which *data* differs from the canonical form of *record*, or None."""
    try:
        canonical = codec.canonical(record)
    except GitModelError:  # the canonical form is longer than *data*, and exceeds the limit
        return "it would be too large"
    if canonical == data:
        return None
    found, wanted = (_LINE.findall(text.decode("utf-8", "replace")) for text in (data, canonical))
    start = next((at for at, (one, other) in enumerate(zip(found, wanted, strict=False)) if one != other), None)
    start = min(len(found), len(wanted)) if start is None else start
    while found[start:] and wanted[start:] and found[-1] == wanted[-1]:
        found.pop()
        wanted.pop()
    return f"line {start + 1}: found {_shown(found[start:])}, expected {_shown(wanted[start:])}"


def _shown(lines: list[str]) -> str:
    text = "".join(lines)
    return f"{text[:_MOST_SHOWN]!a}" + ("..." if len(text) > _MOST_SHOWN else "") if lines else "nothing"


def case_faults(words: Iterable[str], where: str) -> list[Problem]:
    """Return a problem for each of *words* that differs from an earlier one only in case.

    *where* is the path that the problem names, with `{}` in place of the word.
    """
    seen: dict[str, str] = {}
    problems = []
    for name in words:
        other = seen.setdefault(names.fold(name), name)
        if other != name:
            problems.append(Problem(where.format(name), "", "name.case", f"differs from {other} by case only"))
    return problems


def problem_of(path: str, error: GitModelError, rule: str) -> Problem:
    """Return *error*, which reading *path* raised, as a problem that breaks *rule*.

    If the message of *error* ends in the name of another rule in brackets, the problem breaks this other rule instead.
    """
    message, bracket, known = error.message.rpartition(" [")
    text = (message if bracket else error.message).removeprefix(f"{path}: ")
    return Problem(path, "", known.rstrip("]") if bracket and known.rstrip("]") in RULES else rule, text)
