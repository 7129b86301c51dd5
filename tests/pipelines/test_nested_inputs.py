"""An argument of a step can be a list, tuple or dict that contains outputs of other steps."""

import project
import pytest
from project import DEMO, pipeline_of

from gitmodel import ExternalArtifact, Secret, pipeline


def text_of(client, name="gathered"):
    return client.get_version("demo").get_artifact(name).load()


@pytest.mark.parametrize(
    ("argument", "text"),
    [
        (lambda made: [made(x) for x in range(3)], "[0, 1, 2]"),
        (lambda made: (made(1), [made(2)]), "(1, [2])"),
        (lambda made: {"a": made(1), "b c": {"d.e": made(2), 5: made(3)}}, "{'a': 1, 'b c': {'d.e': 2, 5: 3}}"),
        (lambda made: [made(1), None, "text", {"lr": [0.5]}, made(2)], "[1, None, 'text', {'lr': [0.5]}, 2]"),
    ],
    ids=["list", "tuple", "dict", "mixed"],
)
def test_a_step_gets_outputs_in_each_kind_of_container(client, argument, text):
    pipeline_of(lambda: project.gather(argument(project.number)), model_config=DEMO).run(client=client)
    assert text_of(client) == text


def test_a_step_gets_a_list_of_outputs_on_every_executor(client, executor):
    train = pipeline_of(
        lambda: project.gather([project.number(1), 2, project.double(3)]), model_config=DEMO, enable_cache=False
    )
    run = train.run(client=client, executor=executor)
    gathered = run.steps[-1]
    assert text_of(client) == "[1, 2, 6]"
    assert gathered.inputs == {"found[0]": run.steps[0].outputs["number"], "found[2]": run.steps[1].outputs["double"]}
    assert gathered.parameters == {"found[1]": 2}
    assert "found[0]" in client.get_run(run.id).record.steps[-1].inputs


def test_items_of_a_container_are_loaded_as_the_item_type_of_its_annotation(client, tmp_path):
    @pipeline(model_config=DEMO)
    def train():
        (first, _), (second, _) = (project.make_file(text) for text in ("one", "two"))
        project.read_all({"all": [first, second, ExternalArtifact("demo", "given", 1)]})

    path = tmp_path / "given.txt"
    path.write_text("three")
    client.register_model("demo").create_version(data={"given": path})
    train.run(client=client)
    assert text_of(client, "texts").split() == ["one", "two", "three"]


def test_a_step_runs_again_if_a_value_in_a_container_or_the_kind_of_container_changed(client):
    def statuses(argument):
        train = pipeline_of(lambda: project.gather(argument(project.number(1), project.double(2))), model_config=DEMO)
        return train.run(client=client).steps[-1].status

    again = [statuses(lambda a, b: [a, b]) for _ in range(2)]
    assert again == ["succeeded", "cached"]
    others = [lambda a, b: [b, a], lambda a, b: (a, b), lambda a, b: [[a], b], lambda a, b: {"a": a, "b": b}]
    assert [statuses(other) for other in (*others, lambda a, b: [a, b, 0])] == ["succeeded"] * 5


def test_a_text_with_a_secret_beside_an_output_is_not_recorded(client):
    train = pipeline_of(
        lambda token: (Secret(f"key-{token}"), project.gather([project.double(1), {"text": "key-hunter2"}]))
    )
    run = train.run(client=client, token=Secret("hunter2"))
    assert run.steps[-1].parameters == {"found[1]": "(secret)"}


def test_lineage_follows_each_artifact_in_a_list(client):
    client.register_model("demo").create_version(data={"one": 1, "two": 2})

    @pipeline(model_config=DEMO)
    def train():
        project.gather([project.number(0), *(ExternalArtifact("demo", name, 1) for name in ("one", "two"))])

    train.run(client=client)
    assert text_of(client) == "[0, 1, 2]"
    labels = {edge.label for edge in client.lineage("demo@2", down=False).edges}
    assert {"gather.found[1]", "gather.found[2]"} <= labels
