"""The output of the steps of a run, from the journal of this machine."""

from __future__ import annotations

from collections.abc import Iterable

from gitmodel.branch.repository import Repository
from gitmodel.branch.run_journal import Journal
from gitmodel.branch.step_logs import OutputLine, read_attempts, read_cached
from gitmodel.errors import NotFound
from gitmodel.frozen import Frozen
from gitmodel.registry.runs import get_run


class StepLog(Frozen):
    """The output of one attempt of a step. If a step printed nothing or did not run, its *attempt* 1 has no lines.

    *made_by* is the id of the run and the name of the step that made the outputs, if they came from the cache.
    """

    step: str
    attempt: int
    lines: tuple[OutputLine, ...] = ()
    made_by: str | None = None

    @property
    def text(self) -> str:
        """The lines as one text."""
        return "".join(f"{line.text}\n" for line in self.lines)


def text_of(logs: Iterable[StepLog]) -> str:
    """Return *logs* as one text, with a title for each attempt."""
    return "\n".join(f"== {log.step}, attempt {log.attempt} ==\n{log.text}" for log in logs)


def get_logs(repository: Repository, id: str, step: str | None = None) -> list[StepLog]:
    """Return the output of each attempt of the steps of the run *id*, or of its *step*.

    Raises NotFound for an unknown run or step, and if this machine does not have the output of the run.
    """
    view = get_run(repository, id)
    folder = Journal(repository.common_dir).logs(id)
    if not folder.is_dir():
        raise NotFound(
            f"this machine does not have the output of run {id}",
            hint="it stays on the machine that ran it, for the newest 200 runs there",
        )
    known = [one.name for one in view.record.steps] if view.record else sorted(path.name for path in folder.iterdir())
    if step is not None and step not in known:
        there = f"its steps are {', '.join(known)}" if known else "no step has printed anything yet"
        raise NotFound(f"run {id} has no step {step!a}", hint=there)
    found = []
    for name in known if step is None else [step]:
        attempts = [StepLog(name, attempt, tuple(lines)) for attempt, lines in read_attempts(folder / name)]
        found += attempts or [StepLog(name, 1, made_by=read_cached(folder / name))]
    return found
