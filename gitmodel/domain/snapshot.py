"""The snapshot that a change is planned on, and the planned change. Pure: files are read through `Files`."""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from itertools import islice
from typing import Any, Generic, Protocol, TypeVar

from gitmodel.domain.refusals import Refusal
from gitmodel.domain.schema import paths, records
from gitmodel.domain.schema.codec import R
from gitmodel.domain.schema.names import LATEST, fold
from gitmodel.domain.schema.object_ids import Oid
from gitmodel.domain.schema.paths import RecordPath
from gitmodel.domain.schema.records import (
    ModelRecord,
    RegistryRecord,
    StageRecord,
    StageRule,
    VersionRecord,
)
from gitmodel.domain.schema.references import ModelRef, VersionRef
from gitmodel.domain.schema.refs import StageRef
from gitmodel.domain.schema.renumbering import Numbered, Renumbered, Renumberings
from gitmodel.domain.schema.stage_rules import decode_registry, without_rules
from gitmodel.errors import Conflict, GitModelError, Invalid, NotFound, Refused, UsageError

# Numbers as written in paths.
_NUMBER = re.compile(r"[1-9][0-9]{0,17}")

T = TypeVar("T")

# Renames of one model that are followed; after more, the records form a cycle.
MOST_RENAMES = 100

# Every query reads the record of the registry, which rarely changes.
_decode_registry = lru_cache(maxsize=8)(decode_registry)


class Files(Protocol):
    """The files of one commit."""

    def read(self, path: str) -> bytes | None:
        """Return the bytes of the file at *path*, or None. Raises Invalid if it is not a file."""

    def load(self, path: str, kind: type[R], *, newer: bool) -> R | None:
        """The record at *path*, or None. Raises Invalid if it is not one."""

    def load_many(self, found: Iterable[str], kind: type[R], *, newer: bool) -> Iterator[R | Invalid]:
        """Return the record at each path, in order. An unreadable record is returned as its error."""

    def names(self, folder: str) -> tuple[str, ...]:
        """The names in *folder*, sorted as git sorts them; empty if there is none."""

    def remember(self, key: Hashable, answer: Any) -> None:
        """Cache a result that depends only on these files. It may be dropped at any time."""

    def recall(self, key: Hashable) -> Any:
        """Return the cached result of *key*, or None."""

    def note(self, folder: str, what: str, number: int) -> None:
        """Cache, also for other processes, a number that depends only on the files below *folder*."""

    def noted(self, folder: str, what: str) -> int | None:
        """Return the cached number of *what*, or None."""


# The reason if the tag's commit or its parent is beyond the edge of a shallow clone.
TOO_SHALLOW = "this clone is too shallow to tell who set it"
# The message about a `signed` stage without a tag.
UNTAGGED = "which takes signed tags and has none here: either this waits for `git model apply`, or the tag was deleted"
RETAG = "`git model push` in a clone that has the tag puts it back; otherwise a signer runs `git model apply --push`"


@dataclass(frozen=True)
class StageTag:
    """A stage tag as found: where it points, the stage file that commit set; *forged* says why it does not count.

    *merged_by* is the commit of the branch that merged the one it points at, None if that is on the branch itself: the
    first parents of a merge by `git pull` lead to what was there locally, and not to what others had pushed.
    *instead* is what stays in force where a tag does not count: of a stage that is `signed`, what its newest signed
    change recorded.
    """

    ref: StageRef
    id: Oid
    target: Oid
    record: StageRecord | None
    forged: str = ""
    merged_by: Oid | None = None
    instead: StageRecord | None = None

    @property
    def in_force(self) -> StageRecord | None:
        """Return what is in force in the stage, None if that is nothing or not to be told."""
        return self.instead if self.forged else self.record


class Tags(Protocol):
    """The stage tags, judged against the commit of the snapshot. *all_known* is False if only some are at hand."""

    all_known: bool

    def get(self, ref: StageRef) -> StageTag | None:
        """The tag of one stage, or None if there is none."""

    def of(self, model: str) -> Mapping[str, StageTag]:
        """All stage tags of *model*, by stage or alias."""

    def models(self) -> frozenset[str]:
        """The models that any stage tag names; after this, `of` asks git no more."""


