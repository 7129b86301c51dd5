"""The rules of a stage: `gates`, `after` (the allowed previous stages), `proposal_only`, `rollback`, and --force."""

import json

import editing
import pytest
from stage_rules import BETTER, GOOD, STAGE, merge, register_iris, rules, stage_text
from teamwork import states

from gitmodel import Client, UsageError
from gitmodel.cli import run
from gitmodel.domain.schema.refs import StageRef
from gitmodel.domain.views import cell_text
from gitmodel.errors import GateRefused, Refused
from gitmodel.registry.health import doctor
from gitmodel.registry.health.checking import check
from gitmodel.registry.promotion import put_in_force

OWNED = '[[stages.gates]]\nname = "owned"\nexpression = \'"ada" in model.owners\'\n'
PRODUCTION = "refs/tags/model/iris/production"


@pytest.fixture
def client(code_repo):
    with Client(code_repo) as client:
        yield client


@pytest.fixture
def iris(client):
    """A model with five versions: 1 has no accuracy, 2 to 5 have 0.8, 0.91, 0.95 and 0.97."""
    return register_iris(client, None, 0.8, 0.91, 0.95, 0.97, owners=["ada"])


class TestRefusals:
    def test_the_message_of_a_gate_is_shown_in_full_although_it_has_a_semicolon(self, client, iris, repo):
        editing.edit(repo, rules(production=GOOD.replace("production needs 0.9", "needs 0.9; ask ada; not reviewed")))
        editing.edit(repo, {STAGE: stage_text(iris, 2)})
        message = "good: needs 0.9; ask ada; not reviewed"
        (found,) = (finding for finding in doctor.examine(client.repository, None) if finding.about == "tag")
        assert message in found.message
        assert found.hint == "run `git model rollback iris production` to undo the recorded change"
        (state,) = iris.stages
        assert message in state.doubt
        assert cell_text.pending_word(state.refusal) == "recorded, refused by its rules"
        newest = next(event.what for event in client.log("iris@2"))
        assert newest == "entered production (recorded, refused by its rules)"


