"""`git model site` exports the pages as files: their links, JSON twins, and the safety of the folder."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from site_files import dead_links, files_in

from gitmodel import Client
from gitmodel.errors import Conflict, Refused, Unreachable
from gitmodel.web import routes
from gitmodel.web.export import site as site_module
from gitmodel.web.export.site import export_site
from gitmodel.web.export.site_state import Stat
from gitmodel.web.options import SiteOptions

HOSTILE = "</script><script>alert(1)</script><u>\u202ex\u2028&amp;"


@pytest.fixture
def client(code_repo: Path) -> Iterator[Client]:
    """A client of an empty registry."""
    with Client(code_repo) as client:
        yield client


@pytest.fixture
def target(tmp_path: Path) -> Path:
    """The folder to which a test exports the site. It does not exist yet."""
    return tmp_path / "site"


@pytest.fixture
def registry(client: Client) -> Client:
    """A registry with two models: `iris` has three versions, one in production; `empty` has none."""
    iris = client.register_model("iris", title="Irises", tags=["flowers"], description="Knows **irises**.")
    for number in (1, 2, 3):
        iris.create_version(metadata={"accuracy": 0.9 + number / 100}, description=f"Week {number}")
    client.promote("iris@1", "production", reason="the first")
    client.promote("iris@2", "production", reason="better")
    client.set_alias("iris@3", "champion")
    client.register_model("empty")
    return client


@pytest.mark.parametrize("only_staged", [False, True])
def test_no_link_of_an_exported_site_is_dead(registry: Client, target: Path, only_staged: bool) -> None:
    export_site(registry, target, SiteOptions(only_staged=only_staged))
    assert list(dead_links(target)) == []
    pages = files_in(target)
    assert {"index.html", "m/iris/index.html", "m/empty/index.html", "m/iris/v/2.html"} <= pages.keys()


def test_each_page_has_a_twin_with_its_values(registry: Client, target: Path) -> None:
    export_site(registry, target, SiteOptions())
    files = files_in(target)
    assert [path for path in files if path.endswith(".html") and f"{path[:-5]}.json" not in files] == []
    twin = json.loads(files["m/iris/v/2.json"])
    assert (twin["schema"], twin["model"], twin["number"], twin["stage"]) == (1, "iris", 2, "production")
    assert twin["predecessor"]["number"] == 1
    assert twin["predecessor"]["changes"] == [
        {"name": "accuracy", "old": 0.91, "new": 0.92, "change": "+0.01", "movement": ""}
    ]


def test_two_clones_export_the_same_bytes(registry: Client, target: Path) -> None:
    here = registry.repository.common_dir.parent
    subprocess.run(["git", "clone", "-q", here, target / "clone"], check=True)
    export_site(registry, target / "here", SiteOptions())
    with Client(target / "clone") as clone:
        clone.pull()
        export_site(clone, target / "there", SiteOptions())
    assert files_in(target / "here") == files_in(target / "there")


def test_an_export_keeps_files_that_no_export_wrote(registry: Client, target: Path) -> None:
    kept = [target / "CNAME", target / "m/iris/notes.txt"]
    for path in kept:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("mine", encoding="utf-8")
    export_site(registry, target, SiteOptions())
    registry.delete_model("iris", force=True, reason="obsolete")
    assert export_site(registry, target, SiteOptions()).removed > 0
    assert [path.read_text(encoding="utf-8") for path in kept] == ["mine", "mine"]
    assert not (target / "m/iris/index.html").exists()


def test_an_export_does_not_overwrite_a_file_that_no_export_wrote(registry: Client, target: Path) -> None:
    target.mkdir()
    (target / "index.html").write_text("mine", encoding="utf-8")
    with pytest.raises(Refused, match=r"index\.html is not a file of an earlier export"):
        export_site(registry, target, SiteOptions())
    assert files_in(target) == {"index.html": b"mine"}


def test_the_old_site_stays_complete_if_the_disk_is_full(
    registry: Client, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    export_site(registry, target, SiteOptions())
    before = files_in(target)
    registry.promote("iris@3", "production", reason="the best")
    write = site_module._create

    def fill(path: str, data: bytes) -> Stat:
        if path.endswith("/2.html"):
            write(path, data[:10])
            raise OSError(28, "No space left on device")
        return write(path, data)

    with monkeypatch.context() as context:
        context.setattr(site_module, "_create", fill)
        with pytest.raises(Unreachable, match="No space left on device"):
            export_site(registry, target, SiteOptions())
    assert files_in(target) == before
    assert export_site(registry, target, SiteOptions()).written > 0
    assert not [*target.glob(".gitmodel-site/new-*")]


def test_the_python_code_on_a_page_runs(registry: Client, target: Path, tmp_path: Path) -> None:
    (tmp_path / "rows.json").write_text("[1, 2]", encoding="utf-8")
    registry.get_model("iris").create_version(data={"rows": tmp_path / "rows.json"})
    export_site(registry, target, SiteOptions())
    (row,) = json.loads((target / "m/iris/v/4.json").read_bytes())["artifacts"]
    subprocess.run([sys.executable, "-c", row["python"]], cwd=registry.repository.common_dir.parent, check=True)


@pytest.mark.parametrize("inner", [".", "refs/heads"])
def test_a_site_inside_a_git_folder_is_refused(registry: Client, inner: str) -> None:
    folder = registry.repository.common_dir / inner
    with pytest.raises(Refused, match="is in the folder of git"):
        export_site(registry, folder, SiteOptions())
    assert not (folder / ".gitmodel-site").exists()


@pytest.mark.parametrize("link", ["m", "m/iris", "assets", ".gitmodel-site"])
def test_a_linked_folder_in_the_site_is_refused(registry: Client, target: Path, tmp_path: Path, link: str) -> None:
    other = tmp_path / "other"
    (other / "new-work").mkdir(parents=True)
    (other / "new-work" / "kept.txt").write_text("mine", encoding="utf-8")
    (target / link).parent.mkdir(parents=True, exist_ok=True)
    (target / link).symlink_to(other)
    with pytest.raises(Refused, match=f"{link} is a symbolic link"):
        export_site(registry, target, SiteOptions())
    assert files_in(other) == {"new-work/kept.txt": b"mine"}
    assert files_in(target) == {}


def test_an_export_replaces_the_pages_of_an_interrupted_export(
    registry: Client, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise a public site could contain a page with e-mail addresses from an export that was not public."""
    registry.get_model("iris").create_version(description="ask bob@example.com")
    public, private = SiteOptions(public=True), SiteOptions()
    export_site(registry, target, public)
    before, replace = files_in(target), os.replace

    def stop(source: Path, to: Path) -> None:
        if Path(to).name == "4.json":
            raise KeyboardInterrupt  # leaves the files that were already replaced, as `kill -9` does
        replace(source, to)

    with monkeypatch.context() as context:
        context.setattr(os, "replace", stop)
        with pytest.raises(KeyboardInterrupt):
            export_site(registry, target, private)
    assert b"bob@example.com" in files_in(target)["m/iris/v/4.html"]
    export_site(registry, target, public)
    assert files_in(target) == before


