"""`git model verify` reports all damaged, missing and unreachable artifacts, although some records cannot be read."""

import json
import shutil

import pytest
from editing import BRANCH, edit, overwrite
from transcripts import ask, end_with, fail, said, succeed

from gitmodel import Client


@pytest.fixture
def two(code_repo, monkeypatch, capsys):
    """A registry with the models iris and rose, which have one version each, with one artifact each."""
    monkeypatch.chdir(code_repo)
    for model in ("iris", "rose"):
        (code_repo / model).write_text(f"{model}\n")
        succeed(capsys, "register", model)
        succeed(capsys, "version", "create", model, "--data", f"data={model}")
    return code_repo


def test_verify_names_a_damaged_record_and_verifies_the_artifacts_of_all_other_records(two, capsys, transcript):
    edit(two, {"models/iris/versions/1.toml": "number = 1\n"})
    transcript("""
        $ git model verify
        VERSIONS  DIGEST  WHAT
        iris@1    -       models/iris/versions/1.toml, key created: is missing [record.required]
        ! error: 1 record of versions cannot be read, so their artifacts are unknown
        ! hint: run `git model check` to see the problem, and `git log -p` to see who caused it
        [5]
        $ git model verify rose
        ! 1 artifact whole, 5 B...
    """)
    found = said(capsys, "verify")[1]
    assert [(one["versions"], bool(one["error"]), bool(one["digest"])) for one in found] == [
        (["iris@1"], True, False),
        (["rose@1"], False, True),
    ]


def test_verify_names_a_missing_git_tree_of_versions_and_verifies_the_other_artifacts(two, capsys, git):
    tree = git(two, "rev-parse", f"{BRANCH}:models/iris/versions")
    lost = two / ".git/objects" / tree[:2] / tree[2:]
    lost.unlink()
    out, _ = end_with(capsys, 5, "verify", "--format", "json")
    found = json.loads(out)
    assert found[0]["versions"] == ["iris"]
    assert found[0]["error"].startswith(f"models/iris/versions: git object {tree}")
    assert [(one["versions"], one["error"]) for one in found[1:]] == [(["rose@1"], "")]


def test_verify_names_a_missing_git_tree_of_a_hundred_versions_and_verifies_the_other_artifacts(two, git):
    text = git(two, "cat-file", "blob", f"{BRANCH}:models/iris/versions/1.toml") + "\n"
    files = {f"models/iris/versions/{n // 100}xx/{n}.toml": text.replace("= 1\n", f"= {n}\n") for n in (100, 200)}
    edit(two, files)
    tree = git(two, "rev-parse", f"{BRANCH}:models/iris/versions/1xx")
    (two / ".git/objects" / tree[:2] / tree[2:]).unlink()
    with Client(two) as client:
        found = list(client.verify())
    assert [(one.versions, bool(one.error)) for one in found] == [
        (("iris",), True),
        (("iris@1", "iris@200"), False),
        (("rose@1",), False),
    ]


def test_verify_does_not_report_artifacts_of_an_unreachable_store_as_damaged(two, capsys, tmp_path):
    ask(capsys, "init", "--store", tmp_path / "store")
    assert ask(capsys, "verify")[0] == 5  # missing, not unreachable: the new store can be reached and has no objects
    shutil.rmtree(tmp_path / "store")
    out, err = end_with(capsys, 7, "verify", "--format", "json")
    assert [one["unreachable"] for one in json.loads(out)] == [True, True]
    assert "2 of 2 artifacts could not be verified: the artifact store" in json.loads(err)["error"]["message"]
    with Client(two) as client:
        assert all(one.unreachable for one in client.verify("iris@1"))


def test_linking_the_same_file_again_under_its_name_repairs_a_damaged_artifact_of_a_promoted_version(two, capsys):
    """The hint of `verify` recommends this. A new artifact, under another name, is refused for a promoted version."""
    with Client(two) as client:
        client.get_version("iris@1").set_stage("production")
        path = client.get_version("iris@1").get_artifact("data").path().resolve()
    overwrite(path, b"damaged\n")
    _, err = end_with(capsys, 5, "verify", "iris@1")
    assert "link the same file again under its name with `git model link`" in err
    fail(capsys, 6, "link", "iris@1", "--data", "other=iris")
    succeed(capsys, "link", "iris@1", "--data", "data=iris")
    succeed(capsys, "verify")
