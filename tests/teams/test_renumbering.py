"""A pull can renumber local versions, so that a number that the user knows means a version of the remote.

Until the user confirms that the other version is meant (--renumbered), gitmodel refuses writes by the number, and warns
at reads. Python handles follow their version to its new number.
"""

import json
import logging
import subprocess
from typing import Annotated

import pytest
from teamwork import all_refs, assert_sound, held, refs, refused_until_confirmed
from transcripts import ask

from gitmodel import (
    Client,
    ModelConfig,
    NotFound,
    Refused,
    RenumberedWarning,
    UsageError,
    get_step_context,
    log_model_metadata,
    pipeline,
    step,
)

# a test fails if gitmodel asks for a confirmation that the test does not expect
pytestmark = pytest.mark.filterwarnings("error::gitmodel.RenumberedWarning")


@pytest.fixture
def handle(ada, bob):
    """Bob's handle of the version that he created as iris@4. It is iris@5 now, because he pulled Ada's iris@4."""
    ada.get_model("iris").create_version(metadata={"who": "ada"})
    ada.push()
    version = bob.get_model("iris").create_version(metadata={"who": "bob"})
    assert version.number == 4
    bob.pull()
    return version


@pytest.fixture
def here(team, handle):
    """The folder of Bob's clone after the pull that renumbered his iris@4."""
    return team.folder / "bob"


def test_a_handle_follows_its_version_to_the_new_number(bob, handle):
    assert (handle.number, handle.reference, handle.metadata["who"]) == (5, "iris@5", "bob")
    assert repr(handle) == "ModelVersion('iris@5')"
    handle.set_stage("production")
    assert held(bob) == {"production": 5}
    handle.log_metadata(loss=0.1)
    assert bob.get_version("iris@5").metadata["loss"] == 0.1
    handle.delete(force=True)
    with pytest.raises(NotFound):
        bob.get_version("iris@5")


def test_handles_from_lists_follow_renumbered_versions_and_keep_pushed_versions(ada, bob):
    ada.get_model("iris").create_version(metadata={"who": "ada"})
    ada.push()
    for number in (4, 5):
        bob.get_model("iris").create_version(metadata={"who": "bob", "was": number})
    before = [*bob.get_model("iris").list_versions(), *bob.get_model("iris").each_version()]
    latest = bob.get_version("iris@latest")
    bob.pull()
    for version in before:
        assert version.metadata.get("was", version.number) in (version.number, version.number - 1)
    assert sorted({version.number for version in before}) == [1, 2, 3, 5, 6]
    assert latest.number == 6
    assert bob.get_model("iris").versions[-1] == latest


def test_a_handle_follows_pulls_of_other_processes_and_several_renumberings(team, ada, bob):
    version = bob.get_model("iris").create_version(metadata={"who": "bob"})
    for number in (5, 6, 7):
        ada.get_model("iris").create_version(metadata={"who": "ada"})
        ada.push()
        other = Client(team.folder / "bob", store=team.store, environ=team.environ("bob"))
        other.pull()
        other.close()
        assert version.number == number
        assert version.metadata["who"] == "bob"
    bob.push()
    ada.pull()
    assert ada.get_version(f"iris@{version.number}").metadata["who"] == "bob"


def test_a_version_created_in_a_transaction_is_found_after_its_renumbering(ada, bob):
    ada.get_model("iris").create_version()
    ada.push()
    with bob.transaction("Make one") as change:
        version = change.get_model("iris").create_version(metadata={"who": "bob"})
    bob.pull()
    assert (version.number, version.metadata["who"]) == (5, "bob")


def test_a_write_by_a_renumbered_number_is_refused_and_the_error_names_both_versions(bob, handle):
    before = refs(bob.repository.common_dir)
    for found in (lambda: bob.get_version("iris@4"), lambda: bob.get_model("iris").get_version(4)):
        with pytest.warns(RenumberedWarning, match="iris@4.*iris@5"):
            version = found()
        assert version.metadata["who"] == "ada"
        for write in (
            lambda version=version: version.set_stage("production"),
            lambda version=version: version.add_alias("best"),
            lambda version=version: version.log_metadata(loss=1),
            lambda version=version: version.update(description="x"),
            lambda version=version: version.delete(),
            lambda version=version: version.unlink("train"),
            lambda version=version: version.link_artifact("train", __file__),
        ):
            with pytest.raises(Refused, match=r"iris@4.*iris@5") as refused:
                write()
            assert "renumbered=True" in refused.value.hint
    assert refs(bob.repository.common_dir) == before


