"""Fixtures for all tests: a fixed home, identity and clock for git, and real repositories."""

import itertools
import os
import re
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from gitmodel import Client

Git = Callable[..., str]

GIT_CONFIG = """\
[user]
\tname = Ada Example
\temail = ada@example.com
[init]
\tdefaultBranch = main
"""
PREFIXES = ("AWS_", "AZURE_", "GIT_", "GITMODEL_", "GOOGLE_", "STORAGE_", "XDG_")
TERMINAL = ("COLUMNS", "LINES", "NO_COLOR", "FORCE_COLOR", "CLICOLOR", "CLICOLOR_FORCE", "PAGER", "LANGUAGE")


# If a shell starts pytest with "&", pytest and its child processes ignore SIGINT, and a test of Ctrl-C would never end.
signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--soak", action="store_true", help="run the long versions of the tests as well")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    for item in items:
        grouped = getattr(item, "_nodeid", item.nodeid)
        if grouped != item.nodeid:  # pytest 9.2 ignores the id that pytest-xdist 3.8 gives each test of a group
            from _pytest.nodeid import coerce_node_id  # earlier releases lack this module and do not need it

            item._id = coerce_node_id(grouped)
    if not config.getoption("--soak"):
        for item in items:
            if item.get_closest_marker("soak"):
                item.add_marker(pytest.mark.skip(reason="a long version: run with --soak"))


_numbers = itertools.count()


def make_folder(factory: pytest.TempPathFactory, name: str) -> Path:
    """Create a folder with a number in its name, and return its path.

    If pytest chose the number (`numbered=True`), it would list the folders of all earlier tests, which takes long.
    """
    return factory.mktemp(f"{name}{next(_numbers)}", numbered=False)


