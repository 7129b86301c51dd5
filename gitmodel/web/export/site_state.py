"""The state that an export saves for the next export: its files, the dependencies of pages, and facts of versions."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Collection, Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

from gitmodel.web.registry_data.version_facts import VersionFacts
from gitmodel.web.rendering.dependencies import Question

# The files of the state. The file new-files.json exists only while an export renames files into place, or if an export
# was killed meanwhile.
_STATE, _FACTS, _NEW = "state.json", "facts.json", "new-files.json"


class Stat(NamedTuple):
    """The size, time and inode number of a file. Each replacement or edit of the file changes one of the three."""

    size: int
    modified: int
    inode: int

    @classmethod
    def of(cls, found: os.stat_result) -> Stat:
        return cls(found.st_size, found.st_mtime_ns, found.st_ino)


class Written(NamedTuple):
    """A file that an export wrote: the digest of its bytes, and its numbers as in `Stat`."""

    digest: str
    size: int
    modified: int
    inode: int


class SiteState:
    """The state that an export leaves to the next one.

    *key* is a digest of what decides the content of pages besides the records: the options, the private paths, the
    templates and the version of gitmodel. If the next export has another key, it renders all pages again. *files* has
    each file that an export wrote, by path. The value is None if an export was killed while it added the file.
    *questions* maps each question that a page asked the registry (see `rendering/dependencies.py`) to the fingerprint
    of the answer. *pages* maps the file of each page to the page's questions, as positions in *questions*.
    """

    def __init__(self, key: str = "") -> None:
        self.key = key
        self.files: dict[str, Written | None] = {}
        self.pages: dict[str, list[int]] = {}
        self.questions: dict[Question, str] = {}
        self._places: dict[Question, int] = {}

    def add_page(self, file: str, questions: Collection[Question]) -> None:
        """Add the page whose file is *file*, and the *questions* that it asked."""
        self.pages[file] = [self._places.setdefault(question, len(self._places)) for question in questions]

    def begin_after(self, old: SiteState) -> None:
        """Begin with the questions of *old* in their order, so that values of `old.pages` can be copied to `pages`."""
        self._places = {question: place for place, question in enumerate(old.questions)}

    def complete(self, fingerprint: Callable[[Question], str]) -> None:
        """Set `questions` to the questions of all pages, each with the result of *fingerprint* for it."""
        used = set().union(*self.pages.values())
        is_all = len(used) == len(self._places)
        places = self._places if is_all else {each: place for each, place in self._places.items() if place in used}
        self.questions = {question: fingerprint(question) for question in places}
        if not is_all:
            new = {old: place for place, old in enumerate(places.values())}
            self.pages = {file: [new[place] for place in found] for file, found in self.pages.items()}


def digest_of(data: bytes) -> str:
    """Return the digest of *data*, the content of a file. It is shorter than the digest of an artifact."""
    return hashlib.blake2b(data, digest_size=12).hexdigest()


def read_state(folder: Path) -> SiteState:
    """Return the state that `write_state` wrote to *folder*; an empty state if its file is missing or damaged."""
    state = SiteState()
    try:
        found = json.loads((folder / _STATE).read_bytes())
        state.files = {path: each and Written(*each) for path, each in found["files"].items()}
        state.pages, state.key = found["pages"], found["key"]
        # JSON has lists instead of the tuples in questions
        state.questions = {
            tuple([tuple(each) if type(each) is list else each for each in question]): mark
            for mark, *question in found["questions"]
        }
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        state = SiteState()
    state.files.update(dict.fromkeys(_read_new(folder)))
    is_safe = not any(path.startswith("/") or ".." in path.split("/") for path in state.files)
    return state if is_safe else SiteState()


def _read_new(folder: Path) -> Iterable[str]:
    try:
        return [str(path) for path in json.loads((folder / _NEW).read_bytes())]
    except (OSError, ValueError, TypeError):
        return ()


def write_new_files(folder: Path, staging: Path, paths: Collection[str]) -> None:
    """Write *paths*, the files that an export is about to add to the site, to a file in *folder*.

    If that export is killed, the next export knows by this that it may replace these files.
    """
    if paths:
        _write(folder, staging, _NEW, [*_read_new(folder), *paths])


def write_state(folder: Path, staging: Path, state: SiteState) -> None:
    """Write *state* to *folder* atomically, by a file in *staging*, and delete the list of `write_new_files`."""
    _write(folder, staging, _STATE, {
        "key": state.key,
        "files": state.files,
        "pages": state.pages,
        "questions": [(mark, *question) for question, mark in state.questions.items()],
    })  # fmt: skip
    (folder / _NEW).unlink(missing_ok=True)


def read_facts(folder: Path) -> dict[str, dict[str, dict[int, VersionFacts]]]:
    """Return the facts in *folder* by prefix of the registry's pages, model and number; {} if they are damaged."""
    try:
        found = json.loads((folder / _FACTS).read_bytes())
        return {
            prefix: {
                model: {int(number): VersionFacts(*facts) for number, facts in versions.items()}
                for model, versions in models.items()
            }
            for prefix, models in found.items()
        }
    except (OSError, ValueError, TypeError, AttributeError):
        return {}


def write_facts(folder: Path, staging: Path, facts: Mapping[str, Mapping[str, Mapping[int, VersionFacts]]]) -> None:
    """Write *facts* to *folder*, from which `read_facts` reads them."""
    _write(folder, staging, _FACTS, facts)


def _write(folder: Path, staging: Path, name: str, value: object) -> None:
    (staging / name).write_text(json.dumps(value, separators=(",", ":")), encoding="utf-8")
    os.replace(staging / name, folder / name)
