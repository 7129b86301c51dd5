"""Records keep what they do not know, byte for byte, and refuse what nobody could read again."""

from __future__ import annotations

from datetime import datetime, timezone

import pytest

from gitmodel.domain import codec, records
from gitmodel.errors import UsageError

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


def test_a_record_that_would_be_too_long_to_read_is_not_written() -> None:
    created = datetime(2026, 11, 23, 10, 12, 13, tzinfo=timezone.utc)
    fits = records.VersionRecord(1, created, description="x" * (codec.MAX_BYTES - 59))
    assert len(codec.encode(records.VERSION, fits)) == codec.MAX_BYTES
    longer = records.VersionRecord(1, created, description="x" * (codec.MAX_BYTES - 58))
    with pytest.raises(UsageError, match="65537 bytes, more than 65536"):
        codec.encode(records.VERSION, longer)
