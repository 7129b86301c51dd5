"""The commands of the tutorial and of the pages that continue it run and print what they show."""

import pytest
from pages import ROOT, Folder, alike, blocks, read, steps, trimmed

TUTORIAL = "docs/tutorial/first-model.md"
PIPELINES = "docs/tutorial/pipelines.md"
LINEAGE = "docs/explanation/lineage-with-plain-git.md"


def follow(page: str, folder: Folder) -> list[tuple[int, int, str, str]]:
    """Run the commands of *page*. Return the place of each console block, its text and its text as of now."""
    found = []
    for block in blocks(page):
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
        end = block.start + len(block.text)
        found.append((block.start, end, block.text, "".join(printed)))
    return found


def check(page: str, folder: Folder, request: pytest.FixtureRequest) -> None:
    """Compare what *page* shows with what its commands print; with `--rewrite`, write their output into the page."""
    found = follow(page, folder)
    if request.config.getoption("--rewrite", default=False):
        text = read(page)
        for start, end, _, printed in reversed(found):
            text = text[:start] + printed + text[end:]
        (ROOT / page).write_text(text, encoding="utf-8")
    else:
        for _, _, shown, printed in found:
            assert printed == shown


def test_the_tutorial_on_pipelines_prints_what_it_shows(folder: Folder, request: pytest.FixtureRequest) -> None:
    check(PIPELINES, folder, request)


def test_the_tutorial_prints_what_it_shows_and_git_alone_answers_the_questions_of_lineage(
    folder: Folder, request: pytest.FixtureRequest
) -> None:
    """Both pages are in one test, because the second uses the repository of the first, in which training takes long."""
    check(TUTORIAL, folder, request)
    for block in blocks(LINEAGE):
        for step in steps(block.text) if block.language == "console" else ():
            status, output = folder.run(step.command)
            assert status == 0, f"{step.command}\n{output}"
            assert output or "--quiet" in step.command, f"{step.command} prints nothing"
            assert "git model" not in step.command
