"""Commands on pipelines and their runs: run, runs list, runs show, runs cells, runs logs."""

from __future__ import annotations

import contextlib
import gc
import os
import sys
from collections.abc import Iterable, Iterator, Mapping, Set
from datetime import datetime, timezone
from itertools import chain
from operator import itemgetter
from typing import TYPE_CHECKING, Any

import click

from gitmodel.cli import options
from gitmodel.cli.invocation import Invocation, LazyGroup, command
from gitmodel.cli.list_columns import RowKind, print_rows
from gitmodel.cli.shapes import trace_shapes as shapes
from gitmodel.cli.version_view import print_version
from gitmodel.domain.views import cell_text
from gitmodel.domain.views.record_views import CODE_NAMES
from gitmodel.errors import Invalid, NotFound, UsageError

if TYPE_CHECKING:
    from gitmodel.client import Client
    from gitmodel.client.values import RunView, StepLog


def _fields(view: RunView, wanted: Set[str]) -> Mapping[str, Any]:
    few = {name: getattr(view, name) for name in _FEW}
    return few if wanted <= few.keys() else view.fields()


_FEW = ("id", "pipeline", "status", "started", "seconds", "parameters", "metadata")
RUNS: RowKind[RunView] = RowKind(
    shapes.RECORDED_RUN,
    name=lambda view: view.id,
    keys=("id",),
    first=(("RUN", lambda view: view.id),),  # no column for the time of the start, because the id begins with this time
    others=(
        ("PIPELINE", lambda view: view.pipeline),
        ("STATUS", lambda view: _status(view)),
        ("VERSIONS", lambda view: cell_text.commas(view.versions)),
        ("TOOK", lambda view: _took(view)),
    ),
    before="TOOK",
    measured=lambda view: {**view.parameters, **view.metadata},
    fields=_fields,
    tables={"code": CODE_NAMES},
    elsewhere="the metadata that a step logs is on its version: run `git model version list` with these columns",
)


@command(example="git model run train.py:train --params params.toml --param seed=3")
@click.argument("script", metavar="[SCRIPT[:PIPELINE]]", required=False)
@click.option("-m", "module", metavar="MODULE[:PIPELINE]", help="Run a pipeline of a module, such as package.train.")
@click.option("--params", "file", metavar="FILE", help="A TOML or YAML file of parameters.")
@click.option("--param", "parameters", multiple=True, metavar="KEY=VALUE", help="A parameter; repeat for more.")
@click.option(
    "--executor", metavar="NAME", help="Executor of the steps: in-order, threads, processes, dask or dask:ADDRESS."
)
def run(
    invocation: Invocation,
    script: str | None,
    module: str | None,
    file: str | None,
    parameters: tuple[str, ...],
    executor: str | None,
) -> None:
    """Run a pipeline of a Python script or module.

    PIPELINE is required if the script has several pipelines. A call of a pipeline in the script itself is ignored. With
    -m, the current folder is searched first, as with `python -m`, and relative imports work.

    The options of a pipeline, such as its model and its cache, are those of @pipeline; in Python,
    Pipeline.with_options changes them for a call. For a nightly job, see docs/how-to/train-every-night.md.

    Parameters are checked by the annotations of the pipeline, and an unknown parameter is an error. --param takes
    precedence over --params. A VALUE in TOML syntax (a number, true, false, a list, a table or a time) is read as such
    if the annotation allows it, and as text otherwise. A parameter annotated gitmodel.Secret is not recorded. Progress
    is printed on stderr.
    """
    from gitmodel.pipelines.parameters.annotated_parameters import from_texts
    from gitmodel.pipelines.pipeline_modules import pipeline_of_module, pipeline_of_script
    from gitmodel.pipelines.user_errors import naming_lines

    options.refuse_both("SCRIPT", script, "-m MODULE", module)
    texts = options.read_pairs(parameters, option="--param")

    def tell(event: str, step: str, seconds: float) -> None:
        said = {"started": "started", "cached": "cached", "again": "starts again, since its worker died"}
        if event == "retrying":  # the error itself is not printed, because a warning names it
            return
        invocation.output.note(f"{step}: {said.get(event) or f'{event} in {seconds:.1f} s'}")

    gc.enable()  # the program turned garbage collection off to start faster, but a script may run for long and need it
    with _prints_to_stderr(invocation):
        if module is not None:
            found = pipeline_of_module(module)
        elif script is not None:
            found = pipeline_of_script(script)
        else:
            raise UsageError("SCRIPT is missing", hint="name a script, or a module with -m")
        given = found.read_parameters(file) if file is not None else {}
        given |= from_texts(found.function, texts, options.read_value)
        with naming_lines(given):
            done = found.run(client=invocation.client, executor=executor, listener=tell, **given)
    assert done is not None  # the call of a pipeline returns None only while its script is imported
    view: RunView | None = None
    with contextlib.suppress(NotFound):
        view = invocation.client.get_run(done.id)
    fields = (
        view.fields() if view else {**dict.fromkeys(shapes.RECORDED_RUN.keys), "id": done.id, "status": done.status}
    )
    made = f": {cell_text.commas(done.versions)}" if done.versions else ""
    invocation.output.outcome(f"{done.id} {done.status}{made}", shapes.RECORDED_RUN, fields, name=done.id)


