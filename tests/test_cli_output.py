"""Output of the command line: escaped text, tables, errors, and differences between a terminal and a pipe.

Text or a name is hostile if it contains characters that control a terminal.
"""

import json
import os
import pty
import re
import signal
import subprocess
from contextlib import suppress

import pytest
from editing import edit
from transcripts import PROGRAM, ask, fail, on_terminal, succeed

from gitmodel.cli import output, program
from gitmodel.cli.options import read_metadata, read_reference, read_value
from gitmodel.domain.views import cell_text
from gitmodel.errors import Invalid, UsageError

HOSTILE = "\x1b]0;owned\x07\x1b[2J \u202egnp\u2066 a\tb\r\nfake  1  \x9b31m \u200b\ufeff\u2028"


@pytest.fixture
def repo(code_repo, monkeypatch):
    monkeypatch.chdir(code_repo)
    return code_repo


def test_hostile_text_is_escaped_wherever_it_is_printed(repo, capsys):
    succeed(capsys, "register", "iris", "--title", HOSTILE, "--tag", HOSTILE, "--owner", HOSTILE)
    made = ["version", "create", "iris", "--description", HOSTILE, "--tag", HOSTILE, "--metadata", f"note={HOSTILE}"]
    succeed(capsys, *made)
    succeed(capsys, "promote", "iris@1", "staging", "--reason", HOSTILE)
    for command in ("list", "show iris", "version list iris", "show iris@1", "history", "metadata show iris"):
        for format in ("table", "tsv", "json"):
            code, out, err = ask(capsys, *command.split(), "--format", format)
            assert (code, err) == (0, "")
            for character in out.replace("\n", ""):
                assert character.isprintable() or (character == "\t" and format == "tsv"), (command, format)
            if format == "tsv":
                assert len({line.count("\t") for line in out.splitlines()}) == 1
            assert "\\u202e" in out
    _, out, _ = ask(capsys, "show", "iris", "--format", "json")
    assert json.loads(out)["title"] == HOSTILE


def test_hostile_text_in_a_record_that_is_damaged_is_escaped(repo, capsys):
    ask(capsys, "register", "iris")
    edit(repo, {"models/iris/model.toml": 'created = 2026-11-23T10:12:13Z\n"\\u001b[2J\\n" = 1\n'})
    for command in ("list", "check", "show iris"):
        _, out, err = ask(capsys, *command.split())
        assert all(character.isprintable() for character in (out + err).replace("\n", ""))


@pytest.mark.parametrize("name", ["\x1b[2J", "a\nb", "..", "-rf", "a/b", "x.lock", "@{", "a" * 256, "\udcff", "ä", " "])
def test_the_error_for_a_name_or_reference_with_control_characters_is_one_line(repo, capsys, name):
    for arguments in (
        ["register", "--", name],
        ["show", "--", name],
        ["resolve", f"iris@{name}"],
        ["promote", "--", "iris@1", name],
        ["alias", "set", "--", "iris@1", name],
        ["metadata", "show", "iris", "--artifact", name],
        ["history", "--", "iris", name],
    ):
        code, out, err = ask(capsys, *arguments)
        assert (code, out) in ((2, ""), (3, "")), arguments
        assert all(character.isprintable() for character in err.replace("\n", ""))
        assert [line.split(":")[0] for line in err.splitlines()] == ["error", "hint"]


def test_with_format_json_every_error_is_printed_as_json(repo, capsys):
    for arguments, code, kind in (
        (["--format", "json", "frobnicate"], 2, "UsageError"),
        (["promote", "--format=json"], 2, "UsageError"),
        (["list", "--limit", "x", "--format", "json"], 2, "UsageError"),
        (["show", "nothing", "--format", "json"], 3, "NotFound"),
    ):
        found, out, err = ask(capsys, *arguments)
        told = json.loads(err)["error"]
        assert (found, out, told["exit_code"], told["kind"]) == (code, "", code, kind)
        assert told["message"]
        assert told["hint"]


def test_an_unexpected_error_shows_how_to_report_the_error_and_no_traceback(repo, capsys, monkeypatch):
    def crash(ctx):
        raise RuntimeError("\x1b[2Jbroken")

    monkeypatch.setattr(program, "invoke", crash)
    err = fail(capsys, 1, "list")
    assert err.splitlines()[0] == "error: unexpected RuntimeError: \\x1b[2Jbroken"
    assert "GITMODEL_DEBUG=1" in err
    monkeypatch.setenv("GITMODEL_DEBUG", "1")
    assert "Traceback" in ask(capsys, "list")[2]
    _, _, err = ask(capsys, "list", "--format", "json")
    assert '"kind": "Unexpected"' in err


