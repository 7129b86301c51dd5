"""Pull and push when both a clone and the remote have changed: the clone replays its commits on the remote's.

The tests cover numbers and names used twice, conflicts, failed pushes, remotes that were reset, and hostile remotes.
"""

import subprocess
from datetime import datetime, timezone

import editing
import pytest
from hosting import write_hook
from teamwork import assert_sound, held, refs, source
from transcripts import ask

from gitmodel import Client, Conflict, Invalid, NotFound, Refused, Unreachable
from gitmodel.branch import remote_pushes
from gitmodel.domain.changes.planned_change import Change
from gitmodel.domain.schema import codec, paths
from gitmodel.domain.schema.records import RunRecord
from gitmodel.registry import setup
from gitmodel.registry.writing.transacting import transact


def log(client, *arguments):
    """Return the lines of `git log` with *arguments* for the metadata branch, oldest commit first."""
    return editing.run(client.repository.git.git_dir, "log", "--reverse", *arguments, editing.BRANCH).split("\n")


def numbers(client, model="iris"):
    return [version.number for version in client.get_model(model).versions]


def test_a_pull_fetches_the_branch_and_the_stage_tags(team, ada, bob, bare):
    assert refs(bob.repository.common_dir) == refs(bare) == refs(ada.repository.common_dir)
    assert held(bob) == {"production": 2}
    assert not bob.pull().changed
    assert_sound(bob.repository.common_dir, store=team.store)


def test_a_local_version_whose_number_is_taken_gets_the_next_number_in_all_records(team, ada, bob, bare):
    ada.get_model("iris").create_version("1.0", data={"train": source(team, "ada")})
    ada.push()
    version = bob.get_model("iris").create_version("1.1", data={"train": source(team, "bob")})
    version.set_stage("production", reason="4 is better")
    bob.get_model("iris").create_version()
    done = bob.push()
    (pulled,) = done.pulled
    assert pulled.renumbered == ["iris 4 -> 5", "iris 5 -> 6"]
    assert pulled.conflicts == []
    assert (pulled.replayed, done.commits) == (3, 3)
    assert held(bob) == {"production": 5}
    assert bob.get_version("iris@1.1").number == 5
    assert bob.get_version("iris@1.0").number == 4
    assert log(bob, "--format=%s (%an)")[-4:] == [
        "Add iris 4 (1.0) (ada)",
        "Add iris 5 (1.1) (bob)",
        "Promote iris 5 to production (bob)",
        "Add iris 6 (bob)",
    ]
    assert log(bob, "--format=%(trailers:key=Version,valueonly,separator=%x20)")[-3:] == ["5", "5", "6"]
    ada.pull()
    assert refs(ada.repository.common_dir) == refs(bob.repository.common_dir) == refs(bare)
    assert_sound(bare, store=team.store)


def test_renumbered_versions_of_one_commit_keep_their_order(ada, bob):
    for _ in range(7):
        ada.get_model("iris").create_version()
    ada.push()
    with bob.transaction("Make nine") as change:
        made = [change.get_model("iris").create_version(metadata={"i": i}) for i in range(9)]
    assert [version.number for version in made] == list(range(4, 13))
    bob.push()
    assert [bob.get_version(f"iris@{number}").metadata["i"] for number in range(11, 20)] == list(range(9))


def test_the_record_of_a_run_names_the_new_number_of_its_version(ada, bob):
    ada.get_model("iris").create_version()
    ada.push()
    bob.get_model("iris").create_version()
    moment = datetime(2026, 11, 23, tzinfo=timezone.utc)
    id, times = "20261123T101112Z-train-7f3a", {"started": moment, "finished": moment}
    run = RunRecord(id=id, pipeline="train", status="succeeded", versions=("iris@4",), **times)
    files = {paths.run_file(run.id): codec.encode(run)}
    transact(bob.repository, lambda _: Change(None, subject="Record a run", files=files))
    bob.push()
    assert bob.get_run(run.id).record.versions == ("iris@5",)


