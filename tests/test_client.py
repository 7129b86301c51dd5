"""`Client` and its handles (the objects for models, versions and artifacts): what a call changes, and what it refuses.

A stage such as production holds one version of a model, its holder. Promoting another version archives the holder. The
stage tag, a git tag, puts the promotion in force. Without the tag, the promotion is pending, and `client.apply` creates
the tag. A version is in use if it is in a stage or has an alias. A leftover stage file is explained at `TestLeftovers`.
"""

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from inspect import signature

import editing
import pytest
from expected_errors import error_with_hint

from gitmodel import Artifact, Client, Conflict, Invalid, Model, ModelStages, NotFound, Refused, UsageError
from gitmodel.branch.transactions.transaction import begin
from gitmodel.domain.changes.planned_change import Change
from gitmodel.domain.schema import codec, paths, records
from gitmodel.domain.schema.records import DESCRIPTIVE, VersionRecord
from gitmodel.domain.schema.registry_rules.registry_record import RegistryRecord, StageRule
from gitmodel.registry.health import doctor
from gitmodel.registry.writing.transacting import transact

SET_BY_HAND = 'version = {0}\nartifacts = "{1}"\n'


@pytest.fixture
def client(code_repo):
    with Client(code_repo) as client:
        yield client


@pytest.fixture
def other(code_repo, client):
    """A second client of the same repository, which stands for another program."""
    with Client(code_repo) as other:
        yield other


@pytest.fixture
def iris(client):
    """The model iris with three versions, none of which is in a stage."""
    model = client.register_model("iris")
    for _ in range(3):
        model.create_version()
    return model


def held(model):
    """Return the number of the version in force for each stage and alias of *model* that is not empty."""
    return {state.name: state.in_force for state in model.stages if state.in_force is not None}


def recorded(model):
    return {state.name: state.recorded for state in model.stages if state.recorded is not None}


def archived(model):
    return [version.number for version in model.versions if version.stage == "archived"]


def promote(model, *numbers):
    """Promote these versions of *model* to production, one after the other."""
    for number in numbers:
        model.get_version(number).set_stage("production")


def commits(client, git):
    return git(client.repository.common_dir, "rev-list", "--count", "gitmodel")


class TestModels:
    def test_a_registered_model_has_all_given_descriptive_fields(self, client):
        said = {
            "title": "Iris flowers",
            "license": "Apache-2.0",
            "description": "Tells three species apart.\nWell.",
            "audience": "botanists",
            "use_cases": "teaching",
            "limitations": "three species",
            "trade_offs": "small",
            "ethics": "none known",
            "tags": ["sklearn", "demo", "demo"],
            "owners": ["ada"],
        }
        client.register_model(Model("iris", **said))
        model = client.get_model("iris")
        assert {field: getattr(model, field) for field in said} == {**said, "tags": ["demo", "sklearn"]}
        assert model.name == "iris"
        assert model.created.isoformat() == "2026-11-23T10:12:13+00:00"
        assert client.get_model(model_name="iris") == model

    def test_the_arguments_of_the_class_model_are_the_descriptive_keys_of_its_record(self):
        assert list(signature(Model).parameters) == ["name", *DESCRIPTIVE]
        assert {key: getattr(Model(name="iris"), key) for key in DESCRIPTIVE} == {
            **dict.fromkeys(DESCRIPTIVE, ""),
            "tags": [],
            "owners": [],
            "metadata": {},
        }

    def test_a_model_object_that_was_not_registered_cannot_be_used_as_a_handle(self):
        model = Model("iris", tags=("b", "a"))
        assert model.tags == ["a", "b"]
        uses = (
            model.create_version,
            model.delete,
            lambda: model.versions,
            lambda: model.rename("x"),
            lambda: model.stages,
        )
        for use in (*uses, lambda: model.rename("x")):
            with error_with_hint(UsageError, "only a description", "client.register_model"):
                use()

    def test_the_error_for_an_unknown_field_lists_the_known_fields(self, client):
        with error_with_hint(UsageError, "colour", "license"):
            client.register_model("iris", colour="blue")

    def test_models_are_listed_by_name_and_filtered_sorted_and_paged(self, client):
        for name in ("b", "a", "c"):
            client.register_model(name, tags=["x"] if name != "a" else [])
        client.get_model("b").create_version()
        client.get_model("b").create_version()
        client.get_model("c").create_version()
        assert [model.name for model in client.list_models()] == ["a", "b", "c"]
        assert [model.name for model in client.list_models(sort="-name")] == ["c", "b", "a"]
        assert [model.name for model in client.list_models(sort="latest")] == ["a", "c", "b"]
        assert [model.name for model in client.list_models(sort="-versions")] == ["b", "c", "a"]
        assert [model.name for model in client.list_models(filter='"x" in tags')] == ["b", "c"]
        assert [model.name for model in client.list_models(limit=1, offset=1)] == ["b"]
        assert client.list_models(limit=0) == ()
        with error_with_hint(UsageError, "cannot be sorted by 'size'", "latest"):
            client.list_models(sort="size")

    def test_the_list_of_models_of_a_new_registry_is_empty(self, client):
        assert client.list_models() == ()
        with error_with_hint(NotFound, "there is no model iris", "git model register iris"):
            client.get_model("iris")

    def test_an_update_of_a_model_changes_only_the_given_fields_and_tags(self, client, git):
        client.register_model("iris", title="Iris", tags=["a", "b"])
        model = client.update_model("iris", title="Irises", add_tags=["c"], remove_tags=["a"])
        assert (model.title, model.tags) == ("Irises", ["b", "c"])
        before = commits(client, git)
        model.update(title="Irises", add_tags=["c"])
        assert commits(client, git) == before
        assert model.update(description="x").description == "x"

    def test_a_deleted_model_is_not_found_and_its_name_is_never_used_again(self, client, iris):
        iris.delete(reason="out of date")
        assert client.list_models() == ()
        with pytest.raises(NotFound, match="model iris was deleted: out of date"):
            client.get_model("iris")
        for name in ("iris", "Iris"):
            with pytest.raises(Conflict) as caught:
                client.register_model(name)
            assert caught.value.hint
        repo = client.repository.common_dir
        stone = codec.decode(records.ModelRecord, editing.read(repo, "models/iris/model.toml").encode(), "x")
        assert stone.last_number == 3
        assert editing.run(repo, "ls-tree", "-r", "--name-only", "gitmodel", "models/") == "models/iris/model.toml"

    def test_a_model_with_a_version_in_a_stage_is_deleted_only_by_force_with_its_stage_tags(self, client, iris, git):
        iris.get_version(1).set_stage("production")
        iris.get_version(2).add_alias("champion")
        with pytest.raises(Refused, match="1 is in production, 2 is called champion"):
            iris.delete()
        iris.delete(force=True)
        assert git(client.repository.common_dir, "for-each-ref", "refs/tags") == ""


