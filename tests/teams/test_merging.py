"""Three-way merges of records: a key that only one side changed has the changed value.

If both sides changed a key, theirs is kept: the value of the remote.
"""

from dataclasses import replace
from datetime import datetime, timezone

from hypothesis import given
from hypothesis import strategies as st

from gitmodel.domain.replay.merging import lost_keys, merged
from gitmodel.domain.replay.renumbering import ReplayState
from gitmodel.domain.replay.replayed_changes import Replayed, reworded
from gitmodel.domain.schema.records import ArtifactLink, Attachment, ModelRecord, VersionRecord

MOMENT = datetime(2026, 11, 23, tzinfo=timezone.utc)
LINK = ArtifactLink(name="weights", kind="model", digest=f"sha256:{1:064x}", size=5)
CM = Attachment(name="cm", digest=f"sha256:{2:064x}", size=7, format="png")
METADATA = st.dictionaries(st.sampled_from("abc"), st.integers(0, 3), max_size=3)
WORDS = st.sets(st.sampled_from("xyz")).map(lambda found: tuple(sorted(found)))
VERSIONS = st.builds(
    VersionRecord,
    number=st.just(4),
    created=st.just(MOMENT),
    description=st.sampled_from(["", "a", "b"]),
    tags=WORDS,
    metadata=METADATA,
    artifacts=st.sampled_from([(), (LINK,), (replace(LINK, metadata={"rows": 1}),), (replace(LINK, size=6),)]),
    attachments=st.sampled_from([(), (CM,), (replace(CM, metadata={"rows": 1}),), (CM, replace(CM, name="roc"))]),
)


def merge(base, ours, theirs):
    """Merge *ours* and *theirs*, which are both changed from *base*.

    Returns the merged record, and the keys whose value in *ours* was lost in a conflict.
    """
    record = merged(base, ours, theirs)
    return record, list(lost_keys(base, ours, record))


@given(VERSIONS, VERSIONS)
def test_a_merge_keeps_a_key_that_one_side_changed(base, changed):
    assert merge(base, changed, base) == (changed, [])
    assert merge(base, base, changed) == (changed, [])


@given(VERSIONS, VERSIONS)
def test_the_same_change_of_a_key_on_both_sides_is_no_conflict(base, changed):
    assert merge(base, changed, changed) == (changed, [])


@given(VERSIONS, VERSIONS, VERSIONS)
def test_each_merged_key_has_the_value_of_one_side_and_in_a_conflict_the_value_of_the_remote(base, ours, theirs):
    record, conflicts = merge(base, ours, theirs)
    assert record.description in (ours.description, theirs.description)
    if "description" in conflicts:
        assert record.description == theirs.description
    for key in {*ours.metadata, *theirs.metadata}:
        if f"metadata.{key}" in conflicts:
            assert record.metadata.get(key) == theirs.metadata.get(key)
        assert record.metadata.get(key) in (ours.metadata.get(key), theirs.metadata.get(key))
    added = (set(ours.tags) | set(theirs.tags)) - set(base.tags)
    assert added <= set(record.tags)


@given(VERSIONS, VERSIONS)
def test_two_records_without_a_common_base_are_merged(ours, theirs):
    record, _ = merge(None, ours, theirs)
    assert set(record.metadata) == {*ours.metadata, *theirs.metadata}


def test_artifact_links_with_one_name_and_different_digests_are_a_conflict():
    base = VersionRecord(number=4, created=MOMENT)
    other = replace(LINK, digest=f"sha256:{2:064x}")
    record, conflicts = merge(base, replace(base, artifacts=(LINK,)), replace(base, artifacts=(other,)))
    assert (record.artifacts, conflicts) == ((other,), ["artifacts.weights"])


def test_different_texts_of_a_key_are_a_conflict_and_lists_of_owners_are_merged():
    base = ModelRecord(created=MOMENT)
    ours = replace(base, title="Iris", owners=("ada",))
    theirs = replace(base, title="Flowers", owners=("bob",))
    record, conflicts = merge(base, ours, theirs)
    assert (record.title, record.owners, conflicts) == ("Flowers", ("ada", "bob"), ["title"])


def test_the_number_of_each_renumbered_version_in_a_commit_message_is_replaced_only_once():
    message = (
        "Promote iris 4 to production\n\nbetter than iris 4\n\nModel: iris\nVersion: 4\nPrevious-Version: 5\nTxn: 4f\n"
    )
    said = reworded(message, ReplayState({("iris", 4): 5, ("iris", 5): 6}))
    assert said == (
        "Promote iris 5 to production\n\nbetter than iris 4\n\nModel: iris\nVersion: 5\nPrevious-Version: 6\nTxn: 4f\n"
    )


def test_a_number_of_another_model_in_a_commit_message_is_not_replaced():
    message = "Promote iris-2 4 to production\n\nModel: iris-2\nVersion: 4\nTxn: 4f\n"
    assert reworded(message, ReplayState({("iris", 4): 5})) == message


def test_the_message_of_a_replayed_promotion_names_the_current_holder_as_the_previous_version():
    facts = "Model: iris\nVersion: 4\nStage: production\nPrevious-Version: 3\nTxn: 4f\n"
    done = Replayed({"models/iris/stages/production.toml": b""}, previous={"production": 7})
    assert reworded(f"Promote iris 4 to production\n\n{facts}", ReplayState({("iris", 4): 5}), done) == (
        "Promote iris 5 to production\n\nModel: iris\nVersion: 5\nStage: production\nPrevious-Version: 7\nTxn: 4f\n"
    )
    done = Replayed({"models/iris/stages/production.toml": b""}, previous={"production": None})
    assert "Previous-Version" not in reworded(f"Promote iris 4 to production\n\n{facts}", ReplayState(), done)


def test_the_message_of_a_replayed_commit_does_not_mention_a_stage_that_was_left_out():
    message = "Several\n\nModel: iris\nVersion: 4\nStage: production\nPrevious-Version: 3\nForced: good\nTxn: 4f\n"
    done = Replayed({"models/iris/versions/4.toml": b""})
    assert reworded(message, ReplayState(), done) == "Several\n\nModel: iris\nVersion: 4\nTxn: 4f\n"
