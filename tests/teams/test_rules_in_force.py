"""A change that makes the rules of a stage stricter counts immediately; looser rules count after `apply`.

The rules tag names the commit whose rules are in force. So a pull request cannot loosen a gate and promote past it.
"""

import subprocess

import editing
import pytest
from servers import http_server
from stage_rules import GOOD, STAGE, register_iris, rules, stage_text
from teamwork import refs, run_apart, states

from gitmodel import Client
from gitmodel.domain.rules.gates import plan_gated_promotion
from gitmodel.domain.schema.refs import StageRef
from gitmodel.errors import Conflict, GateRefused, Refused
from gitmodel.git.objects.object_reader import ObjectReader
from gitmodel.registry.health import doctor
from gitmodel.registry.promotion import judging

RULES = "refs/tags/gitmodel-rules/gitmodel"
SEEN = "refs/gitmodel/rules/gitmodel"
TOPIC = "refs/heads/topic"
PRODUCTION = StageRef("iris", "production")


@pytest.fixture
def client(code_repo):
    with Client(code_repo) as client:
        register_iris(client, 0.8, 0.91, 0.95, production=2)
        yield client


@pytest.fixture
def repo(client):
    """A registry with a gate whose rule is in force."""
    path = client.repository.common_dir
    editing.edit(path, rules(production=GOOD))
    client.apply()
    return path


@pytest.fixture
def other(repo):
    """Another client of the registry."""
    with Client(repo) as other:
        yield other


def loosen(repo, iris, number=1, *, files=None):
    """Commit to `topic`, as in a pull request: first remove the gate, then promote version *number*.

    If *files* are given, the first commit writes them instead of removing the gate.
    """
    editing.run(repo, "update-ref", TOPIC, editing.BRANCH)
    editing.edit(repo, files or rules(), "Loosen", onto=TOPIC)
    editing.edit(repo, {STAGE: stage_text(iris, number)}, "Promote", onto=TOPIC)


def bring_in(repo, how):
    """Merge `topic` as a host does, by the method *how*: merge, squash, rebase or fast-forward."""
    old, side = (editing.run(repo, "rev-parse", ref) for ref in (editing.BRANCH, TOPIC))
    if how == "rebase":  # creates new commits, as a rebase does if the branch has moved
        base = editing.run(repo, "merge-base", old, side)
        for commit in editing.run(repo, "rev-list", "--reverse", side, f"^{base}").split():
            tree = editing.run(repo, "rev-parse", f"{commit}^{{tree}}")
            old = editing.run(repo, "commit-tree", tree, "-p", old, "-m", "Rebased")
        new = old
    elif how == "fast-forward":
        new = side
    else:
        parents = ["-p", old] + (["-p", side] if how == "merge" else [])
        tree = editing.run(repo, "rev-parse", f"{side}^{{tree}}")
        new = editing.run(repo, "commit-tree", tree, *parents, "-m", how)
    editing.run(repo, "update-ref", editing.BRANCH, new)


@pytest.mark.parametrize("how", ["merge", "squash", "rebase", "fast-forward"])
def test_a_pull_request_merged_in_any_way_cannot_loosen_a_gate_and_promote_past_it(client, iris, repo, how):
    loosen(repo, iris)
    bring_in(repo, how)
    # repeated, because the first `apply` puts the looser rules in force; no later `apply` may put the promotion in
    # force
    for _ in range(3):
        done = client.apply()
        assert not done.moved
        assert [why.split(":")[0] for _, why in done.refused] == ["good"]
        assert states(iris) == {"production": (1, 2)}
    assert client.get_version("iris@production").number == 2
    with Client(repo) as another:
        assert not another.apply("iris").moved
    # a new promotion needs to satisfy only the looser rules, which are in force now
    iris.get_version(1).set_stage("production")
    assert states(iris) == {"production": (1, 1)}
    editing.run(repo, "update-ref", "-d", PRODUCTION.full)
    assert client.apply().moved == (PRODUCTION,)
    assert not client.apply().refused


