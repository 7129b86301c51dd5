"""The records of the format: the keys of each file on the metadata branch. Pure.

`docs/reference/format.md` describes them for other implementations.
"""

from collections.abc import Iterable, Mapping
from dataclasses import field, fields, replace
from datetime import datetime
from typing import Annotated, Any, ClassVar

from gitmodel.domain.schema import codec
from gitmodel.domain.schema.codec import NOT_A_KEY, OLDEST_FORMAT, REQUIRED, Record, since
from gitmodel.domain.schema.digests import digest_of
from gitmodel.domain.schema.record_values import (
    DIGEST_SOURCES,
    FOLDER_FORMAT,
    RUN_STATUSES,
    SKIPPED,
    STEP_STATUSES,
    CommitId,
    Digest,
    FileName,
    Format,
    Kind,
    Name,
    Number,
    RunId,
    VersionName,
    Words,
    matching,
    one_of,
)
from gitmodel.domain.schema.registry_rules.registry_record import RegistryRecord

# The content of every archived marker. It is always the same, so that merges of two markers never conflict.
ARCHIVED_MARKER = b"archived = true\n"


def _described(help: str, *, heading: str = "") -> dict[str, str]:
    """Return the metadata of a field that describes a model: its *help*, and its *heading* in a model card."""
    return {"help": help, "heading": heading}


class ModelRecord(Record, kw_only=True):
    """`model.toml`: the description of a model, or the tombstone of a deleted or renamed one.

    *store* is the name of the store for new artifacts of the model.
    """

    title: str = field(default="", metadata=_described("Display name."))
    created: datetime
    license: str = field(default="", metadata=_described("License, such as MIT or Apache-2.0."))
    description: str = field(default="", metadata=_described("Description."))
    audience: str = field(default="", metadata=_described("Intended users.", heading="For whom"))
    use_cases: str = field(default="", metadata=_described("Intended use cases.", heading="Uses"))
    limitations: str = field(default="", metadata=_described("Known limitations.", heading="Limitations"))
    trade_offs: str = field(default="", metadata=_described("Trade-offs that were made.", heading="Trade-offs"))
    ethics: str = field(default="", metadata=_described("Ethical considerations.", heading="Ethical considerations"))
    tags: Words = field(default=(), metadata=_described("Words for finding the model, sorted."))
    owners: Words = field(default=(), metadata=_described("People or teams responsible for the model, sorted."))
    store: Name | None = field(default=None, metadata=since(1, 1))
    deleted: datetime | None = None
    reason: str = ""
    last_number: int | None = None
    renamed_to: Name | None = None
    metadata: Mapping[str, Any] = field(
        default_factory=dict, metadata=_described("Metadata of the model.") | since(1, 2)
    )

    @property
    def exists(self) -> bool:
        return self.deleted is None and self.renamed_to is None


# Of the keys with which a person describes a model: the help of each key, the keys with a text, and the headings of
# keys in a model card.
DESCRIPTIVE = {field.name: field.metadata["help"] for field in fields(ModelRecord) if "help" in field.metadata}
DESCRIPTIVE_TEXTS = tuple(name for name in DESCRIPTIVE if getattr(ModelRecord, name, None) == "")
HEADINGS = {field.name: field.metadata["heading"] for field in fields(ModelRecord) if field.metadata.get("heading")}


class Code(Record, kw_only=True):
    """The code of a version: the commit, whether it had uncommitted changes, and the URL of the code repository.

    *outside* is True if there was no code repository. *commit* is None if the repository had no commit yet. *snapshot*
    is the commit that stores uncommitted changes, if they were stored. *changed* counts the changed files and the new
    folders; it is not recorded.
    """

    commit: CommitId | None = None
    dirty: bool | None = None
    snapshot: CommitId | None = field(default=None, metadata=since(1, 1))
    repository: str | None = None
    outside: bool = False
    changed: int | None = field(default=None, compare=False, repr=False, metadata=NOT_A_KEY)


class Origin(Record, kw_only=True):
    """The version of another registry that a version was copied from.

    *registry* is the URL of that registry without credentials; None if it has only a path. *commit* is the commit of
    its metadata branch that was read.
    """

    introduced: ClassVar[tuple[int, int]] = (1, 2)
    registry: str | None = None
    model: Name
    version: Number
    commit: CommitId | None = None

    def __str__(self) -> str:
        reference = f"{self.model}@{self.version}"
        return f"{reference} of {self.registry}" if self.registry else reference

    def is_same(self, other: "Origin | None") -> bool:
        """Return True if *other* is the same version of the same registry, even if it was read at another commit."""
        return other is not None and replace(self, commit=None) == replace(other, commit=None)


