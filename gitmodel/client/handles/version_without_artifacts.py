"""A version without its artifacts: record, metadata, stage and aliases."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from gitmodel.client.handles.record_field import Field, as_it_is
from gitmodel.client.model_stages import ModelStages
from gitmodel.client.opening.open_registry import OpenRegistry
from gitmodel.domain.arguments.names_of_other_tools import refuse_other_keywords
from gitmodel.domain.changes.models import TagChanges
from gitmodel.domain.changes.planned_change import Justification
from gitmodel.domain.changes.stages import Promotion, StageState
from gitmodel.domain.schema.recorded_renumberings import Numbered
from gitmodel.domain.schema.records import Code, VersionRecord
from gitmodel.domain.schema.references import ModelRef, VersionRef
from gitmodel.domain.views.record_views import VersionView
from gitmodel.errors import NotFound
from gitmodel.registry.lists import model_views
from gitmodel.registry.promotion import stages
from gitmodel.registry.records import finding, versions
from gitmodel.registry.writing.writer import Writer

if TYPE_CHECKING:
    from typing_extensions import Self

    from gitmodel.client.storing import GivenArtifacts
    from gitmodel.domain.views.authorship import Authorship
    from gitmodel.lineage.checkout import CheckedOut
    from gitmodel.lineage.exporting import Exported
    from gitmodel.registry.records.finding import Found

T = TypeVar("T")


class VersionHandle:
    """A version without its artifacts: record, metadata, stage and aliases."""

    name: Field[str | None] = Field(as_it_is, "The version's own name, or None.")
    description = Field(str, "The description of the version.")
    created: Field[datetime] = Field(as_it_is, "The time when the version was created, in UTC.")
    tags: Field[list[str]] = Field(list, "The tags of the version, sorted.")
    metadata: Field[dict[str, Any]] = Field(dict, "The metadata of the version.")
    code: Field[Code | None] = Field(as_it_is, "The code of the version: commit, uncommitted changes, repository.")
    runs: Field[list[str]] = Field(list, "The ids of the runs that made the version or worked on it.")
    _origin: OpenRegistry
    # The reference that follows the version when a pull renumbers it.
    _ref: VersionRef
    # The reference that the user wrote, if a pull gave its number to this version; None after a confirmation.
    _unconfirmed: VersionRef | None
    _frozen: Found | None
    _is_new: bool
    # For a handle from a list: the version as the list showed it.
    _listed: VersionView | None

    @classmethod
    def _of(
        cls,
        opened: OpenRegistry,
        ref: VersionRef,
        *,
        unconfirmed: VersionRef | None = None,
        frozen: Found | None = None,
        is_new: bool = False,
    ) -> Self:
        version = cls.__new__(cls)
        version._origin, version._ref, version._unconfirmed = opened, ref, unconfirmed
        version._frozen, version._is_new, version._listed = frozen, is_new, None
        return version

    @classmethod
    def _listed_as(cls, opened: OpenRegistry, view: VersionView, since: int) -> Self:
        """Return a handle of the version that a list showed as *view*, after the pull *since*."""
        version = cls._of(opened, VersionRef(view.model, str(view.record.number), since=since))
        version._listed = view
        return version

    @classmethod
    def _find(cls, opened: OpenRegistry, ref: VersionRef, *, for_change: bool = False, is_new: bool = False) -> Self:
        """Return the version that *ref* names now; *ref* is what a user wrote. Raises NotFound, Invalid, UsageError."""
        find = finding.find_to_change if ref.renumbered or ref.settles or for_change else finding.find
        found = find(opened.writer, ref)
        unconfirmed, frozen = ref if found.note else None, found if found.frozen else None
        return cls._of(opened, found.ref, unconfirmed=unconfirmed, frozen=frozen, is_new=is_new)

    @property
    def number(self) -> int:
        """The version's number, from 1, which changes if a pull renumbers the version."""
        return self._now[1]

    @property
    def reference(self) -> str:
        """The version's reference on the command line, such as `iris@3`."""
        model, number = self._now
        return f"{model}@{number}"

    @property
    def ref(self) -> VersionRef:
        """A reference that follows the version if a pull renumbers it, for methods of the client."""
        return self._ref

    @property
    def view(self) -> VersionView:
        """The version's record, stage and aliases, read once, as an immutable value."""
        return self._listed or versions.get_version(self._opened.writer, self._ref)

    def refresh(self) -> Self:
        """Make this handle, if it is from a list, read the version again on its next use. Return the handle."""
        self._listed = None
        return self

    @property
    def frozen(self) -> str:
        """The stage tag from which the version was read, such as `model/iris/production`; "" if the branch was read.

        In a registry by URL, a version found by stage or alias is read from its stage tag alone. `stage`, `aliases` and
        `pending` are still read from the branch.
        """
        return self._frozen.frozen if self._frozen is not None else ""

    @property
    def is_new(self) -> bool:
        """True if the call created the version; False if it existed already with the same idempotency key."""
        return self._is_new

    @property
    def is_local(self) -> bool:
        """True if the remote, when last contacted, did not have the version: a pull may then renumber it."""
        return self.view.local

    @property
    def stage(self) -> str | None:
        """The stage in which the version is in force: an exclusive stage, "archived" or None."""
        return self.view.stage

    @property
    def aliases(self) -> list[str]:
        """The aliases of the version that are in force."""
        return list(self.view.aliases)

    @property
    def pending(self) -> tuple[StageState, ...]:
        """Recorded changes of the version's stages and aliases that are not in force yet."""
        return self.view.pending

    @property
    def authorship(self) -> Authorship | None:
        """The author of the version, and the time and author of its last change; see `Client.authorships`.

        None if a shallow clone lacks the commits that created and changed the version.
        """
        from gitmodel.registry.lists.authorship import read_authorships  # imported here: few programs need SQLite

        writer = self._opened.writer
        at = writer.read_records(lambda snapshot: snapshot.commit)
        return read_authorships(writer.repository, at, writer.index_folder).get(self.reference)

    @property
    def readers(self) -> list[str]:
        """The ids of the runs that had an artifact of the version as an input and did not change it, oldest first."""
        from gitmodel.lineage import graph

        opened, (model, number) = self._opened, self._now
        return graph.readers(opened.repository, model, number, store=lambda: opened.store)

    def set_stage(
        self, stage: str | ModelStages, *, reason: str = "", force: bool = False, leave: bool = False
    ) -> Promotion:
        """Put the version into *stage* and archive the version that was there. "none" removes it from its stage.

        *force* overrides a failing gate and needs a *reason*. *leave* allows moving the version to an earlier stage
        although its current stage becomes empty. Raises UsageError for an unknown stage, and GateRefused if the version
        fails a rule of the stage. Raises Refused for a version of a failed run, and for a move to an earlier stage
        without *leave*.
        """
        why = Justification(reason, force)
        return self._change(lambda writer: stages.promote(writer, self._ref, str(stage), why=why, leave=leave))

    def add_alias(self, alias: str, *, reason: str = "") -> None:
        """Move *alias* to this version."""
        self._change(lambda writer: stages.set_alias(writer, self._ref, alias, reason=reason))

    def remove_alias(self, alias: str, *, reason: str = "") -> None:
        """Remove *alias* from this version. Raises NotFound if it is not an alias of this version."""
        view = self.refresh().view
        own = {*view.aliases, *(s.name for s in view.pending if s.alias and s.recorded == self.number)}
        own -= {state.name for state in view.pending if state.recorded not in (None, self.number)}
        if alias not in own:
            hint = f"its aliases: {', '.join(sorted(own)) or 'none'}"
            raise NotFound(f"{self.reference} has no alias {alias!a}", hint=hint)
        self._change(lambda writer: stages.remove_alias(writer, self._model_ref, alias, reason=reason))

    def update(
        self,
        *,
        name: str | None = None,
        description: str | None = None,
        tags: Iterable[str] | None = None,
        add_tags: Iterable[str] = (),
        remove_tags: Iterable[str] = (),
    ) -> Self:
        """Change description and tags, or give a name to a version without one.

        *tags* replaces all tags; *add_tags* and *remove_tags* add and remove some. Raises Refused if the version has a
        name already, UsageError for *tags* together with *add_tags* or *remove_tags*.
        """
        said = {"name": name, "description": description}
        changes = TagChanges.read(tags, add_tags, remove_tags)
        self._change(lambda writer: versions.update_version(writer, self._ref, **said, tags=changes))
        return self

    def delete(self, *, reason: str = "", force: bool = False) -> None:
        """Delete the version; its number is never used again. Raises Refused if it is in use, unless *force*."""
        self._change(lambda writer: versions.delete_version(writer, self._ref, why=Justification(reason, force)))

    def unlink(self, name: str) -> None:
        """Remove the artifact *name* from the version. Its bytes stay in the store."""
        from gitmodel.registry.linked_artifacts import linking

        self._change(lambda writer: linking.unlink_artifact(writer, self._ref, name))

    def detach(self, name: str) -> None:
        """Remove the attachment *name* from the version. Its bytes stay in the store. Raises NotFound."""
        from gitmodel.registry.linked_artifacts import linking

        self._change(lambda writer: linking.detach(writer, self._ref, name))

    def log_metadata(
        self,
        metadata: Mapping[str, Any] | None = None,
        *,
        artifact: str | None = None,
        attachment: str | None = None,
        **values: Any,
    ) -> None:
        """Set metadata of the version, its *artifact* or its *attachment*.

        Values: numbers, text, booleans, times, lists, tables.
        """
        form = f"it is of {self.reference}; write artifact= for one of its artifacts"
        refuse_other_keywords("log_metadata", values, form)
        self.set_metadata({**(metadata or {}), **values}, artifact=artifact, attachment=attachment)

    def set_metadata(
        self,
        values: Mapping[str, Any] | None = None,
        *,
        remove: Iterable[str] = (),
        artifact: str | None = None,
        attachment: str | None = None,
        table: str = "",
    ) -> None:
        """Set *values* and remove the keys in *remove*: metadata of the version, its *artifact* or its *attachment*.

        With *table*, the keys are those of an inner table of the metadata; its other keys stay as they are. Raises
        UsageError if a key is both set and removed, and if the value at *table* is not a table; NotFound for a key to
        remove that does not exist.

        >>> version.set_metadata({"reviewed": True}, remove=["draft"])        # doctest: +SKIP
        >>> version.set_metadata(remove=["draft"], attachment="report")       # doctest: +SKIP
        >>> version.set_metadata({"team": "plants"}, table="tags")            # doctest: +SKIP
        """
        changes: dict[str, Any] = {"on": artifact, "attached": attachment, "remove": tuple(remove), "table": table}
        self._change(lambda writer: versions.set_metadata(writer, self._ref, values or {}, **changes))

    def checkout(
        self,
        folder: str | os.PathLike[str],
        *,
        artifacts: str = "artifacts",
        attachments: str | None = None,
        submodules: bool = True,
    ) -> CheckedOut:
        """Create a work tree at *folder* with the code of this version, and its artifacts in the subfolder *artifacts*.

        In the subfolder, an artifact is at ARTIFACT/FILE. FILE is the name of the file or folder that was stored;
        artifacts of earlier releases, which did not record this name, are at ARTIFACT. If *attachments* names a
        subfolder, attachments are written to that subfolder in the same way. Otherwise attachments are left out,
        because they can change at any time.

        A missing commit is fetched from the remote where a push kept it. With *submodules*, the submodules of the code
        are fetched from their own remotes. Branches, the index and other work trees do not change; `git worktree
        remove` removes the work tree. Raises NotFound for a missing commit or artifact; UsageError if *folder* exists;
        Refused if a submodule cannot be fetched.
        """
        from gitmodel.lineage.checkout import checkout

        opened = self._opened
        return checkout(
            self.reference,
            self.view.record,
            Path(folder).expanduser(),
            source=lambda link: opened.access.source(self._model, link),
            code=opened.open_code(),
            folder=artifacts,
            attachments=attachments,
            submodules=submodules,
        )

    def export(self, path: str | os.PathLike[str], *, inputs: bool = False) -> Exported:
        """Write this version with its records, lineage and artifacts to the new file *path*.

        With *inputs*, everything from which the version was made is included. `missing` of the result lists recorded
        artifacts that are not in the file. Raises NotFound for an artifact that the store does not have, and UsageError
        if *path* exists.
        """
        from gitmodel.lineage.exporting import export

        opened = self._opened
        target = Path(path).expanduser()
        return export(opened.repository, self._ref, target, store=opened.access.of_model(self._model), inputs=inputs)

    def card(self) -> str:
        """Return the model card, made from the records alone: Markdown with the YAML header that model hubs read.

        The card shows the parameters of the run that made the version. Pictures in the card are files beside it. The
        header has the keys of https://huggingface.co/docs/hub/model-cards. Equal records give equal bytes.
        """
        from gitmodel.domain.views.cards import card
        from gitmodel.lineage.comparing import recorded_run, run_parameters

        record = self.view.record
        run = self._opened.writer.read(lambda snapshot: recorded_run(snapshot, record))
        repeatable = run is not None and bool(run.executor and run.script)
        model = model_views.get_model(self._opened.writer, self._model_ref)
        return card(self._model, model.record, record, run_parameters(run), repeatable=repeatable)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, VersionHandle) and self.reference == other.reference and self._opened is other._opened

    def __hash__(self) -> int:
        return hash((self._ref.model, self._ref.selector))

    def __repr__(self) -> str:
        return f"ModelVersion({self.reference!r})"

    def _repr_html_(self) -> str:
        from gitmodel.client import html  # imported here: only notebooks need it

        return html.fields_table(self.view.fields().items())

    @property
    def _opened(self) -> OpenRegistry:
        return self._origin.lasting

    @property
    def _now(self) -> Numbered:
        """The current model and number of the version."""
        asked = (self._ref.model, self._ref.number or 0)
        return self._opened.repository.renumberings().follow(asked, since=self._ref.since or 0)

    @property
    def _model(self) -> str:
        return self._now[0]

    @property
    def _model_ref(self) -> ModelRef:
        return ModelRef(self._model, since=self._opened.repository.renumberings().count)

    def _require_confirmed(self) -> None:
        """Raise Refused for an unconfirmed number, and forget the values that a list showed. Called before each change.

        A number is unconfirmed if a pull gave this number to this version and *renumbered* was not given.
        """
        self._listed = None
        if self._unconfirmed is not None:
            finding.find_to_change(self._opened.writer, self._unconfirmed)

    def _change(self, change: Callable[[Writer], T]) -> T:
        """Make *change* and return its result. Afterwards the handle reads the branch instead of its stage tag.

        Raises Refused as `_require_confirmed` does.
        """
        self._require_confirmed()
        done = change(self._opened.writer)
        self._frozen = None
        return done

    def _link(
        self,
        given: GivenArtifacts,
        *,
        external: bool = False,
        provider_digest: bool = False,
        by_digest: bool = False,
        file: str = "",
    ) -> None:
        from gitmodel.client import storing
        from gitmodel.registry.linked_artifacts import linking

        self._require_confirmed()
        if external:
            links = storing.describe_links(self._opened, self._ref, given, provider_digest=provider_digest)
        elif by_digest:
            links = storing.describe_stored_links(self._opened, self._ref, self._model, given, file)
        else:
            links = storing.store_links(self._opened, self._ref, self._model, given)
        self._change(lambda writer: linking.link_artifacts(writer, self._ref, links))

    def _attach(self, given: GivenArtifacts) -> None:
        from gitmodel.client import storing
        from gitmodel.registry.linked_artifacts import linking

        self._require_confirmed()
        links = storing.store_attachments(self._opened, self._ref, self._model, given)
        self._change(lambda writer: linking.attach(writer, self._ref, links))

    def _record(self) -> VersionRecord:
        if self._frozen is not None:
            return self._frozen.record
        if self._listed is not None:
            return self._listed.record
        return finding.find(self._opened.writer, self._ref).record

    def _field(self, name: str) -> Any:
        return getattr(self._record(), name)
