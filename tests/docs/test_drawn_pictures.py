"""The drawings in docs/pictures are those that tests/docs/pictures.py makes."""

import pictures
import pytest


@pytest.mark.parametrize("name", sorted(pictures.drawings()))
def test_a_drawing_is_up_to_date(name: str) -> None:
    written = (pictures.PICTURES / name).read_text(encoding="utf-8")
    assert written == pictures.drawings()[name], "run `python3 noxfile.py -s pictures`"
