"""A pull replays local commits and leaves out what conflicts with the remote. It names everything that it left out.

A push pulls first. If this pull left something out, the push ends with exit code 4.
"""

import json

import pytest
from hosting import write_hook
from teamwork import assert_sound, held, refs
from transcripts import ask

from gitmodel import Conflict, NotFound, RenumberedWarning


def test_a_pull_that_leaves_out_a_move_between_stages_names_both_stages(ada, bob):
    bob.get_version("iris@2").set_stage("staging", leave=True)
    ada.get_version("iris@1").set_stage("production")
    ada.push()
    assert bob.pull().conflicts == [
        "production of iris: no version here, version 1 at the remote; the remote's was kept",
        "staging of iris: version 2 here, no version at the remote; the remote's was kept",
    ]
    assert held(bob) == {"production": 1}


def test_a_pull_names_archived_markers_and_aliases_that_it_leaves_out_with_a_promotion(ada, bob):
    bob.get_version("iris@3").set_stage("archived")
    bob.push()
    ada.pull()
    with bob.transaction("Promote and name") as change:
        change.get_version("iris@3").set_stage("production")
        change.get_version("iris@1").set_stage("archived")
        change.get_version("iris@1").add_alias("champion")
    ada.get_version("iris@2").set_stage("staging", leave=True)
    ada.push()
    assert sorted(bob.pull().conflicts) == [
        "champion of iris: version 1 here, no version at the remote; the remote's was kept",
        "iris 1 was archived here and not at the remote; the remote's state was kept",
        "iris 2 was archived here and not at the remote; the remote's state was kept",
        "iris 3 left the archive here and not at the remote; the remote's state was kept",
        "production of iris: version 3 here, no version at the remote; the remote's was kept",
    ]


def test_a_pull_names_a_version_that_was_archived_here_and_promoted_at_the_remote(ada, bob):
    bob.get_version("iris@3").set_stage("archived")
    ada.get_version("iris@3").set_stage("staging")
    ada.push()
    assert bob.pull().conflicts == ["iris 3 was archived here and not at the remote; the remote's state was kept"]
    assert held(bob) == {"production": 2, "staging": 3}


def test_a_pull_names_local_versions_of_a_model_that_the_remote_deleted(ada, bob, bare):
    ada.delete_model("iris", force=True)
    ada.push()
    bob.get_model("iris").create_version()
    with bob.transaction("Two more") as change:
        change.get_model("iris").create_version()
        change.get_version("iris@1").log_metadata(loss=0.1)
    bob.update_model("iris", title="Iris")
    conflicts = bob.pull().conflicts
    for named in (
        "iris is gone at the remote; the remote's was kept",
        "version 4 of iris, made here, is left out",
        "version 5 of iris, made here, is left out",
        "version 1 of iris was changed here (metadata.loss) and is gone at the remote; the remote's was kept",
        "models/iris/model.toml, key title: is left out",
    ):
        assert named in conflicts
    assert refs(bob.repository.common_dir) == refs(bare)
    assert_sound(bob.repository.common_dir)


def test_a_pull_names_an_artifact_that_was_unlinked_here_and_changed_at_the_remote(ada, bob):
    ada.get_version("iris@1").get_artifact("train").log_metadata(rows=5)
    ada.push()
    bob.get_version("iris@1").unlink("train")
    assert bob.pull().conflicts == [
        "models/iris/versions/1.toml, key artifacts.train: was changed on both sides; the remote's was kept"
    ]


def test_a_pull_reports_the_same_promotion_on_both_sides_with_different_reasons(ada, bob):
    ada.get_version("iris@3").set_stage("production", reason="better on the test set")
    ada.push()
    bob.get_version("iris@3").set_stage("production", reason="asked for by Cleo")
    assert bob.pull().conflicts == [
        "production of iris: version 3 on both sides, with another reason at the remote; the remote's was kept"
    ]


def test_a_model_registered_here_and_at_the_remote_gets_the_fields_of_both(ada, bob):
    ada.register_model("rose", title="Rose")
    ada.push()
    bob.register_model("rose", license="MIT")
    assert bob.pull().conflicts == []
    rose = bob.get_model("rose")
    assert (rose.title, rose.license) == ("Rose", "MIT")


def test_a_pull_reports_a_model_whose_name_differs_by_case_at_the_remote(ada, bob):
    ada.register_model("Demo")
    ada.push()
    bob.register_model("demo")
    assert bob.pull().conflicts == ["demo was registered here, and is called Demo at the remote; the remote's was kept"]


