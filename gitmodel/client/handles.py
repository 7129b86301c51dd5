"""The handle of a version, and a list of them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from gitmodel.client.artifact import Artifact
from gitmodel.client.html import html_table
from gitmodel.client.opened import Opened
from gitmodel.domain.arguments import checked_arguments
from gitmodel.domain.changes.stages import Promotion, StageState
from gitmodel.domain.other_names import ShowsOurForm, refuse_other_keywords
from gitmodel.domain.schema.codec import MAX_NESTING
from gitmodel.domain.schema.records import Code, VersionRecord
from gitmodel.domain.schema.references import VersionRef
from gitmodel.domain.schema.renumbering import Numbered
from gitmodel.domain.views import VersionView
from gitmodel.errors import NotFound
from gitmodel.registry import stages, versions

if TYPE_CHECKING:
    from gitmodel.client.model import Model, ModelStages
    from gitmodel.lineage.checkout import CheckedOut
    from gitmodel.lineage.exporting import Exported
    from gitmodel.registry.versions import Found
    from gitmodel.registry.writer import Writer
    from gitmodel.stores.artifacts import Progress

T = TypeVar("T")


@checked_arguments
class ModelVersion(ShowsOurForm):
    """A version of a model: a handle that reads again when the branch has moved.

    It goes on to name the same version when a pull gives that another number.
    """

    _other_names: ClassVar[Mapping[str, str]] = {
        **dict.fromkeys(
            ("get_data_artifact", "get_deployment_artifact", "get_model_artifact"), 'write get_artifact("NAME")'
        ),
        "load_artifact": 'write get_artifact("NAME").load()',
        "run_metadata": "write metadata",
        "pipeline_run_ids": "write runs",
    }

    def __init__(
        self, opened: Opened, ref: VersionRef, *, unsure: VersionRef | None = None, frozen: Found | None = None
    ) -> None:
        self._found = opened
        # what it names, and the reference that it was found by if a pull had given its number to another version
        self._asked = ref
        self._unsure = unsure
        self._frozen = frozen

    @classmethod
    def _find(cls, opened: Opened, ref: VersionRef) -> ModelVersion:
        """The version that *ref*, which a person wrote, names now. Raises NotFound, Invalid, UsageError."""
        find = versions.find_to_change if ref.renumbered or ref.settles else versions.find
        found = find(opened.writer, ref)
        return cls(opened, found.ref, unsure=ref if found.note else None, frozen=found if found.frozen else None)

    @property
    def number(self) -> int:
        """The version's number, from 1; another one after a pull that had to renumber it."""
        return self._now[1]

    @property
    def model(self) -> Model:
        """The model that this is a version of."""
        from gitmodel.client.model import Model

        return Model._of(self._opened, self._model)

    @property
    def reference(self) -> str:
        """The version's reference on the command line, such as `iris@3`."""
        model, number = self._now
        return f"{model}@{number}"

    @property
    def frozen(self) -> str:
        """The stage tag, such as `model/iris/production`, that what is said here is as old as; "": it is of now.

        Of a registry by URL the tag is all that a version found by stage or alias was read from. Where it is now
        (`stage`, `aliases`, `pending`) is asked of the branch.
        """
        return self._frozen.frozen if self._frozen is not None else ""

    @property
    def name(self) -> str | None:
        """The version's own name, if it has one."""
        return self._record().name

    @property
    def is_local(self) -> bool:
        """True if the remote, as last seen, does not have it yet, so that a pull may give it another number."""
        return self._view().local

    @property
    def description(self) -> str:
        """The description of the version."""
        return self._record().description

    @property
    def created(self) -> datetime:
        """The time when the version was created, in UTC."""
        return self._record().created

    @property
    def tags(self) -> list[str]:
        """The tags of the version, sorted."""
        return list(self._record().tags)

    @property
    def metadata(self) -> dict[str, Any]:
        """The metadata of the version."""
        return dict(self._record().metadata)

    @property
    def code(self) -> Code | None:
        """The code that made the version."""
        return self._record().code

    @property
    def stage(self) -> str | None:
        """The stage it is in, in force: an exclusive stage, "archived" or None."""
        return self._view().stage

    @property
    def aliases(self) -> list[str]:
        """The aliases it has, in force."""
        return list(self._view().aliases)

    @property
    def pending(self) -> tuple[StageState, ...]:
        """The stages and aliases that are recorded for it, or taken from it, and not in force yet."""
        return self._view().pending

    @property
    def runs(self) -> list[str]:
        """The ids of the runs that made it or worked on it."""
        return list(self._record().runs)

    @property
    def readers(self) -> list[str]:
        """The ids of the runs that only read it: that took one of its artifacts as an input, oldest first."""
        from gitmodel.lineage import graph

        opened, view = self._opened, self._view()
        return graph.readers(opened.repository, view.model, view.record.number, store=lambda: opened.store)

    @property
    def artifacts(self) -> list[Artifact]:
        """The artifacts of the version, by name."""
        return [Artifact(self, link.name) for link in self._record().artifacts]

    @property
    def data(self) -> list[Artifact]:
        """The artifacts that are data."""
        return self._of_kind("data")

    @property
    def model_objects(self) -> list[Artifact]:
        """The artifacts that are model objects."""
        return self._of_kind("model")

    @property
    def deployments(self) -> list[Artifact]:
        """The artifacts that are deployments."""
        return self._of_kind("deployment")

    @property
    def outputs(self) -> list[Artifact]:
        """The outputs of runs that worked on this version when it existed already; the oldest run first.

        These are no artifacts of the version, whose links may be in use: each has its `run`.
        """
        from gitmodel.registry.run_outputs import list_outputs

        found = list_outputs(self._opened.writer, self._ref(), store=lambda: self._opened.store)
        return [Artifact(self, output.link.name, output=output) for output in found]

    def get_artifact(self, name: str, *, run: str | None = None) -> Artifact:
        """Return the artifact called *name*, else the output of that name of a run that worked on this version.

        With *run*, the id of a run, only its outputs are searched. Raises NotFound, which says what there is;
        UsageError if several runs made different outputs of that name.
        """
        from gitmodel.registry.run_outputs import find_artifact

        opened = self._opened
        found = self._frozen or versions.find(opened.writer, self._ref())
        with opened.repository.git.looking_up():
            artifact = find_artifact(opened.writer, found, name, run=run, store=lambda: opened.store)
        return Artifact(self, artifact.link.name, output=artifact if artifact.run else None)

    def set_stage(
        self, stage: str | ModelStages, *, reason: str = "", force: bool = False, leave: bool = False
    ) -> Promotion:
        """Put the version into *stage* and archive the version that held it. "none" leaves the stage.

        *force* passes a failing gate and needs a *reason* then. *leave* lets the version move to an earlier stage,
        although its later stage becomes empty. Raises UsageError for an unknown stage, GateRefused for a version that
        fails a rule of the stage, Refused for a version of a failed run or one that would empty a later stage.
        """
        return self._change(
            lambda writer: stages.promote(writer, self._ref(), str(stage), reason=reason, force=force, leave=leave)
        )

    def add_alias(self, alias: str, *, reason: str = "") -> None:
        """Make *alias* name this version; it is taken from the version that had it."""
        self._change(lambda writer: stages.set_alias(writer, self._ref(), alias, reason=reason))

    def remove_alias(self, alias: str, *, reason: str = "") -> None:
        """Take *alias* from this version. Raises NotFound if it is not its own."""
        view = self._view()
        own = {*view.aliases, *(s.name for s in view.pending if s.alias and s.recorded == self._number)}
        own -= {state.name for state in view.pending if state.recorded not in (None, self._number)}
        if alias not in own:
            hint = f"its aliases: {', '.join(sorted(own)) or 'none'}"
            raise NotFound(f"{self.reference} has no alias {alias!a}", hint=hint)
        self._change(lambda writer: stages.remove_alias(writer, self.model._asked, alias, reason=reason))

    def update(
        self,
        *,
        name: str | None = None,
        description: str | None = None,
        tags: Iterable[str] | None = None,
        add_tags: Iterable[str] = (),
        remove_tags: Iterable[str] = (),
    ) -> ModelVersion:
        """Change description and tags, or name a version that has no name.

        *tags* replaces all tags; *add_tags* and *remove_tags* change them. Raises Refused for a second name, UsageError
        for *tags* together with one of these.
        """
        self._change(
            lambda writer: versions.update_version(
                writer,
                self._ref(),
                name=name,
                description=description,
                tags=tags,
                add_tags=add_tags,
                remove_tags=remove_tags,
            )
        )
        return self

    def delete(self, *, reason: str = "", force: bool = False) -> None:
        """Delete the version; its number is never used again. Raises Refused if it is in use, unless *force*."""
        self._change(lambda writer: versions.delete_version(writer, self._ref(), reason=reason, force=force))

    def link_artifact(
        self,
        name: str,
        path: str | os.PathLike[str],
        *,
        kind: str = "data",
        format: str = "",
        metadata: Mapping[str, Any] | None = None,
        progress: Progress | None = None,
    ) -> Artifact:
        """Store the file or folder at *path* and link it as *name*; *kind* is "data", "model" or "deployment".

        *format* is found from the content if left out. Raises Refused if the version is in a stage or has an alias.
        """
        from gitmodel.registry import artifacts

        self._check_meant()
        said = scalars(metadata or {})
        artifacts.check_links(
            self._opened.writer,
            self._ref(),
            [(name, kind)],
            metadata=said,
            format=format,
            folder=Path(path).is_dir(),
        )
        link = artifacts.store_artifact(
            self._opened.access.of_model(self._model),
            name,
            Path(path),
            kind=kind,
            format=format,
            metadata=said,
            allow_credentials=self._opened.repository.allows_credentials,
            progress=progress,
        )
        self._change(lambda writer: artifacts.link_artifacts(writer, self._ref(), [link]))
        return Artifact(self, name)

    def link_external(
        self,
        name: str,
        uri: str | os.PathLike[str],
        *,
        kind: str = "data",
        format: str = "",
        metadata: Mapping[str, Any] | None = None,
        provider_digest: bool = False,
        progress: Progress | None = None,
    ) -> Artifact:
        """Link the file at *uri* (`s3://bucket/key`, `https://...`, a path), which stays where it is.

        It is read once and hashed; with *provider_digest* it is not, and the SHA-256 that its store keeps of the whole
        object is taken. Where its store has versions, this version is linked. To link the same bytes at another place
        says where they are now, at any time. Raises NotFound, UsageError, Conflict if it changed meanwhile, Refused if
        the version is in a stage or has an alias, Unreachable.

        >>> version.link_external("raw", "s3://bucket/huge.parquet")          # doctest: +SKIP
        Artifact('iris@4', 'raw')
        """
        from gitmodel.registry import artifacts

        self._check_meant()
        said = scalars(metadata or {})
        artifacts.check_links(self._opened.writer, self._ref(), [(name, kind)], metadata=said, format=format)
        link = artifacts.describe_external(
            name,
            os.fspath(uri),
            kind=kind,
            format=format,
            metadata=said,
            provider_digest=provider_digest,
            trusted=self._opened.access.trusted(),
            progress=progress,
        )
        self._opened.access.trust_place(link.uri or "")
        self._change(lambda writer: artifacts.link_artifacts(writer, self._ref(), [link]))
        return Artifact(self, name)

    def unlink(self, name: str) -> None:
        """Take the artifact *name* from the version; its bytes stay in the store."""
        from gitmodel.registry import artifacts

        self._change(lambda writer: artifacts.unlink_artifact(writer, self._ref(), name))

    def log_metadata(
        self, metadata: Mapping[str, Any] | None = None, *, artifact: str | None = None, **values: Any
    ) -> None:
        """Set metadata of the version, or of its *artifact*: numbers, text, booleans, times, lists, tables."""
        form = f"it is of {self.reference}; write artifact= for one of its artifacts"
        refuse_other_keywords("log_metadata", values, form)
        given = scalars({**(metadata or {}), **values})
        self._change(lambda writer: versions.set_metadata(writer, self._ref(), given, on=artifact))

    def checkout(
        self, folder: str | os.PathLike[str], *, artifacts: str = "artifacts", submodules: bool = True
    ) -> CheckedOut:
        """Make a work tree at *folder* with the code of this version, its artifacts in the folder *artifacts* of it.

        A commit that is not here is fetched from where a push kept it, and so are *submodules*, from where they are.
        No branch, index or other work tree is touched; `git worktree remove` takes it away. Raises NotFound for a
        commit or artifact that is not there, saying how to get it; UsageError for a place that is taken; Refused for a
        submodule that cannot be had.
        """
        from gitmodel.lineage.checkout import checkout

        opened = self._opened
        return checkout(
            self.reference,
            self._view().record,
            Path(folder).expanduser(),
            source=lambda link: opened.access.source(self._model, link),
            code=opened.open_code(),
            folder=artifacts,
            submodules=submodules,
        )

    def export(self, path: str | os.PathLike[str], *, inputs: bool = False) -> Exported:
        """Write this version with its records, lineage and artifacts to the new file *path*.

        With *inputs* the bytes of everything that it was made from are in it as well. What is not in it is named in
        `missing`. Raises NotFound for an artifact that the store does not have, UsageError if *path* is there already.
        """
        from gitmodel.lineage.exporting import export

        opened = self._opened
        target = Path(path).expanduser()
        return export(opened.repository, self._ref(), target, store=opened.access.of_model(self._model), inputs=inputs)

    def card(self) -> str:
        """The model card: Markdown with the YAML header that model hubs read, from the records alone.

        The header has the keys of https://huggingface.co/docs/hub/model-cards; equal records give equal bytes.
        """
        from gitmodel.domain.cards import card

        return card(self._model, self.model.record, self._view().record)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ModelVersion) and self.reference == other.reference and self._opened is other._opened

    def __hash__(self) -> int:
        return hash((self._asked.model, self._asked.selector))

    def __repr__(self) -> str:
        return f"ModelVersion({self.reference!r})"

    def _repr_html_(self) -> str:
        fields = self._view().fields()
        return html_table(
            ("field", "value"), [(key, value) for key, value in fields.items() if value not in (None, "", [], {})]
        )

    @property
    def _opened(self) -> Opened:
        return self._found.lasting

    def _ref(self) -> VersionRef:
        return self._asked

    @property
    def _now(self) -> Numbered:
        """The model and the number that the version has now."""
        asked = (self._asked.model, self._asked.number or 0)
        return self._opened.repository.renumberings().follow(asked, since=self._asked.since or 0)

    @property
    def _model(self) -> str:
        return self._now[0]

    @property
    def _number(self) -> int:
        return self._now[1]

    def _check_meant(self) -> None:
        """Raise Refused for a version found by a number that a pull had given to it, unless *renumbered* was given."""
        if self._unsure is not None:
            versions.find_to_change(self._opened.writer, self._unsure)

    def _change(self, change: Callable[[Writer], T]) -> T:
        """Make *change* and return its result. Afterwards the handle reads the branch, no longer its stage tag.

        Raises Refused as `_check_meant`.
        """
        self._check_meant()
        done = change(self._opened.writer)
        self._frozen = None
        return done

    def _record(self) -> VersionRecord:
        if self._frozen is not None:
            return self._frozen.record
        return versions.find(self._opened.writer, self._ref()).record

    def _view(self) -> VersionView:
        return versions.get_version(self._opened.writer, self._ref())

    def _of_kind(self, kind: str) -> list[Artifact]:
        return [Artifact(self, link.name) for link in self._record().artifacts if link.kind == kind]


