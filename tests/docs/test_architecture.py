"""The page on the architecture agrees with the code: its layers, its modules, and which layer runs git."""

import ast
import re
from collections.abc import Iterator

from pages import ROOT, read
from pictures import layers

PAGE = read("docs/explanation/architecture.md")


def test_the_page_lists_the_layers_that_the_build_enforces() -> None:
    table = PAGE.partition("| layer |")[2].partition("\n\n")[0]
    rows = [re.findall(r"`(\w+)`", row.split("|")[1]) for row in table.splitlines()[2:]]
    assert list(map(sorted, rows)) == [sorted(layer.split(" | ")) for layer in layers()]


def test_every_module_that_the_page_names_exists() -> None:
    named = set(re.findall(r"`([a-z_]+/[a-z_/]*(?:\.py)?)`", PAGE))
    assert len(named) > 40
    assert [name for name in sorted(named) if not (ROOT / "gitmodel" / name).exists()] == []


def test_only_the_git_layer_runs_git() -> None:
    running = [
        f"{path}: {line}"
        for path in sorted(ROOT.glob("gitmodel/**/*.py"))
        if path.relative_to(ROOT).parts[1] != "git"
        for line in _runs_of_git(path.read_text(encoding="utf-8"))
    ]
    assert running == []
    assert list(_runs_of_git("repository.git.lines('remote')"))
    assert list(_runs_of_git("subprocess.run(['git', 'status'])"))
    assert list(_runs_of_git("from gitmodel.git.running.process import run"))


_RUNNING = ("run", "lines", "oid", "oids", "run_remote", "path", "command")


def _runs_of_git(text: str) -> Iterator[str]:
    """Yield the expressions in the source *text* that run git."""
    for node in ast.walk(ast.parse(text)):
        match node:
            case ast.Call(func=ast.Attribute(value=git, attr=attr)) if attr in _RUNNING:
                runs = ast.unparse(git).rpartition(".")[2].lstrip("_") in ("git", "process", "git_process")
            case ast.List(elts=[ast.Constant(value="git"), *_]):
                runs = True
            case ast.Tuple(elts=[ast.Constant(value="git"), ast.Constant() | ast.Starred(), *_]):
                runs = True
            case ast.ImportFrom(module="gitmodel.git.running.process", names=names):
                runs = any(name.name == "run" for name in names)
            case _:
                runs = False
        if runs:
            yield ast.unparse(node)
