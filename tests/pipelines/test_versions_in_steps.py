"""The version of a step, `get_step_context().model_version`: reading and changing it, and linking artifacts."""

import json
import threading

import project
import pytest
from project import DEMO

from gitmodel import ModelConfig, RunFailed, Secret, get_step_context, log_artifact_metadata, pipeline, step
from gitmodel.errors import UsageError

NEW = DEMO


def run_steps(client, *calls, config=NEW, **options):
    """Run a pipeline that makes the *calls*. Each is a tuple of a step and its arguments.

    *options* are `enable_cache` of the pipeline, and arguments of its method `run`.
    """

    @pipeline(model_config=config, enable_cache=options.pop("enable_cache", True))
    def one():
        for called, *arguments in calls:
            called(*arguments)

    return one.run(client=client, **options)


class TestDescription:
    def test_the_configuration_describes_the_new_version(self, client):
        config = ModelConfig(
            name="demo",
            create_new_model_version=True,
            version="first",
            description="a model",
            version_description="with 3 rounds",
            version_tags=["b", "a", "b"],
        )
        run_steps(client, (project.number, 1), config=config)
        version = client.get_version("demo@first")
        assert (version.description, version.tags) == ("with 3 rounds", ["a", "b"])
        assert client.get_model("demo").description == "a model"

    def test_a_step_changes_description_tags_and_name(self, client, executor):
        options = {"name": "best", "description": "better", "add_tags": ["x"]}
        run_steps(client, (project.update_version, options), executor=executor)
        version = client.get_version("demo@best")
        assert (version.number, version.description, version.tags) == (1, "better", ["x"])

    def test_a_run_leaves_out_a_version_name_that_is_taken_and_warns(self, client, caplog):
        for _ in range(2):
            run_steps(client, (project.update_version, {"name": "best"}), (project.number, 1), enable_cache=False)
        assert client.get_version("demo@2").name is None
        assert "the run is recorded without it" in caplog.text

    def test_a_credential_in_a_description_is_left_out(self, client, caplog):
        @step
        def describe() -> None:
            token = "ghp_0123456789abcdefghijklmnopqrstuvwxyzABCD"
            get_step_context().model_version.update(description=token, tags=["x"])

        run_steps(client, (describe,))
        version = client.get_version("demo@1")
        assert (version.description, version.tags) == ("", ["x"])
        assert "looks like" in caplog.text

    def test_two_descriptions_of_a_new_version_or_one_of_an_existing_version_are_refused(self, client):
        with pytest.raises(UsageError, match="version_tags is for a new version of demo"):
            ModelConfig(name="demo", version_tags=["a"])
        other = ModelConfig(name="demo", create_new_model_version=True, version_description="two")
        config = ModelConfig(name="demo", create_new_model_version=True, version_description="one")
        with pytest.raises(UsageError, match="disagree on version_description"):
            run_steps(client, (project.number.with_options(model_config=other), 1), config=config)


class TestReading:
    @pytest.fixture
    def version(self, client):
        return client.register_model("demo").create_version(
            description="first", tags=["a"], metadata={"accuracy": 0.5}, model_objects={"weights": {"w": [1]}}
        )

    def test_a_step_reads_the_existing_version_and_its_artifacts(self, client, version, executor):
        run = run_steps(
            client, (project.continue_version,), config=ModelConfig(name="demo", version=1), executor=executor
        )
        seen = run.outputs["seen"].load()
        assert json.loads(seen.pop("path")) == {"w": [1]}
        assert seen == {
            "description": "first",
            "tags": ["a"],
            "metadata": {"accuracy": 0.5},
            "artifacts": ["weights"],
            "weights": {"w": [1]},
        }
        assert run.steps[0].inputs == {"weights": version.get_artifact("weights").digest}
        again = run_steps(client, (project.continue_version,), config=ModelConfig(name="demo", version=1))
        assert again.steps[0].status == "succeeded"

    def test_reading_an_unknown_artifact_or_an_artifact_of_a_new_version_is_refused(self, client, version):
        for config, hint in ((ModelConfig(name="demo", version=1), "its artifacts: weights"), (NEW, "pass the output")):

            @step
            def read() -> None:
                get_step_context().model_version.get_artifact("other")

            with pytest.raises(RunFailed, match="demo had no artifact 'other' before the run") as raised:
                run_steps(client, (read,), config=config)
            assert hint in raised.value.hint


