"""The command line: the program, its groups and the names of its commands, and running one command."""

from __future__ import annotations

import atexit
import gc
import os
import sys
import threading
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from typing import Any, NoReturn

import click

from gitmodel import __version__, errors
from gitmodel.cli.invocation import Entry, Invocation, LazyGroup, Program, usage_of
from gitmodel.errors import GitModelError, GitModelWarning

INTERRUPTED = 130  # 128 plus the number of the signal, as in shells
READER_GONE = 141

COMMANDS = {
    "init": Entry("start.setup:init", "Create a registry here, or adopt the one of the remote.", "Start"),
    "clone": Entry("share.teams:clone", "Clone a repository and its registry.", "Start"),
    "config": Entry("start.setup:config", "Show the effective settings, or set one.", "Start"),
    "hook": Entry("start.hooks:hook", "Install and run git hooks that check pushes.", "Start"),
    "completion": Entry("start.setup:completion", "Print the completion script of a shell.", "Start"),
    "register": Entry("record.models:register", "Register a model.", "Record"),
    "update": Entry("record.models:update", "Change the description of a model, or its name.", "Record"),
    "delete": Entry("record.models:delete", "Delete a model; its name is never used again.", "Record"),
    "version": Entry("record.versions:version", "Create, list, show, change and delete versions.", "Record"),
    "link": Entry("record.artifacts:link", "Store files or folders and link them to a version.", "Record"),
    "unlink": Entry("record.artifacts:unlink", "Remove an artifact or attachment from a version.", "Record"),
    "metadata": Entry("record.metadata:metadata", "Set, remove and show metadata of versions and files.", "Record"),
    "run": Entry("trace.runs:run", "Run a pipeline of a Python script or module.", "Record"),
    "list": Entry("record.models:list_models", "List the models.", "Look"),
    "show": Entry("record.models:show", "Show a model, or a version if one is named.", "Look"),
    "diff": Entry("look.diff:diff", "Compare two or more versions.", "Look"),
    "card": Entry("record.versions:card", "Print the model card of a version.", "Look"),
    "resolve": Entry("look.resolve:resolve", "Print the version that a reference stands for.", "Look"),
    "get": Entry("record.artifacts:get", "Download an artifact or attachment and verify it.", "Look"),
    "ui": Entry("look.site:ui", "Show the registry in a browser.", "Look"),
    "site": Entry("look.site:site", "Write the registry as a static site.", "Look"),
    "promote": Entry("promote.stages:promote", "Put a version into a stage.", "Promote"),
    "demote": Entry("promote.stages:demote", "Remove the version from a stage and leave it empty.", "Promote"),
    "rollback": Entry("promote.stages:rollback", "Put the previous version back into a stage.", "Promote"),
    "alias": Entry("promote.stages:alias", "Set, remove and list aliases.", "Promote"),
    "stage": Entry("promote.stages:stage", "Show stages with their versions, and change their rules.", "Promote"),
    "propose": Entry("promote.proposals:propose", "Propose changes of stages for a pull request.", "Review"),
    "proposals": Entry("promote.proposals:list_proposals", "List the open proposals.", "Review"),
    "plan": Entry("promote.proposals:plan", "Show the changes that a merge would make.", "Review"),
    "apply": Entry("promote.stages:apply", "Put the recorded stages and rules in force.", "Review"),
    "history": Entry("trace.history:history", "Show the history of stages and aliases.", "Trace"),
    "log": Entry("trace.history:log", "Show all changes of a model or version.", "Trace"),
    "blame": Entry("trace.history:blame", "Show which commit set each field of a version.", "Trace"),
    "lineage": Entry("trace.history:lineage", "Show how something was made, and what was made from it.", "Trace"),
    "runs": Entry("trace.runs:runs", "List and show runs of pipelines.", "Trace"),
    "checkout": Entry("trace.reproduction:checkout", "Check out the code and artifacts of a version.", "Trace"),
    "reproduce": Entry("trace.reproduction:reproduce", "Run the pipeline of a version again and compare.", "Trace"),
    "pull": Entry("share.teams:pull", "Fetch the remote's registry and replay your changes on it.", "Share"),
    "push": Entry("share.teams:push", "Push your changes to the remote.", "Share"),
    "remote": Entry("share.teams:remote", "Show the remote that pull and push use.", "Share"),
    "export": Entry("share.exports:export", "Export a version with its runs and artifacts to a file.", "Share"),
    "import": Entry("share.exports:import_", "Import a version from a file, or models of MLflow or GTO.", "Share"),
    "copy": Entry("share.exports:copy", "Copy a version to another registry.", "Share"),
    "check": Entry("care.checks:check", "Check every record against the format.", "Care"),
    "verify": Entry("care.checks:verify", "Verify the hashes of the artifacts of versions.", "Care"),
    "doctor": Entry("care.checks:doctor", "Find problems of this clone, and fix them.", "Care"),
    "store": Entry("care.stores:store", "Manage artifact stores.", "Care"),
    "formats": Entry("care.formats:formats", "List the formats of artifacts, and trust names.", "Care"),
    "maintenance": Entry("care.checks:maintenance", "Make commands that read the history faster.", "Care"),
}
ALSO = {"versions": "version"}
# Words that are no commands, but that a person may type, each with the command that gitmodel suggests instead.
MEANT = {
    "add": "link",
    "attach": "link --attachment",
    "compare": "diff",
    "contains": "version contains",
    "create": "version create",
    "download": "get",
    "fetch": "pull",
    "gate": "stage gate",
    "load": "get",
    "notes": "version notes",
    "rename": "update --name",
    "search": "version list --filter",
    "serve": "get",
    "status": "list",
    "tag": "version update --tag",
    "unstage": "demote",
    "upload": "link",
    "data_artifacts": "version artifacts",
    **dict.fromkeys(("deployment_artifacts", "endpoint_artifacts"), "version deployments"),
    "model_artifacts": "version model_objects",
}


