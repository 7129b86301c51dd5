"""The page on problems with ModelConfig: each example gives the message on the page, and each solution works."""

import runpy
from pathlib import Path

import pytest
from pages import Folder, alike, blocks, steps

from gitmodel import Conflict, GitModelError, ModelConfig, pipeline
from gitmodel import step as as_step

PAGE = "docs/how-to/solve-problems-of-model-config.md"


def in_one_line(text: str) -> str:
    return " ".join(text.split()) + "\n"


@pytest.fixture
def place(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder.run("git init -q . && git commit -q --allow-empty -m Begin")
    monkeypatch.chdir(folder.place)
    monkeypatch.syspath_prepend(str(folder.place))
    return folder.place


def test_each_problem_shows_the_message_that_the_page_says(
    place: Path, folder: Folder, caplog: pytest.LogCaptureFixture
) -> None:
    found = blocks(PAGE)
    followed_by = [block.language for block in found[1:]] + [""]
    printed = ""
    for number, (block, following) in enumerate(zip(found, followed_by, strict=True)):
        if block.file:
            (place / block.file).write_text(block.text, encoding="utf-8")
        elif block.language == "python":
            script = place / f"problem_{number}.py"
            script.write_text(block.text, encoding="utf-8")
            caplog.clear()
            printed = ""
            try:
                runpy.run_path(str(script))
            except GitModelError as error:
                printed = f"{type(error).__name__}: {error}"
            assert not printed or following == "text", f"{PAGE}: {printed}\n{block.text}"
        elif block.language == "text" and "has reserved" not in block.text:
            shown = printed or "\n".join(record.getMessage() for record in caplog.records)
            assert alike(in_one_line(block.text), in_one_line(shown))
            printed = ""
        elif block.language == "console":
            for one in steps(block.text):
                assert folder.run(one.command)[0] == 0


@as_step
def fit() -> int:
    return 1


def test_the_second_of_two_runs_that_create_the_same_name_gets_the_message_of_the_page(place: Path) -> None:
    @pipeline(model_config=ModelConfig(name="demo", version="3.0", create_new_model_version=True))
    def train() -> None:
        fit()

    caught = []

    def run_again(event: str, *_: object) -> None:
        if event == "started":
            with pytest.raises(Conflict) as second:
                train()
            caught.append(f"Conflict: {second.value}")

    train.run(listener=run_again)
    shown = next(block.text for block in blocks(PAGE) if "has reserved" in block.text)
    assert [alike(in_one_line(shown), in_one_line(text)) for text in caught] == [True]
