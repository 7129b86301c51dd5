"""Measure the import of 1,000 versions from MLflow: `python benchmarks/imports.py [--versions N] [--folder DIR]`.

The source is an SQLite database with MLflow's tables, written by this script: 30 models, each version with a run, two
metrics, a parameter, a tag and a folder of two files. MLflow is not needed.
"""

import functools
import os
import sqlite3
import sys
from pathlib import Path

import registries
from measuring import Cost, run_command

sys.path.append(str(Path(__file__).parents[1] / "tests"))

from mlflow_tables import TABLES, insert

MODELS = 30
MOST = 60_000.0  # the target for 1,000 versions: ms of wall time
MOMENT = 1_700_000_000_000
INDEXES = """
CREATE INDEX metrics_of_run ON metrics (run_uuid);
CREATE INDEX latest_of_run ON latest_metrics (run_uuid);
CREATE INDEX params_of_run ON params (run_uuid);
CREATE INDEX tags_of_run ON tags (run_uuid);
CREATE INDEX run_ids ON runs (run_uuid);
"""


def make_source(folder: Path, versions: int) -> str:
    """Write a database of MLflow with *versions* versions, and their files, to *folder*. Return the database's URL."""
    with sqlite3.connect(folder / "mlflow.db") as rows:
        rows.executescript(TABLES + INDEXES)
        add = functools.partial(insert, rows)
        for model in range(MODELS):
            add("registered_models", f"model-{model:02}", MOMENT, MOMENT, f"model {model}")
            for number in range(1, 1 + versions // MODELS + (model < versions % MODELS)):
                run, files = os.urandom(16).hex(), folder / "files" / f"{model}-{number}"
                files.mkdir(parents=True)
                (files / "MLmodel").write_text(f"model {model} {number}\n", encoding="utf-8")
                (files / "weights.bin").write_bytes(os.urandom(2048))
                stage = "Production" if number == 1 else "None"
                made = MOMENT + number * 1000
                add("model_versions", f"model-{model:02}", number, made, "", "ada", stage, files.as_uri(), run, "READY")
                add("model_version_tags", "purpose", "benchmark", f"model-{model:02}", number)
                add("runs", run, "run", "ada", "FINISHED", made, made + 1000, "active", "", 1)
                add("params", "depth", str(number), run)
                add("tags", "mlflow.source.git.commit", f"{number:040x}", run)
                for key in ("accuracy", "loss"):
                    add("metrics", key, number / 1000, made, run, 0, 0)
                    add("latest_metrics", key, number / 1000, made, 0, 0, run)
    rows.close()
    return f"sqlite:///{folder}/mlflow.db"


def measure_import(repo: Path, environ: dict[str, str], source: str, *options: str) -> Cost:
    """Import the database at the URL *source* into *repo* once with the command, and return the cost."""
    command = [str(Path(sys.executable).parent / "git-model"), "import", source, "--from", "mlflow", *options]
    return run_command(command, environ, repo)


def main() -> None:
    """Measure, print the figures, and exit with 1 if the target was missed."""
    parser = registries.parser_of_options("Print the time of an import from MLflow.")
    parser.add_argument("--versions", type=int, default=1000, metavar="N", help="versions of all models together")
    given = parser.parse_args()
    with registries.benchmark(given.folder) as (table, folder, environ):
        source = make_source(folder, given.versions)
        repo = registries.new_repository(folder / "repo", environ)
        table.section(f"git model import --from mlflow, {given.versions:,} versions of {MODELS} models")
        table.cost("the plan alone: --dry-run", measure_import(repo, environ, source, "--dry-run"))
        first = measure_import(repo, environ, source, "--with-artifacts")
        table.cost("with artifacts of two files", first, wall=MOST * given.versions / 1000)
        table.cost("again, with nothing new", measure_import(repo, environ, source))
        table.cost("again, comparing the artifacts", measure_import(repo, environ, source, "--with-artifacts"))


if __name__ == "__main__":
    main()
