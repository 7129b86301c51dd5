"""The comparison of two versions: which fields and artifacts count as equal, and which have a numeric change."""

from gitmodel.domain.schema.records import ArtifactLink
from gitmodel.domain.views.comparison import compare_artifacts, compare_values


def test_a_comparison_shows_a_change_only_for_numbers():
    found = compare_values({"flag": True, "loss": 1, "note": "a"}, {"flag": False, "loss": 0.5, "note": "b"})
    assert [(row.name, row.change) for row in found] == [("flag", None), ("loss", -0.5), ("note", None)]


def test_equal_values_of_different_types_are_not_the_same():
    (row,) = compare_values({"on": True}, {"on": 1})
    assert not row.same


def test_artifacts_with_equal_digests_are_the_same():
    old = [
        ArtifactLink(name="a", kind="data", digest="sha256:1", size=1),
        ArtifactLink(name="b", kind="data", digest="sha256:2", size=1),
    ]
    new = [
        ArtifactLink(name="a", kind="data", digest="sha256:1", size=1, metadata={"rows": 3}),
        ArtifactLink(name="c", kind="model", digest="sha256:3", size=1),
    ]
    found = compare_artifacts(old, new)
    assert [(row.name, row.kind, row.old, row.new, row.same) for row in found] == [
        ("a", "data", "sha256:1", "sha256:1", True),
        ("b", "data", "sha256:2", None, False),
        ("c", "model", None, "sha256:3", False),
    ]
