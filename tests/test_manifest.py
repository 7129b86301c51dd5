"""A manifest lists the files of a folder. Its digest is the digest of the folder. A folder has exactly one manifest.

Reading bytes that are not such a manifest, also malicious bytes, raises Invalid with a short message.
"""

import time
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gitmodel.domain.schema.digests import digest_of
from gitmodel.domain.schema.manifest import (
    HEADER,
    SIZE_LIMIT,
    ManifestEntry,
    fault_of_path,
    format_manifest,
    parse_manifest,
)
from gitmodel.errors import Invalid

A = digest_of(b"a")
PARTS = st.text(
    st.characters(exclude_categories=["Cc", "Cs"], exclude_characters="/\\"), min_size=1, max_size=8
).filter(lambda part: part not in (".", ".."))
PATHS = st.lists(PARTS, min_size=1, max_size=4).map("/".join)


def no_file_is_a_folder(paths):
    folders = {path[:at] for path in paths for at in range(len(path)) if path[at] == "/"}
    return not folders & set(paths)


FOLDERS = st.lists(
    st.builds(ManifestEntry, st.binary().map(digest_of), st.integers(0, SIZE_LIMIT), PATHS),
    unique_by=lambda entry: entry.path,
).filter(lambda entries: no_file_is_a_folder([entry.path for entry in entries]))


def line(path, digest=A, size=1):
    return f"{digest} {size} {path}\n".encode()


@given(FOLDERS)
def test_a_manifest_is_the_same_after_writing_and_reading(entries):
    content = format_manifest(entries)
    assert parse_manifest(content) == tuple(sorted(entries, key=lambda entry: entry.path.encode()))
    assert format_manifest(parse_manifest(content)) == content


@given(FOLDERS, st.randoms())
def test_the_order_of_the_entries_does_not_change_a_manifest(entries, random):
    shuffled = list(entries)
    random.shuffle(shuffled)
    assert format_manifest(shuffled) == format_manifest(entries)


@given(st.binary() | st.binary().map(HEADER.__add__))
def test_reading_any_bytes_as_a_manifest_raises_no_error_except_invalid(content):
    try:
        entries = parse_manifest(content)
    except Invalid:
        return
    assert format_manifest(entries) == content


@given(FOLDERS, st.data())
def test_a_manifest_with_a_changed_byte_is_refused_or_is_the_manifest_of_another_folder(entries, data):
    content = bytearray(format_manifest(entries))
    content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    with suppress(Invalid):
        assert format_manifest(parse_manifest(bytes(content))) == content


def test_the_manifest_of_an_empty_folder_is_only_the_header():
    assert format_manifest([]) == HEADER
    assert parse_manifest(HEADER) == ()


def test_the_bytes_of_a_manifest_are_as_documented():
    entries = [ManifestEntry(A, 20, "b/c.txt"), ManifestEntry(A, 1, "a")]
    assert format_manifest(entries) == f"gitmodel-manifest 1\n{A} 1 a\n{A} 20 b/c.txt\n".encode()


BAD_PATHS = ["/a", "a//b", "a/", "./a", "a/./b", "..", "../a", "a/../b", "a\\b", "a\tb", "\x7f", "\x85", "\0"]


@pytest.mark.parametrize("path", BAD_PATHS)
def test_a_manifest_with_an_unsafe_path_is_refused(path):
    assert fault_of_path(path)
    with pytest.raises(Invalid, match=r"line 2.*cannot be in a folder"):
        parse_manifest(HEADER + line(path))
    with pytest.raises(Invalid, match="cannot be in a folder"):
        format_manifest([ManifestEntry(A, 1, path)])


@pytest.mark.parametrize("path", ["", "\udcff", "a\nb"])
def test_a_manifest_cannot_be_written_if_a_path_cannot_be_encoded(path):
    with pytest.raises(Invalid, match="cannot be in a folder"):
        format_manifest([ManifestEntry(A, 1, path)])


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "line 1"),
        (b"\n", "line 1"),
        (b"gitmodel-manifest 1", "line 1"),
        (b"gitmodel-manifest 01\n", "line 1"),
        (b"gitmodel-manifest 1\r\n", "line 1"),
        (b"\xef\xbb\xbf" + HEADER, "line 1"),
        (b"gitmodel-manifest 2\n", "newer"),
        (HEADER + line("a")[:-1], "cut off"),
        (HEADER + b"\n", "line 2"),
        (HEADER + line("a") + b"\n", "line 3"),
        (HEADER + line("a", size="01"), "line 2"),
        (HEADER + line("a", size="-1"), "line 2"),
        (HEADER + line("a", size="1.0"), "line 2"),
        (HEADER + line("a", size="٣"), "line 2"),
        (HEADER + line("a", size=2**63), "line 2"),
        (HEADER + line("a", size="9" * 5_000), "line 2"),
        (HEADER + line("a", digest="md5:00"), "line 2"),
        (HEADER + line("a", digest=A.upper()), "line 2"),
        (HEADER + line("a\r"), "line 2"),
        (HEADER + line(""), "line 2"),
        (HEADER + line("a") + line("b").replace(b"b\n", b"\xff\n"), "line 3.*UTF-8"),
        (HEADER + line("b") + line("a"), "line 3.*out of order"),
        (HEADER + line("a") + line("a"), "line 3.*twice"),
        (HEADER + line("a") + line("a-b") + line("a/b"), "line 4.*'a' is both a file and a folder"),
    ],
)
def test_the_error_for_a_manifest_that_is_not_canonical_names_the_line(content, said):
    with pytest.raises(Invalid, match=said):
        parse_manifest(content)


def test_a_manifest_with_two_entries_for_one_path_cannot_be_written():
    with pytest.raises(Invalid, match="twice"):
        format_manifest([ManifestEntry(A, 1, "a"), ManifestEntry(A, 2, "a")])
    with pytest.raises(Invalid, match="a file and a folder"):
        format_manifest([ManifestEntry(A, 1, "a"), ManifestEntry(A, 2, "a!"), ManifestEntry(A, 2, "a/b/c")])
    with pytest.raises(Invalid, match="size"):
        format_manifest([ManifestEntry(A, -1, "a")])


@pytest.mark.parametrize(
    "content",
    [
        HEADER + line("a/" * 1_000_000 + "a"),
        HEADER + line("a" * 5_000_000),
        HEADER + b"".join(line("a/" * 2_000 + f"{n:05}") for n in range(500)),
        HEADER + b"\n" * 2_000_000,
        b"gitmodel-manifest " + b"9" * 5_000_000 + b"\n",
        HEADER + b"\xff" * 2_000_000 + b"\n",
    ],
    ids=["deep", "long", "deep and many", "empty lines", "long header", "not text"],
)
def test_hostile_manifests_are_read_in_linear_time(content):
    begun = time.process_time()
    said = ""
    try:
        parse_manifest(content)
    except Invalid as error:
        said = error.message
    assert len(said) < 600
    assert time.process_time() - begun < 2  # measured: 0.05 s; if the time were quadratic, it would be minutes
