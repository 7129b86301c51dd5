"""Summaries of versions as the index stores them: the values that tables show, as JSON. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from datetime import datetime, timezone
from itertools import islice

from gitmodel.domain.schema.records import VersionRecord
from gitmodel.domain.views.comparison import flat_values
from gitmodel.domain.views.version_summaries import MOST_KEYS, VersionSummary

# gitmodel does not store a longer summary. For such a version, tables read the record.
_LONGEST = 1_000
_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), check_circular=False).encode


def summary_text(record: VersionRecord) -> str | None:
    """Return the summary of *record* as JSON; None if the JSON is too long, or if JSON lacks the type of a value."""
    values = dict(islice(flat_values(record.metadata), MOST_KEYS))
    times = {key: value.isoformat() for key, value in values.items() if isinstance(value, datetime)}
    for key in times:
        del values[key]
    created = int(record.created.timestamp())
    try:
        text = _encode((record.name, created, record.description, record.tags, record.failed, values, times))
    except TypeError:  # a date, a time of day, or a list of times
        return None
    return text if len(text) <= _LONGEST else None


def read_summaries(stored: Iterable[tuple[int, str]]) -> Iterator[VersionSummary]:
    """Yield the summary of each version, from its number and the text that `summary_text` returned.

    Raises ValueError or TypeError for a damaged text.
    """
    numbers, texts = zip(*stored, strict=True)
    for number, summary in zip(numbers, json.loads(f"[{','.join(texts)}]"), strict=True):
        name, created, description, tags, failed, values, times = summary
        for key, time in times.items():
            values[key] = datetime.fromisoformat(time)
        made = datetime.fromtimestamp(created, timezone.utc)
        yield VersionSummary(number, name, made, description, tuple(tags), failed, values)
