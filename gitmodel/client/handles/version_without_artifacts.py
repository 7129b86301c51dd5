"""The base class of version handles: record, metadata, stage and aliases of a version."""

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
    from gitmodel.lineage.code.checkout import CheckedOut
    from gitmodel.lineage.exporting import Exported
    from gitmodel.registry.records.finding import Found

T = TypeVar("T")


class VersionHandle:
    """The base class of a handle of a version: its record, metadata, stage and aliases, without its artifacts."""

    name: Field[str | None] = Field(as_it_is, "The version's own name, or None.")
    description = Field(str, "The description of the version.")
    created: Field[datetime] = Field(as_it_is, "The time when the version was created, in UTC.")
    tags: Field[list[str]] = Field(list, "The tags of the version, sorted.")
    metadata: Field[dict[str, Any]] = Field(dict, "The metadata of the version.")
    code: Field[Code | None] = Field(as_it_is, "The code of the version: commit, uncommitted changes, repository.")
    runs: Field[list[str]] = Field(list, "The ids of the runs that made the version or worked on it.")
    _origin: OpenRegistry
    # A reference that still names this version after a pull has renumbered it.
    _ref: VersionRef
    # The reference that the user wrote, if it may mean another version, because a pull gave its number to this version.
    # None in all other cases, and after the user has confirmed that this version is meant.
    _unconfirmed: VersionRef | None
    _frozen: Found | None
    _is_new: bool
    # The values that a list had for this version, if the handle is an item of a list; else None.
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
        """Return a handle that keeps *view*, the values that a list has for the version.

        *since* is the number of the last pull before the list was read that renumbered versions. If a later pull
        renumbers the version, the handle still names the same version.
        """
        version = cls._of(opened, VersionRef(view.model, str(view.record.number), since=since))
        version._listed = view
        return version

    @classmethod
    def _find(cls, opened: OpenRegistry, ref: VersionRef, *, for_change: bool = False, is_new: bool = False) -> Self:
        """Return a handle of the version that *ref*, which a user wrote, names now.

        If a pull gave the number in *ref* to another version, warns or, if *for_change* is True, raises Refused. Raises
        NotFound if there is no such version, Invalid if its record is damaged, UsageError if *ref* names only a model.
        """
        find = finding.find_to_change if ref.renumbered or ref.settles or for_change else finding.find
        found = find(opened.writer, ref)
        unconfirmed, frozen = ref if found.note else None, found if found.frozen else None
        return cls._of(opened, found.ref, unconfirmed=unconfirmed, frozen=frozen, is_new=is_new)

    @property
    def number(self) -> int:
        """The current number of the version, from 1. It changes if a pull renumbers the version."""
        return self._now[1]

    @property
    def reference(self) -> str:
        """The reference of the version with its number, such as `iris@3`, as commands and methods accept it."""
        model, number = self._now
        return f"{model}@{number}"

    @property
    def ref(self) -> VersionRef:
        """A reference for methods of the client that still names this version after a pull has renumbered it."""
        return self._ref

    @property
    def view(self) -> VersionView:
        """The record, stage and aliases of the version, as an immutable value that does not change later."""
        return self._listed or versions.get_version(self._opened.writer, self._ref)

    def refresh(self) -> Self:
        """Forget the values that a list had for this version, so that the next use reads it again. Return self."""
        self._listed = None
        return self

    @property
    def frozen(self) -> str:
        """The name of the stage tag from which the version was read, such as `model/iris/production`; else "".

        In a registry by URL, a version that was found by a stage or alias is read at the commit of its stage tag, and
        not from the branch. But `stage`, `aliases` and `pending` are always read from the branch.
        """
        return self._frozen.frozen if self._frozen is not None else ""

    @property
    def is_new(self) -> bool:
        """True if the call that returned this handle created the version.

        False if the version existed already, for example because it was created with the same idempotency key.
        """
        return self._is_new

    @property
    def is_local(self) -> bool:
        """True if the remote did not have the version at the last contact. A pull may renumber such a version."""
        return self.view.local

    @property
    def stage(self) -> str | None:
        """The stage in which the version is in force: an exclusive stage, "archived", or None for no stage."""
        return self.view.stage

    @property
    def aliases(self) -> list[str]:
        """The aliases of this version that are in force. `pending` has those that are only recorded."""
        return list(self.view.aliases)

    @property
    def pending(self) -> tuple[StageState, ...]:
        """The recorded changes of stages and aliases of this version that are not in force yet."""
        return self.view.pending

    @property
    def authorship(self) -> Authorship | None:
        """The person who created the version, and the time and author of its last change; see `Client.authorships`.

        None if a shallow clone lacks the commits that created and changed the version.
        """
        from gitmodel.registry.lists.authorship import read_authorships  # imported here: few programs need SQLite

        writer = self._opened.writer
        at = writer.read_records(lambda snapshot: snapshot.commit)
        return read_authorships(writer.repository, at, writer.index_folder).get(self.reference)

    @property
    def readers(self) -> list[str]:
        """The ids of the runs that only read an artifact of the version as an input, oldest first.

        Runs that made the version or worked on it are not included.
        """
        from gitmodel.lineage import graph

        opened, (model, number) = self._opened, self._now
        return graph.readers(opened.repository, model, number, store=lambda: opened.store)

    def set_stage(
        self, stage: str | ModelStages, *, reason: str = "", force: bool = False, leave: bool = False
    ) -> Promotion:
        """Put this version into *stage*, and archive the version that was in *stage*.

        "none" removes this version from its stage. If the version fails a rule of the stage, raises GateRefused, unless
        *force* overrides the rule, which needs a *reason*. If the version is in a stage that is after *stage* in
        `Client.stage_names`, the move would empty that later stage: raises Refused unless *leave* is True. Raises
        UsageError for an unknown stage, and Refused if the version belongs to a failed run.
        """
        why = Justification(reason, force)
        return self._change(lambda writer: stages.promote(writer, self._ref, str(stage), why=why, leave=leave))

    def add_alias(self, alias: str, *, reason: str = "") -> None:
        """Give this version *alias*. If another version of the model has it, that version loses it."""
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
        """Change the description and the tags of the version, or give it a *name* if it has none.

        *tags* replaces all tags; *add_tags* and *remove_tags* add and remove single tags. Raises Refused if *name* is
        given and the version already has another name, UsageError if *tags* is given together with *add_tags* or
        *remove_tags*.
        """
        said = {"name": name, "description": description}
        changes = TagChanges.read(tags, add_tags, remove_tags)
        self._change(lambda writer: versions.update_version(writer, self._ref, **said, tags=changes))
        return self

    def delete(self, *, reason: str = "", force: bool = False) -> None:
        """Delete the version. Its number is never used again.

        Raises Refused if the version is in a stage or has an alias, unless *force* is True.
        """
        self._change(lambda writer: versions.delete_version(writer, self._ref, why=Justification(reason, force)))

    def unlink(self, name: str) -> None:
        """Remove the artifact *name* from the version. The bytes of the artifact stay in the store."""
        from gitmodel.registry.linked_artifacts import linking

        self._change(lambda writer: linking.unlink_artifact(writer, self._ref, name))

    def detach(self, name: str) -> None:
        """Remove the attachment *name*; its bytes stay in the store. Raises NotFound if there is no such attachment."""
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
        """Set metadata of the version or, if *artifact* or *attachment* is a name, of its artifact or attachment.

        *metadata* and *values* are keys with their values: numbers, text, booleans, times, lists or tables.
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
        """Set *values* in the metadata of the version, and remove the keys *remove* from it, in one commit.

        If *artifact* or *attachment* is a name, changes the metadata of this artifact or attachment of the version
        instead. If *table* is given, changes keys of the inner table *table* of the metadata; the other keys of this
        table stay as they are. Raises UsageError if a key is in *values* and in *remove*, and if *table* names a value
        that is not a table; NotFound if a key in *remove* does not exist.

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

        An artifact is written to ARTIFACT/FILE in the subfolder: ARTIFACT is its name, and FILE the name of the file or
        folder that was stored. If no file name is recorded, as in early releases, it is written to ARTIFACT. If
        *attachments* is the name of a subfolder, attachments are written to that subfolder in the same way. By default
        they are left out, because they can change at any time.

        If the code repository lacks the commit, it is fetched from the remote to which a push copied it. If
        *submodules* is True, the submodules of the code are fetched from their own remotes. Branches, git's index and
        other work trees do not change. `git worktree remove` removes the new work tree. Raises NotFound if the commit
        or an artifact cannot be found; UsageError if *folder* exists and is not empty; Refused if a submodule cannot be
        fetched.
        """
        from gitmodel.lineage.code.checkout import checkout

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

        If *inputs* is True, the file also has all artifacts from which the version was made. `missing` of the result
        lists recorded items that are not in the file, each with advice. Raises NotFound if the store does not have an
        artifact of the version, and UsageError if *path* exists.
        """
        from gitmodel.lineage.exporting import export

        opened = self._opened
        target = Path(path).expanduser()
        return export(opened.repository, self._ref, target, store=opened.access.of_model(self._model), inputs=inputs)

    def card(self) -> str:
        """Return the model card of the version: Markdown with the YAML header that model hubs read.

        The card is made only from the records, so equal records give equal text. It shows the parameters of the run
        that made the version. It refers to pictures as files in the same folder as the card. The header has the keys of
        https://huggingface.co/docs/hub/model-cards.
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
        """The current name of the model and the current number of the version."""
        asked = (self._ref.model, self._ref.number or 0)
        return self._opened.repository.renumberings().follow(asked, since=self._ref.since or 0)

    @property
    def _model(self) -> str:
        return self._now[0]

    @property
    def _model_ref(self) -> ModelRef:
        return ModelRef(self._model, since=self._opened.repository.renumberings().count)

    def _require_confirmed(self) -> None:
        """Forget the values that a list had for the version. Called before each change.

        Raises Refused if the user named the version by a number that a pull gave to it, and did not pass
        `renumbered=True` to confirm that this version is meant.
        """
        self._listed = None
        if self._unconfirmed is not None:
            finding.find_to_change(self._opened.writer, self._unconfirmed)

    def _change(self, change: Callable[[Writer], T]) -> T:
        """Call *change* with the writer of the registry, and return its result.

        Afterwards the handle reads the version from the branch, even if it was read from a stage tag before. Raises the
        error of `_require_confirmed`.
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
        if not by_digest:
            storing.check_formats(given, external=external)
        opened = self._opened
        linking.check_links(opened.writer, self._ref, given.kinds, metadata=given.metadata)
        if external:
            links = storing.describe_external_links(opened, given, provider_digest=provider_digest)
        elif by_digest:
            links = storing.describe_stored_links(opened, self._model, given, file)
        else:
            links = storing.store_given(opened, self._model, given)
        self._change(lambda writer: linking.link_artifacts(writer, self._ref, links))

    def _attach(self, given: GivenArtifacts) -> None:
        from gitmodel.client import storing
        from gitmodel.registry.linked_artifacts import linking

        self._require_confirmed()
        storing.check_formats(given)
        opened, names = self._opened, [name for name, _ in given.kinds]
        linking.check_attachments(opened.writer, self._ref, names, metadata=given.metadata)
        links = storing.store_given(opened, self._model, given)
        self._change(lambda writer: linking.attach(writer, self._ref, links))

    def _record(self) -> VersionRecord:
        if self._frozen is not None:
            return self._frozen.record
        if self._listed is not None:
            return self._listed.record
        return finding.find(self._opened.writer, self._ref).record

    def _field(self, name: str) -> Any:
        return getattr(self._record(), name)
