"""The changes that register, change, rename and delete models. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any, NamedTuple

from gitmodel.domain.arguments.plain_values import read_values
from gitmodel.domain.changes.planned_change import Change, Justification, record_files
from gitmodel.domain.changes.refused_stage_changes import refuse_direct
from gitmodel.domain.changes.stages import leftovers, stage_states, without_leftovers
from gitmodel.domain.schema import codec, paths, records
from gitmodel.domain.schema.names import check_name, did_you_mean, fold, shown
from gitmodel.domain.schema.records import DESCRIPTIVE, ModelRecord
from gitmodel.domain.schema.refs import StageRef
from gitmodel.domain.snapshots.snapshot import Snapshot
from gitmodel.errors import Conflict, Invalid, NotFound, Refused, UsageError


def plan_registration(
    snapshot: Snapshot, name: str, described: Mapping[str, Any], *, now: datetime, exist_ok: bool = False
) -> Change[str]:
    """Create the model *name* with the descriptive fields *described* (see `read_description`).

    Raises Conflict if *name* is or was the name of a model. If *exist_ok* is True and the model exists, changes nothing
    instead. If a pull renamed local models of this name, gitmodel accepts writes with *name* again, because it means
    the new model now.
    """
    check_name(name, "model")
    if exist_ok and snapshot.has_model(name):
        return Change(name)
    _check_free(snapshot, name)
    record = ModelRecord(created=now, **described)
    return Change(
        name,
        subject=f"Register {name}",
        files=record_files(snapshot, paths.model_file(name), record),
        trailers=(("Model", name),),
        settled=snapshot.renumberings.notes_under(name),
    )


def plan_update(
    snapshot: Snapshot,
    name: str,
    given: Mapping[str, Any],
    *,
    tags: TagChanges,
    metadata: Mapping[str, Any] | None = None,
    remove_metadata: Iterable[str] = (),
    table: str = "",
) -> Change[str]:
    """Change the descriptive fields *given*, the tags and the metadata of the model *name*, which may be a former name.

    *tags* apply to the tags in *given* if it has tags, else to the current tags. For *metadata*, *remove_metadata* and
    *table* see `changed_metadata`. Raises NotFound if the model, or a tag or key to remove, does not exist.
    """
    name = snapshot.current_name(name)
    old = snapshot.model(name)
    new = replace(old, **given)
    changed = changed_metadata(name, old.metadata, metadata or {}, remove_metadata, table)
    new = replace(new, tags=tags._replace(whole=None).of(name, new.tags), metadata=changed)
    if new == old:
        return Change(name)
    fields = [field for field in DESCRIPTIVE if getattr(new, field) != getattr(old, field)]
    return Change(
        name,
        subject=f"Update {' and '.join(fields)} of {name}",
        files=without_leftovers(snapshot, name, record_files(snapshot, paths.model_file(name), new)),
        trailers=(("Model", name),),
    )


def plan_rename(snapshot: Snapshot, old: str, new: str) -> Change[str]:
    """Rename a model: move its files, create its stage tags under the new name, and record that *old* means *new*."""
    check_name(new, "model")
    record = snapshot.model(old)
    _check_free(snapshot, new)
    files: dict[str, bytes | None] = {}
    left_behind = leftovers(snapshot, old)
    for path in _all_files(snapshot, paths.model_folder(old)):
        files[path] = None
        if path in left_behind:
            continue
        files[paths.model_folder(new) + path.removeprefix(paths.model_folder(old))] = snapshot.files.read(path)
    stone = ModelRecord(created=record.created, renamed_to=new)
    files[paths.model_file(old)] = codec.encode(stone)
    change = Change(
        new,
        subject=f"Rename {old} to {new}",
        files=files,
        trailers=(("Model", new), ("Previous-Model", old)),
        settled=snapshot.renumberings.notes_under(new),
    )
    refuse_direct(snapshot, change)
    return change


def left_behind(snapshot: Snapshot) -> dict[str, StageRef | None]:
    """Return the paths of stage, alias and archived files under former names of models, each with its stage or alias.

    Merging a proposal that was made before the rename adds such files. gitmodel never reads them. The value for an
    archived marker is None.
    """
    found: dict[str, StageRef | None] = {}
    for name in snapshot.model_names():
        if snapshot.files.names(paths.model_folder(name)) == ("model.toml",) or snapshot.current_name(name) == name:
            continue
        for path in _all_files(snapshot, paths.model_folder(name)):
            what = paths.parse_path(path)
            if what is not None and what.kind in ("stage", "alias", "archived"):
                found[path] = None if what.kind == "archived" else StageRef(name, what.key)
    return found


def plan_clearance(snapshot: Snapshot) -> Change[tuple[str, ...]]:
    """Remove the files that `left_behind` finds, except those whose tag exists under the former name of the model."""
    found = left_behind(snapshot)
    gone = {path: ref for path, ref in found.items() if ref is None or snapshot.tags.get(ref) is None}
    return Change(
        tuple(gone),
        subject="Remove what is left of renamed models",
        files=dict.fromkeys(gone),
        admitted=frozenset(ref for ref in gone.values() if ref is not None),
    )


def plan_deletion(snapshot: Snapshot, name: str, *, now: datetime, why: Justification = Justification()) -> Change[str]:
    """Delete a model. Its history stays in git; its name and numbers are never used again.

    Raises Refused if a stage or alias names one of its versions, unless *why* has `force`.
    """
    record = snapshot.model(name)
    states = stage_states(snapshot, name)
    stone = ModelRecord(
        created=record.created, deleted=now, reason=why.reason.strip(), last_number=snapshot.last_number(name)
    )
    files: dict[str, bytes | None] = dict.fromkeys(_all_files(snapshot, paths.model_folder(name)))
    files[paths.model_file(name)] = codec.encode(stone)
    left = tuple(StageRef(name, state.name) for state in states if state.recorded is None)
    trailers = (("Model", name),)
    change = Change(name, subject=f"Delete {name}", reason=why.reason, files=files, trailers=trailers, apply=left)
    refuse_direct(snapshot, change)
    held = [(state.recorded or state.in_force, state) for state in states]
    in_use = [f"{number} is {'called' if state.alias else 'in'} {state.name}" for number, state in held if number]
    if in_use and not why.force:
        called = any(state.alias for state in states)
        first = "demote them, and remove aliases with `git model alias remove`" if called else "demote them"
        raise Refused(
            f"{name} is in use: {', '.join(in_use)}", hint=f"{first} first, or add --force (in Python: force=True)"
        )
    return change


def read_words(given: Iterable[str]) -> tuple[str, ...]:
    """Return *given*, a list of tags or similar words, as a tuple. Raises UsageError unless all are non-empty texts.

    >>> read_words(["baseline", ""])
    Traceback (most recent call last):
    gitmodel.errors.UsageError: a tag is empty
    hint: leave it out
    """
    is_list = isinstance(given, Iterable) and not isinstance(given, str)
    words = tuple(given) if is_list else ()
    if not is_list or not all(isinstance(word, str) for word in words):
        raise UsageError(f"tags are a list of texts, not {shown(given)}", hint='give them as ["baseline", "sklearn"]')
    if not all(word.strip() for word in words):
        raise UsageError("a tag is empty", hint="leave it out")
    return words


class TagChanges(NamedTuple):
    """Changes of tags: *whole* replaces all tags (None: keep them), then *remove* and *add* remove and add tags.

    >>> TagChanges(add=("c",), remove=("a",)).of("iris@1", ("a", "b"))
    ('b', 'c')
    """

    whole: Iterable[str] | None = None
    add: tuple[str, ...] = ()
    remove: tuple[str, ...] = ()

    @classmethod
    def read(cls, whole: Iterable[str] | None, add: Iterable[str], remove: Iterable[str]) -> TagChanges:
        """Return the changes *whole*, *add* and *remove*, as the user gave them.

        Raises UsageError if *whole* is combined with another one, or if a tag is in both *add* and *remove*.
        """
        read = cls(whole, read_words(add), read_words(remove))
        for name, words in (("add_tags", read.add), ("remove_tags", read.remove)):
            if whole is not None and words:
                raise UsageError(
                    f"tags and {name} cannot be combined",
                    hint="`tags` replaces all tags: give either `tags`, or `add_tags` and `remove_tags`",
                )
        both = sorted(set(read.add) & set(read.remove))
        if both:
            raise UsageError(f"add_tags and remove_tags both name {both[0]!a}", hint="name the tag in only one of them")
        return read

    def of(self, owner: str, tags: Iterable[str]) -> tuple[str, ...]:
        """Return the *tags* of *owner* after these changes. Raises NotFound if *tags* lacks a tag to remove."""
        refuse_absent("tag", owner, self.remove, tags)
        return tuple(sorted((set(tags if self.whole is None else self.whole) - set(self.remove)) | set(self.add)))


def changed_metadata(
    of: str, old: Mapping[str, Any], values: Mapping[str, Any], remove: Iterable[str], table: str = ""
) -> dict[str, Any]:
    """Return the metadata *old* with the *values* set, and without the keys in *remove*.

    A value of None also removes its key. If *table* is not "", changes the inner table with this name in *old*.
    *of* names the object with the metadata in messages of errors. Raises UsageError for a key that is both set and
    removed, and if the value of the key *table* in *old* is not a table; NotFound for a key in *remove* that *old* does
    not have.

    >>> changed_metadata("iris", {"a": 1, "b": 2}, {"c": 3, "a": None}, ["b"])
    {'c': 3}
    >>> changed_metadata("iris", {"a": 1, "tags": {"x": "y"}}, {"z": "1"}, ["x"], "tags")
    {'a': 1, 'tags': {'z': '1'}}
    """
    if table:
        inner = old.get(table, {})
        if not isinstance(inner, Mapping):
            raise UsageError(f"the metadata {table!a} of {of} is not a table", hint="choose another key for the table")
        changed = changed_metadata(of, inner, values, remove)
        rest = {key: value for key, value in old.items() if key != table}
        return {**rest, table: changed} if changed else rest
    read, gone = read_values(values), set(remove)
    if both := sorted(gone & set(read)):
        raise UsageError(f"the key {both[0]!a} is both set and removed", hint="either set it or remove it")
    refuse_absent("metadata", of, gone, old)
    gone |= {key for key, value in values.items() if value is None}
    return {key: value for key, value in {**old, **read}.items() if key not in gone}


def refuse_absent(what: str, of: str, remove: Iterable[str], existing: Iterable[str]) -> None:
    """Raise NotFound if a word in *remove* is not in *existing*, the tags or metadata keys of the object *of*.

    *what* says in the message what the words are: "tag" or "metadata".

    >>> refuse_absent("tag", "iris@1", ["basline"], ["baseline"])
    Traceback (most recent call last):
    gitmodel.errors.NotFound: iris@1 has no tag 'basline' to remove
    hint: did you mean baseline?
    """
    known = sorted(existing)
    for word in sorted(set(remove) - set(known)):
        hint = did_you_mean(word, known) or f"it has {', '.join(known) or 'none'}"
        raise NotFound(f"{of} has no {what} {word!a} to remove", hint=hint)


def _check_free(snapshot: Snapshot, name: str) -> None:
    for other in snapshot.model_names():
        if fold(other) != fold(name):
            continue
        try:
            record = snapshot.load(paths.model_file(other), records.ModelRecord)
        except Invalid:
            record = None
        if other != name:
            raise Conflict(
                f"there is a model {other}, which differs only in upper and lower case",
                hint=f"use {other}, or another name",
            )
        if record is not None and record.deleted is not None:
            raise Conflict(
                f"there was a model {name}, and its name is never used again", hint=f"choose another, such as {name}-2"
            )
        if record is not None and record.renamed_to:
            raise Conflict(f"{name} is the former name of {record.renamed_to}", hint="choose another name")
        raise Conflict(
            f"there is a model {name} already",
            hint=f"run `git model show {name}`, or `git model update {name}` to change it "
            "(in Python: exist_ok=True returns it)",
        )


def _all_files(snapshot: Snapshot, folder: str) -> Iterable[str]:
    for name in snapshot.files.names(folder):
        path = f"{folder}/{name}"
        if name.endswith(".toml"):
            yield path
        else:
            yield from _all_files(snapshot, path)
