"""The plan of an import: a pure function decides what happens to each model, version, stage and alias of the source."""

from datetime import datetime, timezone

import pytest
from imports import notes_of

from gitmodel.domain.schema.registry_rules.registry_record import RegistryRecord
from gitmodel.errors import NotFound, UsageError
from gitmodel.interop.import_plan import Choices, HeldModel, HeldVersion, Target, plan_import
from gitmodel.interop.sources.source_values import SourceModel, SourceVersion

MADE = datetime(2025, 3, 4, 5, 6, 7, tzinfo=timezone.utc)


def source(*numbers, name="iris", deleted=(), stages=None, **more):
    versions = [
        SourceVersion(number, created=MADE, stages=(stages or {}).get(number, ()), is_deleted=number in deleted)
        for number in numbers
    ]
    return SourceModel(name=name, created=MADE, versions=tuple(versions), **more)


def target(**models):
    registry = RegistryRecord()
    return Target(models=models, stages=registry.stage_names, alias_fault=registry.alias_fault)


def imported(*numbers, name="iris", **more):
    versions = {number: HeldVersion(f"{name}/{number}", MADE) for number in numbers}
    return HeldModel(exists=True, versions=versions, **more)


def plan_one(model, held=None, choices=None):
    (plan,) = plan_import([model], held or target(), choices or Choices()).models
    return plan


def test_missing_numbers_and_deleted_last_versions_become_deleted_versions():
    plan = plan_one(source(2, 5, 6, deleted=(6,)))
    assert ([version.number for version in plan.new], plan.gaps) == ([2, 5, 6], (1, 3, 4))


def test_a_second_import_plans_only_new_versions():
    plan = plan_one(source(1, 2, 3), target(iris=imported(1, 2)))
    assert [version.number for version in plan.new] == [3]
    assert [version.number for version in plan.known] == [1, 2]
    assert not plan.is_new


def test_a_version_whose_number_a_local_version_has_is_left_out():
    held = HeldModel(exists=True, versions={1: HeldVersion("iris/1", MADE), 2: HeldVersion(None, None)})
    plan = plan_one(source(1, 2, 3), target(iris=held))
    assert [version.number for version in plan.new] == [3]
    assert notes_of(plan) == [
        "left out: iris 2: the number 2 of iris is taken by a version that was not imported from this source"
    ]


def test_an_imported_version_that_changed_or_was_deleted_in_the_source_stays_unchanged():
    held = HeldModel(exists=True, versions={n: HeldVersion(f"iris/{n}", MADE.replace(year=2024)) for n in (1, 2)})
    plan = plan_one(source(1, 2, deleted=(2,)), target(iris=held))
    assert not plan.new
    assert [note.outcome for note in plan.notes] == ["changed", "changed"]


def test_a_local_model_with_the_name_of_a_source_model_is_not_changed():
    held = target(iris=HeldModel(exists=True, versions={1: HeldVersion(None, None)}))
    assert plan_one(source(1), held).name.startswith("iris-")


def test_names_that_differ_only_in_case_get_different_names():
    found = plan_import([source(1, name="Iris"), source(1, name="iris"), source(1, name="a b")], target(), Choices())
    names = [plan.name for plan in found.models]
    assert names[0] == "Iris"
    assert len({name.lower() for name in names}) == 3
    held = {plan.name: imported(1, name=plan.source.name, title=plan.source.name) for plan in found.models}
    again = plan_import([plan.source for plan in found.models], target(**held), Choices())
    assert [plan.name for plan in again.models] == names
    assert not any(plan.new for plan in again.models)


def test_a_model_that_was_deleted_in_the_registry_is_left_out():
    found = plan_import([source(1)], target(iris=HeldModel(exists=False)), Choices())
    assert not found.models
    assert [note.reason for note in found.notes] == ["the model iris was deleted here"]


def test_of_two_versions_in_one_stage_the_higher_number_keeps_the_stage():
    plan = plan_one(source(1, 2, 3, stages={1: ("Production",), 3: ("Production",), 2: ("Staging",)}))
    assert plan.stages == (("archived", 1), ("staging", 2), ("production", 3))
    assert notes_of(plan) == ["changed: iris 1: 3, the highest number in production, keeps the stage; 1 is archived"]


@pytest.mark.parametrize(
    ("alias", "reason"),
    [
        ("Staging", "cannot be an alias here, because it is the stage staging"),
        ("_x", "cannot be an alias here, because it begins with '_'"),
        ("latest", "cannot be an alias here, because it is a word for a stage"),
    ],
)
def test_aliases_with_invalid_names_are_left_out(alias, reason):
    plan = plan_one(source(1, aliases={alias: 1, "champion": 1}))
    assert plan.aliases == (("champion", 1),)
    assert notes_of(plan) == [f"left out: iris {alias}: {alias!a} {reason}"]


def test_a_mapped_alias_becomes_a_stage_and_replaces_its_holder():
    model = source(1, 2, stages={2: ("Production",)}, aliases={"champion": 1})
    plan = plan_one(model, choices=Choices(words={"champion": "production"}))
    assert (plan.stages, plan.aliases) == ((("production", 1),), ())


def test_a_stage_that_the_registry_does_not_have_is_left_out():
    plan = plan_one(source(1, stages={1: ("canary",)}))
    assert not plan.stages
    assert "there is no stage 'canary' here" in plan.notes[0].reason


def test_a_stage_or_alias_that_moved_between_known_versions_is_reported_and_stays():
    held = target(iris=imported(1, 2, stages={"production": 1}, aliases={"champion": 1}))
    plan = plan_one(source(1, 2, stages={2: ("Production",)}, aliases={"champion": 2}), held)
    assert (plan.stages, plan.aliases) == ((), ())
    assert notes_of(plan) == [
        "left out: iris 2 production: the version is in production in the source; "
        "here iris@1 is in production, which does not change",
        "left out: iris champion: the alias names 2 in the source; here it names iris@1, which does not change",
    ]


def test_prompts_are_left_out_unless_asked_for():
    prompt = source(1, name="greeting", is_prompt=True)
    assert not plan_import([prompt], target(), Choices()).models
    assert plan_import([prompt], target(), Choices(prompts=True)).models


def test_only_the_chosen_models_are_planned():
    found = plan_import([source(1), source(1, name="rose")], target(), Choices(("rose",)))
    assert [plan.name for plan in found.models] == ["rose"]


@pytest.mark.parametrize(
    ("choices", "error", "message", "hint"),
    [
        (Choices(("iris", "Iris")), NotFound, "the source has no model 'Iris'", "iris"),
        (Choices(("lily",)), NotFound, "the source has no model 'lily'", "--dry-run lists them"),
        (Choices(words={"best": "prod"}), UsageError, "--map best=prod: there is no stage 'prod' here", "production"),
    ],
)
def test_an_import_of_a_model_that_the_source_does_not_have_is_refused(choices, error, message, hint):
    with pytest.raises(error) as caught:
        plan_import([source(1)], target(), choices)
    assert caught.value.message == message
    assert hint in caught.value.hint


def test_a_stage_mapping_that_the_source_does_not_use_is_reported():
    choices = Choices(words={"champio": "production", "Best": "staging"})
    found = plan_import([source(1, aliases={"best": 1})], target(), choices)
    assert [(note.subject, note.reason) for note in found.notes] == [
        ("--map champio=production", "the source has no stage or alias 'champio'")
    ]