@pytest.mark.usefixtures("repo")
def test_a_second_promotion_of_a_refused_version_removes_the_tag_of_its_previous_stage(client, iris, main, git):
    iris.get_version(1).set_stage("staging")
    top, staging = client.repository.git.top, "models/iris/stages/staging.toml"
    editing.edit(top, rules(), "Loosen")
    editing.edit(top, {STAGE: stage_text(iris, 1), staging: None}, "Promote")
    client.apply()
    assert states(iris) == {"staging": (None, 1), "production": (1, 2)}
    iris.get_version(1).set_stage("production")
    assert states(iris) == {"production": (1, 1)}
    assert "model/iris/staging" not in git(top, "tag")
    code, _, err = main("rollback", "iris", "staging")
    assert (code, err.splitlines()[0]) == (
        6, "error: iris@1 is in production, and moving it to staging would leave production empty"
    )  # fmt: skip


def test_a_promotion_with_leave_removes_the_tag_of_a_later_stage_whose_removal_was_pending(client, iris):
    editing.edit(client.repository.git.top, {STAGE: None}, "Empty production")
    assert states(iris) == {"production": (None, 2)}
    iris.get_version(2).set_stage("staging")
    assert states(iris) == {"staging": (2, 2), "production": (None, 2)}
    iris.get_version(1).set_stage("staging")
    iris.get_version(2).set_stage("staging", leave=True)
    assert states(iris) == {"staging": (2, 2)}


@pytest.mark.parametrize("how", ["rebase", "fast-forward"])
def test_a_pull_request_that_loosens_a_gate_promotes_and_tightens_the_gate_again_is_refused(client, iris, repo, how):
    loosen(repo, iris)
    editing.edit(repo, rules(production=GOOD), "Tighten again", onto=TOPIC)
    bring_in(repo, how)
    assert [why.split(":")[0] for _, why in client.apply().refused] == ["good"]
    assert states(iris) == {"production": (1, 2)}


def test_a_promotion_must_satisfy_the_rules_in_force_and_all_later_recorded_rules(client, iris, repo):
    editing.edit(repo, rules(production=GOOD.replace("0.9", "0.99")))
    loosen(repo, iris, 3, files=rules(production=GOOD))
    bring_in(repo, "fast-forward")
    assert [why.split(":")[0] for _, why in client.apply().refused] == ["good"]


def test_a_registry_without_rules_has_no_rules_tag(client, iris, git):
    client.apply()
    assert git(client.repository.common_dir, "tag") == "model/iris/production"
    assert SEEN not in git(client.repository.common_dir, "for-each-ref")


@pytest.mark.parametrize(
    ("strict", "said"),
    [
        ('after = [\n    "staging",\n]\n', "after"),
        ("proposal_only = true\n", "review"),
        (GOOD.replace("0.9", "0.99"), "good"),
        ('proposal_only = true\nrollback = "direct"\n', "review"),
    ],
    ids=["after", "proposal_only", "gate", "proposal with rollback"],
)
def test_a_merged_removal_of_a_rule_of_any_kind_allows_no_promotion_past_the_rule(client, iris, strict, said):
    repo = client.repository.common_dir
    editing.edit(repo, rules(production=strict))
    client.apply()
    loosen(repo, iris)
    bring_in(repo, "fast-forward")
    for _ in range(2):
        assert said in client.apply().refused[0][1]
    assert states(iris) == {"production": (1, 2)}


def test_a_pull_request_cannot_promote_past_a_gate_by_removing_the_stage_from_the_rules(client, iris, repo):
    only = {"gitmodel.toml": 'format = "1.2"\n\n[[stages]]\nname = "staging"\n'}
    alias = {"models/iris/aliases/production.toml": stage_text(iris, 1), STAGE: None}
    for files in (alias, {STAGE: stage_text(iris, 1)}):
        editing.run(repo, "update-ref", TOPIC, editing.BRANCH)
        editing.edit(client.repository.git.top, only, "Remove the stage", onto=TOPIC)
        editing.edit(client.repository.git.top, files, "Promote", onto=TOPIC)
        before = editing.run(repo, "rev-parse", editing.BRANCH)
        bring_in(repo, "fast-forward")
        for _ in range(2):
            assert [ref for ref, _ in client.apply().refused] == [PRODUCTION]
        assert editing.run(repo, "rev-parse", f"{PRODUCTION.full}^{{commit}}") != editing.run(repo, "rev-parse", TOPIC)
        editing.run(repo, "update-ref", editing.BRANCH, before)
        editing.run(repo, "update-ref", "-d", RULES)
        client.close()
        doctor.repair(client.repository, None)


