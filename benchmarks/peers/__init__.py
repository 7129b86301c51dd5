"""Measure the same work in other registries (peers), each with a script that runs in its own environment.

The arguments of a script are the number of versions, a folder, and the seconds in which it may create versions. For
each operation it prints a line of JSON: the name, the medians of CPU and wall time in ms, and the number of versions.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

from measuring import Cost

HERE = Path(__file__).resolve().parent
INSTALL_SECONDS = 900


@dataclass(frozen=True)
class Peer:
    """A registry to compare with gitmodel: its name, the *package* that pip installs, and the *script* to run."""

    name: str
    package: str
    script: str
    notes: str = ""


PEERS = {
    "gto": Peer("GTO", "gto", "gto_work.py", "git tags, as `gto register` and `gto assign`"),
    "mlflow": Peer("MLflow", "mlflow", "mlflow_work.py", "SQLite store"),
    "zenml": Peer("ZenML", "zenml[local]", "zenml_work.py", "SQLite store, no server"),
}


@dataclass
class Found:
    """The costs of a peer by operation, and by operation the number of versions in the registry when it was measured.

    *title* is the name of the peer with its version. *problem* is the reason why its script failed, or "".
    """

    name: str
    title: str
    costs: dict[str, Cost] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    problem: str = ""


def run_peer(peer: Peer, count: int, folder: Path, *, cache: Path, seconds: int) -> Found:
    """Run the script of *peer* with *count* versions in *folder*, for at most *seconds*, and return its figures.

    Installs the peer in the folder *cache* first, if it is not installed there yet.
    """
    found = Found(peer.name, f"{peer.name} ({peer.notes})")
    home = cache / peer.package.partition("[")[0]
    python = home / "bin" / "python"
    try:
        if not (home / "installed").exists():
            subprocess.run([sys.executable, "-m", "venv", "--clear", home], check=True, capture_output=True)
            pip = ["-m", "pip", "install", "-q", "--disable-pip-version-check", peer.package]
            subprocess.run([python, *pip], check=True, capture_output=True, text=True, timeout=INSTALL_SECONDS)
            (home / "installed").touch()
        package = peer.package.partition("[")[0]
        version = f"import importlib.metadata; print(importlib.metadata.version({package!r}))"
        said = subprocess.run([python, "-c", version], check=True, capture_output=True, text=True).stdout.strip()
        found.title = f"{peer.name} {said} ({peer.notes})"
        _work(peer, python, count, folder, seconds, found)
    except subprocess.TimeoutExpired as error:
        found.problem = f"not done after {error.timeout:.0f} s"
    except subprocess.CalledProcessError as error:
        found.problem = _last_line(error.stderr or "") or f"ended with {error.returncode}"
    return found


def _work(peer: Peer, python: Path, count: int, folder: Path, seconds: int, found: Found) -> None:
    environ = {
        **{name: value for name, value in os.environ.items() if not name.startswith(("GIT_", "ZENML_", "MLFLOW_"))},
        "HOME": str(folder),
        "XDG_CONFIG_HOME": str(folder / "config"),
        "DO_NOT_TRACK": "true",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "ZENML_ANALYTICS_OPT_IN": "false",
        "ZENML_LOGGING_VERBOSITY": "ERROR",
        "ZENML_CONFIG_PATH": str(folder / "zenml"),
        "PYTHONWARNINGS": "ignore",
        "PYTHONPATH": str(HERE.parent),
    }
    command = [str(python), str(HERE / peer.script), str(count), str(folder), str(seconds // 2)]
    done = subprocess.run(
        command, cwd=folder, env=environ, capture_output=True, text=True, timeout=seconds, check=False
    )
    for line in done.stdout.splitlines():
        if line.startswith('{"what"'):
            row = json.loads(line)
            found.costs[row["what"]] = Cost(row["cpu"], row["wall"])
            found.counts[row["what"]] = row["count"]
    if done.returncode:
        found.problem = _last_line(done.stderr) or f"ended with {done.returncode}"


def _last_line(text: str) -> str:
    lines = [line for line in text.strip().splitlines() if line.strip()]
    return lines[-1][:300] if lines else ""
