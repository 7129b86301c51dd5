"""Checks before the first step of a run, so that no run fails after hours for a reason that was known at its start."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from gitmodel.branch.by_url.pushed_ref_moves import check_push
from gitmodel.client import Client
from gitmodel.errors import Conflict, GitModelError, Invalid, NotFound, Refused, Unreachable, UsageError
from gitmodel.formats.catalogue.plugins import (
    find_format,
    has_other_materializers,
    missing_packages,
    missing_packages_of,
    refuse_missing,
)
from gitmodel.formats.declared_types import formats_of, is_path, without_format
from gitmodel.pipelines.active_runs.resolved_references import Resolved, resolve
from gitmodel.pipelines.active_runs.run_records import Job
from gitmodel.pipelines.declarations.config import ArtifactConfig
from gitmodel.pipelines.declarations.graph import Graph, Node
from gitmodel.pipelines.workers.executors import ExecutorChoice, RunningExecutor
from gitmodel.registry.recorded_runs.new_runs import keep_packages
from gitmodel.stores.interface import Unwritable
from gitmodel.stores.local_store import LocalStore

_KINDS: tuple[type[GitModelError], ...] = (UsageError, NotFound, Conflict, Invalid, Refused, Unreachable)


def check_before_the_run(client: Client, job: Job, choice: ExecutorChoice) -> tuple[Job, Resolved]:
    """Raise one error for all problems that would stop the run later.

    Return *job* with the registry's rule for pickle, and the versions and artifacts that the job names. Checks the
    user's identity, the rules of the registry, the versions and their names, the types and formats of outputs, and,
    if the workers are on this machine, the packages that the formats need. Checks that gitmodel can write to the
    stores: for this, it writes an object to each store on a server, and does not delete it. Checks that the server of a
    registry by URL accepts a push.
    """
    problems = _Problems()
    found = None
    with problems.noting():
        client.repository.identity.now()
    with problems.noting():
        rules = client.repository.snapshot().registry().require("runs", "formats").formats
        job = replace(job, pickle=rules is not None and rules.pickle)
    with problems.noting():
        found = resolve(client, job.pipeline, job.graph, job.model_config)
    with problems.noting():
        _check_types(job)
    if choice.is_local:
        with problems.noting():
            refuse_missing(_missing(_needed_formats(job.graph, found), missing_packages))
    with problems.noting():
        _check_stores(client, found)
    if client.repository.url:
        with problems.noting():
            check_push(client.repository)
    problems.tell()
    assert found is not None
    return job, found


class _Problems:
    def __init__(self) -> None:
        self._found: list[GitModelError] = []

    @contextmanager
    def noting(self) -> Iterator[None]:
        """If the block raises an error, remember the error instead. Remembers errors with equal messages only once."""
        try:
            yield
        except GitModelError as error:
            if error.message not in [one.message for one in self._found]:
                self._found.append(error)

    def tell(self) -> None:
        """If errors are remembered, raise one error of the class of the first, with the messages and hints of all."""
        if len(self._found) == 1:
            raise self._found[0]
        if self._found:
            kind = next((kind for kind in _KINDS if isinstance(self._found[0], kind)), GitModelError)
            raise kind(
                f"{len(self._found)} problems would stop the run: {_numbered(one.message for one in self._found)}",
                hint=_numbered(one.hint for one in self._found),
            )


def _numbered(texts: Iterable[str]) -> str:
    return "; ".join(f"({number}) {text}" for number, text in enumerate(texts, 1))


def _outputs(graph: Graph) -> Iterator[tuple[Node, ArtifactConfig, str, Any]]:
    """Yield each output of the steps in *graph*: the step's node, and the output's declaration, name and type."""
    for node in graph.nodes.values():
        for spec, name, hint in zip(node.step.outputs, node.outputs, node.step.output_types, strict=True):
            yield node, spec, f"{name} of step {node.name}", hint


def _check_types(job: Job) -> None:
    """Raise UsageError for outputs whose type no format can store, and for unknown formats."""
    wrong = []
    for node, spec, name, hint in _outputs(job.graph):
        if spec.format:
            find_format(spec.format)
        elif not job.allows_pickle(node.step) and (kind := without_format(hint)) and not has_other_materializers():
            wrong.append(f"{name} is of the type {kind}")
    if wrong:
        raise UsageError(
            f"the output {', and '.join(wrong)}, which gitmodel cannot save",
            hint='write @step(pickle=True) to allow pickle for it, or write a materializer, as the page "Write a '
            'materializer" of the documentation shows',
        )


def check_workers(graph: Graph, resolved: Resolved, executor: RunningExecutor) -> None:
    """Raise UsageError if a worker of *executor* lacks gitmodel, or a package that a format needs.

    Checks the workers that exist now. Checks none if the executor cannot call a function on each worker.
    """
    wanted = _needed_formats(graph, resolved)
    answers = executor.ask(missing_packages_of, sorted({name for names, _ in wanted for name in names}))
    for worker, answer in answers.items():
        # Searches the text: if an import fails on a worker, Dask returns another error whose text names it.
        if isinstance(answer, Exception) and ModuleNotFoundError.__name__ in repr(answer):
            raise UsageError(
                f"the worker {worker} cannot run steps: {answer}",
                hint="install gitmodel there, with the version and the extras of this machine",
            )
        if isinstance(answer, dict):  # any other error tells nothing about the packages of the worker
            refuse_missing(_missing(wanted, answer.__getitem__), where=f" on the worker {worker}")


def _missing(needs: Iterable[tuple[Iterable[str], str]], missing: Callable[[str], list[str]]) -> dict[str, str]:
    """Return the missing packages, each with the first output or input that needs it.

    *needs* has the possible formats of each output or input, with its name. *missing* returns the packages that a
    format lacks.
    """
    needed: dict[str, str] = {}
    for names, what in needs:
        packages = list(map(missing, names))
        if all(packages):  # otherwise, no package is missing for one of the formats, and gitmodel uses this format
            for package in (package for group in packages for package in group):
                needed.setdefault(package, what)
    return needed


def _needed_formats(graph: Graph, resolved: Resolved | None) -> list[tuple[list[str], str]]:
    """Return the possible formats of each output and each loaded input, with the name of the output or input."""
    outputs = _outputs(graph)
    formats = [
        (([s.format] if s.format else [*formats_of(hint)]), f"the output {name}") for _, s, name, hint in outputs
    ]
    for (step, parameter), ref in resolved.inputs.items() if resolved is not None else ():
        if not is_path(graph.nodes[step].input_types.get(parameter)):
            formats.append(([ref.format], f"the input {parameter} of step {step}"))
    return formats


def _check_stores(client: Client, resolved: Resolved | None) -> None:
    """Raise an error if gitmodel cannot write to a store of the run. Writes an object to each store on a server."""
    models = {config.name for config in resolved.configs.values()} if resolved else set()
    stores = [client.access.for_writing(model) for model in ("", *sorted(models))]
    for store in {store.url: store for store in stores}.values():
        if isinstance(store, Unwritable):
            raise store.refusal()
        if isinstance(store.origin, LocalStore):
            store.create()
        else:
            keep_packages(store)  # writes an object, which fails if the store is read-only
