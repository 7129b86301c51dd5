"""The numbers of the versions of a model, read from the names of their files. Pure: files are read through `Files`."""

from __future__ import annotations

from collections.abc import Iterator

from gitmodel.domain.schema import paths, records
from gitmodel.domain.snapshots.snapshot_sources import Files
from gitmodel.errors import Invalid

_MOST_DIGITS = 18


def newest_numbers(files: Files, model: str) -> Iterator[int]:
    """Yield the numbers of all versions of *model*, the newest first.

    Reads, sorts and parses a folder only when its numbers are needed, because every write asks for the newest number.
    """
    folder = _folder(model)
    found = files.names(folder)
    # *found* is sorted as text. Among names of the same length, this is the order of their numbers.
    hundreds = sorted((name for name in reversed(found) if name.endswith("xx")), key=len, reverse=True)
    for name in hundreds:
        hundred = hundred_of(name)
        numbers = map(number_of, reversed(files.names(f"{folder}/{name}"))) if hundred else ()
        yield from (number for number in numbers if number // 100 == hundred)
    yield from sorted(filter(None, map(number_of, found)), reverse=True)


def number_of(name: str) -> int:
    """Return the number of the version in the file *name*; 0 for another file."""
    return _number_before(".toml", name)


def hundred_of(name: str) -> int:
    """Return the hundreds of the numbers of the versions in the folder *name*; 0 for another folder.

    >>> hundred_of("4xx"), number_of("412.toml"), number_of("model.toml")
    (4, 412, 0)
    """
    return _number_before("xx", name)


def _number_before(suffix: str, name: str) -> int:
    digits = name.removesuffix(suffix)  # not by a regular expression, which is slower: lists read many names
    is_number = digits.isascii() and digits.isdecimal() and digits[0] != "0" and len(digits) <= _MOST_DIGITS
    return int(digits) if is_number and len(digits) < len(name) else 0


def count_present(files: Files, model: str, *, newer: bool) -> tuple[int, bool]:
    """Count the versions of *model* that are not deleted, including damaged versions.

    The second value is True if no version is damaged. With *newer*, an unknown key is no damage.
    """
    found = (paths.version_file(model, number) for number in newest_numbers(files, model))
    present, whole = 0, True
    for record in files.load_many(found, records.VersionRecord, newer=newer):
        if isinstance(record, Invalid):
            whole = False
        present += isinstance(record, Invalid) or record.deleted is None
    return present, whole


def last_number(files: Files, model: str) -> int:
    """Return the highest number that *model* ever used, or 0."""
    return next(newest_numbers(files, model), 0)


def check_number(model: str, number: int, last: int) -> None:
    """Raise Invalid if *number* is too large for a new version of *model*. *last* is the highest number so far."""
    if number <= paths.HIGHEST_NUMBER:
        return
    where = f"; {paths.version_file(model, last)} has the highest" if last >= paths.HIGHEST_NUMBER else ""
    raise Invalid(
        f"the next version of {model} would be {number}, and numbers end at {paths.HIGHEST_NUMBER}{where}",
        hint="if that number was a mistake, remove its file from the metadata branch with git; "
        "otherwise, continue with a new model",
    )


def _folder(model: str) -> str:
    return f"{paths.model_folder(model)}/versions"