class TestRenaming:
    def test_the_old_name_still_finds_a_renamed_model_whose_stage_tags_were_renamed(self, client, iris, git):
        iris.get_version(2).set_stage("production")
        iris.get_version(1).set_stage("archived")
        iris.get_version(3).add_alias("champion")
        assert iris.rename("flowers") == client.get_model("flowers")
        assert client.get_model("iris").name == "flowers"
        assert client.get_version("iris@production").reference == "flowers@2"
        assert iris.get_version(3).aliases == ["champion"]
        assert held(client.get_model("flowers")) == {"production": 2, "champion": 3}
        assert archived(iris) == [1]
        tags = git(client.repository.common_dir, "for-each-ref", "--format=%(refname:short)", "refs/tags").split()
        assert tags == ["model/flowers/champion", "model/flowers/production"]
        assert client.apply().moved == ()

    def test_a_former_name_is_never_used_again(self, client, iris):
        iris.rename("flowers")
        with pytest.raises(Conflict, match="iris is the former name of flowers"):
            client.register_model("iris")
        with pytest.raises(Conflict):
            client.get_model("flowers").rename("iris")
        assert [model.name for model in client.list_models()] == ["flowers"]

    def test_a_handle_of_a_model_or_version_still_works_after_a_rename(self, client, iris):
        second = iris.get_version(2)
        client.get_model("iris").rename("flowers")
        client.get_model("flowers").rename("plants")
        assert second.stage is None
        second.set_stage("staging")
        second.log_metadata(accuracy=0.9)
        assert iris.create_version().number == 4
        assert iris.update(title="x").title == "x"
        assert client.get_version("plants@staging").metadata == {"accuracy": 0.9}
        assert [version.number for version in iris.versions] == [1, 2, 3, 4]

    def test_renaming_to_a_taken_or_invalid_name_changes_nothing(self, client, iris):
        client.register_model("taken")
        with editing.refs_unchanged(client.repository.common_dir):
            for name, error in (("taken", Conflict), ("Taken", Conflict), ("a/b", UsageError)):
                with pytest.raises(error):
                    client.update_model("iris", new_name=name, title="half done")
        assert iris.title == ""

    def test_a_rollback_after_a_rename_restores_the_holder_from_before_the_rename(self, client, iris):
        promote(iris, 1, 2)
        iris.rename("flowers")
        assert client.get_model("flowers").rollback("production").number == 1


class TestVersions:
    def test_the_record_of_a_version_has_its_description_and_code_commit(self, client, code_repo, git):
        model = client.register_model("iris")
        git(code_repo, "remote", "add", "origin", "https://ada:s@cret@example.com/iris.git")
        (code_repo / "train.py").write_text("print('more training')\n")
        version = model.create_version("1.2.3", description="first", tags=["b", "a"], metadata={"accuracy": 0.97})
        assert (version.number, version.name, version.description, version.tags) == (1, "1.2.3", "first", ["a", "b"])
        assert version.metadata == {"accuracy": 0.97}
        assert version.code.commit == git(code_repo, "rev-parse", "HEAD")
        assert version.code.dirty is True
        assert version.code.repository == "https://example.com/iris.git"
        assert version.created.isoformat() == "2026-11-23T10:12:13+00:00"
        assert (version.runs, version.artifacts, version.aliases) == ([], [], [])
        assert (version.stage, version.pending) == (None, ())
        assert version.model == model
        assert version.reference == "iris@1"

    def test_a_version_is_found_by_number_name_stage_alias_and_latest(self, client, iris):
        named = iris.create_version("1.0+cpu")
        iris.get_version(2).set_stage(ModelStages.STAGING)
        iris.get_version(1).add_alias("champion")
        selectors = {1: ["champion"], 2: [2, "2", "staging", ModelStages.STAGING]}
        selectors[4] = ["1.0+cpu", "latest", ModelStages.LATEST, None]
        for number, names in selectors.items():
            assert [iris.get_version(name).number for name in names] == [number] * len(names)
        assert client.get_version("iris@1.0+cpu") == named
        assert client.get_version("iris") == named
        assert len({named, iris.get_version(4), iris.get_version(1)}) == 2

    def test_model_versions_has_the_newest_fifty_versions_oldest_first(self, client, iris):
        created = client.repository.identity.moment()
        files = {
            paths.version_file("iris", number): codec.encode(VersionRecord(number=number, created=created))
            for number in range(4, 1001)
        }
        transact(client.repository, lambda snapshot: Change(None, subject="Add many", files=files))
        assert [version.number for version in iris.versions] == list(range(951, 1001))
        assert iris.versions[-1] == iris.get_version("latest")
        assert iris.create_version().number == 1001
        assert len(iris.list_versions()) == 1001
        assert [version.number for version in iris.list_versions(limit=3, offset=10)] == [989, 990, 991]

    def test_list_versions_returns_only_the_versions_that_match_a_filter(self, iris):
        iris.get_version(2).log_metadata(accuracy=0.97)
        iris.get_version(3).log_metadata(accuracy=0.5)
        iris.get_version(2).update(add_tags=["baseline"])
        found = iris.list_versions(filter='metadata.accuracy > 0.9 && "baseline" in tags')
        assert [version.number for version in found] == [2]
        with pytest.raises(UsageError):
            iris.list_versions(filter="metadata.accuracy >")

    def test_a_deleted_version_is_never_latest_and_its_number_and_name_are_never_used_again(self, client, iris, other):
        fourth = iris.create_version("best")
        fourth.delete(reason="wrong data")
        assert iris.get_version().number == 3
        assert [version.number for version in iris.versions] == [1, 2, 3]
        for selector in (4, "best"):
            with pytest.raises(NotFound, match="version 4 of iris was deleted: wrong data"):
                iris.get_version(selector)
        with pytest.raises(Conflict, match="iris 4 has the name best"):
            iris.create_version("best")
        assert other.get_model("iris").create_version("better").number == 5

    def test_the_number_of_the_last_version_is_not_used_again_after_its_deletion(self, iris):
        for number in (3, 2, 1):
            iris.get_version(number).delete()
        with pytest.raises(NotFound, match="has no versions yet"):
            iris.get_version()
        assert iris.versions == ()
        assert iris.create_version().number == 4

    def test_a_failed_version_is_never_latest_and_never_promoted(self, client, iris):
        failed = codec.encode(VersionRecord(number=4, created=client.repository.identity.moment(), failed=True))
        editing.edit(client.repository.common_dir, {paths.version_file("iris", 4): failed})
        assert iris.get_version().number == 3
        assert iris.versions[-1].number == 4
        for use in (lambda v: v.set_stage("staging"), lambda v: v.add_alias("champion")):
            with pytest.raises(Refused, match="is from a failed run"):
                use(iris.get_version(4))

    def test_the_description_of_a_version_can_change_but_its_name_cannot(self, iris):
        version = iris.get_version(1)
        assert version.update(name="1.0", description="good", add_tags=["a"]) is version
        assert (version.name, version.description, version.tags) == ("1.0", "good", ["a"])
        version.update(name="1.0")
        with pytest.raises(Refused, match=r"iris 1 already has the name 1\.0, which cannot change"):
            version.update(name="1.1")
        with pytest.raises(Conflict, match=r"iris 1 has the name 1\.0"):
            iris.get_version(2).update(name="1.0")
        with pytest.raises(Conflict):
            iris.create_version("1.0")

    def test_a_version_name_that_differs_from_an_existing_one_only_by_case_is_refused(self, iris):
        iris.create_version("RC")
        with pytest.raises(Conflict, match="iris 4 has the name RC"):
            iris.create_version("rc")

    @pytest.mark.parametrize(("field", "wrong"), [("tags", [1]), ("tags", "abc"), ("description", 3)])
    def test_a_value_of_the_wrong_type_is_refused_by_create_version_and_update(self, client, iris, field, wrong):
        with editing.refs_unchanged(client.repository.common_dir):
            with pytest.raises(UsageError) as caught:
                iris.create_version(**{field: wrong})
            assert caught.value.hint
            for handle in (iris.get_version(1), iris):
                with pytest.raises(UsageError):
                    handle.update(**{"add_tags" if field == "tags" else field: wrong})

    def test_metadata_can_be_added_to_a_version_in_production(self, iris):
        version = iris.get_version(1)
        version.set_stage("production")
        version.log_metadata({"accuracy": 0.9, "by": {"class": [1, 2]}})
        version.log_metadata(accuracy=0.97, note="line\nbreak")
        assert iris.get_version("production").metadata == {
            "accuracy": 0.97,
            "by": {"class": [1, 2]},
            "note": "line\nbreak",
        }
        assert version.stage == "production"

    def test_handles_show_changes_that_another_client_made(self, iris, other):
        version = iris.get_version(1)
        assert version.stage is None
        theirs = other.get_version("iris@1")
        theirs.set_stage("staging")
        theirs.log_metadata(accuracy=1.0)
        theirs.add_alias("champion")
        other.get_model("iris").update(title="Changed")
        assert (version.stage, version.metadata, version.aliases) == ("staging", {"accuracy": 1.0}, ["champion"])
        assert iris.title == "Changed"
        theirs.delete(force=True)
        for use in (lambda: version.stage, lambda: iris.get_version(1), lambda: iris.get_version("staging")):
            with pytest.raises(NotFound):
                use()


