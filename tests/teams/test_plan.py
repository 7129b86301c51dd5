"""`plan BASE..HEAD` shows what a merge would change, as text, Markdown and JSON. Hostile records cannot falsify it."""

import json
import re
import shutil
from dataclasses import replace

import editing
import pytest
from editing import BRANCH, edit, read
from stage_rules import STAGE, stage_text
from transcripts import ask

from gitmodel import Client
from gitmodel.domain.rules.gates import Outcome
from gitmodel.domain.schema import paths
from gitmodel.domain.views.comparison import compare_values
from gitmodel.registry.health.checking import check
from gitmodel.teams.plans import plan_texts
from gitmodel.teams.plans.holder_trends import Trend
from gitmodel.teams.plans.plan_markdown import markdown
from gitmodel.teams.plans.planning import Plan, PlannedChange, plan
from gitmodel.teams.plans.stored_contents import TextChange

TOPIC = "refs/heads/topic"
GATE = '\n[[stages.gates]]\nname = "good"\nexpression = "metadata.accuracy >= 0.9"\nmessage = "needs 0.9"\n'
HOSTILE = "<img src=x> @everyone #1 [x](https://evil.example) | `a` \n## Approved \u202e"


@pytest.fixture
def client(code_repo, git):
    with Client(code_repo) as client:
        iris = client.register_model("iris", owners=["ada", "grace"])
        git(code_repo, "remote", "add", "origin", "https://ada:pw@github.com/org/code.git")
        one, two = code_repo / "one.txt", code_repo / "two.txt"
        one.write_text("1", encoding="utf-8")
        two.write_text("2", encoding="utf-8")
        iris.create_version(metadata={"accuracy": 0.9, "loss": {"test": 2}}, data={"train": one, "same": one})
        git(code_repo, "commit", "-q", "--allow-empty", "-m", "Better")
        iris.create_version(metadata={"accuracy": 0.95, "note": HOSTILE}, data={"train": two, "same": one})
        iris.get_version(1).set_stage("production")
        edit(code_repo, {"gitmodel.toml": read(code_repo, "gitmodel.toml") + GATE})
        editing.run(code_repo, "update-ref", TOPIC, BRANCH)
        yield client


def planned(client):
    base, head = (client.repository.git.lines("rev-parse", ref)[0] for ref in (BRANCH, TOPIC))
    return plan(client.repository, base, head)


def propose(repo, number, client, extra=""):
    """Set `topic` to the metadata branch plus a commit that puts version *number* into production.

    *extra* are more lines of the stage file.
    """
    editing.run(repo, "update-ref", TOPIC, BRANCH)
    edit(repo, {STAGE: stage_text(client.get_model("iris"), number, extra)}, onto=TOPIC)


def test_a_plan_shows_the_old_and_the_new_version_side_by_side(client, repo, git):
    propose(repo, 2, client, 'reason = "better"\n')
    (change,) = planned(client).changes
    assert (change.model, change.place, change.old, change.new) == ("iris", "production", 1, 2)
    assert (change.who, change.reason, change.owners) == ("Ada Example", "better", ("ada", "grace"))
    rows = {row.name: (row.old, row.new, row.change) for row in change.metadata}
    assert rows["accuracy"] == (0.9, 0.95, pytest.approx(0.05))
    assert rows["loss.test"] == (2, None, None)
    assert change.artifacts == ()
    assert [(row.name, row.kind) for row in change.datasets] == [("train", "data")]
    assert change.maker == "Ada Example"
    assert [(outcome.gate, outcome.passed) for outcome in change.outcomes] == [("good", True)]
    old, new = git(repo, "rev-parse", "HEAD~1"), git(repo, "rev-parse", "HEAD")
    assert (change.code.old, change.code.new, change.code.count) == (old, new, 1)
    assert change.code.commits == (f"{new[:10]} Better",)
    assert change.code.comparison == f"https://github.com/org/code/compare/{old}...{new}"


def test_a_plan_shows_a_gate_that_fails_and_ends_with_exit_code_6(client, repo, capsys):
    edit(repo, {paths.version_file("iris", 2): read(repo, paths.version_file("iris", 2)).replace("0.95", "0.5")})
    propose(repo, 2, client)
    code, said, _ = ask(capsys, "-C", repo, "plan", "gitmodel..topic")
    assert (code, "iris: production 1 -> 2" in said) == (6, True)
    assert "FAILED good: needs 0.9 (metadata.accuracy >= 0.9; metadata.accuracy is 0.5)" in said


