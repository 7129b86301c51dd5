"""Commands that look after a registry: check, verify, doctor, maintenance."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

import click

from gitmodel.cli import options
from gitmodel.cli.invocation import Invocation, command
from gitmodel.cli.shapes import care_shapes as shapes
from gitmodel.domain.schema.codec import Problem
from gitmodel.domain.schema.references import VersionRef
from gitmodel.domain.views import cell_text
from gitmodel.domain.views.cell_text import count
from gitmodel.domain.views.filter_names import Words
from gitmodel.errors import Invalid, NotFound, Refused, Unreachable, UsageError
from gitmodel.git.settings.configuration import list_remotes

if TYPE_CHECKING:
    from gitmodel.client import Client
    from gitmodel.client.values import Finding, RangeCheck, Verified


@command(example="git model check")
@options.filtered
@click.option(
    "--force",
    is_flag=True,
    help="With BASE..HEAD or --staged: allow the change to delete versions in use, and many models.",
)
@click.option(
    "--staged", is_flag=True, help="Check what is staged in a work tree of the metadata branch or a proposal."
)
@click.argument("commit", required=False, metavar="[COMMIT | BASE..HEAD]")
def check(invocation: Invocation, commit: str | None, filter: str, force: bool, staged: bool) -> None:
    """Check every record against the format.

    The command checks the metadata branch, or COMMIT. For each problem, it prints the file, the key and the rule. The
    exit code is 5 if there is a problem. For BASE..HEAD, the command checks the result of merging HEAD into BASE: the
    changed records, and whether the change is allowed. The exit code is 6 if the change breaks only rules that a person
    may override. With --staged, as in a git hook, it checks the staged files; if no file of the registry is staged, it
    checks the branch.
    """
    from gitmodel.domain.rules import change_rules, invariants  # imported here: other commands need no rules

    repository = invocation.client.repository
    if staged and commit is not None:
        raise UsageError(
            f"--staged checks the staged change, and not {commit}", hint=f"leave --staged out to check {commit}"
        )
    options.refuse_alone("--force", force, "BASE..HEAD or --staged", staged or ".." in (commit or ""))
    between = _find_change(invocation, commit, force, staged)
    every = _warn_of_change(invocation, between) if between is not None else invocation.client.check(commit or "")
    found = options.matching(every, filter, vars, shapes.PROBLEM, rule=Words((*invariants.RULES, *change_rules.RULES)))
    invocation.output.listing(
        found,
        shapes.PROBLEM,
        name=lambda problem: problem.path,
        columns=(
            ("FILE", lambda problem: problem.path),
            ("KEY", lambda problem: problem.key),
            ("RULE", lambda problem: problem.rule),
            ("WHAT", lambda problem: problem.message),
        ),
        empty=options.Part(filter).empty("the change is valid" if between else "all records are valid", "problem"),
    )
    with suppress(NotFound):  # without a metadata branch, there is nothing to warn of
        recorded = between.credentials if between else invocation.client.find_credentials(commit or "")
        warn_of_credentials(invocation, recorded)
        if commit is None and between is None:
            _warn_of_stale_owners(invocation)
            _warn_of_merges(invocation)
    # all findings decide the exit code, also those that the filter hides
    hidden = _not_shown(len(every) - len(found), "problem")
    if every and all(problem.overridable for problem in every):
        raise Refused(
            f"{commit or 'the staged change'} breaks {count(len(every), 'rule')}{hidden}",
            hint="the list names each problem; --force overrides some",
        )
    if every:
        where = "the staged change" if between else " and ".join(_checked_names(invocation.client))
        said = f"{count(len(every), 'problem')} on {commit or where}{hidden}"
        first = (found or every)[0]
        raise Invalid(said, hint=_hint_to_see(first, commit, repository.branch_name, staged=between is not None))


@command(example="git model verify iris@1")
@click.argument("words", nargs=-1, metavar="[REF]...", shell_complete=options.complete_model)
@options.jobs
def verify(invocation: Invocation, words: tuple[str, ...], jobs: int) -> None:
    """Verify the hashes of the artifacts of versions.

    The command verifies the artifacts of the named versions, or of all versions of all models. The exit code is 5 if an
    artifact is missing or damaged, or if the record of a version cannot be read; 7 if the only problem is that a store
    cannot be reached.
    """
    output, client = invocation.output, invocation.client
    refs = [VersionRef.parse(word) for word in _join_references(words)]
    found: list[Verified] = []
    with output.progress("verifying") as progress:
        found.extend(client.verify(*refs, jobs=jobs, progress=progress))
    wrong = [one for one in found if one.error or one.purged]
    shown = wrong if output.format == "table" else found
    output.listing(
        shown,
        shapes.VERIFIED,
        name=lambda one: one.digest or cell_text.commas(one.versions),
        columns=(
            ("VERSIONS", lambda one: cell_text.commas(one.versions)),
            ("DIGEST", lambda one: one.digest or "-"),
            ("WHAT", lambda one: one.error or one.purged),
        ),
        empty=f"{count(len(found), 'artifact')} whole, {cell_text.size(sum(one.size for one in found))} in all",
    )
    _judge_verified(found)


@command(example="git model doctor --fix")
@click.option("--fix", is_flag=True, help="Fix what is safe to fix.")
@options.filtered
def doctor(invocation: Invocation, fix: bool, filter: str) -> None:
    """Find problems of this clone, and fix them.

    The command checks locks, tags, reserved numbers, artifacts, history and your identity. --fix fixes what is safe to
    fix. The exit code is 5 if a problem remains that stops gitmodel from working.
    """
    from gitmodel.client import administration

    client = invocation.client

    def fields(finding: Finding) -> dict[str, object]:
        return {**vars(finding), "fixed": finding in repaired}

    def matching(findings: Iterable[Finding]) -> list[Finding]:
        return options.matching(findings, filter, fields, shapes.FINDING, about=Words(administration.ABOUTS))

    # The keys of these dictionaries are findings, so that looking one up is fast even if there are very many.
    repaired: dict[Finding, None] = {}
    if fix:
        if filter:  # evaluated before the fixes, so that an invalid filter raises its error before anything is fixed
            matching(administration.examine(client))
        repaired = dict.fromkeys(administration.repair(client))
    left = dict.fromkeys(administration.examine(client))
    every = [*(one for one in repaired if one not in left), *left]
    found = matching(every)
    invocation.output.listing(
        found,
        shapes.FINDING,
        fields=fields,
        name=lambda finding: finding.about,
        columns=(
            ("", lambda finding: "" if finding in left else "repaired"),
            ("ABOUT", lambda finding: finding.about),
            ("WHAT", lambda finding: finding.message),
            ("WHAT TO DO", lambda finding: finding.hint if finding in left else ""),
        ),
        empty=options.Part(filter).empty("no problems found in this clone", "finding"),
    )
    # all findings decide the exit code, also those that the filter hides
    hidden = _not_shown(len(every) - len(found), "finding")
    grave = [finding for finding in left if finding.grave]
    if grave:
        matter = count(len(grave), "serious problem")
        raise Invalid(
            f"{matter}{hidden}", hint=next((one for one in found if one in left and one.grave), grave[0]).hint
        )
    if hidden:
        invocation.output.note(f"no serious problems{hidden}")


@command(example="git model maintenance")
def maintenance(invocation: Invocation) -> None:
    """Make commands that read the history faster.

    The command writes git's commit-graph of the metadata branch with changed-path filters, so that `history`, `log`,
    `blame` and `--at` read only the relevant commits, and packs loose objects. Run the command from time to time on a
    registry with thousands of commits; smaller registries do not need it.
    """
    done = invocation.client.maintain()
    said = f"{done.commits} commits are indexed by path, {done.packed} loose objects were packed"
    invocation.output.outcome(said, shapes.MAINTAINED, vars(done), name=str(done.commits))


def _judge_verified(found: list[Verified]) -> None:
    """Raise Invalid if *found* has a damaged artifact or an unreadable record, else Unreachable if a store is down."""
    damaged = [one for one in found if one.error and one.digest and not one.unreachable]
    unread = [one for one in found if not one.digest]
    unreachable = [one for one in found if one.unreachable]
    artifacts = count(len(found) - len(unread), "artifact")
    if damaged:
        hint = (
            "to repair the store, link the same file again under its name with `git model link`, or in a clone that "
            "has it, run `git model store copy --from clone --to default --repair`"
        )
        if all(one.uri for one in damaged):
            hint = "restore the external files, or link their current content to new versions"
        raise Invalid(f"{len(damaged)} of {artifacts} cannot be used", hint=hint)
    if unread:
        raise Invalid(
            f"{count(len(unread), 'record')} of versions cannot be read, so their artifacts are unknown",
            hint="run `git model check` to see the problem, and `git log -p` to see who caused it",
        )
    if unreachable:
        raise Unreachable(
            f"{len(unreachable)} of {artifacts} could not be verified: {unreachable[0].error}",
            hint="make the store reachable, then run `git model verify` again",
        )


def _join_references(words: tuple[str, ...]) -> list[str]:
    """Join the word of a model and a number or `latest` after it: ("iris", "3") becomes ["iris@3"]."""
    joined: list[str] = []
    for word in words:
        if joined and "@" not in joined[-1] and (word.isdigit() or word == "latest"):
            joined[-1] = f"{joined[-1]}@{word}"
        else:
            joined.append(word)
    return joined


def _warn_of_stale_owners(invocation: Invocation) -> None:
    from gitmodel.hosts.workflows import is_stale

    host = is_stale(invocation.client.repository)
    if host:
        invocation.output.warn(
            "CODEOWNERS is out of date: it does not match the models, owners and stages",
            f"run `git model init --ci {host}`",
        )


def _warn_of_merges(invocation: Invocation) -> None:
    from gitmodel.client import administration

    repository = invocation.client.repository
    push = " --push" if not repository.url and list_remotes(repository.git) else ""
    for merge in administration.merged_tags(repository):
        invocation.output.warn(str(merge), f"run `git model apply{push}` to set the tags again")


def warn_of_credentials(invocation: Invocation, found: Sequence[str]) -> None:
    """Warn of each recorded credential, which a text in *found* describes.

    The hint says to revoke it: deleting it from the record does not help, because it stays in the history.
    """
    for place, field in enumerate(found, 1):
        last = place == len(found)
        invocation.output.warn(field, "revoke it where it was issued: it stays in the history" if last else "")


def _find_change(invocation: Invocation, commit: str | None, force: bool, staged: bool) -> RangeCheck | None:
    """Check the staged files (*staged*), or the range BASE..HEAD in *commit*. Return None if *commit* is no range.

    If *force* is True, the change may delete versions in use, and many models.
    """
    if staged:
        from gitmodel.client import Client

        # The files are staged in the current repository, even if the settings name another registry.
        with Client(repo=".") as here:
            return here.check_staged(os.environ.get("GIT_INDEX_FILE") or None, force=force)
    return invocation.client.check_between(commit, force=force) if commit is not None and ".." in commit else None


def _checked_names(client: Client) -> list[str]:
    """Return the names of the branch and commit that `check` examines if it gets no COMMIT."""
    from gitmodel.client import administration

    tip, branch = client.repository.writable_tip(), client.repository.branch
    commits = administration.current_states(client.repository)
    return [branch if commit == tip else f"HEAD {commit[:10]}" for commit in commits]


def _hint_to_see(problem: Problem, commit: str | None, branch: str, *, staged: bool) -> str:
    if not problem.path:
        return "the list shows the problem and its rule"
    if staged and commit is None:
        return f"see it: git diff --staged -- {shlex.quote(problem.path)}"
    shown = commit if commit and ".." in commit else branch
    return f"see who wrote it: git log -p {shown} -- {shlex.quote(problem.path)}"


def _warn_of_change(invocation: Invocation, found: RangeCheck) -> Sequence[Problem]:
    if found.not_to_forward:
        invocation.output.warn(
            f"the change contains a merge of the branch, {found.not_to_forward[:10]}: if the branch is "
            "fast-forwarded to the change, its first parents no longer lead to the current state",
            "merge the change with a merge commit, squash it, or rebase it first",
        )
    for path in found.rules:
        invocation.output.warn(
            f"{path} is changed; this file controls permissions", "ask an owner of the registry to review it"
        )
    return found.problems


def _not_shown(number: int, what: str) -> str:
    """Return " (2 problems not shown)" if *number* is 2 and *what* is "problem", and "" if *number* is 0."""
    return f" ({count(number, what)} not shown)" if number else ""