class TestStages:
    def test_promoting_to_an_occupied_stage_archives_its_holder_in_one_commit(self, client, iris, git):
        first, second = iris.get_version(1), iris.get_version(2)
        done = first.set_stage("production", reason="best so far")
        assert (done.version, done.stage, done.changed) == (1, "production", True)
        assert (done.previous, done.archived) == (None, None)
        before = int(commits(client, git))
        done = second.set_stage(ModelStages.PRODUCTION)
        assert (done.version, done.previous, done.archived) == (2, 1, 1)
        assert int(commits(client, git)) == before + 1
        assert (first.stage, second.stage) == ("archived", "production")
        assert held(iris) == recorded(iris) == {"production": 2}
        assert client.apply().moved == ()

    def test_a_version_is_in_one_stage_at_a_time(self, iris):
        version = iris.get_version(1)
        for stage in ("staging", "production", "archived", "staging", "none"):
            version.set_stage(stage)
            assert version.stage == (None if stage == "none" else stage)
            assert held(iris) == ({stage: 1} if stage in ("staging", "production") else {})

    def test_promoting_the_holder_again_changes_nothing(self, client, iris):
        iris.get_version(1).set_stage("production")
        with editing.refs_unchanged(client.repository.common_dir):
            done = iris.get_version(1).set_stage("production", reason="again")
            assert not done.changed

    def test_any_number_of_versions_can_be_archived(self, iris):
        for version in iris.versions:
            version.set_stage("archived")
        assert archived(iris) == [1, 2, 3]
        assert not iris.get_version(1).set_stage("archived").changed
        iris.get_version(2).set_stage("none")
        assert archived(iris) == [1, 3]

    def test_demoting_a_version_leaves_its_stage_empty_and_archives_nothing(self, client, iris, git):
        iris.get_version(1).set_stage("production")
        done = iris.demote("production", reason="broken")
        assert (done.version, done.previous, done.left) == (None, 1, ("production",))
        assert iris.get_version(1).stage is None
        assert git(client.repository.common_dir, "tag") == ""
        with error_with_hint(NotFound, "no version of iris is in production"):
            iris.demote("production")
        assert not iris.get_version(1).set_stage("none").changed

    def test_the_error_for_an_empty_stage_lists_the_stages_that_hold_a_version(self, iris):
        iris.get_version(1).set_stage("staging")
        for selector in ("production", "prodution"):
            with pytest.raises(NotFound) as caught:
                iris.get_version(selector)
            assert "iris@staging" in caught.value.hint
            assert "iris@latest (3)" in caught.value.hint

    def test_stages_defined_in_gitmodel_toml_replace_the_default_stages(self, client, code_repo):
        stages = ("shadow", "canary", "production")
        begin(client.repository, RegistryRecord(stages=tuple(StageRule(name=stage) for stage in stages)))
        model = client.register_model("iris")
        versions = [model.create_version() for _ in stages]
        for version, stage in zip(versions, stages, strict=True):
            version.set_stage(stage)
        assert held(model) == {"shadow": 1, "canary": 2, "production": 3}
        with error_with_hint(
            UsageError, "there is no stage 'staging'", "shadow, canary, production, archived and none"
        ):
            versions[0].set_stage("staging")

    def test_the_tag_and_the_commit_of_a_promotion_contain_its_author_and_reason(self, client, iris, git):
        iris.get_version(1).set_stage("production", reason="It is better.\nMuch better.")
        common = client.repository.common_dir
        tag = git(common, "cat-file", "tag", "model/iris/production")
        assert "tagger Ada Example <ada@example.com>" in tag
        assert "iris 1 in production\n\nIt is better.\nMuch better." in tag
        assert git(common, "log", "-1", "--format=%s", "gitmodel") == "Promote iris 1 to production"
        trailers = git(common, "log", "-1", "--format=%(trailers:only)", "gitmodel").splitlines()
        assert trailers[:3] == ["Model: iris", "Version: 1", "Stage: production"]
        assert "Reason: It is better. Much better." in trailers
        stage = git(common, "show", "model/iris/production:models/iris/stages/production.toml")
        assert stage.startswith("version = 1\n")
        assert git(common, "fsck", "--strict", "--no-dangling") == ""

    @pytest.mark.parametrize(
        "reason", ["nul \0 byte", "escape \x1b[31m", "half \ud800 character", "Stage: production\nTxn: x", "-m"]
    )
    def test_a_reason_with_trailers_or_control_characters_damages_no_commit_or_tag(self, client, iris, git, reason):
        common = client.repository.common_dir
        if "\ud800" in reason:
            with pytest.raises(UsageError, match="an incomplete character"):
                iris.get_version(1).set_stage("production", reason=reason)
            iris.get_version(1).set_stage("production")
        else:
            iris.get_version(1).set_stage("production", reason=reason)
            assert "\0" not in git(common, "cat-file", "tag", "model/iris/production")
        iris.demote("production", reason=reason)
        assert git(common, "fsck", "--strict", "--no-dangling") == ""
        assert git(common, "log", "-1", "--format=%(trailers:key=Stage,valueonly)", "gitmodel") == "none"
        assert "\x1b" not in git(common, "log", "--format=%B", "gitmodel")


