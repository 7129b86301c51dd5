"""The records of the format: the keys of each file on the metadata branch. Pure.

`docs/reference/format.md` describes them for other implementations.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import field, fields, replace
from datetime import datetime
from typing import Annotated, Any, ClassVar

from gitmodel.domain.schema import codec, names
from gitmodel.domain.schema.codec import NOT_A_KEY, OLDEST_FORMAT, REQUIRED, Problem, Record, Wrong, since
from gitmodel.domain.schema.digests import digest_of
from gitmodel.domain.schema.object_ids import Oid
from gitmodel.errors import Invalid, UsageError

# The format of a new registry. An older registry is raised to a newer format by the first change that needs it, so that
# earlier releases can read it as long as possible.
FORMAT = (1, 2)
_FORMAT_VERSION = r"([0-9]{1,4})\.([0-9]{1,4})"
KINDS = ("data", "model", "deployment")
RUN_STATUSES = ("succeeded", "failed", "cancelled")
# Runs that only the journal of this machine has can also be running or lost.
ALL_RUN_STATUSES = (*RUN_STATUSES, "running", "lost")
STEP_STATUSES = ("succeeded", "cached", "failed", "skipped")
DIGEST_SOURCES = ("provider",)
# The settings for uncommitted changes, from loose to strict.
DIRTY = ("record", "snapshot", "refuse")
FOLDER_FORMAT = "folder"
SKIPPED = "skipped by version "  # the reason of a deleted version that never existed
# A placeholder for the digest of an artifact that is not stored yet.
NO_DIGEST = "sha256:" + "0" * 64

# Every archived marker holds these bytes, so that two of them never conflict.
ARCHIVED_MARKER = b"archived = true\n"


def _matching(pattern: str, what: str) -> Callable[[Any], str]:
    def read(value: Any) -> str:
        found = codec.text(value)
        if not re.fullmatch(pattern, found):
            raise Wrong(f"takes {what}")
        return found

    return read


def _name(value: Any) -> str:
    fault = names.fault_in(codec.text(value))
    if fault:
        raise Wrong(f"takes a name, and this one {fault}")
    return str(value)


def _version_name(value: Any) -> str:
    try:
        return names.check_version_name(codec.text(value))
    except UsageError as error:
        raise Wrong(error.message) from None


def _file_name(value: Any) -> str:
    if names.fault_in(codec.text(value)) is None:  # most file names are valid names of artifacts, too
        return str(value)
    # imported here because its patterns cost 1 ms, and only unusual names need them
    from gitmodel.domain.schema.portable_paths import file_name_fault

    fault = file_name_fault(value)
    if fault:
        raise Wrong(f"takes the name of a file, and not this one: {fault}")
    return str(value)


def _one_of(*words: str) -> Callable[[Any], str]:
    def read(value: Any) -> str:
        if value not in words:
            raise Wrong(f"takes one of {', '.join(words)}")
        return str(value)

    return read


def _full_names(value: Any) -> tuple[str, ...]:
    found = codec.word_set(value)
    for name in found:
        if not names.is_full_name(name):
            raise Wrong("takes full names of classes and functions, such as package.module.Class, and no patterns")
    return found


def _web_address(value: Any) -> str:
    found = codec.text(value)
    if not re.fullmatch(r"https?://[A-Za-z0-9.:-]+(/[A-Za-z0-9._~/-]*)?", found):
        raise Wrong("takes the address of a site, such as https://models.example.org, without user, query or fragment")
    return found


def _stores(value: Any) -> dict[str, str]:
    return {_name(name): codec.text(url) for name, url in codec.metadata(value).items()}


Name = Annotated[str, _name]
VersionName = Annotated[str, _version_name]
Number = Annotated[int, codec.number]
Words = Annotated[tuple[str, ...], codec.word_set]
Digest = Annotated[str, _matching(r"sha256:[0-9a-f]{64}", "'sha256:' and 64 lower-case hex digits")]
CommitId = Annotated[Oid, _matching(r"[0-9a-f]{40}|[0-9a-f]{64}", "a full commit id")]
Format = Annotated[str, _matching(r"[a-z0-9][a-z0-9._+-]{0,62}", "the name of a format, such as json or skops")]
FormatVersion = Annotated[str, _matching(_FORMAT_VERSION, "MAJOR.MINOR")]
FileName = Annotated[str, _file_name]
MetadataKey = Annotated[
    str, _matching(r"\S(.{0,198}\S)?", "a key of metadata, such as accuracy or test.loss, of at most 200 characters")
]
RunId = Annotated[str, _matching(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}", "a run id")]
Kind = Annotated[str, _one_of(*KINDS)]


class GateRule(Record, kw_only=True):
    """A gate: an *expression* that a version must satisfy to enter a stage, and the *message* if it does not."""

    name: Name
    expression: str
    message: str = ""


class StageRule(Record, kw_only=True):
    """An exclusive stage of the registry: at most one version of a model is in it.

    A version enters the stage only from a place in *after* (stages, "archived", "none"; empty: from anywhere), and only
    if it passes the *gates*. With *proposal_only*, a change is in force only after review. With *signed*, a change is
    in force only if its commit and tag are signed by a key in `allowed_signers`. With *rollback* "direct", a previous
    version can return without these checks, except the signatures. *faults* are the problems of the file that concern
    the stage.
    """

    name: Name
    after: Words = ()
    proposal_only: bool = False
    signed: bool = field(default=False, metadata=since(1, 1))
    rollback: Annotated[str, _one_of("direct")] = ""
    gates: tuple[GateRule, ...] = ()
    faults: tuple[Problem, ...] = field(default=(), metadata=NOT_A_KEY)

    @property
    def is_open(self) -> bool:
        """True if every version may enter, although a signature may be required."""
        return not (self.after or self.gates or self.proposal_only or self.faults)


class RunRules(Record, kw_only=True):
    """The runs that the registry records: *record* is "all", "succeeded" or "versioned" (runs that made a version).

    With *record_cells*, a run in a notebook stores the executed cells.
    """

    record: Annotated[str, _one_of("all", "succeeded", "versioned")] = "all"
    record_traceback: bool = False
    record_cells: bool = field(default=True, metadata=since(1, 2))


class CodeRules(Record, kw_only=True):
    """The registry's rules for the code of versions: *dirty* is the rule for uncommitted changes.

    "record" records only that they exist, "snapshot" stores them as a commit, "refuse" refuses to create the version.
    """

    dirty: Annotated[str, _one_of(*DIRTY)] = "record"


class FormatRules(Record, kw_only=True):
    """The registry's rules for the formats of values. With *pickle*, a value that no other format can store is pickled.

    *trust* are the names of classes and functions that the registry suggests to trust. The suggestions have an effect
    only on machines whose users accept them.
    """

    pickle: bool = False
    trust: Annotated[tuple[str, ...], _full_names] = ()


class SiteRules(Record, kw_only=True):
    """The registry's choices for its pages: *headline* is the key of metadata that charts show; "": a number of a gate.

    The keys of inner tables are joined by dots. *url* is the address of the published pages, which a plan links.
    """

    headline: MetadataKey = ""
    url: Annotated[str, _web_address] = ""


# The hint of errors about values of `gitmodel.toml` that no command can change.
REPAIR = (
    "edit gitmodel.toml in a work tree of the metadata branch (`git worktree add DIR BRANCH`), commit it there, and "
    "run `git model apply`; `git model check` lists all problems"
)


class RegistryRecord(Record, kw_only=True):
    """`gitmodel.toml`: the format's version, the artifact store's URL, other *stores* by name, the exclusive stages.

    *faults* are the problems of the stages in the file; see `stage_rules`. *unread* are the problems of its other keys,
    which have their defaults here; see `require`.
    """

    format: FormatVersion = field(default=f"{FORMAT[0]}.{FORMAT[1]}", metadata=REQUIRED)
    store: str | None = None
    stores: Annotated[Mapping[str, str], _stores] = field(default_factory=dict, metadata=since(1, 1))
    stages: tuple[StageRule, ...] = field(
        default=(StageRule(name="staging"), StageRule(name="production")), metadata=REQUIRED
    )
    runs: RunRules | None = None
    code: CodeRules | None = field(default=None, metadata=since(1, 1))
    formats: FormatRules | None = field(default=None, metadata=since(1, 2))
    site: SiteRules | None = field(default=None, metadata=since(1, 2))
    faults: tuple[Problem, ...] = field(default=(), metadata=NOT_A_KEY)
    unread: Mapping[str, Problem] = field(default_factory=dict, metadata=NOT_A_KEY)

    def require(self, *keys: str) -> "RegistryRecord":
        """Return this record. Raises Invalid if the file has a value at one of *keys* that cannot be read."""
        for key in keys:
            if key in self.unread:
                raise Invalid(str(self.unread[key]), hint=REPAIR)
        return self

    @property
    def newer(self) -> bool:
        """True if a newer gitmodel with the same major format wrote the record."""
        return is_newer(self.format)

    @property
    def stage_names(self) -> tuple[str, ...]:
        return tuple(stage.name for stage in self.stages)

    @property
    def is_open(self) -> bool:
        """True if every version may enter every stage, although a signature may be required."""
        return all(rule.is_open for rule in self.stages) and not self.faults

    def alias_fault(self, name: str) -> str | None:
        """Return the reason why *name* cannot be an alias here, in words that follow "because it", or None.

        >>> RegistryRecord().alias_fault("champion"), RegistryRecord().alias_fault("Production")
        (None, 'is the stage production')
        """
        return self._stage_fault(name) or names.alias_fault(name)

    def version_name_fault(self, name: str) -> str | None:
        """Return the reason why *name* cannot be the name of a version here, in words that follow "because it".

        >>> RegistryRecord().version_name_fault("1.2.3+cpu"), RegistryRecord().version_name_fault("Production")
        (None, 'is the stage production')
        """
        return self._stage_fault(name) or names.version_name_fault(name)

    def _stage_fault(self, name: str) -> str | None:
        stage = next((stage for stage in self.stage_names if names.fold(stage) == names.fold(name)), None)
        return None if stage is None else f"is the stage {stage}"

    def rule(self, stage: str) -> StageRule:
        """Return the rules of *stage*; a stage that the registry does not have has no rules."""
        return next((rule for rule in self.stages if rule.name == stage), StageRule(name=stage))


def _described(help: str, *, heading: str = "") -> dict[str, str]:
    """Mark a key with which a person describes a model: its *help*, and its *heading* in a model card or ""."""
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
    tags: Words = field(default=(), metadata=_described("Words to find it by, sorted."))
    owners: Words = field(default=(), metadata=_described("People or teams responsible for it, sorted."))
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


# The keys with which a person describes a model, with their help; those of them that are text; the headings of keys in
# a model card.
DESCRIPTIVE = {field.name: field.metadata["help"] for field in fields(ModelRecord) if "help" in field.metadata}
DESCRIPTIVE_TEXTS = tuple(name for name in DESCRIPTIVE if getattr(ModelRecord, name, None) == "")
HEADINGS = {field.name: field.metadata["heading"] for field in fields(ModelRecord) if field.metadata.get("heading")}


class Code(Record, kw_only=True):
    """The code of a version: the commit, whether it had uncommitted changes, and the URL of the code repository.

    *outside* is True if there was no code repository. Without a *commit*, the repository had no commit yet. *snapshot*
    is the commit that stores uncommitted changes, if they were stored. *changed* is the number of uncommitted changes,
    where a new folder counts as one. It is not recorded.
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
        """Return True if *other* is the same version of the same registry, read at any commit."""
        return other is not None and replace(self, commit=None) == replace(other, commit=None)


