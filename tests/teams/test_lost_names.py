"""A pull can undo a local rename, so that the new name means a model of the remote: the name is lost.

Until the user confirms that the other model is meant, gitmodel refuses writes by the lost name, and warns at reads.
"""

import pytest
from teamwork import all_refs, refused_until_confirmed
from transcripts import ask

from gitmodel import (
    Client,
    ModelConfig,
    NotFound,
    Refused,
    RenumberedWarning,
    UsageError,
    pipeline,
    step,
)

# a test fails if gitmodel asks for a confirmation that the test does not expect
pytestmark = pytest.mark.filterwarnings("error::gitmodel.RenumberedWarning")


@pytest.fixture
def lost(ada, bob):
    """Ada renamed rose to flower. Bob renamed iris to flower, then pulled: his model is called iris again.

    Returns Bob's handle of his model.
    """
    rose = ada.register_model("rose")
    for _ in range(2):
        rose.create_version()
    rose.get_version(1).set_stage("production")
    rose.get_version(2).set_stage("production")
    rose.get_version(2).add_alias("best")
    ada.push()
    bob.pull()
    ada.get_model("rose").rename("flower")
    ada.push()
    mine = bob.get_model("iris").rename("flower")
    bob.pull()
    return mine


@pytest.fixture
def here(team, lost, monkeypatch):
    """The folder of Bob's clone after the pull. Commands use the team's store."""
    monkeypatch.setenv("GITMODEL_STORE", team.store)
    return team.folder / "bob"


WRITES = [
    ("demote", "flower", "production"),
    ("rollback", "flower", "production"),
    ("update", "flower", "--title", "x"),
    ("update", "flower", "--rename", "tulip"),
    ("delete", "flower", "--yes", "--force"),
    ("version", "create", "flower"),
    ("version", "create", "flower", "--idempotency-key", "job 1"),
    ("alias", "remove", "flower", "best"),
    ("alias", "set", "flower@production", "main"),
    ("promote", "flower@latest", "staging", "--leave"),
    ("promote", "flower@best", "staging", "--leave"),
    ("version", "update", "flower", "--description", "x"),
    ("metadata", "set", "flower@production", "loss=1"),
    ("propose", "--demote", "flower", "production"),
    ("propose", "--rollback", "flower", "production"),
    ("propose", "--rename", "flower", "tulip"),
]


@pytest.mark.parametrize("words", WRITES, ids=" ".join)
def test_each_command_that_writes_by_a_lost_name_is_refused_until_the_name_is_confirmed(here, capsys, words):
    refusal, err = refused_until_confirmed(here, capsys, words)
    assert "flower names another model since a pull: your flower is now iris" in refusal
    assert "write iris" in refusal
    assert "was renumbered" not in err
    assert ask(capsys, "-C", here, "show", "iris")[2] == ""
    assert ask(capsys, "-C", here, *words, "--renumbered")[0] != 0


def test_the_refusal_of_a_lost_name_shows_the_reference_to_use_instead(here, capsys):
    assert "hint: write iris@latest, or add" in ask(capsys, "-C", here, "promote", "flower@latest", "staging")[2]
    assert "hint: write iris, or add" in ask(capsys, "-C", here, "demote", "flower", "production")[2]


def test_import_and_store_use_with_a_lost_name_are_refused_until_the_name_is_confirmed(team, ada, here, capsys):
    assert ask(capsys, "-C", here, "export", "iris@1", team.folder / "iris.tar")[0] == 0
    words = ("import", team.folder / "iris.tar", "--as", "flower")
    assert ask(capsys, "-C", here, *words)[0] == 6
    assert ask(capsys, "-C", here, "store", "add", "archive", (team.folder / "archive").as_uri())[0] == 0
    assert ask(capsys, "-C", here, "store", "use", "flower", "archive")[0] == 6
    assert ask(capsys, "-C", here, "store", "use", "flower", "archive", "--renumbered")[0] == 0
    assert ask(capsys, "-C", here, *words)[0] == 0


