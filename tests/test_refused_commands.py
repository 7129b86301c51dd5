"""A refused command changes nothing: no branch, tag, reserved number, kept commit, setting or stored artifact."""

import shlex
from pathlib import Path
from typing import Annotated

import pytest
from editing import refs_unchanged
from transcripts import ask

from gitmodel import Client, Conflict, GitModelError, ModelConfig, NotFound, Refused, UsageError, pipeline, step
from gitmodel.domain.changes.planned_change import Change
from gitmodel.registry.writing.transacting import transact

NOTES = "gitmodel/notes"  # the fact cache, which commands may write although they only read the registry

WITHOUT_REGISTRY = """\
register bad/name
register iris --license
update nope --title X
update nope --rename other
delete nope --yes
version create nope
version create nope --data x=f.bin
version create bad/name
version update nope 1 --stage staging
version update nope --description x
version delete nope 1 --yes
metadata set nope@1 a=1
link nope@1 --data x=f.bin
unlink nope@1 x --yes
promote nope@1 production
promote nope 1 nostage
demote nope production
rollback nope production
alias set nope@1 champion
alias remove nope champion
apply nope
apply --push
propose nope@1 production
push
pull
import f.bin
store add bad/name file:///tmp/s
store add default file:///tmp/s
store use nope default
store remove nope
store trust nope
store purge sha256:0000000000000000000000000000000000000000000000000000000000000000 --reason x --yes
init --store bad://x
init --store /proc/nope
config branch bad..name
config remote nope
"""

WITH_IRIS = """\
register iris
register IRIS
version create iris --name taken --data x=f.bin
version create iris --name production --data x=f.bin
version create iris --name bad/name --data x=f.bin
version create iris --data bad/name=f.bin
version create iris --data x=f.bin --data X=f.bin
version create iris --data x=f.bin --data y=missing.bin
link iris@2 --data x=f.bin --data y=missing.bin
link iris@9 --data x=f.bin
link iris@1 --data x=f.bin
link iris@2 --data x=f.bin --data X=f.bin
link iris@2 --data bad/name=f.bin
promote iris@1 nope
promote iris@1 latest
unlink iris@1 kept --yes
alias set iris@1 taken
alias set iris@2 production
version update iris 1 --stage nope --description new
update iris --rename bad/name --title New
version delete iris 1 --yes
delete iris --yes
propose iris@1 staging
"""


def files(repository: Path) -> dict[str, bytes]:
    """Return the content of each file of *repository*, also of refs, objects and settings. Omits the fact cache."""
    found = {str(path.relative_to(repository)): path for path in repository.rglob("*") if path.is_file()}
    return {name: path.read_bytes() for name, path in found.items() if not name.endswith(NOTES)}


@pytest.fixture
def repo(code_repo, monkeypatch):
    """A repository with a file to store and without a registry. It is the current folder."""
    (code_repo / "f.bin").write_bytes(b"some data")
    monkeypatch.chdir(code_repo)
    return code_repo


@pytest.fixture
def iris(repo, git):
    """The repository `repo` with a registry. No version was created from the newest code commit."""
    (repo / "kept.bin").write_bytes(b"other data")
    with Client(repo) as client:
        model = client.register_model("iris")
        model.create_version("taken", data={"kept": repo / "kept.bin"}).set_stage("staging")
        model.create_version()
    git(repo, "commit", "-q", "--allow-empty", "-m", "More code")
    return repo


@pytest.mark.parametrize(
    ("place", "command"),
    [
        *(("repo", command) for command in WITHOUT_REGISTRY.splitlines()),
        *(("iris", command) for command in WITH_IRIS.splitlines()),
    ],
)
def test_a_refused_command_changes_nothing_with_and_without_a_registry(request, capsys, place, command):
    folder = request.getfixturevalue(place)
    before = files(folder)
    code, _, err = ask(capsys, *shlex.split(command))
    assert code != 0
    assert err.startswith("error: ")
    assert files(folder) == before


@pytest.mark.parametrize("command", ["register bad/name", "update nope --title X", "version create nope"])
def test_a_refused_command_in_a_new_clone_changes_nothing(iris, capsys, git, tmp_path, monkeypatch, command):
    git(tmp_path, "clone", "-q", str(iris), "clone")
    monkeypatch.chdir(tmp_path / "clone")
    before = files(tmp_path / "clone")
    assert ask(capsys, *shlex.split(command))[0] != 0
    assert files(tmp_path / "clone") == before


@pytest.mark.parametrize("command", ["register bad/name", "update nope --title X", "demote nope production"])
def test_a_refused_command_on_the_url_of_an_empty_repository_changes_no_ref(tmp_path, capsys, git, command):
    git(tmp_path, "init", "-q", "--bare", "bare.git")
    assert ask(capsys, "--repo", (tmp_path / "bare.git").as_uri(), *shlex.split(command))[0] != 0
    assert git(tmp_path / "bare.git", "for-each-ref") == ""


def in_transaction(client, work, message="Work"):
    with client.transaction(message) as change:
        work(change)


