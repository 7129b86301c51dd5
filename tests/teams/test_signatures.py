"""Stages that require signatures (`signed`), with real keys: which commits and tags count, and why others do not.

A signature counts if `allowed_signers` on the metadata branch lists its key. git itself verifies the same signatures.
"""

import base64
import os
import re
import shutil
import subprocess
import tempfile
from contextlib import ExitStack
from pathlib import Path

import editing
import pytest
from editing import BRANCH, edit, run, state
from hosting import write_program
from signing import RULES, TAG, commit_by_hand, line, make_repo, person, promote, sign_as, stage_file, tag_by_hand
from stage_rules import STAGE, TWO_STAGES
from teamwork import Team, refs, states
from transcripts import ask
from url_caches import objects

from gitmodel import Client, GitModelError, Invalid, Refused, UsageError
from gitmodel.domain.schema.records import links_digest
from gitmodel.domain.schema.refs import StageRef
from gitmodel.registry.health import checking, doctor
from gitmodel.teams.checks.range_checks import check_between
from gitmodel.teams.plans import plan_texts
from gitmodel.teams.plans.plan_markdown import markdown

STAGING = "models/iris/stages/staging.toml"
PRODUCTION = StageRef("iris", "production")


@pytest.fixture
def repo(tmp_path, keys):
    """Ada's repository. The stage production requires signatures, and Ada is a signer."""
    folder = make_repo(tmp_path / "ada")
    edit(folder, {"gitmodel.toml": RULES, "allowed_signers": line(keys, "ada")})
    sign_as(folder, keys, "ada")
    return folder


@pytest.fixture
def ada(repo):
    with Client(repo, environ=person("ada")) as client:
        yield client


@pytest.fixture
def someone(repo, keys):
    """A function that opens the registry as the person *name*, who signs with their own key or the key of *key*."""
    opened = []

    def open_as(name, *, key="", when="2026-11-23T10:12:13Z"):
        sign_as(repo, keys, key or name)
        opened.append(Client(repo, environ=person(name, when)))
        return opened[-1]

    yield open_as
    for client in opened:
        client.close()


def forged(client, stage="production"):
    """Return the reason why the tag of the *stage* of iris does not count, "" if it counts, None if it is missing."""
    return {one.name: one.forged for one in client.get_model("iris").stages}.get(stage)


