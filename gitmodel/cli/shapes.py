"""The shapes of what commands print as JSON and TSV: each field, in order, with what it holds.

`docs/reference/json.md` is made from this, and a test compares both with what the commands print.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from gitmodel.domain.schema.records import DESCRIPTIVE, DESCRIPTIVE_TEXTS


class Shape(NamedTuple):
    """An object that commands print: its *fields* and what each holds, in order."""

    name: str
    about: str
    fields: Mapping[str, str]

    @property
    def keys(self) -> tuple[str, ...]:
        """The names of the fields, in order: the columns of TSV."""
        return tuple(self.fields)


MODEL = Shape(
    "model",
    "A model as readers see it. Of `list`, `show MODEL`, `register`, `update`.",
    {
        "name": "text: its name",
        **{name: f"text: {DESCRIPTIVE[name][0].lower()}{DESCRIPTIVE[name][1:-1]}" for name in DESCRIPTIVE_TEXTS},
        "tags": "list of text, sorted",
        "owners": "list of text, sorted: who answers for it",
        "created": "time: when it was registered",
        "latest": "number of the latest version: the highest neither deleted nor failed; null if there is none",
        "local": "true if the remote, as last seen, does not have the latest version: its number may still change",
        "versions": "number of versions that are not deleted",
        "stages": "object: stage name to the number of the version in it, in force",
        "aliases": "object: alias to the number of the version it names, in force",
        "pending": "list of `pending`: the stages and aliases whose record and tag differ",
        "at": "text: with `--at`, the commit of the metadata branch whose state this is; or null: it is of now",
    },
)
VERSION = Shape(
    "version",
    "A version as readers see it. Of `version list`, `show MODEL@VERSION`, `version create`, `version update`, "
    "`link`, `unlink`, `metadata set`.",
    {
        "model": "text: the model's name",
        "number": "number, from 1",
        "name": "text: the version's own name, or null",
        "stage": 'text: the exclusive stage it is in, in force, or "archived", or null',
        "aliases": "list of text: the aliases it has, in force",
        "pending": "list of `pending`: the changes of stages and aliases that concern it and are not in force",
        "local": "true if the remote, as last seen, does not have it: its number may still change",
        "created": "time: when it was made",
        "description": "text",
        "tags": "list of text, sorted",
        "metadata": "object: what was logged",
        "artifacts": "list of `artifact`, by name",
        "runs": "list of text: the ids of the runs that made or used it",
        "code": "object or null: `commit` (40 hex digits or null), `dirty` (had changes; null: unknown), "
        "`snapshot` (the commit that holds these, or null), `repository` "
        "(its origin without credentials, or null), `outside` (there was no code repository)",
        "failed": "true if it was kept from a failed run",
        "deleted": "time: when it was deleted, or null",
        "reason": "text: why it was deleted",
        "at": "text: with `--at`, the commit of the metadata branch whose state this is; or null: it is of now",
    },
)
ARTIFACT = Shape(
    "artifact",
    "An artifact of a version. Of `version artifacts`, `version model_objects`, `version deployments`.",
    {
        "name": "text: its name within the version",
        "kind": 'text: "data", "model" or "deployment"',
        "digest": "text: `sha256:` and 64 hex digits; of a folder, the digest of its manifest",
        "size": "number of bytes; of a folder, of all its files",
        "format": 'text: how to load it, such as "skops"; "folder" for a folder',
        "pipeline": "text: the pipeline that made it, or null",
        "step": "text: the step that made it, or null",
        "run": "text: the run that it is an output of, if the version itself does not have it, or null",
        "uri": "text: where an external one is, or null",
        "version_id": "text: what its store calls the version of what is at `uri`, or null",
        "digest_by": 'text: "provider" if the store that has it told the digest, or null: it was read and hashed',
        "metadata": "object: what was logged about it",
    },
)
PENDING = Shape(
    "pending",
    "A stage or alias whose record on the branch and whose tag differ; part of `model` and `version`.",
    {
        "stage": "text: the stage's name; an alias has `alias` instead",
        "recorded": "number of the version that the branch says, or null",
        "in_force": "number of the version that the tag says, or null",
        "forged": "text: why the tag does not count, or empty",
        "doubt": "text: why a rule keeps what is recorded from being in force, or empty",
    },
)
RESOLVED = Shape(
    "resolved",
    "What a reference stands for. Of `resolve`.",
    {
        "reference": "text: `MODEL@NUMBER`",
        "model": "text: the model's present name",
        "number": "number of the version",
        "name": "text: the version's own name, or null",
        "artifacts": "list of `artifact`, by name",
        "frozen": "text: the stage tag that alone was read, by URL, and that the answer is as old as; or null",
        "at": "text: with `--at`, the commit of the metadata branch whose state this is; or null: it is of now",
    },
)
PROMOTION = Shape(
    "promotion",
    "What a change of a stage or alias did. Of `promote`, `demote`, `rollback`, `alias set`, `alias remove`.",
    {
        "model": "text: the model's name",
        "version": "number of the version that was moved, or null: the stage is empty now",
        "stage": 'text: the stage or alias; "archived" and "none" too',
        "previous": "number of the version that held it before, or null",
        "archived": "number of the version that was archived by it, or null",
        "left": "list of text: the stages that the version left",
        "changed": "false if everything was so already",
    },
)
ALIAS = Shape(
    "alias",
    "An alias of a model. Of `alias list`.",
    {
        "model": "text: the model's name",
        "alias": "text: the alias",
        "version": "number of the version it names, in force, or null",
        "recorded": "number of the version that the branch says, or null",
        "pending": "true if the two differ",
    },
)
EVENT = Shape(
    "event",
    "A change of a stage or alias. Of `history`, newest first.",
    {
        "model": "text: the model's name",
        "stage": "text: the stage or alias",
        "version": "number of the version that entered it, or null: it was left empty",
        "previous": "number of the version that it held before, or null",
        "commit": "text: the commit of the metadata branch",
        "author": "text: who made it; of a merge, who made what it brought in",
        "when": "time: when it was recorded, the commit's committer date",
        "reason": "text",
        "forced": "list of text: the gates that it passed by force",
        "authored": "time: when it was made, the author date of what a merge brought in",
        "merged_by": "text: who merged it, or empty",
        "pull_request": "text: the pull request that the commit names, as its host writes it (`#12`, `!12`), or empty",
        "until": "time: when the next change of the same stage or alias was recorded, or null: it still stands",
        "ended_by": "text: the commit of that change, or empty",
        "fault": "text: why it never was in force, such as `recorded, not reviewed: ...`, or empty",
    },
)
LOGGED = Shape(
    "logged",
    "What a commit did to one record. Of `log`, newest first.",
    {
        "model": "text: the name that the model had then",
        "version": "number of the version, or null: the model itself",
        "what": "text: such as `made`, `changed`, `entered production`, `archived`, `deleted`",
        "fields": "list of text: the fields that it set or removed, such as `metadata.accuracy`",
        "commit": "text: the commit of the metadata branch",
        "author": "text: who made it",
        "when": "time: when it was recorded, the commit's committer date",
        "reason": "text: the prose of the commit's message",
        "pull_request": "text: as of `event`",
    },
)
ORIGIN = Shape(
    "origin",
    "Where a field of a version has its value from. Of `blame`.",
    {
        "field": "text: its dotted name, such as `metadata.accuracy`; `stage`, `aliases.NAME`",
        "value": "its value now",
        "commit": "text: the commit of the metadata branch that set it",
        "author": "text: who made it",
        "when": "time: when it was recorded",
        "pull_request": "text: as of `event`",
    },
)
CONTAINING = Shape(
    "containing",
    "A version, and whether its code has a commit. Of `contains`.",
    {
        "model": "text: the model's name",
        "number": "number of the version",
        "name": "text: the version's own name, or null",
        "stage": "text: the stage it is in, in force, or null",
        "aliases": "list of text: the aliases it has, in force",
        "commit": "text: its code commit",
        "dirty": "true if its code had changes that were not committed; null: unknown",
        "contains": "true if its code commit is this one or came after it",
        "exact": "true if its code commit is this one",
    },
)
NOTED = Shape(
    "noted",
    "What `notes` wrote.",
    {
        "commit": "text: the commit that `refs/notes/gitmodel` points at, or empty",
        "notes": "number of code commits that have a note",
        "missing": "number of code commits of versions that are not in this repository",
    },
)
RUN = Shape(
    "run",
    "A run that made, worked on or read a version. Of `version runs`.",
    {
        "id": "text: the run's id",
        "pipeline": "text: the pipeline's name, or null",
        "status": 'text: "succeeded", "failed" or "cancelled"; "running" or "lost" if only this machine knows of it; '
        '"unknown" if its record is missing',
        "started": "time, or null",
        "recorded": "true if it is recorded on the metadata branch",
        "only_read": "true if it neither made the version nor worked on it, but took one of its artifacts as an input",
    },
)
RECORDED_RUN = Shape(
    "recorded_run",
    "A run of a pipeline with all recorded fields. Of `run`, `runs list`, `runs show`.",
    {
        "id": "text: the run's id",
        "pipeline": "text: the pipeline's name",
        "status": 'text: "succeeded", "failed" or "cancelled"; "running" or "lost" if only this machine knows of it',
        "started": "time",
        "finished": "time, or null if it is not recorded",
        "since": "time of the last sign of life of a lost run, or null",
        "recorded": "true if it is recorded on the metadata branch",
        "versions": "list of text: the versions that it made or worked on, as `MODEL@NUMBER`",
        "failed_step": "text: the step that failed, or null",
        "error": "text: what failed; the branch has its type, this machine its message",
        "executor": "text: what ran the steps",
        "python": "text: the version of Python",
        "packages": "text: the digest of the list of installed packages in the artifact store, or null",
        "code": "object or null: as of a version",
        "script": "text: the file that its pipeline is in, from the top of the code repository; null: none that is on "
        "record, so `reproduce` cannot run it again",
        "module": "text: the name under which that file was imported, or null",
        "parameters": "object: what the pipeline was called with",
        "steps": 'list of objects in the order in which they run: `name`, `status` ("succeeded", "cached", "failed", '
        '"skipped"), `version` (that it worked on and that existed before, as `MODEL@NUMBER`, or null), `seconds`, '
        "`parameters`, `inputs` and `outputs` (name to digest), and with a `version` `kinds`, `sizes` (bytes) and "
        "`formats` of the outputs",
    },
)
LINEAGE = Shape(
    "lineage",
    "What something was made from, and what was made from it. Of `lineage`.",
    {
        "root": "text: the start: `MODEL@NUMBER`, a run's id or a digest",
        "up": "true if the sources were requested",
        "down": "true if the results were requested",
        "nodes": 'list of objects: `id`, `kind` ("version", "run", "artifact"), `missing` (why nothing, or not all, is '
        "known of it, or empty), `more` (true if `--depth` ended there); of a version `stage`, `aliases`, `created`, "
        "`code`; of a run `pipeline`, `status`, `started`, `versions`, `code`; of an artifact `kind_of_artifact`, "
        "`size`, `format` if a version has it, and `versions` (as `MODEL@NUMBER:NAME`)",
        "edges": "list of objects: `source`, `target` (which was made of or with it), `label` (the artifact's name in "
        "a version; `STEP.NAME` of a run's input or output; or empty)",
        "in_stages": "list of text: the versions made from it, or itself, that are in a stage or have an alias, as "
        "`MODEL@NUMBER STAGE`",
        "unread": "list of text: paths of records that could not be read in full, so that edges may be missing",
    },
)
DIFF = Shape(
    "diff",
    "Two versions side by side. Of `diff`.",
    {
        "old": "text: the first version, as `MODEL@NUMBER`",
        "new": "text: the second version",
        "metadata": "list of objects: `key`, `old`, `new` (null: it has none), `change` (of numbers, else null)",
        "parameters": "list of objects, as of `metadata`: those of the runs that made them, of a step as `STEP.NAME`",
        "artifacts": "list of objects: `name`, `kind`, `old` and `new` (digests, or null), `same`",
        "packages": "list of objects, as of `metadata`: the packages that differ, and `python`",
        "code": "object: `old` and `new` (commits, or null), `changed` (two flags: files differed from the commit), "
        "`commits` (of the new one that the old one lacks, newest first: `commit`, `author`, `when`, `subject`), "
        "`left` (of the old one that the new one lacks)",
        "gaps": "list of text: what could not be compared",
    },
)
CHECKED_OUT = Shape(
    "checked_out",
    "A work tree of a version's code. Of `checkout`.",
    {
        "reference": "text: `MODEL@NUMBER`",
        "path": "text: where it is",
        "commit": "text: the commit of the code",
        "changed": "true if its files differed from the commit when the version was made",
        "artifacts": "object: the name of each artifact to where it is",
        "left_out": "list of text: the paths of the submodules that were left out, as asked",
    },
)
REPRODUCED = Shape(
    "reproduced",
    "What came of running again what made a version. Of `reproduce`.",
    {
        "reference": "text: `MODEL@NUMBER`",
        "run": "text: the id of the run on record",
        "commit": "text: the commit of the code",
        "changed": "true if its files differed from the commit then",
        "identical": "true if every output has the bytes on record",
        "outputs": "list of objects: `step`, `name`, `same`, `old` and `new` (digests, or null), `then` and `now` "
        "(objects: `size`, and of an artifact of the version `format` and `metadata`)",
        "metadata": "list of objects: `key`, `old`, `new` (null: it has none), `change` (of numbers, else null)",
        "packages": "list of objects, as of `metadata`: the packages that differ, and `python`",
        "unknown": "list of text: what could not be compared",
    },
)
EXPORTED = Shape(
    "exported",
    "A version in a file. Of `export`.",
    {
        "reference": "text: `MODEL@NUMBER`",
        "path": "text: the file",
        "size": "number of its bytes",
        "runs": "list of text: the ids of the runs in it, of the version and of its sources",
        "missing": "list of text: what is on record and not in it",
    },
)
IMPORTED = Shape(
    "imported",
    "A version that was taken in. Of `import`.",
    {"reference": "text: `MODEL@NUMBER`, here", "new": "false if it was here before, and nothing was changed"},
)
CARD = Shape(
    "card",
    "The model card of a version. Of `card`.",
    {"reference": "text: `MODEL@NUMBER`", "card": "text: Markdown with a YAML header"},
)
FETCHED = Shape(
    "fetched",
    "An artifact written to disk. Of `get`.",
    {
        "reference": "text: `MODEL@NUMBER`",
        "artifact": "text: the artifact's name",
        "path": "text: where it is now",
        "digest": "text: the digest that its bytes were verified against",
        "size": "number of bytes",
        "at": "text: with `--at`, the commit of the metadata branch whose state this is; or null: it is of now",
    },
)
METADATA = Shape(
    "metadata",
    "One key of metadata. Of `metadata show` as TSV; as JSON it prints one object of keys and values.",
    {"key": "text", "value": "what was logged"},
)
DELETED = Shape(
    "deleted",
    "What was deleted. Of `delete`, `version delete`.",
    {
        "model": "text: the model's name",
        "version": "number of the version, or null: the whole model",
        "deleted": "true",
    },
)
APPLIED = Shape(
    "applied",
    "A stage or alias that `apply` looked at because it was pending.",
    {
        "model": "text: the model's name",
        "stage": "text: the stage or alias",
        "version": "number of the version that is in force now, or null: it is empty, or it was not applied",
        "applied": "true if its tag follows the branch now",
        "reason": "text: why it was not applied, or empty",
        "previous": "number of the version that was in force before, or null",
        "tag": "text: its tag",
        "pushed": "true if it moved at the remote, too",
    },
)
GATE = Shape(
    "gate",
    "What a rule of a stage says of a version; part of `proposal` and `plan`.",
    {
        "gate": "text: its name; `after` for the places that a version may come from",
        "passed": "true if the version satisfies it",
        "finding": "text: why not, or empty",
        "message": "text: the gate's own words, or empty",
        "forced": "true if the stage's file lists it as passed by force",
    },
)
PROPOSAL = Shape(
    "proposal",
    "Changes of stages on a branch of their own. Of `propose`, `proposals`.",
    {
        "branch": "text: the branch, without `refs/heads/`",
        "commit": "text: its commit",
        "base": "text: the commit of the metadata branch that it is judged on",
        "subject": "text: the subject of its commit",
        "author": "text: who proposes it",
        "models": "list of text: the models that it changes",
        "changes": "list of objects: what a merge would change now, as `plan` has them",
        "problems": "list of `problem`: what is against merging it now",
        "ready": "true if nothing is",
        "pushed": "true if the remote has the branch",
        "address": "text: where the pull request is opened, or empty",
        "text": "text: the file with what the pull request is to say, or empty: the address has it",
        "request": "text: the address of the pull request that was opened, or empty",
    },
)
PLAN = Shape(
    "plan",
    "What a merge would change. Of `plan`.",
    {
        "base": "text: the commit that is merged into",
        "head": "text: the commit that is merged",
        "changes": "list of objects: `model`, `stage` or `alias`, `previous` and `version` (numbers, or null: empty), "
        "`who`, `reason`, `maker` (of the version), `owners`, `code` (`old` and `new` commit, `count` of commits "
        "between or null, the newest of these `commits`, `comparison`: an address, or empty), "
        "`metadata` (list of `key`, `old`, `new`, `change`), `artifacts` and `datasets` that differ (lists of `name`, "
        "`kind`, `old`, `new`), `gates` (list of `gate`)",
        "renamed": "list of objects: models that are renamed, each `model` with its new name `to`; stages go along",
        "versions": "list of text: the versions that are new, as `MODEL@NUMBER`",
        "rules": "list of text: changed files that decide who may do what",
        "problems": "list of `problem`: what is against merging it",
    },
)
VERIFIED = Shape(
    "verified",
    "An artifact that `verify` hashed again; each once, however many versions need it.",
    {
        "digest": "text: its digest; empty if the record of the version cannot be read",
        "size": "number of bytes",
        "versions": "list of text: the versions that need it, as `MODEL@NUMBER`; a model whose versions are lost",
        "error": "text: what is wrong with it, or empty",
        "unreachable": "true if its store could not be asked, so that nothing is known of it",
        "uri": "text: where an external artifact is, or empty",
        "purged": "text: what of it was erased for good, when and why; empty if nothing was",
    },
)
PROBLEM = Shape(
    "problem",
    "Something that is wrong on the metadata branch. Of `check`.",
    {
        "path": "text: the file on the metadata branch",
        "key": "text: the key in it, or empty",
        "rule": "text: the rule of the format, as `docs/reference/format.md` names it",
        "message": "text: what is wrong",
    },
)
FINDING = Shape(
    "finding",
    "Something about this clone. Of `doctor`.",
    {
        "about": "text: the kind of finding, such as lock, tag or artifact",
        "message": "text: what was found",
        "hint": "text: what to do about it",
        "mendable": "true if `doctor --fix` mends it",
        "grave": "true if it keeps something from working",
        "mended": "true if this command mended it",
    },
)
MAINTAINED = Shape(
    "maintained",
    "What `maintenance` did.",
    {
        "commits": "number of commits of the metadata branch that git finds by path now",
        "packed": "number of loose objects that were packed",
    },
)
STORE = Shape(
    "store",
    "An artifact store of the registry, as this machine reaches it. Of `store list`, `store add`, `store use`, "
    "`store trust`.",
    {
        "name": 'text: its name; "default" for the first, empty for a URL that is no store of the registry',
        "url": "text: where it is, on this machine",
        "source": "text: what sets this",
        "trusted": "true if this machine may use its credentials there, or needs none",
        "read_only": "true if this machine does not write to it",
        "models": "list of text: the models that keep their artifacts in it; of the default one, those without another",
    },
)
STORE_STATUS = Shape(
    "store_status",
    "What is where. Of `store status`.",
    {
        "stores": "list of objects: `name`, `url`, `objects` and `size` (how many, and their bytes in all), `error` "
        '(why it could not be asked, or empty); "clone" is the store inside the clone where another is the default',
        "models": "list of objects, each artifact of a model once: `model`, `versions`, `artifacts`, `size`, `where` "
        "(name of a store to the number of artifacts that it has), `missing` (in no store), `unknown` (perhaps in one "
        "that could not be asked), `external`, `purged`",
        "missing": "list of objects: `digest` (of a folder, of the first file that is missing), `artifact`, `size`, "
        "`versions` (as `MODEL@NUMBER`), `files` (how many)",
        "damaged": "list of text: records that could not be read",
    },
)
COPIED = Shape(
    "copied",
    "What `store copy` did.",
    {
        "source": "text: the URL of the store that was copied",
        "target": "text: the URL of the store that has it all now",
        "copied": "number of objects",
        "size": "number of their bytes",
        "there": "number of objects that were there already",
        "failed": "object: digest to why it could not be copied",
    },
)
GARBAGE = Shape(
    "garbage",
    "What no version, run or tag needs. Of `store gc`.",
    {
        "store": "text: the URL of the store",
        "digests": "list of text: the objects that may go, or went",
        "leftovers": "number of uploads that did not end",
        "size": "number of bytes of both",
        "purged": "number of the objects that go because they were purged",
        "needed": "number of objects that stay because something needs them",
        "recent": "number of objects that nothing needs and that stay because they are recent",
        "removed": "true if they were removed; false if they were only found",
    },
)
PURGED = Shape(
    "purged",
    "What `store purge` did.",
    {
        "digests": "list of text: what has a tombstone: of a folder, its files too",
        "versions": "list of text: the versions that name it, as `MODEL@NUMBER`",
        "removed": "list of text: the URLs of the stores that had bytes of it, which are gone",
        "kept": "list of text: files of the folder that stay, since other artifacts need them",
        "pending": "true if the bytes are still there, until the tombstone is on the remote",
    },
)
SETTING = Shape(
    "setting",
    "A setting in effect. Of `config`.",
    {
        "key": "text: its name",
        "value": "text: its value",
        "source": "text: what sets this",
    },
)
REGISTRY = Shape(
    "registry",
    "The registry of this repository. Of `init`.",
    {
        "registry": "text: the git directory that holds it, or its URL",
        "branch": "text: the full name of the metadata branch",
        "store": "text: the URL of the artifact store, or null",
        "begun": "true if this command began it",
        "adopted": "text: the remote that it was taken from, or null",
        "written": "list of text: the files that `--ci` made or changed",
    },
)
REMOTE = Shape(
    "remote",
    "The remote that pulls and pushes go to. Of `remote`, `clone`.",
    {
        "name": "text: its name in git",
        "url": "text: its URL, without credentials",
        "seen": "text: the commit of its metadata branch that was seen last, or empty",
        "ahead": "number of commits here that it did not have then",
        "behind": "number of commits that it had then and that are not here",
    },
)
PULLED = Shape(
    "pulled",
    "What `pull` did.",
    {
        "remote": "text: the remote's name",
        "commit": "text: the commit of the metadata branch now, or null",
        "changed": "true if the branch or a stage tag moved",
        "commits": "number of commits that came",
        "artifacts": "number of artifacts that were fetched",
        "replayed": "number of local commits that were made again on the remote's",
        "renumbered": "list of text: versions that got another number, as `MODEL OLD -> NEW`",
        "conflicts": "list of text: where both sides changed one thing, and the remote's stands",
        "moved": "list of text: the stage tags that moved here, as `MODEL@STAGE`",
        "set_back": "list of text: the stage tags that somebody moved there, away from what the branch records",
        "merged": "list of text: the merges by plain git whose first parents lead past commits of stage tags",
        "credentials": "list of text: fields of the records that came which look like credentials",
    },
)
PUSHED = Shape(
    "pushed",
    "What `push` did.",
    {
        "remote": "text: the remote's name",
        "commit": "text: the commit of the metadata branch now, or null",
        "commits": "number of commits that the remote did not have",
        "artifacts": "number of artifacts that were uploaded",
        "renumbered": "list of text: versions that got another number, as `MODEL OLD -> NEW`",
        "conflicts": "list of text: where both sides changed one thing, and the remote's stands",
        "moved": "list of text: the stage tags that moved there, as `MODEL@STAGE`",
        "code": "number of code commits that the remote of the code keeps now, and did not keep before",
        "unpublished": "list of text: commits that versions here were made from and that no branch there has held",
    },
)
HOOK = Shape(
    "hook",
    "A git hook of a repository. Of `hook install`, `hook uninstall`.",
    {
        "hook": "text: its name, `pre-receive` or `pre-push`",
        "path": "text: its file",
        "installed": "true if it is there now",
        "changed": "true if this command wrote or removed it",
    },
)
ERROR = Shape(
    "error",
    'Why a command failed: `{"error": {...}}` on stderr.',
    {
        "message": "text: what happened",
        "hint": "text: what to do next, or empty",
        "exit_code": "number: the exit code of the command",
        "kind": "text: the class of the error in `gitmodel.errors`, or `Unexpected`",
    },
)
WARNING = Shape(
    "warning",
    'What is wrong although the command goes on: `{"warning": {...}}` on stderr.',
    {"message": "text: what is wrong", "hint": "text: what to do about it, or empty"},
)
# Every shape above, in order: collected, so that none can be forgotten.
ALL = tuple(value for value in tuple(globals().values()) if isinstance(value, Shape))
