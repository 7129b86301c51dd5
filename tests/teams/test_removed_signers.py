"""A person who was removed from the list of signers pushes a change of a stage that requires signatures.

The version that a signer put there stays in force until a signer changes the stage. Mallory is the removed person.
"""

import subprocess

import pytest
from editing import BRANCH, edit, run
from signing import RULES, TAG, commit_by_hand, line, make_repo, person, promote, sign_as, stage_file, tag_by_hand
from stage_rules import STAGE
from teamwork import states
from transcripts import ask

from gitmodel import Client, NotFound
from gitmodel.registry.health import doctor
from gitmodel.registry.lists import index_access


@pytest.fixture
def ada(tmp_path, keys, bare):
    """The clone of Ada, a signer, who put iris@2 into production and removed Mallory from the list of signers."""
    folder = make_repo(tmp_path / "ada")
    edit(folder, {"gitmodel.toml": RULES, "allowed_signers": line(keys, "ada") + line(keys, "mallory")})
    sign_as(folder, keys, "ada")
    run(folder, "remote", "add", "origin", str(bare))
    with Client(folder, environ=person("ada")) as client:
        promote(client)
        commit_by_hand(folder, keys, {"allowed_signers": line(keys, "ada")}, key="ada")
        client.push()
        yield client


@pytest.fixture
def reader(tmp_path, ada, bare):
    """A clone that was made before Mallory's push."""
    subprocess.run(["git", "clone", "-q", str(bare), str(tmp_path / "reader")], check=True)
    with Client(tmp_path / "reader", environ=person("reader")) as client:
        client.pull()
        yield client


@pytest.fixture
def mallory(tmp_path, bare, ada):
    folder = tmp_path / "mallory"
    subprocess.run(["git", "clone", "-q", "--no-checkout", str(bare), str(folder)], check=True)
    run(folder, "update-ref", BRANCH, "refs/remotes/origin/gitmodel")
    return folder


def push(folder, *refspecs):
    run(folder, "push", "-q", "--force", "origin", *refspecs)


def by_mallory(ada, folder, keys, *, key, signer="mallory", sign_tag=True, when="2026-11-23T10:12:13Z"):
    """Push a commit of the author *signer* that puts version 3 into production, and its stage tag.

    Both are signed with *key*, unless it is "". If *sign_tag* is False, the tag is not signed.
    """
    files = {STAGE: stage_file(ada, 3)}
    commit = commit_by_hand(folder, keys, files, key=key, author=signer, when=when)
    tag_by_hand(folder, keys, commit, key=key if sign_tag else "", tagger=signer, when=when)
    push(folder, BRANCH, TAG)


ATTACKS = {
    "removed signer": lambda *given: by_mallory(*given, key="mallory"),
    "key of somebody who never was listed": lambda *given: by_mallory(*given, key="bob", signer="bob"),
    "own key in the name of a signer": lambda *given: by_mallory(*given, key="mallory", signer="ada"),
    "no signature at all": lambda *given: by_mallory(*given, key=""),
    "tag without a signature": lambda ada, folder, keys: (
        tag_by_hand(folder, keys, run(folder, "rev-parse", f"{TAG}^{{}}")),
        push(folder, TAG),
    ),
    "lightweight tag": lambda ada, folder, keys: (run(folder, "update-ref", TAG, BRANCH), push(folder, TAG)),
    "rules switched off first": lambda ada, folder, keys: (
        edit(folder, {"gitmodel.toml": RULES.replace("signed = true\n", "")}),
        by_mallory(ada, folder, keys, key=""),
    ),
    "list of signers replaced first": lambda ada, folder, keys: (
        edit(folder, {"allowed_signers": line(keys, "mallory")}),
        by_mallory(ada, folder, keys, key="mallory"),
    ),
    "stage emptied": lambda ada, folder, keys: (edit(folder, {STAGE: None}), push(folder, BRANCH)),
}


def in_list(client):
    """Return the number of the version that the list of models shows in production."""
    (view,) = client.view_models()
    return {state.name: state.in_force for state in view.stages}["production"]


@pytest.mark.parametrize("attack", ATTACKS)
def test_a_signed_change_stays_in_force_after_a_push_of_a_removed_signer(
    ada, reader, mallory, keys, bare, tmp_path, monkeypatch, attack
):
    monkeypatch.setattr(index_access, "_MODELS_FOR_INDEX", 0)  # makes lists use the index
    assert in_list(reader) == 2
    ATTACKS[attack](ada, mallory, keys)
    reader.pull()
    assert reader.get_version("iris@production").number == 2
    assert in_list(reader) == in_list(reader) == 2
    run(tmp_path, "clone", "-q", str(bare), "new")
    with Client(tmp_path / "new", environ=person("new")) as fresh:
        assert fresh.get_version("iris@production").number == 2
        assert in_list(fresh) == in_list(fresh) == 2
        fresh.pull()
        assert fresh.get_version("iris@production").number == 2
    environ = {**person("url"), "XDG_CACHE_HOME": str(tmp_path / "cache")}
    with Client(tmp_path, repo=f"file://{bare}", environ=environ) as by_url:
        assert by_url.get_version("iris@production").number == 2
        assert in_list(by_url) == in_list(by_url) == 2


