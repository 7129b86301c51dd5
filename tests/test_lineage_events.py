"""`git model log` lists the events of a model or version. `git model blame` names the commit that set each field."""

import os

import pytest
from editing import BRANCH, run
from transcripts import ask, succeed

from gitmodel import Client, Invalid, NotFound
from gitmodel.branch.history import first_parents
from gitmodel.domain.record_fields import changed_fields, fields_of


@pytest.fixture
def iris(code_repo, monkeypatch):
    """The model iris, which two people changed. Of its two versions, the second is in production."""
    monkeypatch.chdir(code_repo)
    (code_repo / "train.csv").write_text("a\n", encoding="utf-8")
    with Client() as ada, Client(environ={**os.environ, "GIT_AUTHOR_NAME": "Bob"}) as bob:
        model = ada.register_model("iris", title="Iris")
        model.create_version("1.0", metadata={"accuracy": 0.9, "rows": 150}, data={"train": "train.csv"})
        bob.get_version("iris@1").log_metadata(accuracy=0.95, note="again")
        model.get_version(1).set_stage("production", reason="the first")
        model.create_version()
        bob.get_version("iris@2").set_stage("production", reason="better")
        bob.get_version("iris@2").add_alias("champion")
        yield ada.get_model("iris")


def test_the_log_of_a_version_has_all_its_events(iris, transcript):
    transcript("""
        $ git model log iris@1
        WHEN (UTC)        HAPPENED                                   WHO          COMMIT      REASON
        2026-11-23 10:12  archived                                   Bob          <commit>  better
        2026-11-23 10:12  left production                            Bob          <commit>  better
        2026-11-23 10:12  entered production                         Ada Example  <commit>  the first
        2026-11-23 10:12  changed: metadata.accuracy, metadata.note  Bob          <commit>
        2026-11-23 10:12  created                                    Ada Example  <commit>
    """)


def test_the_log_of_a_model_and_of_all_models_has_their_events(iris, capsys):
    with Client() as client:
        client.register_model("other")
        told = [(event.version, event.what) for event in client.log("iris")]
        assert told == [
            (2, "got the alias champion"),
            (1, "archived"),
            (2, "entered production"),
            (1, "left production"),
            (2, "created"),
            (1, "entered production"),
            (1, "changed"),
            (1, "created"),
            (None, "registered"),
        ]
        assert [event.model for event in client.log()] == ["other", *["iris"] * len(told)]
    assert ask(capsys, "log", "--limit", "1", "-q")[1].strip() == run(".", "rev-parse", BRANCH)
    assert ask(capsys, "log", "nothing")[0] == 3
    _, out, _ = ask(capsys, "log", "iris", "--filter", 'what == "created"', "--format", "tsv")
    assert len(out.splitlines()) == 3


def test_blame_names_the_commit_that_set_each_field(iris, git):
    with Client() as client:
        found = {origin.field: origin for origin in client.blame("iris@1")}
    said = {field: (origin.author, origin.value) for field, origin in found.items()}
    assert said["metadata.accuracy"] == ("Bob", 0.95)
    assert said["metadata.rows"] == ("Ada Example", 150)
    assert said["name"] == ("Ada Example", "1.0")
    assert said["artifacts.train.size"] == ("Ada Example", 2)
    assert said["stage"] == ("Bob", "archived")
    # `git blame` of the record finds the same commits
    lines = git(".", "blame", "--line-porcelain", "gitmodel", "--", "models/iris/versions/1.toml").split("\n")
    commits = [line.split()[0] for line in lines if len(line.split()[0:1]) and len(line.split()[0]) == 40]
    texts = [line[1:] for line in lines if line.startswith("\t")]
    for key, field in (("accuracy", "metadata.accuracy"), ("rows", "metadata.rows"), ("name", "name")):
        at = next(number for number, text in enumerate(texts) if text.startswith(f"{key} = "))
        assert found[field].commit == commits[at]


def test_blame_of_a_stage_prints_a_table(iris, capsys):
    out = succeed(capsys, "blame", "iris@production", "--filter", 'field in ["stage", "aliases.champion"]')
    assert [line.split()[:2] for line in out.splitlines()[1:]] == [["stage", "production"], ["aliases.champion", "2"]]
    assert "Bob" in out