def test_stricter_rules_count_immediately(client, iris, repo):
    editing.edit(repo, rules(production=GOOD.replace("0.9", "0.94")))
    iris.get_version(3).set_stage("production")
    with pytest.raises(GateRefused, match="good"):
        iris.get_version(2).set_stage("production")
    assert states(iris)["production"] == (3, 3)


def test_a_direct_promotion_that_needs_looser_rules_is_refused_until_apply(client, iris, repo, code_repo):
    editing.edit(repo, rules())
    code, out, err = run_apart(code_repo, "promote", "iris@1", "production")
    assert (code, out) == (6, "")
    assert "git model apply" in err
    code, out, err = run_apart(code_repo, "apply")
    assert code == 0
    assert "in force" in err
    assert run_apart(code_repo, "promote", "iris@1", "production")[0] == 0
    assert states(iris) == {"production": (1, 1)}


def test_the_looser_rules_count_for_promotions_recorded_after_apply(client, iris, repo):
    loosen(repo, iris)
    editing.run(repo, "update-ref", editing.BRANCH, f"{TOPIC}~1")
    client.apply()
    editing.edit(repo, {STAGE: stage_text(iris, 1)})
    assert client.apply().moved == (PRODUCTION,)


def test_a_command_that_changes_the_rules_puts_them_in_force(client, iris, repo):
    from gitmodel.domain.changes.planned_change import Change

    before = editing.run(repo, "rev-parse", RULES)
    data = rules()["gitmodel.toml"].encode()
    client.writer.transact(lambda snapshot: Change(None, "Set rules", files={"gitmodel.toml": data}))
    assert editing.run(repo, "rev-parse", RULES) != before
    assert editing.run(repo, "rev-parse", f"{RULES}^{{commit}}") == editing.run(repo, "rev-parse", editing.BRANCH)
    iris.get_version(1).set_stage("production")
    assert states(iris) == {"production": (1, 1)}


def test_a_promotion_is_planned_again_if_the_rules_change_at_the_same_time(client, iris, repo, other):
    planned = []

    def plan(snapshot):
        planned.append(snapshot.commit)
        if len(planned) == 1:
            other.add_gate("production", "more", "metadata.accuracy > 0.92")
        return plan_gated_promotion(snapshot, "iris", 3, judging.judge, to="production")

    client.writer.transact(plan)
    assert len(planned) == 2
    assert states(iris) == {"production": (3, 3)}


def test_a_rules_tag_that_another_writer_moves_is_not_reported_as_set_back(client, repo, other, monkeypatch):
    resolve, changes = ObjectReader.resolve_many, iter("ab")

    def change_between(reader, refs):
        found = resolve(reader, refs[:1])
        if reader is client.repository.rules._reader and (name := next(changes, "")):
            other.add_gate("production", name, "metadata.accuracy > 0.5")
        return found + resolve(reader, refs[1:])

    monkeypatch.setattr(ObjectReader, "resolve_many", change_between)
    assert len(client.repository.rules.check()) == 2
    client.repository.rules.check_branch(client.repository.tip())


def test_a_command_that_does_not_change_the_rules_does_not_move_the_rules_tag(client, iris, repo, tmp_path):
    editing.edit(repo, rules())
    before = editing.run(repo, "rev-parse", RULES)
    client.add_store("other", (tmp_path / "other").as_uri())
    assert editing.run(repo, "rev-parse", RULES) == before
    with pytest.raises(GateRefused):
        iris.get_version(1).set_stage("production")


