"""Filters of lists: a name that no record has is an error that suggests the nearest one, on the command line and in
Python."""

import importlib.util

import pytest
from transcripts import ask

from gitmodel import Client
from gitmodel.cli import shapes
from gitmodel.cli.options import _filter_names
from gitmodel.domain.filter_names import RECORDED
from gitmodel.domain.views import VERSION_NAMES, model_names
from gitmodel.errors import UsageError
from gitmodel.expressions import Filter
from gitmodel.registry.runs import RUN_NAMES

needs_library = pytest.mark.skipif(importlib.util.find_spec("cel") is None, reason="needs gitmodel[cel]")


@pytest.fixture
def repo(code_repo, monkeypatch):
    monkeypatch.chdir(code_repo)
    return code_repo


@pytest.fixture
def client(repo):
    with Client(repo) as client:
        iris = client.register_model("iris")
        iris.create_version(metadata={"accuracy": 0.9, "test.auc": 0.8, "split": {"rows": 150}})
        iris.create_version(metadata={"accuracy": 0.95})
        iris.create_version()
        iris.get_version(2).set_stage("production")
        yield client


@pytest.mark.parametrize(
    ("expression", "hint"),
    [
        ("nmae == 'm'", "did you mean name?"),
        ("accuracy > 0.5", "what was logged is written metadata.accuracy"),
        ("metdata.accuracy > 0.5", "did you mean metadata?"),
        ("metadata.acuracy > 0.5", "did you mean metadata.accuracy?"),
        ("metadata.rows > 0", "did you mean metadata.split.rows?"),
        ("number == 1 && metadata.acuracy > 0.5", "did you mean metadata.accuracy?"),
        ("'x' in tgas", "did you mean tags?"),
        ("!code.drity", "did you mean code.dirty?"),
        ("artifacts[0].knd == 'model'", "did you mean artifacts[0].kind?"),
        ("artifacts.kind == 'model'", "artifacts.exists(item, item.kind"),
        pytest.param("has(code.drity)", "did you mean code.dirty?", marks=needs_library),
        pytest.param("number == 1 || nmae == 'm'", "did you mean name?", marks=needs_library),
        pytest.param("number == 1 || metadata.acuracy > 0", "did you mean metadata.accuracy?", marks=needs_library),
        pytest.param("artifacts.exists(a, a.knd == 'model')", "did you mean a.kind?", marks=needs_library),
        pytest.param("artifacts.exists(a, a.kind == nmae)", "did you mean name?", marks=needs_library),
        pytest.param("nmae.startsWith('1')", "did you mean name?", marks=needs_library),
    ],
)
def test_an_unknown_name_in_a_filter_of_versions_is_an_error(client, capsys, expression, hint):
    code, out, err = ask(capsys, "version", "list", "iris", "--filter", expression)
    assert (code, out) == (2, "")
    assert hint in err
    with pytest.raises(UsageError) as caught:
        client.get_model("iris").list_versions(filter=expression)
    assert hint in caught.value.hint


@pytest.mark.parametrize(
    ("expression", "numbers"),
    [
        ("metadata.accuracy > 0.92", [2]),
        ("metadata['test.auc'] > 0.5", [1]),
        ("metadata.split.rows == 150", [1]),
        ("stage == 'none'", [1, 3]),
        ("stage != 'none'", [2]),
        ("metadata.accuracy > 0.99", []),
        pytest.param("has(metadata.acuracy)", [], marks=needs_library),
        pytest.param("has(metadata.acuracy) && metadata.acuracy > 1", [], marks=needs_library),
        pytest.param("!has(metadata.acuracy)", [1, 2, 3], marks=needs_library),
        pytest.param("[1, 2].exists(name, name == number)", [1, 2], marks=needs_library),
    ],
)
def test_a_known_name_is_no_error_though_no_version_matches(client, capsys, expression, numbers):
    found = client.get_model("iris").list_versions(filter=expression)
    assert [version.number for version in found] == numbers
    code, out, _ = ask(capsys, "version", "list", "iris", "-q", "--filter", expression)
    assert (code, out.split()) == (0, [f"iris@{number}" for number in reversed(numbers)])


def test_a_deleted_version_counts_as_searched(repo):
    with Client(repo) as client:
        iris = client.register_model("iris")
        iris.create_version(metadata={"loss": 1.0}).delete()
        with pytest.raises(UsageError, match=r"no version of iris has metadata\.loss"):
            iris.list_versions(filter="metadata.loss > 0")


def test_a_key_is_looked_for_beyond_the_page_that_is_wanted(client):
    iris = client.get_model("iris")
    wanted = "number > 0 || metadata.split.rows > 0"
    if importlib.util.find_spec("cel"):
        assert [version.number for version in iris.list_versions(filter=wanted, limit=1)] == [3]
    assert list(iris.list_versions(filter="metadata.split.rows > 0", limit=0)) == []


def test_without_versions_every_key_may_be_right(repo, capsys):
    with Client(repo) as client:
        iris = client.register_model("iris")
        assert list(iris.list_versions(filter="metadata.acuracy > 0.5")) == []
        with pytest.raises(UsageError, match="there is no field nmae"):
            iris.list_versions(filter="nmae == 'a'")


@pytest.mark.parametrize(
    ("command", "hint"),
    [
        ("list --filter stage=='production'", "did you mean stages?"),
        ("list --filter stages.prodction==2", "did you mean stages.production?"),
        ("list --filter aliases.champion==2", "has(aliases.champion)"),
        ("runs list --filter paramters.lr==1", "did you mean parameters?"),
        ("version artifacts iris@2 --filter knd=='data'", "did you mean kind?"),
        ("version runs iris@2 --filter pipline=='a'", "did you mean pipeline?"),
        ("history iris --filter stag=='production'", "did you mean stage?"),
        ("log iris --filter auther=='a'", "did you mean author?"),
        ("blame iris@2 --filter feild=='a'", "did you mean field?"),
        ("alias list iris --filter alais=='a'", "did you mean alias?"),
        ("check --filter rul=='a'", "did you mean rule?"),
        ("doctor --filter abuot=='a'", "did you mean about?"),
        ("proposals --filter brnach=='a'", "did you mean branch?"),
        ("contains HEAD --filter comit=='a'", "did you mean commit?"),
    ],
)
def test_every_list_refuses_a_filter_with_an_unknown_name(client, capsys, command, hint):
    code, out, err = ask(capsys, *command.split())
    assert (code, out) == (2, "")
    assert hint in err


def test_a_model_is_found_by_a_stage_that_is_empty_or_not(client):
    assert [model.name for model in client.list_models(filter="stages.production == 2")] == ["iris"]
    assert list(client.list_models(filter="stages.staging == 2")) == []


def test_the_names_that_filters_know_are_those_of_the_fields(client):
    assert VERSION_NAMES.keys() == shapes.VERSION.fields.keys() - {"at"}
    assert model_names(()).keys() == shapes.MODEL.fields.keys() - {"at"}
    assert RUN_NAMES.keys() == shapes.RECORDED_RUN.fields.keys() - {"at", "traceback"}
    assert _filter_names(shapes.ARTIFACT)["metadata"] == RECORDED


def test_a_filter_that_found_nothing_says_which_records_it_searched():
    wanted = Filter("parameters.lr == 1", {"parameters": RECORDED})
    wanted.check_searched("no run")  # none was searched
    wanted.search({"parameters": {"l": 1}})
    with pytest.raises(UsageError, match=r"no run has parameters\.lr"):
        wanted.check_searched("no run")
