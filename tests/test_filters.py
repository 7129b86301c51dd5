"""`--filter` of lists, and `filter=` in Python: for a name or value that no record has, an error suggests the nearest.

Without the error, a typing error would look like an empty result. A name, key or value is known if one of the searched
records has it.
"""

import importlib.util
import re
import shutil
from pathlib import Path

import pytest
from editing import edit, refs_unchanged, run
from transcripts import ask, fail, succeed

from gitmodel import Client
from gitmodel.cli.options import _filter_names
from gitmodel.cli.shapes import record_shapes, trace_shapes
from gitmodel.domain.views.filter_names import RECORDED
from gitmodel.domain.views.record_views import VERSION_NAMES, model_names
from gitmodel.errors import UsageError
from gitmodel.expressions.filter import Filter
from gitmodel.registry.health import doctor
from gitmodel.registry.recorded_runs.runs import RUN_NAMES

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
        ("accuracy > 0.5", "write metadata.accuracy for metadata"),
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
    assert hint in fail(capsys, 2, "version", "list", "iris", "--filter", expression)
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
def test_a_filter_with_known_names_raises_no_error_even_if_no_version_matches(client, capsys, expression, numbers):
    found = client.get_model("iris").list_versions(filter=expression)
    assert [version.number for version in found] == numbers
    code, out, _ = ask(capsys, "version", "list", "iris", "-q", "--filter", expression)
    assert (code, out.split()) == (0, [f"iris@{number}" for number in reversed(numbers)])


def test_an_unknown_name_in_a_filter_is_an_error_even_if_all_versions_are_deleted(repo):
    with Client(repo) as client:
        iris = client.register_model("iris")
        iris.create_version(metadata={"loss": 1.0}).delete()
        with pytest.raises(UsageError, match=r"no version of iris has metadata\.loss"):
            iris.list_versions(filter="metadata.loss > 0")


def test_a_filter_may_name_a_key_that_occurs_only_after_the_requested_page(client):
    iris = client.get_model("iris")
    wanted = "number > 0 || metadata.split.rows > 0"
    if importlib.util.find_spec("cel"):
        assert [version.number for version in iris.list_versions(filter=wanted, limit=1)] == [3]
    assert list(iris.list_versions(filter="metadata.split.rows > 0", limit=0)) == []


def test_a_filter_accepts_every_metadata_key_if_there_are_no_versions(repo):
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
        ("version contains HEAD --filter comit=='a'", "did you mean commit?"),
    ],
)
def test_every_list_refuses_a_filter_with_an_unknown_name(client, capsys, command, hint):
    assert hint in fail(capsys, 2, *command.split())


@pytest.mark.parametrize(
    ("command", "hint"),
    [
        ("version list iris --filter stage=='prodution'", "did you mean production?"),
        ("version list iris --filter stage!='prodution'", "did you mean production?"),
        ("version list iris --filter 'prodution'==stage", "did you mean production?"),
        ("version list iris --filter (stage)==('Production')", "did you mean production?"),
        ("version list iris --limit 0 --filter stage=='prodution'", "did you mean production?"),
        ("version list iris --filter stage=='production'&&stage!='non'", "did you mean none?"),
        ("version list iris --filter artifacts[0].kind=='modle'", "did you mean model?"),
        ("runs list --filter status=='sucess'", "did you mean succeeded?"),
        ("runs list --filter steps[0].status=='cachd'", "did you mean cached?"),
        ("version artifacts iris@2 --filter kind=='modle'", "did you mean model?"),
        ("version model_objects iris@2 --filter digest_by!='provder'", "did you mean provider?"),
        ("version runs iris@2 --filter status=='sucess'", "did you mean succeeded?"),
        ("history iris --filter stage=='prodution'", "did you mean production?"),
        ("version contains HEAD --filter stage=='prodution'", "did you mean production?"),
        ("check --filter rule=='stage.singl'", "did you mean stage.single?"),
        ("doctor --filter about=='lokc'", "did you mean lock?"),
        *(
            pytest.param(command, hint, marks=needs_library)
            for command, hint in [
                ("version list iris --filter stage%in%['production','prodution']", "did you mean production?"),
                ("version list iris --filter !(stage%in%(['prodution']))", "did you mean production?"),
                ("version list iris --filter number==1||stage=='prodution'", "did you mean production?"),
                ("version list iris --filter artifacts.exists(a,a.kind=='modle')", "did you mean model?"),
                ("version list iris --filter pending.exists(p,p.stage=='prodution')", "did you mean production?"),
                ("runs list --filter steps.all(s,s.status%in%['cachd'])", "did you mean cached?"),
                ("list --filter has(stages.production)&&'prodution'%in%stages", "did you mean stages.production?"),
            ]
        ),
    ],
)
def test_an_unknown_value_of_a_field_with_a_list_of_values_is_an_error(client, capsys, command, hint):
    assert hint in fail(capsys, 2, *(word.replace("%", " ") for word in command.split()))


