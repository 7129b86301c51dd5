"""In a clone without all commits, tags or objects, as in CI, commands say what is missing and which fetch to run."""

import shlex
import subprocess

import pytest
from editing import edit
from transcripts import ask

from gitmodel import Client, Invalid, NotFound

READERS = ("list", "show iris", "resolve iris@production", "version list iris", "check", "plan", "log", "apply")


@pytest.fixture
def upstream(code_repo):
    """A repository with a registry: iris@2 replaced iris@1 in production, and iris then got a title."""
    with Client(code_repo) as client:
        iris = client.register_model("iris")
        for _ in range(3):
            iris.create_version()
        iris.get_version(1).set_stage("production")
        iris.get_version(2).set_stage("production")
        iris.update(title="Iris")
    return code_repo


@pytest.fixture
def clone(upstream, tmp_path, git, monkeypatch):
    """A function that clones the repository with options of git, and changes the current folder to the clone."""

    def make(*options):
        git(tmp_path, "clone", "-q", *options, upstream.as_uri(), "clone")
        monkeypatch.chdir(tmp_path / "clone")
        return tmp_path / "clone"

    return make


@pytest.mark.parametrize("options", [("--depth", "1"), ("--single-branch",), ("--depth", "1", "--no-tags")])
def test_commands_report_a_clone_without_the_registry_and_name_a_fetch_that_works(clone, capsys, options):
    clone(*options)
    for command in READERS:
        code, out, err = ask(capsys, *command.split())
        assert (code, out) == (3, ""), command
        assert "the registry is not in this clone" in err
        assert "register" not in err
    command = err.partition("`")[2].partition("`")[0]
    subprocess.run(shlex.split(command), check=True, capture_output=True)
    assert ask(capsys, "resolve", "iris@production") == (0, "iris@2\n", "")
    assert ask(capsys, "check")[0] == 0


def test_a_pull_fetches_the_registry_into_a_clone_without_it(clone, capsys):
    clone("--depth", "1")
    assert ask(capsys, "pull")[0] == 0
    assert ask(capsys, "resolve", "iris@production") == (0, "iris@2\n", "")
    assert ask(capsys, "apply") == (0, "", "nothing was pending\n")


def test_the_python_error_for_a_missing_registry_names_the_fetch_to_run(clone):
    with Client(clone("--depth", "1")) as client:
        for read in (client.list_models, client.check, client.apply, lambda: client.get_version("iris@production")):
            with pytest.raises(NotFound, match="the registry is not in this clone"):
                read()


def test_the_first_write_in_a_full_clone_without_a_registry_creates_one(code_repo, tmp_path, git, monkeypatch, capsys):
    git(tmp_path, "clone", "-q", code_repo.as_uri(), "clone")
    monkeypatch.chdir(tmp_path / "clone")
    assert ask(capsys, "list")[0] == 0
    for command in ("check", "plan"):
        code, _, err = ask(capsys, command)
        assert (code, "there is no registry" in err) == (3, True)
    assert ask(capsys, "register", "iris")[0] == 0


class TestWithoutTags:
    def test_a_clone_without_tags_does_not_report_stages_as_not_in_force(self, clone, capsys):
        clone("--no-tags")
        code, _, err = ask(capsys, "resolve", "iris@production")
        assert (code, "fetch" in err, "+refs/tags/model/*:refs/tags/model/*" in err) == (3, True, True)
        for command in ("list", "show iris", "version list iris"):
            code, _, err = ask(capsys, *command.split())
            assert (code, "this clone has no stage tags" in err, "git model apply" in err) == (0, True, False)
        code, _, err = ask(capsys, "apply")
        assert (code, "fetch them with" in err) == (3, True)
        fetch = err.partition("`")[2].partition("`")[0]
        subprocess.run(shlex.split(fetch), check=True, capture_output=True)
        assert ask(capsys, "resolve", "iris@production") == (0, "iris@2\n", "")
        assert ask(capsys, "apply") == (0, "", "nothing was pending\n")

    def test_a_clone_of_a_remote_without_stage_tags_can_apply_a_first_promotion(self, clone, upstream, capsys, git):
        git(upstream, "tag", "-d", "model/iris/production")
        clone()
        code, _, err = ask(capsys, "resolve", "iris@production")
        assert (code, "git model apply" in err) == (3, True)
        assert ask(capsys, "apply")[0] == 0
        assert ask(capsys, "resolve", "iris@production") == (0, "iris@2\n", "")


