"""Pinning references when a run starts: to versions, new numbers and artifacts of other versions."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from typing import Any

from gitmodel.branch.runs.run_journal import Journal
from gitmodel.branch.transactions.transaction import reserve
from gitmodel.client import Client
from gitmodel.domain.arguments.description import read_description
from gitmodel.domain.changes import models as model_plans
from gitmodel.domain.changes import versions as version_plans
from gitmodel.domain.schema import codec, paths, records
from gitmodel.domain.schema.names import fold
from gitmodel.domain.schema.records import NO_DIGEST, ArtifactLink, VersionRecord
from gitmodel.domain.schema.references import ModelRef, VersionRef
from gitmodel.domain.schema.renumbering import Numbered
from gitmodel.domain.snapshots.snapshot import Snapshot
from gitmodel.errors import Conflict, NotFound, UsageError
from gitmodel.frozen import Frozen
from gitmodel.pipelines.declarations.config import ExternalArtifact, ModelConfig
from gitmodel.pipelines.declarations.graph import Graph
from gitmodel.pipelines.workers.step_requests import InputReference, VersionFacts
from gitmodel.registry.recorded_runs.run_outputs import artifact_of

log = logging.getLogger("gitmodel.pipelines")

# Bytes in the record of a version that are kept free for metadata, description and code.
_RESERVE_BYTES = 8_192
_OTHER_VERSION_NAME = (
    "leave version out of the ModelConfig, choose another for this call with with_options(model_config=...), or name "
    "the new version in a step: get_step_context().model_version.update(name=...)"
)
_ANY_TIME = datetime.fromtimestamp(0, timezone.utc)


class Target(Frozen):
    """The version that a step works on: *new* if the run creates it, *again* if the run continues a failed one.

    *artifacts* has the names of the version's artifacts, also of those that the run will add. The number is the number
    after the pull *since*. *settled* has notes of a renumbering, which the run drops. *record* is the record of a
    version that existed before the run, and *readable* has its artifacts by name.
    """

    config: ModelConfig
    model: str
    number: int
    name: str | None
    new: bool
    again: bool = False
    stages: tuple[str, ...] = ()
    artifacts: tuple[str, ...] = ()
    since: int = 0
    settled: frozenset[Numbered] = frozenset()
    record: VersionRecord | None = None
    readable: Mapping[str, InputReference] = field(default_factory=dict)

    @property
    def reference(self) -> str:
        return f"{self.model}@{self.number}"

    @property
    def numbered(self) -> Numbered:
        return self.model, self.number

    @property
    def ref(self) -> VersionRef:
        """A reference that follows the version, if it existed before the run."""
        return VersionRef(self.model, str(self.number), since=self.since)

    @property
    def model_ref(self) -> ModelRef:
        """A reference that follows the model."""
        return ModelRef(self.model, since=self.since)

    @property
    def keeps_failed(self) -> bool:
        """True if a failed run keeps the version, marked as failed."""
        return not self.config.delete_new_version_on_failure

    def facts(self) -> VersionFacts:
        """Return the facts about the version that a worker gets."""
        return VersionFacts(
            self.model,
            self.number,
            self.name,
            self.new,
            self.stages,
            self.artifacts,
            record=self.record,
            readable=self.readable,
        )


class Pinned(Frozen):
    """The references of a pipeline as its run found them: *targets* by step, *inputs* by step and parameter."""

    targets: dict[str, Target]
    inputs: dict[tuple[str, str], InputReference]

    def with_inputs(self, digests: Mapping[tuple[str, str], str]) -> Pinned:
        """Return a copy in which each input whose step and parameter are a key of *digests* has that digest."""
        inputs = dict(self.inputs)
        for place, digest in digests.items():
            if place in inputs and inputs[place].digest != digest:
                inputs[place] = replace(inputs[place], digest=digest, size=None)  # no record has the new size
        return replace(self, inputs=inputs)


def resolve(client: Client, pipeline: str, graph: Graph, default: ModelConfig | None) -> Resolved:
    """Resolve all references of the pipeline from one snapshot, without changing anything.

    Raises NotFound for an unknown version, Conflict and UsageError for configurations that disagree or cannot be
    recorded at the end of the run.
    """
    given = {node.name: node.step.model_config or default for node in graph.nodes.values()}
    chosen = {name: config for name, config in given.items() if config is not None}
    found = client.repository.read(lambda snapshot: _resolve(client, snapshot, graph, chosen, default))
    for model in dict.fromkeys(config.name for config in found.configs.values()):
        client.access.urls(model)  # opened here, so that an unusable store is an error before a step runs
    for config in found.configs.values():
        key = _version_key(config)
        if key not in found.versions and key not in found.outputs:
            steps = [step for step, other in found.configs.items() if _version_key(other) == key]
            found.outputs[key] = _check_outputs(pipeline, graph, steps)
    _report_differences(found)
    return found


def pin(client: Client, found: Resolved, journal: Journal, run: str) -> Pinned:
    """Reserve a number and the name for each new version in *found*. If one is impossible, reserve none.

    A name is reserved until the run with the id *run* is over. Raises Conflict.
    """
    targets: dict[str, Target] = {}
    made: dict[str, Target] = {}
    try:
        for name, config in found.configs.items():
            key = _version_key(config)
            if key not in made:
                made[key] = _target(client, found, config, journal, run)
            targets[name] = replace(made[key], config=config)
    except BaseException:
        for target in made.values():
            if target.new:
                client.repository.reservations.release(target.model, target.number)
        release_names(client, made.values(), run)
        raise
    return Pinned(targets, found.inputs)


def release_names(client: Client, targets: Iterable[Target], run: str) -> None:
    """Drop the reservations of names for the new versions among *targets* by the run with the id *run*."""
    if any(target.new and target.name for target in targets):
        client.repository.reservations.release_names(run)


def _target(client: Client, found: Resolved, config: ModelConfig, journal: Journal, run: str) -> Target:
    key = _version_key(config)
    old = found.versions.get(key)
    if old is not None:
        number, name, again, artifacts = old.number, old.name, False, tuple(link.name for link in old.artifacts)
    else:
        number, again = _reserve(client, config, journal, run)
        name, artifacts = config.new_name, found.outputs[key]
    return Target(
        config,
        config.name,
        number,
        name,
        old is None,
        again,
        found.stages,
        artifacts,
        found.since,
        found.settled[key],
        old,
        _readable(client, config.name, old.artifacts if old is not None else ()),
    )


def release_numbers(client: Client, targets: Iterable[Target], journal: Journal) -> None:
    """Drop reservations of the run's models whose numbers the branch has reached, except those of active runs."""
    models = {target.model for target in targets if target.new}
    reservations = client.repository.reservations
    used_up = client.repository.read(reservations.used_up) if models else []
    in_use = {name for noted in journal.running() for name in noted.get("reserved", ())} if used_up else set()
    for model, number in used_up:
        if model in models and f"{model}@{number}" not in in_use:
            reservations.release(model, number)


