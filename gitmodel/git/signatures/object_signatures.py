"""Signatures in git objects: finding them, and verifying them with the list of signers (`allowed_signers`).

A commit has its signature in the header `gpgsig`, a tag at its end (`git help gitformat-signature`). `ssh-keygen -Y
verify` verifies SSH signatures. `gpg` verifies OpenPGP signatures, and gets only the keys in the list of signers.
"""

from __future__ import annotations

import base64
import os
import re
import subprocess
from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager
from datetime import datetime, timezone
from pathlib import Path
from typing import NamedTuple

from gitmodel.errors import UsageError

SSH_BEGIN = b"-----BEGIN SSH SIGNATURE-----"
_OPENPGP_BEGIN = (b"-----BEGIN PGP SIGNATURE-----", b"-----BEGIN PGP MESSAGE-----")
_BEGINS = (SSH_BEGIN, *_OPENPGP_BEGIN, b"-----BEGIN SIGNED MESSAGE-----")
_HEADERS = (b"gpgsig ", b"gpgsig-sha256 ")
_KEY = re.compile(r"with \S+ key (\S+)")
_STATUS = "[GNUPG:] "
_BAD = {
    "BADSIG": "its signature is invalid",
    "ERRSIG": "its key is not listed",
    "EXPSIG": "its signature has expired",
    "EXPKEYSIG": "its key has expired",
    "REVKEYSIG": "its key was revoked",
}


class Signature(NamedTuple):
    """A signature of a git object: *payload* are the signed bytes, and *armor* is the text of the signature itself."""

    payload: bytes
    armor: bytes


def of_commit(data: bytes) -> Signature | None:
    """Return the signature of the commit whose bytes are *data*; None if it has no signature, or several."""
    head, gap, message = data.partition(b"\n\n")
    kept: list[bytes] = []
    found: list[bytes] = []
    taking: list[bytes] | None = kept
    for line in head.split(b"\n"):
        if not line.startswith(b" "):
            taking = kept
            if line.startswith(_HEADERS):
                # The second header signs the commit's form with SHA-256 ids, so it is no signature of these bytes.
                taking = found if line.startswith(_HEADERS[0]) else None
                line = b" " + line.partition(b" ")[2]
        if taking is not None:
            taking.append(line)
    armor = b"\n".join(line[1:] for line in found)
    if not found or sum(armor.count(begin) for begin in _BEGINS) != 1:
        return None
    return Signature(b"\n".join(kept) + gap + message, armor + b"\n")


def is_signed(data: bytes) -> bool:
    """Return True if the commit whose bytes are *data* has a signature, valid or not."""
    return any(b"\n" + header in data.partition(b"\n\n")[0] for header in _HEADERS)


def of_tag(data: bytes) -> Signature | None:
    """Return the signature of the tag whose bytes are *data*; None if it has no signature.

    The signature is the text from the last line that starts one.
    """
    starts = [at for begin in _BEGINS if (at := data.rfind(b"\n" + begin)) >= 0]
    if not starts:
        return None
    return Signature(data[: max(starts) + 1], data[max(starts) + 1 :])


