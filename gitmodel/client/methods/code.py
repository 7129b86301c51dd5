"""The methods of `Client` for the code repository."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gitmodel.client.methods.opened import OpenedClient

if TYPE_CHECKING:
    from gitmodel.code.repository import CodeRepository
    from gitmodel.domain.schema.records import Code
    from gitmodel.lineage.code.versions_of_commit import Containing, WrittenNotes


class CodeMethods(OpenedClient):
    """The methods of `Client` for the code repository."""

    def read_code(self) -> Code:
        """Return the state of the code repository: its commit, uncommitted changes and URL. Writes nothing."""
        return self._opened.read_code()

    def record_code(self) -> Code:
        """Return the state of the code repository as a version records it, and create a ref that keeps its commit.

        Two settings say what happens to uncommitted changes: that of this machine (`GITMODEL_DIRTY`, or `git config
        gitmodel.dirty`) and `[code]` in `gitmodel.toml`. The stricter one is used. "record" only records that there are
        changes. "snapshot" stores them as a commit, and raises Refused if a changed file looks like credentials or the
        snapshot is too large. "refuse" raises Refused if there are uncommitted changes.
        """
        return self._opened.record_code()

    def find_code(self) -> CodeRepository | None:
        """Return the code repository that contains the client's *path*, opened on first use; None if there is none."""
        return self._opened.find_code()

    def open_code(self) -> CodeRepository:
        """Return the code repository that contains the client's *path*. Raises NotFound if there is none."""
        return self._opened.open_code()

    def containing(self, commit: str, model: str = "") -> list[Containing]:
        """Return for each version whether its code contains *commit*. The newest version is first.

        The versions are those of *model*, or of all models if it is "". Raises NotFound if the commit, the model or the
        code repository does not exist.
        """
        from gitmodel.lineage.code.versions_of_commit import containing

        return list(containing(self.writer, self.open_code(), commit, model))

    def write_notes(self) -> WrittenNotes:
        """Write a git note for each code commit with the versions that were made from it, to `refs/notes/gitmodel`.

        `git log --notes=gitmodel` shows the notes. Raises Refused if another program wrote to this ref.
        """
        from gitmodel.lineage.code.versions_of_commit import write_notes

        return write_notes(self.writer, self.repository, self.open_code())

    def remove_notes(self) -> None:
        """Delete `refs/notes/gitmodel`. Raises Refused if another program wrote to this ref."""
        from gitmodel.lineage.code.versions_of_commit import remove_notes

        remove_notes(self.open_code())
