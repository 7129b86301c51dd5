"""The invocation of a command: its folder, general options and client; and the classes of commands and groups."""

from __future__ import annotations

import gc
import importlib
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

import click
from click.core import ParameterSource

from gitmodel.cli.output import FORMATS, Output
from gitmodel.errors import GitModelError, NotFound, UsageError

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    from gitmodel.client import Client
    from gitmodel.client.values import State
    from gitmodel.domain.schema.recorded_renumberings import Renumbered

# The environment variables by which git finds a repository or a part of it.
_LOCATING = {
    "GIT_DIR", "GIT_WORK_TREE", "GIT_COMMON_DIR", "GIT_INDEX_FILE", "GIT_NAMESPACE", "GIT_OBJECT_DIRECTORY",
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
}  # fmt: skip
# The value of --format for the output for people, in commands that draw a tree instead of a table.
TREE = "tree"


class Invocation:
    """One call of the program: its general options, its output, and its client, which is opened on its first use."""

    def __init__(self) -> None:
        self.repo: str | None = None
        self.moment: str | None = None
        self.max_age: float | None = None
        self.offline: bool | None = None
        self.timeout = 60.0
        self.output = Output()
        self._began_in = ""
        self._named = False
        self._warned: set[Renumbered] = set()

    @cached_property
    def client(self) -> Client:
        found = self._open(self.repo)
        gc.freeze()  # without this, each garbage collection during a long list searches all imported objects
        gc.enable()
        found.repository.on_renumbered = self._warn_of_renumbering
        return found if self.moment is None else self._in_the_past(found, self.moment)

    @contextmanager
    def open_each(self, repos: Sequence[str]) -> Iterator[list[Client]]:
        """Open the registries in *repos*, paths or URLs, and yield their clients. If it is empty, yield `client`."""
        if not repos:
            yield [self.client]
            return
        with ExitStack() as opened:
            yield [opened.enter_context(self._open(repo)) for repo in repos]

    def _open(self, repo: str | None) -> Client:
        from gitmodel.client.client import Client

        return Client(self.folder, repo=repo, max_age=self.max_age, offline=self.offline, timeout=self.timeout)

    @property
    def folder(self) -> str:
        """The folder of -C; "." if -C is not given, or if a variable such as GIT_DIR names a repository."""
        return os.getcwd() if self._named and not _LOCATING & os.environ.keys() else "."

    def _in_the_past(self, client: Client, moment: str) -> Client:
        from gitmodel.client.administration import find_state  # imported here: only --at needs it

        try:
            state = find_state(client.repository, moment)
        except BaseException:
            client.close()
            raise
        self.output.at = state.commit
        self.note_past("this", state, "--at COMMIT")
        return client.at(state.commit)

    def note_past(self, what: str, state: State, by_commit: str) -> None:
        """Print a note that *what*, such as "this", was read from the past *state* of the metadata branch.

        If the clocks of the commits disagree, also warns, and suggests the option or command *by_commit*, which names a
        commit instead of a date.
        """
        self.output.note(f"{what} is what the branch recorded at {state}; it may not have been in force")
        if state.ahead:
            self.output.warn(
                f"clocks disagree: commit {state.ahead[:10]} is earlier on the branch, but its date is later",
                f"if the order matters, name a commit: {by_commit}",
            )

    def enter(self, folder: str) -> None:
        """Change the current folder to *folder*, as `git -C` does."""
        with suppress(OSError):  # the current folder may have been deleted
            self._began_in = self._began_in or os.getcwd()
        self._named = True
        try:
            os.chdir(folder)
        except OSError as error:
            raise NotFound(
                f"cannot change to {folder!a}: {error.strerror}", hint="name a folder that is there"
            ) from None

    def _warn_of_renumbering(self, note: Renumbered) -> None:
        """Warn that a pull gave the number in a reference to another version. Warns only once of each *note*."""
        if note not in self._warned:
            self._warned.add(note)
            self.output.warn(note.warning)

    def name_contested_repository(self, error: GitModelError) -> GitModelError:
        """Return *error*; if it is NotFound and a variable names another repository, an error that names both."""
        if not (isinstance(error, NotFound) and self._contested):
            return error
        from gitmodel.git.running.process import NAME_ONE

        return UsageError(f"{error.message}; {self._contested}, which was read", hint=NAME_ONE)

    def warn_at_end(self) -> None:
        """Warn if a variable names another repository, or if an old commit of the metadata branch is checked out."""
        if "client" not in self.__dict__ or self.client.repository.url:
            return
        from gitmodel.branch.checked_out import is_behind
        from gitmodel.git.running.process import NAME_ONE

        if self._contested:
            self.output.warn(f"{self._contested}, which was read", NAME_ONE)
        if is_behind(self.client.repository):
            self.output.warn(
                f"the branch {self.client.repository.branch_name} is checked out here with files of an earlier commit: "
                "a commit now would revert what was recorded since",
                "if `git status` shows none of your changes, type: git reset --hard",
            )

    @property
    def _contested(self) -> str:
        """A sentence that names the repository that was read and the one in an environment variable, if they differ."""
        if "client" not in self.__dict__ or self.client.repository.url:
            return ""
        git = self.client.repository.git
        return "" if git.read_only_hint else git.read_only_reason

    def close(self) -> None:
        """Close the client, and return to the folder in which the program was started."""
        if "client" in self.__dict__:
            self.client.close()
        if self._began_in:
            with suppress(OSError):
                os.chdir(self._began_in)


