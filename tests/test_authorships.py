"""Authorship: who created a model or version, and who changed it last.

The index stores the authorship up to the newest commit that was indexed, and gitmodel reads the newer commits. The
result must agree with the history, which `git model log` shows.
"""

import sqlite3
from concurrent.futures import ThreadPoolExecutor
from operator import methodcaller

import pytest
from transcripts import said

from gitmodel import Client, UsageError
from gitmodel.index import index_file
from gitmodel.lineage.history.events import log
from gitmodel.registry.health import doctor
from gitmodel.registry.lists import authorship


@pytest.fixture
def wine(client):
    return client.register_model("wine")


def told(client):
    """Return the expected authorship of each model and version, computed from the events that `git model log` shows."""
    found = {}
    for event in log(client.repository):
        key = event.model if event.version is None else f"{event.model}@{event.version}"
        keys = {key, event.model}
        for one in keys:
            author, updated, by = found.get(one, (None, event.when, event.author))
            made = event.what == ("registered" if one == event.model else "created") and one == key
            found[one] = (event.author if made else author, updated, by)
    return found


def answered(client):
    return {key: (one.author, one.updated, one.updated_by) for key, one in client.authorships().items()}


def remove_index(client):
    for index in client.repository.own_folder.glob("index-*.sqlite"):
        index.unlink()


def as_person(monkeypatch, name):
    monkeypatch.setenv("GIT_AUTHOR_NAME", name)
    monkeypatch.setenv("GIT_COMMITTER_NAME", name)


def test_after_any_kind_of_change_authorship_agrees_with_the_events_of_the_log(client, wine, code_repo, monkeypatch):
    steps = [
        lambda model: model.create_version(),
        lambda model: model.create_version(number=4),
        lambda model: model.get_version(1).set_stage("production"),
        lambda model: model.get_version(4).log_metadata(accuracy=0.9),
        lambda model: model.get_version(4).set_stage("production"),
        lambda model: model.get_version(1).add_alias("old"),
        lambda model: model.get_version(4).add_alias("old"),
        lambda model: model.update(title="Wine"),
        lambda model: model.get_version(1).delete(),
        lambda model: model.demote("production"),
    ]
    for number, step in enumerate(steps):
        as_person(monkeypatch, f"Person {number}")
        with Client(code_repo) as other:
            step(other.get_model("wine"))
        assert answered(client) == told(client), number
    remove_index(client)
    assert answered(client) == told(client)


def test_a_renamed_model_keeps_the_authors_of_its_versions(client, wine, code_repo, monkeypatch):
    as_person(monkeypatch, "Ada")
    with Client(code_repo) as ada:
        ada.get_model("wine").create_version()
        before = ada.authorships()["wine@1"]
    as_person(monkeypatch, "Ben")
    with Client(code_repo) as ben:
        ben.get_model("wine").rename("port")
        found = ben.authorships()
        assert (found["port@1"], found["port"].updated_by) == (before, "Ben")
        assert "wine@1" not in found
    with Client(code_repo) as whole:
        remove_index(whole)
        assert whole.authorships() == found


def test_reading_authorship_again_reads_only_the_commits_that_are_newer_than_the_index(client, wine, monkeypatch):
    wine.create_version()
    client.authorships()
    monkeypatch.setattr(authorship, "walk_branch", None)
    wine.create_version()
    assert client.authorships()["wine@2"].author == "Ada Example"
    for _ in range(3):
        wine.create_version()
    wine.get_version(3).set_stage("production")
    expected = told(client)
    assert answered(client) == expected
    monkeypatch.setattr(authorship, "changes_between", None)
    assert answered(client) == expected


def test_authorship_reads_the_whole_history_again_after_the_branch_was_rewritten(client, wine, git, code_repo):
    wine.create_version(description="one")
    client.authorships()
    git(code_repo, "update-ref", "refs/heads/gitmodel", "refs/heads/gitmodel~1")
    with Client(code_repo) as after:
        assert "wine@1" not in after.authorships()
        after.get_model("wine").create_version(description="another")
        assert answered(after) == told(after)


def test_authorship_at_an_earlier_commit_leaves_out_later_versions_and_does_not_change_the_index(client, wine):
    wine.create_version()
    at = client.repository.tip()
    wine.create_version()
    client.authorships()
    assert "wine@2" not in client.at(at).authorships()
    assert "wine@2" in client.authorships()


def test_authorship_is_the_same_if_the_index_cannot_be_used(client, wine, monkeypatch):
    wine.create_version()
    expected = client.authorships()
    monkeypatch.setattr(sqlite3, "connect", lambda *_, **__: (_ for _ in ()).throw(sqlite3.Error("no")))
    assert client.authorships() == expected


