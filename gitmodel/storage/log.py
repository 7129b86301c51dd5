"""The history of stages, read from the commits that changed their files."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timezone

from gitmodel.domain import paths, records
from gitmodel.domain.refs import StageRef
from gitmodel.errors import Invalid
from gitmodel.storage.repository import Repository


@dataclass(frozen=True)
class StageEvent:
    """A commit that changed a stage or alias: *version* entered it (None: it was left empty) after *previous*."""

    model: str
    stage: str
    version: int | None
    previous: int | None
    commit: str
    author: str
    when: datetime
    reason: str
    forced: tuple[str, ...] = ()


def stage_events(repository: Repository, tip: str, ref: StageRef | None = None) -> Iterator[StageEvent]:
    """The changes of one stage or alias (with no stage in *ref*: of all of the model's; without *ref*: of all
    models), newest first.

    They are the states that the branch really had: its first parents, whatever a pull request held.
    """
    if not tip:
        return
    wanted = _places(ref)
    for commit, files in _changes(repository, tip, wanted):
        author, _, date = _author(repository, commit)
        for path in files:
            found = paths.parse_path(path)
            if found is None or found.kind not in ("stage", "alias"):
                continue
            after, before = _versions(repository, commit, path)
            new = after.version if after else None
            old = before.version if before else None
            yield StageEvent(
                found.model,
                found.key,
                new,
                old,
                commit,
                author,
                date,
                after.reason if after else _body(repository, commit),
                after.forced if after else (),
            )


def changes_between(repository: Repository, old: str, new: str) -> list[tuple[str, list[str]]]:
    """The commits that *new* has by its first parents and *old* ("": none) has not, oldest first, with the paths each
    changed."""
    return list(_changes(repository, new, [], *([f"^{old}"] if old else [])))[::-1]


def changed_paths(repository: Repository, old: str, new: str) -> list[str]:
    """The paths that differ between the commits *old* and *new*."""
    said = repository.git.run("diff-tree", "-r", "--name-only", "--no-renames", "-z", old, new)
    return [path for path in said.decode("utf-8", "surrogateescape").split("\0") if path]


def _places(ref: StageRef | None) -> list[str]:
    """Where the files of *ref* are, as git's pathspecs."""
    if ref is None:
        return [f":(glob){paths.MODELS}/*/stages/*.toml", f":(glob){paths.MODELS}/*/aliases/*.toml"]
    if ref.stage:
        return [paths.stage_file(ref.model, ref.stage), paths.alias_file(ref.model, ref.stage)]
    folder = paths.model_folder(ref.model)
    return [f"{folder}/stages", f"{folder}/aliases"]


def _changes(repository: Repository, tip: str, wanted: list[str], *more: str) -> Iterator[tuple[str, list[str]]]:
    said = repository.git.run(
        "log", "--first-parent", "-m", "--name-only", "--no-renames", "-z", "--format=%x01%H", tip, *more, "--", *wanted
    ).decode("utf-8", "surrogateescape")
    for block in said.split("\x01")[1:]:
        commit, *files = [part.strip("\n") for part in block.split("\0") if part.strip("\n")]
        yield commit, files


def _author(repository: Repository, commit: str) -> tuple[str, str, datetime]:
    who, seconds, _ = repository.tags.commit(commit).author.rsplit(" ", 2)
    name, _, email = who.partition(" <")
    return name, email.rstrip(">"), datetime.fromtimestamp(int(seconds), timezone.utc)


def _versions(
    repository: Repository, commit: str, path: str
) -> tuple[records.StageRecord | None, records.StageRecord | None]:
    parents = repository.tags.commit(commit).parents
    return _record(repository, commit, path), _record(repository, parents[0], path) if parents else None


def _record(repository: Repository, commit: str, path: str) -> records.StageRecord | None:
    try:
        return repository.files(commit).load(path, records.STAGE, newer=True)
    except Invalid:
        return None


def _body(repository: Repository, commit: str) -> str:
    """The reason that a demotion gives: the prose of its commit."""
    parts = repository.tags.commit(commit).message.strip().split("\n\n")
    return "\n\n".join(parts[1:-1])
