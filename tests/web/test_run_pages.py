"""The pages of runs, rules and health, the feed, and the files for bots, of the demo and of a registry with faults."""

import json
import shutil
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from pathlib import Path

import editing
import pytest
from browser import Visitor, accessibility_faults, looks
from layout import layout_faults
from site_files import dead_links, twin

from gitmodel import Client, RunFailed, pipeline, step
from gitmodel.cli import run as run_program
from gitmodel.registry.recorded_runs import new_runs
from gitmodel.web.export.site import export_site
from gitmodel.web.options import SiteOptions

EVIL = "</script><b>\u202ex & \x0b"
ATOM = {"a": "http://www.w3.org/2005/Atom"}


@pytest.fixture(scope="module")
def site(demo: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The exported site of the demo."""
    folder = tmp_path_factory.mktemp("pages")
    with Client(demo) as client:
        export_site(client, folder, SiteOptions(base_url="https://example.org/models"))
    yield folder
    shutil.rmtree(folder)


def run_of(site: Path, pipeline: str, *, status: str = "succeeded") -> str:
    """Return the path of the page of the newest run of *pipeline* with this *status*."""
    runs = twin(site, "runs/index")["runs"]
    return f"runs/{next(run['id'] for run in runs if (run['pipeline'], run['status']) == (pipeline, status))}"


def test_the_list_of_runs_has_their_status_versions_and_parameters(site: Path) -> None:
    page = twin(site, "runs/index")
    assert page["statuses"] == {"succeeded": 40, "failed": 1}
    assert [run["versions"] for run in page["runs"][:2]] == [[["triage", 8]], [["demand", 16]]]
    assert dict(page["runs"][0]["parameters"]) == {"count": 1200, "known": 3, "smoothing": 1.0}
    assert all(run["seconds"] > 0 for run in page["runs"])
    text = (site / "runs/index.html").read_text(encoding="utf-8")
    assert text.count('<th scope="row">') == 41
    assert '<a href="../m/triage/v/8.html">triage@8</a>' in text


def test_a_run_shows_its_steps_with_inputs_and_the_versions_that_have_them(site: Path) -> None:
    page = twin(site, run_of(site, "train_triage"))
    steps = {each["name"]: each for each in page["steps"]}
    assert list(steps) == ["load_messages", "fit", "evaluate"]
    (classifier,) = (value for value in steps["evaluate"]["inputs"] if value["name"] == "classifier")
    assert (classifier["model"], classifier["number"]) == ("churn", 13)
    assert [value["name"] for value in steps["fit"]["outputs"]] == ["words"]
    assert page["script"] == "triage.py"
    assert page["packages"].startswith("sha256:")
    text = (site / f"{run_of(site, 'train_triage')}.html").read_text(encoding="utf-8")
    assert "git model reproduce triage@8" in text
    assert '<a href="../m/churn/v/13.html">churn@13</a>' in text


def test_a_run_lists_its_packages_and_those_that_differ_from_the_previous_run(
    code_repo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lists = {10: b"numpy==1.0\ntorch==2.1\n", 11: b"numpy==1.0\ntorch==2.1\n", 12: b"numpy==1.1\nscipy==1.9\n"}
    ids, site = [], tmp_path / "site"
    for hour, packages in lists.items():
        for name in ("GIT_AUTHOR_DATE", "GIT_COMMITTER_DATE"):
            monkeypatch.setenv(name, f"2026-11-23T{hour}:00:00Z")
        monkeypatch.setattr(new_runs, "_kept_packages", {})
        monkeypatch.setattr(new_runs, "_installed_packages", lambda packages=packages: packages)
        with Client(code_repo) as client, client.start_run("train") as run:
            ids.append(run.id)
    assert ids == sorted(ids)
    with Client(code_repo) as client:
        export_site(client, site, SiteOptions(artifacts=True))
        first, second, third = (twin(site, f"runs/{id}")["package_list"] for id in ids)
        assert first["installed"] == [["numpy", "1.0"], ["torch", "2.1"]]
        assert (first["previous"], first["changes"]) == ("", [])
        assert (second["count"], second["installed"], second["changes"]) == (2, [], [])
        assert (second["previous"], second["listed_in"]) == (ids[0], ids[0])
        assert third["previous"] == ids[1]
        assert [tuple(change.values()) for change in third["changes"]] == [
            ("numpy", "1.0", "1.1"),
            ("scipy", None, "1.9"),
            ("torch", "2.1", None),
        ]
        text = (site / f"runs/{ids[1]}.html").read_text(encoding="utf-8")
        assert f'<a href="{ids[0]}.html#packages">' in text
        export_site(client, site, SiteOptions())
    assert twin(site, f"runs/{ids[0]}")["package_list"] is None, "without artifacts, the site must not have the list"
    assert "numpy" not in (site / f"runs/{ids[0]}.html").read_text(encoding="utf-8")


def test_a_failed_run_names_its_step_and_its_error(site: Path) -> None:
    path = run_of(site, "train_demand", status="failed")
    assert twin(site, path)["failed_step"] == "fit"
    text = (site / f"{path}.html").read_text(encoding="utf-8")
    assert "Step fit failed: ValueError" in text
    assert "git model reproduce" not in text


def test_the_page_of_the_rules_shows_gates_and_changes_with_author_and_reason(site: Path) -> None:
    page = twin(site, "rules")
    gates = {stage["name"]: [gate["expression"] for gate in stage["gates"]] for stage in page["stages"]}
    assert gates["production"] == ["metadata.accuracy >= 0.87"]
    changes = page["changes"]
    assert [(each["author"], each["when"][:10]) for each in changes] == [
        ("Ada Example", "2025-09-08"),
        ("Cleo Example", "2025-04-22"),
        ("Ada Example", "2025-01-14"),
        ("Ada Example", "2025-01-14"),
        ("Ada Example", "2025-01-13"),
    ]
    assert changes[1]["reason"] == "after the rollback of churn 8"
    assert (
        changes[1]["changes"][0] == "production: gate accurate: metadata.accuracy >= 0.7 -> metadata.accuracy >= 0.85"
    )
    assert changes[0]["changes"][1] == (
        'production: message of gate accurate: "see the review of churn 8" -> "the goal since September"'
    )
    assert changes[-1]["changes"] == ["the registry was created"]


def test_the_feed_has_each_promotion_with_its_author_reason_and_page(site: Path) -> None:
    feed = ElementTree.parse(site / "feed.xml").getroot()
    entries = feed.findall("a:entry", ATOM)
    assert len(entries) == len(twin(site, "history")["events"])
    newest = entries[0]
    assert newest.findtext("a:title", namespaces=ATOM) == "churn staging: 15 -> 16"
    assert newest.findtext("a:author/a:name", namespaces=ATOM) == "Ada Example"
    assert newest.find("a:link", ATOM).get("href") == "https://example.org/models/m/churn/v/16.html"
    assert (site / "m/churn/v/16.html").exists()
    assert feed.findtext("a:updated", namespaces=ATOM) == "2025-08-26T09:00:00Z"
    assert len({entry.findtext("a:id", namespaces=ATOM) for entry in entries}) == len(entries)
    summaries = {entry.findtext("a:title", namespaces=ATOM): entry.findtext("a:summary", "", ATOM) for entry in entries}
    assert summaries["demand production: 12 -> 15"].endswith("(overridden: accurate)")


def test_the_files_for_bots_name_the_version_in_each_stage(site: Path) -> None:
    releases = {"version": "13", "releaseTimestamp": "2025-06-16T09:20:00Z"}
    assert twin(site, "data/churn/production") == {"schema": 1, "releases": [releases]}
    assert twin(site, "data/triage/staging") == {"schema": 1, "releases": []}


def test_used_by_lists_versions_whose_runs_read_an_artifact_and_did_not_also_make_it(site: Path) -> None:
    used_by = json.loads((site / "m/churn/v/13.json").read_text(encoding="utf-8"))["used_by"]
    assert {model for model, _ in used_by} == {"triage"}, "churn@12 has the same data, which its own run made again"


def test_no_link_of_the_demo_is_dead(site: Path) -> None:
    assert set(dead_links(site)) == set()


def test_the_page_of_a_failed_run_is_accessible_and_nothing_is_cut_off(site: Path, visitor: Visitor) -> None:
    page = visitor.open((site / f"{run_of(site, 'train_demand', status='failed')}.html").as_uri(), site=site)
    for look in looks(page):
        assert (look, accessibility_faults(page), layout_faults(page)) == (look, [], [])


@step
def _fails(note: str) -> None:
    raise ValueError(note)


@pipeline
def faulty(note: str) -> None:
    _fails(note)


@pytest.fixture
def client(code_repo: Path) -> Iterator[Client]:
    """A registry with rules of all kinds, signers, a run with hostile text, a pending change and a damaged record."""
    with Client(code_repo) as client:
        client.register_model("iris").create_version(metadata={"accuracy": 0.9})
        client.promote("iris@1", "production", reason=EVIL)
        with pytest.raises(RunFailed):
            faulty.run(client=client, note=EVIL)
        client.add_stage("canary", after=["staging"], proposal_only=True, direct_rollback=True, reason=EVIL)
        editing.edit(code_repo, {"allowed_signers": "# keys\nada@example.com ssh-ed25519 AAAA Ada\n"}, "Add a signer")
        editing.edit(code_repo, {"models/iris/versions/7.toml": "number = [\n"}, "Break a record")
        yield client


def test_the_page_of_the_rules_shows_conditions_signers_and_hostile_text_as_text(
    client: Client, tmp_path: Path
) -> None:
    export_site(client, tmp_path / "site", SiteOptions())
    page = twin(tmp_path / "site", "rules")
    (canary,) = (stage for stage in page["stages"] if stage["name"] == "canary")
    assert canary["conditions"] == [
        "only versions in staging may enter",
        "each change needs a reviewed proposal",
        "a previous version may return without these rules, except signatures",
    ]
    assert page["signers"] == ["ada@example.com (ssh-ed25519)"]
    assert page["changes"][0]["changes"] == ["signer added: ada@example.com (ssh-ed25519)"]
    for path in ("rules.html", "runs/index.html", "feed.xml"):
        text = (tmp_path / "site" / path).read_text(encoding="utf-8")
        assert "<b>" not in text
        assert "\u202e" not in text
    ElementTree.parse(tmp_path / "site/feed.xml")


def test_the_page_of_the_health_has_problems_of_records_and_pending_changes(
    client: Client, code_repo: Path, tmp_path: Path
) -> None:
    editing.run(code_repo, "tag", "-d", "model/iris/production")
    export_site(client, tmp_path / "site", SiteOptions())
    page = twin(tmp_path / "site", "health")
    assert "models/iris/versions/7.toml" in {finding["path"] for finding in page["findings"]}
    (waiting,) = page["waiting"]
    assert (waiting["model"], waiting["stage"], waiting["in_force"], waiting["recorded"]) == (
        "iris",
        "production",
        None,
        1,
    )
    text = (tmp_path / "site/health.html").read_text(encoding="utf-8")
    assert "git model apply" in text
    assert "All records are valid." not in text


def test_the_page_of_the_health_has_the_result_of_a_verification_only_if_its_file_is_given(
    client: Client, tmp_path: Path, capsys
) -> None:
    model = client.get_model("iris")
    lost, kept = (model.create_version(data={"train": rows}) for rows in ([1, 2], [3]))
    digest = lost.get_artifact("train").digest
    (client.store_root / "sha256" / digest[7:9] / digest[9:]).unlink()
    folder = client.repository.common_dir.parent
    assert run_program(["-C", str(folder), "verify", "--format", "json"]) == 5
    (tmp_path / "verified.json").write_text(capsys.readouterr().out, encoding="utf-8")
    command = ["-C", str(folder), "site", str(tmp_path / "site")]
    assert run_program(command) == 0
    assert twin(tmp_path / "site", "health")["verified"] is None
    assert run_program([*command, "--verified", str(tmp_path / "verified.json")]) == 0
    verified = twin(tmp_path / "site", "health")["verified"]
    faulty = {one["digest"]: one["versions"] for one in verified["faulty"]}
    assert faulty[digest] == [lost.reference]
    assert kept.get_artifact("train").digest not in faulty
    text = (tmp_path / "site/health.html").read_text(encoding="utf-8")
    assert f"{len(faulty)} problems in {verified['count']} artifacts" in text  # includes the damaged record


@pytest.mark.parametrize(("text", "code"), [("{", 2), ('[{"error": "x"}]', 2), ("7", 2), (None, 3)])
def test_a_file_without_the_result_of_a_verification_is_refused(
    client: Client, tmp_path: Path, text: str | None, code: int
) -> None:
    if text is not None:
        (tmp_path / "verified.json").write_text(text)
    folder = str(client.repository.common_dir.parent)
    command = ["-C", folder, "site", str(tmp_path / "site"), "--verified", str(tmp_path / "verified.json")]
    assert run_program(command) == code
    assert not (tmp_path / "site").exists()


def test_the_page_of_a_registry_without_runs_shows_how_to_run_a_pipeline(code_repo: Path, tmp_path: Path) -> None:
    with Client(code_repo) as client:
        client.register_model("iris")
        export_site(client, tmp_path / "site", SiteOptions())
    assert "git model run train.py" in (tmp_path / "site/runs/index.html").read_text(encoding="utf-8")
    assert ElementTree.parse(tmp_path / "site/feed.xml").getroot().findall("a:entry", ATOM) == []


def test_the_page_of_an_unchanged_run_is_not_written_again(client: Client, tmp_path: Path) -> None:
    export_site(client, tmp_path / "site", SiteOptions())
    (run,) = (tmp_path / "site/runs").glob("*faulty*.html")
    before = run.stat().st_mtime_ns
    client.get_version("iris@1").log_metadata(note="x")
    assert export_site(client, tmp_path / "site", SiteOptions()).written > 0
    assert run.stat().st_mtime_ns == before