class TestSigning:
    def test_a_signed_stage_gets_a_signed_commit_and_tag_that_git_verifies(self, ada, repo, tmp_path):
        assert promote(ada).changed
        assert states(ada.get_model("iris")) == {"staging": (1, 1), "production": (2, 2)}
        allowed = tmp_path / "allowed"
        allowed.write_text(run(repo, "show", f"{BRANCH}:allowed_signers") + "\n", encoding="utf-8")
        verify = ("-c", f"gpg.ssh.allowedSignersFile={allowed}")
        run(repo, *verify, "verify-commit", BRANCH)
        run(repo, *verify, "verify-tag", "model/iris/production")
        assert ada.get_version("iris@production").number == 2
        assert run(repo, "fsck", "--strict") == ""
        assert checking.check(ada.repository) == []

    def test_a_plan_names_the_signer_and_the_reason_why_a_signature_does_not_count(self, ada, repo, keys):
        promote(ada, 1)
        for number, key, said in [
            (2, "ada", "signed by ada"),
            (1, "mallory", "no valid signature: commit"),
            (2, "", "not signed: production accepts only signed changes"),
        ]:
            links = links_digest(ada.get_version(f"iris@{number}").view.record.artifacts)
            commit = commit_by_hand(repo, keys, {STAGE: f'version = {number}\nartifacts = "{links}"\n'}, key=key)
            plan = ada.plan(f"{run(repo, 'rev-parse', f'{commit}^')}..{commit}")
            assert f"\n  {said}" in plan_texts.text(plan)
            words = markdown(plan).replace("\\", "").replace("\u200b", "")
            assert f"{'❌ **N' if said[0] == 'n' else 'S'}{said[1:]}" in words

    def test_changes_of_other_stages_are_signed_only_if_git_is_configured_to_sign(self, ada, repo, keys):
        promote(ada, 3, "staging")
        assert "gpgsig" not in run(repo, "cat-file", "commit", BRANCH)
        sign_as(repo, keys, "ada", every=True)
        with Client(repo, environ=person("ada")) as client:
            promote(client, 2, "staging")
            client.get_model("iris").create_version()
        assert "\ngpgsig " in run(repo, "cat-file", "commit", BRANCH)
        assert "BEGIN SSH SIGNATURE" in run(repo, "cat-file", "tag", "model/iris/staging")

    def test_the_signature_of_each_change_of_the_history_is_judged_by_the_signers_before_it(self, ada, repo, keys):
        promote(ada)
        commit_by_hand(repo, keys, {"models/iris/stages/production.toml": stage_file(ada, 3)}, key="mallory")
        faults = ada.signature_faults(event.commit for event in ada.history("iris"))
        assert list(map(bool, faults.values())) == [True, False, False]
        newest, signed, unsigned = faults.values()
        assert "is not listed for ada@example.com in allowed_signers" in newest
        assert (signed, unsigned) == ("", None)
        with pytest.raises(Invalid):
            ada.signature_faults(["0" * 39 + "1"])

    def test_a_promotion_without_a_signing_key_is_refused_and_the_hint_shows_how_to_set_one(
        self, ada, repo, capsys, monkeypatch
    ):
        run(repo, "config", "--unset", "user.signingKey")
        before = state(repo)
        for name, value in person("ada").items():
            monkeypatch.setenv(name, value)
        assert ask(capsys, "-C", repo, "promote", "iris@2", "production") == (
            6,
            "",
            "error: this change must be signed, and git has no key to sign with\n"
            "hint: run `git config gpg.format ssh` and `git config user.signingKey ~/.ssh/id_ed25519.pub`\n",
        )
        assert state(repo) == before

    def test_a_promotion_with_an_unlisted_key_is_refused_and_changes_nothing(self, repo, someone):
        before = state(repo)
        with pytest.raises(Refused, match=r"its key SHA256:\S+ is not listed for bob@example.com") as refused:
            promote(someone("bob"))
        assert refused.value.hint == "ask a signer: `git show gitmodel:allowed_signers` lists them"
        assert state(repo) == before

    @pytest.mark.parametrize("leave", [lambda v: v.set_stage("archived"), lambda v: v.delete(force=True)])
    def test_a_change_that_empties_a_signed_stage_must_be_signed_too(self, ada, repo, someone, leave):
        promote(ada)
        before = state(repo)
        with pytest.raises(Refused, match="is not listed"):
            leave(someone("mallory").get_version("iris@2"))
        assert state(repo) == before
        leave(someone("ada").get_version("iris@2"))
        assert "production" not in states(ada.get_model("iris"))

    @pytest.mark.parametrize("script", ["exit 0", "echo no >&2; exit 1", "shift 6; echo rubbish > $1.sig"])
    def test_nothing_changes_if_the_signing_program_fails_with_any_exit_code(self, ada, repo, tmp_path, script):
        """If the program fails, git before 2.44 writes an unsigned tag and exits with 0."""
        write_program(tmp_path, "sign", script)
        run(repo, "config", "gpg.ssh.program", str(tmp_path / "sign"))
        before = state(repo)
        with Client(repo, environ=person("ada")) as client, pytest.raises(Refused, match="nothing was changed"):
            promote(client)
        assert state(repo) == before

    def test_a_public_key_in_the_git_setting_is_used_through_the_ssh_agent(self, repo, keys):
        socket = f"/tmp/gitmodel-agent-{os.getpid()}"
        agent = subprocess.Popen(["ssh-agent", "-D", "-a", socket], stdout=subprocess.PIPE)
        try:
            agent.stdout.readline()
            environ = {**person("ada"), "SSH_AUTH_SOCK": socket}
            subprocess.run(["ssh-add", "-q", str(keys / "ada")], env=environ, check=True)
            literal = (keys / "ada.pub").read_text(encoding="utf-8").strip()
            run(repo, "config", "user.signingKey", f"key::{literal}")
            with Client(repo, environ=environ) as client:
                promote(client)
                assert states(client.get_model("iris"))["production"] == (2, 2)
        finally:
            agent.terminate()
            agent.wait()
            agent.stdout.close()
            Path(socket).unlink(missing_ok=True)


