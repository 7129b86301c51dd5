"""The format png: figures of matplotlib and pictures of Pillow, loaded as pictures of Pillow.

Files in the formats jpeg, gif and webp are recognized and loaded; saving in them could change the pixels.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

from gitmodel.domain.views.picture_files import MOST_PIXELS
from gitmodel.errors import UsageError
from gitmodel.formats.catalogue.format import Format, TooLarge, is_subclass_of, library, type_name


def _load(path: Path, trusted: bool, *, kind: str = "PNG") -> Any:
    picture = library("PIL.Image", install="pillow").open(path, formats=[kind])
    with picture:
        _check_size(*picture.size)
        picture.load()
    return picture


def _save(value: Any, path: Path) -> None:
    if _is_figure(value):
        dpi = library("matplotlib", install="matplotlib").rcParams["savefig.dpi"]
        width, height = value.get_size_inches() * (value.dpi if dpi == "figure" else dpi)
        _check_size(int(width), int(height))
        # Software is left out, because the version of matplotlib in it would make files of equal figures differ
        value.savefig(path, format="png", metadata={"Software": None})
        return
    if not is_subclass_of(type(value), "PIL.Image", "Image"):
        raise UsageError(
            f"png holds a figure of matplotlib or a picture of Pillow, not this {type_name(value)}",
            hint="save its figure: axes.figure"
            if is_subclass_of(type(value), "matplotlib.artist", "Artist")
            else "convert it, such as with PIL.Image.fromarray",
        )
    _check_size(*value.size)
    value.save(path, format="PNG")


def _difference(saved: Any, loaded: Any) -> str:
    if _is_figure(saved):
        return ""
    if (saved.mode, saved.size) != (loaded.mode, loaded.size):
        return f"{saved.mode} {saved.size} would be {loaded.mode} {loaded.size}"
    return "" if saved.tobytes() == loaded.tobytes() else "its pixels would differ"


def _check_size(width: int, height: int) -> None:
    if width * height > MOST_PIXELS:
        raise TooLarge(
            f"the picture has {width:,} x {height:,} pixels, more than the limit of {MOST_PIXELS:,}",
            hint="make it smaller: figure.savefig(..., dpi=100), or image.resize((width, height))",
        )


def _is_figure(value: Any) -> bool:
    return is_subclass_of(type(value), "matplotlib.figure", "Figure")


def _read_only(kind: str, extensions: tuple[str, ...], *magic: bytes) -> Format:
    def save(value: Any, path: Path) -> None:
        raise UsageError(
            f"gitmodel does not write {kind} files",
            hint='save it as "png", or write the file and link its path',
        )

    return Format(kind.lower(), partial(_load, kind=kind), save, extensions, magic)


GIF = _read_only("GIF", (".gif",), b"GIF87a", b"GIF89a")
JPEG = _read_only("JPEG", (".jpg", ".jpeg"), b"\xff\xd8\xff")
WEBP = _read_only("WEBP", (".webp",))
PNG = Format("png", _load, _save, (".png",), (b"\x89PNG\r\n\x1a\n",), difference=_difference)
