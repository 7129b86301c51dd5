"""Choosing the versions that a run works on when the run starts, and reserving numbers and names for new versions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import field, replace

from gitmodel.branch.runs.run_journal import Journal
from gitmodel.branch.transactions.transaction import reserve
from gitmodel.client import Client
from gitmodel.domain.schema.recorded_renumberings import Numbered
from gitmodel.domain.schema.records import VersionRecord
from gitmodel.domain.schema.references import ModelRef, VersionRef
from gitmodel.domain.snapshots.snapshot import Snapshot
from gitmodel.errors import Conflict
from gitmodel.frozen import Frozen
from gitmodel.pipelines.active_runs.resolved_references import Resolved, failed_version, readable_artifacts, version_key
from gitmodel.pipelines.declarations.config import ModelConfig
from gitmodel.pipelines.step_context.step_requests import InputReference, VersionFacts


class Target(Frozen):
    """The version that a step works on.

    *new* is True if the run creates the version. *continues* is True if an earlier run created the version and failed,
    and this run continues the version. *stages* has the names of the registry's stages. *artifacts* has the names of
    the version's artifacts, including those that the run will add. gitmodel numbers the pulls that renumber versions:
    *since* is the number of the last such pull before the run, after which the version had the number *number*.
    *settled* has references that a pull gave to other versions, and whose new meaning the user has confirmed. After the
    commit of the run, gitmodel no longer refuses to write with these references. For a version that existed before the
    run, *record* is its record and *readable* has its artifacts by name.
    """

    config: ModelConfig
    model: str
    number: int
    name: str | None
    new: bool
    continues: bool = False
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
        """A reference to a version that existed before the run. It stays correct if a pull renumbers the version."""
        return VersionRef(self.model, str(self.number), since=self.since)

    @property
    def model_ref(self) -> ModelRef:
        """A reference to the model. It stays correct if a pull gives the model another name."""
        return ModelRef(self.model, since=self.since)

    @property
    def keeps_failed(self) -> bool:
        """True if a failed run keeps the version, marked as failed."""
        return not self.config.delete_new_version_on_failure

    def facts(self) -> VersionFacts:
        """Return those facts about the version that the run sends to the process of a step."""
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


def reserve_targets(client: Client, resolved: Resolved, journal: Journal, run: str) -> dict[str, Target]:
    """Reserve the number and name of each new version in *resolved* for the run with the id *run*.

    Returns the version of each step, by the name of the step. *journal* has the active runs. If one reservation fails,
    releases the others. A name stays reserved until the run has ended. Raises Conflict if another active run has
    reserved the same name.
    """
    targets: dict[str, Target] = {}
    made: dict[str, Target] = {}
    try:
        for name, config in resolved.configs.items():
            key = version_key(config)
            if key not in made:
                made[key] = _target(client, resolved, config, journal, run)
            targets[name] = replace(made[key], config=config)
    except BaseException:
        for target in made.values():
            if target.new:
                client.repository.reservations.release(target.model, target.number)
        release_names(client, made.values(), run)
        raise
    return targets


def release_names(client: Client, targets: Iterable[Target], run: str) -> None:
    """Release the names that the run with the id *run* reserved for the new versions among *targets*."""
    if any(target.new and target.name for target in targets):
        client.repository.reservations.release_names(run)


def _target(client: Client, resolved: Resolved, config: ModelConfig, journal: Journal, run: str) -> Target:
    key = version_key(config)
    old = resolved.versions.get(key)
    if old is not None:
        number, name, again, artifacts = old.number, old.name, False, tuple(link.name for link in old.artifacts)
    else:
        number, again = _reserve(client, config, journal, run)
        name, artifacts = config.new_name, resolved.outputs[key]
    return Target(
        config,
        config.name,
        number,
        name,
        old is None,
        again,
        resolved.stages,
        artifacts,
        resolved.since,
        resolved.settled[key],
        old,
        readable_artifacts(client, config.name, old.artifacts if old is not None else ()),
    )


def release_numbers(client: Client, targets: Iterable[Target], journal: Journal) -> None:
    """Delete the reserved numbers that no run needs, of the models for which *targets* has a new version.

    These are the numbers that are not above the model's last number, because no new version gets such a number. Keeps
    the reservations of active runs, which *journal* has.
    """
    models = {target.model for target in targets if target.new}
    reservations = client.repository.reservations
    used_up = client.repository.read(reservations.used_up) if models else []
    in_use = {name for noted in journal.running() for name in noted.get("reserved", ())} if used_up else set()
    for model, number in used_up:
        if model in models and f"{model}@{number}" not in in_use:
            reservations.release(model, number)


def _reserve(client: Client, config: ModelConfig, journal: Journal, run: str) -> tuple[int, bool]:
    """Reserve a number for the new version of *config*. Return the number, and True if it is that of a failed version.

    The run then continues this failed version. Raises Conflict if another active run uses the name of the new version.
    """
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
    """If no active run uses the reservation of the failed version *number*, release the reservation and return True."""
    if any(f"{model}@{number}" in noted.get("reserved", ()) for noted in journal.running()):
        return False
    client.repository.reservations.release(model, number)
    return True
