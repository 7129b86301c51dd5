"""`git model history`: which version was in a stage, from when to when, by whom and why."""

import os

import pytest
from editing import BRANCH, edit, read, run
from transcripts import ask, fail, succeed

from gitmodel import Client, Invalid, NotFound
from gitmodel.branch.history import first_parents
from gitmodel.domain.schema.messages import pull_request

PRODUCTION = "models/iris/stages/production.toml"


@pytest.fixture
def at(code_repo):
    """A function: `at("2026-10-01T12:00")` returns a client whose commits have this time, in UTC."""
    opened = []

    def open_at(when, who="Ada Example"):
        dates = {f"GIT_{role}_DATE": f"{when}:00+00:00" for role in ("AUTHOR", "COMMITTER")}
        opened.append(Client(code_repo, environ={**os.environ, **dates, "GIT_AUTHOR_NAME": who}))
        return opened[-1]

    yield open_at
    for client in opened:
        client.close()


@pytest.fixture
def iris(at):
    """The model iris with three versions. Version 1 was in production for a month, and then version 2."""
    model = at("2026-09-01T08:00").register_model("iris")
    for _ in range(3):
        model.create_version()
    at("2026-10-01T12:00").get_version("iris@1").set_stage("production", reason="the first")
    at("2026-11-01T12:00", "Bob").get_version("iris@2").set_stage("production", reason="better")
    return at("2026-11-02T00:00").get_model("iris")


def told(model, stage="production"):
    return [(event.previous, event.version, event.author, event.reason) for event in model.history(stage)]


def test_history_shows_the_start_and_end_of_each_version_in_a_stage(iris):
    second, first = iris.history("production")
    assert (first.version, first.when.isoformat(), first.until.isoformat()) == (
        1, "2026-10-01T12:00:00+00:00", "2026-11-01T12:00:00+00:00",
    )  # fmt: skip
    assert first.ended_by == second.commit
    assert (second.author, second.until, second.ended_by) == ("Bob", None, "")


def test_history_includes_the_previous_names_of_a_renamed_model(at, iris):
    at("2026-11-03T00:00").get_model("iris").rename("flowers")
    at("2026-11-04T00:00").get_version("flowers@3").set_stage("production")
    at("2026-11-05T00:00").get_model("flowers").rename("blossoms")
    model = at("2026-11-06T00:00").get_model("iris")
    assert told(model) == [(2, 3, "Ada Example", ""), (1, 2, "Bob", "better"), (None, 1, "Ada Example", "the first")]
    assert [event.model for event in model.history("production")] == ["flowers", "iris", "iris"]
    assert told(model, "") == told(model)
    client = at("2026-11-07T00:00")
    everywhere = list(client.history())
    assert [event.version for event in everywhere] == [3, 2, 1]
    assert everywhere[1].ended_by == everywhere[0].commit
    assert client.get_model("blossoms").rollback("production").number == 2


def test_the_history_before_a_rename_is_shown_also_if_the_stage_was_empty_at_the_rename(at, iris):
    iris.demote("production", reason="broken")
    at("2026-11-03T00:00").get_model("iris").rename("flowers")
    model = at("2026-11-04T00:00").get_model("flowers")
    model.get_version(3).set_stage("production")
    assert [event[:2] for event in told(model)] == [(None, 3), (2, None), (1, 2), (None, 1)]


def test_a_promotion_made_together_with_a_rename_is_one_change(at, iris):
    client = at("2026-11-03T00:00")
    with client.transaction("Rename and promote") as change:
        change.update_model("iris", new_name="flowers")
        change.get_version("flowers@3").set_stage("production")
    assert [event[:2] for event in told(client.get_model("flowers"))] == [(2, 3), (1, 2), (None, 1)]


