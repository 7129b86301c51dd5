"""`plan BASE..HEAD`: the effects of a merge on stages, with information for reviewers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from functools import cached_property
from typing import Any, TypeVar

from gitmodel.branch.history.change_authors import ChangeAuthors, ChangeSignature
from gitmodel.branch.repository import Repository
from gitmodel.code.repository import CodeRepository
from gitmodel.domain.changes.rule_edits import describe_rule_changes
from gitmodel.domain.rules import gates
from gitmodel.domain.rules.gates import Outcome
from gitmodel.domain.schema import paths, records
from gitmodel.domain.schema.codec import Problem
from gitmodel.domain.schema.object_ids import Oid, is_code_oid
from gitmodel.domain.schema.records import ArtifactLink, VersionRecord
from gitmodel.domain.schema.refs import StageRef
from gitmodel.domain.snapshots.commit_records import place_at
from gitmodel.domain.snapshots.snapshot import Snapshot
from gitmodel.domain.views.comparison import Compared, compare_artifacts, compare_values
from gitmodel.domain.views.lineage import Lineage
from gitmodel.errors import GitModelError, Invalid
from gitmodel.frozen import Frozen
from gitmodel.git.objects.trees import CommitFiles
from gitmodel.hosts.addresses import find_host
from gitmodel.hosts.codeowners import CODEOWNERS, owners_of
from gitmodel.lineage.comparing import recorded_run
from gitmodel.registry.promotion import judging
from gitmodel.teams.checks.range_checks import check_between
from gitmodel.teams.plans.holder_trends import Trend, find_trend
from gitmodel.teams.plans.stored_contents import StoredContents, TextChange
from gitmodel.teams.plans.version_sources import find_sources

T = TypeVar("T")
DATA = "data"
_MOST_COMMITS = 10
_ID_DIGITS = 12


class CodeRange(Frozen):
    """The commits between the code commits *old* and *new* of two versions ("": the version records none).

    *count* is the number of commits between them (None: unknown, because this repository lacks one). *commits* are the
    newest of these, as "1a2b3c4d5e subject". *comparison* is the URL at which the host compares *old* and *new*, ""
    if the host is unknown.
    """

    old: str = ""
    new: str = ""
    count: int | None = None
    commits: tuple[str, ...] = ()
    comparison: str = ""


class PlannedChange(Frozen):
    """The planned change of the stage or alias *place*: version *new* replaces version *old* (None: empty).

    *alias* is True if *place* is an alias. *who* is the author of the change, and *owners* are the owners in the record
    of the model. The stage changes only by a reviewed proposal if *reviewed*, and requires signatures if *signed*.
    *signature* is that of the newest commit that changes *place*, and *approvers* are the accounts that CODEOWNERS
    names for the record of *place*. *outcomes* are the results of the stage's rules.

    The other fields describe a version that enters: *maker* is the person who created it, *sources* is its lineage, and
    *code* has the commits since the replaced version. *metadata* has the values of both versions side by side. The
    *artifacts*, *datasets* (artifacts of the kind `data` and external inputs of runs), *packages* and *texts* are those
    that differ. *trend* has the headlines of the last versions in the stage.
    """

    model: str
    place: str
    alias: bool
    old: int | None
    new: int | None
    who: str
    reason: str
    maker: str = ""
    owners: tuple[str, ...] = ()
    reviewed: bool = False
    signed: bool = False
    signature: ChangeSignature | None = None
    approvers: tuple[str, ...] = ()
    code: CodeRange = CodeRange()
    metadata: tuple[Compared, ...] = ()
    artifacts: tuple[Compared, ...] = ()
    datasets: tuple[Compared, ...] = ()
    packages: tuple[Compared, ...] = ()
    texts: tuple[TextChange, ...] = ()
    sources: Lineage | None = None
    outcomes: tuple[Outcome, ...] = ()
    trend: Trend | None = None


class Plan(Frozen):
    """The effect of merging the commit *head* into the commit *base*.

    *changes* are the changes of stages and aliases, *versions* the new versions, such as "iris@4", and *problems* the
    reasons against the merge. *rules* are the paths of the changed files that control permissions and gates. *renamed*
    are pairs of the old and new name of a model. *rule_changes* has a text for each changed rule of a stage. *page* is
    the address of the page of the proposal, "" if the registry has no published pages.
    """

    base: Oid
    head: Oid
    changes: tuple[PlannedChange, ...]
    versions: tuple[str, ...]
    problems: tuple[Problem, ...]
    rules: tuple[str, ...]
    renamed: tuple[tuple[str, str], ...] = ()
    rule_changes: tuple[str, ...] = ()
    page: str = ""

    @property
    def is_empty(self) -> bool:
        """True if the merge has no problems and changes no stage, alias, version, model's name or rule of a stage."""
        return not (self.changes or self.versions or self.renamed or self.rule_changes or self.problems)

    @property
    def id(self) -> str:
        """The identifier of the plan in the address of the proposal's page: the first digits of the commit *head*."""
        return self.head[:_ID_DIGITS]


