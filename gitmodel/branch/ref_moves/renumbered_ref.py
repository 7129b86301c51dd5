"""The ref with the renumberings: the versions and models to which pulls in this clone gave another number or name."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from gitmodel.domain.schema.object_ids import Oid
from gitmodel.domain.schema.recorded_renumberings import Renumberings
from gitmodel.domain.schema.refs import RENUMBERED
from gitmodel.git.objects.object_formats import NewObject
from gitmodel.git.objects.object_reader import ObjectReader

if TYPE_CHECKING:
    from gitmodel.git.refs.ref_move import RefMove


class RenumberedRef:
    """The ref of one repository that keeps its renumberings."""

    def __init__(self, reader: ObjectReader) -> None:
        self._reader = reader
        self._closed = False
        self._last: tuple[Oid | None, Renumberings] = (None, Renumberings())

    def read(self) -> Renumberings:
        return self._read()[1]

    def close(self) -> None:
        """Make `read` return the cached value from now on, unless something else starts the reader again."""
        self._closed = True

    def moves(self, change: Callable[[Renumberings], Renumberings]) -> tuple[list[RefMove], list[NewObject]]:
        """Apply *change* to the renumberings.

        Return the ref move and the object to write, or nothing if *change* has no effect. In a transaction, this move
        must come before the move of the branch: a crash between the two then leaves a needless renumbering, instead of
        losing one.
        """
        old, before = self._read()
        after = change(before)
        if after == before:
            return [], []
        from gitmodel.git.refs.ref_move import RefMove  # imported here because only writes need it

        blob = NewObject("blob", after.encode())
        return [RefMove(RENUMBERED, blob.id, old)], [blob]

    def _read(self) -> tuple[Oid | None, Renumberings]:
        """Return the renumberings and the id of the blob that holds them (None: there is no blob)."""
        if self._closed and not self._reader.is_running:
            return self._last  # after a client is closed, reading the name of a handle must not start git
        found = self._reader.resolve(RENUMBERED)
        self._last = (found.id, Renumberings.parse(found.data)) if found is not None else (None, Renumberings())
        return self._last
