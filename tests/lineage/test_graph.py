"""`git model lineage` shows what a version, run or digest was made from and what was made from it.

It also says which parts are unknown, for example because a record is damaged.
"""

import itertools
import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from editing import edit
from transcripts import ask, end_with, succeed

from gitmodel import Client, NotFound, UsageError, index
from gitmodel.domain.changes.planned_change import Change
from gitmodel.domain.schema import codec, paths
from gitmodel.domain.schema.records import RunRecord, StepRecord
from gitmodel.domain.views.lineage import find_cycle
from gitmodel.git.running.process import Git
from gitmodel.lineage import graph
from gitmodel.registry.writing.transacting import transact

A, B, C, D = (f"sha256:{letter * 64}" for letter in "abcd")


def run_of(client, id, *steps):
    """Return the record of a run of *steps* that succeeded. The second part of *id* is the name of its pipeline."""
    now = client.repository.identity.moment()
    times = {"started": now, "finished": now}
    return RunRecord(id=id, pipeline=id.split("-")[1], status="succeeded", **times, steps=steps)


def write(client, *records):
    """Write the records of runs to the branch, without gitmodel's checks."""
    files = {paths.run_file(record.id): codec.encode(record) for record in records}
    transact(client.repository, lambda snapshot: Change(None, "Write runs by hand", files=files))


def write_runs(client, *runs):
    """Write the records of *runs* of one step: for each, the pipeline, its inputs and its outputs."""
    made = []
    for number, (pipeline, inputs, outputs) in enumerate(runs):
        step = StepRecord(name="work", status="succeeded", seconds=1.0, inputs=inputs, outputs=outputs)
        made.append(run_of(client, f"20261101T00000{number}Z-{pipeline}-0000", step))
    write(client, *made)


@pytest.fixture
def client(code_repo, monkeypatch):
    monkeypatch.chdir(code_repo)
    with Client(code_repo) as client:
        yield client


def test_lineage_leads_from_a_version_to_its_runs_their_inputs_and_the_runs_that_made_them(past):
    found = past.lineage("iris@production", down=False)
    kinds = [(node.kind, node.id.split("Z-")[-1]) for node in found.nodes]
    assert kinds[0] == ("version", "iris@19")
    assert [kind for kind, _ in kinds] == ["version", "artifact", "artifact", "run", "artifact", "run", "run"]
    assert found.nodes[4].facts["versions"] == ["measurements@3:readings", "measurements@10:readings"]
    assert {node.facts["pipeline"] for node in found.nodes if node.kind == "run"} == {"train", "collect"}
    assert found.down is None


def test_the_graph_leads_from_data_to_the_run_then_the_artifact_then_the_version(past):
    found = past.lineage("petals@9", down=False, depth=1)
    kinds = {node.id: node.kind for node in found.nodes}
    assert [(kinds[edge.source], kinds[edge.target]) for edge in found.edges] == [
        ("artifact", "version"),
        ("run", "artifact"),
        ("artifact", "run"),
    ]
    data, made = found.edges[2].source, found.edges[0].source
    assert (found.edges[1].target, found.edges[2].target) == (made, found.edges[1].source)
    below = past.lineage(data, up=False, depth=1)
    assert set(found.edges) <= set(below.edges)


def test_in_the_graph_a_run_without_artifacts_leads_directly_to_its_version(client):
    write_runs(client, ("measure", {"x": A}, {}))
    id = "20261101T000000Z-measure-0000"
    iris = client.register_model("iris").create_version(metadata={"auc": 1.0})

    def change(snapshot):
        path = paths.version_file("iris", 1)
        record = replace(snapshot.version("iris", 1), runs=(id,))
        return Change(None, "Name the run", files={path: codec.encode(record)})

    transact(client.repository, change)
    found = client.lineage(iris.reference, down=False)
    assert [(edge.source, edge.target) for edge in found.edges] == [(id, "iris@1"), (A, id)]


def test_lineage_follows_equal_bytes_across_models_pipelines_and_time(past):
    (readings,) = past.get_version("measurements@3").artifacts
    found = past.lineage(readings.digest, up=False)
    versions = {node.id for node in found.nodes if node.kind == "version"}
    assert versions == {
        "measurements@3", "measurements@10", "iris@5", "iris@6", "iris@19", "iris@20", "petals@3", "petals@10",
    }  # fmt: skip
    stages = {node.id: node.facts["stage"] for node in found.nodes if node.kind == "version"}
    assert stages["iris@19"] == "production"
    assert stages["iris@20"] == "staging"


