"""Moving a version to an earlier stage empties its later stage, so gitmodel refuses it without the option `leave`.

The order of the stages in gitmodel.toml decides which of two stages is earlier.
"""

import editing
import pytest
from stage_rules import register_iris

from gitmodel import Client
from gitmodel.errors import Refused
from gitmodel.registry.health.checking import check

RULES = "".join(f'\n[[stages]]\nname = "{name}"\n' for name in ("staging", "canary", "production"))


@pytest.fixture
def client(code_repo):
    with Client(code_repo) as client:
        model = register_iris(client, None, None, None)
        editing.edit(code_repo, {"gitmodel.toml": f'format = "1.2"\n{RULES}'})
        model.get_version(1).set_stage("production")
        yield client


def held(iris):
    return {state.name: state.in_force for state in iris.stages}


COMMANDS = [
    ("promote", "iris@1", "staging"),
    ("promote", "iris@1", "canary"),
    ("promote", "iris@1", "staging", "--force", "--reason", "it must be"),
    ("version", "update", "iris", "1", "--stage", "staging"),
    ("version", "update", "iris", "1", "--stage=staging", "--description", "x"),
    ("propose", "iris@1", "staging"),
]


@pytest.mark.usefixtures("client")
@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_a_command_that_would_empty_a_later_stage_is_refused_without_leave(main, code_repo, command):
    before = editing.run(code_repo, "for-each-ref")
    code, out, err = main(*command)
    target = "canary" if "canary" in command else "staging"
    assert (code, out) == (6, "")
    assert err == (
        f"error: iris@1 is in production, and moving it to {target} would leave production empty\n"
        "hint: promote another version to production first, or add --leave (in Python: leave=True) "
        "if production is to be empty\n"
    )
    assert editing.run(code_repo, "for-each-ref") == before


@pytest.mark.parametrize("command", COMMANDS[:5], ids=" ".join)
def test_the_option_leave_allows_a_move_that_empties_a_later_stage(main, iris, command):
    code, out, _ = main(*command, "--leave")
    target = "canary" if "canary" in command else "staging"
    assert code == 0
    assert f"iris@1 is in {target} now; it left production" in out
    assert held(iris) == {target: 1}


def test_a_proposal_accepts_leave_and_its_plan_names_the_emptied_stage(main, client):
    code, out, _ = main("propose", "iris@1", "staging", "--leave")
    assert code == 0, out
    (proposal,) = client.list_proposals()
    code, text, _ = main("plan", f"gitmodel..{proposal.branch}")
    assert code == 0
    assert "production becomes empty" in text
    code, markdown, _ = main("plan", f"gitmodel..{proposal.branch}", "--markdown")
    assert "**production becomes empty**" in markdown


@pytest.mark.parametrize(
    "move",
    [
        lambda client, **more: client.get_version("iris@1").set_stage("staging", **more),
        lambda client, **more: client.get_version("iris@1").set_stage("staging", force=True, **more),
        lambda client, **more: client.propose(("iris@1", "staging"), **more),
    ],
    ids=["set_stage", "set_stage by force", "propose"],
)
def test_in_python_the_argument_leave_allows_a_move_that_empties_a_later_stage(client, code_repo, move):
    before = editing.state(code_repo)
    with pytest.raises(Refused, match="would leave production empty") as refused:
        move(client)
    assert "leave=True" in refused.value.hint
    assert editing.state(code_repo) == before
    move(client, leave=True)


def test_a_rollback_that_empties_a_later_stage_needs_leave(main, client, iris):
    iris.get_version(2).set_stage("staging")
    iris.get_version(3).set_stage("staging")
    iris.get_version(2).set_stage("production")
    code, _, err = main("rollback", "iris", "staging")
    assert (code, "moving it to staging would leave production empty" in err) == (6, True)
    with pytest.raises(Refused):
        iris.rollback("staging")
    with pytest.raises(Refused):
        client.propose(rollback=[("iris", "staging")])
    assert iris.rollback("staging", leave=True).number == 2
    assert held(iris) == {"staging": 2}


def test_moving_to_a_later_stage_needs_no_leave(iris):
    iris.get_version(2).set_stage("staging")
    iris.get_version(2).set_stage("canary")
    iris.get_version(2).set_stage("production")
    assert held(iris) == {"production": 2}


@pytest.mark.parametrize(
    "leave",
    [
        lambda iris: iris.get_version(1).set_stage("archived"),
        lambda iris: iris.get_version(1).set_stage("none"),
        lambda iris: iris.demote("production"),
    ],
    ids=["archived", "none", "demote"],
)
def test_archiving_and_demoting_a_version_need_no_leave(iris, leave):
    leave(iris)
    assert held(iris) == {}


def test_the_order_in_gitmodel_toml_decides_which_stage_is_later(client, iris, code_repo):
    editing.edit(
        code_repo,
        {"gitmodel.toml": 'format = "1.2"\n\n[[stages]]\nname = "production"\n\n[[stages]]\nname = "staging"\n'},
    )
    iris.get_version(1).set_stage("staging")
    with pytest.raises(Refused, match="would leave staging empty"):
        iris.get_version(1).set_stage("production")


def test_a_transaction_that_refills_the_emptied_stage_needs_no_leave(client, iris, code_repo):
    before = editing.state(code_repo)

    def move():
        with client.transaction("Move") as change:
            change.get_version("iris@1").set_stage("staging")

    with pytest.raises(Refused):
        move()
    assert editing.state(code_repo) == before
    with client.transaction("Swap") as change:
        change.get_version("iris@1").set_stage("staging")
        change.get_version("iris@2").set_stage("production")
    assert held(iris) == {"staging": 1, "production": 2}


def test_a_proposal_that_refills_the_emptied_stage_needs_no_leave(client):
    assert client.propose(("iris@1", "staging"), ("iris@2", "production")).ready


def test_check_and_apply_accept_an_emptied_later_stage(client, iris, code_repo):
    text = editing.read(code_repo, "models/iris/stages/production.toml")
    files = {"models/iris/stages/staging.toml": text, "models/iris/stages/production.toml": None}
    base = editing.run(code_repo, "rev-parse", editing.BRANCH)
    head = editing.edit(code_repo, files)
    assert check(client.repository) == []
    assert client.check_between(f"{base}..{head}").problems == ()
    assert client.apply().refused == ()
    assert held(iris) == {"staging": 1}


def test_set_stage_takes_its_options_only_by_keyword(iris):
    with pytest.raises(TypeError):
        iris.get_version(2).set_stage("production", "best auc")
    assert held(iris) == {"production": 1}


def test_a_move_by_url_that_would_empty_a_later_stage_is_refused_without_leave(client, code_repo, tmp_path):
    with Client(tmp_path, repo=f"file://{code_repo}") as reader:
        version = reader.get_version("iris@1")
        with pytest.raises(Refused, match="would leave production empty"):
            version.set_stage("staging")
        version.set_stage("staging", leave=True)
    assert held(client.get_model("iris")) == {"staging": 1}
