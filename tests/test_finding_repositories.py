"""Finding the repository that a command uses: bare repositories, variables such as `GIT_DIR`, deleted folders.

If a variable names another repository than that of the current folder, gitmodel cannot know which one the user means:
it warns of reads and refuses writes. A repository that is named with `--repo` takes precedence over both.
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import editing
import pytest
from editing import write_script
from expected_errors import error_with_hint
from second_user import User, needs_root, open_folder

from gitmodel import Client, NotFound, UsageError
from gitmodel.git.running.failures import BareRefused

PROGRAMS = Path(sys.executable).parent
PROGRAM = str(PROGRAMS / "git-model")


def ask(folder, *words, **variables):
    """Run the command *words* in *folder* with these environment variables; return exit code, stdout and stderr."""
    environ = {**os.environ, "PATH": f"{PROGRAMS}{os.pathsep}{os.environ['PATH']}"}
    environ.update({name: str(value) for name, value in variables.items()})
    command = [str(word) for word in words]
    done = subprocess.run(command, cwd=folder, env=environ, capture_output=True, text=True)
    return done.returncode, done.stdout, done.stderr


def has_registry(repo):
    return "refs/heads/gitmodel" in editing.state(repo)


def model(folder, *words, **variables):
    return ask(folder, PROGRAM, *words, **variables)


def refused(exit_code, folder, *words, **variables):
    """Run `git model` with the arguments of `ask`; fail unless it ends with *exit_code*; return its stderr."""
    code, _, err = model(folder, *words, **variables)
    assert code == exit_code, err
    return err


@pytest.fixture
def explicit(git, tmp_path):
    """Set `safe.bareRepository=explicit`: git then uses a bare repository only if `GIT_DIR` or `--git-dir` names it."""
    git(tmp_path, "config", "--global", "safe.bareRepository", "explicit")


@pytest.fixture
def a(tmp_path, git):
    """An ordinary repository with a commit."""
    return make_repository(tmp_path / "a", git)


@pytest.fixture
def b(tmp_path, git):
    """Another ordinary repository, with another commit."""
    return make_repository(tmp_path / "b", git)


def make_repository(path, git):
    git(path.parent, "init", "-q", path.name)
    (path / "train.py").write_text(f"print('{path.name}')\n")
    git(path, "add", "train.py")
    git(path, "commit", "-q", "-m", "Begin")
    return path


# With the setting safe.bareRepository = explicit


class TestBareRepositories:
    @pytest.fixture
    def bare(self, explicit, tmp_path, git):
        git(tmp_path, "init", "-q", "--bare", "host.git")
        return tmp_path / "host.git"

    def test_commands_use_a_bare_repository_named_by_option_variable_or_setting(self, bare, tmp_path, git, monkeypatch):
        assert model(tmp_path, "--repo", bare, "register", "iris")[0] == 0
        assert model(tmp_path, "--repo", "host.git", "version", "create", "iris")[0] == 0
        assert model(tmp_path, "-C", bare, "promote", "iris@1", "production")[0] == 0
        assert model(tmp_path, "list", "-q", GITMODEL_REPO=bare)[1] == "iris\n"
        assert model(bare, "list", "-q", GIT_DIR=".")[1] == "iris\n"
        assert ask(tmp_path, "git", f"--git-dir={bare}", "model", "list", "-q")[1] == "iris\n"
        git(tmp_path, "config", "--global", "gitmodel.repo", str(bare))
        assert model(tmp_path, "list", "-q")[1] == "iris\n"
        git(tmp_path, "config", "--global", "--unset", "gitmodel.repo")
        monkeypatch.chdir(tmp_path)
        for arguments, named in (((bare,), {}), ((), {"repo": bare}), ((), {"repo": "host.git"})):
            with Client(*arguments, **named) as client:
                assert client.get_version("iris@production").number == 1

    def test_a_bare_repository_that_only_the_current_folder_names_is_refused_as_in_git(self, bare, monkeypatch):
        err = refused(6, bare, "list")
        assert "git does not use a bare repository that is not named" in err
        assert "git model --repo PATH" in err
        inside = bare / "objects"
        assert model(inside, "list")[0] == 6
        # `--repo .` names a folder inside of a bare repository, and not the repository.
        assert model(inside, "--repo", ".", "list")[0] == 6
        monkeypatch.chdir(bare)
        with pytest.raises(BareRefused):
            Client()

    def test_the_option_repo_may_name_the_git_folder_of_a_clone(self, explicit, a):
        assert model(a, "--repo", a / ".git", "register", "iris")[0] == 0
        assert model(a, "list", "-q")[1] == "iris\n"

    @pytest.mark.parametrize("kind", ["bare", "clone"])
    def test_a_server_hook_in_a_bare_repository_or_a_clone_checks_pushed_commits(self, bare, a, b, git, kind):
        host, git_dir = (bare, bare) if kind == "bare" else (b, b / ".git")
        code, out, err = ask(host, "git", "model", "hook", "install", "--server")
        assert (code, err) == (0, ""), out
        git(a, "remote", "add", "origin", str(host))
        assert model(a, "init", "--new")[0] == 0
        assert model(a, "register", "iris")[0] == 0
        assert model(a, "push")[::2] == (0, "")
        assert git(a, "rev-parse", "gitmodel") == git(host, f"--git-dir={git_dir}", "rev-parse", "gitmodel")
        editing.edit(a, {"models/iris/README": "x"})
        code, _, err = ask(a, "git", "push", "--no-verify", "origin", "gitmodel")
        assert (code, "models/iris/README: is not a file of the format" in err) == (1, True)

    def test_the_pre_push_hook_runs_in_linked_work_trees_and_submodules(self, bare, a, b, git, tmp_path):
        git(a, "worktree", "add", "-q", str(tmp_path / "tree"))
        git(b, "-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(a), "sub")
        for place in (tmp_path / "tree", b / "sub"):
            git(place, "remote", "add", "host", str(bare))
            assert model(place, "init", "--new")[0] == 0
            assert model(place, "hook", "install")[0] == 0
            assert ask(place, "git", "push", "-q", "host", "gitmodel:refs/heads/gitmodel")[0] == 0
            git(bare, f"--git-dir={bare}", "update-ref", "-d", "refs/heads/gitmodel")
        assert model(b / "sub", "version", "create", "iris")[0] == 3
        assert not has_registry(b)

    def test_clone_pull_push_and_access_by_url_work_with_a_bare_repository(self, bare, a, git, tmp_path):
        git(a, "remote", "add", "origin", str(bare))
        assert model(a, "init", "--new")[0] == 0
        assert model(a, "register", "iris")[0] == 0
        assert model(a, "push")[0] == 0
        assert model(tmp_path, "clone", bare, "c")[0] == 0
        assert model(tmp_path / "c", "version", "create", "iris")[0] == 0
        assert model(tmp_path / "c", "push")[0] == 0
        assert model(a, "pull")[0] == 0
        url = bare.as_uri()
        git(bare, f"--git-dir={bare}", "config", "uploadpack.allowFilter", "true")
        assert model(tmp_path, "--repo", url, "resolve", "iris")[0:2] == (0, "iris@1\n")
        assert model(tmp_path, "--repo", url, "version", "create", "iris")[0] == 0
        assert model(tmp_path, "--repo", url, "list", "-q")[1] == "iris\n"

    def test_commands_work_in_a_work_tree_of_a_bare_repository(self, bare, a, git, tmp_path):
        git(a, "push", "-q", str(bare), "main")
        git(tmp_path, f"--git-dir={bare}", "worktree", "add", "-q", str(tmp_path / "tree"), "main")
        assert model(tmp_path / "tree", "register", "iris")[0] == 0
        assert model(tmp_path, "--repo", bare, "list", "-q")[1] == "iris\n"
        assert model(tmp_path / "tree", "doctor")[0] in (0, 1, 5)


# Environment variables with which git names a repository or a part of it


class TestVariables:
    def test_commands_use_the_repository_that_git_dir_and_git_work_tree_name(self, a, b):
        assert ask(b, "git", f"--git-dir={a}/.git", f"--work-tree={a}", "model", "register", "iris")[::2] == (0, "")
        assert (has_registry(a), has_registry(b)) == (True, False)
        ask(b, "git", "--git-dir=../a/.git", "--work-tree=../a", "model", "version", "create", "iris")
        made = json.loads(model(a, "show", "iris@1", "--format", "json")[1])
        assert (made["code"]["commit"], made["code"]["dirty"]) == (editing.run(a, "rev-parse", "HEAD"), False)
        (a / "train.py").write_text("print('changed')\n")
        ask(b, "git", f"--git-dir={a}/.git", f"--work-tree={a}", "model", "version", "create", "iris")
        assert json.loads(model(a, "show", "iris@2", "--format", "json")[1])["code"]["dirty"] is True

    def test_if_git_dir_and_the_current_folder_name_different_repositories_writes_are_refused(self, a, b):
        model(a, "register", "theirs")
        model(a, "version", "create", "theirs")
        model(b, "register", "ours")
        (b / "weights").write_text("bytes")
        model(b, "version", "create", "ours")
        before = editing.state(a), editing.state(b), (b / ".git/config").read_text()
        for words in (
            ["register", "iris"],
            ["version", "create", "ours", "--data", "weights=weights"],
            ["update", "ours", "--license", "MIT"],
            ["delete", "ours", "--yes"],
            ["promote", "ours@1", "production"],
            ["config", "branch", "other"],
            ["config", "repo", str(b)],
            ["hook", "install"],
            ["hook", "uninstall"],
            ["version", "create", "theirs"],
            ["promote", "theirs@1", "production"],
            ["update", "theirs", "--license", "MIT"],
            ["delete", "theirs", "--yes"],
            ["alias", "set", "theirs@1", "champion"],
            ["register", "ours"],
            ["apply"],
            ["resolve", "theirs"],
        ):
            code, out, err = ask(b, "git", f"--git-dir={a}/.git", "model", *words)
            assert (code, out) == (2, ""), (words, err)
            assert f"GIT_DIR names {a}/.git" in err, (words, err)
            assert f"{b}/.git" in err
        assert (editing.state(a), editing.state(b), (b / ".git/config").read_text()) == before
        assert not list((b / ".git/gitmodel").rglob("store/sha256/*/*"))
        code, out, err = ask(b, "git", f"--git-dir={a}/.git", "model", "list", "-q")
        assert (code, out) == (0, "ours\n")
        assert f"warning: GIT_DIR names {a}/.git" in err

    def test_a_repository_named_by_option_or_setting_takes_precedence_over_git_dir(self, a, b, git):
        assert ask(b, "git", f"--git-dir={a}/.git", "model", "--repo", b, "register", "iris")[0] == 0
        assert (has_registry(a), has_registry(b)) == (False, True)
        assert model(b, "register", "second", GIT_DIR=a / ".git", GITMODEL_REPO=a)[0] == 0
        assert has_registry(a)
        git(b, "config", "gitmodel.repo", str(a))
        assert model(b, "register", "third", GIT_DIR=a / ".git")[::2] == (0, "")
        assert model(a, "list", "-q")[1] == "second\nthird\n"
        # The setting gitmodel.repo names only the registry. gitmodel still cannot know which repository has the code,
        # and refuses to create a version.
        assert "GIT_DIR names" in refused(2, b, "version", "create", "third", GIT_DIR=a / ".git")

    def test_git_dir_names_the_repository_if_the_current_folder_is_in_no_repository(self, a, tmp_path):
        nowhere = tmp_path / "nowhere"
        nowhere.mkdir()
        assert ask(nowhere, "git", f"--git-dir={a}/.git", "model", "register", "iris")[0] == 0
        assert ask(nowhere, "git", "--git-dir=../a/.git", "model", "version", "create", "iris")[0] == 0
        made = json.loads(model(a, "show", "iris@1", "--format", "json")[1])
        # git itself would use the current folder as the work tree, and report all files of the code as deleted.
        assert (made["code"]["commit"], made["code"].get("dirty")) == (editing.run(a, "rev-parse", "HEAD"), None)
        code, _, err = ask(nowhere, PROGRAM, "list", GIT_DIR=tmp_path / "gone")
        assert (code, f"GIT_DIR names {tmp_path}/gone, which is not a git repository" in err) == (3, True)

    def test_writes_are_refused_if_git_dir_names_no_repository(self, b, tmp_path):
        assert f"GIT_DIR names {tmp_path}/gone" in refused(2, b, "register", "iris", GIT_DIR=tmp_path / "gone")
        # In a server hook GIT_DIR is ".", which is no repository after the hook changes to another folder.
        assert "GIT_DIR names" in refused(2, b, "register", "iris", GIT_DIR=".")
        assert not has_registry(b)

    @pytest.mark.parametrize("form", ["relative", "absolute", "link"])
    def test_commands_work_if_git_dir_names_the_repository_of_the_current_folder(self, a, tmp_path, form):
        (tmp_path / "link").symlink_to(a / ".git")
        named = {"relative": ".git", "absolute": a / ".git", "link": tmp_path / "link"}[form]
        assert model(a, "register", "iris", GIT_DIR=named, GIT_INDEX_FILE=".git/index", GIT_PREFIX="")[0] == 0
        assert model(a, "version", "create", "iris", GIT_DIR=named)[0] == 0
        (a / "below").mkdir()
        assert model(a / "below", "list", "-q", GIT_DIR=a / ".git")[0:2] == (0, "iris\n")

    def test_git_dir_of_a_linked_work_tree_counts_as_its_main_repository(self, a, git, tmp_path):
        git(a, "worktree", "add", "-q", str(tmp_path / "tree"))
        own = git(tmp_path / "tree", "rev-parse", "--absolute-git-dir")
        assert model(tmp_path / "tree", "register", "iris", GIT_DIR=own)[0] == 0
        assert model(a, "register", "second", GIT_DIR=own)[0] == 0
        assert model(tmp_path / "tree", "register", "third", GIT_DIR=tmp_path / "tree/.git")[0] == 0

    def test_a_bare_repository_of_dotfiles_can_be_named_in_every_folder_below_the_home(self, a, git, tmp_path):
        dot = tmp_path / ".dotfiles"
        git(tmp_path, "init", "-q", "--bare", str(dot))
        git(tmp_path, f"--git-dir={dot}", "config", "status.showUntrackedFiles", "no")
        (tmp_path / ".vimrc").write_text("set nu\n")
        git(tmp_path, f"--git-dir={dot}", f"--work-tree={tmp_path}", "add", ".vimrc")
        git(tmp_path, f"--git-dir={dot}", f"--work-tree={tmp_path}", "commit", "-q", "-m", "Begin")
        named = f"--git-dir={dot}", f"--work-tree={tmp_path}"
        for folder, name in ((tmp_path, "of-home"), (a, "of-a")):
            assert ask(folder, "git", *named, "model", "register", name)[::2] == (0, "")
        assert not has_registry(a)
        assert ask(tmp_path, "git", *named, "model", "version", "create", "of-a")[::2] == (0, "")
        code_of = json.loads(ask(a, "git", *named, "model", "show", "of-a@1", "--format", "json")[1])["code"]
        assert code_of["commit"] == editing.run(tmp_path, f"--git-dir={dot}", "rev-parse", "HEAD")
        assert code_of["dirty"] is True  # because the home has untracked files

    def test_a_client_in_python_treats_git_dir_as_commands_do(self, a, b, monkeypatch):
        monkeypatch.chdir(b)
        environ = {**os.environ, "GIT_DIR": str(a / ".git")}
        for path in ((), (".",)):
            with Client(*path, environ=environ) as client:
                with error_with_hint(UsageError, r"GIT_DIR names .*/a/\.git.*/b/\.git", "--repo"):
                    client.register_model("iris")
                with pytest.raises(UsageError, match="GIT_DIR names"):
                    client.record_code()
                assert client.list_models() == ()
        assert (has_registry(a), has_registry(b)) == (False, False)
        with Client(b, environ=environ) as client:  # an explicit path overrides GIT_DIR
            client.register_model("iris").create_version()
        assert (has_registry(a), has_registry(b)) == (False, True)
        with Client(environ={**environ, "GIT_WORK_TREE": str(a)}) as client:
            client.register_model("iris").create_version()
        assert has_registry(a)
        monkeypatch.setenv("GIT_DIR", str(a / ".git"))
        with Client() as client, pytest.raises(UsageError), client.transaction("Both"):
            client.register_model("second")

    def test_the_error_of_a_client_for_a_missing_model_names_the_repository_that_was_searched(self, a, b, monkeypatch):
        with Client(a) as client:
            client.register_model("iris").create_version()
        with Client(b) as client:
            client.register_model("other").create_version().add_alias("champion")
        monkeypatch.chdir(b)
        with Client(environ={**os.environ, "GIT_DIR": str(a / ".git")}) as client:
            version = client.get_version("other@1")
            for look_up in (
                lambda: client.get_model("iris"),
                lambda: client.get_version("iris@1"),
                lambda: client.get_version("other@9"),
                lambda: client.get_model("other").get_version("production"),
                lambda: client.get_model("other").list_versions(filter="number == 1") and client.get_model("iris"),
                lambda: client.get_run("20260101T000000Z-12345678"),
                lambda: client.lineage("iris@1"),
                lambda: list(client.log("iris")),
                lambda: list(client.history("iris")),
                lambda: client.blame("iris@1"),
                lambda: client.diff("other@1", "iris@1"),
                lambda: list(client.verify("iris@1")),
                lambda: client.check("nope"),
                lambda: client.check_between("nope..HEAD"),
                lambda: client.plan("nope..HEAD"),
                lambda: client.at("HEAD~1000"),
                lambda: version.get_artifact("rows"),
            ):
                with pytest.raises(NotFound) as caught:
                    look_up()
                assert caught.value.hint.count(f"GIT_DIR names {a}/.git") == 1, caught.value
                assert f"the current folder is in the repository {b}/.git, which was read" in caught.value.hint
        with Client(b, environ={**os.environ, "GIT_DIR": str(a / ".git")}) as client, pytest.raises(NotFound) as caught:
            client.get_model("iris")
        assert "GIT_DIR" not in caught.value.hint

    @pytest.mark.parametrize(
        ("name", "said"),
        [
            ("GIT_COMMON_DIR", "GIT_COMMON_DIR names"),
            ("GIT_NAMESPACE", "gitmodel does not support"),
            ("GIT_OBJECT_DIRECTORY", "GIT_OBJECT_DIRECTORY names"),
            ("GIT_ALTERNATE_OBJECT_DIRECTORIES", "GIT_ALTERNATE_OBJECT_DIRECTORIES names"),
            ("GIT_INDEX_FILE", "GIT_INDEX_FILE names the index of"),
        ],
    )
    def test_writes_are_refused_if_a_variable_names_a_part_of_another_repository(self, a, b, git, name, said):
        there = {"GIT_INDEX_FILE": "index"}.get(name, "objects" if "OBJECT" in name else "")
        variables = {name: a / ".git" / there}
        before = sorted((a / ".git/objects").rglob("*"))
        assert said in refused(2, b, "register", "iris", **variables)
        assert model(a, "-C", b, "register", "iris", **variables)[0] == 2
        assert not has_registry(b)
        assert model(b, "--repo", b, "register", "iris", **variables)[0] == 0
        # The exit code is 2 if the variable also applies to the code repository, which --repo does not name.
        assert model(b, "--repo", b, "version", "create", "iris", **variables)[0] in (0, 2)
        code, out, err = model(b, "list", "-q", **variables)
        assert (code, out, said in err) == (0, "iris\n", True)
        assert git(b, "fsck", "--no-dangling") == ""
        assert sorted((a / ".git/objects").rglob("*")) == before

    @pytest.mark.parametrize("name", ["GIT_OBJECT_DIRECTORY", "GIT_ALTERNATE_OBJECT_DIRECTORIES", "GIT_INDEX_FILE"])
    def test_commands_work_if_a_variable_names_a_part_of_the_same_repository(self, a, git, name):
        own = a / ".git" / ("index" if name == "GIT_INDEX_FILE" else "objects")
        assert model(a, "register", "iris", **{name: own})[::2] == (0, "")
        assert model(a, "version", "create", "iris", **{name: own})[0] == 0
        assert git(a, "fsck", "--no-dangling") == ""

    @pytest.mark.parametrize("name", ["GIT_OBJECT_DIRECTORY", "GIT_ALTERNATE_OBJECT_DIRECTORIES"])
    def test_variables_for_folders_of_objects_do_not_apply_to_caches_bundles_and_clones(
        self, a, b, git, tmp_path, name
    ):
        model(b, "register", "iris")
        before = sorted((a / ".git/objects").rglob("*"))
        variables = {name: a / ".git/objects", "XDG_CACHE_HOME": tmp_path / "cache"}
        assert model(tmp_path, "--repo", b.as_uri(), "list", "-q", **variables)[1] == "iris\n"
        assert model(tmp_path, "--repo", b.as_uri(), "register", "rose", **variables)[0] == 0
        git(b, "bundle", "create", "-q", tmp_path / "all.bundle", "--all")
        assert model(tmp_path, "--repo", tmp_path / "all.bundle", "list", "-q", **variables)[1] == "iris\nrose\n"
        assert model(tmp_path, "clone", b.as_uri(), tmp_path / "clone", **variables)[0] == 0
        assert model(tmp_path / "clone", "list", "-q")[1] == "iris\nrose\n"
        assert sorted((a / ".git/objects").rglob("*")) == before

    def test_commands_in_a_server_hook_refuse_the_variable_git_namespace(self, b):
        environ = {**os.environ, "GIT_NAMESPACE": "team"}
        line = f"{'0' * 40} {'1' * 40} refs/heads/gitmodel\n"
        done = subprocess.run(
            [PROGRAM, "hook", "run", "pre-receive"], cwd=b, input=line, env=environ, capture_output=True, text=True
        )
        assert (done.returncode, "gitmodel does not support" in done.stderr) == (2, True)

    def test_the_environment_variable_git_config_has_no_effect(self, a, tmp_path):
        """`git help config` says that GIT_CONFIG affects only `git config`, and no other git command."""
        (tmp_path / "other").write_text("[gitmodel]\n\tbranch = other\n")
        assert model(a, "register", "iris", GIT_CONFIG=tmp_path / "other")[0] == 0
        assert has_registry(a)
        assert model(a, "config", "executor", "processes", GIT_CONFIG=tmp_path / "other")[0] == 0
        assert "processes" in (a / ".git/config").read_text()

    def test_the_search_for_the_repository_ends_at_a_folder_of_git_ceiling_directories(self, a):
        below = a / "below"
        below.mkdir()
        assert f"GIT_CEILING_DIRECTORIES ({a})" in refused(3, below, "list", "-q", GIT_CEILING_DIRECTORIES=a)
        assert model(below, "list", "-q", GIT_CEILING_DIRECTORIES=a.parent)[0] == 0

    def test_the_index_that_git_index_file_names_decides_if_the_code_has_uncommitted_changes(self, a, tmp_path):
        model(a, "register", "iris")
        shutil.move(a / ".git/index", tmp_path / "index")
        model(a, "version", "create", "iris", GIT_INDEX_FILE=tmp_path / "index")
        assert json.loads(model(a, "show", "iris@1", "--format", "json")[1])["code"]["dirty"] is False

    def test_commands_in_a_server_hook_can_write_to_another_registry_during_a_push(self, a, b, git, tmp_path):
        """The registry is not the pushed repository, whose quarantine folder git names in variables during the push."""
        model(b, "register", "iris")
        git(tmp_path, "init", "-q", "--bare", "host.git")
        write_script(tmp_path / "host.git/hooks/pre-receive", f"exec {PROGRAM} --repo {b} version create iris")
        code, _, err = ask(a, "git", "push", "-q", str(tmp_path / "host.git"), "main")
        assert (code, "iris@1" in err) == (0, True), err
        assert model(b, "list", "-q")[1] == "iris\n"
        assert git(b, "fsck", "--no-dangling") == ""


# Commands in a current folder that was removed or that the user may not enter


class TestFolders:
    @pytest.fixture
    def gone(self, tmp_path):
        """A function that runs a command in a current folder that was removed, and returns what the process printed."""
        folder = tmp_path / "gone"

        def run(*words):
            folder.mkdir()
            command = ["sh", "-c", 'rmdir "$PWD" && exec "$@"', "sh", *map(str, words)]
            done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
            return done.returncode, done.stdout, done.stderr

        return run

    def test_commands_in_a_current_folder_that_was_removed_work_with_a_named_repository(self, a, gone):
        assert gone(PROGRAM, "-C", a, "register", "iris")[0] == 0
        assert gone(PROGRAM, "--repo", a, "version", "create", "iris", "-q")[0:2] == (0, "iris@1\n")
        assert gone(PROGRAM, "--repo", a, "promote", "iris@1", "production")[0] == 0
        assert gone(PROGRAM, "--repo", a, "resolve", "iris@production")[0:2] == (0, "iris@1\n")
        assert gone(PROGRAM, "--repo", a, "doctor")[0] == 0
        assert gone(PROGRAM, "--repo", a.as_uri(), "resolve", "iris")[0:2] == (0, "iris@1\n")
        code, _, err = gone(PROGRAM, "list")
        assert (code, "the current folder is gone" in err, "--repo PATH" in err) == (3, True, True)
        made = json.loads(gone(PROGRAM, "--repo", a, "show", "iris@1", "--format", "json")[1])
        assert made["code"]["outside"] is True
        code, _, err = gone(PROGRAM, "--repo", "../a", "list")
        assert (code, "the current folder is gone" in err, "by its absolute path" in err) == (3, True, True), err
        assert gone(PROGRAM, "-C", "../a", "list", "-q")[0:2] == (0, "iris\n")

    def test_a_client_in_a_current_folder_that_was_removed_works_with_a_named_repository(self, a, gone):
        program = (
            "import sys; from gitmodel import Client\n"
            "with Client(repo=sys.argv[1]) as c: print(c.register_model('iris').create_version().number)\n"
            "with Client(sys.argv[1]) as c: print(c.get_version('iris@1').number)\n"
        )
        code, out, err = gone(sys.executable, "-c", program, a)
        assert (code, out) == (0, "1\n1\n"), err

    @needs_root
    def test_commands_in_a_folder_that_the_user_may_not_enter_work_with_a_named_repository(self):
        with open_folder() as top:
            ada, closed = User(top, 12345, 12345), top / "closed"
            closed.mkdir(mode=0o700)
            ada.git(ada.home, "init", "-q", "a")
            repo = ada.home / "a"
            assert ada.model(closed, "-C", repo, "register", "iris")[0] == 0
            assert ada.model(closed, "--repo", repo, "version", "create", "iris")[0] == 0
            assert ada.model(closed, "--repo", repo, "resolve", "iris")[1] == "iris@1\n"
            code, _, err = ada.model(closed, "list")
            assert (code, "you may not enter it" in err) == (3, True), err
            program = "c = Client(repo=words[0]); print(c.get_model('iris').create_version().number); c.close()"
            code, out, err = ada.python(closed, program, repo)
            assert (code, out) == (0, "2\n"), err


def test_the_error_for_a_repository_format_that_git_does_not_know_advises_a_newer_git(a, git):
    git(a, "config", "core.repositoryFormatVersion", "1")
    git(a, "config", "extensions.objectFormat", "sha3")
    with pytest.raises(UsageError, match="the installed git cannot use this repository") as caught:
        Client(a)
    assert caught.value.hint == "install a newer git, then try again"
