"""Changes of a model or version that MLflow requests: tags, stages, and the time of the last change."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mlflow.entities.model_registry.model_version_stages import get_canonical_stage
from mlflow.utils.time import get_current_time_millis

from gitmodel.client import Client, Model, ModelVersion
from gitmodel.domain.schema.names import ARCHIVED, NONE
from gitmodel.domain.views.record_views import VersionView
from gitmodel.errors import NotFound, Refused, UsageError
from gitmodel.interop.mlflow_plugin import entities

# The reason that is recorded for a change, because MLflow's calls have none.
REASON = "through MLflow"


def touch(handle: Model | ModelVersion, at: int | None = None) -> None:
    """Record that the model or version *handle* changed at the time *at* (milliseconds since 1970), by default now."""
    moment = get_current_time_millis() if at is None else at
    handle.set_metadata({"updated": moment}, table=entities.FACTS)


def set_tags(handle: Model | ModelVersion, tags: Mapping[str, str], metadata: Mapping[str, Any]) -> None:
    """Set *tags* in the metadata of the model or version *handle*, whose current metadata is *metadata*."""
    for key, text in tags.items():
        place = entities.tag_place(key, metadata)
        handle.set_metadata({place.key: entities.tag_value(key, text, metadata)}, table=place.table)


def remove_tag(handle: Model | ModelVersion, key: str, metadata: Mapping[str, Any]) -> None:
    """Remove the tag *key* from the model or version *handle*, if it has it. Its current metadata is *metadata*."""
    place = entities.tag_place(key, metadata)
    try:
        handle.set_metadata(remove=[place.key], table=place.table)
    except NotFound:
        return


def read_stage(client: Client, word: str) -> str:
    """Return the registry's stage for *word*, MLflow's name of a stage such as "Production", or the registry's own.

    Raises UsageError if the registry has no such stage.
    """
    known = (*client.stage_names, ARCHIVED, NONE)
    if word in known:
        return word
    wanted = str(get_canonical_stage(word)).lower()
    if wanted not in known:
        raise UsageError(f"Invalid Model Version stage: {word}. The stages of this registry: {', '.join(known)}.")
    return wanted


def change_stage(client: Client, view: VersionView, stage: str, *, opens_proposals: bool) -> None:
    """Put the version *view* into *stage* in one commit. If *stage* is "none", the version leaves its stage.

    Raises Refused if a rule of a stage refuses the change. If *opens_proposals* is True and the change needs a review,
    proposes the change instead and still raises Refused, because the stage of the version has not changed.
    """
    try:
        _change_directly(client, view, stage)
    except Refused as error:
        stages = [one for one in client.list_stages() if one.name in (stage, view.stage)]
        if not opens_proposals or not any(one.rule.proposal_only for one in stages):
            raise
        # A proposal has no stage "none": it demotes the version instead.
        demoted = [(view.model, str(view.stage))] if stage == NONE else []
        promoted = [] if demoted else [(str(view), stage)]
        proposal = client.propose(*promoted, demote=demoted, reason=REASON, leave=True)
        raise Refused(
            f"{view} is not in {stage} yet: the change needs a review, and waits in the branch {proposal.branch}",
            hint=proposal.address or "push the branch, and open a pull request",
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
