"""The cache of steps: computing the cache key of a step, and checking that its cached outputs are still stored."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from gitmodel.domain.schema.records import FOLDER_FORMAT
from gitmodel.errors import GitModelError, UsageError
from gitmodel.pipelines.graph import Node
from gitmodel.pipelines.opened_files import hash_declared
from gitmodel.pipelines.step_results import StoredOutput
from gitmodel.pipelines.steps import Step
from gitmodel.pipelines.value_text import spell_value
from gitmodel.stores.artifacts import are_whole, keep_artifact, manifest_of
from gitmodel.stores.interface import ArtifactStore
from gitmodel.stores.parallel_transfers import in_parallel
from gitmodel.stores.transfer import JOBS


def declared_files(step: Step[..., Any]) -> list[tuple[str, str]]:
    """Return the path and SHA-256 of each file that *step* declares. Raises UsageError if a file is missing."""
    try:
        return hash_declared(step.files)
    except FileNotFoundError as error:
        raise UsageError(
            f"step {step.name} declares the file {error.args[0]!a}, which does not exist",
            hint=f"the current folder is {os.getcwd()}; write paths from there, or globs such as data/*.csv",
        ) from None


def cache_key(
    node: Node, inputs: Mapping[str, str], model: str, code: str, files: list[tuple[str, str]], *, pickle: bool
) -> str | None:
    """Compute the cache key of a step from its *code* (a digest), parameters, *inputs* (digests by name) and *model*.

    *files* are the files that the step declares, each with its digest. *pickle* allows outputs that are pickled.
    Returns None if a parameter cannot be compared.
    """
    step = node.step
    outputs = [(name, spec.kind, spec.format) for name, spec in zip(node.outputs, step.outputs, strict=True)]
    variables = [(name, os.environ.get(name)) for name in step.env]
    parameters = sorted((name, spell_value(value)) for name, value in node.values.items())
    if any(text is None for _, text in parameters):
        return None
    told = [code, parameters, sorted(inputs.items()), outputs, model, files, variables, *([pickle] if pickle else [])]
    told += sorted((name, spell_value(shape)) for name, shape in node.shapes.items())
    return hashlib.sha256(json.dumps(told, default=repr).encode("utf-8", "surrogatepass")).hexdigest()


def are_kept(store: ArtifactStore, outputs: Sequence[StoredOutput]) -> bool:
    """Return True if the store still has the outputs of a step that has run, and renew their timestamps."""
    return all(
        in_parallel(
            lambda output: keep_artifact(store, output.digest, folder=output.format == FOLDER_FORMAT), outputs, JOBS
        )
    )


def are_stored(store: ArtifactStore, outputs: Iterable[StoredOutput], *, read_servers: bool = True) -> bool:
    """Return True if the store has the cached outputs of a step, with all files of folders, undamaged.

    Verifies them and renews the timestamps of old objects, as `are_whole` does.
    """
    try:
        objects: list[tuple[str, int | None]] = []
        for output in outputs:
            if output.format == FOLDER_FORMAT:
                entries = manifest_of(store, output.digest)
                objects += [*((entry.digest, entry.size) for entry in entries), (output.digest, None)]
            else:
                objects.append((output.digest, output.size))
        return are_whole(store, objects, read_servers=read_servers)
    except GitModelError:
        return False
