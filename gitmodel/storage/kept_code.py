"""The code repository: keeping commits that versions name, uncommitted changes as a commit, who descends from whom.

It writes objects, refs below `refs/gitmodel/code/` and `refs/notes/gitmodel`: no work tree, no index, no branch.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from hashlib import sha1
from pathlib import Path

from gitmodel.domain.refs import CODE_NOTES, KEPT_CODE, kept_ref
from gitmodel.errors import Invalid, NotFound, Refused
from gitmodel.storage.git import Git, clean_environment, is_id, run
from gitmodel.storage.notes import Notes

# A push takes so many refs in one command line; git compares each of them with each ref that there is.
_REFS_AT_ONCE = 500
_LONGEST_NOTES = 1 << 26
# So many seconds may a remote say nothing at all.
_SILENCE = 120.0
_LARGEST_TOLD = 3


@dataclass(frozen=True)
class Change:
    """A file of the work tree that differs from the commit: its path from the top, its size in bytes (gone: 0)."""

    path: str
    size: int


@dataclass(frozen=True)
class PushedCode:
    """What a push did about code: commits that the remote keeps now, and those that it never saw (*unpublished*).

    *fault* says why the host did not take them, "" if it did.
    """

    pushed: tuple[str, ...] = ()
    unpublished: tuple[str, ...] = ()
    fault: str = ""


class KeptCode:
    """The git repository that code comes from; open it with `open_kept_code`."""

    def __init__(self, git: Git, *, shallow: bool, worktree: bool) -> None:
        self.git = git
        self.shallow = shallow
        self._worktree = worktree
        self._notes = Notes(git.common_dir / "gitmodel" / "pushed-code", longest=_LONGEST_NOTES)

    # Keeping commits

    def keep(self, commit: str) -> None:
        """Keep *commit* reachable, whatever becomes of its branch: by a ref that is named after it."""
        self.git.run("update-ref", "-m", "gitmodel: keep the code of a version", kept_ref(commit), commit)

    def kept(self) -> list[str]:
        """Every commit that is kept."""
        found = self.git.lines("for-each-ref", "--format=%(refname)", KEPT_CODE)
        return [ref.removeprefix(KEPT_CODE) for ref in found if is_id(ref.removeprefix(KEPT_CODE))]

    def remote(self, named: str = "") -> str:
        """The remote *named*, else `origin`, else the only one; "" if there is none of these."""
        remotes = self.git.lines("remote")
        wanted = named or ("origin" if "origin" in remotes or len(remotes) != 1 else remotes[0])
        return wanted if wanted in remotes else ""

    def published(self, commits: Iterable[str], remote: str) -> frozenset[str]:
        """Those of *commits* that a branch of *remote* held when it was last fetched or pushed."""
        wanted = list(commits)
        if not wanted:
            return frozenset()
        heard = self.git.lines(
            "rev-list", "--stdin", "--not", f"--remotes={remote}", input=_lines(wanted)
        )  # fmt: skip
        return frozenset(wanted) - frozenset(heard)

    def not_pushed(self, commits: Iterable[str], remote: str) -> list[str]:
        """Those of *commits* of which it is not known that *remote* keeps them."""
        address = self._address(remote)
        return [commit for commit in commits if self._notes.get("pushed", commit) != address]

    def push(self, commits: list[str], remote: str) -> None:
        """Make *remote* keep *commits* too. Raises Refused with the host's words, Unreachable."""
        address = self._address(remote)
        whole = len(commits) > 1 and set(commits) >= set(self.kept())
        for start in range(0, len(commits), len(commits) if whole else _REFS_AT_ONCE):
            some = commits if whole else commits[start : start + _REFS_AT_ONCE]
            refspecs = [f"{KEPT_CODE}*:{KEPT_CODE}*"] if whole else [f"{id}:{kept_ref(id)}" for id in some]
            answer = self.git.talk(
                "push", "--quiet", "--no-verify", "--no-follow-tags", "--end-of-options", remote, *refspecs,
                silence=_SILENCE,
            )  # fmt: skip
            if answer.code:
                said = " ".join(line.strip() for line in answer.stderr.splitlines() if line.strip())
                raise Refused(f"{remote} did not take the code: {said}", hint="these are the host's words")
            for commit in some:
                self._notes.put("pushed", commit, address)

    def fetch(self, commit: str, remote: str = "") -> bool:
        """Get a commit that *remote* keeps; whether it is here now."""
        chosen = self.remote(remote)
        if not self.missing([commit]):
            return True
        if not chosen:
            return False
        ref = kept_ref(commit)
        options = ("--quiet", "--no-tags", "--end-of-options")
        answer = self.git.talk("fetch", *options, chosen, f"{ref}:{ref}", silence=_SILENCE)
        return answer.code == 0

    # Commits and their order

    def find(self, named: str) -> str:
        """The commit that *named* means here. Raises NotFound."""
        try:
            found = self.git.lines(
                "rev-parse", "--verify", "--quiet", "--end-of-options", f"{named}^{{commit}}", answers=(0, 1)
            )
        except UnicodeEncodeError:
            found = []
        if not found:
            raise NotFound(
                f"there is no commit {named!a} in the code repository {self.git.top}",
                hint="name one as `git log` shows it; `git fetch` brings what others have",
            )
        return found[0]

    def missing(self, commits: Iterable[str]) -> frozenset[str]:
        """Those of *commits* that are not here."""
        wanted = sorted(set(commits))
        said = self.git.lines("cat-file", "--batch-check=%(objecttype)", input=_lines(wanted))
        return frozenset(commit for commit, answer in zip(wanted, said, strict=True) if answer != "commit")

    def descendants(self, ancestor: str, commits: Iterable[str]) -> frozenset[str]:
        """Those of *commits*, all of which are here, that are *ancestor* or have it in their history."""
        wanted = frozenset(commits)
        if not wanted:
            return frozenset()
        between = self.git.lines(
            "rev-list", "--ancestry-path", "--stdin", f"^{ancestor}", input=_lines(sorted(wanted))
        )  # fmt: skip
        return wanted & frozenset((ancestor, *between))

    def write_notes(self, texts: Mapping[str, str], author: str, message: str) -> str:
        """Make `refs/notes/gitmodel` hold *texts* by commit, and nothing else, in one commit without a parent.

        The same notes by the same *author*, with name, e-mail, seconds and zone, are the same commit: its id.
        """
        said = message.encode()
        stream = [b"feature done\ncommit %s\n" % CODE_NOTES.encode()]
        stream.append(b"committer %s\ndata %d\n%s\n" % (author.encode(), len(said), said))
        for commit in sorted(texts):
            text = texts[commit].encode()
            stream.append(b"N inline %s\ndata %d\n%s\n" % (commit.encode(), len(text), text))
        self.git.run("fast-import", "--quiet", "--done", "--force", input=b"".join([*stream, b"done\n"]))
        return self.find(CODE_NOTES)

    # The work tree

    def changes(self) -> list[Change]:
        """What differs from the commit that is checked out, new files that are not ignored too.

        Raises Refused for a submodule with changes of its own and a repository within this one: no commit holds them.
        """
        if not self._worktree:
            return []
        options = ("--porcelain=v2", "-z", "--untracked-files=all", "--ignore-submodules=none", "--no-renames")
        said = self.git.run("status", *options).decode("utf-8", "surrogateescape")
        return [self._change(line) for line in said.split("\0") if line and not line.startswith("#")]

    def snapshot(self, limit: int) -> str:
        """The work tree as a commit on the one that is checked out: its id, "" if nothing differs.

        Ignored files are left out. Objects are written, and nothing else is touched; no hook runs. The same state gives
        the same commit. Raises Refused if more than *limit* bytes would be stored, or what no commit can hold.
        """
        changes = self.changes()
        if not changes:
            return ""
        _check_size(changes, limit)
        head = next(iter(self.git.lines("rev-parse", "--verify", "--quiet", "HEAD", answers=(0, 1))), "")
        with tempfile.TemporaryDirectory(prefix="gitmodel-index-") as folder:
            index = Path(folder) / "index"
            if (self.git.git_dir / "index").exists():
                shutil.copyfile(self.git.git_dir / "index", index)
            aside = _with(self.git, GIT_INDEX_FILE=str(index))
            listed = "".join(f"{change.path}\0" for change in changes).encode("utf-8", "surrogateescape")
            no_hooks = ("-c", f"core.hooksPath={folder}/none")
            aside.run(*no_hooks, "update-index", "--add", "--remove", "--replace", "-z", "--stdin", input=listed)
            tree = aside.lines(*no_hooks, "write-tree")[0]
        return self._commit(tree, head)

    def _commit(self, tree: str, head: str) -> str:
        if head and self.git.lines("rev-parse", f"{head}^{{tree}}") == [tree]:
            return ""
        when = self.git.lines("log", "-1", "--format=%ct +0000", head)[0] if head else ""
        dates = {"GIT_AUTHOR_DATE": f"@{when}", "GIT_COMMITTER_DATE": f"@{when}"} if when else {}
        message = f"Work tree as it was when a version was made\n\nOn: {head or 'no commit yet'}\n".encode()
        parents = ("-p", head) if head else ()
        made = _with(self.git, **dates).lines("commit-tree", tree, *parents, "-F", "-", input=message)
        if len(made) != 1 or not is_id(made[0]):
            raise Invalid("git made no commit of the work tree", hint="run `git fsck`, and see that the disk has room")
        return made[0]

    def _change(self, line: str) -> Change:
        kind, _, rest = line.partition(" ")
        before = {"1": 7, "2": 8, "u": 9}.get(kind, 0)
        words = rest.split(" ", before)
        path = words[-1]
        if before and words[1].startswith("S") and ("M" in words[1] or "U" in words[1]):
            raise Refused(f"the submodule {path} has changes of its own", hint="commit them in the submodule first")
        if path.endswith("/"):
            raise Refused(
                f"{path} is a repository of its own within this one",
                hint="add it to .gitignore, or make it a submodule",
            )
        try:
            return Change(path, os.lstat(self.git.top / path).st_size)
        except OSError:
            return Change(path, 0)

    def _address(self, remote: str) -> str:
        said = self.git.run("remote", "get-url", "--push", remote)
        return sha1(said).hexdigest()