class ArtifactLink(Record, kw_only=True):
    """An artifact of a version: *kind* is "data", "model" or "deployment"; *size* in bytes; *digest* `sha256:<hex>`.

    An external artifact stays at *uri*, with the *version_id* of its store. *digest_by* is "provider" if its store
    reported the digest; otherwise the bytes were read and hashed. *needs_trust* are the full names of the classes and
    functions that a machine must trust before it loads the artifact. *file* is the name of the original file or folder;
    older records lack it.
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
    digest_by: Annotated[str, _one_of(*DIGEST_SOURCES)] | None = field(default=None, metadata=since(1, 1))
    needs_trust: Words = field(default=(), metadata=since(1, 2))
    file: FileName | None = field(default=None, metadata=since(1, 2))
    metadata: Mapping[str, Any] = field(default_factory=dict)

    @property
    def file_name(self) -> str:
        """The name under which the artifact is written: its file's own name, or else the name of the artifact."""
        return self.file or self.name

    @property
    def is_external(self) -> bool:
        """True if the bytes are outside the stores of the registry."""
        return self.uri is not None

    @property
    def is_folder(self) -> bool:
        """True if the artifact is a folder, whose digest is the digest of a manifest."""
        return self.format == FOLDER_FORMAT


def check_kind(kind: str) -> None:
    """Raise UsageError if *kind* is not a kind of artifact."""
    if kind not in KINDS:
        raise UsageError(f"{kind!a} is not a kind of artifact", hint=f"the kinds are {', '.join(KINDS)}")