def _set_format(ctx: click.Context, _: click.Parameter, value: str | None) -> None:
    if value is not None:
        ctx.obj.output.format = "table" if value == TREE else value
        _refuse_quiet_format(ctx)


def _set_quiet(ctx: click.Context, _: click.Parameter, value: bool) -> None:
    if value:
        ctx.obj.output.quiet = True
        _refuse_quiet_format(ctx)


def _print_help(ctx: click.Context, _: click.Parameter, value: bool) -> None:
    if value and not ctx.resilient_parsing:
        ctx.obj.output.text(ctx.get_help())
        ctx.exit()


def _refuse_quiet_format(ctx: click.Context) -> None:
    output = ctx.obj.output
    if output.quiet and output.format != "table":
        raise UsageError(f"--quiet and --format {output.format} cannot be combined", hint="leave one of them out")


def general_options(formats: Sequence[str] = FORMATS) -> list[click.Parameter]:
    """Return the options that every command accepts: --format with the values *formats*, --quiet and --help."""
    return [
        click.Option(
            ["--format"],
            type=click.Choice(formats),
            expose_value=False,
            callback=_set_format,
            help="Print a table for people, JSON or TSV." if formats is FORMATS else "How to print it.",
        ),
        click.Option(
            ["-q", "--quiet"],
            is_flag=True,
            expose_value=False,
            callback=_set_quiet,
            help="Print only names or references.",
        ),
        # replaces click's own --help, which loads translations and so takes 1 ms
        click.Option(
            ["-h", "--help"],
            is_flag=True,
            is_eager=True,
            expose_value=False,
            callback=_print_help,
            help="Show this message and exit.",
        ),
    ]


class Command(click.Command):
    """A command whose help ends with an example, which the tests run."""

    def __init__(self, *args: Any, example: str = "", formats: Sequence[str] = FORMATS, **settings: Any) -> None:
        super().__init__(*args, **{"add_help_option": False, **settings})
        self.example = example
        self.params += general_options(formats)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse *args*. Refuse an empty optional argument, which is more often an unset variable than a request.

        For example, `git model check "$RANGE"` without a RANGE would check the branch instead of the pull request.
        """
        rest = super().parse_args(ctx, args)
        for param in () if ctx.resilient_parsing else self.params:
            if not isinstance(param, click.Argument) or param.required or param.name is None:
                continue
            value = ctx.params[param.name]
            given = ctx.get_parameter_source(param.name) is ParameterSource.COMMANDLINE
            if given and "" in (value if isinstance(value, tuple) else (value,)):
                name = param.human_readable_name.strip("[].")
                raise UsageError(f"{name} is empty", hint="leave it out, or set the variable that it came from")
        return rest

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the example without line breaks, so that it can be copied."""
        if self.example:
            with formatter.section("Example"):
                formatter.write("".join(f"  {line}\n" for line in self.example.splitlines()))


def command(
    name: str | None = None, *, example: str, group: click.Group | None = None, **settings: Any
) -> Callable[[Callable[..., Any]], click.Command]:
    """Return a decorator that turns a function into a command, which belongs to *group* unless *group* is None.

    The function gets the `Invocation` as its first argument. *example* has one or more command lines, which the help
    shows and the tests run.
    """
    decorator = click.command if group is None else group.command
    return lambda function: decorator(name, cls=Command, example=example, **settings)(click.pass_obj(function))


class Entry(NamedTuple):
    """A command that is imported only when it is called.

    *target* is the place of its function in `cli.commands`, as "folder.module:name". *help* is the first line of its
    help, and *section* its section in the help of the program.
    """

    target: str
    help: str
    section: str = ""

    def load(self) -> click.Command:
        module, _, name = self.target.partition(":")
        found = getattr(importlib.import_module(f"gitmodel.cli.commands.{module}"), name)
        assert isinstance(found, click.Command)
        return found


