"""The authors and last changes of models and versions, from the index and the commits that it does not know yet."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from gitmodel.branch.history.changed_paths import changed_paths
from gitmodel.branch.history.first_parents import BranchCommit, FileChange, parse_person, shallow_edge, walk_branch
from gitmodel.branch.history.stage_history import changes_between
from gitmodel.branch.repository import Repository
from gitmodel.domain.schema import codec, paths
from gitmodel.domain.schema.object_ids import Oid
from gitmodel.domain.schema.paths import RecordPath
from gitmodel.domain.schema.recorded_renumberings import Numbered
from gitmodel.domain.schema.records import ModelRecord, StageRecord
from gitmodel.domain.views.authorship import Authorship, AuthorshipRow
from gitmodel.errors import Invalid
from gitmodel.git.objects.trees import CommitFiles

if TYPE_CHECKING:
    from gitmodel.index.authorship_rows import AuthorshipRows

# Up to this number of new commits, reading them one by one takes less time than starting git to list them.
_FEW = 32
_READ_KINDS = ("model", "stage", "alias")


def read_authorships(repository: Repository, tip: Oid | None, folder: Path | None) -> dict[str, Authorship]:
    """Return the authors and last changes of the models and versions at *tip*.

    The keys are references, such as "iris" or "iris@3". Updates the index in *folder*; if *folder* is None, uses no
    index. Models have their current names. Deleted versions are included. Versions that a shallow clone knows only from
    its oldest commit are left out.
    """
    rows = _rows(repository, tip, folder) if tip else {}
    return {f"{model}@{number}" if number else model: row.value() for (model, number), row in rows.items()}


def _rows(repository: Repository, tip: Oid, folder: Path | None) -> Mapping[Numbered, AuthorshipRow]:
    index = _open_index(folder)
    known = index.read() if index is not None else {}
    start = index.tip if index is not None else None
    if start == tip:
        return known
    steps: Iterable[BranchCommit] | None = _steps_after(repository, start, tip) if start else None
    rows = _read_all(repository, tip) if steps is None else _read(repository, steps, known)
    if index is not None:
        index.write(tip, rows)
    return rows


def _read_all(repository: Repository, tip: Oid) -> dict[Numbered, AuthorshipRow]:
    return _read(repository, _all_steps(repository, tip), {})


def _read(
    repository: Repository, steps: Iterable[BranchCommit], known: Mapping[Numbered, AuthorshipRow]
) -> dict[Numbered, AuthorshipRow]:
    """Return who created and who last changed each model and version, as of the newest of *steps* (newest first).

    *known* are the authors and last changes before the oldest of these commits.
    """
    news = _News(repository)
    for step in steps:
        news.add(step)
    return news.rows_after(known)


def find_wrong_authors(repository: Repository, folder: Path) -> set[str]:
    """Return the models for which the index in *folder* contradicts the history of the branch. Reads every commit.

    Returns an empty set in a shallow clone, which lacks a part of the history, and if the branch was rewritten.
    """
    index, tip = _open_index(folder), repository.tip()
    known = index.read() if index is not None else {}
    if index is None or not (index.tip and tip) or repository.shallow or not repository.commits.reaches(tip, index.tip):
        return set()
    read = _read_all(repository, index.tip)
    return {key[0] for key in {*known, *read} if known.get(key) != read.get(key)}


def _open_index(folder: Path | None) -> AuthorshipRows | None:
    if folder is None:
        return None
    try:
        from gitmodel.index.authorship_rows import AuthorshipRows  # imported here: few commands need SQLite
    except ImportError:  # Python can be built without SQLite
        return None
    return AuthorshipRows(folder)


def _steps_after(repository: Repository, known: Oid, tip: Oid) -> Iterator[BranchCommit] | None:
    """Return the commits of the branch after *known*, newest first; None if *known* is not on the branch at *tip*."""
    chain: list[tuple[Oid, list[str]]] = []
    at: Oid | None = tip
    while at and at != known and len(chain) < _FEW:
        parent = repository.commits.read(at).parent
        if parent is None or (repository.shallow and at in shallow_edge(repository)):
            return None
        chain.append((at, changed_paths(repository, parent, at)))
        at = parent
    if at != known:
        if not repository.commits.reaches(tip, known):
            return None
        chain = changes_between(repository, known, tip)[::-1]
    return (_step(repository, commit, changed) for commit, changed in chain)


def _step(repository: Repository, id: Oid, changed: list[str]) -> BranchCommit:
    """Return the commit *id* with the content of the files at the paths *changed* before and after the commit.

    For a file whose content `_News` does not read, the content is b"".
    """
    commit = repository.commits.read(id)
    assert commit.parent is not None
    before, after = repository.files(commit.parent), repository.files(id)
    changes = (FileChange(path, _content(before, path), _content(after, path)) for path in changed)
    return BranchCommit(commit, tuple(changes))


def _content(files: CommitFiles, path: str) -> bytes | None:
    what = paths.parse_path(path)
    with suppress(Invalid):
        if what is not None and what.kind in _READ_KINDS:
            return files.read(path)
        return b"" if files.id(path) is not None else None
    return None


def _all_steps(repository: Repository, tip: Oid) -> Iterator[BranchCommit]:
    """Yield the commits of the branch, newest first; in a shallow clone, only those whose parents the clone has."""
    try:
        yield from walk_branch(repository, tip, paths.MODELS)
    except Invalid:
        if not repository.shallow:
            raise


@dataclass
class _News:
    """Collects authors and last changes from commits, which the caller adds newest first. Models have current names."""

    repository: Repository
    rows: dict[Numbered, AuthorshipRow] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)

    def add(self, step: BranchCommit) -> None:
        found = [(change, what) for change in step.changes if (what := paths.parse_path(change.path)) and what.model]
        moved = set(self._rename(found))
        seconds = int(parse_person(step.commit.committer)[2].timestamp())
        for change, what in found:
            if what.model in moved and what.kind != "model":
                continue  # a rename moves the files of all versions, but does not count as a change of a version
            person = self.repository.commits.author(step.commit, change.path).rpartition("> ")[0] + ">"
            model = self.names.get(what.model, what.model)
            is_new = change.before is None and what.model not in moved
            for number in _numbers(change, what):
                self._note((model, number), person, seconds, is_new=is_new and what.kind == "version")
            self._note((model, 0), person, seconds, is_new=is_new and what.kind == "model")

    def _rename(self, found: Iterable[tuple[FileChange, RecordPath]]) -> Iterator[str]:
        """Remember the new name of each model that the commit renames; yield its former and its new name.

        *found* are the changes of the commit, each with the kind of its file.
        """
        for change, what in found:
            if what.kind == "model" and (new := _renamed_to(change)) is not None:
                self.names[what.model] = self.names.get(new, new)
                yield from (what.model, new)

    def _note(self, key: Numbered, person: str, seconds: int, *, is_new: bool) -> None:
        row = self.rows.get(key) or AuthorshipRow(None, seconds, person)
        self.rows[key] = row._replace(author=person) if is_new else row

    def rows_after(self, known: Mapping[Numbered, AuthorshipRow]) -> dict[Numbered, AuthorshipRow]:
        """Return the authors and last changes after the newest commit that was added.

        *known* are the authors and last changes before the oldest commit that was added.
        """
        rows = {(self.names.get(model, model), number): row for (model, number), row in known.items()}
        for key, row in self.rows.items():
            before = rows.get(key)
            rows[key] = row._replace(author=before.author) if row.author is None and before is not None else row
        return rows


def _renamed_to(change: FileChange) -> str | None:
    """Return the new name of the model if *change*, a change of a model's record, renames the model; else None."""
    with suppress(Invalid):
        if change.after is not None:
            return codec.decode(ModelRecord, change.after, change.path, newer=True).renamed_to
    return None


def _numbers(change: FileChange, what: RecordPath) -> set[int]:
    """Return the numbers of the versions that *change* is about, from the path *what* or the content of the file.

    The record of a stage or alias is about the versions that it named before and after the change.
    """
    if what.kind in ("version", "archived"):
        return {int(what.key)}
    found = set()
    for data in (change.before, change.after) if what.kind in ("stage", "alias") else ():
        with suppress(Invalid):
            if data is not None:
                found.add(codec.decode(StageRecord, data, change.path, newer=True).version)
    return found
