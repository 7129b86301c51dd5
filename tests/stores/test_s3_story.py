"""Two clones that share only a remote and a bucket on S3: push, pull, and reading artifacts."""

import os
import shutil

import pytest
from transcripts import ask

pytestmark = pytest.mark.xdist_group("s3")


@pytest.fixture
def clones(s3, tmp_path, monkeypatch, git, capsys):
    """Ada's clone, which has pushed a version in production, and Bob's clone, which has pulled it."""
    git(tmp_path, "init", "-q", "--bare", "remote.git")
    ada, bob = tmp_path / "ada", tmp_path / "bob"
    url = s3.prefix()
    for folder in (ada, bob):
        git(tmp_path, "clone", "-q", "remote.git", folder.name)
    monkeypatch.chdir(ada)
    (ada / "model.json").write_text('{"weights": [1, 2, 3]}')
    (ada / "data").mkdir()
    for number in range(20):
        (ada / "data" / f"{number}.csv").write_text(f"{number}\n" * 100)
    assert ask(capsys, "init", "--store", url)[0] == 0
    assert ask(capsys, "register", "iris", "--license", "MIT")[0] == 0
    code, _, err = ask(capsys, "version", "create", "iris", "--model-object", "net=model.json", "--data", "train=data")
    assert (code, err) == (0, "")
    assert ask(capsys, "promote", "iris@1", "production")[0] == 0
    code, _, err = ask(capsys, "push")
    assert (code, err) == (0, "")
    monkeypatch.chdir(bob)
    code, _, err = ask(capsys, "pull")
    assert (code, err) == (0, "")
    assert ask(capsys, "verify")[0] == 6  # Bob does not trust the registry's store yet
    assert ask(capsys, "store", "trust")[0] == 0
    return ada, bob


def test_a_clone_reads_from_the_bucket_what_another_clone_stored(clones, s3, capsys):
    ada, bob = clones
    shutil.rmtree(ada)  # so that Bob's files can come only from the bucket
    assert not (bob / ".git" / "gitmodel" / "store").exists()
    assert ask(capsys, "get", "iris@production", "net", "-o", "net.json")[::2] == (0, "")
    assert (bob / "net.json").read_text() == '{"weights": [1, 2, 3]}'
    assert ask(capsys, "get", "iris@production", "train", "-o", "train")[::2] == (0, "")
    assert sorted(path.name for path in (bob / "train").iterdir()) == sorted(f"{number}.csv" for number in range(20))
    assert ask(capsys, "verify")[0] == 0


def test_a_fetched_object_is_available_without_the_server(clones, capsys, monkeypatch):
    assert ask(capsys, "get", "iris@1", "net", "-o", "one")[0] == 0
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    assert ask(capsys, "get", "iris@1", "net", "-o", "two")[::2] == (0, "")
    code, _, err = ask(capsys, "verify")
    assert code == 7
    assert "cannot be reached at http://127.0.0.1:9" in err


def test_a_pull_can_fetch_artifacts_of_staged_and_latest_versions(clones, capsys, monkeypatch):
    ada, _ = clones
    assert (
        ask(capsys, "-C", ada, "version", "create", "iris", "--model-object", f"net={ada / 'data' / '7.csv'}")[0] == 0
    )
    assert ask(capsys, "-C", ada, "push")[0] == 0
    code, out, err = ask(capsys, "pull", "--artifacts", "-j", "4")
    assert (code, out.splitlines()[1:], err) == (0, ["fetched 3 artifacts"], "")
    assert ask(capsys, "pull", "--artifacts") == (0, "nothing new from origin\n", "")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    for number, (reference, name) in enumerate([("iris@1", "net"), ("iris@1", "train"), ("iris@2", "net")]):
        assert ask(capsys, "get", reference, name, "-o", f"got-{number}")[::2] == (0, "")


def test_a_pull_of_artifacts_that_was_cut_off_resumes_when_it_is_run_again(clones, capsys, monkeypatch):
    reachable = os.environ["AWS_ENDPOINT_URL"]
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    assert ask(capsys, "pull", "--artifacts")[0] == 7
    monkeypatch.setenv("AWS_ENDPOINT_URL", reachable)
    assert ask(capsys, "pull", "--artifacts") == (0, "nothing new from origin\nfetched 2 artifacts\n", "")


def test_get_file_downloads_only_that_file_of_a_folder(clones, s3, capsys):
    _, bob = clones
    code, out, err = ask(capsys, "get", "iris@1", "train", "--file", "7.csv")
    assert (code, out, err) == (0, "wrote 7.csv in train of iris@1 to 7.csv (200 B, verified)\n", "")
    assert (bob / "7.csv").read_text() == "7\n" * 100
    copies = [path for path in (bob / ".git" / "gitmodel" / "store" / "sha256").rglob("*") if path.is_file()]
    assert len(copies) == 2  # the copies of the manifest and of this file
    assert ask(capsys, "get", "iris@1", "train", "--file", "7.cvs", "-o", "x") == (
        3,
        "",
        "error: there is no file '7.cvs' in this folder of 20 files\n"
        "hint: write its path in the folder, such as '7.csv' or '17.csv' or '9.csv'\n",
    )
    assert ask(capsys, "get", "iris@1", "net", "--file", "7.csv", "-o", "x") == (
        2,
        "",
        "error: net is one file, not a folder of files\nhint: leave --file out\n",
    )
    assert not (bob / "x").exists()
    assert ask(capsys, "get", "iris@1", "train", "-o", "all", "-j", "2")[::2] == (0, "")
    assert ask(capsys, "verify", "-j", "2", "iris@1")[0] == 0
