"""`reproduce`: run the recorded pipeline of a version again, and compare its outputs with the record.

The pipeline runs with the recorded code, parameters and inputs, in a separate work tree. The run uses a separate
registry with the state before the recorded run. Nothing in the user's registry, store, work tree or branches changes.
"""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

from gitmodel.branch.transactions.transaction import adopt
from gitmodel.client import Client
from gitmodel.domain.arguments.checking import checked
from gitmodel.domain.schema import paths
from gitmodel.domain.schema.manifest import HEADER
from gitmodel.domain.schema.object_ids import Oid
from gitmodel.domain.schema.records import RunRecord, StepRecord, VersionRecord
from gitmodel.domain.schema.references import VersionRef
from gitmodel.domain.schema.refs import StageRef
from gitmodel.domain.secrets.error_text import ErrorText
from gitmodel.domain.secrets.secret_values import HIDDEN
from gitmodel.domain.snapshots.snapshot import Snapshot
from gitmodel.domain.views.comparison import Compared, compare_values
from gitmodel.domain.views.lineage import inputs_of
from gitmodel.errors import GitModelError, NotFound, UsageError
from gitmodel.frozen import Frozen
from gitmodel.git.history.commits import commit_adding
from gitmodel.git.repositories.new_repositories import init_borrowing
from gitmodel.git.running.process import clean_environment
from gitmodel.git.worktrees.worktree_commands import remove_worktree
from gitmodel.lineage.code.checkout import add_code, exact_code, is_changed
from gitmodel.lineage.comparing import making_run, read_packages
from gitmodel.pipelines.execution.running import RunFailed
from gitmodel.pipelines.reproduction.rerun_process import RerunRequest
from gitmodel.registry.promotion.applied_tags import TagAim, set_tags
from gitmodel.registry.recorded_runs.run_details import load_details
from gitmodel.registry.records import finding
from gitmodel.stores.artifacts.copying import copy_artifacts
from gitmodel.stores.interface import ArtifactStore


class OutputFacts(Frozen):
    """The size of an output and, for an artifact of the version, its format and metadata. None means unknown."""

    size: int | None = None
    format: str | None = None
    metadata: Mapping[str, Any] | None = None


class ReproducedOutput(Frozen):
    """An output of a step in the recorded run (*old*, *then*) and in the new run (*new*, *now*).

    *old* and *new* are the digests of the output, or None if the run has no such output. *then* and *now* have further
    facts about the output in the recorded run and in the new run.
    """

    step: str
    name: str
    old: str | None
    new: str | None
    then: OutputFacts
    now: OutputFacts

    @property
    def same(self) -> bool:
        """True if both outputs exist and have the same bytes."""
        return self.old is not None and self.old == self.new


class Reproduced(Frozen):
    """The result of running the pipeline of a version again.

    *run* is the id of the recorded run. *outputs* has the outputs of all steps. *metadata* has the recorded and the new
    value of each key of the version's metadata. *packages* has the packages that differ between the recorded and the
    current environment. *changed* is True if the recorded run used code with uncommitted changes. *unknown* has the
    items that could not be compared, each with advice.
    """

    reference: str
    run: str
    commit: str
    outputs: tuple[ReproducedOutput, ...]
    metadata: tuple[Compared, ...]
    packages: tuple[Compared, ...]
    changed: bool
    unknown: tuple[tuple[str, str], ...] = ()

    @property
    def identical(self) -> bool:
        """True if every output has the same bytes as in the recorded run."""
        return all(output.same for output in self.outputs)


@checked
def reproduce(
    client: Client,
    reference: str,
    *,
    folder: str | os.PathLike[str] | None = None,
    secrets: Mapping[str, Any] | None = None,
    executor: str = "in-order",
) -> Reproduced:
    """Repeat the run that created the version *reference*, and compare the new results with the record.

    gitmodel checks out the code of the recorded commit in the folder `code` in *folder*, and runs this code. The
    registry of the new run is in the folder `registry` in *folder*. gitmodel does not delete *folder*; if *folder* is
    None, gitmodel uses a temporary folder, which it deletes. *secrets* has the values of Secret parameters, because the
    record does not have them. *executor* is the name of an executor, as for `Pipeline.run`. Raises NotFound for missing
    commits or artifacts, UsageError for missing secrets, RunFailed if the pipeline fails.

    >>> from gitmodel import Client, reproduce                  # doctest: +SKIP
    >>> reproduce(Client(), "iris@production").identical        # doctest: +SKIP
    True
    """
    found = finding.find(client.writer, VersionRef.parse(reference))
    model, record = found.model, found.record
    name = f"{model}@{record.number}"
    run = _run_of(client, name, record)
    given = _checked_secrets(run, dict(secrets or {}))
    code = client.open_code()
    commit = exact_code(code, run.code, name)
    before = _before(client, run)
    with _place(folder) as place:
        add_code(code, commit, place / "code")
        try:
            with _registry(client, before, place / "registry") as scratch:
                _copy_inputs(client.access.everywhere(), scratch.store, inputs_of(run))
                answer = _run_there(scratch, place / "code", run, given, executor, model, record.name)
                return _compared(client, scratch, name, record, run, commit, answer)
        finally:
            if folder is None:
                with suppress(GitModelError):
                    remove_worktree(code.git, place / "code")