def test_authorship_in_a_shallow_clone_leaves_out_authors_of_missing_commits(client, wine, tmp_path, git, code_repo):
    wine.create_version()
    wine.create_version()
    wine.get_version(1).log_metadata(note="changed")
    git(tmp_path, "clone", "-q", "--depth=2", "--branch=gitmodel", f"file://{code_repo}", "shallow")
    with Client(tmp_path / "shallow") as shallow:
        found = shallow.authorships()
    assert "wine@2" not in found
    assert (found["wine@1"].author, found["wine@1"].updated_by) == (None, "Ada Example")


def test_authorship_is_computed_again_if_a_shallow_fetch_hid_the_commit_that_was_indexed_last(
    client, wine, tmp_path, git, code_repo
):
    wine.create_version()
    wine.create_version()
    git(tmp_path, "clone", "-q", "--depth=2", "--branch=gitmodel", f"file://{code_repo}", "shallow")
    shallow = tmp_path / "shallow"
    with Client(shallow) as before:
        assert before.authorships()["wine@2"].author == "Ada Example"
    wine.create_version()
    git(shallow, "fetch", "-q", "--depth=1", "origin", "gitmodel")
    git(shallow, "reset", "-q", "--hard", "FETCH_HEAD")
    with Client(shallow) as after:
        found = after.authorships()
        remove_index(after)
        assert found == after.authorships() == {}


def test_a_search_filters_and_sorts_by_author_and_last_change(client, wine, code_repo, monkeypatch):
    for name in ("Ada", "Ben", "Cleo"):
        as_person(monkeypatch, name)
        with Client(code_repo) as one:
            one.get_model("wine").create_version()
    as_person(monkeypatch, "Dora")
    monkeypatch.setenv("GIT_COMMITTER_DATE", "2030-01-01T00:00:00Z")
    with Client(code_repo) as one:
        one.get_version("wine@1").log_metadata(note="late")

    def numbers(found):
        return [view.record.number for view in found]

    newest = client.find_versions("wine", sort="-updated", limit=1)
    assert (numbers(newest), newest[0].authorship.updated_by) == ([1], "Dora")
    assert numbers(client.find_versions("wine", sort="-author")) == [3, 2, 1]
    assert numbers(client.find_versions(filter='author == "Ben"')) == [2]
    assert numbers(client.view_versions("wine", filter='updated > timestamp("2029-01-01T00:00:00Z")')) == [1]
    assert [view.name for view in client.view_models(sort="-updated")] == ["wine", "iris"]
    assert client.get_version("wine@1").authorship == client.authorships()["wine@1"]
    with pytest.raises(UsageError):
        client.add_gate("production", "mine", 'author == "Ada"')


def test_a_list_shows_the_author_and_the_last_change_as_columns(client, wine, capsys, monkeypatch, code_repo):
    wine.create_version()
    wine.create_version()
    monkeypatch.chdir(code_repo)
    code, out = said(capsys, "version", "list", "wine", "--columns", "author,updated", "--sort=-updated")
    assert (code, [(row["number"], row["author"]) for row in out]) == (0, [(2, "Ada Example"), (1, "Ada Example")])
    assert [row["updated"] for row in out] == sorted((row["updated"] for row in out), reverse=True)


def test_threads_can_create_versions_in_one_transaction(client, wine):
    with client.transaction("Import") as change:
        model = change.get_model("wine")

        def create(number):
            version = model.create_version(metadata={"n": number})
            version.add_alias(f"alias-{number}")
            return version.number

        with ThreadPoolExecutor(4) as pool:
            numbers = list(pool.map(create, range(12)))
    assert sorted(numbers) == list(range(1, 13))
    assert {view.record.metadata["n"]: view.aliases for view in client.view_versions("wine")} == {
        number: (f"alias-{number}",) for number in range(12)
    }
    assert client.check() == []


def test_doctor_finds_and_repairs_authors_and_dates_in_the_index_that_contradict_the_history(client, wine):
    wine.create_version()
    assert answered(client) == told(client)
    assert doctor.examine(client.repository, None) == []
    change = "UPDATE authorship SET updated = 1 WHERE model = 'wine' AND number = 1"
    index_file.IndexFile(client.repository.own_folder).change(methodcaller("execute", change))
    message = "the index has wrong values for wine: searches and lists may be wrong"
    assert [found.message for found in doctor.repair(client.repository, None)] == [message]
    assert (doctor.examine(client.repository, None), answered(client)) == ([], told(client))
