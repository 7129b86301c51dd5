"""Replaying a local commit on the remote's branch: record by record, key by key, with new numbers if needed. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from gitmodel.domain.changes import models
from gitmodel.domain.changes.changed_files import ChangedFiles
from gitmodel.domain.changes.planned_change import Justification
from gitmodel.domain.changes.stages import leftovers, without_leftovers
from gitmodel.domain.replay.broken_invariants import Fault, Place, faults
from gitmodel.domain.replay.left_out import FileInReplay, left_out
from gitmodel.domain.replay.merging import merged
from gitmodel.domain.replay.renumbering import ReplayState
from gitmodel.domain.replay.replayed_changes import PLACES, Replayed
from gitmodel.domain.schema import codec, paths, records
from gitmodel.domain.schema.codec import R
from gitmodel.domain.schema.names import fold
from gitmodel.domain.schema.paths import RecordPath
from gitmodel.domain.schema.records import ModelRecord
from gitmodel.domain.schema.registry_rules import registry_record
from gitmodel.domain.schema.registry_rules.registry_file import decode_registry, merged_registry
from gitmodel.domain.snapshots.snapshot import Snapshot
from gitmodel.domain.snapshots.snapshot_sources import Files, NoTags
from gitmodel.errors import GitModelError, Refused


def replay(before: Snapshot, after: Files, changed: Iterable[str], onto: Snapshot, state: ReplayState) -> Replayed:
    """Replay a local commit on *onto*, the remote's branch on which the earlier local commits were replayed already.

    The commit changed the files at the paths *changed* from *before* to *after*. A new version whose number *onto* has
    already gets another number. The new numbers of versions and names of models are added to *state*, and all
    references to these versions and models change accordingly. If both sides changed the same key of a record, the
    remote's value stays. `conflicts` of the result describes all local changes that are left out.
    """
    return _Replay(before, after, changed, onto, state).run()


class _Replay:
    """The replay of one local commit; see `replay`. In its methods, *there* is the name of a model on the remote."""

    def __init__(
        self, before: Snapshot, after: Files, changed: Iterable[str], onto: Snapshot, state: ReplayState
    ) -> None:
        self.done = Replayed()
        self.state = state
        self.after = after
        self.theirs = onto.files
        self.prior: dict[str, bytes | None] = {}
        # `proposed=True` allows changes of `proposal_only` stages: they were checked when the local commit was made.
        self.before = replace(before, files=ChangedFiles(before.files, self.prior), tags=NoTags(), proposed=True)
        self.onto = replace(onto, files=ChangedFiles(onto.files, self.done.files), tags=NoTags())
        self.changed = [(path, paths.parse_path(path)) for path in changed]
        # The models that the commit renames or deletes, and the files on the remote's branch that these renames and
        # deletions change.
        self.renamed_or_deleted: set[str] = set()
        self.planned: dict[str, bytes | None] = {}
        # The models whose stages and aliases stay as they are on the remote, because both sides changed one of
        # them, or because the remote accepts only proposals for one of them.
        self.kept_places: set[str] = set()
        # The keys of records that a conflict is about, so that `_report_left_out` does not report them again.
        self.reported: set[Place] = set()

    def run(self) -> Replayed:
        self._follow_names()
        for _, what in self.changed:
            if what is not None and what.kind == "model":
                self._rename_or_delete(what.model)
        self._keep_registered_names()
        others = [
            (path, what) for path, what in self.changed if what is None or what.model not in self.renamed_or_deleted
        ]
        new = [
            what for path, what in others if what and what.kind == "version" and self.before.files.read(path) is None
        ]
        self.state.take_numbers({(what.model, int(what.key)) for what in new}, self.onto)
        for path, what in others:
            self._merge_file(path, what)
        self._drop_lost_names()
        self._drop_broken_changes()
        self._report_left_out()
        self.done.files = {path: data for path, data in self.done.files.items() if data != self.theirs.read(path)}
        self._collect_message_facts()
        return self.done

    def _collect_message_facts(self) -> None:
        """Set `previous` and `versions` of the result, which the message of the replayed commit names."""
        for path, data in self.done.files.items():
            what = paths.parse_path(path)
            if what is None or data is None:
                continue
            if what.kind == "version":
                self.done.versions.setdefault(what.model, set()).add(int(what.key))
            elif what.kind in ("stage", "alias"):
                held = self._read(records.StageRecord, self.theirs, path)
                self.done.previous[what.key] = held.version if held else None
                entered = codec.decode(records.StageRecord, data, path, newer=True).version
                self.done.versions.setdefault(what.model, set()).add(entered)

    # Models

    def _follow_names(self) -> None:
        """Record in the state each model of the commit that has another name on the remote.

        The remote renamed the model, or registered a model with the same name in another case.
        """
        for model in {what.model for _, what in self.changed if what is not None and what.model}:
            there = self.onto.current_name(self.state.model(model))
            if self.onto.files.read(paths.model_file(there)) is None:
                there = next((other for other in self.onto.model_names() if fold(other) == fold(there)), there)
                there = self.onto.current_name(there)
            if there != self.state.model(model):
                self.state.follow(model, model, there)

    def _keep_registered_names(self) -> None:
        """Report a conflict for each model that was registered locally and has another name on the remote."""
        for path, what in self.changed:
            if what is None or what.kind != "model" or what.model in self.renamed_or_deleted:
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
        self.renamed_or_deleted.add(model)
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
        """Rename the model *old* to *new*.

        If the remote renamed the model, too, keeps the remote's name and reports a conflict.
        """
        self.prior.update(models.plan_rename(self.before, old, new).files)
        self.renamed_or_deleted.add(old)
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

    # Files

    def _merge_file(self, path: str, what: RecordPath | None) -> None:
        target = self.state.path(path, what)
        base = self.state.record(what, self.before.files.read(path))
        ours = self.state.record(what, self.after.read(path))
        theirs = self.onto.files.read(target)
        if ours in (theirs, base):
            return
        rule = self.onto.registry().rule(what.key) if what is not None and what.kind == "stage" else None
        # A change of a stage that accepts direct rollbacks may be one: `git model apply` decides if it counts.
        if what is not None and rule is not None and rule.proposal_only and rule.rollback != "direct":
            model = self.state.model(what.model)
            self.kept_places.add(model)
            self._conflict(
                f"{what.key} of {model} takes only reviewed proposals at the remote; the remote's was kept",
                (target, ""),
            )
            return
        if theirs == base:
            self.done.files[target] = ours
        else:
            self._merge(target, what, base, ours, theirs)

    def _merge(
        self, path: str, what: RecordPath | None, base: bytes | None, ours: bytes | None, theirs: bytes | None
    ) -> None:
        """Merge a file that both sides changed. If this is impossible, keep the remote's file."""
        if what is None or what.kind in ("archived", "purge"):
            return
        if what.kind in ("stage", "alias"):
            self.kept_places.add(self.state.model(what.model))
            return
        if what.kind == "name":
            if ours is not None and theirs is not None:
                name = f"{what.key} of {self.state.model(what.model)}"
                self._conflict(
                    f"the name {name} was given to another version at the remote, which keeps it", (path, "")
                )
                self.done.lost_names.append(what.key)
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
        known, found = (decode_registry(side, path).faults for side in (theirs, data))
        fault = next((fault for fault in found if fault not in known), None)
        if fault is not None:
            said = f"the rules of both sides contradict each other ({fault}); the remote's were kept"
            self._conflict(said, (path, ""))
        elif data != theirs:
            self.done.files[path] = data

    def _conflict(self, text: str, *of: Place) -> None:
        self.done.conflicts.append(text)
        self.reported.update(of)

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
            clash = self._holder_of_name(what.model, record.name)
            if clash and self.theirs.read(home) is None:
                self.done.files.pop(home, None)
                said = f"the name {record.name} of {what.model} is taken at the remote by {clash}, which was kept"
                self._conflict(said, (home, ""))
                self.done.lost_names.append(record.name)
            given = self._read(records.NameRecord, self.onto.files, home)
            if given is None or given.version != record.number:
                self.done.files[path] = codec.encode(replace(record, name=None))
                self.reported.add((path, "name"))

    def _holder_of_name(self, model: str, name: str) -> str:
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

    def _drop_broken_changes(self) -> None:
        """Drop local changes that break an invariant after the replay, such as a promotion of a deleted version.

        First drops the changes of the model's stages and aliases. If an invariant is still broken, keeps only the new
        versions of the model, and if that does not suffice, no local change of the model.
        """
        for model in sorted({what.model for _, what in self._touched()} | self.kept_places):
            if model in self.kept_places:
                self._drop(model, PLACES)
            before = set(self._faults(self.theirs, model))
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
        """Drop all local changes of *model* in records of *kinds*, except those that rename or delete the model."""
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
            if what.kind == "version" and data is not None and self.theirs.read(path) is None:
                record = codec.decode(records.VersionRecord, data, path, newer=True)
                if record.name is not None:
                    self.done.lost_names.append(record.name)
                    self.done.files[path] = codec.encode(replace(record, name=None))
                    self.reported.add((path, "name"))
            elif path not in self.planned:
                del self.done.files[path]

    def _tidy(self, model: str) -> None:
        """Leave each version of *model* in only one stage, if the local commit and the remote put it into two.

        If the local commit put it into the one that `gitmodel.toml` lists first, drops all local changes of the stages
        and aliases of *model*. Then deletes the stage files of *model* that do not count (see `leftovers`).
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
        return faults(replace(self.onto, files=files), self.theirs, model, [path for path, _ in self._touched(model)])

    def _report_left_out(self) -> None:
        """Report a conflict for each local change that the replay left out, unless a conflict is about it already."""
        for path, what in self.changed:
            if what is not None and what.model in self.renamed_or_deleted:
                continue
            target = self.state.path(path, what)
            base, ours = (self.state.record(what, files.read(path)) for files in (self.before.files, self.after))
            theirs, now = self.theirs.read(target), self.onto.files.read(target)
            there = paths.parse_path(target)
            number = int(there.key) if there is not None and there.kind in ("version", "archived") else 0
            model = there.model if there is not None else ""
            for place, said in left_out(what, FileInReplay(target, base, ours, theirs, now, model, number)):
                if not {place, (target, "")} & self.reported:
                    self._conflict(said)

    @staticmethod
    def _read(kind: type[R], files: Files, path: str) -> R | None:
        return files.load(path, kind, newer=True)