@click.group(cls=LazyGroup)
def runs() -> None:
    """List and show runs of pipelines."""


@command(
    "list",
    group=runs,
    example="git model runs list --filter 'status == \"succeeded\"' --sort=-parameters.rate --limit 10",
)
@options.tabled
def list_all(invocation: Invocation, asked: options.TableOptions) -> None:
    """List the runs, newest first.

    The table has columns for the parameters and the keys of the metadata that most runs have, as many as fit on the
    terminal. With --columns, JSON and TSV have the id of the run and a field for each column. A parameter is written
    parameters.NAME; other names are keys of the metadata, which only a run of a script has. The metadata that the steps
    of a pipeline log belongs to the versions: to sort versions by it, use git model version list MODEL
    --sort=-accuracy.

    The list includes runs that only this machine knows: runs in progress, and lost runs, whose process was killed. If a
    run cannot be read, a warning is printed on stderr.
    """
    found = invocation.client.list_runs(**asked.rows)
    otherwise = "there are no runs yet; `git model run SCRIPT` creates one"
    rows: Iterable[RunView | Invalid] = chain(found, found.damaged)
    print_rows(invocation.output, RUNS, rows, asked, otherwise=otherwise)


@command(group=runs, example="git model runs show")
@click.argument("id", metavar="[RUN]", required=False)
def show(invocation: Invocation, id: str | None) -> None:
    """Show a run. Default: the newest.

    RUN is the id of a run, or the beginning or end of it, as in every command.

    The output has the steps, the parameters, and the digests of inputs and outputs. On the machine that ran the steps,
    it also says why a step ran and did not come from the cache, and has the traceback of a failed step.
    """
    client = invocation.client
    view = client.get_run(id or _newest(client))
    invocation.output.single(shapes.RECORDED_RUN, view.fields(), name=view.id, lines=_lines(view))


@command(group=runs, example="git model runs cells")
@click.argument("id", metavar="[RUN]", required=False)
def cells(invocation: Invocation, id: str | None) -> None:
    """Print the executed cells of the notebook that made a run.

    The output has all cells that the notebook executed until the end of the run, in the order of execution. Secrets and
    text that looks like a credential are replaced. Default: the newest run.
    """
    output, client = invocation.output, invocation.client
    found = client.get_cells(id or _newest(client))
    if output.is_table:
        output.source("\n\n".join(f"# In [{cell.number}]:\n{cell.source}" for cell in found))
    else:
        output.listing(found, shapes.CELL, name=lambda cell: str(cell.number), columns=(), empty="")


@command(group=runs, example="git model runs logs")
@click.argument("id", metavar="[RUN", required=False)
@click.argument("step", metavar="[STEP]]", required=False)
@click.option("--times", is_flag=True, help="Print the time (UTC) before each line.")
@click.option(
    "--attach", "version", metavar="VERSION", help="Publish the output: attach it to VERSION as STEP.log, or RUN.log."
)
def logs(invocation: Invocation, id: str | None, step: str | None, times: bool, version: str | None) -> None:
    """Print the output of the steps of a run.

    The output includes that of child processes. With STEP, the command prints the output of this step only. Default:
    the newest run.

    The output stays on the machine that ran the steps, for its newest 200 runs, also for runs that failed or are
    running. Secrets and text that looks like a credential are replaced. Of each attempt of a step, the first 512 KiB
    and the last 256 KiB or more are kept. A step from the cache printed nothing: the command names the run that made
    its outputs.
    """
    output, client = invocation.output, invocation.client
    id = id or _newest(client)
    if version is not None:
        name = client.attach_logs(id, version, step=step)
        found = client.get_version(version)
        return print_version(invocation, found, f"attached {name} to {found.reference}")
    logged = client.get_logs(id, step)
    if output.is_table:
        for log in logged:
            _print_log(invocation, log, times=times, alone=len(logged) == 1)
    else:
        output.listing(logged, shapes.STEP_LOG, name=lambda log: log.step, columns=(), empty="")


