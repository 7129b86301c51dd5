"""Converting names of models in other registries to names of gitmodel, and back. Pure: strings in, strings out.

MLflow allows names such as "Iris (v2)", and `Iris` beside `iris`. If gitmodel cannot use a name, the model gets a
*mapped name*. It is similar to the original name, and ends in eight hex digits of the SHA-256 of the original name. The
original name becomes the title of the model.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from itertools import count

from gitmodel.domain.schema.names import MAX_LENGTH, fault_in, suggest

_MAPPED = re.compile(r".+-[0-9a-f]{8}")
# The number of mapped names of a title with which `original_name` compares the name of a model.
_MOST_TAKEN = 100


def is_plain(name: str) -> bool:
    """Return True if gitmodel can use *name* as it is, and *name* does not look like a mapped name.

    >>> is_plain("iris"), is_plain("my model"), is_plain("iris-0a1b2c3d")
    (True, False, False)
    """
    return fault_in(name) is None and _MAPPED.fullmatch(name) is None


def candidate_names(name: str) -> Iterator[str]:
    """Yield names that gitmodel can use for a model called *name* in another registry.

    The first is *name* itself if gitmodel can use it; the others are mapped names. The caller takes the first
    one that is free: no model has it, in upper or lower case, and no deleted model had it.

    >>> names = candidate_names("my model")
    >>> next(names), next(names)
    ('my-model-76eeb051', 'my-model-60764fa4')
    >>> next(candidate_names("iris"))
    'iris'
    """
    if is_plain(name):
        yield name
    yield from (_mapped(name, number) for number in count(1))


def original_name(model: str, title: str) -> str:
    """Return the name that the model called *model* in gitmodel has in the other registry.

    This is *title*, the title of the model, if *model* is a mapped name of *title*. Otherwise it is *model* itself.

    >>> original_name("my-model-76eeb051", "my model"), original_name("iris", "Flowers by their leaves")
    ('my model', 'iris')
    """
    if title and _MAPPED.fullmatch(model):
        made = (_mapped(title, number) for number in range(1, _MOST_TAKEN + 1))
        if model in made:
            return title
    return model


def _mapped(name: str, number: int) -> str:
    """Return the mapped name number *number* of *name*, which is used if those with smaller numbers are taken."""
    text = name if number == 1 else f"{name}\0{number}"
    digits = hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()[:8]
    similar = suggest(name)[: MAX_LENGTH - 9].strip("-._") or "model"
    return f"{similar}-{digits}"
