"""Options that commands share, and parsing of arguments: references in one word or two, KEY=VALUE, NAME=PATH."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, TypeVar

import click

from gitmodel.domain.schema.names import ARCHIVED, NONE
from gitmodel.domain.schema.records import DESCRIPTIVE, DESCRIPTIVE_TEXTS
from gitmodel.domain.schema.references import VersionRef
from gitmodel.errors import GitModelError, Invalid, UsageError
from gitmodel.frozen import Frozen

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    from gitmodel.cli.invocation import Invocation
    from gitmodel.cli.output import Column, Output
    from gitmodel.cli.shapes.shape import Shape
    from gitmodel.domain.views.filter_names import Names, Words

F = TypeVar("F", bound=Callable[..., Any])
T = TypeVar("T")


def read_reference(words: Sequence[str], *, after: int = 0, usage: str) -> tuple[VersionRef, list[str]]:
    """Return the version at the start of *words*, `MODEL@VERSION` or `MODEL VERSION`, and the words after it.

    *after* is the number of words that must follow the version. *usage* is the usage line for the message of the error.
    Raises UsageError if there are too few or too many words.

    >>> read_reference(["iris", "3", "production"], after=1, usage="REF STAGE")
    (VersionRef(model='iris', selector='3'), ['production'])
    >>> read_reference(["iris@3", "production"], after=1, usage="REF STAGE")
    (VersionRef(model='iris', selector='3'), ['production'])
    """
    if not words or len(words) < 1 + after:
        needed = [word for word in usage.split() if word[0].isupper()]
        raise UsageError(f"{needed[len(words)]} is missing", hint=f"write `{usage}`")
    first, *rest = words
    if "@" not in first and len(rest) > after:
        ref, rest = VersionRef.of(first, rest[0] or "''"), rest[1:]
    else:
        ref = VersionRef.parse(first)
    if len(rest) > after:
        raise UsageError(f"unexpected argument {rest[after]!a}", hint=f"write `{usage}`")
    return ref, rest


def refuse_stdout(path: str | None, writes: str) -> None:
    """Raise UsageError if *path* is `-`, which means stdout in other programs. The message begins with *writes*."""
    if path == "-":
        raise UsageError(f"{writes}, and cannot write to stdout", hint="write ./- for a file of this name")


def read_metadata(pairs: Iterable[str], *, option: str = "") -> dict[str, Any]:
    """Return the metadata in *pairs*, each of the form KEY=VALUE. Raises UsageError for a text of another form.

    >>> read_metadata(["accuracy=0.97", "rows=150", "note=a=b"])
    {'accuracy': 0.97, 'rows': 150, 'note': 'a=b'}
    """
    return {key: read_value(text) for key, text in read_pairs(pairs, option=option).items()}


def read_pairs(pairs: Iterable[str], *, option: str = "") -> dict[str, str]:
    """Return the values in *pairs* of the form KEY=VALUE, as texts by key. Messages name *option*.

    Raises UsageError for a text of another form, or if a key is given twice.
    """
    found: dict[str, str] = {}
    for pair in pairs:
        key, sign, value = pair.partition("=")
        if not sign or not key:
            example = f"{option} accuracy=0.97".strip()
            raise UsageError(f"{pair!a} is not KEY=VALUE", hint=f"for example: {example}")
        if key in found:
            raise UsageError(f"{key!a} is given twice", hint="give each key once")
        found[key] = value
    return found


def read_value(text: str) -> Any:
    """Return the TOML value *text* (a number, true, a time, a list), or *text* itself if it is no TOML value.

    >>> read_value("[1, 2]"), read_value('"7"'), read_value("007"), read_value("5 # five")
    ([1, 2], '7', '007', '5 # five')
    """
    import rtoml

    if "\n" in text or "\r" in text:
        return text
    try:
        # Also parsed within brackets, where a comment hides the bracket: so `5 # five` is text, and not the number 5.
        alone, listed = rtoml.loads(f"v = {text}"), rtoml.loads(f"v = [{text}]")
    except (rtoml.TomlParsingError, ValueError):
        return text
    return alone["v"] if len(listed["v"]) == 1 else text


def read_artifacts(*, stored: bool = True, **given: Iterable[str]) -> dict[str, dict[str, str]]:
    """Return the paths or URIs of artifacts by kind and by name, from the values NAME=PATH of the option for each kind.

    Raises UsageError if a value has another form, if two artifacts have the same name, or if *stored* and a path is a
    URI.
    """
    found: dict[str, dict[str, str]] = {kind: {} for kind in given}
    for kind, pairs in given.items():
        option = f"--{kind.rstrip('s').replace('_', '-')}"
        for pair in pairs:
            name, path = split_pair(pair, "NAME=PATH", f"{option} train=train.csv")
            if any(name in paths for paths in found.values()):
                raise UsageError(f"two artifacts are named {name!a}", hint="give each a different name")
            if stored and "://" in path:
                from gitmodel.domain.urls import shown_url

                raise UsageError(
                    f"{shown_url(path)} is not a path", hint="add --external to link it without storing it"
                )
            found[kind][name] = path
    return found


def split_pair(text: str, form: str, example: str) -> tuple[str, str]:
    """Split *text* at `=`. If a part is missing, raises UsageError with the *form* and an *example*."""
    first, _, second = text.partition("=")
    if not (first and second):
        raise UsageError(f"{text!a} is not {form}", hint=f"for example: {example}")
    return first, second


def read_formats(pairs: Iterable[str]) -> dict[str, str]:
    """Return the formats by the name of the artifact, from the values NAME=FORMAT of --as-format in *pairs*."""
    return dict(split_pair(pair, "NAME=FORMAT", "--as-format model=onnx") for pair in pairs)


def matching(
    items: Iterable[T], expression: str, fields: Callable[[T], Mapping[str, Any]], shape: Shape, **words: Words
) -> list[T]:
    """Return the *items* that match the CEL *expression* of --filter; "" matches all items.

    *fields* returns the fields of an item, whose names are those of *shape*. *words* has the possible values of fields
    that have only a few, such as stages. Raises UsageError if the expression has an error, or if it names a field or
    value that does not exist.
    """
    if not expression:
        return list(items)
    from gitmodel.expressions.filter import Filter

    wanted = Filter(expression, {**_filter_names(shape), **words})
    found = [item for item in items if wanted.matches(fields(item))]
    wanted.check_searched(f"no {shape.name} that was searched")
    return found


class Part(Frozen):
    """The part of a list that a command prints: the values of its options --filter, --limit and --offset."""

    filter: str = ""
    limit: int | None = None
    offset: int = 0

    def of(self, items: Iterable[T], fields: Callable[[T], Mapping[str, Any]], shape: Shape, **words: Words) -> list[T]:
        """Return at most --limit of the *items* that match --filter, from --offset on. See `matching`."""
        from gitmodel.domain.arguments.paging import read_page  # imported here: commands without a list do not need it

        return matching(items, self.filter, fields, shape, **words)[read_page(self.limit, self.offset)]

    def print(
        self,
        output: Output,
        items: Iterable[T],
        shape: Shape,
        *,
        fields: Callable[[T], Mapping[str, Any]] | None = None,
        name: Callable[[T], str],
        columns: Sequence[Column[T]],
        empty: str,
        noun: str = "",
        **words: Words,
    ) -> None:
        """Print this part of the list *items*, with the arguments of `Output.listing` and of `matching`.

        *noun* is the noun for an item (default: the name of *shape*), and *empty* the line for a list without items.
        """
        rows = self.of(items, fields or shape.of, shape, **words)
        empty = self.empty(empty, noun or shape.name)
        output.listing(rows, shape, fields=fields, name=name, columns=columns, empty=empty)

    @property
    def is_whole(self) -> bool:
        """True if no option leaves out a row of the list."""
        return self == Part()

    def empty(self, otherwise: str, noun: str) -> str:
        """Return the line to print if the list is empty: *otherwise*, or another line if an option left out rows.

        *noun* is the noun for a row.

        >>> Part(offset=5).empty("iris@1 has no runs", "run")
        'no run in this part of the list'
        """
        if self.filter:
            return f"no {noun} matches"
        return f"no {noun} in this part of the list" if self.offset or self.limit == 0 else otherwise


class TableOptions(Frozen):
    """The columns and rows of a table: the values of the options --columns, --sort, --filter, --limit and --offset."""

    columns: str = ""
    sort: str = ""
    part: Part = Part()

    @property
    def rows(self) -> dict[str, Any]:
        """The values of --filter, --limit, --offset and --sort, as keyword arguments for methods of the client."""
        return {**asdict(self.part), "sort": self.sort}


def _filter_names(shape: Shape) -> dict[str, Names]:
    """Return the fields of *shape* that --filter may name, each with the names that may follow it."""
    from gitmodel.domain.views.filter_names import RECORDED, VALUE

    names: dict[str, Names] = {}
    for name, about in shape.fields.items():
        if about.startswith("list of "):
            names[name] = [VALUE if about.startswith("list of text") else RECORDED]
        else:
            names[name] = RECORDED if about.startswith("object") else VALUE
    return names


def tag_changes(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options --tag, --remove-tag and --set-tags. The command gets *tags*: arguments of `update` by name.

    Raises UsageError if --set-tags is combined with another of these options, or if a tag is added and removed.
    """

    @functools.wraps(function)
    def with_tags(
        *args: Any, set_tags: tuple[str, ...], add_tags: tuple[str, ...], remove_tags: tuple[str, ...], **others: Any
    ) -> Any:
        refuse_both("--set-tags", set_tags, "--tag", add_tags)
        refuse_both("--set-tags", set_tags, "--remove-tag", remove_tags)
        for tag in add_tags:
            refuse_both(f"--tag {tag}", True, f"--remove-tag {tag}", tag in remove_tags)
        tags = {"add_tags": add_tags, "remove_tags": remove_tags} if add_tags or remove_tags else {}
        if set_tags:
            tags["tags"] = () if set_tags == ("",) else set_tags
        return function(*args, tags=tags, **others)

    wrapped: Callable[..., Any] = with_tags
    for name, parameter, text in (
        ("--set-tags", "set_tags", "Replace all tags with TAG; repeat for more, '' for none."),
        ("--remove-tag", "remove_tags", "Remove a tag; repeat for more."),
        ("--tag", "add_tags", "Add a tag; repeat for more."),
    ):
        wrapped = click.option(name, parameter, multiple=True, metavar="TAG", help=text)(wrapped)
    return wrapped