class TestForgedSignatures:
    def test_an_unsigned_promotion_of_a_signed_stage_is_recorded_and_not_in_force(self, ada, repo, keys):
        commit = commit_by_hand(repo, keys, {STAGE: stage_file(ada, 3)})
        assert ada.apply().refused == ((PRODUCTION, f"commit {commit[:10]} is not signed"),)
        tag_by_hand(repo, keys, commit, key="ada")
        with pytest.raises(Invalid, match="is not signed"):
            ada.get_version("iris@production")
        assert "tag" in {found.about for found in doctor.examine(ada.repository, ada.store)}

    def test_an_unsigned_tag_does_not_count_and_a_signer_can_set_it_again(self, ada, repo, keys, someone):
        promote(ada)
        tag_by_hand(repo, keys, run(repo, "rev-parse", BRANCH))
        assert (forged(ada), ada.get_version("iris@production").number) == ("it is not signed", 2)
        before = state(repo)
        (found,) = someone("bob").apply().refused
        assert "is not listed for bob@example.com" in found[1]
        assert state(repo) == before
        assert someone("ada").apply().moved == (PRODUCTION,)
        assert ada.get_version("iris@production").number == 2

    def test_a_signed_tag_of_another_stage_is_refused(self, ada, repo, keys):
        rules = RULES.replace('"staging"\n', '"staging"\nsigned = true\n')
        commit_by_hand(repo, keys, {"gitmodel.toml": rules}, key="ada")
        promote(ada, 3, "staging")
        tag = run(repo, "rev-parse", "refs/tags/model/iris/staging")
        run(repo, "update-ref", TAG, tag)
        with pytest.raises(Invalid, match="the tag inside is called 'model/iris/staging'"):
            ada.get_version("iris@production")
        # Also refused: the tag with its inner name changed to the name of the ref, which makes the signature invalid.
        text = run(repo, "cat-file", "tag", tag).replace("tag model/iris/staging", "tag model/iris/production") + "\n"
        both = commit_by_hand(repo, keys, {STAGE: stage_file(ada, 3), STAGING: None}, key="ada")
        target = run(repo, "rev-parse", f"{tag}^{{}}")
        run(repo, "update-ref", TAG, run(repo, "mktag", input=text.replace(target, both).encode()))
        assert "its signature is invalid" in forged(ada)

    def test_a_signature_copied_from_another_commit_is_refused(self, ada, repo, keys):
        promote(ada, 2)
        signed = run(repo, "cat-file", "commit", BRANCH)
        commit = commit_by_hand(repo, keys, {STAGE: stage_file(ada, 3)})
        plain = run(repo, "cat-file", "commit", commit)
        start, end = signed.index("\ngpgsig "), signed.index("\n\n")
        forged = plain.replace("\n\n", signed[start:end] + "\n\n", 1) + "\n"
        forged = run(repo, "hash-object", "-t", "commit", "-w", "--stdin", input=forged.encode())
        run(repo, "update-ref", BRANCH, forged)
        ((_, why),) = ada.apply().refused
        assert "its signature is invalid" in why

    @pytest.mark.parametrize("what", ["author", "committer"])
    def test_a_signature_does_not_count_if_the_author_is_not_the_signer(self, ada, repo, keys, what):
        run(repo, "read-tree", BRANCH)
        listed = {"allowed_signers": line(keys, "ada") + line(keys, "mallory")}
        commit_by_hand(repo, keys, listed, key="ada")
        environ = {f"GIT_{what.upper()}_EMAIL": "ada@example.com"}
        commit_by_hand(repo, keys, {STAGE: stage_file(ada, 3)}, key="mallory", author="mallory", **environ)
        ((_, why),) = ada.apply().refused
        assert "is not listed for ada@example.com" in why

    def test_a_signature_does_not_count_if_the_tagger_is_not_the_signer(self, ada, repo, keys):
        commit_by_hand(repo, keys, {"allowed_signers": line(keys, "ada") + line(keys, "mallory")}, key="ada")
        promote(ada)
        tag_by_hand(repo, keys, run(repo, "rev-parse", BRANCH), key="mallory", tagger="ada")
        assert "is not listed for ada@example.com" in forged(ada)
        assert ada.get_version("iris@production").number == 2

    def test_a_key_listed_with_a_pattern_of_addresses_may_sign_for_these_authors(self, ada, repo, keys):
        commit_by_hand(repo, keys, {"allowed_signers": line(keys, "bob", principals="*@example.com")}, key="ada")
        commit = commit_by_hand(repo, keys, {STAGE: stage_file(ada, 3)}, key="bob", author="ada")
        tag_by_hand(repo, keys, commit, key="bob", tagger="bob")
        assert ada.get_version("iris@production").number == 3

    def test_promotions_are_refused_after_an_unlisted_person_changed_rules_or_signers(self, ada, repo, keys, someone):
        own = {"allowed_signers": line(keys, "ada") + line(keys, "mallory")}
        wrong = edit(repo, own)
        with pytest.raises(Refused, match=f"the rules were changed and commit {wrong[:10]} is not signed"):
            promote(someone("mallory"))
        with pytest.raises(Refused, match="the rules were changed"):
            promote(someone("ada"))
        # a signed commit that restores the list makes promotions possible again
        commit_by_hand(repo, keys, {"allowed_signers": line(keys, "ada")}, key="ada")
        promote(someone("ada"))
        assert states(ada.get_model("iris"))["production"] == (2, 2)

    def test_apply_detects_that_the_rules_were_loosened_without_a_signature(self, ada, repo, keys):
        edit(repo, {"gitmodel.toml": RULES.replace("signed = true\n", "")})
        commit = commit_by_hand(repo, keys, {STAGE: stage_file(ada, 3)})
        assert [why for _, why in ada.apply().refused] == [
            f"the rules were changed and commit {run(repo, 'rev-parse', f'{commit}~1')[:10]} is not signed"
        ]

    @pytest.mark.parametrize("repair", ["listed", "switched off"])
    def test_a_signed_stage_without_a_list_of_signers_can_be_repaired_without_a_signature(self, tmp_path, keys, repair):
        repo = make_repo(tmp_path / "ada")
        edit(repo, {"gitmodel.toml": RULES})
        sign_as(repo, keys, "ada")
        with Client(repo, environ=person("ada")) as ada:
            before = state(repo)
            with pytest.raises(Refused, match="allowed_signers lists nobody who may sign"):
                promote(ada)
            assert state(repo) == before
            files = {"listed": {"allowed_signers": line(keys, "ada")}, "switched off": {"gitmodel.toml": TWO_STAGES}}
            edit(repo, files[repair])
            promote(ada)
            assert states(ada.get_model("iris"))["production"] == (2, 2)
            # after the repair, only a person in the list may change the rules and promote
            edit(repo, {"gitmodel.toml": RULES, "allowed_signers": line(keys, "mallory")})
        sign_as(repo, keys, "mallory")
        with Client(repo, environ=person("mallory")) as mallory:
            if repair == "listed":
                with pytest.raises(Refused, match="the rules were changed and commit"):
                    promote(mallory, 3)

    def test_only_the_last_signers_may_change_a_list_of_signers_that_was_emptied(self, ada, repo, keys, someone):
        commit_by_hand(repo, keys, {"allowed_signers": ""}, key="ada")
        edit(repo, {"allowed_signers": line(keys, "mallory")})
        with pytest.raises(Refused, match="the rules were changed and commit"):
            promote(someone("mallory"))

    def test_a_rename_of_a_model_in_a_signed_stage_must_be_signed(self, ada, repo, someone):
        promote(ada)
        with pytest.raises(Refused, match="is not listed"):
            someone("mallory").update_model("iris", new_name="flower")
        someone("ada").update_model("iris", new_name="flower")
        assert ada.get_version("flower@production").number == 2


