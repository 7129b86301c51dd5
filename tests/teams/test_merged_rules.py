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


CLEAN = {
    "different stages": (
        lambda text: changed(text, 'name = "staging"\n', 'name = "staging"\nproposal_only = true # at last\n'),
        lambda text: changed(text, 'name = "production"\n', 'name = "production"\nrollback = "direct"\n'),
        lambda text: changed(
            changed(text, 'name = "staging"\n', 'name = "staging"\nproposal_only = true # at last\n'),
            'name = "production"\n',
            'name = "production"\nrollback = "direct"\n',
        ),
    ),
    "a gate and a message": (
        lambda text: text + SIZE,
        lambda text: changed(text, "# low\n", '# low\nmessage = "poor"\n'),
        lambda text: changed(text, "# low\n", '# low\nmessage = "poor"\n') + SIZE,
    ),
    "a new stage and a comment": (
        lambda text: changed(text, "# low", "# still low"),
        lambda text: changed(text, "\n# The one", f"{QA}\n# The one"),
        lambda text: changed(changed(text, "# low", "# still low"), "\n# The one", f"{QA}\n# The one"),
    ),
    "a comment and a new stage": (
        lambda text: changed(text, "\n# The one", f"{QA}\n# The one"),
        lambda text: changed(changed(text, "# low", "# still low"), "The one that", "What"),
        lambda text: changed(
            changed(changed(text, "# low", "# still low"), "The one that", "What"), "\n# What", f"{QA}\n# What"
        ),
    ),
    "a removed gate": (
        lambda text: text[: text.index("\n[[stages.gates]]")],
        lambda text: changed(text, 'name = "staging"\n', 'name = "staging"\nafter = ["none"]\n'),
        lambda text: changed(
            text[: text.index("\n[[stages.gates]]")],
            'name = "staging"\n',
            'name = "staging"\nafter = [\n    "none",\n]\n',
        ),
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CLEAN.values(), ids=CLEAN)
def test_a_pull_keeps_rule_changes_of_both_sides_and_their_comments(edit, case):
    hers, his, both = (change(TEXT) for change in case)
    assert edit(hers, his) == (both, [])


LOST = {
    "one expression": (
        lambda text: changed(text, "> 0.1", "> 0.2"),
        lambda text: changed(text, "> 0.1", "> 0.3"),
        "key stages.production.gates.good.expression: was changed on both sides; the remote's was kept",
    ),
    "a changed and a removed gate": (
        lambda text: changed(text, "> 0.1", "> 0.2"),
        lambda text: text[: text.index("\n[[stages.gates]]")],
        "key stages.production.gates.good: was changed on both sides; the remote's was kept",
    ),
    "a stage that the other side needs": (
        lambda text: changed(text, 'name = "production"\n', 'name = "production"\nafter = ["staging"]\n'),
        lambda text: changed(text, '[[stages]]\nname = "staging"\n\n', ""),
        "the rules of both sides contradict each other (gitmodel.toml, key stages[0].after: names 'staging', which is "
        "no stage: the places are production, archived, none [registry.rules]); the remote's were kept",
    ),
}


@pytest.mark.parametrize("case", LOST.values(), ids=LOST)
def test_a_pull_names_a_rule_change_that_it_leaves_out(edit, case):
    hers, his, said = case
    text, conflicts = edit(hers(TEXT), his(TEXT))
    assert text == hers(TEXT)
    assert len(conflicts) == 1
    assert said in conflicts[0]
