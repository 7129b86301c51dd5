"""The client: an open registry, with a method for each operation."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from copy import copy
from typing import TYPE_CHECKING, ClassVar

from gitmodel.client import names_of_other_tools
from gitmodel.client.methods.checks import CheckMethods
from gitmodel.client.methods.history import HistoryMethods
from gitmodel.client.methods.models import ModelMethods
from gitmodel.client.methods.opened import version_ref
from gitmodel.client.methods.runs import RunMethods
from gitmodel.client.methods.sharing import SharingMethods
from gitmodel.client.methods.stages import StageMethods
from gitmodel.client.methods.stores import StoreMethods
from gitmodel.client.methods.versions import VersionMethods
from gitmodel.client.opening.open_registry import OpenRegistry
from gitmodel.client.opening.url_settings import read_terms
from gitmodel.domain.arguments.checking import checked_arguments
from gitmodel.domain.arguments.names_of_other_tools import shows_our_form
from gitmodel.domain.changes.planned_change import Justification
from gitmodel.domain.schema.references import VersionRef
from gitmodel.stores.transfer import JOBS, Progress, Transfer

if TYPE_CHECKING:
    from datetime import datetime
    from types import TracebackType

    from gitmodel.client.model_stages import ModelStages
    from gitmodel.teams.proposing.version_copies import CopiedVersion


@checked_arguments
@shows_our_form
class Client(
    ModelMethods,
    VersionMethods,
    StageMethods,
    RunMethods,
    HistoryMethods,
    SharingMethods,
    CheckMethods,
    StoreMethods,
):
    """An open registry, by default that of the repository at *path*.

    *repo* is the path or URL of the registry. The default is `GITMODEL_REPO`, then `git config gitmodel.repo`, then the
    repository that contains *path*. The code repository is always the one that contains *path*. The default of *path*
    is the current folder. If you pass neither *path* nor *repo*, and `GIT_DIR` names another repository than the one
    that contains the current folder, each write raises UsageError. A *path* or *repo* that you pass takes precedence
    over `GIT_DIR`. *store* is the URL of the artifact store. The default is `GITMODEL_STORE`, then `git config
    gitmodel.store`, then the default store that the registry has recorded.

    A registry by URL, such as `Client("https://git.example.org/team/models.git")`, is not cloned. The client fetches
    what it needs into the user's cache, and each change is pushed before the call returns. Each call of the client
    contacts the server, unless the cache has an answer of the server that is younger than *max_age* seconds (default:
    `GITMODEL_MAX_AGE`, then 0). Reading a value of a handle that the client returned does not contact the server. If
    *offline* is True (default: `GITMODEL_OFFLINE`), the client does not use the network. If others change the registry
    at the same time, a change is retried for *timeout* seconds.

    Raises NotFound if *path* is in no repository and no registry is given, and UsageError if gitmodel cannot work with
    this version of git or with the repository.

    >>> client = Client()                                      # doctest: +SKIP
    >>> client.register_model(Model(name="iris"))              # doctest: +SKIP
    Model('iris')
    """

    _other_arguments: ClassVar[Mapping[str, str]] = names_of_other_tools.CLIENT_ARGUMENTS
    _other_names: ClassVar[Mapping[str, str]] = names_of_other_tools.CLIENT_NAMES

    def __init__(
        self,
        path: str | os.PathLike[str] = ".",
        *,
        repo: str | os.PathLike[str] | None = None,
        store: str | None = None,
        environ: Mapping[str, str] | None = None,
        max_age: float | None = None,
        offline: bool | None = None,
        timeout: float = 60.0,
    ) -> None:
        given = dict(os.environ if environ is None else environ)
        self._opened = OpenRegistry(
            os.fspath(path),
            repo=None if repo is None else os.fspath(repo),
            store=store,
            environ=given,
            terms=read_terms(given, max_age=max_age, offline=offline, timeout=timeout),
        )

    def fingerprint(self) -> str:
        """Return a text that changes when the branch, stages, rules or open proposals of the registry change.

        A program that caches data about the registry can use the cached data until this text changes.
        """
        self.repository.renew()
        return self.repository.fingerprint()

    def close(self) -> None:
        """Stop the git process that reads objects for this client. If the client is used again, it starts a new one."""
        self.repository.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Client({self.repository.url or str(self.repository.common_dir)!r})"

    def at(self, moment: str | datetime) -> Client:
        """Return a read-only client for the registry at *moment*: a date, a time, or a commit of the metadata branch.

        The returned client reads the newest commit that is not later than *moment*. A date includes the whole day, and
        a time without a zone is in UTC. Stages and aliases are those that are recorded in that commit, because past
        positions of stage tags are not known. Raises NotFound for a date before the registry existed, or for a commit
        that was never the newest of the branch. Methods of the returned client that would change the registry raise
        UsageError.

        >>> client.at("2026-10-01").get_version("iris@production").number     # doctest: +SKIP
        3
        """
        from gitmodel.lineage.history.past_states import Past, find_state

        with self.repository.git.explaining_not_found():
            past = Past(self.repository, find_state(self.repository, moment))
        return self._around(self._opened.with_writer(past))

    def copy_version(
        self,
        reference: str | VersionRef,
        to: str | os.PathLike[str] | Client,
        *,
        model: str = "",
        stage: str | ModelStages = "",
        reason: str = "",
        force: bool = False,
        propose: bool = False,
        jobs: int = JOBS,
        progress: Progress | None = None,
    ) -> CopiedVersion:
        """Copy a version with its artifacts, runs and lineage to the registry *to*: a path, a URL or a client.

        The record of the copy names the registry, model and version of the original as its `origin`. The copy belongs
        to the model *model* of *to*, by default the model with the same name, which is created if necessary. The copy
        has the number of the original if that number is higher than all numbers of the model in *to*; otherwise it gets
        the next number. If *stage* is given, the copy also enters this stage of *to*, if it meets the rules of the
        stage; *force* overrides these rules and needs a *reason*. Artifacts that the store of *to* already has are not
        sent. *jobs* files of a folder are sent at the same time, and *progress* is called with the number of bytes that
        are sent so far, and of all bytes to send.

        If *propose* is True, or if the server of *to* refuses the push, the copy is written to a new branch for a pull
        request, and `branch` of the result is the name of this branch. If *to* already has a copy of the version, no
        other copy is made, and `new` of the result is False. Raises NotFound if the version does not exist, Conflict if
        its name is taken in *to*, GateRefused if it fails a rule of *stage*, Refused if *stage* accepts only proposals,
        Unreachable if a registry or store cannot be reached.

        >>> client.copy_version("iris@3", "https://git.example.org/production.git").reference     # doctest: +SKIP
        'iris@3'
        """
        from gitmodel.teams.proposing.version_copies import CopySide, WantedCopy, copy_version

        ref, wanted = version_ref(reference), WantedCopy(model, str(stage), Justification(reason, force), propose)
        with ExitStack() as opened:
            if not isinstance(to, Client):
                to = opened.enter_context(Client(repo=to, environ=self._opened.environ))
            to._opened.require_branch("copy_version")
            self.repository.renew()
            source, target = (CopySide(one.writer, one.access) for one in (self, to))
            return copy_version(source, target, ref, wanted, transfer=Transfer(jobs, progress))

    @contextmanager
    def transaction(self, message: str) -> Iterator[Client]:
        """Make several changes in one commit with the subject *message*. If the block raises an error, nothing changes.

        The `with` block gets a second client. Changes through the second client, and through the handles that it
        returns, belong to the transaction. Later reads through the second client see these changes; other clients see
        them only after the block has ended. Several threads may use the second client at the same time. Within the
        block, a change through the first client or its handles raises UsageError. A change through any other client, or
        through the first client in another thread, is made immediately in its own commit. The handles of the second
        client can still be used after the block.

        >>> with client.transaction("Move iris on") as change:          # doctest: +SKIP
        ...     version = change.get_model("iris").create_version()
        ...     version.set_stage("staging")
        """
        with self._opened.transaction(message) as inside:
            yield self._around(inside)

    def _around(self, opened: OpenRegistry) -> Client:
        """Return a client of the same class as this one for the open registry *opened*."""
        client = copy(self)
        client._opened = opened
        return client
