"""Converting records of gitmodel to entities of MLflow, and tags of MLflow to metadata. Pure: no I/O.

Tags are in the table `tags` of the metadata, as the importer from MLflow writes them. Facts for which gitmodel has no
field, such as the source of a version, are in the table `mlflow`. This table also has the times of MLflow in
milliseconds, because MLflow sorts by them.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any, NamedTuple

from mlflow.entities.model_registry import (
    ModelVersion,
    ModelVersionTag,
    RegisteredModel,
    RegisteredModelAlias,
    RegisteredModelTag,
)

from gitmodel.domain.schema.names import ARCHIVED, NONE
from gitmodel.domain.views.authorship import Authorship
from gitmodel.domain.views.record_views import ModelView, VersionView

FACTS = "mlflow"
TAGS = "tags"
# The tables of the metadata that only the plug-in writes.
TABLES = (FACTS, TAGS)
# If the key of a tag is too long for gitmodel, the key in the metadata is this and the digest of the tag's key. Its
# value is a table with the tag's key and value.
_LONG_TAG = "sha256:"
_LONGEST_KEY = 128
# The name of the artifact with the files of MLflow's model.
ARTIFACT = "model"

_MLFLOW_STAGES = {NONE: "None", "staging": "Staging", "production": "Production", ARCHIVED: "Archived"}


def shown_stage(stage: str | None) -> str:
    """Return MLflow's name of a stage of gitmodel. Stages that MLflow does not have keep their names.

    >>> shown_stage("production"), shown_stage(None), shown_stage("canary")
    ('Production', 'None', 'canary')
    """
    name = stage or NONE
    return _MLFLOW_STAGES.get(name, name)


class TagPlace(NamedTuple):
    """The place of a tag in the metadata: *key* in the inner table *table* ("": in the metadata itself)."""

    table: str
    key: str


def tag_place(key: str, metadata: Mapping[str, Any]) -> TagPlace:
    """Return the place of the tag *key*: at the top of *metadata* if it has a value *key*, else in the table of tags.

    >>> tag_place("accuracy", {"accuracy": 0.9}), tag_place("team", {"accuracy": 0.9})
    (TagPlace(table='', key='accuracy'), TagPlace(table='tags', key='team'))
    """
    if key in metadata and key not in (FACTS, TAGS) and not isinstance(metadata[key], Mapping):
        return TagPlace("", key)
    return TagPlace(TAGS, key if len(key) <= _LONGEST_KEY else _LONG_TAG + hashlib.sha256(key.encode()).hexdigest())


def tag_value(key: str, text: str, metadata: Mapping[str, Any]) -> Any:
    """Return the value to record for the tag *key* with the value *text*.

    If *metadata* has a number under *key*, the value is a number, too, so that gates can compare it.

    >>> tag_value("accuracy", "0.9", {"accuracy": 0.8}), tag_value("team", "7", {})
    (0.9, '7')
    """
    return _like(metadata.get(key), text) if len(key) <= _LONGEST_KEY else {"key": key, "value": text}


def tag_table(tags: Mapping[str, str]) -> dict[str, Any]:
    """Return the metadata of a new record with *tags*.

    >>> tag_table({"team": "plants"}), tag_table({})
    ({'tags': {'team': 'plants'}}, {})
    """
    values = {tag_place(key, {}).key: tag_value(key, text, {}) for key, text in tags.items()}
    return {TAGS: values} if values else {}


def read_tags(metadata: Mapping[str, Any]) -> dict[str, str]:
    """Return the tags that MLflow shows for *metadata*: those in the table of tags, and all other values.

    The keys of values in inner tables are joined by dots. The table of facts is left out.

    >>> read_tags({"accuracy": 0.9, "tags": {"team": "plants"}, "mlflow": {"source": "s3://bucket"}})
    {'accuracy': '0.9', 'team': 'plants'}
    """
    tags = metadata.get(TAGS)
    values = {key: value for key, value in metadata.items() if key != FACTS and (key != TAGS or tags is not value)}
    if isinstance(tags, Mapping):
        return dict([*_flat_tags(values), *_flat_tags(tags)])
    return dict(_flat_tags({**values, **({TAGS: tags} if tags is not None else {})}))


def facts_of(metadata: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the table in *metadata* with the facts of MLflow for which gitmodel has no field; {} if there is none."""
    facts = metadata.get(FACTS)
    return facts if isinstance(facts, Mapping) else {}