def open_kept_code(path: Path, *, environ: Mapping[str, str]) -> KeptCode | None:
    """The code repository that *path* is in, or None."""
    clean = clean_environment(environ)
    question = ["git", "rev-parse", "--absolute-git-dir", "--git-common-dir", "--is-shallow-repository", "--show-cdup"]
    try:
        said = run(question, clean, cwd=path).decode("utf-8", "surrogateescape").splitlines()
    except NotFound:
        return None
    # The last line is the way up to the top of the work tree; a bare repository has none.
    git_dir, common, shallow, *up = said
    git = Git(Path(git_dir), (path / common).resolve(), (path / "".join(up)).resolve(), clean)
    return KeptCode(git, shallow=shallow == "true", worktree=bool(up))


def _check_size(changes: list[Change], limit: int) -> None:
    size = sum(change.size for change in changes)
    if size <= limit:
        return
    largest = sorted(changes, key=lambda change: -change.size)[:_LARGEST_TOLD]
    told = ", ".join(f"{change.path} ({change.size:,} bytes)" for change in largest)
    raise Refused(
        f"the changes that are not committed have {size:,} bytes, and a snapshot may have {limit:,}: {told}",
        hint="add what is no code to .gitignore, or run `git config gitmodel.snapshotLimit BYTES`",
    )


def _with(git: Git, **variables: str) -> Git:
    return replace(git, environ={**git.environ, **variables})


def _lines(words: Iterable[str]) -> bytes:
    return "".join(f"{word}\n" for word in words).encode()
