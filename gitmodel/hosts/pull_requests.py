"""Pull requests: opening one with the host's command-line program, or writing its text to a file for a person."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

from gitmodel.domain.addresses import hide_credentials
from gitmodel.errors import Unreachable
from gitmodel.files.failures import writing
from gitmodel.files.permissions import make_folder, share
from gitmodel.hosts.addresses import Host

# The command-line program of each kind of host that can open pull requests. It uses the login that the user gave it.
PROGRAMS = {"github": "gh", "gitlab": "glab"}
_ADDRESS = re.compile(r"https?://[^\s<>\"']+")
_LONGEST = 120.0


def find_program(host: Host, environ: Mapping[str, str]) -> str:
    """Return the path of the host's program in `PROGRAMS`; "" if the host has none or the program is not installed."""
    name = PROGRAMS.get(host.kind, "")
    return shutil.which(name, path=environ.get("PATH", os.defpath)) or "" if name else ""


def open_request(
    host: Host, program: str, environ: Mapping[str, str], *, branch: str, base: str, title: str, text: str
) -> str:
    """Open a pull request that merges *branch* into *base*, by the command-line program at *program*. Return its URL.

    *program* is the result of `find_program`. Runs `gh pr create` or `glab mr create` (see their manuals). If the
    program fails, raises Unreachable with its message.
    """
    if host.kind == "github":
        where = f"{host.site.partition('://')[2]}/{host.path}"
        words = ["pr", "create", "--repo", where, "--base", base, "--head", branch, "--title", title]
        words += ["--body-file", "-"]
    else:
        where = f"{host.site}/{host.path}"
        words = ["mr", "create", "--repo", where, "--target-branch", base, "--source-branch", branch]
        words += ["--title", title, "--description", text, "--yes"]
    environment = {**environ, "GH_PROMPT_DISABLED": "1", "NO_PROMPT": "1", "NO_COLOR": "1"}
    name = Path(program).name
    try:
        done = subprocess.run(
            [program, *words], input=text.encode(), capture_output=True, env=environment, timeout=_LONGEST, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Unreachable(f"{name} could not open the pull request: {error}") from None
    said = f"{done.stdout.decode('utf-8', 'replace')}\n{done.stderr.decode('utf-8', 'replace')}"
    if done.returncode:
        raise Unreachable(f"{name} could not open the pull request: {hide_credentials(' '.join(said.split()))}")
    return find_address(said)


def find_address(said: str) -> str:
    r"""Return the last URL in *said*, the output of a program or of `git push`; "" if it has no URL.

    >>> find_address("remote: View merge request:\nremote:   https://gitlab.example.org/team/models/-/merge_requests/7")
    'https://gitlab.example.org/team/models/-/merge_requests/7'
    """
    found = _ADDRESS.findall(said)
    return hide_credentials(found[-1]) if found else ""


def keep_text(common_dir: Path, branch: str, text: str) -> Path:
    """Write *text*, the description of a pull request of *branch*, to a file below *common_dir*, and return its path.

    A person who opens the pull request on the host's page can copy the text from there.
    """
    path = common_dir / "gitmodel" / "proposals" / f"{branch.removeprefix('propose/').replace('/', '-')}.md"
    with writing(path):
        make_folder(path.parent)
        path.unlink(missing_ok=True)  # deleted and not overwritten, because the file may belong to another user
        path.write_text(text, encoding="utf-8")
        share(path, path.parent)
    return path