@pytest.mark.parametrize("name", ["iris", "rose"])
def test_the_current_names_of_both_models_need_no_confirmation(here, bob, name):
    bob.get_model(name).update(title="x")
    bob.get_model(name).demote("production")
    bob.get_version(f"{name}@1").set_stage("staging")
    bob.get_version(f"{name}@latest").set_stage("production")
    bob.get_model(name).create_version()
    assert bob.get_model(name).rollback("production")


def test_a_lost_name_that_a_later_pull_gives_to_another_model_needs_confirmation(team, ada, bob, capsys):
    here = team.folder / "bob"
    ada.update_model("iris", new_name="rose")
    ada.push()
    bob.update_model("iris", new_name="flower")
    bob.pull()
    assert ask(capsys, "-C", here, "demote", "flower", "production")[0] == 3
    ada.register_model("flower").create_version()
    ada.push()
    bob.pull()
    code, _, err = ask(capsys, "-C", here, "version", "create", "flower")
    assert (code, "your flower is now rose" in err) == (6, True)
    assert ask(capsys, "-C", here, "promote", "flower@1", "staging")[0] == 6


READS = [
    ("show", "flower"),
    ("version", "list", "flower"),
    ("version", "show", "flower"),
    ("alias", "list", "flower"),
    ("resolve", "flower@production"),
    ("resolve", "flower"),
    ("history", "flower"),
    ("log", "flower"),
    ("log", "flower@latest"),
    ("blame", "flower@best"),
    ("lineage", "flower@production"),
    ("diff", "flower@1", "flower@production"),
    ("card", "flower"),
    ("verify", "flower@best"),
]


@pytest.mark.parametrize("words", READS, ids=" ".join)
def test_each_command_that_reads_by_a_lost_name_warns_once_on_stderr(here, capsys, words):
    code, out, err = ask(capsys, "-C", here, *words)
    assert code == 0, err
    assert err.count("warning: flower names another model since a pull: your flower is now iris") == 1
    assert "warning" not in out


def test_a_handle_follows_its_model_to_the_new_name(bob, lost):
    assert lost.name == "iris"
    lost.update(title="Mine")
    lost.create_version()
    lost.demote("production")
    assert [version.reference for version in lost.list_versions()][-1] == "iris@4"
    assert lost.get_version("latest").number == 4
    assert bob.get_model("rose").title == ""


def test_writes_of_a_handle_found_by_a_lost_name_are_refused_until_the_name_is_confirmed(bob, lost):
    with pytest.warns(RenumberedWarning, match="flower names another model"):
        found = bob.get_model("flower")
    writes = (
        lambda: found.update(title="x"),
        lambda: found.rename("tulip"),
        lambda: found.delete(force=True),
        lambda: found.demote("production"),
        lambda: found.rollback("production"),
        lambda: found.create_version(),
        lambda: found.remove_alias("best"),
        lambda: bob.update_model("flower", title="x"),
        lambda: bob.delete_model("flower", force=True),
    )
    for write in writes:
        with pytest.raises(Refused, match=r"flower.*iris"):
            write()
    with pytest.warns(RenumberedWarning):
        version = found.get_version("latest")
    with pytest.raises(Refused):
        version.set_stage("staging")
    sure = bob.get_model("flower", renumbered=True)
    assert sure.get_version("production").number == 2
    sure.demote("production")
    bob.get_model("flower").update(title="Meant")
    with pytest.raises(UsageError, match="was not renumbered"):
        bob.get_model("flower", renumbered=True)
    with pytest.raises(UsageError, match="was not renumbered"):
        bob.update_model("iris", title="x", renumbered=True)


def test_handles_of_models_from_lists_need_no_confirmation(bob, lost):
    flower = next(model for model in bob.list_models() if model.name == "flower")
    flower.get_version("latest").set_stage("staging", leave=True)
    flower.update(title="Meant")
    assert flower.versions[-1].model == flower


