"""The pages of runs: the list, and each run with its steps."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from gitmodel.errors import NotFound
from gitmodel.frozen import Frozen
from gitmodel.web.page import Page
from gitmodel.web.pages.parts.code_state import CodeState, code_state
from gitmodel.web.registry_data.registry_data import RegistryData

if TYPE_CHECKING:
    from gitmodel.domain.schema.records import RunRecord, StepRecord
    from gitmodel.registry.recorded_runs.runs import RunView

# The greatest number of runs in the table; the JSON has all runs.
MOST_ROWS = 200
# The greatest number of parameters of a run in the table.
_MOST_PARAMETERS = 6

Version = tuple[str, int]
Pairs = tuple[tuple[str, Any], ...]


class RunRow(Frozen):
    """A run in the list: the *versions* that it created or changed, and its first *parameters*."""

    id: str
    pipeline: str
    status: str
    started: datetime
    seconds: float
    versions: tuple[Version, ...]
    parameters: Pairs


class RunsPage(Frozen):
    """All recorded runs, newest first, and how many have each status."""

    statuses: Mapping[str, int]
    runs: tuple[RunRow, ...]


class StepValue(Frozen):
    """An input or output of a step. *model* and *number* are those of the first version that has its *digest*.

    If no version has it, they are "" and None.
    """

    name: str
    digest: str
    model: str
    number: int | None
    size: int | None


class StepRow(Frozen):
    """A step of a run. *failed_attempts* are the errors of the attempts before the last one."""

    name: str
    status: str
    seconds: float
    version: str | None
    failed_attempts: tuple[str, ...]
    parameters: Pairs
    inputs: tuple[StepValue, ...]
    outputs: tuple[StepValue, ...]


class PackageChange(Frozen):
    """A package that differs from the previous run: its *old* and *new* version, None for not installed."""

    name: str
    old: str | None
    new: str | None


class Packages(Frozen):
    """The *installed* packages of a run as pairs of name and version, and how many there are.

    *previous* is the id of the previous run of the same pipeline, "" if there is none or if its packages are not known.
    *changes* are the differences from the packages of *previous*. If the packages are the same, *installed* is () and
    *listed_in* is the id of an earlier run whose page lists them.
    """

    count: int
    installed: tuple[tuple[str, str], ...]
    previous: str
    changes: tuple[PackageChange, ...]
    listed_in: str


class RunPage(Frozen):
    """A run with its steps.

    *packages* is the digest of the list of installed packages, and *package_list* has the list. *has_details* is True
    if the inputs and outputs of the steps are in a file in the artifact store instead of the record.
    """

    id: str
    pipeline: str
    status: str
    started: datetime
    finished: datetime
    seconds: float
    versions: tuple[Version, ...]
    parameters: Pairs
    metadata: Pairs
    code: CodeState | None
    script: str
    executor: str
    python: str
    packages: str | None
    package_list: Packages | None
    failed_step: str
    error: str
    steps: tuple[StepRow, ...]
    has_details: bool


def read_all(registry: RegistryData) -> RunsPage:
    """Return the value of the page that lists all runs."""
    rows = tuple(
        RunRow(
            id,
            run.pipeline,
            run.status,
            run.started,
            _seconds(run.record),
            _versions(run.versions),
            tuple(run.parameters.items())[:_MOST_PARAMETERS],
        )
        for id, run in registry.runs.items()
        if run.record is not None
    )
    return RunsPage(Counter(row.status for row in rows), rows)


def read(registry: RegistryData, id: str) -> RunPage:
    """Return the value of the page of the run *id*. Raises NotFound."""
    run = registry.run(id)
    if run is None or run.record is None:
        raise NotFound(f"there is no run {id!a}", hint="`git model runs list` lists the runs")
    record = run.record
    return RunPage(
        id=id,
        pipeline=record.pipeline,
        status=record.status,
        started=record.started,
        finished=record.finished,
        seconds=_seconds(record),
        versions=_versions(record.versions),
        parameters=tuple(record.parameters.items()),
        metadata=tuple(record.metadata.items()),
        code=code_state(record.code),
        script=record.script or record.module or "",
        executor=record.executor,
        python=record.python,
        packages=record.packages,
        package_list=_packages(registry, run),
        failed_step=record.failed_step or "",
        error=record.error,
        steps=tuple(_step(registry, step) for step in record.steps),
        has_details=record.details is not None,
    )


def _seconds(record: RunRecord) -> float:
    """Return the duration of a run in seconds.

    Records have times in whole seconds. If a run began and ended in the same second, returns the total duration of its
    steps.
    """
    whole = (record.finished - record.started).total_seconds()
    return whole or round(sum(step.seconds for step in record.steps), 3)


def _packages(registry: RegistryData, run: RunView) -> Packages | None:
    """Return the packages of *run*; None if the packages are not known."""
    new = registry.packages(run.id)
    if not new:
        return None
    before, listed_in = registry.package_runs(run.id)
    if before is not None and listed_in is not run:
        return Packages(len(new), (), before.id, (), listed_in.id)
    old = registry.packages(before.id) if before is not None else {}
    changed = sorted(name for name in {*old, *new} if old.get(name) != new.get(name)) if old else ()
    changes = tuple(PackageChange(name, old.get(name), new.get(name)) for name in changed)
    return Packages(len(new), tuple(new.items()), before.id if before is not None and old else "", changes, "")


def _step(registry: RegistryData, step: StepRecord) -> StepRow:
    return StepRow(
        step.name,
        step.status,
        step.seconds,
        step.version,
        step.failed_attempts,
        tuple(step.parameters.items()),
        tuple(_value(registry, name, digest, None) for name, digest in step.inputs.items()),
        tuple(_value(registry, name, digest, step.sizes.get(name)) for name, digest in step.outputs.items()),
    )


def _value(registry: RegistryData, name: str, digest: str, size: int | None) -> StepValue:
    model, number = registry.holder_of(digest) or ("", None)
    return StepValue(name, digest, model, number, size)


def _versions(references: Iterable[str]) -> tuple[Version, ...]:
    return tuple((model, int(number)) for model, _, number in (one.partition("@") for one in references))


RUNS = Page("runs", "/runs/", read_all, template="runs.html", label="Runs")
RUN = Page("run", "/runs/{id}", read, lambda registry: ({"id": id} for id in registry.runs), "run.html")
