"""`site --artifacts` shows pictures and small texts of versions, recognised by content, but no SVG and HTML."""

import json
import struct
import zlib
from pathlib import Path

import pytest
from browser import Visitor
from page_server import serving

from gitmodel import Client
from gitmodel.web.export.site import export_site
from gitmodel.web.options import SiteOptions
from gitmodel.web.registry_data.artifact_content import read_picture


def png(width: int, height: int, *, rows: int | None = None) -> bytes:
    """Return a PNG file whose header claims the given size, and which contains *rows* rows of pixels.

    The default of *rows* is *height*.
    """

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    pixels = zlib.compress((b"\0" + b"\x40" * width) * (height if rows is None else rows))
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


FILES = {
    "curve.png": png(12, 8),
    "huge.png": png(25_000, 20_000, rows=0),
    "fake.png": b"<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>",
    "drawing.svg": b"<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>",
    "report.html": b"<script>alert(1)</script>",
    "report.txt": b"</pre><script>alert(1)</script>\nall is well",
    "binary.txt": b"\xff\xfe\x00",
    "long.txt": b"x" * 64_001,
}


@pytest.fixture
def registry(code_repo: Path) -> Client:
    """A registry with one version that has all `FILES` as attachments."""
    with Client(code_repo) as client:
        version = client.register_model("iris").create_version()
        for name, data in FILES.items():
            (code_repo / name).write_bytes(data)
            version.attach(name.replace(".", "-"), code_repo / name)
        yield client


def test_an_export_has_bytes_of_artifacts_only_with_the_option_artifacts(registry: Client, tmp_path: Path) -> None:
    export_site(registry, tmp_path / "without", SiteOptions())
    assert sorted(path.name for path in (tmp_path / "without/assets").iterdir()) == ["icon.svg", "site.css", "site.js"]
    assert "all is well" not in (tmp_path / "without/m/iris/v/1.html").read_text(encoding="utf-8")
    export_site(registry, tmp_path / "with", SiteOptions(artifacts=True))
    (picture,) = (tmp_path / "with/assets").glob("*.png")
    assert picture.read_bytes() == FILES["curve.png"]
    twin = json.loads((tmp_path / "with/m/iris/v/1.json").read_text(encoding="utf-8"))
    rows = {row["file"]: row for row in twin["artifacts"]}
    assert [name for name, row in rows.items() if row["picture"]] == ["curve.png"]
    assert [name for name, row in rows.items() if row["text"] is not None] == ["fake.png", "report.txt"]
    again = export_site(registry, tmp_path / "with", SiteOptions(artifacts=True))
    assert again.written == 0


def test_a_browser_shows_the_picture_and_shows_the_text_without_markup(registry: Client, visitor: Visitor) -> None:
    with serving(registry, SiteOptions(artifacts=True)) as url:
        page = visitor.open(f"{url}m/iris/v/1")
        page.locator(".picture img").scroll_into_view_if_needed()
        page.wait_for_function("() => document.querySelector('.picture img').naturalWidth === 12")
        page.get_by_text("report.txt,").click()
        assert page.locator("pre").last.inner_text() == "</pre><script>alert(1)</script>\nall is well"
        assert page.locator("img").count() == 1
        page.close()


@pytest.mark.parametrize(
    ("data", "size"),
    [
        (png(3, 2), ("png", 3, 2)),
        (b"GIF89a" + struct.pack("<HH", 3, 2), ("gif", 3, 2)),
        (b"\xff\xd8\xff\xe0\x00\x04ab\xff\xc0\x00\x0b\x08" + struct.pack(">HH", 2, 3), ("jpg", 3, 2)),
        (b"RIFF    WEBPVP8X" + bytes(8) + b"\x02\0\0\x01\0\0", ("webp", 3, 2)),
        (b"RIFF    WEBPVP8L" + bytes(5) + struct.pack("<I", 2 | 1 << 14), ("webp", 3, 2)),
        (b"RIFF    WEBPVP8 " + bytes(10) + struct.pack("<HH", 3, 2), ("webp", 3, 2)),
        (png(0, 2, rows=0), None),
        (b"\x89PNG\r\n\x1a\n", None),
        (b"\xff\xd8\xff\xe0\x00", None),
        (b"BM123456", None),
        (b"", None),
    ],
)
def test_pictures_are_recognised_by_content(data: bytes, size: tuple[str, int, int] | None) -> None:
    found = read_picture(data)
    assert (None if found is None else (found.ending, found.width, found.height)) == size
