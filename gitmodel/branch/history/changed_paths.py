"""Finding the files that differ between two commits, up to a limit, by reading only folders that differ.

`git diff-tree` is not used, because it collects all differing files before it prints the first one. A hostile branch of
only 7 objects can have 10 ** 12 files.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from gitmodel.branch.repository import Repository
from gitmodel.domain.schema.object_ids import Oid
from gitmodel.errors import Invalid
from gitmodel.git.objects.object_formats import FOLDER, Entry
from gitmodel.git.objects.trees import Trees

# The limit: no normal change has so many files. Reading this many takes seconds.
MOST_FILES = 200_000
_NOTHING: Mapping[str, Entry] = {}


def changed_paths(repository: Repository, old: Oid | None, new: Oid) -> list[str]:
    """Return the paths of the files that differ between *old* (None: no files) and *new*, which are commits or trees.

    Raises Invalid if more than `MOST_FILES` files differ.
    """
    found = []
    before, after = (_top(repository, id) for id in (old, new))
    for path in _differing(repository.trees, before, after, ""):
        found.append(path)
        if len(found) > MOST_FILES:
            raise Invalid(
                f"too many files differ between {(old or 'nothing')[:10]} and {new[:10]}",
                hint=f"`git show --stat --summary {new[:10]} -- models` shows a part of it",
            )
    return found


def _top(repository: Repository, id: Oid | None) -> Oid | None:
    if id is None:
        return None
    return repository.commits.read(id).tree if repository.reader.get(id).type == "commit" else id


def _differing(trees: Trees, old: Oid | None, new: Oid | None, folder: str) -> Iterator[str]:
    if old == new:
        return
    before = trees.tree(old) if old else _NOTHING
    after = trees.tree(new) if new else _NOTHING
    for name in sorted({*before, *after}):
        was, now = before.get(name), after.get(name)
        if was == now:
            continue
        path = f"{folder}{name}"
        if _is_file(was) or _is_file(now):
            yield path
        folders = [entry.id if entry is not None and entry.mode == FOLDER else None for entry in (was, now)]
        if any(folders):
            yield from _differing(trees, folders[0], folders[1], f"{path}/")


def _is_file(entry: Entry | None) -> bool:
    return entry is not None and entry.mode != FOLDER
