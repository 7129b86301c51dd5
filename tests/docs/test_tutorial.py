"""The commands of the tutorial, and of the pages that continue it, print what these pages show."""

from pages import Folder, blocks, check, steps

TUTORIAL = "docs/tutorial/first-model.md"
PIPELINES = "docs/tutorial/pipelines.md"
LINEAGE = "docs/explanation/lineage-with-plain-git.md"


def test_the_tutorial_on_pipelines_prints_the_shown_output(folder: Folder, rewrite: bool) -> None:
    check(PIPELINES, folder, rewrite=rewrite)


def test_the_tutorial_prints_the_shown_output_and_git_alone_answers_the_questions_of_lineage(
    folder: Folder, rewrite: bool
) -> None:
    """One test runs both pages, because the second page uses the repository of the first, whose training takes long."""
    check(TUTORIAL, folder, rewrite=rewrite)
    for block in blocks(LINEAGE):
        for step in steps(block.text) if block.language == "console" else ():
            status, output = folder.run(step.command)
            assert status == 0, f"{step.command}\n{output}"
            assert output or "--quiet" in step.command, f"{step.command} prints nothing"
            assert "git model" not in step.command
