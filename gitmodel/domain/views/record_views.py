"""Views: records of versions and models together with the stages in force, for showing and filtering. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import is_dataclass
from datetime import date, datetime, time
from pathlib import PurePath
from typing import Any

from gitmodel.domain.changes.stages import RecordedPlaces, StageState, stage_states
from gitmodel.domain.schema import paths, record_values
from gitmodel.domain.schema.names import ARCHIVED, NONE
from gitmodel.domain.schema.records import DESCRIPTIVE, Code, Imported, ModelRecord, Origin, VersionRecord
from gitmodel.domain.snapshots.snapshot import Snapshot
from gitmodel.domain.snapshots.snapshot_sources import TagState
from gitmodel.domain.views.artifact_fields import artifact_fields
from gitmodel.domain.views.authorship import AUTHORSHIP_NAMES, Authorship
from gitmodel.domain.views.filter_names import RECORDED, VALUE, Names, Words
from gitmodel.errors import Invalid, NotFound
from gitmodel.frozen import Frozen

# The fields that filters can use, by kind of record.
CODE_NAMES: dict[str, Names] = dict.fromkeys(("commit", "dirty", "snapshot", "repository", "outside"), VALUE)
ORIGIN_NAMES: dict[str, Names] = dict.fromkeys(("registry", "model", "version", "commit"), VALUE)
PENDING_NAMES: dict[str, Names] = dict.fromkeys(("stage", "alias", "recorded", "in_force", "forged", "doubt"), VALUE)
ARTIFACT_NAMES: dict[str, Names] = {
    **dict.fromkeys(("name", "digest", "size", "format", "pipeline", "step", "run", "uri", "version_id"), VALUE),
    "kind": Words(record_values.KINDS),
    "digest_by": Words(record_values.DIGEST_SOURCES),
    "metadata": RECORDED,
}
VERSION_NAMES: dict[str, Names] = {
    **dict.fromkeys(("model", "number", "name", "stage", "local", "created", "description"), VALUE),
    **dict.fromkeys(("failed", "deleted", "reason"), VALUE),
    "aliases": [VALUE],
    "pending": [PENDING_NAMES],
    "tags": [VALUE],
    "metadata": RECORDED,
    "artifacts": [ARTIFACT_NAMES],
    "attachments": [ARTIFACT_NAMES],
    "runs": [VALUE],
    "code": CODE_NAMES,
    "origin": ORIGIN_NAMES,
}


def stage_words(stages: Iterable[str]) -> Words:
    """Return the values that the stage of a version can have in a registry with *stages*."""
    return Words((*stages, ARCHIVED, NONE))


def version_names(stages: Iterable[str]) -> dict[str, Names]:
    """Return the fields of versions that filters can use in a registry with *stages*."""
    stage = stage_words(stages)
    return {**VERSION_NAMES, "stage": stage, "pending": [{**PENDING_NAMES, "stage": stage}]}


def searched_names(stages: Iterable[str]) -> dict[str, Names]:
    """Return the fields of versions that searches can use: those of `version_names`, the author and the last change."""
    return {**version_names(stages), **AUTHORSHIP_NAMES}


def model_names(stages: Iterable[str]) -> dict[str, Names]:
    """Return the fields of models that filters can use in a registry with *stages*."""
    stages = tuple(stages)
    return {
        **dict.fromkeys(("name", *DESCRIPTIVE, "created", "latest", "local", "versions"), VALUE),
        "tags": [VALUE],
        "owners": [VALUE],
        "metadata": RECORDED,
        "stages": dict.fromkeys(stages, VALUE),
        "aliases": RECORDED,
        "pending": [{**PENDING_NAMES, "stage": stage_words(stages)}],
    }


class VersionView(Frozen):
    """A version with its record, its stages and its aliases, for showing and filtering.

    The version is in force in *stage* and for *aliases*; *pending* are the stages and aliases with a pending change.
    *local* is True if the remote does not have the version yet, so that a pull may give it another number. Only a
    search that reads the author or the last change of versions fills in *authorship*.
    """

    model: str
    record: VersionRecord
    stage: str | None
    aliases: tuple[str, ...]
    pending: tuple[StageState, ...]
    local: bool = False
    authorship: Authorship | None = None

    def __str__(self) -> str:
        return f"{self.model}@{self.record.number}"

    def fields(self) -> dict[str, Any]:
        """Return the version as JSON shows it; `docs/reference/json.md` describes each field."""
        return {name: read(self) for name, read in _VERSION_FIELDS.items()}

    def filtered_fields(self, names: Iterable[str] = VERSION_NAMES) -> dict[str, Any]:
        """Return the fields of the version that are in *names*, for filters: `stage` is "none" for no stage."""
        found = {name: _VERSION_FIELDS[name](self) for name in names if name in _VERSION_FIELDS}
        found.update({name: getattr(self.authorship, name, None) for name in names if name in AUTHORSHIP_NAMES})
        return {**found, "stage": self.stage or NONE} if "stage" in found else found


_VERSION_FIELDS: dict[str, Callable[[VersionView], Any]] = {
    "model": lambda view: view.model,
    "number": lambda view: view.record.number,
    "name": lambda view: view.record.name,
    "stage": lambda view: view.stage,
    "aliases": lambda view: list(view.aliases),
    "pending": lambda view: [pending_fields(state) for state in view.pending],
    "local": lambda view: view.local,
    "created": lambda view: view.record.created,
    "description": lambda view: view.record.description,
    "tags": lambda view: list(view.record.tags),
    "metadata": lambda view: dict(view.record.metadata),
    "artifacts": lambda view: [artifact_fields(link) for link in view.record.artifacts],
    "attachments": lambda view: [artifact_fields(link) for link in view.record.attachments],
    "runs": lambda view: list(view.record.runs),
    "code": lambda view: code_fields(view.record.code),
    "origin": lambda view: _values(view.record.origin, ORIGIN_NAMES),
    "imported": lambda view: imported_fields(view.record.imported),
    "failed": lambda view: view.record.failed,
    "deleted": lambda view: view.record.deleted,
    "reason": lambda view: view.record.reason,
}


class ModelView(Frozen):
    """A model for showing and filtering.

    *latest* is the highest number of a version that is neither deleted nor failed, *count* the number of versions that
    are not deleted. *local* is True if the remote does not have the latest version yet.
    """

    name: str
    record: ModelRecord
    latest: int | None
    count: int
    stages: tuple[StageState, ...]
    local: bool = False

    @property
    def pending(self) -> tuple[StageState, ...]:
        """The stages and aliases with a recorded change that is not in force yet."""
        return tuple(state for state in self.stages if state.pending)

    def fields(self) -> dict[str, Any]:
        """Return the fields of the model for filters and JSON; `docs/reference/json.md` describes them."""
        described = {name: getattr(self.record, name) for name in DESCRIPTIVE}
        return {
            "name": self.name,
            **{name: list(value) if isinstance(value, tuple) else value for name, value in described.items()},
            "created": self.record.created,
            "latest": self.latest,
            "local": self.local,
            "versions": self.count,
            "stages": {s.name: s.in_force for s in self.stages if not s.alias and s.in_force is not None},
            "aliases": {s.name: s.in_force for s in self.stages if s.alias and s.in_force is not None},
            "pending": [pending_fields(state) for state in self.pending],
        }


def view_version(snapshot: Snapshot, model: str, record: VersionRecord, states: Iterable[StageState]) -> VersionView:
    """Return the view of a version, given the stage *states* of its model."""
    return VersionView(model, record, *Places(snapshot, model, states).of(record.number))


class Places:
    """The stages and aliases of the versions of *model*, given the stage *states* of the model."""

    def __init__(self, snapshot: Snapshot, model: str, states: Iterable[StageState]) -> None:
        self._snapshot = snapshot
        self._model = model
        self._held: dict[int | None, list[StageState]] = {}
        for state in states:
            for number in {state.recorded, state.in_force}:
                self._held.setdefault(number, []).append(state)
        # A cache of the names of archived markers, which are in a folder for each hundred versions: by number // 100.
        self._archived: dict[int, frozenset[str]] = {}

    def of(self, number: int) -> tuple[str | None, tuple[str, ...], tuple[StageState, ...], bool]:
        """Return `stage`, `aliases`, `pending` and `local` of the view of the version *number*."""
        local = self._snapshot.is_local(self._model, number)
        held = self._held.get(number)
        if held is None:
            return ARCHIVED if self._is_archived(number) else None, (), (), local
        stage, aliases = places_in_force(held, number)
        if stage is None and self._is_archived(number):
            stage = ARCHIVED
        return stage, aliases, tuple(state for state in held if state.pending), local

    def _is_archived(self, number: int) -> bool:
        names = self._archived.get(number // 100)
        if names is None:
            folder = paths.archived_file(self._model, number).rpartition("/")[0]
            names = self._archived[number // 100] = frozenset(self._snapshot.files.names(folder))
        return f"{number}.toml" in names and self._snapshot.is_archived(self._model, number)


def places_in_force(states: Iterable[StageState], number: int) -> tuple[str | None, tuple[str, ...]]:
    """Return the last of the stages in *states* in which the version *number* is in force, and the aliases for it."""
    held = [state for state in states if state.in_force == number]
    stages = [state.name for state in held if not state.alias]
    return stages[-1] if stages else None, tuple(state.name for state in held if state.alias)


class ModelSummary(Frozen):
    """The part of a `ModelView` that depends only on the model's files and the stages of the registry.

    *is_sound* is False if a version is damaged.
    """

    record: ModelRecord
    latest: int | None
    count: int
    recorded: RecordedPlaces
    is_sound: bool = True


def summarize(
    snapshot: Snapshot, name: str, record: ModelRecord, count: Callable[[str], tuple[int, bool]] | None = None
) -> ModelSummary:
    """Return the summary of the model *name*. Raises Invalid for a damaged stage or alias.

    *count* is called in place of `Snapshot.count_present`, and returns the same for the name of a model.
    """
    latest = latest_usable(snapshot, name)
    counted, is_sound = (count or snapshot.count_present)(name)
    is_sound = is_sound and (latest is not None or not counted)
    return ModelSummary(record, latest, counted, RecordedPlaces.read(snapshot, name), is_sound)


def latest_usable(snapshot: Snapshot, name: str) -> int | None:
    """Return the highest number of a version of *name* that is neither deleted nor failed; None if there is none.

    Also returns None if a version that it reads on the way to this number is damaged.
    """
    try:
        return snapshot.latest(name)
    except (NotFound, Invalid):
        return None


def view_model(
    snapshot: Snapshot, name: str, summary: ModelSummary, tags: Mapping[str, TagState] | None = None
) -> ModelView:
    """Return the view of the model *name* from its *summary* and the states of its stage *tags* (None: read them)."""
    local = summary.latest is not None and snapshot.is_local(name, summary.latest)
    states = tuple(stage_states(snapshot, name, summary.recorded, tags))
    return ModelView(name, summary.record, summary.latest, summary.count, states, local)


def existing_models(
    snapshot: Snapshot, names: Iterable[str] | None = None
) -> Iterator[tuple[str, ModelRecord | Invalid]]:
    """Yield each model of *names* (None: all) that is neither deleted nor renamed, with its record or its error."""
    known = snapshot.model_names() if names is None else tuple(names)
    read = snapshot.files.load_many(map(paths.model_file, known), ModelRecord, newer=snapshot.newer)
    for name, record in zip(known, read, strict=True):
        if isinstance(record, Invalid):
            yield name, _error_of_model(snapshot, name, record)
        elif record.exists:
            yield name, record


def _error_of_model(snapshot: Snapshot, name: str, error: Invalid) -> Invalid:
    """Return *error*, or a clearer error if the model's record is missing."""
    folder = paths.model_folder(name)
    try:
        is_missing = "model.toml" not in snapshot.files.names(folder)
    except Invalid:
        return error
    missing = Invalid(f"{folder}: has no model.toml [model.record]", hint="run `git model check`")
    return missing if is_missing else error


