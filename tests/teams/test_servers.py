"""Pushes and pulls on real git servers: two clones, messages of hooks, and connections that are cut."""

import os
import socket
import subprocess

import editing
import pytest
from hosting import write_hook
from servers import REQUESTS, http_server
from stage_rules import PROPOSAL_ONLY, STAGE, stage_text
from teamwork import assert_sound, refs

from gitmodel import Client, Refused, Unreachable
from gitmodel.git.repositories.remote_commands import fetch_refs
from gitmodel.git.running import silence_timeout
from gitmodel.teams.sync import cloning

PRODUCTION = "refs/tags/model/iris/production"


@pytest.fixture
def http(bare, tmp_path, git):
    """An HTTP server with the remote, whose connections a test can cut."""
    git(bare, "config", "http.receivepack", "true")
    with http_server(tmp_path) as server:
        yield server


def test_two_clones_push_and_pull_on_each_kind_of_server(team, remote, bare, tmp_path):
    team.url = remote
    ada, bob = team.clone("ada"), team.clone("bob")
    iris = ada.register_model("iris")
    for _ in range(3):
        iris.create_version()
    ada.push()
    bob.pull()
    iris.create_version(metadata={"ada": True})
    ada.push()
    bob.get_model("iris").create_version(metadata={"bob": True}).set_stage("production")
    done = bob.push()
    assert done.pulled[0].renumbered == ["iris 4 -> 5"]
    assert refs(bare) == refs(bob.repository.common_dir)
    made = cloning.clone(remote, tmp_path / "service", environ=os.environ)
    with Client(made, repo=made) as service:
        assert service.get_version("iris@production").metadata == {"bob": True}
        assert refs(service.repository.common_dir) == refs(bare)
    assert_sound(bare)


def test_the_message_of_an_http_servers_hook_is_shown(ada, http, bare, git, tmp_path):
    git(tmp_path / "ada", "remote", "set-url", "origin", f"{http.url}/remote.git")
    write_hook(bare, "pre-receive", "echo 'GL-HOOK-ERR: ask the release team' >&2\nexit 1")
    ada.get_version("iris@3").set_stage("production")
    with pytest.raises(Refused, match="GL-HOOK-ERR: ask the release team"):
        ada.push()


def test_the_message_of_a_server_that_refuses_pushes_is_shown(ada, http, bare, git, tmp_path):
    git(tmp_path / "ada", "remote", "set-url", "origin", f"{http.url}/remote.git")
    git(bare, "config", "http.receivepack", "false")
    ada.register_model("other")
    theirs = refs(bare)
    with pytest.raises((Refused, Unreachable)) as error:
        ada.push()
    assert error.value.exit_code in (6, 7)
    assert refs(bare) == theirs


@pytest.mark.parametrize("when", ["before", "within", "after", "silent"])
@pytest.mark.parametrize(("method", "service"), REQUESTS)
def test_a_connection_that_is_cut_loses_nothing_and_running_again_completes(
    team, ada, bob, http, bare, git, tmp_path, method, service, when
):
    ada.get_model("iris").create_version()
    ada.push()
    git(tmp_path / "bob", "remote", "set-url", "origin", f"{http.url}/remote.git")
    git(tmp_path / "bob", "config", "gitmodel.silence", "1")
    bob = team.open("bob")
    bob.get_model("iris").create_version(metadata={"bob": True}).set_stage("production")
    before = refs(bare)
    http.cut = (method, service, when)
    try:
        bob.push()
        landed = True
    except Unreachable:
        landed = False
    if landed or when in ("after", "silent"):
        assert refs(bare) in (before, refs(bob.repository.common_dir))
    else:
        assert refs(bare) == before
    assert [version.metadata.get("bob") for version in bob.get_model("iris").versions].count(True) == 1
    http.cut = None
    bob.push()
    assert refs(bare) == refs(bob.repository.common_dir)
    assert [version.metadata.get("bob") for version in bob.get_model("iris").versions].count(True) == 1
    assert bob.get_version("iris@production").number == 5
    assert_sound(bare)


