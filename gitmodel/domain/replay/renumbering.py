"""The numbers and names that local versions and models have on the remote's branch after a replay. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from gitmodel.domain.changes.runs import with_versions
from gitmodel.domain.schema import codec, paths, records
from gitmodel.domain.schema.paths import RecordPath
from gitmodel.domain.schema.recorded_renumberings import Numbered
from gitmodel.domain.schema.records import NameRecord, RunRecord, StageRecord, VersionRecord
from gitmodel.domain.snapshots.snapshot import Snapshot


@dataclass
class ReplayState:
    """The new numbers and names of local versions and models, from the commits that a pull has replayed so far.

    *numbers* maps each local version that gets another number in the replay, as (model, number), to its new number.
    *models* maps local names of models to those on the remote's branch. *changed_there* are the models that the remote
    changed.
    """

    numbers: dict[Numbered, int] = field(default_factory=dict)
    models: dict[str, str] = field(default_factory=dict)
    changed_there: frozenset[str] = frozenset()

    def model(self, name: str) -> str:
        """Return the name that the local model *name* has on the remote's branch."""
        return self.models.get(name, name)

    def follow(self, old: str, new: str, there: str) -> None:
        """Record that a local commit renames the model *old* to *new*, and that the remote calls this model *there*."""
        if new == there:
            self.models.pop(new, None)
        else:
            self.models[new] = there
        self.numbers.update({(new, ours): theirs for (model, ours), theirs in self.numbers.items() if model == old})

    def take_numbers(self, new: Iterable[Numbered], onto: Snapshot) -> None:
        """Choose a number on the branch *onto* for each new local version in *new*, and record those that change.

        A version keeps its number if this number is higher than all numbers of the model in *onto*. Otherwise it gets
        the next number that is not reserved.
        """
        last: dict[str, int] = {}
        for model, number in sorted(new):
            there = self.model(model)
            highest = last.setdefault(there, onto.last_number(there))
            if number <= highest:
                self.numbers[model, number] = onto.next_number(there, highest)
            last[there] = self.numbers.get((model, number), number)

    def path(self, path: str, what: RecordPath | None) -> str:
        """Return the path on the remote's branch of the local file *path*, whose parsed path is *what*."""
        if what is None or not what.model:
            return path
        model = self.model(what.model)
        if what.kind in ("version", "archived"):
            number = self.numbers.get((what.model, int(what.key)), int(what.key))
            return (paths.version_file if what.kind == "version" else paths.archived_file)(model, number)
        return paths.model_folder(model) + path.removeprefix(paths.model_folder(what.model))

    def record(self, what: RecordPath | None, data: bytes | None) -> bytes | None:
        """Return *data*, the local file at the parsed path *what*, with the numbers and names of the remote's branch.

        A file that is not a record is returned unchanged.
        """
        if data is None or what is None or what.kind not in records.RECORDS:
            return data
        record = codec.decode(records.RECORDS[what.kind], data, what.key, newer=True)
        changed = record
        if isinstance(record, VersionRecord):
            changed = replace(record, number=self.numbers.get((what.model, record.number), record.number))
        elif isinstance(record, (StageRecord, NameRecord)):
            changed = replace(record, version=self.numbers.get((what.model, record.version), record.version))
        elif isinstance(record, RunRecord):
            changed = with_versions(record, self._reference)
        return data if changed == record else codec.encode(changed)

    def _reference(self, reference: str) -> str:
        model, at, number = reference.partition("@")
        if number.isdigit():
            number = str(self.numbers.get((model, int(number)), number))
        return f"{self.model(model)}{at}{number}"


def renumbered(state: ReplayState, ours: Snapshot, after: Snapshot) -> dict[Numbered, Numbered]:
    """Return the new reference, by old reference, of each local version whose reference changed in the replay.

    *ours* is the snapshot of the local branch, *after* the snapshot after the replay. The number 0 stands for the model
    itself. Also includes old references with former names of the model.
    """
    moves: dict[Numbered, Numbered] = {}
    for model, there in state.models.items():
        if after.current_name(model) != (now := after.current_name(there)):
            moves.update({(model, number): (now, number) for number in (0, *ours.numbers(model))})
    for (model, old), new in state.numbers.items():
        moves[model, old] = after.current_name(state.model(model)), new
    for (model, number), target in list(moves.items()):
        for former in ours.former_names(model):
            moves.setdefault((former, number), target)
    return {old: new for old, new in moves.items() if (after.current_name(old[0]), old[1]) != new}
