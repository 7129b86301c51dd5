"""Read the files of an exported site in tests."""

import json
from pathlib import Path
from typing import Any


def files_in(folder: Path) -> dict[str, bytes]:
    """Return the files of a site by path, without those that only the export reads."""
    found = (path for path in folder.rglob("*") if path.is_file() and ".gitmodel-site" not in path.parts)
    return {str(path.relative_to(folder)): path.read_bytes() for path in found}


def twin(site: Path, path: str) -> dict[str, Any]:
    """Return the JSON twin of the page *path* of a site."""
    return json.loads((site / f"{path}.json").read_text(encoding="utf-8"))
