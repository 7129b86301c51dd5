"""Changes of a model or version that MLflow asks for: tags, stages, the time of the last change."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mlflow.entities.model_registry.model_version_stages import get_canonical_stage
from mlflow.utils.time import get_current_time_millis

from gitmodel.client import Client, Model, ModelVersion
from gitmodel.domain.schema.names import ARCHIVED, NONE
from gitmodel.domain.views.record_views import VersionView
from gitmodel.errors import NotFound, Refused
from gitmodel.interop.mlflow_plugin import entities
from gitmodel.interop.mlflow_plugin.failures import invalid, refused

# The recorded reason of a change, because MLflow's calls give none.
REASON = "through MLflow"


def touch(handle: Model | ModelVersion, at: int | None = None) -> None:
    """Record that the model or version changes *at* this time in milliseconds, by default now."""
    moment = get_current_time_millis() if at is None else at
    handle.set_metadata({"updated": moment}, table=entities.FACTS)


def set_tags(handle: Model | ModelVersion, tags: Mapping[str, str], metadata: Mapping[str, Any]) -> None:
    """Set *tags* of the model or version with this *metadata*."""
    for key, text in tags.items():
        place = entities.tag_place(key, metadata)
        handle.set_metadata({place.key: entities.tag_value(key, text, metadata)}, table=place.table)


def remove_tag(handle: Model | ModelVersion, key: str, metadata: Mapping[str, Any]) -> None:
    """Remove the tag *key*, if the model or version with this *metadata* has it."""
    place = entities.tag_place(key, metadata)
    try:
        handle.set_metadata(remove=[place.key], table=place.table)
    except NotFound:
        return


def read_stage(client: Client, word: str) -> str:
    """Return the stage of the registry for a word of MLflow, such as "Production".

    Raises MlflowException if the registry has no such stage.
    """
    known = (*client.stage_names, ARCHIVED, NONE)
    if word in known:
        return word
    wanted = str(get_canonical_stage(word)).lower()
    if wanted not in known:
        raise invalid(f"Invalid Model Version stage: {word}. The stages of this registry: {', '.join(known)}.")
    return wanted


def change_stage(client: Client, view: VersionView, stage: str, *, opens_proposals: bool) -> None:
    """Put a version into *stage*, or out of its stage for "none", in one commit.

    Raises Refused if a rule of a stage refuses the change. With *opens_proposals*, a change that needs a review is
    proposed, and MlflowException is raised: the stage of the version has not changed.
    """
    try:
        _change_directly(client, view, stage)
    except Refused as error:
        if not opens_proposals or not _needs_review(client, {stage, view.stage}):
            raise
        # For "none", the version leaves its stage.
        demoted = [(view.model, str(view.stage))] if stage == NONE else []
        promoted = [] if demoted else [(str(view), stage)]
        proposal = client.propose(*promoted, demote=demoted, reason=REASON, leave=True)
        raise refused(
            f"{view} is not in {stage} yet: the change needs a review, and waits in the branch {proposal.branch}\n"
            f"hint: {proposal.address or 'push the branch, and open a pull request'}"
        ) from error


def _change_directly(client: Client, view: VersionView, stage: str) -> None:
    now = get_current_time_millis()
    with client.transaction(f"Move {view} to {stage}") as change:
        version = change.get_version(str(view))
        done = version.set_stage(stage, reason=REASON, leave=True)
        touch(version, now)
        touch(change.get_model(view.model), now)
        if done.archived is not None and done.archived != view.record.number:
            touch(change.get_version(f"{view.model}@{done.archived}"), now)


def _needs_review(client: Client, stages: set[str | None]) -> bool:
    return any(stage.rule.proposal_only for stage in client.list_stages() if stage.name in stages)
