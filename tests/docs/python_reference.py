"""Writes `docs/reference/python.md` from the docstrings of gitmodel: `python tests/docs/python_reference.py`."""

import enum
import inspect
import re
import textwrap
from pathlib import Path

import gitmodel
from gitmodel import Artifact, Client, Model, ModelStages, ModelVersion, errors
from gitmodel.client.script_runs.run_version import RunVersion
from gitmodel.client.script_runs.script_run import ScriptRun

WIDTH = 100
PAGE = Path(__file__).resolve().parents[2] / "docs/reference/python.md"
HEAD = """\
# Python

The Python API of the registry. This page is generated from the docstrings, which
`help(gitmodel.Client)` also shows.

```python
from gitmodel import Client, Model, ModelStages

with Client() as client:
    client.register_model(Model(name="iris", license="Apache-2.0", tags=["sklearn"]))
    version = client.get_model("iris").create_version(metadata={"accuracy": 0.97})
    version.set_stage(ModelStages.STAGING, reason="needs review")
    print(client.get_version("iris@staging").metadata["accuracy"])
```

A `Client` reads data when it is needed. The handles that it returns (`Model`, `ModelVersion`,
`Artifact`) contain no data: each access reads the branch again if it has moved. Those from a list
show what the list showed, until you call `refresh()` or change something through them. Several
threads can use the same client. `close()`, or the end of the `with` block, stops the git process
that reads for it.
"""


CLASSES = (Client, Model, ModelVersion, Artifact, ScriptRun, RunVersion)


def render() -> str:
    """Return the page."""
    parts = [HEAD, *map(_class, CLASSES), _stages(), _errors()]
    return "\n".join(parts)


def public_names(found: type) -> list[str]:
    """Return the public names of a class, in the order of its source."""
    return [name for name in vars(found) if not name.startswith("_")]


def _class(found: type) -> str:
    lines = [f"## {found.__name__}", "", _text(found.__doc__), ""]
    if found in (Client, Model):
        lines += ["```python", _signature(found.__name__, found.__init__), "```", ""]
    values, calls = [], []
    for name in public_names(found):
        member = inspect.getattr_static(found, name)
        if callable(member):
            calls.append((name, member))
        else:
            values.append((name, member))
    lines += ["| attribute | |", "|---|---|"]
    lines += [f"| `{name}` | {_line(member.__doc__)} |" for name, member in values] + [""]
    for name, member in calls:
        function = inspect.unwrap(member)
        lines += [f"### {found.__name__}.{name}", "", "```python", _signature(name, function), "```", ""]
        lines += [_text(function.__doc__), ""]
    return "\n".join(lines)


def _stages() -> str:
    rows = [f"| `ModelStages.{stage.name}` | `{stage.value!r}` |" for stage in ModelStages]
    assert issubclass(ModelStages, enum.Enum)
    return "\n".join(["## ModelStages", "", _text(ModelStages.__doc__), "", "| | |", "|---|---|", *rows, ""])


def _errors() -> str:
    known = [vars(errors)[name] for name in gitmodel.__all__ if name in vars(errors)]
    found = [error for error in known if issubclass(error, errors.GitModelError)]
    found.sort(key=lambda error: error.exit_code)
    rows = [f"| `{error.__name__}` | {error.exit_code} | {_line(error.__doc__)} |" for error in found]
    head = ["## Errors", "", "All are subclasses of `GitModelError`, with `message`, `hint` and `exit_code`.", ""]
    table = [*head, "| | exit code | |", "|---|---|---|", *rows, ""]
    warned = [
        _text(f"`{found.__name__}` is a warning. {found.__doc__}") for found in known if issubclass(found, Warning)
    ]
    return "\n".join([*table, *warned, ""])


def _signature(name: str, function: object) -> str:
    signature = inspect.signature(function)  # type: ignore[arg-type]
    words, starred = [], False
    for key, parameter in signature.parameters.items():
        if key == "self":
            continue
        if parameter.kind is inspect.Parameter.KEYWORD_ONLY and not starred:
            starred = True
            words.append("*")
        words.append(_bare(str(parameter)))
    returned = _bare(str(signature.return_annotation))
    result = "" if name[0].isupper() else f" -> {returned}"
    short = f"{name}({', '.join(words)}){result}"
    return short if len(short) <= WIDTH else "\n".join([f"{name}(", *(f"    {word}," for word in words), f"){result}"])


def _bare(annotated: str) -> str:
    """Return an annotation without quotes, which it has if it is a string."""
    return re.sub(r"(: |^)'([^']*)'", r"\1\2", annotated).replace("'", '"')


def _text(doc: str | None) -> str:
    """Return a docstring as Markdown, without its doctests."""
    paragraphs = (textwrap.fill(part, WIDTH, break_on_hyphens=False) for part in _paragraphs(doc))
    return "\n\n".join(paragraphs)


def _paragraphs(doc: str | None) -> list[str]:
    assert doc
    parts = [part for part in inspect.cleandoc(doc).split("\n\n") if not part.lstrip().startswith(">>>")]
    return [re.sub(r"(?<![\w`*])\*(\w+)\*(?!\w)", r"`\1`", " ".join(part.split())) for part in parts]


def _line(doc: str | None) -> str:
    """Return the first paragraph of a docstring, for a cell of a table."""
    return _paragraphs(doc)[0].replace("|", "\\|")


if __name__ == "__main__":
    PAGE.write_text(render(), encoding="utf-8")
