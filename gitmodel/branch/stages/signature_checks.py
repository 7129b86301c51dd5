"""Verifying the signatures that a rule requires: of the commit that changed the stage, and of the stage tag."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from gitmodel.domain.schema import paths
from gitmodel.domain.schema.object_ids import Oid
from gitmodel.domain.schema.registry_rules.registry_record import RegistryRecord
from gitmodel.domain.snapshots.commit_records import read_registry
from gitmodel.errors import Invalid
from gitmodel.git.history.commit_chains import Commits
from gitmodel.git.history.commits import PARENTS_BEFORE_WALK, commit_times, commits_changing
from gitmodel.git.objects.object_formats import parse_commit, parse_tag
from gitmodel.git.objects.object_reader import GitObject
from gitmodel.git.running.process import Git

if TYPE_CHECKING:
    from gitmodel.git.signatures.object_signatures import Signature, SignatureVerifier

# The seconds by which the clock of a signer may be ahead of the clock of this machine.
_AHEAD = 600
# The end of the year 9999, which is the latest time that `ssh-keygen` accepts, in seconds since 1970.
_LAST = 253402300799
_COUNTS = "sealed"
_NEVER_REQUIRED = "unasked"


class RequiredSignatures:
    """Verifies the signatures of commits and stage tags in one repository.

    The list of signers in the first parent of a commit decides if its signature counts. The key must be listed for the
    latest date of the commit and its chain of first parents, so that a signer cannot backdate a commit. If a method
    gets a time *now*, the key must be listed for this time, too.
    """

    def __init__(self, git: Git, commits: Commits, verifier: Callable[[], SignatureVerifier]) -> None:
        self._git = git
        self._commits = commits
        self._reader = commits.trees.reader
        self._facts = commits.trees.facts
        self._verifier = verifier

    def are_required(self, parents: tuple[Oid, ...], stage: str) -> bool:
        """Return True if the rules in the first of *parents* require a signature of a commit that changes *stage*.

        If an earlier change removed this rule and had to be signed, but was not, the rule still counts.
        """
        if not parents:
            return False
        if self._registry(parents[0]).rule(stage).signed:
            return True
        trusted = None if self.never_required(parents[0]) else self._trusted(parents[0])[0]
        return trusted is not None and self._registry(trusted).rule(stage).signed

    def never_required(self, tip: Oid) -> bool:
        """Return True if no rule in the history of *tip* ever required signatures. Caches the answer True."""
        at = tip
        for _ in range(PARENTS_BEFORE_WALK):
            if self._facts.get(_NEVER_REQUIRED, at):
                break
            if self.requires_any(at):
                return False
            parent = self._commits.read(at).parent
            if parent is None or not self._commits.is_here(parent):
                break
            at = parent
        else:
            if any(self.requires_any(id) for id in commits_changing(self._git, at, paths.REGISTRY)):
                return False
        if not self._facts.get(_NEVER_REQUIRED, tip):
            self._facts.put(_NEVER_REQUIRED, tip, "1")
        return True

    def commit_fault(
        self, id: Oid, data: bytes | None = None, *, now: int | None = None, before: Oid | None = None
    ) -> str:
        """Return the reason why the signature of the commit *id* does not count, or "".

        *data* are the bytes of the commit if it is not written yet. *before* is the commit whose rules and list of
        signers decide, by default the first parent. The key must also be listed for the time *now*, if there is one.
        """
        if data is None and now is None and not before and self._facts.get(_COUNTS, id):
            return ""
        bytes_ = self._reader.get(id).data if data is None else data
        parents = (before,) if before else parse_commit(id, bytes_).parents
        why = self._rules_fault(parents[0]) if parents else ""
        why = why or self._unsigned(id, bytes_, self._allowed(parents[0]) if parents else "", now)
        if not why and data is None and not before:
            self._facts.put(_COUNTS, id, "1")
        return why

    def lists_fault(self, id: Oid, commits: Iterable[Oid]) -> str:
        """Return the reason why the commit *id* is not signed, or its key not listed in each of *commits*, or ""."""
        data = self._reader.get(id).data
        lists = dict.fromkeys(self._allowed(commit) for commit in commits)
        return next((fault for allowed in lists if (fault := self._unsigned(id, data, allowed))), "")

    def tag_fault(
        self, id: Oid, tag: bytes, commit: bytes | None = None, *, now: int | None = None, before: Oid | None = None
    ) -> str:
        """Return the reason why the signature of the tag object *id* with the bytes *tag* does not count, or "".

        *commit* are the bytes of the commit that is tagged, if it is not written yet. *before* is the commit whose
        rules and list of signers decide, by default the first parent of the tagged commit. The key must also be listed
        for the time *now*, if there is one.
        """
        if now is None and not before and self._facts.get(_COUNTS, id):
            return ""
        target = parse_tag(tag).target
        data = self._reader.get(target).data if commit is None else commit
        parents = (before,) if before else parse_commit(target, data).parents
        from gitmodel.git.signatures import object_signatures

        found = object_signatures.of_tag(tag)
        if found is None:
            return "it is not signed"
        if not parents:
            return "its commit has no parent, so no earlier list of signers says who may sign it"
        tagger = _header(found.payload, b"tagger ")
        claimed = max(_seconds(tagger), _seconds(_header(data, b"committer ")))
        why = self._rules_fault(parents[0])
        why = why or self._fault(found, self._allowed(parents[0]), parents[0], (tagger,), claimed, now)
        if not why and commit is None and not before:
            self._facts.put(_COUNTS, id, "1")
        return f"its signature does not count: {why}" if why else ""

    def fault_by_list(self, tag: GitObject, target: GitObject, allowed: str) -> str:
        """Return the reason why the signature of *tag* does not count by the list of signers *allowed*, or "".

        *allowed* is the text of this user's own list. The key must be listed for the later of the dates of the tag and
        its *target*.
        """
        from gitmodel.git.signatures import object_signatures

        found = object_signatures.of_tag(tag.data)
        if found is None:
            return "it is not signed"
        tagger = _header(found.payload, b"tagger ")
        when = min(max(_seconds(tagger), _seconds(_header(target.data, b"committer "))), _LAST)
        why = self._verifier().fault(found, allowed, (_email(tagger),), when) if _email(tagger) else "it names nobody"
        return f"its signature does not count: {why}" if why else ""

    def _unsigned(self, id: Oid, data: bytes, allowed: str, now: int | None = None) -> str:
        """Return the reason why the commit *id* is not signed by a key in the list of signers *allowed*, or "".

        *data* are the bytes of the commit. The key must also be listed for the time *now*, if there is one. The first
        commit of a branch needs no signature.
        """
        from gitmodel.git.signatures import object_signatures

        parents = parse_commit(id, data).parents
        found = object_signatures.of_commit(data)
        if not parents or found is None:
            return f"commit {id[:10]} is not signed" if parents else ""
        author, committer = (_header(found.payload, key) for key in (b"author ", b"committer "))
        why = self._fault(found, allowed, parents[0], (author, committer), _seconds(committer), now)
        return f"commit {id[:10]} does not count as signed: {why}" if why else ""

    def _fault(
        self, found: Signature, allowed: str, parent: Oid, people: tuple[str, ...], claimed: int, now: int | None
    ) -> str:
        emails = tuple(dict.fromkeys(map(_email, people)))
        if not allowed:
            return f"its parent has no file {paths.SIGNERS}"
        if not all(emails):
            return "it lacks the e-mail address of the person who made it"
        when = min(max(claimed, *(seconds for _, seconds in commit_times(self._git, parent))), _LAST)
        if now is not None and when > now + _AHEAD:
            return "it is dated in the future"
        moments = (when,) if now is None else (when, max(when, now))
        faults = (self._verifier().fault(found, allowed, emails, moment) for moment in dict.fromkeys(moments))
        return next((fault for fault in faults if fault), "")

    def _rules_fault(self, commit: Oid) -> str:
        """Return the reason why the rules and the list of signers in *commit* do not count, or "".

        If a change of the rules or of the list had to be signed and was not, they do not count until a signed change.
        """
        why = self._trusted(commit)[1]
        return f"the rules were changed and {why}" if why else ""

    def _trusted(self, commit: Oid) -> tuple[Oid | None, str]:
        """Return the newest commit in the history of *commit* whose rules count, or None if there is none.

        Also returns the reason why the rules in *commit* do not count; "" if they do.
        """
        trusted: Oid | None = None
        allowed = ""  # the text of the newest list of signers that counts
        why = ""
        for id in reversed(commits_changing(self._git, commit, paths.REGISTRY, paths.SIGNERS)):
            asked = bool(trusted and allowed and self.requires_any(trusted))
            why = self._unsigned(id, self._reader.get(id).data, allowed) if asked else ""
            if not why:
                trusted, allowed = id, self._allowed(id) or (allowed if asked else "")
        return trusted, why

    def requires_any(self, commit: Oid) -> bool:
        """Return True if a rule in *commit* requires signatures.

        If the rules cannot be read, returns True if *commit* has a list of signers.
        """
        try:
            return any(rule.signed for rule in self._registry(commit).stages)
        except Invalid:
            return bool(self._allowed(commit))

    def _allowed(self, commit: Oid) -> str:
        """Return the text of the list of signers in *commit*, or "". Raises Invalid if it is no file or too long."""
        return (self._commits.files(commit).read(paths.SIGNERS) or b"").decode("utf-8", "replace")

    def _registry(self, commit: Oid) -> RegistryRecord:
        return read_registry(self._commits.files(commit))


def _header(payload: bytes, key: bytes) -> str:
    """Return the value of the header *key* of a commit or tag; "" if there is no such header, or several."""
    head = payload.partition(b"\n\n")[0]
    found = [line for line in head.split(b"\n") if line.startswith(key)]
    return found[0][len(key) :].decode("utf-8", "replace") if len(found) == 1 else ""


def _email(person: str) -> str:
    """Return the e-mail address in *person*, which is `Name <address> seconds zone`; "" if there is none."""
    return person.rpartition(">")[0].rpartition("<")[2]


def _seconds(person: str) -> int:
    words = person.rsplit(" ", 2)
    return int(words[1]) if len(words) == 3 and words[1].isdigit() else 0
