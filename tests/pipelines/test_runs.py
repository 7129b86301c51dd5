"""A run writes one commit with all of its results, or no results.

The tests cover versions and their numbers, failed and interrupted runs, configurations, inputs, outputs and metadata.
"""

import logging
import os
import tempfile
import threading
from pathlib import Path

import project
import pytest
from project import pipeline_of

from gitmodel import (
    Client,
    Conflict,
    ExternalArtifact,
    ModelConfig,
    ModelStages,
    NotFound,
    Refused,
    RunFailed,
    Unreachable,
    UsageError,
    get_step_context,
    log_artifact_metadata,
    log_model_metadata,
    pipeline,
    step,
)
from gitmodel.branch.runs.run_journal import Journal
from gitmodel.cli import run as run_command
from gitmodel.registry.health import checking

DEMO = ModelConfig(name="demo", license="Apache", create_new_model_version=True)


def new(name=None, **fields):
    return ModelConfig(name="demo", create_new_model_version=True, version=name, **fields)


@pipeline(model_config=DEMO, enable_cache=False)
def train_and_promote():
    project.evaluate(project.train(0.97))
    project.promote("staging", after=["evaluate"])


@pipeline(model_config=DEMO, enable_cache=False)
def promote_and_fail():
    project.promote("production", after=project.train(0.5))
    project.fail(after=["promote"])


class TestOneCommit:
    def test_a_run_writes_its_version_artifacts_metadata_stage_and_record_in_one_commit(
        self, client, commits, last_run
    ):
        run = train_and_promote.run(client=client)
        assert commits() == ["Run train_and_promote: add demo 1", "Begin the registry"]
        version = client.get_version("demo@staging")
        assert (version.number, version.metadata, version.runs) == (1, {"accuracy": 0.97}, [run.id])
        artifact = version.get_artifact("classifier")
        assert artifact.metadata == {"rows": 150, "checked": True}
        assert (artifact.link.pipeline, artifact.link.step) == ("train_and_promote", "train")
        assert client.get_model("demo").license == "Apache"
        view = last_run()
        assert (view.id, view.status, view.record.versions) == (run.id, "succeeded", ("demo@1",))
        assert view.record.code.commit
        assert view.record.steps[0].parameters == {"score": 0.97}
        assert view.record.steps[1].inputs == {"classifier": artifact.digest}
        with client.store.open(view.record.packages) as packages:
            assert b"\npytest==" in packages.read()

    def test_a_second_run_creates_version_2_and_archives_version_1(self, client):
        train_and_promote.run(client=client)
        train_and_promote.run(client=client)
        model = client.get_model("demo")
        assert {version.number: version.stage for version in model.versions} == {1: "archived", 2: "staging"}

    def test_a_finished_run_leaves_no_files_or_reservations(self, client, git):
        train_and_promote.run(client=client)
        assert git(client.repository.common_dir, "for-each-ref", "refs/gitmodel/reserved") == ""
        assert Journal(client.repository.common_dir).runs() == {}

    def test_a_run_in_a_repository_without_commits_succeeds(self, tmp_path, git):
        git(tmp_path, "init", "-q")
        with Client(tmp_path) as client:
            train_and_promote.run(client=client)
            assert client.get_version("demo@staging").code.commit is None

    def test_a_run_without_a_model_writes_only_its_own_record(self, client, commits):
        assert pipeline_of(lambda: project.double(2), name="alone").run(client=client).versions == ()
        assert commits()[0] == "Run alone"

    def test_planned_changes_take_effect_in_the_order_of_the_steps_in_the_graph_and_not_by_time(self, client):
        second = threading.Event()

        @step
        def slow() -> None:
            second.wait(10)
            get_step_context().model_version.log_metadata(who="slow")

        @step
        def fast() -> None:
            get_step_context().model_version.log_metadata(who="fast")
            second.set()

        pipeline_of(lambda: (slow(), fast()), model_config=DEMO, executor="threads:2").run(client=client)
        assert client.get_version("demo").metadata == {"who": "fast"}