def refused_calls(client, repo):
    """Yield calls of *client* that gitmodel refuses in a repository without a registry."""
    yield lambda: client.register_model("bad/name")
    yield lambda: client.update_model("nope", title="X")
    yield lambda: client.update_model("nope", new_name="other", title="X")
    yield lambda: client.delete_model("nope")
    yield lambda: client.add_store("bad/name", repo.as_uri())
    yield lambda: client.use_store("nope", "default")
    yield lambda: client.apply("nope")
    yield lambda: in_transaction(client, lambda change: change.register_model("iris").demote("production"))


def test_a_refused_call_in_a_repository_without_a_registry_changes_nothing(repo):
    with Client(repo) as client:
        before = files(repo)
        for call in refused_calls(client, repo):
            with pytest.raises(GitModelError):
                call()
        assert files(repo) == before


def test_a_refused_creation_of_a_version_in_a_transaction_reserves_no_number(iris):
    with refs_unchanged(iris), Client(iris) as client, pytest.raises(Conflict):
        in_transaction(client, lambda change: change.get_model("iris").create_version("taken"))


TOKEN = "ghp_" + "aB3dE5gH7jK9mN1pQ2rS4tU6vW8xY0zA1b2C"


def refused_links(client, past):
    version, promoted = client.get_version("iris@2"), client.get_version("iris@1")
    yield lambda: promoted.link_artifact("x", "f.bin")
    yield lambda: promoted.link_external("x", "f.bin")
    yield lambda: version.link_artifact("bad/name", "f.bin")
    yield lambda: version.link_artifact("x", "f.bin", kind="nope")
    yield lambda: version.link_artifact("x", "f.bin", metadata={"password": "hunter22"})
    yield lambda: version.link_artifact("x", "f.bin", metadata={"note": TOKEN})
    yield lambda: version.link_artifact(TOKEN, "f.bin")
    yield lambda: past.get_version("iris@2").link_artifact("x", "f.bin")
    yield lambda: in_transaction(client, lambda change: change.get_version("iris@1").link_artifact("x", "f.bin"))
    yield lambda: in_transaction(client, lambda change: version.link_artifact("x", "f.bin"))


def test_refusing_to_link_an_artifact_stores_nothing(iris):
    with Client(iris) as client:
        past = client.at(client.repository.tip())
        before = files(iris)
        for call in refused_links(client, past):
            with pytest.raises(GitModelError):
                call()
            assert files(iris) == before


@pytest.mark.parametrize("by_url", [False, True])
def test_a_transaction_whose_message_is_refused_reserves_no_number(iris, by_url):
    with refs_unchanged(iris):
        told = []
        with Client(iris, repo=iris.as_uri() if by_url else None) as client, pytest.raises(Refused, match="token"):
            in_transaction(
                client, lambda change: told.append(change.get_model("iris").create_version()), message=f"Use {TOKEN}"
            )
        assert told == []


def test_the_first_change_and_the_creation_of_the_registry_are_one_transaction(repo, git):
    with Client(repo) as client:
        client.register_model("iris")
    assert git(repo, "log", "--format=%s", "gitmodel").splitlines() == ["Register iris", "Begin the registry"]
    assert git(repo, "reflog", "--format=%gs", "gitmodel") == "gitmodel: Register iris"


def test_two_clients_that_make_the_first_change_at_the_same_time_create_one_registry(repo, git):
    with Client(repo) as first, Client(repo) as second:

        def overtaken(snapshot):
            if not snapshot.commit:
                second.register_model("iris")
            return Change(None, subject="Say more", files={"README.md": b"more\n"})

        transact(first.repository, overtaken)
    subjects = git(repo, "log", "--format=%s", "gitmodel").splitlines()
    assert subjects == ["Say more", "Register iris", "Begin the registry"]


@step
def _one() -> Annotated[int, "one"]:
    return 1


@step
def _another() -> Annotated[int, "ONE"]:
    return 1


def _pipeline(config, *steps):
    @pipeline(enable_cache=False, model_config=config)
    def train():
        for each in steps:
            each()

    return train


def test_a_pipeline_that_is_refused_before_it_runs_changes_nothing(iris):
    new = {"create_new_model_version": True}
    before = files(iris)
    with pytest.raises(Conflict):
        _pipeline(ModelConfig(name="iris", version="taken", **new), _one)()
    with pytest.raises(NotFound):
        _pipeline(ModelConfig(name="iris", version="nope"), _one)()
    with pytest.raises(UsageError, match="both have an output"):
        _pipeline(ModelConfig(name="iris", **new), _one, _another)()
    assert files(iris) == before


def test_a_pipeline_that_is_refused_before_it_runs_creates_no_registry(repo):
    before = files(repo)
    with pytest.raises(NotFound):
        _pipeline(ModelConfig(name="nope", version="staging"), _one)()
    assert files(repo) == before


def test_the_first_run_of_a_pipeline_creates_the_registry_when_the_run_ends(repo, git):
    branches = []

    @step
    def look() -> Annotated[int, "one"]:
        branches.append(git(repo, "for-each-ref", "--format=%(refname)", "refs/heads"))
        return 1

    _pipeline(ModelConfig(name="iris", create_new_model_version=True), look)()
    assert branches == ["refs/heads/main"]
    assert git(repo, "log", "--format=%s", "gitmodel").splitlines()[-1] == "Begin the registry"
    assert git(repo, "for-each-ref", "refs/gitmodel/reserved") == ""
