"""Converting runs and versions of another registry to the content of records. Pure.

Values that do not fit into the record of a version go to an attachment.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from gitmodel.domain.changes.runs import run_id
from gitmodel.domain.schema import codec, toml_values
from gitmodel.domain.schema.names import suggest
from gitmodel.domain.schema.object_ids import Oid
from gitmodel.domain.schema.records import Code, Imported, RunRecord
from gitmodel.domain.secrets.credentials import redacted, without_credentials
from gitmodel.frozen import Frozen
from gitmodel.interop.import_plan import Note, source_id
from gitmodel.interop.sources.source_values import Point, SourceModel, SourceRun, SourceVersion

PARAMETERS, TAGS = "parameters", "tags"
# The most bytes of metadata in a record. The rest of the size limit for records is for the other keys.
_MOST_BYTES = codec.MAX_BYTES - 8_000
_LONGEST_PIPELINE = 60
_LONGEST_SHOWN = 40
# The name of the attachment with the values that do not fit into the record of a version.
UNFIT = "mlflow-values"


class Draft(Frozen):
    """The content that an import writes for one version: of its record, of the record of its run, and of an attachment.

    *unfit* is the content of the attachment: JSON with the values that are too long for records; b"" if there are none.
    """

    description: str
    metadata: Mapping[str, Any]
    code: Code
    imported: Imported
    run: RunRecord | None
    unfit: bytes
    notes: tuple[Note, ...]


def draft_version(model: SourceModel, version: SourceVersion, run: SourceRun | None, *, system: str, url: str) -> Draft:
    """Return the draft of *version* of *model*, which *run* (None: unknown) made in the source.

    *system* is the name of the source's system, such as "MLflow", and *url* the source's address.
    """
    subject = f"{model.name} {version.number}"
    own = {system.lower(): dict(version.facts)} if version.facts else {}
    values: dict[str, Any] = {TAGS: dict(version.tags), **own}
    values |= {PARAMETERS: dict(run.parameters)} if run else {}
    notes = list[Note]()
    for key, value in (run.metrics if run else {}).items():
        if key in values:
            notes.append(Note("renamed", f"{subject} {key}", f"the metric is {key}.metric here"))
        values[f"{key}.metric" if key in values else key] = value
    kept, unfit = fit_values(values, subject, notes)
    if run is None and version.run:
        notes.append(Note("left out", f"{subject} run", f"the run {version.run} does not exist in the source"))
    elif run is not None and run.is_deleted:
        notes.append(
            Note("changed", f"{subject} run", f"the run {run.id} was deleted in the source, and is recorded here")
        )
    author = version.author or (run.author if run else "")
    commit = version.commit or (run.commit if run else None)
    return Draft(
        description=redacted(version.description),
        metadata=kept,
        code=Code(commit=Oid(commit)) if commit else Code(outside=True),
        imported=Imported(
            source=url, id=source_id(model.name, version), author=redacted(author), created=version.created
        ),
        run=_draft_run(run, subject, notes, unfit, system=system, url=url) if run else None,
        unfit=json.dumps(unfit, indent=1, sort_keys=True).encode() if unfit else b"",
        notes=tuple(notes),
    )


def curves_file(points: Iterable[Point]) -> bytes:
    """Return a CSV file of *points*, the values of metrics at each step.

    >>> from datetime import datetime, timezone
    >>> curves_file([Point("loss", 3, datetime(2026, 11, 23, tzinfo=timezone.utc), 0.25)]).decode().split()
    ['key,step,time,value', 'loss,3,2026-11-23T00:00:00.000+00:00,0.25']
    """
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(["key", "step", "time", "value"])
    rows.writerows(
        [point.key, point.step, point.time.isoformat(timespec="milliseconds"), point.value] for point in points
    )
    return text.getvalue().encode()


def _draft_run(
    run: SourceRun, subject: str, notes: list[Note], unfit: dict[str, Any], *, system: str, url: str
) -> RunRecord:
    pipeline = (suggest(run.experiment)[:_LONGEST_PIPELINE].strip("-._")) or system.lower()
    facts = {"source": url, "id": run.id, "name": run.name, "author": run.author, "experiment": run.experiment}
    values = {**run.metrics, TAGS: dict(run.tags), "imported": {key: value for key, value in facts.items() if value}}
    metadata, left = fit_values(values, f"{subject} run", notes)
    parameters, more = fit_values(dict(run.parameters), f"{subject} run", [])
    unfit.update({"run": {**left, **({PARAMETERS: more} if more else {})}} if left or more else {})
    return RunRecord(
        id=run_id(pipeline, run.started, run.id[:12]),
        pipeline=pipeline,
        status=run.status,
        started=run.started,
        finished=run.finished or run.started,
        executor=system.lower(),
        code=Code(commit=Oid(run.commit)) if run.commit else None,
        parameters=parameters,
        metadata=metadata,
    )


def fit_values(values: Mapping[str, Any], subject: str, notes: list[Note]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return those of *values* that fit into a record, and those that are too long.

    Values that look like credentials are in neither. Adds notes about the values that are too long or look like
    credentials to *notes*; *subject* is the model or version that the notes name.
    """
    clean, secrets = without_credentials(values)
    notes += [Note("left out", f"{subject} {key}", f"it looks like {form}") for key, form in secrets]
    kept, unfit = dict[str, Any](), dict[str, Any]()
    left, names = _MOST_BYTES, list[str]()
    for path, value in sorted(_leaves(clean), key=lambda leaf: (not isinstance(leaf[1], float), _size(leaf))):
        fits = all(0 < len(key) <= toml_values.MAX_KEY for key in path) and _size((path, value)) <= left
        _put(kept if fits else unfit, path, value)
        if fits:
            left -= _size((path, value))
        else:
            names.append(".".join(path))
    if names:
        more = f" and {len(names) - 1} more" if len(names) > 1 else ""
        what = names[0] if len(names[0]) <= _LONGEST_SHOWN else f"{names[0][:_LONGEST_SHOWN]}..."
        notes.append(
            Note("changed", f"{subject} {what}{more}", f"too long for a record; kept in the attachment {UNFIT}")
        )
    return kept, unfit


def _leaves(table: Mapping[str, Any], above: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    for key, value in table.items():
        if isinstance(value, Mapping):
            yield from _leaves(value, (*above, key))
        else:
            yield (*above, key), value


def _put(table: dict[str, Any], path: tuple[str, ...], value: Any) -> None:
    *folders, last = path
    for key in folders:
        table = table.setdefault(key, {})
    table[last] = value


def _size(leaf: tuple[tuple[str, ...], Any]) -> int:
    """Return the approximate number of bytes of a value in a record, with its key and the header of its table.

    *leaf* has the keys on the path to the value, and the value.
    """
    path, value = leaf
    return len(json.dumps([*path, value], default=str).encode())
