"""Records keep what they do not know, byte for byte."""

from __future__ import annotations

import pytest

from gitmodel.domain import codec, records

HEAD = b"number = 4\ncreated = 2026-11-23T10:12:13Z\n"


@pytest.mark.parametrize(
    "unknown",
    [
        b'note = """\nfirst\n[second]\nthird"""\n',
        b'zeta = 1\n\n[metadata]\naccuracy = 0.97\n\n[review]\nby = "Ada"\n\n[review.at]\nround = 2\n',
        b"\n[metadata]\naccuracy = 0.97\n\n[[review]]\nround = 1\n\n[[review]]\nround = 2\n",
    ],
)
def test_keys_of_a_newer_minor_format_are_written_as_they_were_read(unknown: bytes) -> None:
    data = HEAD + unknown
    record = codec.decode(records.VERSION, data, "models/iris/versions/4.toml", newer=True)
    assert codec.encode(records.VERSION, record) == data
