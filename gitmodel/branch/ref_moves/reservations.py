"""Reservations: refs that reserve a number or a name for a version that is not created yet. They are never pushed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass

from gitmodel.branch.ref_moves.local_ref_moves import Refs
from gitmodel.domain.schema.object_ids import Oid
from gitmodel.domain.schema.refs import RESERVED, reserved_name_ref, reserved_ref
from gitmodel.domain.snapshots.snapshot import Snapshot
from gitmodel.errors import Invalid
from gitmodel.git.objects.object_formats import NewObject
from gitmodel.git.objects.object_reader import ObjectReader
from gitmodel.git.refs.ref_commands import list_refs
from gitmodel.git.refs.ref_move import RefMove
from gitmodel.git.running.failures import Moved
from gitmodel.git.running.process import Git


@dataclass(eq=False)
class Reservations:
    """Finds and deletes the reservations in one repository. `transaction.reserve` adds a reservation."""

    git: Git
    reader: ObjectReader
    refs: Refs

    def has_number(self, model: str, number: int) -> bool:
        """Return True if *number* is reserved for a version of *model*."""
        return self.reader.resolve(reserved_ref(model, number)) is not None

    def run_reserving(self, model: str, name: str) -> str:
        """Return the id of the run that reserved *name* for a version of *model*; "" if none did or it has ended."""
        from gitmodel.branch.runs.run_journal import Journal  # imported here: only a new name needs it

        found = self.reader.resolve(reserved_name_ref(model, name))
        run = found.data.decode("ascii", "replace") if found is not None and found.type == "blob" else ""
        return run if run and Journal(self.git.common_dir).is_running(run) else ""

    def numbers(self) -> list[tuple[str, int, Oid]]:
        """Return the model, the number and the object id of the ref of each reserved number."""
        return [(model, int(last), id) for model, last, id in self._all() if last.isdigit()]

    def names(self) -> list[tuple[str, str, Oid]]:
        """Return the model, the name and the object id of the ref of each reserved name of a version."""
        return [(model, last, id) for model, last, id in self._all() if not last.isdigit()]

    def abandoned_names(self) -> list[tuple[str, str, Oid]]:
        """Return the entries of `names` whose runs have ended, for example because they were killed."""
        return [found for found in self.names() if not self.run_reserving(*found[:2])]

    def used_up(self, snapshot: Snapshot) -> list[tuple[str, int]]:
        """Return model and number of each reserved number that is not above the model's last number in *snapshot*.

        No new version gets such a number, so that these reservations are not needed.
        """
        found = []
        for model, number, _ in self.numbers():
            with suppress(Invalid):  # a reservation for a damaged record stays
                if number <= snapshot.last_number(snapshot.current_name(model)):
                    found.append((model, number))
        return found

    def release(self, model: str, number: int) -> None:
        """Delete the reservation of *number* of *model*, if there is one."""
        if (found := self.reader.resolve(reserved_ref(model, number))) is not None:
            self._delete(reserved_ref(model, number), found.id)

    def release_names(self, run: str) -> None:
        """Delete the reservations of names that the run *run* made, including their copies for renamed models."""
        blob = NewObject("blob", run.encode()).id
        for model, name, id in self.names():
            if id == blob:
                self._delete(reserved_name_ref(model, name), id)

    def release_abandoned_names(self) -> None:
        """Delete the reservations of names whose runs have ended, for example because they were killed."""
        for model, name, id in self.abandoned_names():
            self._delete(reserved_name_ref(model, name), id)

    def moves_to_new_names(self, after: Snapshot) -> list[RefMove]:
        """Return the ref moves that copy reservations of renamed models to the names of the models in *after*."""
        carried = {}
        for model, number, id in self.numbers():
            with suppress(Invalid):  # a reservation for a damaged record stays
                now = after.current_name(model)
                if now != model and number > after.last_number(now) and not self.has_number(now, number):
                    carried[reserved_ref(now, number)] = id
        for model, name, id in self.names():
            with suppress(Invalid):
                now = after.current_name(model)
                if now != model and self.reader.resolve(reserved_name_ref(now, name)) is None:
                    carried[reserved_name_ref(now, name)] = id
        return [RefMove(ref, id, None) for ref, id in carried.items()]

    def _all(self) -> Iterator[tuple[str, str, Oid]]:
        for ref, id in list_refs(self.git, RESERVED).items():
            model, _, last = ref.removeprefix(RESERVED).rpartition("/")
            yield model, last, id

    def _delete(self, ref: str, id: Oid) -> None:
        with suppress(Moved):
            self.refs.move([RefMove(ref, None, id)], f"release {ref.removeprefix(RESERVED)}")