def test_one_confirmation_of_a_lost_name_is_enough_in_a_transaction_unless_the_transaction_fails(bob, lost):
    def fail():
        with bob.transaction("Fails") as change:
            change.update_model("flower", title="x", renumbered=True)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    with pytest.raises(Refused):
        bob.update_model("flower", title="x")
    with bob.transaction("Works") as change:
        change.update_model("flower", title="x", renumbered=True)
        change.get_model("flower").demote("production")
    assert bob.get_model("flower").title == "x"


def test_a_lost_name_that_is_registered_again_needs_no_confirmation(ada, bob):
    ada.update_model("iris", new_name="rose")
    ada.push()
    bob.update_model("iris", new_name="flower")
    bob.pull()
    with pytest.raises(NotFound) as error:
        bob.get_model("flower")
    assert "a pull renamed this model to rose" in error.value.hint
    bob.register_model("flower").create_version()
    bob.get_version("flower@latest").set_stage("staging")
    bob.update_model("flower", title="x")
    bob.get_version("flower@1").set_stage("production")


def test_other_clones_need_no_confirmation_of_the_lost_name(ada, bob, lost):
    bob.push()
    ada.pull()
    ada.get_model("flower").update(title="x")


def test_a_name_registered_in_two_clones_becomes_one_model_with_renumbered_versions(team, ada, bob, capsys):
    """If two people register one name, the pull makes them one model, with the versions of both people."""
    ada.register_model("tulip").create_version(metadata={"who": "ada"})
    ada.push()
    mine = bob.register_model("tulip").create_version(metadata={"who": "bob"})
    bob.pull()
    here = team.folder / "bob"
    assert mine.reference == "tulip@2"
    assert ask(capsys, "-C", here, "version", "create", "tulip")[0] == 0
    assert ask(capsys, "-C", here, "promote", "tulip@1", "staging")[0] == 6
    assert ask(capsys, "-C", here, "promote", "tulip@latest", "staging") == (0, "tulip@3 is in staging now\n", "")


def test_propose_refuses_a_name_that_means_another_model_at_the_remote(team, ada, bob, capsys):
    ada.register_model("rose").create_version()
    ada.get_version("rose@1").set_stage("production")
    ada.push()
    bob.pull()
    ada.update_model("rose", new_name="flower")
    ada.push()
    bob.update_model("iris", new_name="flower")
    here = team.folder / "bob"
    before = all_refs(here)
    code, _, err = ask(capsys, "-C", here, "propose", "--demote", "flower", "production")
    assert (code, "flower is another model on the remote than here" in err) == (6, True)
    assert [ref for ref in all_refs(here) if "propose" in ref] == [ref for ref in before if "propose" in ref]


def test_a_pipeline_for_a_lost_name_is_refused_until_the_name_is_confirmed(bob, lost, working):
    ran = []

    @step
    def train() -> None:
        ran.append(1)

    def on(**config):
        @pipeline(model_config=ModelConfig(name="flower", **config))
        def work():
            train()

        return work

    for config in ({"create_new_model_version": True}, {}, {"version": "production"}):
        with pytest.raises(Refused, match=r"flower.*iris"):
            on(**config)()
    assert ran == []
    on(create_new_model_version=True, renumbered=True)()
    on(create_new_model_version=True)()
    assert [version.number for version in bob.get_model("flower").versions] == [1, 2, 3, 4]


def test_a_run_creates_its_version_for_the_model_that_had_the_name_at_its_start(team, ada, bob, working):
    ada.register_model("rose").create_version()
    ada.push()
    bob.pull()
    bob.update_model("iris", new_name="flower")
    ada.update_model("rose", new_name="flower")
    ada.push()

    @step
    def train() -> None:
        other = Client(team.folder / "bob", store=team.store, environ=team.environ("bob"))
        other.pull()
        other.close()

    @pipeline(model_config=ModelConfig(name="flower", create_new_model_version=True))
    def work():
        train()

    work()
    assert [version.number for version in bob.get_model("iris").versions] == [1, 2, 3, 4]
    assert [version.number for version in bob.list_models()[0].versions] == [1]
    assert bob.list_runs()[0].record.versions == ("iris@4",)
