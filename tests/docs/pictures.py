"""Draw the pictures of the documentation. `python3 noxfile.py -s pictures` writes them to docs/pictures.

The drawings are SVG. They are made from the layers in the configuration of import-linter and from the transcript of
the demo, so that a test can compare them with both.
"""

import html
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import rtoml

ROOT = Path(__file__).resolve().parents[2]
PICTURES = ROOT / "docs" / "pictures"
LINE = 18  # pixels from one line of text to the next

# A picture does not know if its page is light or dark, so each drawing has styles for both.
STYLE = """
text{font:13px system-ui,sans-serif;fill:#1f2328}.title{font-weight:600}.small{font-size:12px;fill:#59636e}
.mono{font:12.5px ui-monospace,monospace;white-space:pre}.box{fill:#f6f8fa;stroke:#8c959f}
.strong{fill:#ddf4ff;stroke:#0969da}.line{stroke:#59636e;fill:none;stroke-width:1.5}.head{fill:#59636e}
.ground{fill:#fff}.dash{stroke-dasharray:4 4}
@media(prefers-color-scheme:dark){text{fill:#e6edf3}.small{fill:#9198a1}.box{fill:#161b22;stroke:#6e7681}
.strong{fill:#0c2d4a;stroke:#4493f8}.line{stroke:#9198a1}.head{fill:#9198a1}.ground{fill:#0d1117}}
"""


def text(x: float, y: float, words: str, *, kind: str = "", anchor: str = "start") -> str:
    """Return a line of text. (*x*, *y*) is the start of its base line, or the middle if *anchor* says so."""
    return f'<text x="{x:g}" y="{y:g}" class="{kind}" text-anchor="{anchor}">{html.escape(words, quote=False)}</text>'


def box(x: float, y: float, width: float, height: float, title: str, *lines: str, strong: bool = False) -> str:
    """Return a box with a title, and lines of text below the title. Text between backticks is code."""
    parts = [
        f'<rect x="{x}" y="{y}" width="{width}" height="{height}" rx="6" class="{"strong" if strong else "box"}"/>'
    ]
    parts.append(text(x + 12, y + 23, title, kind="title"))
    for row, line in enumerate(lines):
        code = line.startswith("`")
        parts.append(text(x + 12, y + 43 + row * LINE, line.replace("`", ""), kind="mono" if code else "small"))
    return "".join(parts)


def arrow(points: Sequence[tuple[float, float]], *, dashed: bool = False) -> str:
    """Return a line through *points* with an arrow head at its end."""
    path = " ".join(f"{x:g},{y:g}" for x, y in points)
    return f'<polyline points="{path}" class="line{" dash" if dashed else ""}" marker-end="url(#head)"/>'


def drawing(title: str, width: int, height: int, *content: str) -> str:
    """Return an SVG file with *content*. *title* describes the drawing in words."""
    name = html.escape(title)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}"'
        f' role="img" aria-label="{name}">\n<title>{name}</title>\n<style>{STYLE}</style>\n'
        '<defs><marker id="head" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8" markerHeight="8" orient="auto">'
        '<path d="M0,0L8,4L0,8z" class="head"/></marker></defs>\n'
        f'<rect width="{width}" height="{height}" class="ground"/>\n' + "\n".join(content) + "\n</svg>\n"
    )


def layers() -> list[str]:
    """Return the layers of gitmodel from top to bottom, as import-linter enforces them."""
    config = rtoml.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    contracts = config["tool"]["importlinter"]["contracts"]
    return next(contract["layers"] for contract in contracts if contract.get("containers") == ["gitmodel"])


def architecture() -> str:
    """Draw the users of gitmodel, its layers, and its storage."""
    rows = layers()
    top, row_height = 92, 27
    bottom = top + len(rows) * row_height + 52
    left, width = 24, 560

    def draw() -> Iterator[str]:
        for x, title, line in ((24, "You, a script", "`git model ...`"), (312, "A service", '`Client("https://...")`')):
            yield box(x, 12, 272, 58, title, line)
            yield arrow([(x + 136, 70), (x + 136, top)])
        yield box(612, 12, 224, 76, "A reviewer, CI", "`git log, git diff,`", "pull requests")
        yield f'<rect x="{left}" y="{top}" width="{width}" height="{len(rows) * row_height + 12}" rx="6" class="box"/>'
        for row, names in enumerate(rows):
            yield text(left + 14, top + 24 + row * row_height, names.replace(" | ", "   "), kind="mono")
        yield text(left + width - 14, top + 24, "each imports only from below", kind="small", anchor="end")
        yield arrow([(180, bottom - 40), (180, bottom)])
        yield text(192, bottom - 14, "git objects and refs", kind="small")
        yield arrow([(500, bottom - 40), (500, bottom - 16), (724, bottom - 16), (724, bottom)])
        yield text(736, bottom - 14, "bytes, by SHA-256", kind="small")
        yield box(
            24, bottom, 560, 124, "The registry repository",
            "`refs/heads/gitmodel         models, versions, stages as TOML`",
            "`refs/tags/model/M/S         the version in force in each stage`",
            "`refs/tags/gitmodel-rules/   the rules in force`",
            "`refs/gitmodel/reserved/     reserved numbers`", strong=True,
        )  # fmt: skip
        yield arrow([(724, 88), (724, 110), (598, 110), (598, bottom + 62), (586, bottom + 62)], dashed=True)
        yield box(612, bottom, 224, 124, "Artifact stores", "a folder, S3, Google, Azure,", "SFTP, OCI", strong=True)

    return drawing("The layers of gitmodel, its users, and its storage", 860, bottom + 142, *draw())