def test_a_promotion_that_apply_refused_can_be_proposed_again(client, iris):
    repo = client.repository.common_dir
    editing.edit(repo, rules(production="proposal_only = true\n"))
    client.apply()
    loosen(repo, iris)
    editing.edit(repo, rules(production="proposal_only = true\n"), onto=TOPIC)
    bring_in(repo, "fast-forward")
    assert "review" in client.apply().refused[0][1]
    proposal = client.propose(("iris@1", "production"))
    editing.run(repo, "update-ref", TOPIC, proposal.commit)
    bring_in(repo, "merge")
    assert client.apply().moved == (PRODUCTION,)
    assert states(iris) == {"production": (1, 1)}
    with pytest.raises(Conflict):
        client.propose(("iris@1", "production"))


def test_a_model_can_have_the_name_rules(client):
    model = client.register_model("rules")
    model.create_version().set_stage("production")
    assert client.get_version("rules@production").number == 1
    client.apply()
    assert client.get_version("rules@production").number == 1


class TestAChangedRulesTag:
    @pytest.mark.parametrize("how", ["deleted", "set back", "replaced", "a commit"])
    def test_a_changed_rules_tag_is_refused_and_doctor_repairs_it(self, client, iris, repo, code_repo, how):
        old = editing.run(repo, "rev-parse", RULES)
        editing.edit(repo, rules())
        client.apply()
        now = editing.run(repo, "rev-parse", RULES)
        assert now != old
        tip = editing.run(repo, "rev-parse", editing.BRANCH)
        if how == "deleted":
            editing.run(repo, "update-ref", "-d", RULES)
        elif how == "replaced":
            editing.run(repo, "tag", "-f", "-a", "-m", "Rules of gitmodel in force", "gitmodel-rules/gitmodel", tip)
        else:
            editing.run(repo, "update-ref", RULES, old if how == "set back" else tip)
        before = editing.state(repo)
        for words in (["promote", "iris@3", "production"], ["apply"], ["promote", "iris@3", "production", "--force",
                      "--reason", "now"]):  # fmt: skip
            code, out, err = run_apart(code_repo, *words)
            assert (code, out) == (6, ""), err
            assert "gitmodel-rules/gitmodel" in err
            assert "git model doctor --fix" in err
        assert editing.state(repo) == before
        assert run_apart(code_repo, "resolve", "iris@production")[0] == 0
        code, out, err = run_apart(code_repo, "doctor")
        assert (code == 0, "gitmodel-rules/gitmodel" in out + err) == (False, True)
        run_apart(code_repo, "doctor", "--fix")
        assert editing.run(repo, "rev-parse", RULES) == now
        assert run_apart(code_repo, "promote", "iris@3", "production")[0] == 0

    def test_doctor_reports_rules_that_are_not_in_force(self, repo, code_repo):
        editing.edit(repo, rules())
        _, out, err = run_apart(code_repo, "doctor")
        assert "git model apply" in out + err
        run_apart(code_repo, "apply")
        assert "gitmodel-rules" not in "".join(run_apart(code_repo, "doctor")[1:])


