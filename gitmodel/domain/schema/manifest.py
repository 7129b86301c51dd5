"""The manifest of a folder artifact: a text with one line per file, in a fixed order. Pure: bytes <-> entries.

The first line is `gitmodel-manifest 1`; each other line is `<digest> <size> <path>`, LF at its end, sorted by
the UTF-8 bytes of the path. A folder has only one manifest, so equal folders have equal digests.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from itertools import pairwise
from typing import NamedTuple

from gitmodel.domain.schema.digests import Digest, parse_digest
from gitmodel.errors import Invalid

HEADER = b"gitmodel-manifest 1\n"
SIZE_LIMIT = 2**63 - 1  # larger sizes do not fit the signed 64-bit integers of other tools

_HEADER = re.compile(rb"gitmodel-manifest ([0-9]{1,9})\n")
_LINE = re.compile(r"(sha256:[0-9a-f]{64}) (0|[1-9][0-9]{0,18}) (.+)", re.DOTALL)
# C0, DEL and C1: control characters that break lines or control a terminal
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")


class ManifestEntry(NamedTuple):
    """One file of a folder: its digest, its length in bytes, and its path from the folder, with `/`."""

    digest: Digest
    size: int
    path: str


def fault_of_path(path: str) -> str:
    """Return the reason why *path* is invalid in a manifest, or "".

    >>> fault_of_path("weights/layer-1.bin")
    ''
    >>> fault_of_path("../secret")
    'a part of it is ".."'
    """
    if not path:
        return "it is empty"
    if path[0] == "/":
        return "it begins with /"
    if "\\" in path:
        return "it holds a backslash"
    if _CONTROL.search(path):
        return "it holds a control character"
    for part in path.split("/"):
        if not part:
            return "a part of it is empty"
        if part in (".", ".."):
            return f'a part of it is "{part}"'
    try:
        path.encode()
    except UnicodeEncodeError:
        return "it is not UTF-8"
    return ""


def format_manifest(entries: Iterable[ManifestEntry]) -> bytes:
    r"""Return the manifest of *entries*, which may be in any order.

    >>> format_manifest([])
    b'gitmodel-manifest 1\n'

    Raises Invalid for an entry with an invalid digest, size or path, or two entries that cannot be in one folder.
    """
    ordered = sorted(entries, key=lambda entry: entry.path)
    for entry in ordered:
        parse_digest(entry.digest)
        if not 0 <= entry.size <= SIZE_LIMIT:
            raise Invalid(f"{_shown(entry.path)}: {entry.size} is not a file size")
        if fault := fault_of_path(entry.path):
            raise Invalid(f"{_shown(entry.path)} cannot be in a folder: {fault}")
    for before, after in pairwise(ordered):
        if before.path == after.path:
            raise Invalid(f"{_shown(after.path)} occurs twice")
    _refuse_file_as_folder([entry.path for entry in ordered])
    lines = [f"{entry.digest} {entry.size} {entry.path}\n" for entry in ordered]
    return HEADER + "".join(lines).encode()


def parse_manifest(content: bytes) -> tuple[ManifestEntry, ...]:
    r"""Return the entries of a manifest, sorted by path.

    Accepts only the output of `format_manifest`. Otherwise raises Invalid, which names the line. Takes n log n time for
    n bytes, even for malicious content.

    >>> parse_manifest(b"gitmodel-manifest 1\n")
    ()
    """
    _check_header(content)
    if content[-1:] != b"\n":
        raise Invalid("the manifest is cut off: its last line has no end")
    try:
        lines = content[len(HEADER) :].decode().split("\n")[:-1]
    except UnicodeDecodeError as error:
        bad = content.count(b"\n", 0, len(HEADER) + error.start) + 1
        raise Invalid(f"line {bad} of the manifest is not UTF-8") from None
    entries = []
    previous = ""
    for number, line in enumerate(lines, start=2):
        entry = _parse_line(line, number)
        if entry.path <= previous:  # sorting by code points equals sorting by UTF-8 bytes
            what = "occurs twice" if entry.path == previous else "is out of order"
            raise Invalid(f"line {number} of the manifest: {_shown(entry.path)} {what}")
        previous = entry.path
        entries.append(entry)
    _refuse_file_as_folder([entry.path for entry in entries])
    return tuple(entries)


def _check_header(content: bytes) -> None:
    if content.startswith(HEADER):
        return
    found = _HEADER.match(content[:40])
    if found and int(found[1]) > 1:
        raise Invalid(
            f"line 1: this manifest has format {int(found[1])}, which is newer than this gitmodel",
            hint="upgrade with `pip install --upgrade gitmodel`",
        )
    raise Invalid("line 1: this is not a manifest; it must begin with `gitmodel-manifest 1`")


def _parse_line(line: str, number: int) -> ManifestEntry:
    match = _LINE.fullmatch(line)
    if not match or int(match[2]) > SIZE_LIMIT:
        raise Invalid(f"line {number} of the manifest is not `<digest> <size> <path>`: {_shown(line)}")
    path = match[3]
    if fault := fault_of_path(path):
        raise Invalid(f"line {number} of the manifest: {_shown(path)} cannot be in a folder: {fault}")
    return ManifestEntry(match[1], int(match[2]), path)


def _refuse_file_as_folder(paths: list[str]) -> None:
    # "\0" as separator sorts before every other character, so the content of a folder comes right after a file of the
    # same name. So comparing neighbours is enough, even for very deep paths.
    keys = sorted((path.replace("/", "\0"), number) for number, path in enumerate(paths, start=2))
    for (before, _), (after, number) in pairwise(keys):
        if after.startswith(before) and after[len(before)] == "\0":
            path = _shown(before.replace("\0", "/"))
            raise Invalid(f"line {number} of the manifest: {path} is both a file and a folder")


def _shown(text: str) -> str:
    return ascii(text if len(text) <= 80 else text[:77] + "...")