class TestRollback:
    def test_a_rollback_restores_the_previous_holder_and_a_second_rollback_undoes_it(self, iris):
        promote(iris, 1, 3)
        assert iris.rollback("production", reason="broken").number == 1
        assert (held(iris), archived(iris)) == ({"production": 1}, [3])
        assert iris.rollback("production").number == 3
        assert (held(iris), archived(iris)) == ({"production": 3}, [1])

    def test_a_rollback_of_an_empty_stage_restores_the_last_holder(self, iris):
        promote(iris, 1, 2)
        iris.demote("production")
        assert iris.rollback(ModelStages.PRODUCTION).number == 2

    def test_a_rollback_is_refused_if_the_previous_holder_was_deleted(self, client, iris):
        promote(iris, 1, 2, 3)
        iris.get_version(2).delete()
        repo = client.repository.common_dir
        with editing.refs_unchanged(repo), pytest.raises(NotFound, match="version 2 of iris was deleted"):
            iris.rollback("production")

    @pytest.mark.parametrize("end", ["delete", "demote", "archive"])
    def test_a_rollback_after_deleting_the_holder_restores_the_previous_holder(self, iris, end):
        promote(iris, 1, 3)
        if end == "demote":
            iris.demote("production")
        elif end == "archive":
            iris.get_version(3).set_stage("archived")
        iris.get_version(3).delete(force=True, reason="broken")
        assert iris.rollback("production").number == 1
        assert (held(iris), archived(iris)) == ({"production": 1}, [])
        with pytest.raises(NotFound, match=r"no other version of iris that still exists \(deleted: 3\) was in produ"):
            iris.rollback("production")
        assert held(iris) == {"production": 1}

    def test_a_rollback_of_an_empty_stage_skips_several_deleted_holders(self, iris):
        promote(iris, 1, 2, 3)
        iris.get_version(3).delete(force=True)
        assert iris.rollback("production").number == 2
        iris.get_version(2).delete(force=True)
        iris.rename("flowers")
        assert iris.rollback("production").number == 1
        iris.get_version(1).delete(force=True)
        with pytest.raises(NotFound, match=r"that still exists \(deleted: 1, 2, 3\) was in production"):
            iris.rollback("production")

    def test_a_rollback_of_an_empty_stage_skips_a_deleted_holder_that_another_version_replaced(self, iris):
        promote(iris, 1, 2, 3)
        iris.get_version(2).delete()
        iris.get_version(3).delete(force=True)
        assert iris.rollback("production").number == 1

    def test_a_rollback_in_the_transaction_that_deletes_the_holder_restores_the_previous_holder(self, client, iris):
        promote(iris, 1, 3)
        with client.transaction("Take 3 back") as change:
            change.get_version("iris@3").delete(force=True)
            change.get_model("iris").rollback("production")
        assert held(iris) == {"production": 1}

    def test_a_rollback_of_a_stage_without_a_previous_holder_is_refused(self, iris):
        with error_with_hint(
            NotFound, "no other version of iris was ever in production", "git model history iris production"
        ):
            iris.rollback("production")
        iris.get_version(1).set_stage("production")
        with pytest.raises(NotFound):
            iris.rollback("production")

    def test_the_history_of_a_model_has_every_change_newest_first(self, iris):
        iris.get_version(1).set_stage("production", reason="first")
        iris.get_version(2).set_stage("production")
        iris.get_version(2).add_alias("champion")
        iris.demote("production", reason="broken")
        events = [(event.stage, event.previous, event.version, event.reason) for event in iris.history()]
        assert events == [
            ("production", 2, None, "broken"),
            ("champion", None, 2, ""),
            ("production", 1, 2, ""),
            ("production", None, 1, "first"),
        ]
        assert len(iris.history("production")) == 3
        assert iris.history("staging") == []


class TestAliases:
    def test_moving_an_alias_to_another_version_archives_nothing(self, client, iris, git):
        first, second = iris.get_version(1), iris.get_version(2)
        first.set_stage("production")
        first.add_alias("champion")
        first.add_alias("best")
        second.add_alias("champion")
        assert (first.aliases, second.aliases) == (["best"], ["champion"])
        assert (first.stage, second.stage) == ("production", None)
        assert "model/iris/champion" in git(client.repository.common_dir, "tag")
        second.remove_alias("champion")
        iris.remove_alias("best")
        assert held(iris) == {"production": 1}
        assert git(client.repository.common_dir, "tag") == "model/iris/production"

    def test_removing_an_alias_that_another_version_has_is_refused(self, iris):
        iris.get_version(1).add_alias("champion")
        with pytest.raises(NotFound, match="iris@2 has no alias 'champion'"):
            iris.get_version(2).remove_alias("champion")


