"""The stages that every registry knows."""

from __future__ import annotations

from enum import Enum

from gitmodel.domain.schema.names import ARCHIVED, LATEST, NONE


class ModelStages(str, Enum):
    """The stages of a registry that defines none of its own, and the words for leaving them."""

    NONE = NONE
    STAGING = "staging"
    PRODUCTION = "production"
    ARCHIVED = ARCHIVED
    LATEST = LATEST

    def __str__(self) -> str:
        return self.value
