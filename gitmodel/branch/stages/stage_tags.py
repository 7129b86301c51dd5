"""Stage tags: reading them, judging if they count, and making the tag that belongs to a commit."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from gitmodel.branch.stages.signature_checks import RequiredSignatures
from gitmodel.domain.schema import paths, records
from gitmodel.domain.schema.digests import sha256
from gitmodel.domain.schema.object_ids import Oid
from gitmodel.domain.schema.records import StageRecord
from gitmodel.domain.schema.refs import STAGE_TAGS, StageRef
from gitmodel.domain.snapshots.commit_records import place_files, read_registry
from gitmodel.domain.snapshots.snapshot_sources import TOO_SHALLOW, StageTag
from gitmodel.errors import Invalid
from gitmodel.git.history.commit_chains import Commits
from gitmodel.git.history.commits import commits_changing
from gitmodel.git.objects.object_formats import FOLDER, NewObject, format_tag, parse_commit, parse_tag
from gitmodel.git.objects.object_reader import GitObject
from gitmodel.git.refs.ref_commands import list_refs
from gitmodel.git.running.failures import Moved
from gitmodel.git.running.process import Git

if TYPE_CHECKING:
    from gitmodel.git.signatures.object_signatures import SignatureVerifier

_SIGNED = "signedby"
# For more models than this, gitmodel lists the tags of all models instead of naming each model to git.
_MOST_PREFIXES = 100
# gitmodel reads ahead for this many models at once: not for more, so that the caches have room for all that it reads.
# If there are more than a few models, it reads the whole chain of first parents once, which takes less time than a
# search for the commit of each tag.
_MODELS_AHEAD, _FEW_MODELS = 100, 16
_OFF_BRANCH = "its commit is not on the metadata branch"


class StageTags:
    """Reads and judges the stage tags of one repository, and makes new ones without writing them."""

    def __init__(self, git: Git, commits: Commits, verifier: Callable[[], SignatureVerifier]) -> None:
        self._git = git
        self._reader = commits.trees.reader
        self._trees = commits.trees
        self._facts = commits.trees.facts
        self.commits = commits
        self._verifier = verifier
        self.signatures = RequiredSignatures(git, commits, verifier)
        # If this user configured a list of signers of their own, this function is called with each judged tag, and
        # returns a forged tag if no signer in that list signed it.
        self.extra_check: Callable[[StageTag, GitObject], StageTag] | None = None

    def id(self, ref: StageRef) -> Oid | None:
        """Return the id of the current tag object of *ref*; None if there is no tag."""
        return self._reader.resolve_id(ref.full)

    def read(self, ref: StageRef) -> GitObject | None:
        """Return the current tag object of *ref*; None if there is no tag."""
        return self._reader.resolve(ref.full)

    def all(self, *models: str) -> dict[StageRef, Oid]:
        """Return the id of the tag object of each stage tag of *models*, by default of all models."""
        prefixes = [f"{STAGE_TAGS}{model}/" for model in models] or [STAGE_TAGS]
        found = ((StageRef.parse(name), id) for name, id in list_refs(self._git, *prefixes).items())
        return {ref: id for ref, id in found if ref is not None}

    def read_ahead(self, refs: Iterable[StageRef]) -> None:
        """Cache what `judge` reads about the tags of *refs*, in few requests to git. Errors are left to `judge`.

        Without this, `judge` would read the large folder of all models twice for each tag.
        """
        wanted = list(refs)
        with suppress(Invalid):
            tags = self._reader.resolve_many([ref.full for ref in wanted])
            targets = [(ref, *target_of(ref, tag)) for ref, tag in zip(wanted, tags, strict=True) if tag is not None]
            sound = [(ref, target) for ref, target, fault in targets if not fault]
            self.commits.read_ahead(target for _, target in sound)
            commits = [(ref, self.commits.read(target)) for ref, target in sound]
            self.commits.read_ahead(commit.parent for _, commit in commits if commit.parent)
            folders = [
                (self.commits.read(id).tree, paths.model_folder(ref.model))
                for ref, commit in commits
                for id in (commit.id, commit.parent)
                if id
            ]
            self._trees.read_folders(folders)
            entries = (self._trees.folder(*folder).values() for folder in folders)
            self._trees.read_ahead(entry.id for found in entries for entry in found if entry.mode == FOLDER)

    def judge(self, ref: StageRef, found: GitObject, tip: Oid | None) -> StageTag:
        """Return the stage tag in the tag object *found* under *ref*. Judge if it counts on the branch at *tip*.

        If it does not count and the stage is `signed`, the result of `signed_by` is in force instead. Otherwise anybody
        who may push a tag could empty the stage.
        """
        judged = self._judge(ref, found, tip)
        if not judged.forged or judged.forged == TOO_SHALLOW:
            return judged
        commit = self.signed_by(ref, tip)
        path = paths.stage_file(ref.model, ref.stage)
        return replace(judged, instead=self._stage_record(commit, path)) if commit else judged

    def signed_by(self, ref: StageRef, tip: Oid | None) -> Oid | None:
        """Return the newest commit in the history of *tip* that changed the stage *ref* with the signature it needed.

        Returns None if there is no such commit, or if the stage is not `signed`.
        """
        path = paths.stage_file(ref.model, ref.stage)
        try:
            signatures = self.signatures
            if tip is None or signatures.never_required(tip) or not signatures.are_required((tip,), ref.stage):
                return None
            key = sha256(f"{tip} {ref.name}".encode())
            known = self._facts.get_oid(_SIGNED, key)
            if known:
                return known
            for id in commits_changing(self._git, tip, path):
                parents = self.commits.read(id).parents
                if not signatures.are_required(parents, ref.stage) or not signatures.commit_fault(id):
                    self._facts.put(_SIGNED, key, id)
                    return id
        except Invalid:
            pass
        return None

    def _judge(self, ref: StageRef, found: GitObject, tip: Oid | None) -> StageTag:
        target, fault = target_of(ref, found)
        if fault or tip is None:
            return StageTag(ref, found.id, target, None, fault or _OFF_BRANCH)
        try:
            record, merge = self._set_by(target, ref, tip), None
            if not self.commits.is_on_chain(tip, target):
                merge = self.commits.merged_by(tip, target)
                if merge is None:
                    why = TOO_SHALLOW if self.commits.is_cut(tip) else _OFF_BRANCH
                    return StageTag(ref, found.id, target, record, why)
                if not self._is_kept(merge, target, self._places(tip, ref)):
                    forged = f"{merge[:10]} merged its commit {target[:10]} and changed {ref.stage} of {ref.model}"
                    return StageTag(ref, found.id, target, record, forged, merge)
            forged = f"its commit {target[:10]} did not set {ref.stage} of {ref.model}"
            if record is not None:
                forged = "" if self.signatures.never_required(tip) else self._signature_fault(ref, found, target, merge)
        except Invalid as error:
            return StageTag(
                ref, found.id, target, None, TOO_SHALLOW if self.commits.is_hidden(target) else error.message
            )
        return StageTag(ref, found.id, target, record, forged, merge)

    def judge_alone(self, ref: StageRef, found: GitObject) -> StageTag:
        """Return the stage tag in the tag object *found* under *ref*, judged by only the tag and its commit.

        Does not check that the commit is on the branch: the server must have checked this before it accepted the tag.
        """
        target, fault = target_of(ref, found)
        if fault:
            return StageTag(ref, found.id, target, None, fault)
        path = self._recorded_path(target, ref)
        if path is None:
            return StageTag(ref, found.id, target, None, f"its commit {target[:10]} has no {ref.stage} of {ref.model}")
        return StageTag(ref, found.id, target, self._stage_record(target, path))

    def is_of_registry(self, ref: StageRef, found: GitObject) -> bool:
        """Return True if the tag object *found* of *ref* points at a commit, on any branch, with a record of *ref*."""
        try:
            return self.judge_alone(ref, found).record is not None
        except Invalid:
            return False

    def agrees(self, ref: StageRef, old: Oid | None, wanted: NewObject, new: NewObject | None = None) -> bool:
        """Return True if the current tag object *old* of *ref* may stay, so that *wanted* need not be written.

        *old* must have the same name and target as *wanted*. If the stage requires signatures, those of *old* and its
        target must count. Otherwise *old* must be equal to *wanted* or have a valid signature. *new* is the new commit,
        if it is not written yet: no existing tag can point at it.
        """
        target = parse_tag(wanted.data).target
        if not old or (new is not None and new.id == target):
            return False
        found = self._reader.get(old)
        if found.type != "tag" or parse_tag(found.data) != parse_tag(wanted.data):
            return False
        if self.signatures.are_required(self.commits.read(target).parents, ref.stage):
            return not self._signature_fault(ref, found, target)
        if old == wanted.id:
            return True
        from gitmodel.git.signatures import object_signatures  # imported here: few tags differ from the computed one

        signature = object_signatures.of_tag(found.data)
        return signature is not None and self._verifier().signer(signature) != ""

    def _signature_fault(self, ref: StageRef, found: GitObject, target: Oid, merge: Oid | None = None) -> str:
        """Return the reason why the signatures of the tag *found* and its commit *target* do not count, or "".

        If the commit *merge* merged *target*, both the rules in the first parent of *target* and those in the first
        parent of *merge* must be met: a merged branch may have other rules than the branch into which it was merged.
        """
        signatures = self.signatures
        if signatures.are_required(self.commits.read(target).parents, ref.stage):
            why = signatures.tag_fault(found.id, found.data) or signatures.commit_fault(target)
            if why:
                return why
        before = self.commits.read(merge).parents[:1] if merge else ()
        if not signatures.are_required(before, ref.stage):
            return ""
        (parent,) = before
        why = signatures.tag_fault(found.id, found.data, before=parent)
        return why or signatures.commit_fault(target, before=parent)

    def _is_kept(self, merge: Oid, commit: Oid, places: Iterable[str]) -> bool:
        """Return True if *merge* has the same files at the paths *places* as *commit*, and at least one such file."""
        files, merged = self.commits.files(commit), self.commits.files(merge)
        ids = [(files.id(path), merged.id(path)) for path in places]
        return any(id is not None for id, _ in ids) and all(id == there for id, there in ids)

    def recorded_at(self, tip: Oid | None, ref: StageRef) -> NewObject | None:
        """Return the tag of *ref* that agrees with the branch at *tip*, not written yet; None if the stage has no file.

        The tag points at the newest commit that changed the file. Raises Invalid if a shallow clone may lack it.
        """
        path = self._recorded_path(tip, ref) if tip else None
        if tip is None or path is None:
            return None
        commit = self.commits.changed_by(tip, path)
        assert commit is not None  # the file exists, so a commit changed it
        return self._set_at(ref, commit, path)

    def set_at(self, ref: StageRef, commit: Oid) -> NewObject | None:
        """Return the tag of *ref* at *commit*, which changed the stage's file; None if *commit* has no such file."""
        path = self._recorded_path(commit, ref)
        return None if path is None else self._set_at(ref, commit, path)

    def _set_at(self, ref: StageRef, id: Oid, path: str) -> NewObject:
        commit = self.commits.read(id)
        before = self._stage_record(commit.parent, path) if commit.parent else None
        after = self._stage_record(commit.id, path)
        assert after is not None
        return self._tag(ref, commit.id, self.commits.author(commit, path), commit.committer, before, after)

    def new_tag(self, ref: StageRef, id: Oid, data: bytes, before: StageRecord | None, after: StageRecord) -> NewObject:
        """Return the tag of *ref* at the new commit *id* with the bytes *data*. The commit need not be written yet.

        *before* and *after* are the records of the stage before and in this commit.
        """
        commit = parse_commit(id, data)
        return self._tag(ref, id, commit.author, commit.committer, before, after)

    def _tag(
        self, ref: StageRef, id: Oid, author: str, committer: str, before: StageRecord | None, after: StageRecord
    ) -> NewObject:
        # The tagger is derived from the commit, because each clone must make the same tag for it.
        tagger = f"{author.rsplit(' ', 2)[0]} {' '.join(committer.rsplit(' ', 2)[1:])}"
        from gitmodel.domain.schema.messages import tag_message  # imported here because only writes need it

        message = tag_message(ref, before.version if before else None, after.version, after.reason)
        return NewObject("tag", format_tag(id, ref.name, tagger, message))

    def _set_by(self, commit: Oid, ref: StageRef, tip: Oid) -> StageRecord | None:
        """Return the record of *ref* in *commit*; None if *commit* did not change this record, or has none.

        *tip* is the commit whose list of stages decides which files can have this record.
        """
        parent = self.commits.read(commit).parent
        for path in self._places(tip, ref):
            id = self.commits.files(commit).id(path)
            if id is None or (parent and self.commits.files(parent).id(path) == id):
                continue
            return self._stage_record(commit, path)
        return None

    def _places(self, commit: Oid, ref: StageRef) -> tuple[str, ...]:
        """Return the paths of the files that may say which version is in *ref*, by the list of stages in *commit*."""
        return place_files(read_registry(self.commits.files(commit)), ref)

    def _recorded_path(self, commit: Oid, ref: StageRef) -> str | None:
        """Return the path of the file in *commit* that says which version is in *ref*, or None."""
        files = self.commits.files(commit)
        return next((path for path in self._places(commit, ref) if files.id(path) is not None), None)

    def _stage_record(self, commit: Oid, path: str) -> StageRecord | None:
        return self.commits.files(commit).load(path, records.StageRecord, newer=True)