class TestShallowRegistry:
    """A clone by `git clone --depth 1 --branch gitmodel`, which fetches only the newest commit of the registry."""

    def test_apply_moves_no_tag_in_a_clone_too_shallow_to_judge_the_promotion(self, clone, upstream, capsys, git):
        right = git(upstream, "rev-parse", "model/iris/production")
        path = clone("--depth", "1", "--branch", "gitmodel")
        code, out, err = ask(capsys, "apply")
        assert (code, "too shallow" in out + err, "git fetch --unshallow" in err) == (5, True, True)
        assert git(path, "for-each-ref", "refs/tags") == ""
        git(path, "fetch", "-q", "--unshallow")
        git(path, "tag", "-d", "model/iris/production") if git(path, "tag") else None
        assert ask(capsys, "apply")[0] == 0
        assert git(path, "rev-parse", "model/iris/production") == right

    def test_a_shallow_clone_is_detected_by_its_shallow_file_not_by_missing_objects(self, clone, upstream, capsys, git):
        path = clone("--depth", "1", "--branch", "gitmodel")
        parent = git(upstream, "rev-parse", "gitmodel~1")
        objects = git(upstream, "rev-list", "--objects", parent)
        ids = "\n".join(line.split()[0] for line in objects.splitlines())
        pack = subprocess.run(
            ["git", "pack-objects", "--stdout"], cwd=upstream, input=ids.encode(), capture_output=True, check=True
        ).stdout
        subprocess.run(["git", "unpack-objects", "-q"], cwd=path, input=pack, check=True)
        git(path, "cat-file", "-e", parent)
        code, out, err = ask(capsys, "apply")
        assert (code, "too shallow" in out + err) == (5, True)
        assert git(path, "for-each-ref", "refs/tags") == ""

    def test_doctor_in_a_shallow_clone_does_not_report_a_stage_tag_that_was_fetched_later(self, clone, capsys, git):
        path = clone("--depth", "1", "--branch", "gitmodel")
        git(path, "fetch", "-q", "--depth", "1", "origin", "+refs/tags/model/*:refs/tags/model/*")
        code, _, err = ask(capsys, "resolve", "iris@production")
        assert (code, "too shallow" in err, "git fetch --unshallow" in err) == (5, True, True)
        before = git(path, "for-each-ref")
        ask(capsys, "apply")
        ask(capsys, "doctor", "--fix")
        assert git(path, "for-each-ref") == before

    def test_apply_in_a_shallow_clone_does_not_remove_the_tag_of_an_emptied_stage(self, upstream, clone, capsys, git):
        with Client(upstream) as client:
            tag = git(upstream, "rev-parse", "model/iris/production")
            client.get_model("iris").demote("production")
            client.get_model("iris").update(title="More")
        git(upstream, "update-ref", "refs/tags/model/iris/production", tag)
        path = clone("--depth", "1", "--branch", "gitmodel")
        git(path, "fetch", "-q", "--depth", "1", "origin", "+refs/tags/model/*:refs/tags/model/*")
        ask(capsys, "apply")
        assert git(path, "rev-parse", "model/iris/production") == tag

    def test_in_a_shallow_clone_check_works_and_check_of_a_range_names_a_fetch(self, clone, upstream, capsys, git):
        git(upstream, "branch", "old", "gitmodel~2")
        path = clone("--depth", "1", "--branch", "gitmodel")
        assert ask(capsys, "check")[0] == 0
        git(path, "fetch", "-q", "--depth", "1", "origin", "+refs/heads/old:refs/remotes/origin/old")
        for command in ("check origin/old..HEAD", "plan origin/old..HEAD"):
            code, out, err = ask(capsys, *command.split())
            assert (code, "shallow" in out + err, "git fetch --unshallow" in err) == (5, True, True), command


