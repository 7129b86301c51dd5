"""Names of models in other registries as names of gitmodel, and back. Pure: strings in, strings out.

MLflow allows names such as "Iris (v2)", and `Iris` beside `iris`. A name that gitmodel cannot use is mapped: the
*mapped name* is similar, and ends in eight hex digits of the SHA-256 of the original name. The model has the original
name as its title.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from itertools import count

from gitmodel.domain.schema.names import MAX_LENGTH, fault_in, suggest

_MAPPED = re.compile(r".+-[0-9a-f]{8}")
# `original_name` compares a name with this number of candidates.
_MOST_TAKEN = 100


def is_plain(name: str) -> bool:
    """Return True if gitmodel can use *name* as it is, and *name* does not look like a mapped name.

    >>> is_plain("iris"), is_plain("my model"), is_plain("iris-0a1b2c3d")
    (True, False, False)
    """
    return fault_in(name) is None and _MAPPED.fullmatch(name) is None


def candidate_names(name: str) -> Iterator[str]:
    """Yield the names that gitmodel can use for the model *name* of another registry, best first.

    Use the first name that is free: a plain name may belong to a model whose name differs only in case, or to a
    deleted model.

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
    """Return the name in the other registry of the *model* with this *title*.

    The title is the original name if *model* is one of the names that `candidate_names` makes of it.

    >>> original_name("my-model-76eeb051", "my model"), original_name("iris", "Flowers by their leaves")
    ('my model', 'iris')
    """
    if title and _MAPPED.fullmatch(model):
        made = (_mapped(title, number) for number in range(1, _MOST_TAKEN + 1))
        if model in made:
            return title
    return model


def _mapped(name: str, number: int) -> str:
    """Return the mapped form of *name* that is used if the forms with a smaller *number* are taken."""
    text = name if number == 1 else f"{name}\0{number}"
    digits = hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()[:8]
    similar = suggest(name)[: MAX_LENGTH - 9].strip("-._") or "model"
    return f"{similar}-{digits}"
