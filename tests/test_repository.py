"""gitmodel in all kinds of git repositories: it works there, and never changes the user's files, index and branches.

Other tests are about hooks of the user, registries in another repository, remotes, and stage tags that are forged (they
contradict the branch) or missing, so that a promotion or demotion is pending.
"""

import os
import shutil
import socket
import stat
import subprocess
import sys
import textwrap
from contextlib import suppress
from pathlib import Path

import editing
import pytest
from expected_errors import error_with_hint

from gitmodel import Client, Conflict, GitModelError, Invalid, NotFound, Refused, Unreachable, UsageError
from gitmodel.domain.schema.refs import StageRef

PRODUCTION = "refs/tags/model/iris/production"
WRITE = """
    from gitmodel import Client
    with Client({where!r}) as client:
        models = [model.name for model in client.list_models()]
        model = client.get_model("iris") if "iris" in models else client.register_model("iris")
        version = model.create_version()
        version.set_stage("production")
"""


def build(repo):
    """Create a registry in *repo*: iris@1 is archived, iris@2 is in production, iris@3 is in no stage."""
    with Client(repo) as client:
        iris = client.register_model("iris")
        for _ in range(3):
            iris.create_version()
        iris.get_version(1).set_stage("production")
        iris.get_version(2).set_stage("production")


def production(repo, **named):
    with Client(repo, **named) as client:
        return client.get_version("iris@production").number


def write_all(repo, **named):
    """Make every kind of change in the registry of *repo*, and check that reading shows the changes."""
    with Client(repo, **named) as client:
        iris = client.register_model("iris")
        iris.create_version("1.0").set_stage("production")
        iris.create_version().add_alias("champion")
        iris.rename("flowers")
        with client.transaction("Both") as change:
            change.get_model("flowers").create_version().set_stage("production")
        assert {state.name: state.in_force for state in iris.stages} == {"production": 3, "champion": 2}
        assert iris.get_version(1).stage == "archived"
        return client.repository.common_dir


def touched(repo, git):
    """Return what gitmodel must not change: the user's files, index, HEAD, branches, stash and settings."""
    inside = Path(git(repo, "rev-parse", "--absolute-git-dir"))
    files = {
        str(path.relative_to(repo)): path.read_bytes()
        for path in sorted(repo.rglob("*"))
        if path.is_file() and ".git" not in path.parts
    }
    return {
        "index": (inside / "index").read_bytes() if (inside / "index").exists() else None,
        "HEAD": (inside / "HEAD").read_bytes(),
        "files": files,
        "status": git(repo, "--no-optional-locks", "status", "--porcelain=v2", "--branch"),
        "branches": git(repo, "for-each-ref", "--format=%(refname) %(objectname)", "refs/heads/main"),
        "stash": git(repo, "stash", "list"),
        "config": (inside / "config").read_bytes() if (inside / "config").exists() else None,
    }


