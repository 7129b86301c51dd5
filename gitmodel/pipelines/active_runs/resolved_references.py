"""Finding the versions and artifacts that a pipeline names, in one snapshot, before the run changes anything."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from typing import Any

from gitmodel.client import Client
from gitmodel.domain.arguments.description import read_description
from gitmodel.domain.changes import models as model_plans
from gitmodel.domain.changes import versions as version_plans
from gitmodel.domain.schema import codec, paths, records
from gitmodel.domain.schema.names import fold
from gitmodel.domain.schema.record_values import NO_DIGEST
from gitmodel.domain.schema.recorded_renumberings import Numbered
from gitmodel.domain.schema.records import ArtifactLink, VersionRecord
from gitmodel.domain.schema.references import ModelRef, VersionRef
from gitmodel.domain.snapshots.snapshot import Snapshot
from gitmodel.errors import NotFound, UsageError
from gitmodel.pipelines.declarations.config import ExternalArtifact, ModelConfig
from gitmodel.pipelines.declarations.graph import Graph
from gitmodel.pipelines.step_context.step_requests import InputReference
from gitmodel.registry.recorded_runs.run_outputs import artifact_of

log = logging.getLogger("gitmodel.pipelines")

# Bytes that the links of artifacts must leave free in the record of a version: for metadata, description and code.
_RESERVE_BYTES = 8_192
_OTHER_VERSION_NAME = (
    "leave version out of the ModelConfig, choose another for this call with with_options(model_config=...), or name "
    "the new version in a step: get_step_context().model_version.update(name=...)"
)
_ANY_TIME = datetime.fromtimestamp(0, timezone.utc)


def resolve(client: Client, pipeline: str, graph: Graph, default: ModelConfig | None) -> Resolved:
    """Find the versions and artifacts that the pipeline names, in one snapshot. Change nothing.

    *default* is the configuration of the pipeline, for steps that have none of their own. Raises NotFound for an
    unknown version. Raises Conflict or UsageError for configurations that contradict each other, or that gitmodel could
    not record at the end of the run. Logs a warning if a model's configuration differs from its record.
    """
    given = {node.name: node.step.model_config or default for node in graph.nodes.values()}
    chosen = {name: config for name, config in given.items() if config is not None}
    found = client.repository.read(lambda snapshot: _resolve(client, snapshot, graph, chosen, default))
    for model in dict.fromkeys(config.name for config in found.configs.values()):
        client.access.urls(model)  # opens the store: if it is unusable, this is an error before a step runs
    for config in found.configs.values():
        key = version_key(config)
        if key not in found.versions and key not in found.outputs:
            steps = [step for step, other in found.configs.items() if version_key(other) == key]
            found.outputs[key] = _check_outputs(pipeline, graph, steps)
    _report_differences(found)
    return found


def version_key(config: ModelConfig) -> str:
    return f"{fold(config.name)}@" if config.create_new_model_version else f"{config.name}@{config.selector}"


@dataclass
class Resolved:
    """The versions and artifacts that a pipeline names, as one snapshot has them.

    *stages* has the names of the registry's stages. *configs* has the configuration of each step, with the current name
    of its model. *inputs* has the inputs that are an `ExternalArtifact`, by step and parameter. The keys of
    *versions*, *models*, *outputs* and *settled* are results of `version_key`. *versions* has the records of existing
    versions, *models* the records of existing models that get a new version, and *outputs* the names of the artifacts
    of each new version. gitmodel numbers the pulls that renumber versions: *since* is the number of the last such pull
    before the run. *settled* has, for each version, the references to it for which the user confirmed that they mean
    this version after a pull renumbered versions (see `Target`).
    """

    stages: tuple[str, ...]
    configs: dict[str, ModelConfig]
    inputs: dict[tuple[str, str], InputReference] = field(default_factory=dict)
    versions: dict[str, VersionRecord] = field(default_factory=dict)
    models: dict[str, records.ModelRecord] = field(default_factory=dict)
    outputs: dict[str, tuple[str, ...]] = field(default_factory=dict)
    since: int = 0
    settled: dict[str, frozenset[Numbered]] = field(default_factory=dict)


def _resolve(
    client: Client, snapshot: Snapshot, graph: Graph, chosen: Mapping[str, ModelConfig], default: ModelConfig | None
) -> Resolved:
    configs = {name: _with_current_name(snapshot, config) for name, config in chosen.items()}
    givers = [(f"step {name}", configs[name]) for name, config in chosen.items() if config is not default]
    if default is not None:
        givers.append(("the pipeline", _with_current_name(snapshot, default)))
    found = Resolved(snapshot.registry().stage_names, configs, since=snapshot.renumberings.count)
    for node in graph.nodes.values():
        for parameter, value in node.inputs.items():
            if isinstance(value, ExternalArtifact):
                model, link = artifact_of(snapshot, value.ref, value.name, run=value.run, store=lambda: client.store)
                found.inputs[node.name, parameter] = _input_reference(client, model, link, trusted=value.trusted)
    for name, config in configs.items():
        key, written = version_key(config), chosen[name].name
        if not config.create_new_model_version:
            model, number, found.settled[key] = _existing_version(snapshot, config, written)
            found.versions[key] = snapshot.version(model, number)
            continue
        _, settled = snapshot.model_to_change(ModelRef(written, renumbered=config.renumbered))
        found.settled[key] = found.settled.get(key, frozenset()) | settled
        _check_agreement(
            config, [other for _, other in givers if other.create_new_model_version and version_key(other) == key]
        )
    found.configs = {name: _merged(snapshot, config, givers) for name, config in configs.items()}
    for config in found.configs.values():
        if config.create_new_model_version and (record := _check_new(snapshot, config)) is not None:
            found.models[version_key(config)] = record
    return found


def readable_artifacts(client: Client, model: str, links: Sequence[ArtifactLink]) -> dict[str, InputReference]:
    """Return, by name, the artifacts *links* of *model*, as inputs that a step can load.

    Finds the store of the model only once, because this takes 3 ms.
    """
    if not links:
        return {}
    stored = next((_input_reference(client, model, link) for link in links if link.uri is None), None)
    return {
        link.name: replace(stored, **_facts_of(link))
        if stored is not None and link.uri is None
        else _input_reference(client, model, link)
        for link in links
    }


def _input_reference(client: Client, model: str, link: ArtifactLink, *, trusted: bool = False) -> InputReference:
    """Return the artifact *link* of *model* as an input of a step. *trusted* is the field of `InputReference`."""
    return InputReference(
        **_facts_of(link),
        trusted=trusted,
        names=() if trusted else client.trusted_names(),
        suggested=() if trusted else client.suggested_names(),
        place=client.access.place(model, link),
    )


def _facts_of(link: ArtifactLink) -> dict[str, Any]:
    return {
        "digest": link.digest,
        "format": link.format,
        "modules": tuple(name.rpartition(".")[0] for name in link.needs_trust),
        "size": link.size,
        "file": link.file,
    }


def _existing_version(snapshot: Snapshot, config: ModelConfig, written: str) -> tuple[str, int, frozenset[Numbered]]:
    """Return the version that *config* selects: its model and number, and the references in `Target.settled`.

    *written* is the name of the model that the user wrote; a pull may have renamed the model. Raises NotFound if there
    is no such version.
    """
    ref = replace(VersionRef.of(written, config.selector), renumbered=config.renumbered)
    try:
        return snapshot.resolve_to_change(ref)
    except NotFound as error:
        new = "to create a version, add create_new_model_version=True to the ModelConfig"
        raise NotFound(error.message, hint=f"{new}; {error.hint}") from None


def _with_current_name(snapshot: Snapshot, config: ModelConfig) -> ModelConfig:
    current: ModelConfig = config.model_copy(update={"name": snapshot.current_name(config.name)})
    return current


def _merged(snapshot: Snapshot, config: ModelConfig, givers: list[tuple[str, ModelConfig]]) -> ModelConfig:
    """Return *config* with the fields that other configurations of the same new version have set.

    *givers* has each configuration, with the step or pipeline that has it. Raises UsageError if two configurations have
    different values for a field. Ignores the descriptive fields of a model that exists already.
    """
    if not config.create_new_model_version:
        return config
    is_new = snapshot.load(paths.model_file(config.name), records.ModelRecord) is None
    merged: dict[str, Any] = {}
    said_by: dict[str, str] = {}
    for giver, other in givers:
        if not other.create_new_model_version or version_key(other) != version_key(config):
            continue
        given = read_description(other.described()) if is_new else {}
        for key in ("delete_new_version_on_failure", "version_description", "version_tags"):
            if key in other.model_fields_set:
                given[key] = getattr(other, key)
        for key, value in given.items():
            if merged.setdefault(key, value) != value:
                raise UsageError(
                    f"{said_by[key]} and {giver} disagree on {key} of the new "
                    f"{'model' if is_new else 'version of'} {config.name}: {_shown(merged[key])} and {_shown(value)}",
                    hint=f"give {key} in one of the two, or the same value in both",
                )
            said_by.setdefault(key, giver)
    whole: ModelConfig = config.model_copy(
        update={key: list(value) if isinstance(value, tuple) else value for key, value in merged.items()}
    )
    return whole


def _shown(value: Any) -> str:
    return ", ".join(value) if isinstance(value, tuple) else ascii(value)


def _check_agreement(config: ModelConfig, others: list[ModelConfig]) -> None:
    for other in others:
        if (other.name, other.new_name) != (config.name, config.new_name):
            first, second = config.new_name or "no name", other.new_name or "no name"
            if config.name != other.name:
                first, second = config.name, other.name
            raise UsageError(
                f"two configurations differ on the new version of {config.name}: {first} and {second}",
                hint="a run creates one version of a model: give its name in one place, or the same name in both",
            )


def _check_new(snapshot: Snapshot, config: ModelConfig) -> records.ModelRecord | None:
    """Return the record of the model of *config*; None if the model does not exist yet.

    Raises an error if gitmodel could not create the new version, or its model, at the end of the run.
    """
    record = snapshot.load(paths.model_file(config.name), records.ModelRecord)
    if record is None:
        model_plans.plan_registration(snapshot, config.name, read_description(config.described()), now=_ANY_TIME)
    else:
        snapshot.model(config.name)
        if config.new_name and failed_version(snapshot, config) is None:
            version_plans.check_free_name(snapshot, config.name, config.new_name, instead=_OTHER_VERSION_NAME)
    return record


def failed_version(snapshot: Snapshot, config: ModelConfig) -> VersionRecord | None:
    """Return the failed version that a run with *config* continues; None if there is no such version."""
    model = config.name
    number = snapshot.number_named(model, config.new_name) if config.new_name else snapshot.last_number(model)
    if not number:
        return None
    old = snapshot.version(model, number)
    return old if old.failed and old.deleted is None and old.name == config.new_name else None


def _check_outputs(pipeline: str, graph: Graph, steps: list[str]) -> tuple[str, ...]:
    """Return the names of the outputs of *steps*, which become artifacts of one new version.

    Raises UsageError if two steps have an output of the same name, or if the outputs are too many for one record.
    """
    owners: dict[str, str] = {}
    size = _RESERVE_BYTES
    for step in steps:
        for name in graph.nodes[step].outputs:
            other = owners.setdefault(fold(name), step)
            if other != step:
                raise UsageError(
                    f"steps {other} and {step} both have an output called {name}",
                    hint='give them different names: -> Annotated[T, "name"]',
                )
            link = ArtifactLink(
                name=name,
                kind="deployment",
                digest=NO_DIGEST,
                size=10**12,
                format="safetensors",
                pipeline=pipeline,
                step=step,
                file=f"{name}.safetensors",
            )
            size += len(codec.encode(link)) + len("[[artifacts]]\n\n")
    if size > codec.MAX_BYTES:
        raise UsageError(
            f"a version cannot hold the outputs of that many steps ({len(owners)})",
            hint="return several files as one folder, or leave steps without a model_config",
        )
    return tuple(name for step in steps for name in graph.nodes[step].outputs)


def _report_differences(resolved: Resolved) -> None:
    """Log a warning for each model whose record differs from its configuration. The warning names the fields."""
    told: dict[str, dict[str, None]] = {}
    for config in resolved.configs.values():
        record = resolved.models.get(version_key(config))
        if record is not None:
            given = read_description(config.described())
            fields = [field for field, value in given.items() if getattr(record, field) != value]
            told.setdefault(config.name, {}).update(dict.fromkeys(fields))
    for model, differing in told.items():
        if differing:
            log.warning(
                "model %s keeps its recorded %s, which the ModelConfig gives differently (to change it, use "
                "`git model update %s`)",
                model,
                " and ".join(differing),
                model,
            )
