"""The ref of this clone that records renumberings: the other numbers and names that pulls gave versions and models."""

from __future__ import annotations

from collections.abc import Callable

from gitmodel.domain.schema.object_ids import Oid
from gitmodel.domain.schema.recorded_renumberings import Renumberings
from gitmodel.domain.schema.refs import RENUMBERED
from gitmodel.git.objects.object_formats import NewObject
from gitmodel.git.objects.object_reader import ObjectReader
from gitmodel.git.refs.ref_move import RefMove


class RenumberedRef:
    """Reads and changes the renumberings, which are in a blob that a ref of the repository names."""

    def __init__(self, reader: ObjectReader) -> None:
        self._reader = reader
        self._closed = False
        self._last: tuple[Oid | None, Renumberings] = (None, Renumberings())

    def read(self) -> Renumberings:
        return self._read()[1]

    def close(self) -> None:
        """Make `read` return the renumberings that it read last, unless another read starts the git process again."""
        self._closed = True

    def moves(self, change: Callable[[Renumberings], Renumberings]) -> tuple[list[RefMove], list[NewObject]]:
        """Apply *change* to the renumberings. Return the ref move that records the result, and the object to write.

        Returns empty lists if *change* has no effect. In a transaction, this move must come before the move of the
        branch: a crash between both then leaves a needless renumbering, instead of losing one.
        """
        old, before = self._read()
        after = change(before)
        if after == before:
            return [], []
        blob = NewObject("blob", after.encode())
        return [RefMove(RENUMBERED, blob.id, old)], [blob]

    def _read(self) -> tuple[Oid | None, Renumberings]:
        """Return the renumberings, and the id of the blob that has them (None: no renumbering was ever recorded)."""
        if self._closed and not self._reader.is_running:
            return self._last  # closed: reading the name of a model's handle must not start git again
        found = self._reader.resolve(RENUMBERED)
        self._last = (found.id, Renumberings.parse(found.data)) if found is not None else (None, Renumberings())
        return self._last
