"""Signing the commits and tags of changes if the rules or git's configuration require it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from gitmodel.branch.stages.stage_tags import StageTags
from gitmodel.domain.schema import paths
from gitmodel.domain.schema.refs import StageRef
from gitmodel.domain.snapshots.snapshot import Snapshot
from gitmodel.domain.snapshots.snapshot_sources import StageTag
from gitmodel.errors import Unsigned, UsageError
from gitmodel.git.objects.object_formats import NewObject, parse_commit, parse_tag
from gitmodel.git.objects.object_reader import GitObject, ObjectReader
from gitmodel.git.running.process import Git
from gitmodel.git.settings.configuration import read_path
from gitmodel.git.settings.identity import Identity

if TYPE_CHECKING:
    from gitmodel.git.signatures.object_signatures import SignatureVerifier
    from gitmodel.git.signatures.signing import Signer


@dataclass(eq=False)
class ChangeSigning:
    """Signs changes of one repository, whose metadata branch is *branch*."""

    git: Git
    config: Mapping[str, str]
    reader: ObjectReader
    tags: StageTags
    identity: Identity
    branch: str

    @cached_property
    def verifier(self) -> SignatureVerifier:
        # imported here because only registries with signed stages need it
        from gitmodel.git.signatures.object_signatures import SignatureVerifier

        return SignatureVerifier(self.git.environ, self.config)

    @cached_property
    def signer(self) -> Signer:
        from gitmodel.git.signatures.signing import Signer

        return Signer(self.git, self.config, self.verifier)

    def is_required(self, snapshot: Snapshot, files: Mapping[str, bytes | None]) -> bool:
        """Return True if the rules in *snapshot* require a signature for a change of *files* (paths and new contents).

        Raises Unsigned if *files* change a `signed` stage, but the list of signers is missing or empty.
        """
        rules = [rule for rule in snapshot.registry().stages if rule.signed]
        if not rules or not snapshot.commit:
            return False
        changed = [path for path, data in files.items() if data != snapshot.files.read(path)]
        found = [paths.parse_path(path) for path in changed if path not in (paths.REGISTRY, paths.SIGNERS)]
        stages = {what.key for what in found if what is not None and what.kind == "stage"}
        signed = [rule.name for rule in rules if rule.name in stages]
        if not snapshot.files.read(paths.SIGNERS):
            if signed:
                raise Unsigned(
                    f"{signed[0]} takes only signed changes, and {paths.SIGNERS} lists nobody who may sign",
                    hint=f"commit {paths.SIGNERS}, with the keys that may sign, to "
                    f"{self.branch.removeprefix('refs/heads/')}; or remove `signed = true` from gitmodel.toml there",
                )
            return False
        return len(found) < len(changed) or bool(signed)

    def tag(
        self, ref: StageRef, tag: NewObject, commit: NewObject | None = None, *, new_registry: bool = False
    ) -> NewObject:
        """Return *tag*, with a signature if git's configuration or the rule of the stage *ref* requires one.

        *commit* is the commit that is tagged, if it is not written yet. If *new_registry* is True, no rules require a
        signature. Raises Unsigned if the signature does not count by the rules, for example because the key is not
        listed.
        """
        target = parse_tag(tag.data).target
        own = commit if commit is not None and commit.id == target else None
        data = own.data if own else self.reader.get(target).data
        required = not new_registry and self.tags.signatures.are_required(parse_commit(target, data).parents, ref.stage)
        if not required and not self.signer.signs_tags:
            return tag
        signed = self.signer.tag(tag, self.identity.now()[1])
        if required:
            now = int(self.identity.moment().timestamp())
            fault = self.tags.signatures.tag_fault(signed.id, signed.data, own.data if own else None, now=now)
            self._check(fault and f"the tag {ref.name} cannot be set: {fault}")
        return signed

    def check_commit(self, commit: NewObject) -> None:
        """Raise Unsigned if the signature of the new *commit* is missing, or does not count by its parent's rules."""
        self._check(self.tags.signatures.commit_fault(commit.id, commit.data))

    def judged_by_own_signers(self, tag: StageTag, found: GitObject) -> StageTag:
        """Return *tag*, as a forged tag if no signer in this user's own list signed the tag object *found*.

        The list is the file that `git config gitmodel.allowedSigners` names; without it, *tag* stays unchanged. Raises
        UsageError if the file cannot be read.
        """
        if not self.config.get("gitmodel.allowedsigners"):
            return tag
        if tag.forged:
            # The user's own list replaces the registry's. So the record of the newest change that counts by the
            # registry's list (`instead`) is not in force either.
            return replace(tag, instead=None)
        named = read_path(self.git, "gitmodel.allowedSigners")
        try:
            allowed = Path(named).read_text(encoding="utf-8", errors="replace")
        except OSError as error:
            raise UsageError(
                f"the list of signers {named} cannot be read: {error.strerror}",
                hint="run `git config --get-all --show-origin gitmodel.allowedSigners`",
            ) from None
        why = self.tags.signatures.fault_by_list(found, self.reader.get(tag.target), allowed)
        return replace(tag, record=None, forged=why) if why else tag

    def _check(self, fault: str) -> None:
        if fault:
            raise Unsigned(
                f"the rules of the stage require a valid signature: {fault}",
                hint=f"ask a signer: `git show {self.branch.removeprefix('refs/heads/')}:{paths.SIGNERS}` lists them",
            )
