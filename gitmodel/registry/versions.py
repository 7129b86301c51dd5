"""The verbs of versions: create, get, list, update, delete, metadata."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import islice
from typing import Any

from gitmodel.domain import codec
from gitmodel.domain import versions as planning
from gitmodel.domain.models import changed_tags, read_words
from gitmodel.domain.names import check_name, check_version_name
from gitmodel.domain.records import ArtifactLink, Code, VersionRecord
from gitmodel.domain.references import VersionRef
from gitmodel.domain.snapshot import Snapshot
from gitmodel.domain.stages import stage_states
from gitmodel.domain.views import VersionView, view_version
from gitmodel.errors import Invalid, UsageError
from gitmodel.registry.models import parse_filter, present
from gitmodel.registry.writer import Writer

# Newest first, in pieces: a page of the newest never reads the rest.
_PIECE = 500
# A list of no more than so many is kept for the next time that it is asked for.
_REMEMBERED = 20_000


def create_version(
    writer: Writer,
    model: str,
    *,
    name: str | None = None,
    description: str = "",
    tags: Iterable[str] = (),
    metadata: Mapping[str, Any] | None = None,
    artifacts: Iterable[ArtifactLink] = (),
    code: Code | None = None,
) -> int:
    """Make the next version of *model*; returns its number.

    Raises NotFound if there is no such model, Conflict if *name* is taken, UsageError for bad input.
    """
    links = tuple(artifacts)
    planning.check_artifacts(links, f"the new version of {model}")
    draft = VersionRecord(
        number=1,
        created=writer.moment(),
        name=None if name is None else check_version_name(name),
        description=_text(description),
        tags=changed_tags((), read_words(tags), ()),
        code=code,
        metadata=planning.read_metadata(metadata or {}),
        artifacts=links,
    )
    current = writer.read(lambda snapshot: _existing(snapshot, model))
    reserved = writer.take_number(current)
    return writer.transact(lambda snapshot: planning.plan_version(snapshot, current, draft, reserved=reserved))


def get_version(writer: Writer, ref: VersionRef) -> VersionView:
    """The version that *ref* names; by stage or alias, the one in force. Raises NotFound, Invalid."""

    def question(snapshot: Snapshot) -> VersionView:
        model, number = snapshot.resolve(ref)
        return view_version(snapshot, model, snapshot.version(model, number), stage_states(snapshot, model))

    return writer.read(question)


def resolve(writer: Writer, ref: VersionRef) -> tuple[str, VersionRecord]:
    """The model and the version's record that *ref* names: the short way of a service that loads by stage."""

    def question(snapshot: Snapshot) -> tuple[str, VersionRecord]:
        model, number = snapshot.resolve(ref)
        return model, snapshot.version(model, number)

    return writer.read(question)


def find_artifact(record: VersionRecord, model: str, name: str) -> ArtifactLink:
    """The artifact *name* of a version. Raises NotFound saying what is there."""
    return planning.artifact(record, model, name)


def list_versions(
    writer: Writer, model: str, *, filter: str = "", limit: int | None = None, offset: int = 0
) -> tuple[list[VersionView], list[Invalid]]:
    """The versions of *model* that match *filter* (CEL), newest first, without deleted ones; and what is damaged."""
    check_name(model, "model")
    matching = parse_filter(filter)
    wanted = None if limit is None else offset + limit

    def question(snapshot: Snapshot) -> tuple[list[VersionView], list[Invalid]]:
        name = _existing(snapshot, model)
        states = stage_states(snapshot, name)
        key = ("versions", name, tuple(states), limit, offset)
        if matching is None and (found := snapshot.files.recall(key)):
            return list(found[0]), list(found[1])
        numbers = snapshot.newest_numbers(name)
        views: list[VersionView] = []
        damaged: list[Invalid] = []
        piece = wanted if matching is None else None if wanted is None else _PIECE
        while some := list(islice(numbers, piece)):
            for record in snapshot.versions(name, some):
                if isinstance(record, Invalid):
                    damaged.append(record)
                elif record.deleted is None:
                    view = view_version(snapshot, name, record, states)
                    if matching is None or matching.matches(present(view.fields())):
                        views.append(view)
            if wanted is not None and len(views) >= wanted:
                break
        page = views[offset:wanted]
        if matching is None and len(page) <= _REMEMBERED:
            snapshot.files.remember(key, (tuple(page), tuple(damaged)))
        return page, damaged

    return writer.read(question)


def update_version(
    writer: Writer,
    ref: VersionRef,
    *,
    name: str | None = None,
    description: str | None = None,
    add_tags: Iterable[str] = (),
    remove_tags: Iterable[str] = (),
) -> int:
    """Change the description and tags of a version, or name one that has no name; returns its number."""
    add, remove = read_words(add_tags), read_words(remove_tags)
    said = None if description is None else _text(description)

    def plan(snapshot: Snapshot) -> Any:
        model, number = snapshot.resolve(ref)
        return planning.plan_version_update(
            snapshot, model, number, name=name, description=said, add_tags=add, remove_tags=remove
        )

    return int(writer.transact(plan))


def delete_version(writer: Writer, ref: VersionRef, *, reason: str = "", force: bool = False) -> int:
    """Delete a version; its number and name are never used again. Raises Refused if it is in use, unless *force*."""
    now = writer.moment()

    def plan(snapshot: Snapshot) -> Any:
        model, number = snapshot.resolve(ref)
        return planning.plan_version_deletion(snapshot, model, number, now=now, reason=reason, force=force)

    return int(writer.transact(plan))


def set_metadata(
    writer: Writer, ref: VersionRef, values: Mapping[str, Any], *, on: str | None = None, remove: Iterable[str] = ()
) -> int:
    """Set metadata of a version, or of its artifact *on*, and *remove* keys; returns the version's number."""
    gone = tuple(remove)

    def plan(snapshot: Snapshot) -> Any:
        model, number = snapshot.resolve(ref)
        return planning.plan_metadata(snapshot, model, number, values, on=on, remove=gone)

    return int(writer.transact(plan))


def _existing(snapshot: Snapshot, model: str) -> str:
    name = snapshot.current_name(model)
    snapshot.model(name)
    return name


def _text(value: str) -> str:
    try:
        return codec.text(value)
    except codec.Wrong as wrong:
        raise UsageError(f"a description {wrong}", hint="give text") from None
