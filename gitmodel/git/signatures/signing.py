"""Signing commits and tags in the same way as git, with the format, key and programs of its configuration.

The settings are in `git help config` (`gpg.format`, `user.signingKey`, `gpg.ssh.program`, ...). gitmodel does not call
git to sign a tag, because `git tag` also moves the ref, and before 2.44 it wrote an unsigned tag if signing failed.
"""

from __future__ import annotations

import shlex
import subprocess
from collections.abc import Mapping
from pathlib import Path

from gitmodel.errors import Unsigned
from gitmodel.git.objects.object_formats import NewObject
from gitmodel.git.running.process import Git
from gitmodel.git.settings.configuration import is_true, read_path
from gitmodel.git.signatures import object_signatures
from gitmodel.git.signatures.object_signatures import Signature, SignatureVerifier

_HINT = "see `git help config` for gpg.format, user.signingKey and gpg.ssh.program"


class Signer:
    """Signs commits and tags with the key that git's settings name for this repository."""

    def __init__(self, git: Git, config: Mapping[str, str], verifier: SignatureVerifier) -> None:
        self._git = git
        self._config = config
        self._verifier = verifier
        self._format = config.get("gpg.format", "openpgp").lower()

    @property
    def signs_commits(self) -> bool:
        """True if git is configured to sign every commit."""
        return is_true(self._config.get("commit.gpgsign", ""))

    @property
    def signs_tags(self) -> bool:
        """True if git is configured to sign every annotated tag."""
        return any(is_true(self._config.get(key, "")) for key in ("tag.gpgsign", "tag.forcesignannotated"))

    @property
    def has_key(self) -> bool:
        """True if git is configured with a key to sign with."""
        return bool(self._config.get("user.signingkey") or self._config.get("gpg.ssh.defaultkeycommand"))

    def commit(self, commit: NewObject, who: str) -> NewObject:
        """Return *commit* with a signature by its committer *who*. Raises Unsigned if it cannot be signed."""
        head, gap, message = commit.data.partition(b"\n\n")
        lines = self._sign(commit.data, who).rstrip(b"\n").split(b"\n")
        return NewObject("commit", head + b"\ngpgsig " + b"\n ".join(lines) + gap + message)

    def tag(self, tag: NewObject, who: str) -> NewObject:
        """Return *tag* with the tagger *who* and a signature. Raises Unsigned if it cannot be signed.

        *who* is `Name <email> seconds zone`.
        """
        head, gap, message = tag.data.partition(b"\n\n")
        lines = [line for line in head.split(b"\n") if not line.startswith(b"tagger ")]
        payload = b"\n".join([*lines, b"tagger " + who.encode()]) + gap + message
        return NewObject("tag", payload + self._sign(payload, who))

    def _sign(self, payload: bytes, who: str) -> bytes:
        armor = self._sign_with_ssh(payload) if self._format == "ssh" else self._sign_with_gpg(payload, who)
        # Verified here, because a signing program can fail and nevertheless exit with 0.
        if not self._verifier.signer(Signature(payload, armor)):
            raise Unsigned("git's signing program made no valid signature; nothing was changed", hint=_HINT)
        return armor

    def _sign_with_ssh(self, payload: bytes) -> bytes:
        key = self._config.get("user.signingkey", "") or self._default_key()
        if not key:
            raise Unsigned(
                "this change must be signed, and git has no key to sign with",
                hint="run `git config gpg.format ssh` and `git config user.signingKey ~/.ssh/id_ed25519.pub`",
            )
        program = self._config.get("gpg.ssh.program") or "ssh-keygen"
        with object_signatures.scratch_folder() as folder:
            buffer = Path(folder) / "payload"
            buffer.write_bytes(payload)
            more: list[str] = []
            if key.startswith(("key::", "ssh-")):
                # Here, the setting is the public key itself instead of a path, and ssh-agent has the private key.
                literal = Path(folder) / "key"
                literal.write_text(key.removeprefix("key::") + "\n", encoding="utf-8")
                key, more = str(literal), ["-U"]
            else:
                key = read_path(self._git, "user.signingkey") or key
            self._run([program, "-Y", "sign", "-n", "git", "-f", key, *more, str(buffer)])
            made = Path(f"{buffer}.sig")
            return made.read_bytes() if made.exists() else b""

    def _default_key(self) -> str:
        command = self._config.get("gpg.ssh.defaultkeycommand", "")
        if not command:
            return ""
        lines = self._run(shlex.split(command)).decode("utf-8", "replace").splitlines()
        return next((line for line in lines if line.startswith(("key::", "ssh-"))), "")

    def _sign_with_gpg(self, payload: bytes, who: str) -> bytes:
        own = "gpgsm" if self._format == "x509" else "gpg"
        shared = self._config.get("gpg.program", "") if own == "gpg" else ""
        program = self._config.get(f"gpg.{self._format}.program") or shared or own
        key = self._config.get("user.signingkey", "") or who.rsplit(" ", 2)[0]
        return self._run([program, "--status-fd=2", "-bsau", key], input=payload)

    def _run(self, command: list[str], input: bytes = b"") -> bytes:
        try:
            done = subprocess.run(
                command, input=input, capture_output=True, env=dict(self._git.environ), cwd=self._git.top, check=False
            )
        except OSError as error:
            raise Unsigned(
                f"{command[0]}, which git signs with, cannot be started: {error.strerror}", hint=_HINT
            ) from error
        if done.returncode:
            lines = done.stderr.decode("utf-8", "replace").splitlines()
            said = " ".join(line.strip() for line in lines if line.strip() and not line.startswith("[GNUPG:]"))
            raise Unsigned(f"this change could not be signed: {said or command[0]}; nothing was changed", hint=_HINT)
        return done.stdout