def test_a_pull_merges_edits_of_different_keys_and_keeps_the_remotes_value_of_one_key(ada, bob):
    ada.get_version("iris@1").log_metadata(accuracy=0.9, epochs=3)
    ada.update_model("iris", title="Iris", add_tags=["ada"])
    ada.push()
    bob.get_version("iris@1").log_metadata(accuracy=0.8, loss=0.1)
    bob.update_model("iris", audience="all", add_tags=["bob"])
    pulled = bob.pull()
    assert bob.get_version("iris@1").metadata == {"accuracy": 0.9, "epochs": 3, "loss": 0.1}
    iris = bob.get_model("iris")
    assert (iris.title, iris.audience, iris.tags) == ("Iris", "all", ["ada", "bob"])
    assert pulled.conflicts == [
        "models/iris/versions/1.toml, key metadata.accuracy: was changed on both sides; the remote's was kept"
    ]


def test_promotions_to_one_stage_here_and_at_the_remote_are_a_conflict_that_names_both_versions(ada, bob, bare):
    ada.get_version("iris@1").set_stage("production")
    ada.push()
    bob.get_version("iris@3").set_stage("production")
    pulled = bob.pull()
    assert pulled.conflicts == ["production of iris: version 3 here, version 1 at the remote; the remote's was kept"]
    assert held(bob) == {"production": 1}
    assert refs(bob.repository.common_dir) == refs(bare)


def test_a_replayed_commit_does_not_mention_a_dropped_promotion(ada, bob):
    ada.get_version("iris@1").set_stage("production")
    ada.push()
    with bob.transaction("Train and promote") as change:
        change.get_model("iris").create_version().set_stage("production")
    assert bob.pull().conflicts == [
        "production of iris: version 4 here, version 1 at the remote; the remote's was kept"
    ]
    said = bob.repository.git.lines("log", "-1", "--format=%B", "refs/heads/gitmodel")
    assert said[:4] == ["Train and promote", "", "Model: iris", "Version: 4"]
    assert [line.partition(":")[0] for line in said[4:] if line] == ["Txn"]


def test_a_replayed_promotion_names_the_previous_version_by_the_new_number(ada, bob):
    ada.get_model("iris").create_version()
    ada.push()
    bob.get_model("iris").create_version().set_stage("production")
    bob.get_version("iris@3").set_stage("production")
    bob.push()
    keys = ("Version", "Previous-Version")
    trailers = " ".join(f"%(trailers:key={key},valueonly,separator=%x20)" for key in keys)
    assert log(bob, f"--format={trailers}")[-2:] == ["5 2", "3 5"]


def test_a_pull_renumbers_versions_of_several_models_in_one_commit(ada, bob):
    ada.register_model("wine")
    for _ in range(3):
        ada.get_model("wine").create_version()
    ada.push()
    bob.pull()
    ada.get_model("iris").create_version()
    ada.push()
    with bob.transaction("Train both") as change:
        change.get_model("iris").create_version()
        change.get_model("wine").create_version()
    bob.push()
    said = bob.repository.git.lines("log", "-1", "--format=%B", "refs/heads/gitmodel")
    assert said[2:6] == ["Model: iris", "Version: 5", "Model: wine", "Version: 4"]


def test_a_pull_keeps_promotions_to_different_stages_made_here_and_at_the_remote(ada, bob, bare):
    ada.get_version("iris@1").set_stage("production")
    ada.push()
    bob.get_version("iris@3").set_stage("staging")
    assert bob.push().moved
    assert held(bob) == {"production": 1, "staging": 3}
    assert_sound(bare)


def test_a_version_promoted_here_and_at_the_remote_to_different_stages_ends_in_one_stage(ada, bob, bare):
    ada.get_version("iris@3").set_stage("production")
    ada.push()
    bob.get_version("iris@3").set_stage("staging")
    pulled = bob.pull()
    assert pulled.conflicts == ["iris staging: here version 3, which is in another stage at the remote"]
    assert held(bob) == {"production": 3}
    bob.push()
    assert_sound(bare)


