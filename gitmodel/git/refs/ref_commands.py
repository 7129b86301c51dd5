"""Reading, listing, setting and deleting refs."""

from __future__ import annotations

import os
from collections.abc import Mapping

from gitmodel.domain.schema.object_ids import Oid
from gitmodel.files.open_flags import NONBLOCK, RAW
from gitmodel.git.running.process import Git

_LONGEST_REF_FILE = 1 << 12


def read_ref_file(common_dir: str, ref: str) -> bytes:
    """Return the content of the file of *ref* in *common_dir*, without the line feed; b"" if *ref* has no such file."""
    try:
        descriptor = os.open(f"{common_dir}/{ref}", os.O_RDONLY | NONBLOCK | RAW)
    except (FileNotFoundError, NotADirectoryError):
        return b""
    try:
        return os.read(descriptor, _LONGEST_REF_FILE).rstrip(b"\n")
    except IsADirectoryError:
        return b""
    finally:
        os.close(descriptor)


def list_refs(git: Git, *patterns: str, without: Oid | None = None) -> dict[str, Oid]:
    """Map the names of the refs that match *patterns* (`git help for-each-ref`) to the ids of their objects.

    Leaves out refs to commits in the history of the commit *without*.
    """
    left_out = [f"--no-merged={without}"] if without else []
    lines = git.lines("for-each-ref", "--format=%(objectname) %(refname)", *left_out, *patterns)
    return {ref: Oid(id) for id, _, ref in (line.partition(" ") for line in lines)}


def list_branches(git: Git, *patterns: str) -> dict[str, Oid]:
    """Map those refs that match *patterns* and point at a commit to the id of this commit."""
    lines = git.lines("for-each-ref", "--format=%(objecttype) %(objectname) %(refname)", *patterns)
    return {ref: Oid(id) for kind, id, ref in (line.split(" ", 2) for line in lines) if kind == "commit"}


def list_annotated_tags(git: Git, *patterns: str) -> dict[str, Oid]:
    """Map those refs that match *patterns* and point at a tag object to the id of the object that is tagged."""
    lines = git.lines("for-each-ref", "--format=%(refname) %(*objectname)", *patterns)
    return {ref: Oid(id) for ref, _, id in (line.partition(" ") for line in lines) if id}


def named_id(git: Git, named: str) -> Oid | None:
    """Return the object id that git finds under the name *named*, or None. The object itself may be missing."""
    return git.oid("rev-parse", "--verify", "--quiet", named, answers=(0, 1))


def current_branch(git: Git) -> str:
    """Return the full name of the branch that is checked out, or "" if HEAD names no branch."""
    return "".join(git.lines("symbolic-ref", "--quiet", "HEAD", answers=(0, 1)))


def delete_ref(git: Git, ref: str, *, old: Oid | None = None) -> None:
    """Delete *ref*; a missing ref is no error. Raises Moved if *old* is not None and the ref is not at *old*."""
    git.run("update-ref", "--no-deref", "-d", ref, *([old] if old else []))


def set_refs(git: Git, new: Mapping[str, Oid | None], message: str = "") -> None:
    """Set each ref in *new* to its object id (None: delete it), in one transaction, whatever its current value is.

    *message* is for the reflogs.
    """
    lines = (f"update {ref} {id}\n" if id else f"delete {ref}\n" for ref, id in new.items())
    noted = ("-m", message) if message else ()
    git.run("update-ref", *noted, "--stdin", "--no-deref", input="".join(lines).encode())


def branches_with(git: Git, commit: Oid) -> list[str]:
    """Return the full names of the local and remote-tracking branches that have *commit* in their history."""
    asked = ("for-each-ref", f"--contains={commit}", "--format=%(refname)", "refs/heads/", "refs/remotes/")
    return git.lines(*asked, answers=(0, 129))
