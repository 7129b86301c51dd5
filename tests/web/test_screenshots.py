"""The screenshots of the documentation are up to date: the content of their pages has not changed since."""

import json
from pathlib import Path

import pytest
import screenshots


@pytest.mark.xdist_group("demo")
def test_the_screenshots_show_the_current_content_of_their_pages(demo: Path, tmp_path: Path) -> None:
    found = screenshots.digests(screenshots.make_pages(demo, tmp_path))
    assert found == json.loads(screenshots.SOURCES.read_text(encoding="utf-8")), "run `python3 noxfile.py -s pictures`"
    for name in (*screenshots.PAGES, "pull-request"):
        for scheme in ("light", "dark"):
            assert (screenshots.PICTURES / f"{name}-{scheme}.png").read_bytes().startswith(b"\x89PNG")
