"""Putting in force the changes that the branch records: choosing the stage tags to set."""

from __future__ import annotations

from collections.abc import Callable, Collection

from gitmodel.branch.repository import Repository
from gitmodel.domain.changes import stages as planning
from gitmodel.domain.changes.stages import StageState
from gitmodel.domain.schema.object_ids import Oid
from gitmodel.domain.schema.records import StageRecord
from gitmodel.domain.schema.refs import StageRef
from gitmodel.domain.snapshots.snapshot import Snapshot
from gitmodel.domain.snapshots.snapshot_sources import TOO_SHALLOW, Refusal
from gitmodel.errors import GitModelError, Invalid, NotFound, Refused
from gitmodel.frozen import Frozen
from gitmodel.git.history.commits import has_merge
from gitmodel.registry.promotion import judging
from gitmodel.registry.promotion.applied_tags import TagAim, set_tags


class InForce(Frozen):
    """A stage tag that moved: *version* is in force now, *previous* was in force before.

    None means that the stage is or was empty. *pushed* is True if the tag moved at the remote, too.
    """

    ref: StageRef
    version: int | None
    previous: int | None
    pushed: bool = False


class Applied(Frozen):
    """The result of `apply`: *changes* are the tags that it moved, *refused* the other pending tags with the reasons.

    *rules* is the id of the new rules tag; "" if the rules in force are unchanged. If *unguarded*, this clone did not
    know which rules were in force, so each change was judged only by the rules in the first parent of its commit.
    *notice* is the error of the notice about the changes; "" if there was none.
    """

    changes: tuple[InForce, ...] = ()
    refused: tuple[tuple[StageRef, str], ...] = ()
    rules: str = ""
    unguarded: bool = False
    notice: str = ""

    @property
    def moved(self) -> tuple[StageRef, ...]:
        """The stages and aliases whose tags moved."""
        return tuple(change.ref for change in self.changes)


class Merged(Frozen):
    """A merge by plain git. Only its second and later parents contain the commits to which the stage *tags* point."""

    commit: Oid
    tags: tuple[str, ...]

    def __str__(self) -> str:
        named = ", ".join(self.tags[:3]) + (f" and {len(self.tags) - 3} more" if len(self.tags) > 3 else "")
        return (
            f"the merge {self.commit[:10]} was made by plain git, and the first parents of the branch no longer lead "
            f"to where {named} {'points' if len(self.tags) == 1 else 'point'}"
        )


def merged_tags(repository: Repository) -> list[Merged]:
    """Return the merges by plain git that took the commits of stage tags off the chain of first parents of the branch.

    `apply` sets these tags again.
    """

    def question(snapshot: Snapshot) -> list[Merged]:
        found: dict[Oid, list[str]] = {}
        for model in sorted(snapshot.tags.models()):
            for _, tag in sorted(snapshot.tags.of(model).items()):
                if tag.merged_by:
                    found.setdefault(tag.merged_by, []).append(tag.ref.name)
        return [Merged(commit, tuple(names)) for commit, names in found.items()]

    # Reading all tags takes long, and is needless if there is no merge on the chain of first parents.
    tip = repository.tip()
    return repository.read(question) if tip and has_merge(repository.git, tip) else []


