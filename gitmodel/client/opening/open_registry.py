"""An open registry: its repository, its stores, the code repository, the CI job, and where changes are written."""

from __future__ import annotations

import os
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from copy import copy
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING

from gitmodel.branch.opening import open_chosen, open_repository
from gitmodel.branch.repository import Repository
from gitmodel.client.opening import url_settings
from gitmodel.client.opening.url_settings import local_file, names_url
from gitmodel.domain.addresses import Terms
from gitmodel.domain.changes.planned_change import Change
from gitmodel.domain.schema.recorded_renumberings import Renumbered
from gitmodel.domain.schema.records import Code
from gitmodel.errors import GitModelError, Invalid, NotFound, RenumberedWarning, UsageError
from gitmodel.git.running.process import check_git
from gitmodel.git.settings.configuration import read_config
from gitmodel.registry.writing.batch import Batch, entered_batch
from gitmodel.registry.writing.direct import Direct
from gitmodel.registry.writing.writer import Writer

if TYPE_CHECKING:
    from gitmodel.code.kept_commits import KeptCommits
    from gitmodel.code.repository import CodeRepository
    from gitmodel.domain.schema.object_ids import Oid
    from gitmodel.domain.schema.refs import StageRef
    from gitmodel.domain.snapshots.snapshot import Snapshot
    from gitmodel.domain.snapshots.snapshot_sources import Refusal
    from gitmodel.lineage.graph import AtCommit
    from gitmodel.registry.named_stores.store_access import Access
    from gitmodel.stores.interface import ArtifactStore


