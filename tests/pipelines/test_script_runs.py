"""`client.start_run`: a script without steps records its run and its version in one commit at the end."""

import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import threading
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import pytest
from project import pipeline_of

import gitmodel
from gitmodel import (
    Client,
    Conflict,
    Model,
    ModelConfig,
    NotFound,
    Refused,
    Secret,
    Unreachable,
    UsageError,
    formats,
    step,
)
from gitmodel.branch.runs.run_journal import Journal
from gitmodel.cli import run as run_program
from gitmodel.domain.changes.planned_change import Change
from gitmodel.domain.schema import codec, paths
from gitmodel.domain.schema.registry_rules import registry_record

VALUE = "correct-horse-battery"


def test_the_run_its_version_stage_and_artifacts_are_one_commit(client, commits, tmp_path, git):
    client.register_model("iris")
    (tmp_path / "cm.txt").write_text("5 0\n1 4\n")
    before = commits()
    with client.start_run("train") as run:
        run.log_parameters({"depth": 3}, rate=0.1)
        run.log_parameters(rate=0.2)
        run.link_artifact("matrix", tmp_path / "cm.txt", metadata={"rows": 2})
        run.log_metadata(accuracy=0.9, loss=0.5)
        version = run.create_version("iris", "1.0", model_objects={"clf": {"w": [1, 2]}}, metadata={"loss": 0.4})
        version.set_stage("staging", reason="first")
        version.add_alias("champion")
        version.log_metadata(final=True)
        version.log_metadata(cells=4, artifact="matrix")
        assert (commits(), run.status, version.name) == (before, "running", "1.0")
        with pytest.raises(UsageError, match="no number before its run has ended"):
            assert version.number
    assert commits() == ["Run train: add iris 1", *before]
    assert (run.status, version.reference, run.version is version) == ("succeeded", "iris@1", True)
    view = client.view_version("iris@champion")
    record = view.record
    assert (view.stage, record.runs, record.name) == ("staging", (run.id,), "1.0")
    assert record.metadata == {"accuracy": 0.9, "final": True, "loss": 0.4}
    assert [(link.name, link.kind, link.format, dict(link.metadata)) for link in record.artifacts] == [
        ("clf", "model", "json", {}),
        ("matrix", "data", "text", {"cells": 4, "rows": 2}),
    ]
    assert client.get_version("iris@1").get_artifact("clf").load() == {"w": [1, 2]}
    found = client.get_run(run.id).record
    assert (found.status, found.pipeline, found.versions) == ("succeeded", "train", ("iris@1",))
    assert found.parameters == {"depth": 3, "rate": 0.2}
    assert found.metadata == {"accuracy": 0.9, "loss": 0.5}
    assert found.code.commit == git(".", "rev-parse", "HEAD") == record.code.commit
    assert found.packages
    assert client.store.holds(found.packages)
    assert found.steps[0].outputs == {link.name: link.digest for link in record.artifacts}
    assert Journal(client.repository.common_dir).runs() == {}


def test_the_commands_show_a_run_of_a_script_and_refuse_to_reproduce_it(client, capsys):
    with client.start_run("train") as run:
        run.log_parameters(depth=3)
        run.log_metadata(accuracy=0.9)
        run.create_version(Model("iris", license="MIT"), data={"train": [1, 2]})
    assert client.get_model("iris").license == "MIT"
    with client.start_run("look") as other:
        other.link_artifact("plot", [3])
    for words in (["--columns", "depth"], ["--sort=-depth"]):
        assert run_program(["runs", "list", *words]) == 2
        assert "has metadata.depth\nhint: did you mean parameters.depth?" in capsys.readouterr().err
    assert run_program(["runs", "list", "--filter", "metadata.accuracy > 0.8 && parameters.depth == 3"]) == 0
    assert run_program(["runs", "show", run.id]) == 0
    assert run_program(["lineage", "iris@1"]) == 0
    assert run_program(["version", "show", "iris@1"]) == 0
    out = capsys.readouterr().out
    listed, shown = out.split(f"run         {run.id}")
    assert run.id in listed
    assert other.id not in listed
    assert "accuracy = 0.9" in shown
    assert "depth = 3" in shown
    assert f"train.train: run {run.id}" in shown
    assert run_program(["runs", "show", run.id, "--format", "json"]) == 0
    assert json.loads(capsys.readouterr().out)["metadata"] == {"accuracy": 0.9}
    assert run_program(["reproduce", "iris@1"]) == 2
    err = capsys.readouterr().err
    assert "was started by a script" in err
    assert "git model checkout iris@1 FOLDER" in err
    assert f"git model runs show {run.id}" in err
    assert client.get_run(other.id).record.steps[0].outputs["plot"].startswith("sha256:")


