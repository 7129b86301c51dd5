"""`diff`: the fields of versions side by side, each version at its own date, and the code commits between them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import chain, pairwise
from typing import Any

from gitmodel.branch.repository import Repository
from gitmodel.code.repository import CodeCommit, CodeRepository
from gitmodel.domain.changes.runs import find_run
from gitmodel.domain.changes.stages import stage_states
from gitmodel.domain.schema.records import RunRecord, VersionRecord
from gitmodel.domain.schema.references import DatedRef
from gitmodel.domain.snapshots.snapshot import Snapshot
from gitmodel.domain.views.comparison import Compared, compare_artifacts, compare_fields
from gitmodel.domain.views.lineage import made_version
from gitmodel.domain.views.record_views import VersionView, view_version
from gitmodel.errors import GitModelError, Invalid, NotFound, UsageError
from gitmodel.expressions.fields import Field, metadata_values
from gitmodel.frozen import Frozen
from gitmodel.git.history.commits import log_text
from gitmodel.lineage.history.past_states import Past, State, find_state
from gitmodel.registry.recorded_runs.run_details import load_details
from gitmodel.registry.writing.writer import Writer
from gitmodel.stores.artifacts.manifests import read_object
from gitmodel.stores.interface import ArtifactStore

_PACKAGES_LIMIT = 16 << 20  # bytes


class CodeRange(Frozen):
    """The code commits between two versions: *old* and *new* are the commit ids of their code ("": not recorded).

    *commits* are the commits in the history of *new* but not of *old*, and *left* those in the history of *old* but not
    of *new*. *log* is the output of `git log OLD..NEW`. *changed* tells for both versions if their code had uncommitted
    changes.
    """

    old: str = ""
    new: str = ""
    changed: tuple[bool, bool] = (False, False)
    log: str = ""
    commits: tuple[CodeCommit, ...] = ()
    left: tuple[CodeCommit, ...] = ()


class ComparedVersion(Frozen):
    """A version in a comparison: *asked* is the reference that a user wrote for it.

    *when* is the date, time or commit in that reference, and *state* the past state of the registry in which the
    version was read; both are None if the reference has no date. *unknown* has "parameters" or "packages" if these
    could not be read or were not recorded.
    """

    asked: str
    model: str
    number: int
    when: str | None = None
    state: State | None = None
    unknown: tuple[str, ...] = ()

    @property
    def reference(self) -> str:
        """The version as `MODEL@NUMBER`, followed by `@{DATE}` if the reference has a date."""
        return f"{self.model}@{self.number}" + (f"@{{{self.when}}}" if self.when is not None else "")


class Comparison(Frozen):
    """Several versions and their fields side by side.

    *fields* has first the fields that differ, then those that are equal. In both parts, fields of the records come
    first, then packages, then the code. *code* has the code commits between each version and the next. *gaps* are pairs
    of two texts: a message that says why something could not be compared, and advice.
    """

    versions: tuple[ComparedVersion, ...]
    fields: tuple[Compared, ...]
    code: tuple[CodeRange, ...]
    gaps: tuple[tuple[str, str], ...] = ()


def compare(
    repository: Repository,
    writer: Writer,
    refs: Sequence[DatedRef],
    *,
    store: Callable[[], ArtifactStore],
    code: Callable[[], CodeRepository],
) -> Comparison:
    """Compare the versions that *refs* name, each at its own date.

    *writer* reads all versions whose reference has no date from one state of the registry. *store* opens the artifact
    store, and *code* the code repository. Raises UsageError for fewer than two references, or for the same reference
    twice; NotFound if a version does not exist; Invalid if its record cannot be read.
    """
    _check_references(refs)
    sides = _read_sides(repository, writer, refs, store)
    packages, missing = _compared_packages(sides, store)
    ranges = [_code_range(before, after, code) for before, after in pairwise(sides)]
    rows = (*_compared_records(sides), *packages, *_compared_code(sides))
    fields = [row for row in rows if len(row.known) > 1]
    gaps = chain(*(side.gaps for side in sides), missing, *(gaps for _, gaps in ranges))
    return Comparison(
        tuple(side.version for side in sides),
        tuple(sorted(fields, key=lambda row: row.same)),
        tuple(range_ for range_, _ in ranges),
        tuple(dict.fromkeys(gaps)),
    )


def making_run(snapshot: Snapshot, record: VersionRecord) -> RunRecord | None:
    """Return the last run in *record* that created the version or one of its artifacts; None if no run did.

    Raises NotFound if the record of a run is missing, Invalid if it is damaged.
    """
    for id in reversed(record.runs):
        run = find_run(snapshot, id)
        if made_version(run, record):
            return run
    return None


def recorded_run(snapshot: Snapshot, record: VersionRecord) -> RunRecord | None:
    """Return the result of `making_run`, but None instead of an error if the record of a run is missing or damaged."""
    try:
        return making_run(snapshot, record)
    except (NotFound, Invalid):
        return None


def read_packages(store: ArtifactStore, run: RunRecord) -> dict[str, str]:
    """Return the versions of the packages that were installed for *run*, by name; {} if they were not recorded."""
    if run.packages is None:
        return {}
    content = read_object(store, run.packages, _PACKAGES_LIMIT, "a list of packages")
    lines = content.decode("utf-8", "replace").splitlines()
    return {name: version for name, equal, version in (line.partition("==") for line in lines) if equal}


class _Side(Frozen):
    version: ComparedVersion
    view: VersionView
    run: RunRecord | None
    gaps: tuple[tuple[str, str], ...] = ()


def _check_references(refs: Sequence[DatedRef]) -> None:
    if len(refs) < 2:
        raise UsageError("a comparison needs two or more versions", hint="write `git model diff MODEL@1 MODEL@2`")
    twice = next((ref for ref, count in Counter(refs).items() if count > 1), None)
    if twice is not None:
        raise UsageError(
            f"{twice} is given twice", hint=f"to compare it with the past, add a date: {twice.ref}@{{2026-10-01}}"
        )


def _read_sides(
    repository: Repository, writer: Writer, refs: Sequence[DatedRef], store: Callable[[], ArtifactStore]
) -> list[_Side]:
    """Return the versions that *refs* name, in this order. References with the same date are read from one state."""
    found: dict[DatedRef, _Side] = {}
    for when in dict.fromkeys(ref.when for ref in refs):
        state = None if when is None else find_state(repository, when)
        reader = writer if state is None else Past(repository, state)
        wanted = [ref for ref in refs if ref.when == when]

        def read(snapshot: Snapshot, wanted: list[DatedRef] = wanted, state: State | None = state) -> list[_Side]:
            return [_side(snapshot, ref, state, store) for ref in wanted]

        try:
            found.update(zip(wanted, reader.read(read), strict=True))
        except NotFound as error:
            if when is None:
                raise
            raise NotFound(f"at {when}: {error.message}", hint=error.hint) from None
    return [found[ref] for ref in refs]


def _side(snapshot: Snapshot, ref: DatedRef, state: State | None, store: Callable[[], ArtifactStore]) -> _Side:
    model, number = snapshot.resolve(ref.ref)
    record = snapshot.version(model, number)
    view = view_version(snapshot, model, record, stage_states(snapshot, model))
    version = ComparedVersion(str(ref), model, number, ref.when, state)
    try:
        run = making_run(snapshot, record)
        if run is not None and run.details is not None:
            run = load_details(run, store())
    except GitModelError as error:
        gap = (f"the parameters and packages of {version.reference} are not known: {error.message}", error.hint)
        return _Side(replace(version, unknown=("parameters", "packages")), view, None, (gap,))
    unknown = () if run is not None and run.packages is not None else ("packages",)
    return _Side(replace(version, unknown=unknown), view, run)


def _compared_records(sides: Sequence[_Side]) -> Iterator[Compared]:
    """Yield a comparison for each field of the version records, and for each parameter of the runs that made them."""
    views = [side.view for side in sides]
    shown = [view.fields() for view in views]
    for name in ("name", "description", "stage", "aliases", "tags"):
        values = tuple(fields[name] or None for fields in shown)
        if any(value is not None for value in values):
            yield Compared(name, values)
    yield from compare_fields(*(_named("metadata", view.record.metadata) for view in views))
    unknown = _lacking(sides, "parameters")
    for row in compare_fields(*(_run_fields(side.run) for side in sides)):
        yield replace(row, unknown=unknown)
    for name, links in (
        ("artifacts", [view.record.artifacts for view in views]),
        ("attachments", [view.record.attachments for view in views]),
    ):
        for row in compare_artifacts(*links):
            yield replace(row, name=str(Field((name, row.name))))


def _named(name: str, values: Mapping[str, Any]) -> dict[str, Any]:
    """Return *values*, the table *name* of a record, by the names that filters use, such as `metadata.accuracy`."""
    return {str(field): value for field, value in metadata_values(values, (name,))}


def _run_fields(run: RunRecord | None) -> dict[str, Any]:
    """Return the parameters of *run*, and those of its steps under `steps.STEP.NAME`; {} if *run* is None."""
    found = _named("parameters", run.parameters) if run is not None else {}
    for step in run.steps if run is not None else ():
        found |= {str(field): value for field, value in metadata_values(step.parameters, ("steps", step.name))}
    return found


def _lacking(sides: Sequence[_Side], part: str) -> frozenset[int]:
    return frozenset(place for place, side in enumerate(sides) if part in side.version.unknown)


def run_parameters(run: RunRecord | None) -> dict[str, Any]:
    """Return the parameters of *run*, and those of its steps under STEP.NAME; {} if *run* is None."""
    if run is None:
        return {}
    steps = {f"{step.name}.{name}": value for step in run.steps for name, value in step.parameters.items()}
    return {**steps, **run.parameters}


def _compared_packages(
    sides: Sequence[_Side], store: Callable[[], ArtifactStore]
) -> tuple[list[Compared], list[tuple[str, str]]]:
    """Compare the Python versions of the runs, their package lists and, if these differ, each package.

    Also returns a message with advice for each list that cannot be read.
    """
    runs = [side.run for side in sides]
    without_run = frozenset(place for place, run in enumerate(runs) if run is None)
    unknown = _lacking(sides, "packages")
    digests = tuple(run.packages if run else None for run in runs)
    found = [
        Compared("python", tuple((run.python or None) if run else None for run in runs), unknown=without_run),
        Compared("packages", digests, unknown=unknown),
    ]
    gaps: list[tuple[str, str]] = []
    if not found[1].same:
        lists, unreadable = _package_lists(sides, store, gaps)
        unknown |= unreadable
        named = ({str(Field(("packages", name))): value for name, value in one.items()} for one in lists)
        found += [replace(row, unknown=unknown) for row in compare_fields(*named)]
    return found, gaps


def _package_lists(
    sides: Sequence[_Side], store: Callable[[], ArtifactStore], gaps: list[tuple[str, str]]
) -> tuple[list[dict[str, str]], frozenset[int]]:
    """Return the packages for each of *sides*, and the positions in *sides* whose package list cannot be read.

    For each of these lists, appends a message and advice to *gaps*.
    """
    lists: list[dict[str, str]] = []
    known: dict[str | None, dict[str, str]] = {}
    unreadable = set()
    for place, side in enumerate(sides):
        digest = side.run.packages if side.run else None
        try:
            if side.run is not None and digest not in known:
                known[digest] = read_packages(store(), side.run)
        except GitModelError as error:
            gaps.append((f"the packages of {side.version.reference} cannot be read: {error.message}", error.hint))
            unreadable.add(place)
        lists.append(known.get(digest, {}))
    return lists, frozenset(unreadable)


def _compared_code(sides: Sequence[_Side]) -> Iterator[Compared]:
    for name in ("commit", "dirty"):
        values = tuple(getattr(side.view.record.code, name, None) for side in sides)
        if any(values):
            yield Compared(f"code.{name}", values)


def _code_range(
    before: _Side, after: _Side, code: Callable[[], CodeRepository]
) -> tuple[CodeRange, list[tuple[str, str]]]:
    """Return the code commits between two versions, and a message with advice if they cannot be read."""
    codes = (before.view.record.code, after.view.record.code)
    old, new = (found.commit if found else None for found in codes)
    changed = tuple(bool(found and found.dirty) for found in codes)
    bare = CodeRange(old or "", new or "", (changed[0], changed[1]))
    if old == new:
        return bare, []
    try:
        opened = code()
        old, new = (opened.require(side.view.record.code, side.version.reference) for side in (before, after))
        if opened.is_cut(old, new):
            raise NotFound(
                "commits between the two are missing, because this clone is shallow",
                hint="run `git fetch --unshallow`, then try again",
            )
        commits, left = tuple(opened.between(old, new)), tuple(opened.between(new, old))
        return replace(bare, log=log_text(opened.git, old, new), commits=commits, left=left), []
    except GitModelError as error:
        return bare, [(f"the code cannot be compared: {error.message}", error.hint)]