class TestMergesByGit:
    """Merges by plain git, whose first parent is the local branch. Tags are judged by the rules before the merge."""

    def merge(self, repo, first, second, files):
        """Set the branch to a merge of *second* into *first*, whose content is that of *first* with *files*."""
        run(repo, "update-ref", BRANCH, first)
        tree = run(repo, "rev-parse", f"{edit(repo, files)}^{{tree}}")
        made = run(repo, "commit-tree", "-p", first, "-p", second, "-m", "Merge", tree)
        run(repo, "update-ref", BRANCH, made)
        return made

    def test_a_signed_promotion_stays_in_force_after_a_merge_by_plain_git(self, ada, repo):
        before = run(repo, "rev-parse", BRANCH)
        promote(ada)
        promoted = run(repo, "rev-parse", BRANCH)
        run(repo, "update-ref", BRANCH, before)
        local = edit(repo, {"models/iris/stages/staging.toml": stage_file(ada, 3)})
        file = run(repo, "show", f"{promoted}:{STAGE}") + "\n"
        self.merge(repo, local, promoted, {STAGE: file})
        assert ada.get_version("iris@production").number == 2
        # Ignored: a signer whom only the merged branch lists.
        assert [why for ref, why in ada.apply().refused if ref == PRODUCTION]
        assert ada.get_version("iris@production").number == 2

    def test_a_merged_branch_that_lists_its_own_signer_puts_nothing_in_force(self, ada, repo, keys):
        promote(ada)
        tip = run(repo, "rev-parse", BRANCH)
        edit(repo, {"allowed_signers": line(keys, "mallory"), "gitmodel.toml": RULES.replace("signed = true\n", "")})
        theirs = commit_by_hand(repo, keys, {STAGE: stage_file(ada, 3)}, key="mallory", author="mallory")
        tag_by_hand(repo, keys, theirs, key="mallory", tagger="mallory")
        self.merge(repo, tip, theirs, {STAGE: stage_file(ada, 3)})
        assert ada.get_version("iris@production").number == 2


class TestTimes:
    """A key counts only at times at which the list of signers says that it is valid.

    A commit with a false date does not make an invalid key count.
    """

    @pytest.fixture
    def until(self, ada, repo, keys):
        """List Bob as a signer whose key is valid until the end of November 24.

        Returns a function that commits by plain git, as Bob on November 24, that version 3 is in production.
        """
        signers = line(keys, "ada") + line(keys, "bob", options='valid-before="20261125"')
        commit_by_hand(repo, keys, {"allowed_signers": signers}, key="ada")
        by_bob = {"key": "bob", "author": "bob", "when": "2026-11-24T10:00:00Z"}
        return lambda: commit_by_hand(repo, keys, {STAGE: stage_file(ada, 3)}, **by_bob)

    def test_signatures_that_a_key_made_while_it_was_valid_still_count_after_it_expired(self, repo, until, someone):
        promote(someone("bob", when="2026-11-24T10:00:00Z"))
        later = someone("ada", when="2027-06-01T10:00:00Z")
        later.get_model("iris").create_version()
        assert later.get_version("iris@production").number == 2
        assert later.apply().refused == ()

    def test_an_expired_key_does_not_count(self, repo, until, someone):
        with pytest.raises(Refused, match="key has expired"):
            promote(someone("bob", when="2026-11-26T10:00:00Z"))

    def test_a_commit_dated_before_its_parent_does_not_make_an_expired_key_count(self, ada, repo, until, keys, someone):
        someone("ada", when="2026-11-27T10:00:00Z").get_model("iris").create_version()
        tag_by_hand(repo, keys, until(), key="bob", tagger="bob", when="2026-11-24T10:00:00Z")
        with pytest.raises(Invalid, match="key has expired"):
            ada.get_version("iris@production")

    def test_apply_compares_the_date_of_a_commit_with_the_clock_and_detects_a_false_date(self, until, someone):
        commit = until()
        release = someone("ada", when="2026-12-01T10:00:00Z")
        ((_, why),) = release.apply().refused
        assert "key has expired" in why
        assert release.apply(reviewed=[commit]).moved == (PRODUCTION,)

    def test_a_commit_dated_in_the_future_does_not_make_a_key_count_that_is_not_valid_yet(
        self, ada, repo, keys, someone
    ):
        signers = line(keys, "ada") + line(keys, "bob", options='valid-after="20270101"')
        commit_by_hand(repo, keys, {"allowed_signers": signers}, key="ada")
        commit_by_hand(repo, keys, {STAGE: stage_file(ada, 3)}, key="bob", author="bob", when="2027-01-02T00:00:00Z")
        ((_, why),) = ada.apply().refused
        assert "it is dated in the future" in why


