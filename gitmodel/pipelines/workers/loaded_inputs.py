"""Loading the inputs of a step from the artifact store."""

from __future__ import annotations

import copy
from functools import partial
from pathlib import Path
from typing import Any

from gitmodel.domain.schema.record_values import FOLDER_FORMAT
from gitmodel.domain.secrets.secret_values import Secret
from gitmodel.errors import Unreachable
from gitmodel.files.temporary import TemporaryFiles
from gitmodel.formats import materializers, trust
from gitmodel.formats.catalogue.detection import is_value
from gitmodel.formats.catalogue.plugins import suffix_of
from gitmodel.formats.loading import called
from gitmodel.pipelines.declarations.nested_inputs import places_of, put_together, types_of_inputs
from gitmodel.pipelines.declarations.steps import Step
from gitmodel.pipelines.step_context.step_requests import InputReference, Request, StoreRequest
from gitmodel.registry.named_stores.store_access import open_place, open_urls
from gitmodel.stores.artifacts import fetching
from gitmodel.stores.interface import ArtifactStore


def open_store(request: StoreRequest, *, shared: bool) -> ArtifactStore:
    """Open the store of a step. Raises Unreachable if this process does not reach the store of the run.

    *shared* is True in the process of the run, which needs no check.
    """
    store = open_urls(request.urls, Path(request.root))
    # Without this check, a worker on another machine could create a store on its own disk, which only it can read.
    if not shared and not store.holds(request.probe):
        raise Unreachable(
            "this worker cannot reach the artifact store of the run",
            hint="configure a store that all machines can reach: git config gitmodel.store file:///shared/folder",
        )
    return store


def load_inputs(
    request: Request, step: Step[..., Any], store: ArtifactStore, scratch: TemporaryFiles
) -> dict[str, Any]:
    arguments = {
        name: value.value if isinstance(value, Secret) else copy.deepcopy(value)
        for name, value in request.values.items()
    }
    types = types_of_inputs(step, request.shapes)
    for index, (name, ref) in enumerate(request.inputs.items()):
        target = scratch.path(f"input-{index}{suffix_of(ref.format)}")
        arguments[name] = load_input(request, store, target, name, ref, types.get(name))
    parts = {name for shape in request.shapes.values() for name in places_of(shape)}
    whole = {name: put_together(shape, arguments) for name, shape in request.shapes.items()}
    return {**{name: value for name, value in arguments.items() if name not in parts}, **whole}


def load_input(request: Request, store: ArtifactStore, target: Path, name: str, ref: InputReference, hint: Any) -> Any:
    """Return the input *name* of a step: the loaded value, or a path. *hint* is the annotated type of the input.

    Fetches the file or folder to the path *target*.
    """
    source = open_place(ref.place, store, Path(request.store.root))
    if ref.format == FOLDER_FORMAT:
        fetching.get_folder(source, ref.digest, target, size=ref.size)
    else:
        fetching.get_file(source, ref.digest, target, size=ref.size)
    is_path = hint is Path or ref.materializer == "path"
    as_path = is_path or (ref.format == FOLDER_FORMAT and not ref.materializer and not is_value(target))
    if as_path and ref.file:  # the step gets the file under its original name, in a folder of its own
        folder = target.with_name(f"{target.name}.folder")
        folder.mkdir()
        return target.rename(folder / ref.file)
    if as_path:
        return target
    with (
        called(target, f"the input {name}"),
        trust.trusting(partial(tuple, ref.names), partial(tuple, ref.suggested)),
    ):
        return materializers.load(target, ref.format, ref.materializer, wanted=hint, trusted=ref.trusted)
