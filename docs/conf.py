"""Settings of Sphinx: `python3 noxfile.py -s docs` builds the documentation as a site that works without a network.

The sources are the Markdown pages that a git host shows as well. docs/README.md is the one list of the pages:
its headings become the sections of the side bar.
"""

import re
import shutil
from pathlib import Path

from sphinx.application import Sphinx

project = "gitmodel"
author = "the authors of gitmodel"
root_doc = "README"
include_patterns = ["README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md", "docs/*.md", "docs/**/*.md"]
extensions = ["myst_parser"]
source_suffix = {".md": "markdown"}
myst_heading_anchors = 6  # links to headings are written as a git host makes them
html_theme = "furo"
html_title = "gitmodel"
html_copy_source = False
html_show_sphinx = False
html_show_copyright = False
html_static_path: list[str] = []
html_search_scorer = str(Path(__file__).with_name("search_scorer.js"))
html_show_search_summary = False  # a summary is fetched, which browsers refuse for pages opened as files


def toctree(caption: str, pages: list[str]) -> str:
    """A directive that puts *pages*, named without a suffix, into the side bar under *caption*."""
    return "\n".join(["", "```{toctree}", ":hidden:", f":caption: {caption}", "", *pages, "```", ""])


def sections() -> list[tuple[str, list[str]]]:
    """The headings of docs/README.md, each with the pages that its list links to."""
    listing = Path(__file__).with_name("README.md").read_text(encoding="utf-8")
    parts = re.split(r"^## (.+)$", listing, flags=re.MULTILINE)[1:]
    links = re.compile(r"\]\((?!\.\.)([\w./-]+)\.md\)")
    return [
        (caption, [f"/docs/{page}" for page in dict.fromkeys(links.findall(text))])
        for caption, text in zip(parts[::2], parts[1::2], strict=True)
    ]


def add_toctrees(app: Sphinx, page: str, content: list[str]) -> None:
    """Append the side bar to the README, and the list of all decisions to their index."""
    if page == root_doc:
        trees = [*sections(), ("Project", ["docs/README", "CONTRIBUTING", "SECURITY", "CHANGELOG"])]
        content[0] += "".join(toctree(*tree) for tree in trees)
    if page == "docs/decisions/README":
        names = sorted(path.stem for path in Path(__file__).parent.glob("decisions/0*.md"))
        content[0] += toctree("Decisions", names)


def copy_files(app: Sphinx, error: Exception | None) -> None:
    """Copy README.html to index.html, which web servers show for the folder, and the pictures in `<picture>`."""
    if error is None:
        pictures = Path("docs", "pictures")
        shutil.copytree(Path(app.srcdir) / pictures, Path(app.outdir) / pictures, dirs_exist_ok=True)
        shutil.copyfile(Path(app.outdir) / f"{root_doc}.html", Path(app.outdir) / "index.html")


def setup(app: Sphinx) -> None:
    app.connect("source-read", add_toctrees)
    app.connect("build-finished", copy_files)
