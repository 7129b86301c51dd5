"""`git model check`: find the records of a branch, at one commit, that break a rule of the format."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from itertools import groupby, islice

from gitmodel.branch.history.changed_paths import changed_paths
from gitmodel.branch.repository import Repository
from gitmodel.domain.rules import invariants
from gitmodel.domain.rules.invariants import ModelRecords, case_faults, problem_of
from gitmodel.domain.rules.registry_invariants import registry_faults
from gitmodel.domain.schema import names, paths, records
from gitmodel.domain.schema.codec import Problem
from gitmodel.domain.schema.object_ids import Oid
from gitmodel.domain.schema.paths import RecordPath
from gitmodel.domain.schema.registry_rules.registry_record import RegistryRecord
from gitmodel.domain.secrets import credentials
from gitmodel.domain.snapshots.snapshot_sources import Files
from gitmodel.errors import Invalid
from gitmodel.git.objects.object_formats import FILE_MODES, FOLDER, Entry
from gitmodel.git.objects.trees import CommitFiles
from gitmodel.registry.promotion.judging import expression_fault

# The greatest number of problems that `check` reports. A branch can have more.
MOST_PROBLEMS = 10_000
# The number of fetched records in which a pull searches for credentials; `check` searches all.
MOST_PULLED = 1_000

# A registry has few files for the git host, such as workflows. Without this limit, a small push with a folder that
# holds millions of files could keep the server busy.
_MOST_HOST_FILES = 10_000


def check(repository: Repository, commit: Oid | None = None) -> list[Problem]:
    """Return the problems of the files at *commit* (None: the newest commit of the branch)."""
    at = repository.tip() if commit is None else commit
    return check_files(repository.files(at)) if at else []


def check_files(files: CommitFiles, wanted: Collection[str] | None = None) -> list[Problem]:
    """Return the problems of `gitmodel.toml`, and of the *files* at the paths *wanted* (None: of all other files).

    If there are more than `MOST_PROBLEMS`, the last element of the list says so. Finds a contradiction between records
    only if *wanted* has the paths of all of them, as `domain.rules.related_records` returns them.
    """
    found = list(islice(_check_files(files, wanted), MOST_PROBLEMS + 1))
    more = Problem("", "", "tree.path", f"there are more than {MOST_PROBLEMS:,} problems")
    return [*found[:MOST_PROBLEMS], more] if len(found) > MOST_PROBLEMS else found


def _check_files(files: CommitFiles, wanted: Collection[str] | None) -> Iterator[Problem]:
    registry, problems = registry_faults(files, expression_fault)
    yield from problems
    seen = set()
    looked_at = every_file(files) if wanted is None else _files_at(files, wanted)
    for model, group in groupby(looked_at, key=lambda item: _model_at(item[0])):
        records: list[tuple[str, RecordPath]] = []
        for path, entry in group:
            yield from _check_entry(files, registry, path, entry, records)
        if records:
            seen.add(model)
            yield from _check_model(files, registry, model, records)
    models = files.names(paths.MODELS)
    if wanted is None or any(path.endswith("/model.toml") for path in wanted):
        yield from case_faults(models, paths.MODELS + "/{}")
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
    """Yield the problems of the file at *path*. A record of a model is only added to *records*, for `_check_model`."""
    if isinstance(entry, Invalid):
        yield problem_of(path, entry, "tree.file")
        return
    if entry.mode not in FILE_MODES:
        if entry.mode == FOLDER and registry.newer:
            return
        kinds = {"120000": "a symbolic link", "160000": "a submodule"}
        if entry.mode == FOLDER:
            yield Problem(path, "", "tree.path", "is a folder that cannot hold records")
        else:
            what = kinds.get(entry.mode, f"of mode {entry.mode}")
            yield Problem(path, "", "tree.file", f"is {what}, not a file")
        return
    found = paths.parse_path(path)
    if found is None:
        if not paths.is_rule(path) and not registry.newer:
            yield Problem(path, "", "tree.path", "is not a file of the format")
    elif found.kind in ("run", "purge"):
        faults = invariants.run_faults if found.kind == "run" else invariants.purge_faults
        try:
            yield from faults(registry, path, found.key, files.read(path) or b"")
        except Invalid as error:
            yield problem_of(path, error, "record.syntax")
    elif found.kind != "registry":
        records.append((path, found))


def _check_model(
    files: CommitFiles, registry: RegistryRecord, model: str, found: list[tuple[str, RecordPath]]
) -> Iterator[Problem]:
    fault = names.fault_in(model)
    if fault:
        yield Problem(paths.model_folder(model), "", "name.grammar", f"{model!a} is not a name: it {fault}")
    holds = ModelRecords()
    for path, what in found:
        data: bytes | Invalid
        try:
            data = files.read(path) or b""
        except Invalid as error:
            data = error
        yield from invariants.file_faults(registry, path, what, data, holds)
    yield from invariants.model_faults(registry, model, holds)


def every_file(files: CommitFiles) -> Iterator[tuple[str, Entry | Invalid]]:
    """Yield the path and the entry of every file, except files for the git host after the first 10,000.

    Yields a folder instead of its files if it can hold neither records nor files for the git host.
    """
    host_files = 0

    def into(folder: str) -> bool:
        nonlocal host_files
        host_files += paths.is_host_file(folder)
        return paths.holds_records(folder) or (paths.is_host_file(folder) and host_files < _MOST_HOST_FILES)

    for path, entry in files.walk(into=into):
        host_files += paths.is_host_file(path)
        if host_files < _MOST_HOST_FILES or not paths.is_host_file(path):
            yield path, entry


def _files_at(files: CommitFiles, wanted: Collection[str]) -> Iterator[tuple[str, Entry | Invalid]]:
    """Yield the path and the entry of each file at the paths *wanted*, model by model.

    If one of these files belongs to a deleted model, yields all files that this model still has.
    """
    gone = {what.model for what in map(paths.parse_path, wanted) if what is not None and _is_gone(files, what.model)}
    for model in sorted(gone):
        yield from files.walk(paths.model_folder(model), into=paths.holds_records)
    for path in sorted(wanted, key=lambda path: path.split("/")):
        what = paths.parse_path(path)
        if what is None or what.model not in gone:
            try:
                entry = files.entry(path)
            except Invalid as error:
                yield path, error
                continue
            if entry is not None:
                yield path, entry


def _is_gone(files: CommitFiles, model: str) -> bool:
    try:
        record = files.load(paths.model_file(model), records.ModelRecord, newer=True) if model else None
    except Invalid:
        return False
    return record is not None and not record.exists


def find_credentials(
    repository: Repository, commit: Oid, before: Oid | None = None, *, most: int | None = None
) -> list[str]:
    """Return a message for each text in the records at *commit* that looks like a credential.

    If *before* is given, searches only records that changed between that commit and *commit*. If *most* is given,
    searches at most that number of records.
    """
    files = repository.files(commit)
    found = changed_paths(repository, before, commit) if before else (path for path, _ in every_file(files))
    return credentials_in(files, islice(filter(paths.parse_path, found), most))


def credentials_in(files: Files, wanted: Iterable[str]) -> list[str]:
    """Return messages about text that looks like a credential in the records of *files* at the paths *wanted*."""
    seen = []
    for path in filter(paths.parse_path, wanted):
        try:
            seen += [f"{field} looks like {what}" for field, what in credentials.in_record(path, files.read(path))]
        except Invalid:
            continue  # `check` reports damaged records
    return seen