class NoTags:
    """The empty `Tags`: for readers that go by the records alone."""

    all_known = True

    def get(self, ref: StageRef) -> StageTag | None:
        return None

    def of(self, model: str) -> Mapping[str, StageTag]:
        return {}

    def models(self) -> frozenset[str]:
        return frozenset()


# Without comparison methods, which would take each command 1 ms and are not used.
@dataclass(frozen=True, eq=False, repr=False)
class Change(Generic[T]):
    """A planned change: files to write (None: delete), in one commit with this message; its *result* for the caller.

    A stage tag follows its file, so tags are not listed, except for *apply*: stages whose tag shall be moved to the
    unchanged file, and *drop*: stages whose tag is deleted, whatever is recorded. Of the stages that are
    `proposal_only`, a direct change may change those that are *admitted*. *may_empty* are the later stages that may
    become empty because their version moves to an earlier one. *numbers* are the (model, number) pairs that come into
    use. *settled* are the references whose notes of a renumbering are dropped, since they were used with that in mind;
    *renumbered* are versions that were told under another number, with the one that they have now.
    *txn* is the transaction id that the commit gets instead of a new one, so that a caller can look for it.
    """

    result: T
    subject: str = ""
    reason: str = ""
    files: Mapping[str, bytes | None] = field(default_factory=dict)
    trailers: tuple[tuple[str, str], ...] = ()
    apply: tuple[StageRef, ...] = ()
    drop: tuple[StageRef, ...] = ()
    admitted: frozenset[StageRef] = frozenset()
    may_empty: frozenset[StageRef] = frozenset()
    numbers: tuple[tuple[str, int], ...] = ()
    settled: frozenset[Numbered] = frozenset()
    renumbered: Mapping[Numbered, Numbered] = field(default_factory=dict)
    txn: str = ""


def read_registry(files: Files) -> RegistryRecord:
    """The registry's own record in *files*; the default one where there are no files at all. Raises Invalid."""
    data = files.read(paths.REGISTRY)
    if data is None:
        return without_rules(paths.REGISTRY) if files.names("") else RegistryRecord()
    return _decode_registry(data, paths.REGISTRY)


def place_files(registry: RegistryRecord, ref: StageRef) -> tuple[str, ...]:
    """The files that can say which version is in the stage or alias *ref*, the one that counts first.

    A stage is never read from a file of an alias, and a word that no alias can have from no file at all.
    """
    stage, alias = paths.stage_file(ref.model, ref.stage), paths.alias_file(ref.model, ref.stage)
    if ref.stage in registry.stage_names:
        return (stage,)
    # The file of a stage that gitmodel.toml no longer lists still says what its tag means.
    return () if registry.alias_fault(ref.stage) else (alias, stage)


def place_at(registry: RegistryRecord, what: RecordPath | None) -> StageRef | None:
    """The stage or alias that the file *what* is about; None for another file and for one that is never read."""
    if what is None or what.kind not in ("stage", "alias"):
        return None
    if what.key in registry.stage_names:
        return StageRef(what.model, what.key) if what.kind == "stage" else None
    return None if registry.alias_fault(what.key) else StageRef(what.model, what.key)


