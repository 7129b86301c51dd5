"""The registry repository: the objects that read it and move its refs, and snapshots of its metadata branch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypeVar

from gitmodel.branch.ref_moves.renumbered_ref import RenumberedRef
from gitmodel.branch.ref_moves.retrying import ATTEMPTS
from gitmodel.branch.stages.stage_tags import SnapshotTags, StageTags
from gitmodel.branch.tips import Tips
from gitmodel.domain.schema import paths
from gitmodel.domain.schema.object_ids import Oid
from gitmodel.domain.schema.recorded_renumberings import Renumbered, Renumberings
from gitmodel.domain.schema.references import VersionRef
from gitmodel.domain.schema.refs import StageRef
from gitmodel.domain.snapshots.snapshot import Snapshot
from gitmodel.domain.snapshots.snapshot_sources import NoTags, Refusal
from gitmodel.errors import Conflict, NotFound
from gitmodel.git.history.commit_chains import Commits
from gitmodel.git.objects.fact_cache import FactCache
from gitmodel.git.objects.object_reader import ObjectReader
from gitmodel.git.objects.trees import CommitFiles, Trees
from gitmodel.git.running.failures import Moved
from gitmodel.git.running.process import Git
from gitmodel.git.settings.configuration import is_true

if TYPE_CHECKING:
    from gitmodel.branch.ref_moves.local_ref_moves import LocalRefs, Refs
    from gitmodel.branch.ref_moves.reservations import Reservations
    from gitmodel.branch.stages.rules_in_force import RulesInForce
    from gitmodel.branch.stages.signing_changes import ChangeSigning
    from gitmodel.files.permissions import SharedPermissions
    from gitmodel.git.objects.loose_objects import LooseObjects
    from gitmodel.git.refs.ref_locks import WriterMarks
    from gitmodel.git.refs.ref_transactions import RefTransactions
    from gitmodel.git.settings.identity import Identity

T = TypeVar("T")


class Server(Protocol):
    """The server of a registry by URL. The `Repository` that has this server is the cache of the registry."""

    def refresh(self) -> None:
        """Fetch the branch and all stage tags, unless the server's last answer is recent enough."""

    def renew(self) -> None:
        """Make the next read contact the server, unless its last answer is recent enough."""

    def renew_branches(self) -> None:
        """Fetch the branches of proposals, unless the server's last answer is recent enough."""

    def head(self) -> Snapshot:
        """Return a snapshot of the current branch, perhaps without stage tags."""

    def read_single_commit(self, about: VersionRef) -> Snapshot | None:
        """Return a snapshot of the one commit that says which version *about* is; None if it takes the whole branch."""

    def retry_with_new_cache(self, work: Callable[[], T]) -> T:
        """Return the result of *work*. If it fails because the cache is damaged, call it again with a new cache."""

    def read_tip(self, question: Callable[[Snapshot], T]) -> T:
        """Call *question* with a snapshot of the tip of the branch alone, and return its result.

        Raises WholeBranchNeeded if *question* needs more than the tip, or if the whole branch is already cached.
        """

    def change_tip(self, change: Callable[[Repository, Snapshot], T]) -> T:
        """Call *change* with the repository to write to and a snapshot of the tip alone, and return its result.

        Calls *change* again if the branch moves meanwhile. Raises WholeBranchNeeded as `read_tip` does, with nothing
        changed.
        """

    def find_message(self, tip: Oid, text: str) -> tuple[Repository, list[Oid]]:
        """Return a repository, and the commits in the history of *tip* with *text* in their message, newest first.

        The repository has these commits and their parents. Raises WholeBranchNeeded if a server cannot send them alone.
        """

    def pushed(self, local: LocalRefs) -> Refs:
        """Return an object that moves refs on the server, and then in the cache by *local*."""

    def close(self) -> None:
        """End every process that this object started."""


