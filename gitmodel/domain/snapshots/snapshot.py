"""Snapshots of the registry, on which gitmodel plans changes. Pure: files are read through `Files`."""

from __future__ import annotations

from dataclasses import replace
from itertools import islice

from gitmodel.domain.schema import paths
from gitmodel.domain.schema.names import LATEST, nearest
from gitmodel.domain.schema.recorded_renumberings import Numbered, Renumbered
from gitmodel.domain.schema.records import VersionRecord
from gitmodel.domain.schema.references import ModelRef, VersionRef
from gitmodel.domain.schema.refs import StageRef
from gitmodel.domain.snapshots.commit_records import MOST_RENAMES, CommitRecords
from gitmodel.domain.snapshots.snapshot_sources import RETAG, TOO_SHALLOW, UNTAGGED
from gitmodel.errors import GitModelError, Invalid, NotFound, Refused, UsageError


class Snapshot(CommitRecords, eq=False):
    """The records of one commit, on which gitmodel plans a change, and the versions that references mean in it."""

    def resolve(self, ref: VersionRef) -> tuple[str, int]:
        """Return the model's current name and the number of the version that *ref* names, for reading.

        A stage or alias means its version in force. If a stage, an alias and a version have the same name, the stage
        counts first, then the alias. Calls `warn` as `warn_of` does. Raises NotFound, which lists the existing
        references; Invalid if the stage tag is forged, or if the version's artifacts are not those that were promoted.
        """
        self.warn_of(ref)
        return self._resolve(ref, self.note_on(ref))

    def model_to_read(self, model: str | ModelRef) -> str:
        """Return the current name of *model*, for reading. Raises UsageError for a text that is not a name.

        Calls `warn` if a pull renamed the local model that had the name, so that another model has it now.
        """
        ref = ModelRef.of(model)
        self.warn_of(ref)
        return self.current_name(self.follow(ref)[0])

    def model_to_change(self, model: str | ModelRef) -> tuple[str, frozenset[Numbered]]:
        """Return the name of *model*, for a change, and the old references whose notes the change deletes.

        The notes are those on renumberings by pulls. For a handle, this is the name after renames of the model by
        later pulls. A name that a person wrote is returned unchanged, even if it is a former name. Raises UsageError
        for a text that is not a name, and the errors of `resolve_to_change` about notes.
        """
        ref = ModelRef.of(model)
        return self.follow(ref)[0], self._settled_by(ref, self._notes_on(ref), "")

    def follow(self, ref: VersionRef | ModelRef) -> Numbered:
        """Return the model and number (0: none) that *ref* names.

        If *ref* is from a handle, follows the changes of names and numbers by pulls since the handle was created.
        """
        named = ref.model, ref.number or 0
        return named if ref.since is None else self.renumberings.follow(named, since=ref.since)

    def warn_of(self, ref: VersionRef | ModelRef) -> None:
        """Call `warn` if *ref* is an old reference: before a pull, it meant another version or model in this clone.

        Does nothing if *ref* is from a handle, or if the user confirmed the new meaning.
        """
        note = self.note_on(ref)
        if note is not None and ref.since is None and not ref.renumbered:
            self.warn(note)

    def resolve_to_change(self, ref: VersionRef) -> tuple[str, int, frozenset[Numbered]]:
        """Return the model and number of *ref* for a change, and the references whose new meaning the change confirms.

        If a pull gave a number to another version, gitmodel refuses changes by the old reference until the user
        confirms. After the change, it accepts the confirmed references. Raises the errors of `resolve`; Refused if
        *ref* meant another version before a pull, unless `renumbered` of *ref* confirms its new meaning; UsageError if
        `renumbered` is True and there is nothing to confirm.
        """
        notes = self._notes_on(ref)
        model, number = self._resolve(ref, notes[0] if notes else None)
        return model, number, self._settled_by(ref, notes, f"{model}@{number}")

    def _settled_by(self, ref: VersionRef | ModelRef, notes: list[Renumbered], now: str) -> frozenset[Numbered]:
        """Return the references in *notes* (renumberings by pulls) that a change of *ref* confirms, or raise an error.

        *now* is the version that *ref* means now, for the message of the errors, which `resolve_to_change` describes.
        """
        if ref.since is not None:
            return ref.settles & self.renumberings.noted_references
        if notes and ref.renumbered:
            return frozenset(note.old for note in notes)
        left = [note for note in notes if note.old not in self.settled]
        if left:
            new = _name(left[0].new) if ref.number is not None else f"{left[0].new[0]}{str(ref)[len(ref.model) :]}"
            what = f"{ref} was renumbered by a pull: your {ref} is now {new}, and {now} is another version"
            if ref.number is None:
                what = f"{ref.model} names another model since a pull: your {ref.model} is now {left[0].new[0]}"
            raise Refused(
                what, hint=f"write {new}, or add --renumbered (in Python renumbered=True) to mean the new {ref}"
            )
        if not notes and ref.renumbered:
            raise UsageError(
                f"{ref} was not renumbered by a pull, or this was already confirmed",
                hint="leave out --renumbered (in Python renumbered=True)",
            )
        return frozenset()

    def note_on(self, ref: VersionRef | ModelRef) -> Renumbered | None:
        """Return the newest note on a renumbering of *ref* that the user has not confirmed, or None."""
        return next((note for note in self._notes_on(ref) if note.old not in self.settled), None)

    def _notes_on(self, ref: VersionRef | ModelRef) -> list[Renumbered]:
        """Return the notes on renumberings of *ref*, the newest first; none if the model does not exist.

        Includes notes on the version under former names of its model.
        """
        found = [
            note
            for note in self.renumberings.noted(ref.number or 0)
            if ref.model in islice(self._names_since(note.old[0]), MOST_RENAMES if ref.number is not None else 1)
        ]
        if not found or not self.has_model(self.current_name(ref.model)):
            return []
        return [replace(note, new=(self.current_name(note.new[0]), note.new[1])) for note in found]

    def _resolve(self, ref: VersionRef, note: Renumbered | None) -> tuple[str, int]:
        if ref.since is not None:
            model, number = self.follow(ref)
            ref = VersionRef(model, str(number) if number else ref.selector)
        try:
            return self._find(ref)
        except NotFound as error:
            if note is not None and ref.since is None:
                new = _name(note.new) if note.new[1] else note.new[0]
                error.hint = f"a pull renamed your {ref if note.new[1] else ref.model} to {new}"
            raise

    def _find(self, ref: VersionRef) -> tuple[str, int]:
        name = self.current_name(ref.model)
        self.model(name)
        if ref.is_latest:
            return name, self.latest(name)
        if ref.number is not None:
            return name, self.present_version(name, ref.number).number
        selector = ref.selector
        registry, place = self.registry(), StageRef(name, selector)
        is_stage = selector in registry.stage_names
        if is_stage or (not registry.alias_fault(selector) and self.tags.get(place) is not None):
            return name, self.in_force(place).number
        number = self.number_named(name, selector)
        if number is None and selector in self.recorded_aliases(name):
            return name, self.in_force(place).number
        if number is None:
            raise NotFound(f"there is no {ref}", hint=self._missing_selector_hint(name, selector))
        return name, self.present_version(name, number).number

    def in_force(self, ref: StageRef) -> VersionRecord:
        """Return the version that the tag of the stage or alias *ref* puts in force. Raises NotFound if there is none.

        Raises Invalid if the tag is forged, or if the version's artifacts are not those that were promoted.
        """
        tag = self.tags.get(ref)
        if tag is None and self.recorded_place(ref) is not None:
            tag = self.former_tag(ref)
        if tag is None:
            raise self._nothing_in_force(ref)
        frozen = tag.in_force
        if frozen is None:
            raise Invalid(
                f"the tag {ref.name} does not count: {tag.forged}",
                hint="run `git fetch --unshallow`"
                if tag.forged == TOO_SHALLOW
                else "run `git model doctor --fix` to set it again from the branch"
                if self.recorded_place(ref) is not None
                else "run `git model doctor`, which says how to remove it",
            )
        record = self.present_version(ref.model, frozen.version)
        if not frozen.promoted(record):
            raise Invalid(
                f"the artifacts of {ref.model}@{record.number} are not those that were promoted to {ref.stage}",
                hint=f"`git log -p gitmodel -- {paths.version_file(ref.model, record.number)}` shows who changed them",
            )
        return record

    def _nothing_in_force(self, ref: StageRef) -> GitModelError:
        recorded = self.recorded_place(ref)
        if recorded is None:
            return NotFound(f"no version of {ref.model} is in {ref.stage}", hint=self._missing_selector_hint(ref.model))
        said = f"{ref.model} {recorded.version} is recorded in {ref.stage}"
        if fetch := self.missing_tags():
            return NotFound(
                f"{said}, and this clone has no stage tags",
                hint=f"fetch them with `{fetch}`; if the remote has none, `git model apply` creates them",
            )
        if self.registry().rule(ref.stage).signed:
            hint = f"{RETAG}; `git model history {ref.model} {ref.stage}` shows who changed the stage"
            return NotFound(f"{said}, {UNTAGGED}", hint=hint)
        return NotFound(f"{said}, but not in force yet", hint="run `git model apply` to put it in force")

    def _missing_selector_hint(self, model: str, selector: str = "") -> str:
        stages = self.registry().stage_names
        if self.tags.all_known:
            known = {*self.tags.of(model)}
        else:  # at most one tag was fetched, and reading others may fetch the history: use the records on the branch
            files = self.files.names(f"{paths.model_folder(model)}/stages")
            known = {*(stage for stage in stages if f"{stage}.toml" in files), *self.recorded_aliases(model)}
        tagged = [name for name in sorted(known) if name in stages or not self.registry().alias_fault(name)]
        held = [f"{model}@{name}" for name in tagged]
        meant = nearest(selector, sorted({*tagged, *stages})) if selector else ""
        question = f"did you mean {model}@{meant}? " if meant else ""
        try:
            held.append(f"{model}@{LATEST} ({self.latest(model)})")
        except GitModelError:
            held.append("no version yet")
        return f"{question}there is {', '.join(held)}; see `git model show {model}`"


def _name(version: Numbered) -> str:
    return f"{version[0]}@{version[1]}"