def test_hostile_text_stays_text(client: Client, target: Path) -> None:
    model = client.register_model(
        "iris", title=HOSTILE, description=HOSTILE, license=HOSTILE, owners=[HOSTILE], tags=[HOSTILE]
    )
    model.create_version(description=HOSTILE, tags=[HOSTILE], metadata={"note": HOSTILE, "k<u>": HOSTILE})
    client.promote("iris@1", "production", reason=HOSTILE)
    export_site(client, target, SiteOptions(title=HOSTILE))
    for path, data in files_in(target).items():
        text = data.decode()
        assert "\u202e" not in text, path
        assert "\u2028" not in text, path
        if path.endswith((".html", ".json")):
            assert "<u>" not in text, path
            assert text.count("<script") == path.endswith(".html"), path


def test_no_page_names_a_path_of_this_machine(registry: Client, target: Path) -> None:
    here = registry.repository.common_dir.parent
    registry.get_model("iris").create_version(description=f"from {here}/train.py")
    export_site(registry, target, SiteOptions())
    everything = b"".join(files_in(target).values())
    assert str(here).encode() not in everything
    assert b"from .../train.py" in everything


def test_a_damaged_record_is_shown_as_damaged(registry: Client, target: Path) -> None:
    folder = target.parent / "worktree"
    here = registry.repository.common_dir.parent
    subprocess.run(["git", "-C", here, "worktree", "add", "-q", folder, "gitmodel"], check=True)
    (record,) = folder.glob("models/iris/versions/**/2.toml")
    record.write_text("number = [", encoding="utf-8")
    subprocess.run(["git", "-C", folder, "commit", "-qam", "Break it"], check=True)
    with Client(here) as client:
        export_site(client, target, SiteOptions())
    pages = files_in(target)
    assert b"1 record cannot be read" in pages["index.html"]
    assert "m/iris/v/3.html" in pages
    assert "m/iris/v/2.html" not in pages
    assert list(dead_links(target)) == []


