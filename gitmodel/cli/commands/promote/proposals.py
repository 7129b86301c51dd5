"""Commands on proposals: propose, proposals, plan."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import click

from gitmodel.cli import options
from gitmodel.cli.commands.look.diff import row_fields
from gitmodel.cli.invocation import Invocation, command
from gitmodel.cli.shapes import promote_shapes as shapes
from gitmodel.domain.schema.references import VersionRef
from gitmodel.domain.views import cell_text, lineage_drawing
from gitmodel.errors import GitModelError, Invalid, Refused

if TYPE_CHECKING:
    from gitmodel.client.values import PlannedChange, Proposal
    from gitmodel.domain.views.comparison import Compared


def published(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options --remote, --push and --open of a command that makes a proposal."""
    for option in (
        click.option("--open", is_flag=True, help="Push the branch, and have the host open the pull request."),
        click.option("--push", is_flag=True, help="Push the branch of the proposal."),
        click.option("--remote", default="", metavar="NAME", help="Remote to propose to. Default: the only one."),
    ):
        function = option(function)
    return function


@command(example='git model propose iris@2 production --reason "beats the baseline"')
@click.argument("words", nargs=-1, metavar="[REF STAGE]...", shell_complete=options.complete_model_and_stage)
@click.option("--demote", nargs=2, multiple=True, metavar="MODEL STAGE", help="Propose to empty the stage.")
@click.option(
    "--rollback",
    nargs=2,
    multiple=True,
    metavar="MODEL STAGE",
    help="Propose to return the stage to its previous version.",
)
@click.option("--rename", nargs=2, multiple=True, metavar="MODEL NAME", help="Propose to rename the model.")
@options.reason
@options.force
@options.leave
@options.renumbered
@published
def propose(invocation: Invocation, /, words: tuple[str, ...], **given: Any) -> None:
    """Propose changes of stages for a pull request.

    You can propose several changes at once: iris@4 production iris@5 staging. The command creates a branch from the
    remote's metadata branch, with one commit that changes the files of the stages, and prints the link that opens the
    pull request. The text of the pull request is the plan. Nothing is pushed without --push or --open, and no change is
    in force until the pull request is merged and applied. The remote must have the same versions. --open uses gh or
    glab if installed. For a registry by URL, the branch is always pushed.
    """
    print_proposal(invocation, invocation.client.propose(*_promotions(words), **given))


def print_proposal(invocation: Invocation, made: Proposal) -> None:
    """Print a new proposal, with the next commands and the URL."""
    said = _proposal_text(made, invocation.client.repository.branch_name)
    invocation.output.outcome(said, shapes.PROPOSAL, _proposal_fields(made), name=made.branch)


@command("proposals", example="git model proposals")
@click.option("--remote", default="", metavar="NAME", help="Remote to ask. Default: the only one.")
@options.listed
def list_proposals(invocation: Invocation, remote: str, part: options.Part) -> None:
    """List the open proposals.

    The list has the local proposals and those at the remote. Each is checked against the current rules of its stages.
    """
    part.print(
        invocation.output,
        invocation.client.list_proposals(remote),
        shapes.PROPOSAL,
        fields=_proposal_fields,
        name=lambda one: one.branch,
        columns=(
            ("BRANCH", lambda one: one.branch),
            ("CHANGES", _changes),
            ("WHO", lambda one: one.author),
            ("RULES", _verdict),
        ),
        empty="no proposal is open",
    )


def _changes(one: Proposal) -> str:
    added = [f"adds {reference}" for reference in one.plan.versions]
    return cell_text.commas([*map(_change, _entering(one)), *one.plan.rule_changes, *added])


@command(example="git model plan")
@click.option("--markdown", is_flag=True, help="Print Markdown, for a job's summary or a comment.")
@click.option("--comment", is_flag=True, help="In a job: also write the plan into the comment of the pull request.")
@click.option("--force", is_flag=True, help="Allow the change to delete versions in use, and many models.")
@click.argument("commits", metavar="[BASE..HEAD]", required=False, default="")
def plan(invocation: Invocation, commits: str, markdown: bool, comment: bool, force: bool) -> None:
    """Show the changes that a merge would make.

    The plan shows the effect of merging HEAD into BASE on each stage and alias: the old and the new version with
    author, reason and owners; code, metadata, artifacts and data side by side; and the result of each rule of the
    stage. The default is the proposal that is checked out, or else the only local proposal, or else your unpushed
    commits. The exit codes are those of check: 5 for a damaged record, 6 if only a rule that a person may override
    forbids the merge. Markdown starts with a hidden line by which a job finds its comment.
    """
    from gitmodel.client import administration
    from gitmodel.teams.plans import plan_markdown, plan_texts

    made = invocation.client.plan(commits, force=force)
    output = invocation.output
    # in a job of Bitbucket, which shows neither charts nor folded sections, the text has neither
    brief = bool(os.environ.get("BITBUCKET_BUILD_NUMBER"))
    page = plan_markdown.markdown(made, brief=brief) if markdown or comment else ""
    if comment:
        _write_comment(invocation, page, plan_markdown.MARKER)
    if markdown:
        output.text(page)
    else:
        renamed = [{"model": old, "to": new} for old, new in made.renamed]
        changes = [_change_fields(change) for change in made.changes]
        fields = shapes.PLAN.of(made, changes=changes, renamed=renamed)
        named = "\n".join(f"{change.model}@{change.place}" for change in made.changes)
        output.outcome(plan_texts.text(made), shapes.PLAN, fields, name=named)
    if administration.is_cut_off(invocation.client, made):
        output.warn(
            "this clone is shallow: changes in commits that it lacks are missing from this plan",
            "run `git fetch --unshallow`",
        )
    if made.problems:
        error = Refused if all(problem.overridable for problem in made.problems) else Invalid
        checked = commits or f"{made.base[:10]}..{made.head[:10]}"
        raise error(
            f"{cell_text.count(len(made.problems), 'problem')} on {checked}",
            hint=f"run `git model check {checked}` for all of them",
        )


