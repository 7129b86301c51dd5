"""The drawings in docs/pictures are up to date: tests/docs/pictures.py draws the same files."""

import pictures
import pytest


@pytest.mark.parametrize("name", sorted(pictures.drawings()))
def test_a_drawing_of_the_documentation_is_up_to_date(name: str) -> None:
    written = (pictures.PICTURES / name).read_text(encoding="utf-8")
    assert written == pictures.drawings()[name], "run `python3 noxfile.py -s pictures`"
