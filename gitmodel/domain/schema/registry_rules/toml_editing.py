"""Changing values in the text of a TOML document without changing its comments, order and layout. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import rtoml

# The keys and positions that lead to a value, such as ("stages", 1, "gates", 0, "name").
Path = tuple[str | int, ...]

_TOKEN = re.compile(
    r'"""(?:[^\\]|\\.)*?"""(?:"{0,2})'
    r"|'''.*?'''(?:'{0,2})"
    r'|"(?:[^"\\\n]|\\.)*"'
    r"|'[^'\n]*'"
    r"|#[^\n]*|\n|[\[\]{}=]"
    r"""|[^"'#\n\[\]{}=]+""",
    re.DOTALL,
)


@dataclass
class _Statement:
    """A key with its value. *lead* are the comment lines above it, *tail* is the rest of its line after the value."""

    path: Path
    lead: str
    key: str
    value: str
    tail: str

    def __str__(self) -> str:
        return f"{self.lead}{self.key}{self.value}{self.tail}"


@dataclass
class _Section:
    """A table: its *header* line ("" for the first keys), the lines before it, its keys, and the lines after these."""

    path: Path
    lead: str = ""
    header: str = ""
    statements: list[_Statement] = field(default_factory=list)
    rest: str = ""

    def __str__(self) -> str:
        return f"{self.lead}{self.header}{''.join(map(str, self.statements))}{self.rest}"


def edited(text: str, old: str, new: str) -> str:
    """Return the TOML document *text* with the changes from the document *old* to the document *new*.

    Everything else keeps its form and comments in *text*. Added keys and tables have the form that they have in *new*.
    Comments directly above a removed key or table are removed, too. Comments inside a value that changes are moved to
    the lines above the value. Tables of an array are matched by their `name`.

    >>> print(edited("# ours\\na = 0x1 # one\\nb = 2\\n", "a = 1\\nb = 2\\n", "a = 1\\nc = 3\\n"), end="")
    # ours
    a = 0x1 # one
    c = 3
    """
    document = _Document(text)
    _edit_table(document, _Document(new), (), rtoml.loads(old), rtoml.loads(new))
    return str(document)


def with_comments(base: str, ours: str, theirs: str) -> str:
    """Return the document *theirs* with each comment of *ours* that differs from *base*, unless *theirs* changed it."""
    document = _Document(theirs)
    before, mine = (_Document(text).named_parts() for text in (base, ours))
    for path, part in document.named_parts().items():
        old, new = before.get(path), mine.get(path)
        if old is None or new is None or type(new) is not type(part):
            continue
        for line in ("lead", "tail", "rest"):
            if getattr(part, line, "") == getattr(old, line, ""):
                setattr(part, line, getattr(new, line, ""))
    return str(document)


def _edit_table(
    document: _Document, source: _Document, path: Path, was: Mapping[str, Any], now: Mapping[str, Any]
) -> None:
    for key in was:
        if key not in now:
            document.remove((*path, key))
    for key, value in now.items():
        place, old = (*path, key), was.get(key)
        if key in was and repr(old) == repr(value):
            continue
        if isinstance(value, dict) and isinstance(old, dict) and document.has_header(place):
            _edit_table(document, source, place, old, value)
        elif _are_tables(value) and _are_tables(old) and document.has_header((*place, 0)):
            _edit_items(document, source, place, old or (), value)
        elif isinstance(value, dict) or _are_tables(value):
            document.remove(place, keep_comments=True)
            document.add_sections(place, source.sections_of(place), source)
        else:
            document.set(source.statement(place), source)


def _edit_items(
    document: _Document,
    source: _Document,
    path: Path,
    was: Sequence[Mapping[str, Any]],
    now: Sequence[Mapping[str, Any]],
) -> None:
    """Edit the array at *path* in *document*, whose tables are *was*, to have the tables *now*, as in *source*."""
    names = [item.get("name") for item in now]  # by which the tables are matched
    for number in reversed(range(len(was))):
        if was[number].get("name") not in names:
            document.remove((*path, number))
    left = [item for item in was if item.get("name") in names]
    for number, item in enumerate(now):
        at = next((at for at, old in enumerate(left) if old.get("name") == item.get("name")), None)
        if at is None:
            document.insert_item(path, number, source.sections_of((*path, number)), source)
            left.insert(number, item)
            continue
        if at != number:
            document.move_item(path, at, number)
            left.insert(number, left.pop(at))
        # *document* now has the items before *number* in the order of *source*
        _edit_table(document, source, (*path, number), left[number], item)
        left[number] = item