class TestFailure:
    def test_a_run_that_fails_after_promoting_changes_no_stage(self, client, commits, last_run, caplog):
        client.register_model("demo").create_version().set_stage("production")
        with pytest.raises(RunFailed, match="step fail failed: RuntimeError: no") as caught:
            promote_and_fail.run(client=client)
        assert client.get_version("demo@production").number == 1
        assert [version.number for version in client.get_model("demo").versions] == [1]
        assert commits()[0] == "Run promote_and_fail (failed)"
        view = last_run()
        assert (view.status, view.record.failed_step, view.record.versions) == ("failed", "fail", ())
        # The record has only the type of the error. The message is in the journal on this machine.
        assert view.error == "RuntimeError: no"
        assert "project.py" in view.traceback
        assert (view.record.error, view.record.traceback) == ("RuntimeError", "")
        assert caught.value.run == view.id
        assert "raise RuntimeError(message)" in caplog.text

    def test_after_six_failed_runs_the_first_version_is_number_1(self, client, git, far_or_near):
        @pipeline(model_config=DEMO, enable_cache=False)
        def failing():
            project.promote("staging", after=project.train(0.5))
            project.fail()

        for _ in range(6):
            with pytest.raises(RunFailed):
                failing.run(client=client, executor=far_or_near)
        assert git(client.repository.common_dir, "for-each-ref", "refs/gitmodel/reserved") == ""
        train_and_promote.run(client=client)
        assert [version.number for version in client.get_model("demo").versions] == [1]

    @pytest.mark.parametrize("read", ["number", "name", "reference", "repr"])
    def test_a_version_number_that_a_step_of_a_failed_run_read_is_not_reused(self, client, read, far_or_near):
        failing = pipeline_of(lambda: project.read_and_fail(read), model_config=DEMO, enable_cache=False)
        with pytest.raises(RunFailed):
            failing.run(client=client, executor=far_or_near)
        train_and_promote.run(client=client)
        assert [version.number for version in client.get_model("demo").versions] == [2]

    def test_a_failed_run_releases_a_version_number_that_no_step_read_although_a_step_read_another_number(self, client):
        other = ModelConfig(name="other", create_new_model_version=True)

        @step(model_config=other)
        def read() -> int:
            return get_step_context().model_version.number

        with pytest.raises(RunFailed):
            pipeline_of(lambda: project.fail(after=read()), model_config=DEMO, enable_cache=False).run(client=client)
        refs = client.repository.git.lines("for-each-ref", "--format=%(refname)", "refs/gitmodel/reserved")
        assert refs == ["refs/gitmodel/reserved/other/1"]

    @pytest.mark.parametrize(("asks", "number"), [(False, 1), (True, 2)])
    def test_an_interrupted_run_releases_its_version_number_unless_a_step_read_it(self, client, asks, number):
        @step
        def interrupt() -> None:
            if asks:
                assert get_step_context().model_version.number == 1
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            pipeline_of(interrupt, model_config=DEMO, enable_cache=False).run(client=client)
        train_and_promote.run(client=client)
        assert [version.number for version in client.get_model("demo").versions] == [number]

    def test_the_version_number_of_a_run_whose_worker_died_is_not_reused(self, client):
        with pytest.raises(RunFailed):
            pipeline_of(project.die, model_config=DEMO, enable_cache=False).run(client=client, executor="processes:1")
        train_and_promote.run(client=client)
        assert [version.number for version in client.get_model("demo").versions] == [2]

    def test_no_later_run_gets_the_version_number_that_a_step_of_a_failed_run_read(self, client, git):
        with pytest.raises(RunFailed):
            pipeline_of(lambda: project.read_and_fail("number"), model_config=DEMO).run(client=client)
        assert "reserved/demo/1" in git(client.repository.common_dir, "for-each-ref", "refs/gitmodel/reserved")
        train_and_promote.run(client=client)
        assert [version.number for version in client.get_model("demo").versions] == [2]
        assert git(client.repository.common_dir, "for-each-ref", "refs/gitmodel/reserved") == ""
        train_and_promote.run(client=client)
        assert [version.number for version in client.get_model("demo").versions] == [2, 3]

    def test_a_version_of_a_failed_run_can_be_kept_and_the_next_run_continues_it(self, client):
        config = new("1.0", delete_new_version_on_failure=False)
        wanted = []

        @step
        def maybe() -> None:
            if wanted:
                raise RuntimeError("not yet")
            get_step_context().model_version.set_stage("staging")

        trying = pipeline_of(lambda: maybe(after=project.train(0.5)), model_config=config)
        wanted.append(1)
        for _ in range(2):
            with pytest.raises(RunFailed):
                trying.run(client=client)
            version = client.get_version("demo@1.0")
            assert (version.number, version.view.record.failed, version.stage) == (1, True, None)
            assert [artifact.name for artifact in version.artifacts] == ["classifier"]
            assert version.metadata == {}
            with pytest.raises(Refused, match="failed run"):
                version.set_stage("production")
        wanted.clear()
        trying.run(client=client)
        version = client.get_version("demo@1.0")
        assert (version.number, version.view.record.failed, version.stage) == (1, False, "staging")
        assert len(version.runs) == 3

    def test_two_runs_cannot_continue_the_same_version(self, client):
        config = ModelConfig(name="demo", create_new_model_version=True, delete_new_version_on_failure=False)

        failing = pipeline_of(project.fail, model_config=config, name="first")
        with pytest.raises(RunFailed):
            failing.run(client=client)
        started, go_on = threading.Event(), threading.Event()

        @step
        def hold() -> None:
            started.set()
            go_on.wait(30)

        holding = pipeline_of(hold, model_config=config, name="second", executor="threads:1")

        def run():
            with Client(client.repository.common_dir.parent) as mine:
                holding.run(client=mine)

        thread = threading.Thread(target=run)
        thread.start()
        started.wait(30)
        try:
            train_and_promote.run(client=client)
            assert client.get_version("demo@staging").number == 2
        finally:
            go_on.set()
            thread.join()
        assert client.get_version("demo@1").view.record.failed is False

    def test_a_stale_reservation_of_a_failed_version_does_not_stop_the_next_run(self, client, git):
        config = new("1.0", delete_new_version_on_failure=False)

        @pipeline(model_config=config)
        def one(fail: bool):
            (project.fail if fail else project.noop)()

        with pytest.raises(RunFailed):
            one.run(client=client, fail=True)
        git(client.repository.common_dir, "update-ref", "refs/gitmodel/reserved/demo/1", client.repository.tip())
        one.run(client=client, fail=False)
        assert client.get_version("demo@1.0").view.record.failed is False

    def test_a_failed_run_calls_on_failure(self, client):
        told = []
        with pytest.raises(RunFailed):
            pipeline_of(project.fail, on_failure=told.append).run(client=client)
        assert [type(error) for error in told] == [RunFailed]

    def test_a_full_disk_while_an_output_is_stored_fails_the_step(self, client, last_run, monkeypatch):
        from gitmodel.stores.local_store import LocalStore

        real = LocalStore.put_stream

        def full(store, source, **options):
            if source.read(1) == b"{":
                raise Unreachable("the artifact store fails: No space left on device", hint="make room on its disk")
            source.seek(0)
            return real(store, source, **options)

        monkeypatch.setattr(LocalStore, "put_stream", full)
        with pytest.raises(RunFailed, match=r"step train failed: Unreachable: .*No space left") as caught:
            train_and_promote.run(client=client)
        assert caught.value.hint.startswith("make room")
        assert last_run().record.failed_step == "train"
        assert client.list_models() == ()

    def test_a_disk_that_is_full_fails_the_step_and_the_next_run_succeeds(self, code_repo, small_disk):
        size = 3 << 20

        @step
        def large() -> bytes:
            return os.urandom(size)

        one = pipeline_of(large, model_config=DEMO, enable_cache=False)
        with Client(code_repo, store=(small_disk / "store").as_uri()) as client:
            one.run(client=client)
            with pytest.raises(RunFailed, match=r"step large failed: Unreachable: .*No space left") as caught:
                one.run(client=client)
            assert "make room" in caught.value.hint
            assert sorted(run.status for run in client.list_runs()) == ["failed", "succeeded"]
            assert [version.number for version in client.get_model("demo").versions] == [1]
            assert all(not seen.error for seen in client.verify())
            size = 1 << 19
            one.run(client=client)
            assert client.get_version("demo").get_artifact("large").size == size
            assert checking.check(client.repository) == []

    def test_a_full_disk_does_not_hide_the_error_of_the_run(self, client, monkeypatch, caplog):
        client.register_model("other")

        def full(objects):
            if list(objects):  # a move of refs without new objects, such as reserving a number, succeeds on a full disk
                raise Unreachable("git objects cannot be written: No space left on device")

        monkeypatch.setattr(client.repository.objects, "write", full)
        with pytest.raises(RunFailed, match="step fail failed: RuntimeError: no"):
            promote_and_fail.run(client=client)
        assert "could not be recorded" in caplog.text
        assert client.list_runs()[0].status == "failed"

    def test_an_interrupted_run_is_recorded_as_cancelled(self, client, last_run, caplog):
        @step
        def interrupted() -> None:
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            pipeline_of(interrupted, model_config=DEMO).run(client=client)
        assert last_run().status == "cancelled"
        assert client.list_models() == ()
        assert f"run {last_run().id} was interrupted; `git model runs show" in caplog.text

    def test_a_step_that_takes_a_missing_output_of_another_step_fails(self, client, last_run):
        @step
        def nothing():
            pass

        with pytest.raises(RunFailed, match="step nothing returned nothing"):
            pipeline_of(lambda: project.double(nothing())).run(client=client)
        assert last_run().record.failed_step == "double"

    def test_a_promotion_that_cannot_be_planned_fails_its_step(self, client, last_run):
        for stage in ("prod", "latest"):
            with pytest.raises(RunFailed, match="there is no stage"):
                pipeline_of(lambda stage: project.promote(stage), model_config=DEMO).run(client=client, stage=stage)
        assert last_run().record.failed_step == "promote"

    def test_a_step_that_logs_metadata_of_an_unknown_artifact_fails(self, client):
        @step
        def log() -> None:
            log_artifact_metadata(artifact="clasifier", accuracy=1)

        with pytest.raises(RunFailed, match="demo@1 will have no artifact 'clasifier'"):
            pipeline_of(log, model_config=DEMO).run(client=client)


