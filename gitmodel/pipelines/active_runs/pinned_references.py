"""Pinning references when a run starts: to versions, new numbers and artifacts of other versions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import field, replace

from gitmodel.branch.runs.run_journal import Journal
from gitmodel.branch.transactions.transaction import reserve
from gitmodel.client import Client
from gitmodel.domain.schema.records import VersionRecord
from gitmodel.domain.schema.references import ModelRef, VersionRef
from gitmodel.domain.schema.renumbering import Numbered
from gitmodel.domain.snapshots.snapshot import Snapshot
from gitmodel.errors import Conflict
from gitmodel.frozen import Frozen
from gitmodel.pipelines.active_runs.resolved_references import Resolved, failed_version, readable_artifacts, version_key
from gitmodel.pipelines.declarations.config import ModelConfig
from gitmodel.pipelines.step_context.step_requests import InputReference, VersionFacts


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


def pin(client: Client, found: Resolved, journal: Journal, run: str) -> Pinned:
    """Reserve a number and the name for each new version in *found*. If one is impossible, reserve none.

    A name is reserved until the run with the id *run* is over. Raises Conflict.
    """
    targets: dict[str, Target] = {}
    made: dict[str, Target] = {}
    try:
        for name, config in found.configs.items():
            key = version_key(config)
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
    key = version_key(config)
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
        readable_artifacts(client, config.name, old.artifacts if old is not None else ()),
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


def _reserve(client: Client, config: ModelConfig, journal: Journal, run: str) -> tuple[int, bool]:
    """Reserve the number of the new version. Return it, and True if it is a failed version to continue."""
    again: set[int] = set()

    def take(snapshot: Snapshot) -> int:
        old = failed_version(snapshot, config)
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
