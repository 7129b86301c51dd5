"""Requests of a CI job to its git host: writing a comment on a pull request, and asking if a commit was approved.

The interfaces are GitHub's REST API (2022-11-28), which Forgejo follows below `/api/v1`, and GitLab's API v4.
"""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import field
from pathlib import Path
from typing import Any
from urllib.parse import quote

from gitmodel.domain.schema.object_ids import Oid
from gitmodel.errors import Refused, Unreachable, UsageError
from gitmodel.frozen import Frozen
from gitmodel.hosts.requests import open_without_redirects

_TIMEOUT = 30
_PAGE = 100
_MOST_PAGES = 30
# The maximum length of a comment, before the sentence that ends a shortened comment. GitHub allows 65,536 characters.
_LONGEST = 60_000


class CiJob(Frozen):
    """The current CI job: the *kind* of its git host, the URL of the host's *api*, and its *repository* there.

    *pull_request* is the number of the pull request for which the job runs, 0 if it runs for none. *token* authorizes
    the requests to the API.
    """

    kind: str
    api: str
    repository: str
    pull_request: int = 0
    token: str = field(default="", repr=False)


def read_job(environ: Mapping[str, str]) -> CiJob:
    """Return the current CI job, from the variables in *environ*: Forgejo sets the same variables as GitHub.

    The token is `GITMODEL_HOST_TOKEN`, or else `GITHUB_TOKEN`. Raises UsageError if *environ* is not that of a job.
    """
    token = environ.get("GITMODEL_HOST_TOKEN", "")
    if environ.get("GITLAB_CI") and environ.get("CI_API_V4_URL"):
        number = environ.get("CI_MERGE_REQUEST_IID", "")
        project = environ.get("CI_PROJECT_ID", "")
        return CiJob("gitlab", environ["CI_API_V4_URL"], project, int(number) if number.isdigit() else 0, token)
    if environ.get("GITHUB_API_URL") and environ.get("GITHUB_REPOSITORY"):
        api = environ["GITHUB_API_URL"].rstrip("/")
        kind = "forgejo" if api.endswith("/api/v1") else "github"
        number = _event(environ.get("GITHUB_EVENT_PATH", "")).get("number", 0)
        token = token or environ.get("GITHUB_TOKEN", "")
        return CiJob(kind, api, environ["GITHUB_REPOSITORY"], number if isinstance(number, int) else 0, token)
    raise UsageError(
        "this is not a job of GitHub, GitLab or Forgejo, so there is no host to ask",
        hint="run it in a workflow that `git model init --ci` created",
    )


def put_comment(job: CiJob, text: str, marker: str) -> None:
    """Write *text*, which starts with *marker*, as a comment on the job's pull request. Shortens a long *text*.

    If the pull request already has a comment that starts with *marker*, replaces this comment. Raises UsageError if the
    job does not run for a pull request, Refused if the host refuses the comment, Unreachable if it does not answer.
    """
    if not job.pull_request:
        raise UsageError("this job does not run for a pull request", hint="run it on the event pull_request")
    if len(text) > _LONGEST:
        text = text[:_LONGEST] + "\n\n... and more: `git model plan` prints the whole text\n"
    gitlab = job.kind == "gitlab"
    inside = f"merge_requests/{job.pull_request}/notes" if gitlab else f"issues/{job.pull_request}/comments"
    old = next((one for one in _list(job, inside) if str(one.get("body", "")).startswith(marker)), None)
    if old is None:
        _ask(job, "POST", inside, {"body": text})
    elif gitlab:
        _ask(job, "PUT", f"{inside}/{old['id']}", {"body": text})
    else:
        _ask(job, "PATCH", f"issues/comments/{old['id']}", {"body": text})


def is_approved(job: CiJob, commit: Oid, branch: str) -> bool:
    """Return True if *commit* came to *branch* by a merged pull request that a user approved who did not open it.

    On GitHub and Forgejo, the user must have approved the last commit of the pull request. Raises Refused if the host
    refuses to answer, Unreachable if it cannot be reached.
    """
    if job.kind == "gitlab":
        requests = _list(job, f"repository/commits/{quote(commit)}/merge_requests")
        merged = [one for one in requests if one.get("state") == "merged" and one.get("target_branch") == branch]
        return any(_is_merge_request_approved(job, one) for one in merged)
    if job.kind == "forgejo":
        requests = [_ask(job, "GET", f"commits/{quote(commit)}/pull", missing={})]
    else:
        requests = _list(job, f"commits/{quote(commit)}/pulls")
    merged = [one for one in requests if one.get("merged_at") and one.get("base", {}).get("ref") == branch]
    return any(_is_pull_request_approved(job, one) for one in merged)


