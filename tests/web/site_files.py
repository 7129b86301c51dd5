"""Read the files of an exported site in tests, and find its dead links."""

import json
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit


def files_in(folder: Path) -> dict[str, bytes]:
    """Return the files of a site by path, without those that only the export reads."""
    found = (path for path in folder.rglob("*") if path.is_file() and ".gitmodel-site" not in path.parts)
    return {str(path.relative_to(folder)): path.read_bytes() for path in found}


class Links(HTMLParser):
    """Collects the addresses in a page."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found += [value for key, value in attrs if key in ("href", "src") and value]


def dead_links(folder: Path) -> Iterator[str]:
    """Yield the links of the pages in *folder* to files that do not exist."""
    for page in folder.rglob("*.html"):
        links = Links()
        links.feed(page.read_text(encoding="utf-8"))
        for link in links.found:
            parts = urlsplit(link)
            if not parts.scheme and parts.path and not (page.parent / unquote(parts.path)).is_file():
                yield f"{page.relative_to(folder)}: {link}"


def twin(site: Path, path: str) -> dict[str, Any]:
    """Return the JSON twin of the page *path* of a site."""
    return json.loads((site / f"{path}.json").read_text(encoding="utf-8"))
