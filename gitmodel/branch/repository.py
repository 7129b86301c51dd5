"""The registry repository: snapshots of its metadata branch and the one transaction that changes it."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from fnmatch import fnmatchcase
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from gitmodel.branch.foreign_tags import refuse_foreign, refuse_second_registry
from gitmodel.branch.retrying import ATTEMPTS, Tries, half_done
from gitmodel.branch.rules_in_force import RulesInForce, are_same
from gitmodel.branch.signed_changes import Sealing
from gitmodel.branch.stage_tags import StageTags, TagAim
from gitmodel.domain.changes.changed_files import Overlay
from gitmodel.domain.changes.stage_changes import check_stage_changes
from gitmodel.domain.changes.stages import leftovers
from gitmodel.domain.schema import codec, messages, paths, records
from gitmodel.domain.schema.records import RegistryRecord
from gitmodel.domain.schema.references import VersionRef
from gitmodel.domain.schema.refs import (
    REMOTES,
    RENUMBERED,
    RESERVED,
    RULES_TAGS,
    STAGE_TAGS,
    StageRef,
    remote_branch_ref,
    remote_rules_ref,
    reserved_name_ref,
    reserved_ref,
    vouched_ref,
)
from gitmodel.domain.schema.renumbering import Renumbered, Renumberings
from gitmodel.domain.snapshot import Change, Files, NoTags, Snapshot, holds_registry, place_at, read_registry
from gitmodel.errors import Conflict, GitModelError, Invalid, NotFound, Refused, Unreachable
from gitmodel.files.permissions import Sharing
from gitmodel.git.fact_cache import Notes
from gitmodel.git.identity import Identity
from gitmodel.git.objects import LooseObjects, NewObject, format_commit, format_pack, parse_commit, parse_tag
from gitmodel.git.process import (
    FETCH,
    Git,
    GitError,
    GitObject,
    Locked,
    Moved,
    ObjectReader,
    check_git,
)
from gitmodel.git.refs import RefMove
from gitmodel.git.trees import CommitFiles, Trees, changed_tree

if TYPE_CHECKING:
    from gitmodel.git.ref_locks import Writers

T = TypeVar("T")

# What a person tells `git fetch` to get stage tags and the rules in force.
_FETCHED_TAGS = " ".join(f"'+{prefix}*:{prefix}*'" for prefix in (STAGE_TAGS, RULES_TAGS))
_REMOTE_URL = re.compile(r"remote\..+\.url", re.DOTALL)
_GC_ATTEMPTS = 10


class Repository:
    """A git repository as a registry: reads its metadata branch by object id and changes it in transactions.

    Open it with `open_repository`; it is safe to use from several threads, and `close` ends its processes. *url* is ""
    for a repository on this machine.
    """

    url = ""

    def __init__(
        self,
        git: Git,
        *,
        branch: str,
        config: Mapping[str, str],
        objects_folder: Path,
        shallow: bool,
        trees: Callable[[ObjectReader, Notes], Trees] = Trees,
    ) -> None:
        self.git = git
        self.branch = branch
        self.config = config
        self.shallow = shallow
        self._closed = False
        self._renumbered = ("", Renumberings())
        self.reader = ObjectReader(git)
        self.notes = Notes(git.common_dir / "gitmodel" / "notes")
        self.trees = trees(self.reader, self.notes)
        self.tags = StageTags(git, self.reader, self.trees, self.notes, lambda: self.sealing.verifier, shallow=shallow)
        self.objects = LooseObjects(objects_folder, config.get("core.sharedrepository", ""))
        self.identity = Identity(git)
        self.rules = RulesInForce(git, self.reader, self.trees, self.notes, self.tags, branch)
        self.sealing = Sealing(git, config, self.reader, self.tags, self.identity, branch)
        self._checked = False
        self._known_registry = ""
        # Why a rule keeps what is recorded of a stage from being in force, for who shows it: that is not known here.
        self.doubt: Callable[[Snapshot, StageRef], str] = lambda snapshot, ref: ""
        # Called when it was closed: removes the temporary folder that it is in, if it is in one.
        self.on_close: Callable[[], object] = lambda: None
        # Called with the note on a renumbered version when a reference that a person wrote is read.
        self.on_renumbered: Callable[[Renumbered], None] = lambda note: None

    @cached_property
    def writers(self) -> Writers:
        """The processes that move refs of the repository at this moment."""
        from gitmodel.git.ref_locks import Writers

        return Writers(self.git.common_dir)

    @cached_property
    def sharing(self) -> Sharing:
        """The other users with whom the repository is shared, by `core.sharedRepository`."""
        return Sharing(self.config.get("core.sharedrepository", ""))

    @property
    def own_folder(self) -> Path:
        """The folder for files of gitmodel's own; `share` makes it."""
        return self.git.common_dir / "gitmodel"

    def share(self) -> None:
        """Make `own_folder` with the permissions of `core.sharedRepository`, if it is not there."""
        with suppress(OSError):  # whatever writes there says so
            self.sharing.make_folder(self.own_folder)

    @property
    def common_dir(self) -> Path:
        """The folder that all work trees of the repository share."""
        return self.git.common_dir

    def close(self) -> None:
        """End every process and thread that was started for this repository."""
        self._closed = True
        self.reader.close()
        self.objects.close()
        self.on_close()

    def tip(self) -> str:
        """The commit that reads start from: the local branch, else a remote's copy of it, else "" (no registry).

        Raises NotFound for a branch that holds no registry, and for a clone that may lack the branch of its remote.
        """
        found = self._registry_at(self._find_tip(), NotFound)
        if not found:
            self._refuse_partial_clone()
        return found

    def existing_tip(self) -> str:
        """Return the commit that reads start from. Raises NotFound if there is no registry."""
        tip = self.tip()
        if not tip:
            raise NotFound("there is no registry yet", hint="run `git model init`, or `git model pull`")
        return tip

    def writable_tip(self) -> str:
        """The same for writes. Raises Refused for a branch that holds no registry."""
        return self._registry_at(self._find_tip(), Refused)

    def _find_tip(self) -> str:
        found = self.reader.resolve(self.branch)
        if found is None:
            self._refuse_broken()
            tracking = self.tracking_branch()
            found = self.reader.resolve(tracking) if tracking else None
        if found is None:
            # cat-file says the same of a ref whose object is gone, which must not pass for a registry to be begun.
            lost = self.git.lines("rev-parse", "--verify", "--quiet", self.branch, answers=(0, 1))
            if lost and self.reader.resolve(self.branch) is None:
                raise self._without_tip(lost[0])
        if found is not None and found.type != "commit":
            raise Invalid(f"{self.branch} is not a commit", hint="run `git fsck`")
        return found.id if found else ""

    def _refuse_partial_clone(self) -> None:
        """Raise NotFound if the remote may have the registry, and this clone was told not to fetch it."""
        remote, name = self.remote_name(), self.branch.removeprefix("refs/heads/")
        if self.url or not remote or not (self.shallow or not self._fetches(remote)):
            return
        raise NotFound(
            f"the registry is not in this clone: it has no branch {name}, and does not fetch all of {remote}",
            hint=f"fetch it with `git fetch {remote} '+{self.branch}:refs/remotes/{remote}/{name}' "
            f"{_FETCHED_TAGS}`; if {remote} has none, begin one with `git model init`",
        )

    def _fetches(self, remote: str) -> bool:
        """Return True if a plain `git fetch` of *remote* fetches the metadata branch."""
        specs = self.git.lines("config", "--get-all", f"remote.{remote}.fetch", answers=(0, 1))
        sources = (spec.lstrip("+").partition(":")[0] for spec in specs if not spec.startswith("^"))
        return any(fnmatchcase(self.branch, source) for source in sources)

    def missing_tags(self) -> str:
        """The command that fetches the stage tags of the remote, where this clone may lack them; else ""."""
        remote = self.remote_name()
        if self.url or not remote or not self._shared() or self.reader.resolve(remote_branch_ref(remote, self.branch)):
            return ""
        if self.tags.all():
            return ""
        return f"git fetch {remote} {_FETCHED_TAGS}"

    def lacks_tags(self) -> str:
        """The same where `git clone --no-tags` is known to have left them out."""
        said = self.config.get(f"remote.{self.remote_name()}.tagopt")
        return self.missing_tags() if said == "--no-tags" else ""

    def _registry_at(self, commit: str, error: type[GitModelError]) -> str:
        """*commit* ("": none), if it holds a registry. Raises *error* otherwise."""
        if commit and commit != self._known_registry:
            with suppress(Invalid):  # what is damaged is said by who reads it
                self.require_registry(self.files(commit), error)
            self._known_registry = commit
        return commit

    def require_registry(self, files: Files, error: type[GitModelError], where: str = "") -> None:
        """Raise *error* if the *files* of the metadata branch are no registry's; *where* says whose branch it is."""
        if not holds_registry(files):
            name = self.branch.removeprefix("refs/heads/")
            raise error(
                f"the branch {name}{where} holds no registry: it has no {paths.REGISTRY}",
                hint="name another branch for the registry with `git config gitmodel.branch NAME` or GITMODEL_BRANCH",
            )

    def _refuse_broken(self) -> None:
        """Raise Invalid if the branch has a file that names no commit, which git takes for no branch at all.

        A power loss can leave an empty one.
        """
        path = self.git.common_dir / self.branch
        with suppress(OSError):
            held = path.read_bytes()
            if held.startswith(b"ref:") or self.reader.resolve(self.branch) is not None:
                return
            lost = self.git.lines("rev-parse", "--verify", "--quiet", self.branch, answers=(0, 1))
            if lost:
                raise self._without_tip(lost[0])
            name = self.branch.removeprefix("refs/heads/")
            raise Invalid(
                f"{path} is damaged: it names no commit",
                hint=f"`git reflog {name}` shows what it was: write that id into the file",
            )

    def _without_tip(self, id: str) -> Invalid:
        return Invalid(f"git object {id}, the tip of {self.branch}, is missing", hint="run `git fsck`")

    def tracking_branch(self) -> str | None:
        """A remote's copy of the metadata branch, as `git clone` leaves it; `origin` first."""
        name = self.branch.removeprefix("refs/heads/")
        found = self.git.lines("for-each-ref", "--format=%(refname)", f"refs/remotes/*/{name}")
        found.sort(key=lambda ref: (ref != f"refs/remotes/origin/{name}", ref))
        return found[0] if found else None

    def snapshot(self, commit: str | None = None) -> Snapshot:
        """The branch as it is now, or at *commit*, and the stage tags."""
        at = self.tip() if commit is None else commit
        shared = self._shared()
        theirs = self.files(shared)

        def is_local(model: str, number: int) -> bool:
            return bool(shared) and theirs.id(paths.version_file(model, number)) is None

        def doubt(ref: StageRef) -> str:
            return self.doubt(found, ref)

        tags = self.tags.at(at, self.tip)
        files = self.files(at)
        found = Snapshot(
            at, files, tags, self._is_reserved,
            shared=shared, is_local=is_local, doubt=doubt, missing_tags=self.missing_tags,
            read_renumberings=partial(self._renumberings_at, at), warn=lambda note: self.on_renumbered(note),
            reserved_for=self._reserved_for,
        )  # fmt: skip
        found = replace(found, other_rules=partial(self.rules.registries, at))
        return found

    def recorded(self, commit: str) -> Snapshot:
        """The branch at *commit* as it is recorded, without the stage tags."""
        rules = partial(self.rules.registries, commit)
        return Snapshot(commit, self.files(commit), NoTags(), self._is_reserved, other_rules=rules)

    def renumberings(self) -> Renumberings:
        """Return the renumberings that pulls made in this clone."""
        return self._read_renumberings()[1]

    def at_one_numbering(self, read: Callable[[], T]) -> tuple[T, int]:
        """Call *read* until no pull renumbers versions meanwhile; return its result and the count of renumberings."""
        since = self.renumberings().count
        while True:
            found, before = read(), since
            since = self.renumberings().count
            if since == before:
                return found, since

    def _read_renumberings(self) -> tuple[str, Renumberings]:
        """The id of the blob that says what pulls renumbered ("": none did), and what it says."""
        if self._closed and not self.reader.is_running:
            return self._renumbered  # the name of a handle must not start git again after its client was closed
        found = self.reader.resolve(RENUMBERED)
        self._renumbered = (found.id, Renumberings.parse(found.data)) if found is not None else ("", Renumberings())
        return self._renumbered

    def _renumberings_at(self, commit: str) -> Renumberings:
        """Return the renumberings made while the branch was at *commit*. Raises Moved if it no longer is."""
        found = self.renumberings()
        if found.moves and self.tip() != commit:
            raise Moved("the branch moved while it was read", hint="try again")
        return found

    def renumbering(self, change: Callable[[Renumberings], Renumberings]) -> tuple[list[RefMove], list[NewObject]]:
        """The move by which *change* is made of what is renumbered, and the object to write for it; none for no change.

        It comes before the branch in a transaction: a crash between both leaves a note too many, never one too few.
        """
        old, before = self._read_renumberings()
        after = change(before)
        if after == before:
            return [], []
        blob = NewObject("blob", after.encode())
        return [RefMove(RENUMBERED, blob.id, old or None)], [blob]

    def _shared(self) -> str:
        """The commit of the metadata branch that its remote was last seen at, "" if none was."""
        remote = self.remote_name()
        for ref in (remote_branch_ref(remote, self.branch), self._tracking(remote)) if remote else ():
            found = self.reader.resolve(ref)
            if found is not None and found.type == "commit":
                return found.id
        return ""

    def remote_name(self) -> str:
        """The remote that pulls and pushes go to, "" if there is none."""
        remotes = [key.split(".", 1)[1].removesuffix(".url") for key in self.config if _REMOTE_URL.fullmatch(key)]
        remote = self.config.get("gitmodel.remote") or ("origin" if "origin" in remotes else "".join(remotes[:1]))
        return remote if remote in remotes else ""

    def _tracking(self, remote: str) -> str:
        return f"refs/remotes/{remote}/{self.branch.removeprefix('refs/heads/')}"

    def remember_remote(self) -> None:
        """Keep the branch and the tags that plain git fetched as what was last seen of the remote, if nothing is kept.

        Without that the next pull could not tell a tag that was moved here from one that was moved there.
        """
        remote = self.remote_name()
        if not remote or self.reader.resolve(remote_branch_ref(remote, self.branch)) is not None:
            return
        found = self.reader.resolve(self._tracking(remote))
        if found is None or found.type != "commit":
            return
        seen = {f"{REMOTES}{remote}/model/{ref.model}/{ref.stage}": self.tags.id(ref) for ref in self.tags.all()}
        if self.rules.id():
            seen[remote_rules_ref(remote, self.branch)] = self.rules.id()
        seen = {copy: id for copy, id in seen.items() if self.reader.resolve(copy) is None}
        seen[remote_branch_ref(remote, self.branch)] = found.id
        with suppress(Moved):
            self.move([RefMove(copy, id, None) for copy, id in seen.items()], f"gitmodel: clone of {remote}")

    def files(self, commit: str) -> CommitFiles:
        """The files of *commit* ("": none)."""
        return CommitFiles(self.trees, self.tags.commit(commit).tree if commit else "")

    def renew(self) -> None:
        """No-op: a local repository is never stale."""

    def head(self) -> Snapshot:
        """The branch as it is now, to read single records of; it may come without stage tags."""
        return self.snapshot()

    def renew_branches(self) -> None:
        """Have the metadata branch and those of proposals as the server of a registry by URL has them."""

    def writing(self, work: Callable[[], T]) -> T:
        """Call *work*, which writes on the registry as others see it now, and return its result."""
        return work()

    def read(self, question: Callable[[Snapshot], T], *, about: VersionRef | None = None) -> T:
        """Call *question* with the registry as it is now, branch and tags that belong together; return its result.

        If it needs only the version that *about* names, and its record, less need be fetched.
        """
        for _ in range(ATTEMPTS):
            try:
                with self.git.looking_up():
                    return question(self.snapshot())
            except Moved:
                continue
        raise Conflict(f"others kept changing {self.branch} while it was read", hint="try again")

    def transact(self, plan: Callable[[Snapshot], Change[T]]) -> T:
        """Make the change that *plan* makes of a snapshot: one commit and its tags, all or nothing.

        The first change also begins the registry. When somebody moved first, nothing has changed and *plan* is asked
        again with the new snapshot. Raises Conflict if that goes on too long, Refused for a change of a stage that may
        not be made directly or without saying so (`changes.stage_changes`), UsageError before it plans anything where a
        variable names another repository, and whatever *plan* raises.
        """
        self.git.refuse_contested()

        def make() -> T:
            snapshot = self.snapshot(self._latest())
            change = plan(snapshot)
            check_stage_changes(snapshot, change)
            self.refuse_credentials(snapshot, change)
            if snapshot.commit and self._touches_stages(change):
                self.rules.check_branch(snapshot.commit)
            self._make(snapshot, change)
            return change.result

        return self.retry(make)

    @property
    def allows_credentials(self) -> bool:
        """True if git's configuration allows to record and to store what looks like a credential."""
        from gitmodel.domain import credentials  # only a write needs them

        return self.config.get(credentials.SETTING.lower(), "").lower() in ("true", "yes", "on", "1")

    def refuse_credentials(self, snapshot: Snapshot, change: Change[Any]) -> None:
        """Raise Refused if *change* would record what looks like a credential, unless git's configuration allows it."""
        from gitmodel.domain import credentials  # only a write needs them

        if not self.allows_credentials:
            credentials.refuse_new(snapshot, change)

    def retry(self, work: Callable[[], T]) -> T:
        """Call *work*, again if a ref was moved or locked first, and return its result. Raises Conflict at last."""
        tries = self._tries()
        while True:
            try:
                return work()
            except (Moved, Locked) as error:
                tries.failed(error)

    def begin(self, registry: RegistryRecord) -> bool:
        """Make the branch's first commit, if it has none and no remote has one. Returns whether it was made."""
        if self.writable_tip():
            return False
        first, new = self._first_commit(registry)
        try:
            refuse_second_registry(self, "")
            self.move([RefMove(self.branch, first.id, None)], f"gitmodel: {_BEGIN}", [*new, first])
        except Moved:
            return False
        self._check_effect(first.id)
        return True

    def _first_commit(self, registry: RegistryRecord) -> tuple[NewObject, list[NewObject]]:
        """The commit that begins a registry, and the other objects to write for it."""
        files = {paths.REGISTRY: records.encode_registry(registry), "README.md": _BRANCH_README.encode()}
        tree, new = changed_tree(self.trees, "", files)
        return self._commit("", tree, Change(None, subject=_BEGIN), sign=False), new

    def adopt(self, commit: str) -> None:
        """Make the local branch at *commit*, a remote's, if there is none."""
        try:
            self.move([RefMove(self.branch, commit, None)], "gitmodel: adopt the registry of a remote")
        except Moved:
            return

    def reserve(
        self, model: str, next_number: Callable[[Snapshot], int], *, name: str | None = None, run: str = ""
    ) -> int:
        """Keep a number of *model* for a version that is still to be made; other writers pass over it.

        With *name* also keep this name for the version, until the run with the id *run* is over. Raises Conflict if
        another run keeps it.
        """
        self.git.refuse_contested()
        tries = self._tries()
        while True:
            try:
                snapshot = self.snapshot(self._latest())
                if name is not None:
                    snapshot.check_not_reserved(model, name)
                number = next_number(snapshot)
                local = self.reader.resolve(self.branch)
                # Without a registry it is its first commit, on no branch yet: the first change begins the branch.
                commit, _, new = self._base(snapshot)
                held = snapshot.commit if local else None
                moves = [RefMove(self.branch, held, held), RefMove(reserved_ref(model, number), commit, None)]
                if name is not None:
                    new = [*new, NewObject("blob", run.encode())]
                    ref = reserved_name_ref(model, name)
                    left = self.reader.resolve(ref)  # by a run that was killed
                    moves.append(RefMove(ref, new[-1].id, left.id if left else None))
                self.move(moves, f"reserve {model} {number}", new)
                return number
            except (Moved, Locked) as error:
                tries.failed(error)

    def release(self, model: str, numbers: list[int], tip_number: int) -> None:
        """Drop the reservations of *numbers* that the branch no longer needs: it holds *tip_number*."""
        for number in numbers:
            if number <= tip_number:
                self.git.run("update-ref", "--no-deref", "-d", reserved_ref(model, number))

    def release_names(self, run: str) -> None:
        """Drop the reservations of names by the run with the id *run*, under every name of their models."""
        blob = NewObject("blob", run.encode()).id
        for model, name, id in self.reserved_names():
            if id == blob:
                self._delete_reserved_name(model, name, id)

    def release_left_names(self) -> None:
        """Drop the reservations of names by runs that are over, as killed runs leave them."""
        for model, name, id in self.left_names():
            self._delete_reserved_name(model, name, id)

    def left_names(self) -> list[tuple[str, str, str]]:
        """The names that are reserved by runs that are over, each with its model and the id of its ref."""
        return [found for found in self.reserved_names() if not self._reserved_for(*found[:2])]

    def _delete_reserved_name(self, model: str, name: str, id: str) -> None:
        with suppress(Moved):
            self.move([RefMove(reserved_name_ref(model, name), None, id)], f"release {model} {name}")

    def reservations(self) -> list[tuple[str, int, str]]:
        """The numbers that are reserved, each with its model and the id of its ref."""
        return [(model, int(last), id) for model, last, id in self._reserved() if last.isdigit()]

    def reserved_names(self) -> list[tuple[str, str, str]]:
        """The names of versions that are reserved, each with its model and the id of its ref."""
        return [(model, last, id) for model, last, id in self._reserved() if not last.isdigit()]

    def _reserved(self) -> Iterator[tuple[str, str, str]]:
        for line in self.git.lines("for-each-ref", "--format=%(objectname) %(refname)", RESERVED):
            id, _, ref = line.partition(" ")
            model, _, last = ref.removeprefix(RESERVED).rpartition("/")
            yield model, last, id

    def reservations_carried(self, after: Snapshot) -> list[RefMove]:
        """Return the ref moves that copy reservations to the model's name in *after*."""
        carried = {}
        for model, number, id in self.reservations():
            with suppress(Invalid):  # a damaged record stops nobody
                now = after.current_name(model)
                if now != model and number > after.last_number(now) and not self._is_reserved(now, number):
                    carried[reserved_ref(now, number)] = id
        for model, name, id in self.reserved_names():
            with suppress(Invalid):
                now = after.current_name(model)
                if now != model and self.reader.resolve(reserved_name_ref(now, name)) is None:
                    carried[reserved_name_ref(now, name)] = id
        return [RefMove(ref, id, None) for ref, id in carried.items()]

    def put_in_force(
        self, choose: Callable[[Snapshot], Iterable[TagAim]], *, rules: bool = False
    ) -> tuple[list[StageRef], list[tuple[StageRef, str]]]:
        """Set the tags that *choose* aims at commits; drop those with no record there.

        With *rules* the rules of the branch come into force, for what is recorded after. Returns what moved, and what
        did not since its tag cannot be signed here, with why. *choose* is asked again when somebody moved first.
        """
        self.git.refuse_contested()

        def once() -> tuple[list[StageRef], list[tuple[StageRef, str]]]:
            snapshot = self.snapshot()
            new: list[NewObject] = []
            moves: list[RefMove] = []
            drops, moved, refused = [], [], []
            aims = list(choose(snapshot))
            rules_moves = self._rules_moves(snapshot, new) if rules and snapshot.commit else []
            for aim in aims:
                ref, tag = aim.ref, self.tags.read(aim.ref)
                old = tag.id if tag else ""
                if aim.commit is None:
                    wanted = self._recorded_at(snapshot, ref)
                else:
                    wanted = self.tags.set_at(ref, aim.commit) if aim.commit else None
                if wanted is None and old:
                    try:
                        refuse_foreign(self, snapshot.commit, ref, tag, repairs=False)
                    except Refused as error:
                        refused.append((ref, f"{error.message}; {error.hint}"))
                        continue
                    drops.append((ref, old))
                elif wanted is not None and not self.tags.agrees(ref, old, wanted):
                    try:
                        refuse_foreign(self, snapshot.commit, ref, tag, repairs=True)
                        wanted = self.sealing.tag(ref, wanted)
                    except Refused as error:
                        refused.append((ref, error.message))
                        continue
                    new.append(wanted)
                    moves.append(RefMove(ref.full, wanted.id, old or None))
                    moved.append(ref)
                    vouched = vouched_ref(ref, aim.vouched)
                    if aim.vouched and self.reader.resolve(vouched) is None:
                        moves.append(RefMove(vouched, aim.vouched, None))
            if moves or rules_moves:
                self.remember_remote()
                self.move([self._hold(snapshot.commit), *rules_moves, *moves], "gitmodel: apply", new)
            self._drop(drops)
            return moved + [ref for ref, _ in drops], refused

        return self.retry(once)

    def _rules_moves(self, snapshot: Snapshot, new: list[NewObject]) -> list[RefMove]:
        """The moves that put the rules of *snapshot* in force, if others are; the tag that they need is added to *new*.

        Raises Refused if it is not known which are.
        """
        self.rules.check_branch(snapshot.commit)
        if not self.rules.are_pending(snapshot.commit) or not (self.rules.id() or not snapshot.registry().is_open):
            return self.rules.see()
        tag = self.rules.next_tag(self.reader.get(snapshot.commit).data, snapshot.commit)
        new.append(tag)
        return self.rules.moves(tag.id)

    def add_commit(
        self, parent: str, files: Mapping[str, bytes | None], author: str, message: str, *, sign: bool = False
    ) -> str:
        """Write a commit on *parent* that no ref names yet; *author* as commits hold it. Returns its id.

        It is signed if *sign* or git says so, or if the rules ask for it and git has a key. Raises Unsigned.
        """
        self.git.refuse_contested()
        sealed = self.sealing.signer.has_key and self.sealing.is_asked_for(self.snapshot(parent), files)
        _check_paths(files)
        tree, new = changed_tree(self.trees, self.tags.commit(parent).tree, files)
        committer = self.identity.now()[1]
        made = NewObject("commit", format_commit(tree, [parent], author, committer, message))
        if sign or sealed or self.sealing.signer.signs_commits:
            made = self.sealing.signer.commit(made, committer)
        self.objects.write([*new, made])
        return made.id

    def drop_tag(self, ref: StageRef, old: str) -> None:
        """Take a stage tag away that was at *old*; one that moved meanwhile stands."""
        self._drop([(ref, old)])

    def move(self, moves: Sequence[RefMove], message: str, new: Sequence[NewObject] = ()) -> None:
        """Write the objects *new*, then move refs in one `git update-ref` transaction.

        Raises Moved or Locked with nothing changed, UsageError for a git that is too old to write with.
        """
        self.git.refuse_contested()
        if not self._checked:
            check_git(self.git.environ)
            self._checked = True
        # git locks what it verifies as well, with an empty lock.
        news = {move.ref: "" if move.verifies else move.new or "" for move in moves}

        def lines() -> bytes:
            self.objects.write(new)
            # Without the frame git would take what it has heard of a writer that was killed for all of it.
            return "".join(f"{line}\n" for line in ("start", *(move.line for move in moves), "commit")).encode()

        self.share()
        with self.writers.announce(news) as mark:
            command = ("update-ref", "-m", messages.one_line(message), "--stdin")
            self.git.run(*command, input=lines, inherit=(mark,))
        if new:
            self._outlast_gc(new)

    def _outlast_gc(self, new: Sequence[NewObject]) -> None:
        """Have *new*, which refs name by now, whatever a gc that began before they did takes away."""
        from gitmodel.git.ref_locks import gc_runs

        for _ in range(_GC_ATTEMPTS):
            if not gc_runs(self.common_dir):
                break
            # It may be about to prune what it found unnamed: loose objects and packs half made, never a finished pack.
            with suppress(Unreachable, GitError):
                self.git.run("index-pack", "--stdin", input=format_pack(new))
                return
        self.objects.write(new)

    def _latest(self) -> str:
        """The commit that writes start from, fetched if only a remote has it; "" where no registry has begun."""
        found = self.writable_tip()
        if not found and self.git.lines("remote"):
            found = self._registry_at(self.ask_remote(), Refused)
        return found

    def _hold(self, commit: str) -> RefMove:
        """Return the move that keeps the branch at *commit*, or creates it if only a remote has it."""
        return RefMove(self.branch, commit, commit if self.reader.resolve(self.branch) else None)

    def ask_remote(self) -> str:
        """The commit of a remote's metadata branch, fetched now, or "". Raises Unreachable if one cannot be asked."""
        name = self.branch.removeprefix("refs/heads/")
        remotes = self.git.lines("remote")
        remotes.sort(key=lambda remote: (remote != "origin", remote))
        for remote in remotes:
            try:
                answer = self.git.lines("ls-remote", "--end-of-options", remote, self.branch)
            except GitModelError as error:
                raise Unreachable(
                    f"this clone has no registry, and remote {remote} cannot be asked for one: {error.message}",
                    hint="try again when it can be reached, or begin one of your own with `git model init --new`",
                ) from None
            if answer:
                tracking = f"refs/remotes/{remote}/{name}"
                tags = (f"+{prefix}*:{prefix}*" for prefix in (STAGE_TAGS, RULES_TAGS))
                refspecs = (f"+{self.branch}:{tracking}", *tags)
                quietly = ("--quiet", "--no-prune", "--no-auto-maintenance")
                self.git.run(*FETCH, *quietly, "--end-of-options", remote, *refspecs)
                return self._find_tip()
        return ""

    def _tries(self) -> Tries:
        return Tries(self.reader, lambda: self.writers)

    def _reserved_for(self, model: str, name: str) -> str:
        """The id of the run that reserved the name of a version and is under way, "" if none did."""
        from gitmodel.branch.run_journal import Journal  # only writers of names need it

        found = self.reader.resolve(reserved_name_ref(model, name))
        run = found.data.decode("ascii", "replace") if found is not None and found.type == "blob" else ""
        return run if run and Journal(self.common_dir).is_under_way(run) else ""

    def _is_reserved(self, model: str, number: int) -> bool:
        return self.reader.resolve(reserved_ref(model, number)) is not None

    def _make(self, snapshot: Snapshot, change: Change[Any]) -> None:
        if not change.files and not (change.apply and snapshot.commit) and not change.settled:
            return
        local = self.reader.resolve(self.branch)
        old = local.id if local else None
        if old and old != snapshot.commit:
            raise Moved("the branch moved while the change was planned", hint="try again")
        _check_paths(change.files)
        self.remember_remote()
        parent, root, begun = self._base(snapshot)
        tree, new = changed_tree(self.trees, root, change.files) if change.files else (root, [])
        new = [*begun, *new]
        made = None
        if tree != root:
            sealed = self.sealing.is_asked_for(snapshot, change.files)
            made = self._commit(parent, tree, change, sign=sealed)
            if sealed:
                self.sealing.check_commit(made)
            new.append(made)
        commit = made.id if made else parent
        settling, notes = self._settling(change) if change.settled or change.renumbered else ([], [])
        new += notes
        # The branch comes first: after a crash git has moved refs in this order, and "branch new, tag old" is pending.
        moves = [RefMove(self.branch, commit, old)]
        moves += settling
        moves += [RefMove(reserved_ref(model, number), None, None) for model, number in change.numbers]
        if any(what is not None and what.kind == "model" for what in map(paths.parse_path, change.files)):
            moves += self.reservations_carried(replace(snapshot, files=Overlay(snapshot.files, change.files)))
        if made is not None and self._changes_rules(snapshot, change):
            new.append(self.rules.next_tag(made.data, made.id))
            moves += self.rules.moves(new[-1].id)
        drops: list[tuple[StageRef, str]] = []
        moves_tag = False
        for ref, wanted, found in self._with_former(snapshot, self._follow(snapshot, change, made)):
            tag = found.id if found else ""
            if wanted is None and tag:
                refuse_foreign(self, snapshot.commit, ref, found, repairs=False)
                drops.append((ref, tag))
            elif wanted is not None and not self.tags.agrees(ref, tag, wanted, made):
                if tag:
                    repairs = made is None or parse_tag("", wanted.data).target != made.id
                    refuse_foreign(self, snapshot.commit, ref, found, repairs=repairs)
                elif not moves_tag:
                    refuse_second_registry(self, snapshot.commit, ref.stage)
                moves_tag = True
                wanted = self.sealing.tag(ref, wanted, made)
                new.append(wanted)
                moves.append(RefMove(ref.full, wanted.id, tag or None))
        try:
            self.move(moves, f"gitmodel: {change.subject}", new)
        except (Unreachable, GitError) as error:
            # The disk may have failed git after it moved the first ref.
            self.reader.close()
            tip = self.reader.resolve(self.branch)
            if made and tip is not None and tip.id == made.id:
                raise half_done(error) from error
            raise
        self._check_effect(commit)
        self._drop(drops)

    def _settling(self, change: Change[Any]) -> tuple[list[RefMove], list[NewObject]]:
        """The move that drops the notes which *change* settles, and makes those of what it renumbered.

        Raises Moved if somebody settled them first.
        """

        def noted(found: Renumberings) -> Renumberings:
            left = found.without_notes(change.settled)
            return left.with_pull(change.renumbered) if change.renumbered else left

        moves, new = self.renumbering(noted)
        if not moves:
            raise Moved("a note on a renumbered version was settled meanwhile", hint="try again")
        return moves, new

    def _base(self, snapshot: Snapshot) -> tuple[str, str, list[NewObject]]:
        """The commit that a change of *snapshot* is made on, its tree, and what to write for it if it begins."""
        if snapshot.commit:
            return snapshot.commit, self.tags.commit(snapshot.commit).tree, []
        refuse_second_registry(self, "")
        first, new = self._first_commit(RegistryRecord())
        return first.id, parse_commit(first.id, first.data).tree, [*new, first]

    def _touches_stages(self, change: Change[Any]) -> bool:
        """Return True if rules judge *change*, or if it changes rules."""
        found = map(paths.parse_path, change.files)
        return bool(change.apply) or any(what is not None and what.kind in ("stage", "registry") for what in found)

    def _changes_rules(self, snapshot: Snapshot, change: Change[Any]) -> bool:
        """Return True if *change* alters the rules of *snapshot*. First rules count only if they restrict something."""
        if not {paths.REGISTRY, paths.SIGNERS} & change.files.keys():
            return False
        after = Overlay(snapshot.files, change.files)
        if not self.rules.id() and snapshot.registry().is_open and read_registry(after).is_open:
            return False
        return not are_same(snapshot.files, after)

    def commit_on(self, parent: str, change: Change[Any]) -> str:
        """Write the commit that *change* is on *parent*; no ref names it yet, and no tag follows. Returns its id.

        Where the rules ask for a signature it is signed, if git has a key to do so: who merges it, signs what counts.
        """
        self.git.refuse_contested()
        _check_paths(change.files)
        before = self.snapshot(parent)
        self.refuse_credentials(before, change)
        tree, new = changed_tree(self.trees, self.tags.commit(parent).tree, change.files)
        sealed = self.sealing.signer.has_key and self.sealing.is_asked_for(before, change.files)
        made = self._commit(parent, tree, change, sign=sealed)
        self.objects.write([*new, made])
        return made.id

    def _commit(self, parent: str, tree: str, change: Change[Any], *, sign: bool) -> NewObject:
        author, committer = self.identity.now()
        # Random, so that equal changes made at once in several clones are several; but a registry has one beginning.
        own = os.urandom(8).hex() if parent else messages.transaction_id(tree, author, committer, change.subject)
        txn = change.txn or own
        message = messages.commit_message(change.subject, change.reason, change.trailers, txn=txn)
        made = NewObject("commit", format_commit(tree, [parent] if parent else [], author, committer, message))
        return self.sealing.signer.commit(made, committer) if sign or self.sealing.signer.signs_commits else made

    def _with_former(
        self, snapshot: Snapshot, moves: Iterable[tuple[StageRef, NewObject | None]]
    ) -> Iterator[tuple[StageRef, NewObject | None, GitObject | None]]:
        """*moves*, and the removal of tags of former names that stood for a stage that has no tag of its own yet.

        With each comes the tag that is there now.
        """
        for ref, wanted in moves:
            tag = self.tags.read(ref)
            yield ref, wanted, tag
            if tag is None:
                former = (StageRef(name, ref.stage) for name in snapshot.former_names(ref.model))
                yield from ((old, None, found) for old in former if (found := self.tags.read(old)) is not None)

    def _follow(
        self, snapshot: Snapshot, change: Change[Any], commit: NewObject | None
    ) -> Iterator[tuple[StageRef, NewObject | None]]:
        """The tags that go with *change*, each once: a stage file's tag follows it; None where it goes."""
        followed = set()
        for path, data in change.files.items():
            found = paths.parse_path(path)
            ref = place_at(snapshot.registry(), found)
            if found is None or ref is None or commit is None:
                continue
            followed.add(ref)
            if data is not None and data == snapshot.files.read(path):
                # the tag of a file that stays as it is belongs to the commit that set it before
                yield ref, self.tags.recorded_at(snapshot.commit, ref)
                continue
            if data is None:
                yield ref, None
                continue
            before = snapshot.files.load(path, records.STAGE, newer=True)
            after = codec.decode(records.STAGE, data, path, newer=True)
            yield ref, self.tags.new_tag(ref, commit.id, commit.data, before, after)
        for ref in change.drop:
            followed.add(ref)
            yield ref, None
        for ref in change.apply:
            if ref not in followed:
                yield ref, self._recorded_at(snapshot, ref)

    def _recorded_at(self, snapshot: Snapshot, ref: StageRef) -> NewObject | None:
        """The tag that the branch asks for; None where the stage's file is gone, or a leftover of a clean merge."""
        if paths.stage_file(ref.model, ref.stage) in leftovers(snapshot, ref.model):
            return None
        return self.tags.recorded_at(snapshot.commit, ref)

    def _drop(self, drops: list[tuple[StageRef, str]]) -> None:
        # Deleting a ref needs the packed-refs lock; inside the transaction a crash could then lose the branch's move.
        for ref, old in drops:
            try:
                self.retry(partial(self._delete, ref, old))
            except (Conflict, Refused, Unreachable, GitError) as error:
                raise half_done(error) from error

    def _delete(self, ref: StageRef, old: str) -> None:
        with suppress(Moved):  # whoever set it anew wants it to stand
            self.git.run("update-ref", "--no-deref", "-d", ref.full, old)

    def _check_effect(self, commit: str) -> None:
        found = self.reader.resolve(self.branch)
        if found is None or (found.id != commit and not self.tags.is_on_chain(found.id, commit)):
            raise Invalid(f"git said that {self.branch} moved, but it did not", hint="run `git fsck`")


def _check_paths(files: Mapping[str, bytes | None]) -> None:
    """Refuse a file that no reader would find, or would read."""
    for path, data in files.items():
        if data is None or paths.is_host_file(path):
            continue
        if paths.parse_path(path) is None and path != paths.SIGNERS:
            raise Invalid(f"{path!a} is no file of the format, and was not written", hint="please report this")
        if len(data) > codec.MAX_BYTES:
            raise Invalid(f"{path} would have {len(data)} bytes, more than {codec.MAX_BYTES}", hint="shorten it")


_BEGIN = "Begin the registry"
_BRANCH_README = """\
# A model registry

This branch is a gitmodel registry: models, versions and the stages they are in,
as TOML files. Every change is a commit; `git log --first-parent -- models/NAME` tells the story of a model.
Do not edit it by hand; use `git model`, and run `git model check` if somebody did.
"""
