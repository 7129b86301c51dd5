"""Commands that change gitmodel.toml keep its comments, order and layout, because people also edit it by hand."""

import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gitmodel.domain.schema import codec
from gitmodel.domain.schema.registry_rules.registry_file import decode_registry, encode_registry
from gitmodel.domain.schema.registry_rules.registry_record import (
    CodeRules,
    GateRule,
    RegistryRecord,
    RunRules,
    StageRule,
)
from gitmodel.errors import Invalid

COMMENTED = """\
# The rules of our team.
format = "1.2"   # do not raise
store = 's3://models/registry'

# First the stages
[[stages]]
name = "staging"  # for tests

# Serious.
[[stages]]
name = 'production'
# Never skip staging.
after = ["staging"] # since May

# Accuracy counts.
[[stages.gates]]
name = "accuracy"
expression = 'metadata.accuracy >= 0.9'

# Runs
[runs]
record = "versioned"
# The end.
"""


def decoded(text):
    return decode_registry(text.encode(), "gitmodel.toml")


def changed(text, change):
    """Return the new text of gitmodel.toml after *change*, a function from the old record to the new record.

    Checks that reading the new text gives the new record.
    """
    record = change(decoded(text))
    data = encode_registry(record, text.encode())
    assert decode_registry(data, "gitmodel.toml") == record
    return data.decode()


def stages(record, *rules):
    return replace(record, stages=rules)


def with_rules(record):
    staging, production = record.stages
    gates = (*production.gates, GateRule(name="rows", expression="metadata.rows > 3"))
    gates = (replace(gates[0], message="too inaccurate"), *gates[1:])
    production = replace(production, proposal_only=True, rollback="direct", gates=gates)
    opened = replace(staging, gates=(GateRule(name="size", expression="metadata.size < 9"),))
    return stages(record, opened, StageRule(name="canary"), production)


def test_a_change_keeps_comments_above_their_keys_and_headers():
    assert (
        changed(COMMENTED, with_rules)
        == """\
# The rules of our team.
format = "1.2"   # do not raise
store = 's3://models/registry'

# First the stages
[[stages]]
name = "staging"  # for tests

[[stages.gates]]
name = "size"
expression = "metadata.size < 9"

[[stages]]
name = "canary"

# Serious.
[[stages]]
name = 'production'
# Never skip staging.
after = ["staging"] # since May
proposal_only = true
rollback = "direct"

# Accuracy counts.
[[stages.gates]]
name = "accuracy"
expression = 'metadata.accuracy >= 0.9'
message = "too inaccurate"

[[stages.gates]]
name = "rows"
expression = "metadata.rows > 3"

# Runs
[runs]
record = "versioned"
# The end.
"""
    )


def test_undoing_a_change_restores_the_file_exactly():
    assert changed(changed(COMMENTED, with_rules), lambda record: decoded(COMMENTED)) == COMMENTED


def test_a_comment_above_a_removed_key_or_table_is_removed_too():
    def without(record):
        staging, production = record.stages
        return replace(stages(record, staging, replace(production, after=(), gates=())), runs=None)

    expected = COMMENTED.replace('# Never skip staging.\nafter = ["staging"] # since May\n', "")
    expected = expected[: expected.index("\n# Accuracy")]
    assert changed(COMMENTED, without) == expected


def test_a_stage_that_moves_in_the_order_of_the_stages_keeps_its_gates_and_comments():
    moved = changed(COMMENTED, lambda record: stages(record, *reversed(record.stages)))
    assert moved.index("# Serious.") < moved.index("# Accuracy counts.") < moved.index("# First the stages")
    assert moved.index("# First the stages") < moved.index("# Runs")


def test_a_comment_at_the_end_of_a_moved_stage_stays_on_its_own_line():
    text = (
        'format = "1.2"\n[[stages]]\nname = "a"\n\n[[stages]]\nname = "b"\n# end of b\n\n[runs]\nrecord = "versioned"\n'
    )
    moved = changed(text, lambda record: stages(record, *reversed(record.stages)))
    assert moved == (
        'format = "1.2"\n\n[[stages]]\nname = "b"\n# end of b\n[[stages]]\nname = "a"\n\n[runs]\nrecord = "versioned"\n'
    )