def test_a_version_that_the_remote_deleted_is_not_promoted_by_a_pull(ada, bob, bare):
    ada.get_version("iris@3").delete(reason="wrong data")
    ada.push()
    bob.get_version("iris@3").set_stage("staging")
    bob.get_version("iris@3").log_metadata(loss=0.1)
    pulled = bob.pull()
    assert pulled.conflicts == [
        "staging of iris: version 3 is deleted; the remote's was kept",
        "iris 3 was changed here (metadata.loss) and deleted at the remote; the remote's was kept",
    ]
    bob.push()
    assert_sound(bare)


def test_a_version_that_the_remote_promoted_is_not_deleted_by_a_pull(ada, bob, bare):
    ada.get_version("iris@3").set_stage("staging")
    ada.push()
    bob.get_version("iris@3").delete(reason="wrong data")
    assert bob.pull().conflicts == ["staging of iris: version 3 is deleted; the remote's was kept"]
    assert held(bob) == {"production": 2, "staging": 3}
    bob.push()
    assert_sound(bare)


def test_a_version_name_given_in_two_clones_stays_with_the_remotes_version(ada, bob, bare):
    ada.get_model("iris").create_version("1.0")
    ada.push()
    bob.get_model("iris").create_version("1.0", metadata={"bob": True})
    with pytest.raises(Conflict) as refused:
        bob.push()
    assert refused.value.conflicts == [
        "the name 1.0 of iris was given to another version at the remote, which keeps it"
    ]
    assert bob.get_version("iris@5").metadata == {"bob": True}
    assert bob.get_version("iris@5").name is None
    assert log(bob, "--format=%s")[-1] == "Add iris 5"
    assert_sound(bare)


def test_a_pull_treats_version_names_that_differ_only_by_case_as_one_name(ada, bob, bare):
    ada.get_model("iris").create_version("rc-One")
    ada.register_model("Demo").create_version()
    ada.push()
    bob.get_model("iris").create_version("RC-one")
    bob.register_model("demo").create_version(metadata={"bob": True})
    with pytest.raises(Conflict) as refused:
        bob.push()
    assert len(refused.value.conflicts) == 2
    assert numbers(bob, "Demo") == [1, 2]
    assert bob.get_version("Demo@2").metadata == {"bob": True}
    assert bob.get_version("iris@5").name is None
    assert_sound(bare)


def test_local_changes_of_a_model_that_the_remote_renamed_go_to_its_new_name(ada, bob, bare):
    ada.update_model("iris", new_name="flower")
    ada.push()
    bob.get_model("iris").create_version(metadata={"bob": True}).set_stage("staging")
    bob.push()
    assert bob.get_version("flower@4").metadata == {"bob": True}
    assert held(bob, "flower") == {"production": 2, "staging": 4}
    assert log(bob, "--format=%s")[-2:] == ["Add flower 4", "Promote flower 4 to staging"]
    assert_sound(bare)


def test_a_replayed_rename_of_a_model_includes_versions_that_the_remote_added(ada, bob, bare):
    ada.get_model("iris").create_version(metadata={"ada": True})
    ada.push()
    bob.get_model("iris").create_version(metadata={"bob": True})
    bob.update_model("iris", new_name="flower")
    bob.get_version("flower@4").set_stage("staging")
    bob.push()
    assert bob.get_version("flower@4").metadata == {"ada": True}
    assert bob.get_version("flower@5").metadata == {"bob": True}
    assert held(bob, "flower") == {"production": 2, "staging": 5}
    assert sorted(refs(bare)) == [
        "refs/heads/gitmodel",
        "refs/tags/model/flower/production",
        "refs/tags/model/flower/staging",
    ]
    assert_sound(bare)


def test_a_push_sends_edits_made_after_an_unpushed_promotion(ada, bob, bare):
    ada.register_model("other")
    ada.push()
    bob.get_version("iris@3").set_stage("production")
    bob.get_version("iris@3").log_metadata(loss=0.1)
    bob.get_version("iris@1").delete(reason="old")
    bob.push()
    assert held(bob) == {"production": 3}
    assert_sound(bare)