def test_a_rename_of_a_model_is_one_event_and_sets_no_field(iris):
    with Client() as client:
        client.get_model("iris").rename("flowers")
        client.get_version("flowers@1").log_metadata(after=True)
        told = [(event.model, event.version, event.what) for event in client.log("flowers")]
        assert told[:3] == [
            ("flowers", 1, "changed"),
            ("flowers", None, "renamed from iris"),
            ("iris", 2, "got the alias champion"),
        ]
        assert told[-1] == ("iris", None, "registered")
        assert [event.what for event in client.log("iris@1")] == [
            "changed", "archived", "left production", "entered production", "changed", "created",
        ]  # fmt: skip
        assert [event.what for event in client.log()][:2] == ["changed", "renamed from iris"]
        found = {origin.field: origin.author for origin in client.blame("flowers@1")}
        assert (found["metadata.accuracy"], found["metadata.rows"]) == ("Bob", "Ada Example")
        assert found["metadata.after"] == "Ada Example"


def test_deleted_versions_and_models_still_have_a_log(iris):
    with Client() as client:
        version = client.get_model("iris").create_version()
        version.delete(reason="wrong")
        assert [event.what for event in client.log("iris@3")] == ["deleted", "created"]
        client.delete_model("iris", force=True)
        assert next(iter(client.log("iris"))).model == "iris"
        with pytest.raises(NotFound):
            client.log("iris@9")


def test_log_and_blame_in_a_shallow_clone_are_refused(iris, code_repo, tmp_path, git):
    for name in ("production", "champion"):
        run(code_repo, "update-ref", "-d", f"refs/tags/model/iris/{name}")
    git(tmp_path, "clone", "-q", "--depth=2", "--no-single-branch", code_repo.as_uri(), "shallow")
    with Client(tmp_path / "shallow") as client:
        for ask_for in (lambda: list(client.log("iris")), lambda: client.blame("iris@1"), lambda: list(client.log())):
            with pytest.raises(Invalid, match="this clone is shallow"):
                ask_for()


def test_the_log_of_a_version_needs_no_commit_from_before_its_creation(iris, code_repo, tmp_path, git):
    iris.update(description="something that happened before")
    version = iris.create_version()
    version.set_stage("staging")
    version.log_metadata(accuracy=0.99)
    for name in ("production", "champion", "staging"):
        run(code_repo, "update-ref", "-d", f"refs/tags/model/iris/{name}")
    git(tmp_path, "clone", "-q", "--depth=4", "--no-single-branch", code_repo.as_uri(), "shallow")
    with Client(tmp_path / "shallow") as client:
        told = [event.what for event in client.log(version.reference)]
        assert told == ["changed", "entered staging", "created"]
        with pytest.raises(Invalid, match="this clone is shallow"):
            list(client.log("iris"))


def test_log_and_blame_are_the_same_after_git_model_maintenance(iris, code_repo, monkeypatch):
    with Client() as client, client.transaction("All at once") as change:
        version = change.get_model("iris").create_version()
        version.set_stage("production", reason="at once")
        version.add_alias("fresh")
        change.get_version("iris@1").set_stage("production", reason="and back")

    def answers():
        with Client() as client:
            logs = [list(client.log(f"iris@{number}")) for number in (1, 2, 3)]
            return [*logs, list(client.history("iris")), client.blame("iris@1")]

    asked = []
    monkeypatch.setattr(
        first_parents,
        "walk_branch",
        lambda *words, walk_branch=first_parents.walk_branch: asked.append(words[2:]) or walk_branch(*words),
    )
    before = answers()
    assert max(map(len, asked)) == 3
    with Client() as client:
        client.maintain()
    asked.clear()
    assert answers() == before
    assert max(map(len, asked)) == 1


def test_an_empty_registry_has_no_log(code_repo):
    with Client(code_repo) as client:
        assert list(client.log()) == []


def test_a_field_counts_as_changed_if_its_type_or_value_differs():
    one = fields_of(b'a = 1\nb = nan\nc = ["x"]\n', "x")
    two = fields_of(b'a = true\nb = nan\nc = ["x", "y"]\n', "x")
    assert changed_fields(one, two) == ("a", "c")
    assert fields_of(b"= broken", "x") == {}
