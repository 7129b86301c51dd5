"""If gitmodel.toml changed in the clone and at the remote, a pull merges each key of stages and gates, and comments."""

import editing
import pytest

TEXT = """\
# Rules of the team
format = "1.2"

[[stages]]
name = "staging"

# The one that serves
[[stages]]
name = "production"

[[stages.gates]]
name = "good"
expression = "metadata.accuracy > 0.1" # low
"""
QA = '\n[[stages]]\nname = "qa"\n'
SIZE = '\n[[stages.gates]]\nname = "size"\nexpression = "metadata.size < 9"\n'


def changed(text, old, new):
    assert old in text
    return text.replace(old, new)


@pytest.fixture
def edit(ada, bob):
    """A function that edits both clones, pushes Ada's and pulls in Bob's. It returns Bob's file and the conflicts."""

    def edit_both(hers, his):
        editing.edit(ada.repository.common_dir, {"gitmodel.toml": TEXT})
        ada.push()
        bob.pull()
        editing.edit(ada.repository.common_dir, {"gitmodel.toml": hers})
        editing.edit(bob.repository.common_dir, {"gitmodel.toml": his})
        ada.push()
        done = bob.pull()
        assert bob.check() == []
        return editing.read(bob.repository.common_dir, "gitmodel.toml"), done.conflicts

    return edit_both


def with_stage(text, name, keys):
    """Return *text* with the lines *keys* in the stage *name*."""
    return changed(text, f'name = "{name}"\n', f'name = "{name}"\n{keys}')


def with_qa(text, before="The one"):
    return changed(text, f"\n# {before}", f"{QA}\n# {before}")


# the file of Ada, that of Bob, and the merged file
UNGATED = TEXT[: TEXT.index("\n[[stages.gates]]")]
REVIEWED = with_stage(TEXT, "staging", "proposal_only = true # at last\n")
POOR = changed(TEXT, "# low\n", '# low\nmessage = "poor"\n')
STILL = changed(TEXT, "# low", "# still low")
REWORDED = changed(STILL, "The one that", "What")
DIRECT = 'rollback = "direct"\n'
CLEAN = {
    "different stages": (REVIEWED, with_stage(TEXT, "production", DIRECT), with_stage(REVIEWED, "production", DIRECT)),
    "a gate and a message": (TEXT + SIZE, POOR, POOR + SIZE),
    "a new stage and a comment": (STILL, with_qa(TEXT), with_qa(STILL)),
    "a comment and a new stage": (with_qa(TEXT), REWORDED, with_qa(REWORDED, "What")),
    "a removed gate": (
        UNGATED,
        with_stage(TEXT, "staging", 'after = ["none"]\n'),
        with_stage(UNGATED, "staging", 'after = [\n    "none",\n]\n'),
    ),
}


@pytest.mark.parametrize(("hers", "his", "both"), CLEAN.values(), ids=CLEAN)
def test_a_pull_keeps_rule_changes_of_both_sides_and_their_comments(edit, hers, his, both):
    assert edit(hers, his) == (both, [])


LOST = {
    "one expression": (
        changed(TEXT, "> 0.1", "> 0.2"),
        changed(TEXT, "> 0.1", "> 0.3"),
        "key stages.production.gates.good.expression: was changed on both sides; the remote's was kept",
    ),
    "a changed and a removed gate": (
        changed(TEXT, "> 0.1", "> 0.2"),
        UNGATED,
        "key stages.production.gates.good: was changed on both sides; the remote's was kept",
    ),
    "a stage that the other side needs": (
        with_stage(TEXT, "production", 'after = ["staging"]\n'),
        changed(TEXT, '[[stages]]\nname = "staging"\n\n', ""),
        "the rules of both sides contradict each other (gitmodel.toml, key stages[0].after: names 'staging', which is "
        "no stage: the places are production, archived, none [registry.rules]); the remote's were kept",
    ),
}


@pytest.mark.parametrize(("hers", "his", "said"), LOST.values(), ids=LOST)
def test_a_pull_names_a_rule_change_that_it_leaves_out(edit, hers, his, said):
    text, (conflict,) = edit(hers, his)
    assert text == hers
    assert said in conflict
