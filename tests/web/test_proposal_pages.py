"""The pages of open proposals show what their merge would change."""

import json

import editing
import pytest
from browser import accessibility_faults, looks
from editing import BRANCH, edit, read
from layout import layout_faults

from gitmodel import Client
from gitmodel.web.export.site import export_site
from gitmodel.web.options import SiteOptions

GATE = '\n[[stages.gates]]\nname = "good"\nexpression = "metadata.accuracy >= 0.9"\nmessage = "needs 0.9"\n'
HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(1)> \u202e **b**"


@pytest.fixture
def client(code_repo, git, tmp_path):
    """A registry with three versions of iris, in which iris@2 replaced iris@1 in production."""
    with Client(code_repo) as client:
        iris = client.register_model("iris", owners=["ada", "@org/vision"])
        git(code_repo, "remote", "add", "origin", "https://github.com/org/code.git")
        for number in (1, 2, 3):
            report = tmp_path / "report"
            report.write_text(f"# Report\nseed: {number} {HOSTILE}\n", encoding="utf-8")
            git(code_repo, "commit", "-q", "--allow-empty", "-m", f"Change {number} {HOSTILE}")
            with client.start_run("train") as run:
                metadata = {"accuracy": 0.9 + number / 100, "note": f"{number} {HOSTILE}"}
                run.create_version("iris", metadata=metadata, deployments={"report": str(report)})
            if number < 3:
                iris.get_version(number).set_stage("production")
        edit(code_repo, {"gitmodel.toml": read(code_repo, "gitmodel.toml") + GATE})
        git(code_repo, "remote", "remove", "origin")
        yield client


@pytest.fixture
def proposal(client):
    """A proposal to put iris@3 into production."""
    return client.propose(("iris@3", "production"), reason=f"better {HOSTILE}")


def export(client, folder, **options):
    """Export the pages of *client* to *folder*, with the fields *options* of `SiteOptions`.

    Returns a function that returns the JSON twin of the page with a given path.
    """
    export_site(client, folder, SiteOptions(**options))
    return lambda path: json.loads((folder / f"{path}.json").read_text(encoding="utf-8"))


def test_the_page_of_a_proposal_has_the_content_of_the_command_plan(client, proposal, tmp_path):
    twin = export(client, tmp_path / "site")
    (row,) = twin("proposals/index")["proposals"]
    assert (row["id"], row["branch"]) == (proposal.commit[:12], proposal.branch)
    assert (row["changes"], row["verdict"]) == (["iris@3 replaces iris@2 in production"], "1 of 1 rules passed")
    assert (row["approvals"], row["address"]) == (["not required"], "")
    page = twin(f"proposals/{row['id']}")
    assert row["created"] == page["created"] == "2026-11-23T10:12:13Z"
    (change,) = page["changes"]
    assert (change["old"], change["new"], change["owners"]) == (2, 3, ["@org/vision", "ada"])
    assert change["better"] == []
    first = change["metrics"][0]
    assert (first["name"], first["old"], first["new"], first["gated"]) == ("accuracy", "0.92", "0.93", True)
    assert change["chart"] == {
        "metric": "accuracy",
        "points": [[1, 0.91], [2, 0.92], [3, 0.93]],
        "marks": [[2, "production"], [3, "new"]],
        "limits": [["gate: >= 0.9", 0.9]],
    }
    assert [rule["result"] for rule in change["rules"]] == ["passed"]
    assert [part["title"] for part in change["differences"]] == ["Artifacts"]
    assert change["sources"]["root"] == "iris@3"
    assert page["command"] == f"git model plan gitmodel..{proposal.commit[:10]}"
    assert page["problems"] == []


