"""Version numbers have an upper limit, and gitmodel never writes a record that a reader would refuse."""

import shlex

import pytest
from editing import edit, refs_unchanged
from transcripts import ask, end_with, succeed

from gitmodel import Client, Invalid, UsageError
from gitmodel.domain.changes.planned_change import Change
from gitmodel.domain.schema import codec, paths
from gitmodel.domain.schema.records import VersionRecord
from gitmodel.registry.health import checking
from gitmodel.registry.writing.transacting import transact
from gitmodel.teams.checks.range_checks import check_between

HUGE = 999_999_999_999_999_999
HIGHEST = paths.HIGHEST_NUMBER


@pytest.fixture
def repo(code_repo, monkeypatch):
    """A registry with iris@1 in production, and the model rose without versions."""
    monkeypatch.chdir(code_repo)
    with Client(code_repo) as client:
        client.register_model("iris").create_version("first").set_stage("production")
        client.register_model("rose")
    return code_repo


def version_file(model, number, created):
    record = codec.encode(VersionRecord(number=number, created=created))
    return {paths.version_file(model, number): record}


def commit_numbers(repo, model, *numbers):
    """Commit versions with these numbers by plain git, without the checks of gitmodel."""
    with Client(repo) as client:
        created = client.get_model("iris").created
        files = {}
        for number in numbers:
            files |= version_file(model, number, created)
        transact(client.repository, lambda snapshot: Change(None, subject="By hand", files=files))


class TestNumbers:
    @pytest.mark.parametrize("number", [HUGE, HIGHEST + 1])
    def test_check_names_a_number_that_is_too_high(self, repo, capsys, number):
        commit_numbers(repo, "iris", number)
        out, err = end_with(capsys, 5, "check")
        assert f"versions/{number // 100}xx/{number}.toml" in out + err
        assert "is more than 1000000000" in out + err

    @pytest.mark.parametrize("number", [HUGE, HIGHEST])
    def test_after_the_highest_number_a_new_version_is_refused_and_no_ref_moves(self, repo, capsys, number):
        commit_numbers(repo, "iris", number)
        with refs_unchanged(repo):
            code, _, err = ask(capsys, "version", "create", "iris")
            assert (code, "numbers end at 1000000000" in err, f"{number}.toml" in err) == (5, True, True)

            def in_transaction(client):
                with client.transaction("Add") as change:
                    change.get_model("iris").create_version()

            with Client(repo) as client:
                with pytest.raises(Invalid, match="numbers end at"):
                    client.get_model("iris").create_version(idempotency_key="k")
                with pytest.raises(Invalid, match="numbers end at"):
                    in_transaction(client)
        succeed(capsys, "version", "create", "rose")

    def test_the_highest_number_can_be_used(self, repo, capsys):
        commit_numbers(repo, "iris", HIGHEST - 1)
        assert ask(capsys, "version", "create", "iris") == (0, "created iris@1000000000\n", "")
        with Client(repo) as client:
            assert checking.check(client.repository) == []

    def test_a_pipeline_is_refused_before_it_runs_if_the_highest_number_is_used(self, repo, git):
        from gitmodel import ModelConfig, pipeline, step

        commit_numbers(repo, "iris", HIGHEST)
        before = git(repo, "for-each-ref")
        ran = []

        @step
        def train() -> int:
            ran.append(1)
            return 1

        @pipeline(enable_cache=False, model_config=ModelConfig(name="iris", create_new_model_version=True))
        def whole():
            train()

        with pytest.raises(Invalid, match="numbers end at"):
            whole()
        assert (ran, git(repo, "for-each-ref", "refs/heads", "refs/tags", "refs/gitmodel/reserved")) == (
            [],
            "\n".join(line for line in before.splitlines() if "refs/gitmodel/code" not in line),
        )

    @pytest.mark.parametrize(
        ("model", "numbers", "found"),
        [
            ("iris", (1002,), None),
            ("iris", (1003,), "skips 1001 numbers"),
            ("iris", (1002, 2003), None),
            ("iris", (HUGE,), f"skips {HUGE - 2} numbers"),
            ("rose", (1001,), None),
            ("rose", (1002,), "skips 1001 numbers"),
            ("new", (5000,), None),
        ],
    )
    def test_a_large_gap_in_numbers_is_reported_only_by_check_of_a_range_of_commits(self, repo, model, numbers, found):
        with Client(repo) as client:
            base = client.repository.tip()
            if model == "new":
                client.register_model("new")
            commit_numbers(repo, model, *numbers)
            head = client.repository.tip()
            problems = check_between(client.repository, base, head).problems
            gaps = [problem.message for problem in problems if problem.rule == "change.number"]
            assert [found in gap for gap in gaps] == ([True] if found else [])
            of_all = [problem.rule for problem in checking.check(client.repository)]
            assert of_all == (["version.number"] if HUGE in numbers else [])

    def test_an_imported_version_gets_number_1_if_the_model_has_no_versions(self, repo, capsys):
        commit_numbers(repo, "rose", 5000)
        succeed(capsys, "export", "rose@5000", "rose.tar")
        with Client(repo) as client:
            transact(
                client.repository,
                lambda snapshot: Change(None, subject="By hand", files={paths.version_file("rose", 5000): None}),
            )
            base = client.repository.tip()
            succeed(capsys, "import", "rose.tar")
            assert client.get_version("rose").number == 1
            assert check_between(client.repository, base, client.repository.tip()).problems == ()