def test_a_push_of_a_stage_that_was_changed_twice_sends_the_tag_of_the_newest_commit(ada, bob, bare):
    ada.register_model("other")
    ada.push()
    bob.get_version("iris@3").set_stage("production")
    bob.get_version("iris@2").set_stage("production")
    bob.push()
    assert_sound(bare)
    assert refs(bare) == refs(bob.repository.common_dir)


def test_a_merged_promotion_is_pending_in_each_clone_until_one_clone_applies_it(ada, bob, bare, git):
    ada.get_version("iris@3").set_stage("production")
    # moves only the branch of the remote and not the tag, as a merge on a host does
    git(bare, "fetch", "-q", str(ada.repository.common_dir), "gitmodel:gitmodel")
    assert not bob.pull().conflicts
    (state,) = bob.get_model("iris").stages
    assert (state.recorded, state.in_force, state.pending) == (3, 2, True)
    bob.apply()
    assert not bob.pull().moved
    assert [ref.name for ref in bob.push().moved] == ["model/iris/production"]
    assert refs(bare) == refs(bob.repository.common_dir)
    assert_sound(bare)


def test_a_push_does_not_restore_a_stage_tag_that_was_set_back_at_the_remote(ada, bob, bare, git):
    old = refs(bare)["refs/tags/model/iris/production"]
    ada.get_version("iris@3").set_stage("production")
    ada.push()
    bob.pull()
    git(bare, "update-ref", "refs/tags/model/iris/production", old)
    bob.register_model("other")
    (pulled,) = bob.push().pulled
    assert pulled.set_back == ["model/iris/production"]
    assert refs(bare)["refs/tags/model/iris/production"] == old
    assert bob.get_model("iris").stages[0].pending
    assert bob.pull().set_back == []


def test_a_pull_reports_a_stage_tag_that_was_removed_at_the_remote(bob, bare, git):
    git(bare, "update-ref", "-d", "refs/tags/model/iris/production")
    assert bob.pull().set_back == ["model/iris/production"]
    assert held(bob) == {}


def test_a_pull_does_not_report_changes_of_others_as_tags_that_it_set_back(ada, bob):
    ada.get_version("iris@3").set_stage("staging")
    ada.get_version("iris@1").set_stage("production")
    ada.push()
    assert bob.pull().set_back == []
    ada.get_model("iris").demote("staging")
    ada.get_model("iris").rollback("production")
    ada.push()
    assert bob.pull().set_back == []
    ada.update_model("iris", new_name="flower")
    ada.push()
    assert bob.pull().set_back == []


def test_a_remote_that_was_rewound_is_reported_and_local_commits_are_kept(team, bob, bare, git, capsys):
    before = refs(bare)
    git(bare, "update-ref", "refs/heads/gitmodel", "refs/heads/gitmodel~2")
    bob.get_model("iris").create_version()
    mine = refs(bob.repository.common_dir)
    for verb in (bob.pull, bob.push, bob.pull):
        with pytest.raises(Conflict, match="was rewound"):
            verb()
        assert refs(bob.repository.common_dir) == mine
    code, _, err = ask(capsys, "-C", team.folder / "bob", "pull")
    assert (code, "git model pull --rewound" in err) == (4, True)
    assert ask(capsys, "-C", team.folder / "bob", "pull", "--rewound")[0] == 0
    assert numbers(bob) == [1, 2, 3, 4]
    bob.push()
    assert_sound(bare)
    assert refs(bare)["refs/tags/model/iris/production"] == before["refs/tags/model/iris/production"]


def test_a_push_to_a_remote_whose_branch_was_deleted_is_refused_until_confirmed(bob, bare, git):
    git(bare, "update-ref", "-d", "refs/heads/gitmodel")
    mine = refs(bob.repository.common_dir)
    with pytest.raises(Conflict, match="was deleted"):
        bob.push()
    assert refs(bob.repository.common_dir) == mine
    bob.pull(rewound=True)
    bob.push()
    assert refs(bare) == mine


