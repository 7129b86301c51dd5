"""Tables of versions, models, runs and histories with columns for metadata, called measurements if they are numbers.

`--columns` and `--sort` select columns and order. `git model version list` without a model searches all models.
"""

import json

import editing
import pytest
from transcripts import ask, fail, said, succeed

from gitmodel import Client, ModelStages
from gitmodel.branch.stages import stage_tags
from gitmodel.errors import NotFound, UsageError
from gitmodel.registry.lists import index_access


@pytest.fixture
def client(code_repo, monkeypatch):
    monkeypatch.chdir(code_repo)
    with Client() as client:
        iris, wine = client.register_model("iris"), client.register_model("wine")
        with client.transaction("Create versions") as change:
            for model, metadata in (
                (iris, {"accuracy": 0.912345678, "rows": 150, "note": "x" * 30}),
                (iris, {"accuracy": 0.97, "rows": 150, "note": "x" * 30, "test.auc": 0.5}),
                (iris, {"rows": 2**53 + 1, "split": {"rows": 3}, "curve": [1, 2]}),
                (wine, {"accuracy": 0.95, "framework": "sklearn"}),
            ):
                change.get_model(model.name).create_version(metadata=metadata)
        yield client


def numbers(found):
    return [str(view) for view in found]


def test_a_table_shows_the_measurements_that_most_versions_have_rounded(client, capsys):
    code, out, _ = ask(capsys, "version", "list", "iris")
    head, *rows = out.splitlines()
    assert code == 0
    assert head.split() == ["VERSION", "rows", "accuracy", "CREATED", "(UTC)"]
    assert [row.split()[:3] for row in rows[1:]] == [["2", "150", "0.97"], ["1", "150", "0.9123"]]
    assert rows[0].split()[:2] == ["3", str(2**53 + 1)]


def test_a_table_on_a_narrow_terminal_has_fewer_measurements(client, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "45")
    head = ask(capsys, "version", "list", "iris")[1].splitlines()[0]
    assert head.split() == ["VERSION", "rows", "CREATED", "(UTC)"]


def test_a_table_shows_the_key_by_which_it_is_sorted_even_if_few_versions_have_it(client, capsys):
    head, first, *_ = ask(capsys, "version", "list", "--sort=-framework")[1].splitlines()
    assert head.split() == ["MODEL", "VERSION", "framework", "accuracy", "rows", "CREATED", "(UTC)"]
    assert first.split()[:3] == ["wine", "1", "sklearn"]


def test_version_list_without_a_model_lists_the_versions_of_all_models(client, capsys):
    client.register_model("empty")
    client.register_model("gone").create_version(metadata={"accuracy": 1.0})
    client.delete_model("gone")
    out = succeed(capsys, "version", "list")
    assert [row.split()[:2] for row in out.splitlines()[1:]] == [
        ["iris", "3"],
        ["iris", "2"],
        ["iris", "1"],
        ["wine", "1"],
    ]
    assert ask(capsys, "version", "list", "-q", "--limit", "2", "--offset", "1")[1] == "iris@2\niris@1\n"
    assert ask(capsys, "version", "list", "--filter", "metadata.accuracy > 0.94", "-q")[1] == "iris@2\nwine@1\n"


@pytest.mark.parametrize(
    ("sort", "found"),
    [
        ("accuracy", ["iris@1", "wine@1", "iris@2", "iris@3"]),
        ("-metadata.accuracy", ["iris@2", "wine@1", "iris@1", "iris@3"]),
        ("-number", ["iris@3", "iris@2", "iris@1", "wine@1"]),
        ("split.rows", ["iris@3", "iris@2", "iris@1", "wine@1"]),
        ('metadata["test.auc"]', ["iris@2", "iris@3", "iris@1", "wine@1"]),
        ("model", ["iris@3", "iris@2", "iris@1", "wine@1"]),
    ],
)
def test_versions_are_sorted_by_a_field_and_versions_without_the_field_come_last(client, capsys, sort, found):
    assert numbers(client.find_versions(sort=sort)) == found
    assert ask(capsys, "version", "list", "-q", "--sort", sort)[1].split() == found
    assert numbers(client.find_versions(sort=sort, limit=2, offset=1)) == found[1:3]