class TestManyRuns:
    def test_runs_in_parallel_get_a_version_each(self, client, commits, code_repo):
        def run(_):
            with Client(code_repo) as mine:
                for _ in range(3):
                    train_and_promote.run(client=mine)

        threads = [threading.Thread(target=run, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(version.number for version in client.get_model("demo").versions) == list(range(1, 13))
        assert len(commits()) == 13

    def test_a_name_that_a_version_has_is_refused_before_anything_runs(self, client):
        one = pipeline_of(project.noop, model_config=new("1.0"))
        one.run(client=client)
        with pytest.raises(Conflict, match=r"has the name 1\.0"):
            one.run(client=client)
        assert len(client.list_runs()) == 1

    def test_a_run_takes_the_next_version_number_if_a_pull_took_its_number_during_the_run(self, client, caplog):
        from gitmodel.domain.changes.versions import plan_version
        from gitmodel.domain.schema.records import VersionRecord

        client.register_model("demo")

        @step
        def pull() -> None:
            draft = VersionRecord(number=1, created=client.repository.identity.moment(), description="from elsewhere")
            client.writer.transact(lambda snapshot: plan_version(snapshot, "demo", draft, reserved=1))

        @pipeline(model_config=DEMO, enable_cache=False)
        def one():
            pull()
            project.promote("staging", after="pull")
            project.train(0.5)

        assert one.run(client=client).versions == ("demo@2",)
        assert client.get_version("demo@1").description == "from elsewhere"
        assert client.get_version("demo@staging").number == 2
        assert client.get_version("demo@2").get_artifact("classifier").metadata == {"rows": 150}
        assert client.list_runs()[0].record.versions == ("demo@2",)
        assert "its version is demo@2" in caplog.text

    def test_ids_of_runs_of_the_same_second_differ(self, client):
        assert len({pipeline_of(project.noop).run(client=client).id for _ in range(20)}) == 20


class TestModelsAndVersionsOfARun:
    def test_a_run_on_a_stage_keeps_the_version_that_was_in_the_stage_at_its_start(self, client, code_repo):
        model = client.register_model("demo")
        model.create_version().set_stage("production")

        @step
        def take_over() -> None:
            with Client(code_repo) as other:
                other.get_model("demo").create_version().set_stage("production")

        @step(model_config=ModelConfig(name="demo", version=ModelStages.PRODUCTION))
        def note() -> None:
            log_model_metadata(reached=get_step_context().model_version.number)

        one = pipeline_of(lambda: note(after=take_over()), model_config=ModelConfig(name="demo", version="production"))
        run = one.run(client=client)
        assert run.versions == ("demo@1",)
        assert client.get_version("demo@1").metadata == {"reached": 1}
        assert client.get_version("demo@1").runs == [run.id]
        assert client.get_version("demo@production").number == 2

    @pytest.mark.parametrize("wanted", ["production", 7, "1.2.3", "champion"])
    def test_the_error_for_an_unknown_version_lists_the_available_versions(self, client, wanted):
        client.register_model("demo").create_version()

        with pytest.raises(NotFound) as caught:
            pipeline_of(project.noop, model_config=ModelConfig(name="demo", version=wanted)).run(client=client)
        assert "demo" in caught.value.hint
        assert len(client.list_runs()) == 0

    def test_the_configuration_of_a_step_has_precedence_over_that_of_the_pipeline(self, client):
        @step(model_config=ModelConfig(name="other", create_new_model_version=True))
        def elsewhere() -> int:
            return get_step_context().model_version.number

        one = pipeline_of(lambda: project.double(elsewhere()), model_config=DEMO)
        assert one.run(client=client).versions == ("demo@1", "other@1")
        assert [artifact.name for artifact in client.get_version("other").artifacts] == ["elsewhere"]
        assert [artifact.name for artifact in client.get_version("demo").artifacts] == ["double"]

    def test_steps_share_a_new_version_and_their_configurations_must_have_the_same_name(self, client):
        @step(model_config=new("1.0", description="another"))
        def named() -> int:
            return 1

        @step(model_config=new())
        def unnamed() -> int:
            return 2

        agreeing = pipeline_of(lambda: project.double(named()), model_config=new("1.0"), name="agreeing")
        disagreeing = pipeline_of(lambda: named(after=unnamed()), name="disagreeing")
        assert agreeing.run(client=client).versions == ("demo@1",)
        assert len(client.get_version("demo@1.0").artifacts) == 2
        with pytest.raises(UsageError, match=r"differ on the new version of demo: no name and 1\.0"):
            disagreeing.run(client=client)

    def test_a_new_model_gets_the_fields_of_all_configurations(self, client):
        @step(model_config=new(license="MIT", tags=["b", "a"]))
        def first() -> int:
            return 1

        @step(model_config=new(audience="all", tags=["a", "b"]))
        def second(x: int) -> int:
            return get_step_context().model_config.license == "MIT"

        pipeline_of(lambda: second(first()), model_config=new(title="Demo")).run(client=client)
        model = client.get_model("demo")
        assert (model.license, model.audience, model.title, model.tags) == ("MIT", "all", "Demo", ["a", "b"])

    @pytest.mark.parametrize(
        ("one", "other", "said"),
        [
            ({"license": "MIT"}, {"license": "Apache"}, "license of the new model demo: 'MIT' and 'Apache'"),
            ({"tags": ["a"]}, {"tags": ["b", "c"]}, "tags of the new model demo: a and b, c"),
            (
                {"delete_new_version_on_failure": True},
                {"delete_new_version_on_failure": False},
                "delete_new_version_on_failure of the new model demo: True and False",
            ),
        ],
    )
    @pytest.mark.parametrize("where", ["two steps", "the pipeline"])
    def test_configurations_with_different_fields_of_a_new_model_are_refused(self, client, one, other, said, where):
        ran = []

        @step(model_config=new(**one))
        def first() -> None:
            ran.append(1)

        @step(model_config=new(**other))
        def second() -> None:
            ran.append(2)

        @pipeline(model_config=new(**other) if where == "the pipeline" else None)
        def differing():
            first()
            if where == "two steps":
                second()

        giver = "step second" if where == "two steps" else "the pipeline"
        with pytest.raises(UsageError, match=f"step first and {giver} disagree on {said}"):
            differing.run(client=client)
        assert ran == []
        assert (list(client.list_models()), list(client.list_runs())) == ([], [])

    def test_fields_of_a_configuration_that_differ_from_the_model_are_reported_and_not_applied(self, client, caplog):
        client.register_model("demo", license="MIT", description="as it was")

        @step(model_config=new(license="Apache", description="another"))
        def other() -> None: ...

        one = pipeline_of(
            lambda: (other(after=project.noop()), other()), model_config=new(license="Apache", tags=["b", "a"])
        )
        with caplog.at_level(logging.WARNING):
            one.run(client=client)
        assert len(caplog.records) == 1
        assert "model demo keeps its recorded license and tags and description" in caplog.text
        assert client.get_model("demo").license == "MIT"

    def test_invalid_names_are_refused_before_anything_runs(self, client, set_rules):
        client.register_model("demo").create_version().add_alias("champion")
        for config, error in (
            (ModelConfig(name="Demo", create_new_model_version=True), Conflict),
            (new("champion"), Conflict),
        ):
            with pytest.raises(error):
                pipeline_of(project.noop, model_config=config).run(client=client)
        client.delete_model("demo", force=True)
        with pytest.raises(NotFound, match="deleted"):
            train_and_promote.run(client=client)
        assert len(client.list_runs()) == 0

    def test_a_run_for_the_former_name_of_a_model_creates_a_version_of_the_renamed_model(self, client):
        client.register_model("demo")
        client.update_model("demo", new_name="shown")
        assert train_and_promote.run(client=client).versions == ("shown@1",)

    def test_a_step_can_take_inputs_from_existing_versions(self, client):
        train_and_promote.run(client=client)

        @step
        def read(found: dict, told: str) -> dict:
            return {"score": found["score"], "told": told}

        @pipeline(model_config=ModelConfig(name="other", create_new_model_version=True))
        def one():
            read("demo@staging:classifier", told="demo@staging:classifier")
            read(ExternalArtifact(model="demo", version=1, name="classifier"), told="ada@example.com:80")

        run = one.run(client=client)
        artifacts = client.get_version("other").artifacts
        assert [artifact.load()["told"] for artifact in artifacts] == ["demo@staging:classifier", "ada@example.com:80"]
        assert run.steps[0].inputs == {"found": client.get_version("demo").get_artifact("classifier").digest}
        assert run.steps[0].parameters == {"told": "demo@staging:classifier"}

    @pytest.mark.parametrize("wanted", ["demo@production:classifier", "demo@staging:nothing", "none@1:x"])
    def test_an_input_that_does_not_exist_is_an_error_before_anything_runs(self, client, wanted):
        train_and_promote.run(client=client)

        @step
        def read(found: dict) -> None: ...

        with pytest.raises(NotFound):
            pipeline_of(lambda: read(wanted)).run(client=client)
        assert len(client.list_runs()) == 1

    def test_outputs_of_a_run_on_an_existing_version_belong_to_the_run(self, client):
        client.register_model("demo").create_version().set_stage("production")

        one = pipeline_of(lambda: project.double(3), model_config=ModelConfig(name="demo", version="production"))
        run = one.run(client=client)
        version = client.get_version("demo@production")
        assert (version.artifacts, version.runs) == ([], [run.id])
        assert run.steps[0].outputs.keys() == {"double"}

    def test_the_outputs_of_a_step_that_is_called_twice_have_different_names(self, client):
        one = pipeline_of(
            lambda: (project.double(project.number(1)), project.double(project.number(2))), model_config=DEMO
        )
        one.run(client=client)
        assert [artifact.name for artifact in client.get_version("demo").artifacts] == [
            "double",
            "double_2",
            "number",
            "number_2-number",
        ]

    def test_a_version_that_cannot_hold_all_outputs_is_refused_before_anything_runs(self, client):
        @pipeline(model_config=DEMO)
        def wide():
            for number in range(400):
                project.double(number)

        with pytest.raises(UsageError, match="cannot hold the outputs of that many steps"):
            wide.run(client=client)

    def test_a_run_whose_record_would_be_too_long_keeps_its_details_in_the_store(self, client, last_run):
        @step
        def read(x: int, note: str) -> int:
            return x

        @pipeline
        def long():
            for number in range(8):
                read(project.number(number), "n" * 10_000)

        long.run(client=client, executor="threads")
        view = last_run()
        assert view.record.details
        assert len(view.record.steps) == 16
        assert view.record.steps[-1].inputs.keys() == {"x"}
        listed = client.list_runs()[0]
        brief = listed.record.steps[-1]
        assert (brief.inputs, brief.status) == ({}, "succeeded")
        assert (listed.steps, listed.outputs.keys()) == (view.record.steps, view.outputs.keys())


class TestMetadata:
    def test_a_script_can_log_metadata_of_any_version(self, client, commits):
        train_and_promote.run(client=client)
        log_model_metadata({"reviewed": True}, version="demo@staging")
        log_artifact_metadata(artifact="classifier", version="demo@1", recall=0.9)
        version = client.get_version("demo")
        assert version.metadata == {"accuracy": 0.97, "reviewed": True}
        assert version.get_artifact("classifier").metadata["recall"] == 0.9
        with pytest.raises(UsageError, match="no step is running"):
            log_model_metadata(accuracy=1)

    def test_metadata_that_a_step_logs_for_another_version_is_written_if_the_run_succeeds(self, client):
        train_and_promote.run(client=client)

        @step
        def evaluate_again() -> None:
            log_model_metadata({"drift": 0.1}, version="demo@staging")
            log_artifact_metadata({"drift": [1, 2]}, artifact="classifier", version="demo@1")

        @pipeline
        def monitoring(fail: bool = False):
            evaluate_again()
            if fail:
                project.fail(after="evaluate_again")

        with pytest.raises(RunFailed):
            monitoring.run(client=client, fail=True)
        assert "drift" not in client.get_version("demo").metadata
        monitoring.run(client=client)
        assert client.get_version("demo").metadata["drift"] == 0.1
        assert client.get_version("demo").get_artifact("classifier").metadata["drift"] == [1, 2]

    def test_metadata_may_be_numbers_text_booleans_lists_and_tables(self, client):
        import numpy

        @step
        def log() -> None:
            log_model_metadata(
                {"deep": {"matrix": numpy.array([[1, 2], [3, 4]]), "f1": numpy.float32(0.5)}},
                count=numpy.int64(3),
                ok=numpy.bool_(True),
                names=("a", "b"),
                text="x",
            )

        pipeline_of(log, model_config=DEMO).run(client=client)
        assert client.get_version("demo").metadata == {
            "deep": {"matrix": [[1, 2], [3, 4]], "f1": 0.5},
            "count": 3,
            "ok": True,
            "names": ["a", "b"],
            "text": "x",
        }

    def test_the_error_of_a_step_without_a_model_shows_how_to_set_one(self, client):
        with pytest.raises(RunFailed, match="step log_secret has no model") as caught:
            pipeline_of(lambda: project.log_secret("nothing")).run(client=client)
        assert caught.value.hint.startswith("give the pipeline or the step a model_config")

    def test_get_step_context_works_only_in_a_step(self):
        with pytest.raises(UsageError, match="no step is running"):
            get_step_context()


class TestRules:
    def test_with_record_set_to_versioned_only_runs_with_a_version_are_committed(self, client, set_rules, commits):
        train_and_promote.run(client=client)
        set_rules(record="versioned")
        before = commits()

        @pipeline
        def alone(fail: bool = False):
            (project.fail if fail else project.noop)()

        alone.run(client=client)
        with pytest.raises(RunFailed):
            alone.run(client=client, fail=True)
        with pytest.raises(RunFailed):
            promote_and_fail.run(client=client)
        assert commits() == before
        # The journal on this machine has these runs.
        assert sorted((run.pipeline, run.status) for run in client.list_runs()) == [
            ("alone", "failed"),
            ("alone", "succeeded"),
            ("promote_and_fail", "failed"),
            ("train_and_promote", "succeeded"),
        ]
        train_and_promote.run(client=client)
        assert len(commits()) == len(before) + 1

    @pytest.mark.parametrize("where", ["here", "CI", "CI_JOB_ID"])
    def test_with_record_set_to_succeeded_failed_runs_are_committed_only_in_ci(
        self, client, set_rules, commits, where, monkeypatch
    ):
        for variable in ("CI", "CI_JOB_ID", "GITHUB_RUN_ID"):
            monkeypatch.delenv(variable, raising=False)
        if where != "here":
            monkeypatch.setenv(where, "true")
        set_rules(record="succeeded")
        before = commits()
        with pytest.raises(RunFailed) as caught:
            promote_and_fail.run(client=client)
        view = client.get_run(caught.value.run)
        assert (view.status, view.error, view.record is not None) == ("failed", "RuntimeError: no", where != "here")
        assert len(commits()) == len(before) + (where != "here")
        train_and_promote.run(client=client)
        assert commits()[0] == "Run train_and_promote: add demo 1"

        with pytest.raises(RunFailed):
            pipeline_of(project.fail, model_config=new("kept", delete_new_version_on_failure=False)).run(client=client)
        assert client.get_version("demo@kept").view.record.failed

    @pytest.mark.parametrize("begun", [[], ["init"]])
    def test_a_new_registry_records_runs_that_failed(self, client, begun, git, monkeypatch):
        for variable in ("CI", "CI_JOB_ID", "GITHUB_RUN_ID"):
            monkeypatch.delenv(variable, raising=False)
        if begun:
            assert run_command(begun) == 0
        else:
            client.register_model("demo")
        assert "[runs]" not in git(client.repository.common_dir, "show", "gitmodel:gitmodel.toml")
        with pytest.raises(RunFailed) as caught:
            promote_and_fail.run(client=client)
        assert client.get_run(caught.value.run).record.status == "failed"

    def test_failed_runs_are_committed_to_a_registry_by_url(self, client, set_rules, monkeypatch, tmp_path):
        for variable in ("CI", "CI_JOB_ID", "GITHUB_RUN_ID"):
            monkeypatch.delenv(variable, raising=False)
        set_rules(record="succeeded")
        monkeypatch.setenv("GITMODEL_STORE", (tmp_path / "store").as_uri())
        with Client(client.repository.common_dir.as_uri()) as by_url, pytest.raises(RunFailed) as caught:
            promote_and_fail.run(client=by_url)
        assert client.get_run(caught.value.run).record.status == "failed"

    def test_a_traceback_is_recorded_only_if_the_registry_asks_for_it(self, client, set_rules, git):
        for wanted in (False, True):
            set_rules(record_traceback=wanted)
            with pytest.raises(RunFailed) as caught:
                promote_and_fail.run(client=client)
            record = git(client.repository.common_dir, "show", f"gitmodel:runs/2026/11/23/{caught.value.run}.toml")
            assert ("RuntimeError: no" in record) is wanted
            assert (os.path.dirname(project.__file__) in record) is wanted


class TestLists:
    def test_runs_are_listed_newest_first_with_a_filter(self, client):
        train_and_promote.run(client=client)
        with pytest.raises(RunFailed):
            promote_and_fail.run(client=client)
        assert [run.pipeline for run in client.list_runs(filter='status == "failed"')] == ["promote_and_fail"]
        assert len(client.list_runs(limit=1)) == 1
        assert len(client.list_runs(limit=5, offset=1)) == 1

    def test_getting_an_unknown_run_raises_not_found(self, client):
        for id in ("nothing", "20261123T101112Z-train-7f3a", "../../config", ""):
            with pytest.raises(NotFound):
                client.get_run(id)


def test_a_step_has_a_temporary_folder_only_while_it_needs_one(client, tmp_path, monkeypatch):
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    seen = []

    @step(enable_cache=False)
    def produce() -> Path:
        seen.append(list(temporary.rglob("gitmodel-step-*")))
        file = tmp_path / "made.txt"
        file.write_text("made")
        return file

    @step(enable_cache=False)
    def consume(file: Path) -> None:
        seen.append([path.name for path in temporary.rglob("gitmodel-step-*/*")])

    pipeline_of(lambda: consume(produce()), name="passing").run(client=client)
    assert seen == [[], ["input-0.txt.folder"]]
    assert list(temporary.iterdir()) == []
