"""The changes that create, change, link and delete versions. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, TypeVar

from gitmodel.domain.changes.models import TagChanges, changed_metadata
from gitmodel.domain.changes.planned_change import Change, Justification, record_files
from gitmodel.domain.changes.refused_stage_changes import refuse_direct
from gitmodel.domain.changes.stages import held_files, places_of, stage_states, without_leftovers
from gitmodel.domain.schema import codec, paths, records, toml_values
from gitmodel.domain.schema.names import check_name, check_version_name, did_you_mean, fold
from gitmodel.domain.schema.record_values import SKIPPED, check_kind
from gitmodel.domain.schema.records import ArtifactLink, Attachment, NameRecord, VersionRecord
from gitmodel.domain.schema.refs import StageRef
from gitmodel.domain.snapshots.snapshot import Snapshot
from gitmodel.domain.snapshots.version_numbers import check_number
from gitmodel.errors import Conflict, NotFound, Refused, UsageError

T = TypeVar("T", bound=ArtifactLink)


def plan_version(
    snapshot: Snapshot,
    model: str,
    draft: VersionRecord,
    *,
    reserved: int | None = None,
    wanted: int | None = None,
    txn: str = "",
) -> Change[int]:
    """Create the version that *draft* describes.

    Its number is *reserved*, which the caller reserved before, or *wanted*, which the user chose, or the next free one.
    Unused numbers below *wanted* become deleted versions, except reserved numbers. *txn* is the transaction id of the
    commit; by default a new id. Raises Conflict if the version's name or the number *wanted* is taken.
    """
    snapshot.model(model)
    skipped = _skipped_numbers(snapshot, model, wanted) if wanted is not None else ()
    number = wanted or (snapshot.next_number(model) if reserved is None else reserved)
    check_number(model, number, snapshot.last_number(model))
    if snapshot.files.read(paths.version_file(model, number)) is not None:
        raise Conflict(
            f"somebody else created {model} {number} in the meantime, and nothing was changed", hint="try again"
        )
    record = replace(draft, number=number, artifacts=ordered(draft.artifacts))
    files = record_files(snapshot, paths.version_file(model, number), record)
    for unused in skipped:
        stone = VersionRecord(
            number=unused, created=record.created, deleted=record.created, reason=f"{SKIPPED}{number}"
        )
        files[paths.version_file(model, unused)] = codec.encode(stone)
    if record.name is not None:
        check_free_name(snapshot, model, record.name, runs=record.runs)
        files[paths.name_file(model, record.name)] = codec.encode(NameRecord(version=number))
    return Change(
        number,
        subject=f"Add {model} {number}" + (f" ({record.name})" if record.name else ""),
        files=without_leftovers(snapshot, model, files),
        trailers=(*_trailers(model, record), ("Origin", str(record.origin) if record.origin is not None else "")),
        numbers=tuple((model, each) for each in (*skipped, number)) if reserved is None else (),
        txn=txn,
    )


def _skipped_numbers(snapshot: Snapshot, model: str, wanted: int) -> Sequence[int]:
    """Return the numbers between the last version of *model* and *wanted* that nobody has reserved.

    Raises Conflict or UsageError if the next version cannot have the number *wanted*.
    """
    last = snapshot.last_number(model)
    if not 1 <= wanted <= paths.HIGHEST_NUMBER:
        raise UsageError(
            f"{wanted} cannot be the number of a version", hint=f"numbers are 1 to {paths.HIGHEST_NUMBER:,}"
        )
    if wanted <= last:
        exists = snapshot.files.read(paths.version_file(model, wanted)) is not None
        raise Conflict(
            f"{model} has a version {wanted} already"
            if exists
            else f"{wanted} is below {last}, the last number of {model}",
            hint=f"numbers only grow: give {last + 1} or a higher number, or leave the number out",
        )
    if snapshot.is_reserved(model, wanted):
        raise Conflict(
            f"the number {wanted} of {model} is reserved for a version that is being created",
            hint=f"wait until the run has ended (`git model runs list`), or give {wanted + 1} or a higher number",
        )
    if wanted - last - 1 > paths.MOST_SKIPPED:
        raise UsageError(
            f"version {wanted} would skip {wanted - last - 1:,} numbers of {model}, and {paths.MOST_SKIPPED:,} is the "
            "most",
            hint=f"give a number from {last + 1} to {last + 1 + paths.MOST_SKIPPED}",
        )
    return [number for number in range(last + 1, wanted) if not snapshot.is_reserved(model, number)]


def plan_change(
    snapshot: Snapshot, model: str, number: int, change: Callable[[VersionRecord], VersionRecord], *, what: str
) -> Change[int]:
    """Replace the record of version *number* by the result of *change*. *what* is the subject of the commit.

    Raises Refused if *change* changes the artifacts and the version is in a stage, is archived or has an alias.
    """
    snapshot.model(model)
    old = snapshot.present_version(model, number)
    new = change(old)
    new = replace(new, artifacts=ordered(new.artifacts), attachments=ordered(new.attachments))
    before, after = old.artifacts, new.artifacts
    is_relinked = before != after and records.links_digest(before) != records.links_digest(after)
    if is_relinked and (places := places_of(snapshot, model, number)):
        raise Refused(
            f"the artifacts of {model} {number} cannot change, because it is in {' and '.join(places)}",
            hint=f"create a new version with `git model version create {model}`",
        )
    if new == old:
        return Change(number)
    files = without_leftovers(snapshot, model, record_files(snapshot, paths.version_file(model, number), new))
    return Change(number, subject=what, files=files, trailers=_trailers(model, new))


def plan_version_update(
    snapshot: Snapshot,
    model: str,
    number: int,
    *,
    name: str | None = None,
    description: str | None = None,
    tags: TagChanges = TagChanges(),
) -> Change[int]:
    """Change the description and tags of a version, and name it if it has no name yet."""

    def change(old: VersionRecord) -> VersionRecord:
        if name is not None and old.name not in (None, name):
            raise Refused(
                f"{model} {number} already has the name {old.name}, which cannot change",
                hint="create another version, or use an alias",
            )
        return replace(
            old,
            name=old.name if name is None else check_version_name(name),
            description=old.description if description is None else toml_values.text(description),
            tags=tags.of(f"{model}@{number}", old.tags),
        )

    planned = plan_change(snapshot, model, number, change, what=f"Update {model} {number}")
    if name is not None:
        _check_name_allowed(snapshot, model, name)
    if name is None or snapshot.number_named(model, name) == number:
        return planned
    check_free_name(snapshot, model, name)
    named = {paths.name_file(model, name): codec.encode(NameRecord(version=number))}
    return replace(planned, files={**planned.files, **named})


def plan_version_deletion(
    snapshot: Snapshot, model: str, number: int, *, now: datetime, why: Justification = Justification()
) -> Change[int]:
    """Delete a version. A tombstone with its number and name stays in its file, so that neither is used again.

    Raises Refused if a stage or alias names the version, unless *why* has `force`.
    """
    snapshot.model(model)
    old = snapshot.present_version(model, number)
    stone = VersionRecord(number=number, name=old.name, created=old.created, deleted=now, reason=why.reason.strip())
    files: dict[str, bytes | None] = {paths.version_file(model, number): codec.encode(stone)}
    files.update(dict.fromkeys(held_files(snapshot, model, number)))
    left = [state for state in stage_states(snapshot, model) if state.in_force == number != state.recorded]
    change = Change(
        number,
        subject=f"Delete {model} {number}",
        reason=why.reason,
        files=without_leftovers(snapshot, model, files),
        trailers=(("Model", model), ("Version", str(number))),
        drop=tuple(StageRef(model, state.name) for state in left),
    )
    refuse_direct(snapshot, change)
    places = [place for place in places_of(snapshot, model, number) if place != "archived"]
    if places and not why.force:
        stages = snapshot.registry().stage_names
        leave = [f"`git model {'demote' if place in stages else 'alias remove'} {model} {place}`" for place in places]
        raise Refused(
            f"{model} {number} is in use: {' and '.join(places)}",
            hint=f"run {' and '.join(leave)} first, or add --force (in Python: force=True)",
        )
    return change


def plan_links(snapshot: Snapshot, model: str, number: int, links: Iterable[ArtifactLink]) -> Change[int]:
    """Add artifact links to a version.

    Raises Conflict if the version has an artifact of the same name with other content, or an attachment of this name;
    Refused if the version is in a stage, is archived or has an alias.
    """
    new = tuple(links)

    def change(old: VersionRecord) -> VersionRecord:
        links = {link.name: link for link in old.artifacts}
        added = []
        for link in new:
            there = links.get(link.name)
            if there is not None and records.links_digest([there]) == records.links_digest([link]):
                # An external artifact with the same bytes changes its location.
                at = link if (link.uri, link.version_id, link.digest_by) != (None, None, None) else there
                # The recorded file name stays, because scripts may use it.
                links[link.name] = replace(
                    there,
                    metadata={**there.metadata, **link.metadata},
                    needs_trust=link.needs_trust or there.needs_trust,
                    uri=at.uri,
                    version_id=at.version_id,
                    digest_by=at.digest_by,
                )
            else:
                added.append(link)
        check_artifacts((*links.values(), *added), f"{model} {number}")
        _check_apart(added, old.attachments, f"{model} {number}")
        return replace(old, artifacts=(*links.values(), *added))

    names = " and ".join(link.name for link in new)
    return plan_change(snapshot, model, number, change, what=f"Link {names} to {model} {number}")


def plan_unlink(snapshot: Snapshot, model: str, number: int, name: str) -> Change[int]:
    """Remove an artifact link. Raises NotFound if there is no artifact *name*.

    Raises Refused if the version is in a stage, is archived or has an alias.
    """

    def change(old: VersionRecord) -> VersionRecord:
        artifact(old, model, name)
        return replace(old, artifacts=tuple(link for link in old.artifacts if link.name != name))

    return plan_change(snapshot, model, number, change, what=f"Unlink {name} from {model} {number}")


def plan_attachments(snapshot: Snapshot, model: str, number: int, attachments: Iterable[Attachment]) -> Change[int]:
    """Add attachments to a version, even if a stage or alias has the version.

    Raises Conflict if the version has an artifact of the same name, or another attachment of this name.
    """
    new = tuple(attachments)

    def change(old: VersionRecord) -> VersionRecord:
        _check_apart(new, old.artifacts, f"{model} {number}")
        known = {fold(each.name): each for each in old.attachments}
        for each in new:
            there = known.get(fold(each.name))
            if there is not None and (there.name, there.digest) != (each.name, each.digest):
                raise Conflict(
                    f"{model} {number} has another attachment {there.name}",
                    hint=f"detach it first: `git model unlink {model}@{number} --attachment {there.name}`",
                )
            metadata = {**there.metadata, **each.metadata} if there is not None else each.metadata
            known[fold(each.name)] = replace(each, metadata=metadata)
        return replace(old, attachments=tuple(known.values()))

    names = " and ".join(each.name for each in new)
    return plan_change(snapshot, model, number, change, what=f"Attach {names} to {model} {number}")


def plan_detachment(snapshot: Snapshot, model: str, number: int, name: str) -> Change[int]:
    """Remove an attachment, even if a stage has the version. Raises NotFound if there is no attachment *name*."""

    def change(old: VersionRecord) -> VersionRecord:
        gone = attachment(old, model, name)
        return replace(old, attachments=tuple(each for each in old.attachments if each is not gone))

    return plan_change(snapshot, model, number, change, what=f"Detach {name} from {model} {number}")


def plan_metadata(
    snapshot: Snapshot,
    model: str,
    number: int,
    values: Mapping[str, Any],
    *,
    on: str | None = None,
    attached: str | None = None,
    remove: Iterable[str] = (),
    table: str = "",
) -> Change[int]:
    """Set metadata of a version, its artifact *on* or its attachment *attached*, even if the version is in a stage.

    For *values*, *remove* and *table* see `changed_metadata`. Raises UsageError if both *on* and *attached* are given.
    """
    if on is not None and attached is not None:
        raise UsageError(
            f"metadata cannot be set for the artifact {on!a} and the attachment {attached!a} at once",
            hint="set the metadata of each in a call of its own",
        )
    name = on if attached is None else attached
    whose = f"{model} {number}" if name is None else f"{name} of {model} {number}"
    removed = tuple(remove)

    def merged(old: Mapping[str, Any]) -> dict[str, Any]:
        of = f"{model}@{number}"
        return changed_metadata(of if name is None else f"{name} of {of}", old, values, removed, table)

    def change(old: VersionRecord) -> VersionRecord:
        def with_metadata(links: tuple[T, ...], link: T) -> tuple[T, ...]:
            new = replace(link, metadata=merged(link.metadata))
            return tuple(new if other is link else other for other in links)

        if attached is not None:
            return replace(old, attachments=with_metadata(old.attachments, attachment(old, model, attached)))
        if on is not None:
            return replace(old, artifacts=with_metadata(old.artifacts, artifact(old, model, on)))
        return replace(old, metadata=merged(old.metadata))

    given = sorted(key for key, value in values.items() if value is not None)
    gone = sorted({*values, *removed} - set(given))
    verb, keys = ("Remove", gone) if gone and not given else ("Set", given or ["nothing"])
    what = f"{verb} {', '.join(keys)} of {whose}"
    return plan_change(snapshot, model, number, change, what=what)


def artifact(record: VersionRecord, model: str, name: str) -> ArtifactLink:
    """Return the artifact link *name* of a version. Raises NotFound, which lists the existing artifacts."""
    link = record.artifact(name)
    if link is None:
        raise missing_artifact(f"{model}@{record.number}", name, record)
    return link


def attachment(record: VersionRecord, model: str, name: str) -> Attachment:
    """Return the attachment *name* of a version. Raises NotFound, which lists the existing attachments."""
    found = next((each for each in record.attachments if each.name == name), None)
    if found is None:
        names = [each.name for each in record.attachments]
        hint = f"its attachments: {', '.join(names) or 'none'}"
        if record.artifact(name) is not None:
            hint = f"{name} is an artifact; {hint}"
        else:
            hint = did_you_mean(name, names, hint)
        raise NotFound(f"{model}@{record.number} has no attachment {name!a}", hint=hint)
    return found


def missing_artifact(reference: str, name: str, record: VersionRecord, outputs: Sequence[str] = ()) -> NotFound:
    """Return the error for an artifact *name* that the version *reference* with the record *record* does not have.

    It lists the artifacts of the version, and *outputs*, the names of the outputs of its runs.
    """
    if any(each.name == name for each in record.attachments):
        return NotFound(
            f"{name} of {reference} is an attachment, not an artifact",
            hint=f"`git model get {reference} --attachment {name}` (in Python: version.get_attachment({name!r}))",
        )
    names = [link.name for link in record.artifacts]
    hint = f"its artifacts: {', '.join(names) or 'none'}"
    if outputs:
        hint += f"; outputs of its runs: {', '.join(outputs)}"
    return NotFound(f"{reference} has no artifact {name!a}", hint=did_you_mean(name, [*names, *outputs], hint))


def check_free_name(
    snapshot: Snapshot, model: str, name: str, *, runs: Iterable[str] = (), instead: str = "choose another"
) -> None:
    """Raise Conflict or UsageError if a new version of *model* cannot have *name*.

    *runs* are the ids of the runs that made the version: one of them may have reserved the name. If another version has
    the name, the hint ends in the advice *instead*.
    """
    _check_name_allowed(snapshot, model, name)
    snapshot.check_not_reserved(model, name, runs=runs)
    for file in snapshot.files.names(paths.name_folder(model, name)):
        other = file.removesuffix(".toml")
        if fold(other) == fold(name):
            number = snapshot.number_named(model, other)
            raise Conflict(f"{model} {number} has the name {other}", hint=f"names are never used again; {instead}")


def _check_name_allowed(snapshot: Snapshot, model: str, name: str) -> None:
    """Raise UsageError if no version can have *name*, Conflict if *model* has an alias *name*."""
    check_version_name(name)
    if fold(name) in map(fold, snapshot.registry().stage_names):
        raise UsageError(f"{name} is a stage, and cannot be the name of a version", hint=f"for example v-{name}")
    for alias in snapshot.recorded_aliases(model):
        if fold(alias) == fold(name):
            raise Conflict(f"{alias} is an alias of {model}", hint="choose another name, or remove the alias")


def check_artifacts(links: Iterable[ArtifactLink], of: str) -> None:
    """Raise UsageError for a link of the version *of* with an invalid name or kind, Conflict for two with one name."""
    seen: dict[str, str] = {}
    for link in links:
        check_name(link.name, "artifact")
        check_kind(link.kind)
        if fold(link.name) in seen:
            raise Conflict(
                f"{of} would have two artifacts named {seen[fold(link.name)]}",
                hint="unlink the old one first, or choose another name",
            )
        seen[fold(link.name)] = link.name


def _check_apart(new: Iterable[ArtifactLink], others: Iterable[ArtifactLink], of: str) -> None:
    """Raise Conflict if a link in *new*, an artifact or attachment of *of*, has the name of one in *others*."""
    taken = {fold(link.name): link for link in others}
    for link in new:
        if there := taken.get(fold(link.name)):
            what = "attachment" if isinstance(there, Attachment) else "artifact"
            raise Conflict(f"{of} has an {what} named {there.name}", hint="choose another name")


def ordered(links: Iterable[T]) -> tuple[T, ...]:
    """Return *links* sorted by name, as records store them."""
    return tuple(sorted(links, key=lambda link: link.name))


def _trailers(model: str, record: VersionRecord) -> tuple[tuple[str, str], ...]:
    return (
        ("Model", model),
        ("Version", str(record.number)),
        ("Run", record.runs[-1] if record.runs else ""),
        ("Code-Commit", (record.code.commit if record.code else None) or ""),
        ("Imported-From", record.imported.source if record.imported else ""),
    )
