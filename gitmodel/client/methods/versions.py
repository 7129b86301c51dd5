"""The methods of `Client` that find versions or import one, and those for the code from which versions are made."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from gitmodel.client.methods.opened import OpenedClient, version_ref
from gitmodel.domain.schema.references import VersionRef
from gitmodel.registry.records import finding

if TYPE_CHECKING:
    from gitmodel.client.handles.models_and_versions import ModelVersion
    from gitmodel.client.tables import VersionTable
    from gitmodel.code.repository import CodeRepository
    from gitmodel.domain.schema.records import Code, VersionRecord
    from gitmodel.domain.views.authorship import Authorship
    from gitmodel.domain.views.record_views import VersionView
    from gitmodel.domain.views.version_summaries import VersionRow
    from gitmodel.errors import Invalid
    from gitmodel.lineage.code.versions_of_commit import Containing, WrittenNotes
    from gitmodel.lineage.graph import VersionRun
    from gitmodel.registry.lists.version_lists import VersionIds
    from gitmodel.registry.recorded_runs.run_outputs import VersionArtifact
    from gitmodel.registry.records.finding import Found


class VersionMethods(OpenedClient):
    """The methods of `Client` that find versions or import one, and those for the code from which versions are made."""

    def get_version(
        self, reference: str | VersionRef, *, renumbered: bool = False, for_change: bool = False
    ) -> ModelVersion:
        """Return a handle of the version that *reference* names, such as `"iris@production"`.

        A reference with a stage or alias names the version in force there, with the artifacts that were promoted. In a
        registry by URL, such a version is read at the commit of its stage tag, and the attribute `frozen` of the handle
        is the name of this tag. Raises NotFound if there is no such version.

        If a pull renumbered a version, its previous number may belong to another version now. If you pass such a
        number, gitmodel issues a `RenumberedWarning`, and changes through the returned handle raise Refused. Pass
        `renumbered=True` to confirm that you mean the version that has the number now; after the first change through
        that handle, the number gives no warning any more. If *for_change* is True, such a number raises Refused
        immediately.
        """
        from gitmodel.client.handles.models_and_versions import ModelVersion

        return ModelVersion._find(self._renewed(), version_ref(reference, renumbered), for_change=for_change)

    def resolve(self, reference: str | VersionRef) -> Found:
        """Return the version that *reference* names, such as `"iris@production"`, as an immutable value.

        The value has the attributes `model` (a name), `record` and `frozen` (see `get_version`).

        >>> client.resolve("iris@production").reference                # doctest: +SKIP
        'iris@3'
        """
        return finding.find(self._renewed().writer, version_ref(reference))

    def view_version(self, reference: str | VersionRef) -> VersionView:
        """Return the record, stage and aliases of the version *reference*, as an immutable value.

        Raises NotFound if there is no such version, Invalid if its record is damaged.
        """
        from gitmodel.registry.records import versions

        return versions.get_version(self._renewed().writer, version_ref(reference))

    def view_versions(
        self, model: str, *, filter: str = "", limit: int | None = None, offset: int = 0
    ) -> Iterator[VersionView | Invalid]:
        """Yield the versions of *model* that match *filter* as immutable values, newest first.

        For a version with a damaged record, yields an error. Skips the first *offset* versions and yields at most
        *limit*. Raises NotFound if the model does not exist, UsageError for an invalid filter or a negative *limit* or
        *offset*.
        """
        from gitmodel.registry.lists import version_lists

        writer = self._renewed().writer
        return iter(version_lists.VersionListing(writer, model, filter=filter, limit=limit, offset=offset))

    def view_version_rows(
        self, model: str, *, filter: str = "", limit: int | None = None, offset: int = 0
    ) -> Iterator[VersionView | VersionRow | Invalid]:
        """Yield the same versions as `view_versions`, but faster: most have only the fields that a table shows."""
        from gitmodel.registry.lists import version_lists

        writer = self._renewed().writer
        return version_lists.VersionListing(writer, model, filter=filter, limit=limit, offset=offset).rows()

    def find_versions(
        self,
        model: str | None = None,
        *,
        filter: str = "",
        sort: str = "",
        limit: int | None = None,
        offset: int = 0,
    ) -> VersionTable:
        """Return the versions of *model*, or of all models, that match *filter* (default: all), as immutable values.

        *sort* is a field such as "created" or a key of the metadata, with a "-" before it for descending order. The
        author and last change of a version are the fields `author`, `updated` and `updated_by`. Versions without a
        value of *sort* come last. Versions with equal values, or all versions if *sort* is "", are in the order of the
        names of their models, the newest version of each model first. Skips the first *offset* versions and returns at
        most *limit*.

        >>> best = client.find_versions(filter="metadata.accuracy > 0.9", sort="-metadata.accuracy", limit=20)
        ...                                                                              # doctest: +SKIP
        >>> [(row.model, row.record.number, row.record.metadata["accuracy"]) for row in best]  # doctest: +SKIP
        [('iris', 7, 0.97), ('wine', 2, 0.93)]
        >>> best.to_pandas()                                                             # doctest: +SKIP

        Raises NotFound if the model does not exist, UsageError for an invalid filter, a key that no version has, or a
        negative *limit* or *offset*.
        """
        from gitmodel.client.tables import VersionTable

        # imported here because only searches need the expressions
        from gitmodel.registry.lists.version_search import find_versions

        writer = self._renewed().writer
        found, damaged = find_versions(writer, model, filter=filter, sort=sort, limit=limit, offset=offset)
        return VersionTable(found, damaged=damaged)

    def authorships(self) -> dict[str, Authorship]:
        """Return the author and the last change of each model and version, by references such as "iris" and "iris@3".

        The first call reads the whole history and keeps the result in the index. Later calls read only new commits.
        Models have their current names. In a shallow clone, the result lacks models and versions that no commit after
        the oldest commit of the clone has changed.

        >>> client.authorships()["iris@3"].updated_by                                    # doctest: +SKIP
        'Ada Example'
        """
        from gitmodel.registry.lists.authorship import read_authorships  # imported here: few programs need SQLite

        at = self._renewed().writer.read_records(lambda snapshot: snapshot.commit)
        return read_authorships(self.repository, at, self.writer.index_folder)

    def read_records(self, model: str, numbers: Iterable[int]) -> list[VersionRecord | Invalid]:
        """Return the record of each of the versions *numbers* of *model*, and an error instead of a damaged record.

        The records are in the order of *numbers*, and *numbers* may name deleted versions. Raises NotFound if there is
        no such model.
        """
        from gitmodel.registry.lists import version_lists

        return version_lists.read_records(self._renewed().repository, model, numbers)

    def version_ids(self, model: str) -> dict[int, VersionIds]:
        """Return the git object ids of the record and the archived marker of each version of *model*, by its number.

        The newest version is first. Includes deleted versions. The ids of a version change whenever its record changes,
        and when the version is archived, so that a program can notice changes by them. Raises NotFound if there is no
        such model.
        """
        from gitmodel.registry.lists import version_lists

        return version_lists.version_ids(self._renewed().repository, model)

    def view_artifacts(self, reference: str | VersionRef) -> tuple[VersionView, list[VersionArtifact]]:
        """Return a version, its artifacts, and the outputs of runs that worked on it after it was created."""
        from gitmodel.registry.recorded_runs.run_outputs import VersionArtifact, list_outputs

        view = self.view_version(reference)
        outputs = list_outputs(self.writer, version_ref(reference), store=lambda: self.store)
        return view, [*map(VersionArtifact, view.record.artifacts), *outputs]

    def view_version_runs(self, reference: str | VersionRef) -> tuple[VersionView, list[VersionRun]]:
        """Return the version *reference*, and the runs that made it, worked on it, or read its artifacts."""
        from gitmodel.lineage.graph import version_runs

        view = self.view_version(reference)
        return view, version_runs(self.repository, view, store=lambda: self.store)

    def import_version(
        self, path: str | os.PathLike[str], *, model: str = "", renumbered: bool = False
    ) -> ModelVersion:
        """Import the version that `ModelVersion.export` wrote to the file *path*, after verifying the whole file.

        The version becomes a version of *model*, by default of the model with the same name. It keeps its number if
        this number is higher than all numbers of that model; otherwise it gets the next number. If the version was
        imported before, nothing changes, and the existing version is returned. *renumbered* is as in `get_model`.
        Raises Invalid if the file is damaged or incomplete, Conflict if the name of the version is taken, NotFound if
        there is no file *path* or *model* was deleted.
        """
        from gitmodel.client.handles.models_and_versions import ModelVersion
        from gitmodel.lineage.exporting import import_export

        file = Path(path).expanduser()
        found = import_export(self.writer, file, store=self.store, model=model, renumbered=renumbered)
        return ModelVersion._find(self._opened, VersionRef.parse(found.reference), is_new=found.new)

    def read_code(self) -> Code:
        """Return the state of the code repository: its commit, uncommitted changes and URL. Writes nothing."""
        return self._opened.read_code()

    def record_code(self) -> Code:
        """Return the state of the code repository as a version records it, and create a ref that keeps its commit.

        Two settings say what happens to uncommitted changes: that of this machine (`GITMODEL_DIRTY`, or `git config
        gitmodel.dirty`) and `[code]` in `gitmodel.toml`. The stricter one is used. "record", the least strict, only
        records that there are changes. "snapshot" stores them as a commit, and raises Refused if a changed file looks
        like credentials or the snapshot is too large. "refuse", the strictest, raises Refused if there are uncommitted
        changes.
        """
        return self._opened.record_code()

    def find_code(self) -> CodeRepository | None:
        """Return the code repository that contains the client's *path*, opened on first use; None if there is none."""
        return self._opened.find_code()

    def open_code(self) -> CodeRepository:
        """Return the code repository that contains the client's *path*. Raises NotFound if there is none."""
        return self._opened.open_code()

    def containing(self, commit: str, model: str = "") -> list[Containing]:
        """Return for each version whether its code commit is *commit* or descends from it, newest version first.

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