class TestTeam:
    @pytest.fixture
    def team(self, tmp_path, keys, repo):
        """The clones of Ada, who is a signer, and of Bob, whose key is not listed, and their remote."""
        bare = tmp_path / "remote.git"
        subprocess.run(["git", "init", "-q", "--bare", str(bare)], check=True)
        run(repo, "remote", "add", "origin", str(bare))
        with ExitStack() as opened:
            team = Team(tmp_path, str(bare), (tmp_path / "store").as_uri(), opened)
            team.bare = bare
            team.ada = team.open("ada")
            promote(team.ada)
            team.ada.push()
            team.bob = team.clone("bob")
            team.bob.pull()
            sign_as(tmp_path / "bob", keys, "bob")
            team.bob = team.open("bob")
            yield team

    def test_every_clone_reads_a_signed_promotion_and_no_apply_replaces_its_tag(self, team):
        assert team.bob.get_version("iris@production").number == 2
        tags = refs(team.bare)
        for client in (team.bob, team.ada):
            assert client.apply().moved == ()
            client.get_model("iris").create_version()
            client.push()
            client.pull()
        assert refs(team.bare)[TAG] == tags[TAG] == refs(team.folder / "bob")[TAG]

    def test_an_old_signed_tag_that_was_set_back_counts_and_is_reported(self, team):
        """The signature of the old tag still counts, but the branch shows that another version followed."""
        old = refs(team.bare)[TAG]
        promote(team.ada, 3)
        team.ada.push()
        assert team.bob.pull().set_back == []
        run(team.bare, "update-ref", TAG, old)
        assert team.bob.pull().set_back == ["model/iris/production"]
        (state,) = [one for one in team.bob.get_model("iris").stages if one.name == "production"]
        assert (state.recorded, state.in_force, state.pending) == (3, 2, True)
        found = [one.message for one in doctor.examine(team.bob.repository, team.bob.store) if one.about == "tag"]
        assert found == ["model/iris/production is at 2, and the branch records 3"]
        assert team.ada.apply(push=True).moved == (PRODUCTION,)
        assert refs(team.bare)[TAG] != old

    def test_a_service_that_fetches_only_the_tag_verifies_it_with_its_own_allowed_signers(self, team, keys, tmp_path):
        service = {**os.environ, "GITMODEL_STORE": team.store}
        allowed = tmp_path / "mine"
        run(tmp_path, "config", "--global", "gitmodel.allowedSigners", str(allowed))

        def number():
            with Client(team.bare.as_uri(), environ=service) as client:
                return client.get_version("iris@production").number

        with pytest.raises(UsageError, match=r"the list of signers .* cannot be read"):
            number()
        allowed.write_text(line(keys, "ada"), encoding="utf-8")
        assert number() == 2
        allowed.write_text(line(keys, "bob"), encoding="utf-8")
        with pytest.raises(Invalid, match=r"its signature does not count: its key .* is not listed for ada"):
            number()
        allowed.write_text(line(keys, "ada"), encoding="utf-8")
        tag_by_hand(team.bare, keys, run(team.bare, "rev-parse", f"{TAG}^{{}}"))
        with pytest.raises(Invalid, match="it is not signed"):
            number()

    def test_if_two_signers_apply_the_same_promotion_the_first_tag_stays(self, team, keys):
        here = team.ada.repository.common_dir
        first = refs(here)[TAG]
        run(here, "update-ref", "-d", TAG)
        with Client(here, environ=person("ada", "2026-11-23T10:15:00Z")) as ada:
            assert ada.apply().moved == (PRODUCTION,)
            assert refs(here)[TAG] != first
            ada.pull()
        assert refs(here)[TAG] == refs(team.bare)[TAG] == first

    def test_a_pull_signs_replayed_commits_of_the_user_again(self, team):
        team.bob.get_model("iris").create_version()
        team.bob.push()
        made = team.ada.get_model("iris").create_version()
        made.set_stage("production")
        done = team.ada.push()
        assert [pulled.renumbered for pulled in done.pulled] == [["iris 4 -> 5"]]
        team.bob.pull()
        assert team.bob.get_version("iris@production").number == 5
        assert refs(team.bare) == refs(team.folder / "bob")

    def test_an_unsigned_local_promotion_is_pending_after_a_pull_of_rules_that_require_signatures(
        self, team, tmp_path, keys
    ):
        """Bob's promotion is older than the rule that production requires signatures, which he pulls."""
        rules = RULES.replace('"staging"\n', '"staging"\nsigned = true\n')
        promote(team.bob, 3, "staging")
        commit_by_hand(tmp_path / "ada", keys, {"gitmodel.toml": rules}, key="ada")
        team.ada.push()
        team.bob.pull()
        assert states(team.bob.get_model("iris"))["staging"] == (3, 1)
        team.bob.push()
        team.ada.pull()
        assert states(team.ada.get_model("iris"))["staging"] == (3, 1)

    def test_a_merged_proposal_of_a_signed_stage_counts_if_its_merge_is_signed(self, team, tmp_path, keys):
        proposal = team.bob.propose(("iris@3", "production"), push=True)
        host = tmp_path / "host"
        subprocess.run(["git", "clone", "-q", "-b", "gitmodel", str(team.bare), str(host)], check=True)
        merge = ["git", "merge", "-q", "--no-ff", "-m", "Merge (#7)", f"origin/{proposal.branch}"]
        subprocess.run(merge, cwd=host, env=person("bob"), check=True)
        run(host, "push", "-q", "origin", "HEAD:gitmodel")
        team.ada.pull()
        ((_, why),) = team.ada.apply().refused
        assert "is not signed" in why
        run(host, "reset", "-q", "--hard", "HEAD^1")
        sign_as(host, keys, "ada", every=True)
        subprocess.run(merge, cwd=host, env=person("ada"), check=True)
        run(host, "push", "-q", "-f", "origin", "HEAD:gitmodel")
        team.ada.pull(rewound=True)
        run(tmp_path / "ada", "update-ref", BRANCH, refs(team.bare)[BRANCH])
        assert team.ada.apply().moved == (PRODUCTION,)
        assert team.ada.get_version("iris@production").number == 3


