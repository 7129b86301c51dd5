"""The code in docs/how-to/load-in-a-service.md loads a new version in a loop, while another clone promotes."""

import json
import re
from pathlib import Path

import pytest

PAGE = Path(__file__).resolve().parents[2] / "docs/how-to/load-in-a-service.md"


def follow():
    """Return the function `follow` that the page defines."""
    (block,) = [one for one in re.findall(r"```python\n(.*?)```", PAGE.read_text("utf-8"), re.S) if "def follow" in one]
    names = {}
    exec(block, names)
    return names["follow"]


@pytest.fixture
def models(ada, bob, tmp_path):
    """iris@4 and iris@5, which have a classifier. iris@4 is in production, pushed by Ada and pulled by Bob."""
    for name in ("first", "second"):
        (tmp_path / "model.json").write_text(json.dumps({"name": name}), encoding="utf-8")
        ada.get_model("iris").create_version(model_objects={"classifier": tmp_path / "model.json"})
    ada.get_version("iris@4").set_stage("production")
    ada.push()
    bob.pull()


@pytest.mark.parametrize("by_url", [False, True])
def test_the_loop_of_the_page_loads_the_version_that_another_clone_promotes(team, ada, bob, bare, models, by_url):
    service = team.by_url("service", bare.as_uri(), store=team.store) if by_url else bob
    served = []

    def serve(model):
        served.append(model["name"])
        if len(served) == 2:
            raise KeyboardInterrupt
        ada.get_version("iris@5").set_stage("production")
        ada.push()

    with pytest.raises(KeyboardInterrupt):
        follow()(service, serve, pause=0)
    assert served == ["first", "second"]
