"""Each example of the page on frameworks runs, if its libraries are installed."""

import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[3] / "docs/how-to/frameworks.md"
EXAMPLES = dict(re.findall(r"^## (.+?)$.*?```python\n(.*?)```", PAGE.read_text(), re.MULTILINE | re.DOTALL))


@pytest.mark.parametrize("title", EXAMPLES)
def test_the_example_of_the_page_runs(title, code_repo):
    for module in re.findall(r"^(?:import|from) (\w+)", EXAMPLES[title], re.MULTILINE):
        if find_spec(module) is None:
            pytest.skip(f"{module} is not installed")
    subprocess.run([sys.executable, "-c", EXAMPLES[title]], cwd=code_repo, check=True, capture_output=True)
