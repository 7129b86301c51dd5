"""Pulls and pushes while another program locks or moves refs, and refs whose names block the name of a stage tag."""

import shutil
import time

import editing
import pytest
from hosting import git, write_hook, write_program
from stage_rules import GOOD, rules
from teamwork import BRANCH, refs, source

from gitmodel import Client, Conflict
from gitmodel.branch.remotes import unreachable
from gitmodel.git.running.silence_timeout import GitOutput
from gitmodel.registry.health import doctor

STAGING = "refs/tags/model/iris/staging"
COPIES = "refs/gitmodel/remotes/origin"


def push_something(ada):
    ada.get_version("iris@1").set_stage("staging")
    ada.get_model("iris").create_version()
    ada.push()


@pytest.mark.parametrize("ref", [f"{COPIES}/incoming", f"{COPIES}/model/iris/staging", "refs/remotes/origin/gitmodel"])
def test_a_pull_waits_for_the_lock_of_another_fetch_in_the_same_clone(team, ada, bob, bare, ref):
    """A script in place of git-upload-pack creates the lock at the first fetch, and removes it at the second."""
    push_something(ada)
    lock = team.folder / "bob" / ".git" / f"{ref}.lock"
    # The script runs three times: for ls-remote, for the fetch that finds the lock, and for the second fetch.
    write_program(
        team.folder,
        "upload-pack",
        f"echo >>{team.folder}/asked\n"
        f"case $(wc -l <{team.folder}/asked) in 2) mkdir -p {lock.parent}; : >{lock};; 3) rm {lock};; esac\n"
        'exec git-upload-pack "$@"',
    )
    git(team.folder / "bob", "config", "remote.origin.uploadpack", str(team.folder / "upload-pack"))
    team.open("bob").pull()
    assert not lock.exists()
    assert refs(team.folder / "bob") == refs(bare)


def test_a_pull_is_repeated_if_another_fetch_moved_a_ref_first(team, ada, bob, bare):
    push_something(ada)
    folder = team.folder / "bob"
    # The hook runs after the fetch moved one ref. It moves the other ref, as a fetch of another process could.
    write_hook(
        folder / ".git",
        "reference-transaction",
        f'read old new ref; [ "$1" = committed ] && [ "$ref" = {COPIES}/incoming ] || exit 0\n'
        f"rm $0\ngit update-ref {COPIES}/model/iris/staging HEAD\n",
    )
    (folder / "file").write_text("")
    git(folder, "add", "file")
    git(folder, "commit", "-q", "-m", "Something to point at")
    team.open("bob").pull()
    assert not (folder / ".git/hooks/reference-transaction").exists()
    assert refs(folder) == refs(bare)


def test_a_push_succeeds_although_its_remote_tracking_refs_are_locked_meanwhile(team, ada, bare, monkeypatch):
    """The server's hook creates the lock. A wrapper of git removes it when gitmodel retries the move of the refs."""
    ada.get_model("iris").create_version(data={"train": source(team, "ada")})
    lock = team.folder / "ada" / ".git" / f"{COPIES}/branches/gitmodel.lock"
    lock.parent.mkdir(parents=True, exist_ok=True)
    write_hook(bare, "post-receive", f": >{lock}")
    moved = team.folder / "moved"
    script = (
        f'case " $* " in *" update-ref --stdin "*) if [ -e {lock} ]; then echo >>{moved}\n'
        f'[ $(wc -l <{moved}) -lt 2 ] || rm {lock}; fi;; esac\nexec {shutil.which("git")} "$@"'
    )
    monkeypatch.setenv("PATH", write_program(team.folder / "programs", "git", script))
    assert team.open("ada").push().commits == 1
    assert moved.read_text().count("\n") == 2
    assert git(team.folder / "ada", "rev-parse", f"{COPIES}/branches/gitmodel") == refs(bare)["refs/heads/gitmodel"]


@pytest.mark.parametrize(
    ("blocking", "blocked"),
    [
        (f"{STAGING}/x", STAGING),
        (f"{STAGING}/x/y", STAGING),
        ("refs/tags/model/rose", "refs/tags/model/rose/staging"),
    ],
)
def test_push_and_doctor_name_a_tag_that_blocks_the_name_of_a_stage_tag(team, ada, bare, blocking, blocked):
    git(bare, "tag", blocking.removeprefix("refs/tags/"), "gitmodel")
    rose = ada.register_model("rose").create_version()
    (rose if "rose" in blocked else ada.get_version("iris@1")).set_stage("staging")
    begun = time.monotonic()
    with pytest.raises(Conflict) as caught:
        ada.push()
    assert time.monotonic() - begun < 20
    assert (
        caught.value.message == f"origin has {blocking}, so that git cannot create {blocked} there; nothing was pushed"
    )
    assert caught.value.hint == f"if nobody needs it, type: git push origin :{blocking}"
    (finding,) = [found for found in doctor.examine(ada.repository, None) if found.about == "tag"]
    assert finding.message == (
        f"origin has the tag {blocking.removeprefix('refs/tags/')}, which prevents git from creating a stage tag"
    )
    assert finding.hint == f"if nobody needs it, type: git push origin :{blocking}"
    git(team.folder / "ada", "push", "-q", "origin", f":{blocking}")
    ada.push()
    assert refs(team.folder / "ada") == refs(bare)
    assert [found for found in doctor.examine(ada.repository, None) if found.about == "tag"] == []


