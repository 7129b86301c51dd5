"""Commands on the rules of stages: stage list, add, update, remove, gate add, gate remove."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import click

from gitmodel.cli import options
from gitmodel.cli.commands.promote.proposals import print_proposal, published
from gitmodel.cli.invocation import Invocation, LazyGroup, command
from gitmodel.cli.shapes import promote_shapes as shapes
from gitmodel.domain.changes.rule_edits import AddGate, AddStage, RemoveGate, RemoveStage, RulesEdit, UpdateStage
from gitmodel.errors import UsageError

if TYPE_CHECKING:
    from gitmodel.client.values import ChangedRules, StageRules


@click.group(cls=LazyGroup)
def gate() -> None:
    """Add and remove gates of stages."""


@command("list", example="git model stage list")
@options.listed
@options.at
def list_stages(invocation: Invocation, part: options.Part) -> None:
    """List the stages and their rules.

    The list is in the order of the stages. A version that moves to an earlier stage leaves its current stage empty. A
    stage holds at most one version of each model. `archived`, which holds any number of versions, is not listed and has
    no rules.
    """
    found = part.of(invocation.client.list_stages(), _fields, shapes.STAGE)
    output = invocation.output
    if output.is_table:
        columns = [list(cells) for cells in zip(*(row for stage in found for row in _rows(stage)), strict=True)]
        output.table(("STAGE", "RULE", "VALUE", "MESSAGE"), columns, part.empty("there is no stage", "stage"))
    else:
        output.listing(found, shapes.STAGE, fields=_fields, name=lambda stage: stage.name, columns=(), empty="")
    if not all(stage.in_force for stage in found):
        output.note("earlier rules also apply until `git model apply`")


def settings(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options for the settings of a stage to a command, which gets them as keyword arguments of `Settings`."""

    @functools.wraps(function)
    def with_settings(*args: Any, after: tuple[str, ...], **others: Any) -> Any:
        return function(*args, after=None if not after else () if after == ("",) else after, **others)

    wrapped: Callable[..., Any] = with_settings
    for names, text in (
        (
            "--direct-rollback/--no-direct-rollback",
            "Let a version that was in the stage before return without meeting its rules.",
        ),
        ("--signed/--no-signed", "Require signed changes."),
        ("--proposal-only/--no-proposal-only", "Require a reviewed proposal for each change."),
    ):
        wrapped = click.option(names, default=None, help=text)(wrapped)
    wrapped = click.option(
        "--before",
        metavar="STAGE",
        shell_complete=options.complete_stage,
        help="Place the stage before this one in the order.",
    )(wrapped)
    return click.option(
        "--after",
        multiple=True,
        metavar="PLACE",
        shell_complete=options.complete_stage,
        help="Let versions enter only from this place: a stage, archived or none; repeat for more, '' for any place.",
    )(wrapped)


def changing(function: Callable[..., RulesEdit]) -> Callable[..., None]:
    """Turn a function that returns a change of rules into a command that makes this change, or proposes it (--propose).

    Adds the options --propose, --remote, --push, --open and --reason.
    """

    @functools.wraps(function)
    def change(
        invocation: Invocation,
        *args: Any,
        reason: str,
        propose: bool,
        remote: str,
        push: bool,
        open: bool,
        **given: Any,
    ) -> None:
        for option, value in (("--remote", remote), ("--push", push), ("--open", open)):
            options.refuse_alone(option, value, "--propose", propose)
        edit = function(*args, **given)
        client = invocation.client
        if propose:
            made = client.propose(rules=[edit], reason=reason, remote=remote, push=push, open=open)
            print_proposal(invocation, made)
        else:
            _print_changed(invocation, client.change_rules(edit, reason=reason))

    proposing = click.option(
        "--propose", is_flag=True, help="Propose the change for a pull request instead of making it."
    )
    return options.reason(proposing(published(change)))