def _run_of(client: Client, name: str, record: VersionRecord) -> RunRecord:
    run = client.repository.read(lambda snapshot: making_run(snapshot, record))
    if run is None:
        raise NotFound(
            f"no recorded run created {name}", hint=f"`git model checkout {name} FOLDER` checks out its code and files"
        )
    by_hand = f"`git model checkout {name} FOLDER` gets its code, to run by hand"
    if run.cells is not None:
        by_hand = f"`git model runs cells {run.id}` prints the cells that were executed, to run by hand"
    if not run.executor:
        raise UsageError(
            f"run {run.id} was started by a {'notebook' if run.cells else 'script'}, not by a pipeline, and cannot be "
            "repeated automatically",
            hint=f"{by_hand}; `git model runs show {run.id}` shows its parameters and inputs",
        )
    if not run.script:
        raise NotFound(
            f"run {run.id} has no record of the file of its pipeline, for example because it ran in a notebook",
            hint=f"{by_hand}; to reproduce later versions, put the pipeline into a file of the code repository",
        )
    return load_details(run, client.store)


def _checked_secrets(run: RunRecord, secrets: dict[str, Any]) -> dict[str, Any]:
    secret = [name for name, value in run.parameters.items() if value == HIDDEN]
    missing = [name for name in secret if name not in secrets]
    if missing:
        raise UsageError(
            f"parameter {missing[0]} of run {run.id} was a secret and is not recorded",
            hint=f"pass it: --param {missing[0]}=VALUE",
        )
    known = [name for name in secrets if name not in secret]
    if known:
        raise UsageError(
            f"parameter {known[0]} is not a secret of the run, and its recorded value is used",
            hint="leave it out; `git model run` runs a pipeline with other parameters",
        )
    return secrets


def _before(client: Client, run: RunRecord) -> Oid | None:
    """Return the commit of the registry before the one that added *run*; None if there was no registry before.

    Raises NotFound if a shallow clone lacks the commit.
    """
    repository = client.repository
    found = commit_adding(repository.git, repository.existing_tip(), paths.run_file(run.id))
    if repository.shallow and len(found) < 2:
        raise NotFound(
            f"the history before run {run.id} is missing, because this clone is shallow",
            hint="run `git fetch --unshallow`, then try again",
        )
    return found[1] if len(found) > 1 else None


@contextmanager
def _place(folder: str | os.PathLike[str] | None) -> Iterator[Path]:
    if folder is None:
        with tempfile.TemporaryDirectory(prefix="gitmodel-again-") as made:
            yield Path(made)
        return
    place = Path(folder).expanduser().absolute()
    if place.is_symlink() or (place.exists() and (not place.is_dir() or any(place.iterdir()))):
        raise UsageError(f"{place} exists and is not an empty folder", hint="name a new folder")
    place.mkdir(parents=True, exist_ok=True)
    yield place


@contextmanager
def _registry(client: Client, commit: Oid | None, path: Path) -> Iterator[Client]:
    """Create a registry at *path*, with the state of the registry of *client* at *commit*, and yield its client.

    If *commit* is None, the new registry is empty.
    """
    repository = client.repository
    init_borrowing(repository.git, path)
    settings = {key: value for key, value in repository.git.environ.items() if not key.startswith("GITMODEL_")}
    store = path / "gitmodel" / "store"
    store.mkdir(parents=True)
    with Client(path, repo=path, store=str(store), environ=settings) as scratch:
        if commit:
            adopt(scratch.repository, commit)
            set_tags(scratch.repository, _recorded)
        yield scratch


def _recorded(snapshot: Snapshot) -> list[TagAim]:
    stages = snapshot.registry().stage_names
    return [
        TagAim(StageRef(model, place))
        for model in snapshot.model_names()
        for place in (*(s for s in stages if snapshot.recorded(model, s)), *snapshot.recorded_aliases(model))
    ]


def _copy_inputs(source: ArtifactStore, target: ArtifactStore, digests: Mapping[str, Any]) -> None:
    for digest in digests:
        if not source.holds(digest):
            raise NotFound(
                f"the artifact store does not have {digest}, which the run used",
                hint=f"`git model lineage {digest} --up` shows where it comes from",
            )
        with source.open(digest) as reader:
            head = reader.read(len(HEADER))
        if head == HEADER:
            try:
                copy_artifacts(source, target, [(digest, True, None)])
                continue
            except GitModelError:  # raised for a file that begins like the manifest of a folder, but is no manifest
                pass
        copy_artifacts(source, target, [(digest, False, None)])