def python_hook(path, text):
    """Write a hook that runs the program *text* with this Python, in the environment that git gives the hook."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!{sys.executable}\n{textwrap.dedent(text)}")
    path.chmod(0o755)


class TestPlaces:
    def test_commands_work_in_a_subfolder_of_a_work_tree(self, code_repo):
        (code_repo / "src").mkdir()
        assert write_all(code_repo / "src") == code_repo / ".git"

    def test_a_linked_worktree_writes_to_the_registry_of_its_main_repository(self, code_repo, git, tmp_path):
        git(code_repo, "worktree", "add", "-q", str(tmp_path / "linked"), "-b", "topic")
        before = touched(tmp_path / "linked", git)
        assert write_all(tmp_path / "linked") == code_repo / ".git"
        assert touched(tmp_path / "linked", git) == before
        with Client(code_repo) as client:
            assert client.get_version("flowers@production").number == 3

    def test_a_submodule_has_a_registry_of_its_own(self, code_repo, git, tmp_path):
        above = tmp_path / "above"
        git(tmp_path, "init", "-q", str(above))
        git(above, "-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(code_repo), "sub")
        assert write_all(above / "sub") == above / ".git" / "modules" / "sub"
        with Client(above) as client:
            assert client.list_models() == ()

    def test_a_bare_repository_can_hold_a_registry(self, git, tmp_path):
        git(tmp_path, "init", "-q", "--bare", "registry.git")
        assert write_all(tmp_path / "registry.git") == tmp_path / "registry.git"

    def test_a_repository_with_a_separate_git_folder_can_hold_a_registry(self, git, tmp_path):
        git(tmp_path, "init", "-q", "--separate-git-dir", str(tmp_path / "elsewhere"), "work")
        assert write_all(tmp_path / "work") == tmp_path / "elsewhere"

    def test_commands_do_not_change_a_detached_head(self, code_repo, git):
        git(code_repo, "checkout", "-q", "--detach")
        before = touched(code_repo, git)
        write_all(code_repo)
        assert touched(code_repo, git) == before

    def test_a_repository_without_any_commit_can_hold_a_registry(self, git, tmp_path):
        git(tmp_path, "init", "-q", "new")
        write_all(tmp_path / "new")
        with Client(tmp_path / "new") as client:
            assert client.get_version("flowers@1").code.commit is None
        assert git(tmp_path / "new", "branch", "--format=%(refname)") == "refs/heads/gitmodel"

    def test_commands_do_not_change_staged_and_unstaged_changes(self, code_repo, git):
        (code_repo / "kept.py").write_text("1\n")
        git(code_repo, "add", "kept.py")
        git(code_repo, "commit", "-q", "-m", "Keep")
        (code_repo / "stashed.py").write_text("stashed\n")
        git(code_repo, "stash", "-q", "--include-untracked")
        (code_repo / "train.py").write_text("staged\n")
        git(code_repo, "add", "train.py")
        (code_repo / "train.py").write_text("staged, then changed\n")
        (code_repo / "kept.py").unlink()
        (code_repo / "untracked.py").write_text("new\n")
        before = touched(code_repo, git)
        write_all(code_repo)
        assert touched(code_repo, git) == before

    def test_commands_do_not_disturb_a_merge_in_progress(self, code_repo, git):
        git(code_repo, "checkout", "-q", "-b", "topic")
        (code_repo / "train.py").write_text("topic\n")
        git(code_repo, "commit", "-qam", "Topic")
        git(code_repo, "checkout", "-q", "main")
        (code_repo / "train.py").write_text("main\n")
        git(code_repo, "commit", "-qam", "Main")
        editing.subprocess.run(["git", "merge", "topic"], cwd=code_repo, capture_output=True)
        before = touched(code_repo, git)
        write_all(code_repo)
        assert touched(code_repo, git) == before
        assert (code_repo / ".git" / "MERGE_HEAD").exists()

    def test_reads_and_writes_work_after_pack_refs_gc_and_repack(self, code_repo, git):
        with Client(code_repo) as client:
            iris = client.register_model("iris")
            for number, command in enumerate(
                (["pack-refs", "--all"], ["gc", "-q"], ["repack", "-adq"], ["pack-refs", "--all"], ["gc", "-q"]),
                start=1,
            ):
                version = iris.create_version()
                git(code_repo, *command)
                version.set_stage("production")
                assert iris.get_version("production").number == number
                git(code_repo, *command)
                assert iris.get_version("production").number == number
            assert [version.stage for version in iris.versions] == ["archived"] * 4 + ["production"]
        assert git(code_repo, "fsck", "--strict", "--no-dangling") == ""

    def test_gitmodel_ignores_replace_refs(self, code_repo, git):
        build(code_repo)
        git(code_repo, "replace", "gitmodel", "gitmodel~1")
        assert production(code_repo) == 2

    def test_a_setting_or_variable_selects_the_name_of_the_metadata_branch(self, code_repo, git, monkeypatch):
        git(code_repo, "config", "gitmodel.branch", "registry/main")
        write_all(code_repo)
        assert "refs/heads/registry/main" in editing.state(code_repo)
        assert "refs/heads/gitmodel" not in editing.state(code_repo)
        monkeypatch.setenv("GITMODEL_BRANCH", "other")
        with Client(code_repo) as client:
            assert client.list_models() == ()
        monkeypatch.setenv("GITMODEL_BRANCH", "../x")
        with pytest.raises(UsageError, match="cannot be the metadata branch"):
            Client(code_repo)


class TestHooks:
    @pytest.mark.parametrize(
        "how", [["commit", "-q", "-m", "x"], ["commit", "-qam", "x"], ["commit", "-q", "-m", "x", "train.py"]]
    )
    @pytest.mark.parametrize("hook", ["pre-commit", "post-commit"])
    def test_a_version_can_be_created_in_a_pre_commit_or_post_commit_hook(self, code_repo, git, hook, how):
        (code_repo / "other.py").write_text("staged, and only by some ways to commit part of it\n")
        (code_repo / "train.py").write_text("changed\n")
        git(code_repo, "add", "--all")
        python_hook(
            code_repo / ".git" / "hooks" / hook,
            f"""
            import os, pathlib
            pathlib.Path({str(code_repo.parent / "environment")!r}).write_text(" ".join(os.environ))
            {textwrap.dedent(WRITE.format(where="."))}
            """.replace("\n            ", "\n"),
        )
        head = git(code_repo, "rev-parse", "HEAD")
        git(code_repo, *how)
        assert "GIT_INDEX_FILE" in (code_repo.parent / "environment").read_text()
        assert git(code_repo, "rev-parse", "HEAD^") == head
        expected = "train.py" if "train.py" in how else "other.py\ntrain.py"
        assert git(code_repo, "show", "--format=", "--name-only", "HEAD") == expected
        assert git(code_repo, "status", "--porcelain") == ("A  other.py" if "train.py" in how else "")
        assert git(code_repo, "ls-tree", "-r", "--name-only", "gitmodel").split()[:3] == [
            "README.md",
            "gitmodel.toml",
            "models/iris/model.toml",
        ]
        with Client(code_repo) as client:
            made = client.get_version("iris@production")
            assert made.code.commit == git(code_repo, "rev-parse", "HEAD^" if hook == "pre-commit" else "HEAD")

    def test_a_client_with_a_path_ignores_variables_that_name_another_repository(
        self, code_repo, git, tmp_path, monkeypatch
    ):
        git(tmp_path, "init", "-q", "other")
        for name, value in (
            ("GIT_DIR", tmp_path / "other" / ".git"),
            ("GIT_INDEX_FILE", tmp_path / "other" / "index"),
            ("GIT_NAMESPACE", "x"),
            ("GIT_PREFIX", "x/"),
            ("GIT_COMMON_DIR", tmp_path / "nowhere"),
            ("GIT_WORK_TREE", tmp_path / "other"),
        ):
            monkeypatch.setenv(name, str(value))
        write_all(code_repo)
        for name in ("GIT_DIR", "GIT_INDEX_FILE", "GIT_NAMESPACE", "GIT_PREFIX", "GIT_COMMON_DIR", "GIT_WORK_TREE"):
            monkeypatch.delenv(name)
        assert editing.state(tmp_path / "other") == ""
        assert not (tmp_path / "other" / "index").exists()
        with Client(code_repo) as client:
            assert client.get_version("flowers@1").code.commit == git(code_repo, "rev-parse", "HEAD")

    def test_gitmodel_in_a_server_hook_reads_the_pushed_commits_and_refuses_to_write(
        self, code_repo, git, tmp_path, origin
    ):
        with Client(code_repo) as client:
            client.register_model("iris").create_version().set_stage("production")
        git(code_repo, "push", "-q", "origin", "gitmodel", "refs/tags/model/*:refs/tags/model/*")
        python_hook(
            origin / "hooks" / "pre-receive",
            f"""
            import sys
            from gitmodel import Client, GitModelError
            with open({str(tmp_path / "seen")!r}, "w") as seen, Client(".") as client:
                print(client.get_version("iris@production").number, file=seen)
                for line in sys.stdin:
                    old, new, ref = line.split()
                    if ref == "refs/heads/gitmodel":
                        print(client.repository.snapshot_at(new).last_number("iris"), file=seen)
                try:
                    client.get_model("iris").create_version()
                except GitModelError as error:
                    print(error.exit_code, error.message, "|", error.hint, file=seen)
            """,
        )
        with Client(code_repo) as client:
            client.get_model("iris").create_version()
        git(code_repo, "push", "-q", "origin", "gitmodel")
        first, second, refusal = (tmp_path / "seen").read_text().splitlines()
        assert (first, second) == ("1", "2")
        assert refusal.startswith("6 ")
        assert "quarantine" in refusal
        assert git(origin, "rev-parse", "gitmodel") == git(code_repo, "rev-parse", "gitmodel")
        assert git(origin, "fsck", "--no-dangling") == ""

    def test_a_write_that_a_reference_transaction_hook_refuses_changes_nothing(self, code_repo):
        build(code_repo)
        hook = 'if [ "$1" = prepared ] && grep -q refs/heads/gitmodel; then echo "not on a Friday" >&2; exit 1; fi'
        editing.write_script(code_repo / ".git/hooks/reference-transaction", hook)
        refused = error_with_hint(Refused, "not on a Friday")
        with editing.refs_unchanged(code_repo), Client(code_repo) as client, refused:
            client.get_version("iris@3").set_stage("production")

    def test_a_demotion_is_pending_if_a_hook_refuses_to_delete_the_stage_tag(self, code_repo):
        build(code_repo)
        refusal = 'if [ "$1" = prepared ] && grep -q "0000000 refs/tags/"; then echo "tags stay" >&2; exit 1; fi'
        hook = editing.write_script(code_repo / ".git/hooks/reference-transaction", refusal)
        with Client(code_repo) as client:
            iris = client.get_model("iris")
            with pytest.raises(Refused, match=r"is recorded, but not all of it is in force: .*tags stay"):
                iris.demote("production")
            (state,) = iris.stages
            assert (state.recorded, state.in_force, state.pending) == (None, 2, True)
            hook.unlink()
            assert [ref.stage for ref in client.apply().moved] == ["production"]
            assert iris.stages == []


class TestRegistryElsewhere:
    @pytest.fixture
    def registry(self, git, tmp_path):
        git(tmp_path, "init", "-q", "registry")
        return tmp_path / "registry"

    def check(self, client, registry, code_repo, git):
        assert client.repository.common_dir == registry / ".git"
        version = client.register_model("iris").create_version()
        assert version.code.commit == git(code_repo, "rev-parse", "HEAD")
        assert "refs/heads/gitmodel" not in editing.state(code_repo)

    @pytest.mark.parametrize("where", ["absolute", "relative"])
    def test_the_argument_repo_names_the_repository_of_the_registry(self, registry, code_repo, git, monkeypatch, where):
        monkeypatch.chdir(code_repo)
        with Client(repo=registry if where == "absolute" else "../registry") as client:
            self.check(client, registry, code_repo, git)

    def test_the_variable_gitmodel_repo_names_the_repository_of_the_registry(
        self, registry, code_repo, git, monkeypatch
    ):
        monkeypatch.setenv("GITMODEL_REPO", str(registry))
        with Client(code_repo) as client:
            self.check(client, registry, code_repo, git)

    @pytest.mark.parametrize("where", ["absolute", "relative", "below"])
    def test_the_setting_gitmodel_repo_names_the_repository_of_the_registry(self, registry, code_repo, git, where):
        git(code_repo, "config", "gitmodel.repo", str(registry) if where == "absolute" else "../registry")
        (code_repo / "src" / "deep").mkdir(parents=True)
        with Client(code_repo / "src" / "deep" if where == "below" else code_repo) as client:
            self.check(client, registry, code_repo, git)

    def test_the_argument_repo_overrides_the_variable_and_the_variable_overrides_the_setting(
        self, registry, code_repo, git, tmp_path, monkeypatch
    ):
        for name in ("by-environment", "by-configuration"):
            git(tmp_path, "init", "-q", name)
        git(code_repo, "config", "gitmodel.repo", str(tmp_path / "by-configuration"))
        with Client(code_repo) as client:
            assert client.repository.common_dir == tmp_path / "by-configuration" / ".git"
        monkeypatch.setenv("GITMODEL_REPO", str(tmp_path / "by-environment"))
        with Client(code_repo) as client:
            assert client.repository.common_dir == tmp_path / "by-environment" / ".git"
        with Client(code_repo, repo=registry) as client:
            assert client.repository.common_dir == registry / ".git"

    def test_the_global_setting_gitmodel_repo_applies_outside_of_a_repository(self, registry, git, tmp_path):
        (tmp_path / "nowhere").mkdir()
        git(tmp_path, "config", "--global", "gitmodel.repo", str(registry))
        with Client(tmp_path / "nowhere") as client:
            version = client.register_model("iris").create_version()
            assert client.repository.common_dir == registry / ".git"
            assert version.code.outside

    @pytest.mark.parametrize("named", ["missing", "code/train.py"])
    def test_the_argument_repo_is_refused_if_it_names_no_repository(self, code_repo, tmp_path, monkeypatch, named):
        monkeypatch.chdir(tmp_path)
        with pytest.raises(NotFound) as caught:
            Client(code_repo, repo=named)
        assert caught.value.hint


class TestRefusals:
    def test_a_client_in_a_folder_outside_of_a_repository_is_refused_with_a_hint(self, tmp_path):
        (tmp_path / "plain").mkdir()
        with error_with_hint(NotFound, f"there is no git repository at {tmp_path}/plain", f"git init {tmp_path}/plain"):
            Client(tmp_path / "plain")

    def test_a_client_in_a_folder_that_does_not_exist_is_refused(self, tmp_path):
        with pytest.raises(NotFound, match="there is no folder"):
            Client(tmp_path / "missing")

    def test_a_registry_in_a_sha256_repository_is_refused(self, git, tmp_path):
        git(tmp_path, "init", "-q", "--object-format=sha256", "new")
        with error_with_hint(UsageError, "uses SHA256 object ids", "git model config repo"):
            Client(tmp_path / "new")
        assert editing.state(tmp_path / "new") == ""

    def test_the_error_for_a_missing_git_names_the_required_version(self, code_repo, tmp_path, monkeypatch):
        monkeypatch.setenv("PATH", str(tmp_path))
        with error_with_hint(UsageError, "git is not installed", "2.34"):
            Client(code_repo)

    @pytest.fixture
    def replace_git(self, tmp_path, monkeypatch):
        """A function that puts a program `git` first on PATH. The program reports the given version, else runs git."""

        def replace(version):
            code = f'case "$*" in *version*) echo "git version {version}" ;; *) exec {shutil.which("git")} "$@" ;; esac'
            editing.write_script(tmp_path / "bin" / "git", code)
            monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}")

        return replace

    @pytest.mark.parametrize("version", ["2.33.8", "2.17.1", "1.9.5.msysgit.1"])
    def test_a_git_that_is_too_old_is_refused(self, code_repo, replace_git, version):
        replace_git(version)
        refused = error_with_hint(UsageError, f"git version {version} is too old", "install git 2.34 or newer")
        with editing.refs_unchanged(code_repo), Client(code_repo) as client, refused:
            client.register_model("iris")

    @pytest.mark.parametrize("version", ["2.34.1", "2.39.5 (Apple Git-154)", "3.0.0", "2.55.GIT", "from a fork"])
    def test_a_recent_git_is_accepted_in_any_form_of_its_version_text(self, code_repo, replace_git, version):
        replace_git(version)
        with Client(code_repo) as client:
            client.register_model("iris")

    @pytest.mark.parametrize("missing", ["name", "email"])
    def test_a_write_without_a_name_or_email_of_the_user_is_refused(self, code_repo, git, hermetic, missing):
        git(code_repo, "config", "--global", "--unset", f"user.{missing}")
        git(code_repo, "config", "--global", "user.useConfigOnly", "true")
        refused = error_with_hint(UsageError, "git does not know who you are", "git config --global user.name")
        with editing.refs_unchanged(code_repo), Client(code_repo) as client, refused:
            client.register_model("iris")

    def test_a_write_takes_name_and_email_of_the_user_from_the_environment(self, code_repo, git, monkeypatch):
        git(code_repo, "config", "--global", "--remove-section", "user")
        for who in ("AUTHOR", "COMMITTER"):
            monkeypatch.setenv(f"GIT_{who}_NAME", "Grace Example")
            monkeypatch.setenv(f"GIT_{who}_EMAIL", "grace@example.com")
        write_all(code_repo)
        assert git(code_repo, "log", "-1", "--format=%an <%ae>", "gitmodel") == "Grace Example <grace@example.com>"

    def test_a_model_cannot_be_renamed_if_a_tag_of_the_user_prevents_its_new_stage_tags(self, code_repo, git):
        build(code_repo)
        git(code_repo, "tag", "model/flowers")
        refused = error_with_hint(Conflict, "refs/tags/model/flowers")
        with editing.refs_unchanged(code_repo), Client(code_repo) as client, refused:
            client.get_model("iris").rename("flowers")


class TestClones:
    @pytest.fixture
    def origin(self, code_repo, git, tmp_path):
        """A host's repository with code and a registry."""
        build(code_repo)
        git(tmp_path, "clone", "-q", "--mirror", str(code_repo), "origin.git")
        return tmp_path / "origin.git"

    def test_a_new_clone_reads_the_registry_of_its_remote_and_the_first_write_adopts_it(self, origin, git, tmp_path):
        git(tmp_path, "clone", "-q", str(origin), "clone")
        clone = tmp_path / "clone"
        assert "refs/heads/gitmodel" not in editing.state(clone)
        assert production(clone) == 2
        with Client(clone) as client:
            assert [version.stage for version in client.get_model("iris").versions] == ["archived", "production", None]
            assert "refs/heads/gitmodel" not in editing.state(clone)
            assert client.get_model("iris").create_version().number == 4
        assert git(clone, "rev-parse", "gitmodel^") == git(origin, "rev-parse", "gitmodel")
        assert len(git(clone, "rev-list", "--max-parents=0", "gitmodel").split()) == 1
        git(clone, "push", "-q", "origin", "gitmodel")

    def test_a_clone_of_a_single_branch_asks_the_remote_before_it_creates_a_registry(self, origin, git, tmp_path):
        git(tmp_path, "clone", "-q", "--single-branch", origin.as_uri(), "clone")
        clone = tmp_path / "clone"
        assert "gitmodel" not in editing.state(clone)
        with Client(clone) as client:
            with pytest.raises(Conflict, match="there is a model iris already"):
                client.register_model("iris")
            assert client.get_model("iris").create_version().number == 4
            assert client.get_version("iris@production").number == 2
        assert git(clone, "rev-parse", "gitmodel^") == git(origin, "rev-parse", "gitmodel")

    def test_a_registry_can_be_created_in_a_clone_if_the_remote_has_none(self, code_repo, git, tmp_path):
        git(tmp_path, "clone", "-q", "--mirror", str(code_repo), "origin.git")
        git(tmp_path, "clone", "-q", str(tmp_path / "origin.git"), "clone")
        write_all(tmp_path / "clone")

    def test_if_the_remote_is_unreachable_only_the_creation_of_a_registry_is_refused(self, code_repo, git, tmp_path):
        git(code_repo, "remote", "add", "origin", str(tmp_path / "gone.git"))
        before = editing.state(code_repo)
        with Client(code_repo) as client:
            assert client.list_models() == ()
            with error_with_hint(Unreachable, "remote origin cannot be asked for one", "git model init --new"):
                client.register_model("iris")
            assert editing.state(code_repo) == before
            git(code_repo, "remote", "remove", "origin")
            client.register_model("iris")
            git(code_repo, "remote", "add", "origin", str(tmp_path / "gone.git"))
            client.get_model("iris").create_version()

    def test_the_first_change_in_a_clone_does_not_wait_forever_for_a_silent_remote(self, code_repo, git):
        git(code_repo, "config", "gitmodel.silence", "1")
        with socket.create_server(("127.0.0.1", 0)) as server, Client(code_repo) as client:
            git(code_repo, "remote", "add", "origin", f"git://127.0.0.1:{server.getsockname()[1]}/remote.git")
            before = editing.state(code_repo)
            with error_with_hint(Unreachable, "the remote sent nothing for 1 seconds", "git model init --new"):
                client.register_model("iris")
            assert editing.state(code_repo) == before

    def test_a_clone_reads_the_registry_of_origin_and_not_that_of_another_remote(self, origin, git, tmp_path):
        git(tmp_path, "init", "-q", "other.git", "--bare")
        git(tmp_path, "clone", "-q", str(origin), "clone")
        git(tmp_path / "clone", "remote", "add", "aaa", str(tmp_path / "other.git"))
        git(tmp_path / "clone", "update-ref", "refs/remotes/aaa/gitmodel", "HEAD")
        assert production(tmp_path / "clone") == 2

    def test_apply_creates_the_same_stage_tags_in_two_clones_after_a_merge(self, origin, code_repo, git, tmp_path):
        git(code_repo, "branch", "propose", "gitmodel")
        path = "models/iris/stages/production.toml"
        promotion = {path: editing.read(code_repo, path).replace("version = 2", "version = 3")}
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("GIT_AUTHOR_NAME", "Grace")
            patch.setenv("GIT_AUTHOR_EMAIL", "grace@example.com")
            side = editing.edit(code_repo, promotion, "Promote iris 3 to production", onto="refs/heads/propose")
        with Client(code_repo) as client:
            client.get_version("iris@1").log_metadata(a=1)
        editing.edit(code_repo, promotion, "Merge", parents=[git(code_repo, "rev-parse", "gitmodel"), side])
        git(code_repo, "push", "-q", str(origin), "gitmodel")
        git(tmp_path, "clone", "-q", str(origin), "clone")
        ids = set()
        for repo in (code_repo, tmp_path / "clone"):
            with Client(repo) as client:
                assert client.get_version("iris@production").number == 2
                (pending,) = client.get_version("iris@3").pending
                assert (pending.recorded, pending.in_force) == (3, 2)
                client.apply() if repo == code_repo else client.get_version("iris@3").set_stage("production")
                assert client.get_version("iris@production").number == 3
            ids.add(git(repo, "rev-parse", PRODUCTION))
        assert len(ids) == 1
        tag = git(code_repo, "cat-file", "tag", "model/iris/production")
        assert f"object {git(code_repo, 'rev-parse', 'gitmodel')}" in tag
        assert "tagger Grace <grace@example.com>" in tag
        assert "iris 2 -> 3 in production" in tag

    def test_the_refusal_to_apply_in_a_too_shallow_clone_shows_the_command_to_deepen_it(self, origin, git, tmp_path):
        git(tmp_path, "clone", "-q", "--depth=1", "--branch=gitmodel", origin.as_uri(), "clone")
        with Client(tmp_path / "clone") as client, error_with_hint(Invalid, "too shallow", "git fetch --unshallow"):
            client.apply()
        git(tmp_path / "clone", "fetch", "-q", "--unshallow")
        with Client(tmp_path / "clone") as client:
            client.apply()
        assert git(tmp_path / "clone", "rev-parse", PRODUCTION) == git(origin, "rev-parse", PRODUCTION)