def test_values_of_columns_are_not_rounded_in_json_and_tsv(client, capsys):
    code, out, _ = ask(capsys, "version", "list", "--columns", "accuracy,stage,split.rows", "--format", "json")
    assert (code, json.loads(out)[2]) == (
        0,
        {"model": "iris", "number": 1, "accuracy": 0.912345678, "stage": None, "split.rows": None},
    )
    out = ask(capsys, "version", "list", "iris", "--columns", "accuracy,rows", "--sort=-accuracy", "--format", "tsv")[1]
    assert out.splitlines() == [
        "model\tnumber\taccuracy\trows",
        "iris\t2\t0.97\t150",
        "iris\t1\t0.912345678\t150",
        f"iris\t3\t\t{2**53 + 1}",
    ]
    code, out, _ = ask(capsys, "version", "list", "iris", "--columns", "accuracy,note")
    assert out.splitlines()[1].split() == ["3"]
    assert out.splitlines()[2].split() == ["2", "0.97", "x" * 30]


def test_the_error_for_a_column_or_sort_key_that_no_version_has_suggests_the_nearest_key(client, capsys):
    for form in ("table", "json", "tsv"):
        err = fail(capsys, 2, "version", "list", "--columns", "acuracy,rows", "--format", form)
        assert "no version in this list has metadata.acuracy" in err
        assert "did you mean metadata.accuracy?" in err
    code, out, err = ask(capsys, "version", "list", "--columns", "framework,rows", "--limit", "3")
    assert (code, len(out.splitlines())) == (0, 4)
    assert "warning: no version in this list has metadata.framework" in err
    assert "no version has metadata.acuracy" in fail(capsys, 2, "version", "list", "--sort", "acuracy")
    with pytest.raises(UsageError, match=r"no version of wine has metadata\.rows"):
        client.find_versions("wine", sort="-rows")
    assert "names rows twice" in fail(capsys, 2, "version", "list", "--columns", "rows,rows")
    assert "is empty" in fail(capsys, 2, "version", "list", "--columns", "rows,")
    with pytest.raises(UsageError, match="is empty"):
        client.find_versions(sort="-")
    with pytest.raises(NotFound, match="there is no model iriss"):
        client.find_versions("iriss")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("version list --sort=tags", "tags has no order: it is a list or a table"),
        ("version list iris --sort=-metadata", "metadata has no order"),
        ("version list --sort=code", "code has no order"),
        ("version list --sort=code.comit", "there is no field code.comit\nhint: did you mean code.commit?"),
        ("version list --sort=number.x", "there is no field number.x"),
        ("stage show --sort=pending", "pending has no order"),
        ("history iris --sort=forced", "forced has no order"),
        ("list --columns accuracy", "no model in this list has metadata.accuracy\nhint: none of them has metadata"),
        ("version list --columns code.comit", "there is no field code.comit\nhint: did you mean code.commit?"),
        (
            "list --columns stages.prodution",
            "there is no field stages.prodution\nhint: did you mean stages.production?",
        ),
        ("runs list --columns code.comit", "there is no field code.comit\nhint: did you mean code.commit?"),
        ("version list wool --columns loss", "no version in this list has metadata.loss"),
        ("version list wool --sort=loss", "no version of wool has metadata.loss\nhint: none of them has metadata"),
        ("version list iris@3", "write the model alone: iris;"),
        ("history iris@production", "write the model alone: iris;"),
    ],
)
def test_a_column_sort_key_or_reference_that_a_command_does_not_support_is_refused(client, capsys, words, said):
    client.register_model("wool").create_version()
    client.promote("iris@1", "production")
    assert said in fail(capsys, 2, *words.split())


def test_the_result_of_find_versions_can_become_rows_and_a_data_frame(client):
    pandas = pytest.importorskip("pandas")
    found = client.find_versions("iris", sort="-accuracy")
    assert repr(found) == "VersionTable(3 versions)"
    assert [row["number"] for row in found.rows()] == [2, 1, 3]
    assert found.rows()[0]['metadata["test.auc"]'] == 0.5
    frame = found.to_pandas()
    assert isinstance(frame, pandas.DataFrame)
    assert list(frame["metadata.accuracy"])[:2] == [0.97, 0.912345678]
    assert list(frame["metadata.split.rows"].dropna()) == [3]
    assert "<td>0.97</td>" in found._repr_html_()


def test_a_search_in_a_transaction_finds_its_new_versions_and_a_search_at_an_earlier_commit_does_not(
    client, git, code_repo, capsys
):
    before = git(code_repo, "rev-parse", "gitmodel")
    with client.transaction("Create another") as change:
        change.get_model("wine").create_version(metadata={"accuracy": 0.99})
        assert numbers(change.find_versions(sort="-accuracy", limit=1)) == ["wine@2"]
    assert numbers(client.find_versions(sort="-accuracy", limit=1)) == ["wine@2"]
    assert ask(capsys, "version", "list", "--sort=-accuracy", "--limit", "1", "-q", "--at", before)[1] == "iris@2\n"