def test_the_inputs_of_a_run_are_recorded_and_in_the_lineage_of_its_version(client, capsys):
    sales = client.register_model("sales").create_version("v2026", data={"train": [1, 2], "test": [3]})
    base = client.register_model("base").create_version(model_objects={"net": {"w": 1}}, data={"notes": b"x"})
    base.set_stage("production")
    with client.start_run("train") as run:
        assert run.use("sales@v2026", "train").load() == [1, 2]
        assert run.use(base).load() == {"w": 1}  # needs no name, because the version has only one model object
        assert run.use(sales.get_artifact("test"), name="held_out").load() == [3]
        assert run.use("sales@1", "train").name == "train"  # a second use of an input has no effect
        run.create_version("iris", model_objects={"clf": {"w": 2}})
    record = client.get_run(run.id).record
    digests = {each.name: each.digest for version in (sales, base) for each in version.artifacts}
    inputs = {"train": digests["train"], "net": digests["net"], "held_out": digests["test"]}
    assert record.steps[0].inputs == inputs
    assert run_program(["lineage", "iris@1"]) == 0
    out = capsys.readouterr().out
    assert "sales@1" in out
    assert "base@1" in out
    assert run_program(["lineage", "sales@1"]) == 0
    assert "iris@1" in capsys.readouterr().out
    assert run_program(["runs", "show", run.id, "--format", "json"]) == 0
    assert json.loads(capsys.readouterr().out)["steps"][0]["inputs"] == inputs
    assert client.find_garbage(grace_days=0).objects == ()
    with pytest.raises(NotFound), client.start_run("train") as failed:
        failed.use(failed.use("base@production").version, "gone")
    assert client.get_run(failed.id).record.steps[0].inputs == {"net": digests["net"]}


def test_an_input_of_a_script_that_lineage_could_not_show_is_refused(client, tmp_path, git, monkeypatch):
    monkeypatch.chdir(tmp_path)
    version = client.register_model("sales").create_version(data={"train": [1], "test": [2]})
    client.get_model("sales").create_version(data={"train": [3]})
    version.attach("report", {"rows": 1})
    Path("train").touch()
    git(tmp_path, "init", "-q", "other")
    with Client(tmp_path / "other") as other, client.start_run("train") as run:
        far = other.register_model("sales").create_version(data={"far": [4]})
        run.use(version, "train")
        for error, said, use in (
            (Conflict, 'another input train.*name="NAME"', lambda: run.use("sales@2")),
            (UsageError, "is an attachment", lambda: run.use(version.get_attachment("report"))),
            (NotFound, "is an attachment", lambda: run.use("sales@1", "report")),
            (UsageError, "sales@1 has (several|no) artifacts", lambda: run.use("sales@1")),
            (NotFound, "no model train.csv", lambda: run.use("train.csv")),
            (NotFound, "run.link_artifact\\('train', ", lambda: run.use("train")),
            (UsageError, "far of sales@1 is in another registry", lambda: run.use(far.get_artifact())),
            (UsageError, "far of sales@1 is in another registry", lambda: run.use(far)),
            (UsageError, "is an artifact already", lambda: run.use(version.get_artifact("test"), "test")),
            (UsageError, "takes a version, .*, not an int", lambda: run.use(3)),
            (UsageError, "input", lambda: run.use(version, "test", name="../x")),
            (UsageError, 'write run.use\\("sales@3", "train"\\)', lambda: run.use_artifact("sales@1")),
        ):
            with pytest.raises(error) as caught:
                use()
            assert re.search(said, str(caught.value), re.DOTALL)
        run.use("sales@2", name="newer")
    assert set(client.get_run(run.id).record.steps[0].inputs) == {"train", "newer"}
    with pytest.raises(UsageError, match="has ended"):
        run.use(version)


