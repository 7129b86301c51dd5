"""A version cannot have the name of a stage or a reserved word such as `latest`: no command accepts it.

A file that somebody wrote to the branch by hand may give a version such a name. Readers ignore this file, and
`git model check` reports it.
"""

import pytest
from editing import edit, read, refs_unchanged
from transcripts import ask, end_with, succeed

from gitmodel import Client, ModelConfig
from gitmodel.domain.schema import paths
from gitmodel.errors import Conflict, Invalid, NotFound, UsageError

WORDS = ["production", "Staging", "latest", "None", "archived", "007"]


@pytest.fixture
def repo(code_repo, monkeypatch):
    monkeypatch.chdir(code_repo)
    with Client(code_repo) as client:
        iris = client.register_model("iris")
        iris.create_version()
        iris.create_version(name="1.0")
        iris.get_version("1.0").add_alias("champion")
    return code_repo


def plant(repo, word, number=1, *, record=False):
    path = paths.version_file("iris", number)
    text = read(repo, path)
    files = {paths.name_file("iris", word): f"version = {number}\n"}
    if record:
        files[path] = text.replace(f"number = {number}\n", f'number = {number}\nname = "{word}"\n')
    edit(repo, files)


@pytest.mark.parametrize("record", [False, True])
@pytest.mark.parametrize("word", WORDS)
def test_every_command_refuses_a_stage_as_version_name_also_if_a_hand_written_file_has_it(repo, capsys, word, record):
    plant(repo, word, record=record)
    with refs_unchanged(repo):
        # The exit code is 5 if the invalid hand-written record is read first, and 2 if the name is refused first.
        assert ask(capsys, "version", "update", "iris@1", "--name", word)[0] in ((2, 5) if record else (2,))
        assert ask(capsys, "version", "create", "iris", "--name", word)[0] == 2
        with Client(repo) as client:
            iris = client.get_model("iris")
            with pytest.raises((UsageError, Invalid) if record else UsageError):
                iris.get_version(1).update(name=word)
            with pytest.raises(UsageError):
                iris.create_version(name=word)


@pytest.mark.parametrize("word", ["production", "staging", "latest", "none", "7"])
def test_a_model_config_refuses_a_reserved_name_for_a_version(word):
    with pytest.raises(UsageError):
        ModelConfig(name="iris", create_new_model_version=True, version=word)


@pytest.mark.parametrize("record", [False, True])
@pytest.mark.parametrize("word", ["production", "Production", "none", "archived"])
def test_readers_ignore_a_hand_written_version_name_that_is_a_stage_and_check_reports_it(repo, capsys, word, record):
    plant(repo, word, record=record)
    reserved = word.lower() != "production"
    assert ask(capsys, "resolve", f"iris@{word}")[0] == (2 if reserved else 3)
    with Client(repo) as client, pytest.raises(UsageError if reserved else NotFound):
        client.get_version(f"iris@{word}")
    with Client(f"file://{repo}") as client, pytest.raises(UsageError if reserved else NotFound):
        client.get_version(f"iris@{word}")
    out, _ = end_with(capsys, 5, "check")
    assert paths.name_file("iris", word) in out


def test_a_version_cannot_get_an_alias_as_its_name_also_if_a_hand_written_file_has_the_name(repo, capsys):
    plant(repo, "champion")
    with refs_unchanged(repo):
        assert ask(capsys, "version", "update", "iris@1", "--name", "champion")[0] == 4
        with Client(repo) as client, pytest.raises(Conflict, match="champion is an alias of iris"):
            client.get_version("iris@1").update(name="champion")


def test_naming_a_version_by_the_name_that_it_has_changes_nothing(repo, capsys):
    with refs_unchanged(repo):
        succeed(capsys, "version", "update", "iris@2", "--name", "1.0")
    assert ask(capsys, "resolve", "iris@1.0")[1] == "iris@2\n"


def test_a_pull_removes_a_local_version_name_that_is_a_stage_at_the_remote(
    code_repo, git, capsys, monkeypatch, tmp_path, origin
):
    monkeypatch.chdir(code_repo)
    for command in (["register", "iris"], ["version", "create", "iris"], ["push"]):
        succeed(capsys, *command)
    here = tmp_path / "here"
    git(tmp_path, "clone", "-q", str(origin), str(here))
    monkeypatch.chdir(here)
    succeed(capsys, "pull")
    succeed(capsys, "version", "create", "iris", "--name", "canary")
    settings = read(code_repo, "gitmodel.toml")
    edit(code_repo, {"gitmodel.toml": settings.rstrip("\n") + '\n\n[[stages]]\nname = "canary"\n'})
    git(code_repo, "push", "-q", "origin", "gitmodel")
    _, err = end_with(capsys, 0, "pull")
    assert "the name canary of iris is taken at the remote by the stage canary" in err
    with Client(here) as client:
        assert client.get_version("iris@2").name is None
    succeed(capsys, "check")
