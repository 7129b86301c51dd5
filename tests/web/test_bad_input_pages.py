"""Pages stay correct in a real browser if the registry has hostile, huge, missing or damaged content."""

import json
import subprocess

import editing
import pytest
from layout import layout_faults

from gitmodel import Client
from gitmodel.errors import Invalid
from gitmodel.web import routes
from gitmodel.web.export.site import export_site
from gitmodel.web.options import SiteOptions
from gitmodel.web.registry_data.registry_data import RegistryData

HOSTILE = (
    "</script><script>alert(1)</script><img src=x onerror=alert(1)>\u202e\u2028 [x](javascript:alert(1)) " + "W" * 90
)
LONG = "word " * 12_000  # fits into a record, which has at most 64 kB


@pytest.fixture
def registry(code_repo, tmp_path):
    """A registry with hostile text in every field, long texts, many keys, and metadata whose type changes."""
    page, drawing = tmp_path / "page.html", tmp_path / "drawing.svg"
    page.write_text("<script>alert(1)</script>", encoding="utf-8")
    drawing.write_text('<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>', encoding="utf-8")
    with Client(code_repo) as client:
        words = ("title", "license", "description", "audience", "use_cases", "limitations", "trade_offs", "ethics")
        fields = dict.fromkeys(words, HOSTILE)
        iris = client.register_model("iris", owners=[HOSTILE], tags=["a" * 60], metadata={"note": HOSTILE}, **fields)
        client.register_model("a" * 60, description=LONG)
        for value in (0.5, float("nan"), float("inf"), "high", 10**18, True, None, 0.7):
            metadata = {"accuracy": value, HOSTILE[:120]: HOSTILE} if value is not None else {}
            iris.create_version(metadata=metadata, description=HOSTILE, tags=["b" * 60])
        iris.create_version(metadata={f"k{number}": 1 for number in range(5_000)})
        version = iris.create_version(description=LONG, data={"page": page, "drawing": drawing})
        version.attach("picture", drawing)
        for number in (1, 2, 9, 10):
            iris.get_version(number).set_stage("production", reason=HOSTILE)
        iris.get_version(8).add_alias("champion")
        client.propose(("iris@1", "production"), reason=HOSTILE)
        yield client


def visit_all(client, folder, visitor, **options):
    """Export the pages of *client* with *options*, the fields of `SiteOptions`, and open the first and last of a kind.

    Yields the path of each page, and the page in the browser.
    """
    export_site(client, folder, SiteOptions(**options))
    data = RegistryData(client, SiteOptions(**options))
    for page in routes.PAGES:
        found = [page.file(one) for one in page.list(data)] if page.template else []
        for file in sorted({*found[:1], *found[-1:]}):
            seen = visitor.open((folder / file).as_uri(), width=360, site=folder)
            yield file, seen


def test_hostile_and_huge_content_stays_text_within_the_window(registry, tmp_path, visitor):
    for file, page in visit_all(registry, tmp_path / "site", visitor, artifacts=True):
        assert page.locator("main :is(script, img, iframe, object, embed)").count() == 0, file
        assert page.locator("a[href^='javascript']").count() == 0, file
        assert (file, layout_faults(page)) == (file, [])
        assert (tmp_path / "site" / file).stat().st_size < 1_000_000, file
    assert [path.name for path in (tmp_path / "site").rglob("*.svg")] == ["icon.svg"]


@pytest.mark.parametrize("kind", ["no tags", "shallow"])
def test_a_clone_without_tags_or_history_has_all_pages(registry, tmp_path, kind):
    clone = tmp_path / "clone"
    words = ["--depth", "1"] if kind == "shallow" else []
    url = registry.repository.common_dir.as_uri()
    subprocess.run(["git", "clone", "-q", "--no-tags", *words, "--branch", "gitmodel", url, str(clone)], check=True)
    export_site(registry, tmp_path / "whole", SiteOptions())
    with Client(clone) as client:
        export_site(client, tmp_path / "site", SiteOptions())
    pages = [
        {str(path.relative_to(folder)) for path in folder.rglob("*.html") if path.parent.name != "proposals"}
        for folder in (tmp_path / "whole", tmp_path / "site")
    ]
    assert pages[0] == pages[1]
    assert len(pages[0]) > 10


@pytest.mark.parametrize("record", ['version = "x"\n', "version = 99\n", "= [\n"])
def test_a_damaged_record_of_a_stage_hides_only_its_model(code_repo, tmp_path, record):
    with Client(code_repo) as client:
        for name in ("iris", "wine"):
            client.register_model(name).create_version(metadata={"accuracy": 0.9})
            client.promote(f"{name}@1", "production")
        editing.edit(code_repo, {"models/iris/stages/production.toml": record})
        export_site(client, tmp_path / "site", SiteOptions())
        assert [str(view) for view in client.find_versions()] == ["wine@1"]
        (damage,) = client.find_versions().damaged
        assert damage.message.startswith("models/iris/stages/production.toml")
        with pytest.raises(Invalid):
            client.find_versions("iris")
    assert (tmp_path / "site/m/wine/v/1.html").exists()
    health = json.loads((tmp_path / "site/health.json").read_text(encoding="utf-8"))
    assert {one["path"] for one in health["findings"]} == {"models/iris/stages/production.toml"}
