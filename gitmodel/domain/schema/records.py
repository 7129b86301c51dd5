"""The records of the format: what each file on the metadata branch holds, key by key. Pure.

`docs/reference/format.md` describes them for other implementations.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, TypeVar

from gitmodel.domain.schema import codec, names
from gitmodel.domain.schema.codec import Key, Problem, Schema, Wrong
from gitmodel.errors import Invalid, UsageError

V = TypeVar("V")
FORMAT = (1, 1)
# A registry begins in the oldest format that can say all of it, and goes to a newer one with the first change that
# needs it, so that whoever has not upgraded reads on as long as possible.
OLDEST_FORMAT = (1, 0)
KINDS = ("data", "model", "deployment")
RUN_STATUSES = ("succeeded", "failed", "cancelled")
STEP_STATUSES = ("succeeded", "cached", "failed", "skipped")
DIGEST_SOURCES = ("provider",)
# What becomes of uncommitted changes, ever stricter.
DIRTY = ("record", "snapshot", "refuse")
FOLDER_FORMAT = "folder"
# Stands in a link for the digest of what is not stored yet.
NO_DIGEST = "sha256:" + "0" * 64

# Every archived marker holds these bytes, so that two of them never conflict.
ARCHIVED_MARKER = b"archived = true\n"


@dataclass(frozen=True, kw_only=True)
class GateRule:
    """A gate: an *expression* that a version must satisfy to enter a stage, and the *message* for one that does not."""

    name: str
    expression: str
    message: str = ""
    extra: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class StageRule:
    """An exclusive stage of the registry: one version of a model holds it at a time.

    A version enters it only from a place of *after* (stages, "archived", "none"; empty: from anywhere) and through its
    *gates*. With *proposal_only* a change is in force only when it came through review; with *signed* only when its
    commit and its tag are signed by somebody whom `allowed_signers` lists. *rollback* "direct" lets a version that was
    there before return without any of this but the signatures. *faults* are those of the file that concern the stage.
    """

    name: str
    after: tuple[str, ...] = ()
    proposal_only: bool = False
    signed: bool = False
    rollback: str = ""
    gates: tuple[GateRule, ...] = ()
    extra: Mapping[str, Any] = field(default_factory=dict)
    faults: tuple[Problem, ...] = ()

    @property
    def is_open(self) -> bool:
        """True if every version may enter, though a signature may be required."""
        return not (self.after or self.gates or self.proposal_only or self.faults)


_MEND = "mend the file on the metadata branch, then try again"


@dataclass(frozen=True, kw_only=True)
class RegistryRecord:
    """`gitmodel.toml`: the format's version, the artifact store's URL, other *stores* by name, the exclusive stages.

    *faults* are what is wrong with the stages of the file that it was read from; see `stage_rules`. *unread* are those
    of its other keys, which have their defaults here; see `require`.
    """

    format: str = f"{OLDEST_FORMAT[0]}.{OLDEST_FORMAT[1]}"
    store: str | None = None
    stores: Mapping[str, str] = field(default_factory=dict)
    stages: tuple[StageRule, ...] = (StageRule(name="staging"), StageRule(name="production"))
    runs: RunRules | None = None
    code: CodeRules | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)
    faults: tuple[Problem, ...] = ()
    unread: Mapping[str, Problem] = field(default_factory=dict)

    def require(self, *keys: str) -> RegistryRecord:
        """Return this record. Raises Invalid if the file has something at one of *keys* that cannot be read."""
        for key in keys:
            if key in self.unread:
                raise Invalid(str(self.unread[key]), hint=_MEND)
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
        """True if every version may enter every stage, though a signature may be required."""
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
        """The rules of *stage*; of one that the registry does not have, none."""
        return next((rule for rule in self.stages if rule.name == stage), StageRule(name=stage))


@dataclass(frozen=True, kw_only=True)
class ModelRecord:
    """`model.toml`: what the model is, or what is left of a deleted or renamed one.

    *store* is the name of the registry's store that new artifacts of the model go to.
    """

    created: datetime
    title: str = ""
    license: str = ""
    description: str = ""
    audience: str = ""
    use_cases: str = ""
    limitations: str = ""
    trade_offs: str = ""
    ethics: str = ""
    tags: tuple[str, ...] = ()
    owners: tuple[str, ...] = ()
    store: str | None = None
    deleted: datetime | None = None
    reason: str = ""
    last_number: int | None = None
    renamed_to: str | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)

    @property
    def exists(self) -> bool:
        return self.deleted is None and self.renamed_to is None


@dataclass(frozen=True, kw_only=True)
class Code:
    """The code that made a version: the code repository's commit, whether it had changes, and its origin.

    *outside* is True if there was no code repository; without a *commit* it had none yet. *snapshot* is the commit that
    holds the work tree as it was, if a dirty one was stored.
    """

    commit: str | None = None
    dirty: bool | None = None
    snapshot: str | None = None
    repository: str | None = None
    outside: bool = False
    extra: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class ArtifactLink:
    """An artifact of a version: *kind* is "data", "model" or "deployment"; *size* in bytes; *digest* `sha256:<hex>`.

    An external one stays at *uri*, in the version that its store calls *version_id*. *digest_by* is "provider" if the
    store that has it told the digest; otherwise the bytes were read and hashed.
    """

    name: str
    kind: str
    digest: str
    size: int
    format: str = "bytes"
    pipeline: str | None = None
    step: str | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)
    uri: str | None = None
    version_id: str | None = None
    digest_by: str | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)

    @property
    def is_external(self) -> bool:
        """True if the bytes are outside the stores of the registry."""
        return self.uri is not None

    @property
    def is_folder(self) -> bool:
        """True if the digest is that of a manifest."""
        return self.format == FOLDER_FORMAT


@dataclass(frozen=True, kw_only=True)
class VersionRecord:
    """A version's file: what came out, from which code, with which artifacts."""

    number: int
    created: datetime
    name: str | None = None
    description: str = ""
    tags: tuple[str, ...] = ()
    runs: tuple[str, ...] = ()
    failed: bool = False
    deleted: datetime | None = None
    reason: str = ""
    code: Code | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)
    artifacts: tuple[ArtifactLink, ...] = ()
    extra: Mapping[str, Any] = field(default_factory=dict)

    @property
    def usable(self) -> bool:
        """True if the version can be latest and can be promoted: it is neither deleted nor failed."""
        return self.deleted is None and not self.failed

    def artifact(self, name: str) -> ArtifactLink | None:
        """The link called *name*, if there is one."""
        return next((link for link in self.artifacts if link.name == name), None)


