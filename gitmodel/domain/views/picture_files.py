"""The kinds of files that a model card shows as pictures, and the maximum size of a picture."""

from __future__ import annotations

PICTURES = frozenset({"gif", "jpeg", "jpg", "png", "svg", "webp"})
"""The suffixes of files with pictures, and their formats."""
LARGEST_PICTURE = 100_000_000
"""The largest size of a picture, in bytes: pages and model cards show pictures whole."""
MOST_PIXELS = 50_000_000
"""The most pixels of a picture that gitmodel writes or loads: 200 MB in memory. A small file can hold many more."""