class TestGates:
    def test_check_accepts_rules_of_all_kinds(self, client, iris, repo):
        editing.edit(repo, rules(production='after = [\n    "staging",\n]\nproposal_only = true\n' + GOOD + BETTER))
        assert check(client.repository) == []

    def test_a_version_that_passes_the_gates_enters_the_stage(self, client, iris, repo):
        editing.edit(repo, rules(production=GOOD + OWNED))
        iris.get_version(3).set_stage("production")
        assert states(iris) == {"production": (3, 3)}

    def test_a_refusal_names_every_failing_gate_with_its_message_and_the_values_that_it_read(self, iris, repo):
        editing.edit(repo, rules(production=GOOD + BETTER.replace("better", "second")))
        before = editing.state(repo)
        with pytest.raises(GateRefused) as refused:
            iris.get_version(2).set_stage("production")
        said = refused.value.message
        assert "good: production needs 0.9 (" in said
        assert "metadata.accuracy" in said
        assert "holder.metadata.accuracy is not set" in said
        assert "--force --reason" in refused.value.hint
        assert refused.value.exit_code == 6
        assert editing.state(repo) == before

    def test_a_gate_that_reads_a_missing_metadata_key_fails_and_names_the_key(self, iris, repo):
        editing.edit(repo, rules(production=GOOD))
        with pytest.raises(GateRefused, match=r"metadata\.accuracy is not set"):
            iris.get_version(1).set_stage("production")

    def test_a_refused_promotion_shows_the_expression_and_the_values_of_each_failing_gate(
        self, client, iris, repo, capsys
    ):
        production = 'after = [\n    "staging",\n]\n' + GOOD + BETTER
        editing.edit(repo, rules(production=production))
        said = (
            "good: production needs 0.9 (metadata.accuracy >= 0.9; metadata.accuracy is 0.8); "
            "better: metadata.accuracy > holder.metadata.accuracy; "
            "metadata.accuracy is 0.8, holder.metadata.accuracy is not set"
        )
        with pytest.raises(GateRefused) as refused:
            client.promote("iris@2", "production")
        assert said in refused.value.message
        after, good, better = refused.value.gates
        assert (after.gate, after.expression, after.values) == ("after", "", {})
        assert good == ("good", "metadata.accuracy >= 0.9", "production needs 0.9", {"metadata.accuracy": 0.8},
                        "metadata.accuracy is 0.8")  # fmt: skip
        assert better.values == {"metadata.accuracy": 0.8, "holder.metadata.accuracy": None}

        assert run(["-C", str(repo), "promote", "iris@2", "production", "--format", "json"]) == 6
        error = json.loads(capsys.readouterr().err)["error"]
        assert [gate["gate"] for gate in error["gates"]] == ["after", "good", "better"]
        assert error["gates"][2]["values"] == better.values

        base = editing.run(repo, "rev-parse", editing.BRANCH)
        editing.edit(repo, {STAGE: stage_text(iris, 2)})
        assert said.partition("; better")[0] in next(why for _, why in client.apply().refused)
        assert said.partition("; better")[0] in str(client.check_between(f"{base}..gitmodel").problems[1])

    def test_the_message_of_a_failed_gate_shortens_a_long_value_and_the_exception_keeps_it(self, client, iris, repo):
        editing.edit(repo, rules(production=GOOD.replace("accuracy >= 0.9", "note == 'x'")))
        iris.get_version(2).log_metadata(note="y" * 5_000)
        with pytest.raises(GateRefused) as refused:
            client.promote("iris@2", "production")
        assert len(refused.value.message) < 400
        assert refused.value.gates[0].values == {"metadata.note": "y" * 5_000}

    def test_a_gate_can_compare_a_version_with_the_current_holder(self, iris, repo):
        iris.get_version(4).set_stage("production")
        editing.edit(repo, rules(production=BETTER))
        with pytest.raises(GateRefused, match="better"):
            iris.get_version(3).set_stage("production")
        iris.get_version(5).set_stage("production")
        assert states(iris) == {"production": (5, 5)}

    @pytest.mark.parametrize(
        ("expression", "said"),
        [
            ("acuracy >= 0.9", "there is no field acuracy; write metadata.acuracy for metadata"),
            ("nmae == '1.0'", "there is no field nmae; did you mean name?"),
            ("!has(holder.nubmer) || number > 1", "there is no field holder.nubmer; did you mean holder.number?"),
            ("model.licence == 'MIT'", "there is no field model.licence; did you mean model.license?"),
            ("artifacts.exists(a, a.knid == 'model')", "there is no field a.knid; did you mean a.kind?"),
            ("pending.size() == 0", "there is no field pending"),
        ],
    )
    def test_check_finds_a_gate_with_an_unknown_field_name(self, client, iris, repo, expression, said):
        editing.edit(repo, rules(production=GOOD.replace("metadata.accuracy >= 0.9", expression)))
        (problem,) = check(client.repository)
        assert (problem.rule, problem.key) == ("registry.rules", "stages.production")
        assert said in problem.message

    @pytest.mark.parametrize(
        "expression",
        [
            "!has(holder.number) || metadata.anything > holder.metadata.anything",
            "'reviewed' in model.tags && !code.dirty && model.name == 'iris'",
            "stage == 'none' && size(aliases) == 0 && failed == false && size(runs) >= 0",
            "artifacts.exists(a, a.metadata.rows > 1)",
        ],
    )
    def test_check_accepts_gates_with_each_documented_field(self, client, iris, repo, expression):
        editing.edit(repo, rules(production=GOOD.replace("metadata.accuracy >= 0.9", expression)))
        assert check(client.repository) == []

    def test_in_gates_and_filters_a_version_in_no_stage_has_the_stage_none(self, client, iris, repo):
        editing.edit(repo, rules(production=GOOD.replace("metadata.accuracy >= 0.9", "stage == 'none'")))
        assert [v.number for v in iris.list_versions(filter="stage == 'none'")] == [v.number for v in iris.versions]
        iris.get_version(3).set_stage("staging")
        with pytest.raises(GateRefused, match="stage is 'staging'"):
            iris.get_version(3).set_stage("production")
        iris.get_version(4).set_stage("production")
        assert states(iris)["production"][0] == 4

    @pytest.mark.parametrize(
        "wrong",
        [
            GOOD + GOOD,
            GOOD.replace('"good"', '"after"'),
            'after = [\n    "nowhere",\n]\n',
            GOOD.replace(">= 0.9", "= 1"),
        ],
        ids=str,
    )
    def test_check_reports_invalid_names_and_expressions_in_rules(self, client, iris, repo, wrong):
        editing.edit(repo, rules(production=wrong))
        assert [problem.rule for problem in check(client.repository)] == ["registry.rules"]

    def test_a_version_can_enter_a_stage_with_the_rule_after_only_from_the_listed_stages(self, iris, repo):
        editing.edit(repo, rules(production='after = [\n    "staging",\n]\n'))
        with pytest.raises(GateRefused, match="version 3 is in no stage, but may enter production only from staging"):
            iris.get_version(3).set_stage("production")
        iris.get_version(3).set_stage("staging")
        iris.get_version(3).set_stage("production")
        assert states(iris) == {"production": (3, 3)}

    def test_a_promotion_through_an_earlier_stage_in_one_transaction_breaks_the_rule_after(self, client, iris, repo):
        editing.edit(repo, rules(production='after = [\n    "staging",\n]\n'))

        def both():
            with client.transaction("Both at once") as change:
                version = change.get_version("iris@3")
                version.set_stage("staging")
                version.set_stage("production")

        with pytest.raises(GateRefused):
            both()

    def test_a_gate_reads_metadata_that_is_logged_in_the_same_commit(self, client, iris, repo):
        editing.edit(repo, rules(production=GOOD))
        with client.transaction("Measure and promote") as change:
            change.get_version("iris@1").log_metadata(accuracy=0.99)
            change.get_version("iris@1").set_stage("production")
        assert states(iris) == {"production": (1, 1)}


