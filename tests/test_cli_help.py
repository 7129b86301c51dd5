"""Help, examples, manual pages and shell completion of all commands, and which modules a command may import."""

import io
import json
import operator
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import command_reference
import pytest
from transcripts import ask, make_registry, said, succeed

from gitmodel.cli import COMMANDS
from gitmodel.cli.invocation import Command, LazyGroup, first_line
from gitmodel.cli.shapes import care_shapes, promote_shapes, record_shapes, share_shapes, start_shapes, trace_shapes
from gitmodel.cli.shells import SCRIPTS
from gitmodel.client.script_runs import executed_cells
from gitmodel.domain.schema.digests import digest_of
from gitmodel.domain.secrets.notebook_cells import Cell

ROOT = Path(__file__).resolve().parents[1]
CONTEXTS = {ctx.command_path: ctx for ctx in command_reference.contexts()}
VERBS = {path: ctx.command for path, ctx in CONTEXTS.items() if isinstance(ctx.command, Command)}
# Modules that are slow to import. A command that only reads must not import them.
HEAVY = ("pydantic", "git", "rich", "importlib.metadata", "concurrent.futures", "gitmodel.expressions", "cel")
PIPELINE = """
from gitmodel import ModelConfig, pipeline, step

@step
def fit(seed: int) -> int:
    return seed

@pipeline(model_config=ModelConfig(name="demo", create_new_model_version=True))
def train(seed: int = 0):
    fit(seed)
"""
COMMANDS_OF_REGISTRY = (
    "register iris --license MIT --title Iris --tag sklearn",
    "version create iris --name 1.2.3 --data train=train.csv --model-object classifier=model.skops --tag baseline "
    "--deployment api=deploy.json --metadata accuracy=0.97 --metadata draft=true",
    "promote iris@1 production --reason first",
    "version create iris --data validation=validation.csv",
    "promote iris@2 staging",
    "alias set iris@1 champion",
)


@pytest.fixture
def registry(code_repo, monkeypatch, capsys, tmp_path_factory):
    """A registry with everything that the examples of all help texts need."""
    for name in ("train.csv", "test.csv", "validation.csv", "model.skops", "deploy.json"):
        (code_repo / name).write_text(f"{name}\n", encoding="utf-8")
    (code_repo / "net").mkdir()
    (code_repo / "net" / "weights.bin").write_bytes(b"weights")
    (code_repo / "train.py").write_text(PIPELINE, encoding="utf-8")
    (code_repo / "params.toml").write_text("seed = 2\n", encoding="utf-8")
    monkeypatch.chdir(code_repo)
    make_registry(code_repo, tmp_path_factory.getbasetemp() / "registry", capsys, COMMANDS_OF_REGISTRY)
    return code_repo


