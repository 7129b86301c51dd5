"""The authors and last changes of models and versions, from the index and the commits that it does not know yet."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

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

_READ_KINDS = ("model", "stage", "alias")


def read_authorships(repository: Repository, tip: Oid | None, folder: Path | None) -> dict[str, Authorship]:
    """Return the authors and last changes of the models and versions at *tip*, by references such as "iris@3".

    Updates the index in *folder*; if *folder* is None, uses no index. The references have the current names of models.
    Includes deleted versions. In a shallow clone, leaves out models and versions that no commit changed after the
    clone's oldest commit. Returns {} if *tip* is None.
    """
    rows = _rows(repository, tip, folder) if tip else {}
    return {f"{model}@{number}" if number else model: row.value() for (model, number), row in rows.items()}


def _rows(repository: Repository, tip: Oid, folder: Path | None) -> Mapping[Numbered, AuthorshipRow]:
    index = _open_index(folder)
    known = index.read() if index is not None else {}
    start = index.tip if index is not None else None
    if start == tip:
        return known
    steps = _steps_after(repository, start, tip) if start else None
    rows = _read(repository, _all_steps(repository, tip), {}) if steps is None else _read(repository, steps, known)
    if index is not None:
        index.write(tip, rows)
    return rows


def _read(
    repository: Repository, steps: Iterable[BranchCommit], known: Mapping[Numbered, AuthorshipRow]
) -> dict[Numbered, AuthorshipRow]:
    """Return the authors and last changes after the commits *steps*, which are ordered newest first.

    *known* are the authors and last changes before the oldest of these commits.
    """
    news = _News(repository)
    for step in steps:
        news.add(step)
    rows = {(news.names.get(model, model), number): row for (model, number), row in known.items()}
    for key, row in news.rows.items():
        before = rows.get(key)
        rows[key] = row._replace(author=before.author) if row.author is None and before is not None else row
    return rows


def find_wrong_authors(repository: Repository, folder: Path) -> set[str]:
    """Return the models for which the index in *folder* contradicts the history of the branch. Reads every commit.

    Returns an empty set in a shallow clone, which lacks a part of the history, and if the branch was rewritten.
    """
    index, tip = _open_index(folder), repository.tip()
    known = index.read() if index is not None else {}
    if index is None or not (index.tip and tip) or repository.shallow or not repository.commits.reaches(tip, index.tip):
        return set()
    read = _read(repository, _all_steps(repository, index.tip), {})
    return {key[0] for key in {*known, *read} if known.get(key) != read.get(key)}


def _open_index(folder: Path | None) -> AuthorshipRows | None:
    if folder is None:
        return None
    try:
        from gitmodel.index.authorship_rows import AuthorshipRows  # imported here: few commands need SQLite
    except ImportError:  # Python can be built without SQLite
        return None
    return AuthorshipRows(folder)


def _steps_after(repository: Repository, start: Oid, tip: Oid) -> Iterator[BranchCommit] | None:
    """Return the commits of the branch at *tip* after the commit *start*, newest first, with the files they changed.

    Returns None if *start* is not on the branch, or if git hides some of these commits in a shallow clone.
    """
    if not repository.commits.reaches(tip, start):
        return None
    found = changes_between(repository, start, tip)[::-1]
    # `reaches` reads hidden commits, too, which stay in the clone after a fetch with a smaller depth.
    if repository.shallow and not shallow_edge(repository).isdisjoint(id for id, _ in found):
        return None
    return (_step(repository, id, changed) for id, changed in found)


def _step(repository: Repository, id: Oid, changed: Iterable[str]) -> BranchCommit:
    commit = repository.commits.read(id)
    before, after = repository.files(commit.parent), repository.files(id)
    changes = (FileChange(path, _content(before, path), _content(after, path)) for path in changed)
    return BranchCommit(commit, tuple(changes))


def _content(files: CommitFiles, path: str) -> bytes | None:
    """Return the content of the file at *path*, or None if there is none.

    For kinds of files whose content `_News` does not need, returns b"" without reading the file.
    """
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
    """Collects authors and last changes of models and versions from commits, which the caller adds newest first.

    *rows* has the result for each model and version, under the current name of the model. *names* maps the former names
    of models to their current names.
    """

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
        """Add to `names` the models that the changes *found* rename, and yield their former and their new names."""
        for change, what in found:
            if what.kind == "model" and (new := _renamed_to(change)) is not None:
                self.names[what.model] = self.names.get(new, new)
                yield from (what.model, new)

    def _note(self, key: Numbered, person: str, seconds: int, *, is_new: bool) -> None:
        row = self.rows.get(key) or AuthorshipRow(None, seconds, person)
        self.rows[key] = row._replace(author=person) if is_new else row


def _renamed_to(change: FileChange) -> str | None:
    """Return the new name of the model if *change*, a change of a model's record, renames the model; else None."""
    with suppress(Invalid):
        if change.after is not None:
            return codec.decode(ModelRecord, change.after, change.path, newer=True).renamed_to
    return None


def _numbers(change: FileChange, what: RecordPath) -> set[int]:
    """Return the numbers of the versions that *change* changes. *what* is the parsed path of its file.

    A change of a stage or alias changes the versions that its file named before and after.
    """
    if what.kind in ("version", "archived"):
        return {int(what.key)}
    found = set()
    for data in (change.before, change.after) if what.kind in ("stage", "alias") else ():
        with suppress(Invalid):
            if data is not None:
                found.add(codec.decode(StageRecord, data, change.path, newer=True).version)
    return found
