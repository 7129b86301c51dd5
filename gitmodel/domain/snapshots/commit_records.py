"""The records of the registry at one commit. Pure: files are read through `Files`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING

from gitmodel.domain.schema import paths, records
from gitmodel.domain.schema.codec import R
from gitmodel.domain.schema.names import did_you_mean
from gitmodel.domain.schema.object_ids import Oid
from gitmodel.domain.schema.paths import RecordPath
from gitmodel.domain.schema.recorded_renumberings import Numbered, Renumbered, Renumberings
from gitmodel.domain.schema.records import ModelRecord, StageRecord, VersionRecord
from gitmodel.domain.schema.refs import StageRef
from gitmodel.domain.schema.registry_rules.registry_file import decode_registry, without_rules
from gitmodel.domain.schema.registry_rules.registry_record import RegistryRecord, StageRule
from gitmodel.domain.snapshots.snapshot_sources import Files, Refusal, StageTag, Tags
from gitmodel.domain.snapshots.version_numbers import check_number, hundred_of, number_of
from gitmodel.errors import Conflict, Invalid, NotFound, UsageError
from gitmodel.frozen import Frozen

if TYPE_CHECKING:
    from typing_extensions import Self

# The number of renames of one model after which gitmodel stops following, because the records must form a cycle.
MOST_RENAMES = 100

# Cached, because every query decodes `gitmodel.toml`, which rarely changes.
_decode_registry = lru_cache(maxsize=8)(decode_registry)


def read_registry(files: Files) -> RegistryRecord:
    """Return the record in `gitmodel.toml`; the default record if there are no files at all.

    If only `gitmodel.toml` is missing, no version may enter a stage. Raises Invalid if the file is not that of a
    registry.
    """
    data = files.read(paths.REGISTRY)
    if data is None:
        return without_rules(paths.REGISTRY) if files.names("") else RegistryRecord()
    return _decode_registry(data, paths.REGISTRY)


def place_files(registry: RegistryRecord, ref: StageRef) -> tuple[str, ...]:
    """Return the paths of the files from which readers take the version of the stage or alias *ref*.

    Readers use the first of these files that exists. Returns () if *ref* is neither a stage nor a valid alias.
    """
    stage, alias = paths.stage_file(ref.model, ref.stage), paths.alias_file(ref.model, ref.stage)
    if ref.stage in registry.stage_names:
        return (stage,)
    # The stage file is for a stage that gitmodel.toml listed earlier: readers may still use the tag of this stage.
    return () if registry.alias_fault(ref.stage) else (alias, stage)


def place_at(registry: RegistryRecord, what: RecordPath | None) -> StageRef | None:
    """Return the stage or alias to which the record at the path *what* belongs.

    Returns None for a record of another kind, and for a stage or alias that *registry* does not allow: readers ignore
    its record.
    """
    if what is None or what.kind not in ("stage", "alias"):
        return None
    if what.key in registry.stage_names:
        return StageRef(what.model, what.key) if what.kind == "stage" else None
    return None if registry.alias_fault(what.key) else StageRef(what.model, what.key)


class CommitRecords(Frozen, eq=False):
    """The records of the metadata branch at one commit, and the stage tags.

    - *commit*: None if there is no registry yet. *files* are the files of the commit, possibly with planned changes;
      then *committed* is the snapshot without these changes.
    - `is_reserved`: tells if a writer reserved a number of a model. `reserved_for` returns the id of the running run
      that reserved a name for a version of a model, or "".
    - *shared*: the newest commit of the remote's branch that this clone has seen (None: no remote has a registry).
      `is_local` tells if the commit *shared* lacks a version.
    - *frozen*: the stage tag whose commit was read, if only this tag was fetched. The branch may be newer.
    - `refusal`: returns the reason why a rule keeps the recorded change of a stage from coming into force, or None.
    - `missing_tags`: returns the command that fetches the stage tags, if this clone has none; else "".
    - *proposed*: True if changes planned on the snapshot become a proposal, which may change `proposal_only` stages.
    - `read_renumberings`: returns the renumberings of versions by pulls in this clone. *settled* are the old references
      whose new meaning the user confirmed. `warn` is called if the user reads by an old reference that is not in
      *settled*.
    - `other_rules`: returns the records of `gitmodel.toml` whose rules apply besides those in the commit: the rules
      that were in force at the commit, and later rules.
    """

    commit: Oid | None
    files: Files
    tags: Tags
    is_reserved: Callable[[str, int], bool]
    committed: Self | None = None
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
        """Return the registry's record; the default record if there is no registry yet."""
        return self._registry

    @cached_property
    def registries(self) -> tuple[RegistryRecord, ...]:
        """The records of the rules that a change on this commit must satisfy: that of the commit, then `other_rules`.

        Raises Invalid if a record cannot be read.
        """
        others = (record for record in self.other_rules() if record.stages != self.registry().stages)
        return (self.registry(), *others)

    @property
    def closed_stages(self) -> frozenset[str]:
        """The stages that only a reviewed proposal may change. Raises the errors of `registries`."""
        return frozenset(rule.name for record in self.registries for rule in record.stages if rule.proposal_only)

    def rules(self, stage: str) -> tuple[StageRule, ...]:
        """Return the different rules of *stage* in `registries`. A change on this commit must satisfy all of them."""
        found: list[StageRule] = []
        for rule in (record.rule(stage) for record in self.registries):
            if rule not in found:
                found.append(rule)
        return tuple(found)

    def load(self, path: str, kind: type[R]) -> R | None:
        """Return the record of the type *kind* at *path*, or None if there is no file."""
        return self.files.load(path, kind, newer=self.newer)

    @cached_property
    def newer(self) -> bool:
        """True if a newer gitmodel wrote this branch, so that unknown keys are kept."""
        return self._registry.newer

    @cached_property
    def _registry(self) -> RegistryRecord:
        if self.commit is None and self.files.read(paths.REGISTRY) is None:
            return RegistryRecord()  # `read_registry` would forbid all stages if the first transaction lacks the file
        return read_registry(self.files)

    @cached_property
    def renumberings(self) -> Renumberings:
        """The renumberings that pulls made in this clone."""
        return self.read_renumberings()

    def model_names(self) -> tuple[str, ...]:
        """Return all names of models, including the names of deleted models and the former names of renamed models."""
        return self.files.names(paths.MODELS)

    def model(self, name: str) -> ModelRecord:
        """Return the record of the model *name*. Raises NotFound if it does not exist, was deleted or was renamed."""
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
        """Return True if a model has exactly this name and is neither deleted nor renamed.

        A damaged record raises Invalid, or counts as no model if *tolerant* is True.
        """
        record = self._model_record(name, tolerant=tolerant)
        return record is not None and record.exists

    def _model_record(self, name: str, *, tolerant: bool) -> ModelRecord | None:
        """Return the record of the model *name*; None if it has none, or if it is damaged and *tolerant* is True.

        Raises Invalid if it is damaged and *tolerant* is False.
        """
        try:
            return self.load(paths.model_file(name), records.ModelRecord)
        except Invalid:
            if tolerant:
                return None
            raise

    def current_name(self, name: str, *, tolerant: bool = False) -> str:
        """Return the current name of the model *name*, which may have been renamed.

        Raises Invalid if a record cannot be read, or if the renames form a cycle. If *tolerant* is True, a model with a
        damaged record counts as not renamed instead, and the result for a cycle is *name*.
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
        """Yield *name*, then each later name of the model. Endless if the renames form a cycle."""
        while True:
            yield name
            record = self._model_record(name, tolerant=tolerant)
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
        """The former names of models, by the new name that each rename gave."""
        found: dict[str, tuple[str, ...]] = {}
        names = self.model_names()
        read = self.files.load_many(map(paths.model_file, names), records.ModelRecord, newer=self.newer)
        for name, record in zip(names, read, strict=True):
            if not isinstance(record, Invalid) and record.renamed_to:
                found[record.renamed_to] = (*found.get(record.renamed_to, ()), name)
        return found

    def former_tag(self, ref: StageRef) -> StageTag | None:
        """Return the valid tag of the stage *ref* that still has a former name of the model, or None.

        It counts until `git model apply` creates the tag with the current name.
        """
        found = (self.tags.get(StageRef(former, ref.stage)) for former in self.former_names(ref.model))
        return next((tag for tag in found if tag is not None and not tag.forged and tag.record is not None), None)

    def numbers(self, model: str) -> list[int]:
        """Return the numbers of all versions of *model*, including deleted versions, ascending."""
        return sorted(self.newest_numbers(model))

    def newest_numbers(self, model: str) -> Iterator[int]:
        """Yield the numbers of all versions of *model*, the newest first.

        Reads, sorts and parses a folder only when its numbers are needed, because every write asks for the newest one.
        """
        folder = f"{paths.model_folder(model)}/versions"
        found = self.files.names(folder)
        # *found* is sorted as text. Among names of the same length, this is the order of their numbers.
        hundreds = sorted((name for name in reversed(found) if name.endswith("xx")), key=len, reverse=True)
        for name in hundreds:
            hundred = hundred_of(name)
            numbers = map(number_of, reversed(self.files.names(f"{folder}/{name}"))) if hundred else ()
            yield from (number for number in numbers if number // 100 == hundred)
        yield from sorted(filter(None, map(number_of, found)), reverse=True)

    def count_present(self, model: str) -> tuple[int, bool]:
        """Count the versions of *model* that are not deleted, including damaged ones.

        The second value is True if no version is damaged.
        """
        found = (paths.version_file(model, number) for number in self.newest_numbers(model))
        present, whole = 0, True
        for record in self.files.load_many(found, records.VersionRecord, newer=self.newer):
            whole = whole and not isinstance(record, Invalid)
            present += isinstance(record, Invalid) or record.deleted is None
        return present, whole

    def last_number(self, model: str) -> int:
        """Return the highest number that *model* ever used, or 0."""
        return next(self.newest_numbers(model), 0)

    def check_not_reserved(self, model: str, name: str, *, runs: Iterable[str] = ()) -> None:
        """Raise Conflict if a running run, except *runs*, reserved *name* for a version of *model*."""
        run = self.reserved_for(model, name)
        if run and run not in runs:
            raise Conflict(
                f"run {run}, which is running, has reserved the name {name} for a version of {model}",
                hint="wait until it has ended (`git model runs list`), or choose another name",
            )

    def next_number(self, model: str, last: int | None = None) -> int:
        """Return the first number above *last* that no writer reserved for a version of *model*.

        *last* is by default the highest number of *model*. Raises Invalid if the result would be too large.
        """
        last = self.last_number(model) if last is None else last
        number = last + 1
        while self.is_reserved(model, number):
            number += 1
        check_number(model, number, last)
        return number

    def version(self, model: str, number: int) -> VersionRecord:
        """Return the record of a version, or its tombstone if it was deleted. Raises NotFound if there is neither."""
        path = paths.version_file(model, number)
        record = self.load(path, records.VersionRecord)
        if record is None:
            raise NotFound(
                f"there is no version {number} of {model}",
                hint=f"run `git model version list {model}` to see the versions",
            )
        if record.number != number:
            raise Invalid(
                f"{path}, key number: it is {record.number}, which is not the number in the path [version.number]",
                hint="run `git model check`",
            )
        return record

    def present_version(self, model: str, number: int) -> VersionRecord:
        """Return the record of the version *number*. Raises NotFound if it does not exist or was deleted."""
        record = self.version(model, number)
        if record.deleted is not None:
            because = f": {record.reason}" if record.reason else ""
            hint = f"`git model log {model}@{number}` names the commit"
            if not record.skipped:
                hint += "; read the version with `--at COMMIT~1`"
            raise NotFound(f"version {number} of {model} was deleted{because}", hint=hint)
        return record

    def versions(self, model: str, numbers: Iterable[int]) -> Iterator[VersionRecord | Invalid]:
        """Yield the record, or the error of a damaged record, of each of *numbers*, in this order."""
        found = (paths.version_file(model, number) for number in numbers)
        return self.files.load_many(found, records.VersionRecord, newer=self.newer)

    def latest(self, model: str) -> int:
        """Return the highest number of a version that is neither deleted nor failed. Raises NotFound if none is."""
        for number in self.newest_numbers(model):
            if self.version(model, number).usable:
                return number
        raise NotFound(
            f"model {model} has no versions yet", hint=f"run `git model version create {model}` to create the first"
        )

    def number_named(self, model: str, name: str) -> int | None:
        """Return the number of the version of *model* called *name*; None if there is none or the name is invalid."""
        if self.registry().version_name_fault(name):
            return None
        record = self.load(paths.name_file(model, name), records.NameRecord)
        return record.version if record else None

    def recorded(self, model: str, stage: str) -> StageRecord | None:
        """Return the branch's record of an exclusive stage; None if the stage is empty."""
        return self.load(paths.stage_file(model, stage), records.StageRecord)

    def recorded_alias(self, model: str, alias: str) -> StageRecord | None:
        """Return the branch's record of an alias; None if there is none, or if *alias* is not allowed as an alias."""
        if self.registry().alias_fault(alias):
            return None
        return self.load(paths.alias_file(model, alias), records.StageRecord)

    def recorded_place(self, ref: StageRef) -> StageRecord | None:
        """Return the branch's record of the stage or alias *ref*; None if it has no version."""
        return self.recorded(ref.model, ref.stage) or self.recorded_alias(ref.model, ref.stage)

    def recorded_aliases(self, model: str) -> list[str]:
        """Return the aliases of *model* that the branch records."""
        folder = f"{paths.model_folder(model)}/aliases"
        found = sorted(name.removesuffix(".toml") for name in self.files.names(folder) if name.endswith(".toml"))
        return [name for name in found if not self.registry().alias_fault(name)]

    def is_archived(self, model: str, number: int) -> bool:
        """Return True if the branch has the archived marker of a version."""
        return self.files.read(paths.archived_file(model, number)) is not None

    def _missing_model_hint(self, name: str) -> str:
        if name in self.model_names():
            return f"models/{name} has no model.toml; run `git model check`"
        now = self.renumberings.follow((name, 0), since=0)[0]
        if now != name:
            return f"a pull renamed this model to {self.current_name(now)}"
        hint = f"run `git model register {name}` to create it, or `git model list` to see the models"
        return did_you_mean(name, self.model_names(), hint)


def holds_registry(files: Files) -> bool:
    """Return True if *files* are a registry, even a damaged one: they have gitmodel.toml or the record of a model."""
    if paths.REGISTRY in files.names(""):
        return True
    return any("model.toml" in files.names(paths.model_folder(name)) for name in files.names(paths.MODELS))


def check_stage(stage: str, registry: RegistryRecord) -> str:
    """Return *stage* if it is an exclusive stage of the registry. Raises UsageError, which lists the stages."""
    if stage in registry.stage_names:
        return stage
    hint = f"the stages are {', '.join([*registry.stage_names, 'archived'])} and none"
    if not registry.stage_names:
        hint = f"{paths.REGISTRY} lists no stages; list them as [[stages]] tables, each with a name"
    if stage in ("archived", "none"):
        raise UsageError(
            f"{stage} is a place that any number of versions can be in, and not an exclusive stage",
            hint=f"name one of the stages: {', '.join(registry.stage_names)}",
        )
    known = [*registry.stage_names, "archived", "none"]
    raise UsageError(f"there is no stage {stage!a}", hint=did_you_mean(stage, known, hint))
