"""The default stages of a registry."""

from __future__ import annotations

from enum import Enum

from gitmodel.domain.schema.names import ARCHIVED, LATEST, NONE


class ModelStages(str, Enum):
    """The stages of a registry that defines no others, and the words for no stage, archived and latest.

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
