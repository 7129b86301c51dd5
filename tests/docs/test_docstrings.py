"""Docstrings start with a verb or a noun, so that readers understand each docstring alone."""

import ast
import re
from collections.abc import Iterator

import pytest
from pages import ROOT

OPENING = re.compile(
    r"\s*(what(ever)?|whether|who(m|se|ever)?|when|where|which|why|how|that|those|these|its?|while)\b", re.I
)


def docstrings(source: str) -> Iterator[tuple[int, str]]:
    """Yield the line and the text of each docstring in *source*, including docstrings of attributes."""
    for node in ast.walk(ast.parse(source)):
        body = getattr(node, "body", None)
        for statement in body if isinstance(body, list) else ():
            match statement:
                case ast.Expr(value=ast.Constant(value=str(text))):
                    yield statement.lineno, text


def faults(source: str) -> list[int]:
    """Return the lines of the docstrings in *source* that start with a question word or a pronoun."""
    return sorted(line for line, text in docstrings(source) if OPENING.match(text))


@pytest.mark.parametrize("folder", ["gitmodel", "tests", "benchmarks", "examples"])
def test_docstrings_start_with_a_verb_or_a_noun(folder: str) -> None:
    files = sorted((ROOT / folder).rglob("*.py"))
    found = [f"{file.relative_to(ROOT)}:{line}" for file in files for line in faults(file.read_text(encoding="utf-8"))]
    assert files
    assert not found, "start these docstrings with a verb ('Return ...') or a noun:\n" + "\n".join(found)


def test_the_check_finds_docstrings_of_modules_classes_functions_and_attributes() -> None:
    source = '''"""What it is."""
class Found:
    """
    Whether it holds."""
    size: int
    """How large it is."""
    async def read(self):
        r"""That of the file."""
        return "What is returned is no docstring."
    def close(self):
        """Close what is open."""
'''
    assert faults(source) == [1, 3, 6, 8]
