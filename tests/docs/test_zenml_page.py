"""The page for users of ZenML has a table of errors. Each row shows the real message, and its "write instead" works."""

import re
from pathlib import Path

import pytest
from pages import Folder, read

import gitmodel
from gitmodel import Client

PAGE = "docs/explanation/coming-from-zenml.md"
ROWS = re.findall(r"^\| `(.+?)` \| (.+?) \| `(.+?)` \|$", read(PAGE).partition("## Errors")[2], re.MULTILINE)


def run(code: str, names: dict[str, object]) -> None:
    exec(code, names)


def test_each_error_has_the_text_of_the_page_and_the_form_to_write_works(
    code_repo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert len(ROWS) >= 18
    monkeypatch.chdir(code_repo)
    with Client() as client:
        model = client.register_model("demo")
        model.create_version(data={"train": {"rows": 3}}).set_stage("production")
        model.create_version()
        names = {name: getattr(gitmodel, name) for name in gitmodel.__all__} | {"client": client}
        for typed, says, write in ROWS:
            if typed.startswith("git model"):
                folder = Folder(code_repo)
                status, printed = folder.run(typed)
                assert (status, printed.splitlines()[0]) == (2, f"error: {says}")
                status, printed = folder.run(write)
                assert status == 0, printed
                continue
            with pytest.raises((gitmodel.GitModelError, ImportError)) as caught:
                run(typed, names)
            assert getattr(caught.value, "message", str(caught.value)) == says
            run(write, names)
