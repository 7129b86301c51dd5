"""A stage or a reserved word, such as `latest`, is never an alias.

gitmodel ignores an alias file with such a name, which somebody committed by hand. `check` and `doctor` report it.
"""

import editing
import pytest
from stage_rules import register_iris, stage_text
from teamwork import refs, run_apart, states

from gitmodel import Client
from gitmodel.errors import GitModelError
from gitmodel.registry.health.checking import check

NEVER = ["production", "Production", "staging", "STAGING", "latest", "Latest", "none", "archived", "Archived", "7"]


def resolved(client, reference):
    """Return the number of the version that *reference* names, or None."""
    try:
        return client.get_version(reference).number
    except GitModelError:
        return None


def plant(client, name, number=1, *, tag=True):
    """Commit by hand the file of an alias *name* of iris, for version *number*. Return the commit.

    If *tag* is True, create the tag of this alias, too.
    """
    repo = client.repository.common_dir
    commit = editing.edit(repo, {f"models/iris/aliases/{name}.toml": stage_text(client.get_model("iris"), number)})
    if tag:
        editing.run(repo, "tag", "-f", "-a", "-m", "iris 3", f"model/iris/{name}", commit)
    return commit


@pytest.fixture
def client(code_repo):
    with Client(code_repo) as client:
        register_iris(client, None, None, None, production=2)
        yield client


def test_no_command_reads_an_alias_file_with_a_reserved_name_as_an_alias(client, code_repo):
    for name in NEVER:
        commit = plant(client, name, tag=name not in ("production", "staging"))
    assert states(client.get_model("iris")) == {"production": (2, 2)}
    assert client.get_version("iris@production").number == 2
    assert [resolved(client, f"iris@{name}") for name in NEVER].count(1) == 0
    assert not client.get_version("iris@1").aliases
    assert [event.version for event in client.history("iris")] == [2]
    assert not [event for event in client.log("iris") if "alias" in event.what]
    past = client.at(commit)
    assert past.get_version("iris@production").number == 2
    assert not past.get_model("iris").get_version(1).aliases
    client.apply()
    assert states(client.get_model("iris")) == {"production": (2, 2)}
    for words in (["show", "iris"], ["list"], ["alias", "list", "iris"], ["history", "iris"], ["card", "iris@1"]):
        code, out, err = run_apart(code_repo, *words)
        assert (code, "alias" in out.lower() and "Latest" in out) == (0, False), out + err
        assert "forged" not in out


@pytest.mark.parametrize("name", ["production", "Production", "latest", "7"])
def test_check_reports_an_alias_file_with_a_reserved_name_and_how_to_remove_it(client, code_repo, name):
    plant(client, name, tag=False)
    (problem,) = check(client.repository)
    assert (problem.path, problem.rule) == (f"models/iris/aliases/{name}.toml", "alias.name")
    assert f"git model alias remove iris {name}" in problem.message
    assert run_apart(code_repo, "alias", "remove", "iris", name)[0] == 0
    assert check(client.repository) == []
    assert states(client.get_model("iris")) == {"production": (2, 2)}
    assert client.get_version("iris@production").number == 2


def test_a_stage_tag_on_a_commit_that_wrote_only_an_alias_file_of_this_name_does_not_count(client, code_repo):
    plant(client, "production")
    code, _, err = run_apart(code_repo, "resolve", "iris@production")
    assert code == 5
    assert "did not set production" in err
    assert run_apart(code_repo, "doctor", "--fix")[0] == 0
    assert client.get_version("iris@production").number == 2


@pytest.mark.parametrize("name", ["latest", "Production"])
def test_doctor_removes_a_tag_with_a_reserved_name(client, code_repo, name, git):
    plant(client, name)
    code, out, err = run_apart(code_repo, "doctor")
    assert code != 0
    assert f"model/iris/{name}" in out + err
    run_apart(code_repo, "doctor", "--fix")
    assert f"model/iris/{name}" not in git(code_repo, "tag", "--list")
    assert states(client.get_model("iris")) == {"production": (2, 2)}


@pytest.mark.parametrize("name", ["latest", "Production", "staging"])
def test_doctor_shows_the_git_command_that_removes_a_tag_with_a_reserved_name_set_by_hand(client, code_repo, name, git):
    plant(client, name, tag=False)
    git(code_repo, "tag", f"model/iris/{name}", editing.BRANCH)
    code, out, err = run_apart(code_repo, "doctor", "--fix")
    assert code == 5
    assert f"git tag -d model/iris/{name}" in out + err
    code, out, err = run_apart(code_repo, "resolve", "iris@Stage")
    assert code == 3
    assert (f"iris@{name}" in (out + err).replace("iris@latest (3)", "")) == (name == "staging")
    git(code_repo, "tag", "-d", f"model/iris/{name}")
    assert run_apart(code_repo, "doctor")[0] == 0


@pytest.mark.parametrize("name", ["production", "Production"])
def test_a_pull_sets_no_tag_for_an_alias_file_with_a_reserved_name(ada, bob, name):
    editing.edit(ada.repository.common_dir, {f"models/iris/aliases/{name}.toml": stage_text(ada.get_model("iris"), 1)})
    editing.run(ada.repository.git.top, "push", "origin", editing.BRANCH)
    before = {ref: id for ref, id in refs(bob.repository.common_dir).items() if "/tags/" in ref}
    bob.pull()
    assert {ref: id for ref, id in refs(bob.repository.common_dir).items() if "/tags/" in ref} == before
    assert bob.get_version("iris@production").number == 2


@pytest.mark.parametrize("name", ["production", "Production"])
def test_by_url_an_alias_file_with_a_reserved_name_is_not_read(host, team, ada, name):
    plant(ada, name)
    editing.run(ada.repository.git.top, "push", "-f", "origin", editing.BRANCH, f"refs/tags/model/iris/{name}")
    client = team.by_url("cleo", host.registry)
    assert resolved(client, f"iris@{name}") != 1
    assert not client.get_model("iris").get_version(1).aliases


def test_renaming_a_model_that_has_an_alias_file_with_a_reserved_name_keeps_its_stages(client):
    plant(client, "production", tag=False)
    client.update_model("iris", new_name="flower")
    assert client.get_version("flower@production").number == 2
