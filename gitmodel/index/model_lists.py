"""Caching summaries of models and the stage tags that count, with the ids of all objects on which they depend."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Collection, Mapping
from itertools import groupby
from typing import Any

from gitmodel.domain.changes.stages import RecordedPlaces
from gitmodel.domain.schema import paths
from gitmodel.domain.schema.object_ids import Oid
from gitmodel.domain.schema.records import ModelRecord
from gitmodel.domain.schema.refs import StageRef
from gitmodel.domain.snapshots.snapshot_sources import TagState
from gitmodel.domain.views.record_views import ModelSummary
from gitmodel.errors import Invalid
from gitmodel.git.objects.trees import CommitFiles
from gitmodel.index.index_file import IndexFile


class ModelLists:
    """The summaries of models and the stage tags that the index *file* has for the commit with *files*.

    The results have only models and tags whose rows the index made from the same git objects. *newer* is True if
    records may have unknown keys. If the index cannot be used, results are empty, and writing does nothing.
    """

    def __init__(self, file: IndexFile, files: CommitFiles, *, newer: bool) -> None:
        self._file = file
        self._files = files
        self._newer = newer
        # The summaries that `write_models` writes, by model, each with the object id of the model's record.
        self._new: dict[str, tuple[bytes | None, ModelSummary]] = {}
        # The tags that `read_tags` returned, and the commit of the branch at which they count according to the index.
        self._known: set[StageRef] = set()
        self._judged_at: Oid | None = None

    def read_models(self, names: Collection[str]) -> dict[str, ModelSummary]:
        """Return the summaries of those models among *names* that the index has.

        Leaves out a model if its files or the rules of the registry have changed since the index stored its summary.
        """
        # A damaged registry can have a folder whose name is not text, which SQLite refuses.
        asked = frozenset(name for name in names if name.isprintable())
        if not asked:
            return {}
        span = "WHERE model BETWEEN :first AND :last"
        rows, places = self._file.fetch(
            f"SELECT model, mark, record, latest, count FROM listed {span}",
            f"SELECT model, is_alias, name, version FROM place {span} ORDER BY model",
            first=min(asked),
            last=max(asked),
        )
        wanted = [row for row in rows if row[0] in asked and row[1] == self._mark(row[0])]
        blobs = ((paths.model_file(model), _oid(record)) for model, _, record, _, _ in wanted)
        records = self._files.load_blobs(blobs, ModelRecord, newer=self._newer)
        recorded: dict[str, RecordedPlaces] = {}
        for model, found in groupby(places, lambda place: place[0]):
            of_model = list(found)
            by_kind = ({name: version for _, kind, name, version in of_model if kind == alias} for alias in (0, 1))
            recorded[model] = RecordedPlaces(*by_kind)
        nowhere = RecordedPlaces({}, {})
        return {
            model: ModelSummary(record, latest, count, recorded.get(model, nowhere))
            for (model, _, _, latest, count), record in zip(wanted, records, strict=True)
            if not isinstance(record, Invalid)
        }

    def add_model(self, model: str, summary: ModelSummary) -> None:
        """Add *summary*, which was read without an error, to the summaries that `write_models` writes."""
        self._new[model] = _bytes(self._files.id(paths.model_file(model))), summary

    def write_models(self) -> None:
        """Write the summaries that were added since the last call."""
        listed, places = [], []
        for model, (record, summary) in self._new.items():
            listed.append((model, self._mark(model), record, summary.latest, summary.count))
            places += [(model, 0, *place) for place in summary.recorded.stages.items()]
            places += [(model, 1, *place) for place in summary.recorded.aliases.items()]
        self._new.clear()

        def change(database: sqlite3.Connection) -> None:
            database.executemany("DELETE FROM place WHERE model=?", [row[:1] for row in listed])
            database.executemany("INSERT OR REPLACE INTO listed VALUES(?, ?, ?, ?, ?)", listed)
            database.executemany("INSERT INTO place VALUES(?, ?, ?, ?)", places)

        if listed:
            self._file.change(change)

    def read_tags(
        self, tip: Oid, ids: Mapping[StageRef, Oid], reaches: Callable[[Oid, Oid], bool]
    ) -> dict[StageRef, TagState]:
        """Return the states of those tags in *ids* that count, according to the index, if the branch is at *tip*.

        *ids* has the object id of each tag. A tag that counted when the branch was at an earlier commit still counts
        if the rules of stages are the same. `reaches(tip, commit)` returns True if *commit* is *tip* or in the chain of
        first parents of *tip*.
        """
        judged, rows = self._file.fetch(
            "SELECT tip, rules FROM judged",
            "SELECT model, stage, tag, version, merged FROM stage_tag WHERE model BETWEEN :first AND :last",
            first=min((ref.model for ref in ids), default=""),
            last=max((ref.model for ref in ids), default=""),
        )
        if not judged or judged[0][1] != self._rules() or not reaches(tip, _oid(judged[0][0])):
            return {}
        self._judged_at = _oid(judged[0][0])
        found: dict[StageRef, TagState] = {}
        for model, stage, tag, version, merged in rows:
            ref = StageRef(model, stage)
            if ids.get(ref) == _oid(tag):
                found[ref] = TagState(version, merged_by=None if merged is None else _oid(merged))
        self._known.update(found)
        return found

    def write_tags(self, tip: Oid, tags: Mapping[StageRef, tuple[Oid, TagState]]) -> None:
        """Write to the index that *tags* count if the branch is at *tip*.

        *tags* has the object id and the state of each tag, including the tags that `read_tags` returned.
        """
        rows = [
            (ref.model, ref.stage, _bytes(id), state.version, _bytes(state.merged_by))
            for ref, (id, state) in tags.items()
        ]
        new = [row for row, ref in zip(rows, tags, strict=True) if ref not in self._known]

        def change(database: sqlite3.Connection) -> None:
            written = new
            now = database.execute("SELECT tip, rules FROM judged").fetchone()
            if now != (_bytes(self._judged_at), self._rules()):
                # The rows are not those that `read_tags` read, or the rules differ: these tags may not count at *tip*.
                database.execute("DELETE FROM stage_tag")
                written = rows
            database.execute("DELETE FROM judged")
            database.execute("INSERT INTO judged VALUES(?, ?)", (_bytes(tip), self._rules()))
            database.executemany("INSERT OR REPLACE INTO stage_tag VALUES(?, ?, ?, ?, ?)", written)

        if new or tip != self._judged_at:
            self._file.change(change)

    def _mark(self, model: str) -> bytes | None:
        """Return the joined ids of all objects on which the summary of *model* depends; None if there is no *model*."""
        tree = self._files.id(f"{paths.MODELS}/{model}")
        return bytes([self._newer]) + bytes.fromhex(tree) + (self._rules() or b"") if tree is not None else None

    def _rules(self) -> bytes | None:
        return _bytes(self._files.id(paths.REGISTRY))


def _oid(data: Any) -> Oid:
    return Oid(bytes(data).hex())


def _bytes(id: Oid | None) -> bytes | None:
    return None if id is None else bytes.fromhex(id)
