"""The credentials for a registry of containers, as `docker login` keeps them: in its file or in a helper program.

The file is described at https://docs.docker.com/reference/cli/docker/login/.
"""

from __future__ import annotations

import base64
import json
import os
import re
import subprocess
from pathlib import Path

from gitmodel.domain.secrets.credentials import redacted
from gitmodel.errors import Unreachable, UsageError

# A helper may wait for a person to unlock a password store.
_HELPER_SECONDS = 60


def docker_credentials(host: str) -> tuple[str, str]:
    """Return the name and password for *host* that `docker login` stored, or ("", "").

    Raises UsageError for a configuration that cannot be read, Unreachable for a credential helper that does not work.
    """
    file = Path(os.environ.get("DOCKER_CONFIG") or Path.home() / ".docker", "config.json")
    try:
        config = json.loads(file.read_bytes())
        auths, helpers = config.get("auths") or {}, config.get("credHelpers") or {}
        helper = helpers.get(host) or config.get("credsStore")
        if helper:
            return _ask_helper(str(helper), host, file)
        kept = (auths.get(host) or {}).get("auth") or ""
        user, _, password = base64.b64decode(kept, validate=True).decode(errors="replace").partition(":")
    except (FileNotFoundError, NotADirectoryError):
        return "", ""
    except OSError as error:
        raise _malformed(file, host, error.strerror or "it cannot be read") from None
    except (ValueError, AttributeError, TypeError):  # invalid JSON, a missing table, or invalid Base64
        raise _malformed(file, host, "it is not as `docker login` writes it") from None
    return user, password


def _malformed(file: Path, host: str, why: str) -> UsageError:
    return UsageError(
        f"the credentials for {host} cannot be read from {file}: {why}",
        hint=f"repair or remove that file, then run `docker login {host}`",
    )


def _ask_helper(helper: str, host: str, file: Path) -> tuple[str, str]:
    """Ask the helper program that docker's configuration *file* names for the credentials for *host*."""
    program = f"docker-credential-{helper}"
    if not re.fullmatch(r"[\w.-]+", helper):
        raise _malformed(file, host, f"{helper!a} is no name of a credential helper")
    try:
        done = subprocess.run(
            [program, "get"], input=host.encode(), capture_output=True, check=False, timeout=_HELPER_SECONDS
        )
        said = done.stdout.decode(errors="replace").strip()
        if done.returncode and "credentials not found" in said:
            return "", ""
        words = (done.stderr.decode(errors="replace").strip() or said).splitlines()
        why = f"it ended with {done.returncode}" + (f": {redacted(words[0])[:200]}" if words else "")
        found = json.loads(said) if not done.returncode else None
        if isinstance(found, dict):
            return str(found.get("Username") or ""), str(found.get("Secret") or "")
        why = why if done.returncode else "it answers no JSON object"
    except subprocess.TimeoutExpired:
        why = f"it did not answer in {_HELPER_SECONDS} s"
    except OSError as error:
        why = "it is not installed" if isinstance(error, FileNotFoundError) else str(error.strerror)
    except ValueError:
        why = "it answers no JSON object"
    raise Unreachable(
        f"{program}, which {file} names, gives no credentials for {host}: {why}",
        hint=f"install or repair it, or remove it from {file} and run `docker login {host}`",
    )
