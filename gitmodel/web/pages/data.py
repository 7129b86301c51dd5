"""The data file of a model: its versions by column, for scripts and programs; and the same as a script."""

from __future__ import annotations

from datetime import timezone

from gitmodel.frozen import Frozen
from gitmodel.web.page import Page
from gitmodel.web.pages.gate_lines import gate_lines
from gitmodel.web.pages.model import list_models
from gitmodel.web.registry_data import RegistryData

# The most characters of a description.
_MOST_TEXT = 140


class DataFile(Frozen):
    """The versions of a model by column, newest first.

    *numbers*, *created*, *tags*, *description*, *code* and each list of *metrics* have a value for each version. *tags*
    are places in *tagset*. *limits* has the limits of gates near the numbers of a key, each with its label. *names*,
    *stage*, *pending* and *aliases* have only the versions with one. *pages* are the versions with a page of their own,
    None if all have one.
    """

    commit: str
    model: str
    numbers: tuple[int, ...]
    names: dict[int, str]
    created: tuple[str, ...]
    stage: dict[int, str]
    pending: dict[int, tuple[str, ...]]
    aliases: dict[int, tuple[str, ...]]
    tags: tuple[tuple[int, ...], ...]
    tagset: tuple[str, ...]
    description: tuple[str, ...]
    metrics: dict[str, tuple[float | None, ...]]
    limits: dict[str, tuple[tuple[str, float], ...]]
    code: tuple[str | None, ...]
    failed: tuple[int, ...]
    deleted: tuple[int, ...]
    pages: tuple[int, ...] | None


def read(registry: RegistryData, model: str) -> DataFile:
    """Return the value of the data file of *model*. Raises NotFound."""
    versions = registry.versions(model)
    records = [view.record for view in versions.values()]
    tagset = tuple(sorted({tag for record in records for tag in record.tags}))
    place = {tag: index for index, tag in enumerate(tagset)}
    numbers = tuple(versions)
    with_page = tuple(number for number, view in versions.items() if registry.has_page(view))
    return DataFile(
        commit=registry.commit,
        model=model,
        numbers=numbers,
        names={record.number: record.name for record in records if record.name},
        created=tuple(f"{record.created.astimezone(timezone.utc):%Y-%m-%dT%H:%M:%SZ}" for record in records),
        stage={number: view.stage for number, view in versions.items() if view.stage},
        pending={
            number: tuple(state.name for state in view.pending if state.recorded == number)
            for number, view in versions.items()
            if any(state.recorded == number for state in view.pending)
        },
        aliases={number: view.aliases for number, view in versions.items() if view.aliases},
        tags=tuple(tuple(place[tag] for tag in record.tags) for record in records),
        tagset=tagset,
        description=tuple(record.description[:_MOST_TEXT] for record in records),
        metrics={key: tuple(map(values.get, numbers)) for key, values in registry.numbers(model).items()},
        limits=gate_lines(registry, model),
        code=tuple(record.code.commit[:7] if record.code and record.code.commit else None for record in records),
        failed=tuple(record.number for record in records if record.failed),
        deleted=registry.deleted(model),
        pages=None if len(with_page) == len(numbers) else with_page,
    )


PAGE = Page("data", "/data/{model}.json", read, list_models)
SCRIPT = Page("data script", "/data/{model}.js", read, list_models)
