"""The names of the classes that files with estimators of scikit-learn need.

`python tests/formats/trusted_names.py` prints the names that the installed scikit-learn, SciPy and skops need and that
are missing in gitmodel/formats/trusted_names.txt. Before you add a name, read its class: loading an instance must only
create an object from data.
"""

import importlib
import inspect
import warnings
from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from types import ModuleType
from typing import Any

import numpy
import skops.io
import skops.io.exceptions
from sklearn.utils import all_estimators
from sklearn.utils.estimator_checks import _enforce_estimator_tags_X, _enforce_estimator_tags_y

from gitmodel.formats import trust

# Modules, each with a base class. The list contains every subclass of the base class in the module.
FAMILIES = {
    "sklearn.gaussian_process.kernels": "Kernel",
    "sklearn.metrics._dist_metrics": "DistanceMetric",
    "sklearn.model_selection._split": "BaseCrossValidator",
    "sklearn.neural_network._stochastic_optimizers": "BaseOptimizer",
    "sklearn._loss.loss": "BaseLoss",
    "sklearn._loss.link": "BaseLink",
}
MORE = (
    "sklearn._loss.link.Interval",
    "sklearn.ensemble._hist_gradient_boosting.binning._BinMapper",  # skops 0.16 trusts this class, 0.13 does not
    "sklearn.metrics._dist_metrics.DistanceMetric32",
    "sklearn.metrics._dist_metrics.DistanceMetric64",
    "sklearn.metrics._scorer._MultimetricScorer",
    "sklearn.metrics._scorer._PassthroughScorer",
    "sklearn.metrics._scorer._Scorer",
    "sklearn.model_selection._split._CVIterableWrapper",
    "sklearn.neighbors._ball_tree.BallTree",
    "sklearn.neighbors._ball_tree.BallTree32",
    "sklearn.neighbors._ball_tree.BallTree64",
    "sklearn.neighbors._kd_tree.KDTree",
    "sklearn.neighbors._kd_tree.KDTree32",
    "sklearn.neighbors._kd_tree.KDTree64",
    *(
        f"scipy.sparse._{kind}.{kind}_{shape}"
        for kind in ("bsr", "coo", "csc", "csr", "dia")
        for shape in ("array", "matrix")
    ),
)
TEXTS = ["the first of them", "a second one", "and another first", "one more"] * 10


def names() -> set[str]:
    """Return the full names of the classes, without functions, that files of the installed libraries need."""
    found = {name for name in MORE if _class_of(name) is not None}
    for module, base in FAMILIES.items():
        found |= {_name(kind) for kind in _family(module, base)}
    for _, content in files():
        found |= {name for name in skops.io.get_untrusted_types(data=content) if _class_of(name) is not None}
    found |= {_name(kind) for _, kind in all_estimators()}
    return {name for name in found if name.partition(".")[0] in {"numpy", "scipy", "sklearn"}}


@cache
def files() -> list[tuple[str, bytes]]:
    """Return the name and the skops file of each estimator that skops can save, in its usual variants."""
    found = []
    for estimator in fitted():
        with suppress(skops.io.exceptions.UnsupportedTypeException):  # raised for Birch
            found.append((type(estimator).__name__, skops.io.dumps(estimator)))
    return found


def fitted() -> Iterator[Any]:
    """Yield fitted estimators: each estimator of scikit-learn, in its usual variants."""
    chance = numpy.random.RandomState(0)
    features = chance.rand(60, 6) + 0.1
    target = (features[:, 0] > 0.6).astype(int)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name, kind in all_estimators():
            for estimator in _instances(kind):
                try:
                    if "Vectorizer" in name and name != "DictVectorizer":
                        yield estimator.fit(TEXTS)
                    elif name == "DictVectorizer":
                        yield estimator.fit([{"a": 1, "b": "x"}] * 4)
                    elif name.startswith("Label"):
                        yield estimator.fit(target)
                    elif name == "MultiLabelBinarizer":
                        yield estimator.fit([[1, 2], [3]])
                    else:
                        yield estimator.fit(
                            _enforce_estimator_tags_X(estimator, features.copy()),
                            _enforce_estimator_tags_y(estimator, target.copy()),
                        )
                except Exception:
                    continue


def _instances(kind: type) -> list[Any]:
    try:
        from sklearn.utils._test_common.instance_generator import _construct_instances
    except ImportError:  # before scikit-learn 1.6
        from sklearn.utils.estimator_checks import _construct_instance

        try:
            return [_construct_instance(kind)]
        except Exception:
            return []
    try:
        return list(_construct_instances(kind))
    except Exception:
        return []


def _family(module: str, base: str) -> Iterator[type]:
    try:
        holder = importlib.import_module(module)
    except ImportError:
        return
    parent = getattr(holder, base, None)
    for kind in _classes(holder):
        calls = kind.__name__.startswith("PyFunc")  # excludes classes that call a function named in the file
        if parent is not None and issubclass(kind, parent) and not inspect.isabstract(kind) and not calls:
            yield kind


def _classes(module: ModuleType) -> list[type]:
    return [kind for kind in vars(module).values() if isinstance(kind, type) and kind.__module__ == module.__name__]


def _name(kind: type) -> str:
    return f"{kind.__module__}.{kind.__qualname__}"


def _class_of(name: str) -> type | None:
    found = trust.find(name)
    return found if isinstance(found, type) else None


if __name__ == "__main__":
    missing = sorted(names() - trust.shipped())
    print("\n".join(missing) or "none is missing")