def test_an_exception_records_a_failed_run_without_secrets_and_is_raised_again(client, commits, written, set_rules):
    set_rules(record_traceback=True)
    client.register_model("iris")
    before = commits()
    runs = []

    def train():
        with client.start_run("train") as run:
            runs.append(run)
            run.log_parameters(token=Secret(VALUE), depth=3)
            run.create_version("iris", data={"train": [1]})
            raise ValueError(f"cannot log in with {VALUE} at https://ada:hunter22@db.example.com/")

    with pytest.raises(ValueError, match="cannot log in") as caught:
        train()
    run = runs[0]
    assert VALUE in str(caught.value)
    assert commits() == ["Run train (failed)", *before]
    found = client.get_run(run.id)
    assert (found.status, run.status, found.record.versions) == ("failed", "failed", ())
    assert "(secret)" in found.record.error
    assert "ValueError" in found.record.error
    assert "in train" in found.record.traceback
    assert found.record.parameters == {"depth": 3, "token": "(secret)"}
    assert VALUE not in written()
    assert "hunter22" not in written()
    assert client.get_model("iris").versions.total == 0
    with client.start_run("train") as run:
        assert run.create_version("iris")
        assert run.status == "running"
    assert run.version.reference == "iris@1"


def test_an_interrupt_of_a_script_records_a_cancelled_run(client, commits):
    client.register_model("rose")
    before = commits()
    with pytest.raises(KeyboardInterrupt), client.start_run("train") as run:
        raise KeyboardInterrupt
    assert (commits(), client.get_run(run.id).status) == (["Run train (cancelled)", *before], "cancelled")


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, MemoryError])
def test_a_value_is_kept_if_storing_it_is_interrupted(client, monkeypatch, caplog, error):
    def interrupt(*_, **options):
        raise error

    monkeypatch.setattr("gitmodel.client.storing.new_artifacts.store_artifact", interrupt)
    with pytest.raises(error) as caught, client.start_run("train") as run:
        run.create_version("iris", model_objects={"clf": {"w": 1}})
    (file,) = client.repository.common_dir.glob("gitmodel/runs/*.kept/*")
    assert formats.load(file, "pickle", trusted=True) == {"w": 1}
    assert f"clf was not stored, and is kept in {file}" in caplog.text
    assert error is not KeyboardInterrupt or f"kept: clf in {file}; to load: " in str(caught.value)
    assert client.get_run(run.id).status == ("cancelled" if error is KeyboardInterrupt else "failed")
    assert str(file) not in client.get_run(run.id).record.error


def test_start_run_reports_a_server_that_refuses_pushes(client, code_repo, git, hermetic, tmp_path):
    (hermetic / ".gitconfig").touch()
    git(".", "config", "--global", f"url.{(tmp_path / 'nowhere').as_uri()}.pushInsteadOf", code_repo.as_uri())
    client.register_model("iris")
    with (
        Client(repo=code_repo.as_uri(), store=client.store.url) as by_url,
        pytest.raises(Unreachable, match="cannot be pushed to"),
        by_url.start_run("train"),
    ):
        pytest.fail("the block of the script ran although the server refuses pushes")


@pytest.mark.parametrize("how", ["script", "pipeline"])
def test_outputs_stay_on_this_machine_if_a_hook_refuses_the_record_of_the_run(client, code_repo, git, caplog, how):
    client.register_model("iris")
    git(code_repo, "config", "receive.denyCurrentBranch", "ignore")
    hook = code_repo / ".git/hooks/pre-receive"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\necho 'only by pull request' >&2\nexit 1\n")
    hook.chmod(0o755)

    @step
    def fit() -> Annotated[dict, "clf"]:
        return {"w": 1}

    train = pipeline_of(fit, model_config=ModelConfig(name="iris", create_new_model_version=True), name="train")

    def run(using):
        if how == "pipeline":
            train.run(client=using)
            return
        with using.start_run("train") as started:
            started.create_version("iris", model_objects={"clf": {"w": 1}})

    with Client(repo=code_repo.as_uri(), store=client.store.url) as by_url, pytest.raises(Refused) as caught:
        run(by_url)
    assert "only by pull request" in caught.value.message
    where = r"store gc`: clf sha256:(\w+)" if how == "pipeline" else r"kept: clf in \S+/sha256/(\S+);"
    (digest,) = re.findall(rf"could not be recorded: .*{where}", caplog.text, re.DOTALL)
    content = client.store.open(f"sha256:{digest.replace('/', '')}").read()
    assert content == b'{\n  "w": 1\n}\n'


