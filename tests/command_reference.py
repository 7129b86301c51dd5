"""Generates the man page and the reference pages of the commands: `python tests/command_reference.py`.

A test checks that the pages in `docs/` are up to date. No command imports this module.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator
from pathlib import Path

import click

from gitmodel import __version__
from gitmodel.cli import program
from gitmodel.cli.invocation import Command, Invocation, LazyGroup, usage_of
from gitmodel.cli.shapes import care_shapes, promote_shapes, record_shapes, share_shapes, start_shapes, trace_shapes
from gitmodel.cli.shapes.shape import Shape

# The shapes of the JSON output. Found in the modules, so that the reference describes every shape of a command.
SHAPES = [
    value
    for module in (record_shapes, promote_shapes, trace_shapes, share_shapes, care_shapes, start_shapes)
    for value in vars(module).values()
    if isinstance(value, Shape)
]
SYNOPSES = ("git model", "git-model", "gitmodel")
REFERENCES = """\
A version is written as MODEL@VERSION in one word or MODEL VERSION in two. VERSION is its number (`iris@3`), its name
(`iris@1.2.3`), a stage (`iris@production`), an alias (`iris@champion`) or `iris@latest`. MODEL alone means its latest
version. If another word is required (STAGE, ALIAS, ARTIFACT), it comes last. promote, alias set, unlink and version
delete require an explicit version. A RUN is written as its id, or as the beginning or end of its id, of at least 4
characters, that no other run has.
"""
OUTPUT = """\
Without --format, a command prints a table or a sentence. Colours, and cutting to the width of the screen, are used only
on a terminal; NO_COLOR disables colours. --format json has every field and the exact text. --format tsv has the same
fields with a header line. -q prints only names or references, one per line. Control characters, line breaks and
characters that reorder text are escaped in tables and TSV, so that no record can move the cursor or forge a line.
Errors and hints are printed on stderr; with --format json as JSON. A list skips a record that cannot be read, warns
about it and still ends with 0; `git model check` ends with 5.
"""
CODES = (
    ("0", "success"),
    ("1", "a step of a pipeline failed; or an unexpected error, a bug in gitmodel: the message says how to report it"),
    ("2", "usage error: a wrong name, reference, option or value"),
    ("3", "not found: model, version, stage, artifact, repository"),
    ("4", "conflict: somebody was faster, or a name is taken; nothing was changed"),
    ("5", "a record, object or artifact is invalid"),
    ("6", "refused by a gate, a protection or a rule"),
    ("7", "the artifact store, the disk or a remote cannot be reached"),
    ("130", "interrupted, or you answered a question with no"),
    ("141", "the reader of the output has gone away"),
)
VARIABLES = (
    ("GITMODEL_REPO", "the repository that holds the registry, like --repo"),
    ("GITMODEL_BRANCH", "the metadata branch"),
    ("GITMODEL_STORE", "the URL of the artifact store"),
    ("GITMODEL_STORE_READ_ONLY", "if 1, never write to an artifact store"),
    ("GITMODEL_DIRTY", "uncommitted changes of the code: record, snapshot or refuse"),
    ("GITMODEL_EXECUTOR", "the executor that runs the steps of pipelines"),
    ("GITMODEL_QUIET", "if set and not `0`, a script that runs a pipeline does not print its version at the end"),
    ("GITMODEL_DEBUG", "if set, an unexpected error prints its traceback"),
    ("NO_COLOR", "if set, disables colours"),
    ("COLUMNS", "the width of the terminal"),
)


def contexts(ctx: click.Context | None = None) -> Iterator[click.Context]:
    """Yield *ctx* (by default the click context of `git model`) and the context of each command below it."""
    if ctx is None:
        ctx = click.Context(program, info_name="git model", obj=Invocation(), help_option_names=["-h", "--help"])
    yield ctx
    if isinstance(ctx.command, LazyGroup):
        for name in ctx.command.list_commands(ctx):
            found = ctx.command.get_command(ctx, name)
            assert found is not None
            yield from contexts(click.Context(found, parent=ctx, info_name=name))


def markdown() -> str:
    """Return the text of `docs/reference/cli.md`."""
    root, *others = contexts()
    lines = ["# Commands", "", "<!-- Made by `python tests/command_reference.py`; do not edit. -->", ""]
    lines += [
        f"`{SYNOPSES[0]} ...`, `{SYNOPSES[1]} ...`, `{SYNOPSES[2]} ...` and `python -m gitmodel ...` are one program."
    ]
    lines += ["", *_paragraphs(_help(root)), "", "```", usage_of(root), "```", "", *_options(root), ""]
    lines += ["Every command also accepts `--format`, `-q` and `-h`, before or after its name.", ""]
    lines += ["## References", "", *_paragraphs(REFERENCES), "", "## Output", "", *_paragraphs(OUTPUT), ""]
    lines += ["The fields are in [their own page](json.md).", ""]
    lines += [
        "## Exit codes",
        "",
        "| code | meaning |",
        "|---|---|",
        *(f"| {code} | {means} |" for code, means in CODES),
        "",
    ]
    lines += ["## Environment", "", "| variable | meaning |", "|---|---|"]
    lines += [f"| `{name}` | {means} |" for name, means in VARIABLES]
    for ctx in others:
        lines += ["", f"## {ctx.command_path}", "", *_paragraphs(_help(ctx)), "", "```", usage_of(ctx), "```"]
        options = _options(ctx)
        lines += ["", *options] if options else []
        if isinstance(ctx.command, Command):
            lines += ["", "```bash", *ctx.command.example.splitlines(), "```"]
    return "\n".join(lines) + "\n"


def json_page() -> str:
    """Return the text of `docs/reference/json.md`."""
    lines = ["# JSON and TSV", "", "<!-- Made by `python tests/command_reference.py`; do not edit. -->", ""]
    lines += _paragraphs(
        """\