def test_the_argument_renumbered_confirms_a_renumbered_number_once(bob, handle):
    version = bob.get_version("iris@4", renumbered=True)
    assert version.metadata["who"] == "ada"
    version.set_stage("staging")
    version.log_metadata(loss=1)
    assert held(bob) == {"production": 2, "staging": 4}
    bob.get_version("iris@4").set_stage("production")
    with pytest.raises(UsageError, match="was not renumbered"):
        bob.get_version("iris@4", renumbered=True)
    assert (handle.number, handle.metadata["who"]) == (5, "bob")


def test_the_argument_renumbered_is_refused_for_a_reference_that_was_not_renumbered(bob, handle):
    for reference in ("iris@3", "iris@production", "iris"):
        with pytest.raises(UsageError, match="was not renumbered"):
            bob.get_version(reference, renumbered=True)


def test_a_renumbered_number_needs_confirmation_again_after_a_refused_write(bob, handle):
    version = bob.get_version("iris@4", renumbered=True)
    with pytest.raises(UsageError):
        version.set_stage("nowhere")
    with pytest.warns(RenumberedWarning):
        assert bob.get_version("iris@4")
    with pytest.raises(Refused), pytest.warns(RenumberedWarning):
        bob.get_version("iris@4").set_stage("staging")


def test_one_confirmation_is_enough_in_a_transaction_unless_the_transaction_fails(bob, handle):
    def fail():
        with bob.transaction("Fails") as change:
            change.get_version("iris@4", renumbered=True).set_stage("staging")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    with bob.transaction("Works") as change:
        change.get_version("iris@4", renumbered=True).log_metadata(a=1)
        change.get_version("iris@4").set_stage("staging")
    assert held(bob)["staging"] == 4


def test_references_by_name_stage_alias_or_latest_need_no_confirmation(ada, bob):
    ada.get_model("iris").create_version("1.0")
    ada.push()
    bob.get_model("iris").create_version("1.1")
    bob.pull()
    bob.get_version("iris@1.1").set_stage("staging")
    bob.get_version("iris@1.0").add_alias("best")
    bob.get_version("iris@best").log_metadata(a=1)
    bob.get_version("iris").log_metadata(a=1)
    bob.get_version("iris@5").log_metadata(b=1)
    assert held(bob) == {"best": 4, "production": 2, "staging": 5}


def test_renumbered_numbers_need_no_confirmation_in_other_clones(team, ada, bob, handle):
    bob.push()
    ada.pull()
    ada.get_version("iris@4").set_stage("staging")
    ada.get_version("iris@5").set_stage("production")
    assert not [ref for ref in all_refs(team.folder / "ada") if "renumbered" in ref]
    assert not [ref for ref in all_refs(team.folder / "remote.git") if "renumbered" in ref]


def renumbered(team, ada, bob):
    """Let Ada and Bob create iris@4, and let a pull renumber Bob's version. Return the folder of Bob's clone."""
    source = team.folder / "source.txt"
    source.write_text("ada", encoding="utf-8")
    ada.get_model("iris").create_version(data={"train": source})
    ada.push()
    bob.get_model("iris").create_version(data={"train": source})
    bob.pull()
    return team.folder / "bob"