class TestForce:
    def test_force_overrides_a_failing_gate_and_is_recorded(self, client, iris, repo, git):
        editing.edit(repo, rules(production=GOOD))
        iris.get_version(2).set_stage("production", force=True, reason="the old one is on fire")
        assert 'forced = [\n    "good",\n]' in editing.read(repo, STAGE)
        assert git(repo, "log", "-1", "--format=%(trailers:key=Forced,valueonly)", "gitmodel").strip() == "good"
        assert states(iris) == {"production": (2, 2)}
        assert client.apply().moved == ()

    def test_force_needs_a_reason_only_where_a_gate_fails(self, iris, repo):
        editing.edit(repo, rules(production=GOOD))
        before = editing.state(repo)
        with pytest.raises(UsageError, match="force needs a reason"):
            iris.get_version(2).set_stage("production", force=True)
        assert editing.state(repo) == before
        iris.get_version(3).set_stage("production", force=True)
        assert "forced" not in editing.read(repo, STAGE)

    def test_a_hand_written_list_of_forced_gates_without_a_reason_is_ignored(self, client, iris, repo):
        editing.edit(repo, rules(production=GOOD))
        editing.edit(repo, {STAGE: stage_text(iris, 2, 'forced = [\n    "good",\n]\n')})
        assert next(why for _, why in client.apply().refused).startswith("good: ")


class TestApply:
    def test_apply_puts_other_changes_in_force_if_one_change_fails_a_rule(self, client, iris, repo):
        other = client.register_model("other")
        other.create_version(metadata={"accuracy": 1.0})
        editing.edit(repo, rules(production=GOOD))
        text = stage_text(iris, 2)
        editing.edit(repo, {STAGE: text, "models/other/stages/production.toml": text.replace("2", "1", 1)})
        done = client.apply()
        assert done.moved == (StageRef("other", "production"),)
        assert [(str(ref.name), why.split(":")[0]) for ref, why in done.refused] == [("model/iris/production", "good")]
        assert states(iris) == {"production": (2, None)}

    def test_promoting_again_a_recorded_version_that_apply_refuses_needs_force(self, client, iris, repo):
        editing.edit(repo, rules(production=GOOD))
        editing.edit(repo, {STAGE: stage_text(iris, 2)})
        with pytest.raises(Refused, match="not in force"):
            iris.get_version(2).set_stage("production")
        iris.get_version(2).set_stage("production", force=True, reason="it must be")
        assert states(iris) == {"production": (2, 2)}

    def test_apply_refuses_a_merge_that_removes_a_gate_and_promotes_past_the_gate(self, client, iris, repo):
        editing.edit(repo, rules(production=GOOD))
        merge(repo, {**rules(), STAGE: stage_text(iris, 2)})
        assert [why.split(":")[0] for _, why in client.apply().refused] == ["good"]

    def test_apply_does_not_judge_an_earlier_promotion_by_a_newer_rule(self, client, iris, repo):
        editing.edit(repo, {STAGE: stage_text(iris, 2)})
        editing.edit(repo, rules(production=GOOD))
        assert client.apply().moved == (StageRef("iris", "production"),)

    def test_apply_judges_a_promotion_by_the_metadata_that_the_version_had_at_that_time(self, client, iris, repo):
        editing.edit(repo, rules(production=GOOD))
        editing.edit(repo, {STAGE: stage_text(iris, 3)})
        iris.get_version(3).log_metadata(accuracy=0.1)
        assert client.apply().moved == (StageRef("iris", "production"),)