@pytest.mark.parametrize(
    ("blocking", "blocked"), [("refs/tags/model", "refs/tags/model/iris/"), ("refs/heads/gitmodel/x", BRANCH)]
)
def test_a_push_names_a_ref_of_the_remote_that_blocks_its_branch_or_its_stage_tags(team, bare, blocking, blocked):
    (team.folder / "x").mkdir()
    git(team.folder / "x", "init", "-q")
    git(team.folder / "x", "commit", "-q", "--allow-empty", "-m", "Begin")
    git(team.folder / "x", "push", "-q", str(bare), f"HEAD:{blocking}")
    carol = team.clone("carol")
    carol.register_model("iris").create_version().set_stage("staging")
    with pytest.raises(Conflict, match=f"origin has {blocking}, so that git cannot create {blocked}"):
        carol.push()


def test_a_promotion_by_url_names_a_tag_that_blocks_its_stage_tag(team, ada, bare):
    git(bare, "tag", "model/iris/staging/x", "gitmodel")
    carol = team.by_url("carol", bare.as_uri())
    with pytest.raises(Conflict) as caught:
        carol.get_version("iris@1").set_stage("staging")
    assert f"has {STAGING}/x, so that git cannot create {STAGING} there" in caught.value.message
    assert caught.value.hint == f"if nobody needs it, type: git push {bare.as_uri()} :{STAGING}/x"


@pytest.mark.parametrize(
    ("ref", "hint"),
    [
        (f"{STAGING}/x", "type: git tag -d model/iris/staging/x"),
        ("refs/tags/model/rose", "type: git tag -d model/rose"),
    ],
)
def test_a_promotion_names_a_local_tag_that_blocks_its_stage_tag_and_the_command_that_removes_it(team, ada, ref, hint):
    rose = ada.register_model("rose").create_version()
    git(team.folder / "ada", "update-ref", ref, "gitmodel")
    with pytest.raises(Conflict) as caught:
        (rose if "rose" in ref else ada.get_version("iris@1")).set_stage("staging")
    assert f"because {ref} exists" in caught.value.message
    assert caught.value.hint == hint
    (finding,) = [found for found in doctor.examine(ada.repository, None) if found.about == "tag"]
    assert finding.hint == f"if nobody needs it, {hint}"


def test_creating_a_registry_names_a_branch_that_blocks_the_metadata_branch_and_how_to_rename_it(code_repo):
    git(code_repo, "branch", "gitmodel/x")
    with Client(code_repo) as client, pytest.raises(Conflict) as caught:
        client.register_model("iris")
    assert caught.value.message == "git cannot create refs/heads/gitmodel, because refs/heads/gitmodel/x exists"
    assert caught.value.hint == "type: git branch -m gitmodel/x NEW-NAME"


def test_a_push_names_a_remote_whose_push_url_differs_from_its_fetch_url(team, ada, bare, tmp_path):
    git(tmp_path, "clone", "-q", "--mirror", str(bare), "fork.git")
    ada.get_model("iris").create_version()
    ada.push()
    git(team.folder / "ada", "remote", "set-url", "--push", "origin", str(tmp_path / "fork.git"))
    ada.get_model("iris").create_version()
    ada = team.open("ada")
    with pytest.raises(Conflict, match="origin refused the push 20 times, and nothing changed there") as caught:
        ada.push()
    assert "git remote -v" in caught.value.hint


def test_push_and_doctor_name_a_tag_that_blocks_the_name_of_the_rules_tag(team, ada, bob, bare):
    """git cannot create the tag of the rules if there is a tag below its name, because the name is a folder then."""
    editing.edit(team.folder / "ada" / ".git", rules(production=GOOD))
    ada.apply()
    ada.push()
    bob.pull()
    git(bare, "tag", "-d", "gitmodel-rules/gitmodel")
    git(bare, "tag", "gitmodel-rules/gitmodel/x", "gitmodel")
    removing = "git push origin :refs/tags/gitmodel-rules/gitmodel/x"
    for client, name in ((ada, "ada"), (bob, "bob")):
        before = refs(team.folder / name)
        client.get_model("iris").create_version()
        for meet in (client.pull, client.push):
            with pytest.raises(Conflict) as caught:
                meet()
            assert caught.value.message == (
                "origin has refs/tags/gitmodel-rules/gitmodel/x, so that the tag gitmodel-rules/gitmodel, which says "
                "which rules are in force, cannot be there; nothing was changed here"
            )
            assert removing in caught.value.hint
        assert refs(team.folder / name).keys() == before.keys()
        (finding,) = [found for found in doctor.examine(client.repository, None) if found.about == "tag"]
        assert finding.message == (
            "origin has the tag gitmodel-rules/gitmodel/x, "
            "which prevents git from creating the tag of the rules in force"
        )
        assert finding.hint == f"if nobody needs it, type: {removing}"
    for words in caught.value.hint.split("type: ")[1].replace("; then run `", "\n").split("` to set")[0].splitlines():
        git(team.folder / "bob", *words.split()[1:])
    ada.push()
    bob.push()
    ada.pull()
    assert refs(team.folder / "ada") == refs(team.folder / "bob") == refs(bare)
    assert [found for found in doctor.examine(ada.repository, None) if found.about == "tag"] == []


@pytest.mark.parametrize(
    ("printed", "hint"),
    [
        ("error: file write error: No space left on device", "nothing was changed; free space on the disk"),
        ("remote: error: file write error: No space left on device", "try again when the remote can be reached"),
    ],
)
def test_the_hint_names_this_disk_only_if_the_disk_of_this_machine_is_full(printed, hint):
    error = unreachable(
        "origin", "fetched", GitOutput(128, "", f"{printed}\nfatal: fetch-pack: invalid index-pack output")
    )
    assert error.hint.startswith(hint)
    assert "No space left on device" in error.message
