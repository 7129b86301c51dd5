"""Fixtures for the tests of teams: a remote repository, the clones of Ada and Bob, and a store that they share."""

import os
import shutil
import subprocess
from contextlib import ExitStack

import editing
import pytest
from servers import SSHD, http_server, ssh_server
from stage_rules import PROPOSAL_ONLY, register_iris
from teamwork import Team, begin

from gitmodel import Client
from gitmodel.cli import run
from gitmodel.registry import setup


@pytest.fixture
def soak(request):
    """True if the long version of the test is requested (`--soak`)."""
    return request.config.getoption("--soak")


@pytest.fixture
def bare(tmp_path):
    """An empty bare repository, the remote of the team."""
    path = tmp_path / "remote.git"
    subprocess.run(["git", "init", "-q", "--bare", str(path)], check=True)
    return path


@pytest.fixture
def team(tmp_path, bare):
    """A team whose clones reach the remote by a path, and use one store."""
    (tmp_path / "store").mkdir()
    with ExitStack() as opened:
        # The path of the remote is relative to each clone, so that a copy of the whole folder has a remote of its own.
        yield Team(tmp_path, "../remote.git", (tmp_path / "store").as_uri(), opened)


@pytest.fixture
def ada(team, tmp_path_factory):
    """Ada's clone. iris has three versions, 2 is in production. Ada has pushed and Bob has pulled everything."""
    kept = tmp_path_factory.getbasetemp() / "team"
    if not kept.exists():
        begin(team)
        # leaves out the code repository that another fixture may have created in the folder
        shutil.copytree(team.folder, kept, symlinks=True, ignore=shutil.ignore_patterns("code"))
    else:
        shutil.copytree(kept, team.folder, symlinks=True, dirs_exist_ok=True)
    return team.open("ada")


@pytest.fixture
def bob(team, ada):
    """Bob's clone, which has pulled everything that Ada pushed."""
    return team.open("bob")


@pytest.fixture
def host(team, ada, bare, tmp_path):
    """An HTTP server of git with the team's remote, whose URL is the attribute `registry`.

    The server supports partial clones, and gitmodel.toml names the shared store.
    """
    setup.begin(ada.repository, store=team.store)
    ada.push()
    for key in ("uploadpack.allowFilter", "http.receivepack"):
        subprocess.run(["git", "-C", str(bare), "config", key, "true"], check=True)
    with http_server(tmp_path) as server:
        server.registry = f"{server.url}/remote.git"
        yield server


@pytest.fixture
def ssh(tmp_path, monkeypatch):
    """The beginning of the URLs of an ssh server, to which the git of this test can log in."""
    if SSHD is None:
        assert not os.environ.get("CI"), "CI has no sshd: apt-get install openssh-server"
        pytest.skip("there is no sshd: apt-get install openssh-server")
    with ssh_server(tmp_path / "ssh") as (url, command):
        monkeypatch.setenv("GIT_SSH_COMMAND", command)
        yield url


@pytest.fixture(params=["http", "ssh", "file", "http without filters"])
def url(request, host, bare, git):
    """The URL of the registry on a server: the test runs once for each kind of server."""
    if request.param.startswith("http"):
        git(bare, "config", "uploadpack.allowFilter", "false" if "without" in request.param else "true")
        yield host.registry
    elif request.param == "file":
        yield bare.as_uri()
    else:
        yield f"{request.getfixturevalue('ssh')}{bare}"


@pytest.fixture(params=["http", "ssh", "path"])
def remote(request, bare, tmp_path, git):
    """The URL of the bare repository: the test runs once over HTTP, once over ssh and once with a path."""
    if request.param == "path":
        yield str(bare)
    elif request.param == "ssh":
        yield f"{request.getfixturevalue('ssh')}{bare}"
    else:
        git(bare, "config", "http.receivepack", "true")
        with http_server(tmp_path) as server:
            yield f"{server.url}/remote.git"


@pytest.fixture(scope="session")
def keys(tmp_path_factory):
    """SSH keys of Ada, Bob and Mallory."""
    folder = tmp_path_factory.mktemp("keys")
    for name in ("ada", "bob", "mallory"):
        make = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", str(folder / name)]
        subprocess.run(make, check=True)
    return folder


@pytest.fixture
def proposal_only(code_repo):
    """A client with five versions of iris: 2 is in staging, and 3 in the stage production, which is proposal_only."""
    with Client(code_repo) as client:
        iris = register_iris(client, 0.1, 0.2, 0.3, 0.4, 0.5)
        iris.get_version(3).set_stage("production", reason="the first")
        iris.get_version(2).set_stage("staging")
        editing.edit(code_repo, {"gitmodel.toml": PROPOSAL_ONLY})
        yield client


@pytest.fixture
def repo(client, code_repo):
    """The repository of the registry that the fixture `client` of the test module opens."""
    return code_repo


@pytest.fixture
def iris(client):
    return client.get_model("iris")


@pytest.fixture
def main(code_repo, capsys):
    """A function that runs a command in the repository, and returns its exit code, stdout and stderr."""

    def run_here(*words):
        capsys.readouterr()
        return run(["-C", str(code_repo), *words]), *capsys.readouterr()

    return run_here


@pytest.fixture
def working(team, bob, monkeypatch):
    """Bob's clone as the current folder, with the environment variables of Bob."""
    for key, value in team.environ("bob").items():
        monkeypatch.setenv(key, value)
    monkeypatch.setenv("GITMODEL_STORE", team.store)
    monkeypatch.chdir(team.folder / "bob")


@pytest.fixture
def job(team, host):
    """A client with an empty cache, whose registry is on an HTTP server."""
    return team.by_url("job", host.registry)