class TestArtifacts:
    @pytest.fixture
    def file(self, tmp_path):
        path = tmp_path / "metrics.json"
        path.write_text('{"accuracy": 0.97}')
        return path

    def test_linked_artifacts_can_be_listed_by_kind_and_read(self, iris, file, tmp_path):
        version = iris.get_version(1)
        linked = version.link_artifact("metrics", file, metadata={"rows": 150})
        version.link_artifact("weights", file, kind="model")
        version.link_artifact("service", file, kind="deployment")
        assert [artifact.name for artifact in version.artifacts] == ["metrics", "service", "weights"]
        assert [artifact.name for artifact in version.data] == ["metrics"]
        assert [artifact.name for artifact in version.model_objects] == ["weights"]
        assert [artifact.name for artifact in version.deployments] == ["service"]
        found = version.get_artifact("metrics")
        assert isinstance(found, Artifact)
        assert (found.kind, found.size, found.format, found.metadata) == ("data", 18, "json", {"rows": 150})
        assert found.digest == linked.digest
        assert found.load() == {"accuracy": 0.97}
        assert found.path().read_bytes() == file.read_bytes()
        with found.open() as stream:
            assert stream.read() == file.read_bytes()
        assert found.download(tmp_path / "copy").read_bytes() == file.read_bytes()
        found.log_metadata(rows=151)
        assert found.metadata == {"rows": 151}
        with error_with_hint(NotFound, "has no artifact 'x'", "metrics, service, weights"):
            version.get_artifact("x")

    def test_a_version_is_created_with_its_artifacts_in_one_commit(self, client, iris, file, git):
        before = int(commits(client, git))
        version = iris.create_version(data={"d": file}, model_objects={"m": file}, deployments={"s": file})
        assert int(commits(client, git)) == before + 1
        kinds = {artifact.name: artifact.kind for artifact in version.artifacts}
        assert kinds == {"d": "data", "m": "model", "s": "deployment"}

    @pytest.mark.parametrize("place", ["staging", "archived", "champion"])
    def test_artifacts_of_a_version_in_a_stage_or_with_an_alias_cannot_change(self, client, iris, file, place):
        version = iris.get_version(1)
        version.link_artifact("metrics", file)
        version.add_alias(place) if place == "champion" else version.set_stage(place)
        before = editing.state(client.repository.common_dir)
        for change in (lambda: version.link_artifact("more", file), lambda: version.unlink("metrics")):
            with error_with_hint(Refused, f"cannot change, because it is .*{place}", "git model version create iris"):
                change()
        assert editing.state(client.repository.common_dir) == before
        version.log_metadata(accuracy=1.0)
        version.get_artifact("metrics").log_metadata(rows=1)
        version.link_artifact("metrics", file)
        assert iris.get_version(place if place != "archived" else 1).get_artifact("metrics").metadata == {"rows": 1}
        iris.remove_alias(place) if place == "champion" else version.set_stage("none")
        version.unlink("metrics")
        assert version.artifacts == []

    def test_a_second_artifact_with_the_same_name_is_refused(self, iris, file, tmp_path):
        version = iris.get_version(1)
        version.link_artifact("metrics", file)
        (tmp_path / "other").write_text("other")
        for name in ("metrics", "Metrics"):
            with error_with_hint(Conflict, "two artifacts named", "unlink"):
                version.link_artifact(name, tmp_path / "other")

    def test_reading_by_stage_refuses_a_version_whose_artifact_links_were_edited_by_hand(self, client, iris, file):
        version = iris.get_version(1)
        version.link_artifact("metrics", file)
        version.set_stage("production")
        iris.get_version(2).set_stage("staging")
        path = paths.version_file("iris", 1)
        changed = editing.read(client.repository.common_dir, path).replace("size = 18", "size = 19")
        editing.edit(client.repository.common_dir, {path: changed})
        with pytest.raises(
            Invalid, match="artifacts of iris@1 are not those that were promoted to production"
        ) as caught:
            iris.get_version("production")
        assert path in caught.value.hint
        assert iris.get_version("staging").number == 2
        assert iris.get_version(1).number == 1
        with pytest.raises(Invalid):
            version.set_stage("production")