class TestInAClone:
    @pytest.fixture
    def gated(self, ada, bob):
        """Ada's registry with a gate that is in force at the remote."""
        editing.edit(ada.repository.common_dir, rules(production=GOOD.replace("0.9", "0.2")))
        ada.apply(push=True)
        ada.push()
        ada.apply(push=True)
        bob.pull()
        return ada

    def remote_rules(self, bare):
        return editing.run(bare, "rev-parse", RULES)

    @pytest.fixture
    def old_rules(self, gated, bob, bare):
        """Let Ada remove the gate at the remote, and Bob pull. Return the id of the rules tag before the removal."""
        old = self.remote_rules(bare)
        editing.edit(gated.repository.common_dir, rules())
        gated.push()
        gated.apply(push=True)
        bob.pull()
        return old

    def test_the_rules_tag_is_pushed_and_pulled_with_the_branch(self, gated, bob, bare):
        tag = self.remote_rules(bare)
        assert tag == editing.run(bob.repository.common_dir, "rev-parse", RULES)
        editing.edit(gated.repository.common_dir, rules())
        gated.push()
        assert self.remote_rules(bare) == tag
        gated.apply(push=True)
        assert self.remote_rules(bare) != tag
        bob.pull()
        assert self.remote_rules(bare) == editing.run(bob.repository.common_dir, "rev-parse", RULES)

    def test_a_promotion_merged_with_looser_rules_is_refused_in_every_clone(self, gated, bob, team, git):
        iris = gated.get_model("iris")
        loosen(gated.repository.common_dir, iris)
        bring_in(gated.repository.common_dir, "fast-forward")
        git(gated.repository.git.top, "push", "-q", "origin", editing.BRANCH)
        assert [why.split(":")[0] for _, why in bob.apply(push=True).refused] == ["good"]
        cleo = team.clone("cleo")
        cleo.pull()
        assert [why.split(":")[0] for _, why in cleo.apply(push=True).refused] == ["good"]
        assert cleo.get_version("iris@production").number == 2
        cleo.get_model("iris").get_version(1).set_stage("production")
        cleo.push()
        bob.pull()
        assert bob.get_version("iris@production").number == 1

    @pytest.mark.parametrize("how", ["deleted", "set back"])
    def test_a_pull_refuses_a_remote_whose_rules_tag_was_deleted_or_set_back(self, bob, bare, old_rules, how):
        editing.run(bare, *(["update-ref", "-d", RULES] if how == "deleted" else ["update-ref", RULES, old_rules]))
        for _ in range(2):
            with pytest.raises(Conflict, match=f"was {how}") as caught:
                bob.pull()
            assert "--rewound" in caught.value.hint
        bob.pull(rewound=True)
        bob.push()

    @pytest.mark.parametrize("how", ["deleted", "set back", "made by plain git"])
    def test_the_command_in_the_refusal_restores_the_rules_tag(self, bob, bare, old_rules, how, git):
        right = self.remote_rules(bare)
        if how == "deleted":
            editing.run(bare, "update-ref", "-d", RULES)
        else:
            editing.run(bare, "update-ref", RULES, old_rules if how == "set back" else editing.BRANCH)
        clone = bob.repository.git.top
        for words in (["pull"], ["push"], ["apply", "--push"]):
            code, out, err = run_apart(clone, *words)
            assert (code, "gitmodel-rules/gitmodel of origin" in err) == (4, True), out + err
            assert f"git push --force origin {RULES}" in err
            assert ("--rewound" in err) == (how != "made by plain git")
        git(clone, "push", "-q", "--force", "origin", RULES)
        assert run_apart(clone, "pull")[0] == 0
        assert self.remote_rules(bare) == right

    def test_a_new_clone_of_a_remote_with_a_wrong_rules_tag_shows_how_to_repair_it(self, gated, bare, tmp_path, git):
        editing.run(bare, "update-ref", RULES, editing.BRANCH)
        git(tmp_path, "clone", "-q", "--no-tags", str(bare), "cleo")
        code, _, err = run_apart(tmp_path / "cleo", "pull")
        assert (code, f"git push origin :{RULES}" in err) == (4, True), err
        git(tmp_path / "cleo", "push", "-q", "origin", f":{RULES}")
        for words in (["pull"], ["apply", "--push"]):
            code, out, err = run_apart(tmp_path / "cleo", *words)
            assert code == 0, out + err
        assert editing.run(bare, "cat-file", "-t", RULES) == "tag"

    def test_a_clone_without_the_rules_tag_uses_the_rules_of_the_first_parent_and_warns(
        self, gated, bare, tmp_path, git
    ):
        git(tmp_path, "clone", "-q", "--no-tags", "-b", "gitmodel", str(bare), "bare-bones")
        clone = tmp_path / "bare-bones"
        git(clone, "fetch", "-q", "origin", "refs/tags/model/*:refs/tags/model/*")
        editing.edit(clone / ".git", {STAGE: stage_text(gated.get_model("iris"), 3)})
        code, out, err = run_apart(clone, "apply")
        assert (code, "did not know which rules are in force" in err) == (0, True), out + err
        code, out, err = run_apart(clone, "apply")
        assert (code, "did not know" in err) == (0, False), out + err
        run_apart(clone, "pull")
        assert git(clone, "rev-parse", RULES) == self.remote_rules(bare)

    def test_two_clones_that_apply_the_same_rules_push_one_rules_tag(self, gated, bob, bare):
        editing.edit(gated.repository.common_dir, rules())
        gated.push()
        bob.pull()
        bob.apply()  # only in Bob's clone
        gated.get_model("iris").create_version()
        gated.push()
        gated.apply(push=True)
        bob.push()
        assert self.remote_rules(bare) == editing.run(bob.repository.common_dir, "rev-parse", RULES)

    def test_a_looser_rule_that_a_pull_replays_is_not_in_force_until_apply(self, gated, bob):
        from gitmodel.domain.changes.planned_change import Change

        data = rules()["gitmodel.toml"].encode()
        bob.writer.transact(lambda snapshot: Change(None, "Set rules", files={"gitmodel.toml": data}))
        gated.get_model("iris").create_version()
        gated.push()
        bob.push()
        with pytest.raises(GateRefused, match="git model apply"):
            bob.get_model("iris").get_version(1).set_stage("production")
        bob.apply(push=True)
        bob.get_model("iris").get_version(1).set_stage("production")

    def test_rules_that_were_applied_before_the_first_push_stay_in_force_after_a_pull(self, ada, bob, bare):
        editing.edit(bob.repository.common_dir, rules(production=GOOD))
        bob.apply()  # only in Bob's clone
        ada.get_model("iris").create_version()
        ada.push()
        bob.pull()
        assert bob.repository.rules.check() == (bob.repository.tip(),)
        bob.push()
        assert self.remote_rules(bare) == editing.run(bob.repository.common_dir, "rev-parse", RULES)