def version_entity(name: str, view: VersionView, authorship: Authorship | None) -> ModelVersion:
    """Return MLflow's entity of the version *view*. MLflow's name of its model is *name*.

    If *authorship* is None, the entity has no user, and its last change is the last change that was made through
    MLflow.
    """
    record, metadata = view.record, view.record.metadata
    facts = facts_of(metadata)
    created = facts.get("created", milliseconds(record.created))
    # The constructor of MLflow 2 does not have this argument.
    ids = {"model_id": facts["model_id"]} if "model_id" in facts else {}
    return ModelVersion(
        name=name,
        version=record.number,
        creation_timestamp=created,
        last_updated_timestamp=last_change(metadata, created, authorship),
        description=record.description or facts.get("description"),
        user_id=authorship.author if authorship else None,
        current_stage=shown_stage(view.stage),
        source=facts.get("source"),
        run_id=facts.get("run_id"),
        run_link=facts.get("run_link"),
        tags=[ModelVersionTag(key, value) for key, value in read_tags(metadata).items()],
        # the stage, too, because MLflow's pages show only aliases
        aliases=[*view.aliases, *([view.stage] if view.stage and view.stage != ARCHIVED else [])],
        **ids,
    )


def model_entity(name: str, view: ModelView, versions: Iterable[ModelVersion]) -> RegisteredModel:
    """Return MLflow's entity of the model *view* with the entities of its *versions*. MLflow's name of it is *name*.

    To MLflow, a model also changes when one of its versions is created, is deleted or changes its stage. So the last
    change in the entity is not before the creation of the newest version. MLflow's calls for the other two write their
    time into the metadata of the model (`changes.touch`).
    """
    metadata = view.record.metadata
    created = facts_of(metadata).get("created", milliseconds(view.record.created))
    latest: dict[str, ModelVersion] = {}
    times = [last_change(metadata, created, None)]
    for version in sorted(versions, key=lambda one: int(one.version)):
        latest[version.current_stage] = version
        times.append(version.creation_timestamp)
    numbers = {state.name: state.in_force for state in view.stages if state.in_force is not None}
    return RegisteredModel(
        name=name,
        creation_timestamp=created,
        last_updated_timestamp=max(times),
        description=view.record.description or None,
        latest_versions=list(latest.values()),
        tags=[RegisteredModelTag(key, value) for key, value in read_tags(metadata).items()],
        aliases=[RegisteredModelAlias(alias, number) for alias, number in numbers.items()],
    )


def milliseconds(moment: datetime) -> int:
    """Return *moment* in milliseconds since 1970, as MLflow writes times."""
    return int(moment.timestamp() * 1000)


def last_change(metadata: Mapping[str, Any], created: int, authorship: Authorship | None) -> int:
    """Return the time of the last change in milliseconds: the last one through MLflow (in *metadata*) or by a commit.

    *created* is the time of the creation, and *authorship* has the time of the last commit (None: ignore commits).
    """
    recorded = facts_of(metadata).get("updated")
    times = [
        created,
        recorded if isinstance(recorded, int) else 0,
        milliseconds(authorship.updated) if authorship else 0,
    ]
    return max(times)


def _flat_tags(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    for key, value in values.items():
        if isinstance(value, Mapping) and key.startswith(_LONG_TAG):
            yield str(value.get("key")), str(value.get("value"))
        elif isinstance(value, Mapping):
            yield from _flat_tags(value, f"{prefix}{key}.")
        else:
            yield prefix + key, _text(value)


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, (list, tuple)):
        return json.dumps(value, default=str)
    return str(value).lower() if isinstance(value, bool) else str(value)


def _like(old: Any, text: str) -> Any:
    """Return *text* converted to a number if *old* is a number and *text* has one; else *text* itself."""
    if isinstance(old, bool) or not isinstance(old, (int, float)):
        return text
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text