# Ways to forge the production tag of iris: a command of the shell, and the message that readers must show.
ANNOTATED = "git tag -f -a -m x model/iris/production"
FORGERIES = {
    "lightweight": ("git tag -f model/iris/production gitmodel", "not an annotated tag"),
    "tag of a file": (f"{ANNOTATED} gitmodel:gitmodel.toml", "points at a blob"),
    "tag of a tag": (f"{ANNOTATED} {PRODUCTION}", "points at a tag"),
    "another stage's tag": (
        f"git tag -a -m x model/iris/staging {PRODUCTION}^{{commit}} && "
        f"git update-ref {PRODUCTION} refs/tags/model/iris/staging && git tag -d model/iris/staging",
        "the tag inside is called 'model/iris/staging'",
    ),
    "off the branch": (
        f"{ANNOTATED} $(git commit-tree -p gitmodel -m x gitmodel~1^{{tree}})",
        "not on the metadata branch",
    ),
    "the code": (f"{ANNOTATED} main", "not on the metadata branch"),
    "a commit that did not set it": (f"{ANNOTATED} gitmodel~1", "did not set production of iris"),
    "ahead of the branch": ("git update-ref refs/heads/gitmodel gitmodel~1", "not on the metadata branch"),
}


class TestTags:
    @pytest.mark.parametrize(("command", "why"), FORGERIES.values(), ids=FORGERIES)
    def test_readers_refuse_a_forged_stage_tag_until_its_version_is_promoted_again(self, code_repo, git, command, why):
        build(code_repo)
        with Client(code_repo) as client:
            client.register_model("good").create_version().set_stage("production")
            client.get_version("iris@3").set_stage("production")
        good = git(code_repo, "rev-parse", PRODUCTION)
        subprocess.run(["sh", "-ec", command], cwd=code_repo, check=True)
        with Client(code_repo) as client:
            iris = client.get_model("iris")
            with pytest.raises(Invalid, match="the tag model/iris/production does not count") as caught:
                iris.get_version("production")
            assert why in caught.value.message
            assert "git model doctor --fix" in caught.value.hint
            (state,) = iris.stages
            assert (state.in_force, state.pending) == (None, True)
            assert why in state.forged
            assert iris.get_version(3).stage != "production"
            assert client.get_version("good@production").number == 1
            assert len(client.list_models()) == 2
            recorded = state.recorded
            iris.get_version(recorded).set_stage("production")
            assert iris.get_version("production").number == recorded
        assert recorded == 2 or git(code_repo, "rev-parse", PRODUCTION) == good

    @pytest.mark.parametrize("lost", ["deleted", "behind"])
    def test_a_promotion_without_its_stage_tag_is_pending_and_apply_creates_the_tag(self, code_repo, git, lost):
        build(code_repo)
        before = git(code_repo, "rev-parse", PRODUCTION)
        with Client(code_repo) as client:
            iris = client.get_model("iris")
            iris.get_version(3).set_stage("production", reason="better")
            after = git(code_repo, "rev-parse", PRODUCTION)
            if lost == "deleted":
                git(code_repo, "update-ref", "-d", PRODUCTION)
            else:
                git(code_repo, "update-ref", PRODUCTION, before)
            (state,) = iris.stages
            assert (state.recorded, state.in_force, state.pending) == (3, None if lost == "deleted" else 2, True)
            assert iris.get_version(3).pending == (state,)
            if lost == "deleted":
                with error_with_hint(
                    NotFound, "iris 3 is recorded in production, but not in force yet", "git model apply"
                ):
                    iris.get_version("production")
            else:
                assert iris.get_version("production").number == 2
            iris.create_version()
            assert client.apply().moved == (StageRef("iris", "production"),)
            assert git(code_repo, "rev-parse", PRODUCTION) == after
            assert client.apply().moved == ()
            assert client.apply("iris").moved == ()
            assert iris.get_version("production").number == 3

    def test_a_demotion_whose_stage_tag_still_exists_is_pending_and_apply_deletes_the_tag(self, code_repo, git):
        build(code_repo)
        tag = git(code_repo, "rev-parse", PRODUCTION)
        with Client(code_repo) as client:
            iris = client.get_model("iris")
            iris.demote("production")
            git(code_repo, "update-ref", PRODUCTION, tag)
            assert iris.get_version("production").number == 2
            assert [state.recorded for state in iris.stages] == [None]
            assert client.apply().moved == (StageRef("iris", "production"),)
            assert "refs/tags" not in editing.state(code_repo)

    def test_a_stage_tag_at_an_old_commit_of_the_branch_is_in_force(self, code_repo):
        build(code_repo)
        with Client(code_repo) as client:
            for number in range(40):
                client.get_version("iris@3").log_metadata(round=number)
        assert production(code_repo) == 2

    def test_apply_creates_every_lost_stage_tag_again_with_the_same_object_id(self, code_repo, git):
        build(code_repo)
        with Client(code_repo) as client:
            client.get_version("iris@3").add_alias("champion", reason="x")
            client.get_model("iris").rename("flowers")
            client.register_model("other").create_version().set_stage("staging")
        before = git(code_repo, "for-each-ref", "refs/tags")
        git(code_repo, "tag", "-d", *git(code_repo, "tag").split())
        with Client(code_repo) as client:
            client.apply()
        assert git(code_repo, "for-each-ref", "refs/tags") == before


