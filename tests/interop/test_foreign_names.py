"""Names of another registry that gitmodel does not allow are mapped to valid names, and can be mapped back."""

from itertools import islice

import pytest

from gitmodel.domain.schema.names import MAX_LENGTH, fault_in
from gitmodel.interop.foreign_names import candidate_names, is_plain, original_name

FOREIGN = [
    "my model", "Iris (v2)", "churn/eu", "x" * 250, "...", "模型", "aux", "a..b", "a.lock", "iris-0a1b2c3d", "\udcff",
]  # fmt: skip


@pytest.mark.parametrize("name", FOREIGN)
def test_each_candidate_is_a_valid_name_that_leads_back_to_the_original(name: str) -> None:
    for candidate in islice(candidate_names(name), 3):
        assert fault_in(candidate) is None
        assert len(candidate) <= MAX_LENGTH
        assert original_name(candidate, name) == name


def test_a_valid_name_stays_unchanged_whatever_its_title() -> None:
    assert next(candidate_names("iris")) == "iris"
    assert original_name("iris", "Flowers by their leaves") == "iris"


def test_different_names_get_different_candidates() -> None:
    names = [*FOREIGN, *(name.upper() for name in FOREIGN)]
    assert len({next(candidate_names(name)) for name in names}) == len(set(names))


def test_a_foreign_name_that_looks_like_a_mapped_name_is_mapped() -> None:
    mapped = next(candidate_names("my model"))
    assert not is_plain(mapped)
    assert next(candidate_names(mapped)) != mapped


def test_the_original_of_a_mapped_name_does_not_depend_on_the_title() -> None:
    mapped = next(candidate_names("my model"))
    assert original_name(mapped, "Another title") == mapped