class SnapshotTags:
    """The stage tags of a snapshot at *commit*, read on demand; implements `domain.snapshots.snapshot_sources.Tags`.

    A read of a tag raises Moved if the tag does not count at *commit* and *tip* returns another commit now.
    """

    all_known = True

    def __init__(self, tags: StageTags, commit: Oid | None, tip: Callable[[], Oid | None]) -> None:
        self._tags = tags
        self._commit = commit
        self._tip = tip
        # The ids of the tag objects of the models that were listed so far, by model.
        self._by_model: dict[str, dict[StageRef, Oid]] = {}
        self._has_all = False
        # All models with tags, in the order in which a caller will probably call `of`, and those that were read ahead.
        self._names: list[str] = []
        self._ahead: set[str] = set()

    def get(self, ref: StageRef) -> StageTag | None:
        found = self._tags.read(ref)
        return None if found is None else self._judge(ref, found)

    def of(self, model: str) -> Mapping[str, StageTag]:
        if self._has_all and model in self._by_model and model not in self._ahead:
            self._read_ahead_from(model)
        found = {ref.stage: self.get(ref) for ref in self.ids(model)}
        return {stage: tag for stage, tag in found.items() if tag is not None}

    def models(self) -> frozenset[str]:
        if not self._has_all:
            self._by_model, self._has_all = {}, True
            for ref, id in self._tags.all().items():
                self._by_model.setdefault(ref.model, {})[ref] = id
            self._names = sorted(self._by_model)
        return frozenset(self._by_model)

    def list_of(self, models: Collection[str]) -> None:
        """List the tags of *models* in one call of git, so that `of` need not list the tags of each model."""
        if len(models) > _MOST_PREFIXES:
            self.models()
        elif models and not self._has_all:
            self._by_model |= {model: {} for model in models}
            for ref, id in self._tags.all(*models).items():
                self._by_model.setdefault(ref.model, {})[ref] = id

    def read_ahead(self, refs: Iterable[StageRef]) -> None:
        """Cache what `get` reads for the tags of *refs*, in few requests to git."""
        self._tags.read_ahead(refs)

    def ids(self, model: str) -> Mapping[StageRef, Oid]:
        """Return the ids of the tag objects of all stage tags of *model*."""
        if self._has_all or model in self._by_model:
            return self._by_model.get(model, {})
        return self._tags.all(model)

    @property
    def depend_on_objects_only(self) -> bool:
        """True if git objects alone decide which tags count, so that the answer can be cached by object ids.

        Not so in a shallow clone, and if this user has a list of signers of their own.
        """
        return self._tags.extra_check is None and not self._tags.commits.shallow

    @property
    def commits(self) -> Commits:
        """The commits of the repository."""
        return self._tags.commits

    def _read_ahead_from(self, model: str) -> None:
        """Cache what `judge` reads for the tags of *model* and of the 99 models that follow it in the list."""
        if self._commit and not self._ahead and len(self._names) > _FEW_MODELS:
            self.commits.read_chain(self._commit)
        begin = bisect_left(self._names, model)
        names = self._names[begin : begin + _MODELS_AHEAD]
        self._ahead.update(names)
        self.read_ahead(ref for name in names for ref in self._by_model[name])

    def _judge(self, ref: StageRef, found: GitObject) -> StageTag:
        judged = self._tags.judge(ref, found, self._commit)
        if judged.forged and self._tip() != self._commit:
            # The tag may belong to a commit that was made after the snapshot was read.
            raise Moved("the branch moved while it was read", hint="try again")
        return judged if self._tags.extra_check is None else self._tags.extra_check(judged, found)


def target_of(ref: StageRef, found: GitObject) -> tuple[Oid, str]:
    """Return the target of the object *found* under *ref*, and the reason why *found* is no stage tag, or ""."""
    if found.type != "tag":
        return found.id, "it is not an annotated tag"
    tag = parse_tag(found.data)
    if tag.name != ref.name:
        return tag.target, f"the tag inside is called {tag.name!a}"
    if tag.target_type != "commit":
        return tag.target, f"it points at a {tag.target_type}"
    return tag.target, ""
