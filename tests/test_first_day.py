"""What a team meets on its first day: a store that was not shared, a registry edited by hand, a word too few."""

import subprocess

import pytest
from transcripts import ask


@pytest.fixture
def iris(code_repo, monkeypatch, capsys):
    """A registry with iris@1, and its train.csv in the clone's own store."""
    monkeypatch.chdir(code_repo)
    (code_repo / "train.csv").write_text("a,b\n")
    assert ask(capsys, "register", "iris")[0] == 0
    assert ask(capsys, "version", "create", "iris", "--data", "train=train.csv")[0] == 0
    return code_repo


@pytest.fixture
def bob(iris, tmp_path, monkeypatch):
    """A plain clone of it, which has no artifact."""
    clone = tmp_path / "bob"
    subprocess.run(["git", "clone", "--quiet", str(iris), str(clone)], check=True)
    monkeypatch.chdir(clone)
    return clone


def test_a_clone_without_the_artifacts_says_how_to_share_them(bob, capsys):
    how = (
        "this store is of this clone alone; where it was made, type "
        "`git model init --store URL` and `git model store copy --from clone --to default`"
    )
    code, _, err = ask(capsys, "get", "iris@1", "train")
    assert (code, err.splitlines()[1]) == (3, f"hint: {how}")
    code, out, err = ask(capsys, "doctor", "--format", "json")
    assert how in out
    code, _, err = ask(capsys, "verify")
    assert code == 5
    assert "type there `git model store copy --from clone --to default`" in err


def test_what_is_missing_in_a_shared_store_may_be_in_a_clone(iris, tmp_path, capsys):
    assert ask(capsys, "init", "--store", tmp_path / "store")[0] == 0
    code, _, err = ask(capsys, "get", "iris@1", "train")
    assert code == 3
    assert err.splitlines()[1] == (
        f"hint: this store is {(tmp_path / 'store').as_uri()}; if a clone still has it, type there "
        "`git model store copy --from clone --to default`"
    )


def test_init_with_a_store_says_that_the_artifacts_are_still_elsewhere(iris, tmp_path, capsys):
    out = ask(capsys, "init", "--store", tmp_path / "store")[1]
    assert out.splitlines()[-1] == "next: git model store copy --from clone --to default"
    assert ask(capsys, "store", "copy", "--from", "clone", "--to", "default")[0] == 0
    assert ask(capsys, "init", "--store", tmp_path / "store")[1].splitlines()[-1] == "next: git model list"