@dataclass(frozen=True, kw_only=True)
class NameRecord:
    """The file of a version's name: the number it stands for."""

    version: int
    extra: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class StageRecord:
    """A stage's or alias's file: the version in it, bound to its links, and why it is there."""

    version: int
    artifacts: str
    reason: str = ""
    forced: tuple[str, ...] = ()
    extra: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class PurgeRecord:
    """The tombstone of an artifact: its bytes were erased for good, and why."""

    digest: str
    purged: datetime
    reason: str
    extra: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class StepRecord:
    """A step of a run: *inputs* and *outputs* map names to digests, *seconds* is how long it took.

    Of a step that worked on a version that existed, *version* is its reference; *kinds*, *sizes* and *formats* map the
    names of its outputs to what the links of a new version would say.
    """

    name: str
    status: str
    version: str | None = None
    seconds: float = 0.0
    parameters: Mapping[str, Any] = field(default_factory=dict)
    inputs: Mapping[str, str] = field(default_factory=dict)
    outputs: Mapping[str, str] = field(default_factory=dict)
    kinds: Mapping[str, str] = field(default_factory=dict)
    sizes: Mapping[str, int] = field(default_factory=dict)
    formats: Mapping[str, str] = field(default_factory=dict)
    extra: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class RunRecord:
    """The file of a run: one execution of a pipeline, its steps, and the versions it made.

    *status* is "succeeded", "failed" or "cancelled"; *error* says in a line what failed, *traceback* only where the
    registry wants it; *packages* is the digest of the list of installed packages in the artifact store, *details* that
    of what the steps of a long run took and gave, for which the record has no room. *script* is the file of the
    pipeline, from the top of the code repository, and *module* the name by which it was imported, if it was.
    """

    id: str
    pipeline: str
    status: str
    started: datetime
    finished: datetime
    script: str | None = None
    module: str | None = None
    executor: str = ""
    python: str = ""
    packages: str | None = None
    failed_step: str | None = None
    error: str = ""
    traceback: str = ""
    versions: tuple[str, ...] = ()
    code: Code | None = None
    details: str | None = None
    parameters: Mapping[str, Any] = field(default_factory=dict)
    steps: tuple[StepRecord, ...] = ()
    extra: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class RunRules:
    """The runs that the registry records: *record* is "all", "succeeded" or "versioned" (those that made a version)."""

    record: str = "all"
    record_traceback: bool = False
    extra: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class CodeRules:
    """The registry's rules for the code of versions: *dirty* is the rule for changes that are not committed.

    "record" notes that there were some, "snapshot" stores them as a commit, "refuse" creates no version.
    """

    dirty: str = "record"
    extra: Mapping[str, Any] = field(default_factory=dict)


