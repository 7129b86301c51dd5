"""The record of `gitmodel.toml`: the rules of stages, and the other rules of a registry. Pure."""

from collections.abc import Mapping
from dataclasses import field
from typing import Annotated

from gitmodel.domain.schema import names
from gitmodel.domain.schema.codec import NOT_A_KEY, REQUIRED, Problem, Record, since
from gitmodel.domain.schema.record_values import (
    DIRTY,
    FORMAT,
    FormatVersion,
    MetadataKey,
    Name,
    WebAddress,
    Words,
    full_names,
    is_newer,
    one_of,
    store_urls,
)
from gitmodel.errors import Invalid


class GateRule(Record, kw_only=True):
    """A gate: an *expression* that a version must satisfy to enter a stage, and the *message* if it does not."""

    name: Name
    expression: str
    message: str = ""


class StageRule(Record, kw_only=True):
    """An exclusive stage of the registry: at most one version of a model is in it.

    A version enters the stage only from a place in *after* (a stage, "archived" or "none"; if *after* is empty, from
    anywhere), and only if it passes the *gates*. If *proposal_only* is True, a change comes into force only after
    review; if *signed* is True, only if a key in `allowed_signers` signed its commit and tag. If *rollback* is
    "direct", a version that was in the stage before can return without review, even if *after* or a gate does not allow
    it; *signed* still applies. *faults* are the problems in `gitmodel.toml` that concern the stage.
    """

    name: Name
    after: Words = ()
    proposal_only: bool = False
    signed: bool = field(default=False, metadata=since(1, 1))
    rollback: Annotated[str, one_of("direct")] = ""
    gates: tuple[GateRule, ...] = ()
    faults: tuple[Problem, ...] = field(default=(), metadata=NOT_A_KEY)

    @property
    def is_open(self) -> bool:
        """True if the stage has no rule, apart from *signed*, that can refuse a version."""
        return not (self.after or self.gates or self.proposal_only or self.faults)


class RunRules(Record, kw_only=True):
    """The runs that the registry records: *record* is "all", "succeeded" or "versioned" (runs that made a version).

    If *record_cells* is True, a run in a notebook stores the executed cells.
    """

    record: Annotated[str, one_of("all", "succeeded", "versioned")] = "all"
    record_traceback: bool = False
    record_cells: bool = field(default=True, metadata=since(1, 2))


class CodeRules(Record, kw_only=True):
    """The registry's rules for the code of versions: *dirty* is the rule for uncommitted changes.

    "record" records only that there are uncommitted changes, "snapshot" stores the changes as a commit, "refuse"
    refuses to create the version.
    """

    dirty: Annotated[str, one_of(*DIRTY)] = "record"


class FormatRules(Record, kw_only=True):
    """The registry's rules for formats: *pickle* allows pickling a value that no other format can store.

    *trust* are the names of classes and functions that the registry suggests to trust. The suggestions have an effect
    only on machines whose users accept them.
    """

    pickle: bool = False
    trust: Annotated[tuple[str, ...], full_names] = ()


class SiteRules(Record, kw_only=True):
    """The registry's settings for its pages. *headline* is the metadata key whose values charts show.

    If *headline* is "", charts show the first number that a gate reads. A key of an inner table has dots, as in
    `test.loss`. *url* is the address of the published pages, to which plans link.
    """

    headline: MetadataKey = ""
    url: WebAddress = ""


# The hint of errors about invalid values in `gitmodel.toml`, which a person must repair.
REPAIR = (
    "edit gitmodel.toml in a work tree of the metadata branch (`git worktree add DIR BRANCH`), commit it there, and "
    "run `git model apply`; `git model check` lists all problems"
)


class RegistryRecord(Record, kw_only=True):
    """`gitmodel.toml`: the version of the format, the URL of the artifact store, other *stores* by name, the stages.

    *faults* are the problems of the stages in the file; see `decode_registry`. *unread* are the problems of other keys,
    by key. This record has the default value of such a key, and `require` raises the problem of the key.
    """

    format: FormatVersion = field(default=f"{FORMAT[0]}.{FORMAT[1]}", metadata=REQUIRED)
    store: str | None = None
    stores: Annotated[Mapping[str, str], store_urls] = field(default_factory=dict, metadata=since(1, 1))
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
        """Return this record. Raises Invalid if the file has an invalid value for one of *keys*."""
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
        """True if no stage has a rule, apart from `signed`, that can refuse a version."""
        return all(rule.is_open for rule in self.stages) and not self.faults

    def alias_fault(self, name: str) -> str | None:
        """Return the reason why *name* cannot be an alias here, in words that follow "because it", or None.

        >>> RegistryRecord().alias_fault("champion"), RegistryRecord().alias_fault("Production")
        (None, 'is the stage production')
        """
        return self._stage_fault(name) or names.alias_fault(name)

    def version_name_fault(self, name: str) -> str | None:
        """Return the reason why *name* cannot be the name of a version here, or None.

        The reason is in words that follow "because it".

        >>> RegistryRecord().version_name_fault("1.2.3+cpu"), RegistryRecord().version_name_fault("Production")
        (None, 'is the stage production')
        """
        return self._stage_fault(name) or names.version_name_fault(name)

    def _stage_fault(self, name: str) -> str | None:
        stage = next((stage for stage in self.stage_names if names.fold(stage) == names.fold(name)), None)
        return None if stage is None else f"is the stage {stage}"

    def rule(self, stage: str) -> StageRule:
        """Return the rules of *stage*; for a stage that the registry does not have, a stage without rules."""
        return next((rule for rule in self.stages if rule.name == stage), StageRule(name=stage))
