"""`git model import --from mlflow` from small stores that these tests write, so that MLflow is not needed.

The tests in tests/interop/mlflow import stores that the real MLflow wrote, and compare each field.
"""

import base64
import json
import re
import sqlite3
import threading
from contextlib import contextmanager
from datetime import datetime, timezone
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from imports import import_from, notes_of
from mlflow_tables import TABLES, insert
from transcripts import ask, said

from gitmodel import Client
from gitmodel.errors import Conflict, GateRefused, Invalid, NotFound, Refused, Unreachable, UsageError
from gitmodel.interop import importing
from gitmodel.interop.sources import mlflow_server
from gitmodel.interop.sources.opening import open_source

COMMIT = "9fceb02d0ae598e95dc970b74767f19372d61af8"


class Store:
    """A database with MLflow's tables and a model `iris`, to which a test adds versions."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.path = folder / "mlflow.db"
        self.rows = sqlite3.connect(self.path, isolation_level=None)
        self.rows.executescript(TABLES)
        self.add("registered_models", "iris", 1700000000999, 1700000000999, "Which iris?")

    def add(self, table, *values):
        insert(self.rows, table, *values)

    def version(self, number, stage="None", *, run=None, source="", tags=None, model="iris"):
        made = 1700000000000 + number * 1000
        self.add("model_versions", model, number, made, f"number {number}", None, stage, source, run, "READY")
        for key, value in (tags or {}).items():
            self.add("model_version_tags", key, value, model, number)

    def run(self, id, *, metrics=(), parameters=(), commit=COMMIT, stage="active"):
        self.add("runs", id, "first", "ada", "FINISHED", 1700000000123, 1700000009000, stage, "file:///x", 1)
        self.add("tags", "mlflow.source.git.commit", commit, id)
        for step, (key, value) in enumerate(metrics):
            self.add("metrics", key, value, 1700000000000 + step, id, step, 0)
        for key, value in dict(metrics).items():
            self.add("latest_metrics", key, value, 1700000000000, 9, 0, id)
        for key, value in parameters:
            self.add("params", key, value, id)

    def files(self, name, content=b"weights"):
        folder = self.folder / name
        folder.mkdir(exist_ok=True)
        (folder / "MLmodel").write_bytes(content)
        return folder.as_uri()


@pytest.fixture
def store(tmp_path):
    made = Store(tmp_path)
    yield made
    made.rows.close()


def run_import(store, client, **options):
    return import_from("mlflow", f"sqlite:///{store.path}", client, **options)


def test_an_imported_version_has_the_values_of_its_run_and_what_the_source_says_about_it(store, client):
    store.run("r1", metrics=[("loss", 0.5), ("loss", 0.25), ("accuracy", 0.9)], parameters=[("depth", "3")])
    store.version(1, "Production", run="r1", tags={"purpose": "x" * 5000})
    run_import(store, client)
    version = client.get_version("iris@production")
    record = version.view.record
    assert record.metadata["accuracy"] == 0.9
    assert record.metadata["parameters"] == {"depth": "3"}
    assert record.metadata["tags"] == {"purpose": "x" * 5000}
    assert record.code.commit == COMMIT
    claims = record.imported
    assert (claims.source, claims.id, claims.author) == (f"sqlite:///{store.path}", "iris/1", "ada")
    assert claims.created == datetime.fromtimestamp(1700000001, timezone.utc)
    assert record.created == datetime(2026, 11, 23, 10, 12, 13, tzinfo=timezone.utc)
    curves = version.get_attachment("metrics").open().read().decode().splitlines()
    assert curves == [
        "key,step,time,value",
        "loss,0,2023-11-14T22:13:20.000+00:00,0.5",
        "loss,1,2023-11-14T22:13:20.001+00:00,0.25",
    ]
    run = client.get_run(record.runs[0])
    assert (run.pipeline, run.status, run.parameters) == ("Flowers", "succeeded", {"depth": "3"})
    assert client.check() == []


def test_the_commit_of_an_import_has_the_importer_as_author_and_names_the_source(store, client, code_repo, git):
    store.version(1)
    run_import(store, client)
    shown = git(code_repo, "log", "-1", "--format=%an%n%(trailers:key=Imported-From)", "gitmodel").split("\n")
    assert shown[:2] == ["Ada Example", f"Imported-From: sqlite:///{store.path}"]


def test_one_commit_has_all_versions_of_a_model(store, client, code_repo, git):
    for number in range(1, 31):
        store.version(number)
    run_import(store, client)
    assert git(code_repo, "log", "-1", "--format=%s", "gitmodel").strip() == "Import iris 1 to 30 from MLflow"


def test_deleted_versions_at_the_end_keep_their_numbers(store, client):
    for number, stage in ((1, "None"), (2, "Deleted_Internal"), (3, "None"), (4, "Deleted_Internal")):
        store.version(number, stage)
    report = run_import(store, client)
    assert (report.models[0].versions, report.models[0].deleted) == (2, 2)
    assert client.get_model("iris").create_version().number == 5
    assert run_import(store, client).models[0].versions == 0


def test_a_dry_run_writes_nothing(store, client, code_repo, git):
    store.version(1)
    report = run_import(store, client, dry_run=True)
    assert report.models[0].versions == 1
    assert git(code_repo, "for-each-ref", "refs/heads/gitmodel") == ""


def test_an_import_leaves_out_a_promotion_that_a_gate_refuses(store, client):
    client.add_gate("production", "accurate", "metadata.accuracy >= 0.9", message="must be accurate")
    store.run("r1", metrics=[("accuracy", 0.8)])
    store.version(1, "Production", run="r1", tags={})
    report = run_import(store, client)
    assert client.get_version("iris@1").stage is None
    assert report.models[0].stages == {}
    assert notes_of(report)[0].startswith("left out: iris 1 production: iris@1 cannot enter production: accurate")


def test_an_import_proposes_the_version_of_a_proposal_only_stage(store, client):
    client.update_stage("production", proposal_only=True)
    store.version(1, "Production")
    report = run_import(store, client)
    assert client.get_version("iris@1").stage is None
    assert report.models[0].stages == {}
    assert notes_of(report)[0].startswith(
        "proposed: iris 1 production: production needs a review: the branch is propose/"
    )
    assert len(client.list_proposals()) == 1


def test_an_import_stores_artifacts_and_reports_an_artifact_that_changed_in_the_source(store, client):
    store.version(1, "Production", source=store.files("one"))
    run_import(store, client, with_artifacts=True)
    artifact = client.get_version("iris@1").get_artifact("model")
    before = artifact.link.digest
    assert not run_import(store, client, with_artifacts=True).notes
    store.files("one", b"other weights")
    report = run_import(store, client, with_artifacts=True)
    assert notes_of(report)[0].startswith("changed: iris 1 artifact: the source has sha256:")
    assert client.get_version("iris@1").get_artifact("model").link.digest == before


def test_artifacts_can_be_added_by_a_later_import(store, client):
    store.version(1, source=store.files("one"))
    run_import(store, client)
    report = run_import(store, client, with_artifacts=True)
    assert report.models[0].artifacts == 1
    assert client.get_version("iris@1").get_artifact("model").link.format == "folder"


@pytest.mark.parametrize("source", ["file:///nowhere/model", "s3://bucket/model"])
def test_artifacts_that_cannot_be_read_are_left_out(store, client, source):
    store.version(1, source=source)
    report = run_import(store, client, with_artifacts=True)
    assert report.models[0].versions == 1
    assert notes_of(report)[0].startswith("left out: iris 1 artifact: its files are")


def test_values_that_look_like_credentials_are_left_out(store, client):
    store.version(1, tags={"db_password": "hunter2hunter2", "team": "flowers"})
    report = run_import(store, client)
    assert client.get_version("iris@1").metadata["tags"] == {"team": "flowers"}
    assert notes_of(report) == ["left out: iris 1 tags.db_password: it looks like a db password, by its name"]


def test_values_that_do_not_fit_into_a_record_become_an_attachment(store, client):
    store.version(1, tags={"k" * 250: "v"} | {f"tag{number}": "x" * 5000 for number in range(20)})
    report = run_import(store, client)
    kept = json.loads(client.get_version("iris@1").get_attachment("mlflow-values").open().read())
    recorded = client.get_version("iris@1").metadata["tags"]
    assert kept["tags"]["k" * 250] == "v"
    assert {*kept["tags"], *recorded} == {"k" * 250, *(f"tag{number}" for number in range(20))}
    assert notes_of(report)[0].endswith("too long for a record; kept in the attachment mlflow-values")


def test_a_run_that_was_deleted_is_recorded_and_one_that_is_gone_is_reported(store, client):
    store.run("r1", stage="deleted")
    store.version(1, run="r1")
    store.version(2, run="gone")
    report = run_import(store, client)
    assert notes_of(report) == [
        "changed: iris 1 run: the run r1 was deleted in the source, and is recorded here",
        "left out: iris 2 run: the run gone does not exist in the source",
    ]


def test_an_interrupted_import_continues(store, client):
    for number in range(1, 131):
        store.version(number)

    def interrupt(done, total):
        if done == 110:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_import(store, client, progress=interrupt)
    assert len(client.get_model("iris").list_versions()) == 100
    report = run_import(store, client)
    assert (report.models[0].versions, report.models[0].known) == (30, 100)


def test_an_import_of_a_model_in_several_commits_into_a_registry_with_models_is_complete(store, client, monkeypatch):
    monkeypatch.setattr(importing, "_AT_ONCE", 2)
    client.register_model("other")
    for number in range(1, 6):
        store.version(number, "Staging" if number == 5 else "None")
    assert run_import(store, client).models[0].versions == 5
    assert len(client.get_model("iris").versions) == 5
    assert client.get_version("iris@staging").number == 5


@pytest.mark.parametrize("during", [1, 2])
def test_another_import_at_the_same_time_is_a_conflict_that_names_the_next_command(store, client, code_repo, during):
    """The other import finishes before this import creates the model, or before this import applies its plan."""
    client.register_model("other")
    store.add("registered_models", "flowers", 1700000000999, 1700000000999, None)
    store.version(1, model="flowers")
    store.run("r1")
    store.version(1, run="r1")

    def import_at_the_same_time(done, total):
        if done == during:
            with Client(code_repo) as another:
                run_import(store, another)

    with pytest.raises(Conflict, match="was changed by someone else during the import") as caught:
        run_import(store, client, progress=import_at_the_same_time)
    assert caught.value.hint.startswith("run the same command again")
    assert [model.known for model in run_import(store, client).models] == [1, 1]


def test_gates_and_filters_cannot_read_what_the_source_says_about_a_version(store, client):
    store.version(1)
    run_import(store, client)
    with pytest.raises((UsageError, Invalid)):
        client.find_versions(filter="imported.author == 'ada'")
    with pytest.raises((UsageError, GateRefused)):
        client.add_gate("production", "mine", "imported.author == 'ada'")


def test_check_refuses_a_record_that_says_imported_but_not_from_which_source(store, client, code_repo, git, tmp_path):
    store.version(1)
    run_import(store, client)
    tree = tmp_path / "tree"
    git(code_repo, "worktree", "add", "-q", str(tree), "gitmodel")
    (file,) = tree.glob("models/iris/versions/**/1.toml")
    lines = [line for line in file.read_text().splitlines(keepends=True) if not line.startswith("source =")]
    file.write_text("".join(lines))
    git(code_repo, "-C", str(tree), "commit", "-qam", "Claim")
    assert [problem.key for problem in client.check()] == ["imported.source"]


def test_the_command_prints_tables_and_json(store, client, capsys):
    store.add("registered_models", "a b", 1700000000999, 1700000000999, None)
    store.version(1, "Production", model="a b")
    store.add("registered_model_aliases", "_x", 1, "a b")
    source = f"sqlite:///{store.path}"
    code, out, err = ask(capsys, "import", source, "--from", "mlflow", "--model", "a b")
    assert code == 0
    assert out.splitlines()[0].split() == ["MODEL", "FROM", "VERSIONS", "STAGES"]
    assert re.search("left out +a b _x +'_x' cannot be an alias here", out)
    assert "imported 1 version of 1 model; 0 were here already" in err
    _, rows = said(capsys, "import", source, "--from", "mlflow", "--dry-run")
    assert {row["outcome"] for row in rows} == {"imported", "left out"}
    _, out, _ = ask(capsys, "import", source, "--from", "mlflow", "--quiet")
    assert out.split() == [row["model"] for row in rows if row["outcome"] == "imported"]


@pytest.mark.parametrize(
    ("source", "error", "text"),
    [
        ("postgresql://db/mlflow", UsageError, "a source at postgresql:// cannot be read directly"),
        ("nowhere", NotFound, "there is no nowhere"),
        ("empty", Invalid, "empty is no file store of MLflow"),
        ("other.db", Invalid, "other.db is no database of MLflow: it has no table registered_models"),
        ("text", UsageError, "text is not an SQLite database"),
        ("https://ada:pw@example.com", UsageError, "the address of the server contains a login"),
    ],
)
def test_a_source_that_cannot_be_read_is_refused(tmp_path, monkeypatch, source, error, text):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    (tmp_path / "text").write_text("x")
    with sqlite3.connect("other.db") as rows:
        rows.execute("CREATE TABLE other (x)")
    rows.close()
    with pytest.raises(error, match=text.split(":")[0]) as caught:
        open_source("mlflow", source, {})
    assert text in caught.value.message


@pytest.mark.parametrize(
    ("damage", "error", "text"),
    [
        ("UPDATE model_versions SET creation_time = 'x'", Invalid, "has a value that MLflow does not write: invalid"),
        ("UPDATE model_versions SET creation_time = 9e18", Invalid, "has a value that MLflow does not write: year"),
        ("UPDATE latest_metrics SET value = NULL", Invalid, "has a value that MLflow does not write: float()"),
        ("UPDATE params SET value = CAST(x'ff' AS TEXT)", Invalid, "cannot be read as an SQLite database: Could not"),
        ("BEGIN EXCLUSIVE", Unreachable, "another program is writing to"),
    ],
)
def test_a_damaged_or_locked_database_is_refused_and_no_version_is_written(
    store, client, monkeypatch, damage, error, text
):
    connect = sqlite3.connect
    monkeypatch.setattr(sqlite3, "connect", lambda *args, **options: connect(*args, **{"timeout": 0, **options}))
    store.run("r1", metrics=[("accuracy", 0.9)], parameters=[("depth", "3")])
    store.version(1, run="r1")
    store.rows.execute(damage)
    with pytest.raises(error) as caught:
        run_import(store, client)
    assert text in caught.value.message
    assert not any(model.versions for model in client.list_models())


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("models/iris/version-1/meta.yaml", "{version: one}"),
        ("1/r1/meta.yaml", "{run_id: r1, start_time: today}"),
        ("1/r1/metrics/accuracy", "1700000000000"),
    ],
)
def test_a_file_store_with_an_impossible_value_is_refused(client, tmp_path, file, text):
    files = {
        "models/iris/meta.yaml": "{name: iris}",
        "models/iris/version-1/meta.yaml": "{version: 1, run_id: r1}",
        "1/r1/meta.yaml": "{run_id: r1, start_time: 1700000000000}",
        "1/r1/metrics/accuracy": "1700000000000 0.9 0",
    }
    for name, content in {**files, file: text}.items():
        path = tmp_path / "mlruns" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    with pytest.raises(Invalid, match="has a value that MLflow does not write"):
        import_from("mlflow", tmp_path / "mlruns", client)


@pytest.mark.parametrize(
    "option", [["--model", "x"], ["--map", "a=b"], ["--prompts"], ["--with-artifacts"], ["--dry-run"]]
)
def test_import_options_for_other_registries_need_the_option_from(option, code_repo, monkeypatch, capsys):
    monkeypatch.chdir(code_repo)
    code, _, err = ask(capsys, "import", "iris.gitmodel", *option)
    assert code == 2
    assert f"error: {option[0]} needs --from" in err


def test_an_import_continues_after_an_artifact_file_that_gitmodel_refuses(store, client):
    location = store.files("one")
    Path(store.folder, "one", "id_rsa").write_text("-----BEGIN OPENSSH PRIVATE KEY-----\n" + "b3BlbnNzaC1r" * 20)
    store.version(1, source=location)
    store.version(2)
    report = run_import(store, client, with_artifacts=True)
    assert report.models[0].artifacts == 0
    assert notes_of(report)[0].startswith("left out: iris 1 artifact: ")
    assert len(client.get_model("iris").versions) == 2


def test_a_run_of_two_versions_is_recorded_once(store, client):
    store.run("r1")
    store.version(1, run="r1")
    run_import(store, client)
    store.version(2, run="r1")
    store.rows.close()
    store.path = store.path.rename(store.folder / "moved.db")
    run_import(store, client)
    runs = [client.get_version(f"iris@{number}").view.record.runs for number in (1, 2)]
    assert runs[0] == runs[1]


# A server


MODEL = {
    "name": "iris",
    "creation_timestamp": 1700000000000,
    "tags": [],
    "aliases": [{"alias": "best", "version": "1"}],
}
VERSION = {
    "name": "iris",
    "version": "1",
    "creation_timestamp": 1700000001000,
    "current_stage": "Staging",
    "run_id": "r1",
}
INFO = {"run_id": "r1", "experiment_id": "1", "start_time": 1700000000000, "status": "FINISHED", "user_id": "ada"}
RUN = {
    "info": {**INFO, "artifact_uri": "mlflow-artifacts:/1/r1/artifacts"},
    "data": {"metrics": [{"key": "a", "value": "NaN"}]},
}
ANSWERS = {
    "registered-models/search": {"registered_models": [MODEL]},
    "model-versions/search": {"model_versions": [{**VERSION, "source": "mlflow-artifacts:/1/r1/artifacts/model"}]},
    "runs/get": {"run": RUN},
    "experiments/get": {"experiment": {"name": "Flowers"}},
    "metrics/get-history": {"metrics": []},
    "model-versions/get-download-uri": {"artifact_uri": "mlflow-artifacts:/1/r1/artifacts/model"},
}


@contextmanager
def serving(failing=None, login=""):
    """Start a server that gives the `ANSWERS`. Yields its URL, and a list of the paths that clients requested.

    *failing* gets the number of a request, and returns True if the request must fail. If *login* is not "", the server
    refuses requests without this value of the header `Authorization`.
    """
    seen = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            seen.append(self.path)
            parts = urlsplit(self.path)
            if login and self.headers.get("Authorization") != login:
                return self.answer(401, b"{}")
            if failing is not None and failing(len(seen)):
                return self.answer(503, b"")
            if parts.path == "/api/2.0/mlflow-artifacts/artifacts":
                listed = {"path": "MLmodel", "is_dir": False, "file_size": 2}
                folder = parse_qs(parts.query)["path"] == ["1/r1/artifacts/model"]
                return self.answer(200, json.dumps({"files": [listed] if folder else []}).encode())
            if parts.path == "/api/2.0/mlflow-artifacts/artifacts/1/r1/artifacts/model/MLmodel":
                return self.answer(200, b"hi")
            what = parts.path.removeprefix("/api/2.0/mlflow/")
            if "filter" in parts.query and "is_prompt" in parts.query:
                return self.answer(200, b"{}")
            return self.answer(*((200, json.dumps(ANSWERS[what]).encode()) if what in ANSWERS else (404, b"{}")))

        def answer(self, status, body):
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", seen
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch):
    monkeypatch.setattr("gitmodel.stores.requests.server_attempts.time.sleep", lambda _: None)


def import_from_server(url, client, environ=None):
    return import_from("mlflow", url, client, environ=environ, with_artifacts=True)


def test_a_server_that_fails_every_third_request_is_read_completely(client):
    with serving(failing=lambda number: number % 3 == 0) as (url, _):
        import_from_server(url, client)
    version = client.get_version("iris@staging")
    assert version.aliases == ["best"]
    assert version.metadata["a"] != version.metadata["a"]
    version.get_artifact("model").download("model")
    assert Path("model", "MLmodel").read_bytes() == b"hi"


def test_the_files_of_a_model_of_mlflow_3_are_where_the_server_says(client, monkeypatch):
    version = {**VERSION, "source": "models:/m-1"}
    monkeypatch.setitem(ANSWERS, "model-versions/search", {"model_versions": [version]})
    with serving() as (url, _):
        import_from_server(url, client)
    assert client.get_version("iris@1").get_artifact("model").link.format == "folder"


def test_a_server_that_always_fails_is_unreachable(client, monkeypatch):
    monkeypatch.setattr(mlflow_server, "_ATTEMPTS", 2)
    with serving(failing=lambda _: True) as (url, _), pytest.raises(Unreachable, match="503"):
        import_from_server(url, client)


@pytest.mark.parametrize(
    ("login", "environ"),
    [
        ("Bearer t0ken-of-ada", {"MLFLOW_TRACKING_TOKEN": "t0ken-of-ada"}),
        (
            f"Basic {base64.b64encode(b'ada:secret').decode()}",
            {"MLFLOW_TRACKING_USERNAME": "ada", "MLFLOW_TRACKING_PASSWORD": "secret"},
        ),
    ],
)
def test_the_login_of_an_mlflow_server_comes_from_the_environment_and_is_not_recorded(
    client, code_repo, git, login, environ
):
    with serving(login=login) as (url, _):
        with pytest.raises(Refused, match="401"):
            import_from_server(url, client)
        import_from_server(url, client, environ)
    shown = git(code_repo, "log", "-p", "gitmodel")
    assert not [value for value in environ.values() if f"{value}" in shown and value != "ada"]
    assert login not in shown
