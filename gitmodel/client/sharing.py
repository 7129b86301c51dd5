"""Pushing to a remote, and putting recorded changes in force in this clone and at a remote."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import cast

from gitmodel.branch import remotes
from gitmodel.branch.repository import Repository
from gitmodel.client.opening.open_registry import OpenRegistry
from gitmodel.errors import GitModelError
from gitmodel.registry.promotion import put_in_force
from gitmodel.registry.promotion.put_in_force import Applied
from gitmodel.stores.local_store import LocalStore
from gitmodel.stores.transfer import Transfer
from gitmodel.teams.sync import pulling, pushing
from gitmodel.teams.sync.pulling import Pulled
from gitmodel.teams.sync.pushing import Pushed


def plan_apply(
    opened: OpenRegistry, names: tuple[str, ...], *, reviewed: frozenset[str], ask_host: bool
) -> Callable[[], Applied]:
    """Return a function that puts recorded changes in force: of the models *names*, or of all models if it is ().

    *reviewed* are ids of commits that the caller knows to be reviewed. For other commits, the git host says whether
    they were reviewed if *ask_host* is True, else the history of the branch.
    """
    if not ask_host:
        return partial(put_in_force.apply, opened.repository, names, reviewed=reviewed)
    from gitmodel.hosts.api import read_job  # imported here: few calls ask the git host
    from gitmodel.hosts.approvals import HostApprovals, objection_by

    approved = HostApprovals(opened.repository, read_job(opened.environ), reviewed)
    objection = objection_by(opened.repository, approved)
    return partial(put_in_force.apply, opened.repository, names, reviewed=approved, objection=objection)


def apply_at_remote(
    opened: OpenRegistry, remote: str, apply: Callable[[], Applied], names: tuple[str, ...], *, timeout: float
) -> Applied:
    """Pull from *remote*, call *apply*, which moves local stage tags, and push these tags to *remote*.

    The tags are those of the models *names*, or of all models if it is (). While others push, repeats all steps for at
    most *timeout* seconds. Raises LeftOut at the end if a pull could not keep some local changes.
    """
    from gitmodel.teams.sync import applying

    chosen = remotes.choose_remote(opened.repository, remote)
    pulled: list[Pulled] = []
    with pushing.telling_left_out(pulled):
        done = applying.apply_at_remote(opened.repository, chosen, apply, pulled, models=names, timeout=timeout)
    if pulling.left_out(pulled):
        raise pushing.LeftOut(done, chosen, pulled)
    return done


def push(opened: OpenRegistry, remote: str, *, timeout: float, transfer: Transfer, code: bool) -> Pushed:
    """Push code commits, artifacts, the branch and stage tags to *remote*.

    If *code* is True, push all kept code commits. If others have pushed, pulls first; repeats this for at most
    *timeout* seconds. Raises LeftOut at the end if a pull could not keep some local changes.
    """
    from gitmodel.lineage.code.recorded_code import choose_pushed, push_code

    repository = opened.repository
    uploads = pushing.Uploads(LocalStore(opened.store_root), opened.access.of_model, transfer)
    chosen = remotes.choose_remote(repository, remote)
    # Code commits are pushed before the records of versions that name them, so that readers of a record find the
    # commit.
    here = opened.find_kept()
    alone = here is None or here.code.git.common_dir != repository.common_dir
    pushed_code = push_code(here, "" if alone else chosen, "all" if code else choose_pushed(repository.config))
    done = pushing.push(repository, chosen, uploads, timeout=timeout)
    done.code = pushed_code
    if pulling.left_out(done.pulled):
        raise pushing.LeftOut(done, chosen, done.pulled)
    return done


def apply(
    opened: OpenRegistry,
    names: tuple[str, ...],
    *,
    reviewed: frozenset[str],
    ask_host: bool,
    remote: str | None,
    timeout: float,
) -> Applied:
    """Put recorded changes in force: in this clone and, if *remote* is not None, at *remote* ("": the default).

    *names*, *reviewed* and *ask_host* are as in `plan_apply`. Sends a notice afterwards if the settings of this machine
    name a URL for notices. Raises LeftOut at the end if a pull could not keep some local changes.
    """
    apply = plan_apply(opened, names, reviewed=reviewed, ask_host=ask_host)
    if remote is None:
        return _with_notice(opened, apply())
    try:
        return _with_notice(opened, apply_at_remote(opened, remote, apply, names, timeout=timeout))
    except pushing.LeftOut as error:
        error.done = _with_notice(opened, cast("Applied", error.done))
        raise


def _with_notice(opened: OpenRegistry, done: Applied) -> Applied:
    """Post the changes in *done* to the URL for notices, if the settings of this machine have one. Return *done*.

    If that fails, `notice` of the result has the reason.
    """
    if not done.changes:
        return done
    try:
        from gitmodel.hosts.notices import read_receiver, send  # imported here: needed only after a change

        receiver = read_receiver(opened.environ, opened.repository.config)
        if receiver is not None:
            send(receiver, _notice(opened.repository, done))
    except Exception as error:  # not raised, because the changes are in force already
        shown = error.message if isinstance(error, GitModelError) else f"{type(error).__name__}"
        return replace(done, notice=shown)
    return done


def _notice(repository: Repository, done: Applied) -> bytes:
    """Return the JSON of a notice about the changes in *done*, each with its commit, author, time and reason."""
    from gitmodel.lineage.history.holdings import history

    changes = []
    for change in done.changes:
        ref = change.ref
        event = next(iter(history(repository, ref.model, ref.stage)))
        changes.append(
            {
                "model": ref.model,
                "stage": ref.stage,
                "version": change.version,
                "previous": change.previous,
                "tag": ref.name,
                "pushed": change.pushed,
                "commit": event.commit,
                "author": event.author,
                "when": event.when.isoformat(),
                "reason": event.reason,
                "forced": list(event.forced),
            }
        )
    said = {"schema": 1, "event": "apply", "commit": repository.tip(), "changes": changes}
    return json.dumps(said, ensure_ascii=False, separators=(",", ":")).encode()
