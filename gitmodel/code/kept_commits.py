"""Keeping the code commits of versions: a ref to each commit keeps git from deleting it, here and on a remote.

Writes only refs below `refs/gitmodel/code/`.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import replace
from hashlib import sha1

from gitmodel.code.repository import SILENCE, CodeRepository
from gitmodel.domain.schema.object_ids import Oid, is_code_oid
from gitmodel.domain.schema.refs import KEPT_CODE, kept_ref
from gitmodel.errors import Refused
from gitmodel.files.permissions import SharedPermissions
from gitmodel.frozen import Frozen
from gitmodel.git.objects.fact_cache import FactCache
from gitmodel.git.refs.ref_commands import list_refs, set_refs
from gitmodel.git.settings.configuration import list_remotes, push_urls, read_setting

# A push names at most this many refs, because git compares each named ref with all existing refs.
_REFS_AT_ONCE = 500
# Seconds for which a push may print nothing if the user has a `pre-push` hook, which may for example run tests.
_HOOK_SILENCE = 3600.0
_LONGEST_CACHE = 1 << 26


class PushedCode(Frozen):
    """The result of pushing code: in *pushed*, the commits that the remote keeps now.

    *unpublished* has commits that gitmodel did not push, because they were never on a branch of the remote. *fault* is
    the reason why the push failed, or "".
    """

    pushed: tuple[Oid, ...] = ()
    unpublished: tuple[Oid, ...] = ()
    fault: str = ""


class KeptCommits:
    """The commits that refs below `refs/gitmodel/code/` keep in the repository *code*."""

    def __init__(self, code: CodeRepository) -> None:
        self.code = code
        self._git = code.git
        self._done: set[Oid] = set()
        self._facts = FactCache(code.git.common_dir / "gitmodel" / "pushed-code", longest=_LONGEST_CACHE)

    def keep(self, commit: Oid) -> None:
        """Create the ref `refs/gitmodel/code/<commit>`, so that git keeps *commit* even if its branch is deleted."""
        if commit in self._done:  # The ref exists. Writing it again would cost a flush of the disk.
            return
        set_refs(self._git, {kept_ref(commit): commit}, "gitmodel: keep the code of a version")
        self._done.add(commit)

    def kept(self) -> list[Oid]:
        found = (ref.removeprefix(KEPT_CODE) for ref in list_refs(self._git, KEPT_CODE))
        return [commit for commit in found if is_code_oid(commit)]

    def remote(self, named: str = "") -> str:
        """Return the remote *named*, or by default "origin" or else the only remote; "" if it does not exist."""
        remotes = list_remotes(self._git)
        name = named or ("origin" if "origin" in remotes or len(remotes) != 1 else remotes[0])
        return name if name in remotes else ""

    def not_pushed(self, commits: Iterable[Oid], remote: str) -> list[Oid]:
        """Return those of *commits* that this clone has not pushed to the current URL of *remote* yet."""
        address = self._address(remote)
        return [commit for commit in commits if self._facts.get("pushed", commit) != address]

    def published(self, commits: list[Oid], remote: str) -> frozenset[Oid]:
        """Return those of *commits* that a branch of *remote* contains, or contained at the last fetch or push."""
        # imported here: creating a version does not need it
        from gitmodel.git.repositories.remote_commands import published_commits

        return published_commits(self._git, commits, remote, SILENCE)

    def push(self, commits: list[Oid], remote: str) -> None:
        """Push a ref to each of *commits* to *remote*, so that *remote* keeps the commits, too.

        git first runs the user's `pre-push` hook, which may send more data, such as the files of Git LFS. Raises
        Refused with the message of the host or the hook if one of them refuses the push, Unreachable if *remote* does
        not answer.
        """
        from gitmodel.git.repositories.hooks import hooks_folder
        from gitmodel.git.repositories.remote_commands import push

        address = self._address(remote)
        shared = read_setting(self._git, "core.sharedRepository")
        with suppress(OSError):
            SharedPermissions(shared).make_folder(self._git.common_dir / "gitmodel")
        # gitmodel ends a push that prints nothing. By default, Git LFS prints its progress only to a terminal.
        git = replace(self._git, environ={**self._git.environ, "GIT_LFS_FORCE_PROGRESS": "1"})
        has_hook = os.access(hooks_folder(self._git) / "pre-push", os.X_OK)
        silence = _HOOK_SILENCE if has_hook else SILENCE
        whole = len(commits) > 1 and set(commits) >= set(self.kept())
        for start in range(0, len(commits), len(commits) if whole else _REFS_AT_ONCE):
            some = commits if whole else commits[start : start + _REFS_AT_ONCE]
            refspecs = [f"{KEPT_CODE}*:{KEPT_CODE}*"] if whole else [f"{id}:{kept_ref(id)}" for id in some]
            answer = push(git, remote, refspecs, silence=silence)
            if answer.code:
                said = " ".join(line.strip() for line in answer.stderr.splitlines() if line.strip())
                raise Refused(
                    f"{remote} did not take the code: {said}",
                    hint="this is the message of the host, or of your pre-push hook",
                )
            for commit in some:
                self._facts.put("pushed", commit, address)

    def fetch(self, commit: Oid) -> bool:
        """If the remote keeps *commit*, fetch it, and create the ref that keeps it here, too.

        The remote is the one that `remote()` returns. Returns False if this repository still lacks the commit.
        """
        remote = self.remote()
        if not remote or not is_code_oid(commit):
            return False
        from gitmodel.git.repositories.remote_commands import fetch

        # In a shallow clone, gitmodel fetches only the commit, without its history.
        depth = ("--depth=1",) if self.code.shallow else ()
        options = ("--no-prune", "--no-auto-maintenance", *depth)
        fetch(self._git, remote, [kept_ref(commit)], *options, silence=SILENCE)
        if not self.code.holds(commit):
            return False
        self.keep(commit)
        return True

    def _address(self, remote: str) -> str:
        url = "".join(push_urls(self._git, remote)[:1])
        return sha1(f"{url}\n".encode("utf-8", "surrogateescape")).hexdigest()