@dataclass(frozen=True, eq=False, repr=False)
class Snapshot:
    """The branch at one commit, and the stage tags; *commit* is None where there is no registry yet.

    *committed* is the commit itself, where changes that are still to be committed lie over its files. *shared* is the
    commit that the remote was last seen at (None: no remote has a registry), `is_local` whether a version is not there.
    *frozen* is the stage tag that the commit was found by, where that is all there is: the branch may have gone on.
    `refusal` returns why a rule refuses to put what is recorded of a stage in force, or None.
    *proposed* says that what is planned on it becomes a proposal, which may change stages that are `proposal_only`.
    `read_renumberings` reads what pulls renumbered in this clone; *settled* are the notes on it that count no more, and
    `warn` is called with one on a reference that is read.
    `reserved_for` returns the id of the living run that reserved the name of a version, or "".
    *other_rules* gives the rules that count besides those of the commit: those that were in force, and all since.
    """

    commit: Oid | None
    files: Files
    tags: Tags
    is_reserved: Callable[[str, int], bool]
    committed: Snapshot | None = None
    shared: Oid | None = None
    is_local: Callable[[str, int], bool] = lambda model, number: False
    frozen: StageRef | None = None
    refusal: Callable[[StageRef], Refusal | None] = lambda ref: None
    missing_tags: Callable[[], str] = lambda: ""
    proposed: bool = False
    read_renumberings: Callable[[], Renumberings] = Renumberings
    settled: frozenset[Numbered] = frozenset()
    warn: Callable[[Renumbered], None] = lambda note: None
    other_rules: Callable[[], Sequence[RegistryRecord]] = tuple
    reserved_for: Callable[[str, str], str] = lambda model, name: ""

    def registry(self) -> RegistryRecord:
        """The registry's own record; the default one where there is no registry yet."""
        return self._registry

    @cached_property
    def registries(self) -> tuple[RegistryRecord, ...]:
        """The record of the commit, then those whose rules count as well for a change that is made on it.

        Raises Invalid if some cannot be read.
        """
        others = (record for record in self.other_rules() if record.stages != self.registry().stages)
        return (self.registry(), *others)

    def rules(self, stage: str) -> tuple[StageRule, ...]:
        """The rules of *stage* that count for a change on this commit, its own first; raises as `registries`."""
        found: list[StageRule] = []
        for rule in (record.rule(stage) for record in self.registries):
            if rule not in found:
                found.append(rule)
        return tuple(found)

    def load(self, path: str, kind: type[R]) -> R | None:
        """The record at *path*, or None."""
        return self.files.load(path, kind, newer=self.newer)

    @cached_property
    def newer(self) -> bool:
        """True if a newer gitmodel wrote this branch, so that unknown keys are kept."""
        return self._registry.newer

    @cached_property
    def _registry(self) -> RegistryRecord:
        return read_registry(self.files)

    @cached_property
    def renumberings(self) -> Renumberings:
        """The renumberings that pulls made in this clone."""
        return self.read_renumberings()

    def model_names(self) -> tuple[str, ...]:
        """The names of all folders of models, tombstones too."""
        return self.files.names(paths.MODELS)

    def model(self, name: str) -> ModelRecord:
        """The record of an existing model. Raises NotFound, saying what is there instead."""
        record = self.load(paths.model_file(name), records.ModelRecord)
        if record is not None and record.exists:
            return record
        if record is not None and record.renamed_to:
            raise NotFound(f"model {name} was renamed", hint=f"its name is now {record.renamed_to}")
        if record is not None:
            because = f": {record.reason}" if record.reason else ""
            raise NotFound(f"model {name} was deleted{because}", hint="its name is never used again")
        raise NotFound(f"there is no model {name}", hint=self._missing_model_hint(name))

    def has_model(self, name: str, *, tolerant: bool = False) -> bool:
        """Return True if a model has this very name and is neither deleted nor renamed.

        Raises Invalid for a record that cannot be read; *tolerant* returns False for it.
        """
        try:
            record = self.load(paths.model_file(name), records.ModelRecord)
        except Invalid:
            if not tolerant:
                raise
            return False
        return record is not None and record.exists

    def current_name(self, name: str, *, tolerant: bool = False) -> str:
        """*name*, or the name that the model has now, if it was renamed.

        Raises Invalid for a record that cannot be read, and for renames that form a cycle; *tolerant* takes
        such a model for one that was not renamed.
        """
        now = name
        for count, now in enumerate(self._names_since(name, tolerant=tolerant)):
            if count == MOST_RENAMES and tolerant:
                return name
            if count == MOST_RENAMES:
                raise Invalid(
                    f"the renames of model {now} form a cycle", hint="run `git model check` and repair model.toml"
                )
        return now

    def _names_since(self, name: str, *, tolerant: bool = False) -> Iterator[str]:
        """Yield *name*, then each name that the model was given since; in a circle of renames without end."""
        while True:
            yield name
            try:
                record = self.load(paths.model_file(name), records.ModelRecord)
            except Invalid:
                if tolerant:
                    return
                raise
            if record is None or record.renamed_to is None:
                return
            name = record.renamed_to

    def former_names(self, name: str) -> Iterator[str]:
        """Yield the names that the model *name* had before it was renamed, newest first and each once."""
        seen, left = {name}, [*reversed(self._renamed.get(name, ()))]
        while left:
            other = left.pop()
            if other not in seen:
                seen.add(other)
                yield other
                left += reversed(self._renamed.get(other, ()))

    @cached_property
    def _renamed(self) -> Mapping[str, tuple[str, ...]]:
        """The former names of models, by the name that each was renamed to."""
        found: dict[str, tuple[str, ...]] = {}
        for name in self.model_names():
            try:
                record = self.load(paths.model_file(name), records.ModelRecord)
            except Invalid:
                continue
            if record is not None and record.renamed_to:
                found[record.renamed_to] = (*found.get(record.renamed_to, ()), name)
        return found

    def former_tag(self, ref: StageRef) -> StageTag | None:
        """The tag of the stage under a former name of the model: it counts until `apply` sets one for the new name."""
        found = (self.tags.get(StageRef(former, ref.stage)) for former in self.former_names(ref.model))
        return next((tag for tag in found if tag is not None and not tag.forged and tag.record is not None), None)

    def numbers(self, model: str) -> list[int]:
        """The numbers of all versions of *model*, deleted ones too, ascending."""
        folder = f"{paths.model_folder(model)}/versions"
        return sorted(self._numbers_in(folder))

    def newest_numbers(self, model: str) -> Iterator[int]:
        """The numbers of all versions of *model*, the newest first; who stops early reads no more folders."""
        folder = f"{paths.model_folder(model)}/versions"
        found = self.files.names(folder)
        for name in sorted((name for name in found if _is_hundred(name)), key=_leading, reverse=True):
            yield from sorted(self._numbers_of(folder, name), reverse=True)
        yield from sorted((_leading(name) for name in found if name.endswith(".toml") and _leading(name)), reverse=True)

    def count_present(self, model: str) -> int:
        """Count the versions of *model* that are not deleted; a damaged version counts."""
        return self._count_present(f"{paths.model_folder(model)}/versions")[0]

    def last_number(self, model: str) -> int:
        """The highest number of *model* ever used, 0 if none was."""
        key = ("last number", model)
        known = self.files.recall(key)
        if known is None:
            known = self._highest_in(f"{paths.model_folder(model)}/versions")
            self.files.remember(key, known)
        return int(known)

    def check_not_reserved(self, model: str, name: str, *, runs: Iterable[str] = ()) -> None:
        """Raise Conflict if a run that is under way, other than *runs*, reserved *name* for a version of *model*."""
        run = self.reserved_for(model, name)
        if run and run not in runs:
            raise Conflict(
                f"run {run}, which is running, has reserved the name {name} for a version of {model}",
                hint="wait until it has ended (`git model runs list`), or choose another name",
            )

    def next_number(self, model: str) -> int:
        """The number that the next version of *model* gets: above every file, tombstone and reservation.

        Raises Invalid if that is more than a number can be.
        """
        last = self.last_number(model)
        number = last + 1
        while self.is_reserved(model, number):
            number += 1
        check_number(model, number, last)
        return number

    def version(self, model: str, number: int) -> VersionRecord:
        """The record of a version, deleted ones too. Raises NotFound."""
        path = paths.version_file(model, number)
        record = self.load(path, records.VersionRecord)
        if record is None:
            raise NotFound(f"there is no version {number} of {model}", hint=self._missing_version_hint(model))
        if record.number != number:
            raise Invalid(f"{path}, key number: says {record.number} [version.number]", hint="run `git model check`")
        return record

    def versions(self, model: str, numbers: Iterable[int]) -> Iterator[VersionRecord | Invalid]:
        """The records of *numbers*, in that order; a damaged one comes as its error."""
        found = (paths.version_file(model, number) for number in numbers)
        return self.files.load_many(found, records.VersionRecord, newer=self.newer)

    def latest(self, model: str) -> int:
        """The highest number that is neither deleted nor failed. Raises NotFound if there is none."""
        for number in self.newest_numbers(model):
            if self.version(model, number).usable:
                return number
        raise NotFound(
            f"model {model} has no versions yet", hint=f"run `git model version create {model}` to create the first"
        )

    def number_named(self, model: str, name: str) -> int | None:
        """The number of the version called *name*; None for a word that cannot be a name, whatever file is there."""
        if self.registry().version_name_fault(name):
            return None
        record = self.load(paths.name_file(model, name), records.NameRecord)
        return record.version if record else None

    def recorded(self, model: str, stage: str) -> StageRecord | None:
        """Return the branch's record of an exclusive stage."""
        return self.load(paths.stage_file(model, stage), records.StageRecord)

    def recorded_alias(self, model: str, alias: str) -> StageRecord | None:
        """Return the branch's record of an alias; None for a word that cannot be one, whatever file is there."""
        return (
            None
            if self.registry().alias_fault(alias)
            else self.load(paths.alias_file(model, alias), records.StageRecord)
        )

    def recorded_aliases(self, model: str) -> list[str]:
        """The aliases that the branch gives to versions of *model*."""
        folder = f"{paths.model_folder(model)}/aliases"
        found = sorted(name.removesuffix(".toml") for name in self.files.names(folder) if name.endswith(".toml"))
        return [name for name in found if not self.registry().alias_fault(name)]

    def is_archived(self, model: str, number: int) -> bool:
        """Return True if the branch has the archived marker of a version."""
        return self.files.read(paths.archived_file(model, number)) is not None

    def resolve(self, ref: VersionRef) -> tuple[str, int]:
        """The model's present name and the number that *ref* names: what is in force for a stage or alias.

        A stage comes first, then an alias, then a version's name. A number that a pull gave to another version is told
        to *warn*. Raises NotFound saying what exists, Invalid for a forged tag or for links that are not those that
        were promoted.
        """
        self.warn_of(ref)
        return self._resolve(ref, self.note_on(ref))

    def model_to_read(self, model: str | ModelRef) -> str:
        """Return the present name of *model*, which is read.

        A name that a pull gave to another model is told to *warn*. Raises UsageError for a text that is no name.
        """
        ref = ModelRef.of(model)
        self.warn_of(ref)
        return self.current_name(self.follow(ref)[0])

    def model_to_change(self, model: str | ModelRef) -> tuple[str, frozenset[Numbered]]:
        """Return the name by which *model*, which is to be changed, is known, and what a change of it settles.

        The name of a handle is followed; the former name of a model that was renamed is left as it is.
        Raises Refused for a name that a pull gave to another model, unless *model* says that this is meant; UsageError
        if it says so and no pull did, or if that was settled before, or for a text that is no name.
        """
        ref = ModelRef.of(model)
        return self.follow(ref)[0], self._settled_by(ref, self._notes_on(ref), "")

    def follow(self, ref: VersionRef | ModelRef) -> Numbered:
        """Return the model and number (0: none) of *ref*; of a handle, what a pull made of them since."""
        named = ref.model, ref.number or 0
        return named if ref.since is None else self.renumberings.follow(named, since=ref.since)

    def warn_of(self, ref: VersionRef | ModelRef) -> None:
        """Tell *warn* of *ref*, which is read, if a pull gave its number or its name to another."""
        note = self.note_on(ref)
        if note is not None and ref.since is None and not ref.renumbered:
            self.warn(note)

    def resolve_to_change(self, ref: VersionRef) -> tuple[str, int, frozenset[Numbered]]:
        """Resolve a version that is to be changed; return also the notes of renumbering that the change settles.

        Raises as `resolve` does; Refused for a number that a pull gave to another version, unless *ref* confirms that
        this one is meant; UsageError if it confirms and no pull did so, or if that was settled before.
        """
        notes = self._notes_on(ref)
        model, number = self._resolve(ref, notes[0] if notes else None)
        return model, number, self._settled_by(ref, notes, f"{model}@{number}")

    def _settled_by(self, ref: VersionRef | ModelRef, notes: list[Renumbered], now: str) -> frozenset[Numbered]:
        """Return which *notes* a change of *ref*, the version *now*, settles. Raises as `resolve_to_change`."""
        if ref.since is not None:
            return ref.settles & self.renumberings.noted_references
        if notes and ref.renumbered:
            return frozenset(note.old for note in notes)
        left = [note for note in notes if note.old not in self.settled]
        if left:
            new = _name(left[0].new) if ref.number is not None else f"{left[0].new[0]}{str(ref)[len(ref.model) :]}"
            what = f"{ref} was renumbered: what was {ref} here is {new} since a pull, and {now} is another version"
            if ref.number is None:
                was = f"what was {ref.model} here is {left[0].new[0]} since a pull"
                what = f"{ref.model} names another model: {was}"
            raise Refused(
                what, hint=f"write {new}, or add --renumbered (in Python renumbered=True) for what is {ref} now"
            )
        if not notes and ref.renumbered:
            raise UsageError(
                f"{ref} was not renumbered by a pull, or this was already confirmed",
                hint="leave out --renumbered (in Python renumbered=True)",
            )
        return frozenset()

    def note_on(self, ref: VersionRef | ModelRef) -> Renumbered | None:
        """The newest note on the number of *ref*, else on its name, that is not settled, or None."""
        return next((note for note in self._notes_on(ref) if note.old not in self.settled), None)

    def _notes_on(self, ref: VersionRef | ModelRef) -> list[Renumbered]:
        """The notes on *ref*, the newest first; none if there is no such model.

        A number keeps its note under the names that its model was given later.
        """
        found = [
            note
            for note in self.renumberings.noted(ref.number or 0)
            if ref.model in islice(self._names_since(note.old[0]), MOST_RENAMES if ref.number is not None else 1)
        ]
        if not found or not self.has_model(self.current_name(ref.model)):
            return []
        return [note._replace(new=(self.current_name(note.new[0]), note.new[1])) for note in found]

    def _resolve(self, ref: VersionRef, note: Renumbered | None) -> tuple[str, int]:
        if ref.since is not None:
            model, number = self.follow(ref)
            ref = VersionRef(model, str(number) if number else ref.selector)
        try:
            return self._find(ref)
        except NotFound as error:
            if note is not None and ref.since is None:
                new = _name(note.new) if note.new[1] else note.new[0]
                error.hint = f"what was {ref if note.new[1] else ref.model} here is {new} since a pull"
            raise

    def _find(self, ref: VersionRef) -> tuple[str, int]:
        name = self.current_name(ref.model)
        self.model(name)
        if ref.is_latest:
            return name, self.latest(name)
        if ref.number is not None:
            return name, self._present(name, ref.number).number
        selector = ref.selector
        registry, place = self.registry(), StageRef(name, selector)
        if place.stage in registry.stage_names:
            return name, self.in_force(place).number
        if not registry.alias_fault(selector) and self.tags.get(place) is not None:
            return name, self.in_force(place).number
        number = self.number_named(name, selector)
        if number is None and selector in self.recorded_aliases(name):
            return name, self.in_force(place).number
        if number is None:
            raise NotFound(f"there is no {ref}", hint=self._missing_selector_hint(name, selector))
        return name, self._present(name, number).number

    def in_force(self, ref: StageRef) -> VersionRecord:
        """The version that the tag of a stage or alias names. Raises NotFound, or Invalid if it must not be used."""
        tag = self.tags.get(ref)
        if tag is None and (self.recorded(ref.model, ref.stage) or self.recorded_alias(ref.model, ref.stage)):
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
                if self.recorded(ref.model, ref.stage) or self.recorded_alias(ref.model, ref.stage)
                else "run `git model doctor`, which says how to remove it",
            )
        record = self._present(ref.model, frozen.version)
        if records.links_digest(record.artifacts) != frozen.artifacts:
            raise Invalid(
                f"the artifacts of {ref.model}@{record.number} are not those that were promoted to {ref.stage}",
                hint=f"`git log -p gitmodel -- {paths.version_file(ref.model, record.number)}` shows who changed them",
            )
        return record

    def _present(self, model: str, number: int) -> VersionRecord:
        record = self.version(model, number)
        if record.deleted is not None:
            because = f": {record.reason}" if record.reason else ""
            hint = (
                f"`git model log {model}@{number}` names the commit; as of the one before, read it with `--at COMMIT~1`"
            )
            raise NotFound(f"version {number} of {model} was deleted{because}", hint=hint)
        return record

    def _nothing_in_force(self, ref: StageRef) -> GitModelError:
        recorded = self.recorded(ref.model, ref.stage) or self.recorded_alias(ref.model, ref.stage)
        fetch = self.missing_tags() if recorded is not None else ""
        if recorded is not None and fetch:
            return NotFound(
                f"{ref.model} {recorded.version} is recorded in {ref.stage}, and this clone has no stage tags",
                hint=f"fetch them with `{fetch}`; if there are none yet, `git model apply` puts it in force",
            )
        if recorded is not None and self.registry().rule(ref.stage).signed:
            return NotFound(
                f"{ref.model} {recorded.version} is recorded in {ref.stage}, {UNTAGGED}",
                hint=f"{RETAG}; `git model history {ref.model} {ref.stage}` shows who changed it",
            )
        if recorded is not None:
            return NotFound(
                f"{ref.model} {recorded.version} is recorded in {ref.stage}, but not in force yet",
                hint="run `git model apply` to put it in force",
            )
        return NotFound(f"no version of {ref.model} is in {ref.stage}", hint=self._missing_selector_hint(ref.model))

    def _numbers_in(self, folder: str) -> Iterator[int]:
        for name in self.files.names(folder):
            if name.endswith(".toml") and _leading(name):
                yield _leading(name)
            elif _is_hundred(name):
                yield from self._numbers_of(folder, name)

    def _numbers_of(self, folder: str, hundred: str) -> Iterator[int]:
        """The numbers in the folder *hundred*; a file that has no place there does not count."""
        found = (_leading(name) for name in self.files.names(f"{folder}/{hundred}") if name.endswith(".toml"))
        return (number for number in found if number and number // 100 == _leading(hundred))

    def _count_present(self, folder: str, *, hundreds: bool = True) -> tuple[int, bool]:
        """Count the versions below *folder* that are not deleted; the second value is True if all could be read."""
        known = self.files.noted(folder, "present")
        if known is not None:
            return known, True
        names = self.files.names(folder)
        files = [f"{folder}/{name}" for name in names if name.endswith(".toml") and _leading(name)]
        read = self.files.load_many(files, records.VersionRecord, newer=self.newer)
        sound = [record for record in read if not isinstance(record, Invalid)]
        # A nested folder of a hundred is invalid, and could be thousands of levels deep.
        inside = [f"{folder}/{name}" for name in names if hundreds and _is_hundred(name)]
        counted = [self._count_present(hundred, hundreds=False) for hundred in inside]
        present = len(files) - sum(1 for record in sound if record.deleted) + sum(count for count, _ in counted)
        whole = len(sound) == len(files) and all(sure for _, sure in counted)
        if names and whole:
            self.files.note(folder, "present", present)
        return present, whole

    def _highest_in(self, folder: str) -> int:
        found = self.files.names(folder)
        hundreds = sorted((name for name in found if _is_hundred(name)), key=_leading)
        for name in reversed(hundreds):
            highest = max(self._numbers_of(folder, name), default=0)
            if highest:
                return highest
        return max((_leading(name) for name in found if name.endswith(".toml")), default=0)

    def _missing_model_hint(self, name: str) -> str:
        if name in self.model_names():
            return f"models/{name} is there without a model.toml; run `git model check`"
        now = self.renumberings.follow((name, 0), since=0)[0]
        if now != name:
            return f"since a pull it is called {self.current_name(now)}"
        found = [other for other in self.model_names() if fold(other) == fold(name)] or near(name, self.model_names())
        if found:
            return f"did you mean {found[0]}? `git model list` shows what there is"
        return f"run `git model register {name}` to make it, or `git model list` to see what there is"

    def _missing_version_hint(self, model: str) -> str:
        return f"run `git model version list {model}` to see what there is"

    def _recorded_names(self, model: str) -> set[str]:
        files = self.files.names(f"{paths.model_folder(model)}/stages")
        held = {stage for stage in self.registry().stage_names if f"{stage}.toml" in files}
        return held.union(self.recorded_aliases(model))

    def _missing_selector_hint(self, model: str, wanted: str = "") -> str:
        stages = self.registry().stage_names
        # if only one tag was fetched, the branch lists the others
        known = self.tags.of(model) if self.tags.all_known else self._recorded_names(model)
        tagged = [name for name in sorted(known) if name in stages or not self.registry().alias_fault(name)]
        held = [f"{model}@{name}" for name in tagged]
        meant = near(wanted, sorted({*tagged, *stages})) if wanted else []
        question = f"did you mean {model}@{meant[0]}? " if meant else ""
        try:
            held.append(f"{model}@{LATEST} ({self.latest(model)})")
        except GitModelError:
            held.append("no version yet")
        return f"{question}there is {', '.join(held)}; see `git model show {model}`"


def holds_registry(files: Files) -> bool:
    """Return True if *files* are a registry's, even a damaged one: they have gitmodel.toml or the record of a model."""
    if paths.REGISTRY in files.names(""):
        return True
    return any("model.toml" in files.names(paths.model_folder(name)) for name in files.names(paths.MODELS))


def check_number(model: str, number: int, last: int) -> None:
    """Raise Invalid if *number*, after *last*, cannot be the number of a new version of *model*."""
    if number <= paths.HIGHEST_NUMBER:
        return
    where = f"; {paths.version_file(model, last)} has the highest" if last >= paths.HIGHEST_NUMBER else ""
    raise Invalid(
        f"the next version of {model} would be {number}, and numbers end at {paths.HIGHEST_NUMBER}{where}",
        hint="if that number was a mistake, remove its file from the metadata branch with git; "
        "else go on with a new model",
    )


def _name(version: Numbered) -> str:
    return f"{version[0]}@{version[1]}"


def near(word: str, among: Iterable[str]) -> list[str]:
    """The words among which *word* was probably meant, best first.

    >>> near("prodution", ["staging", "production"])
    ['production']
    """
    import difflib  # imported here: only a failed look-up needs it

    return difflib.get_close_matches(word, list(among), n=3, cutoff=0.6)


def check_stage(stage: str, registry: RegistryRecord) -> str:
    """*stage*, if it is one of the registry's exclusive stages. Raises UsageError saying which there are."""
    if stage in registry.stage_names:
        return stage
    meant = near(stage, [*registry.stage_names, "archived", "none"])
    hint = f"the stages are {', '.join([*registry.stage_names, 'archived'])} and none"
    if not registry.stage_names:
        hint = f"{paths.REGISTRY} lists no stages; list them as [[stages]] tables, each with a name"
    raise UsageError(f"there is no stage {stage!a}", hint=f"did you mean {meant[0]}? {hint}" if meant else hint)


def _is_hundred(name: str) -> bool:
    return name.endswith("xx") and _leading(name) > 0


def _leading(name: str) -> int:
    digits = name.removesuffix(".toml").removesuffix("xx")
    return int(digits) if _NUMBER.fullmatch(digits) else 0