def test_the_plan_as_json_has_the_same_content_as_text(client, repo, capsys):
    propose(repo, 2, client)
    code, out, _ = ask(capsys, "-C", repo, "plan", "gitmodel..topic", "--format", "json")
    found = json.loads(out)
    (change,) = found["changes"]
    assert (code, found["problems"]) == (0, [])
    assert (change["version"], change["gates"][0]["passed"]) == (2, True)
    points = [{"version": 1, "value": 0.9}, {"version": 2, "value": 0.95}]
    assert change["trend"] == {"metric": "accuracy", "points": points}
    assert (change["reviewed"], change["signed"]) == (False, False)


def test_the_markdown_of_a_plan_has_its_hidden_marker_and_escapes_markup_in_records(client, repo):
    propose(repo, 2, client, f"reason = {json.dumps(HOSTILE)}\n")
    page = markdown(planned(client))
    assert page.startswith("<!-- gitmodel plan -->\n")
    assert page.count("<!-- gitmodel plan -->") == 1
    for live in (r"(?<!\\)<img", r"@everyone", r"(?<!\\)\[x\]", r"^## Approved", r"https://evil", "\u202e", r"#1"):
        assert not re.search(live, page, re.MULTILINE), live
    assert r"U\+202E" in page
    assert "](<https://github.com/org/code/compare/" in page
    (note,) = (row for row in page.splitlines() if row.startswith("| note"))
    assert note.count(" | ") == 3


def test_the_markdown_of_a_plan_begins_with_its_result_and_effect(client, repo):
    propose(repo, 2, client, 'reason = "better"\n')
    page = markdown(planned(client)).replace("\u200b", "")
    assert page.splitlines()[2:7] == [
        "## iris\\: production 1 → 2",
        "",
        "**✅ 1 of 1 rule of production passed.**",
        "",
        "After the merge and `git model apply`, **iris\\@2 replaces iris\\@1 in production**.",
    ]
    rows = [line for line in page.splitlines() if line.startswith("| ")]
    table = rows[rows.index("| metric | iris\\@1 | iris\\@2 | change |") :]
    assert table[1] == r"| accuracy | 0\.9 | 0\.95 | \+0\.05 |"
    assert "<details><summary>1 dataset differs</summary>" in page


def test_a_plan_shows_both_a_required_review_and_a_failed_rule(client, repo):
    change = PlannedChange("iris", "production", alias=False, old=None, new=2, who="", reason="", reviewed=True)
    outcomes = (
        Outcome("good", passed=False),
        Outcome("small", passed=False, forced=True),
        Outcome("fast", passed=True),
    )
    made = Plan("1" * 40, "2" * 40, (replace(change, outcomes=outcomes, signed=True),), (), (), ())
    page = markdown(made).replace("\u200b", "")
    assert "**❌ 1 of 3 rules of production passed; failed: good; forced: small.** " in page
    assert "❌ **Not signed\\: production accepts only signed changes.** Must be reviewed." in page
    assert "**iris\\@2 enters production**, which is empty now." in page


def test_a_plan_says_which_number_that_a_gate_reads_becomes_worse(client, repo):
    iris = client.get_model("iris")
    iris.get_version(2).set_stage("production")
    worse = iris.create_version(metadata={"accuracy": 0.91})
    propose(repo, worse.number, client)
    made = planned(client)
    assert "  worse than version 2: accuracy\n" in plan_texts.text(made)
    page = markdown(made).replace("\u200b", "")
    assert "**✅ 1 of 1 rule of production passed.** ⚠️ **Worse than version 2\\: accuracy.**\n" in page


