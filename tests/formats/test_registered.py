"""Formats and materializers that a script registers or a package installs, and conflicts between formats."""

from importlib.metadata import EntryPoint
from pathlib import Path

import pytest
from transcripts import ask

from gitmodel import Client, ModelConfig, pipeline, step
from gitmodel.errors import UsageError
from gitmodel.formats import Format, detect_format, load, materializers, register_format, save
from gitmodel.formats.catalogue import plugins
from gitmodel.pipelines import Materializer, register_materializer


def _load_hex(path, trusted):
    return bytes.fromhex(path.read_text())


HEX = Format("hex", _load_hex, lambda value, path: path.write_text(value.hex()), (".hex",), (b"HEX",))


@pytest.fixture(autouse=True)
def fresh(monkeypatch):
    monkeypatch.setattr(plugins, "_registered", {})
    monkeypatch.setattr(plugins, "_registered_materializers", {})


class Point:
    def __init__(self, x):
        self.x = x


seen: list[str] = []


def _save_point(value, path):
    seen.append(path.suffix)
    path.write_text(str(value.x))


POINT = Materializer(
    "point", lambda value: type(value) is Point, "point-file", save=_save_point,
    load=lambda path: Point(int(path.read_text())), suffix=".pt3",
)  # fmt: skip


def test_a_registered_format_is_detected_saved_and_loaded_and_can_be_replaced(tmp_path):
    register_format(HEX)
    register_format(HEX._replace(extensions=(".hx",)))
    save(b"ab", tmp_path / "one", "hex")
    assert load(tmp_path / "one", "hex") == b"ab"
    (tmp_path / "two.hx").write_text("00")
    assert detect_format(tmp_path / "two.hx") == "hex"


def test_registering_a_format_with_a_name_of_a_gitmodel_format_is_refused():
    with pytest.raises(UsageError, match="there is already a format json"):
        register_format(HEX._replace(name="json"))


def test_save_gets_a_path_with_the_suffix_of_the_format_and_leaves_nothing_after_an_error(tmp_path):
    register_format(HEX._replace(save=lambda value, path: seen.append(path.suffix) or path.write_text("")))
    save(b"", tmp_path / "one", "hex")
    assert seen.pop() == ".hex"
    register_format(HEX._replace(save=lambda value, path: None))
    with pytest.raises(UsageError, match="bytes cannot be saved as hex"):
        save(b"", tmp_path / "two", "hex")
    assert [path.name for path in tmp_path.iterdir()] == ["one"]


def test_the_error_for_a_value_that_saving_would_change_has_the_difference_that_the_format_reports(tmp_path):
    register_format(HEX._replace(load=lambda path, trusted: b"", difference=lambda one, two: "its bytes"))
    with pytest.raises(UsageError, match=r"this builtins\.bytes would change in hex: its bytes"):
        save(b"ab", tmp_path / "one", "hex")
    assert list(tmp_path.iterdir()) == []


def test_a_registered_materializer_saves_and_loads_outputs_and_objects(code_repo, monkeypatch):
    monkeypatch.chdir(code_repo)
    register_materializer(POINT)

    @step
    def make() -> Point:
        return Point(3)

    @step
    def double(point: Point) -> Point:
        return Point(point.x * 2)

    @pipeline(model_config=ModelConfig(name="demo", create_new_model_version=True))
    def run():
        double(make())

    with Client() as client:
        assert run.run(client=client).status == "succeeded"
        assert client.get_version("demo@1").get_artifact("double").load().x == 6
        version = client.get_model("demo").create_version(data={"it": Point(5)})
        assert version.get_artifact("it").load().x == 5
    assert set(seen) == {".pt3"}


def test_a_format_of_folders_is_recognized_by_its_content(code_repo, monkeypatch):
    def write(value, path):
        path.mkdir()
        for name, text in value.items():
            (path / name).write_text(text)

    folder = Format(
        "texts", lambda path, trusted: {found.name: found.read_text() for found in path.iterdir()}, write,
        is_folder=lambda path: (path / "texts.md").is_file(),
    )  # fmt: skip
    register_format(folder)
    monkeypatch.chdir(code_repo)
    value = {"texts.md": "a", "b.txt": "c"}
    with Client() as client:
        version = client.register_model("demo").create_version()
        artifact = version.link_artifact("it", value, format="texts")
        assert version.get_artifact("it").link.format == "folder"
        assert version.get_artifact("it").load() == value
        assert artifact is not None
        register_format(folder._replace(name="other"))
        with pytest.raises(UsageError, match="several formats: other, texts"):
            version.get_artifact("it").load()
        Path("plain").mkdir()
        Path("plain", "a").write_text("b")
        version.link_artifact("plain", "plain")
        with pytest.raises(UsageError, match="is a folder, which is not a single value"):
            version.get_artifact("plain").load()