def test_in_python_an_unknown_value_in_a_filter_is_an_error_too(client):
    iris = client.get_model("iris")
    with pytest.raises(UsageError, match='no version of iris has the stage "prodution"'):
        iris.list_versions(filter="stage == 'prodution'")
    with pytest.raises(UsageError, match='no version of iris has the stage "prodution"'):
        list(iris.each_version(filter="stage != 'prodution'"))
    with pytest.raises(UsageError, match='no run has the status "sucess"'):
        client.list_runs(filter="status == 'sucess'")


@pytest.mark.parametrize(
    "expression",
    [
        "stage == 'staging'",
        "stage != 'archived'",
        "artifacts[0].kind == 'deployment'",
        "metadata.accuracy != 0.5 && description != 'prodution'",
        pytest.param("stage.startsWith('pro')", marks=needs_library),
        pytest.param("stage.contains('x') || 'x' + stage == 'xnone'", marks=needs_library),
        pytest.param("stage == 'prod' + 'uction'", marks=needs_library),
        pytest.param("('prod' + 'uction') == stage", marks=needs_library),
        pytest.param("string('prodution') == stage", marks=needs_library),
        pytest.param("stage in ['prodution', 'staging'].filter(s, s != 'prodution')", marks=needs_library),
        pytest.param("stage in ['prod' + 'uction']", marks=needs_library),
        pytest.param("stage in [string('prodution')]", marks=needs_library),
        pytest.param("stage.size() == 4 && 'prodution' != name", marks=needs_library),
        pytest.param("'acuracy' in metadata", marks=needs_library),
    ],
)
def test_a_filter_accepts_a_value_that_a_record_may_have(client, expression):
    client.get_model("iris").list_versions(filter=expression)


def test_a_filter_accepts_a_value_that_a_record_has_although_it_is_not_in_the_list_of_values(client, capsys):
    client.get_model("iris").get_version(2).update(name="1.0")
    client.get_model("iris").get_version(2).add_alias("champion")
    for name in ("champion", "production"):
        succeed(capsys, "history", "iris", "-q", "--filter", f"stage == '{name}'")
    succeed(capsys, "history", "iris", "production", "--filter", "stage == 'champion'")
    assert ask(capsys, "history", "--filter", "stage == 'champoin'")[0] == 2
    wanted = Filter("status == 'paused'", RUN_NAMES)
    wanted.search({"status": "paused"})
    wanted.check_searched("no run")


