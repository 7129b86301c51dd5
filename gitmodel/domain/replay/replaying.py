"""Replaying a local commit on the remote's branch: record by record, key by key, with new numbers if needed. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from gitmodel.domain.changes import models
from gitmodel.domain.changes.changed_files import ChangedFiles
from gitmodel.domain.changes.planned_change import Justification
from gitmodel.domain.changes.runs import with_versions
from gitmodel.domain.changes.stages import leftovers, without_leftovers
from gitmodel.domain.replay.broken_invariants import Fault, Place, faults
from gitmodel.domain.replay.left_out import FileInReplay, left_out
from gitmodel.domain.replay.merging import merged
from gitmodel.domain.replay.replayed_changes import PLACES, Replayed, ReplayState
from gitmodel.domain.schema import codec, paths, records
from gitmodel.domain.schema.codec import Problem, R
from gitmodel.domain.schema.names import fold
from gitmodel.domain.schema.paths import RecordPath
from gitmodel.domain.schema.records import ModelRecord, NameRecord, RunRecord, StageRecord, VersionRecord
from gitmodel.domain.schema.registry_rules import registry_record
from gitmodel.domain.schema.registry_rules.registry_file import decode_registry, merged_registry
from gitmodel.domain.snapshots.snapshot import Snapshot
from gitmodel.domain.snapshots.snapshot_sources import Files, NoTags
from gitmodel.domain.snapshots.version_numbers import check_number
from gitmodel.errors import GitModelError, Refused


def replay(before: Snapshot, after: Files, changed: Iterable[str], onto: Snapshot, state: ReplayState) -> Replayed:
    """Replay a local commit on *onto*, the remote's branch on which the earlier local commits were replayed already.

    The commit changed the files at the paths *changed* from *before* to *after*. A new version whose number is taken in
    *onto* gets the next free number. Adds new numbers and names of models to *state*, and uses those in *state* in all
    references. If both sides changed the same key, keeps the remote's change. The conflicts in the result describe all
    local changes that are left out.
    """
    return _Replay(before, after, changed, onto, state).run()


class _Replay:
    """The replay of one local commit; see `replay`. "There" in names and comments means on the remote's branch."""

    def __init__(
        self, before: Snapshot, after: Files, changed: Iterable[str], onto: Snapshot, state: ReplayState
    ) -> None:
        self.done = Replayed()
        self.state = state
        self.after = after
        self.was = onto.files
        self.prior: dict[str, bytes | None] = {}
        # `proposed=True` allows changes of `proposal_only` stages: they were checked when the local commit was made.
        self.before = replace(before, files=ChangedFiles(before.files, self.prior), tags=NoTags(), proposed=True)
        self.onto = replace(onto, files=ChangedFiles(onto.files, self.done.files), tags=NoTags())
        self.found = [(path, paths.parse_path(path)) for path in changed]
        # The files that renaming or deleting a model changes, and the models that the commit renames or deletes.
        self.planned: dict[str, bytes | None] = {}
        self.settled: set[str] = set()
        # The models whose stages and aliases stay as they are on the remote, because a change of one was refused.
        self.refused: set[str] = set()
        # The stages and aliases (`Place`) for which a conflict is already reported, so that `_name_left_out` does not
        # report them again.
        self.named: set[Place] = set()

    def run(self) -> Replayed:
        self._follow_names()
        for _, what in self.found:
            if what is not None and what.kind == "model":
                self._rename_or_delete(what.model)
        self._keep_registered_names()
        self._take_numbers()
        for path, what in self.found:
            if what is None or what.model not in self.settled:
                self._merge_file(path, what)
        self._drop_lost_names()
        self._make_sound()
        self._name_left_out()
        self.done.files = {path: data for path, data in self.done.files.items() if data != self.was.read(path)}
        self._tell()
        return self.done

    def _tell(self) -> None:
        """Collect facts for the message of the replayed commit.

        These are the previous versions of the stages and aliases that it changes, and the versions that it changes or
        puts into stages and aliases.
        """
        for path, data in self.done.files.items():
            what = paths.parse_path(path)
            if what is None or data is None:
                continue
            if what.kind == "version":
                self.done.versions.setdefault(what.model, set()).add(int(what.key))
            elif what.kind in ("stage", "alias"):
                held = self._read(records.StageRecord, self.was, path)
                self.done.previous[what.key] = held.version if held else None
                entered = codec.decode(records.StageRecord, data, path, newer=True).version
                self.done.versions.setdefault(what.model, set()).add(entered)

    # Models

    def _follow_names(self) -> None:
        """Record the remote's names of local models in the state.

        A name can differ because the model was renamed on the remote, or because the remote has a name in another case.
        """
        for model in {what.model for _, what in self.found if what is not None and what.model}:
            there = self.onto.current_name(self.state.model(model))
            if self.onto.files.read(paths.model_file(there)) is None:
                there = next((other for other in self.onto.model_names() if fold(other) == fold(there)), there)
                there = self.onto.current_name(there)
            if there != self.state.model(model):
                self.state.follow(model, model, there)

    def _keep_registered_names(self) -> None:
        """Report a conflict for each model that was registered locally and has another name on the remote."""
        for path, what in self.found:
            if what is None or what.kind != "model" or what.model in self.settled:
                continue
            there = self.state.model(what.model)
            if self.before.files.read(path) is None and there != what.model:
                self._conflict(
                    f"{what.model} was registered here, and is called {there} at the remote; the remote's was kept"
                )

    def _rename_or_delete(self, model: str) -> None:
        path = paths.model_file(model)
        now = self._read(records.ModelRecord, self.after, path)
        old = self._read(records.ModelRecord, self.before.files, path)
        if now is None or old is None or not old.exists:
            return
        there = self.state.model(model)
        if now.renamed_to:
            self._rename(model, now.renamed_to, there)
        elif now.deleted is not None:
            self._delete(model, there, now)

    def _delete(self, model: str, there: str, now: ModelRecord) -> None:
        assert now.deleted is not None
        self.settled.add(model)
        record = self._read(records.ModelRecord, self.onto.files, paths.model_file(there))
        if record is None:
            return
        if record.deleted is not None:
            if now.reason not in ("", record.reason):
                self._conflict(
                    f"{model} was deleted on both sides, with another reason at the remote; the remote's was kept"
                )
        elif there in self.state.changed_there:
            self._conflict(f"{model} was deleted here and changed at the remote; the remote's was kept")
        else:
            try:
                why = Justification(now.reason, force=True)
                change = models.plan_deletion(self.onto, there, now=now.deleted, why=why)
            except Refused as error:
                self._conflict(f"{model} was deleted here, and it stays: {error.message}")
                return
            self._plan(change.files)

    def _rename(self, old: str, new: str, there: str) -> None:
        """Rename the model *old* to *new*, if the remote still calls it *old*.

        *there* is the remote's name of the model. If the remote renamed the model, too, keeps this name and reports a
        conflict.
        """
        self.prior.update(models.plan_rename(self.before, old, new).files)
        self.settled.add(old)
        if there not in (old, new):
            self._keep_name(old, new, there, f"and is called {there} at the remote; the remote's was kept")
        elif there == old:
            try:
                self._plan(models.plan_rename(self.onto, there, new).files)
                if there in self.state.changed_there:
                    self.state.changed_there |= {new}
                there = new
            except GitModelError as error:
                self._keep_name(old, new, there, f"and it stays {there}: {error.message}")
        self.state.follow(old, new, there)

    def _keep_name(self, old: str, new: str, there: str, said: str) -> None:
        self._conflict(f"{old} was renamed to {new} here, {said}")
        self.done.kept_names[old, new] = there

    def _plan(self, files: Mapping[str, bytes | None]) -> None:
        self.planned.update(files)
        self.done.files.update(files)

    # Numbers and names

    def _take_numbers(self) -> None:
        new = {
            (what.model, int(what.key))
            for path, what in self.found
            if what is not None
            and what.kind == "version"
            and what.model not in self.settled
            and self.before.files.read(path) is None
        }
        last: dict[str, int] = {}
        for model, number in sorted(new):
            there = self.state.model(model)
            highest = last.setdefault(there, self.onto.last_number(there))
            free = number
            if free <= highest:
                free = highest + 1
                while self.onto.is_reserved(there, free):
                    free += 1
                check_number(there, free, highest)
                self.state.numbers[model, number] = free
            last[there] = free

    def _path(self, path: str, what: RecordPath | None) -> str:
        if what is None or not what.model:
            return path
        model = self.state.model(what.model)
        if what.kind in ("version", "archived"):
            number = self.state.numbers.get((what.model, int(what.key)), int(what.key))
            return (paths.version_file if what.kind == "version" else paths.archived_file)(model, number)
        return paths.model_folder(model) + path.removeprefix(paths.model_folder(what.model))

    def _carry(self, what: RecordPath | None, data: bytes | None) -> bytes | None:
        """Return the record in *data* with local numbers and names replaced by those on the remote's branch.

        *what* is the parsed path of the record.
        """
        if data is None or what is None or what.kind not in records.RECORDS:
            return data
        numbers = self.state.numbers
        record = codec.decode(records.RECORDS[what.kind], data, what.key, newer=True)
        changed = record
        if isinstance(record, VersionRecord):
            changed = replace(record, number=numbers.get((what.model, record.number), record.number))
        elif isinstance(record, (StageRecord, NameRecord)):
            changed = replace(record, version=numbers.get((what.model, record.version), record.version))
        elif isinstance(record, RunRecord):
            changed = with_versions(record, self._reference)
        return data if changed == record else codec.encode(changed)

    def _reference(self, reference: str) -> str:
        model, at, number = reference.partition("@")
        if number.isdigit():
            number = str(self.state.numbers.get((model, int(number)), number))
        return f"{self.state.model(model)}{at}{number}"

    # Files

    def _merge_file(self, path: str, what: RecordPath | None) -> None:
        target = self._path(path, what)
        base = self._carry(what, self.before.files.read(path))
        ours = self._carry(what, self.after.read(path))
        theirs = self.onto.files.read(target)
        if ours in (theirs, base):
            return
        if what is not None and what.kind == "stage" and self._is_closed(what.key):
            model = self.state.model(what.model)
            self.refused.add(model)
            self._conflict(
                f"{what.key} of {model} takes only reviewed proposals at the remote; the remote's was kept",
                (target, ""),
            )
            return
        if theirs == base:
            self.done.files[target] = ours
        else:
            self._merge(target, what, (base, ours, theirs))

    def _is_closed(self, stage: str) -> bool:
        """Return True if the stage accepts no direct change.

        A stage that accepts direct rollbacks is not closed here: `git model apply` decides whether the change counts.
        """
        rule = self.onto.registry().rule(stage)
        return rule.proposal_only and rule.rollback != "direct"

    def _merge(self, path: str, what: RecordPath | None, sides: tuple[bytes | None, ...]) -> None:
        """Merge a file that both sides changed. If this is impossible, keep the remote's file."""
        base, ours, theirs = sides
        if what is None or what.kind in ("archived", "purge"):
            return
        if what.kind in ("stage", "alias"):
            self.refused.add(self.state.model(what.model))
            return
        if what.kind == "name":
            if ours is not None and theirs is not None:
                self._lose_name(path, self.state.model(what.model), what.key)
            return
        if ours is None or theirs is None:
            return
        if what.kind == "registry":
            self._merge_registry(path, base, ours, theirs)
            return
        kind = records.RECORDS[what.kind]
        old: Any = None if base is None else codec.decode(kind, base, path, newer=True)
        mine: Any = codec.decode(kind, ours, path, newer=True)
        other: Any = codec.decode(kind, theirs, path, newer=True)
        if what.kind == "version" and (mine.deleted is not None or other.deleted is not None):
            return
        if what.kind == "model" and not other.exists:
            return
        if what.kind == "model" and old is None:
            # a model registered on both sides has the remote's creation time
            mine = replace(mine, created=other.created)
        data = codec.encode(merged(old, mine, other))
        if data != theirs:
            self.done.files[path] = data

    def _merge_registry(self, path: str, base: bytes | None, ours: bytes, theirs: bytes) -> None:
        """Merge `gitmodel.toml`: its stages and gates by name, the other settings by key, and its comments.

        If the merged rules have a problem that the remote's file does not have, keeps the remote's file and reports a
        conflict.
        """
        old, mine, other = (
            None if data is None else codec.decode(registry_record.RegistryRecord, data, path, newer=True)
            for data in (base, ours, theirs)
        )
        data = merged_registry(merged(old, mine, other), base or b"", ours, theirs)
        fault = _new_fault(theirs, data)
        if fault is not None:
            said = f"the rules of both sides contradict each other ({fault}); the remote's were kept"
            self._conflict(said, (path, ""))
        elif data != theirs:
            self.done.files[path] = data

    def _conflict(self, text: str, *of: Place) -> None:
        self.done.conflicts.append(text)
        self.named.update(of)

    def _lose_name(self, path: str, model: str, name: str) -> None:
        self._conflict(
            f"the name {name} of {model} was given to another version at the remote, which keeps it", (path, "")
        )
        self.done.lost_names.append(name)

    def _drop_lost_names(self) -> None:
        """Remove the name of a local version if another version, stage or alias has this name on the remote."""
        for path, data in list(self.done.files.items()):
            what = paths.parse_path(path)
            if what is None or what.kind != "version" or data is None:
                continue
            record = codec.decode(records.VersionRecord, data, path, newer=True)
            if record.name is None:
                continue
            home = paths.name_file(what.model, record.name)
            clash = self._clash(what.model, record.name)
            if clash and self.was.read(home) is None:
                self.done.files.pop(home, None)
                said = f"the name {record.name} of {what.model} is taken at the remote by {clash}, which was kept"
                self._conflict(said, (home, ""))
                self.done.lost_names.append(record.name)
            given = self._read(records.NameRecord, self.onto.files, home)
            if given is None or given.version != record.number:
                self.done.files[path] = codec.encode(replace(record, name=None))
                self.named.add((path, "name"))

    def _clash(self, model: str, name: str) -> str:
        """Return the version, stage or alias on the remote that has *name*, ignoring case; "" if the name is free."""
        for stage in self.onto.registry().stage_names:
            if fold(stage) == fold(name):
                return f"the stage {stage}"
        for file in self.onto.files.names(paths.name_folder(model, name)):
            if file != f"{name}.toml" and fold(file.removesuffix(".toml")) == fold(name):
                return file.removesuffix(".toml")
        aliases = [alias for alias in self.onto.recorded_aliases(model) if fold(alias) == fold(name)]
        return f"the alias {aliases[0]}" if aliases else ""

    # All records

    def _make_sound(self) -> None:
        """Drop local changes that break invariants together with changes of the remote.

        An example is a stage with a version that the remote deleted.
        """
        for model in sorted({what.model for _, what in self._touched()} | self.refused):
            if model in self.refused:
                self._drop(model, PLACES)
            before = set(self._faults(self.was, model))
            found = [fault for fault in self._faults(self.onto.files, model) if fault not in before]
            if found:
                for fault in found:
                    self._conflict(f"{fault.text}; the remote's was kept", *fault.of)
                self._drop(model, PLACES)
            if found and set(self._faults(self.onto.files, model)) - before:
                self._keep_new_versions(model)
            if found and set(self._faults(self.onto.files, model)) - before:
                self._drop(model, tuple(records.RECORDS) + PLACES)
            self._tidy(model)

    def _touched(self, model: str = "") -> list[tuple[str, RecordPath]]:
        found = ((path, paths.parse_path(path)) for path in self.done.files)
        return [(path, what) for path, what in found if what is not None and what.model and model in ("", what.model)]

    def _drop(self, model: str, kinds: tuple[str, ...]) -> None:
        """Drop all local changes of *model* in records of *kinds*, so that no part of a promotion remains.

        Keeps the changes by which the commit renames or deletes the model.
        """
        for path, what in self._touched(model):
            if what.kind not in kinds:
                continue
            if path in self.planned:
                self.done.files[path] = self.planned[path]
            else:
                del self.done.files[path]

    def _keep_new_versions(self, model: str) -> None:
        for path, what in self._touched(model):
            data = self.done.files[path]
            if what.kind == "version" and data is not None and self.was.read(path) is None:
                record = codec.decode(records.VersionRecord, data, path, newer=True)
                if record.name is not None:
                    self.done.lost_names.append(record.name)
                    self.done.files[path] = codec.encode(replace(record, name=None))
                    self.named.add((path, "name"))
            elif path not in self.planned:
                del self.done.files[path]

    def _tidy(self, model: str) -> None:
        """Drop the local changes of stages if they put a version into one stage, and the remote puts it into another.

        Afterwards, deletes the `leftovers` of the model.
        """
        if not self._touched(model):
            return
        for path in leftovers(self.onto, model):
            what = paths.parse_path(path)
            if what is not None and what.kind == "stage" and self.done.files.get(path) is not None:
                record = self._read(records.StageRecord, self.onto.files, path)
                held = f"here version {record.version}" if record is not None else "here no version"
                self._conflict(f"{model} {what.key}: {held}, which is in another stage at the remote", (path, ""))
                self._drop(model, PLACES)
                break
        if self._touched(model):
            self.done.files.update(without_leftovers(self.onto, model, {}))

    def _faults(self, files: Files, model: str) -> Iterator[Fault]:
        return faults(replace(self.onto, files=files), self.was, model, [path for path, _ in self._touched(model)])

    def _name_left_out(self) -> None:
        """Report a conflict for every local change that the replay lost and that no conflict is about yet."""
        for path, what in self.found:
            if what is not None and what.model in self.settled:
                continue
            target = self._path(path, what)
            base, ours = (self._carry(what, files.read(path)) for files in (self.before.files, self.after))
            theirs, now = self.was.read(target), self.onto.files.read(target)
            there = paths.parse_path(target)
            number = int(there.key) if there is not None and there.kind in ("version", "archived") else 0
            model = there.model if there is not None else ""
            for place, said in left_out(what, FileInReplay(target, base, ours, theirs, now, model, number)):
                if not {place, (target, "")} & self.named:
                    self._conflict(said)

    @staticmethod
    def _read(kind: type[R], files: Files, path: str) -> R | None:
        return files.load(path, kind, newer=True)


def _new_fault(theirs: bytes, merged: bytes) -> Problem | None:
    """Return a problem of the stages in *merged*, the merged `gitmodel.toml`, that *theirs* does not have, or None."""
    known, found = (decode_registry(data, paths.REGISTRY).faults for data in (theirs, merged))
    return next((fault for fault in found if fault not in known), None)
