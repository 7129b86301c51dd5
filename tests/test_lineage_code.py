"""From code to models: `git model version contains COMMIT` lists the versions whose code contains a commit, and git
notes name the versions that were created from a commit.
"""

import json
import os

import pytest
from editing import edit, run
from transcripts import ask, succeed

from gitmodel import Client, NotFound, Refused
from gitmodel.code.repository import open_code
from gitmodel.domain.schema.refs import CODE_NOTES
from gitmodel.git.history.notes import write_notes


@pytest.fixture
def repo(code_repo, monkeypatch, git):
    """Versions of iris: 1 of the first commit, 2 of a later commit with a fix, 3 of a branch without the fix."""
    monkeypatch.chdir(code_repo)
    with Client() as client:
        iris = client.register_model("iris")
        iris.create_version("1.0")
        git(code_repo, "switch", "-q", "-c", "old")
        git(code_repo, "switch", "-q", "main")
        git(code_repo, "commit", "-q", "--allow-empty", "-m", "Fix the leak")
        git(code_repo, "tag", "fix")
        git(code_repo, "commit", "-q", "--allow-empty", "-m", "More")
        iris.create_version()
        iris.get_version(2).set_stage("production")
        git(code_repo, "switch", "-q", "old")
        git(code_repo, "commit", "-q", "--allow-empty", "-m", "Beside")
        iris.create_version()
        git(code_repo, "switch", "-q", "main")
        client.register_model("other").create_version()
    return code_repo


def test_version_contains_lists_the_versions_whose_code_has_or_lacks_a_commit(repo, transcript):
    transcript(
        """
        $ git model version contains fix
        VERSION  STAGE       CODE
        iris@2   production  <commit>
        other@1              <commit>
        $ git model version contains fix --without
        VERSION  NAME  CODE
        iris@3         <commit>
        iris@1   1.0   <commit>
        $ git model version contains fix iris -q
        iris@2
        $ git model version contains main --exact
        VERSION  STAGE       CODE
        iris@2   production  <commit>
        other@1              <commit>
        $ git model version contains old~1 --exact -q
        iris@1
        $ git model version contains fix --filter 'stage == "production"' --format tsv
        model	number	name	stage	aliases	commit	dirty	contains	exact
        iris	2		production		COMMIT	false	true	false
        $ git model version contains nothing
        ! error: there is no commit 'nothing' in the code repository HERE
        ! hint: name a commit as `git log` shows it; `git fetch` fetches the commits of others
        [3]
        """.replace("HERE", str(repo)).replace("COMMIT", run(repo, "rev-parse", "main")),
    )


def test_version_contains_reports_versions_whose_code_commit_is_not_in_the_repository(repo, capsys):
    path = "models/iris/versions/1.toml"
    text = run(repo, "cat-file", "blob", f"gitmodel:{path}") + "\n"
    edit(repo, {path: text.replace(run(repo, "rev-parse", "old~1"), "12" * 20)})
    code, out, err = ask(capsys, "version", "contains", "fix", "--without", "-q")
    assert (code, out) == (0, "iris@3\n")
    assert err == (
        "warning: 1 of 4 versions could not be searched (iris@1): "
        "its code commit 1212121212 is not in this repository\n"
        "hint: get missing commits with `git fetch --unshallow`, or with "
        "`git fetch origin 'refs/gitmodel/code/*:refs/gitmodel/code/*'`\n"
    )


def test_version_contains_says_unknown_if_a_shallow_clone_lacks_the_commits(repo, tmp_path, git):
    clone = tmp_path / "clone"
    git(tmp_path, "clone", "-q", "--depth=1", "--no-single-branch", repo.as_uri(), str(clone))
    with Client(clone, repo=repo) as client:
        found = {str(one.view): one.contains for one in client.containing("main")}
    assert found["iris@2"] is True
    assert found["iris@1"] is None
    assert found["iris@3"] is None


def test_version_contains_outside_of_a_code_repository_is_refused(repo, tmp_path):
    with Client(tmp_path, repo=repo) as client, pytest.raises(NotFound, match="no code repository"):
        client.containing("main")


def test_notes_on_code_commits_are_the_same_in_every_clone(repo, git, capsys, transcript, tmp_path):
    transcript("""
        $ git model version notes
        3 commits have notes: show them with `git log --notes=gitmodel`
    """)
    shown = git(repo, "log", "--notes=gitmodel", "--format=%s|%N", "main", "old")
    assert "More|iris 2, production\nother 1\n" in f"{shown}\n"
    assert "Beside|iris 3" in shown
    assert "Begin|iris 1" in shown
    assert "Fix the leak|\n" in f"{shown}\n"
    before = git(repo, "rev-parse", "refs/notes/gitmodel")
    _, out, _ = ask(capsys, "version", "notes", "--format", "json")
    assert json.loads(out) == {"commit": before, "notes": 3, "missing": 0}
    git(tmp_path, "clone", "-q", repo.as_uri(), "copy")
    with Client(tmp_path / "copy") as client:
        client.pull()
        assert client.write_notes().commit == before
        client.get_version("iris@3").add_alias("champion")
        assert client.write_notes().commit != before
    assert "iris 3, champion" in git(tmp_path / "copy", "log", "--notes=gitmodel", "-1", "--format=%N", "origin/old")
    succeed(capsys, "version", "notes", "--remove")
    assert not git(repo, "for-each-ref", "refs/notes")


def test_notes_of_somebody_else_are_not_overwritten(repo, git):
    git(repo, "notes", "--ref=gitmodel", "add", "-m", "mine", "main")
    with Client() as client:
        for change in (client.write_notes, client.remove_notes):
            with pytest.raises(Refused, match="gitmodel did not write"):
                change()
    assert git(repo, "notes", "--ref=gitmodel", "show", "main") == "mine"


def test_git_log_finds_the_notes_that_gitmodel_writes_for_many_commits(repo, git):
    inside = open_code(repo, environ=os.environ).git
    commit = "commit refs/heads/many\ncommitter Ada <ada@example.com> {} +0000\ndata 1\nx\n"
    git(repo, "fast-import", "--quiet", input="".join(commit.format(number) for number in range(1, 301)))
    made = git(repo, "rev-list", "many").splitlines()
    texts = {id: f"iris {number}\n" for number, id in enumerate(made)}
    write_notes(inside, CODE_NOTES, texts, "gitmodel <> 1 +0000", "Versions\n")
    assert git(repo, "notes", "--ref=gitmodel", "show", made[217]) == "iris 217"