class ArtifactLink(Record, kw_only=True):
    """An artifact of a version: *kind* is "data", "model" or "deployment"; *size* in bytes; *digest* `sha256:<hex>`.

    An external artifact stays at *uri*; *version_id* is the id of its content, if the store at *uri* gives such ids.
    *digest_by* is "provider" if this store reported the digest; otherwise gitmodel read and hashed the bytes.
    *needs_trust* are the full names of the classes and functions that a machine must trust before it loads the
    artifact. *file* is the name of the original file or folder; older records lack it.
    """

    name: Name
    kind: Kind
    digest: Digest
    size: int
    format: Format = field(default="bytes", metadata=REQUIRED)
    pipeline: Name | None = None
    step: str | None = None
    uri: str | None = field(default=None, metadata=since(1, 1))
    version_id: str | None = field(default=None, metadata=since(1, 1))
    digest_by: Annotated[str, one_of(*DIGEST_SOURCES)] | None = field(default=None, metadata=since(1, 1))
    needs_trust: Words = field(default=(), metadata=since(1, 2))
    file: FileName | None = field(default=None, metadata=since(1, 2))
    metadata: Mapping[str, Any] = field(default_factory=dict)

    @property
    def file_name(self) -> str:
        """The name of the file or folder to which a download writes: *file*, or else the name of the artifact."""
        return self.file or self.name

    @property
    def is_external(self) -> bool:
        """True if the bytes are outside the stores of the registry."""
        return self.uri is not None

    @property
    def is_folder(self) -> bool:
        """True if the artifact is a folder, whose digest is the digest of a manifest."""
        return self.format == FOLDER_FORMAT


ATTACHMENT = "attachment"


class Attachment(ArtifactLink, kw_only=True):
    """A file or folder that was added to a version at any time. Promotions do not depend on attachments."""

    introduced: ClassVar[tuple[int, int]] = (1, 2)
    kind: Annotated[str, one_of(ATTACHMENT)] = ATTACHMENT


class Imported(Record, kw_only=True):
    """The claims of another registry about a version that was imported from it.

    *source* is the address of that registry, and *id* the version's id there. Nobody signed *author* and *created*, and
    no gate or audit uses them: the commit that imported the version has its own author and time.
    """

    introduced: ClassVar[tuple[int, int]] = (1, 2)
    source: Annotated[str, matching(r"\S.{0,499}", "the address of a registry, of at most 500 characters")]
    id: str
    author: str = ""
    created: datetime | None = None


class VersionRecord(Record, kw_only=True):
    """The file of a version: its metadata, code, artifacts and attachments."""

    number: Number
    name: VersionName | None = None
    created: datetime
    description: str = ""
    tags: Words = ()
    runs: tuple[RunId, ...] = ()
    failed: bool = False
    deleted: datetime | None = None
    reason: str = ""
    code: Code | None = None
    origin: Origin | None = field(default=None, metadata=since(1, 2))
    imported: Imported | None = field(default=None, metadata=since(1, 2))
    metadata: Mapping[str, Any] = field(default_factory=dict)
    artifacts: tuple[ArtifactLink, ...] = ()
    attachments: tuple[Attachment, ...] = ()

    @property
    def links(self) -> tuple[ArtifactLink, ...]:
        """The artifacts and the attachments of the version."""
        return (*self.artifacts, *self.attachments)

    @property
    def usable(self) -> bool:
        """True if the version can be `latest` and can be promoted: it is neither deleted nor failed."""
        return self.deleted is None and not self.failed

    @property
    def skipped(self) -> bool:
        """True if no version ever had this number, because the user gave a later version a higher number."""
        return self.deleted == self.created and self.reason.startswith(SKIPPED)

    def artifact(self, name: str) -> ArtifactLink | None:
        """Return the artifact link that is called *name*, or None."""
        return next((link for link in self.artifacts if link.name == name), None)


class NameRecord(Record, kw_only=True):
    """The file of a version's name: the number of the version."""

    version: Number


class StageRecord(Record, kw_only=True):
    """The file of a stage or alias: its version, the digest of the version's artifact links, and the reason."""

    version: Number
    artifacts: Digest
    reason: str = ""
    forced: Words = ()

    def promoted(self, version: VersionRecord) -> bool:
        """Return True if *version* has the same artifacts as at its promotion."""
        return links_digest(version.artifacts) == self.artifacts