def refuse_both(first: str, first_given: object, second: str, second_given: object) -> None:
    """Raise UsageError if the options named *first* and *second*, which exclude each other, are both given."""
    if first_given and second_given:
        raise UsageError(f"{first} and {second} cannot be combined", hint="leave one of them out")


def refuse_alone(option: str, given: object, needed: str, needed_given: object) -> None:
    """Raise UsageError if *option* is given without the option *needed*."""
    if given and not needed_given:
        raise UsageError(f"{option} is for {needed}", hint=f"add {needed}, or leave {option} out")


def confirm(invocation: Invocation, question: str, *, yes: bool) -> None:
    """Ask the user *question* at the terminal, unless *yes*. Returns if the user confirms.

    Raises UsageError if there is no terminal, KeyboardInterrupt if the user declines.
    """
    if yes:
        return
    answer = invocation.output.confirm(question)
    if answer is None:
        raise UsageError(
            "this cannot be undone, and there is no terminal to ask for confirmation", hint="add --yes to confirm"
        )
    if not answer:
        invocation.output.note("nothing was changed")
        raise KeyboardInterrupt


def complete_model(ctx: click.Context, _: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Return the models that begin with *incomplete*; if it has an `@`, the stages, aliases and newest versions."""
    return _complete(ctx, incomplete, lambda invocation: _references(invocation, incomplete))


def complete_stage(ctx: click.Context, _: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Return the stages that begin with *incomplete*, and the words `archived` and `none`."""
    return _complete(ctx, incomplete, lambda invocation: [*invocation.client.stage_names, ARCHIVED, NONE])


def _complete(
    ctx: click.Context, incomplete: str, names: Callable[[Invocation], Iterable[str]]
) -> list[CompletionItem]:
    """Return the names that the function *names* reads and that begin with *incomplete*; [] if it raises an error."""
    from click.shell_completion import CompletionItem

    found = ctx.find_root()
    invocation: Invocation = found.obj
    for folder in found.params.get("folders") or ():
        invocation.enter(folder)
    invocation.repo = found.params.get("repo")
    try:
        return [CompletionItem(name) for name in names(invocation) if name.startswith(incomplete)]
    except (GitModelError, OSError):
        return []


def _references(invocation: Invocation, incomplete: str) -> list[str]:
    model, at, _ = incomplete.partition("@")
    if not at:
        return [view.name for view in invocation.client.view_models()]
    VersionRef.of(model)
    invocation.client.repository.on_renumbered = lambda note: None  # a warning would disturb the line in the shell
    states = invocation.client.view_model(model).stages
    selectors = [state.name for state in states if state.in_force is not None]
    newest = [view.record for view in invocation.client.view_versions(model, limit=20) if not isinstance(view, Invalid)]
    selectors += ["latest", *(str(record.number) for record in newest)]
    selectors += [record.name for record in newest if record.name]
    return [f"{model}@{selector}" for selector in selectors]


def complete_model_and_stage(ctx: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Complete a stage after a version (of one word or two), and otherwise a model."""
    words: tuple[str, ...] = ctx.params.get(str(parameter.name)) or ()
    is_after_version = bool(words) and ("@" in words[-1] or (len(words) == 2 and "@" not in words[0]))
    return (complete_stage if is_after_version else complete_model)(ctx, parameter, incomplete)


def reference_words(after: str = "", *, first: str = "REF") -> Callable[[F], F]:
    """Return a decorator that adds an argument of several words, which the command gets as *words*.

    The usage line calls the words *first*, which is a reference, and *after*, such as "STAGE".
    """
    metavar = f"{first} {after}".strip()
    complete = complete_model_and_stage if after == "STAGE" else complete_model
    return click.argument("words", nargs=-1, required=True, metavar=metavar, shell_complete=complete)


def reference(after: str = "") -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Return a decorator that adds the argument REF and the arguments in *after*, such as "STAGE", separated by spaces.

    The command gets the version as *ref*, and each argument in *after* under its name in lower case, such as *stage*.
    """

    def add(function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def with_reference(*args: Any, words: tuple[str, ...], **others: Any) -> Any:
            usage = f"{click.get_current_context().command_path} MODEL@VERSION {after}".strip()
            ref, rest = read_reference(words, after=len(after.split()), usage=usage)
            return function(*args, ref=ref, **dict(zip(after.lower().split(), rest, strict=True)), **others)

        return reference_words(after)(with_reference)

    return add


def model(function: F) -> F:
    """Add the argument MODEL, the name of a model."""
    return click.argument("model", metavar="MODEL", shell_complete=complete_model)(function)


def description(function: F) -> F:
    """Add the options for the descriptive fields of a model, except its tags."""
    owners = click.option("--owner", "owners", multiple=True, metavar="WHO", help="Owner; repeat for more.")
    function = owners(function)
    for field in reversed(DESCRIPTIVE_TEXTS):
        names = [f"--{field.replace('_', '-')}", *(["--licence"] if field == "license" else []), field]
        function = click.option(*names, metavar="TEXT", help=DESCRIPTIVE[field])(function)
    return function


def given_description(**fields: Any) -> dict[str, Any]:
    """Return the *fields* that the user gave: those that are neither None nor empty tuples."""
    return {name: value for name, value in fields.items() if value is not None and value != ()}


def artifact_paths(function: F) -> F:
    """Add the options for files and folders by kind, for their formats, and for following symbolic links."""
    function = click.option(
        "--follow-links",
        metavar="ROOT",
        help="Store the files and folders to which symbolic links lead, if they are in the folder ROOT.",
    )(function)
    function = click.option(
        "--as-format",
        "as_formats",
        multiple=True,
        metavar="NAME=FORMAT",
        help="Record this format instead of the detected one; repeat for more.",
    )(function)
    for kind, what in (("deployment", "a deployment"), ("model-object", "a model object"), ("data", "data")):
        function = click.option(
            f"--{kind}", multiple=True, metavar="NAME=PATH", help=f"A file or folder that is {what}; repeat for more."
        )(function)
    return function


filtered = click.option(
    "--filter", "filter", default="", metavar="EXPR", help="Show only rows that match an expression (CEL)."
)


def listed(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that select a part of a list. The command gets them as the argument *part*."""

    @functools.wraps(function)
    def with_part(*args: Any, filter: str, limit: int | None, offset: int, **others: Any) -> Any:
        return function(*args, part=Part(filter, limit, offset), **others)

    skip = click.option("--offset", type=click.IntRange(0), default=0, metavar="N", help="Skip the first N.")
    most = click.option("--limit", type=click.IntRange(0), metavar="N", help="Show at most N.")
    return filtered(most(skip(with_part)))


def tabled(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options of `listed`, --columns and --sort. The command gets them as the argument *asked*."""

    @functools.wraps(function)
    def with_table(*args: Any, columns: str, sort: str, part: Part, **others: Any) -> Any:
        return function(*args, asked=TableOptions(columns, sort, part), **others)

    return _columns(_sort(listed(with_table)))


reason = click.option("--reason", default="", metavar="TEXT", help="Reason; it is recorded.")
force = click.option("--force", is_flag=True, help="Override a failing gate; needs --reason.")
leave = click.option(
    "--leave", is_flag=True, help="Move the version to an earlier stage although its current stage becomes empty."
)
renumbered = click.option(
    "--renumbered",
    is_flag=True,
    help="If a pull gave the number or name to another version or model, confirm that you mean the new one.",
)
yes = click.option("-y", "--yes", is_flag=True, help="Do not ask.")


def _set_moment(ctx: click.Context, _: click.Parameter, value: str | None) -> None:
    if value is not None:
        ctx.obj.moment = value


_columns = click.option("--columns", default="", metavar="KEY,...", help="Show these fields and keys of the metadata.")
_sort = click.option(
    "--sort", default="", metavar="KEY", help="Sort by a field or a key of the metadata; -KEY reverses."
)
jobs = click.option(
    "-j", "--jobs", type=click.IntRange(1, 64), default=8, metavar="N", help="Number of parallel transfers."
)
at = click.option(
    "--at",
    metavar="WHEN",
    expose_value=False,
    callback=_set_moment,
    help="Use a past state: at a date (2026-10-01: the end of that day, UTC), a time, or a commit of the branch.",
)
