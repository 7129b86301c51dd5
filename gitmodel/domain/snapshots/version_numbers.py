"""The numbers of versions in the names of their files and folders, and the highest number. Pure."""

from __future__ import annotations

from gitmodel.domain.schema import paths
from gitmodel.errors import Invalid

_MOST_DIGITS = 18


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