class TestTransactions:
    def test_the_changes_of_a_transaction_are_one_commit(self, client, iris, git):
        before = int(commits(client, git))
        with client.transaction("Move iris on") as change:
            iris_inside = change.get_model("iris")
            version = iris_inside.create_version("1.0", metadata={"a": 1})
            version.log_metadata(b=2)
            version.set_stage("staging")
            version.set_stage("production", reason="why not")
            change.register_model("other").create_version()
            assert version.metadata == {"a": 1, "b": 2}
            assert iris_inside.get_version().number == version.number == 4
            assert [model.name for model in change.list_models()] == ["iris", "other"]
            assert [model.name for model in client.list_models()] == ["iris"]
        assert int(commits(client, git)) == before + 1
        assert git(client.repository.common_dir, "log", "-1", "--format=%s", "gitmodel") == "Move iris on"
        assert held(iris) == recorded(iris) == {"production": 4}
        assert version.metadata == {"a": 1, "b": 2}
        assert client.get_version("other").number == 1
        assert git(client.repository.common_dir, "for-each-ref", "refs/gitmodel/reserved") == ""
        assert client.apply().moved == ()

    def test_a_number_that_a_failed_transaction_reserved_is_not_used_after_a_rename(self, client, iris, git):
        told = []

        def fail():
            with client.transaction("Fail") as change:
                told.extend(change.get_model("iris").create_version().number for _ in range(2))
                change.get_model("iris").get_version(told[0]).set_stage("nonsense")

        with pytest.raises(UsageError):
            fail()
        iris.rename("flowers")
        client.get_model("flowers").rename("plants")
        assert told == [4, 5]
        assert client.get_model("plants").create_version().number == 6
        doctor.repair(client.repository, client.store)
        assert git(client.repository.common_dir, "for-each-ref", "refs/gitmodel/reserved") == ""

    @pytest.mark.parametrize(
        ("error", "fail"),
        [(ZeroDivisionError, lambda change: 1 / 0), (UsageError, lambda change: change.promote("iris@1", "nonsense"))],
    )
    def test_an_exception_or_refused_change_undoes_all_changes_of_a_transaction(self, client, iris, git, error, fail):
        before = git(client.repository.common_dir, "for-each-ref", "refs/heads", "refs/tags")

        def change_and_fail():
            with client.transaction("Never") as change:
                change.get_version("iris@1").set_stage("staging")
                change.get_model("iris").create_version().set_stage("production")
                fail(change)

        with pytest.raises(error):
            change_and_fail()
        assert git(client.repository.common_dir, "for-each-ref", "refs/heads", "refs/tags") == before
        assert iris.create_version().number >= 4

    def test_versions_of_a_transaction_keep_their_numbers_if_another_client_writes_meanwhile(self, client, iris, other):
        with client.transaction("Two at once") as change:
            mine = change.get_model("iris").create_version()
            theirs = other.get_model("iris").create_version()
            second = change.get_model("iris").create_version()
            mine.set_stage("staging")
            other.get_version("iris@1").set_stage("production")
            second.set_stage("production")
        assert sorted([mine.number, theirs.number, second.number]) == [4, 5, 6]
        assert held(iris) == {"staging": mine.number, "production": second.number}
        assert archived(iris) == [1]
        assert iris.create_version().number == 7

    def test_the_next_version_after_a_slow_transaction_does_not_replace_a_version_of_another_client(
        self, client, iris, other
    ):
        iris.create_version(number=100)
        with client.transaction("Slow") as change:
            slow = change.get_model("iris").create_version()
            theirs = [other.get_model("iris").create_version(description=text).number for text in ("one", "two")]
        assert (slow.number, theirs) == (101, [102, 103])
        assert iris.create_version().number == 104
        assert [client.get_version(f"iris@{number}").description for number in theirs] == ["one", "two"]

    def test_a_transaction_can_read_and_write_after_another_client_promoted_a_version(self, client, iris, other):
        iris.get_version(1).set_stage("production")
        with client.transaction("Read on") as change:
            change.get_model("iris").get_version(3).log_metadata(a=1)
            other.get_version("iris@2").set_stage("production")
            assert change.get_model("iris").get_version("production").number in (1, 2)
            assert change.get_model("iris").get_version(3).metadata == {"a": 1}
            change.get_model("iris").get_version("production").log_metadata(b=1)
        assert iris.get_version(3).metadata == {"a": 1}

    def test_a_transaction_without_changes_makes_no_commit(self, client, iris):
        with editing.refs_unchanged(client.repository.common_dir):
            with client.transaction("Nothing") as change:
                change.get_model("iris").get_version(1).set_stage("none")
            with client.transaction("There and back") as change:
                change.get_model("iris").get_version(1).set_stage("staging")
                change.get_model("iris").demote("staging")

    def test_emptying_and_filling_a_stage_in_one_transaction_leaves_a_valid_stage_tag(self, client, iris):
        iris.get_version(1).set_stage("production")
        with client.transaction("Out and back, and more") as change:
            change.get_model("iris").get_version(1).set_stage("none")
            change.get_model("iris").get_version(1).set_stage("production")
            change.get_model("iris").get_version(2).log_metadata(a=1)
        assert held(iris) == {"production": 1}
        assert iris.get_version("production").number == 1

    def test_deleting_the_version_in_force_does_not_put_a_pending_promotion_in_force(self, client, iris, git):
        iris.get_version(1).set_stage("production")
        tag = git(client.repository.common_dir, "rev-parse", "refs/tags/model/iris/production")
        iris.get_version(2).set_stage("production")
        git(client.repository.common_dir, "update-ref", "refs/tags/model/iris/production", tag)
        iris.get_version(1).delete(force=True)
        assert held(iris) == {}
        assert [ref.stage for ref in client.apply().moved] == ["production"]
        assert held(iris) == {"production": 2}

    def test_one_transaction_can_apply_a_pending_promotion_and_promote_another_version(self, client, iris, git):
        iris.get_version(1).set_stage("production")
        git(client.repository.common_dir, "tag", "-d", "model/iris/production")
        with client.transaction("Both") as change:
            change.get_model("iris").get_version(1).set_stage("production")
            change.get_model("iris").get_version(2).set_stage("production")
        assert held(iris) == {"production": 2}

    def test_an_alias_can_be_added_and_removed_in_one_transaction(self, client, iris):
        with client.transaction("Give and take") as change:
            change.get_model("iris").get_version(1).add_alias("champion")
            change.get_model("iris").get_version(1).remove_alias("champion")
        assert held(iris) == {}

    def test_a_model_that_a_transaction_renames_keeps_its_versions(self, client, iris):
        with client.transaction("Rename and go on") as change:
            model = change.get_model("iris").rename("flowers")
            version = model.create_version("new")
        assert version.number == 4
        assert [found.number for found in model.versions] == [1, 2, 3, 4]

    def test_a_transaction_within_a_transaction_is_refused(self, client, iris):
        with client.transaction("Outer") as change:
            with pytest.raises(UsageError, match="the transaction 'Outer' is open here"), client.transaction("Inner"):
                pass
            with pytest.raises(UsageError, match="cannot be called in the transaction 'Outer'"):
                change.transaction("Inner").__enter__()

    @pytest.mark.parametrize("fails", [False, True])
    def test_writes_of_a_thread_outside_of_the_transaction_are_separate_commits(self, client, iris, other, git, fails):
        inside, written = threading.Event(), threading.Event()

        def write():
            inside.wait(20)
            iris.get_version(2).log_metadata(thread=True)
            iris.create_version(metadata={"thread": True}).set_stage("staging")
            written.set()

        def change_iris():
            with client.transaction("Slow") as change:
                change.get_version("iris@1").log_metadata(slow=True)
                inside.set()
                assert written.wait(20)
                # The thread `write` did not start the transaction, so each of its writes is committed immediately.
                assert other.get_version("iris@staging").metadata == {"thread": True}
                assert client.get_version("iris@1").metadata == {}
                if fails:
                    raise ZeroDivisionError

        before = int(commits(client, git))
        with ThreadPoolExecutor(1) as pool:
            writing = pool.submit(write)
            with pytest.raises(ZeroDivisionError) if fails else nullcontext():
                change_iris()
            writing.result()
        assert iris.get_version(2).metadata == {"thread": True}
        assert held(iris) == {"staging": 4}
        assert iris.get_version(1).metadata == ({} if fails else {"slow": True})
        assert int(commits(client, git)) == before + (3 if fails else 4)

    def test_two_threads_can_each_have_a_transaction_on_one_client(self, client, iris):
        both = threading.Barrier(2, timeout=20)

        def work(number):
            with client.transaction(f"Work on {number}") as change:
                version = change.get_version(f"iris@{number}")
                version.log_metadata(by=number)
                both.wait()
                assert change.get_version(f"iris@{3 - number}").metadata == {}
                both.wait()

        with ThreadPoolExecutor(2) as pool:
            list(pool.map(work, (1, 2)))
        assert [iris.get_version(number).metadata for number in (1, 2)] == [{"by": 1}, {"by": 2}]

    def test_a_transaction_can_be_used_by_several_threads(self, client, iris, git):
        before = int(commits(client, git))
        with client.transaction("Together") as change, ThreadPoolExecutor(4) as pool:
            made = list(pool.map(lambda i: change.get_model("iris").create_version(metadata={"i": i}), range(8)))
        assert sorted(version.number for version in made) == list(range(4, 12))
        assert [version.metadata["i"] for version in made] == list(range(8))
        assert int(commits(client, git)) == before + 1

    def test_changes_through_the_client_inside_a_transaction_block_are_refused_with_advice(self, client, iris):
        version = iris.get_version(1)
        with editing.refs_unchanged(client.repository.common_dir):
            changes = [
                lambda: client.register_model("other"),
                lambda: client.update_model("iris", new_name="flowers"),
                lambda: iris.create_version(),
                lambda: version.set_stage("production"),
                lambda: version.log_metadata(a=1),
                lambda: iris.delete(),
                client.apply,
                client.pull,
                client.push,
                lambda: client.propose(("iris@1", "production")),
            ]
            with client.transaction("Inside"):
                for change in changes:
                    with error_with_hint(UsageError, "the transaction 'Inside' is open here", "as change"):
                        change()
                assert version.metadata == {}
        version.set_stage("production")

    def test_methods_that_move_the_branch_are_refused_in_a_transaction(self, client, iris):
        with client.transaction("Inside") as change:
            for verb in (change.apply, change.pull, change.push, change.propose, lambda: change.purge("x", reason="x")):
                with error_with_hint(UsageError, "cannot be called in the transaction 'Inside'", "client."):
                    verb()

    def test_handles_of_a_committed_transaction_can_be_used_afterwards(self, client, iris):
        with client.transaction("Train") as change:
            model = change.get_model("iris")
            version = model.create_version()
        assert version == client.get_version("iris@4")
        version.set_stage("production")
        model.update(title="Iris")
        assert (held(iris), iris.title) == ({"production": 4}, "Iris")
        with pytest.raises(UsageError, match="the transaction 'Train' has ended"):
            change.register_model("late")
        assert [found.name for found in change.list_models()] == ["iris"]

    def test_handles_of_a_failed_transaction_refuse_to_write(self, client, iris):
        def fail():
            with client.transaction("Train") as change:
                handles.extend([change.get_version("iris@1"), change.get_model("iris").create_version()])
                handles[0].log_metadata(a=1)
                raise ZeroDivisionError

        handles = []
        with pytest.raises(ZeroDivisionError):
            fail()
        assert handles[0].metadata == {}
        with pytest.raises(UsageError, match="the transaction 'Train' has ended"):
            handles[0].set_stage("production")
        with pytest.raises(NotFound):
            assert handles[1].metadata
        assert held(iris) == {}

    def test_a_transaction_without_a_message_has_a_generated_commit_subject(self, client, iris, git):
        with client.transaction(" ") as change:
            change.get_model("iris").get_version(1).set_stage("staging")
        assert git(client.repository.common_dir, "log", "-1", "--format=%s", "gitmodel") == "Promote iris 1 to staging"