ONLY_RELEASE = """\
case "$1" in
refs/tags/model/*/production)
    [ "$REMOTE_USER" = release ] || { echo "$REMOTE_USER may not move $1" >&2; exit 1; } ;;
esac
"""


def test_an_identity_that_may_not_move_the_tag_cannot_put_a_version_in_force(ada, team, bare, git, tmp_path):
    """The host protects the tag. The identity that trains models tries each way to put its version in force."""
    editing.edit(tmp_path / "ada", {"gitmodel.toml": PROPOSAL_ONLY})
    ada.push()
    git(bare, "config", "http.receivepack", "true")
    write_hook(bare, "update", ONLY_RELEASE)
    with http_server(tmp_path, {"trainer": "one", "release": "two"}) as server:
        place = server.url.removeprefix("http://")
        trainer = team.clone("trainer", url=f"http://trainer:one@{place}/remote.git")
        release = team.clone("release", url=f"http://release:two@{place}/remote.git")
        trainer.pull()
        in_force = refs(bare)[PRODUCTION]
        folder = tmp_path / "trainer"

        # The identity that trains models creates a version and promotes it to staging.
        version = trainer.get_model("iris").create_version(metadata={"accuracy": 1.0})
        trainer.get_version("iris@3").set_stage("staging")
        trainer.push()
        # gitmodel refuses this identity a direct promotion to production. Plain git can record the promotion, but it is
        # not in force.
        with pytest.raises(Refused, match="proposal_only"):
            version.set_stage("production")
        editing.edit(folder, {STAGE: stage_text(trainer.get_model("iris"), version.number)})
        trainer.push()
        assert refs(bare)[PRODUCTION] == in_force
        assert [ref.stage for ref, _ in trainer.apply().refused] == ["production"]
        # The host refuses the push of the stage tag by this identity, whether `apply --reviewed` or plain git created
        # the tag.
        commit = git(folder, "rev-parse", "gitmodel")
        assert [ref.stage for ref in trainer.apply(reviewed=[commit]).moved] == ["production"]
        with pytest.raises(Refused, match="trainer may not move refs/tags/model/iris/production"):
            trainer.push()
        git(folder, "tag", "-f", "-a", "-m", "mine", "model/iris/production", "gitmodel")
        pushed = subprocess.run(
            ["git", "push", "--force", "origin", PRODUCTION], cwd=folder, capture_output=True, text=True
        )
        assert pushed.returncode != 0
        assert "trainer may not move" in pushed.stderr
        gone = subprocess.run(["git", "push", "origin", f":{PRODUCTION}"], cwd=folder, capture_output=True)
        assert gone.returncode != 0
        assert refs(bare)[PRODUCTION] == in_force

        # For the release identity, the change is pending.
        release.pull()
        assert release.get_version("iris@production").number == 2
        assert [ref.stage for ref, _ in release.apply().refused] == ["production"]
        assert [ref.stage for ref in release.apply(reviewed=[commit]).moved] == ["production"]
        release.push()
        assert refs(bare)[PRODUCTION] != in_force
    assert_sound(bare)


def test_output_that_git_prints_just_before_it_ends_is_not_lost(tmp_path, monkeypatch):
    monkeypatch.setattr(silence_timeout, "_LOOK", 0.0)
    said = [
        silence_timeout.run_until_silent(["sh", "-c", "printf words"], os.environ, cwd=tmp_path, silence=60)
        for _ in range(50)
    ]
    assert [one.stdout for one in said] == ["words"] * 50


def test_a_fetch_of_refs_ends_if_the_server_is_silent(team):
    client = team.clone("ada")
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"git://127.0.0.1:{server.getsockname()[1]}/remote.git"
        with pytest.raises(Unreachable, match="the remote sent nothing for 1 seconds"):
            fetch_refs(client.repository.git, url, "+refs/heads/*:refs/remotes/origin/*", prune=True, silence=1.0)