def test_a_stage_tag_deleted_at_the_remote_stays_in_clones_and_the_next_push_restores_it(ada, reader, mallory, bare):
    push(mallory, f":{TAG}")
    done = reader.pull()
    assert done.set_back == ["model/iris/production"]
    assert reader.get_version("iris@production").number == 2
    ada.push()
    assert run(bare, "rev-parse", TAG) == run(reader.repository.common_dir, "rev-parse", TAG)


@pytest.mark.parametrize("how", ["deleted", "deleted, and unsigned change"])
def test_commands_in_a_fresh_clone_say_that_the_stage_tag_may_have_been_deleted(
    ada, mallory, keys, bare, tmp_path, capsys, how
):
    """The clone cannot know if somebody deleted the tag or nobody created it. The message says both, and what to do."""
    if how != "deleted":
        by_mallory(ada, mallory, keys, key="mallory")
    push(mallory, f":{TAG}")
    subprocess.run(["git", "clone", "-q", str(bare), str(tmp_path / "new")], check=True)
    code, _, err = ask(capsys, "-C", tmp_path / "new", "resolve", "iris@production")
    assert code == 3
    assert "needs a signed tag, and this clone has none" in err
    assert "somebody deleted the tag" in err
    assert "git model push" in err
    for command in (("list",), ("show", "iris"), ("version", "list", "iris")):
        code, out, err = ask(capsys, "-C", tmp_path / "new", *command)
        assert (code, "pending" in out) == (0, False)
        assert err.count("somebody deleted the tag") == 1
    ada.push()
    with Client(tmp_path / "new", environ=person("new")) as fresh:
        fresh.pull()
        assert fresh.get_version("iris@production").number == 2


def test_a_change_signed_with_an_expired_key_is_not_in_force(ada, reader, mallory, keys):
    folder = ada.repository.git.top
    signers = line(keys, "ada") + line(keys, "bob", options='valid-before="20261124"')
    commit_by_hand(folder, keys, {"allowed_signers": signers}, key="ada")
    ada.push()
    run(mallory, "fetch", "-q", "origin", f"+{BRANCH}:{BRANCH}")
    by_mallory(ada, mallory, keys, key="bob", signer="bob", when="2026-12-01T00:00:00Z")
    reader.pull()
    assert reader.get_version("iris@production").number == 2


@pytest.mark.parametrize("attack", ["removed signer", "no signature at all", "lightweight tag"])
def test_the_commands_that_doctor_names_repair_the_registry(
    ada, mallory, keys, tmp_path, bare, capsys, monkeypatch, attack
):
    """The commands run in a fresh clone of a signer: `doctor --fix`, then `rollback`, then `push`."""
    ATTACKS[attack](ada, mallory, keys)
    folder = tmp_path / "fresh"
    subprocess.run(["git", "clone", "-q", str(bare), str(folder)], check=True)
    sign_as(folder, keys, "ada")
    for name, value in person("ada").items():
        monkeypatch.setenv(name, value)
    with Client(folder) as signer:
        signer.pull()
        for _ in range(4):
            found = [one for one in doctor.examine(signer.repository, None) if one.about == "tag"]
            if not found:
                break
            command = found[0].hint.split("`")[1].split()[2:]
            assert ask(capsys, "-C", folder, *command)[0] in (0, 6)
        assert [one for one in doctor.examine(signer.repository, None) if one.about == "tag"] == []
        assert states(signer.get_model("iris"))["production"] == (2, 2)
        signer.push()
    assert run(bare, "rev-parse", TAG) == run(folder, "rev-parse", TAG)
    ada.pull()
    assert states(ada.get_model("iris"))["production"] == (2, 2)


def test_a_person_without_a_listed_key_is_told_the_signers_who_can_repair_the_stage(
    ada, mallory, keys, reader, bare, tmp_path
):
    ATTACKS["removed signer"](ada, mallory, keys)
    subprocess.run(["git", "clone", "-q", str(bare), str(tmp_path / "new")], check=True)
    with Client(tmp_path / "new", environ=person("new")) as fresh:
        fresh.pull()
        (found,) = [one for one in doctor.examine(fresh.repository, None) if one.about == "tag"]
        assert not found.fixable
        assert "`git show gitmodel:allowed_signers`" in found.hint
        assert doctor.repair(fresh.repository, None) == []


def test_without_any_valid_signature_no_version_is_in_force(tmp_path, keys):
    folder = make_repo(tmp_path / "ada")
    edit(folder, {"gitmodel.toml": RULES, "allowed_signers": line(keys, "ada")})
    sign_as(folder, keys, "ada")
    with Client(folder, environ=person("ada")) as client:
        commit = commit_by_hand(folder, keys, {STAGE: stage_file(client, 3)}, key="mallory", author="mallory")
        tag_by_hand(folder, keys, commit, key="mallory", tagger="mallory")
        doctor.repair(client.repository, None)
        with pytest.raises(NotFound):
            client.get_version("iris@production")