def _is_merge_request_approved(job: CiJob, request: Mapping[str, Any]) -> bool:
    """Return True if a user other than the author approved the merge request *request* of GitLab."""
    answer = _ask(job, "GET", f"merge_requests/{request['iid']}/approvals")
    users = {str(one.get("user", {}).get("username")) for one in answer.get("approved_by", [])}
    return bool(users - {str(request.get("author", {}).get("username"))})


def _is_pull_request_approved(job: CiJob, request: Mapping[str, Any]) -> bool:
    """Return True if a user other than the author approved the last commit of the pull request *request*.

    Only the newest review of each user counts. Returns False if one of these reviews requests changes.
    """
    head, author = request.get("head", {}).get("sha"), request.get("user", {}).get("login")
    newest: dict[str, Mapping[str, Any]] = {}  # by user
    for review in _list(job, f"pulls/{request['number']}/reviews"):
        if review.get("state") in ("APPROVED", "CHANGES_REQUESTED", "REQUEST_CHANGES", "DISMISSED"):
            newest[str((review.get("user") or {}).get("login"))] = review
    approving = [
        user
        for user, review in newest.items()
        if review["state"] == "APPROVED" and review.get("commit_id") == head and user != author
        # Only Forgejo sends these keys: `official` means that the reviewer may approve, `dismissed` that somebody
        # withdrew the review, and `stale` that the review is of an earlier commit.
        and review.get("official", True) and not review.get("dismissed") and not review.get("stale")
    ]  # fmt: skip
    states = {review["state"] for review in newest.values()}
    return bool(approving) and states.isdisjoint(("CHANGES_REQUESTED", "REQUEST_CHANGES"))


def _list(job: CiJob, path: str) -> list[dict[str, Any]]:
    """Return all items of the list at *path* of the API, which the host returns in pages."""
    items: list[dict[str, Any]] = []
    for page in range(1, _MOST_PAGES + 1):
        found = _ask(job, "GET", f"{path}?per_page={_PAGE}&limit={_PAGE}&page={page}", missing=[])
        items += found
        # Only an empty page is certainly after the last: a host may limit pages to fewer items than requested.
        if not found:
            break
    return items


def _ask(job: CiJob, method: str, path: str, body: Mapping[str, Any] | None = None, *, missing: Any = None) -> Any:
    """Send a request for *path*, below the repository in the API, to the host, and return the decoded answer.

    If the host answers 404 (not found), returns *missing*, or raises Refused if *missing* is None. Raises Unreachable
    if the host does not answer or reports a temporary failure, Refused for another error.
    """
    gitlab = job.kind == "gitlab"
    where = f"projects/{quote(job.repository, safe='')}" if gitlab else f"repos/{quote(job.repository)}"
    headers = {"Accept": "application/json", "Content-Type": "application/json", "User-Agent": "gitmodel"}
    if job.token:
        headers |= {"PRIVATE-TOKEN": job.token} if gitlab else {"Authorization": f"token {job.token}"}
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(f"{job.api.rstrip('/')}/{where}/{path}", data, headers, method=method)
    try:
        with open_without_redirects(request, timeout=_TIMEOUT) as answer:
            return json.load(answer)
    except urllib.error.HTTPError as error:
        with error:
            if error.code == 404 and missing is not None:
                return missing
            said = error.read(2000).decode("utf-8", "replace")
        raise _refusal(job, error.code, said) from None
    except (OSError, ValueError) as error:
        raise Unreachable(f"{job.api} does not answer: {error}", hint="try again when it can be reached") from None


def _refusal(job: CiJob, code: int, said: str) -> Refused | Unreachable:
    try:
        words = str(json.loads(said).get("message", said))
    except (ValueError, AttributeError):
        words = said
    what = f"{job.api} answers {code}: {' '.join(words.split())[:200]}"
    if code >= 500 or code == 429:
        return Unreachable(what, hint="try again later")
    return Refused(what, hint="check the permissions of the job's token: GITMODEL_HOST_TOKEN, or else GITHUB_TOKEN")


def _event(path: str) -> dict[str, Any]:
    try:
        found = json.loads(Path(path).read_text(encoding="utf-8")) if path else {}
    except (OSError, ValueError):
        return {}
    request = found.get("pull_request") if isinstance(found, dict) else None
    return request if isinstance(request, dict) else {}