def test_stage_show_lists_the_version_in_force_of_every_model(client, git, code_repo, capsys):
    for ref, stage in (("iris@1", "production"), ("iris@2", "staging"), ("wine@1", "production")):
        client.promote(ref, stage)
    out = succeed(capsys, "stage", "show", "production")
    assert [row.split()[:4] for row in out.splitlines()] == [
        ["MODEL", "VERSION", "STAGE", "accuracy"],
        ["iris", "1", "production", "0.9123"],
        ["wine", "1", "production", "0.95"],
    ]
    assert ask(capsys, "stage", "show", "-q")[1].split() == ["iris@2", "iris@1", "wine@1"]
    assert numbers(client.view_stages("production")) == ["iris@1", "wine@1"]
    assert numbers(client.view_stages(ModelStages.STAGING)) == ["iris@2"]
    assert ask(capsys, "stage", "show", "--sort=-accuracy", "--limit", "2", "-q")[1].split() == ["iris@2", "wine@1"]
    with pytest.raises(UsageError, match=r"no version in a stage has metadata\.acuracy"):
        client.view_stages(sort="acuracy")
    before = git(code_repo, "rev-parse", "gitmodel")
    client.promote("iris@3", "production")
    columns = ("--columns", "rows", "--filter", "metadata.rows > 0", "--format", "tsv")
    out = ask(capsys, "stage", "show", "production", *columns)[1]
    assert out.splitlines() == ["model\tnumber\trows", f"iris\t3\t{2**53 + 1}"]
    assert ask(capsys, "stage", "show", "production", "--at", before, "-q")[1].split() == ["iris@1", "wine@1"]


def test_a_search_with_the_index_reads_the_stage_tags_of_all_found_models_in_one_call(client, monkeypatch):
    for ref in ("iris@2", "wine@1"):
        client.promote(ref, "production")
    client.register_model("other").create_version(metadata={"accuracy": 0.1})
    client.promote("other@1", "staging")
    listed, list_all = [], client.repository.tags.all
    monkeypatch.setattr(client.repository.tags, "all", lambda *models: listed.append({*models}) or list_all(*models))
    found = client.find_versions(filter="metadata.accuracy > 0.94")
    assert [(str(view), view.stage) for view in found] == [("iris@2", "production"), ("wine@1", "production")]
    found = client.find_versions(sort="accuracy", limit=1)
    assert [(str(view), view.stage) for view in found] == [("other@1", "staging")]
    assert listed == [{"iris", "other", "wine"}] * 2  # a search without the index reads the tags of all models
    monkeypatch.setattr(index_access, "_HUNDREDS_FOR_INDEX", 0)
    listed.clear()
    assert numbers(client.find_versions(filter="metadata.accuracy > 0.94")) == ["iris@2", "wine@1"]
    assert numbers(client.find_versions(sort="accuracy", limit=1)) == ["other@1"]
    assert listed[0] == {"iris", "wine"}
    assert len(listed) == 2
    monkeypatch.setattr(stage_tags, "_MOST_PREFIXES", 1)
    assert numbers(client.find_versions(filter="stage == 'production'")) == ["iris@2", "wine@1"]
    assert listed[2:] == [set()]


def test_stage_show_leaves_out_a_pending_promotion_and_refuses_an_unknown_stage(client, git, code_repo, capsys):
    client.promote("iris@1", "production")
    client.promote("iris@2", "production")
    git(code_repo, "tag", "-d", "model/iris/production")
    code, out, err = ask(capsys, "stage", "show", "production")
    assert (code, out) == (0, "")
    assert "no model has a version in production" in err
    assert "did you mean production?" in fail(capsys, 2, "stage", "show", "prodution")
    with pytest.raises(UsageError, match="there is no stage 'live'"):
        client.view_stages("live")


@pytest.fixture
def runs(client):
    for rate, accuracy in ((0.1, 0.9123456), (0.01, 0.97), (1.0, None)):
        with client.start_run("train") as run:
            run.log_parameters({"lr": rate, "depth": 3})
            if accuracy is not None:
                run.log_metadata(accuracy=accuracy)
    return client