`--format json` prints one object for a single item, and an array of objects for a list, one object per line. Every
field is always present, in the order below. A field without a value is null, or empty text if it is a text that a
person writes. Minor versions can add fields. No field is removed, renamed or given another meaning.

Times are ISO 8601 in UTC (`2026-11-23T10:12:13Z`). Characters outside ASCII are escaped, so that a terminal shows them
safely and a reader gets the exact text. Metadata keeps its types. A float that JSON cannot represent is the text "nan",
"inf" or "-inf".

`--format tsv` prints the same fields, with a header line. Null is empty. The items of a list are separated by commas.
An object is `key=value`, separated by commas, and deeper values are JSON. Control characters are shown as escapes
(`\\n`, `\\x1b`), so each item is exactly one line. If you need the exact text, use JSON.

The `--filter` of a list command uses the same fields, without null values.
"""
    )
    for shape in SHAPES:
        lines += ["", f"## {shape.name}", "", *_paragraphs(shape.about), "", "| field | value |", "|---|---|"]
        lines += [f"| `{name}` | {holds} |" for name, holds in shape.fields.items()]
    return "\n".join(lines) + "\n"


def man() -> str:
    """Return the text of `docs/man/git-model.1`."""
    root, *others = contexts()
    lines = [
        '.\\" Made by `python tests/command_reference.py`; do not edit.',
        f'.TH GIT-MODEL 1 "" "gitmodel {__version__}" "gitmodel manual"',
        ".SH NAME",
        r"git\-model \- a model registry that lives in git",
        ".SH SYNOPSIS",
    ]
    for number, name in enumerate(SYNOPSES):
        lines += [*([".br"] if number else []), f"\\fB{_roff(name)}\\fR {_roff('[OPTIONS] COMMAND ...')}"]
    lines += [".SH DESCRIPTION", *_roff_paragraphs(_help(root)), ".SH OPTIONS"]
    lines += _roff_options(root)
    lines += [".PP", _roff("Every command also accepts --format, -q and -h, before or after its name.")]
    lines += [".SH REFERENCES", *_roff_paragraphs(REFERENCES), ".SH COMMANDS"]
    for ctx in others:
        lines += [f'.SS "{_roff(ctx.command_path)}"', f"\\fB{_roff(usage_of(ctx))}\\fR", ".PP"]
        lines += [*_roff_paragraphs(_help(ctx)), *_roff_options(ctx)]
        if isinstance(ctx.command, Command):
            example = [_roff(line) for line in ctx.command.example.splitlines()]
            lines += [".PP", "For example:", ".PP", ".RS 4", ".nf", *example, ".fi", ".RE"]
    lines += [".SH OUTPUT", *_roff_paragraphs(OUTPUT), '.SH "EXIT STATUS"']
    for code, means in CODES:
        lines += [".TP", f"\\fB{code}\\fR", _roff(means)]
    lines += [".SH ENVIRONMENT"]
    for name, means in VARIABLES:
        lines += [".TP", f"\\fB{_roff(name)}\\fR", _roff(means)]
    lines += [
        ".SH FILES",
        ".TP",
        r"\fBrefs/heads/gitmodel\fR",
        "the metadata branch: every record is a TOML file on it",
    ]
    lines += [".TP", r"\fBrefs/tags/model/\fIMODEL\fB/\fISTAGE\fR", "the stage tags: which version is in force"]
    lines += [".TP", r"\fBrefs/tags/gitmodel-rules/\fIBRANCH\fR", "which rules of gitmodel.toml are in force"]
    lines += [".TP", r"\fB.git/gitmodel/store\fR", "the artifact store, unless another is named"]
    lines += ['.SH "SEE ALSO"', r"\fBgit\fR(1), \fBgit\-log\fR(1), \fBgit\-show\fR(1)"]
    return "\n".join(lines) + "\n"


PAGES = {"docs/reference/cli.md": markdown, "docs/reference/json.md": json_page, "docs/man/git-model.1": man}


def write(root: Path) -> None:
    for path, make in PAGES.items():
        (root / path).write_text(make(), encoding="utf-8")


def _help(ctx: click.Context) -> str:
    return re.sub(r"^ +", "", (ctx.command.help or "").strip(), flags=re.MULTILINE)


def _records(ctx: click.Context) -> list[tuple[str, str]]:
    """Return the options of the command of *ctx* with their help. Only `git model` itself lists the general options."""
    general = {"format", "quiet", "help"} if ctx.parent else set()
    found = [option for option in ctx.command.get_params(ctx) if option.name not in general]
    pairs = [option.get_help_record(ctx) for option in found if isinstance(option, click.Option)]
    return [pair for pair in pairs if pair is not None]


def _paragraphs(text: str) -> list[str]:
    paragraphs = (" ".join(paragraph.split()) for paragraph in text.strip().split("\n\n"))
    filled = (textwrap.fill(each, 100, break_long_words=False, break_on_hyphens=False) for each in paragraphs)
    return "\n\n".join(filled).split("\n")


def _options(ctx: click.Context) -> list[str]:
    records = _records(ctx)
    if not records:
        return []
    rows = [f"| `{option.replace('|', chr(92) + '|')}` | {help} |" for option, help in records]
    return ["| option | meaning |", "|---|---|", *rows]


def _roff(text: str) -> str:
    """Return *text* escaped for roff. A reader who copies a hyphen from the man page gets the ASCII character."""
    escaped = text.replace("\\", "\\e").replace("-", "\\-").replace("'", "\\(aq").replace("`", "\\(ga")
    return f"\\&{escaped}" if escaped.startswith((".", "\\(aq")) else escaped


def _roff_paragraphs(text: str) -> list[str]:
    blocks = [_roff(" ".join(block.split())) for block in text.strip().split("\n\n")]
    bold = [re.sub(r"\\\(ga(.*?)\\\(ga", r"\\fB\1\\fR", block) for block in blocks]
    return [line for number, block in enumerate(bold) for line in ([".PP", block] if number else [block])]


def _roff_options(ctx: click.Context) -> list[str]:
    return [line for option, help in _records(ctx) for line in (".TP", f"\\fB{_roff(option)}\\fR", _roff(help))]


if __name__ == "__main__":
    write(Path(__file__).resolve().parents[1])