def test_a_file_of_two_matching_formats_is_refused_until_the_user_chooses_a_format(code_repo, monkeypatch):
    register_format(HEX)
    register_format(HEX._replace(name="hex2"))
    monkeypatch.chdir(code_repo)
    Path("x.hex").write_text("6162")
    with Client() as client:
        version = client.register_model("demo").create_version()
        with pytest.raises(UsageError, match="several formats: hex, hex2") as caught:
            version.link_artifact("x", "x.hex")
        assert "format='hex'" in caught.value.hint
        assert client.get_version("demo@1").artifacts == []
        version.link_artifact("x", "x.hex", format="hex2")
        assert version.get_artifact("x").load() == b"ab"


def test_a_package_that_cannot_be_imported_is_listed_and_reported_when_it_is_used(code_repo, monkeypatch, capsys):
    entry_points_of(monkeypatch, plugins.FORMATS, ("broken", "nowhere:X"))
    monkeypatch.chdir(code_repo)
    Path("x.dat").write_bytes(b"x")
    with Client() as client:
        version = client.register_model("demo").create_version()
        version.link_artifact("x", "x.dat")
        assert version.get_artifact("x").link.format == "bytes"
        with pytest.raises(UsageError, match="the format broken of the package nowhere:X cannot be imported"):
            load(Path("x.dat"), "broken")
    code, out, _ = ask(capsys, "formats", "list")
    assert code == 0
    assert "broken" in out
    assert "No module named 'nowhere'" in out


def entry_points_of(monkeypatch, wanted, *points):
    found = [EntryPoint(name, value, wanted) for name, value in points]
    monkeypatch.setattr(plugins, "_entry_points", lambda group: found if group == wanted else [])
    plugins._installed_materializers.cache_clear()


@pytest.fixture
def installed(monkeypatch):
    yield lambda group, *points: entry_points_of(monkeypatch, group, *points)
    monkeypatch.undo()
    plugins._installed_materializers.cache_clear()


def test_a_plug_in_that_cannot_be_imported_does_not_affect_other_plug_ins(installed, tmp_path):
    installed(plugins.FORMATS, ("broken", "nowhere:X"), ("hex", f"{__name__}:HEX"))
    (tmp_path / "x.hex").write_text("6162")
    assert detect_format(tmp_path / "x.hex") == "hex"
    assert load(tmp_path / "x.hex", "hex") == b"ab"
    installed(plugins.MATERIALIZERS, ("broken", "nowhere:X"), ("wrong", f"{__name__}:HEX"), ("z", f"{__name__}:POINT"))
    assert materializers.save(Point(3), tmp_path / "point", "output x", "") == ("point-file", "data", "point")
    assert materializers.load(tmp_path / "point", "point-file", "point", trusted=False).x == 3
    assert load(tmp_path / "point", "point-file").x == 3
    file = tmp_path / "point"
    for asked in (lambda: materializers.save(object(), tmp_path / "y", "output x", ""), lambda: load(file, "other")):
        with pytest.raises(UsageError, match="the materializer broken cannot be imported from nowhere:X"):
            asked()


def test_two_packages_that_define_the_same_format_name_are_refused_and_named(installed, code_repo, monkeypatch, capsys):
    monkeypatch.chdir(code_repo)
    installed(plugins.FORMATS, ("hex", f"{__name__}:HEX"), ("hex", "other:HEX"))
    Path("x.hex").write_text("6162")
    assert detect_format(Path("x.hex")) == "bytes"
    with pytest.raises(UsageError, match=f"packages other:HEX and {__name__}:HEX provide different formats hex"):
        load(Path("x.hex"), "hex")
    assert "provide different formats hex" in ask(capsys, "formats", "list")[1]


def test_a_format_of_gitmodel_takes_precedence_over_formats_of_packages(tmp_path):
    register_format(HEX._replace(extensions=(".json",), magic=(b"GGUF",)))
    for name, content, format in (("a.json", b"{}", "json"), ("b", b"GGUF", "gguf")):
        (tmp_path / name).write_bytes(content)
        assert detect_format(tmp_path / name) == format


def test_an_error_in_a_materializer_is_reported_as_an_error_of_the_value(tmp_path):
    value = {"a": Point(1)}

    def handles(found):
        for key in found:  # changes the value during saving, as another thread would
            found[f"{key}!"] = 1
        return False

    register_materializer(Materializer("growing", handles, "point", save=_save_point, load=Path.read_text))
    with pytest.raises(UsageError, match="output x cannot be saved: dictionary changed size during iteration"):
        materializers.save(value, tmp_path / "x", "output x", "")
