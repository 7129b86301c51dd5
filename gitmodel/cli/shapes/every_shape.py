"""Every `Shape`, for the generated reference and for tests. Importing this module imports all modules of shapes."""

from __future__ import annotations

from gitmodel.cli.shapes import care_shapes, promote_shapes, record_shapes, share_shapes, start_shapes, trace_shapes
from gitmodel.cli.shapes.shape import Shape

# Found in the imported modules instead of listed by hand, so that no shape is forgotten.
ALL = tuple(
    value
    for module in (record_shapes, promote_shapes, trace_shapes, share_shapes, care_shapes, start_shapes)
    for value in vars(module).values()
    if isinstance(value, Shape)
)
