"""`git model diff`: comparing two or more versions, with unusual values, wrong references, and on narrow terminals."""

import pytest
from transcripts import ask, fail, on_terminal, said

from gitmodel import Client
from gitmodel.domain.schema.records import ArtifactLink
from gitmodel.domain.views.comparison import compare_artifacts, compare_values
from gitmodel.errors import NotFound, UsageError


@pytest.fixture
def client(code_repo, monkeypatch):
    monkeypatch.chdir(code_repo)
    with Client() as client:
        yield client


def create(client, *metadata, model="iris", **others):
    client.register_model(model, exist_ok=True)
    with client.transaction("Create versions") as change:
        for values in metadata:
            change.get_model(model).create_version(metadata=values, **others)


def lines_on_a_terminal(*arguments):
    """Run `git model` on a pseudo-terminal with 80 columns; return the lines of its output."""
    return on_terminal(*arguments, env={"NO_COLOR": "1"})[1].splitlines()


def test_diff_shows_fields_that_differ_first_and_equal_fields_on_request(client, code_repo, transcript):
    client.register_model("iris")
    first = client.get_model("iris").create_version(metadata={"note": "a\x1b[2J", "both": 1}, description="one")
    first.link_artifact("old", code_repo / "train.py")
    second = client.get_model("iris").create_version(metadata={"both": 1, "f1": 0.5}, tags=["b", "a"])
    second.link_artifact("new", code_repo / "train.py", kind="model")
    commit = first.code.commit[:10]
    transcript(f"""
        $ git model diff iris@1 iris@2 --all
        FIELD          iris@1               iris@2
        description    one                  -
        tags           -                    a,b
        metadata.f1    -                    0.5
        metadata.note  a\\x1b[2J             -
        artifacts.new  -                    sha256:1cef8e8030c1
        artifacts.old  sha256:1cef8e8030c1  -

        FIELD          THE SAME IN ALL
        metadata.both  1
        code.commit    {commit}

        code:
          {commit}  (same commit)
        $ git model diff iris@1 iris@2 -q
        description
        tags
        metadata.f1
        metadata.note
        artifacts.new
        artifacts.old
        $ git model diff iris@1 iris@9
        ! error: ...version 9 of iris
        ! hint: ...version list iris...
        [3]
        $ git model diff iris@1 iris@1
        ! error: iris@1 is given twice
        ! hint: ...iris@1@{{2026-10-01}}
        [2]
        $ git model diff iris@1
        ! error: a comparison needs two or more versions
        ! hint: ...git model diff MODEL@1 MODEL@2...
        [2]
    """)


def test_diff_shows_nearly_equal_values_and_equal_values_of_different_types_as_different(client, capsys):
    awkward = [
        {"big": 2**53, "nan": float("nan"), "list": [1, float("nan")], "near": 0.912341, "type": 1, "text": "1"},
        {"big": 2**53 + 1, "nan": float("nan"), "list": [1, float("nan")], "near": 0.912342, "type": 1.0, "text": 1},
    ]
    create(client, *awkward)
    found = {row["key"]: row for row in said(capsys, "diff", "iris@1", "iris@2")[1]["fields"]}
    assert found["metadata.big"] == {"key": "metadata.big", "same": False, "change": 1, "values": [2**53, 2**53 + 1]}
    assert found["metadata.nan"]["same"]
    assert found["metadata.list"]["same"]
    assert not found["metadata.type"]["same"]
    rows = {
        line.split()[0]: line.split()[1:3] for line in ask(capsys, "diff", "iris@1", "iris@2")[1].splitlines() if line
    }
    assert rows["metadata.near"] == ["0.912341", "0.912342"]
    assert rows["metadata.type"] == ["1", "1.0"]
    assert rows["metadata.text"] == ['"1"', "1"]
    lines = ask(capsys, "diff", "iris@1", "iris@2", "--format", "tsv")[1].splitlines()
    assert lines[0] == "key\tsame\tchange\tiris@1\tiris@2"
    assert f"metadata.big\tfalse\t1\t{2**53}\t{2**53 + 1}" in lines


def test_diff_shows_large_numbers_without_an_exponent(client, capsys):
    create(client, {"rows": 239875, "loss": 12345.678}, {"rows": 998501, "loss": 98765.432})
    out = ask(capsys, "diff", "iris@1", "iris@2")[1]
    rows = {line.split()[0]: line.split()[1:] for line in out.splitlines() if line}
    assert rows["metadata.rows"] == ["239875", "998501", "+758626"]
    assert rows["metadata.loss"] == ["12346", "98765", "+86420"]
    assert ask(capsys, "version", "list", "--columns", "loss")[1].split()[-1] == "12346"


def test_diff_shows_long_texts_and_control_characters_on_one_line(client, capsys):
    create(client, {"a.b": 1, "a": {"b": 2}}, {"a.b": 3, "a": {"b": 4}, "long": "x" * 5000 + "\n\t\x00"[:2]})
    out = ask(capsys, "diff", "iris@1", "iris@2")[1]
    heads = [line.split()[0] for line in out.partition("\n\ncode:")[0].splitlines()]
    assert heads == ["FIELD", "metadata.a.b", "metadata.long", 'metadata["a.b"]']
    assert "x" * 5000 + "\\n\\t" in out
    assert max(map(len, lines_on_a_terminal("diff", "iris@1", "iris@2"))) <= 80