ATTACHMENT = "attachment"


class Attachment(ArtifactLink, kw_only=True):
    """A file or folder that was added to a version at any time. Promotions do not depend on attachments."""

    introduced: ClassVar[tuple[int, int]] = (1, 2)
    kind: Annotated[str, _one_of(ATTACHMENT)] = ATTACHMENT


class Imported(Record, kw_only=True):
    """The claims of another registry about a version that was imported from it.

    *source* is the address of that registry, and *id* the version's id there. *author* and *created* are what it says:
    nobody signed them, and no gate, signature or audit uses them. The commit has its own author and time.
    """

    introduced: ClassVar[tuple[int, int]] = (1, 2)
    source: Annotated[str, _matching(r"\S.{0,499}", "the address of a registry, of at most 500 characters")]
    id: str
    author: str = ""
    created: datetime | None = None


class VersionRecord(Record, kw_only=True):
    """The file of a version: its metadata, code, artifacts and attachments.

    *imported* is set for a version that was imported from another registry.
    """

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
        """True if there was never a version with this number, because a later version was created with its own."""
        return self.deleted == self.created and self.reason.startswith(SKIPPED)

    def artifact(self, name: str) -> ArtifactLink | None:
        """Return the link *name*, or None."""
        return next((link for link in self.artifacts if link.name == name), None)