def _matching(pattern: str, what: str) -> Callable[[Any], str]:
    compiled = re.compile(pattern)

    def read(value: Any) -> str:
        found = codec.text(value)
        if not compiled.fullmatch(found):
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


def _one_of(*words: str) -> Callable[[Any], str]:
    def read(value: Any) -> str:
        if value not in words:
            raise Wrong(f"takes one of {', '.join(words)}")
        return str(value)

    return read


_digest = _matching(r"sha256:[0-9a-f]{64}", "'sha256:' and 64 lower-case hex digits")
_commit = _matching(r"[0-9a-f]{40}|[0-9a-f]{64}", "a full commit id")
_format = _matching(r"[a-z0-9][a-z0-9._+-]{0,62}", "the name of a format, such as json or skops")
_run = _matching(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}", "a run id")


def _runs(value: Any) -> tuple[str, ...]:
    return tuple(_run(item) for item in codec.texts(value))


def _each(read: Callable[[Any], V]) -> Callable[[Any], dict[str, V]]:
    """Return what reads a table of which *read* reads each value."""
    return lambda value: {name: read(item) for name, item in codec.metadata(value).items()}


_digests = _each(_digest)


def _stores(value: Any) -> dict[str, str]:
    return {_name(name): codec.text(url) for name, url in codec.metadata(value).items()}


_GATE_RULE = Schema(
    GateRule,
    (
        Key("name", _name, required=True),
        Key("expression", codec.text, required=True),
        Key("message", codec.text),
    ),
)
STAGE_RULE = Schema(
    StageRule,
    (
        Key("name", _name, required=True),
        Key("after", codec.word_set),
        Key("proposal_only", codec.flag),
        Key("signed", codec.flag),
        Key("rollback", _one_of("direct")),
        Key("gates", schema=_GATE_RULE, many=True),
    ),
)
_CODE = Schema(
    Code,
    (
        Key("commit", _commit),
        Key("dirty", codec.flag),
        Key("snapshot", _commit),
        Key("repository", codec.text),
        Key("outside", codec.flag),
    ),
)
LINK = Schema(
    ArtifactLink,
    (
        Key("name", _name, required=True),
        Key("kind", _one_of(*KINDS), required=True),
        Key("digest", _digest, required=True),
        Key("size", codec.count, required=True),
        Key("format", _format, required=True),
        Key("pipeline", _name),
        Key("step", codec.text),
        Key("uri", codec.text),
        Key("version_id", codec.text),
        Key("digest_by", _one_of(*DIGEST_SOURCES)),
        Key("metadata", codec.metadata),
    ),
)
_RUN_RULES = Schema(
    RunRules,
    (Key("record", _one_of("all", "succeeded", "versioned")), Key("record_traceback", codec.flag)),
)
_CODE_RULES = Schema(CodeRules, (Key("dirty", _one_of(*DIRTY)),))
REGISTRY = Schema(
    RegistryRecord,
    (
        Key("format", _matching(r"[0-9]{1,4}\.[0-9]{1,4}", "MAJOR.MINOR"), required=True),
        Key("store", codec.text),
        Key("stores", _stores),
        Key("stages", required=True, schema=STAGE_RULE, many=True),
        Key("runs", schema=_RUN_RULES),
        Key("code", schema=_CODE_RULES),
    ),
)
MODEL = Schema(
    ModelRecord,
    (
        Key("title", codec.text),
        Key("created", codec.moment, required=True),
        Key("license", codec.text),
        Key("description", codec.text),
        Key("audience", codec.text),
        Key("use_cases", codec.text),
        Key("limitations", codec.text),
        Key("trade_offs", codec.text),
        Key("ethics", codec.text),
        Key("tags", codec.word_set),
        Key("owners", codec.word_set),
        Key("store", _name),
        Key("deleted", codec.moment),
        Key("reason", codec.text),
        Key("last_number", codec.count),
        Key("renamed_to", _name),
    ),
)
VERSION = Schema(
    VersionRecord,
    (
        Key("number", codec.number, required=True),
        Key("name", _version_name),
        Key("created", codec.moment, required=True),
        Key("description", codec.text),
        Key("tags", codec.word_set),
        Key("runs", _runs),
        Key("failed", codec.flag),
        Key("deleted", codec.moment),
        Key("reason", codec.text),
        Key("code", schema=_CODE),
        Key("metadata", codec.metadata),
        Key("artifacts", schema=LINK, many=True),
    ),
)
NAME = Schema(NameRecord, (Key("version", codec.number, required=True),))
STAGE = Schema(
    StageRecord,
    (
        Key("version", codec.number, required=True),
        Key("artifacts", _digest, required=True),
        Key("reason", codec.text),
        Key("forced", codec.word_set),
    ),
)
PURGE = Schema(
    PurgeRecord,
    (
        Key("digest", _digest, required=True),
        Key("purged", codec.moment, required=True),
        Key("reason", codec.text, required=True),
    ),
)