class _Document:
    """A TOML document as text that can be edited."""

    def __init__(self, text: str) -> None:
        self.newline = "\r\n" if "\r\n" in text else "\n"
        self.sections = _parse(text)

    def __str__(self) -> str:
        return "".join(map(str, self.sections))

    def parts(self) -> Iterator[tuple[Path, _Section | _Statement]]:
        """Yield each table and key with its path."""
        for section in self.sections:
            yield section.path, section
            yield from ((statement.path, statement) for statement in section.statements)

    def named_parts(self) -> dict[Path, _Section | _Statement]:
        """Return each table and key by its path, in which a table of an array has its name, not its position."""
        parts = list(self.parts())
        keys = ((path, part) for path, part in parts if path[-1:] == ("name",) and isinstance(part, _Statement))
        names = {path[:-1]: part.value.strip("\"'") for path, part in keys}
        return {tuple(names.get(path[: n + 1], step) for n, step in enumerate(path)): part for path, part in parts}

    def has_header(self, path: Path) -> bool:
        return any(section.path == path for section in self.sections)

    def sections_of(self, path: Path) -> list[_Section]:
        """Return the sections of the table or array of tables at *path*, including inner tables."""
        return [section for section in self.sections if section.path[: len(path)] == path]

    def statement(self, path: Path) -> _Statement:
        """Return the key, with its value, at *path*."""
        return next(part for at, part in self.parts() if at == path and isinstance(part, _Statement))

    def remove(self, path: Path, *, keep_comments: bool = False) -> None:
        """Remove the key or table at *path* and everything in it.

        The comments directly above keys and those in their values are removed, too; if *keep_comments* is True, they
        stay as separate lines.
        """
        self.sections = [section for section in self.sections if section.path[: len(path)] != path]
        for section in self.sections:
            for statement in [s for s in section.statements if s.path[: len(path)] == path]:
                at = section.statements.index(statement)
                section.statements.remove(statement)
                if keep_comments:
                    comments = _comments_in(statement.value + statement.tail, self.newline)
                    _give(section, at, f"{statement.lead}{comments}")
                else:
                    _give(section, at, _without_last(statement.lead, _is_comment))
        if isinstance(path[-1], int):
            self._renumber(path[:-1])

    def set(self, wanted: _Statement, source: _Document) -> None:
        """Set the key of *wanted* to its value. If the document lacks the key, add it where *source* has it."""
        value = self._text(wanted.value)
        for section in self.sections:
            for statement in section.statements:
                if statement.path == wanted.path:
                    statement.lead += _comments_in(statement.value, self.newline)
                    statement.value = value
                    return
        table = wanted.path[:-1]
        home = next((section for section in self.sections if section.path == table), None)
        if home is None:  # The table has no header: write it again with all its keys.
            self.remove(table, keep_comments=True)
            self.add_sections(table, source.sections_of(table), source)
            return
        order = [statement.path for statement in source.sections_of(table)[0].statements]
        before = order[: order.index(wanted.path)]
        at = max((n + 1 for n, statement in enumerate(home.statements) if statement.path in before), default=0)
        self._end_line(home, at)
        home.statements.insert(at, _Statement(wanted.path, "", wanted.key, value, self.newline))

    def add_sections(self, path: Path, added: Sequence[_Section], source: _Document) -> None:
        """Add the tables *added*, at *path*, after the tables that precede *path* in *source*."""
        order = list(dict.fromkeys(section.path[: len(path)] for section in source.sections_of(path[:-1])))
        before = order[: order.index(path)]  # includes the table around *added*
        at = max((n + 1 for n, found in enumerate(self.sections) if found.path[: len(path)] in before), default=1)
        self._insert(at, added)

    def insert_item(self, path: Path, number: int, added: Sequence[_Section], source: _Document) -> None:
        """Insert the tables *added* into the array at *path*, before its item *number*."""
        at = next((n for n, found in enumerate(self.sections) if found.path == (*path, number)), None)
        if at is not None:
            self._insert(at, added)
        elif number:
            before = (*path, number - 1)
            self._insert(
                max(n + 1 for n, found in enumerate(self.sections) if found.path[: len(before)] == before), added
            )
        else:
            self.add_sections(path, added, source)
        self._renumber(path)

    def move_item(self, path: Path, old: int, new: int) -> None:
        """Move the item *old* of the array at *path*, with its comments, before the earlier item *new*."""
        moved = self.sections_of((*path, old))
        self.sections = [section for section in self.sections if section not in moved]
        at = next(n for n, found in enumerate(self.sections) if found.path == (*path, new))
        self._end_line(moved[-1], len(moved[-1].statements))
        self.sections[at:at] = moved
        self._renumber(path)

    def _insert(self, at: int, added: Sequence[_Section]) -> None:
        last = self.sections[at - 1]
        self._end_line(last, len(last.statements))
        new = []
        for section in added:
            statements = [_Statement(s.path, "", s.key, self._text(s.value), self.newline) for s in section.statements]
            header = self._text(section.header)
            new.append(_Section(section.path, self.newline, header, statements))
        before = "".join(map(str, self.sections[:at]))
        if before.endswith(("\n\n", "\r\n\r\n")):
            new[0].lead = ""
        self.sections[at:at] = new

    def _end_line(self, section: _Section, at: int) -> None:
        """End the line before the key at position *at* of *section*, if the document ends there without a line feed."""
        if section.rest and not section.rest.endswith("\n") and at == len(section.statements):
            section.rest += self.newline
        elif at and not section.statements[at - 1].tail.endswith("\n"):
            section.statements[at - 1].tail += self.newline
        elif not at and section.header and not section.header.endswith("\n"):
            section.header += self.newline

    def _text(self, text: str) -> str:
        return text if '"""' in text else text.replace("\n", self.newline)

    def _renumber(self, array: Path) -> None:
        """Update the positions in the paths of the items of *array*, after a change of the order."""
        number, depth = -1, len(array)
        for section in self.sections_of(array):
            number += len(section.path) == depth + 1
            section.path = (*array, number, *section.path[depth + 1 :])
            for statement in section.statements:
                statement.path = (*array, number, *statement.path[depth + 1 :])


