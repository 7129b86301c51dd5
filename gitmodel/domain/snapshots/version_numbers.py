"""The numbers of the versions of a model, read from the names of their files. Pure: files are read through `Files`."""

from __future__ import annotations

import re
from collections.abc import Iterator

from gitmodel.domain.schema import paths, records
from gitmodel.domain.snapshots.snapshot_sources import Files
from gitmodel.errors import Invalid

# Numbers as written in paths.
_NUMBER = re.compile(r"[1-9][0-9]{0,17}")


def newest_numbers(files: Files, model: str) -> Iterator[int]:
    """Yield the numbers of all versions of *model*, the newest first; folders are read when they are needed."""
    folder = _folder(model)
    found = files.names(folder)
    for name in sorted(filter(hundred_of, found), key=hundred_of, reverse=True):
        yield from sorted(_numbers_of(files, folder, name), reverse=True)
    yield from sorted(filter(None, map(number_of, found)), reverse=True)


def number_of(name: str) -> int:
    """Return the number of the version in the file *name*, 0 if it is not the file of a version."""
    return _leading(name) if name.endswith(".toml") else 0


def hundred_of(name: str) -> int:
    """Return the hundred whose versions are in the folder *name*, 0 if it is not the folder of one.

    >>> hundred_of("4xx"), number_of("412.toml"), number_of("model.toml")
    (4, 412, 0)
    """
    return _leading(name) if name.endswith("xx") else 0


def count_present(files: Files, model: str, *, newer: bool) -> int:
    """Count the versions of *model* that are not deleted; a damaged version counts. *newer*: ignore unknown keys."""
    return _count_present(files, _folder(model), newer=newer)[0]


def last_number(files: Files, model: str) -> int:
    """Return the highest number that *model* ever used, 0 if none."""
    key = ("last number", model)
    known = files.recall(key)
    if known is None:
        known = next(newest_numbers(files, model), 0)
        files.remember(key, known)
    return int(known)


def check_number(model: str, number: int, last: int) -> None:
    """Raise Invalid if *number*, after *last*, cannot be the number of a new version of *model*."""
    if number <= paths.HIGHEST_NUMBER:
        return
    where = f"; {paths.version_file(model, last)} has the highest" if last >= paths.HIGHEST_NUMBER else ""
    raise Invalid(
        f"the next version of {model} would be {number}, and numbers end at {paths.HIGHEST_NUMBER}{where}",
        hint="if that number was a mistake, remove its file from the metadata branch with git; "
        "else go on with a new model",
    )


def _folder(model: str) -> str:
    return f"{paths.model_folder(model)}/versions"


def _numbers_of(files: Files, folder: str, hundred: str) -> Iterator[int]:
    """Return the numbers in the folder *hundred*; files that do not belong there are ignored."""
    found = map(number_of, files.names(f"{folder}/{hundred}"))
    return (number for number in found if number and number // 100 == hundred_of(hundred))


def _count_present(files: Files, folder: str, *, newer: bool, hundreds: bool = True) -> tuple[int, bool]:
    """Count the versions below *folder* that are not deleted; the second value is True if all could be read."""
    known = files.noted(folder, "present")
    if known is not None:
        return known, True
    names = files.names(folder)
    versions = [f"{folder}/{name}" for name in names if number_of(name)]
    read = files.load_many(versions, records.VersionRecord, newer=newer)
    sound = [record for record in read if not isinstance(record, Invalid)]
    # A nested folder of a hundred is invalid, and could be thousands of levels deep.
    inside = [f"{folder}/{name}" for name in names if hundreds and hundred_of(name)]
    counted = [_count_present(files, hundred, newer=newer, hundreds=False) for hundred in inside]
    present = len(versions) - sum(1 for record in sound if record.deleted) + sum(count for count, _ in counted)
    whole = len(sound) == len(versions) and all(sure for _, sure in counted)
    if names and whole:
        files.note(folder, "present", present)
    return present, whole


def _leading(name: str) -> int:
    digits = name.removesuffix(".toml").removesuffix("xx")
    return int(digits) if _NUMBER.fullmatch(digits) else 0