def test_pages_of_proposals_say_who_must_approve_and_link_to_the_host_and_the_gates(client, proposal, tmp_path, git):
    repo = client.repository.common_dir
    rules = read(repo, "gitmodel.toml").replace(GATE, f"proposal_only = true\n{GATE}")
    edit(repo, {"gitmodel.toml": rules, "CODEOWNERS": "models/iris/ @ada @org/vision eve@example.com\n"})
    git(repo, "remote", "add", "origin", "https://github.com/org/models.git")
    git(repo, "update-ref", "refs/remotes/origin/gitmodel", BRANCH)
    folder = tmp_path / "site"
    twin = export(client, folder, public=True)
    (row,) = twin("proposals/index")["proposals"]
    assert row["approvals"] == ["must be approved by @ada or @org/vision"]
    assert row["address"].startswith("https://github.com/org/models/compare/gitmodel...propose/")
    address = row["address"].replace("&", "&amp;")
    names = "index", proposal.commit[:12]
    texts = [(folder / f"proposals/{name}.html").read_text(encoding="utf-8") for name in names]
    assert [f'href="{address}">Open the pull request' in text for text in texts] == [True, True]
    assert '<span class="pill pending">must be approved by @ada or @org/vision</span>' in texts[1]
    assert '<a href="../rules.html#production.good">gate good</a>' in texts[1]
    assert 'id="production.good"' in (folder / "rules.html").read_text(encoding="utf-8")


@pytest.mark.parametrize("artifacts", [False, True])
def test_the_page_of_a_proposal_shows_texts_only_if_the_site_may_contain_artifacts(
    client, proposal, tmp_path, artifacts
):
    twin = export(client, tmp_path / "site", artifacts=artifacts)
    (change,) = twin(f"proposals/{proposal.commit[:12]}")["changes"]
    assert [text["name"] for text in change["texts"]] == (["report"] if artifacts else [])


def test_a_merged_proposal_has_no_page(client, proposal, tmp_path):
    export(client, tmp_path / "site")
    assert (tmp_path / "site" / "proposals" / f"{proposal.commit[:12]}.html").exists()
    editing.run(client.repository.common_dir, "update-ref", BRANCH, proposal.commit)
    client.apply()
    twin = export(client, tmp_path / "site")
    assert twin("proposals/index")["proposals"] == []
    assert not (tmp_path / "site" / "proposals" / f"{proposal.commit[:12]}.html").exists()


def test_the_pages_of_a_model_and_its_versions_name_their_proposals(client, proposal, tmp_path):
    folder = tmp_path / "site"
    export(client, folder)
    link = f"proposals/{proposal.commit[:12]}.html"
    named = {"index", "stages", "m/iris/index", "m/iris/v/2", "m/iris/v/3"}
    texts = {path: (folder / f"{path}.html").read_text(encoding="utf-8") for path in (*named, "m/iris/v/1")}
    assert {path for path, text in texts.items() if f'{link}">production 2 → 3</a>' in text} == named
    assert ">1 open proposal</a>" in texts["index"]
    editing.run(client.repository.common_dir, "update-ref", "-d", f"refs/heads/{proposal.branch}")
    export(client, folder)
    assert not [path for path in named if "proposed:" in (folder / f"{path}.html").read_text(encoding="utf-8")]


def test_the_page_of_a_version_in_production_shows_the_rollback_command_and_the_signature(client, tmp_path):
    twin = export(client, tmp_path / "site")
    assert twin("m/iris/v/2")["signatures"] == {"production": "not checked: the registry lists no signers"}
    text = (tmp_path / "site/m/iris/v/2.html").read_text(encoding="utf-8")
    assert "Roll back to 1</summary>" in text
    assert "git model rollback iris production" in text
    assert "git model rollback" not in (tmp_path / "site/m/iris/v/1.html").read_text(encoding="utf-8")


def test_pages_show_the_local_proposals_and_those_of_the_last_fetch(client, proposal, tmp_path, git):
    bare, clone = tmp_path / "bare.git", tmp_path / "clone"
    git(client.repository.common_dir, "clone", "-q", "--bare", ".", str(bare))
    git(tmp_path, "clone", "-q", str(bare), str(clone))
    git(clone, "update-ref", BRANCH, "refs/remotes/origin/gitmodel")
    # deletes the branch at the remote; the clone has not fetched since
    git(bare, "update-ref", "-d", f"refs/heads/{proposal.branch}")
    with Client(clone) as other:
        (found,) = other.known_proposals()
        assert (found.branch, found.commit, found.pushed) == (proposal.branch, proposal.commit, True)
        assert other.list_proposals() == []
    assert [found.pushed for found in client.known_proposals()] == [False]