def _version_key(config: ModelConfig) -> str:
    return f"{fold(config.name)}@" if config.create_new_model_version else f"{config.name}@{config.selector}"


@dataclass
class Resolved:
    """The configurations by step, with the models' current names, and the inputs, from one snapshot.

    *outputs* has the names of the artifacts of each new version. *since* is the last pull before the run that
    renumbered versions, and *settled* has the notes on these versions that the run drops.
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
        key, written = _version_key(config), chosen[name].name
        if not config.create_new_model_version:
            model, number, found.settled[key] = _existing_version(snapshot, config, written)
            found.versions[key] = snapshot.version(model, number)
            continue
        _, settled = snapshot.model_to_change(ModelRef(written, config.renumbered))
        found.settled[key] = found.settled.get(key, frozenset()) | settled
        _check_agreement(
            config, [other for _, other in givers if other.create_new_model_version and _version_key(other) == key]
        )
    found.configs = {name: _merged(snapshot, config, givers) for name, config in configs.items()}
    for config in found.configs.values():
        if config.create_new_model_version and (record := _check_new(snapshot, config)) is not None:
            found.models[_version_key(config)] = record
    return found


def _readable(client: Client, model: str, links: Sequence[ArtifactLink]) -> dict[str, InputReference]:
    """Return the references of the artifacts of a version by name. Finds the store of *model* only once."""
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
    """Return the reference of an artifact of *model* as an input of a step."""
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
    """Return the version of the model *written* that *config* selects. Raises NotFound."""
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
    """Return *config* with the fields that other configurations of the same new version give.

    Raises UsageError if two configurations have different values. The descriptive fields of the model count only if the
    model does not exist yet.
    """
    if not config.create_new_model_version:
        return config
    is_new = snapshot.load(paths.model_file(config.name), records.ModelRecord) is None
    merged: dict[str, Any] = {}
    said_by: dict[str, str] = {}
    for giver, other in givers:
        if not other.create_new_model_version or _version_key(other) != _version_key(config):
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
                hint="they share one version: give them the same name",
            )


def _check_new(snapshot: Snapshot, config: ModelConfig) -> records.ModelRecord | None:
    """Return the model's record; None if the model does not exist. Raises the errors of creating the new version."""
    record = snapshot.load(paths.model_file(config.name), records.ModelRecord)
    if record is None:
        model_plans.plan_registration(snapshot, config.name, read_description(config.described()), now=_ANY_TIME)
    else:
        snapshot.model(config.name)
        if config.new_name and _failed(snapshot, config) is None:
            version_plans.check_free_name(snapshot, config.name, config.new_name, instead=_OTHER_VERSION_NAME)
    return record


