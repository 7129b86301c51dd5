"""`git model diff` shows the differences between two versions, and says what it cannot compare and why."""

import json
import subprocess
import sys

import pytest
from editing import edit
from transcripts import ask, end_with, said

from gitmodel import Client
from gitmodel.domain.schema import paths


def fields_of(found):
    return {row["key"]: row for row in found["fields"]}


def test_diff_shows_metadata_parameters_artifacts_and_code_side_by_side(story, past, capsys, git):
    code, out, err = ask(capsys, "diff", "iris@18", "iris@staging", "--all")
    assert (code, err) == (0, "")
    old, new = past.get_version("iris@18"), past.get_version("iris@20")
    head, *rows = [line.split() for line in out.splitlines()]
    assert head == ["FIELD", "iris@18", "iris@20", "CHANGE"]
    assert ["steps.fit.rate", "1.1", "1.2", "+0.1"] in rows
    accuracy = [f"{version.metadata['accuracy']:.4g}" for version in (old, new)]
    assert ["metadata.accuracy", *accuracy] in [row[:3] for row in rows]
    digests = [[artifact.digest[:19] for artifact in version.artifacts] for version in (old, new)]
    assert ["artifacts.classifier", digests[0][0], digests[1][0]] in rows
    packages = past.get_run(new.runs[0]).record.packages
    equal = rows.index(["FIELD", "THE", "SAME", "IN", "ALL"])
    assert equal < rows.index(["packages", packages[:19]])
    assert equal < rows.index(["parameters.data", "measurements@latest:readings"])
    range_ = f"{old.code.commit}..{new.code.commit}"
    assert out.endswith(f"\n\n{git(story, 'log', range_)}\n")
    assert "Set the rate of day 10" in out


def test_diff_of_two_stages_compares_the_versions_in_force(story, capsys):
    _, found = said(capsys, "diff", "iris@staging", "iris@production")
    assert [(version["ref"], version["reference"]) for version in found["versions"]] == [
        ("iris@staging", "iris@20"),
        ("iris@production", "iris@19"),
    ]
    (code,) = found["code"]
    assert code["old"] == code["new"]
    assert code["commits"] == []
    fields = fields_of(found)
    assert fields["packages"]["same"]
    assert fields["parameters.rate"]["values"] == [1.2, 1.1]
    assert fields["parameters.rate"]["change"] == pytest.approx(-0.1)
    assert [row["same"] for row in found["fields"]] == sorted(row["same"] for row in found["fields"])


def test_diff_leaves_out_artifacts_with_the_same_bytes(story, capsys):
    _, out, err = ask(capsys, "diff", "measurements@3", "measurements@10")
    assert "artifacts.readings" not in out
    assert "equal fields left out: add --all to see them" in err
    assert ["parameters.day", "3", "10", "+7"] in [line.split() for line in out.splitlines()]


def test_diff_compares_a_version_at_a_date_with_the_current_version(story, past, capsys):
    earlier = list(past.history("iris", "production"))[1]
    moment = f"{earlier.when:%Y-%m-%dT%H:%M:%SZ}"
    then = f"iris@production@{{{moment}}}"
    out, err = end_with(capsys, 0, "diff", then, "iris@production")
    assert out.splitlines()[0].split() == [
        "FIELD",
        then.replace("production", str(earlier.version)),
        "iris@19",
        "CHANGE",
    ]
    assert f"{then} is what the branch recorded at " in err
    assert [version.number for version in past.diff(then, "iris@production").versions] == [earlier.version, 19]
    assert past.at(earlier.when).diff("iris@production", "iris@1").versions[0].number == earlier.version
    found = said(capsys, "diff", "iris@production", "iris@1", "--at", moment)[1]
    assert found["versions"][0]["number"] == earlier.version
    assert found["at"] is not None


def test_diff_does_not_compare_packages_of_a_version_without_a_run(story, past):
    made = past.get_model("iris").create_version(metadata={"accuracy": 0.5})
    found = past.diff("iris@20", made.reference)
    assert not [row for row in found if row.name.startswith(("packages", "python"))]
    assert found.versions[1].unknown == ("packages",)
    assert found.gaps == ()


def test_diff_reports_commits_that_only_the_first_version_has(story, git, capsys):
    git(story, "checkout", "-q", "-b", "fix", "HEAD~1")
    git(story, "commit", "-q", "--allow-empty", "-m", "Fix the rate")
    with Client(story) as client:
        made = client.get_model("iris").create_version()
    _, out, _ = ask(capsys, "diff", "iris@20", made.reference)
    assert "Fix the rate" in out
    assert "  1 commit only in the first version: git log " in out


def test_diff_names_a_missing_code_commit_and_the_fetch_to_run(story, tmp_path, git, capsys, monkeypatch):
    elsewhere = tmp_path / "elsewhere"
    git(tmp_path, "init", "-q", str(elsewhere))
    git(elsewhere, "commit", "-q", "--allow-empty", "-m", "Begin")
    monkeypatch.chdir(elsewhere)
    out, err = end_with(capsys, 0, "--repo", story, "diff", "iris@1", "iris@20", "--format", "json")
    assert json.loads(out)["code"][0]["commits"] == []
    warning = json.loads(err)["warning"]
    assert "the code of iris@1, commit " in warning["message"]
    assert "(it was created in https://git.example.com/flowers.git)" in warning["message"]
    assert warning["hint"].startswith("run `git fetch https://git.example.com/flowers.git ")


def test_in_a_shallow_clone_diff_reports_missing_commits_between_two_versions(
    story, tmp_path, git, capsys, monkeypatch
):
    clone = tmp_path / "clone"
    git(story, "tag", "day5", "HEAD~5")
    git(tmp_path, "clone", "-q", "--depth", "3", f"file://{story}", str(clone))
    git(clone, "fetch", "-q", "--depth", "1", "origin", "tag", "day5")
    monkeypatch.chdir(clone)
    for old, message in (("iris@1", "which is a shallow clone"), ("iris@10", "because this clone is shallow")):
        out, err = end_with(capsys, 0, "--repo", story, "diff", old, "iris@20")
        assert "commit 2" not in out.partition("code:")[2]
        assert message in err
        assert "hint: run `git fetch --unshallow`, then try again\n" in err
    _, _, err = ask(capsys, "--repo", story, "diff", "iris@18", "iris@20")
    assert "warning" not in err


def test_diff_says_that_the_run_of_a_version_is_missing(story, past, capsys):
    (run,) = past.get_version("iris@4").runs
    edit(story, {paths.run_file(run): None})
    _, out, err = ask(capsys, "diff", "iris@4", "iris@5", "--format", "json")
    assert json.loads(out)["gaps"] == [f"the parameters and packages of iris@4 are not known: there is no run '{run}'"]
    assert run in err


def test_diff_names_different_packages_and_reports_a_lost_list_of_packages(story, past, capsys):
    code = (
        "from gitmodel.registry.recorded_runs import new_runs\n"
        "new_runs._installed_packages = lambda: b'gitmodel==0.1.0\\nnothing==9.9\\n'\n"
        "import flows\n"
        "flows.petals(rate=0.5)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
    _, out, _ = ask(capsys, "diff", "petals@10", "petals@11", "--format", "json")
    found = fields_of(json.loads(out))
    assert found["packages.nothing"]["values"] == [None, "9.9"]
    assert found["packages.click"]["values"][1] is None
    assert not found["packages"]["same"]
    past.store.remove(past.get_run(past.get_version("petals@11").runs[0]).record.packages)
    _, _, err = ask(capsys, "diff", "petals@10", "petals@11")
    assert "the packages of petals@11 cannot be read: " in err
