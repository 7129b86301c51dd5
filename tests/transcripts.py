"""Transcripts of the command line: commands with their stdout, stderr and exit codes."""

import difflib
import fcntl
import json
import os
import pty
import re
import shlex
import shutil
import struct
import subprocess
import sys
import termios
import textwrap
from contextlib import suppress

from gitmodel.cli import run

PROGRAM = [sys.executable, "-m", "gitmodel"]
PROGRAMS = ("git model ", "git-model ", "gitmodel ")
# A command that ends with a backslash continues on the next line.
_SHORT_ID = re.compile(r"\b[0-9a-f]{10}\b")
_COMMAND = re.compile(r"^\$ ((?:.*\\\n)*.*)$", re.MULTILINE)


def ask(capsys, *arguments):
    """Run a command in this process; return its exit code, stdout and stderr."""
    capsys.readouterr()
    code = run([str(argument) for argument in arguments])
    out, err = capsys.readouterr()
    return code, out, err


def end_with(capsys, code, *arguments):
    """Run a command in this process; fail unless its exit code is *code*; return its stdout and stderr."""
    found, out, err = ask(capsys, *arguments)
    assert found == code, err
    return out, err


def succeed(capsys, *arguments):
    """Run a command in this process; fail unless its exit code is 0; return its stdout."""
    return end_with(capsys, 0, *arguments)[0]


def fail(capsys, code, *arguments):
    """Run a command in this process; fail unless its exit code is *code* and stdout is empty; return its stderr."""
    out, err = end_with(capsys, code, *arguments)
    assert out == ""
    return err


def said(capsys, *arguments):
    """Run a command in this process; return its exit code and the value that it prints as JSON."""
    code, out, err = ask(capsys, *arguments, "--format", "json")
    return code, json.loads(out or err)


def on_terminal(*arguments, typed="", columns=80, env=None):
    """Run `git model` on a pseudo-terminal and type *typed*; return its exit code and its output."""
    ours, theirs = pty.openpty()
    try:
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
        environ = {**os.environ, "TERM": "xterm", **(env or {})}
        child = subprocess.Popen([*PROGRAM, *arguments], stdin=theirs, stdout=theirs, stderr=theirs, env=environ)
    finally:
        os.close(theirs)
    if typed:
        os.write(ours, typed.encode())
    shown = b""
    with suppress(OSError):  # raised at the end of the output of a pseudo-terminal
        while part := os.read(ours, 65536):
            shown += part
    os.close(ours)
    return child.wait(), shown.decode()


def make_registry(folder, keep, capsys, commands):
    """Create a registry in the current folder *folder*, with *commands* or from the copy that an earlier call kept.

    If the folder *keep* exists, copy it to *folder*. Otherwise, run *commands* and copy *folder* to *keep*.
    """
    if keep.is_dir():
        shutil.copytree(keep, folder, dirs_exist_ok=True, symlinks=True)
        return
    for command in commands:
        code, _, err = ask(capsys, *shlex.split(command))
        assert code == 0, err
    shutil.copytree(folder, keep, symlinks=True)


def check_transcript(capsys, text):
    """Run every command of *text*, and check that each prints the lines below it and ends with the exit code there.

    `! ` begins a line of stderr, and `[3]` is an exit code. `<commit>` stands for the ten digits that name a commit,
    and `...` in a line of stderr for any text. If one test has the full wording of a message, other tests have only its
    values and a key phrase, such as `! error: ...version 9 of iris`.
    """
    expected = textwrap.dedent(text).strip("\n").split("\n")
    commands = _COMMAND.findall("\n".join(expected))
    assert commands, "no command in this transcript"
    found = [line for command in commands for line in _lines(capsys, command)]
    if "<commit>" in text:
        found = [_SHORT_ID.sub("<commit>", line) for line in found]
    # Replace expected lines that match by the printed lines, so that the diff shows only lines that do not match.
    pairs = zip(found, expected, strict=False)
    expected[: len(found)] = [line if _matches(line, pattern) else pattern for line, pattern in pairs]
    if found != expected:
        raise AssertionError("\n".join(difflib.unified_diff(expected, found, "expected", "found", lineterm="")))


def _matches(line, pattern):
    parts = pattern.split("...") if pattern.startswith("! ") else [pattern]
    return re.fullmatch(".*".join(map(re.escape, parts)), line) is not None


def _lines(capsys, command):
    program = next(name for name in PROGRAMS if command.startswith(name))
    code, out, err = ask(capsys, *shlex.split(command.removeprefix(program).replace("\\\n", " "), comments=True))
    yield from f"$ {command}".split("\n")
    yield from out.splitlines()
    yield from (f"! {line}" for line in err.splitlines())
    if code:
        yield f"[{code}]"
