"""The whole work of a team on each kind of git server: train in two clones, propose, check, merge, apply, use."""

import hashlib
import json
import os
import subprocess
from typing import Annotated

from hosting import Host
from teamwork import assert_sound, refs
from transcripts import ask

from gitmodel import ArtifactConfig, Client, ModelConfig, get_step_context, log_model_metadata, pipeline, step
from gitmodel.domain.schema import codec, paths, records
from gitmodel.domain.schema.records import links_digest
from gitmodel.domain.schema.refs import StageRef
from gitmodel.registry.promotion.put_in_force import InForce


@step
def train(accuracy: float, stage: str) -> Annotated[bytes, ArtifactConfig(name="classifier", kind="model")]:
    log_model_metadata(accuracy=accuracy)
    if stage:
        get_step_context().model_version.set_stage(stage)
    return f"weights {accuracy}".encode()


@pipeline(model_config=ModelConfig(name="iris", create_new_model_version=True))
def training(accuracy, stage=""):
    train(accuracy, stage)


def test_a_team_trains_proposes_merges_applies_and_uses_a_version(team, remote, bare, tmp_path, capsys):
    team.url = remote
    ada, bob = team.clone("ada"), team.clone("bob")
    iris = ada.register_model("iris", owners=["grace"])
    for _ in range(3):
        iris.create_version(metadata={"accuracy": 0.9})
    ada.push()
    bob.pull()

    # Ada creates and pushes version 4. Bob, who has not pulled, creates another version 4.
    training.run(client=ada, accuracy=0.95)
    ada.push()
    run = training.run(client=bob, accuracy=0.97, stage="staging")
    assert run.versions == ("iris@4",)
    assert bob.push().pulled[0].renumbered == ["iris 4 -> 5"]
    assert bob.get_version("iris@staging").number == 5
    assert bob.get_version("iris@5").runs == [run.id]
    assert bob.get_run(run.id).record.versions == ("iris@5",)
    ada.pull()

    host = Host(tmp_path, bare)
    for how, number, before in (("merge", 5, None), ("squash", 4, 5), ("rebase", 5, 4)):
        # Ada proposes the version, and `check` and `plan` run as in the job of the pull request.
        proposal = ada.propose((f"iris@{number}", "production"), reason=f"{how} it", push=True)
        here, change = ("-C", ada.repository.git.top), f"gitmodel..{proposal.branch}"
        assert ask(capsys, *here, "check", change)[0] == 0
        code, out, _ = ask(capsys, *here, "plan", change, "--format", "json")
        (change,) = [change for change in json.loads(out)["changes"] if change["stage"] == "production"]
        assert (code, change["previous"], change["version"]) == (0, before, number)
        assert (change["maker"], change["owners"]) == ({4: "ada", 5: "bob"}[number], ["grace"])

        # The proposal is merged by plain git, and `apply` moves the tag.
        assert host.merge(proposal.branch, how)
        ada.pull()
        assert [state.in_force for state in ada.get_model("iris").stages if state.name == "production"] == [before]
        production = StageRef("iris", "production")
        assert ada.apply(push=True).changes[0] == InForce(production, number, before, pushed=True)
        consume(remote, tmp_path / f"service-{how}", team.store, number)
    bob.pull()
    assert refs(bob.repository.common_dir) == refs(ada.repository.common_dir) == refs(bare)
    assert_sound(bare)


def consume(url, folder, store, number):
    """Download and verify the version in production as a service that knows only the URL *url* and the store does.

    Reads by a client, and by git with depth 1. Fails unless the version has the number *number*.
    """
    folder.mkdir()
    named = url if "://" in url else f"file://{url}"
    environ = {**os.environ, "XDG_CACHE_HOME": str(folder / "cache")}
    with Client(named, store=store, environ=environ) as service:
        version = service.get_version("iris@production")
        assert version.number == number
        assert [found.error for found in service.verify(f"iris@{number}")] == [""]
        content = version.get_artifact("classifier").download(folder / "classifier").read_bytes()

    def git(*arguments):
        return subprocess.run(["git", *arguments], cwd=folder, capture_output=True, check=True).stdout

    git("init", "-q", "--bare")
    git("fetch", "-q", "--depth=1", url, "refs/tags/model/iris/production:refs/tags/model/iris/production")
    assert git("rev-list", "--count", "model/iris/production").strip() == b"1"

    def record(schema, path):
        return codec.decode(schema, git("show", f"model/iris/production:{path}"), path, newer=True)

    stage = record(records.StageRecord, paths.stage_file("iris", "production"))
    frozen = record(records.VersionRecord, paths.version_file("iris", number))
    assert (stage.version, stage.artifacts) == (number, links_digest(frozen.artifacts))
    assert [link.digest for link in frozen.artifacts] == [f"sha256:{hashlib.sha256(content).hexdigest()}"]
