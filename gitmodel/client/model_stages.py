"""The names of the default stages of a registry."""

from __future__ import annotations

from enum import Enum

from gitmodel.domain.schema.names import ARCHIVED, LATEST, NONE


class ModelStages(str, Enum):
    """The default stages, and the words "none" (no stage), "archived" and "latest" (the latest version).

    >>> str(ModelStages.PRODUCTION)
    'production'
    """

    NONE = NONE
    STAGING = "staging"
    PRODUCTION = "production"
    ARCHIVED = ARCHIVED
    LATEST = LATEST

    def __str__(self) -> str:
        return self.value
