"""The fields of JSON and TSV output about stages, their rules, aliases and proposals."""

from __future__ import annotations

from gitmodel.cli.shapes.shape import shape

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
