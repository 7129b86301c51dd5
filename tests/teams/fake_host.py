"""A fake API of GitHub, Forgejo and GitLab on loopback: comments, pull requests, reviews."""

import json
import re
from contextlib import contextmanager

from web_pages import QuietHandler, QuietServer, running

PREFIXES = {"github": "", "forgejo": "/api/v1", "gitlab": "/api/v4"}
# The number of items in a page of an answer. It is small, so that clients must request several pages.
PAGE = 2


class _Handler(QuietHandler):
    def _handle(self):
        host = self.server
        length = int(self.headers.get("Content-Length") or 0)
        body = json.loads(self.rfile.read(length)) if length else {}
        path, _, query = self.path.partition("?")
        host.seen.append((self.command, path))
        given = self.headers.get("Authorization") or self.headers.get("PRIVATE-TOKEN") or ""
        if host.fails:
            return self._say(*host.fails)
        if not given.endswith(host.token):
            return self._say(403, {"message": "Resource not accessible by integration"})
        path = path.removeprefix(PREFIXES[host.kind])
        path = path.removeprefix("/projects/7" if host.kind == "gitlab" else "/repos/org/models")
        found = self._comments(path, body)
        if found is None:
            found = host.answers.get(path)
        if isinstance(found, list):
            page = int(re.search(r"\bpage=(\d+)", query)[1])
            found = found[(page - 1) * PAGE : page * PAGE]
        self._say(404 if found is None else 200, {"message": "Not Found"} if found is None else found)

    do_GET = do_POST = do_PATCH = do_PUT = _handle

    def _comments(self, path, body):
        comments = self.server.comments
        if re.fullmatch(r"/(issues|merge_requests)/5/(comments|notes)", path):
            if self.command == "POST":
                comments[len(comments) + 1] = body["body"]
                return {"id": len(comments)}
            return [{"id": id, "body": text} for id, text in comments.items()]
        one = re.fullmatch(r"/(?:issues/comments|merge_requests/5/notes)/(\d+)", path)
        wanted = "PUT" if self.server.kind == "gitlab" else "PATCH"
        if one and self.command == wanted:
            comments[int(one[1])] = body["body"]
            return {"id": int(one[1])}
        return None

    def _say(self, code, value):
        data = json.dumps(value).encode()
        self.send_response(code)
        if 300 <= code < 400:
            self.send_header("Location", "http://127.0.0.1:9/elsewhere")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


class Host(QuietServer):
    """The fake API.

    *comments* are the posted comments by id, *answers* has the JSON that the API returns for each path, and *seen* are
    the requests that it received. If *fails* is set to a status and a body, the API gives this answer to all requests.
    """

    def approve(self, commit, *, by=("bob",), head="h" * 40, base="gitmodel", author="ada", **more):
        """Let the host answer that a pull request of *author*, approved by *by*, was merged into *base* as *commit*.

        *head* is the newest commit of the pull request, and *more* are additional keys of the pull request.
        """
        if self.kind == "gitlab":
            request = {"iid": 5, "state": "merged", "target_branch": base, "author": {"username": author}, **more}
            self.answers[f"/repository/commits/{commit}/merge_requests"] = [request]
            self.answers["/merge_requests/5/approvals"] = {"approved_by": [{"user": {"username": who}} for who in by]}
            return
        request = {"number": 5, "merged": True, "merged_at": "2026-11-23T10:12:13Z", "base": {"ref": base}}
        request |= {"head": {"sha": head}, "user": {"login": author}, **more}
        one = f"/commits/{commit}/pull"
        self.answers[one if self.kind == "forgejo" else f"{one}s"] = request if self.kind == "forgejo" else [request]
        self.answers["/pulls/5/reviews"] = [review(who, head) for who in by]

    def variables(self, event):
        """Return the environment variables of a CI job. Writes the event that started the job to the file *event*."""
        api = f"{self.url}{PREFIXES[self.kind]}"
        if self.kind == "gitlab":
            numbered = {"CI_PROJECT_ID": "7", "CI_MERGE_REQUEST_IID": "5"}
            return {"GITLAB_CI": "true", "CI_API_V4_URL": api, "GITMODEL_HOST_TOKEN": self.token, **numbered}
        event.write_text(json.dumps({"pull_request": {"number": 5}}), encoding="utf-8")
        names = {"GITHUB_API_URL": api, "GITHUB_REPOSITORY": "org/models", "GITHUB_TOKEN": self.token}
        return {**names, "GITHUB_EVENT_PATH": str(event)}


def review(who, head, state="APPROVED", **more):
    return {"user": {"login": who}, "state": state, "commit_id": head, **more}


@contextmanager
def fake_host(kind):
    host = Host(_Handler)
    host.kind, host.token, host.comments, host.answers, host.fails, host.seen = kind, "s3cret", {}, {}, None, []
    with running(host):
        yield host
