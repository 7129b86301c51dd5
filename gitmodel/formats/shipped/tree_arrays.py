"""Verifies the trees in scikit-learn models, because predictions follow indices and read features without a check.

With an index outside of an array, a prediction reads other memory or crashes. So it is not enough that the class `Tree`
is trusted: see https://github.com/scikit-learn/scikit-learn/pull/34558, because of which skops does not trust `Tree`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from types import MethodType
from typing import Any

from gitmodel.domain.schema.names import with_article
from gitmodel.formats.catalogue.format import type_name

_TREE = "sklearn.tree._tree.Tree"
_ATOMS = (str, bytes, int, float, complex, bool, type(None))


def fault(model: Any) -> str:
    """Return the problem of the first tree in *model* that could read outside of an array; "" if there is none.

    A tree may read only features that the model requires in its input, and its indices must be inside its own arrays.

    >>> fault({"a": [1, "x"]})
    ''
    """
    checks: dict[str, Callable[[Any], bool]] = {
        _TREE: _is_sound_tree,
        "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor": _is_predictor,
    }
    for family, names in (
        ("kd_tree", ("KDTree", "KDTree32", "KDTree64")),
        ("ball_tree", ("BallTree", "BallTree32", "BallTree64")),
    ):
        checks |= {f"sklearn.neighbors._{family}.{name}": _is_search_tree for name in names}
    for part in parts(model):
        kind = type(part)
        check = checks.get(type_name(part))
        if check is not None and not check(part):
            return f"{with_article(kind.__name__)} in it has indices outside its arrays"
        if not isinstance(part, type) and not _fits_its_trees(part):
            return f"{with_article(kind.__name__)} in it has trees with more features or outputs than it takes"
    return ""


def parts(model: Any) -> Iterator[Any]:
    """Yield every object inside *model* once: attributes, items, elements of arrays, parts of methods and partials."""
    waiting, seen = [model], set()
    kept = []  # the objects stay alive in this list, so that no other object gets one of the ids in `seen`
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
        elif isinstance(part, MethodType):
            waiting.append(part.__self__)
        elif isinstance(part, partial):
            waiting += [part.func, part.args, part.keywords]
        if not isinstance(part, type) and isinstance(getattr(part, "__dict__", None), dict):
            waiting += vars(part).values()


def _fits_its_trees(owner: Any) -> bool:
    """Return False if *owner*, an estimator, would pass its trees an input with fewer columns than the trees read.

    Trees do not check their input, so *owner* must. It does so only if it has the number of features as an attribute.
    """
    bases = {base.__qualname__ for base in type(owner).__mro__ if base.__module__.startswith("sklearn.")}
    has = getattr(owner, "__dict__", {})
    if type(has.get("tree_")).__qualname__ == "Tree":
        return _takes(has, owner.tree_.n_features) and has.get("n_outputs_", 1) == owner.tree_.n_outputs
    if "BaseHistGradientBoosting" in bases and "_predictors" in has:
        nodes = [predictor.nodes for group in owner._predictors for predictor in group]
        used = [part["feature_idx"][part["is_leaf"] == 0].max(initial=-1) + 1 for part in nodes]
        # If the input has categories, the preprocessor, another estimator, validates it. `_is_preprocessor` requires
        # that it contains a function: loading it needs trust, so no hostile file can skip it.
        return _takes(has, max(used, default=0), exactly=False) and _is_preprocessor(has.get("_preprocessor"))
    if "estimators_" not in has or not bases & {"BaseForest", "BaseGradientBoosting", "IsolationForest"}:
        return True
    trees = [tree.tree_ for tree in getattr(owner.estimators_, "flat", owner.estimators_)]
    if "IsolationForest" in bases and owner._max_features != owner.n_features_in_:
        chosen = owner.estimators_features_
        return len(chosen) == len(trees) and all(
            tree.n_features == len(features) for tree, features in zip(trees, chosen, strict=True)
        )
    if "BaseGradientBoosting" in bases and not (
        # checked because each tree adds its values to an array with n_trees_per_iteration_ columns, without a check of
        # its own
        owner.estimators_.shape[1:] == (owner.n_trees_per_iteration_,)
        and all(tree.value.shape[1:] == (1, 1) for tree in trees)
    ):
        return False
    return all(_takes(has, tree.n_features) for tree in trees)


def _takes(attributes: dict[str, Any], features: int, *, exactly: bool = True) -> bool:
    """Return True if an estimator requires *features* features or, if *exactly* is False, at least that many."""
    wanted = attributes.get("n_features_in_")
    return isinstance(wanted, int) and (wanted == features if exactly else wanted >= features)


def _is_preprocessor(found: Any) -> bool:
    steps = [step[1] for step in getattr(found, "transformers_", ())]
    return found is None or any(type(getattr(step, "func", None)).__name__ == "partial" for step in steps)


def is_decision_tree(part: Any) -> bool:
    """Return True for a decision tree of scikit-learn, which estimators have as `tree_`. Imports nothing."""
    return type_name(part) == _TREE


def _is_sound_tree(tree: Any) -> bool:
    count, left, right = tree.node_count, tree.children_left, tree.children_right
    if not (len(left) == len(right) == len(tree.feature) == len(tree.value) == count >= 1):
        return False
    inner = (left != -1).nonzero()[0]
    # the number of each child must be greater than that of its parent, so that no path through the tree is endless
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
        and bounds.shape[2] == data.shape[1]
        and bounds.shape[0] == (2 if type(tree).__name__.startswith("KD") else 1)
        and _validates(tree, data)
        and bool(((order >= 0) & (order < size)).all())
        and bool(((start >= 0) & (start <= end) & (end <= size)).all())
        and bool((2 * inner + 2 < count).all())
    )


def _validates(tree: Any, data: Any) -> bool:
    """Return True if the metric of the search *tree* has a weight for each feature of *data*."""
    try:
        next(part for part in tree.__getstate__() if hasattr(part, "_validate_data"))._validate_data(data)
    except (StopIteration, ValueError):
        return False
    return True