class SignatureVerifier:
    """Verifies signatures with `ssh-keygen` and `gpg`, or the program that git's settings *config* name for `gpg`."""

    def __init__(self, environ: Mapping[str, str], config: Mapping[str, str]) -> None:
        # With this TZ, `ssh-keygen` reads times without a zone in the list of signers as UTC.
        self._environ = {**environ, "TZ": "UTC", "LC_ALL": "C"}
        self._gpg = config.get("gpg.openpgp.program") or config.get("gpg.program") or "gpg"

    def fault(self, found: Signature, allowed: str, emails: Iterable[str], when: int) -> str:
        """Return the reason why the signature *found* does not count at the time *when*, or "".

        It counts if its key is listed for each of *emails* in *allowed*, the text of an `allowed_signers` file. *when*
        is in seconds since 1970. Raises UsageError if the program that verifies signatures is not installed.
        """
        if found.armor.startswith(SSH_BEGIN):
            return self._ssh_fault(found, allowed, emails, when)
        if found.armor.startswith(_OPENPGP_BEGIN):
            return self._openpgp_fault(found, allowed, emails, when)
        return "its signature has a format that gitmodel does not know (it knows SSH and OpenPGP)"

    def signer(self, found: Signature) -> str:
        """Return the fingerprint of the key that made *found*, or "" if *found* is invalid or gpg lacks the key."""
        with scratch_folder() as folder:
            armor = _file(folder, "signature", found.armor)
            if found.armor.startswith(SSH_BEGIN):
                said = self._ask("ssh-keygen", "-Y", "check-novalidate", "-n", "git", "-s", armor, input=found.payload)
                key = _KEY.search(said.stdout.decode("utf-8", "replace"))
                return key[1] if key and said.returncode == 0 else ""
            program = self._gpg if found.armor.startswith(_OPENPGP_BEGIN) else "gpgsm"
            said = self._ask(program, "--batch", "--status-fd=1", "--verify", armor, "-", input=found.payload)
            return _fingerprint(_statuses(said.stdout))

    def _ssh_fault(self, found: Signature, allowed: str, emails: Iterable[str], when: int) -> str:
        at = datetime.fromtimestamp(when, timezone.utc).strftime("%Y%m%d%H%M%S")
        with scratch_folder() as folder:
            armor = _file(folder, "signature", found.armor)
            known = _file(folder, "allowed", allowed.encode())
            for email in emails:
                said = self._ask(
                    "ssh-keygen", "-Y", "verify", "-n", "git", "-f", known, "-I", email, "-s", armor,
                    f"-Overify-time={at}", input=found.payload,
                )  # fmt: skip
                if said.returncode:
                    return self._why_not_ssh(found, email, said.stderr.decode("utf-8", "replace"))
        return ""

    def _why_not_ssh(self, found: Signature, email: str, said: str) -> str:
        key = self.signer(found)
        if not key:
            return "its signature is invalid"
        when = next((line.partition(": ")[2] for line in said.splitlines() if "verify time" in line), "")
        return f"its key {key} is not listed for {email} in allowed_signers{f': {when}' if when else ''}"

    def _openpgp_fault(self, found: Signature, allowed: str, emails: Iterable[str], when: int) -> str:
        from gitmodel.domain.schema.registry_rules import signers

        listed = [one for one in signers.read_signers(allowed) if one.type == signers.OPENPGP]
        with scratch_folder() as folder:
            armor = _file(folder, "signature", found.armor)
            statuses: dict[str, str] = {}
            for signer in listed:
                statuses = self._openpgp_statuses(folder, signer.key, armor, found.payload, when)
                if _fingerprint(statuses):
                    break
            else:
                why = next((why for status, why in _BAD.items() if status in statuses), _BAD["ERRSIG"])
                return f"{why} in allowed_signers" if why == _BAD["ERRSIG"] else why
        key = _fingerprint(statuses)
        for email in emails:
            fits = [one for one in listed if one.key == signer.key and one.speaks_for(email)]
            late = [one.fault_at(when) for one in fits]
            if all(late):
                return f"its key {key} is not listed for {email} in allowed_signers" + (
                    f": it {late[0]}" if late else ""
                )
        return ""

    def _openpgp_statuses(self, folder: str, key: str, armor: str, payload: bytes, when: int) -> dict[str, str]:
        """Verify the signature of *payload* in the file *armor* with gpg, and return gpg's status lines by keyword.

        gpg has *key* as its only key, in a new home below *folder*, and takes *when* for the current time.
        """
        home = Path(folder) / f"home-{len(os.listdir(folder))}"
        home.mkdir(mode=0o700)
        command = (
            self._gpg, "--homedir", str(home), "--batch", "--no-tty", "--no-autostart", "--quiet",
            "--no-auto-key-locate", "--no-auto-key-retrieve", "--trust-model", "always", "--status-fd=1",
        )  # fmt: skip
        self._ask(*command, "--import", input=base64.b64decode(key))
        said = self._ask(
            *command, "--faked-system-time", f"{when}!", "--ignore-time-conflict", "--verify", armor, "-", input=payload
        )
        return _statuses(said.stdout)

    def _ask(self, *command: str, input: bytes) -> subprocess.CompletedProcess[bytes]:
        try:
            return subprocess.run(command, input=input, capture_output=True, env=self._environ, check=False)
        except OSError as error:
            raise UsageError(
                f"a signature cannot be verified: {command[0]} cannot be started ({error.strerror})",
                hint="install OpenSSH's ssh-keygen, or GnuPG for OpenPGP signatures",
            ) from error


def _statuses(said: bytes) -> dict[str, str]:
    """Return the status lines in gpg's output *said* by keyword; see `doc/DETAILS` of GnuPG."""
    lines = [line.removeprefix(_STATUS) for line in said.decode("utf-8", "replace").splitlines() if _STATUS in line]
    return {line.partition(" ")[0]: line.partition(" ")[2] for line in lines}


def _fingerprint(statuses: Mapping[str, str]) -> str:
    """Return the fingerprint of the primary key if the status lines say that the signature is good, else ""."""
    if "GOODSIG" not in statuses or any(bad in statuses for bad in _BAD) or "VALIDSIG" not in statuses:
        return ""
    return statuses["VALIDSIG"].split(" ")[-1]


def scratch_folder() -> AbstractContextManager[str]:
    """Create a temporary folder that only this user can read. The `with` block deletes it at its end."""
    from tempfile import TemporaryDirectory  # imported here: only signed stages need it

    return TemporaryDirectory(prefix="gitmodel-")


def _file(folder: str, name: str, data: bytes) -> str:
    path = Path(folder) / name
    descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    with open(descriptor, "wb") as file:
        file.write(data)
    return str(path)
