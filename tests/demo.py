"""The demo registry, built once for all tests of all workers."""

import os
from collections.abc import Mapping
from fcntl import LOCK_EX, flock
from pathlib import Path

from editing import write_script

from gitmodel.demo.building import build

# Git settings that a user may have. The demo is built with them, because `git model init --demo` must ignore them.
DISTURBING = """\
[commit]
\tgpgSign = true
[core]
\thooksPath = %s
[gitmodel]
\tstore = s3://bucket
"""


def build_once(place: Path, environ: Mapping[str, str]) -> Path:
    """Return the folder `demo` in the folder *place*. If it does not exist, build the demo registry in it.

    The build gets the variables *environ* and the git settings DISTURBING.
    """
    folder, home = place / "demo", place / "demo-home"
    with (place / "demo.lock").open("w") as lock:
        flock(lock, LOCK_EX)
        if not (place / "demo.lines").exists():
            hook = write_script(home / "hooks" / "pre-commit", "exit 1")
            (home / ".gitconfig").write_text(DISTURBING % hook.parent, encoding="utf-8")
            lines: list[str] = []
            build(folder, environ=_disturbing(environ, home), tell=lines.append)
            (place / "demo.lines").write_text("\n".join(lines), encoding="utf-8")
    return folder


def _disturbing(environ: Mapping[str, str], home: Path) -> dict[str, str]:
    kept = {name: value for name, value in environ.items() if not name.startswith(("GIT_", "GITMODEL_"))}
    return {
        **kept,
        "HOME": str(home),
        "XDG_CONFIG_HOME": str(home / ".config"),
        "GIT_CONFIG_GLOBAL": str(home / ".gitconfig"),
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_DIR": os.devnull,
        "GITMODEL_BRANCH": "other",
        "GITMODEL_REPO": "/nowhere",
        "GITMODEL_STORE": "s3://bucket",
    }
