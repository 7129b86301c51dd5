"""The commands of each how-to page run without an error, in a registry with two versions of `iris`."""

import subprocess
import sys

import pytest
from pages import Folder, all_pages, blocks, steps

# Other tests run these pages: tests/formats/frameworks/test_page.py, tests/interop/mlflow/test_plugin_end_to_end.py and
# test_problems.py.
ELSEWHERE = (
    "docs/how-to/frameworks.md",
    "docs/how-to/mlflow-on-gitmodel.md",
    "docs/how-to/solve-problems-of-model-config.md",
)
PAGES = [page for page in all_pages() if page.startswith("docs/how-to/") and page not in ELSEWHERE]
MADE = r"""
git init -q .
git commit -q --allow-empty -m Begin
echo 'sepal_length,species' > train.csv
echo '{"classes": ["setosa", "virginica"]}' > model.json
git model register iris --license Apache-2.0 --tag sklearn
files="--data train=train.csv --model-object classifier=model.json"
git model version create iris --tag baseline --metadata accuracy=0.91 $files
git model version create iris --metadata accuracy=0.95 $files
git model promote iris@1 production
"""


@pytest.fixture
def registry(folder: Folder) -> Folder:
    status, printed = folder.run(f"set -e{MADE}")
    assert status == 0, printed
    return folder


@pytest.mark.parametrize("page", PAGES)
def test_every_command_of_the_page_runs(page: str, registry: Folder) -> None:
    for block in blocks(page):
        if block.language == "console":
            for step in steps(block.text):
                status, printed = registry.run(step.command)
                assert status == 0, f"{page}: {step.command}\n{printed}"
        if block.file:
            (registry.place / block.file).write_text(block.text, encoding="utf-8")
        if block.language == "python":
            text = block.text.replace('"/srv/models"', '"."')
            done = subprocess.run(
                [sys.executable, "-c", text], cwd=registry.place, capture_output=True, encoding="utf-8", check=False
            )
            assert done.returncode == 0, f"{page}: {done.stderr}"


def test_the_example_of_each_framework_has_at_most_ten_lines() -> None:
    examples = [block.text for block in blocks("docs/how-to/frameworks.md") if block.language == "python"]
    assert len(examples) >= 8
    assert [text for text in examples if len([line for line in text.splitlines() if line.strip()]) > 10] == []