class TestLinkedArtifacts:
    def test_checkpoints_and_plots_belong_to_the_new_version(self, client, executor):
        run = run_steps(client, (project.checkpoint, 2), executor=executor)
        version = client.get_version("demo@1")
        assert {artifact.name: artifact.kind for artifact in version.artifacts} == {
            "checkpoint-0": "model",
            "checkpoint-1": "model",
            "plot": "data",
            "weights": "data",
        }
        assert version.get_artifact("checkpoint-1").load() == {"round": 1}
        assert version.get_artifact("plot").path().read_text() == "***"
        assert run.outputs["checkpoint-0"].load() == {"round": 0}

    @pytest.mark.parametrize("config", [None, ModelConfig(name="demo", version=1)], ids=["none", "existing"])
    def test_without_a_new_version_checkpoints_are_outputs_of_the_run(self, client, config):
        client.register_model("demo").create_version()
        run = run_steps(client, (project.checkpoint, 1), config=config)
        assert client.get_run(run.id).outputs["checkpoint-0"].load() == {"round": 0}
        assert client.get_version("demo@1").artifacts == []

    def test_checkpoints_of_a_step_that_fails_are_kept(self, client, executor):
        with pytest.raises(RunFailed) as raised:
            run_steps(client, (project.checkpoint, 2, True), executor=executor)
        outputs = client.get_run(raised.value.run).outputs
        assert {name: outputs[name].load() for name in ("checkpoint-0", "checkpoint-1")} == {
            "checkpoint-0": {"round": 0},
            "checkpoint-1": {"round": 1},
        }

    @pytest.mark.parametrize(
        "calls", [[(project.link, "total"), (project.total, 1, 2)], [(project.link, "a"), (project.link, "A")]]
    )
    def test_a_step_cannot_link_an_artifact_under_the_name_of_an_output(self, client, calls):
        with pytest.raises(RunFailed, match=r"cannot link \w+: there is an output of this name"):
            run_steps(client, *calls)

    def test_two_steps_that_link_one_name_at_the_same_time_are_refused(self, client):
        both = threading.Barrier(2)

        @step(enable_cache=False)
        def race() -> None:
            both.wait(30)
            get_step_context().link_artifact("plot", 1)

        with pytest.raises(RunFailed, match="two steps have an artifact plot of the same version"):
            run_steps(client, (race,), (race,), executor="threads:2")

    def test_a_secret_in_a_checkpoint_is_refused(self, client, written):
        @step
        def leak(token: str) -> None:
            get_step_context().link_artifact("checkpoint", {"token": token})

        with pytest.raises(RunFailed, match="Secret"):
            run_steps(client, (leak, Secret("correct-horse-battery")))
        assert "correct-horse-battery" not in written()

    def test_a_linked_artifact_of_a_new_version_may_have_metadata(self, client):
        @step
        def plot() -> None:
            get_step_context().link_artifact("plot", [1, 2], metadata={"points": 2})

        run_steps(client, (plot,))
        assert client.get_version("demo@1").get_artifact("plot").metadata == {"points": 2}
        with pytest.raises(RunFailed, match="cannot have metadata"):
            run_steps(client, (plot,), config=None)

    def test_metadata_without_an_artifact_name_goes_to_the_only_artifact_that_the_step_linked(self, client):
        @step
        def plot(names: list) -> None:
            for name in names:
                get_step_context().link_artifact(name, [1, 2])
            log_artifact_metadata(points=2)

        run_steps(client, (plot, ["plot"]))
        assert client.get_version("demo@1").get_artifact("plot").metadata == {"points": 2}
        with pytest.raises(RunFailed, match="does not name the artifact") as caught:
            run_steps(client, (plot, ["one", "two"]))
        assert "write artifact= with one of: one, two" in caught.value.hint