def test_a_script_run_that_ends_with_exit_code_0_succeeds(client):
    with pytest.raises(SystemExit), client.start_run("train") as run:
        sys.exit(0 if run.create_version("iris") else 1)
    assert client.get_run(run.id).record.versions == ("iris@1",)
    with pytest.raises(SystemExit), client.start_run("train") as run:
        sys.exit("no data")
    assert client.get_run(run.id).status == "failed"


def test_a_run_inside_a_run_a_step_or_a_transaction_is_refused(client, commits):
    @step
    def inner() -> int:
        with client.start_run("train"):
            return 1

    outer = pipeline_of(inner, name="outer")
    nested = pytest.raises(UsageError, match="run other is started inside run train")
    with nested as caught, client.start_run("train"), client.start_run("other"):
        raise AssertionError
    assert "record both in one run" in caught.value.hint
    with pytest.raises(UsageError, match="pipeline outer is started inside run train"), client.start_run("train"):
        outer.run(client=client)
    with pytest.raises(Exception, match="run train is started inside step inner"):
        outer.run(client=client)
    with pytest.raises(UsageError, match="is open here"), client.transaction("one"), client.start_run("train"):
        raise AssertionError
    refused = pytest.raises(UsageError, match="cannot be called in the transaction")
    with refused, client.transaction("one") as change, change.start_run("train"):
        raise AssertionError
    assert "Run train" not in commits()


def test_invalid_values_for_a_script_run_are_refused_when_they_are_logged(client, tmp_path):
    with client.start_run("train") as run:
        with pytest.raises(Refused, match="password of run train looks like a password"):
            run.log_parameters(password="hunter2")
        with pytest.raises(UsageError, match="depth is an object"):
            run.log_parameters(depth=object())
        with pytest.raises(UsageError, match="too long to be recorded"):
            run.log_parameters(rows=list(range(9000)))
        run.log_parameters(token=Secret(VALUE))
        with pytest.raises(Refused, match="the value of a Secret"):
            run.log_metadata(said=f"it is {VALUE}")
        (tmp_path / "log.txt").write_text(f"token={VALUE}")
        with pytest.raises(Refused, match="the artifact log holds the value of a Secret"):
            run.link_artifact("log", tmp_path / "log.txt")
        with pytest.raises(NotFound):
            run.link_artifact("gone", tmp_path / "gone.txt")
        run.link_artifact("plot", [1])
        with pytest.raises(Conflict, match="two artifacts named plot"):
            run.link_artifact("plot", [2])
        with pytest.raises(Conflict, match="two artifacts named plot"):
            run.create_version("iris", data={"plot": [1]})
        with pytest.raises(AttributeError, match="has no log_metric"):
            run.log_metric("accuracy", 0.9)
        version = run.create_version("iris")
        with pytest.raises(UsageError, match="there is no stage 'prod' to set"):
            version.set_stage("prod")
        with pytest.raises(UsageError, match="has no artifact 'plt'"):
            version.log_metadata(cells=4, artifact="plt")
        with pytest.raises(UsageError, match="creates a version of iris already"):
            run.create_version("iris")
    assert run.parameters == {"token": "(secret)"}
    with pytest.raises(UsageError, match="has ended"):
        run.log_metadata(late=1)
    with pytest.raises(UsageError, match="has ended"):
        version.set_stage("staging")


def test_a_script_run_succeeds_without_a_promotion_that_a_gate_refuses(client, caplog):
    gate = registry_record.GateRule(name="good", expression="metadata.accuracy > 0.9")
    rules = (registry_record.StageRule(name="staging"), registry_record.StageRule(name="production", gates=(gate,)))

    def plan(snapshot):
        registry = replace(snapshot.registry(), stages=rules)
        return Change(None, "Add a gate", files={paths.REGISTRY: codec.encode(registry)})

    client.writer.transact(plan)
    with client.start_run("train") as run:
        version = run.create_version("iris", metadata={"accuracy": 0.8})
        version.set_stage("production")
    assert client.view_version(version.reference).stage is None
    assert "the run is recorded without it" in caplog.text
    assert client.get_run(run.id).status == "succeeded"