@pytest.mark.parametrize("path", VERBS)
def test_every_help_ends_in_an_example_that_runs(path, registry, capsys, tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO()))
    code, out, _ = ask(capsys, *path.split()[2:], "-h")
    example = VERBS[path].example
    assert (code, out.endswith("Example:\n" + "".join(f"  {line}\n" for line in example.splitlines()))) == (0, True)
    example = example.replace("sha256:DIGEST", digest_of(b"train.csv\n"))
    if path == "git model completion":
        assert (
            subprocess.run(["bash", "-c", example.replace("git model", f"{sys.executable} -m gitmodel")]).returncode
            == 0
        )
        return
    if path.split()[2] in ("clone", "pull", "push", "remote"):
        bare = tmp_path / "remote.git"
        subprocess.run(["git", "init", "-q", "--bare", bare], check=True)
        subprocess.run(["git", "remote", "add", "origin", bare], cwd=registry, check=True)
        subprocess.run(["git", "config", "gitmodel.store", tmp_path.as_uri()], cwd=registry, check=True)
        example = example.replace("https://example.com/team/models.git", str(bare))
    if path == "git model copy":
        subprocess.run(["git", "init", "-q", tmp_path / "other"], check=True)
        example = example.replace("https://example.com/team/models.git", str(tmp_path / "other"))
    if path == "git model import":
        for tag in ("wine@v1.0.0", "wine#prod#1"):
            subprocess.run(["git", "tag", "-a", tag, "-m", "a tag of GTO"], cwd=registry, check=True)
    if path == "git model reproduce":
        subprocess.run(["git", "add", "train.py"], cwd=registry, check=True)
        subprocess.run(["git", "commit", "-q", "-m", "Train"], cwd=registry, check=True)
        example = example.replace("iris@production", "demo@1")
    if path == "git model runs cells":
        monkeypatch.setattr(executed_cells, "executed_cells", lambda: [Cell(1, "train()")])
    if path == "git model ui":  # this command would run until Ctrl-C
        monkeypatch.setattr("uvicorn.Server.run", lambda server, sockets: [each.close() for each in sockets])
        monkeypatch.setattr("webbrowser.open", lambda url: True)
        example += " --port 0"
    before = {
        "git model register": "delete iris --yes --force",
        "git model rollback": "promote iris@2 production",
        "git model stage remove": "stage add canary",
        "git model stage gate remove": "stage gate add production accuracy true",
        "git model unlink": "version update iris@2 --stage none",
        "git model link": "version update iris@2 --stage none",
        "git model version create": "version list iris",
        "git model version delete": "version update iris@2 --stage none",
        "git model runs show": "run train.py",
        "git model runs packages": "run train.py",
        "git model runs cells": "run train.py",
        "git model runs logs": "run train.py",
        "git model reproduce": "run train.py",
        "git model import": "export iris@1 iris.gitmodel",
        "git model store remove": f"store add archive {tmp_path / 'archive'}",
        "git model store use": f"store add archive {tmp_path / 'archive'}",
    }
    succeed(capsys, *before.get(path, "list").split())
    for line in example.splitlines():
        line = line.replace("/tmp/archive", str(tmp_path / "archive"))
        line = line.replace("/tmp/models", str(tmp_path / "models")).replace("register iris", "register flowers")
        line = line.replace("--name 1.2.3", "--name 1.2.4")
        assert line.startswith(path.replace("git model list_models", "git model list"))
        code, _, err = ask(capsys, *shlex.split(line.removeprefix("git model ")))
        assert (code, err if code else "") == (0, "")


@pytest.mark.parametrize("name", COMMANDS)
def test_the_list_of_commands_shows_the_first_line_of_each_help(name):
    entry = COMMANDS[name]
    found = entry.load()
    assert first_line(found) == entry.help
    assert found.name == name
    assert len(entry.help) <= 60


def test_the_help_of_the_program_lists_the_commands_by_section_on_one_screen(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    _, out, _ = ask(capsys, "-h")
    assert len(out.splitlines()) <= 70
    sections = [entry.section for entry in COMMANDS.values()]
    in_order = list(dict.fromkeys(sections))
    assert in_order == ["Start", "Record", "Look", "Promote", "Review", "Trace", "Share", "Care"]
    assert sections == sorted(sections, key=in_order.index)
    assert [line.split()[0] for line in out.splitlines() if line[:1].isupper()][1:-1] == in_order
    for option in ("-C DIR", "--repo PATH|URL", "--max-age SECONDS", "--format table|json|tsv", "-q | --quiet"):
        assert f"[{option}]" in out


def test_a_group_of_commands_has_at_most_12_entries_with_one_line_each(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    sections = [entry.section for entry in COMMANDS.values()]
    assert max(map(sections.count, sections)) <= 12
    for path, ctx in CONTEXTS.items():
        if isinstance(ctx.command, LazyGroup) and ctx.parent:
            _, out, _ = ask(capsys, *path.split()[2:], "-h")
            shown = out.partition("Commands:\n")[2].splitlines()
            assert [line.split()[0] for line in shown] == ctx.command.list_commands(ctx)
            assert len(shown) <= 12


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        ("create", "version create"),
        ("ls", "list"),
        ("tag", "version update --tag"),
        ("compare", "diff"),
        ("attach", "link --attachment"),
        ("gate", "stage gate"),
        ("contains", "version contains"),
        ("rm", "delete"),
        ("stage ls", "list"),
        ("stage rm", "remove"),
        ("stage create", "add"),
        ("version new", "create"),
    ],
)
def test_the_error_for_a_command_of_another_tool_suggests_the_command_of_gitmodel(words, meant, capsys):
    code, _, err = ask(capsys, *words.split())
    assert (code, err.splitlines()[0].partition("; ")[2]) == (2, f"did you mean {meant}?")


def test_every_command_accepts_the_general_options():
    for ctx in CONTEXTS.values():
        names = {option for parameter in ctx.command.params for option in parameter.opts}
        assert {"--format", "-q"} <= names