def plan(
    repository: Repository, base: Oid, head: Oid, *, force: bool = False, contents: StoredContents | None = None
) -> Plan:
    """Plan the merge of the commit *head* into the commit *base*. Merges nothing.

    If *contents* is None, reads no store: the plan then has no differences of packages and texts. If *force*, the merge
    may delete versions in use, and many records at once.
    """
    found = check_between(repository, base, head, force=force)
    if any(problem.rule in ("change.lineage", "change.conflict") for problem in found.problems):
        return Plan(base, head, (), (), found.problems, found.rules)
    after = replace(repository.recorded(head), files=CommitFiles(repository.trees, found.tree))
    merge = _Merge(repository, repository.recorded(base), after, base, head, found.changed, contents)
    changes, versions = [], []
    registry = _or_none(merge.after.registry) or merge.before.registry()
    for path in found.changed:
        what = paths.parse_path(path)
        if what is not None and _is_carried(merge, what.model, path):
            continue
        if what is not None and what.kind == "version" and merge.before.files.read(path) is None:
            versions.append(f"{what.model}@{what.key}")
        ref = place_at(registry, what)
        if what is not None and ref is not None:
            try:
                changes.append(_planned(merge, path, ref, alias=what.kind == "alias"))
            except Invalid:
                continue  # `check_between` already reported an unreadable record as a problem
    # If the rules of the base are missing or unreadable, the plan shows no changes of rules.
    rule_changes = _or_none(lambda: tuple(describe_rule_changes(merge.before.registry().stages, registry.stages))) or ()
    return Plan(
        base, head, tuple(changes), tuple(versions), found.problems, found.rules, tuple(sorted(merge.renamed.items())),
        rule_changes, _page(merge),
    )  # fmt: skip


class _Merge(Frozen):
    """The merge of *head* into *base*: the registry *before* and *after*, and the paths that the merge *changed*."""

    repository: Repository
    before: Snapshot
    after: Snapshot
    base: Oid
    head: Oid
    changed: tuple[str, ...]
    contents: StoredContents | None

    @cached_property
    def renamed(self) -> dict[str, str]:
        """The new name of each model that the merge renames, by its old name."""
        before, after = self.before, self.after
        changed = (what for what in map(paths.parse_path, self.changed) if what is not None and what.kind == "model")
        there = (what.model for what in changed if before.has_model(what.model, tolerant=True))
        found = {name: after.current_name(name, tolerant=True) for name in there}
        return {old: new for old, new in found.items() if old != new and not before.has_model(new, tolerant=True)}

    def before_rename(self, model: str) -> str:
        """Return the name that the merge replaces by *model*; *model* itself if the merge gives no model this name."""
        return next((old for old, new in self.renamed.items() if new == model), model)

    @cached_property
    def code_owners(self) -> str:
        """The text of CODEOWNERS before the merge; "" if there is none."""
        return (_or_none(lambda: self.before.files.read(CODEOWNERS)) or b"").decode("utf-8", "replace")

    @cached_property
    def authors(self) -> ChangeAuthors:
        return ChangeAuthors(self.repository, self.base, self.head)

    @cached_property
    def code(self) -> CodeRepository:
        return CodeRepository(self.repository.git, worktree=False)


def _page(merge: _Merge) -> str:
    """Return the address of the proposal's page; "" if the registry has no published pages."""
    site = merge.before.registry().site  # before the merge, because the merge may change the address of the pages
    return f"{site.url.rstrip('/')}/proposals/{merge.head[:_ID_DIGITS]}.html" if site and site.url else ""


def _is_carried(merge: _Merge, model: str, path: str) -> bool:
    """Return True if the file at *path* only moves, with the same content, because the merge renames *model*."""
    if model in merge.renamed:
        new = paths.model_folder(merge.renamed[model]) + path.removeprefix(paths.model_folder(model))
        return merge.after.files.read(path) is None and merge.after.files.read(new) is not None
    former = merge.before_rename(model)
    old = paths.model_folder(former) + path.removeprefix(paths.model_folder(model))
    return former != model and merge.before.files.read(old) == merge.after.files.read(path)


