"""Commands work with git traces and any characters in paths, and explain read-only disks and errors of git."""

import os
import shutil
import subprocess
import sys

import pytest
from transcripts import ask, fail, succeed

from gitmodel import Client, GitModelError

TRACES = [
    "GIT_TRACE", "GIT_TRACE_SETUP", "GIT_TRACE_PACKET", "GIT_TRACE_PERFORMANCE", "GIT_TRACE_REFS", "GIT_TRACE_CURL",
    "GIT_CURL_VERBOSE", "GIT_TRACE2", "GIT_TRACE2_EVENT", "GIT_TRACE2_PERF",
]  # fmt: skip
COMMANDS = [
    ["register", "iris"], ["version", "create", "iris"], ["promote", "iris@1", "production"], ["list"],
    ["resolve", "iris@production"], ["history", "iris"], ["config"], ["check"], ["push"], ["pull"], ["doctor"],
    ["hook", "install"], ["apply"],
]  # fmt: skip


def use(folder, git, monkeypatch, capsys):
    """Run `COMMANDS` in the new repository *folder*; return the exit code, stdout and stderr of each."""
    git(folder.parent, "init", "-q", "--bare", f"{folder.name}.git")
    git(folder, "init", "-q")
    git(folder, "remote", "add", "origin", f"../{folder.name}.git")
    monkeypatch.chdir(folder)
    printed = [ask(capsys, *command) for command in COMMANDS]
    assert [err for code, _, err in printed if code] == []
    return printed


@pytest.mark.parametrize("value", ["/dev/stdout", "/dev/stderr", "/dev/fd/1", "/proc/self/fd/1", "1", "2", "true"])
def test_gitmodel_does_not_read_git_traces_as_output_of_git(tmp_path, git, monkeypatch, capsys, value):
    for name in TRACES:
        monkeypatch.setenv(name, value)
    (tmp_path / "repo").mkdir()
    printed = use(tmp_path / "repo", git, monkeypatch, capsys)
    assert printed[3][1] == "MODEL  LATEST  VERSIONS  STAGES\niris   1       1         production 1\n"
    assert printed[4][1] == "iris@1\n"
    assert printed[8][1] == "pushed 4 commits, 1 tag to origin\n"
    assert [err for _, _, err in printed if "git.c" in err or "{" in err] == []


def test_gitmodel_does_not_read_traces_that_the_git_configuration_enables(tmp_path, git):
    for target in ("normalTarget", "perfTarget", "eventTarget"):
        git(tmp_path, "config", "--global", f"trace2.{target}", "/dev/stdout")
    folder = tmp_path / "repo"
    folder.mkdir()
    for words in (["init", "-q"], ["remote", "add", "origin", "../away.git"]):
        subprocess.run(["git", *words], cwd=folder, check=True, stdout=subprocess.PIPE)
    subprocess.run(["git", "init", "-q", "--bare", str(tmp_path / "away.git")], check=True, stdout=subprocess.PIPE)
    with Client(folder) as client:
        client.register_model("iris").create_version()
        client.push()
        assert client.repository.config["remote.origin.url"] == "../away.git"


def test_git_still_writes_a_trace_to_the_file_that_git_trace_names(code_repo, tmp_path, monkeypatch):
    monkeypatch.setenv("GIT_TRACE", str(tmp_path / "trace"))
    with Client(code_repo) as client:
        client.register_model("iris")
    assert "update-ref" in (tmp_path / "trace").read_text()


@pytest.mark.parametrize(
    "name",
    [
        "line\nfeed",
        "two\n\nlines\n",
        "sha1\nsha1",
        " spaces ",
        "u\u2028u",
        "next\x85line",
        "quote'\"",
        "é ü",
        "*?[",
    ],
)
def test_gitmodel_works_in_a_repository_with_any_path(tmp_path, git, monkeypatch, capsys, name):
    (tmp_path / name).mkdir()
    use(tmp_path / name, git, monkeypatch, capsys)
    source = tmp_path / name / "train.csv"
    source.write_text("a,b\n")
    with Client(tmp_path / name) as client:
        version = client.get_model("iris").create_version(data={"train": source})
        assert version.get_artifact("train").path().read_text() == "a,b\n"
        assert client.repository.common_dir == tmp_path / name / ".git"
    with Client(repo=tmp_path / name) as client:
        assert client.get_version("iris@production").number == 1


@pytest.fixture(scope="session")
def latin_1(tmp_path_factory):
    """The variables of a locale whose encoding is Latin-1."""
    folder = tmp_path_factory.mktemp("locales")
    if shutil.which("localedef") is None:
        pytest.skip("there is no localedef: apt-get install locales")
    made = subprocess.run(
        ["localedef", "-i", "en_US", "-f", "ISO-8859-1", str(folder / "en_US.ISO-8859-1")], capture_output=True
    )
    if not (folder / "en_US.ISO-8859-1").exists():
        pytest.skip(f"no locale can be made here: {made.stderr.decode(errors='replace')}")
    return {"LOCPATH": str(folder), "LC_ALL": "en_US.ISO-8859-1", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}


