"""Converting errors of gitmodel to MlflowExceptions, which MLflow's server sends with an HTTP status."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

from mlflow.exceptions import MlflowException
from mlflow.protos import databricks_pb2 as codes

from gitmodel.errors import Conflict, GitModelError, Invalid, NotFound, Refused, Unreachable, UsageError

T = TypeVar("T")
P = ParamSpec("P")

_CODES: dict[type[GitModelError], int] = {
    UsageError: codes.INVALID_PARAMETER_VALUE,
    NotFound: codes.RESOURCE_DOES_NOT_EXIST,
    Conflict: codes.RESOURCE_ALREADY_EXISTS,
    Invalid: codes.DATA_LOSS,
    Refused: codes.PERMISSION_DENIED,
    Unreachable: codes.TEMPORARILY_UNAVAILABLE,
}


def raises_mlflow_errors(method: Callable[P, T]) -> Callable[P, T]:
    """Decorate *method*: convert each error of gitmodel to an MlflowException with the same message and hint."""

    @wraps(method)
    def call(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return method(*args, **kwargs)
        except GitModelError as error:
            code = next((code for kind, code in _CODES.items() if isinstance(error, kind)), codes.INTERNAL_ERROR)
            raise MlflowException(str(error), error_code=code) from error

    return call