def _planned(merge: _Merge, path: str, ref: StageRef, *, alias: bool) -> PlannedChange:
    before, after = merge.before, merge.after
    read = Snapshot.recorded_alias if alias else Snapshot.recorded
    former = merge.before_rename(ref.model)
    was, now = read(before, former, ref.stage), read(after, ref.model, ref.stage)
    old = _version(before, former, was.version if was else None)
    new = _version(after, ref.model, now.version if now else None)
    outcomes: tuple[Outcome, ...] | None = None
    if now is not None and new is not None and not alias:
        outcomes = _or_none(lambda: gates.judge_recorded(before, after, ref, now, judging.judge))
    record = _or_none(lambda: after.model(ref.model))
    rules = () if alias else _or_none(lambda: before.rules(ref.stage)) or ()
    planned = PlannedChange(
        ref.model,
        ref.stage,
        alias,
        was.version if was else None,
        now.version if now else None,
        merge.authors.author_of_change(path),
        now.reason if now else "",
        owners=record.owners if record else (),
        reviewed=any(rule.proposal_only for rule in rules),
        signed=any(rule.signed for rule in rules),
        signature=_or_none(lambda: merge.authors.signature_of_change(path)),
        approvers=owners_of(merge.code_owners, path),
        outcomes=outcomes or (),
    )
    if new is None:
        return planned
    trend = find_trend(merge.repository, before, StageRef(former, ref.stage), new, planned.outcomes)
    return replace(planned, trend=trend, **_compared(merge, ref.model, old, new))


def _compared(merge: _Merge, model: str, old: VersionRecord | None, new: VersionRecord) -> dict[str, Any]:
    """Compare the entering version *new* of *model* with the previous holder *old*, for a `PlannedChange`."""
    links = compare_artifacts(_links(old, data=False), _links(new, data=False))
    data = (*compare_artifacts(_links(old, data=True), _links(new, data=True)), *_inputs(merge, old, new))
    contents = merge.contents
    runs = recorded_run(merge.before, old) if old else None, recorded_run(merge.after, new)
    return {
        "maker": merge.authors.author_of_creation(paths.version_file(model, new.number)),
        "code": _code_range(merge, old, new),
        "metadata": compare_values(old.metadata if old else {}, new.metadata),
        "artifacts": _differing(links),
        "datasets": _differing(data),
        "packages": contents.packages(*runs) if contents else (),
        "texts": contents.texts(model, old, new) if contents else (),
        "sources": find_sources(merge.after, model, new),
    }


def _differing(rows: Iterable[Compared]) -> tuple[Compared, ...]:
    return tuple(row for row in rows if not row.same)


def _links(version: VersionRecord | None, *, data: bool) -> list[ArtifactLink]:
    return [link for link in (version.artifacts if version else ()) if (link.kind == DATA) == data]


def _inputs(merge: _Merge, old: VersionRecord | None, new: VersionRecord | None) -> Iterator[Compared]:
    """Yield the external inputs of the runs that made *old* and *new*, as "step.input" and the digests in both runs."""
    before, after = _external_inputs(merge.before, old), _external_inputs(merge.after, new)
    for name in sorted({*before, *after}):
        yield Compared(name, (before.get(name), after.get(name)), "input")


def _external_inputs(snapshot: Snapshot, version: VersionRecord | None) -> dict[str, str]:
    path = paths.run_file(version.runs[-1]) if version and version.runs else ""
    run = _or_none(lambda: snapshot.load(path, records.RunRecord)) if path else None
    steps = run.steps if run else ()
    made = {digest for step in steps for digest in step.outputs.values()}
    inputs = ((f"{step.name}.{name}", digest) for step in steps for name, digest in step.inputs.items())
    return {name: digest for name, digest in inputs if digest not in made}


def _version(snapshot: Snapshot, model: str, number: int | None) -> VersionRecord | None:
    return None if number is None else _or_none(lambda: snapshot.version(model, number))


def _or_none(read: Callable[[], T]) -> T | None:
    """Return the result of *read*; None if it fails, because the plan already lists damaged records as problems."""
    try:
        return read()
    except GitModelError:
        return None


def _code_range(merge: _Merge, old: VersionRecord | None, new: VersionRecord | None) -> CodeRange:
    was, now = _code(old), _code(new)
    if was is None or now is None or was == now:
        return CodeRange(was or "", now or "")
    url = new.code.repository if new and new.code else None
    host = find_host(url, merge.repository.config.get("gitmodel.host", "")) if url else None
    address = host.comparison(was, now) if host else ""
    found = _or_none(lambda: merge.code.between(was, now))
    if found is None:  # this repository lacks one of the two commits
        return CodeRange(was, now, comparison=address)
    shown = tuple(f"{commit.commit[:10]} {commit.subject}" for commit in found[:_MOST_COMMITS])
    return CodeRange(was, now, len(found), shown, address)


def _code(version: VersionRecord | None) -> Oid | None:
    commit = version.code.commit if version and version.code else None
    return commit if commit and is_code_oid(commit) else None
