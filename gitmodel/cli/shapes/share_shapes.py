"""The fields of JSON and TSV output about remotes, exports, imports and copies."""

from __future__ import annotations

from gitmodel.cli.shapes.shape import shape

EXPORTED = shape(
    "exported",
    "A version that was exported to a file. Printed by `export`.",
    reference="text: `MODEL@NUMBER`",
    path="text: the file",
    size="number of bytes",
    runs="list of text: the ids of the exported runs, of the version and of its sources",
    missing="list of text: what is recorded but not in the file",
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
