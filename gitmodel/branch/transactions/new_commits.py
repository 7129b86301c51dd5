"""Writing commits of the metadata branch without moving the branch."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from gitmodel.branch.repository import Repository
from gitmodel.domain.changes.planned_change import Change
from gitmodel.domain.schema import codec, messages, paths
from gitmodel.domain.schema.object_ids import Oid
from gitmodel.domain.schema.registry_rules.registry_file import encode_registry
from gitmodel.domain.schema.registry_rules.registry_record import RegistryRecord
from gitmodel.domain.snapshots.snapshot import Snapshot
from gitmodel.errors import Invalid
from gitmodel.git.objects.object_formats import NewObject, format_commit
from gitmodel.git.objects.trees import changed_tree

BEGIN = "Begin the registry"
_BRANCH_README = """\
# A model registry

This branch is a gitmodel registry: models, versions and the stages they are in,
as TOML files. Every change is a commit; `git log --first-parent -- models/NAME` tells the story of a model.
Do not edit it by hand; use `git model`, and run `git model check` if somebody did.
"""


def commit_on(repository: Repository, parent: Oid, change: Change[Any]) -> Oid:
    """Write a commit of *change* on the commit *parent*, and return its id. Moves no ref and creates no tag.

    Signs the commit if git's configuration says so, or if the rules require a signature and git has a key.
    """
    refuse_credentials(repository, repository.snapshot_at(parent), change)
    author, _ = repository.identity.now()
    return add_commit(repository, parent, change.files, author, _message(change))


def add_commit(
    repository: Repository,
    parent: Oid,
    files: Mapping[str, bytes | None],
    author: str,
    message: str,
    *,
    sign: bool = False,
) -> Oid:
    """Write a commit of *files* (paths and new contents) on the commit *parent*, and return its id. Moves no ref.

    *author* is `Name <address> seconds zone`. Signs the commit if *sign* is True, if git's configuration says so, or if
    the rules require a signature and git has a key. Raises Unsigned if the commit cannot be signed.
    """
    repository.git.refuse_read_only()
    signer = repository.signing.signer
    must_sign = signer.has_key and repository.signing.is_required(repository.snapshot_at(parent), files)
    check_paths(files)
    tree, new = changed_tree(repository.trees, repository.commits.read(parent).tree, files)
    committer = repository.identity.now()[1]
    made = NewObject("commit", format_commit(tree, [parent], author, committer, message))
    if sign or must_sign or signer.signs_commits:
        made = signer.commit(made, committer)
    repository.objects.write([*new, made])
    return made.id


def first_commit(repository: Repository, registry: RegistryRecord) -> tuple[NewObject, list[NewObject]]:
    """Return the first commit of a registry with the record *registry*, and the other objects to write for it."""
    files = {paths.REGISTRY: encode_registry(registry), "README.md": _BRANCH_README.encode()}
    tree, new = changed_tree(repository.trees, None, files)
    return made_commit(repository, None, tree, Change(None, subject=BEGIN), sign=False), new


def made_commit(repository: Repository, parent: Oid | None, tree: Oid, change: Change[Any], *, sign: bool) -> NewObject:
    """Return the commit of *change* with the tree *tree* on *parent* (None: the first commit). Does not write it.

    Signs the commit if *sign* is True or git's configuration says so.
    """
    author, committer = repository.identity.now()
    # Only the first commit of a registry has a transaction id that depends on its content.
    txn = "" if parent else messages.transaction_id(tree, author, committer, change.subject)
    message = _message(change, txn)
    made = NewObject("commit", format_commit(tree, [parent] if parent else [], author, committer, message))
    signer = repository.signing.signer
    return signer.commit(made, committer) if sign or signer.signs_commits else made


def _message(change: Change[Any], txn: str = "") -> str:
    """Return the message of the commit of *change*, with the transaction id of *change*, or else *txn*.

    If both are "", uses a random transaction id, which makes equal changes in two clones different commits.
    """
    txn = change.txn or txn or os.urandom(8).hex()
    return messages.commit_message(change.subject, change.reason, change.trailers, txn=txn)


def refuse_credentials(repository: Repository, snapshot: Snapshot, change: Change[Any]) -> None:
    """Raise Refused if *change* adds text that looks like a credential, unless git's configuration allows it."""
    from gitmodel.domain.secrets import credentials  # imported here because only writes need it

    if not repository.allows_credentials:
        credentials.refuse_new(snapshot, change)


def check_paths(files: Mapping[str, bytes | None]) -> None:
    """Raise Invalid if a path in *files* is none of the registry's format, or if a content is too large for readers."""
    for path, data in files.items():
        if data is None or paths.is_host_file(path):
            continue
        if paths.parse_path(path) is None and path != paths.SIGNERS:
            raise Invalid(f"{path!a} is not a file of the format, and was not written", hint="please report this")
        if len(data) > codec.MAX_BYTES:
            raise Invalid(f"{path} would have {len(data)} bytes, more than {codec.MAX_BYTES}", hint="shorten it")