class TestReview:
    """A `proposal_only` stage that requires signatures: a signature by a signer proves that a squash was reviewed."""

    @pytest.fixture
    def reviewed(self, tmp_path, keys):
        folder = make_repo(tmp_path / "reviewed")
        rules = RULES.replace("signed = true", 'proposal_only = true\nrollback = "direct"')
        edit(folder, {"gitmodel.toml": rules, "allowed_signers": line(keys, "bob", principals="*@example.com")})
        with Client(folder, environ=person("ada")) as client:
            yield client

    def test_a_squash_signed_by_a_listed_signer_counts_as_reviewed(self, reviewed, keys):
        repo = reviewed.repository.common_dir.parent
        commit_by_hand(repo, keys, {STAGE: stage_file(reviewed, 2)})
        assert "accepts only reviewed changes" in reviewed.apply().refused[0][1]
        commit_by_hand(repo, keys, {STAGE: stage_file(reviewed, 3)}, key="mallory")
        assert "accepts only reviewed changes" in reviewed.apply().refused[0][1]
        commit_by_hand(repo, keys, {STAGE: stage_file(reviewed, 2)}, key="bob")
        assert reviewed.apply().moved == (PRODUCTION,)

    def test_a_signer_added_in_a_pull_request_cannot_approve_the_same_pull_request(self, reviewed, keys):
        repo = reviewed.repository.common_dir.parent
        reviewed.apply()
        listed = line(keys, "bob", principals="*@example.com") + line(keys, "mallory", principals="*@example.com")
        commit_by_hand(repo, keys, {"allowed_signers": listed}, key="mallory")
        commit_by_hand(repo, keys, {STAGE: stage_file(reviewed, 3)}, key="mallory")
        for _ in range(2):
            assert "accepts only reviewed changes" in reviewed.apply().refused[0][1]
        commit_by_hand(repo, keys, {STAGE: stage_file(reviewed, 2)}, key="mallory")
        # The calls of `apply` have put the list of signers that contains Mallory in force.
        assert reviewed.apply().moved == (PRODUCTION,)

    def test_a_direct_rollback_is_signed_if_the_stage_requires_signatures(self, repo, keys, someone):
        rules = RULES + 'rollback = "direct"\n'
        commit_by_hand(repo, keys, {"gitmodel.toml": rules}, key="ada")
        ada = someone("ada")
        promote(ada, 2)
        promote(ada, 3)
        with pytest.raises(Refused, match="is not listed"):
            someone("bob").get_model("iris").rollback("production")
        someone("ada").get_model("iris").rollback("production")
        assert states(ada.get_model("iris"))["production"] == (2, 2)


