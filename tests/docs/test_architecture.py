"""The page on the architecture: its layers are those that import-linter enforces, and its files exist."""

import re
from pathlib import Path

import rtoml

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/explanation/architecture.md").read_text(encoding="utf-8")


def test_the_layers_of_the_page_are_those_that_the_build_enforces() -> None:
    table = PAGE.partition("| layer |")[2].partition("\n\n")[0]
    rows = [re.findall(r"`(\w+)`", row.split("|")[1]) for row in table.splitlines()[2:]]
    config = rtoml.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    contracts = config["tool"]["importlinter"]["contracts"]
    (layers,) = [contract["layers"] for contract in contracts if contract.get("containers") == ["gitmodel"]]
    assert list(map(sorted, rows)) == [sorted(layer.split(" | ")) for layer in layers]


def test_every_module_that_the_page_names_exists() -> None:
    named = set(re.findall(r"`([a-z_]+/[a-z_/]*(?:\.py)?)`", PAGE))
    assert len(named) > 40
    assert [name for name in sorted(named) if not (ROOT / "gitmodel" / name).exists()] == []