class PurgeRecord(Record, kw_only=True):
    """The tombstone of a purged artifact, with the reason."""

    introduced: ClassVar[tuple[int, int]] = (1, 1)
    digest: Digest
    purged: datetime
    reason: str


class StepRecord(Record, kw_only=True):
    """A step of a run: *inputs* and *outputs* map names to digests, *seconds* is the duration.

    *version* is the reference of the existing version that the step works on; None if the step works on a new version
    or on none. *failed_attempts* are the errors of all attempts but the last, each in one line. *kinds*, *sizes*,
    *formats* and *files* map names of outputs to the kind, size, format and file name that the artifact link of the
    output has in a version.
    """

    name: str
    status: Annotated[str, one_of(*STEP_STATUSES)]
    version: str | None = field(default=None, metadata=since(1, 1))
    seconds: float = 0.0
    failed_attempts: tuple[str, ...] = field(default=(), metadata=since(1, 2))
    parameters: Mapping[str, Any] = field(default_factory=dict)
    inputs: Mapping[str, Digest] = field(default_factory=dict)
    outputs: Mapping[str, Digest] = field(default_factory=dict)
    kinds: Mapping[str, Kind] = field(default_factory=dict)
    sizes: Mapping[str, int] = field(default_factory=dict)
    formats: Mapping[str, Format] = field(default_factory=dict, metadata=since(1, 1))
    files: Mapping[str, FileName] = field(default_factory=dict, metadata=since(1, 2))


class RunRecord(Record, kw_only=True):
    """The file of a run: one execution of a pipeline, its steps, and the versions that it created.

    *status* is "succeeded", "failed" or "cancelled". *error* describes the failure in one line; *traceback* is recorded
    only if the registry asks for it. *packages*, *cells* and *details* are digests of objects in the artifact store:
    the list of installed packages, the executed cells of a notebook, and the inputs and outputs of the steps of a long
    run, which do not fit into the record. *script* is the file of the pipeline, relative to the top of the code
    repository; *module* is the name by which Python imported this file, if any. *metadata* is what a script logged for
    its run.
    """

    id: RunId
    pipeline: Name
    status: Annotated[str, one_of(*RUN_STATUSES)]
    started: datetime
    finished: datetime
    script: str | None = None
    module: str | None = None
    executor: str = ""
    python: str = ""
    packages: Digest | None = None
    cells: Digest | None = field(default=None, metadata=since(1, 2))
    failed_step: str | None = None
    error: str = ""
    traceback: str = ""
    versions: Words = ()
    details: Digest | None = None
    code: Code | None = None
    parameters: Mapping[str, Any] = field(default_factory=dict)
    metadata: Mapping[str, Any] = field(default_factory=dict, metadata=since(1, 2))
    steps: tuple[StepRecord, ...] = ()

    @property
    def stored(self) -> tuple[str, ...]:
        """The digests of the objects in the artifact store that describe the run itself."""
        return tuple(digest for digest in (self.packages, self.cells, self.details) if digest)


# The type of the record for each kind of `paths.RecordPath`.
RECORDS: Mapping[str, type[Record]] = {
    "registry": RegistryRecord,
    "model": ModelRecord,
    "version": VersionRecord,
    "name": NameRecord,
    "stage": StageRecord,
    "alias": StageRecord,
    "run": RunRecord,
    "purge": PurgeRecord,
}


def format_of(record: Record) -> tuple[int, int]:
    """Return the version of the format that *record* needs.

    >>> from gitmodel.domain.schema.registry_rules.registry_record import RunRules
    >>> format_of(RunRules()), format_of(ModelRecord(created=datetime(2026, 11, 23), store="large"))
    ((1, 0), (1, 1))
    """
    is_new_rule = isinstance(record, RegistryRecord) and record.runs and record.runs.record == "succeeded"
    return max(codec.format_of(record), (1, 1) if is_new_rule else OLDEST_FORMAT)


def links_digest(artifacts: Iterable[ArtifactLink]) -> str:
    """Return the digest of the artifact links of a version, as the file of its stage has it.

    This is the digest of the canonical TOML of the links, sorted by name and without metadata. Includes the digest of
    an external artifact, but not its location. Omits *needs_trust* and *file*, because records of earlier releases lack
    them.

    >>> links_digest(())
    'sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855'
    """
    bare = [
        replace(link, uri=None, version_id=None, digest_by=None, needs_trust=(), file=None, metadata={}, extra={})
        for link in sorted(artifacts, key=lambda link: link.name)
    ]
    data = b"".join(b"[[artifacts]]\n" + codec.encode(link) for link in bare)
    return digest_of(data)