class TestCheck:
    @pytest.mark.parametrize(
        ("text", "fault"),
        [
            ("", "lists nobody, and production asks for signatures"),
            ("ada@example.com\n", "line 1 is not PRINCIPALS [OPTIONS] KEYTYPE KEY"),
            ("# x\nada@example.com ssh-ed25519 A\n", "line 2 has a key that is not base64"),
            ('a@b valid-before="soon" ssh-ed25519 AAAA\n', "line 1 has a time that is not YYYYMMDD[HHMM[SS]][Z]"),
            (
                "a@b cert-authority openpgp AAAA\n",
                "line 1 makes an OpenPGP key an authority, which only an SSH key can be",
            ),
            ("a@b no-touch ssh-ed25519 AAAA\n", "line 1 has an option that ssh-keygen does not know: 'no-touch'"),
        ],
    )
    def test_errors_in_the_list_of_signers_are_found(self, ada, repo, text, fault):
        edit(repo, {"allowed_signers": text})
        found = [(problem.rule, problem.message) for problem in checking.check(ada.repository)]
        assert ("registry.signers", fault) in found
        assert {rule for rule, _ in found} == {"registry.signers"}

    def test_check_reports_a_change_of_the_list_of_signers_as_a_change_of_rules(self, ada, repo):
        base = run(repo, "rev-parse", BRANCH)
        edit(repo, {"allowed_signers": editing.read(repo, "allowed_signers") + "# more\n"})
        assert check_between(ada.repository, base, run(repo, "rev-parse", BRANCH)).rules == ("allowed_signers",)


class TestOpenPGP:
    @pytest.fixture
    def gnupg(self, monkeypatch):
        """A GnuPG key ring with Ada's key. Returns the line of `allowed_signers` for this key."""
        if shutil.which("gpg") is None:
            assert not os.environ.get("CI"), "CI has no gpg: apt-get install gnupg"
            pytest.skip("there is no gpg: apt-get install gnupg")
        # in /tmp, because the path of the socket of gpg-agent must be short
        home = tempfile.mkdtemp(prefix="gpg-", dir="/tmp")
        monkeypatch.setenv("GNUPGHOME", home)
        make = ["gpg", "--batch", "--quiet", "--pinentry-mode", "loopback", "--passphrase", "", "--quick-generate-key"]
        frozen = ("--faked-system-time", "20261101T000000")
        subprocess.run(
            [*make, *frozen, "Ada <ada@example.com>", "ed25519", "sign", "60d"], check=True, capture_output=True
        )
        exported = subprocess.run(["gpg", "--export", "ada@example.com"], check=True, capture_output=True).stdout
        yield f"ada@example.com openpgp {base64.b64encode(exported).decode()}\n"
        subprocess.run(["gpgconf", "--kill", "all"], check=False, capture_output=True)
        shutil.rmtree(home, ignore_errors=True)

    @pytest.fixture
    def signed(self, tmp_path, gnupg, keys):
        folder = make_repo(tmp_path / "gpg")
        edit(folder, {"gitmodel.toml": RULES, "allowed_signers": line(keys, "bob") + gnupg})
        with Client(folder, environ=person("ada")) as client:
            yield client

    def test_a_promotion_signed_with_gpg_is_in_force_for_readers_without_keys(self, signed, tmp_path, monkeypatch):
        promote(signed)
        assert "BEGIN PGP SIGNATURE" in run(tmp_path / "gpg", "cat-file", "commit", BRANCH)
        monkeypatch.setenv("GNUPGHOME", str(tmp_path))
        shutil.rmtree(tmp_path / "gpg" / ".git" / "gitmodel")
        with Client(tmp_path / "gpg", environ={**person("ada"), "GNUPGHOME": str(tmp_path)}) as reader:
            assert reader.get_version("iris@production").number == 2
            assert reader.apply().refused == ()

    def test_gpg_signatures_do_not_count_if_expired_broken_or_of_another_author(self, signed, tmp_path):
        repo = tmp_path / "gpg"
        for environ, said in (
            (person("ada", "2027-03-01T00:00:00Z"), "its key has expired"),
            (person("bob"), "is not listed for bob@example.com"),
        ):
            run(repo, "config", "user.signingKey", "ada@example.com")
            with Client(repo, environ=environ) as client, pytest.raises(Refused, match=said):
                promote(client)
        promote(signed)
        text = run(repo, "cat-file", "commit", BRANCH).replace("Promote iris 2", "Promote iris 9") + "\n"
        run(repo, "update-ref", BRANCH, run(repo, "hash-object", "-t", "commit", "-w", "--stdin", input=text.encode()))
        with pytest.raises(Refused, match="does not descend from"):
            signed.apply()
        run(repo, "update-ref", "-d", "refs/tags/model/iris/production")
        ((_, why),) = signed.apply().refused
        assert "its signature is invalid" in why

    def test_a_gpg_signature_with_an_unlisted_key_does_not_count(self, signed, tmp_path, keys):
        edit(tmp_path / "gpg", {"allowed_signers": line(keys, "bob")})
        with Client(tmp_path / "gpg", environ=person("ada")) as client, pytest.raises(GitModelError):
            promote(client)


