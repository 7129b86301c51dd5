"""The stages that every registry knows, the handle of a model, and a list of them."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import datetime
from enum import Enum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gitmodel.client.by_url import content_key
from gitmodel.client.handles import ModelVersion, Versions, scalars
from gitmodel.client.html import html_table
from gitmodel.client.opened import Opened
from gitmodel.domain.arguments import checked_arguments
from gitmodel.domain.changes.models import DESCRIPTIVE, read_words
from gitmodel.domain.changes.stages import Promotion, StageState
from gitmodel.domain.schema.names import ARCHIVED, LATEST, NONE, check_name, check_version_name
from gitmodel.domain.schema.records import ModelRecord
from gitmodel.domain.schema.references import ModelRef, VersionRef
from gitmodel.domain.views import ModelView, VersionView
from gitmodel.errors import UsageError
from gitmodel.registry import models, stages, versions
from gitmodel.registry.writer import Batch, Writer

if TYPE_CHECKING:
    from gitmodel.branch.stage_history import StageEvent

PAGE = 50


class ModelStages(str, Enum):
    """The stages of a registry that defines none of its own, and the words for leaving them."""

    NONE = NONE
    STAGING = "staging"
    PRODUCTION = "production"
    ARCHIVED = ARCHIVED
    LATEST = LATEST

    def __str__(self) -> str:
        return self.value


class _Text:
    """A descriptive field of a model that is text."""

    def __init__(self, doc: str) -> None:
        self.__doc__ = doc

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    def __get__(self, model: Model, owner: type) -> str:
        return str(model._described(self._name))


class _Words(_Text):
    """A descriptive field of a model that is a list of words."""

    def __get__(self, model: Model, owner: type) -> list[str]:  # type: ignore[override]
        return list(model._described(self._name))


@checked_arguments
class Model:
    """A model: what is said of it, and its versions.

    Made by hand it is a description for `Client.register_model`; from a client it is a handle that reads again when
    the branch has moved. Fields: title, license, description, audience, use_cases, limitations, trade_offs, ethics
    (text), tags, owners (lists of text).

    Raises UsageError for a bad name, an unknown field or a value of the wrong type.

    >>> Model(name="iris", license="Apache-2.0", tags=["sklearn"])
    Model('iris')
    """

    title = _Text("Display name.")
    license = _Text("License, such as MIT or Apache-2.0.")
    description = _Text("Description.")
    audience = _Text("Intended users.")
    use_cases = _Text("Intended use cases.")
    limitations = _Text("Known limitations.")
    trade_offs = _Text("Trade-offs that were made.")
    ethics = _Text("Ethical considerations.")
    tags = _Words("Words to find it by, sorted.")
    owners = _Words("Who answers for it, sorted.")

    def __init__(
        self,
        name: str,
        *,
        title: str = "",
        license: str = "",
        description: str = "",
        audience: str = "",
        use_cases: str = "",
        limitations: str = "",
        trade_offs: str = "",
        ethics: str = "",
        tags: Iterable[str] = (),
        owners: Iterable[str] = (),
    ) -> None:
        from gitmodel.domain.description import read_description

        given = {
            "title": title,
            "license": license,
            "description": description,
            "audience": audience,
            "use_cases": use_cases,
            "limitations": limitations,
            "trade_offs": trade_offs,
            "ethics": ethics,
            "tags": tags,
            "owners": owners,
        }
        self._asked = ModelRef(check_name(name, "model"), since=0)
        # the name that it was found by, if a pull had given that name to another model
        self._unsure: ModelRef | None = None
        self._given = read_description(given)
        self._found: Opened | None = None

    @classmethod
    def _of(cls, opened: Opened, name: str) -> Model:
        return cls._follow(opened, ModelRef(name, since=opened.repository.renumberings().count))

    @classmethod
    def _follow(cls, opened: Opened, ref: ModelRef, *, unsure: ModelRef | None = None) -> Model:
        model = cls.__new__(cls)
        model._asked, model._unsure, model._given, model._found = ref, unsure, {}, opened
        return model

    @classmethod
    def _find(cls, opened: Opened, ref: ModelRef) -> Model:
        """The model that *ref*, which a person wrote, names now. Raises NotFound, UsageError."""
        if ref.renumbered:
            return cls._follow(opened, models.find_to_change(opened.writer, ref))
        found, noted = models.find(opened.writer, ref)
        return cls._follow(opened, found, unsure=ref if noted else None)

    @property
    def name(self) -> str:
        """The model's name."""
        return self._name

    def description_given(self) -> dict[str, Any]:
        """The descriptive fields that were given when this was made by hand."""
        return {field: value for field, value in self._given.items() if value}

    @property
    def record(self) -> ModelRecord:
        """The model's record as it is now."""
        return self._view().record

    @property
    def created(self) -> datetime:
        """The time when the model was registered, in UTC."""
        return self.record.created

    @property
    def versions(self) -> Versions:
        """The newest 50 versions, oldest first, so that `[-1]` is the newest.

        A longer history is not in it: `model.versions.total` says how many there are, `each_version` yields them all.

        >>> best = max(model.each_version(), key=lambda version: version.metadata["auc"])      # doctest: +SKIP
        """
        return self.list_versions(limit=PAGE)

    def each_version(self, *, filter: str = "") -> Iterator[ModelVersion]:
        """Yield every version that matches *filter*, newest first, one at a time. Raises NotFound, UsageError.

        >>> next(model.each_version(filter="metadata.auc > 0.9"))                              # doctest: +SKIP
        ModelVersion('iris@57')
        """
        found = versions.each_version(self._writer(), self._asked, filter=filter)
        for view in found:
            if isinstance(view, VersionView):
                yield ModelVersion(self._registered(), _ref(view, found.since))

    def list_versions(self, *, filter: str = "", limit: int | None = None, offset: int = 0) -> Versions:
        """Return all versions that match *filter*, oldest first: the newest *limit* after *offset* newer ones.

        Raises NotFound; UsageError for a filter with a mistake and a *limit* or *offset* below 0.
        """
        writer = self._writer()
        list = partial(versions.list_versions, writer, self._asked, filter=filter, limit=limit, offset=offset)
        (found, _), since = self._registered().repository.at_one_numbering(list)
        total = None if filter else len(found)
        if not filter and (limit is not None or offset):
            total = versions.count_versions(writer, self._asked)
        opened = self._registered()
        return Versions((ModelVersion(opened, _ref(view, since)) for view in reversed(found)), total=total)

    def get_version(self, version: str | int | ModelStages | None = None, *, renumbered: bool = False) -> ModelVersion:
        """A version by number, name, stage, alias or "latest" (also if left out). Raises NotFound, Invalid.

        A number that a pull gave to another version is warned of, and changes are Refused; *renumbered* says that the
        version is meant that has the number now.
        """
        selector = version.value if isinstance(version, ModelStages) else version
        ref = replace(VersionRef.of(self._name, selector), renumbered=renumbered)
        if ref.number is None and not renumbered and self._unsure is None:  # it is known which model is meant
            asked = self._asked
            ref = VersionRef(asked.model, ref.selector, since=asked.since, settles=asked.settles)
        return ModelVersion._find(self._registered(), ref)

    def create_version(
        self,
        name: str | None = None,
        *,
        description: str = "",
        tags: Iterable[str] = (),
        metadata: Mapping[str, Any] | None = None,
        data: Mapping[str, str | os.PathLike[str]] | None = None,
        model_objects: Mapping[str, str | os.PathLike[str]] | None = None,
        deployments: Mapping[str, str | os.PathLike[str]] | None = None,
        idempotency_key: str | None = None,
    ) -> ModelVersion:
        """Make the next version. *data*, *model_objects* and *deployments* map artifact names to files or folders.

        The code repository's commit and whether it has changes are recorded with it. If a version of the model was made
        under the same *idempotency_key* before, that one is returned and nothing is made; left out, a job of a CI
        host that uses a registry by URL has a key of its own, and "" is none.
        Raises Conflict if *name* is taken, UsageError if it cannot be one.
        """
        from gitmodel.registry import artifacts

        opened, chosen, model = self._registered(), self._to_change(), self._name
        if name is not None:
            check_version_name(name)
        known = versions.find_keyed(opened.writer, chosen, idempotency_key) if idempotency_key else None
        if known is not None:
            return ModelVersion(opened, VersionRef(model, str(known), since=opened.repository.renumberings().count))
        kinds = (("data", data), ("model", model_objects), ("deployment", deployments))
        given = [(key, Path(path), kind) for kind, paths in kinds for key, path in (paths or {}).items()]
        words, values = read_words(tags), scalars(metadata or {})
        allowed = opened.repository.allows_credentials
        artifacts.check_sources(given, allow_credentials=allowed)
        if idempotency_key or not opened.job:  # a job may have made this very version before
            chosen = versions.check_creation(
                opened.writer,
                chosen,
                name=name,
                description=description,
                tags=words,
                metadata=values,
                artifacts=[(key, kind) for key, _, kind in given],
            )
        links = [
            artifacts.store_artifact(opened.access.of_model(model), key, path, kind=kind, allow_credentials=allowed)
            for key, path, kind in given
        ]
        code = opened.record_code()
        content = (model, name, description, words, values, links, code)
        key = idempotency_key if idempotency_key is not None else opened.job_key(lambda: content_key(*content))
        made = versions.make_version(
            opened.writer,
            chosen,
            name=name,
            description=description,
            tags=words,
            metadata=values,
            artifacts=links,
            code=code,
            key=key,
        )
        return ModelVersion(opened, made)

    def update(self, *, add_tags: Iterable[str] = (), remove_tags: Iterable[str] = (), **description: Any) -> Model:
        """Change descriptive fields and tags."""
        ref = self._to_change()
        return Model._update(self._registered(), ref, add_tags=add_tags, remove_tags=remove_tags, **description)

    @classmethod
    def _update(
        cls,
        opened: Opened,
        ref: ModelRef,
        new_name: str | None = None,
        *,
        add_tags: Iterable[str] = (),
        remove_tags: Iterable[str] = (),
        **description: Any,
    ) -> Model:
        if new_name is not None and not isinstance(opened.writer, Batch):
            with opened.transaction(f"Rename {ref} to {new_name}") as change:
                return cls._update(change, ref, new_name, add_tags=add_tags, remove_tags=remove_tags, **description)
        chosen = models.find_to_change(opened.writer, ref)
        now = models.update_model(opened.writer, chosen, description, add_tags=add_tags, remove_tags=remove_tags)
        if new_name is not None:
            now = models.rename_model(opened.writer, chosen, new_name)
        return cls._of(opened, now)

    def rename(self, new_name: str) -> Model:
        """Give the model another name; the old one goes on to lead to it."""
        return Model._update(self._registered(), self._to_change(), new_name)

    def delete(self, *, reason: str = "", force: bool = False) -> None:
        """Delete the model. Raises Refused if it is in use, unless *force*."""
        models.delete_model(self._writer(), self._to_change(), reason=reason, force=force)

    @property
    def stages(self) -> list[StageState]:
        """Every stage and alias: which version is recorded, which is in force."""
        return stages.list_stages(self._writer(), self._asked)

    def demote(self, stage: str, *, reason: str = "") -> Promotion:
        """Leave *stage* without a version."""
        return stages.demote(self._writer(), self._to_change(), str(stage), reason=reason)

    def rollback(
        self, stage: str | ModelStages, *, reason: str = "", force: bool = False, leave: bool = False
    ) -> ModelVersion:
        """Put the previous holder of *stage* back and return it.

        *force* passes a failing gate, and needs a *reason*. *leave* lets a version move back to an earlier stage,
        although its later stage becomes empty.
        """
        opened = self._registered()
        done = stages.rollback(
            opened.writer, opened.repository, self._to_change(), str(stage), reason=reason, force=force, leave=leave
        )
        since = opened.repository.renumberings().count
        return ModelVersion(opened, VersionRef(done.model, str(done.version), since=since))

    def remove_alias(self, alias: str, *, reason: str = "") -> None:
        """Take *alias* away from the version that has it."""
        stages.remove_alias(self._writer(), self._to_change(), alias, reason=reason)

    def history(self, stage: str | ModelStages = "") -> list[StageEvent]:
        """Every change of the model's stages and aliases, or of one of them, newest first, with what ended it."""
        from gitmodel.lineage.history import history

        return list(history(self._registered().repository, self._asked, str(stage)))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Model) and self._name == other._name and self._opened is other._opened

    def __hash__(self) -> int:
        return hash(self._asked.model)

    def __repr__(self) -> str:
        return f"Model({self._name!r})"

    def _repr_html_(self) -> str:
        view = self._view() if self._opened else None
        rows = [("name", self._name), *((field, getattr(self, field)) for field in DESCRIPTIVE)]
        rows += [("versions", view.count), ("latest", view.latest)] if view else []
        return html_table(("field", "value"), [row for row in rows if row[1] not in ("", [], None)])

    @property
    def _name(self) -> str:
        """The model's present name: a pull can keep the remote's name instead of one that was given here."""
        if self._opened is None:
            return self._asked.model
        followed = self._opened.repository.renumberings().follow((self._asked.model, 0), since=self._asked.since or 0)
        return followed[0]

    @property
    def _opened(self) -> Opened | None:
        return self._found.lasting if self._found is not None else None

    def _registered(self) -> Opened:
        if self._opened is None:
            raise UsageError(f"{self!r} is only a description", hint="register it first: client.register_model(model)")
        return self._opened

    def _writer(self) -> Writer:
        return self._registered().writer

    def _to_change(self) -> ModelRef:
        """A reference to change it by. Raises Refused for a name that a pull gave to it, if that was not confirmed."""
        self._registered()
        if self._unsure is not None:
            models.find_to_change(self._writer(), self._unsure)
        return self._asked

    def _described(self, field: str) -> Any:
        return self._given[field] if self._opened is None else getattr(self.record, field)

    def _view(self) -> ModelView:
        return models.get_model(self._writer(), self._asked)


def _ref(view: VersionView, since: int) -> VersionRef:
    """A reference that follows the version of *view*, which was read after the pull *since*."""
    return VersionRef(view.model, str(view.record.number), since=since)


class Models(tuple[Model, ...]):
    """A list of models with a table for notebooks."""

    def _repr_html_(self) -> str:
        views = [model._view() for model in self]
        rows = [(v.name, v.count, v.latest, ", ".join(f"{s.name}: {s.in_force}" for s in v.stages)) for v in views]
        return html_table(("model", "versions", "latest", "stages"), rows)