def test_runs_are_listed_with_parameters_and_metadata_and_sorted(runs, capsys):
    code, out, _ = ask(capsys, "runs", "list")
    head, *rows = out.splitlines()
    assert code == 0
    assert head.split()[:6] == ["RUN", "PIPELINE", "STATUS", "depth", "lr", "accuracy"]
    assert sorted(row.split()[3:5] for row in rows) == [["3", "0.01"], ["3", "0.1"], ["3", "1"]]
    code, out, _ = ask(
        capsys, "runs", "list", "--columns", "accuracy,parameters.lr,status", "--sort=-accuracy", "--format", "json"
    )
    found = json.loads(out)
    assert [tuple(row) for row in found] == [("id", "accuracy", "parameters.lr", "status")] * 3
    assert [row["accuracy"] for row in found] == [0.97, 0.9123456, None]
    assert [row["parameters.lr"] for row in found] == [0.01, 0.1, 1.0]
    best = runs.list_runs(sort="-accuracy", limit=1)
    assert best[0].record.parameters["lr"] == 0.01
    assert [view.record.parameters["lr"] for view in runs.list_runs(sort="parameters.lr", offset=1)] == [0.1, 1.0]
    assert len(runs.list_runs(sort="seconds")) == 3
    assert ask(capsys, "runs", "list", "--filter", "parameters.lr < 0.5", "--sort=-parameters.lr", "-q")[1].split() == [
        view.id for view in runs.list_runs(sort="-parameters.lr", offset=1)
    ]


def test_the_result_of_view_models_can_become_rows_and_a_data_frame(client):
    pytest.importorskip("pandas")
    client.update_model("iris", metadata={"risk": 2})
    found = client.view_models(sort="-versions")
    assert repr(found) == "ModelTable(2 models)"
    assert (found.damaged, found.rows()[0]["metadata.risk"]) == ((), 2)
    assert list(found.to_pandas()["versions"]) == [3, 1]
    assert "<td>iris</td>" in found._repr_html_()


def test_the_result_of_list_runs_can_become_rows_and_a_data_frame(runs):
    pytest.importorskip("pandas")
    found = runs.list_runs(sort="-accuracy")
    assert repr(found) == "RunTable(3 runs)"
    assert list(found.rows()[0]) == [
        *("id", "pipeline", "status", "started", "seconds", "versions"),
        *("parameters.depth", "parameters.lr", "metadata.accuracy"),
    ]
    assert list(found.to_pandas()["parameters.lr"]) == [0.01, 0.1, 1.0]
    assert "<td>0.9123456</td>" in found._repr_html_()


def test_the_error_for_a_sort_key_or_column_that_no_run_has_suggests_the_nearest_key(runs, capsys):
    assert "no run has parameters.rl" in fail(capsys, 2, "runs", "list", "--sort", "parameters.rl")
    err = fail(capsys, 2, "runs", "list", "--columns", "acuracy,parameters.lr")
    assert "no run in this list has metadata.acuracy\nhint: did you mean metadata.accuracy?" in err


def test_the_error_for_a_metadata_column_that_no_run_has_advises_to_use_version_list(client, capsys):
    with client.start_run("fit") as run:
        run.log_parameters(lr=0.1)
    err = fail(capsys, 2, "runs", "list", "--columns", "accuracy")
    assert "the metadata that a step logs is on its version: run `git model version list`" in err
    assert "did you mean parameters.lr?" in ask(capsys, "runs", "list", "--columns", "lr")[2]


def test_a_list_of_models_can_be_sorted_by_a_metadata_key_and_then_shows_the_key(client, capsys):
    client.update_model("iris", metadata={"risk": 2, "owner": "ada"})
    client.update_model("wine", metadata={"risk": 1.5})
    client.register_model("rose")
    assert [model.name for model in client.list_models(sort="-risk")] == ["iris", "wine", "rose"]
    assert [model.name for model in client.list_models(sort="metadata.risk", limit=1)] == ["wine"]
    code, out, _ = ask(capsys, "list", "--columns", "risk,versions", "--sort=-risk", "--format", "tsv")
    assert (code, out.splitlines()) == (0, ["name\trisk\tversions", "iris\t2\t3", "wine\t1.5\t1", "rose\t\t0"])
    assert ask(capsys, "list")[1].splitlines()[0].split() == ["MODEL", "LATEST", "VERSIONS", "risk"]
    err = fail(capsys, 2, "list", "--columns", "rsik,latest")
    assert "no model in this list has metadata.rsik\nhint: did you mean metadata.risk?" in err
    assert "models cannot be sorted by 'rsik'" in fail(capsys, 2, "list", "--sort", "rsik")


