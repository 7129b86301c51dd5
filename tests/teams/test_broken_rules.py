"""If the rules of a stage in gitmodel.toml are malformed, contradictory or unknown, no version can enter this stage."""

import editing
import pytest
from stage_rules import GOOD, STAGE, TWO_STAGES, merge, register_iris, stage_text
from teamwork import run_apart

from gitmodel import Client, pipeline, step
from gitmodel.errors import GateRefused, GitModelError, Invalid, Refused
from gitmodel.registry.health.checking import check

PRODUCTION = '[[stages]]\nname = "production"\n'

# The text after the two stages in gitmodel.toml, and the key and words of the expected error.
BROKEN = {
    "a stage listed twice, the first with a gate": (f"\n{GOOD}\n{PRODUCTION}", "stages[2].name", "already"),
    "a stage listed twice, the second with a gate": (f"\n{PRODUCTION}\n{GOOD}", "stages[2].name", "already"),
    "a stage listed in another case": (f'\n[[stages]]\nname = "Production"\n\n{GOOD}', "stages[2].name", "already"),
    "after as text": ('after = "staging"\n', "stages[1].after", "takes an array"),
    "an empty after": ("after = []\n", "stages[1].after", "empty list"),
    "after in another case": ('after = [\n    "Staging",\n]\n', "stages[1].after", "no stage"),
    "after with an unknown place beside a known one": (
        'after = [\n    "none",\n    "stagin",\n]\n',
        "stages[1].after",
        "no stage",
    ),
    "after twice the same": ('after = [\n    "none",\n    "none",\n]\n', "stages[1].after", "sorted"),
    "an empty list of gates": ("gates = []\n", "stages[1].gates", "empty list"),
    "gates as text": ('gates = "good"\n', "stages[1].gates", "array of tables"),
    "a gate without an expression": ('\n[[stages.gates]]\nname = "good"\n', "gates[0].expression", "missing"),
    "a gate whose expression is a number": (
        '\n[[stages.gates]]\nname = "good"\nexpression = 1\n',
        "gates[0].expression",
        "takes text",
    ),
    "a gate whose expression is empty": (
        '\n[[stages.gates]]\nname = "good"\nexpression = ""\n',
        "gates[0].expression",
        "cannot be read",
    ),
    "a gate whose expression is malformed": (
        f'\n{GOOD}\n[[stages.gates]]\nname = "better"\nexpression = "metadata.accuracy = 1"\n',
        "stages[1].gates[1].expression",
        "write == to compare",
    ),
    "two gates of one name": (f"\n{GOOD}\n{GOOD}", "stages[1].gates", "the same name"),
    "two gates of one name in two cases": (
        f"\n{GOOD}\n{GOOD.replace('good', 'Good')}",
        "stages[1].gates",
        "two gates have the same name",
    ),
    "a gate called after": (f"\n{GOOD.replace('good', 'after')}", "stages[1].gates", "a gate has the name after"),
    "proposal_only as text": ('proposal_only = "no"\n', "stages[1].proposal_only", "true or false"),
    "signed as a number": ("signed = 0\n", "stages[1].signed", "true or false"),
    "rollback of another word": ('rollback = "Direct"\n', "stages[1].rollback", "direct"),
    "a name of another type": ("\n[[stages]]\nname = 7\n", "stages[2].name", "takes text"),
    "an entry without a name": ("\n[[stages]]\nproposal_only = true\n", "stages[2].name", "missing"),
    "a name that is no name": ('\n[[stages]]\nname = "production "\n', "stages[2].name", "takes a name"),
    "a word that no stage can have": ('\n[[stages]]\nname = "Latest"\n', "stages[2].name", "cannot be"),
    "a key that is not known": ("quorum = 2\n", "stages[1].quorum", "does not know"),
    "a known key in another case": ("Proposal_only = true\n", "stages[1].Proposal_only", "does not know"),
    "a key of a gate that is not known": (f"\n{GOOD}severity = 1\n", "stages[1].gates[0].severity", "does not know"),
    "stages in another case": (f"\n{(PRODUCTION + GOOD).replace('[[stages', '[[Stages')}", "Stages", "not read"),
    "the singular of stages": (f"\n{(PRODUCTION + GOOD).replace('[[stages', '[[stage')}", "stage", "not read"),
    "the singular of gates": (f"\n{GOOD.replace('stages.gates', 'stages.gate')}", "stages[1].gate", "does not know"),
}


