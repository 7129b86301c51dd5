"""polars: frames in Parquet files, with all their types."""

import datetime
import pickle

import pytest

from gitmodel.errors import Refused, UsageError
from gitmodel.formats import load, materializers

polars = pytest.importorskip("polars")

FRAME = polars.DataFrame(
    {
        "number": [1, None, 3],
        "share": [0.5, float("nan"), None],
        "name": ["a", None, "c"],
        "day": [datetime.date(2024, 1, 2)] * 3,
        "list": [[1, 2], [], None],
        "kind": polars.Series(["x", "y", "x"], dtype=polars.Enum(["x", "y"])),
        "group": polars.Series(["x", "y", "x"], dtype=polars.Categorical),
    }
)


def test_a_polars_frame_is_loaded_with_its_types(kept):
    found = kept(FRAME, "polars", detected="parquet")
    assert found.schema == FRAME.schema
    assert found.equals(FRAME)


def test_a_lazy_frame_is_refused_and_the_hint_names_collect(tmp_path):
    with pytest.raises(UsageError, match="polars holds a DataFrame or a Series") as caught:
        materializers.save(FRAME.lazy(), tmp_path / "x", "output x", "")
    assert ".collect()" in caught.value.hint


@pytest.mark.parametrize("name", FRAME.columns)
def test_a_polars_series_is_loaded_as_a_series(name, kept):
    found = kept(FRAME[name], "polars", detected="parquet")
    assert (type(found), found.name, found.dtype) == (polars.Series, name, FRAME[name].dtype)
    assert found.equals(FRAME[name])


def test_an_empty_series_without_a_name_and_a_frame_of_one_column_keep_their_types(kept, tmp_path):
    assert kept(polars.Series([], dtype=polars.Int8), "polars", detected="parquet").dtype == polars.Int8
    frame = FRAME.select("number")
    materializers.save(frame, tmp_path / "frame", "output x", "")
    assert load(tmp_path / "frame", "polars").equals(frame)


def test_a_file_of_two_columns_that_claims_to_be_a_series_is_loaded_as_a_table(tmp_path):
    with open(tmp_path / "x", "wb") as file:
        FRAME.select("number", "name").write_parquet(file, metadata={"gitmodel.series": "1"})
    assert load(tmp_path / "x", "polars").width == 2


def test_a_polars_column_of_objects_is_refused(tmp_path):
    with pytest.raises(UsageError, match="cannot be saved as polars"):
        materializers.save(polars.DataFrame({"a": polars.Series([object()])}), tmp_path / "x", "output x", "")
    assert list(tmp_path.iterdir()) == []


def test_a_step_gets_an_input_in_the_annotated_type(tmp_path):
    pandas = pytest.importorskip("pandas")
    materializers.save(FRAME.select("number", "name"), tmp_path / "ours", "output x", "")
    found = materializers.load(tmp_path / "ours", "polars", "", wanted=pandas.DataFrame, trusted=False)
    assert found["number"].sum() == 4
    materializers.save(pandas.DataFrame({"number": [1.0, 2.0]}), tmp_path / "theirs", "output x", "")
    found = materializers.load(tmp_path / "theirs", "parquet", "", wanted=polars.DataFrame, trusted=False)
    assert found["number"].to_list() == [1.0, 2.0]


def test_a_pickle_in_place_of_a_polars_file_is_refused(tmp_path):
    (tmp_path / "x").write_bytes(pickle.dumps(FRAME.to_dict(as_series=False)))
    with pytest.raises(Refused):
        load(tmp_path / "x", "polars")
