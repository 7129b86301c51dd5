"""gitmodel refuses each direct change of a stage that is proposal_only, and prints the command that proposes it."""

import editing
import pytest
from hosting import merge_commit
from stage_rules import PROPOSAL_ONLY
from teamwork import states

from gitmodel import Client, ModelConfig, get_step_context, pipeline, step
from gitmodel.domain.schema.refs import StageRef
from gitmodel.errors import Refused
from gitmodel.registry.health.checking import check

STAGING = "models/iris/stages/staging.toml"

pytestmark = pytest.mark.usefixtures("client")


@pytest.fixture
def client(proposal_only):
    return proposal_only


REFUSED = {
    "promote iris@4 production": "iris@4 production",
    "promote iris@4 production --force --reason now": "iris@4 production",
    "promote iris@2 production": "iris@2 production",
    "version update iris 4 --stage production": "iris@4 production",
    "version update iris 4 --stage production --description x": "iris@4 production",
    "version update iris --stage=production": "iris@5 production",
    "promote iris@3 archived": "iris@3 archived",
    "promote iris@3 none": "--demote iris production",
    "promote iris@3 staging --leave": "iris@3 staging --leave",
    "version update iris 3 --stage archived": "iris@3 archived",
    "demote iris production": "--demote iris production",
    "version delete iris 3 --yes": "--demote iris production",
    "version delete iris 3 --yes --force": "--demote iris production",
    "delete iris --yes": "--demote iris production",
    "delete iris --yes --force": "--demote iris production",
    "update iris --rename flower": "--rename iris flower",
    "update iris --rename flower --description x": "--rename iris flower",
}


@pytest.mark.parametrize("command", REFUSED)
def test_a_command_that_changes_a_proposal_only_stage_is_refused_and_changes_nothing(main, code_repo, command):
    before = editing.state(code_repo)
    code, out, err = main(*command.split())
    assert (code, out) == (6, "")
    assert err == (
        "error: a change of iris production needs a reviewed proposal (proposal_only)\n"
        f"hint: run `git model propose {REFUSED[command]}`\n"
    )
    assert editing.state(code_repo) == before


@pytest.mark.parametrize("line", sorted(set(REFUSED.values())))
def test_the_propose_command_in_the_refusal_works(main, client, iris, code_repo, line):
    code, _, err = main("propose", *line.split())
    assert code == 0, err
    (proposal,) = client.list_proposals()
    merge_commit(code_repo, proposal.branch)
    assert client.apply().refused == ()
    assert check(client.repository) == []


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (lambda client, iris: iris.get_version(4).set_stage("production"), "iris@4 production"),
        (lambda client, iris: iris.get_version(3).set_stage("none"), "--demote iris production"),
        (lambda client, iris: iris.demote("production"), "--demote iris production"),
        (lambda client, iris: iris.rollback("production"), ""),
        (lambda client, iris: iris.get_version(3).delete(force=True), "--demote iris production"),
        (lambda client, iris: iris.delete(force=True), "--demote iris production"),
        (lambda client, iris: client.update_model("iris", new_name="flower"), "--rename iris flower"),
        (lambda client, iris: move_on(client), "iris@4 production"),
    ],
)
def test_a_python_call_that_changes_a_proposal_only_stage_is_refused(client, iris, code_repo, change, line):
    if not line:
        iris_4_comes_and_goes(client, iris, code_repo)
        line = "iris@3 production"
    before = editing.state(code_repo)
    with pytest.raises(Refused, match="proposal_only") as refused:
        change(client, iris)
    assert refused.value.hint == f"run `git model propose {line}`"
    assert editing.state(code_repo) == before


def iris_4_comes_and_goes(client, iris, repo):
    client.propose(("iris@4", "production"))
    (proposal,) = client.list_proposals()
    merge_commit(repo, proposal.branch)
    assert client.apply().refused == ()


def move_on(client):
    with client.transaction("Move on") as change:
        change.get_version("iris@5").set_stage("staging")
        change.get_version("iris@4").set_stage("production")


def test_direct_changes_of_other_stages_and_versions_are_accepted(client, iris):
    iris.get_version(4).set_stage("staging")
    iris.get_version(2).set_stage("archived")
    iris.get_version(3).add_alias("champion")
    iris.get_version(3).log_metadata(latency=3)
    iris.get_version(1).delete()
    iris.create_version().set_stage("staging")
    client.update_model("iris", description="flowers")
    client.register_model("other").create_version().set_stage("staging")
    client.update_model("other", new_name="another")
    assert states(iris) == {"staging": (6, 6), "production": (3, 3), "champion": (3, 3)}


@step
def both() -> None:
    version = get_step_context().model_version
    version.log_metadata(score=1)
    version.set_stage("production")
    version.add_alias("newest")


@pipeline(model_config=ModelConfig(name="iris", create_new_model_version=True))
def training():
    both()


def test_a_run_succeeds_without_its_promotion_to_a_proposal_only_stage(client, iris, caplog):
    run = training.run(client=client)
    assert run.status == "succeeded"
    (said,) = [record.getMessage() for record in caplog.records]
    assert said == (
        "a change of iris production needs a reviewed proposal (proposal_only) "
        "(run `git model propose iris@6 production`); the run is recorded without it"
    )
    assert states(iris) == {"newest": (6, 6), "staging": (2, 2), "production": (3, 3)}
    assert iris.get_version(6).metadata == {"score": 1}


def test_a_direct_change_of_a_proposal_only_stage_by_url_is_refused(client, code_repo, tmp_path):
    before = editing.state(code_repo)
    with Client(tmp_path, repo=f"file://{code_repo}") as writer:
        version = writer.get_version("iris@4")
        with pytest.raises(Refused, match="proposal_only"):
            version.set_stage("production")
        with pytest.raises(Refused, match="proposal_only"):
            writer.get_model("iris").demote("production")
    assert editing.state(code_repo) == before


def test_a_merged_change_must_be_applied_before_the_next_change_of_its_versions(client, iris, main, code_repo):
    """Until `apply`, gitmodel refuses to delete the version in force, and to promote the merged version again."""
    client.propose(("iris@4", "production"))
    merge_commit(code_repo, client.list_proposals()[0].branch)
    assert states(iris)["production"] == (4, 3)
    before = editing.state(code_repo)
    code, _, err = main("version", "delete", "iris", "3", "--yes", "--force")
    assert (code, "hint: run `git model apply iris` first" in err) == (6, True)
    code, _, err = main("promote", "iris@4", "production")
    assert (code, "hint: run `git model apply iris` first" in err) == (6, True)
    assert editing.state(code_repo) == before
    assert client.apply().moved == (StageRef("iris", "production"),)
    iris.get_version(3).delete()


def test_a_pull_leaves_out_changes_made_before_the_stage_became_proposal_only(ada, bob):
    """Bob promotes a version. Then Ada makes production proposal_only and pushes, and Bob pulls."""
    bob.get_version("iris@3").set_stage("production")
    bob.get_version("iris@1").set_stage("staging")
    editing.edit(ada.repository.common_dir, {"gitmodel.toml": PROPOSAL_ONLY})
    ada.push()
    done = bob.pull()
    assert "production of iris takes only reviewed proposals at the remote; the remote's was kept" in done.conflicts
    assert states(bob.get_model("iris")) == {"production": (2, 2), "staging": (1, 1)}
    assert check(bob.repository) == []
