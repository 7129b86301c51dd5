"""Branches and tags that do not belong to this registry: gitmodel neither changes nor uses them.

Tested are a branch `gitmodel` that contains code, tags with the names of stage tags that somebody else made (foreign
tags), and a second registry on another branch of the same repository.
"""

import shlex

import pytest
from editing import refs_unchanged
from transcripts import ask, fail, succeed

from gitmodel import Client, GitModelError, NotFound, Refused
from gitmodel.registry.health import doctor

SETTING = "git config gitmodel.branch NAME"
WRITERS = """\
register iris
update iris --title X
version create iris
promote iris@1 production
store add other file:///tmp/other
apply
init
init --store file:///tmp/other
propose iris@1 production
"""
READERS = """\
list
show iris
resolve iris@production
version list iris
check
plan
log
history iris
"""


@pytest.fixture
def repo(code_repo, monkeypatch):
    """A repository without a registry, which is the current folder."""
    monkeypatch.chdir(code_repo)
    return code_repo


@pytest.fixture
def code_branch(repo, git):
    """The same repository with a branch named gitmodel that contains code, also in a folder `models/`."""
    (repo / "models" / "resnet").mkdir(parents=True)
    (repo / "models" / "resnet" / "net.py").write_text("layers = 50\n")
    git(repo, "add", ".")
    git(repo, "commit", "-q", "-m", "More code")
    git(repo, "branch", "gitmodel")
    return repo


def promoted(repo):
    """Create iris@1 and iris@2 in *repo*, and put iris@1 into production. Returns *repo*."""
    with Client(repo) as client:
        iris = client.register_model("iris")
        iris.create_version().set_stage("production")
        iris.create_version()
    return repo


class TestCodeOnTheBranch:
    @pytest.mark.parametrize("command", WRITERS.splitlines())
    def test_no_command_writes_to_a_branch_gitmodel_that_contains_code(self, code_branch, capsys, command):
        with refs_unchanged(code_branch):
            code, out, err = ask(capsys, *shlex.split(command))
            assert (code, out) in ((6, ""), (3, ""))
            assert "the branch gitmodel holds no registry: it has no gitmodel.toml" in err
            assert SETTING in err

    @pytest.mark.parametrize("command", READERS.splitlines())
    def test_commands_that_read_report_that_the_branch_holds_no_registry(self, code_branch, capsys, command):
        err = fail(capsys, 3, *shlex.split(command))
        assert "the branch gitmodel holds no registry" in err
        assert SETTING in err

    def test_doctor_reports_that_the_branch_holds_code(self, code_branch, capsys):
        code, out, err = ask(capsys, "doctor")
        assert (code, "the branch gitmodel holds no registry" in out + err) == (5, True)

    def test_config_can_select_another_branch_if_the_branch_gitmodel_holds_code(self, code_branch, capsys, git):
        succeed(capsys, "config")
        succeed(capsys, "config", "branch", "registry")
        succeed(capsys, "register", "iris")
        assert git(code_branch, "log", "--format=%s", "gitmodel").splitlines() == ["More code", "Begin"]

    def test_no_command_writes_to_a_branch_gitmodel_without_files(self, repo, capsys, git):
        empty = git(repo, "commit-tree", "-m", "Nothing", git(repo, "mktree", input=""))
        git(repo, "branch", "gitmodel", empty)
        code, _, err = ask(capsys, "register", "iris")
        assert (code, SETTING in err, git(repo, "rev-parse", "gitmodel")) == (6, True, empty)

    def test_no_command_adopts_a_remote_branch_with_code(self, code_branch, tmp_path, git, monkeypatch, capsys):
        git(tmp_path, "clone", "-q", str(code_branch), "clone")
        monkeypatch.chdir(tmp_path / "clone")
        before = git(tmp_path / "clone", "for-each-ref", "refs/heads")
        for command in ("register iris", "init", "pull", "push", "list"):
            code, _, err = ask(capsys, *command.split())
            assert (code, "holds no registry" in err) == (3 if command == "list" else 6, True)
            assert git(tmp_path / "clone", "for-each-ref", "refs/heads") == before

    def test_pull_and_push_are_refused_if_the_remote_branch_has_code(
        self, code_branch, tmp_path, git, monkeypatch, capsys
    ):
        git(tmp_path, "init", "-q", "mine")
        monkeypatch.chdir(tmp_path / "mine")
        promoted(tmp_path / "mine")
        git(tmp_path / "mine", "remote", "add", "origin", str(code_branch))
        before = git(code_branch, "rev-parse", "gitmodel")
        for command in ("pull", "push", "propose iris@2 production"):
            assert "the branch gitmodel of origin holds no registry" in fail(capsys, 6, *command.split())
        assert git(code_branch, "rev-parse", "gitmodel") == before

    def test_commands_on_a_url_are_refused_if_the_branch_contains_code(self, code_branch, capsys, git, tmp_path):
        git(tmp_path, "clone", "-q", "--bare", str(code_branch), "bare.git")
        with refs_unchanged(tmp_path / "bare.git"):
            for command in ("register iris", "init", "apply", "list", "resolve iris@production", "resolve iris@1"):
                code, _, err = ask(capsys, "--repo", (tmp_path / "bare.git").as_uri(), *command.split())
                assert (code in (3, 6), "the branch gitmodel holds no registry" in err) == (True, True), command

    def test_a_client_refuses_to_write_to_a_branch_that_contains_code(self, code_branch):
        with refs_unchanged(code_branch):

            def in_transaction(client):
                with client.transaction("Begin") as change:
                    change.register_model("iris")

            with Client(code_branch) as client:
                with pytest.raises(Refused, match="holds no registry"):
                    client.register_model("iris")
                with pytest.raises(GitModelError, match="holds no registry"):
                    in_transaction(client)
                with pytest.raises(NotFound, match="holds no registry"):
                    client.list_models()


