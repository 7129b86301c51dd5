"""Conversion of the row index of a pandas table to columns of an Arrow table and back."""

from __future__ import annotations

from typing import Any

from gitmodel.formats.encoding import values
from gitmodel.formats.encoding.arrow_arrays import Spec
from gitmodel.formats.encoding.columns import (
    about_index,
    decode_column,
    decode_labels,
    encode_labels,
    encode_name,
    index_of,
)


def encode_index(pandas: Any, index: Any, add: Any) -> Spec:
    """Return the `Spec` of the row index *index*.

    For a range, it has the start, stop and step. For any other index, calls *add*, which adds a column to the table,
    for each level, and the `Spec` describes these columns.
    """
    if isinstance(index, pandas.MultiIndex):
        levels = []
        # without names, because pandas would take a number as a name for the position of a level
        nameless = index.set_names([None] * index.nlevels)
        for place, name in enumerate(index.names):
            level = nameless.get_level_values(place).rename(name)
            wanted = f"__index_level_{place}__" if name is None else str(name)
            where = f"level {place} of the index"
            if level.dtype == index.levels[place].dtype:
                levels.append({"spec": add(wanted, level, where), **about_index(level)})
            # for integers with missing values, which would become floats in a column: store the distinct values and
            # codes
            else:
                codes = add(wanted, index.codes[place], where)
                levels.append({"spec": codes, "level": encode_labels(index.levels[place]), **about_index(level)})
        return {"levels": levels}
    if isinstance(index, pandas.RangeIndex):
        return {"range": [index.start, index.stop, index.step], "name": encode_name(index.name, "the index name")}
    wanted = "__index_level_0__" if index.name is None else str(index.name)
    return {"spec": add(wanted, index, "the index"), **about_index(index)}


def decode_index(pandas: Any, told: Spec, table: Any, first: int, start: int, rows: int) -> Any:
    """Return the row index that `encode_index` encoded as *told*.

    *table* has the columns of the index from the position *first* on. *table* can be a part of the saved table: *rows*
    rows from the row *start* on.
    """
    if "range" in told:
        begin, stop, step = told["range"]
        if rows == len(range(begin, stop, step)):
            return pandas.RangeIndex(begin, stop, step, name=values.decode(told["name"]))
        begin += start * step
        return pandas.RangeIndex(begin, begin + rows * step, step, name=values.decode(told["name"]))
    if "levels" in told:
        levels = [
            index_of(pandas, decode_column(table.column(first + place), level["spec"]), level)
            for place, level in enumerate(told["levels"])
        ]
        found = pandas.MultiIndex.from_arrays(levels, names=[None] * len(levels))
        for place, level in enumerate(told["levels"]):
            if "level" in level:
                codes = levels[place].to_numpy()
                empty = found.set_codes([-1] * len(codes), level=place)
                found = empty.set_levels(decode_labels(pandas, level["level"]), level=place)
                found = found.set_codes(codes, level=place)
        return found.set_names([level.name for level in levels])
    return index_of(pandas, decode_column(table.column(first), told["spec"]), told)
