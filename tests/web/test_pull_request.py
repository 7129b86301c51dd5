"""The Markdown of `plan --markdown` in a browser: each host's release of Mermaid draws its graphs.

Hostile text in records stays text.
"""

import editing
import pytest
from browser import NODE_MODULES
from editing import BRANCH, edit
from markdown_pages import as_page
from store_servers import require
from web_pages import QuietHandler, QuietServer, running

from gitmodel import Client
from gitmodel.domain.schema import codec, paths, records
from gitmodel.domain.schema.records import links_digest
from gitmodel.domain.views.lineage import ARTIFACT, RUN, VERSION, Edge, Lineage, Node
from gitmodel.teams.plans.holder_trends import Trend
from gitmodel.teams.plans.plan_markdown import markdown
from gitmodel.teams.plans.planning import Plan, PlannedChange

MERMAID = {name: NODE_MODULES / f"mermaid-{name}" / "dist" / "mermaid.min.js" for name in ("10", "11", "12")}
TOPIC = "refs/heads/topic"
STAGE = paths.stage_file("iris", "production")
RULES = """\
format = "1.2"

[[stages]]
name = "staging"

[[stages]]
name = "production"
proposal_only = true

[[stages.gates]]
name = "good"
expression = "metadata.accuracy >= 0.9"

[[stages.gates]]
name = "fast"
expression = "metadata.seconds < 2.0"

[site]
headline = "accuracy"
url = "https://models.example.org/registry"
"""
OWNERS = "# the people who decide\n/models/*/stages/production.toml @org/flowers ada@example.com\n"
# gitmodel restricts the names of artifacts and steps. Other texts of a record may contain anything.
HOSTILE = (
    "</script><img src=x onerror=alert(1)> @everyone #1 [x](https://evil.example) `a` ``` | **b** <!-- - 1. x "
    "https://evil.example \u202e\x1b[2J"
)
REPORT = "# Report\n\nseed: {}\n```\n``` {}\n</details></script><script>alert(1)</script> @everyone\n"


@pytest.fixture
def show():
    """A function `show(html, script)` that serves a page with the script as `/mermaid.js`, and returns its URL."""

    class Handler(QuietHandler):
        def do_GET(self):
            self.send_response(200)
            self.send_header("Content-Type", "text/javascript" if self.path == "/mermaid.js" else "text/html")
            self.end_headers()
            self.wfile.write(served.get(self.path, b""))

    served: dict[str, bytes] = {}

    def add(page, script):
        require(script if script.exists() else None, "nodejs, and `python3 noxfile.py -s test`, which installs Mermaid")
        served.update({"/": page.encode(), "/mermaid.js": script.read_bytes()})
        return f"{server.url}/"

    with running(QuietServer(Handler)) as server:
        yield add


@pytest.fixture
def story(code_repo, git, tmp_path, monkeypatch):
    """A client with a proposal of iris@5 on the branch `topic`. Its plan has content in each of its parts."""
    file = tmp_path / "file"
    packages = {"skops": 13, "scikit-learn": 6}
    monkeypatch.setattr(
        "gitmodel.registry.recorded_runs.new_runs._installed_packages",
        lambda: "".join(f"{name}==1.{minor}.0\n" for name, minor in sorted(packages.items())).encode(),
    )

    def store(text):
        file.write_text(text, encoding="utf-8")
        return str(file)

    with Client(code_repo) as client:
        client.register_model("flowers")
        git(code_repo, "remote", "add", "origin", "https://github.com/org/flowers.git")
        client.register_model("iris", owners=["ada", "grace"])
        edit(code_repo, {"gitmodel.toml": RULES.replace("proposal_only = true\n", ""), "CODEOWNERS": OWNERS})
        for number in range(1, 6):
            data = client.get_model("flowers").create_version(data={"train": store(f"{number // 3}\n" * 100)})
            packages["skops"] = 13 + number // 5
            monkeypatch.setattr("gitmodel.registry.recorded_runs.new_runs._kept_packages", {})
            git(code_repo, "commit", "-q", "--allow-empty", "-m", f"Tune the rate, part {number} {HOSTILE[:40]}")
            with client.start_run("train") as run:
                run.use(data, "train")
                run.log_parameters(rate=number / 10)
                run.create_version(
                    "iris",
                    metadata={
                        "accuracy": 0.9 + number / 100,
                        "seconds": 1.5 - number / 10,
                        "rows": 100,
                        "note": f"{number} {HOSTILE}",
                    },
                    model_objects={"classifier": store(f"weights {number}\0")},
                )
            version = client.get_version(f"iris@{number}")
            version.attach("report", store(REPORT.format(number, HOSTILE)))
            if number < 5:
                version.set_stage("production", reason="better", force=True)
        edit(code_repo, {"gitmodel.toml": RULES})
        editing.run(code_repo, "update-ref", TOPIC, BRANCH)
        links = links_digest(version.view.record.artifacts)
        reason = "beats the baseline on the new flowers " + HOSTILE
        record = codec.encode(records.StageRecord(version=5, artifacts=links, reason=reason))
        edit(code_repo, {STAGE: record.decode()}, onto=TOPIC)
        yield client