def test_the_option_depth_limits_the_graph_and_marks_nodes_with_hidden_neighbours(past):
    found = past.lineage("iris@production", down=False, depth=1)
    assert [node.kind for node in found.nodes] == ["version", "artifact", "artifact", "run", "artifact"]
    assert [set(node.more) for node in found.nodes] == [set(), set(), set(), set(), {"up"}]
    none = past.lineage("iris@production", down=False, depth=0)
    assert [(node.kind, set(node.more)) for node in none.nodes] == [
        ("version", set()),
        ("artifact", {"up"}),
        ("artifact", {"up"}),
    ]


def test_depth_marks_only_the_direction_in_which_it_hides_nodes_of_a_lineage(story, capsys):
    """At depth 0, the graph hides the runs that made the artifacts. It hides nothing in the other direction."""
    _, out, err = ask(capsys, "lineage", "iris@production", "--depth", "0")
    lines = out.splitlines()
    assert lines[1] == "iris@19  production"
    assert lines[2].endswith("...")
    assert not any(line.endswith("...") for line in lines[lines.index("went into:") :])
    assert err == "items that end in ... have more below; --depth 0 stops there\n"


def test_lineage_accepts_the_first_digits_of_a_digest(past):
    (readings,) = past.get_version("measurements@1").artifacts
    assert past.lineage(readings.digest[:20]).root == readings.digest
    with pytest.raises(UsageError, match="is not a digest"):
        past.lineage("sha256:ab")


def test_lineage_is_the_same_with_a_missing_damaged_or_outdated_index(past, story):
    first = past.lineage("measurements@3")
    (path,) = (story / ".git" / "gitmodel").glob("index-*.sqlite")
    assert past.lineage("measurements@3") == first
    path.write_bytes(path.read_bytes().replace(b"a", b"b"))
    assert past.lineage("measurements@3") == first
    path.write_bytes(path.read_bytes()[:-7])
    assert past.lineage("measurements@3") == first
    for path in (story / ".git" / "gitmodel").glob("index-*"):
        path.unlink()
    assert past.lineage("measurements@3") == first
    past.get_model("iris").create_version(metadata={"note": 1})
    assert past.lineage("measurements@3") == first


def test_lineage_without_sqlite_is_the_same(past, monkeypatch):
    expected = past.lineage("measurements@3")
    monkeypatch.setitem(sys.modules, "sqlite3", None)  # makes `import sqlite3` fail
    monkeypatch.delitem(sys.modules, "gitmodel.index.index_file")
    monkeypatch.delattr(index, "index_file")
    for _ in range(2):
        assert past.lineage("measurements@3") == expected


def test_lineage_of_a_digest_that_nothing_uses_is_not_found(story, transcript):
    transcript(
        """
        $ git model lineage sha256:0000000000000000000000000000000000000000000000000000000000000000
        ! error: no recorded version or run refers to sha256:0000000000000000000000000000000000000000000000000000000000000000
        ! hint: `git log --oneline -S sha256:0000000000000000000000000000000000000000000000000000000000000000 gitmodel` shows whether one ever did
        [3]
        $ git model lineage 20261001T000000Z-train-ffff
        ! error: there is no run '20261001T000000Z-train-ffff'
        ! hint: ...git model runs list...
        [3]
        $ git model lineage iris@1 --up --down
        ! error: --up and --down cannot be combined
        ! hint: leave both out to show both
        [2]
        """,  # noqa: E501
    )


def test_the_text_of_a_lineage_shows_sources_and_results(story, capsys, transcript):
    transcript(
        """
        $ git model lineage petals@9 --up --depth 1
        petals@9  production
        └─ classifier: MADE  data  petals@9:classifier
           └─ fit.classifier: run 20261009T100000Z-petals-0053  succeeded  code CODE
              └─ fit.readings: DATA  data  measurements@2:readings, measurements@9:readings  ...
        ! items that end in ... have more below; --depth 1 stops there
        """.replace("CODE", code_of("petals@9"))
        .replace("DATA", digest_of("measurements@2"))
        .replace("MADE", digest_of("petals@9")),
    )
    code, out, err = ask(capsys, "lineage", "petals@9")
    assert (code, err) == (0, "")
    assert out.startswith("made from:\npetals@9  production\n")
    assert "\nwent into:\npetals@9  production\n└─ classifier: sha256:" in out
    assert out.endswith("\nin use: petals@9 production\n"), out
    code, out, _ = ask(capsys, "lineage", "petals@9", "-q")
    assert [out.splitlines()[at] for at in (0, 2)] == ["petals@9", "20261009T100000Z-petals-0053"]


