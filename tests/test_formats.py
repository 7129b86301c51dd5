"""Formats of artifacts: loading a saved value gives an equal value, the content of a file decides its format, and a
pickle, which can run code, is loaded only with the consent of the user (`trusted=True`).
"""

import os
import pickle
import sys
import zipfile
from contextlib import suppress
from importlib.metadata import EntryPoint

import joblib
import numpy
import pandas
import pyarrow.parquet
import pytest
from expected_errors import error_with_hint
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.numpy import save_file
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import FunctionTransformer

from gitmodel import formats
from gitmodel.errors import GitModelError, Invalid, NotFound, Refused, UsageError
from gitmodel.formats import Format, detect_format, format_names, load, save
from gitmodel.formats.catalogue import plugins

try:
    import cloudpickle
except ImportError:  # cloudpickle is not installed; joblib before 1.6 contains a copy of it
    from joblib.externals import cloudpickle


class Bomb:
    """An object that creates a file when it is unpickled. The file shows that loading ran code."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return os.mkdir, (self.path,)


def scale(values):
    return values * 2


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("json", {"accuracy": 0.97, "classes": ["setosa", "Größe"], "none": None}),
        ("text", "one\r\ntwo\n\n"),
        ("text", ""),
        ("bytes", b"\x00\xff"),
        ("bytes", b""),
        ("pickle", {1: (2, 3)}),
        ("joblib", {1: (2, 3)}),
    ],
)
def test_a_loaded_plain_value_equals_the_saved_value(tmp_path, name, value):
    save(value, tmp_path / "file", name)
    assert load(tmp_path / "file", name, trusted=name in ("pickle", "joblib")) == value


def test_a_loaded_array_equals_the_saved_array(tmp_path):
    array = numpy.arange(6, dtype="float32").reshape(2, 3).T
    save(array, tmp_path / "array", "numpy")
    assert detect_format(tmp_path / "array") == "numpy"
    numpy.testing.assert_array_equal(load(tmp_path / "array", "numpy"), array)


@pytest.mark.parametrize("name", ["numpy", "safetensors"])
def test_a_loaded_array_equals_the_saved_array_for_any_memory_layout(tmp_path, name):
    square = numpy.arange(16.0).reshape(4, 4)
    arrays = {"file": square.T, "strided": square[:, ::2], "scalar": numpy.float32(3), "empty": square[:0]}
    save(arrays, tmp_path / "arrays", name)
    assert detect_format(tmp_path / "arrays") == name
    found = load(tmp_path / "arrays", name)
    assert found.keys() == arrays.keys()
    for key, array in arrays.items():
        numpy.testing.assert_array_equal(found[key], array)
        assert found[key].dtype == array.dtype


@pytest.mark.parametrize("name", ["numpy", "safetensors", "json"])
def test_equal_values_are_saved_as_equal_files(tmp_path, name, monkeypatch):
    value = {"a": [1, 2]} if name == "json" else {"a": numpy.ones(3)}
    save(value, tmp_path / "one", name)
    monkeypatch.setattr("time.time", lambda: 2_000_000_000.0)
    save(value, tmp_path / "two", name)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


@pytest.mark.parametrize("name", ["parquet", "csv"])
def test_a_loaded_table_equals_the_saved_table(tmp_path, name):
    frame = pandas.DataFrame({"length": [5.1, 4.9], "species": ["setosa", "virginica"], "n": [1, 2]})
    save(frame, tmp_path / f"table.{name}", name)
    assert detect_format(tmp_path / f"table.{name}") == name
    pandas.testing.assert_frame_equal(load(tmp_path / f"table.{name}", name), frame)


def test_a_classifier_saved_with_skops_predicts_the_same_when_loaded(tmp_path):
    features, species = load_iris(return_X_y=True)
    model = LogisticRegression(max_iter=500).fit(features, species)
    save(model, tmp_path / "model", "skops")
    assert detect_format(tmp_path / "model") == "skops"
    numpy.testing.assert_array_equal(load(tmp_path / "model", "skops").predict(features), model.predict(features))


def test_a_skops_file_with_types_that_are_not_known_to_be_safe_is_loaded_only_with_trust(tmp_path):
    save(FunctionTransformer(scale), tmp_path / "model.skops", "skops")
    with error_with_hint(Refused, r"test_formats\.scale", "trusted=True"):
        load(tmp_path / "model.skops", "skops")
    assert load(tmp_path / "model.skops", "skops", trusted=True).transform(2) == 4


@pytest.mark.parametrize("name", ["pickle", "joblib", "cloudpickle"])
def test_loading_a_pickle_format_without_trust_is_refused_with_the_reason(tmp_path, name):
    (tmp_path / "model").write_bytes(pickle.dumps(Bomb(tmp_path / "went off")))
    with error_with_hint(Refused, "can run any code", "trusted=True"):
        load(tmp_path / "model", name)
    assert not (tmp_path / "went off").exists()


@pytest.mark.parametrize("name", [name for name in format_names() if name != "bytes"])
@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_no_format_runs_a_pickle_that_has_the_extension_of_the_format(tmp_path, name, protocol):
    path = tmp_path / f"model.{name}"
    path.write_bytes(pickle.dumps(Bomb(tmp_path / "went off"), protocol=protocol))
    # A pickle of protocol 0 or 1 can be plain text. The loader of a text format may return the text and raise no error.
    with pytest.raises(Refused) if protocol > 1 else suppress(GitModelError):
        load(path, name)
    assert not (tmp_path / "went off").exists()


@pytest.mark.parametrize("called", ["model.skops", "model.json", "model.npy", "model", "model.PKL"])
@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
def test_a_pickle_is_detected_under_any_file_name(tmp_path, called, protocol):
    (tmp_path / called).write_bytes(pickle.dumps([1, 2], protocol=protocol))
    assert detect_format(tmp_path / called) == "pickle"


def test_arrays_of_python_objects_are_neither_saved_nor_loaded_as_numpy(tmp_path):
    array = numpy.array([Bomb(tmp_path / "went off")], dtype=object)
    numpy.save(tmp_path / "a.npy", array, allow_pickle=True)
    numpy.savez(tmp_path / "a.npz", a=array)
    for path in (tmp_path / "a.npy", tmp_path / "a.npz"):
        assert detect_format(path) == "numpy"
        for trusted in (False, True):
            with pytest.raises(Invalid, match="cannot be loaded as numpy"):
                load(path, "numpy", trusted=trusted)
    assert not (tmp_path / "went off").exists()
    for value in (array, {"a": array}):
        with pytest.raises(UsageError, match=r"is a test_formats\.Bomb, which numpy cannot hold"):
            save(value, tmp_path / "b.npy", "numpy")


def test_an_array_that_changes_while_it_is_saved_is_refused(tmp_path, monkeypatch):
    array, real = numpy.arange(3), numpy.save

    def write(file, value, **options):
        real(file, value, **options)
        array[1] = 7  # as another thread could do

    monkeypatch.setattr(numpy, "save", write)
    with pytest.raises(UsageError, match="would change in numpy: element 1 of the array"):
        save(array, tmp_path / "x", "numpy")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("trusted", [False, True])
def test_loading_a_parquet_file_with_a_pickled_type_or_index_runs_no_pickle(tmp_path, trusted):
    bomb = pickle.dumps(Bomb(tmp_path / "went off"))
    # Earlier releases of Arrow unpickled the metadata of such a type.
    named = {"ARROW:extension:name": "arrow.py_extension_type", "ARROW:extension:metadata": bomb}
    table = pyarrow.table([[1]], schema=pyarrow.schema([pyarrow.field("a", pyarrow.int64(), metadata=named)]))
    pyarrow.parquet.write_table(table.replace_schema_metadata({"pandas": bomb}), tmp_path / "pandas.parquet")
    pyarrow.parquet.write_table(table, tmp_path / "type.parquet")
    for name in ("pandas", "type"):
        with suppress(Invalid):
            load(tmp_path / f"{name}.parquet", "parquet", trusted=trusted)
    assert not (tmp_path / "went off").exists()


def test_a_joblib_file_is_detected_as_joblib_and_not_as_pickle(tmp_path):
    joblib.dump({"a": numpy.ones(1000)}, tmp_path / "model.pkl")
    joblib.dump({"a": numpy.ones(1000)}, tmp_path / "packed.joblib", compress=3)
    assert detect_format(tmp_path / "model.pkl") == "joblib"
    assert detect_format(tmp_path / "packed.joblib") == "joblib"
    assert load(tmp_path / "packed.joblib", "joblib", trusted=True)["a"].sum() == 1000


def test_a_function_can_be_saved_and_loaded_with_cloudpickle(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "cloudpickle", cloudpickle)
    save(lambda value: value + 1, tmp_path / "function", "cloudpickle")
    assert load(tmp_path / "function", "cloudpickle", trusted=True)(1) == 2


@pytest.mark.parametrize(
    ("called", "content", "name"),
    [
        ("a.json", b"{}", "json"),
        ("a.JSON", b"{}", "json"),
        ("a.txt", b"hello", "text"),
        ("README.md", b"# Title", "text"),
        ("a.csv", b"a,b\n", "csv"),
        ("a.pkl", b"(lp0\n.", "pickle"),
        ("a", b"", "bytes"),
        ("a.bin", b"\x00" * 100, "bytes"),
        ("a.parquet", b"not so", "bytes"),
        ("a.npy", b"not so", "bytes"),
        ("a.skops", b"PK\x03\x04 cut off", "bytes"),
        ("a", b"\x80", "bytes"),
        # If the first bytes of a format are known, only the content and not the extension can select the format.
        ("a.gguf", b"GGUF\x03\0\0\0", "gguf"),
        ("weights", b"GGUF\x03\0\0\0", "gguf"),
        ("a.gguf", b"not so", "bytes"),
        ("a.h5", b"\x89HDF\r\n\x1a\n", "hdf5"),
        ("a.keras", b"\0" * 512 + b"\x89HDF\r\n\x1a\n", "hdf5"),
        ("a.h5", b"version https://git-lfs.github.com/spec/v1\n", "bytes"),
        ("a.onnx", b"\x08\x0a\x12\x07pytorch", "onnx"),
        ("a.onnx", b"version https://git-lfs.github.com/spec/v1\n", "bytes"),
        ("a.onnx", b"\x80\x04K\x01.", "pickle"),
        ("a.onnx", b"\x89PNG\r\n\x1a\n", "png"),
        ("a.pt", b"\x80\x02\x8a\nl", "pickle"),
        ("a.ubj", b"{L\0\0\0\0\0\0\0\x07learner{", "xgboost"),
        ("a.ubj", b"{", "bytes"),
        ("a.keras", b"not so", "bytes"),
        ("a.png", b"\xff\xd8\xff\xe0", "jpeg"),
        ("photo.jpg", b"\xff\xd8\xff\xe0", "jpeg"),
        ("photo.jpg", b"<html>", "bytes"),
        ("a.gif", b"GIF89a", "gif"),
        ("a.webp", b"RIFF\x10\0\0\0WEBPVP8 ", "webp"),
        ("a.wav", b"RIFF\x10\0\0\0WAVEfmt ", "bytes"),
        ("a.svg", b'<svg xmlns="http://www.w3.org/2000/svg"/>', "svg"),
        ("plot", b'\xef\xbb\xbf<?xml version="1.0"?>\n<!-- > -->\n<!DOCTYPE svg PUBLIC "x">\n<svg width="1">', "svg"),
        ("a.svg", b"<html><svg/></html>", "bytes"),
        ("a.html", b'<?xml version="1.0"?><!DOCTYPE html><html><svg/></html>', "bytes"),
        pytest.param("a.svg", b"<!---->" * 9000 + b"<svg>", "bytes", id="many comments"),
    ],
)
def test_a_format_is_detected_by_the_content_and_then_by_the_extension(tmp_path, called, content, name):
    (tmp_path / called).write_bytes(content)
    assert detect_format(tmp_path / called) == name


def test_a_zip_archive_with_a_pickle_of_torch_is_detected_as_torch_pickle(tmp_path):
    with zipfile.ZipFile(tmp_path / "torch.pt", "w") as archive:
        archive.writestr("archive/data.pkl", b"\x80\x02.")
    assert detect_format(tmp_path / "torch.pt") == "torch-pickle"


def test_a_safetensors_file_whose_header_starts_like_a_pickle_is_not_a_pickle(tmp_path):
    for padding in range(0, 700, 8):
        save_file({"a" * (padding or 1): numpy.ones(1)}, tmp_path / "file")
        assert detect_format(tmp_path / "file") == "safetensors"


def test_a_folder_is_detected_and_cannot_be_loaded_as_a_value(tmp_path):
    assert detect_format(tmp_path) == "folder"
    with pytest.raises(UsageError, match="is a folder"):
        load(tmp_path, "json")


def test_detecting_the_format_of_a_missing_file_or_loading_it_raises_not_found(tmp_path):
    for ask in (detect_format, lambda path: load(path, "json")):
        with pytest.raises(NotFound, match="there is no file"):
            ask(tmp_path / "nothing")


def test_the_error_for_an_unknown_format_lists_the_available_formats(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    for ask in (lambda: load(tmp_path / "file", "zarr"), lambda: save(1, tmp_path / "file", "zarr")):
        with pytest.raises(UsageError, match=r"no format 'zarr'.*json.*skops"):
            ask()
    for wrong, near in (("onxn", "onnx"), ("SKOPS", "skops"), ("safetensor", "safetensors")):
        with pytest.raises(UsageError) as caught:
            load(tmp_path / "file", wrong)
        assert f"did you mean {near}" in caught.value.hint


@pytest.mark.parametrize(
    ("name", "content", "hint"),
    [("a.gguf", b"GGUF", "gguf"), ("a.h5", b"\x89HDF\r\n\x1a\n", "h5py"), ("a.svg", b"<svg>", "a browser")],
)
def test_the_error_for_a_format_without_a_loader_shows_another_way_to_read_the_file(tmp_path, name, content, hint):
    (tmp_path / name).write_bytes(content)
    with error_with_hint(UsageError, "gitmodel does not load", hint):
        load(tmp_path / name, detect_format(tmp_path / name))
    with pytest.raises(UsageError, match="gitmodel does not write"):
        save(1, tmp_path / "b", detect_format(tmp_path / name))


# pickle and joblib are not in this list, because loading random bytes in these formats could run code.
@pytest.mark.parametrize("name", ["json", "numpy", "parquet", "safetensors", "skops"])
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.binary(max_size=64))
def test_the_error_for_a_file_that_is_not_in_its_format_is_one_line(tmp_path, name, content):
    path = tmp_path / "damaged"
    for start in (b"", b"\x93NUMPY\x01\x00", b"PAR1", b"PK\x03\x04", b"\x80\x04\x95"):
        path.write_bytes(start + content)
        said = ""
        try:
            load(path, name)
        except (Invalid, Refused) as error:
            said = error.message
        assert "\n" not in said


def test_deeply_nested_json_is_invalid(tmp_path):
    (tmp_path / "deep.json").write_bytes(b"[" * 200_000)
    with pytest.raises(Invalid, match="cannot be loaded as json"):
        load(tmp_path / "deep.json", "json")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("json", {"a": object()}),
        ("json", [object]),
        ("text", 1),
        ("text", "\udcff"),
        ("bytes", "text"),
        ("numpy", [1, 2]),
        ("numpy", {1: numpy.ones(1)}),
        ("safetensors", numpy.ones(1)),
        ("parquet", {"a": [1]}),
        ("csv", pandas.Series([1])),
        ("csv", pandas.DataFrame({"a": [1]}, index=["row"])),
        ("pickle", lambda: None),
    ],
)
def test_saving_a_value_that_the_format_cannot_hold_is_refused_and_keeps_the_old_file(tmp_path, name, value):
    (tmp_path / "file").write_bytes(b"before")
    with pytest.raises(UsageError) as caught:
        save(value, tmp_path / "file", name)
    assert "\n" not in caught.value.message
    assert caught.value.hint
    assert (tmp_path / "file").read_bytes() == b"before"
    assert os.listdir(tmp_path) == ["file"]


@pytest.mark.parametrize(
    ("name", "module", "line"),
    [
        ("numpy", "numpy", "pip install 'gitmodel[numpy]'"),
        ("parquet", "pyarrow", "pip install 'gitmodel[parquet]'"),
        ("csv", "pandas", "pip install 'gitmodel[parquet]'"),
        ("skops", "skops.io", "pip install 'gitmodel[skops]'"),
        ("safetensors", "safetensors.numpy", "pip install 'gitmodel[safetensors]'"),
        ("joblib", "joblib", "pip install 'gitmodel[skops]'"),
        ("cloudpickle", "cloudpickle", "pip install 'cloudpickle'"),
    ],
)
def test_the_error_for_a_missing_library_shows_the_line_that_installs_it(tmp_path, monkeypatch, name, module, line):
    (tmp_path / "file").write_bytes(b"")
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(UsageError, match="which is not installed") as caught:
        load(tmp_path / "file", name, trusted=True)
    assert caught.value.hint == line


def _load_reversed(path, trusted):
    return path.read_bytes()[3:][::-1]


def _save_reversed(value, path):
    path.write_bytes(b"REV" + value[::-1])


REVERSED = Format("reversed", _load_reversed, _save_reversed, extensions=(".rev",), magic=(b"REV",))


def test_an_installed_package_can_add_a_format(tmp_path, monkeypatch):
    points = [
        EntryPoint("broken", "no_such_package:FORMAT", plugins.FORMATS),
        EntryPoint("misnamed", "test_formats:REVERSED", plugins.FORMATS),
        EntryPoint("reversed", "test_formats:REVERSED", plugins.FORMATS),
    ]
    monkeypatch.setattr(plugins, "_entry_points", lambda _: points)
    monkeypatch.setitem(sys.modules, "test_formats", sys.modules[__name__])
    assert "reversed" in format_names()
    save(b"abc", tmp_path / "file", "reversed")
    assert (tmp_path / "file").read_bytes() == b"REVcba"
    assert detect_format(tmp_path / "file") == "reversed"
    (tmp_path / "file.rev").write_bytes(b"")
    assert detect_format(tmp_path / "file.rev") == "reversed"
    assert load(tmp_path / "file", "reversed") == b"abc"
    with pytest.raises(UsageError, match="cannot be imported"):
        load(tmp_path / "file", "broken")
    with pytest.raises(UsageError, match="with that name"):
        load(tmp_path / "file", "misnamed")


def test_installed_packages_are_searched_for_formats_once(tmp_path, monkeypatch):
    searched = []
    monkeypatch.setattr("importlib.metadata.entry_points", lambda *, group: searched.append(group) or [])
    plugins._entry_points.cache_clear()
    (tmp_path / "a.csv").write_text("a,b\n1,2\n", encoding="utf-8")
    (tmp_path / "b.bin").write_bytes(b"\x01")
    try:
        assert [detect_format(tmp_path / name) for name in ("a.csv", "b.bin", "a.csv")] == ["csv", "bytes", "csv"]
    finally:
        plugins._entry_points.cache_clear()
    assert searched == [plugins.FORMATS]


def test_a_package_cannot_replace_a_built_in_format(tmp_path, monkeypatch):
    monkeypatch.setattr(plugins, "_entry_points", lambda _: [EntryPoint("json", "no:thing", plugins.FORMATS)])
    (tmp_path / "a.json").write_bytes(b"1")
    assert load(tmp_path / "a.json", "json") == 1


def test_every_built_in_format_has_the_name_under_which_it_is_listed():
    for name in format_names():
        assert plugins.find_format(name).name == name


def test_the_module_of_a_format_is_imported_only_when_the_format_is_used(tmp_path):
    import subprocess

    code = (
        "import sys, pathlib; from gitmodel import formats\n"
        "path = pathlib.Path(sys.argv[1]); formats.save({}, path, 'json'); formats.load(path, 'json')\n"
        "print([m for m in ('numpy', 'pandas', 'importlib.metadata', 'pickle') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code, tmp_path / "a.json"], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_the_module_gitmodel_formats_exports_exactly_these_six_names():
    assert formats.__all__ == ["Format", "detect_format", "format_names", "load", "register_format", "save"]


@pytest.mark.parametrize("version", [1, 2, 3])
@pytest.mark.parametrize("archive", ["", zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_an_array_longer_than_its_file_is_refused_before_memory_is_allocated(tmp_path, version, archive):
    text = b"{'descr': '<f8', 'fortran_order': False, 'shape': (9000000, 9000000), }\n"
    length = len(text).to_bytes(2 if version == 1 else 4, "little")
    content = b"\x93NUMPY" + bytes([version, 0]) + length + text + bytes(80)
    path = tmp_path / "claims.npy"
    path.write_bytes(content)
    if archive != "":
        path = tmp_path / "claims.npz"
        with zipfile.ZipFile(path, "w", archive) as file:
            file.writestr("claims.npy", content)
    with pytest.raises(Invalid, match="is 648000000000000 bytes, but there are") as info:
        load(path, "numpy")
    assert "\n" not in info.value.message