@pytest.mark.parametrize(
    ("expression", "hint"),
    [
        ("number == '1'", "number is a number; write a number"),
        ("number != '1'", "number is a number; write a number"),
        ("created > '2026'", 'write timestamp("2026-01-31T00:00:00Z")'),
        ("tags == 'baseline'", 'write "baseline" in tags'),
        ("stage == 1", 'stage is text; write it in quotes, as in "1"'),
        ("metadata.accuracy > '0.5'", "metadata.accuracy is a number"),
        ("'0.5' < metadata.accuracy && number > 0", "metadata.accuracy is a number"),
        ("code.dirty == 'false'", "write code.dirty or !code.dirty"),
        ("metadata.split == 150", "metadata.split is a map; name one of its keys"),
        ("STAGE == 'production'", "did you mean stage?"),
        ("'x' in artifacts", 'write artifacts.exists(item, item.name == "x")'),
        ("artifacts == 'x'", 'write artifacts.exists(item, item.name == "x")'),
        ("'production' in stage", 'write stage == "production"'),
        ("'a' in description", 'write description == "a"; for a part of a text, description.contains("a")'),
        ("3 in number", "write number == 3"),
        ("1 in tags", 'write "1" in tags'),
        ("stage in 'production'", 'stage in ["staging", "production"]'),
        ("name in 'abc'", 'stage in ["staging", "production"]'),
        ("metadata.accuracy in 1", 'stage in ["staging", "production"]'),
        ("'a' in metadata.accuracy", "metadata.accuracy is a single value; write metadata.accuracy =="),
        pytest.param("number in ['1', '2']", "number is a number; write a number", marks=needs_library),
        pytest.param("number == 1 || number == '2'", "number is a number; write a number", marks=needs_library),
        pytest.param("artifacts.exists(a, a.size > '1')", "artifacts[0].size is a number", marks=needs_library),
    ],
)
def test_comparing_a_key_with_a_literal_of_a_type_that_no_record_has_is_an_error(client, capsys, expression, hint):
    iris = client.get_model("iris")
    iris.create_version(model_objects={"clf": b"1"})
    assert hint in fail(capsys, 2, "version", "list", "iris", "--filter", expression)
    with pytest.raises(UsageError, match=re.escape(hint)):
        list(iris.list_versions(filter=expression, limit=1))
    with pytest.raises(UsageError, match=re.escape(hint)):
        list(iris.each_version(filter=expression))


def test_a_filter_may_compare_a_key_with_a_literal_of_a_type_that_some_record_has(client):
    iris = client.get_model("iris")
    iris.create_version(metadata={"accuracy": "high", "note": 5})
    assert [version.number for version in iris.list_versions(filter="metadata.accuracy == 'high'")] == [4]
    assert [version.number for version in iris.list_versions(filter="metadata.accuracy > 0.92")] == [2]
    assert list(iris.list_versions(filter="name == 9")) == []  # no error, although no version has a name
    # This is no error, because `in` can also search the keys of a table.
    assert list(iris.list_versions(filter="'b' in metadata.split")) == []
    assert [version.number for version in iris.list_versions(filter="metadata.accuracy != 'low'", limit=2)] == [2, 4]
    iris.create_version(metadata={"accuracy": ["a"]})
    assert list(iris.list_versions(filter="'b' in metadata.accuracy")) == []
    assert [version.number for version in iris.list_versions(filter="'a' in metadata.accuracy")] == [5]


def test_version_contains_can_be_filtered_by_the_stage_none(client, capsys):
    code, out, _ = ask(capsys, "version", "contains", "HEAD", "-q", "--filter", "stage == 'none'")
    assert (code, sorted(out.split())) == (0, ["iris@1", "iris@3"])
    code, _, err = ask(capsys, "version", "contains", "HEAD", "--filter", "stage == 'archived'")
    assert (code, err) == (0, "no version matches\n")


def test_a_filter_of_doctor_accepts_every_kind_of_finding():
    source = Path(doctor.__file__).read_text(encoding="utf-8")
    made = re.findall(r'(?:Finding|_safely)\("([a-z ]+)"', source) + re.findall(r'\("([a-z]+)", _[a-z]+\)', source)
    assert set(made) | {"store"} == set(doctor.ABOUTS)


