"""The fields of JSON and TSV output about history, lineage, runs and code."""

from __future__ import annotations

from gitmodel.cli.shapes.shape import shape

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