class TestByUrl:
    @pytest.fixture
    def url(self, ada, bare, tmp_path):
        for key in ("uploadpack.allowFilter", "http.receivepack"):
            editing.run(bare, "config", key, "true")
        with http_server(tmp_path) as server:
            yield f"{server.url}/remote.git"

    def test_by_url_the_rules_in_force_count_and_apply_moves_the_rules_tag(self, ada, bare, url, team):
        client = team.by_url("cleo", url)
        editing.edit(bare, rules(production=GOOD.replace("0.9", "0.2")))
        client.apply()
        tag = editing.run(bare, "rev-parse", RULES)
        loosen(bare, ada.get_model("iris"))
        bring_in(bare, "fast-forward")
        for _ in range(2):
            assert [why.split(":")[0] for _, why in client.apply().refused] == ["good"]
        assert editing.run(bare, "rev-parse", RULES) != tag
        assert client.get_version("iris@production").number == 2
        client.get_model("iris").get_version(1).set_stage("production")
        assert client.get_version("iris@production").number == 1

    def test_a_promotion_by_url_is_refused_if_the_server_lost_the_rules_tag(self, ada, bare, url, team):
        client = team.by_url("cleo", url)
        editing.edit(bare, rules(production=GOOD.replace("0.9", "0.2")))
        client.apply()
        editing.run(bare, "update-ref", "-d", RULES)
        with pytest.raises(Refused, match="gitmodel-rules/gitmodel"):
            client.get_model("iris").get_version(3).set_stage("production")
        assert PRODUCTION.full in refs(bare)


