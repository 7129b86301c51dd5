"""Figures of matplotlib and pictures of Pillow are saved as PNG files, up to a limit of their size."""

import io
import zlib

import pytest

from gitmodel.errors import Invalid, UsageError
from gitmodel.formats import detect_format, load, materializers, save

image = pytest.importorskip("PIL.Image")


def figure(**options):
    pytest.importorskip("matplotlib").use("agg")
    from matplotlib.figure import Figure

    found = Figure(**options)
    found.subplots().plot([1, 3, 2])
    return found


@pytest.mark.parametrize("mode", ["1", "L", "RGB", "RGBA", "P", "I;16"])
def test_a_picture_is_loaded_with_the_same_pixels(kept, mode):
    value = image.new(mode, (4, 3), 1) if mode == "I;16" else image.new("RGB", (4, 3), "red").convert(mode)
    found = kept(value, "png")
    assert (found.mode, found.size, found.tobytes()) == (value.mode, value.size, value.tobytes())


def test_equal_figures_give_equal_files(kept, tmp_path):
    assert kept(figure(figsize=(2, 1), dpi=50), "png").size == (100, 50)
    save(figure(), tmp_path / "one", "png")
    save(figure(), tmp_path / "two", "png")
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def test_a_picture_in_a_mode_that_png_does_not_have_is_refused(tmp_path):
    with pytest.raises(UsageError, match="cannot be saved as png: cannot write mode CMYK as PNG"):
        materializers.save(image.new("CMYK", (2, 2)), tmp_path / "x", "output x", "")


def test_a_picture_of_200_mb_is_refused_before_it_is_written(tmp_path):
    for value in (image.new("L", (20_000, 10_000)), figure(figsize=(200, 100), dpi=100)):
        with pytest.raises(UsageError, match=r"20,000 x 10,000 pixels, more than the limit of 50,000,000"):
            materializers.save(value, tmp_path / "x", "output x", "")
        # the limit also applies if pickle is allowed
        with pytest.raises(UsageError, match="more than the limit") as caught:
            materializers.save(value, tmp_path / "x", "output x", "", pickle=True)
        assert "pickle" not in caught.value.hint
    assert list(tmp_path.iterdir()) == []


def test_the_limit_of_a_figure_uses_the_resolution_at_which_it_is_saved(tmp_path):
    value = figure(figsize=(10, 10), dpi=10)
    import matplotlib

    with matplotlib.rc_context({"savefig.dpi": 1_000}), pytest.raises(UsageError, match="10,000 x 10,000 pixels"):
        materializers.save(value, tmp_path / "x", "output x", "")


def test_a_small_file_that_claims_a_large_picture_is_refused_before_its_pixels_are_read(tmp_path):
    file = io.BytesIO()
    image.new("L", (1, 1)).save(file, "PNG")
    content = file.getvalue()
    header = b"IHDR" + (8_000).to_bytes(4, "big") * 2 + content[24:29]
    (tmp_path / "x").write_bytes(content[:12] + header + zlib.crc32(header).to_bytes(4, "big") + content[33:])
    with pytest.raises((UsageError, Invalid), match="8,000 x 8,000 pixels"):
        load(tmp_path / "x", "png")


def test_a_tiff_file_recorded_as_png_is_refused(tmp_path):
    image.new("L", (2, 2)).save(tmp_path / "x", "TIFF")
    with pytest.raises(Invalid, match="cannot be loaded as png"):
        load(tmp_path / "x", "png")


@pytest.mark.parametrize("kind", ["JPEG", "GIF", "WEBP"])
def test_a_picture_in_another_format_is_recognized_and_loaded_but_not_written(tmp_path, kind):
    image.new("RGB", (4, 3), "red").save(tmp_path / "x.dat", kind)
    name = detect_format(tmp_path / "x.dat")
    assert (name, load(tmp_path / "x.dat", name).size) == (kind.lower(), (4, 3))
    with pytest.raises(UsageError, match=f"gitmodel does not write {kind} files"):
        save(image.new("RGB", (4, 3)), tmp_path / "y", name)


def test_axes_are_refused_and_the_hint_says_to_save_their_figure(tmp_path):
    axes = figure().axes[0]
    with pytest.raises(UsageError, match="not this matplotlib") as caught:
        materializers.save(axes, tmp_path / "x", "output x", "")
    assert "axes.figure" in caught.value.hint
    materializers.save(axes.figure, tmp_path / "x", "output x", "")


def test_a_picture_that_changes_while_it_is_saved_is_refused(tmp_path):
    class Changing(image.Image):
        """A picture whose pixels change each time they are read."""

        count = 0

        def tobytes(self, *arguments, **options):
            self.count += 1
            return bytes([self.count]) * (self.width * self.height)

    value = Changing()
    plain = image.new("L", (4, 3))
    value._mode, value._size, value.im = plain.mode, plain.size, plain.im
    with pytest.raises(UsageError, match="its pixels would differ"):
        materializers.save(value, tmp_path / "x", "output x", "")
    assert list(tmp_path.iterdir()) == []
