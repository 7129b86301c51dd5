"""Commands on proposals: propose, proposals, plan."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from gitmodel.cli import options, shapes
from gitmodel.cli.care import read_range
from gitmodel.cli.grammar import Invocation, command
from gitmodel.errors import Invalid, Refused, UsageError

if TYPE_CHECKING:
    from gitmodel.teams.planning import Plan, PlannedChange
    from gitmodel.teams.proposals import Proposal


@command(example='git model propose iris@2 production --reason "beats the baseline"')
@options.reference("STAGE")
@options.reason
@options.force
@click.option("--demote", is_flag=True, help="Propose that nobody is in the stage: REF is a model.")
@click.option("--rollback", is_flag=True, help="Propose that who was there before returns: REF is a model.")
@click.option("--remote", default="", metavar="NAME", help="The remote to propose to, if it is not the only one.")
@click.option("--push", is_flag=True, help="Push the branch of the proposal.")
@click.pass_obj
def propose(
    invocation: Invocation,
    words: tuple[str, ...],
    reason: str,
    force: bool,
    demote: bool,
    rollback: bool,
    remote: str,
    push: bool,
) -> None:
    """Propose a change of a stage, for a pull request.

    It makes a branch off the remote's metadata branch with one commit that changes the stage's file, and says where
    the pull request is opened. Nothing is pushed unless you say --push, and nothing is in force until it is merged and
    applied. The remote must hold the version as it is here.
    """
    from gitmodel.teams import proposals

    repository = invocation.client.repository
    where: dict[str, Any] = {"reason": reason, "remote": remote, "push": push}
    if demote and rollback:
        raise UsageError("--demote and --rollback exclude each other", hint="name one of them")
    if demote or rollback:
        if len(words) != 2:
            raise UsageError("name a model and a stage", hint="for example: git model propose iris production --demote")
        model, stage = words
        if demote:
            made = proposals.propose_demotion(repository, model, stage, **where)
        else:
            made = proposals.propose_rollback(repository, model, stage, force=force, **where)
    else:
        ref, (stage,) = options.read_reference(words, after=1, usage="git model propose MODEL@VERSION STAGE")
        made = proposals.propose(repository, ref.required("propose"), stage, force=force, **where)
    invocation.output.outcome(_told(made, repository.branch), shapes.PROPOSAL, fields(made), name=made.branch)


@command("proposals", example="git model proposals")
@click.option("--remote", default="", metavar="NAME", help="The remote to ask, if it is not the only one.")
@options.listed
@click.pass_obj
def list_proposals(invocation: Invocation, remote: str, filter: str, limit: int | None, offset: int) -> None:
    """List the proposals that are open.

    Here and at the remote, with what the rules of the stage say of each as of now.
    """
    from gitmodel.teams import proposals

    found = options.matching(proposals.list_proposals(invocation.client.repository, remote), filter, fields)
    invocation.output.listing(
        options.page(found, limit, offset),
        shapes.PROPOSAL,
        fields=fields,
        name=lambda one: one.branch,
        columns=(
            ("BRANCH", lambda one: one.branch),
            ("MODEL", lambda one: one.model),
            ("STAGE", lambda one: one.stage),
            ("VERSION", lambda one: f"{one.previous or '-'} -> {one.version or '-'}"),
            ("WHO", lambda one: one.author),
            ("RULES", _verdict),
        ),
        empty="no proposal is open",
    )


@command(example="git model plan gitmodel..gitmodel")
@click.option("--markdown", is_flag=True, help="Print Markdown, for a job's summary or a comment.")
@click.option("--force", is_flag=True, help="Let it delete what is in use, and many at once.")
@click.argument("commits", metavar="BASE..HEAD")
@click.pass_obj
def plan(invocation: Invocation, commits: str, markdown: bool, force: bool) -> None:
    """Say what a merge would change.

    Of merging HEAD into BASE: per stage and alias the old and the new version, who and why, code, metadata and
    artifacts side by side, owners, and what the rules of the stage say. It ends as check does: with exit code 5 for
    damage, 6 if only a rule that a person decides is against it. Markdown begins with a hidden line by which a job
    finds its comment.
    """
    from gitmodel.teams import plan_texts
    from gitmodel.teams.between import DECIDED
    from gitmodel.teams.planning import plan as make_plan

    base, head = read_range(invocation, commits)
    made = make_plan(invocation.client.repository, base, head, force=force)
    output = invocation.output
    if markdown:
        output.text(plan_texts.markdown(made))
    else:
        said = plan_texts.text(made)
        output.outcome(
            said, shapes.PLAN, _plan_fields(made), name="\n".join(f"{c.model}@{c.place}" for c in made.changes)
        )
    if made.problems:
        error = Refused if all(problem.rule in DECIDED for problem in made.problems) else Invalid
        raise error(
            f"{len(made.problems)} against merging {commits}", hint="run `git model check` on it for all of them"
        )


def _plan_fields(made: Plan) -> dict[str, Any]:
    return {
        "base": made.base,
        "head": made.head,
        "changes": [_change_fields(change) for change in made.changes],
        "versions": list(made.versions),
        "rules": list(made.rules),
        "problems": [dict(vars(problem)) for problem in made.problems],
    }


def _change_fields(change: PlannedChange) -> dict[str, Any]:
    return {
        "model": change.model,
        "alias" if change.alias else "stage": change.place,
        "previous": change.old,
        "version": change.new,
        "who": change.who,
        "reason": change.reason,
        "owners": list(change.owners),
        "code": list(change.code),
        "comparison": change.comparison,
        "metadata": [
            {"key": row.name, "old": row.old, "new": row.new, "change": row.change} for row in change.metadata
        ],
        "artifacts": [{"name": row.name, "kind": row.kind, "old": row.old, "new": row.new} for row in change.artifacts],
        "gates": [gate_fields(outcome) for outcome in change.outcomes],
    }


def fields(one: Proposal) -> dict[str, Any]:
    """A proposal as JSON shows it."""
    return {
        "branch": one.branch,
        "commit": one.commit,
        "base": one.base,
        "model": one.model,
        "stage": one.stage,
        "version": one.version,
        "previous": one.previous,
        "author": one.author,
        "gates": [gate_fields(outcome) for outcome in one.outcomes],
        "conflict": one.conflict,
        "ready": one.ready,
        "pushed": one.pushed,
        "address": one.address,
    }


def gate_fields(outcome: Any) -> dict[str, Any]:
    """What a rule said, as JSON shows it."""
    return {name: getattr(outcome, name) for name in shapes.GATE.keys}


def _verdict(one: Proposal) -> str:
    if one.conflict:
        return one.conflict
    failed = [str(outcome) for outcome in one.outcomes if outcome.stops]
    forced = [outcome.gate for outcome in one.outcomes if outcome.forced and not outcome.passed]
    if failed:
        return f"fails {'; '.join(failed)}"
    return f"forced: {', '.join(forced)}" if forced else "pass"


def _told(made: Proposal, branch: str) -> str:
    base = branch.removeprefix("refs/heads/")
    lines = [f"{made.subject}: proposed on {made.branch}, for {base}"]
    if not made.pushed:
        lines.append(f"push it with: git push origin {made.branch}")
    if made.address:
        lines.append(f"open the pull request at: {made.address}")
    elif made.pushed:
        lines.append(f"open a pull request of {made.branch} to {base} at your host")
    return "\n".join(lines)