def is_newer(written: str) -> bool:
    """Return True if the format version *written* is newer than ours.

    >>> is_newer("1.1"), is_newer("1.9")
    (False, True)
    """
    return format_version(written) > FORMAT


_STEP = Schema(
    StepRecord,
    (
        Key("name", codec.text, required=True),
        Key("status", _one_of(*STEP_STATUSES), required=True),
        Key("version", codec.text),
        Key("seconds", codec.seconds),
        Key("parameters", codec.metadata),
        Key("inputs", _digests),
        Key("outputs", _digests),
        Key("kinds", _each(_one_of(*KINDS))),
        Key("sizes", _each(codec.count)),
        Key("formats", _each(_format)),
    ),
)
RUN = Schema(
    RunRecord,
    (
        Key("id", _run, required=True),
        Key("pipeline", _name, required=True),
        Key("status", _one_of(*RUN_STATUSES), required=True),
        Key("started", codec.moment, required=True),
        Key("finished", codec.moment, required=True),
        Key("script", codec.text),
        Key("module", codec.text),
        Key("executor", codec.text),
        Key("python", codec.text),
        Key("packages", _digest),
        Key("failed_step", codec.text),
        Key("error", codec.text),
        Key("traceback", codec.text),
        Key("versions", codec.word_set),
        Key("details", _digest),
        Key("code", schema=_CODE),
        Key("parameters", codec.metadata),
        Key("steps", schema=_STEP, many=True),
    ),
)


# The schema of each kind of `paths.RecordPath` that has one.
SCHEMAS: Mapping[str, Schema[Any]] = {
    "registry": REGISTRY,
    "model": MODEL,
    "version": VERSION,
    "name": NAME,
    "stage": STAGE,
    "alias": STAGE,
    "run": RUN,
    "purge": PURGE,
}


def format_of(record: Any) -> tuple[int, int]:
    """The version of the format that *record* needs to be read.

    >>> format_of(RunRules()), format_of(ModelRecord(created=datetime(2026, 11, 23), store="large"))
    ((1, 0), (1, 1))
    """
    if isinstance(record, VersionRecord):
        return max(map(format_of, (record.code, *record.artifacts)), default=OLDEST_FORMAT)
    if isinstance(record, RunRecord):
        return (1, 1) if any(step.version or step.formats for step in record.steps) else format_of(record.code)
    newer = (
        isinstance(record, PurgeRecord)
        or (isinstance(record, Code) and record.snapshot)
        or (isinstance(record, RegistryRecord) and (record.stores or record.code))
        or (isinstance(record, RegistryRecord) and record.runs and record.runs.record == "succeeded")
        or (isinstance(record, RegistryRecord) and any(rule.signed for rule in record.stages))
        or (isinstance(record, ModelRecord) and record.store)
        or (isinstance(record, ArtifactLink) and (record.uri or record.version_id or record.digest_by))
    )
    return (1, 1) if newer else OLDEST_FORMAT


def encode_registry(record: RegistryRecord) -> bytes:
    """The bytes of `gitmodel.toml`. Raises Invalid if it was read from a file that has faults: they would be lost."""
    lost = next((fault for fault in record.faults if fault.rule != "record.unknown-key"), None)
    if lost is not None:
        raise Invalid(str(lost), hint=_MEND)
    return codec.encode(REGISTRY, record.require(*record.unread))


def links_digest(artifacts: Iterable[ArtifactLink]) -> str:
    """Return the digest in a stage file: SHA-256 of the links' canonical TOML, sorted by name, without metadata.

    The location of an external artifact is not part of it: its content is, by its digest.

    >>> links_digest(())
    'sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855'
    """
    bare = [
        replace(link, uri=None, version_id=None, digest_by=None, metadata={}, extra={})
        for link in sorted(artifacts, key=lambda link: link.name)
    ]
    data = b"".join(b"[[artifacts]]\n" + codec.encode(LINK, link) for link in bare)
    return "sha256:" + hashlib.sha256(data).hexdigest()


def format_version(text: str) -> tuple[int, int]:
    """The version of the format as numbers; (0, 0) if *text* is none.

    >>> format_version("1.1")
    (1, 1)
    """
    match = re.fullmatch(r"([0-9]{1,4})\.([0-9]{1,4})", text)
    return (int(match[1]), int(match[2])) if match else (0, 0)
