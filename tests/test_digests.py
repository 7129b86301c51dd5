"""A digest is `sha256:` and 64 lower-case hex digits. Every other text is refused."""

import hashlib
import subprocess
import sys
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gitmodel.domain.schema.digests import digest_of, hex_of, parse_digest
from gitmodel.errors import Invalid

A_DIGEST = "sha256:" + "0123456789abcdef" * 4


@given(st.binary())
def test_the_digest_of_bytes_is_their_sha256(content):
    assert digest_of(content) == "sha256:" + hashlib.sha256(content).hexdigest()
    assert parse_digest(digest_of(content)) == digest_of(content)
    assert hex_of(digest_of(content)) == hashlib.sha256(content).hexdigest()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "sha256:",
        "0123456789abcdef" * 4,
        A_DIGEST.upper(),
        A_DIGEST.replace("abc", "ABC"),
        "sha512:" + "0" * 64,
        A_DIGEST + "0",
        A_DIGEST[:-1],
        A_DIGEST + "\n",
        "\n" + A_DIGEST,
        A_DIGEST[:-1] + "g",
        A_DIGEST[:-1] + "٣",  # the last character is an Arabic-Indic digit, and not an ASCII digit
        "sha256:../../../../etc/passwd",
    ],
)
def test_text_that_is_no_digest_is_refused(text):
    with pytest.raises(Invalid, match="is not a digest"):
        parse_digest(text)


def test_the_error_for_text_that_is_no_digest_is_one_short_line():
    with pytest.raises(Invalid) as caught:
        parse_digest("\x1b[31m\n" * 1_000_000)
    assert "\n" not in caught.value.message
    assert "\x1b" not in caught.value.message
    assert len(caught.value.message) < 500


@given(st.text())
def test_parsing_any_text_as_a_digest_raises_no_error_except_invalid(text):
    with suppress(Invalid):
        assert parse_digest(text) == text


def test_importing_the_module_of_digests_loads_no_heavy_module():
    heavy = ("dataclasses", "inspect", "pydantic")
    code = f"import sys, gitmodel.domain.schema.digests; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