def _print_version(ctx: click.Context, _: click.Parameter, value: bool) -> None:
    if value and not ctx.resilient_parsing:
        if ctx.params["verbose"]:  # click has already read --verbose, because it is eager
            from gitmodel.client.installation import describe_installation

            lines = [f"{name:<18}{text}".rstrip() for name, text in describe_installation()]
        else:
            lines = [f"gitmodel {__version__}"]
        ctx.obj.output.text("\n".join(lines))
        ctx.exit()


@click.group(
    cls=Program, lazy=COMMANDS, also=ALSO, meant=MEANT, context_settings={"help_option_names": ["-h", "--help"]}
)
@click.option("-C", "folders", metavar="DIR", multiple=True, help="Run as if started in DIR.")
@click.option(
    "--repo",
    metavar="PATH|URL",
    help="Repository that holds the registry, by path or URL. A git bundle is read-only.",
)
@click.option(
    "--max-age",
    type=click.FloatRange(min=0),
    metavar="SECONDS",
    help="By URL: maximum age of a cached answer. Default: 0.",
)
@click.option("--offline", is_flag=True, default=None, help="By URL: answer from the cache only.")
@click.option(
    "--timeout",
    type=click.FloatRange(min=0),
    default=60.0,
    metavar="SECONDS",
    help="By URL: how long to retry while others write. Default: 60.",
)
@click.option("--version", is_flag=True, expose_value=False, callback=_print_version, help="Print the version.")
@click.option(
    "--verbose",
    is_flag=True,
    is_eager=True,
    help="With --version: also print the system and the packages, for reports of problems.",
)
@click.pass_obj
def program(
    invocation: Invocation,
    folders: tuple[str, ...],
    repo: str | None,
    max_age: float | None,
    offline: bool | None,
    timeout: float,
    verbose: bool,
) -> None:
    """A model registry that lives in git.

    A version is named MODEL@VERSION or MODEL VERSION: iris@3, iris@1.2.3, iris@production, iris@latest; MODEL alone
    means its latest version.
    """
    if verbose:
        raise errors.UsageError("--verbose goes with --version", hint="write `git model --version --verbose`")
    for folder in folders:
        invocation.enter(folder)
    invocation.repo = repo
    invocation.max_age, invocation.offline, invocation.timeout = max_age, offline, timeout


def main(prog_name: str | None = None) -> NoReturn:
    """Run the command that the arguments of the process name, and end the process with the exit code."""
    called = os.path.basename(sys.argv[0])
    from gitmodel.files.termination import cleaning_up_when_terminated  # imported here: callers of `run` do not need it

    with cleaning_up_when_terminated():
        code = run(sys.argv[1:], prog_name=prog_name or ("gitmodel" if called.startswith("gitmodel") else "git model"))
    _end_process(code)


def _end_process(code: int) -> NoReturn:
    """End the process as `sys.exit` does, but do not free every object, because that takes 4 ms."""
    gc.freeze()
    if threading.active_count() > 1:  # `sys.exit` waits for the threads that still run, and `os._exit` would stop them
        sys.exit(code)
    atexit._run_exitfuncs()
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except (OSError, ValueError):
        sys.exit(code)
    os._exit(code)


