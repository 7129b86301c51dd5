"""Every command that a hint or message of gitmodel shows exists with its options, and some test runs it."""

import ast
import functools
import re
import shlex
import subprocess
from pathlib import Path

import click
import pytest

import gitmodel
from gitmodel.cli import program

TESTS = Path(__file__).parent
PACKAGE = Path(gitmodel.__file__).parent
DOCS = TESTS.parent / "docs"
PAGES = [TESTS.parent / "README.md", *DOCS.glob("tutorial/*.md"), *DOCS.glob("how-to/*.md")]
LEADING = {"VALUE", "$", "git", "model", "git-model", "gitmodel", "-m", "-C", "--repo", "--format", "json", "tsv", "-q"}
# Stands for a value that the program inserts into a message.
VALUE = "VALUE"
_SHOWN = re.compile(r"`(git [^`]*)`")


def texts(node):
    """Yield the texts that the expression *node* can have, with VALUE for each part that is not a constant."""
    if isinstance(node, ast.Constant):
        yield str(node.value)
    elif isinstance(node, ast.IfExp):
        yield from texts(node.body)
        yield from texts(node.orelse)
    elif isinstance(node, ast.FormattedValue):
        yield from texts(node.value) if isinstance(node.value, ast.IfExp) else [VALUE]
    elif isinstance(node, ast.JoinedStr):
        found = [""]
        for part in node.values:
            found = [before + after for before in found for after in texts(part)]
        yield from found
    else:
        yield VALUE


def strings(tree):
    """Yield the texts in the module *tree*, but not its docstrings. An f-string is one text."""
    joined = [one for one in ast.walk(tree) if isinstance(one, ast.JoinedStr)]
    parts = {id(inner) for one in joined for inner in ast.walk(one) if inner is not one}
    bare = {id(one.value) for one in ast.walk(tree) if isinstance(one, ast.Expr)}
    for one in ast.walk(tree):
        is_text = isinstance(one, ast.JoinedStr) or (isinstance(one, ast.Constant) and isinstance(one.value, str))
        if is_text and id(one) not in parts | bare:
            yield from texts(one)


@functools.cache
def hinted():
    """Return all commands that texts of the package show in backquotes, as tuples of words."""
    found = set()
    for path in sorted(PACKAGE.rglob("*.py")):
        for text in strings(ast.parse(path.read_text(encoding="utf-8"))):
            # `%s` stands for a value, too. A value directly after a letter may be empty, and is left out here.
            shown = re.sub(rf"(?<=[a-z]){VALUE}", "", text.replace("%s", VALUE))
            found.update(tuple(shlex.split(command)) for command in _SHOWN.findall(shown))
    return sorted(found)


@functools.cache
def run_by_tests():
    """Return the words of each call in a test, and of each command on a page of docs/, whose commands run as a test."""
    found = []
    for path in set(TESTS.rglob("*.py")) - {Path(__file__)}:
        for one in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            given = getattr(one, "args", ()) if isinstance(one, ast.Call) else getattr(one, "elts", ())
            words = [word for each in given if not isinstance(each, ast.Starred) for word in texts(each)]
            found.append(" ".join(words).split())
    for page in PAGES:
        found += [line.split() for line in page.read_text(encoding="utf-8").splitlines() if "git model" in line]
    return [words for words in found if words]


def parsed(words):
    """Return the subcommands and options of `git model WORDS`. Raises LookupError for an unknown command or option."""
    command, path, options = program, [], []
    for word in words:
        if word.startswith("-") and word != "-":
            name = word.partition("=")[0]
            known = {"-h", *(one for param in command.params for one in (*param.opts, *param.secondary_opts))}
            if name not in known:
                raise LookupError(f"{' '.join(path)} has no option {name}")
            if name != "-h":  # every command has this option, and tests/test_cli_help.py runs it
                options.append(name)
        elif isinstance(command, click.Group) and word not in ("...", VALUE) and word.islower():
            below = command.get_command(click.Context(command), word)
            if below is None:
                raise LookupError(f"{' '.join(path) or 'git model'} has no command {word}")
            command = below
            path.append(word)
    return path, options


def is_run(path, options):
    """Return True if a test runs the command with all *options*. Words in LEADING may stand before it in a call."""
    size = len(path)
    if not path:
        return any(set(options) <= set(words) for words in run_by_tests())
    for words in run_by_tests():
        for start in range(len(words) - size + 1):
            if words[start : start + size] == path and set(options) <= set(words):
                return True
            if words[start] not in LEADING:
                break
    return False


MODEL = [words[2:] for words in hinted() if words[1:2] == ("model",) and len(words) > 2]


def test_the_helper_hinted_finds_the_commands_in_messages():
    assert len(MODEL) > 60
    assert ("promote", f"{VALUE}@VERSION", VALUE) in MODEL
    # Both texts of a conditional expression are found.
    assert {words[0] for words in MODEL} > {"demote", "alias", "apply", "store", "runs"}


@pytest.mark.parametrize("words", MODEL, ids=" ".join)
def test_a_command_that_a_hint_shows_is_run_by_a_test(words):
    path, options = parsed(words)
    assert path or options
    assert is_run(path, options), f"no test runs `git model {' '.join((*path, *options))}`"


def test_parsing_a_shown_command_refuses_an_unknown_command_or_option():
    for words in (("promot", "iris@1"), ("promote", "iris@1", "--forced"), ("store", "lst")):
        with pytest.raises(LookupError):
            parsed(words)
    assert not is_run(["promote"], ["--nothing-has-this"])


def test_the_commands_of_git_that_hints_show_exist():
    listed = subprocess.run(["git", "--list-cmds=main"], capture_output=True, text=True, check=True).stdout.split()
    shown = {words[1] for words in hinted() if len(words) > 1 and not words[1].startswith("-")}
    assert shown - {"model"} <= set(listed)


def test_no_message_names_a_page_of_the_documentation_by_its_path():
    """The folder docs is not in the installed package. A message names a command or the title of a page instead."""
    path = re.compile(r"\bdocs/|\bhow-to/|\w\.md\b")
    found = []
    for file in sorted(PACKAGE.rglob("*.py")):
        tree = ast.parse(file.read_text(encoding="utf-8"))
        told = [
            *(value for call in ast.walk(tree) if isinstance(call, ast.Call) for value in call.args),
            *(keyword.value for keyword in ast.walk(tree) if isinstance(keyword, ast.keyword)),
            *(node.value for node in ast.walk(tree) if isinstance(node, ast.Assign | ast.Return) and node.value),
        ]
        found += sorted({(file.name, node.lineno, text) for node in told for text in texts(node) if path.search(text)})
    assert found == []