def promotion() -> str:
    """Draw the life of a promotion by pull request, from the proposal to the service."""
    steps = (
        ("1  Propose", ("`git model propose`", "a branch: one commit", "that changes a stage")),
        ("2  Review", ("a pull request, with", "the plan as a comment:", "gates, metrics, charts")),
        ("3  Merge", ("recorded on the", "branch `gitmodel`,", "not yet in force")),
        ("4  Apply", ("`git model apply`", "in CI moves the stage's", "tag: now in force")),
        ("5  Load", ("`iris@production`", "a service reads it, and", "verifies every byte")),
    )
    width, gap = 158, 18

    def draw() -> Iterator[str]:
        for place, (title, lines) in enumerate(steps):
            x = 16 + place * (width + gap)
            yield box(x, 16, width, 108, title, *lines, strong=place in (2, 3))
            if place:
                yield arrow([(x - gap + 2, 70), (x - 3, 70)])
        first, last = 16 + width / 2, 16 + 4 * (width + gap) + width / 2
        yield arrow([(last, 124), (last, 150), (first, 150), (first, 127)])
        yield text((first + last) / 2, 170, "to roll back: propose the previous version", kind="small", anchor="middle")

    return drawing("The life of a promotion: propose, review, merge, apply, load", 894, 184, *draw())


def stages() -> str:
    """Draw a stage on the branch and its tag, before and after `git model apply`."""
    commits = (
        ("create iris@4", "production: 3"),
        ("Promote iris 4", "production: 4"),
        ("log accuracy", "production: 4"),
    )

    def draw() -> Iterator[str]:
        for panel, (title, target, state) in enumerate(
            (
                ("After the merge", 0, "pending: readers get iris@3"),
                ("After `git model apply`", 1, "in force: readers get iris@4"),
            )
        ):
            x = 16 + panel * 420
            yield text(x, 28, title.replace("`", ""), kind="title")
            yield text(x + 404, 28, state, kind="small", anchor="end")
            yield f'<line x1="{x + 40}" y1="74" x2="{x + 370}" y2="74" class="line"/>'
            for at, (subject, record) in enumerate(commits):
                cx = x + 60 + at * 140
                yield f'<circle cx="{cx}" cy="74" r="9" class="{"strong" if at == 1 else "box"}"/>'
                yield text(cx, 54, subject, kind="small", anchor="middle")
                yield text(cx, 106, record, kind="mono", anchor="middle")
            tag_x = x + 60 + (0 if target == 0 else 140)
            yield box(tag_x - 60 if target else x, 146, 240, 34, "")
            yield text(tag_x - 48 if target else x + 12, 168, "tag model/iris/production", kind="mono")
            yield arrow([(tag_x, 146), (tag_x, 116)])

    return drawing("The branch records version 4; the tag says whether it is in force", 856, 196, *draw())


def terminal(command: str) -> str:
    """Draw the part of the demo's transcript that begins with *command*, as a terminal shows it."""
    tour = (ROOT / "docs" / "tutorial" / "demo.md").read_text(encoding="utf-8")
    found = re.search(rf"^\$ {re.escape(command)}\n(?:(?!\$ |```).*\n)*", tour, re.MULTILINE)
    assert found, f"the tour of the demo has no transcript of {command}"
    lines = found[0].splitlines()
    width = round(max(map(len, lines)) * 7.6) + 32
    shown = [text(16, 30 + row * LINE, line, kind="mono") for row, line in enumerate(lines)]
    return drawing(f"A terminal: {command}", width, len(lines) * LINE + 30, *shown)


def drawings() -> dict[str, str]:
    """Return the drawings by the names of their files."""
    return {
        "architecture.svg": architecture(),
        "promotion.svg": promotion(),
        "recorded-and-in-force.svg": stages(),
        "terminal.svg": terminal("git model history churn production"),
    }


if __name__ == "__main__":
    for name, content in drawings().items():
        (PICTURES / name).write_text(content, encoding="utf-8")