@pytest.fixture
def tmp_path(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A new folder for the test; replaces pytest's fixture of this name."""
    return make_folder(tmp_path_factory, re.sub(r"\W", "_", request.node.name)[:30])


@pytest.fixture(scope="session")
def templates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The template folder for `git init`. It has no sample hooks, so that `git init` does not copy them each time."""
    folder = tmp_path_factory.mktemp("templates")
    for name in ("hooks", "info"):
        (folder / name).mkdir()
    return folder


@pytest.fixture(autouse=True)
def hermetic(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory, templates: Path) -> Path:
    """Give each test a new home and fixed git settings, so that commit ids are reproducible; return the home."""
    home = make_folder(tmp_path_factory, "home")
    config = home / ".gitconfig"
    config.write_text(GIT_CONFIG, encoding="utf-8")
    for name in list(os.environ):
        if name.startswith(PREFIXES) or name in TERMINAL:
            monkeypatch.delenv(name)
    fixed = {
        "HOME": str(home),
        "XDG_CACHE_HOME": str(home / ".cache"),
        "XDG_CONFIG_HOME": str(home / ".config"),
        "XDG_DATA_HOME": str(home / ".local/share"),
        "XDG_STATE_HOME": str(home / ".local/state"),
        "GIT_CONFIG_GLOBAL": str(config),
        "GIT_CONFIG_NOSYSTEM": "1",
        # git must not find a repository above the temporary folder.
        "GIT_CEILING_DIRECTORIES": str(tmp_path_factory.getbasetemp()),
        "GIT_AUTHOR_DATE": "2026-11-23T10:12:13Z",
        "GIT_COMMITTER_DATE": "2026-11-23T10:12:13Z",
        "GIT_TEMPLATE_DIR": str(templates),
        "GIT_TERMINAL_PROMPT": "0",
        "TZ": "UTC",
        "LC_ALL": "C",
    }
    for name, value in fixed.items():
        monkeypatch.setenv(name, value)
    if hasattr(time, "tzset"):
        time.tzset()
    return home


@pytest.fixture(scope="session")
def kept_commit(pytestconfig: pytest.Config) -> Path:
    """The file of the ref that gitmodel creates in this checkout if a command records a version there."""
    words = ["git", "rev-parse", "--path-format=absolute", "--git-common-dir", "HEAD"]
    done = subprocess.run(words, cwd=pytestconfig.rootpath, capture_output=True, text=True)
    # git fails if this checkout is a copy of the files without `.git`.
    common, commit = done.stdout.split() if done.returncode == 0 else ("/nonexistent", "none")
    return Path(common, "refs", "gitmodel", "code", commit)


@pytest.fixture(autouse=True)
def refuse_versions_in_the_checkout(kept_commit: Path) -> Iterator[None]:
    """Fail a test that creates a version while this checkout is the current folder, since that writes a ref to it."""
    before = kept_commit.exists()
    yield
    if not before and kept_commit.exists():
        kept_commit.unlink()
        pytest.fail(
            "this test wrote a ref to the checkout: call monkeypatch.chdir(tmp_path) before it creates a version"
        )


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The repository of `git model init --demo`, built once. A test that changes it copies it first."""
    from demo import build_once

    base = tmp_path_factory.getbasetemp()
    return build_once(base.parent if "PYTEST_XDIST_WORKER" in os.environ else base, os.environ)


@pytest.fixture(scope="session")
def seaweedfs_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """One S3 server for all tests of a process. `@pytest.mark.xdist_group("s3")` runs all its tests in one process."""
    from store_servers import seaweedfs

    with seaweedfs(tmp_path_factory.mktemp("seaweedfs")) as server:
        yield server


@pytest.fixture
def s3(seaweedfs_server: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The S3 server. Environment variables let clients use it, and `s3.prefix()` returns the URL of an unused store."""
    for name, value in seaweedfs_server.environ().items():
        monkeypatch.setenv(name, value)
    return seaweedfs_server


@pytest.fixture(scope="session")
def registry_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """One OCI registry for all tests of a process."""
    from store_servers import REGISTRY, oci_registry, require

    require(REGISTRY, "docker-registry")
    with oci_registry(tmp_path_factory.mktemp("registry")) as host:
        yield host


@pytest.fixture
def registry(registry_server: str, hermetic: Path) -> str:
    """The host and port of an OCI registry, whose credentials are in the home folder of the test."""
    import base64
    import json

    known = {"auths": {registry_server: {"auth": base64.b64encode(b"ada:open sesame").decode()}}}
    (hermetic / ".docker").mkdir()
    (hermetic / ".docker" / "config.json").write_text(json.dumps(known))
    return registry_server


@pytest.fixture(scope="session")
def sftp_settings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    """One SFTP server for all tests of a process: the text of an ssh_config and of a known_hosts file that name it."""
    from store_servers import SSHD, require, sftp_server

    require(SSHD, "openssh-server")
    with sftp_server(tmp_path_factory.mktemp("sftp")) as settings:
        yield settings


@pytest.fixture
def sftp(sftp_settings: tuple[str, str], hermetic: Path) -> str:
    """The name of an SFTP server that is configured in `~/.ssh`."""
    (hermetic / ".ssh").mkdir(mode=0o700)
    (hermetic / ".ssh" / "config").write_text(sftp_settings[0])
    (hermetic / ".ssh" / "known_hosts").write_text(sftp_settings[1])
    return "files.test"


@pytest.fixture(scope="session")
def gcs_endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """One emulator of Google Cloud Storage for all tests of a process."""
    from store_servers import gcs_server

    with gcs_server(tmp_path_factory.mktemp("gcs")) as url:
        yield url


@pytest.fixture
def gcs(gcs_endpoint: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """The URL of an unused store in a bucket of Google Cloud Storage."""
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", gcs_endpoint)
    return f"gs://models/{os.urandom(8).hex()}/of tests"


@pytest.fixture(scope="session")
def azure_account(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """One emulator of Azure Blob Storage for all tests of a process."""
    from store_servers import AZURITE, azure_server, require

    require(AZURITE if AZURITE.exists() else None, "nodejs, and `python3 noxfile.py -s test`, which gets azurite")
    with azure_server(tmp_path_factory.mktemp("azure")) as connection:
        yield connection


@pytest.fixture
def azure(azure_account: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """The URL of an unused store in a container of Azure."""
    monkeypatch.setenv("AZURE_STORAGE_CONNECTION_STRING", azure_account)
    return f"az://models/{os.urandom(8).hex()}/of tests"


@pytest.fixture
def git() -> Git:
    """Real git: `git(folder, "log", "-1")` returns what it printed, stripped; a failure fails the test."""

    def run(folder: Path, *arguments: str, input: str | None = None) -> str:
        done = subprocess.run(
            ["git", *arguments], cwd=folder, input=input, capture_output=True, encoding="utf-8", check=False
        )
        if done.returncode:
            pytest.fail(f"git {' '.join(arguments)} ended with {done.returncode}: {done.stderr.strip()}")
        return done.stdout.strip()

    return run


@pytest.fixture
def transcript(capsys: pytest.CaptureFixture[str]) -> Callable[[str], None]:
    """A function that runs the commands of a text and compares their output: `check_transcript` of `transcripts.py`."""
    from transcripts import check_transcript

    return partial(check_transcript, capsys)


@pytest.fixture
def code_repo(tmp_path: Path, git: Git) -> Path:
    """An ordinary repository with one commit on `main`."""
    repo = tmp_path / "code"
    repo.mkdir()
    git(repo, "init", "-q")
    (repo / "train.py").write_text("print('training')\n", encoding="utf-8")
    git(repo, "add", "train.py")
    git(repo, "commit", "-q", "-m", "Begin")
    return repo


@pytest.fixture
def origin(code_repo: Path, tmp_path: Path, git: Git) -> Path:
    """An empty bare repository, which is the remote `origin` of `code_repo`."""
    git(tmp_path, "init", "-q", "--bare", "remote.git")
    git(code_repo, "remote", "add", "origin", str(tmp_path / "remote.git"))
    return tmp_path / "remote.git"


@pytest.fixture
def client(code_repo: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Client]:
    """A client of a registry with iris@1, in the folder of its repository."""
    monkeypatch.chdir(code_repo)
    with Client(code_repo) as client:
        client.register_model("iris").create_version()
        yield client


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with one file, to link as an artifact."""
    root = tmp_path / "weights"
    root.mkdir()
    (root / "model.bin").write_bytes(b"weights")
    return root


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 4 MB. Skips the test if it cannot be mounted."""
    path = tmp_path / "disk"
    path.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(path)], capture_output=True)
    if mounted.returncode:
        pytest.skip("this user may not mount a file system; other tests simulate a full disk")
    yield path
    subprocess.run(["umount", "-l", str(path)], check=True)