class Versions(tuple[ModelVersion, ...]):
    """A list of versions, with a table for notebooks.

    *total* is how many versions the model has, deleted ones left out; None where a filter and a limit chose a part.

    >>> Versions((), total=60)
    Versions(0 of 60)
    """

    total: int | None

    def __new__(cls, versions: Iterable[ModelVersion] = (), *, total: int | None = None) -> Versions:
        made = super().__new__(cls, versions)
        made.total = total
        return made

    def __repr__(self) -> str:
        if self.total is None or self.total <= len(self):
            return super().__repr__()
        ends = f": {self[0]!r} ... {self[-1]!r}; list_versions() has all" if self else ""
        return f"Versions({len(self)} of {self.total}{ends})"

    def _repr_html_(self) -> str:
        views = [version._view() for version in self]
        rows = [
            (v.record.number, v.record.name, v.stage, ", ".join(v.aliases), v.record.created, v.record.description)
            for v in views
        ]
        table = html_table(("version", "name", "stage", "aliases", "created", "description"), rows)
        part = self.total is not None and self.total > len(self)
        return f"{table}<p>{len(self)} of {self.total} versions; list_versions() has all</p>" if part else table


def scalars(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return *values* with NumPy's and the like's single numbers as Python's, as deep as a record can be nested."""
    return {key: _scalar(value, 1) for key, value in values.items()}


def _scalar(value: Any, depth: int) -> Any:
    if depth <= MAX_NESTING and isinstance(value, Mapping):
        return {key: _scalar(item, depth + 1) for key, item in value.items()}
    if depth <= MAX_NESTING and isinstance(value, (list, tuple)):
        return [_scalar(item, depth + 1) for item in value]
    if getattr(value, "ndim", None) == 0 and hasattr(value, "item"):
        return value.item()
    return value