def test_a_pull_of_a_registry_with_another_root_is_refused_with_the_steps_to_repair(team, ada, bare):
    eve = team.clone("eve")
    setup.begin(eve.repository, new=True)
    eve.register_model("mine")
    mine, theirs = refs(eve.repository.common_dir), refs(bare)
    for verb in (eve.pull, eve.push):
        with pytest.raises(Refused, match="no common history") as refused:
            verb()
        assert "git branch -m gitmodel gitmodel-old" in refused.value.hint
    assert (refs(eve.repository.common_dir), refs(bare)) == (mine, theirs)


@pytest.fixture
def signed(bob, git, tmp_path):
    """Bob's newest commit, which he has signed but not pushed."""
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(tmp_path / "key")], check=True)
    bob.get_model("iris").create_version()
    tree = git(tmp_path / "bob", "rev-parse", "gitmodel^{tree}")
    signing = ("-c", "gpg.format=ssh", "-c", f"user.signingKey={tmp_path / 'key.pub'}")
    commit = git(tmp_path / "bob", *signing, "commit-tree", "-S", "-p", "gitmodel~1", "-m", "Signed", tree)
    git(tmp_path / "bob", "update-ref", "refs/heads/gitmodel", commit)
    return commit


def test_a_pull_that_would_replay_a_signed_commit_is_refused(ada, bob, signed, tmp_path):
    ada.register_model("other")
    ada.push()
    with pytest.raises(Refused, match="is signed"):
        bob.pull()
    assert refs(tmp_path / "bob")["refs/heads/gitmodel"] == signed


def test_a_push_that_replays_nothing_keeps_signed_commits(bob, signed, bare):
    bob.push()
    assert refs(bare)["refs/heads/gitmodel"] == signed


def test_a_push_without_a_shared_store_is_refused_with_the_command_to_set_one(team, bare, tmp_path):
    team.store = None
    client = team.clone("eve")
    client.register_model("iris").create_version(data={"train": source(team, "x")})
    with pytest.raises(Unreachable, match="others cannot reach") as refused:
        client.push()
    assert refused.value.exit_code == 7
    assert "git model init --store" in refused.value.hint
    assert refs(bare) == {}
    setup.begin(client.repository, store=(tmp_path / "store").as_uri())
    assert team.open("eve").push().artifacts == 1
    assert_sound(bare, store=(tmp_path / "store").as_uri())


def test_a_push_uploads_artifacts_before_it_moves_the_refs_that_name_them(team, ada, bare):
    seen = team.folder / "seen"
    write_hook(bare, "pre-receive", f"find '{team.folder}/store' -type f | wc -l > '{seen}'")
    with_private = Client(ada.repository.common_dir.parent, store=None, environ=team.environ("ada"))
    before = sum(path.is_file() for path in (team.folder / "store").rglob("*"))
    with_private.get_model("iris").create_version(data={"train": source(team, "new")})
    with_private.close()
    told = []
    done = ada.push(jobs=2, progress=lambda part, whole: told.append((part, whole)))
    assert done.artifacts == 1
    assert told == [(3, 3)]
    assert int(seen.read_text()) == before + 1


def test_the_message_of_a_server_hook_is_shown_and_no_ref_moves(bob, bare):
    write_hook(bare, "pre-receive", "echo 'releases are frozen until Monday' >&2\nexit 1")
    bob.get_version("iris@3").set_stage("production")
    mine, theirs = refs(bob.repository.common_dir), refs(bare)
    with pytest.raises(Refused, match="releases are frozen until Monday"):
        bob.push()
    assert (refs(bob.repository.common_dir), refs(bare)) == (mine, theirs)


def test_a_push_sends_the_branch_although_an_update_hook_refuses_a_tag(bob, bare):
    write_hook(bare, "update", 'case "$1" in refs/tags/*) echo "only release may promote" >&2; exit 1;; esac')
    bob.get_version("iris@3").set_stage("production")
    theirs = refs(bare)
    with pytest.raises(Refused, match="only release may promote") as refused:
        bob.push()
    assert "`git model apply --push`" in refused.value.hint
    assert bob.repository.tip() != theirs[editing.BRANCH]
    assert refs(bare) == {**theirs, editing.BRANCH: bob.repository.tip()}