class TestLeftovers:
    """Two stage files that name the same version. Two merges without a conflict can lead to this state.

    The version is only in the stage that is later in the life cycle. The file of the other stage is a leftover.
    """

    EMPTY = records.links_digest(())

    def place(self, client, *stages, number=1, markers=()):
        files = {paths.stage_file("iris", stage): SET_BY_HAND.format(number, self.EMPTY) for stage in stages}
        files |= {paths.archived_file("iris", marker): records.ARCHIVED_MARKER for marker in markers}
        editing.edit(client.repository.common_dir, files)

    def files(self, client, model="iris"):
        folder = f"models/{model}/stages/"
        listed = editing.run(client.repository.common_dir, "ls-tree", "-r", "--name-only", "gitmodel", folder)
        return [path.removeprefix(folder) for path in listed.split()]

    def test_apply_creates_a_stage_tag_only_for_the_later_of_the_two_stages_of_a_version(self, client, iris):
        self.place(client, "staging", "production", markers=[1])
        assert recorded(iris) == {"production": 1}
        done = client.apply()
        assert [ref.stage for ref in done.moved] == ["production"]
        assert held(iris) == {"production": 1}
        assert iris.get_version(1).stage == "production"
        assert client.apply().moved == ()

    @pytest.mark.parametrize(
        "write",
        [
            lambda model: model.get_version(2).update(description="x").model,
            lambda model: model.update(title="x"),
            lambda model: model.rename("flowers"),
        ],
    )
    def test_the_next_write_to_the_model_removes_leftover_stage_files(self, client, iris, write):
        self.place(client, "staging", "production", markers=[1])
        assert self.files(client, write(iris).name) == ["production.toml"]

    def test_apply_deletes_the_tag_of_a_stage_whose_file_is_a_leftover(self, client, iris):
        iris.get_version(1).set_stage("staging")
        self.place(client, "production")
        assert recorded(iris) == {"production": 1}
        client.apply()
        assert held(iris) == {"production": 1}
        assert iris.get_version(1).stage == "production"
        assert client.apply().moved == ()

    def test_apply_does_not_move_the_tag_of_a_stage_to_the_version_of_a_leftover_file(self, client, iris):
        iris.get_version(2).set_stage("staging")
        self.place(client, "staging", "production")
        client.apply()
        assert held(iris) == {"production": 1}

    def test_a_version_can_be_promoted_to_the_stage_of_its_own_leftover_file(self, client, iris):
        self.place(client, "staging", "production")
        client.apply()
        with pytest.raises(Refused, match="moving it to staging would leave production empty"):
            iris.get_version(1).set_stage("staging")
        iris.get_version(1).set_stage("staging", leave=True)
        assert recorded(iris) == held(iris) == {"staging": 1}
        assert iris.get_version("staging").number == 1
        assert self.files(client) == ["staging.toml"]

    @pytest.mark.parametrize("stage", ["archived", "none"])
    def test_archiving_or_demoting_a_version_removes_all_of_its_stage_files(self, client, iris, stage):
        self.place(client, "staging", "production", markers=[1])
        client.apply()
        iris.get_version(1).set_stage(stage)
        assert iris.get_version(1).stage == (None if stage == "none" else stage)
        assert self.files(client) == (["archived/1.toml"] if stage == "archived" else [])
        assert held(iris) == {}

    def test_another_version_can_enter_the_stage_of_a_leftover_stage_file(self, client, iris):
        self.place(client, "staging", "production")
        iris.get_version(2).set_stage("staging")
        assert recorded(iris)["staging"] == 2
        assert iris.get_version(1).stage in (None, "production")
        assert recorded(iris) == {"staging": 2, "production": 1}