@pytest.mark.parametrize("name", ["é", "日本\nfeed é u\u2028u"])
def test_a_repository_with_any_path_works_under_a_latin_1_locale(tmp_path, git, latin_1, name):
    folder = tmp_path / name
    folder.mkdir()
    git(tmp_path, "init", "-q", "--bare", f"{name}.git")
    git(folder, "init", "-q")
    git(folder, "remote", "add", "origin", f"../{name}.git")
    git(folder, "config", "gitmodel.store", (tmp_path / name / "store").as_uri())
    program = [sys.executable, "-m", "gitmodel"]
    environ = {**os.environ, **latin_1}
    (folder / "data é.csv").write_text("a,b\n")
    commands = [*COMMANDS, ["version", "create", "iris", "--data", "train=data é.csv"], ["show", "iris"]]
    with Client(folder) as client:
        client.register_model("rose", description="日本 é")
    commands += [["show", "rose"], ["list", "--format", "json"], ["update", "iris", "--description", b"\xe9"]]
    for command in commands:
        done = subprocess.run([*program, *command], cwd=folder, env=environ, capture_output=True)
        assert done.returncode == 0, (command, done.stderr)
        assert b"Traceback" not in done.stderr
    done = subprocess.run(
        [*program, "--repo", str(folder), "resolve", "iris@production"], cwd=tmp_path, env=environ, capture_output=True
    )
    assert (done.returncode, done.stdout) == (0, b"iris@1\n"), done.stderr
    with Client(folder) as client:
        assert client.get_model("iris").description == "é"


@pytest.fixture
def read_only(small_disk, git):
    """A repository with a registry on a file system that is mounted read-only."""
    folder = small_disk / "repo"
    folder.mkdir()
    git(folder, "init", "-q")
    (small_disk / "train.csv").write_text("a,b\n")
    with Client(folder) as client:
        client.register_model("iris").create_version(data={"train": small_disk / "train.csv"}).set_stage("production")
    (folder / ".git" / "gitmodel" / "writers").mkdir(exist_ok=True)
    mark = folder / ".git" / "gitmodel" / "writers" / "0123456789abcdef"
    mark.write_text("refs/heads/gitmodel 0\n")
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    yield folder
    subprocess.run(["mount", "-o", "remount,rw", str(small_disk)], check=True)


@pytest.mark.parametrize("command", [["doctor"], ["list"], ["check"], ["verify"], ["resolve", "iris@production"]])
def test_reading_works_on_a_read_only_disk(read_only, monkeypatch, capsys, command):
    monkeypatch.chdir(read_only)
    succeed(capsys, *command)


@pytest.mark.parametrize(
    "command", [["doctor", "--fix"], ["register", "rose"], ["apply"], ["version", "create", "iris"]]
)
def test_writing_reports_a_read_only_disk(read_only, monkeypatch, capsys, command):
    monkeypatch.chdir(read_only)
    code, _, err = ask(capsys, *command)
    assert code in ((0, 7) if command[0] in ("apply", "doctor") else (7,)), err
    assert "please report" not in err
    assert "Traceback" not in err


REFUSALS = {
    "syntax": ("[core\n", 2),
    "number": ("[core]\n\tfilesRefLockTimeout = soon\n[pack]\n\twindow = many\n[core]\n\tbigFileThreshold = x\n", 2),
    "boolean": ("[core]\n\tbare = perhaps\n", 2),
    "version": ("[core]\n\trepositoryFormatVersion = 99\n", 2),
    "extension": ("[core]\n\trepositoryFormatVersion = 1\n[extensions]\n\tnobodyKnows = true\n", 2),
    "compression": ("[core]\n\tcompression = 99\n", 2),
    "include": ("[include]\n\tpath = config\n", 2),
}


@pytest.mark.parametrize(("text", "code"), REFUSALS.values(), ids=REFUSALS)
def test_an_invalid_git_configuration_is_reported_with_a_hint(code_repo, monkeypatch, capsys, text, code):
    with Client(code_repo) as client:
        client.register_model("iris")
    with (code_repo / ".git" / "config").open("a") as file:
        file.write(text)
    monkeypatch.chdir(code_repo)
    for command in (["list"], ["register", "rose"], ["doctor"]):
        found, _, err = ask(capsys, *command)
        assert found == code, err
        assert "please report" not in err
        assert "hint:" in err


@pytest.mark.parametrize("held", ["nonsense\n", ""])
def test_a_damaged_file_of_the_branch_is_reported_as_damaged_and_not_as_a_missing_registry(
    code_repo, monkeypatch, capsys, held, origin
):
    with Client(code_repo) as client:
        client.register_model("iris")
    monkeypatch.chdir(code_repo)
    (code_repo / ".git" / "refs" / "heads" / "gitmodel").write_text(held)
    for command in (["list"], ["register", "rose"], ["check"], ["resolve", "iris"], ["push"]):
        code, _, err = ask(capsys, *command)
        assert code == 5, (command, err)
        assert "is damaged: it names no commit" in err
        assert "please report" not in err


def test_an_invalid_file_in_place_of_the_git_folder_is_reported(tmp_path, monkeypatch, capsys):
    (tmp_path / ".git").write_text("nonsense\n")
    monkeypatch.chdir(tmp_path)
    err = fail(capsys, 5, "list")
    assert "invalid gitfile format" in err
    assert "please report" not in err


def test_a_transport_that_the_git_configuration_forbids_is_reported(code_repo, git, origin):
    git(code_repo, "config", "protocol.file.allow", "never")
    with Client(code_repo) as client, pytest.raises(GitModelError) as caught:
        client.register_model("iris")
    assert "transport 'file' not allowed" in caught.value.message
    assert "report" not in caught.value.hint