@command("add", example="git model stage add canary --before production --after staging")
@click.argument("name", metavar="NAME")
@settings
@changing
def add(name: str, **given: Any) -> RulesEdit:
    """Add a stage.

    Without --before, the new stage becomes the last one. The place and the rules of the stage take effect immediately.
    """
    return AddStage(name, **given)


@command("update", example="git model stage update production --proposal-only --direct-rollback")
@click.argument("stage", metavar="STAGE", shell_complete=options.complete_stage)
@settings
@changing
def update(stage: str, **given: Any) -> RulesEdit:
    """Change the rules of a stage.

    Only the rules that you name change. The rules of a proposal_only stage can only be proposed, with --propose.
    """
    if all(value is None for value in given.values()):
        raise UsageError("there is nothing to change", hint="`git model stage update -h` lists the rules")
    return UpdateStage(stage, **given)


@command("remove", example="git model stage remove canary")
@click.argument("stage", metavar="STAGE", shell_complete=options.complete_stage)
@changing
def remove(stage: str) -> RulesEdit:
    """Remove a stage that no version is in."""
    return RemoveStage(stage)


@command("add", example="git model stage gate add production accuracy 'metadata.accuracy >= 0.9' --message 'too low'")
@click.argument("stage", metavar="STAGE", shell_complete=options.complete_stage)
@click.argument("name", metavar="NAME")
@click.argument("expression", metavar="EXPRESSION")
@click.option("--message", default="", metavar="TEXT", help="Text for a version that fails the gate.")
@click.option("--replace", is_flag=True, help="Replace the gate of this name.")
@changing
def add_gate(stage: str, name: str, expression: str, message: str, replace: bool) -> RulesEdit:
    """Add a gate to a stage.

    A gate is an expression that a version must satisfy to enter the stage. The expression reads the fields of the
    version (metadata.accuracy), of the version that is in the stage (holder.metadata.accuracy) and of the model
    (model.license).
    """
    return AddGate(stage, name, expression, message, replace)


@command("remove", example="git model stage gate remove production accuracy")
@click.argument("stage", metavar="STAGE", shell_complete=options.complete_stage)
@click.argument("name", metavar="NAME")
@changing
def remove_gate(stage: str, name: str) -> RulesEdit:
    """Remove a gate from a stage."""
    return RemoveGate(stage, name)


gate.add_command(add_gate)
gate.add_command(remove_gate)


def _print_changed(invocation: Invocation, done: ChangedRules) -> None:
    said = "\n".join(done.changes) or f"nothing changed: {done.stage} has these rules already"
    rule = None if done.rule is None else _rule_fields(done)
    fields = shapes.CHANGED_RULES.of(done, rules=rule)
    invocation.output.outcome(said, shapes.CHANGED_RULES, fields, name=done.stage)


def _rule_fields(done: ChangedRules | StageRules) -> dict[str, Any]:
    rule = done.rule
    assert rule is not None
    gates = [{"name": gate.name, "expression": gate.expression, "message": gate.message} for gate in rule.gates]
    return {
        "after": rule.after, "proposal_only": rule.proposal_only, "signed": rule.signed, "rollback": rule.rollback,
        "gates": gates,
    }  # fmt: skip


def _fields(stage: StageRules) -> dict[str, Any]:
    return shapes.STAGE.of(stage, **_rule_fields(stage), faults=[str(fault) for fault in stage.rule.faults])


def _rows(stage: StageRules) -> Iterator[tuple[str, str, str, str]]:
    """Yield a row of the table for each rule of *stage*; if *stage* has no rules, yield one row."""
    rule = stage.rule
    rows = [("cannot be read", str(fault), "") for fault in rule.faults]
    rows += [("after", ", ".join(rule.after), "")] if rule.after else []
    rows += [("proposal_only", "true", "")] if rule.proposal_only else []
    rows += [("signed", "true", "")] if rule.signed else []
    rows += [("rollback", rule.rollback, "")] if rule.rollback else []
    rows += [(f"gate {gate.name}", gate.expression, gate.message) for gate in rule.gates]
    for number, row in enumerate(rows or [("", "", "")]):
        yield (stage.name if not number else "", *row)