def test_a_proposal_that_a_rule_forbids_is_marked(client, tmp_path):
    made = client.propose(("iris@3", "production"))
    repo = client.repository.common_dir
    edit(repo, {"gitmodel.toml": read(repo, "gitmodel.toml").replace("0.9", "0.99")})
    page = export(client, tmp_path / "site")(f"proposals/{made.commit[:12]}")
    assert page["problems"][0].startswith("iris production: version 3 fails good: needs 0.99 (")
    assert "change.gate" not in page["problems"][0]
    assert (page["changes"][0]["verdict"], page["changes"][0]["state"]) == ("0 of 1 rules passed", "forged")


def test_the_page_marks_a_number_that_becomes_worse_although_the_gate_that_reads_it_passes(client, tmp_path):
    made = client.propose(("iris@1", "production"))
    twin = export(client, tmp_path / "site")
    (row,) = twin("proposals/index")["proposals"]
    assert (row["state"], row["worse"]) == ("in-force", ["worse than version 2: accuracy"])
    (change,) = twin(f"proposals/{made.commit[:12]}")["changes"]
    assert [metric["name"] for metric in change["metrics"] if metric["worse"]] == ["accuracy"]
    assert change["better"] == ["version 3 has a better accuracy: 0.93"]
    page = (tmp_path / "site" / "proposals" / f"{made.commit[:12]}.html").read_text(encoding="utf-8")
    assert '<span class="pill pending">worse than version 2: accuracy</span>' in page


def test_the_page_names_versions_that_an_input_comes_from_and_versions_made_from_the_holder(client, tmp_path):
    """A run reads an artifact of iris@2, which is in production, and makes iris@4 and the proposed version 5."""
    artifact = client.get_version("iris@2").get_artifact("report")
    for number in (4, 5):
        with client.start_run("tune") as run:
            run.use(artifact)
            run.create_version("iris", metadata={"accuracy": 0.95}, deployments={"report": str(tmp_path / "report")})
        if number == 4:
            client.get_version("iris@4").add_alias("shadow")
    made = client.propose(("iris@5", "production"))
    (change,) = export(client, tmp_path / "site")(f"proposals/{made.commit[:12]}")["changes"]
    assert change["dependents"] == ["iris@4 shadow"]
    nodes = {node["id"]: node for node in change["sources"]["nodes"]}
    assert nodes["iris@5"]["facts"]["stage"] == "production"
    assert "iris@2:report" in [name for node in nodes.values() for name in node["facts"].get("versions", ())]


def test_in_a_narrow_window_a_change_has_the_whole_width_and_a_tree_scrolls_inside_its_box(
    client, proposal, tmp_path, visitor
):
    site = tmp_path / "site"
    export(client, site)
    wide = {"proposals/index.html": "What the merge does", "rules.html": "What"}
    for path, label in wide.items():
        page = visitor.open((site / path).as_uri(), width=360, site=site)
        assert page.locator(f"td[data-label='{label}']").first.bounding_box()["width"] > 300
    page = visitor.open((site / "m/iris/lineage.html").as_uri(), width=360, site=site)
    assert page.locator("pre.tree").first.evaluate("e => [getComputedStyle(e).whiteSpace, e.tabIndex]") == ["pre", 0]
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert accessibility_faults(page) == []


def test_the_pages_are_accessible_and_hostile_text_stays_text(client, proposal, tmp_path, visitor):
    site = tmp_path / "site"
    export(client, site, artifacts=True)
    for path in ("index", proposal.commit[:12]):
        page = visitor.open((site / "proposals" / f"{path}.html").as_uri(), site=site)
        assert page.locator("main :is(img, script)").count() == 0
        for look in looks(page):
            assert (look, accessibility_faults(page), layout_faults(page)) == (look, [], [])
    assert "“better </script><script>alert(1)</script><img" in page.text_content("main")
    assert page.locator("main svg.drawing:visible").count() == 2