class NameRecord(Record, kw_only=True):
    """The file of a version's name: the number of the version."""

    version: Number


class StageRecord(Record, kw_only=True):
    """The file of a stage or alias: its version, the digest of the version's links, and the reason."""

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

    *version* is the reference of the existing version on which the step worked, if any. *failed_attempts* are the
    errors of all attempts but the last, each in one line. *kinds*, *sizes*, *formats* and *files* map the names of
    outputs to the values that a new version would have in its links.
    """

    name: str
    status: Annotated[str, _one_of(*STEP_STATUSES)]
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
    only if the registry asks for it. The artifact store has the list of installed packages (its digest is *packages*),
    the executed cells of a notebook (*cells*), and the inputs and outputs of the steps of a long run, which do not fit
    into the record (*details*). *script* is the file of the pipeline, relative to the top of the code repository;
    *module* is the name by which it was imported, if any. *metadata* is that of a run of a script.
    """

    id: RunId
    pipeline: Name
    status: Annotated[str, _one_of(*RUN_STATUSES)]
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


def is_newer(written: str) -> bool:
    """Return True if the format version *written* is newer than the one that gitmodel supports.

    >>> is_newer("1.2"), is_newer("1.9")
    (False, True)
    """
    return format_version(written) > FORMAT


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

    >>> format_of(RunRules()), format_of(ModelRecord(created=datetime(2026, 11, 23), store="large"))
    ((1, 0), (1, 1))
    """
    is_new_rule = isinstance(record, RegistryRecord) and record.runs and record.runs.record == "succeeded"
    return max(codec.format_of(record), (1, 1) if is_new_rule else OLDEST_FORMAT)


def links_digest(artifacts: Iterable[ArtifactLink]) -> str:
    """Return the digest in a stage file: SHA-256 of the links' canonical TOML, sorted by name, without metadata.

    The digest of an external artifact counts, but not its location. *needs_trust* and *file* do not count, because
    earlier releases lack them.

    >>> links_digest(())
    'sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855'
    """
    bare = [
        replace(link, uri=None, version_id=None, digest_by=None, needs_trust=(), file=None, metadata={}, extra={})
        for link in sorted(artifacts, key=lambda link: link.name)
    ]
    data = b"".join(b"[[artifacts]]\n" + codec.encode(link) for link in bare)
    return digest_of(data)


def format_version(text: str) -> tuple[int, int]:
    """Parse a version of the format; return (0, 0) if *text* is not one.

    >>> format_version("1.1")
    (1, 1)
    """
    match = re.fullmatch(_FORMAT_VERSION, text)
    return (int(match[1]), int(match[2])) if match else (0, 0)