def _promotions(words: Sequence[str]) -> Iterator[tuple[VersionRef, str]]:
    """Yield each version in *words* and the stage after it. Raises UsageError if *words* are not pairs REF STAGE."""
    usage = "git model propose MODEL@VERSION STAGE [MODEL@VERSION STAGE]..."
    left = list(words)
    while left:
        taken = 2 if "@" in left[0] or len(left) == 2 else 3
        ref, (stage,) = options.read_reference(left[:taken], after=1, usage=usage)
        yield ref.required("propose"), stage
        del left[:taken]


def _write_comment(invocation: Invocation, text: str, marker: str) -> None:
    """Write *text* as a comment of this job's pull request. Replaces the earlier comment that contains *marker*.

    If this fails, only warns, because the job for a pull request from a fork must not write comments.
    """
    from gitmodel.hosts import api

    try:
        api.put_comment(api.read_job(os.environ), text, marker)
    except GitModelError as error:
        invocation.output.warn(f"the comment is not written: {error.message}", error.hint)


def _change_fields(change: PlannedChange) -> dict[str, Any]:
    trend = change.trend
    return {
        "model": change.model,
        "alias" if change.alias else "stage": change.place,
        "previous": change.old,
        "version": change.new,
        "who": change.who,
        "reason": change.reason,
        "maker": change.maker,
        "owners": change.owners,
        "reviewed": change.reviewed,
        "signed": change.signed,
        "signature": change.signature,
        "approvers": change.approvers,
        "code": change.code,
        "metadata": row_fields(change.metadata),
        "artifacts": [_digests(row) for row in change.artifacts],
        "datasets": [_digests(row) for row in change.datasets],
        "packages": [{"name": row.name, "old": row.old, "new": row.new} for row in change.packages],
        "texts": change.texts,
        "sources": lineage_drawing.fields(change.sources) if change.sources else None,
        "gates": [shapes.GATE.of(outcome) for outcome in change.outcomes],
        "trend": trend
        and {
            "metric": trend.metric,
            "points": [{"version": number, "value": value} for number, value in trend.points],
        },
    }


def _digests(row: Compared) -> dict[str, Any]:
    return {"name": row.name, "kind": row.kind, "old": row.old, "new": row.new}


def _proposal_fields(one: Proposal) -> dict[str, Any]:
    models = sorted({*(change.model for change in one.plan.changes), *(old for old, _ in one.plan.renamed)})
    changes = [_change_fields(change) for change in one.plan.changes]
    rules = one.plan.rule_changes
    return shapes.PROPOSAL.of(one, models=models, changes=changes, rule_changes=rules, problems=one.plan.problems)


def _entering(one: Proposal) -> Sequence[PlannedChange]:
    """Return the changes of the proposal *one*. Leaves out that a version leaves a stage, if it enters another."""
    entering = [change for change in one.plan.changes if change.new is not None]
    moved = {(change.model, change.new) for change in entering}
    return [change for change in one.plan.changes if change.new is not None or (change.model, change.old) not in moved]


def _change(change: PlannedChange) -> str:
    return f"{change.model} {change.place} {change.old or '-'} -> {change.new or '-'}"


def _verdict(one: Proposal) -> str:
    if one.plan.problems:
        return "; ".join(f"{problem.rule}: {problem.message}" for problem in one.plan.problems[:3])
    outcomes = [outcome for change in one.plan.changes for outcome in change.outcomes]
    forced = sorted({outcome.gate for outcome in outcomes if outcome.forced and not outcome.passed})
    return f"forced: {', '.join(forced)}" if forced else "pass"


def _proposal_text(made: Proposal, base: str) -> str:
    lines = [f"{made.subject}: proposed on the branch {made.branch}, to be merged into {base}"]
    if made.remote and not made.pushed:
        lines.append(f"push it with: git push {made.remote} {made.branch}")
    if made.request:
        return "\n".join([*lines, f"opened the pull request {made.request}"])
    if made.address:
        lines.append(f"open the pull request at: {made.address}")
    elif made.pushed:
        lines.append(f"open a pull request of {made.branch} to {base} at your host")
    if made.text:
        lines.append(f"its text is in: {made.text}")
    return "\n".join(lines)