def test_the_exit_code_is_130_after_ctrl_c_and_141_after_the_output_pipe_was_closed(repo, capsys, monkeypatch):
    for error, code in ((KeyboardInterrupt, 130), (BrokenPipeError, 141)):

        def fail(ctx, error=error):
            raise error

        monkeypatch.setattr(program, "invoke", fail)
        monkeypatch.setattr("gitmodel.cli._discard_output", lambda: None)
        assert ask(capsys, "list") == (code, "", "")


def test_a_command_whose_output_pipe_was_closed_prints_no_error(repo, capsys):
    ask(capsys, "register", "iris")
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run([*PROGRAM, "list"], stdout=write, stderr=subprocess.PIPE, text=True)
    os.close(write)
    assert (done.returncode, done.stderr) == (141, "")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_a_command_that_cannot_write_its_output_reports_an_error(repo, capsys):
    ask(capsys, "register", "iris")
    with open("/dev/full", "w") as full:
        done = subprocess.run([*PROGRAM, "list"], stdout=full, stderr=subprocess.PIPE, text=True)
    assert done.returncode == 1
    assert "No space left on device" in done.stderr
    assert "Traceback" not in done.stderr


def test_output_to_a_terminal_has_colour_and_lines_that_fit(repo, capsys):
    title = "A title that is much too long for what a terminal of this width can show"
    ask(capsys, "register", "iris", "--title", title)
    ask(capsys, "register", "a-model-with-a-name-that-is-rather-long-but-still-allowed-here")
    code, shown = on_terminal("list")
    assert code == 0
    assert "\x1b[1mMODEL" in shown
    assert "…" in shown
    code, shown = on_terminal("list", env={"NO_COLOR": "1"})
    assert "\x1b" not in shown
    assert max(map(len, shown.splitlines())) <= 80
    code, out, _ = ask(capsys, "list")
    assert "\x1b" not in out
    assert "…" not in out


def test_a_deletion_on_a_terminal_asks_for_confirmation(repo, capsys):
    ask(capsys, "register", "iris")
    code, shown = on_terminal("delete", "iris", typed="n\n")
    assert code == 130
    assert "Delete iris with all its versions? [y/N]" in shown
    assert "nothing was changed" in shown
    assert ask(capsys, "list", "-q")[1] == "iris\n"
    code, shown = on_terminal("delete", "iris", typed="y\n")
    assert code == 0
    assert ask(capsys, "list", "-q")[1] == ""


def test_ctrl_c_at_a_confirmation_changes_nothing(repo, capsys):
    ask(capsys, "register", "iris")
    ours, theirs = pty.openpty()
    child = subprocess.Popen([*PROGRAM, "delete", "iris"], stdin=theirs, stdout=theirs, stderr=theirs)
    os.close(theirs)
    shown = b""
    while b"[y/N]" not in shown:
        shown += os.read(ours, 1024)
    ended = None
    while ended is None:  # repeated: Python can miss a signal that arrives just before it starts to read the answer
        child.send_signal(signal.SIGINT)
        with suppress(subprocess.TimeoutExpired):
            ended = child.wait(10)
    assert ended == 130
    os.close(ours)
    assert ask(capsys, "list", "-q")[1] == "iris\n"


def test_progress_of_a_slow_command_is_shown_on_a_terminal(capsys, monkeypatch):
    printer = output.Output()
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    now = [0.0]
    monkeypatch.setattr(output.time, "monotonic", lambda: now[0])
    with printer.progress("storing x") as progress:
        progress(1, 4_000)
        now[0] = 1.0
        progress(2_000, 4_000)
        progress(2_001, 4_000)
    assert capsys.readouterr().err == "\rstoring x:  50% of 4.0 kB, 2.0 kB/s, 1 s left\x1b[K\r\x1b[K"
    with output.Output(quiet=True).progress("storing x") as progress:
        assert progress is None


def test_progress_is_printed_in_lines_without_a_terminal(capsys, monkeypatch):
    now = [0.0]
    monkeypatch.setattr(output.time, "monotonic", lambda: now[0])
    with output.Output().progress("storing x") as progress:
        for second in range(0, 61):
            now[0] = float(second)
            progress(10_000_000 * second, 4_000_000_000)
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 6
    assert said[0] == "storing x: 2% of 4.0 GB, 10.0 MB/s, 6 min left"
    assert said[-1] == "storing x: 15% of 4.0 GB, 10.0 MB/s, 5 min left"
    with output.Output("json").progress("storing x") as progress:
        assert progress is None
    assert [output._duration(seconds) for seconds in (0.2, 59, 61, 7_500)] == ["1 s", "59 s", "1 min", "2 h 5 min"]


