"""The methods of `Client` for the code repository."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gitmodel.client.methods.opened import OpenedClient

if TYPE_CHECKING:
    from gitmodel.code.repository import CodeRepository
    from gitmodel.domain.schema.records import Code
    from gitmodel.lineage.versions_of_commit import Containing, WrittenNotes


class CodeMethods(OpenedClient):
    """The methods of `Client` for the code repository."""

    def read_code(self) -> Code:
        """Return the state of the code repository: commit, uncommitted changes, origin. Writes nothing."""
        return self._opened.read_code()

    def record_code(self) -> Code:
        """Return the state of the code repository as a version records it, and keep its commit with a ref.

        The stricter setting for uncommitted changes counts: that of this machine (`GITMODEL_DIRTY`, or `git config
        gitmodel.dirty`) or `[code]` of the registry. With "refuse", any uncommitted change raises Refused. With
        "snapshot", a changed file that looks like credentials and a snapshot that is too large raise Refused.
        """
        return self._opened.record_code()

    def find_code(self) -> CodeRepository | None:
        """Return the code repository that contains *path*, opened on first use; None if there is none."""
        return self._opened.find_code()

    def open_code(self) -> CodeRepository:
        """Return the code repository that contains *path*. Raises NotFound if there is none."""
        return self._opened.open_code()

    def containing(self, commit: str, model: str = "") -> list[Containing]:
        """Return for each version, of *model* or of all, whether its code contains *commit*. The newest is first.

        Raises NotFound if the commit, the model or the code repository does not exist.
        """
        from gitmodel.lineage.versions_of_commit import containing

        return list(containing(self.writer, self.open_code(), commit, model))

    def write_notes(self) -> WrittenNotes:
        """Write a note to each code commit with the versions that were made from it, at `refs/notes/gitmodel`.

        `git log --notes=gitmodel` shows the notes. Raises Refused if another program wrote the ref.
        """
        from gitmodel.lineage.versions_of_commit import write_notes

        return write_notes(self.writer, self.repository, self.open_code())

    def remove_notes(self) -> None:
        """Delete `refs/notes/gitmodel`."""
        from gitmodel.lineage.versions_of_commit import remove_notes

        remove_notes(self.open_code())
