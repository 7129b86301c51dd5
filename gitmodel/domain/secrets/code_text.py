"""Replacing secrets and credentials in the source of a notebook cell. Pure."""

from __future__ import annotations

import re

from gitmodel.domain.secrets.credentials import credential_in, redacted, redacted_in_expressions
from gitmodel.domain.secrets.secret_values import HIDDEN, SecretValues

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
    return redacted_in_expressions(_TEXT_LINE.sub(lambda line: redacted(line[0]), text))


def _without_value(found: re.Match[str]) -> str:
    # True if a field with this name makes any text a credential. Texts that look like credentials are replaced later.
    is_secret = all(credential_in({found["name"]: text}) for text in (found["value"], "any text"))
    is_secret |= found["before"].startswith(f"{found['name']}(")
    return f"{found['before']}{HIDDEN}{found['after']}" if is_secret else found[0]