def _print_log(invocation: Invocation, log: StepLog, *, times: bool, alone: bool) -> None:
    output = invocation.output
    if not alone or log.attempt > 1:
        output.text(log.title)
    if log.made_by is not None:
        output.note(f"{log.step} came from the cache; `git model runs logs {log.made_by}` shows what it printed")
    elif not log.lines:
        output.note(f"{log.step} printed nothing")
    else:
        output.source("\n".join(f"{_moment(line.at)} {line.text}" if times else line.text for line in log.lines))


def _moment(at: float) -> str:
    return datetime.fromtimestamp(at, timezone.utc).isoformat(" ", "milliseconds")[:23]


def _newest(client: Client) -> str:
    """Return the id of the newest run. Raises NotFound if there is none."""
    newest = client.list_runs(limit=1)
    if not newest:
        raise NotFound("there are no runs yet", hint="run `git model run SCRIPT`")
    return newest[0].id


@command(group=runs, example="git model runs packages")
@click.argument("id", metavar="[RUN]", required=False)
@options.listed
def packages(invocation: Invocation, id: str | None, part: options.Part) -> None:
    """List the packages that were installed when a run began.

    Default: the newest run.
    """
    client = invocation.client
    found = client.get_run(id or _newest(client))
    part.print(
        invocation.output,
        [{"name": name, "version": version} for name, version in found.packages.items()],
        shapes.PACKAGE,
        fields=dict,
        name=itemgetter("name"),
        columns=(("PACKAGE", itemgetter("name")), ("VERSION", itemgetter("version"))),
        empty=f"{found.id} has no packages on record",
    )


@contextlib.contextmanager
def _prints_to_stderr(invocation: Invocation) -> Iterator[None]:
    """If stdout is for JSON, TSV or names, redirect what the script prints to stderr until the block ends."""
    if invocation.output.format == "table" and not invocation.output.quiet:
        yield
        return
    sys.stdout.flush()
    before = os.dup(1)
    try:
        os.dup2(2, 1)
        with contextlib.redirect_stdout(sys.stderr):
            yield
    finally:
        os.dup2(before, 1)
        os.close(before)


def _status(view: RunView) -> str:
    return f"{view.status} since {cell_text.utc_time(view.since)}" if view.since else view.status


def _took(view: RunView) -> str:
    return "" if view.seconds is None else f"{view.seconds:.0f} s"


def _lines(view: RunView) -> list[tuple[str, str]]:
    record = view.record
    lines = [
        ("run", view.id),
        ("pipeline", view.pipeline),
        ("status", _status(view)),
        ("started", f"{cell_text.utc_time(view.started)} UTC"),
    ]
    if record is not None:
        lines += [
            ("took", _took(view)),
            ("versions", "\n".join(record.versions)),
            ("executor", record.executor),
            ("python", record.python),
            ("packages", record.packages or ""),
            ("code", _code(view)),
            ("module", record.module or ""),
            ("script", record.script or "none on record: `git model reproduce` cannot run it again"),
            ("cells", f"{record.cells}\n`git model runs cells {view.id}` prints them" if record.cells else ""),
            ("parameters", _pairs(record.parameters)),
            ("metadata", _pairs(record.metadata)),
            ("failed step", record.failed_step or ""),
        ]
    lines.append(("error", view.error))
    for step in record.steps if record else ():
        about = [f"{step.status}, {step.seconds:.1f} s"]
        about += [view.cache[step.name]] if step.name in view.cache else []
        about += [f"attempt {number} failed: {error}" for number, error in enumerate(step.failed_attempts, 1)]
        about += [f"on {step.version}"] if step.version else []
        about += [_pairs(step.parameters)] if step.parameters else []
        about += [f"{name} <- {digest}" for name, digest in step.inputs.items()]
        about += [f"{name} -> {digest}" for name, digest in step.outputs.items()]
        lines.append((step.name, "\n".join(about)))
    lines.append(("traceback", view.traceback.rstrip()))
    return lines


def _pairs(values: Mapping[str, Any]) -> str:
    return "\n".join(f"{key} = {cell_text.tsv_cell(value)}" for key, value in values.items())


def _code(view: RunView) -> str:
    code = view.record.code if view.record else None
    if code is None:
        return ""
    if code.outside:
        return "outside of a repository"
    return f"{code.commit or 'no commit yet'}{' with changes' if code.commit and code.dirty else ''}"
