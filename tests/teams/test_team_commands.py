"""The commands `clone`, `remote`, `pull`, `push` and `init --from`."""

import json

import pytest
from teamwork import refs
from transcripts import ask

from gitmodel.client import administration


def test_two_people_clone_pull_and_push_on_the_command_line(team, ada, bob, capsys, monkeypatch):
    monkeypatch.setenv("GITMODEL_STORE", team.store)
    monkeypatch.chdir(team.folder)
    assert ask(capsys, "clone", "remote.git", "carol") == (0, "cloned into carol: 1 model\n", "")
    ada.get_version("iris@1").set_stage("production")
    ada.get_model("iris").create_version()
    ada.push()
    assert ask(capsys, "-C", "carol", "version", "create", "iris")[0] == 0
    assert ask(capsys, "-C", "carol", "promote", "iris@3", "production")[0] == 0
    code, out, _ = ask(capsys, "-C", "carol", "remote", "--format", "json")
    assert (code, json.loads(out)["ahead"], json.loads(out)["behind"]) == (0, 2, 0)
    before = refs(team.folder / "carol")["refs/heads/gitmodel"]
    code, out, err = ask(capsys, "-C", "carol", "push")
    assert code == 4
    assert out == (
        "replayed 1 commit of yours on origin\niris 4 -> 5: the number was taken\npushed 1 commit to origin\n"
    )
    assert err == (
        "warning: production of iris: version 3 here, version 1 at the remote; the remote's was kept\n"
        "error: 1 change of yours was left out, because others changed the same at origin\n"
        f"hint: `git log -p {before[:10]}` shows your state before; repeat the changes if they still apply\n"
    )
    assert ask(capsys, "-C", "carol", "push") == (0, "origin has everything\n", "")
    assert ask(capsys, "-C", "bob", "pull")[:2] == (0, "pulled 3 commits, 1 tag from origin\n")


def test_the_command_pull_reports_a_stage_tag_that_somebody_set_back(ada, bob, bare, capsys, git, team):
    old = refs(bare)["refs/tags/model/iris/production"]
    ada.get_version("iris@3").set_stage("production")
    ada.push()
    bob.pull()
    git(bare, "update-ref", "refs/tags/model/iris/production", old)
    code, out, err = ask(capsys, "-C", team.folder / "bob", "pull")
    assert (code, out) == (0, "pulled 1 tag from origin\n")
    assert err == (
        "warning: somebody moved the tag model/iris/production at origin away from what the branch records\n"
        "hint: ask who did it; `git model apply --push` puts what is recorded in force again\n"
    )
    assert ask(capsys, "-C", team.folder / "bob", "apply", "--push")[0] == 0
    assert refs(bare)["refs/tags/model/iris/production"] != old


def test_commands_mark_versions_that_were_not_pushed_as_local(team, ada, capsys):
    ada.get_model("iris").create_version()
    assert ada.get_version("iris@4").is_local
    assert not ada.get_version("iris@3").is_local

    def numbers(*arguments):
        code, out, err = ask(capsys, "-C", team.folder / "ada", *arguments)
        assert (code, err) == (0, "")
        return out

    def found(*arguments):
        return json.loads(numbers(*arguments, "--format", "json"))

    def column(*arguments):
        return [line.split("  ")[0].strip() for line in numbers(*arguments).splitlines()]

    assert column("version", "list", "iris") == ["VERSION", "4 (local)", "3", "2", "1"]
    assert "4 (local)" in numbers("list")
    assert "iris@4 (local)" in numbers("show", "iris@4")
    assert "the latest is 4 (local)" in numbers("show", "iris")
    listed = found("version", "list", "iris")
    assert [row["local"] for row in listed] == [True, False, False, False]
    assert column("version", "list", "iris", "--filter", "local") == ["VERSION", "4 (local)"]
    ada.push()
    assert column("version", "list", "iris") == ["VERSION", "4", "3", "2", "1"]
    assert "local" not in numbers("list")


def test_init_from_a_url_fetches_the_registry_and_keeps_the_remote_of_the_code(ada, bare, code_repo, git, capsys):
    git(code_repo, "remote", "add", "origin", "elsewhere")
    code, out, err = ask(capsys, "-C", code_repo, "init", "--from", bare)
    assert (code, err) == (0, "")
    assert out.startswith("adopted the registry of registry\n")
    assert git(code_repo, "config", "gitmodel.remote") == "registry"
    assert refs(code_repo) == refs(bare)


@pytest.mark.parametrize("url", ["http://ada:s3cret@127.0.0.1:9/x.git", "https://s3cret@127.0.0.1:9/x"])
def test_a_clone_that_fails_prints_no_credentials(team, capsys, monkeypatch, url):
    monkeypatch.chdir(team.folder)
    code, out, err = ask(capsys, "clone", url)
    assert (code, out) == (7, "")
    assert "s3cret" not in err
    assert "127.0.0.1" in err


def test_a_clone_refuses_a_folder_that_is_not_empty(team, ada, capsys, monkeypatch):
    monkeypatch.chdir(team.folder)
    code, _, err = ask(capsys, "clone", "remote.git", "ada")
    assert code == 2
    assert "ada already exists" in err


def test_a_pull_with_artifacts_copies_nothing_from_a_store_in_a_folder(team, bob, capsys):
    assert ask(capsys, "-C", team.folder / "bob", "pull", "--artifacts") == (0, "nothing new from origin\n", "")
    assert not list((team.folder / "bob" / ".git" / "gitmodel").glob("store/sha256/*"))


def test_a_clone_of_a_remote_whose_default_branch_is_the_registry_checks_out_no_records(team, ada, bare, git):
    ada.get_version("iris@1").set_stage("staging")
    ada.push()
    git(bare, "symbolic-ref", "HEAD", "refs/heads/gitmodel")
    carol = administration.clone(str(bare), team.folder / "carol", environ=team.environ("carol"))
    assert {path.name for path in carol.iterdir()} == {".git", "README.md", "gitmodel.toml"}
    assert git(carol, "status", "--porcelain") == ""
    assert refs(carol) == refs(bare)
    git(carol, "sparse-checkout", "disable")
    assert (carol / "models" / "iris" / "stages" / "staging.toml").is_file()
    assert git(carol, "status", "--porcelain") == ""


@pytest.mark.parametrize("head", ["refs/heads/main", "refs/heads/none"])
def test_a_clone_checks_out_the_code_of_the_default_branch(team, ada, bare, git, head):
    git(bare, "symbolic-ref", "HEAD", head)
    git(bare, "branch", "main", git(bare, "commit-tree", "-m", "Code", "gitmodel^{tree}"))
    carol = administration.clone(str(bare), team.folder / "carol", environ=team.environ("carol"))
    tracked = git(carol, "ls-tree", "-r", "--name-only", "HEAD").split() if head.endswith("main") else []
    assert [name for name in tracked if not (carol / name).is_file()] == []
    assert git(carol, "status", "--porcelain") == ""
    assert len(tracked) > 0 or head.endswith("none")