def test_diff_of_many_versions_of_several_models_has_a_column_for_each(client, capsys):
    create(client, *({"accuracy": number / 100} for number in range(1, 30)))
    create(client, {"accuracy": 0.5}, model="wine")
    refs = [f"iris@{number}" for number in range(1, 30)] + ["wine@1"]
    out = ask(capsys, "diff", *refs)[1]
    head, row = out.splitlines()[:2]
    assert head.split() == ["FIELD", *refs]
    assert row.split() == ["metadata.accuracy", *(f"{number / 100:.4g}" for number in range(1, 30)), "0.5"]
    lines = lines_on_a_terminal("diff", *refs)
    narrow = lines[: lines.index("code:")]
    assert max(map(len, narrow)) <= 80
    heads = [line.split()[1:] for line in narrow if line.startswith("FIELD")]
    assert [ref for block in heads for ref in block] == refs
    rows = [line.split()[1:] for line in narrow if line.startswith("metadata.accuracy")]
    assert [cell for block in rows for cell in block] == row.split()[1:]


@pytest.mark.parametrize("count", [2, 4])
def test_diff_on_a_narrow_terminal_wraps_long_values_and_shows_their_different_ends(client, capsys, count):
    paths = [f"s3://bucket/a/rather/long/folder/{'x' * 50}/data-{number}.parquet" for number in range(count)]
    create(client, *({"accuracy": 0.5 + place / 10, "data": path} for place, path in enumerate(paths)))
    lines = lines_on_a_terminal("diff", *(f"iris@{number + 1}" for number in range(count)))
    assert max(map(len, lines)) <= 80
    begin, end = lines.index("metadata.data") + 1, lines.index("1 equal field left out: add --all to see them")
    below = lines[begin:end]
    assert "".join(line[12:] for line in below) == "".join(paths)
    assert [line.split()[0] for line in below if line[4] != " "] == [f"iris@{n + 1}" for n in range(count)]
    assert lines[1].split()[:3] == ["metadata.accuracy", "0.5", "0.6"]
    # `ask` writes to no terminal, and the whole comparison is then one table.
    assert "\n".join(lines) not in ask(capsys, "diff", "iris@1", "iris@2")[1]


def test_diff_has_a_column_for_each_of_two_references_to_the_same_version(client, capsys):
    create(client, {"accuracy": 0.5}, {"accuracy": 0.6})
    client.promote("iris@2", "production")
    client.set_alias("iris@2", "champion")
    found = client.diff("iris@production", "iris@champion", "iris@1")
    assert found.heads == ("iris@production", "iris@champion", "iris@1")
    code, out, err = ask(capsys, "diff", "iris@production", "iris@champion")
    assert (code, out.partition("\n")[0]) == (0, "")
    assert "no field differs" in err


def test_diff_reads_a_deleted_version_at_a_commit_and_refuses_dates_at_which_it_did_not_exist(client, capsys):
    create(client, {"accuracy": 0.5}, {"accuracy": 0.6})
    before = client.repository.tip()
    client.get_version("iris@1").delete()
    with pytest.raises(NotFound, match="version 1 of iris"):
        client.diff("iris@1", "iris@2")
    assert client.diff(f"iris@1@{{{before}}}", "iris@2").versions[0].number == 1
    assert "there was no registry on 2001-01-01" in fail(capsys, 3, "diff", "iris@1@{2001-01-01}", "iris@2")
    with pytest.raises(NotFound, match=f"at {before}: .*version 3"):
        client.diff(f"iris@3@{{{before}}}", "iris@2")
    with pytest.raises(UsageError, match="has no date in its braces"):
        client.diff("iris@1@{}", "iris@2")
    with pytest.raises(UsageError, match="has a date, which only diff reads"):
        client.get_version("iris@2@{2026-10-01}")


def test_the_comparison_of_client_diff_can_become_rows_and_a_data_frame(client):
    pandas = pytest.importorskip("pandas")
    create(client, {"accuracy": 0.5, "rows": 3}, {"accuracy": 0.625, "rows": 3}, {"accuracy": 0.75, "rows": 3})
    found = client.diff("iris@1", "iris@2", "iris@3")
    assert repr(found) == "VersionDiff(3 fields)"
    assert [(row.name, row.values, row.change) for row in found.differing] == [
        ("metadata.accuracy", (0.5, 0.625, 0.75), 0.25)
    ]
    assert found.rows()[0] == {
        "key": "metadata.accuracy", "same": False, "change": 0.25, "iris@1": 0.5, "iris@2": 0.625, "iris@3": 0.75
    }  # fmt: skip
    frame = found.to_pandas()
    assert isinstance(frame, pandas.DataFrame)
    assert list(frame["iris@2"])[:2] == [0.625, 3]
    assert "<td>0.625</td>" in found._repr_html_()


def test_a_comparison_of_two_versions_has_the_difference_only_of_numbers():
    found = compare_values({"flag": True, "loss": 1, "note": "a"}, {"flag": False, "loss": 0.5, "note": "b"})
    assert [(row.name, row.change) for row in found] == [("flag", None), ("loss", -0.5), ("note", None)]


def test_a_comparison_treats_equal_values_of_different_types_as_different():
    (row,) = compare_values({"on": True}, {"on": 1})
    assert not row.same


def test_a_comparison_treats_artifacts_with_equal_digests_as_equal():
    old = [
        ArtifactLink(name="a", kind="data", digest="sha256:1", size=1),
        ArtifactLink(name="b", kind="data", digest="sha256:2", size=1),
    ]
    new = [
        ArtifactLink(name="a", kind="data", digest="sha256:1", size=1, metadata={"rows": 3}),
        ArtifactLink(name="c", kind="model", digest="sha256:3", size=1),
    ]
    found = compare_artifacts(old, new)
    assert [(row.name, row.kind, row.old, row.new, row.same) for row in found] == [
        ("a", "data", "sha256:1", "sha256:1", True),
        ("b", "data", "sha256:2", None, False),
        ("c", "model", None, "sha256:3", False),
    ]