class OpenRegistry:
    """A registry as a client opened it. The client and all of its handles share this object.

    The registry is the one at *repo*, a path or URL. If *repo* is None, environment variables, git settings and the
    folder *path* choose it. The code repository is always the one that contains *path*. *store* is the URL of the
    default artifact store; None means the one of the registry. *terms* are the limits for a registry by URL.
    """

    def __init__(
        self, path: str, *, repo: str | None, store: str | None, environ: Mapping[str, str], terms: Terms
    ) -> None:
        if names_url(path) or os.path.isfile(path):  # a URL or a git bundle is a registry, like *repo*
            path, repo = ".", repo or path
        self.environ = environ
        # `path_named` is False if the user gave no folder. Only then, `GIT_DIR` chooses the repository.
        self.path = Path(path).expanduser()
        self.path_named = self.path != Path()
        self.repository = self._open(repo, terms)
        self.repository.refusal = partial(_refusal, self.repository)
        self.repository.on_renumbered = _warn_of_renumbering
        # Makes the changes of this registry: it commits each to the branch, or collects those of a transaction.
        self.writer: Writer = Direct(self.repository)
        self._store = store or ""
        # A cache for `Client.lineage`: what it read at a commit of the branch, for the next call at the same commit.
        self.lineage_at: dict[Oid | None, AtCommit] = {}
        self._keyed: Counter[str] = Counter()
        self._kept: KeptCommits | None = None
        self._outer: OpenRegistry | None = None

    @property
    def lasting(self) -> OpenRegistry:
        """This open registry; for a copy that `transaction` yielded, the original as soon as the block has ended.

        Handles use it, because they can still be used after the transaction.
        """
        return self._outer or self

    @cached_property
    def access(self) -> Access:
        """The object that opens the registry's artifact stores, and knows which of their URLs this machine trusts."""
        # imported here because reading records needs no store
        from gitmodel.registry.named_stores.store_access import Access

        return Access(self.repository, self.environ, self.store_root, self._store)

    def trusted_names(self) -> tuple[str, ...]:
        """Return the full names of the classes and functions that this machine allows in files that it loads."""
        # imported here because few artifacts need it
        from gitmodel.registry.linked_artifacts.trusted_names import trusted_names

        return trusted_names(self.repository, self.environ)

    def suggested_names(self) -> tuple[str, ...]:
        """Return the names of classes and functions that the registry suggests to trust; () if it cannot be read."""
        # imported here because few artifacts need it
        from gitmodel.registry.linked_artifacts.trusted_names import suggested_names

        try:
            return suggested_names(self.repository)
        except Invalid:
            return ()

    @property
    def store(self) -> ArtifactStore:
        """The default artifact store, which is opened on first use."""
        return self.access.default()

    @property
    def store_root(self) -> Path:
        """The folder of artifacts in this repository, which is the default artifact store if no other is set."""
        return self.repository.common_dir / "gitmodel" / "store"

    @property
    def job(self) -> str:
        """The id of the CI job, from which default idempotency keys are made.

        It is "" outside of a job, in a registry that is not by URL, and in a transaction.
        """
        by_job = self.repository.url and not isinstance(self.writer, Batch)
        return url_settings.job_key(self.environ) if by_job else ""

    def job_key(self, content: Callable[[], str]) -> str:
        """Return the default idempotency key of a new version; *content* returns a digest of its content.

        Only a CI job that uses a registry by URL has a default key; otherwise returns "". The key is made from the id
        of this attempt of the job, the content, and the number of versions with this content that this process has
        created. So if the job runs a script a second time in the same attempt, the versions of the script are not
        created twice.
        """
        if not self.job:
            return ""
        of = content()
        self._keyed[of] += 1
        return f"{self.job} {of} {self._keyed[of]}"

    def with_writer(self, writer: Writer) -> OpenRegistry:
        """Return a copy of this open registry whose changes *writer* writes."""
        other = copy(self)
        other.writer = writer
        return other

    @contextmanager
    def transaction(self, message: str) -> Iterator[OpenRegistry]:
        """Yield a copy of this open registry, whose changes become one commit after the block.

        *message* is the subject of the commit.
        """
        self.require_branch("transaction")
        with entered_batch(self.repository, message) as batch:
            inside = self.with_writer(batch)
            yield inside
        inside._outer = self

    def require_branch(self, verb: str) -> None:
        """Raise UsageError if this is a past state of the registry, or if a transaction of it is open in this thread.

        Methods that write to the branch without `writer` call this first. *verb* is the name of the method, for the
        message.
        """
        if isinstance(self.writer, Direct):
            self.writer.refuse_inside()
        elif isinstance(self.writer, Batch):
            raise UsageError(
                f"{verb}() cannot be called in the transaction {self.writer.message!a}; nothing was changed",
                hint=f"call it on the client itself, before or after the transaction: client.{verb}(...)",
            )
        else:
            self.writer.transact(lambda snapshot: Change(None))

    def find_kept(self) -> KeptCommits | None:
        """Return the kept commits of the code repository that contains *path*; None if no repository contains it."""
        if self._kept is None:
            from gitmodel.code.kept_commits import KeptCommits
            from gitmodel.code.repository import open_code

            found = open_code(self.path, environ=self.environ, named=self.path_named)
            self._kept = KeptCommits(found) if found is not None else None
        return self._kept

    def find_code(self) -> CodeRepository | None:
        """Return the code repository that contains *path*; None if no repository contains it."""
        kept = self.find_kept()
        return kept.code if kept is not None else None

    def open_code(self) -> CodeRepository:
        """Return the code repository that contains *path*. Raises NotFound if no repository contains it."""
        found = self.find_code()
        if found is None:
            raise NotFound(
                "the current folder is in no code repository", hint="change to it, or name it: git model -C DIR ..."
            )
        return found

    def read_code(self) -> Code:
        """Return the state of the code repository: its commit, uncommitted changes and URL. Writes nothing."""
        code = self.find_code()
        return code.read_state() if code else Code(outside=True)

    def check_code(self) -> str:
        """Return the stricter of the registry's and this machine's settings for uncommitted changes.

        It is "record", "snapshot" or "refuse". Raises Refused if it forbids to create a version from the current code:
        if there are uncommitted changes, or if a snapshot of them would have a file that looks like credentials.
        """
        from gitmodel.lineage.code import recorded_code

        rules = self.writer.read_records(lambda snapshot: snapshot.registry().require("code").code)
        dirty = rules.dirty if rules else "record"
        if mine := self.environ.get("GITMODEL_DIRTY"):
            settings = [mine]
        else:
            settings = [config.get("gitmodel.dirty", "") for config in (self.repository.config, self._code_config)]
        for setting in settings:
            dirty = recorded_code.choose_dirty(dirty, setting)
        if dirty != "record":
            allow_credentials = self.repository.allows_credentials
            recorded_code.check_code(self.find_code(), dirty=dirty, allow_credentials=allow_credentials)
        return dirty

    def record_code(self) -> Code:
        """Return the state of the code repository as a version records it, and create a ref that keeps its commit.

        If a setting asks for it, stores uncommitted changes as a snapshot. Raises the errors of `check_code`, and
        Refused if the snapshot is too large.
        """
        from gitmodel.lineage.code.recorded_code import record_code, snapshot_limit

        dirty = self.check_code()
        limit = snapshot_limit({**self.repository.config, **self._code_config})
        return record_code(self.find_kept(), self.read_code(), dirty=dirty, limit=limit)

    def allows_pickle(self) -> bool:
        """Return True if `[formats] pickle` in `gitmodel.toml` allows pickle for values that no other format stores."""
        rules = self.writer.read_records(lambda snapshot: snapshot.registry().require("formats").formats)
        return rules is not None and rules.pickle

    @cached_property
    def _code_config(self) -> Mapping[str, str]:
        """The git settings of the code repository; {} if it is also the registry, whose settings are read too."""
        code = self.find_code()
        if code is None or code.git.common_dir == self.repository.git.common_dir:
            return {}
        return read_config(code.git)

    def _open(self, repo: str | None, terms: Terms) -> Repository:
        branch = self.environ.get("GITMODEL_BRANCH", "")
        named = repo or self.environ.get("GITMODEL_REPO")
        try:
            found = named or open_chosen(self.path, environ=self.environ, branch=branch, named=self.path_named)
            if not isinstance(found, str):
                return found
            found = local_file(found)  # git reads a bundle only by path, not by URL
            if names_url(found):
                from gitmodel.branch.by_url.url_server import open_url
                from gitmodel.domain.addresses import Address

                return open_url(Address.parse(found), environ=self.environ, branch=branch, terms=terms)
            file = Path(found).expanduser()
            if file.is_file():
                from gitmodel.branch.by_url.bundles import is_bundle, open_bundle

                if is_bundle(file):
                    return open_bundle(file, environ=self.environ, branch=branch)
            return open_repository(file, environ=self.environ, branch=branch)
        except GitModelError:
            check_git(self.environ)
            raise


def _refusal(repository: Repository, snapshot: Snapshot, ref: StageRef) -> Refusal | None:
    # imported here because it is called only for a change that is not in force yet
    from gitmodel.registry.promotion import judging

    return judging.refusal(repository, snapshot, ref)


def _warn_of_renumbering(note: Renumbered) -> None:
    warnings.warn(note.warning, RenumberedWarning, stacklevel=2)
