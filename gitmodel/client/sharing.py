"""Pushing to a remote, and putting recorded changes in force in this clone and at a remote."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import partial

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


def push(opened: OpenRegistry, remote: str, *, timeout: float, transfer: Transfer, code: bool) -> Pushed:
    """Push code commits, artifacts, the branch and stage tags to *remote*, as `Client.push` describes."""
    from gitmodel.lineage.code.recorded_code import choose_pushed, push_code

    repository = opened.repository
    uploads = pushing.Uploads(LocalStore(opened.store_root), opened.access.of_model, transfer)
    chosen = remotes.choose_remote(repository, remote)
    # Code commits are pushed first, so that readers of a record that names a commit find it.
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
    """Put recorded changes in force in this clone and, if *remote* is not None, at *remote* ("": the default remote).

    The other arguments and the errors are those of `Client.apply`.
    """
    repository = opened.repository
    if ask_host:
        from gitmodel.hosts.api import read_job  # imported here: few calls ask the git host
        from gitmodel.hosts.approvals import HostApprovals, objection_by

        approved = HostApprovals(repository, read_job(opened.environ), reviewed)
        objection = objection_by(repository, approved)
        apply = partial(put_in_force.apply, repository, names, reviewed=approved, objection=objection)
    else:
        apply = partial(put_in_force.apply, repository, names, reviewed=reviewed)
    if remote is None:
        return _with_notice(opened, apply())
    from gitmodel.teams.sync import applying

    chosen = remotes.choose_remote(repository, remote)
    pulled: list[Pulled] = []
    with pushing.telling_left_out(pulled):
        done = applying.apply_at_remote(repository, chosen, apply, pulled, models=names, timeout=timeout)
    done = _with_notice(opened, done)
    if pulling.left_out(pulled):
        raise pushing.LeftOut(done, chosen, pulled)
    return done


def _with_notice(opened: OpenRegistry, done: Applied) -> Applied:
    """Post the changes in *done* to the URL for notices, if one is set. If that fails, add the error to *done*."""
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