def _parse(text: str) -> list[_Section]:
    """Return the sections of the document *text*, which is valid TOML."""
    sections = [_Section(())]
    counts: dict[Path, int] = {}
    lead, tokens = "", iter([*_TOKEN.findall(text), ""])
    line = ""
    for token in tokens:
        if token in ("\n", ""):
            lead, line = f"{lead}{line}{token}", ""
        elif token.startswith("#") or not (line + token).strip():
            line += token
        elif token == "[":
            header = line + token + "".join(_until_line_feed(tokens))
            # the comments directly above the header, and the empty lines above these, belong to the new table
            above = _without_last(_without_last(lead, _is_comment), lambda line: not line.strip())
            sections[-1].rest = above
            sections.append(_Section(_header_path(header, counts), lead[len(above) :], header))
            lead, line = "", ""
        else:
            sections[-1].statements.append(_statement(sections[-1].path, lead, line + token, tokens))
            lead, line = "", ""
    sections[-1].rest = lead
    return sections


def _until_line_feed(tokens: Iterator[str]) -> Iterator[str]:
    for token in tokens:
        yield token
        if token in ("\n", ""):
            return


def _statement(table: Path, lead: str, key: str, tokens: Iterator[str]) -> _Statement:
    for token in tokens:
        key += token
        if token == "=":
            break
    value, tail, depth = "", "", 0
    for token in tokens:
        depth += (token in ("[", "{")) - (token in ("]", "}"))
        if token == "" or (token == "\n" and not depth):
            tail += token
            break
        if tail or (token.startswith("#") and not depth):
            tail += token
        else:
            value += token
    bare = value.rstrip()
    space = bare and value[: len(value) - len(value.lstrip())]
    key += space
    return _Statement((*table, *_key_path(key)), lead, key, bare.lstrip(), value[len(bare) :] + tail)


def _key_path(key: str) -> Iterator[str]:
    found: Any = rtoml.loads(f"{key.strip().removesuffix('=')} = 0")
    while isinstance(found, dict):
        ((name, found),) = found.items()
        yield name


def _header_path(header: str, counts: dict[Path, int]) -> Path:
    """Return the path of the table with this *header*. *counts* has the items so far of each array, and is updated."""
    many = header.lstrip().startswith("[[")
    found: Any = rtoml.loads(header)
    path: Path = ()
    while found and isinstance(found, (dict, list)):
        if isinstance(found, list):
            found = found[0]
            continue
        ((name, found),) = found.items()
        path = (*path, name)
        if many and found == [{}]:
            counts[path] = counts.get(path, 0) + 1
        if path in counts:
            path = (*path, counts[path] - 1)
    return path


def _without_last(text: str, unwanted: Callable[[str], bool]) -> str:
    """Return *text* without the lines at its end for which *unwanted* returns True."""
    lines = text.split("\n")[:-1]
    while lines and unwanted(lines[-1]):
        lines.pop()
    return "".join(f"{line}\n" for line in lines)


def _is_comment(line: str) -> bool:
    return line.lstrip(" \t").startswith("#")


def _give(section: _Section, at: int, lines: str) -> None:
    """Put *lines* above the key at position *at* of *section*, or after the last key if there is no such key."""
    if at < len(section.statements):
        section.statements[at].lead = lines + section.statements[at].lead
    else:
        section.rest = lines + section.rest


def _comments_in(text: str, newline: str) -> str:
    """Return the comments in *text* as separate lines."""
    found = (token.rstrip() for token in _TOKEN.findall(text) if token.startswith("#"))
    return "".join(f"{comment}{newline}" for comment in found)


def _are_tables(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(item, dict) for item in value)
