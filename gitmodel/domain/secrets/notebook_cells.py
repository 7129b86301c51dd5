"""The executed cells of a notebook as a run stores them: a Jupyter notebook (nbformat 4) without secrets. Pure.

The format is https://nbformat.readthedocs.io/en/latest/format_description.html.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import replace
from itertools import accumulate

from gitmodel.domain.secrets.credentials import credential_in, redacted
from gitmodel.domain.secrets.credentials_in_files import credentials_in_file
from gitmodel.domain.secrets.secret_values import HIDDEN, SecretValues
from gitmodel.errors import Invalid
from gitmodel.frozen import Frozen

# The limit in characters of the cells that a run stores, because pasted data can be very long.
LONGEST_CELLS = 1 << 20
_TOO_LONG = "# gitmodel left this cell out: the cells of the run are too long"

# IPython's magics whose argument is Python.
_OF_PYTHON = r"%{1,2}(?:time|timeit|prun|capture|memit)\b"
# A line that is not Python but text for a shell or a magic: `!curl ...`, `%env KEY=...`, `out = !cat ...`.
_TEXT_LINE = re.compile(rf"(?m)^[ \t]*(?:[\w, \t]{{1,80}}=[ \t]*)?(?!{_OF_PYTHON})[!%].*$")
_TEXT_CELL = re.compile(rf"\s*(?!{_OF_PYTHON})%%")
# A string literal that a name describes: NAME = "...", NAME: str = "...", {"NAME": "..."}, x["NAME"] = "...",
# f("NAME", "..."), Secret("...").
_NAMED_LITERAL = re.compile(
    r"(?<![\w.-])(?P<before>(?P<name>[A-Za-z_][\w.-]{0,80})"
    r"(?:[\"']?\]?(?:[ \t]*:[ \t]*[\w.\[\]| ]{1,40}?)?\s{0,8}[:=]|[\"'][ \t]*,|(?<=Secret)\()"
    r"\s{0,8}[A-Za-z]{0,2}(?P<quote>\"\"\"|'''|[\"']))"
    r"(?P<value>(?:\\.|(?!(?P=quote))[^\\]){1,4000})(?P<after>(?P=quote))"
)


class Cell(Frozen):
    """A cell as it was executed: its *number*, as in `In [3]`, and its *source*, with magics and shell lines."""

    number: int
    source: str


def cells_without_secrets(cells: Iterable[Cell], secrets: SecretValues) -> list[Cell]:
    """Return *cells* with *secrets*, and other texts that look like credentials, replaced.

    A comment replaces a cell that still has a text that looks like a credential, and all cells after the first
    `LONGEST_CELLS` characters.
    """
    cells = list(cells)
    lengths = accumulate(len(cell.source) for cell in cells)
    return [
        replace(cell, source=_hidden(cell.source, secrets) if length <= LONGEST_CELLS else _TOO_LONG)
        for cell, length in zip(cells, lengths, strict=True)
    ]


def hide_in_code(source: str, secrets: SecretValues) -> str:
    """Return *source* without *secrets*, texts that look like credentials, and literals with a name like `password`.

    Expressions other than literals stay after such a name, because they contain no secret.

    >>> hide_in_code('connect(user="ada", password="hunter2", token=os.environ["TOKEN"])', SecretValues([]))
    'connect(user="ada", password="(secret)", token=os.environ["TOKEN"])'
    >>> hide_in_code("%env DB_PASSWORD=hunter2", SecretValues([]))
    '%env DB_(a password)'
    """
    text = _NAMED_LITERAL.sub(_without_value, secrets.hide(source))
    if _TEXT_CELL.match(text):
        return redacted(text)
    return redacted(_TEXT_LINE.sub(lambda line: redacted(line[0]), text), is_python=True)


def _without_value(match: re.Match[str]) -> str:
    # True if a field with this name makes any text a credential. Texts that look like credentials are replaced later.
    is_secret = all(credential_in({match["name"]: text}) for text in (match["value"], "any text"))
    is_secret |= match["before"].startswith(f"{match['name']}(")
    return f"{match['before']}{HIDDEN}{match['after']}" if is_secret else match[0]


def to_notebook(cells: Iterable[Cell]) -> bytes:
    """Return *cells* as the bytes of a notebook, without outputs.

    >>> from_notebook(to_notebook([Cell(3, "%time fit()")]))
    (Cell(number=3, source='%time fit()'),)
    """
    written = [
        {"cell_type": "code", "execution_count": c.number, "metadata": {}, "outputs": [], "source": c.source}
        for c in cells
    ]
    whole = {"cells": written, "metadata": {}, "nbformat": 4, "nbformat_minor": 4}
    return json.dumps(whole, ensure_ascii=True, indent=1).encode()


def from_notebook(content: bytes) -> tuple[Cell, ...]:
    """Return the cells of a notebook that `to_notebook` wrote. Raises Invalid for other bytes."""
    try:
        found = [(cell["execution_count"], cell["source"]) for cell in json.loads(content)["cells"]]
        if not all(type(number) is int and isinstance(source, str) for number, source in found):
            raise ValueError
    except (KeyError, TypeError, ValueError, RecursionError):
        raise Invalid("the stored cells are not a notebook", hint="run `git model verify`") from None
    return tuple(Cell(number, source) for number, source in found)


def _hidden(source: str, secrets: SecretValues) -> str:
    text = hide_in_code(source, secrets)
    left = next(credentials_in_file(text.encode("utf-8", "surrogateescape")), None)
    return text if left is None else f"# gitmodel left this cell out: it holds {left.what}"