def test_a_run_gets_the_next_version_number_if_its_number_is_taken_and_fails_if_its_version_name_is_taken(
    client, code_repo
):
    client.register_model("iris")
    with Client(code_repo) as other:
        with client.start_run("train") as run:
            version = run.create_version("iris", metadata={"ours": True})
            assert other.get_model("iris").create_version().number == 1
        assert (version.reference, client.get_run(run.id).record.versions) == ("iris@2", ("iris@2",))
        assert client.get_version("iris@2").metadata == {"ours": True}

        def train():
            with client.start_run("train") as run:
                run.create_version("iris", "named", data={"train": [7]})
                other.get_model("iris").create_version("named")

        with pytest.raises(Conflict, match="has the name named"):
            train()
    (failed,) = client.list_runs(filter='status == "failed"')
    found = client.get_run(failed.id)
    assert client.get_model("iris").versions.total == 3
    # the record of the failed run names the output, so that `store gc` keeps it
    assert list(found.record.steps[0].outputs) == ["train"]


def test_a_pull_during_a_run_does_not_renumber_its_version(client, code_repo, git, tmp_path):
    client.register_model("iris")
    server, mate = tmp_path / "server.git", tmp_path / "mate"
    git(".", "init", "-q", "--bare", server)
    git(code_repo, "remote", "add", "origin", server)
    client.push()
    git(".", "clone", "-q", server, mate)
    with Client(mate) as other:
        other.pull()
        with client.start_run("train") as run:
            version = run.create_version("iris", metadata={"ours": True})
            version.set_stage("staging")
            other.get_model("iris").create_version(metadata={"ours": False})
            other.push()
            client.pull()
    assert version.reference == "iris@2"
    assert client.get_version("iris@staging").metadata == {"ours": True}
    assert client.get_run(run.id).record.versions == ("iris@2",)


def test_two_concurrent_scripts_both_record_their_runs(client, code_repo):
    script = (
        "import sys\nfrom gitmodel import Client\n"
        "with Client() as client, client.start_run('train') as run:\n"
        "    version = run.create_version('iris', model_objects={'clf': {'seed': int(sys.argv[1])}})\n"
        "    print('ready', flush=True)\n    sys.stdin.readline()\n"
        "print(version.reference)\n"
    )
    (code_repo / "train.py").write_text(script)
    command = [sys.executable, "train.py"]
    started = [
        subprocess.Popen([*command, seed], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=code_repo)
        for seed in "12"
    ]
    assert [one.stdout.readline() for one in started] == ["ready\n"] * 2
    assert [run.status for run in client.list_runs()] == ["running"] * 2
    printed = [one.communicate("\n", timeout=60)[0].strip() for one in started]
    assert sorted(printed) == ["iris@1", "iris@2"]
    runs = client.list_runs()
    assert [(run.status, run.record.script) for run in runs] == [("succeeded", "train.py")] * 2
    loaded = {client.get_version(reference).get_artifact("clf").load()["seed"] for reference in printed}
    assert loaded == {1, 2}


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT], ids=lambda number: number.name)
def test_a_script_ended_by_a_signal_leaves_a_lost_or_cancelled_run(client, code_repo, commits, number):
    script = (
        "import time\nfrom gitmodel import Client\n"
        "with Client() as client, client.start_run('train') as run:\n"
        "    run.create_version('iris')\n"
        "    print(run.id, flush=True)\n    time.sleep(60)\n"
    )
    client.register_model("rose")
    before = commits()
    started = subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=code_repo
    )
    run = started.stdout.readline().strip()
    started.send_signal(number)
    started.communicate(timeout=60)
    assert started.returncode != 0
    status = "lost" if number == signal.SIGKILL else "cancelled"
    assert client.get_run(run).status == status
    assert len(commits()) == len(before) + (status == "cancelled")
    with pytest.raises(NotFound):
        client.get_model("iris")