def test_a_push_that_dropped_a_local_change_ends_with_exit_code_4_and_names_the_change(team, ada, bob, capsys):
    bob.get_version("iris@2").set_stage("staging", leave=True)
    ada.get_version("iris@1").set_stage("production")
    ada.push()
    before = refs(bob.repository.common_dir)["refs/heads/gitmodel"]
    code, out, err = ask(capsys, "-C", team.folder / "bob", "push")
    assert code == 4
    assert "has everything" not in out
    assert err == (
        "warning: production of iris: no version here, version 1 at the remote; the remote's was kept\n"
        "warning: staging of iris: version 2 here, no version at the remote; the remote's was kept\n"
        "error: 2 changes of yours were left out, because others changed the same at origin\n"
        f"hint: `git log -p {before[:10]}` shows your state before; repeat the changes if they still apply\n"
    )
    assert ask(capsys, "-C", team.folder / "bob", "push") == (0, "origin has everything\n", "")


def test_a_push_with_json_that_dropped_a_local_change_ends_with_exit_code_4(team, ada, bob, capsys):
    bob.get_version("iris@3").set_stage("production")
    bob.get_model("iris").create_version()
    ada.get_version("iris@1").set_stage("production")
    ada.push()
    code, out, err = ask(capsys, "-C", team.folder / "bob", "push", "--format", "json")
    assert code == 4
    found = json.loads(out)
    assert found["commits"] == 1
    assert found["conflicts"] == ["production of iris: version 3 here, version 1 at the remote; the remote's was kept"]
    assert json.loads(err.splitlines(keepends=False) and err[err.rindex('{\n  "error"') :])["error"]["exit_code"] == 4


def test_in_python_the_error_of_a_push_that_left_something_out_has_the_result(ada, bob, bare):
    bob.get_version("iris@2").set_stage("staging", leave=True)
    bob.get_model("iris").create_version(metadata={"bob": True})
    ada.get_version("iris@1").set_stage("production")
    ada.push()
    with pytest.raises(Conflict) as refused:
        bob.push()
    for named in ("production of iris", "staging of iris"):
        assert named in refused.value.message
    assert refused.value.done.commits == 1
    assert bob.get_version("iris@4").metadata == {"bob": True}
    assert refs(bare) == refs(bob.repository.common_dir)


def test_a_push_that_fails_still_names_what_its_pull_left_out(ada, bob, bare, team, capsys):
    bob.get_version("iris@2").set_stage("staging", leave=True)
    bob.get_model("iris").create_version()
    ada.get_version("iris@1").set_stage("production")
    ada.push()
    write_hook(bare, "pre-receive", "echo 'releases are frozen' >&2\nexit 1")
    code, _, err = ask(capsys, "-C", team.folder / "bob", "push")
    assert code == 6
    assert "releases are frozen" in err
    assert "staging of iris: version 2 here" in err


def test_apply_with_push_names_what_its_pull_left_out(team, ada, bob, capsys):
    bob.get_version("iris@2").set_stage("staging", leave=True)
    ada.get_version("iris@1").set_stage("production")
    ada.push()
    code, _, err = ask(capsys, "-C", team.folder / "bob", "apply", "--push")
    assert code == 4
    assert "staging of iris: version 2 here, no version at the remote; the remote's was kept" in err


def test_a_model_renamed_here_and_at_the_remote_keeps_the_name_of_the_remote(ada, bob, bare):
    ada.update_model("iris", new_name="rose")
    ada.push()
    bob.get_model("iris").create_version(metadata={"bob": True})
    bob.update_model("iris", new_name="flower", title="Flower")
    bob.get_version("flower@4").set_stage("staging")
    pulled = bob.pull()
    assert pulled.conflicts == [
        "iris was renamed to flower here, and is called rose at the remote; the remote's was kept"
    ]
    assert [model.name for model in bob.list_models()] == ["rose"]
    assert bob.get_model("iris").name == "rose"
    assert bob.get_model("rose").title == "Flower"
    assert held(bob, "rose") == {"production": 2, "staging": 4}
    said = bob.repository.git.run("log", "--format=%B", "-4", "refs/heads/gitmodel").decode()
    assert "Change rose\n" in said
    assert "flower" not in said
    with pytest.raises(NotFound):
        bob.get_model("flower")
    bob.push()
    assert bob.register_model("flower").create_version().number == 1
    bob.push()
    ada.pull()
    assert [model.name for model in ada.list_models()] == ["flower", "rose"]
    assert_sound(bare)