def code_of(reference):
    with Client() as client:
        return client.get_version(reference).code.commit[:10]


def digest_of(reference):
    with Client() as client:
        return client.get_version(reference).artifacts[0].digest[:19]


def test_the_json_of_a_lineage_has_every_node_and_edge(story, capsys):
    out = succeed(capsys, "lineage", "iris@production", "--format", "json")
    found = json.loads(out)
    assert found["root"] == "iris@19"
    assert found["in_stages"] == ["iris@19 production"]
    ids = {node["id"] for node in found["nodes"]}
    assert {end for edge in found["edges"] for end in (edge["source"], edge["target"])} == ids


def test_the_mermaid_and_dot_of_a_lineage_have_every_node(story, capsys):
    _, out, _ = ask(capsys, "lineage", "iris@production", "--up", "--format", "mermaid")
    assert out.startswith('flowchart TD\n    n0[["iris@19  production"]]\n    n1["sha256:')
    assert '    n3(["run 20261010T100000Z-train-005b' in out
    assert '    n1 -->|"classifier"| n0\n' in out
    assert '    n3 -->|"fit.classifier"| n1\n' in out
    _, out, _ = ask(capsys, "lineage", "iris@production", "--up", "--format", "dot")
    assert out.startswith('digraph lineage {\n    "iris@19" [label="iris@19  production", shape=box3d];\n')
    if shutil.which("dot"):
        subprocess.run(["dot", "-Tsvg"], input=out, text=True, check=True, stdout=subprocess.DEVNULL)


def test_quotes_in_the_names_of_inputs_and_outputs_are_escaped_in_mermaid_and_dot(client, capsys):
    write_runs(client, ("make", {'in"]; x': A}, {"out\x1b[2J": B}))
    _, out, _ = ask(capsys, "lineage", B, "--format", "mermaid")
    assert 'in"]' not in out
    assert "in___ x" in out
    _, out, _ = ask(capsys, "lineage", B, "--format", "dot")
    assert r"work.in\"]; x" in out
    _, out, _ = ask(capsys, "lineage", B)
    assert "\x1b" not in out


def test_lineage_names_a_run_whose_record_is_missing(past, story, capsys, git):
    (run,) = past.get_version("iris@4").runs
    path = paths.run_file(run)
    edit(story, {path: None})
    out, err = end_with(capsys, 0, "lineage", "iris@4", "--up")
    assert f"└─ run {run}  (its record is gone)\n" in out or f"├─ run {run}  (its record is gone)\n" in out
    assert err == (
        f"warning: the lineage ends at run {run}: its record is gone\n"
        f"hint: `git log --diff-filter=D --oneline gitmodel -- {path}` shows who deleted it\n"
    )
    assert "Edit by hand" in git(story, "log", "--diff-filter=D", "--oneline", "gitmodel", "--", path)


def test_lineage_ends_at_a_cycle_of_records_and_names_the_cycle(client, capsys):
    write_runs(client, ("there", {"x": A}, {"y": B}), ("back", {"y": B}, {"x": A}))
    out, err = end_with(capsys, 0, "lineage", A)
    assert "  (shown above)" in out
    assert err.startswith("warning: the lineage goes round in a circle: ")
    assert find_cycle(client.lineage(B, down=False))


def test_an_input_that_a_step_returns_unchanged_is_still_an_input(client):
    """A step may return its input unchanged, for example when it sorts data that is sorted already."""
    write_runs(client, ("sort", {"rows": A}, {"sorted": A}))
    found = client.lineage(A)
    assert {node.id for node in found.nodes} == {A, "20261101T000000Z-sort-0000"}


def test_a_run_that_took_an_output_from_the_cache_is_not_a_source_of_this_output(client):
    write_runs(client, ("make", {"x": A}, {"y": B}), ("other", {"x": C}, {"y": B}))
    assert {node.id for node in client.lineage(B, down=False).nodes} >= {A, C}
    id = "20261102T000000Z-again-0000"
    cached = StepRecord(name="work", status="cached", inputs={"x": D}, outputs={"y": B})
    write(client, run_of(client, id, cached))
    assert id not in {node.id for node in client.lineage(B, down=False).nodes}
    assert id in {node.id for node in client.lineage(D).nodes}