def test_a_forked_process_does_not_record_the_script_run_of_its_parent(client, commits):
    client.register_model("rose")
    before = commits()
    with client.start_run("train") as run:
        child = os.fork()
        if child == 0:
            try:
                run.log_metadata(accuracy=0.1)
            except UsageError:
                os._exit(7)
            os._exit(1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
    assert commits() == ["Run train", *before]


def test_script_runs_in_two_threads_are_recorded_separately(client, code_repo):
    client.register_model("iris")

    def train():
        with Client(code_repo) as own, own.start_run("other") as run:
            run.create_version("iris")

    with client.start_run("train") as run:
        thread = threading.Thread(target=train)
        thread.start()
        thread.join()
        run.create_version("iris")
    assert sorted(found.record.pipeline for found in client.list_runs()) == ["other", "train"]
    assert run.version.reference == "iris@2"


def test_the_registry_rules_about_runs_apply_to_script_runs(client, commits, set_rules):
    set_rules(record="versioned")
    before = commits()
    with client.start_run("look") as run:
        run.log_metadata(accuracy=0.5)
    assert (commits(), client.get_run(run.id).status) == (before, "succeeded")
    with client.start_run("train") as run:
        run.create_version("iris")
    assert commits() == ["Run train: add iris 1", *before]


def test_the_artifacts_of_a_run_go_to_the_store_of_its_model(client, tmp_path):
    client.register_model("iris")
    client.add_store("large", (tmp_path / "large").as_uri())
    client.use_store("iris", "large")
    with client.start_run("train") as run:
        run.link_artifact("before", [1])
        version = run.create_version("iris", data={"train": [2]})
        run.link_artifact("after", [3])
    large = client.access.open("large")
    artifacts = client.get_version(version.reference).artifacts
    assert [large.holds(one.digest) for one in artifacts if one.name != "before"] == [True, True]
    assert [one.load() for one in artifacts] == [[3], [1], [2]]


def test_a_value_that_is_not_stored_is_kept_in_a_file_that_the_error_names(client):
    with client.start_run("train") as run:
        run.link_artifact("plot", [1])
        for use in (
            lambda: run.link_artifact("plot", [2]),
            lambda: run.link_artifact("../plot", {"x": 3}),
            lambda: run.create_version("iris", "production", model_objects={"clf": [4], "path": "gone.txt"}),
            lambda: run.create_version("iris", model_objects={"clf": {1, 2, print}}),
        ):
            with pytest.raises((Conflict, UsageError), match="; kept: ") as caught:
                use()
            assert "to load: gitmodel.formats.load(" in caught.value.hint
        kept = sorted(client.repository.common_dir.glob("gitmodel/runs/*.kept/*"))
        assert [path.name for path in kept] == ["clf-2.pkl", "clf.pkl", "plot.pkl", "value-0.pkl"]
        loaded = [formats.load(path, "pickle", trusted=True) for path in kept]
        assert loaded == [{1, 2, print}, [4], [2], {"x": 3}]
        run.log_parameters(token=Secret(VALUE))
        with pytest.raises(Refused, match="holds the value of a Secret") as caught:
            run.link_artifact("log", {"said": VALUE})
        assert "kept" not in caught.value.message
        assert run.create_version("iris", "1.0").model == "iris"


def garbage(client):
    """Return the objects that `store gc` would remove if all objects in the store were old."""
    for path in client.store_root.glob("sha256/*/*"):
        os.utime(path, (0, 0))
    return client.find_garbage().objects


def test_store_gc_keeps_objects_that_a_running_script_stored(client):
    with client.start_run("train") as run:
        run.link_artifact("log", [1])
        assert garbage(client) == ()
        run.create_version("iris", model_objects={"clf": [2]})
        assert garbage(client) == ()
    assert garbage(client) == ()


def create_and_lose(client):
    with client.start_run("train") as run:
        run.create_version("iris", model_objects={"clf": [2]})
        client.store.remove(run._run.links["clf"].digest)


def test_a_script_run_fails_if_gc_deletes_its_artifacts_during_the_run(client):
    with pytest.raises(Conflict, match=r"clf was removed from .* during run train"):
        create_and_lose(client)
    assert not client.list_models()


def fill_the_disk(client, disk):
    with client.start_run("train") as run:
        run.link_artifact("log", {"loss": [0.5, 0.25]})
        with suppress(OSError), open(disk / "full", "wb", buffering=0) as file:
            while file.write(bytes(4096)):
                pass


def test_the_error_names_the_files_of_a_script_run_that_cannot_be_recorded(small_disk, git, caplog):
    git(small_disk, "init", "-q")
    git(small_disk, "commit", "-q", "--allow-empty", "-m", "Begin")
    with Client(small_disk) as client, pytest.raises(Unreachable, match="No space left"):
        fill_the_disk(client, small_disk)
    said = re.search(r"kept: log in \S+; to load: (gitmodel\.formats\.load\(.*\))", caplog.text)
    assert said is not None
    assert eval(said[1], {"gitmodel": gitmodel, "pathlib": pathlib}) == {"loss": [0.5, 0.25]}