def test_a_push_that_another_push_overtook_pulls_and_retries(ada, bob, bare, monkeypatch):
    real, overtaken = remote_pushes.push, []

    def push(repository, remote, moves):
        if len(overtaken) < 3 and repository is bob.repository:
            overtaken.append(1)
            ada.get_model("iris").create_version()
            ada.push()
        return real(repository, remote, moves)

    monkeypatch.setattr(remote_pushes, "push", push)
    bob.get_model("iris").create_version(metadata={"bob": True})
    done = bob.push()
    assert bob.get_version("iris@7").metadata == {"bob": True}
    assert [pulled.renumbered for pulled in done.pulled] == [["iris 4 -> 5"], ["iris 5 -> 6"], ["iris 6 -> 7"]]
    assert refs(bare) == refs(bob.repository.common_dir)


def test_a_push_that_other_pushes_always_overtake_ends_after_its_timeout(bob, monkeypatch):
    def push(repository, remote, moves):
        raise remote_pushes.RemoteMoved("somebody was faster")

    bob.register_model("other")
    monkeypatch.setattr(remote_pushes, "push", push)
    with pytest.raises(Conflict, match="somebody was faster"):
        bob.push(timeout=0)


def test_a_push_that_fails_after_the_server_moved_its_refs_counts_as_done(bob, bare):
    """The connection ends after the server moved its refs, but before the server reports the result."""
    write_hook(bare, "post-receive", "kill -9 $PPID")
    bob.get_version("iris@3").set_stage("production")
    bob.push()
    assert refs(bare) == refs(bob.repository.common_dir)
    assert not bob.push().commits


def test_a_push_cut_before_the_server_moved_its_refs_is_reported_and_can_be_repeated(bob, bare):
    hook = write_hook(bare, "pre-receive", "kill -9 $PPID")
    bob.get_version("iris@3").set_stage("production")
    theirs = refs(bare)
    with pytest.raises(Unreachable, match="cannot be pushed to"):
        bob.push()
    assert refs(bare) == theirs
    hook.unlink()
    bob.push()
    assert refs(bare) == refs(bob.repository.common_dir)
    assert_sound(bare)


def test_a_pull_does_not_replay_a_commit_that_was_replayed_and_pushed_before(ada, bob, tmp_path):
    """A clone that is restored from a backup still has a commit that it replayed and pushed after the backup."""
    import shutil

    bob.get_model("iris").create_version(metadata={"bob": True})
    shutil.copytree(tmp_path / "bob", tmp_path / "backup", symlinks=True)
    ada.get_model("iris").create_version()
    ada.push()
    bob.push()
    team_backup = Client(tmp_path / "backup")
    team_backup.get_version("iris@4").set_stage("staging")
    pulled = team_backup.pull()
    assert numbers(team_backup) == [1, 2, 3, 4, 5]
    assert pulled.renumbered == ["iris 4 -> 5"]
    assert held(team_backup)["staging"] == 5
    team_backup.close()


def test_a_pull_reports_a_remote_that_is_unreachable_or_unknown(bob, bare, tmp_path):
    bare.rename(tmp_path / "gone.git")
    with pytest.raises(Unreachable) as error:
        bob.pull()
    assert error.value.exit_code == 7
    with pytest.raises(NotFound, match="no remote 'upstream'"):
        bob.pull("upstream")


def test_the_setting_gitmodel_remote_chooses_one_of_several_remotes(team, bob, git, tmp_path):
    folder = tmp_path / "bob"
    git(folder, "remote", "rename", "origin", "hub")
    git(folder, "remote", "add", "spare", "nowhere")
    with pytest.raises(NotFound, match="several remotes"):
        team.open("bob").pull()
    git(folder, "config", "gitmodel.remote", "hub")
    assert team.open("bob").pull().remote == "hub"


def test_credentials_of_a_remote_are_never_printed(bob, git, tmp_path):
    git(tmp_path / "bob", "remote", "set-url", "origin", "http://ada:s3cret@127.0.0.1:9/x.git")
    for verb in (bob.pull, bob.push):
        with pytest.raises(Unreachable) as error:
            verb()
        assert "s3cret" not in error.value.message + error.value.hint
        assert "127.0.0.1:9" in error.value.message


