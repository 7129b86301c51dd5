"""Merging two commits in memory: the resulting tree and the conflicts, without refs, index or work tree."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path

from gitmodel.domain.schema.object_ids import Oid
from gitmodel.git.history.commits import merge_base
from gitmodel.git.objects.object_formats import FILE_MODES, parse_commit
from gitmodel.git.objects.object_reader import ObjectReader
from gitmodel.git.running.failures import GitError
from gitmodel.git.running.process import Git

# With these settings, git merges as a git host does, whatever the user's configuration and attributes say.
_AS_HOSTS_DO = (
    "-c", "merge.renames=true", "-c", "merge.directoryRenames=conflict", "-c", "merge.renormalize=false",
    "-c", "merge.conflictStyle=merge", "-c", "core.attributesFile=/dev/null",
)  # fmt: skip


def merged_tree(git: Git, reader: ObjectReader, base: Oid, head: Oid) -> tuple[Oid | None, list[str]]:
    """Return the tree of a merge of *head* into *base*, and the paths that conflict.

    If there are conflicts, git 2.38 or newer gives a tree in which the files have conflict markers, and an older git
    gives None.
    """
    shared = merge_base(git, base, head)
    if shared == base:
        return parse_commit(head, reader.get(head).data).tree, []
    try:
        options = ("--write-tree", "--name-only", "--no-messages", "-z")
        said = git.run(*_AS_HOSTS_DO, "merge-tree", *options, base, head, answers=(0, 1))
    except GitError:
        if not shared:
            raise
        return merge_by_files(git, reader, shared, base, head)
    tree, *names = said.decode("utf-8", "surrogateescape").split("\0")
    return Oid(tree.strip()), sorted({name for name in names if name})


def merge_by_files(git: Git, reader: ObjectReader, shared: Oid, ours: Oid, theirs: Oid) -> tuple[Oid | None, list[str]]:
    """Do the same as `merged_tree` for git before 2.38, file by file and without following renames.

    *shared* is the newest common ancestor of the commits *ours* and *theirs*.
    """
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        git = replace(git, environ={**git.environ, "GIT_INDEX_FILE": str(folder / "index")})
        git.run("read-tree", "-i", "-m", "--aggressive", shared, ours, theirs)
        sides: dict[str, dict[str, tuple[str, str]]] = {}
        for entry in git.run("ls-files", "-u", "-z").decode("utf-8", "surrogateescape").split("\0")[:-1]:
            facts, _, path = entry.partition("\t")
            mode, id, stage = facts.split(" ")
            sides.setdefault(path, {})[stage] = (mode, id)
        merged = {path: _merge_file(git, folder, found) for path, found in sides.items()}
        conflicts = sorted(path for path, entry in merged.items() if entry is None)
        if conflicts:
            return None, conflicts
        lines = "".join(f"{' '.join(entry)} 0\t{path}\0" for path, entry in merged.items() if entry)
        git.run("update-index", "-z", "--index-info", input=lines.encode("utf-8", "surrogateescape"))
        (tree,) = git.oids("write-tree")
    reader.close()  # its running git process may not see the new objects
    return tree, []


def _merge_file(git: Git, folder: Path, sides: dict[str, tuple[str, str]]) -> tuple[str, str] | None:
    """Merge one file line by line. Return its mode and the id of its blob, or None if there is a conflict.

    *sides* has mode and blob id of the common ancestor ("1"), of our file ("2") and of their file ("3"). If one
    of them is missing or no regular file, or if their modes differ, this is a conflict.
    """
    modes = {mode for mode, _ in sides.values()}
    if not {"1", "2", "3"} <= sides.keys() or len(modes) > 1 or not modes <= FILE_MODES:
        return None
    for stage, (_, id) in sides.items():
        (folder / stage).write_bytes(git.run("cat-file", "blob", id))
    names = (str(folder / stage) for stage in ("2", "1", "3"))
    try:
        git.run("merge-file", "-q", *names)
    except GitError:
        return None
    (id,) = git.lines("hash-object", "-w", "--no-filters", str(folder / "2"))
    return modes.pop(), id
