"""The limit on the size of a picture that is about to be stored as an artifact."""

from __future__ import annotations

from pathlib import Path

from gitmodel.domain.views.picture_files import LARGEST_PICTURE, PICTURES
from gitmodel.errors import UsageError


def refuse_large_picture(path: Path, name: str, format: str = "") -> None:
    """Raise UsageError if the file *path*, the source of the artifact *name*, is a picture of more than 100 MB.

    A file is a picture by its suffix, its content, or the *format* in which it will be recorded.
    """
    if not path.is_file() or (size := path.stat().st_size) <= LARGEST_PICTURE:
        return
    from gitmodel.formats import detect_format  # imported here because few artifacts are that large

    if not PICTURES.isdisjoint((path.suffix.lower()[1:], format, detect_format(path))):
        raise UsageError(
            f"the picture {name} has {size / 1e6:,.0f} MB, more than the limit of {LARGEST_PICTURE / 1e6:,.0f} MB",
            hint="make it smaller, such as with figure.savefig(..., dpi=100), or store it in a folder or an archive",
        )