class TestPullRequests:
    @pytest.fixture
    def merge(self, upstream, git):
        """Create refs/pull/7/merge as a host does: a proposal with a damaged record, merged into the registry."""
        git(upstream, "branch", "propose/x", "gitmodel")
        edit(upstream, {"models/iris/stages/staging.toml": "nonsense"}, onto="refs/heads/propose/x")
        tree = git(upstream, "rev-parse", "propose/x^{tree}")
        parents = ("-p", "gitmodel", "-p", "propose/x")
        commit = git(upstream, "commit-tree", *parents, "-m", "Merge", tree)
        git(upstream, "update-ref", "refs/pull/7/merge", commit)
        git(upstream, "branch", "-D", "propose/x")
        return commit

    @pytest.fixture
    def checkout(self, upstream, tmp_path, git, monkeypatch):
        """A function that creates a clone as a job of GitHub does: it fetches only the merge, and checks it out.

        *depth* are the options of the fetch.
        """

        def make(*depth):
            git(tmp_path, "init", "-q", "job")
            monkeypatch.chdir(tmp_path / "job")
            git(tmp_path / "job", "remote", "add", "origin", upstream.as_uri())
            spec = "+refs/pull/7/merge:refs/remotes/pull/7/merge"
            git(tmp_path / "job", "fetch", "-q", "--no-tags", *depth, "origin", spec)
            git(tmp_path / "job", "checkout", "-q", "--detach", "refs/remotes/pull/7/merge")
            return tmp_path / "job"

        return make

    @pytest.mark.parametrize("depth", [("--depth", "1"), ()])
    def test_check_finds_a_damaged_record_in_the_checked_out_commit(self, merge, checkout, capsys, depth):
        checkout(*depth)
        code, out, err = ask(capsys, "check")
        assert (code, "models/iris/stages/staging.toml" in out) == (5, True)
        assert f"HEAD {merge[:10]}" in err

    def test_plan_without_the_registry_ends_with_an_error(self, merge, checkout, capsys):
        checkout("--depth", "1")
        code, out, err = ask(capsys, "plan")
        assert (code, out, "fetch" in err) == (3, "", True)

    def test_plan_uses_the_checked_out_merge_of_the_pull_request(self, merge, checkout, capsys, git):
        path = checkout()
        git(path, "fetch", "-q", "origin", "+refs/heads/*:refs/remotes/origin/*")
        code, out, _ = ask(capsys, "plan", "--format", "json")
        assert (code, "models/iris/stages/staging.toml" in out) == (5, True)


@pytest.mark.parametrize("filter", ["blob:none", "tree:0"])
class TestFilteredClones:
    @pytest.fixture
    def server(self, upstream, git):
        for key in ("uploadpack.allowFilter", "uploadpack.allowAnySHA1InWant"):
            git(upstream, "config", key, "true")
        return upstream

    def test_missing_objects_of_a_partial_clone_are_fetched(self, server, clone, capsys, filter):
        clone(f"--filter={filter}", "--no-checkout")
        assert ask(capsys, "resolve", "iris@production") == (0, "iris@2\n", "")
        for command in ("list", "check", "show iris", "log", "apply"):
            assert ask(capsys, *command.split())[0] == 0, command

    def test_a_partial_clone_reports_a_remote_that_cannot_be_reached(self, server, clone, capsys, filter, git):
        path = clone(f"--filter={filter}", "--no-checkout")
        git(path, "config", "remote.origin.url", (path / "gone").as_uri())
        for command in ("resolve iris@production", "list", "check", "apply", "show iris"):
            code, out, err = ask(capsys, *command.split())
            assert (code in (5, 6, 7), "cannot read object" in out + err) == (True, True), command
        assert git(path, "for-each-ref", "refs/heads/gitmodel") == ""


def test_the_python_error_for_a_range_with_missing_commits_says_that_the_clone_is_shallow(clone, upstream, git):
    git(upstream, "branch", "old", "gitmodel~2")
    path = clone("--depth", "1", "--branch", "gitmodel")
    git(path, "fetch", "-q", "--depth", "1", "origin", "+refs/heads/old:refs/remotes/origin/old")
    with Client(path) as client, pytest.raises(Invalid, match="this clone is shallow"):
        client.check_between("origin/old..HEAD")
