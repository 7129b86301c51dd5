"""`check`: every invariant of the format, by its name, on a whole branch at one commit."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import groupby, islice
from typing import Any

from gitmodel import expressions
from gitmodel.branch.repository import Repository
from gitmodel.domain.gates import GATE_NAMES
from gitmodel.domain.schema import codec, names, paths, records, signers
from gitmodel.domain.schema.codec import Problem, Record
from gitmodel.domain.schema.paths import RecordPath
from gitmodel.domain.schema.records import (
    ARCHIVED_MARKER,
    ModelRecord,
    RegistryRecord,
    StageRecord,
    StageRule,
    VersionRecord,
    links_digest,
)
from gitmodel.domain.snapshot import read_registry
from gitmodel.domain.urls import holds_credentials
from gitmodel.errors import GitModelError, Invalid, UsageError
from gitmodel.git.objects import FILE_MODES, FOLDER, Entry
from gitmodel.git.trees import CommitFiles
from gitmodel.registry.files_to_check import every_file, files_at

# Every rule of the format, as `docs/reference/format.md` names it.
RULES: Mapping[str, str] = {
    "tree.file": "every entry of the tree is a regular file",
    "tree.path": "every file is a record of the format or a file of the git host",
    "record.size": "a record has at most 65,536 bytes",
    "record.syntax": "a record is TOML in UTF-8",
    "record.type": "every key has a value that it takes",
    "record.required": "every required key is there",
    "record.unknown-key": "no key is unknown, unless a newer minor format wrote it",
    "record.canonical": "a record is written in the one canonical way",
    "record.format": "no record uses what only a newer format than that of the registry has",
    "registry.record": "gitmodel.toml is there, and its format can be read",
    "registry.stages": "the exclusive stages have different names, and none is archived, none or latest",
    "registry.stores": "stores have names by the grammar, and no URL of a store or an artifact holds credentials",
    "registry.signers": "allowed_signers has lines that can be read, and lists somebody if a stage asks for signatures",
    "registry.rules": "gates of a stage have different names and expressions of known names; after names places; no "
    "list is empty",
    "name.grammar": "models, stages, aliases, versions and artifacts are named by the grammar of names",
    "name.case": "no two names in one place differ by case only",
    "model.record": "every model has its model.toml",
    "model.store": "a model keeps its artifacts in a store of gitmodel.toml",
    "model.tombstone": "nothing is left of a deleted or renamed model but its model.toml",
    "version.number": "a version's file says the number that its path says, which is at most 1,000,000,000",
    "version.name": "a version's name leads to it, and is neither a stage nor an alias",
    "version.artifacts": "the artifacts of a version have different names, and are in the order of these",
    "version.tombstone": "a deleted version has no artifacts and no metadata",
    "alias.name": "an alias is no number, no word for a stage and no stage, in any case of letters",
    "name.version": "a name's file leads to a version with this name",
    "stage.known": "a stage's file is for a stage of gitmodel.toml",
    "stage.version": "a stage or alias names a version that is there",
    "stage.usable": "a stage or alias names a version that is neither deleted nor failed",
    "stage.artifacts": "the artifacts of the version are those that were promoted",
    "stage.single": "a version is in one stage at a time",
    "archived.marker": "an archived marker has the bytes that all of them have",
    "run.id": "a run's file says the id that its path says",
    "archived.version": "an archived marker names a version that is there and not deleted",
    "purge.digest": "the tombstone of an artifact says the digest that its path says, and why it was erased",
}

# A branch that somebody filled with rubbish is refused as well by the first of it.
MOST_PROBLEMS = 10_000


@dataclass
class _Found:
    """The records in the files of one model."""

    files: dict[str, RecordPath] = field(default_factory=dict)
    record: ModelRecord | None = None
    versions: dict[int, VersionRecord | None] = field(default_factory=dict)
    names: dict[str, int] = field(default_factory=dict)
    stages: dict[str, StageRecord] = field(default_factory=dict)
    aliases: dict[str, StageRecord] = field(default_factory=dict)
    archived: set[int] = field(default_factory=set)


def check(repository: Repository, commit: str | None = None) -> list[Problem]:
    """Everything that is wrong with the branch (or with *commit*): each with its file, key and rule."""
    at = repository.tip() if commit is None else commit
    return check_files(repository.files(at)) if at else []


def check_files(files: CommitFiles, wanted: Collection[str] | None = None) -> list[Problem]:
    """Return the problems of *files*, or of the paths *wanted*: at most `MOST_PROBLEMS`, and one that says so.

    A problem of a record together with others is found if *wanted* has these too, as `looking.related` does.
    """
    found = list(islice(_check_files(files, wanted), MOST_PROBLEMS + 1))
    more = Problem("", "", "tree.path", f"more than {MOST_PROBLEMS:,} things are wrong")
    return [*found[:MOST_PROBLEMS], more] if len(found) > MOST_PROBLEMS else found


def _check_files(files: CommitFiles, wanted: Collection[str] | None) -> Iterator[Problem]:
    registry, problems = _check_registry(files)
    yield from problems
    seen = set()
    looked_at = every_file(files) if wanted is None else files_at(files, wanted)
    for model, group in groupby(looked_at, key=lambda item: _model_at(item[0])):
        records: list[tuple[str, RecordPath]] = []
        for path, entry in group:
            yield from _check_entry(files, registry, path, entry, records)
        if records:
            seen.add(model)
            yield from _check_model(files, registry, model, records)
    models = files.names(paths.MODELS)
    if wanted is None or any(path.endswith("/model.toml") for path in wanted):
        yield from _case_faults(models, paths.MODELS + "/{}")
    if wanted is None:
        for model in models:
            if model not in seen:
                yield from _check_model(files, registry, model, [])


def _model_at(path: str) -> str:
    parts = path.split("/", 2)
    return parts[1] if len(parts) > 2 and parts[0] == paths.MODELS else ""


def _check_entry(
    files: CommitFiles,
    registry: RegistryRecord,
    path: str,
    entry: Entry | Invalid,
    records: list[tuple[str, RecordPath]],
) -> Iterator[Problem]:
    """Yield the problems of *entry* by itself, and add it to *records* if it belongs to a model."""
    if isinstance(entry, Invalid):
        yield _problem(path, entry, "tree.file")
        return
    if entry.mode not in FILE_MODES:
        if entry.mode == FOLDER and registry.newer:
            return
        kinds = {"120000": "a symbolic link", "160000": "a submodule"}
        if entry.mode == FOLDER:
            yield Problem(path, "", "tree.path", "is a folder in which no record can be")
        else:
            what = kinds.get(entry.mode, f"of mode {entry.mode}")
            yield Problem(path, "", "tree.file", f"is {what}, not a file")
        return
    found = paths.parse_path(path)
    if found is None:
        if not paths.is_rule(path) and not registry.newer:
            yield Problem(path, "", "tree.path", "is no file of the format")
    elif found.kind == "run":
        yield from _check_run(files, registry, path, found.key)
    elif found.kind == "purge":
        yield from _check_purge(files, registry, path, found.key)
    elif found.kind != "registry":
        records.append((path, found))


def _check_registry(files: CommitFiles) -> tuple[RegistryRecord, list[Problem]]:
    path = paths.REGISTRY
    try:
        data = files.read(path)
        if data is None:
            return RegistryRecord(), [Problem(path, "", "registry.record", "is missing")]
        table = codec.parse_table(data, path)
        written = table.get("format")
        newer = isinstance(written, str) and records.is_newer(written)
        record, problems = read_registry(files), codec.inspect(records.RegistryRecord, table, path, newer=newer)[1]
        if not newer and not problems:
            problems = _read(records.RegistryRecord, data, path, newer=False)[1]
    except Invalid as error:
        return RegistryRecord(), [_problem(path, error, "registry.record")]
    problems += [fault for fault in record.faults if fault.rule in ("registry.stages", "registry.rules")]
    problems += [Problem(path, f"stages.{rule.name}", "registry.rules", fault) for rule, fault in _gate_faults(record)]
    for key, url in (("store", record.store or ""), *((f"stores.{name}", url) for name, url in record.stores.items())):
        if holds_credentials(url):
            problems.append(Problem(path, key, "registry.stores", "holds credentials"))
    problems += _case_faults(list(record.stores), f"{path}, stores.{{}}")
    problems += _signer_faults(files, record)
    return record, [*problems, *_format_faults(registry=record, path=path, record=record)]


def _format_faults(*, registry: RegistryRecord, path: str, record: Any) -> Iterator[Problem]:
    needed = records.format_of(record)
    if records.format_version(registry.format) < needed:
        message = f"needs format {needed[0]}.{needed[1]}, and the registry says {registry.format}"
        yield Problem(path, "", "record.format", message)


def _gate_faults(record: RegistryRecord) -> Iterator[tuple[StageRule, str]]:
    for rule in record.stages:
        for gate in rule.gates:
            fault = _expression_fault(gate.expression)
            if fault:
                yield rule, f"gate {gate.name}: {fault}"


def _expression_fault(text: str) -> str:
    """Return what is wrong with the expression of a gate, such as a name that no record has; "" if nothing is."""
    try:
        expressions.parse(text)
    except UsageError as error:
        if "needs the CEL library" not in error.message:  # a missing library says nothing about the expression
            return error.message
    try:
        expressions.check_names(text, GATE_NAMES)
    except UsageError as error:
        return f"{error.message}; {error.hint}"
    return ""


def _signer_faults(files: CommitFiles, record: RegistryRecord) -> Iterator[Problem]:
    try:
        text = (files.read(paths.SIGNERS) or b"").decode("utf-8", "replace")
    except Invalid as error:
        yield _problem(paths.SIGNERS, error, "registry.signers")
        return
    for fault in signers.faults(text):
        yield Problem(paths.SIGNERS, "", "registry.signers", fault)
    asking = next((rule.name for rule in record.stages if rule.signed), "")
    if asking and next(signers.read_signers(text), None) is None:
        yield Problem(paths.SIGNERS, "", "registry.signers", f"lists nobody, and {asking} asks for signatures")


def _check_run(files: CommitFiles, registry: RegistryRecord, path: str, id: str) -> list[Problem]:
    try:
        record, problems = _read(records.RunRecord, files.read(path) or b"", path, newer=registry.newer)
    except Invalid as error:
        return [_problem(path, error, "record.syntax")]
    if record is not None and record.id != id:
        problems.append(Problem(path, "id", "run.id", f"says {record.id!a}"))
    return [*problems, *(_format_faults(registry=registry, path=path, record=record) if record else ())]


def _check_purge(files: CommitFiles, registry: RegistryRecord, path: str, hex: str) -> list[Problem]:
    try:
        record, problems = _read(records.PurgeRecord, files.read(path) or b"", path, newer=registry.newer)
    except Invalid as error:
        return [_problem(path, error, "record.syntax")]
    if record is None:
        return problems
    if record.digest != f"sha256:{hex}":
        problems.append(Problem(path, "digest", "purge.digest", f"says {record.digest}"))
    if not record.reason.strip():
        problems.append(Problem(path, "reason", "purge.digest", "is empty"))
    return [*problems, *_format_faults(registry=registry, path=path, record=record)]


def _check_model(
    files: CommitFiles, registry: RegistryRecord, model: str, found: list[tuple[str, RecordPath]]
) -> Iterator[Problem]:
    folder = paths.model_folder(model)
    fault = names.fault_in(model)
    if fault:
        yield Problem(folder, "", "name.grammar", f"{model!a} is no name: it {fault}")
    holds = _Found()
    for path, what in found:
        yield from _read_file(files, registry, path, what, holds)
    if paths.model_file(model) not in holds.files:
        yield Problem(folder, "", "model.record", "has no model.toml")
    if holds.record is not None and not holds.record.exists:
        for path, what in holds.files.items():
            if path != paths.model_file(model):
                fix = holds.record.renamed_to and what.kind in ("stage", "alias", "archived")
                said = "is left of a model that is gone" + ("; `git model doctor --fix` removes it" if fix else "")
                yield Problem(path, "", "model.tombstone", said)
        return
    if holds.record is not None and holds.record.store not in (None, *registry.stores):
        yield Problem(paths.model_file(model), "store", "model.store", f"there is no store {holds.record.store}")
    yield from _check_versions(registry, model, holds)
    yield from _check_places(registry, model, holds)
    yield from _case_faults(list(holds.aliases), f"{folder}/aliases/{{}}.toml")
    yield from _case_faults(list(holds.names), f"{folder}/names, {{}}")


def _read_file(
    files: CommitFiles, registry: RegistryRecord, path: str, what: RecordPath, holds: _Found
) -> Iterator[Problem]:
    holds.files[path] = what
    try:
        data = files.read(path) or b""
        if what.kind == "archived":
            holds.archived.add(int(what.key))
            if data != ARCHIVED_MARKER:
                yield Problem(path, "", "archived.marker", f"is not {ARCHIVED_MARKER.decode().strip()!r}")
            return
        record, problems = _read(records.RECORDS[what.kind], data, path, newer=registry.newer)
    except Invalid as error:
        yield _problem(path, error, "record.syntax")
        record, problems = None, []
    yield from problems
    if what.kind == "version":
        holds.versions[int(what.key)] = record
        if record is not None and record.number != int(what.key):
            yield Problem(path, "number", "version.number", f"says {record.number}")
        if int(what.key) > paths.HIGHEST_NUMBER:
            yield Problem(path, "number", "version.number", f"is more than {paths.HIGHEST_NUMBER}")
        for link in record.artifacts if record is not None else ():
            if holds_credentials(link.uri or ""):
                yield Problem(path, f"artifacts.{link.name}.uri", "registry.stores", "holds credentials")
        yield from _format_faults(registry=registry, path=path, record=record) if record is not None else ()
        return
    fault = names.fault_in(what.key) if what.kind in ("stage", "alias") else _version_name_fault(what)
    if fault:
        yield Problem(path, "", "name.grammar", f"{what.key!a} is no name: it {fault}")
    if record is None:
        return
    yield from _format_faults(registry=registry, path=path, record=record)
    if what.kind == "model":
        holds.record = record
    elif what.kind == "name":
        holds.names[what.key] = record.version
    elif what.kind == "stage":
        holds.stages[what.key] = record
    else:
        holds.aliases[what.key] = record


def _check_versions(registry: RegistryRecord, model: str, holds: _Found) -> Iterator[Problem]:
    words = {names.fold(stage) for stage in registry.stage_names}
    aliases = {names.fold(alias) for alias in holds.aliases}
    for number, record in sorted(holds.versions.items()):
        if record is None:
            continue
        path = paths.version_file(model, number)
        if record.name is not None and holds.names.get(record.name) != number:
            yield Problem(path, "name", "version.name", f"{record.name} does not lead to version {number}")
        if record.name is not None and names.fold(record.name) in words | aliases:
            yield Problem(path, "name", "version.name", f"{record.name} is a stage or an alias as well")
        found = [link.name for link in record.artifacts]
        if len(set(map(names.fold, found))) < len(found) or found != sorted(found):
            yield Problem(
                path, "artifacts", "version.artifacts", "are not in the order of their names, or two have one name"
            )
        if record.deleted is not None and (record.artifacts or record.metadata):
            yield Problem(path, "deleted", "version.tombstone", "is set, but artifacts or metadata are still there")
    for name, number in sorted(holds.names.items()):
        if names.fold(name) in words:
            yield Problem(paths.name_file(model, name), "", "version.name", f"is never read, because {name} is a stage")
        version = holds.versions.get(number)
        if number not in holds.versions or (version is not None and version.name != name):
            yield Problem(
                paths.name_file(model, name), "version", "name.version", f"{number} is no version called {name}"
            )


def _check_places(registry: RegistryRecord, model: str, holds: _Found) -> Iterator[Problem]:
    in_stage: dict[int, str] = {}
    for stage in (*reversed(registry.stage_names), *sorted(set(holds.stages) - set(registry.stage_names))):
        record = holds.stages.get(stage)
        if record is None:
            continue
        path = paths.stage_file(model, stage)
        if stage not in registry.stage_names:
            yield Problem(path, "", "stage.known", f"{stage} is no stage of gitmodel.toml")
        yield from _check_place(path, record, holds)
        if record.version in in_stage:
            message = f"version {record.version} is in {in_stage[record.version]} too, which counts"
            yield Problem(path, "version", "stage.single", message)
        else:
            in_stage[record.version] = stage
    for alias, record in sorted(holds.aliases.items()):
        path, fault = paths.alias_file(model, alias), registry.alias_fault(alias)
        if fault:
            mend = f"`git model alias remove {model} {alias}` removes the file"
            yield Problem(path, "", "alias.name", f"is never read, because {alias} {fault}; {mend}")
        else:
            yield from _check_place(path, record, holds)
    for number in sorted(holds.archived):
        path = paths.archived_file(model, number)
        version = holds.versions.get(number)
        if number not in holds.versions or (version is not None and version.deleted is not None):
            yield Problem(path, "", "archived.version", f"there is no version {number}, or it was deleted")
        if number in in_stage:
            yield Problem(path, "", "stage.single", f"version {number} is in {in_stage[number]} too, which counts")


def _check_place(path: str, record: StageRecord, holds: _Found) -> Iterator[Problem]:
    version = holds.versions.get(record.version)
    if record.version not in holds.versions:
        yield Problem(path, "version", "stage.version", f"there is no version {record.version}")
    elif version is None:
        return
    elif not version.usable:
        what = "deleted" if version.deleted is not None else "from a failed run"
        yield Problem(path, "version", "stage.usable", f"version {record.version} is {what}")
    elif links_digest(version.artifacts) != record.artifacts:
        message = f"the artifacts of version {record.version} are not those that were promoted"
        yield Problem(path, "artifacts", "stage.artifacts", message)


def _read(kind: type[Record], data: bytes, path: str, *, newer: bool) -> tuple[Any, list[Problem]]:
    record, problems = codec.inspect(kind, codec.parse_table(data, path), path, newer=newer)
    if record is not None and not _is_canonical(record, data):
        problems = [Problem(path, "", "record.canonical", "is not written in the canonical way")]
    return record, problems


def _is_canonical(record: Record, data: bytes) -> bool:
    try:
        return codec.canonical(record) == data
    except GitModelError:  # a record can be short enough only in the way it is written
        return False


def _version_name_fault(what: RecordPath) -> str | None:
    if what.kind != "name":
        return None
    try:
        names.check_version_name(what.key)
    except UsageError as error:
        return error.message.partition("because it ")[2]
    return None


def _case_faults(found: tuple[str, ...] | list[str], where: str) -> list[Problem]:
    seen: dict[str, str] = {}
    problems = []
    for name in found:
        other = seen.setdefault(names.fold(name), name)
        if other != name:
            problems.append(Problem(where.format(name), "", "name.case", f"is {other} but for its case"))
    return problems


def _problem(path: str, error: GitModelError, rule: str) -> Problem:
    """The problem that an Invalid stands for; its message ends in the rule's name if it knows it."""
    message, bracket, known = error.message.rpartition(" [")
    text = (message if bracket else error.message).removeprefix(f"{path}: ")
    return Problem(path, "", known.rstrip("]") if bracket and known.rstrip("]") in RULES else rule, text)
