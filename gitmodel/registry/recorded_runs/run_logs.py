"""The output of the steps of a run, from the journal of this machine."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from gitmodel.branch.repository import Repository
from gitmodel.branch.runs.cache_outcomes import read_outcomes
from gitmodel.branch.runs.run_journal import Journal
from gitmodel.branch.runs.step_logs import OutputLine, read_attempts
from gitmodel.errors import NotFound
from gitmodel.frozen import Frozen
from gitmodel.registry.recorded_runs.runs import RunView, get_run, list_runs


class StepLog(Frozen):
    """The lines that one attempt of a step printed. *made_by* names the run and step whose outputs the step reused."""

    step: str
    attempt: int
    lines: tuple[OutputLine, ...] = ()
    made_by: str | None = None

    @property
    def title(self) -> str:
        """The heading of this output in a text with several steps or attempts."""
        return f"== {self.step}, {'cached' if self.made_by else f'attempt {self.attempt}'} =="

    @property
    def text(self) -> str:
        """The lines as one text."""
        return "".join(f"{line.text}\n" for line in self.lines)


def text_of(logs: Iterable[StepLog]) -> str:
    """Return *logs* as one text, with a title for each attempt."""
    return "\n".join(f"{log.title}\n{log.text}" for log in logs)


def get_logs(repository: Repository, id: str, step: str | None = None) -> list[StepLog]:
    """Return the output of each attempt of each step, or only of *step*, in the run *id*, which may be abbreviated.

    Raises NotFound if there is no such run or step, or if this machine does not have the output of the run.
    """
    try:
        view = get_run(repository, id)
    except NotFound as error:
        for newest in list_runs(repository, limit=1)[0]:
            if id in _steps(newest, Journal(repository.common_dir).logs(newest.id)):
                error.hint = f"for the step {id} of the newest run: git model runs logs {newest.id} {id}"
        raise
    folder = Journal(repository.common_dir).logs(view.id)
    if not folder.is_dir():
        raise NotFound(
            f"this machine does not have the output of run {view.id}",
            hint="the machine that ran it keeps the output of its newest 200 runs",
        )
    known = _steps(view, folder)
    if step is not None and step not in known:
        there = f"its steps are {', '.join(known)}" if known else "no step has printed anything yet"
        raise NotFound(f"run {view.id} has no step {step!a}", hint=there)
    outcomes = read_outcomes(folder)
    found = []
    for name in known if step is None else [step]:
        attempts = [StepLog(name, attempt, tuple(lines)) for attempt, lines in read_attempts(folder / name)]
        outcome = outcomes.get(name)
        found += attempts or [StepLog(name, 1, made_by=outcome.made_by if outcome is not None else None)]
    return found


def _steps(view: RunView, folder: Path) -> list[str]:
    """Return the names of the steps of a run, from its record or from the names of the logs in *folder*."""
    if view.record:
        return [one.name for one in view.record.steps]
    return sorted(path.name for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []
