"""The commands and methods that change the rules of stages, directly and as proposals."""

import json
import shlex
import shutil

import editing
import pytest
from stage_rules import merge, register_iris
from transcripts import ask, check_transcript

from gitmodel import AddGate, AddStage, Client, RemoveGate, RemoveStage, UpdateStage
from gitmodel.errors import Conflict, GateRefused, NotFound, Refused, UsageError
from gitmodel.registry.health.checking import check

RULES = "refs/tags/gitmodel-rules/gitmodel"
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIFnD54EkcNVBCEE5byUMhHFxEA8eayurXtciuQojHUiy"
TEXT = """\
# Our rules
format = "1.2"

[[stages]]
name = 'staging' # for tests

# The one that serves
[[stages]]
name = "production"
"""


@pytest.fixture
def client(code_repo, monkeypatch):
    monkeypatch.chdir(code_repo)
    with Client(code_repo) as client:
        register_iris(client, 0.8, 0.95)
        editing.edit(code_repo, {"gitmodel.toml": TEXT})
        yield client
        assert check(client.repository) == []


@pytest.fixture
def repo(client):
    return client.repository.common_dir


def toml(repo):
    return editing.read(repo, "gitmodel.toml")


def test_stages_and_gates_are_added_changed_and_removed(client, repo, capsys):
    check_transcript(
        capsys,
        """
        $ git model stage list
        STAGE
        staging
        production
        $ git model stage gate add production accuracy 'metadata.accuracy >= 0.9' --message 'too low'
        production: gate accuracy added: metadata.accuracy >= 0.9 ("too low")
        $ git model stage gate add production accuracy 'metadata.accuracy >= 0.9' --message 'too low'
        nothing changed: production has these rules already
        $ git model stage add canary --before production --after staging --after none
        canary: stage added
        canary: after any place -> none, staging
        order of the stages: staging, canary, production
        $ git model stage add canary --before production --after none --after staging
        nothing changed: canary has these rules already
        $ git model stage update production --after canary --proposal-only --direct-rollback
        production: after any place -> canary
        production: proposal_only false -> true
        production: rollback by the rules -> direct
        $ git model stage list
        STAGE       RULE           VALUE                     MESSAGE
        staging
        canary      after          none, staging
        production  after          canary
                    proposal_only  true
                    rollback       direct
                    gate accuracy  metadata.accuracy >= 0.9  too low
        $ git model stage gate add staging any true -q
        staging
        $ git model stage gate add staging any 'number > 0' --replace
        staging: gate any: true -> number > 0
        $ git model stage gate remove staging any
        staging: gate any removed: number > 0
        $ git model stage update canary --after ''
        canary: after none, staging -> any place
        """,
    )
    assert toml(repo) == TEXT.replace("# The one", '[[stages]]\nname = "canary"\n\n# The one') + (
        'after = [\n    "canary",\n]\nproposal_only = true\nrollback = "direct"\n\n'
        '[[stages.gates]]\nname = "accuracy"\nexpression = "metadata.accuracy >= 0.9"\nmessage = "too low"\n'
    )
    log = editing.run(repo, "log", "--format=%s", "-5", "gitmodel").splitlines()
    assert log == [
        "Change the rules of canary", "Remove the gate any of staging", "Add the gate any of staging",
        "Add the gate any of staging", "Change the rules of production",
    ]  # fmt: skip


REFUSALS = {
    "unknown stage": ("update prodution --signed", 2, "there is no stage 'prodution'", "did you mean production?"),
    "no exclusive stage": ("update archived --signed", 2, "archived is a place", "one of the stages: staging"),
    "unknown stage of a gate": ("gate add stagin g true", 2, "there is no stage 'stagin'", "did you mean staging?"),
    "unknown place": ("update production --after stagin", 2, "there is no place 'stagin'", "did you mean staging?"),
    "unknown next stage": ("add qa --before prod", 2, "there is no stage 'prod'", "staging, canary, production"),
    "before itself": ("update staging --before staging", 2, "staging cannot be before itself", "production"),
    "stage twice": ("add production --proposal-only", 4, "there is a stage production already", "stage update"),
    "stage twice but for case": ("add Production", 4, "there is a stage production already", "stage update"),
    "reserved": ("add Latest", 2, "Latest cannot be the name of a stage", "archived, latest, none"),
    "archived": ("add archived", 2, "archived cannot be the name of a stage", "choose another word"),
    "a number": ("add 12", 2, "12 cannot be the name of a stage", "numbers are versions"),
    "a path": ("add ../x", 2, "'../x' cannot be the name of a stage", ""),
    "control characters": (["add", "a\x1b[31m"], 2, "cannot be the name of a stage", ""),
    "TOML in a name": (["add", 'x"\n[[stages]]\nname = "y'], 2, "cannot be the name of a stage", ""),
    "alias": ("add champion", 4, "champion cannot be a stage: iris has an alias champion", "another name"),
    "name of a version": ("add Best", 4, "Best cannot be a stage: a version of iris has the name best", "another name"),
    "nothing": ("update production", 2, "there is nothing to change", "stage update -h"),
    "two words that exclude each other": ("update production --push", 2, "--push is for --propose", "--propose"),
    "open too": ("gate remove production g --open", 2, "--open is for --propose", "--propose"),
    "signed without signers": ("update production --signed", 6, "allowed_signers lists no key", "allowed_signers"),
    "an expression": ("gate add staging g 'metadata.a = 1'", 2, "write == to compare", "gate add -h"),
    "no expression": (["gate", "add", "staging", "g", ""], 2, "it is empty", "gate add -h"),
    "an unknown name": ("gate add staging g 'nmae == \"x\"'", 2, "there is no field nmae; did you mean name?", ""),
    "a long expression": (["gate", "add", "staging", "g", "a" * 3_000], 2, "the limit is 2,000", "gate add -h"),
    "a gate called after": ("gate add staging After true", 2, "after is a rule of its own", "another name"),
    "a gate that cannot be a name": ("gate add staging a/b true", 2, "'a/b' cannot be the name of a gate", ""),
    "a gate twice": ("gate add staging kept false", 4, "staging has a gate kept already: true", "--replace"),
    "a gate twice but for case": ("gate add staging Kept true", 4, "staging has a gate kept already", "--replace"),
    "no such gate": ("gate remove staging kpet", 3, "staging has no gate 'kpet'", "did you mean kept?"),
    "no gates": ("gate remove production g", 3, "production has no gate 'g'", "production has no gates"),
    "a stage in use": ("remove staging", 6, "staging is in use: iris@1 is in it", "git model demote iris staging"),
    "a stage that another needs": ("remove canary", 6, "enters production only from canary", "--after ''"),
    "not text": (["gate", "add", "staging", "g", "true", "--message", "a\udce9"], 2, "surrogate", ""),
}  # fmt: skip


@pytest.fixture
def used(client, repo, tmp_path_factory):
    """A registry with a gate, a stage `canary`, version 1 in staging, an alias `champion` and a version `best`."""
    kept = tmp_path_factory.getbasetemp() / "used"
    if kept.exists():
        shutil.rmtree(repo)
        shutil.copytree(kept, repo, symlinks=True)
    else:
        client.add_gate("staging", "kept", "true")
        client.add_stage("canary", before="production")
        client.update_stage("production", after=["canary"])
        client.promote("iris@1", "staging")
        client.set_alias("iris@1", "champion")
        client.get_model("iris").create_version("best")
        shutil.copytree(repo, kept, symlinks=True)
    return repo


@pytest.mark.parametrize("case", REFUSALS.values(), ids=REFUSALS)
def test_an_invalid_change_of_rules_is_refused_and_changes_nothing(used, capsys, case):
    words, code, said, hint = case
    before = editing.state(used)
    found, out, err = ask(capsys, "stage", *(shlex.split(words) if isinstance(words, str) else words))
    assert (found, out) == (code, "")
    assert said in err
    assert hint in err
    assert editing.state(used) == before


def test_the_only_stage_cannot_be_removed(client, repo, capsys):
    client.remove_stage("staging")
    code, _, err = ask(capsys, "stage", "remove", "production")
    assert code == 6
    assert "production is the only stage" in err
    assert "git model stage add NAME" in err


def test_python_methods_change_rules_as_the_commands_do(client, repo):
    done = client.add_stage("canary", before="production", after=["staging"], proposal_only=False)
    assert (done.stage, done.changed, done.rule.after) == ("canary", True, ("staging",))
    assert client.stage_names == ("staging", "canary", "production")
    assert client.add_gate("canary", "low", "metadata.accuracy >= 0.9", message="too low").changed
    assert not client.add_gate("canary", "low", "metadata.accuracy >= 0.9", message="too low").changed
    with pytest.raises(Conflict):
        client.add_gate("canary", "low", "true")
    client.add_gate("canary", "low", "metadata.accuracy >= 0.85", replace=True)
    client.promote("iris@1", "staging")
    with pytest.raises(GateRefused) as refused:
        client.promote("iris@1", "canary")
    assert refused.value.gates[0].values == {"metadata.accuracy": 0.8}
    assert client.update_stage("canary", after=[], before="staging").changes == (
        "canary: after staging -> any place", "order of the stages: canary, staging, production",
    )  # fmt: skip
    assert [(stage.name, stage.in_force, len(stage.rule.gates)) for stage in client.list_stages()] == [
        ("canary", True, 1), ("staging", True, 0), ("production", True, 0),
    ]  # fmt: skip
    assert client.remove_gate("canary", "low").rule.gates == ()
    assert client.remove_stage("canary").rule is None
    assert toml(repo) == TEXT
    for wrong in ("production", 3, [3]):
        with pytest.raises(UsageError):
            client.update_stage("production", after=wrong)
    with pytest.raises(NotFound):
        client.remove_gate("production", "x")
    for wrong in (lambda: AddGate("production", 3, "true"), lambda: UpdateStage("production", after="staging")):
        with pytest.raises(UsageError):
            wrong()
    with pytest.raises(UsageError, match="takes a list of changes of rules"):
        client.propose(rules=["production"])


def test_rule_changes_in_a_transaction_are_one_commit(client, repo):
    before = editing.run(repo, "rev-parse", "gitmodel")
    with client.transaction("Add a canary") as change:
        change.add_stage("canary", before="production")
        change.add_gate("canary", "low", "metadata.accuracy >= 0.9")
        change.promote("iris@2", "canary")
    assert editing.run(repo, "rev-parse", "gitmodel~1") == before
    assert client.get_version("iris@canary").number == 2


def test_a_direct_change_of_rules_is_in_force_at_once(client, repo):
    client.add_gate("production", "good", "metadata.accuracy >= 0.9")
    assert editing.run(repo, "rev-parse", f"{RULES}^{{commit}}") == editing.run(repo, "rev-parse", "gitmodel")
    with pytest.raises(GateRefused):
        client.promote("iris@1", "production")
    client.remove_gate("production", "good")
    client.promote("iris@1", "production")
    assert client.get_version("iris@production").number == 1


def test_a_stage_with_a_pending_change_cannot_be_removed(client, code_repo, capsys):
    client.promote("iris@1", "staging")
    editing.edit(code_repo, {"models/iris/stages/staging.toml": None})
    code, _, err = ask(capsys, "stage", "remove", "staging")
    assert code == 6
    assert "git model apply iris" in err


def test_the_first_change_of_rules_creates_the_registry_and_a_refused_change_does_not(tmp_path, git, capsys):
    git(tmp_path, "init", "-q", "new")
    new = tmp_path / "new"
    assert ask(capsys, "-C", new, "stage", "add", "latest")[0] == 2
    assert editing.state(new) == ""
    assert ask(capsys, "-C", new, "stage", "add", "qa", "--before", "staging")[0] == 0
    assert ask(capsys, "-C", new, "stage", "list", "-q")[1].split() == ["qa", "staging", "production"]


def test_only_the_rule_signed_raises_the_format_version_of_a_registry(client, repo):
    editing.edit(repo, {"gitmodel.toml": TEXT.replace("1.2", "1.0"), "allowed_signers": f"ada@example.com {KEY}\n"})
    client.update_stage("staging", after=["none"])
    assert 'format = "1.0"' in toml(repo)
    client.update_stage("production", signed=True)
    assert 'format = "1.1"' in toml(repo)


class TestProposals:
    def test_rules_of_a_reviewed_stage_change_only_by_a_proposal(self, client, repo, capsys):
        client.update_stage("production", proposal_only=True)
        before = editing.state(repo)
        for words in ("update production --no-proposal-only", "gate add production g true", "remove production"):
            code, _, err = ask(capsys, "stage", *words.split())
            assert code == 6
            assert "a change of the rules of production needs a reviewed proposal (proposal_only)" in err
            assert "--propose" in err
        assert editing.state(repo) == before
        assert client.update_stage("production", proposal_only=True).changes == ()
        assert client.update_stage("staging", after=["none"]).changed

    def test_a_proposed_change_of_rules_is_planned_merged_and_applied(self, client, repo, capsys):
        client.update_stage("production", proposal_only=True)
        made = client.propose(rules=[AddGate("production", "good", "metadata.accuracy >= 0.9", "too low")])
        assert made.branch.startswith("propose/rules/production-")
        assert made.subject == "Add the gate good of production"
        assert made.plan.rule_changes == ('production: gate good added: metadata.accuracy >= 0.9 ("too low")',)
        assert "gate good added" in ask(capsys, "proposals")[1]
        assert "rule of a stage: production: gate good added" in ask(capsys, "plan")[1]
        assert "## Rules of stages" in ask(capsys, "plan", "--markdown")[1]
        assert json.loads(ask(capsys, "plan", "--format", "json")[1])["rule_changes"] == list(made.plan.rule_changes)
        merge(repo, {"gitmodel.toml": editing.read(repo, "gitmodel.toml", at=made.commit)})
        assert client.list_proposals() == []
        assert client.apply().rules
        assert [gate.name for gate in client.list_stages()[1].rule.gates] == ["good"]

    def test_looser_rules_of_a_merged_proposal_are_not_in_force_until_apply(self, client, repo, capsys):
        client.add_gate("production", "good", "metadata.accuracy >= 0.9")
        made = client.propose(rules=[RemoveGate("production", "good")], reason="no longer needed")
        merge(repo, {"gitmodel.toml": editing.read(repo, "gitmodel.toml", at=made.commit)})
        assert [stage.in_force for stage in client.list_stages()] == [True, False]
        code, _, err = ask(capsys, "stage", "list")
        assert (code, "earlier rules also apply until `git model apply`" in err) == (0, True)
        with pytest.raises(GateRefused):
            client.promote("iris@1", "production")
        client.apply()
        client.promote("iris@1", "production")

    def test_several_changes_of_rules_can_be_one_proposal(self, client, repo):
        made = client.propose(
            ("iris@2", "staging"),
            rules=[
                AddStage("canary"),
                UpdateStage("canary", signed=False, after=("staging",)),
                RemoveStage("production"),
            ],
        )
        assert made.branch.startswith("propose/several/4-")
        assert made.plan.rule_changes == (
            "production: stage removed", "canary: stage added", "canary: after any place -> staging",
        )  # fmt: skip

    def test_rule_commands_with_propose_print_the_same_as_the_command_propose(self, client, repo, capsys):
        code, out, _ = ask(capsys, "stage", "gate", "add", "production", "g", "true", "--propose", "--reason", "agreed")
        assert code == 0
        assert out.startswith("Add the gate g of production: proposed on the branch propose/rules/production-")
        made = json.loads(ask(capsys, "stage", "add", "qa", "--propose", "--format", "json")[1])
        assert (made["rule_changes"], made["ready"]) == (["qa: stage added"], True)
        assert toml(repo) == TEXT
        code, _, err = ask(capsys, "stage", "update", "production", "--no-signed", "--propose")
        assert (code, "production has these rules already" in err) == (4, True)

    def test_a_proposal_cannot_remove_a_stage_that_has_a_version_on_the_base_branch(self, client, repo):
        client.promote("iris@1", "staging")
        with pytest.raises(Refused, match="iris@1 is in it"):
            client.propose(rules=[RemoveStage("staging")])


def test_a_pull_merges_rule_changes_of_different_stages_that_two_clones_made(ada, bob):
    ada.update_stage("staging", after=["none"])
    bob.add_gate("production", "good", "metadata.accuracy >= 0.01")
    ada.push()
    assert bob.pull().conflicts == []
    bob.push()
    ada.pull()
    for client in (ada, bob):
        staging, production = (stage.rule for stage in client.list_stages())
        assert (staging.after, [gate.name for gate in production.gates]) == (("none",), ["good"])
        assert client.check() == []
    bob.apply(push=True)
    assert all(stage.in_force for stage in bob.list_stages())


def test_rules_change_by_url_directly_and_as_a_pushed_proposal(team, ada, host):
    job = team.by_url("job", host.registry)
    assert job.add_gate("production", "good", "metadata.accuracy >= 0.01", message="too low").changed
    made = job.propose(rules=[UpdateStage("staging", proposal_only=True)])
    assert made.pushed
    assert made.plan.rule_changes == ("staging: proposal_only false -> true",)
    ada.pull()
    assert [gate.name for gate in ada.list_stages()[1].rule.gates] == ["good"]
    assert all(stage.in_force for stage in ada.list_stages())


def test_a_client_of_a_past_commit_shows_the_rules_and_cannot_change_them(client, repo, capsys):
    before = editing.run(repo, "rev-parse", "gitmodel")
    client.add_gate("production", "good", "metadata.accuracy >= 0.01")
    assert ask(capsys, "stage", "list", "--at", before)[1] == "STAGE\nstaging\nproduction\n"
    code, out, _ = ask(capsys, "stage", "list", "--filter", "size(gates) > 0", "-q")
    assert (code, out) == (0, "production\n")
    with pytest.raises(UsageError):
        client.at(before).remove_gate("production", "good")


def test_the_steps_in_the_refusal_repair_rules_that_contradict_each_other(client, repo, capsys, tmp_path):
    editing.edit(repo, {"gitmodel.toml": TEXT + '\n[[stages]]\nname = "production"\n'})
    before = editing.state(repo)
    commands = "update production --direct-rollback", "remove production", "gate add staging good 'number > 0'", "add x"
    for words in commands:
        code, _, err = ask(capsys, "stage", *shlex.split(words))
        assert (code, "production is listed already, as stages[1]: keep one of the two" in err) == (5, True)
        assert "in a work tree of the metadata branch (`git worktree add DIR BRANCH`), commit it" in err
    assert editing.state(repo) == before
    editing.run(repo, "worktree", "add", "-q", str(tmp_path / "rules"), "gitmodel")
    (tmp_path / "rules/gitmodel.toml").write_text(TEXT, encoding="utf-8")
    editing.run(tmp_path / "rules", "commit", "-qam", "Keep one of the two")
    editing.run(repo, "worktree", "remove", str(tmp_path / "rules"))
    assert ask(capsys, "apply")[0] == 0
    assert ask(capsys, "stage", "update", "production", "--direct-rollback")[0] == 0


def test_a_change_of_the_rules_of_a_signed_stage_must_be_signed(client, repo, capsys):
    editing.edit(repo, {"allowed_signers": f"grace@example.com {KEY}\n"})
    client.update_stage("production", signed=True)
    before = editing.state(repo)
    code, _, err = ask(capsys, "stage", "update", "production", "--no-signed")
    assert (code, "sign" in err) == (6, True)
    assert editing.state(repo) == before


def test_a_push_sends_the_rules_tag(ada, bob, bare):
    for change in (
        lambda: ada.add_gate("production", "good", "metadata.accuracy >= 0.01"),
        lambda: ada.remove_gate("production", "good"),
    ):
        change()
        ada.push()
        bob.pull()
        assert all(stage.in_force for stage in bob.list_stages())
        assert editing.run(bare, "rev-parse", f"{RULES}^{{commit}}") == editing.run(bare, "rev-parse", "gitmodel")
