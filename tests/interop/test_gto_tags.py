"""`git model import --from gto` from repositories whose tags these tests write, so that GTO is not needed.

The tests in tests/interop/gto import tags that the real GTO wrote.
"""

from datetime import datetime, timezone
from itertools import count

import pytest
from imports import import_from, notes_of
from transcripts import ask

from gitmodel.errors import NotFound, UsageError
from gitmodel.interop.import_plan import Choices
from gitmodel.interop.sources.opening import open_source


@pytest.fixture
def tag(code_repo, git, monkeypatch):
    """A function that creates the tags *names* and, if *commit* is given, before them a commit with this message.

    The time of each call is one second later than the time of the call before.
    """
    seconds = count(1700000000)

    def write(*names, commit=""):
        monkeypatch.setenv("GIT_COMMITTER_DATE", f"@{next(seconds)} +0000")
        if commit:
            (code_repo / "model.bin").write_text(commit)
            git(code_repo, "add", ".")
            git(code_repo, "commit", "-q", "-m", commit)
        for name in names:
            git(code_repo, "tag", "-a", "-m", name, name)

    return write


def run_import(client, choices=None, **options):
    return import_from("gto", ".", client, choices or Choices(words={"prod": "production"}), **options)


def test_imported_versions_have_the_names_commits_and_messages_of_the_gto_tags(client, tag, git, code_repo):
    (code_repo / "artifacts.yaml").write_text("iris:\n  path: model.bin\n  description: Which iris?\n")
    tag("iris@v1.0.0", commit="one")
    tag("iris@v1.1.0", "iris#prod#1", commit="two")
    run_import(client, with_artifacts=True)
    version = client.get_version("iris@production")
    record = version.view.record
    assert (record.number, record.name) == (2, "v1.1.0")
    assert record.code.commit == git(code_repo, "rev-parse", "HEAD")
    assert (record.imported.id, record.imported.author) == ("iris@v1.1.0", "Ada Example")
    assert record.imported.created == datetime.fromtimestamp(1700000001, timezone.utc)
    assert record.metadata["gto"] == {"tag": "iris@v1.1.0"}
    assert version.get_artifact("model").open().read() == b"two"
    assert client.get_version("iris@1").get_artifact("model").open().read() == b"one"
    assert client.get_model("iris").record.description == "Which iris?"


def test_a_name_of_a_monorepo_becomes_a_valid_name_and_the_original_becomes_the_title(client, tag):
    tag("nlp=mood@v0.0.1", commit="one")
    run_import(client)
    (model,) = client.list_models()
    assert (model.name[:9], model.title) == ("nlp-mood-", "nlp:mood")


def test_the_last_assignment_of_a_gto_stage_counts_and_an_unassigned_stage_is_empty(client, tag):
    tag("iris@v1.0.0", "iris#prod#1", "iris#staging#2", commit="one")
    tag("iris@v2.0.0", commit="two")
    tag("iris#prod#3")
    tag("iris#prod!#4")
    report = run_import(client)
    assert report.models[0].stages == {"staging": 1}


def test_a_second_import_adds_new_gto_versions_even_if_their_tags_are_older(client, tag, git, code_repo):
    tag("iris@v1.0.0", commit="one")
    first = git(code_repo, "rev-parse", "HEAD")
    tag("iris@v3.0.0", commit="three")
    run_import(client)
    # a lightweight tag has the time of its commit, here of the first commit
    git(code_repo, "tag", "iris@v0.9.0", first)
    report = run_import(client)
    assert (report.models[0].versions, report.models[0].known) == (1, 2)
    assert [version.view.record.name for version in client.get_model("iris").versions] == ["v1.0.0", "v3.0.0", "v0.9.0"]
    assert run_import(client).models[0].versions == 0


def test_a_deregistered_gto_version_is_left_out_unless_it_was_imported_before(client, tag):
    tag("iris@v1.0.0", commit="one")
    run_import(client, Choices())
    tag("iris@v1.0.0!")
    tag("iris@v2.0.0", "iris@v2.0.0!", commit="two")
    report = run_import(client, Choices())
    assert [version.number for version in client.get_model("iris").versions] == [1]
    assert notes_of(report) == [
        "left out: iris v2.0.0: the version was deleted in the source",
        "changed: iris 1: since the last import, the source deleted the version; iris@1 stays",
    ]


def test_a_stage_that_the_registry_does_not_have_is_left_out(client, tag):
    tag("iris@v1.0.0", "iris#canary#1", commit="one")
    assert "there is no stage 'canary' here" in notes_of(run_import(client, Choices()))[0]


def test_an_import_from_gto_ignores_other_tags(client, tag):
    tag("v1.0.0", "release#1", "model/iris/production", "iris@latest", commit="one")
    assert run_import(client).models == ()


def test_an_artifact_of_gto_whose_file_is_not_in_the_commit_is_left_out(client, tag, code_repo):
    (code_repo / "artifacts.yaml").write_text("iris:\n  path: data/model.bin\n")
    tag("iris@v1.0.0", commit="one")
    report = run_import(client, Choices(), with_artifacts=True)
    assert "has no data/model.bin; if DVC keeps it" in notes_of(report)[0]


@pytest.mark.parametrize(("source", "error"), [("https://example.com/models.git", UsageError), ("nowhere", NotFound)])
def test_a_source_that_is_no_repository_is_refused(source, error, code_repo, monkeypatch):
    monkeypatch.chdir(code_repo)
    with pytest.raises(error):
        open_source("gto", source, {})


def test_the_command_imports_from_the_current_repository(client, tag, capsys):
    tag("iris@v1.0.0", "iris#prod#1", commit="one")
    code, out, _ = ask(capsys, "import", ".", "--from", "gto", "--map", "prod=production")
    assert (code, out.splitlines()[1].split()) == (0, ["iris", "1", "production", "1"])
