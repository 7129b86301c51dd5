"""The signers of a stage: the lines of `allowed_signers`. Pure.

The lines are those of "ALLOWED SIGNERS" in `ssh-keygen(1)`; an OpenPGP key has a similar line, of the type `openpgp`.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator
from datetime import datetime, timezone
from fnmatch import translate

from gitmodel.frozen import Frozen

OPENPGP = "openpgp"

_LINE = re.compile(
    r'(?P<principals>"[^"]+"|[^\s"]+)[ \t]+'
    r'(?:(?P<options>(?:[^\s"]|"(?:[^"\\]|\\.)*")+)[ \t]+)?'
    r"(?P<type>openpgp|(?:sk-)?(?:ssh|ecdsa|rsa)-[\w@.-]+)[ \t]+(?P<key>[A-Za-z0-9+/]+={0,2})(?:[ \t].*)?"
)
_OPTION = re.compile(r'([A-Za-z-]+)(?:="((?:[^"\\]|\\.)*)")?(?:,|\Z)')
_OPTIONS = frozenset({"cert-authority", "namespaces", "valid-after", "valid-before"})
_MOMENT = re.compile(r"(\d{8})(\d{4}(?:\d{2})?)?Z?")


class Signer(Frozen):
    """A key and its owners: *principals* are patterns of e-mail addresses, with `*`, `?`, and `!` for "not".

    *valid_after* and *valid_before* are seconds since 1970.

    >>> ada = next(read_signers('ada@example.com,*@example.org valid-before="20270101" ssh-ed25519 AAAA'))
    >>> ada.speaks_for("x@example.org"), ada.fault_at(1800000000)
    (True, 'was valid only until 2027-01-01T00:00:00Z')
    """

    principals: str
    type: str
    key: str
    valid_after: int | None = None
    valid_before: int | None = None
    namespaces: str = ""

    def speaks_for(self, email: str) -> bool:
        """Return True if one of *principals* matches *email*, and none that begins with `!` does."""
        return _matches(self.principals, email)

    def fault_at(self, when: int) -> str:
        """Return the reason why the key does not count at *when* (seconds since 1970), or ""."""
        if self.namespaces and not _matches(self.namespaces, "git"):
            return "is not for signatures of git"
        if self.valid_after is not None and when < self.valid_after:
            return f"is valid only from {_said(self.valid_after)} on"
        if self.valid_before is not None and when > self.valid_before:
            return f"was valid only until {_said(self.valid_before)}"
        return ""


def read_signers(text: str) -> Iterator[Signer]:
    """Yield the signers in *text*. Invalid lines are skipped, as in `ssh-keygen`."""
    for _, found in _lines(text):
        if isinstance(found, Signer):
            yield found


def faults(text: str) -> Iterator[str]:
    """Yield the faults of *text*, one for each faulty line.

    >>> list(faults("# ours\\nada@example.com ssh-ed25519\\n"))
    ['line 2 is not PRINCIPALS [OPTIONS] KEYTYPE KEY']
    """
    for number, found in _lines(text):
        if isinstance(found, str):
            yield f"line {number} {found}"


def _lines(text: str) -> Iterator[tuple[int, Signer | str]]:
    for number, line in enumerate(text.split("\n"), 1):
        stripped = line.strip()
        if stripped and not stripped.startswith("#"):
            yield number, _read(stripped)


def _read(line: str) -> Signer | str:
    match = _LINE.fullmatch(line)
    if match is None:
        return "is not PRINCIPALS [OPTIONS] KEYTYPE KEY"
    try:
        base64.b64decode(match["key"], validate=True)
    except binascii.Error:
        return "has a key that is not base64"
    options = {}
    left = match["options"] or ""
    while left:
        option = _OPTION.match(left)
        if option is None or option[1].lower() not in _OPTIONS:
            return f"has an option that ssh-keygen does not know: {left!a}"
        options[option[1].lower()] = option[2] or ""
        left = left[option.end() :]
    try:
        moments = {key: _moment(options[key]) for key in ("valid-after", "valid-before") if key in options}
    except ValueError:
        return "has a time that is not YYYYMMDD[HHMM[SS]][Z]"
    if match["type"] == OPENPGP and "cert-authority" in options:
        return "makes an OpenPGP key an authority, which only an SSH key can be"
    return Signer(
        match["principals"].strip('"'),
        match["type"],
        match["key"],
        moments.get("valid-after"),
        moments.get("valid-before"),
        options.get("namespaces", ""),
    )


def _moment(text: str) -> int:
    match = _MOMENT.fullmatch(text)
    if match is None:
        raise ValueError(text)
    digits = match[1] + (match[2] or "0000")
    form = "%Y%m%d%H%M%S" if len(digits) == 14 else "%Y%m%d%H%M"
    return int(datetime.strptime(digits, form).replace(tzinfo=timezone.utc).timestamp())


def _said(when: int) -> str:
    return datetime.fromtimestamp(when, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def _matches(patterns: str, word: str) -> bool:
    """Match *word* as OpenSSH's `match_pattern_list` does: some pattern must match, and none that begins with `!`."""
    found = False
    for pattern in patterns.split(","):
        negated, glob = pattern.startswith("!"), pattern.removeprefix("!")
        if re.fullmatch(translate(glob.replace("[", "[[]")), word):
            if negated:
                return False
            found = True
    return found