def test_mermaid_of_every_host_draws_the_plan_of_a_proposal_and_hostile_text_stays_text(story, visitor, show):
    plan = story.plan(f"{BRANCH}..{TOPIC}")
    page = markdown(plan)
    assert page.count("```mermaid") == 2
    (code,) = (change.code.comparison for change in plan.changes)
    for script in MERMAID.values():
        seen = visitor.open(show(as_page(page), script))
        assert seen.evaluate("drawn") == "drawn"
        chart, graph = seen.locator("pre.mermaid svg").all()
        assert {"production: accuracy by version", "1", "5 new"} <= set(chart.locator("text").all_text_contents())
        assert "iris@5:classifier" in " ".join(graph.text_content().split())
        assert seen.locator("main :is(img, script, iframe, form, details details)").count() == 0
        assert seen.locator("summary").all_text_contents() == [
            "2 rules passed", "Lineage of iris@5", "Commits of the code", "1 other value of the metadata differs",
            "1 artifact differs", "1 package differs", "report differs",
        ]  # fmt: skip
        assert [link.get_attribute("href") for link in seen.locator("a").all()] == [code, plan.page]
        assert "</script><img src=x onerror=alert(1)>" in seen.locator("main > ul").first.text_content()
        assert "</details></script><script>alert(1)</script> @everyone" in seen.locator("pre").last.text_content()


WORDS = [
    "end",
    "1. one",
    "- item",
    "__a__ *b*",
    "%%{init: {}}%%",
    '"]; click n0 "javascript:alert(1)"',
    "style n0 x",
    "@{",
]


def test_a_graph_with_any_names_shows_twenty_nodes_and_the_number_of_the_others(visitor, show):
    digests = [f"sha256:{number:064x}" for number in range(30)]
    nodes = [Node(word, RUN, {"status": word}, word) for word in WORDS] + [Node(one, ARTIFACT) for one in digests]
    edges = tuple(Edge(node.id, "iris@2", node.id) for node in nodes)
    sources = Lineage("iris@2", (Node("iris@2", VERSION), *nodes), edges, None)
    trend = Trend('<b>"; end', ((1, 0.5), (2, 0.5)))
    change = PlannedChange("end", "x", alias=False, old=1, new=2, who="", reason="", sources=sources, trend=trend)
    page = markdown(Plan("1" * 40, "2" * 40, (change,), (), (), ()))
    for script in MERMAID.values():
        seen = visitor.open(show(as_page(page), script))
        assert seen.evaluate("drawn") == "drawn"
        chart, graph = seen.locator("pre.mermaid svg").all()
        assert "x: _b___ end by version" in chart.locator("text").all_text_contents()
        assert graph.locator(".node").count() == 21
        assert "and 19 more" in graph.text_content()
        assert graph.locator("a").count() == 0