def run(arguments: Sequence[str], *, prog_name: str = "git model") -> int:
    """Run one command and return its exit code. Only this function prints the errors that end commands."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    if "_GITMODEL_COMPLETE" in os.environ:
        from gitmodel.cli.shells import complete

        return complete(program)
    invocation = Invocation()
    try:
        try:
            with _telling_warnings(invocation):
                code = _call(arguments, prog_name, invocation)
        except GitModelError as error:
            code = _report(invocation.name_contested_repository(error), invocation, arguments)
        sys.stdout.flush()
        return code
    except BrokenPipeError:
        _discard_output()
        return READER_GONE
    except KeyboardInterrupt as end:
        if type(end) is not KeyboardInterrupt:
            raise  # after SIGTERM, `main` ends the process by the same signal
        return INTERRUPTED
    except Exception as error:
        return _report_unexpected(error, invocation, arguments)


@contextmanager
def _telling_warnings(invocation: Invocation) -> Iterator[None]:
    """Print Python warnings of gitmodel in the same way as the warnings of commands, until the block ends."""
    with warnings.catch_warnings():
        others = warnings.showwarning

        def show(message: Warning | str, *about: Any, **more: Any) -> None:
            if isinstance(message, GitModelWarning):
                invocation.output.warn(message.message, message.hint)
            else:
                others(message, *about, **more)

        warnings.simplefilter("always", GitModelWarning)
        warnings.showwarning = show
        yield


def _call(arguments: Sequence[str], prog_name: str, invocation: Invocation) -> int:
    try:
        # click's `main` is not used, because it handles interrupts, broken pipes and usage errors itself.
        with program.make_context(prog_name, [*arguments], obj=invocation) as ctx:
            ctx.call_on_close(invocation.close)
            program.invoke(ctx)
            invocation.warn_at_end()
    except click.exceptions.Exit as end:
        return end.exit_code
    except click.Abort:
        raise KeyboardInterrupt from None
    except click.UsageError as error:
        raise errors.UsageError(_sentence(_message(error)), hint=_usage_hint(error)) from None
    except click.ClickException as error:
        raise errors.UsageError(_sentence(error.format_message())) from None
    return 0


def _message(error: click.UsageError) -> str:
    """Return the message of *error*, without click's suggestion of --help for an option such as --model."""
    if isinstance(error, click.NoSuchOption) and error.possibilities == ["--help"] and "--h" not in error.option_name:
        return error.message
    return error.format_message()


def _usage_hint(error: click.UsageError) -> str:
    ctx = error.ctx
    if ctx is None:
        return ""
    pairs = [option.opts[0] for option in ctx.command.params if option.metavar == "KEY=VALUE"]
    if pairs and "unexpected extra argument" in error.message and "=" in error.message:
        return f"write `{pairs[0]} KEY=VALUE` for each value; `{ctx.command_path} -h` has an example"
    if isinstance(error, click.NoSuchOption) and ctx.command is program.get_command(ctx, "run"):
        return "set the options of a pipeline with @pipeline, or in Python with Pipeline.with_options"
    if ctx.command is program.get_command(ctx, "list") and "unexpected extra argument" in error.message:
        return "write `git model version list MODEL` for the versions of a model, or `git model show MODEL`"
    has = "lists the commands" if isinstance(ctx.command, LazyGroup) else "has an example"
    return f"write `{usage_of(ctx)}`; `{ctx.command_path} -h` {has}"


def _report(error: GitModelError, invocation: Invocation, arguments: Sequence[str]) -> int:
    # The format is searched in the arguments, because parsing can fail before it reaches --format.
    invocation.output.format = _wanted_format(arguments) or invocation.output.format
    public = next((kind for kind in type(error).__mro__ if kind.__module__ == errors.__name__), GitModelError)
    invocation.output.error(error, kind=public.__name__)
    return error.exit_code


def _report_unexpected(error: Exception, invocation: Invocation, arguments: Sequence[str]) -> int:
    if os.environ.get("GITMODEL_DEBUG"):
        import traceback

        traceback.print_exc()
    told = GitModelError(
        f"unexpected {type(error).__name__}: {errors.message_of(error)}",
        hint="this is a bug in gitmodel: please report it with the output of `git model --version --verbose`, "
        "and of the same command with GITMODEL_DEBUG=1",
    )
    invocation.output.format = _wanted_format(arguments) or invocation.output.format
    try:
        invocation.output.error(told, kind="Unexpected")
    except OSError:
        _discard_output()
    return told.exit_code


def _wanted_format(arguments: Sequence[str]) -> str:
    """Return the value of the last --format in *arguments*, without parsing other arguments; "" if there is none."""
    known = [*arguments[: arguments.index("--")]] if "--" in arguments else [*arguments]
    found = [after for before, after in pairwise(known) if before == "--format"]
    found += [word.removeprefix("--format=") for word in known if word.startswith("--format=")]
    return found[-1] if found and found[-1] in ("json", "tsv", "table") else ""


def _discard_output() -> None:
    """Redirect stdout to /dev/null, so that Python's flush at exit cannot fail."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, sys.stdout.fileno())
    except (OSError, ValueError):
        pass
    finally:
        os.close(nowhere)


def _sentence(message: str) -> str:
    """Return *message*, an error message of click, on one line, with a small first letter and without the full stop."""
    line = " ".join(message.split()).removesuffix(".")
    return line[:1].lower() + line[1:]