class TestWithoutAClone:
    def test_a_service_by_url_compares_the_tag_of_a_signed_stage_with_the_branch(self, ada, repo, keys):
        promote(ada)
        with Client(repo.as_uri()) as service:
            version = service.get_version("iris@production")
            assert (version.number, version.frozen) == (2, "")
            assert service.get_version("iris@staging").frozen == "model/iris/staging"
        commit = run(repo, "rev-parse", "model/iris/production^{commit}")
        tag_by_hand(repo, keys, commit, key="mallory", tagger="mallory")
        with Client(repo.as_uri()) as service:
            assert service.get_version("iris@production").number == 2
            assert "is not listed" in forged(service)

    def test_a_promotion_by_url_is_signed(self, ada, repo, keys):
        run(repo, "config", "--global", "gpg.format", "ssh")
        run(repo, "config", "--global", "user.signingKey", str(keys / "ada.pub"))
        with Client(repo.as_uri(), environ=person("ada")) as job:
            assert promote(job, 3).changed
        assert states(ada.get_model("iris"))["production"] == (3, 3)
        assert checking.check(ada.repository) == []

    @pytest.fixture
    def copies(self, repo, tmp_path, keys, monkeypatch):
        """A function that copies the repository twice, and opens one copy as a clone and the other by URL.

        Both clients sign with the key of *signer* (default: with no key).
        """
        monkeypatch.chdir(tmp_path)  # so that a version made by URL does not record the code of this checkout

        def make(environ, signer=""):
            run(repo, "config", "--global", "gpg.format", "ssh")
            run(repo, "config", "--global", "user.signingKey", str(keys / f"{signer}.pub") if signer else "")
            opened = []
            for name in ("clone", "host"):
                shutil.copytree(repo, tmp_path / name, symlinks=True)
                for key in ("user.signingKey", "gpg.format"):
                    subprocess.run(["git", "-C", str(tmp_path / name), "config", "--unset", key], check=False)
                run(tmp_path / name, "config", "uploadpack.allowFilter", "true")
                place = tmp_path / name if name == "clone" else (tmp_path / name).as_uri()
                opened.append((tmp_path / name, Client(place, environ=environ)))
            return opened

        return make

    @pytest.mark.parametrize(
        ("who", "signer", "refusal"),
        [
            ("ada", "ada", ""),
            ("mallory", "mallory", "is not listed"),
            ("mallory", "ada", "is not listed"),
            ("ada", "mallory", "is not listed"),
            ("ada", "", "signed"),
        ],
    )
    def test_a_promotion_by_url_after_a_write_without_the_history_has_the_same_result_as_in_a_clone(
        self, ada, copies, who, signer, refusal
    ):
        results = []
        for folder, client in copies(person(who), signer):
            with client:
                version = client.get_model("iris").create_version()
                assert folder.name == "clone" or objects(client, "branch.git", "commit") == 0
                before = refs(folder)
                try:
                    version.set_stage("production")
                except Refused as error:
                    assert refs(folder) == before
                    # the id of the commit varies, because its message has a random transaction id
                    said = re.sub("commit [0-9a-f]{10}", "commit", error.message)
                    results.append((said, error.hint, states(client.get_model("iris"))))
                else:
                    results.append(("", "", states(client.get_model("iris"))))
            with Client(folder, environ=person("ada")) as judge:
                results[-1] += (states(judge.get_model("iris")), forged(judge), checking.check(judge.repository))
        assert results[0] == results[1]
        assert refusal in results[0][0]
        assert (results[0][3].get("production") == (4, 4)) == (not refusal)

    @pytest.mark.parametrize(
        ("commit_key", "tag_key"), [("ada", "ada"), ("", "ada"), ("ada", ""), ("mallory", "mallory")]
    )
    def test_a_stage_set_by_hand_is_judged_the_same_in_a_clone_and_by_url_after_a_write_without_the_history(
        self, ada, repo, keys, copies, commit_key, tag_key
    ):
        promote(ada)
        commit = commit_by_hand(repo, keys, {STAGE: stage_file(ada, 3)}, key=commit_key)
        tag_by_hand(repo, keys, commit, key=tag_key)
        results = []
        for _, client in copies(person("ada"), "ada"):
            with client:
                assert client.get_model("iris").create_version().number == 4
                try:
                    found = client.get_version("iris@production").number
                except GitModelError as error:
                    found = error.message
                results.append(
                    (found, states(client.get_model("iris")), forged(client), client.get_version("iris@3").stage)
                )
        assert results[0] == results[1]
        assert (results[0][0] == 3 and not results[0][2]) == (commit_key == tag_key == "ada")
