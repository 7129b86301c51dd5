"""Create a repository with artifacts, versions and stages of GTO. Print as JSON what GTO itself says about them.

A test runs this script in an empty folder, with a Python that has GTO.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

GTO = str(Path(sys.executable).with_name("gto"))
DESCRIPTION = "churn:\n  type: model\n  path: models/churn.bin\n  labels: [tabular, eu]\n  description: Who leaves\n"
clock = iter(range(1700000000, 1800000000, 60))


def run(*command: str) -> str:
    moment = f"@{next(clock)} +0000"
    environ = {**os.environ, "GIT_COMMITTER_DATE": moment, "GIT_AUTHOR_DATE": moment}
    return subprocess.run(command, check=True, capture_output=True, text=True, env=environ).stdout


def commit(text: str) -> None:
    Path("models/churn.bin").write_text(text)
    run("git", "add", ".")
    run("git", "commit", "-q", "-m", text)


def main() -> None:
    run("git", "init", "-q")
    Path("models").mkdir()
    Path("nlp").mkdir()
    Path("artifacts.yaml").write_text(DESCRIPTION)
    Path("nlp/dvc.yaml").write_text("artifacts:\n  mood:\n    type: model\n    path: mood.bin\n")
    Path("nlp/mood.bin").write_text("mood")
    for text in ("one", "two", "three", "four"):
        commit(text)
        run(GTO, "register", "churn")
        # waits, because tags have times in whole seconds, and GTO does not order two assignments in one second
        if text == "one":
            run(GTO, "assign", "churn", "--version", "v0.0.1", "--stage", "prod")
        if text != "three":
            run(GTO, "register", "nlp:mood")
    run(GTO, "assign", "churn", "--version", "v0.0.3", "--stage", "prod")
    run(GTO, "assign", "churn", "--version", "v0.0.4", "--stage", "staging")
    run(GTO, "assign", "churn", "--version", "v0.0.2", "--stage", "dev")
    run(GTO, "deprecate", "churn", "v0.0.2", "dev")
    run(GTO, "deprecate", "nlp:mood", "v0.0.2")
    run(GTO, "assign", "nlp:mood", "--version", "v0.0.3", "--stage", "dev")


if __name__ == "__main__":
    main()
    shown = {name: json.loads(run(GTO, "show", name, "--json")) for name in ("churn", "nlp:mood")}
    print(json.dumps({"versions": shown, "models": json.loads(run(GTO, "show", "--json"))}))
