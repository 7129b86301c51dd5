"""Reading the contents that a plan compares from stores: text artifacts and lists of packages."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from difflib import unified_diff
from typing import TypeVar

from gitmodel.domain.schema.records import ArtifactLink, RunRecord, VersionRecord
from gitmodel.domain.views.comparison import Compared, compare_fields
from gitmodel.errors import GitModelError, Unreachable
from gitmodel.frozen import Frozen
from gitmodel.lineage.comparing import read_packages
from gitmodel.registry.linked_artifacts.verifying import Source
from gitmodel.stores.artifacts.manifests import read_object
from gitmodel.stores.interface import ArtifactStore

T = TypeVar("T")
LONGEST_TEXT = 64_000  # bytes
# The limit of lines for the diff of a text, because the diff of longer texts could take seconds.
_MOST_LINES = 2_000
_DATA = "data"


class TextChange(Frozen):
    """A text artifact or attachment that differs between two versions. *kind* is the kind of the artifact.

    *diff* are the lines of the unified diff, without its two header lines and without line breaks.
    """

    name: str
    kind: str
    diff: tuple[str, ...]


class StoredContents:
    """Reads the artifacts of versions, and the lists of packages of runs, if this machine can read them.

    *store* opens the store with the lists of packages, *source* returns the store that has an artifact of a model.
    After a store did not answer, this object reads nothing more from any store.
    """

    def __init__(self, store: Callable[[], ArtifactStore], source: Source) -> None:
        self._store = store
        self._source = source
        self._unreachable = False

    def packages(self, old: RunRecord | None, new: RunRecord | None) -> tuple[Compared, ...]:
        """Return the packages that differ between the runs *old* and *new*, and Python if its version differs.

        Returns nothing if the list of packages of one run is missing or cannot be read.
        """
        if old is None or new is None or old.packages is None or new.packages is None:
            return ()
        same = old.packages == new.packages
        lists = [self._packages(run, with_list=not same) for run in (old, new)]
        known = [found for found in lists if found is not None]
        return tuple(row for row in compare_fields(*known) if not row.same) if len(known) == 2 else ()

    def _packages(self, run: RunRecord, *, with_list: bool) -> dict[str, str] | None:
        python = {"python": run.python} if run.python else {}
        found = self._read(lambda: read_packages(self._store(), run)) if with_list else {}
        return None if found is None else {**found, **python}

    def texts(self, model: str, old: VersionRecord | None, new: VersionRecord) -> tuple[TextChange, ...]:
        """Return the differences of texts of at most 64 kB: artifacts of other kinds than data, and attachments.

        Data is left out because people who may read the pull request may not be allowed to read the data.
        """
        return tuple(self._texts(model, old, new)) if old is not None else ()

    def _texts(self, model: str, old: VersionRecord, new: VersionRecord) -> Iterator[TextChange]:
        before = {link.name: link for link in (*old.artifacts, *old.attachments)}
        for link in (*new.artifacts, *new.attachments):
            was = before.get(link.name)
            if was is None or was.digest == link.digest or _DATA in (was.kind, link.kind):
                continue
            texts = [self._text(model, one) for one in (was, link)]
            lines = [text.splitlines() for text in texts if text is not None]
            if len(lines) == 2 and max(map(len, lines)) <= _MOST_LINES:
                diff = tuple(line.rstrip("\n") for line in unified_diff(lines[0], lines[1], lineterm=""))[2:]
                yield TextChange(link.name, link.kind, diff)

    def _text(self, model: str, link: ArtifactLink) -> str | None:
        """Return the text of the artifact *link*; None if it is a folder, no text, too long, or not readable here."""
        if link.is_folder or link.is_external or link.size > LONGEST_TEXT:
            return None
        read = self._read(lambda: read_object(self._source(model, link), link.digest, LONGEST_TEXT, "a short text"))
        try:
            return None if read is None or b"\0" in read else read.decode()
        except UnicodeDecodeError:
            return None

    def _read(self, read: Callable[[], T]) -> T | None:
        if self._unreachable:
            return None
        try:
            return read()
        except GitModelError as error:
            self._unreachable = isinstance(error, Unreachable)
            return None
