"""Planning an import of models of another registry: names, new versions, stages and aliases. Pure."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import field, replace
from datetime import datetime
from typing import NamedTuple

from gitmodel.domain.schema import paths
from gitmodel.domain.schema.names import did_you_mean, fold
from gitmodel.errors import NotFound, UsageError
from gitmodel.frozen import Frozen
from gitmodel.interop.foreign_names import candidate_names
from gitmodel.interop.sources.source_values import SourceModel, SourceVersion

ARCHIVED = "archived"
NO_STAGE = "none"


class Note(Frozen):
    """A line in the report of an import.

    The *outcome* of *subject* is "renamed", "left out", "changed" or "proposed", and *reason* says why.
    """

    outcome: str
    subject: str
    reason: str


class HeldVersion(NamedTuple):
    """An existing version of the target registry.

    *id* is the id that the version has in the source (see `source_id`), and *created* its time in the source. Both are
    None if it was not imported.
    """

    id: str | None
    created: datetime | None


class HeldModel(Frozen):
    """A model of the target registry. *exists* is False for a deleted model, whose name cannot be used again.

    *stages* and *aliases* map each stage or alias to the number of its version.
    """

    exists: bool
    title: str = ""
    versions: Mapping[int, HeldVersion] = field(default_factory=dict)
    stages: Mapping[str, int] = field(default_factory=dict)
    aliases: Mapping[str, int] = field(default_factory=dict)


class Target(Frozen):
    """The target registry, into which models are imported: its models by name, and its exclusive stages.

    *stages* are in the order in which `gitmodel.toml` lists them. *alias_fault* returns the reason why a word
    cannot be an alias in this registry, or None.
    """

    models: Mapping[str, HeldModel]
    stages: tuple[str, ...]
    alias_fault: Callable[[str], str | None]


class Choices(NamedTuple):
    """The user's choices: the names of *models* to import (empty: all).

    If *prompts* is True, prompts are imported, too. *words* maps stages and aliases of the source to stages of
    the target.
    """

    models: tuple[str, ...] = ()
    words: Mapping[str, str] = {}
    prompts: bool = False


class ModelPlan(Frozen):
    """The plan for the import of the model *source* as the model *name* of the target registry.

    *new* are the versions to create, by number; those deleted in the source become deleted versions. *gaps* are the
    numbers between them that the source lacks, which also become deleted versions. *known* are versions that were
    imported before. *stages* and *aliases* are those to set, each with the number of a new version.
    """

    source: SourceModel
    name: str
    is_new: bool
    new: tuple[SourceVersion, ...]
    gaps: tuple[int, ...]
    known: tuple[SourceVersion, ...]
    stages: tuple[tuple[str, int], ...]
    aliases: tuple[tuple[str, int], ...]
    notes: tuple[Note, ...]


class ImportPlan(Frozen):
    """The plans for the imports of all chosen models, and notes on models and --map options that are left out."""

    models: tuple[ModelPlan, ...]
    notes: tuple[Note, ...]


def source_id(model: str, version: SourceVersion) -> str:
    """Return an id for *version* of the source's model *model*, by which a second import recognizes the version.

    It has the name of the version, or its number if it has no name.

    >>> source_id("iris", SourceVersion(3)), source_id("iris", SourceVersion(3, name="v1.2.0"))
    ('iris/3', 'iris@v1.2.0')
    """
    return f"{model}/{version.number}" if version.name is None else f"{model}@{version.name}"


def plan_import(models: Iterable[SourceModel], target: Target, choices: Choices) -> ImportPlan:
    """Plan the import of *models*, all models of the source, into *target*.

    The plan has a note about each stage or alias in *choices* that the source lacks. Raises NotFound if *choices* name
    a model that the source lacks, UsageError if they name a stage that *target* lacks.
    """
    models = tuple(models)
    _check_choices(choices, models, target)
    planned, notes, taken = list[ModelPlan](), list[Note](), set[str]()
    for model in models:
        if choices.models and model.name not in choices.models:
            continue
        if model.is_prompt and not choices.prompts:
            notes.append(Note("left out", model.name, "it is a prompt; import prompts with --prompts"))
            continue
        name = _free_name(model.name, target, taken)
        if name is None:
            notes.append(Note("left out", model.name, f"the model {model.name} was deleted here"))
            continue
        taken.add(fold(name))
        planned.append(_plan_model(model, name, target, choices))
    known = {fold(word) for model in models for word in model.aliases}
    known |= {fold(word) for model in models for version in model.versions for word in version.stages}
    notes += [
        Note("left out", f"--map {word}={stage}", f"the source has no stage or alias {word!a}")
        for word, stage in choices.words.items()
        if fold(word) not in known
    ]
    return ImportPlan(models=tuple(planned), notes=tuple(notes))


def _check_choices(choices: Choices, models: Sequence[SourceModel], target: Target) -> None:
    names = [model.name for model in models]
    for name in choices.models:
        if name not in names:
            hint = "leave --model out to import all models; --dry-run lists them"
            raise NotFound(f"the source has no model {name!a}", hint=did_you_mean(name, names, hint))
    stages = (*target.stages, ARCHIVED, NO_STAGE)
    for word, stage in choices.words.items():
        if stage not in stages:
            hint = f"the stages are {', '.join(target.stages)}, archived and none; add one with `git model stage add`"
            raise UsageError(f"--map {word}={stage}: there is no stage {stage!a} here", hint=hint)


def _free_name(name: str, target: Target, taken: Collection[str]) -> str | None:
    """Return the name in *target* for the source's model *name*: that of an earlier import, or a free one.

    Returns None if the model was deleted in *target*. *taken* are the names that this import gives other models.
    """
    folded = {fold(held) for held in target.models}
    for candidate in candidate_names(name):
        held = target.models.get(candidate)
        if held is not None and not held.exists:
            return None
        if fold(candidate) in taken or (held is None and fold(candidate) in folded):
            continue
        if held is None or _was_imported(held, candidate, name):
            return candidate
    raise AssertionError("there are always more candidates")


def _was_imported(held: HeldModel, candidate: str, name: str) -> bool:
    """Return True if *held* has versions that were imported from the source's model *name*, or no versions.

    Returns False if neither the name nor the title of *held* is *name*. *candidate* is the name of *held*.
    """
    if name not in (candidate, held.title):
        return False
    ids = [version.id for version in held.versions.values()]
    return not ids or any(id is not None and id.startswith((f"{name}/", f"{name}@")) for id in ids)


class _ModelImport(Frozen):
    """The import of the model *source* as *name*.

    *held* is the target's model *name*, *new* are the numbers of the versions to create.
    """

    source: SourceModel
    name: str
    held: HeldModel
    target: Target
    choices: Choices
    new: frozenset[int]


def _plan_model(model: SourceModel, name: str, target: Target, choices: Choices) -> ModelPlan:
    held = target.models.get(name, HeldModel(exists=False))
    notes = list[Note]()
    if name != model.name and not held.exists:
        notes.append(Note("renamed", model.name, f"the model is {name} here"))
    numbered, of_names = _number_versions(model, held)
    model = replace(model, versions=numbered)
    new, known, of_versions = _sort_versions(model, name, held)
    missing = sorted(set(model.aliases.values()) - {version.number for version in model.versions})
    of_missing = [
        Note("left out", f"{model.name} {number}", "an alias names this version, which the source lacks")
        for number in missing
    ]
    numbers = frozenset(version.number for version in new)
    one = _ModelImport(source=model, name=name, held=held, target=target, choices=choices, new=numbers)
    stages, of_stages = _plan_stages(one)
    aliases, of_aliases = _plan_aliases(one)
    return ModelPlan(
        source=model,
        name=name,
        is_new=not held.exists,
        new=new,
        gaps=tuple(sorted({*range(max(held.versions, default=0) + 1, max(numbers, default=0))} - numbers)),
        known=known,
        stages=stages,
        aliases=aliases,
        notes=(*notes, *of_names, *of_versions, *of_missing, *of_stages, *of_aliases),
    )


def _number_versions(model: SourceModel, held: HeldModel) -> tuple[tuple[SourceVersion, ...], list[Note]]:
    """Return the versions of *model* with their numbers in the target registry, and notes on those that are left out.

    A version with a name gets the number that an earlier import gave it, or the next free number. A version without a
    name keeps its number.
    """
    here = {version.id: number for number, version in held.versions.items() if version.id is not None}
    following = max(held.versions, default=0)
    found, notes = list[SourceVersion](), list[Note]()
    for version in model.versions:
        known = here.get(source_id(model.name, version))
        if version.name is None:
            found.append(version)
        elif known is not None:
            found.append(replace(version, number=known))
        elif version.is_deleted:
            notes.append(Note("left out", f"{model.name} {version.name}", "the version was deleted in the source"))
        else:
            following += 1
            found.append(replace(version, number=following))
    return tuple(found), notes


def _sort_versions(
    model: SourceModel, name: str, held: HeldModel
) -> tuple[tuple[SourceVersion, ...], tuple[SourceVersion, ...], list[Note]]:
    """Return the versions of *model* to create, those that were imported before, and notes on all others.

    *name* and *held* are the model in the target registry.
    """
    new, known, notes = list[SourceVersion](), list[SourceVersion](), list[Note]()
    last = max(held.versions, default=0)
    for version in model.versions:
        subject = f"{model.name} {version.number}"
        there = held.versions.get(version.number)
        if there is not None and there.id == source_id(model.name, version):
            if version.is_deleted or there.created != version.created:
                other = f"gave the number to a version of {version.created}"
                what = "deleted the version" if version.is_deleted else other
                why = f"since the last import, the source {what}; {name}@{version.number} stays"
                notes.append(Note("changed", subject, why))
            else:
                known.append(version)
        elif there is not None and version.is_deleted:
            continue  # the version was already deleted at the last import
        elif version.number <= last:
            taken = "is taken by a version that was not imported from this source"
            why = taken if there else f"is below {last}, the last number"
            notes.append(Note("left out", subject, f"the number {version.number} of {name} {why}"))
        elif version.number > paths.MOST_SKIPPED + (new[-1].number if new else last) + 1:
            notes.append(Note("left out", subject, f"more than {paths.MOST_SKIPPED:,} numbers are missing before it"))
        else:
            new.append(version)
    return tuple(new), tuple(known), notes


def _plan_stages(one: _ModelImport) -> tuple[tuple[tuple[str, int], ...], list[Note]]:
    """Return the stages to set, each with the number of a new version, and notes on stages that are not set.

    Versions to archive come first, then the exclusive stages in the order of the target.
    """
    wanted, notes = _wanted_stages(one)
    order = (ARCHIVED, *one.target.stages)
    holders: dict[str, list[int]] = {stage: [] for stage in order}
    for number, found in sorted(wanted.items()):
        *earlier, last = sorted(set(found), key=order.index)
        holders[last].append(number)
        why = f"here a version is in one stage only, and this version is in {last}"
        notes += [Note("left out", f"{one.source.name} {number} {stage}", why) for stage in earlier]
    for stage in one.target.stages:
        for number in holders[stage][:-1]:
            why = f"{holders[stage][-1]}, the highest number in {stage}, keeps the stage; {number} is archived"
            notes.append(Note("changed", f"{one.source.name} {number}", why))
        holders[ARCHIVED] += holders[stage][:-1]
        del holders[stage][:-1]
    entered = [(stage, number) for stage in order for number in sorted(holders[stage])]
    for stage, number in entered:
        now = one.held.stages.get(stage)
        if number not in one.new and stage != ARCHIVED and number in one.held.versions and now != number:
            here = f"{one.name}@{now} is in {stage}" if now else f"nothing is in {stage}"
            why = f"the version is in {stage} in the source; here {here}, which does not change"
            notes.append(Note("left out", f"{one.source.name} {number} {stage}", why))
    return tuple((stage, number) for stage, number in entered if number in one.new), notes


def _wanted_stages(one: _ModelImport) -> tuple[dict[int, list[str]], list[Note]]:
    """Return the stages of the target for each version, by its number, and notes on stages that the target lacks.

    If the user maps an alias to a stage, the version with this alias gets the stage, and no other version does.
    """
    wanted: dict[int, list[str]] = {}
    notes = list[Note]()
    words = [(version.number, word, False) for version in one.source.versions for word in version.stages]
    mapped = [(number, alias, True) for alias, number in one.source.aliases.items() if _mapped(alias, one.choices)]
    for number, word, is_alias in (*words, *mapped):
        found = _stage_of(word, f"{one.source.name} {word if is_alias else number}", one)
        if isinstance(found, Note):
            notes.append(found)
            continue
        if is_alias:
            for others in wanted.values():
                others[:] = [other for other in others if other != found]
        wanted.setdefault(number, []).append(found)
    return {number: stages for number, stages in wanted.items() if stages}, notes


def _plan_aliases(one: _ModelImport) -> tuple[tuple[tuple[str, int], ...], list[Note]]:
    """Return the aliases to set, each with the number of a new version, and notes on aliases that are left out."""
    found, notes = list[tuple[str, int]](), list[Note]()
    existing = {version.number for version in one.source.versions if not version.is_deleted}
    for alias, number in one.source.aliases.items():
        subject = f"{one.source.name} {alias}"
        if _mapped(alias, one.choices) or number not in existing:
            continue  # `_wanted_stages` handles mapped aliases, and `_plan_model` adds the notes on missing versions
        now = one.held.aliases.get(alias)
        if fault := one.target.alias_fault(alias):
            notes.append(Note("left out", subject, f"{alias!a} cannot be an alias here, because it {fault}"))
        elif number in one.new:
            found.append((alias, number))
        elif number in one.held.versions and now != number:
            here = f"names {one.name}@{now}" if now else "does not exist"
            why = f"the alias names {number} in the source; here it {here}, which does not change"
            notes.append(Note("left out", subject, why))
    return tuple(found), notes


def _mapped(word: str, choices: Choices) -> str | None:
    return next((stage for given, stage in choices.words.items() if fold(given) == fold(word)), None)


def _stage_of(word: str, subject: str, one: _ModelImport) -> str | Note:
    """Return the stage of the target for *word*, a stage or alias of the source, or a note if there is none."""
    stage = _mapped(word, one.choices) or fold(word)
    if stage == NO_STAGE:
        return Note("left out", f"{subject} {word}", "as --map says")
    if stage == ARCHIVED or stage in one.target.stages:
        return stage
    known = ", ".join(one.target.stages)
    why = f"there is no stage {stage!a} here (the stages are {known}); add it, or say --map {word}=STAGE"
    return Note("left out", f"{subject} {word}", why)
