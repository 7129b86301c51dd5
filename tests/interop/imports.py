"""Helpers for the tests of imports."""

from contextlib import closing

from gitmodel.interop.import_plan import Choices
from gitmodel.interop.importing import import_models
from gitmodel.interop.sources.opening import open_source


def import_from(kind, source, client, choices=None, environ=None, **options):
    with closing(open_source(kind, str(source), environ or {})) as reader:
        return import_models(client, reader, choices or Choices(), **options)


def notes_of(done):
    """Return the notes of a plan or a report as lines of text."""
    return [f"{note.outcome}: {note.subject}: {note.reason}" for note in done.notes]
