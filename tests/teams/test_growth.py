"""The check of one commit reads only the records that the commit can affect.

It still finds the same problems as a check of the whole branch.
"""

import editing
import pytest
from editing import BRANCH, edit, read

from gitmodel import Client
from gitmodel.domain.schema import paths
from gitmodel.domain.snapshots.snapshot import Snapshot
from gitmodel.registry.health.checking import check
from gitmodel.teams.checks.range_checks import check_between
from gitmodel.teams.plans.planning import plan

TOPIC = "refs/heads/topic"
VERSION, NAMED = paths.version_file("iris", 1), paths.name_file("iris", "1.0")
STAGE, STAGING = paths.stage_file("iris", "production"), paths.stage_file("iris", "staging")
ALIAS, MARKER = paths.alias_file("iris", "champion"), paths.archived_file("iris", 1)
MODEL = "models/iris/model.toml"


@pytest.fixture
def client(code_repo):
    with Client(code_repo) as client:
        iris = client.register_model("iris")
        for number in range(4):
            iris.create_version(f"1.{number}", metadata={"accuracy": number / 10})
        iris.get_version(1).set_stage("production")
        iris.get_version(2).add_alias("champion")
        iris.get_version(4).set_stage("archived")
        editing.run(code_repo, "update-ref", TOPIC, BRANCH)
        yield client


def ends(client):
    client.repository.reader.close()
    return (client.repository.git.lines("rev-parse", ref)[0] for ref in (BRANCH, TOPIC))


def tombstone(repo, path):
    return read(repo, path).partition("\n[")[0].rstrip() + "\ndeleted = 2026-11-23T10:12:13Z\n"


GONE = "deleted = 2026-11-23T10:12:13Z\nlast_number = 4\n"
EDITS = {
    "a version without its name": lambda r: {VERSION: read(r, VERSION).replace('name = "1.0"\n', "")},
    "a version with another's name": lambda r: {VERSION: read(r, VERSION).replace('"1.0"', '"1.1"')},
    "a version that says another number": lambda r: {VERSION: read(r, VERSION).replace("number = 1", "number = 3")},
    "a version that is gone": lambda r: {VERSION: None},
    "a name that leads elsewhere": lambda r: {NAMED: "version = 3\n"},
    "a name that leads nowhere": lambda r: {NAMED: "version = 9\n"},
    "a name that is gone": lambda r: {NAMED: None},
    "a name that differs by case": lambda r: {paths.name_file("iris", "V1"): "version = 1\n",
                                              paths.name_file("iris", "v1"): "version = 1\n"},
    "a held version that is deleted": lambda r: {VERSION: tombstone(r, VERSION), NAMED: None},
    "an archived version that is deleted": lambda r: {
        paths.version_file("iris", 4): tombstone(r, paths.version_file("iris", 4))},
    "a version in two stages": lambda r: {STAGING: read(r, STAGE)},
    "a holder that is archived": lambda r: {MARKER: read(r, paths.archived_file("iris", 4))},
    "a marker of nothing": lambda r: {paths.archived_file("iris", 7): read(r, paths.archived_file("iris", 4))},
    "a stage of nothing": lambda r: {STAGE: read(r, STAGE).replace("version = 1", "version = 7")},
    "a stage that there is not": lambda r: {paths.stage_file("iris", "canary"): read(r, STAGE)},
    "an alias that is a version's name": lambda r: {paths.alias_file("iris", "1.2"): read(r, ALIAS)},
    "an alias that differs by case": lambda r: {paths.alias_file("iris", "Champion"): read(r, ALIAS)},
    "a model that is gone and left files": lambda r: {MODEL: read(r, MODEL) + GONE},
    "a model without its record": lambda r: {MODEL: None},
    "a model that differs by case": lambda r: {"models/Iris/model.toml": read(r, MODEL)},
    "a file of no record": lambda r: {"models/iris/weights/big.bin": "x", "notes.txt": "x", "runs/x/y.toml": "x"},
    "a run that is none": lambda r: {paths.run_file("20261123T101112Z-train-7f3a"): "x = 1\n"},
    "a stage less in the registry": lambda r: {"gitmodel.toml": 'format = "1.2"\n\n[[stages]]\nname = "staging"\n'},
    "a registry that cannot be read": lambda r: {"gitmodel.toml": "format = \n"},
    "rules of a stage": lambda r: {"gitmodel.toml": read(r, "gitmodel.toml") + 'after = ["nowhere"]\n'},
}  # fmt: skip


@pytest.mark.parametrize("name", EDITS)
def test_the_check_of_a_change_finds_what_a_complete_check_finds(client, repo, name):
    edit(repo, EDITS[name](repo), onto=TOPIC)
    base, head = ends(client)
    known = set(check(client.repository, base))
    everything = {problem for problem in check(client.repository, head) if problem not in known}
    found = {one for one in check_between(client.repository, base, head).problems if not one.rule.startswith("change.")}

    def by_folder(problems):
        # compared by folder: a complete check reports a wrong folder once, but the check of one commit reports each
        # file in it
        return {(one.rule, one.path if one.rule != "tree.path" else one.path.rpartition("/")[0]) for one in problems}

    loose = {(rule, path.partition("/weights")[0].partition("/x")[0]) for rule, path in by_folder(found)}
    assert {(rule, path.partition("/weights")[0]) for rule, path in by_folder(everything)} == loose
    assert found
    assert all(one.path for one in found)


def reads(client, work):
    """Call *work*, and return the number of objects that it reads from git."""
    repository, asked = client.repository, []
    read_batch = repository.reader._get_batch
    repository.reader._get_batch = lambda ids, limit: asked.extend(ids) or read_batch(ids, limit)
    try:
        work()
    finally:
        del repository.reader._get_batch
    return len(asked)


def test_the_check_of_a_change_reads_no_more_in_a_larger_registry(client, repo):
    def measured():
        with Client(repo) as fresh:
            base, head = ends(fresh)
            return reads(fresh, lambda: plan(fresh.repository, base, head))

    def propose():
        editing.run(repo, "update-ref", TOPIC, BRANCH)
        promoted = read(repo, paths.version_file("iris", 3)).replace("accuracy = 0.2", "accuracy = 0.25")
        edit(repo, {paths.version_file("iris", 3): promoted, STAGE: read(repo, STAGE)}, onto=TOPIC)

    propose()
    small = measured()
    for number in range(60):
        client.get_model("iris").create_version(f"2.{number}")
    for number in range(10):
        client.register_model(f"other-{number}").create_version()
    propose()
    assert measured() <= small + 4
    assert small < 40


def test_check_reads_the_previous_highest_number_only_once_for_all_new_versions(client, repo, monkeypatch):
    base = editing.run(repo, "rev-parse", BRANCH).strip()
    for _ in range(9):
        client.get_model("iris").create_version()
    asked = []
    highest = Snapshot.last_number
    monkeypatch.setattr(Snapshot, "last_number", lambda self, model: asked.append(model) or highest(self, model))
    head = editing.run(repo, "rev-parse", BRANCH).strip()
    assert check_between(client.repository, base, head).problems == ()
    assert asked == ["iris"]