def test_a_promotion_by_the_number_that_a_push_renumbered_is_refused(team, ada, bob, bare, capsys):
    here = team.folder / "bob"
    ada.get_model("iris").create_version(metadata={"who": "ada"})
    ada.push()
    ref = ask(capsys, "-C", here, "version", "create", "iris", "-q")[1].strip()
    assert ref == "iris@4"
    assert ask(capsys, "-C", here, "push")[0] == 0
    before = refs(here)
    code, out, err = ask(capsys, "-C", here, "promote", ref, "production")
    assert (code, out) == (6, "")
    assert err == (
        "error: iris@4 was renumbered by a pull: your iris@4 is now iris@5, and iris@4 is another version\n"
        "hint: write iris@5, or add --renumbered (in Python renumbered=True) to mean the new iris@4\n"
    )
    assert refs(here) == before
    assert ask(capsys, "-C", here, "promote", "iris@5", "production")[0] == 0
    assert ask(capsys, "-C", here, "promote", "iris@4", "staging", "--renumbered")[0] == 0
    assert held(bob) == {"production": 5, "staging": 4}
    assert ask(capsys, "-C", here, "promote", "iris@4", "archived")[0] == 0
    code, _, err = ask(capsys, "-C", here, "promote", "iris@4", "staging", "--renumbered")
    assert (code, "was not renumbered" in err) == (2, True)
    bob.push()
    assert_sound(bare)


WRITES = [
    ("promote", "iris@4", "staging"),
    ("promote", "iris", "4", "staging"),
    ("promote", "iris@4", "archived"),
    ("promote", "iris@04", "staging"),
    ("alias", "set", "iris@4", "best"),
    ("alias", "set", "iris", "4", "best"),
    ("version", "update", "iris", "4", "--stage", "staging"),
    ("version", "update", "iris@4", "--description", "x", "--stage", "staging"),
    ("version", "update", "iris@4", "--tag", "x"),
    ("version", "delete", "iris", "4", "--yes"),
    ("metadata", "set", "iris@4", "loss=1"),
    ("metadata", "set", "iris", "4", "loss=1"),
    ("metadata", "set", "iris@4", "rows=1", "--artifact", "train"),
    ("link", "iris@4", "--data", f"more={__file__}"),
    ("unlink", "iris@4", "train", "--yes"),
    ("propose", "iris@4", "staging"),
    ("propose", "iris", "4", "staging"),
]


@pytest.mark.parametrize("words", WRITES, ids=" ".join)
def test_each_command_that_writes_by_a_renumbered_number_is_refused_until_confirmed(team, ada, bob, capsys, words):
    here = renumbered(team, ada, bob)
    refusal, err = refused_until_confirmed(here, capsys, words)
    assert "iris@4" in refusal
    assert "iris@5" in refusal
    assert err == ""
    assert ask(capsys, "-C", here, "metadata", "show", "iris@3")[2] == ""
    assert ask(capsys, "-C", here, *words, "--renumbered")[0] != 0
    assert bob.get_version("iris@5").stage is None


READS = [
    ("show", "iris@4"),
    ("show", "iris", "4"),
    ("version", "show", "iris@4"),
    ("version", "artifacts", "iris@4"),
    ("version", "runs", "iris@4"),
    ("resolve", "iris@4"),
    ("metadata", "show", "iris@4"),
    ("get", "iris@4", "train", "-o", "train.txt"),
    ("log", "iris@4"),
    ("blame", "iris@4"),
    ("lineage", "iris@4"),
    ("diff", "iris@3", "iris@4"),
    ("card", "iris@4"),
    ("verify", "iris@4"),
    ("export", "iris@4", "iris.tar"),
]


@pytest.mark.parametrize("words", READS, ids=" ".join)
def test_each_command_that_reads_by_a_renumbered_number_warns_once_on_stderr(
    team, ada, bob, capsys, words, monkeypatch, tmp_path
):
    here = renumbered(team, ada, bob)
    monkeypatch.setenv("GITMODEL_STORE", team.store)
    (tmp_path / "away").mkdir()
    monkeypatch.chdir(tmp_path / "away")
    code, out, err = ask(capsys, "--repo", here, *words)
    assert code == 0, err
    assert err.count("warning: iris@4 was renumbered by a pull: your iris@4 is now iris@5") == 1
    assert "warning" not in out


def test_a_read_by_a_renumbered_number_warns_on_stderr_and_prints_valid_json(here, capsys):
    code, out, err = ask(capsys, "-C", here, "resolve", "iris@4", "--format", "json")
    assert (code, json.loads(out)["number"]) == (0, 4)
    assert "iris@5" in json.loads(err)["warning"]["message"]