def test_help_fits_into_80_columns(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    for path in CONTEXTS:
        _, out, _ = ask(capsys, *path.split()[2:], "-h")
        for line in out.partition("Example:")[0].splitlines():
            assert len(line) <= 80


def test_a_command_group_without_a_subcommand_prints_its_help_and_has_exit_code_2(capsys):
    for path, ctx in CONTEXTS.items():
        if isinstance(ctx.command, LazyGroup):
            code, out, _ = ask(capsys, *path.split()[2:])
            assert (code, out.startswith(f"Usage: {path} ")) == (2, True)


@pytest.mark.parametrize("path", command_reference.PAGES)
def test_the_generated_reference_pages_are_up_to_date(path):
    made = command_reference.PAGES[path]()
    assert (ROOT / path).read_text(encoding="utf-8") == made, "run `python tests/command_reference.py`"


def test_the_man_page_is_valid_roff():
    text = command_reference.man()
    for line in text.splitlines():
        assert not line.startswith("'")
        assert not line.startswith(".") or re.match(r"\.(\\\"|TH|SH|SS|PP|TP|br|RS|RE|nf|fi)\b|\.\\\"", line)
        assert line.isascii()
    for path in VERBS:
        assert f'.SS "{path}"'.replace("-", "\\-") in text


READS = {
    "list": (record_shapes.MODEL, "list"),
    "show": (record_shapes.MODEL, "show iris"),
    "register": (record_shapes.MODEL, "register other"),
    "update": (record_shapes.MODEL, "update iris --title x"),
    "version list": (record_shapes.VERSION, "version list iris"),
    "version show": (record_shapes.VERSION, "version show iris@1"),
    "version create": (record_shapes.VERSION, "version create iris --model-object net=net"),
    "version artifacts --files": (record_shapes.FILE, "version artifacts iris@3 --files net"),
    "version update": (record_shapes.VERSION, "version update iris --description x"),
    "link": (record_shapes.VERSION, "link iris@3 --data test=test.csv"),
    "unlink": (record_shapes.VERSION, "unlink iris@3 test --yes"),
    "metadata set": (record_shapes.VERSION, "metadata set iris@1 a=1"),
    "version artifacts": (record_shapes.ARTIFACT, "version artifacts iris@1"),
    "version model_objects": (record_shapes.ARTIFACT, "version model_objects iris@1"),
    "version deployments": (record_shapes.ARTIFACT, "version deployments iris@1"),
    "resolve": (record_shapes.RESOLVED, "resolve iris@champion"),
    "promote": (promote_shapes.PROMOTION, "promote iris@2 production"),
    "stage show": (record_shapes.VERSION, "stage show production"),
    "rollback": (promote_shapes.PROMOTION, "rollback iris production"),
    "demote": (promote_shapes.PROMOTION, "demote iris production"),
    "alias set": (promote_shapes.PROMOTION, "alias set iris@2 champion"),
    "alias list": (promote_shapes.ALIAS, "alias list iris"),
    "alias remove": (promote_shapes.PROMOTION, "alias remove iris champion"),
    "history": (trace_shapes.EVENT, "history"),
    "get": (record_shapes.FETCHED, "get iris@1 train -o fetched"),
    "verify": (care_shapes.VERIFIED, "verify"),
    "log": (trace_shapes.LOGGED, "log iris"),
    "blame": (trace_shapes.ORIGIN, "blame iris@1"),
    "version contains": (trace_shapes.CONTAINING, "version contains HEAD"),
    "version notes": (trace_shapes.NOTED, "version notes"),
    "maintenance": (care_shapes.MAINTAINED, "maintenance"),
    "config": (start_shapes.SETTING, "config"),
    "hook install": (start_shapes.HOOK, "hook install"),
    "config KEY VALUE": (start_shapes.SETTING, "config branch gitmodel"),
    "init": (start_shapes.REGISTRY, "init"),
    "store list": (care_shapes.STORE, "store list"),
    "store trust": (care_shapes.STORE, "store trust"),
    "store status": (care_shapes.STORE_STATUS, "store status"),
    "store gc": (care_shapes.GARBAGE, "store gc"),
    "store copy": (care_shapes.COPIED, "store copy --to ./copied"),
    "store purge": (
        care_shapes.PURGED,
        f"store purge {digest_of(b'validation.csv' + bytes([10]))} --reason asked --yes",
    ),
    "store use": (care_shapes.STORE, "store use iris default"),
    "run": (trace_shapes.RECORDED_RUN, "run train.py"),
    "runs list": (trace_shapes.RECORDED_RUN, "runs list"),
    "runs show": (trace_shapes.RECORDED_RUN, "runs show"),
    "version runs": (trace_shapes.RUN, "version runs demo"),
    "version delete": (record_shapes.DELETED, "version delete iris@3 --yes"),
    "delete": (record_shapes.DELETED, "delete iris --yes --force"),
}


def test_json_and_tsv_have_the_documented_fields(registry, capsys):
    for shape, command in READS.values():
        code, out, err = ask(capsys, *command.split(), "--format", "json")
        assert (code, err) == (0, ""), command
        found = json.loads(out)
        items = found if isinstance(found, list) else [found]
        assert items, command
        for item in items:
            assert tuple(item) == shape.keys, command
        read = ask(capsys, *command.split(), "--format", "tsv") if command.split()[0] in ("list", "history") else None
        if read:
            assert read[1].splitlines()[0].split("\t") == list(shape.keys)
            assert len(read[1].splitlines()) == len(items) + 1


def test_objects_inside_of_json_output_have_the_documented_fields(registry, capsys, git):
    git(registry, "update-ref", "-d", "refs/tags/model/iris/production")
    git(registry, "update-ref", "-d", "refs/tags/model/iris/champion")
    _, version = said(capsys, "show", "iris@1")
    assert [tuple(link) for link in version["artifacts"]] == [record_shapes.ARTIFACT.keys] * 3
    pending = {tuple(one) for one in version["pending"]}
    assert pending == {record_shapes.PENDING.keys, ("alias", *record_shapes.PENDING.keys[1:])}
    assert list(version["code"]) == ["commit", "dirty", "snapshot", "repository", "outside"]
    _, out, _ = ask(capsys, "apply", "--format", "json")
    assert [tuple(one) for one in json.loads(out)] == [promote_shapes.APPLIED.keys] * 2
    digest = version["artifacts"][0]["digest"].removeprefix("sha256:")
    (registry / ".git/gitmodel/store/sha256" / digest[:2] / digest[2:]).unlink()
    _, out, err = ask(capsys, "doctor", "--format", "json")
    assert {tuple(one) for one in json.loads(out)} == {care_shapes.FINDING.keys}
    assert tuple(json.loads(err)["error"]) == start_shapes.ERROR.keys
    _, out, _ = ask(capsys, "metadata", "show", "iris@1", "--format", "json")
    assert json.loads(out) == {"accuracy": 0.97, "draft": True}
    _, out, _ = ask(capsys, "version", "runs", "iris@1", "--format", "json")
    assert json.loads(out) == []


def test_an_empty_list_is_an_empty_array_in_json_and_column_names_in_tsv(code_repo, monkeypatch, capsys):
    monkeypatch.chdir(code_repo)
    assert ask(capsys, "list", "--format", "json") == (0, "[]\n", "")
    assert ask(capsys, "list", "--format", "tsv") == (0, "\t".join(record_shapes.MODEL.keys) + "\n", "")
    assert ask(capsys, "list", "-q") == (0, "", "")


def modules_of(command):
    """Return the names of the modules that a new process has loaded after it ran *command*."""
    code = f"import sys; from gitmodel.cli import run; run({command.split()!r}); print(*sys.modules, sep='\\n')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


@pytest.mark.parametrize(
    "command",
    ["list", "resolve iris@production", "version list iris", "show iris@1", "get iris@1 train -o fetched", "history"],
)
def test_commands_that_read_import_no_slow_modules(registry, command):
    assert sorted(set(HEAVY) & modules_of(command)) == []


@pytest.mark.parametrize("command", ["resolve iris@1", "version list iris --limit 1"])
def test_commands_that_compute_no_hash_and_write_no_file_do_not_import_hashlib_or_tempfile(registry, command):
    assert not {"hashlib", "tempfile", "shutil"} & modules_of(command)


# The most git processes that a command may start, and the most modules of gitmodel that it may load (packages do not
# count, because they contain only docstrings). The last number is the most pieces of code that Python may compile from
# text: at each import, `dataclass` and `NamedTuple` generate methods in this slow way. A `Frozen` class does not.
@pytest.mark.parametrize(
    ("command", "processes", "modules", "texts"),
    [
        ("resolve iris@1", 2, 76, 25),
        ("resolve iris@production", 2, 76, 25),
        ("show iris@1", 3, 108, 82),
        ("list", 3, 112, 82),
    ],
)
def test_a_command_that_reads_starts_few_processes_and_loads_few_modules(registry, command, processes, modules, texts):
    code = f"""
import click, dataclasses, pathlib, rtoml, subprocess, sys, urllib.parse
started, compiled = [], []
events = {{"subprocess.Popen": started, "compile": compiled}}
sys.addaudithook(lambda event, arguments: events[event].append(arguments[1]) if event in events else None)
from gitmodel.cli import run
run({command.split()!r})
modules = [name for name, it in sys.modules.items() if name.startswith("gitmodel") and not hasattr(it, "__path__")]
print(len(started), len(modules), compiled.count("<string>"))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    found = [int(word) for word in done.stdout.splitlines()[-1].split()]
    assert all(map(operator.le, found, (processes, modules, texts))), found


def test_creating_a_version_does_not_import_gitpython(registry):
    command = ["version", "create", "iris", "--data", "x=x.csv"]
    (registry / "x.csv").write_text("a\n1\n", encoding="utf-8")
    code = f"import sys; from gitmodel.cli import run; assert run({command}) == 0; print('git' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split()[-1] == "False"


def test_the_option_version_imports_only_modules_that_every_command_needs():
    found = {name for name in modules_of("--version") if name.startswith("gitmodel.")}
    texts = ("domain", "domain.views", "domain.views.cell_text")
    shared = ("cli", "errors", "version", "cli.invocation", "cli.output", *texts)
    assert found <= {f"gitmodel.{name}" for name in shared}


def complete(line):
    """Return the completions that bash offers for *line*, after it loaded the script of `git model completion`."""
    script = f"""
    {SCRIPTS["bash"]}
    COMP_LINE={shlex.quote(line)} COMP_POINT={len(line)}
    if [[ $COMP_LINE == git\\ * ]]; then _git_model; else _gitmodel_complete; fi
    printf '%s\\n' "${{COMPREPLY[@]}}"
    """
    path = os.path.dirname(sys.executable) + os.pathsep + os.environ["PATH"]
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, env={**os.environ, "PATH": path})
    return done.stdout.split()


def test_bash_completes_commands_options_models_and_versions(registry):
    assert complete("git model prom") == ["promote"]
    assert complete("git -C . model version cr") == ["create"]
    assert complete("git-model versions l") == ["list"]
    assert "--reason" in complete("gitmodel promote --r")
    assert complete("git model show ir") == ["iris"]
    # Bash splits a word at @, so it expects only the part after the @ as the completion.
    assert complete("git model promote iris@pro") == ["production"]
    assert complete("git model promote iris@1.") == ["1.2.3"]
    assert complete("git model show nothing@") == []


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("git model promote iris@1 pro", ["production"]),
        ("git model promote iris 1 ", ["staging", "production", "archived", "none"]),
        ("git model propose iris@1 staging iris@1 a", ["archived"]),
        ("git model propose iris@1 staging ir", ["iris"]),
        ("git model stage gate add st", ["staging"]),
        ("git model stage update production --before st", ["staging"]),
        ("git model stage show pr", ["production"]),
        ("git model history iris sta", ["staging"]),
        ("git model version update iris --stage no", ["none"]),
    ],
)
def test_bash_completes_stages(registry, line, found):
    assert complete(line) == found


@pytest.mark.parametrize("shell", SCRIPTS)
def test_the_script_of_git_model_completion_has_no_syntax_error_in_its_shell(shell, capsys):
    import shutil

    out = succeed(capsys, "completion", shell)
    assert "git-model" in out
    if shutil.which(shell):
        done = subprocess.run([shell, "-n"], input=out, capture_output=True, text=True)
        assert (done.returncode, done.stderr) == (0, "")


def test_the_json_reference_describes_every_shape_that_a_command_prints():
    page = (ROOT / "docs/reference/json.md").read_text(encoding="utf-8")
    code = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "gitmodel").rglob("*.py"))
    used = set(re.findall(r"shapes\.([A-Z_]+)\b", code))
    modules = (care_shapes, promote_shapes, record_shapes, share_shapes, start_shapes, trace_shapes)
    known = {name: shape for module in modules for name, shape in vars(module).items()}
    assert all(known[name] in command_reference.SHAPES for name in used)
    for shape in command_reference.SHAPES:
        assert f"## {shape.name}\n" in page
