"""The code of versions: recording the commit, keeping it with a ref, and pushing that ref."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from gitmodel.code.kept_commits import KeptCommits, PushedCode
from gitmodel.code.repository import CodeRepository
from gitmodel.code.uncommitted_changes import list_changes, snapshot
from gitmodel.domain.schema.object_ids import Oid, is_code_oid
from gitmodel.domain.schema.record_values import DIRTY
from gitmodel.domain.schema.records import Code
from gitmodel.domain.secrets.credentials import OVERRIDE, recordable_url
from gitmodel.errors import Refused, Unreachable, UsageError, warn
from gitmodel.stores.sources.source_credentials import describe_credentials, find_credentials

PUSHED = ("published", "all", "none")
SNAPSHOT_LIMIT = 50_000_000
_TOLD = 3


def choose_dirty(policy: str, mine: str) -> str:
    """Return the stricter of the rules *policy* of the registry and *mine* of the user ("": none).

    The rules, for uncommitted changes, are "record", "snapshot" and "refuse", from the least to the most strict.
    Raises UsageError for another word.

    >>> choose_dirty("refuse", "record"), choose_dirty("record", "snapshot")
    ('refuse', 'snapshot')
    """
    if mine and mine not in DIRTY:
        raise UsageError(
            f"{mine!a} is not a way to handle uncommitted changes",
            hint=f"set GITMODEL_DIRTY or `git config gitmodel.dirty` to {', '.join(DIRTY)}",
        )
    return max(policy, mine or policy, key=DIRTY.index)


def snapshot_limit(config: Mapping[str, str]) -> int:
    """Return the maximum size in bytes of a snapshot of uncommitted changes, from `git config gitmodel.snapshotLimit`.

    >>> snapshot_limit({"gitmodel.snapshotlimit": "2m"})
    2097152
    """
    text = config.get("gitmodel.snapshotlimit", "").lower()
    unit = {"k": 1 << 10, "m": 1 << 20, "g": 1 << 30}.get(text[-1:], 0)
    digits = text[:-1] if unit else text
    if not text:
        return SNAPSHOT_LIMIT
    if not (digits.isascii() and digits.isdigit()):
        raise UsageError(
            f"{text!a} is not a number of bytes", hint="for example: git config gitmodel.snapshotLimit 100m"
        )
    return int(digits) * (unit or 1)


def check_code(code: CodeRepository | None, *, dirty: str, allow_credentials: bool) -> None:
    """Raise Refused if the rule *dirty*, a result of `choose_dirty`, forbids creating a version from the current code.

    "refuse" forbids all uncommitted changes. "snapshot" forbids a changed file that looks like credentials, unless
    *allow_credentials* is True. "record" forbids nothing. Nothing is forbidden either if *code* is None.
    """
    if code is None or dirty == "record" or (dirty == "snapshot" and allow_credentials):
        return
    paths = list_changes(code)
    if dirty == "snapshot":
        _refuse_credentials(code, paths)
    elif paths:
        more = f" and {len(paths) - _TOLD} more" if len(paths) > _TOLD else ""
        raise Refused(
            f"the code has changes that are not committed: {', '.join(paths[:_TOLD])}{more}",
            hint="commit or stash them: `dirty` is `refuse`, in gitmodel.toml, git config or GITMODEL_DIRTY",
        )


def _refuse_credentials(code: CodeRepository, paths: list[str]) -> None:
    """Raise Refused if one of the changed files at *paths* of *code* looks like credentials."""
    files = [code.git.top / path for path in paths]
    found = [
        place
        for file in files
        if file.is_file() and not file.is_symlink()
        for place in find_credentials(file, code.git.top)
    ]
    if found:
        raise Refused(
            f"{describe_credentials('a snapshot of the code', found)}; nothing was stored",
            hint=f"name the file in .gitignore; {OVERRIDE}",
        )


def given_code(code: Code | str) -> Code:
    """Return *code*, the code or full commit id of a version that was made elsewhere, as a `Code`.

    Removes credentials from the URL of the repository. Raises UsageError if a commit is not a full commit id.
    """
    found = Code(commit=Oid(code)) if isinstance(code, str) else code
    for commit in (found.commit, found.snapshot):
        if commit is not None and not is_code_oid(commit):
            raise UsageError(
                f"{commit!a} is not a full commit id",
                hint="give all 40 or 64 hex digits, as `git rev-parse` prints them",
            )
    return replace(found, repository=recordable_url(found.repository or ""))


def keep_given(keeping: KeptCommits | None, code: Code) -> Code:
    """Create a ref that keeps the commit of *code*, if the code repository has this commit, and return *code*.

    *keeping* is None if there is no code repository.
    """
    commit = code.snapshot or code.commit
    if keeping is None or commit is None or not keeping.code.holds(commit):
        return code
    return record_code(keeping, code, dirty="record", limit=0)


def record_code(keeping: KeptCommits | None, code: Code, *, dirty: str, limit: int) -> Code:
    """Return *code*, the state of the code repository, as a version records it, and create a ref that keeps its commit.

    If *dirty* is "record", the result says only that there are uncommitted changes. If *dirty* is "snapshot", they are
    stored as a commit, which the result names; raises Refused if they have more than *limit* bytes. The caller has
    called `check_code`, which refuses the uncommitted changes that *dirty* forbids. If *keeping* is None, there is no
    code repository, and the result is *code*.
    """
    if keeping is None:
        return code
    stored = snapshot(keeping.code, limit) if code.dirty and dirty == "snapshot" else None
    if stored:
        code = replace(code, snapshot=stored)
    commit = code.snapshot or code.commit
    if commit:
        try:
            keeping.keep(commit)
        except Unreachable as error:  # the code repository may be read-only: not an error
            warn(
                f"the commit {commit[:10]} of the code is recorded, but not kept here: {error.message}",
                hint="push it to a branch that stays",
            )
    return code


def choose_pushed(config: Mapping[str, str]) -> str:
    """Return the word of `PUSHED` in `git config gitmodel.pushCode`, which says what `push_code` pushes."""
    word = config.get("gitmodel.pushcode", "published")
    if word not in PUSHED:
        raise UsageError(
            f"{word!a} does not say which code is pushed", hint=f"set gitmodel.pushCode to {', '.join(PUSHED)}"
        )
    return word


def push_code(keeping: KeptCommits | None, remote: str, which: str) -> PushedCode:
    """Push the refs by which this clone keeps code commits to the code repository's *remote* ("": its default).

    *which* says which commits: "published" (only commits that a branch of the remote has ever contained), "all" (also
    the others, such as snapshots of uncommitted changes) or "none". If the push fails, the result has the message.
    """
    chosen = keeping.remote(remote) if keeping is not None else ""
    if keeping is None or not chosen or which == "none":
        return PushedCode()
    left = keeping.not_pushed(keeping.kept(), chosen)
    known = frozenset(left) if which == "all" else keeping.published(left, chosen)
    ready = [commit for commit in left if commit in known]
    unpublished = tuple(commit for commit in left if commit not in known)
    try:
        keeping.push(ready, chosen)
    except (Refused, Unreachable) as error:
        return PushedCode((), unpublished, error.message)
    return PushedCode(tuple(ready), unpublished)