def test_tables_fit_into_a_terminal_of_any_width():
    rows = [["iris", "x" * 90, "y" * 50], ["花" * 30, "z", ""]]
    for room in (30, 40, 80, 120):
        widths = [max(cell_text.width(row[place]) for row in rows) for place in range(3)]
        output._narrow(widths, room)
        assert sum(widths) + 4 <= room
        for row in rows:
            assert cell_text.width(output._row(row, widths)) <= room


def test_times_commits_and_reasons_are_not_cut_on_a_narrow_terminal(repo, capsys):
    reason = "it beats what was there by far, on all of the data sets, and by each of the measures that were agreed on"
    for words in (["register", "iris"], ["version", "create", "iris"]):
        ask(capsys, *words)
    ask(capsys, "promote", "iris@1", "production", "--reason", reason)
    _, shown = on_terminal("history", "iris", "production", env={"NO_COLOR": "1"})
    head, row, *told = shown.replace("\r", "").splitlines()
    assert head == "FROM (UTC)        UNTIL (UTC)  VERSION  WHO          COMMIT"
    assert re.fullmatch(r"2026-11-23 10:12  now          - -> 1   Ada Example  [0-9a-f]{10}", row)
    assert " ".join(line.strip() for line in told) == reason
    assert max(map(len, [head, row, *told])) <= 80
    assert reason in ask(capsys, "history", "iris", "production")[1].splitlines()[1]
    _, shown = on_terminal("history", columns=40, env={"NO_COLOR": "1"})
    # The table is wider than the terminal, because no column is cut to fewer than eight characters.
    assert max(map(len, shown.replace("\r", "").splitlines())) <= 72


def test_a_long_description_wraps_on_a_terminal_and_is_one_line_without_a_terminal(repo, capsys):
    ask(capsys, "register", "iris", "--description", "word " * 60)
    code, shown = on_terminal("show", "iris", columns=60, env={"NO_COLOR": "1"})
    assert code == 0
    assert max(map(len, shown.splitlines())) <= 60
    assert ask(capsys, "show", "iris")[1].count("\n") == 4


def test_a_metadata_value_on_the_command_line_is_read_as_toml_if_it_is_valid_toml():
    for text, value in {
        "0.97": 0.97,
        "150": 150,
        "true": True,
        '"7"': "7",
        "[1, 2]": [1, 2],
        "hello world": "hello world",
        "007": "007",
        "5 # five": "5 # five",
        "1, 2": "1, 2",
        "1,": "1,",
        "": "",
        "a\nb = 2": "a\nb = 2",
        "1]\n[x": "1]\n[x",
        "[" * 10_000: "[" * 10_000,
    }.items():
        assert read_value(text) == value
    for wrong in ("accuracy", "=1", ""):
        with pytest.raises(UsageError):
            read_metadata([wrong])
    with pytest.raises(UsageError, match="twice"):
        read_metadata(["a=1", "a=2"])


def test_a_reference_can_be_written_as_one_argument_or_two():
    for words, reference in ((["iris"], "iris"), (["iris", "3"], "iris@3"), (["iris@3"], "iris@3")):
        assert str(read_reference(words, usage="")[0]) == reference
    for words in (["iris@3", "4"], ["iris", "3", "4"], [], ["iris", ""]):
        with pytest.raises(UsageError):
            read_reference(words, usage="MODEL@VERSION")


def test_the_kind_of_an_error_in_json_is_the_name_of_its_public_class(repo, capsys, monkeypatch):
    class Deeper(Invalid):
        pass

    def fail(ctx):
        raise Deeper("x", hint="y")

    monkeypatch.setattr(program, "invoke", fail)
    code, _, err = ask(capsys, "list", "--format", "json")
    assert (code, json.loads(err)["error"]["kind"]) == (5, "Invalid")


def test_with_the_option_quiet_commands_print_only_names_and_references(repo, transcript):
    transcript("""
        $ git model register iris -q
        iris
        $ git model -q version create iris
        iris@1
        $ git model promote -q iris@1 staging
        iris@1
        $ git model show iris -q
        iris
        $ git model version list iris -q
        iris@1
        $ git model history -q --limit 0
        $ git model alias set iris@1 champion -q
        iris@1
        $ git model alias list iris -q
        champion
    """)