def test_the_refusal_names_the_right_version_after_a_second_renumbering_and_a_rename(team, ada, bob, handle, capsys):
    ada.get_model("iris").create_version()
    ada.push()
    bob.pull()
    code, _, err = ask(capsys, "-C", team.folder / "bob", "promote", "iris@4", "staging")
    assert (code, "iris@6" in err) == (6, True)
    bob.update_model("iris", new_name="flower")
    for name in ("iris", "flower"):
        code, _, err = ask(capsys, "-C", team.folder / "bob", "promote", f"{name}@4", "staging")
        assert (code, "flower@6" in err) == (6, True)
    assert handle.reference == "flower@6" or bob.get_version("iris@6").metadata["who"] == "bob"
    assert handle.metadata["who"] == "bob"


def test_a_write_to_a_version_by_a_name_that_a_pull_gave_to_another_model_is_refused(team, ada, bob, capsys):
    ada.register_model("flower").create_version(metadata={"who": "ada"})
    ada.push()
    bob.update_model("iris", new_name="flower")
    model, version = bob.get_model("flower"), bob.get_version("flower@1")
    bob.pull()
    assert (model.name, version.reference) == ("iris", "iris@1")
    code, _, err = ask(capsys, "-C", team.folder / "bob", "promote", "flower@1", "staging")
    assert (code, "iris@1" in err) == (6, True)
    assert ask(capsys, "-C", team.folder / "bob", "promote", "iris@1", "staging")[0] == 0
    assert ask(capsys, "-C", team.folder / "bob", "promote", "flower@1", "staging", "--renumbered")[0] == 0


def test_a_version_by_a_name_that_a_pull_undid_is_not_found_and_the_error_names_the_current_name(
    team, ada, bob, capsys
):
    here = team.folder / "bob"
    ada.update_model("iris", new_name="rose")
    ada.push()
    bob.update_model("iris", new_name="flower")
    model, version = bob.get_model("flower"), bob.get_version("flower@1")
    bob.pull()
    assert (model.name, version.reference) == ("rose", "rose@1")
    code, _, err = ask(capsys, "-C", here, "promote", "flower@1", "staging")
    assert (code, "a pull renamed this model to rose" in err) == (3, True)
    assert ask(capsys, "-C", here, "register", "flower")[0] == 0
    assert ask(capsys, "-C", here, "version", "create", "flower")[0] == 0
    assert ask(capsys, "-C", here, "promote", "flower@1", "staging") == (0, "flower@1 is in staging now\n", "")
    assert version.reference == "rose@1"


def test_renumbered_numbers_still_need_confirmation_after_gc_and_pack_refs(here, bob, git, capsys):
    git(here, "pack-refs", "--all")
    git(here, "gc", "-q", "--prune=now")
    assert ask(capsys, "-C", here, "promote", "iris@4", "staging")[0] == 6
    assert_sound(here)


def test_a_damaged_list_of_renumbered_versions_is_reported_with_advice(here, git, capsys):
    blob = subprocess.run(
        ["git", "-C", str(here), "hash-object", "-w", "--stdin"], input=b"what\n", capture_output=True, check=True
    ).stdout.decode()
    git(here, "update-ref", "refs/gitmodel/renumbered", blob.strip())
    code, _, err = ask(capsys, "-C", here, "promote", "iris@4", "staging")
    assert (code, "git update-ref -d refs/gitmodel/renumbered" in err) == (5, True)


def test_a_pull_stores_the_renumbered_numbers_before_it_moves_the_branch(ada, bob, monkeypatch):
    """A crash may happen between two moves of refs, so the pull must store the numbers before it moves the branch."""
    ada.get_model("iris").create_version()
    ada.push()
    bob.get_model("iris").create_version()
    real, seen = bob.repository.refs.move, []

    def keep(moves, message, new=()):
        seen.extend(move.ref for move in moves if message.startswith("gitmodel: pull"))
        real(moves, message, new)

    monkeypatch.setattr(bob.repository.refs, "move", keep)
    bob.pull()
    assert seen.index("refs/gitmodel/renumbered") < seen.index("refs/heads/gitmodel")