class TestTrend:
    """The chart in a plan: a metadata value of the last versions in the stage, and of the version that would enter."""

    def test_the_chart_has_the_last_twelve_versions_and_the_version_that_would_enter(self, client, repo):
        iris = client.get_model("iris")
        for number in range(14):
            version = iris.create_version(metadata={"accuracy": 0.9 + number / 1000})
            version.set_stage("production")
        entering = iris.create_version(metadata={"accuracy": 0.99})
        propose(repo, entering.number, client)
        made = planned(client)
        trend = made.changes[0].trend
        assert trend.metric == "accuracy"
        assert [number for number, _ in trend.points] == [*range(5, 18)]
        assert trend.points[-1] == (17, 0.99)
        page = markdown(made)
        chart = page[page.index("```mermaid") :].split("\n```\n")[0].splitlines()
        assert chart[2:4] == ["xychart-beta", '    title "production: accuracy by version"']
        assert chart[4].endswith(', "16", "17 new"]')
        assert chart[5] == "    y-axis 0.8976 --> 0.9944"
        assert chart[6].startswith("    line [0.902, 0.903, ")
        assert "```" not in markdown(made, brief=True)

    def test_the_chart_leaves_out_versions_that_were_never_in_force_or_whose_value_is_not_a_number(self, client, repo):
        iris = client.get_model("iris")
        iris.create_version(metadata={"accuracy": "high"})
        client.get_version("iris@3").set_stage("production", force=True, reason="trial")
        failing = iris.create_version(metadata={"accuracy": 0.1})
        edit(repo, {STAGE: stage_text(iris, failing.number)})
        propose(repo, 2, client)
        assert planned(client).changes[0].trend == Trend("accuracy", ((1, 0.9), (2, 0.95)))

    @pytest.mark.parametrize(
        ("site", "metric"),
        [('headline = "loss.test"', "loss.test"), ('headline = "note"', "accuracy"), ("headline = 3", "accuracy")],
    )
    def test_the_chart_shows_the_headline_of_the_registry_if_it_is_a_number(self, client, repo, site, metric):
        edit(repo, {"gitmodel.toml": f"{read(repo, 'gitmodel.toml')}\n[site]\n{site}\n"})
        version = client.get_model("iris").create_version(metadata={"accuracy": 0.95, "loss": {"test": 1}, "note": "x"})
        propose(repo, version.number, client)
        (change,) = planned(client).changes
        assert change.trend.metric == metric
        assert client.headline_keys() == (("accuracy",) if "3" in site else (site.split('"')[1], "accuracy"))
        assert [problem.key for problem in check(client.repository)] == (["site.headline"] if "3" in site else [])

    def test_a_plan_has_no_chart_if_no_earlier_version_has_a_number_to_draw(self, client, repo):
        client.get_model("iris").demote("production")
        edit(repo, {paths.version_file("iris", 1): read(repo, paths.version_file("iris", 1)).replace("0.9", "nan")})
        propose(repo, 2, client)
        assert planned(client).changes[0].trend is None

    @pytest.mark.parametrize(
        ("value", "drawn"),
        [(1e-7, "0.0000001"), (-0.25, "-0.25"), (1e14, "100000000000000"), (1e300, None), (1e-12, None)],
    )
    def test_no_number_of_a_chart_has_an_exponent(self, value, drawn):
        change = PlannedChange("iris", "production", alias=False, old=1, new=2, who="", reason="")
        trend = Trend('x"]; evil `', ((1, value), (2, 0.0)))
        made = Plan("1" * 40, "2" * 40, (replace(change, trend=trend),), (), (), ())
        page = markdown(made)
        assert ("mermaid" in page) == (drawn is not None)
        if drawn:
            assert f"    line [{drawn}, 0]" in page
            assert '    title "production: x___ evil _ by version"' in page


def test_the_markdown_of_a_plan_with_hostile_metadata_fits_into_a_comment(client, repo):
    rows = compare_values({}, {f"{'[' * 90}{number}": "!" * 500 for number in range(500)})
    texts = tuple(TextChange(f"{number}", "model", ("`" * 70_000,) * 500) for number in range(200))
    change = PlannedChange("iris", "production", alias=False, old=1, new=2, who="", reason="", metadata=rows)
    change = replace(change, texts=texts, packages=rows, artifacts=compare_values({}, dict.fromkeys("ab", "!" * 500)))
    page = markdown(Plan("1" * 40, "2" * 40, (change,) * 9, (), (), ()))
    assert len(page) < 60_000
    assert "| and " in page
    assert "more: `git model plan" in page


def test_a_plan_without_changes_of_stages_says_that_no_stage_changes(client, repo):
    edit(repo, {"README.md": "x\n"}, onto=TOPIC)
    made = planned(client)
    assert made.changes == ()
    assert "No stage and no alias changes" in markdown(made)
    assert made.rules == ("README.md",)


