"""`git model diff`: the differences between two versions, and messages about what is unknown."""

import json
import subprocess
import sys

import pytest
from transcripts import ask, check_transcript

from gitmodel import Client
from gitmodel.domain.changes.planned_change import Change
from gitmodel.domain.schema import paths
from gitmodel.registry.writer import transact


def test_metadata_parameters_artifacts_and_code_stand_side_by_side(story, past, capsys, git):
    code, out, err = ask(capsys, "diff", "iris@18", "iris@staging")
    assert (code, err) == (0, "")
    old, new = past.get_version("iris@18"), past.get_version("iris@20")
    assert out.startswith(
        f"iris@18 -> iris@20\n\nmetadata:\n  accuracy  {old.metadata['accuracy']} -> {new.metadata['accuracy']}"
    )
    assert "\nparameters:\n  data      measurements@latest:readings  (same)\n  fit.rate  1.1 -> 1.2  (+0.1)\n" in out
    shown = [[artifact.digest[:19] for artifact in version.artifacts] for version in (old, new)]
    assert f"\nartifacts:\n  data classifier  {shown[0][0]} -> {shown[1][0]}\n" in out
    assert "packages" not in out
    range_ = f"{old.code.commit}..{new.code.commit}"
    assert out.endswith(f"\n\n{git(story, 'log', range_)}\n")
    assert "Set the rate of day 10" in out


def test_diff_of_two_stages_compares_the_versions_in_force(story, capsys):
    _, out, _ = ask(capsys, "diff", "iris@staging", "iris@production", "--format", "json")
    found = json.loads(out)
    assert (found["old"], found["new"]) == ("iris@20", "iris@19")
    assert found["code"]["old"] == found["code"]["new"]
    assert found["code"]["commits"] == []
    assert found["packages"] == []
    (rate,) = [row for row in found["parameters"] if row["key"] == "rate"]
    assert (rate["old"], rate["new"]) == (1.2, 1.1)
    assert rate["change"] == pytest.approx(-0.1)


def test_the_same_bytes_are_reported_to_be_the_same(story, capsys):
    _, out, _ = ask(capsys, "diff", "measurements@3", "measurements@10")
    assert "  data readings  sha256:" in out
    assert "  (same bytes)\n" in out
    assert "  day         3 -> 10  (+7)\n" in out


def test_items_of_only_one_version_are_added_or_removed(code_repo, monkeypatch, capsys):
    monkeypatch.chdir(code_repo)
    with Client(code_repo) as client:
        model = client.register_model("iris")
        first = model.create_version(metadata={"note": "a\x1b[2J", "both": 1})
        first.link_artifact("old", code_repo / "train.py")
        second = model.create_version(metadata={"both": 1, "f1": 0.5})
        second.link_artifact("new", code_repo / "train.py", kind="model")
        code = first.code.commit[:10]
    check_transcript(
        capsys,
        f"""
        $ git model diff iris@1 iris@2
        iris@1 -> iris@2

        metadata:
          both  1  (same)
          f1    0.5  (added)
          note  a\\x1b[2J  (removed)

        artifacts:
          model new  sha256:1cef8e8030c1  (added)
          data old   sha256:1cef8e8030c1  (removed)

        code:
          {code}  (same commit)
        $ git model diff iris@1 iris@9
        ! error: ...version 9 of iris
        ! hint: ...version list iris...
        [3]
        """,
    )


def test_diff_reports_commits_that_only_the_first_version_has(story, git, capsys):
    git(story, "checkout", "-q", "-b", "fix", "HEAD~1")
    git(story, "commit", "-q", "--allow-empty", "-m", "Fix the rate")
    with Client(story) as client:
        made = client.get_model("iris").create_version()
    _, out, _ = ask(capsys, "diff", "iris@20", made.reference)
    assert "Fix the rate" in out
    assert "  1 of the first are not in the second: git log " in out


def test_a_code_commit_that_is_not_here_is_named_with_how_to_get_it(story, tmp_path, git, capsys, monkeypatch):
    elsewhere = tmp_path / "elsewhere"
    git(tmp_path, "init", "-q", str(elsewhere))
    git(elsewhere, "commit", "-q", "--allow-empty", "-m", "Begin")
    monkeypatch.chdir(elsewhere)
    code, out, err = ask(capsys, "--repo", story, "diff", "iris@1", "iris@20", "--format", "json")
    assert code == 0
    assert json.loads(out)["code"]["commits"] == []
    warning = json.loads(err)["warning"]
    assert "the code of iris@1, commit " in warning["message"]
    assert "(it was created in https://git.example.com/flowers.git)" in warning["message"]
    assert warning["hint"].startswith("run `git fetch https://git.example.com/flowers.git ")


def test_a_shallow_clone_reports_missing_commits_between_two(story, tmp_path, git, capsys, monkeypatch):
    clone = tmp_path / "clone"
    git(story, "tag", "day5", "HEAD~5")
    git(tmp_path, "clone", "-q", "--depth", "3", f"file://{story}", str(clone))
    git(clone, "fetch", "-q", "--depth", "1", "origin", "tag", "day5")
    monkeypatch.chdir(clone)
    for old, said in (("iris@1", "which is a shallow clone"), ("iris@10", "because this clone is shallow")):
        code, out, err = ask(capsys, "--repo", story, "diff", old, "iris@20")
        assert code == 0
        assert "commit 2" not in out.partition("code:")[2]
        assert said in err
        assert "hint: run `git fetch --unshallow`, then try again\n" in err
    _, _, err = ask(capsys, "--repo", story, "diff", "iris@18", "iris@20")
    assert err == ""


def test_a_missing_run_leaves_a_reported_gap(story, past, capsys):
    (run,) = past.get_version("iris@4").runs
    transact(past.repository, lambda snapshot: Change(None, "Take a run away", files={paths.run_file(run): None}))
    _, out, err = ask(capsys, "diff", "iris@4", "iris@5", "--format", "json")
    assert json.loads(out)["gaps"] == [f"the parameters and packages of iris@4 are not known: there is no run '{run}'"]
    assert run in err


def test_packages_that_differ_are_named_and_a_lost_list_is_reported(story, past, capsys):
    code = (
        "from gitmodel.registry import runs\n"
        "runs._packages[''] = 'gitmodel==0.1.0\\nnothing==9.9\\n'\n"
        "import flows\n"
        "flows.petals(rate=0.5)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
    _, out, _ = ask(capsys, "diff", "petals@10", "petals@11", "--format", "json")
    found = {row["key"]: (row["old"], row["new"]) for row in json.loads(out)["packages"]}
    assert found["nothing"] == (None, "9.9")
    assert found["click"][1] is None
    past.store.remove(past.get_run(past.get_version("petals@11").runs[0]).record.packages)
    _, _, err = ask(capsys, "diff", "petals@10", "petals@11")
    assert "the packages of petals@11 cannot be read: " in err