def usable(versions: Iterable[VersionRecord | Invalid]) -> Iterator[VersionRecord]:
    """Yield the records of *versions* that could be read and are not deleted."""
    for record in versions:
        if isinstance(record, VersionRecord) and record.deleted is None:
            yield record


def code_fields(code: Code | None) -> dict[str, Any] | None:
    """Return the fields of *code*, the code of a version, for JSON."""
    return _values(code, CODE_NAMES)


def imported_fields(imported: Imported | None) -> dict[str, Any] | None:
    """Return another registry's claims about an imported version for JSON. Filters and gates cannot use them."""
    return _values(imported, ("source", "id", "author", "created"))


def _values(record: Code | Imported | Origin | None, names: Iterable[str]) -> dict[str, Any] | None:
    return None if record is None else {name: getattr(record, name) for name in names}


def pending_fields(state: StageState) -> dict[str, Any]:
    """Return the fields of *state*, a stage or alias with a pending change, for JSON."""
    kind = "alias" if state.alias else "stage"
    versions = {"recorded": state.recorded, "in_force": state.in_force}
    return {kind: state.name, **versions, "forged": state.forged, "doubt": state.doubt}


def plain(value: Any) -> Any:
    """Convert *value* for JSON: times, paths, NaN and infinity become text, dataclasses become tables of their fields.

    >>> from datetime import timezone
    >>> plain({"at": datetime(2026, 11, 23, tzinfo=timezone.utc), "loss": float("nan")})
    {'at': '2026-11-23T00:00:00Z', 'loss': 'nan'}
    """
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, frozenset):
        return sorted(map(plain, value))
    if is_dataclass(value):
        return plain(vars(value))
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    if isinstance(value, (date, time)):
        return value.isoformat()
    if isinstance(value, PurePath):
        return str(value)
    if isinstance(value, float) and (value != value or value in (float("inf"), float("-inf"))):
        return str(value)
    return value
