"""`diff`: two versions side by side, with the code between them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from gitmodel.branch.repository import Repository
from gitmodel.code.repository import CodeCommit, CodeRepository
from gitmodel.domain.changes.runs import find_run
from gitmodel.domain.schema.records import RunRecord, VersionRecord
from gitmodel.domain.schema.references import VersionRef
from gitmodel.domain.snapshots.snapshot import Snapshot
from gitmodel.domain.views.comparison import Compared, compare_artifacts, compare_values
from gitmodel.domain.views.lineage import made_version
from gitmodel.errors import GitModelError, Invalid, NotFound
from gitmodel.frozen import Frozen
from gitmodel.git.commits import log_text
from gitmodel.registry.runs import load_details
from gitmodel.stores.artifacts import read_object
from gitmodel.stores.interface import ArtifactStore

_PACKAGES_LIMIT = 16 << 20  # bytes


class CodeRange(Frozen):
    """The code from *old* to *new*, commit ids ("": not recorded), and the commits of `git log OLD..NEW`.

    *left* are the commits of *old* that *new* lacks; *changed* says for each whether there were uncommitted changes.
    """

    old: str = ""
    new: str = ""
    changed: tuple[bool, bool] = (False, False)
    log: str = ""
    commits: tuple[CodeCommit, ...] = ()
    left: tuple[CodeCommit, ...] = ()


class VersionDiff(Frozen):
    """The differences from the version *old* to *new*, both as `MODEL@NUMBER`.

    *metadata*, *parameters* and *artifacts* have the items of both; *packages* the differences of the environment,
    Python first. *gaps* are the items that could not be compared, each with advice.
    """

    old: str
    new: str
    metadata: tuple[Compared, ...]
    parameters: tuple[Compared, ...]
    artifacts: tuple[Compared, ...]
    packages: tuple[Compared, ...]
    code: CodeRange
    gaps: tuple[tuple[str, str], ...] = ()


def diff(
    repository: Repository,
    old: VersionRef,
    new: VersionRef,
    *,
    store: Callable[[], ArtifactStore],
    code: Callable[[], CodeRepository],
) -> VersionDiff:
    """The version *old* beside *new*. *code* opens the code repository. Raises NotFound, Invalid."""
    sides = repository.read(lambda snapshot: tuple(_side(snapshot, ref, store) for ref in (old, new)))
    gaps = [gap for side in sides for gap in side.gaps]
    before, after = sides
    packages, missing = _compared_packages(before, after, store)
    range_, unknown = _code_between(before, after, code)
    return VersionDiff(
        before.reference,
        after.reference,
        compare_values(before.record.metadata, after.record.metadata),
        compare_values(run_parameters(before.run), run_parameters(after.run)),
        compare_artifacts(before.record.artifacts, after.record.artifacts),
        packages,
        range_,
        tuple(dict.fromkeys([*gaps, *missing, *unknown])),
    )


def making_run(snapshot: Snapshot, record: VersionRecord) -> RunRecord | None:
    """Return the run that made a version: the last of its runs that did, or None. Raises NotFound if it is missing."""
    for id in reversed(record.runs):
        run = find_run(snapshot, id)
        if made_version(run, record):
            return run
    return None


def recorded_run(snapshot: Snapshot, record: VersionRecord) -> RunRecord | None:
    """Return the run that made a version, with the parameters that its record on the branch has. None if it is lost."""
    try:
        return making_run(snapshot, record)
    except (NotFound, Invalid):
        return None


def read_packages(store: ArtifactStore, run: RunRecord) -> dict[str, str]:
    """Map the packages installed for *run* to their versions. Raises NotFound if the store does not have the list."""
    if run.packages is None:
        return {}
    content = read_object(store, run.packages, _PACKAGES_LIMIT, "a list of packages")
    lines = content.decode("utf-8", "replace").splitlines()
    return {name: version for name, equal, version in (line.partition("==") for line in lines) if equal}


class _Side(Frozen):
    reference: str
    record: VersionRecord
    run: RunRecord | None
    gaps: tuple[tuple[str, str], ...]


def _side(snapshot: Snapshot, ref: VersionRef, store: Callable[[], ArtifactStore]) -> _Side:
    model, number = snapshot.resolve(ref)
    record = snapshot.version(model, number)
    reference = f"{model}@{number}"
    try:
        run = making_run(snapshot, record)
        if run is not None and run.details is not None:
            run = load_details(run, store())
        return _Side(reference, record, run, ())
    except GitModelError as error:
        gap = (f"the parameters and packages of {reference} are not known: {error.message}", error.hint)
        return _Side(reference, record, None, (gap,))


def run_parameters(run: RunRecord | None) -> dict[str, Any]:
    """Return the parameters of a run, and those of its steps as STEP.NAME; none without a run."""
    if run is None:
        return {}
    steps = {f"{step.name}.{name}": value for step in run.steps for name, value in step.parameters.items()}
    return {**steps, **run.parameters}


def _compared_packages(
    before: _Side, after: _Side, store: Callable[[], ArtifactStore]
) -> tuple[tuple[Compared, ...], list[tuple[str, str]]]:
    if before.run is None or after.run is None:
        return (), []
    python = Compared("python", before.run.python or None, after.run.python or None)
    found, gaps = [python], []
    if before.run.packages != after.run.packages:
        lists: list[Mapping[str, str]] = []
        for side, run in ((before, before.run), (after, after.run)):
            try:
                lists.append(read_packages(store(), run))
            except GitModelError as error:
                gaps.append((f"the packages of {side.reference} cannot be read: {error.message}", error.hint))
        if len(lists) == 2:
            found += compare_values(*lists)
    return tuple(row for row in found if not row.same), gaps


def _code_between(
    before: _Side, after: _Side, code: Callable[[], CodeRepository]
) -> tuple[CodeRange, list[tuple[str, str]]]:
    codes = (before.record.code, after.record.code)
    old, new = (found.commit if found else None for found in codes)
    changed = tuple(bool(found and found.dirty) for found in codes)
    bare = CodeRange(old or "", new or "", (changed[0], changed[1]))
    if old == new:
        return bare, []
    try:
        opened = code()
        old, new = (opened.require(side.record.code, side.reference) for side in (before, after))
        if opened.is_cut(old, new):
            raise NotFound(
                "commits between the two are missing, because this clone is shallow",
                hint="run `git fetch --unshallow`, then try again",
            )
        commits, left = tuple(opened.between(old, new)), tuple(opened.between(new, old))
        return replace(bare, log=log_text(opened.git, old, new), commits=commits, left=left), []
    except GitModelError as error:
        return bare, [(f"the code cannot be compared: {error.message}", error.hint)]