class TestWhatIsWritten:
    def test_writing_a_record_with_an_invalid_value_is_refused(self, repo):
        with Client(repo) as client:
            created = client.get_model("iris").created
        with pytest.raises(UsageError, match="takes a number from 1"):
            codec.encode(VersionRecord(number=0, created=created))

    @pytest.mark.parametrize(
        ("path", "data"),
        [
            ("models/iris/versions/412.toml", b""),
            (f"models/iris/versions/{10**18 // 100}xx/{10**18}.toml", b""),
            ("elsewhere.toml", b""),
            ("", b""),
            ("allowed_signers", b"x" * (codec.MAX_BYTES + 1)),
        ],
    )
    def test_a_transaction_refuses_to_commit_a_file_that_readers_would_refuse(self, repo, path, data):
        with refs_unchanged(repo), Client(repo) as client, pytest.raises(Invalid):
            transact(client.repository, lambda snapshot: Change(None, subject="Wrong", files={path: data}))


WRITERS = """\
update iris --title X
update iris --rename flower
version create iris
version update iris 1 --description X
version update iris 2 --stage staging
metadata set iris@1 a=1
metadata set iris@2 a=1
promote iris@2 staging
promote iris@2 production
demote iris production
rollback iris production
alias set iris@2 best
alias set iris@1 best
alias remove iris champion
version delete iris 2 --yes
delete iris --yes --force
link iris@2 --data x=train.py
unlink iris@2 y --yes
register other
store add other file:///tmp
apply
"""
DAMAGE = {
    "a version": "models/iris/versions/1.toml",
    "the newest version": "models/iris/versions/2.toml",
    "a stage": "models/iris/stages/production.toml",
    "an alias": "models/iris/aliases/champion.toml",
    "the model": "models/iris/model.toml",
    "another model": "models/rose/model.toml",
}


@pytest.mark.parametrize("damaged", DAMAGE)
def test_a_command_that_fails_because_of_a_damaged_record_moves_no_ref(repo, capsys, git, damaged):
    with Client(repo) as client:
        version = client.get_model("iris").create_version(data={"y": repo / "train.py"})
        client.get_version("iris@1").add_alias("champion")
        assert version.number == 2
    edit(repo, {DAMAGE[damaged]: "nonsense"})
    refs = git(repo, "for-each-ref", "--format=%(objectname) %(refname)", "refs/heads/gitmodel", "refs/tags")
    moved = []
    for command in WRITERS.splitlines():
        code, _, _ = ask(capsys, *shlex.split(command))
        now = git(repo, "for-each-ref", "--format=%(objectname) %(refname)", "refs/heads/gitmodel", "refs/tags")
        if now != refs:
            if code:
                moved.append((code, command))
            back = [f"delete {line.split()[1]}" for line in now.splitlines()]
            git(repo, "update-ref", "--stdin", input="\n".join(back) + "\n")
            again = ["create {1} {0}".format(*line.split()) for line in refs.splitlines()]
            git(repo, "update-ref", "--stdin", input="\n".join(again) + "\n")
    assert moved == []
