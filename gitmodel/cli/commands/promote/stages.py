"""Commands on stages and aliases: stage show, promote, demote, rollback, alias, apply. See also `stage_rules`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING, Any

import click

from gitmodel.cli import options
from gitmodel.cli.invocation import Entry, Invocation, LazyGroup, command
from gitmodel.cli.promotion_view import print_promotion, promotion_text
from gitmodel.cli.shapes import promote_shapes as shapes
from gitmodel.domain.changes.stages import StageState
from gitmodel.domain.schema.references import VersionRef
from gitmodel.domain.schema.refs import StageRef
from gitmodel.domain.views import cell_text
from gitmodel.domain.views.record_views import VersionView
from gitmodel.errors import GitModelError, Invalid, NotFound, Refused

if TYPE_CHECKING:
    from gitmodel.client.values import Applied


_ON_RULES = {
    "list": Entry("promote.stage_rules:list_stages", "List the stages and their rules."),
    "add": Entry("promote.stage_rules:add", "Add a stage."),
    "update": Entry("promote.stage_rules:update", "Change the rules of a stage."),
    "remove": Entry("promote.stage_rules:remove", "Remove a stage that no version is in."),
    "gate": Entry("promote.stage_rules:gate", "Add and remove gates of stages."),
}


@click.group(cls=LazyGroup, lazy=_ON_RULES)
def stage() -> None:
    """Show stages with their versions, and change their rules."""


@command(group=stage, example="git model stage show production")
@click.argument("stage", default="", metavar="[STAGE]", shell_complete=options.complete_stage)
@options.tabled
@options.at
def show(invocation: Invocation, stage: str, asked: options.TableOptions) -> None:
    """Show the version in force in a stage, of every model.

    Without a STAGE, the command shows each stage, in the order of the registry. The table has columns for the keys of
    the metadata that most versions have; --columns chooses others.
    """
    from gitmodel.cli import version_rows  # imported here: other commands need no columns

    found = invocation.client.view_stages(stage, **asked.rows)
    otherwise = f"no model has a version in {stage or 'a stage'}"
    rows: Iterable[VersionView | Invalid] = chain(found, found.damaged)
    version_rows.print_versions(invocation, version_rows.VERSIONS, rows, asked, otherwise=otherwise)


@command(example='git model promote iris@1.2.3 production --reason "beats the baseline"')
@options.reference("STAGE")
@options.reason
@options.force
@options.leave
@options.renumbered
def promote(
    invocation: Invocation, ref: VersionRef, stage: str, reason: str, force: bool, leave: bool, renumbered: bool
) -> None:
    """Put a version into a stage.

    Write REF and then the STAGE: staging, production, another stage of the registry, archived, or none to leave the
    stage. The version that was in the stage is archived. REF must include the version. Moving a version to an earlier
    stage, such as from production to staging, needs --leave, because its current stage becomes empty.
    """
    done = invocation.client.promote(ref, stage, reason=reason, force=force, leave=leave, renumbered=renumbered)
    print_promotion(invocation, done, promotion_text(done))


@command(example="git model demote iris production --reason 'drifted'")
@options.model
@click.argument("stage", shell_complete=options.complete_stage)
@options.reason
@options.renumbered
def demote(invocation: Invocation, model: str, stage: str, reason: str, renumbered: bool) -> None:
    """Remove the version from a stage and leave it empty."""
    done = invocation.client.demote(model, stage, reason=reason, renumbered=renumbered)
    print_promotion(invocation, done, promotion_text(done))


@command(example="git model rollback iris production")
@options.model
@click.argument("stage", shell_complete=options.complete_stage)
@options.reason
@options.force
@options.leave
@options.renumbered
def rollback(
    invocation: Invocation, model: str, stage: str, reason: str, force: bool, leave: bool, renumbered: bool
) -> None:
    """Put the previous version back into a stage.

    The previous version is found in the history of the metadata branch. A second rollback undoes the first.
    """
    done = invocation.client.rollback(model, stage, reason=reason, force=force, leave=leave, renumbered=renumbered)
    print_promotion(invocation, done, promotion_text(done))


@click.group(cls=LazyGroup)
def alias() -> None:
    """Set, remove and list aliases."""


@command("set", group=alias, example="git model alias set iris@1.2.3 champion")
@options.reference("ALIAS")
@options.reason
@options.renumbered
def set_alias(invocation: Invocation, ref: VersionRef, alias: str, reason: str, renumbered: bool) -> None:
    """Set an alias of a version.

    Write REF and then the ALIAS. If another version has the alias, the alias moves to this version; no version is
    archived. REF must include the version.
    """
    done = invocation.client.set_alias(ref, alias, reason=reason, renumbered=renumbered)
    now = "now" if done.changed else "already"
    was = f", and no longer {done.previous}" if done.previous not in (None, done.version) else ""
    print_promotion(invocation, done, f"{done.stage} is {done.model}@{done.version} {now}{was}")


@command("remove", group=alias, example="git model alias remove iris champion")
@options.model
@click.argument("alias", metavar="ALIAS")
@options.reason
@options.renumbered
def remove(invocation: Invocation, model: str, alias: str, reason: str, renumbered: bool) -> None:
    """Remove an alias; the version does not change."""
    done = invocation.client.remove_alias(model, alias, reason=reason, renumbered=renumbered)
    was = f"; it was {done.model}@{done.previous}" if done.previous is not None else ""
    print_promotion(invocation, done, f"{done.model} has no alias {done.stage} now{was}")


@command("list", group=alias, example="git model alias list iris")
@options.model
@options.listed
def list_aliases(invocation: Invocation, model: str, part: options.Part) -> None:
    """List the aliases of a model."""

    def fields(state: StageState) -> Mapping[str, Any]:
        return shapes.ALIAS.of(state, model=model, alias=state.name, version=state.in_force)

    states = [state for state in invocation.client.view_model(model).stages if state.alias]
    part.print(
        invocation.output,
        states,
        shapes.ALIAS,
        fields=fields,
        name=lambda state: state.name,
        columns=(
            ("ALIAS", lambda state: state.name),
            ("VERSION", lambda state: f"{state.in_force or '-'}{cell_text.pending_suffix(state)}"),
        ),
        empty=f"{model} has no aliases",
    )


@command(example="git model apply iris")
@click.argument("models", nargs=-1, metavar="[MODEL]...", shell_complete=options.complete_model)
@click.option(
    "--reviewed",
    multiple=True,
    metavar="COMMIT",
    help="A commit, or BASE..HEAD, that you know was reviewed; repeat for more.",
)
@click.option("--ask-host", is_flag=True, help="In a job: ask the host which commits were reviewed.")
@click.option("--push", is_flag=True, help="Pull first, then move the tags at the remote; nothing else is pushed.")
@click.option("--remote", default="", metavar="NAME", help="Remote to use. Default: the only one.")
def apply(
    invocation: Invocation, models: tuple[str, ...], reviewed: tuple[str, ...], ask_host: bool, push: bool, remote: str
) -> None:
    """Put the recorded stages and rules in force.

    The command moves the tags of all pending stages at once. Each change must satisfy the rules that the branch had
    before the commit of the change, and the rules that were in force when the change was added. Without MODELS, the
    rules on the branch also come into force for later changes. The exit code is 6 if a rule refuses some of the
    changes. A proposal_only stage accepts changes that a merge brought in and changes that you confirm with --reviewed.
    With --ask-host, in a job of GitHub, GitLab or Forgejo, such a stage accepts changes from a pull request that
    somebody else approved. With --push, the tags move at the remote, all or none; jobs that deploy use the output of
    this command. Exit code 4: everything was applied, but the pull left out some of your changes.

    After the changes, a notice is posted to the URL in `git config gitmodel.notify.url` or GITMODEL_NOTIFY_URL. If that
    fails, the command only warns.
    """
    from gitmodel.client import administration

    vouched = _commits(invocation, reviewed)
    apply = partial(invocation.client.apply, *models, reviewed=vouched, ask_host=ask_host, push=push, remote=remote)
    done, dropped = administration.done_or_left_out(apply)
    for conflict in dropped.conflicts if dropped is not None else ():
        invocation.output.warn(conflict)
    rows = [_row(**vars(change)) for change in done.changes]
    rows += [_row(ref, refusal=reason) for ref, reason in done.refused]
    invocation.output.listing(
        rows,
        shapes.APPLIED,
        fields=lambda row: row,
        name=lambda row: f"{row['model']}@{row['stage']}",
        columns=(
            ("MODEL", lambda row: str(row["model"])),
            ("STAGE", lambda row: str(row["stage"])),
            ("VERSION", lambda row: f"{row['previous'] or '-'} -> {row['version'] or '-'}" if row["applied"] else ""),
            ("NOW", lambda row: _now(row)),
        ),
        empty="nothing was pending",
    )
    if done.notice:
        invocation.output.warn(done.notice, "the changes are in force; see `git config --get-regexp gitmodel.notify`")
    if done.rules:
        invocation.output.note("the rules on the branch are now in force for later changes")
    if done.unguarded:
        _warn_of_unknown_rules(invocation, push=push)
    _refuse_partly_applied(invocation, done)
    if dropped is not None:
        raise dropped.brief


def _warn_of_unknown_rules(invocation: Invocation, *, push: bool) -> None:
    """Warn that this clone did not know the rules in force, so `apply` checked each change by the rules before it.

    The hint is the command that puts the rules of the branch in force. *push* is True for `apply --push`.
    """
    repository = invocation.client.repository
    if repository.rules.id() and (push or not repository.tips.remote_name()):
        hint = "the rules on the branch are now in force for later changes"
    elif repository.tips.remote_name():
        hint = "run `git model pull`; `git model apply --push` puts the rules of the branch in force for everybody"
    else:
        hint = "`git model apply` without MODELS puts the rules on the branch in force for later changes"
    invocation.output.warn(
        "this clone did not know which rules are in force, so each change was checked only with the rules before it",
        hint,
    )


def _refuse_partly_applied(invocation: Invocation, done: Applied) -> None:
    """Raise Refused if a rule refused some pending changes. The hint says how they can come into force."""
    count = len(done.refused)
    if not count:
        return
    registry = invocation.client.repository.head().registry()
    closed = any(registry.rule(ref.stage).proposal_only for ref, _ in done.refused)
    again = "`git model propose MODEL@VERSION STAGE`" if closed else "promote or demote again"
    if closed:
        again = f"`git model apply --reviewed COMMIT` if a reviewer accepted it; {again}"
    raise Refused(
        f"{'1 pending change was' if count == 1 else f'{count} pending changes were'} not put in force",
        hint=f"the list says why; {again} to record something else",
    )


def _row(
    ref: StageRef, *, version: int | None = None, previous: int | None = None, pushed: bool = False, refusal: str = ""
) -> dict[str, Any]:
    return {
        "model": ref.model, "stage": ref.stage, "version": version, "applied": not refusal, "reason": refusal,
        "previous": previous, "tag": ref.name, "pushed": pushed,
    }  # fmt: skip


def _now(row: Mapping[str, Any]) -> str:
    if not row["applied"]:
        return f"refused: {row['reason']}"
    return "in force, here and at the remote" if row["pushed"] else "in force"


def _commits(invocation: Invocation, named: tuple[str, ...]) -> frozenset[str]:
    """Return the ids of the commits in *named*, the values of --reviewed: each is a commit or a range BASE..HEAD."""
    from gitmodel.git.history.commits import list_commits  # imported here: only `apply --reviewed` needs it

    found: set[str] = set()
    for word in named:
        try:
            found.update(list_commits(invocation.client.repository.git, word))
        except GitModelError:
            raise NotFound(f"there is no commit {word!a}", hint="name one as `git log` shows it") from None
    return frozenset(found)