# Words that different tools use for the same action, in groups. The error for a word suggests a command of its group.
_SYNONYMS = (("list", "ls"), ("remove", "delete", "uninstall", "rm"), ("create", "add", "set", "new"))


class LazyGroup(click.Group):
    """A group that imports a command only when it is called.

    *lazy* has the commands by name. *also* maps other names, under which one can call a command, to its name. *meant*
    maps words that are no commands to the command that the error suggests.
    """

    def __init__(
        self,
        *args: Any,
        lazy: Mapping[str, Entry] | None = None,
        also: Mapping[str, str] | None = None,
        meant: Mapping[str, str] | None = None,
        **settings: Any,
    ) -> None:
        defaults = {"no_args_is_help": False, "add_help_option": False, "subcommand_metavar": "COMMAND ..."}
        super().__init__(*args, **{**defaults, **settings})
        self.lazy = dict(lazy or {})
        self.also = dict(also or {})
        self.meant = dict(meant or {})
        self.params += general_options()

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of all commands, in the order of the help."""
        return [*self.commands, *self.lazy]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import and return the command *cmd_name*. Return None if there is no such command."""
        name = self.also.get(cmd_name, cmd_name)
        return self.lazy[name].load() if name in self.lazy else self.commands.get(name)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Return the name and the command at the start of *args*, and the words after it.

        If there is no such command, raises click's UsageError, whose message suggests a similar command.
        """
        if self.get_command(ctx, args[0]) is None and not args[0].startswith("-"):
            if args[0] == "help":
                asked = " ".join([ctx.command_path, *(word for word in args[1:] if not word.startswith("-"))])
                raise click.UsageError(f"there is no command 'help'; use `{asked} -h`", ctx)
            import difflib

            near = difflib.get_close_matches(args[0], [*self.list_commands(ctx), *self.also], n=1, cutoff=0.6)
            meant = self.meant.get(args[0]) or self._synonym(args[0]) or next(iter(near), None)
            guess = f"; did you mean {meant}?" if meant else ""
            raise click.UsageError(f"there is no command {args[0]!a}{guess}", ctx)
        return super().resolve_command(ctx, args)

    def _synonym(self, word: str) -> str | None:
        """Return the name of the command of this group that other tools call *word*, or None."""
        same = next((words for words in _SYNONYMS if word in words), ())
        return next((name for name in same if name in self.commands or name in self.lazy), None)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse the options in *args*. If *args* is empty, print the help and exit with the code of a usage error."""
        if not args and not ctx.resilient_parsing:
            ctx.obj.output.text(ctx.get_help())
            ctx.exit(2)
        return super().parse_args(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands, one a line, without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl(self.summaries())

    def summaries(self) -> list[tuple[str, str]]:
        """Return the name and the first line of the help of each command."""
        loaded = [(name, first_line(found)) for name, found in self.commands.items()]
        return loaded + [(name, entry.help) for name, entry in self.lazy.items()]

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Return the names of commands and options that begin with *incomplete*, the word that the user is typing."""
        from click.shell_completion import CompletionItem

        found = [CompletionItem(name, help=help) for name, help in self.summaries() if name.startswith(incomplete)]
        return found + (click.Command.shell_complete(self, ctx, incomplete) if incomplete.startswith("-") else [])


class Program(LazyGroup):
    """The program. Its help shows all commands by section on one screen, like `git -h`."""

    def format_usage(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the usage line with every option. A line break never separates an option from its value."""
        shown = [record[0] for option in self.get_params(ctx) if (record := option.get_help_record(ctx))]
        plain = str.maketrans({"[": "", "]": "", ",": "\xa0|", " ": "\xa0"})
        options = [option.translate(plain) for option in shown]
        usage = click.HelpFormatter(width=formatter.width)
        usage.write_usage(ctx.command_path, " ".join([*(f"[{option}]" for option in options), "COMMAND ..."]))
        formatter.write(usage.getvalue().replace("\xa0", " "))

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the commands, and a line about the options of a command."""
        self.format_commands(ctx, formatter)
        formatter.write(f"\nOptions and an example of a command: {ctx.command_path} COMMAND -h. All: man git-model.\n")

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write a line for each command, without importing it. The first line of a section begins with its name."""
        section = ""
        for name, entry in self.lazy.items():
            heading = "" if entry.section == section else entry.section
            section = entry.section
            formatter.write(f"{chr(10) if heading else ''}{heading:9}{name:13}{entry.help}\n")


def first_line(found: click.Command) -> str:
    return (found.help or "").strip().split("\n")[0]


def usage_of(ctx: click.Context) -> str:
    pieces: Sequence[str] = ctx.command.collect_usage_pieces(ctx)
    return " ".join([ctx.command_path, *pieces])
