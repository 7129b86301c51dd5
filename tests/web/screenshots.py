"""Take the screenshots of the documentation. `python3 noxfile.py -s pictures` writes them to docs/pictures.

Each screenshot shows a page of the demo, or the plan of its proposal as a git host shows it. The file `sources.json`
has a digest of the content of each screenshot, so that a test notices if a page changed later.
"""

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from browser import ARGUMENTS, CHROMIUM, NODE_MODULES
from demo import build_once
from markdown_pages import as_page
from playwright.sync_api import sync_playwright

PICTURES = Path(__file__).resolve().parents[2] / "docs" / "pictures"
SOURCES = PICTURES / "sources.json"
PAGES = {"models": "index.html", "stages": "stages.html", "model": "m/churn/index.html"}
WIDTH, HEIGHT = 1120, 720
PULL_REQUEST = 900, 960  # the width of a comment with its margins, and the height of the part in the picture


def make_pages(demo: Path, folder: Path) -> dict[str, Path]:
    """Export the site of *demo* and the plan of its proposal to *folder*. Returns the file of each page."""
    repository = folder / "demo"
    shutil.copytree(demo, repository, symlinks=True)
    run = [sys.executable, "-m", "gitmodel", "-C", str(repository)]
    subprocess.run(
        [*run, "site", str(folder / "site"), "--title", "Models of a bicycle hire"],
        check=True,
        stdout=subprocess.DEVNULL,
    )
    branch = "propose/churn/production/16"
    found = subprocess.run(
        ["git", "-C", str(repository), "branch", "--format=%(refname:short)", "--list", f"{branch}-*"],
        check=True, capture_output=True, encoding="utf-8",
    ).stdout.split()  # fmt: skip
    plan = subprocess.run([*run, "plan", f"gitmodel..{found[0]}", "--markdown"], capture_output=True, encoding="utf-8")
    comment = folder / "pull-request.html"
    comment.write_text(as_page(plan.stdout).replace('src="/mermaid.js"', 'src="mermaid.js"'), encoding="utf-8")
    return {name: folder / "site" / file for name, file in PAGES.items()} | {"pull-request": comment}


def digests(pages: dict[str, Path]) -> dict[str, str]:
    """Return a digest of the content of each page, without ids, because ids depend on the versions of libraries."""
    contents = {name: file.read_text(encoding="utf-8") for name, file in pages.items()}
    contents["style"] = "".join(file.read_text(encoding="utf-8") for file in (pages["models"].parent).glob("*.css"))
    return {
        name: hashlib.sha256(re.sub(r"[0-9a-f]{6,64}", "", text).encode()).hexdigest()[:16]
        for name, text in sorted(contents.items())
    }


def take(pages: dict[str, Path], into: Path) -> None:
    """Write a picture of each page in both colour schemes to the folder *into*."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS, chromium_sandbox=False)
        for scheme in ("light", "dark"):
            for name, file in pages.items():
                width, height = PULL_REQUEST if name == "pull-request" else (WIDTH, HEIGHT)
                page = browser.new_page(viewport={"width": width, "height": height}, color_scheme=scheme)
                page.goto(file.as_uri())
                if name == "pull-request":
                    assert page.evaluate("window.drawn") == "drawn"
                page.screenshot(path=into / f"{name}-{scheme}.png", animations="disabled")
                page.close()
        browser.close()


def main() -> None:
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        pages = make_pages(build_once(folder, os.environ), folder / "made")
        shutil.copyfile(NODE_MODULES / "mermaid-11" / "dist" / "mermaid.min.js", folder / "made" / "mermaid.js")
        take(pages, PICTURES)
        SOURCES.write_text(json.dumps(digests(pages), indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