def test_a_pipeline_for_a_renumbered_number_is_refused_until_confirmed(bob, handle, working):
    @step
    def measure() -> None:
        get_step_context().model_version.log_metadata(measured=True)

    @pipeline(model_config=ModelConfig(name="iris", version=4))
    def old():
        measure()

    @pipeline(model_config=ModelConfig(name="iris", version=4, renumbered=True))
    def meant():
        measure()

    with pytest.raises(Refused, match=r"iris@4.*iris@5"):
        old()
    meant()
    assert bob.get_version("iris@4").metadata == {"who": "ada", "measured": True}
    old()
    assert len(bob.get_version("iris@4").runs) == 2
    assert "measured" not in handle.metadata


def test_a_pull_while_a_pipeline_runs_does_not_change_the_version_of_the_run(ada, bob, working):
    mine = bob.get_model("iris").create_version(metadata={"who": "bob"})
    ada.get_model("iris").create_version(metadata={"who": "ada"})
    ada.push()

    @step
    def measure() -> None:
        bob.pull()
        get_step_context().model_version.log_metadata(measured=True)
        get_step_context().model_version.set_stage("staging")

    @pipeline(model_config=ModelConfig(name="iris", version=4))
    def work():
        measure()

    work()
    assert (mine.number, mine.metadata["measured"], mine.stage) == (5, True, "staging")
    assert bob.get_version("iris@4", renumbered=True).metadata == {"who": "ada"}
    assert bob.get_version("iris@4", renumbered=True).runs == []


def test_a_run_succeeds_without_metadata_for_a_renumbered_number_that_is_not_confirmed(bob, handle, working, caplog):
    @step
    def measure() -> None:
        log_model_metadata(version="iris@4", loss=1)

    @step
    def measure_meant() -> None:
        log_model_metadata(version="iris@4", renumbered=True, loss=2)

    @pipeline
    def work():
        measure()

    @pipeline
    def meant():
        measure_meant()

    with caplog.at_level(logging.WARNING):
        work()
    assert "iris@4 was renumbered" in caplog.text
    assert len(bob.list_runs()) == 1
    meant()
    assert bob.get_version("iris@4").metadata == {"who": "ada", "loss": 2}


def test_a_number_that_was_renumbered_during_a_run_needs_confirmation(ada, bob, working):
    told = []

    @step
    def train() -> None:
        told.append(get_step_context().model_version.number)
        ada.get_model("iris").create_version(metadata={"who": "ada"})
        ada.push()
        bob.pull()

    @pipeline(model_config=ModelConfig(name="iris", create_new_model_version=True))
    def work():
        train()

    work()
    assert told == [4]
    assert [version.number for version in bob.get_model("iris").versions] == [1, 2, 3, 4, 5]
    with pytest.warns(RenumberedWarning), pytest.raises(Refused, match=r"iris@4.*iris@5"):
        bob.get_version("iris@4").set_stage("staging")


def evaluation(first=lambda: None):
    """Return a pipeline that adds an output to iris@4. Its step calls *first*."""

    @step(enable_cache=False)
    def measure() -> Annotated[str, "measured"]:
        first()
        return "by bob"

    @pipeline(model_config=ModelConfig(name="iris", version=4))
    def evaluate():
        measure()

    return evaluate


def test_a_run_adds_its_outputs_to_its_version_after_a_renumbering(ada, bob, working):
    ada.get_model("iris").create_version(metadata={"who": "ada"})
    ada.push()
    version = bob.get_model("iris").create_version(metadata={"who": "bob"})
    done = evaluation().run(client=bob)
    bob.pull()
    assert (version.reference, version.get_artifact("measured").load()) == ("iris@5", "by bob")
    record = bob.get_run(done.id).record
    assert (record.versions, record.steps[0].version) == (("iris@5",), "iris@5")
    assert bob.get_version("iris@4", renumbered=True).outputs == []


def test_a_run_during_which_a_pull_renumbers_its_version_records_the_new_number(ada, bob, working):
    ada.get_model("iris").create_version(metadata={"who": "ada"})
    ada.push()
    version = bob.get_model("iris").create_version(metadata={"who": "bob"})
    done = evaluation(bob.pull).run(client=bob)
    record = bob.get_run(done.id).record
    assert (record.versions, record.steps[0].version, version.runs) == (("iris@5",), "iris@5", [done.id])
    assert version.get_artifact("measured").load() == "by bob"
