"""From code to models: the versions that were made from a code commit, or from one of its descendants."""

from __future__ import annotations

from collections.abc import Iterator

from gitmodel.branch.repository import Repository
from gitmodel.code.repository import CodeRepository
from gitmodel.domain.schema.object_ids import Oid
from gitmodel.domain.schema.references import ModelRef
from gitmodel.domain.schema.refs import CODE_NOTES
from gitmodel.domain.views.record_views import VersionView
from gitmodel.errors import Refused
from gitmodel.frozen import Frozen
from gitmodel.git.history import notes
from gitmodel.git.history.commits import author_name, descendants, missing_commits
from gitmodel.git.refs.ref_commands import delete_ref, list_refs
from gitmodel.registry.lists import model_views, version_lists
from gitmodel.registry.writing.writer import Writer

_NOTES_AUTHOR = "gitmodel"


class Containing(Frozen):
    """A result of `containing`, about one version: *contains* is True if the version's code contains the commit.

    *contains* is None if this is unknown, for the reason *why*. *exact* is True if the version was made from exactly
    this commit.
    """

    view: VersionView
    contains: bool | None
    exact: bool = False
    why: str = ""


class WrittenNotes(Frozen):
    """The result of `write_notes`: *commit* is the commit at the ref of the notes, "" if there are no notes.

    *notes* is the number of code commits with a note. *missing* is the number of recorded code commits that have no
    note because the code repository lacks them.
    """

    commit: str
    notes: int
    missing: int


def containing(writer: Writer, code: CodeRepository, named: str, model: str = "") -> Iterator[Containing]:
    """Yield for each version whether its code contains the commit *named*, a git revision.

    The versions are those of *model*, or of all models if it is "", the newest of each model first. The answer is
    unknown if the version has no code commit, if the repository *code* lacks it, or if *code* is shallow. Raises
    NotFound if the commit or the model does not exist.
    """
    commit = code.find(named)
    views = list(_views(writer, model))
    recorded = {id for view in views if (id := _commit(view))}
    missing = missing_commits(code.git, recorded)
    inside = descendants(code.git, commit, recorded - missing)
    for view in views:
        id = _commit(view)
        if id in inside:
            yield Containing(view, True, id == commit)
        elif id in missing:
            yield Containing(view, None, why=f"its code commit {id[:10]} is not in this repository")
        elif id is None:
            yield Containing(view, None, why="it was created without a code commit")
        elif code.shallow:
            yield Containing(view, None, why="this clone of the code is shallow")
        else:
            yield Containing(view, False)


def write_notes(writer: Writer, repository: Repository, code: CodeRepository) -> WrittenNotes:
    """Write a git note for each code commit: the versions that were made from it, and their stages and aliases.

    The notes depend only on the registry, and their commit has the date of the newest commit of the metadata branch, so
    that each clone that has the same code commits writes the same notes. The notes can be deleted at any time. Raises
    Refused if another program wrote to the ref of the notes.
    """
    _check_owner(code)
    lines_of: dict[Oid, list[str]] = {}
    for view in sorted(_views(writer, ""), key=lambda view: (view.model, view.record.number)):
        id = _commit(view)
        if id:
            lines_of.setdefault(id, []).append(_line(view))
    missing = missing_commits(code.git, lines_of)
    texts = {id: "".join(f"{line}\n" for line in lines) for id, lines in lines_of.items() if id not in missing}
    tip = repository.tip()
    if not texts or not tip:
        remove_notes(code)
        return WrittenNotes("", 0, len(missing))
    seconds = repository.commits.read(tip).committer.rsplit(" ", 2)[1]
    author = f"{_NOTES_AUTHOR} <> {seconds} +0000"
    notes.write_notes(code.git, CODE_NOTES, texts, author, f"Versions as of {tip}\n")
    return WrittenNotes(code.find(CODE_NOTES), len(texts), len(missing))


def remove_notes(code: CodeRepository) -> None:
    """Delete all notes of gitmodel, with their ref. Raises Refused if another program wrote to this ref."""
    _check_owner(code)
    delete_ref(code.git, CODE_NOTES)


def _check_owner(code: CodeRepository) -> None:
    if list_refs(code.git, CODE_NOTES) and author_name(code.git, CODE_NOTES) != _NOTES_AUTHOR:
        raise Refused(
            f"{CODE_NOTES} holds notes that gitmodel did not write",
            hint=f"keep them with `git update-ref refs/notes/mine {CODE_NOTES}`, then `git update-ref -d {CODE_NOTES}`",
        )


def _views(writer: Writer, model: str) -> Iterator[VersionView]:
    found = [ModelRef.of(model)] if model else []
    if not model:
        since = writer.read(lambda snapshot: snapshot.renumberings.count)
        found = [ModelRef(view.name, since=since) for view in model_views.list_models(writer)[0]]
    for chosen in found:
        yield from version_lists.list_versions(writer, chosen)[0]


def _commit(view: VersionView) -> Oid | None:
    return view.record.code.commit if view.record.code else None


def _line(view: VersionView) -> str:
    places = [*([view.stage] if view.stage else []), *view.aliases, *(["failed"] if view.record.failed else [])]
    return ", ".join([f"{view.model} {view.record.number}", *places])
