"""Commands on git hooks: install, uninstall, run."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING

import click

from gitmodel.cli.invocation import Invocation, LazyGroup, command
from gitmodel.cli.shapes import start_shapes as shapes
from gitmodel.domain import pushed_refs
from gitmodel.domain.views.cell_text import count
from gitmodel.errors import GitModelError, Invalid, Refused, UsageError
from gitmodel.git.repositories import hooks
from gitmodel.git.repositories.hooks import HOOKS, LOCAL, SERVER, Hook
from gitmodel.git.settings.configuration import write_setting

if TYPE_CHECKING:
    from gitmodel.client.values import RangeCheck, Repository

_MOST_SHOWN = 20


@click.group(cls=LazyGroup)
def hook() -> None:
    """Install and run git hooks that check pushes."""


_server = click.option("--server", is_flag=True, help="Use the pre-receive hook, for a repository that others push to.")


@command("install", group=hook, example="git model hook install")
@_server
def install(invocation: Invocation, server: bool) -> None:
    """Install the hook that checks pushes.

    Without --server, the command installs the pre-push hook of this clone, which checks a plain `git push`. With
    --server, it installs the pre-receive hook of a repository that others push to. Both hooks refuse records that break
    the format, changes that the rules forbid, and stage tags that do not agree with the branch. An existing hook is not
    overwritten.
    """
    program = hooks.find_program(os.path.abspath(sys.argv[0]), sys.executable)
    repository = _of_files(invocation, server=server)
    done = hooks.install(repository.git, SERVER if server else LOCAL, program)
    if server:
        write_setting(repository.git, "receive.advertisePushOptions", "true")
    _print(invocation, done, "is installed" if done.changed else "was installed already", installed=True)


@command("uninstall", group=hook, example="git model hook uninstall")
@_server
def uninstall(invocation: Invocation, server: bool) -> None:
    """Remove the hook that `git model hook install` wrote."""
    done = hooks.uninstall(_of_files(invocation, server=server).git, SERVER if server else LOCAL)
    _print(invocation, done, "is gone" if done.changed else "was not there", installed=False)


@command("run", group=hook, example="git model hook run pre-receive")
@click.argument("name", type=click.Choice(HOOKS))
@click.argument("arguments", nargs=-1, metavar="[ARGUMENT]...")
def run(invocation: Invocation, name: str, arguments: tuple[str, ...]) -> None:
    """Check a push; git calls this.

    The command reads the refs that move from standard input, so your own hook can call it. The exit code is 5 for a
    damaged record, and 6 if only a rule that a person may override forbids the push. The push option gitmodel.force
    overrides some of these rules: git push -o gitmodel.force.
    """
    from gitmodel.client import administration

    if sys.stdin.isatty():
        invocation.output.note("nothing to check: git calls this with the refs of a push on standard input")
        return
    text = sys.stdin.buffer.read().decode("utf-8", "surrogateescape")
    updates = pushed_refs.read_received(text) if name == SERVER else pushed_refs.read_pushed(text)
    if namespace := os.environ.get("GIT_NAMESPACE"):
        raise UsageError(
            f"the push goes to the namespace {namespace!a}, which gitmodel does not support",
            hint="push to another repository",
        )
    # Ignores settings that name another registry, because the push that the hook checks goes to this repository.
    invocation.repo = "."
    client = invocation.client
    if not any(pushed_refs.concerns(update, client.repository.branch) for update in updates):
        return
    found = administration.judge_push(client.repository, updates, force=_is_forced(os.environ))
    for path in found.rules:
        invocation.output.warn(f"{path} is changed; this file controls permissions")
    for problem in found.problems[:_MOST_SHOWN]:
        invocation.output.note(str(problem))
    if found.problems:
        raise _refusal(found)


def _of_files(invocation: Invocation, *, server: bool) -> Repository:
    """Return the repository whose hook the command writes or removes. *server* is True for the pre-receive hook.

    Raises UsageError for a registry by URL, whose hooks are on another machine.
    """
    if server and not os.environ.get("GITMODEL_REPO") and not os.environ.get("GIT_DIR"):
        # On a server, git uses a bare repository only if it is named: here, the current folder.
        invocation.repo = invocation.repo or "."
    repository = invocation.client.repository
    if repository.url:
        raise UsageError(
            f"the registry is {repository.url}, and hooks are files of a repository on its own machine",
            hint="on the server: git -C REPOSITORY model hook install --server; in a clone: git model hook install",
        )
    return repository


def _refusal(found: RangeCheck) -> GitModelError:
    what = f"{count(len(found.problems), 'problem')} in the push"
    if all(problem.overridable for problem in found.problems):
        forced = f"git -c push.pushOption={pushed_refs.FORCE_OPTION} model push"
        return Refused(what, hint=f"to override it, if no gate refuses it: {forced}")
    return Invalid(what, hint="see it in your clone: git model check; and what others pushed: git model pull")


def _is_forced(environ: Mapping[str, str]) -> bool:
    number = environ.get("GIT_PUSH_OPTION_COUNT", "0")
    given = (environ.get(f"GIT_PUSH_OPTION_{n}") for n in range(int(number) if number.isdigit() else 0))
    return pushed_refs.FORCE_OPTION in given


def _print(invocation: Invocation, done: Hook, said: str, *, installed: bool) -> None:
    fields = {"hook": done.name, "path": str(done.path), "installed": installed, "changed": done.changed}
    invocation.output.outcome(f"{done.name} {said}: {done.path}", shapes.HOOK, fields, name=str(done.path))
