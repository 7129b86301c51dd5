"""Warnings about credentials in records that exist already. gitmodel refuses to write new records with credentials."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice

from gitmodel.branch.history.changed_paths import changed_paths
from gitmodel.branch.repository import Repository
from gitmodel.domain.schema import paths
from gitmodel.domain.schema.object_ids import Oid
from gitmodel.domain.secrets import credentials
from gitmodel.domain.snapshots.snapshot_sources import Files
from gitmodel.errors import Invalid
from gitmodel.registry.health.checking import every_file

# The number of fetched records that a pull examines; `check` examines all.
MOST_PULLED = 1_000


def find_credentials(
    repository: Repository, commit: Oid, before: Oid | None = None, *, most: int | None = None
) -> list[str]:
    """Return a message for each text in the records at *commit* that looks like a credential.

    If *before* is given, searches only records that changed between that commit and *commit*. If *most* is given,
    searches at most that number of records.
    """
    files = repository.files(commit)
    found = changed_paths(repository, before, commit) if before else (path for path, _ in every_file(files))
    return credentials_in(files, islice(filter(paths.parse_path, found), most))


def credentials_in(files: Files, wanted: Iterable[str]) -> list[str]:
    """Return messages about text that looks like a credential in the records of *files* at the paths *wanted*."""
    seen = []
    for path in filter(paths.parse_path, wanted):
        try:
            seen += [f"{field} looks like {what}" for field, what in credentials.in_record(path, files.read(path))]
        except Invalid:
            continue  # `check` reports damaged records
    return seen
