"""The methods of `Client` for runs of pipelines and scripts."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from gitmodel.client.methods.opened import OpenedClient, version_ref

if TYPE_CHECKING:
    from gitmodel.client.handles.run_handle import Run
    from gitmodel.client.script_runs.script_run import ScriptRun
    from gitmodel.client.tables import RunTable
    from gitmodel.domain.schema.object_ids import Oid
    from gitmodel.domain.secrets.notebook_cells import Cell
    from gitmodel.registry.recorded_runs.run_logs import StepLog


class RunMethods(OpenedClient):
    """The methods of `Client` for runs of pipelines and scripts."""

    @contextmanager
    def start_run(self, name: str) -> Iterator[ScriptRun]:
        """Start a run with the name *name* for a script without steps, and record the run when the `with` block ends.

        The block gets a `ScriptRun`. Its methods log parameters and metadata, store artifacts, and create a version. At
        the end of the block, one commit records all of these with the code, the installed packages and the duration of
        the run. If the block raises an error, the run is recorded without a version, as failed or, after Ctrl-C, as
        cancelled, and the error is raised again. Secrets and credentials in the recorded text of the error are hidden.

        Raises UsageError if it is called in another run, in a step or in a transaction. At the end, raises the error of
        creating the version, such as Conflict, if it cannot be created.

        >>> with client.start_run("train") as run:                      # doctest: +SKIP
        ...     run.log_parameters(max_depth=3)
        ...     run.log_metadata(accuracy=clf.score(x, y))
        ...     run.create_version("iris", model_objects={"clf": clf})
        >>> run.version.reference                                       # doctest: +SKIP
        'iris@1'
        """
        from gitmodel.client.script_runs.script_run import start_run

        with start_run(self._opened, name) as run:
            yield run

    def list_runs(self, *, filter: str = "", sort: str = "", limit: int | None = None, offset: int = 0) -> RunTable:
        """Return the runs that match *filter* (default: all runs), newest first.

        *sort* is a field such as "seconds", a parameter such as "parameters.lr" or a key of the metadata, with a "-"
        before it for descending order. Runs without a value of *sort* come last. Skips the first *offset* runs and
        returns at most *limit*. Only a run of a script has metadata; metadata that a pipeline logs belongs to the
        versions. The result includes runs of this machine that are in progress, and those whose process ended without
        recording them. Each run is a handle, as from `get_run`. Raises UsageError for an invalid filter, a key that no
        run has, or a negative *limit* or *offset*.

        >>> client.list_runs(sort="-parameters.lr", limit=1)[0].id                       # doctest: +SKIP
        '20261123T101112Z-train-7f3a'
        >>> client.list_runs().to_pandas()                                               # doctest: +SKIP
        """
        from gitmodel.client.handles.run_handle import Run
        from gitmodel.client.tables import RunTable
        from gitmodel.registry.recorded_runs.runs import list_runs

        found, damaged = list_runs(self._renewed().repository, filter=filter, sort=sort, limit=limit, offset=offset)
        return RunTable((Run._of(view, self._opened) for view in found), damaged=damaged)

    def run_record_ids(self) -> dict[str, Oid]:
        """Return the git object id of the record of each run on the branch, by the run's id, newest run first."""
        from gitmodel.registry.recorded_runs import runs

        return runs.run_record_ids(self._renewed().repository)

    def get_run(self, id: str) -> Run:
        """Return a handle of the run with the id *id*, whose outputs can be loaded.

        In each method that takes the id of a run, the beginning or the end of the id is enough if no other run has an
        id with this beginning or end. Raises NotFound if there is no such run, and UsageError if several ids have this
        beginning or end.

        >>> client.get_run("20261123T101112Z-train-7f3a").outputs["accuracy"].load()      # doctest: +SKIP
        0.97
        """
        from gitmodel.client.handles.run_handle import Run
        from gitmodel.registry.recorded_runs import runs

        return Run._of(runs.get_run(self._renewed().repository, id, store=lambda: self.store), self._opened)

    def get_cells(self, run: str) -> tuple[Cell, ...]:
        """Return the cells that the notebook had executed when the run with the id *run* ended.

        Secrets and text that looks like a credential are replaced. Raises NotFound if no cells are stored for the run.

        >>> for cell in client.get_cells(run.id):                       # doctest: +SKIP
        ...     print(cell.number, cell.source)
        """
        from gitmodel.registry.recorded_runs import runs

        return runs.get_cells(self._renewed().repository, run, self.store)

    def get_logs(self, run: str, step: str | None = None) -> list[StepLog]:
        """Return what the steps of the run *run* printed, or only its step *step*: a value for each attempt.

        *run* is the id of a run. The output is kept only on the machine that ran the steps, for the newest 200 runs of
        that machine. Secrets and text that looks like a credential are replaced. Raises NotFound for an unknown run or
        step, and if this machine does not have the output.

        >>> print(client.get_logs(run.id, "fit")[-1].text)              # doctest: +SKIP
        """
        from gitmodel.registry.recorded_runs import run_logs

        return run_logs.get_logs(self._renewed().repository, run, step)

    def attach_logs(self, run: str, version: str, *, step: str | None = None) -> str:
        """Attach to *version* a text file with what the steps of the run *run*, or only its step *step*, printed.

        *run* is the id of a run, and *version* a reference such as "demo@3". Returns the name of the attachment:
        STEP.log or RUN.log. Raises the errors of `get_logs`, Refused if the text looks like it contains credentials,
        Conflict if the version already has a different attachment with this name.

        >>> client.attach_logs(run.id, "demo@3", step="fit")                              # doctest: +SKIP
        'fit.log'
        """
        from tempfile import TemporaryDirectory  # imported here: few calls need it, and it takes 2 ms

        from gitmodel.client.handles.models_and_versions import ModelVersion
        from gitmodel.registry.recorded_runs.run_logs import text_of

        name = f"{step or self.get_run(run).id}.log"
        with TemporaryDirectory(prefix="gitmodel-log-") as folder:
            file = Path(folder, "log.txt")
            file.write_text(text_of(self.get_logs(run, step)), encoding="utf-8")
            ModelVersion._find(self._renewed(), version_ref(version)).attach(name, file)
        return name