def test_a_rename_that_a_pull_left_out_can_be_made_again(ada, bob, bare):
    ada.update_model("iris", new_name="rose")
    ada.push()
    bob.update_model("iris", new_name="flower")
    bob.pull()
    bob.update_model("rose", new_name="flower")
    bob.push()
    ada.pull()
    assert ada.get_model("iris").name == "flower"
    assert_sound(bare)


def test_a_model_renamed_twice_here_and_once_at_the_remote_keeps_the_remotes_name(ada, bob, bare):
    ada.update_model("iris", new_name="rose")
    ada.push()
    bob.update_model("iris", new_name="flower")
    bob.update_model("flower", new_name="lily")
    bob.get_model("lily").create_version()
    assert bob.pull().conflicts == [
        "iris was renamed to flower here, and is called rose at the remote; the remote's was kept",
        "flower was renamed to lily here, and is called rose at the remote; the remote's was kept",
    ]
    assert [version.number for version in bob.get_model("rose").versions] == [1, 2, 3, 4]
    assert bob.register_model("flower")
    assert bob.register_model("lily")
    bob.push()
    assert_sound(bare)


def test_the_same_rename_of_a_model_here_and_at_the_remote_is_no_conflict(ada, bob, bare):
    for client in (ada, bob):
        client.update_model("iris", new_name="rose")
        client.get_model("rose").create_version()
    ada.push()
    assert bob.pull().conflicts == []
    assert [version.number for version in bob.get_model("rose").versions] == [1, 2, 3, 4, 5]
    bob.push()
    assert_sound(bare)


def test_a_pull_leaves_out_a_rename_to_a_name_that_another_model_has_at_the_remote(ada, bob, bare):
    ada.register_model("flower").create_version()
    ada.push()
    bob.update_model("iris", new_name="flower")
    bob.get_version("flower@3").set_stage("staging")
    (conflict,) = bob.pull().conflicts
    assert conflict.startswith("iris was renamed to flower here, and it stays iris: ")
    assert held(bob) == {"production": 2, "staging": 3}
    with pytest.warns(RenumberedWarning):
        assert held(bob, "flower") == {}
    bob.push()
    assert_sound(bare)


@pytest.mark.parametrize("there", ["deleted", "renamed"])
def test_a_pull_names_a_model_registered_here_whose_name_the_remote_deleted_or_renamed(ada, bob, bare, there):
    ada.register_model("flower")
    if there == "deleted":
        ada.delete_model("flower")
    else:
        ada.update_model("flower", new_name="rose")
    ada.push()
    bob.register_model("flower").create_version()
    conflicts = bob.pull().conflicts
    if there == "deleted":
        assert "flower, registered here, is left out: a model of that name is gone at the remote" in conflicts
        assert "version 1 of flower, made here, is left out" in conflicts
    else:
        assert conflicts == ["flower was registered here, and is called rose at the remote; the remote's was kept"]
        assert bob.get_version("rose@1")
    bob.push()
    assert_sound(bare)


@pytest.mark.parametrize("there", ["deleted", "renamed", "changed", "extended"])
def test_a_pull_drops_and_reports_a_deletion_of_a_model_that_the_remote_changed(ada, bob, bare, there):
    if there == "deleted":
        ada.delete_model("iris", force=True, reason="too old")
    elif there == "renamed":
        ada.update_model("iris", new_name="rose")
    elif there == "extended":
        ada.get_model("iris").create_version()
    else:
        ada.get_version("iris@1").log_metadata(a=1)
    ada.push()
    bob.delete_model("iris", force=True, reason="not needed")
    expected = {
        "deleted": "iris was deleted on both sides, with another reason at the remote; the remote's was kept",
        "renamed": "iris was deleted here and changed at the remote; the remote's was kept",
        "extended": "iris was deleted here and changed at the remote; the remote's was kept",
        "changed": "iris was deleted here and changed at the remote; the remote's was kept",
    }
    assert bob.pull().conflicts == [expected[there]]
    assert refs(bob.repository.common_dir) == refs(bare)
    bob.push()
    assert_sound(bare)


def test_a_pull_names_a_model_that_was_renamed_here_and_deleted_at_the_remote(ada, bob, bare):
    ada.delete_model("iris", force=True)
    ada.push()
    bob.update_model("iris", new_name="flower")
    bob.get_model("flower").create_version()
    conflicts = bob.pull().conflicts
    assert conflicts[0].startswith("iris was renamed to flower here, and it stays iris: ")
    assert "version 4 of iris, made here, is left out" in conflicts
    assert bob.register_model("flower")
    bob.push()
    assert_sound(bare)