@pytest.mark.parametrize(
    "name", ["refs/tags/model/-x/production", "refs/tags/model/iris/--exec=x", "refs/tags/model/a"]
)
def test_pull_and_push_ignore_tags_whose_names_no_stage_can_have(bob, bare, git, name):
    tag = refs(bare)["refs/tags/model/iris/production"]
    git(bare, "update-ref", name, tag)
    bob.register_model("other")
    bob.push()
    assert name not in refs(bob.repository.common_dir)
    assert refs(bare)[name] == tag


def test_tags_of_a_hostile_remote_do_not_count(bob, bare, git):
    blob = git(bare, "hash-object", "-w", "--stdin", input="not a tag")
    git(bare, "update-ref", "refs/tags/model/iris/production", blob)
    bob.pull()
    with pytest.raises(Invalid):
        bob.get_version("iris@production")


def test_symbolic_links_submodules_and_odd_paths_of_a_hostile_branch_are_refused(bob, bare, git, tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("do not read", encoding="utf-8")
    blob = git(bare, "hash-object", "-w", "--stdin", input=str(secret))
    evil = git(bare, "mktree", "--missing", input=f"120000 blob {blob}\tmodel.toml\n160000 commit {'1' * 40}\tsub\n")
    models = git(bare, "ls-tree", "gitmodel:models")
    models = git(bare, "mktree", "--missing", input=f"{models}\n040000 tree {evil}\tevil\n")
    root = [line for line in git(bare, "ls-tree", "gitmodel").splitlines() if not line.endswith("\tmodels")]
    root += [f"040000 tree {models}\tmodels", f"100644 blob {blob}\t-rf", f"100755 blob {blob}\t..hooks"]
    tree = git(bare, "mktree", "--missing", input="\n".join(root) + "\n")
    commit = git(bare, "commit-tree", "-p", "gitmodel", "-m", "\x1b[2Jevil", tree)
    git(bare, "update-ref", "refs/heads/gitmodel", commit)
    bob.get_model("iris").create_version()
    bob.pull()
    with pytest.raises((Invalid, NotFound)):
        bob.get_model("evil")
    assert numbers(bob) == [1, 2, 3, 4]
    assert not (tmp_path / "bob" / "-rf").exists()


def test_a_second_pull_completes_an_interrupted_pull(ada, bob, bare, monkeypatch):
    """The test interrupts the pull after its first git command, then after its second, and so on."""
    from gitmodel.git.running.process import Git

    class Cut(Exception):
        pass

    ada.get_model("iris").create_version().set_stage("staging")
    ada.push()
    bob.get_model("iris").create_version().set_stage("production")
    real = {name: getattr(Git, name) for name in ("run", "run_remote")}
    for last in range(200):
        left = iter(range(last))

        def cut(self, *arguments, name, left=left, **options):
            if next(left, None) is None:
                raise Cut
            return real[name](self, *arguments, **options)

        for name in real:
            monkeypatch.setattr(Git, name, lambda *a, name=name, cut=cut, **o: cut(*a, name=name, **o))
        try:
            bob.push()
            break
        except Cut:
            bob.repository.close()
    else:
        pytest.fail("the push never succeeded")
    monkeypatch.undo()
    assert last > 5
    bob.push()
    assert refs(bare) == refs(bob.repository.common_dir)
    assert held(bob) == {"staging": 4, "production": 5}
    assert_sound(bare)


def test_the_users_own_tags_and_branches_are_not_pushed_or_changed(bob, bare, git, tmp_path):
    folder = tmp_path / "bob"
    git(folder, "commit", "--allow-empty", "-q", "-m", "Mine")
    git(folder, "tag", "-a", "-m", "mine", "v1")
    git(folder, "tag", "-a", "-m", "mine", "on-registry", "gitmodel")
    git(folder, "config", "push.followTags", "true")
    bob.register_model("other")
    bob.push()
    assert git(bare, "for-each-ref", "--format=%(refname)").splitlines() == [
        "refs/heads/gitmodel",
        "refs/tags/model/iris/production",
    ]
    assert git(folder, "tag", "-l", "v1", "on-registry").splitlines() == ["on-registry", "v1"]


def test_equal_versions_created_in_one_second_in_three_clones_stay_separate(team, bob, bare):
    """The versions have one author and one time: the clock of the tests stands still, and CI jobs have one name."""
    people = [Client(team.folder / name, store=team.store) for name in ("ada", "bob")]
    team.clone("carol").pull()
    people.append(Client(team.folder / "carol", store=team.store))
    for client in people:
        client.get_model("iris").create_version(metadata={"accuracy": 0.5})
    pushed = [client.push() for client in people]
    assert [[one for pulled in done.pulled for one in pulled.renumbered] for done in pushed] == [
        [],
        ["iris 4 -> 5"],
        ["iris 4 -> 6"],
    ]
    for client in people:
        client.pull()
        assert numbers(client) == [1, 2, 3, 4, 5, 6]
        assert refs(client.repository.common_dir) == refs(bare)
        client.close()


def test_equal_models_and_promotions_made_in_one_second_in_two_clones_are_no_conflict(team, bob, bare):
    people = [Client(team.folder / name, store=team.store) for name in ("ada", "bob")]
    for client in people:
        client.register_model("rose")
        client.get_version("iris@1").set_stage("staging")
    assert [pulled.conflicts for client in people for pulled in client.push().pulled] == [[]]
    people[0].pull()
    assert refs(people[0].repository.common_dir) == refs(people[1].repository.common_dir) == refs(bare)
    for client in people:
        client.close()


def test_two_clones_that_create_a_registry_in_one_second_have_one_root_commit(team):
    ada, bob = team.clone("ada"), team.clone("bob")
    people = [Client(team.folder / name, store=team.store) for name in ("ada", "bob")]
    for client in people:
        client.register_model("iris").create_version()
    people[0].push()
    people[1].push()
    assert numbers(people[1]) == [1, 2]
    for client in (*people, ada, bob):
        client.close()


BROKEN = {
    "unknown stage": ("gitmodel.toml", "name = ", 'after = ["qa"]\nname = ', "stages[0].after: names 'qa'"),
    "not TOML": ("gitmodel.toml", "[[stages]]", "[[stages", "gitmodel.toml: is not TOML"),
    "a key of another type": ("models/iris/model.toml", "license = ", "license = 3 #", "model.toml, key license"),
    "no file of the format": ("notes.txt", "", "hello", "notes.txt"),
}


@pytest.mark.parametrize("case", BROKEN.values(), ids=BROKEN)
def test_a_push_of_a_record_that_check_refuses_is_refused_and_pushes_nothing(ada, bare, capsys, case):
    path, old, new, said = case
    folder = ada.repository.git.top
    before = refs(bare)
    text = editing.read(folder, path) if old else None
    editing.edit(folder, {path: text.replace(old, new, 1) if text else new})
    assert ada.check()
    code, _, err = ask(capsys, "-C", folder, "push")
    assert (code, said in err) == (5, True)
    assert "is not TOML" in said or "the push would publish records that break the format: " in err
    assert "is not TOML" in said or "git worktree add ../registry gitmodel" in err
    assert refs(bare) == before
    editing.edit(folder, {path: text})
    assert ask(capsys, "-C", folder, "push")[0] == 0


def test_the_records_of_a_first_push_are_checked(team, bare):
    carol = team.clone("carol")
    carol.register_model("iris", license="MIT").create_version()
    path = "models/iris/versions/1.toml"
    text = editing.read(carol.repository.git.top, path)
    editing.edit(carol.repository.git.top, {path: text.replace("number = 1", "number = 7")})
    with pytest.raises(Invalid, match=r"the push would publish .*versions/1\.toml, key number"):
        carol.push()
    assert refs(bare) == {}


def test_a_problem_that_the_remote_already_has_does_not_stop_a_push(ada, bob):
    folder = ada.repository.git.top
    editing.edit(folder, {"notes.txt": "hello"})
    editing.run(folder, "push", "-q", "origin", "gitmodel")
    bob.register_model("rose")
    bob.push()
    assert "rose" in [model.name for model in bob.list_models()]
