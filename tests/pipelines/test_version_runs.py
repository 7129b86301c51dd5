"""`version runs` lists every run that has to do with a version, those that only read it included."""

import json
from typing import Annotated

from gitmodel import ModelConfig, pipeline, step
from gitmodel.cli import run


@step
def make(x: int) -> Annotated[int, "made"]:
    return x


@step
def use(x: int) -> Annotated[int, "used"]:
    return x + 1


@pipeline(model_config=ModelConfig(name="demo", create_new_model_version=True), enable_cache=False)
def train(x: int):
    use(make(x))


@pipeline
def read():
    use("demo@1:made")


@pipeline(model_config=ModelConfig(name="demo", version=1))
def work_on():
    use("demo@1:made")


def listed(capsys, *words):
    assert run(["version", "runs", *words, "--format", "json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_a_run_that_only_read_a_version_is_listed_with_it(client, capsys):
    made, other = train.run(client=client, x=3), train.run(client=client, x=40)
    reader, worker = read.run(client=client), work_on.run(client=client)
    rows = listed(capsys, "demo@1")
    assert [(row["id"], row["only_read"]) for row in rows] == [
        (made.id, False),
        (worker.id, False),
        (reader.id, True),
    ]
    version = client.get_version("demo@1")
    assert (version.runs, version.readers) == ([made.id, worker.id], [reader.id])
    assert [row["id"] for row in listed(capsys, "demo@2")] == [other.id]
    assert [row["id"] for row in listed(capsys, "demo@1", "--filter", "only_read")] == [reader.id]


def test_a_run_that_made_equal_content_did_not_read_the_version(client):
    train.run(client=client, x=3)
    train.run(client=client, x=3)
    assert [client.get_version(f"demo@{number}").readers for number in (1, 2)] == [[], []]
