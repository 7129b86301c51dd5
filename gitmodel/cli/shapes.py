"""The shapes of JSON and TSV output: each field, in order, with a description of its value.

`docs/reference/json.md` is generated from this module, and a test compares both with the output of commands.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from gitmodel.domain.schema.records import DESCRIPTIVE, DESCRIPTIVE_TEXTS


class Shape(NamedTuple):
    """An object in the output of commands: its *fields* and descriptions of their values, in order."""

    name: str
    about: str
    fields: Mapping[str, str]

    @property
    def keys(self) -> tuple[str, ...]:
        """The names of the fields, in order: the columns of TSV."""
        return tuple(self.fields)

    def of(self, value: object, **computed: Any) -> dict[str, Any]:
        """Return the fields of *value*: the *computed* ones, and its attributes with the names of the other fields.

        The field `at`, the commit that was read, is added during printing.
        """
        return {key: computed[key] if key in computed else getattr(value, key) for key in self.fields if key != "at"}


def shape(name: str, about: str, /, **fields: str) -> Shape:
    """Return a shape; each argument is a field."""
    return Shape(name, about, fields)


MODEL = shape(
    "model",
    "A model. Printed by `list`, `show MODEL`, `register`, `update`.",
    name="text: the model's name",
    **{name: f"text: {DESCRIPTIVE[name][0].lower()}{DESCRIPTIVE[name][1:-1]}" for name in DESCRIPTIVE_TEXTS},
    tags="list of text, sorted",
    owners="list of text, sorted: the people or teams responsible for the model",
    metadata="object: the model's metadata",
    created="time: when the model was registered",
    latest="number of the latest version: the highest neither deleted nor failed; null if there is none",
    local="true if the remote, as last seen, lacks the latest version; its number can still change",
    versions="number of versions, without deleted ones",
    stages="object: each stage and the number of the version in force",
    aliases="object: each alias and the number of the version in force",
    pending="list of `pending`: stages and aliases whose recorded change is not in force",
    at="text: with `--at`, the commit of the metadata branch that was read; null without `--at`",
)
VERSION = shape(
    "version",
    "A version. Printed by `version list`, `stage show`, `show MODEL@VERSION`, `version create`, `version update`, "
    "`link`, `unlink`, `metadata set`.",
    model="text: the model's name",
    number="number, from 1",
    name="text: the version's own name, or null",
    stage='text: the exclusive stage in which the version is in force; "archived"; or null',
    aliases="list of text: the version's aliases that are in force",
    pending="list of `pending`: recorded changes of the version's stages and aliases that are not in force",
    local="true if the remote, as last seen, lacks the version; its number can still change",
    created="time: when the version was created",
    description="text",
    tags="list of text, sorted",
    metadata="object: the version's metadata",
    artifacts="list of `artifact`, by name",
    attachments="list of `artifact`, by name: files that were added at any time, apart from the artifacts",
    runs="list of text: the ids of the runs that made or used the version",
    code="object or null: `commit` (hex digits or null), `dirty` (true if there were uncommitted "
    "changes; null: unknown), `snapshot` (the commit that holds these changes, or null), `repository` "
    "(the URL of the remote `origin` without credentials, or null), `outside` (true if there was no code repository)",
    origin="object or null: the version that it was copied from: `registry` (a URL, or null), `model`, `version` and "
    "`commit` (of the metadata branch there)",
    imported="object or null: what another registry says about a version that was imported from it: `source`, `id`, "
    "`author`, `created` (a time, or null)",
    failed="true if the version comes from a failed run",
    deleted="time: when the version was deleted, or null",
    reason="text: why the version was deleted",
    at="text: with `--at`, the commit of the metadata branch that was read; null without `--at`",
)
ARTIFACT = shape(
    "artifact",
    "An artifact of a version. Printed by `version artifacts`, `version model_objects`, `version deployments`.",
    name="text: the artifact's name within the version",
    kind='text: "data", "model" or "deployment"; for an attachment "attachment"',
    digest="text: `sha256:` and 64 hex digits; of a folder, the digest of its manifest",
    size="number of bytes; of a folder, of all its files",
    format='text: how to load the artifact, such as "skops"; "folder" for a folder',
    pipeline="text: the pipeline that made the artifact, or null",
    step="text: the step that made the artifact, or null",
    run="text: the run that wrote the artifact, or null if the artifact belongs to the version itself",
    uri="text: the location of an external artifact, or null",
    version_id="text: the id that the external store gives to this version of the object at `uri`, or null",
    digest_by='text: "provider" if the external store reported the digest; null if gitmodel hashed the bytes',
    needs_trust="list of text: classes and functions that a machine must trust, beside those of gitmodel",
    file="text: the own name of the artifact's file or folder, such as `model.onnx`, or null if not recorded",
    metadata="object: the artifact's metadata",
)
FILE = shape(
    "file",
    "A file of a folder artifact. Printed by `version artifacts --files`.",
    path="text: the path of the file in the folder, with `/`",
    size="number of bytes",
    digest="text: `sha256:` and 64 hex digits",
)
PENDING = shape(
    "pending",
    "A stage or alias whose recorded change is not in force. Part of `model` and `version`.",
    stage="text: the stage's name; an alias has `alias` instead",
    recorded="number of the version on the branch, or null",
    in_force="number of the version that the tag names, or null",
    forged="text: the reason why the tag does not count, or empty",
    doubt="text: the rule that keeps the recorded change from taking effect, or empty",
)
RESOLVED = shape(
    "resolved",
    "The version that a reference names. Printed by `resolve`.",
    reference="text: `MODEL@NUMBER`",
    model="text: the model's current name",
    number="number of the version",
    name="text: the version's own name, or null",
    artifacts="list of `artifact`, by name",
    frozen="text: by URL, the stage tag from which the answer was read; the answer is as old as this tag; or null",
    at="text: with `--at`, the commit of the metadata branch that was read; null without `--at`",
)
PROMOTION = shape(
    "promotion",
    "The result of changing a stage or alias. Printed by `promote`, `demote`, `rollback`, `alias set`, `alias remove`.",
    model="text: the model's name",
    version="number of the version that was moved, or null if the stage is now empty",
    stage='text: the stage or alias, "archived" or "none"',
    previous="number of the previous version of the stage or alias, or null",
    archived="number of the version that the change archived, or null",
    left="list of text: the stages that the version left",
    changed="false if there was nothing to change",
)
ALIAS = shape(
    "alias",
    "An alias of a model. Printed by `alias list`.",
    model="text: the model's name",
    alias="text: the alias",
    version="number of the version in force, or null",
    recorded="number of the version on the branch, or null",
    pending="true if `version` and `recorded` differ",
)
EVENT = shape(
    "event",
    "A change of a stage or alias. Printed by `history`, newest first.",
    model="text: the model's name",
    stage="text: the stage or alias",
    version="number of the version that entered, or null if the stage or alias became empty",
    previous="number of the previous version of the stage or alias, or null",
    commit="text: the commit of the metadata branch",
    author="text: the author; for a merge, the author of the merged change",
    when="time: the committer date of the commit",
    reason="text",
    forced="list of text: the failed rules that force overrode",
    authored="time: the author date; for a merge, the author date of the merged change",
    merged_by="text: the person who merged the change, or empty",
    pull_request="text: the pull request in the commit's message, as the host writes it (`#12`), or empty",
    until="time: when the next change of the same stage or alias was recorded, or null if there is none",
    ended_by="text: the commit of the next change, or empty",
    fault="text: the reason why the change never took effect, such as `recorded, not reviewed: ...`, or empty",
    metadata="object: the present metadata of the version that entered; for a deleted version, its metadata at `when`",
)
LOGGED = shape(
    "logged",
    "A change that a commit made to one record. Printed by `log`, newest first.",
    model="text: the model's name at that time",
    version="number of the version, or null for the model itself",
    what="text: the kind of change, such as `created`, `changed`, `entered production`, `archived`, `deleted`",
    fields="list of text: the fields that were set or removed, such as `metadata.accuracy`",
    commit="text: the commit of the metadata branch",
    author="text: the author of the commit",
    when="time: the committer date of the commit",
    reason="text: the reason in the commit's message",
    pull_request="text: as in `event`",
)
ORIGIN = shape(
    "origin",
    "The commit that set a field of a version. Printed by `blame`.",
    field="text: the dotted name of the field, such as `metadata.accuracy`; `stage`, `aliases.NAME`",
    value="the current value of the field",
    commit="text: the commit of the metadata branch that set the field",
    author="text: the author of the commit",
    when="time: when the commit was made",
    pull_request="text: as in `event`",
)
CONTAINING = shape(
    "containing",
    "A version, and whether its code contains a commit. Printed by `version contains`.",
    model="text: the model's name",
    number="number of the version",
    name="text: the version's own name, or null",
    stage="text: the stage in which the version is in force, or null",
    aliases="list of text: the version's aliases that are in force",
    commit="text: the code commit of the version",
    dirty="true if the code had uncommitted changes; null if unknown",
    contains="true if the version's code commit is the given commit or a descendant of it",
    exact="true if the version's code commit is the given commit",
)
NOTED = shape(
    "noted",
    "The result of `version notes`.",
    commit="text: the commit of `refs/notes/gitmodel`, or empty",
    notes="number of code commits that have a note",
    missing="number of code commits of versions that this repository does not have",
)
RUN = shape(
    "run",
    "A run that made, changed or read a version. Printed by `version runs`.",
    id="text: the run's id",
    pipeline="text: the pipeline's name, or null",
    status='text: "succeeded", "failed" or "cancelled"; "running" or "lost" if only this machine knows the run; '
    '"unknown" if the record of the run is missing',
    started="time, or null",
    recorded="true if the run is recorded on the metadata branch",
    only_read="true if the run only read an artifact of the version as an input",
)
RECORDED_RUN = shape(
    "recorded_run",
    "A run of a pipeline with all recorded fields. Printed by `run`, `runs list`, `runs show`.",
    id="text: the run's id",
    pipeline="text: the name of the pipeline, or of the run of a script",
    status='text: "succeeded", "failed" or "cancelled"; "running" or "lost" if only this machine knows the run',
    started="time",
    finished="time, or null if it is not recorded",
    seconds="number: how long the run took, or null if it is not recorded",
    since="time of the last sign of life of a lost run, or null",
    recorded="true if the run is recorded on the metadata branch",
    versions="list of text: the versions that the run made or changed, as `MODEL@NUMBER`",
    failed_step="text: the step that failed, or null",
    error="text: the error; the branch records its type, and this machine its message",
    executor='text: the executor that ran the steps; "" for a run of a script',
    python="text: the version of Python",
    packages="text: the digest of the list of installed packages in the artifact store, or null",
    cells="text: the digest of the executed cells of a notebook in the artifact store, or null",
    code="object or null: as in `version`",
    script="text: the file of the pipeline, from the top of the code repository; null if it was not recorded, "
    "so `reproduce` cannot run it again",
    module="text: the name under which that file was imported, or null",
    parameters="object: the arguments of the pipeline, or the parameters that a script logged",
    metadata="object: the metadata that a script logged",
    steps='list of objects in the order in which they run: `name`, `status` ("succeeded", "cached", "failed", '
    '"skipped"), `version` (an existing version that the step changed, as `MODEL@NUMBER`, or null), `seconds`, '
    "`failed_attempts` (the errors of the attempts that were repeated), "
    "`parameters`, `inputs` and `outputs` (name to digest); if no new version has the outputs, also `kinds`, `sizes` "
    "(bytes), `formats` and `files` (the own names of the files) of the outputs",
    cache="object: for each step, why it ran, or which run and step made its outputs; only in `runs show`, on the "
    "machine of the run",
)
CELL = shape(
    "cell",
    "A cell of the notebook that made a run. Printed by `runs cells`.",
    number="number of the cell's execution, as in `In [3]`",
    source="text: the source of the cell, without secrets",
)
PACKAGE = shape(
    "package",
    "A package that was installed when a run began. Printed by `runs packages`.",
    name="text: the name of the package",
    version="text: the version of the package",
)
STEP_LOG = shape(
    "step_log",
    "The output of one attempt of a step. Printed by `runs logs`.",
    step="text: the name of the step",
    attempt="number: 1 for the first attempt",
    made_by="text: the run and the step that made the outputs of a step from the cache, as `RUN STEP`, or null",
    lines='list of objects, in order: `at` (seconds since 1970), `stream` ("stdout", "stderr", or "cut" for lines that '
    "were left out) and `text`",
)
LINEAGE = shape(
    "lineage",
    "The sources and results of a version, run or artifact. Printed by `lineage`.",
    root="text: the start: `MODEL@NUMBER`, a run's id or a digest",
    up="true if the sources were requested",
    down="true if the results were requested",
    nodes='list of objects: `id`, `kind` ("version", "run", "artifact"), `missing` (why it is '
    "unknown or incomplete, or empty), `more` (true if `--depth` ended there); for a version `stage`, `aliases`, "
    "`created`, `code`; for a run `pipeline`, `status`, `started`, `versions`, `code`; for an artifact "
    "`kind_of_artifact`, `size`, `format` if a version has it, and `versions` (as `MODEL@NUMBER:NAME`)",
    edges="list of objects: `source`, `target` (the target was made from the source), `label` (the "
    "artifact's name in a version, `STEP.NAME` of an input or output of a run, or empty)",
    in_stages="list of text: the root and versions made from it that are in a stage or have an alias, as "
    "`MODEL@NUMBER STAGE`",
    unread="list of text: paths of records that could not be read completely; edges can be missing",
)
DIFF = shape(
    "diff",
    "Versions side by side. Printed by `diff`; TSV has a row for each field, with a column for each version.",
    versions="list of objects: `ref` (the given reference), `reference` (`MODEL@NUMBER`, with the date of `ref`), "
    "`model`, `number`, `at` (the commit of the metadata branch if `ref` has a date, or null), `unknown` (list of "
    '"parameters" and "packages" that could not be read or were not recorded)',
    fields="list of objects, those that differ first: `key` (as in filters, such as `metadata.accuracy`; parameters "
    "of a step are `steps.STEP.NAME`, packages `packages.NAME`), `same`, `change` (the difference from the first to "
    "the last number, or null), `values` (in the order of the versions; null if absent or unknown)",
    code="list of objects, from each version to the next: `old` and `new` (commits, or null), `changed` (two flags: "
    "there were uncommitted changes), `commits` (only in the new version, newest first: `commit`, `author`, "
    "`when`, `subject`), `left` (only in the old version)",
    gaps="list of text: what could not be compared",
    at="text: with `--at`, the commit of the metadata branch that was read; null without `--at`",
)
CHECKED_OUT = shape(
    "checked_out",
    "A work tree with a version's code. Printed by `checkout`.",
    reference="text: `MODEL@NUMBER`",
    path="text: the folder of the work tree",
    commit="text: the commit of the code",
    changed="true if there were uncommitted changes when the version was created",
    artifacts="object: the name and path of each artifact",
    attachments="object: the name and path of each attachment that --attachments wrote",
    left_out="list of text: the paths of submodules that were left out on request",
)
REPRODUCED = shape(
    "reproduced",
    "The result of reproducing a version. Printed by `reproduce`.",
    reference="text: `MODEL@NUMBER`",
    run="text: the id of the recorded run",
    commit="text: the commit of the code",
    changed="true if there were uncommitted changes at that time",
    identical="true if every output has the recorded bytes",
    outputs="list of objects: `step`, `name`, `same`, `old` and `new` (digests, or null), `then` and `now` "
    "(objects: `size`, and `format` and `metadata` for an artifact of the version)",
    metadata="list of objects: `key`, `old`, `new` (null if absent), `change` (difference of numbers, or null)",
    packages="list of objects as in `metadata`: the packages that differ, and `python`",
    unknown="list of text: what could not be compared",
)
EXPORTED = shape(
    "exported",
    "A version that was exported to a file. Printed by `export`.",
    reference="text: `MODEL@NUMBER`",
    path="text: the file",
    size="number of bytes",
    runs="list of text: the ids of the exported runs, of the version and of its sources",
    missing="list of text: what is recorded but not in the file",
)
SITE = shape(
    "site",
    "A static site that was written. Printed by `site`.",
    folder="text: the folder",
    files="number of files of the site",
    written="number of files that changed",
    removed="number of files that were removed",
)
IMPORTED = shape(
    "imported",
    "A version that was imported. Printed by `import`.",
    reference="text: `MODEL@NUMBER` in this registry",
    new="false if the version existed already and nothing was changed",
)
COPIED_VERSION = shape(
    "copied_version",
    "A version that was copied to another registry. Printed by `copy`.",
    source="text: `MODEL@NUMBER` in this registry",
    reference="text: `MODEL@NUMBER` in the other registry",
    new="false if the other registry had the version already",
    stage="text: the stage that the version entered there, or null",
    sent="number of bytes of artifacts that were sent",
    branch="text: the branch of the proposal that was written instead; null if the version is in the registry",
    address="text: the URL that opens the pull request, or null",
    missing="list of text: records of the version's runs that could not be copied",
)
IMPORT_ROW = shape(
    "import row",
    "A model of another registry, or a note about what was not taken as it is. Printed by `import --from`.",
    outcome='text: "imported" for a model; "renamed", "changed", "left out" or "proposed" for a note',
    subject="text: the name in the source; in a note, also a version, stage, alias or key of it",
    model="text: the name of the model here; null in a note",
    versions="number of versions that were created; null in a note, like the other numbers",
    deleted="number of deleted versions that were created, so that later numbers agree",
    known="number of versions that were imported before",
    runs="number of runs that were recorded",
    artifacts="number of artifacts that were stored",
    stages="object: the number of the version in each stage; null in a note",
    aliases="object: the number of the version of each alias; null in a note",
    reason="text: the reason of a note",
)
CARD = shape(
    "card",
    "The model card of a version. Printed by `card`.",
    reference="text: `MODEL@NUMBER`",
    card="text: Markdown with a YAML header",
)
FETCHED = shape(
    "fetched",
    "An artifact written to disk. Printed by `get`.",
    reference="text: `MODEL@NUMBER`, or the id of a run",
    artifact="text: the artifact's name",
    path="text: the file or folder that was written",
    digest="text: the digest with which its bytes were verified",
    size="number of bytes",
    at="text: with `--at`, the commit of the metadata branch that was read; null without `--at`",
)
METADATA = shape(
    "metadata",
    "One key of metadata. Printed by `metadata show` as TSV; as JSON the command prints one object of keys and values.",
    key="text",
    value="the value of the key",
)
DELETED = shape(
    "deleted",
    "A deleted model or version. Printed by `delete`, `version delete`.",
    model="text: the model's name",
    version="number of the version, or null for the whole model",
    deleted="true",
)
APPLIED = shape(
    "applied",
    "A pending stage or alias that `apply` examined.",
    model="text: the model's name",
    stage="text: the stage or alias",
    version="number of the version now in force, or null if the stage is empty or the change was not applied",
    applied="true if the tag now agrees with the branch",
    reason="text: the reason why the change was not applied, or empty",
    previous="number of the version previously in force, or null",
    tag="text: the name of the tag of the stage or alias",
    pushed="true if the tag also moved on the remote",
)
GATE = shape(
    "gate",
    "The result of a rule of a stage for a version. Part of `proposal` and `plan`.",
    gate="text: the name of the gate, or `after`",
    passed="true if the version meets the rule",
    finding="text: the reason why the version fails, or empty",
    message="text: the gate's message, or empty",
    forced="true if force overrode the rule",
    expression="text: the expression of the gate, or empty",
    values="object: the values that the expression reads, by their names; null if not set",
)
STAGE = shape(
    "stage",
    "A stage and its rules. Printed by `stage list`.",
    name="text: the name of the stage",
    after="list of text: the places from which a version may enter; empty: any place",
    proposal_only="true if each change needs a reviewed proposal",
    signed="true if changes must be signed",
    rollback="text: `direct` if a version that was in the stage before may return without meeting the rules, or empty",
    gates="list of objects: the gates of the stage, each with `name`, `expression` and `message`",
    in_force="true if only these rules are in force; false if earlier rules also apply until `git model apply`",
    faults="list of text: faults of the rules in `gitmodel.toml`; if there are any, no version enters the stage",
    at="text: with `--at`, the commit of the metadata branch that was read; null without `--at`",
)
CHANGED_RULES = shape(
    "changed_rules",
    "A change of the rules of a stage. Printed by `stage add`, `stage update`, `stage remove`, `stage gate add`, "
    "`stage gate remove`; with `--propose` they print a `proposal`.",
    stage="text: the stage",
    changed="true if the rules were different before",
    changes="list of text: the changes, each in a line",
    rules="object: the rules of the stage now (`after`, `proposal_only`, `signed`, `rollback`, `gates` as in `stage`); "
    "null if the stage was removed",
)
PROPOSAL = shape(
    "proposal",
    "Proposed changes of stages and rules, on a branch. Printed by `propose`, `proposals`, and by `stage add`, "
    "`stage update`, `stage remove`, `stage gate add` and `stage gate remove` with `--propose`.",
    branch="text: the branch, without `refs/heads/`",
    commit="text: the commit of the proposal",
    base="text: the commit of the metadata branch with which the proposal is compared",
    subject="text: the subject of the commit",
    author="text: the person who made the proposal",
    models="list of text: the models that the proposal changes",
    changes="list of objects as in `plan`: the effects of merging the proposal now",
    rule_changes="list of text: changes of the rules of stages, each in a line",
    problems="list of `problem`: the reasons not to merge the proposal now",
    ready="true if there are no problems",
    pushed="true if the remote has the branch",
    address="text: the URL for opening the pull request, or empty",
    text="text: the file with the text of the pull request, or empty if the URL contains it",
    request="text: the URL of the pull request that was opened, or empty",
)
PLAN = shape(
    "plan",
    "The effects of a merge. Printed by `plan`.",
    base="text: the commit into which `head` is merged",
    head="text: the commit that is merged",
    changes="list of objects: `model`, `stage` or `alias`, `previous` and `version` (numbers; null if empty), "
    "`who`, `reason`, `maker` (author of the version), `owners`, `reviewed` and `signed` (true if the stage "
    "requires a review or a signature), `signature` (null, or `by` and `fault`: the signer, and why the signature does "
    "not count, or empty), `approvers` (accounts that CODEOWNERS names), `code` (`old` and `new` commit, `count` of "
    "commits between or null, the newest of these as `commits`, `comparison`: a URL or empty), "
    "`metadata` (list of `key`, `old`, `new`, `change`), `artifacts` and `datasets` that differ (lists of `name`, "
    "`kind`, `old`, `new`), `packages` that differ (list of `name`, `old`, `new`), `texts` that differ (list of "
    "`name`, `kind`, `diff`: the lines of a unified diff), `sources` (null, or a `lineage`), `gates` (list of `gate`), "
    "`trend` (null, or the `metric` that charts show and its `points`: `version` and `value` of the last 12 versions "
    "in the stage and of the one that enters)",
    renamed="list of objects: renamed models, each with `model` and the new name `to`; stages move with them",
    versions="list of text: new versions, as `MODEL@NUMBER`",
    rules="list of text: changed files that decide who may do what",
    rule_changes="list of text: changes of the rules of stages, each in a line",
    page="text: the address of the page of the proposal, or empty",
    problems="list of `problem`: the reasons not to merge",
)
VERIFIED = shape(
    "verified",
    "An artifact that `verify` hashed. Each artifact is listed once, even if several versions have it.",
    digest="text: the digest of the artifact; empty if the record of the version cannot be read",
    size="number of bytes",
    versions="list of text: the versions that have the artifact, as `MODEL@NUMBER`, or a model whose versions are lost",
    error="text: the problem, or empty",
    unreachable="true if the store could not be reached, so the state of the artifact is unknown",
    uri="text: the location of an external artifact, or empty",
    purged="text: the parts that were erased permanently, when and why; or empty",
)
PROBLEM = shape(
    "problem",
    "A problem on the metadata branch. Printed by `check`.",
    path="text: the file on the metadata branch",
    key="text: the key in the file, or empty",
    rule="text: the name of the rule on the page of the format",
    message="text: the problem",
)
FINDING = shape(
    "finding",
    "A finding about this clone. Printed by `doctor`.",
    about="text: the kind of finding, such as lock, tag or artifact",
    message="text: the finding",
    hint="text: how to solve the problem",
    fixable="true if `doctor --fix` can repair the problem",
    grave="true if the problem prevents something from working",
    fixed="true if this command repaired the problem",
)
MAINTAINED = shape(
    "maintained",
    "The result of `maintenance`.",
    commits="number of commits of the metadata branch that are indexed by path",
    packed="number of loose objects that were packed",
)
STORE = shape(
    "store",
    "An artifact store of the registry, as this machine reaches it. Printed by `store list`, `store add`, `store use`, "
    "`store trust`.",
    name='text: the name of the store; "default" for the default store; empty for a URL of no store of the registry',
    url="text: the URL of the store on this machine",
    source="text: the file, variable or default that sets the URL",
    trusted="true if this machine may send credentials to the store, or the store needs none",
    read_only="true if this machine does not write to the store",
    models="list of text: the models that use the store; for the default store, the models without another store",
)
FORMAT = shape(
    "format",
    "A format in which gitmodel can load artifacts. Printed by `formats list`.",
    name="text: the name of the format, as in a record",
    extensions="list of text: the suffixes of its files, such as .csv; empty if the content alone decides",
    package="text: the package that adds the format; empty for a format of gitmodel",
    unsafe="true if loading can run code from the file, so that `trusted=True` is needed",
    error="text: why the format of a package cannot be used; empty if it can",
    trusted_names="list of text: the classes and functions that this machine trusts for files of this format",
)
TRUSTED_NAMES = shape(
    "trusted_names",
    "The classes and functions that files may use when they are loaded. Printed by `formats trust`.",
    names="list of text: the full names that this machine trusts now",
)
STORE_STATUS = shape(
    "store_status",
    "The artifacts in each store. Printed by `store status`.",
    stores="list of objects: `name`, `url`, `objects` and `size` (total bytes), `error` "
    '(why it could not be reached, or empty); "clone" is the store in the clone if another is the default',
    models="list of objects: `model`, `versions`, `artifacts`, `size`, `where` "
    "(object: each store and its number of artifacts), `missing` (in no store), `unknown` (perhaps in a "
    "store that could not be reached), `external`, `purged`. Each artifact counts once per model",
    missing="list of objects: `digest` (for a folder, of its first missing file), `artifact`, `size`, "
    "`versions` (as `MODEL@NUMBER`), `files` (their number)",
    damaged="list of text: records that could not be read",
)
COPIED = shape(
    "copied",
    "The result of `store copy`.",
    source="text: the URL of the store that was copied",
    target="text: the URL of the store that was copied to",
    copied="number of objects that were copied",
    size="number of bytes that were copied",
    there="number of objects that the target already had",
    failed="object: the digest of each object that could not be copied, and the reason",
)
GARBAGE = shape(
    "garbage",
    "Objects that no version, run or tag needs. Printed by `store gc`.",
    store="text: the URL of the store",
    digests="list of text: the objects that can be removed, or were removed",
    leftovers="number of unfinished uploads",
    size="number of bytes of the objects and leftovers",
    purged="number of objects in `digests` that were purged",
    needed="number of objects that are needed and stay",
    recent="number of objects that are not needed and stay because they are recent",
    removed="true if the objects were removed, false if they were only listed",
)
PURGED = shape(
    "purged",
    "The result of `store purge`.",
    digests="list of text: the digests that have a tombstone; for a folder, also those of its files",
    versions="list of text: the versions that have the artifact, as `MODEL@NUMBER`",
    removed="list of text: the URLs of the stores from which bytes were removed",
    kept="list of text: files of the folder that stay because other artifacts need them",
    pending="true if the bytes stay until the tombstone is on the remote",
)
SETTING = shape(
    "setting",
    "A setting in effect. Printed by `config`.",
    key="text: the name of the setting",
    value="text: the value of the setting",
    source="text: the file, variable or default that sets the value",
)
REGISTRY = shape(
    "registry",
    "The registry of this repository. Printed by `init`.",
    registry="text: the git directory that contains the registry, or the URL of the registry",
    branch="text: the full name of the metadata branch",
    store="text: the URL of the artifact store, or null",
    begun="true if this command created the registry",
    adopted="text: the remote from which the registry was fetched, or null",
    written="list of text: the files that `--ci` created or changed",
)
REMOTE = shape(
    "remote",
    "The remote for `pull` and `push`. Printed by `remote`, `clone`.",
    name="text: the name of the remote in git",
    url="text: the URL of the remote, without credentials",
    seen="text: the last commit of the remote's metadata branch that gitmodel saw, or empty",
    ahead="number of local commits that the remote lacked when it was last seen",
    behind="number of the remote's commits, as last seen, that are not here",
)
PULLED = shape(
    "pulled",
    "The result of `pull`.",
    remote="text: the remote's name",
    commit="text: the tip of the metadata branch, or null",
    changed="true if the branch or a stage tag moved",
    commits="number of commits that were fetched",
    artifacts="number of artifacts that were fetched",
    replayed="number of local commits that were replayed on the remote's tip",
    renumbered="list of text: versions that got a new number, as `MODEL OLD -> NEW`",
    conflicts="list of text: changes of both sides that conflicted; the remote's change was kept",
    moved="list of text: the local stage tags that moved, as `MODEL@STAGE`",
    set_back="list of text: the stage tags on the remote that no longer agree with the branch",
    merged="list of text: merges by plain git that leave commits of stage tags off the chain of first parents",
    credentials="list of text: fields of the fetched records that look like credentials",
)
PUSHED = shape(
    "pushed",
    "The result of `push`.",
    remote="text: the remote's name",
    commit="text: the tip of the metadata branch, or null",
    commits="number of commits that the remote did not have",
    artifacts="number of artifacts that were uploaded",
    renumbered="list of text: versions that got a new number, as `MODEL OLD -> NEW`",
    conflicts="list of text: changes of both sides that conflicted; the remote's change was kept",
    moved="list of text: the remote's stage tags that moved, as `MODEL@STAGE`",
    code="number of code commits that were newly kept on the remote of the code",
    unpublished="list of text: code commits of versions that were never on a branch of the remote",
)
HOOK = shape(
    "hook",
    "A git hook of a repository. Printed by `hook install`, `hook uninstall`.",
    hook="text: the name of the hook, `pre-receive` or `pre-push`",
    path="text: the file of the hook",
    installed="true if the hook is installed",
    changed="true if this command wrote or removed the hook",
)
ERROR = shape(
    "error",
    'The failure of a command: `{"error": {...}}` on stderr.',
    message="text: the error",
    hint="text: how to solve the problem, or empty",
    exit_code="number: the exit code of the command",
    kind="text: the name of the error class in `gitmodel.errors`, or `Unexpected`",
    gates="list of objects: the gates that a version fails (`gate`, `expression`, `message`, `values` by their names, "
    "`finding`); empty for other errors",
)
WARNING = shape(
    "warning",
    'A problem that does not stop the command: `{"warning": {...}}` on stderr.',
    message="text: the problem",
    hint="text: how to solve the problem, or empty",
)
# Every shape above, in order. Collected and not listed by hand, so that no shape is forgotten.
ALL = tuple(value for value in tuple(globals().values()) if isinstance(value, Shape))
