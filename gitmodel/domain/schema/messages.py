"""Writing and parsing the messages of commits and tags: subject, reason, trailers. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable

from gitmodel.domain.schema.digests import sha256
from gitmodel.domain.schema.refs import StageRef

MAX_TRAILER = 500
# C0 except tab and line feed, DEL and C1. git refuses NUL in a message, and `git log` would print the others.
_CONTROL = r"[\x00-\x08\x0b-\x1f\x7f-\x9f]"

# git ends a message at a scissors line or at the start of a patch, and ignores trailers below.
_CUT = r"(?m)^(?=#|---)"

# Subjects by GitHub, Gitea and Forgejo (merge, squash), Bitbucket and Azure DevOps, and the text that GitLab adds.
_PULL_REQUESTS = (
    r"\AMerge pull request (#[0-9]{1,9})\b",
    r"\A[^\n]*\((#[0-9]{1,9})\)(?: from [^\n]*)?(?:\n|\Z)",
    r"\AMerged in [^\n]*\(pull request (#[0-9]{1,9})\)",
    r"\AMerged PR ([0-9]{1,9}):",
    r"\nSee merge request [^\s!]*(![0-9]{1,9})\s*(?:\n|\Z)",
)


def one_line(text: str) -> str:
    """Return *text* as one line, for a subject or trailer.

    >>> one_line("better\\n  than  before")
    'better than before'
    """
    return " ".join(_printable(text).split())[:MAX_TRAILER]


def commit_message(subject: str, reason: str, trailers: Iterable[tuple[str, str]], *, txn: str) -> str:
    """Return the message of a commit: the subject, the reason, and those *trailers* whose value is not empty.

    A trailer `Txn` with the transaction id *txn* is added at the end, and before it a trailer `Reason` for a *reason*.

    >>> print(commit_message("Promote iris 4 to production", "", [("Model", "iris")], txn="5f"))
    Promote iris 4 to production
    <BLANKLINE>
    Model: iris
    Txn: 5f
    <BLANKLINE>
    """
    facts = [(key, one_line(value)) for key, value in trailers if value]
    facts += [("Reason", one_line(reason))] if reason.strip() else []
    block = "\n".join(f"{key}: {value}" for key, value in [*facts, ("Txn", txn)])
    prose = f"{re.sub(_CUT, ' ', _printable(reason).strip())}\n\n" if reason.strip() else ""
    return f"{one_line(subject)}\n\n{prose}{block}\n"


def transaction_id(*parts: str) -> str:
    """Return a transaction id made from *parts*: 16 hex digits, always the same for the same parts."""
    return sha256("\0".join(parts).encode("utf-8", "replace"))[:16]


def keyed_transaction(model: str, key: str) -> str:
    """Return the transaction id of the commit that creates a version of *model* with the idempotency *key*.

    The id depends only on the arguments, so that a retry with the same key finds the commit.
    """
    return transaction_id("idempotency-key", model, key)


def carries_transaction(message: str, txn: str) -> bool:
    """Return True if *message* has the transaction id *txn*; the message of a squashed commit has several."""
    return f"Txn: {txn}" in message.splitlines()


def tag_message(ref: StageRef, old: int | None, new: int, reason: str) -> str:
    """Return the message of the stage tag *ref* when it moves from version *old* (None: no version) to version *new*.

    >>> tag_message(StageRef("iris", "production"), 3, 4, "")
    'iris 3 -> 4 in production\\n'
    >>> tag_message(StageRef("iris", "production"), None, 4, "first good one")
    'iris 4 in production\\n\\nfirst good one\\n'
    """
    move = f"{new}" if old is None or old == new else f"{old} -> {new}"
    body = f"\n{_printable(reason).strip()}\n" if reason.strip() else ""
    return f"{ref.model} {move} in {ref.stage}\n{body}"


def prose(message: str) -> str:
    r"""Return the reason in a commit *message*: the text between subject and trailers.

    >>> prose("Demote iris 3 from production\n\nit drifted\n\nModel: iris\n")
    'it drifted'
    """
    return "\n\n".join(message.strip().split("\n\n")[1:-1])


def pull_request(message: str) -> str:
    r"""Return the pull or merge request that a host named in *message*, in the host's notation; else "".

    >>> pull_request("Merge pull request #12 from ada/propose\n")
    '#12'
    >>> pull_request("Promote iris 4 to production (#7)\n\nModel: iris\n")
    '#7'
    >>> pull_request("Merge branch 'propose/iris' into 'gitmodel'\n\nSee merge request ml/iris!3\n")
    '!3'
    """
    return next((found[1] for pattern in _PULL_REQUESTS if (found := re.search(pattern, message))), "")


def _printable(text: str) -> str:
    """Return *text* with U+FFFD in place of control characters and surrogates."""
    visible = re.sub(_CONTROL, "\ufffd", text.replace("\r\n", "\n"))
    return visible.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
