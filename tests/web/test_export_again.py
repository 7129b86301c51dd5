"""An export to a folder with an older site renders only changed pages.

After any change of the registry, the site has the same bytes as an export to an empty folder.
"""

import os
import random
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from itertools import count
from pathlib import Path

import pytest
from site_files import files_in

from gitmodel import Client
from gitmodel.errors import Refused
from gitmodel.web import routes
from gitmodel.web.export import site
from gitmodel.web.export.site import Exported, export_site
from gitmodel.web.options import SiteOptions
from gitmodel.web.pages.of_model import data
from gitmodel.web.rendering import markdown
from gitmodel.web.rendering import renderer as rendering
from gitmodel.web.rendering.renderer import Renderer


@pytest.fixture
def client(code_repo: Path, tmp_path: Path) -> Iterator[Client]:
    """A client of a registry with a gate, versions that share artifacts, and a run that uses an artifact."""
    with Client(code_repo) as client:
        (tmp_path / "rows.json").write_text("[1, 2]", encoding="utf-8")
        (tmp_path / "notes.md").write_text("# Notes", encoding="utf-8")
        for name in ("iris", "wine", "empty"):
            client.register_model(name, title=f"All about {name}", tags=["flowers"])
        for name in ("iris", "wine"):
            for number in (1, 2, 3):
                data = {"rows": tmp_path / "rows.json"}
                metadata = {"accuracy": 0.9 + number / 100}
                client.get_model(name).create_version(
                    metadata=metadata, data=data, deployments={"notes": tmp_path / "notes.md"}
                )
        client.promote("iris@1", "production", reason="the first")
        client.promote("iris@2", "production", reason="better")
        client.set_alias("wine@3", "champion")
        yield client


class World:
    """A registry and a folder to which its site is exported repeatedly, with options that change."""

    def __init__(self, client: Client, folder: Path, choice: random.Random) -> None:
        self.client = client
        self.site = folder / "site"
        self.options = SiteOptions()
        self.choice = choice
        self._fresh = (folder / f"fresh-{number}" for number in range(100))

    def export(self, folder: Path | None = None) -> Exported:
        """Export the site to *folder*; the default is the folder of the world."""
        return export_site(self.client, folder or self.site, self.options)

    def check(self) -> None:
        """Fail unless the site has the same files as a new export, and one more export writes nothing."""
        self.export()
        fresh = next(self._fresh)
        first = self.export(fresh)
        assert files_in(self.site) == files_in(fresh)
        again = self.export()
        assert (first.written, again.written, again.removed) == (again.files, 0, 0)

    def any_version(self) -> str:
        """Return a random version of the registry."""
        versions = [f"{view.model}@{view.record.number}" for view in self.client.find_versions()]
        return self.choice.choice(versions)

    def any_file(self) -> Path:
        """Return a random file of the site."""
        return self.site / self.choice.choice(sorted(files_in(self.site)))


def promote(world: World) -> None:
    version, stage = world.any_version(), world.choice.choice(["staging", "production", "archived"])
    world.client.promote(version, stage, reason="chosen", force=True, leave=True)


def leave(world: World) -> None:
    world.client.promote(world.any_version(), "none", reason="gone", force=True)


def create(world: World) -> None:
    model = world.choice.choice(["iris", "wine", "empty"])
    world.client.get_model(model).create_version(metadata={"accuracy": world.choice.random(), "loss": 1}, tags=["new"])


def delete(world: World) -> None:
    version = world.any_version()
    world.client.get_version(version).delete(force=True, reason="wrong")


def describe(world: World) -> None:
    version = world.client.get_version(world.any_version())
    version.update(description=f"Text {world.choice.random()}")
    version.log_metadata({"accuracy": world.choice.random()})


def retitle(world: World) -> None:
    world.client.get_model("iris").update(title=f"Title {world.choice.random()}")


def alias(world: World) -> None:
    world.client.set_alias(world.any_version(), world.choice.choice(["champion", "shadow"]))


def add_gate(world: World) -> None:
    world.client.add_gate("staging", f"good{world.choice.randrange(1000)}", "metadata.accuracy > 0.1")