def merge_by_hand(repo, name, message):
    """Merge a proposal of the person *name*, of two commits: the first promotes version 1, and the second version 3."""
    side = "refs/heads/propose/iris"
    run(repo, "update-ref", side, BRANCH)
    text = read(repo, PRODUCTION)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GIT_AUTHOR_NAME", name)
        patch.setenv("GIT_AUTHOR_DATE", "2026-11-10T00:00:00Z")
        edit(repo, {PRODUCTION: text.replace("version = 2", "version = 1")}, "Think of 1", onto=side)
        edit(repo, {PRODUCTION: text.replace("version = 2", "version = 3")}, "Promote iris 3", onto=side)
    tip = run(repo, "rev-parse", BRANCH)
    return edit(repo, {PRODUCTION: text.replace("version = 2", "version = 3")}, message, parents=[tip, side])


def test_history_dates_a_merged_pull_request_at_the_merge_and_names_its_author(iris, code_repo, git):
    merged = merge_by_hand(code_repo, "Cleo", "Merge pull request #12 from cleo/propose")
    newest = iris.history("production")[0]
    assert (newest.version, newest.previous, newest.commit) == (3, 2, merged)
    assert (newest.author, newest.merged_by, newest.pull_request) == ("Cleo", "Ada Example", "#12")
    assert newest.authored.isoformat() == "2026-11-10T00:00:00+00:00"
    # `git log` without --first-parent also lists version 1, which was never in production on the branch
    plain = git(code_repo, "log", "--format=%s", "gitmodel", "--", PRODUCTION).splitlines()
    assert "Think of 1" in plain
    ours = [event.commit for event in iris.history("production")]
    theirs = git(code_repo, "log", "--first-parent", "-m", "--format=%H", "gitmodel", "--", PRODUCTION).splitlines()
    assert ours == theirs


def test_the_history_is_in_the_order_of_the_commits_and_not_of_their_dates(at, iris):
    at("2001-01-01T00:00").get_version("iris@3").set_stage("production")
    assert [event.version for event in iris.history("production")] == [3, 2, 1]


def test_git_settings_of_the_user_do_not_change_the_history(iris, code_repo, git):
    before = [event.commit for event in iris.history("production")]
    for key, value in (
        ("log.showSignature", "true"), ("log.showRoot", "false"), ("diff.renames", "copies"), ("log.decorate", "full"),
        ("color.ui", "always"), ("log.diffMerges", "combined"), ("core.quotePath", "true"),
    ):  # fmt: skip
        git(code_repo, "config", key, value)
    with Client(code_repo) as client:
        assert [event.commit for event in client.history("iris", "production")] == before


def test_history_has_all_changes_although_it_reads_the_commits_in_portions(iris, code_repo, monkeypatch):
    monkeypatch.setattr(first_parents, "_FIRST_STRETCH", 1)
    assert [event.version for event in iris.history("production")] == [2, 1]
    repository = iris._registered().repository
    found = [
        step.commit.message.split("\n")[0]
        for step in first_parents.walk_branch(repository, repository.tip(), "models/iris")
    ]
    assert len(found) == 6
    assert found[-1] == "Register iris"


def test_a_walk_along_the_branch_reads_no_commit_again_after_the_commit_left_the_cache(iris, monkeypatch):
    repository = iris._registered().repository
    tip, read, get = repository.tip(), [], repository.reader.get
    monkeypatch.setattr(repository.reader, "get", lambda id, **options: read.append(id) or get(id, **options))
    for _ in first_parents.walk_branch(repository, tip, "models/iris"):
        repository.commits._parsed.clear()
    assert read == []


def test_history_in_a_shallow_clone_says_how_to_deepen_the_clone(iris, code_repo, tmp_path, git, capsys, monkeypatch):
    shallow = tmp_path / "shallow"
    git(tmp_path, "clone", "-q", "--depth=2", "--no-single-branch", code_repo.as_uri(), "shallow")
    monkeypatch.chdir(shallow)
    edge = git(shallow, "rev-parse", "origin/gitmodel~1")
    err = fail(capsys, 5, "history", "iris", "production")
    assert err == (
        f"error: this clone is shallow: it has no history of the metadata branch before {edge[:10]}\n"
        "hint: run `git fetch --unshallow origin` for the rest\n"
    )
    out = succeed(capsys, "--format", "json", "history", "iris", "production", "--limit", "1")
    assert '"version":2' in out.replace(" ", "")
    # The fetched commits do not change staging. That is an error, because an older commit may have changed it.
    assert ask(capsys, "history", "iris", "staging")[0] == 5
    git(shallow, "fetch", "-q", "--unshallow", "origin")
    succeed(capsys, "history", "iris", "staging")


