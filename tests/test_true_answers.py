"""Messages are true: a filter that hides all rows is named as the reason, and hints fit the command that was run."""

import pickle

import editing
import pytest
from transcripts import ask

from gitmodel import Client, Refused


@pytest.fixture
def repo(code_repo, monkeypatch):
    """The current folder: a repository with a registry, in which iris@1 has an artifact and an alias."""
    monkeypatch.chdir(code_repo)
    (code_repo / "train.csv").write_text("a,b\n1,2\n")
    with Client(code_repo) as client:
        version = client.register_model("iris").create_version(data={"train": code_repo / "train.csv"})
        version.add_alias("champion")
    return code_repo


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("version", "artifacts", "iris@1", "--filter", 'kind == "deployment"'), "no artifact matches"),
        (("version", "artifacts", "iris@1", "--offset", "1"), "no artifact in this part of the list"),
        (("version", "artifacts", "iris@1", "--limit", "0"), "no artifact in this part of the list"),
        (("version", "list", "iris", "--offset", "1"), "no version in this part of the list"),
        (("version", "runs", "iris@1", "--filter", 'status == "failed"'), "no run matches"),
        (("alias", "list", "iris", "--filter", 'alias == "chmpion"'), "no alias matches"),
        (("list", "--offset", "1"), "no model in this part of the list"),
        (("history", "iris", "--offset", "99"), "no event in this part of the list"),
        (("version", "model_objects", "iris@1"), "iris@1 has no model objects"),
    ],
)
def test_a_list_without_rows_because_of_a_filter_or_page_says_so_and_not_that_the_registry_is_empty(
    repo, capsys, words, said
):
    code, out, err = ask(capsys, *words)
    assert (code, f"{out}{err}".strip()) == (0, said)


@pytest.mark.parametrize("command", ["check", "doctor"])
def test_check_and_doctor_with_a_filter_that_hides_every_fault_still_report_faults(repo, capsys, git, command):
    editing.edit(repo, {"models/iris/versions/1.toml": "number = 'no'\n"})
    git(repo, "update-ref", "refs/tags/model/iris/production", "HEAD")
    assert ask(capsys, command)[0] == 5
    _, out, err = ask(capsys, command, "--filter", 'message == "nothing says this"')
    noun = {"check": "problem", "doctor": "finding"}[command]
    assert f"no {noun} matches" in out + err
    assert "every record is" not in out + err
    assert "no problems found" not in out + err


def test_the_error_for_an_artifact_that_needs_trust_names_the_artifact_and_not_its_file(repo, tmp_path):
    (tmp_path / "model.pkl").write_bytes(pickle.dumps([1]))
    with Client(repo) as client:
        version = client.get_model("iris").create_version(model_objects={"classifier": tmp_path / "model.pkl"})
        with pytest.raises(Refused, match=r"^classifier of iris@2 is a pickle file: ") as caught:
            version.get_artifact("classifier").load()
    assert "/artifact" not in str(caught.value)


@pytest.mark.parametrize("command", ["plan", "check"])
def test_the_hint_for_an_invalid_range_shows_a_valid_range(repo, capsys, command):
    code, _, err = ask(capsys, command, "..")
    assert code == 2
    assert err == "error: '..' is not BASE..HEAD\nhint: name two commits, for example gitmodel..HEAD\n"


@pytest.mark.parametrize("command", ["pull", "push", "propose"])
def test_commands_on_a_bundle_advise_to_clone_it_and_not_to_add_a_remote(repo, capsys, git, tmp_path, command):
    git(repo, "bundle", "create", "-q", str(tmp_path / "iris.bundle"), "gitmodel", "--tags")
    words = ("iris@1", "production", "--push") if command == "propose" else ()
    code, _, err = ask(capsys, "--repo", str(tmp_path / "iris.bundle"), command, *words)
    assert (code, "git clone --mirror" in err, "remote add" in err) == (2 if command == "propose" else 3, True, False)
    assert ask(capsys, "--repo", str(tmp_path / "iris.bundle"), "config")[0] == 0


def test_push_counts_the_tag_of_an_alias_as_a_tag_and_not_as_a_stage(repo, capsys, git, tmp_path):
    git(tmp_path, "init", "-q", "--bare", "hub.git")
    git(tmp_path, "init", "-q", "--bare", "store")
    git(repo, "remote", "add", "origin", str(tmp_path / "hub.git"))
    ask(capsys, "init", "--store", (tmp_path / "store").as_uri())
    code, out, _ = ask(capsys, "push")
    assert code == 0
    assert ", 1 tag to origin" in out