FOREIGN = {
    "lightweight": ("tag", "-f", "model/iris/staging", "main"),
    "annotated": ("tag", "-f", "-a", "-m", "mine", "model/iris/staging", "main"),
    "of a file": ("tag", "-f", "-a", "-m", "mine", "model/iris/staging", "main:train.py"),
}


class TestForeignTags:
    @pytest.mark.parametrize("kind", FOREIGN)
    def test_the_refusal_of_a_promotion_that_would_replace_a_foreign_tag_names_the_tag(self, repo, capsys, git, kind):
        promoted(repo)
        git(repo, *FOREIGN[kind])
        with refs_unchanged(repo):
            for command in ("promote iris@2 staging", "version update iris 2 --stage staging", "demote iris staging"):
                err = fail(capsys, 6, *command.split())
                assert "model/iris/staging" in err, command
                assert "git tag -d model/iris/staging" in err
        git(repo, "tag", "-d", "model/iris/staging")
        succeed(capsys, "promote", "iris@2", "staging")

    def test_a_promotion_does_not_replace_a_stage_tag_that_somebody_moved(self, repo, capsys, git):
        promoted(repo)
        git(repo, "tag", "-f", "model/iris/production", "main")
        with refs_unchanged(repo):
            code, _, err = ask(capsys, "promote", "iris@2", "production")
            assert (code, "model/iris/production" in err, "git model doctor --fix" in err) == (6, True, True)
        succeed(capsys, "doctor", "--fix")
        assert ask(capsys, "resolve", "iris@production") == (0, "iris@1\n", "")
        succeed(capsys, "promote", "iris@2", "production")

    def test_setting_an_alias_and_renaming_or_deleting_a_model_do_not_change_a_foreign_tag(self, repo, git):
        promoted(repo)
        git(repo, "tag", "model/iris/champion", "main")
        git(repo, "tag", "model/flower/production", "main")
        before = git(repo, "for-each-ref", "refs/tags", "refs/heads")
        with Client(repo) as client:
            for change in (
                lambda: client.get_version("iris@1").add_alias("champion"),
                lambda: client.get_model("iris").rename("flower"),
                lambda: client.delete_model("iris", force=True),
            ):
                with pytest.raises(Refused, match="is not a stage tag of this registry"):
                    change()
        assert git(repo, "for-each-ref", "refs/tags", "refs/heads") == before

    def test_the_refusal_to_delete_a_model_names_its_foreign_tag(self, repo, capsys, git):
        ask(capsys, "register", "iris")
        git(repo, "tag", "model/iris/staging", "main")
        code, _, err = ask(capsys, "delete", "iris", "-y")
        assert (code, "the tag model/iris/staging is not a stage tag" in err, "None" in err) == (6, True, False)

    @pytest.mark.parametrize("command", ["apply", "doctor --fix"])
    def test_apply_and_doctor_do_not_follow_a_symbolic_stage_tag_to_another_tag(self, repo, capsys, git, command):
        promoted(repo)
        git(repo, "tag", "-a", "-m", "mine", "v1", "main")
        git(repo, "symbolic-ref", "refs/tags/model/iris/production", "refs/tags/v1")
        mine = git(repo, "rev-parse", "v1")
        succeed(capsys, *command.split())
        assert git(repo, "rev-parse", "v1") == mine
        assert ask(capsys, "resolve", "iris@production") == (0, "iris@1\n", "")

    def test_apply_and_doctor_do_not_move_a_foreign_tag(self, repo, capsys, git):
        promoted(repo)
        git(repo, "tag", "model/iris/staging", "main")
        with refs_unchanged(repo):
            code, out, err = ask(capsys, "apply")
            assert (code, "model/iris/staging" in out + err) == (6, True)
            code, out, err = ask(capsys, "doctor", "--fix")
            assert (code, "git tag -d model/iris/staging" in out + err) == (5, True)

    def test_commands_on_a_url_do_not_change_foreign_tags(self, repo, capsys, git, tmp_path):
        promoted(repo)
        git(tmp_path, "clone", "-q", "--mirror", str(repo), "bare.git")
        git(tmp_path / "bare.git", "tag", "model/iris/staging", "main")
        with refs_unchanged(tmp_path / "bare.git"):
            err = fail(capsys, 6, "--repo", (tmp_path / "bare.git").as_uri(), "promote", "iris@2", "staging")
            assert "model/iris/staging" in err
        # The hint shows the command that deletes the tag in the remote repository.
        deleting = f"git push {(tmp_path / 'bare.git').as_uri()} :refs/tags/model/iris/staging"
        assert f"`{deleting}`; if the stage is recorded, `git model doctor --fix`" in err
        assert "git tag -d" not in err
        git(repo, *shlex.split(deleting)[1:])
        succeed(capsys, "--repo", (tmp_path / "bare.git").as_uri(), "promote", "iris@2", "staging")

    def test_the_error_for_an_unknown_reference_is_the_same_by_url_and_in_a_clone(self, repo, capsys, git, tmp_path):
        with Client(promoted(repo)) as client:
            client.get_version("iris@1").update(name="1.0").add_alias("champion")
        git(tmp_path, "clone", "-q", "--mirror", str(repo), "bare.git")
        for wanted in ("iris@champoin", "iris@staging", "iris@nope"):
            said = ask(capsys, "resolve", wanted)
            assert "there is iris@champion, iris@production, iris@latest (2)" in said[2]
            assert ask(capsys, "--repo", (tmp_path / "bare.git").as_uri(), "resolve", wanted) == said

    def test_a_pipeline_run_does_not_replace_a_foreign_tag(self, repo, git):
        from gitmodel import ModelConfig, get_step_context, pipeline, step

        promoted(repo)
        git(repo, "tag", "model/iris/staging", "main")

        @step
        def promote() -> int:
            get_step_context().model_version.set_stage("staging")
            return 1

        @pipeline(enable_cache=False, model_config=ModelConfig(name="iris", create_new_model_version=True))
        def train():
            promote()

        tag = git(repo, "rev-parse", "model/iris/staging")
        train()
        assert git(repo, "rev-parse", "model/iris/staging") == tag
        with Client(repo) as client:
            assert client.get_model("iris").get_version().number == 3