class TestDamage:
    @pytest.mark.parametrize("path", ["models/iris/model.toml", "models/iris/stages/production.toml"])
    def test_a_record_of_one_model_that_is_not_toml_does_not_stop_calls_on_other_models(self, client, iris, path):
        client.register_model("good").create_version().set_stage("production")
        editing.edit(client.repository.common_dir, {path: "broken ="})
        assert [model.name for model in client.list_models()] == ["good"]
        assert client.get_version("good@production").number == 1
        client.get_model("good").create_version()
        client.register_model("third")
        with pytest.raises(Invalid, match=f"{path}: is not TOML"):
            client.get_model("iris")

    def test_a_model_is_listed_although_its_newest_version_cannot_be_read(self, client, iris, code_repo):
        editing.edit(code_repo, {"models/iris/versions/3.toml": "number = ["})
        assert client.get_model("iris").name == "iris"
        assert [model.name for model in client.list_models()] == ["iris"]
        with pytest.raises(Invalid):
            iris.get_version()

    def test_a_version_that_cannot_be_read_does_not_stop_calls_on_other_versions(self, client, iris):
        editing.edit(client.repository.common_dir, {paths.version_file("iris", 2): "number = 7\n"})
        assert [version.number for version in iris.versions] == [1, 3]
        assert iris.create_version().number == 4
        iris.get_version(1).set_stage("production")
        with pytest.raises(Invalid, match=r"versions/2\.toml"):
            iris.get_version(2)

    def test_apply_refuses_a_stage_file_that_names_no_existing_version(self, client, iris):
        editing.edit(
            client.repository.common_dir,
            {paths.stage_file("iris", "production"): SET_BY_HAND.format(9, records.links_digest(()))},
        )
        done = client.apply()
        assert done.moved == ()
        assert [(ref.stage, why) for ref, why in done.refused] == [("production", "there is no version 9 of iris")]
        iris.get_version(1).set_stage("production")
        assert held(iris) == {"production": 1}


class TestShown:
    def test_the_repr_of_a_handle_names_its_class_and_reference(self, client, iris):
        assert repr(iris) == "Model('iris')"
        assert repr(iris.get_version(1)) == "ModelVersion('iris@1')"
        assert repr(Model("iris")) == "Model('iris')"
        assert repr(client).startswith("Client('")
        assert repr(iris.versions).startswith("(ModelVersion('iris@1'), ")
        assert repr(client.list_models()) == "(Model('iris'),)"
        assert str(ModelStages.PRODUCTION) == "production"

    def test_html_tables_for_notebooks_escape_recorded_text(self, client, iris, tmp_path):
        evil = "<script>alert('x')</script>&\""
        iris.update(title=evil, description=evil, add_tags=[evil])
        version = iris.create_version(description=evil, tags=[evil], metadata={evil: evil})
        (tmp_path / "f").write_text("x")
        artifact = version.link_artifact("a", tmp_path / "f")
        version.set_stage("production", reason=evil)
        shown = [iris, version, iris.versions, client.list_models(), artifact, Model("iris", title=evil)]
        for one in shown:
            html = one._repr_html_()
            assert html.startswith("<table>")
            assert "<script" not in html
        assert "&lt;script&gt;" in iris._repr_html_()
        assert "iris" in client.list_models()._repr_html_()

    def test_a_closed_client_opens_again_when_it_is_used(self, client, iris):
        client.close()
        client.close()
        assert iris.get_version(1).number == 1
        with client as same:
            assert same is client
        assert iris.create_version().number == 4


class TestPages:
    """`model.versions` holds the newest 50 versions, and its repr says how many versions the model has."""

    @pytest.fixture
    def many(self, client):
        with client.transaction("Make 60 versions") as together:
            iris = together.register_model("iris")
            for number in range(60):
                iris.create_version(metadata={"auc": 1 - number / 100})
        return client.get_model("iris")

    def test_the_repr_of_model_versions_says_that_it_holds_50_of_60(self, many):
        versions = many.versions
        assert (len(versions), versions.total) == (50, 60)
        assert repr(versions).startswith("Versions(50 of 60: ")
        assert "50 of 60 versions" in versions._repr_html_()
        assert versions[-1].number == 60

    def test_the_repr_of_model_versions_with_all_versions_is_that_of_a_tuple(self, many):
        assert repr(many.list_versions()).startswith("(ModelVersion('iris@1'), ")
        assert many.list_versions().total == 60
        assert "of" not in repr(many.list_versions(filter="number < 3"))

    def test_each_version_yields_all_versions_and_not_only_the_newest_50(self, many):
        assert max(many.each_version(), key=lambda version: version.metadata["auc"]).number == 1
        assert next(many.each_version(filter="number < 10")).number == 9

    @pytest.mark.parametrize("wrong", [-1, 1.5, "2", True, "all"])
    @pytest.mark.parametrize("name", ["limit", "offset"])
    def test_an_invalid_limit_or_offset_is_refused(self, client, iris, name, wrong):
        for ask in (iris.list_versions, client.list_models, client.list_runs):
            with pytest.raises(UsageError, match=f"{name} is {wrong!r}; expected a whole number, 0 or more"):
                ask(**{name: wrong})

    def test_limit_none_lists_everything_and_limit_0_nothing(self, client, iris):
        assert (len(iris.list_versions(limit=None)), len(iris.list_versions(limit=0))) == (3, 0)
        assert list(client.list_models(limit=0)) == []


def test_reading_the_name_of_a_handle_of_a_closed_client_starts_no_git_process(code_repo):
    with Client(code_repo) as client:
        made = client.register_model("iris").create_version()
    assert (made.reference, made.number, made.model.name) == ("iris@1", 1, "iris")
    assert not client.repository.reader.is_running
    assert client.get_version("iris@1").number == 1  # using a closed client opens it again
    client.close()