@pytest.fixture
def client(code_repo):
    with Client(code_repo) as client:
        register_iris(client, 0.8, 0.91, 0.95, production=2)
        yield client


@pytest.mark.parametrize("case", BROKEN)
def test_no_version_enters_a_stage_with_invalid_rules_and_the_refusal_names_file_and_key(client, case):
    text, key, words = BROKEN[case]
    repo = client.repository.common_dir
    iris = client.get_model("iris")
    recorded = stage_text(iris, 3)
    editing.edit(repo, {"gitmodel.toml": TWO_STAGES + text})
    before = editing.state(repo)
    for force in (False, True):
        with pytest.raises(GateRefused, match=rf"(?s)gitmodel.toml, key .*\b.*({words})") as caught:
            iris.get_version(3).set_stage("production", force=force, reason="now")
        assert key in caught.value.message
        assert caught.value.hint
    with pytest.raises(Refused):
        client.propose(("iris@3", "production"), force=True, reason="now")
    assert editing.state(repo) == before
    if "signed" not in case:
        assert client.get_version("iris@production").number == 2
    assert any(problem.path == "gitmodel.toml" for problem in check(client.repository))
    # `apply` does not put a change in force that was recorded while the rules were invalid.
    merge(repo, {STAGE: recorded})
    applied = client.apply()
    assert not applied.changes
    assert ("gitmodel.toml" if "signed" not in case else "is not signed") in applied.refused[0][1]


def test_invalid_rules_of_one_stage_do_not_stop_promotions_to_another_stage(client):
    editing.edit(client.repository.common_dir, {"gitmodel.toml": f"{TWO_STAGES}quorum = 2\n"})
    client.get_model("iris").get_version(3).set_stage("staging")
    assert client.get_version("iris@staging").number == 3


@pytest.mark.parametrize("format", ["1.0", "1.1", "1.7"])
def test_an_unknown_rule_of_a_stage_stops_promotions_whatever_the_format_of_the_registry(client, code_repo, format):
    text = f"{TWO_STAGES}quorum = 2\n".replace("1.2", format)
    editing.edit(client.repository.common_dir, {"gitmodel.toml": text})
    code, out, err = run_apart(code_repo, "promote", "iris@3", "production")
    assert (code, out) == (6, "")
    assert "stages[1].quorum" in err
    assert "upgrade" in err
    assert (format if format == "1.7" else "newer than 1.") in err
    rules = [problem.rule for problem in check(client.repository)]
    assert rules == ([] if format == "1.7" else ["record.unknown-key"])


@pytest.mark.parametrize("format", ["1.0", "1.1", "1.7"])
def test_an_unknown_key_outside_of_stages_stops_neither_promotions_nor_new_versions(client, format):
    text = f"{TWO_STAGES.replace('1.2', format)}".replace("[[stages]]", 'colour = "red"\n\n[[stages]]', 1)
    editing.edit(client.repository.common_dir, {"gitmodel.toml": f"{text}\n[runs]\nkeep = 3\n\n[review]\nby = 2\n"})
    client.get_model("iris").get_version(3).set_stage("production")
    assert client.get_version("iris@production").number == 3
    client.get_model("iris").create_version()
    assert "record.type" not in [problem.rule for problem in check(client.repository)]


def test_a_promotion_is_refused_if_gitmodel_toml_is_missing(client, code_repo):
    editing.edit(code_repo, {"gitmodel.toml": None})
    with pytest.raises(GitModelError, match=r"gitmodel\.toml.*is missing"):
        client.get_model("iris").get_version(3).set_stage("production")
    assert client.get_version("iris@production").number == 2


