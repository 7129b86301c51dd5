"""Pictures and small texts among artifacts, recognised by their content. Pages never show SVG and HTML artifacts."""

from __future__ import annotations

import struct

from gitmodel.domain.schema.records import ArtifactLink
from gitmodel.domain.views.picture_files import MOST_PIXELS
from gitmodel.frozen import Frozen

MOST_PICTURE_BYTES = 5_000_000
MOST_TEXT_BYTES = 64_000
_PICTURES = frozenset({"gif", "jpeg", "jpg", "png", "webp"})
_TEXTS = frozenset({"csv", "json", "log", "md", "text", "toml", "tsv", "txt", "yaml", "yml"})


class Picture(Frozen):
    """A picture: the *ending* of file names for its format, which is read from its content, and its size in pixels."""

    ending: str
    width: int
    height: int


def may_be_shown(link: ArtifactLink) -> bool:
    """Return True if the artifact may be a picture or a small text, by its format, name and size."""
    words = {link.format, link.file_name.rpartition(".")[2].lower()}
    if words & _PICTURES:
        return link.size <= MOST_PICTURE_BYTES
    return bool(words & _TEXTS) and link.size <= MOST_TEXT_BYTES


def read_picture(data: bytes) -> Picture | None:
    """Return the picture in *data*; None if it is no PNG, JPEG, WebP or GIF, or has more than 50 million pixels.

    >>> read_picture(b"GIF89a" + bytes([2, 0, 3, 0]))
    Picture(ending='gif', width=2, height=3)
    """
    try:
        found = _measured(data)
    except (struct.error, IndexError):
        return None
    if found is None or not 0 < found.width * found.height <= MOST_PIXELS:
        return None
    return found


def picture_file(link: ArtifactLink, data: bytes | None) -> str:
    """Return the file name in the site of an artifact with the content *data*.

    Returns "" if *data* is None or is not a picture that pages show (see `read_picture`).
    """
    found = read_picture(data) if data is not None else None
    return f"{link.digest.removeprefix('sha256:')}.{found.ending}" if found is not None else ""


def read_text(data: bytes) -> str | None:
    """Return *data* as text; None if it is not text in UTF-8."""
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return None
    return None if "\0" in text else text


def _measured(data: bytes) -> Picture | None:
    if data.startswith(b"\x89PNG\r\n\x1a\n") and data[12:16] == b"IHDR":
        return Picture("png", *struct.unpack(">II", data[16:24]))
    if data[:6] in (b"GIF87a", b"GIF89a"):
        return Picture("gif", *struct.unpack("<HH", data[6:10]))
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return _measured_webp(data)
    return _measured_jpeg(data) if data.startswith(b"\xff\xd8\xff") else None


def _measured_webp(data: bytes) -> Picture | None:
    kind = data[12:16]
    if kind == b"VP8X":
        width, height = (int.from_bytes(data[at : at + 3], "little") + 1 for at in (24, 27))
        return Picture("webp", width, height)
    if kind == b"VP8L":
        (bits,) = struct.unpack("<I", data[21:25])
        return Picture("webp", (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1)
    if kind == b"VP8 ":
        width, height = struct.unpack("<HH", data[26:30])
        return Picture("webp", width & 0x3FFF, height & 0x3FFF)
    return None


def _measured_jpeg(data: bytes) -> Picture | None:
    """Return the picture with the size in the first frame header (SOF) of a JPEG file; None without a header."""
    at = 2
    while data[at] == 0xFF:
        marker = data[at + 1]
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            height, width = struct.unpack(">HH", data[at + 5 : at + 9])
            return Picture("jpg", width, height)
        at += 2 + struct.unpack(">H", data[at + 2 : at + 4])[0]
    return None
