"""The artifact stores that a machine uses: stores named on the branch or by settings, trusted stores, read-only stores.

Anybody may write the URL of a store to the branch. A clone sends its credentials only to stores that it trusts.
"""

import pytest
from editing import edit
from transcripts import ask, fail, said, succeed

from gitmodel import Client
from gitmodel.errors import Conflict, NotFound, Refused, UsageError

STAGES = '\n[[stages]]\nname = "staging"\n\n[[stages]]\nname = "production"\n'
DIGEST = "sha256:" + "ab" * 32


@pytest.fixture
def iris(code_repo, monkeypatch, capsys):
    """A registry with the model iris and a file to store."""
    monkeypatch.chdir(code_repo)
    (code_repo / "train.csv").write_text("a,b\n")
    succeed(capsys, "register", "iris")
    return code_repo


def record_store(repo, url, stores=""):
    edit(repo, {"gitmodel.toml": f'format = "1.2"\nstore = "{url}"\n{stores}{STAGES}'})


def test_a_store_that_only_the_branch_names_is_not_used_before_it_is_trusted(iris, transcript):
    record_store(iris, "s3://bucket-of-others/models")
    transcript(
        """
        $ git model version create iris --data train=train.csv
        ! error: the registry names the artifact store s3://bucket-of-others/models, which this machine does not trust \
yet
        ! hint: `git log -p gitmodel -- gitmodel.toml` shows who added it; to trust it: git model store trust
        [6]
        $ git model store list
        STORE    URL                           SET BY                                             MODELS
        default  s3://bucket-of-others/models  gitmodel.toml on refs/heads/gitmodel  not trusted  iris
        $ git model store trust
        this clone trusts s3://bucket-of-others/models now, and uses your credentials there
        $ git model store trust --remove
        default is not trusted any more
        $ git model store trust --remove
        ! error: 'default' was not trusted in this clone
        ! hint: `git config --get-all gitmodel.trustedStore` shows the trusted URLs
        [3]
        """.replace("\\\n", ""),
    )


def test_trust_applies_to_one_url_and_not_to_another_url_that_is_recorded_later(iris, git):
    with Client(iris) as client:
        record_store(iris, "s3://ours/models")
        client.trust_store()
        assert client.access.named().trusted
        record_store(iris, "s3://ours/models-elsewhere")
        assert not client.access.named().trusted
        with pytest.raises(Refused, match="does not trust yet"):
            _ = client.store
        client.trust_store("s3://ours/")
        assert client.access.named().trusted
        record_store(iris, "s3://ours-not/models")
        assert not client.access.named().trusted
        with pytest.raises(UsageError, match="holds credentials"):
            client.trust_store("s3://id:secret@ours/")
    assert git(iris, "config", "--get-all", "gitmodel.trustedStore").split() == ["s3://ours/models", "s3://ours/"]


@pytest.mark.parametrize("url", ["/srv/models", "file:///srv/models"])
def test_a_store_in_a_folder_needs_no_trust(iris, url):
    record_store(iris, url)
    with Client(iris) as client:
        assert client.access.named().trusted


def test_a_store_url_from_an_argument_setting_or_variable_is_trusted(iris, git, tmp_path, monkeypatch):
    record_store(iris, "s3://bucket-of-others/models")
    here = (tmp_path / "here").as_uri()
    with Client(iris, store=here) as client:
        assert (client.store.url, client.access.named().source) == (here, "Client(store=...)")
    git(iris, "config", "gitmodel.store", here)
    with Client(iris) as client:
        assert (client.store.url, client.access.named().source) == (here, "git config gitmodel.store")
    monkeypatch.setenv("GITMODEL_STORE", (tmp_path / "other").as_uri())
    with Client(iris) as client:
        assert client.access.named().source == "GITMODEL_STORE"
        assert client.store.url.endswith("/other")