def _run_there(
    scratch: Client,
    code: Path,
    run: RunRecord,
    secrets: dict[str, Any],
    executor: str,
    model: str,
    version_name: str | None,
) -> str:
    registry = str(scratch.repository.common_dir)
    answer = _answer_to(RerunRequest(run, str(code), registry, secrets, executor, model, version_name))
    if "run" in answer:
        return str(answer["run"])
    error = ErrorText(**answer)
    raise RunFailed(
        f"the pipeline of run {run.id} failed this time: {error.type}: {error.message}",
        hint=error.hint or "give --into FOLDER to keep its code, and run it there by hand",
        traceback=error.traceback,
    )


def _answer_to(request: RerunRequest) -> dict[str, str]:
    """Run the pipeline of *request* in another process. Return its answer: the id of the run, or an error as fields."""
    registry = request.registry
    read, write = os.pipe()
    environ = {name: value for name, value in os.environ.items() if not name.startswith("GITMODEL_")}
    environ.update(clean_environment(environ), GITMODEL_REPO=registry, GITMODEL_STORE=f"{registry}/gitmodel/store")
    # With `-m`, Python searches the current folder first for modules. The folder of the registry has none.
    command = [sys.executable, "-m", "gitmodel.pipelines.reproduction.rerun_process", str(write)]
    with os.fdopen(read, "rb") as answers:
        try:
            process = subprocess.Popen(command, stdin=subprocess.PIPE, pass_fds=(write,), env=environ, cwd=registry)
        finally:
            os.close(write)
        with process:
            process.communicate(pickle.dumps(request))
        said = answers.read()
    answer: dict[str, str] = json.loads(said) if said else {}
    return answer or {"type": "Died", "message": f"its process ended with {process.returncode}"}


def _compared(
    client: Client, scratch: Client, name: str, record: VersionRecord, run: RunRecord, commit: Oid, id: str
) -> Reproduced:
    again = scratch.get_run(id).record
    assert again is not None
    again = load_details(again, scratch.store)
    made = _version_of(scratch, again, name)
    unknown: list[tuple[str, str]] = []
    packages: tuple[Compared, ...] = ()
    try:
        lists = [{"python": r.python, **read_packages(c.store, r)} for c, r in ((client, run), (scratch, again))]
        packages = tuple(row for row in compare_values(*lists) if not row.same)
    except GitModelError as error:
        unknown.append((f"the packages of the recorded run are unknown: {error.message}", error.hint))
    old = partial(_facts, client.access.everywhere(), record)
    outputs = tuple(_outputs(run, again, old, partial(_facts, scratch.store, made)))
    metadata = compare_values(record.metadata, made.metadata if made else {})
    changed = is_changed(run.code, commit)
    return Reproduced(name, run.id, commit, outputs, metadata, packages, changed, tuple(unknown))


def _version_of(scratch: Client, run: RunRecord, name: str) -> VersionRecord | None:
    """Return the record of the version that *run* created for the model in the reference *name*, or None.

    If *run* created only one version, the model does not matter. *scratch* is the client of the registry of *run*.
    """
    for reference in run.versions:
        with suppress(GitModelError):
            found = finding.find(scratch.writer, VersionRef.parse(reference))
            model, record = found.model, found.record
            if model == name.partition("@")[0] or len(run.versions) == 1:
                return record
    return None


def _facts(store: ArtifactStore, record: VersionRecord | None, name: str, digest: str | None) -> OutputFacts:
    """Return the facts that *record* has about the artifact *digest*; if it has none, only its size in *store*.

    If several artifacts have this digest, returns the facts about the artifact *name*.
    """
    if digest is None:
        return OutputFacts()
    links = [link for link in (record.artifacts if record is not None else ()) if link.digest == digest]
    if links:
        link = min(links, key=lambda link: link.name != name)  # several outputs with equal content have one digest
        return OutputFacts(link.size, link.format, dict(link.metadata))
    with suppress(GitModelError):
        return OutputFacts(store.size(digest))
    return OutputFacts()


def _outputs(
    then: RunRecord,
    now: RunRecord,
    old: Callable[[str, str | None], OutputFacts],
    new: Callable[[str, str | None], OutputFacts],
) -> Iterator[ReproducedOutput]:
    """Yield each output of the recorded run *then* and of the new run *now*, with its facts from *old* and *new*."""
    steps = {step.name: step for step in now.steps}
    for step in then.steps:
        after = steps.pop(step.name, StepRecord(name=step.name, status="skipped")).outputs
        for name in dict.fromkeys((*step.outputs, *after)):
            digests = step.outputs.get(name), after.get(name)
            yield ReproducedOutput(step.name, name, *digests, old(name, digests[0]), new(name, digests[1]))
    for step in steps.values():
        for name, digest in step.outputs.items():
            yield ReproducedOutput(step.name, name, None, digest, OutputFacts(), new(name, digest))