class TestAServerWithTheHook:
    @pytest.fixture
    def served(self, ada, bare):
        """Change the rules twice, apply both changes at the remote, and install the server hook there.

        Returns the rules tag before the second change.
        """
        editing.edit(ada.repository.common_dir, rules(production=GOOD.replace("0.9", "0.2")))
        ada.push()
        ada.apply(push=True)
        old = editing.run(bare, "rev-parse", RULES)
        editing.edit(ada.repository.common_dir, rules(production=GOOD.replace("0.9", "0.25")))
        ada.push()
        ada.apply(push=True)
        code, out, err = run_apart(bare, "hook", "install", "--server")
        assert code == 0, out + err
        return old

    def push(self, client, refspec):
        done = subprocess.run(
            ["git", "push", "-f", "origin", refspec], cwd=client.repository.git.top, capture_output=True, text=True
        )
        return done.returncode, done.stderr

    @pytest.mark.parametrize("how", ["deleted", "set back", "off the branch"])
    def test_the_server_hook_refuses_a_rules_tag_that_was_set_back(self, ada, bare, served, how):
        before = refs(bare) | {RULES: editing.run(bare, "rev-parse", RULES)}
        if how == "deleted":
            refspec = f":{RULES}"
        elif how == "set back":
            refspec = f"{served}:{RULES}"
        else:
            repository = ada.repository
            editing.run(repository.common_dir, "update-ref", TOPIC, editing.BRANCH)
            other = editing.edit(repository.common_dir, rules(), onto=TOPIC)
            tag = repository.rules.next_tag(repository.reader.get(other).data, other)
            repository.objects.write([tag])
            refspec = f"{tag.id}:{RULES}"
        code, err = self.push(ada, refspec)
        assert (code == 0, "push.rules" in err) == (False, True), err
        assert refs(bare) | {RULES: editing.run(bare, "rev-parse", RULES)} == before

    def test_the_server_hook_accepts_the_pushes_of_apply_and_promotions(self, ada, bob, served):
        editing.edit(ada.repository.common_dir, rules())
        ada.push()
        ada.apply(push=True)
        bob.pull()
        bob.get_model("iris").get_version(1).set_stage("production")
        bob.push()
        ada.pull()
        assert ada.get_version("iris@production").number == 1

    def test_the_server_hook_refuses_looser_rules_together_with_a_promotion_that_needs_them(self, ada, bare, served):
        repository = ada.repository
        loosen(repository.common_dir, ada.get_model("iris"))
        editing.run(repository.common_dir, "update-ref", editing.BRANCH, f"{TOPIC}~1")
        assert self.push(ada, editing.BRANCH)[0] == 0
        editing.run(repository.common_dir, "update-ref", editing.BRANCH, TOPIC)
        code, err = self.push(ada, editing.BRANCH)
        assert (code == 0, "change.gate" in err) == (False, True), err
        # The server hook refuses the stage tag even if the branch was pushed before the hook was installed.
        hook = bare / "hooks" / "pre-receive"
        hook.rename(bare / "hooks" / "aside")
        assert self.push(ada, editing.BRANCH)[0] == 0
        (bare / "hooks" / "aside").rename(hook)
        tag = repository.tags.recorded_at(repository.tip(), PRODUCTION)
        repository.objects.write([tag])
        code, err = self.push(ada, f"{tag.id}:{PRODUCTION.full}")
        assert (code == 0, "push.tag" in err) == (False, True), err


def test_a_second_stage_file_of_a_version_stays_while_its_stage_is_proposal_only_in_force(client, iris):
    """A version has files in two stages, as after a merge. The next change of the version removes one of these files.

    It keeps both files while the rules in force say that one of these stages is proposal_only, although the branch has
    looser rules.
    """
    path = client.repository.common_dir
    closed = 'format = "1.2"\n[[stages]]\nname = "staging"\nproposal_only = true\n[[stages]]\nname = "production"\n'
    editing.edit(path, {"gitmodel.toml": closed})
    client.apply()
    staging = "models/iris/stages/staging.toml"
    editing.edit(path, {"gitmodel.toml": closed.replace("proposal_only = true\n", ""), staging: stage_text(iris, 2)})
    iris.get_version(2).log_metadata(accuracy=0.97)
    assert editing.read(path, staging)
    assert states(iris)["production"] == (2, 2)
    client.apply()
    iris.get_version(2).log_metadata(accuracy=0.98)
    assert "staging.toml" not in editing.run(path, "ls-tree", "--name-only", "gitmodel", "models/iris/stages/")