def apply(
    repository: Repository,
    models: tuple[str, ...] = (),
    *,
    reviewed: Collection[str] = (),
    objection: Callable[[Snapshot, StageRef], Refusal | None] | None = None,
    rewound: bool = False,
) -> Applied:
    """Put recorded changes in force: set every pending stage tag that may move, in one transaction.

    Judges each change by the rules in the first parent of its commit and by the rules in force at that time. *reviewed*
    are commits that the caller knows to be reviewed, although the history does not show it. *objection* is called for
    each pending stage, and can return another reason not to move its tag. If *models* is empty, applies the changes of
    all models, and puts the rules on the branch in force for later changes.

    Raises NotFound if there is no registry or one of *models* does not exist. Raises Refused, and moves nothing, if it
    is unknown which rules are in force, or if the branch no longer contains the commit of a tag and *rewound* is False.
    """
    fetch = repository.tips.lacks_tags()
    if fetch:
        raise NotFound("this clone has no stage tags, which say what is in force", hint=f"fetch them with `{fetch}`")
    if not rewound:  # only `doctor` sets *rewound*, and it reports rewound branches itself
        repository.existing_tip()
        repository.rules.check()
    before = None if rewound else repository.rules.id()
    chosen: list[_Choice] = []

    def choose(snapshot: Snapshot) -> list[TagAim]:
        choice = _Choice(repository, snapshot, reviewed, objection, rewound)
        for name in _names_to_apply(snapshot, models):
            choice.add_model(name, tolerant=not models)
        chosen[:] = [choice]
        return choice.ready

    moved, unsigned = set_tags(repository, choose, rules=not models)
    choice = chosen[0]
    current = (ref for ref in moved if choice.snapshot.current_name(ref.model, tolerant=True) == ref.model)
    changes = tuple(choice.changes[ref] for ref in current)
    rules = repository.rules.id()
    unguarded = not before and not repository.head().registry().is_open
    moved_rules = (rules or "") if before not in (None, rules) else ""
    return Applied(changes, (*choice.refused, *unsigned), moved_rules, unguarded)


def _names_to_apply(snapshot: Snapshot, models: tuple[str, ...]) -> list[str]:
    """Return the current names of *models* (none: all models), and then their former names. Raises NotFound."""
    tagged = snapshot.tags.models()
    names = [snapshot.model_to_read(model) for model in models]
    for name in names:
        if name not in tagged:
            snapshot.model(name)
    every = {name for own in names for name in (own, *snapshot.former_names(own))}
    every = every or {*snapshot.model_names(), *tagged}
    # A tag under a former name is deleted only if the tag under the current name is set, so former names come last.
    return sorted(every, key=lambda name: (snapshot.current_name(name, tolerant=True) != name, name))


