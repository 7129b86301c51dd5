"""The fields of JSON and TSV output about models, versions and artifacts."""

from __future__ import annotations

from gitmodel.cli.shapes.shape import shape
from gitmodel.domain.schema.records import DESCRIPTIVE, DESCRIPTIVE_TEXTS

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
CARD = shape(
    "card",
    "The model card of a version. Printed by `card`.",
    reference="text: `MODEL@NUMBER`",
    card="text: Markdown with a YAML header",
)
SITE = shape(
    "site",
    "A static site that was written. Printed by `site`.",
    folder="text: the folder",
    files="number of files of the site",
    written="number of files that changed",
    removed="number of files that were removed",
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
