"""The dependencies of a step's result, their changes since an earlier run, and checks that its outputs still exist."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from gitmodel.domain.schema.record_values import FOLDER_FORMAT
from gitmodel.errors import GitModelError, UsageError
from gitmodel.pipelines.declarations.graph import Node
from gitmodel.pipelines.declarations.steps import Step
from gitmodel.pipelines.project.file_states import hash_declared
from gitmodel.pipelines.project.project_modules import UnknownCode
from gitmodel.pipelines.project.source_statements import hash_json
from gitmodel.pipelines.project.value_text import spell_value
from gitmodel.pipelines.step_context.step_results import StoredOutput
from gitmodel.stores.artifacts.copying import keep_artifact
from gitmodel.stores.artifacts.manifests import manifest_of
from gitmodel.stores.artifacts.parallel_transfers import in_parallel
from gitmodel.stores.artifacts.verifying import are_whole
from gitmodel.stores.interface import ArtifactStore
from gitmodel.stores.transfer import JOBS

# The kinds of dependencies of a result, in the order in which the reason for running a step names changed dependencies.
_KINDS = ("parameter", "input", "code", "value", "file", "files", "variable", "package")
_MOST_CHANGES = 3


def declared_files(step: Step[..., Any]) -> list[tuple[str, str]]:
    """Return the path and SHA-256 of each file that *step* declares. Raises UsageError if a file is missing."""
    try:
        return hash_declared(step.files)
    except FileNotFoundError as error:
        raise UsageError(
            f"step {step.name} declares the file {error.args[0]!a}, which does not exist",
            hint=f"the current folder is {os.getcwd()}; write paths from there, or globs such as data/*.csv",
        ) from None


def cache_parts(
    node: Node, inputs: Mapping[str, str], model: str, code: Mapping[str, str], *, pickle: bool
) -> dict[str, str]:
    """Return the digests of the dependencies of the step *node*, by the names that messages show.

    These are the digests in *code* and *inputs*, those of the parameters, and those of the files and environment
    variables that the step declares. Further dependencies are the names, kinds and formats of its outputs, *model*,
    which is the name of the model that the step works on or "", and *pickle*, which is True if outputs may be pickled.
    Raises UnknownCode if a parameter cannot be compared, UsageError if a declared file is missing.
    """
    step = node.step
    parts = {**code, **{f"input {name}": digest for name, digest in inputs.items()}}
    for name, value in (*node.values.items(), *node.shapes.items()):
        if (text := spell_value(value)) is None:
            raise UnknownCode(f"parameter {name} cannot be compared")
        parts[f"parameter {name}"] = hash_json(text)
    parts |= {f"file {path}": digest for path, digest in declared_files(step)}
    parts |= {f"variable {name}": hash_json(os.environ.get(name)) for name in step.env}
    outputs = [(name, spec.kind, spec.format) for name, spec in zip(node.outputs, step.outputs, strict=True)]
    parts["its outputs"] = hash_json(outputs)
    if model:
        parts["the model"] = model
    if pickle:
        parts["the rule for pickle"] = "allowed"
    return parts


def what_changed(before: Mapping[str, str], now: Mapping[str, str]) -> str:
    """Return a text that names the dependencies that differ between *before* and *now*; "" if all are equal.

    *before* and *now* are results of `cache_parts`.

    >>> what_changed({"parameter x": "1", "input y": "2"}, {"parameter x": "3", "input y": "2"})
    'parameter x changed'
    """
    names = sorted({name for name in {*before, *now} if before.get(name) != now.get(name)}, key=_importance)
    shown = names[:_MOST_CHANGES]
    if len(names) > len(shown):
        shown.append(f"{len(names) - len(shown)} more")
    return f"{' and '.join(filter(None, (', '.join(shown[:-1]), shown[-1])))} changed" if shown else ""


def _importance(name: str) -> tuple[int, str]:
    kind = name.partition(" ")[0]
    return (_KINDS.index(kind) if kind in _KINDS else len(_KINDS)), name


def are_kept(store: ArtifactStore, outputs: Sequence[StoredOutput]) -> bool:
    """Return True if the store still has all *outputs*. Renew their timestamps, so that `store gc` keeps them."""
    return all(
        in_parallel(
            lambda output: keep_artifact(store, output.digest, folder=output.format == FOLDER_FORMAT), outputs, JOBS
        )
    )


def are_stored(store: ArtifactStore, outputs: Iterable[StoredOutput], *, read_servers: bool = True) -> bool:
    """Return True if the store has the cached *outputs* of a step, including all files of folders, and none is damaged.

    Reads and verifies the outputs, and renews the timestamps of old objects, as `are_whole` does. If *read_servers* is
    False, does not read objects on servers, and compares only their size and metadata.
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