LAYOUTS = {
    "CRLF": COMMENTED.replace("\n", "\r\n"),
    "inline": """\
format = "1.2"
stages = [ # all of them
    { name = "staging" }, # first
    { name = "production", after = ["staging"], gates = [{ name = "accuracy", expression = "metadata.accuracy > 1" }] },
]
runs = { record = "versioned" } # fewer
""",
    "inline gates": """\
format = "1.2"
[[stages]]
name = "staging"
[[stages]]
"name" = "production"
gates = [
    # the only one
    { name = "accuracy", expression = '''metadata.accuracy > 0.9''' },
]
""",
    "dotted": """\
runs.record = "versioned" # fewer
format = "1.2"
[[stages]]
name = "staging"
[[stages]]
name = "production\"""",
    "order": """\
format = "1.2"
[[stages]] # one
name = "staging"
[runs] # between
record = "versioned"
[[stages]] # two
gates = [{ expression = "true", name = "any" }]
proposal_only = false # not yet
name = "production\"""",
    "stores last": """\
format = "1.2"
[[stages]]
name = "staging"
[[stages]]
name = "production"
[stores] # large files
large = "s3://models/large"
""",
    "strings": '''\
format = """1.2""" # [[stages]]
[["stages"]]
name = 'staging'
[[ stages ]]
name = "production"
[[stages . gates]] # "]]
name = "accuracy"
expression = """
metadata.accuracy > 0.9 && # no
metadata.text != "[a]"""" # "quoted
message = \'\'\'a = "#"\'\'\'
''',
}


@pytest.mark.parametrize("text", LAYOUTS.values(), ids=LAYOUTS)
def test_a_file_in_any_layout_can_be_changed(text):
    """After the change, the text has the values of the new record and all comments."""

    def change(record):
        staging, production = record.stages
        gate = GateRule(name="new", expression='metadata.x == "#"', message="two\nlines")
        production = replace(production, proposal_only=True, gates=(*production.gates, gate))
        staging = replace(staging, gates=(gate,))
        rules = stages(record, StageRule(name="canary"), staging, production)
        return replace(rules, runs=RunRules(record="versioned", record_traceback=True), code=CodeRules(dirty="refuse"))

    result = changed(text, change)
    for comment in re.findall(r"# [a-z ]+\b", text):
        assert comment in result
    assert ("\r\n" in text) == ("\r\n" in result)
    assert changed(text, lambda record: record) == text
    assert decoded(changed(result, lambda record: decoded(text))) == decoded(text)


WORDS = st.sampled_from(["staging", "production", "canary", "qa", "edge"])
GATES = st.builds(
    GateRule,
    name=st.sampled_from(["accuracy", "rows", "size"]),
    expression=st.sampled_from(["metadata.a > 1", 'name == "\\"#"', "true"]),
    message=st.text(max_size=8),
)
STAGES = st.builds(
    StageRule,
    name=WORDS,
    after=st.sampled_from([(), ("none",), ("archived", "none")]),
    proposal_only=st.booleans(),
    rollback=st.sampled_from(["", "direct"]),
    gates=st.lists(GATES, max_size=3, unique_by=lambda gate: gate.name).map(tuple),
)
REGISTRIES = st.builds(
    RegistryRecord,
    store=st.sampled_from([None, "s3://bucket/x"]),
    stores=st.dictionaries(st.sampled_from(["large", "old"]), st.just("s3://bucket/y"), max_size=2),
    stages=st.lists(STAGES, min_size=1, max_size=4, unique_by=lambda rule: rule.name).map(tuple),
    runs=st.sampled_from([None, RunRules(record="versioned")]),
    code=st.sampled_from([None, CodeRules(dirty="refuse")]),
    extra=st.sampled_from([{}, {"newer": 1.5}]),
)


@given(REGISTRIES, REGISTRIES)
def test_a_file_in_canonical_form_is_in_canonical_form_after_a_change(old, new):
    assert encode_registry(new, codec.encode(old)) == codec.encode(new)


def test_changing_a_file_with_faults_is_refused():
    with pytest.raises(Invalid, match="two gates have the same name"):
        changed(
            'format = "1.2"\n[[stages]]\nname = "a"\n[[stages.gates]]\nname = "after"\nexpression = "true"\n',
            lambda record: replace(record, store="s3://x/y"),
        )