def test_an_export_starts_again_if_the_registry_changes_meanwhile(
    registry: Client, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_changed = site_module._Export.write_changed
    changes = iter(range(9))

    def write(export):
        if next(changes) < 1:
            registry.get_model("iris").create_version()
        write_changed(export)

    monkeypatch.setattr(site_module._Export, "write_changed", write)
    export_site(registry, target, SiteOptions())
    assert (target / "m/iris/v/4.html").is_file()
    changes = iter([0] * 9)
    with pytest.raises(Conflict, match="changed during each of 5 exports"):
        export_site(registry, target, SiteOptions())


def test_an_export_waits_until_another_export_ends(registry: Client, target: Path) -> None:
    code = "import sys; from gitmodel.cli import run; sys.exit(run(['site', sys.argv[1]]))"
    here = registry.repository.common_dir.parent
    both = [subprocess.Popen([sys.executable, "-c", code, target], cwd=here) for _ in range(2)]
    assert [one.wait() for one in both] == [0, 0]
    assert list(dead_links(target)) == []
    assert sorted(os.listdir(target / ".gitmodel-site")) == ["facts.json", "state.json"]


@pytest.mark.parametrize("name", ["index.html", "Assets", "..."])
def test_a_registry_named_like_a_file_of_the_page_of_all_registries_gets_another_folder(
    registry: Client, target: Path, name: str
) -> None:
    from gitmodel.cli import run

    here, other = registry.repository.common_dir.parent, target.parent / "others" / name
    subprocess.run(["git", "clone", "-q", here, other], check=True)
    with Client(other) as client:
        client.pull()
    assert run(["site", str(target), "--repo", str(here), "--repo", str(other)]) == 0
    folder = {"...": "registry"}.get(name, f"{name}-2")
    assert {"index.html", "assets/site.css", "code/index.html", f"{folder}/index.html"} <= files_in(target).keys()
    assert list(dead_links(target)) == []


def test_site_exports_one_start_page_for_several_registries(
    registry: Client, target: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from gitmodel.cli import run

    here = registry.repository.common_dir.parent
    other = target.parent / "copies" / "code"
    subprocess.run(["git", "clone", "-q", here, other], check=True)
    with Client(other) as client:
        client.pull()
        client.register_model("wine", title=HOSTILE)
    command = ["site", str(target), "--repo", str(here), "--repo", str(other)]
    monkeypatch.chdir(other)
    assert run([*command[:-1], "."]) == 0
    board = json.loads((target / "index.json").read_text(encoding="utf-8"))
    models = {part["name"]: [row["name"] for row in part["page"]["models"]] for part in board["registries"]}
    assert models == {"code": ["empty", "iris"], "code-2": ["empty", "iris", "wine"]}
    assert {"code/m/iris/v/2.html", "code-2/m/wine/index.html", "code-2/assets/site.css"} <= files_in(target).keys()
    assert list(dead_links(target)) == []
    assert "<u>" not in (target / "index.html").read_text(encoding="utf-8")
    capsys.readouterr()
    assert run(command) == 0
    assert ", 0 written, 0 removed" in capsys.readouterr().out


def test_the_start_page_says_that_the_registry_has_no_models(client: Client, target: Path) -> None:
    client.register_model("iris")
    client.delete_model("iris")
    export_site(client, target, SiteOptions())
    assert "The registry has no model yet" in (target / "index.html").read_text(encoding="utf-8")


def test_other_commands_do_not_import_the_libraries_of_pages(registry: Client) -> None:
    code = """
import sys
from gitmodel.cli import run
assert run(["list"]) == 0 and run(["show", "iris@2"]) == 0
print([name for name in ("jinja2", "markdown_it", "starlette", "uvicorn") if name in sys.modules])
"""
    here = registry.repository.common_dir.parent
    done = subprocess.run([sys.executable, "-c", code], cwd=here, capture_output=True, encoding="utf-8", check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_pages_without_the_extra_name_the_command_that_installs_it(
    registry: Client, target: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import importlib.util

    from gitmodel.cli import run

    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "starlette" else find(name))
    monkeypatch.chdir(registry.repository.common_dir.parent)
    assert run(["site", str(target)]) == 2
    assert "the pages need starlette" in (said := capsys.readouterr().err)
    assert "pip install 'gitmodel[ui]'" in said
    assert not target.exists()


def test_no_template_turns_off_the_escaping_of_text() -> None:
    folder = Path(routes.__file__).parent
    templates = {path.name: path.read_text(encoding="utf-8") for path in folder.glob("templates/*.html")}
    assert "layout.html" in templates
    unsafe = re.compile(r"\|\s*safe|autoescape|<style|\bstyle=|\bon\w+=")
    assert not [name for name, text in templates.items() if unsafe.search(text)]
    audited = {path.name for path in folder.rglob("*.py") if re.search(r"\bMarkup\((?!')", path.read_text("utf-8"))}
    assert audited == {"drawings.py", "markdown.py", "renderer.py"}