@pytest.mark.parametrize("form", ["table", "json", "tsv"])
def test_a_filter_of_check_hides_problems_and_does_not_change_the_exit_code(client, repo, capsys, form):
    edit(repo, {"models/iris/versions/1.toml": "number = ", "models/iris/notes.txt": "a note"})
    code, out, err = ask(capsys, "check", "--format", form, "--filter", "rule == 'stage.single'")
    assert (code, "notes.txt" in out) == (5, False)
    assert "2 problems on refs/heads/gitmodel (2 problems not shown)" in err
    code, out, err = ask(capsys, "check", "--format", form, "--filter", "rule == 'tree.path'")
    assert (code, "notes.txt" in out, "versions/1.toml" in out) == (5, True, False)
    assert "2 problems on refs/heads/gitmodel (1 problem not shown)" in err
    assert "-- models/iris/notes.txt" in err
    assert ask(capsys, "check", "-q", "--filter", "rule == 'stage.single'")[:2] == (5, "")


def test_check_of_a_range_has_exit_code_6_although_a_filter_hides_the_broken_rule(client, repo, capsys):
    base = run(repo, "rev-parse", "gitmodel")
    client.get_model("iris").delete(force=True)
    for wanted, hidden in (("stage.single", " (1 problem not shown)\n"), ("change.held", "breaks 1 rule\n")):
        code, _, err = ask(capsys, "check", f"{base}..gitmodel", "--filter", f"rule == '{wanted}'")
        assert (code, hidden in err) == (6, True)


@pytest.mark.parametrize("form", ["table", "json"])
def test_a_filter_of_doctor_hides_findings_and_does_not_change_the_exit_code(client, repo, capsys, form):
    (repo / "rows.csv").write_text("1\n")
    client.get_model("iris").get_version(3).link_artifact("rows", repo / "rows.csv")
    shutil.rmtree(client.repository.own_folder / "store" / "sha256")
    code, out, err = ask(capsys, "doctor", "--format", form, "--filter", "about == 'lock'")
    assert (code, "rows" in out) == (5, False)
    assert "1 serious problem (1 finding not shown)" in err
    assert "1 serious problem" in ask(capsys, "doctor", "--filter", "about == 'artifact'")[2]


def test_doctor_says_that_a_filter_hides_minor_findings(client, repo, capsys):
    run(repo, "update-ref", "refs/replace/" + run(repo, "rev-parse", "HEAD"), "gitmodel")
    code, out, err = ask(capsys, "doctor", "--filter", "about == 'lock'")
    assert (code, out) == (0, "")
    assert "no serious problems (1 finding not shown)" in err


@pytest.mark.parametrize("wrong", ["abuot == 'tag'", "about == 'tga'", "about"])
def test_doctor_fix_repairs_nothing_if_its_filter_is_refused(client, repo, capsys, wrong):
    run(repo, "tag", "-d", "model/iris/production")
    with refs_unchanged(repo):
        assert ask(capsys, "doctor", "--fix", "--filter", wrong)[0] == 2


def test_a_filter_by_a_stage_that_is_empty_matches_no_model(client):
    assert [model.name for model in client.list_models(filter="stages.production == 2")] == ["iris"]
    assert list(client.list_models(filter="stages.staging == 2")) == []


def test_the_names_that_filters_know_are_the_names_of_the_json_fields(client):
    assert VERSION_NAMES.keys() == record_shapes.VERSION.fields.keys() - {"at", "imported"}
    assert model_names(()).keys() == record_shapes.MODEL.fields.keys() - {"at"}
    assert RUN_NAMES.keys() == trace_shapes.RECORDED_RUN.fields.keys() - {"at", "cache", "traceback"}
    assert _filter_names(record_shapes.ARTIFACT)["metadata"] == RECORDED


def test_a_name_in_a_filter_of_runs_that_no_searched_run_has_is_an_error():
    wanted = Filter("parameters.lr == 1", {"parameters": RECORDED})
    wanted.check_searched("no run")  # no error, because no run was searched yet, and any key may be known
    wanted.search({"parameters": {"l": 1}})
    with pytest.raises(UsageError, match=r"no run has parameters\.lr"):
        wanted.check_searched("no run")