def _failed(snapshot: Snapshot, config: ModelConfig) -> VersionRecord | None:
    """Return the version of a failed run that a run with *config* continues; None if there is none."""
    model = config.name
    number = snapshot.number_named(model, config.new_name) if config.new_name else snapshot.last_number(model)
    if not number:
        return None
    old = snapshot.version(model, number)
    return old if old.failed and old.deleted is None and old.name == config.new_name else None


def _reserve(client: Client, config: ModelConfig, journal: Journal, run: str) -> tuple[int, bool]:
    """Reserve the number of the new version. Return it, and True if it is a failed version to continue."""
    again: set[int] = set()

    def take(snapshot: Snapshot) -> int:
        old = _failed(snapshot, config)
        if old is None:
            return snapshot.next_number(config.name)
        if not snapshot.is_reserved(config.name, old.number) or _is_stale(client, config.name, old.number, journal):
            again.add(old.number)
            return old.number
        if config.new_name:
            raise Conflict(f"another run is using {config.name} {config.new_name}", hint="wait until it has ended")
        return snapshot.next_number(config.name)

    number = reserve(client.repository, config.name, take, name=config.new_name, run=run)
    return number, number in again


def _is_stale(client: Client, model: str, number: int, journal: Journal) -> bool:
    """Release the failed version's reservation if a killed run left it. Return True if it was released."""
    if any(f"{model}@{number}" in noted.get("reserved", ()) for noted in journal.running()):
        return False
    client.repository.reservations.release(model, number)
    return True


def _check_outputs(pipeline: str, graph: Graph, steps: list[str]) -> tuple[str, ...]:
    """Return the outputs of *steps*. Raises UsageError for two of the same name, or too many for a version."""
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


def _report_differences(found: Resolved) -> None:
    """Log, once for each model, the fields of its configurations that differ from the model's record."""
    told: dict[str, dict[str, None]] = {}
    for config in found.configs.values():
        record = found.models.get(_version_key(config))
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