def test_a_clone_that_is_shallow_only_in_the_code_shows_the_history(iris, code_repo, tmp_path, git):
    clone = tmp_path / "clone"
    git(tmp_path, "clone", "-q", "--depth=1", "--branch=main", code_repo.as_uri(), str(clone))
    git(clone, "commit", "-q", "--allow-empty", "-m", "More")
    git(clone, "fetch", "-q", "--depth=2147483647", "origin", "gitmodel:gitmodel")
    (clone / ".git" / "shallow").write_text(git(clone, "rev-parse", "HEAD") + "\n", encoding="ascii")
    with Client(clone) as client:
        assert client.repository.shallow
        assert [event.version for event in client.history("iris", "production")] == [2, 1]


def test_history_warns_of_a_stage_tag_whose_commit_a_rewritten_branch_lacks(
    iris, code_repo, git, transcript, monkeypatch
):
    monkeypatch.chdir(code_repo)
    git(code_repo, "update-ref", BRANCH, "gitmodel~1")
    edit(code_repo, {PRODUCTION: read(code_repo, PRODUCTION).replace("version = 1", "version = 3")}, "Rewritten")
    transcript("""
        $ git model history iris production
        FROM (UTC)        UNTIL (UTC)       VERSION  WHO          COMMIT      REASON
        2026-11-23 10:12  now               1 -> 3   Ada Example  <commit>  the first
        2026-10-01 12:00  2026-11-23 10:12  - -> 1   Ada Example  <commit>  the first
        ! warning: the tag model/iris/production does not count: its commit is not on the metadata branch
        ! hint: run `git model doctor --fix` to set it again from the branch
    """)


def test_the_history_of_an_unknown_stage_is_refused(iris):
    with pytest.raises(NotFound, match="iris never had a stage or alias champion"):
        iris.history("champion")


def test_the_history_is_the_same_after_git_model_maintenance_and_git_gc(iris, code_repo, transcript, monkeypatch, git):
    monkeypatch.chdir(code_repo)
    before = [event.commit for event in iris.history("production")]
    transcript("""
        $ git model maintenance
        7 commits are indexed by path, 0 loose objects were packed
    """)
    assert list((code_repo / ".git/objects/info/commit-graphs").glob("*.graph"))
    assert [event.commit for event in iris.history("production")] == before
    git(code_repo, "commit-graph", "verify")
    git(code_repo, "commit", "-q", "--allow-empty", "-m", "More code")
    git(code_repo, "gc", "-q")
    assert [event.commit for event in iris.history("production")] == before


@pytest.mark.parametrize(
    ("message", "named"),
    [
        ("Merge pull request #12 from ada/x\n", "#12"),
        ("Merge pull request 'Promote iris 4' (#3) from ada/x into gitmodel\n", "#3"),
        ("Merged in x (pull request #5)\n", "#5"),
        ("Merged PR 8: Promote iris\n", "8"),
        ("Promote iris 4 to production (#7)\n\nModel: iris\n", "#7"),
        ("Merge branch 'x' into 'gitmodel'\n\nPromote iris\n\nSee merge request ml/team/iris!9\n", "!9"),
        ("Promote iris 4 to production\n\nsee (#7)\n", ""),
        ("Promote iris 4 to production\n", ""),
    ],
)
def test_the_number_of_the_pull_request_is_read_from_the_merge_message_of_each_host(message, named):
    assert pull_request(message) == named


def test_history_raises_invalid_if_a_commit_of_the_branch_is_missing(iris, code_repo):
    tip = run(code_repo, "rev-parse", BRANCH)
    folder = code_repo / ".git" / "objects" / tip[:2]
    with Client(code_repo) as client:
        (folder / tip[2:]).unlink()
        with pytest.raises(Invalid):
            list(client.history("iris", "production"))