class _Choice:
    """Chooses the stage tags to set or delete (*ready*), from one snapshot.

    *changes* are the changes that these tags put in force, *refused* the other pending tags with the reasons.
    """

    def __init__(
        self,
        repository: Repository,
        snapshot: Snapshot,
        reviewed: Collection[str],
        objection: Callable[[Snapshot, StageRef], Refusal | None] | None,
        rewound: bool,
    ) -> None:
        self._repository = repository
        self.snapshot = snapshot
        self._reviewed = reviewed
        self._objection = objection
        self._rewound = rewound
        self.ready: list[TagAim] = []
        self.changes: dict[StageRef, InForce] = {}
        self.refused: list[tuple[StageRef, str]] = []

    def add_model(self, name: str, *, tolerant: bool) -> None:
        """Add the pending tags of a model. If it is damaged, raise Invalid, or refuse its tags if *tolerant*."""
        try:
            states = planning.stage_states(self.snapshot, name)
        except Invalid as error:
            if not tolerant:
                raise
            self.refused.append((StageRef(name, ""), error.message))
            return
        for tag in planning.stray_tags(self.snapshot, name) if self._rewound else ():
            self._add(TagAim(tag.ref), None, None)
        for state in states:
            ref = StageRef(name, state.name)
            has_to_move = state.pending or state.forged or state.merged_by or state.former
            if has_to_move and not self._stands_in(ref):
                self._add_stage(ref, state)

    def _add_stage(self, ref: StageRef, state: StageState) -> None:
        if not self._rewound:
            self._check_descent(ref)
        refusal = self._refusal(ref, state)
        if refusal is None:
            vouched = None
            if not state.alias:
                vouched = judging.vouched_for(self._repository, self.snapshot, ref, self._reviewed)
            self._add(TagAim(ref, vouched=vouched), state.recorded, state.in_force)
            return
        self.refused.append((ref, str(refusal)))
        if self._objection is None and not state.alias:
            counting = self._counting(ref, state)
            if counting is not None:
                self._add(*counting, state.in_force)

    def _refusal(self, ref: StageRef, state: StageState) -> Refusal | None:
        """Return the reason why the recorded change of the stage or alias *ref* must not be in force, or None."""
        unfit = self._unfit(ref, state)
        if unfit is not None:
            return unfit
        if state.alias:
            return judging.alias_refusal(self._repository, self.snapshot, ref)
        objection = self._objection(self.snapshot, ref) if self._objection else None
        return objection or judging.entry_refusal(self._repository, self.snapshot, ref, self._reviewed)

    def _add(self, aim: TagAim, version: int | None, previous: int | None) -> None:
        self.ready.append(aim)
        self.changes[aim.ref] = InForce(aim.ref, version, previous)

    def _stands_in(self, ref: StageRef) -> bool:
        """Return True if the tag *ref* has a former name of its model, and stands in for a tag with the current name.

        It does if the branch records a version for this tag, and the tag neither exists nor is about to be set.
        """
        own = StageRef(self.snapshot.current_name(ref.model, tolerant=True), ref.stage)
        if own == ref or self.snapshot.tags.get(own) is not None or any(aim.ref == own for aim in self.ready):
            return False
        return self.snapshot.recorded_place(own) is not None

    def _counting(self, ref: StageRef, state: StageState) -> tuple[TagAim, int | None] | None:
        """If the newest change of the stage *ref* does not count, plan to move its tag to the newest that counts.

        Returns the plan and the version that it puts in force. If no change counts, plans to delete a tag that does not
        count. Returns None if the tag stays.
        """
        try:
            found, later = judging.newest_counting(self._repository, self.snapshot.commit, ref, self._reviewed)
        except GitModelError:
            return None
        if not later:
            return None  # the newest change meets its rules, but cannot be in force for another reason
        tag = self.snapshot.tags.get(ref)
        if found is None or found.ref != ref:
            return (TagAim(ref, goes=True), None) if state.forged and state.forged != TOO_SHALLOW else None
        if tag is not None and not tag.forged and tag.record == found.record:
            return None
        if found.record is None:
            return (TagAim(ref, goes=True), None) if tag is not None else None
        if self._unusable(ref, found.record):
            return None
        return TagAim(ref, found.commit), found.record.version

    def _unusable(self, ref: StageRef, record: StageRecord) -> Refusal | None:
        """Return the reason why the version in *record* must not be in force, or None if it may."""
        try:
            version = planning.promotable(self.snapshot, ref.model, record.version)
        except GitModelError as error:
            return Refusal(error.message)
        if not record.promoted(version):
            return Refusal(f"the artifacts of {ref.model} {record.version} are not those that were promoted")
        return None

    def _check_descent(self, ref: StageRef) -> None:
        """Raise Refused if the branch does not contain the commit of the stage's tag."""
        tag = self.snapshot.tags.get(ref)
        if tag is None or tag.record is None or tag.merged_by:
            return
        if not self._repository.commits.is_on_chain(self.snapshot.commit, tag.target):
            raise Refused(
                f"the metadata branch does not descend from {tag.target[:10]}, from which {ref.name} was applied",
                hint="somebody rewound the branch or moved the tag by hand; find out who did it; "
                "`git model doctor --fix` sets every tag to match the branch",
            )

    def _unfit(self, ref: StageRef, state: StageState) -> Refusal | None:
        """Return the reason, apart from rules, why the recorded change of *ref* cannot be in force; or None."""
        snapshot = self.snapshot
        if state.recorded is None:
            leftover = snapshot.recorded(ref.model, ref.stage) if state.in_force is None else None
            return Refusal(f"{ref.model} {leftover.version} is in another stage too") if leftover else None
        record = (snapshot.recorded_alias if state.alias else snapshot.recorded)(ref.model, ref.stage)
        return self._unusable(ref, record) if record is not None else None
