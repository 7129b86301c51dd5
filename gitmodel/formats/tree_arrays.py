"""Verification of the arrays of trees in scikit-learn models, whose prediction follows their indices unchecked.

An index outside its array reads foreign memory or ends the process, so a trusted class is not enough: see
https://github.com/scikit-learn/scikit-learn/pull/34558, for which skops does not trust `Tree` by itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

_ATOMS = (str, bytes, int, float, complex, bool, type(None))


def fault(model: Any) -> str:
    """Return the problem of the first tree in *model* whose indices are outside of its arrays; "" if there is none.

    >>> fault({"a": [1, "x"]})
    ''
    """
    checks: dict[str, Callable[[Any], bool]] = {
        "sklearn.tree._tree.Tree": _is_decision_tree,
        "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor": _is_predictor,
    }
    for family, names in (
        ("kd_tree", ("KDTree", "KDTree32", "KDTree64")),
        ("ball_tree", ("BallTree", "BallTree32", "BallTree64")),
    ):
        checks |= {f"sklearn.neighbors._{family}.{name}": _is_search_tree for name in names}
    for part in _parts(model):
        kind = type(part)
        check = checks.get(f"{kind.__module__}.{kind.__qualname__}")
        if check is not None and not check(part):
            return f"a {kind.__name__} in it has indices outside its arrays"
    return ""


def _parts(model: Any) -> Iterator[Any]:
    """Yield every object inside *model* once: attributes, items and elements of arrays of objects."""
    waiting, seen = [model], set()
    kept = []  # keeps the objects alive, since their ids are compared
    while waiting:
        part = waiting.pop()
        if isinstance(part, _ATOMS) or id(part) in seen:
            continue
        seen.add(id(part))
        kept.append(part)
        yield part
        if isinstance(part, dict):
            waiting += [*part.keys(), *part.values()]
        elif isinstance(part, (list, tuple, set, frozenset)):
            waiting += part
        elif getattr(getattr(part, "dtype", None), "hasobject", False) and hasattr(part, "ravel"):
            waiting += part.ravel().tolist()
        if not isinstance(part, type) and isinstance(getattr(part, "__dict__", None), dict):
            waiting += vars(part).values()


def _is_decision_tree(tree: Any) -> bool:
    count, left, right = tree.node_count, tree.children_left, tree.children_right
    if not (len(left) == len(right) == len(tree.feature) == len(tree.value) == count >= 1):
        return False
    inner = (left != -1).nonzero()[0]
    # a child comes after its parent, so no path is endless
    children_fit = all(bool(((side[inner] > inner) & (side[inner] < count)).all()) for side in (left, right))
    features = tree.feature[inner]
    return children_fit and bool(((features >= 0) & (features < tree.n_features)).all())


def _is_predictor(predictor: Any) -> bool:
    nodes = predictor.nodes
    count = len(nodes)
    inner = (nodes["is_leaf"] == 0).nonzero()[0]
    left, right = nodes["left"][inner], nodes["right"][inner]
    fits = count >= 1 and bool(((left > inner) & (left < count) & (right > inner) & (right < count)).all())
    sets = nodes["bitset_idx"][inner][nodes["is_categorical"][inner] != 0]
    bitsets = (predictor.raw_left_cat_bitsets, predictor.binned_left_cat_bitsets)
    return (
        fits
        and bool((nodes["feature_idx"][inner] >= 0).all())
        and all(array.ndim == 2 and array.shape[1] == 8 and bool((sets < len(array)).all()) for array in bitsets)
    )


def _is_search_tree(tree: Any) -> bool:
    data, order, nodes, bounds = tree.get_arrays()
    count, size = len(nodes), len(data)
    start, end, leaf = nodes["idx_start"], nodes["idx_end"], nodes["is_leaf"] != 0
    inner = (~leaf).nonzero()[0]
    return (
        len(order) == size
        and bounds.shape[1] == count >= 1
        and bool(((order >= 0) & (order < size)).all())
        and bool(((start >= 0) & (start <= end) & (end <= size)).all())
        and bool((2 * inner + 2 < count).all())
    )
