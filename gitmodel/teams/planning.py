"""`plan BASE..HEAD`: what a merge would change in the stages, with what a reviewer wants to know."""

from __future__ import annotations

from dataclasses import dataclass, replace

from gitmodel.domain import gates, paths
from gitmodel.domain.codec import Problem
from gitmodel.domain.comparison import Compared, compare_artifacts, compare_values
from gitmodel.domain.gates import Outcome
from gitmodel.domain.hosts import find_host
from gitmodel.domain.records import VersionRecord
from gitmodel.domain.refs import StageRef
from gitmodel.domain.snapshot import Snapshot
from gitmodel.errors import GitModelError
from gitmodel.registry import admission
from gitmodel.storage.log import changed_paths
from gitmodel.storage.repository import Repository
from gitmodel.storage.trees import CommitFiles
from gitmodel.teams.between import check_between, merged_tree


@dataclass(frozen=True)
class PlannedChange:
    """What becomes of one stage or alias: *new* enters it after *old* (None: nobody), as *who* wants.

    *metadata* are the keys of both versions side by side, *artifacts* those that differ. *code* are the commits of old
    and new code, and *comparison* the address of what is between them, if the host is known.
    """

    model: str
    place: str
    alias: bool
    old: int | None
    new: int | None
    who: str
    reason: str
    owners: tuple[str, ...] = ()
    code: tuple[str, str] = ("", "")
    comparison: str = ""
    metadata: tuple[Compared, ...] = ()
    artifacts: tuple[Compared, ...] = ()
    outcomes: tuple[Outcome, ...] = ()


@dataclass(frozen=True)
class Plan:
    """What a merge of *head* into *base* changes: stages, aliases, *versions* made, *problems*, *rules* touched."""

    base: str
    head: str
    changes: tuple[PlannedChange, ...]
    versions: tuple[str, ...]
    problems: tuple[Problem, ...]
    rules: tuple[str, ...]


def plan(repository: Repository, base: str, head: str, *, force: bool = False) -> Plan:
    """What merging the commit *head* into *base* would change. Raises UsageError where git cannot merge in memory."""
    found = check_between(repository, base, head, force=force)
    if any(problem.rule in ("change.lineage", "change.conflict") for problem in found.problems):
        return Plan(base, head, (), (), found.problems, found.rules)
    tree, _ = merged_tree(repository, base, head)
    before = repository.recorded(base)
    after = replace(before, commit=head, files=CommitFiles(repository.trees, tree))
    changes, versions = [], []
    for path in changed_paths(repository, base, tree):
        what = paths.parse_path(path)
        if what is None:
            continue
        if what.kind == "version" and before.files.read(path) is None:
            versions.append(f"{what.model}@{what.key}")
        if what.kind in ("stage", "alias"):
            ref = StageRef(what.model, what.key)
            changes.append(_planned(repository, before, after, path, ref, alias=what.kind == "alias"))
    return Plan(base, head, tuple(changes), tuple(versions), found.problems, found.rules)


def _planned(
    repository: Repository, before: Snapshot, after: Snapshot, path: str, ref: StageRef, *, alias: bool
) -> PlannedChange:
    read = Snapshot.recorded_alias if alias else Snapshot.recorded
    was, now = read(before, ref.model, ref.stage), read(after, ref.model, ref.stage)
    old = _version(before, ref.model, was.version if was else None)
    new = _version(after, ref.model, now.version if now else None)
    outcomes: tuple[Outcome, ...] = ()
    if now is not None and new is not None and not alias:
        forced = now.forced if now.reason.strip() else ()
        try:
            outcomes = gates.judge_entry(before, after, ref, now.version, admission.judge, forced=forced)
        except GitModelError:
            outcomes = ()  # what is damaged is among the problems
    code = (_code(old), _code(new))
    return PlannedChange(
        ref.model,
        ref.stage,
        alias,
        was.version if was else None,
        now.version if now else None,
        _who(repository, before.commit, after.commit, path),
        now.reason if now else "",
        _owners(after, ref.model),
        code,
        _comparison(repository, new, code),
        compare_values(old.metadata if old else {}, new.metadata if new else {}),
        tuple(
            row for row in compare_artifacts(old.artifacts if old else (), new.artifacts if new else ()) if not row.same
        ),
        outcomes,
    )


def _version(snapshot: Snapshot, model: str, number: int | None) -> VersionRecord | None:
    try:
        return None if number is None else snapshot.version(model, number)
    except GitModelError:
        return None


def _owners(snapshot: Snapshot, model: str) -> tuple[str, ...]:
    try:
        return snapshot.model(model).owners
    except GitModelError:
        return ()


def _code(version: VersionRecord | None) -> str:
    return (version.code.commit or "") if version and version.code else ""


def _comparison(repository: Repository, new: VersionRecord | None, code: tuple[str, str]) -> str:
    url = new.code.repository if new and new.code else None
    host = find_host(url, repository.config.get("gitmodel.host", "")) if url else None
    return host.comparison(*code) if host and all(code) and code[0] != code[1] else ""


def _who(repository: Repository, base: str, head: str, path: str) -> str:
    """The author of the newest commit that *head* brings and that touched *path*."""
    found = repository.git.lines("log", "-1", "--format=%an", head, f"^{base}", "--", path)
    return found[0] if found else ""
