"""Helpers for tests of the documentation: find the code blocks of a page, and run its commands in a folder."""

import os
import re
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PROGRAMS = Path(sys.executable).parent
# Pages that are generated; other tests check them.
GENERATED = ("docs/reference/cli.md", "docs/reference/json.md")

_BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_SAVED_AS = re.compile(r"# ([\w-]+\.(?:py|toml|yaml))\n")


@dataclass(frozen=True)
class Block:
    """A fenced code block of a page: its language, its text, and the position of the text in the page."""

    language: str
    text: str
    start: int

    @property
    def file(self) -> str:
        """The name in the comment in the first line, under which the reader saves the block; "" if there is none."""
        found = _SAVED_AS.match(self.text)
        return found[1] if found else ""


@dataclass(frozen=True)
class Step:
    """A command of a console block, and its output as the page shows it."""

    command: str
    shown: str


@dataclass
class Folder:
    """A folder in which commands run as in one shell: `cd` and variables stay in effect."""

    place: Path
    variables: dict[str, str] = field(default_factory=dict)

    def run(self, command: str) -> tuple[int, str]:
        """Run *command*. Return its exit code, and its stdout and stderr as one text."""
        where = self.place.parent / ".place"
        assigned = re.match(r"([a-z]+)=", command)
        name = assigned[1] if assigned else "PWD"
        script = f'{command}\nstatus=$?\n{{ pwd -P; echo "${name}"; }} > "{where}"\nexit $status\n'
        environment = {**os.environ, **self.variables, "PATH": f"{PROGRAMS}{os.pathsep}{os.environ['PATH']}"}
        done = subprocess.run(
            ["bash", "-c", script],
            cwd=self.place,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            check=False,
        )
        place, value = where.read_text(encoding="utf-8").splitlines()
        self.place = Path(place)
        self.variables |= {name: value} if assigned else {}
        where.unlink()
        return done.returncode, done.stdout


def all_pages() -> list[str]:
    """Return the paths of all pages of the project, relative to its root."""
    found = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("examples/**/*.md")]
    return sorted(str(page.relative_to(ROOT)) for page in found)


def read(page: str) -> str:
    return (ROOT / page).read_text(encoding="utf-8")


def blocks(page: str) -> list[Block]:
    """Return the fenced code blocks of *page*, from top to bottom."""
    return [Block(found[1], found[2], found.start(2)) for found in _BLOCK.finditer(read(page))]


def steps(text: str) -> list[Step]:
    r"""Return the commands of a console block. A line that ends in a backslash continues on the next line.

    >>> steps("$ echo a \\\n    b\na b\n$ true\n")
    [Step(command='echo a \\\n    b', shown='a b\n'), Step(command='true', shown='')]
    """
    found = re.split(r"^\$ ", text, flags=re.MULTILINE)
    assert not found[0].strip(), f"a console block does not begin with a command: {found[0]!r}"
    result = []
    for part in found[1:]:
        lines = part.splitlines(keepends=True)
        end = next(number for number, line in enumerate(lines, 1) if not line.endswith("\\\n"))
        result.append(Step("".join(lines[:end]).rstrip("\n"), "".join(lines[end:])))
    return result


def trimmed(text: str) -> str:
    """Return *text* without spaces at the ends of lines, because pages have no such spaces."""
    return re.sub(r"[ \t]+$", "", text, flags=re.MULTILINE)


def alike(shown: str, printed: str) -> bool:
    """Return True if *shown* equals *printed*, apart from the values that `_without_varying_values` removes.

    A line `...` in *shown* matches any lines.
    """
    parts = re.split(r"^\.\.\.\n", _without_varying_values(shown), flags=re.MULTILINE)
    pattern = "(?:.*\n)*?".join(map(re.escape, parts))
    return re.fullmatch(pattern, _without_varying_values(printed)) is not None


def _without_varying_values(text: str) -> str:
    """Return *text* without values that vary: hashes, ids of runs, durations, and sizes, which depend on libraries."""
    text = re.sub(r"\b[0-9a-f]{7,64}\b|(?<=-)[0-9a-f]{6}\b", "<hash>", trimmed(text))
    text = re.sub(r"\bin [\d.]+ m?s\b|(?<=, )[\d.]+ s$|^took +\d+ s$", "<time>", text, flags=re.MULTILINE)
    return re.sub(r"\b\d[\d.]* (?:[kM]?B\b|bytes\b)|\bsize = \d+$", "<size>", text, flags=re.MULTILINE)


def follow(page: str, folder: Folder, section: str = "") -> list[tuple[Block, str]]:
    """Run the commands of *page*, or of its *section*. Return each console block with its current output."""
    found = []
    for block in blocks(page):
        if section and _section_of(page, block) != section:
            continue
        if block.file:
            (folder.place / block.file).write_text(block.text.partition("\n")[2], encoding="utf-8")
        if block.language != "console":
            continue
        printed = []
        for step in steps(block.text):
            status, output = folder.run(step.command)
            assert status == 0 or "error:" in step.shown, f"{page}: {step.command}\n{output}"
            shown = step.shown if alike(step.shown, output) else trimmed(output)
            printed.append(f"$ {step.command}\n{shown}")
        found.append((block, "".join(printed)))
    return found


def check(page: str, folder: Folder, *, rewrite: bool, section: str = "") -> None:
    """Fail unless the commands of *page*, or its *section*, print what it shows. *rewrite* updates the page instead."""
    found = follow(page, folder, section)
    if rewrite:
        text = read(page)
        for block, printed in reversed(found):
            text = text[: block.start] + printed + text[block.start + len(block.text) :]
        (ROOT / page).write_text(text, encoding="utf-8")
    else:
        for block, printed in found:
            assert printed == block.text


def _section_of(page: str, block: Block) -> str:
    """Return the heading of the section that contains *block*; "" if the block is above the first heading."""
    # Lines in code blocks can look like headings, so the blocks are left out.
    text = _BLOCK.sub("", read(page)[: block.start])
    return ["", *re.findall(r"^## (.+)$", text, re.MULTILINE)][-1]