def run(world: World) -> None:
    with world.client.start_run("train") as started:
        started.log_parameters(lr=world.choice.random())


def change_option(world: World) -> None:
    name = world.choice.choice(["public", "only_staged", "artifacts", "base_url"])
    now = getattr(world.options, name)
    changed = {"base_url": "" if now else "https://example.com"} if name == "base_url" else {name: not now}
    world.options = SiteOptions(**{**vars(world.options), **changed})


def remove_a_file(world: World) -> None:
    world.any_file().unlink()


def edit_a_file(world: World) -> None:
    path = world.any_file()
    data = path.read_bytes()
    path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))


def touch_a_file(world: World) -> None:
    os.utime(world.any_file(), (1, 1))


def damage_the_state(world: World) -> None:
    path = world.site / ".gitmodel-site" / "facts.json"
    path.write_bytes(path.read_bytes()[:-9])


CHANGES: list[Callable[[World], None]] = [
    promote, promote, leave, create, create, delete, describe, retitle, alias, add_gate, run, change_option,
    remove_a_file, edit_a_file, touch_a_file, damage_the_state,
]  # fmt: skip


@pytest.mark.parametrize(
    "seed", [pytest.param(seed, marks=pytest.mark.soak) if seed > 1 else seed for seed in range(20)]
)
def test_a_site_that_is_exported_again_has_the_bytes_of_a_new_one(client: Client, tmp_path: Path, seed: int) -> None:
    world = World(client, tmp_path, random.Random(seed))
    world.check()
    for change in world.choice.sample(CHANGES, k=len(CHANGES)):
        for _ in range(world.choice.randrange(1, 3)):
            with suppress(Refused):  # some random changes are refused, such as deleting the version in a stage
                change(world)
        world.check()


def test_a_promotion_writes_only_the_pages_that_it_changes(client: Client, tmp_path: Path) -> None:
    export_site(client, tmp_path / "site", SiteOptions())
    client.promote("iris@3", "production", reason="the best")
    before = files_in(tmp_path / "site")
    rendered = []
    render = Renderer.render
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            Renderer, "render", lambda self, page, of: rendered.append(page.file(of)) or render(self, page, of)
        )
        export_site(client, tmp_path / "site", SiteOptions())
    # The lineage page of wine changes, because it shows versions of iris with which wine shares an artifact.
    assert [file for file in rendered if "wine" in file] == ["m/wine/lineage.html"]
    after = files_in(tmp_path / "site")
    assert {path for path in after if after[path] != before.get(path)} >= {"m/iris/v/2.html", "m/iris/v/3.html"}


def test_a_new_release_of_gitmodel_renders_all_pages_again(
    client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    export_site(client, tmp_path / "site", SiteOptions())
    monkeypatch.setattr(rendering, "__version__", "99")
    monkeypatch.setattr(site, "__version__", "99")
    export_site(client, tmp_path / "site", SiteOptions())
    assert b"gitmodel 99" in (tmp_path / "site/m/iris/v/1.html").read_bytes()


def test_a_page_whose_data_cannot_be_compared_is_always_rendered_again(
    client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If the export cannot know whether the data of a page changed, it renders the page again, so it is never wrong."""
    now = count(1)
    page = replace(data.RELEASES, read=lambda registry, model, stage: f"{registry.client} {next(now)}"[-1:])
    monkeypatch.setattr(routes, "PAGES", tuple(page if each is data.RELEASES else each for each in routes.PAGES))
    found = []
    for _ in "12":
        export_site(client, tmp_path / "site", SiteOptions())
        found.append((tmp_path / "site/data/iris/production.json").read_bytes())
    assert found[0] != found[1]


@pytest.mark.parametrize(
    "text", ["Week 7", "A (small) model: 4.5 % better, it's good.", "a - b", "A. B", "x  y", "x ", "a_b_c"]
)
def test_text_without_markup_is_rendered_to_the_html_that_the_markdown_parser_returns(text: str) -> None:
    parsed = markdown._parser().render(text)
    assert markdown.render_markdown(text) == parsed
