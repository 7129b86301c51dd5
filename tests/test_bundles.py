"""`--repo FILE.bundle`: a registry in a git bundle is read-only."""

import gc
import os
import subprocess
from pathlib import Path

import pytest
from transcripts import ask, fail, succeed

from gitmodel import Client, Invalid, NotFound, UsageError


@pytest.fixture
def bundle(code_repo, tmp_path, git):
    """A bundle of a registry with iris in production."""
    with Client(code_repo) as client:
        client.register_model("iris").create_version(metadata={"accuracy": 0.9}).set_stage("production")
    git(code_repo, "bundle", "create", "-q", str(tmp_path / "iris.bundle"), "gitmodel", "--tags")
    return tmp_path / "iris.bundle"


def test_commands_read_a_registry_in_a_bundle(bundle, capsys, monkeypatch):
    with Client(repo=str(bundle)) as client:
        assert client.get_version("iris@production").metadata == {"accuracy": 0.9}
        folder = client.repository.common_dir
        assert folder.exists()
    assert not folder.exists()
    forgotten = Client(repo=str(bundle))
    folder = forgotten.repository.common_dir
    forgotten.repository.reader.close()
    forgotten.repository.objects.close()
    del forgotten
    gc.collect()
    assert not folder.exists()
    monkeypatch.chdir(bundle.parent)
    for words in (
        ["list"],
        ["resolve", "iris@production"],
        ["version", "list", "iris"],
        ["history", "iris", "production"],
        ["check"],
    ):
        code, _, err = ask(capsys, "--repo", bundle.name, *words)
        assert (code, "warning" in err) == (0, False), err


@pytest.mark.parametrize(
    "words",
    [
        ("register", "rose"),
        ("version", "create", "iris"),
        ("metadata", "set", "iris@1", "a=1"),
        ("demote", "iris", "production"),
        ("link", "iris@1", "--data", f"x={__file__}"),
    ],
)
def test_a_write_to_a_bundle_is_refused(bundle, capsys, words):
    before = bundle.read_bytes()
    said = fail(capsys, 2, "--repo", bundle, *words)
    assert f"error: {bundle} is a git bundle, which is read-only; nothing was written\n" in said
    assert f"git clone --mirror {bundle} FOLDER" in said
    assert bundle.read_bytes() == before


def test_a_bundle_that_lacks_the_earlier_commits_of_the_branch_is_refused(code_repo, bundle, tmp_path, git):
    file = tmp_path / "part.bundle"
    git(code_repo, "bundle", "create", "-q", str(file), "gitmodel~1..gitmodel")
    with pytest.raises(UsageError, match="is incomplete: its first commits build on commits that it does not contain"):
        Client(repo=str(file)).list_models()


def test_the_error_for_a_damaged_bundle_names_its_file(bundle):
    bundle.write_bytes(bundle.read_bytes()[:-30])
    with pytest.raises(Invalid, match=r"iris\.bundle cannot be read"):
        Client(repo=str(bundle)).list_models()


@pytest.mark.parametrize("how", ["other branch", "cut in its header", "cut after its header"])
def test_a_bundle_without_a_registry_is_refused_and_not_read_as_an_empty_registry(code_repo, bundle, git, how, capsys):
    if how == "other branch":
        git(code_repo, "bundle", "create", "-q", str(bundle), "main")
    else:
        data = bundle.read_bytes()
        bundle.write_bytes(data[: 40 if how == "cut in its header" else data.index(b"PACK")])
    code, _, err = ask(capsys, "--repo", bundle, "list")
    assert (code in (3, 5), str(bundle) in err, "git bundle " in err) == (True, True, True), (code, err)


def test_commands_read_a_bundle_that_was_made_in_a_clone(code_repo, bundle, git, tmp_path):
    git(tmp_path, "clone", "-q", str(code_repo), "clone")
    git(tmp_path / "clone", "bundle", "create", "-q", str(bundle), "--all")
    with Client(repo=str(bundle)) as client:
        assert client.get_version("iris@production").number == 1


def test_a_repository_created_from_a_bundle_is_writable(bundle, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    subprocess.run(["git", "clone", "-q", "--mirror", str(bundle), str(tmp_path / "made")], check=True)
    with Client(repo=str(tmp_path / "made")) as client:
        assert client.get_model("iris").create_version().number == 2


@pytest.mark.parametrize("name", ["iris.bundle", "iris & rose.bundle", "iris%20.bundle", "iris#1?.bundle"])
def test_a_bundle_can_be_named_by_its_path_or_url(bundle, name, capsys, monkeypatch, tmp_path):
    file = bundle.rename(tmp_path / name)
    url = file.as_uri()
    monkeypatch.chdir(tmp_path)
    for words in (["--repo", url], ["--repo", url.replace("file:///", "file://localhost/")], ["--repo", str(file)]):
        assert succeed(capsys, *words, "resolve", "iris@production") == "iris@1\n"
    assert "is a git bundle, which is read-only" in fail(capsys, 2, "--repo", url, "register", "rose")
    for client in (Client(file), Client(url), Client(repo=url), Client(environ={**os.environ, "GITMODEL_REPO": url})):
        with client:
            assert client.get_version("iris@production").number == 1


@pytest.mark.parametrize("named", [str, Path.as_uri], ids=["path", "url"])
def test_the_error_for_a_file_that_is_not_a_bundle_says_so(tmp_path, capsys, named):
    file = tmp_path / "notes.txt"
    file.write_text("# v1\n")
    assert f"{file} is neither a folder nor a git bundle" in fail(capsys, 3, "--repo", named(file), "list")
    with pytest.raises(NotFound, match="neither a folder nor a git bundle"):
        Client(file)