def test_a_change_of_a_setting_does_not_overwrite_an_invalid_gitmodel_toml(client, tmp_path):
    editing.edit(client.repository.common_dir, {"gitmodel.toml": TWO_STAGES + BROKEN["an empty after"][0]})
    before = editing.state(client.repository.common_dir)
    with pytest.raises(GitModelError, match="empty list"):
        client.add_store("other", (tmp_path / "other").as_uri())
    assert editing.state(client.repository.common_dir) == before


def test_a_direct_rollback_is_refused_if_a_rule_of_the_stage_is_unknown(client):
    iris = client.get_model("iris")
    iris.get_version(3).set_stage("production")
    text = f'{TWO_STAGES}rollback = "direct"\nquorum = 2\n'
    editing.edit(client.repository.common_dir, {"gitmodel.toml": text})
    with pytest.raises(GateRefused, match="quorum"):
        iris.rollback("production")


def test_check_of_a_range_names_an_unknown_key_of_a_rule_in_text_and_json(client, code_repo):
    repo = client.repository.common_dir
    editing.edit(repo, {"gitmodel.toml": f"{TWO_STAGES}quorum = 2\n"})
    editing.run(repo, "update-ref", "refs/heads/topic", editing.BRANCH)
    editing.edit(repo, {STAGE: stage_text(client.get_model("iris"), 3)}, onto="refs/heads/topic")
    (problem,) = client.check_between("gitmodel..topic").problems
    assert problem.rule == "change.gate"
    assert "quorum" in problem.message
    code, out, err = run_apart(code_repo, "check", "gitmodel..topic", "--format", "json")
    assert (code, "quorum" in out) == (6, True), err


BESIDE = {
    "runs": ('[runs]\nrecord = "sometimes"\n', "runs.record"),
    "code": ('[code]\ndirty = "never"\n', "code.dirty"),
    "stores": ("[stores]\ns3 = 3\n", "stores"),
    "store": ("store = 3\n", "store"),
}


@pytest.mark.parametrize("name", BESIDE)
def test_an_invalid_value_outside_of_stages_does_not_stop_promotions(client, code_repo, name, monkeypatch):
    monkeypatch.chdir(code_repo)
    text, key = BESIDE[name]
    top, tables = (text, "") if name == "store" else ("", text)
    editing.edit(code_repo, {"gitmodel.toml": f'format = "1.2"\n{top}\n[[stages]]\nname = "production"\n\n{tables}'})
    assert run_apart(code_repo, "resolve", "iris@production") == (0, "iris@2\n", "")
    client.get_version("iris@3").set_stage("production")
    assert client.get_version("iris@production").number == 3
    assert [problem.key for problem in check(client.repository)] == [key]
    uses = {
        "runs": train,
        "code": lambda: client.get_model("iris").create_version(),
        "stores": lambda: client.get_model("iris").create_version(data={"a": __file__}),
        "store": lambda: client.get_model("iris").create_version(data={"a": __file__}),
    }
    with pytest.raises(Invalid, match=f"gitmodel.toml, key {key}: takes"):
        uses[name]()
    assert not RAN


RAN = []


@step
def fit():
    RAN.append("fit")


@pipeline(enable_cache=False)
def train():
    fit()


WITHOUT = {"no stages": "", "stages as text": 'stages = "production"\n', "stages as a table": "[stages]\nx = 1\n"}


@pytest.mark.parametrize("name", WITHOUT)
def test_a_malformed_list_of_stages_stops_all_promotions_but_no_reading(client, code_repo, name):
    editing.edit(code_repo, {"gitmodel.toml": f'format = "1.2"\n{WITHOUT[name]}'})
    assert run_apart(code_repo, "resolve", "iris@production") == (0, "iris@2\n", "")
    code, _, err = run_apart(code_repo, "promote", "iris@3", "production", "--force", "--reason", "now")
    assert (code, "gitmodel.toml, key stages: " in err) == (6, True)