class TestTwoRegistries:
    def test_creating_a_second_registry_is_refused_if_the_first_has_stage_tags(self, repo, capsys, monkeypatch):
        promoted(repo)
        with refs_unchanged(repo):
            monkeypatch.setenv("GITMODEL_BRANCH", "gitmodel-prod")
            for command in ("register iris", "init", "init --new", "register other"):
                err = fail(capsys, 6, *command.split())
                assert "model/iris/production belongs to a registry on the branch gitmodel" in err
                assert "GITMODEL_BRANCH=gitmodel" in err

    @pytest.fixture
    def both(self, repo, monkeypatch):
        """Two registries, on the branches gitmodel-prod and gitmodel. iris@1 of the second one is in production."""
        monkeypatch.setenv("GITMODEL_BRANCH", "gitmodel-prod")
        with Client(repo) as client:
            for name in ("iris", "rose"):
                client.register_model(name).create_version()
        monkeypatch.delenv("GITMODEL_BRANCH")
        return promoted(repo)

    @pytest.mark.parametrize("model", ["iris", "rose"])
    def test_the_second_registry_cannot_move_a_stage_tag_of_the_first(self, both, capsys, monkeypatch, model):
        with refs_unchanged(both):
            monkeypatch.setenv("GITMODEL_BRANCH", "gitmodel-prod")
            for command in (f"promote {model}@1 production", f"alias set {model}@1 champion"):
                assert "belongs to a registry on the branch gitmodel" in fail(capsys, 6, *command.split()), command
            for command in ("apply", "doctor --fix", "demote iris production", "delete iris --yes --force"):
                assert ask(capsys, *command.split())[0] != 0
            monkeypatch.delenv("GITMODEL_BRANCH")
        assert ask(capsys, "resolve", "iris@production") == (0, "iris@1\n", "")

    def test_pull_and_push_of_the_second_registry_keep_the_branch_of_the_first(self, both, capsys, git, monkeypatch):
        git(both.parent, "init", "-q", "--bare", "remote.git")
        git(both, "remote", "add", "origin", str(both.parent / "remote.git"))
        succeed(capsys, "push")
        monkeypatch.setenv("GITMODEL_BRANCH", "gitmodel-prod")
        code, _, err = ask(capsys, "pull")
        assert "deleted" not in err
        code, _, err = ask(capsys, "push")
        assert (code, "deleted" in err) == (0, False)
        assert git(both.parent / "remote.git", "for-each-ref", "--format=%(refname)", "refs/heads").split() == [
            "refs/heads/gitmodel",
            "refs/heads/gitmodel-prod",
        ]
        succeed(capsys, "pull")

    def test_versions_of_the_first_registry_can_be_promoted_beside_the_second(self, both, capsys):
        succeed(capsys, "promote", "iris@2", "production")
        succeed(capsys, "promote", "iris@1", "staging")

    def test_a_promotion_by_url_in_the_second_registry_is_refused(self, both, capsys, git, monkeypatch, tmp_path):
        git(tmp_path, "clone", "-q", "--mirror", str(both), "bare.git")
        before = git(tmp_path / "bare.git", "for-each-ref")
        for branch in ("gitmodel-prod", "gitmodel-new"):
            monkeypatch.setenv("GITMODEL_BRANCH", branch)
            for command in ("promote rose@1 production", "promote iris@1 production", "init"):
                code, _, err = ask(capsys, "--repo", (tmp_path / "bare.git").as_uri(), *command.split())
                if code == 6:
                    assert "GITMODEL_BRANCH=BRANCH" in err
                    assert "git push file://" in err
                assert git(tmp_path / "bare.git", "for-each-ref") == before, command

    def test_a_clone_refuses_stage_tags_moved_by_a_write_to_a_copy_of_the_branch(self, repo, capsys, git, monkeypatch):
        """A write to a copy of the metadata branch moves the stage tags to it; the docs on settings warn of this."""
        git(promoted(repo), "branch", "copy", "gitmodel")
        # A copy of the branch has no effect until somebody writes to the copy.
        succeed(capsys, "promote", "iris@1", "staging", "--leave")
        succeed(capsys, "promote", "iris@1", "production")
        git(repo, "branch", "-f", "copy", "gitmodel")
        monkeypatch.setenv("GITMODEL_BRANCH", "copy")
        succeed(capsys, "promote", "iris@2", "production")
        monkeypatch.delenv("GITMODEL_BRANCH")
        before = git(repo, "for-each-ref")
        code, out, err = ask(capsys, "resolve", "iris@production")
        assert (code, out, "git model doctor" in err) == (5, "", True)
        assert "if copy is a copy that nobody needs, delete it" in fail(capsys, 6, "promote", "iris@2", "production")
        assert git(repo, "for-each-ref") == before
        git(repo, "branch", "-D", "copy")
        succeed(capsys, "doctor", "--fix")
        assert ask(capsys, "resolve", "iris@production")[1] == "iris@1\n"

    def test_the_refusal_of_a_second_registry_names_the_renamed_branch_of_the_first(self, repo, git):
        promoted(repo)
        git(repo, "branch", "-m", "gitmodel", "gitmodel-old")
        with Client(repo) as client, pytest.raises(Refused, match="a registry on the branch gitmodel-old"):
            client.register_model("iris")

    def test_doctor_fix_sets_stage_tags_again_after_the_branch_got_its_name_back(self, repo, git):
        promoted(repo)
        with Client(repo) as client:
            client.get_version("iris@2").set_stage("production")
        git(repo, "update-ref", "refs/heads/gitmodel", "gitmodel~1")
        with Client(repo) as client:
            doctor.repair(client.repository, None)
            assert client.get_version("iris@production").number == 1