@pytest.fixture
def holders(client):
    for number in (1, 3, 2):
        client.promote(f"iris@{number}", "production", reason=f"reason {number}")
    client.promote("wine@1", "staging")
    return client


def test_the_history_shows_the_measurements_of_each_version_and_can_be_sorted(holders, capsys):
    code, out, _ = ask(capsys, "history", "iris", "production", "--columns", "accuracy,rows", "--sort", "when")
    head, *rows = [line.split() for line in out.splitlines()]
    assert (code, head) == (0, ["FROM", "(UTC)", "UNTIL", "(UTC)", "VERSION", "accuracy", "rows"])
    assert [row[-1] for row in rows] == ["150", str(2**53 + 1), "150"]
    assert [rows[0][-2], rows[2][-2]] == ["0.9123", "0.97"]
    out = ask(capsys, "history", "iris", "production", "--columns", "accuracy", "--format", "tsv")[1]
    cells = [line.split("\t") for line in out.splitlines()]
    assert cells[0] == ["model", "stage", "version", "when", "until", "accuracy"]
    assert [(row[0], row[2], row[5]) for row in cells[1:]] == [
        ("iris", "2", "0.97"),
        ("iris", "3", ""),
        ("iris", "1", "0.912345678"),
    ]
    found = said(capsys, "history")[1]
    assert [(row["model"], row["stage"], row["metadata"].get("accuracy")) for row in found][:2] == [
        ("wine", "staging", 0.95),
        ("iris", "production", 0.97),
    ]


def test_the_history_shows_columns_that_fit_and_is_sorted_and_filtered_by_metadata(holders, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "100")
    head = ask(capsys, "history", "iris", "production")[1].splitlines()[0].split()
    assert head == ["FROM", "(UTC)", "UNTIL", "(UTC)", "VERSION", "rows", "accuracy", "WHO", "COMMIT", "REASON"]
    best = holders.view_history("iris", sort="-accuracy", limit=1)
    assert [(row.event.version, row.metadata["accuracy"]) for row in best] == [(2, 0.97)]
    assert [row.event.version for row in holders.view_history(filter="metadata.accuracy > 0.94")] == [1, 2]
    assert [row.event.model for row in holders.view_history(filter="stage == 'staging'")] == ["wine"]
    holders.get_version("iris@1").log_metadata(accuracy=0.5)  # also a change after the promotion is shown
    assert holders.view_history("iris", "production", sort="accuracy")[0].metadata["accuracy"] == 0.5


def test_history_refuses_an_unknown_column_or_sort_key_and_an_invalid_date(holders, capsys):
    err = fail(capsys, 2, "history", "iris", "production", "--columns", "acuracy")
    assert "no event in this list has metadata.acuracy\nhint: did you mean metadata.accuracy?" in err
    assert "did you mean metadata.accuracy?" in fail(capsys, 2, "history", "--sort", "acuracy")
    with pytest.raises(UsageError, match="is given without a model"):
        holders.view_history(stage="production")
    holders.demote("iris", "production")
    holders.get_version("iris@2").delete()
    holders.update_model("iris", new_name="flowers")
    rows = ask(capsys, "history", "flowers", "production", "--columns", "accuracy", "--format", "tsv")[1].splitlines()
    assert [(row.split("\t")[2], row.split("\t")[-1]) for row in rows[1:]] == [
        ("", ""), ("2", "0.97"), ("3", ""), ("1", "0.912345678")
    ]  # fmt: skip


def test_the_result_of_view_history_can_become_rows_and_a_data_frame(holders):
    pytest.importorskip("pandas")
    found = holders.view_history("iris", "production", sort="when")
    assert repr(found) == "HistoryTable(3 events)"
    assert list(found.to_pandas()["version"]) == [1, 3, 2]
    assert found.rows()[0]["metadata.accuracy"] == 0.912345678
    assert found.rows()[2]["until"] is None
    assert "<td>0.912345678</td>" in found._repr_html_()


def test_the_history_includes_a_deleted_model_and_warns_of_a_damaged_record(holders, code_repo):
    holders.get_version("wine@1").set_stage("none")
    holders.delete_model("wine")
    found = holders.view_history("wine")
    assert [(row.event.version, row.metadata.get("accuracy")) for row in found] == [(None, None), (1, 0.95)]
    assert found.damaged == ()
    editing.edit(code_repo, {"models/iris/versions/3.toml": "number = "})
    found = holders.view_history("iris", "production")
    assert [row.metadata.get("rows") for row in found] == [150, 2**53 + 1, 150]
    assert len(found.damaged) == 1