class TestContents:
    """The differences of texts and packages in a plan, which gitmodel reads from the stores of this machine."""

    @pytest.fixture
    def texts(self, client, repo, tmp_path):
        """A function that proposes to replace a version with the bytes *old* by one with *new*. Returns the plan."""

        def write(name, data):
            (tmp_path / name).write_bytes(data)
            return tmp_path / name

        def propose_with(old, new, **kinds):
            iris = client.get_model("iris")
            for data in (old, new):
                iris.create_version(**{kind: {"config": write("config", data)} for kind in kinds or {"deployments": 1}})
            iris.get_version(3).set_stage("production", force=True, reason="trial")
            propose(repo, 4, client)
            return client.plan(f"{BRANCH}..{TOPIC}")

        return propose_with

    def test_a_plan_shows_a_changed_text_artifact_as_a_diff(self, texts):
        (change,) = texts(b"rate: 1\nseed: 2\n", b"rate: 3\nseed: 2\n").changes
        (text,) = change.texts
        assert (text.name, text.kind) == ("config", "deployment")
        assert text.diff == ("@@ -1,2 +1,2 @@", "-rate: 1", "+rate: 3", " seed: 2")

    @pytest.mark.parametrize(
        ("old", "new", "kinds"),
        [
            (b"1", b"\0", {}),
            (b"1", b"\xff", {}),
            (b"1", b"x" * 64_001, {}),
            (b"1", b"x\n" * 2_001, {}),
            (b"1", b"2", {"data": 1}),
        ],
        ids=["a NUL", "not UTF-8", "too long", "too many lines", "data"],
    )
    def test_a_plan_compares_data_and_artifacts_that_are_not_short_texts_only_by_digest(self, texts, old, new, kinds):
        (change,) = texts(old, new, **kinds).changes
        assert change.texts == ()
        assert [row.name for row in (*change.artifacts, *change.datasets)] == ["config"]

    def test_a_plan_shows_only_digests_if_the_store_cannot_be_reached(self, texts, client, repo):
        texts(b"rate: 1\n", b"rate: 3\n")
        shutil.rmtree(repo / ".git" / "gitmodel" / "store")
        (change,) = client.plan(f"{BRANCH}..{TOPIC}").changes
        assert (change.texts, [row.name for row in change.artifacts]) == ((), ["config"])


def test_a_plan_links_to_the_pages_by_the_address_that_was_set_before_the_merge(client, repo):
    edit(repo, {"gitmodel.toml": f'{read(repo, "gitmodel.toml")}\n[site]\nurl = "https://models.example.org/a/"\n'})
    editing.run(repo, "update-ref", TOPIC, BRANCH)
    edit(repo, {"gitmodel.toml": read(repo, "gitmodel.toml").replace("models.example.org", "evil.example")}, onto=TOPIC)
    made = planned(client)
    assert made.page == f"https://models.example.org/a/proposals/{made.head[:12]}.html"
    assert f"](<{made.page}>)" in markdown(made)


@pytest.mark.parametrize("url", ["ftp://a.example", "https://ada:pw@a.example", "https://a.example/?x", "https://a b"])
def test_check_reports_an_invalid_address_of_the_pages(client, repo, url):
    edit(repo, {"gitmodel.toml": f'{read(repo, "gitmodel.toml")}\n[site]\nurl = "{url}"\n'})
    assert [problem.key for problem in check(client.repository)] == ["site.url"]


def test_a_plan_shows_aliases_demotions_and_new_versions(client, repo):
    client.get_version("iris@2").add_alias("champion")
    client.get_model("iris").create_version()
    client.get_model("iris").demote("production")
    now = editing.run(repo, "rev-parse", BRANCH)
    made = plan(client.repository, editing.run(repo, "rev-parse", TOPIC), now)
    told = plan_texts.text(made)
    assert "iris: alias champion (empty) -> 2" in told
    assert "iris: production 1 -> (empty)" in told
    assert "new versions: iris@3" in told
    (left,) = [change for change in made.changes if change.place == "production"]
    assert (left.metadata, left.artifacts, left.datasets, left.code.old) == ((), (), (), "")


def test_a_plan_shows_the_newest_code_commits_and_says_if_the_new_version_has_older_code(client, repo, git):
    for number in range(14):
        git(repo, "commit", "-q", "--allow-empty", "-m", f"Change {number}")
    made = client.get_model("iris").create_version()
    propose(repo, made.number, client)
    (change,) = planned(client).changes
    assert (change.code.count, len(change.code.commits)) == (15, 10)
    assert change.code.commits[0].endswith(" Change 13")
    assert "    and 5 more" in plan_texts.text(planned(client))
    editing.run(repo, "update-ref", BRANCH, TOPIC)
    client.apply()
    propose(repo, 1, client)
    told = plan_texts.text(planned(client))
    assert "(back to an earlier commit)" in told
    assert ", back to an earlier commit" in markdown(planned(client))
    propose(repo, client.get_model("iris").create_version().number, client)
    assert ", as before" in plan_texts.text(planned(client))


def test_the_plan_of_a_conflicting_merge_shows_only_the_conflict(client, repo):
    propose(repo, 2, client)
    client.get_model("iris").create_version(metadata={"accuracy": 1.0}).set_stage("production")
    client.repository.reader.close()
    made = planned(client)
    assert [problem.rule for problem in made.problems] == ["change.conflict"]
    assert "was changed on both sides" in plan_texts.text(made)
