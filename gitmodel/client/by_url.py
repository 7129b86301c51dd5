"""What a registry by URL needs of the environment: how old its answers may be."""

from __future__ import annotations

import os
from collections.abc import Mapping

from gitmodel.domain.addresses import Terms, is_url
from gitmodel.errors import UsageError


def names_url(text: str) -> bool:
    """Whether *text* is a registry's URL; what is there as a file or folder is none."""
    return is_url(text) and ("://" in text or not os.path.lexists(text))


def read_terms(environ: Mapping[str, str], *, max_age: float | None, offline: bool | None, timeout: float) -> Terms:
    """How a registry by URL is used; what is None is said by `GITMODEL_MAX_AGE` and `GITMODEL_OFFLINE`.

    Raises UsageError for what is no number of seconds.
    """
    said = environ.get("GITMODEL_MAX_AGE", "")
    try:
        age = float(said or 0) if max_age is None else max_age
    except ValueError:
        age = -1.0
    if not age >= 0:
        raise UsageError("GITMODEL_MAX_AGE is no number of seconds", hint="for example: GITMODEL_MAX_AGE=60")
    cut_off = environ.get("GITMODEL_OFFLINE", "") not in ("", "0") if offline is None else offline
    return Terms(age, cut_off, timeout)
