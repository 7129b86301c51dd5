"""The walk through a first change works as CONTRIBUTING.md describes it."""

import re
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

from pages import ROOT, read

SCRIPT = """
from pathlib import Path
from gitmodel.formats.catalogue.detection import detect_format
from gitmodel.formats.loading import load, save

{case}
(name, value), = cases
path = Path("settings.ini")
save(value, path, name)
assert detect_format(path) == "ini", detect_format(path)
assert load(path, name) == value
"""


def test_the_format_that_a_first_change_adds_can_save_and_load_values_and_is_detected(tmp_path: Path) -> None:
    walk = read("CONTRIBUTING.md").partition("## Your first change")[2].partition("\n## ")[0]
    code, lines, case = (
        textwrap.dedent(found)
        for found in re.findall(r"^   ```(?:python|text)\n(.*?)^   ```$", walk, re.MULTILINE | re.DOTALL)
    )
    shutil.copytree(ROOT / "gitmodel", tmp_path / "gitmodel", ignore=shutil.ignore_patterns("__pycache__"))
    formats = tmp_path / "gitmodel" / "formats"
    with (formats / "shipped" / "plain.py").open("a", encoding="utf-8") as plain:
        plain.write(code)
    for table, line in zip(("plugins.py:_BUILT_IN", "detection.py:_EXTENSIONS"), lines.splitlines(), strict=True):
        name, _, variable = table.partition(":")
        module = formats / "catalogue" / name
        text = module.read_text(encoding="utf-8")
        assert f"\n{variable} = {{\n" in text
        module.write_text(text.replace(f"\n{variable} = {{\n", f"\n{variable} = {{\n{line}\n"), encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT.format(case=f"cases = [{case}]")],
        cwd=tmp_path,
        capture_output=True,
        encoding="utf-8",
    )
    assert done.returncode == 0, done.stderr