def test_lineage_reports_a_damaged_record_and_shows_the_rest(client, capsys):
    write_runs(client, ("make", {"x": A}, {"y": B}))
    bad = "runs/2026/11/03/20261103T000000Z-bad-0000.toml"
    data = f'id = "{A}"\nnot toml'.encode()
    transact(client.repository, lambda snapshot: Change(None, "Break a record", files={bad: data}))
    assert "make-0000" in succeed(capsys, "lineage", B)
    out, err = end_with(capsys, 0, "lineage", A, "--format", "json")
    assert json.loads(out)["unread"] == [bad]
    assert bad in err


def test_a_second_lineage_of_a_client_reuses_artifacts_and_equals_that_of_a_new_client(past, story, monkeypatch):
    subject, bad = "iris@production", "runs/2026/11/03/20261103T000000Z-bad-0000.toml"
    first = past.lineage(subject)
    with monkeypatch.context() as patch:
        patch.setattr(graph, "artifact_facts", lambda digest, _: pytest.fail(f"{digest} was described a second time"))
        assert past.lineage(subject) == first
    data = f'id = "{first.nodes[1].id}"\nnot toml'.encode()
    edit(past.repository.common_dir, {bad: data})
    with Client(story) as new:
        expected = new.lineage(subject)
    assert [path for path, _ in expected.unread] == [bad]
    assert [past.lineage(subject) for _ in range(2)] == [expected] * 2


def test_lineage_of_an_artifact_of_many_models_runs_git_once_for_all_their_tags(client, monkeypatch):
    weights = Path("weights.bin")
    weights.write_bytes(b"weights")
    for number in range(5):
        client.register_model(f"model-{number}").create_version().link_artifact("weights", weights)
    client.promote("model-3@1", "staging", reason="better")
    subject = client.get_version("model-0@1").artifacts[0].digest
    listed, run = [], Git.run
    monkeypatch.setattr(
        Git, "run", lambda git, *command, **options: listed.append(command) or run(git, *command, **options)
    )
    (artifact, *_) = client.lineage(subject).nodes
    assert artifact.facts["versions"] == [f"model-{number}@1:weights" for number in range(5)]
    assert len([command for command in listed if "for-each-ref" in command]) == 2


def test_lineage_follows_a_run_whose_steps_are_in_the_store_and_names_the_run_if_the_store_lacks_them(client, capsys):
    from gitmodel.registry.recorded_runs.run_details import store_details

    id = "20261103T000000Z-long-0000"
    given = {"status": "succeeded", "parameters": {"note": "x" * 200}, "inputs": {"x": A}}
    steps = [StepRecord(name=f"step{number}", outputs={f"y{number}": B}, **given) for number in range(300)]
    record = store_details(run_of(client, id, *steps), client.store)
    assert record.details
    write(client, record)
    assert id in {node.id for node in client.lineage(A).nodes}
    for path in client.repository.own_folder.glob("index-*"):
        path.unlink()
    client.store.remove(record.details)
    with Client() as new:  # uses a new client, because the first client keeps what it read
        # The second call reads the store again, because neither the index nor the client keeps failures.
        for _ in range(2):
            with pytest.raises(NotFound, match="but 1 cannot be read"):
                new.lineage(A)
    _, err = end_with(capsys, 0, "lineage", id, "--format", "json")
    assert "the artifact store, which does not have" in err


def test_lineage_in_a_shallow_clone_is_complete(past, story, tmp_path, git):
    clone = tmp_path / "clone"
    git(tmp_path, "clone", "-q", "--depth", "1", "--branch", "gitmodel", f"file://{story}", str(clone))
    with Client(clone) as other:
        mine, theirs = past.lineage("measurements@3"), other.lineage("measurements@3")
    assert {node.id for node in mine.nodes} == {node.id for node in theirs.nodes}
    assert mine.edges == theirs.edges


def test_lineage_shows_a_chain_of_a_thousand_runs(client, capsys):
    digests = [f"sha256:{number:064x}" for number in range(1200)]
    made = []
    for number, (before, after) in enumerate(itertools.pairwise(digests)):
        step = StepRecord(name="go", status="succeeded", seconds=1.0, inputs={"x": before}, outputs={"y": after})
        made.append(run_of(client, f"20261104T000000Z-day-{number:05}", step))
    write(client, *made)
    found = client.lineage(digests[-1], down=False)
    assert len(found.nodes) == 2 * len(digests) - 1
    assert not find_cycle(found)
    assert len(succeed(capsys, "lineage", digests[0], "--down").splitlines()) == 2 * len(digests) - 1
