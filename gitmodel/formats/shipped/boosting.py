"""The formats xgboost and lightgbm: boosters and estimators, in the file formats of these libraries.

For an estimator, the file also has its class and attributes, in a place that the library ignores. So programs in other
languages can load the file as a booster.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gitmodel.domain.schema.names import with_article
from gitmodel.errors import UsageError
from gitmodel.formats.catalogue.format import Format, library, type_name
from gitmodel.formats.encoding import values

_KEY = "gitmodel"
_ESTIMATORS = {
    "xgboost": ("XGBClassifier", "XGBRFClassifier", "XGBRFRegressor", "XGBRanker", "XGBRegressor"),
    "lightgbm": ("LGBMClassifier", "LGBMRanker", "LGBMRegressor"),
}

NAMES = frozenset(
    {"xgboost.core.Booster", "lightgbm.basic.Booster"}
    | {f"{package}.sklearn.{name}" for package, names in _ESTIMATORS.items() for name in names}
)
"""The full names of boosters and their estimators: objects of these classes can be restored from their state. They must
not be called, because a Booster opens the file that is named in its arguments."""


def _load_xgboost(path: Path, trusted: bool) -> Any:
    booster = library("xgboost", install="xgboost").Booster()
    booster.load_model(bytearray(path.read_bytes()))  # bytes, because XGBoost requires a path to end in a known suffix
    told = booster.attr(_KEY)
    if told is None:
        return booster
    booster.set_attr(**{_KEY: None})
    return _estimator("xgboost", json.loads(told), booster)


def _save_xgboost(value: Any, path: Path) -> None:
    xgboost = library("xgboost", install="xgboost")
    if type(value) is xgboost.Booster:
        booster = value
    else:
        told = json.dumps(_described("xgboost", value))
        booster = value.get_booster().copy()
        booster.set_attr(**{_KEY: told})
    path.write_bytes(booster.save_raw("ubj"))


def _load_lightgbm(path: Path, trusted: bool) -> Any:
    lightgbm = library("lightgbm", install="lightgbm")
    text = path.read_text(encoding="utf-8")
    booster = lightgbm.Booster(model_str=text)
    line = next((line for line in reversed(text.splitlines()[-9:]) if line.startswith(f"{_KEY}:")), None)
    return booster if line is None else _estimator("lightgbm", json.loads(line.partition(":")[2]), booster)


def _save_lightgbm(value: Any, path: Path) -> None:
    lightgbm = library("lightgbm", install="lightgbm")
    if type(value) is lightgbm.Booster:
        text = value.model_to_string(num_iteration=-1)
    else:
        told = json.dumps(_described("lightgbm", value))
        text = value.booster_.model_to_string(num_iteration=-1)
        body, key, categories = text.rpartition("\npandas_categorical:")
        text = f"{body}\n{_KEY}:{told}\n{key}{categories}"
    path.write_text(text, encoding="utf-8", newline="\n")


def _described(package: str, estimator: Any) -> dict[str, Any]:
    """Return the class and the attributes of a fitted *estimator* as JSON.

    Raises UsageError if they cannot be saved.
    """
    name = type(estimator).__qualname__
    if name not in _ESTIMATORS[package] or type(estimator).__module__ != f"{package}.sklearn":
        raise UsageError(
            f"{package} holds a Booster or one of {', '.join(_ESTIMATORS[package])}, not this {type_name(estimator)}",
            hint="save its booster, or allow pickle",
        )
    if getattr(estimator, "_Booster", None) is None:
        raise UsageError(f"this {name} is not fitted", hint="call fit() first")
    held = {key: _plain(item) for key, item in vars(estimator).items() if key not in ("_Booster", "_le")}
    for key, item in held.items():
        if said := values.CELLS.misfit(item, f"{name}.{key}"):
            raise UsageError(f"{said}, which its file cannot hold", hint="pass a plain value, or save its booster")
    encoder = getattr(estimator, "_le", None)
    classes = None if encoder is None else values.encode(encoder.classes_)
    return {"class": name, "attributes": values.encode(held), "classes": classes}


def _plain(value: Any) -> Any:
    """Return *value* with plain dicts instead of other mappings, which training logs of the libraries contain."""
    return {key: _plain(item) for key, item in value.items()} if isinstance(value, Mapping) else value


def _estimator(package: str, told: Mapping[str, Any], booster: Any) -> Any:
    if told["class"] not in _ESTIMATORS[package]:
        raise ValueError(f"{told['class']!a} is not an estimator of {package}")
    kind = getattr(library(package, install=package), told["class"])
    found = kind.__new__(kind)
    vars(found).update(values.decode(told["attributes"]), _Booster=booster)
    if told["classes"] is not None:
        encoder = library("sklearn.preprocessing", install="scikit-learn").LabelEncoder()
        encoder.classes_ = values.decode(told["classes"])
        found._le = encoder
    return found


def _difference(saved: Any, loaded: Any) -> str:
    if type(saved) is not type(loaded):
        return f"it would be {with_article(type_name(loaded))}"
    one, other = _booster_text(saved), _booster_text(loaded)
    return "" if one == other else "its trees or parameters would differ"


def _booster_text(value: Any) -> Any:
    booster = getattr(value, "_Booster", value)
    if hasattr(booster, "save_raw"):
        return booster.save_raw("ubj")
    # without the parameters of the training, which a loaded booster does not have
    return booster.model_to_string(num_iteration=-1).partition("\nparameters:")[0]


XGBOOST = Format("xgboost", _load_xgboost, _save_xgboost, (".ubj",), difference=_difference)
LIGHTGBM = Format("lightgbm", _load_lightgbm, _save_lightgbm, (".txt",), difference=_difference)