class TestDamage:
    def test_a_record_of_50_mb_is_refused_without_reading_the_file(self, code_repo):
        build(code_repo)
        editing.edit(code_repo, {"models/iris/versions/3.toml": b"#" * 50_000_000})
        with Client(code_repo) as client:
            with error_with_hint(Invalid, r"versions/3\.toml: has 50000000 bytes"):
                client.get_version("iris@3")
            assert client.get_version("iris@production").number == 2

    @pytest.mark.parametrize("size", [1_000, 200_000])
    def test_a_damaged_git_object_is_reported_and_does_not_stop_other_reads(self, code_repo, git, size):
        build(code_repo)
        with Client(code_repo) as client:
            client.register_model("good").create_version().set_stage("production")
        editing.edit(code_repo, {"models/iris/versions/1.toml": os.urandom(size).hex()})
        blob = git(code_repo, "rev-parse", "gitmodel:models/iris/versions/1.toml")
        path = code_repo / ".git" / "objects" / blob[:2] / blob[2:]
        path.chmod(0o644)
        data = path.read_bytes()
        path.write_bytes(data[: len(data) // 2])
        with Client(code_repo) as client:
            with pytest.raises(Invalid) as caught:
                client.get_version("iris@1")
            assert caught.value.hint
            assert [version.number for version in client.get_model("iris").versions] == [2, 3]
            assert client.get_version("good@production").number == 1
            assert client.get_version("iris@production").number == 2


def children():
    found = set()
    for task in Path("/proc/self/task").iterdir():
        with suppress(FileNotFoundError):  # raised if the thread ended after it was listed
            found.update(map(int, (task / "children").read_text().split()))
    return found


def descriptors():
    return len(os.listdir("/proc/self/fd"))


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="counts open files in /proc")
@pytest.mark.parametrize("operations", [60, pytest.param(10_000, marks=pytest.mark.soak)])
def test_operations_of_a_client_leave_no_open_file_or_child_process(code_repo, operations):
    before = (descriptors(), children())
    client = Client(code_repo)
    iris = client.register_model("iris")
    iris.create_version()
    iris.create_version()
    begun = None
    for number in range(operations // 3):
        iris.get_version(1 + number % 2).set_stage("production")
        assert iris.get_version("production").number == 1 + number % 2
        with pytest.raises(GitModelError):
            iris.get_version(1).set_stage("nonsense")
        begun = begun or (number == 5 and (descriptors(), len(children() - before[1])))
    assert (descriptors(), len(children() - before[1])) == begun
    assert begun[1] <= 2  # one git process reads objects, and another one moves refs
    client.close()
    assert (descriptors(), children()) == before


def test_many_clients_in_a_row_leave_no_open_file_or_child_process(code_repo):
    build(code_repo)
    before = (descriptors(), children())
    for _ in range(20):
        with Client(code_repo) as client:
            assert client.get_version("iris@production").number == 2
    assert (descriptors(), children()) == before


def test_commands_work_if_a_named_pipe_is_in_place_of_the_file_that_caches_facts_about_the_repository(tmp_path, git):
    git(tmp_path, "init", "-q", "repo")
    build(tmp_path / "repo")
    notes = tmp_path / "repo" / ".git" / "gitmodel" / "notes"
    notes.unlink(missing_ok=True)
    os.mkfifo(notes)
    code = f"""
        from gitmodel import Client
        with Client({str(tmp_path / "repo")!r}) as client:
            client.promote("iris@3", "production")
            print(client.get_version("iris@production").number)
    """
    command = [sys.executable, "-c", textwrap.dedent(code)]
    assert subprocess.run(command, capture_output=True, check=True, timeout=60).stdout == b"3\n"
    assert stat.S_ISFIFO(notes.stat().st_mode)