class Repository:
    """A git repository as a registry. It reads the metadata branch; the functions of `transaction` change the branch.

    `open_repository` and `open_url` open it. It is safe to use from several threads, and `close` ends its processes. If
    it is the cache of a registry by URL, *url* is this URL, *trees* returns the `Trees` that fetch missing files, and
    *connect* returns the server.
    """

    def __init__(
        self,
        git: Git,
        *,
        branch: str,
        config: Mapping[str, str],
        objects_folder: Path,
        shallow: bool,
        url: str = "",
        trees: Callable[[Repository], Trees] | None = None,
        connect: Callable[[Repository], Server] | None = None,
    ) -> None:
        self.git = git
        self.branch = branch
        self.config = config
        self.shallow = shallow
        self.url = url
        self.reader = ObjectReader(git)
        self.facts = FactCache(git.common_dir / "gitmodel" / "notes")
        self.trees = trees(self) if trees else Trees(self.reader, self.facts)
        self.commits = Commits(git, self.trees, shallow=shallow)
        self.tags = StageTags(git, self.commits, lambda: self.signing.verifier)
        self.tips = Tips(git, self.tags, branch, config)
        self.renumbered = RenumberedRef(self.reader)
        self._objects_folder = objects_folder
        self.server = connect(self) if connect else None
        # `gitmodel.registry` sets this function. It returns the reason why a rule forbids to put a recorded change of a
        # stage in force, or None.
        self.refusal: Callable[[Snapshot, StageRef], Refusal | None] = lambda snapshot, ref: None
        # Called by `close`: deletes the temporary folder of a repository that was unpacked from a bundle.
        self.on_close: Callable[[], object] = lambda: None
        # Called with the renumbering if a person used a reference such as `iris@4` whose version a pull has renumbered.
        self.on_renumbered: Callable[[Renumbered], None] = lambda note: None

    # The following properties import their modules when they are first used, because most reads need none of them.

    @cached_property
    def objects(self) -> LooseObjects:
        """The object that writes new git objects into the repository."""
        from gitmodel.git.objects.loose_objects import LooseObjects

        return LooseObjects(self._objects_folder, self.permissions)

    @cached_property
    def identity(self) -> Identity:
        from gitmodel.git.settings.identity import Identity

        return Identity(self.git)

    @cached_property
    def rules(self) -> RulesInForce:
        from gitmodel.branch.stages.rules_in_force import RulesInForce

        return RulesInForce(self.commits, self.branch)

    @cached_property
    def signing(self) -> ChangeSigning:
        from gitmodel.branch.stages.signing_changes import ChangeSigning

        return ChangeSigning(self.git, self.config, self.reader, self.tags, self.identity, self.branch)

    @cached_property
    def refs(self) -> Refs:
        from gitmodel.branch.ref_moves.local_ref_moves import LocalRefs

        local = LocalRefs(self.git, self.reader, self.objects, self.ref_transactions, self.writer_marks, self.share)
        return self.server.pushed(local) if self.server else local

    @cached_property
    def ref_transactions(self) -> RefTransactions:
        from gitmodel.git.refs.ref_transactions import RefTransactions

        return RefTransactions(self.git, self.writer_marks)

    @cached_property
    def reservations(self) -> Reservations:
        """The reservations of numbers and names for versions that are not created yet."""
        from gitmodel.branch.ref_moves.reservations import Reservations

        return Reservations(self.git, self.reader, self.refs)

    @cached_property
    def writer_marks(self) -> WriterMarks:
        """The writer marks of processes that move refs of this repository."""
        from gitmodel.git.refs.ref_locks import WriterMarks

        return WriterMarks(self.git.common_dir)

    @cached_property
    def permissions(self) -> SharedPermissions:
        """The permissions that `core.sharedRepository` grants to other users."""
        from gitmodel.files.permissions import SharedPermissions

        return SharedPermissions(self.config.get("core.sharedrepository", ""))

    @property
    def allows_credentials(self) -> bool:
        """True if git's configuration allows to record text that looks like a credential."""
        from gitmodel.domain.secrets import credentials

        return is_true(self.config.get(credentials.SETTING.lower(), ""))

    @property
    def branch_name(self) -> str:
        """The name of the metadata branch, without `refs/heads/`."""
        return self.tips.name

    @property
    def own_folder(self) -> Path:
        """The folder for gitmodel's own files. `share` creates it."""
        return self.git.common_dir / "gitmodel"

    def share(self) -> None:
        """Create `own_folder` with the permissions of `core.sharedRepository`, if it does not exist."""
        with suppress(OSError):  # a later write to the folder raises the error
            self.permissions.make_folder(self.own_folder)

    @property
    def common_dir(self) -> Path:
        """git's folder that all work trees of the repository share: it has the refs and objects."""
        return self.git.common_dir

    def close(self) -> None:
        """End every process and thread that this object started."""
        self.renumbered.close()
        if "ref_transactions" in self.__dict__:
            self.ref_transactions.close()
        self.reader.close()
        if "objects" in self.__dict__:
            self.objects.close()
        if self.server:
            self.server.close()
        self.on_close()

    def renew(self) -> None:
        """In a registry by URL, make the next read contact the server, unless its last answer is recent enough."""
        if self.server:
            self.server.renew()

    def renew_branches(self) -> None:
        """In a registry by URL, fetch the branches of proposals, unless the server's last answer is recent enough."""
        if self.server:
            self.server.renew_branches()

    def tip(self) -> Oid | None:
        """Return the commit that reads start from; None if there is no registry.

        Raises the errors of `Tips.readable`.
        """
        if self.server:
            self.server.refresh()
        return self.tips.readable()

    def fingerprint(self) -> str:
        """Return a text that differs after any change of the branch, a stage tag, the rules tag or a proposal."""
        if self.server:
            self.server.refresh()
        return self.tips.fingerprint()

    def existing_tip(self) -> Oid:
        """Return the commit that reads start from. Raises NotFound if there is no registry."""
        tip = self.tip()
        if not tip:
            raise NotFound("there is no registry yet", hint="run `git model init`, or `git model pull`")
        return tip

    def writable_tip(self) -> Oid | None:
        """Return the commit that writes start from; None if there is no branch.

        Raises Refused if the commit has no registry.
        """
        if self.server:
            self.server.refresh()
        return self.tips.writable()

    def latest(self) -> Oid | None:
        """Do the same as `writable_tip`. If only a remote has the branch, fetch it first."""
        return self.writable_tip() or (None if self.server else self.tips.fetched())

    def files(self, commit: Oid | None) -> CommitFiles:
        """Return the files of *commit* (None: no files)."""
        return self.commits.files(commit) if commit else self.trees.files(None)

    def snapshot(self) -> Snapshot:
        """Return a snapshot of the current branch and stage tags."""
        return self.snapshot_at(self.tip())

    def snapshot_at(self, commit: Oid | None) -> Snapshot:
        """Return a snapshot of the branch at *commit* (None: no registry), with the current stage tags."""
        shared = self.tips.shared()
        theirs = self.files(shared)

        def is_local(model: str, number: int) -> bool:
            return shared is not None and theirs.id(paths.version_file(model, number)) is None

        found = Snapshot(
            commit, self.files(commit), SnapshotTags(self.tags, commit, self.tip), self._is_reserved,
            shared=shared, is_local=is_local, refusal=lambda ref: self.refusal(found, ref),
            missing_tags=self.tips.missing_tags, read_renumberings=partial(self._renumberings_at, commit),
            warn=lambda note: self.on_renumbered(note), other_rules=lambda: self.rules.other_registries(commit),
            reserved_for=lambda model, name: self.reservations.run_reserving(model, name),
        )  # fmt: skip
        return found

    def recorded(self, commit: Oid | None) -> Snapshot:
        """Return a snapshot of the branch at *commit* (None: no registry), without stage tags."""
        rules = partial(self.rules.other_registries, commit)
        return Snapshot(commit, self.files(commit), NoTags(), self._is_reserved, other_rules=rules)

    def renumberings(self) -> Renumberings:
        """Return the renumberings by pulls in this clone. A registry by URL has none."""
        return Renumberings() if self.server else self.renumbered.read()

    def at_one_numbering(self, read: Callable[[], T]) -> tuple[T, int]:
        """Return the result of *read* and the count of renumberings.

        If a pull renumbers meanwhile, calls *read* again.
        """
        since = self.renumberings().count
        while True:
            found, before = read(), since
            since = self.renumberings().count
            if since == before:
                return found, since

    def head(self) -> Snapshot:
        """Return a snapshot of the current branch, for reading single records. The snapshot may lack the stage tags."""
        return self.server.head() if self.server else self.snapshot()

    def read(self, question: Callable[[Snapshot], T], *, about: VersionRef | None = None) -> T:
        """Call *question* with a snapshot, and return its result. Call it again if the branch moves meanwhile.

        So all records and tags that *question* reads belong to the same commit. If *about* is not None, *question* must
        read only records about this version: a registry by URL then fetches only those.
        """
        server = self.server
        if server is None:
            return self._read(question)

        def ask() -> T:
            least = server.read_single_commit(about) if about is not None else None
            return self._read(question) if least is None else question(least)

        return server.retry_with_new_cache(ask)

    def read_records(self, question: Callable[[Snapshot], T]) -> T:
        """Do the same as `read` for a *question* that reads no stage tags: a registry by URL then fetches less.

        If *question* reads a stage tag nevertheless, it is called again with a complete snapshot.
        """
        if self.server is not None:
            # imported here because only reads by URL need it
            from gitmodel.branch.tip_without_history import WholeBranchNeeded

            with suppress(WholeBranchNeeded):
                return self.server.read_tip(question)
        return self.read(question)

    def _read(self, question: Callable[[Snapshot], T]) -> T:
        for _ in range(ATTEMPTS):
            try:
                with self.git.explaining_not_found():
                    return question(self.snapshot())
            except Moved:
                continue
        raise Conflict(f"others kept changing {self.branch} while it was read", hint="try again")

    def _is_reserved(self, model: str, number: int) -> bool:
        return self.reservations.has_number(model, number)

    def _renumberings_at(self, commit: Oid | None) -> Renumberings:
        """Return the renumberings. Raises Moved if there are any, but the branch is no longer at *commit*."""
        found = self.renumberings()
        if found.moves and self.tip() != commit:
            raise Moved("the branch moved while it was read", hint="try again")
        return found