def test_credentials_in_the_url_of_a_store_are_refused_and_never_recorded_or_printed(iris, capsys, git):
    before = git(iris, "rev-parse", "gitmodel")
    for command in (
        ("init", "--store", "s3://id:hunter2@bucket/models"),
        ("init", "--store", "s3://bucket/models?secret=hunter2"),
        ("store", "add", "other", "s3://id:hunter2@bucket/models"),
        ("config", "store", "https://hunter2@host/models"),
        ("link", "iris@1", "--data", "raw=https://ada:hunter2@host/raw.csv", "--external"),
    ):
        code, out, err = ask(capsys, *command)
        assert code in (2, 3), command
        assert "hunter2" not in out + err
    assert git(iris, "rev-parse", "gitmodel") == before
    assert "hunter2" not in (iris / ".git/config").read_text()
    record_store(iris, "s3://id:hunter2@bucket/models")
    for command in ("store list", "config", "verify", "version create iris --data a=train.csv"):
        _, out, err = ask(capsys, *command.split())
        assert "hunter2" not in out + err


def test_a_model_can_use_one_of_several_stores(iris, capsys, transcript, tmp_path):
    transcript(
        f"""
        $ git model store add archive {tmp_path}/archive
        added the store archive at file://{tmp_path}/archive
        $ git model store use iris archive
        new artifacts of iris are kept in archive now
        $ git model version create iris --data train=train.csv
        created iris@1 with train
        $ git model store remove archive --yes
        ! error: iris keeps artifacts in archive
        ! hint: run `git model store use iris default` first
        [6]
        $ git model store use iris nowhere
        ! error: there is no store 'nowhere'
        ! hint: the stores are default, archive
        [3]
        $ git model store add archive file:///elsewhere
        ! error: a store archive with another URL exists already
        ! hint: run `git model store remove archive`
        [4]
        """.replace("file:///elsewhere", (tmp_path / "elsewhere").as_uri()),
    )
    assert [path.name for path in (tmp_path / "archive/sha256").glob("*/*")]
    assert not (iris / ".git/gitmodel/store").exists()
    succeed(capsys, "get", "iris@1", "train", "-o", "fetched")
    succeed(capsys, "store", "use", "iris", "default")
    assert ask(capsys, "verify")[0] == 0  # gitmodel still finds the artifact in the store `archive`
    listed = said(capsys, "store", "list")[1]
    assert [(one["name"], one["models"]) for one in listed] == [("default", ["iris"]), ("archive", [])]
    succeed(capsys, "check")
    succeed(capsys, "store", "remove", "archive", "--yes")
    assert ask(capsys, "verify")[0] == 5


def test_a_setting_of_this_machine_overrides_the_url_of_a_named_store(iris, git, tmp_path):
    with Client(iris) as client:
        client.add_store("archive", (tmp_path / "archive").as_uri())
        assert client.access.open("archive").url.endswith("/archive")
    git(iris, "config", "gitmodel.archive.store", (tmp_path / "mirror").as_uri())
    with Client(iris) as client:
        assert client.access.open("archive").url.endswith("/mirror")
        with pytest.raises(Conflict, match="default store"):
            client.add_store("default", (tmp_path / "x").as_uri())
        with pytest.raises(NotFound):
            client.remove_store("nowhere")


def test_a_store_that_is_read_only_on_this_machine_can_be_read_but_not_written(iris, capsys, monkeypatch):
    succeed(capsys, "version", "create", "iris", "--data", "train=train.csv")
    monkeypatch.setenv("GITMODEL_STORE_READ_ONLY", "1")
    assert "is read-only on this machine" in fail(capsys, 6, "version", "create", "iris", "--data", "other=train.csv")
    succeed(capsys, "verify")
    with Client(iris) as client:
        artifact = client.get_version("iris@1").get_artifact("train")
        assert artifact.path().read_text() == "a,b\n"
        assert client.access.named().read_only


def test_git_model_clone_says_which_store_to_trust(iris, capsys, git, tmp_path):
    record_store(iris, "s3://bucket-of-others/models")
    git(tmp_path, "init", "-q", "--bare", "remote.git")
    git(iris, "push", "-q", str(tmp_path / "remote.git"), "main", "gitmodel")
    code, _, err = ask(capsys, "clone", tmp_path / "remote.git", tmp_path / "bob")
    assert (code, err) == (0, "its artifacts are in s3://bucket-of-others/models: git model store trust default\n")
    with Client(tmp_path / "bob") as client, pytest.raises(Refused):
        client.get_model("iris").create_version(data={"train": iris / "train.csv"})
