"""Options or arguments that contradict each other are refused: the error names both, and nothing changes. The exit
code of a command is then 2."""

import shlex

import pytest
from editing import refs_unchanged, run
from transcripts import ask, fail, succeed

from gitmodel import Client
from gitmodel.errors import UsageError


@pytest.fixture
def repo(code_repo, monkeypatch):
    monkeypatch.chdir(code_repo)
    with Client(code_repo) as client:
        client.register_model("iris", tags=["a"]).create_version(tags=["a"], metadata={"auc": 0.9})
    return code_repo


@pytest.mark.parametrize(
    ("command", "named"),
    [
        ("version update iris@1 --tag x --set-tags y", ("--tag", "--set-tags")),
        ("version update iris@1 --tag x --set-tags ''", ("--tag", "--set-tags")),
        ("version update iris@1 --remove-tag a --set-tags y", ("--remove-tag", "--set-tags")),
        ("version update iris@1 --tag a --remove-tag a", ("--tag a", "--remove-tag a")),
        ("version update iris@1 --stage staging --tag x --set-tags y", ("--tag", "--set-tags")),
        ("update iris --tag x --set-tags y", ("--tag", "--set-tags")),
        ("update iris --remove-tag a --set-tags y", ("--remove-tag", "--set-tags")),
        ("update iris --rename flower --tag a --remove-tag a", ("--tag a", "--remove-tag a")),
        ("version update iris@1 --description x --force", ("--force", "--stage")),
        ("version update iris@1 --description x --leave", ("--leave", "--stage")),
        ("version update iris@1 --description x --reason why", ("--reason", "--stage")),
        ("metadata set iris@1 auc=1 --remove auc", ("'auc'", "set and removed")),
        ("version contains HEAD --without --exact", ("--without", "--exact")),
        ("check --force", ("--force", "BASE..HEAD or --staged")),
        ("check HEAD --force", ("--force", "BASE..HEAD or --staged")),
        ("apply --remote origin", ("remote", "push")),
        ("list -q --format json", ("--quiet", "--format json")),
        ("--format tsv list -q", ("--quiet", "--format tsv")),
        ("-q list --format json", ("--quiet", "--format json")),
    ],
)
def test_options_that_contradict_each_other_are_refused(repo, capsys, command, named):
    with refs_unchanged(repo):
        assert all(word in fail(capsys, 2, *shlex.split(command)) for word in named)


@pytest.mark.parametrize(
    "command",
    [
        "check ''", "plan ''", "apply ''", "apply iris ''", "stage show ''", "history ''", "history iris ''", "log ''",
        "version list ''", "config ''", "verify ''", "runs show ''", "runs cells ''",
        "runs logs ''", "runs packages ''", "propose ''",
    ],
)  # fmt: skip
def test_an_empty_argument_is_refused_instead_of_taken_for_a_missing_one(repo, capsys, command):
    """An unset variable in `git model check "$RANGE"` must not check the branch instead of the pull request."""
    with refs_unchanged(repo):
        assert "is empty\nhint: leave it out" in fail(capsys, 2, *shlex.split(command))


def test_the_python_interface_refuses_the_same_contradictions(repo):
    with refs_unchanged(repo), Client(repo) as client:
        model, version = client.get_model("iris"), client.get_version("iris@1")
        for change in (version.update, model.update, lambda **given: client.update_model("iris", **given)):
            for given in ({"tags": ["x"], "add_tags": ["y"]}, {"tags": [], "remove_tags": ["a"]}):
                with pytest.raises(UsageError, match=r"tags and (add|remove)_tags cannot be combined"):
                    change(**given)
            with pytest.raises(UsageError, match="add_tags and remove_tags both name 'a'"):
                change(add_tags=["a"], remove_tags=["a"])
        with pytest.raises(UsageError, match="the remote origin is used only with push"):
            client.apply(remote="origin")


def test_options_that_do_not_contradict_are_accepted(repo, capsys):
    for command in (
        "version update iris@1 --tag x --remove-tag a --stage staging --reason why --leave",
        "version update iris@1 --stage none --leave",
        "update iris --set-tags a --set-tags b",
        "list -q --format table",
        "metadata set iris@1 loss=1 --remove auc",
    ):
        assert ask(capsys, *shlex.split(command))[0] == 0, command
    succeed(capsys, "check", f"{run(repo, 'rev-parse', 'gitmodel')}~1..gitmodel", "--force")