class TestProposalOnly:
    @pytest.fixture(autouse=True)
    def reviewed(self, iris, repo):
        iris.get_version(3).set_stage("production")
        editing.edit(repo, rules(production="proposal_only = true\n"))

    def test_apply_puts_a_merged_proposal_in_force(self, client, iris, repo):
        merge(repo, {STAGE: stage_text(iris, 4)})
        assert states(iris) == {"production": (4, 3)}
        assert client.apply().moved == (StageRef("iris", "production"),)
        assert states(iris) == {"production": (4, 4)}

    def test_a_merge_commit_that_changes_the_stage_file_itself_does_not_count_as_reviewed(self, client, iris, repo):
        merge(repo, {"README.md": "x\n"})
        old = editing.run(repo, "rev-parse", f"{editing.BRANCH}^1")
        side = editing.run(repo, "rev-parse", f"{editing.BRANCH}^2")
        editing.edit(repo, {STAGE: stage_text(iris, 5)}, parents=[old, side])
        assert "accepts only reviewed changes" in client.apply().refused[0][1]

    def test_apply_with_reviewed_puts_the_named_commit_in_force(self, client, iris, repo):
        commit = editing.edit(repo, {STAGE: stage_text(iris, 4)}, "Squashed by the host (#7)")
        assert client.apply().moved == ()
        assert client.apply(reviewed=[commit]).moved == (StageRef("iris", "production"),)

    def test_apply_restores_a_lost_tag_for_the_reviewed_version_and_not_for_a_directly_recorded_version(
        self, client, iris, repo
    ):
        editing.edit(repo, {STAGE: stage_text(iris, 4)})
        editing.run(repo, "update-ref", "-d", PRODUCTION)
        client.apply()
        assert states(iris) == {"production": (4, 3)}


class TestDirectRollback:
    @pytest.fixture(autouse=True)
    def direct(self, iris, repo, client):
        iris.get_version(3).set_stage("production")
        editing.edit(repo, rules(production='proposal_only = true\nrollback = "direct"\n' + GOOD + BETTER))
        merge(repo, {STAGE: stage_text(iris, 4)})
        assert client.apply().refused == ()

    def test_with_the_rule_rollback_a_direct_rollback_needs_neither_a_review_nor_passing_gates(self, iris, client):
        iris.rollback("production", reason="slow")
        assert states(iris) == {"production": (3, 3)}
        assert client.apply() == put_in_force.Applied((), ())

    def test_apply_creates_the_same_tag_again_if_the_tag_of_a_direct_rollback_was_deleted(self, iris, client, repo):
        iris.rollback("production")
        tag = editing.run(repo, "rev-parse", PRODUCTION)
        editing.run(repo, "update-ref", "-d", PRODUCTION)
        client.apply()
        assert editing.run(repo, "rev-parse", PRODUCTION) == tag

    def test_a_direct_rollback_to_a_version_that_was_never_in_force_is_refused(self, iris, client, repo):
        editing.edit(repo, {STAGE: stage_text(iris, 5)})
        editing.edit(repo, {STAGE: stage_text(iris, 4)})
        client.apply()
        with pytest.raises(Refused, match="proposal_only"):
            iris.get_version(5).set_stage("production", reason="back to what never was")
        editing.edit(repo, {STAGE: stage_text(iris, 5)})
        assert client.apply().moved == ()
        assert client.get_version("iris@production").number == 4


def test_a_failed_gate_of_a_reviewed_stage_is_overridden_by_a_proposal(client, iris, repo, monkeypatch):
    editing.edit(repo, rules(production="proposal_only = true\n" + GOOD))
    client.apply()
    with pytest.raises(GateRefused) as caught:
        client.propose(("iris@2", "production"))
    assert '`git model propose iris@2 production --force --reason "why"`' in caught.value.hint
    monkeypatch.chdir(repo)
    assert run(["propose", "iris@2", "production", "--force", "--reason", "why"]) == 0
